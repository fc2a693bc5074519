/* tests/broker/admin_fixture.c — the administrative APIs over a kernel in memory. */
#include "admin_fixture.h"
#include "core/memory.h"
#include "core/table.h"
#include "wire/api_table.h"
#include "wire/message_header.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)256 << 20)

struct admin_fixture admin;

/* ---- data and groups, which these tests never ask for ---- */

static void unexpected(struct rl_request *request, const void *message)
{
    (void)message;
    rl_request_close(request);
}

#define UNEXPECTED(api) \
    void rl_api_##api(struct rl_request *request, const void *message) { unexpected(request, message); }

UNEXPECTED(produce)
UNEXPECTED(fetch)
UNEXPECTED(list_offsets)
UNEXPECTED(offset_for_leader_epoch)
UNEXPECTED(delete_records)
UNEXPECTED(describe_log_dirs)
UNEXPECTED(describe_producers)
UNEXPECTED(offset_commit)
UNEXPECTED(offset_fetch)
UNEXPECTED(join_group)
UNEXPECTED(heartbeat)
UNEXPECTED(leave_group)
UNEXPECTED(sync_group)
UNEXPECTED(describe_groups)
UNEXPECTED(consumer_group_heartbeat)
UNEXPECTED(consumer_group_describe)
UNEXPECTED(list_groups)
UNEXPECTED(delete_groups)
UNEXPECTED(offset_delete)

/* ---- the image ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct rl_topic *const *)a)->name,
                  (*(const struct rl_topic *const *)b)->name);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(&(*(const struct rl_topic *const *)a)->id,
                  &(*(const struct rl_topic *const *)b)->id, sizeof(struct rl_uuid));
}

static void image_sort(void)
{
    qsort(admin.by_name, admin.image.topic_count, sizeof admin.by_name[0], by_name);
    qsort(admin.by_id, admin.image.topic_count, sizeof admin.by_id[0], by_id);
}

static struct rl_topic *image_add(struct rl_slice name, int32_t partitions,
                                  const struct rl_topic_override *overrides, uint32_t count)
{
    cr_assert_lt(admin.image.topic_count, ADMIN_TOPICS_MAX);
    struct rl_topic *topic = rl_alloc_zero(1, sizeof *topic);
    struct rl_topic_override *copies = rl_alloc_zero(count + 1, sizeof *copies);
    for (uint32_t i = 0; i < count; i++) {
        copies[i].key = rl_strdup(overrides[i].key);
        copies[i].value = rl_strdup(overrides[i].value);
    }
    topic->name = rl_strndup((const char *)name.data, name.bytes);
    topic->partition_count = partitions;
    topic->state = RL_TOPIC_ONLINE;
    topic->overrides = copies;
    topic->override_count = count;
    uint64_t number = rl_hash_bytes(1, name.data, name.bytes);
    memcpy(topic->id.bytes, &number, sizeof number);
    topic->id.bytes[15] = 1;
    admin.by_name[admin.image.topic_count] = topic;
    admin.by_id[admin.image.topic_count++] = topic;
    return topic;
}

static void topic_free(const struct rl_topic *topic)
{
    for (uint32_t i = 0; i < topic->override_count; i++) {
        rl_free((char *)(uintptr_t)topic->overrides[i].key);
        rl_free((char *)(uintptr_t)topic->overrides[i].value);
    }
    rl_free((void *)(uintptr_t)topic->overrides);
    rl_free((char *)(uintptr_t)topic->name);
    rl_free((void *)(uintptr_t)topic);
}

static void image_remove(const struct rl_topic *topic)
{
    uint32_t last = --admin.image.topic_count;
    for (uint32_t i = 0; i <= last; i++) {
        if (admin.by_name[i] == topic)
            admin.by_name[i] = admin.by_name[last];
        if (admin.by_id[i] == topic)
            admin.by_id[i] = admin.by_id[last];
    }
    image_sort();
    topic_free(topic);
}

const struct rl_topic *admin_add_topic(const char *name, int32_t partitions,
                                       const struct rl_topic_override *overrides, uint32_t count)
{
    struct rl_topic *topic = image_add(rl_slice_of_string(name), partitions, overrides, count);
    image_sort();
    return topic;
}

void admin_add_topics(const char *pattern, int count, int32_t partitions)
{
    for (int i = 0; i < count; i++) {
        char *name = rl_asprintf(pattern, i);
        image_add(rl_slice_of_string(name), partitions, NULL, 0);
        rl_free(name);
    }
    image_sort();
}

/* ---- the controller ---- */

static void controller_take(struct rl_shard *from, struct rl_msg *msg,
                            void (*handle)(struct rl_shard *, struct rl_msg *))
{
    admin.calls++;
    msg->handle = handle;
    if (!admin.hold) {
        rl_shard_post(from, msg);
        return;
    }
    cr_assert_lt(admin.pending_count, ADMIN_PENDING_MAX);
    admin.pending[admin.pending_count++] = msg;
}

static void on_create(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_create_topic *call = RL_CONTAINER_OF(msg, struct rl_create_topic, msg);
    (void)shard;
    call->status = rl_image_find(&admin.image, call->name) != NULL ? RL_EEXIST : admin.outcome;
    snprintf(call->reason, sizeof call->reason, "%s", call->status != RL_OK ? admin.reason : "");
    admin.last_overrides[0] = '\0';
    for (uint32_t i = 0; i < call->override_count; i++) {
        size_t at = strlen(admin.last_overrides);
        snprintf(admin.last_overrides + at, sizeof admin.last_overrides - at, "%s%s=%s",
                 at > 0 ? " " : "", call->overrides[i].key, call->overrides[i].value);
    }
    if (call->status == RL_OK && !call->validate_only) {
        call->topic_id = image_add(call->name, call->partition_count, call->overrides,
                                   call->override_count)->id;
        image_sort();
    }
    admin.last_create = *call;
    call->done(call);
}

void rl_controller_create_topic(struct rl_shard *from, struct rl_create_topic *call)
{
    controller_take(from, &call->msg, on_create);
}

static void on_delete(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_delete_topic *call = RL_CONTAINER_OF(msg, struct rl_delete_topic, msg);
    const struct rl_topic *topic = call->name.data != NULL
        ? rl_image_find(&admin.image, call->name) : rl_image_find_id(&admin.image, call->topic_id);
    (void)shard;
    call->status = topic == NULL ? RL_ENOTFOUND : admin.outcome;
    if (call->status == RL_OK)
        image_remove(topic);
    call->done(call);
}

void rl_controller_delete_topic(struct rl_shard *from, struct rl_delete_topic *call)
{
    controller_take(from, &call->msg, on_delete);
}

/* Carried out but not kept: what becomes of it is the real controller's tests' affair. */
static void on_alter(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_alter *call = RL_CONTAINER_OF(msg, struct rl_alter, msg);
    const struct rl_topic *topic = rl_image_find(&admin.image, call->name);
    struct rl_topic_override *overrides = NULL;
    uint32_t count;
    (void)shard;
    call->reason[0] = '\0';
    call->status = call->target == RL_ALTER_TOPIC && topic == NULL ? RL_ENOTFOUND : admin.outcome;
    if (call->status == RL_OK && call->edit != NULL)
        call->status = call->edit(call->edit_arg, topic != NULL ? topic->overrides : NULL,
                                  topic != NULL ? topic->override_count : 0, &overrides, &count,
                                  call->reason, sizeof call->reason);
    rl_free(overrides);
    call->done(call);
}

void rl_controller_alter(struct rl_shard *from, struct rl_alter *call)
{
    controller_take(from, &call->msg, on_alter);
}

static void on_allocate(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_allocate_producer_id *call =
        RL_CONTAINER_OF(msg, struct rl_allocate_producer_id, msg);
    (void)shard;
    call->status = admin.outcome;
    call->producer_id = 1000 + (int64_t)admin.calls;
    call->done(call);
}

void rl_controller_allocate_producer_id(struct rl_shard *from, struct rl_allocate_producer_id *call)
{
    controller_take(from, &call->msg, on_allocate);
}

static void on_release(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)msg;
    for (uint32_t i = 0; i < admin.pending_count; i++)
        rl_shard_post(shard, admin.pending[i]);
    admin.pending_count = 0;
}

void admin_release(void)
{
    static struct rl_msg msg = { .handle = on_release };
    rl_shard_post_foreign(rl_shard_set_get(admin.set, 0), &msg);
    rl_mem_settle(admin.set);
}

/* ---- start and stop ---- */

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    (void)arg;
    shard->context[RL_CONTEXT_BROKER] = &admin.broker;
    admin.metadata.image = &admin.image;
    shard->context[RL_CONTEXT_METADATA] = &admin.metadata;
    return rl_net_start(shard, &(struct rl_net_options){
        .handler = rl_dispatch, .frame_bytes_max = 100u << 20, .request_bytes_max = 256u << 20,
        .arena_bytes_max = ARENA_BYTES_MAX, .requests_in_flight_max = 16, .connection_limits = RL_CONNECTION_LIMITS(100),
        .send_buffer_bytes = -1, .receive_buffer_bytes = -1, .backlog = 10 });
}

static void shard_finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_net_stop(shard);
}

static void on_listen(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)msg;
    cr_assert_eq(rl_net_listen(shard, 0, "127.0.0.1", ADMIN_PORT, &admin.broker.bound_ports[0]),
                 RL_OK);
}

void admin_start(const char *properties)
{
    static struct rl_msg listen_msg = { .handle = on_listen };
    memset(&admin, 0, sizeof admin);
    admin.reason = "because";
    admin.image.by_name = admin.by_name;
    admin.image.by_id = admin.by_id;
    rl_config_init(&admin.config, 2);
    cr_assert_eq(rl_config_load_text(&admin.config, "test", properties, strlen(properties)), RL_OK);
    cr_assert_eq(rl_config_set_pair(&admin.config, "node.id=7", "--set"), RL_OK);
    cr_assert_eq(rl_config_finish(&admin.config), RL_OK);
    admin.broker.config = &admin.config;
    admin.broker.node_id = ADMIN_NODE_ID;
    memcpy(admin.broker.cluster_id, "kyqTnjLvSteASnporu96eg", RL_UUID_TEXT_BYTES);
    rl_arena_init(&admin.arena, 65536, ARENA_BYTES_MAX);
    admin.mem = rl_mem_create(1);
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem,
                                            .disk = rl_mem_disk(admin.mem) };
    cr_assert_eq(rl_shard_set_create(&options, &admin.set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(admin.set, shard_start, NULL), RL_OK);
    rl_shard_post_foreign(rl_shard_set_get(admin.set, 0), &listen_msg);
    rl_mem_settle(admin.set);
    admin.client = rl_mem_connect(admin.mem, ADMIN_PORT);
    cr_assert_not_null(admin.client);
}

void admin_stop(void)
{
    rl_shard_set_stop(admin.set);
    rl_shard_set_join(admin.set, shard_finish, NULL);
    rl_shard_set_free(admin.set);
    rl_mem_free(admin.mem);
    rl_arena_done(&admin.arena);
    rl_config_done(&admin.config);
    for (uint32_t i = 0; i < admin.image.topic_count; i++)
        topic_free(admin.by_name[i]);
}

/* ---- requests ---- */

static void client_send(const uint8_t *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        size_t sent = rl_mem_client_send(admin.client, data + done, bytes - done);
        rl_mem_settle(admin.set);
        cr_assert(sent > 0);
        done += sent;
    }
}

void admin_send(int16_t key, int16_t version, const void *request)
{
    const struct rl_api_info *api = rl_api_find(key);
    struct rl_request_header header = {
        .request_api_key = key, .request_api_version = version,
        .correlation_id = ++admin.correlation_id, .client_id = rl_slice_of_string("test") };
    int16_t header_version = rl_request_header_version(key, version);
    int16_t known = RL_MIN(version, api->max_version);
    size_t bytes = rl_request_header_size(header_version, &header) +
                   api->request.size(known, request);
    uint8_t *frame = rl_alloc(4 + bytes);
    struct rl_writer writer = rl_wr_of(frame, 4 + bytes);
    rl_wr_i32(&writer, (int32_t)bytes);
    rl_request_header_encode(&writer, header_version, &header);
    api->request.encode(&writer, known, request);
    cr_assert_eq(rl_wr_done(&writer), RL_OK);
    client_send(frame, 4 + bytes);
    rl_free(frame);
}

static void client_receive(uint8_t *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        size_t got = rl_mem_client_receive(admin.client, to + done, bytes - done);
        cr_assert(got > 0, "the answer ends too early");
        done += got;
        rl_mem_settle(admin.set);
    }
}

void *admin_receive(int16_t key, int16_t version)
{
    const struct rl_api_info *api = rl_api_find(key);
    uint8_t prefix[4];
    rl_mem_settle(admin.set);
    if (rl_mem_client_readable(admin.client) == 0)
        return NULL;
    client_receive(prefix, sizeof prefix);
    size_t bytes = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
                   prefix[3];
    uint8_t *frame = rl_arena_alloc(&admin.arena, bytes);
    client_receive(frame, bytes);
    struct rl_reader reader = rl_rd_of(rl_slice_of(frame, bytes));
    struct rl_response_header header;
    cr_assert_eq(rl_response_header_decode(&reader, rl_response_header_version(key, version),
                                           &admin.arena, &header), RL_OK);
    cr_assert_eq(header.correlation_id, admin.correlation_id);
    void *answer = rl_arena_alloc(&admin.arena, api->response.struct_bytes);
    cr_assert_eq(api->response.decode(&reader, version, &admin.arena, answer), RL_OK);
    cr_assert_eq(rl_rd_remaining(&reader), 0);
    return answer;
}

void *admin_ask(int16_t key, int16_t version, const void *request)
{
    admin_send(key, version, request);
    void *answer = admin_receive(key, version);
    cr_assert_not_null(answer, "no answer");
    return answer;
}

bool admin_was_closed(void)
{
    rl_mem_settle(admin.set);
    if (!rl_mem_client_ended(admin.client))
        return false;
    rl_mem_client_close(admin.client);
    admin.client = rl_mem_connect(admin.mem, ADMIN_PORT);
    return true;
}

/* perf/memory_broker.c — the real broker on a kernel in memory.
 *
 * Started as broker/server.c does it: logs, connections and replicas on the shard, then the
 * controller, then the listener. */
#include "perf/memory_broker.h"
#include "broker/groups.h"
#include "broker/broker.h"
#include "broker/data_directory.h"
#include "broker/fetch_session.h"
#include "broker/settings.h"
#include "coordinate/coordinator.h"
#include "core/memory.h"
#include "io/loop.h"
#include "log/log.h"
#include "mem_backend.h"
#include "replicate/controller.h"
#include "replicate/replica_manager.h"
#include "wire/message_header.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_metadata.h"
#include <string.h>

#define PORT 9092
#define DATA_DIR "/data"
#define WINDOW_BYTES ((size_t)8 << 20)  /* a frame arrives without the client's help */
#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define TURNS_MAX 1000000

struct memory_visit {
    struct rl_msg msg;
    struct rl_memory_broker *broker;
};

struct rl_memory_broker {
    struct rl_mem *mem;
    struct rl_shard_set *set;
    struct rl_config config;
    struct rl_broker broker;
    struct rl_data_directory directory;
    struct rl_log_start log_start;
    struct rl_mem_client *client;
    struct rl_msg boot;
    bool ready;
    struct memory_visit visits[RL_SHARDS_MAX];
    uint32_t visits_out;
    uint8_t *answer;                    /* the last one, with its size prefix */
    size_t answer_bytes, answer_capacity;
};

/* ---- start, as broker/server.c ---- */

static bool no_owner(const char *path, uint32_t *ret_user_id)
{
    (void)path;
    (void)ret_user_id;
    return false;
}

static rl_status same_random(void *arg, void *data, size_t bytes)
{
    (void)arg;
    memset(data, 7, bytes);
    return RL_OK;
}

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    struct rl_memory_broker *b = arg;
    const struct rl_config *c = &b->config;
    shard->context[RL_CONTEXT_BROKER] = &b->broker;
    RL_ASSERT(rl_groups_start(shard, c) == RL_OK);
    RL_ASSERT(rl_log_manager_start(shard, &(struct rl_log_manager_options){
        .data_dir = DATA_DIR, .tail_bytes = (size_t)c->log_tail_bytes,
        .producer_id_expiration_ms = c->producer_id_expiration_ms, .open_files_max = 1000 }) == RL_OK);
    RL_ASSERT(rl_net_start(shard, &(struct rl_net_options){
        .handler = rl_dispatch, .frame_bytes_max = (size_t)c->socket_request_max_bytes,
        .request_bytes_max = SIZE_MAX, .arena_bytes_max = ARENA_BYTES_MAX, .requests_in_flight_max = 64,
        .connection_limits = RL_CONNECTION_LIMITS(100), .send_buffer_bytes = -1, .receive_buffer_bytes = -1, .backlog = 50 }) == RL_OK);
    rl_fetch_sessions_start(shard, (uint32_t)c->max_incremental_fetch_session_cache_slots);
    return rl_replica_manager_start(shard, &(struct rl_replica_manager_options){
        .data_dir = DATA_DIR, .log_start = b->log_start, .node_id = 1,
        .maintain_interval_ns = INT64_C(300000000000) });
}

static void shard_finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_net_stop(shard);
    rl_fetch_sessions_stop(shard);
    rl_coordinator_stop(shard);
    rl_log_manager_stop(shard);
}

static void on_controller_started(void *arg, rl_status status)
{
    struct rl_memory_broker *b = arg;
    RL_ASSERT(status == RL_OK);
    RL_ASSERT(rl_net_listen(rl_self, 0, "127.0.0.1", PORT, &b->broker.bound_ports[0]) == RL_OK);
    b->ready = true;
}

static void on_boot(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_memory_broker *b = RL_CONTAINER_OF(msg, struct rl_memory_broker, boot);
    rl_controller_start(shard, &(struct rl_controller_options){
        .metadata_url = "local:" DATA_DIR "/metadata", .resolve = rl_settings_resolve, .build = rl_settings_build,
        .free = rl_settings_free, .applied = rl_settings_applied, .arg = &b->broker },
        on_controller_started, b);
}

static void open_directory(struct rl_memory_broker *b)
{
    char message[RL_DATA_DIRECTORY_MESSAGE_BYTES];
    const struct rl_data_directory_options options = { .path = DATA_DIR, .node_id = 1, .owner = no_owner,
                                                       .random = same_random };
    struct rl_disk *disk = rl_mem_disk(b->mem);
    RL_ASSERT(rl_data_directory_open(disk, &options, &b->directory, message) == RL_OK);
    memcpy(b->broker.cluster_id, b->directory.cluster_id, sizeof b->broker.cluster_id);
    RL_ASSERT(rl_log_directory_start(disk, DATA_DIR, &b->log_start) == RL_OK);
}

struct rl_memory_broker *rl_memory_broker_create(uint32_t shard_count)
{
    struct rl_memory_broker *b = rl_alloc_zero(1, sizeof *b);
    rl_config_init(&b->config, 2);
    RL_ASSERT(rl_config_set(&b->config, "log.dirs", DATA_DIR, "perf") == RL_OK);
    RL_ASSERT(rl_config_set(&b->config, "ringlog.acks.all.sync", "false", "perf") == RL_OK);
    RL_ASSERT(rl_config_finish(&b->config) == RL_OK);
    b->broker.config = &b->config;
    b->broker.node_id = 1;
    b->mem = rl_mem_create(1);
    rl_mem_set_window(b->mem, WINDOW_BYTES);
    open_directory(b);
    struct rl_shard_set_options options = { .shard_count = shard_count, .backend = &rl_backend_mem,
                                            .disk = rl_mem_disk(b->mem) };
    RL_ASSERT(rl_shard_set_create(&options, &b->set) == RL_OK);
    b->broker.shards = b->set;
    RL_ASSERT(rl_shard_set_start_stepped(b->set, shard_start, b) == RL_OK);
    b->boot.handle = on_boot;
    rl_shard_post_foreign(rl_shard_set_get(b->set, 0), &b->boot);
    rl_mem_settle(b->set);
    RL_ASSERT(b->ready);
    b->client = rl_mem_connect(b->mem, PORT);
    RL_ASSERT(b->client != NULL);
    rl_mem_settle(b->set);
    return b;
}

/* ---- stop, as broker/server.c: only so that leaks show ---- */

/* Run on every shard. */
static void visit_all(struct rl_memory_broker *b, void (*handle)(struct rl_shard *, struct rl_msg *))
{
    uint32_t count = rl_shard_set_count(b->set);
    b->visits_out = count;
    for (uint32_t i = 0; i < count; i++) {
        b->visits[i] = (struct memory_visit){ .msg = { .handle = handle }, .broker = b };
        rl_shard_post_foreign(rl_shard_set_get(b->set, i), &b->visits[i].msg);
    }
}

static void on_replicas_stopped(void *arg)
{
    ((struct memory_visit *)arg)->broker->visits_out--;
}

static void visit_close_logs(struct rl_shard *shard, struct rl_msg *msg)
{
    rl_replica_manager_stop(shard, on_replicas_stopped, RL_CONTAINER_OF(msg, struct memory_visit, msg));
}

static void on_controller_stopped(void *arg)
{
    visit_all(arg, visit_close_logs);
}

static void on_drained(void *arg)
{
    struct rl_memory_broker *b = ((struct memory_visit *)arg)->broker;
    b->visits_out--;
}

static void visit_drain(struct rl_shard *shard, struct rl_msg *msg)
{
    if (shard->index == 0)
        rl_net_stop_listening(shard);
    rl_net_drain(shard, 0, on_drained, RL_CONTAINER_OF(msg, struct memory_visit, msg));
}

static void on_stop_controller(struct rl_shard *shard, struct rl_msg *msg)
{
    rl_controller_stop(shard, on_controller_stopped, RL_CONTAINER_OF(msg, struct rl_memory_broker, boot));
}

void rl_memory_broker_free(struct rl_memory_broker *b)
{
    rl_mem_client_close(b->client);
    visit_all(b, visit_drain);
    rl_mem_settle(b->set);
    RL_ASSERT(b->visits_out == 0);
    b->boot.handle = on_stop_controller;
    rl_shard_post_foreign(rl_shard_set_get(b->set, 0), &b->boot);
    rl_mem_settle(b->set);
    RL_ASSERT(b->visits_out == 0);
    rl_shard_set_stop(b->set);
    rl_shard_set_join(b->set, shard_finish, NULL);
    rl_shard_set_free(b->set);
    rl_data_directory_close(rl_mem_disk(b->mem), &b->directory);
    rl_mem_free(b->mem);
    rl_config_done(&b->config);
    rl_free(b->answer);
    rl_free(b);
}

uint64_t rl_memory_broker_messages(const struct rl_memory_broker *b)
{
    uint64_t messages = 0;
    for (uint32_t i = 0; i < b->set->count * b->set->count; i++)
        messages += b->set->mailboxes[i].tail_next;     /* none has wrapped: a few thousand */
    return messages;
}

/* ---- requests ---- */

struct rl_slice rl_memory_broker_frame(int16_t api_key, int16_t version, const void *request)
{
    const struct rl_api_info *api = rl_api_find(api_key);
    struct rl_request_header header = { .request_api_key = api_key, .request_api_version = version,
                                        .correlation_id = 1, .client_id = rl_slice_of_string("perf") };
    int16_t header_version = rl_request_header_version(api_key, version);
    size_t bytes = rl_request_header_size(header_version, &header) + api->request.size(version, request);
    uint8_t *frame = rl_alloc(4 + bytes);
    struct rl_writer w = rl_wr_of(frame, 4 + bytes);
    rl_wr_i32(&w, (int32_t)bytes);
    rl_request_header_encode(&w, header_version, &header);
    api->request.encode(&w, version, request);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == 4 + bytes);
    return rl_slice_of(frame, 4 + bytes);
}

static void step_all(struct rl_memory_broker *b)
{
    for (uint32_t i = 0; i < rl_shard_set_count(b->set); i++)
        rl_shard_step(rl_shard_set_get(b->set, i));
}

/* Append what has arrived to the answer. */
static void take_answer(struct rl_memory_broker *b)
{
    size_t ready = rl_mem_client_readable(b->client);
    if (ready == 0)
        return;
    if (b->answer_capacity < b->answer_bytes + ready) {
        b->answer_capacity = 2 * (b->answer_bytes + ready);
        b->answer = rl_realloc(b->answer, b->answer_capacity);
    }
    b->answer_bytes += rl_mem_client_receive(b->client, b->answer + b->answer_bytes, ready);
}

static size_t answer_bytes_whole(const struct rl_memory_broker *b)
{
    if (b->answer_bytes < 4)
        return 4;
    return 4 + ((size_t)b->answer[0] << 24 | (size_t)b->answer[1] << 16 | (size_t)b->answer[2] << 8 |
                b->answer[3]);
}

struct rl_slice rl_memory_broker_call(struct rl_memory_broker *b, struct rl_slice frame)
{
    size_t sent = 0;
    b->answer_bytes = 0;
    for (uint32_t turn = 0; b->answer_bytes < answer_bytes_whole(b); turn++) {
        RL_ASSERT(turn < TURNS_MAX);
        if (sent < frame.bytes)
            sent += rl_mem_client_send(b->client, frame.data + sent, frame.bytes - sent);
        step_all(b);
        take_answer(b);
    }
    rl_mem_settle(b->set);              /* what the request left behind is part of it */
    return rl_slice_of(b->answer + 4, b->answer_bytes - 4);
}

void rl_memory_broker_run(struct rl_memory_broker *b, struct rl_slice frame)
{
    for (size_t sent = 0; sent < frame.bytes; step_all(b))
        sent += rl_mem_client_send(b->client, frame.data + sent, frame.bytes - sent);
    rl_mem_settle(b->set);
    take_answer(b);
}

void rl_memory_broker_create_topic(struct rl_memory_broker *b, const char *name, int32_t partitions)
{
    struct rl_create_topics_request_topic topic;
    rl_create_topics_request_topic_init(&topic);
    topic.name = rl_slice_of_string(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    struct rl_create_topics_request request;
    rl_create_topics_request_init(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = 1000;
    struct rl_slice frame = rl_memory_broker_frame(RL_API_CREATE_TOPICS, 4, &request);
    struct rl_slice answer = rl_memory_broker_call(b, frame);
    /* correlation id, throttle time, array of one: name, error code */
    size_t at = 4 + 4 + 4 + 2 + strlen(name);
    RL_ASSERT(answer.bytes >= at + 2 && answer.data[at] == 0 && answer.data[at + 1] == 0);
    rl_free((void *)(uintptr_t)frame.data);
}

struct rl_uuid rl_memory_broker_topic_id(struct rl_memory_broker *b, const char *name)
{
    struct rl_slice frame = rl_memory_metadata_frame(12, name);
    struct rl_slice answer = rl_memory_broker_call(b, frame);
    struct rl_reader r = rl_rd_of(answer);
    struct rl_response_header header;
    struct rl_metadata_response response;
    struct rl_arena arena;
    rl_arena_init(&arena, 65536, ARENA_BYTES_MAX);
    RL_ASSERT(rl_response_header_decode(&r, 1, &arena, &header) == RL_OK);
    RL_ASSERT(rl_metadata_response_decode(&r, 12, &arena, &response) == RL_OK);
    RL_ASSERT(response.topics_count == 1 && response.topics[0].error_code == 0);
    struct rl_uuid id = response.topics[0].topic_id;
    rl_arena_done(&arena);
    rl_free((void *)(uintptr_t)frame.data);
    return id;
}

/* tests/broker/protocol/protocol_calls.c — the calls that most protocol tests make. */
#include "protocol_calls.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_delete_topics.h"
#include "wire/msg_metadata.h"
#include <criterion/criterion.h>
#include <stdlib.h>

#define CONFIGS_MAX 8
#define LEADER_PATIENCE_MS 10000

/* ---- topics ---- */

static uint32_t configs_split(const char *const *from, struct rl_create_topics_request_config *to)
{
    uint32_t count = 0;
    for (; from != NULL && from[count] != NULL; count++) {
        const char *equals = strchr(from[count], '=');
        cr_assert(count < CONFIGS_MAX && equals != NULL);
        to[count].name = rl_slice_of(from[count], (size_t)(equals - from[count]));
        to[count].value = rl_slice_of_string(equals + 1);
    }
    return count;
}

static bool topic_has_leaders(struct client *c, const struct topic *topic)
{
    struct rl_metadata_request_topic name = { .name = rl_slice_of_string(topic->name) };
    struct rl_metadata_request ask;
    rl_metadata_request_init(&ask);
    ask.topics = &name;
    ask.topics_count = 1;
    ask.allow_auto_topic_creation = false;
    const struct rl_metadata_response *reply = client_call(c, RL_API_METADATA, 9, &ask);
    if (reply->topics[0].error_code != 0)
        return false;
    for (int32_t i = 0; i < reply->topics[0].partitions_count; i++)
        if (reply->topics[0].partitions[i].error_code != 0)
            return false;
    return true;
}

void topic_create(struct client *c, struct topic *topic, const char *name, int32_t partitions,
                  const char *const *configs)
{
    struct rl_create_topics_request_config config[CONFIGS_MAX];
    struct rl_create_topics_request_topic one;
    struct rl_create_topics_request ask;
    rl_create_topics_request_topic_init(&one);
    rl_create_topics_request_init(&ask);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    if (getenv("RL_TEST_REFERENCE_PORT") != NULL)       /* names that nobody used before */
        snprintf(topic->name, sizeof topic->name, "%s-%lld", name, (long long)wall_ms());
    one.name = rl_slice_of_string(topic->name);
    one.num_partitions = partitions;
    one.replication_factor = 1;
    one.configs = config;
    one.configs_count = (int32_t)configs_split(configs, config);
    ask.topics = &one;
    ask.topics_count = 1;
    ask.timeout_ms = 10000;
    const struct rl_create_topics_response *reply = client_call(c, RL_API_CREATE_TOPICS, 7, &ask);
    cr_assert_eq(reply->topics_count, 1);
    cr_assert_eq(reply->topics[0].error_code, 0, "create %s: error %d %.*s", name,
                 reply->topics[0].error_code, (int)reply->topics[0].error_message.bytes,
                 (const char *)reply->topics[0].error_message.data);
    topic->id = reply->topics[0].topic_id;
    int64_t give_up_ms = now_ms() + LEADER_PATIENCE_MS;
    while (!topic_has_leaders(c, topic))
        cr_assert_lt(now_ms(), give_up_ms, "topic %s has no leaders", name);
}

int16_t topic_delete(struct client *c, const char *name)
{
    struct rl_slice names = rl_slice_of_string(name);
    struct rl_delete_topics_request ask;
    rl_delete_topics_request_init(&ask);
    ask.topic_names = &names;
    ask.topic_names_count = 1;
    ask.timeout_ms = 10000;
    const struct rl_delete_topics_response *reply = client_call(c, RL_API_DELETE_TOPICS, 5, &ask);
    cr_assert_eq(reply->responses_count, 1);
    return reply->responses[0].error_code;
}

/* ---- batches ---- */

void put_be16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void put_be32(uint8_t *at, uint32_t value)
{
    put_be16(at, (uint16_t)(value >> 16));
    put_be16(at + 2, (uint16_t)value);
}

void put_be64(uint8_t *at, uint64_t value)
{
    put_be32(at, (uint32_t)(value >> 32));
    put_be32(at + 4, (uint32_t)value);
}

struct blob batch_of(const struct batch_spec *spec)
{
    struct blob batch;
    batch.bytes = build_batch(spec, &batch.size);
    return batch;
}

struct blob batch_small(uint64_t seed)
{
    return batch_of(&(struct batch_spec){ .records = 3, .value_bytes = 40, .seed = seed,
                                          .base_timestamp_ms = wall_ms(), .timestamp_step_ms = 1 });
}

void batch_seal(struct blob batch)
{
    put_be32(batch.bytes + BATCH_AT_CRC,
             rl_crc32c(0, batch.bytes + BATCH_AT_ATTRIBUTES, batch.size - BATCH_AT_ATTRIBUTES));
}

bool batch_same(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    return memcmp(a + BATCH_AT_LENGTH, b + BATCH_AT_LENGTH, 4) == 0 &&
           memcmp(a + BATCH_AT_MAGIC, b + BATCH_AT_MAGIC, bytes - BATCH_AT_MAGIC) == 0;
}

/* ---- produce ---- */

void produce_send(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
                  int16_t acks, struct rl_slice records)
{
    struct rl_produce_request_partition part = { .index = partition, .records = records };
    struct rl_produce_request_topic one = { .name = rl_slice_of_string(topic->name),
                                            .topic_id = topic->id, .partition_data = &part,
                                            .partition_data_count = 1 };
    struct rl_produce_request ask = { .acks = acks, .timeout_ms = 20000, .topic_data = &one,
                                      .topic_data_count = 1 };
    if (acks == 0)
        client_send_silent(c, RL_API_PRODUCE, version, &ask);
    else
        client_send(c, RL_API_PRODUCE, version, &ask);
}

const struct rl_produce_response_partition *produce_receive(struct client *c)
{
    const struct rl_produce_response *reply = client_receive(c);
    cr_assert_eq(reply->responses_count, 1);
    cr_assert_eq(reply->responses[0].partition_responses_count, 1);
    return &reply->responses[0].partition_responses[0];
}

const struct rl_produce_response_partition *
produce(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
        int16_t acks, struct blob batch)
{
    produce_send(c, version, topic, partition, acks, rl_slice_of(batch.bytes, batch.size));
    const struct rl_produce_response_partition *answer = produce_receive(c);
    cr_assert_eq(answer->index, partition);
    return answer;
}

int64_t produce_ok(struct client *c, const struct topic *topic, int32_t partition, struct blob batch)
{
    const struct rl_produce_response_partition *answer =
        produce(c, PRODUCE_MAX, topic, partition, 1, batch);
    cr_assert_eq(answer->error_code, 0, "produce to %s-%d: error %d", topic->name, partition,
                 answer->error_code);
    return answer->base_offset;
}

/* ---- fetch ---- */

static int32_t or_default(int32_t value, int32_t otherwise)
{
    return value == 0 ? otherwise : RL_MAX(value, 0);
}

void fetch_send(struct client *c, int16_t version, const struct fetch_ask *ask)
{
    struct rl_fetch_request_partition parts[8];
    struct rl_fetch_request_topic topics[8];
    struct rl_fetch_request request;
    uint32_t count = ask->count == 0 ? 1 : ask->count;
    rl_fetch_request_init(&request);
    for (uint32_t i = 0; i < count; i++) {
        const struct fetch_from *from = &ask->from[i];
        rl_fetch_request_partition_init(&parts[i]);
        rl_fetch_request_topic_init(&topics[i]);
        parts[i].partition = from->partition;
        parts[i].fetch_offset = from->offset;
        parts[i].partition_max_bytes = or_default(from->max_bytes, 1 << 20);
        parts[i].current_leader_epoch = from->leader_epoch - 1;
        topics[i].topic = rl_slice_of_string(from->topic->name);
        topics[i].topic_id = from->topic->id;
        topics[i].partitions = &parts[i];
        topics[i].partitions_count = 1;
    }
    request.max_wait_ms = ask->max_wait_ms;
    request.min_bytes = ask->min_bytes;
    request.max_bytes = or_default(ask->max_bytes, 50 << 20);
    request.isolation_level = ask->isolation_level;
    request.topics = topics;
    request.topics_count = (int32_t)count;
    client_send(c, RL_API_FETCH, version, &request);
}

const struct rl_fetch_response *fetch(struct client *c, int16_t version, const struct fetch_ask *ask)
{
    fetch_send(c, version, ask);
    const struct rl_fetch_response *reply = client_receive(c);
    cr_assert_eq(reply->error_code, 0, "fetch: error %d", reply->error_code);
    cr_assert_eq(reply->session_id, 0);
    cr_assert_not_null(fetch_part(reply, RL_MAX(ask->count, 1) - 1));
    cr_assert_null(fetch_part(reply, RL_MAX(ask->count, 1)));
    return reply;
}

const struct rl_fetch_response_partition *fetch_part(const struct rl_fetch_response *reply, uint32_t index)
{
    for (int32_t t = 0; t < reply->responses_count; t++) {
        uint32_t count = (uint32_t)reply->responses[t].partitions_count;
        if (index < count)
            return &reply->responses[t].partitions[index];
        index -= count;
    }
    return NULL;
}

const struct rl_fetch_response_partition *fetch_one(struct client *c, int16_t version,
                                                    const struct topic *topic, int32_t partition,
                                                    int64_t offset)
{
    const struct rl_fetch_response *reply = fetch(c, version, &(struct fetch_ask){
        .from = { { .topic = topic, .partition = partition, .offset = offset } } });
    cr_assert_eq(fetch_part(reply, 0)->partition_index, partition);
    return fetch_part(reply, 0);
}

/* Where a run of whole batches that begins with the batch of `offset` ends. */
static int64_t batches_end(struct rl_slice records, int64_t offset)
{
    for (size_t at = 0; at < records.bytes;) {
        struct rl_batch batch;
        rl_status status = rl_batch_read_header((uint8_t *)(uintptr_t)records.data + at,
                                                records.bytes - at, &batch);
        cr_assert_eq(status, RL_OK, "batch at byte %zu of %zu: %s", at, records.bytes,
                     rl_status_text(status));
        cr_assert_eq(rl_batch_check(&batch), RL_OK);
        cr_assert(at == 0 ? batch.base_offset <= offset : batch.base_offset == offset,
                  "base offset %lld, expected %lld", (long long)batch.base_offset, (long long)offset);
        offset = rl_batch_last_offset(&batch) + 1;
        at += batch.size_bytes;
    }
    return offset;
}

struct blob fetch_all(struct client *c, const struct topic *topic, int32_t partition, int64_t offset)
{
    struct blob all = { 0 };
    for (;;) {
        const struct rl_fetch_response_partition *part =
            fetch_one(c, FETCH_MAX, topic, partition, offset);
        cr_assert_eq(part->error_code, 0, "fetch from %s-%d at %lld: error %d", topic->name,
                     partition, (long long)offset, part->error_code);
        if (part->records.bytes == 0) {
            cr_assert_eq(offset, part->high_watermark);
            return all;
        }
        int64_t end = batches_end(part->records, offset);
        cr_assert_gt(end, offset);
        offset = end;
        all.bytes = realloc(all.bytes, all.size + part->records.bytes);
        memcpy(all.bytes + all.size, part->records.data, part->records.bytes);
        all.size += part->records.bytes;
    }
}

/* ---- offsets ---- */

const struct rl_list_offsets_response_partition *
list_offsets(struct client *c, int16_t version, const struct topic *topic, int32_t partition,
             int64_t timestamp_ms)
{
    struct rl_list_offsets_request_partition part;
    struct rl_list_offsets_request_topic one;
    struct rl_list_offsets_request ask;
    rl_list_offsets_request_partition_init(&part);
    rl_list_offsets_request_topic_init(&one);
    rl_list_offsets_request_init(&ask);
    part.partition_index = partition;
    part.timestamp = timestamp_ms;
    one.name = rl_slice_of_string(topic->name);
    one.partitions = &part;
    one.partitions_count = 1;
    ask.replica_id = -1;
    ask.topics = &one;
    ask.topics_count = 1;
    const struct rl_list_offsets_response *reply = client_call(c, RL_API_LIST_OFFSETS, version, &ask);
    cr_assert_eq(reply->topics_count, 1);
    cr_assert_eq(reply->topics[0].partitions_count, 1);
    cr_assert_eq(reply->topics[0].partitions[0].partition_index, partition);
    return &reply->topics[0].partitions[0];
}

int64_t log_end(struct client *c, const struct topic *topic, int32_t partition)
{
    const struct rl_list_offsets_response_partition *part =
        list_offsets(c, LIST_OFFSETS_MAX, topic, partition, -1);
    cr_assert_eq(part->error_code, 0);
    return part->offset;
}

/* tests/broker/protocol/test_protocol_produce.c — Produce: what is taken, what is refused, and how. */
#include "core/memory.h"
#include "log/batch.h"
#include "protocol_calls.h"
#include "wire/msg_api_versions.h"
#include <criterion/criterion.h>
#include <stdlib.h>

/* ---- what is taken ---- */

static void expect_stored(const struct rl_fetch_response_partition *part, struct blob batch, int64_t base_offset)
{
    cr_assert_eq(part->error_code, 0);
    cr_assert_eq(part->records.bytes, batch.size);
    cr_assert(batch_same(part->records.data, batch.bytes, batch.size));
    struct rl_batch stored;
    cr_assert_eq(rl_batch_read_header((uint8_t *)(uintptr_t)part->records.data, part->records.bytes,
                                      &stored), RL_OK);
    cr_assert_eq(stored.base_offset, base_offset);
    cr_assert_eq(stored.partition_leader_epoch, 0);
}

PROTOCOL_TEST(produce, each_version_and_acks)
{
    struct client *c = client_open(b);
    struct topic t;
    int64_t offset = 0;
    topic_create(c, &t, "each-version", 1, NULL);
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++)
        for (int16_t acks = -1; acks <= 1; acks++) {
            struct blob batch = batch_small((uint64_t)offset);
            if (acks == 0) {
                produce_send(c, version, &t, 0, 0, rl_slice_of(batch.bytes, batch.size));
            } else {
                const struct rl_produce_response_partition *answer = produce(c, version, &t, 0, acks, batch);
                cr_assert_eq(answer->error_code, 0);
                cr_assert_eq(answer->base_offset, offset, "version %d acks %d: base offset %lld, not %lld",
                             version, acks, (long long)answer->base_offset, (long long)offset);
                cr_assert_eq(answer->log_append_time_ms, -1);
                cr_assert_eq(answer->log_start_offset, version >= 5 ? 0 : -1);
                cr_assert_eq(answer->record_errors_count, 0);
                cr_assert_null(answer->error_message.data);
                cr_assert_eq(answer->current_leader.leader_id, -1);
                expect_stored(fetch_one(c, FETCH_MAX, &t, 0, offset), batch, offset);
            }
            offset += 3;
            rl_free(batch.bytes);
        }
    client_close(c);
}

PROTOCOL_TEST(produce, each_codec_and_size)
{
    struct client *c = client_open(b);
    struct topic t;
    int64_t offset = 0;
    topic_create(c, &t, "codecs", 1, (const char *const[]){ "max.message.bytes=20000000", NULL });
    for (int codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++)
        for (size_t value_bytes = 0; value_bytes <= 10000000; value_bytes = value_bytes * 30 + 7) {
            struct blob batch = batch_of(&(struct batch_spec){ .value_bytes = value_bytes, .codec = codec,
                                                               .records = 1, .seed = value_bytes });
            cr_assert_eq(produce_ok(c, &t, 0, batch), offset);
            expect_stored(fetch_one(c, FETCH_MAX, &t, 0, offset), batch, offset);
            rl_free(batch.bytes);
            offset++;
        }
    client_close(c);
}

PROTOCOL_TEST(produce, log_append_time)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "append-time", 1,
                 (const char *const[]){ "message.timestamp.type=LogAppendTime", NULL });
    struct blob batch = batch_of(&(struct batch_spec){ .records = 2, .value_bytes = 10, .producer_id = 7,
                                                       .base_timestamp_ms = 5, .timestamp_step_ms = 1 });
    int64_t before_ms = wall_ms(), first_ms = 0;
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++) {
        /* The first is appended, the others are its duplicates and tell its time. */
        const struct rl_produce_response_partition *answer = produce(c, version, &t, 0, 1, batch);
        cr_assert_eq(answer->error_code, 0);
        cr_assert_eq(answer->base_offset, 0);
        if (version == PRODUCE_MIN)
            first_ms = answer->log_append_time_ms;
        cr_assert_eq(answer->log_append_time_ms, first_ms);
    }
    cr_assert(before_ms - 50 <= first_ms && first_ms <= wall_ms() + 50);
    const struct rl_fetch_response_partition *part = fetch_one(c, FETCH_MAX, &t, 0, 0);
    struct rl_batch stored;
    cr_assert_eq(part->records.bytes, batch.size);
    cr_assert_eq(rl_batch_read_header((uint8_t *)(uintptr_t)part->records.data, batch.size, &stored), RL_OK);
    cr_assert_eq(rl_batch_check(&stored), RL_OK);
    cr_assert(rl_batch_is_log_append_time(&stored));
    cr_assert_eq(stored.max_timestamp_ms, first_ms);
    cr_assert_eq(stored.base_timestamp_ms, 5);
    rl_free(batch.bytes);
    client_close(c);
}

/* ---- what is refused ---- */

enum spoil {
    SPOIL_NULL, SPOIL_EMPTY, SPOIL_TWO_BATCHES, SPOIL_CRC, SPOIL_COUNT_HIGH, SPOIL_COUNT_LOW,
    SPOIL_COUNT_0, SPOIL_COUNT_NEGATIVE, SPOIL_DELTA, SPOIL_MAGIC_0, SPOIL_MAGIC_1, SPOIL_MAGIC_3,
    SPOIL_LENGTH_SHORT, SPOIL_LENGTH_TINY, SPOIL_LENGTH_NEGATIVE, SPOIL_CUT, SPOIL_CUT_HEADER,
    SPOIL_ONE_BYTE, SPOIL_TOO_LARGE, SPOIL_TRANSACTIONAL, SPOIL_CONTROL, SPOIL_BASE_OFFSET,
    SPOIL_CODEC_5, SPOIL_CODEC_7, SPOIL_FUTURE, SPOIL_FUTURE_FIRST, SPOIL_SEQUENCE, SPOIL_COUNT
};
struct spoiled {
    const char *name;
    int16_t error;
};
static const struct spoiled spoiled[SPOIL_COUNT] = {
    [SPOIL_NULL] = { "null records", 87 },
    [SPOIL_EMPTY] = { "empty records", 87 },
    [SPOIL_TWO_BATCHES] = { "two batches", 87 },
    [SPOIL_CRC] = { "wrong CRC", 2 },
    [SPOIL_COUNT_HIGH] = { "count too high", 87 },
    [SPOIL_COUNT_LOW] = { "count too low", 87 },
    [SPOIL_COUNT_0] = { "count 0", 87 },
    [SPOIL_COUNT_NEGATIVE] = { "count -1", 87 },
    [SPOIL_DELTA] = { "last offset delta", 87 },
    [SPOIL_MAGIC_0] = { "magic 0", 87 },
    [SPOIL_MAGIC_1] = { "magic 1", 87 },
    [SPOIL_MAGIC_3] = { "magic 3", 2 },
    [SPOIL_LENGTH_SHORT] = { "length one short", 2 },
    [SPOIL_LENGTH_TINY] = { "length 5", 2 },
    [SPOIL_LENGTH_NEGATIVE] = { "length -1", 2 },
    [SPOIL_CUT] = { "last byte missing", 87 },
    [SPOIL_CUT_HEADER] = { "half a header", 87 },
    [SPOIL_ONE_BYTE] = { "one byte", 87 },
    [SPOIL_TOO_LARGE] = { "too large", 10 },
    [SPOIL_TRANSACTIONAL] = { "transactional", 53 },
    [SPOIL_CONTROL] = { "control", 87 },
    [SPOIL_BASE_OFFSET] = { "a base offset", 87 },
    [SPOIL_CODEC_5] = { "codec 5", 76 },
    [SPOIL_CODEC_7] = { "codec 7", 76 },
    [SPOIL_FUTURE] = { "future", 32 },
    [SPOIL_FUTURE_FIRST] = { "future of one record", 32 },
    [SPOIL_SEQUENCE] = { "producer id without sequence", 87 },
};

static struct blob spoil_attributes(struct blob batch, uint16_t attributes)
{
    put_be16(batch.bytes + BATCH_AT_ATTRIBUTES, attributes);
    batch_seal(batch);
    return batch;
}

static struct blob spoil_count(struct blob batch, int32_t count)
{
    put_be32(batch.bytes + BATCH_AT_COUNT, (uint32_t)count);
    batch_seal(batch);
    return batch;
}

static struct blob spoil_length(struct blob batch, int32_t length)
{
    put_be32(batch.bytes + BATCH_AT_LENGTH, (uint32_t)length);
    return batch;
}

static struct blob spoil_twice(struct blob batch)
{
    struct blob two = { rl_alloc(batch.size * 2), batch.size * 2 };
    memcpy(two.bytes, batch.bytes, batch.size);
    memcpy(two.bytes + batch.size, batch.bytes, batch.size);
    rl_free(batch.bytes);
    return two;
}

/* A batch that is wrong in one way. */
static struct blob spoil(enum spoil how)
{
    struct blob batch;
    switch (how) {
    case SPOIL_TOO_LARGE:
        return batch_of(&(struct batch_spec){ .value_bytes = 2 << 20 });
    case SPOIL_FUTURE:
        return batch_of(&(struct batch_spec){ .base_timestamp_ms = wall_ms() + 3700000 });
    case SPOIL_FUTURE_FIRST:
        return batch_of(&(struct batch_spec){
            .records = 2, .timestamps_ms = (const int64_t[]){ wall_ms() + 3700000, 5 } });
    default:
        batch = batch_small(1);
    }
    switch (how) {
    case SPOIL_NULL:
    case SPOIL_EMPTY:           batch.size = 0; break;
    case SPOIL_TWO_BATCHES:     return spoil_twice(batch);
    case SPOIL_CRC:             batch.bytes[batch.size - 1] ^= 1; break;
    case SPOIL_COUNT_HIGH:      return spoil_count(batch, 4);
    case SPOIL_COUNT_LOW:       return spoil_count(batch, 2);
    case SPOIL_COUNT_0:         return spoil_count(batch, 0);
    case SPOIL_COUNT_NEGATIVE:  return spoil_count(batch, -1);
    case SPOIL_DELTA:
        put_be32(batch.bytes + BATCH_AT_LAST_DELTA, 7);
        batch_seal(batch);
        break;
    case SPOIL_MAGIC_0:         batch.bytes[BATCH_AT_MAGIC] = 0; break;
    case SPOIL_MAGIC_1:         batch.bytes[BATCH_AT_MAGIC] = 1; break;
    case SPOIL_MAGIC_3:         batch.bytes[BATCH_AT_MAGIC] = 3; break;
    case SPOIL_LENGTH_SHORT:    return spoil_length(batch, (int32_t)batch.size - 13);
    case SPOIL_LENGTH_TINY:     return spoil_length(batch, 5);
    case SPOIL_LENGTH_NEGATIVE: return spoil_length(batch, -1);
    case SPOIL_CUT:             batch.size--; break;
    case SPOIL_CUT_HEADER:      batch.size = 30; break;
    case SPOIL_ONE_BYTE:        batch.size = 1; break;
    case SPOIL_TRANSACTIONAL:   return spoil_attributes(batch, 16);
    case SPOIL_CONTROL:         return spoil_attributes(batch, 32);
    case SPOIL_BASE_OFFSET:     put_be64(batch.bytes, 7); break;
    case SPOIL_CODEC_5:         return spoil_attributes(batch, 5);
    case SPOIL_CODEC_7:         return spoil_attributes(batch, 7);
    case SPOIL_SEQUENCE:
        put_be64(batch.bytes + BATCH_AT_PRODUCER_ID, 4);
        batch_seal(batch);
        break;
    default:
        break;
    }
    return batch;
}

static struct rl_slice spoiled_slice(enum spoil how, struct blob batch)
{
    return how == SPOIL_NULL ? (struct rl_slice){ 0 } : rl_slice_of(batch.bytes, batch.size);
}

/* Every wrong batch in the oldest and the newest version; the connection stays usable and
 * nothing is appended. */
PROTOCOL_TEST(produce, wrong_batches)
{
    static const int16_t versions[] = { 3, 7, 9, 13 };
    struct client *c = client_open(b);
    struct topic t;
    int wrong = 0;
    topic_create(c, &t, "wrong", 1, NULL);
    for (int how = 0; how < SPOIL_COUNT; how++)
        for (size_t v = 0; v < RL_ARRAY_COUNT(versions); v++)
            for (int16_t acks = -1; acks <= 1; acks += 2) {
                struct blob batch = spoil(how);
                produce_send(c, versions[v], &t, 0, acks, spoiled_slice(how, batch));
                const struct rl_produce_response_partition *answer = produce_receive(c);
                if (answer->error_code != spoiled[how].error) {
                    wrong++;
                    cr_log_error("%s, version %d: error %d, expected %d (%.*s)", spoiled[how].name,
                                 versions[v], answer->error_code, spoiled[how].error,
                                 (int)answer->error_message.bytes,
                                 (const char *)answer->error_message.data);
                }
                cr_expect_eq(answer->base_offset, -1);
                cr_expect_eq(answer->log_append_time_ms, -1);
                cr_expect_leq(answer->log_start_offset, 0);     /* 0 where the log refused it */
                rl_free(batch.bytes);
            }
    cr_assert_eq(wrong, 0);
    cr_assert_eq(log_end(c, &t, 0), 0);
    client_close(c);
}

/* Who could write there could tell a group that it has read what it has not. */
PROTOCOL_TEST(produce, internal_topics_are_refused)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "__consumer_offsets", 1, NULL);
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++) {
        struct blob batch = batch_small(1);
        cr_assert_eq(produce(c, version, &t, 0, -1, batch)->error_code, 17);
        rl_free(batch.bytes);
    }
    cr_assert_eq(log_end(c, &t, 0), 0);
    client_close(c);
}

/* The time of the append is the topic's to choose: a producer's bit is taken away. */
PROTOCOL_TEST(produce, log_append_time_from_the_producer)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "own-time", 1, NULL);
    struct blob batch = spoil_attributes(batch_small(1), 8);
    cr_assert_eq(produce(c, 8, &t, 0, -1, batch)->error_code, 0);
    const struct rl_fetch_response_partition *part = fetch_one(c, FETCH_MAX, &t, 0, 0);
    struct rl_batch stored;
    cr_assert_eq(rl_batch_read_header((uint8_t *)(uintptr_t)part->records.data, batch.size, &stored), RL_OK);
    cr_assert_eq(rl_batch_check(&stored), RL_OK);
    cr_assert_not(rl_batch_is_log_append_time(&stored));
    rl_free(batch.bytes);
    client_close(c);
}

/* ---- topics whose batches are opened ---- */

/* Frames of one batch of zstd that says "block of 128 KiB of zeros" so many times. */
static struct blob zstd_bomb(size_t blocks)
{
    static const uint8_t head[6] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38 };       /* window of 128 KiB */
    struct blob small = batch_small(1);
    struct blob batch = { rl_alloc(RL_BATCH_HEADER_BYTES + sizeof head + blocks * 4),
                          RL_BATCH_HEADER_BYTES + sizeof head + blocks * 4 };
    memcpy(batch.bytes, small.bytes, RL_BATCH_HEADER_BYTES);
    rl_free(small.bytes);
    put_be16(batch.bytes + BATCH_AT_ATTRIBUTES, RL_CODEC_ZSTD);
    put_be32(batch.bytes + BATCH_AT_LENGTH, (uint32_t)batch.size - 12);
    uint8_t *at = batch.bytes + RL_BATCH_HEADER_BYTES;
    memcpy(at, head, sizeof head);
    at += sizeof head;
    for (size_t i = 0; i < blocks; i++, at += 4) {
        uint32_t block = (128u << 10) << 3 | 1u << 1 | (i + 1 == blocks);       /* one byte, repeated */
        memcpy(at, (const uint8_t[]){ (uint8_t)block, (uint8_t)(block >> 8), (uint8_t)(block >> 16), 0 }, 4);
    }
    batch_seal(batch);
    return batch;
}

PROTOCOL_TEST(produce, a_compacted_topic_wants_keys)
{
    struct client *c = client_open(b);
    struct topic t, open;
    topic_create(c, &t, "compacted", 1, (const char *const[]){ "cleanup.policy=compact", NULL });
    topic_create(c, &open, "not-compacted", 1, NULL);
    for (enum rl_codec codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++) {
        struct blob batch = batch_of(&(struct batch_spec){ .records = 4, .codec = codec, .value_bytes = 50 });
        const struct rl_produce_response_partition *answer = produce(c, 8, &t, 0, -1, batch);
        cr_assert_eq(answer->error_code, 87);
        cr_assert_eq(answer->record_errors_count, 4);
        cr_assert_eq(answer->record_errors[3].batch_index, 3);
        cr_assert(answer->error_message.bytes > 100);
        cr_assert_eq(produce(c, 8, &open, 0, -1, batch)->error_code, 0);
        rl_free(batch.bytes);
    }
    cr_assert_eq(log_end(c, &t, 0), 0);
    client_close(c);
}

PROTOCOL_TEST(produce, a_compression_bomb_costs_its_request)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "bomb", 1, (const char *const[]){ "cleanup.policy=compact", NULL });
    struct blob bomb = zstd_bomb(8000);         /* 1 GB of 32 KB */
    cr_assert_eq(produce(c, 8, &t, 0, -1, bomb)->error_code, 10);
    cr_assert_eq(log_end(c, &t, 0), 0);
    rl_free(bomb.bytes);
    bomb = zstd_bomb(8);                        /* small enough to see that it holds no records */
    cr_assert_eq(produce(c, 8, &t, 0, -1, bomb)->error_code, 87);
    rl_free(bomb.bytes);
    client_close(c);
}

PROTOCOL_TEST(produce, limits_of_time_hold_for_each_record)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "young", 1, (const char *const[]){ "message.timestamp.before.max.ms=60000", NULL });
    int64_t now_ms = wall_ms();
    struct blob batch = batch_of(&(struct batch_spec){
        .records = 3, .timestamps_ms = (const int64_t[]){ now_ms, now_ms - 120000, now_ms } });
    const struct rl_produce_response_partition *answer = produce(c, 8, &t, 0, -1, batch);
    cr_assert_eq(answer->error_code, 32);
    cr_assert_eq(answer->record_errors_count, 1);
    cr_assert_eq(answer->record_errors[0].batch_index, 1);
    rl_free(batch.bytes);
    client_close(c);
}

/* acks=0 has no answer: an error closes the connection, after what came before was answered. */
PROTOCOL_TEST(produce, acks_0_error_closes)
{
    struct client *watch = client_open(b);
    struct topic t;
    topic_create(watch, &t, "acks-0", 1, NULL);
    for (int how = 0; how < SPOIL_COUNT; how++) {
        struct client *c = client_open(b);
        struct blob good = batch_small(1), bad = spoil(how);
        produce_send(c, 9, &t, 0, 1, rl_slice_of(good.bytes, good.size));
        produce_send(c, 9, &t, 0, 0, spoiled_slice(how, bad));
        cr_assert_eq(produce_receive(c)->error_code, 0);
        client_expect_closed(c);
        client_close(c);
        rl_free(good.bytes);
        rl_free(bad.bytes);
    }
    struct topic unknown = { .name = "no-such-topic" };
    struct client *c = client_open(b);
    struct blob good = batch_small(1);
    produce_send(c, 9, &unknown, 0, 0, rl_slice_of(good.bytes, good.size));
    client_expect_closed(c);
    client_close(c);
    rl_free(good.bytes);
    cr_assert_eq(log_end(watch, &t, 0), 3 * SPOIL_COUNT);
    client_close(watch);
}

PROTOCOL_TEST(produce, wrong_targets_and_acks)
{
    static const int16_t bad_acks[] = { 2, -2, INT16_MAX, INT16_MIN };
    struct client *c = client_open(b);
    struct topic t, unknown = { .name = "no-such-topic", .id = { { 1, 2, 3 } } };
    struct topic nameless = { 0 };
    struct blob batch = batch_small(1);
    topic_create(c, &t, "targets", 2, NULL);
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++) {
        int16_t no_topic = version >= 13 ? 100 : 3;
        cr_assert_eq(produce(c, version, &unknown, 0, 1, batch)->error_code, no_topic);
        cr_assert_eq(produce(c, version, &nameless, 0, 1, batch)->error_code, version >= 13 ? 100 : 3);
        cr_assert_eq(produce(c, version, &t, 2, 1, batch)->error_code, 3);
        cr_assert_eq(produce(c, version, &t, -1, -1, batch)->error_code, 3);
        cr_assert_eq(produce(c, version, &t, INT32_MAX, 1, batch)->error_code, 3);
        for (size_t i = 0; i < RL_ARRAY_COUNT(bad_acks); i++)
            cr_assert_eq(produce(c, version, &t, 0, bad_acks[i], batch)->error_code, 21);
    }
    cr_assert_eq(log_end(c, &t, 0), 0);
    rl_free(batch.bytes);
    client_close(c);
}

/* zstd needs version 7 (KIP-110). */
PROTOCOL_TEST(produce, zstd_needs_version_7)
{
    struct client *c = client_open(b);
    struct topic t;
    struct blob batch = batch_of(&(struct batch_spec){ .value_bytes = 100, .codec = RL_CODEC_ZSTD });
    topic_create(c, &t, "zstd", 1, NULL);
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++)
        cr_assert_eq(produce(c, version, &t, 0, 1, batch)->error_code, version < 7 ? 76 : 0);
    rl_free(batch.bytes);
    client_close(c);
}

/* Two topics of 6 partitions, every third batch wrong, one topic unknown: each is judged alone,
 * and answered where it was asked. */
PROTOCOL_TEST(produce, one_bad_among_good)
{
    struct client *c = client_open(b);
    struct topic t[3] = { { { 0 }, { { 0 } } }, { { 0 }, { { 0 } } }, { "none", { { 9 } } } };
    struct blob good = batch_small(1), bad = spoil(SPOIL_CRC);
    topic_create(c, &t[0], "mixed-a", 6, NULL);
    topic_create(c, &t[1], "mixed-b", 6, NULL);
    for (int16_t version = PRODUCE_MIN; version <= PRODUCE_MAX; version++) {
        struct rl_produce_request_partition parts[6];
        struct rl_produce_request_topic topics[3];
        for (int i = 0; i < 6; i++)
            parts[i] = (struct rl_produce_request_partition){
                .index = 5 - i, .records = i % 3 == 1 ? rl_slice_of(bad.bytes, bad.size)
                                                      : rl_slice_of(good.bytes, good.size) };
        for (int i = 0; i < 3; i++)
            topics[i] = (struct rl_produce_request_topic){
                .name = rl_slice_of_string(t[2 - i].name), .topic_id = t[2 - i].id,
                .partition_data = parts, .partition_data_count = 6 };
        struct rl_produce_request ask = { .acks = -1, .timeout_ms = 20000, .topic_data = topics,
                                          .topic_data_count = 3 };
        const struct rl_produce_response *reply = client_call(c, RL_API_PRODUCE, version, &ask);
        cr_assert_eq(reply->responses_count, 3);
        for (int i = 0; i < 3; i++) {
            const struct rl_produce_response_topic *topic = &reply->responses[i];
            if (version < 13)
                cr_assert(rl_slice_equal_string(topic->name, t[2 - i].name));
            else
                cr_assert(rl_uuid_equal(topic->topic_id, t[2 - i].id));
            cr_assert_eq(topic->partition_responses_count, 6);
            for (int k = 0; k < 6; k++) {
                int16_t error = i == 0 ? (version >= 13 ? 100 : 3) : k % 3 == 1 ? 2 : 0;
                cr_assert_eq(topic->partition_responses[k].index, 5 - k);
                cr_assert_eq(topic->partition_responses[k].error_code, error);
                if (error == 0)
                    cr_assert_eq(topic->partition_responses[k].base_offset, (version - PRODUCE_MIN) * 3);
            }
        }
    }
    rl_free(good.bytes);
    rl_free(bad.bytes);
    client_close(c);
}

/* ---- idempotence ---- */

struct attempt {
    int64_t producer_id;
    int16_t epoch;
    int32_t sequence, records;
    int16_t error;
    int64_t base_offset;
};

static void expect_attempts(struct client *c, const struct topic *t, const struct attempt *attempts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct attempt *a = &attempts[i];
        struct blob batch = batch_of(&(struct batch_spec){
            .records = a->records, .value_bytes = 8, .producer_id = a->producer_id,
            .producer_epoch = a->epoch, .base_sequence = a->sequence, .base_timestamp_ms = wall_ms() });
        for (int16_t acks = -1; acks <= 1; acks += 2) {
            const struct rl_produce_response_partition *answer = produce(c, PRODUCE_MAX, t, 0, acks, batch);
            cr_assert_eq(answer->error_code, a->error, "attempt %zu acks %d: error %d, expected %d", i,
                         acks, answer->error_code, a->error);
            cr_assert_eq(answer->base_offset, a->base_offset, "attempt %zu acks %d: offset %lld", i,
                         acks, (long long)answer->base_offset);
        }
        rl_free(batch.bytes);
    }
}

/* Every attempt is made twice: what is taken, is a duplicate the second time. */
static const struct attempt attempts[] = {
    { 1, 0, 0, 2, 0, 0 },
    { 1, 0, 2, 3, 0, 2 },
    { 1, 0, 0, 2, 0, 0 },               /* duplicate */
    { 1, 0, 6, 1, 45, -1 },             /* gap */
    { 1, 0, 0, 1, 45, -1 },             /* known first, other length */
    { 1, 0, 5, 1, 0, 5 },
    { 1, 0, 6, 1, 0, 6 },
    { 1, 0, 7, 1, 0, 7 },
    { 1, 0, 2, 3, 0, 2 },               /* five batches back: still known */
    { 1, 0, 8, 1, 0, 8 },
    { 1, 0, 0, 2, 45, -1 },             /* six back: forgotten */
    { 1, 1, 3, 1, 45, -1 },             /* a new epoch begins with 0 */
    { 1, 1, 0, 1, 0, 9 },
    { 1, 0, 9, 1, 47, -1 },             /* the old epoch is fenced */
    { 1, 1, 1, 1, 0, 10 },
    { 2, 5, 77, 1, 0, 11 },             /* an unknown producer may begin anywhere */
    { 2, 5, 78, 1, 0, 12 },
    { 2, 5, 80, 1, 45, -1 },
    { 3, 0, INT32_MAX - 1, 3, 0, 13 },  /* MAX-1, MAX, 0 */
    { 3, 0, 1, 1, 0, 16 },
    { 3, 0, INT32_MAX - 1, 3, 0, 13 },
    { 4, 0, INT32_MAX, 1, 0, 17 },
    { 4, 0, 1, 1, 45, -1 },
    { 4, 0, 0, 1, 0, 18 },
};

PROTOCOL_TEST(produce, idempotence)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "idempotence", 1, NULL);
    expect_attempts(c, &t, attempts, RL_ARRAY_COUNT(attempts));
    cr_assert_eq(log_end(c, &t, 0), 19);
    client_close(c);
}

/* What a producer sent is known after a clean restart and after a kill. */
PROTOCOL_TEST(produce, idempotence_over_restarts)
{
    static const struct attempt again[] = {
        { 1, 1, 1, 1, 0, 10 }, { 1, 1, 3, 1, 45, -1 }, { 1, 0, 0, 2, 47, -1 }, { 2, 5, 78, 1, 0, 12 },
        { 3, 0, INT32_MAX - 1, 3, 0, 13 }, { 4, 0, 0, 1, 0, 18 }, { 4, 0, 2, 1, 45, -1 },
    };
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "idempotence", 1, NULL);
    expect_attempts(c, &t, attempts, RL_ARRAY_COUNT(attempts));
    for (int life = 0; life < 3; life++) {
        client_close(c);
        if (life == 1)
            broker_kill(b);
        else
            broker_stop(b);
        broker_start(b);
        c = client_open(b);
        expect_attempts(c, &t, again, RL_ARRAY_COUNT(again));
        cr_assert_eq(log_end(c, &t, 0), 19);
    }
    client_close(c);
}

/* ---- pipelines ---- */

#define PIPELINE_REQUESTS   600
#define PIPELINE_PARTITIONS 8

/* Hundreds of requests of all kinds written in one go over 8 partitions: replies come in the
 * order of the requests (the client checks the correlation id), offsets ascend per partition. */
PROTOCOL_TEST(produce, pipelined_mix_is_answered_in_order)
{
    struct client *c = client_open(b);
    struct topic t;
    int64_t next[PIPELINE_PARTITIONS] = { 0 };
    struct rl_api_versions_request versions = { .client_software_name = rl_slice_of_string("x"),
                                                .client_software_version = rl_slice_of_string("1") };
    topic_create(c, &t, "pipeline", PIPELINE_PARTITIONS, NULL);
    for (int i = 0; i < PIPELINE_REQUESTS; i++) {
        struct blob batch = batch_small((uint64_t)i);
        int32_t partition = i * 7 % PIPELINE_PARTITIONS;
        if (i % 11 == 10)
            client_send(c, RL_API_API_VERSIONS, 3, &versions);
        else if (i % 7 == 6)
            fetch_send(c, FETCH_MAX, &(struct fetch_ask){ .from = { { .topic = &t, .partition = partition } } });
        else
            produce_send(c, 13, &t, partition, (int16_t)(i % 3 - 1), rl_slice_of(batch.bytes, batch.size));
        rl_free(batch.bytes);
    }
    for (int i = 0; i < PIPELINE_REQUESTS; i++) {
        int32_t partition = i * 7 % PIPELINE_PARTITIONS;
        if (i % 11 == 10 || i % 7 == 6) {
            client_receive(c);
        } else if (i % 3 == 1) {
            next[partition] += 3;       /* acks=0 */
        } else {
            const struct rl_produce_response_partition *answer = produce_receive(c);
            cr_assert_eq(answer->error_code, 0);
            cr_assert_eq(answer->base_offset, next[partition]);
            next[partition] += 3;
        }
    }
    for (int32_t p = 0; p < PIPELINE_PARTITIONS; p++)
        cr_assert_eq(log_end(c, &t, p), next[p]);
    client_close(c);
}

/* timeout.ms 0 may say REQUEST_TIMED_OUT, but the batch stays; the memory of the request may be
 * gone by then. */
PROTOCOL_TEST(produce, timeout_keeps_the_batch)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "timeout", PIPELINE_PARTITIONS, NULL);
    for (int i = 0; i < 40; i++) {
        struct blob batch = batch_of(&(struct batch_spec){ .value_bytes = 100000, .seed = (uint64_t)i });
        struct rl_produce_request_partition part = {
            .index = i % PIPELINE_PARTITIONS, .records = rl_slice_of(batch.bytes, batch.size) };
        struct rl_produce_request_topic one = { .topic_id = t.id, .partition_data = &part,
                                                .partition_data_count = 1 };
        struct rl_produce_request ask = { .acks = -1, .timeout_ms = i % 2, .topic_data = &one,
                                          .topic_data_count = 1 };
        const struct rl_produce_response *reply = client_call(c, RL_API_PRODUCE, 13, &ask);
        int16_t error = reply->responses[0].partition_responses[0].error_code;
        cr_assert(error == 0 || error == 7, "error %d", error);
        rl_free(batch.bytes);
    }
    for (int32_t p = 0; p < PIPELINE_PARTITIONS; p++) {
        struct blob end = batch_small(1);
        cr_assert_eq(produce(c, 13, &t, p, -1, end)->base_offset, 5);
        rl_free(end.bytes);
        struct blob all = fetch_all(c, &t, p, 0);
        cr_assert_gt(all.size, 5 * 100000);
        free(all.bytes);
    }
    client_close(c);
}

/* A partition without its directory has no log; a batch that is refused anyway asks nothing of it. */
PROTOCOL_TEST(produce, refused_batches_of_a_partition_without_a_log)
{
    char from[600], to[600];
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "gone", 1, NULL);
    client_close(c);
    broker_stop(b);
    snprintf(from, sizeof from, "%s/gone-0", b->data_dir);
    snprintf(to, sizeof to, "%s.elsewhere", b->data_dir);
    cr_assert_eq(rename(from, to), 0);
    broker_start(b);
    c = client_open(b);
    struct blob batch = batch_small(1), refused = batch_small(2);
    put_be64(refused.bytes, 5);         /* the base offset is the broker's to give */
    cr_assert_neq(produce(c, PRODUCE_MAX, &t, 0, 1, refused)->error_code, 0);
    cr_assert_neq(produce(c, PRODUCE_MAX, &t, 0, 1, batch)->error_code, 0);
    client_close(c);
    broker_stop(b);
    cr_assert_eq(rename(to, from), 0);
    broker_start(b);
    c = client_open(b);
    cr_assert_eq(produce_ok(c, &t, 0, batch), 0);
    client_close(c);
    rl_free(batch.bytes);
    rl_free(refused.bytes);
}

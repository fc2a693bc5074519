/* tests/broker/protocol/test_protocol_offsets.c — ListOffsets and OffsetForLeaderEpoch. */
#include "core/memory.h"
#include "log/batch.h"
#include "protocol_calls.h"
#include "wire/msg_offset_for_leader_epoch.h"
#include <criterion/criterion.h>
#include <stdlib.h>

/* ---- special timestamps ---- */

struct special {
    int64_t timestamp;
    int16_t since;                      /* version */
    int64_t empty_offset, offset;       /* of an empty partition; of one with 3 records */
};
static const struct special specials[] = {
    { -1, 1, 0, 3 }, { -2, 1, 0, 0 }, { -3, 7, -1, 2 }, { -4, 8, 0, 0 }, { -5, 9, -1, -1 },
    { -6, 11, -1, -1 },
};

PROTOCOL_TEST(list_offsets, special_timestamps_in_each_version)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "special", 2, NULL);
    const int64_t times[] = { 1000, 1005, 1010 };
    struct blob batch = batch_of(&(struct batch_spec){ .records = 3, .timestamps_ms = times });
    produce_ok(c, &t, 1, batch);
    for (int16_t version = LIST_OFFSETS_MIN; version <= LIST_OFFSETS_MAX; version++) {
        for (size_t i = 0; i < RL_ARRAY_COUNT(specials); i++)
            for (int32_t p = 0; p < 2; p++) {
                const struct special *s = &specials[i];
                const struct rl_list_offsets_response_partition *part =
                    list_offsets(c, version, &t, p, s->timestamp);
                if (version < s->since) {
                    cr_assert_eq(part->error_code, 35, "timestamp %d version %d: error %d",
                                 (int)s->timestamp, version, part->error_code);
                    continue;
                }
                cr_assert_eq(part->error_code, 0);
                cr_assert_eq(part->offset, p == 0 ? s->empty_offset : s->offset,
                             "timestamp %d version %d partition %d: offset %lld", (int)s->timestamp,
                             version, p, (long long)part->offset);
                cr_assert_eq(part->timestamp, s->timestamp == -3 && p == 1 ? 1010 : -1);
                if (version >= 4 && part->offset >= 0 && p == 1)
                    cr_assert_eq(part->leader_epoch, 0);
            }
        cr_assert_eq(list_offsets(c, version, &t, 0, -7)->error_code, 35);
        cr_assert_eq(list_offsets(c, version, &t, 2, -1)->error_code, 3);
        cr_assert_eq(list_offsets(c, version, &t, -1, -1)->error_code, 3);
        struct topic unknown = { .name = "nothing" };
        cr_assert_eq(list_offsets(c, version, &unknown, 0, -1)->error_code, 3);
    }
    rl_free(batch.bytes);
    client_close(c);
}

/* ---- by time ---- */

#define TIMES_BATCHES 60
#define TIMES_RECORDS 7

struct times {
    int64_t ms[TIMES_BATCHES * TIMES_RECORDS];
    int64_t count;
};

/* Times that mostly ascend, with steps back within and between batches, and repeats. */
static void times_fill(struct times *times, struct client *c, const struct topic *t, int32_t partition)
{
    struct rl_random random;
    int64_t now = 1000000;
    rl_random_init(&random, 3);
    times->count = 0;
    for (int i = 0; i < TIMES_BATCHES; i++) {
        int64_t *own = &times->ms[times->count];
        for (int k = 0; k < TIMES_RECORDS; k++) {
            now += (int64_t)rl_random_below(&random, 50);
            own[k] = now - (rl_random_below(&random, 4) == 0 ? (int64_t)rl_random_below(&random, 200) : 0);
        }
        struct blob batch = batch_of(&(struct batch_spec){
            .records = TIMES_RECORDS, .timestamps_ms = own, .codec = i % 5, .value_bytes = 200, .seed = (uint64_t)i });
        cr_assert_eq(produce_ok(c, t, partition, batch), times->count);
        times->count += TIMES_RECORDS;
        rl_free(batch.bytes);
    }
}

/* First record at or after ms, count when there is none. */
static int64_t times_find(const struct times *times, int64_t ms)
{
    int64_t i = 0;
    while (i < times->count && times->ms[i] < ms)
        i++;
    return i;
}

static void expect_times(struct client *c, const struct topic *t, int32_t partition, const struct times *times)
{
    for (int64_t ms = 999000; ms < 1000000 + 25 * times->count + 2000; ms += 61) {
        int64_t i = times_find(times, ms);
        int16_t version = (int16_t)(LIST_OFFSETS_MIN + ms % LIST_OFFSETS_MAX);
        const struct rl_list_offsets_response_partition *part = list_offsets(c, version, t, partition, ms);
        cr_assert_eq(part->error_code, 0);
        cr_assert_eq(part->offset, i < times->count ? i : -1, "time %lld: offset %lld, expected %lld",
                     (long long)ms, (long long)part->offset, (long long)i);
        cr_assert_eq(part->timestamp, i < times->count ? times->ms[i] : -1);
    }
    int64_t newest = 0;
    for (int64_t i = 1; i < times->count; i++)
        newest = times->ms[i] > times->ms[newest] ? i : newest;
    const struct rl_list_offsets_response_partition *part = list_offsets(c, 11, t, partition, -3);
    cr_assert_eq(part->offset, newest);
    cr_assert_eq(part->timestamp, times->ms[newest]);
}

/* Exact to the record in every codec, over many segments, after a clean restart and a kill. */
PROTOCOL_TEST(list_offsets, by_time, "log.segment.bytes=9000", "ringlog.log.tail.bytes=10000")
{
    struct client *c = client_open(b);
    struct times *times = calloc(1, sizeof *times);
    struct topic t;
    topic_create(c, &t, "times", 2, NULL);
    times_fill(times, c, &t, 1);
    for (int life = 0; life < 3; life++) {
        expect_times(c, &t, 1, times);
        cr_assert_eq(list_offsets(c, 11, &t, 0, 5)->offset, -1);
        cr_assert_eq(list_offsets(c, 11, &t, 1, INT64_MAX)->offset, -1);
        cr_assert_eq(list_offsets(c, 11, &t, 1, 0)->offset, 0);
        client_close(c);
        if (life == 0)
            broker_stop(b);
        else
            broker_kill(b);
        broker_start(b);
        c = client_open(b);
    }
    free(times);
    client_close(c);
}

/* In a LogAppendTime topic every record has its batch's time. */
PROTOCOL_TEST(list_offsets, by_append_time)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "append", 1, (const char *const[]){ "message.timestamp.type=LogAppendTime", NULL });
    struct blob batch = batch_of(&(struct batch_spec){ .records = 4, .base_timestamp_ms = 5, .codec = RL_CODEC_LZ4,
                                                       .timestamp_step_ms = 1 });
    int64_t ms = produce(c, 13, &t, 0, 1, batch)->log_append_time_ms;
    const struct rl_list_offsets_response_partition *part = list_offsets(c, 11, &t, 0, ms);
    cr_assert_eq(part->offset, 0);
    cr_assert_eq(part->timestamp, ms);
    cr_assert_eq(list_offsets(c, 11, &t, 0, ms + 1)->offset, -1);
    cr_assert_eq(list_offsets(c, 11, &t, 0, 3)->offset, 0);
    rl_free(batch.bytes);
    client_close(c);
}

/* A batch whose records cannot be opened is found out at the lookup, and harms only that. */
PROTOCOL_TEST(list_offsets, records_that_are_not_what_they_say)
{
    struct client *c = client_open(b);
    struct topic t;
    struct rl_random random;
    rl_random_init(&random, 5);
    for (uint16_t codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++) {
        char name[32];
        snprintf(name, sizeof name, "liar-%u", codec);
        topic_create(c, &t, name, 1, NULL);
        struct blob batch = batch_of(&(struct batch_spec){ .records = 3, .value_bytes = 100, .codec = codec,
                                                           .base_timestamp_ms = 1000, .timestamp_step_ms = 5 });
        for (size_t i = RL_BATCH_HEADER_BYTES; i < batch.size; i++)
            batch.bytes[i] = (uint8_t)rl_random_next(&random);
        batch_seal(batch);
        produce_ok(c, &t, 0, batch);    /* records are opaque: taken */
        list_offsets(c, 11, &t, 0, 1005);
        list_offsets(c, 11, &t, 0, -3);
        broker_expect_alive(b);
        cr_assert_eq(log_end(c, &t, 0), 3);
        cr_assert_eq(fetch_one(c, FETCH_MAX, &t, 0, 0)->records.bytes, batch.size);
        rl_free(batch.bytes);
    }
    client_close(c);
}

/* ---- leader epochs ---- */

static int16_t list_offsets_epoch(struct client *c, int16_t version, const struct topic *t, int32_t epoch)
{
    struct rl_list_offsets_request_partition part = { .current_leader_epoch = epoch, .timestamp = -1 };
    struct rl_list_offsets_request_topic one = { .name = rl_slice_of_string(t->name), .partitions = &part,
                                                 .partitions_count = 1 };
    struct rl_list_offsets_request ask = { .replica_id = -1, .topics = &one, .topics_count = 1 };
    const struct rl_list_offsets_response *reply = client_call(c, RL_API_LIST_OFFSETS, version, &ask);
    return reply->topics[0].partitions[0].error_code;
}

static const struct rl_offset_for_leader_epoch_response_partition *
epoch_end(struct client *c, int16_t version, const char *topic, int32_t partition,
          int32_t current_epoch, int32_t asked_epoch)
{
    struct rl_offset_for_leader_epoch_request_partition part = {
        .partition = partition, .current_leader_epoch = current_epoch, .leader_epoch = asked_epoch };
    struct rl_offset_for_leader_epoch_request_topic one = { .topic = rl_slice_of_string(topic),
                                                            .partitions = &part, .partitions_count = 1 };
    struct rl_offset_for_leader_epoch_request ask = { .replica_id = -1, .topics = &one, .topics_count = 1 };
    const struct rl_offset_for_leader_epoch_response *reply =
        client_call(c, RL_API_OFFSET_FOR_LEADER_EPOCH, version, &ask);
    cr_assert_eq(reply->topics_count, 1);
    cr_assert_eq(reply->topics[0].partitions_count, 1);
    cr_assert_eq(reply->topics[0].partitions[0].partition, partition);
    return &reply->topics[0].partitions[0];
}

static void expect_end(struct client *c, const struct topic *t, int32_t asked, int32_t epoch, int64_t end)
{
    for (int16_t version = 2; version <= 4; version++) {
        const struct rl_offset_for_leader_epoch_response_partition *part =
            epoch_end(c, version, t->name, 0, -1, asked);
        cr_assert_eq(part->error_code, 0);
        cr_assert_eq(part->leader_epoch, epoch, "asked %d: epoch %d, expected %d", asked,
                     part->leader_epoch, epoch);
        cr_assert_eq(part->end_offset, end);
    }
}

/* Each power cut raises the epoch, a kill does not, since it takes nothing that could be read: its
 * ends are told, in every version, also after more restarts. */
PROTOCOL_TEST(epochs, ends_over_power_cuts)
{
    struct client *c = client_open(b);
    struct topic t;
    struct blob batch = batch_small(1);
    topic_create(c, &t, "epochs", 1, NULL);
    expect_end(c, &t, 0, 0, 0);
    expect_end(c, &t, 1, -1, -1);
    for (int32_t epoch = 0; epoch < 3; epoch++) {
        produce_ok(c, &t, 0, batch);
        produce_ok(c, &t, 0, batch);
        for (int32_t asked = 0; asked <= epoch; asked++)
            expect_end(c, &t, asked, asked, (asked + 1) * 6);
        expect_end(c, &t, epoch + 1, -1, -1);
        for (int16_t version = 4; version <= LIST_OFFSETS_MAX; version++) {
            cr_assert_eq(list_offsets_epoch(c, version, &t, epoch), 0);
            cr_assert_eq(list_offsets_epoch(c, version, &t, epoch + 1), 75);
            if (epoch > 0)
                cr_assert_eq(list_offsets_epoch(c, version, &t, epoch - 1), 74);
        }
        for (int16_t version = 2; version <= 4; version++) {
            cr_assert_eq(epoch_end(c, version, t.name, 0, epoch, 0)->error_code, 0);
            cr_assert_eq(epoch_end(c, version, t.name, 0, epoch + 1, 0)->error_code, 75);
            if (epoch > 0)
                cr_assert_eq(epoch_end(c, version, t.name, 0, epoch - 1, 0)->error_code, 74);
            cr_assert_eq(epoch_end(c, version, t.name, 1, -1, 0)->error_code, 3);
            cr_assert_eq(epoch_end(c, version, t.name, -1, -1, 0)->error_code, 3);
            cr_assert_eq(epoch_end(c, version, "nothing", 0, -1, 0)->error_code, 3);
        }
        client_close(c);
        if (epoch == 1) {
            broker_stop(b);
            broker_start(b);
            broker_kill(b);
            broker_start(b);
        }
        broker_kill(b);
        broker_forget_mount(b);
        broker_start(b);
        c = client_open(b);
    }
    rl_free(batch.bytes);
    client_close(c);
}

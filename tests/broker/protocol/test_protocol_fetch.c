/* tests/broker/protocol/test_protocol_fetch.c — Fetch: the bytes produced, the size rules, waiting,
 * and what is refused. */
#include "core/memory.h"
#include "core/random.h"
#include "log/batch.h"
#include "protocol_calls.h"
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>

/* ---- a model of what a partition holds ---- */

#define MODEL_BATCHES_MAX 600

struct model_partition {
    struct topic topic;
    int32_t partition;
    uint32_t count;
    struct blob batches[MODEL_BATCHES_MAX];
    int64_t base_offsets[MODEL_BATCHES_MAX + 1];        /* one more: the end */
};

static int64_t model_end(const struct model_partition *m)
{
    return m->base_offsets[m->count];
}

static uint32_t model_index(const struct model_partition *m, int64_t offset)
{
    uint32_t i = 0;
    while (i < m->count && m->base_offsets[i + 1] <= offset)
        i++;
    return i;
}

static void model_add(struct model_partition *m, struct client *c, const struct batch_spec *spec)
{
    struct blob batch = batch_of(spec);
    cr_assert_lt(m->count, MODEL_BATCHES_MAX);
    cr_assert_eq(produce_ok(c, &m->topic, m->partition, batch), model_end(m));
    m->batches[m->count++] = batch;
    m->base_offsets[m->count] = m->base_offsets[m->count - 1] + RL_MAX(spec->records, 1);
}

static void model_done(struct model_partition *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        rl_free(m->batches[i].bytes);
    free(m);
}

/* Batches of 1 to 5 records, all codecs, some larger. */
static struct model_partition *model_fill(struct client *c, const struct topic *topic,
                                          int32_t partition, uint32_t count, size_t value_bytes)
{
    struct model_partition *m = calloc(1, sizeof *m);
    m->topic = *topic;
    m->partition = partition;
    for (uint32_t i = 0; i < count; i++)
        model_add(m, c, &(struct batch_spec){
            .records = 1 + (int32_t)(i * 7 % 5), .value_bytes = value_bytes + i % 3 * value_bytes,
            .codec = i % 5, .seed = i, .base_timestamp_ms = wall_ms() });
    return m;
}

/* The records are the model's batches from the one that holds `offset`: how many. */
static uint32_t expect_batches(const struct model_partition *m, int64_t offset, struct rl_slice records)
{
    uint32_t first = model_index(m, offset), i = first;
    for (size_t at = 0; at < records.bytes; i++) {
        struct rl_batch stored;
        cr_assert_lt(i, m->count);
        cr_assert_leq(at + m->batches[i].size, records.bytes, "a batch is cut");
        cr_assert(batch_same(records.data + at, m->batches[i].bytes, m->batches[i].size),
                  "batch %u differs", i);
        rl_batch_read_header((uint8_t *)(uintptr_t)records.data + at, records.bytes - at, &stored);
        cr_assert_eq(stored.base_offset, m->base_offsets[i]);
        at += m->batches[i].size;
    }
    return i - first;
}

static void expect_whole(struct client *c, const struct model_partition *m)
{
    struct blob all = fetch_all(c, &m->topic, m->partition, 0);
    cr_assert_eq(expect_batches(m, 0, rl_slice_of(all.bytes, all.size)), m->count);
    free(all.bytes);
}

/* ---- content ---- */

PROTOCOL_TEST(fetch, each_version_from_each_offset)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "each-offset", 1, NULL);
    struct model_partition *m = model_fill(c, &t, 0, 12, 50);
    for (int16_t version = FETCH_MIN; version <= FETCH_MAX; version++)
        for (int64_t offset = 0; offset <= model_end(m); offset++)
            for (int8_t isolation = 0; isolation <= 1; isolation++) {
                const struct rl_fetch_response *reply = fetch(c, version, &(struct fetch_ask){
                    .isolation_level = isolation, .from = { { .topic = &t, .offset = offset } } });
                const struct rl_fetch_response_partition *part = fetch_part(reply, 0);
                cr_assert_eq(part->error_code, 0);
                cr_assert_eq(part->high_watermark, model_end(m));
                cr_assert_eq(part->last_stable_offset, model_end(m));
                cr_assert_eq(part->log_start_offset, version >= 5 ? 0 : -1);
                cr_assert_eq(part->preferred_read_replica, -1);
                cr_assert_eq(part->aborted_transactions_count, isolation == 1 ? 0 : -1);
                cr_assert_not_null(part->records.data);
                cr_assert_eq(expect_batches(m, offset, part->records), m->count - model_index(m, offset));
                if (version >= 13)
                    cr_assert(rl_uuid_equal(reply->responses[0].topic_id, t.id));
                else
                    cr_assert(rl_slice_equal_string(reply->responses[0].topic, t.name));
            }
    model_done(m);
    client_close(c);
}

/* Many small segments and a tail that holds next to nothing: everything comes from files, also
 * after a clean restart and after a kill. */
PROTOCOL_TEST(fetch, old_data_from_files, "ringlog.log.tail.bytes=20000", "log.segment.bytes=30000")
{
    enum { PARTITIONS = 4, BATCHES = 120 };
    struct client *c = client_open(b);
    struct model_partition *m[PARTITIONS];
    struct rl_random random;
    struct topic t;
    rl_random_init(&random, 7);
    topic_create(c, &t, "files", PARTITIONS, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++)
        m[p] = model_fill(c, &t, p, BATCHES, 400);
    for (int life = 0; life < 3; life++) {
        for (int32_t p = 0; p < PARTITIONS; p++)
            expect_whole(c, m[p]);
        for (int i = 0; i < 100; i++) {
            const struct model_partition *one = m[rl_random_below(&random, PARTITIONS)];
            int64_t offset = (int64_t)rl_random_below(&random, (uint64_t)model_end(one));
            int32_t bytes = (int32_t)rl_random_below(&random, 60000) + 1;
            const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &(struct fetch_ask){
                .from = { { .topic = &t, .partition = one->partition, .offset = offset, .max_bytes = bytes } } });
            const struct rl_fetch_response_partition *part = fetch_part(reply, 0);
            uint32_t count = expect_batches(one, offset, part->records);
            cr_assert_geq(count, 1);
            cr_assert(count == 1 || part->records.bytes <= (size_t)bytes);
        }
        client_close(c);
        if (life == 0)
            broker_stop(b);
        else
            broker_kill(b);
        broker_start(b);
        c = client_open(b);
    }
    for (int32_t p = 0; p < PARTITIONS; p++) {
        model_add(m[p], c, &(struct batch_spec){ .records = 2, .value_bytes = 5 });
        expect_whole(c, m[p]);
        model_done(m[p]);
    }
    client_close(c);
}

/* ---- sizes ---- */

PROTOCOL_TEST(fetch, partition_max_bytes)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "partition-max", 1, NULL);
    struct model_partition *m = model_fill(c, &t, 0, 20, 100);
    for (int32_t limit = 1; limit < 4000; limit += 37) {
        const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &(struct fetch_ask){
            .from = { { .topic = &t, .max_bytes = limit, .offset = limit % model_end(m) } } });
        const struct rl_fetch_response_partition *part = fetch_part(reply, 0);
        uint32_t count = expect_batches(m, limit % model_end(m), part->records);
        cr_assert_geq(count, 1, "at least one batch");
        cr_assert(count == 1 || part->records.bytes <= (size_t)limit);
    }
    const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &(struct fetch_ask){
        .from = { { .topic = &t, .max_bytes = -1 } } });
    cr_assert_eq(expect_batches(m, 0, fetch_part(reply, 0)->records), 1);
    model_done(m);
    client_close(c);
}

/* The first partition with data gives at least one batch; all others stay within max.bytes; they
 * come in the order asked, whichever shard they live on. */
PROTOCOL_TEST(fetch, max_bytes_over_partitions)
{
    enum { PARTITIONS = 8 };
    struct client *c = client_open(b);
    struct model_partition *m[PARTITIONS] = { NULL };
    struct topic t;
    topic_create(c, &t, "max", PARTITIONS, NULL);
    for (int32_t p = 1; p < PARTITIONS; p++)            /* partition 0 stays empty */
        m[p] = model_fill(c, &t, p, 6, 300);
    for (int32_t limit = -1; limit < 40000; limit += 1111) {
        struct fetch_ask ask = { .max_bytes = limit, .count = PARTITIONS };
        for (int32_t i = 0; i < PARTITIONS; i++)
            ask.from[i] = (struct fetch_from){ .topic = &t, .partition = (i * 3 + limit / 7777) % PARTITIONS,
                                               .max_bytes = 9000 };
        if (limit == -1)
            for (int32_t i = 0; i < PARTITIONS; i++)
                ask.from[i].partition = i;
        const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &ask);
        size_t total = 0;
        uint32_t batches = 0;
        for (int32_t i = 0; i < PARTITIONS; i++) {
            const struct rl_fetch_response_partition *part = fetch_part(reply, (uint32_t)(i));
            cr_assert_eq(part->partition_index, ask.from[i].partition);
            cr_assert_eq(part->error_code, 0);
            if (part->partition_index == 0) {
                cr_assert_eq(part->records.bytes, 0);
                continue;
            }
            uint32_t count = expect_batches(m[part->partition_index], 0, part->records);
            cr_assert(batches > 0 || count > 0, "the first partition with data comes first");
            batches += count;
            total += part->records.bytes;
        }
        cr_assert(batches == 1 || total <= (size_t)RL_MAX(limit, 0), "%zu bytes, limit %d", total, limit);
    }
    for (int32_t p = 1; p < PARTITIONS; p++)
        model_done(m[p]);
    client_close(c);
}

PROTOCOL_TEST(fetch, broker_limits_the_total, "fetch.max.bytes=5000")
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "total", 1, NULL);
    struct model_partition *m = model_fill(c, &t, 0, 30, 400);
    const struct rl_fetch_response_partition *part = fetch_one(c, FETCH_MAX, &t, 0, 0);
    uint32_t count = expect_batches(m, 0, part->records);
    cr_assert_gt(count, 1);
    cr_assert_leq(part->records.bytes, 5000);
    expect_whole(c, m);
    model_done(m);
    client_close(c);
}

/* ---- waiting ---- */

static bool has_answer(const struct client *c, int wait_ms)
{
    struct pollfd poller = { .fd = c->fd, .events = POLLIN };
    return poll(&poller, 1, wait_ms) == 1;
}

PROTOCOL_TEST(fetch, produce_wakes_a_parked_fetch)
{
    struct client *reader = client_open(b), *writer = client_open(b);
    struct topic t;
    topic_create(writer, &t, "wake", 8, NULL);
    for (int16_t version = FETCH_MIN; version <= FETCH_MAX; version++)
        for (int32_t p = 0; p < 8; p++) {
            struct fetch_ask ask = { .max_wait_ms = 15000, .min_bytes = 1, .count = 8 };
            for (int32_t i = 0; i < 8; i++)
                ask.from[i] = (struct fetch_from){ .topic = &t, .partition = i,
                                                   .offset = (version - FETCH_MIN + (i < p)) * 3 };
            fetch_send(reader, version, &ask);
            if (p == 0)
                cr_assert(!has_answer(reader, 20));
            struct blob batch = batch_small(1);
            produce_ok(writer, &t, p, batch);
            const struct rl_fetch_response *reply = client_receive(reader);
            for (int32_t i = 0; i < 8; i++)
                cr_assert_eq(fetch_part(reply, (uint32_t)(i))->records.bytes, i == p ? batch.size : 0);
            rl_free(batch.bytes);
        }
    client_close(reader);
    client_close(writer);
}

/* min.bytes counts over all partitions. */
PROTOCOL_TEST(fetch, waits_for_min_bytes)
{
    struct client *reader = client_open(b), *writer = client_open(b);
    struct topic t;
    struct blob batch = batch_small(1);
    struct fetch_ask ask = { .max_wait_ms = 15000, .min_bytes = (int32_t)batch.size * 8, .count = 8 };
    topic_create(writer, &t, "min", 8, NULL);
    for (int32_t i = 0; i < 8; i++)
        ask.from[i] = (struct fetch_from){ .topic = &t, .partition = i };
    fetch_send(reader, FETCH_MAX, &ask);
    for (int32_t p = 0; p < 8; p++) {
        cr_assert(!has_answer(reader, 10), "answered after %d of 8 batches", p);
        produce_ok(writer, &t, p, batch);
    }
    const struct rl_fetch_response *reply = client_receive(reader);
    for (int32_t i = 0; i < 8; i++)
        cr_assert_eq(fetch_part(reply, (uint32_t)(i))->records.bytes, batch.size);

    /* The same over one partition. */
    struct topic one;
    topic_create(writer, &one, "min-one", 1, NULL);
    fetch_send(reader, FETCH_MAX, &(struct fetch_ask){
        .max_wait_ms = 15000, .min_bytes = ask.min_bytes, .from = { { .topic = &one } } });
    for (int i = 0; i < 8; i++) {
        cr_assert(!has_answer(reader, 10));
        produce_ok(writer, &one, 0, batch);
    }
    reply = client_receive(reader);
    cr_assert_eq(fetch_part(reply, 0)->records.bytes, batch.size * 8);
    rl_free(batch.bytes);
    client_close(reader);
    client_close(writer);
}

PROTOCOL_TEST(fetch, answers_after_max_wait)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "max-wait", 4, NULL);
    struct model_partition *m = model_fill(c, &t, 2, 1, 20);
    for (int i = 0; i < 5; i++) {
        struct fetch_ask ask = { .max_wait_ms = i * 60, .min_bytes = 1000000, .count = 4 };
        for (int32_t p = 0; p < 4; p++)
            ask.from[p] = (struct fetch_from){ .topic = &t, .partition = p };
        int64_t begin_ms = now_ms();
        const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &ask);
        cr_assert_geq(now_ms() - begin_ms, i * 60 - 2);
        cr_assert_lt(now_ms() - begin_ms, 10000);
        /* What is there is given then. */
        cr_assert_eq(expect_batches(m, 0, fetch_part(reply, 2)->records), 1);
        cr_assert_eq(fetch_part(reply, 1)->records.bytes, 0);
    }
    model_done(m);
    client_close(c);
}

/* An error does not wait, a deleted topic wakes. */
/* What a partition's owner says is told at once; what the metadata do not know waits with the
 * others, as in Kafka. */
PROTOCOL_TEST(fetch, errors_of_partitions_do_not_wait)
{
    struct client *c = client_open(b), *other = client_open(b);
    struct topic t, unknown = { "nothing", { { 4 } } }, doomed;
    topic_create(c, &t, "errors", 2, NULL);
    topic_create(c, &doomed, "doomed", 4, NULL);
    int64_t begin_ms = now_ms();
    for (int32_t at = 0; at < 4; at++) {
        struct fetch_ask ask = { .max_wait_ms = 60000, .min_bytes = 1, .count = 2,
                                 .from = { { .topic = &t }, { .topic = &t, .partition = 1 } } };
        struct fetch_from bad[4] = { { .topic = &unknown }, { .topic = &t, .partition = 2 },
                                     { .topic = &t, .offset = 1 }, { .topic = &t, .leader_epoch = 6 } };
        int16_t errors[4] = { 100, 3, 1, 75 };
        ask.from[1] = bad[at];
        ask.max_wait_ms = at < 2 ? 50 : 60000;
        int64_t asked_ms = now_ms();
        const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &ask);
        cr_assert(at >= 2 || now_ms() - asked_ms >= 50);
        cr_assert_eq(fetch_part(reply, 0)->error_code, 0);
        cr_assert_eq(fetch_part(reply, 1)->error_code, errors[at]);
    }
    struct fetch_ask ask = { .max_wait_ms = 60000, .min_bytes = 1, .count = 5, .from = { { .topic = &t } } };
    for (int32_t p = 0; p < 4; p++)
        ask.from[p + 1] = (struct fetch_from){ .topic = &doomed, .partition = p };
    fetch_send(c, FETCH_MAX, &ask);
    cr_assert(!has_answer(c, 50));
    cr_assert_eq(topic_delete(other, doomed.name), 0);
    const struct rl_fetch_response *reply = client_receive(c);
    int16_t error = 0;
    for (int32_t p = 0; p < 4; p++)
        error = error != 0 ? error : fetch_part(reply, (uint32_t)(p + 1))->error_code;
    cr_assert(error == 3 || error == 6 || error == 100, "error %d", error);
    cr_assert_lt(now_ms() - begin_ms, 20000);
    client_close(c);
    client_close(other);
}

/* Requests behind a parked fetch are answered after it, in order. */
PROTOCOL_TEST(fetch, pipelined_behind_a_parked_one)
{
    struct client *c = client_open(b), *writer = client_open(b);
    struct topic t;
    struct blob batch = batch_small(1);
    topic_create(c, &t, "pipelined", 8, NULL);
    for (int32_t p = 0; p < 8; p++)
        fetch_send(c, FETCH_MAX, &(struct fetch_ask){ .max_wait_ms = 15000, .min_bytes = 1,
                                                      .from = { { .topic = &t, .partition = p } } });
    for (int32_t p = 7; p >= 0; p--) {                  /* the oldest is satisfied last */
        cr_assert(!has_answer(c, 10));
        produce_ok(writer, &t, p, batch);
    }
    for (int32_t p = 0; p < 8; p++) {
        const struct rl_fetch_response *reply = client_receive(c);
        cr_assert_eq(fetch_part(reply, 0)->partition_index, p);
        cr_assert_eq(fetch_part(reply, 0)->records.bytes, batch.size);
    }
    rl_free(batch.bytes);
    client_close(c);
    client_close(writer);
}

/* Connections that leave while their fetches are parked: nobody else notices, and what they
 * waited for comes later without harm. */
PROTOCOL_TEST(fetch, disconnect_while_parked)
{
    struct client *writer = client_open(b);
    struct topic t;
    struct blob batch = batch_small(1);
    topic_create(writer, &t, "gone", 8, NULL);
    for (int round = 0; round < 5; round++) {
        struct client *gone[20];
        for (int i = 0; i < 20; i++) {
            struct fetch_ask ask = { .max_wait_ms = i % 2 == 0 ? 60000 : 30, .min_bytes = 1, .count = 8 };
            for (int32_t p = 0; p < 8; p++)
                ask.from[p] = (struct fetch_from){ .topic = &t, .partition = p, .offset = round * 3 };
            gone[i] = client_open(b);
            fetch_send(gone[i], FETCH_MAX, &ask);
            fetch_send(gone[i], FETCH_MAX, &ask);
        }
        cr_assert(!has_answer(gone[0], 5 * round));
        for (int i = 0; i < 20; i++)
            client_close(gone[i]);
        for (int32_t p = 0; p < 8; p++)
            cr_assert_eq(produce_ok(writer, &t, p, batch), round * 3);
    }
    rl_free(batch.bytes);
    client_close(writer);
}

/* A reader that always has a fetch parked while a writer pipelines: it sees every batch once. */
PROTOCOL_TEST(fetch, tailing_reader, "ringlog.log.tail.bytes=100000", "log.segment.bytes=40000")
{
    enum { BATCHES = 500, AHEAD = 20 };
    struct client *reader = client_open(b), *writer = client_open(b);
    struct topic t;
    struct model_partition *m = calloc(1, sizeof *m);
    topic_create(writer, &t, "tailing", 1, NULL);
    m->topic = t;
    int64_t position = 0;
    uint32_t sent = 0, answered = 0;
    fetch_send(reader, FETCH_MAX, &(struct fetch_ask){ .max_wait_ms = 15000, .min_bytes = 1,
                                                       .from = { { .topic = &t } } });
    while (position < 2 * BATCHES) {
        for (; sent < BATCHES && sent < answered + AHEAD; sent++) {
            struct blob batch = batch_of(&(struct batch_spec){ .records = 2, .value_bytes = 300, .seed = sent });
            produce_send(writer, 13, &t, 0, sent % 3 == 0 ? -1 : 1, rl_slice_of(batch.bytes, batch.size));
            m->batches[m->count++] = batch;
            m->base_offsets[m->count] = 2 * m->count;
        }
        for (; answered < sent && has_answer(writer, 0); answered++)
            cr_assert_eq(produce_receive(writer)->base_offset, 2 * answered);
        if (!has_answer(reader, 1))
            continue;
        const struct rl_fetch_response *reply = client_receive(reader);
        const struct rl_fetch_response_partition *part = fetch_part(reply, 0);
        cr_assert_eq(part->error_code, 0);
        position = m->base_offsets[model_index(m, position) + expect_batches(m, position, part->records)];
        if (position < 2 * BATCHES)
            fetch_send(reader, FETCH_MAX, &(struct fetch_ask){
                .max_wait_ms = 15000, .min_bytes = 1, .from = { { .topic = &t, .offset = position } } });
    }
    for (; answered < sent; answered++)
        cr_assert_eq(produce_receive(writer)->base_offset, 2 * answered);
    model_done(m);
    client_close(reader);
    client_close(writer);
}

/* ---- what is refused ---- */

PROTOCOL_TEST(fetch, ranges_epochs_and_ids)
{
    struct client *c = client_open(b);
    struct topic t, unknown = { "nothing", { { 4 } } };
    topic_create(c, &t, "refused", 1, NULL);
    struct model_partition *m = model_fill(c, &t, 0, 3, 10);
    for (int16_t version = FETCH_MIN; version <= FETCH_MAX; version++) {
        static const int64_t wrong_offsets[] = { -1, -2, INT64_MAX, INT64_MIN };
        for (size_t i = 0; i < RL_ARRAY_COUNT(wrong_offsets); i++) {
            const struct rl_fetch_response_partition *part = fetch_one(c, version, &t, 0, wrong_offsets[i]);
            cr_assert_eq(part->error_code, 1);
            cr_assert_eq(part->records.bytes, 0);
        }
        cr_assert_eq(fetch_one(c, version, &t, 0, model_end(m) + 1)->error_code, 1);
        cr_assert_eq(fetch_one(c, version, &t, 1, 0)->error_code, 3);
        cr_assert_eq(fetch_one(c, version, &t, -1, 0)->error_code, 3);
        cr_assert_eq(fetch_one(c, version, &unknown, 0, 0)->error_code, version >= 13 ? 100 : 3);
        for (int32_t epoch = -1; epoch <= 2 && version >= 9; epoch++) {
            const struct rl_fetch_response *reply = fetch(c, version, &(struct fetch_ask){
                .from = { { .topic = &t, .leader_epoch = epoch + 1 } } });
            cr_assert_eq(fetch_part(reply, 0)->error_code, epoch > 0 ? 75 : 0);
        }
    }
    model_done(m);
    client_close(c);
    /* A power cut raises the epoch: those who believe in the old one are told. */
    broker_kill(b);
    broker_forget_mount(b);
    broker_start(b);
    c = client_open(b);
    const struct rl_fetch_response *reply = fetch(c, FETCH_MAX, &(struct fetch_ask){
        .from = { { .topic = &t, .leader_epoch = 1 } } });
    cr_assert_eq(fetch_part(reply, 0)->error_code, 74);
    cr_assert_eq(fetch_one(c, FETCH_MAX, &t, 0, 0)->error_code, 0);
    client_close(c);
}

PROTOCOL_TEST(fetch, followers_are_refused)
{
    struct client *c = client_open(b);
    for (int16_t version = FETCH_MIN; version <= FETCH_MAX; version++)
        for (int32_t replica_id = 0; replica_id <= 7; replica_id += 7) {
            struct rl_fetch_request ask;
            rl_fetch_request_init(&ask);
            ask.replica_id = ask.replica_state.replica_id = replica_id;
            const struct rl_fetch_response *reply = client_call(c, RL_API_FETCH, version, &ask);
            cr_assert_eq(reply->error_code, version >= 7 ? 42 : 0);
            cr_assert_eq(reply->session_id, 0);
            cr_assert_eq(reply->responses_count, 0);
        }
    client_close(c);
}

/* ---- a reader that does not read ---- */

/* Three connections ask for half a gigabyte and read nothing: the broker's memory stays bounded,
 * others are served, and in the end every byte comes. */
PROTOCOL_TEST(fetch, reader_that_stops_reading, "ringlog.log.tail.bytes=4000000")
{
    enum { MIB = 1 << 20, BATCHES = 24, ASKS = 8, READERS = 3 };
    struct client *c = client_open(b), *readers[READERS];
    struct topic t;
    topic_create(c, &t, "slow", 2, NULL);
    struct blob batch = batch_of(&(struct batch_spec){ .value_bytes = MIB - 1000 });
    struct blob small = batch_small(1);
    for (int i = 0; i < BATCHES; i++)
        produce_ok(c, &t, i % 2, batch);
    long before_kib = broker_resident_kib(b);
    for (int r = 0; r < READERS; r++) {
        readers[r] = client_open(b);
        for (int i = 0; i < ASKS; i++)
            fetch_send(readers[r], FETCH_MAX, &(struct fetch_ask){
                .count = 2, .from = { { .topic = &t, .max_bytes = 64 * MIB },
                                      { .topic = &t, .partition = 1, .max_bytes = 64 * MIB } } });
    }
    for (int i = 0; i < 30; i++) {
        produce_ok(c, &t, 0, small);
        fetch_one(c, FETCH_MAX, &t, 0, BATCHES / 2);
    }
    long after_kib = broker_resident_kib(b);
    cr_assert_lt(after_kib - before_kib, 250 * 1024, "resident grew from %ld to %ld KiB", before_kib, after_kib);
    for (int r = 0; r < READERS; r++) {
        for (int i = 0; i < ASKS; i++) {
            const struct rl_fetch_response *reply = client_receive(readers[r]);
            cr_assert_geq(fetch_part(reply, 0)->records.bytes, batch.size);
        }
        client_close(readers[r]);
    }
    rl_free(batch.bytes);
    rl_free(small.bytes);
    client_close(c);
}

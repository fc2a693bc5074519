/* tests/broker/protocol/test_protocol_sessions.c — fetch sessions (KIP-227): what is remembered, what
 * is told, and what ends one.  Every code and every order of epochs here was asked of Kafka 4.3.1. */
#include "core/memory.h"
#include "core/random.h"
#include "protocol_calls.h"
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { SESSION_MIN = 7, IDS_MIN = 13, SHARD_MASK = 127 };

/* ---- asking ---- */

struct part {
    const struct topic *topic;
    int32_t index;
    int64_t offset;
    int32_t last_fetched_epoch;         /* 0: not checked; else epoch + 1 */
};
struct ask {
    int32_t id, epoch;
    int32_t max_wait_ms, min_bytes;     /* 0: 1 */
    int32_t max_bytes;                  /* 0: 50 MiB */
    int8_t isolation_level;
    const struct part *parts;
    uint32_t part_count;
    const struct part *forget;
    uint32_t forget_count;
};
#define PARTS(...) .parts = (struct part[]){ __VA_ARGS__ }, \
    .part_count = sizeof((struct part[]){ __VA_ARGS__ }) / sizeof(struct part)
#define FORGET(...) .forget = (struct part[]){ __VA_ARGS__ }, \
    .forget_count = sizeof((struct part[]){ __VA_ARGS__ }) / sizeof(struct part)

static void ask_partition(struct rl_fetch_request_partition *p, const struct part *from)
{
    rl_fetch_request_partition_init(p);
    p->partition = from->index;
    p->fetch_offset = from->offset;
    p->last_fetched_epoch = from->last_fetched_epoch - 1;
    p->partition_max_bytes = 1 << 20;
}

/* One topic entry per partition: the broker must not care. */
static void ask_send(struct client *c, int16_t version, const struct ask *a)
{
    struct rl_fetch_request request;
    struct rl_fetch_request_partition *parts = calloc(a->part_count + 1, sizeof *parts);
    struct rl_fetch_request_topic *topics = calloc(a->part_count + 1, sizeof *topics);
    struct rl_fetch_request_forgotten_topic *forgotten = calloc(a->forget_count + 1, sizeof *forgotten);
    int32_t *indexes = calloc(a->forget_count + 1, sizeof *indexes);
    rl_fetch_request_init(&request);
    for (uint32_t i = 0; i < a->part_count; i++) {
        rl_fetch_request_topic_init(&topics[i]);
        ask_partition(&parts[i], &a->parts[i]);
        topics[i].topic = rl_slice_of_string(a->parts[i].topic->name);
        topics[i].topic_id = a->parts[i].topic->id;
        topics[i].partitions = &parts[i];
        topics[i].partitions_count = 1;
    }
    for (uint32_t i = 0; i < a->forget_count; i++) {
        rl_fetch_request_forgotten_topic_init(&forgotten[i]);
        indexes[i] = a->forget[i].index;
        forgotten[i].topic = rl_slice_of_string(a->forget[i].topic->name);
        forgotten[i].topic_id = a->forget[i].topic->id;
        forgotten[i].partitions = &indexes[i];
        forgotten[i].partitions_count = 1;
    }
    request.max_wait_ms = a->max_wait_ms;
    request.min_bytes = a->min_bytes == 0 ? 1 : a->min_bytes;
    request.max_bytes = a->max_bytes == 0 ? 50 << 20 : a->max_bytes;
    request.isolation_level = a->isolation_level;
    request.session_id = a->id;
    request.session_epoch = a->epoch;
    request.topics = topics;
    request.topics_count = (int32_t)a->part_count;
    request.forgotten_topics_data = forgotten;
    request.forgotten_topics_data_count = (int32_t)a->forget_count;
    client_send(c, RL_API_FETCH, version, &request);
    free(indexes);
    free(forgotten);
    free(topics);
    free(parts);
}

static const struct rl_fetch_response *ask(struct client *c, int16_t version, const struct ask *a)
{
    ask_send(c, version, a);
    return client_receive(c);
}

/* ---- looking at the answer ---- */

static uint32_t told_count(const struct rl_fetch_response *r)
{
    uint32_t count = 0;
    for (int32_t t = 0; t < r->responses_count; t++)
        count += (uint32_t)r->responses[t].partitions_count;
    return count;
}

/* NULL: the answer does not have it. */
static const struct rl_fetch_response_partition *told(const struct rl_fetch_response *r, int16_t version,
                                                      const struct topic *topic, int32_t index)
{
    for (int32_t t = 0; t < r->responses_count; t++) {
        const struct rl_fetch_response_topic *one = &r->responses[t];
        if (version >= IDS_MIN ? memcmp(&one->topic_id, &topic->id, sizeof topic->id) != 0
                               : !rl_slice_equal_string(one->topic, topic->name))
            continue;
        for (int32_t p = 0; p < one->partitions_count; p++)
            if (one->partitions[p].partition_index == index)
                return &one->partitions[p];
    }
    return NULL;
}

/* The answer is about this partition only. */
static const struct rl_fetch_response_partition *told_only(const struct rl_fetch_response *r, int16_t version,
                                                           const struct topic *topic, int32_t index)
{
    const struct rl_fetch_response_partition *p = told(r, version, topic, index);
    cr_assert_eq(r->error_code, 0, "error %d", r->error_code);
    cr_assert_not_null(p, "partition %d is not told", index);
    cr_assert_eq(told_count(r), 1, "%u partitions told", told_count(r));
    return p;
}

static void expect_nothing(const struct rl_fetch_response *r, int32_t session_id)
{
    cr_assert_eq(r->error_code, 0, "error %d", r->error_code);
    cr_assert_eq(r->session_id, session_id);
    cr_assert_eq(told_count(r), 0, "%u partitions told", told_count(r));
}

static void expect_error(const struct rl_fetch_response *r, int16_t error)
{
    cr_assert_eq(r->error_code, error, "error %d, not %d", r->error_code, error);
    cr_assert_eq(r->session_id, 0);
    cr_assert_eq(told_count(r), 0);
}

static void expect_failed(const struct rl_fetch_response_partition *p, int16_t error)
{
    cr_assert_eq(p->error_code, error, "error %d, not %d", p->error_code, error);
    cr_assert_eq(p->high_watermark, -1);
    cr_assert_eq(p->log_start_offset, -1);
    cr_assert_eq(p->records.bytes, 0);
}

/* A batch with one record. */
static struct blob batch_one(void)
{
    return batch_of(&(struct batch_spec){ .records = 1, .value_bytes = 20, .seed = 1 });
}

static bool has_answer(const struct client *c, int wait_ms)
{
    struct pollfd poller = { .fd = c->fd, .events = POLLIN };
    return poll(&poller, 1, wait_ms) == 1;
}

/* A session over the partitions, all told. */
static int32_t session_open(struct client *c, int16_t version, const struct part *parts, uint32_t count)
{
    const struct rl_fetch_response *r = ask(c, version, &(struct ask){ .parts = parts, .part_count = count });
    cr_assert_eq(r->error_code, 0);
    cr_assert_eq(told_count(r), count);
    cr_assert_gt(r->session_id, 0);
    return r->session_id;
}

/* A connection on the shard where the session was made.  New ones go to the shard with the fewest,
 * so that the others are kept until it is found. */
static struct client *client_on_shard(struct broker *b, int32_t session_id, const struct topic *t)
{
    struct client *others[64], *found = NULL;
    uint32_t count = 0;
    while (found == NULL) {
        cr_assert_lt(count, RL_ARRAY_COUNT(others), "no connection on the same shard");
        struct client *c = client_open(b);
        int32_t id = session_open(c, FETCH_MAX, &(struct part){ t }, 1);
        if ((id & SHARD_MASK) == (session_id & SHARD_MASK))
            found = c;
        else
            others[count++] = c;
    }
    while (count > 0)
        client_close(others[--count]);
    return found;
}

/* ---- life ---- */

PROTOCOL_TEST(sessions, epochs_ids_and_ends)
{
    struct client *c = client_open(b);
    struct topic t, u;
    topic_create(c, &t, "t", 4, NULL);
    topic_create(c, &u, "u", 2, NULL);
    for (int16_t v = SESSION_MIN; v <= FETCH_MAX; v++) {
        const struct rl_fetch_response *r = ask(c, v, &(struct ask){ .epoch = -1, PARTS({ &t }) });
        cr_assert_eq(r->session_id, 0);
        cr_assert_eq(told_only(r, v, &t, 0)->high_watermark, 0);
        expect_error(ask(c, v, &(struct ask){ .epoch = 1, PARTS({ &t }) }), 70);
        expect_error(ask(c, v, &(struct ask){ .epoch = -2, PARTS({ &t }) }), 70);
        int32_t id = session_open(c, v, (struct part[]){ { &t }, { &t, 1 }, { &u } }, 3);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = -2 }), 71);
        int64_t before_ms = now_ms();
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 1, .max_wait_ms = 60 }), id);
        cr_assert_geq(now_ms() - before_ms, 60);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = 1 }), 71);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = 3 }), 71);
        int16_t other = v >= IDS_MIN ? IDS_MIN - 1 : IDS_MIN;
        expect_error(ask(c, other, &(struct ask){ .id = id, .epoch = 2 }), 106);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 2 }), id);
        /* Another one instead. */
        r = ask(c, v, &(struct ask){ .id = id, .epoch = 0, PARTS({ &t, 2 }) });
        int32_t next = r->session_id;
        cr_assert_neq(next, id);
        told_only(r, v, &t, 2);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = 3 }), 70);
        expect_nothing(ask(c, v, &(struct ask){ .id = next, .epoch = 1 }), next);
        /* An end, with and without a last look. */
        expect_nothing(ask(c, v, &(struct ask){ .id = next, .epoch = -1 }), 0);
        expect_error(ask(c, v, &(struct ask){ .id = next, .epoch = 2 }), 70);
        id = session_open(c, v, &(struct part){ &t }, 1);
        r = ask(c, v, &(struct ask){ .id = id, .epoch = -1, PARTS({ &u, 1 }) });
        cr_assert_eq(r->session_id, 0);
        told_only(r, v, &u, 1);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = 1 }), 70);
    }
    client_close(c);
}

PROTOCOL_TEST(sessions, partitions_come_and_go)
{
    struct client *c = client_open(b);
    struct topic t, u;
    topic_create(c, &t, "t", 4, NULL);
    topic_create(c, &u, "u", 2, NULL);
    for (int16_t v = SESSION_MIN; v <= FETCH_MAX; v++) {
        int32_t id = session_open(c, v, (struct part[]){ { &t }, { &t, 1 } }, 2);
        told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 1, PARTS({ &u, 1 }) }), v, &u, 1);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 2, PARTS({ &u, 1 }, { &t, 1 }) }), id);
        /* What nobody knows is told each time, and waits with the others. */
        int64_t before_ms = now_ms();
        expect_failed(told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 3, .max_wait_ms = 60,
                                                         PARTS({ &t, 9 }) }), v, &t, 9), 3);
        expect_failed(told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 4, .max_wait_ms = 60 }), v, &t, 9), 3);
        cr_assert_geq(now_ms() - before_ms, 120);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 5, FORGET({ &t, 9 }) }), id);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 6, FORGET({ &t, 3 }, { &u, 0 }) }), id);
        /* A partition's own error is told at once. */
        before_ms = now_ms();
        expect_failed(told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 7, .max_wait_ms = 60000,
                                                         PARTS({ &t, 0, 5 }) }), v, &t, 0), 1);
        cr_assert_lt(now_ms() - before_ms, 30000);
        cr_assert_eq(told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 8, PARTS({ &t, 0 }) }), v, &t, 0)
                         ->high_watermark, 0);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 9, PARTS({ &t, 3 }), FORGET({ &t, 3 }) }), id);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 10, FORGET({ &t, 0 }, { &u, 1 }) }), id);
        /* The last one takes the session with it. */
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 11, FORGET({ &t, 1 }) }), 0);
        expect_error(ask(c, v, &(struct ask){ .id = id, .epoch = 12 }), 70);
        /* One may begin with nothing. */
        const struct rl_fetch_response *r = ask(c, v, &(struct ask){ .epoch = 0 });
        cr_assert_gt(r->session_id, 0);
        id = r->session_id;
        told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 1, PARTS({ &t }) }), v, &t, 0);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = -1 }), 0);
    }
    client_close(c);
}

/* ---- news ---- */

PROTOCOL_TEST(sessions, only_news_is_told)
{
    struct client *c = client_open(b);
    struct blob batch = batch_one();
    for (int16_t v = SESSION_MIN; v <= FETCH_MAX; v++) {
        struct topic t;
        char name[32];
        snprintf(name, sizeof name, "news-%d", v);
        topic_create(c, &t, name, 3, NULL);
        int32_t id = session_open(c, v, (struct part[]){ { &t }, { &t, 1 }, { &t, 2 } }, 3);
        produce_ok(c, &t, 1, batch);
        for (int32_t epoch = 1; epoch <= 2; epoch++) {  /* twice, since nobody moved the offset */
            const struct rl_fetch_response_partition *p =
                told_only(ask(c, v, &(struct ask){ .id = id, .epoch = epoch, .max_wait_ms = 60000 }), v, &t, 1);
            cr_assert_eq(p->high_watermark, 1);
            cr_assert_eq(p->records.bytes, batch.size);
        }
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 3, .max_wait_ms = 20, PARTS({ &t, 1, 1 }) }), id);
        /* One batch fits: everybody has a turn. */
        for (int32_t p = 0; p < 3; p++)
            produce_ok(c, &t, p, batch);
        bool seen[3] = { false };
        for (int32_t epoch = 4; epoch < 7; epoch++) {
            const struct rl_fetch_response *r =
                ask(c, v, &(struct ask){ .id = id, .epoch = epoch, .max_bytes = 1, .isolation_level = 1 });
            uint32_t with_data = 0;
            for (int32_t p = 0; p < 3; p++) {
                const struct rl_fetch_response_partition *part = told(r, v, &t, p);
                if (part == NULL || part->records.bytes == 0)
                    continue;
                with_data++;
                seen[p] = true;
            }
            cr_assert_eq(with_data, 1);
        }
        cr_assert(seen[0] && seen[1] && seen[2]);
        /* Too little to answer: the time decides. */
        int64_t before_ms = now_ms();
        const struct rl_fetch_response *r =
            ask(c, v, &(struct ask){ .id = id, .epoch = 7, .max_wait_ms = 60, .min_bytes = 1000000 });
        cr_assert_geq(now_ms() - before_ms, 60);
        cr_assert_eq(told_count(r), 3);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = 8, .max_wait_ms = 20,
                                                PARTS({ &t, 0, 1 }, { &t, 1, 2 }, { &t, 2, 1 }) }), id);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = -1 }), 0);
    }
    rl_free(batch.bytes);
    client_close(c);
}

/* Min.bytes of several partitions together, whatever shards they are on. */
PROTOCOL_TEST(sessions, partitions_add_up_to_min_bytes)
{
    enum { PARTITIONS = 8 };
    struct client *c = client_open(b), *writer = client_open(b);
    struct blob batch = batch_one();
    struct part parts[PARTITIONS];
    struct topic t;
    topic_create(c, &t, "sum", PARTITIONS, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++)
        parts[p] = (struct part){ &t, p, 0, 0 };
    int32_t id = session_open(c, FETCH_MAX, parts, PARTITIONS);
    ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = 1, .max_wait_ms = 60000,
                                          .min_bytes = (int32_t)batch.size * PARTITIONS });
    for (int32_t p = 0; p < PARTITIONS; p++) {
        cr_assert(!has_answer(c, 10), "answered after %d of %d batches", p, PARTITIONS);
        produce_ok(writer, &t, p, batch);
    }
    const struct rl_fetch_response *r = client_receive(c);
    cr_assert_eq(told_count(r), PARTITIONS);
    for (int32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq(told(r, FETCH_MAX, &t, p)->records.bytes, batch.size);
    rl_free(batch.bytes);
    client_close(c);
    client_close(writer);
}

PROTOCOL_TEST(sessions, topics_deleted_and_made_again)
{
    struct client *c = client_open(b), *other = client_open(b);
    struct blob batch = batch_one();
    for (int16_t v = SESSION_MIN; v <= FETCH_MAX; v += 3) {
        struct topic t, idle;
        char name[32];
        snprintf(name, sizeof name, "idle-%d", v);
        topic_create(c, &idle, name, 1, NULL);
        snprintf(name, sizeof name, "again-%d", v);
        topic_create(c, &t, name, 2, NULL);
        produce_ok(c, &t, 1, batch);
        int32_t id = session_open(c, v, (struct part[]){ { &t }, { &t, 1, 1 }, { &idle } }, 3);
        ask_send(c, v, &(struct ask){ .id = id, .epoch = 1, .max_wait_ms = 60000 });
        cr_assert(!has_answer(c, 30));
        cr_assert_eq(topic_delete(other, t.name), 0);
        const struct rl_fetch_response *r = client_receive(c);
        cr_assert_null(told(r, v, &idle, 0));
        const struct rl_fetch_response_partition *any = told(r, v, &t, 0);
        expect_failed(any != NULL ? any : told(r, v, &t, 1), 3);
        r = ask(c, v, &(struct ask){ .id = id, .epoch = 2, .max_wait_ms = 20 });
        cr_assert_eq(told_count(r), 2);
        expect_failed(told(r, v, &t, 0), 3);
        expect_failed(told(r, v, &t, 1), 3);
        struct topic again;
        topic_create(other, &again, t.name, 2, NULL);
        r = ask(c, v, &(struct ask){ .id = id, .epoch = 3, .max_wait_ms = 60000 });
        if (v < IDS_MIN) {              /* the same name, whoever has it */
            cr_assert_eq(told(r, v, &t, 0)->error_code, 0);
            expect_failed(told(r, v, &t, 1), 1);
        } else {                        /* the name belongs to another id now */
            expect_failed(told(r, v, &t, 0), 103);
            expect_failed(told(r, v, &t, 1), 103);
            r = ask(c, v, &(struct ask){ .id = id, .epoch = 4, PARTS({ &again }), FORGET({ &t }, { &t, 1 }) });
            cr_assert_eq(told_only(r, v, &again, 0)->error_code, 0);
            produce_ok(other, &again, 0, batch);
            r = ask(c, v, &(struct ask){ .id = id, .epoch = 5, .max_wait_ms = 60000 });
            cr_assert_eq(told_only(r, v, &again, 0)->records.bytes, batch.size);
        }
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = -1 }), 0);
    }
    rl_free(batch.bytes);
    client_close(c);
    client_close(other);
}

PROTOCOL_TEST(sessions, diverging_epochs)
{
    struct client *c = client_open(b);
    struct blob batch = batch_one();
    struct topic t;
    topic_create(c, &t, "diverging", 2, NULL);
    produce_ok(c, &t, 0, batch);
    for (int16_t v = 12; v <= FETCH_MAX; v++) {
        int32_t id = session_open(c, v, (struct part[]){ { &t, 0, 1, 1 }, { &t, 1 } }, 2);
        int64_t before_ms = now_ms();
        for (int32_t epoch = 1; epoch <= 2; epoch++) {
            const struct rl_fetch_response_partition *p =
                told_only(ask(c, v, &(struct ask){ .id = id, .epoch = epoch, .max_wait_ms = 60000,
                                                   PARTS({ &t, 0, 3, 1 }) }), v, &t, 0);
            cr_assert_eq(p->error_code, 0);
            cr_assert_eq(p->diverging_epoch.epoch, 0);
            cr_assert_eq(p->diverging_epoch.end_offset, 1);
            cr_assert_eq(p->high_watermark, 1);
            cr_assert_eq(p->records.bytes, 0);
        }
        /* An epoch that never was. */
        expect_failed(told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 3, .max_wait_ms = 60000,
                                                         PARTS({ &t, 0, 1, 6 }) }), v, &t, 0), 1);
        cr_assert_lt(now_ms() - before_ms, 30000);
        const struct rl_fetch_response_partition *p =
            told_only(ask(c, v, &(struct ask){ .id = id, .epoch = 4, PARTS({ &t, 0, 1, 1 }) }), v, &t, 0);
        cr_assert_eq(p->diverging_epoch.end_offset, -1);
        expect_nothing(ask(c, v, &(struct ask){ .id = id, .epoch = -1 }), 0);
    }
    rl_free(batch.bytes);
    client_close(c);
}

/* ---- a thousand partitions ---- */

/* Idle: few bytes, and no more fetches than max.wait.ms allows.  Not idle: the one that moved,
 * at once.  The best of many wakes counts, because other processes share the machine. */
PROTOCOL_TEST(sessions, a_thousand_idle_partitions)
{
    enum { PARTITIONS = 1000, WAKES = 40, REPLY_BYTES_MAX = 100, WAKE_MS_MAX = 5, WAIT_MS = 500 };
    struct client *c = client_open(b), *writer = client_open(b);
    struct blob batch = batch_one();
    struct part *parts = calloc(PARTITIONS, sizeof *parts);
    struct topic t;
    topic_create(c, &t, "thousand", PARTITIONS, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++)
        parts[p] = (struct part){ &t, p, 0, 0 };
    int32_t id = session_open(c, FETCH_MAX, parts, PARTITIONS), epoch = 1, fetches = 0;
    int64_t begin_ms = now_ms();
    do {
        expect_nothing(ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++, .max_wait_ms = WAIT_MS }), id);
        cr_assert_leq(c->frame_bytes + 4, REPLY_BYTES_MAX);
        fetches++;
    } while (now_ms() - begin_ms < 2 * WAIT_MS);
    cr_assert_leq(fetches, 3);
    int64_t best_ms = INT64_MAX;
    for (int i = 0; i < WAKES; i++) {
        struct part *p = &parts[i * 77 % PARTITIONS];
        ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++, .max_wait_ms = 60000 });
        cr_assert(!has_answer(c, 5));
        produce_ok(writer, &t, p->index, batch);
        int64_t produced_ms = now_ms();
        const struct rl_fetch_response *r = client_receive(c);
        best_ms = RL_MIN(best_ms, now_ms() - produced_ms);
        cr_assert_eq(told_only(r, FETCH_MAX, &t, p->index)->records.bytes, batch.size);
        expect_nothing(ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++,
                                                        .parts = &(struct part){ &t, p->index, ++p->offset, 0 },
                                                        .part_count = 1 }), id);
    }
    cr_assert_leq(best_ms, WAKE_MS_MAX);
    free(parts);
    rl_free(batch.bytes);
    client_close(c);
    client_close(writer);
}

/* ---- connections ---- */

PROTOCOL_TEST(sessions, belong_to_a_shard)
{
    enum { OTHERS = 12 };
    struct client *c = client_open(b), *others[OTHERS];
    struct topic t;
    topic_create(c, &t, "shards", 1, NULL);
    int32_t id = session_open(c, FETCH_MAX, &(struct part){ &t }, 1), epoch = 1, here = 0;
    for (int i = 0; i < OTHERS; i++) {
        others[i] = client_open(b);
        int32_t own = session_open(others[i], FETCH_MAX, &(struct part){ &t }, 1);
        cr_assert_neq(own, id);
        if ((own & SHARD_MASK) == (id & SHARD_MASK)) {
            expect_nothing(ask(others[i], FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++ }), id);
            here++;
        } else {
            expect_error(ask(others[i], FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch }), 70);
            expect_nothing(ask(others[i], FETCH_MAX, &(struct ask){ .id = id, .epoch = -1 }), 0);
        }
    }
    cr_assert(b->shards == 1 ? here == OTHERS : here > 0 && here < OTHERS);
    expect_nothing(ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch }), id);
    for (int i = 0; i < OTHERS; i++)
        client_close(others[i]);
    client_close(c);
}

/* A fetch that is parked when another connection goes on with its session. */
PROTOCOL_TEST(sessions, another_connection_goes_on)
{
    struct client *c = client_open(b);
    struct blob batch = batch_one();
    struct topic t;
    topic_create(c, &t, "taken", 2, NULL);
    int32_t id = session_open(c, FETCH_MAX, (struct part[]){ { &t }, { &t, 1 } }, 2);
    struct client *taker = client_on_shard(b, id, &t);
    ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = 1, .max_wait_ms = 60000 });
    ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = 2, .max_wait_ms = 60000 });
    cr_assert(!has_answer(c, 50));
    expect_error(ask(taker, FETCH_MAX, &(struct ask){ .id = id, .epoch = 2 }), 71);
    ask_send(taker, FETCH_MAX, &(struct ask){ .id = id, .epoch = 3, .max_wait_ms = 60000 });
    expect_error(client_receive(c), 71);
    expect_error(client_receive(c), 71);
    cr_assert(!has_answer(taker, 50));
    produce_ok(c, &t, 1, batch);
    told_only(client_receive(taker), FETCH_MAX, &t, 1);
    /* Closed while parked: the fetch goes on, the session is gone. */
    ask_send(taker, FETCH_MAX, &(struct ask){ .id = id, .epoch = 4, .max_wait_ms = 60000, PARTS({ &t, 1, 1 }) });
    cr_assert(!has_answer(taker, 50));
    expect_nothing(ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = -1 }), 0);
    cr_assert(!has_answer(taker, 50));
    produce_ok(c, &t, 0, batch);
    told_only(client_receive(taker), FETCH_MAX, &t, 0);
    expect_error(ask(taker, FETCH_MAX, &(struct ask){ .id = id, .epoch = 5 }), 70);
    rl_free(batch.bytes);
    client_close(taker);
    client_close(c);
}

/* Fetches sent ahead on one connection run one after the other.  When it is closed, what they change
 * is not lost quietly: the session has it all, or is gone. */
PROTOCOL_TEST(sessions, pipelined)
{
    enum { PARTITIONS = 4 };
    struct client *c = client_open(b), *writer = client_open(b);
    struct blob batch = batch_one();
    struct topic t;
    topic_create(c, &t, "pipelined", PARTITIONS, NULL);
    int32_t id = session_open(c, FETCH_MAX, (struct part[]){ { &t }, { &t, 1 }, { &t, 2 }, { &t, 3 } }, PARTITIONS);
    struct client *other = client_on_shard(b, id, &t);
    for (int32_t p = 0; p < PARTITIONS; p++)            /* each one moves on what the last has answered */
        ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = p + 1, .max_wait_ms = 60000,
                                              .parts = &(struct part){ &t, p - 1, 1, 0 }, .part_count = p > 0 });
    for (int32_t p = 0; p < PARTITIONS; p++) {
        cr_assert(!has_answer(c, 20));
        produce_ok(writer, &t, p, batch);
        cr_assert_eq(told_only(client_receive(c), FETCH_MAX, &t, p)->records.bytes, batch.size);
    }
    for (int32_t i = 0; i < 3; i++)
        ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = PARTITIONS + 1 + i, .max_wait_ms = 60000,
                                              PARTS({ &t, 3, 1 }) });
    cr_assert(!has_answer(c, 20));
    client_close(c);
    const struct rl_fetch_response *r = ask(other, FETCH_MAX, &(struct ask){ .id = id, .epoch = PARTITIONS + 4 });
    if (r->error_code == 0)
        expect_nothing(r, id);
    else
        expect_error(r, 70);
    rl_free(batch.bytes);
    client_close(writer);
    client_close(other);
}

/* A connection leaves its fetch parked; the session goes on from another, and misses nothing. */
PROTOCOL_TEST(sessions, outlive_their_connection)
{
    enum { ROUNDS = 10 };
    struct client *writer = client_open(b), *c = client_open(b);
    struct blob batch = batch_one();
    struct topic t;
    topic_create(writer, &t, "outlive", 2, NULL);
    int32_t id = session_open(c, FETCH_MAX, (struct part[]){ { &t }, { &t, 1 } }, 2), epoch = 1;
    for (int i = 0; i < ROUNDS; i++) {
        struct client *next = client_on_shard(b, id, &t);
        ask_send(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++, .max_wait_ms = 60000,
                                              PARTS({ &t, 0, i }) });
        cr_assert(!has_answer(c, 10));
        if (i % 2 == 0)
            produce_ok(writer, &t, 0, batch);
        client_close(c);
        if (i % 2 == 1)
            produce_ok(writer, &t, 0, batch);
        c = next;
        const struct rl_fetch_response *r =
            ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch++, .max_wait_ms = 60000 });
        cr_assert_eq(told_only(r, FETCH_MAX, &t, 0)->records.bytes, batch.size);
    }
    broker_kill(b);
    broker_start(b);
    client_close(c);
    c = client_open(b);
    expect_error(ask(c, FETCH_MAX, &(struct ask){ .id = id, .epoch = epoch }), 70);
    rl_free(batch.bytes);
    client_close(c);
    client_close(writer);
}

PROTOCOL_TEST(sessions, slots_are_limited, "max.incremental.fetch.session.cache.slots=8")
{
    enum { ASKS = 40 };
    struct client *c = client_open(b);
    struct topic t;
    int32_t made = 0, ids[ASKS];
    topic_create(c, &t, "slots", 2, NULL);
    for (int i = 0; i < ASKS; i++) {
        const struct rl_fetch_response *r = ask(c, FETCH_MAX, &(struct ask){ .epoch = 0, PARTS({ &t }, { &t, 1 }) });
        cr_assert_eq(r->error_code, 0);
        cr_assert_eq(told_count(r), 2);
        if (r->session_id != 0)
            ids[made++] = r->session_id;
    }
    cr_assert_eq(made, 8 / (int32_t)b->shards);         /* of this connection's shard; all are new */
    for (int i = 0; i < made; i++)
        expect_nothing(ask(c, FETCH_MAX, &(struct ask){ .id = ids[i], .epoch = i % 2 == 0 ? 1 : -1 }),
                       i % 2 == 0 ? ids[i] : 0);
    for (int i = 0; i < made / 2; i++)                  /* what was closed has made room */
        session_open(c, FETCH_MAX, &(struct part){ &t }, 1);
    cr_assert_eq(ask(c, FETCH_MAX, &(struct ask){ .epoch = 0, PARTS({ &t }) })->session_id, 0);
    client_close(c);
}

/* Sessions take bounded memory: one that is too large is refused, and so are too many. */
PROTOCOL_TEST(sessions, memory_is_bounded)
{
    enum { MANY = 100000, SOME = 10000, SESSIONS = 40, GROWTH_KIB_MAX = 160 * 1024 };
    struct client *c = client_open(b);
    struct part *parts = calloc(MANY, sizeof *parts);
    struct topic t;
    topic_create(c, &t, "memory", 1, NULL);
    for (int32_t p = 0; p < MANY; p++)
        parts[p] = (struct part){ &t, p, 0, 0 };
    cr_assert_eq(ask(c, FETCH_MAX, &(struct ask){ .parts = parts, .part_count = MANY })->session_id, 0);
    long before_kib = broker_resident_kib(b);
    int32_t refused = 0, last = 0;
    for (int i = 0; i < SESSIONS; i++) {
        int32_t id = ask(c, FETCH_MAX, &(struct ask){ .parts = parts, .part_count = SOME })->session_id;
        refused += id == 0;
        last = id != 0 ? id : last;
    }
    cr_assert_geq(refused, SESSIONS / 3);
    cr_assert_lt(refused, SESSIONS);
#ifndef __SANITIZE_ADDRESS__              /* it keeps what was freed */
    long growth_kib = broker_resident_kib(b) - before_kib;
    cr_assert_lt(growth_kib, GROWTH_KIB_MAX, "resident grew by %ld KiB", growth_kib);
#else
    (void)before_kib;
#endif
    /* One that grows over the bound is closed, and says so. */
    expect_error(ask(c, FETCH_MAX, &(struct ask){ .id = last, .epoch = 1, .parts = parts, .part_count = MANY }), 70);
    expect_error(ask(c, FETCH_MAX, &(struct ask){ .id = last, .epoch = 2 }), 70);
    int32_t id = ask(c, FETCH_MAX, &(struct ask){ .parts = parts, .part_count = 1 })->session_id;
    cr_assert_neq(id, 0);
    free(parts);
    client_close(c);
}

/* ---- everything at once ---- */

enum { CHURN_PARTITIONS = 16, CHURN_STEPS = 1500 };

struct churn {                          /* a consumer's side of a session, and the truth */
    struct topic topics[2];
    int32_t id, epoch;
    bool wanted[CHURN_PARTITIONS];
    int64_t position[CHURN_PARTITIONS], end[CHURN_PARTITIONS];
    bool changed[CHURN_PARTITIONS];     /* to be named in the next fetch */
    bool dropped[CHURN_PARTITIONS];
};

static struct part churn_part(const struct churn *m, int p)
{
    return (struct part){ &m->topics[p % 2], p / 2, m->position[p], 0 };
}

static void churn_take(struct churn *m, const struct rl_fetch_response *r, size_t batch_bytes)
{
    uint32_t expected = 0;
    for (int p = 0; p < CHURN_PARTITIONS; p++) {
        const struct rl_fetch_response_partition *part = told(r, FETCH_MAX, &m->topics[p % 2], p / 2);
        if (part == NULL)
            continue;
        cr_assert(m->wanted[p], "partition %d was forgotten", p);
        cr_assert_eq(part->error_code, 0);
        cr_assert_eq(part->records.bytes % batch_bytes, 0);
        m->position[p] += (int64_t)(part->records.bytes / batch_bytes);
        m->changed[p] = part->records.bytes > 0;
        expected++;
    }
    cr_assert_eq(told_count(r), expected, "a partition nobody asked for");
}

/* One fetch: 0 in full, else with what changed. */
static void churn_fetch(struct churn *m, struct client *c, bool in_full, int32_t max_wait_ms, size_t batch_bytes)
{
    struct part parts[CHURN_PARTITIONS], forget[CHURN_PARTITIONS];
    struct ask a = { .max_wait_ms = max_wait_ms, .parts = parts, .forget = forget };
    for (int p = 0; p < CHURN_PARTITIONS; p++) {
        if (m->wanted[p] && (in_full || m->changed[p]))
            parts[a.part_count++] = churn_part(m, p);
        if (!in_full && m->dropped[p])
            forget[a.forget_count++] = churn_part(m, p);
        m->changed[p] = m->dropped[p] = false;
    }
    a.id = m->id;
    a.epoch = in_full ? 0 : m->epoch;
    const struct rl_fetch_response *r = ask(c, FETCH_MAX, &a);
    cr_assert_eq(r->error_code, 0, "error %d", r->error_code);
    m->id = r->session_id;
    m->epoch = in_full ? 1 : m->epoch + 1;
    churn_take(m, r, batch_bytes);
}

static void churn_change(struct churn *m, struct rl_random *random)
{
    int p = (int)rl_random_below(random, CHURN_PARTITIONS);
    m->wanted[p] = rl_random_below(random, 3) > 0;
    m->dropped[p] = !m->wanted[p];
    m->changed[p] = m->wanted[p];
    if (m->wanted[p] && rl_random_below(random, 4) == 0)
        m->position[p] = (int64_t)rl_random_below(random, (uint64_t)m->end[p] + 1);
}

/* Partitions come, go and are sought in while they are written to: every one that is wanted arrives
 * at its end, and nothing else is told. */
PROTOCOL_TEST(sessions, churn)
{
    struct client *c = client_open(b), *writer = client_open(b);
    struct blob batch = batch_one();
    struct churn m = { .epoch = 1 };
    struct rl_random random;
    rl_random_init(&random, 20261128);
    topic_create(c, &m.topics[0], "churn-0", CHURN_PARTITIONS / 2, NULL);
    topic_create(c, &m.topics[1], "churn-1", CHURN_PARTITIONS / 2, NULL);
    m.wanted[0] = true;
    churn_fetch(&m, c, true, 0, batch.size);
    for (int step = 0; step < CHURN_STEPS; step++) {
        for (uint64_t i = rl_random_below(&random, 3); i > 0; i--) {
            int p = (int)rl_random_below(&random, CHURN_PARTITIONS);
            cr_assert_eq(produce_ok(writer, &m.topics[p % 2], p / 2, batch), m.end[p]++);
        }
        for (uint64_t i = rl_random_below(&random, 4); i > 0; i--)
            churn_change(&m, &random);
        if (rl_random_below(&random, 100) == 0 || m.id == 0)    /* an empty session was ended */
            churn_fetch(&m, c, true, 0, batch.size);
        else
            churn_fetch(&m, c, false, step % 8 == 0 ? 2 : 0, batch.size);
    }
    for (int i = 0; i < 3 && m.id != 0; i++)
        churn_fetch(&m, c, false, 0, batch.size);
    for (int p = 0; p < CHURN_PARTITIONS && m.id != 0; p++)
        cr_assert(!m.wanted[p] || m.position[p] == m.end[p], "partition %d: at %lld of %lld", p,
                  (long long)m.position[p], (long long)m.end[p]);
    rl_free(batch.bytes);
    client_close(c);
    client_close(writer);
}

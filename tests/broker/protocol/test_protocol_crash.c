/* tests/broker/protocol/test_protocol_crash.c — kill, stop and delete under load.
 *
 * An idempotent producer with five batches in flight on each of 8 partitions: after every kill
 * or stop it sends again what was not acknowledged, and in the end each partition must hold each
 * of its batches exactly once and in order. */
#include "core/memory.h"
#include "log/batch.h"
#include "protocol_calls.h"
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>

enum { PARTITIONS = 8, AHEAD = 5, BATCHES_MAX = 400 };

struct lane {                           /* one partition's producer */
    struct blob batches[BATCHES_MAX];
    uint32_t sent, acknowledged;
    int64_t next_offset;
};
struct load {
    struct client *client;
    struct topic topic;
    struct lane lanes[PARTITIONS];
    uint8_t order[PARTITIONS * AHEAD * 2];      /* lanes of the replies that are due */
    uint32_t order_head, order_tail;
};

static int16_t load_acks(uint32_t number)
{
    return number % 4 == 3 ? -1 : 1;
}

static void load_send(struct load *load, uint32_t l)
{
    struct lane *lane = &load->lanes[l];
    uint32_t number = lane->sent++;
    struct blob *batch = &lane->batches[number];
    if (batch->bytes == NULL)
        *batch = batch_of(&(struct batch_spec){
            .records = 2, .value_bytes = 100 + number * 37 % 900, .seed = number * PARTITIONS + l,
            .producer_id = l + 1, .base_sequence = (int32_t)number * 2, .codec = number % 5,
            .base_timestamp_ms = wall_ms() });
    produce_send(load->client, 13, &load->topic, (int32_t)l, load_acks(number),
                 rl_slice_of(batch->bytes, batch->size));
    load->order[load->order_tail++ % sizeof load->order] = (uint8_t)l;
}

/* False: the connection is gone. */
static bool load_receive(struct load *load)
{
    const struct rl_produce_response *reply = client_receive_or_close(load->client);
    if (reply == NULL)
        return false;
    struct lane *lane = &load->lanes[load->order[load->order_head++ % sizeof load->order]];
    const struct rl_produce_response_partition *part = &reply->responses[0].partition_responses[0];
    if (part->error_code == 6)          /* stopping: not appended, asked again later */
        return false;
    cr_assert_eq(part->error_code, 0, "batch %u of partition %d: error %d", lane->acknowledged,
                 part->index, part->error_code);
    cr_assert_eq(part->base_offset, (int64_t)lane->acknowledged * 2);
    lane->acknowledged++;
    return true;
}

/* Send and receive until `target` batches of each lane are acknowledged, or the connection is
 * gone; leaves with batches in flight unless target is the end. */
static bool load_run(struct load *load, uint32_t target)
{
    for (;;) {
        bool done = true;
        for (uint32_t l = 0; l < PARTITIONS; l++) {
            struct lane *lane = &load->lanes[l];
            while (lane->sent < lane->acknowledged + AHEAD && lane->sent < BATCHES_MAX)
                load_send(load, l);
            done &= lane->acknowledged >= target;
        }
        if (done)
            return true;
        if (!load_receive(load))
            return false;
    }
}

/* A new connection; what was not acknowledged is sent again. */
static void load_connect(struct load *load, const struct broker *b)
{
    load->client = client_open(b);
    load->order_head = load->order_tail = 0;
    for (uint32_t l = 0; l < PARTITIONS; l++)
        load->lanes[l].sent = load->lanes[l].acknowledged;
}

static void load_check(struct load *load)
{
    for (uint32_t l = 0; l < PARTITIONS; l++) {
        const struct lane *lane = &load->lanes[l];
        struct blob all = fetch_all(load->client, &load->topic, (int32_t)l, 0);
        size_t at = 0;
        uint32_t number = 0;
        for (; at < all.size; number++) {
            cr_assert(number < BATCHES_MAX && lane->batches[number].bytes != NULL,
                      "partition %u: batch %u was never sent", l, number);
            cr_assert_leq(at + lane->batches[number].size, all.size);
            cr_assert(batch_same(all.bytes + at, lane->batches[number].bytes, lane->batches[number].size),
                      "partition %u: batch %u is lost, twice there or changed", l, number);
            at += lane->batches[number].size;
        }
        cr_assert_geq(number, lane->acknowledged, "partition %u: %u batches, %u acknowledged", l,
                      number, lane->acknowledged);
        free(all.bytes);
    }
}

static void load_over_ends(struct broker *b, bool clean)
{
    enum { LIVES = 4, PER_LIFE = 40 };
    struct load *load = calloc(1, sizeof *load);
    load_connect(load, b);
    topic_create(load->client, &load->topic, "load", PARTITIONS, NULL);
    for (uint32_t life = 1; life <= LIVES; life++) {
        cr_assert(load_run(load, life * PER_LIFE));
        if (clean) {
            broker_terminate(b);
            while (load->order_head != load->order_tail && load_receive(load))
                ;                       /* requests in flight are answered */
            broker_wait(b);
        } else {
            broker_kill(b);
        }
        client_close(load->client);
        broker_start(b);
        load_connect(load, b);
        load_check(load);
    }
    cr_assert(load_run(load, (LIVES + 1) * PER_LIFE));
    while (load->order_head != load->order_tail)
        cr_assert(load_receive(load));
    load_check(load);
    for (uint32_t l = 0; l < PARTITIONS; l++) {
        cr_assert_eq(log_end(load->client, &load->topic, (int32_t)l), load->lanes[l].acknowledged * 2);
        for (uint32_t i = 0; i < BATCHES_MAX; i++)
            rl_free(load->lanes[l].batches[i].bytes);
    }
    client_close(load->client);
    free(load);
}

PROTOCOL_TEST(crash, kill_under_load, "log.segment.bytes=40000")
{
    load_over_ends(b, false);
}

PROTOCOL_TEST(crash, clean_stop_under_load, "log.segment.bytes=40000")
{
    load_over_ends(b, true);
}

/* A parked fetch, an idle connection and half a frame do not hold up a clean stop. */
PROTOCOL_TEST(crash, clean_stop_with_idle_and_parked)
{
    struct client *parked = client_open(b), *idle = client_open(b), *half = client_open(b);
    struct topic t;
    topic_create(parked, &t, "parked", 4, NULL);
    struct fetch_ask ask = { .max_wait_ms = 600000, .min_bytes = 1, .count = 4 };
    for (int32_t p = 0; p < 4; p++)
        ask.from[p] = (struct fetch_from){ .topic = &t, .partition = p };
    fetch_send(parked, FETCH_MAX, &ask);
    client_write(half, "\0\0\1\0abc", 7);
    struct pollfd poller = { .fd = parked->fd, .events = POLLIN };
    cr_assert_eq(poll(&poller, 1, 50), 0);
    int64_t begin_ms = now_ms();
    broker_stop(b);
    cr_assert_lt(now_ms() - begin_ms, 10000);
    client_close(parked);
    client_close(idle);
    client_close(half);
}

/* ---- deletion ---- */

static bool is_gone(int16_t error)
{
    return error == 3 || error == 100 || error == 6 || error == 5;
}

/* A topic goes while it is produced to and consumed from, with requests in flight on all its
 * partitions: each is answered, with success or with one of the codes that make clients look
 * again; a new topic of that name begins empty. */
PROTOCOL_TEST(deletion, under_load)
{
    struct client *writer = client_open(b), *reader = client_open(b), *admin = client_open(b);
    struct blob batch = batch_of(&(struct batch_spec){ .records = 3, .value_bytes = 3000 });
    for (int round = 0; round < 8; round++) {
        struct topic t;
        topic_create(admin, &t, "doomed", PARTITIONS, NULL);
        for (int i = 0; i < 60; i++) {
            produce_send(writer, 13, &t, i % PARTITIONS, (int16_t)(i % 2 * 2 - 1),
                         rl_slice_of(batch.bytes, batch.size));
            if (i % 4 == 0)
                fetch_send(reader, FETCH_MAX, &(struct fetch_ask){
                    .max_wait_ms = 500, .min_bytes = 1000000, .from = { { .topic = &t, .partition = i % PARTITIONS } } });
            if (i == 30 + round)
                cr_assert_eq(topic_delete(admin, t.name), 0);
        }
        for (int i = 0; i < 60; i++) {
            const struct rl_produce_response_partition *part = produce_receive(writer);
            cr_assert(part->error_code == 0 || is_gone(part->error_code), "error %d", part->error_code);
            if (i % 4 != 0)
                continue;
            const struct rl_fetch_response *reply = client_receive(reader);
            int16_t error = reply->responses[0].partitions[0].error_code;
            cr_assert(error == 0 || is_gone(error), "error %d", error);
        }
        cr_assert(is_gone(produce(writer, 13, &t, 0, 1, batch)->error_code));
    }
    rl_free(batch.bytes);
    client_close(writer);
    client_close(reader);
    client_close(admin);
}

/* The same name again and again: always a new id, always empty; also over a kill. */
PROTOCOL_TEST(deletion, same_name_again)
{
    struct client *c = client_open(b);
    struct blob batch = batch_small(1);
    struct rl_uuid last = { { 0 } };
    for (int round = 0; round < 20; round++) {
        struct topic t;
        topic_create(c, &t, "again", 4, NULL);
        cr_assert(!rl_uuid_equal(t.id, last));
        last = t.id;
        for (int32_t p = 0; p < 4; p++)
            cr_assert_eq(produce_ok(c, &t, p, batch), 0);
        if (round % 7 == 6) {
            client_close(c);
            broker_kill(b);
            broker_start(b);
            c = client_open(b);
            for (int32_t p = 0; p < 4; p++)
                cr_assert_eq(log_end(c, &t, p), 3);
        }
        cr_assert_eq(topic_delete(c, t.name), 0);
        cr_assert_eq(topic_delete(c, t.name), 3);
    }
    rl_free(batch.bytes);
    client_close(c);
}

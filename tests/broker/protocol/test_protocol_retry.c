/* tests/broker/protocol/test_protocol_retry.c — idempotent producers whose replies and connections are
 * lost at every point.
 *
 * The producer of this test sends five batches ahead, as clients do.  Its connection is cut after each
 * possible number of bytes sent, and after each possible number of bytes received; it connects
 * again (each time on the next shard) and sends what it has no whole answer for.  Every batch is
 * in the log once, in order, and every answer is the first one's.  Batch n has one record and
 * sequence first + n, so that the log can be checked by itself. */
#include "core/memory.h"
#include "log/batch.h"
#include "protocol_calls.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { AHEAD = 5, VERSION = PRODUCE_MAX, SIZE_BYTES = 4, WINDOW_BYTES_MAX = 4096 };

struct producer {
    struct broker *broker;
    struct topic topic;
    int32_t first_sequence;
    int64_t acked;                      /* batches with an answer */
    int16_t acks;
    uint32_t cuts;
};

static int32_t sequence_of(const struct producer *p, int64_t n)
{
    return (int32_t)(((int64_t)p->first_sequence + n) & INT32_MAX);
}

static struct blob batch_of_number(const struct producer *p, int64_t n)
{
    return batch_of(&(struct batch_spec){ .records = 1, .value_bytes = 4, .producer_id = 4711,
                                          .base_sequence = sequence_of(p, n), .seed = (uint64_t)n,
                                          .base_timestamp_ms = 1795348800000 });
}

/* The frames of batches from..to - 1, one behind the other. */
static size_t window_encode(struct client *c, const struct producer *p, int64_t from, int64_t to, uint8_t *bytes)
{
    size_t at = 0;
    for (int64_t n = from; n < to; n++) {
        struct blob batch = batch_of_number(p, n);
        struct rl_produce_request_partition part = { .records = rl_slice_of(batch.bytes, batch.size) };
        struct rl_produce_request_topic one = { .topic_id = p->topic.id, .partition_data = &part,
                                                .partition_data_count = 1 };
        struct rl_produce_request ask = { .acks = p->acks, .timeout_ms = 20000, .topic_data = &one,
                                          .topic_data_count = 1 };
        size_t frame_bytes;
        uint8_t *frame = client_encode(c, RL_API_PRODUCE, VERSION, &ask, &frame_bytes);
        cr_assert_leq(at + frame_bytes, WINDOW_BYTES_MAX);
        memcpy(bytes + at, frame, frame_bytes);
        at += frame_bytes;
        free(frame);
        rl_free(batch.bytes);
    }
    return at;
}

/* Half of the connections end with a reset instead of an orderly end. */
static void client_cut(struct producer *p, struct client *c)
{
    if (p->cuts++ % 2 == 0)
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    client_close(c);
}

/* Send what has no answer, up to `to`, and read every answer. */
static void window_finish(struct producer *p, int64_t to)
{
    struct client *c = client_open(p->broker);
    for (int64_t n = p->acked; n < to; n++) {
        struct blob batch = batch_of_number(p, n);
        produce_send(c, VERSION, &p->topic, 0, p->acks, rl_slice_of(batch.bytes, batch.size));
        rl_free(batch.bytes);
    }
    for (; p->acked < to; p->acked++) {
        const struct rl_produce_response_partition *answer = produce_receive(c);
        cr_assert_eq(answer->error_code, 0, "batch %lld: error %d", (long long)p->acked, answer->error_code);
        cr_assert_eq(answer->base_offset, p->acked, "batch %lld: offset %lld", (long long)p->acked,
                     (long long)answer->base_offset);
    }
    client_close(c);
}

/* Every batch once, in order. */
static void expect_log(struct producer *p)
{
    struct client *c = client_open(p->broker);
    struct blob all = fetch_all(c, &p->topic, 0, 0);
    size_t at = 0;
    int64_t n = 0;
    for (; at < all.size; n++) {
        struct rl_batch batch;
        cr_assert_eq(rl_batch_read_header(all.bytes + at, all.size - at, &batch), RL_OK);
        cr_assert_eq(batch.base_offset, n);
        cr_assert_eq(batch.base_sequence, sequence_of(p, n), "at offset %lld", (long long)n);
        at += batch.size_bytes;
    }
    cr_assert_eq(n, p->acked);
    free(all.bytes);
    client_close(c);
}

static void producer_init(struct producer *p, struct broker *b, const char *name, int32_t first_sequence)
{
    *p = (struct producer){ .broker = b, .first_sequence = first_sequence, .acks = 1 };
    struct client *c = client_open(b);
    topic_create(c, &p->topic, name, 1, NULL);
    client_close(c);
}

/* ---- connections cut while requests are sent ---- */

/* Five batches, of which so many bytes leave.  Returns how many bytes there were. */
static size_t cut_request(struct producer *p, size_t cut_at)
{
    uint8_t bytes[WINDOW_BYTES_MAX];
    struct client *c = client_open(p->broker);
    int64_t to = p->acked + AHEAD;
    size_t count = window_encode(c, p, p->acked, to, bytes);
    client_write(c, bytes, RL_MIN(cut_at, count));
    client_cut(p, c);
    window_finish(p, to);
    return count;
}

/* The sequence wraps on the way. */
PROTOCOL_TEST(retry, requests_cut_at_every_byte)
{
    struct producer p;
    producer_init(&p, b, "requests", INT32_MAX - 1000);
    for (size_t at = 0, count = 1; at <= count; at++) {
        p.acks = at % 16 == 0 ? -1 : 1;
        count = cut_request(&p, at);
    }
    cr_assert_gt(p.acked, 2000);
    expect_log(&p);
}

/* ---- connections cut while replies are read ---- */

/* Read so many bytes of the answers to five batches; what was answered whole is acknowledged. */
static size_t cut_reply(struct producer *p, size_t cut_at)
{
    uint8_t bytes[WINDOW_BYTES_MAX], size[SIZE_BYTES];
    struct client *c = client_open(p->broker);
    int64_t to = p->acked + AHEAD;
    client_write(c, bytes, window_encode(c, p, p->acked, to, bytes));
    size_t total = 0;
    for (int64_t n = p->acked; n < to && total < cut_at; n++) {
        size_t want = RL_MIN(sizeof size, cut_at - total);
        cr_assert_eq(client_read(c, size, want), want);
        total += want;
        if (want < sizeof size)
            break;
        size_t body = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
        want = RL_MIN(body, cut_at - total);
        cr_assert_eq(client_read(c, bytes, want), want);
        total += want;
        p->acked += want == body;
    }
    client_cut(p, c);
    window_finish(p, to);
    return total;
}

PROTOCOL_TEST(retry, replies_cut_at_every_byte)
{
    struct producer p;
    producer_init(&p, b, "replies", 0);
    size_t at = 0;
    do
        p.acks = at % 16 == 0 ? -1 : 1;
    while (cut_reply(&p, at) == at && ++at < WINDOW_BYTES_MAX);
    cr_assert_gt(p.acked, 1000);
    expect_log(&p);
}

/* ---- a broker that dies ---- */

/* Kill -9 with five batches on their way, at different moments: what comes again is recognised by
 * the state that was rebuilt. */
PROTOCOL_TEST(retry, over_kills)
{
    enum { LIVES = 8 };
    struct producer p;
    producer_init(&p, b, "kills", INT32_MAX - 12);
    for (int life = 0; life < LIVES; life++) {
        uint8_t bytes[WINDOW_BYTES_MAX];
        struct client *c = client_open(b);
        int64_t to = p.acked + AHEAD;
        p.acks = life % 2 == 0 ? 1 : -1;
        client_write(c, bytes, window_encode(c, &p, p.acked, to, bytes));
        if (life >= LIVES / 2)          /* the first answer is out: it must be kept */
            cr_assert_eq(client_read(c, bytes, 1), 1);
        broker_kill(b);
        client_close(c);
        broker_start(b);
        window_finish(&p, to);
    }
    expect_log(&p);
}

/* ---- the window and its end ---- */

/* The same five batches many times over, from many connections at once: one each. */
PROTOCOL_TEST(retry, many_connections_send_the_same)
{
    enum { CONNECTIONS = 8, ROUNDS = 20 };
    struct client *c[CONNECTIONS];
    struct producer p;
    producer_init(&p, b, "same", 0);
    for (int i = 0; i < CONNECTIONS; i++)
        c[i] = client_open(b);
    for (int round = 0; round < ROUNDS; round++) {
        p.acks = round % 4 == 0 ? -1 : 1;
        for (int64_t n = p.acked; n < p.acked + AHEAD; n++) {
            struct blob batch = batch_of_number(&p, n);
            for (int i = 0; i < CONNECTIONS; i++)
                produce_send(c[i], VERSION, &p.topic, 0, p.acks, rl_slice_of(batch.bytes, batch.size));
            rl_free(batch.bytes);
        }
        for (int i = 0; i < CONNECTIONS; i++)
            for (int64_t n = p.acked; n < p.acked + AHEAD; n++) {
                const struct rl_produce_response_partition *answer = produce_receive(c[i]);
                cr_assert_eq(answer->error_code, 0, "error %d", answer->error_code);
                cr_assert_eq(answer->base_offset, n);
            }
        p.acked += AHEAD;
    }
    expect_log(&p);
    for (int i = 0; i < CONNECTIONS; i++)
        client_close(c[i]);
}

/* An idle producer is forgotten: then any sequence is a beginning, and nothing a duplicate. */
PROTOCOL_TEST(retry, expiry, "producer.id.expiration.ms=1500", "log.retention.check.interval.ms=100")
{
    struct producer p;
    producer_init(&p, b, "expiry", 0);
    struct client *c = client_open(b);
    struct blob batch = batch_of_number(&p, 0), gap = batch_of_number(&p, 9);
    cr_assert_eq(produce_ok(c, &p.topic, 0, batch), 0);
    cr_assert_eq(produce_ok(c, &p.topic, 0, batch), 0, "a duplicate");
    cr_assert_eq(produce(c, VERSION, &p.topic, 0, 1, gap)->error_code, 45);
    int64_t begin_ms = now_ms();
    while (produce(c, VERSION, &p.topic, 0, 1, gap)->error_code == 45)
        cr_assert_lt(now_ms() - begin_ms, 60000, "never forgotten");
    cr_assert_geq(now_ms() - begin_ms, 1000, "forgotten too early");
    cr_assert_eq(log_end(c, &p.topic, 0), 2);
    cr_assert_eq(produce(c, VERSION, &p.topic, 0, 1, batch)->error_code, 45);
    rl_free(batch.bytes);
    rl_free(gap.bytes);
    client_close(c);
}

/* tests/net/test_net_ends.c — ends and shards of connections, on a kernel in memory. */
#include "net_fixture.h"
#include <criterion/criterion.h>
#include <string.h>

#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

static struct fixture f;

static void start(uint32_t shard_count)
{
    struct rl_net_options options = fixture_options();
    fixture_start(&f, shard_count, &options);
}

static void stop(void)
{
    fixture_stop(&f);
}

/* ---- ends ---- */

/* Cut a pipeline at every byte position: nothing leaks, everything parked is cancelled. */
static void cut_everywhere(uint32_t shard_count, bool cancel_later)
{
    struct bytes out = { 0 };

    bytes_frame(&out, 'p', 20, 1);
    bytes_frame(&out, 'e', 7, 2);
    bytes_frame(&out, 'p', 30, 3);
    bytes_frame(&out, 'f', 3, 4);
    bytes_frame(&out, 'p', 1, 5);
    start(shard_count);
    f.cancel_later = cancel_later;
    for (size_t cut = 0; cut <= out.count; cut++) {
        f.parked_count = 0;
        f.cancelled = 0;
        struct client c = client_open(&f);
        client_write(&c, out.data, cut);
        client_read(&c);
        uint32_t parked = f.parked_count;
        if (cut % 2 == 1 && parked == 3)
            fixture_answer(&f, 2);      /* ready, but not the oldest */
        parked -= cut % 2 == 1 && parked == 3;
        client_close(&c);
        fixture_run(&f);
        cr_assert_eq(f.cancelled, parked, "cut at %zu", cut);
        if (cancel_later) {
            cr_assert_eq(fixture_connections(&f), parked != 0);
            for (uint32_t i = 0; i < 3 && parked != 0; i++) {
                if (f.parked[i] != NULL && cut % 3 == 0)
                    fixture_answer(&f, i);
                else if (f.parked[i] != NULL)
                    fixture_finish(&f, i);
            }
            fixture_run(&f);
        }
        cr_assert_eq(fixture_connections(&f), 0, "cut at %zu", cut);
    }
    fixture_stop(&f);
    bytes_free(&out);
}

Test(net_ends, cut_at_every_byte) { cut_everywhere(1, false); }
Test(net_ends, cut_at_every_byte_and_answered_long_after) { cut_everywhere(1, true); }
Test(net_ends, cut_at_every_byte_four_shards) { cut_everywhere(4, true); }

Test(net_ends, cut_within_large_frames, .fini = stop)
{
    static const size_t cuts[] = { 1, 4, 5, 1000, 65536, 65540, 150000, 300003, 300004, 300005,
                                   300007, 300008, 300009, 400000, 599999, 600007 };
    struct bytes out = { 0 };

    start(1);
    bytes_frame(&out, 'e', 300000, 1);
    bytes_frame(&out, 'p', 300000, 2);
    for (size_t i = 0; i < RL_ARRAY_COUNT(cuts); i++) {
        struct client c = client_open(&f);
        client_write(&c, out.data, cuts[i]);
        fixture_run(&f);
        client_close(&c);
        fixture_run(&f);
        cr_assert_eq(fixture_connections(&f), 0);
    }
    bytes_free(&out);
}

/* Half closed: no more requests, but the answers still go out, and then the connection ends. */
Test(net_ends, who_sends_no_more_still_gets_its_answers, .fini = stop)
{
    struct bytes asked = { 0 }, out = { 0 }, answers = { 0 };

    start(2);
    struct client c = client_open(&f);
    bytes_frame(&out, 'm', 20, 1);      /* answered by a message that comes later */
    bytes_frame(&out, 'q', 30, 2);      /* waits, until it is hurried */
    bytes_frame(&out, 'e', 40, 3);
    bytes_append(&asked, out.data, out.count);
    bytes_append(&answers, out.data, out.count);
    bytes_big_ask(&asked, 3000000);     /* more than the window takes */
    bytes_big_reply(&answers, 3000000);
    bytes_append(&asked, "\0\0\0\7part", 8);      /* a frame that will never be whole */
    cr_assert_eq(rl_mem_client_send(c.end, asked.data, asked.count), asked.count);
    rl_mem_client_end(c.end);
    fixture_run(&f);
    cr_assert(!client_read(&c));
    cr_assert_eq(c.in.count, answers.count);
    cr_assert_eq(memcmp(c.in.data, answers.data, answers.count), 0);
    cr_assert_eq(f.hurried, 1);
    cr_assert_eq(f.cancelled, 0);
    cr_assert_eq(fixture_connections(&f), 0);
    client_close(&c);
    bytes_free(&asked);
    bytes_free(&out);
    bytes_free(&answers);
}

/* What cannot be hurried might wait for ever: such a connection ends with its stream. */
Test(net_ends, who_sends_no_more_while_something_waits_is_closed, .fini = stop)
{
    struct bytes out = { 0 };

    start(1);
    struct client c = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    client_write(&c, out.data, out.count);
    rl_mem_client_end(c.end);
    fixture_run(&f);
    cr_assert_eq(f.cancelled, 1);
    cr_assert_eq(fixture_connections(&f), 0);
    client_close(&c);
    bytes_free(&out);
}

Test(net_ends, frames_sent_before_the_goodbye_are_handled, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    fixture_run(&f);
    for (uint32_t i = 0; i < 2000; i++)                 /* more than one turn takes */
        bytes_frame(&out, 'f', 20, i);
    cr_assert_eq(rl_mem_client_send(c.end, out.data, out.count), out.count);
    client_close(&c);
    fixture_run(&f);
    cr_assert_eq(f.handled, 2000);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&out);
}

Test(net_ends, a_reader_that_leaves_frees_its_replies, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    for (uint32_t i = 0; i < 40; i++)
        bytes_big_ask(&out, 1000000);
    c.stopped = true;
    client_write_some(&c, out.data, out.count);
    fixture_run(&f);
    client_close(&c);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&out);
}

Test(net_ends, idle_connections_are_closed, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };

    options.idle_ns_max = 600 * SECOND_NS;
    fixture_start(&f, 1, &options);
    struct client idle = client_open(&f), busy = client_open(&f), parked = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    client_write(&parked, out.data, out.count);
    fixture_run(&f);
    out.count = 0;
    bytes_frame(&out, 'e', 20, 1);
    for (int i = 0; i < 11; i++) {
        client_write(&busy, out.data, out.count);
        cr_assert(client_got(&busy, &out));
        fixture_advance(&f, 60 * SECOND_NS);
        cr_assert_eq(client_read(&idle), i < 10);
    }
    cr_assert(client_read(&busy));
    cr_assert(client_read(&parked));    /* it waits for us */
    fixture_answer(&f, 0);
    fixture_advance(&f, 700 * SECOND_NS);
    cr_assert(!client_read(&busy));
    fixture_advance(&f, 700 * SECOND_NS);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 0);
    client_close(&idle);
    client_close(&busy);
    client_close(&parked);
    bytes_free(&out);
}

Test(net_ends, drain_lets_requests_in_flight_finish, .fini = stop)
{
    start(2);
    struct client quiet = client_open(&f), asking = client_open(&f), late = client_open(&f);
    struct bytes out = { 0 };

    bytes_frame(&out, 'p', 2000, 1);
    client_write(&asking, out.data, out.count);
    client_write(&late, out.data, out.count);
    fixture_run(&f);
    cr_assert_eq(f.parked_count, 2);
    fixture_drain(&f, 10 * SECOND_NS);
    cr_assert(!client_read(&quiet));
    cr_assert(client_read(&asking));
    cr_assert_lt(f.drained, 2);
    fixture_answer(&f, 0);
    cr_assert(!client_read(&asking));
    cr_assert(client_got(&asking, &out));
    cr_assert_lt(f.drained, 2);
    fixture_advance(&f, 11 * SECOND_NS);                /* grace is over */
    cr_assert(!client_read(&late));
    fixture_run(&f);
    cr_assert_eq(f.drained, 2);
    cr_assert_eq(f.cancelled, 1);
    client_close(&quiet);
    client_close(&asking);
    client_close(&late);
    bytes_free(&out);
}

Test(net_ends, a_reset_cancels_what_is_parked, .fini = stop)
{
    struct bytes out = { 0 };

    start(1);
    struct client c = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    bytes_frame(&out, 'e', 20, 2);
    client_write(&c, out.data, out.count);
    f.cancel_later = true;
    rl_mem_client_reset(c.end);
    fixture_run(&f);
    cr_assert_eq(f.cancelled, 1);
    fixture_close(&f, 0);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&out);
}

Test(net_ends, stop_frees_what_is_left)
{
    struct bytes out = { 0 }, big = { 0 };

    start(2);
    struct client waiting = client_open(&f), parked = client_open(&f), partial = client_open(&f),
                  slow = client_open(&f), bulk = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    bytes_frame(&out, 'e', 20, 2);
    client_write(&parked, out.data, out.count);
    client_write(&partial, out.data, 17);
    for (uint32_t i = 0; i < 30; i++)
        bytes_big_ask(&big, 1000000);
    slow.stopped = true;
    client_write(&slow, big.data, big.count);
    bytes_frame(&big, 'e', 200000, 2);
    client_write(&bulk, big.data + 30 * 9, big.count - 30 * 9);
    struct client late = client_open(&f);               /* accepted, but not handed over */
    rl_shard_step(rl_shard_set_get(f.set, 0));
    fixture_stop_now(&f);
    struct client *clients[] = { &waiting, &parked, &partial, &slow, &bulk, &late };
    for (size_t i = 0; i < RL_ARRAY_COUNT(clients); i++)
        bytes_free(&clients[i]->in);
    bytes_free(&out);
    bytes_free(&big);
}

Test(net_ends, a_connection_handed_over_during_drain_is_closed, .fini = stop)
{
    start(2);
    struct client first = client_open(&f);
    fixture_run(&f);
    struct client late = client_open(&f);               /* for shard 1 */
    rl_shard_step(rl_shard_set_get(f.set, 0));
    fixture_drain(&f, SECOND_NS);
    cr_assert(!client_read(&late));
    client_close(&first);
    client_close(&late);
}

/* ---- shards ---- */

Test(net_shards, a_full_mailbox_stops_receiving, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };

    options.requests_in_flight_max = 100000;
    fixture_start(&f, 2, &options);
    struct client c = client_open(&f);
    fixture_run(&f);
    for (uint32_t i = 0; i < 9000; i++)
        bytes_frame(&out, 'm', 20, i);
    cr_assert_eq(rl_mem_client_send(c.end, out.data, out.count), out.count);
    for (int i = 0; i < 200; i++)       /* the other shard sleeps */
        rl_shard_step(rl_shard_set_get(f.set, 0));
    cr_assert(rl_shard_congested(rl_shard_set_get(f.set, 0)));
    cr_assert_geq(f.handled, 1000);
    cr_assert_lt(f.handled, 9000);
    cr_assert(client_got(&c, &out));
    cr_assert_eq(f.handled, 9000);
    client_close(&c);
    bytes_free(&out);
}

Test(net_shards, what_a_connection_knows, .fini = stop)
{
    char host[RL_HOST_BYTES];
    uint16_t port;
    struct bytes out = { 0 };

    start(2);
    struct client c = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    client_write(&c, out.data, out.count);
    const struct rl_connection *conn = f.parked[0]->connection;
    cr_assert_eq(rl_connection_listener(conn), 7);
    cr_assert(!rl_connection_closing(conn));
    rl_connection_local_address(conn, host, &port);
    cr_assert_str_eq(host, "127.0.0.1");
    cr_assert_eq(port, f.port);
    rl_connection_peer_address(conn, host, &port);
    cr_assert_str_eq(host, "10.0.0.1");
    fixture_answer(&f, 0);
    cr_assert(client_got(&c, &out));
    client_close(&c);
    bytes_free(&out);
}

Test(net_shards, connections_are_spread_evenly, .fini = stop)
{
    struct client clients[16];
    struct bytes out = { 0 };

    start(4);
    bytes_frame(&out, 'e', 100, 9);
    for (size_t i = 0; i < 16; i++) {
        clients[i] = client_open(&f);
        fixture_run(&f);
    }
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(rl_net_connection_count(rl_shard_set_get(f.set, i)), 4);
    for (size_t i = 0; i < 16; i++) {
        client_write(&clients[i], out.data, out.count);
        cr_assert(client_got(&clients[i], &out));
    }
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(f.handled_by_shard[i], 4);
    for (size_t i = 0; i < 16; i += 4)  /* all of one shard leave; the next ones go there */
        client_close(&clients[i]);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 12);
    for (size_t i = 0; i < 16; i += 4)
        clients[i] = client_open(&f);
    fixture_run(&f);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(rl_net_connection_count(rl_shard_set_get(f.set, i)), 4);
    for (size_t i = 0; i < 16; i++)
        client_close(&clients[i]);
    bytes_free(&out);
}

/* tests/net/test_net.c — frames, order, limits and ends, on a kernel in memory. */
#include "net_fixture.h"
#include "core/random.h"
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)
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

/* ---- frames ---- */

Test(net_frames, arrive_byte_by_byte, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    for (uint32_t i = 0; i < 5; i++)
        bytes_frame(&out, 'e', 1 + 7 * i, i);
    for (size_t i = 0; i < out.count; i++) {
        client_write(&c, out.data + i, 1);
        fixture_run(&f);
    }
    cr_assert(client_got(&c, &out));
    bytes_free(&out);
    client_close(&c);
}

Test(net_frames, arrive_many_in_one_write, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    for (uint32_t i = 0; i < 3000; i++)
        bytes_frame(&out, 'e', 1 + i % 97, i);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    cr_assert_eq(f.handled, 3000);
    bytes_free(&out);
    client_close(&c);
}

Test(net_frames, of_all_sizes_around_the_thresholds, .fini = stop)
{
    static const size_t sizes[] = { 1, 2, 3, 4, 5, 4095, 4096, 4097, 32 * 1024, 65531, 65532, 65535,
                                    65536, 65537, 100000, 131072, 1048576, 1048577, 1114112, 1114113,
                                    3 * MIB, 65536, 70000, 1 };
    start(1);
    struct client c = client_open(&f);

    for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
        struct bytes out = { 0 };
        bytes_frame(&out, 'e', sizes[i], (uint32_t)i);
        client_write(&c, out.data, out.count);
        cr_assert(client_got(&c, &out), "frame of %zu bytes", sizes[i]);
        bytes_free(&out);
    }
    client_close(&c);
}

Test(net_frames, of_ten_megabytes, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    bytes_frame(&out, 'e', 10 * MIB, 1);
    bytes_frame(&out, 'e', 10 * MIB + 1, 2);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    bytes_free(&out);
    client_close(&c);
}

/* Sizes of every class, cut into writes of every size, all in flight at once. */
static void mixed_pipeline(uint32_t shard_count, uint64_t seed)
{
    struct rl_random random;
    struct client clients[6];
    struct bytes out[6] = { 0 };
    size_t at[6] = { 0 };

    rl_random_init(&random, seed);
    start(shard_count);
    rl_mem_set_window(f.mem, 1000 << (seed % 4 * 3));   /* up to 512 KB */
    rl_mem_set_receive_max(f.mem, seed % 3 == 0 ? 777 : MIB);
    for (size_t k = 0; k < 6; k++) {
        clients[k] = client_open(&f);
        for (uint32_t i = 0; i < 60; i++) {
            size_t size = 1 + rl_random_below(&random, 200);
            if (rl_random_below(&random, 4) == 0)
                size = 1 + rl_random_below(&random, 90000);
            if (rl_random_below(&random, 12) == 0 || (k == 0 && i > 30))
                size = 1 + rl_random_below(&random, 900000);
            bytes_frame(&out[k], 'e', size, i + (uint32_t)k * 1000);
        }
    }
    for (size_t left = 6; left != 0;) {
        left = 0;
        for (size_t k = 0; k < 6; k++) {
            size_t piece = 1 + rl_random_below(&random, rl_random_below(&random, 2) ? 300000 : 300);
            piece = RL_MIN(piece, out[k].count - at[k]);
            at[k] += client_write_some(&clients[k], out[k].data + at[k], piece);
            left += at[k] < out[k].count;
        }
        if (rl_random_below(&random, 3) == 0)
            client_read(&clients[rl_random_below(&random, 6)]);
        if (rl_random_below(&random, 50) == 0)
            fixture_advance(&f, SECOND_NS / 20);
    }
    for (size_t k = 0; k < 6; k++) {
        cr_assert(client_got(&clients[k], &out[k]), "client %zu, seed %lu", k, (unsigned long)seed);
        client_close(&clients[k]);
        bytes_free(&out[k]);
    }
    fixture_stop(&f);
}

Test(net_frames, of_mixed_sizes_in_a_pipeline_one_shard)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        mixed_pipeline(1, seed);
}

Test(net_frames, of_mixed_sizes_in_a_pipeline_four_shards)
{
    for (uint64_t seed = 5; seed <= 8; seed++)
        mixed_pipeline(4, seed);
}

/* Large frames one after the other (bulk mode), each a little larger or smaller. */
Test(net_frames, large_and_of_varying_size, .fini = stop)
{
    struct rl_random random;
    struct bytes out = { 0 };

    rl_random_init(&random, 77);
    start(1);
    struct client c = client_open(&f);
    for (uint32_t i = 0; i < 40; i++)
        bytes_frame(&out, 'e', 200000 + rl_random_below(&random, i % 5 == 4 ? 400000 : 30000), i);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    client_close(&c);
    bytes_free(&out);
}

/* A large buffer that waited in vain is given back, and what comes then is still right. */
Test(net_frames, after_a_pause_in_bulk_mode, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);

    for (uint32_t i = 0; i < 12; i++) {
        struct bytes out = { 0 };
        bytes_frame(&out, 'e', i % 3 == 2 ? 10 : 300000, i);
        client_write(&c, out.data, out.count);
        cr_assert(client_got(&c, &out));
        bytes_free(&out);
        fixture_advance(&f, i % 2 == 0 ? SECOND_NS : 0);
    }
    client_close(&c);
}

Test(net_frames, large_buffers_are_given_back_one_after_the_other, .fini = stop)
{
    struct bytes out = { 0 };
    struct client clients[3];

    start(1);
    bytes_frame(&out, 'e', 300000, 1);
    for (size_t round = 0; round < 2; round++) {
        for (size_t k = 0; k < 3; k++) {
            if (round == 0)
                clients[k] = client_open(&f);
            client_write(&clients[k], out.data, out.count);
            cr_assert(client_got(&clients[k], &out));
            fixture_advance(&f, SECOND_NS / 100);
        }
        fixture_advance(&f, SECOND_NS / 100);
    }
    for (size_t k = 0; k < 3; k++)
        client_close(&clients[k]);
    bytes_free(&out);
}

/* In bulk mode, cut within the size prefix: what follows may be large, small or nothing. */
Test(net_frames, cut_within_the_prefix_in_bulk_mode, .fini = stop)
{
    static const size_t sizes[] = { 300000, 10, 310000, 100000, 400000, 150000, 3 };
    start(1);
    struct client c = client_open(&f);

    for (size_t i = 0; i < 2 * RL_ARRAY_COUNT(sizes); i++) {
        struct bytes out = { 0 };
        bytes_frame(&out, 'e', i % 2 == 0 ? 300000 : sizes[i / 2], (uint32_t)i);
        client_write(&c, out.data, 1 + i % 4);
        fixture_advance(&f, SECOND_NS);
        client_write(&c, out.data + 1 + i % 4, out.count - 1 - i % 4);
        cr_assert(client_got(&c, &out), "frame %zu", i);
        bytes_free(&out);
    }
    struct bytes out = { 0 };
    bytes_frame(&out, 'e', 300000, 1);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    client_write(&c, out.data, 2);
    client_close(&c);
    bytes_free(&out);
}

/* ---- limits ---- */

static bool refused(const char *first, size_t count)
{
    struct client c = client_open(&f);

    client_write(&c, first, count);
    bool open = client_read(&c);
    client_close(&c);
    fixture_run(&f);
    return !open && fixture_connections(&f) == 0;
}

Test(net_limits, illegal_sizes_close_the_connection, .fini = stop)
{
    start(1);
    cr_assert(refused("\xff\xff\xff\xff" "x", 5));
    cr_assert(refused("\x80\x00\x00\x00" "x", 5));
    cr_assert(refused("\x00\x00\x00\x00" "x", 5));
    cr_assert(refused("\x01\x40\x00\x01" "x", 5));      /* 20 MiB + 1 */
    cr_assert_eq(f.handled, 0);
    cr_assert(strstr(f.log, "socket.request.max.bytes") != NULL);
}

Test(net_limits, an_illegal_size_after_good_frames, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    bytes_frame(&out, 'e', 100, 1);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    client_write(&c, "\xff\x00\x00\x00", 4);
    cr_assert(!client_read(&c));
    client_close(&c);
    bytes_free(&out);
}

Test(net_limits, an_illegal_size_in_bulk_mode, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    bytes_frame(&out, 'e', 200000, 1);
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    client_write(&c, "\xff\x00\x00\x00", 4);
    cr_assert(!client_read(&c));
    client_close(&c);
    bytes_free(&out);
}

Test(net_limits, tls_on_a_plaintext_port_is_named, .fini = stop)
{
    start(1);
    cr_assert(refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    cr_assert(strstr(f.log, "TLS") != NULL);
    cr_assert(strstr(f.log, "security.protocol") != NULL);
}

Test(net_limits, http_on_a_kafka_port_is_named, .fini = stop)
{
    start(1);
    cr_assert(refused("GET / HTTP/1.1\r\n\r\n", 18));
    cr_assert(strstr(f.log, "HTTP") != NULL);
}

Test(net_limits, connections_max_closes_the_next_one, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct client clients[4];

    options.connections_max = 3;
    fixture_start(&f, 2, &options);
    for (size_t i = 0; i < 4; i++) {
        clients[i] = client_open(&f);
        cr_assert_eq(client_read(&clients[i]), i < 3);
    }
    cr_assert(strstr(f.log, "max.connections") != NULL);
    client_close(&clients[0]);
    fixture_run(&f);
    struct client again = client_open(&f);
    cr_assert(client_read(&again));
    client_close(&again);
    for (size_t i = 1; i < 4; i++)
        client_close(&clients[i]);
}

/* ---- order ---- */

Test(net_order, replies_leave_in_request_order, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 }, nothing = { 0 };

    for (uint32_t i = 0; i < 20; i++)
        bytes_frame(&out, i % 4 == 1 ? 'e' : 'p', 10 + i * 100, i);
    client_write(&c, out.data, out.count);
    client_read(&c);
    cr_assert_eq(f.parked_count, 15);
    for (uint32_t i = 15; i-- > 1;) {
        fixture_answer(&f, i);
        cr_assert(client_got(&c, &nothing));
    }
    fixture_answer(&f, 0);
    cr_assert(client_got(&c, &out));
    bytes_free(&out);
    client_close(&c);
}

Test(net_order, a_finished_request_leaves_no_gap, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes first = { 0 }, rest = { 0 };

    bytes_frame(&first, 'e', 30, 1);
    bytes_frame(&rest, 'p', 31, 2);     /* 0: finished below */
    size_t parked_bytes = rest.count;
    bytes_frame(&rest, 'e', 32, 3);
    bytes_frame(&rest, 'f', 33, 4);
    size_t silent_at = rest.count - 37;
    bytes_frame(&rest, 'e', 34, 5);
    client_write(&c, first.data, first.count);
    client_write(&c, rest.data, rest.count);
    cr_assert(client_got(&c, &first));
    fixture_finish(&f, 0);
    struct bytes expected = { 0 };
    bytes_append(&expected, rest.data + parked_bytes, silent_at - parked_bytes);
    bytes_append(&expected, rest.data + silent_at + 37, rest.count - silent_at - 37);
    cr_assert(client_got(&c, &expected));
    bytes_free(&first);
    bytes_free(&rest);
    bytes_free(&expected);
    client_close(&c);
}

Test(net_order, close_happens_after_earlier_replies, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 }, expected = { 0 };

    bytes_frame(&out, 'p', 200000, 1);
    bytes_frame(&out, 'e', 32, 2);
    bytes_append(&expected, out.data, out.count);
    bytes_frame(&out, 'c', 33, 3);
    bytes_frame(&out, 'e', 34, 4);
    client_write(&c, out.data, out.count);
    cr_assert(client_read(&c));
    cr_assert_eq(c.in.count, 0);
    fixture_answer(&f, 0);
    cr_assert(!client_read(&c));
    cr_assert(client_got(&c, &expected));
    cr_assert_eq(f.handled, 3);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&out);
    bytes_free(&expected);
    client_close(&c);
}

/* ---- replies ---- */

Test(net_replies, of_many_chunks_and_megabytes, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 }, expected = { 0 };
    static const uint32_t sizes[] = { 0, 1, 511, 512, 513, 100000, 250001, 9000000, 20000000 };

    for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
        bytes_big_ask(&out, sizes[i]);
        bytes_big_reply(&expected, sizes[i]);
    }
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &expected));
    bytes_free(&out);
    bytes_free(&expected);
    client_close(&c);
}

Test(net_replies, more_than_one_send_can_copy, .fini = stop)
{
    start(1);
    struct client c = client_open(&f);
    struct bytes out = { 0 };

    for (uint32_t i = 0; i < 1000; i++)
        bytes_frame(&out, 'e', 400 + i % 200, i);       /* some copied, some not */
    client_write(&c, out.data, out.count);
    cr_assert(client_got(&c, &out));
    bytes_free(&out);
    client_close(&c);
}

Test(net_replies, a_reader_that_stops_is_held_back, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 }, expected = { 0 };

    options.requests_in_flight_max = 10000;
    fixture_start(&f, 1, &options);
    struct client c = client_open(&f);
    for (uint32_t i = 0; i < 400; i++) {
        bytes_big_ask(&out, 100000);
        bytes_big_reply(&expected, 100000);
    }
    c.stopped = true;
    cr_assert_eq(client_write_some(&c, out.data, out.count), out.count);
    fixture_run(&f);
    cr_assert_lt(f.handled, 400);       /* 40 MB asked, about 8 MiB answered */
    cr_assert_geq(f.handled, 80);
    c.stopped = false;
    cr_assert(client_got(&c, &expected));
    cr_assert_eq(f.handled, 400);
    bytes_free(&out);
    bytes_free(&expected);
    client_close(&c);
}

Test(net_replies, requests_in_flight_are_bounded, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };

    options.requests_in_flight_max = 5;
    fixture_start(&f, 1, &options);
    struct client c = client_open(&f);
    for (uint32_t i = 0; i < 50; i++)
        bytes_frame(&out, 'p', 1000, i);
    client_write(&c, out.data, out.count);
    for (uint32_t i = 0; i < 50; i++) {
        fixture_run(&f);
        cr_assert_eq(f.parked_count, RL_MIN(i + 5, 50));
        fixture_answer(&f, i);
    }
    cr_assert(client_got(&c, &out));
    bytes_free(&out);
    client_close(&c);
}

/* ---- memory ---- */

Test(net_memory, several_big_frames_share_a_small_budget, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct client clients[5];
    struct bytes out[5] = { 0 };
    size_t at[5] = { 0 };

    options.request_bytes_max = 4 * MIB;
    fixture_start(&f, 1, &options);
    for (size_t k = 0; k < 5; k++) {
        clients[k] = client_open(&f);
        for (uint32_t i = 0; i < 3; i++)
            bytes_frame(&out[k], 'e', (2 + k) * MIB, i);
    }
    for (size_t left = 5; left != 0;) {
        left = 0;
        for (size_t k = 0; k < 5; k++) {
            size_t piece = RL_MIN((size_t)65536, out[k].count - at[k]);
            at[k] += client_write_some(&clients[k], out[k].data + at[k], piece);
            left += at[k] < out[k].count;
            client_read(&clients[k]);
        }
    }
    for (size_t k = 0; k < 5; k++) {
        cr_assert(client_got(&clients[k], &out[k]), "client %zu", k);
        client_close(&clients[k]);
        bytes_free(&out[k]);
    }
    cr_assert_eq(f.handled, 15);
}

Test(net_memory, who_waits_for_memory_goes_on_when_it_returns, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 }, small = { 0 };
    struct client clients[8];
    size_t at[8];

    options.request_bytes_max = 4 * MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&out, 'p', 2 * MIB, 1);
    bytes_frame(&small, 'e', 100, 1);
    for (size_t k = 0; k < 8; k++) {
        clients[k] = client_open(&f);
        at[k] = client_write_some(&clients[k], out.data, out.count);
    }
    cr_assert_lt(at[7], out.count);
    cr_assert_leq(f.in_handler_bytes_max, 5 * MIB);
    struct client other = client_open(&f);              /* small frames are not in that line */
    client_write(&other, small.data, small.count);
    cr_assert(client_got(&other, &small));
    for (uint32_t i = 0; i < 8; i++) {
        cr_assert_gt(f.parked_count, i);
        fixture_answer(&f, i);
        for (size_t k = 0; k < 8; k++) {
            client_read(&clients[k]);
            at[k] += client_write_some(&clients[k], out.data + at[k], out.count - at[k]);
        }
    }
    for (size_t k = 0; k < 8; k++) {
        cr_assert(client_got(&clients[k], &out), "client %zu", k);
        client_close(&clients[k]);
    }
    cr_assert_leq(f.in_handler_bytes_max, 5 * MIB);
    client_close(&other);
    bytes_free(&out);
    bytes_free(&small);
}

Test(net_memory, who_stalls_while_others_wait_is_closed, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };

    options.request_bytes_max = MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&out, 'e', 2 * MIB, 1);
    struct client staller = client_open(&f), waiter = client_open(&f);
    client_write(&staller, out.data, 1000);
    fixture_run(&f);
    fixture_advance(&f, 60 * SECOND_NS);
    cr_assert(client_read(&staller));   /* nobody waits: it may take its time */
    size_t at = client_write_some(&waiter, out.data, out.count);
    cr_assert_eq(f.handled, 0);
    fixture_advance(&f, 31 * SECOND_NS);
    cr_assert(!client_read(&staller));
    client_write(&waiter, out.data + at, out.count - at);
    cr_assert(client_got(&waiter, &out));
    client_close(&staller);
    client_close(&waiter);
    bytes_free(&out);
}

Test(net_memory, who_waits_may_leave, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };

    options.request_bytes_max = MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&out, 'p', 2 * MIB, 1);
    struct client holder = client_open(&f), waiter = client_open(&f), next = client_open(&f);
    client_write(&holder, out.data, out.count);
    cr_assert_eq(f.parked_count, 1);
    client_write_some(&waiter, out.data, out.count);
    size_t at = client_write_some(&next, out.data, out.count);
    client_close(&waiter);
    fixture_advance(&f, 40 * SECOND_NS);
    fixture_answer(&f, 0);
    cr_assert(client_got(&holder, &out));
    client_write(&next, out.data + at, out.count - at);
    fixture_run(&f);
    cr_assert_eq(f.parked_count, 2);
    fixture_answer(&f, 1);
    cr_assert(client_got(&next, &out));
    client_close(&holder);
    client_close(&next);
    bytes_free(&out);
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

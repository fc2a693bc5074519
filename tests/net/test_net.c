/* tests/net/test_net.c — frames, limits, order and replies, on a kernel in memory. */
#include "net_fixture.h"
#include "core/random.h"
#include <criterion/criterion.h>
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

    options.connection_limits.total_max = 3;
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

/* Many clients at once: the kernel keeps those for whom it is too early. */
Test(net_limits, a_flood_is_accepted_at_its_rate, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct client clients[40];
    struct bytes out = { 0 };

    options.connection_limits.per_second_max = 10;
    fixture_start(&f, 2, &options);
    bytes_frame(&out, 'e', 20, 1);
    for (size_t i = 0; i < 40; i++) {
        clients[i] = client_open(&f);
        client_write_some(&clients[i], out.data, out.count);
    }
    uint64_t handled = f.handled;
    cr_assert(handled >= 10 && handled < 20, "%llu", (unsigned long long)handled);
    cr_assert(strstr(f.log, "max.connection.creation.rate") != NULL);
    cr_assert(client_got(&clients[0], &out));
    for (size_t k = 0; k < 100 && f.handled < 40; k++) {
        uint64_t before = f.handled;
        fixture_advance(&f, 100 * 1000 * 1000);
        cr_assert_leq(f.handled - before, 2);
    }
    for (size_t i = 1; i < 40; i++)
        cr_assert(client_got(&clients[i], &out));
    for (size_t i = 0; i < 40; i++)
        client_close(&clients[i]);
    bytes_free(&out);
}

Test(net_limits, connections_of_one_address, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct client clients[3];

    options.connection_limits.per_address_max = 2;
    fixture_start(&f, 2, &options);
    for (size_t i = 0; i < 3; i++) {
        clients[i] = client_open(&f);
        cr_assert_eq(client_read(&clients[i]), i < 2);
    }
    cr_assert(strstr(f.log, "max.connections.per.ip") != NULL);
    struct rl_connection_limits wider = RL_CONNECTION_LIMITS(10);
    rl_net_set_connection_limits(rl_shard_set_get(f.set, 0), &wider);
    client_close(&clients[2]);
    clients[2] = client_open(&f);
    cr_assert(client_read(&clients[2]));
    for (size_t i = 0; i < 3; i++)
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

/* One connection may hold 8 MiB; many together may not. */
Test(net_replies, readers_that_stop_are_bounded_together, .fini = stop)
{
    enum { CLIENTS = 4 };
    struct rl_net_options options = fixture_options();
    struct client clients[CLIENTS];
    struct bytes big = { 0 }, small = { 0 };

    fixture_start(&f, 1, &options);
    const struct rl_shard *shard = rl_shard_set_get(f.set, 0);
    size_t all = rl_net_reply_bytes_left(shard);
    bytes_big_ask(&big, 90 * MIB);
    bytes_frame(&small, 'e', 100, 1);
    for (size_t k = 0; k < CLIENTS; k++) {
        clients[k] = client_open(&f);
        clients[k].stopped = true;
        client_write(&clients[k], big.data, big.count);
        fixture_run(&f);
    }
    cr_assert_eq(f.handled, CLIENTS);
    cr_assert_eq(rl_net_reply_bytes_left(shard), 0);
    client_write_some(&clients[0], small.data, small.count);
    fixture_run(&f);
    cr_assert_eq(f.handled, CLIENTS, "who has not read begins nothing");
    struct client other = client_open(&f);
    client_write(&other, small.data, small.count);
    cr_assert(client_got(&other, &small), "who has read does");
    for (size_t k = 0; k < CLIENTS; k++)
        client_close(&clients[k]);
    fixture_run(&f);
    cr_assert_eq(rl_net_reply_bytes_left(shard), all);
    client_close(&other);
    bytes_free(&big);
    bytes_free(&small);
}

Test(net_replies, what_is_announced_counts_until_the_answer, .fini = stop)
{
    struct bytes out = { 0 };

    start(1);
    const struct rl_shard *shard = rl_shard_set_get(f.set, 0);
    size_t all = rl_net_reply_bytes_left(shard);
    struct client c = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    client_write(&c, out.data, out.count);
    rl_self = rl_shard_set_get(f.set, 0);
    rl_request_announce_reply(f.parked[0], 10 * MIB);
    cr_assert_eq(rl_net_reply_bytes_left(shard), all - 10 * MIB);
    rl_self = NULL;
    size_t taken = client_write_some(&c, out.data, out.count);
    fixture_run(&f);
    cr_assert_eq(taken, out.count);
    cr_assert_eq(f.parked_count, 1, "one large answer at a time");
    rl_self = rl_shard_set_get(f.set, 0);
    rl_request_announce_reply(f.parked[0], 0);
    rl_self = NULL;
    fixture_run(&f);
    cr_assert_eq(f.parked_count, 2);
    cr_assert_eq(rl_net_reply_bytes_left(shard), all);
    rl_self = rl_shard_set_get(f.set, 0);
    rl_request_announce_reply(f.parked[1], MIB);
    rl_self = NULL;
    fixture_answer(&f, 0);
    fixture_answer(&f, 1);
    fixture_run(&f);
    cr_assert_eq(rl_net_reply_bytes_left(shard), all);
    client_close(&c);
    bytes_free(&out);
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

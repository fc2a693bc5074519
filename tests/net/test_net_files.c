/* tests/net/test_net_files.c — replies whose bytes lie in a file, by every path.
 *
 * A reply of kind 'l' is a row of pieces, from memory and from the file in turn, of one byte to
 * six million; the bytes are those of 'b'. */
#include "core/memory.h"
#include "net_fixture.h"
#include <criterion/criterion.h>
#include <string.h>

#define FILE_BYTES 8000000u
#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

static const enum rl_send_path paths[] = { RL_SEND_AUTO, RL_SEND_READ, RL_SEND_SENDFILE,
                                           RL_SEND_SPLICE };
static struct fixture f;

static void start(enum rl_send_path path)
{
    struct rl_net_options options = fixture_options();

    options.send_path = path;
    memset(&f, 0, sizeof f);
    fixture_start(&f, 1, &options);
    fixture_make_pattern_file(&f, FILE_BYTES);
}

static void expect_replies(struct client *c, const uint32_t *sizes, size_t count)
{
    struct bytes ask = { 0 }, reply = { 0 };

    for (size_t i = 0; i < count; i++) {
        bytes_lent_ask(&ask, sizes[i]);
        bytes_big_reply(&reply, sizes[i]);
    }
    client_write(c, ask.data, ask.count);
    while (c->in.count < reply.count && client_read(c))
        ;
    cr_assert(client_got(c, &reply));
    bytes_free(&ask);
    bytes_free(&reply);
}

Test(net_files, byte_for_byte)
{
    static const uint32_t sizes[] = { 37, 38, 70037, 70637, 70642, 300000, 270662, 1370663, 1370664,
                                      1500000, 7400000, 8000000 };
    static const size_t windows[] = { 65536, 1 << 20, 997 };

    for (size_t p = 0; p < RL_ARRAY_COUNT(paths); p++)
        for (size_t w = 0; w < RL_ARRAY_COUNT(windows); w++) {
            start(paths[p]);
            rl_mem_set_window(f.mem, windows[w]);
            struct client c = client_open(&f);
            size_t count = windows[w] < 1000 ? 8 : RL_ARRAY_COUNT(sizes);
            for (size_t i = 0; i < count; i++)
                expect_replies(&c, &sizes[i], 1);
            expect_replies(&c, sizes, 6);       /* in one go */
            cr_assert_eq(f.leases, 0);
            client_close(&c);
            fixture_stop(&f);
        }
}

/* The device is slow: bytes come by jobs, and other connections do not wait for them. */
Test(net_files, bytes_that_are_not_in_memory)
{
    static const uint32_t sizes[] = { 38, 70642, 300000, 2600000 };

    for (size_t p = 0; p < RL_ARRAY_COUNT(paths); p++) {
        start(paths[p]);
        rl_mem_disk_set_resident(rl_mem_disk(f.mem), false);
        struct client c = client_open(&f);
        expect_replies(&c, sizes, RL_ARRAY_COUNT(sizes));
        client_close(&c);
        fixture_stop(&f);
    }
}

Test(net_files, a_slow_disk_holds_up_nobody_else)
{
    struct bytes ask = { 0 }, reply = { 0 }, echo = { 0 };

    start(RL_SEND_READ);
    rl_mem_disk_set_resident(rl_mem_disk(f.mem), false);
    rl_mem_hold_helpers(f.mem, true);
    struct client waits = client_open(&f), other = client_open(&f);
    bytes_lent_ask(&ask, 300000);
    bytes_big_reply(&reply, 300000);
    client_write(&waits, ask.data, ask.count);
    client_read(&waits);
    cr_assert_lt(waits.in.count, reply.count);
    bytes_frame(&echo, 'e', 100, 1);
    client_write(&other, echo.data, echo.count);
    client_read(&other);
    cr_assert(client_got(&other, &echo));
    rl_mem_hold_helpers(f.mem, false);
    while (waits.in.count < reply.count && client_read(&waits))
        ;
    cr_assert(client_got(&waits, &reply));
    client_close(&waits);
    client_close(&other);
    bytes_free(&ask);
    bytes_free(&reply);
    bytes_free(&echo);
    fixture_stop(&f);
}

/* Read so many bytes of the reply, then leave. */
static void leave_after(enum rl_send_path path, size_t bytes, bool reset, bool resident)
{
    static uint8_t sink[1 << 20];
    struct bytes ask = { 0 };

    start(path);
    rl_mem_disk_set_resident(rl_mem_disk(f.mem), resident);
    rl_mem_set_window(f.mem, 4096);
    struct client c = client_open(&f);
    bytes_lent_ask(&ask, 400000);
    bytes_lent_ask(&ask, 71000);
    client_write(&c, ask.data, ask.count);
    bytes -= RL_MIN(bytes, c.in.count);                 /* what came while it asked */
    for (uint32_t idle = 0; bytes > 0;) {
        size_t got = rl_mem_client_receive(c.end, sink, RL_MIN(bytes, sizeof sink));
        fixture_run(&f);
        bytes -= got;
        idle = got == 0 ? idle + 1 : 0;
        cr_assert_lt(idle, 3, "path %d: %zu bytes do not come", (int)path, bytes);
    }
    if (reset)
        rl_mem_client_reset(c.end);
    else
        rl_mem_client_close(c.end);
    bytes_free(&c.in);
    bytes_free(&ask);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 0);
    cr_assert_eq(f.leases, 0, "path %d", (int)path);
    fixture_stop(&f);
}

Test(net_files, a_reader_that_leaves_anywhere)
{
    for (size_t p = 0; p < RL_ARRAY_COUNT(paths); p++) {
        for (size_t at = 0; at < 45; at++)
            leave_after(paths[p], at, at % 2 == 1, at % 3 != 0);
        for (size_t at = 60000; at < 470000; at += 9973)
            leave_after(paths[p], at, at % 2 == 1, at % 3 != 0);
    }
}

Test(net_files, a_connection_that_ends_while_its_bytes_are_read)
{
    struct bytes ask = { 0 };

    start(RL_SEND_READ);
    rl_mem_disk_set_resident(rl_mem_disk(f.mem), false);
    rl_mem_hold_helpers(f.mem, true);
    struct client c = client_open(&f);
    bytes_lent_ask(&ask, 300000);
    client_write(&c, ask.data, ask.count);
    client_read(&c);
    rl_mem_client_reset(c.end);
    fixture_run(&f);
    cr_assert_gt(f.leases, 0, "the job still reads");
    rl_mem_hold_helpers(f.mem, false);
    fixture_run(&f);
    cr_assert_eq(f.leases, 0);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&c.in);
    bytes_free(&ask);
    fixture_stop(&f);
}

Test(net_files, a_file_that_cannot_be_read_ends_the_connection)
{
    for (size_t p = 0; p < RL_ARRAY_COUNT(paths); p++) {
        struct bytes ask = { 0 };
        start(paths[p]);
        struct client c = client_open(&f), other = client_open(&f);
        for (uint32_t i = 0; i < 3; i++)        /* a read is tried again after what goes before it */
            rl_mem_disk_fail(rl_mem_disk(f.mem), RL_MEM_READ, i, RL_EIO);
        bytes_lent_ask(&ask, 300000);
        client_write(&c, ask.data, ask.count);
        while (client_read(&c) && c.in.count < 300004)
            fixture_run(&f);
        cr_assert_lt(c.in.count, 300004);
        cr_assert(rl_mem_client_ended(c.end));
        cr_assert_eq(fixture_connections(&f), 1);
        cr_assert_eq(f.leases, 0);
        rl_mem_disk_heal(rl_mem_disk(f.mem));
        uint32_t size = 300000;
        expect_replies(&other, &size, 1);
        client_close(&c);
        client_close(&other);
        bytes_free(&ask);
        fixture_stop(&f);
    }
}

Test(net_files, a_drain_lets_a_file_go_out_and_then_cuts)
{
    for (size_t p = 0; p < RL_ARRAY_COUNT(paths); p++) {
        struct bytes ask = { 0 }, reply = { 0 };
        start(paths[p]);
        rl_mem_set_window(f.mem, 4096);
        struct client reads = client_open(&f), stopped = client_open(&f);
        bytes_lent_ask(&ask, 300000);
        bytes_big_reply(&reply, 300000);
        client_write(&stopped, ask.data, ask.count);
        client_write(&reads, ask.data, ask.count);
        fixture_drain(&f, 10 * SECOND_NS);
        while (reads.in.count < reply.count && client_read(&reads))
            ;
        cr_assert(client_got(&reads, &reply));
        cr_assert_eq(f.drained, 0);
        fixture_advance(&f, 11 * SECOND_NS);
        cr_assert_eq(f.drained, 1);
        cr_assert_eq(f.leases, 0);
        client_close(&reads);
        client_close(&stopped);
        bytes_free(&ask);
        bytes_free(&reply);
        fixture_stop(&f);
    }
}

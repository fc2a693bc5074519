/* tests/net/test_net_memory.c — memory for frames and for requests that wait, on a kernel in memory. */
#include "net/connection.h"
#include "net_fixture.h"
#include <criterion/criterion.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)
#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

static struct fixture f;

static void stop(void)
{
    fixture_stop(&f);
}

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

/* A frame of so many bytes, of which the first MiB has come: more than the budget, nobody else may do that. */
static struct client begin_large(struct bytes *out, size_t frame_bytes)
{
    struct rl_net_options options = fixture_options();

    options.request_bytes_max = MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(out, 'e', frame_bytes, 1);
    struct client client = client_open(&f);
    client_write(&client, out->data, MIB);
    fixture_run(&f);
    return client;
}

Test(net_memory, who_stalls_while_others_wait_is_closed, .fini = stop)
{
    struct bytes out = { 0 };
    struct client staller = begin_large(&out, 2 * MIB), waiter = client_open(&f);

    fixture_advance(&f, 60 * SECOND_NS);
    cr_assert(client_read(&staller));   /* nobody waits: it may take its time */
    size_t at = client_write_some(&waiter, out.data, out.count);
    cr_assert_eq(f.handled, 0);
    cr_assert_lt(at, out.count);
    cr_assert(strstr(f.log, "queued.max.request.bytes") != NULL);
    fixture_advance(&f, 11 * SECOND_NS);
    cr_assert(!client_read(&staller));
    client_write(&waiter, out.data + at, out.count - at);
    cr_assert(client_got(&waiter, &out));
    client_close(&staller);
    client_close(&waiter);
    bytes_free(&out);
}

/* Some bytes now and then keep a frame from being called stalled, unless others wait. */
Test(net_memory, who_dribbles_while_others_wait_is_closed, .fini = stop)
{
    struct bytes out = { 0 };
    struct client dribbler = begin_large(&out, 8 * MIB), waiter = client_open(&f);
    size_t sent = MIB;

    for (int i = 0; i < 60; i++, sent += 1000) {
        client_write(&dribbler, out.data + sent, 1000);
        fixture_advance(&f, SECOND_NS);
    }
    cr_assert(client_read(&dribbler));          /* nobody waits */
    (void)client_write_some(&waiter, out.data, out.count);
    bool open = true;
    for (int i = 0; i < 25 && open; i++, sent += 1000) {
        client_write_some(&dribbler, out.data + sent, 1000);
        fixture_advance(&f, SECOND_NS);
        open = client_read(&dribbler);
    }
    cr_assert(!open, "a kilobyte a second");
    client_close(&dribbler);
    client_close(&waiter);
    bytes_free(&out);
}

/* One that is slow and steady is served, though others wait. */
Test(net_memory, who_is_slow_while_others_wait_is_served, .fini = stop)
{
    struct bytes out = { 0 };
    struct client slow = begin_large(&out, 8 * MIB), waiter = client_open(&f);
    size_t sent = MIB;

    (void)client_write_some(&waiter, out.data, out.count);
    while (sent < out.count) {
        size_t piece = RL_MIN(out.count - sent, MIB / 16);
        client_write(&slow, out.data + sent, piece);
        sent += piece;
        fixture_advance(&f, 2 * SECOND_NS);
    }
    cr_assert(client_got(&slow, &out));
    client_close(&slow);
    client_close(&waiter);
    bytes_free(&out);
}

/* An announced size costs nobody anything: memory is taken as bytes arrive. */
Test(net_memory, announcing_is_free, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    static struct client clients[200];
    struct bytes large = { 0 }, small = { 0 };

    options.request_bytes_max = 4 * MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&large, 'e', 2 * MIB, 1);
    bytes_frame(&small, 'e', 60000, 1);
    for (size_t k = 0; k < 200; k++) {
        clients[k] = client_open(&f);
        client_write(&clients[k], k % 2 ? large.data : small.data, 5 + k % 3 * 100);
    }
    struct client other = client_open(&f);
    client_write(&other, large.data, large.count);
    cr_assert(client_got(&other, &large));
    client_write(&other, small.data, small.count);
    cr_assert(client_got(&other, &small));
    cr_assert_null(strstr(f.log, "queued.max.request.bytes"));
    for (size_t k = 0; k < 200; k++)
        client_close(&clients[k]);
    client_close(&other);
    bytes_free(&large);
    bytes_free(&small);
}

/* Those who dawdle within small frames share half of what small frames have; who is whole passes. */
Test(net_memory, a_whole_frame_passes_those_who_dawdle, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    static struct client clients[40];
    struct bytes out = { 0 }, small = { 0 };

    options.request_bytes_max = 4 * MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&out, 'e', 60000, 1);
    bytes_frame(&small, 'e', 1000, 1);
    for (size_t k = 0; k < 40; k++) {
        clients[k] = client_open(&f);
        client_write_some(&clients[k], out.data, 55000);
    }
    cr_assert(strstr(f.log, "queued.max.request.bytes") != NULL);
    struct client other = client_open(&f);
    client_write(&other, small.data, small.count);
    cr_assert(client_got(&other, &small));
    for (size_t k = 0; k < 40; k++) {           /* they were only slow: all are served in the end */
        client_write_some(&clients[k], out.data + 55000, out.count - 55000);
        fixture_run(&f);
    }
    for (size_t k = 0; k < 40; k++) {
        cr_assert(client_got(&clients[k], &out), "client %zu", k);
        client_close(&clients[k]);
    }
    client_close(&other);
    bytes_free(&out);
    bytes_free(&small);
}

/* Requests that wait hold a quarter of the budget at most: then the oldest are answered early. */
Test(net_memory, what_waits_is_bounded_by_hurrying_the_oldest, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };
    struct client clients[10];

    options.request_bytes_max = 4 * MIB;        /* 10 times 100,000 bytes may wait */
    fixture_start(&f, 1, &options);
    bytes_frame(&out, 'q', 50, 1);
    for (size_t k = 0; k < 10; k++) {
        clients[k] = client_open(&f);
        for (size_t i = 0; i < 3; i++)
            client_write(&clients[k], out.data, out.count);
    }
    cr_assert_eq(f.handled, 30);
    cr_assert_eq(f.hurried, 20);
    cr_assert(strstr(f.log, "answered early") != NULL);
    for (size_t k = 0; k < 6; k++) {
        client_read(&clients[k]);
        cr_assert_eq(clients[k].in.count, 3 * out.count, "client %zu", k);      /* the oldest */
    }
    client_read(&clients[9]);
    cr_assert_eq(clients[9].in.count, 0);
    for (size_t k = 0; k < 10; k++)
        client_close(&clients[k]);
    fixture_run(&f);
    cr_assert_eq(fixture_connections(&f), 0);
    bytes_free(&out);
}

/* Frames of requests that wait make room for one that wants memory. */
Test(net_memory, what_waits_makes_room_for_a_frame, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes waits = { 0 }, out = { 0 };
    struct client clients[8];

    options.request_bytes_max = 4 * MIB;
    fixture_start(&f, 1, &options);
    bytes_frame(&waits, 'q', 400000, 1);
    bytes_frame(&out, 'e', 2 * MIB, 2);
    for (size_t k = 0; k < 8; k++) {
        clients[k] = client_open(&f);
        client_write(&clients[k], waits.data, waits.count);
    }
    struct client other = client_open(&f);
    client_write(&other, out.data, out.count);
    cr_assert(client_got(&other, &out));
    cr_assert(f.hurried >= 4 && f.hurried < 8, "%llu", (unsigned long long)f.hurried);
    for (size_t k = 0; k < 8; k++)
        client_close(&clients[k]);
    client_close(&other);
    bytes_free(&waits);
    bytes_free(&out);
}

static uint32_t list_count(const struct rl_list *list)
{
    uint32_t count = 0;

    RL_LIST_EACH(node, list)
        count++;
    return count;
}

/* Who wants memory for a large frame does not look through all the long polls with small ones. */
Test(net_memory, what_waits_is_found_by_the_memory_it_holds, .fini = stop)
{
    struct rl_net_options options = fixture_options();
    struct bytes small = { 0 }, large = { 0 }, out = { 0 };
    struct client clients[12];

    options.request_bytes_max = 40 * MIB;
    fixture_start(&f, 1, &options);
    const struct rl_net *net = rl_net_of(rl_shard_set_get(f.set, 0));
    bytes_frame(&small, 'q', 50, 1);
    bytes_frame(&large, 'q', 16 * MIB, 2);
    bytes_frame(&out, 'e', 15 * MIB, 3);
    for (size_t k = 0; k < 12; k++) {
        const struct bytes *asked = k % 6 == 5 ? &large : &small;
        clients[k] = client_open(&f);
        client_write(&clients[k], asked->data, asked->count);
    }
    cr_assert_eq(list_count(&net->patient), 12);
    cr_assert_eq(list_count(&net->small.patient), 10);
    cr_assert_eq(list_count(&net->large.patient), 2);
    struct client other = client_open(&f);
    client_write(&other, out.data, out.count);
    cr_assert(client_got(&other, &out));
    cr_assert_eq(list_count(&net->small.patient), 10);
    cr_assert_lt(list_count(&net->large.patient), 2);
    for (size_t k = 0; k < 12; k++)
        client_close(&clients[k]);
    client_close(&other);
    fixture_run(&f);
    cr_assert(rl_list_empty(&net->patient) && rl_list_empty(&net->small.patient) &&
              rl_list_empty(&net->large.patient));
    bytes_free(&small);
    bytes_free(&large);
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

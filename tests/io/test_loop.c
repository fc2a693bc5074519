/* tests/io/test_loop.c — the loop's parts: timers against a sorted list, mailboxes, a storm. */
#include "core/memory.h"
#include "core/random.h"
#include "io/mailbox.h"
#include "io/timers.h"
#include "remote.h"
#include "storm.h"
#include <criterion/criterion.h>

/* ---- timers ---- */

enum { TIMERS = 200 };

static struct rl_timer timers[TIMERS];
static int64_t ran_ns[TIMERS], now_ns;

static void on_timer(struct rl_timer *timer)
{
    ran_ns[timer - timers] = now_ns;
}

Test(timers, run_once_at_the_first_moment_not_before_their_deadline)
{
    struct rl_timers heap = { 0 };
    struct rl_random random;
    int64_t deadline_ns[TIMERS] = { 0 };        /* of those that run */

    rl_random_init(&random, 3);
    for (int i = 0; i < TIMERS; i++)
        timers[i].done = on_timer;
    for (int step = 0; step < 20000; step++) {
        uint64_t i = rl_random_below(&random, TIMERS);
        switch (rl_random_below(&random, 4)) {
        case 0:
        case 1:
            deadline_ns[i] = now_ns + 1 + (int64_t)rl_random_below(&random, 100);
            ran_ns[i] = 0;
            rl_timers_start(&heap, &timers[i], deadline_ns[i]);
            break;
        case 2:
            rl_timers_stop(&heap, &timers[i]);
            deadline_ns[i] = 0;
            break;
        default:
            now_ns += (int64_t)rl_random_below(&random, 5);
            rl_timers_run(&heap, now_ns);
        }
        int64_t next_ns = INT64_MAX;
        for (int j = 0; j < TIMERS; j++) {
            if (deadline_ns[j] != 0 && deadline_ns[j] <= now_ns) {
                cr_assert_geq(ran_ns[j], deadline_ns[j]);
                cr_assert_not(rl_timer_running(&timers[j]));
                deadline_ns[j] = 0;
            }
            cr_assert_eq(rl_timer_running(&timers[j]), deadline_ns[j] != 0);
            if (deadline_ns[j] != 0)
                next_ns = RL_MIN(next_ns, deadline_ns[j]);
        }
        cr_assert_eq(rl_timers_next(&heap), next_ns);
    }
    rl_timers_done(&heap);
}

static struct rl_timers restarted_heap;

static void restart(struct rl_timer *timer)
{
    rl_timers_start(&restarted_heap, timer, 0);
}

Test(timers, one_that_restarts_in_the_past_does_not_hang_the_loop)
{
    struct rl_timer timer = { .done = restart };

    rl_timers_start(&restarted_heap, &timer, 0);
    cr_assert_eq(rl_timers_run(&restarted_heap, 10), 1);
    cr_assert(rl_timer_running(&timer));
    rl_timers_done(&restarted_heap);
}

/* ---- mailbox ---- */

Test(mailbox, what_finds_no_slot_waits_in_order)
{
    struct rl_mailbox box;
    struct rl_msg messages[20], *taken[20];
    bool wake;

    rl_mailbox_init(&box, 8);
    cr_assert_eq(rl_mailbox_take(&box, taken, 20, &wake), 0);
    for (int i = 0; i < 20; i++)
        rl_mailbox_put(&box, &messages[i]);
    cr_assert_eq(rl_mailbox_take(&box, taken, 20, &wake), 0, "nothing is published yet");
    cr_assert(rl_mailbox_waiting(&box));
    cr_assert(rl_mailbox_publish(&box));
    cr_assert_not(rl_mailbox_unblocked(&box));
    uint32_t count = 0;
    while (count < 20) {
        uint32_t got = rl_mailbox_take(&box, taken + count, 3, &wake);
        cr_assert(got > 0 && got <= 3);
        cr_assert_eq(wake, rl_mailbox_waiting(&box), "a sender that waits is woken, no other");
        cr_assert_eq(rl_mailbox_unblocked(&box), rl_mailbox_waiting(&box));
        count += got;
        rl_mailbox_publish(&box);
    }
    for (int i = 0; i < 20; i++)
        cr_assert_eq(taken[i], &messages[i]);
    cr_assert_not(rl_mailbox_waiting(&box));
    cr_assert_not(rl_mailbox_publish(&box));
    rl_mailbox_done(&box);
}

/* take: head moves | publish uses that room, is full again, blocks | take: sees and clears. */
Test(mailbox, a_sender_whose_promise_was_taken_early_does_not_sleep)
{
    struct rl_mailbox box;
    struct rl_msg messages[20];

    rl_mailbox_init(&box, 8);
    for (int i = 0; i < 20; i++)
        rl_mailbox_put(&box, &messages[i]);
    cr_assert(rl_mailbox_publish(&box));
    cr_assert_not(rl_mailbox_unblocked(&box), "the receiver will wake it");
    cr_assert(atomic_exchange(&box.blocked, false), "the second half of a take that began before");
    cr_assert(rl_mailbox_unblocked(&box), "nobody will wake it, although the ring is full");
    cr_assert_not(rl_mailbox_publish(&box));
    cr_assert_not(rl_mailbox_unblocked(&box));
    rl_mailbox_done(&box);
}

Test(mailbox, counters_may_wrap)
{
    struct rl_mailbox box;
    struct rl_msg message, *taken[4];
    bool wake;

    rl_mailbox_init(&box, 4);
    box.tail = box.head = box.tail_next = box.tail_published = box.head_seen = box.head_next =
        UINT32_MAX - 1;
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 4; j++)
            rl_mailbox_put(&box, &message);
        cr_assert_not(rl_mailbox_waiting(&box));
        cr_assert(rl_mailbox_publish(&box));
        cr_assert_eq(rl_mailbox_take(&box, taken, 4, &wake), 4);
    }
    rl_mailbox_done(&box);
}

/* ---- all together ---- */

Test(storm, a_million_messages_through_full_mailboxes)
{
    struct storm_result result;

    storm_run(remote_backend(), 4, 14000, 3, &result);    /* 4 x 3 x 14,000 x 3, there and back */
    cr_assert_eq(result.messages, 1008000);
    cr_assert(result.ordered);
    cr_assert(result.congested);
    cr_assert_gt(result.helped, 0);
}

Test(storm, one_message_at_a_time_and_everybody_sleeps_between)
{
    struct storm_result result;

    storm_run(remote_backend(), 2, 1, 500, &result);
    cr_assert_eq(result.messages, 2000);
    cr_assert(result.ordered);
}

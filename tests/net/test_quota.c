/* tests/net/test_quota.c — how many connections, of whom, and how fast. */
#include "net/quota.h"
#include <criterion/criterion.h>

#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

static struct rl_quota quota;

static void start(uint32_t total, uint32_t per_address, const char *overrides, uint32_t per_second)
{
    struct rl_connection_limits limits = { total, per_address, overrides, per_second };

    rl_quota_init(&quota, &limits, 7);
}

static void stop(void)
{
    rl_quota_done(&quota);
}

static enum rl_quota_answer take(const char *host)
{
    struct rl_quota_peer *peer;

    return rl_quota_take(&quota, host, &peer);
}

Test(quota, all_together, .fini = stop)
{
    struct rl_quota_peer *first;

    start(3, 100, NULL, 100);
    cr_assert_eq(rl_quota_take(&quota, "10.0.0.1", &first), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.2"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.3"), RL_QUOTA_TOO_MANY);
    rl_quota_give(&quota, first);
    cr_assert_eq(take("10.0.0.3"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_TOO_MANY);
    cr_assert_eq(quota.count, 3);
}

Test(quota, of_an_address, .fini = stop)
{
    struct rl_quota_peer *peers[2];

    start(100, 2, "10.0.0.9:3, [2001:db8:0::1]:1,::1:0,10.0.0.8:5,10.0.0.8:1", 100);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(rl_quota_take(&quota, "10.0.0.1", &peers[i]), RL_QUOTA_GRANTED);
    cr_assert_eq(peers[0], peers[1]);
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_TOO_MANY_OF_ADDRESS);
    cr_assert_eq(take("10.0.0.2"), RL_QUOTA_GRANTED);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(take("10.0.0.9"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.9"), RL_QUOTA_TOO_MANY_OF_ADDRESS);
    cr_assert_eq(take("2001:db8::1"), RL_QUOTA_GRANTED);        /* however it is written */
    cr_assert_eq(take("2001:db8::1"), RL_QUOTA_TOO_MANY_OF_ADDRESS);
    cr_assert_eq(take("::1"), RL_QUOTA_TOO_MANY_OF_ADDRESS);
    cr_assert_eq(rl_quota_address_max(&quota, "10.0.0.8"), 1);  /* the last one counts */
    for (size_t i = 0; i < 2; i++)
        rl_quota_give(&quota, peers[i]);
    cr_assert_eq(rl_table_count(&quota.peers), 3);      /* who has none is forgotten */
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_GRANTED);
}

Test(quota, other_limits_while_connections_are_open, .fini = stop)
{
    start(100, 2, "10.0.0.9:1", 100);
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.9"), RL_QUOTA_GRANTED);
    struct rl_connection_limits limits = { .total_max = 4, .per_address_max = 3,
                                           .per_second_max = 1 };
    rl_quota_set(&quota, &limits);
    cr_assert_eq(take("10.0.0.9"), RL_QUOTA_GRANTED);   /* no override any more */
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_GRANTED);
    cr_assert_eq(take("10.0.0.1"), RL_QUOTA_TOO_MANY);
}

Test(quota, what_is_no_address_counts_for_nobody, .fini = stop)
{
    start(100, 1, ",,:,x:,[:1,]:2,host:4,1.2.3.4,:::::::::5,"
          "0123456789012345678901234567890123456789012345678901234567890123456789:1", 1);
    cr_assert_eq(rl_table_count(&quota.overrides), 0);
}

Test(quota, rate, .fini = stop)
{
    int64_t now_ns = 5 * SECOND_NS;

    start(100, 100, NULL, 10);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(rl_quota_accepted(&quota, now_ns), 0);     /* a second's worth at once */
    cr_assert_eq(rl_quota_accepted(&quota, now_ns), SECOND_NS / 10);
    cr_assert_eq(rl_quota_accepted(&quota, now_ns), SECOND_NS / 5);
    now_ns += SECOND_NS / 2;
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(rl_quota_accepted(&quota, now_ns), 0);
    cr_assert_eq(rl_quota_accepted(&quota, now_ns), SECOND_NS / 10);
    now_ns += 3600 * SECOND_NS;         /* an hour of quiet is worth one second */
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(rl_quota_accepted(&quota, now_ns), 0);
    cr_assert_gt(rl_quota_accepted(&quota, now_ns), 0);
}

Test(quota, no_rate_and_a_rate_of_zero, .fini = stop)
{
    start(100, 100, NULL, UINT32_MAX);
    for (size_t i = 0; i < 100000; i++)
        cr_assert_eq(rl_quota_accepted(&quota, 1), 0);
    quota.limits.per_second_max = 0;
    cr_assert_eq(rl_quota_accepted(&quota, 1), 0);
    cr_assert_eq(rl_quota_accepted(&quota, 1), SECOND_NS);
}

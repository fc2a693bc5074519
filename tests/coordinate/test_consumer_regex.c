/* tests/coordinate/test_consumer_regex.c — what a pattern costs others: a shard looks for one at a time,
 * and a call that waits is answered whatever happens to its group. */
#include "coordinate/consumer_group.h"
#include "group_rig.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { CALLS = 5 };

static struct group_rig rig;
static struct rl_topic topics[2] = { { .id = { { 1 } }, .name = "orders", .partition_count = 2 },
                                     { .id = { { 2 } }, .name = "tweets", .partition_count = 1 } };
static const struct rl_topic *by_name[2] = { &topics[0], &topics[1] };
static struct rl_image image = { .generation = 1, .topic_count = 2, .by_name = by_name, .by_id = by_name };
static const char *const assignors[] = { "uniform", NULL };

static struct rl_consumer_heartbeat calls[CALLS];
static char members[CALLS][8];
static uint32_t answers;

static const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &image;
}

static void on_answered(struct rl_group_answer *answer)
{
    (void)answer;
    answers++;
}

static void send_to(struct rl_groups *groups, uint32_t i, const char *pattern)
{
    (void)snprintf(members[i], sizeof members[i], "m%u", i);
    calls[i] = (struct rl_consumer_heartbeat){
        .group_id = rl_slice_of_string("g"), .member_id = rl_slice_of_string(members[i]),
        .client_id = rl_slice_of_string("c"), .client_host = rl_slice_of_string("/h"), .needs_member_id = true,
        .rebalance_timeout_ms = 3000, .topics_told = true, .regex = rl_slice_of_string(pattern), .owned_told = true,
        .answer = { .done = on_answered } };
    rl_groups_consumer_heartbeat(groups, &calls[i]);
}

static void send(uint32_t i, const char *pattern)
{
    send_to(&rig.groups, i, pattern);
}

static void start(void)
{
    answers = 0;
    group_rig_start(&rig, 1);
    rig.limits.consumer_session_timeout_ms = 3000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 100;
    rig.limits.assignors = assignors;
    rig.groups.image = current_image;
    rl_mem_hold_helpers(rig.mem, true);
}

static void stop(void)
{
    for (uint32_t i = 0; i < CALLS; i++)
        rl_consumer_heartbeat_done(&calls[i]);
    group_rig_stop(&rig);
}

Test(consumer_regex, one_at_a_time)
{
    static const char *const patterns[CALLS] = { "o.*", "t.*", "(", "x", ".*" };
    start();
    for (uint32_t i = 0; i < CALLS; i++)
        send(i, patterns[i]);
    for (uint32_t i = 0; i < CALLS; i++) {
        group_rig_settle(&rig);
        cr_assert_eq(answers, i);
        cr_assert_eq(rl_mem_helpers_waiting(rig.mem), 1, "one job, whoever waits");
        cr_assert(rl_mem_run_helper(rig.mem));
    }
    group_rig_settle(&rig);
    cr_assert_eq(answers, CALLS);
    cr_assert_eq(rl_mem_helpers_waiting(rig.mem), 0);
    for (uint32_t i = 0; i < CALLS; i++)
        cr_assert_eq(calls[i].error, i == 2 ? RL_GROUP_INVALID_REGEX : RL_GROUP_OK);
    cr_assert_str_eq(rl_text_string(&calls[2].message),
                     "SubscribedTopicRegex `(` is not a valid regular expression: missing closing ).");
    stop();
}

/* The coordinator moves away: who waits for his turn is told, as is who waits for an answer. */
Test(consumer_regex, nobody_waits_for_ever)
{
    start();
    for (uint32_t i = 0; i < CALLS; i++)
        send(i, i % 2 == 0 ? "o.*" : "t.*");
    group_rig_settle(&rig);
    rl_groups_drop_all(&rig.groups, RL_GROUP_NOT_COORDINATOR);
    group_rig_settle(&rig);
    cr_assert_eq(answers, CALLS);
    for (uint32_t i = 0; i < CALLS; i++)
        cr_assert_eq(calls[i].error, RL_GROUP_NOT_COORDINATOR);
    cr_assert(rl_mem_run_helper(rig.mem));
    group_rig_settle(&rig);
    cr_assert_eq(rl_mem_helpers_waiting(rig.mem), 0);
    stop();
}

/* Connections are gone: who waits for his turn costs nothing any more, and who is being looked for is
 * the last to be. */
Test(consumer_regex, callers_may_give_up)
{
    start();
    for (uint32_t i = 0; i < CALLS; i++)
        send(i, "o.*");
    rl_consumer_heartbeat_forget(&rig.groups, &calls[0]);
    rl_consumer_heartbeat_forget(&rig.groups, &calls[2]);
    rl_consumer_heartbeat_forget(&rig.groups, &calls[3]);
    group_rig_settle(&rig);
    cr_assert_eq(answers, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert(rl_mem_run_helper(rig.mem));
        group_rig_settle(&rig);
    }
    cr_assert_eq(answers, CALLS);
    cr_assert_eq(rl_mem_helpers_waiting(rig.mem), 0);
    for (uint32_t i = 0; i < CALLS; i++)
        cr_assert_eq(calls[i].error, i == 1 || i == 4 ? RL_GROUP_OK : RL_GROUP_LOADING);
    rl_consumer_heartbeat_forget(&rig.groups, &calls[1]);
    group_rig_settle(&rig);
    cr_assert_eq(answers, CALLS, "it was answered already");
    stop();
}

/* Groups of two partitions of __consumer_offsets are of the same shard; one of the two moves away. */
Test(consumer_regex, partitions_wait_for_each_other)
{
    struct rl_groups other;
    start();
    rl_groups_init(&other, rig.shard, &rig.limits, &rig.store, &rig.answers, &rig.searches);
    other.image = current_image;
    for (uint32_t i = 0; i < CALLS; i++)
        send_to(i % 2 == 0 ? &other : &rig.groups, i, "o.*");
    group_rig_settle(&rig);
    cr_assert_eq(rl_mem_helpers_waiting(rig.mem), 1);
    rl_groups_drop_all(&other, RL_GROUP_NOT_COORDINATOR);
    group_rig_settle(&rig);
    cr_assert_eq(answers, 3);
    while (rl_mem_run_helper(rig.mem))
        group_rig_settle(&rig);
    cr_assert_eq(answers, CALLS);
    for (uint32_t i = 0; i < CALLS; i++)
        cr_assert_eq(calls[i].error, i % 2 == 0 ? RL_GROUP_NOT_COORDINATOR : RL_GROUP_OK);
    stop();
}

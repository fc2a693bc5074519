/* tests/coordinate/test_consumer_steps.c — a group of the consumer protocol, step by step: who gives up
 * first, answers that are lost, timeouts. */
#include "coordinate/consumer_group.h"
#include "group_rig.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>

static struct group_rig rig;
static struct rl_topic topic = { .id = { { 1 } }, .name = "t", .partition_count = 4 };
static const struct rl_topic *topics[1] = { &topic };
static struct rl_image image = { .generation = 1, .topic_count = 1, .by_name = topics, .by_id = topics };
static const char *const assignors[] = { "uniform", "range", NULL };
static const struct rl_slice names[] = { { (const uint8_t *)"t", 1 } };

struct said {
    enum rl_group_error error;
    int32_t epoch, partitions;          /* -1: not told */
};

static const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &image;
}

static void on_answered(struct rl_group_answer *answer)
{
    (void)answer;
}

static struct rl_consumer_heartbeat call_of(const char *member, int32_t epoch)
{
    return (struct rl_consumer_heartbeat){
        .group_id = rl_slice_of_string("g"), .member_id = rl_slice_of_string(member),
        .client_id = rl_slice_of_string("c"), .client_host = rl_slice_of_string("/h"), .member_epoch = epoch,
        .needs_member_id = true, .rebalance_timeout_ms = -1, .answer = { .done = on_answered } };
}

static struct said beat(struct rl_consumer_heartbeat *call)
{
    rl_groups_consumer_heartbeat(&rig.groups, call);
    group_rig_settle(&rig);
    struct said said = { call->error, call->ret_member_epoch,
                         call->ret_assignment_told ? (int32_t)call->ret_assignment.count : -1 };
    rl_consumer_heartbeat_done(call);
    return said;
}

static struct said join(const char *member)
{
    struct rl_consumer_heartbeat call = call_of(member, 0);
    call.rebalance_timeout_ms = 2000;
    call.topics_told = call.owned_told = true;
    call.topics = names;
    call.topic_count = 1;
    return beat(&call);
}

/* owned: partitions 0 to below this; -1: not told. */
static struct said stay(const char *member, int32_t epoch, int32_t owned)
{
    struct rl_consumer_heartbeat call = call_of(member, epoch);
    call.owned_told = owned >= 0;
    for (int32_t i = 0; i < owned; i++)
        rl_partition_set_add(&call.owned, topic.id, i);
    return beat(&call);
}

static void start(void)
{
    group_rig_start(&rig, 1);
    rig.limits.consumer_session_timeout_ms = 5000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 2;
    rig.limits.assignors = assignors;
    rig.groups.image = current_image;
}

static uint32_t member_count(void)
{
    return rl_table_count(&rl_groups_find(&rig.groups, rl_slice_of_string("g"))->consumer->by_member_id);
}

/* Two members, the first of which has been told to give up half and has not. */
static void two_members(void)
{
    struct said a = join("a"), b = join("b");
    cr_assert_eq(a.epoch, 2);
    cr_assert_eq(a.partitions, 4);
    cr_assert_eq(b.epoch, 3);
    cr_assert_eq(b.partitions, 0);
    a = stay("a", 2, -1);
    cr_assert_eq(a.epoch, 2);
    cr_assert_eq(a.partitions, 2);
}

Test(consumer_steps, gives_up_first)
{
    start();
    two_members();
    cr_assert_eq(stay("b", 3, -1).partitions, -1, "nothing is free");
    cr_assert_eq(stay("a", 2, 4).epoch, 2);
    struct said a = stay("a", 2, 2);
    cr_assert_eq(a.epoch, 3);
    cr_assert_eq(stay("b", 3, -1).partitions, 2);
    group_rig_stop(&rig);
}

Test(consumer_steps, answers_are_lost)
{
    start();
    two_members();
    (void)stay("a", 2, 2);              /* and its answer, epoch 3, is lost */
    cr_assert_eq(stay("a", 2, 2).error, RL_GROUP_OK);
    cr_assert_eq(stay("a", 2, 1).error, RL_GROUP_OK);
    cr_assert_eq(stay("a", 2, 3).error, RL_GROUP_FENCED_MEMBER_EPOCH, "it owns more than it was told");
    cr_assert_eq(stay("a", 2, -1).error, RL_GROUP_FENCED_MEMBER_EPOCH, "it does not tell");
    cr_assert_eq(stay("a", 4, 2).error, RL_GROUP_FENCED_MEMBER_EPOCH);
    cr_assert_eq(stay("a", 1, 2).error, RL_GROUP_FENCED_MEMBER_EPOCH);
    cr_assert_eq(stay("a", 3, -1).error, RL_GROUP_OK);
    group_rig_stop(&rig);
}

Test(consumer_steps, who_does_not_give_up_is_removed)
{
    start();
    two_members();
    for (int i = 0; i < 3; i++) {       /* it lives, but does not do what it was told */
        group_rig_advance(&rig, 600);
        cr_assert_eq(stay("a", 2, 4).error, RL_GROUP_OK);
        cr_assert_eq(stay("b", 3, -1).error, RL_GROUP_OK);
    }
    group_rig_advance(&rig, 600);
    group_rig_settle(&rig);
    cr_assert_eq(member_count(), 1);
    cr_assert_eq(stay("a", 2, 4).error, RL_GROUP_UNKNOWN_MEMBER);
    struct said b = stay("b", 3, -1);
    cr_assert_eq(b.epoch, 4);
    cr_assert_eq(b.partitions, 4);
    group_rig_stop(&rig);
}

Test(consumer_steps, who_is_silent_is_removed)
{
    start();
    (void)join("a");
    group_rig_advance(&rig, 4000);
    cr_assert_eq(stay("a", 2, -1).error, RL_GROUP_OK);
    group_rig_advance(&rig, 4000);
    cr_assert_eq(member_count(), 1);
    group_rig_advance(&rig, 1100);
    group_rig_settle(&rig);
    cr_assert_eq(member_count(), 0);
    group_rig_stop(&rig);
}

Test(consumer_steps, a_full_group)
{
    start();
    (void)join("a");
    (void)join("b");
    cr_assert_eq(join("c").error, RL_GROUP_MAX_SIZE_REACHED);
    cr_assert_eq(join("b").error, RL_GROUP_OK);
    group_rig_stop(&rig);
}

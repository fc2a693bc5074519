/* tests/coordinate/test_consumer_group.c — what many or large members of a group cost, and what they get. */
#include "coordinate/consumer_group.h"
#include "core/memory.h"
#include "group_rig.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { TOPICS_MAX = 150, NAMES_MAX = 700 };

static struct group_rig rig;
static struct rl_topic topics[TOPICS_MAX];
static const struct rl_topic *by_name[TOPICS_MAX], *by_id[TOPICS_MAX];
static char topic_names[TOPICS_MAX][16];
static struct rl_image image;
static const char *const assignors[] = { "uniform", NULL };
static struct rl_consumer_heartbeat call;
static char member_id[16];
static struct rl_slice names[NAMES_MAX];

static const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &image;
}

static void on_answered(struct rl_group_answer *answer)
{
    (void)answer;
}

/* Ids go the other way round than names. */
static void start(uint32_t topic_count)
{
    group_rig_start(&rig, 1);
    rig.limits.consumer_session_timeout_ms = 3000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 10000;
    rig.limits.assignors = assignors;
    rig.groups.image = current_image;
    for (uint32_t i = 0; i < topic_count; i++) {
        (void)snprintf(topic_names[i], sizeof topic_names[i], "topic-%04u", i);
        topics[i] = (struct rl_topic){ .name = topic_names[i], .partition_count = 2 };
        topics[i].id.bytes[0] = (uint8_t)((topic_count - i) >> 8);
        topics[i].id.bytes[1] = (uint8_t)(topic_count - i);
        by_name[i] = &topics[i];
        by_id[topic_count - 1 - i] = &topics[i];
    }
    image = (struct rl_image){ .generation = 1, .topic_count = topic_count, .by_name = by_name, .by_id = by_id };
}

/* A member joins; the answer is in call. */
static void join(uint32_t member, uint32_t name_count)
{
    rl_consumer_heartbeat_done(&call);
    (void)snprintf(member_id, sizeof member_id, "m%u", member);
    call = (struct rl_consumer_heartbeat){
        .group_id = rl_slice_of_string("g"), .member_id = rl_slice_of_string(member_id),
        .client_id = rl_slice_of_string("c"), .client_host = rl_slice_of_string("/h"), .needs_member_id = true,
        .rebalance_timeout_ms = 3000, .topics_told = true, .topics = names, .topic_count = name_count,
        .owned_told = true, .answer = { .done = on_answered } };
    rl_groups_consumer_heartbeat(&rig.groups, &call);
    group_rig_settle(&rig);
}

static void stop(void)
{
    rl_consumer_heartbeat_done(&call);
    group_rig_stop(&rig);
}

/* Each reads a topic of its own and one that is not there; the last reads all of them, some twice. */
Test(consumer_group, many_members_that_read_different_topics)
{
    start(TOPICS_MAX);
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        names[0] = rl_slice_of_string("a-topic-of-the-future");
        names[1] = rl_slice_of_string(topic_names[i]);
        join(i, 2);
        cr_assert_eq(call.error, RL_GROUP_OK);
        cr_assert_eq(call.ret_assignment.count, 2, "member %u", i);
        for (int32_t p = 0; p < 2; p++) {
            cr_assert(rl_uuid_equal(call.ret_assignment.items[p].topic_id, topics[i].id));
            cr_assert_eq(call.ret_assignment.items[p].partition, p);
        }
    }
    for (uint32_t i = 0; i < TOPICS_MAX; i++)
        names[2 * i] = names[2 * i + 1] = rl_slice_of_string(topic_names[i]);
    join(TOPICS_MAX, 2 * TOPICS_MAX);
    cr_assert_eq(call.error, RL_GROUP_OK);
    const struct rl_group *group = rl_groups_find(&rig.groups, rl_slice_of_string("g"));
    const struct rl_consumer_member *last = rl_consumer_group_find(group, rl_slice_of_string(member_id));
    cr_assert_geq(last->target.count, 1, "from the others, who have two");
    stop();
}

/* Names of nothing, too, are kept as long as their member is there. */
Test(consumer_group, what_members_tell_is_bounded)
{
    enum { NAME_BYTES = 32000, NAMES = NAMES_MAX };     /* 22 MB for each member */
    char *text = rl_alloc(NAME_BYTES + NAMES);
    memset(text, 'n', NAME_BYTES + NAMES);
    start(1);
    for (uint32_t i = 0; i < NAMES; i++)
        names[i] = rl_slice_of(text, NAME_BYTES + i);
    for (uint32_t member = 0; member < 12; member++) {
        join(member, NAMES);
        cr_assert_eq(call.error, member < 11 ? RL_GROUP_OK : RL_GROUP_MAX_SIZE_REACHED, "member %u", member);
    }
    join(3, NAMES);
    cr_assert_eq(call.error, RL_GROUP_OK, "who is there tells the same again");
    join(3, 1);
    cr_assert_eq(call.error, RL_GROUP_OK);
    join(11, NAMES);
    cr_assert_eq(call.error, RL_GROUP_OK, "one tells less: there is room");
    stop();
    rl_free(text);
}

static struct rl_group_join classic;

static void on_joined(struct rl_group_answer *answer)
{
    (void)answer;
}

/* Who has joined as a classic member, and was to sync, has nothing to sync when he speaks the other protocol. */
Test(consumer_group, a_member_that_changes_its_protocol_stays)
{
    static const uint8_t metadata[] = { 0, 0, 0, 0, 0, 1, 0, 10, 't', 'o', 'p', 'i', 'c', '-', '0', '0', '0', '0',
                                        0xff, 0xff, 0xff, 0xff };
    const struct rl_group_protocol protocol = { rl_slice_of_string("range"), rl_slice_of(metadata, sizeof metadata) };
    start(1);
    rig.limits.consumer_session_timeout_ms = 30000;
    join(0, 0);                         /* it has nothing that the other would wait for */
    cr_assert_eq(call.error, RL_GROUP_OK);
    classic = (struct rl_group_join){ .group_id = rl_slice_of_string("g"), .member_id = rl_slice_of_string(""),
        .client_id = rl_slice_of_string("c"), .client_host = rl_slice_of_string("/h"),
        .protocol_type = rl_slice_of_string("consumer"), .protocols = &protocol, .protocol_count = 1,
        .session_timeout_ms = 10000, .rebalance_timeout_ms = 2000, .answer = { .done = on_joined } };
    rl_groups_join(&rig.groups, &classic);
    group_rig_settle(&rig);
    cr_assert_eq(classic.error, RL_GROUP_OK);
    struct rl_slice id = classic.ret_member_id;
    for (int i = 0; i < 4; i++) {
        rl_consumer_heartbeat_done(&call);
        call = (struct rl_consumer_heartbeat){ .group_id = rl_slice_of_string("g"), .member_id = id,
            .client_id = rl_slice_of_string("c"), .client_host = rl_slice_of_string("/h"), .needs_member_id = true,
            .member_epoch = classic.ret_generation, .rebalance_timeout_ms = -1, .assignment_interval_ms = 100000,
            .answer = { .done = on_answered } };
        rl_groups_consumer_heartbeat(&rig.groups, &call);
        group_rig_settle(&rig);
        cr_assert_eq(call.error, RL_GROUP_OK, "%d: %s", i, rl_text_string(&call.message));
        cr_assert_eq(call.ret_member_epoch, classic.ret_generation);
        group_rig_advance(&rig, 1000);
    }
    rl_free(classic.memory);
    stop();
}

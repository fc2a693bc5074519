/* coordinate/group_rebalance.c — from one generation to the next.
 *
 * Happy path: a reason to rebalance moves the group to PREPARING_REBALANCE, where every member has to
 * join again: those who wait for an assignment are sent there, the others hear of it by their
 * heartbeats.  When all have joined, or the largest rebalance timeout is over, the next generation
 * begins: a protocol is chosen by vote, everybody's JoinGroup is answered, the leader with what all
 * subscribe to.  In a new group the first rebalance waits group.initial.rebalance.delay.ms, and again
 * while members arrive.
 * Failures: dynamic members that have not joined in time leave the group, static ones stay; who does
 * not send SyncGroup within the rebalance timeout leaves it, too.  With nobody there the wait begins
 * anew, until sessions end. */
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include "core/logger.h"

static void complete_join(struct rl_group *group);

#define NS_PER_MS ((int64_t)1000000)
/* Between two looks whether anybody has joined. */
#define WAIT_MS_MIN 1000

static struct rl_shard *shard_of(const struct rl_group *group)
{
    return group->groups->shard;
}

/* The largest of the members'. */
static int64_t rebalance_timeout_ms(const struct rl_group *group)
{
    int64_t most = 0;
    RL_LIST_EACH(node, &group->members)
        most = RL_MAX(most, RL_LIST_ENTRY(node, struct rl_group_member, link)->rebalance_timeout_ms);
    return most;
}

static void timer_start(struct rl_group *group, struct rl_timer *timer, void (*done)(struct rl_timer *), int64_t delay_ms)
{
    struct rl_shard *shard = shard_of(group);
    timer->done = done;
    timer->arg = group;
    rl_timer_start(shard, timer, shard->now_ns + RL_MAX(delay_ms, 0) * NS_PER_MS);
}

/* ---- answers ---- */

static size_t told_bytes(const struct rl_group *group)
{
    size_t bytes = 0;
    RL_LIST_EACH(node, &group->members) {
        const struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        bytes += sizeof(struct rl_group_join_member) + member->id.bytes + member->instance_id.bytes +
                 rl_group_member_metadata(member, group->protocol).bytes;
    }
    return bytes;
}

void rl_group_fill_join(struct rl_group_join *join, const struct rl_group_member *member,
                        struct rl_slice leader, bool with_members)
{
    const struct rl_group *group = member->group;
    uint32_t count = with_members ? rl_table_count(&group->by_member_id) : 0;
    size_t bytes = 1 + group->protocol_type.bytes + group->protocol.bytes + leader.bytes + member->id.bytes +
                   (with_members ? told_bytes(group) : 0);
    join->memory = rl_alloc(bytes);
    join->ret_members = join->memory;
    uint8_t *at = (uint8_t *)(join->ret_members + count);
    join->ret_member_count = count;
    join->ret_generation = group->generation;
    join->ret_protocol_type = rl_slice_pack(&at, group->protocol_type);
    join->ret_protocol = rl_slice_pack(&at, group->protocol);
    join->ret_leader = rl_slice_pack(&at, leader);
    join->ret_member_id = rl_slice_pack(&at, member->id);
    if (!with_members)
        return;
    struct rl_group_join_member *told = join->ret_members;
    RL_LIST_EACH(node, &group->members) {
        const struct rl_group_member *each = RL_LIST_ENTRY(node, struct rl_group_member, link);
        *told++ = (struct rl_group_join_member){
            .id = rl_slice_pack(&at, each->id), .instance_id = rl_slice_pack(&at, each->instance_id),
            .metadata = rl_slice_pack(&at, rl_group_member_metadata(each, group->protocol)),
        };
    }
}

void rl_group_fill_sync(struct rl_group_sync *sync, const struct rl_group_member *member)
{
    const struct rl_group *group = member->group;
    uint8_t *at = rl_alloc(1 + group->protocol_type.bytes + group->protocol.bytes + member->assignment.bytes);
    sync->memory = at;
    sync->ret_protocol_type = rl_slice_pack(&at, group->protocol_type);
    sync->ret_protocol = rl_slice_pack(&at, group->protocol);
    sync->ret_assignment = rl_slice_pack(&at, member->assignment);
}

void rl_group_propagate(struct rl_group *group, enum rl_group_error error)
{
    RL_LIST_EACH(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        if (!member->awaiting_sync)
            continue;
        if (error == RL_GROUP_OK && member->sync != NULL)
            rl_group_fill_sync(member->sync, member);
        rl_group_answer_sync(member, error);
        rl_group_start_session(member, member->session_timeout_ms);
    }
}

/* ---- the phase of joining ---- */

static bool all_have_joined(const struct rl_group *group)
{
    return group->awaiting_join_count == rl_table_count(&group->by_member_id) &&
           rl_table_count(&group->pending) == 0;
}

static void on_join_expired(struct rl_timer *timer)
{
    complete_join(timer->arg);
}

static void on_initial_delay_over(struct rl_timer *timer)
{
    struct rl_group *group = timer->arg;
    int64_t delay_ms = group->groups->limits->initial_rebalance_delay_ms;
    if (!group->new_member_added || group->initial_remaining_ms <= 0) {
        complete_join(group);
        return;
    }
    int64_t next_ms = RL_MIN(delay_ms, group->initial_remaining_ms);
    group->new_member_added = false;
    group->initial_remaining_ms = RL_MAX(group->initial_remaining_ms - delay_ms, 0);
    timer_start(group, &group->join_timer, on_initial_delay_over, next_ms);
}

static void prepare(struct rl_group *group, const char *reason)
{
    if (group->state == RL_GROUP_COMPLETING) {
        RL_LIST_EACH(node, &group->members)
            rl_owned_set(&RL_LIST_ENTRY(node, struct rl_group_member, link)->assignment, rl_slice_of("", 0));
        rl_group_propagate(group, RL_GROUP_REBALANCING);
    }
    rl_timer_stop(shard_of(group), &group->sync_timer);
    bool is_first = group->state == RL_GROUP_EMPTY;
    rl_group_transition(group, RL_GROUP_PREPARING);
    RL_INFO("coordinate", "group %.*s rebalances after generation %d: %s", (int)group->id.bytes,
            (const char *)group->id.data, group->generation, reason);
    if (is_first) {
        int64_t delay_ms = group->groups->limits->initial_rebalance_delay_ms;
        group->new_member_added = false;
        group->initial_remaining_ms = RL_MAX(rebalance_timeout_ms(group) - delay_ms, 0);
        timer_start(group, &group->join_timer, on_initial_delay_over, delay_ms);
    } else if (all_have_joined(group)) {
        complete_join(group);
    } else {
        timer_start(group, &group->join_timer, on_join_expired, rebalance_timeout_ms(group));
    }
}

void rl_group_maybe_complete_join(struct rl_group *group)
{
    if (group->state == RL_GROUP_PREPARING && group->previous_state != RL_GROUP_EMPTY &&
        all_have_joined(group))
        complete_join(group);
}

void rl_group_rebalance(struct rl_group *group, const char *reason)
{
    if (group->state != RL_GROUP_PREPARING)
        prepare(group, reason);
    else
        rl_group_maybe_complete_join(group);
}

/* ---- the next generation ---- */

static void remove_absent_members(struct rl_group *group)
{
    RL_LIST_EACH_SAFE(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        if (!member->awaiting_join && member->instance_id.data == NULL) {
            RL_INFO("coordinate", "group %.*s: member %.*s has not joined generation %d in time",
                    (int)group->id.bytes, (const char *)group->id.data, (int)member->id.bytes,
                    (const char *)member->id.data, group->generation + 1);
            rl_group_remove_member(member, RL_GROUP_UNKNOWN_MEMBER);
        }
    }
}

/* A leader that has joined.  False: nobody has. */
static bool elect_leader(struct rl_group *group)
{
    if (group->leader != NULL && group->leader->awaiting_join)
        return true;
    RL_LIST_EACH(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        if (member->awaiting_join) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void on_sync_expired(struct rl_timer *timer)
{
    struct rl_group *group = timer->arg;
    bool lost = false;
    RL_LIST_EACH_SAFE(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        lost |= member->pending_sync;
        if (member->pending_sync)
            rl_group_remove_member(member, RL_GROUP_UNKNOWN_MEMBER);
    }
    if (lost)
        rl_group_rebalance(group, "members have not asked for their assignment in time");
}

struct empty_write {
    struct rl_group_write write;
    struct rl_group *group;
};

static void on_empty_stored(struct rl_group_write *write, rl_status status)
{
    struct empty_write *empty = RL_CONTAINER_OF(write, struct empty_write, write);
    if (status != RL_OK)
        RL_WARN_EVERY(10, "coordinate", "group %.*s is empty, which could not be stored: %s",
                      (int)empty->group->id.bytes, (const char *)empty->group->id.data,
                      rl_status_text(status));
    rl_group_release(empty->group);
    rl_free(empty);
}

static void begin_empty_generation(struct rl_group *group)
{
    struct empty_write *empty = rl_alloc_zero(1, sizeof *empty);
    rl_owned_free(&group->protocol);
    rl_group_learn_subscriptions(group);
    rl_group_transition(group, RL_GROUP_EMPTY);
    empty->write.done = on_empty_stored;
    empty->group = group;
    rl_group_hold(group);
    rl_group_store(group);
    group->groups->store->end(group->groups->store, &empty->write);
}

static void begin_generation(struct rl_group *group)
{
    rl_owned_set(&group->protocol, rl_group_vote(group));
    rl_group_learn_subscriptions(group);
    rl_group_transition(group, RL_GROUP_COMPLETING);
    RL_LIST_EACH(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        if (member->join != NULL)
            rl_group_fill_join(member->join, member, group->leader->id, member == group->leader);
        rl_group_answer_join(member, RL_GROUP_OK);
        rl_group_start_session(member, member->session_timeout_ms);
        member->is_new = false;
        rl_group_set_pending_sync(member, true);
    }
    timer_start(group, &group->sync_timer, on_sync_expired, rebalance_timeout_ms(group));
}

static void complete_join(struct rl_group *group)
{
    rl_timer_stop(shard_of(group), &group->join_timer);
    remove_absent_members(group);
    if (!rl_list_empty(&group->members) && !elect_leader(group)) {
        timer_start(group, &group->join_timer, on_join_expired, RL_MAX(rebalance_timeout_ms(group), WAIT_MS_MIN));
        return;
    }
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
    if (rl_list_empty(&group->members))
        begin_empty_generation(group);
    else
        begin_generation(group);
}

/* ---- members that go ---- */

void rl_group_lose_member(struct rl_group_member *member, const char *reason)
{
    struct rl_group *group = member->group;
    RL_INFO("coordinate", "group %.*s loses member %.*s: %s", (int)group->id.bytes,
            (const char *)group->id.data, (int)member->id.bytes, (const char *)member->id.data, reason);
    rl_group_remove_member(member, RL_GROUP_UNKNOWN_MEMBER);
    rl_group_rebalance(group, reason);
}

void rl_group_lose_pending(struct rl_pending_member *pending)
{
    struct rl_group *group = pending->group;
    rl_group_remove_pending(pending);
    rl_group_maybe_complete_join(group);
    rl_group_drop_if_unused(group);
}

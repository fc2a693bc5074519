/* coordinate/group_sync.c — SyncGroup, Heartbeat, LeaveGroup: what members say in a generation.
 *
 * Happy path: followers wait for the leader's assignment; it is written to the store, and when it is
 * on stable storage the group is STABLE and everybody gets his part.  Heartbeats keep the session.
 * Failures: see rl_group_error.  An assignment that cannot be stored makes the group rebalance; one
 * that comes back from the store after the group has moved on is dropped. */
#include "coordinate/consumer_group.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include "core/logger.h"

struct sync_write {
    struct rl_group_write write;
    struct rl_group *group;
    int32_t generation;
};

static void refuse(struct rl_groups *groups, struct rl_group_sync *sync, enum rl_group_error error)
{
    sync->error = error;
    rl_list_push_back(groups->answers, &sync->answer.link);
}

/* ---- the leader's assignment ---- */

static void on_stored(struct rl_group_write *write, rl_status status)
{
    struct sync_write *stored = RL_CONTAINER_OF(write, struct sync_write, write);
    struct rl_group *group = stored->group;
    bool current = group->groups != NULL && group->state == RL_GROUP_COMPLETING &&
                   group->generation == stored->generation;
    if (current && status == RL_OK) {
        rl_group_transition(group, RL_GROUP_STABLE);
        rl_group_propagate(group, RL_GROUP_OK);
    } else if (current) {
        RL_WARN_EVERY(10, "coordinate", "group %.*s: its assignment could not be stored: %s",
                      (int)group->id.bytes, (const char *)group->id.data, rl_status_text(status));
        RL_LIST_EACH(node, &group->members)
            rl_owned_set(&RL_LIST_ENTRY(node, struct rl_group_member, link)->assignment, rl_slice_of("", 0));
        rl_group_propagate(group, RL_GROUP_NOT_AVAILABLE);
        rl_group_rebalance(group, "its assignment could not be stored");
    }
    rl_group_release(group);
    rl_free(stored);
}

/* Whom the leader has forgotten gets nothing. */
static void take_assignment(struct rl_group *group, const struct rl_group_sync *sync)
{
    RL_LIST_EACH(node, &group->members)
        rl_owned_set(&RL_LIST_ENTRY(node, struct rl_group_member, link)->assignment, rl_slice_of("", 0));
    for (uint32_t i = 0; i < sync->assignment_count; i++) {
        struct rl_group_member *member = rl_group_find_member(group, sync->assignments[i].member_id);
        if (member != NULL && sync->assignments[i].assignment.data != NULL)
            rl_owned_set(&member->assignment, sync->assignments[i].assignment);
    }
}

static void store_assignment(struct rl_group *group, const struct rl_group_sync *sync)
{
    struct sync_write *write = rl_alloc_zero(1, sizeof *write);
    *write = (struct sync_write){ .write = { .done = on_stored }, .group = group,
                                  .generation = group->generation };
    take_assignment(group, sync);
    rl_group_hold(group);
    rl_group_store(group);
    group->groups->store->end(group->groups->store, &write->write);
}

/* ---- SyncGroup ---- */

static bool contradicts(struct rl_slice told, struct rl_slice known)
{
    return told.data != NULL && known.data != NULL && !rl_slice_equal(told, known);
}

static enum rl_group_error check_sync(const struct rl_group *group, const struct rl_group_sync *sync)
{
    if (group == NULL)
        return RL_GROUP_UNKNOWN_MEMBER;
    enum rl_group_error error = rl_group_check_member(group, sync->member_id, sync->instance_id);
    if (error != RL_GROUP_OK)
        return error;
    if (sync->generation != group->generation)
        return RL_GROUP_ILLEGAL_GENERATION;
    if (contradicts(sync->protocol_type, group->protocol_type) || contradicts(sync->protocol, group->protocol))
        return RL_GROUP_INCONSISTENT_PROTOCOL;
    return group->state == RL_GROUP_EMPTY       ? RL_GROUP_UNKNOWN_MEMBER
         : group->state == RL_GROUP_PREPARING   ? RL_GROUP_REBALANCING
                                                : RL_GROUP_OK;
}

static void sync_arrived(struct rl_group_member *member)
{
    struct rl_group *group = member->group;
    rl_group_set_pending_sync(member, false);
    if (group->pending_sync_count == 0)
        rl_timer_stop(group->groups->shard, &group->sync_timer);
}

void rl_groups_sync(struct rl_groups *groups, struct rl_group_sync *sync)
{
    struct rl_group *group = rl_groups_find(groups, sync->group_id);
    if (group != NULL && group->consumer != NULL) {
        rl_consumer_group_sync(group, sync);
        return;
    }
    enum rl_group_error error = sync->group_id.bytes == 0 ? RL_GROUP_INVALID_ID : check_sync(group, sync);
    if (error != RL_GROUP_OK) {
        refuse(groups, sync, error);
        return;
    }
    struct rl_group_member *member = rl_group_find_member(group, sync->member_id);
    if (group->state == RL_GROUP_STABLE) {
        sync_arrived(member);
        rl_group_start_session(member, member->session_timeout_ms);
        rl_group_fill_sync(sync, member);
        rl_group_answer(group, &sync->answer);
        return;
    }
    bool is_first = !member->awaiting_sync;
    rl_group_park_sync(member, sync);
    sync_arrived(member);
    if (member == group->leader && is_first)
        store_assignment(group, sync);
}

/* ---- Heartbeat ---- */

enum rl_group_error rl_groups_heartbeat(struct rl_groups *groups, struct rl_slice group_id,
                                        struct rl_slice member_id, struct rl_slice instance_id,
                                        int32_t generation)
{
    struct rl_group *group = rl_groups_find(groups, group_id);
    if (group_id.bytes == 0)
        return RL_GROUP_INVALID_ID;
    if (group == NULL)
        return RL_GROUP_UNKNOWN_MEMBER;
    if (group->consumer != NULL)
        return rl_consumer_group_classic_heartbeat(group, member_id, instance_id, generation);
    enum rl_group_error error = rl_group_check_member(group, member_id, instance_id);
    if (error != RL_GROUP_OK)
        return error;
    if (generation != group->generation)
        return RL_GROUP_ILLEGAL_GENERATION;
    if (group->state == RL_GROUP_EMPTY)
        return RL_GROUP_UNKNOWN_MEMBER;
    rl_group_touch_member(group, member_id);
    return group->state == RL_GROUP_PREPARING ? RL_GROUP_REBALANCING : RL_GROUP_OK;
}

/* ---- LeaveGroup ---- */

static enum rl_group_error leave_one(struct rl_group *group, const struct rl_group_leave_member *asked,
                                     bool *left)
{
    struct rl_group_member *member;
    if (group->consumer != NULL && rl_group_find_pending(group, asked->member_id) == NULL)
        return rl_consumer_group_classic_leave(group, asked, left);
    if (asked->member_id.bytes == 0) {
        member = asked->instance_id.data != NULL ? rl_table_find(&group->by_instance_id, asked->instance_id)
                                                 : NULL;
        if (member == NULL)
            return RL_GROUP_UNKNOWN_MEMBER;
    } else {
        struct rl_pending_member *pending = rl_group_find_pending(group, asked->member_id);
        if (pending != NULL) {
            rl_group_remove_pending(pending);
            *left = true;
            return RL_GROUP_OK;
        }
        enum rl_group_error error = rl_group_check_member(group, asked->member_id, asked->instance_id);
        if (error != RL_GROUP_OK)
            return error;
        member = rl_group_find_member(group, asked->member_id);
    }
    RL_INFO("coordinate", "group %.*s: member %.*s leaves", (int)group->id.bytes,
            (const char *)group->id.data, (int)member->id.bytes, (const char *)member->id.data);
    rl_group_remove_member(member, RL_GROUP_UNKNOWN_MEMBER);
    *left = true;
    return RL_GROUP_OK;
}

void rl_groups_leave(struct rl_groups *groups, struct rl_group_leave *leave)
{
    struct rl_group *group = rl_groups_find(groups, leave->group_id);
    bool left = false;
    leave->error = leave->group_id.bytes == 0 ? RL_GROUP_INVALID_ID
                 : group == NULL              ? RL_GROUP_UNKNOWN_MEMBER
                                              : RL_GROUP_OK;
    for (uint32_t i = 0; leave->error == RL_GROUP_OK && i < leave->count; i++)
        leave->members[i].error = leave_one(group, &leave->members[i], &left);
    if (left && group->consumer != NULL) {
        rl_consumer_group_left(group, leave);
        return;
    }
    if (left && group->state != RL_GROUP_EMPTY)
        rl_group_rebalance(group, "members left");
    rl_list_push_back(groups->answers, &leave->answer.link);
}

/* coordinate/group_join.c — JoinGroup: a member comes, comes again, or takes its old place.
 *
 * Happy path: a new dynamic member is first given an id (KIP-394), joins with it, and the group
 * rebalances; its call waits until the generation begins.  A static member (KIP-345) with a new id
 * takes the place of its old self, in a stable group without a rebalance.  A follower that joins
 * again with the same metadata, and any member that may have lost its answer, is told the current
 * generation.  The leader's joining always rebalances: so it asks for a new assignment.
 * Failures: see rl_group_error; nothing has changed then. */
#include "coordinate/consumer_group.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include <stdio.h>

/* How long a member whose id nobody has told it yet may wait for its answer. */
#define NEW_MEMBER_TIMEOUT_MS (5 * 60 * 1000)
#define UUID_TEXT_BYTES 36
/* Ids and metadata of all members: what a leader is told, and a record of the group, must be sendable. */
#define MEMBER_BYTES_MAX ((size_t)256 << 20)

static void refuse(struct rl_groups *groups, struct rl_group_join *join, enum rl_group_error error)
{
    join->error = error;
    join->ret_member_id = join->member_id;
    rl_list_push_back(groups->answers, &join->answer.link);
}

/* Told at once what the group is now. */
static void tell_current(struct rl_group_member *member, struct rl_group_join *join)
{
    const struct rl_group *group = member->group;
    bool is_leader = member == group->leader && group->state == RL_GROUP_COMPLETING;
    rl_group_fill_join(join, member, group->leader->id, is_leader);
    rl_group_answer(member->group, &join->answer);
}

/* ---- ids ---- */

static void format_uuid(struct rl_shard *shard, char text[UUID_TEXT_BYTES + 1])
{
    uint64_t high = (rl_shard_random(shard) & ~UINT64_C(0xF000)) | 0x4000;
    uint64_t low = (rl_shard_random(shard) & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63;
    snprintf(text, UUID_TEXT_BYTES + 1, "%08x-%04x-%04x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xFFFF), (unsigned)(high & 0xFFFF), (unsigned)(low >> 48),
             (unsigned long long)(low & 0xFFFFFFFFFFFF));
}

/* Kafka's: the client's (or instance's) name, and what nobody else has.  Owned by the caller. */
struct rl_slice rl_group_make_member_id(struct rl_shard *shard, const struct rl_group_join *join)
{
    struct rl_slice name = join->instance_id.data != NULL ? join->instance_id : join->client_id;
    size_t name_bytes = RL_MIN(name.bytes, (size_t)INT16_MAX - UUID_TEXT_BYTES - 1);
    uint8_t *text = rl_alloc(name_bytes + UUID_TEXT_BYTES + 2);
    if (name_bytes > 0)
        memcpy(text, name.data, name_bytes);
    text[name_bytes] = '-';
    format_uuid(shard, (char *)text + name_bytes + 1);
    return rl_slice_of(text, name_bytes + 1 + UUID_TEXT_BYTES);
}

/* ---- members ---- */

static void add_member(struct rl_group *group, struct rl_slice id, struct rl_group_join *join)
{
    struct rl_pending_member *pending = rl_group_find_pending(group, id);
    struct rl_group_member *member = rl_group_add_member(group, id, join);
    if (pending != NULL)
        rl_group_remove_pending(pending);       /* id may have been its */
    if (group->state == RL_GROUP_PREPARING && group->previous_state == RL_GROUP_EMPTY)
        group->new_member_added = true;
    rl_group_park_join(member, join);
    rl_group_start_session(member, NEW_MEMBER_TIMEOUT_MS);
    rl_group_rebalance(group, "a member joined");
}

static void update_member(struct rl_group_member *member, struct rl_group_join *join)
{
    rl_group_set_protocols(member, join->protocols, join->protocol_count);
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->session_timeout_ms = join->session_timeout_ms;
}

static void rejoin(struct rl_group_member *member, struct rl_group_join *join, const char *reason)
{
    update_member(member, join);
    rl_group_park_join(member, join);
    rl_group_rebalance(member->group, reason);
}

/* ---- a static member takes its place again ---- */

struct replace_write {
    struct rl_group_write write;
    struct rl_group *group;
    struct rl_group_join *join;
    struct rl_slice new_id;             /* owned */
    struct rl_slice old_leader;         /* owned: what versions before 9 are told */
};

static void on_replaced(struct rl_group_write *write, rl_status status)
{
    struct replace_write *replace = RL_CONTAINER_OF(write, struct replace_write, write);
    struct rl_group *group = replace->group;
    struct rl_group_join *join = replace->join;
    struct rl_group_member *member = group->groups != NULL && status == RL_OK
                                   ? rl_table_find(&group->by_instance_id, join->instance_id) : NULL;
    if (member == NULL || !rl_slice_equal(member->id, replace->new_id)) {
        join->error = group->groups == NULL ? RL_GROUP_NOT_COORDINATOR
                    : member == NULL        ? RL_GROUP_UNKNOWN_MEMBER
                                            : RL_GROUP_FENCED_INSTANCE;         /* replaced itself meanwhile */
        join->ret_member_id = join->member_id;
    } else {
        bool is_leader = join->can_skip_assignment && member == group->leader;
        struct rl_slice leader = join->can_skip_assignment ? group->leader->id : replace->old_leader;
        rl_group_fill_join(join, member, leader, is_leader);
        join->ret_skip_assignment = is_leader;
    }
    join->answer.done(&join->answer);
    rl_group_release(group);
    rl_owned_free(&replace->new_id);
    rl_owned_free(&replace->old_leader);
    rl_free(replace);
}

/* Nobody else notices: the assignment stays, the record gets the new id. */
static void store_replacement(struct rl_group *group, struct rl_group_join *join, struct rl_slice new_id,
                              struct rl_slice old_leader)
{
    struct replace_write *replace = rl_alloc_zero(1, sizeof *replace);
    *replace = (struct replace_write){ .write = { .done = on_replaced, .applied = true }, .group = group,
                                       .join = join, .new_id = rl_owned_copy(new_id),
                                       .old_leader = rl_owned_copy(old_leader) };
    rl_group_hold(group);
    rl_group_store(group);
    group->groups->store->end(group->groups->store, &replace->write);
}

static void replace_static_member(struct rl_group_member *member, struct rl_slice new_id,
                                  struct rl_group_join *join)
{
    struct rl_group *group = member->group;
    struct rl_slice old_leader = rl_owned_copy(group->leader->id);
    rl_group_rename_member(member, new_id);
    update_member(member, join);
    rl_group_start_session(member, member->session_timeout_ms);
    if (group->state == RL_GROUP_STABLE && rl_slice_equal(rl_group_vote(group), group->protocol)) {
        store_replacement(group, join, new_id, old_leader);
    } else {
        rl_group_park_join(member, join);
        rl_group_rebalance(group, "a static member joined with a new id");
    }
    rl_owned_free(&old_leader);
}

/* ---- the two kinds of callers ---- */

static void join_new(struct rl_group *group, struct rl_group_join *join)
{
    struct rl_group_member *old = NULL;
    struct rl_slice id = rl_group_make_member_id(group->groups->shard, join);
    if (join->instance_id.data != NULL)
        old = rl_table_find(&group->by_instance_id, join->instance_id);
    if (old != NULL) {
        replace_static_member(old, id, join);
    } else if (join->instance_id.data == NULL && join->needs_member_id) {
        rl_group_add_pending(group, id, join->session_timeout_ms);
        join->error = RL_GROUP_MEMBER_ID_REQUIRED;
        join->memory = (void *)(uintptr_t)rl_owned_copy(id).data;
        join->ret_member_id = rl_slice_of(join->memory, id.bytes);
        rl_group_answer(group, &join->answer);
    } else {
        add_member(group, id, join);
    }
    rl_owned_free(&id);
}

static void join_again(struct rl_group_member *member, struct rl_group_join *join)
{
    bool same = rl_group_member_matches(member, join->protocols, join->protocol_count);
    switch (member->group->state) {
    case RL_GROUP_EMPTY:
        refuse(member->group->groups, join, RL_GROUP_UNKNOWN_MEMBER);
        break;
    case RL_GROUP_PREPARING:
        rejoin(member, join, "a member joined");
        break;
    case RL_GROUP_COMPLETING:
        if (same)
            tell_current(member, join);
        else
            rejoin(member, join, "a member changed what it subscribes to");
        break;
    case RL_GROUP_STABLE:
        if (member == member->group->leader)
            rejoin(member, join, "the leader joined again");
        else if (same)
            tell_current(member, join);
        else
            rejoin(member, join, "a member changed what it subscribes to");
        break;
    }
}

static bool has_room(const struct rl_group *group, const struct rl_group_join *join)
{
    size_t bytes = rl_group_protocol_bytes(join->protocols, join->protocol_count) + join->client_id.bytes;
    if (group->member_bytes + bytes > MEMBER_BYTES_MAX)
        return false;
    uint32_t size_max = (uint32_t)group->groups->limits->size_max;
    const struct rl_group_member *member = rl_group_find_member(group, join->member_id);
    switch (group->state) {
    case RL_GROUP_EMPTY:
        return true;
    case RL_GROUP_PREPARING:
        return (member != NULL && member->awaiting_join) || group->awaiting_join_count < size_max;
    default:
        return member != NULL || rl_table_count(&group->by_member_id) < size_max;
    }
}

/* An empty group of the consumer protocol becomes one of this protocol when somebody joins it, not when
 * he is only given an id.  True: the call is a matter of the consumer protocol. */
static bool stays_consumer_group(struct rl_group *group, const struct rl_group_join *join)
{
    bool only_asks = join->member_id.bytes == 0 && join->instance_id.data == NULL && join->needs_member_id;
    bool was_told = join->member_id.bytes == 0 || rl_group_find_pending(group, join->member_id) != NULL;
    if (!rl_group_is_empty(group))
        return true;
    if (!only_asks && was_told && join->protocol_type.bytes > 0 && join->protocol_count > 0)
        rl_consumer_group_become_classic(group);
    return false;
}

static void join_group(struct rl_group *group, struct rl_group_join *join)
{
    struct rl_groups *groups = group->groups;
    if (group->consumer != NULL && stays_consumer_group(group, join)) {
        rl_consumer_group_join(group, join);
        return;
    }
    if (!has_room(group, join)) {
        struct rl_group_member *member = rl_group_find_member(group, join->member_id);
        if (member != NULL)
            rl_group_lose_member(member, "the group is full");
        join->member_id = rl_slice_of("", 0);
        refuse(groups, join, RL_GROUP_MAX_SIZE_REACHED);
        return;
    }
    if (!rl_group_supports(group, join->protocol_type, join->protocols, join->protocol_count)) {
        refuse(groups, join, RL_GROUP_INCONSISTENT_PROTOCOL);
        return;
    }
    if (join->member_id.bytes == 0) {
        join_new(group, join);
        return;
    }
    if (rl_group_find_pending(group, join->member_id) != NULL && join->instance_id.data == NULL) {
        add_member(group, join->member_id, join);
        return;
    }
    enum rl_group_error error = rl_group_check_member(group, join->member_id, join->instance_id);
    if (error != RL_GROUP_OK)
        refuse(groups, join, error);
    else
        join_again(rl_group_find_member(group, join->member_id), join);
}

void rl_groups_join(struct rl_groups *groups, struct rl_group_join *join)
{
    const struct rl_group_limits *limits = groups->limits;
    struct rl_group *group;
    if (join->group_id.bytes == 0) {
        refuse(groups, join, RL_GROUP_INVALID_ID);
    } else if (join->session_timeout_ms < limits->session_timeout_min_ms ||
               join->session_timeout_ms > limits->session_timeout_max_ms) {
        refuse(groups, join, RL_GROUP_INVALID_SESSION_TIMEOUT);
    } else if (join->member_id.bytes == 0) {
        group = rl_groups_find_or_create(groups, join->group_id);
        join_group(group, join);
        rl_group_drop_if_unused(group);
    } else if ((group = rl_groups_find(groups, join->group_id)) == NULL) {
        refuse(groups, join, RL_GROUP_UNKNOWN_MEMBER);
    } else {
        join_group(group, join);
    }
}

/* coordinate/group.c — groups of one partition: found, made, dropped, stored, restored.
 *
 * Happy path: the first JoinGroup, or the first commit, makes a group; what it is in a stable
 * generation stands in the store as one record; a start reads the last record of each group and
 * goes on from there, every member with a fresh session.
 * Failures: a group that is dropped answers everybody who waits, and stays in memory until the
 * writes that name it have come back. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include "core/text.h"

static const struct { const char *name; uint32_t from; } states[] = {
    [RL_GROUP_EMPTY] = { "Empty", RL_BIT(RL_GROUP_PREPARING) },
    [RL_GROUP_PREPARING] = { "PreparingRebalance", RL_BIT(RL_GROUP_EMPTY) | RL_BIT(RL_GROUP_COMPLETING) |
                                                   RL_BIT(RL_GROUP_STABLE) },
    [RL_GROUP_COMPLETING] = { "CompletingRebalance", RL_BIT(RL_GROUP_PREPARING) },
    [RL_GROUP_STABLE] = { "Stable", RL_BIT(RL_GROUP_COMPLETING) },
};

const char *rl_group_state_name(enum rl_group_state state)
{
    return states[state].name;
}

void rl_group_transition(struct rl_group *group, enum rl_group_state state)
{
    RL_ASSERT(states[state].from & RL_BIT(group->state));
    group->previous_state = group->state;
    group->state = state;
    group->state_ms = group->groups->shard->wall_ms;
}

/* ---- the set ---- */

void rl_groups_init(struct rl_groups *groups, struct rl_shard *shard, const struct rl_group_limits *limits,
                    struct rl_group_store *store, struct rl_list *answers, struct rl_list *searches)
{
    *groups = (struct rl_groups){ .shard = shard, .limits = limits, .store = store, .answers = answers,
                                  .searches = searches };
    rl_table_init(&groups->by_id, rl_shard_random(shard));
    rl_list_init(&groups->list);
}

struct rl_group *rl_groups_find(const struct rl_groups *groups, struct rl_slice id)
{
    struct rl_group *group = rl_table_find(&groups->by_id, id);
    if (group != NULL && group->forget_round != groups->forget_round && groups->settle != NULL)
        groups->settle(group);
    return group;
}

struct rl_group *rl_groups_find_or_create(struct rl_groups *groups, struct rl_slice id)
{
    struct rl_group *group = rl_groups_find(groups, id);
    if (group != NULL)
        return group;
    group = rl_alloc_zero(1, sizeof *group);
    group->groups = groups;
    group->id = rl_owned_copy(id);
    group->state_ms = groups->shard->wall_ms;
    group->forget_round = groups->forget_round;
    rl_list_init(&group->members);
    rl_list_init(&group->commits);
    uint64_t seed = groups->by_id.seed;
    rl_table_init(&group->by_member_id, seed);
    rl_table_init(&group->by_instance_id, seed);
    rl_table_init(&group->pending, seed);
    rl_protocol_counts_init(&group->protocol_counts, seed);
    rl_table_init(&group->subscribed, seed);
    rl_committed_offsets_init(&group->offsets, seed);
    rl_table_put(&groups->by_id, group->id, group);
    rl_list_push_back(&groups->list, &group->link);
    return group;
}

static void group_free(struct rl_group *group)
{
    rl_owned_free(&group->id);
    rl_free(group);
}

void rl_group_hold(struct rl_group *group)
{
    group->busy++;
}

void rl_group_release(struct rl_group *group)
{
    RL_ASSERT(group->busy > 0);
    if (--group->busy == 0 && group->groups == NULL)
        group_free(group);
}

static void remove_all_pending(struct rl_group *group)
{
    uint32_t at = 0;
    for (struct rl_pending_member *pending; (pending = rl_table_next(&group->pending, &at)) != NULL; at = 0)
        rl_group_remove_pending(pending);
}

/* Everything but its identity. */
static void group_clear(struct rl_group *group, enum rl_group_error error)
{
    struct rl_shard *shard = group->groups->shard;
    rl_timer_stop(shard, &group->join_timer);
    rl_timer_stop(shard, &group->sync_timer);
    for (struct rl_list *node; (node = rl_list_first(&group->members)) != NULL;)
        rl_group_remove_member(RL_LIST_ENTRY(node, struct rl_group_member, link), error);
    rl_consumer_group_end(group);
    remove_all_pending(group);
    rl_group_forget_subscriptions(group);
    rl_committed_offsets_done(&group->offsets);
    rl_owned_free(&group->protocol_type);
    rl_owned_free(&group->protocol);
    rl_table_done(&group->by_member_id);
    rl_table_done(&group->by_instance_id);
    rl_table_done(&group->pending);
    rl_protocol_counts_done(&group->protocol_counts);
    rl_table_done(&group->subscribed);
}

void rl_group_drop(struct rl_group *group, enum rl_group_error error)
{
    group_clear(group, error);
    rl_table_remove(&group->groups->by_id, group->id);
    rl_list_remove(&group->link);
    group->groups = NULL;
    if (group->busy == 0)
        group_free(group);
}

bool rl_group_is_empty(const struct rl_group *group)
{
    return group->consumer != NULL ? rl_list_empty(&group->consumer->members) : group->state == RL_GROUP_EMPTY;
}

void rl_group_drop_if_unused(struct rl_group *group)
{
    bool stored = group->consumer != NULL && (group->consumer->is_stored || !rl_group_is_empty(group));
    if (!stored && group->generation == 0 && group->state == RL_GROUP_EMPTY && group->busy == 0 &&
        group->offsets.count == 0 && rl_table_count(&group->pending) == 0)
        rl_group_drop(group, RL_GROUP_UNKNOWN_MEMBER);
}

void rl_groups_drop_all(struct rl_groups *groups, enum rl_group_error error)
{
    rl_consumer_regex_forget(groups, error);
    for (struct rl_list *node; (node = rl_list_first(&groups->list)) != NULL;)
        rl_group_drop(RL_LIST_ENTRY(node, struct rl_group, link), error);
    rl_table_done(&groups->by_id);
    rl_table_init(&groups->by_id, rl_shard_random(groups->shard));
}

/* ---- answers ---- */

void rl_group_answer(struct rl_group *group, struct rl_group_answer *answer)
{
    rl_list_push_back(group->groups->answers, &answer->link);
}

void rl_group_answers_run(struct rl_list *answers)
{
    for (struct rl_list *node; (node = rl_list_pop_front(answers)) != NULL;) {
        struct rl_group_answer *answer = RL_LIST_ENTRY(node, struct rl_group_answer, link);
        answer->done(answer);
    }
}

/* ---- members that have an id only ---- */

struct rl_pending_member *rl_group_find_pending(const struct rl_group *group, struct rl_slice id)
{
    return rl_table_find(&group->pending, id);
}

static void on_pending_expired(struct rl_timer *timer)
{
    rl_group_lose_pending(timer->arg);
}

void rl_group_add_pending(struct rl_group *group, struct rl_slice id, int32_t timeout_ms)
{
    struct rl_shard *shard = group->groups->shard;
    struct rl_pending_member *pending = rl_alloc_zero(1, sizeof *pending);
    pending->group = group;
    pending->id = rl_owned_copy(id);
    pending->timer = (struct rl_timer){ .done = on_pending_expired, .arg = pending };
    group->member_bytes += sizeof *pending + pending->id.bytes;
    rl_table_put(&group->pending, pending->id, pending);
    rl_timer_start(shard, &pending->timer, shard->now_ns + timeout_ms * (int64_t)1000000);
}

void rl_group_remove_pending(struct rl_pending_member *pending)
{
    struct rl_group *group = pending->group;
    rl_timer_stop(group->groups->shard, &pending->timer);
    rl_table_remove(&group->pending, pending->id);
    group->member_bytes -= sizeof *pending + pending->id.bytes;
    rl_owned_free(&pending->id);
    rl_free(pending);
}

/* ---- questions ---- */

struct rl_group_member *rl_group_find_member(const struct rl_group *group, struct rl_slice id)
{
    return rl_table_find(&group->by_member_id, id);
}

enum rl_group_error rl_group_check_member(const struct rl_group *group, struct rl_slice member_id,
                                          struct rl_slice instance_id)
{
    if (instance_id.data != NULL) {
        const struct rl_group_member *known = rl_table_find(&group->by_instance_id, instance_id);
        if (known == NULL)
            return RL_GROUP_UNKNOWN_MEMBER;
        if (!rl_slice_equal(known->id, member_id))
            return RL_GROUP_FENCED_INSTANCE;
    }
    return rl_group_find_member(group, member_id) != NULL ? RL_GROUP_OK : RL_GROUP_UNKNOWN_MEMBER;
}

void rl_group_touch_member(struct rl_group *group, struct rl_slice member_id)
{
    struct rl_group_member *member = rl_group_find_member(group, member_id);
    if (member != NULL)
        rl_group_start_session(member, member->session_timeout_ms);
}

bool rl_group_uses_consumer_protocol(const struct rl_group *group)
{
    return rl_slice_equal_string(group->protocol_type, "consumer");
}

bool rl_group_is_subscribed(const struct rl_group *group, struct rl_slice topic)
{
    if (group->consumer != NULL)
        return rl_consumer_group_reads(group, topic);
    if (!group->subscriptions_known)
        return rl_group_uses_consumer_protocol(group);
    return rl_table_find(&group->subscribed, topic) != NULL;
}

/* ---- to the store, and back ---- */

void rl_group_store(struct rl_group *group)
{
    if (group->consumer != NULL) {
        rl_consumer_group_store(group);
        return;
    }
    struct rl_text key = { 0 }, value = { 0 };
    struct rl_group_record_value head = {
        .protocol_type = group->protocol_type.data != NULL ? group->protocol_type : rl_slice_of("", 0),
        .generation = group->generation,
        .protocol = group->protocol,
        .leader = group->leader != NULL ? group->leader->id : (struct rl_slice){ 0 },
        .state_ms = group->state_ms,
        .member_count = (int32_t)rl_table_count(&group->by_member_id),
    };
    rl_group_record_group_key(&key, group->id);
    rl_group_record_group_value(&value, &head);
    RL_LIST_EACH(node, &group->members) {
        const struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        rl_group_record_member(&value, &(struct rl_group_record_member){
            .id = member->id, .instance_id = member->instance_id, .client_id = member->client_id,
            .client_host = member->client_host, .rebalance_timeout_ms = member->rebalance_timeout_ms,
            .session_timeout_ms = member->session_timeout_ms,
            .subscription = rl_group_member_metadata(member, group->protocol),
            .assignment = member->assignment,
        });
    }
    group->groups->store->add(group->groups->store, rl_text_slice(&key), rl_text_slice(&value));
    rl_text_done(&key);
    rl_text_done(&value);
}

void rl_group_store_rebalancing(struct rl_group *group)
{
    struct rl_group_member *leader = group->leader;
    group->leader = NULL;
    rl_group_store(group);
    group->leader = leader;
}

void rl_group_store_tombstone(struct rl_group *group)
{
    if (group->consumer != NULL)
        rl_consumer_group_store_tombstone(group);
    else
        rl_group_store_classic_tombstone(group);
}

void rl_group_store_classic_tombstone(struct rl_group *group)
{
    struct rl_text key = { 0 };
    rl_group_record_group_key(&key, group->id);
    group->groups->store->add(group->groups->store, rl_text_slice(&key), (struct rl_slice){ 0 });
    rl_text_done(&key);
}

static void restore_member(struct rl_group *group, const struct rl_group_record_value *value,
                           const struct rl_group_record_member *record)
{
    struct rl_group_protocol protocol = { value->protocol, record->subscription };
    struct rl_group_join join = {
        .instance_id = record->instance_id, .client_id = record->client_id,
        .client_host = record->client_host, .protocol_type = value->protocol_type,
        .protocols = &protocol, .protocol_count = value->protocol.data != NULL,
        .session_timeout_ms = record->session_timeout_ms,
        .rebalance_timeout_ms = record->rebalance_timeout_ms,
    };
    if (rl_group_find_member(group, record->id) != NULL)
        return;
    struct rl_group_member *member = rl_group_add_member(group, record->id, &join);
    rl_owned_set(&member->assignment, record->assignment);
    member->is_new = false;
    if (value->leader.data != NULL && rl_slice_equal(value->leader, record->id))
        group->leader = member;
}

void rl_group_begin_sessions(struct rl_group *group)
{
    if (group->consumer != NULL)
        rl_consumer_group_begin_sessions(group);
    RL_LIST_EACH(node, &group->members) {
        struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        rl_group_start_session(member, member->session_timeout_ms);
    }
    if (group->rebalances_when_loaded)
        rl_group_rebalance(group, "it was to when the broker ended");
    group->rebalances_when_loaded = false;
}

/* As before its first member. */
static void reset(struct rl_group *group)
{
    rl_consumer_group_end(group);
    rl_timer_stop(group->groups->shard, &group->join_timer);
    rl_timer_stop(group->groups->shard, &group->sync_timer);
    for (struct rl_list *node; (node = rl_list_first(&group->members)) != NULL;)
        rl_group_remove_member(RL_LIST_ENTRY(node, struct rl_group_member, link), RL_GROUP_UNKNOWN_MEMBER);
    rl_owned_free(&group->protocol_type);
    rl_owned_free(&group->protocol);
    rl_group_forget_subscriptions(group);
    group->state = group->previous_state = RL_GROUP_EMPTY;
    group->generation = 0;
    group->state_ms = -1;
    group->rebalances_when_loaded = false;
}

void rl_group_clear_classic(struct rl_group *group)
{
    RL_ASSERT(group->state == RL_GROUP_EMPTY);
    remove_all_pending(group);
    reset(group);
}

rl_status rl_group_restore(struct rl_group *group, struct rl_group_record_value *value)
{
    reset(group);
    if (value == NULL)
        return RL_OK;
    if (value->protocol_type.bytes > 0)
        rl_owned_set(&group->protocol_type, value->protocol_type);
    for (int32_t i = 0; i < value->member_count; i++) {
        struct rl_group_record_member record;
        rl_status status = rl_group_record_next_member(value, &record);
        if (status != RL_OK) {
            reset(group);
            return status;
        }
        restore_member(group, value, &record);
    }
    group->generation = value->generation;
    rl_owned_set(&group->protocol, value->protocol);
    group->state = rl_list_empty(&group->members) ? RL_GROUP_EMPTY : RL_GROUP_STABLE;
    group->previous_state = group->state;
    group->state_ms = value->state_ms;
    group->rebalances_when_loaded = group->state == RL_GROUP_STABLE && value->leader.data == NULL;
    rl_group_learn_subscriptions(group);
    return RL_OK;
}

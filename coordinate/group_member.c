/* coordinate/group_member.c — the members of a group: what they support, and what they wait for.
 *
 * Happy path: a member is made by its first JoinGroup, in the order of joining; its protocols are
 * counted, so that what all support is known without asking all; its calls are parked in it and
 * answered when the rebalance is over.
 * Failures: a parked call whose member goes is answered; subscriptions that cannot be read leave it
 * open which topics the group reads, and then no offset of it is deleted or expires. */
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include "wire/reader.h"

#define SUBSCRIPTION_TOPICS_MAX 100000

/* ---- protocols ---- */

static void clear_protocols(struct rl_group_member *member)
{
    rl_protocol_counts_remove(&member->group->protocol_counts, member, member->protocols, member->protocol_count);
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        struct rl_group_protocol *protocol = &member->protocols[i];
        rl_owned_free(&protocol->name);
        rl_owned_free(&protocol->metadata);
    }
    rl_free(member->protocols);
    member->protocols = NULL;
    member->protocol_count = 0;
    member->group->member_bytes -= member->bytes;
    member->bytes = 0;
}

size_t rl_group_protocol_bytes(const struct rl_group_protocol *protocols, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += sizeof *protocols + protocols[i].name.bytes + protocols[i].metadata.bytes;
    return bytes;
}

void rl_group_set_protocols(struct rl_group_member *member, const struct rl_group_protocol *protocols,
                            uint32_t count)
{
    clear_protocols(member);
    member->protocols = rl_alloc_zero(count + 1, sizeof *member->protocols);
    for (uint32_t i = 0; i < count; i++) {
        member->protocols[i].name = rl_owned_copy(protocols[i].name);
        member->protocols[i].metadata = rl_owned_copy(protocols[i].metadata);
    }
    member->protocol_count = count;
    member->bytes = rl_group_protocol_bytes(protocols, count) + member->id.bytes + member->client_id.bytes +
                    member->instance_id.bytes;
    member->group->member_bytes += member->bytes;
    rl_protocol_counts_add(&member->group->protocol_counts, member, member->protocols, member->protocol_count);
}

bool rl_group_member_matches(const struct rl_group_member *member, const struct rl_group_protocol *protocols,
                             uint32_t count)
{
    if (member->protocol_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!rl_slice_equal(member->protocols[i].name, protocols[i].name) ||
            !rl_slice_equal(member->protocols[i].metadata, protocols[i].metadata))
            return false;
    return true;
}

struct rl_slice rl_group_member_metadata(const struct rl_group_member *member, struct rl_slice protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++)
        if (protocol.data != NULL && rl_slice_equal(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    return rl_slice_of("", 0);
}

bool rl_group_supports(const struct rl_group *group, struct rl_slice protocol_type,
                       const struct rl_group_protocol *protocols, uint32_t count)
{
    if (group->state == RL_GROUP_EMPTY)
        return protocol_type.bytes > 0 && count > 0;
    uint32_t members = rl_table_count(&group->by_member_id);
    if (!rl_slice_equal(group->protocol_type, protocol_type))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (rl_protocol_counts_of(&group->protocol_counts, protocols[i].name) == members)
            return true;
    return false;
}

/* The first of this member's protocols that all support. */
static struct rl_slice member_vote(const struct rl_group_member *member, uint32_t members)
{
    for (uint32_t i = 0; i < member->protocol_count; i++)
        if (rl_protocol_counts_of(&member->group->protocol_counts, member->protocols[i].name) == members)
            return member->protocols[i].name;
    return (struct rl_slice){ 0 };
}

struct rl_slice rl_group_vote(const struct rl_group *group)
{
    uint32_t members = rl_table_count(&group->by_member_id);
    struct rl_slice best = { 0 };
    uintptr_t best_votes = 0;
    struct rl_table votes;

    rl_table_init(&votes, group->by_member_id.seed);
    RL_LIST_EACH(node, &group->members) {
        struct rl_slice name = member_vote(RL_LIST_ENTRY(node, struct rl_group_member, link), members);
        if (name.data == NULL)
            continue;
        uintptr_t count = (uintptr_t)rl_table_find(&votes, name) + 1;
        rl_table_put(&votes, name, (void *)count);
        if (count > best_votes) {
            best_votes = count;
            best = name;
        }
    }
    rl_table_done(&votes);
    return best;
}

/* ---- what members read (ConsumerProtocolSubscription) ---- */

void rl_group_forget_subscriptions(struct rl_group *group)
{
    uint64_t seed = group->subscribed.seed;
    uint32_t at = 0;
    for (struct rl_slice *name; (name = rl_table_next(&group->subscribed, &at)) != NULL;) {
        rl_owned_free(name);
        rl_free(name);
    }
    rl_table_done(&group->subscribed);
    rl_table_init(&group->subscribed, seed);
    group->subscriptions_known = false;
}

static bool learn_subscription(struct rl_group *group, struct rl_slice metadata)
{
    struct rl_reader r = rl_rd_of(metadata);
    (void)rl_rd_i16(&r);                /* version: later ones only add to the end */
    int32_t count = rl_rd_i32(&r);
    if (count < 0 || count > SUBSCRIPTION_TOPICS_MAX)
        return false;
    for (int32_t i = 0; i < count && r.st == RL_OK; i++) {
        struct rl_slice topic = rl_rd_string(&r, false, false);
        if (r.st != RL_OK || rl_table_find(&group->subscribed, topic) != NULL)
            continue;
        struct rl_slice *name = rl_alloc(sizeof *name);
        *name = rl_owned_copy(topic);
        rl_table_put(&group->subscribed, *name, name);
    }
    return r.st == RL_OK;
}

void rl_group_learn_subscriptions(struct rl_group *group)
{
    rl_group_forget_subscriptions(group);
    if (!rl_group_uses_consumer_protocol(group))
        return;
    if (!rl_list_empty(&group->members) && group->protocol.data == NULL)
        return;
    RL_LIST_EACH(node, &group->members) {
        const struct rl_group_member *member = RL_LIST_ENTRY(node, struct rl_group_member, link);
        if (!learn_subscription(group, rl_group_member_metadata(member, group->protocol))) {
            rl_group_forget_subscriptions(group);
            return;
        }
    }
    group->subscriptions_known = true;
}

/* ---- coming and going ---- */

static void on_session_expired(struct rl_timer *timer)
{
    struct rl_group_member *member = timer->arg;
    if (!member->is_new && (member->awaiting_join || member->awaiting_sync))
        return;                         /* it waits for us; its session begins with the answer */
    rl_group_lose_member(member, "its session timed out");
}

void rl_group_start_session(struct rl_group_member *member, int32_t timeout_ms)
{
    struct rl_shard *shard = member->group->groups->shard;
    rl_timer_start(shard, &member->session_timer, shard->now_ns + timeout_ms * (int64_t)1000000);
}

struct rl_group_member *rl_group_add_member(struct rl_group *group, struct rl_slice id,
                                            const struct rl_group_join *join)
{
    struct rl_group_member *member = rl_alloc_zero(1, sizeof *member);
    if (rl_list_empty(&group->members))
        rl_owned_set(&group->protocol_type, join->protocol_type);
    member->group = group;
    member->id = rl_owned_copy(id);
    member->instance_id = rl_owned_copy(join->instance_id);
    member->client_id = rl_owned_copy(join->client_id.data != NULL ? join->client_id : rl_slice_of("", 0));
    member->client_host = rl_owned_copy(join->client_host);
    member->session_timeout_ms = join->session_timeout_ms;
    member->rebalance_timeout_ms = join->rebalance_timeout_ms;
    member->assignment = rl_owned_copy(rl_slice_of("", 0));
    member->is_new = true;
    member->session_timer = (struct rl_timer){ .done = on_session_expired, .arg = member };
    rl_list_push_back(&group->members, &member->link);
    rl_table_put(&group->by_member_id, member->id, member);
    if (member->instance_id.data != NULL)
        rl_table_put(&group->by_instance_id, member->instance_id, member);
    rl_group_set_protocols(member, join->protocols, join->protocol_count);
    if (group->leader == NULL)
        group->leader = member;
    return member;
}

void rl_group_remove_member(struct rl_group_member *member, enum rl_group_error error)
{
    struct rl_group *group = member->group;
    rl_group_answer_join(member, error);
    rl_group_answer_sync(member, error);
    rl_timer_stop(group->groups->shard, &member->session_timer);
    rl_group_set_pending_sync(member, false);
    clear_protocols(member);
    rl_list_remove(&member->link);
    rl_table_remove(&group->by_member_id, member->id);
    if (member->instance_id.data != NULL && rl_table_find(&group->by_instance_id, member->instance_id) == member)
        rl_table_remove(&group->by_instance_id, member->instance_id);
    if (group->leader == member) {
        struct rl_list *first = rl_list_first(&group->members);
        group->leader = first != NULL ? RL_LIST_ENTRY(first, struct rl_group_member, link) : NULL;
    }
    rl_owned_free(&member->id);
    rl_owned_free(&member->instance_id);
    rl_owned_free(&member->client_id);
    rl_owned_free(&member->client_host);
    rl_owned_free(&member->assignment);
    rl_free(member);
}

void rl_group_rename_member(struct rl_group_member *member, struct rl_slice id)
{
    struct rl_group *group = member->group;
    rl_group_answer_join(member, RL_GROUP_FENCED_INSTANCE);
    rl_group_answer_sync(member, RL_GROUP_FENCED_INSTANCE);
    rl_table_remove(&group->by_member_id, member->id);
    rl_owned_set(&member->id, id);
    rl_table_put(&group->by_member_id, member->id, member);
}

/* ---- calls that wait ---- */

void rl_group_set_pending_sync(struct rl_group_member *member, bool pending)
{
    if (member->pending_sync == pending)
        return;
    member->pending_sync = pending;
    if (pending)
        member->group->pending_sync_count++;
    else
        member->group->pending_sync_count--;
}

void rl_group_park_join(struct rl_group_member *member, struct rl_group_join *join)
{
    rl_group_answer_join(member, RL_GROUP_REBALANCING);
    member->awaiting_join = true;
    member->group->awaiting_join_count++;
    member->join = join;
    join->member = member;
}

void rl_group_park_sync(struct rl_group_member *member, struct rl_group_sync *sync)
{
    rl_group_answer_sync(member, RL_GROUP_REBALANCING);
    member->awaiting_sync = true;
    member->sync = sync;
    sync->member = member;
}

void rl_group_answer_join(struct rl_group_member *member, enum rl_group_error error)
{
    struct rl_group_join *join = member->join;
    if (member->awaiting_join)
        member->group->awaiting_join_count--;
    member->awaiting_join = false;
    if (join == NULL)
        return;
    member->join = NULL;
    join->member = NULL;
    join->error = error;
    if (error == RL_GROUP_UNKNOWN_MEMBER) {
        join->ret_member_id = rl_slice_of("", 0);       /* it has none any more */
    } else if (error != RL_GROUP_OK) {
        join->memory = (void *)(uintptr_t)rl_owned_copy(member->id).data;
        join->ret_member_id = rl_slice_of(join->memory, member->id.bytes);
    }
    rl_group_answer(member->group, &join->answer);
}

void rl_group_answer_sync(struct rl_group_member *member, enum rl_group_error error)
{
    struct rl_group_sync *sync = member->sync;
    member->awaiting_sync = false;
    if (sync == NULL)
        return;
    member->sync = NULL;
    sync->member = NULL;
    sync->error = error;
    rl_group_answer(member->group, &sync->answer);
}

/* The member stays as if its answer was lost on the way. */
void rl_group_join_forget(struct rl_groups *groups, struct rl_group_join *join)
{
    if (join->member == NULL)
        return;
    join->member->join = NULL;
    join->member = NULL;
    join->error = RL_GROUP_LOADING;
    join->ret_member_id = join->member_id;
    rl_list_push_back(groups->answers, &join->answer.link);
}

void rl_group_sync_forget(struct rl_groups *groups, struct rl_group_sync *sync)
{
    if (sync->member == NULL)
        return;
    sync->member->sync = NULL;
    sync->member = NULL;
    sync->error = RL_GROUP_LOADING;
    rl_list_push_back(groups->answers, &sync->answer.link);
}

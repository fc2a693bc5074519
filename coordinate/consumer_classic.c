/* coordinate/consumer_classic.c — members of the classic protocol in a group of the consumer protocol.
 *
 * Happy path: JoinGroup takes what the member subscribes to and owns out of its metadata, moves it a
 * step as a heartbeat does, and is answered at once, its epoch as the generation; SyncGroup tells what
 * it has; Heartbeat tells it to join again when it is behind, has to give up, or may get what it waits
 * for.  Nobody leads, nobody waits for others.
 * Failures: as in group.h.  Who is told to join and does not, or joins and does not sync, within his
 * rebalance timeout is removed.  Source: KIP-848; Kafka's GroupMetadataManager, classicGroupJoinToConsumerGroup. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/consumer_protocol.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"

/* ---- JoinGroup ---- */

static void refuse(struct rl_group *group, struct rl_group_join *join, enum rl_group_error error)
{
    join->error = error;
    join->ret_member_id = join->member_id;
    rl_group_answer(group, &join->answer);
}

/* All members of the classic protocol support one of these. */
static bool is_supported(const struct rl_group *group, const struct rl_group_join *join)
{
    const struct rl_protocol_counts *counts = &group->consumer->protocol_counts;
    bool is_any = false;
    if (!rl_slice_equal_string(join->protocol_type, "consumer"))
        return false;
    for (uint32_t i = 0; i < join->protocol_count && !is_any; i++)
        is_any = rl_protocol_counts_of(counts, join->protocols[i].name) == counts->members;
    return is_any;
}

static enum rl_group_error find_member(const struct rl_group *group, struct rl_slice member_id,
                                       struct rl_slice instance_id, struct rl_consumer_member **ret_member)
{
    struct rl_consumer_member *member = rl_consumer_group_find(group, member_id);
    if (instance_id.data != NULL) {
        struct rl_consumer_member *known = rl_table_find(&group->consumer->by_instance_id, instance_id);
        if (known == NULL)
            return RL_GROUP_UNKNOWN_MEMBER;
        if (known != member)
            return RL_GROUP_FENCED_INSTANCE;
    }
    if (member == NULL)
        return RL_GROUP_UNKNOWN_MEMBER;
    *ret_member = member;
    return RL_GROUP_OK;
}

/* The member that joins, made if it is new.  MEMBER_ID_REQUIRED: it has an id now, in join->memory. */
static enum rl_group_error find_or_add(struct rl_group *group, struct rl_group_join *join,
                                       struct rl_consumer_member **ret_member)
{
    struct rl_pending_member *pending = rl_group_find_pending(group, join->member_id);
    if (join->member_id.bytes > 0 && pending == NULL)
        return find_member(group, join->member_id, join->instance_id, ret_member);
    struct rl_slice id = pending != NULL ? rl_owned_copy(pending->id)
                                         : rl_group_make_member_id(group->groups->shard, join);
    struct rl_consumer_member *old = join->instance_id.data == NULL ? NULL
                                   : rl_table_find(&group->consumer->by_instance_id, join->instance_id);
    enum rl_group_error error = RL_GROUP_OK;
    if (pending == NULL && join->instance_id.data == NULL && join->needs_member_id) {
        rl_group_add_pending(group, id, join->session_timeout_ms);
        join->memory = (void *)(uintptr_t)rl_owned_copy(id).data;
        error = RL_GROUP_MEMBER_ID_REQUIRED;
    } else {
        if (pending != NULL)
            rl_group_remove_pending(pending);
        *ret_member = old != NULL ? rl_consumer_member_replace(old, id) : rl_consumer_group_add(group, id);
    }
    if (error == RL_GROUP_MEMBER_ID_REQUIRED)
        join->ret_member_id = rl_slice_of(join->memory, id.bytes);
    rl_owned_free(&id);
    return error;
}

struct call_write {
    struct rl_group_write write;
    struct rl_group *group;
    enum rl_group_error *error;         /* the call's */
    struct rl_group_answer *answer;
};

static void on_call_written(struct rl_group_write *write, rl_status status)
{
    struct call_write *written = RL_CONTAINER_OF(write, struct call_write, write);
    struct rl_group *group = written->group;
    if (status != RL_OK)
        *written->error = rl_consumer_write_error(status);
    written->answer->done(written->answer);
    rl_consumer_group_write_ends(group);
    rl_free(written);
}

/* What was added for it, and what was written before, is on stable storage when it is answered. */
static void answer_when_stored(struct rl_group *group, bool changed, enum rl_group_error *error,
                               struct rl_group_answer *answer)
{
    struct call_write *write = rl_alloc_zero(1, sizeof *write);
    *write = (struct call_write){ .write = { .done = on_call_written, .applied = changed }, .group = group,
                                  .error = error, .answer = answer };
    rl_consumer_group_write_begins(group);
    group->groups->store->end(group->groups->store, &write->write);
}

static void fill(struct rl_group_join *join, const struct rl_consumer_member *member)
{
    const struct rl_slice name = member->protocols[0].name;
    uint8_t *at = join->memory = rl_alloc(member->id.bytes + name.bytes + 1);
    join->ret_member_id = rl_slice_pack(&at, member->id);
    join->ret_protocol = rl_slice_pack(&at, name);
    join->ret_protocol_type = rl_slice_of_string("consumer");
    join->ret_leader = rl_slice_of("", 0);      /* the assignment is not made by members */
    join->ret_generation = member->epoch;
}

static bool same_protocols(const struct rl_consumer_member *member, const struct rl_group_join *join)
{
    if (member->protocol_count != join->protocol_count)
        return false;
    for (uint32_t i = 0; i < join->protocol_count; i++)
        if (!rl_slice_equal(member->protocols[i].name, join->protocols[i].name) ||
            !rl_slice_equal(member->protocols[i].metadata, join->protocols[i].metadata))
            return false;
    return true;
}

static void take_join(struct rl_consumer_member *member, struct rl_group_join *join,
                      const struct rl_consumer_subscription *subscription)
{
    struct rl_consumer_heartbeat told = {
        .instance_id = join->instance_id, .rack_id = subscription->rack_id, .client_id = join->client_id,
        .client_host = join->client_host, .is_classic = true, .rebalance_timeout_ms = join->rebalance_timeout_ms,
        .assignment_interval_ms = join->assignment_interval_ms, .topics_told = true,
        .topics = subscription->topics, .topic_count = subscription->topic_count,
        .regex = rl_slice_of("", 0), .owned_told = true, .owned = subscription->owned };
    bool changed = !member->is_classic || member->classic_session_timeout_ms != join->session_timeout_ms ||
                   !same_protocols(member, join);
    member->is_classic = true;
    member->classic_session_timeout_ms = join->session_timeout_ms;
    rl_consumer_member_set_protocols(member, join->protocols, join->protocol_count);
    rl_consumer_member_beat(member, &told);
    rl_consumer_member_count(member);
    if (changed)
        rl_consumer_store_member(member);
    rl_consumer_member_start_rebalance(member);         /* it has to sync */
}

void rl_consumer_group_join(struct rl_group *group, struct rl_group_join *join)
{
    struct rl_consumer_subscription subscription;
    struct rl_consumer_member *member;
    struct rl_arena arena;
    uint32_t members = rl_table_count(&group->consumer->by_member_id);
    size_t bytes = join->client_id.bytes + rl_group_protocol_bytes(join->protocols, join->protocol_count);
    if ((members >= (uint32_t)group->groups->limits->consumer_size_max &&
         rl_consumer_group_find(group, join->member_id) == NULL) ||
        !rl_consumer_group_has_room(group, join->member_id, bytes)) {
        refuse(group, join, RL_GROUP_MAX_SIZE_REACHED);
        return;
    }
    if (!is_supported(group, join)) {
        refuse(group, join, RL_GROUP_INCONSISTENT_PROTOCOL);
        return;
    }
    rl_arena_init(&arena, 4096, join->protocols[0].metadata.bytes * sizeof(struct rl_slice) + 4096);
    bool asks = join->member_id.bytes == 0 && join->instance_id.data == NULL && join->needs_member_id;
    if (!asks && rl_consumer_subscription_read(join->protocols[0].metadata, rl_group_image(group), &arena,
                                               &subscription) != RL_OK) {
        refuse(group, join, RL_GROUP_INCONSISTENT_PROTOCOL);
        rl_arena_done(&arena);
        return;
    }
    if (!asks && !rl_consumer_group_has_room(group, join->member_id, bytes +
                     rl_consumer_names_bytes(subscription.topics, subscription.topic_count))) {
        refuse(group, join, RL_GROUP_MAX_SIZE_REACHED);
        rl_partition_set_done(&subscription.owned);
        rl_arena_done(&arena);
        return;
    }
    const struct rl_consumer_member *old = join->instance_id.data == NULL ? NULL
                                         : rl_table_find(&group->consumer->by_instance_id, join->instance_id);
    bool takes_over = old != NULL && !old->is_classic;
    int32_t epoch = group->consumer->epoch;     /* which the others are in, whatever this one reads */
    join->error = find_or_add(group, join, &member);
    if (join->error == RL_GROUP_OK) {
        take_join(member, join, &subscription);
        fill(join, member);
        if (takes_over)                 /* perhaps from the last one of the consumer protocol */
            rl_consumer_group_maybe_downgrade(group, epoch);
        answer_when_stored(group, true, &join->error, &join->answer);
    } else {
        if (join->error != RL_GROUP_MEMBER_ID_REQUIRED)
            join->ret_member_id = join->member_id;
        rl_group_answer(group, &join->answer);
    }
    if (!asks)
        rl_partition_set_done(&subscription.owned);
    rl_arena_done(&arena);
}

/* ---- SyncGroup ---- */

static void expect_join(struct rl_consumer_member *member)
{
    if (!rl_timer_running(&member->rebalance_timer))
        rl_consumer_member_start_rebalance(member);
}

static enum rl_group_error check_sync(struct rl_consumer_member *member, const struct rl_group_sync *sync)
{
    if (sync->generation != member->epoch)
        return RL_GROUP_ILLEGAL_GENERATION;
    if ((sync->protocol_type.data != NULL && !rl_slice_equal_string(sync->protocol_type, "consumer")) ||
        (sync->protocol.data != NULL && !rl_slice_equal(sync->protocol, member->protocols[0].name)))
        return RL_GROUP_INCONSISTENT_PROTOCOL;
    if (member->group->consumer->assignment_epoch > member->epoch && member->state != RL_CONSUMER_MEMBER_UNREVOKED)
        return RL_GROUP_REBALANCING;
    return RL_GROUP_OK;
}

static void tell_assignment(struct rl_group_sync *sync, const struct rl_consumer_member *member)
{
    struct rl_text text = { 0 };
    struct rl_reader r = rl_rd_of(member->protocols[0].metadata);
    struct rl_slice name = member->protocols[0].name;
    rl_consumer_assignment_write(&text, rl_rd_i16(&r), &member->assigned, rl_group_image(member->group));
    uint8_t *at = sync->memory = rl_alloc(text.bytes + name.bytes + 1);
    sync->ret_assignment = rl_slice_pack(&at, rl_text_slice(&text));
    sync->ret_protocol = rl_slice_pack(&at, name);
    sync->ret_protocol_type = rl_slice_of_string("consumer");
    rl_text_done(&text);
}

void rl_consumer_group_sync(struct rl_group *group, struct rl_group_sync *sync)
{
    struct rl_consumer_member *member = NULL;
    sync->error = find_member(group, sync->member_id, sync->instance_id, &member);
    if (sync->error == RL_GROUP_OK && !member->is_classic)
        sync->error = RL_GROUP_UNKNOWN_MEMBER;
    if (sync->error == RL_GROUP_OK)
        sync->error = check_sync(member, sync);
    if (sync->error == RL_GROUP_OK) {
        rl_timer_stop(group->groups->shard, &member->rebalance_timer);
        rl_consumer_member_start_session(member);
        tell_assignment(sync, member);
    } else if (sync->error == RL_GROUP_REBALANCING) {
        expect_join(member);
    }
    if (sync->error == RL_GROUP_OK && group->writes_in_flight > 0)
        answer_when_stored(group, false, &sync->error, &sync->answer);
    else
        rl_group_answer(group, &sync->answer);
}

/* ---- Heartbeat, LeaveGroup ---- */

/* There is a newer assignment, or may be one as soon as it joins. */
static bool is_behind(const struct rl_consumer_member *member)
{
    const struct rl_consumer_group *c = member->group->consumer;
    return member->epoch < c->assignment_epoch ||
           (c->epoch > c->assignment_epoch && member->group->groups->shard->now_ns >= c->next_assignment_ns);
}

enum rl_group_error rl_consumer_group_classic_heartbeat(struct rl_group *group, struct rl_slice member_id,
                                                        struct rl_slice instance_id, int32_t generation)
{
    struct rl_consumer_member *member;
    enum rl_group_error error = find_member(group, member_id, instance_id, &member);
    if (error != RL_GROUP_OK)
        return error;
    if (!member->is_classic)
        return RL_GROUP_UNKNOWN_MEMBER;
    if (generation != member->epoch)
        return RL_GROUP_ILLEGAL_GENERATION;
    rl_consumer_member_start_session(member);
    if (!is_behind(member) && member->state != RL_CONSUMER_MEMBER_UNREVOKED &&
        (member->state != RL_CONSUMER_MEMBER_UNRELEASED || rl_consumer_member_waits(member)))
        return RL_GROUP_OK;
    expect_join(member);
    return RL_GROUP_REBALANCING;
}

enum rl_group_error rl_consumer_group_classic_leave(struct rl_group *group, const struct rl_group_leave_member *asked,
                                                    bool *left)
{
    struct rl_consumer_member *member;
    enum rl_group_error error = RL_GROUP_OK;
    if (asked->member_id.bytes == 0)
        member = asked->instance_id.data == NULL ? NULL
               : rl_table_find(&group->consumer->by_instance_id, asked->instance_id);
    else
        error = find_member(group, asked->member_id, asked->instance_id, &member);
    if (error != RL_GROUP_OK)
        return error;
    if (member == NULL || !member->is_classic)
        return RL_GROUP_UNKNOWN_MEMBER;
    rl_consumer_group_fence(member, "it leaves");
    *left = true;
    return RL_GROUP_OK;
}

void rl_consumer_group_left(struct rl_group *group, struct rl_group_leave *leave)
{
    answer_when_stored(group, true, &leave->error, &leave->answer);
}

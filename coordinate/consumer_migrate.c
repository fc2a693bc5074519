/* coordinate/consumer_migrate.c — a group with members changes its protocol.
 *
 * Up: a member of the consumer protocol joins a group of consumers.  What they were assigned is what
 * they have, their generation the epoch; those who waited are told to join again.
 * Down: the last member of the consumer protocol is gone.  What the others have is what they were
 * assigned, the epoch the generation, and the group rebalances, unless nothing changed for anybody.
 * The tombstones of what it was come before the records of what it is, all in one write: a start finds
 * the one or the other whole.  Offsets are not concerned.
 * Failures: metadata or assignments that are not consumers', and more than one write holds, leave the
 * group as it is.
 * Source: KIP-848, group.consumer.migration.policy. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/consumer_protocol.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"

/* ---- a member of either protocol, on its way into the other ---- */

struct mover {
    struct rl_slice id, instance_id, rack_id, client_id, client_host;   /* owned */
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct rl_group_protocol *protocols;                /* owned */
    uint32_t protocol_count;
    struct rl_slice *topics;            /* owned */
    uint32_t topic_count;
    struct rl_partition_set assigned;
    struct rl_slice assignment;         /* owned */
};

static void mover_done(struct mover *m)
{
    rl_owned_free(&m->id);
    rl_owned_free(&m->instance_id);
    rl_owned_free(&m->rack_id);
    rl_owned_free(&m->client_id);
    rl_owned_free(&m->client_host);
    rl_owned_free(&m->assignment);
    for (uint32_t i = 0; i < m->protocol_count; i++) {
        rl_owned_free(&m->protocols[i].name);
        rl_owned_free(&m->protocols[i].metadata);
    }
    for (uint32_t i = 0; i < m->topic_count; i++)
        rl_owned_free(&m->topics[i]);
    rl_free(m->protocols);
    rl_free(m->topics);
    rl_partition_set_done(&m->assigned);
}

static void movers_done(struct mover *movers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mover_done(&movers[i]);
    rl_free(movers);
}

static void copy_protocols(struct mover *m, const struct rl_group_protocol *protocols, uint32_t count)
{
    m->protocols = rl_alloc_zero(count + 1, sizeof *m->protocols);
    m->protocol_count = count;
    for (uint32_t i = 0; i < count; i++)
        m->protocols[i] = (struct rl_group_protocol){ rl_owned_copy(protocols[i].name),
                                                      rl_owned_copy(protocols[i].metadata) };
}

/* ---- up ---- */

/* What a member's records take at most, beside what it tells. */
static size_t record_bytes(const struct rl_group *group, size_t id_bytes, const struct rl_partition_set *assigned)
{
    return 3 * (group->id.bytes + id_bytes + 64) + assigned->count * (size_t)320;     /* a topic for each */
}

/* *bytes is what all of them tell so far: names in metadata are small, and in memory they are not. */
static bool read_classic(struct mover *m, const struct rl_group *group, const struct rl_group_member *member,
                         size_t *bytes)
{
    const struct rl_image *image = rl_group_image(group);
    struct rl_slice metadata = member->protocol_count > 0 ? member->protocols[0].metadata : rl_slice_of("", 0);
    struct rl_consumer_subscription subscription;
    struct rl_arena arena;
    *m = (struct mover){ .id = rl_owned_copy(member->id), .instance_id = rl_owned_copy(member->instance_id),
        .client_id = rl_owned_copy(member->client_id), .client_host = rl_owned_copy(member->client_host),
        .rebalance_timeout_ms = member->rebalance_timeout_ms, .session_timeout_ms = member->session_timeout_ms };
    copy_protocols(m, member->protocols, member->protocol_count);
    rl_arena_init(&arena, 4096, metadata.bytes * sizeof(struct rl_slice) + 4096);
    bool good = rl_consumer_subscription_read(metadata, image, &arena, &subscription) == RL_OK;
    if (good) {
        *bytes += sizeof(struct rl_consumer_member) + m->id.bytes + m->instance_id.bytes + m->client_id.bytes +
                  m->client_host.bytes + subscription.rack_id.bytes +
                  rl_group_protocol_bytes(m->protocols, m->protocol_count) +
                  rl_consumer_names_bytes(subscription.topics, subscription.topic_count);
        subscription.topic_count = *bytes <= RL_GROUP_WRITE_BYTES_MAX ? subscription.topic_count : 0;
        m->rack_id = rl_owned_copy(subscription.rack_id);
        m->topics = rl_alloc_zero(subscription.topic_count + 1, sizeof *m->topics);
        m->topic_count = subscription.topic_count;
        for (uint32_t i = 0; i < m->topic_count; i++)
            m->topics[i] = rl_owned_copy(subscription.topics[i]);
        rl_partition_set_done(&subscription.owned);
        good = rl_consumer_assignment_read(member->assignment, image, &m->assigned) == RL_OK;
        *bytes += record_bytes(group, m->id.bytes, &m->assigned);
    }
    rl_arena_done(&arena);
    return good;
}

static void move_up(struct rl_group *group, struct mover *m)
{
    struct rl_consumer_member *member = rl_consumer_group_add(group, m->id);
    struct rl_partition_set assigned = { 0 }, none = { 0 };
    rl_consumer_member_set_instance(member, m->instance_id);
    rl_owned_set(&member->rack_id, m->rack_id);
    rl_owned_set(&member->client_id, m->client_id);
    rl_owned_set(&member->client_host, m->client_host);
    rl_consumer_member_set_topics(member, m->topics, m->topic_count);
    rl_consumer_member_set_protocols(member, m->protocols, m->protocol_count);
    rl_consumer_member_count(member);
    member->rebalance_timeout_ms = m->rebalance_timeout_ms;
    member->is_classic = true;
    member->classic_session_timeout_ms = m->session_timeout_ms;
    member->epoch = member->previous_epoch = group->consumer->epoch;
    for (uint32_t i = 0; i < m->assigned.count; i++)    /* an assignor of theirs may give something twice */
        if (rl_consumer_group_owner(group, m->assigned.items[i]) == NULL)
            rl_partition_set_add(&assigned, m->assigned.items[i].topic_id, m->assigned.items[i].partition);
    struct rl_partition_set target = rl_partition_set_copy(&assigned);
    rl_partition_set_move(&member->target, &target);
    rl_consumer_member_set_partitions(member, &assigned, &none);
    rl_consumer_member_start_session(member);
}

/* Both ids belong to somebody, and not to the same member. */
static bool is_two_members(const struct rl_group *group, const struct rl_consumer_heartbeat *call)
{
    const struct rl_group_member *member = rl_group_find_member(group, call->member_id);
    const struct rl_group_member *instance = call->instance_id.data == NULL ? NULL
                                           : rl_table_find(&group->by_instance_id, call->instance_id);
    return member != NULL && instance != NULL && member != instance;
}

#define TOO_MUCH "its members tell too much"

static const char *why_not(const struct rl_group *group, const struct rl_consumer_heartbeat *call)
{
    const struct rl_group_limits *limits = group->groups->limits;
    return !limits->can_upgrade                     ? "an online upgrade is disabled"
         : !rl_group_uses_consumer_protocol(group) ? "the group does not use the consumer embedded protocol"
         : rl_table_count(&group->by_member_id) >= (uint32_t)limits->consumer_size_max
                                                    ? "the group exceeds the consumer group maximum size"
         : group->member_bytes > RL_GROUP_WRITE_BYTES_MAX ? TOO_MUCH     /* nothing is copied to find that out */
         : is_two_members(group, call)              ? "the member id and the instance id are of two of its members"
                                                    : NULL;
}

bool rl_consumer_group_upgrade(struct rl_group *group, const struct rl_consumer_heartbeat *call,
                               const char **ret_why)
{
    uint32_t count = rl_table_count(&group->by_member_id), read = 0;
    int32_t generation = RL_MAX(group->generation, 1);
    size_t bytes = rl_consumer_heartbeat_bytes(call);
    bool good = true;
    if ((*ret_why = why_not(group, call)) != NULL)
        return false;
    struct mover *movers = rl_alloc_zero(count + 1, sizeof *movers);
    RL_LIST_EACH(node, &group->members)
        good &= read_classic(&movers[read++], group, RL_LIST_ENTRY(node, struct rl_group_member, link), &bytes);
    if (!good || bytes > RL_GROUP_WRITE_BYTES_MAX) {
        *ret_why = good ? TOO_MUCH : "the embedded consumer protocol is malformed";
        movers_done(movers, count);
        return false;
    }
    for (struct rl_list *node; (node = rl_list_first(&group->members)) != NULL;)
        rl_group_remove_member(RL_LIST_ENTRY(node, struct rl_group_member, link), RL_GROUP_REBALANCING);
    group->state = RL_GROUP_EMPTY;      /* as if it was loaded so */
    rl_group_clear_classic(group);
    rl_consumer_group_begin(group);
    group->consumer->epoch = group->consumer->assignment_epoch = generation;
    group->consumer->is_stored = true;
    for (uint32_t i = 0; i < count; i++)
        move_up(group, &movers[i]);
    rl_group_store_classic_tombstone(group);
    rl_consumer_group_store(group);
    movers_done(movers, count);
    return true;
}

/* ---- down ---- */

static bool only_classic_members(const struct rl_group *group)
{
    RL_LIST_EACH(node, &group->consumer->members)
        if (!RL_LIST_ENTRY(node, struct rl_consumer_member, link)->is_classic)
            return false;
    return !rl_group_is_empty(group);
}

static void read_consumer(struct mover *m, const struct rl_consumer_member *member)
{
    struct rl_reader r = rl_rd_of(member->protocols[0].metadata);
    struct rl_text assignment = { 0 };
    *m = (struct mover){ .id = rl_owned_copy(member->id), .instance_id = rl_owned_copy(member->instance_id),
        .client_id = rl_owned_copy(member->client_id), .client_host = rl_owned_copy(member->client_host),
        .rebalance_timeout_ms = member->rebalance_timeout_ms, .session_timeout_ms = member->classic_session_timeout_ms };
    copy_protocols(m, member->protocols, member->protocol_count);
    rl_consumer_assignment_write(&assignment, rl_rd_i16(&r), &member->assigned, rl_group_image(member->group));
    m->assignment = rl_owned_copy(rl_text_slice(&assignment));
    rl_text_done(&assignment);
}

static void move_down(struct rl_group *group, const struct mover *m)
{
    struct rl_group_join join = {
        .instance_id = m->instance_id, .client_id = m->client_id, .client_host = m->client_host,
        .protocol_type = rl_slice_of_string("consumer"), .protocols = m->protocols,
        .protocol_count = m->protocol_count, .session_timeout_ms = m->session_timeout_ms,
        .rebalance_timeout_ms = m->rebalance_timeout_ms };
    struct rl_group_member *member = rl_group_add_member(group, m->id, &join);
    rl_owned_set(&member->assignment, m->assignment);
    member->is_new = false;
    rl_group_start_session(member, member->session_timeout_ms);
}

/* One write holds its tombstones and what it is then. */
static bool fits_one_write(const struct rl_group *group)
{
    size_t bytes = group->consumer->member_bytes;
    RL_LIST_EACH(node, &group->consumer->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        bytes += record_bytes(group, member->id.bytes, &member->assigned);
    }
    return bytes <= RL_GROUP_WRITE_BYTES_MAX;
}

/* So after the last one was replaced under its instance id by one that reads the same. */
static bool everyone_has_his_target(const struct rl_group *group)
{
    const struct rl_consumer_group *c = group->consumer;
    RL_LIST_EACH(node, &c->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        if (member->epoch != c->epoch || member->state != RL_CONSUMER_MEMBER_STABLE)
            return false;
    }
    return c->assignment_epoch == c->epoch;
}

void rl_consumer_group_maybe_downgrade(struct rl_group *group, int32_t generation)
{
    uint32_t count = rl_table_count(&group->consumer->by_member_id), read = 0;
    if (!group->groups->limits->can_downgrade || !only_classic_members(group) ||
        count > (uint32_t)group->groups->limits->size_max || !fits_one_write(group))
        return;
    bool is_settled = everyone_has_his_target(group);
    if (is_settled)
        generation = group->consumer->epoch;
    struct mover *movers = rl_alloc_zero(count + 1, sizeof *movers);
    RL_LIST_EACH(node, &group->consumer->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        read_consumer(&movers[read++], member);
        rl_consumer_store_member_tombstones(member);
    }
    rl_consumer_group_end(group);
    for (uint32_t i = 0; i < count; i++)
        move_down(group, &movers[i]);
    group->generation = RL_MAX(generation, 1);
    rl_owned_set(&group->protocol, rl_group_vote(group));
    group->state = group->previous_state = RL_GROUP_STABLE;     /* as if it was loaded so */
    group->state_ms = group->groups->shard->wall_ms;
    rl_group_learn_subscriptions(group);
    rl_consumer_group_store_tombstone(group);
    if (is_settled)
        rl_group_store(group);
    else
        rl_group_store_rebalancing(group);
    movers_done(movers, count);
    if (!is_settled)
        rl_group_rebalance(group, "its last member of the consumer protocol is gone");
}

/* coordinate/offset_expiry.c — offsets that nobody needs any more, and groups without any.
 *
 * Every offsets.retention.check.interval.ms all groups are looked at, some per turn.  An offset goes
 * offsets.retention.minutes after: the group has become empty; or, in a stable group of consumers
 * that do not read its topic, or where nobody ever joined, after its commit.  One with an expiry time
 * of its own goes then.  A group that is empty and has no offsets left goes, too.
 * Failures: tombstones that cannot be stored make the partition be read again; then it is tried again.
 * Source: KIP-211, OffsetExpirationConditionImpl. */
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_offsets.h"
#include "coordinate/owned.h"
#include "core/logger.h"

#define GROUPS_PER_TURN 64
#define NS_PER_MS ((int64_t)1000000)

struct tombstones {
    struct rl_group_write write;
};

static void on_written(struct rl_group_write *write, rl_status status)
{
    (void)status;                       /* failed: everything is read again */
    rl_free(RL_CONTAINER_OF(write, struct tombstones, write));
}

void rl_groups_end_tombstones(struct rl_groups *groups)
{
    struct tombstones *tombstones = rl_alloc_zero(1, sizeof *tombstones);
    tombstones->write = (struct rl_group_write){ .done = on_written, .applied = true };
    groups->store->end(groups->store, &tombstones->write);
}

/* ---- what has expired ---- */

/* Does the retention run for offsets of this topic now, and since when? */
static bool retention_runs(const struct rl_group *group, const struct rl_slice topic,
                           const struct rl_committed_offset *offset, int64_t *ret_since_ms)
{
    *ret_since_ms = offset->commit_ms;
    if (group->protocol_type.data == NULL)
        return true;
    if (rl_group_is_empty(group)) {
        if (group->state_ms >= 0)
            *ret_since_ms = group->state_ms;
        return true;
    }
    if (group->consumer != NULL)
        return !rl_group_is_subscribed(group, topic);
    return group->state == RL_GROUP_STABLE && rl_group_uses_consumer_protocol(group) &&
           group->subscriptions_known && !rl_group_is_subscribed(group, topic);
}

static bool is_expired(const struct rl_group *group, const struct rl_slice topic,
                       const struct rl_committed_offset *offset, int64_t retention_ms)
{
    int64_t now_ms = group->groups->shard->wall_ms, since_ms;
    if (!retention_runs(group, topic, offset, &since_ms))
        return false;
    return offset->expire_ms >= 0 ? now_ms >= offset->expire_ms : now_ms - since_ms >= retention_ms;
}

static bool expire_topic(struct rl_group *group, const struct rl_offsets_topic *topic, int64_t retention_ms)
{
    struct rl_slice name = rl_owned_copy(topic->name);
    bool removed = false;
    for (uint32_t i = topic->count; i-- > 0;) {
        int32_t partition = topic->entries[i].partition;
        if (is_expired(group, name, &topic->entries[i].value, retention_ms)) {
            rl_group_remove_offset(group, name, partition);
            removed = true;
        }
    }
    rl_owned_free(&name);
    return removed;
}

static void expire_group(struct rl_group *group, int64_t retention_ms)
{
    struct rl_groups *groups = group->groups;
    bool removed = false;
    if (group->busy > 0)
        return;                         /* it is in use */
    RL_LIST_EACH_SAFE(node, &group->offsets.topics)
        removed |= expire_topic(group, RL_LIST_ENTRY(node, struct rl_offsets_topic, link), retention_ms);
    bool gone = rl_group_is_empty(group) && group->offsets.count == 0 &&
                rl_table_count(&group->pending) == 0;
    if (gone) {
        RL_INFO("coordinate", "group %.*s is forgotten: it is empty and has no offsets", (int)group->id.bytes,
                (const char *)group->id.data);
        rl_group_remove(group);
    }
    if (removed || gone)
        rl_groups_end_tombstones(groups);
}

/* ---- some per turn ---- */

static struct rl_offsets_slot *next_slot(const struct rl_coordinator *c, const struct rl_offsets_slot *slot)
{
    const struct rl_list *after = slot != NULL ? &slot->link : &c->slots;
    for (struct rl_list *node = after->next; node != &c->slots; node = node->next) {
        struct rl_offsets_slot *next = RL_LIST_ENTRY(node, struct rl_offsets_slot, link);
        if (next->state == RL_SLOT_READY && !next->stale)
            return next;
    }
    return NULL;
}

static void begin_slot(struct rl_coordinator *c, struct rl_offsets_slot *slot)
{
    c->check_slot = slot;
    c->check_left = slot != NULL ? rl_table_count(&slot->groups.by_id) : 0;
}

static void on_check(struct rl_timer *timer)
{
    struct rl_coordinator *c = timer->arg;
    if (c->check_slot == NULL)
        begin_slot(c, next_slot(c, NULL));
    for (uint32_t i = 0; i < GROUPS_PER_TURN && c->check_slot != NULL; i++) {
        bool ready = c->check_slot->state == RL_SLOT_READY && !c->check_slot->stale;
        struct rl_list *node = ready && c->check_left > 0 ? rl_list_pop_front(&c->check_slot->groups.list) : NULL;
        if (node == NULL) {
            begin_slot(c, next_slot(c, c->check_slot));
            continue;
        }
        c->check_left--;
        rl_list_push_back(&c->check_slot->groups.list, node);
        expire_group(RL_LIST_ENTRY(node, struct rl_group, link), c->options.offsets_retention_ms);
    }
    int64_t delay_ns = c->check_slot != NULL ? 0 : c->options.check_interval_ms * NS_PER_MS;
    rl_timer_start(c->shard, timer, c->shard->now_ns + delay_ns);
}

void rl_expiry_start(struct rl_coordinator *c)
{
    c->check_timer = (struct rl_timer){ .done = on_check, .arg = c };
    rl_timer_start(c->shard, &c->check_timer, c->shard->now_ns + c->options.check_interval_ms * NS_PER_MS);
}

/* coordinate/forget_topics.c — what groups have committed for topics that are deleted (KAFKA-1876).
 *
 * Happy path: the deletion is noted with a round of its own, and the groups are walked, some per turn.
 * Who asks for a group before the walk has come to it (rl_groups_find) gets one that has forgotten, so
 * that nobody sees the old offsets, and a topic of the same name begins anew at once.
 *
 * Failures: tombstones that cannot be stored make the partition be read again, and what was read is
 * compared with the topics there are.  A crash before the walk has ended leaves old offsets in the log:
 * the next start drops those whose topic is not there. */
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_offsets.h"
#include "coordinate/owned.h"
#include "replicate/metadata_image.h"

#define GROUPS_PER_TURN 256

struct forgotten_topic {
    struct rl_slice name;               /* owned */
    uint32_t round;
    struct rl_list link;
};

/* ---- one group ---- */

static bool forget_topic(struct rl_group *group, struct rl_slice name)
{
    const struct rl_offsets_topic *topic = rl_committed_offsets_topic(&group->offsets, name);
    bool removed = rl_group_forget_commits(group, name) || topic != NULL;
    for (uint32_t i = topic != NULL ? topic->count : 0; i-- > 0;)
        rl_group_remove_offset(group, name, topic->entries[i].partition);
    return removed;
}

static struct rl_offsets_slot *slot_of(const struct rl_groups *groups)
{
    return RL_CONTAINER_OF((struct rl_groups *)(uintptr_t)groups, struct rl_offsets_slot, groups);
}

/* Rounds are compared by their difference: they wrap. */
static bool is_later(uint32_t round, uint32_t than)
{
    return (int32_t)(round - than) > 0;
}

void rl_forget_settle(struct rl_group *group)
{
    struct rl_offsets_slot *slot = slot_of(group->groups);
    bool removed = false;
    if (slot->state != RL_SLOT_READY || slot->stale)
        return;                         /* it is read, and compared with the topics there are */
    RL_LIST_EACH(node, &slot->coordinator->forgotten) {
        const struct forgotten_topic *topic = RL_LIST_ENTRY(node, struct forgotten_topic, link);
        if (is_later(topic->round, group->forget_round))
            removed |= forget_topic(group, topic->name);
    }
    group->forget_round = group->groups->forget_round;
    if (removed)
        rl_groups_end_tombstones(group->groups);
}

/* ---- all, some per turn ---- */

/* True: none is left of this slot. */
static bool walk_slot(struct rl_offsets_slot *slot, uint32_t *left)
{
    RL_LIST_EACH(node, &slot->groups.list) {
        struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
        if (slot->state != RL_SLOT_READY || slot->stale)
            return true;
        if (group->forget_round == slot->groups.forget_round)
            continue;
        if (*left == 0)
            return false;
        rl_forget_settle(group);
        --*left;
    }
    return true;
}

static void walk(struct rl_coordinator *c)
{
    uint32_t left = GROUPS_PER_TURN;
    RL_LIST_EACH(node, &c->slots)
        if (!walk_slot(RL_LIST_ENTRY(node, struct rl_offsets_slot, link), &left)) {
            rl_shard_post(c->shard, &c->forget_msg);
            return;
        }
    rl_forget_stop(c);
}

static void on_next(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_coordinator *c = RL_CONTAINER_OF(msg, struct rl_coordinator, forget_msg);
    (void)shard;
    c->forgetting = false;
    if (rl_list_empty(&c->forgotten))
        return;
    c->forgetting = true;
    walk(c);
}

void rl_coordinator_forget_topic(struct rl_shard *shard, struct rl_slice topic)
{
    struct rl_coordinator *c = rl_coordinator_of(shard);
    struct forgotten_topic *forgotten = rl_alloc_zero(1, sizeof *forgotten);
    forgotten->name = rl_owned_copy(topic);
    forgotten->round = ++c->forget_round;
    rl_list_push_back(&c->forgotten, &forgotten->link);
    RL_LIST_EACH(node, &c->slots)
        RL_LIST_ENTRY(node, struct rl_offsets_slot, link)->groups.forget_round = c->forget_round;
    if (c->forgetting)
        return;
    c->forgetting = true;
    c->forget_msg.handle = on_next;
    rl_shard_post(shard, &c->forget_msg);
}

void rl_forget_stop(struct rl_coordinator *c)
{
    for (struct rl_list *node; (node = rl_list_pop_front(&c->forgotten)) != NULL;) {
        struct forgotten_topic *topic = RL_LIST_ENTRY(node, struct forgotten_topic, link);
        rl_owned_free(&topic->name);
        rl_free(topic);
    }
    c->forgetting = false;
}

/* ---- a partition was read ---- */

static bool forget_unknown(struct rl_group *group, const struct rl_image *image)
{
    bool removed = false;
    RL_LIST_EACH_SAFE(node, &group->offsets.topics) {
        struct rl_slice name = RL_LIST_ENTRY(node, struct rl_offsets_topic, link)->name;
        if (rl_image_find(image, name) != NULL)
            continue;
        name = rl_owned_copy(name);     /* the topic's own goes with its last offset */
        removed |= forget_topic(group, name);
        rl_owned_free(&name);
    }
    return removed;
}

void rl_forget_unknown_topics(struct rl_offsets_slot *slot)
{
    const struct rl_image *image = rl_image_current(slot->coordinator->shard);
    bool removed = false;
    RL_LIST_EACH(node, &slot->groups.list) {
        struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
        group->forget_round = slot->groups.forget_round;
        removed |= forget_unknown(group, image);
    }
    if (removed)
        rl_groups_end_tombstones(&slot->groups);
}

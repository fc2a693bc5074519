/* coordinate/offsets_rewrite.c — a partition of __consumer_offsets stays small: what groups are now is
 * written once more, and what stands before it is deleted.
 *
 * Happy path: when the log has grown to several times what its groups need, its end is remembered, and
 * once every append before it is in memory all groups are written again, some per turn.  When that is
 * on stable storage the log start rises to the remembered end.  Kafka compacts the topic to the same
 * effect; here memory has every last value already, so nothing is read.
 *   - An offset with a commit on its way is left out: its newest record comes after the remembered end,
 *     and nothing is deleted before that is on stable storage.
 *   - A group amid a rebalance waits until that is over: what it is then is no state to start from.  So
 *     does one whose first commit of some partition is on its way.
 * Failures: with any write that fails meanwhile nothing is deleted, and a later append begins anew.  A
 * crash at any point leaves records twice, which say the same. */
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_id.h"
#include "coordinate/group_offsets.h"
#include "core/logger.h"
#include "replicate/replica_manager.h"

#define OFFSET_BYTES 40                 /* of an offset's record, beside its texts */
#define TIMES_LIVE 4                    /* written again when it is this much larger than it was then */
#define BYTES_PER_TURN ((size_t)128 << 10)
#define PAUSE_NS ((int64_t)100000000)   /* until all groups are looked at again */

static void write_more(struct rl_offsets_slot *slot);

/* Memory is what the log says: not while it is read again, and not when a stop has emptied it. */
static bool memory_is_true(const struct rl_offsets_slot *slot)
{
    return slot->coordinator->serving && slot->state == RL_SLOT_READY && !slot->stale;
}

static void end(struct rl_offsets_slot *slot)
{
    slot->rewrite.phase = RL_REWRITE_NONE;
}

/* ---- groups ---- */

static size_t write_group(struct rl_group *group, struct rl_offsets_slot *slot)
{
    struct rl_offsets_log *log = &slot->log;
    uint64_t before = log->added_bytes;
    /* Who has left in front of a rebalance, or what its leader will say, is not in memory: a start must not
     * take what is for the whole. */
    if (group->generation > 0 && (group->state == RL_GROUP_PREPARING || group->state == RL_GROUP_COMPLETING))
        rl_group_store_rebalancing(group);
    else if (group->generation > 0 || group->consumer != NULL)
        rl_group_store(group);
    RL_LIST_EACH(node, &group->offsets.topics) {
        const struct rl_offsets_topic *topic = RL_LIST_ENTRY(node, struct rl_offsets_topic, link);
        for (uint32_t i = 0; i < topic->count; i++)
            if (topic->entries[i].commits_in_flight == 0)
                rl_group_store_offset(group, topic->name, topic->entries[i].partition, &topic->entries[i].value);
    }
    return (size_t)(log->added_bytes - before);
}

static bool is_written(const struct rl_offsets_slot *slot, const struct rl_group *group)
{
    return group->rewrite_round == slot->rewrite.round;
}

static bool all_are_written(const struct rl_offsets_slot *slot)
{
    RL_LIST_EACH(node, &slot->groups.list)
        if (!is_written(slot, RL_LIST_ENTRY(node, struct rl_group, link)))
            return false;
    return true;
}

/* ---- the end ---- */

static void on_trimmed(struct rl_log_trim *trim)
{
    struct rl_offsets_slot *slot = trim->arg;
    if (trim->status == RL_OK)
        slot->rewrite.live_bytes = slot->rewrite.bytes;
    RL_INFO("coordinate", "%s-%d: %llu bytes of records say all that is known of its groups%s",
            RL_OFFSETS_TOPIC, slot->partition, (unsigned long long)slot->rewrite.bytes,
            trim->status == RL_OK ? "; older ones are deleted" : "; older ones could not be deleted");
    end(slot);
}

static void trim(struct rl_offsets_slot *slot)
{
    struct rl_partition *p = rl_slot_partition(slot);
    if (p == NULL || p->leader_epoch != slot->leader_epoch) {
        end(slot);
        return;
    }
    slot->rewrite.phase = RL_REWRITE_TRIMMING;
    slot->rewrite.trim = (struct rl_log_trim){ .offset = slot->rewrite.offset, .done = on_trimmed, .arg = slot };
    rl_log_trim(p->log, &slot->rewrite.trim);
}

static void on_written(struct rl_group_write *write, rl_status status)
{
    struct rl_offsets_slot *slot = RL_CONTAINER_OF(write, struct rl_offsets_slot, rewrite.write);
    if (status != RL_OK || slot->rewrite.failed || !memory_is_true(slot))
        end(slot);
    else if (all_are_written(slot))
        trim(slot);
    else
        write_more(slot);
}

static bool can_be_written(const struct rl_group *group)
{
    return (group->state == RL_GROUP_EMPTY || group->state == RL_GROUP_STABLE) &&
           group->first_commits_in_flight == 0;
}

/* Groups that are not in the middle of a rebalance, until enough for a turn is gathered. */
static void write_more(struct rl_offsets_slot *slot)
{
    size_t bytes = 0;
    for (uint32_t left = rl_table_count(&slot->groups.by_id); left > 0 && bytes < BYTES_PER_TURN; left--) {
        struct rl_list *node = rl_list_pop_front(&slot->groups.list);
        struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
        rl_list_push_back(&slot->groups.list, node);
        if (is_written(slot, group) || !can_be_written(group))
            continue;
        bytes += write_group(group, slot);
        group->rewrite_round = slot->rewrite.round;
    }
    slot->rewrite.bytes += bytes;
    /* Nothing written, nothing to wait behind: what was left out is still on its way. */
    bool unsettled = slot->log.batch.record_count == 0 &&
                     (!rl_list_empty(&slot->log.sealed) || !rl_list_empty(&slot->log.appends));
    slot->rewrite.looks++;
    if (bytes == 0 && (unsettled || !all_are_written(slot))) {
        slot->rewrite.phase = RL_REWRITE_PAUSED;        /* an append goes on, but not every one */
        slot->rewrite.look_ns = slot->coordinator->shard->now_ns + (unsettled ? 0 : PAUSE_NS);
        return;
    }
    slot->rewrite.phase = RL_REWRITE_WRITING;
    slot->rewrite.write = (struct rl_group_write){ .done = on_written };
    slot->log.store.end(&slot->log.store, &slot->rewrite.write);
}

/* ---- when ---- */

struct counting_store {
    struct rl_group_store store;
    uint64_t bytes;
};

static void count_record(struct rl_group_store *store, struct rl_slice key, struct rl_slice value)
{
    RL_CONTAINER_OF(store, struct counting_store, store)->bytes += key.bytes + value.bytes;
}

/* What all groups would take, about: the records of groups are counted, those of offsets estimated. */
static uint64_t count_live_bytes(struct rl_offsets_slot *slot)
{
    struct counting_store counting = { .store = { .add = count_record } };
    struct rl_group_store *store = slot->groups.store;
    uint64_t bytes = 0;
    slot->groups.store = &counting.store;
    RL_LIST_EACH(node, &slot->groups.list) {
        struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
        if (group->generation > 0 || group->consumer != NULL)
            rl_group_store(group);
        RL_LIST_EACH(topic_node, &group->offsets.topics) {
            const struct rl_offsets_topic *topic = RL_LIST_ENTRY(topic_node, struct rl_offsets_topic, link);
            bytes += topic->count * (OFFSET_BYTES + group->id.bytes + topic->name.bytes);
        }
    }
    slot->groups.store = store;
    return bytes + counting.bytes;
}

/* Has the log grown to several times what its groups need?  What they need is known since the last
 * rewrite, or counted once a log is large enough to ask: after a start. */
static bool is_large(struct rl_offsets_slot *slot)
{
    if (slot->log_bytes <= slot->coordinator->rewrite_bytes_min)
        return false;
    if (slot->rewrite.live_bytes == 0)
        slot->rewrite.live_bytes = count_live_bytes(slot);
    return slot->log_bytes > slot->rewrite.live_bytes * TIMES_LIVE;
}

void rl_rewrite_after_append(struct rl_offsets_slot *slot, int64_t end_offset)
{
    struct rl_offsets_rewrite *rewrite = &slot->rewrite;
    struct rl_partition *p = rl_slot_partition(slot);
    if (p == NULL || !memory_is_true(slot))
        return;
    if (rewrite->phase == RL_REWRITE_NONE) {
        if (!is_large(slot))
            return;
        slot->log_bytes = 0;
        *rewrite = (struct rl_offsets_rewrite){ .phase = RL_REWRITE_WAITING, .round = rewrite->round + 1,
                                                .offset = rl_log_end_offset(p->log) };
    }
    if ((rewrite->phase == RL_REWRITE_WAITING && end_offset >= rewrite->offset) ||
        (rewrite->phase == RL_REWRITE_PAUSED && slot->coordinator->shard->now_ns >= rewrite->look_ns))
        write_more(slot);
}

void rl_rewrite_write_failed(struct rl_offsets_slot *slot)
{
    slot->rewrite.failed = true;
    if (slot->rewrite.phase == RL_REWRITE_WAITING || slot->rewrite.phase == RL_REWRITE_PAUSED)
        end(slot);
}

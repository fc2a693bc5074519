/* coordinate/coordinator.c — the groups of one shard: found, read when needed, flushed at the end of
 * each turn. */
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_id.h"
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"

/* ---- slots ---- */

static void on_log_failed(struct rl_offsets_log *log)
{
    rl_slot_mark_stale(RL_CONTAINER_OF(log, struct rl_offsets_slot, log));
}

static void on_appended(struct rl_offsets_log *log, rl_status status, size_t bytes, int64_t end_offset)
{
    struct rl_offsets_slot *slot = RL_CONTAINER_OF(log, struct rl_offsets_slot, log);
    slot->log_bytes += bytes;
    if (status == RL_OK)
        rl_rewrite_after_append(slot, end_offset);
    else
        rl_rewrite_write_failed(slot);
}

static struct rl_offsets_slot *slot_create(struct rl_coordinator *c, struct rl_uuid topic_id, int32_t partition)
{
    struct rl_offsets_slot *slot = rl_alloc_zero(1, sizeof *slot);
    slot->coordinator = c;
    slot->partition = partition;
    slot->topic_id = topic_id;
    rl_offsets_log_init(&slot->log, c->shard, topic_id, partition, &c->dirty, on_log_failed, on_appended);
    rl_groups_init(&slot->groups, c->shard, &c->options.limits, &slot->log.store, &c->answers,
                   &c->searches);
    slot->groups.forget_round = c->forget_round;
    slot->groups.settle = rl_forget_settle;
    rl_list_push_back(&c->slots, &slot->link);
    rl_table_put_number(&c->by_partition, (uint64_t)partition, slot);
    return slot;
}

void rl_slot_mark_stale(struct rl_offsets_slot *slot)
{
    if (slot->stale)
        return;
    slot->stale = true;
    slot->coordinator->stale_count++;
    rl_shard_again(slot->coordinator->shard);
}

struct rl_partition *rl_slot_partition(const struct rl_offsets_slot *slot)
{
    struct rl_partition *partition = rl_replica_manager_find(slot->coordinator->shard, slot->topic_id,
                                                             slot->partition);
    return partition != NULL && partition->state == RL_REPLICA_LEADER ? partition : NULL;
}

/* Forget what was read; a read under way ends by itself and finds that it is stale. */
static void slot_unread(struct rl_offsets_slot *slot)
{
    if (slot->stale)
        slot->coordinator->stale_count--;
    slot->stale = false;
    if (slot->state == RL_SLOT_READY)
        RL_INFO("coordinate", "%s-%d: its groups are read again", RL_OFFSETS_TOPIC, slot->partition);
    slot->state = RL_SLOT_UNREAD;
    if (slot->rewrite.phase == RL_REWRITE_WAITING || slot->rewrite.phase == RL_REWRITE_PAUSED)
        slot->rewrite.phase = RL_REWRITE_NONE;
    rl_groups_drop_all(&slot->groups, RL_GROUP_NOT_COORDINATOR);
}

/* Something of it is on its way, or waits for the end of the turn. */
static bool slot_is_busy(const struct rl_offsets_slot *slot)
{
    return slot->read_busy || !rl_list_empty(&slot->log.appends) || rl_list_linked(&slot->log.link);
}

/* READY is believed only as long as nothing can have changed behind its back. */
static enum rl_group_error slot_check(struct rl_offsets_slot *slot)
{
    struct rl_shard *shard = slot->coordinator->shard;
    struct rl_partition *p = rl_replica_manager_find(shard, slot->topic_id, slot->partition);
    if (p == NULL)
        return RL_GROUP_NOT_COORDINATOR;
    if (p->state == RL_REPLICA_OPENING)
        return RL_GROUP_LOADING;
    if (p->state != RL_REPLICA_LEADER)
        return RL_GROUP_NOT_AVAILABLE;
    if (slot->stale || (slot->state == RL_SLOT_READY && slot->leader_epoch != p->leader_epoch)) {
        if (slot_is_busy(slot))
            return RL_GROUP_LOADING;    /* until what is on its way has come back */
        slot_unread(slot);
    }
    if (slot->state == RL_SLOT_UNREAD)
        rl_slot_load(slot, p);
    return slot->state == RL_SLOT_READY ? RL_GROUP_OK : RL_GROUP_LOADING;
}

/* The slot of a partition that lives here; one that was of another topic of the same name begins
 * anew. */
static struct rl_offsets_slot *slot_of(struct rl_coordinator *c, const struct rl_topic *topic, int32_t partition)
{
    struct rl_offsets_slot *slot = rl_table_find_number(&c->by_partition, (uint64_t)partition);
    if (slot == NULL)
        return slot_create(c, topic->id, partition);
    if (!rl_uuid_equal(slot->topic_id, topic->id)) {
        slot->topic_id = slot->log.topic_id = topic->id;
        rl_slot_mark_stale(slot);
    }
    return slot;
}

static const struct rl_topic *offsets_topic(const struct rl_shard *shard)
{
    return rl_image_find(rl_image_current(shard), rl_slice_of_string(RL_OFFSETS_TOPIC));
}

enum rl_group_error rl_coordinator_find(struct rl_shard *shard, struct rl_slice group_id,
                                        struct rl_groups **ret_groups)
{
    struct rl_coordinator *c = rl_coordinator_of(shard);
    const struct rl_topic *topic = offsets_topic(shard);
    if (c == NULL || !c->serving || topic == NULL)
        return RL_GROUP_NOT_COORDINATOR;
    int32_t partition = rl_group_partition(group_id, topic->partition_count);
    if (rl_partition_home(topic->id, partition, shard->count) != shard->index)
        return RL_GROUP_NOT_COORDINATOR;
    struct rl_offsets_slot *slot = slot_of(c, topic, partition);
    enum rl_group_error error = slot_check(slot);
    if (error == RL_GROUP_OK)
        *ret_groups = &slot->groups;
    return error;
}

struct rl_groups *rl_coordinator_next(struct rl_shard *shard, uint32_t *at)
{
    const struct rl_coordinator *c = rl_coordinator_of(shard);
    struct rl_offsets_slot *slot;
    while (c != NULL && (slot = rl_table_next(&c->by_partition, at)) != NULL)
        if (slot->state == RL_SLOT_READY && !slot->stale)
            return &slot->groups;
    return NULL;
}

bool rl_coordinator_is_loading(struct rl_shard *shard)
{
    const struct rl_coordinator *c = rl_coordinator_of(shard);
    for (const struct rl_list *node = c != NULL ? c->slots.next : NULL; node != NULL && node != &c->slots;
         node = node->next)
        if (RL_LIST_ENTRY(node, struct rl_offsets_slot, link)->state == RL_SLOT_LOADING)
            return true;
    return false;
}

const struct rl_coordinator_options *rl_coordinator_options(const struct rl_shard *shard)
{
    return &rl_coordinator_of(shard)->options;
}

/* ---- the end of a turn ---- */

static void read_stale_again(struct rl_coordinator *c)
{
    RL_LIST_EACH(node, &c->slots) {
        struct rl_offsets_slot *slot = RL_LIST_ENTRY(node, struct rl_offsets_slot, link);
        if (slot->stale && !slot_is_busy(slot) && c->serving)
            slot_check(slot);
    }
}

static void on_turn_ends(struct rl_shard *shard, void *arg)
{
    struct rl_coordinator *c = arg;
    struct rl_list dirty;
    if (rl_list_empty(&c->dirty) && rl_list_empty(&c->answers) && c->stale_count == 0)
        return;                         /* as nearly always */
    rl_list_init(&dirty);
    rl_list_take_all(&dirty, &c->dirty);
    for (struct rl_list *node; (node = rl_list_pop_front(&dirty)) != NULL;)
        rl_offsets_log_flush(RL_LIST_ENTRY(node, struct rl_offsets_log, link));
    if (c->stale_count > 0)
        read_stale_again(c);
    rl_group_answers_run(&c->answers);
    if (!rl_list_empty(&c->dirty))
        rl_shard_again(shard);
}

/* ---- life ---- */

rl_status rl_coordinator_start(struct rl_shard *shard, const struct rl_coordinator_options *options)
{
    struct rl_coordinator *c = rl_alloc_zero(1, sizeof *c);
    c->shard = shard;
    c->options = *options;
    c->rewrite_bytes_min = RL_REWRITE_BYTES_MIN;
    rl_list_init(&c->slots);
    rl_list_init(&c->answers);
    rl_list_init(&c->searches);
    rl_list_init(&c->dirty);
    rl_list_init(&c->lag_walks);
    rl_list_init(&c->forgotten);
    rl_table_init(&c->by_partition, 0);    /* keys that nobody outside chooses */
    shard->context[RL_CONTEXT_COORDINATE] = c;
    rl_shard_add_turn_hook(shard, on_turn_ends, c);
    return RL_OK;
}

void rl_coordinator_load(struct rl_shard *shard)
{
    struct rl_coordinator *c = rl_coordinator_of(shard);
    const struct rl_topic *topic = offsets_topic(shard);
    if (!c->serving)
        rl_expiry_start(c);
    c->serving = true;
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++)
        if (rl_partition_home(topic->id, i, shard->count) == shard->index)
            slot_check(slot_of(c, topic, i));
}

void rl_coordinator_stop_serving(struct rl_shard *shard)
{
    struct rl_coordinator *c = rl_coordinator_of(shard);
    c->serving = false;
    rl_timer_stop(shard, &c->check_timer);
    RL_LIST_EACH(node, &c->slots)
        rl_groups_drop_all(&RL_LIST_ENTRY(node, struct rl_offsets_slot, link)->groups, RL_GROUP_NOT_COORDINATOR);
    rl_shard_again(shard);              /* for the answers */
}

void rl_coordinator_stop(struct rl_shard *shard)
{
    struct rl_coordinator *c = rl_coordinator_of(shard);
    if (c == NULL)
        return;
    rl_timer_stop(shard, &c->check_timer);
    rl_lag_walks_stop(c);
    rl_forget_stop(c);
    for (struct rl_list *node; (node = rl_list_pop_front(&c->slots)) != NULL;) {
        struct rl_offsets_slot *slot = RL_LIST_ENTRY(node, struct rl_offsets_slot, link);
        rl_timer_stop(shard, &slot->flush_timer);
        rl_groups_drop_all(&slot->groups, RL_GROUP_NOT_COORDINATOR);
        rl_offsets_log_done(&slot->log);
        rl_table_done(&slot->groups.by_id);
        rl_free(slot);
    }
    rl_table_done(&c->by_partition);
    shard->context[RL_CONTEXT_COORDINATE] = NULL;
    rl_free(c);
}

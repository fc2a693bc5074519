/* coordinate/offsets_load.c — read a partition of __consumer_offsets from its start to its end.
 *
 * A piece per turn, so that a long log does not hold up the shard; the last record of a key counts.
 * What a killed process wrote and did not sync is read, too: before anybody is told of it, it is synced.
 * Failures: a batch that is damaged is passed over, told, and counted; a log that cannot be read at
 * all leaves the slot unread, and the next call tries again. */
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_id.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/record.h"

#define PIECE_BYTES ((size_t)256 << 10)
#define FLUSH_LOOK_NS ((int64_t)1000000)
#define DAMAGED_MAX 100000              /* offsets tried one by one behind damage */

/* ---- records ---- */

static void note_unreadable(struct rl_offsets_slot *slot, int64_t offset, rl_status status)
{
    slot->damaged++;
    RL_ERROR("coordinate", "%s-%d: the record at offset %lld cannot be read: %s; the group or offset that "
             "it stored is as the record before it said", RL_OFFSETS_TOPIC, slot->partition,
             (long long)offset, rl_status_text(status));
}

static void apply_batch(struct rl_offsets_slot *slot, const struct rl_batch *batch)
{
    struct rl_records records;
    struct rl_record record;
    rl_status status = rl_records_init(&records, batch);
    if (status != RL_OK) {
        note_unreadable(slot, batch->base_offset, status);
        return;
    }
    while ((status = rl_records_next(&records, &record)) == RL_OK) {
        rl_status applied = rl_groups_restore_record(&slot->groups, record.key, record.value);
        slot->records++;
        if (applied != RL_OK)
            note_unreadable(slot, record.offset, applied);
    }
    if (status != RL_ENOTFOUND)
        note_unreadable(slot, batch->base_offset, status);
    rl_records_done(&records);
}

static void apply_piece(struct rl_offsets_slot *slot, uint8_t *bytes, size_t available)
{
    for (size_t at = 0; at < available;) {
        struct rl_batch batch;
        if (rl_batch_read_header(bytes + at, available - at, &batch) != RL_OK)
            return;
        if (!rl_batch_is_control(&batch) && rl_batch_last_offset(&batch) >= slot->next_offset)
            apply_batch(slot, &batch);
        slot->next_offset = rl_batch_last_offset(&batch) + 1;
        at += batch.size_bytes;
    }
}

/* ---- pieces ---- */

static void load_end(struct rl_offsets_slot *slot, enum rl_slot_state state)
{
    slot->state = state;
    if (state != RL_SLOT_READY)
        return;
    rl_forget_unknown_topics(slot);
    RL_LIST_EACH(node, &slot->groups.list)
        rl_group_begin_sessions(RL_LIST_ENTRY(node, struct rl_group, link));
    if (slot->records > 0)
        RL_INFO("coordinate", "%s-%d: %u groups from %llu records in %lld ms%s", RL_OFFSETS_TOPIC,
                slot->partition, rl_table_count(&slot->groups.by_id), (unsigned long long)slot->records,
                (long long)((slot->coordinator->shard->now_ns - slot->load_started_ns) / 1000000),
                slot->damaged > 0 ? "; some records could not be read" : "");
}

static void load_failed(struct rl_offsets_slot *slot, rl_status status)
{
    RL_ERROR("coordinate", "%s-%d cannot be read at offset %lld: %s; its groups are not available",
             RL_OFFSETS_TOPIC, slot->partition, (long long)slot->next_offset, rl_status_text(status));
    rl_groups_drop_all(&slot->groups, RL_GROUP_NOT_COORDINATOR);
    load_end(slot, RL_SLOT_UNREAD);
}

/* In the next turn; until then the slot is as busy as with a read. */
static void next_piece(struct rl_offsets_slot *slot)
{
    slot->read_busy = true;
    rl_shard_post(slot->coordinator->shard, &slot->next_piece);
}

static void take_piece(struct rl_offsets_slot *slot)
{
    struct rl_log_read *read = &slot->read;
    uint8_t *bytes = rl_alloc(read->bytes + 1);
    size_t at = 0;
    for (uint32_t i = 0; i < read->chunk_count; i++) {
        memcpy(bytes + at, read->chunks[i].data, read->chunks[i].bytes);
        at += read->chunks[i].bytes;
        rl_chunk_release(&read->chunks[i]);
    }
    int64_t before = slot->next_offset;
    slot->log_bytes += at;
    if (!slot->stale)
        apply_piece(slot, bytes, at);
    rl_free(bytes);
    if (slot->next_offset == before && !slot->stale) {
        load_failed(slot, RL_ECORRUPT);
        return;
    }
    next_piece(slot);
}

static void piece_done(struct rl_offsets_slot *slot, rl_status status)
{
    if (status == RL_OK) {
        take_piece(slot);
    } else if (status == RL_ECORRUPT && slot->damaged < DAMAGED_MAX) {
        if (slot->damaged == 0)
            note_unreadable(slot, slot->next_offset, status);
        slot->damaged++;
        slot->next_offset++;
        next_piece(slot);
    } else if (status == RL_ERANGE) {   /* the log start rose meanwhile */
        struct rl_partition *p = rl_slot_partition(slot);
        if (p == NULL || rl_partition_log_start_offset(p) <= slot->next_offset) {
            load_failed(slot, status);
            return;
        }
        slot->next_offset = rl_partition_log_start_offset(p);
        next_piece(slot);
    } else {
        load_failed(slot, status);
    }
}

static void on_piece_read(struct rl_log_read *read)
{
    struct rl_offsets_slot *slot = read->arg;
    slot->read_busy = false;
    piece_done(slot, read->status);
}

static void load_more(struct rl_offsets_slot *slot);

static void on_flush_awaited(struct rl_timer *timer)
{
    struct rl_offsets_slot *slot = timer->arg;
    slot->read_busy = false;
    load_more(slot);
}

/* A generation or an offset that was told must not be lost with the power.  Rare: only a killed process
 * leaves anything here that is not on stable storage. */
static void await_flush(struct rl_offsets_slot *slot, struct rl_partition *p)
{
    struct rl_shard *shard = slot->coordinator->shard;
    rl_log_flush(p->log);
    slot->read_busy = true;
    slot->flush_timer.done = on_flush_awaited;
    slot->flush_timer.arg = slot;
    rl_timer_start(shard, &slot->flush_timer, shard->now_ns + FLUSH_LOOK_NS);
}

static void load_more(struct rl_offsets_slot *slot)
{
    /* A stop may have left no partitions to ask. */
    struct rl_partition *p = slot->coordinator->serving ? rl_slot_partition(slot) : NULL;
    if (slot->stale || p == NULL || p->leader_epoch != slot->leader_epoch) {
        rl_groups_drop_all(&slot->groups, RL_GROUP_NOT_COORDINATOR);
        load_end(slot, RL_SLOT_UNREAD);
        return;
    }
    if (slot->next_offset >= p->high_watermark) {
        if (rl_log_flushed_offset(p->log) < slot->next_offset) {
            await_flush(slot, p);
            return;
        }
        load_end(slot, RL_SLOT_READY);
        return;
    }
    slot->read = (struct rl_log_read){ .offset = slot->next_offset, .upper_offset = p->high_watermark,
                                       .max_bytes = PIECE_BYTES, .at_least_one = true,
                                       .done = on_piece_read, .arg = slot };
    slot->read_busy = true;
    rl_status status = rl_log_read(p->log, &slot->read);
    if (status == RL_EBUSY)
        return;
    slot->read_busy = false;
    piece_done(slot, status);
}

static void on_next_piece(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_offsets_slot *slot = RL_CONTAINER_OF(msg, struct rl_offsets_slot, next_piece);
    (void)shard;
    slot->read_busy = false;
    load_more(slot);
}

void rl_slot_load(struct rl_offsets_slot *slot, struct rl_partition *partition)
{
    slot->state = RL_SLOT_LOADING;
    slot->leader_epoch = partition->leader_epoch;
    slot->next_offset = rl_partition_log_start_offset(partition);
    slot->load_started_ns = slot->coordinator->shard->now_ns;
    slot->records = slot->damaged = slot->log_bytes = 0;
    slot->rewrite.live_bytes = 0;
    slot->next_piece.handle = on_next_piece;
    load_more(slot);
}

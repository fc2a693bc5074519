/* log/save.c — everything beside the batches: index files, snapshots, checkpoints, deletions.
 *
 * One job in flight per log, made of a copy of what it needs.  It runs
 *   - for a sealed segment once it is synced: the rest of its index, the producer snapshot taken
 *     when it was rolled, a checkpoint, all synced;
 *   - for the active one after every 64 MiB: the same, so that a restart walks little;
 *   - for retention and deletion on demand: first the checkpoint with the new log start, then the
 *     renames;
 *   - at a clean close: all of it, synced.
 * Order inside the job: index, snapshot, checkpoint, deletions, reserved space; so a checkpoint never promises
 * what was not written before it.
 * Failures: none is fatal.  An index that could not be written is found damaged when used; an old
 * checkpoint makes the next start slower, not wrong.  One warning line. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/repair.h"
#include "log/retention.h"
#include "log/snapshot.h"
#include <stdio.h>

struct save {
    struct rl_op op;
    struct rl_log *log;
    /* index entries of one segment */
    int64_t segment_base;               /* -1: none */
    uint32_t index_at, time_at;         /* entries in the files already */
    uint32_t index_count, time_count;
    uint32_t segment_bytes;
    bool sealed;
    struct rl_text index, times;
    /* */
    struct rl_text snapshot;            /* empty: none */
    int64_t snapshot_offset;
    int64_t snapshot_expired;           /* -1: none */
    struct rl_text checkpoint, epochs;
    struct rl_expired *expired;         /* segments to rename */
    int64_t start_offset;               /* of the log, in the checkpoint */
    bool trimmed;                       /* somebody waits for that to last */
    uint64_t bytes;                     /* of hot->bytes_since_save that this covers */
    bool final;
    bool reserved;                      /* space behind the segment's end is to be given back */
    rl_status index_status;
};

/* ---- on a helper ---- */

static rl_status save_index(struct save *save, struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES];

    if (save->segment_base < 0)
        return RL_OK;
    rl_segment_path(directory, save->segment_base, ".index", path);
    rl_status status = rl_side_file_extend(disk, path, (uint64_t)save->index_at * RL_INDEX_ENTRY_BYTES,
                                           rl_text_slice(&save->index),
                                           save->sealed || save->final);
    if (status != RL_OK)
        return status;
    rl_segment_path(directory, save->segment_base, ".timeindex", path);
    return rl_side_file_extend(disk, path, (uint64_t)save->time_at * RL_TIME_ENTRY_BYTES,
                               rl_text_slice(&save->times), save->sealed || save->final);
}

static rl_status save_snapshot(struct save *save, struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES];

    if (save->snapshot.bytes == 0)
        return RL_OK;
    rl_segment_path(directory, save->snapshot_offset, ".snapshot", path);
    rl_status status = rl_side_file_store(disk, path, rl_text_slice(&save->snapshot),
                                          save->final || save->sealed);
    if (status == RL_OK && save->snapshot_expired >= 0) {
        rl_segment_path(directory, save->snapshot_expired, ".snapshot", path);
        (void)rl_disk_unlink(disk, path);       /* one too many does no harm */
    }
    return status;
}

static rl_status save_checkpoint(struct save *save, struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES + 32];

    snprintf(path, sizeof path, "%s/%s", directory, RL_EPOCH_FILE);
    rl_status status = rl_side_file_store(disk, path, rl_text_slice(&save->epochs), false);
    if (status != RL_OK)
        return status;
    snprintf(path, sizeof path, "%s/%s", directory, RL_CHECKPOINT_FILE);
    status = rl_side_file_store(disk, path, rl_text_slice(&save->checkpoint), true);
    if (status == RL_OK && (save->final || save->sealed || save->expired != NULL || save->trimmed))
        status = rl_disk_sync_directory(disk, directory);
    return status;
}

/* Space that was reserved behind the end of a segment goes back; a size that is not what we think
 * is left alone. */
static void return_reserved(const struct save *save, struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES];
    uint64_t bytes;
    int fd;

    rl_segment_path(directory, save->segment_base, ".log", path);
    if (rl_disk_open(disk, path, RL_OPEN_WRITE, &fd) != RL_OK)
        return;
    if (rl_disk_size(disk, fd, &bytes) == RL_OK && bytes == save->segment_bytes)
        (void)rl_disk_truncate(disk, fd, bytes);
    rl_disk_close(disk, fd);
}

static void run_save(struct rl_op *op)
{
    struct save *save = op->arg;
    struct rl_disk *disk = rl_log_disk(save->log);
    char directory[RL_PATH_BYTES];

    rl_log_directory(save->log, directory);
    save->index_status = save_index(save, disk, directory);
    op->status = save->index_status;
    if (op->status == RL_OK)
        op->status = save_snapshot(save, disk, directory);
    if (op->status == RL_OK)
        op->status = save_checkpoint(save, disk, directory);
    if (op->status == RL_OK && save->expired != NULL)
        op->status = rl_expired_rename(save->expired, disk, directory);
    if (save->reserved)
        return_reserved(save, disk, directory);
}

/* ---- back on the shard ---- */

static void note_index_saved(struct save *save)
{
    struct rl_segment *seg = rl_log_segment_find(save->log, save->segment_base);

    if (seg == NULL)
        return;
    if (save->index_status != RL_OK && !save->sealed)
        return;                         /* the entries stay in memory and come with the next save */
    seg->index_entries += save->index_count;
    seg->time_entries += save->time_count;
    if (seg->index != NULL)
        rl_index_memory_drop(seg->index, save->index_count, save->time_count);
    if (!save->sealed)
        return;
    rl_index_memory_free(seg->index);
    seg->index = NULL;
    bool damaged = save->index_status != RL_OK || (seg->flags & RL_SEGMENT_INDEX_DAMAGED) != 0;
    seg->flags |= RL_SEGMENT_INDEX_SAVED;
    seg->flags &= ~(uint32_t)RL_SEGMENT_INDEX_DAMAGED;
    if (damaged)
        rl_repair_index(save->log, seg->base_offset);
}

static void note_snapshot_saved(struct rl_log *log, int64_t offset)
{
    if (log->snapshot_count > 0 && log->snapshots[log->snapshot_count - 1] == offset)
        return;
    if (log->snapshot_count == RL_SNAPSHOTS_KEPT) {
        for (uint32_t i = 1; i < RL_SNAPSHOTS_KEPT; i++)
            log->snapshots[i - 1] = log->snapshots[i];
        log->snapshot_count--;
    }
    log->snapshots[log->snapshot_count++] = offset;
}

static void on_saved(struct rl_op *op)
{
    struct save *save = op->arg;
    struct rl_log *log = save->log;
    struct rl_log_hot *hot = log->hot;

    hot->save_busy = false;
    log->busy--;
    if (save->segment_base >= 0)
        note_index_saved(save);
    if (op->status != RL_OK)
        RL_WARN_EVERY(10, "log", "%s-%d: index, snapshot or checkpoint not saved: %s", log->topic,
                      log->partition, rl_status_text(op->status));
    else if (save->snapshot.bytes > 0)
        note_snapshot_saved(log, save->snapshot_offset);
    /* After a failure, too: the next attempt comes with the next 64 MiB or the next roll. */
    hot->bytes_since_save -= RL_MIN(save->bytes, hot->bytes_since_save);
    if (save->expired != NULL)
        rl_expired_delete_later(save->expired, log, op->status);
    if (save->final)
        hot->close_saved = true;
    if (save->trimmed)
        rl_trim_answer(log, save->start_offset, op->status);
    rl_text_done(&save->index);
    rl_text_done(&save->times);
    rl_text_done(&save->snapshot);
    rl_text_done(&save->checkpoint);
    rl_text_done(&save->epochs);
    rl_free(save);
    rl_log_mark_dirty(log);
}

/* ---- what to save ---- */

static void add_index(struct save *save, const struct rl_segment *seg, bool sealed)
{
    const struct rl_index_memory *index = seg->index;

    save->segment_base = seg->base_offset;
    save->segment_bytes = seg->written_bytes;
    save->sealed = sealed;
    save->index_at = seg->index_entries;
    save->time_at = seg->time_entries;
    if (index == NULL)
        return;
    save->index_count = index->entry_count;
    save->time_count = index->time_count;
    size_t index_bytes = (size_t)index->entry_count * RL_INDEX_ENTRY_BYTES;
    size_t time_bytes = (size_t)index->time_count * RL_TIME_ENTRY_BYTES;
    rl_index_encode(index->entries, index->entry_count,
                    (uint8_t *)rl_text_reserve(&save->index, index_bytes));
    rl_time_encode(index->times, index->time_count,
                   (uint8_t *)rl_text_reserve(&save->times, time_bytes));
    save->index.bytes = index_bytes;
    save->times.bytes = time_bytes;
}

/* Where an offset that ends a sync or a save lies. */
static struct rl_log_point point_of(const struct rl_log *log, int64_t offset, bool synced)
{
    const struct rl_segment *seg = &log->segments[rl_log_segment_at(log, offset)];

    uint32_t pos = synced ? seg->synced_bytes : seg->written_bytes;

    if (offset == seg->base_offset)
        return (struct rl_log_point){ offset, 0 };
    RL_ASSERT(pos > 0);
    return (struct rl_log_point){ offset, pos };
}

/* saved_offset: the end of what index files and snapshot cover after this save; a segment's base
 * or the written offset. */
static void add_checkpoint(struct save *save, const struct rl_log *log, int64_t saved_offset)
{
    struct rl_checkpoint checkpoint = {
        .start_offset = log->start_offset,
        .recovery = point_of(log, log->flushed_offset, true),
        .saved = point_of(log, saved_offset, false),
        .epochs = log->epochs,
        .segments = rl_alloc(log->segment_count * sizeof(struct rl_segment)),
        .segment_count = log->segment_count,
        .append_times = log->append_times,
    };

    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct rl_segment *seg = &checkpoint.segments[i];
        *seg = log->segments[i];
        seg->size_bytes = seg->written_bytes;
        if (seg->base_offset == save->segment_base) {
            seg->index_entries += save->index_count;
            seg->time_entries += save->time_count;
        }
    }
    rl_checkpoint_encode(&checkpoint, &save->checkpoint);
    rl_epoch_file_encode(&log->epochs, &save->epochs);
    rl_free(checkpoint.segments);
}

static void submit(struct save *save)
{
    struct rl_log *log = save->log;

    log->hot->save_busy = true;
    log->busy++;
    save->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_save, .done = on_saved,
                               .arg = save };
    rl_submit(log->manager->shard, &save->op);
}

/* The first sealed segment whose index is not yet in its files. */
static uint32_t first_unsaved(const struct rl_log *log)
{
    uint32_t i = log->segment_count - 1;

    while (i > 0 && (log->segments[i - 1].flags & RL_SEGMENT_INDEX_SAVED) == 0)
        i--;
    return i;
}

static struct save *begin(struct rl_log *log)
{
    struct save *save = rl_alloc_zero(1, sizeof *save);

    save->log = log;
    save->segment_base = -1;
    save->snapshot_expired = log->snapshot_count == RL_SNAPSHOTS_KEPT ? log->snapshots[0] : -1;
    save->bytes = log->hot->bytes_since_save;
    return save;
}

/* The end of what index files cover without the active segment's entries in memory. */
static int64_t saved_end(const struct rl_log *log)
{
    return log->segments[first_unsaved(log)].base_offset;
}

/* By this process, or by one before that was killed. */
static bool may_be_reserved(const struct rl_log *log, const struct rl_segment *seg)
{
    return seg->written_bytes >= RL_LOG_RESERVE_FROM_BYTES || rl_log_config_of(log)->preallocate;
}

static void save_sealed(struct rl_log *log, uint32_t i)
{
    struct rl_log_hot *hot = log->hot;
    struct save *save = begin(log);
    int64_t end_offset = rl_log_segment_end(log, i);

    add_index(save, &log->segments[i], true);
    save->reserved = may_be_reserved(log, &log->segments[i]);
    if (hot->snapshot.bytes > 0 && hot->snapshot_offset == end_offset) {
        save->snapshot = hot->snapshot;
        save->snapshot_offset = end_offset;
        hot->snapshot = (struct rl_text){ 0 };
    }
    add_checkpoint(save, log, end_offset);
    submit(save);
}

static void save_active(struct rl_log *log, bool final)
{
    struct save *save = begin(log);
    struct rl_segment *seg = rl_log_active(log);

    if (seg->max_timestamp_ms >= 0)
        rl_index_note_last_time(rl_log_index_of(seg), seg->max_timestamp_ms,
                                (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    add_index(save, seg, false);
    rl_snapshot_encode(log->producers, log->written_offset, &save->snapshot);
    save->snapshot_offset = log->written_offset;
    if (log->snapshot_count > 0 && log->snapshots[log->snapshot_count - 1] == log->written_offset)
        save->snapshot_expired = -1;
    save->final = final;
    save->reserved = final && may_be_reserved(log, seg);
    add_checkpoint(save, log, log->written_offset);
    submit(save);
}

static void save_deletions(struct rl_log *log)
{
    struct save *save = begin(log);

    save->bytes = 0;
    save->expired = rl_expired_take(log);
    save->trimmed = rl_trim_is_due(log);
    save->start_offset = log->start_offset;
    add_checkpoint(save, log, saved_end(log));
    submit(save);
}

void rl_save_advance(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;

    if (hot->save_busy || hot->reserve_busy)    /* a reservation must not follow its return */
        return;
    uint32_t i = first_unsaved(log);
    struct rl_segment *seg = &log->segments[i];
    if ((hot->expired != NULL && !hot->deletions_wait) || rl_trim_is_due(log))
        save_deletions(log);
    else if (i + 1 < log->segment_count && seg->synced_bytes == seg->size_bytes)
        save_sealed(log, i);
    else if (hot->bytes_since_save >= log->manager->save_bytes && i + 1 == log->segment_count &&
             hot->unwritten == 0)
        save_active(log, false);
    else if (hot->close_clean && log->closing && !hot->close_saved && i + 1 == log->segment_count &&
             log->flushed_offset == log->end_offset)
        save_active(log, true);
}

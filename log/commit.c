/* log/commit.c — from written to flushed: syncs, and the only place where flushed_offset rises.
 *
 * One commit in flight per log.  Segments are synced in order, and a segment that was created
 * needs its directory synced before anything in it counts, so flushed_offset is always a prefix
 * of the log.  A sealed segment is synced without being asked, so that what is behind it is all
 * that a restart has to look at.  Everybody who waits shares the next sync (group commit).
 * Failures: a sync is never retried.  The log fails; a mark in its directory makes the next open copy
 * what the device has into new files (rebuild.c) before it counts. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/recovery.h"
#include <stdio.h>

/* ---- the mark of a failed sync ---- */

struct mark {
    struct rl_op op;
    struct rl_log *log;
};

static void run_mark(struct rl_op *op)
{
    struct rl_log *log = ((struct mark *)op->arg)->log;
    char directory[RL_PATH_BYTES];

    (void)rl_log_directory_doubt(rl_log_disk(log), log->manager->data_dir);
    rl_log_directory(log, directory);
    op->status = rl_recovery_mark_sync_failed(rl_log_disk(log), directory);
}

static void on_marked(struct rl_op *op)
{
    struct mark *mark = op->arg;
    struct rl_log *log = mark->log;

    if (op->status != RL_OK)
        RL_ERROR("log", "%s-%d: the mark of a failed sync could not be written: %s", log->topic,
                 log->partition, rl_status_text(op->status));
    log->busy--;
    rl_log_mark_dirty(log);
    rl_free(mark);
}

static void start_mark(struct rl_log *log)
{
    struct mark *mark = rl_alloc_zero(1, sizeof *mark);

    mark->log = log;
    mark->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_mark, .done = on_marked,
                               .arg = mark };
    log->busy++;
    rl_submit(log->manager->shard, &mark->op);
}

/* ---- the commit ---- */

static void run_with_directory(struct rl_op *op)
{
    struct rl_log *log = op->arg;
    char directory[RL_PATH_BYTES];

    rl_log_directory(log, directory);
    op->status = rl_disk_sync_directory(rl_log_disk(log), directory);
    if (op->status == RL_OK)
        op->status = rl_disk_sync(rl_log_disk(log), op->fd);
}

static void on_committed(struct rl_op *op)
{
    struct rl_log *log = op->arg;
    struct rl_log_hot *hot = log->hot;

    rl_segment_unpin(hot->commit_file);
    hot->commit_file = NULL;
    hot->commit_busy = false;
    log->busy--;
    rl_log_mark_dirty(log);
    struct rl_segment *seg = rl_log_segment_find(log, hot->commit_segment_base);
    if (op->status == RL_EMFILE) {      /* of the directory, and nothing was synced yet */
        hot->directory_dirty = true;
        rl_log_hold_up(log);
        return;
    }
    if (op->status != RL_OK && seg == NULL) {
        /* Retention took it: what is gone need not be synced.  Other names may have waited with it. */
        hot->directory_dirty |= hot->directory_committing;
        return;
    }
    if (op->status != RL_OK) {
        RL_ERROR("log", "%s-%d: sync failed: %s; records from offset %lld on are not on stable "
                 "storage", log->topic, log->partition, rl_status_text(op->status),
                 (long long)log->flushed_offset);
        hot->sync_failed = true;
        start_mark(log);
        rl_log_fail(log, RL_EIO);
        return;
    }
    if (seg != NULL)
        seg->synced_bytes = hot->commit_bytes;
    if (hot->commit_offset > log->flushed_offset) {
        log->flushed_offset = hot->commit_offset;
        hot->tell_flushed = true;
    }
}

/* The sync has to reach the device: not one more than needed, not one out of order. */
static bool is_due(const struct rl_log *log, uint32_t i)
{
    const struct rl_segment *seg = &log->segments[i];

    if (seg->synced_bytes == seg->written_bytes)
        return false;
    if (i + 1 < log->segment_count)
        return seg->written_bytes == seg->size_bytes;
    return log->hot->flush_wanted_offset > log->flushed_offset;
}

void rl_commit_advance(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;
    uint32_t i = rl_log_segment_at(log, log->flushed_offset);

    if (hot->commit_busy || hot->held_up || !is_due(log, i))
        return;
    struct rl_segment *seg = &log->segments[i];
    rl_status status = rl_segment_open(log, seg, i + 1 == log->segment_count);
    if (status == RL_EMFILE) {
        rl_log_hold_up(log);
        return;
    }
    if (status != RL_OK) {
        RL_ERROR("log", "%s-%d: cannot open a segment to sync it: %s", log->topic, log->partition,
                 rl_status_text(status));
        rl_log_fail(log, RL_EIO);
        return;
    }
    hot->commit_file = rl_segment_pin(seg);
    hot->commit_segment_base = seg->base_offset;
    hot->commit_bytes = seg->written_bytes;
    hot->commit_offset =
        i + 1 < log->segment_count ? rl_log_segment_end(log, i) : log->written_offset;
    hot->commit_op = (struct rl_op){ .kind = RL_OP_SYNC, .fd = seg->file->fd, .done = on_committed,
                                     .arg = log };
    hot->directory_committing = hot->directory_dirty;
    if (hot->directory_dirty) {
        hot->directory_dirty = false;
        hot->commit_op.kind = RL_OP_JOB;
        hot->commit_op.job.run = run_with_directory;
    }
    hot->commit_busy = true;
    log->busy++;
    rl_submit(log->manager->shard, &hot->commit_op);
}

void rl_log_flush(struct rl_log *log)
{
    RL_OBJ(log, LOG);
    if (log->flushed_offset == log->end_offset || log->failure != RL_OK)
        return;
    rl_log_heat(log)->flush_wanted_offset = log->end_offset;
    log->hot->messages_since_flush = 0;
    rl_log_mark_dirty(log);
}

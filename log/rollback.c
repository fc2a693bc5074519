/* log/rollback.c — after a failed write: bring files and state back to what was written.
 *
 * The same recovery as at open, on the same files, with a cut at the written offset: it truncates
 * a partial write, removes segments that came too early, and gives indexes, epochs and producer
 * windows as they were.  Then a log that only lacked space waits for some (free_space.c), and one whose
 * file system was read-only, and is no more, goes on; reads went on all the time.  A start that found
 * no space for its checkpoint comes here, too, when there is some.
 * Failures: the log stays failed until it is opened again. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/recovery.h"
#include "log/retention.h"
#include <string.h>

struct rollback {
    struct rl_op op;
    struct rl_log *log;
    struct rl_recovery recovery;
    char directory[RL_PATH_BYTES];
};

static void run_rollback(struct rl_op *op)
{
    struct rollback *rollback = op->arg;

    op->status = rl_recovery_run(&rollback->recovery);
}

/* Flushed is what it was: a rollback only takes back what was not even written. */
static void keep_flushed(struct rl_log *log, int64_t segment_base, uint32_t synced_bytes)
{
    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct rl_segment *seg = &log->segments[i];
        if (seg->base_offset < segment_base)
            seg->synced_bytes = seg->written_bytes;
        else
            seg->synced_bytes = seg->base_offset == segment_base ? synced_bytes : 0;
    }
}

static void adopt(struct rl_log *log, struct rl_recovery *recovery)
{
    const struct rl_segment *seg = &log->segments[rl_log_segment_at(log, log->flushed_offset)];
    int64_t segment_base = seg->base_offset;
    uint32_t synced_bytes = seg->synced_bytes;

    rl_segments_free(log->segments, log->segment_count);
    rl_epoch_cache_done(&log->epochs);
    rl_producer_state_lose(&recovery->producers, rl_shard_random(log->manager->shard), log->producers,
                           log->written_offset, log->written_offset);
    rl_producer_state_free(log->producers);
    log->segments = recovery->segments;
    log->segment_count = log->segment_capacity = recovery->segment_count;
    log->epochs = recovery->epochs;
    rl_append_times_done(&recovery->append_times);      /* we know better */
    log->producers = recovery->producers;
    memcpy(log->snapshots, recovery->snapshots, sizeof log->snapshots);
    log->snapshot_count = recovery->snapshot_count;
    memset(log->hot->hints, 0, sizeof log->hot->hints);
    rl_text_clear(&log->hot->snapshot);
    log->checkpoint_due = recovery->no_space;
    log->hot->changed = true;
    log->hot->directory_dirty = true;
    keep_flushed(log, segment_base, synced_bytes);
    rl_retention_again(log);
}

static void on_rolled_back(struct rl_op *op)
{
    struct rollback *rollback = op->arg;
    struct rl_log *log = rollback->log;

    log->busy--;
    log->hot->rollback_busy = false;
    rl_log_mark_dirty(log);
    if (op->status == RL_OK && rollback->recovery.end_offset != log->written_offset) {
        rl_recovery_done(&rollback->recovery);
        op->status = RL_ECORRUPT;
    }
    if (op->status == RL_OK) {
        adopt(log, &rollback->recovery);
        if (log->checkpoint_due && log->failure != RL_EIO)
            log->failure = RL_ENOSPACE;
        if (log->failure == RL_ENOSPACE)
            rl_log_wait_for_space(log);
        else if (log->failure == RL_EREADONLY)
            log->failure = RL_OK;       /* it could be cut: no longer so */
    } else if (op->status == RL_EREADONLY && log->failure == RL_EREADONLY) {
        rl_log_retry_rollback(log);
    } else {
        RL_ERROR("log", "%s-%d: could not take back a failed write: %s", log->topic,
                 log->partition, rl_status_text(op->status));
        log->failure = RL_EIO;
        log->hot->tell_failed = true;   /* once more: this does not heal by itself */
    }
    rl_free(rollback);
}

void rl_rollback_start(struct rl_log *log)
{
    struct rl_shard *shard = log->manager->shard;
    struct rollback *rollback = rl_alloc_zero(1, sizeof *rollback);

    log->hot->rollback_due = false;
    log->hot->rollback_busy = true;
    log->busy++;
    rl_log_directory(log, rollback->directory);
    rollback->log = log;
    rollback->recovery = (struct rl_recovery){
        .disk = shard->disk, .directory = rollback->directory, .topic_id = log->topic_id,
        .same_mount = true, .cut_offset = log->written_offset,
        .index_interval_bytes = rl_log_config_of(log)->index_interval_bytes,
        .wall_ms = shard->wall_ms,
        .producer_id_expiration_ms = log->manager->producer_id_expiration_ms,
        .seed = rl_shard_random(shard),
    };
    rollback->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_rollback,
                                   .done = on_rolled_back, .arg = rollback };
    rl_submit(shard, &rollback->op);
}

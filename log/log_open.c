/* log/log_open.c — a log comes to life: recovery on a helper, then a struct on its shard.
 *
 * The happy path: one job (recovery.c), then done with the log.  What was written but is not
 * known to be on the device is synced some time later, so flushed catches up with the end.
 * Failures: done with a status and no log; nothing is held. */
#include "log/log_internal.h"
#include "core/memory.h"
#include "log/recovery.h"
#include <string.h>

#define FLUSH_LATER_NS ((int64_t)30 * 1000000000)

struct open {
    struct rl_op op;
    struct rl_shard *shard;
    struct rl_log *log;
    struct rl_recovery recovery;
    void (*done)(void *arg, rl_status status, struct rl_log *log);
    void *arg;
};

static void run_open(struct rl_op *op)
{
    struct open *open = op->arg;
    char directory[RL_PATH_BYTES];      /* here: thousands of logs may be on their way at once */

    rl_log_directory(open->log, directory);
    open->recovery.directory = directory;
    op->status = rl_recovery_run(&open->recovery);
}

/* What a killed process had written is in the page cache, and nobody was promised more for it: to
 * sync it now would take the disk from those who wait for this start. */
static void flush_later(struct rl_log *log)
{
    struct rl_shard *shard = log->manager->shard;
    int64_t spread_ns = (int64_t)(rl_shard_random(shard) % (uint64_t)FLUSH_LATER_NS);

    if (log->flushed_offset < log->end_offset)
        rl_timer_start(shard, &rl_log_heat(log)->flush_timer,
                       shard->now_ns + FLUSH_LATER_NS + spread_ns);
}

static void adopt(struct rl_log *log, const struct rl_recovery *recovery)
{
    log->start_offset = recovery->start_offset;
    log->end_offset = log->written_offset = recovery->end_offset;
    log->flushed_offset = recovery->flushed_offset;
    log->segments = recovery->segments;
    log->segment_count = log->segment_capacity = recovery->segment_count;
    log->epochs = recovery->epochs;
    log->append_times = recovery->append_times;
    log->producers = recovery->producers;
    memcpy(log->snapshots, recovery->snapshots, sizeof log->snapshots);
    log->snapshot_count = recovery->snapshot_count;
    log->rebuilt = recovery->rebuilt;
    if (recovery->no_space) {           /* reads go on; rollback.c tries again when there is some */
        log->checkpoint_due = true;
        log->failure = RL_ENOSPACE;
        rl_log_heat(log);
        rl_log_wait_for_space(log);
    }
    if (recovery->changed) {
        rl_log_heat(log)->changed = true;
        log->hot->directory_dirty = true;
    }
    flush_later(log);
}

static void on_opened(struct rl_op *op)
{
    struct open *open = op->arg;
    struct rl_log *log = open->log;
    rl_status status = op->status;

    if (status == RL_OK) {
        adopt(log, &open->recovery);
    } else {
        if (status != RL_ENOTFOUND)     /* there is something, and nobody knows what is true of it */
            log->manager->unsound = true;
        rl_log_free(log);
        log = NULL;
    }
    void (*done)(void *, rl_status, struct rl_log *) = open->done;
    void *arg = open->arg;
    rl_free(open);
    done(arg, status, log);
}

struct rl_log_start rl_log_start_again(const struct rl_log *log)
{
    const struct rl_segment *seg = &log->segments[rl_log_segment_at(log, log->flushed_offset)];

    RL_OBJ(log, LOG);
    return (struct rl_log_start){ .sync_failed = log->hot != NULL && log->hot->sync_failed, .flushed = {
        .offset = log->flushed_offset, .segment_base = seg->base_offset,
        .pos = seg->base_offset == log->flushed_offset ? 0 : seg->synced_bytes } };
}

void rl_log_open(struct rl_shard *shard, const struct rl_log_identity *identity,
                 const struct rl_log_config *config, struct rl_log_start start,
                 const struct rl_log_events *events, void *events_arg,
                 void (*done)(void *arg, rl_status status, struct rl_log *log), void *arg)
{
    struct rl_log_manager *manager = rl_log_manager_of(shard);
    struct rl_log *log = rl_alloc_zero(1, sizeof *log);
    struct open *open = rl_alloc_zero(1, sizeof *open);

    log->magic = RL_LOG_MAGIC;
    log->manager = manager;
    log->topic = identity->topic;
    log->topic_id = identity->topic_id;
    log->partition = identity->partition;
    log->config = rl_log_config_take(manager, config);
    /* A killed process may have made files, in a checkpoint perhaps, without syncing the directory. */
    log->names_doubted = !start.clean;
    log->events = events;
    log->events_arg = events_arg;
    manager->log_count++;
    rl_list_push_front(&manager->logs, &log->in_manager);
    open->shard = shard;
    open->log = log;
    open->done = done;
    open->arg = arg;
    open->recovery = (struct rl_recovery){
        .disk = shard->disk, .topic_id = identity->topic_id,
        .same_mount = start.same_mount, .flushed = start.flushed,
        .sync_failed = start.sync_failed, .cut_offset = INT64_MAX,
        .leader_epoch_known = start.leader_epoch_known, .leader_epoch = start.leader_epoch,
        .index_interval_bytes = config->index_interval_bytes, .wall_ms = shard->wall_ms,
        .producer_id_expiration_ms = manager->producer_id_expiration_ms,
        .seed = rl_shard_random(shard),
    };
    open->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_open, .done = on_opened,
                               .arg = open };
    rl_submit(shard, &open->op);
}

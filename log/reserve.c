/* log/reserve.c — space reserved ahead of a segment that grows.
 *
 * Writing into reserved space costs a quarter less than appending: the file system need not find
 * room for each page, and a sync of some other file need not write this one's data out first
 * (ext4 orders the data of newly allocated blocks before the transaction that names them).
 *
 * Happy path: from its first MiB on, a segment has as much again reserved as it holds, at most
 * ringlog.log.reserve.bytes, by a job that nobody waits for.  The file's size stays what was
 * written.  What is left over is given back when the segment is sealed or its log closed
 * (save.c); after a kill the next appends use it.
 * Failures: all harmless.  Little free space, or a file system that cannot: the segment goes on
 * without. */
#include "core/memory.h"
#include "log/log_internal.h"

/* The disk must have this many times what is asked for: a reservation never fills it. */
#define FREE_TIMES 16

struct reserve {
    struct rl_op op;
    struct rl_log *log;
    struct rl_segment_file *file;
    int64_t segment_base;
    uint32_t pos, end_pos;
};

static void run_reserve(struct rl_op *op)
{
    struct reserve *reserve = op->arg;
    struct rl_log_manager *manager = reserve->log->manager;
    struct rl_disk *disk = manager->shard->disk;
    uint64_t bytes = reserve->end_pos - reserve->pos, free_bytes, total_bytes;

    op->status = rl_disk_free_bytes(disk, manager->data_dir, &free_bytes, &total_bytes);
    if (op->status == RL_OK &&
        (free_bytes / FREE_TIMES < bytes || free_bytes - bytes < manager->min_free_bytes))
        op->status = RL_ENOSPACE;
    if (op->status == RL_OK)
        op->status = rl_disk_allocate(disk, reserve->file->fd, reserve->pos, bytes);
}

static void on_reserved(struct rl_op *op)
{
    struct reserve *reserve = op->arg;
    struct rl_log *log = reserve->log;
    struct rl_log_hot *hot = log->hot;

    rl_segment_unpin(reserve->file);
    hot->reserve_busy = false;
    log->busy--;
    if (hot->reserved_base == reserve->segment_base) {
        hot->reserve_refused = op->status != RL_OK;
        hot->reserved_pos = reserve->end_pos;
    }
    rl_free(reserve);
    rl_log_mark_dirty(log);             /* others may wait for us */
}

static void reserve_start(struct rl_log *log, struct rl_segment *seg, uint32_t pos, uint32_t end_pos)
{
    struct reserve *reserve = rl_alloc_zero(1, sizeof *reserve);

    reserve->log = log;
    reserve->file = rl_segment_pin(seg);
    reserve->segment_base = seg->base_offset;
    reserve->pos = pos;
    reserve->end_pos = end_pos;
    reserve->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_reserve, .done = on_reserved,
                                  .arg = reserve };
    log->hot->reserve_busy = true;
    log->busy++;
    rl_submit(log->manager->shard, &reserve->op);
}

void rl_reserve_advance(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;
    struct rl_segment *seg = rl_log_active(log);

    if (seg->written_bytes < RL_LOG_RESERVE_FROM_BYTES || hot->reserve_busy || log->closing ||
        seg->file == NULL || !seg->file->writable || rl_log_config_of(log)->preallocate)
        return;
    if (hot->reserved_base != seg->base_offset || hot->reserved_pos == 0) {
        hot->reserved_base = seg->base_offset;
        hot->reserved_pos = 0;
        hot->reserve_refused = false;
    }
    uint32_t ahead_bytes = (uint32_t)RL_MIN((uint64_t)seg->written_bytes, log->manager->reserve_bytes);
    uint32_t pos = RL_MAX(hot->reserved_pos, seg->written_bytes);
    uint32_t end_pos = (uint32_t)RL_MIN((uint64_t)seg->written_bytes + ahead_bytes,
                                        (uint64_t)rl_log_config_of(log)->segment_bytes);
    if (hot->reserve_refused || end_pos <= pos || pos - seg->written_bytes > ahead_bytes / 2)
        return;
    reserve_start(log, seg, pos, end_pos);
}

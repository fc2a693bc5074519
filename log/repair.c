/* log/repair.c — an index that does not fit its log is walked around, then made again.
 *
 * The segment is marked, so that reads begin at its start; for a sealed one a job walks the log
 * and replaces both files.  Failures: the mark stays, reads stay slow and right. */
#include "log/repair.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/log_internal.h"

struct repair {
    struct rl_op op;
    struct rl_log *log;
    struct rl_segment_file *file;
    struct rl_segment result;
    uint32_t end_pos;
    int32_t interval_bytes;
};

rl_status rl_index_store(struct rl_disk *disk, const char *directory, struct rl_segment *seg)
{
    struct rl_index_memory *index = seg->index;
    char path[RL_PATH_BYTES];
    uint8_t *bytes;

    if (index == NULL)
        return RL_OK;
    bytes = rl_alloc((size_t)index->entry_count * RL_INDEX_ENTRY_BYTES +
                     (size_t)index->time_count * RL_TIME_ENTRY_BYTES + 1);
    rl_index_encode(index->entries, index->entry_count, bytes);
    rl_segment_path(directory, seg->base_offset, ".index", path);
    rl_status status = rl_side_file_extend(
        disk, path, (uint64_t)seg->index_entries * RL_INDEX_ENTRY_BYTES,
        rl_slice_of(bytes, (size_t)index->entry_count * RL_INDEX_ENTRY_BYTES), false);
    if (status == RL_OK) {
        rl_time_encode(index->times, index->time_count, bytes);
        rl_segment_path(directory, seg->base_offset, ".timeindex", path);
        status = rl_side_file_extend(
            disk, path, (uint64_t)seg->time_entries * RL_TIME_ENTRY_BYTES,
            rl_slice_of(bytes, (size_t)index->time_count * RL_TIME_ENTRY_BYTES), false);
    }
    rl_free(bytes);
    if (status != RL_OK)
        return status;
    seg->index_entries += index->entry_count;
    seg->time_entries += index->time_count;
    rl_index_memory_free(index);
    seg->index = NULL;
    return RL_OK;
}

struct rebuild {
    struct rl_segment *seg;
    int32_t interval_bytes;
};

static rl_status note_batch(void *arg, const struct rl_batch *batch, uint32_t pos)
{
    struct rebuild *rebuild = arg;
    struct rl_segment *seg = rebuild->seg;
    int64_t last_offset = rl_batch_last_offset(batch);

    if (batch->max_timestamp_ms > seg->max_timestamp_ms) {
        seg->max_timestamp_ms = batch->max_timestamp_ms;
        seg->max_timestamp_offset = last_offset;
    }
    rl_index_note(seg->index, rebuild->interval_bytes, (uint32_t)(last_offset - seg->base_offset),
                  pos, (uint32_t)batch->size_bytes, seg->max_timestamp_ms,
                  (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    return RL_OK;
}

rl_status rl_index_rebuild(struct rl_disk *disk, const char *directory, int fd, uint32_t end_pos,
                           int32_t interval_bytes, struct rl_segment *seg)
{
    struct rebuild rebuild = { seg, interval_bytes };
    struct rl_segment_walk walk = { .disk = disk, .fd = fd, .end_pos = end_pos,
                                    .next_offset = seg->base_offset, .crc_from_pos = end_pos };

    seg->index = rl_index_memory_create();
    seg->index_entries = seg->time_entries = 0;
    seg->max_timestamp_ms = INT64_MIN;
    rl_status status = rl_segment_walk(&walk, note_batch, &rebuild);
    if (status == RL_OK && seg->max_timestamp_ms >= 0)
        rl_index_note_last_time(seg->index, seg->max_timestamp_ms,
                                (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    if (status == RL_OK)
        status = rl_index_store(disk, directory, seg);
    rl_index_memory_free(seg->index);
    seg->index = NULL;
    return status;
}

static void run_repair(struct rl_op *op)
{
    struct repair *repair = op->arg;
    char directory[RL_PATH_BYTES];

    rl_log_directory(repair->log, directory);
    op->status = rl_index_rebuild(rl_log_disk(repair->log), directory, repair->file->fd,
                                  repair->end_pos, repair->interval_bytes, &repair->result);
}

static void on_repaired(struct rl_op *op)
{
    struct repair *repair = op->arg;
    struct rl_log *log = repair->log;
    struct rl_segment *seg = rl_log_segment_find(log, repair->result.base_offset);

    rl_segment_unpin(repair->file);
    log->busy--;
    rl_log_mark_dirty(log);
    if (seg != NULL && op->status == RL_OK) {
        seg->index_entries = repair->result.index_entries;
        seg->time_entries = repair->result.time_entries;
        seg->flags &= ~(uint32_t)RL_SEGMENT_INDEX_DAMAGED;
        log->hot->changed = true;
    } else if (seg != NULL && op->status == RL_ECORRUPT) {
        /* It was the log, not its index, which still leads behind the damaged place. */
        seg->flags &= ~(uint32_t)RL_SEGMENT_INDEX_DAMAGED;
        seg->flags |= RL_SEGMENT_LOG_DAMAGED;
    }
    rl_free(repair);
}

void rl_repair_index(struct rl_log *log, int64_t segment_base)
{
    struct rl_segment *seg = rl_log_segment_find(log, segment_base);

    if (seg == NULL || (seg->flags & (RL_SEGMENT_INDEX_DAMAGED | RL_SEGMENT_LOG_DAMAGED)) != 0)
        return;
    seg->flags |= RL_SEGMENT_INDEX_DAMAGED;
    RL_WARN("log", "%s-%d: index of segment %020lld does not fit its log, it is rebuilt",
            log->topic, log->partition, (long long)segment_base);
    if ((seg->flags & RL_SEGMENT_INDEX_SAVED) == 0 || log->closing)
        return;                         /* rebuilt once it is sealed (save.c) */
    if (rl_segment_open(log, seg, false) != RL_OK)
        return;
    struct repair *repair = rl_alloc_zero(1, sizeof *repair);
    rl_log_heat(log);
    repair->log = log;
    repair->file = rl_segment_pin(seg);
    repair->result.base_offset = segment_base;
    repair->end_pos = seg->written_bytes;
    repair->interval_bytes = rl_log_config_of(log)->index_interval_bytes;
    repair->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_repair, .done = on_repaired,
                                 .arg = repair };
    log->busy++;
    rl_submit(log->manager->shard, &repair->op);
}

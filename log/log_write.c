/* log/log_write.c — the one place where batches reach their files.
 *
 * At the end of a turn everything queued goes out in one vectored write per segment (page cache,
 * inline).  A segment that was just begun has no file yet: its batches wait for the job that
 * creates it.
 * Failures: whatever part of the write arrived is forgotten: the log fails, its end goes back to
 * the written offset, and rollback.c brings files and state in line. */
#include "log/log_internal.h"
#include "core/logger.h"

enum { IOV_COUNT_MAX = 512 };

/* Collect runs of one segment from run i on. */
static uint32_t gather(const struct rl_log_hot *hot, uint32_t i, struct iovec *iov, size_t *ret_bytes)
{
    int64_t segment_base = rl_tail_run_at(hot, i)->segment_base;
    uint32_t count = 0;

    *ret_bytes = 0;
    for (; i < hot->run_count && count < IOV_COUNT_MAX; i++, count++) {
        struct rl_tail_run *run = rl_tail_run_at(hot, i);
        if (run->segment_base != segment_base)
            break;
        iov[count].iov_base = run->data + run->written_bytes;
        iov[count].iov_len = run->bytes - run->written_bytes;
        *ret_bytes += iov[count].iov_len;
    }
    return count;
}

static rl_status write_some(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;
    uint32_t first = hot->run_count - hot->unwritten;
    struct rl_segment *seg = rl_log_segment_find(log, rl_tail_run_at(hot, first)->segment_base);
    struct iovec iov[IOV_COUNT_MAX];
    size_t bytes, wrote;

    RL_ASSERT(seg != NULL);
    if ((seg->flags & RL_SEGMENT_EXISTS) == 0)
        return RL_EBUSY;
    rl_status status = rl_segment_open(log, seg, true);
    if (status != RL_OK)
        return status;
    uint32_t count = gather(hot, first, iov, &bytes);
    RL_ASSERT(rl_tail_run_at(hot, first)->pos + rl_tail_run_at(hot, first)->written_bytes ==
              seg->written_bytes);
    status = rl_disk_write(rl_log_disk(log), seg->file->fd, seg->written_bytes, iov, (int)count,
                           &wrote);
    if (status != RL_OK)
        return status;

    for (uint32_t i = first; i < first + count; i++)
        rl_tail_run_at(hot, i)->written_bytes = rl_tail_run_at(hot, i)->bytes;
    hot->unwritten -= count;
    seg->written_bytes += (uint32_t)bytes;
    hot->bytes_since_save += bytes;
    if (rl_append_times_is_due(&log->append_times, log->manager->shard->wall_ms))
        rl_append_times_note(&log->append_times, log->written_offset, log->manager->shard->wall_ms,
                             log->start_offset);
    log->written_offset = rl_tail_run_at(hot, first + count - 1)->end_offset;
    hot->tell_written = true;
    return RL_OK;
}

void rl_log_write(struct rl_log *log)
{
    if (log->failure != RL_OK || log->hot->held_up)
        return;
    while (log->hot->unwritten > 0) {
        rl_status status = write_some(log);
        if (status == RL_EBUSY)
            return;
        if (status == RL_EMFILE) {
            rl_log_hold_up(log);
            return;
        }
        if (status != RL_OK) {
            RL_ERROR_EVERY(1, "log", "%s-%d: write failed: %s; taken back to offset %lld",
                           log->topic, log->partition, rl_status_text(status),
                           (long long)log->written_offset);
            log->hot->rollback_due = true;
            rl_log_fail(log, rl_log_failure_of(status));
            return;
        }
    }
}

/* log/trim.c — the log start is raised on demand (DeleteRecords).
 *
 * Happy path: once everything below the new start is on stable storage (what is gone must not be
 * missed by a recovery), the start rises, whole segments below it leave as retention's do, a
 * checkpoint with the new start is saved and synced, and the caller is answered: no power cut
 * brings the records back.
 * Failures: a log that fails or closes answers everybody who waits; whether the start has risen is
 * then not known, as with any request that fails halfway. */
#include "core/logger.h"
#include "log/log_internal.h"
#include "log/retention.h"

void rl_log_trim(struct rl_log *log, struct rl_log_trim *trim)
{
    RL_OBJ(log, LOG);
    RL_ASSERT(trim->offset <= log->written_offset);
    rl_list_push_back(&rl_log_heat(log)->trims, &trim->link);
    log->hot->deletions_wait = false;
    if (trim->offset > log->flushed_offset)
        rl_log_flush(log);
    rl_log_mark_dirty(log);
}

void rl_trim_advance(struct rl_log *log)
{
    int64_t start_offset = log->start_offset;

    RL_LIST_EACH(link, &log->hot->trims) {
        const struct rl_log_trim *trim = RL_LIST_ENTRY(link, struct rl_log_trim, link);
        if (trim->offset <= log->flushed_offset)
            start_offset = RL_MAX(start_offset, trim->offset);
    }
    if (start_offset == log->start_offset)
        return;
    log->start_offset = start_offset;
    rl_retention_drop(log, rl_retention_below_start(log));
    RL_INFO("log", "%s-%d: records were deleted on demand, log start is %lld", log->topic,
            log->partition, (long long)start_offset);
}

bool rl_trim_is_due(const struct rl_log *log)
{
    RL_LIST_EACH(link, &log->hot->trims)
        if (RL_LIST_ENTRY(link, struct rl_log_trim, link)->offset <= log->start_offset)
            return true;
    return false;
}

void rl_trim_answer(struct rl_log *log, int64_t start_offset, rl_status status)
{
    RL_LIST_EACH_SAFE(link, &log->hot->trims) {
        struct rl_log_trim *trim = RL_LIST_ENTRY(link, struct rl_log_trim, link);
        if (trim->offset > start_offset)
            continue;
        rl_list_remove(link);
        trim->status = status;
        trim->ret_log_start_offset = log->start_offset;
        trim->done(trim);
    }
}

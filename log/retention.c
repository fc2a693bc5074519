/* log/retention.c — delete old segments by age and by size; roll by age.
 *
 * Kafka's rules: whole segments only, oldest first, never past upper_offset; age is that of the
 * largest record timestamp, not of the file; by size, a segment goes while what remains is
 * still at least retention.bytes.
 * Failures: files that cannot be renamed wait for the next round; those that cannot be removed are
 * left, and the next open removes segments below the log start and everything called *.deleted. */
#include "log/retention.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/log_internal.h"
#include <stdio.h>
#include <string.h>

static const char *const suffixes[] = { ".log", ".index", ".timeindex" };

static void expired_free(struct rl_expired *expired);

/* ---- the log's side ---- */

static bool is_too_old(const struct rl_log *log, const struct rl_segment *seg, int64_t wall_ms)
{
    int64_t retention_ms = rl_log_config_of(log)->retention_ms;

    return retention_ms >= 0 && seg->max_timestamp_ms >= 0 && seg->max_timestamp_ms <= wall_ms &&
           wall_ms - seg->max_timestamp_ms > retention_ms;
}

/* How many of the oldest segments (the active one included) may go. */
static uint32_t count_expired(const struct rl_log *log, int64_t upper_offset)
{
    const struct rl_log_config *config = rl_log_config_of(log);
    int64_t wall_ms = rl_log_retention_wall_ms(log->manager);
    uint64_t size_bytes = rl_log_size_bytes(log);
    uint32_t count = 0;

    if (!config->cleanup_delete)
        return 0;
    for (; count < log->segment_count; count++) {
        const struct rl_segment *seg = &log->segments[count];
        bool too_large = config->retention_bytes >= 0 && count + 1 < log->segment_count &&
                         size_bytes >= (uint64_t)config->retention_bytes + seg->size_bytes;
        if (seg->size_bytes == 0 || rl_log_segment_end(log, count) > upper_offset)
            break;
        if (!too_large && !is_too_old(log, seg, wall_ms))
            break;
        size_bytes -= seg->size_bytes;
    }
    return count;
}

/* The oldest segments, up to `count`, wait for the next save. */
static void expire_files(struct rl_log *log, uint32_t count)
{
    struct rl_log_hot *hot = log->hot;

    if (count == 0)
        return;
    if (hot->expired == NULL) {
        hot->expired = rl_alloc_zero(1, sizeof *hot->expired);
        hot->expired->log = log;
    }
    struct rl_expired *expired = hot->expired;
    expired->base_offsets = rl_realloc(expired->base_offsets,
                                       (expired->count + count) * sizeof(int64_t));
    for (uint32_t i = 0; i < count; i++) {
        expired->base_offsets[expired->count++] = log->segments[i].base_offset;
        rl_segment_detach(&log->segments[i]);
        rl_index_memory_free(log->segments[i].index);
    }
    log->segment_count -= count;
    memmove(log->segments, log->segments + count, log->segment_count * sizeof *log->segments);
}

void rl_retention_drop(struct rl_log *log, uint32_t count)
{
    struct rl_log_hot *hot = log->hot;

    expire_files(log, count);
    log->start_offset = RL_MAX(log->start_offset, log->segments[0].base_offset);
    if (log->flushed_offset < log->start_offset) {
        log->flushed_offset = log->start_offset;        /* what is gone need not be synced */
        hot->tell_flushed = true;
    }
    rl_epoch_cache_truncate_start(&log->epochs, log->start_offset);
    hot->tell_trimmed = true;
    hot->changed = true;
}

uint32_t rl_retention_below_start(const struct rl_log *log)
{
    uint32_t count = 0;

    while (count + 1 < log->segment_count && rl_log_segment_end(log, count) <= log->start_offset)
        count++;
    return count;
}

void rl_retention_again(struct rl_log *log)
{
    if (log->hot->expired != NULL)
        expired_free(rl_expired_take(log));
    rl_retention_drop(log, rl_retention_below_start(log));
}

void rl_log_maintain(struct rl_log *log, int64_t upper_offset)
{
    RL_OBJ(log, LOG);
    if (log->failure != RL_OK || log->closing)
        return;
    if (log->hot != NULL && log->hot->expired != NULL) {
        log->hot->deletions_wait = false;
        rl_log_mark_dirty(log);
    }
    upper_offset = RL_MIN(upper_offset, log->written_offset);
    uint32_t count = count_expired(log, upper_offset);
    bool all = count == log->segment_count;
    if (all || rl_log_is_time_to_roll(log, rl_log_active(log))) {
        rl_log_heat(log);
        rl_log_roll(log);
    }
    if (log->producers != NULL)
        rl_producer_state_expire(log->producers, rl_log_retention_wall_ms(log->manager),
                                 log->manager->producer_id_expiration_ms);
    if (count == 0)
        return;
    rl_log_heat(log);
    rl_retention_drop(log, count);
    RL_INFO("log", "%s-%d: retention removed %u segments, log start is %lld", log->topic,
            log->partition, count, (long long)log->start_offset);
    rl_log_mark_dirty(log);
}

/* ---- the files' side ---- */

struct rl_expired *rl_expired_take(struct rl_log *log)
{
    struct rl_expired *expired = log->hot->expired;

    log->hot->expired = NULL;
    return expired;
}

rl_status rl_expired_rename(const struct rl_expired *expired, struct rl_disk *disk,
                            const char *directory)
{
    char from[RL_PATH_BYTES], to[RL_PATH_BYTES + 16];

    for (uint32_t i = 0; i < expired->count; i++) {
        for (uint32_t s = 0; s < RL_ARRAY_COUNT(suffixes); s++) {
            rl_segment_path(directory, expired->base_offsets[i], suffixes[s], from);
            snprintf(to, sizeof to, "%s.deleted", from);
            rl_status status = rl_disk_rename(disk, from, to);
            if (status != RL_OK && status != RL_ENOTFOUND)
                return status;
        }
    }
    return RL_OK;
}

static void expired_free(struct rl_expired *expired)
{
    rl_timer_stop(expired->log->manager->shard, &expired->timer);
    if (rl_list_linked(&expired->node))
        rl_list_remove(&expired->node);
    rl_free(expired->base_offsets);
    rl_free(expired);
}

static void run_delete(struct rl_op *op)
{
    struct rl_expired *expired = op->arg;
    char directory[RL_PATH_BYTES], path[RL_PATH_BYTES], name[32];

    rl_log_directory(expired->log, directory);
    op->status = RL_OK;
    for (uint32_t i = 0; i < expired->count; i++) {
        for (uint32_t s = 0; s < RL_ARRAY_COUNT(suffixes); s++) {
            snprintf(name, sizeof name, "%s.deleted", suffixes[s]);
            rl_segment_path(directory, expired->base_offsets[i], name, path);
            (void)rl_disk_unlink(rl_log_disk(expired->log), path);
        }
    }
}

static void on_deleted(struct rl_op *op)
{
    struct rl_expired *expired = op->arg;
    struct rl_log *log = expired->log;

    log->busy--;
    rl_log_mark_dirty(log);
    expired_free(expired);
}

static void on_delete_timer(struct rl_timer *timer)
{
    struct rl_expired *expired = timer->arg;

    rl_list_remove(&expired->node);
    expired->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_delete, .done = on_deleted,
                                  .arg = expired };
    expired->log->busy++;
    rl_submit(expired->log->manager->shard, &expired->op);
}

/* Their files still have their names.  Not at once again: what failed would fail in every turn. */
static void expired_put_back(struct rl_expired *expired, struct rl_log_hot *hot)
{
    struct rl_expired *newer = hot->expired;

    hot->deletions_wait = true;
    hot->expired = expired;
    if (newer == NULL)
        return;
    expired->base_offsets = rl_realloc(expired->base_offsets,
                                       (expired->count + newer->count) * sizeof(int64_t));
    memcpy(expired->base_offsets + expired->count, newer->base_offsets, newer->count * sizeof(int64_t));
    expired->count += newer->count;
    expired_free(newer);
}

void rl_expired_delete_later(struct rl_expired *expired, struct rl_log *log, rl_status status)
{
    struct rl_shard *shard = log->manager->shard;

    if (log->closing) {
        expired_free(expired);
        return;
    }
    if (status != RL_OK) {
        expired_put_back(expired, log->hot);
        return;
    }
    rl_list_push_back(&log->hot->deleting, &expired->node);
    expired->timer = (struct rl_timer){ .done = on_delete_timer, .arg = expired };
    rl_timer_start(shard, &expired->timer,
                   shard->now_ns + rl_log_config_of(log)->file_delete_delay_ms * 1000000);
}

void rl_expired_free_all(struct rl_log *log)
{
    RL_LIST_EACH_SAFE(node, &log->hot->deleting)
        expired_free(RL_LIST_ENTRY(node, struct rl_expired, node));
    if (log->hot->expired != NULL)
        expired_free(rl_expired_take(log));
}

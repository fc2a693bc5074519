/* broker/lag_log.c — how far groups are behind, told in the log now and then.
 *
 * Happy path: a timer, a walk over the shard's groups (coordinate/group_lag.h), whose rows come group by
 * group: a group's line is written when the next one begins.
 * Failures: groups that are still read are told of next time, as all are before the broker serves. */
#include "broker/lag_log.h"
#include "coordinate/group_lag.h"
#include "coordinate/owned.h"
#include "core/logger.h"
#include <stdio.h>

#define NS_PER_MS ((int64_t)1000000)
#define INTERVAL_MS_MAX ((int64_t)366 * 86400 * 1000)

struct rl_lag_log {
    struct rl_shard *shard;
    int64_t interval_ns;
    struct rl_timer timer;
    struct rl_lag_walk walk;
    bool walking;
    /* the group whose rows come just now */
    struct rl_slice group_id;           /* owned; null: none yet */
    int64_t records, unread_ms_max;     /* -1: none is known */
    uint32_t partitions, behind;
};

static void tell_group(struct rl_lag_log *log)
{
    char since[64];
    if (log->unread_ms_max >= 0)
        snprintf(since, sizeof since, "%.1f s ago", (double)log->unread_ms_max / 1000);
    else
        snprintf(since, sizeof since, "at a time that is not known");
    if (log->group_id.data != NULL && log->behind > 0)
        RL_INFO("lag", "group %.*s is %lld records behind in %u of %u partitions; the oldest unread one was "
                "appended %s", (int)log->group_id.bytes, (const char *)log->group_id.data,
                (long long)log->records, log->behind, log->partitions, since);
    rl_owned_free(&log->group_id);
    log->records = 0;
    log->unread_ms_max = -1;
    log->partitions = log->behind = 0;
}

static void tell_partition(struct rl_lag_log *log, const struct rl_lag *lag)
{
    if (log->group_id.data == NULL || !rl_slice_equal(log->group_id, lag->group_id)) {
        tell_group(log);
        rl_owned_set(&log->group_id, lag->group_id);
    }
    log->partitions++;
    if (!lag->known)
        return;
    RL_DEBUG("lag", "group=%.*s topic=%.*s partition=%d committed=%lld start=%lld end=%lld records=%lld "
             "unread_ms=%lld", (int)lag->group_id.bytes, (const char *)lag->group_id.data,
             (int)lag->topic.bytes, (const char *)lag->topic.data, lag->partition,
             (long long)lag->committed_offset, (long long)lag->log_start_offset,
             (long long)lag->high_watermark, (long long)lag->records, (long long)lag->unread_ms);
    if (lag->records <= 0)
        return;
    log->behind++;
    log->records += lag->records;
    log->unread_ms_max = RL_MAX(log->unread_ms_max, lag->unread_ms);
}

static void on_lags(struct rl_lag_walk *walk, const struct rl_lag *lags, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tell_partition(walk->arg, &lags[i]);
}

static void on_walked(struct rl_lag_walk *walk)
{
    struct rl_lag_log *log = walk->arg;
    tell_group(log);
    log->walking = false;
    rl_timer_start(log->shard, &log->timer, log->shard->now_ns + log->interval_ns);
}

static void on_timer(struct rl_timer *timer)
{
    struct rl_lag_log *log = timer->arg;
    log->walk = (struct rl_lag_walk){ .each = on_lags, .done = on_walked, .arg = log };
    log->walking = true;
    rl_lag_walk(log->shard, &log->walk);
}

struct rl_lag_log *rl_lag_log_start(struct rl_shard *shard, int64_t interval_ms)
{
    if (interval_ms == 0)
        return NULL;
    struct rl_lag_log *log = rl_alloc_zero(1, sizeof *log);
    log->shard = shard;
    log->unread_ms_max = -1;
    log->interval_ns = RL_MIN(interval_ms, INTERVAL_MS_MAX) * NS_PER_MS;
    log->timer = (struct rl_timer){ .done = on_timer, .arg = log };
    rl_timer_start(shard, &log->timer, shard->now_ns + log->interval_ns);
    return log;
}

void rl_lag_log_stop(struct rl_lag_log *log)
{
    if (log == NULL || log->walking)    /* a walk that did not come back in time has it */
        return;
    rl_timer_stop(log->shard, &log->timer);
    rl_owned_free(&log->group_id);
    rl_free(log);
}

/* log/lost.c — producers over the gap between a log that failed and the one that is opened instead.
 *
 * The happy path: the failed log's windows are kept, the log is closed and opened again, and who lost
 * batches goes on with the first that was not answered; nothing that was sent behind it is taken
 * before it (producer_state.h says why).
 * Failures: none; what is kept is bounded as the windows of a log are. */
#include "log/log_internal.h"

void rl_log_lost_take(struct rl_log_lost *lost, struct rl_log *log, int64_t acknowledged_offset)
{
    RL_OBJ(log, LOG);
    rl_log_lost_give(lost, log);
    lost->producers = log->producers;
    lost->acknowledged_offset = acknowledged_offset;
    log->producers = NULL;
}

void rl_log_await(struct rl_log *log, const struct rl_batch *batch)
{
    RL_OBJ(log, LOG);
    if (batch->producer_id >= 0)
        rl_producer_state_await(log->producers, batch);
}

void rl_log_lost_refuse(struct rl_log_lost *lost, struct rl_shard *shard, const struct rl_batch *batch)
{
    rl_producer_state_refuse(&lost->producers, rl_shard_random(shard), batch, shard->wall_ms);
}

void rl_log_lost_give(struct rl_log_lost *lost, struct rl_log *log)
{
    RL_OBJ(log, LOG);
    if (lost->producers != NULL)
        rl_producer_state_lose(&log->producers, rl_shard_random(log->manager->shard), lost->producers,
                               log->end_offset, lost->acknowledged_offset);
    rl_log_lost_done(lost);
}

void rl_log_lost_done(struct rl_log_lost *lost)
{
    rl_producer_state_free(lost->producers);
    *lost = (struct rl_log_lost){ 0 };
}

/* broker/lag_log.h — how far groups are behind, told in the log now and then.
 *
 * ringlog.group.lag.log.interval.ms; off by default.  Each shard tells of its own groups: a line for
 * each that has unread records (INFO), and one per partition that it has committed (DEBUG). */
#ifndef RL_BROKER_LAG_LOG_H
#define RL_BROKER_LAG_LOG_H

#include "io/shard.h"

struct rl_lag_log;

/* After the coordinator has started.  interval_ms 0: NULL, nothing is told. */
struct rl_lag_log *rl_lag_log_start(struct rl_shard *shard, int64_t interval_ms);
/* After the coordinator has stopped; NULL is fine. */
void rl_lag_log_stop(struct rl_lag_log *log);

#endif

/* coordinate/group_lag.h — how far groups are behind, by partition, in records and in time.
 *
 * Happy path of a walk, on the shard of the groups: their ids are noted; then, some groups at a time,
 * what they have committed is copied, each partition's shard is asked what it holds by one message
 * per shard, and the caller is given the answers, piece by piece.  Between pieces the shards do other
 * work; nothing is remembered afterwards, and who does not ask pays nothing.
 *
 * Failures: a partition that does not lead, or is not there, is in the answer, unknown.  A group that
 * is read again meanwhile, or is gone, is left out.  A walk that a stop overtakes ends with
 * NOT_COORDINATOR. */
#ifndef RL_COORDINATE_GROUP_LAG_H
#define RL_COORDINATE_GROUP_LAG_H

#include "coordinate/group_error.h"
#include "core/list.h"
#include "core/slice.h"
#include "io/shard.h"
#include "replicate/partition.h"

struct rl_lag {                         /* of a group in a partition that it has committed */
    struct rl_slice group_id, topic;
    int32_t partition;
    int64_t committed_offset;
    bool known;                         /* the rest is true; otherwise it is -1 */
    int64_t log_start_offset, high_watermark;
    /* high watermark - committed offset, as Kafka's tools count: also records that are deleted unread, and
     * below 0 when more was committed than there is; all of them when less than 0 was. */
    int64_t records;
    /* Since the oldest record was appended that is there and unread (rl_log_append_time_ms: never too
     * short, exact to a second or an eighth); 0: there is none; -1: not known. */
    int64_t unread_ms;
};

struct rl_lag_walk {                    /* memory of the caller until done */
    struct rl_slice group_id;           /* null: every group of this shard */
    void (*each)(struct rl_lag_walk *walk, const struct rl_lag *lags, uint32_t count);
    void (*done)(struct rl_lag_walk *walk);     /* always, once, never inside the call */
    void *arg;
    enum rl_group_error error;          /* out: OK; LOADING: some groups are still read; NOT_COORDINATOR,
                                           NOT_AVAILABLE: see rl_coordinator_find */
    void *state;                        /* coordinate/ only */
};
/* A shard's groups, or one group where rl_coordinator_find finds it.  Slices last until each returns. */
void rl_lag_walk(struct rl_shard *shard, struct rl_lag_walk *walk);

/* What a partition says of an offset committed for it.  NULL: it is not here.  The partition's shard. */
void rl_lag_measure(struct rl_lag *lag, const struct rl_partition *partition);

#endif

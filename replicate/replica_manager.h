/* replicate/replica_manager.h — the partitions that live on one shard.
 *
 * Follows the metadata image: partitions whose home is this shard are created and opened when a
 * topic appears, get its new configuration when it changes, and are dropped with their files
 * when it is gone (deleted: that is the explicit record). */
#ifndef RL_REPLICATE_REPLICA_MANAGER_H
#define RL_REPLICATE_REPLICA_MANAGER_H

#include "core/status.h"
#include "io/shard.h"
#include "log/log.h"
#include "replicate/metadata_image.h"
#include "replicate/partition.h"

struct rl_replica_manager_options {
    const char *data_dir;               /* valid as long as the shard */
    struct rl_log_start log_start;
    int32_t node_id;
    int64_t maintain_interval_ns;       /* log.retention.check.interval.ms */
};

/* Each shard, at start, after rl_log_manager_start. */
rl_status rl_replica_manager_start(struct rl_shard *shard, const struct rl_replica_manager_options *options);
struct rl_topic_failure {
    struct rl_uuid topic_id;
    rl_status status;                   /* the first of its partitions here that failed */
};
/* failures: done's to rl_free; a topic may be in it twice. */
typedef void rl_applied_fn(void *arg, struct rl_topic_failure *failures, uint32_t count);

/* Make this shard's partitions follow `image` (`removed`: topics of the previous image that are
 * deleted; their files go).  done(arg, failures, count) when every partition of `image` homed here
 * accepts produce and fetch, or is offline for a reason that was logged: that is no failure.  A
 * topic has failed when one of its directories could not be made or deleted, so that it is tried
 * again at a start; its neighbours have not.  With nothing to do, done runs before this returns.
 * The previous image must live until then. */
void rl_replica_manager_apply(struct rl_shard *shard, const struct rl_image *image,
                              const struct rl_topic *const *removed, uint32_t removed_count,
                              rl_applied_fn *done, void *arg);
/* The partition, or NULL when it is not here (not of this shard, or not there at all). */
struct rl_partition *rl_replica_manager_find(struct rl_shard *shard, struct rl_uuid topic_id, int32_t partition);
/* Close every log cleanly; done when all are closed. */
void rl_replica_manager_stop(struct rl_shard *shard, void (*done)(void *arg), void *arg);
/* Partitions here, and how many of them are offline. */
void rl_replica_manager_count(const struct rl_shard *shard, uint32_t *ret_partitions, uint32_t *ret_offline);

#endif

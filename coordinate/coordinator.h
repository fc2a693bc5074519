/* coordinate/coordinator.h — the groups of one shard: those whose partition of __consumer_offsets
 * lives here.
 *
 * Happy path: when the metadata are there, every such partition is read from its beginning, a piece
 * per turn, and then its groups are answered for.  At the end of each turn what they want to write is
 * appended, and their answers are given.
 *
 * Failures: while a partition is read its groups are LOADING.  A partition that is offline, or that
 * lost or may have lost something (a higher leader epoch, a failed append), is read again before
 * anything is answered from it; who waits in its groups is told NOT_COORDINATOR.  Records that cannot
 * be read are passed over with an error in the log: what they said is lost, which is told.
 *
 * Everything runs on the shard. */
#ifndef RL_COORDINATE_COORDINATOR_H
#define RL_COORDINATE_COORDINATOR_H

#include "coordinate/group.h"

struct rl_coordinator_options {
    struct rl_group_limits limits;
    int64_t offsets_retention_ms;       /* offsets.retention.minutes */
    int64_t check_interval_ms;          /* offsets.retention.check.interval.ms */
    int32_t metadata_units_max;         /* offset.metadata.max.bytes, which are UTF-16 units */
};

/* Each shard, at start, before the log manager: what it writes at the end of a turn is written by the
 * logs in the same turn.  Registers a hook and shard->context[RL_CONTEXT_COORDINATE]. */
rl_status rl_coordinator_start(struct rl_shard *shard, const struct rl_coordinator_options *options);
/* The metadata are there: read what lives here.  Also once __consumer_offsets was made. */
void rl_coordinator_load(struct rl_shard *shard);
/* From now on everybody is told NOT_COORDINATOR, also who waits. */
void rl_coordinator_stop_serving(struct rl_shard *shard);
/* Free everything; after the replica manager has stopped. */
void rl_coordinator_stop(struct rl_shard *shard);

/* The groups among which this one is.  OK; LOADING, NOT_AVAILABLE, NOT_COORDINATOR: not now. */
enum rl_group_error rl_coordinator_find(struct rl_shard *shard, struct rl_slice group_id,
                                        struct rl_groups **ret_groups);
/* Walk all that are read: begin with *at = 0, NULL at the end. */
struct rl_groups *rl_coordinator_next(struct rl_shard *shard, uint32_t *at);
/* Is something still being read? */
bool rl_coordinator_is_loading(struct rl_shard *shard);
const struct rl_coordinator_options *rl_coordinator_options(const struct rl_shard *shard);
/* Topics were deleted: what groups have committed for them goes, too (KAFKA-1876). */
void rl_coordinator_forget_topic(struct rl_shard *shard, struct rl_slice topic);

#endif

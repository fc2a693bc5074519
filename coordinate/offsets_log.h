/* coordinate/offsets_log.h — the store of one partition of __consumer_offsets: records to batches.
 *
 * Everything that groups and commits write in one turn of the shard becomes one batch (more when it is
 * large), appended with acks=all at the end of the turn; when it is on stable storage all its writes are
 * done, in order.  One write is in one batch, which a killed process leaves whole or not at all; only one
 * beyond RL_GROUP_WRITE_BYTES_MAX is several.
 * A batch that cannot be appended, or is lost later, fails its writes and tells `failed`. */
#ifndef RL_COORDINATE_OFFSETS_LOG_H
#define RL_COORDINATE_OFFSETS_LOG_H

#include "coordinate/batch_writer.h"
#include "coordinate/group.h"

struct rl_offsets_log {
    struct rl_group_store store;
    struct rl_shard *shard;
    struct rl_uuid topic_id;
    int32_t partition;
    struct rl_batch_writer batch;     /* of this turn */
    size_t write_bytes;                 /* of records whose write has not ended */
    struct rl_list writes;              /* done when that batch is */
    struct rl_list sealed;              /* full batches of this turn, in order */
    struct rl_list appends;             /* on their way */
    uint64_t added_bytes;               /* of records, since the start */
    struct rl_list *dirty;              /* logs with something to flush */
    struct rl_list link;
    /* Memory may be ahead of the log, or the log of memory: what was read is no longer true. */
    void (*failed)(struct rl_offsets_log *log);
    /* After each batch and its writes: RL_OK, bytes long, up to end_offset; or it failed. */
    void (*appended)(struct rl_offsets_log *log, rl_status status, size_t bytes, int64_t end_offset);
};

void rl_offsets_log_init(struct rl_offsets_log *log, struct rl_shard *shard, struct rl_uuid topic_id,
                         int32_t partition, struct rl_list *dirty, void (*failed)(struct rl_offsets_log *),
                         void (*appended)(struct rl_offsets_log *, rl_status, size_t, int64_t));
/* End of turn: append what was gathered. */
void rl_offsets_log_flush(struct rl_offsets_log *log);
/* Fail what waits for the end of the turn with RL_ESTOPPING, and free everything; the partition is gone, and has
 * answered every append. */
void rl_offsets_log_done(struct rl_offsets_log *log);

#endif

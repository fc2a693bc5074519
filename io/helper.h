/* io/helper.h — threads that may block: SYNC, JOB and the look-up of host names.
 *
 * A shard stages operations during a turn and hands them over at its end by one lock.  A helper
 * runs one operation at a time and posts it back to its shard's inbox for foreigners.  Syncs go
 * before jobs, and one thread is kept free of jobs, so a long job never delays a sync. */
#ifndef RL_IO_HELPER_H
#define RL_IO_HELPER_H

#include "io/shard.h"

struct rl_helpers;

/* Operations staged by one shard, linked by op->next. */
struct rl_helper_batch {
    struct rl_op *first, *last;
};

/* Main thread.  count: threads, 1 .. 64.  disk: for SYNC.  RL_EBUSY: no more threads to be had. */
rl_status rl_helpers_start(uint32_t count, struct rl_disk *disk, struct rl_helpers **ret_helpers);
/* Wait for what runs, forget what waits, end the threads.  NULL is fine. */
void rl_helpers_stop(struct rl_helpers *helpers);

/* Shard thread: stage one operation.  `finish` runs on op->home when the helper is done. */
void rl_helper_stage(struct rl_helper_batch *batch, struct rl_op *op,
                     void (*finish)(struct rl_shard *shard, struct rl_msg *msg));
/* Shard thread: hand over all that is staged. */
void rl_helper_flush(struct rl_helpers *helpers, struct rl_helper_batch *batch);

/* The operation whose message `finish` got. */
static inline struct rl_op *rl_helper_op(struct rl_msg *msg)
{
    return RL_CONTAINER_OF(msg, struct rl_op, backend_word);
}

/* Where a CONNECT's address is kept: a sockaddr_in or sockaddr_in6 behind the message. */
static inline void *rl_helper_address(struct rl_op *op)
{
    return &op->backend_word[2];
}

#endif

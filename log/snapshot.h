/* log/snapshot.h — producer state as a file, <offset>.snapshot.
 *
 *   at bytes field                       all numbers big-endian
 *    0   4   magic "rlps"
 *    4   4   version (2)
 *    8   4   CRC-32C of 12..end
 *   12   8   offset: the state covers all batches below it
 *   20   4   producer count
 *   24       per producer: id 8, last used 8, last timestamp 8, epoch 2, batch
 *            count 1, and per batch:
 *            base offset 8, first sequence 4, last sequence 4, last offset delta 4, append time 8
 *
 * A snapshot is valid if and only if: magic, version and CRC hold, the offset is that of its
 * name, and counts and lengths add up to exactly the file's size. */
#ifndef RL_LOG_SNAPSHOT_H
#define RL_LOG_SNAPSHOT_H

#include "core/slice.h"
#include "core/text.h"
#include "log/producer_state.h"

/* Append the file's content to out.  state NULL: no producers. */
void rl_snapshot_encode(const struct rl_producer_state *state, int64_t offset, struct rl_text *out);
/* Pure; RL_ECORRUPT: not a valid snapshot of this offset (state is then partly filled). */
rl_status rl_snapshot_decode(struct rl_slice file, int64_t offset, struct rl_producer_state *state);

#endif

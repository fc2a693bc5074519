/* cli/bench_batch.h — a valid record batch to send again and again. */
#ifndef RL_CLI_BENCH_BATCH_H
#define RL_CLI_BENCH_BATCH_H

#include "core/base.h"

struct rl_bench_batch {
    uint8_t *bytes;                     /* heap */
    size_t size_bytes;
    size_t value_bytes;                 /* of all its records */
    uint32_t record_count;
    size_t stamp_at;                    /* where the first record's value begins: 8 bytes for a time */
};

/* Records of record_bytes (>= 8) pseudo-random bytes, as many as fit batch_bytes, at least one;
 * no codec, no producer id.  keyed: 16-byte keys. */
void rl_bench_batch_init(struct rl_bench_batch *batch, size_t record_bytes, size_t batch_bytes,
                         int64_t timestamp_ms, bool keyed);
void rl_bench_batch_done(struct rl_bench_batch *batch);
/* Write a moment into the first record and make the CRC right again. */
void rl_bench_batch_stamp(struct rl_bench_batch *batch, int64_t ns);
/* Read it back from a batch as fetched; -1 when it is not ours.  ret_records, ret_next_offset: of
 * the batch; size_bytes: its whole size.  False when no whole batch is there. */
bool rl_bench_batch_read(const uint8_t *bytes, size_t available, int64_t *ret_stamp_ns,
                         uint32_t *ret_records, int64_t *ret_next_offset, size_t *ret_size_bytes);

#endif

/* coordinate/batch_writer.h — a record batch of the broker's own, record by record.
 *
 * No codec, no producer, CreateTime, no headers.  Source: KIP-98, DefaultRecordBatch. */
#ifndef RL_COORDINATE_BATCH_WRITER_H
#define RL_COORDINATE_BATCH_WRITER_H

#include "core/buffer.h"
#include "core/slice.h"
#include "core/text.h"
#include "log/batch.h"

struct rl_batch_writer {
    struct rl_text bytes;               /* room for the header, then the records */
    int32_t record_count;
    int64_t base_timestamp_ms, max_timestamp_ms;
};

/* All zero is an empty writer. */
void rl_batch_writer_done(struct rl_batch_writer *writer);
static inline size_t rl_batch_writer_bytes(const struct rl_batch_writer *writer)
{
    return writer->bytes.bytes;
}
/* Append a record; value.data NULL: null.  key and value together below 2^30 bytes. */
void rl_batch_writer_add(struct rl_batch_writer *writer, int64_t timestamp_ms,
                          struct rl_slice key, struct rl_slice value);
/* The batch of at least one record, in a buffer of this shard (one reference); the writer is empty
 * again and keeps its memory.  ret_batch points into the buffer. */
struct rl_buffer *rl_batch_writer_finish(struct rl_batch_writer *writer, uint32_t home,
                                          struct rl_batch *ret_batch);

#endif

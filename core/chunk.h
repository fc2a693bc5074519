/* core/chunk.h — a piece of a reply or of a log read: bytes in memory that somebody keeps alive.
 *
 * A chunk owns one reference to `buffer` (NULL: the bytes are static, or live as long as the
 * request they belong to).  Who is handed chunks drops the references with rl_chunk_release. */
#ifndef RL_CORE_CHUNK_H
#define RL_CORE_CHUNK_H

#include "core/base.h"

struct rl_buffer;

struct rl_chunk {
    const uint8_t *data;
    size_t bytes;
    struct rl_buffer *buffer;           /* one reference, or NULL */
};

/* Drop the reference and forget the bytes.  On the buffer's home shard. */
void rl_chunk_release(struct rl_chunk *chunk);

#endif

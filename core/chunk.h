/* core/chunk.h — a piece of a reply or of a log read: bytes that somebody keeps alive.
 *
 * Either bytes in memory: the chunk owns one reference to `buffer` (NULL: the bytes are static,
 * or live as long as the request they belong to).  Or a range of a file: `data` is NULL and the
 * chunk owns `file`, a lease that keeps the range as it is until it is released.  Who is handed
 * chunks releases them with rl_chunk_release. */
#ifndef RL_CORE_CHUNK_H
#define RL_CORE_CHUNK_H

#include "core/base.h"

struct rl_buffer;

/* A range of a file, lent: neither closed nor overwritten nor cut off until release, which runs
 * once, on the shard that holds the chunk (which may be another than the file's).  Who lends
 * embeds this struct. */
struct rl_file_lease {
    int fd;
    uint64_t pos;                       /* of the chunk's first byte */
    void (*release)(struct rl_file_lease *lease);
};

struct rl_chunk {
    const uint8_t *data;                /* NULL: in a file, or no bytes at all */
    size_t bytes;
    union {
        struct rl_buffer *buffer;       /* one reference, or NULL */
        struct rl_file_lease *file;     /* if data is NULL; or NULL */
    };
};

static inline bool rl_chunk_is_file(const struct rl_chunk *chunk)
{
    return chunk->data == NULL && chunk->file != NULL;
}

/* Give back the reference or the lease and forget the bytes.  On the shard that holds it. */
void rl_chunk_release(struct rl_chunk *chunk);

#endif

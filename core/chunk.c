/* core/chunk.c — a piece of a reply or of a log read: bytes that somebody keeps alive. */
#include "core/chunk.h"
#include "core/buffer.h"

void rl_chunk_release(struct rl_chunk *chunk)
{
    struct rl_buffer *buffer = chunk->buffer;

    *chunk = (struct rl_chunk){ 0 };
    rl_buffer_unref(buffer);
}

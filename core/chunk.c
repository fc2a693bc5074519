/* core/chunk.c — a piece of a reply or of a log read: bytes that somebody keeps alive. */
#include "core/chunk.h"
#include "core/buffer.h"

void rl_chunk_release(struct rl_chunk *chunk)
{
    struct rl_chunk gone = *chunk;

    *chunk = (struct rl_chunk){ 0 };
    if (rl_chunk_is_file(&gone))
        gone.file->release(gone.file);
    else
        rl_buffer_unref(gone.buffer);
}

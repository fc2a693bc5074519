/* core/arena.h — bump allocation that lives as long as one request.
 *
 * An arena grows in chunks up to a limit given at init.  Over the limit rl_arena_alloc returns
 * NULL: the decoder turns that into RL_ENOMEM, nobody else notices.  Reset keeps the first
 * chunk, so a connection that asks small things allocates nothing.  One thread at a time. */
#ifndef RL_CORE_ARENA_H
#define RL_CORE_ARENA_H

#include "core/base.h"

struct rl_arena_chunk;

struct rl_arena {
    struct rl_arena_chunk *chunk;       /* newest; chunks are linked to older ones */
    size_t chunk_bytes;                 /* usual size of a chunk */
    size_t used_bytes;                  /* given out since init or reset */
    size_t limit_bytes;                 /* used_bytes never passes this */
};

/* chunk_bytes: usual chunk size; nothing is allocated until the first rl_arena_alloc. */
void rl_arena_init(struct rl_arena *arena, size_t chunk_bytes, size_t limit_bytes);
/* Free everything.  The arena may be used again after rl_arena_init. */
void rl_arena_done(struct rl_arena *arena);
/* Forget everything, keep one chunk of the usual size. */
void rl_arena_reset(struct rl_arena *arena);
/* 16-byte aligned, not zeroed; NULL when the limit would be passed.  bytes may be 0. */
void *rl_arena_alloc(struct rl_arena *arena, size_t bytes) RL_MUST_USE;
/* count * bytes, zeroed; NULL on overflow or over the limit. */
void *rl_arena_alloc_array(struct rl_arena *arena, size_t count, size_t bytes) RL_MUST_USE;
/* A NUL-terminated copy; NULL over the limit. */
char *rl_arena_strndup(struct rl_arena *arena, const char *s, size_t length) RL_MUST_USE;

#endif

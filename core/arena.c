/* core/arena.c — bump allocation in chunks.
 *
 * The newest chunk serves small requests.  A request larger than a usual chunk gets a chunk of
 * its own, put behind the newest one so that what is left of that is not wasted.  Reset and done
 * walk the list; the limit, not the list, bounds memory.
 * Failures: over the limit is NULL, and nothing has changed. */
#include "core/arena.h"
#include "core/memory.h"
#include <string.h>

#define ARENA_ALIGN 16u

struct rl_arena_chunk {
    struct rl_arena_chunk *older;
    size_t capacity;
    size_t used;
    alignas(ARENA_ALIGN) uint8_t data[];
};

static struct rl_arena_chunk *arena_chunk_create(size_t capacity)
{
    struct rl_arena_chunk *chunk = rl_alloc(sizeof *chunk + capacity);

    chunk->older = NULL;
    chunk->capacity = capacity;
    chunk->used = 0;
    return chunk;
}

void rl_arena_init(struct rl_arena *arena, size_t chunk_bytes, size_t limit_bytes)
{
    RL_ASSERT(chunk_bytes >= ARENA_ALIGN);
    *arena = (struct rl_arena){ .chunk_bytes = chunk_bytes & ~(size_t)(ARENA_ALIGN - 1),
                                .limit_bytes = limit_bytes };
}

void rl_arena_done(struct rl_arena *arena)
{
    while (arena->chunk != NULL) {
        struct rl_arena_chunk *chunk = arena->chunk;
        arena->chunk = chunk->older;
        rl_free(chunk);
    }
    arena->used_bytes = 0;
}

void rl_arena_reset(struct rl_arena *arena)
{
    struct rl_arena_chunk *keep = NULL;

    while (arena->chunk != NULL) {
        struct rl_arena_chunk *chunk = arena->chunk;
        arena->chunk = chunk->older;
        if (keep == NULL && chunk->capacity == arena->chunk_bytes)
            keep = chunk;
        else
            rl_free(chunk);
    }
    if (keep != NULL) {
        keep->older = NULL;
        keep->used = 0;
    }
    arena->chunk = keep;
    arena->used_bytes = 0;
}

/* A chunk with room for `bytes`, created when the newest has none. */
static struct rl_arena_chunk *arena_chunk_for(struct rl_arena *arena, size_t bytes)
{
    struct rl_arena_chunk *newest = arena->chunk;

    if (newest != NULL && newest->capacity - newest->used >= bytes)
        return newest;
    struct rl_arena_chunk *chunk = arena_chunk_create(RL_MAX(bytes, arena->chunk_bytes));
    if (bytes > arena->chunk_bytes && newest != NULL) {
        chunk->older = newest->older;
        newest->older = chunk;
    } else {
        chunk->older = newest;
        arena->chunk = chunk;
    }
    return chunk;
}

void *rl_arena_alloc(struct rl_arena *arena, size_t bytes)
{
    size_t left = arena->limit_bytes - arena->used_bytes;

    if (bytes > left)
        return NULL;
    size_t rounded = (RL_MAX(bytes, 1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (rounded > left)
        return NULL;
    struct rl_arena_chunk *chunk = arena_chunk_for(arena, rounded);
    void *p = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used_bytes += rounded;
    return p;
}

void *rl_arena_alloc_array(struct rl_arena *arena, size_t count, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *p = rl_arena_alloc(arena, total);
    if (p != NULL)
        memset(p, 0, total);
    return p;
}

char *rl_arena_strndup(struct rl_arena *arena, const char *s, size_t length)
{
    char *copy = length < SIZE_MAX ? rl_arena_alloc(arena, length + 1) : NULL;

    if (copy != NULL) {
        if (length != 0)
            memcpy(copy, s, length);
        copy[length] = '\0';
    }
    return copy;
}

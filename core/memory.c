/* core/memory.c — the heap, or the end.
 *
 * Sizes from outside were bounded before they come here, so a NULL from the allocator means the
 * machine is out of memory and nothing sensible can be promised any more: panic. */
#include "core/memory.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef RL_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

static void *memory_check(void *p, size_t bytes)
{
    if (RL_UNLIKELY(p == NULL))
        rl_panic(__FILE__, __LINE__, "out of memory: %zu bytes", bytes);
    return p;
}

void *rl_alloc(size_t bytes)
{
    return memory_check(malloc(bytes != 0 ? bytes : 1), bytes);
}

void *rl_alloc_zero(size_t count, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        rl_panic(__FILE__, __LINE__, "allocation of %zu * %zu bytes", count, bytes);
    return memory_check(total != 0 ? calloc(count, bytes) : calloc(1, 1), total);
}

void *rl_realloc(void *p, size_t bytes)
{
    return memory_check(realloc(p, bytes != 0 ? bytes : 1), bytes);
}

void *rl_alloc_aligned(size_t alignment, size_t bytes)
{
    RL_ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    /* aligned_alloc wants a multiple of the alignment. */
    size_t rounded = (RL_MAX(bytes, 1) + alignment - 1) & ~(alignment - 1);
    RL_ASSERT(rounded >= bytes);
    return memory_check(aligned_alloc(alignment, rounded), bytes);
}

void rl_free(void *p)
{
    free(p);
}

char *rl_strdup(const char *s)
{
    return rl_strndup(s, strlen(s));
}

char *rl_strndup(const char *s, size_t length)
{
    char *copy = rl_alloc(length + 1);

    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

char *rl_asprintf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return memory_check(length < 0 ? NULL : text, 0);
}

#ifdef RL_JEMALLOC

void rl_memory_bind_thread(void)
{
    unsigned arena;
    size_t bytes = sizeof arena;

    /* A failure (too many arenas) leaves the thread on a shared one: slower, not wrong. */
    if (mallctl("arenas.create", &arena, &bytes, NULL, 0) == 0)
        (void)mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}

size_t rl_memory_allocated_bytes(void)
{
    uint64_t epoch = 1;
    size_t allocated = 0, bytes = sizeof allocated;

    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);   /* refreshes the statistics */
    return mallctl("stats.allocated", &allocated, &bytes, NULL, 0) == 0 ? allocated : 0;
}

void rl_memory_purge(void)
{
    char name[64];

    snprintf(name, sizeof name, "arena.%u.purge", (unsigned)MALLCTL_ARENAS_ALL);
    (void)mallctl(name, NULL, NULL, NULL, 0);
}

#else

void rl_memory_bind_thread(void)
{
}

size_t rl_memory_allocated_bytes(void)
{
    return mallinfo2().uordblks;
}

void rl_memory_purge(void)
{
    malloc_trim(0);
}

#endif

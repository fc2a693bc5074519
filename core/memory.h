/* core/memory.h — allocation that cannot fail quietly.
 *
 * Everything taken from the heap goes through here; the process aborts with a clear line when
 * memory is gone, because every size that comes from outside was bounded before.  Release
 * builds use jemalloc with one arena per shard (rl_memory_bind_thread). */
#ifndef RL_CORE_MEMORY_H
#define RL_CORE_MEMORY_H

#include "core/base.h"

void *rl_alloc(size_t bytes) RL_MUST_USE __attribute__((malloc, alloc_size(1)));
void *rl_alloc_zero(size_t count, size_t bytes) RL_MUST_USE __attribute__((malloc, alloc_size(1, 2)));
void *rl_realloc(void *p, size_t bytes) RL_MUST_USE __attribute__((alloc_size(2)));
/* alignment: a power of two.  Freed by rl_free. */
void *rl_alloc_aligned(size_t alignment, size_t bytes) RL_MUST_USE;
void rl_free(void *p);                  /* NULL is fine */
char *rl_strdup(const char *s) RL_MUST_USE;
char *rl_strndup(const char *s, size_t length) RL_MUST_USE;
char *rl_asprintf(const char *format, ...) RL_MUST_USE RL_PRINTF(1, 2);

/* Give the calling thread an arena of its own (jemalloc builds; otherwise nothing happens). */
void rl_memory_bind_thread(void);
/* Bytes of the heap in use by the program, 0 where the allocator does not say.  Any thread. */
size_t rl_memory_allocated_bytes(void);
/* Give cached free memory back to the system.  Any thread; slow. */
void rl_memory_purge(void);

#endif

/* tests/sim/sim_heap.h — a heap in which everything of a killed broker can be found.
 *
 * sim_heap.c takes the place of core/memory.c in the simulator: what is allocated while the
 * broker's code runs belongs to its present life, and a kill gives all of it back at once.  The
 * kernel in memory is compiled with the names sim_world_*, so that disk and network outlive it. */
#ifndef RL_TESTS_SIM_SIM_HEAP_H
#define RL_TESTS_SIM_SIM_HEAP_H

#include "core/base.h"

/* From now on allocations belong to the broker's life, or to the world. */
void sim_heap_set_broker(bool on);
/* The broker was killed: all its memory is free. */
void sim_heap_end_life(void);
/* Bytes that the broker holds now. */
size_t sim_heap_life_bytes(void);

void *sim_world_alloc(size_t bytes);
void *sim_world_alloc_zero(size_t count, size_t bytes);
void *sim_world_realloc(void *p, size_t bytes);
void sim_world_free(void *p);
char *sim_world_strdup(const char *s);

#endif

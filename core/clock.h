/* core/clock.h — the time before there is a shard; shards read theirs once per turn. */
#ifndef RL_CORE_CLOCK_H
#define RL_CORE_CLOCK_H

#include "core/base.h"
#include <time.h>

static inline int64_t rl_clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif

/* core/random.h — a seedable generator, for everything but secrets. */
#ifndef RL_CORE_RANDOM_H
#define RL_CORE_RANDOM_H

#include "core/base.h"

struct rl_random {
    uint64_t state[4];
};

/* Any seed is fine, also 0.  The same seed gives the same numbers. */
void rl_random_init(struct rl_random *random, uint64_t seed);
uint64_t rl_random_next(struct rl_random *random);
/* A number in 0 .. bound-1, all equally likely; bound > 0. */
uint64_t rl_random_below(struct rl_random *random, uint64_t bound);
void rl_random_fill(struct rl_random *random, void *data, size_t bytes);

#endif

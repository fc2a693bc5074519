/* core/random.c — xoshiro256** (Blackman and Vigna), seeded through splitmix64. */
#include "core/random.h"
#include <string.h>

void rl_random_init(struct rl_random *random, uint64_t seed)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(random->state); i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        random->state[i] = z ^ (z >> 31);
    }
}

static uint64_t random_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t rl_random_next(struct rl_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = random_rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = random_rotate(s[3], 45);
    return result;
}

uint64_t rl_random_below(struct rl_random *random, uint64_t bound)
{
    RL_ASSERT(bound > 0);
    /* Numbers below 2^64 mod bound would make the low results likelier: draw again.  Most are not below
     * bound, which saves a division. */
    uint64_t number;
    do {
        number = rl_random_next(random);
    } while (number < bound && number < -bound % bound);
    return number % bound;
}

void rl_random_fill(struct rl_random *random, void *data, size_t bytes)
{
    uint8_t *at = data;

    while (bytes > 0) {
        uint64_t number = rl_random_next(random);
        size_t step = RL_MIN(bytes, sizeof number);
        memcpy(at, &number, step);
        at += step;
        bytes -= step;
    }
}

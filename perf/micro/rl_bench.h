/* perf/micro/rl_bench.h — a C file registers its micro benchmarks; rl_bench.cc runs them.
 *
 *     static void crc(struct rl_bench_state *state, int64_t bytes)
 *     {
 *         uint8_t *data = rl_alloc_zero(1, (size_t)bytes);
 *         while (rl_bench_next(state))
 *             rl_bench_use(rl_crc32c(0, data, (size_t)bytes));
 *         rl_bench_count_bytes(state, bytes);
 *         rl_free(data);
 *     }
 *     RL_BENCH_ARG("crc32c/64KiB", crc, 65536)
 *
 * What stands outside the loop is not timed.  One thread. */
#ifndef RL_PERF_MICRO_RL_BENCH_H
#define RL_PERF_MICRO_RL_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rl_bench_state;
typedef void rl_bench_fn(struct rl_bench_state *state, int64_t arg);

/* Before main; name is copied. */
void rl_bench_register(const char *name, rl_bench_fn *fn, int64_t arg);
/* Once more? */
bool rl_bench_next(struct rl_bench_state *state);
/* After the loop: bytes or things per iteration, for the rates. */
void rl_bench_count_bytes(struct rl_bench_state *state, int64_t bytes);
void rl_bench_count_items(struct rl_bench_state *state, int64_t items);

/* The compiler may not drop the computation of this value. */
static inline void rl_bench_use(uint64_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

#ifdef __cplusplus
}
#endif

#define RL_BENCH_CAT2(a, b) a##b
#define RL_BENCH_CAT(a, b) RL_BENCH_CAT2(a, b)
#define RL_BENCH_ARG(name, fn, arg) \
    __attribute__((constructor)) static void RL_BENCH_CAT(register_, __COUNTER__)(void) \
    { \
        rl_bench_register(name, fn, arg); \
    }
#define RL_BENCH(name, fn) RL_BENCH_ARG(name, fn, 0)

#endif

/* perf/micro/rl_bench.cc — Google Benchmark behind rl_bench.h. */
#include "perf/micro/rl_bench.h"
#include <benchmark/benchmark.h>

struct rl_bench_state {
    benchmark::State *state;
};

void rl_bench_register(const char *name, rl_bench_fn *fn, int64_t arg)
{
    benchmark::RegisterBenchmark(name, [fn, arg](benchmark::State &state) {
        rl_bench_state handle = { &state };
        fn(&handle, arg);
    });
}

bool rl_bench_next(struct rl_bench_state *state)
{
    return state->state->KeepRunning();
}

void rl_bench_count_bytes(struct rl_bench_state *state, int64_t bytes)
{
    state->state->SetBytesProcessed(static_cast<int64_t>(state->state->iterations()) * bytes);
}

void rl_bench_count_items(struct rl_bench_state *state, int64_t items)
{
    state->state->SetItemsProcessed(static_cast<int64_t>(state->state->iterations()) * items);
}

BENCHMARK_MAIN();

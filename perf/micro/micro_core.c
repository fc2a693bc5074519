/* perf/micro/micro_core.c — checksums, histogram, mailbox. */
#include "core/crc32c.h"
#include "core/histogram.h"
#include "core/memory.h"
#include "io/mailbox.h"
#include "log/batch.h"
#include "cli/bench_batch.h"
#include "perf/micro/rl_bench.h"
#include <string.h>

static void crc(struct rl_bench_state *state, int64_t bytes)
{
    uint8_t *data = rl_alloc_zero(1, (size_t)bytes);
    while (rl_bench_next(state))
        rl_bench_use(rl_crc32c(0, data, (size_t)bytes));
    rl_bench_count_bytes(state, bytes);
    rl_free(data);
}
RL_BENCH_ARG("crc32c/100B", crc, 100)
RL_BENCH_ARG("crc32c/16KiB", crc, 16 << 10)
RL_BENCH_ARG("crc32c/1MiB", crc, 1 << 20)

static void batch_check(struct rl_bench_state *state, int64_t bytes)
{
    struct rl_bench_batch made;
    struct rl_batch batch;
    rl_bench_batch_init(&made, 1024, (size_t)bytes, 1, false);
    while (rl_bench_next(state)) {
        rl_status status = rl_batch_read_header(made.bytes, made.size_bytes, &batch);
        rl_bench_use((uint64_t)status + (uint64_t)rl_batch_check(&batch));
    }
    rl_bench_count_bytes(state, (int64_t)made.size_bytes);
    rl_bench_batch_done(&made);
}
RL_BENCH_ARG("batch_check/1KiB", batch_check, 1)
RL_BENCH_ARG("batch_check/16KB", batch_check, 16384)
RL_BENCH_ARG("batch_check/900KB", batch_check, 900000)

static void histogram_record(struct rl_bench_state *state, int64_t arg)
{
    struct rl_histogram *histogram = rl_alloc_zero(1, sizeof *histogram);
    uint64_t value = (uint64_t)arg;
    while (rl_bench_next(state)) {
        value = value * 6364136223846793005u + 1442695040888963407u;
        rl_histogram_record(histogram, value >> 34);
    }
    rl_bench_use(histogram->count);
    rl_free(histogram);
}
RL_BENCH("histogram/record", histogram_record)

static void histogram_percentile(struct rl_bench_state *state, int64_t arg)
{
    struct rl_histogram *histogram = rl_alloc_zero(1, sizeof *histogram);
    for (uint64_t i = 0; i < 100000; i++)
        rl_histogram_record(histogram, i * 37 + (uint64_t)arg);
    while (rl_bench_next(state))
        rl_bench_use(rl_histogram_percentile(histogram, 99));
    rl_free(histogram);
}
RL_BENCH("histogram/p99", histogram_percentile)

/* Put, publish, take: both sides on one thread, so that no cache line travels. */
static void mailbox(struct rl_bench_state *state, int64_t count)
{
    struct rl_mailbox box;
    struct rl_msg messages[64] = { 0 };
    struct rl_msg *taken[64];
    rl_mailbox_init(&box, 64);
    while (rl_bench_next(state)) {
        bool wake;
        for (int64_t i = 0; i < count; i++)
            rl_mailbox_put(&box, &messages[i]);
        rl_bench_use(rl_mailbox_publish(&box));
        rl_bench_use(rl_mailbox_take(&box, taken, 64, &wake));
    }
    rl_bench_count_items(state, count);
    rl_mailbox_done(&box);
}
RL_BENCH_ARG("mailbox/1", mailbox, 1)
RL_BENCH_ARG("mailbox/32", mailbox, 32)

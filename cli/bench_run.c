/* cli/bench_run.c — a load from setup to result, on one shard of our own.
 *
 * setup (topic, offsets) → all connections open → warm-up → measuring → finished.  Failures end
 * the run with what happened in result->failure. */
#include "cli/bench_run.h"
#include "core/memory.h"
#include "io/backend.h"
#include "io/disk.h"
#include "io/limits.h"
#include "io/probe.h"
#include <stdio.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define PROGRESS_NS ((int64_t)1000000000)
#define STUCK_NS ((int64_t)30 * 1000000000)

void rl_bench_finish(struct rl_bench_run *run, const char *what, rl_status status)
{
    struct rl_bench_result *result = run->result;
    if (run->finished)
        return;
    run->finished = true;
    if (run->measuring) {
        result->seconds = (double)(run->shard->now_ns - run->measure_start_ns) / 1e9;
        rl_bench_usage_read(run->options->process_id, &result->after);
        if (run->interval_ns > 0) {
            double due = (double)(run->shard->now_ns - run->intended_start_ns) / run->interval_ns;
            result->behind = due > (double)run->intended_count ? (uint64_t)due - run->intended_count : 0;
        }
    }
    if (what != NULL && what != result->failure)
        snprintf(result->failure, sizeof result->failure, "%s%s%s", what, status != RL_OK ? ": " : "",
                 status != RL_OK ? rl_status_text(status) : "");
    rl_shard_set_stop(run->set);
}

void rl_bench_count_records(struct rl_bench_run *run, uint64_t records, uint64_t value_bytes, uint64_t wire_bytes)
{
    struct rl_bench_result *result = run->result;
    if (!run->measuring || run->finished)
        return;
    result->records += records;
    result->value_bytes += value_bytes;
    result->wire_bytes += wire_bytes;
    if (run->options->bytes_total > 0 && result->value_bytes >= run->options->bytes_total)
        rl_bench_finish(run, NULL, RL_OK);
}

void rl_bench_count(struct rl_bench_run *run, uint64_t records, uint64_t value_bytes, uint64_t wire_bytes, int64_t since_ns)
{
    struct rl_bench_result *result = run->result;
    if (!run->measuring || run->finished)
        return;
    int64_t latency_ns = run->shard->now_ns - since_ns;
    result->requests++;
    rl_histogram_record(&result->latency_ns, latency_ns > 0 ? (uint64_t)latency_ns : 0);
    rl_bench_count_records(run, records, value_bytes, wire_bytes);
}

static void print_progress(const struct rl_bench_run *run)
{
    const struct rl_bench_result *r = run->result;
    fprintf(stderr, "\r%s %5.1f s  %8.0f requests/s  %8.1f MB/s  p99 %.3f ms   ",
            run->measuring ? "measuring" : "warm-up  ",
            run->measuring ? (double)(run->shard->now_ns - run->measure_start_ns) / 1e9 : 0.0,
            (double)(r->requests - run->last_requests), (double)(r->value_bytes - run->last_value_bytes) / 1e6,
            (double)rl_histogram_percentile(&r->latency_ns, 99) / 1e6);
}

/* Once a second: say how it goes, and give up on a broker that does nothing any more. */
static void on_progress(struct rl_timer *timer)
{
    struct rl_bench_run *run = timer->arg;
    if (run->shard->now_ns - run->answered_ns > STUCK_NS) {
        rl_bench_finish(run, "no answer for 30 seconds", RL_OK);
        return;
    }
    if (run->options->progress && run->ready_count > 0)
        print_progress(run);
    run->last_requests = run->result->requests;
    run->last_value_bytes = run->result->value_bytes;
    rl_timer_start(run->shard, timer, run->shard->now_ns + PROGRESS_NS);
}

static void on_time_up(struct rl_timer *timer)
{
    rl_bench_finish(timer->arg, NULL, RL_OK);
}

static void measure_begin(struct rl_bench_run *run)
{
    run->measuring = true;
    run->measure_start_ns = run->shard->now_ns;
    rl_bench_usage_read(run->options->process_id, &run->result->before);
    if (run->options->seconds <= 0)
        return;
    run->phase_timer.done = on_time_up;
    rl_timer_start(run->shard, &run->phase_timer, run->shard->now_ns + (int64_t)(run->options->seconds * 1e9));
}

static void on_warm(struct rl_timer *timer)
{
    measure_begin(timer->arg);
}

static void load_begin(struct rl_bench_run *run)
{
    run->phase_timer = (struct rl_timer){ .done = on_warm, .arg = run };
    if (run->options->warmup_seconds > 0)
        rl_timer_start(run->shard, &run->phase_timer,
                       run->shard->now_ns + (int64_t)(run->options->warmup_seconds * 1e9));
    else
        measure_begin(run);
    if (run->consumer_count > 0)
        rl_bench_consume_begin(run);
    if (run->producer_count > 0)
        rl_bench_produce_begin(run);
}

static void on_load_ready(struct rl_bench_connection *c)
{
    struct rl_bench_run *run = c->arg;
    rl_bench_answered(run);
    if (++run->ready_count == run->producer_count + run->consumer_count)
        load_begin(run);
}

static void on_load_failed(struct rl_bench_connection *c, const char *what, rl_status status)
{
    rl_bench_finish(c->arg, what, status);
}

static struct rl_bench_connection *open_group(struct rl_bench_run *run, uint32_t count, uint32_t in_flight,
                                              void (*on_answer)(struct rl_bench_connection *, struct rl_bench_slot *,
                                                                struct rl_slice))
{
    struct rl_bench_connection *group = rl_alloc_zero(count, sizeof *group);
    for (uint32_t i = 0; i < count; i++) {
        struct rl_bench_connection *c = &group[i];
        c->arg = run;
        c->stopped = &run->finished;
        c->index = i;
        c->on_ready = on_load_ready;
        c->on_sent = rl_bench_produce_sent;
        c->on_answer = on_answer;
        c->on_failed = on_load_failed;
        rl_bench_connection_open(c, run->shard, run->options->host, run->options->port, in_flight,
                                 RL_BENCH_IN_BYTES);
    }
    return group;
}

static void prepare_stamped(struct rl_bench_run *run)
{
    size_t count = (size_t)run->producer_count * run->options->in_flight;
    run->stamped = rl_alloc_zero(count, sizeof *run->stamped);
    for (size_t i = 0; i < count; i++) {
        run->stamped[i] = rl_alloc(run->batch.size_bytes);
        memcpy(run->stamped[i], run->batch.bytes, run->batch.size_bytes);
    }
}

void rl_bench_open_all(struct rl_bench_run *run)
{
    const struct rl_bench_options *o = run->options;
    run->producer_count = o->mode == RL_BENCH_CONSUME ? 0 : o->connections;
    run->consumer_count = o->mode == RL_BENCH_CONSUME ? o->connections
                        : o->mode == RL_BENCH_END_TO_END ? o->consumers : 0;
    rl_bench_batch_init(&run->batch, o->record_bytes, o->batch_bytes, run->shard->wall_ms, o->keyed);
    if (o->mode == RL_BENCH_END_TO_END)
        prepare_stamped(run);
    if (run->producer_count > 0)
        run->producers = open_group(run, run->producer_count, o->in_flight, rl_bench_produce_answer);
    if (run->consumer_count > 0)
        run->consumers = open_group(run, run->consumer_count, 1, rl_bench_consume_answer);
}

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    struct rl_bench_run *run = arg;
    run->shard = shard;
    rl_arena_init(&run->arena, (size_t)64 << 10, ARENA_BYTES_MAX);
    run->progress_timer = (struct rl_timer){ .done = on_progress, .arg = run };
    rl_timer_start(shard, &run->progress_timer, shard->now_ns + PROGRESS_NS);
    rl_bench_answered(run);
    if (run->options->mode == RL_BENCH_IDLE)
        rl_bench_idle_begin(run);
    else
        rl_bench_setup(run);
    return RL_OK;
}

static void free_group(struct rl_bench_connection *group, uint32_t count)
{
    for (uint32_t i = 0; group != NULL && i < count; i++)
        rl_bench_connection_free(&group[i]);
    rl_free(group);
}

/* After the shard has ended: nothing of it is in flight any more. */
static void run_free(struct rl_bench_run *run)
{
    rl_shard_set_free(run->set);
    size_t stamped = run->stamped != NULL ? (size_t)run->producer_count * run->options->in_flight : 0;
    for (size_t i = 0; i < stamped; i++)
        rl_free(run->stamped[i]);
    rl_free(run->stamped);
    free_group(run->producers, run->producer_count);
    free_group(run->consumers, run->consumer_count);
    rl_bench_connection_free(&run->setup);
    rl_bench_batch_done(&run->batch);
    rl_arena_done(&run->arena);
    rl_free(run->offsets);
    rl_free(run->offsets_first);
    rl_free(run->positions);
    rl_free(run->consumer_first);
    rl_free(run->fetch_partitions);
    rl_free(run);
}

int rl_bench_run(const struct rl_bench_options *options, struct rl_bench_result *result)
{
    struct rl_bench_run *run = rl_alloc_zero(1, sizeof *run);
    run->options = options;
    run->result = result;
    char reason[256];
    struct rl_shard_set_options set = { .shard_count = 1, .helper_count = 1,
                                        .backend = rl_probe_backend(reason, sizeof reason),
                                        .disk = rl_disk_real() };
    uint64_t before, now;
    rl_raise_descriptor_limit(&before, &now);
    rl_status status = rl_shard_set_create(&set, &run->set);
    if (status == RL_OK)
        status = rl_shard_set_start(run->set, shard_start, run);
    if (status != RL_OK) {
        snprintf(result->failure, sizeof result->failure, "cannot start: %s", rl_status_text(status));
        return 1;
    }
    rl_shard_set_join(run->set, NULL, NULL);
    if (options->progress)
        fputc('\n', stderr);
    bool reached = run->ready_count != 0 || run->setup.fd > 0;
    run_free(run);
    return result->failure[0] == 0 ? 0 : reached ? 1 : 3;
}

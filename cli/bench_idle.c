/* cli/bench_idle.c — many connections that do nothing: what each costs the broker.
 *
 * A few connections at a time are opened, so that a short backlog suffices; each asks for the API
 * versions, as every client does, and is then left alone.  When all have their answer the broker
 * gets a moment to settle before its memory is read. */
#include "cli/bench_run.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/msg_api_versions.h"

#define AT_ONCE 16
#define IN_BYTES ((size_t)2048)         /* an answer to ApiVersions fits */
#define SETTLE_NS ((int64_t)1000000000)

static void on_settled(struct rl_timer *timer)
{
    struct rl_bench_run *run = timer->arg;
    rl_bench_usage_read(run->options->process_id, &run->result->after);
    run->measuring = false;             /* it is over, and what it took is known */
    rl_bench_finish(run, NULL, RL_OK);
}

static void idle_all_open(struct rl_bench_run *run)
{
    run->result->seconds = (double)(run->shard->now_ns - run->measure_start_ns) / 1e9;
    run->phase_timer = (struct rl_timer){ .done = on_settled, .arg = run };
    rl_timer_start(run->shard, &run->phase_timer,
                   run->shard->now_ns + RL_MAX((int64_t)(run->options->seconds * 1e9), SETTLE_NS));
}

static void idle_open_next(struct rl_bench_run *run);

static void on_idle_ready(struct rl_bench_connection *c)
{
    struct rl_bench_run *run = c->arg;
    struct rl_api_versions_request request;
    rl_api_versions_request_init(&request);
    struct rl_bench_slot *slot = rl_bench_connection_slot(c);
    rl_bench_slot_encode(slot, RL_API_API_VERSIONS, 0, 0, &request, (struct rl_slice){ 0 });
    slot->intended_ns = run->shard->now_ns;
    rl_bench_connection_queue(c);
    rl_bench_connection_flush(c);
}

static void on_idle_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame)
{
    struct rl_bench_run *run = c->arg;
    rl_bench_answered(run);
    rl_bench_count(run, 0, 0, frame.bytes, slot->intended_ns);
    run->ready_count++;
    if (run->ready_count == run->options->connections)
        idle_all_open(run);
    else
        idle_open_next(run);
}

static void on_idle_failed(struct rl_bench_connection *c, const char *what, rl_status status)
{
    rl_bench_finish(c->arg, what, status);
}

static void idle_open_next(struct rl_bench_run *run)
{
    if (run->producer_count == run->options->connections)
        return;
    struct rl_bench_connection *c = &run->producers[run->producer_count];
    c->arg = run;
    c->stopped = &run->finished;
    c->index = run->producer_count++;
    c->on_ready = on_idle_ready;
    c->on_answer = on_idle_answer;
    c->on_failed = on_idle_failed;
    rl_bench_connection_open(c, run->shard, run->options->host, run->options->port, 1, IN_BYTES);
}

void rl_bench_idle_begin(struct rl_bench_run *run)
{
    run->producers = rl_alloc_zero(run->options->connections, sizeof *run->producers);
    run->measuring = true;
    run->measure_start_ns = run->shard->now_ns;
    rl_bench_usage_read(run->options->process_id, &run->result->before);
    for (int i = 0; i < AT_ONCE; i++)
        idle_open_next(run);
}

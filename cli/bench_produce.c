/* cli/bench_produce.c — the producing half of a load: as fast as it goes, or at a given rate.
 *
 * At a rate the load is open: requests have intended moments that do not move when the broker is
 * slow, and latency counts from them, so a stall is not hidden (no coordinated omission). */
#include "cli/bench_run.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/msg_produce.h"
#include <string.h>

#define TIMEOUT_MS 30000

static struct rl_slice produce_body(struct rl_bench_run *run, const struct rl_bench_connection *c, int64_t intended_ns)
{
    struct rl_bench_batch *b = &run->batch;
    if (run->stamped == NULL)
        return rl_slice_of(b->bytes, b->size_bytes);
    struct rl_bench_batch copy = *b;
    copy.bytes = run->stamped[c->index * c->in_flight_max + c->tail % c->in_flight_max];
    rl_bench_batch_stamp(&copy, intended_ns);
    return rl_slice_of(copy.bytes, copy.size_bytes);
}

static void produce_fill(struct rl_bench_run *run, struct rl_bench_connection *c, struct rl_bench_slot *slot,
                         int64_t intended_ns)
{
    const struct rl_bench_options *o = run->options;
    struct rl_slice body = produce_body(run, c, intended_ns);
    struct rl_produce_request_partition partition = { .index = run->next_partition,
                                                      .records = { NULL, body.bytes } };
    struct rl_produce_request_topic topic = { .name = rl_slice_of_string(o->topic),
                                              .partition_data = &partition, .partition_data_count = 1 };
    struct rl_produce_request request = { .acks = o->acks, .timeout_ms = TIMEOUT_MS,
                                          .topic_data = &topic, .topic_data_count = 1 };
    rl_bench_slot_encode(slot, RL_API_PRODUCE, RL_BENCH_PRODUCE_VERSION, (int32_t)c->tail, &request, body);
    slot->intended_ns = intended_ns;
    slot->records = run->batch.record_count;
    slot->value_bytes = run->batch.value_bytes;
    slot->partition = run->next_partition;
    slot->has_answer = o->acks != 0;
    run->next_partition = (run->next_partition + 1) % o->partitions;
    rl_bench_connection_queue(c);
    if (!slot->has_answer)
        rl_bench_count(run, slot->records, slot->value_bytes, slot->prefix_bytes + body.bytes, intended_ns);
}

/* The next connection with a free slot, in turn; NULL: all are full. */
static struct rl_bench_connection *produce_choose(struct rl_bench_run *run)
{
    for (uint32_t i = 0; i < run->producer_count; i++) {
        struct rl_bench_connection *c = &run->producers[run->next_connection];
        run->next_connection = (run->next_connection + 1) % run->producer_count;
        if (rl_bench_connection_slot(c) != NULL)
            return c;
    }
    return NULL;
}

int64_t rl_bench_produce_due_ns(const struct rl_bench_run *run)
{
    return run->intended_start_ns + (int64_t)((double)run->intended_count * run->interval_ns);
}

static void on_pace(struct rl_timer *timer);

static void produce_pump(struct rl_bench_run *run)
{
    int64_t now_ns = run->shard->now_ns;
    while (!run->finished && (run->interval_ns == 0 || rl_bench_produce_due_ns(run) <= now_ns)) {
        struct rl_bench_connection *c = produce_choose(run);
        if (c == NULL)
            return;                     /* the next answer pumps again */
        produce_fill(run, c, rl_bench_connection_slot(c), run->interval_ns == 0 ? now_ns : rl_bench_produce_due_ns(run));
        run->intended_count++;
        rl_bench_connection_flush(c);
    }
    if (!run->finished && run->interval_ns != 0 && !rl_timer_running(&run->pace_timer))
        rl_timer_start(run->shard, &run->pace_timer, rl_bench_produce_due_ns(run));
}

static void on_pace(struct rl_timer *timer)
{
    produce_pump(timer->arg);
}

void rl_bench_produce_begin(struct rl_bench_run *run)
{
    const struct rl_bench_options *o = run->options;
    run->interval_ns = o->rate > 0 ? 1e9 / o->rate : 0;
    run->intended_start_ns = run->shard->now_ns;
    run->pace_timer = (struct rl_timer){ .done = on_pace, .arg = run };
    produce_pump(run);
}

/* The error of the only partition of a v7 answer. */
static int16_t answer_error(struct rl_bench_run *run, struct rl_slice frame)
{
    struct rl_reader r = rl_rd_of(frame);
    struct rl_produce_response response;
    rl_rd_i32(&r);
    rl_arena_reset(&run->arena);
    rl_status status = rl_produce_response_decode(&r, RL_BENCH_PRODUCE_VERSION, &run->arena, &response);
    if (status != RL_OK || response.responses_count != 1 || response.responses[0].partition_responses_count != 1)
        return INT16_MAX;
    return response.responses[0].partition_responses[0].error_code;
}

void rl_bench_produce_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame)
{
    struct rl_bench_run *run = c->arg;
    int16_t error = answer_error(run, frame);
    rl_bench_answered(run);
    if (error != 0) {
        snprintf(run->result->failure, sizeof run->result->failure, "Produce to partition %d: error %d",
                 slot->partition, error);
        rl_bench_finish(run, run->result->failure, RL_OK);
        return;
    }
    if (run->options->mode == RL_BENCH_PRODUCE)
        rl_bench_count(run, slot->records, slot->value_bytes, slot->prefix_bytes + slot->body.bytes, slot->intended_ns);
    produce_pump(run);
}

void rl_bench_produce_sent(struct rl_bench_connection *c)
{
    rl_bench_answered(c->arg);
    produce_pump(c->arg);
}

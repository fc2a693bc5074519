/* cli/bench_consume.c — the consuming half of a load: from the beginning, or the tail. */
#include "cli/bench_run.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/msg_fetch.h"
#include <stdio.h>
#include <string.h>

#define MAX_WAIT_MS 500
#define RESPONSE_BYTES_MIN ((size_t)50 << 20)    /* Kafka's fetch.max.bytes */

static bool consumer_reads(const struct rl_bench_run *run, uint32_t consumer, int32_t partition)
{
    return run->options->mode == RL_BENCH_END_TO_END || run->options->each ||
           (uint32_t)partition % run->consumer_count == consumer;
}

static int64_t *consumer_position(struct rl_bench_run *run, uint32_t consumer, int32_t partition)
{
    return &run->positions[(size_t)consumer * (size_t)run->options->partitions + (size_t)partition];
}

static bool partition_is_finished(struct rl_bench_run *run, uint32_t consumer, int32_t partition)
{
    return run->options->mode == RL_BENCH_CONSUME &&
           *consumer_position(run, consumer, partition) >= run->offsets[partition];
}

static void consume_fetch(struct rl_bench_run *run, struct rl_bench_connection *c)
{
    const struct rl_bench_options *o = run->options;
    struct rl_fetch_request_partition *partitions = run->fetch_partitions;
    int32_t count = 0;
    /* Every fetch begins with another partition, so that none starves behind a full answer. */
    int32_t first = run->consumer_first[c->index]++ % o->partitions;
    for (int32_t i = 0; i < o->partitions; i++) {
        int32_t p = (first + i) % o->partitions;
        if (!consumer_reads(run, c->index, p) || partition_is_finished(run, c->index, p))
            continue;
        rl_fetch_request_partition_init(&partitions[count]);
        partitions[count].partition = p;
        partitions[count].fetch_offset = *consumer_position(run, c->index, p);
        partitions[count++].partition_max_bytes = (int32_t)o->fetch_bytes;
    }
    if (count == 0 || run->finished)
        return;
    struct rl_fetch_request_topic topic = { .topic = rl_slice_of_string(o->topic), .partitions = partitions,
                                            .partitions_count = count };
    struct rl_fetch_request request;
    rl_fetch_request_init(&request);
    request.max_wait_ms = MAX_WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = (int32_t)RL_MAX(o->fetch_bytes, RESPONSE_BYTES_MIN);
    request.topics = &topic;
    request.topics_count = 1;
    struct rl_bench_slot *slot = rl_bench_connection_slot(c);
    rl_bench_slot_encode(slot, RL_API_FETCH, RL_BENCH_FETCH_VERSION, (int32_t)c->tail, &request, (struct rl_slice){ 0 });
    slot->intended_ns = run->shard->now_ns;
    rl_bench_connection_queue(c);
    rl_bench_connection_flush(c);
}

void rl_bench_consume_begin(struct rl_bench_run *run)
{
    const struct rl_bench_options *o = run->options;
    run->positions = rl_alloc_zero((size_t)run->consumer_count * (size_t)o->partitions, sizeof *run->positions);
    run->consumer_first = rl_alloc_zero(run->consumer_count, sizeof *run->consumer_first);
    run->fetch_partitions = rl_alloc_zero((size_t)o->partitions, sizeof *run->fetch_partitions);
    run->ends_left = 0;
    for (int32_t p = 0; p < o->partitions; p++) {
        if (run->offsets[p] > run->offsets_first[p])
            run->ends_left += o->each ? run->consumer_count : 1;
        for (uint32_t c = 0; c < run->consumer_count; c++)
            *consumer_position(run, c, p) = o->mode == RL_BENCH_END_TO_END ? run->offsets[p] : run->offsets_first[p];
    }
    if (o->mode == RL_BENCH_CONSUME && run->ends_left == 0) {
        rl_bench_finish(run, "the topic is empty; produce to it first", RL_OK);
        return;
    }
    for (uint32_t i = 0; i < run->consumer_count; i++)
        consume_fetch(run, &run->consumers[i]);
}

/* Until delivery: each batch is one.  When consuming only: each fetch that brought something. */
static bool answer_counts(const struct rl_bench_run *run, const struct rl_fetch_response *response)
{
    for (int32_t t = 0; t < response->responses_count && run->options->mode == RL_BENCH_CONSUME; t++)
        for (int32_t p = 0; p < response->responses[t].partitions_count; p++)
            if (response->responses[t].partitions[p].records.bytes > 0)
                return true;
    return false;
}

static void consume_batches(struct rl_bench_run *run, struct rl_bench_connection *c, int32_t partition,
                            struct rl_slice records)
{
    int64_t *position = consumer_position(run, c->index, partition);
    bool was_finished = partition_is_finished(run, c->index, partition);
    int64_t stamp_ns, next_offset;
    uint32_t count;
    size_t bytes;
    while (rl_bench_batch_read(records.data, records.bytes, &stamp_ns, &count, &next_offset, &bytes)) {
        uint64_t value_bytes = (uint64_t)count * run->options->record_bytes;
        if (run->options->mode == RL_BENCH_END_TO_END)
            rl_bench_count(run, count, value_bytes, bytes, stamp_ns);
        else
            rl_bench_count_records(run, count, value_bytes, bytes);
        records.data += bytes;
        records.bytes -= bytes;
        *position = next_offset;
    }
    if (was_finished || !partition_is_finished(run, c->index, partition))
        return;
    if (run->options->repeat)
        *position = run->offsets_first[partition];
    else if (--run->ends_left == 0)
        rl_bench_finish(run, NULL, RL_OK);
}

void rl_bench_consume_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame)
{
    struct rl_bench_run *run = c->arg;
    struct rl_reader r = rl_rd_of(frame);
    struct rl_fetch_response response;
    rl_bench_answered(run);
    rl_rd_i32(&r);
    rl_arena_reset(&run->arena);
    rl_status status = rl_fetch_response_decode(&r, RL_BENCH_FETCH_VERSION, &run->arena, &response);
    if (status != RL_OK || response.error_code != 0) {
        snprintf(run->result->failure, sizeof run->result->failure, "Fetch: error %d, %s", response.error_code,
                 rl_status_text(status));
        rl_bench_finish(run, run->result->failure, RL_OK);
        return;
    }
    if (answer_counts(run, &response))
        rl_bench_count(run, 0, 0, 0, slot->intended_ns);
    for (int32_t t = 0; t < response.responses_count; t++)
        for (int32_t p = 0; p < response.responses[t].partitions_count; p++) {
            const struct rl_fetch_response_partition *part = &response.responses[t].partitions[p];
            if (part->error_code != 0 || part->partition_index < 0 ||
                part->partition_index >= run->options->partitions) {
                snprintf(run->result->failure, sizeof run->result->failure, "Fetch from partition %d: error %d",
                         part->partition_index, part->error_code);
                rl_bench_finish(run, run->result->failure, RL_OK);
                return;
            }
            consume_batches(run, c, part->partition_index, part->records);
        }
    consume_fetch(run, c);
}

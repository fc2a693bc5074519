/* cli/bench_run.h — a run under way: what setup, producing and consuming share. */
#ifndef RL_CLI_BENCH_RUN_H
#define RL_CLI_BENCH_RUN_H

#include "cli/bench.h"
#include "cli/bench_batch.h"
#include "cli/bench_connection.h"
#include "core/arena.h"

#define RL_BENCH_PRODUCE_VERSION 7      /* records stand last, so that a prefix serves every request */
#define RL_BENCH_FETCH_VERSION 11

#define RL_BENCH_IN_BYTES ((size_t)64 << 10)

struct rl_fetch_request_partition;

struct rl_bench_run {
    const struct rl_bench_options *options;
    struct rl_bench_result *result;
    struct rl_shard *shard;
    struct rl_shard_set *set;
    struct rl_arena arena;              /* for decoding one answer */
    struct rl_bench_connection setup;
    uint32_t setup_step;
    int64_t *offsets_first, *offsets;   /* per partition: where the log begins and ends at start */
    int64_t setup_start_ns;
    struct rl_bench_connection *producers, *consumers;
    uint32_t producer_count, consumer_count, ready_count;
    bool measuring, finished;
    int64_t measure_start_ns;
    int64_t answered_ns;                /* when the broker last did something for us */
    struct rl_timer phase_timer, progress_timer, pace_timer, retry_timer;
    uint64_t last_requests, last_value_bytes;
    /* producing */
    struct rl_bench_batch batch;
    uint8_t **stamped;                  /* end-to-end: a copy of the batch per slot */
    int64_t intended_start_ns;
    uint64_t intended_count;            /* requests sent, at a rate */
    double interval_ns;
    uint32_t next_connection;
    int32_t next_partition;
    /* consuming */
    int64_t *positions;                 /* per consumer and partition */
    int32_t *consumer_first;            /* per consumer: the partition that its next fetch begins with */
    struct rl_fetch_request_partition *fetch_partitions;        /* to build a request in */
    uint64_t ends_left;                 /* of partitions, once per consumer that reads them */
};

/* The broker has done something: it is not stuck. */
static inline void rl_bench_answered(struct rl_bench_run *run)
{
    run->answered_ns = run->shard->now_ns;
}
/* Stop everything; what == NULL: it went well. */
void rl_bench_finish(struct rl_bench_run *run, const char *what, rl_status status);
/* Count one answered request or delivery, while measuring. */
void rl_bench_count(struct rl_bench_run *run, uint64_t records, uint64_t value_bytes, uint64_t wire_bytes,
                    int64_t since_ns);
/* The same without a request: one of several parts of an answer. */
void rl_bench_count_records(struct rl_bench_run *run, uint64_t records, uint64_t value_bytes, uint64_t wire_bytes);
/* Open this mode's connections and wait until all are there, then begin. */
void rl_bench_open_all(struct rl_bench_run *run);
/* setup done: offsets are known (bench_setup.c calls rl_bench_open_all) */
void rl_bench_setup(struct rl_bench_run *run);

/* Open connections a few at a time, ask each for its API versions, wait, measure (bench_idle.c). */
void rl_bench_idle_begin(struct rl_bench_run *run);
/* At a rate: when the next request is due. */
int64_t rl_bench_produce_due_ns(const struct rl_bench_run *run);
void rl_bench_produce_begin(struct rl_bench_run *run);
void rl_bench_produce_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame);
void rl_bench_produce_sent(struct rl_bench_connection *c);
void rl_bench_consume_begin(struct rl_bench_run *run);
void rl_bench_consume_answer(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame);

#endif

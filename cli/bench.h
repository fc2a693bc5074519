/* cli/bench.h — what the parts of the load generator share: what to do, and what came out. */
#ifndef RL_CLI_BENCH_H
#define RL_CLI_BENCH_H

#include "core/base.h"
#include "core/histogram.h"
#include "core/slice.h"
#include "io/shard.h"
#include "io/socket.h"
#include <stdio.h>

#define RL_BENCH_CONNECTIONS_MAX 16384
#define RL_BENCH_IN_FLIGHT_MAX 64

enum rl_bench_mode { RL_BENCH_PRODUCE, RL_BENCH_CONSUME, RL_BENCH_END_TO_END, RL_BENCH_IDLE,
                     RL_BENCH_SINK };
enum rl_bench_format { RL_BENCH_TABLE, RL_BENCH_JSON, RL_BENCH_CSV, RL_BENCH_KAFKA };

struct rl_bench_options {
    enum rl_bench_mode mode;
    enum rl_bench_format format;
    char host[RL_HOST_BYTES];           /* of the broker; the sink's own */
    uint16_t port;
    const char *topic;
    int32_t partitions;                 /* the topic is created with as many */
    uint32_t connections;               /* producing; consuming in consume mode */
    uint32_t consumers;                 /* end-to-end: each reads every partition */
    uint32_t in_flight;                 /* requests per producing connection */
    size_t record_bytes;                /* value of one record */
    size_t batch_bytes;                 /* about; at least one record */
    size_t fetch_bytes;
    int16_t acks;
    double rate;                        /* requests per second, all connections; 0: as fast as it goes */
    uint64_t bytes_total;               /* of values, 0: no limit */
    double seconds;                     /* of measuring; 0: no limit */
    double warmup_seconds;
    int64_t process_id;                 /* the broker's, 0: unknown: its CPU time is not told */
    const char *topic_config;           /* "key=value,key=value" or NULL */
    bool keyed;                         /* records have keys of 16 bytes */
    bool each;                          /* consume: every connection reads all partitions */
    bool repeat;                        /* consume: begin again at the end, until seconds are over */
    bool progress;
    const char *sink_file;              /* sink: check what is produced and write it there; or NULL */
};

struct rl_bench_usage {                 /* of a process and of the machine, at one moment */
    double process_cpu_seconds;
    double machine_busy_seconds;
    double resident_mib;
};

struct rl_bench_result {
    uint64_t requests, records, value_bytes, wire_bytes;
    double seconds;
    struct rl_bench_usage before, after;
    struct rl_histogram latency_ns;     /* from the intended moment to the answer or delivery */
    uint64_t behind;                    /* at a rate: requests due at the end and not sent yet */
    char failure[256];                  /* why it could not go on, or "" */
};

/* /proc of the broker and the machine; zeros where it cannot be read. */
void rl_bench_usage_read(int64_t process_id, struct rl_bench_usage *ret_usage);
/* Print in the format asked. */
void rl_bench_report(FILE *to, const struct rl_bench_options *options, const struct rl_bench_result *result);
/* Run the load on one shard of our own.  Main thread.  Exit code: 0 fine, 1 failed, 3 no broker. */
int rl_bench_run(const struct rl_bench_options *options, struct rl_bench_result *result);
/* `ringlog bench sink`: answer like a broker that keeps nothing.  Main thread; until killed.
 * Returns the exit code of a start that failed. */
int rl_bench_sink_run(const struct rl_bench_options *options);
/* `ringlog bench ...` */
int rl_bench_command(int argc, char **argv);

#endif

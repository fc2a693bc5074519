/* perf/instructions/driver.c — each hot request many times, for callgrind.
 *
 * Run by perf/instructions/check.  A case warms up, zeroes the counters, sends its request
 * RL_REPEAT times, and dumps the counters under its name: the difference to a run of nothing is
 * not needed, because between zero and dump there is nothing else. */
#include "core/memory.h"
#include "perf/memory_broker.h"
#include <stdio.h>
#include <string.h>
#include <valgrind/callgrind.h>

#define WARM_UP 40
#define REPEAT 50                       /* check divides by it */
#define KIB 1024
#define FULL_BATCHES 200

static struct rl_memory_broker *broker;

static void count(const char *name, struct rl_slice frame)
{
    for (int i = 0; i < WARM_UP; i++)
        rl_memory_broker_call(broker, frame);
    CALLGRIND_ZERO_STATS;
    for (int i = 0; i < REPEAT; i++)
        rl_memory_broker_call(broker, frame);
    CALLGRIND_DUMP_STATS_AT(name);
    printf("%s %d\n", name, REPEAT);
    fflush(stdout);
    rl_free((void *)(uintptr_t)frame.data);
}

static void fresh_topic(const char *name, int32_t partitions, struct rl_uuid *ret_id)
{
    rl_memory_broker_create_topic(broker, name, partitions);
    *ret_id = rl_memory_broker_topic_id(broker, name);
}

static void count_produce(void)
{
    static const struct { const char *name; struct rl_memory_produce what; } cases[] = {
        { "produce-v7-1KiB", { .version = 7, .acks = 1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 1 } },
        { "produce-v9-1KiB", { .version = 9, .acks = 1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 1 } },
        { "produce-v13-1KiB", { .version = 13, .acks = 1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 1 } },
        { "produce-v13-16KB", { .version = 13, .acks = 1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 16384 } },
        { "produce-v13-16KB-all", { .version = 13, .acks = -1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 16384 } },
        { "produce-v13-16KB-100B", { .version = 13, .acks = 1, .partitions = 1, .record_bytes = 100, .batch_bytes = 16384 } },
        { "produce-v13-900KB", { .version = 13, .acks = 1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 900000 } },
        { "produce-v13-10x1KB", { .version = 13, .acks = 1, .partitions = 10, .record_bytes = 100, .batch_bytes = 1000 } },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        struct rl_memory_produce what = cases[i].what;
        what.topic = cases[i].name;
        fresh_topic(what.topic, what.partitions, &what.topic_id);
        count(cases[i].name, rl_memory_produce_frame(&what));
    }
}

/* A topic to read from: FULL_BATCHES batches of 16 KB in each partition. */
static void fill(const char *topic, struct rl_uuid id, int32_t partitions)
{
    struct rl_memory_produce what = { .topic = topic, .topic_id = id, .version = 13, .acks = 1,
                                      .partitions = partitions, .record_bytes = KIB, .batch_bytes = 16384 };
    struct rl_slice frame = rl_memory_produce_frame(&what);
    for (int i = 0; i < FULL_BATCHES; i++)
        rl_memory_broker_call(broker, frame);
    rl_free((void *)(uintptr_t)frame.data);
}

static void count_fetch(void)
{
    /* 15 records a batch: offset 1500 is the hundredth, 3000 the end. */
    static const struct { const char *name; struct rl_memory_fetch what; } cases[] = {
        { "fetch-v11-16KB", { .version = 11, .partitions = 1, .offset = 1500, .partition_bytes_max = 16384 } },
        { "fetch-v13-16KB", { .version = 13, .partitions = 1, .offset = 1500, .partition_bytes_max = 16384 } },
        { "fetch-v17-16KB", { .version = 17, .partitions = 1, .offset = 1500, .partition_bytes_max = 16384 } },
        { "fetch-v17-1MiB", { .version = 17, .partitions = 1, .offset = 1500, .partition_bytes_max = 1 << 20 } },
        { "fetch-v17-10x16KB", { .version = 17, .partitions = 10, .offset = 1500, .partition_bytes_max = 16384 } },
        { "fetch-v17-empty", { .version = 17, .partitions = 1, .offset = 3000, .partition_bytes_max = 1 << 20 } },
        { "fetch-v17-10-empty", { .version = 17, .partitions = 10, .offset = 3000, .partition_bytes_max = 1 << 20 } },
    };
    struct rl_uuid id;
    fresh_topic("full", 10, &id);
    fill("full", id, 10);
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        struct rl_memory_fetch what = cases[i].what;
        what.topic = "full";
        what.topic_id = id;
        count(cases[i].name, rl_memory_fetch_frame(&what));
    }
}

static void count_metadata(void)
{
    struct rl_uuid id;
    fresh_topic("metadata", 3, &id);
    count("metadata-v1-one", rl_memory_metadata_frame(1, "metadata"));
    count("metadata-v12-one", rl_memory_metadata_frame(12, "metadata"));
    count("metadata-v12-all", rl_memory_metadata_frame(12, NULL));
    count("api-versions-v0", rl_memory_api_versions_frame(0));
    count("api-versions-v4", rl_memory_api_versions_frame(4));
}

int main(void)
{
    broker = rl_memory_broker_create();
    count_metadata();
    count_produce();
    count_fetch();
    rl_memory_broker_free(broker);
    return 0;
}

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
#define OFFSET_IN_FILE 300              /* 15 records a batch */
#define OFFSET_IN_TAIL 1980
#define OFFSET_END 3000
#define NAME_BYTES 64

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

/* Of one produce request; name is the topic's, too. */
static void count_one_produce(const char *name, struct rl_memory_produce what)
{
    what.topic = name;
    fresh_topic(name, what.partitions, &what.topic_id);
    count(name, rl_memory_produce_frame(&what));
}

static void count_produce(void)
{
    static const int16_t versions[] = { 3, 7, 9, 13 };
    static const struct { const char *name; size_t batch_bytes; } sizes[] = {
        { "1KiB", 1 }, { "16KB", 16384 }, { "900KB", 900000 },
    };
    for (size_t v = 0; v < RL_ARRAY_COUNT(versions); v++)
        for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "produce-v%d-%s", versions[v], sizes[i].name);
            count_one_produce(name, (struct rl_memory_produce){
                .version = versions[v], .acks = 1, .partitions = 1, .record_bytes = KIB,
                .batch_bytes = sizes[i].batch_bytes });
        }
    count_one_produce("produce-v13-16KB-all", (struct rl_memory_produce){
        .version = 13, .acks = -1, .partitions = 1, .record_bytes = KIB, .batch_bytes = 16384 });
    count_one_produce("produce-v13-16KB-100B", (struct rl_memory_produce){
        .version = 13, .acks = 1, .partitions = 1, .record_bytes = 100, .batch_bytes = 16384 });
    count_one_produce("produce-v13-10x1KB", (struct rl_memory_produce){
        .version = 13, .acks = 1, .partitions = 10, .record_bytes = 100, .batch_bytes = 1000 });
}

/* A topic to read from: FULL_BATCHES batches of 16 KB in each partition, 32 MB in all: the newer half
 * is in the shard's tail in memory, the older one only in its files. */
static void fill(const char *topic, struct rl_uuid id, int32_t partitions)
{
    struct rl_memory_produce what = { .topic = topic, .topic_id = id, .version = 13, .acks = 1,
                                      .partitions = partitions, .record_bytes = KIB, .batch_bytes = 16384 };
    struct rl_slice frame = rl_memory_produce_frame(&what);
    for (int i = 0; i < FULL_BATCHES; i++)
        rl_memory_broker_call(broker, frame);
    rl_free((void *)(uintptr_t)frame.data);
}

static void count_one_fetch(const char *name, struct rl_uuid id, struct rl_memory_fetch what)
{
    what.topic = "full";
    what.topic_id = id;
    count(name, rl_memory_fetch_frame(&what));
}

static void count_fetch(void)
{
    static const int16_t versions[] = { 4, 11, 13, 17 };
    static const struct { const char *name; int64_t offset; int32_t bytes; } sizes[] = {
        { "16KB", OFFSET_IN_TAIL, 16384 }, { "1MiB", OFFSET_IN_TAIL, 1 << 20 },
        { "16KB-file", OFFSET_IN_FILE, 16384 }, { "1MiB-file", OFFSET_IN_FILE, 1 << 20 },
        { "empty", OFFSET_END, 1 << 20 },
    };
    struct rl_uuid id;
    fresh_topic("full", 10, &id);
    fill("full", id, 10);
    for (size_t v = 0; v < RL_ARRAY_COUNT(versions); v++)
        for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "fetch-v%d-%s", versions[v], sizes[i].name);
            count_one_fetch(name, id, (struct rl_memory_fetch){
                .version = versions[v], .partitions = 1, .offset = sizes[i].offset,
                .partition_bytes_max = sizes[i].bytes });
        }
    count_one_fetch("fetch-v17-10x16KB", id, (struct rl_memory_fetch){
        .version = 17, .partitions = 10, .offset = OFFSET_IN_TAIL, .partition_bytes_max = 16384 });
    count_one_fetch("fetch-v17-10-empty", id, (struct rl_memory_fetch){
        .version = 17, .partitions = 10, .offset = OFFSET_END, .partition_bytes_max = 1 << 20 });
}

/* A consumer of a thousand partitions without news: in full, and in a session. */
static void count_sessions(void)
{
    enum { PARTITIONS = 1000, VERSION = 17 };
    struct rl_memory_fetch what = { .topic = "thousand", .version = VERSION, .partitions = PARTITIONS,
                                    .partition_bytes_max = 1 << 20 };
    fresh_topic("thousand", PARTITIONS, &what.topic_id);
    count("fetch-v17-1000-empty", rl_memory_fetch_frame(&what));
    what.session_epoch = 1;
    struct rl_slice frame = rl_memory_fetch_frame(&what);
    what.session_id = rl_memory_fetch_session(rl_memory_broker_call(broker, frame), VERSION);
    what.partitions = 0;
    rl_free((void *)(uintptr_t)frame.data);
    struct rl_slice frames[WARM_UP + REPEAT];           /* each has an epoch of its own */
    for (int i = 0; i < WARM_UP + REPEAT; i++) {
        what.session_epoch = i + 1;
        frames[i] = rl_memory_fetch_frame(&what);
    }
    for (int i = 0; i < WARM_UP; i++)
        rl_memory_broker_call(broker, frames[i]);
    CALLGRIND_ZERO_STATS;
    for (int i = WARM_UP; i < WARM_UP + REPEAT; i++)
        rl_memory_broker_call(broker, frames[i]);
    CALLGRIND_DUMP_STATS_AT("fetch-v17-session-1000");
    printf("fetch-v17-session-1000 %d\n", REPEAT);
    fflush(stdout);
    for (int i = 0; i < WARM_UP + REPEAT; i++)
        rl_free((void *)(uintptr_t)frames[i].data);
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
    broker = rl_memory_broker_create(1);
    count_metadata();
    count_produce();
    count_fetch();
    count_sessions();
    rl_memory_broker_free(broker);
    return 0;
}

/* perf/micro/micro_broker.c — whole requests against the broker on a kernel in memory, and the
 * index.  A request's time includes the copies of that kernel, the same in every revision. */
#include "core/memory.h"
#include "log/index.h"
#include "perf/memory_broker.h"
#include "perf/micro/rl_bench.h"

#define FILL_BATCHES 100
/* The disk in memory keeps everything: begin anew before it is too much. */
#define APPENDED_BYTES_MAX ((size_t)256 << 20)

static struct rl_memory_broker *broker_new(struct rl_uuid *ret_id)
{
    struct rl_memory_broker *broker = rl_memory_broker_create(1);
    rl_memory_broker_create_topic(broker, "some-topic", 10);
    *ret_id = rl_memory_broker_topic_id(broker, "some-topic");
    return broker;
}

static void produce(struct rl_bench_state *state, int64_t batch_bytes)
{
    struct rl_uuid id;
    struct rl_memory_broker *broker = broker_new(&id);
    struct rl_slice frame = rl_memory_produce_frame(&(struct rl_memory_produce){
        .topic = "some-topic", .version = 9, .acks = 1, .partitions = 1, .record_bytes = 1024,
        .batch_bytes = (size_t)batch_bytes });
    size_t appended = 0;
    while (rl_bench_next(state)) {
        rl_bench_use(rl_memory_broker_call(broker, frame).bytes);
        appended += frame.bytes;
        if (appended > APPENDED_BYTES_MAX) {
            rl_memory_broker_free(broker);
            broker = broker_new(&id);
            appended = 0;
        }
    }
    rl_bench_count_bytes(state, (int64_t)frame.bytes);
    rl_free((void *)(uintptr_t)frame.data);
    rl_memory_broker_free(broker);
}
RL_BENCH_ARG("request/produce-1KiB", produce, 1)
RL_BENCH_ARG("request/produce-16KB", produce, 16384)
RL_BENCH_ARG("request/produce-900KB", produce, 900000)

static void request_repeat(struct rl_bench_state *state, struct rl_memory_broker *broker, struct rl_slice frame)
{
    while (rl_bench_next(state))
        rl_bench_use(rl_memory_broker_call(broker, frame).bytes);
    rl_free((void *)(uintptr_t)frame.data);
    rl_memory_broker_free(broker);
}

/* Fetch planning and the read from the tail; 0 bytes: from the end, nothing there. */
static void fetch(struct rl_bench_state *state, int64_t bytes)
{
    struct rl_uuid id;
    struct rl_memory_broker *broker = broker_new(&id);
    struct rl_slice frame = rl_memory_produce_frame(&(struct rl_memory_produce){
        .topic = "some-topic", .version = 9, .acks = 1, .partitions = 1, .record_bytes = 1024, .batch_bytes = 16384 });
    for (int i = 0; i < FILL_BATCHES; i++)
        rl_memory_broker_call(broker, frame);
    rl_free((void *)(uintptr_t)frame.data);
    frame = rl_memory_fetch_frame(&(struct rl_memory_fetch){
        .topic = "some-topic", .topic_id = id, .version = 17, .partitions = 1,
        .offset = bytes > 0 ? 15 : 15 * FILL_BATCHES, .partition_bytes_max = bytes > 0 ? (int32_t)bytes : 1 << 20 });
    request_repeat(state, broker, frame);
}
RL_BENCH_ARG("request/fetch-empty", fetch, 0)
RL_BENCH_ARG("request/fetch-16KB", fetch, 16384)
RL_BENCH_ARG("request/fetch-1MiB", fetch, 1 << 20)

static void metadata(struct rl_bench_state *state, int64_t version)
{
    struct rl_uuid id;
    request_repeat(state, broker_new(&id), rl_memory_metadata_frame((int16_t)version, "some-topic"));
}
RL_BENCH_ARG("request/metadata", metadata, 12)

static void api_versions(struct rl_bench_state *state, int64_t version)
{
    struct rl_uuid id;
    request_repeat(state, broker_new(&id), rl_memory_api_versions_frame((int16_t)version));
}
RL_BENCH_ARG("request/api-versions", api_versions, 4)

static void index_find(struct rl_bench_state *state, int64_t entries)
{
    struct rl_index_memory *index = rl_index_memory_create();
    for (int64_t i = 0; i < entries; i++)
        rl_index_note(index, 4096, (uint32_t)(i * 10 + 9), (uint32_t)(i * 5000), 5000, i, (uint32_t)(i * 10));
    struct rl_index_entry entry = { 0 };
    uint32_t offset = 1;
    while (rl_bench_next(state)) {
        offset = (offset * 1664525u + 1013904223u) % (uint32_t)(entries * 10);
        rl_bench_use(rl_index_memory_find(index, offset, &entry));
        rl_bench_use(entry.pos);
    }
    rl_index_memory_free(index);
}
RL_BENCH_ARG("index/find-100", index_find, 100)
RL_BENCH_ARG("index/find-100000", index_find, 100000)

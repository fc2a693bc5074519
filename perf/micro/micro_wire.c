/* perf/micro/micro_wire.c — decode and encode of the hot messages, from frames as they arrive. */
#include "core/arena.h"
#include "core/memory.h"
#include "perf/memory_broker.h"
#include "perf/micro/rl_bench.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include <stdio.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define OUT_BYTES ((size_t)1 << 20)

static const struct rl_uuid some_id = { .bytes = { 1, 2, 3 } };

static struct rl_slice some_frame(int16_t key, int16_t version)
{
    switch (key) {
    case RL_API_PRODUCE:
        return rl_memory_produce_frame(&(struct rl_memory_produce){
            .topic = "some-topic", .topic_id = some_id, .version = version, .acks = 1, .partitions = 10,
            .record_bytes = 100, .batch_bytes = 1000 });
    case RL_API_FETCH:
        return rl_memory_fetch_frame(&(struct rl_memory_fetch){
            .topic = "some-topic", .topic_id = some_id, .version = version, .partitions = 10,
            .partition_bytes_max = 1 << 20 });
    case RL_API_METADATA:
        return rl_memory_metadata_frame(version, "some-topic");
    default:
        return rl_memory_api_versions_frame(version);
    }
}

/* arg: API key << 8 | version */
static void decode(struct rl_bench_state *state, int64_t arg)
{
    int16_t key = (int16_t)(arg >> 8), version = (int16_t)(arg & 255);
    const struct rl_message_info *info = &rl_api_find(key)->request;
    struct rl_slice frame = some_frame(key, version);
    void *message = rl_alloc_zero(1, info->struct_bytes);
    struct rl_arena arena;
    rl_arena_init(&arena, 16384, ARENA_BYTES_MAX);
    while (rl_bench_next(state)) {
        struct rl_reader r = rl_rd_of(rl_slice_of(frame.data + 4, frame.bytes - 4));
        struct rl_request_header header;
        rl_arena_reset(&arena);
        rl_bench_use((uint64_t)rl_request_header_read(&r, &header));
        rl_bench_use((uint64_t)info->decode(&r, version, &arena, message));
    }
    rl_arena_done(&arena);
    rl_free(message);
    rl_free((void *)(uintptr_t)frame.data);
}
RL_BENCH_ARG("decode/Produce-v7-10", decode, RL_API_PRODUCE << 8 | 7)
RL_BENCH_ARG("decode/Produce-v13-10", decode, RL_API_PRODUCE << 8 | 13)
RL_BENCH_ARG("decode/Fetch-v11-10", decode, RL_API_FETCH << 8 | 11)
RL_BENCH_ARG("decode/Fetch-v17-10", decode, RL_API_FETCH << 8 | 17)
RL_BENCH_ARG("decode/Metadata-v12", decode, RL_API_METADATA << 8 | 12)
RL_BENCH_ARG("decode/ApiVersions-v4", decode, RL_API_API_VERSIONS << 8 | 4)

/* Every API there is, its newest version: a request with its defaults, there and back. */
static void codec(struct rl_bench_state *state, int64_t row)
{
    const struct rl_api_info *api = &rl_api_table[row];
    void *message = rl_alloc_zero(1, api->request.struct_bytes), *copy = rl_alloc_zero(1, api->request.struct_bytes);
    uint8_t *out = rl_alloc(OUT_BYTES);
    struct rl_arena arena;
    rl_arena_init(&arena, 16384, ARENA_BYTES_MAX);
    api->request.init(message);
    while (rl_bench_next(state)) {
        size_t bytes = api->request.size(api->max_version, message);
        struct rl_writer w = rl_wr_of(out, bytes);
        api->request.encode(&w, api->max_version, message);
        rl_bench_use((uint64_t)rl_wr_done(&w));
        struct rl_reader r = rl_rd_of(rl_slice_of(out, bytes));
        rl_arena_reset(&arena);
        rl_bench_use((uint64_t)api->request.decode(&r, api->max_version, &arena, copy));
    }
    rl_arena_done(&arena);
    rl_free(out);
    rl_free(copy);
    rl_free(message);
}

__attribute__((constructor)) static void register_codec(void)
{
    for (int64_t i = 0; i < RL_API_COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "codec/%s-v%d", rl_api_table[i].name, rl_api_table[i].max_version);
        rl_bench_register(name, codec, i);
    }
}

/* Answers as the broker gives them: taken once from a broker in memory, then encoded again. */
static void encode(struct rl_bench_state *state, int64_t arg)
{
    int16_t key = (int16_t)(arg >> 8), version = (int16_t)(arg & 255);
    const struct rl_message_info *info = &rl_api_find(key)->response;
    struct rl_memory_broker *broker = rl_memory_broker_create(1);
    rl_memory_broker_create_topic(broker, "some-topic", 10);
    struct rl_slice frame = some_frame(key, version);
    struct rl_reader r = rl_rd_of(rl_memory_broker_call(broker, frame));
    struct rl_arena arena;
    struct rl_response_header header;
    rl_arena_init(&arena, 16384, ARENA_BYTES_MAX);
    rl_status status = rl_response_header_decode(&r, rl_response_header_version(key, version), &arena, &header);
    void *message = rl_alloc_zero(1, info->struct_bytes);
    if (status == RL_OK)
        status = info->decode(&r, version, &arena, message);
    RL_ASSERT(status == RL_OK);
    uint8_t *out = rl_alloc(OUT_BYTES);
    while (rl_bench_next(state)) {
        struct rl_writer w = rl_wr_of(out, info->size(version, message));
        info->encode(&w, version, message);
        rl_bench_use((uint64_t)rl_wr_done(&w));
    }
    rl_free(out);
    rl_free(message);
    rl_arena_done(&arena);
    rl_free((void *)(uintptr_t)frame.data);
    rl_memory_broker_free(broker);
}
RL_BENCH_ARG("encode/Produce-v7-10", encode, RL_API_PRODUCE << 8 | 7)
RL_BENCH_ARG("encode/Fetch-v11-10", encode, RL_API_FETCH << 8 | 11)
RL_BENCH_ARG("encode/Metadata-v12", encode, RL_API_METADATA << 8 | 12)
RL_BENCH_ARG("encode/ApiVersions-v4", encode, RL_API_API_VERSIONS << 8 | 4)

/* perf/memory_requests.c — frames of the hot requests. */
#include "cli/bench_batch.h"
#include "core/memory.h"
#include "perf/memory_broker.h"
#include "wire/api_table.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_fetch.h"
#include "wire/msg_metadata.h"
#include "wire/msg_produce.h"
#include "wire/msg_response_header.h"

#define TIMESTAMP_MS INT64_C(1795348800000)     /* the clock of the kernel in memory */
#define RESPONSE_BYTES_MAX (50 << 20)           /* Kafka's fetch.max.bytes */

struct rl_slice rl_memory_produce_frame(const struct rl_memory_produce *what)
{
    struct rl_bench_batch batch;
    rl_bench_batch_init(&batch, what->record_bytes, what->batch_bytes, TIMESTAMP_MS, false);
    struct rl_produce_request_partition *partitions = rl_alloc_zero((size_t)what->partitions, sizeof *partitions);
    for (int32_t i = 0; i < what->partitions; i++)
        partitions[i] = (struct rl_produce_request_partition){
            .index = what->partition_first + i, .records = rl_slice_of(batch.bytes, batch.size_bytes) };
    struct rl_produce_request_topic topic = { .name = rl_slice_of_string(what->topic), .topic_id = what->topic_id,
                                              .partition_data = partitions,
                                              .partition_data_count = what->partitions };
    struct rl_produce_request request = { .acks = what->acks, .timeout_ms = 30000, .topic_data = &topic,
                                          .topic_data_count = 1 };
    struct rl_slice frame = rl_memory_broker_frame(RL_API_PRODUCE, what->version, &request);
    rl_free(partitions);
    rl_bench_batch_done(&batch);
    return frame;
}

struct rl_slice rl_memory_fetch_frame(const struct rl_memory_fetch *what)
{
    struct rl_fetch_request_partition *partitions = rl_alloc_zero((size_t)what->partitions, sizeof *partitions);
    for (int32_t i = 0; i < what->partitions; i++) {
        rl_fetch_request_partition_init(&partitions[i]);
        partitions[i].partition = what->partition_first + i;
        partitions[i].fetch_offset = what->offset;
        partitions[i].partition_max_bytes = what->partition_bytes_max;
    }
    struct rl_fetch_request_topic topic = { .topic = rl_slice_of_string(what->topic), .topic_id = what->topic_id,
                                            .partitions = partitions, .partitions_count = what->partitions };
    struct rl_fetch_request request;
    rl_fetch_request_init(&request);
    request.max_wait_ms = what->wait_ms;
    request.min_bytes = 1;
    request.max_bytes = RESPONSE_BYTES_MAX;
    request.topics = &topic;
    request.topics_count = what->partitions > 0;
    request.session_id = what->session_id;
    request.session_epoch = what->session_id != 0 ? what->session_epoch : what->session_epoch - 1;
    struct rl_slice frame = rl_memory_broker_frame(RL_API_FETCH, what->version, &request);
    rl_free(partitions);
    return frame;
}

int32_t rl_memory_fetch_session(struct rl_slice answer, int16_t version)
{
    struct rl_reader reader = rl_rd_of(answer);
    struct rl_arena arena;
    struct rl_response_header header;
    struct rl_fetch_response response;
    rl_arena_init(&arena, 65536, SIZE_MAX);
    RL_ASSERT(rl_response_header_decode(&reader, 1, &arena, &header) == RL_OK);
    RL_ASSERT(rl_fetch_response_decode(&reader, version, &arena, &response) == RL_OK);
    RL_ASSERT(response.error_code == 0 && response.session_id > 0);
    rl_arena_done(&arena);
    return response.session_id;
}

struct rl_slice rl_memory_metadata_frame(int16_t version, const char *name)
{
    struct rl_metadata_request_topic topic;
    rl_metadata_request_topic_init(&topic);
    topic.name = name != NULL ? rl_slice_of_string(name) : (struct rl_slice){ 0 };
    struct rl_metadata_request request;
    rl_metadata_request_init(&request);
    request.topics = name != NULL ? &topic : NULL;
    request.topics_count = name != NULL ? 1 : -1;
    return rl_memory_broker_frame(RL_API_METADATA, version, &request);
}

struct rl_slice rl_memory_api_versions_frame(int16_t version)
{
    struct rl_api_versions_request request;
    rl_api_versions_request_init(&request);
    request.client_software_name = rl_slice_of_string("perf");
    request.client_software_version = rl_slice_of_string("1");
    return rl_memory_broker_frame(RL_API_API_VERSIONS, version, &request);
}

/* cli/bench_sink.c — a broker that keeps nothing: what the generator itself can do.
 *
 * It shares the connections' code with the real broker (net/) and nothing else: Produce is decoded
 * and acknowledged, nothing is checked or stored; every partition seems to hold the same batch
 * again and again, so that Fetch has something to send from memory.
 *
 * With --file the CRC of what is produced is computed and the bytes are appended to one file: the
 * floor, what any broker that checks and keeps its records pays at least on this machine.
 *
 * Failures: an API or version it does not know closes the connection; a write that fails ends it. */
#include "cli/bench.h"
#include "cli/bench_batch.h"
#include "core/buffer.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "io/backend.h"
#include "io/disk.h"
#include "io/limits.h"
#include "io/probe.h"
#include "net/net.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_fetch.h"
#include "wire/msg_list_offsets.h"
#include "wire/msg_metadata.h"
#include "wire/msg_produce.h"
#include <stdio.h>
#include <string.h>

#define SINK_NODE 1
#define SINK_BATCHES ((int64_t)200000)          /* that a partition seems to hold */
#define FRAME_BYTES_MAX ((size_t)100 << 20)
#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define BATCHES_PER_PARTITION_MAX 4096
#define UNSUPPORTED_VERSION 35

struct sink {
    const struct rl_bench_options *options;
    struct rl_bench_batch batch;        /* what Fetch sends */
    uint16_t port;
    int64_t base_offset;                /* given to the next batch, whatever its partition */
    int file;                           /* -1: none */
    uint64_t file_bytes;
};

static const struct rl_api_versions_response_api_version sink_apis[] = {
    { RL_API_PRODUCE, 3, 9 }, { RL_API_FETCH, 4, 12 }, { RL_API_LIST_OFFSETS, 1, 6 },
    { RL_API_METADATA, 1, 9 }, { RL_API_API_VERSIONS, 0, 3 }, { RL_API_CREATE_TOPICS, 2, 6 },
};

static struct sink *sink_of(const struct rl_request *request)
{
    return rl_connection_handler_arg(request->connection);
}

static void *sink_array(struct rl_request *request, int32_t count, size_t bytes)
{
    return rl_arena_alloc_array(&request->arena, (size_t)RL_MAX(count, 1), bytes);
}

static void sink_reply(struct rl_request *request, const void *message)
{
    const struct rl_message_info *info = &rl_api_find(request->api_key)->response;
    struct rl_response_header header = { .correlation_id = request->correlation_id };
    int16_t header_version = rl_response_header_version(request->api_key, request->api_version);
    size_t bytes = rl_response_header_size(header_version, &header) + info->size(request->api_version, message);
    struct rl_buffer *buffer = rl_buffer_create(bytes, rl_connection_shard(request->connection)->index);
    struct rl_writer w = rl_wr_of(buffer->data, bytes);
    rl_response_header_encode(&w, header_version, &header);
    info->encode(&w, request->api_version, message);
    RL_ASSERT(rl_wr_done(&w) == RL_OK);
    struct rl_chunk chunk = { .data = buffer->data, .bytes = bytes, .buffer = buffer };
    rl_request_reply(request, &chunk, 1);
}

/* ---- the APIs ---- */

static void sink_api_versions(struct rl_request *request)
{
    struct rl_api_versions_response response;
    rl_api_versions_response_init(&response);
    if (request->api_version > 3) {
        request->api_version = 0;
        response.error_code = UNSUPPORTED_VERSION;
    }
    response.api_keys = (struct rl_api_versions_response_api_version *)(uintptr_t)sink_apis;
    response.api_keys_count = RL_ARRAY_COUNT(sink_apis);
    sink_reply(request, &response);
}

static void metadata_topic(struct rl_request *request, struct rl_metadata_response_topic *t, struct rl_slice name)
{
    static const int32_t nodes[] = { SINK_NODE };
    rl_metadata_response_topic_init(t);
    t->name = name;
    t->partitions_count = sink_of(request)->options->partitions;
    t->partitions = sink_array(request, t->partitions_count, sizeof *t->partitions);
    for (int32_t p = 0; t->partitions != NULL && p < t->partitions_count; p++) {
        rl_metadata_response_partition_init(&t->partitions[p]);
        t->partitions[p].partition_index = p;
        t->partitions[p].leader_id = SINK_NODE;
        t->partitions[p].replica_nodes = t->partitions[p].isr_nodes = nodes;
        t->partitions[p].replica_nodes_count = t->partitions[p].isr_nodes_count = 1;
    }
}

static void sink_metadata(struct rl_request *request, const struct rl_metadata_request *asked)
{
    char host[RL_HOST_BYTES];
    uint16_t port;
    rl_connection_local_address(request->connection, host, &port);
    struct rl_metadata_response_broker broker;
    rl_metadata_response_broker_init(&broker);
    broker.node_id = SINK_NODE;
    broker.host = rl_slice_of_string(host);
    broker.port = port;
    struct rl_metadata_response response;
    rl_metadata_response_init(&response);
    response.brokers = &broker;
    response.brokers_count = 1;
    response.controller_id = SINK_NODE;
    response.topics_count = RL_MAX(asked->topics_count, 0);
    response.topics = sink_array(request, response.topics_count, sizeof *response.topics);
    for (int32_t i = 0; i < response.topics_count; i++)
        metadata_topic(request, &response.topics[i], asked->topics[i].name);
    sink_reply(request, &response);
}

static void sink_create_topics(struct rl_request *request, const struct rl_create_topics_request *asked)
{
    struct rl_create_topics_response response;
    rl_create_topics_response_init(&response);
    response.topics_count = asked->topics_count;
    response.topics = sink_array(request, asked->topics_count, sizeof *response.topics);
    for (int32_t i = 0; i < asked->topics_count; i++) {
        rl_create_topics_response_topic_init(&response.topics[i]);
        response.topics[i].name = asked->topics[i].name;
    }
    sink_reply(request, &response);
}

static void sink_list_offsets(struct rl_request *request, const struct rl_list_offsets_request *asked)
{
    const struct sink *sink = sink_of(request);
    struct rl_list_offsets_response response;
    rl_list_offsets_response_init(&response);
    response.topics_count = asked->topics_count;
    response.topics = sink_array(request, asked->topics_count, sizeof *response.topics);
    for (int32_t t = 0; t < asked->topics_count; t++) {
        struct rl_list_offsets_response_topic *to = &response.topics[t];
        to->name = asked->topics[t].name;
        to->partitions_count = asked->topics[t].partitions_count;
        to->partitions = sink_array(request, to->partitions_count, sizeof *to->partitions);
        for (int32_t p = 0; to->partitions != NULL && p < to->partitions_count; p++) {
            rl_list_offsets_response_partition_init(&to->partitions[p]);
            to->partitions[p].partition_index = asked->topics[t].partitions[p].partition_index;
            to->partitions[p].offset = asked->topics[t].partitions[p].timestamp == -2 ? 0
                                     : SINK_BATCHES * (int64_t)sink->batch.record_count;
        }
    }
    sink_reply(request, &response);
}

/* What a broker cannot do without: one look at the bytes, one copy into the page cache. */
static void sink_keep(struct sink *sink, struct rl_slice records)
{
    enum { BATCH_CRC_AT = 17, BATCH_CRC_FROM = 21 };
    struct iovec iov = { (void *)(uintptr_t)records.data, records.bytes };
    size_t written;

    if (records.bytes < BATCH_CRC_FROM)
        return;
    struct rl_reader r = rl_rd_of((struct rl_slice){ records.data + BATCH_CRC_AT, 4 });
    uint32_t crc = rl_crc32c(0, records.data + BATCH_CRC_FROM, records.bytes - BATCH_CRC_FROM);
    if (crc != rl_rd_u32(&r))
        rl_panic(__FILE__, __LINE__, "a batch with a wrong checksum");
    rl_status status = rl_disk_write(rl_disk_real(), sink->file, sink->file_bytes, &iov, 1, &written);
    if (status != RL_OK)
        rl_panic(__FILE__, __LINE__, "%s: %s", sink->options->sink_file, rl_status_text(status));
    sink->file_bytes += records.bytes;
}

static void sink_produce(struct rl_request *request, const struct rl_produce_request *asked)
{
    struct sink *sink = sink_of(request);
    if (asked->acks == 0) {
        rl_request_finish(request);
        return;
    }
    struct rl_produce_response response;
    rl_produce_response_init(&response);
    response.responses_count = asked->topic_data_count;
    response.responses = sink_array(request, asked->topic_data_count, sizeof *response.responses);
    for (int32_t t = 0; t < asked->topic_data_count; t++) {
        struct rl_produce_response_topic *to = &response.responses[t];
        rl_produce_response_topic_init(to);
        to->name = asked->topic_data[t].name;
        to->partition_responses_count = asked->topic_data[t].partition_data_count;
        to->partition_responses = sink_array(request, to->partition_responses_count, sizeof *to->partition_responses);
        for (int32_t p = 0; to->partition_responses != NULL && p < to->partition_responses_count; p++) {
            rl_produce_response_partition_init(&to->partition_responses[p]);
            to->partition_responses[p].index = asked->topic_data[t].partition_data[p].index;
            to->partition_responses[p].base_offset = sink->base_offset++;
            if (sink->file >= 0)
                sink_keep(sink, asked->topic_data[t].partition_data[p].records);
        }
    }
    sink_reply(request, &response);
}

/* ---- Fetch ---- */

/* As many batches as fit, numbered from offset; one at least unless the end is reached. */
static uint32_t fetch_batches(const struct sink *sink, int64_t offset, int32_t bytes_max)
{
    int64_t left = SINK_BATCHES - offset / (int64_t)sink->batch.record_count;
    int64_t fit = RL_MAX((int64_t)bytes_max / (int64_t)sink->batch.size_bytes, 1);
    return (uint32_t)RL_MAX(RL_MIN(RL_MIN(left, fit), (int64_t)BATCHES_PER_PARTITION_MAX), 0);
}

/* The same batch again and again, each with a base offset of its own in front. */
static uint32_t fetch_chunks(struct rl_request *request, struct rl_chunk *chunks, int64_t offset, uint32_t batches)
{
    const struct rl_bench_batch *b = &sink_of(request)->batch;
    uint8_t *numbers = rl_arena_alloc(&request->arena, (size_t)batches * 8);
    for (uint32_t i = 0; numbers != NULL && i < batches; i++) {
        struct rl_writer w = rl_wr_of(numbers + (size_t)i * 8, 8);
        rl_wr_i64(&w, offset + (int64_t)i * b->record_count);
        chunks[2 * i] = (struct rl_chunk){ .data = numbers + (size_t)i * 8, .bytes = 8 };
        chunks[2 * i + 1] = (struct rl_chunk){ .data = b->bytes + 8, .bytes = b->size_bytes - 8 };
    }
    return numbers != NULL ? 2 * batches : 0;
}

/* Only what the generator asks: the first partition named answers, a single one at a time. */
static void sink_fetch(struct rl_request *request, const struct rl_fetch_request *asked)
{
    struct sink *sink = sink_of(request);
    if (asked->topics_count == 0 || asked->topics[0].partitions_count == 0) {
        rl_request_close(request);
        return;
    }
    const struct rl_fetch_request_partition *from = &asked->topics[0].partitions[0];
    int64_t offset = from->fetch_offset - from->fetch_offset % (int64_t)sink->batch.record_count;
    uint32_t batches = fetch_batches(sink, offset, from->partition_max_bytes);
    struct rl_fetch_response_partition part;
    rl_fetch_response_partition_init(&part);
    part.partition_index = from->partition;
    part.high_watermark = part.last_stable_offset = SINK_BATCHES * (int64_t)sink->batch.record_count;
    part.records = (struct rl_slice){ NULL, batches * sink->batch.size_bytes };
    struct rl_fetch_response_topic topic = { .topic = asked->topics[0].topic, .partitions = &part,
                                             .partitions_count = 1 };
    struct rl_fetch_response response;
    rl_fetch_response_init(&response);
    response.responses = &topic;
    response.responses_count = 1;

    struct rl_response_header header = { .correlation_id = request->correlation_id };
    int16_t header_version = rl_response_header_version(RL_API_FETCH, request->api_version);
    size_t bytes = rl_response_header_size(header_version, &header) +
                   rl_fetch_response_size(request->api_version, &response) - part.records.bytes;
    uint8_t *head = rl_arena_alloc(&request->arena, bytes);
    struct rl_chunk *chunks = sink_array(request, (int32_t)(2 * batches + 2), sizeof *chunks);
    if (head == NULL || chunks == NULL) {
        rl_request_close(request);
        return;
    }
    struct rl_wr_external external[1];
    struct rl_writer w = rl_wr_of(head, bytes);
    w.externals = external;
    w.externals_capacity = 1;
    rl_response_header_encode(&w, header_version, &header);
    rl_fetch_response_encode(&w, request->api_version, &response);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    size_t before = w.externals_count > 0 ? external[0].at : bytes;
    uint32_t count = 0;
    chunks[count++] = (struct rl_chunk){ .data = head, .bytes = before };
    count += fetch_chunks(request, chunks + count, offset, batches);
    if (before < bytes)
        chunks[count++] = (struct rl_chunk){ .data = head + before, .bytes = bytes - before };
    rl_request_reply(request, chunks, count);
}

/* ---- dispatch ---- */

static bool sink_knows(const struct rl_request_header *header)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(sink_apis); i++)
        if (sink_apis[i].api_key == header->request_api_key)
            return header->request_api_version >= sink_apis[i].min_version &&
                   header->request_api_version <= sink_apis[i].max_version;
    return false;
}

static void sink_answer(struct rl_request *request, const void *message)
{
    switch (request->api_key) {
    case RL_API_PRODUCE:       sink_produce(request, message); break;
    case RL_API_FETCH:         sink_fetch(request, message); break;
    case RL_API_LIST_OFFSETS:  sink_list_offsets(request, message); break;
    case RL_API_METADATA:      sink_metadata(request, message); break;
    case RL_API_CREATE_TOPICS: sink_create_topics(request, message); break;
    default:                   rl_request_close(request); break;
    }
}

static void sink_handle(struct rl_request *request)
{
    struct rl_reader r = rl_rd_of(request->frame);
    struct rl_request_header header;
    rl_status status = rl_request_header_read(&r, &header);
    request->api_key = header.request_api_key;
    request->api_version = header.request_api_version;
    request->correlation_id = header.correlation_id;
    if (status == RL_OK && header.request_api_key == RL_API_API_VERSIONS) {
        sink_api_versions(request);
        return;
    }
    const struct rl_api_info *api = rl_api_find(header.request_api_key);
    void *message = api != NULL ? sink_array(request, 1, api->request.struct_bytes) : NULL;
    if (status != RL_OK || message == NULL || !sink_knows(&header) ||
        api->request.decode(&r, header.request_api_version, &request->arena, message) != RL_OK) {
        rl_request_close(request);
        return;
    }
    sink_answer(request, message);
}

/* ---- start ---- */

static rl_status sink_start(struct rl_shard *shard, void *arg)
{
    struct sink *sink = arg;
    const struct rl_bench_options *o = sink->options;
    rl_bench_batch_init(&sink->batch, o->record_bytes, o->batch_bytes, shard->wall_ms, o->keyed);
    rl_status status = rl_net_start(shard, &(struct rl_net_options){
        .handler = sink_handle, .handler_arg = sink,
        .frame_bytes_max = FRAME_BYTES_MAX, .request_bytes_max = SIZE_MAX,
        .arena_bytes_max = ARENA_BYTES_MAX, .requests_in_flight_max = RL_BENCH_IN_FLIGHT_MAX,
        .connection_limits = RL_CONNECTION_LIMITS(RL_BENCH_CONNECTIONS_MAX), .send_buffer_bytes = -1,
        .receive_buffer_bytes = -1, .backlog = 1024,
    });
    if (status == RL_OK)
        status = rl_net_listen(shard, 0, o->host, o->port, &sink->port);
    return status;
}

int rl_bench_sink_run(const struct rl_bench_options *options)
{
    struct sink *sink = rl_alloc_zero(1, sizeof *sink);
    sink->options = options;
    sink->file = -1;
    if (options->sink_file != NULL) {
        rl_status opened = rl_disk_open(rl_disk_real(), options->sink_file,
                                        RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &sink->file);
        if (opened != RL_OK) {
            fprintf(stderr, "ringlog: bench sink: %s: %s\n", options->sink_file, rl_status_text(opened));
            return 1;
        }
    }
    uint64_t before, now;
    rl_raise_descriptor_limit(&before, &now);
    char reason[256];
    struct rl_shard_set_options set_options = { .shard_count = 1, .helper_count = 1,
                                                .backend = rl_probe_backend(reason, sizeof reason),
                                                .disk = rl_disk_real() };
    struct rl_shard_set *set = NULL;
    rl_status status = rl_shard_set_create(&set_options, &set);
    if (status == RL_OK)
        status = rl_shard_set_start(set, sink_start, sink);
    if (status != RL_OK) {
        fprintf(stderr, "ringlog: bench sink on %s:%u: %s\n", options->host, options->port, rl_status_text(status));
        return 1;
    }
    printf("ready address=%s:%u\n", options->host, sink->port);
    fflush(stdout);
    rl_shard_set_join(set, NULL, NULL);
    return 0;
}

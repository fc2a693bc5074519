/* broker/dispatch.c — from a frame to the API that answers it, and from a struct to a reply.
 *
 * Happy path: header, row, version, decode into the request's arena, handle.  Failures: what
 * Kafka answers by closing the connection (unknown API, unserved version, malformed body) closes
 * it, with one rate-limited log line that names API, version and peer; an unknown version of
 * ApiVersions is answered, since a client asks that before it knows anything. */
#include "broker/broker.h"
#include "core/buffer.h"
#include "core/logger.h"
#include "wire/message_header.h"

/* Beyond what a request may take of memory for its answer: it names the same things many times. */
#define REPLY_BYTES_MAX ((size_t)256 << 20)

static const struct rl_api_row api_rows[] = {
    /* Announced from 0 because librdkafka before 2.11 takes a higher minimum for a broker without
     * gzip, snappy and lz4 (KAFKA-18659); versions 0 to 2 close the connection, as in Kafka 4. */
    { RL_API_PRODUCE, 0, 13, 3, rl_api_produce },
    { RL_API_FETCH, 4, 18, 4, rl_api_fetch },
    { RL_API_LIST_OFFSETS, 1, 11, 1, rl_api_list_offsets },
    { RL_API_METADATA, 0, 13, 0, rl_api_metadata },
    { RL_API_OFFSET_COMMIT, 2, 10, 2, rl_api_offset_commit },
    { RL_API_OFFSET_FETCH, 1, 10, 1, rl_api_offset_fetch },
    { RL_API_FIND_COORDINATOR, 0, 6, 0, rl_api_find_coordinator },
    { RL_API_JOIN_GROUP, 0, 9, 0, rl_api_join_group },
    { RL_API_HEARTBEAT, 0, 4, 0, rl_api_heartbeat },
    { RL_API_LEAVE_GROUP, 0, 5, 0, rl_api_leave_group },
    { RL_API_SYNC_GROUP, 0, 5, 0, rl_api_sync_group },
    { RL_API_DESCRIBE_GROUPS, 0, 6, 0, rl_api_describe_groups },
    { RL_API_LIST_GROUPS, 0, 5, 0, rl_api_list_groups },
    { RL_API_API_VERSIONS, 0, 4, 0, rl_api_api_versions },
    { RL_API_CREATE_TOPICS, 2, 7, 2, rl_api_create_topics },
    { RL_API_DELETE_TOPICS, 1, 6, 1, rl_api_delete_topics },
    { RL_API_DELETE_RECORDS, 0, 2, 0, rl_api_delete_records },
    { RL_API_INIT_PRODUCER_ID, 0, 5, 0, rl_api_init_producer_id },
    { RL_API_OFFSET_FOR_LEADER_EPOCH, 2, 4, 2, rl_api_offset_for_leader_epoch },
    { RL_API_DESCRIBE_CONFIGS, 1, 4, 1, rl_api_describe_configs },
    { RL_API_ALTER_CONFIGS, 0, 2, 0, rl_api_alter_configs },
    { RL_API_DESCRIBE_LOG_DIRS, 1, 5, 1, rl_api_describe_log_dirs },
    { RL_API_CREATE_PARTITIONS, 0, 3, 0, rl_api_create_partitions },
    { RL_API_DELETE_GROUPS, 0, 2, 0, rl_api_delete_groups },
    { RL_API_ELECT_LEADERS, 0, 2, 0, rl_api_elect_leaders },
    { RL_API_INCREMENTAL_ALTER_CONFIGS, 0, 1, 0, rl_api_incremental_alter_configs },
    { RL_API_ALTER_PARTITION_REASSIGNMENTS, 0, 1, 0, rl_api_alter_partition_reassignments },
    { RL_API_LIST_PARTITION_REASSIGNMENTS, 0, 0, 0, rl_api_list_partition_reassignments },
    { RL_API_OFFSET_DELETE, 0, 0, 0, rl_api_offset_delete },
    { RL_API_DESCRIBE_CLUSTER, 0, 2, 0, rl_api_describe_cluster },
    { RL_API_DESCRIBE_PRODUCERS, 0, 0, 0, rl_api_describe_producers },
    { RL_API_CONSUMER_GROUP_HEARTBEAT, 0, 1, 0, rl_api_consumer_group_heartbeat },
    { RL_API_CONSUMER_GROUP_DESCRIBE, 0, 1, 0, rl_api_consumer_group_describe },
    { RL_API_LIST_CONFIG_RESOURCES, 0, 1, 0, rl_api_list_config_resources },
    { RL_API_DESCRIBE_TOPIC_PARTITIONS, 0, 0, 0, rl_api_describe_topic_partitions },
};

const struct rl_api_row *rl_api_rows(uint32_t *ret_count)
{
    *ret_count = RL_ARRAY_COUNT(api_rows);
    return api_rows;
}

static const struct rl_api_row *api_row_find(int16_t key)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(api_rows); i++)
        if (api_rows[i].key == key)
            return &api_rows[i];
    return NULL;
}

static void dispatch_refuse(struct rl_request *request, const char *reason)
{
    char host[RL_HOST_BYTES];
    uint16_t port;
    rl_connection_peer_address(request->connection, host, &port);
    const struct rl_api_info *api = rl_api_find(request->api_key);
    RL_WARN_EVERY(10, "broker", "connection closed: %s api=%s key=%d version=%d peer=%s:%u", reason,
                  api != NULL ? api->name : "unknown", request->api_key, request->api_version,
                  host, port);
    rl_request_close(request);
}

void rl_dispatch(struct rl_request *request)
{
    struct rl_reader reader = rl_rd_of(request->frame);
    struct rl_request_header header;
    rl_status status = rl_request_header_read(&reader, &header);
    request->api_key = header.request_api_key;
    request->api_version = header.request_api_version;
    request->correlation_id = header.correlation_id;
    request->client_id = header.client_id;
    if (status != RL_OK) {
        dispatch_refuse(request, status == RL_EUNSUPPORTED ? "unknown API" : "malformed request header");
        return;
    }

    const struct rl_api_row *row = api_row_find(header.request_api_key);
    if (row == NULL) {
        dispatch_refuse(request, "API not supported");
        return;
    }
    if (header.request_api_version < row->served_min || header.request_api_version > row->announced_max) {
        if (row->key == RL_API_API_VERSIONS)
            rl_api_versions_unsupported(request);
        else
            dispatch_refuse(request, "version not supported");
        return;
    }

    const struct rl_message_info *info = &rl_api_find(row->key)->request;
    void *message = rl_request_alloc(request, 1, info->struct_bytes);
    if (message == NULL)
        return;
    status = info->decode(&reader, header.request_api_version, &request->arena, message);
    if (status != RL_OK) {
        dispatch_refuse(request, status == RL_ENOMEM ? "request too large to decode" : "malformed request");
        return;
    }
    row->handle(request, message);
}

void *rl_request_alloc(struct rl_request *request, size_t count, size_t bytes)
{
    void *p = rl_arena_alloc_array(&request->arena, count, bytes);
    if (p == NULL)
        dispatch_refuse(request, "request needs too much memory");
    return p;
}

size_t rl_response_header_bytes(const struct rl_request *request)
{
    int16_t version = rl_response_header_version(request->api_key, request->api_version);
    struct rl_response_header header = { .correlation_id = request->correlation_id };
    return rl_response_header_size(version, &header);
}

void rl_response_header_write(const struct rl_request *request, struct rl_writer *writer)
{
    int16_t version = rl_response_header_version(request->api_key, request->api_version);
    struct rl_response_header header = { .correlation_id = request->correlation_id };
    rl_response_header_encode(writer, version, &header);
}

void rl_reply_message(struct rl_request *request, const void *response)
{
    const struct rl_message_info *info = &rl_api_find(request->api_key)->response;
    size_t bytes = rl_response_header_bytes(request) + info->size(request->api_version, response);
    if (bytes > REPLY_BYTES_MAX) {
        RL_WARN_EVERY(10, "broker", "a connection is closed: its %s has an answer of %zu bytes, and what is "
                      "asked for once has at most %zu", rl_api_find(request->api_key)->name, bytes,
                      REPLY_BYTES_MAX);
        rl_request_close(request);
        return;
    }
    struct rl_buffer *buffer = rl_buffer_create(bytes, rl_request_shard(request)->index);
    struct rl_writer writer = rl_wr_of(buffer->data, bytes);
    rl_response_header_write(request, &writer);
    info->encode(&writer, request->api_version, response);
    RL_ASSERT(rl_wr_done(&writer) == RL_OK);
    RL_ASSERT(rl_wr_bytes(&writer) == bytes);
    struct rl_chunk chunk = { .data = buffer->data, .bytes = bytes, .buffer = buffer };
    rl_request_reply(request, &chunk, 1);
}

/* broker/dispatch.h — from a frame to the API that answers it, and from a struct to a reply.
 *
 * One row per API (dispatch.c): what ApiVersions announces, what is really served, and the
 * function that handles it.  A handler decodes nothing: it gets its decoded request in
 * request->state, may park, and ends with exactly one of rl_reply_message, rl_request_reply,
 * rl_request_finish or rl_request_close. */
#ifndef RL_BROKER_DISPATCH_H
#define RL_BROKER_DISPATCH_H

#include "net/net.h"
#include "wire/api_table.h"

struct rl_api_row {
    int16_t key;
    int16_t announced_min, announced_max;
    int16_t served_min;                 /* Produce announces 0 for old librdkafka, serves 3 */
    /* message: the decoded request struct, in request->arena. */
    void (*handle)(struct rl_request *request, const void *message);
};

/* All rows, sorted by key. */
const struct rl_api_row *rl_api_rows(uint32_t *ret_count);

/* The handler for rl_net_options. */
void rl_dispatch(struct rl_request *request);

/* Encode response (the generated struct of the request's API) and reply.  Also when the
 * connection is gone: then it is dropped.  Connection's shard. */
void rl_reply_message(struct rl_request *request, const void *response);

/* The generated response header plus body size, for APIs that assemble their reply themselves. */
size_t rl_response_header_bytes(const struct rl_request *request);
void rl_response_header_write(const struct rl_request *request, struct rl_writer *writer);

/* Arena memory that a handler needs, zeroed.  NULL over the request's limit: then the connection
 * was closed already and the handler just returns. */
void *rl_request_alloc(struct rl_request *request, size_t count, size_t bytes);

/* The handlers, one file each (broker/api_*.c).  A client that asked is answered per topic and
 * partition: one bad partition never fails the others. */
void rl_api_find_coordinator(struct rl_request *request, const void *message);
void rl_api_join_group(struct rl_request *request, const void *message);
void rl_api_sync_group(struct rl_request *request, const void *message);
void rl_api_heartbeat(struct rl_request *request, const void *message);
void rl_api_leave_group(struct rl_request *request, const void *message);
void rl_api_offset_commit(struct rl_request *request, const void *message);
void rl_api_offset_fetch(struct rl_request *request, const void *message);
void rl_api_consumer_group_heartbeat(struct rl_request *request, const void *message);
void rl_api_consumer_group_describe(struct rl_request *request, const void *message);
void rl_api_describe_groups(struct rl_request *request, const void *message);
void rl_api_list_groups(struct rl_request *request, const void *message);
void rl_api_delete_groups(struct rl_request *request, const void *message);
void rl_api_offset_delete(struct rl_request *request, const void *message);
void rl_api_produce(struct rl_request *request, const void *message);
void rl_api_fetch(struct rl_request *request, const void *message);
void rl_api_list_offsets(struct rl_request *request, const void *message);
void rl_api_metadata(struct rl_request *request, const void *message);
void rl_api_api_versions(struct rl_request *request, const void *message);
void rl_api_create_topics(struct rl_request *request, const void *message);
void rl_api_delete_topics(struct rl_request *request, const void *message);
void rl_api_init_producer_id(struct rl_request *request, const void *message);
void rl_api_offset_for_leader_epoch(struct rl_request *request, const void *message);
void rl_api_describe_configs(struct rl_request *request, const void *message);
void rl_api_alter_configs(struct rl_request *request, const void *message);
void rl_api_incremental_alter_configs(struct rl_request *request, const void *message);
void rl_api_list_config_resources(struct rl_request *request, const void *message);
void rl_api_create_partitions(struct rl_request *request, const void *message);
void rl_api_delete_records(struct rl_request *request, const void *message);
void rl_api_describe_log_dirs(struct rl_request *request, const void *message);
void rl_api_describe_producers(struct rl_request *request, const void *message);
void rl_api_describe_cluster(struct rl_request *request, const void *message);
void rl_api_describe_topic_partitions(struct rl_request *request, const void *message);
void rl_api_elect_leaders(struct rl_request *request, const void *message);
void rl_api_alter_partition_reassignments(struct rl_request *request, const void *message);
void rl_api_list_partition_reassignments(struct rl_request *request, const void *message);

/* ApiVersions for a version nobody knows: v0 layout, error 35, only its own range (KIP-511). */
void rl_api_versions_unsupported(struct rl_request *request);

#endif

/* broker/fetch_reply.c — the answer to a Fetch: headers of ours around the log's own bytes.
 *
 * Happy path: the partitions, in order, become a response whose records are only counted while it
 * is encoded; what was read goes between.
 * Failures: a partition with an error says nothing else, as in Kafka; who believes in an old leader
 * epoch is told the new one and where its leader is (KIP-951, from version 16 on). */
#include "broker/fetch.h"
#include "core/buffer.h"

#define LEADER_HINT_VERSION_MIN 16

static const uint8_t empty_records[1];

void rl_fetch_trim(const struct rl_fetch *f, struct rl_fetch_entry *e, size_t *total_bytes)
{
    if (e->bytes == 0)
        return;
    if (*total_bytes > 0 && *total_bytes + e->bytes > f->max_bytes)
        rl_fetch_entry_release(e);
    *total_bytes += e->bytes;
}

/* ---- the response ---- */

static bool same_topic(const struct rl_request *request, const struct rl_fetch_entry *a, const struct rl_fetch_entry *b)
{
    if (request->api_version >= RL_FETCH_TOPIC_ID_VERSION_MIN)
        return memcmp(&a->topic_id, &b->topic_id, sizeof a->topic_id) == 0;
    return rl_slice_equal(a->topic, b->topic);
}

/* None, or no list at all: Kafka has a list where the metadata had the error, none where the owner. */
static int32_t aborted_transactions_count(const struct rl_fetch *f, const struct rl_fetch_entry *e, bool failed)
{
    bool unknown = e->error_code != 0 && e->error_code != RL_KAFKA_INCONSISTENT_TOPIC_ID;
    return unknown || (f->read_committed && !failed) ? 0 : -1;
}

static void partition_fill(struct rl_fetch_response_partition *answer, const struct rl_fetch *f,
                           const struct rl_fetch_entry *e)
{
    rl_fetch_response_partition_init(answer);
    answer->partition_index = e->partition_index;
    answer->error_code = e->error_code != 0 ? e->error_code : rl_kafka_error_of(e->status);
    bool failed = answer->error_code != RL_KAFKA_NONE;
    answer->high_watermark = failed ? -1 : e->high_watermark;
    answer->last_stable_offset = failed ? -1 : e->last_stable_offset;
    answer->log_start_offset = failed ? -1 : e->log_start_offset;
    answer->aborted_transactions_count = aborted_transactions_count(f, e, failed);
    answer->records = e->bytes > 0 ? (struct rl_slice){ NULL, e->bytes } : rl_slice_of(empty_records, 0);
    if (!failed && e->diverging_end_offset >= 0) {
        answer->diverging_epoch.epoch = e->diverging_epoch;
        answer->diverging_epoch.end_offset = e->diverging_end_offset;
    }
}

/* Where the leader is that a client with an old epoch looks for: here. */
static bool response_hint(struct rl_fetch *f, struct rl_fetch_response *response,
                          struct rl_fetch_response_partition *answer, const struct rl_fetch_entry *e)
{
    struct rl_request *request = f->request;
    if (answer->error_code != RL_KAFKA_FENCED_LEADER_EPOCH || request->api_version < LEADER_HINT_VERSION_MIN)
        return true;
    answer->current_leader.leader_id = rl_broker_of(rl_request_shard(request))->node_id;
    answer->current_leader.leader_epoch = e->leader_epoch;
    if (response->node_endpoints_count > 0)
        return true;
    char *host = rl_request_alloc(request, 1, RL_HOST_BYTES);
    response->node_endpoints = host != NULL ? rl_request_alloc(request, 1, sizeof *response->node_endpoints) : NULL;
    if (response->node_endpoints == NULL)
        return false;
    struct rl_fetch_response_node_endpoint *endpoint = response->node_endpoints;
    rl_fetch_response_node_endpoint_init(endpoint);
    rl_broker_advertised(request, host, &endpoint->port);
    endpoint->node_id = answer->current_leader.leader_id;
    endpoint->host = rl_slice_of_string(host);
    const char *rack = rl_broker_config(rl_request_shard(request))->broker_rack;
    endpoint->rack = rack != NULL ? rl_slice_of_string(rack) : (struct rl_slice){ 0 };
    response->node_endpoints_count = 1;
    return true;
}

static bool response_build(struct rl_fetch *f, struct rl_fetch_entry *const *entries, uint32_t count,
                           struct rl_fetch_response *response)
{
    struct rl_request *request = f->request;
    uint32_t topic_count = 0;
    for (uint32_t i = 0; i < count; i++)
        topic_count += i == 0 || !same_topic(request, entries[i - 1], entries[i]);
    struct rl_fetch_response_topic *topics = rl_request_alloc(request, topic_count, sizeof *topics);
    struct rl_fetch_response_partition *partitions =
        topics != NULL ? rl_request_alloc(request, count, sizeof *partitions) : NULL;
    if (partitions == NULL)
        return false;
    response->responses = topics;
    response->responses_count = (int32_t)topic_count;
    struct rl_fetch_response_topic *topic = topics - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !same_topic(request, entries[i - 1], entries[i])) {
            rl_fetch_response_topic_init(++topic);
            topic->topic = entries[i]->topic;
            topic->topic_id = entries[i]->topic_id;
            topic->partitions = &partitions[i];
        }
        topic->partitions_count++;
        partition_fill(&partitions[i], f, entries[i]);
        if (!response_hint(f, response, &partitions[i], entries[i]))
            return false;
    }
    return true;
}

/* ---- its bytes ---- */

/* Our bytes and the log's, in turn: header up to the first records, these, and so on. */
static uint32_t reply_chunks(struct rl_fetch_entry *const *entries, uint32_t entry_count, struct rl_buffer *buffer,
                             const struct rl_writer *w, struct rl_chunk *chunks)
{
    uint32_t count = 0, external = 0;
    size_t from = 0;
    for (uint32_t i = 0; i < entry_count; i++) {
        struct rl_fetch_entry *e = entries[i];
        if (e->bytes == 0)
            continue;
        RL_ASSERT(external < w->externals_count && w->externals[external].bytes == e->bytes);
        size_t to = w->externals[external++].at;
        if (to > from)
            chunks[count++] = (struct rl_chunk){ buffer->data + from, to - from, { rl_buffer_ref(buffer) } };
        from = to;
        memcpy(&chunks[count], e->chunks, e->chunk_count * sizeof *chunks);
        count += e->chunk_count;
        e->chunk_count = 0;             /* the references go with the reply */
        rl_fetch_entry_release(e);
    }
    if (rl_wr_bytes(w) > from)
        chunks[count++] = (struct rl_chunk){ buffer->data + from, rl_wr_bytes(w) - from,
                                              { rl_buffer_ref(buffer) } };
    rl_buffer_unref(buffer);
    return count;
}

bool rl_fetch_reply(struct rl_fetch *f, struct rl_fetch_entry *const *entries, uint32_t count, int32_t session_id)
{
    struct rl_request *request = f->request;
    struct rl_fetch_response response;
    rl_fetch_response_init(&response);
    response.session_id = session_id;
    if (!response_build(f, entries, count, &response))
        return false;
    size_t external_bytes = 0;
    uint32_t external_count = 0, chunk_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        external_bytes += entries[i]->bytes;
        external_count += entries[i]->bytes > 0;
        chunk_count += entries[i]->bytes > 0 ? entries[i]->chunk_count + 1 : 0;
    }
    struct rl_wr_external *externals = rl_request_alloc(request, external_count + 1, sizeof *externals);
    struct rl_chunk *chunks = externals != NULL ? rl_request_alloc(request, chunk_count, sizeof *chunks) : NULL;
    if (chunks == NULL)
        return false;
    size_t bytes = rl_response_header_bytes(request) + rl_fetch_response_size(request->api_version, &response) -
                   external_bytes;
    struct rl_buffer *buffer = rl_buffer_create(bytes, rl_request_shard(request)->index);
    struct rl_writer w = rl_wr_of(buffer->data, bytes);
    w.externals = externals;
    w.externals_capacity = external_count + 1;
    rl_response_header_write(request, &w);
    rl_fetch_response_encode(&w, request->api_version, &response);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    chunk_count = reply_chunks(entries, count, buffer, &w, chunks);
    rl_request_reply(request, chunks, chunk_count);
    return true;
}

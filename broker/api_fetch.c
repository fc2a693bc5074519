/* broker/api_fetch.c — Fetch: collect, perhaps watch, answer.
 *
 * Happy path: one collect round finds enough bytes and the reply leaves with only its headers
 * written by us.  With less than min.bytes the fetch parks (watch round) until a partition has
 * something new, then collects again; max.wait.ms forces the answer.
 *
 * Size rules (KIP-74): partitions in the order asked; the first one with data gives at least one
 * whole batch; the rest stays within its own and the total limit.  Failures are answered per
 * partition, at once.  Sessions are refused by answering session id 0 (KIP-227 allows that), and
 * a follower's fetch (replica id >= 0) is refused: this cluster has no other broker. */
#include "broker/fetch.h"
#include "core/buffer.h"
#include "replicate/metadata_image.h"

/* A round is granted this part of what all replies of the shard may still take, so that answers
 * become smaller while clients do not read theirs; and never nothing. */
#define FETCH_SHARE     4
#define FETCH_BYTES_MIN ((size_t)64 << 10)

static const uint8_t empty_records[1];

static void fetch_collect(struct rl_fetch *f, bool forced);

/* ---- the reply ---- */

/* Drop data beyond max_bytes, which rounds over several shards may have read. */
static void reply_trim(struct rl_fetch *f)
{
    size_t total = 0;
    for (uint32_t i = 0; i < f->entry_count; i++) {
        struct rl_fetch_entry *e = &f->entries[i];
        if (e->bytes == 0)
            continue;
        if (total > 0 && total + e->bytes > f->max_bytes)
            rl_fetch_entry_release(e);
        total += e->bytes;
    }
}

static void reply_fill(struct rl_fetch *f)
{
    for (uint32_t i = 0; i < f->entry_count; i++) {
        struct rl_fetch_entry *e = &f->entries[i];
        e->answer->error_code = rl_kafka_error_of(e->status);
        e->answer->high_watermark = e->high_watermark;
        e->answer->last_stable_offset = e->last_stable_offset;
        e->answer->log_start_offset = e->log_start_offset;
        e->answer->records = e->bytes > 0 ? (struct rl_slice){ NULL, e->bytes }
                                          : rl_slice_of(empty_records, 0);
    }
}

/* Our bytes and the log's, in turn: header up to the first records, these, and so on. */
static uint32_t reply_chunks(struct rl_fetch *f, struct rl_buffer *buffer, const struct rl_writer *w,
                             struct rl_chunk *chunks)
{
    uint32_t count = 0, external = 0;
    size_t from = 0;
    for (uint32_t i = 0; i < f->entry_count; i++) {
        struct rl_fetch_entry *e = &f->entries[i];
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

static void fetch_drop(struct rl_fetch *f)
{
    for (uint32_t i = 0; i < f->entry_count; i++)
        rl_fetch_entry_release(&f->entries[i]);
}

static void fetch_reply(struct rl_fetch *f)
{
    struct rl_request *request = f->request;
    reply_trim(f);
    reply_fill(f);
    size_t external_bytes = 0;
    uint32_t external_count = 0, chunk_count = 1;
    for (uint32_t i = 0; i < f->entry_count; i++) {
        external_bytes += f->entries[i].bytes;
        external_count += f->entries[i].bytes > 0;
        chunk_count += f->entries[i].chunk_count + 1;
    }
    struct rl_wr_external *externals = rl_request_alloc(request, external_count + 1, sizeof *externals);
    struct rl_chunk *chunks = externals != NULL ? rl_request_alloc(request, chunk_count, sizeof *chunks) : NULL;
    if (chunks == NULL) {
        fetch_drop(f);
        return;
    }
    size_t bytes = rl_response_header_bytes(request) +
                   rl_fetch_response_size(request->api_version, &f->response) - external_bytes;
    struct rl_buffer *buffer = rl_buffer_create(bytes, rl_request_shard(request)->index);
    struct rl_writer w = rl_wr_of(buffer->data, bytes);
    w.externals = externals;
    w.externals_capacity = external_count + 1;
    rl_response_header_write(request, &w);
    rl_fetch_response_encode(&w, request->api_version, &f->response);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    chunk_count = reply_chunks(f, buffer, &w, chunks);
    rl_request_reply(request, chunks, chunk_count);
}

/* ---- rounds ---- */

static void fetch_end(struct rl_fetch *f)
{
    struct rl_shard *shard = rl_request_shard(f->request);
    if (rl_timer_running(&f->timer))
        rl_timer_stop(shard, &f->timer);
    f->request->on_cancel = NULL;
    if (!f->abandoned) {
        fetch_reply(f);
        return;
    }
    fetch_drop(f);
    rl_request_finish(f->request);
}

static void on_watch_returned(struct rl_scatter *scatter)
{
    rl_scatter_cancel(scatter);         /* one partition has something: the others need not wait */
}

static void on_watch_done(struct rl_scatter *scatter)
{
    struct rl_fetch *f = RL_CONTAINER_OF(scatter, struct rl_fetch, scatter);
    f->scatter.cancel = NULL;
    f->scatter.returned = NULL;
    if (f->abandoned)
        fetch_end(f);
    else
        fetch_collect(f, rl_request_shard(f->request)->now_ns >= f->deadline_ns);
}

static void fetch_watch(struct rl_fetch *f)
{
    struct rl_shard *shard = rl_request_shard(f->request);
    if (!rl_timer_running(&f->timer))
        rl_timer_start(shard, &f->timer, f->deadline_ns);
    rl_request_announce_reply(f->request, 0);
    f->scatter.run = rl_fetch_watch_run;
    f->scatter.done = on_watch_done;
    f->scatter.returned = on_watch_returned;
    f->scatter.cancel = rl_fetch_watch_cancel;
    rl_scatter_start(&f->scatter);
}

static void on_collected(struct rl_scatter *scatter)
{
    struct rl_fetch *f = RL_CONTAINER_OF(scatter, struct rl_fetch, scatter);
    size_t read_bytes = 0, available_bytes = 0;
    bool failed = f->entry_count == 0;
    for (uint32_t i = 0; i < f->entry_count; i++) {
        read_bytes += f->entries[i].bytes;
        available_bytes += f->entries[i].available_bytes;
        failed |= f->entries[i].status != RL_OK;
    }
    if (f->abandoned || f->forced || failed || read_bytes >= f->min_bytes) {
        fetch_end(f);
        return;
    }
    bool enough = available_bytes >= f->min_bytes;      /* several shards together */
    fetch_drop(f);
    if (enough || rl_request_shard(f->request)->now_ns >= f->deadline_ns)
        fetch_collect(f, true);
    else
        fetch_watch(f);
}

/* How much this round may read, known and told to the connection before anything is read. */
static void fetch_grant(struct rl_fetch *f)
{
    rl_request_announce_reply(f->request, 0);
    size_t left_bytes = rl_net_reply_bytes_left(rl_request_shard(f->request));
    size_t share_bytes = RL_MAX(left_bytes / FETCH_SHARE, FETCH_BYTES_MIN);
    f->max_bytes = RL_MIN(f->asked_max_bytes, share_bytes);
    f->min_bytes = f->max_bytes < f->asked_max_bytes ? RL_MIN(f->asked_min_bytes, f->max_bytes)
                                                     : f->asked_min_bytes;
    rl_request_announce_reply(f->request, f->max_bytes);
}

static void fetch_collect(struct rl_fetch *f, bool forced)
{
    fetch_grant(f);
    f->forced = forced;
    f->prefers_files = rl_request_prefers_files(f->request);
    f->scatter.run = rl_fetch_collect_run;
    f->scatter.done = on_collected;
    rl_scatter_start(&f->scatter);
}

static void on_max_wait(struct rl_timer *timer)
{
    struct rl_fetch *f = timer->arg;
    if (f->scatter.cancel != NULL)      /* else a collect round is out and will see the time */
        rl_scatter_cancel(&f->scatter);
}

static void on_connection_gone(struct rl_request *request)
{
    struct rl_fetch *f = request->state;
    f->abandoned = true;
    if (f->scatter.cancel != NULL)
        rl_scatter_cancel(&f->scatter);
}

/* ---- the request ---- */

static int16_t fetch_request_error(const struct rl_fetch_request *asked)
{
    if (asked->replica_id >= 0 || asked->replica_state.replica_id >= 0)
        return RL_KAFKA_INVALID_REQUEST;
    if (asked->session_id != 0)
        return RL_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (asked->session_epoch > 0)
        return RL_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    return RL_KAFKA_NONE;
}

static void fetch_refuse(struct rl_request *request, int16_t error)
{
    struct rl_fetch_response response;
    rl_fetch_response_init(&response);
    response.error_code = error;
    rl_reply_message(request, &response);
}

static bool fetch_add(struct rl_fetch *f, const struct rl_topic *topic,
                      const struct rl_fetch_request_partition *asked,
                      struct rl_fetch_response_partition *answer)
{
    uint32_t shard_count = rl_request_shard(f->request)->count;
    struct rl_fetch_entry *e = &f->entries[f->entry_count];
    *e = (struct rl_fetch_entry){
        .answer = answer,
        .topic_id = topic->id,
        .partition_index = asked->partition,
        .current_leader_epoch = asked->current_leader_epoch,
        .fetch_offset = asked->fetch_offset,
        .max_bytes = asked->partition_max_bytes > 0 ? (size_t)asked->partition_max_bytes : 0,
    };
    if (rl_scatter_add(&f->scatter, rl_partition_home(topic->id, asked->partition, shard_count), &e->item) != RL_OK) {
        rl_request_close(f->request);
        return false;
    }
    f->entry_count++;
    return true;
}

static bool fetch_topic(struct rl_fetch *f, const struct rl_fetch_request_topic *from,
                        struct rl_fetch_response_topic *to, bool *failed)
{
    struct rl_request *request = f->request;
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    bool by_id = request->api_version >= 13;
    const struct rl_topic *topic = by_id ? rl_image_find_id(image, from->topic_id)
                                         : rl_image_find(image, from->topic);
    rl_fetch_response_topic_init(to);
    to->topic = from->topic;
    to->topic_id = from->topic_id;
    to->partitions = rl_request_alloc(request, (size_t)from->partitions_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        const struct rl_fetch_request_partition *asked = &from->partitions[i];
        struct rl_fetch_response_partition *answer = &to->partitions[i];
        rl_fetch_response_partition_init(answer);
        answer->partition_index = asked->partition;
        answer->high_watermark = -1;
        answer->aborted_transactions_count = f->read_committed ? 0 : -1;
        answer->records = rl_slice_of(empty_records, 0);
        if (topic == NULL || asked->partition < 0 || asked->partition >= topic->partition_count) {
            answer->error_code = topic == NULL && by_id ? RL_KAFKA_UNKNOWN_TOPIC_ID
                                                        : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            *failed = true;
        } else if (!fetch_add(f, topic, asked, answer)) {
            return false;
        }
    }
    return true;
}

/* No answer is larger than what is asked of all partitions together. */
static void fetch_limit(struct rl_fetch *f)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < f->entry_count; i++)
        bytes += f->entries[i].max_bytes;
    f->asked_max_bytes = RL_MIN(bytes, f->asked_max_bytes);
}

static bool fetch_prepare(struct rl_fetch *f, const struct rl_fetch_request *asked)
{
    struct rl_request *request = f->request;
    size_t partition_count = 0;
    for (int32_t i = 0; i < asked->topics_count; i++)
        partition_count += (size_t)asked->topics[i].partitions_count;
    f->entries = rl_request_alloc(request, partition_count, sizeof *f->entries);
    if (f->entries == NULL)
        return false;
    rl_fetch_response_init(&f->response);
    f->response.responses = rl_request_alloc(request, (size_t)asked->topics_count, sizeof *f->response.responses);
    if (f->response.responses == NULL)
        return false;
    f->response.responses_count = asked->topics_count;
    bool failed = false;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!fetch_topic(f, &asked->topics[i], &f->response.responses[i], &failed))
            return false;
    if (failed)
        f->deadline_ns = 0;             /* an error is told at once */
    return true;
}

void rl_api_fetch(struct rl_request *request, const void *message)
{
    const struct rl_fetch_request *asked = message;
    int16_t error = fetch_request_error(asked);
    if (error != RL_KAFKA_NONE) {
        fetch_refuse(request, error);
        return;
    }
    struct rl_fetch *f = rl_request_alloc(request, 1, sizeof *f);
    if (f == NULL)
        return;
    const struct rl_shard *shard = rl_request_shard(request);
    int32_t fetch_max_bytes = rl_broker_config(shard)->fetch_max_bytes;
    f->request = request;
    f->asked_max_bytes = (size_t)RL_MAX(RL_MIN(asked->max_bytes, fetch_max_bytes), 0);
    f->asked_min_bytes = RL_MIN((size_t)RL_MAX(asked->min_bytes, 0), f->asked_max_bytes);
    f->read_committed = asked->isolation_level == 1;
    f->deadline_ns = shard->now_ns + (int64_t)RL_MAX(asked->max_wait_ms, 0) * 1000000;
    f->timer = (struct rl_timer){ .done = on_max_wait, .arg = f };
    rl_scatter_init(&f->scatter, request, NULL, NULL);
    if (!fetch_prepare(f, asked))
        return;
    fetch_limit(f);
    request->state = f;
    request->on_cancel = on_connection_gone;
    fetch_collect(f, f->asked_min_bytes == 0 || shard->now_ns >= f->deadline_ns);
}

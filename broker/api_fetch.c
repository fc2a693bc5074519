/* broker/api_fetch.c — Fetch: which kind it is, and the one that names all its partitions.
 *
 * Happy path: one collect round finds enough bytes and the reply leaves with only its headers
 * written by us.  With less than min.bytes the fetch parks (watch round) until a partition has
 * something new, then collects again; max.wait.ms forces the answer.  Where the client wishes, a
 * session remembers the partitions (KIP-227), and its next fetches are fetch_incremental.c's.
 *
 * Size rules (KIP-74): partitions in the order asked; the first one with data gives at least one
 * whole batch; the rest stays within its own and the total limit.  Failures are answered per
 * partition, at once, but for partitions that the metadata do not know: as in Kafka they wait with
 * the others, if there are any, so that a consumer of a deleted topic does not ask in a circle.  A
 * follower's fetch (replica id >= 0) is refused: this cluster has no other broker. */
#include "broker/fetch_session.h"

/* A round is granted this part of what all replies of the shard may still take, so that answers
 * become smaller while clients do not read theirs; and never nothing. */
#define FETCH_SHARE     4
#define FETCH_BYTES_MIN ((size_t)64 << 10)

#define SESSION_EPOCH_NONE  (-1)        /* no session wanted; one that is named ends */
#define SESSION_EPOCH_FIRST 0           /* a new one, instead of one that is named */

static void full_collect(struct rl_fetch *f, bool forced);

void rl_fetch_refuse(struct rl_request *request, int16_t error)
{
    struct rl_fetch_response response;
    rl_fetch_response_init(&response);
    response.error_code = error;
    rl_reply_message(request, &response);
}

void rl_fetch_sum_add(struct rl_fetch_sum *sum, const struct rl_fetch_entry *e)
{
    sum->read_bytes += e->bytes;
    sum->available_bytes += e->available_bytes;
    sum->failed |= e->status != RL_OK || e->diverging_end_offset >= 0;
}

/* How much this round may read, known and told to the connection before anything is read. */
void rl_fetch_grant(struct rl_fetch *f)
{
    rl_request_announce_reply(f->request, 0);
    size_t left_bytes = rl_net_reply_bytes_left(rl_request_shard(f->request));
    size_t share_bytes = RL_MAX(left_bytes / FETCH_SHARE, FETCH_BYTES_MIN);
    f->max_bytes = RL_MIN(f->asked_max_bytes, share_bytes);
    f->min_bytes = f->max_bytes < f->asked_max_bytes ? RL_MIN(f->asked_min_bytes, f->max_bytes)
                                                     : f->asked_min_bytes;
    rl_request_announce_reply(f->request, f->max_bytes);
}

/* ---- the end ---- */

static void full_drop(struct rl_fetch *f)
{
    for (uint32_t i = 0; i < f->entry_count; i++)
        rl_fetch_entry_release(&f->entries[i]);
}

/* As Kafka does, what the metadata do not know comes last. */
static void full_order(struct rl_fetch *f, struct rl_fetch_entry **entries)
{
    uint32_t count = 0;
    for (int unknown = 0; unknown <= 1; unknown++)
        for (uint32_t i = 0; i < f->entry_count; i++)
            if ((f->entries[i].error_code != 0) == unknown)
                entries[count++] = &f->entries[i];
}

static void full_reply(struct rl_fetch *f)
{
    struct rl_request *request = f->request;
    struct rl_fetch_entry **entries = rl_request_alloc(request, f->entry_count, sizeof(*entries));
    if (entries == NULL) {
        full_drop(f);
        return;
    }
    size_t total_bytes = 0;
    full_order(f, entries);
    for (uint32_t i = 0; i < f->entry_count; i++)
        rl_fetch_trim(f, entries[i], &total_bytes);
    int32_t session_id = 0;
    if (f->wants_session)
        session_id = rl_fetch_sessions_make(rl_request_shard(request), entries, f->entry_count,
                                            request->api_version >= RL_FETCH_TOPIC_ID_VERSION_MIN);
    if (!rl_fetch_reply(f, entries, f->entry_count, session_id))
        full_drop(f);
}

static void full_end(struct rl_fetch *f)
{
    struct rl_shard *shard = rl_request_shard(f->request);
    if (rl_timer_running(&f->timer))
        rl_timer_stop(shard, &f->timer);
    f->request->on_cancel = f->request->on_hurry = NULL;
    if (!f->abandoned) {
        full_reply(f);
        return;
    }
    full_drop(f);
    rl_request_finish(f->request);
}

/* ---- rounds ---- */

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
        full_end(f);
    else
        full_collect(f, rl_request_shard(f->request)->now_ns >= f->deadline_ns);
}

static void full_watch(struct rl_fetch *f)
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
    struct rl_fetch_sum sum = { .failed = f->scatter.calls == NULL };
    for (uint32_t i = 0; i < f->entry_count; i++)
        if (f->entries[i].error_code == 0)
            rl_fetch_sum_add(&sum, &f->entries[i]);
    if (f->abandoned || f->forced || sum.failed || sum.read_bytes >= f->min_bytes) {
        full_end(f);
        return;
    }
    bool enough = sum.available_bytes >= f->min_bytes;  /* several shards together */
    full_drop(f);
    if (enough || rl_request_shard(f->request)->now_ns >= f->deadline_ns)
        full_collect(f, true);
    else
        full_watch(f);
}

static void full_collect(struct rl_fetch *f, bool forced)
{
    rl_fetch_grant(f);
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

static void on_hurry(struct rl_request *request)
{
    struct rl_fetch *f = request->state;
    f->deadline_ns = 0;
    if (f->scatter.cancel != NULL)      /* else a collect round is out and will see the time */
        rl_scatter_cancel(&f->scatter);
}

/* ---- the request ---- */

void rl_fetch_entry_ask(struct rl_fetch_entry *e, const struct rl_fetch_request_partition *asked)
{
    e->current_leader_epoch = asked->current_leader_epoch;
    e->last_fetched_epoch = asked->last_fetched_epoch;
    e->fetch_offset = asked->fetch_offset;
    e->max_bytes = asked->partition_max_bytes > 0 ? (size_t)asked->partition_max_bytes : 0;
}

void rl_fetch_init(struct rl_fetch *f, struct rl_request *request, const struct rl_fetch_request *asked)
{
    const struct rl_shard *shard = rl_request_shard(request);
    int32_t fetch_max_bytes = rl_broker_config(shard)->fetch_max_bytes;
    f->request = request;
    f->asked = asked;
    f->asked_max_bytes = (size_t)RL_MAX(RL_MIN(asked->max_bytes, fetch_max_bytes), 0);
    f->asked_min_bytes = RL_MIN((size_t)RL_MAX(asked->min_bytes, 0), f->asked_max_bytes);
    f->read_committed = asked->isolation_level == 1;
}

void rl_fetch_limit(struct rl_fetch *f, size_t bytes)
{
    f->asked_max_bytes = RL_MIN(bytes, f->asked_max_bytes);
}

void rl_fetch_set_deadline(struct rl_fetch *f, void (*done)(struct rl_timer *))
{
    int64_t wait_ns = (int64_t)RL_MAX(f->asked->max_wait_ms, 0) * 1000000;
    f->deadline_ns = f->hurried ? 0 : rl_request_shard(f->request)->now_ns + wait_ns;
    f->timer = (struct rl_timer){ .done = done, .arg = f };
}

bool rl_fetch_may_wait(const struct rl_fetch *f)
{
    return f->asked_min_bytes > 0 && rl_request_shard(f->request)->now_ns < f->deadline_ns;
}

static bool full_add(struct rl_fetch *f, const struct rl_topic *topic, const struct rl_fetch_request_topic *from,
                     const struct rl_fetch_request_partition *asked)
{
    struct rl_fetch_entry *e = &f->entries[f->entry_count++];
    bool by_id = f->request->api_version >= RL_FETCH_TOPIC_ID_VERSION_MIN;
    *e = (struct rl_fetch_entry){ .topic = from->topic, .topic_id = from->topic_id,
                                  .partition_index = asked->partition };
    rl_fetch_entry_ask(e, asked);
    if (topic == NULL || asked->partition < 0 || asked->partition >= topic->partition_count) {
        e->error_code = topic == NULL && by_id ? RL_KAFKA_UNKNOWN_TOPIC_ID : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    e->topic_id = topic->id;
    uint32_t shard_count = rl_request_shard(f->request)->count;
    if (rl_scatter_add(&f->scatter, rl_partition_home(topic->id, asked->partition, shard_count), &e->item) == RL_OK)
        return true;
    rl_request_close(f->request);
    return false;
}

static bool full_topic(struct rl_fetch *f, const struct rl_fetch_request_topic *from)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(f->request));
    const struct rl_topic *topic = f->request->api_version >= RL_FETCH_TOPIC_ID_VERSION_MIN
                                       ? rl_image_find_id(image, from->topic_id)
                                       : rl_image_find(image, from->topic);
    for (int32_t i = 0; i < from->partitions_count; i++)
        if (!full_add(f, topic, from, &from->partitions[i]))
            return false;
    return true;
}

static bool full_prepare(struct rl_fetch *f)
{
    size_t partition_count = 0, bytes = 0;
    for (int32_t i = 0; i < f->asked->topics_count; i++)
        partition_count += (size_t)f->asked->topics[i].partitions_count;
    f->entries = rl_request_alloc(f->request, partition_count, sizeof *f->entries);
    if (f->entries == NULL)
        return false;
    for (int32_t i = 0; i < f->asked->topics_count; i++)
        if (!full_topic(f, &f->asked->topics[i]))
            return false;
    for (uint32_t i = 0; i < f->entry_count; i++)
        bytes += f->entries[i].max_bytes;
    rl_fetch_limit(f, bytes);
    return true;
}

void rl_fetch_begin_full(struct rl_request *request, const struct rl_fetch_request *asked, bool wants_session)
{
    struct rl_fetch *f = rl_request_alloc(request, 1, sizeof *f);
    if (f == NULL)
        return;
    rl_fetch_init(f, request, asked);
    f->wants_session = wants_session;
    rl_scatter_init(&f->scatter, request, NULL, NULL);
    if (!full_prepare(f))
        return;
    rl_fetch_set_deadline(f, on_max_wait);
    request->state = f;
    request->on_cancel = on_connection_gone;
    request->on_hurry = on_hurry;
    full_collect(f, !rl_fetch_may_wait(f));
}

void rl_api_fetch(struct rl_request *request, const void *message)
{
    const struct rl_fetch_request *asked = message;
    if (asked->replica_id >= 0 || asked->replica_state.replica_id >= 0) {
        rl_fetch_refuse(request, RL_KAFKA_INVALID_REQUEST);
        return;
    }
    if (asked->session_epoch != SESSION_EPOCH_NONE && asked->session_epoch != SESSION_EPOCH_FIRST) {
        rl_fetch_begin_incremental(request, asked);
        return;
    }
    struct rl_fetch_session *old = rl_fetch_sessions_find(rl_request_shard(request), asked->session_id);
    if (old != NULL)
        rl_fetch_sessions_close(old);
    rl_fetch_begin_full(request, asked, asked->session_epoch == SESSION_EPOCH_FIRST);
}

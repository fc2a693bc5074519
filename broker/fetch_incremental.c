/* broker/fetch_incremental.c — a fetch in a session (KIP-227): only what changed is looked at.
 *
 * Happy path: the session takes over what the request changes; the dirty partitions are collected;
 * with too little the fetch parks, until an owner says that a partition moved (then the dirty ones
 * and those that moved are collected again) or max.wait.ms has passed; the reply has the partitions
 * whose records, error, high watermark or log start are news to the client.
 *
 * Fetches of one session run one after the other.  On one connection that is what Kafka does, too,
 * since it takes the next request when the last is answered.  When another connection goes on with
 * the session, the fetches of the first one end with INVALID_FETCH_SESSION_EPOCH, which Kafka
 * answers when they are over: nobody waits for that answer any more.
 *
 * Failures: an unknown id, a wrong epoch, names where the session has ids, are told at once.  A
 * session that grew too large, or whose queued change was lost with its connection, is closed: the
 * client begins a new one. */
#include "broker/fetch_session.h"


static void incremental_start(struct rl_fetch *f);

static struct rl_fetch_session_partition *partition_of(struct rl_list *link)
{
    return RL_LIST_ENTRY(link, struct rl_fetch_session_partition, link);
}

/* ---- the end ---- */

/* f is answered: whatever comes next in its session. */
static void session_next(struct rl_fetch_session *s)
{
    struct rl_list *next = rl_list_first(&s->fetches);
    if (next != NULL)
        incremental_start(RL_LIST_ENTRY(next, struct rl_fetch, link));
    else
        rl_fetch_sessions_idle(s);
}

static void incremental_leave(struct rl_fetch *f)
{
    if (rl_timer_running(&f->timer))
        rl_timer_stop(rl_request_shard(f->request), &f->timer);
    f->request->on_cancel = f->request->on_hurry = NULL;
    rl_list_remove(&f->link);
}

static void dirty_release(struct rl_fetch_session *s)
{
    RL_LIST_EACH(link, &s->dirty)
        rl_fetch_entry_release(&partition_of(link)->entry);
}

/* Without partitions: with an error, or because nobody is there to be answered. */
static void incremental_refuse(struct rl_fetch *f, int16_t error)
{
    struct rl_fetch_session *s = f->session;
    incremental_leave(f);
    dirty_release(s);
    if (f->abandoned)
        rl_request_finish(f->request);
    else
        rl_fetch_refuse(f->request, error);
    session_next(s);
}

/* What is news, what has records first trimmed to what may be sent; as Kafka does, what the
 * metadata do not know comes last. */
static uint32_t reply_choose(struct rl_fetch *f, struct rl_fetch_entry **entries, bool unknown, uint32_t count)
{
    RL_LIST_EACH(link, &f->session->dirty) {
        struct rl_fetch_session_partition *p = partition_of(link);
        if (rl_fetch_session_must_tell(p) && (p->entry.error_code != 0) == unknown)
            entries[count++] = &p->entry;
    }
    return count;
}

static void incremental_reply(struct rl_fetch *f)
{
    struct rl_fetch_session *s = f->session;
    uint32_t count = 0;
    size_t total_bytes = 0;
    RL_LIST_EACH(link, &s->dirty) {
        struct rl_fetch_session_partition *p = partition_of(link);
        rl_fetch_trim(f, &p->entry, &total_bytes);
        count += rl_fetch_session_must_tell(p);
    }
    incremental_leave(f);
    struct rl_fetch_entry **entries = rl_request_alloc(f->request, count, sizeof(*entries));
    if (entries != NULL) {
        count = reply_choose(f, entries, false, 0);
        count = reply_choose(f, entries, true, count);
        for (uint32_t i = 0; i < count; i++)
            rl_fetch_session_told(s, RL_CONTAINER_OF(entries[i], struct rl_fetch_session_partition, entry),
                                  entries[i]->bytes > 0);
    }
    if (entries == NULL || !rl_fetch_reply(f, entries, count, s->id)) {
        dirty_release(s);               /* the connection is closed, and what it was told is lost */
        rl_fetch_sessions_hide(s);
    }
    session_next(s);
}

/* ---- rounds ---- */

static void side_join(struct rl_fetch *f, struct rl_fetch_side *side)
{
    if (side->in_round)
        return;
    side->in_round = true;
    side->answers = side->ready;
    side->ready = false;
    side->leaving = NULL;
    rl_scatter_call_clear(&side->call);
    rl_scatter_add_call(&f->scatter, &side->call);
}

static void round_gather(struct rl_fetch *f)
{
    struct rl_fetch_session *s = f->session;
    RL_LIST_EACH(link, &s->dirty) {
        struct rl_fetch_session_partition *p = partition_of(link);
        if (p->side == NULL)
            continue;
        side_join(f, p->side);
        rl_scatter_call_add(&p->side->call, &p->entry.item);
    }
    RL_LIST_EACH(link, &s->leaving) {
        struct rl_fetch_session_partition *p = partition_of(link);
        side_join(f, p->side);
        p->entry.item.next = p->side->leaving;
        p->side->leaving = &p->entry.item;
    }
    for (struct rl_fetch_side *side = s->sides; side != NULL; side = side->next)
        if (side->ready)
            side_join(f, side);
}

/* What the owners added fired: it is dirty now.  What left is gone. */
static void round_take_back(struct rl_fetch_session *s)
{
    for (struct rl_fetch_side *side = s->sides; side != NULL; side = side->next) {
        if (!side->in_round)
            continue;
        side->in_round = false;
        for (struct rl_scatter_item *i = side->call.items; i != NULL; i = i->next) {
            struct rl_fetch_entry *e = RL_CONTAINER_OF(i, struct rl_fetch_entry, item);
            rl_fetch_session_mark_dirty(s, RL_CONTAINER_OF(e, struct rl_fetch_session_partition, entry));
        }
    }
    struct rl_list *link;
    while ((link = rl_list_first(&s->leaving)) != NULL)
        rl_fetch_session_remove(s, partition_of(link));
}

/* Add up what the round found, and let go of what is not worth another look. */
static struct rl_fetch_sum round_settle(struct rl_fetch_session *s)
{
    struct rl_fetch_sum sum = { .failed = s->unknown_count == rl_fetch_session_count(s) };
    RL_LIST_EACH_SAFE(link, &s->dirty) {
        struct rl_fetch_session_partition *p = partition_of(link);
        if (p->entry.error_code != 0) {
            sum.failed |= p->entry.error_code == RL_KAFKA_INCONSISTENT_TOPIC_ID;
            continue;
        }
        rl_fetch_sum_add(&sum, &p->entry);
        if (p->entry.available_bytes == 0 && !rl_fetch_session_must_tell(p))
            rl_list_remove(link);
    }
    return sum;
}

static void on_collected(struct rl_scatter *scatter);

static void round_start(struct rl_fetch *f, bool forced)
{
    f->parked = false;
    rl_fetch_grant(f);
    f->forced = forced;
    f->prefers_files = rl_request_prefers_files(f->request);
    rl_scatter_init(&f->scatter, f->request, rl_fetch_side_run, on_collected);
    round_gather(f);
    rl_scatter_start(&f->scatter);
}

static bool session_is_ready(const struct rl_fetch_session *s)
{
    for (const struct rl_fetch_side *side = s->sides; side != NULL; side = side->next)
        if (side->ready)
            return true;
    return false;
}

static void incremental_park(struct rl_fetch *f)
{
    if (session_is_ready(f->session)) {                 /* said while the round was out */
        round_start(f, false);
        return;
    }
    rl_request_announce_reply(f->request, 0);
    if (!rl_timer_running(&f->timer))
        rl_timer_start(rl_request_shard(f->request), &f->timer, f->deadline_ns);
    f->parked = true;
}

static void on_collected(struct rl_scatter *scatter)
{
    struct rl_fetch *f = RL_CONTAINER_OF(scatter, struct rl_fetch, scatter);
    struct rl_fetch_session *s = f->session;
    round_take_back(s);
    if (f->abandoned || f->superseded) {
        incremental_refuse(f, RL_KAFKA_INVALID_FETCH_SESSION_EPOCH);
        return;
    }
    struct rl_fetch_sum sum = round_settle(s);
    if (f->forced || sum.failed || sum.read_bytes >= f->min_bytes) {
        incremental_reply(f);
        return;
    }
    dirty_release(s);
    if (sum.available_bytes >= f->min_bytes || rl_request_shard(f->request)->now_ns >= f->deadline_ns)
        round_start(f, true);           /* several shards together have enough; or the time is over */
    else
        incremental_park(f);
}

void rl_fetch_side_is_ready(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_fetch_side *side = RL_CONTAINER_OF(msg, struct rl_fetch_side, ready_msg);
    struct rl_list *first = rl_list_first(&side->session->fetches);
    RL_ASSERT(shard == side->session->home);
    side->ready = true;
    if (first != NULL && RL_LIST_ENTRY(first, struct rl_fetch, link)->parked)
        round_start(RL_LIST_ENTRY(first, struct rl_fetch, link), false);
}

static void on_max_wait(struct rl_timer *timer)
{
    struct rl_fetch *f = timer->arg;
    if (f->parked)                      /* else a round is out and will see the time */
        round_start(f, true);
}

/* Also before its turn in the session has come. */
static void on_hurry(struct rl_request *request)
{
    struct rl_fetch *f = request->state;
    f->hurried = true;
    f->deadline_ns = 0;
    if (f->parked)
        round_start(f, true);
}

/* ---- the request ---- */

static void on_connection_gone(struct rl_request *request)
{
    struct rl_fetch *f = request->state;
    f->abandoned = true;
    if (f->parked) {
        incremental_refuse(f, RL_KAFKA_NONE);
    } else if (!f->started) {           /* its change was promised by the epoch, and is lost */
        incremental_leave(f);
        rl_fetch_sessions_close(f->session);
        rl_request_finish(request);
    }
}

static void incremental_start(struct rl_fetch *f)
{
    struct rl_fetch_session *s = f->session;
    struct rl_request *request = f->request;
    const struct rl_fetch_request *asked = f->asked;
    f->started = true;
    if (rl_fetch_session_update(s, asked) != RL_OK) {
        rl_fetch_sessions_hide(s);
        incremental_refuse(f, RL_KAFKA_FETCH_SESSION_ID_NOT_FOUND);
        return;
    }
    if (f->superseded) {
        incremental_refuse(f, RL_KAFKA_INVALID_FETCH_SESSION_EPOCH);
        return;
    }
    if (rl_fetch_session_count(s) == 0) {               /* Kafka ends an empty session */
        rl_fetch_sessions_hide(s);
        incremental_leave(f);
        rl_fetch_begin_full(request, asked, false);
        session_next(s);
        return;
    }
    if (s->read_committed != f->read_committed)         /* another end of what is readable */
        rl_fetch_session_touch_all(s);
    s->read_committed = f->read_committed;
    rl_fetch_session_resolve(s);
    rl_fetch_limit(f, s->max_bytes);
    rl_fetch_set_deadline(f, on_max_wait);
    round_start(f, !rl_fetch_may_wait(f));
}

static int16_t incremental_error(const struct rl_request *request, const struct rl_fetch_request *asked,
                                 const struct rl_fetch_session *s)
{
    if (s == NULL)
        return RL_KAFKA_FETCH_SESSION_ID_NOT_FOUND;
    if (s->epoch != asked->session_epoch)
        return RL_KAFKA_INVALID_FETCH_SESSION_EPOCH;
    if (s->uses_topic_ids != (request->api_version >= RL_FETCH_TOPIC_ID_VERSION_MIN))
        return RL_KAFKA_FETCH_SESSION_TOPIC_ID_ERROR;
    return RL_KAFKA_NONE;
}

/* Others that still fetch in this session have lost it to f's connection. */
static void session_supersede(struct rl_fetch_session *s, const struct rl_fetch *f)
{
    RL_LIST_EACH(link, &s->fetches) {
        struct rl_fetch *other = RL_LIST_ENTRY(link, struct rl_fetch, link);
        other->superseded |= other->request->connection != f->request->connection;
    }
}

void rl_fetch_begin_incremental(struct rl_request *request, const struct rl_fetch_request *asked)
{
    struct rl_fetch_session *s = rl_fetch_sessions_find(rl_request_shard(request), asked->session_id);
    int16_t error = incremental_error(request, asked, s);
    if (error != RL_KAFKA_NONE) {
        rl_fetch_refuse(request, error);
        return;
    }
    struct rl_fetch *f = rl_request_alloc(request, 1, sizeof *f);
    if (f == NULL)
        return;
    rl_fetch_init(f, request, asked);
    f->session = s;
    s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
    rl_fetch_sessions_touch(s);
    rl_list_push_back(&s->fetches, &f->link);
    request->state = f;
    request->on_cancel = on_connection_gone;
    request->on_hurry = on_hurry;
    session_supersede(s, f);
    struct rl_fetch *first = RL_LIST_ENTRY(rl_list_first(&s->fetches), struct rl_fetch, link);
    if (first == f)
        incremental_start(f);
    else if (first->parked && first->superseded)
        incremental_refuse(first, RL_KAFKA_INVALID_FETCH_SESSION_EPOCH);
}

/* replicate/partition.c — a partition's replica: appends become acknowledged, then visible.
 *
 * Happy path: rl_partition_append() lets the log assign offsets and links the append behind the
 * others; at the end of the turn the log has written it (on_written), perhaps synced it later
 * (on_flushed); partition_advance() pops every append at the head whose own condition holds,
 * raises the high watermark to its end, answers it, and wakes the fetches that wait below.
 *
 * Failures: when the log fails, everybody who waits is answered RL_EIO and the partition is
 * offline, until replica_manager.c has opened the log again (replica_heal.c).  An append whose caller gave up stays in the list as our own copy, because what comes
 * behind it may not become visible before it. */
#include "replicate/partition.h"
#include "core/memory.h"

struct replica_state_row {
    const char *name;
    unsigned allowed;                   /* states that may follow */
};

/* The whole life of a replica on one screen. */
static const struct replica_state_row replica_states[RL_REPLICA_STATES] = {
    [RL_REPLICA_OPENING] = { "opening", RL_BIT(RL_REPLICA_LEADER) | RL_BIT(RL_REPLICA_OFFLINE) },
    [RL_REPLICA_LEADER]  = { "leader",  RL_BIT(RL_REPLICA_OFFLINE) },
    [RL_REPLICA_OFFLINE] = { "offline", RL_BIT(RL_REPLICA_LEADER) | RL_BIT(RL_REPLICA_OFFLINE) },
};

static void partition_move(struct rl_partition *p, enum rl_replica_state state)
{
    RL_ASSERT(replica_states[p->state].allowed & RL_BIT(state));
    p->state = state;
}

/* The order of offsets that every reader relies on. */
static void partition_check(const struct rl_partition *p)
{
    RL_ASSERT(rl_partition_log_start_offset(p) <= rl_partition_last_stable_offset(p));
    RL_ASSERT(rl_partition_last_stable_offset(p) <= p->high_watermark);
    RL_ASSERT(p->high_watermark <= rl_log_end_offset(p->log));
}

struct rl_partition *rl_partition_create(struct rl_shard *home, struct rl_uuid topic_id,
                                         const char *topic, int32_t index,
                                         const struct rl_log_config *config)
{
    struct rl_partition *p = rl_alloc_zero(1, sizeof *p);
    p->magic = RL_PARTITION_MAGIC;
    p->home = home;
    p->topic_id = topic_id;
    p->topic = rl_strdup(topic);
    p->index = index;
    p->state = RL_REPLICA_OPENING;
    p->config = *config;
    rl_list_init(&p->pending);
    rl_list_init(&p->waiters);
    return p;
}

void rl_partition_free(struct rl_partition *p)
{
    RL_OBJ(p, PARTITION);
    RL_ASSERT(p->log == NULL);
    RL_ASSERT(rl_list_empty(&p->pending));
    RL_ASSERT(rl_list_empty(&p->waiters));
    rl_log_lost_done(&p->lost);
    p->magic = 0;
    rl_free(p->topic);
    rl_free(p);
}

void rl_partition_lead(struct rl_partition *p, struct rl_log *log, int32_t leader_epoch)
{
    RL_OBJ(p, PARTITION);
    partition_move(p, RL_REPLICA_LEADER);
    p->log = log;
    p->leader_epoch = leader_epoch;
    rl_log_lost_give(&p->lost, log);
    if (rl_log_latest_epoch(log) < leader_epoch)
        rl_log_begin_epoch(log, leader_epoch);
    /* The only replica: what survived is all there is, and nobody else can contradict it. */
    p->high_watermark = rl_log_end_offset(log);
    partition_check(p);
}

int64_t rl_partition_log_start_offset(const struct rl_partition *p)
{
    return rl_log_start_offset(p->log);
}

int64_t rl_partition_last_stable_offset(const struct rl_partition *p)
{
    return p->high_watermark;           /* no transactions yet, so nothing holds it back */
}

rl_status rl_partition_check_epoch(const struct rl_partition *p, int32_t current_leader_epoch)
{
    switch (p->state) {
    case RL_REPLICA_OPENING: return RL_EBUSY;
    case RL_REPLICA_OFFLINE: return RL_EIO;
    case RL_REPLICA_LEADER:
    case RL_REPLICA_STATES:  break;
    }
    if (current_leader_epoch < 0 || current_leader_epoch == p->leader_epoch)
        return RL_OK;
    return current_leader_epoch < p->leader_epoch ? RL_EFENCED : RL_EUNKNOWNEPOCH;
}

rl_status rl_partition_check_asked_epoch(const struct rl_partition *p, int32_t current_leader_epoch)
{
    if (p == NULL)
        return RL_ENOTFOUND;
    return current_leader_epoch < -1 ? RL_EFENCED : rl_partition_check_epoch(p, current_leader_epoch);
}

/* ---- appends ---- */

static bool append_is_acknowledged(const struct rl_partition *p, const struct rl_partition_append *a)
{
    return a->end_offset <= (a->needs_flush ? rl_log_flushed_offset(p->log)
                                            : rl_log_written_offset(p->log));
}

static void append_answer(struct rl_partition_append *a, rl_status status)
{
    if (a->owned) {
        rl_free(a);
        return;
    }
    a->status = status;
    a->done(a);
}

static void partition_wake(struct rl_partition *p, bool all)
{
    struct rl_list ready;
    rl_list_init(&ready);
    RL_LIST_EACH_SAFE(link, &p->waiters) {
        struct rl_fetch_waiter *w = RL_LIST_ENTRY(link, struct rl_fetch_waiter, link);
        if (!all && p->high_watermark <= w->wanted_offset)
            continue;
        rl_list_remove(link);
        rl_list_push_back(&ready, link);
    }
    /* From a list of their own: a waiter that still has too little parks again. */
    struct rl_list *link;
    while ((link = rl_list_pop_front(&ready)) != NULL) {
        struct rl_fetch_waiter *w = RL_LIST_ENTRY(link, struct rl_fetch_waiter, link);
        w->ready(w);
    }
}

void rl_partition_raise_epoch(struct rl_partition *p, int32_t leader_epoch)
{
    RL_OBJ(p, PARTITION);
    RL_ASSERT(p->state == RL_REPLICA_LEADER && leader_epoch > p->leader_epoch);
    p->leader_epoch = leader_epoch;
    if (rl_log_latest_epoch(p->log) < leader_epoch)
        rl_log_begin_epoch(p->log, leader_epoch);
    partition_wake(p, true);            /* whoever waits believes in the old one */
}

/* Acknowledge every append at the head whose condition holds; the high watermark follows. */
static void partition_advance(struct rl_partition *p)
{
    int64_t before = p->high_watermark;
    struct rl_list acknowledged, *link;
    rl_list_init(&acknowledged);
    while ((link = rl_list_first(&p->pending)) != NULL) {
        struct rl_partition_append *a = RL_LIST_ENTRY(link, struct rl_partition_append, link);
        if (!append_is_acknowledged(p, a))
            break;
        rl_list_remove(link);
        p->high_watermark = RL_MAX(p->high_watermark, a->end_offset);
        rl_list_push_back(&acknowledged, link);
    }
    partition_check(p);
    while ((link = rl_list_pop_front(&acknowledged)) != NULL)
        append_answer(RL_LIST_ENTRY(link, struct rl_partition_append, link), RL_OK);
    if (p->high_watermark > before)
        partition_wake(p, false);
}

/* Keep the list in offset order: only a repeated batch ever goes before the end. */
static void partition_link_append(struct rl_partition *p, struct rl_partition_append *a)
{
    struct rl_list *prev = p->pending.previous;
    while (prev != &p->pending &&
           RL_LIST_ENTRY(prev, struct rl_partition_append, link)->end_offset > a->end_offset)
        prev = prev->previous;
    rl_list_insert_between(&a->link, prev, prev->next);
}

static bool append_wants_flush(const struct rl_partition *p, int16_t acks)
{
    return p->config.flush_messages == 1 || (acks == -1 && p->config.acks_all_sync);
}

/* flush.messages > 1: a flush now and then, which no acknowledgement waits for. */
static void partition_count_unflushed(struct rl_partition *p, int64_t records)
{
    p->unflushed_records += records;
    if (p->unflushed_records < p->config.flush_messages)
        return;
    p->unflushed_records = 0;
    rl_log_flush(p->log);
}

rl_status rl_partition_append(struct rl_partition *p, struct rl_partition_append *a)
{
    RL_OBJ(p, PARTITION);
    rl_status status = rl_partition_check_epoch(p, -1);
    if (status != RL_OK) {
        rl_log_lost_refuse(&p->lost, p->home, a->batch);
        return status;
    }

    status = rl_log_append(p->log, a->batch, a->buffer, p->leader_epoch, &a->result);
    if (status != RL_OK && status != RL_EDUPLICATE)
        return status;
    a->end_offset = a->result.last_offset + 1;
    a->needs_flush = append_wants_flush(p, a->acks);
    a->owned = false;
    if (status == RL_EDUPLICATE && a->end_offset <= p->high_watermark && append_is_acknowledged(p, a))
        return RL_EDUPLICATE;

    partition_link_append(p, a);
    if (a->needs_flush && status == RL_EDUPLICATE)
        rl_log_await(p->log, a->batch);
    if (a->needs_flush)
        rl_log_flush(p->log);
    else if (status == RL_OK)
        partition_count_unflushed(p, a->batch->record_count);
    return RL_OK;
}

void rl_partition_append_forget(struct rl_partition *p, struct rl_partition_append *a)
{
    RL_OBJ(p, PARTITION);
    struct rl_partition_append *ours = rl_alloc(sizeof *ours);
    *ours = *a;
    ours->owned = true;
    ours->batch = NULL;
    ours->buffer = NULL;
    rl_list_insert_between(&ours->link, &a->link, a->link.next);
    rl_list_remove(&a->link);
}

/* ---- fetches ---- */

void rl_partition_wait(struct rl_partition *p, struct rl_fetch_waiter *w)
{
    RL_OBJ(p, PARTITION);
    RL_ASSERT(p->state == RL_REPLICA_LEADER);
    RL_ASSERT(p->high_watermark <= w->wanted_offset);
    rl_list_push_back(&p->waiters, &w->link);
}

void rl_partition_wait_stop(struct rl_fetch_waiter *w)
{
    if (rl_list_linked(&w->link))
        rl_list_remove(&w->link);
}

/* ---- what the log tells ---- */

void rl_partition_go_offline(struct rl_partition *p, rl_status status)
{
    RL_OBJ(p, PARTITION);
    partition_move(p, RL_REPLICA_OFFLINE);
    struct rl_list *link;
    while ((link = rl_list_pop_front(&p->pending)) != NULL)
        append_answer(RL_LIST_ENTRY(link, struct rl_partition_append, link), status);
    partition_wake(p, true);
}

static void on_log_progress(void *arg)
{
    struct rl_partition *p = arg;
    RL_OBJ(p, PARTITION);
    if (p->state == RL_REPLICA_LEADER)
        partition_advance(p);
}

/* A full or read-only disk heals: the log took back what it could not write, and reads go on. */
static void partition_answer_rolled_back(struct rl_partition *p, rl_status status)
{
    int64_t end_offset = rl_log_end_offset(p->log);
    RL_LIST_EACH_SAFE(link, &p->pending) {
        struct rl_partition_append *a = RL_LIST_ENTRY(link, struct rl_partition_append, link);
        if (a->end_offset <= end_offset)
            continue;
        rl_list_remove(link);
        append_answer(a, status);
    }
}

static void on_log_failed(void *arg, rl_status status)
{
    struct rl_partition *p = arg;
    RL_OBJ(p, PARTITION);
    if (p->state != RL_REPLICA_LEADER)
        return;
    if (status == RL_ENOSPACE || status == RL_EREADONLY) {
        partition_answer_rolled_back(p, status);
        return;
    }
    rl_partition_go_offline(p, RL_EIO);
    p->log_failed(p);
}

static void on_log_trimmed(void *arg)
{
    struct rl_partition *p = arg;
    RL_OBJ(p, PARTITION);
    if (p->state != RL_REPLICA_LEADER)
        return;
    partition_check(p);
    partition_wake(p, true);            /* readers are told where the log begins */
}

const struct rl_log_events rl_partition_log_events = {
    .on_written = on_log_progress,
    .on_flushed = on_log_progress,
    .on_failed = on_log_failed,
    .on_trimmed = on_log_trimmed,
};

/* broker/fetch_partitions.c — the owner's half of a Fetch: measure, read, watch.
 *
 * Happy path: every partition is checked and measured in memory; with enough to answer, each is
 * read (from the in-memory tail at once, from the file perhaps later); the call returns.  Chunks
 * for a connection on the same shard stay references; for another shard they are copied once
 * into a buffer that becomes that shard's, because counts of references never cross shards.
 * Ranges of files are leases, which may cross.
 *
 * At a session's side the same round leaves waiters behind: a partition without news is watched from
 * fetch to fetch.
 *
 * Failures stay with their partition and make the fetch answer at once. */
#include "broker/fetch_session.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"

static struct rl_fetch *fetch_of(const struct rl_scatter_call *call)
{
    return RL_CONTAINER_OF(call->scatter, struct rl_fetch, scatter);
}

static struct rl_fetch_entry *entry_of(struct rl_scatter_item *item)
{
    return RL_CONTAINER_OF(item, struct rl_fetch_entry, item);
}

static struct rl_partition *entry_partition(const struct rl_scatter_call *call, const struct rl_fetch_entry *e)
{
    return rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
}

static int64_t upper_offset_of(const struct rl_fetch *f, const struct rl_fetch_entry *e)
{
    return f->read_committed ? e->last_stable_offset : e->high_watermark;
}

/* ---- collect ---- */

/* Does the log where the client's last batch came from end before its offset (KIP-595)? */
static rl_status entry_check_divergence(struct rl_fetch_entry *e, const struct rl_partition *p)
{
    int32_t epoch;
    int64_t end_offset;
    if (e->last_fetched_epoch < 0)
        return RL_OK;
    rl_log_epoch_end(p->log, e->last_fetched_epoch, &epoch, &end_offset);
    if (epoch < 0 || end_offset < 0)
        return RL_ERANGE;
    if (epoch < e->last_fetched_epoch || end_offset < e->fetch_offset) {
        e->diverging_epoch = epoch;
        e->diverging_end_offset = end_offset;
    }
    return RL_OK;
}

static rl_status entry_measure(const struct rl_fetch *f, struct rl_fetch_entry *e, struct rl_partition *p)
{
    if (p == NULL)
        return RL_ENOTFOUND;
    e->leader_epoch = p->leader_epoch;
    rl_status status = rl_partition_check_epoch(p, e->current_leader_epoch);
    if (status == RL_OK)
        status = entry_check_divergence(e, p);
    if (status != RL_OK)
        return status;
    e->high_watermark = p->high_watermark;
    e->last_stable_offset = rl_partition_last_stable_offset(p);
    e->log_start_offset = rl_partition_log_start_offset(p);
    if (e->diverging_end_offset >= 0)
        return RL_OK;
    if (e->fetch_offset < e->log_start_offset || e->fetch_offset > rl_log_end_offset(p->log))
        return RL_ERANGE;
    size_t limit = RL_MIN(e->max_bytes, f->max_bytes);
    if (e->fetch_offset < upper_offset_of(f, e))        /* a limit of 0 still gets one batch */
        e->available_bytes = rl_log_available_bytes(p->log, e->fetch_offset, upper_offset_of(f, e),
                                                    RL_MAX(limit, 1));
    return RL_OK;
}

/* Measure all; true when the answer need not wait. */
static bool collect_measure(struct rl_scatter_call *call)
{
    const struct rl_fetch *f = fetch_of(call);
    struct rl_fetch_sum sum = { 0 };
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct rl_fetch_entry *e = entry_of(i);
        e->call = call;
        e->available_bytes = 0;
        e->high_watermark = e->last_stable_offset = e->log_start_offset = e->diverging_end_offset = -1;
        e->status = entry_measure(f, e, entry_partition(call, e));
        rl_fetch_sum_add(&sum, e);
    }
    return f->forced || sum.failed || sum.available_bytes >= f->min_bytes;
}

static void collect_release(struct rl_scatter_call *call)
{
    if (--call->outstanding == 0)
        rl_scatter_call_done(call);
}

/* Copy what was read into one buffer of the connection's shard. */
static void entry_copy_across(struct rl_fetch_entry *e, uint32_t home)
{
    struct rl_buffer *buffer = rl_buffer_create(e->read->bytes, home);
    size_t at = 0;
    for (uint32_t c = 0; c < e->read->chunk_count; c++) {
        memcpy(buffer->data + at, e->read->chunks[c].data, e->read->chunks[c].bytes);
        at += e->read->chunks[c].bytes;
        rl_chunk_release(&e->read->chunks[c]);
    }
    rl_free(e->read);
    e->read = NULL;
    e->copy = (struct rl_chunk){ .data = buffer->data, .bytes = at, .buffer = buffer };
    e->chunks = &e->copy;
    e->chunk_count = 1;
}

static void entry_take(struct rl_fetch_entry *e, rl_status status)
{
    const struct rl_shard *home = rl_request_shard(e->call->scatter->request);
    struct rl_log_read *read = e->read;
    if (status != RL_OK || read->bytes == 0) {
        e->status = status;
        rl_free(read);
        e->read = NULL;
        return;
    }
    e->bytes = read->bytes;
    if (e->call->owner != home && !rl_chunk_is_file(&read->chunks[0])) {
        entry_copy_across(e, home->index);
        return;
    }
    e->chunks = read->chunks;
    e->chunk_count = read->chunk_count;
}

static void on_read_done(struct rl_log_read *read)
{
    struct rl_fetch_entry *e = read->arg;
    entry_take(e, read->status);
    collect_release(e->call);
}

/* What the configured path makes of a read. */
static void read_set_path(struct rl_log_read *read, enum rl_send_path path, bool prefers_files)
{
    read->skip_tail = false;
    read->lend_tail = false;
    read->lend_bytes_min = 0;
    switch (path) {
    case RL_SEND_AUTO:
        /* A smaller range is copied at once: it would be read all the same. */
        read->lend_bytes_min = RL_SEND_BY_KERNEL_BYTES_MIN;
        read->lend_tail = prefers_files;
        break;
    case RL_SEND_READ:
    case RL_SEND_SENDFILE:
    case RL_SEND_SPLICE:
        read->skip_tail = true;
        read->lend_bytes_min = 1;
        break;
    case RL_SEND_MEMORY:
    case RL_SEND_ZEROCOPY:
    case RL_SEND_PATHS:
        break;
    }
}

static void entry_read(struct rl_scatter_call *call, struct rl_fetch_entry *e, size_t max_bytes, bool at_least_one)
{
    const struct rl_fetch *f = fetch_of(call);
    struct rl_partition *p = entry_partition(call, e);
    e->read = rl_alloc(sizeof *e->read);
    e->read->offset = e->fetch_offset;
    e->read->upper_offset = upper_offset_of(f, e);
    e->read->max_bytes = max_bytes;
    e->read->at_least_one = at_least_one;
    read_set_path(e->read, rl_broker_config(call->owner)->fetch_path, f->prefers_files);
    e->read->done = on_read_done;
    e->read->arg = e;
    rl_status status = rl_log_read(p->log, e->read);
    if (status == RL_EBUSY)
        call->outstanding++;
    else
        entry_take(e, status);
}

/* In the order of the call, as much as fits; the first one with data gives at least a batch. */
static void collect_read(struct rl_scatter_call *call)
{
    const struct rl_fetch *f = fetch_of(call);
    size_t left_bytes = f->max_bytes;
    bool first = true;
    call->outstanding = 1;
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct rl_fetch_entry *e = entry_of(i);
        if (e->status != RL_OK || e->available_bytes == 0 || (left_bytes == 0 && !first))
            continue;
        entry_read(call, e, RL_MIN(e->max_bytes, left_bytes), first);
        left_bytes -= RL_MIN(left_bytes, e->available_bytes);
        first = false;
    }
    collect_release(call);
}

void rl_fetch_collect_run(struct rl_scatter_call *call)
{
    if (collect_measure(call))
        collect_read(call);
    else
        rl_scatter_call_done(call);
}

void rl_fetch_entry_release(struct rl_fetch_entry *e)
{
    for (uint32_t c = 0; c < e->chunk_count; c++)
        rl_chunk_release(&e->chunks[c]);
    rl_free(e->read);
    e->read = NULL;
    e->chunks = NULL;
    e->chunk_count = 0;
    e->bytes = 0;
}

/* ---- watch ---- */

static void watch_end(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next)
        rl_partition_wait_stop(&entry_of(i)->waiter);
    rl_scatter_call_done(call);
}

static void on_partition_ready(struct rl_fetch_waiter *waiter)
{
    struct rl_fetch_entry *e = waiter->arg;
    watch_end(e->call);
}

void rl_fetch_watch_cancel(struct rl_scatter_call *call)
{
    watch_end(call);
}

void rl_fetch_watch_run(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct rl_fetch_entry *e = entry_of(i);
        struct rl_partition *p = entry_partition(call, e);
        if (p == NULL || p->state != RL_REPLICA_LEADER || p->high_watermark > e->high_watermark) {
            watch_end(call);            /* something happened since it was measured */
            return;
        }
        e->waiter.wanted_offset = e->high_watermark;
        e->waiter.ready = on_partition_ready;
        e->waiter.arg = e;
        rl_partition_wait(p, &e->waiter);
    }
}

/* ---- a session's side ---- */

static void on_session_partition_ready(struct rl_fetch_waiter *waiter)
{
    struct rl_fetch_entry *e = waiter->arg;
    struct rl_fetch_side *side = RL_CONTAINER_OF(e->call, struct rl_fetch_side, call);
    rl_list_push_back(&side->fired, &waiter->link);
    if (side->notified)
        return;
    side->notified = true;
    rl_shard_post(side->session->home, &side->ready_msg);
}

/* Nobody waits for what is collected now; what fired since the last time is collected, too. */
static void side_take_back(struct rl_fetch_side *side)
{
    struct rl_list *link;
    if (side->answers)
        side->notified = false;
    for (struct rl_scatter_item *i = side->call.items; i != NULL; i = i->next)
        rl_partition_wait_stop(&entry_of(i)->waiter);
    for (struct rl_scatter_item *i = side->leaving; i != NULL; i = i->next)
        rl_partition_wait_stop(&entry_of(i)->waiter);
    while ((link = rl_list_pop_front(&side->fired)) != NULL) {
        struct rl_fetch_waiter *waiter = RL_LIST_ENTRY(link, struct rl_fetch_waiter, link);
        rl_scatter_call_add(&side->call, &RL_CONTAINER_OF(waiter, struct rl_fetch_entry, waiter)->item);
    }
}

/* Watch what has nothing to read; and, when that is not enough for an answer, all that is sound. */
static void side_watch(struct rl_scatter_call *call, bool enough)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct rl_fetch_entry *e = entry_of(i);
        if (e->status != RL_OK || e->diverging_end_offset >= 0 || (enough && e->available_bytes > 0))
            continue;
        e->waiter.wanted_offset = e->high_watermark;
        e->waiter.ready = on_session_partition_ready;
        e->waiter.arg = e;
        rl_partition_wait(entry_partition(call, e), &e->waiter);
    }
}

void rl_fetch_side_run(struct rl_scatter_call *call)
{
    struct rl_fetch_side *side = RL_CONTAINER_OF(call, struct rl_fetch_side, call);
    side_take_back(side);
    bool enough = collect_measure(call);
    side_watch(call, enough);
    if (enough)
        collect_read(call);
    else
        rl_scatter_call_done(call);
}

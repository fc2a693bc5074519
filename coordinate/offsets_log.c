/* coordinate/offsets_log.c — the store of one partition of __consumer_offsets: records to batches. */
#include "coordinate/offsets_log.h"
#include "coordinate/group_id.h"
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"

/* A batch is closed when it has reached this, and no write is halfway through it. */
#define BATCH_BYTES ((size_t)512 << 10)

struct offsets_append {
    struct rl_partition_append call;
    struct rl_batch batch;
    struct rl_buffer *buffer;
    struct rl_offsets_log *log;
    struct rl_list writes;
    struct rl_list link;
};

static void mark_dirty(struct rl_offsets_log *log)
{
    if (!rl_list_linked(&log->link))
        rl_list_push_back(log->dirty, &log->link);
}

/* The batch is full: it will be appended at the end of the turn, before what comes now.  Writes that
 * have ended are done with it. */
static void seal(struct rl_offsets_log *log)
{
    struct offsets_append *append = rl_alloc_zero(1, sizeof *append);
    rl_list_init(&append->writes);
    rl_list_take_all(&append->writes, &log->writes);
    append->log = log;
    append->buffer = rl_batch_writer_finish(&log->batch, log->shard->index, &append->batch);
    rl_list_push_back(&log->sealed, &append->link);
    log->write_bytes = 0;
    if (append->batch.size_bytes > 2 * BATCH_BYTES)
        rl_batch_writer_done(&log->batch);      /* so large a one is rare */
}

static void store_add(struct rl_group_store *store, struct rl_slice key, struct rl_slice value)
{
    struct rl_offsets_log *log = RL_CONTAINER_OF(store, struct rl_offsets_log, store);
    bool is_full = log->write_bytes == 0 ? rl_batch_writer_bytes(&log->batch) >= BATCH_BYTES
                                         : log->write_bytes >= RL_GROUP_WRITE_BYTES_MAX;
    if (is_full)
        seal(log);
    rl_batch_writer_add(&log->batch, log->shard->wall_ms, key, value);
    log->write_bytes += key.bytes + value.bytes;
    log->added_bytes += key.bytes + value.bytes;
    mark_dirty(log);
}

static void store_end(struct rl_group_store *store, struct rl_group_write *write)
{
    struct rl_offsets_log *log = RL_CONTAINER_OF(store, struct rl_offsets_log, store);
    rl_list_push_back(&log->writes, &write->link);
    log->write_bytes = 0;
    mark_dirty(log);
}

void rl_offsets_log_init(struct rl_offsets_log *log, struct rl_shard *shard, struct rl_uuid topic_id,
                         int32_t partition, struct rl_list *dirty, void (*failed)(struct rl_offsets_log *),
                         void (*appended)(struct rl_offsets_log *, rl_status, size_t, int64_t))
{
    *log = (struct rl_offsets_log){ .store = { store_add, store_end }, .shard = shard, .topic_id = topic_id,
                                    .partition = partition, .dirty = dirty, .failed = failed,
                                    .appended = appended };
    rl_list_init(&log->writes);
    rl_list_init(&log->sealed);
    rl_list_init(&log->appends);
}

/* True: some of them had been applied before they were written. */
static bool finish_writes(struct rl_list *writes, rl_status status)
{
    bool applied = false;
    for (struct rl_list *node; (node = rl_list_pop_front(writes)) != NULL;) {
        struct rl_group_write *write = RL_LIST_ENTRY(node, struct rl_group_write, link);
        applied |= write->applied;
        write->done(write, status);
    }
    return applied;
}

static void append_free(struct offsets_append *append)
{
    rl_list_remove(&append->link);
    rl_buffer_unref(append->buffer);
    rl_free(append);
}

static void on_appended(struct rl_partition_append *call)
{
    struct offsets_append *append = call->arg;
    struct rl_offsets_log *log = append->log;
    rl_status status = call->status;
    size_t bytes = append->batch.size_bytes;
    int64_t end_offset = call->result.last_offset + 1;
    finish_writes(&append->writes, status);
    append_free(append);
    log->appended(log, status, bytes, end_offset);
    if (status != RL_OK) {              /* whether it is in the log nobody knows now */
        RL_WARN_EVERY(10, "coordinate", "%s-%d: committed offsets and groups could not be stored: %s",
                      RL_OFFSETS_TOPIC, log->partition, rl_status_text(status));
        log->failed(log);
    }
    rl_shard_again(log->shard);         /* logs speak after our hook: answers must not wait for a next turn */
}

/* It will not be appended. */
static void refuse(struct offsets_append *append, rl_status status)
{
    struct rl_offsets_log *log = append->log;
    bool applied = finish_writes(&append->writes, status);
    append_free(append);
    log->appended(log, status, 0, 0);
    if (applied)
        log->failed(log);
}

static rl_status submit(struct offsets_append *append)
{
    struct rl_offsets_log *log = append->log;
    struct rl_partition *partition = rl_replica_manager_find(log->shard, log->topic_id, log->partition);
    append->call = (struct rl_partition_append){ .batch = &append->batch, .buffer = append->buffer,
                                                 .acks = -1, .done = on_appended, .arg = append };
    return partition == NULL ? RL_ENOTLEADER : rl_partition_append(partition, &append->call);
}

void rl_offsets_log_flush(struct rl_offsets_log *log)
{
    struct rl_list sealed, without_records;
    rl_status status = RL_OK;
    if (log->batch.record_count > 0)
        seal(log);
    /* What comes from now on, also from those that are told, is of the next turn. */
    rl_list_init(&sealed);
    rl_list_init(&without_records);
    rl_list_take_all(&sealed, &log->sealed);
    rl_list_take_all(&without_records, &log->writes);
    for (struct rl_list *node; (node = rl_list_pop_front(&sealed)) != NULL;) {
        struct offsets_append *append = RL_LIST_ENTRY(node, struct offsets_append, link);
        rl_list_push_back(&log->appends, node);
        if (status == RL_OK)            /* a write may have begun in a batch that was refused */
            status = submit(append);
        if (status != RL_OK)
            refuse(append, status);
    }
    /* They saw what memory says now, which may be ahead of the log: what is on its way has to arrive. */
    if (status != RL_OK || rl_list_empty(&log->appends))
        finish_writes(&without_records, status);
    else
        rl_list_take_all(&RL_LIST_ENTRY(log->appends.previous, struct offsets_append, link)->writes,
                         &without_records);
}

void rl_offsets_log_done(struct rl_offsets_log *log)
{
    RL_ASSERT(rl_list_empty(&log->appends));    /* the partition answers all it has before it goes */
    finish_writes(&log->writes, RL_ESTOPPING);
    for (struct rl_list *node; (node = rl_list_first(&log->sealed)) != NULL;) {
        struct offsets_append *append = RL_LIST_ENTRY(node, struct offsets_append, link);
        finish_writes(&append->writes, RL_ESTOPPING);
        append_free(append);
    }
    rl_batch_writer_done(&log->batch);
    if (rl_list_linked(&log->link))
        rl_list_remove(&log->link);
}

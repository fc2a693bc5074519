/* log/log.c — one partition's log: append, roll, epochs, the life from open to close.
 *
 * The happy path of an append: the producer's sequence is checked, the segment rolled if it is
 * full, offset and epoch patched, the bytes queued in the tail (tail.c), index entries noted.
 * At the end of the turn log_write.c writes, commit.c syncs what somebody waits for, save.c
 * brings the side files along; rl_log_advance() starts whichever of them can go on.
 * Failures: rl_log_fail() is the one place where a log stops; nothing that was not written
 * remains visible, and the owner hears of it at the end of the turn. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "core/table.h"
#include "log/damage.h"
#include "log/retention.h"
#include "log/scrub.h"
#include "log/snapshot.h"
#include <string.h>

#define FLUSH_MS_MAX ((int64_t)1000 * 1000 * 1000 * 1000)        /* more is: never */

/* ---- segments ---- */

uint32_t rl_log_segment_at(const struct rl_log *log, int64_t offset)
{
    uint32_t low = 0, high = log->segment_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle].base_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct rl_segment *rl_log_segment_find(struct rl_log *log, int64_t base_offset)
{
    struct rl_segment *seg = &log->segments[rl_log_segment_at(log, base_offset)];

    return seg->base_offset == base_offset ? seg : NULL;
}

int64_t rl_log_segment_end(const struct rl_log *log, uint32_t i)
{
    return i + 1 < log->segment_count ? log->segments[i + 1].base_offset : log->end_offset;
}

/* Where the segment's new index entries go.  What was saved before ends with its largest
 * timestamp (save.c), so only a larger one makes the next time entry. */
struct rl_index_memory *rl_log_index_of(struct rl_segment *seg)
{
    if (seg->index == NULL) {
        seg->index = rl_index_memory_create();
        seg->index->last_time_ms = seg->max_timestamp_ms;
    }
    return seg->index;
}

void rl_log_roll(struct rl_log *log)
{
    struct rl_segment *old = rl_log_active(log);

    if (old->max_timestamp_ms >= 0)
        rl_index_note_last_time(rl_log_index_of(old), old->max_timestamp_ms,
                                (uint32_t)(old->max_timestamp_offset - old->base_offset));
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity *= 2;
        log->segments = rl_realloc(log->segments, log->segment_capacity * sizeof *log->segments);
    }
    log->segments[log->segment_count++] = (struct rl_segment){
        .base_offset = log->end_offset, .max_timestamp_ms = INT64_MIN, .first_append_ms = INT64_MIN
    };
    rl_text_clear(&log->hot->snapshot);
    rl_snapshot_encode(log->producers, log->end_offset, &log->hot->snapshot);
    log->hot->snapshot_offset = log->end_offset;
    log->hot->changed = true;
    rl_log_mark_dirty(log);
}

void rl_segments_free(struct rl_segment *segments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        rl_segment_detach(&segments[i]);
        rl_index_memory_free(segments[i].index);
    }
    rl_free(segments);
}

/* ---- the file of a new segment ---- */

struct create {
    struct rl_op op;
    struct rl_log *log;
    int64_t base_offset;
    uint64_t reserve_bytes;
};

static void run_create(struct rl_op *op)
{
    struct create *create = op->arg;
    struct rl_disk *disk = rl_log_disk(create->log);
    char directory[RL_PATH_BYTES], path[RL_PATH_BYTES];
    int fd;

    rl_log_directory(create->log, directory);
    rl_segment_path(directory, create->base_offset, ".log", path);
    op->status = rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &fd);
    if (op->status != RL_OK)
        return;
    if (create->reserve_bytes > 0)
        (void)rl_disk_allocate(disk, fd, 0, create->reserve_bytes);     /* only an optimisation */
    rl_disk_close(disk, fd);
}

static void on_created(struct rl_op *op)
{
    struct create *create = op->arg;
    struct rl_log *log = create->log;

    log->hot->create_busy = false;
    log->busy--;
    rl_log_mark_dirty(log);
    if (log->failure != RL_OK) {
        /* the rollback that waits for us removes the file */
    } else if (op->status == RL_EMFILE) {
        rl_log_hold_up(log);
    } else if (op->status == RL_OK) {
        rl_log_segment_find(log, create->base_offset)->flags |= RL_SEGMENT_EXISTS;
        log->hot->directory_dirty = true;
    } else {
        RL_ERROR_EVERY(1, "log", "%s-%d: cannot create a segment: %s", log->topic, log->partition,
                       rl_status_text(op->status));
        log->hot->rollback_due = true;
        rl_log_fail(log, rl_log_failure_of(op->status));
    }
    rl_free(create);
}

static void create_advance(struct rl_log *log)
{
    uint32_t i = log->segment_count;

    while (i > 0 && (log->segments[i - 1].flags & RL_SEGMENT_EXISTS) == 0)
        i--;
    if (i == log->segment_count || log->hot->create_busy || log->hot->held_up)
        return;
    struct create *create = rl_alloc_zero(1, sizeof *create);
    create->log = log;
    create->base_offset = log->segments[i].base_offset;
    if (rl_log_config_of(log)->preallocate)
        create->reserve_bytes = (uint64_t)rl_log_config_of(log)->segment_bytes;
    create->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_create, .done = on_created,
                                 .arg = create };
    log->hot->create_busy = true;
    log->busy++;
    rl_submit(log->manager->shard, &create->op);
}

/* ---- life ---- */

static void on_flush_timer(struct rl_timer *timer)
{
    rl_log_flush(timer->arg);
}

#define HELD_UP_NS ((int64_t)100 * 1000000)
#define READ_ONLY_NS ((int64_t)5 * 1000000000)

static void on_retry_timer(struct rl_timer *timer)
{
    struct rl_log *log = timer->arg;

    log->hot->held_up = false;
    log->hot->rollback_due |= log->failure == RL_EREADONLY;
    rl_log_mark_dirty(log);
}

void rl_log_hold_up(struct rl_log *log)
{
    struct rl_shard *shard = log->manager->shard;

    RL_ERROR_EVERY(10, "log", "%s-%d: too many open files, the partition waits; raise the limit of open "
                   "files (LimitNOFILE, ulimit -n)", log->topic, log->partition);
    log->hot->held_up = true;
    if (!rl_timer_running(&log->hot->retry_timer))
        rl_timer_start(shard, &log->hot->retry_timer, shard->now_ns + HELD_UP_NS);
}

void rl_log_retry_rollback(struct rl_log *log)
{
    struct rl_shard *shard = log->manager->shard;

    rl_timer_start(shard, &log->hot->retry_timer, shard->now_ns + READ_ONLY_NS);
}

struct rl_log_hot *rl_log_heat(struct rl_log *log)
{
    if (log->hot == NULL) {
        log->hot = rl_alloc_zero(1, sizeof *log->hot);
        log->hot->dirty.log = log;
        log->hot->no_space.log = log;
        log->hot->flush_timer = (struct rl_timer){ .done = on_flush_timer, .arg = log };
        log->hot->retry_timer = (struct rl_timer){ .done = on_retry_timer, .arg = log };
        log->hot->directory_dirty = log->names_doubted;
        rl_list_init(&log->hot->deleting);
        rl_list_init(&log->hot->trims);
    }
    return log->hot;
}

/* A log that waits for space, or for a file system that can be written again, heals by itself; one
 * whose sync fails meanwhile must not: what it asked for last may be lost. */
static void fail_for_good(struct rl_log *log, rl_status status)
{
    if (status != RL_EIO || log->failure == RL_EIO)
        return;
    log->failure = RL_EIO;
    log->hot->tell_failed = true;
    if (rl_list_linked(&log->hot->no_space.node))
        rl_list_remove(&log->hot->no_space.node);
}

void rl_log_fail(struct rl_log *log, rl_status status)
{
    struct rl_log_hot *hot = rl_log_heat(log);

    rl_log_mark_dirty(log);
    if (log->failure != RL_OK) {
        fail_for_good(log, status);
        return;
    }
    log->failure = status;
    hot->tell_failed = true;
    rl_tail_drop_unwritten(log);
    log->end_offset = log->written_offset;
    hot->flush_wanted_offset = RL_MIN(hot->flush_wanted_offset, log->end_offset);
    rl_epoch_cache_truncate_end(&log->epochs, log->end_offset);
    while (log->segment_count > 1 && rl_log_active(log)->written_bytes == 0) {
        struct rl_segment *seg = rl_log_active(log);
        rl_segment_detach(seg);
        rl_index_memory_free(seg->index);
        log->segment_count--;
    }
    rl_log_active(log)->size_bytes = rl_log_active(log)->written_bytes;
}

void rl_log_advance(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;

    if (log->closing && !hot->close_clean)
        return;
    if (log->failure != RL_OK) {
        rl_trim_answer(log, INT64_MAX, log->failure);
        if (hot->rollback_due && !hot->create_busy && !hot->commit_busy && !hot->save_busy &&
            !hot->rollback_busy && !hot->reserve_busy && !log->closing)
            rl_rollback_start(log);
        return;
    }
    create_advance(log);
    rl_reserve_advance(log);
    rl_commit_advance(log);
    if (log->failure != RL_OK)
        return;
    rl_trim_advance(log);
    rl_save_advance(log);
}

void rl_log_close(struct rl_log *log, bool clean, void (*done)(void *arg), void *arg)
{
    struct rl_log_hot *hot;

    RL_OBJ(log, LOG);
    RL_ASSERT(!log->closing);
    hot = rl_log_heat(log);
    log->closing = true;
    hot->close_done = done;
    hot->close_arg = arg;
    hot->close_clean = clean;
    hot->close_saved = !hot->changed && log->flushed_offset == log->end_offset;
    hot->flush_wanted_offset = log->end_offset;
    /* Not touched since a start that found it as a kill had left it: its directory was never synced. */
    log->manager->names_doubted |= clean && hot->close_saved && hot->directory_dirty;
    rl_log_mark_dirty(log);
}

void rl_log_free(struct rl_log *log)
{
    struct rl_log_manager *manager = log->manager;

    if (log->hot != NULL) {
        rl_trim_answer(log, INT64_MAX, RL_ESTOPPING);
        rl_timer_stop(manager->shard, &log->hot->flush_timer);
        rl_timer_stop(manager->shard, &log->hot->retry_timer);
        rl_expired_free_all(log);
        rl_tail_free(log);
        if (rl_list_linked(&log->hot->dirty.node))
            rl_list_remove(&log->hot->dirty.node);
        if (rl_list_linked(&log->hot->no_space.node))
            rl_list_remove(&log->hot->no_space.node);
        rl_text_done(&log->hot->snapshot);
    }
    rl_scrub_forget(log);
    rl_damage_forget(log);
    rl_list_remove(&log->in_manager);
    rl_segments_free(log->segments, log->segment_count);
    rl_free(log->hot);
    rl_epoch_cache_done(&log->epochs);
    rl_append_times_done(&log->append_times);
    rl_producer_state_free(log->producers);
    rl_log_config_drop(manager, log->config);
    manager->log_count--;
    log->magic = 0;
    rl_free(log);
}

void rl_log_set_config(struct rl_log *log, const struct rl_log_config *config)
{
    struct rl_log_config_ref *old = log->config;

    RL_OBJ(log, LOG);
    log->config = rl_log_config_take(log->manager, config);
    rl_log_config_drop(log->manager, old);
}

/* ---- append ---- */

bool rl_log_is_time_to_roll(const struct rl_log *log, const struct rl_segment *seg)
{
    const struct rl_log_config *config = rl_log_config_of(log);
    int64_t segment_ms = config->segment_ms;

    if (seg->size_bytes == 0)           /* it has no age */
        return false;
    int64_t age_ms = log->manager->shard->wall_ms - seg->first_append_ms;
    /* The jitter keeps partitions that were created together from rolling together. */
    if (RL_UNLIKELY(config->segment_jitter_ms > 0 && segment_ms > 0))
        segment_ms -= (int64_t)(rl_hash_bytes((uint64_t)log->partition, &seg->base_offset,
                                              sizeof seg->base_offset) %
                                (uint64_t)RL_MIN(config->segment_jitter_ms, segment_ms));
    return age_ms >= segment_ms;
}

static bool must_roll(const struct rl_log *log, const struct rl_segment *seg,
                      const struct rl_batch *batch)
{
    const struct rl_log_config *config = rl_log_config_of(log);
    uint32_t entries = seg->index_entries + (seg->index != NULL ? seg->index->entry_count : 0);
    uint32_t times = seg->time_entries + (seg->index != NULL ? seg->index->time_count : 0);

    if (seg->size_bytes == 0)
        return false;
    if (seg->size_bytes + batch->size_bytes > (size_t)config->segment_bytes)
        return true;
    if (log->end_offset + batch->last_offset_delta - seg->base_offset > INT32_MAX)
        return true;
    if (((uint64_t)entries + 1) * RL_INDEX_ENTRY_BYTES > (uint64_t)config->segment_index_bytes ||
        ((uint64_t)times + 2) * RL_TIME_ENTRY_BYTES > (uint64_t)config->segment_index_bytes)
        return true;
    return rl_log_is_time_to_roll(log, seg);
}

static rl_status check_producer(struct rl_log *log, const struct rl_batch *batch,
                                struct rl_append_result *ret_result)
{
    const struct rl_producer_batch *earlier;
    rl_status status = rl_producer_state_check(log->producers, batch, &earlier);

    if (status == RL_EDUPLICATE)
        *ret_result = (struct rl_append_result){
            .base_offset = earlier->base_offset,
            .last_offset = earlier->base_offset + earlier->last_offset_delta,
            .log_append_time_ms = earlier->append_time_ms,
            .log_start_offset = log->start_offset,
        };
    return status;
}

/* The batch is in the tail: bring the segment and its index along. */
static void note_appended(struct rl_log *log, struct rl_segment *seg, const struct rl_batch *batch)
{
    int64_t last_offset = rl_batch_last_offset(batch);
    struct rl_index_memory *index = rl_log_index_of(seg);

    if (seg->size_bytes == 0)
        /* The age of a segment is that of its first append, by our clock: unlike Kafka's, which
         * compares producers' timestamps, old data sent late does not make it roll. */
        seg->first_append_ms = log->manager->shard->wall_ms;
    if (batch->max_timestamp_ms > seg->max_timestamp_ms) {
        seg->max_timestamp_ms = batch->max_timestamp_ms;
        seg->max_timestamp_offset = last_offset;
    }
    rl_index_note(index, rl_log_config_of(log)->index_interval_bytes,
                  (uint32_t)(last_offset - seg->base_offset), seg->size_bytes,
                  (uint32_t)batch->size_bytes, seg->max_timestamp_ms,
                  (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    seg->size_bytes += (uint32_t)batch->size_bytes;
}

/* flush.messages and flush.ms: Kafka's own ways to ask for a flush. */
static void note_unflushed(struct rl_log *log, const struct rl_batch *batch)
{
    const struct rl_log_config *config = rl_log_config_of(log);
    struct rl_log_hot *hot = log->hot;
    struct rl_shard *shard = log->manager->shard;

    hot->messages_since_flush += batch->record_count;
    if (RL_UNLIKELY(hot->messages_since_flush >= config->flush_messages))
        rl_log_flush(log);
    else if (RL_UNLIKELY(config->flush_ms < FLUSH_MS_MAX) && !rl_timer_running(&hot->flush_timer))
        rl_timer_start(shard, &hot->flush_timer, shard->now_ns + config->flush_ms * 1000000);
}

/* Not now.  Whoever is told so sends it again, and nothing that comes behind it may be first. */
static rl_status refuse(struct rl_log *log, const struct rl_batch *batch, rl_status status)
{
    struct rl_shard *shard = log->manager->shard;

    rl_producer_state_refuse(&log->producers, rl_shard_random(shard), batch, shard->wall_ms);
    return status;
}

rl_status rl_log_append(struct rl_log *log, struct rl_batch *batch, struct rl_buffer *buffer,
                        int32_t leader_epoch, struct rl_append_result *ret_result)
{
    const struct rl_log_config *config = rl_log_config_of(log);
    struct rl_shard *shard = log->manager->shard;

    RL_OBJ(log, LOG);
    if (RL_UNLIKELY(log->failure != RL_OK))
        return refuse(log, batch, log->failure);
    if (RL_UNLIKELY(log->closing))
        return RL_ECLOSED;
    if (batch->producer_id >= 0) {
        rl_status status = check_producer(log, batch, ret_result);
        if (status != RL_OK)
            return status;
    }

    if (RL_UNLIKELY(log->manager->space_low))
        return refuse(log, batch, RL_ENOSPACE);         /* a duplicate was answered above */
    if (RL_UNLIKELY(log->hot != NULL && log->hot->held_up))
        return refuse(log, batch, RL_EMFILE);
    rl_free_space_note(log->manager, batch->size_bytes);

    struct rl_log_hot *hot = rl_log_heat(log);
    if (must_roll(log, rl_log_active(log), batch))
        rl_log_roll(log);
    struct rl_segment *seg = rl_log_active(log);
    if (config->message_timestamp_type == RL_LOG_APPEND_TIME)
        rl_batch_set_append_time(batch, shard->wall_ms);
    /* Epochs never fall: where the log has a later one than who leads (the metadata is an older copy), that
     * goes on, or what follows could not be read. */
    int32_t latest_epoch = rl_epoch_cache_latest(&log->epochs);
    if (RL_UNLIKELY(leader_epoch > latest_epoch))
        rl_epoch_cache_assign(&log->epochs, leader_epoch, log->end_offset);
    rl_batch_set_offset(batch, log->end_offset, RL_MAX(leader_epoch, latest_epoch));
    rl_tail_append(log, batch, buffer, seg->base_offset, seg->size_bytes);
    note_appended(log, seg, batch);
    log->end_offset += batch->last_offset_delta + (int64_t)1;
    if (batch->producer_id >= 0) {
        if (log->producers == NULL)
            log->producers = rl_producer_state_create(rl_shard_random(shard));
        rl_producer_state_update(log->producers, batch, shard->wall_ms);
    }
    hot->changed = true;
    rl_log_mark_dirty(log);
    note_unflushed(log, batch);

    *ret_result = (struct rl_append_result){
        .base_offset = batch->base_offset,
        .last_offset = rl_batch_last_offset(batch),
        .log_append_time_ms = rl_batch_is_log_append_time(batch) ? batch->max_timestamp_ms : -1,
        .log_start_offset = log->start_offset,
    };
    return RL_OK;
}

/* ---- what a log knows ---- */

int64_t rl_log_start_offset(const struct rl_log *log)   { return log->start_offset; }
int64_t rl_log_end_offset(const struct rl_log *log)     { return log->end_offset; }
int64_t rl_log_written_offset(const struct rl_log *log) { return log->written_offset; }
int64_t rl_log_flushed_offset(const struct rl_log *log) { return log->flushed_offset; }
bool rl_log_was_rebuilt(const struct rl_log *log)       { return log->rebuilt; }
rl_status rl_log_failure(const struct rl_log *log)      { return log->failure; }

int64_t rl_log_append_time_ms(const struct rl_log *log, int64_t offset)
{
    int64_t ms;

    RL_OBJ(log, LOG);
    offset = RL_MAX(offset, log->start_offset);
    if (offset >= log->written_offset)
        return -1;
    if (rl_append_times_find(&log->append_times, offset, &ms))
        return ms;
    ms = log->segments[rl_log_segment_at(log, offset)].first_append_ms;
    return ms == INT64_MIN ? -1 : ms;
}

uint64_t rl_log_size_bytes(const struct rl_log *log)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < log->segment_count; i++)
        bytes += log->segments[i].size_bytes;
    return bytes;
}

uint32_t rl_log_producer_count(const struct rl_log *log)
{
    return rl_producer_state_count(log->producers);
}

uint32_t rl_log_producers(const struct rl_log *log, struct rl_log_producer *ret_producers,
                          uint32_t count)
{
    uint32_t filled = 0;

    if (log->producers == NULL)
        return 0;
    RL_LIST_EACH(link, &log->producers->by_use) {
        const struct rl_producer *producer = RL_LIST_ENTRY(link, struct rl_producer, by_use);
        if (filled == count)
            break;
        if (producer->batch_count == 0)
            continue;                   /* nothing of it is in the log */
        ret_producers[filled++] = (struct rl_log_producer){
            .producer_id = producer->producer_id,
            .last_timestamp_ms = producer->last_timestamp_ms,
            .last_sequence = producer->batches[producer->batch_count - 1].last_sequence,
            .producer_epoch = producer->producer_epoch,
        };
    }
    return filled;
}

int32_t rl_log_latest_epoch(const struct rl_log *log)
{
    return rl_epoch_cache_latest(&log->epochs);
}

void rl_log_begin_epoch(struct rl_log *log, int32_t leader_epoch)
{
    RL_OBJ(log, LOG);
    /* Nothing to be saved: an epoch without a record is begun again by whoever leads next. */
    (void)rl_epoch_cache_assign(&log->epochs, leader_epoch, log->end_offset);
}

int32_t rl_log_epoch_of(const struct rl_log *log, int64_t offset)
{
    return rl_epoch_cache_of(&log->epochs, offset);
}

void rl_log_epoch_end(const struct rl_log *log, int32_t epoch, int32_t *ret_epoch,
                      int64_t *ret_end_offset)
{
    rl_epoch_cache_end(&log->epochs, epoch, log->end_offset, ret_epoch, ret_end_offset);
}

/* log/tail.c — the newest batches in memory: written from here, read from here.
 *
 * A run is a stretch of batches that lie next to each other both in memory and in the file.
 * Small batches are copied into a block per log, so that they form long runs and do not pin the
 * large buffer they came in; large ones stay where they are, by reference, and the first of them
 * is charged with the whole buffer, because that is what it pins: a frame may be a hundred times
 * its batch.  Runs are evicted oldest first over all logs of the shard, once they are written.
 * Nothing here can fail. */
#include "log/log_internal.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include <string.h>

enum {
    COPY_BELOW_BYTES = 16 << 10,
    BLOCK_BYTES_MIN = 4 << 10,
    BLOCK_BYTES_MAX = 64 << 10,
};

/* ---- batches in memory: checked when they were appended ---- */

static uint32_t batch_bytes_at(const uint8_t *batch)
{
    return rl_get_u32(batch + 8) + 12;
}

static int64_t batch_end_at(const uint8_t *batch)
{
    return (int64_t)rl_get_u64(batch) + (int32_t)rl_get_u32(batch + 23) + 1;
}

/* Where in the run the batch with this offset begins. */
static uint32_t run_seek(struct rl_tail_run *run, int64_t offset)
{
    uint32_t at = offset >= run->hint_offset ? run->hint_at : 0;

    while (at < run->bytes && batch_end_at(run->data + at) <= offset)
        at += batch_bytes_at(run->data + at);
    run->hint_at = at;
    run->hint_offset = at < run->bytes ? (int64_t)rl_get_u64(run->data + at) : run->end_offset;
    return at;
}

/* ---- append ---- */

static uint8_t *copy_to_block(struct rl_log *log, const struct rl_batch *batch,
                              struct rl_buffer **ret_buffer, size_t *ret_charge_bytes)
{
    struct rl_log_hot *hot = log->hot;
    uint32_t home = log->manager->shard->index;

    if (hot->block == NULL || hot->block->capacity - hot->block_used < batch->size_bytes) {
        size_t bytes = hot->block == NULL ? BLOCK_BYTES_MIN : hot->block->capacity * 2;
        bytes = RL_MAX(RL_MIN(bytes, (size_t)BLOCK_BYTES_MAX), batch->size_bytes);
        rl_buffer_unref(hot->block);
        hot->block = rl_buffer_create(bytes, home);
        hot->block_used = 0;
        *ret_charge_bytes = bytes;
    }
    uint8_t *to = hot->block->data + hot->block_used;
    memcpy(to, batch->bytes, batch->size_bytes);
    hot->block_used += batch->size_bytes;
    *ret_buffer = hot->block;
    return to;
}

static void push_run(struct rl_log_hot *hot, struct rl_tail_run *run)
{
    if (hot->run_count == hot->run_capacity) {
        uint32_t capacity = RL_MAX(4u, hot->run_capacity * 2);
        struct rl_tail_run **runs = rl_alloc(capacity * sizeof *runs);
        for (uint32_t i = 0; i < hot->run_count; i++)
            runs[i] = rl_tail_run_at(hot, i);
        rl_free(hot->runs);
        hot->runs = runs;
        hot->run_head = 0;
        hot->run_capacity = capacity;
    }
    hot->runs[(hot->run_head + hot->run_count) & (hot->run_capacity - 1)] = run;
    hot->run_count++;
}

/* The newest run, when bytes at `data` can become part of it. */
static struct rl_tail_run *run_to_extend(struct rl_log_hot *hot, const struct rl_buffer *buffer,
                                         const uint8_t *data, int64_t segment_base)
{
    if (hot->run_count == 0)
        return NULL;
    struct rl_tail_run *run = rl_tail_run_at(hot, hot->run_count - 1);
    if (run->buffer != buffer || run->data + run->bytes != data || run->segment_base != segment_base)
        return NULL;
    return run;
}

void rl_tail_append(struct rl_log *log, struct rl_batch *batch, struct rl_buffer *buffer,
                    int64_t segment_base, uint32_t pos)
{
    struct rl_log_hot *hot = log->hot;
    struct rl_log_manager *manager = log->manager;
    uint8_t *data = batch->bytes;
    size_t charge_bytes = 0;            /* a buffer is charged once, to its first run */

    if (buffer == NULL || batch->size_bytes < COPY_BELOW_BYTES) {
        data = copy_to_block(log, batch, &buffer, &charge_bytes);
    } else if (buffer != manager->tail_charged_buffer) {
        charge_bytes = buffer->capacity;
        manager->tail_charged_buffer = buffer;
    }
    struct rl_tail_run *run = run_to_extend(hot, buffer, data, segment_base);
    if (run == NULL) {
        run = rl_alloc_zero(1, sizeof *run);
        *run = (struct rl_tail_run){ .log = log, .buffer = rl_buffer_ref(buffer), .data = data,
                                     .segment_base = segment_base, .pos = pos,
                                     .base_offset = batch->base_offset,
                                     .hint_offset = batch->base_offset };
        push_run(hot, run);
        rl_list_push_back(&manager->runs, &run->in_manager);
        hot->unwritten++;
    } else if (run->written_bytes == run->bytes) {
        hot->unwritten++;
    }
    RL_ASSERT_HOT(run->pos + run->bytes == pos);
    run->bytes += (uint32_t)batch->size_bytes;
    run->end_offset = rl_batch_last_offset(batch) + 1;
    run->charge_bytes += charge_bytes;
    manager->tail_used_bytes += charge_bytes;
}

/* ---- read ---- */

int64_t rl_tail_first_offset(const struct rl_log *log)
{
    if (log->hot == NULL || log->hot->run_count == 0)
        return log->end_offset;
    return rl_tail_run_at(log->hot, 0)->base_offset;
}

/* The run that holds offset, or the last one. */
static uint32_t find_run(const struct rl_log_hot *hot, int64_t offset)
{
    uint32_t low = 0, high = hot->run_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (rl_tail_run_at(hot, middle)->base_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void rl_tail_locate(struct rl_log *log, int64_t offset, int64_t *ret_segment_base,
                    uint32_t *ret_pos)
{
    struct rl_tail_run *run = rl_tail_run_at(log->hot, find_run(log->hot, offset));

    *ret_segment_base = run->segment_base;
    *ret_pos = run->pos + run_seek(run, offset);
}

/* How many bytes from `at` on are whole batches below upper_offset within max_bytes. */
static uint32_t run_take(const struct rl_tail_run *run, uint32_t at, int64_t upper_offset,
                         size_t max_bytes, bool at_least_one)
{
    if (run->end_offset <= upper_offset && run->bytes - at <= max_bytes)
        return run->bytes - at;
    uint32_t begin = at;
    while (at < run->bytes && batch_end_at(run->data + at) <= upper_offset) {
        uint32_t bytes = batch_bytes_at(run->data + at);
        if (at - begin + bytes > max_bytes && !(at_least_one && at == begin))
            break;
        at += bytes;
    }
    return at - begin;
}

static void add_chunk(struct rl_log_read *read, struct rl_tail_run *run, uint32_t at, uint32_t bytes)
{
    struct rl_chunk *last = read->chunk_count > 0 ? &read->chunks[read->chunk_count - 1] : NULL;

    read->bytes += bytes;
    if (last != NULL && last->buffer == run->buffer && last->data + last->bytes == run->data + at) {
        last->bytes += bytes;
        return;
    }
    read->chunks[read->chunk_count++] =
        (struct rl_chunk){ run->data + at, bytes, { rl_buffer_ref(run->buffer) } };
}

void rl_tail_read(struct rl_log *log, struct rl_log_read *read)
{
    struct rl_log_hot *hot = log->hot;
    uint32_t i = find_run(hot, read->offset);
    uint32_t at = run_seek(rl_tail_run_at(hot, i), read->offset);

    for (; i < hot->run_count && read->chunk_count < RL_LOG_READ_CHUNKS; i++, at = 0) {
        struct rl_tail_run *run = rl_tail_run_at(hot, i);
        size_t room = read->max_bytes > read->bytes ? read->max_bytes - read->bytes : 0;
        uint32_t bytes = run_take(run, at, read->upper_offset, room,
                                  read->at_least_one && read->bytes == 0);
        if (bytes > 0)
            add_chunk(read, run, at, bytes);
        if (at + bytes < run->bytes)
            break;
    }
}

/* ---- eviction ---- */

/* A buffer lives as long as one of its runs: the next one takes over what the first was charged. */
static void pass_charge_on(struct rl_log_manager *manager, struct rl_tail_run *run)
{
    if (run->in_manager.next == &manager->runs)
        return;
    struct rl_tail_run *next = RL_LIST_ENTRY(run->in_manager.next, struct rl_tail_run, in_manager);
    if (next->buffer != run->buffer)
        return;
    next->charge_bytes += run->charge_bytes;
    run->charge_bytes = 0;
}

static void free_run(struct rl_log_manager *manager, struct rl_tail_run *run)
{
    pass_charge_on(manager, run);
    manager->tail_used_bytes -= run->charge_bytes;
    rl_list_remove(&run->in_manager);
    if (manager->tail_charged_buffer == run->buffer)
        manager->tail_charged_buffer = NULL;            /* the next one may lie at its address */
    rl_buffer_unref(run->buffer);
    rl_free(run);
}

static void drop_block(struct rl_log_hot *hot)
{
    rl_buffer_unref(hot->block);
    hot->block = NULL;
    hot->block_used = 0;
}

void rl_tail_drop_unwritten(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;

    for (; hot->unwritten > 0; hot->unwritten--) {
        struct rl_tail_run *run = rl_tail_run_at(hot, hot->run_count - 1);
        if (run->written_bytes > 0) {           /* keep its written prefix */
            run->bytes = run->written_bytes;
            run->end_offset = log->written_offset;
            run->hint_at = 0;
            run->hint_offset = run->base_offset;
        } else {
            hot->run_count--;
            free_run(log->manager, run);
        }
    }
    drop_block(hot);
}

void rl_tail_trim(struct rl_log_manager *manager)
{
    RL_LIST_EACH_SAFE(node, &manager->runs) {
        struct rl_tail_run *run = RL_LIST_ENTRY(node, struct rl_tail_run, in_manager);
        struct rl_log_hot *hot = run->log->hot;

        if (manager->tail_used_bytes <= manager->tail_bytes)
            return;
        if (run->written_bytes < run->bytes)
            continue;
        RL_ASSERT(rl_tail_run_at(hot, 0) == run);
        hot->run_head = (hot->run_head + 1) & (hot->run_capacity - 1);
        hot->run_count--;
        free_run(manager, run);
        if (hot->run_count == 0)
            drop_block(hot);
    }
}

void rl_tail_free(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;

    for (uint32_t i = 0; i < hot->run_count; i++)
        free_run(log->manager, rl_tail_run_at(hot, i));
    rl_free(hot->runs);
    drop_block(hot);
    hot->runs = NULL;
    hot->run_count = hot->run_capacity = hot->run_head = hot->unwritten = 0;
}

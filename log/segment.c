/* log/segment.c — descriptors of segments, and the walk over batch headers.
 *
 * The walk reads small steps where batches are large and large steps where they are small, and
 * hashes only where it is asked to.  A length in the file is believed only up to the bytes that
 * are really there, and no memory depends on it.
 * Failures: the position where the file stopped making sense, and why. */
#include "log/segment.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/log_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STEP_SMALL = 4096, STEP_LARGE = 256 << 10, CRC_BEGINS_AT = 21 };

void rl_segment_path(const char *directory, int64_t base_offset, const char *suffix, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%s/%020" PRId64 "%s", directory, base_offset, suffix);
}

/* ---- descriptors ---- */

static void close_file(struct rl_segment_file *file)
{
    struct rl_log_manager *manager = file->manager;

    if (rl_list_linked(&file->lru))
        rl_list_remove(&file->lru);
    rl_disk_close(manager->shard->disk, file->fd);
    manager->open_files--;
    rl_free(file);
}

/* Close idle descriptors until there are fewer than this. */
static void make_room(struct rl_log_manager *manager, uint32_t fewer_than)
{
    while (manager->open_files >= fewer_than) {
        struct rl_list *node = rl_list_first(&manager->files);
        if (node == NULL)
            return;                     /* all in use: go over the limit rather than wait */
        struct rl_segment_file *file = RL_LIST_ENTRY(node, struct rl_segment_file, lru);
        rl_log_segment_find(file->log, file->base_offset)->file = NULL;
        close_file(file);
    }
}

rl_status rl_segment_open(struct rl_log *log, struct rl_segment *seg, bool writable)
{
    struct rl_log_manager *manager = log->manager;
    char directory[RL_PATH_BYTES], path[RL_PATH_BYTES];
    int fd;

    if (seg->file != NULL) {
        if (seg->file->writable || !writable)
            return RL_OK;
        rl_segment_detach(seg);
    }
    make_room(manager, manager->open_files_max);
    rl_log_directory(log, directory);
    rl_segment_path(directory, seg->base_offset, ".log", path);
    rl_status status = rl_disk_open(manager->shard->disk, path, writable ? RL_OPEN_WRITE : 0, &fd);
    if (RL_UNLIKELY(status == RL_EMFILE) && !rl_list_empty(&manager->files)) {
        make_room(manager, 1);          /* others in the process have them: give up all of ours */
        status = rl_disk_open(manager->shard->disk, path, writable ? RL_OPEN_WRITE : 0, &fd);
    }
    if (status != RL_OK)
        return status;

    seg->file = rl_alloc_zero(1, sizeof *seg->file);
    seg->file->manager = manager;
    seg->file->log = log;
    seg->file->base_offset = seg->base_offset;
    seg->file->fd = fd;
    seg->file->writable = writable;
    rl_list_push_back(&manager->files, &seg->file->lru);
    manager->open_files++;
    return RL_OK;
}

void rl_segment_pin_file(struct rl_segment_file *file)
{
    if (file->pins++ == 0)
        rl_list_remove(&file->lru);
}

struct rl_segment_file *rl_segment_pin(struct rl_segment *seg)
{
    rl_segment_pin_file(seg->file);
    return seg->file;
}

void rl_segment_unpin(struct rl_segment_file *file)
{
    RL_ASSERT(file->pins > 0);
    if (--file->pins > 0)
        return;
    if (file->detached)
        close_file(file);
    else
        rl_list_push_back(&file->manager->files, &file->lru);
}

void rl_segment_detach(struct rl_segment *seg)
{
    struct rl_segment_file *file = seg->file;

    if (file == NULL)
        return;
    seg->file = NULL;
    file->detached = true;
    if (file->pins == 0)
        close_file(file);
}

/* ---- the walk ---- */

/* A window of the file in memory. */
struct window {
    uint8_t *data;
    uint32_t pos;
    uint32_t bytes;
};

/* Make [pos, pos + want) readable in the window; want <= STEP_LARGE and inside end_pos. */
static rl_status window_at(struct rl_segment_walk *walk, struct window *window, uint32_t pos,
                           uint32_t want, uint32_t step)
{
    size_t got;

    if (pos >= window->pos && pos - window->pos + want <= window->bytes)
        return RL_OK;
    uint32_t bytes = RL_MIN(RL_MAX(want, step), walk->end_pos - pos);
    rl_status status = rl_disk_read(walk->disk, walk->fd, pos, window->data, bytes, &got);
    if (status != RL_OK)
        return status;
    if (got < want)
        return RL_ETRUNCATED;
    window->pos = pos;
    window->bytes = (uint32_t)got;
    return RL_OK;
}

/* Hash the batch at pos piece by piece. */
static rl_status check_crc(struct rl_segment_walk *walk, struct window *window,
                           const struct rl_batch *batch, uint32_t pos)
{
    uint32_t crc = 0;
    uint32_t end = pos + (uint32_t)batch->size_bytes;

    for (uint32_t at = pos + CRC_BEGINS_AT; at < end;) {
        uint32_t bytes = RL_MIN(end - at, (uint32_t)STEP_LARGE);
        /* What is in the window already is used first. */
        if (at >= window->pos && at < window->pos + window->bytes)
            bytes = RL_MIN(bytes, window->pos + window->bytes - at);
        rl_status status = window_at(walk, window, at, bytes, STEP_LARGE);
        if (status != RL_OK)
            return status;
        crc = rl_crc32c(crc, window->data + (at - window->pos), bytes);
        at += bytes;
    }
    return crc == batch->crc ? RL_OK : RL_ECORRUPT;
}

static rl_status walk_one(struct rl_segment_walk *walk, struct window *window, uint32_t step,
                          struct rl_batch *ret_batch, uint8_t *header)
{
    uint32_t left = walk->end_pos - walk->pos;

    if (left < RL_BATCH_HEADER_BYTES)
        return RL_ETRUNCATED;
    rl_status status = window_at(walk, window, walk->pos, RL_BATCH_HEADER_BYTES, step);
    if (status != RL_OK)
        return status;
    memcpy(header, window->data + (walk->pos - window->pos), RL_BATCH_HEADER_BYTES);
    status = rl_batch_read_header(header, left, ret_batch);
    if (status != RL_OK)
        return status == RL_ETRUNCATED ? RL_ETRUNCATED : RL_ECORRUPT;
    if (ret_batch->base_offset != walk->next_offset || ret_batch->record_count < 1 ||
        ret_batch->last_offset_delta != ret_batch->record_count - 1)
        return RL_ECORRUPT;
    if (walk->pos + ret_batch->size_bytes > walk->crc_from_pos)
        return check_crc(walk, window, ret_batch, walk->pos);
    return RL_OK;
}

rl_status rl_segment_walk(struct rl_segment_walk *walk, rl_segment_walk_fn *each, void *arg)
{
    struct window window = { .data = rl_alloc(STEP_LARGE) };
    uint8_t header[RL_BATCH_HEADER_BYTES];
    uint32_t step = STEP_SMALL;
    rl_status status = RL_OK;

    while (walk->pos < walk->end_pos) {
        struct rl_batch batch;
        status = walk_one(walk, &window, step, &batch, header);
        if (status == RL_OK)
            status = each(arg, &batch, walk->pos);
        if (status != RL_OK)
            break;
        walk->pos += (uint32_t)batch.size_bytes;
        walk->next_offset += batch.last_offset_delta + (int64_t)1;
        step = batch.size_bytes < STEP_SMALL ? STEP_LARGE : STEP_SMALL;
    }
    rl_free(window.data);
    return status;
}

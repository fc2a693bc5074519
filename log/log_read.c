/* log/log_read.c — from an offset to chunks: the tail first, else the file.
 *
 * The happy path: most reads are at the end of the log and are answered from the tail without a
 * system call.  Others read the file inline while the kernel has it in memory, and otherwise the
 * same request runs as a job.  Consumers read on where they stopped: a few remembered positions
 * per log save them the index.  What is known to be sound may be lent instead of copied.
 * Failures: damage is told with file and position and answered with RL_ECORRUPT; the log stays
 * usable for everything else. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/damage.h"
#include "log/file_read.h"
#include "log/log_bytes.h"
#include "log/repair.h"

/* A read that runs on a helper. */
struct read_job {
    struct rl_op op;
    struct rl_log *log;
    struct rl_log_read *read;
    struct rl_segment_file *file;
    struct rl_file_read request;
};

/* ---- where to begin ---- */

static bool use_hint(const struct rl_log *log, const struct rl_segment *seg,
                     struct rl_file_read *request)
{
    for (uint32_t i = 0; i < RL_LOG_HINTS; i++) {
        const struct rl_log_hint *hint = &log->hot->hints[i];
        if (hint->offset == request->offset && hint->segment_base == seg->base_offset &&
            hint->pos > 0) {
            request->floor_pos = hint->pos;
            request->floor_offset = hint->offset;
            return true;
        }
    }
    return false;
}

void rl_log_prepare_read(struct rl_log *log, struct rl_segment *seg, int64_t offset,
                         struct rl_file_read *request)
{
    struct rl_index_entry entry;
    char directory[RL_PATH_BYTES];

    request->disk = rl_log_disk(log);
    request->home = log->manager->shard->index;
    request->fd = seg->file->fd;
    request->checked = seg->checked;
    request->lend_bytes_min = 0;
    request->segment_base = seg->base_offset;
    request->end_pos = seg->written_bytes;
    request->offset = offset;
    request->floor_pos = 0;
    request->floor_offset = seg->base_offset;
    request->index_path[0] = '\0';
    request->index_entries = 0;
    request->floor_last_offset = -1;
    request->buffer = NULL;
    request->bytes = 0;
    request->next_pos = 0;
    request->next_offset = offset;
    request->index_damaged = false;
    if (use_hint(log, seg, request))
        return;
    if (seg->index != NULL &&
        rl_index_memory_find(seg->index, (uint32_t)(offset - seg->base_offset), &entry) &&
        entry.pos < seg->written_bytes) {
        request->floor_pos = entry.pos;
        request->floor_offset = -1;
        request->floor_last_offset = seg->base_offset + entry.relative_offset;
    } else if ((seg->flags & RL_SEGMENT_INDEX_DAMAGED) == 0 && seg->index_entries > 0) {
        rl_log_directory(log, directory);
        rl_segment_path(directory, seg->base_offset, ".index", request->index_path);
        request->index_entries = seg->index_entries;
    }
}

static void remember(struct rl_log *log, int64_t offset, int64_t segment_base, uint32_t pos)
{
    struct rl_log_hot *hot = log->hot;

    hot->hints[hot->hint_next] = (struct rl_log_hint){ offset, segment_base, pos };
    hot->hint_next = (hot->hint_next + 1) % RL_LOG_HINTS;
}

/* ---- after the file was read ---- */

/* The leader epoch lies outside the CRC: a batch that has another than the log knows of ends the read, as
 * one with a wrong CRC does. */
static rl_status end_at_false_epoch(const struct rl_log *log, struct rl_file_read *request)
{
    const uint8_t *data = request->buffer->data;
    size_t at = 0;
    while (at < request->bytes) {
        int32_t known = rl_epoch_cache_of(&log->epochs, (int64_t)rl_get_u64(data + at));
        if (known >= 0 && (int32_t)rl_get_u32(data + at + 12) != known)
            break;
        at += rl_get_u32(data + at + 8) + 12;
    }
    if (at == request->bytes)
        return RL_OK;
    request->next_offset = (int64_t)rl_get_u64(data + at);
    request->next_pos -= (uint32_t)(request->bytes - at);
    request->bytes = at;
    if (at > 0)
        return RL_OK;
    rl_buffer_unref(request->buffer);
    request->buffer = NULL;
    return RL_ECORRUPT;
}

/* These bytes have been read and were sound: they join the known stretch, or begin a new one. */
static void note_checked(struct rl_log *log, const struct rl_file_read *request)
{
    struct rl_segment *seg = rl_log_segment_find(log, request->segment_base);
    uint32_t from = request->next_pos - (uint32_t)request->bytes, end = request->next_pos;

    if (seg == NULL || from >= seg->checked.appended_pos)
        return;
    struct rl_checked *checked = &seg->checked;
    if (from > checked->end_pos || end < checked->from_pos) {
        checked->from_pos = from;
        checked->end_pos = end;
    } else {
        checked->from_pos = RL_MIN(checked->from_pos, from);
        checked->end_pos = RL_MAX(checked->end_pos, end);
    }
}

static struct rl_chunk chunk_of(struct rl_log *log, const struct rl_file_read *request,
                                struct rl_segment_file *file)
{
    if (request->buffer != NULL)
        return (struct rl_chunk){ request->buffer->data, request->bytes, { request->buffer } };
    return (struct rl_chunk){ .bytes = request->bytes,
                              .file = rl_lease_create(log->manager, file,
                                                      request->next_pos - request->bytes) };
}

static rl_status finish_read(struct rl_log *log, struct rl_log_read *read,
                             struct rl_segment_file *file, struct rl_file_read *request,
                             rl_status status)
{
    if (request->index_damaged)
        rl_repair_index(log, request->segment_base);
    if (status == RL_ENOTFOUND)
        status = RL_ECORRUPT;           /* the log knows of a batch that its file does not have */
    if (status == RL_OK && request->buffer != NULL)
        status = end_at_false_epoch(log, request);
    if (status == RL_ECORRUPT)
        rl_damage_note(log, request->segment_base, request->next_pos, request->offset, "damaged batch");
    if (status != RL_OK || request->bytes == 0)
        return status;

    if (request->buffer != NULL)
        note_checked(log, request);
    read->chunks[read->chunk_count++] = chunk_of(log, request, file);
    read->bytes = request->bytes;
    remember(log, request->next_offset, request->segment_base, request->next_pos);
    return RL_OK;
}

static void run_read(struct rl_op *op)
{
    struct read_job *job = op->arg;

    op->status = rl_file_read(&job->request, false);
}

static void on_read(struct rl_op *op)
{
    struct read_job *job = op->arg;
    struct rl_log *log = job->log;
    struct rl_log_read *read = job->read;

    read->job = NULL;
    read->status = finish_read(log, read, job->file, &job->request, op->status);
    rl_segment_unpin(job->file);
    log->busy--;
    if (log->closing)
        rl_log_mark_dirty(log);
    rl_free(job);
    read->done(read);
}

static rl_status read_by_job(struct rl_log *log, struct rl_log_read *read, struct rl_segment *seg,
                             const struct rl_file_read *request)
{
    struct read_job *job = rl_alloc_zero(1, sizeof *job);

    job->log = log;
    job->read = read;
    job->file = rl_segment_pin(seg);
    job->request = *request;
    job->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_read, .done = on_read, .arg = job };
    read->job = job;
    log->busy++;
    rl_submit(log->manager->shard, &job->op);
    return RL_EBUSY;
}

static rl_status read_file(struct rl_log *log, struct rl_log_read *read)
{
    uint32_t i = rl_log_segment_at(log, read->offset);
    struct rl_segment *seg = &log->segments[i];
    struct rl_file_read request;        /* 4 KiB of path: set field by field */

    rl_status status = rl_segment_open(log, seg, i + 1 == log->segment_count);
    if (status == RL_EREADONLY)
        status = rl_segment_open(log, seg, false);
    if (status != RL_OK)
        return status == RL_ENOTFOUND ? RL_ECORRUPT : status;
    rl_log_prepare_read(log, seg, read->offset, &request);
    request.upper_offset = read->upper_offset;
    request.max_bytes = read->max_bytes;
    request.lend_bytes_min = read->lend_bytes_min;
    request.at_least_one = read->at_least_one;
    status = request.floor_pos == 0 && (seg->flags & RL_SEGMENT_INDEX_DAMAGED) != 0
        ? RL_EBUSY                      /* a long walk: not here */
        : rl_file_read(&request, true);
    if (status == RL_EBUSY)
        return read_by_job(log, read, seg, &request);
    return finish_read(log, read, seg->file, &request, status);
}

/* What was read from the tail is one range of a file, too: hand that out instead.  It stays as it
 * is where it is more than one, or its file cannot be opened now. */
static void lend_tail(struct rl_log *log, struct rl_log_read *read)
{
    int64_t segment_base;
    uint32_t pos;

    rl_tail_locate(log, read->offset, &segment_base, &pos);
    struct rl_segment *seg = rl_log_segment_find(log, segment_base);
    if (seg == NULL || read->bytes > seg->written_bytes - pos ||
        rl_segment_open(log, seg, seg == rl_log_active(log)) != RL_OK)
        return;
    for (uint32_t i = 0; i < read->chunk_count; i++)
        rl_chunk_release(&read->chunks[i]);
    read->chunks[0] = (struct rl_chunk){ .bytes = read->bytes,
                                         .file = rl_lease_create(log->manager, seg->file, pos) };
    read->chunk_count = 1;
}

rl_status rl_log_read(struct rl_log *log, struct rl_log_read *read)
{
    RL_OBJ(log, LOG);
    read->bytes = 0;
    read->chunk_count = 0;
    read->log = log;
    read->job = NULL;
    if (log->failure == RL_EIO)
        return read->status = RL_EIO;
    if (log->closing)
        return read->status = RL_ECLOSED;
    if (read->offset < log->start_offset || read->offset > log->end_offset)
        return read->status = RL_ERANGE;
    /* What is not yet written may still be taken back. */
    read->upper_offset = RL_MIN(read->upper_offset, log->written_offset);
    if (read->offset >= read->upper_offset)
        return read->status = RL_OK;
    rl_log_heat(log);
    if (!read->skip_tail && read->offset >= rl_tail_first_offset(log)) {
        rl_tail_read(log, read);
        if (read->lend_tail && read->bytes > 0 && read->bytes >= read->lend_bytes_min)
            lend_tail(log, read);
        return read->status = RL_OK;
    }
    return read->status = read_file(log, read);
}

/* ---- how much is there ---- */

struct place {
    uint32_t segment;
    uint32_t pos;
};

/* Where the batch boundary at offset lies; where that is not known from memory: not behind it if
 * at_most, else not before it. */
static struct place place_of(struct rl_log *log, int64_t offset, bool at_most)
{
    uint32_t i = rl_log_segment_at(log, offset);
    const struct rl_segment *seg = &log->segments[i];
    int64_t first = rl_tail_first_offset(log);
    struct place place = { i, at_most ? 0 : seg->size_bytes };
    int64_t segment_base;

    if (offset == log->end_offset) {
        place.pos = seg->size_bytes;
    } else if (offset == seg->base_offset) {
        place.pos = 0;
    } else if (offset >= first) {
        rl_tail_locate(log, offset, &segment_base, &place.pos);
    } else {
        for (uint32_t h = 0; h < RL_LOG_HINTS; h++) {
            const struct rl_log_hint *hint = &log->hot->hints[h];
            if (hint->offset == offset && hint->segment_base == seg->base_offset) {
                place.pos = hint->pos;
                return place;
            }
        }
        if (!at_most && first < log->end_offset && rl_log_segment_at(log, first) == i)
            rl_tail_locate(log, first, &segment_base, &place.pos);
    }
    return place;
}

size_t rl_log_available_bytes(struct rl_log *log, int64_t offset, int64_t upper_offset,
                              size_t max_bytes)
{
    RL_OBJ(log, LOG);
    upper_offset = RL_MIN(upper_offset, log->written_offset);
    if (offset < log->start_offset || offset >= upper_offset || max_bytes == 0)
        return 0;
    rl_log_heat(log);
    struct place begin = place_of(log, offset, false);
    struct place end = place_of(log, upper_offset, true);
    uint64_t bytes = end.pos;
    for (uint32_t i = begin.segment; i < end.segment && bytes < max_bytes + (uint64_t)begin.pos; i++)
        bytes += log->segments[i].size_bytes;
    if (bytes <= begin.pos)
        return RL_MIN((size_t)RL_BATCH_HEADER_BYTES, max_bytes);        /* at least one batch */
    return (size_t)RL_MIN(bytes - begin.pos, (uint64_t)max_bytes);
}

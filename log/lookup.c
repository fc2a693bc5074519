/* log/lookup.c — from a timestamp to a record, exact to the record.
 *
 * The happy path: the shard picks the first segment whose largest timestamp reaches the wanted
 * one; a job lets the time index name a batch before which everything is older, walks headers
 * from there, and opens the first batch that reaches it (output bounded, codec.h).
 * For the largest timestamp the segments' own figures name the batch; only a segment that
 * upper_offset cuts in two, or whose largest lies before the log's start, is walked for it.
 * Failures: a batch whose header promises a timestamp that no record has is passed over; a batch
 * that cannot be opened ends the lookup with RL_ECORRUPT. */
#include "log/log_internal.h"
#include "core/memory.h"
#include "log/file_read.h"
#include "log/record.h"
#include "log/repair.h"
#include <string.h>

enum kind { NOTHING, FIND, LARGEST };

struct lookup_job {
    struct rl_op op;
    struct rl_log *log;
    struct rl_log_lookup *lookup;
    struct rl_segment_file *file;
    enum kind kind;
    int64_t timestamp_ms;               /* FIND: at least; LARGEST: out */
    int64_t segment_base;
    uint32_t end_pos;
    rl_status failure;                  /* NOTHING: why its segment cannot be read; RL_OK: none has it */
    int64_t start_offset;               /* begin with the batch that holds it */
    uint32_t time_entries;              /* of the time index; 0: begin with start_offset */
    char time_path[RL_PATH_BYTES];
    struct rl_file_read request;
    int64_t largest_offset;             /* LARGEST: last offset of the batch; -1: none */
    int64_t cut_base;                   /* LARGEST: a second segment to be walked; -1: none */
    bool index_damaged;
};

static void submit(struct lookup_job *job);

/* ---- on a helper ---- */

static rl_status search_records(struct lookup_job *job, const struct rl_batch *batch)
{
    struct rl_records records;
    struct rl_record record;
    rl_status status = rl_records_init(&records, batch);

    if (status != RL_OK)
        return RL_ECORRUPT;
    while ((status = rl_records_next(&records, &record)) == RL_OK) {
        if (record.timestamp_ms < job->timestamp_ms)
            continue;
        job->lookup->ret_offset = record.offset;
        job->lookup->ret_timestamp_ms = record.timestamp_ms;
        job->lookup->ret_leader_epoch = batch->partition_leader_epoch;
        break;
    }
    rl_records_done(&records);
    return status;
}

/* Read the batch whose header is known and look at its records. */
static rl_status open_batch(struct lookup_job *job, const struct rl_batch *header, uint32_t pos)
{
    uint8_t *bytes = rl_alloc(header->size_bytes);
    struct rl_batch batch;
    size_t got;

    rl_status status = rl_disk_read(job->request.disk, job->file->fd, pos, bytes,
                                    header->size_bytes, &got);
    if (status == RL_OK)
        status = rl_batch_read_header(bytes, got, &batch);
    if (status == RL_OK)
        status = rl_batch_check(&batch);
    if (status == RL_OK)
        status = search_records(job, &batch);
    else if (status != RL_EIO)
        status = RL_ECORRUPT;
    rl_free(bytes);
    return status;
}

static rl_status on_batch(void *arg, const struct rl_batch *batch, uint32_t pos)
{
    struct lookup_job *job = arg;

    if (rl_batch_last_offset(batch) >= job->request.upper_offset)
        return RL_ECANCELLED;
    if (job->kind == LARGEST) {
        if (batch->max_timestamp_ms > job->timestamp_ms) {
            job->timestamp_ms = batch->max_timestamp_ms;
            job->largest_offset = rl_batch_last_offset(batch);
        }
        return RL_OK;
    }
    if (batch->max_timestamp_ms < job->timestamp_ms)
        return RL_OK;
    rl_status status = open_batch(job, batch, pos);
    if (status == RL_OK)
        return RL_EEXIST;               /* found: the walk ends */
    return status == RL_ENOTFOUND ? RL_OK : status;
}

/* An offset before which everything is older than the timestamp, from the time index. */
static void use_time_index(struct lookup_job *job)
{
    struct rl_time_entry entry;
    struct rl_batch batch;
    uint32_t pos;

    if (job->time_entries == 0)
        return;
    rl_status status = rl_time_file_find(job->request.disk, job->time_path, job->time_entries,
                                         job->timestamp_ms, false, &entry);
    if (status == RL_ENOTFOUND)
        return;
    if (status == RL_OK) {
        job->request.offset = job->segment_base + entry.relative_offset;
        status = rl_file_find(&job->request, false, &pos, &batch);
        if (status == RL_OK && rl_batch_last_offset(&batch) == job->request.offset &&
            batch.max_timestamp_ms == entry.timestamp_ms) {
            job->start_offset = job->request.offset;
            return;
        }
    }
    job->index_damaged = true;
}

static void run_lookup(struct rl_op *op)
{
    struct lookup_job *job = op->arg;
    struct rl_batch batch;
    struct rl_segment_walk walk = { .crc_from_pos = UINT32_MAX };

    op->status = job->failure != RL_OK ? job->failure : RL_ENOTFOUND;
    if (job->kind == NOTHING)
        return;
    uint32_t floor_pos = job->request.floor_pos;
    int64_t floor_offset = job->request.floor_offset;
    if (job->kind == FIND)
        use_time_index(job);
    job->request.floor_pos = floor_pos;
    job->request.floor_offset = floor_offset;
    job->request.offset = job->start_offset;
    op->status = rl_file_find(&job->request, false, &walk.pos, &batch);
    if (op->status != RL_OK)
        return;
    walk.disk = job->request.disk;
    walk.fd = job->file->fd;
    walk.end_pos = job->end_pos;
    walk.next_offset = batch.base_offset;
    rl_status status = rl_segment_walk(&walk, on_batch, job);
    if (status == RL_EEXIST)
        op->status = RL_OK;
    else if (status == RL_OK || status == RL_ECANCELLED)
        op->status = job->kind == LARGEST ? RL_OK : RL_ENOTFOUND;
    else
        op->status = status == RL_EIO ? RL_EIO : RL_ECORRUPT;
}

/* ---- on the shard ---- */

static void finish(struct lookup_job *job, rl_status status)
{
    struct rl_log_lookup *lookup = job->lookup;

    lookup->status = status;
    lookup->job = NULL;
    rl_free(job);
    lookup->done(lookup);
}

static rl_status prepare(struct lookup_job *job, uint32_t i, int64_t start_offset)
{
    struct rl_log *log = job->log;
    struct rl_segment *seg = &log->segments[i];

    rl_status status = rl_segment_open(log, seg, i + 1 == log->segment_count);
    if (status != RL_OK)
        return status;
    rl_log_prepare_read(log, seg, start_offset, &job->request);
    job->request.upper_offset = job->lookup->upper_offset;
    job->segment_base = seg->base_offset;
    job->end_pos = seg->written_bytes;
    job->start_offset = start_offset;
    job->time_entries = 0;
    job->file = rl_segment_pin(seg);
    return RL_OK;
}

/* Look for the first record at or after job->timestamp_ms from segment i on. */
static void find_from(struct lookup_job *job, uint32_t i)
{
    struct rl_log *log = job->log;
    struct rl_time_entry entry;
    char directory[RL_PATH_BYTES];

    while (i < log->segment_count && log->segments[i].max_timestamp_ms < job->timestamp_ms)
        i++;
    job->kind = NOTHING;
    if (i < log->segment_count && log->segments[i].base_offset < job->lookup->upper_offset) {
        struct rl_segment *seg = &log->segments[i];
        int64_t start_offset = RL_MAX(seg->base_offset, log->start_offset);
        bool in_memory = seg->index != NULL &&
                         rl_time_memory_find(seg->index, job->timestamp_ms, &entry) &&
                         seg->base_offset + entry.relative_offset < log->written_offset;
        if (in_memory)
            start_offset = RL_MAX(start_offset, seg->base_offset + entry.relative_offset);
        job->failure = prepare(job, i, start_offset);
        if (job->failure != RL_OK) {
            job->file = NULL;
        } else {
            job->kind = FIND;
            if (!in_memory && (seg->flags & RL_SEGMENT_INDEX_DAMAGED) == 0) {
                rl_log_directory(log, directory);
                rl_segment_path(directory, seg->base_offset, ".timeindex", job->time_path);
                job->time_entries = seg->time_entries;
                /* The request finds its floor again once the time index named an offset. */
                job->request.floor_pos = 0;
                job->request.floor_offset = seg->base_offset;
            }
        }
    }
    submit(job);
}

/* The record with the largest timestamp, whose batch ends with this offset. */
static void find_largest(struct lookup_job *job, int64_t timestamp_ms, int64_t offset)
{
    job->kind = NOTHING;
    job->timestamp_ms = timestamp_ms;
    if (timestamp_ms >= 0 && offset >= job->log->start_offset) {
        job->failure = prepare(job, rl_log_segment_at(job->log, offset), offset);
        job->kind = job->failure == RL_OK ? FIND : NOTHING;
    }
    submit(job);
}

/* Walk one segment for a larger timestamp than is known.  False: it has none to offer. */
static bool walk_for_largest(struct lookup_job *job, uint32_t i)
{
    struct rl_log *log = job->log;
    int64_t start_offset = RL_MAX(log->segments[i].base_offset, log->start_offset);

    if (log->segments[i].max_timestamp_ms <= job->lookup->ret_timestamp_ms ||
        prepare(job, i, start_offset) != RL_OK)
        return false;
    job->kind = LARGEST;
    job->timestamp_ms = job->lookup->ret_timestamp_ms;
    job->largest_offset = -1;
    submit(job);
    return true;
}

static void on_looked_up(struct rl_op *op)
{
    struct lookup_job *job = op->arg;
    struct rl_log *log = job->log;
    rl_status status = op->status;

    log->busy--;
    if (job->file != NULL)
        rl_segment_unpin(job->file);
    job->file = NULL;
    if (log->closing) {
        rl_log_mark_dirty(log);
        finish(job, RL_ECLOSED);
        return;
    }
    if (job->index_damaged || job->request.index_damaged)
        rl_repair_index(log, job->segment_base);
    job->index_damaged = false;
    if (job->kind == LARGEST && (status == RL_OK || status == RL_ENOTFOUND)) {
        if (job->timestamp_ms > job->lookup->ret_timestamp_ms) {
            job->lookup->ret_timestamp_ms = job->timestamp_ms;
            job->lookup->ret_offset = job->largest_offset;
        }
        int64_t cut_base = job->cut_base;
        job->cut_base = -1;
        if (cut_base < 0 || !walk_for_largest(job, rl_log_segment_at(log, cut_base)))
            find_largest(job, job->lookup->ret_timestamp_ms, job->lookup->ret_offset);
    } else if (job->kind == FIND && status == RL_ENOTFOUND &&
               job->lookup->timestamp_ms != RL_LOOKUP_MAX_TIMESTAMP) {
        uint32_t next = rl_log_segment_at(log, job->segment_base);
        find_from(job, log->segments[next].base_offset <= job->segment_base ? next + 1 : next);
    } else {
        finish(job, status);
    }
}

static void submit(struct lookup_job *job)
{
    job->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_lookup, .done = on_looked_up,
                              .arg = job };
    job->log->busy++;
    rl_submit(job->log->manager->shard, &job->op);
}

static void look_for_largest(struct lookup_job *job)
{
    struct rl_log *log = job->log;
    struct rl_log_lookup *lookup = job->lookup;
    uint32_t cuts[2], cut_count = 0;    /* at the log's start, at upper_offset */

    lookup->ret_timestamp_ms = -1;
    lookup->ret_offset = -1;
    for (uint32_t i = 0; i < log->segment_count; i++) {
        const struct rl_segment *seg = &log->segments[i];
        if (seg->base_offset >= lookup->upper_offset)
            break;
        if (rl_log_segment_end(log, i) <= log->start_offset)
            continue;
        if (rl_log_segment_end(log, i) > lookup->upper_offset ||
            (seg->base_offset < log->start_offset && seg->max_timestamp_offset < log->start_offset)) {
            RL_ASSERT(cut_count < RL_ARRAY_COUNT(cuts));
            cuts[cut_count++] = i;
        } else if (seg->max_timestamp_ms > lookup->ret_timestamp_ms) {
            lookup->ret_timestamp_ms = seg->max_timestamp_ms;
            lookup->ret_offset = seg->max_timestamp_offset;
        }
    }
    job->cut_base = cut_count > 1 ? log->segments[cuts[1]].base_offset : -1;
    if (cut_count > 0 && walk_for_largest(job, cuts[0]))
        return;
    job->cut_base = -1;
    if (cut_count > 1 && walk_for_largest(job, cuts[1]))
        return;
    find_largest(job, lookup->ret_timestamp_ms, lookup->ret_offset);
}

void rl_log_lookup(struct rl_log *log, struct rl_log_lookup *lookup)
{
    struct lookup_job *job = rl_alloc_zero(1, sizeof *job);

    RL_OBJ(log, LOG);
    job->log = log;
    job->lookup = lookup;
    job->timestamp_ms = lookup->timestamp_ms;
    lookup->job = job;
    rl_log_heat(log);
    lookup->upper_offset = RL_MIN(lookup->upper_offset, log->written_offset);
    if (log->closing || log->failure == RL_EIO || lookup->upper_offset <= log->start_offset)
        submit(job);                    /* finds nothing */
    else if (lookup->timestamp_ms == RL_LOOKUP_MAX_TIMESTAMP)
        look_for_largest(job);
    else
        find_from(job, 0);
}

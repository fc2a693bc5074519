/* log/verify.c — is a partition's directory what it should be?
 *
 * Happy path: the checkpoint, then each segment: its batches one by one, its indexes against them;
 * then snapshots and the rest by name.
 * Failures are what it is for: each becomes a finding, and the look goes on behind it. */
#include "log/verify.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/file_name.h"
#include "log/index.h"
#include "log/log_bytes.h"
#include "log/record.h"
#include "log/recovery.h"
#include "log/scan.h"
#include "log/snapshot.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SIDE_FILE_BYTES_MAX ((size_t)1 << 30)

/* What an index entry can be compared with. */
struct seen_batch {
    int64_t last_offset, max_timestamp_ms;
    uint32_t pos;
};

struct verify {
    struct rl_disk *disk;
    const char *directory;
    const struct rl_verify_options *options;
    struct rl_verification *out;
    struct rl_log_files files;
    struct rl_checkpoint checkpoint;
    bool has_checkpoint;
    /* the walk over all segments */
    int64_t next_offset;                /* -1: not known, behind damage */
    int32_t epoch;
    /* the segment at hand */
    const struct rl_log_file *file;
    struct seen_batch *seen;
    uint32_t seen_count, seen_capacity;
};

static void found(struct verify *v, enum rl_finding_severity severity, const char *file, int64_t pos,
                  int64_t offset, const char *format, ...) RL_PRINTF(6, 7);

static void found(struct verify *v, enum rl_finding_severity severity, const char *file, int64_t pos,
                  int64_t offset, const char *format, ...)
{
    struct rl_verification *out = v->out;
    va_list args;

    out->errors += severity == RL_FINDING_ERROR;
    out->warnings += severity == RL_FINDING_WARNING;
    if (out->finding_count == RL_FINDINGS_MAX)
        return;
    out->findings = rl_realloc(out->findings, (out->finding_count + 1) * sizeof *out->findings);
    struct rl_finding *finding = &out->findings[out->finding_count++];
    *finding = (struct rl_finding){ .severity = severity, .pos = pos, .offset = offset };
    snprintf(finding->file, sizeof finding->file, "%s", file);
    va_start(args, format);
    vsnprintf(finding->what, sizeof finding->what, format, args);
    va_end(args);
}

static void path_of(const struct verify *v, const char *name, char path[RL_PATH_BYTES])
{
    snprintf(path, RL_PATH_BYTES, "%s/%s", v->directory, name);
}

/* ---- one batch ---- */

static void open_records(struct verify *v, const struct rl_batch *batch, uint64_t pos)
{
    struct rl_records records;
    struct rl_record record;

    rl_status status = rl_records_init(&records, batch);
    if (status == RL_OK) {
        while ((status = rl_records_next(&records, &record)) == RL_OK)
            ;
        rl_records_done(&records);
    }
    if (status != RL_ENOTFOUND)
        found(v, RL_FINDING_ERROR, v->file->name, (int64_t)pos, batch->base_offset,
              "the checksum holds, but the records of this batch cannot be read: %s", rl_status_text(status));
}

static void note_seen(struct verify *v, const struct rl_batch *batch, uint64_t pos)
{
    if (v->seen_count == v->seen_capacity) {
        v->seen_capacity = RL_MAX(1024u, v->seen_capacity * 2);
        v->seen = rl_realloc(v->seen, v->seen_capacity * sizeof *v->seen);
    }
    v->seen[v->seen_count++] = (struct seen_batch){ rl_batch_last_offset(batch), batch->max_timestamp_ms,
                                                    (uint32_t)pos };
}

/* The leader epoch lies outside the checksum. */
static void check_epoch(struct verify *v, const struct rl_log_scan_item *item)
{
    const struct rl_batch *batch = &item->batch;
    int32_t known = v->has_checkpoint && batch->base_offset < v->checkpoint.saved.offset
        ? rl_epoch_cache_of(&v->checkpoint.epochs, batch->base_offset) : -1;

    if (batch->partition_leader_epoch < v->epoch)
        found(v, RL_FINDING_ERROR, v->file->name, (int64_t)item->pos, batch->base_offset,
              "leader epoch %d after %d", batch->partition_leader_epoch, v->epoch);
    else if (known >= 0 && batch->partition_leader_epoch != known)
        found(v, RL_FINDING_ERROR, v->file->name, (int64_t)item->pos, batch->base_offset,
              "leader epoch %d, but the checkpoint says %d", batch->partition_leader_epoch, known);
}

static void check_batch(struct verify *v, const struct rl_log_scan_item *item)
{
    const struct rl_batch *batch = &item->batch;

    if (v->next_offset >= 0 && batch->base_offset != v->next_offset)
        found(v, RL_FINDING_ERROR, v->file->name, (int64_t)item->pos, batch->base_offset,
              "a batch with offset %" PRId64 " stands where %" PRId64 " is next", batch->base_offset,
              v->next_offset);
    check_epoch(v, item);
    if (v->options->records)
        open_records(v, batch, item->pos);
    note_seen(v, batch, item->pos);
    v->epoch = RL_MAX(v->epoch, batch->partition_leader_epoch);
    v->next_offset = rl_batch_last_offset(batch) + 1;
    v->out->batches++;
    v->out->records += (uint64_t)batch->record_count;
    v->out->end_offset = v->next_offset;
}

/* ---- one segment ---- */

/* The next start may cut it off: it is the end of the last segment, and nothing says that it was on
 * stable storage. */
static bool is_torn_tail(const struct verify *v, const struct rl_log_scan_item *item, bool last)
{
    const struct rl_log_point *recovery = &v->checkpoint.recovery;

    if (item->kind != RL_SCAN_TAIL || !last)
        return false;
    if (!v->has_checkpoint)
        return true;
    const struct rl_segment *seg = &v->checkpoint.segments[rl_checkpoint_segment_of(&v->checkpoint,
                                                                                    recovery->offset)];
    return v->file->offset > seg->base_offset ||
           (v->file->offset == seg->base_offset && item->pos >= recovery->pos);
}

static void check_gap(struct verify *v, const struct rl_log_scan_item *item, bool last)
{
    if (is_torn_tail(v, item, last)) {
        found(v, RL_FINDING_WARNING, v->file->name, (int64_t)item->pos, v->next_offset,
              "%" PRIu64 " bytes at the end are no whole batch: a torn last write, which the next start "
              "cuts off", item->bytes);
        return;
    }
    found(v, RL_FINDING_ERROR, v->file->name, (int64_t)item->pos, v->next_offset,
          "%" PRIu64 " bytes are no sound batch: %s; they are not served, and %s", item->bytes,
          item->status == RL_ECORRUPT ? "the checksum does not match" : rl_status_text(item->status),
          item->kind == RL_SCAN_TAIL ? "nothing sound follows in this file" : "what follows is readable");
    v->next_offset = -1;
}

/* Every batch.  False: the file could not be read to its end. */
static bool check_batches(struct verify *v, bool last)
{
    struct rl_log_scan scan;
    struct rl_log_scan_item item = { 0 };
    char path[RL_PATH_BYTES];

    path_of(v, v->file->name, path);
    rl_status status = rl_log_scan_open(&scan, v->disk, path);
    if (status != RL_OK) {
        found(v, RL_FINDING_ERROR, v->file->name, -1, -1, "cannot be opened: %s", rl_status_text(status));
        return false;
    }
    v->out->bytes += scan.file_bytes;
    while ((status = rl_log_scan_next(&scan, &item)) == RL_OK && item.kind != RL_SCAN_END) {
        if (item.kind == RL_SCAN_BATCH)
            check_batch(v, &item);
        else
            check_gap(v, &item, last);
    }
    if (status != RL_OK)
        found(v, RL_FINDING_ERROR, v->file->name, (int64_t)scan.pos, v->next_offset, "cannot be read: %s",
              rl_status_text(status));
    rl_log_scan_done(&scan);
    return status == RL_OK;
}

static const struct seen_batch *find_seen(const struct verify *v, int64_t last_offset)
{
    uint32_t low = 0, high = v->seen_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (v->seen[middle].last_offset < last_offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < v->seen_count && v->seen[low].last_offset == last_offset ? &v->seen[low] : NULL;
}

/* The file beside the segment, whole entries of it; false: there is none. */
static bool load_index(struct verify *v, const char *suffix, size_t entry_bytes, struct rl_text *ret_file)
{
    char path[RL_PATH_BYTES];

    rl_segment_path(v->directory, v->file->offset, suffix, path);
    rl_status status = rl_side_file_load(v->disk, path, SIDE_FILE_BYTES_MAX, ret_file);
    if (status == RL_ENOTFOUND)
        return false;
    const char *name = strrchr(path, '/') + 1;
    if (status != RL_OK)
        found(v, RL_FINDING_WARNING, name, -1, -1, "cannot be read: %s", rl_status_text(status));
    else if (ret_file->bytes % entry_bytes != 0)
        found(v, RL_FINDING_WARNING, name, (int64_t)(ret_file->bytes / entry_bytes * entry_bytes), -1,
              "half an entry at the end");
    return status == RL_OK;
}

static void check_index(struct verify *v)
{
    struct rl_text file = { 0 };
    uint32_t last_pos = 0;
    char name[64];

    snprintf(name, sizeof name, "%020" PRId64 ".index", v->file->offset);
    if (load_index(v, ".index", RL_INDEX_ENTRY_BYTES, &file)) {
        for (size_t at = 0; at + RL_INDEX_ENTRY_BYTES <= file.bytes; at += RL_INDEX_ENTRY_BYTES) {
            const uint8_t *entry = (const uint8_t *)file.data + at;
            int64_t offset = v->file->offset + rl_get_u32(entry);
            uint32_t pos = rl_get_u32(entry + 4);
            const struct seen_batch *batch = find_seen(v, offset);
            if (batch == NULL || batch->pos != pos || (at > 0 && pos <= last_pos)) {
                found(v, RL_FINDING_WARNING, name, (int64_t)at, offset,
                      "this entry and all behind it are not those of the log; they are not believed");
                break;
            }
            last_pos = pos;
        }
    }
    rl_text_done(&file);
}

static void check_time_index(struct verify *v)
{
    struct rl_text file = { 0 };
    int64_t last_ms = INT64_MIN;
    char name[64];

    snprintf(name, sizeof name, "%020" PRId64 ".timeindex", v->file->offset);
    if (load_index(v, ".timeindex", RL_TIME_ENTRY_BYTES, &file)) {
        for (size_t at = 0; at + RL_TIME_ENTRY_BYTES <= file.bytes; at += RL_TIME_ENTRY_BYTES) {
            const uint8_t *entry = (const uint8_t *)file.data + at;
            int64_t timestamp_ms = (int64_t)rl_get_u64(entry);
            int64_t offset = v->file->offset + rl_get_u32(entry + 8);
            const struct seen_batch *batch = find_seen(v, offset);
            if (batch == NULL || batch->max_timestamp_ms != timestamp_ms || timestamp_ms <= last_ms) {
                found(v, RL_FINDING_WARNING, name, (int64_t)at, offset,
                      "this entry and all behind it are not those of the log; they are not believed");
                break;
            }
            last_ms = timestamp_ms;
        }
    }
    rl_text_done(&file);
}

static void check_segment(struct verify *v, const struct rl_log_file *file, bool last)
{
    v->file = file;
    v->seen_count = 0;
    if (v->out->segments++ == 0) {
        v->out->start_offset = v->out->end_offset = file->offset;
    } else if (v->next_offset >= 0 && v->next_offset != file->offset) {
        found(v, RL_FINDING_ERROR, file->name, -1, file->offset,
              "begins at offset %" PRId64 ", but the segment before it ends at %" PRId64, file->offset,
              v->next_offset);
    }
    v->next_offset = file->offset;
    if (check_batches(v, last)) {
        check_index(v);
        check_time_index(v);
    }
}

/* ---- the other files ---- */

static void check_checkpoint(struct verify *v)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    path_of(v, RL_CHECKPOINT_FILE, path);
    rl_status status = rl_side_file_load(v->disk, path, SIDE_FILE_BYTES_MAX, &file);
    if (status == RL_OK)
        status = rl_checkpoint_decode(rl_text_slice(&file), &v->checkpoint);
    v->has_checkpoint = status == RL_OK;
    if (status == RL_ENOTFOUND)
        found(v, RL_FINDING_NOTE, RL_CHECKPOINT_FILE, -1, -1,
              "not there (yet): the next start checks the whole log");
    else if (status != RL_OK)
        found(v, RL_FINDING_WARNING, RL_CHECKPOINT_FILE, -1, -1,
              "not valid (%s): the next start checks the whole log", rl_status_text(status));
    rl_text_done(&file);
}

static const struct rl_log_file *find_segment(const struct verify *v, int64_t base_offset)
{
    for (uint32_t i = 0; i < v->files.count; i++) {
        if (v->files.files[i].kind == RL_FILE_LOG && v->files.files[i].offset == base_offset)
            return &v->files.files[i];
    }
    return NULL;
}

/* Everything below the recovery point was on stable storage. */
static void check_promised(struct verify *v)
{
    const struct rl_checkpoint *checkpoint = &v->checkpoint;

    for (uint32_t i = 0; v->has_checkpoint && i < checkpoint->segment_count; i++) {
        const struct rl_segment *seg = &checkpoint->segments[i];
        char name[64];
        snprintf(name, sizeof name, "%020" PRId64 ".log", seg->base_offset);
        if (seg->base_offset < checkpoint->recovery.offset && find_segment(v, seg->base_offset) == NULL)
            found(v, RL_FINDING_ERROR, name, -1, seg->base_offset,
                  "missing, but its records were on stable storage");
    }
    if (v->has_checkpoint && v->next_offset >= 0 && v->out->end_offset < checkpoint->recovery.offset)
        found(v, RL_FINDING_ERROR, "", -1, v->out->end_offset,
              "the log ends at offset %" PRId64 ", but was on stable storage up to %" PRId64,
              v->out->end_offset, checkpoint->recovery.offset);
}

static void check_snapshot(struct verify *v, const struct rl_log_file *file)
{
    struct rl_text content = { 0 };
    struct rl_producer_state *state = rl_producer_state_create(0);
    char path[RL_PATH_BYTES];

    path_of(v, file->name, path);
    rl_status status = rl_side_file_load(v->disk, path, SIDE_FILE_BYTES_MAX, &content);
    if (status == RL_OK)
        status = rl_snapshot_decode(rl_text_slice(&content), file->offset, state);
    if (status != RL_OK)
        found(v, RL_FINDING_WARNING, file->name, -1, file->offset,
              "not valid (%s): producers are read from an older one and the log", rl_status_text(status));
    else if (v->out->end_offset >= 0 && file->offset > v->out->end_offset)
        found(v, RL_FINDING_WARNING, file->name, -1, file->offset,
              "of an offset that the log does not have; it is not used");
    rl_text_done(&content);
    rl_producer_state_free(state);
}

static void check_identity(struct verify *v)
{
    struct rl_uuid topic_id;

    rl_status status = rl_partition_metadata_load(v->disk, v->directory, &topic_id);
    if (status != RL_OK)
        found(v, RL_FINDING_ERROR, "partition.metadata", -1, -1, "%s: the partition is not opened",
              rl_status_text(status));
}

static void check_other(struct verify *v, const struct rl_log_file *file)
{
    switch (file->kind) {
    case RL_FILE_INDEX:
    case RL_FILE_TIME_INDEX:
        if (find_segment(v, file->offset) == NULL)
            found(v, RL_FINDING_WARNING, file->name, -1, file->offset, "an index without its segment");
        break;
    case RL_FILE_SNAPSHOT:
        check_snapshot(v, file);
        break;
    case RL_FILE_SYNC_FAILED:
        found(v, RL_FINDING_WARNING, file->name, -1, -1,
              "a sync failed: the next start writes the doubtful bytes again");
        break;
    case RL_FILE_TEMPORARY:
    case RL_FILE_DELETED:
        found(v, RL_FINDING_NOTE, file->name, -1, -1, "left over; a later start removes it");
        break;
    case RL_FILE_OTHER:
        found(v, RL_FINDING_NOTE, file->name, -1, -1, "not a file of ours; it is left alone");
        break;
    case RL_FILE_LOG:
    case RL_FILE_CHECKPOINT:
    case RL_FILE_PARTITION:
    case RL_FILE_EPOCHS:
        break;
    }
}

/* ---- all of it ---- */

static void check_segments(struct verify *v)
{
    const char *only = v->options->only;
    uint32_t last = 0;

    for (uint32_t i = 0; i < v->files.count; i++) {
        if (v->files.files[i].kind == RL_FILE_LOG)
            last = i;
    }
    for (uint32_t i = 0; i < v->files.count; i++) {
        const struct rl_log_file *file = &v->files.files[i];
        if (file->kind == RL_FILE_LOG && (only == NULL || strcmp(only, file->name) == 0))
            check_segment(v, file, i == last);
    }
    if (v->out->segments == 0)
        found(v, RL_FINDING_NOTE, "", -1, -1, "no segment: nothing was ever written here");
}

rl_status rl_verify_partition(struct rl_disk *disk, const char *directory,
                              const struct rl_verify_options *options,
                              struct rl_verification *ret_verification)
{
    struct verify v = { .disk = disk, .directory = directory, .options = options,
                        .out = ret_verification, .epoch = -1, .next_offset = -1 };

    *ret_verification = (struct rl_verification){ .start_offset = -1, .end_offset = -1 };
    rl_status status = rl_log_files_list(disk, directory, &v.files);
    if (status != RL_OK)
        return status;
    check_checkpoint(&v);
    check_segments(&v);
    if (options->only == NULL) {
        check_identity(&v);
        check_promised(&v);
        for (uint32_t i = 0; i < v.files.count; i++)
            check_other(&v, &v.files.files[i]);
    }
    rl_log_files_done(&v.files);
    rl_checkpoint_done(&v.checkpoint);
    rl_free(v.seen);
    return RL_OK;
}

void rl_verification_done(struct rl_verification *verification)
{
    rl_free(verification->findings);
    verification->findings = NULL;
    verification->finding_count = 0;
}

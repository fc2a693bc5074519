/* log/recovery.c — open a log's files and find out what of them is true.
 *
 * The happy path after a clean stop: list the directory, read the checkpoint, find that the last
 * segment is exactly as long as it says, load the producer snapshot of that offset.  Nothing is
 * walked.  Otherwise the walk of recovery.h, which at the same time rebuilds index entries,
 * timestamps, leader epochs and producer windows of what it passes.
 * Failures: see the rules in recovery.h; every cut and every refusal has a log line. */
#include "log/recovery.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/recovery_walk.h"
#include "log/repair.h"
#include "log/snapshot.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECKPOINT_BYTES_MAX = 256 << 20,
    CHECKPOINT_READS = 3,
    SNAPSHOT_BYTES_MAX = 64 << 20,
};

/* ---- which segments there are ---- */

static void add_segment(struct rl_recovery *r, struct rl_segment seg)
{
    r->segments = rl_realloc(r->segments, (r->segment_count + 1) * sizeof seg);
    seg.flags = RL_SEGMENT_EXISTS;
    r->segments[r->segment_count++] = seg;
}

static bool has_file(const struct rl_offsets *files, int64_t base_offset)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->values[i] == base_offset)
            return true;
    }
    return false;
}

static rl_status create_first(struct rl_recovering *run, int64_t base_offset)
{
    int fd;

    add_segment(run->r, (struct rl_segment){ .base_offset = base_offset });
    rl_status status = rl_recovery_open_segment(run, run->r->segment_count - 1,
                                    RL_OPEN_WRITE | RL_OPEN_CREATE, &fd);
    if (status == RL_OK)
        rl_disk_close(run->r->disk, fd);
    if (status == RL_OK && run->has_checkpoint)         /* else with the first one */
        status = rl_disk_sync_directory(run->r->disk, run->r->directory);
    run->r->changed = true;
    return status;
}

/* A point at the start of a segment that was still empty and did not survive is the end of the one
 * before it: it has to say so, or the next checkpoint that names it is not valid. */
static void settle_point(const struct rl_recovering *run, struct rl_log_point *point)
{
    uint32_t i = rl_checkpoint_segment_of(&run->checkpoint, point->offset);

    if (point->pos == 0 && i == run->known_count && i > 0)
        point->pos = run->r->segments[i - 1].size_bytes;
}

/* Those of the checkpoint, as far as their files are there. */
static rl_status take_known_segments(struct rl_recovering *run)
{
    const struct rl_checkpoint *checkpoint = &run->checkpoint;

    for (uint32_t i = 0; i < checkpoint->segment_count; i++) {
        const struct rl_segment *seg = &checkpoint->segments[i];
        if (has_file(&run->files.segments, seg->base_offset)) {
            add_segment(run->r, *seg);
            continue;
        }
        if (seg->base_offset < checkpoint->recovery.offset) {
            RL_ERROR("log", "%s/%020" PRId64 ".log is missing, but its records were on stable "
                     "storage; nothing was changed", run->r->directory, seg->base_offset);
            return RL_ECORRUPT;
        }
        break;
    }
    run->known_count = run->r->segment_count;
    settle_point(run, &run->checkpoint.recovery);
    settle_point(run, &run->checkpoint.saved);
    return RL_OK;
}

static rl_status find_segments(struct rl_recovering *run)
{
    const struct rl_offsets *files = &run->files.segments;
    int64_t first = run->has_checkpoint ? run->checkpoint.segments[0].base_offset : 0;

    if (run->has_checkpoint) {
        rl_status status = take_known_segments(run);
        if (status != RL_OK)
            return status;
    }
    int64_t last = run->r->segment_count > 0
        ? run->r->segments[run->r->segment_count - 1].base_offset : -1;
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->values[i] < first) {         /* retention was interrupted */
            rl_segment_unlink(run->r->disk, run->r->directory, files->values[i]);
        } else if (files->values[i] > last) {
            add_segment(run->r, (struct rl_segment){ .base_offset = files->values[i] });
            run->r->changed = true;
        }
    }
    if (run->r->segment_count > 0)
        return RL_OK;
    if (run->r->flushed.offset <= first)
        return create_first(run, first);
    RL_ERROR("log", "%s: all segments are missing, but their records were on stable storage; nothing "
             "was changed", run->r->directory);
    return RL_ECORRUPT;
}

/* The true sizes of those that are not simply believed. */
static rl_status measure(struct rl_recovering *run, uint32_t i, uint64_t *ret_bytes)
{
    int fd;
    rl_status status = rl_recovery_open_segment(run, i, 0, &fd);

    if (status != RL_OK)
        return status;
    status = rl_disk_size(run->r->disk, fd, ret_bytes);
    rl_disk_close(run->r->disk, fd);
    return status;
}

/* ---- where to begin ---- */

static bool trust(struct rl_recovering *run, struct rl_log_point point)
{
    uint32_t i = rl_checkpoint_segment_of(&run->checkpoint, point.offset);
    uint64_t bytes = 0;

    if (i >= run->known_count && run->known_count > 0) {
        if (point.offset != run->checkpoint.segments[run->known_count].base_offset)
            return false;               /* what it speaks of was cut */
        i = run->known_count - 1;
    }
    if (point.pos > 0 && (measure(run, i, &bytes) != RL_OK || bytes < point.pos))
        return false;
    run->trusted_segment = i;
    run->trusted = point;
    return true;
}

/* Whoever held the log open until now knows better than the checkpoint what was on stable storage.
 * (Not where it lies in another segment: those between may have grown since, and are to be walked.) */
static rl_status raise_recovery_point(struct rl_recovering *run)
{
    const struct rl_recovery *r = run->r;
    uint32_t i = r->segment_count;
    uint64_t bytes = 0;

    if (r->flushed.offset == 0 || !run->has_checkpoint ||
        r->flushed.offset <= run->checkpoint.recovery.offset)
        return RL_OK;
    while (i > 1 && r->segments[i - 1].base_offset >= r->flushed.offset)
        i--;
    const struct rl_segment *seg = &r->segments[i - 1];
    if (r->flushed.pos > 0 && (seg->base_offset != r->flushed.segment_base ||
                               measure(run, i - 1, &bytes) != RL_OK || bytes < r->flushed.pos)) {
        RL_ERROR("log", "%s/%020" PRId64 ".log is missing or ends before position %u, up to which it "
                 "was on stable storage; nothing was changed", r->directory,
                 r->flushed.segment_base, r->flushed.pos);
        return RL_ECORRUPT;
    }
    if (i - 1 != rl_checkpoint_segment_of(&run->checkpoint, run->checkpoint.recovery.offset) ||
        i - 1 != rl_checkpoint_segment_of(&run->checkpoint, r->flushed.offset))
        return RL_OK;
    if (r->flushed.pos == 0 && measure(run, i - 1, &bytes) != RL_OK)    /* it is whole */
        return RL_OK;
    run->checkpoint.recovery = (struct rl_log_point){
        r->flushed.offset, r->flushed.pos > 0 ? r->flushed.pos : (uint32_t)bytes };
    return RL_OK;
}

static rl_status choose_trusted(struct rl_recovering *run)
{
    const struct rl_recovery *r = run->r;

    if (!run->has_checkpoint) {
        run->trusted.offset = r->segments[0].base_offset;
        return RL_OK;
    }
    /* The save point may lie before the recovery point: then it says less. */
    if (rl_recovery_is_proven(run) && run->checkpoint.saved.offset > run->checkpoint.recovery.offset &&
        trust(run, run->checkpoint.saved))
        return RL_OK;
    if (trust(run, run->checkpoint.recovery))
        return RL_OK;
    RL_ERROR("log", "%s/%020" PRId64 ".log ends before position %u, up to which it was on stable "
             "storage; nothing was changed", r->directory,
             run->checkpoint.segments[rl_checkpoint_segment_of(&run->checkpoint,
                                                               run->checkpoint.recovery.offset)]
                 .base_offset,
             run->checkpoint.recovery.pos);
    return RL_ECORRUPT;
}

/* A cut before the trusted point: begin at the segment it lies in. */
static void lower_trust_to_cut(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;

    if (run->trusted.offset <= r->cut_offset)
        return;
    uint32_t i = run->trusted_segment;
    while (i > 0 && r->segments[i].base_offset > r->cut_offset)
        i--;
    run->trusted_segment = i;
    run->trusted = (struct rl_log_point){ r->segments[i].base_offset, 0 };
}

/* ---- producers ---- */

static bool load_snapshot(struct rl_recovering *run, int64_t offset)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];
    struct rl_producer_state *producers = rl_producer_state_create(run->r->seed);

    rl_segment_path(run->r->directory, offset, ".snapshot", path);
    rl_status status = rl_side_file_load(run->r->disk, path, SNAPSHOT_BYTES_MAX, &file);
    if (status == RL_OK)
        status = rl_snapshot_decode(rl_text_slice(&file), offset, producers);
    rl_text_done(&file);
    if (status != RL_OK) {
        RL_WARN("log", "%s: not used: %s", path, rl_status_text(status));
        rl_producer_state_free(producers);
        return false;
    }
    run->producers = producers;
    run->producers_from = offset;
    return true;
}

static void choose_snapshot(struct rl_recovering *run)
{
    const struct rl_offsets *snapshots = &run->files.snapshots;

    for (uint32_t i = snapshots->count; i-- > 0;) {
        if (snapshots->values[i] <= run->trusted.offset && load_snapshot(run, snapshots->values[i]))
            return;
    }
    run->producers = rl_producer_state_create(run->r->seed);
    run->producers_from = run->r->segments[0].base_offset;
}

/* ---- the end ---- */

/* A sync that fails here is not simply tried again at the next open, either. */
static rl_status sync_or_mark(struct rl_recovering *run, int fd)
{
    rl_status status = rl_disk_sync(run->r->disk, fd);

    if (status != RL_OK)
        (void)rl_recovery_mark_sync_failed(run->r->disk, run->r->directory);
    return status;
}

/* The log ends in segment i at walk->pos: cut what lies behind. */
static rl_status cut(struct rl_recovering *run, uint32_t i, const struct rl_segment_walk *walk)
{
    struct rl_recovery *r = run->r;
    uint64_t bytes;

    for (uint32_t later = i + 1; later < r->segment_count; later++) {
        RL_WARN("log", "%s/%020" PRId64 ".log removed: the log ends at offset %" PRId64,
                r->directory, r->segments[later].base_offset, walk->next_offset);
        rl_segment_unlink(r->disk, r->directory, r->segments[later].base_offset);
        r->changed = true;
    }
    r->segment_count = i + 1;
    rl_status status = rl_disk_size(r->disk, walk->fd, &bytes);
    if (status != RL_OK || bytes == walk->pos)
        return status;
    RL_WARN("log", "%s/%020" PRId64 ".log cut from %" PRIu64 " to %u bytes: the log ends at offset "
            "%" PRId64, r->directory, r->segments[i].base_offset, bytes, walk->pos,
            walk->next_offset);
    r->changed = true;
    status = rl_disk_truncate(r->disk, walk->fd, walk->pos);
    /* At once: when the next append begins a segment, no later sync would take the new size along, and
     * with the power gone whole batches of what was cut would stand in front of that segment. */
    return status != RL_OK ? status : sync_or_mark(run, walk->fd);
}

/* Segment i is walked and another one follows: its index is complete. */
static void seal(struct rl_recovering *run, uint32_t i)
{
    struct rl_segment *seg = &run->r->segments[i];

    if (seg->max_timestamp_ms >= 0)
        rl_index_note_last_time(seg->index, seg->max_timestamp_ms,
                                (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    seg->flags |= RL_SEGMENT_INDEX_SAVED;
    if (rl_index_store(run->r->disk, run->r->directory, seg) != RL_OK) {
        seg->flags |= RL_SEGMENT_INDEX_DAMAGED;
        rl_index_memory_free(seg->index);
        seg->index = NULL;
    }
}

static rl_status walk_all(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    bool end = false;

    for (uint32_t i = run->trusted_segment; !end; i++) {
        struct rl_segment_walk walk = { 0 };
        rl_status status = rl_recovery_open_segment(run, i, RL_OPEN_WRITE, &walk.fd);
        if (status != RL_OK)
            return status;
        status = rl_recovery_walk_segment(run, i, &walk, &end);
        if (status == RL_OK && end && walk.next_offset < r->flushed.offset) {
            RL_ERROR("log", "%s: records from offset %lld on were on stable storage and are not there any "
                     "more; nothing is cut", r->directory, (long long)walk.next_offset);
            status = RL_ECORRUPT;
        }
        if (status == RL_OK && end)
            status = cut(run, i, &walk);
        rl_disk_close(r->disk, walk.fd);
        if (status != RL_OK)
            return status;
        r->segments[i].size_bytes = walk.pos;
        r->end_offset = walk.next_offset;
        if (!end)
            seal(run, i);
    }
    return RL_OK;
}

/* What was kept may have been lost but for luck: the next recovery, which may know less, would cut
 * it.  (Not so on a proven mount: there it is synced in its own time, as what was just written.) */
static bool is_doubtful(const struct rl_recovering *run)
{
    if (run->kept_damage)
        return true;
    return !run->has_checkpoint && !rl_recovery_is_proven(run) &&
           run->r->end_offset > run->r->segments[0].base_offset;
}

/* Put it on stable storage now, and the recovery point behind it. */
static rl_status sync_all(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    rl_status status = RL_OK;

    for (uint32_t i = run->trusted_segment; i < r->segment_count && status == RL_OK; i++) {
        int fd;
        status = rl_recovery_open_segment(run, i, 0, &fd);
        if (status != RL_OK)
            break;
        status = sync_or_mark(run, fd);
        rl_disk_close(r->disk, fd);
    }
    if (status == RL_OK)
        status = rl_disk_sync_directory(r->disk, r->directory);
    run->synced = status == RL_OK;
    return status;
}

/* Nothing happened since the checkpoint: all is as it says. */
static bool is_clean(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    const struct rl_checkpoint *checkpoint = &run->checkpoint;
    uint32_t last = r->segment_count - 1;
    uint64_t bytes;

    if (!run->has_checkpoint || run->files.sync_failed || r->changed ||
        r->segment_count != checkpoint->segment_count || run->trusted_segment != last ||
        r->cut_offset < run->trusted.offset)
        return false;
    if (checkpoint->recovery.offset != checkpoint->saved.offset ||
        run->trusted.offset != checkpoint->saved.offset ||
        run->trusted.pos != r->segments[last].size_bytes)
        return false;
    return measure(run, last, &bytes) == RL_OK && bytes == run->trusted.pos;
}

static bool begins_a_segment(const struct rl_recovery *r, int64_t offset)
{
    for (uint32_t i = r->segment_count; i-- > 0 && r->segments[i].base_offset >= offset;)
        if (r->segments[i].base_offset == offset)
            return true;
    return false;
}

static void set_flushed(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    bool all = run->files.sync_failed || run->synced;           /* just now */
    struct rl_log_point point = { r->segments[0].base_offset, 0 };

    if (run->has_checkpoint && run->checkpoint.recovery.offset <= r->end_offset)
        point = run->checkpoint.recovery;
    if (all)
        point = (struct rl_log_point){ r->end_offset, r->segments[r->segment_count - 1].size_bytes };
    if (point.offset < r->segments[0].base_offset)
        point = (struct rl_log_point){ r->segments[0].base_offset, 0 };
    if (begins_a_segment(r, point.offset))
        point.pos = 0;                  /* made after the checkpoint, which had it at an end */
    run->flushed = point;
    r->flushed_offset = point.offset;
    for (uint32_t i = 0; i < r->segment_count; i++) {
        struct rl_segment *seg = &r->segments[i];
        int64_t end_offset =
            i + 1 < r->segment_count ? r->segments[i + 1].base_offset : r->end_offset;
        bool ends_before = end_offset <= point.offset;
        seg->written_bytes = seg->size_bytes;
        seg->checked = (struct rl_checked){ .appended_pos = seg->size_bytes };
        seg->synced_bytes = 0;
        if (ends_before)
            seg->synced_bytes = seg->size_bytes;
        else if (seg->base_offset < point.offset)       /* at its base: pos is of the one before */
            seg->synced_bytes = RL_MIN(point.pos, seg->size_bytes);
        if (i + 1 < r->segment_count)
            seg->flags |= RL_SEGMENT_INDEX_SAVED;
    }
}

static void keep_snapshots(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    const struct rl_offsets *all = &run->files.snapshots;
    uint32_t valid = 0;

    while (valid < all->count && all->values[valid] <= r->end_offset)
        valid++;
    uint32_t from = valid > RL_ARRAY_COUNT(r->snapshots) ? valid - RL_ARRAY_COUNT(r->snapshots) : 0;
    for (uint32_t i = 0; i < all->count; i++) {
        char path[RL_PATH_BYTES];
        if (i >= from && i < valid) {
            r->snapshots[r->snapshot_count++] = all->values[i];
            continue;
        }
        rl_segment_path(r->directory, all->values[i], ".snapshot", path);
        (void)rl_disk_unlink(r->disk, path);
    }
}

/* The checkpoint on disk speaks of records that are gone: others will take their place, and must
 * not be judged by it.  Replace it, durably, before anything is appended. */
static rl_status replace_checkpoint(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    const struct rl_segment *active = &r->segments[r->segment_count - 1];
    struct rl_checkpoint checkpoint = {
        .start_offset = r->start_offset,
        .recovery = run->flushed,
        .saved = { active->base_offset, 0 },
        .epochs = r->epochs,
        .segments = r->segments,
        .segment_count = r->segment_count,
        .append_times = r->append_times,
    };
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", r->directory, RL_CHECKPOINT_FILE);
    rl_checkpoint_encode(&checkpoint, &file);
    rl_status status = rl_side_file_store(r->disk, path, rl_text_slice(&file), true);
    rl_text_done(&file);
    if (status == RL_ENOSPACE) {        /* the old one is better than none as long as nothing follows */
        r->no_space = true;
        status = RL_OK;
    }
    return status == RL_OK ? rl_disk_sync_directory(r->disk, r->directory) : status;
}

static rl_status check_identity(struct rl_recovery *r)
{
    struct rl_uuid topic_id;
    rl_status status = rl_partition_metadata_load(r->disk, r->directory, &topic_id);

    if (status == RL_OK && rl_uuid_equal(topic_id, r->topic_id))
        return RL_OK;
    if (status == RL_OK || status == RL_ENOTFOUND || status == RL_ECORRUPT) {
        RL_ERROR("log", "%s/partition.metadata %s; the partition is not opened and nothing was "
                 "changed", r->directory,
                 status == RL_OK ? "names another topic" : rl_status_text(status));
        return RL_ECORRUPT;
    }
    return status;
}

static void load_checkpoint(struct rl_recovering *run)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];
    rl_status status = RL_EIO;

    snprintf(path, sizeof path, "%s/%s", run->r->directory, RL_CHECKPOINT_FILE);
    /* Worth a second look: without it what a power cut tore cannot be told from damage, and is kept, in the
     * way of whoever reads (simulator, seed 9000288 with groups). */
    for (int attempt = 0; attempt < CHECKPOINT_READS && status == RL_EIO; attempt++) {
        rl_text_clear(&file);
        status = rl_side_file_load(run->r->disk, path, CHECKPOINT_BYTES_MAX, &file);
    }
    if (status == RL_OK)
        status = rl_checkpoint_decode(rl_text_slice(&file), &run->checkpoint);
    run->has_checkpoint = status == RL_OK;
    if (!run->has_checkpoint)
        run->r->changed = true;
    if (status != RL_OK && status != RL_ENOTFOUND)
        RL_WARN("log", "%s: %s; the whole log is checked", path, rl_status_text(status));
    rl_text_done(&file);
}

/* One batch at the end, of an epoch that nobody has led in: it is damaged where no checksum covers it, and is
 * not served.  More of them are believed: the metadata is an older copy. */
static void disbelieve_last_epoch(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;
    struct rl_epoch_entry *newest = r->epochs.count > 0 ? &r->epochs.entries[r->epochs.count - 1] : NULL;
    if (!r->leader_epoch_known || newest == NULL || newest->epoch <= r->leader_epoch || run->epoch_batches != 1)
        return;
    RL_WARN("log", "%s: the batch at offset %" PRId64 " says leader epoch %d, and nobody has led in a later one "
            "than %d: it is damaged", r->directory, newest->start_offset, newest->epoch, r->leader_epoch);
    if (r->epochs.count > 1)
        r->epochs.count--;
    else
        newest->epoch = r->leader_epoch;
}

static void finish(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;

    disbelieve_last_epoch(run);
    rl_producer_state_expire(run->producers, r->wall_ms, r->producer_id_expiration_ms);
    if (rl_producer_state_count(run->producers) > 0) {
        r->producers = run->producers;
        run->producers = NULL;
    }
    r->start_offset = r->segments[0].base_offset;
    if (run->has_checkpoint)
        r->start_offset = RL_MIN(RL_MAX(run->checkpoint.start_offset, r->start_offset),
                                 r->end_offset);
    rl_epoch_cache_truncate_end(&r->epochs, r->end_offset + 1);
    rl_epoch_cache_truncate_start(&r->epochs, r->start_offset);
    rl_append_times_cut(&r->append_times, r->end_offset);
    rl_append_times_thin(&r->append_times, r->wall_ms, r->start_offset);
    set_flushed(run);
    keep_snapshots(run);
}

/* All that is left is on the device now, and nothing on disk says otherwise. */
static rl_status remove_mark(struct rl_recovering *run)
{
    char path[RL_PATH_BYTES];

    rl_sync_failed_path(run->r->directory, path);
    rl_status status = rl_disk_unlink(run->r->disk, path);
    return status == RL_OK || status == RL_ENOTFOUND
        ? rl_disk_sync_directory(run->r->disk, run->r->directory) : status;
}

/* What the checkpoint on disk says is true of the log as it is now; none says nothing wrong. */
static bool still_holds(const struct rl_recovering *run)
{
    const struct rl_recovery *r = run->r;

    if (!run->has_checkpoint && r->end_offset == r->segments[0].base_offset)
        return false;                   /* a new one: without it, what a power cut tears is damage */
    if (!rl_recovery_is_proven(run) || run->kept_damage)
        return false;
    return !run->has_checkpoint || run->checkpoint.saved.offset <= r->end_offset;
}

static rl_status recover(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;

    rl_status status = rl_partition_files_list(r->disk, r->directory, r->same_mount, &run->files);
    if (status == RL_OK)
        status = check_identity(r);
    if (status != RL_OK)
        return status;
    if (r->sync_failed && !run->files.sync_failed) {
        /* It could not be written then; now it may be, for a start after a kill. */
        (void)rl_recovery_mark_sync_failed(r->disk, r->directory);
        run->files.sync_failed = true;
    }
    load_checkpoint(run);
    status = find_segments(run);
    if (status == RL_OK)
        status = raise_recovery_point(run);
    if (status == RL_OK)
        status = choose_trusted(run);
    if (status == RL_OK && run->files.sync_failed)
        status = rl_recovery_rebuild(run);
    if (status != RL_OK)
        return status;
    lower_trust_to_cut(run);
    choose_snapshot(run);
    status = rl_recovery_walk_trusted(run);
    if (status != RL_OK)
        return status;
    if (run->has_checkpoint) {
        r->epochs = run->checkpoint.epochs;
        run->checkpoint.epochs = (struct rl_epoch_cache){ 0 };
        r->append_times = run->checkpoint.append_times;
        run->checkpoint.append_times = (struct rl_append_times){ 0 };
    }
    bool clean = is_clean(run);
    if (clean) {
        r->end_offset = run->trusted.offset;
    } else {
        r->changed = true;
        rl_epoch_cache_truncate_end(&r->epochs, run->trusted.offset + 1);
        status = walk_all(run);
        if (status == RL_OK && is_doubtful(run))
            status = sync_all(run);
    }
    if (status != RL_OK)
        return status;
    finish(run);
    if (!clean && !still_holds(run))
        status = replace_checkpoint(run);
    if (status == RL_OK && run->files.sync_failed)
        r->changed = r->rebuilt = true;
    return status == RL_OK && run->files.sync_failed && !r->no_space ? remove_mark(run) : status;
}

rl_status rl_recovery_run(struct rl_recovery *recovery)
{
    struct rl_recovering run = { .r = recovery, .doubted.epoch = -1 };
    rl_status status = recover(&run);

    rl_partition_files_done(&run.files);
    rl_checkpoint_done(&run.checkpoint);
    rl_producer_state_free(run.producers);
    if (status != RL_OK)
        rl_recovery_done(recovery);
    return status;
}

void rl_recovery_done(struct rl_recovery *r)
{
    for (uint32_t i = 0; i < r->segment_count; i++)
        rl_index_memory_free(r->segments[i].index);
    rl_free(r->segments);
    r->segments = NULL;
    r->segment_count = 0;
    rl_epoch_cache_done(&r->epochs);
    rl_append_times_done(&r->append_times);
    rl_producer_state_free(r->producers);
    r->producers = NULL;
}

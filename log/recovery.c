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
#include "log/log_bytes.h"
#include "log/recovery_files.h"
#include "log/repair.h"
#include "log/snapshot.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECKPOINT_BYTES_MAX = 256 << 20,
    SNAPSHOT_BYTES_MAX = 64 << 20,
    HASHED_TAIL_BYTES = 4 << 20,        /* with the same mount, only this much is hashed */
};

/* One recovery under way. */
struct run {
    struct rl_recovery *r;
    struct rl_partition_files files;
    struct rl_checkpoint checkpoint;
    bool has_checkpoint;
    uint32_t known_count;               /* leading segments that the checkpoint describes */
    /* where belief ends: everything before is taken as it is */
    uint32_t trusted_segment;
    struct rl_log_point trusted;
    int64_t producers_from;             /* batches from here on are not yet in the windows */
    /* the walk */
    struct rl_segment *seg;             /* the one being walked */
    uint32_t index_from_pos;
    struct rl_producer_state *producers;
    uint32_t epoch_batches;             /* walked since the newest epoch began */
    struct rl_epoch_entry doubted;      /* first epoch of the log, replaced by a lower one */
};

static rl_status open_segment(struct run *run, uint32_t i, uint32_t flags, int *ret_fd)
{
    char path[RL_PATH_BYTES];

    rl_segment_path(run->r->directory, run->r->segments[i].base_offset, ".log", path);
    return rl_disk_open(run->r->disk, path, flags, ret_fd);
}

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

static rl_status create_first(struct run *run, int64_t base_offset)
{
    int fd;

    add_segment(run->r, (struct rl_segment){ .base_offset = base_offset });
    rl_status status = open_segment(run, run->r->segment_count - 1,
                                    RL_OPEN_WRITE | RL_OPEN_CREATE, &fd);
    if (status == RL_OK)
        rl_disk_close(run->r->disk, fd);
    if (status == RL_OK)
        status = rl_disk_sync_directory(run->r->disk, run->r->directory);
    run->r->changed = true;
    return status;
}

/* Those of the checkpoint, as far as their files are there. */
static rl_status take_known_segments(struct run *run)
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
    return RL_OK;
}

static rl_status find_segments(struct run *run)
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
    return run->r->segment_count > 0 ? RL_OK : create_first(run, first);
}

/* The true sizes of those that are not simply believed. */
static rl_status measure(struct run *run, uint32_t i, uint64_t *ret_bytes)
{
    int fd;
    rl_status status = open_segment(run, i, 0, &fd);

    if (status != RL_OK)
        return status;
    status = rl_disk_size(run->r->disk, fd, ret_bytes);
    rl_disk_close(run->r->disk, fd);
    return status;
}

/* ---- where to begin ---- */

static bool trust(struct run *run, struct rl_log_point point)
{
    uint32_t i = rl_checkpoint_segment_of(&run->checkpoint, point.offset);
    uint64_t bytes = 0;

    if (i >= run->known_count && run->known_count > 0) {
        /* Its segment, still empty, did not survive: the end of the one before is the same. */
        i = run->known_count - 1;
        point.pos = run->r->segments[i].size_bytes;
    }
    if (point.pos > 0 && (measure(run, i, &bytes) != RL_OK || bytes < point.pos))
        return false;
    run->trusted_segment = i;
    run->trusted = point;
    return true;
}

/* Nothing that was written can have been lost: only the very last write may be torn. */
static bool is_proven(const struct run *run)
{
    return run->r->same_mount && !run->files.sync_failed;
}

static rl_status choose_trusted(struct run *run)
{
    const struct rl_recovery *r = run->r;

    if (!run->has_checkpoint) {
        run->trusted.offset = r->segments[0].base_offset;
        return RL_OK;
    }
    /* The save point may lie before the recovery point: then it says less. */
    if (is_proven(run) && run->checkpoint.saved.offset > run->checkpoint.recovery.offset &&
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
static void lower_trust_to_cut(struct run *run)
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

static bool load_snapshot(struct run *run, int64_t offset)
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

static void choose_snapshot(struct run *run)
{
    const struct rl_offsets *snapshots = &run->files.snapshots;

    for (uint32_t i = snapshots->count; i-- > 0;) {
        if (snapshots->values[i] <= run->trusted.offset && load_snapshot(run, snapshots->values[i]))
            return;
    }
    run->producers = rl_producer_state_create(run->r->seed);
    run->producers_from = run->r->segments[0].base_offset;
}

/* ---- the walk ---- */

static rl_status note_producer(struct run *run, const struct rl_batch *batch)
{
    if (batch->base_offset >= run->r->cut_offset)
        return RL_ECANCELLED;
    if (batch->base_offset < run->producers_from)
        return RL_OK;                   /* in the snapshot, or passed before */
    run->producers_from = rl_batch_last_offset(batch) + 1;
    if (batch->producer_id >= 0 && !rl_batch_is_control(batch))
        rl_producer_state_update(run->producers, batch, run->r->wall_ms);
    return RL_OK;
}

static rl_status on_trusted_batch(void *arg, const struct rl_batch *batch, uint32_t pos)
{
    (void)pos;
    return note_producer(arg, batch);
}

/* Epochs never fall, so of two neighbours where they do one batch is damaged (the CRC does not
 * cover the epoch): a single batch that stands out is not believed. */
static void note_epoch(struct run *run, const struct rl_batch *batch)
{
    struct rl_epoch_cache *epochs = &run->r->epochs;
    int32_t epoch = batch->partition_leader_epoch;
    struct rl_epoch_entry *newest = epochs->count > 0 ? &epochs->entries[epochs->count - 1] : NULL;

    if (newest != NULL && epoch < newest->epoch && run->epoch_batches == 1) {
        if (epochs->count == 1) {
            run->doubted = *newest;
            *newest = (struct rl_epoch_entry){ epoch, batch->base_offset };
            return;
        }
        if (newest[-1].epoch == epoch)
            epochs->count--;
    } else if (newest != NULL && run->epoch_batches == 1 && epochs->count == 1 &&
               epoch == run->doubted.epoch) {
        *newest = run->doubted;         /* it was the lower one */
    }
    run->epoch_batches++;
    if (rl_epoch_cache_assign(epochs, epoch, batch->base_offset))
        run->epoch_batches = 1;
}

static rl_status on_batch(void *arg, const struct rl_batch *batch, uint32_t pos)
{
    struct run *run = arg;
    struct rl_segment *seg = run->seg;
    int64_t last_offset = rl_batch_last_offset(batch);

    rl_status status = note_producer(run, batch);
    if (status != RL_OK || pos < run->index_from_pos)
        return status;
    if (pos == 0)
        seg->first_append_ms = batch->max_timestamp_ms >= 0
            ? RL_MIN(batch->max_timestamp_ms, run->r->wall_ms) : run->r->wall_ms;
    if (batch->max_timestamp_ms > seg->max_timestamp_ms) {
        seg->max_timestamp_ms = batch->max_timestamp_ms;
        seg->max_timestamp_offset = last_offset;
    }
    rl_index_note(seg->index, run->r->index_interval_bytes,
                  (uint32_t)(last_offset - seg->base_offset), pos, (uint32_t)batch->size_bytes,
                  seg->max_timestamp_ms, (uint32_t)(seg->max_timestamp_offset - seg->base_offset));
    note_epoch(run, batch);
    return RL_OK;
}

/* Producers that wrote between the snapshot and the trusted point.  Damage there costs windows,
 * not records. */
static void walk_trusted(struct run *run)
{
    struct rl_recovery *r = run->r;

    for (uint32_t i = 0; i <= run->trusted_segment; i++) {
        bool last = i == run->trusted_segment;
        int64_t end_offset = last ? run->trusted.offset : r->segments[i + 1].base_offset;
        struct rl_segment_walk walk = { .disk = r->disk, .next_offset = r->segments[i].base_offset,
                                        .crc_from_pos = UINT32_MAX };
        if (end_offset <= run->producers_from || end_offset == r->segments[i].base_offset)
            continue;
        rl_status status = open_segment(run, i, 0, &walk.fd);
        if (status == RL_OK) {
            walk.end_pos = last ? run->trusted.pos : r->segments[i].size_bytes;
            status = rl_segment_walk(&walk, on_trusted_batch, run);
            rl_disk_close(r->disk, walk.fd);
        }
        if (status != RL_OK)
            RL_WARN("log", "%s/%020" PRId64 ".log: %s at position %u; producers of what follows "
                    "may be forgotten", r->directory, r->segments[i].base_offset,
                    rl_status_text(status), walk.pos);
    }
}

/* The last timestamp in a .timeindex whose entries are kept; false: the file is too short. */
static bool last_time_of(struct run *run, const struct rl_segment *seg, int64_t *ret_ms)
{
    char path[RL_PATH_BYTES];
    uint8_t entry[RL_TIME_ENTRY_BYTES];
    uint64_t bytes = 0;
    size_t got = 0;
    int fd;

    *ret_ms = INT64_MIN;
    if (seg->index_entries > 0) {
        rl_segment_path(run->r->directory, seg->base_offset, ".index", path);
        if (rl_disk_open(run->r->disk, path, 0, &fd) != RL_OK)
            return false;
        rl_status status = rl_disk_size(run->r->disk, fd, &bytes);
        rl_disk_close(run->r->disk, fd);
        if (status != RL_OK || bytes < (uint64_t)seg->index_entries * RL_INDEX_ENTRY_BYTES)
            return false;
    }
    if (seg->time_entries == 0)
        return true;
    rl_segment_path(run->r->directory, seg->base_offset, ".timeindex", path);
    if (rl_disk_open(run->r->disk, path, 0, &fd) != RL_OK)
        return false;
    rl_status status = rl_disk_read(run->r->disk, fd,
                                    (uint64_t)(seg->time_entries - 1) * RL_TIME_ENTRY_BYTES, entry,
                                    sizeof entry, &got);
    rl_disk_close(run->r->disk, fd);
    if (status != RL_OK || got < sizeof entry)
        return false;
    *ret_ms = (int64_t)rl_get_u64(entry);
    return true;
}

/* Decide what of the segment's index stays, and where its walk begins. */
static void begin_index(struct run *run, uint32_t i, struct rl_segment_walk *walk)
{
    struct rl_segment *seg = &run->r->segments[i];
    bool at_save_point = run->has_checkpoint && i == run->trusted_segment &&
                         run->trusted.offset == run->checkpoint.saved.offset &&
                         i < run->known_count;
    int64_t last_time_ms = INT64_MIN;

    seg->index = rl_index_memory_create();
    run->seg = seg;
    if (at_save_point && run->trusted.pos > 0 && last_time_of(run, seg, &last_time_ms)) {
        seg->index->last_time_ms = last_time_ms;
        run->index_from_pos = run->trusted.pos;
        walk->pos = run->trusted.pos;
        walk->next_offset = run->trusted.offset;
        return;
    }
    seg->index_entries = seg->time_entries = 0;
    seg->max_timestamp_ms = seg->first_append_ms = INT64_MIN;
    run->index_from_pos = 0;
    walk->next_offset = seg->base_offset;
}

/* Is what does not make sense perhaps no torn end?  Without a checkpoint nothing says what was
 * flushed; on a proven mount nothing in the middle can be torn. */
static bool may_be_damage(const struct run *run)
{
    return !run->has_checkpoint || is_proven(run);
}

/* Is there a sound batch behind a damaged one?  Then it is damage, not the end.  On true the walk
 * goes on behind it. */
static bool skip_damage(struct run *run, struct rl_segment_walk *walk)
{
    uint8_t header[RL_BATCH_HEADER_BYTES];
    struct rl_batch batch;
    size_t got;
    struct rl_segment_walk next = *walk;

    if (rl_disk_read(walk->disk, walk->fd, walk->pos, header, sizeof header, &got) != RL_OK ||
        got < sizeof header ||
        rl_batch_read_header(header, walk->end_pos - walk->pos, &batch) != RL_OK ||
        batch.base_offset != walk->next_offset || batch.last_offset_delta < 0 ||
        walk->pos + batch.size_bytes >= walk->end_pos)
        return false;
    next.pos += (uint32_t)batch.size_bytes;
    next.next_offset += batch.last_offset_delta + (int64_t)1;
    /* The next batch must be sound by itself: look at exactly one. */
    struct rl_segment_walk probe = next;
    probe.crc_from_pos = 0;
    if (rl_disk_read(walk->disk, walk->fd, next.pos, header, sizeof header, &got) != RL_OK ||
        got < sizeof header ||
        rl_batch_read_header(header, walk->end_pos - next.pos, &batch) != RL_OK)
        return false;
    probe.end_pos = next.pos + (uint32_t)batch.size_bytes;
    struct run silent = { .r = run->r, .producers_from = INT64_MAX };
    if (rl_segment_walk(&probe, on_trusted_batch, &silent) != RL_OK)
        return false;
    *walk = next;
    return true;
}

/* Does segment i + 1 begin with a sound batch? */
static bool next_segment_is_sound(struct run *run, uint32_t i)
{
    struct rl_recovery *r = run->r;
    struct rl_segment_walk probe = { .disk = r->disk };
    uint8_t header[RL_BATCH_HEADER_BYTES];
    struct rl_batch batch;
    uint64_t bytes = 0;
    size_t got;
    bool sound = false;

    if (i + 1 >= r->segment_count || open_segment(run, i + 1, 0, &probe.fd) != RL_OK)
        return false;
    probe.next_offset = r->segments[i + 1].base_offset;
    if (rl_disk_size(r->disk, probe.fd, &bytes) == RL_OK &&
        rl_disk_read(r->disk, probe.fd, 0, header, sizeof header, &got) == RL_OK &&
        got == sizeof header && rl_batch_read_header(header, (size_t)bytes, &batch) == RL_OK) {
        struct run silent = { .r = r, .producers_from = INT64_MAX };
        probe.end_pos = (uint32_t)batch.size_bytes;
        sound = rl_segment_walk(&probe, on_trusted_batch, &silent) == RL_OK;
    }
    rl_disk_close(r->disk, probe.fd);
    return sound;
}

/* Walk segment i.  ret_end: whether the log ends in it, and walk tells where. */
static rl_status walk_segment(struct run *run, uint32_t i, struct rl_segment_walk *walk,
                              bool *ret_end)
{
    struct rl_recovery *r = run->r;
    bool last = i + 1 == r->segment_count;
    uint64_t bytes;

    rl_status status = rl_disk_size(r->disk, walk->fd, &bytes);
    if (status != RL_OK)
        return status;
    walk->disk = r->disk;
    walk->end_pos = (uint32_t)RL_MIN(bytes, (uint64_t)INT32_MAX);
    begin_index(run, i, walk);
    walk->crc_from_pos = i == run->trusted_segment ? run->trusted.pos : 0;
    if (is_proven(run) && run->has_checkpoint && walk->end_pos > HASHED_TAIL_BYTES)
        walk->crc_from_pos = RL_MAX(walk->crc_from_pos, walk->end_pos - HASHED_TAIL_BYTES);
    for (;;) {
        status = rl_segment_walk(walk, on_batch, run);
        if (status == RL_EIO)
            return status;
        if (status != RL_OK && i == run->trusted_segment && walk->pos < run->trusted.pos) {
            RL_ERROR("log", "%s/%020" PRId64 ".log: damaged batch at position %u was on stable "
                     "storage; it is kept and not served", r->directory,
                     r->segments[i].base_offset, walk->pos);
            walk->pos = run->trusted.pos;
            walk->next_offset = run->trusted.offset;
            continue;
        }
        if (status != RL_OK && status != RL_ECANCELLED && may_be_damage(run) &&
            skip_damage(run, walk)) {
            RL_ERROR("log", "%s/%020" PRId64 ".log: damaged batch before position %u is kept and "
                     "not served", r->directory, r->segments[i].base_offset, walk->pos);
            continue;
        }
        break;
    }
    *ret_end = last || status == RL_ECANCELLED ||
               walk->next_offset != r->segments[i + 1].base_offset;
    if (*ret_end && !last && status != RL_ECANCELLED && may_be_damage(run) &&
        next_segment_is_sound(run, i)) {
        RL_ERROR("log", "%s/%020" PRId64 ".log: damaged from position %u on, kept and not served",
                 r->directory, r->segments[i].base_offset, walk->pos);
        walk->pos = walk->end_pos;
        *ret_end = false;
    }
    return RL_OK;
}

/* ---- the end ---- */

/* The log ends in segment i at walk->pos: cut what lies behind. */
static rl_status cut(struct run *run, uint32_t i, const struct rl_segment_walk *walk)
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
    return status == RL_OK ? rl_disk_sync(r->disk, walk->fd) : status;
}

/* The bytes behind the recovery point were the subject of a failed sync: the kernel may believe
 * that they are on the device.  Write them again, so that the next sync is true. */
static rl_status rewrite(struct run *run, uint32_t i, const struct rl_segment_walk *walk)
{
    enum { STEP_BYTES = 256 << 10 };
    uint32_t pos = i == run->trusted_segment ? run->trusted.pos : 0;
    uint8_t *bytes = rl_alloc(STEP_BYTES);
    rl_status status = RL_OK;

    while (status == RL_OK && pos < walk->pos) {
        size_t step = RL_MIN((size_t)(walk->pos - pos), (size_t)STEP_BYTES), done;
        struct iovec iov = { bytes, step };
        status = rl_disk_read(run->r->disk, walk->fd, pos, bytes, step, &done);
        if (status == RL_OK && done < step)
            status = RL_EIO;
        if (status == RL_OK)
            status = rl_disk_write(run->r->disk, walk->fd, pos, &iov, 1, &done);
        pos += (uint32_t)step;
    }
    rl_free(bytes);
    return status == RL_OK ? rl_disk_sync(run->r->disk, walk->fd) : status;
}

/* Segment i is walked and another one follows: its index is complete. */
static void seal(struct run *run, uint32_t i)
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

static rl_status walk_all(struct run *run)
{
    struct rl_recovery *r = run->r;
    bool end = false;

    for (uint32_t i = run->trusted_segment; !end; i++) {
        struct rl_segment_walk walk = { 0 };
        rl_status status = open_segment(run, i, RL_OPEN_WRITE, &walk.fd);
        if (status != RL_OK)
            return status;
        status = walk_segment(run, i, &walk, &end);
        if (status == RL_OK && end)
            status = cut(run, i, &walk);
        if (status == RL_OK && run->files.sync_failed)
            status = rewrite(run, i, &walk);
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

/* Nothing happened since the checkpoint: all is as it says. */
static bool is_clean(struct run *run)
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

static void set_flushed(struct run *run)
{
    struct rl_recovery *r = run->r;
    bool all = run->files.sync_failed;          /* rewritten and synced just now */
    struct rl_log_point point = { r->segments[0].base_offset, 0 };

    if (run->has_checkpoint && run->checkpoint.recovery.offset <= r->end_offset)
        point = run->checkpoint.recovery;
    if (all)
        point = (struct rl_log_point){ r->end_offset, r->segments[r->segment_count - 1].size_bytes };
    r->flushed_offset = RL_MAX(point.offset, r->segments[0].base_offset);
    for (uint32_t i = 0; i < r->segment_count; i++) {
        struct rl_segment *seg = &r->segments[i];
        int64_t end_offset =
            i + 1 < r->segment_count ? r->segments[i + 1].base_offset : r->end_offset;
        bool ends_before = end_offset <= point.offset;
        seg->written_bytes = seg->size_bytes;
        seg->synced_bytes = 0;
        if (ends_before)
            seg->synced_bytes = seg->size_bytes;
        else if (seg->base_offset <= point.offset)
            seg->synced_bytes = RL_MIN(point.pos, seg->size_bytes);
        if (i + 1 < r->segment_count)
            seg->flags |= RL_SEGMENT_INDEX_SAVED;
    }
}

static void keep_snapshots(struct run *run)
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

static void load_checkpoint(struct run *run)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    snprintf(path, sizeof path, "%s/%s", run->r->directory, RL_CHECKPOINT_FILE);
    rl_status status = rl_side_file_load(run->r->disk, path, CHECKPOINT_BYTES_MAX, &file);
    if (status == RL_OK)
        status = rl_checkpoint_decode(rl_text_slice(&file), &run->checkpoint);
    run->has_checkpoint = status == RL_OK;
    if (!run->has_checkpoint)
        run->r->changed = true;
    if (status != RL_OK && status != RL_ENOTFOUND)
        RL_WARN("log", "%s: %s; the whole log is checked", path, rl_status_text(status));
    rl_text_done(&file);
}

static rl_status finish(struct run *run)
{
    struct rl_recovery *r = run->r;
    char path[RL_PATH_BYTES];

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
    set_flushed(run);
    keep_snapshots(run);
    if (!run->files.sync_failed)
        return RL_OK;
    r->changed = true;
    rl_sync_failed_path(r->directory, path);
    rl_status status = rl_disk_unlink(r->disk, path);
    return status == RL_OK ? rl_disk_sync_directory(r->disk, r->directory) : status;
}

static rl_status recover(struct run *run)
{
    struct rl_recovery *r = run->r;

    rl_status status = rl_partition_files_list(r->disk, r->directory, &run->files);
    if (status == RL_OK)
        status = check_identity(r);
    if (status != RL_OK)
        return status;
    load_checkpoint(run);
    status = find_segments(run);
    if (status == RL_OK)
        status = choose_trusted(run);
    if (status != RL_OK)
        return status;
    lower_trust_to_cut(run);
    choose_snapshot(run);
    walk_trusted(run);
    if (run->has_checkpoint) {
        r->epochs = run->checkpoint.epochs;
        run->checkpoint.epochs = (struct rl_epoch_cache){ 0 };
    }
    if (is_clean(run)) {
        r->end_offset = run->trusted.offset;
    } else {
        r->changed = true;
        rl_epoch_cache_truncate_end(&r->epochs, run->trusted.offset + 1);
        status = walk_all(run);
    }
    return status == RL_OK ? finish(run) : status;
}

rl_status rl_recovery_run(struct rl_recovery *recovery)
{
    struct run run = { .r = recovery, .doubted.epoch = -1 };
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
    rl_producer_state_free(r->producers);
    r->producers = NULL;
}

/* log/recovery_walk.c — batch by batch through what cannot simply be believed.
 *
 * One pass rebuilds index entries, largest timestamps, leader epochs and producer windows, and
 * finds the place where a segment stops making sense.  Whether that is a torn end or damage with
 * a future behind it is decided by the rules of recovery.h.
 * Failures: RL_EIO only; everything else is a finding. */
#include "log/recovery_walk.h"
#include "core/logger.h"
#include "log/log_bytes.h"
#include <inttypes.h>

/* On a proven mount only this much is hashed: the kernel makes a file longer only after it has copied
 * what stands there, so that a killed process leaves a short last write, which the lengths tell. */
enum { HASHED_TAIL_BYTES = 256 << 10 };

rl_status rl_recovery_open_segment(struct rl_recovering *run, uint32_t i, uint32_t flags, int *ret_fd)
{
    char path[RL_PATH_BYTES];

    rl_segment_path(run->r->directory, run->r->segments[i].base_offset, ".log", path);
    return rl_disk_open(run->r->disk, path, flags, ret_fd);
}

bool rl_recovery_is_proven(const struct rl_recovering *run)
{
    return run->r->same_mount && !run->files.sync_failed;
}

static rl_status note_producer(struct rl_recovering *run, const struct rl_batch *batch)
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
static void note_epoch(struct rl_recovering *run, const struct rl_batch *batch)
{
    struct rl_epoch_cache *epochs = &run->r->epochs;
    int32_t epoch = batch->partition_leader_epoch;
    struct rl_epoch_entry *newest = epochs->count > 0 ? &epochs->entries[epochs->count - 1] : NULL;

    if (newest != NULL && epoch < newest->epoch && run->epoch_batches == 1) {
        if (epochs->count == 1) {
            bool is_false = run->r->leader_epoch_known && newest->epoch > run->r->leader_epoch;
            run->doubted = *newest;
            *newest = (struct rl_epoch_entry){ epoch, is_false ? newest->start_offset : batch->base_offset };
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
    struct rl_recovering *run = arg;
    struct rl_segment *seg = run->seg;
    int64_t last_offset = rl_batch_last_offset(batch);

    rl_status status = note_producer(run, batch);
    if (status != RL_OK || pos < run->index_from_pos)
        return status;
    if (pos == 0)
        seg->first_append_ms = batch->max_timestamp_ms >= 0
            ? RL_MIN(batch->max_timestamp_ms, run->r->wall_ms) : run->r->wall_ms;
    rl_append_times_learn(&run->r->append_times, batch->base_offset, batch->max_timestamp_ms,
                          run->r->wall_ms);
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

rl_status rl_recovery_walk_trusted(struct rl_recovering *run)
{
    struct rl_recovery *r = run->r;

    for (uint32_t i = 0; i <= run->trusted_segment; i++) {
        bool last = i == run->trusted_segment;
        int64_t end_offset = last ? run->trusted.offset : r->segments[i + 1].base_offset;
        struct rl_segment_walk walk = { .disk = r->disk, .next_offset = r->segments[i].base_offset,
                                        .crc_from_pos = UINT32_MAX };
        if (end_offset <= run->producers_from || end_offset == r->segments[i].base_offset)
            continue;
        rl_status status = rl_recovery_open_segment(run, i, 0, &walk.fd);
        if (status == RL_OK) {
            walk.end_pos = last ? run->trusted.pos : r->segments[i].size_bytes;
            status = rl_segment_walk(&walk, on_trusted_batch, run);
            rl_disk_close(r->disk, walk.fd);
        }
        if (status == RL_EIO || status == RL_EMFILE)
            return status;              /* who forgets a producer takes its retries for new */
        if (status != RL_OK)
            RL_WARN("log", "%s/%020" PRId64 ".log: %s at position %u; producers of what follows "
                    "may be forgotten", r->directory, r->segments[i].base_offset,
                    rl_status_text(status), walk.pos);
    }
    return RL_OK;
}

/* The last timestamp in a .timeindex whose entries are kept; false: the file is too short. */
static bool last_time_of(struct rl_recovering *run, const struct rl_segment *seg, int64_t *ret_ms)
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
static void begin_index(struct rl_recovering *run, uint32_t i, struct rl_segment_walk *walk)
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
static bool may_be_damage(const struct rl_recovering *run)
{
    return !run->has_checkpoint || rl_recovery_is_proven(run) ||
           run->r->end_offset < run->r->flushed.offset;
}

/* Is there a sound batch behind a damaged one?  Then it is damage, not the end.  On true the walk
 * goes on behind it. */
static bool skip_damage(struct rl_recovering *run, struct rl_segment_walk *walk)
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
    struct rl_recovering silent = { .r = run->r, .producers_from = INT64_MAX };
    if (rl_segment_walk(&probe, on_trusted_batch, &silent) != RL_OK)
        return false;
    *walk = next;
    return true;
}

/* Does segment i + 1 begin with a sound batch? */
static bool next_segment_is_sound(struct rl_recovering *run, uint32_t i)
{
    struct rl_recovery *r = run->r;
    struct rl_segment_walk probe = { .disk = r->disk };
    uint8_t header[RL_BATCH_HEADER_BYTES];
    struct rl_batch batch;
    uint64_t bytes = 0;
    size_t got;
    bool sound = false;

    if (i + 1 >= r->segment_count || rl_recovery_open_segment(run, i + 1, 0, &probe.fd) != RL_OK)
        return false;
    probe.next_offset = r->segments[i + 1].base_offset;
    if (rl_disk_size(r->disk, probe.fd, &bytes) == RL_OK &&
        rl_disk_read(r->disk, probe.fd, 0, header, sizeof header, &got) == RL_OK &&
        got == sizeof header && rl_batch_read_header(header, (size_t)bytes, &batch) == RL_OK) {
        struct rl_recovering silent = { .r = r, .producers_from = INT64_MAX };
        probe.end_pos = (uint32_t)batch.size_bytes;
        sound = rl_segment_walk(&probe, on_trusted_batch, &silent) == RL_OK;
    }
    rl_disk_close(r->disk, probe.fd);
    return sound;
}

rl_status rl_recovery_walk_segment(struct rl_recovering *run, uint32_t i,
                                   struct rl_segment_walk *walk, bool *ret_end)
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
    if (rl_recovery_is_proven(run) && run->has_checkpoint && walk->end_pos > HASHED_TAIL_BYTES)
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
            run->kept_damage = true;
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
        run->kept_damage = true;
        *ret_end = false;
    }
    return RL_OK;
}

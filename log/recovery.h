/* log/recovery.h — from files to the state of a log; private to log/, runs on a helper.
 *
 * The rules:
 *   - Before the recovery point (checkpoint.h) everything was on stable storage: nothing there is
 *     cut, whatever it looks like; reads of damage answer RL_ECORRUPT.
 *   - Behind it batches are walked, with CRC, up to the first that is torn, damaged or not the
 *     next one; from there on the log is cut: that can only be what was never acknowledged as
 *     flushed.  If the very same mount is still there, nothing written was lost: the walk begins
 *     at the save point (if that is the later one) and hashes only the last 256 KiB, for a torn
 *     last write.
 *   - Without a valid checkpoint nothing says what was flushed, and on the very same mount nothing
 *     but the end can be torn: damage that is followed by sound batches is kept, only a tail with
 *     nothing sound behind it is cut.
 *     A start on the same mount waits for no sync: it would wait for all that was just written.
 *   - After a failed sync (the mark in the directory) bytes behind the recovery point may be in
 *     memory only, and the page cache does not tell: segments from there on are copied from what
 *     the device has into new files (rebuild.c), synced, and only then walked. */
#ifndef RL_LOG_RECOVERY_H
#define RL_LOG_RECOVERY_H

#include "core/slice.h"
#include "log/append_times.h"
#include "log/epoch_cache.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"

struct rl_recovery {
    /* in */
    struct rl_disk *disk;
    const char *directory;
    struct rl_uuid topic_id;
    bool same_mount;
    bool sync_failed;                   /* as if the mark were there */
    bool leader_epoch_known;
    int32_t leader_epoch;               /* see struct rl_log_start */
    struct rl_log_flushed flushed;      /* what was on stable storage, if that is known */
    int64_t cut_offset;                 /* batches from here on are cut; INT64_MAX: none */
    int32_t index_interval_bytes;
    int64_t wall_ms;
    int64_t producer_id_expiration_ms;
    uint64_t seed;
    /* out, the caller's when run returned RL_OK */
    int64_t start_offset, end_offset, flushed_offset;
    struct rl_segment *segments;
    uint32_t segment_count;
    struct rl_epoch_cache epochs;
    struct rl_producer_state *producers;        /* NULL: none */
    int64_t snapshots[3];
    uint8_t snapshot_count;
    struct rl_append_times append_times;
    bool changed;                       /* the checkpoint on disk says something else */
    bool rebuilt;                       /* from the device: what was only written may be gone */
    bool no_space;                      /* for the checkpoint that says so: nothing may be appended */
};

/* RL_OK; RL_ENOTFOUND: no such directory; RL_ECORRUPT: another topic's, or flushed data is
 * missing (a log line says what); RL_EIO, RL_EMFILE.  Nothing is held on failure. */
rl_status rl_recovery_run(struct rl_recovery *recovery);
void rl_recovery_done(struct rl_recovery *recovery);

/* Leave the mark of a failed sync. */
rl_status rl_recovery_mark_sync_failed(struct rl_disk *disk, const char *directory);

/* partition.metadata, Kafka's text.  RL_ENOTFOUND; RL_ECORRUPT: not readable. */
rl_status rl_partition_metadata_load(struct rl_disk *disk, const char *directory,
                                     struct rl_uuid *ret_topic_id);
void rl_partition_metadata_path(const char *directory, char *path);
/* Overwrites it in place and does not sync. */
rl_status rl_partition_metadata_write(struct rl_disk *disk, const char *directory,
                                      struct rl_uuid topic_id);

#endif

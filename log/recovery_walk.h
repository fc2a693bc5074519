/* log/recovery_walk.h — one recovery under way, and its walk over batches; private to recovery. */
#ifndef RL_LOG_RECOVERY_WALK_H
#define RL_LOG_RECOVERY_WALK_H

#include "log/checkpoint.h"
#include "log/recovery.h"
#include "log/recovery_files.h"

struct rl_recovering {
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
    bool kept_damage;                   /* behind the trusted point; see recovery.h */
    struct rl_producer_state *producers;
    uint32_t epoch_batches;             /* walked since the newest epoch began */
    bool synced;                        /* everything was synced just now */
    struct rl_log_point flushed;        /* out: what is on stable storage */
    struct rl_epoch_entry doubted;      /* first epoch of the log, replaced by a lower one */
};

rl_status rl_recovery_open_segment(struct rl_recovering *run, uint32_t i, uint32_t flags,
                                   int *ret_fd);
/* Nothing that was written can have been lost: only the very last write may be torn. */
bool rl_recovery_is_proven(const struct rl_recovering *run);
/* Note producers that wrote between the snapshot and the trusted point.  Damage there costs
 * windows, not records.  RL_OK; RL_EIO, RL_EMFILE: the files could not be read now. */
rl_status rl_recovery_walk_trusted(struct rl_recovering *run);
/* Walk segment i, whose file is open as walk->fd, and rebuild what is known of it.  ret_end:
 * the log ends in it, where walk stands then.  RL_OK; RL_EIO. */
rl_status rl_recovery_walk_segment(struct rl_recovering *run, uint32_t i,
                                   struct rl_segment_walk *walk, bool *ret_end);


/* rebuild.c: after a failed sync, replace every segment from the trusted point on by a copy of what
 * the device has of it.  RL_ECORRUPT: that is less than was on stable storage (told, and the old
 * file is kept); RL_EIO; RL_ENOSPACE.  What was replaced is sound by itself: it may be run again. */
rl_status rl_recovery_rebuild(struct rl_recovering *run);

#endif

/* coordinate/coordinator_internal.h — what the files of a coordinator share. */
#ifndef RL_COORDINATE_COORDINATOR_INTERNAL_H
#define RL_COORDINATE_COORDINATOR_INTERNAL_H

#include "coordinate/coordinator.h"
#include "coordinate/offsets_log.h"
#include "log/log.h"
#include "replicate/partition.h"

enum rl_slot_state { RL_SLOT_UNREAD, RL_SLOT_LOADING, RL_SLOT_READY };

enum rl_rewrite_phase {
    RL_REWRITE_NONE,
    RL_REWRITE_WAITING,                 /* for the appends before `offset` */
    RL_REWRITE_WRITING,
    RL_REWRITE_PAUSED,                  /* what is left rebalances */
    RL_REWRITE_TRIMMING
};

/* offsets_rewrite.c */
struct rl_offsets_rewrite {
    enum rl_rewrite_phase phase;
    bool failed;                        /* a write failed since it began */
    uint32_t round;
    int64_t offset;                     /* what is before it goes */
    uint64_t bytes;                     /* written again */
    uint64_t live_bytes;                /* by the last one that ended well; 0: to be counted */
    uint32_t looks;                     /* at what is left to write, since it began */
    int64_t look_ns;                    /* PAUSED: not again before */
    struct rl_group_write write;
    struct rl_log_trim trim;
};

/* One partition of __consumer_offsets. */
struct rl_offsets_slot {
    struct rl_coordinator *coordinator;
    int32_t partition;
    struct rl_uuid topic_id;
    enum rl_slot_state state;
    bool stale;                         /* to be read again */
    int32_t leader_epoch;               /* when it was read */
    struct rl_groups groups;
    struct rl_offsets_log log;
    struct rl_log_read read;            /* LOADING */
    struct rl_msg next_piece;
    struct rl_timer flush_timer;        /* what was read is not on stable storage yet */
    bool read_busy;                     /* a piece, or that, is on its way */
    int64_t next_offset;
    int64_t load_started_ns;
    uint64_t records, damaged;
    uint64_t log_bytes;                 /* read and appended since the last rewrite began */
    struct rl_offsets_rewrite rewrite;
    struct rl_list link;
};

/* A log this small is not written again. */
#define RL_REWRITE_BYTES_MIN ((uint64_t)1 << 20)

struct rl_coordinator {
    struct rl_shard *shard;
    struct rl_coordinator_options options;
    uint64_t rewrite_bytes_min;         /* RL_REWRITE_BYTES_MIN, but in tests */
    bool serving;
    struct rl_list slots;
    struct rl_table by_partition;
    struct rl_list answers;             /* of this turn */
    struct rl_list searches;            /* of patterns */
    struct rl_list dirty;               /* struct rl_offsets_log */
    uint32_t stale_count;
    struct rl_timer check_timer;
    struct rl_offsets_slot *check_slot; /* expiry goes on here */
    uint32_t check_left;                /* groups of that slot not yet looked at */
    struct rl_list lag_walks;           /* group_lag.c */
    /* forget_topics.c */
    struct rl_list forgotten;           /* topics that some groups may not have forgotten yet */
    uint32_t forget_round;
    bool forgetting;                    /* forget_msg is on its way */
    struct rl_msg forget_msg;
};

static inline struct rl_coordinator *rl_coordinator_of(const struct rl_shard *shard)
{
    return shard->context[RL_CONTEXT_COORDINATE];
}

/* coordinator.c */
void rl_slot_mark_stale(struct rl_offsets_slot *slot);
/* Its partition, if it leads. */
struct rl_partition *rl_slot_partition(const struct rl_offsets_slot *slot);

/* offsets_load.c: read the partition from its start; ends with READY, or with UNREAD and stale. */
void rl_slot_load(struct rl_offsets_slot *slot, struct rl_partition *partition);

/* offsets_rewrite.c: an append that ended at end_offset is done; a write failed. */
void rl_rewrite_after_append(struct rl_offsets_slot *slot, int64_t end_offset);
void rl_rewrite_write_failed(struct rl_offsets_slot *slot);

/* group_lag.c: end walks that wait for a turn of this shard. */
void rl_lag_walks_stop(struct rl_coordinator *coordinator);

/* offset_expiry.c */
void rl_expiry_start(struct rl_coordinator *coordinator);
/* Tombstones that were added, and are applied already, are a write of their own. */
void rl_groups_end_tombstones(struct rl_groups *groups);

/* forget_topics.c: rl_groups.settle. */
void rl_forget_settle(struct rl_group *group);
/* A partition was read: what the deletion of a topic could not remove then goes now. */
void rl_forget_unknown_topics(struct rl_offsets_slot *slot);
void rl_forget_stop(struct rl_coordinator *coordinator);

#endif

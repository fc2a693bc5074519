/* replicate/partition.h — a partition's replica as a state machine: leader epoch, offsets,
 * waiters.  Also with one replica everything goes through it, so acks=all, high watermark and
 * leader epoch have one code path from the first day.
 *
 *   log start <= last stable <= high watermark <= log end, checked after every change.
 *
 * Produce: rl_partition_append() checks leadership and appends; the call completes when its
 * acknowledgement holds: acks=0/1 written to the file, acks=all (or flush.messages=1) on stable
 * storage on every in-sync replica.  A batch is visible to consumers when its own condition and
 * everything before it hold: the high watermark is a prefix of entries, each written or flushed
 * as its acks asked.
 * Fetch: rl_partition_fetch_begin() answers what is readable now and says how much; a fetch that
 * wants more waits (struct rl_fetch_waiter) until the high watermark has moved far enough.
 *
 * Everything runs on the partition's home shard. */
#ifndef RL_REPLICATE_PARTITION_H
#define RL_REPLICATE_PARTITION_H

#include "core/list.h"
#include "core/status.h"
#include "io/shard.h"
#include "log/log.h"

#define RL_PARTITION_MAGIC 0x74726170u  /* "part" */

enum rl_replica_state { RL_REPLICA_OPENING, RL_REPLICA_LEADER, RL_REPLICA_OFFLINE, RL_REPLICA_STATES };

struct rl_partition {
    uint32_t magic;
    struct rl_shard *home;
    struct rl_uuid topic_id;
    char *topic;                        /* owned */
    int32_t index;                      /* partition number */
    enum rl_replica_state state;
    bool removing;                      /* its topic is deleted; freed when the log is closed */
    int32_t leader_epoch;
    int64_t high_watermark;
    struct rl_log *log;                 /* LEADER: open; otherwise NULL or not to be used */
    struct rl_log_lost lost;            /* while not LEADER: what producers have to go on with */
    struct rl_log_config config;
    int64_t unflushed_records;          /* since the last flush: flush.messages */
    struct rl_list pending;             /* appends not yet acknowledged, in offset order */
    struct rl_list waiters;             /* parked fetches */
    void (*log_failed)(struct rl_partition *partition);         /* it is offline now */
    void *manager;                      /* replica_manager.c's, from here */
    void *replica;
    struct rl_list link;
};

/* An append on its way; memory is the caller's until done, which runs on the home shard, never
 * inside the call that queued it. */
struct rl_partition_append {
    struct rl_batch *batch;             /* checked (rl_batch_check, rules); bytes lent until done */
    struct rl_buffer *buffer;           /* keeps bytes, on this shard; NULL: bytes belong to another shard */
    int16_t acks;                       /* -1, 0, 1 */
    rl_status status;
    struct rl_append_result result;
    void (*done)(struct rl_partition_append *append);
    void *arg;
    struct rl_list link;                /* replicate/ only, from here */
    int64_t end_offset;                 /* acknowledged when written or flushed up to here */
    bool needs_flush;
    bool owned;                         /* a copy of ours: its caller gave up waiting */
};
/* RL_OK: queued, done runs when the acknowledgement holds (or with RL_EIO when it never will).
 * RL_EDUPLICATE: an earlier batch, acknowledged long ago; result is that one's: a success.
 * RL_EBUSY (still opening), RL_ENOTLEADER, RL_EIO (offline) and the statuses of rl_log_append:
 * refused, nothing has changed.  Only with RL_OK does done run. */
rl_status rl_partition_append(struct rl_partition *partition, struct rl_partition_append *append);
/* Give up waiting (timeout.ms passed): the data stays; done will not run. */
void rl_partition_append_forget(struct rl_partition *partition, struct rl_partition_append *append);

/* Is this replica allowed to answer a client that believes in current_leader_epoch (-1: no
 * belief)?  RL_OK, RL_EFENCED, RL_EUNKNOWNEPOCH, RL_EIO (offline), RL_EBUSY (still opening). */
rl_status rl_partition_check_epoch(const struct rl_partition *partition, int32_t current_leader_epoch);
/* The same as Kafka does it for everything but Fetch: less than -1 is older than any epoch.
 * partition NULL: RL_ENOTFOUND. */
rl_status rl_partition_check_asked_epoch(const struct rl_partition *partition, int32_t current_leader_epoch);

struct rl_fetch_waiter {
    struct rl_list link;                /* zeroed while not waiting */
    int64_t wanted_offset;              /* fires when the high watermark passes this */
    void (*ready)(struct rl_fetch_waiter *waiter);      /* unlinked before; end of turn */
    void *arg;
};
/* Park.  The waiter fires once: high watermark > wanted_offset, log start moved, leadership or log
 * lost. */
void rl_partition_wait(struct rl_partition *partition, struct rl_fetch_waiter *waiter);
void rl_partition_wait_stop(struct rl_fetch_waiter *waiter);

/* Offsets a client may see. */
int64_t rl_partition_log_start_offset(const struct rl_partition *partition);
int64_t rl_partition_last_stable_offset(const struct rl_partition *partition);

/* For replica_manager.c. */
struct rl_partition *rl_partition_create(struct rl_shard *home, struct rl_uuid topic_id, const char *topic,
                                         int32_t index, const struct rl_log_config *config);
/* The log is open: become leader in leader_epoch. */
void rl_partition_lead(struct rl_partition *partition, struct rl_log *log, int32_t leader_epoch);
/* A higher epoch than the one it leads in: from now on clients that know the old one are fenced. */
void rl_partition_raise_epoch(struct rl_partition *partition, int32_t leader_epoch);
/* No log (any more): everybody who waits is answered `status`. */
void rl_partition_go_offline(struct rl_partition *partition, rl_status status);
void rl_partition_free(struct rl_partition *partition);
extern const struct rl_log_events rl_partition_log_events;      /* arg: the partition */

#endif

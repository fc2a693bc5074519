/* coordinate/group.h — one consumer group of the classic protocol: members, generations, states.
 *
 *                 first member                       all have joined, or time is over
 *     EMPTY ------------------> PREPARING_REBALANCE ----------------> COMPLETING_REBALANCE
 *       ^                         ^            |                         |
 *       '-- nobody has joined ----|------------'                         | the leader's assignment
 *                                 |                                      | is on stable storage
 *                                 '------------- STABLE <----------------'
 *           somebody joins, leaves, falls silent, or subscribes to something else
 *
 * JoinGroup waits in PREPARING, SyncGroup in COMPLETING; what members subscribe to and what they are
 * assigned is opaque.  A group, its members and its timers live on one shard, the home of its
 * partition of __consumer_offsets; everything here runs there.  Nothing here knows a request: a call
 * is a struct of the caller's, lent until its answer, which is given at the end of the turn.
 *
 * Failures are answered (group_error.h).  What is answered or acknowledged and must survive a crash
 * goes to the store first; a store that fails makes the group rebalance.
 *
 * Source: the behaviour of Kafka 4.3's group coordinator; KIP-62, 134, 345, 394, 559, 814. */
#ifndef RL_COORDINATE_GROUP_H
#define RL_COORDINATE_GROUP_H

#include "coordinate/committed_offsets.h"
#include "coordinate/group_error.h"
#include "coordinate/protocol_counts.h"
#include "core/list.h"
#include "core/status.h"
#include "core/table.h"
#include "io/shard.h"

/* Broker configuration. */
struct rl_group_limits {
    int32_t session_timeout_min_ms, session_timeout_max_ms;     /* group.min., group.max. */
    int32_t size_max;                   /* group.max.size */
    int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms */
    /* of the consumer protocol: group.consumer. */
    int32_t consumer_session_timeout_ms, consumer_heartbeat_interval_ms;
    int32_t consumer_size_max;
    bool can_upgrade, can_downgrade;    /* groups with members, migration.policy */
    const char *const *assignors;       /* by preference, a NULL behind them */
};

/* A write to the log that keeps groups; memory is the caller's until done, which never runs inside
 * the call. */
struct rl_group_write {
    void (*done)(struct rl_group_write *write, rl_status status);
    bool applied;                       /* memory is ahead already: on failure all is read again */
    struct rl_list link;                /* the store's */
};

/* Of records: a write up to this is stored whole, or not at all. */
#define RL_GROUP_WRITE_BYTES_MAX ((size_t)64 << 20)

/* offsets_log.c, or a test. */
struct rl_group_store {
    /* A record of the next write; value.data NULL: a tombstone.  Bytes are copied. */
    void (*add)(struct rl_group_store *store, struct rl_slice key, struct rl_slice value);
    /* All records added since the last end are one write.  done: RL_OK once they are on stable
     * storage; statuses of rl_partition_append. */
    void (*end)(struct rl_group_store *store, struct rl_group_write *write);
};

/* A call that is answered at the end of the turn. */
struct rl_group_answer {
    struct rl_list link;                /* zeroed before use */
    void (*done)(struct rl_group_answer *answer);
};

struct rl_image;
struct rl_consumer_group;
struct rl_group;

/* All groups of one partition of __consumer_offsets. */
struct rl_groups {
    struct rl_shard *shard;
    const struct rl_group_limits *limits;
    struct rl_group_store *store;
    struct rl_list *answers;            /* calls answered, for the end of this turn */
    const struct rl_image *(*image)(const struct rl_groups *groups);    /* NULL: the shard's */
    struct rl_table by_id;              /* struct rl_group */
    struct rl_list *searches;           /* consumer_regex.c: of all groups of the shard, the first on its way */
    struct rl_list list;                /* the same, for walks in pieces: who was seen goes to the end */
    /* A group of an earlier round is settled before anybody has it from rl_groups_find; NULL: never. */
    void (*settle)(struct rl_group *group);
    uint32_t forget_round;
};

enum rl_group_state { RL_GROUP_EMPTY, RL_GROUP_PREPARING, RL_GROUP_COMPLETING, RL_GROUP_STABLE };

struct rl_group_protocol {
    struct rl_slice name, metadata;
};

struct rl_group_join;
struct rl_group_sync;

struct rl_group_member {
    struct rl_group *group;
    struct rl_slice id, client_id, client_host;         /* owned, as all slices here */
    struct rl_slice instance_id;        /* null: a dynamic member */
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct rl_group_protocol *protocols;                /* in the order of its preference */
    uint32_t protocol_count;
    struct rl_slice assignment;         /* never null */
    size_t bytes;                       /* its part of the group's */
    bool is_new;                        /* has not got its first answer to JoinGroup */
    bool awaiting_join, awaiting_sync;  /* also when its connection is gone meanwhile */
    bool pending_sync;                  /* of this generation, no SyncGroup yet */
    struct rl_group_join *join;         /* parked calls, or NULL */
    struct rl_group_sync *sync;
    struct rl_timer session_timer;
    struct rl_list link;                /* in the order in which they joined */
};

struct rl_group {
    struct rl_groups *groups;           /* NULL: dropped, waits for its writes */
    struct rl_slice id;                 /* owned */
    enum rl_group_state state, previous_state;
    int64_t state_ms;                   /* wall clock, when it became Empty or Stable; -1: not known */
    int32_t generation;
    struct rl_slice protocol_type;      /* null: only offsets were committed here */
    struct rl_slice protocol;           /* null: none chosen */
    struct rl_group_member *leader;     /* NULL: none */
    struct rl_list members;
    struct rl_table by_member_id, by_instance_id;
    struct rl_table pending;            /* ids given out, not yet joined: struct pending_member */
    struct rl_protocol_counts protocol_counts;
    uint32_t awaiting_join_count, pending_sync_count;
    size_t member_bytes;                /* ids and metadata of all members */
    bool new_member_added;              /* the first rebalance may wait longer */
    int64_t initial_remaining_ms;
    struct rl_timer join_timer, sync_timer;
    bool rebalances_when_loaded;        /* its record names no leader: it was to rebalance */
    bool subscriptions_known;           /* subscribed says what members read: */
    struct rl_table subscribed;         /* topic names, owned (struct rl_slice *) */
    struct rl_consumer_group *consumer; /* consumer_group.h: it is of that protocol; then EMPTY, without members */
    struct rl_committed_offsets offsets;
    uint32_t writes_in_flight;          /* of the consumer protocol */
    struct rl_list commits;             /* struct rl_offset_commit, on their way */
    uint32_t first_commits_in_flight;   /* of partitions that have no offset yet */
    uint32_t forget_round;              /* forget_topics.c: what it has forgotten */
    uint32_t rewrite_round;             /* offsets_rewrite.c: the last one that has written it */
    uint32_t busy;                      /* writes on their way that name it */
    struct rl_list link;
};

/* ---- the set ---- */

void rl_groups_init(struct rl_groups *groups, struct rl_shard *shard, const struct rl_group_limits *limits,
                    struct rl_group_store *store, struct rl_list *answers, struct rl_list *searches);
/* Forget all groups; parked calls are answered `error`. */
void rl_groups_drop_all(struct rl_groups *groups, enum rl_group_error error);
struct rl_group *rl_groups_find(const struct rl_groups *groups, struct rl_slice id);
struct rl_group *rl_groups_find_or_create(struct rl_groups *groups, struct rl_slice id);
/* Give answers queued on this list. */
void rl_group_answers_run(struct rl_list *answers);

/* Forget one; parked calls are answered `error`.  Its memory goes when its writes have come back. */
void rl_group_drop(struct rl_group *group, enum rl_group_error error);
/* Drop it if nothing was ever done with it. */
void rl_group_drop_if_unused(struct rl_group *group);
/* A write that names it begins, and has come back. */
void rl_group_hold(struct rl_group *group);
void rl_group_release(struct rl_group *group);

/* Nobody is in it. */
bool rl_group_is_empty(const struct rl_group *group);
/* A loaded group is as this record says, its offsets apart.  value NULL: a tombstone.  Statuses of rl_group_record_next_member. */
rl_status rl_group_restore(struct rl_group *group, struct rl_group_record_value *value);
/* Groups are as this record of __consumer_offsets says, too: in the order in which they were written.
 * Statuses of rl_group_record_read and rl_consumer_group_record_read. */
rl_status rl_groups_restore_record(struct rl_groups *groups, struct rl_slice key, struct rl_slice value);
/* Everything is loaded: members have their session timeout from now. */
void rl_group_begin_sessions(struct rl_group *group);
/* A record of what the group is now joins the next write; and a tombstone of it. */
void rl_group_store(struct rl_group *group);
/* The same, of a group of the classic protocol; a start that finds it begins a rebalance. */
void rl_group_store_rebalancing(struct rl_group *group);
void rl_group_store_tombstone(struct rl_group *group);
/* Does a member read this topic?  True when that cannot be told of a consumer group with members. */
bool rl_group_is_subscribed(const struct rl_group *group, struct rl_slice topic);
/* Its metadata for the protocol; empty when it does not support it. */
struct rl_slice rl_group_member_metadata(const struct rl_group_member *member, struct rl_slice protocol);
/* Its members are consumers (protocol type "consumer"). */
bool rl_group_uses_consumer_protocol(const struct rl_group *group);
/* Kafka's name of a state of the classic protocol. */
const char *rl_group_state_name(enum rl_group_state state);
/* A member with these names: OK, UNKNOWN_MEMBER, FENCED_INSTANCE.  instance_id null: not told. */
enum rl_group_error rl_group_check_member(const struct rl_group *group, struct rl_slice member_id,
                                          struct rl_slice instance_id);
/* A sign of life. */
void rl_group_touch_member(struct rl_group *group, struct rl_slice member_id);

/* ---- calls; memory is the caller's, lent until done ---- */

struct rl_group_join_member {           /* what the leader is told */
    struct rl_slice id, instance_id, metadata;
};

struct rl_group_join {
    struct rl_slice group_id, member_id, instance_id, client_id, client_host, protocol_type;
    const struct rl_group_protocol *protocols;
    uint32_t protocol_count;
    int32_t session_timeout_ms, rebalance_timeout_ms;
    bool needs_member_id;               /* a new dynamic member is told its id first (version 4) */
    bool can_skip_assignment;           /* version 9 */
    int32_t assignment_interval_ms;     /* group.consumer.assignment.interval.ms */
    /* out; slices point into memory */
    enum rl_group_error error;
    int32_t ret_generation;
    struct rl_slice ret_protocol_type, ret_protocol, ret_leader, ret_member_id;
    bool ret_skip_assignment;
    struct rl_group_join_member *ret_members;
    uint32_t ret_member_count;
    void *memory;                       /* the caller frees it (rl_free), on any shard */
    struct rl_group_answer answer;
    struct rl_group_member *member;     /* while parked */
};
void rl_groups_join(struct rl_groups *groups, struct rl_group_join *join);
/* Its caller gives up: answered now with LOADING, unless it is answered already.  The member stays,
 * as if its answer was lost. */
void rl_group_join_forget(struct rl_groups *groups, struct rl_group_join *join);

struct rl_group_assignment {
    struct rl_slice member_id, assignment;
};

struct rl_group_sync {
    struct rl_slice group_id, member_id, instance_id;
    int32_t generation;
    struct rl_slice protocol_type, protocol;            /* null: not told */
    const struct rl_group_assignment *assignments;      /* the leader's */
    uint32_t assignment_count;
    /* out */
    enum rl_group_error error;
    struct rl_slice ret_protocol_type, ret_protocol, ret_assignment;
    void *memory;                       /* the caller frees it */
    struct rl_group_answer answer;
    struct rl_group_member *member;     /* while parked */
};
void rl_groups_sync(struct rl_groups *groups, struct rl_group_sync *sync);
void rl_group_sync_forget(struct rl_groups *groups, struct rl_group_sync *sync);

/* Answered at once. */
enum rl_group_error rl_groups_heartbeat(struct rl_groups *groups, struct rl_slice group_id,
                                        struct rl_slice member_id, struct rl_slice instance_id,
                                        int32_t generation);

struct rl_group_leave_member {
    struct rl_slice member_id;          /* empty: by instance_id */
    struct rl_slice instance_id;
    enum rl_group_error error;          /* out */
};
struct rl_group_leave {
    struct rl_slice group_id;
    struct rl_group_leave_member *members;
    uint32_t count;
    enum rl_group_error error;          /* out; OK: every member has its own.  UNKNOWN_MEMBER: no such group */
    struct rl_group_answer answer;
};
/* Members of a group of the consumer protocol are gone when that is on stable storage; one of the classic
 * protocol stores its next generation, as in Kafka. */
void rl_groups_leave(struct rl_groups *groups, struct rl_group_leave *leave);

#endif

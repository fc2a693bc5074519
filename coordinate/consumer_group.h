/* coordinate/consumer_group.h — a group of the consumer protocol (KIP-848): epochs instead of
 * generations, the assignment made here, every member moved towards it on its own.
 *
 *     EMPTY        nobody is in it
 *     ASSIGNING    the group is in a newer epoch than its assignment
 *     RECONCILING  some member is not yet what the assignment says
 *     STABLE       all are
 *
 * A member heartbeats; what it says and what it is told are in that one call.  What it has to give up
 * it is told first (UNREVOKED); it goes to the next epoch when it no longer owns that.  What it is to
 * get it is told when no other member has it any more (UNRELEASED until then).  A partition belongs to
 * one member at any time; what is being revoked still belongs to the member.
 *
 * Every change is in memory at once and answered when its records are on stable storage; a call that
 * changes nothing waits for what was changed before it.  A write that fails makes the whole partition
 * be read again.
 *
 * Everything runs on the shard of the group.  Source: KIP-848, 1082, 1251; the behaviour of Kafka 4.3's
 * group coordinator. */
#ifndef RL_COORDINATE_CONSUMER_GROUP_H
#define RL_COORDINATE_CONSUMER_GROUP_H

#include "coordinate/group.h"
#include "coordinate/partition_set.h"

enum rl_consumer_group_state {
    RL_CONSUMER_GROUP_EMPTY,
    RL_CONSUMER_GROUP_ASSIGNING,
    RL_CONSUMER_GROUP_RECONCILING,
    RL_CONSUMER_GROUP_STABLE
};

enum rl_consumer_member_state {         /* the numbers stand in records */
    RL_CONSUMER_MEMBER_STABLE = 0,
    RL_CONSUMER_MEMBER_UNREVOKED = 1,   /* owns what it must give up */
    RL_CONSUMER_MEMBER_UNRELEASED = 2   /* waits for what others still own */
};

#define RL_CONSUMER_LEAVE (-1)
#define RL_CONSUMER_LEAVE_STATIC (-2)   /* it will come back: its partitions stay */

struct rl_consumer_member {
    struct rl_group *group;
    struct rl_slice id, instance_id, rack_id, client_id, client_host;   /* owned; instance, rack may be null */
    struct rl_slice server_assignor;    /* owned; null: any */
    struct rl_slice *topics;            /* owned, sorted, each once */
    uint32_t topic_count;
    struct rl_slice regex;              /* owned; empty: none */
    int32_t rebalance_timeout_ms;
    /* It speaks the classic protocol (consumer_classic.c): */
    bool is_classic;
    int32_t classic_session_timeout_ms;
    struct rl_group_protocol *protocols;                /* owned, in the order of its preference */
    uint32_t protocol_count;
    enum rl_consumer_member_state state;
    int32_t epoch, previous_epoch;
    struct rl_partition_set assigned, revoking, target;
    size_t bytes;                       /* its part of the group's */
    struct rl_timer session_timer;
    struct rl_timer rebalance_timer;    /* to give up; of the classic protocol: to join, then to sync */
    struct rl_list link;                /* in the order in which they joined */
};

struct rl_consumer_group {
    int32_t epoch, assignment_epoch;
    bool is_stored;                     /* a record says that there is such a group */
    uint64_t records;                   /* added to writes, since it was made or loaded */
    uint64_t metadata_hash;             /* of the topics that members read, as the epoch knows them */
    uint64_t image_generation;          /* up to which topics were looked at */
    uint64_t topics_hash;               /* of `topics`, as the image of this generation has them: */
    uint64_t topics_hash_generation;
    bool topics_hash_known;
    int64_t next_assignment_ns;         /* not before; monotonic */
    struct rl_list members;
    struct rl_protocol_counts protocol_counts;  /* of members of the classic protocol */
    struct rl_table by_member_id, by_instance_id;
    size_t member_bytes;                /* of what members told: their ids, the names they read */
    struct rl_table owners;             /* who has a partition: struct rl_partition_owner */
    struct rl_table topics;             /* who reads a topic by its name: struct rl_topic_readers */
    struct rl_table regexes;            /* struct rl_group_regex */
};

struct rl_partition_owner {
    struct rl_topic_partition key;
    struct rl_consumer_member *member;
    int32_t assignment_epoch;           /* of the member, when it got it */
};

struct rl_topic_readers {
    struct rl_slice name;               /* owned */
    uint32_t count;
};

struct rl_group_regex {
    struct rl_slice text;               /* owned */
    uint32_t members;
    bool is_searched;                   /* a search that will say it again is on its way */
    bool resolved;                      /* topics say what it matched in the image of this generation: */
    uint64_t image_generation;
    int64_t resolved_ms;                /* wall clock */
    struct rl_slice *topics;            /* owned, sorted */
    uint32_t topic_count;
};

/* ---- the call ---- */

struct rl_consumer_heartbeat {
    struct rl_slice group_id, member_id, instance_id, rack_id, client_id, client_host;
    int32_t member_epoch;               /* 0: join; RL_CONSUMER_LEAVE, _STATIC */
    int32_t assignment_interval_ms;     /* group.consumer.assignment.interval.ms, which may change */
    bool is_classic;                    /* coordinate/ only: what a JoinGroup tells */
    bool needs_member_id;               /* version 1: the member makes its id */
    int32_t rebalance_timeout_ms;       /* -1: as before */
    bool topics_told;
    const struct rl_slice *topics;
    uint32_t topic_count;
    struct rl_slice regex;              /* null: as before */
    struct rl_slice server_assignor;    /* null: as before */
    bool owned_told;
    struct rl_partition_set owned;      /* what it owns; the call's (rl_consumer_heartbeat_done) */
    /* out */
    enum rl_group_error error;
    struct rl_text message;             /* of an error, as Kafka words it; the call's */
    struct rl_slice ret_member_id;      /* into memory */
    int32_t ret_member_epoch, ret_heartbeat_interval_ms;
    bool ret_assignment_told;
    struct rl_partition_set ret_assignment;     /* the call's */
    void *memory;
    struct rl_group_answer answer;
    /* coordinate/ only */
    const struct rl_slice *found;       /* topics that regex matches; NULL: the group knows */
    uint32_t found_count;
    uint64_t found_generation;
    struct rl_regex_search *search;     /* it waits for; or NULL */
    struct rl_group_write write;
    struct rl_group *group;
};
/* Answered when what it changed is on stable storage. */
void rl_groups_consumer_heartbeat(struct rl_groups *groups, struct rl_consumer_heartbeat *call);
/* Its caller gives up: if it waits until its expression has been looked for, it is answered now with
 * LOADING, and nothing comes of it.  Otherwise its answer is near. */
void rl_consumer_heartbeat_forget(struct rl_groups *groups, struct rl_consumer_heartbeat *call);
/* Free what the call owns; on any shard. */
void rl_consumer_heartbeat_done(struct rl_consumer_heartbeat *call);

/* Members of the classic protocol in a group of this one: their calls, as in group.h. */
void rl_consumer_group_join(struct rl_group *group, struct rl_group_join *join);
void rl_consumer_group_sync(struct rl_group *group, struct rl_group_sync *sync);
enum rl_group_error rl_consumer_group_classic_heartbeat(struct rl_group *group, struct rl_slice member_id,
                                                        struct rl_slice instance_id, int32_t generation);
enum rl_group_error rl_consumer_group_classic_leave(struct rl_group *group, const struct rl_group_leave_member *asked,
                                                    bool *left);
/* Members left by that: answered when their records are on stable storage. */
void rl_consumer_group_left(struct rl_group *group, struct rl_group_leave *leave);
/* An empty group is one of the classic protocol again. */
void rl_consumer_group_become_classic(struct rl_group *group);

/* ---- questions ---- */

enum rl_consumer_group_state rl_consumer_group_state(const struct rl_group *group);
const char *rl_consumer_group_state_name(enum rl_consumer_group_state state);
/* The assignor that most members ask for; that of the configuration when nobody does. */
struct rl_slice rl_consumer_group_assignor(const struct rl_group *group);
struct rl_consumer_member *rl_consumer_group_find(const struct rl_group *group, struct rl_slice member_id);
/* NULL: nobody has it. */
struct rl_partition_owner *rl_consumer_group_owner(const struct rl_group *group, struct rl_topic_partition key);
bool rl_consumer_group_reads(const struct rl_group *group, struct rl_slice topic);

#endif

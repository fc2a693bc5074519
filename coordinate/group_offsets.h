/* coordinate/group_offsets.h — offsets of groups: committed, asked for, deleted.
 *
 * A commit is answered when it is on stable storage, and is seen by others from then on.  Memory of a
 * call is the caller's, lent until its answer, which is given at the end of a turn.  All run on the
 * shard of the groups. */
#ifndef RL_COORDINATE_GROUP_OFFSETS_H
#define RL_COORDINATE_GROUP_OFFSETS_H

#include "coordinate/group.h"

struct rl_offset_commit_partition {
    struct rl_slice topic;
    int32_t partition;
    struct rl_committed_offset value;   /* commit_ms is set by the call */
    int64_t retention_ms;               /* -1: offsets.retention.minutes */
    bool refused;                       /* by the caller: not stored */
    enum rl_group_error error;          /* out */
    bool is_first;                      /* coordinate/ only: it had no offset when this began */
    bool is_removed;                    /* coordinate/ only: behind this in the log */
};

struct rl_offset_commit {
    struct rl_slice group_id, member_id, instance_id;   /* instance_id null: not told */
    int32_t generation;                 /* < 0: not of a member */
    bool knows_group_ids;               /* version 9: an unknown group has an error of its own */
    int32_t metadata_units_max;
    struct rl_offset_commit_partition *partitions;
    uint32_t partition_count;
    enum rl_group_error error;          /* out: of the whole call; partitions say what they say */
    struct rl_group_answer answer;
    struct rl_group_write write;        /* coordinate/ only, from here */
    struct rl_group *group;
    struct rl_list link;
};
void rl_groups_commit_offsets(struct rl_groups *groups, struct rl_offset_commit *commit);

struct rl_offset_fetch_partition {
    int32_t partition;
    int64_t offset;                     /* -1: none */
    int32_t leader_epoch;
    struct rl_slice metadata;
};

struct rl_offset_fetch_topic {
    struct rl_slice name;
    struct rl_offset_fetch_partition *partitions;       /* in: which; out: what */
    uint32_t partition_count;
};

struct rl_offset_fetch {
    struct rl_slice group_id;
    struct rl_slice member_id;          /* null: nobody of the group asks */
    int32_t member_epoch;               /* < 0: not told */
    size_t bytes_max;                   /* of memory: a partition may be asked for many times */
    enum rl_group_error error;          /* out: OK, UNKNOWN_MEMBER, STALE_MEMBER_EPOCH, INTERNAL (also: more
                                           than bytes_max; then nothing is out) */
    bool all;                           /* every topic there is: topics are made by the call */
    struct rl_offset_fetch_topic *topics;
    uint32_t topic_count;
    void *memory;                       /* out: the caller frees it (rl_free), on any shard */
    size_t bytes;                       /* out: of memory */
};
/* At once; a group that does not exist has committed nothing. */
void rl_groups_fetch_offsets(struct rl_groups *groups, struct rl_offset_fetch *fetch);

struct rl_group_delete {
    struct rl_slice group_id;
    enum rl_group_error error;          /* out: OK, ID_NOT_FOUND, NOT_EMPTY, NOT_AVAILABLE */
    struct rl_group_answer answer;
    struct rl_group_write write;        /* coordinate/ only, from here */
    struct rl_groups *groups;
};
void rl_groups_delete(struct rl_groups *groups, struct rl_group_delete *call);

struct rl_offset_delete_partition {
    struct rl_slice topic;
    int32_t partition;
    bool refused;                       /* by the caller: not looked at */
    enum rl_group_error error;          /* out: OK, SUBSCRIBED_TO_TOPIC */
};

struct rl_offset_delete {
    struct rl_slice group_id;
    struct rl_offset_delete_partition *partitions;
    uint32_t partition_count;
    enum rl_group_error error;          /* out: OK, INVALID_ID, ID_NOT_FOUND, NOT_EMPTY, NOT_AVAILABLE */
    struct rl_group_answer answer;
    struct rl_group_write write;        /* coordinate/ only, from here */
    struct rl_groups *groups;
};
void rl_groups_delete_offsets(struct rl_groups *groups, struct rl_offset_delete *call);

/* A record of one offset joins the next write. */
void rl_group_store_offset(struct rl_group *group, struct rl_slice topic, int32_t partition,
                           const struct rl_committed_offset *offset);
/* The tombstone of one offset joins the next write; it is forgotten at once. */
void rl_group_remove_offset(struct rl_group *group, struct rl_slice topic, int32_t partition);
/* Commits of this topic that are on their way change nothing any more; tombstones for what memory does not
 * know of join the next write.  False: there was nothing of that kind. */
bool rl_group_forget_commits(struct rl_group *group, struct rl_slice topic);
/* Tombstones of all there is, and of the group itself; it is dropped at once. */
void rl_group_remove(struct rl_group *group);

#endif

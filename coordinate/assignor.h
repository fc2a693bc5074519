/* coordinate/assignor.h — who of a group gets which partitions (KIP-848, server-side assignors).
 *
 * Pure functions over plain structs: no clock, no shard, no chance, memory from the caller's arena
 * only.  They may run on any thread, as long as nobody changes the input meanwhile; 10,000 members
 * and 10,000 partitions take some milliseconds.
 *
 * uniform: every partition has one owner that subscribes to its topic; the owners of the topics that
 *   the same members subscribe to differ by at most one partition; where subscriptions differ, no
 *   partition could move to a member that has at least two partitions less.  Sticky: a
 *   partition stays where it is, unless its owner must give some away for the sake of balance.
 * range: of each topic, contiguous runs of partitions for its subscribers in order: static members by
 *   instance id, then the others by member id.  So topics with as many partitions and the same
 *   subscribers are co-partitioned.  Not sticky, as in Kafka 4.3.
 * Source: UniformAssignor and RangeAssignor of Kafka 4.3.1. */
#ifndef RL_COORDINATE_ASSIGNOR_H
#define RL_COORDINATE_ASSIGNOR_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"

struct rl_assignor_topic {
    struct rl_uuid id;                  /* the caller's: assignors know topics by their index */
    int32_t partition_count;            /* 0: none, a topic on its way out */
};

struct rl_assignor_partition {
    uint32_t topic;                     /* index into the input's topics */
    int32_t partition;
};

struct rl_assignor_member {
    struct rl_slice id;
    struct rl_slice instance_id;        /* null: dynamic */
    /* What it subscribes to: indices of topics, ascending.  Members that subscribe alike may share
     * the array, which saves time. */
    const uint32_t *topics;
    uint32_t topic_count;
    /* Its part of the current target assignment, sorted by topic and partition.  What does not exist
     * any more, what it does not subscribe to and what an earlier member has as well is passed over. */
    const struct rl_assignor_partition *current;
    uint32_t current_count;
};

struct rl_assignor_input {
    const struct rl_assignor_topic *topics;
    uint32_t topic_count;
    const struct rl_assignor_member *members;   /* ties go to the earlier one */
    uint32_t member_count;
};

/* What a member gets: sorted by topic and partition. */
struct rl_assignor_share {
    struct rl_assignor_partition *partitions;
    uint32_t partition_count;
};

enum rl_assignor { RL_ASSIGNOR_UNIFORM, RL_ASSIGNOR_RANGE };

/* Kafka's name, static storage: "uniform", "range". */
const char *rl_assignor_name(enum rl_assignor assignor);
/* RL_OK; RL_ENOTFOUND: no assignor of that name. */
rl_status rl_assignor_find(struct rl_slice name, enum rl_assignor *ret_assignor);

/* Assign: *ret_shares has one share per member, in the input's order, from the arena.
 * RL_OK; RL_ENOMEM: the arena's limit (rl_assignor_bytes_max is always enough). */
rl_status rl_assignor_assign(enum rl_assignor assignor, const struct rl_assignor_input *input,
                             struct rl_arena *arena, struct rl_assignor_share **ret_shares);
/* How many bytes of an arena an assignment takes at most. */
size_t rl_assignor_bytes_max(const struct rl_assignor_input *input);

/* The two, for rl_assignor_assign and tests. */
rl_status rl_assignor_uniform(const struct rl_assignor_input *input, struct rl_arena *arena,
                              struct rl_assignor_share **ret_shares);
rl_status rl_assignor_range(const struct rl_assignor_input *input, struct rl_arena *arena,
                            struct rl_assignor_share **ret_shares);

/* ---- for the assignors themselves ---- */

/* Where the partitions of each topic begin in an array of all partitions: topic_count + 1 entries,
 * from the arena; NULL at its limit. */
uint32_t *rl_assignor_topic_starts(const struct rl_assignor_input *input, struct rl_arena *arena);
/* An array of owners, all RL_ASSIGNOR_NOBODY; NULL at the arena's limit. */
uint32_t *rl_assignor_nobodys(uint32_t count, struct rl_arena *arena);
/* The shares that an array of owners stands for (owners[starts[topic] + partition]: index of a
 * member, RL_ASSIGNOR_NOBODY). */
#define RL_ASSIGNOR_NOBODY UINT32_MAX
rl_status rl_assignor_shares_of(const struct rl_assignor_input *input, const uint32_t *starts,
                                const uint32_t *owners, struct rl_arena *arena,
                                struct rl_assignor_share **ret_shares);

#endif

/* tests/coordinate/coordinator_rig.h — a coordinator over real partitions on a kernel in memory: one
 * shard, __consumer_offsets of two partitions, and the topic "t" that groups read.  One at a time. */
#ifndef RL_TESTS_COORDINATE_COORDINATOR_RIG_H
#define RL_TESTS_COORDINATE_COORDINATOR_RIG_H

#include "coordinate/coordinator.h"
#include "coordinate/group_offsets.h"
#include "replicate/controller_internal.h"
#include "replicate/partition.h"
#include "tests/io/mem_backend.h"

extern struct coordinator_rig {
    struct rl_mem *mem;
    struct rl_disk *disk;
    struct rl_shard_set *set;
    struct rl_shard *shard;
    struct rl_topic topic;
    struct rl_topic read_topic;         /* "t" */
    const struct rl_topic *topics[2];
    struct rl_image image;
    struct rl_metadata_shard metadata;
    bool applied, stopped;
    int answers;
} rig;

struct rl_slice text(const char *s);
/* Until nothing is left to do without time passing. */
void settle(void);
/* "t" is known, but has no partition; or it has some. */
void rig_start(void);
void rig_start_reading(int32_t partition_count);
void rig_stop(void);

/* As rl_coordinator_find, which must succeed. */
struct rl_groups *groups_of(const char *group);
/* The partition of __consumer_offsets that keeps a group. */
struct rl_partition *partition_of(const char *group);

struct commit {
    struct rl_offset_commit call;
    struct rl_offset_commit_partition partition;
    bool answered;
};

/* Notes the answer, and counts it. */
void on_committed(struct rl_group_answer *answer);
/* A commit for a partition of "t", of nobody's member. */
void commit_send(struct commit *c, const char *group, int32_t partition, int64_t offset);
enum rl_group_error commit(const char *group, int32_t partition, int64_t offset);
/* -1: nothing. */
int64_t committed(const char *group, int32_t partition);
/* Everything is read again, as after a start. */
void read_again(void);

#endif

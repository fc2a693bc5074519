/* coordinate/committed_offsets.h — what a group has committed: topic, partition → offset.
 *
 * Plain memory of one shard; committed_offsets.c neither reads clocks nor writes logs. */
#ifndef RL_COORDINATE_COMMITTED_OFFSETS_H
#define RL_COORDINATE_COMMITTED_OFFSETS_H

#include "coordinate/group_record.h"
#include "core/list.h"
#include "core/table.h"

struct rl_offsets_entry {               /* one partition */
    int32_t partition;
    uint32_t commits_in_flight;         /* newer values that are not stored yet */
    struct rl_committed_offset value;   /* metadata owned */
};

struct rl_offsets_topic {
    struct rl_slice name;               /* owned */
    struct rl_offsets_entry *entries;   /* in no order; removing one moves the last to its place */
    uint32_t count, capacity;
    struct rl_table by_partition;       /* index in entries + 1; only with many */
    struct rl_list link;                /* in the order of their first commit */
};

struct rl_committed_offsets {
    struct rl_table by_topic;
    struct rl_list topics;
    uint32_t count;                     /* entries of all topics */
};

void rl_committed_offsets_init(struct rl_committed_offsets *offsets, uint64_t seed);
void rl_committed_offsets_done(struct rl_committed_offsets *offsets);
void rl_committed_offsets_remove_topic(struct rl_committed_offsets *offsets, struct rl_offsets_topic *topic);
/* NULL when there is none. */
struct rl_offsets_topic *rl_committed_offsets_topic(const struct rl_committed_offsets *offsets,
                                                    struct rl_slice topic);
const struct rl_committed_offset *rl_committed_offsets_find(const struct rl_committed_offsets *offsets,
                                                            struct rl_slice topic, int32_t partition);
const struct rl_committed_offset *rl_offsets_topic_find(const struct rl_offsets_topic *topic,
                                                        int32_t partition);
/* Metadata is copied. */
void rl_committed_offsets_put(struct rl_committed_offsets *offsets, struct rl_slice topic,
                              int32_t partition, const struct rl_committed_offset *value);
/* A commit of a partition is on its way, or has come back.  False: it has no offset, nothing is noted. */
bool rl_committed_offsets_note_commit(struct rl_committed_offsets *offsets, struct rl_slice topic,
                                      int32_t partition, bool in_flight);
/* False: there was none.  The topic goes with its last partition. */
bool rl_committed_offsets_remove(struct rl_committed_offsets *offsets, struct rl_slice topic,
                                 int32_t partition);

#endif

/* coordinate/partition_set.h — a set of partitions: sorted pairs of topic id and index.
 *
 * Results are new memory of the caller's (rl_partition_set_done); arguments stay as they are.  Pure. */
#ifndef RL_COORDINATE_PARTITION_SET_H
#define RL_COORDINATE_PARTITION_SET_H

#include "core/slice.h"

struct rl_topic_partition {
    struct rl_uuid topic_id;
    int32_t partition;
};

/* All zero is the empty set. */
struct rl_partition_set {
    struct rl_topic_partition *items;   /* owned, sorted, each once */
    uint32_t count, capacity;
};

void rl_partition_set_done(struct rl_partition_set *set);
int rl_topic_partition_compare(const struct rl_topic_partition *a, const struct rl_topic_partition *b);
/* Add in any order, then sort once before any other use. */
void rl_partition_set_add(struct rl_partition_set *set, struct rl_uuid topic_id, int32_t partition);
void rl_partition_set_sort(struct rl_partition_set *set);
struct rl_partition_set rl_partition_set_copy(const struct rl_partition_set *from);
/* `to` is now what `from` was; `from` is empty. */
void rl_partition_set_move(struct rl_partition_set *to, struct rl_partition_set *from);
bool rl_partition_set_has(const struct rl_partition_set *set, struct rl_topic_partition item);
bool rl_partition_set_equal(const struct rl_partition_set *a, const struct rl_partition_set *b);
bool rl_partition_set_is_subset(const struct rl_partition_set *part, const struct rl_partition_set *whole);
bool rl_partition_set_intersects(const struct rl_partition_set *a, const struct rl_partition_set *b);
struct rl_partition_set rl_partition_set_intersection(const struct rl_partition_set *a,
                                                      const struct rl_partition_set *b);
/* What is in a and not in b. */
struct rl_partition_set rl_partition_set_difference(const struct rl_partition_set *a,
                                                    const struct rl_partition_set *b);
/* How many from `at` on are of the same topic. */
uint32_t rl_partition_set_run(const struct rl_partition_set *set, uint32_t at);

#endif

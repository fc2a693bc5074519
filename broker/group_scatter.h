/* broker/group_scatter.h — requests for groups, sent to the shards that coordinate them.
 *
 * As scatter.h, with groups instead of partitions: each item names a group, runs on its shard with the
 * groups it is among, and may wait there. */
#ifndef RL_BROKER_GROUP_SCATTER_H
#define RL_BROKER_GROUP_SCATTER_H

#include "broker/scatter.h"
#include "coordinate/group.h"

struct rl_group_item {
    struct rl_scatter_item item;
    struct rl_slice group_id;
    enum rl_group_error error;          /* out */
    /* the owner's, while the item is out */
    struct rl_scatter_call *call;
    struct rl_groups *groups;
};

/* Kafka's code for what a coordinator said.  Pure. */
int16_t rl_kafka_error_of_group(enum rl_group_error error);

/* Send the item with the scatter when that starts.  A group that nobody coordinates gets its error at
 * once and is not sent.  False: over the request's memory, the connection was closed. */
bool rl_group_scatter_add(struct rl_scatter *scatter, struct rl_group_item *item);
/* For rl_scatter_init's run: give every item whose groups are at hand to `one`, which ends, now or
 * later, with rl_group_item_done.  Owner's shard. */
void rl_group_scatter_run(struct rl_scatter_call *call,
                          void (*one)(struct rl_group_item *item, struct rl_groups *groups));
void rl_group_item_done(struct rl_group_item *item);
/* The item's part of the answer takes so much memory on the groups' shard: requests may name the same
 * group, or partition, many times.  False: the items of this call take more than they may together, and
 * this one has an error.  Owner's shard. */
bool rl_group_item_take(struct rl_group_item *item, size_t bytes);
/* How much is left. */
size_t rl_group_item_left(const struct rl_group_item *item);

/* A request that waits ends early when its connection is gone, or memory is short: request->state is
 * its struct rl_scatter, which has a cancel. */
void rl_group_scatter_may_wait(struct rl_request *request, struct rl_scatter *scatter);

#endif

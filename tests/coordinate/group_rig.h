/* tests/coordinate/group_rig.h — groups alone: a shard with a virtual clock, and a store that keeps
 * its writes until the test says how they end. */
#ifndef RL_TESTS_COORDINATE_GROUP_RIG_H
#define RL_TESTS_COORDINATE_GROUP_RIG_H

#include "coordinate/group.h"
#include "coordinate/group_offsets.h"
#include "tests/io/mem_backend.h"

struct group_rig {
    struct rl_mem *mem;
    struct rl_shard_set *set;
    struct rl_shard *shard;
    struct rl_group_limits limits;
    struct rl_group_store store;
    struct rl_groups groups;
    struct rl_list answers, searches;
    struct rl_list writes;              /* not ended yet */
    uint32_t records, tombstones;       /* added since the start */
};

void group_rig_start(struct group_rig *rig, uint64_t seed);
/* Drops all groups and ends what is left. */
void group_rig_stop(struct group_rig *rig);
/* Give answers. */
void group_rig_turn(struct group_rig *rig);
/* End the oldest write; false: there is none. */
bool group_rig_end_write(struct group_rig *rig, rl_status status);
/* End all writes well, and give answers, until nothing is left. */
void group_rig_settle(struct group_rig *rig);
/* A member leaves "g"; how that is answered is of no interest. */
void group_rig_leave(struct group_rig *rig, struct rl_slice member_id, struct rl_slice instance_id);
/* Let time pass, timers run, answers be given. */
void group_rig_advance(struct group_rig *rig, int64_t ms);

#endif

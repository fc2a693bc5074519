/* coordinate/assignor.c — who of a group gets which partitions: what the assignors share. */
#include "coordinate/assignor.h"

static const char *const names[] = { [RL_ASSIGNOR_UNIFORM] = "uniform", [RL_ASSIGNOR_RANGE] = "range" };

const char *rl_assignor_name(enum rl_assignor assignor)
{
    return names[assignor];
}

rl_status rl_assignor_find(struct rl_slice name, enum rl_assignor *ret_assignor)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(names); i++) {
        if (rl_slice_equal_string(name, names[i])) {
            *ret_assignor = (enum rl_assignor)i;
            return RL_OK;
        }
    }
    return RL_ENOTFOUND;
}

rl_status rl_assignor_assign(enum rl_assignor assignor, const struct rl_assignor_input *input,
                             struct rl_arena *arena, struct rl_assignor_share **ret_shares)
{
    switch (assignor) {
    case RL_ASSIGNOR_UNIFORM:
        return rl_assignor_uniform(input, arena, ret_shares);
    case RL_ASSIGNOR_RANGE:
        return rl_assignor_range(input, arena, ret_shares);
    }
    return RL_EINVAL;
}

/* Per member, topic, partition and subscription, what the arrays of assignor_uniform.c take, which
 * takes the most; and 16 bytes for the alignment of each of some thirty arrays. */
size_t rl_assignor_bytes_max(const struct rl_assignor_input *input)
{
    size_t partitions = 0, subscriptions = 0;
    for (uint32_t t = 0; t < input->topic_count; t++)
        partitions += (size_t)input->topics[t].partition_count;
    for (uint32_t m = 0; m < input->member_count; m++)
        subscriptions += input->members[m].topic_count;
    return 80 * (size_t)input->member_count + 64 * (size_t)input->topic_count + 20 * partitions +
           4 * subscriptions + 1024;
}

uint32_t *rl_assignor_topic_starts(const struct rl_assignor_input *input, struct rl_arena *arena)
{
    uint32_t *starts = rl_arena_alloc_array(arena, (size_t)input->topic_count + 1, sizeof *starts);
    if (starts == NULL)
        return NULL;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        RL_ASSERT(input->topics[t].partition_count >= 0);
        RL_ASSERT((uint32_t)input->topics[t].partition_count < RL_ASSIGNOR_NOBODY - starts[t]);
        starts[t + 1] = starts[t] + (uint32_t)input->topics[t].partition_count;
    }
    return starts;
}

uint32_t *rl_assignor_nobodys(uint32_t count, struct rl_arena *arena)
{
    uint32_t *owners = rl_arena_alloc_array(arena, count, sizeof *owners);
    if (owners != NULL && count > 0)
        memset(owners, 0xff, count * sizeof *owners);
    return owners;
}

rl_status rl_assignor_shares_of(const struct rl_assignor_input *input, const uint32_t *starts,
                                const uint32_t *owners, struct rl_arena *arena,
                                struct rl_assignor_share **ret_shares)
{
    uint32_t partition_count = starts[input->topic_count];
    struct rl_assignor_share *shares = rl_arena_alloc_array(arena, input->member_count, sizeof *shares);
    struct rl_assignor_partition *partitions = rl_arena_alloc_array(arena, partition_count, sizeof *partitions);
    if (shares == NULL || partitions == NULL)
        return RL_ENOMEM;

    for (uint32_t p = 0; p < partition_count; p++) {
        if (owners[p] != RL_ASSIGNOR_NOBODY)
            shares[owners[p]].partition_count++;
    }
    for (uint32_t m = 0; m < input->member_count; m++) {
        shares[m].partitions = partitions;
        partitions += shares[m].partition_count;
        shares[m].partition_count = 0;  /* counted again below */
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (uint32_t p = starts[t]; p < starts[t + 1]; p++) {
            if (owners[p] == RL_ASSIGNOR_NOBODY)
                continue;
            struct rl_assignor_share *share = &shares[owners[p]];
            share->partitions[share->partition_count++] =
                (struct rl_assignor_partition){ .topic = t, .partition = (int32_t)(p - starts[t]) };
        }
    }
    *ret_shares = shares;
    return RL_OK;
}

/* coordinate/assignor_range.c — contiguous runs of each topic's partitions.
 *
 * The members stand in an order that does not depend on what they subscribe to: so the first gets
 * the first run of every topic, and topics with as many partitions and the same subscribers are
 * divided alike.  Source: RangeAssignor of Kafka 4.3.1. */
#include "coordinate/assignor.h"
#include <stdlib.h>

/* The runs of a topic. */
struct range_topic {
    uint32_t subscriber_count;
    uint32_t next;                      /* the first partition of the next run */
    uint32_t extra_count;               /* this many runs are longer by one */
};

/* Static members by instance id, then the others by member id. */
static int compare_members(const void *a, const void *b, void *arg)
{
    const struct rl_assignor_member *members = arg;
    const struct rl_assignor_member *left = &members[*(const uint32_t *)a], *right = &members[*(const uint32_t *)b];
    bool left_is_static = left->instance_id.data != NULL, right_is_static = right->instance_id.data != NULL;
    if (left_is_static != right_is_static)
        return left_is_static ? -1 : 1;
    return left_is_static ? rl_slice_compare(left->instance_id, right->instance_id)
                          : rl_slice_compare(left->id, right->id);
}

static uint32_t *order_members(const struct rl_assignor_input *input, struct rl_arena *arena)
{
    uint32_t *order = rl_arena_alloc_array(arena, input->member_count, sizeof *order);
    if (order == NULL)
        return NULL;
    for (uint32_t m = 0; m < input->member_count; m++)
        order[m] = m;
    if (input->member_count > 1)
        qsort_r(order, input->member_count, sizeof *order, compare_members, (void *)input->members);
    return order;
}

static struct range_topic *divide_topics(const struct rl_assignor_input *input, struct rl_arena *arena)
{
    struct range_topic *ranges = rl_arena_alloc_array(arena, input->topic_count, sizeof *ranges);
    if (ranges == NULL)
        return NULL;
    for (uint32_t m = 0; m < input->member_count; m++) {
        for (uint32_t i = 0; i < input->members[m].topic_count; i++)
            ranges[input->members[m].topics[i]].subscriber_count++;
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        if (ranges[t].subscriber_count > 0)
            ranges[t].extra_count = (uint32_t)input->topics[t].partition_count % ranges[t].subscriber_count;
    }
    return ranges;
}

rl_status rl_assignor_range(const struct rl_assignor_input *input, struct rl_arena *arena,
                            struct rl_assignor_share **ret_shares)
{
    uint32_t *starts = rl_assignor_topic_starts(input, arena);
    uint32_t *owners = starts != NULL ? rl_assignor_nobodys(starts[input->topic_count], arena) : NULL;
    uint32_t *order = order_members(input, arena);
    struct range_topic *ranges = divide_topics(input, arena);
    if (owners == NULL || order == NULL || ranges == NULL)
        return RL_ENOMEM;

    for (uint32_t i = 0; i < input->member_count; i++) {
        const struct rl_assignor_member *member = &input->members[order[i]];
        for (uint32_t k = 0; k < member->topic_count; k++) {
            uint32_t topic = member->topics[k];
            struct range_topic *range = &ranges[topic];
            uint32_t count = (uint32_t)input->topics[topic].partition_count / range->subscriber_count;
            if (range->extra_count > 0) {
                range->extra_count--;
                count++;
            }
            for (uint32_t p = 0; p < count; p++)
                owners[starts[topic] + range->next + p] = order[i];
            range->next += count;
        }
    }
    return rl_assignor_shares_of(input, starts, owners, arena, ret_shares);
}

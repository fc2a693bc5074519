/* coordinate/consumer_reconcile.c — a member moves towards what the assignment says, one step per call.
 *
 *   STABLE      there is a newer assignment, or it reads something else: begin
 *   UNREVOKED   it says that it no longer owns what it had to give up: go on; until then, wait
 *   UNRELEASED  go on: perhaps others have given up what it waits for
 *
 * What it must give up comes first, and it stays in its epoch until it has.  Then it is in the epoch of
 * the assignment and gets what nobody else has.  Source: KIP-848, CurrentAssignmentBuilder. */
#include "coordinate/consumer_group_internal.h"

/* Its part of the assignment, without topics that it does not read (any more). */
static struct rl_partition_set wanted(const struct rl_consumer_member *member)
{
    const struct rl_image *image = rl_group_image(member->group);
    struct rl_partition_set set = { 0 };
    for (uint32_t at = 0, run; at < member->target.count; at += run) {
        run = rl_partition_set_run(&member->target, at);
        const struct rl_topic *topic = rl_image_find_id(image, member->target.items[at].topic_id);
        if (topic == NULL || !rl_consumer_member_reads(member, rl_slice_of_string(topic->name)))
            continue;
        for (uint32_t i = at; i < at + run; i++)
            rl_partition_set_add(&set, member->target.items[i].topic_id, member->target.items[i].partition);
    }
    return set;                         /* in the target's order, which is sorted */
}

struct next {
    int32_t epoch;
    enum rl_consumer_member_state state;
    struct rl_partition_set assigned, revoking;
};

/* Add what is wanted and nobody has; false: somebody has some of it. */
static bool add_free(const struct rl_consumer_member *member, const struct rl_partition_set *want,
                     struct rl_partition_set *assigned)
{
    struct rl_partition_set missing = rl_partition_set_difference(want, assigned);
    bool all = true;
    for (uint32_t i = 0; i < missing.count; i++) {
        if (rl_consumer_group_owner(member->group, missing.items[i]) != NULL)
            all = false;
        else
            rl_partition_set_add(assigned, missing.items[i].topic_id, missing.items[i].partition);
    }
    rl_partition_set_sort(assigned);
    rl_partition_set_done(&missing);
    return all;
}

static struct next compute_next(const struct rl_consumer_member *member, int32_t epoch,
                                const struct rl_partition_set *owned)
{
    struct rl_partition_set want = wanted(member);
    struct next next = { .epoch = epoch, .state = RL_CONSUMER_MEMBER_UNREVOKED,
                         .assigned = rl_partition_set_intersection(&member->assigned, &want),
                         .revoking = rl_partition_set_difference(&member->assigned, &want) };
    bool must_revoke = next.revoking.count > 0 &&
                       (owned == NULL || rl_partition_set_intersects(owned, &next.revoking));
    if (!must_revoke) {
        rl_partition_set_done(&next.revoking);
        next.epoch = member->group->consumer->assignment_epoch;
        next.state = add_free(member, &want, &next.assigned) ? RL_CONSUMER_MEMBER_STABLE
                                                             : RL_CONSUMER_MEMBER_UNRELEASED;
    }
    rl_partition_set_done(&want);
    return next;
}

static bool is_as_before(const struct rl_consumer_member *member, const struct next *next)
{
    return next->epoch == member->epoch && next->state == member->state &&
           rl_partition_set_equal(&next->assigned, &member->assigned) &&
           rl_partition_set_equal(&next->revoking, &member->revoking);
}

/* An answer that was lost is recognized by the epoch before; one that says the same again is a step. */
static bool take(struct rl_consumer_member *member, struct next *next)
{
    bool same = is_as_before(member, next);
    if (same && (member->state == RL_CONSUMER_MEMBER_STABLE || member->previous_epoch == member->epoch)) {
        rl_partition_set_done(&next->assigned);
        rl_partition_set_done(&next->revoking);
        return false;
    }
    member->previous_epoch = member->epoch;
    member->epoch = next->epoch;
    member->state = next->state;
    rl_consumer_member_set_partitions(member, &next->assigned, &next->revoking);
    return true;
}

bool rl_consumer_member_reconcile(struct rl_consumer_member *member, const struct rl_partition_set *owned,
                                  bool subscription_changed)
{
    int32_t assignment_epoch = member->group->consumer->assignment_epoch, epoch = member->epoch;
    switch (member->state) {
    case RL_CONSUMER_MEMBER_STABLE:
        if (epoch == assignment_epoch && !subscription_changed)
            return false;
        break;
    case RL_CONSUMER_MEMBER_UNREVOKED:
        if (owned == NULL || rl_partition_set_intersects(owned, &member->revoking))
            return false;
        epoch = RL_MIN(epoch + 1, assignment_epoch);
        break;
    case RL_CONSUMER_MEMBER_UNRELEASED:
        break;
    }
    struct next next = compute_next(member, epoch, owned);
    return take(member, &next);
}

bool rl_consumer_member_waits(const struct rl_consumer_member *member)
{
    struct rl_partition_set want = wanted(member);
    struct rl_partition_set missing = rl_partition_set_difference(&want, &member->assigned);
    bool waits = false;
    for (uint32_t i = 0; i < missing.count && !waits; i++)
        waits = rl_consumer_group_owner(member->group, missing.items[i]) != NULL;
    rl_partition_set_done(&want);
    rl_partition_set_done(&missing);
    return waits;
}

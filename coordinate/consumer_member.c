/* coordinate/consumer_member.c — members of a consumer group go, by themselves or because they must;
 * and what their writes do when they come back.
 *
 * A member that is silent for group.consumer.session.timeout.ms, or does not give up within its
 * rebalance timeout what it was told to, is removed: its partitions are free for others.
 * Failures: a removal that cannot be stored makes the partition be read again; the member is there
 * then, with a session that begins anew. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include "core/logger.h"

#define NS_PER_MS ((int64_t)1000000)

/* ---- writes ---- */

void rl_consumer_group_write_begins(struct rl_group *group)
{
    group->writes_in_flight++;
    rl_group_hold(group);
}

enum rl_group_error rl_consumer_write_error(rl_status status)
{
    return status == RL_OK                                ? RL_GROUP_OK
         : status == RL_ENOTLEADER || status == RL_ESTOPPING || status == RL_EIO ? RL_GROUP_NOT_COORDINATOR
                                                          : RL_GROUP_NOT_AVAILABLE;
}

void rl_consumer_group_write_ends(struct rl_group *group)
{
    group->writes_in_flight--;
    rl_group_release(group);
}

struct own_write {
    struct rl_group_write write;
    struct rl_group *group;
};

static void on_own_written(struct rl_group_write *write, rl_status status)
{
    struct own_write *own = RL_CONTAINER_OF(write, struct own_write, write);
    (void)status;                       /* failed: everything is read again */
    rl_consumer_group_write_ends(own->group);
    rl_free(own);
}

void rl_consumer_group_write(struct rl_group *group)
{
    struct own_write *own = rl_alloc_zero(1, sizeof *own);
    *own = (struct own_write){ .write = { .done = on_own_written, .applied = true }, .group = group };
    rl_consumer_group_write_begins(group);
    group->groups->store->end(group->groups->store, &own->write);
}

/* ---- epochs ---- */

void rl_consumer_group_next_epoch(struct rl_group *group)
{
    group->consumer->epoch++;
    group->consumer->metadata_hash = rl_consumer_group_hash(group);
    group->state_ms = group->groups->shard->wall_ms;
    rl_consumer_store_epoch(group);
}

void rl_consumer_group_fence(struct rl_consumer_member *member, const char *reason)
{
    struct rl_group *group = member->group;
    struct rl_slice regex = rl_owned_copy(member->regex);
    RL_INFO("coordinate", "group %.*s: member %.*s is removed: %s", (int)group->id.bytes,
            (const char *)group->id.data, (int)member->id.bytes, (const char *)member->id.data, reason);
    rl_consumer_store_member_tombstones(member);
    rl_consumer_group_remove(member);
    if (regex.bytes > 0 && rl_table_find(&group->consumer->regexes, regex) == NULL)
        rl_consumer_store_regex_tombstone(group, regex);
    rl_owned_free(&regex);
    rl_consumer_group_next_epoch(group);
}

/* ---- time ---- */

static void on_session_expired(struct rl_timer *timer)
{
    struct rl_consumer_member *member = timer->arg;
    struct rl_group *group = member->group;
    rl_consumer_group_fence(member, "its session timed out");
    rl_consumer_group_maybe_downgrade(group, group->consumer->epoch - 1);
    rl_consumer_group_write(group);
}

static void on_rebalance_expired(struct rl_timer *timer)
{
    struct rl_consumer_member *member = timer->arg;
    struct rl_group *group = member->group;
    rl_consumer_group_fence(member, member->is_classic ? "it did not join or sync within its rebalance timeout"
                                    : "it did not give up its partitions within its rebalance timeout");
    rl_consumer_group_maybe_downgrade(group, group->consumer->epoch - 1);
    rl_consumer_group_write(group);
}

static void start(struct rl_consumer_member *member, struct rl_timer *timer, void (*done)(struct rl_timer *),
                  int32_t timeout_ms)
{
    struct rl_shard *shard = member->group->groups->shard;
    timer->done = done;
    timer->arg = member;
    rl_timer_start(shard, timer, shard->now_ns + RL_MAX(timeout_ms, 0) * NS_PER_MS);
}

void rl_consumer_member_start_session(struct rl_consumer_member *member)
{
    start(member, &member->session_timer, on_session_expired,
          member->is_classic ? member->classic_session_timeout_ms
                             : member->group->groups->limits->consumer_session_timeout_ms);
}

void rl_consumer_member_start_rebalance(struct rl_consumer_member *member)
{
    start(member, &member->rebalance_timer, on_rebalance_expired, member->rebalance_timeout_ms);
}

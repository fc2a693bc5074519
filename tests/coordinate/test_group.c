/* tests/coordinate/test_group.c — a group's life, step by step. */
#include "group_rig.h"
#include "core/memory.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct group_rig rig;

struct caller {
    struct rl_group_join join;
    struct rl_group_sync sync;
    struct rl_group_protocol protocol;
    char id[128];
    int joined, synced;                 /* answers so far */
    char assigned[64];
};

static struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

static void on_joined(struct rl_group_answer *answer)
{
    struct caller *c = RL_CONTAINER_OF(answer, struct caller, join.answer);
    c->joined++;
    if (c->join.ret_member_id.data != (const uint8_t *)c->id)
        snprintf(c->id, sizeof c->id, "%.*s", (int)c->join.ret_member_id.bytes, (const char *)c->join.ret_member_id.data);
}

static void on_synced(struct rl_group_answer *answer)
{
    struct caller *c = RL_CONTAINER_OF(answer, struct caller, sync.answer);
    c->synced++;
    snprintf(c->assigned, sizeof c->assigned, "%.*s", (int)c->sync.ret_assignment.bytes,
             (const char *)c->sync.ret_assignment.data);
}

static void caller_done(struct caller *c)
{
    rl_free(c->join.memory);
    rl_free(c->sync.memory);
}

static void join_as(struct caller *c, const char *instance, const char *metadata)
{
    rl_free(c->join.memory);
    c->protocol = (struct rl_group_protocol){ text("range"), text(metadata) };
    c->join = (struct rl_group_join){
        .group_id = text("g"), .member_id = text(c->id), .client_id = text("me"), .client_host = text("/h"),
        .instance_id = instance != NULL ? text(instance) : (struct rl_slice){ 0 },
        .protocol_type = text("consumer"), .protocols = &c->protocol, .protocol_count = 1,
        .session_timeout_ms = 1000, .rebalance_timeout_ms = 5000, .needs_member_id = true,
        .answer = { .done = on_joined },
    };
    rl_groups_join(&rig.groups, &c->join);
    group_rig_turn(&rig);
}

/* With the id that it is given first. */
static void join(struct caller *c)
{
    join_as(c, NULL, "m");
    if (c->joined == 1 && c->join.error == RL_GROUP_MEMBER_ID_REQUIRED)
        join_as(c, NULL, "m");
}

static void sync_with(struct caller *c, const struct rl_group_assignment *assignments, uint32_t count)
{
    rl_free(c->sync.memory);
    c->sync = (struct rl_group_sync){
        .group_id = text("g"), .member_id = text(c->id), .generation = c->join.ret_generation,
        .assignments = assignments, .assignment_count = count, .answer = { .done = on_synced },
    };
    rl_groups_sync(&rig.groups, &c->sync);
    group_rig_turn(&rig);
}

static enum rl_group_error beat(const struct caller *c)
{
    return rl_groups_heartbeat(&rig.groups, text("g"), text(c->id), (struct rl_slice){ 0 }, c->join.ret_generation);
}

/* A stable group of two: a leads. */
static void make_pair(struct caller *a, struct caller *b)
{
    group_rig_start(&rig, 1);
    join(a);
    group_rig_advance(&rig, 1);         /* the initial delay of 0 ms */
    cr_assert_eq(a->joined, 2);
    cr_assert_eq(a->join.error, RL_GROUP_OK);
    cr_assert_eq(a->join.ret_generation, 1);
    join(b);
    cr_assert_eq(b->joined, 1, "waits for a");
    cr_assert_eq(beat(a), RL_GROUP_REBALANCING);
    join(a);
    cr_assert_eq(a->join.ret_generation, 2);
    cr_assert_eq(b->joined, 2);
    cr_assert_eq(a->join.ret_member_count, 2);
    cr_assert_eq(b->join.ret_member_count, 0, "only the leader is told the members");
    struct rl_group_assignment assignments[] = { { text(a->id), text("p0") }, { text(b->id), text("p1") } };
    sync_with(b, NULL, 0);
    sync_with(a, assignments, 2);
    cr_assert_eq(a->synced + b->synced, 0, "not before it is stored");
    group_rig_settle(&rig);
    cr_assert_eq(a->synced + b->synced, 2);
    cr_assert_str_eq(a->assigned, "p0");
    cr_assert_str_eq(b->assigned, "p1");
    cr_assert_eq(beat(a), RL_GROUP_OK);
}

static void end_pair(struct caller *a, struct caller *b)
{
    group_rig_stop(&rig);
    caller_done(a);
    caller_done(b);
}

Test(group, two_members)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    cr_assert_str_eq(rl_group_state_name(rl_groups_find(&rig.groups, text("g"))->state), "Stable");
    end_pair(&a, &b);
}

Test(group, silence_ends_a_membership)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    group_rig_advance(&rig, 600);
    cr_assert_eq(beat(&a), RL_GROUP_OK);
    group_rig_advance(&rig, 600);       /* b has not been heard of for 1200 ms */
    cr_assert_eq(beat(&a), RL_GROUP_REBALANCING);
    cr_assert_eq(beat(&b), RL_GROUP_UNKNOWN_MEMBER);
    join(&a);
    cr_assert_eq(a.join.ret_generation, 3);
    cr_assert_eq(a.join.ret_member_count, 1);
    end_pair(&a, &b);
}

Test(group, who_does_not_join_again_is_left_behind)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    join_as(&a, NULL, "other topics");
    for (int i = 0; i < 5; i++) {       /* b lives, but never joins */
        group_rig_advance(&rig, 900);
        cr_assert_eq(beat(&b), RL_GROUP_REBALANCING);
    }
    group_rig_advance(&rig, 900);
    cr_assert_eq(a.join.ret_generation, 3);
    cr_assert_eq(a.join.ret_member_count, 1);
    cr_assert_eq(beat(&b), RL_GROUP_UNKNOWN_MEMBER);
    end_pair(&a, &b);
}

Test(group, who_does_not_sync_is_removed)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    join_as(&a, NULL, "m");             /* the leader asks for a new assignment */
    join_as(&b, NULL, "m");
    cr_assert_eq(b.join.ret_generation, 3);
    sync_with(&b, NULL, 0);
    for (int i = 0; i < 7; i++) {
        group_rig_advance(&rig, 900);
        (void)beat(&a);
    }
    cr_assert_eq(beat(&a), RL_GROUP_UNKNOWN_MEMBER);
    cr_assert_eq(b.synced, 2);
    cr_assert_eq(b.sync.error, RL_GROUP_REBALANCING);
    end_pair(&a, &b);
}

Test(group, an_assignment_that_cannot_be_stored)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    join_as(&a, NULL, "m");
    join_as(&b, NULL, "m");
    struct rl_group_assignment assignments[] = { { text(a.id), text("x") }, { text(b.id), text("y") } };
    sync_with(&b, NULL, 0);
    sync_with(&a, assignments, 2);
    cr_assert(group_rig_end_write(&rig, RL_ENOSPACE));
    cr_assert_eq(a.sync.error, RL_GROUP_NOT_AVAILABLE);
    cr_assert_eq(b.sync.error, RL_GROUP_NOT_AVAILABLE);
    cr_assert_eq(beat(&a), RL_GROUP_REBALANCING);
    end_pair(&a, &b);
}

Test(group, a_static_member_takes_its_place_again)
{
    struct caller a = { 0 }, again = { 0 };
    group_rig_start(&rig, 2);
    join_as(&a, "one", "m");
    group_rig_advance(&rig, 1);
    cr_assert_eq(a.join.error, RL_GROUP_OK);
    struct rl_group_assignment all = { text(a.id), text("everything") };
    sync_with(&a, &all, 1);
    group_rig_settle(&rig);
    join_as(&again, "one", "m");
    cr_assert_eq(again.joined, 0, "its new id is stored first");
    group_rig_settle(&rig);
    cr_assert_eq(again.join.error, RL_GROUP_OK);
    cr_assert_eq(again.join.ret_generation, 1, "nobody has to rebalance");
    cr_assert_str_neq(again.id, a.id);
    cr_assert_eq(rl_groups_heartbeat(&rig.groups, text("g"), text(a.id), text("one"), 1), RL_GROUP_FENCED_INSTANCE);
    sync_with(&again, NULL, 0);
    cr_assert_str_eq(again.assigned, "everything");
    end_pair(&a, &again);
}

static void on_left(struct rl_group_answer *answer)
{
    (void)answer;
}

Test(group, the_last_one_leaves)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    struct rl_group_leave_member leaving[] = { { .member_id = text(a.id) }, { .member_id = text("nobody") },
                                               { .member_id = text(b.id) } };
    struct rl_group_leave leave = { .group_id = text("g"), .members = leaving, .count = 3, .answer = { .done = on_left } };
    rl_groups_leave(&rig.groups, &leave);
    group_rig_turn(&rig);
    cr_assert_eq(leave.error, RL_GROUP_OK);
    cr_assert_eq(leaving[0].error, RL_GROUP_OK);
    cr_assert_eq(leaving[1].error, RL_GROUP_UNKNOWN_MEMBER);
    group_rig_settle(&rig);
    const struct rl_group *group = rl_groups_find(&rig.groups, text("g"));
    cr_assert_eq(group->state, RL_GROUP_EMPTY);
    cr_assert_eq(group->generation, 3);
    end_pair(&a, &b);
}

Test(group, a_caller_that_gives_up)
{
    struct caller a = { 0 }, b = { 0 };
    make_pair(&a, &b);
    join_as(&b, NULL, "other");
    rl_group_join_forget(&rig.groups, &b.join);
    group_rig_turn(&rig);
    cr_assert_eq(b.joined, 3);
    cr_assert_eq(b.join.error, RL_GROUP_LOADING);
    join_as(&a, NULL, "m");
    cr_assert_eq(a.join.ret_generation, 3, "b counts as one who has joined");
    cr_assert_eq(a.join.ret_member_count, 2);
    join_as(&b, NULL, "other");
    cr_assert_eq(b.join.ret_generation, 3, "and is told what it has missed");
    end_pair(&a, &b);
}

/* Two processes with one instance id at the same time: one of them is fenced. */
Test(group, a_static_member_twice_at_once)
{
    struct caller a = { 0 }, b = { 0 }, c = { 0 };
    group_rig_start(&rig, 2);
    join_as(&a, "one", "m");
    group_rig_advance(&rig, 1);
    struct rl_group_assignment all = { text(a.id), text("everything") };
    sync_with(&a, &all, 1);
    group_rig_settle(&rig);
    join_as(&b, "one", "m");
    join_as(&c, "one", "m");
    group_rig_settle(&rig);
    cr_assert_eq(b.join.error, RL_GROUP_FENCED_INSTANCE);
    cr_assert_eq(c.join.error, RL_GROUP_OK);
    end_pair(&a, &b);
    caller_done(&c);
}

/* ---- commits ---- */

struct commit {
    struct rl_offset_commit call;
    struct rl_offset_commit_partition partition;
    int answers;
};

static void on_committed(struct rl_group_answer *answer)
{
    RL_CONTAINER_OF(answer, struct commit, call.answer)->answers++;
}

static void commit_as(struct commit *c, const char *member, int32_t generation, int64_t offset)
{
    *c = (struct commit){ .partition = { .topic = text("t"), .partition = 0, .retention_ms = -1,
                                         .value = { .offset = offset, .metadata = text("") } } };
    c->call = (struct rl_offset_commit){ .group_id = text("g"), .member_id = text(member),
                                         .generation = generation, .metadata_units_max = 10,
                                         .partitions = &c->partition, .partition_count = 1,
                                         .answer = { .done = on_committed } };
    rl_groups_commit_offsets(&rig.groups, &c->call);
    group_rig_turn(&rig);
}

static int64_t committed(void)
{
    const struct rl_group *group = rl_groups_find(&rig.groups, text("g"));
    const struct rl_committed_offset *offset = group != NULL
        ? rl_committed_offsets_find(&group->offsets, text("t"), 0) : NULL;
    return offset != NULL ? offset->offset : -1;
}

Test(group, commits_need_the_right_generation)
{
    struct caller a = { 0 }, b = { 0 };
    struct commit c;
    make_pair(&a, &b);
    commit_as(&c, a.id, 1, 5);
    cr_assert_eq(c.call.error, RL_GROUP_ILLEGAL_GENERATION);
    commit_as(&c, "nobody", 2, 5);
    cr_assert_eq(c.call.error, RL_GROUP_UNKNOWN_MEMBER);
    commit_as(&c, "", -1, 5);
    cr_assert_eq(c.call.error, RL_GROUP_UNKNOWN_MEMBER, "the group has members");
    commit_as(&c, a.id, 2, 5);
    cr_assert_eq(c.answers, 0, "not before it is stored");
    cr_assert_eq(committed(), -1);
    group_rig_settle(&rig);
    cr_assert_eq(c.answers, 1);
    cr_assert_eq(c.partition.error, RL_GROUP_OK);
    cr_assert_eq(committed(), 5);
    commit_as(&c, a.id, 2, 9);
    cr_assert(group_rig_end_write(&rig, RL_EIO));
    cr_assert_eq(c.partition.error, RL_GROUP_NOT_COORDINATOR);
    cr_assert_eq(committed(), 5, "what is not stored is not committed");
    end_pair(&a, &b);
}

Test(group, commits_without_members)
{
    struct commit c;
    group_rig_start(&rig, 3);
    commit_as(&c, "", -1, 7);
    group_rig_settle(&rig);
    cr_assert_eq(committed(), 7);
    commit_as(&c, "", 0, 8);
    cr_assert_eq(c.call.error, RL_GROUP_UNKNOWN_MEMBER);
    group_rig_stop(&rig);
}

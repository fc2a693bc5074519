/* tests/coordinate/test_group_histories.c — thousands of random lives of a group, against a model.
 *
 * Members join, sync, beat, commit, leave, fall silent, give up waiting, repeat themselves and use old
 * ids and generations; the store is slow and fails; time passes.  Checked all the time:
 *   - what a member is assigned in a generation is what that generation's leader gave it;
 *   - a commit is only taken from a member of the current generation, and a read never goes back
 *     behind what was acknowledged;
 *   - every call is answered once, at the latest when all timeouts are over;
 *   - counts agree with lists. */
#include "group_rig.h"
#include "core/memory.h"
#include "core/random.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define MEMBERS 6
#define NAMED_MAX 64                    /* those that were killed and not yet missed count, too */
#define HISTORIES 1500
#define STEPS 300

struct life {
    int index;
    char id[128];
    char instance[16];                  /* "": dynamic */
    char metadata[8];
    int32_t generation;
    bool joining, syncing, committing, leads;
    bool in_generation, assigned;       /* as far as it knows */
    char named[NAMED_MAX][128];           /* as a leader: whom it was told of */
    uint32_t named_count;
    struct rl_group_join join;
    struct rl_group_sync sync;
    struct rl_group_protocol protocols[2];
    struct rl_group_assignment assignments[NAMED_MAX];
    char parts[NAMED_MAX][32];
    struct rl_offset_commit commit;
    struct rl_offset_commit_partition partition;
};

static struct group_rig rig;
static struct rl_random dice;
static struct life lives[MEMBERS];
static int64_t next_offset, acknowledged;
static uint64_t parts_given, commits_kept, replacements;  /* the histories are worth something */

static uint32_t roll(uint32_t sides)
{
    return (uint32_t)rl_random_below(&dice, sides);
}

static struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

static struct rl_slice instance_of(const struct life *l)
{
    return l->instance[0] != '\0' ? text(l->instance) : (struct rl_slice){ 0 };
}

static void copy(char *to, size_t bytes, struct rl_slice from)
{
    snprintf(to, bytes, "%.*s", (int)from.bytes, (const char *)from.data);
}

static const struct rl_group *group(void)
{
    return rl_groups_find(&rig.groups, text("g"));
}

/* ---- JoinGroup ---- */

static void on_joined(struct rl_group_answer *answer)
{
    struct life *l = RL_CONTAINER_OF(answer, struct life, join.answer);
    struct rl_group_join *join = &l->join;
    cr_assert(l->joining, "one answer");
    l->joining = false;
    if (join->error == RL_GROUP_OK || join->error == RL_GROUP_MEMBER_ID_REQUIRED)
        copy(l->id, sizeof l->id, join->ret_member_id);
    else if (join->error == RL_GROUP_UNKNOWN_MEMBER || join->error == RL_GROUP_FENCED_INSTANCE)
        l->id[0] = '\0';
    l->in_generation = join->error == RL_GROUP_OK;
    l->assigned = false;
    if (join->error == RL_GROUP_OK) {
        l->generation = join->ret_generation;
        replacements += group() != NULL && group()->state == RL_GROUP_STABLE && l->instance[0] != '\0';
        l->leads = rl_slice_equal(join->ret_leader, join->ret_member_id) && !join->ret_skip_assignment;
        cr_assert_leq(join->ret_member_count, NAMED_MAX);
        l->named_count = join->ret_member_count;
        for (uint32_t i = 0; i < l->named_count; i++)
            copy(l->named[i], sizeof l->named[i], join->ret_members[i].id);
    }
    rl_free(join->memory);
    join->memory = NULL;
}

static void do_join(struct life *l)
{
    if (l->joining)
        return;
    if (roll(4) == 0)
        snprintf(l->metadata, sizeof l->metadata, "m%u", roll(3));
    l->protocols[0] = (struct rl_group_protocol){ text("range"), text(l->metadata) };
    l->protocols[1] = (struct rl_group_protocol){ text(roll(2) ? "sticky" : "odd"), text(l->metadata) };
    l->join = (struct rl_group_join){
        .group_id = text("g"), .member_id = text(l->id), .instance_id = instance_of(l),
        .client_id = text("c"), .client_host = text("/h"), .protocol_type = text("consumer"),
        .protocols = l->protocols, .protocol_count = 1 + roll(2),
        .session_timeout_ms = 1000, .rebalance_timeout_ms = 3000, .needs_member_id = roll(2) == 0,
        .can_skip_assignment = roll(2) == 0, .answer = { .done = on_joined },
    };
    l->joining = true;
    rl_groups_join(&rig.groups, &l->join);
}

/* ---- SyncGroup ---- */

/* What the leader of a generation gives to a member, so that anybody can check it. */
static void part_of(char *to, size_t bytes, int32_t generation, const char *id)
{
    snprintf(to, bytes, "%d/%.24s", generation, id + (strlen(id) > 24 ? strlen(id) - 24 : 0));
}

static void on_synced(struct rl_group_answer *answer)
{
    struct life *l = RL_CONTAINER_OF(answer, struct life, sync.answer);
    cr_assert(l->syncing, "one answer");
    l->syncing = false;
    l->in_generation &= l->sync.error == RL_GROUP_OK;
    l->assigned = l->sync.error == RL_GROUP_OK;
    if (l->sync.error == RL_GROUP_OK) {
        char expected[32], got[64];
        part_of(expected, sizeof expected, l->sync.generation, l->id);
        copy(got, sizeof got, l->sync.ret_assignment);
        parts_given += got[0] != '\0';
        /* A static member that took its place again keeps what its old self was given. */
        if (l->instance[0] == '\0')
            cr_assert(strcmp(got, expected) == 0, "got %s, not %s", got, expected);
        else
            cr_assert(atoi(got) == l->sync.generation, "got %s in %d", got, l->sync.generation);
    }
    rl_free(l->sync.memory);
    l->sync.memory = NULL;
}

static void do_sync(struct life *l)
{
    if (l->syncing || l->joining)
        return;
    uint32_t count = l->leads ? l->named_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        part_of(l->parts[i], sizeof l->parts[i], l->generation, l->named[i]);
        l->assignments[i] = (struct rl_group_assignment){ text(l->named[i]), text(l->parts[i]) };
    }
    l->sync = (struct rl_group_sync){
        .group_id = text("g"), .member_id = text(l->id), .instance_id = instance_of(l),
        .generation = roll(20) == 0 ? l->generation - 1 : l->generation,
        .assignments = l->assignments, .assignment_count = count, .answer = { .done = on_synced },
    };
    l->syncing = true;
    rl_groups_sync(&rig.groups, &l->sync);
}

/* ---- commits ---- */

static void on_committed(struct rl_group_answer *answer)
{
    struct life *l = RL_CONTAINER_OF(answer, struct life, commit.answer);
    cr_assert(l->committing, "one answer");
    l->committing = false;
    if (l->commit.error == RL_GROUP_OK && l->partition.error == RL_GROUP_OK) {
        acknowledged = RL_MAX(acknowledged, l->partition.value.offset);
        commits_kept++;
    }
}

static void do_commit(struct life *l)
{
    if (l->committing)
        return;
    const struct rl_group *g = group();
    int32_t generation = roll(10) == 0 ? l->generation - 1 : l->generation;
    bool fenced = g == NULL || generation != g->generation ||
                  rl_group_check_member(g, text(l->id), instance_of(l)) != RL_GROUP_OK;
    uint32_t before = rig.records;
    l->partition = (struct rl_offset_commit_partition){
        .topic = text("t"), .partition = 1, .retention_ms = -1,
        .value = { .offset = next_offset++, .metadata = text("") } };
    l->commit = (struct rl_offset_commit){
        .group_id = text("g"), .member_id = text(l->id), .instance_id = instance_of(l),
        .generation = generation, .metadata_units_max = 100, .partitions = &l->partition, .partition_count = 1,
        .answer = { .done = on_committed } };
    l->committing = true;
    rl_groups_commit_offsets(&rig.groups, &l->commit);
    if (fenced && generation >= 0)
        cr_assert_eq(rig.records, before, "a fenced member has committed");
}

static void check_committed(void)
{
    struct rl_offset_fetch_partition partition = { .partition = 1 };
    struct rl_offset_fetch_topic topic = { text("t"), &partition, 1 };
    struct rl_offset_fetch fetch = { .bytes_max = SIZE_MAX, .group_id = text("g"), .topics = &topic, .topic_count = 1 };
    rl_groups_fetch_offsets(&rig.groups, &fetch);
    cr_assert_geq(partition.offset, acknowledged);
    rl_free(fetch.memory);
}

/* ---- the group itself ---- */

static void check_counts(void)
{
    const struct rl_group *g = group();
    uint32_t members = 0, joining = 0, syncing = 0;
    if (g == NULL)
        return;
    RL_LIST_EACH(node, &g->members) {
        const struct rl_group_member *m = RL_LIST_ENTRY(node, struct rl_group_member, link);
        members++;
        joining += m->awaiting_join;
        syncing += m->pending_sync;
        cr_assert_eq(rl_table_find(&g->by_member_id, m->id), m);
        cr_assert(rl_timer_running(&m->session_timer) || m->awaiting_join || m->awaiting_sync,
                  "nothing would ever end this membership");
    }
    cr_assert_eq(members, rl_table_count(&g->by_member_id));
    cr_assert_eq(joining, g->awaiting_join_count);
    cr_assert_eq(syncing, g->pending_sync_count);
    cr_assert_eq(members == 0, g->leader == NULL);
    cr_assert(g->state != RL_GROUP_EMPTY || members == 0);
    if (g->state == RL_GROUP_STABLE || g->state == RL_GROUP_COMPLETING)
        cr_assert_not_null(g->protocol.data);
}

/* ---- a history ---- */

static void do_leave(struct life *l)
{
    if (l->joining || l->syncing)
        return;
    group_rig_leave(&rig, text(l->id), instance_of(l));
}

static void do_beat(struct life *l)
{
    enum rl_group_error error = rl_groups_heartbeat(&rig.groups, text("g"), text(l->id), instance_of(l),
                                                    l->generation);
    l->in_generation &= error == RL_GROUP_OK;
}

/* What a client in its right mind does next. */
static void do_right(struct life *l)
{
    if (!l->in_generation)
        do_join(l);
    else if (!l->assigned)
        do_sync(l);
    else if (roll(3) == 0)
        do_commit(l);
    else
        do_beat(l);
}

static void step(void)
{
    struct life *l = &lives[roll(MEMBERS)];
    switch (roll(40)) {
    case 0: case 1: case 2:
        do_join(l);
        break;
    case 3: case 4: case 5:
        do_sync(l);
        break;
    case 6:
        do_beat(l);
        break;
    case 7:
        do_commit(l);
        break;
    case 8:
        if (roll(4) == 0)
            do_leave(l);
        break;
    case 9:
        if (l->joining && roll(3) == 0)
            rl_group_join_forget(&rig.groups, &l->join);
        if (l->syncing && roll(3) == 0)
            rl_group_sync_forget(&rig.groups, &l->sync);
        break;
    case 10:
        if (!l->joining && !l->syncing && !l->committing) {
            l->id[0] = '\0';            /* it was killed and starts anew */
            l->in_generation = l->assigned = false;
        }
        break;
    case 11:
        group_rig_advance(&rig, roll(400));
        break;
    case 12: case 13: case 14: case 15: case 16: case 17:
        (void)group_rig_end_write(&rig, roll(12) == 0 ? RL_ENOSPACE : RL_OK);
        break;
    default:
        do_right(l);
        break;
    }
    group_rig_turn(&rig);
    check_counts();
    check_committed();
}

static void history(uint64_t seed)
{
    memset(lives, 0, sizeof lives);
    rl_random_init(&dice, seed);
    group_rig_start(&rig, seed);
    rig.limits.initial_rebalance_delay_ms = roll(2) ? 0 : 100;
    rig.limits.size_max = roll(8) == 0 ? 3 : 100;
    next_offset = 0;
    acknowledged = -1;
    for (int i = 0; i < MEMBERS; i++) {
        lives[i].index = i;
        if (roll(3) == 0)
            snprintf(lives[i].instance, sizeof lives[i].instance, "i%d", i);
        strcpy(lives[i].metadata, "m0");
    }
    for (int i = 0; i < STEPS; i++)
        step();
    for (int i = 0; i < 400; i++) {     /* beyond every timeout */
        group_rig_advance(&rig, 1000);
        while (group_rig_end_write(&rig, RL_OK))
            ;
    }
    for (int i = 0; i < MEMBERS; i++)
        cr_assert(!lives[i].joining && !lives[i].syncing && !lives[i].committing, "no answer for %d, seed %llu",
                  i, (unsigned long long)seed);
    const struct rl_group *g = group();
    cr_assert(g == NULL || g->state == RL_GROUP_EMPTY, "seed %llu", (unsigned long long)seed);
    group_rig_stop(&rig);
}

Test(group_histories, random)
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        history(seed);
    cr_assert_gt(parts_given, 2 * HISTORIES);
    cr_assert_gt(commits_kept, HISTORIES);
    cr_assert_gt(replacements, 10);
}

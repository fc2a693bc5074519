/* tests/coordinate/test_consumer_histories.c — thousands of random lives of a group of the consumer
 * protocol, against a model.
 *
 * Members join, beat, give up and take what they are told, commit, leave, come back under an old
 * instance id, fall silent, die; requests and answers are lost and repeated; topics come, grow and go;
 * writes are slow and fail; the broker is killed and reads its records again.  Checked all the time:
 *   - no partition belongs to two members, and what a member of the group owns, by what it was told, is
 *     its own here;
 *   - a commit that is taken is of a member of the group, for a partition that no other member owns;
 *   - a read of offsets never goes back behind what was acknowledged;
 *   - every call is answered once, also when a pattern is looked for meanwhile;
 * Some members speak the classic protocol, so that groups change theirs.
 *   - when all is quiet everybody has what the assignment says, and every partition that is read is
 *     somebody's. */
#include "consumer_model.h"
#include "coordinate/consumer_group_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "recorded_log.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define HISTORIES 500
#define STEPS 400

static uint64_t converged, reloads;

static void reload(void)
{
    recorded_log_reload();
    reloads++;
}

/* ---- the group itself ---- */

static void check_owners(void)
{
    const struct rl_group *g = group();
    struct rl_partition_set all = { 0 };
    uint32_t count = 0;
    size_t bytes = 0;
    if (g == NULL)
        return;
    RL_LIST_EACH(node, &g->consumer->members) {
        const struct rl_consumer_member *m = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        const struct rl_partition_set *sets[] = { &m->assigned, &m->revoking };
        for (int s = 0; s < 2; s++)
            for (uint32_t i = 0; i < sets[s]->count; i++, count++) {
                rl_partition_set_add(&all, sets[s]->items[i].topic_id, sets[s]->items[i].partition);
                const struct rl_partition_owner *owner = rl_consumer_group_owner(g, sets[s]->items[i]);
                cr_assert(owner != NULL && owner->member == m, "seed %llu", (unsigned long long)model.seed);
            }
        cr_assert(rl_timer_running(&m->session_timer), "nothing would ever end this membership");
        if (!m->is_classic)
            cr_assert_eq(m->state == RL_CONSUMER_MEMBER_UNREVOKED, rl_timer_running(&m->rebalance_timer));
        cr_assert_leq(m->epoch, g->consumer->assignment_epoch);
        bytes += m->bytes;
    }
    uint32_t at = 0;
    for (const struct rl_group_regex *r; (r = rl_table_next(&g->consumer->regexes, &at)) != NULL;)
        for (uint32_t i = 0; i < r->topic_count; i++)
            bytes += sizeof *r->topics + r->topics[i].bytes;
    cr_assert_eq(g->consumer->member_bytes, bytes);
    uint64_t kept = rl_consumer_group_hash(g);
    g->consumer->topics_hash_known = false;
    cr_assert_eq(rl_consumer_group_hash(g), kept, "seed %llu", (unsigned long long)model.seed);
    rl_partition_set_sort(&all);
    cr_assert_eq(all.count, count, "two owners, seed %llu", (unsigned long long)model.seed);
    cr_assert_eq(rl_table_count(&g->consumer->owners), count);
    rl_partition_set_done(&all);
}

/* What clients really have. */
static void check_clients(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *c = &model.clients[i];
        if (!client_is_member(c) || c->leaving || c->joining)
            continue;
        const struct rl_consumer_member *m = rl_consumer_group_find(group(), text(c->id));
        /* A classic generation begins before it is stored. */
        cr_assert(c->is_classic || m->epoch == RL_CONSUMER_LEAVE_STATIC || c->epoch <= m->epoch,
                  "%s was told what is not on stable storage, seed %llu", c->id, (unsigned long long)model.seed);
        if (c->epoch != m->epoch && c->epoch != m->previous_epoch)
            continue;                   /* it will be fenced */
        for (uint32_t k = 0; k < c->owns.count; k++)
            cr_assert((c->is_classic && topic_of(c->owns.items[k].topic_id) == NULL) ||       /* it knows names only */
                      rl_partition_set_has(&m->assigned, c->owns.items[k]) ||
                      rl_partition_set_has(&m->revoking, c->owns.items[k]),
                      "%s owns what is not its own, seed %llu", c->id, (unsigned long long)model.seed);
    }
}

static void check(void)
{
    check_owners();
    check_clients();
    check_committed();
}

static uint64_t upgraded, downgraded;

static void count_changes(void)
{
    static bool was_classic, was_consumer;
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    bool is_consumer = group() != NULL, is_classic = g != NULL && !is_consumer && !rl_group_is_empty(g);
    upgraded += was_classic && is_consumer && !rl_group_is_empty(g);
    downgraded += was_consumer && is_classic;
    was_classic = is_classic;
    was_consumer = is_consumer;
}

/* ---- a history ---- */

static void step(void)
{
    struct client *c = &model.clients[roll(CLIENTS)];
    switch (roll(40)) {
    case 0:
        client_leave(c);
        break;
    case 1:
        if (roll(3) == 0)
            client_die(c);
        break;
    case 2:
        if (roll(3) == 0)
            change_topic();
        break;
    case 3:
        group_rig_advance(&rig, roll(4) == 0 ? 2000 : roll(400));
        break;
    case 4:
        if (c->beat != NULL)
            client_give_up_waiting(c);
        break;
    case 5:
        if (roll(4) == 0)
            reload();
        break;
    case 6: case 7: case 8: case 9: case 10: case 11: case 12: case 13:
        (void)recorded_log_end_write();
        break;
    case 14: case 15: case 16: case 17: case 18: case 19:
        client_apply(c);
        break;
    case 20: case 21: case 22: case 23: case 24: case 25:
        client_commit(c);
        break;
    default:
        client_beat(c);
        break;
    }
    group_rig_turn(&rig);
    check();
    count_changes();
}

static uint64_t converged_classic;

/* Only members of the classic protocol are left: the group is theirs. */
static void check_converged_classic(void)
{
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    cr_assert_not_null(g);
    cr_assert_eq(g->state, RL_GROUP_STABLE, "%s, seed %llu", rl_group_state_name(g->state), (unsigned long long)model.seed);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(model.clients[i].is_classic && model.clients[i].assigned && model.clients[i].epoch == g->generation);
    converged_classic++;
    converged++;
}

static void check_converged(void)
{
    const struct rl_group *g = group();
    uint32_t assigned = 0, expected = 0;
    if (g == NULL) {
        check_converged_classic();
        return;
    }
    cr_assert_eq(rl_consumer_group_state(g), RL_CONSUMER_GROUP_STABLE, "%s, seed %llu",
                 rl_consumer_group_state_name(rl_consumer_group_state(g)), (unsigned long long)model.seed);
    cr_assert_eq(rl_table_count(&g->consumer->by_member_id), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        const struct rl_consumer_member *m = rl_consumer_group_find(g, text(model.clients[i].id));
        cr_assert_not_null(m);
        cr_assert_eq(m->epoch, g->consumer->epoch);
        cr_assert(rl_partition_set_equal(&m->assigned, &m->target));
        cr_assert(rl_partition_set_equal(&m->assigned, &model.clients[i].owns), "seed %llu", (unsigned long long)model.seed);
        assigned += m->assigned.count;
    }
    for (int t = 0; t < TOPICS; t++) {
        bool read = false;
        for (int i = 0; i < CLIENTS; i++)
            read |= model.clients[i].reads[t];
        expected += read ? (uint32_t)model.topics[t].partition_count : 0;
    }
    cr_assert_eq(assigned, expected, "seed %llu", (unsigned long long)model.seed);
    converged++;
}

/* Everybody beats and does what he is told; who was there and is no more has timed out. */
static void be_quiet(void)
{
    for (int round = 0; round < 60; round++) {
        group_rig_advance(&rig, 500);
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &model.clients[i];
            client_apply(c);
            client_apply(c);
            if (c->is_classic)
                client_do_classic(c);
            else if (c->beat == NULL)
                client_send_beat(c, c->epoch);
            recorded_log_settle();
            check();
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        client_apply(&model.clients[i]);
    check_converged();
}

static void begin(uint64_t seed)
{
    static const char *const assignors[] = { "uniform", "range", NULL };
    model.seed = seed;
    rl_random_init(&model.dice, seed);
    group_rig_start(&rig, seed);
    recorded_log_attach(&rig);
    rig.limits.consumer_session_timeout_ms = 3000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 100;
    rig.limits.can_upgrade = rig.limits.can_downgrade = true;
    rig.limits.assignors = assignors + seed % 2;
    rig.groups.image = current_image;
    memset(model.topics, 0, sizeof model.topics);
    for (int i = 0; i < TOPICS; i++) {
        model.topics[i].name = topic_names[i];
        for (int p = 0; p < PARTITIONS_MAX; p++)
            model.acknowledged[i][p] = -1;
    }
    model.next_topic_id = 0;
    for (int i = 0; i < 4; i++)
        change_topic();
    model.next_offset = 0;
    for (int i = 0; i < CLIENTS; i++) {
        model.clients[i] = (struct client){ 0 };
        if (roll(3) == 0)
            snprintf(model.clients[i].instance, sizeof model.clients[i].instance, "i%d", i);
        client_be_somebody_new(&model.clients[i]);
        client_choose_topics(&model.clients[i]);
    }
}

static void end(void)
{
    recorded_log_settle();
    rl_groups_drop_all(&rig.groups, RL_GROUP_NOT_COORDINATOR);
    recorded_log_settle();
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(!model.clients[i].committing, "no answer for %d", i);
        rl_partition_set_done(&model.clients[i].owns);
        rl_partition_set_done(&model.clients[i].wants);
        rl_text_done(&model.clients[i].metadata);
        for (int k = 0; k < NAMED_MAX; k++) {
            rl_text_done(&model.clients[i].parts[k]);
            rl_free((void *)(uintptr_t)model.clients[i].assignments[k].member_id.data);
        }
        cr_assert(!model.clients[i].joining && !model.clients[i].syncing, "no answer for %d", i);
    }
    cr_assert_eq(model.beats_out, 0, "no answer");
    recorded_log_done();
    group_rig_stop(&rig);
}

static void history(uint64_t seed)
{
    begin(seed);
    for (int i = 0; i < STEPS; i++)
        step();
    be_quiet();
    reload();                           /* and a start finds the same */
    check();
    check_converged();
    end();
}

Test(consumer_histories, random)
{
    rl_logger_set_level(RL_LOG_WARN);
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        history(seed);
    printf("%llu upgraded, %llu downgraded, %llu converged classic\n", (unsigned long long)upgraded,
           (unsigned long long)downgraded, (unsigned long long)converged_classic);
    printf("%llu converged, %llu commits taken, %llu refused, %llu fenced, %llu told to give up, %llu reloads\n",
           (unsigned long long)converged, (unsigned long long)model.commits_kept, (unsigned long long)model.commits_refused,
           (unsigned long long)model.fenced, (unsigned long long)model.revoked, (unsigned long long)reloads);
    cr_assert_eq(converged, 2 * HISTORIES);
    cr_assert_gt(model.commits_kept, 2 * HISTORIES);
    cr_assert_gt(model.commits_refused, 100);
    cr_assert_gt(model.fenced, HISTORIES / 2);
    cr_assert_gt(model.revoked, HISTORIES);
    cr_assert_gt(model.replaced, 10);
    cr_assert_gt(upgraded, 20);
    cr_assert_gt(downgraded, 20);
}

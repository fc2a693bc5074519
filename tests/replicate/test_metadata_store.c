/* tests/replicate/test_metadata_store.c — the local store against a model, also under power cuts. */
#include "core/memory.h"
#include "metadata_trace.h"
#include <criterion/criterion.h>

TestSuite(metadata_store);

Test(metadata_store, versions_and_transactions)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 1);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);

    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 0) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 2) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "3", -1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("b", -1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("b", 1) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, NULL, 0), RL_OK);
    /* The second op fails: the first one did not happen. */
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "x", 0),
                                                            put("a", "x", 7) }, 2), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "y", 0),
                                                            put("b", "z", 1) }, 2), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("", "x", -1) }, 1), RL_EINVAL);

    for (int reopened = 0; reopened < 2; reopened++) {
        struct rl_metadata_tree all = user_list(&u, "");
        cr_assert_eq(all.count, 2);
        expect_entry(&all, "a", "3", 3);
        expect_entry(&all, "b", "z", 2);
        rl_metadata_tree_done(&all);
        user_close(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    }
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("a", 3), put("b/c", "", 0),
                                                            put("b/d", "", 0) }, 3), RL_OK);
    struct rl_metadata_tree some = user_list(&u, "b/");
    cr_assert_eq(some.count, 2);
    expect_entry(&some, "b/c", "", 1);
    expect_entry(&some, "b/d", "", 1);
    rl_metadata_tree_done(&some);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, unknown_home)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 1);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "zk:somewhere:2181"), RL_EUNSUPPORTED);
    cr_assert_eq(user_open(&u, &rig, "local:"), RL_EUNSUPPORTED);
    cr_assert_eq(user_open(&u, &rig, "local:missing/meta"), RL_ENOTFOUND);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, model_with_reopen)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rig rig;
        rig_init(&rig, 1, seed);
        rig_boot(&rig, 0);
        trace_init(t, seed);
        for (int part = 0; part < 3; part++) {          /* three lives of one store */
            struct model last = t->states[t->state_count - 1];
            t->states[0] = last;
            t->state_count = 1;
            t->issued = t->next_answer = 0;
            trace_open(t, &rig);
            cr_assert_eq(t->user.status, RL_OK);
            cr_assert_eq(trace_state(t, &t->user), 0);
            trace_run(t, &rig);
            cr_assert_eq(trace_state(t, &t->user), t->state_count - 1);
            user_close(&t->user);
        }
        rig_halt(&rig);
        rig_done(&rig);
    }
    rl_free(t);
}

/* One life that is cut short at one call to the disk.  Returns false when the trace ended first. */
static bool cut_once(struct trace *t, uint64_t seed, uint32_t cut_at)
{
    struct rig rig;
    struct user again;
    rig_init(&rig, 1, seed * 1000003 + cut_at);
    rig_boot(&rig, cut_at);
    trace_init(t, seed);
    trace_open(t, &rig);
    if (t->user.status == RL_OK) {
        trace_run(t, &rig);
        user_close(&t->user);
    }
    bool cut = rig.cut;
    rig_halt(&rig);
    rig_lose(&rig);

    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK, "seed %lu cut %u: %s", seed, cut_at,
                 rl_status_name(again.status));
    int64_t state = trace_state(t, &again);
    cr_assert_geq(state, trace_acknowledged(t), "seed %lu cut %u: a commit is lost", seed, cut_at);
    /* What was found stays, and the store works. */
    cr_assert_eq(user_commit(&again, (struct rl_metadata_op[]){ put("x", "y", 0) }, 1), RL_OK);
    rig.cut = true;                                     /* as if killed: it is not sealed */
    user_close(&again);
    rig_halt(&rig);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK);
    cr_assert_eq(trace_state(t, &again), state);
    user_close(&again);
    rig_halt(&rig);
    rig_done(&rig);
    return cut;
}

Test(metadata_store, power_cut_at_every_call, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint32_t cut_at = 1;
        while (cut_once(t, seed, cut_at))
            cut_at++;
        cr_assert_gt(cut_at, 50);
    }
    rl_free(t);
}

Test(metadata_store, one_sync_for_all_commits_of_a_turn)
{
    struct rig rig;
    struct trace *t = rl_alloc(sizeof *t);
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 5);
    rig_boot(&rig, 0);
    trace_init(t, 5);
    cr_assert_eq(user_open(&t->user, &rig, "local:meta"), RL_OK);
    uint64_t syncs = rl_mem_disk_calls(rig.disk, RL_MEM_SYNC);
    while (t->issued < 50)
        rig_post(&rig, 0, do_transaction, trace_next(t));
    rig_run(&rig);
    cr_assert_eq(t->next_answer, 50);
    cr_assert_leq(rl_mem_disk_calls(rig.disk, RL_MEM_SYNC) - syncs, 2);
    user_close(&t->user);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

/* tests/sim/sim_exhaustive.c — a crash at every disk call of a run.
 *
 * One run without trouble: several lives with different numbers of shards, clean stops between.
 * Before every disk call that changes something the process forks, once per way to die: the child
 * dies at that call, recovers, is compared with the model, lets the clients finish and is compared
 * once more, while the parent goes on as if nothing had been.  So only recovery runs again.
 * A crash that leaves the disk that the call before left, of which nobody has been promised more
 * since, is the same one and counted, not repeated.
 * Failures: a child says what is wrong and which options repeat just that crash; all others of the
 * run go on, and the exit code is 1. */
#include "sim.h"
#include "core/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE_OPERATIONS_MIN 150
#define CHILDREN_MAX 2                  /* at a time */
#define KILL_EVERY 4                    /* calls: a kill loses nothing that was done */
#define RESTART_EVERY 8                 /* calls: once more after all is well */
#define FAILURES_MAX 20                 /* then it ends: they are the same one */

enum way { WAY_OLD, WAY_NEW, WAY_TORN, WAY_KILL, WAYS };
static const char *const way_names[WAYS] = { "old", "new", "torn", "kill" };
static const struct { enum sim_cut cut; enum sim_end end; uint32_t keep_percent; } ways[WAYS] = {
    [WAY_OLD] = { SIM_CUT_BEFORE, SIM_END_CUT, 0 },
    [WAY_NEW] = { SIM_CUT_AFTER, SIM_END_CUT, 100 },
    [WAY_TORN] = { SIM_CUT_TORN, SIM_END_CUT, 50 },
    [WAY_KILL] = { SIM_CUT_TORN, SIM_END_KILL, 0 },
};

static struct sim_sweep sweep;
static enum way way;                    /* in a child: how it dies */
static bool is_child;
static uint32_t children, failures;
static uint64_t crashes, the_same;
static bool synced_before;              /* the call before made something last */
static uint64_t promises_before[WAYS] = { UINT64_MAX, UINT64_MAX };     /* at the last call that died so */
static uint64_t *child_counts;          /* shared with the children */

static void reap(void)
{
    int status;

    if (waitpid(-1, &status, 0) < 0)
        return;
    children--;
    failures += status != 0;
}

static void become(struct sim *sim, enum way this)
{
    is_child = true;
    sweep.on = false;
    way = this;
    sim->may_die = true;
    sim->disk.cut = ways[this].cut;
    sim->disk.die_at = sim->disk.calls;
}

/* Answers that something is there, and stays. */
static uint64_t promises(const struct sim *sim)
{
    uint64_t given = sim->counts[SIM_APPENDS] + sim->counts[SIM_TOPICS] + sim->counts[SIM_COMMITS] +
                     sim->counts[SIM_SYNCED] + sim->counts[SIM_OFFSETS_FETCHED];

    for (uint32_t i = 0; i < sim->client_count; i++)
        given += sim->clients[i].producer_id >= 0;
    return given;
}

/* What no sync covers is lost, and nothing was synced since; or it is kept, and nothing but a sync was
 * done since: the disk is as after the call before. */
static bool is_the_same(const struct sim *sim, enum way this, bool syncs)
{
    bool same_disk = this == WAY_OLD ? !synced_before : this == WAY_NEW && syncs;

    return same_disk && sweep.stride == 1 && !sweep.all_ways &&
           promises(sim) == promises_before[this];
}

void sim_exhaustive_fork(struct sim *sim, bool is_write, bool syncs)
{
    uint64_t call = sim->disk.calls;

    if (!sweep.on || failures >= FAILURES_MAX)
        return;
    if (sweep.only_call >= 0) {
        if (call == (uint64_t)sweep.only_call)
            become(sim, (enum way)sweep.only_cut);
        return;
    }
    if (call < sweep.from || call >= sweep.to || (call - sweep.from) % sweep.stride != 0)
        return;
    fflush(NULL);
    for (int i = 0; i < WAYS; i++) {
        if ((i == WAY_TORN && !is_write) || (i == WAY_KILL && call % KILL_EVERY != 0))
            continue;
        bool same = is_the_same(sim, (enum way)i, syncs);
        promises_before[i] = promises(sim);
        if (same) {
            the_same++;
            continue;
        }
        while (children >= CHILDREN_MAX)
            reap();
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            exit(2);
        }
        if (pid == 0) {
            become(sim, (enum way)i);
            return;
        }
        children++;
        crashes++;
    }
    synced_before = syncs;
}

/* Where a child comes to when it died. */
static noreturn void recover(struct sim *sim)
{
    uint64_t before[SIM_COUNT_KINDS];

    for (int i = 0; i < SIM_COUNT_KINDS; i++)
        before[i] = sim->counts[i];
    sim_leave_broker();
    snprintf(sim->options.replay, sizeof sim->options.replay, "--exhaustive --call %llu --way %s%s",
             (unsigned long long)sim->disk.calls - 1, way_names[way],
             sim->members != NULL ? " --groups yes" : "");
    sim->calm = false;
    sim_crash(sim, ways[way].end, ways[way].keep_percent);
    sim_heal(sim, sim->disk.calls % RESTART_EVERY == 0);
    for (int i = 0; i < SIM_COUNT_KINDS && child_counts != NULL; i++)
        __atomic_fetch_add(&child_counts[i], sim->counts[i] - before[i], __ATOMIC_RELAXED);
    fflush(NULL);
    _exit(0);
}

/* volatile-free: nothing local is used after the jump but sim, which never changes. */
static void run(struct sim *const sim)
{
    static uint64_t until;

    sim->options.quiet_disk = true;
    if (setjmp(sim->died) != 0)
        recover(sim);
    for (uint32_t shards = 1; sim->counts[SIM_OPERATIONS] < sim->options.operations;
         shards = shards % 4 + 1) {
        if (!sim_start(sim, shards))
            sim_fail(sim, "the broker does not start");
        until = RL_MAX(sim->options.operations / 4, (uint32_t)LIFE_OPERATIONS_MIN);
        sim_work(sim, until);
        sim_stop(sim);
    }
    sweep.on = false;
    sim_heal(sim, true);
}

int sim_exhaustive(const struct sim_options *options, const struct sim_sweep *wanted)
{
    sweep = *wanted;
    child_counts = mmap(NULL, SIM_COUNT_KINDS * sizeof *child_counts, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    RL_ASSERT(child_counts != MAP_FAILED);
    struct sim *sim = sim_create(options);
    run(sim);
    while (children > 0)
        reap();
    printf("%llu operations, %llu disk calls, %llu crashes and %llu that leave the same; afterwards %llu partitions read whole, "
           "%llu batches compared, %llu retries, %llu of them recognised\n",
           (unsigned long long)sim->counts[SIM_OPERATIONS], (unsigned long long)sim->disk.calls,
           (unsigned long long)crashes, (unsigned long long)the_same,
           (unsigned long long)child_counts[SIM_AUDITS],
           (unsigned long long)child_counts[SIM_FETCHED],
           (unsigned long long)child_counts[SIM_RETRIES],
           (unsigned long long)child_counts[SIM_SUPPRESSED]);
    if (crashes > 0 && (child_counts[SIM_AUDITS] == 0 || child_counts[SIM_RETRIES] == 0)) {
        fprintf(stderr, "FAILED: nothing was compared\n");
        failures++;
    }
    sim_free(sim);
    printf("%llu passed, %u failed\n", (unsigned long long)crashes - RL_MIN(failures, crashes), failures);
    return failures == 0 ? 0 : 1;
}

bool sim_exhaustive_way(const char *name, uint32_t *ret_way)
{
    for (uint32_t i = 0; i < WAYS; i++) {
        if (strcmp(name, way_names[i]) == 0) {
            *ret_way = i;
            return true;
        }
    }
    return false;
}

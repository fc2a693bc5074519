/* tests/sim/sim_main.c — the simulator's command line; see tests/sim/README.md.
 *
 * Every seed runs twice; the hashes of both traces (all bytes of all clients, all calls of the
 * disk) must be equal.  Exit code 0: nothing found; 1: a finding; 2: it was called wrongly. */
#include "sim.h"
#include "core/memory.h"
#include "sim_heap.h"
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const count_names[] = {
#define X(name, text, must) text,
    SIM_COUNTS(X)
#undef X
};
#define FIRST_OF_GROUPS SIM_FOUND_COORDINATOR
static const bool count_must[] = {
#define X(name, text, must) must,
    SIM_COUNTS(X)
#undef X
};

#define SEED_SECONDS_MAX 600            /* of one seed: it hangs */

struct arguments {
    uint64_t seed;
    uint64_t seeds;                     /* so many, from seed on */
    bool one_seed, exhaustive, once, verbose, trace;
    double minutes;
    uint32_t operations;                /* 0: as the mode has it */
    enum sim_groups_wish groups;
    struct sim_sweep sweep;
    const char *seed_file;
};

static uint64_t totals[SIM_COUNT_KINDS];
static uint64_t seeds_run, operations_run;        /* of both runs of each seed */
static uint64_t seeds_with_groups;
static struct sim_options running;

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double wall_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A panic of the broker: say which seed. */
static void on_abort(int number)
{
    char line[160];
    int bytes = snprintf(line, sizeof line, "FAILED seed %" PRIu64 ": signal %d\n"
                         "replay: ./dev sim --seed %" PRIu64 " --operations %u %s\n", running.seed,
                         number, running.seed, running.operations,
                         sim_now != NULL ? sim_now->options.replay : "");

    if (write(STDERR_FILENO, line, (size_t)bytes) < 0)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

/* What a replay must say beside the seed. */
static void note_groups(struct sim_options *options)
{
    if (options->groups != SIM_GROUPS_BY_SEED)
        snprintf(options->replay, sizeof options->replay, "--groups %s",
                 options->groups == SIM_GROUPS_YES ? "yes" : "no");
}

static uint64_t run_once(const struct sim_options *options, uint64_t counts[SIM_COUNT_KINDS])
{
    struct sim *sim = sim_create(options);

    sim_run(sim);
    uint64_t hash = sim->hash;
    memcpy(counts, sim->counts, sizeof sim->counts);
    seeds_with_groups += sim->members != NULL;
    sim_free(sim);
    return hash;
}

static void run_seed(const struct arguments *a, uint64_t seed)
{
    uint64_t first[SIM_COUNT_KINDS], second[SIM_COUNT_KINDS];

    alarm(SEED_SECONDS_MAX);
    running = (struct sim_options){ .seed = seed, .operations = a->operations, .verbose = a->verbose,
                                     .trace = a->trace, .groups = a->groups };
    note_groups(&running);
    uint64_t hash = run_once(&running, first);
    if (!a->once && !a->verbose && run_once(&running, second) != hash) {
        fprintf(stderr, "FAILED seed %" PRIu64 ": two runs of it differ\n"
                "replay: ./dev sim --seed %" PRIu64 " --operations %u %s\n", seed, seed, a->operations,
                running.replay);
        exit(1);
    }
    operations_run += first[SIM_OPERATIONS] * (a->once || a->verbose ? 1 : 2);
    for (int i = 0; i < SIM_COUNT_KINDS; i++)
        totals[i] += first[i];
    seeds_run++;
}

static bool parse_flag(struct arguments *a, const char *name)
{
    static const char *const names[] = { "--exhaustive", "--once", "--verbose", "--trace", "--all-ways" };
    bool *const flags[] = { &a->exhaustive, &a->once, &a->verbose, &a->trace, &a->sweep.all_ways };

    for (size_t i = 0; i < RL_ARRAY_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return *flags[i] = true;
    }
    return false;
}

static bool parse_groups(struct arguments *a, const char *value)
{
    a->groups = strcmp(value, "yes") == 0 ? SIM_GROUPS_YES : SIM_GROUPS_NO;
    return a->groups == SIM_GROUPS_YES || strcmp(value, "no") == 0;
}

static bool parse_value(struct arguments *a, const char *name, const char *value)
{
    if (strcmp(name, "--seed") == 0)
        a->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seeds") == 0)
        a->seeds = strtoull(value, NULL, 10);
    else if (strcmp(name, "--minutes") == 0)
        a->minutes = strtod(value, NULL);
    else if (strcmp(name, "--operations") == 0)
        a->operations = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "--groups") == 0)
        return parse_groups(a, value);
    else if (strcmp(name, "--seed-file") == 0)
        a->seed_file = value;
    else if (strcmp(name, "--every") == 0)
        a->sweep.stride = RL_MAX(strtoull(value, NULL, 10), 1);
    else if (strcmp(name, "--from") == 0)
        a->sweep.from = strtoull(value, NULL, 10);
    else if (strcmp(name, "--to") == 0)
        a->sweep.to = strtoull(value, NULL, 10);
    else if (strcmp(name, "--call") == 0)
        a->sweep.only_call = (int64_t)strtoull(value, NULL, 10);
    else
        return strcmp(name, "--way") == 0 && sim_exhaustive_way(value, &a->sweep.only_cut);
    return true;
}

static bool parse(struct arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (parse_flag(a, argv[i]))
            continue;
        if (i + 1 == argc || !parse_value(a, argv[i], argv[i + 1]))
            return false;
        a->one_seed |= strcmp(argv[i++], "--seed") == 0;
    }
    a->verbose |= a->trace;
    return true;
}

/* Seeds that once found something: a number, the operations, and whether it has groups (yes, no) per
 * line; # begins a comment. */
static void run_file(struct arguments *a)
{
    char line[256], groups[4];
    FILE *file = fopen(a->seed_file, "r");

    if (file == NULL) {
        perror(a->seed_file);
        exit(2);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t seed;
        struct arguments one = *a;
        if (line[0] == '#')
            continue;
        if (sscanf(line, "%" SCNu64 " %" SCNu32 " %3s", &seed, &one.operations, groups) != 3 ||
            !parse_groups(&one, groups)) {
            fprintf(stderr, "%s: this is no seed: %s", a->seed_file, line);
            exit(2);
        }
        run_seed(&one, seed);
    }
    fclose(file);
}

/* Which kinds of trouble there were; false: one that must be there never was. */
static bool report(double cpu, bool whole_batch)
{
    bool complete = true;

    for (int i = 0; i < SIM_COUNT_KINDS; i++) {
        bool can = i < FIRST_OF_GROUPS || seeds_with_groups > 0;
        bool missing = whole_batch && count_must[i] && can && totals[i] == 0;
        printf("%12" PRIu64 "  %s%s\n", totals[i], count_names[i], missing ? "   <- NEVER" : "");
        complete &= !missing;
    }
    printf("%" PRIu64 " seeds, %.1f CPU seconds, %.0f operations per CPU second\n", seeds_run, cpu,
           (double)operations_run / RL_MAX(cpu, 1e-9));
    return complete;
}

static int run_exhaustive(const struct arguments *a)
{
    running = (struct sim_options){ .seed = a->seed, .verbose = a->verbose, .trace = a->trace,
                                    .operations = a->operations != 0 ? a->operations : 10000,
                                    .groups = a->groups == SIM_GROUPS_YES ? SIM_GROUPS_YES : SIM_GROUPS_NO };
    return sim_exhaustive(&running, &a->sweep);
}

static int run_seeds(struct arguments *a)
{
    double begin = wall_seconds();

    if (a->operations == 0)
        a->operations = 3000;
    if (a->seed_file != NULL)
        run_file(a);
    if (a->seeds == 0 && a->minutes <= 0)
        a->seeds = a->one_seed ? 1 : a->seed_file != NULL ? 0 : 20;
    for (uint64_t i = 0; a->minutes > 0 ? wall_seconds() - begin < a->minutes * 60 : i < a->seeds; i++)
        run_seed(a, a->seed + i);
    bool complete = report(cpu_seconds(), seeds_run >= 20 && a->seed_file == NULL);
    printf("%" PRIu64 " passed, %d failed\n", seeds_run, complete ? 0 : 1);
    return complete ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments a = { .seed = 1, .sweep = { .on = true, .to = UINT64_MAX, .stride = 1, .only_call = -1 } };

    if (!parse(&a, argc, argv)) {
        fprintf(stderr, "ringlog_sim [--seed N] [--seeds N] [--minutes M] [--operations N]\n"
                "            [--groups yes|no] [--seed-file FILE] [--once] [--verbose] [--trace]\n"
                "            [--exhaustive [--from CALL] [--to CALL] [--every N] [--all-ways]\n"
                        "                          [--call N --way old|new|torn|kill]]\n");
        return 2;
    }
    json_set_alloc_funcs(rl_alloc, rl_free);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    signal(SIGALRM, on_abort);
    return a.exhaustive ? run_exhaustive(&a) : run_seeds(&a);
}

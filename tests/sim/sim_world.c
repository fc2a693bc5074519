/* tests/sim/sim_world.c — the world of one seed: what happens next, and how lives begin and end.
 *
 * A run is a row of lives.  Each starts the broker on the disk that the last one left, reads
 * everything (sim_audit.c), lets the clients work, and ends by a clean stop, a kill or a power cut,
 * at any point, also before it was ready.  The last lives are without trouble: everything must have
 * healed, every client gets its answers, and a clean stop loses nothing at all.
 * Failures: sim_fail() prints what, the broker's last log lines, and how to see it again. */
#include "sim_group.h"
#include "core/crc32c.h"
#include "core/logger.h"
#include "core/memory.h"
#include "io/loop.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "sim_heap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_LINES 40
#define LOG_LINE_BYTES 512
#define IDLE_TURNS_MAX 24
#define SETTLE_TURNS_MAX 3000000
#define DAY_MS INT64_C(86400000)

struct sim *sim_now;
static char log_lines[LOG_LINES][LOG_LINE_BYTES];
static uint32_t log_next;

/* ---- telling ---- */

static void keep_line(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg;
    (void)level;
    if (sim_now != NULL && sim_now->options.verbose) {
        fprintf(stderr, "%10.6f %s", (double)rl_mem_now_ns(sim_now->mem) / 1e9, line);
        return;
    }
    bytes = RL_MIN(bytes, sizeof log_lines[0] - 1);
    memcpy(log_lines[log_next % LOG_LINES], line, bytes);
    log_lines[log_next % LOG_LINES][bytes] = '\0';
    log_next++;
}

void sim_say(struct sim *sim, const char *format, ...)
{
    va_list args;

    if (!sim->options.verbose)
        return;
    fprintf(stderr, "%10.6f ", (double)rl_mem_now_ns(sim->mem) / 1e9);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

noreturn void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    for (uint32_t i = log_next > LOG_LINES ? log_next - LOG_LINES : 0; i < log_next; i++)
        fprintf(stderr, "    %s", log_lines[i % LOG_LINES]);
    fprintf(stderr, "FAILED seed %llu: ", (unsigned long long)sim->options.seed);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nreplay: ./dev sim --seed %llu --operations %u %s\n",
            (unsigned long long)sim->options.seed, sim->options.operations, sim->options.replay);
    exit(1);
}

void sim_noted(struct sim *sim, enum sim_count what, uint64_t count)
{
    sim->counts[what] += count;
}

void sim_hash_bytes(struct sim *sim, const void *bytes, size_t count)
{
    sim_hash_number(sim, (uint64_t)count << 32 | rl_crc32c(0, bytes, count));
}

void sim_enter_broker(void)
{
    sim_heap_set_broker(true);
}

void sim_leave_broker(void)
{
    sim_heap_set_broker(false);
}

/* ---- one small step ---- */

/* The next timer of any shard, INT64_MAX: none. */
static int64_t next_timer_ns(struct sim *sim)
{
    struct rl_shard_set *set = sim_broker_set(sim->broker);
    int64_t next = INT64_MAX;

    for (uint32_t i = 0; i < set->count; i++)
        next = RL_MIN(next, rl_timers_next(&set->loops[i]->timers));
    return next;
}

static void jump_clock(struct sim *sim)
{
    int64_t now_ns, wall_ms;
    struct rl_shard *shard = rl_shard_set_get(sim_broker_set(sim->broker), 0);

    shard->backend->clocks(shard, &now_ns, &wall_ms);
    wall_ms -= sim->jumped_days * DAY_MS;
    sim->jumped_days = (int64_t)sim_below(sim, 21) - 10;
    rl_mem_set_clock(sim->mem, now_ns, wall_ms + sim->jumped_days * DAY_MS);
    sim_noted(sim, SIM_CLOCK_JUMPS, 1);
}

static bool run_helpers(struct sim *sim)
{
    uint32_t waiting = rl_mem_helpers_waiting(sim->mem);

    if (waiting == 0)
        return false;
    if (rl_mem_now_ns(sim->mem) < sim->stalled_until_ns)
        return false;
    if (!sim->calm && sim_one_in(sim, 2000)) {
        sim->stalled_until_ns = rl_mem_now_ns(sim->mem) + (int64_t)sim_below(sim, 3000000000);
        sim_noted(sim, SIM_STALLS, 1);
    }
    if (!sim->calm && sim_one_in(sim, 3))
        return true;
    sim_enter_broker();
    rl_mem_run_helper_at(sim->mem, (uint32_t)sim_below(sim, waiting));
    sim_leave_broker();
    return true;
}

static bool step_shards(struct sim *sim)
{
    struct rl_shard_set *set = sim_broker_set(sim->broker);
    uint32_t first = (uint32_t)sim_below(sim, set->count);
    bool worked = false;

    sim_enter_broker();
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->count > 1 && sim_one_in(sim, 4))
            continue;                   /* that core is busy elsewhere */
        worked |= rl_shard_step(rl_shard_set_get(set, (first + i) % set->count));
    }
    sim_leave_broker();
    return worked;
}

/* A log whose sync failed before a kill, or whose mark of that came back with a power cut, is rebuilt at the
 * start, and serves when a higher leader epoch is stored; all shards have to know of it before it is
 * compared. */
static bool are_rebuilt(struct sim *sim)
{
    struct rl_shard_set *set = sim_broker_set(sim->broker);
    const struct rl_image *image = rl_image_current(rl_shard_set_get(set, 0));
    bool all = true;

    for (uint32_t s = 0; s < rl_shard_set_count(set); s++) {
        all &= rl_image_current(rl_shard_set_get(set, s))->generation == image->generation;
        for (uint32_t i = 0; i < sim->model.partition_count; i++) {
            const struct sim_partition *p = &sim->model.partitions[i];
            const struct rl_topic *topic =
                rl_image_find(image, rl_slice_of_string(sim->model.topics[p->topic].name));
            const struct rl_partition *partition = topic == NULL ? NULL :
                rl_replica_manager_find(rl_shard_set_get(set, s), topic->id, p->index);
            all &= partition == NULL || partition->state == RL_REPLICA_LEADER;
        }
    }
    return all;
}

/* The topics of the model as a shard knows them, looked up once per image: this is asked every turn. */
static const struct sim_known *known_of(struct sim *sim, struct rl_shard *shard)
{
    struct sim_known *known = &sim->known[shard->index];
    const struct rl_image *image = rl_image_current(shard);

    if (known->image == image && (image == NULL || known->generation == image->generation))
        return known;
    *known = (struct sim_known){ .image = image, .generation = image != NULL ? image->generation : 0 };
    for (uint32_t t = 0; image != NULL && t < sim->model.topic_count; t++)
        if (sim->model.topics[t].acknowledged)
            known->topics[t] = rl_image_find(image, rl_slice_of_string(sim->model.topics[t].name));
    return known;
}

/* A partition on the shard that it lives on, NULL on others. */
static const struct rl_partition *partition_on(struct rl_shard *shard, const struct rl_topic *topic,
                                               struct sim_partition *p)
{
    if (p->home < 0)
        p->home = (int32_t)rl_partition_home(topic->id, p->index, shard->count);
    return p->home == (int32_t)shard->index ? rl_replica_manager_find(shard, topic->id, p->index) : NULL;
}

/* A device lost what a failed sync should have kept, and the broker says so by a higher leader epoch:
 * the life ends before a client hears of anything newer, and what is left is audited. */
static bool epochs_rose(struct sim *sim)
{
    struct rl_shard_set *set = sim_broker_set(sim->broker);
    bool rose = false;

    for (uint32_t s = 0; s < rl_shard_set_count(set); s++) {
        struct rl_shard *shard = rl_shard_set_get(set, s);
        const struct sim_known *known = known_of(sim, shard);
        for (uint32_t i = 0; known->image != NULL && i < sim->model.partition_count; i++) {
            struct sim_partition *p = &sim->model.partitions[i];
            const struct rl_topic *topic = known->topics[p->topic];
            if (topic == NULL)
                continue;
            const struct rl_partition *partition = partition_on(shard, topic, p);
            if (!p->audited) {          /* it was offline; if it serves again it is to be audited */
                rose |= partition != NULL && partition->state == RL_REPLICA_LEADER;
                continue;
            }
            if (topic->leader_epoch > p->epoch)
                p->lost = rose = true;
            if (partition != NULL && partition->state == RL_REPLICA_OFFLINE)
                p->lost = true;         /* its sync failed: what a kill leaves is what the device has */
        }
    }
    return rose;
}

void sim_turn(struct sim *sim, bool clients)
{
    bool worked = step_shards(sim);

    worked |= run_helpers(sim);
    bool may_differ = worked || sim->known[0].image == NULL;        /* from the turn before, or never asked */
    sim->lost |= may_differ && sim->up && sim->disk.faulty && epochs_rose(sim);
    if (clients && !sim->lost) {
        uint32_t first = (uint32_t)sim_below(sim, sim->client_count);
        for (uint32_t i = 0; i < sim->client_count; i++)
            sim_client_act(sim, &sim->clients[(first + i) % sim->client_count]);
        if (sim->members != NULL)
            sim_members_act(sim);
    }
    if (!sim->calm && sim_one_in(sim, 5000))
        jump_clock(sim);
    sim->idle_turns = worked ? 0 : sim->idle_turns + 1;
    if (sim->idle_turns < IDLE_TURNS_MAX) {
        rl_mem_advance(sim->mem, (int64_t)sim_below(sim, 20000));
        return;
    }
    int64_t now_ns = rl_mem_now_ns(sim->mem), next_ns = next_timer_ns(sim);
    rl_mem_advance(sim->mem, RL_MIN(RL_MAX(next_ns, now_ns) - now_ns, 5000000));
}

/* ---- lives ---- */

static void lose_clients(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->client_count; i++)
        sim_client_lost(sim, &sim->clients[i]);
    if (sim->members != NULL)
        sim_members_lost(sim);
    sim_link_close(sim, &sim->auditor, false);
}

void sim_crash(struct sim *sim, enum sim_end end, uint32_t keep_percent)
{
    uint32_t torn = 0;

    sim->may_die = false;
    sim->disk.die_at = UINT64_MAX;
    if (sim->disk.unmarked_count > 0)
        end = SIM_END_CUT;              /* see sim_disk.c */
    sim->disk.unmarked_count = 0;
    sim_say(sim, "---- %s at disk call %llu", end == SIM_END_CUT ? "a power cut" : "a kill",
            (unsigned long long)sim->disk.calls);
    sim_broker_kill(sim->broker);
    lose_clients(sim);
    rl_mem_disk_heal(sim->disk.disk);
    if (end == SIM_END_CUT) {
        rl_mem_disk_crash_torn(sim->disk.disk, &sim->random, keep_percent, &torn);
        sim_noted(sim, SIM_TORN_FILES, torn);
    } else {
        rl_mem_disk_kill(sim->disk.disk);
    }
    sim_noted(sim, end == SIM_END_CUT ? SIM_POWER_CUTS : SIM_KILLS, 1);
    sim_model_ended(sim, end);
    sim->up = false;
}

static void end_by_crash(struct sim *sim, enum sim_end end)
{
    static const uint32_t keep_percents[] = { 0, 10, 50, 90, 100 };

    sim_crash(sim, end, keep_percents[sim_below(sim, RL_ARRAY_COUNT(keep_percents))]);
}

static bool has_come_up(struct sim *sim, uint32_t shards)
{
    if (sim_broker_start(sim->broker, shards) != RL_OK)
        return false;
    for (uint32_t turn = 0; !sim_broker_is_ready(sim->broker); turn++) {
        if (sim_broker_has_failed(sim->broker))
            return false;
        if (turn == SETTLE_TURNS_MAX)
            sim_fail(sim, "the broker does not become ready");
        sim_turn(sim, false);
    }
    return true;
}

bool sim_start(struct sim *sim, uint32_t shards)
{
    bool calm = sim->calm;

    sim_say(sim, "---- a start with %u shards", shards);
    sim->disk.faulty = false;
    sim->lost = false;
    if (!has_come_up(sim, shards)) {
        if (!sim->disk.faulty)
            sim_fail(sim, "the broker does not start, and the disk is well");
        return false;
    }
    sim->calm = true;
    for (uint32_t turn = 0; !sim->disk.faulty && !are_rebuilt(sim); turn++) {
        if (turn == SETTLE_TURNS_MAX)
            sim_fail(sim, "a log whose sync failed before this start is not rebuilt");
        sim_turn(sim, false);
    }
    sim_audit_create_topics(sim);
    sim_audit(sim);
    if (sim->members != NULL)
        sim_groups_audit(sim);
    sim->calm = calm;
    sim->up = true;
    memset(sim->known, 0, sizeof sim->known);           /* other images, other shards */
    for (uint32_t i = 0; i < sim->model.partition_count; i++)
        sim->model.partitions[i].home = -1;
    return true;
}

void sim_stop(struct sim *sim)
{
    sim_say(sim, "---- a clean stop");
    lose_clients(sim);
    sim->up = false;
    sim_broker_stop(sim->broker);
    for (uint32_t turn = 0; !sim_broker_has_stopped(sim->broker); turn++) {
        if (turn == SETTLE_TURNS_MAX)
            sim_fail(sim, "the broker does not stop");
        sim_turn(sim, false);
    }
    sim_broker_join(sim->broker);
    sim_model_ended(sim, SIM_END_STOP);
    sim_noted(sim, SIM_STOPS, 1);
    if (sim->disk.unmarked_count > 0) {
        sim->disk.unmarked_count = 0;
        rl_mem_disk_crash(sim->disk.disk);
        sim_model_ended(sim, SIM_END_CUT);
    }
}

static void choose_faults(struct sim *sim)
{
    static const uint32_t rates[] = { 30, 100, 300, 1000 };
    struct sim_faults *f = &sim->disk.faults;

    *f = (struct sim_faults){ 0 };
    rl_mem_disk_set_capacity(sim->disk.disk, UINT64_MAX / 2);
    if (sim->options.quiet_disk || sim_one_in(sim, 2))
        return;
    f->write = sim_one_in(sim, 3) ? rates[sim_below(sim, 4)] : 0;
    f->sync = sim_one_in(sim, 3) ? rates[sim_below(sim, 4)] : 0;
    f->read = sim_one_in(sim, 3) ? rates[sim_below(sim, 4)] : 0;
    f->other = sim_one_in(sim, 3) ? 3 * rates[sim_below(sim, 4)] : 0;
}

/* Work until so many operations more are answered, the disk fills up and is made larger, … */
void sim_work(struct sim *sim, uint64_t operations)
{
    uint64_t until = sim->counts[SIM_OPERATIONS] + operations;
    uint64_t full_at = !sim->options.quiet_disk && sim_one_in(sim, 8)
        ? sim->counts[SIM_OPERATIONS] + sim_below(sim, operations) : UINT64_MAX;

    for (uint32_t turn = 0; sim->counts[SIM_OPERATIONS] < until && !sim->lost && turn < 40 * operations + 2000; turn++) {
        if (sim->counts[SIM_OPERATIONS] >= full_at) {
            bool full = rl_mem_disk_used(sim->disk.disk) > 0;
            rl_mem_disk_set_capacity(sim->disk.disk, full ? rl_mem_disk_used(sim->disk.disk) + sim_below(sim, 3000)
                                                          : 0);
            full_at = UINT64_MAX;
        } else if (full_at == UINT64_MAX && turn % 512 == 511) {
            rl_mem_disk_set_capacity(sim->disk.disk, UINT64_MAX / 2);
        }
        sim_turn(sim, true);
    }
    rl_mem_disk_set_capacity(sim->disk.disk, UINT64_MAX / 2);
}

/* Arm a crash at one of the next disk calls. */
static void arm(struct sim *sim, uint64_t calls)
{
    sim->disk.die_at = sim->disk.calls + sim_below(sim, calls);
    sim->disk.cut = (enum sim_cut)sim_below(sim, 3);
}

/* volatile: a crash comes back here by longjmp. */
static void live(struct sim *sim, uint32_t shards, uint64_t operations)
{
    enum sim_end end = sim_one_in(sim, 4) ? SIM_END_STOP : sim_one_in(sim, 2) ? SIM_END_KILL : SIM_END_CUT;
    bool at_start = end != SIM_END_STOP && sim_one_in(sim, 4);
    bool in_call = end != SIM_END_STOP && !at_start && sim_one_in(sim, 2);

    sim->may_die = true;
    if (at_start)
        arm(sim, 60);
    if (setjmp(sim->died) != 0) {
        sim_leave_broker();
        sim->calm = false;              /* it may have been in an audit */
        if (!sim->up)
            sim_noted(sim, SIM_CRASH_AT_START, 1);
        end_by_crash(sim, end == SIM_END_STOP ? SIM_END_CUT : end);
        return;
    }
    if (!sim_start(sim, shards)) {
        end_by_crash(sim, SIM_END_KILL);
        return;
    }
    if (in_call)
        arm(sim, operations);
    sim_work(sim, operations);
    if (end == SIM_END_STOP && sim_one_in(sim, 4))
        arm(sim, 100);                  /* the power fails while it stops */
    if (end == SIM_END_STOP)
        sim_stop(sim);
    else
        end_by_crash(sim, end);
    sim->may_die = false;
    sim->disk.die_at = UINT64_MAX;
}

static bool all_idle(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->client_count; i++)
        if (!sim_client_idle(&sim->clients[i]))
            return false;
    return sim->members == NULL || sim_members_settled(sim);
}

/* Everything stays, but for a batch that a flipped bit hit; and so it does after a power cut. */
static void start_damaged(struct sim *sim)
{
    sim_damage_one(sim);
    for (int round = 0; round < 2; round++) {
        if (!sim_start(sim, 1 + (uint32_t)sim_below(sim, 4)))
            sim_fail(sim, "the broker does not start");
        if (round == 0 && sim_one_in(sim, 2))
            sim_crash(sim, sim_one_in(sim, 2) ? SIM_END_CUT : SIM_END_KILL, 50);
        else
            sim_stop(sim);
    }
}

void sim_heal(struct sim *sim, bool again)
{
    sim->calm = true;
    sim->stalled_until_ns = 0;
    sim->disk.faults = (struct sim_faults){ 0 };
    rl_mem_disk_heal(sim->disk.disk);
    rl_mem_disk_set_capacity(sim->disk.disk, UINT64_MAX / 2);       /* it may have died while it was full */
    if (!sim_start(sim, 1 + (uint32_t)sim_below(sim, 4)))
        sim_fail(sim, "the broker does not start");
    for (uint32_t turn = 0; !all_idle(sim); turn++) {
        if (turn == SETTLE_TURNS_MAX)
            sim_fail(sim, "a client gets no answer, or a group does not settle");
        sim_turn(sim, true);
    }
    sim_stop(sim);
    if (again)
        start_damaged(sim);
    if (sim_heap_life_bytes() != 0)
        sim_fail(sim, "%zu bytes were not freed at a clean stop", sim_heap_life_bytes());
}

void sim_run(struct sim *sim)
{
    uint32_t shards = 0;

    while (sim->counts[SIM_OPERATIONS] < sim->options.operations) {
        uint32_t next = sim_one_in(sim, 3) && shards != 0 ? shards : 1 + (uint32_t)sim_below(sim, 4);
        sim_noted(sim, SIM_RESHARDED, shards != 0 && next != shards);
        shards = next;
        choose_faults(sim);
        live(sim, shards, 20 + sim_below(sim, sim_one_in(sim, 4) ? 2000 : 200));
    }
    sim_heal(sim, true);
}

/* ---- the world ---- */

static void make_topics(struct sim *sim)
{
    static const char *const sizes[] = { "1024", "4096", "16384", "1073741824" };

    sim_model_add_topic(sim, "a", 1 + (int32_t)sim_below(sim, 3), "segment.bytes",
                        sizes[sim_below(sim, 4)]);
    sim_model_add_topic(sim, "b", 1 + (int32_t)sim_below(sim, 3), "segment.bytes",
                        sizes[sim_below(sim, 4)]);
    sim_model_add_topic(sim, "c", 1, "index.interval.bytes", "1");
    if (sim_one_in(sim, 2))
        sim_model_add_topic(sim, "d", 1, "flush.messages", sim_one_in(sim, 2) ? "1" : "7");
}

/* By a generator of its own: what the world draws in a seed without groups has not changed. */
static bool has_groups(const struct sim_options *options)
{
    struct rl_random random;

    rl_random_init(&random, options->seed ^ UINT64_C(0x67726f757073));
    bool by_seed = rl_random_below(&random, 2) == 0;
    return options->groups == SIM_GROUPS_BY_SEED ? by_seed : options->groups == SIM_GROUPS_YES;
}

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = sim_world_alloc_zero(1, sizeof *sim);

    sim_now = sim;
    rl_logger_set_sink(keep_line, NULL);
    log_next = 0;
    sim->options = *options;
    rl_random_init(&sim->random, options->seed);
    sim->mem = rl_mem_create(rl_random_next(&sim->random));
    rl_mem_hold_helpers(sim->mem, true);
    sim_disk_install(sim);
    sim->broker = sim_broker_create(sim->mem, sim->disk.disk);
    sim->client_count = 2 + (uint32_t)sim_below(sim, 3);
    for (uint32_t i = 0; i < sim->client_count; i++) {
        sim->clients[i].index = i;
        sim->clients[i].idempotent = i % 2 == 0;
        sim->clients[i].producer_id = -1;
    }
    make_topics(sim);
    if (has_groups(options))
        sim->members = sim_members_create(sim);
    return sim;
}

void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->client_count; i++) {
        sim_link_close(sim, &sim->clients[i].link, false);
        sim_link_done(&sim->clients[i].link);
    }
    sim_link_close(sim, &sim->auditor, false);
    sim_link_done(&sim->auditor);
    if (sim->members != NULL)
        sim_members_free(sim);
    sim_model_done(&sim->model);
    sim_broker_free(sim->broker);
    rl_mem_free(sim->mem);
    rl_logger_set_sink(NULL, NULL);
    sim_now = NULL;
    sim_world_free(sim);
}

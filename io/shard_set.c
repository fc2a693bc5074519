/* io/shard_set.c — all shards of one broker: their memory, their threads, their end.
 *
 * Happy path: create; start (a thread per shard opens its backend and runs start(); all begin to
 * turn when all have succeeded); stop (a flag and a wake for each); join.
 *
 * The end has an order, because peers wake each other and helpers post to shards: every shard
 * leaves its loop; the helpers end; every shard stops its backend (the kernel lets go of all
 * memory) and runs finish(); the threads end.
 *
 * Failures at start: the first status wins, shards that had opened stop again, join is not
 * needed. */
#include "core/logger.h"
#include "core/memory.h"
#include "io/helper.h"
#include "io/loop.h"
#include <signal.h>
#include <stdio.h>

/* A mailbox of a small set may be deep; 128 shards have 16,256 of them. */
static uint32_t set_mailbox_capacity(uint32_t count)
{
    return count <= 8 ? 4096 : count <= 32 ? 1024 : 256;
}

static struct rl_loop *set_loop_create(struct rl_shard_set *set, struct rl_disk *disk, uint32_t index)
{
    struct rl_loop *loop = rl_alloc_aligned(RL_CACHE_LINE_BYTES, sizeof *loop);

    *loop = (struct rl_loop){ 0 };
    loop->shard = (struct rl_shard){ .magic = RL_SHARD_MAGIC, .index = index, .count = set->count,
                                     .set = set, .backend = set->backend, .disk = disk, .io = loop };
    return loop;
}

rl_status rl_shard_set_create(const struct rl_shard_set_options *options, struct rl_shard_set **ret_set)
{
    uint32_t count = options->shard_count;

    if (count < 1 || count > RL_SHARDS_MAX || options->helper_count > 64 ||
        options->backend == NULL || options->disk == NULL)
        return RL_EINVAL;
    struct rl_shard_set *set = rl_alloc_zero(1, sizeof *set);
    set->count = count;
    set->helper_count = options->helper_count != 0 ? options->helper_count
                                                   : RL_MIN(RL_MAX(count, 4), 16);
    set->backend = options->backend;
    set->loops = rl_alloc_zero(count, sizeof *set->loops);
    for (uint32_t i = 0; i < count; i++)
        set->loops[i] = set_loop_create(set, options->disk, i);
    set->mailboxes = rl_alloc_aligned(RL_CACHE_LINE_BYTES,
                                      (size_t)count * count * sizeof *set->mailboxes);
    for (uint32_t i = 0; i < count * count; i++)
        rl_mailbox_init(&set->mailboxes[i], i % (count + 1) == 0 ? 1 : set_mailbox_capacity(count));
    pthread_mutex_init(&set->lock, NULL);
    pthread_cond_init(&set->changed, NULL);
    *ret_set = set;
    return RL_OK;
}

void rl_shard_set_free(struct rl_shard_set *set)
{
    if (set == NULL)
        return;
    RL_ASSERT(set->phase == RL_SET_CREATED || set->phase == RL_SET_FINISHING);
    for (uint32_t i = 0; i < set->count * set->count; i++)
        rl_mailbox_done(&set->mailboxes[i]);
    for (uint32_t i = 0; i < set->count; i++) {
        rl_timers_done(&set->loops[i]->timers);
        rl_free(set->loops[i]);
    }
    pthread_cond_destroy(&set->changed);
    pthread_mutex_destroy(&set->lock);
    rl_free(set->mailboxes);
    rl_free(set->loops);
    rl_free(set);
}

struct rl_shard *rl_shard_set_get(struct rl_shard_set *set, uint32_t index)
{
    RL_ASSERT(index < set->count);
    return &set->loops[index]->shard;
}

uint32_t rl_shard_set_count(const struct rl_shard_set *set)
{
    return set->count;
}

/* ---- phases ---- */

/* A thread has done what the phase asks. */
static void set_arrive(struct rl_shard_set *set, rl_status status)
{
    pthread_mutex_lock(&set->lock);
    if (status != RL_OK && set->start_status == RL_OK)
        set->start_status = status;
    set->arrived++;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
}

/* Main: wait until `count` threads have arrived, then go on to the next phase. */
static void set_await(struct rl_shard_set *set, uint32_t count, enum rl_set_phase next)
{
    pthread_mutex_lock(&set->lock);
    while (set->arrived < count)
        pthread_cond_wait(&set->changed, &set->lock);
    set->arrived = 0;
    set->phase = next;
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
}

static void set_await_phase(struct rl_shard_set *set, enum rl_set_phase phase)
{
    pthread_mutex_lock(&set->lock);
    while (set->phase < phase)
        pthread_cond_wait(&set->changed, &set->lock);
    pthread_mutex_unlock(&set->lock);
}

static void *set_thread_main(void *arg)
{
    struct rl_loop *loop = arg;
    struct rl_shard_set *set = loop->shard.set;
    char name[16];

    snprintf(name, sizeof name, "rl-shard-%u", loop->shard.index);
    pthread_setname_np(pthread_self(), name);
    rl_memory_bind_thread();
    rl_status status = rl_loop_open(loop);
    set_arrive(set, status);
    set_await_phase(set, RL_SET_RUNNING);
    while (!atomic_load_explicit(&set->stopping, memory_order_relaxed))
        rl_loop_turn(loop, true);
    loop->shard.doing = "stop";
    set_arrive(set, RL_OK);
    set_await_phase(set, RL_SET_FINISHING);
    if (status == RL_OK) {
        loop->shard.backend->stop(&loop->shard);
        if (set->finish != NULL)
            set->finish(&loop->shard, set->finish_arg);
    }
    rl_self = NULL;
    rl_panic_context(NULL, NULL);
    return NULL;
}

/* Signals that are somebody's message belong to the main thread; faults must stay visible. */
static void set_block_signals(sigset_t *ret_before)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < RL_ARRAY_COUNT(faults); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, ret_before);
}

/* ---- threads ---- */

static uint32_t set_create_threads(struct rl_shard_set *set)
{
    uint32_t created = 0;

    for (; created < set->count; created++) {
        struct rl_loop *loop = set->loops[created];
        if (pthread_create(&loop->thread, NULL, set_thread_main, loop) != 0)
            break;
    }
    return created;
}

/* After a failed start: bring `created` threads, all past rl_loop_open, to their end. */
static void set_end_threads(struct rl_shard_set *set, uint32_t created)
{
    set_await(set, created, RL_SET_RUNNING);    /* they have arrived; `stopping` ends the loop */
    set_await(set, created, RL_SET_FINISHING);
    for (uint32_t i = 0; i < created; i++)
        pthread_join(set->loops[i]->thread, NULL);
}

rl_status rl_shard_set_start(struct rl_shard_set *set, rl_status (*start)(struct rl_shard *, void *),
                             void *arg)
{
    sigset_t before;

    RL_ASSERT(set->phase == RL_SET_CREATED);
    set->start = start;
    set->start_arg = arg;
    set_block_signals(&before);
    if (set->backend->helpers) {
        rl_status status = rl_helpers_start(set->helper_count, set->loops[0]->shard.disk, &set->helpers);
        if (status != RL_OK) {
            pthread_sigmask(SIG_SETMASK, &before, NULL);
            return status;
        }
    }
    uint32_t created = set_create_threads(set);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    pthread_mutex_lock(&set->lock);
    set->phase = RL_SET_STARTING;
    while (set->arrived < created)
        pthread_cond_wait(&set->changed, &set->lock);
    rl_status status = created < set->count ? RL_EBUSY : set->start_status;
    pthread_mutex_unlock(&set->lock);
    if (status == RL_OK) {
        set_await(set, created, RL_SET_RUNNING);
        return RL_OK;
    }
    atomic_store(&set->stopping, true);
    rl_helpers_stop(set->helpers);
    set->helpers = NULL;
    set_end_threads(set, created);
    return status;
}

void rl_shard_set_stop(struct rl_shard_set *set)
{
    /* Under the lock no shard can arrive at its end, so nothing is freed while we wake them. */
    pthread_mutex_lock(&set->lock);
    atomic_store(&set->stopping, true);
    for (uint32_t i = 0; i < set->count; i++)
        rl_loop_wake(NULL, set->loops[i]);
    pthread_mutex_unlock(&set->lock);
}

static void set_finish_stepped(struct rl_shard_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        struct rl_loop *loop = set->loops[i];
        rl_self = &loop->shard;
        loop->shard.backend->stop(&loop->shard);
        if (set->finish != NULL)
            set->finish(&loop->shard, set->finish_arg);
    }
    rl_self = NULL;
    set->phase = RL_SET_FINISHING;
}

void rl_shard_set_await_stop(struct rl_shard_set *set)
{
    RL_ASSERT(set->phase == RL_SET_RUNNING && !set->stepped);
    pthread_mutex_lock(&set->lock);
    while (set->arrived < set->count)
        pthread_cond_wait(&set->changed, &set->lock);
    pthread_mutex_unlock(&set->lock);
}

void rl_shard_set_join(struct rl_shard_set *set, rl_shard_hook_fn *finish, void *arg)
{
    RL_ASSERT(set->phase == RL_SET_RUNNING);
    set->finish = finish;
    set->finish_arg = arg;
    if (set->stepped) {
        rl_helpers_stop(set->helpers);
        set->helpers = NULL;
        set_finish_stepped(set);
        return;
    }
    rl_shard_set_await_stop(set);
    rl_helpers_stop(set->helpers);
    set->helpers = NULL;
    set_await(set, set->count, RL_SET_FINISHING);
    for (uint32_t i = 0; i < set->count; i++)
        pthread_join(set->loops[i]->thread, NULL);
}

/* ---- one thread ---- */

rl_status rl_shard_set_start_stepped(struct rl_shard_set *set,
                                     rl_status (*start)(struct rl_shard *, void *), void *arg)
{
    RL_ASSERT(set->phase == RL_SET_CREATED);
    set->start = start;
    set->start_arg = arg;
    set->stepped = true;
    rl_status status = RL_OK;
    if (set->backend->helpers)
        status = rl_helpers_start(set->helper_count, set->loops[0]->shard.disk, &set->helpers);
    for (uint32_t i = 0; i < set->count && status == RL_OK; i++) {
        status = rl_loop_open(set->loops[i]);
        for (uint32_t j = 0; j < i && status != RL_OK; j++)
            set->backend->stop(&set->loops[j]->shard);
    }
    rl_self = NULL;
    rl_logger_tag(NULL);
    rl_panic_context(NULL, NULL);
    if (status != RL_OK) {
        rl_helpers_stop(set->helpers);
        set->helpers = NULL;
        return status;
    }
    set->phase = RL_SET_RUNNING;
    return RL_OK;
}

bool rl_shard_step(struct rl_shard *shard)
{
    struct rl_loop *loop = rl_loop_of(shard);
    struct rl_shard *before = rl_self;
    uint64_t work = loop->work;

    RL_ASSERT(shard->set->stepped);
    rl_self = shard;
    rl_loop_turn(loop, false);
    rl_self = before;
    return loop->work != work || rl_loop_has_work(loop);
}

/* tests/io/mem_backend.c — the backend table of the kernel in memory, its clock and its helpers.
 *
 * Happy path: submit puts an operation at the end of its shard's list; a turn visits every
 * operation that was in the list once, in order, and completes what has become possible. */
#include "mem_backend.h"
#include "core/memory.h"
#include "io/loop.h"
#include "mem_world.h"
#include <string.h>

#define MEM_WALL_MS_START INT64_C(1795348800000)        /* 2026-11-22T12:00:00Z */
#define MEM_SETTLE_ROUNDS 10000000

enum { WORD_HELPED = 4 };

struct mem_shard {
    struct rl_op *first, *last;         /* in flight */
};

static struct mem_shard *mem_shard_of(struct rl_shard *shard)
{
    return rl_loop_of(shard)->backend;
}

struct rl_mem *mem_of(struct rl_shard *shard)
{
    return mem_of_disk(shard->disk);
}

/* ---- the world ---- */

struct rl_mem *rl_mem_create(uint64_t seed)
{
    struct rl_mem *mem = rl_alloc_zero(1, sizeof *mem);

    mem->now_ns = 1000000000;
    mem->wall_ms = MEM_WALL_MS_START;
    rl_random_init(&mem->random, seed);
    rl_list_init(&mem->disks);
    mem_disk_create(mem, &mem->disks);
    mem_net_init(mem);
    return mem;
}

void rl_mem_free(struct rl_mem *mem)
{
    if (mem == NULL)
        return;
    mem_net_done(mem);
    mem_disk_free_all(&mem->disks);
    rl_free(mem);
}

struct rl_disk *rl_mem_add_disk(struct rl_mem *mem)
{
    return mem_disk_create(mem, &mem->disks);
}

void rl_mem_set_clock(struct rl_mem *mem, int64_t now_ns, int64_t wall_ms)
{
    RL_ASSERT(now_ns >= mem->now_ns);
    mem->now_ns = now_ns;
    mem->wall_ms = wall_ms;
}

void rl_mem_advance(struct rl_mem *mem, int64_t ns)
{
    RL_ASSERT(ns >= 0);
    /* Whole milliseconds of the sum, so that many small steps make a large one. */
    mem->wall_ms += (mem->now_ns + ns) / 1000000 - mem->now_ns / 1000000;
    mem->now_ns += ns;
}

int64_t rl_mem_now_ns(const struct rl_mem *mem)
{
    return mem->now_ns;
}

void rl_mem_settle(struct rl_shard_set *set)
{
    uint32_t count = rl_shard_set_count(set), quiet = 0;

    for (uint32_t round = 0; quiet < count; round++) {
        if (round == MEM_SETTLE_ROUNDS)
            rl_panic(__FILE__, __LINE__, "the shards do not settle");
        quiet = rl_shard_step(rl_shard_set_get(set, round % count)) ? 0 : quiet + 1;
    }
}

/* ---- helpers ---- */

static void mem_helper_run(struct rl_op *op)
{
    struct rl_shard *self = rl_self;

    rl_self = NULL;                     /* as on a helper thread */
    if (op->kind == RL_OP_SYNC)
        op->status = rl_disk_sync(op->home->disk, op->fd);
    else
        op->job.run(op);
    rl_self = self;
    op->backend_word[WORD_HELPED] = 1;
}

void rl_mem_hold_helpers(struct rl_mem *mem, bool hold)
{
    mem->helpers_held = hold;
}

bool rl_mem_run_helper(struct rl_mem *mem)
{
    return rl_mem_run_helper_at(mem, 0);
}

bool rl_mem_run_helper_at(struct rl_mem *mem, uint32_t nth)
{
    for (struct rl_op *op = mem->helper_first; op != NULL; op = op->next) {
        if (op->backend_word[WORD_HELPED] == 0 && nth-- == 0) {
            mem_helper_run(op);
            return true;
        }
    }
    return false;
}

uint32_t rl_mem_helpers_waiting(const struct rl_mem *mem)
{
    uint32_t count = 0;

    for (const struct rl_op *op = mem->helper_first; op != NULL; op = op->next)
        count += op->backend_word[WORD_HELPED] == 0;
    return count;
}

/* Unlink and return the oldest operation of this shard that may end now. */
static struct rl_op *mem_helper_take(struct rl_mem *mem, const struct rl_shard *home)
{
    struct rl_op *previous = NULL;

    for (struct rl_op *op = mem->helper_first; op != NULL; previous = op, op = op->next) {
        if (op->home != home || (mem->helpers_held && op->backend_word[WORD_HELPED] == 0))
            continue;
        if (previous == NULL)
            mem->helper_first = op->next;
        else
            previous->next = op->next;
        if (mem->helper_last == op)
            mem->helper_last = previous;
        return op;
    }
    return NULL;
}

/* What `done` submits has its turn next time. */
static void mem_helper_turn(struct rl_mem *mem, struct rl_shard *shard)
{
    struct rl_op *last = mem->helper_last, *op;
    bool ended = last == NULL;

    while (!ended && (op = mem_helper_take(mem, shard)) != NULL) {
        ended = op == last;
        if (op->backend_word[WORD_HELPED] == 0)
            mem_helper_run(op);
        rl_shard_complete(shard, op);
    }
}

void rl_mem_abandon(struct rl_mem *mem, struct rl_shard_set *set)
{
    mem->helper_first = mem->helper_last = NULL;
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        rl_free(set->loops[i]->backend);
        set->loops[i]->backend = NULL;
    }
    mem_net_close_all(mem, true);
    rl_self = NULL;
}

/* ---- the table ---- */

static rl_status mem_start(struct rl_shard *shard)
{
    RL_ASSERT(shard->set->stepped);     /* nothing here is safe against threads */
    rl_loop_of(shard)->backend = rl_alloc_zero(1, sizeof(struct mem_shard));
    return RL_OK;
}

static void mem_stop(struct rl_shard *shard)
{
    struct rl_mem *mem = mem_of(shard);
    bool held = mem->helpers_held;

    mem->helpers_held = false;
    while (mem_helper_take(mem, shard) != NULL)
        ;                               /* forgotten */
    mem->helpers_held = held;
    rl_free(rl_loop_of(shard)->backend);
    rl_loop_of(shard)->backend = NULL;
}

static void mem_append(struct rl_op **first, struct rl_op **last, struct rl_op *op)
{
    op->next = NULL;
    if (*first == NULL)
        *first = op;
    else
        (*last)->next = op;
    *last = op;
}

static void mem_submit(struct rl_shard *shard, struct rl_op *op)
{
    struct rl_mem *mem = mem_of(shard);
    struct mem_shard *own = mem_shard_of(shard);

    for (size_t i = 0; i < RL_ARRAY_COUNT(op->backend_word); i++)
        op->backend_word[i] = 0;
    if (op->kind == RL_OP_SYNC || op->kind == RL_OP_JOB)
        mem_append(&mem->helper_first, &mem->helper_last, op);
    else
        mem_append(&own->first, &own->last, op);
}

static void mem_cancel(struct rl_shard *shard, struct rl_op *op)
{
    (void)shard;
    (void)op;                           /* the next turn sees op->cancelled */
}

static bool mem_progress(struct rl_mem *mem, struct rl_op *op)
{
    if (!op->cancelled)
        return mem_net_progress(mem, op);
    op->more = false;
    op->status = RL_ECANCELLED;
    return true;
}

static void mem_turn(struct rl_shard *shard, int64_t wait_ns)
{
    struct rl_mem *mem = mem_of(shard);
    struct mem_shard *own = mem_shard_of(shard);
    struct rl_op *op = own->first, *next;

    (void)wait_ns;
    rl_shard_read_clocks(shard);
    own->first = own->last = NULL;
    for (; op != NULL; op = next) {
        next = op->next;
        bool event = mem_progress(mem, op);
        size_t lent = event && op->kind == RL_OP_RECEIVE ? op->ret_bytes : 0;
        if (!event || op->more)
            mem_append(&own->first, &own->last, op);
        if (event)
            rl_shard_complete(shard, op);
        memset(mem->lend, 0xdd, lent);  /* whoever keeps lent bytes finds nonsense */
    }
    mem_helper_turn(mem, shard);
}

static void mem_wake(struct rl_shard *from, struct rl_shard *to)
{
    (void)from;
    (void)to;                           /* nobody sleeps: shards are stepped */
}

static void mem_clocks(struct rl_shard *shard, int64_t *ret_monotonic_ns, int64_t *ret_wall_ms)
{
    *ret_monotonic_ns = mem_of(shard)->now_ns;
    *ret_wall_ms = mem_of(shard)->wall_ms;
}

static uint64_t mem_seed(struct rl_shard *shard)
{
    return rl_random_next(&mem_of(shard)->random);
}

static void mem_tune(struct rl_shard *shard, int fd, int send_buffer_bytes, int receive_buffer_bytes)
{
    (void)shard;
    (void)fd;
    (void)send_buffer_bytes;
    (void)receive_buffer_bytes;
}

const struct rl_backend rl_backend_mem = {
    .name = "mem",
    .start = mem_start,
    .stop = mem_stop,
    .submit = mem_submit,
    .cancel = mem_cancel,
    .turn = mem_turn,
    .wake = mem_wake,
    .clocks = mem_clocks,
    .seed = mem_seed,
    .listen = mem_net_listen,
    .socket_shutdown = mem_net_shutdown,
    .socket_close = mem_net_close,
    .socket_address = mem_net_address,
    .socket_tune = mem_tune,
};

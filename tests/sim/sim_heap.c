/* tests/sim/sim_heap.c — core/memory.h for the simulator: blocks in a list per owner.
 *
 * Every block has a header with its neighbours in the list of its owner.  Not for threads. */
#include "sim_heap.h"
#include "core/list.h"
#include "core/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct rl_list node;
    void *raw;                          /* what malloc gave */
    size_t bytes;
};

static struct rl_list life = { &life, &life };
static struct rl_list world = { &world, &world };
static bool broker_runs;
static size_t life_bytes;

void sim_heap_set_broker(bool on)
{
    broker_runs = on;
}

size_t sim_heap_life_bytes(void)
{
    return life_bytes;
}

static void *block_take(struct rl_list *owner, size_t alignment, size_t bytes)
{
    size_t room = RL_MAX(sizeof(struct block), alignment);
    size_t total = (room + bytes + alignment - 1) & ~(alignment - 1);
    uint8_t *raw = alignment <= 16 ? malloc(total) : aligned_alloc(alignment, total);

    if (raw == NULL || total < bytes)
        rl_panic(__FILE__, __LINE__, "out of memory: %zu bytes", bytes);
    struct block *block = (struct block *)(void *)(raw + room) - 1;
    block->raw = raw;
    block->bytes = owner == &life ? bytes : 0;
    life_bytes += block->bytes;
    rl_list_push_back(owner, &block->node);
    return raw + room;
}

static void block_give(void *p)
{
    struct block *block = (struct block *)p - 1;

    life_bytes -= block->bytes;
    rl_list_remove(&block->node);
    free(block->raw);
}

static void *block_resize(struct rl_list *owner, void *p, size_t bytes)
{
    if (p == NULL)
        return block_take(owner, 16, bytes);
    struct block *block = (struct block *)p - 1;
    bool of_life = block->bytes != 0;
    RL_ASSERT(block->raw == block);     /* aligned ones are never resized */
    rl_list_remove(&block->node);
    life_bytes -= block->bytes;
    block = realloc(block, sizeof *block + bytes);
    if (block == NULL)
        rl_panic(__FILE__, __LINE__, "out of memory: %zu bytes", bytes);
    block->raw = block;
    block->bytes = of_life ? RL_MAX(bytes, 1) : 0;
    life_bytes += block->bytes;
    rl_list_push_back(of_life ? &life : owner, &block->node);
    return block + 1;
}

void sim_heap_end_life(void)
{
    while (!rl_list_empty(&life))
        block_give(RL_LIST_ENTRY(life.next, struct block, node) + 1);
}

/* ---- core/memory.h ---- */

static struct rl_list *owner_now(void)
{
    return broker_runs ? &life : &world;
}

static void *zeroed(struct rl_list *owner, size_t count, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(count, bytes, &total))
        rl_panic(__FILE__, __LINE__, "allocation of %zu * %zu bytes", count, bytes);
    return memset(block_take(owner, 16, RL_MAX(total, 1)), 0, total);
}

void *rl_alloc(size_t bytes)
{
    return block_take(owner_now(), 16, RL_MAX(bytes, 1));
}

void *rl_alloc_zero(size_t count, size_t bytes)
{
    return zeroed(owner_now(), count, bytes);
}

void *rl_realloc(void *p, size_t bytes)
{
    return block_resize(owner_now(), p, RL_MAX(bytes, 1));
}

void *rl_alloc_aligned(size_t alignment, size_t bytes)
{
    RL_ASSERT(alignment != 0 && (alignment & (alignment - 1)) == 0);
    return block_take(owner_now(), RL_MAX(alignment, 16), RL_MAX(bytes, 1));
}

void rl_free(void *p)
{
    if (p != NULL)
        block_give(p);
}

char *rl_strndup(const char *s, size_t length)
{
    char *copy = rl_alloc(length + 1);

    memcpy(copy, s, length);
    copy[length] = '\0';
    return copy;
}

char *rl_strdup(const char *s)
{
    return rl_strndup(s, strlen(s));
}

char *rl_asprintf(const char *format, ...)
{
    va_list args;
    char text[4096];

    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    RL_ASSERT(length >= 0 && (size_t)length < sizeof text);
    return rl_strdup(text);
}

void rl_memory_bind_thread(void)
{
}

size_t rl_memory_allocated_bytes(void)
{
    return 0;
}

void rl_memory_purge(void)
{
}

/* ---- for the world, whoever calls it ---- */

void *sim_world_alloc(size_t bytes)
{
    return block_take(&world, 16, RL_MAX(bytes, 1));
}

void *sim_world_alloc_zero(size_t count, size_t bytes)
{
    return zeroed(&world, count, bytes);
}

void *sim_world_realloc(void *p, size_t bytes)
{
    return block_resize(&world, p, RL_MAX(bytes, 1));
}

void sim_world_free(void *p)
{
    rl_free(p);
}

char *sim_world_strdup(const char *s)
{
    size_t bytes = strlen(s) + 1;

    return memcpy(sim_world_alloc(bytes), s, bytes);
}

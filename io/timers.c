/* io/timers.c — a binary heap by deadline; a timer knows its place, so moving it is cheap. */
#include "io/timers.h"
#include "core/memory.h"

#define TIMERS_CAPACITY_MIN 64u

void rl_timers_done(struct rl_timers *timers)
{
    rl_free(timers->heap);
    *timers = (struct rl_timers){ 0 };
}

static void timers_place(struct rl_timers *timers, struct rl_timer *timer, uint32_t index)
{
    timers->heap[index] = timer;
    timer->heap_index = index;
}

/* Put timer where it belongs, beginning at the free place `index`. */
static void timers_sift(struct rl_timers *timers, struct rl_timer *timer, uint32_t index)
{
    while (index > 1 && timers->heap[index / 2]->deadline_ns > timer->deadline_ns) {
        timers_place(timers, timers->heap[index / 2], index);
        index /= 2;
    }
    for (;;) {
        uint32_t child = index * 2;
        if (child > timers->count)
            break;
        if (child < timers->count &&
            timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns)
            child++;
        if (timers->heap[child]->deadline_ns >= timer->deadline_ns)
            break;
        timers_place(timers, timers->heap[child], index);
        index = child;
    }
    timers_place(timers, timer, index);
}

void rl_timers_start(struct rl_timers *timers, struct rl_timer *timer, int64_t deadline_ns)
{
    uint32_t index = timer->heap_index;

    RL_ASSERT(timer->done != NULL);
    timer->deadline_ns = deadline_ns;
    if (index == 0) {
        if (timers->count + 1 >= timers->capacity) {
            timers->capacity = RL_MAX(timers->capacity * 2, TIMERS_CAPACITY_MIN);
            timers->heap = rl_realloc(timers->heap, timers->capacity * sizeof *timers->heap);
        }
        index = ++timers->count;
    }
    timers_sift(timers, timer, index);
}

void rl_timers_stop(struct rl_timers *timers, struct rl_timer *timer)
{
    uint32_t index = timer->heap_index;

    if (index == 0)
        return;
    RL_ASSERT(index <= timers->count && timers->heap[index] == timer);
    struct rl_timer *last = timers->heap[timers->count--];
    timer->heap_index = 0;
    if (last != timer)
        timers_sift(timers, last, index);
}

int64_t rl_timers_next(const struct rl_timers *timers)
{
    return timers->count != 0 ? timers->heap[1]->deadline_ns : INT64_MAX;
}

uint32_t rl_timers_run(struct rl_timers *timers, int64_t now_ns)
{
    uint32_t limit = timers->count, ran = 0;

    /* The limit ends the round for timers that start themselves again at a time already past. */
    while (ran < limit && rl_timers_next(timers) <= now_ns) {
        struct rl_timer *timer = timers->heap[1];
        rl_timers_stop(timers, timer);
        ran++;
        timer->done(timer);
    }
    return ran;
}

/* log/append_times.c — when the records of a log were appended, by our clock, about. */
#include "log/append_times.h"
#include "core/memory.h"

#define PART_OF_AGE 8                   /* a mark may be missing where it says so little */
#define CAPACITY_FIRST 4

void rl_append_times_done(struct rl_append_times *times)
{
    rl_free(times->marks);
    *times = (struct rl_append_times){ 0 };
}

/* Without mark i what it says would be told this much too old. */
static int64_t gap_without(const struct rl_append_times *times, uint32_t i)
{
    return times->marks[i + 1].ms - times->marks[i - 1].ms;
}

static void remove_mark(struct rl_append_times *times, uint32_t i)
{
    for (uint32_t k = i + 1; k < times->count; k++)
        times->marks[k - 1] = times->marks[k];
    times->count--;
}

static void remove_gone(struct rl_append_times *times, int64_t start_offset)
{
    uint32_t gone = 0;
    while (gone + 1 < times->count && times->marks[gone + 1].offset <= start_offset)
        gone++;
    for (uint32_t i = gone; gone > 0 && i < times->count; i++)
        times->marks[i - gone] = times->marks[i];
    times->count -= gone;
}

void rl_append_times_thin(struct rl_append_times *times, int64_t now_ms, int64_t start_offset)
{
    uint32_t kept = 1;
    remove_gone(times, start_offset);
    for (uint32_t i = 1; i < times->count; i++) {
        bool last = i + 1 == times->count;
        if (!last && times->marks[i + 1].ms - times->marks[kept - 1].ms <=
                     (now_ms - times->marks[i + 1].ms) / PART_OF_AGE)
            continue;
        times->marks[kept++] = times->marks[i];
    }
    times->count = RL_MIN(times->count, kept);
}

/* There are as many as there may be: where the least is lost, relative to its age, one goes. */
static void remove_least(struct rl_append_times *times, int64_t now_ms)
{
    uint32_t least = 1;
    double least_loss = -1;
    for (uint32_t i = 1; i + 1 < times->count; i++) {
        double loss = (double)gap_without(times, i) / ((double)(now_ms - times->marks[i + 1].ms) + 1);
        if (least_loss < 0 || loss < least_loss) {
            least = i;
            least_loss = loss;
        }
    }
    remove_mark(times, least);
}

static void make_room(struct rl_append_times *times, int64_t now_ms, int64_t start_offset)
{
    if (times->count < times->capacity)
        return;
    rl_append_times_thin(times, now_ms, start_offset);
    if (times->count <= times->capacity / 4 * 3 && times->capacity > 0)
        return;                         /* else thinning out would come with every mark */
    if (times->count == RL_APPEND_MARKS_MAX)
        remove_least(times, now_ms);
    if (times->capacity < RL_APPEND_MARKS_MAX) {
        times->capacity = times->capacity == 0 ? CAPACITY_FIRST : RL_MIN(times->capacity * 2, RL_APPEND_MARKS_MAX);
        times->marks = rl_realloc(times->marks, times->capacity * sizeof *times->marks);
    }
}

static void add(struct rl_append_times *times, int64_t offset, int64_t ms)
{
    RL_ASSERT(times->count == 0 || offset > times->marks[times->count - 1].offset);
    times->marks[times->count++] = (struct rl_append_mark){ offset, ms };
}

void rl_append_times_note(struct rl_append_times *times, int64_t offset, int64_t now_ms, int64_t start_offset)
{
    now_ms = RL_MAX(now_ms, 0);
    for (uint32_t i = times->count; i-- > 0 && times->marks[i].ms > now_ms;)
        times->marks[i].ms = now_ms;    /* the clock was set back: they are not from the future */
    make_room(times, now_ms, start_offset);
    add(times, offset, now_ms);
}

void rl_append_times_learn(struct rl_append_times *times, int64_t offset, int64_t batch_ms, int64_t now_ms)
{
    const struct rl_append_mark *last = times->count > 0 ? &times->marks[times->count - 1] : NULL;
    int64_t ms = RL_MAX(batch_ms >= 0 ? RL_MIN(batch_ms, now_ms) : last != NULL ? last->ms : now_ms, 0);
    if (last != NULL && (offset <= last->offset || ms < last->ms + RL_APPEND_MARK_MS))
        return;                         /* no later than within a second of the last one, for all we know */
    make_room(times, ms, 0);
    add(times, offset, ms);
}

void rl_append_times_cut(struct rl_append_times *times, int64_t end_offset)
{
    while (times->count > 0 && times->marks[times->count - 1].offset >= end_offset)
        times->count--;
}

bool rl_append_times_find(const struct rl_append_times *times, int64_t offset, int64_t *ret_ms)
{
    uint32_t low = 0, high = times->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (times->marks[middle].offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_ms = times->marks[low - 1].ms;
    return true;
}

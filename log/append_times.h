/* log/append_times.h — when the records of a log were appended, by our clock, about.
 *
 * A list of marks: the record at `offset` was appended at `ms`, and so were those after it, up to the
 * next mark, within a second or an eighth of the time that has passed since, whichever is more.  Marks
 * are made once a second at most and thinned out as they grow old, so that a log costs 16 bytes until
 * it has seen a second, and never more than 3 KiB.  They stand in the checkpoint; what a kill left
 * behind that is learned again from the batches' own times, between the last mark and the start.
 *
 * A record is never told to be younger than it is (as long as the clock is not set back).  Pure. */
#ifndef RL_LOG_APPEND_TIMES_H
#define RL_LOG_APPEND_TIMES_H

#include "core/base.h"

#define RL_APPEND_MARK_MS 1000          /* from one mark to the next at least */
#define RL_APPEND_MARKS_MAX 192         /* thinned out, they reach back weeks; then the thinnest place pays */

struct rl_append_mark {
    int64_t offset;
    int64_t ms;                         /* since 1970 */
};

struct rl_append_times {                /* both rise from mark to mark */
    struct rl_append_mark *marks;
    uint32_t count, capacity;
};

void rl_append_times_done(struct rl_append_times *times);
/* Is it time for a mark?  Also when the clock was set back. */
static inline bool rl_append_times_is_due(const struct rl_append_times *times, int64_t now_ms)
{
    return times->count == 0 || (uint64_t)(now_ms - times->marks[times->count - 1].ms) >= RL_APPEND_MARK_MS;
}
/* The record at offset, behind all marks, is appended now; records before start_offset are gone. */
void rl_append_times_note(struct rl_append_times *times, int64_t offset, int64_t now_ms, int64_t start_offset);
/* A batch that was found: appended at some time after the last mark and before now_ms, which its own
 * time tells as far as that is possible.  Offsets that have a mark already are passed over. */
void rl_append_times_learn(struct rl_append_times *times, int64_t offset, int64_t batch_ms, int64_t now_ms);
/* Forget what is said of end_offset and later. */
void rl_append_times_cut(struct rl_append_times *times, int64_t end_offset);
/* Leave out what is more exact than asked for at this age. */
void rl_append_times_thin(struct rl_append_times *times, int64_t now_ms, int64_t start_offset);
/* The latest mark at or before offset; false: all are later. */
bool rl_append_times_find(const struct rl_append_times *times, int64_t offset, int64_t *ret_ms);

#endif

/* net/budget.h — how much memory the frames of one shard may take.
 *
 * A frame takes what its buffer holds: a little at first, more as bytes arrive, and gives it back
 * when it is answered.  So a frame may find the budget used up in the middle.  One frame at a time
 * may then go on all the same (the overdraft, until it is answered); the others wait, those in the
 * middle of a frame before those that have not begun.  So there is no deadlock, and what is used
 * never passes the budget by more than one frame. */
#ifndef RL_NET_BUDGET_H
#define RL_NET_BUDGET_H

#include "core/list.h"

struct rl_budget {
    size_t bytes_max;
    size_t partial_max;                 /* ...for frames that are not whole yet */
    size_t used_bytes;
    bool overdrawn;                     /* some frame has the overdraft */
    struct rl_list stuck;               /* in the middle of a frame, first come, first served */
    struct rl_list waiting;             /* before one */
    struct rl_list patient;             /* requests whose frames are charged here and that can be
                                           hurried, oldest first; who has the overdraft before all */
};

void rl_budget_init(struct rl_budget *budget, size_t bytes_max, size_t partial_max);
/* Is there room for so many bytes?  whole: of a frame that is all there. */
bool rl_budget_fits(const struct rl_budget *budget, size_t bytes, bool whole);
/* Take bytes without asking. */
void rl_budget_take(struct rl_budget *budget, size_t bytes);
/* Give bytes back. */
void rl_budget_give(struct rl_budget *budget, size_t bytes);
static inline bool rl_budget_awaited(const struct rl_budget *budget)
{
    return !rl_list_empty(&budget->stuck) || !rl_list_empty(&budget->waiting);
}

#endif

/* net/budget.h — how much memory the frames of one shard may take.
 *
 * A frame takes its size before it is received and gives it back when it is answered.  It gets
 * all of it as soon as one byte is left: the budget may be passed by one frame, so a frame of any
 * legal size gets its turn and nobody waits in the middle of a frame.  Who comes too late waits
 * in line. */
#ifndef RL_NET_BUDGET_H
#define RL_NET_BUDGET_H

#include "core/list.h"

struct rl_budget {
    size_t bytes_max;
    size_t used_bytes;
    struct rl_list waiting;             /* first come, first served */
};

void rl_budget_init(struct rl_budget *budget, size_t bytes_max);
/* Is there room, and nobody in line? */
bool rl_budget_open(const struct rl_budget *budget);
/* Take bytes without asking. */
void rl_budget_take(struct rl_budget *budget, size_t bytes);
/* Give bytes back. */
void rl_budget_give(struct rl_budget *budget, size_t bytes);
/* The first in line if there is room now; the caller removes it and takes its bytes. */
struct rl_list *rl_budget_next(const struct rl_budget *budget);

#endif

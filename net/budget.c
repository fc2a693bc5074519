/* net/budget.c — how much memory the frames of one shard may take. */
#include "net/budget.h"

void rl_budget_init(struct rl_budget *budget, size_t bytes_max, size_t partial_max)
{
    *budget = (struct rl_budget){ .bytes_max = bytes_max, .partial_max = partial_max };
    rl_list_init(&budget->stuck);
    rl_list_init(&budget->waiting);
    rl_list_init(&budget->patient);
}

bool rl_budget_fits(const struct rl_budget *budget, size_t bytes, bool whole)
{
    size_t limit = whole ? budget->bytes_max : budget->partial_max;

    return budget->used_bytes <= limit && bytes <= limit - budget->used_bytes;
}

void rl_budget_take(struct rl_budget *budget, size_t bytes)
{
    RL_ASSERT(bytes <= SIZE_MAX - budget->used_bytes);
    budget->used_bytes += bytes;
}

void rl_budget_give(struct rl_budget *budget, size_t bytes)
{
    RL_ASSERT(bytes <= budget->used_bytes);
    budget->used_bytes -= bytes;
}

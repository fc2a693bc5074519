/* net/budget.c — how much memory the frames of one shard may take. */
#include "net/budget.h"

void rl_budget_init(struct rl_budget *budget, size_t bytes_max)
{
    *budget = (struct rl_budget){ .bytes_max = bytes_max };
    rl_list_init(&budget->waiting);
}

bool rl_budget_open(const struct rl_budget *budget)
{
    return budget->used_bytes < budget->bytes_max && rl_list_empty(&budget->waiting);
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

struct rl_list *rl_budget_next(const struct rl_budget *budget)
{
    return budget->used_bytes < budget->bytes_max ? rl_list_first(&budget->waiting) : NULL;
}

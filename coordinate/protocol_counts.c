/* coordinate/protocol_counts.c — a table by name. */
#include "coordinate/protocol_counts.h"
#include "coordinate/group.h"
#include "coordinate/owned.h"
#include "core/base.h"

struct protocol_count {
    struct rl_slice name;               /* owned */
    uint32_t members;
    const void *added_last, *removed_last;      /* to see repetitions */
};

void rl_protocol_counts_init(struct rl_protocol_counts *counts, uint64_t seed)
{
    counts->members = 0;
    rl_table_init(&counts->by_name, seed);
}

void rl_protocol_counts_done(struct rl_protocol_counts *counts)
{
    RL_ASSERT(counts->members == 0 && rl_table_count(&counts->by_name) == 0);
    rl_table_done(&counts->by_name);
}

static void add(struct rl_protocol_counts *counts, const void *member, struct rl_slice name)
{
    struct protocol_count *count = rl_table_find(&counts->by_name, name);
    if (count == NULL) {
        count = rl_alloc_zero(1, sizeof *count);
        count->name = rl_owned_copy(name);
        rl_table_put(&counts->by_name, count->name, count);
    }
    if (count->added_last != member)
        count->members++;
    count->added_last = member;
    count->removed_last = NULL;
}

void rl_protocol_counts_add(struct rl_protocol_counts *counts, const void *member,
                            const struct rl_group_protocol *protocols, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        add(counts, member, protocols[i].name);
    counts->members += count > 0;
}

static void remove_one(struct rl_protocol_counts *counts, const void *member, struct rl_slice name)
{
    struct protocol_count *count = rl_table_find(&counts->by_name, name);
    if (count == NULL || count->removed_last == member)
        return;
    count->removed_last = member;
    count->added_last = NULL;
    if (--count->members > 0)
        return;
    rl_table_remove(&counts->by_name, count->name);
    rl_owned_free(&count->name);
    rl_free(count);
}

void rl_protocol_counts_remove(struct rl_protocol_counts *counts, const void *member,
                               const struct rl_group_protocol *protocols, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        remove_one(counts, member, protocols[i].name);
    counts->members -= count > 0;
}

uint32_t rl_protocol_counts_of(const struct rl_protocol_counts *counts, struct rl_slice name)
{
    const struct protocol_count *count = rl_table_find(&counts->by_name, name);
    return count != NULL ? count->members : 0;
}

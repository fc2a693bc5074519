/* coordinate/protocol_counts.h — how many members of a group support a protocol: kept while members come and
 * go, because one member may list a million of them.
 *
 * Plain memory of one shard. */
#ifndef RL_COORDINATE_PROTOCOL_COUNTS_H
#define RL_COORDINATE_PROTOCOL_COUNTS_H

#include "core/slice.h"
#include "core/table.h"

struct rl_group_protocol;

struct rl_protocol_counts {
    struct rl_table by_name;
    uint32_t members;                   /* that list any */
};

void rl_protocol_counts_init(struct rl_protocol_counts *counts, uint64_t seed);
/* All members were removed before. */
void rl_protocol_counts_done(struct rl_protocol_counts *counts);
/* What a member lists; names are copied, and one that it lists twice counts once.  `member` tells it from
 * others, and is not looked into. */
void rl_protocol_counts_add(struct rl_protocol_counts *counts, const void *member,
                            const struct rl_group_protocol *protocols, uint32_t count);
/* The same list that was added. */
void rl_protocol_counts_remove(struct rl_protocol_counts *counts, const void *member,
                               const struct rl_group_protocol *protocols, uint32_t count);
/* How many members list it. */
uint32_t rl_protocol_counts_of(const struct rl_protocol_counts *counts, struct rl_slice name);

#endif

/* coordinate/partition_set.c — a set of partitions: sorted pairs of topic id and index. */
#include "coordinate/partition_set.h"
#include "core/memory.h"
#include <stdlib.h>

void rl_partition_set_done(struct rl_partition_set *set)
{
    rl_free(set->items);
    *set = (struct rl_partition_set){ 0 };
}

int rl_topic_partition_compare(const struct rl_topic_partition *a, const struct rl_topic_partition *b)
{
    int order = memcmp(a->topic_id.bytes, b->topic_id.bytes, sizeof a->topic_id.bytes);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int compare(const void *a, const void *b)
{
    return rl_topic_partition_compare(a, b);
}

static void push(struct rl_partition_set *set, struct rl_topic_partition item)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity > 0 ? set->capacity * 2 : 8;
        set->items = rl_realloc(set->items, set->capacity * sizeof *set->items);
    }
    set->items[set->count++] = item;
}

void rl_partition_set_add(struct rl_partition_set *set, struct rl_uuid topic_id, int32_t partition)
{
    push(set, (struct rl_topic_partition){ topic_id, partition });
}

void rl_partition_set_sort(struct rl_partition_set *set)
{
    uint32_t kept = 0;
    if (set->count > 1)
        qsort(set->items, set->count, sizeof *set->items, compare);
    for (uint32_t i = 0; i < set->count; i++)
        if (kept == 0 || compare(&set->items[kept - 1], &set->items[i]) != 0)
            set->items[kept++] = set->items[i];
    set->count = kept;
}

struct rl_partition_set rl_partition_set_copy(const struct rl_partition_set *from)
{
    struct rl_partition_set copy = { 0 };
    if (from->count == 0)
        return copy;
    copy.items = rl_alloc(from->count * sizeof *copy.items);
    memcpy(copy.items, from->items, from->count * sizeof *copy.items);
    copy.count = copy.capacity = from->count;
    return copy;
}

void rl_partition_set_move(struct rl_partition_set *to, struct rl_partition_set *from)
{
    rl_free(to->items);
    *to = *from;
    *from = (struct rl_partition_set){ 0 };
}

bool rl_partition_set_has(const struct rl_partition_set *set, struct rl_topic_partition item)
{
    return set->count > 0 && bsearch(&item, set->items, set->count, sizeof item, compare) != NULL;
}

bool rl_partition_set_equal(const struct rl_partition_set *a, const struct rl_partition_set *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (compare(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}

/* Walk both in order: what is only in a, and what is in both. */
static void split(const struct rl_partition_set *a, const struct rl_partition_set *b,
                  struct rl_partition_set *ret_only, struct rl_partition_set *ret_both)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        int order = 1;
        while (k < b->count && (order = compare(&b->items[k], &a->items[i])) < 0)
            k++;
        struct rl_partition_set *to = k < b->count && order == 0 ? ret_both : ret_only;
        if (to != NULL)
            push(to, a->items[i]);
    }
}

struct rl_partition_set rl_partition_set_intersection(const struct rl_partition_set *a,
                                                      const struct rl_partition_set *b)
{
    struct rl_partition_set both = { 0 };
    split(a, b, NULL, &both);
    return both;
}

struct rl_partition_set rl_partition_set_difference(const struct rl_partition_set *a,
                                                    const struct rl_partition_set *b)
{
    struct rl_partition_set only = { 0 };
    split(a, b, &only, NULL);
    return only;
}

bool rl_partition_set_is_subset(const struct rl_partition_set *part, const struct rl_partition_set *whole)
{
    for (uint32_t i = 0; i < part->count; i++)
        if (!rl_partition_set_has(whole, part->items[i]))
            return false;
    return true;
}

bool rl_partition_set_intersects(const struct rl_partition_set *a, const struct rl_partition_set *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (rl_partition_set_has(b, a->items[i]))
            return true;
    return false;
}

uint32_t rl_partition_set_run(const struct rl_partition_set *set, uint32_t at)
{
    uint32_t end = at;
    while (end < set->count && rl_uuid_equal(set->items[end].topic_id, set->items[at].topic_id))
        end++;
    return end - at;
}

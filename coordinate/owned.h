/* coordinate/owned.h — slices whose bytes belong to one struct: each on the heap, or packed together. */
#ifndef RL_COORDINATE_OWNED_H
#define RL_COORDINATE_OWNED_H

#include "core/memory.h"
#include "core/slice.h"

/* A copy; null stays null, and an empty one is not null. */
static inline struct rl_slice rl_owned_copy(struct rl_slice from)
{
    if (from.data == NULL)
        return from;
    uint8_t *copy = rl_alloc(from.bytes + 1);
    if (from.bytes > 0)
        memcpy(copy, from.data, from.bytes);
    copy[from.bytes] = '\0';
    return rl_slice_of(copy, from.bytes);
}

static inline void rl_owned_free(struct rl_slice *owned)
{
    rl_free((void *)(uintptr_t)owned->data);
    *owned = (struct rl_slice){ 0 };
}

static inline void rl_owned_set(struct rl_slice *owned, struct rl_slice value)
{
    struct rl_slice copy = rl_owned_copy(value);
    rl_owned_free(owned);
    *owned = copy;
}

/* Copy to *at, which moves behind it; null stays null. */
static inline struct rl_slice rl_slice_pack(uint8_t **at, struct rl_slice from)
{
    struct rl_slice copy = { from.data != NULL ? *at : NULL, from.bytes };
    if (from.bytes > 0)
        memcpy(*at, from.data, from.bytes);
    *at += from.bytes;
    return copy;
}

#endif

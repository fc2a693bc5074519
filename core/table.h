/* core/table.h — a hash table from bytes, or from a number, to a pointer.
 *
 * Keys that are bytes belong to the caller (usually they lie inside the value) and must stay put
 * while they are in the table.  A table uses one kind of key only.  The hash is seeded: nobody
 * outside can build keys that collide, and nobody inside may rely on the order of a walk; a
 * simulator gives the same seed and gets the same order. */
#ifndef RL_CORE_TABLE_H
#define RL_CORE_TABLE_H

#include "core/slice.h"

struct rl_table_entry;

struct rl_table {
    struct rl_table_entry *entries;     /* NULL while empty */
    uint32_t capacity;                  /* 0 or a power of two */
    uint32_t count;
    uint64_t seed;
};

/* Nothing is allocated before the first put. */
void rl_table_init(struct rl_table *table, uint64_t seed);
/* Free the table; keys and values are the caller's. */
void rl_table_done(struct rl_table *table);
static inline uint32_t rl_table_count(const struct rl_table *table) { return table->count; }

/* The value, NULL when there is none. */
void *rl_table_find(const struct rl_table *table, struct rl_slice key);
void *rl_table_find_number(const struct rl_table *table, uint64_t key);
/* Add or replace (the key's memory too); value is not NULL.  Returns the value replaced, or NULL. */
void *rl_table_put(struct rl_table *table, struct rl_slice key, void *value);
void *rl_table_put_number(struct rl_table *table, uint64_t key, void *value);
/* Returns the value removed, or NULL. */
void *rl_table_remove(struct rl_table *table, struct rl_slice key);
void *rl_table_remove_number(struct rl_table *table, uint64_t key);

/* Walk the values: begin with *at = 0, ends with NULL.  The table must not change meanwhile. */
void *rl_table_next(const struct rl_table *table, uint32_t *at);

/* The hash itself (SipHash-1-3 with a 128-bit key made of seed), for callers with other needs. */
uint64_t rl_hash_bytes(uint64_t seed, const void *data, size_t bytes);

#endif

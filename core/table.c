/* core/table.c — open addressing, linear probing, at most three quarters full.
 *
 * An entry lies at its hash's home or behind it with no gap between.  Removal moves later entries
 * back into the gap instead of leaving a tombstone, so a table that lives for months does not
 * grow slow.  Hash of bytes: SipHash-1-3 (Aumasson and Bernstein), because topic names and client
 * ids come from outside. */
#include "core/table.h"
#include "core/memory.h"

#define TABLE_CAPACITY_MIN 16u
#define TABLE_KEY_NUMBER UINT32_MAX     /* key_bytes of an entry whose key is a number */

struct rl_table_entry {
    union {
        const uint8_t *data;
        uint64_t number;
    } key;
    uint32_t key_bytes;
    uint32_t hash;
    void *value;                        /* NULL: free */
};

/* ---- hash ---- */

static inline uint64_t hash_rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->b = hash_rotate(s->b, 13) ^ s->a;
    s->a = hash_rotate(s->a, 32);
    s->c += s->d;
    s->d = hash_rotate(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = hash_rotate(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = hash_rotate(s->b, 17) ^ s->c;
    s->c = hash_rotate(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->d ^= word;
    sip_round(s);
    s->a ^= word;
}

uint64_t rl_hash_bytes(uint64_t seed, const void *data, size_t bytes)
{
    uint64_t other = (seed ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    struct sip s = { seed ^ 0x736f6d6570736575u, other ^ 0x646f72616e646f6du,
                     seed ^ 0x6c7967656e657261u, other ^ 0x7465646279746573u };
    const uint8_t *at = data;
    uint64_t last = (uint64_t)bytes << 56;
    size_t rest = bytes & 7;

    for (size_t i = 0; i < bytes / 8; i++, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        sip_word(&s, word);
    }
    for (size_t i = 0; i < rest; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(&s, last);
    s.c ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

/* A key in the form entries have, with its hash. */
static struct rl_table_entry table_key(const struct rl_table *table, struct rl_slice key)
{
    RL_ASSERT(key.bytes < TABLE_KEY_NUMBER);
    uint64_t hash = rl_hash_bytes(table->seed, key.data, key.bytes);
    return (struct rl_table_entry){ .key.data = key.data, .key_bytes = (uint32_t)key.bytes,
                                    .hash = (uint32_t)(hash ^ (hash >> 32)) };
}

static struct rl_table_entry table_key_number(const struct rl_table *table, uint64_t key)
{
    uint64_t hash = rl_hash_bytes(table->seed, &key, sizeof key);
    return (struct rl_table_entry){ .key.number = key, .key_bytes = TABLE_KEY_NUMBER,
                                    .hash = (uint32_t)(hash ^ (hash >> 32)) };
}

static bool table_equal(const struct rl_table_entry *a, const struct rl_table_entry *b)
{
    if (a->hash != b->hash || a->key_bytes != b->key_bytes)
        return false;
    if (a->key_bytes == TABLE_KEY_NUMBER)
        return a->key.number == b->key.number;
    return a->key_bytes == 0 || memcmp(a->key.data, b->key.data, a->key_bytes) == 0;
}

/* ---- places ---- */

/* The entry equal to key, or the free one where it belongs.  The table is not empty. */
static struct rl_table_entry *table_place(const struct rl_table *table,
                                          const struct rl_table_entry *key)
{
    uint32_t mask = table->capacity - 1;

    for (uint32_t i = key->hash & mask;; i = (i + 1) & mask) {
        struct rl_table_entry *entry = &table->entries[i];
        if (entry->value == NULL || table_equal(entry, key))
            return entry;
    }
}

static void table_grow(struct rl_table *table)
{
    struct rl_table_entry *old = table->entries;
    uint32_t old_capacity = table->capacity;

    RL_ASSERT(old_capacity <= UINT32_MAX / 4);
    table->capacity = RL_MAX(old_capacity * 2, TABLE_CAPACITY_MIN);
    table->entries = rl_alloc_zero(table->capacity, sizeof *table->entries);
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].value != NULL)
            *table_place(table, &old[i]) = old[i];
    }
    rl_free(old);
}

/* Free the entry at `gap`: move back whatever the gap would cut off from its home. */
static void table_close_gap(struct rl_table *table, uint32_t gap)
{
    uint32_t mask = table->capacity - 1;

    for (uint32_t i = (gap + 1) & mask; table->entries[i].value != NULL; i = (i + 1) & mask) {
        uint32_t home = table->entries[i].hash & mask;
        /* Stays when its home lies in (gap, i], counted around the end. */
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        table->entries[gap] = table->entries[i];
        gap = i;
    }
    table->entries[gap] = (struct rl_table_entry){ 0 };
}

static void *table_find(const struct rl_table *table, const struct rl_table_entry *key)
{
    return table->count != 0 ? table_place(table, key)->value : NULL;
}

static void *table_put(struct rl_table *table, struct rl_table_entry *key, void *value)
{
    RL_ASSERT(value != NULL);
    if (table->count >= table->capacity - table->capacity / 4)
        table_grow(table);
    struct rl_table_entry *entry = table_place(table, key);
    void *before = entry->value;
    if (before == NULL)
        table->count++;
    key->value = value;
    *entry = *key;
    return before;
}

static void *table_remove(struct rl_table *table, const struct rl_table_entry *key)
{
    if (table->count == 0)
        return NULL;
    struct rl_table_entry *entry = table_place(table, key);
    void *value = entry->value;
    if (value != NULL) {
        table->count--;
        table_close_gap(table, (uint32_t)(entry - table->entries));
    }
    return value;
}

/* ---- the interface ---- */

void rl_table_init(struct rl_table *table, uint64_t seed)
{
    *table = (struct rl_table){ .seed = seed };
}

void rl_table_done(struct rl_table *table)
{
    rl_free(table->entries);
    *table = (struct rl_table){ .seed = table->seed };
}

void *rl_table_find(const struct rl_table *table, struct rl_slice key)
{
    struct rl_table_entry entry = table_key(table, key);
    return table_find(table, &entry);
}

void *rl_table_find_number(const struct rl_table *table, uint64_t key)
{
    struct rl_table_entry entry = table_key_number(table, key);
    return table_find(table, &entry);
}

void *rl_table_put(struct rl_table *table, struct rl_slice key, void *value)
{
    struct rl_table_entry entry = table_key(table, key);
    return table_put(table, &entry, value);
}

void *rl_table_put_number(struct rl_table *table, uint64_t key, void *value)
{
    struct rl_table_entry entry = table_key_number(table, key);
    return table_put(table, &entry, value);
}

void *rl_table_remove(struct rl_table *table, struct rl_slice key)
{
    struct rl_table_entry entry = table_key(table, key);
    return table_remove(table, &entry);
}

void *rl_table_remove_number(struct rl_table *table, uint64_t key)
{
    struct rl_table_entry entry = table_key_number(table, key);
    return table_remove(table, &entry);
}

void *rl_table_next(const struct rl_table *table, uint32_t *at)
{
    while (*at < table->capacity) {
        void *value = table->entries[(*at)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}

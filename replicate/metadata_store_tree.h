/* replicate/metadata_store_tree.h — the entries of a local metadata store, in memory, by key. */
#ifndef RL_REPLICATE_METADATA_STORE_TREE_H
#define RL_REPLICATE_METADATA_STORE_TREE_H

#include "core/slice.h"

struct rl_metadata_entry {              /* never changes; a put makes a new one */
    int64_t version;                    /* 1 for the first put of a key, then one more each */
    uint32_t key_bytes, value_bytes;
    uint8_t data[];                     /* key, value */
};

static inline struct rl_slice rl_metadata_entry_key(const struct rl_metadata_entry *entry)
{
    return rl_slice_of(entry->data, entry->key_bytes);
}
static inline struct rl_slice rl_metadata_entry_value(const struct rl_metadata_entry *entry)
{
    return rl_slice_of(entry->data + entry->key_bytes, entry->value_bytes);
}

struct rl_metadata_tree {               /* all zero is an empty one */
    struct rl_metadata_entry **entries; /* sorted by key, byte by byte */
    uint32_t count, capacity;
    uint64_t live_bytes;                /* keys and values of all entries */
};

/* Copies key and value.  Freed with rl_free. */
struct rl_metadata_entry *rl_metadata_entry_create(struct rl_slice key, struct rl_slice value,
                                                   int64_t version) RL_MUST_USE;
void rl_metadata_tree_done(struct rl_metadata_tree *tree);
/* The index of the first entry whose key is not below `key`; may be count. */
uint32_t rl_metadata_tree_at(const struct rl_metadata_tree *tree, struct rl_slice key);
/* NULL when there is none. */
struct rl_metadata_entry *rl_metadata_tree_find(const struct rl_metadata_tree *tree,
                                                struct rl_slice key);
/* Let `entry` (NULL: nothing) stand under `key` and return what stood there before (NULL:
 * nothing), which is the caller's now.  Swapping back undoes it. */
struct rl_metadata_entry *rl_metadata_tree_swap(struct rl_metadata_tree *tree, struct rl_slice key,
                                                struct rl_metadata_entry *entry);

#endif

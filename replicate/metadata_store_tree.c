/* replicate/metadata_store_tree.c — a sorted array of pointers to immutable entries.
 *
 * An array and not a balanced tree: entries are listed often and in order, a change moves at most
 * a few hundred kilobytes of pointers, and a snapshot arrives sorted, so loading only appends. */
#include "replicate/metadata_store_tree.h"
#include "core/memory.h"

struct rl_metadata_entry *rl_metadata_entry_create(struct rl_slice key, struct rl_slice value,
                                                   int64_t version)
{
    RL_ASSERT(key.bytes <= UINT32_MAX && value.bytes <= UINT32_MAX);
    struct rl_metadata_entry *entry = rl_alloc(sizeof *entry + key.bytes + value.bytes);
    entry->version = version;
    entry->key_bytes = (uint32_t)key.bytes;
    entry->value_bytes = (uint32_t)value.bytes;
    if (key.bytes > 0)
        memcpy(entry->data, key.data, key.bytes);
    if (value.bytes > 0)
        memcpy(entry->data + key.bytes, value.data, value.bytes);
    return entry;
}

void rl_metadata_tree_done(struct rl_metadata_tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++)
        rl_free(tree->entries[i]);
    rl_free(tree->entries);
    *tree = (struct rl_metadata_tree){ 0 };
}

static int key_compare(struct rl_slice a, struct rl_slice b)
{
    size_t common = RL_MIN(a.bytes, b.bytes);
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

uint32_t rl_metadata_tree_at(const struct rl_metadata_tree *tree, struct rl_slice key)
{
    uint32_t low = 0, high = tree->count;
    /* What comes in order goes to the end. */
    if (high > 0 && key_compare(rl_metadata_entry_key(tree->entries[high - 1]), key) < 0)
        return high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_compare(rl_metadata_entry_key(tree->entries[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct rl_metadata_entry *rl_metadata_tree_find(const struct rl_metadata_tree *tree,
                                                struct rl_slice key)
{
    uint32_t at = rl_metadata_tree_at(tree, key);
    if (at == tree->count || !rl_slice_equal(rl_metadata_entry_key(tree->entries[at]), key))
        return NULL;
    return tree->entries[at];
}

static void tree_insert(struct rl_metadata_tree *tree, uint32_t at, struct rl_metadata_entry *entry)
{
    if (tree->count == tree->capacity) {
        tree->capacity = RL_MAX(64u, tree->capacity * 2);
        tree->entries = rl_realloc(tree->entries, tree->capacity * sizeof *tree->entries);
    }
    memmove(tree->entries + at + 1, tree->entries + at, (tree->count - at) * sizeof *tree->entries);
    tree->entries[at] = entry;
    tree->count++;
}

struct rl_metadata_entry *rl_metadata_tree_swap(struct rl_metadata_tree *tree, struct rl_slice key,
                                                struct rl_metadata_entry *entry)
{
    uint32_t at = rl_metadata_tree_at(tree, key);
    struct rl_metadata_entry *before = NULL;
    if (at < tree->count && rl_slice_equal(rl_metadata_entry_key(tree->entries[at]), key))
        before = tree->entries[at];

    if (before != NULL && entry != NULL) {
        tree->entries[at] = entry;
    } else if (entry != NULL) {
        tree_insert(tree, at, entry);
    } else if (before != NULL) {
        tree->count--;
        memmove(tree->entries + at, tree->entries + at + 1,
                (tree->count - at) * sizeof *tree->entries);
    }
    if (before != NULL)
        tree->live_bytes -= (uint64_t)before->key_bytes + before->value_bytes;
    if (entry != NULL)
        tree->live_bytes += (uint64_t)entry->key_bytes + entry->value_bytes;
    return before;
}

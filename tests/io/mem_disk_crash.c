/* tests/io/mem_disk_crash.c — what a power cut leaves of a device with a cache, and copies of disks.
 *
 * A sector is whole, a file is not: of what was not synced each sector of 512 bytes reached the
 * device or did not.  The size is that of the last sector that did, or of the file as it was
 * seen.  A name follows its node, so that a rename happened or did not. */
#include "core/memory.h"
#include "mem_disk.h"
#include <string.h>

#define SECTOR_BYTES 512u

struct tear {
    struct mem_disk *disk;
    struct rl_random *random;
    uint32_t keep_percent;
    uint64_t names_seed;
    uint32_t torn;
};

static bool tear_keeps(struct tear *tear)
{
    return rl_random_below(tear->random, 100) < tear->keep_percent;
}

/* One decision for all names of a node. */
static bool tear_keeps_name(const struct tear *tear, const struct mem_node *node)
{
    uint64_t x = (tear->names_seed ^ (node->id + UINT64_C(0x9e3779b97f4a7c15))) *
                 UINT64_C(0xbf58476d1ce4e5b9);

    return ((x ^ x >> 29) >> 8) % 100 < tear->keep_percent;
}

static void tear_sectors(struct tear *tear, struct mem_node *node)
{
    struct mem_bytes *device = &node->durable;
    size_t to = RL_MIN(node->dirty_to, node->live.bytes), size = device->bytes;
    uint32_t kept = 0, lost = 0;

    for (size_t at = node->dirty_from / SECTOR_BYTES * SECTOR_BYTES; at < to; at += SECTOR_BYTES) {
        if (!tear_keeps(tear)) {
            lost++;
            continue;
        }
        size_t end = RL_MIN(at + SECTOR_BYTES, node->live.bytes);
        if (end > device->bytes)
            mem_bytes_resize(device, end);
        memcpy(device->data + at, node->live.data + at, end - at);
        kept++;
    }
    if (node->dirty_from < node->dirty_to && tear_keeps(tear) &&
        (node->live.bytes < size || kept > 0))
        mem_bytes_resize(device, node->live.bytes);
    tear->torn += kept > 0 && lost > 0;
}

static void tear_file(struct tear *tear, struct mem_node *node)
{
    tear_sectors(tear, node);
    mem_node_drop_cache(tear->disk, node);
}

/* Names of the directory afterwards: those the device had, as far as they were not taken away,
 * then those it got. */
static void tear_names(struct tear *tear, struct mem_node *directory)
{
    const struct mem_names *live = &directory->live_names, *device = &directory->durable_names;
    struct mem_names names = { 0 };

    if (device->count == live->count && mem_names_common(device, live) == live->count)
        return;
    for (uint32_t i = 0; i < device->count; i++) {
        struct mem_entry kept = device->entries[i];
        const struct mem_entry *after = i < live->count && live->entries[i].name == kept.name ?
            &live->entries[i] : mem_names_find_same(live, kept.name);
        struct mem_node *node = after != NULL ? after->node : NULL;
        if (kept.node != node && tear_keeps_name(tear, node != NULL ? node : kept.node))
            kept.node = node;
        if (kept.node != NULL)
            mem_names_add_entry(&names, &kept);
    }
    for (uint32_t i = 0; i < live->count; i++) {
        if (mem_names_find_same(device, live->entries[i].name) == NULL &&
            tear_keeps_name(tear, live->entries[i].node))
            mem_names_add_entry(&names, &live->entries[i]);
    }
    mem_names_copy(tear->disk, &directory->live_names, &names);
    mem_names_copy(tear->disk, &directory->durable_names, &names);
    mem_names_clear(tear->disk, &names);
}

static void tear_node(struct tear *tear, struct mem_node *node)
{
    if (!node->directory) {
        tear_file(tear, node);
        return;
    }
    tear_names(tear, node);
    for (uint32_t i = 0; i < node->live_names.count; i++)
        tear_node(tear, node->live_names.entries[i].node);
}

void rl_mem_disk_crash_torn(struct rl_disk *rl_disk, struct rl_random *random, uint32_t keep_percent,
                            uint32_t *ret_torn)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct tear tear = { .disk = disk, .random = random, .keep_percent = keep_percent,
                         .names_seed = rl_random_next(random) };

    rl_mem_disk_kill(rl_disk);
    tear_node(&tear, disk->root);
    disk->boots++;
    if (ret_torn != NULL)
        *ret_torn = tear.torn;
}

/* ---- copies ---- */

struct copies {
    struct mem_disk *to;
    struct mem_node **by_id;            /* in the copy */
};

static void copy_bytes(struct mem_bytes *to, const struct mem_bytes *from)
{
    mem_bytes_resize(to, from->bytes);
    if (from->bytes != 0)
        memcpy(to->data, from->data, from->bytes);
}

static void copy_node(struct copies *copies, struct mem_node *to, const struct mem_node *from);

static void copy_names(struct copies *copies, struct mem_names *to, const struct mem_names *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct mem_node *node = from->entries[i].node;
        struct mem_node *known = copies->by_id[node->id];
        if (known == NULL)
            copies->by_id[node->id] = known = mem_node_create(copies->to, node->directory);
        mem_names_add(to, from->entries[i].name->text, known);
        if (known->references == 1)
            copy_node(copies, known, node);
    }
}

static void copy_node(struct copies *copies, struct mem_node *to, const struct mem_node *from)
{
    to->id = from->id;
    to->dirty_from = from->dirty_from;
    to->dirty_to = from->dirty_to;
    to->differs = from->differs;
    copy_bytes(&to->live, &from->live);
    copy_bytes(&to->durable, &from->durable);
    copies->to->used_bytes += from->live.bytes;
    copy_names(copies, &to->live_names, &from->live_names);
    copy_names(copies, &to->durable_names, &from->durable_names);
}

void rl_mem_disk_copy(struct rl_disk *rl_to, const struct rl_disk *rl_from)
{
    struct mem_disk *to = mem_disk_of(rl_to), *from = mem_disk_of(rl_from);
    struct copies copies = { to, rl_alloc_zero(from->node_next, sizeof *copies.by_id) };

    RL_ASSERT(to->root->live_names.count == 0 && to->root->durable_names.count == 0);
    copy_node(&copies, to->root, from->root);
    to->node_next = from->node_next;
    to->boots = from->boots;
    to->capacity_bytes = from->capacity_bytes;
    rl_free(copies.by_id);
}

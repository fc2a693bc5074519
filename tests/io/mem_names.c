/* tests/io/mem_names.c — names of the disk in memory: what a directory lists, and paths through directories.
 *
 * Each directory has two lists, one that programs see and one that the device has (mem_disk.c); an entry
 * of either holds a reference of its node.  Failures: a path that leads nowhere is a status. */
#include "core/memory.h"
#include "core/table.h"
#include "mem_disk.h"
#include <string.h>

/* ---- what a directory lists ---- */

static struct mem_name *mem_name_create(const char *text)
{
    size_t bytes = strlen(text);
    struct mem_name *name = rl_alloc(sizeof *name + bytes + 1);

    *name = (struct mem_name){ .bytes = (uint32_t)bytes, .hash = rl_hash_bytes(0, text, bytes) };
    memcpy(name->text, text, bytes + 1);
    return name;
}

static void mem_name_unref(struct mem_name *name)
{
    if (--name->references == 0)
        rl_free(name);
}

void mem_names_clear(struct mem_disk *disk, struct mem_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        names->entries[i].node->links -= names->live;
        mem_node_unref(disk, names->entries[i].node);
        mem_name_unref(names->entries[i].name);
    }
    rl_free(names->entries);
    *names = (struct mem_names){ .live = names->live };
}

static bool mem_name_is(const struct mem_name *name, uint64_t hash, const char *text, size_t bytes)
{
    return name->hash == hash && name->bytes == bytes && memcmp(name->text, text, bytes) == 0;
}

struct mem_entry *mem_names_find(const struct mem_names *names, const char *text)
{
    size_t bytes = strlen(text);
    uint64_t hash = rl_hash_bytes(0, text, bytes);

    for (uint32_t i = names->count; i-- > 0;) {         /* the newest are asked for most */
        if (mem_name_is(names->entries[i].name, hash, text, bytes))
            return &names->entries[i];
    }
    return NULL;
}

struct mem_entry *mem_names_find_same(const struct mem_names *names, const struct mem_name *name)
{
    for (uint32_t i = names->count; i-- > 0;) {
        const struct mem_name *other = names->entries[i].name;
        if (other == name || mem_name_is(other, name->hash, name->text, name->bytes))
            return &names->entries[i];
    }
    return NULL;
}

void mem_names_add_entry(struct mem_names *names, const struct mem_entry *entry)
{
    if (names->count == names->capacity) {
        names->capacity = RL_MAX(2 * names->capacity, 8);
        names->entries = rl_realloc(names->entries, names->capacity * sizeof *names->entries);
    }
    names->entries[names->count++] = *entry;
    entry->name->references++;
    entry->node->references++;
    entry->node->links += names->live;
}

void mem_names_add(struct mem_names *names, const char *name, struct mem_node *node)
{
    mem_names_add_entry(names, &(struct mem_entry){ mem_name_create(name), node });
}

void mem_names_remove(struct mem_disk *disk, struct mem_names *names, struct mem_entry *entry)
{
    struct mem_node *node = entry->node;

    node->links -= names->live;
    mem_name_unref(entry->name);
    memmove(entry, entry + 1, (size_t)(names->entries + names->count - entry - 1) * sizeof *entry);
    names->count--;
    mem_node_unref(disk, node);
}

uint32_t mem_names_common(const struct mem_names *a, const struct mem_names *b)
{
    uint32_t same = 0;

    while (same < a->count && same < b->count && a->entries[same].node == b->entries[same].node &&
           (a->entries[same].name == b->entries[same].name ||
            strcmp(a->entries[same].name->text, b->entries[same].name->text) == 0))
        same++;
    return same;
}

void mem_names_copy(struct mem_disk *disk, struct mem_names *to, const struct mem_names *from)
{
    struct mem_names copy = { .live = to->live };

    if (to->count == from->count && mem_names_common(to, from) == from->count)
        return;
    for (uint32_t i = 0; i < from->count; i++)
        mem_names_add_entry(&copy, &from->entries[i]);
    mem_names_clear(disk, to);          /* after: a node in both must not vanish between */
    *to = copy;
}

/* ---- paths ---- */

/* The next name of *path into name; false at the end.  "." is skipped. */
static bool mem_path_next(const char **path, char *name)
{
    do {
        *path += strspn(*path, "/");
        size_t length = strcspn(*path, "/");
        if (length == 0)
            return false;
        RL_ASSERT(length < MEM_NAME_BYTES);
        memcpy(name, *path, length);
        name[length] = '\0';
        *path += length;
    } while (strcmp(name, ".") == 0);
    RL_ASSERT(strcmp(name, "..") != 0);
    return true;
}

rl_status mem_path_parent(struct mem_disk *disk, const char *path, struct mem_node **ret_parent, char *ret_name)
{
    struct mem_node *at = disk->root;
    char name[MEM_NAME_BYTES], following[MEM_NAME_BYTES];

    if (!mem_path_next(&path, name)) {
        *ret_parent = at;
        ret_name[0] = '\0';
        return RL_OK;
    }
    while (mem_path_next(&path, following)) {
        struct mem_entry *entry = mem_names_find(&at->live_names, name);
        if (entry == NULL)
            return RL_ENOTFOUND;
        if (!entry->node->directory)
            return RL_EINVAL;
        at = entry->node;
        memcpy(name, following, sizeof name);
    }
    *ret_parent = at;
    memcpy(ret_name, name, sizeof name);
    return RL_OK;
}

rl_status mem_path_find(struct mem_disk *disk, const char *path, struct mem_node **ret_node)
{
    struct mem_node *parent;
    char name[MEM_NAME_BYTES];
    rl_status status = mem_path_parent(disk, path, &parent, name);

    if (status != RL_OK)
        return status;
    struct mem_entry *entry = name[0] != '\0' ? mem_names_find(&parent->live_names, name) : NULL;
    if (name[0] != '\0' && entry == NULL)
        return RL_ENOTFOUND;
    *ret_node = entry != NULL ? entry->node : parent;
    return RL_OK;
}

rl_status mem_path_directory(struct mem_disk *disk, const char *path, struct mem_node **ret_node)
{
    struct mem_node *node;
    rl_status status = mem_path_find(disk, path, &node);

    if (status != RL_OK)
        return status;
    if (!node->directory)
        return RL_EINVAL;
    *ret_node = node;
    return RL_OK;
}

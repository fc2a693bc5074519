/* tests/io/mem_disk.h — the insides of the disk in memory, for the files that make it. */
#ifndef RL_TESTS_IO_MEM_DISK_H
#define RL_TESTS_IO_MEM_DISK_H

#include "mem_world.h"

#define MEM_FAULTS_MAX 16
#define MEM_NAME_BYTES 256

struct mem_node;

struct mem_bytes {
    uint8_t *data;
    size_t bytes, capacity;
};

/* Shared by all that list it, so that a copy of a directory copies pointers. */
struct mem_name {
    uint32_t references, bytes;
    uint64_t hash;
    char text[];
};

struct mem_entry {
    struct mem_name *name;
    struct mem_node *node;
};

struct mem_names {
    struct mem_entry *entries;          /* in order of creation */
    uint32_t count, capacity;
    bool live;                          /* what programs see: they are counted in node->links */
};

struct mem_node {
    uint32_t id;                        /* in order of creation */
    bool directory, locked;
    uint32_t references;                /* names, live and durable, and descriptors */
    uint32_t links;                     /* live names */
    struct mem_bytes live, durable;
    size_t dirty_from, dirty_to;        /* live bytes that durable lacks; empty: from >= to */
    bool differs;                       /* elsewhere, too: a sync has failed */
    struct mem_names live_names, durable_names;
};

struct mem_file {
    struct mem_node *node;              /* NULL: closed */
    bool writable, locks, device;
};

struct mem_fault {
    enum rl_mem_call call;
    uint64_t at;                        /* number of the call that fails */
    rl_status status;
    bool partial;                       /* a write or sync that stores `bytes` first */
    size_t bytes;
};

struct mem_disk {
    struct rl_disk disk;
    struct rl_list node;
    struct rl_mem *mem;
    struct mem_node *root;
    struct mem_file *files;             /* by descriptor - MEM_FILE_FD_FIRST; never used again */
    uint32_t file_count, file_capacity, open_count;
    uint64_t capacity_bytes, used_bytes;
    bool not_resident;
    bool no_sync_all;
    uint32_t boots;
    uint32_t node_next;
    uint64_t calls[RL_MEM_CALLS];
    struct mem_fault faults[MEM_FAULTS_MAX];
    uint32_t fault_count;
};

struct mem_disk *mem_disk_of(const struct rl_disk *disk);
/* New bytes are zero. */
void mem_bytes_resize(struct mem_bytes *bytes, size_t size);
/* No name, no reference yet. */
struct mem_node *mem_node_create(struct mem_disk *disk, bool directory);
void mem_node_unref(struct mem_disk *disk, struct mem_node *node);
/* What programs see becomes what the device has. */
void mem_node_drop_cache(struct mem_disk *disk, struct mem_node *node);

/* ---- mem_names.c ---- */

/* NULL: not there. */
struct mem_entry *mem_names_find(const struct mem_names *names, const char *name);
struct mem_entry *mem_names_find_same(const struct mem_names *names, const struct mem_name *name);
void mem_names_add(struct mem_names *names, const char *name, struct mem_node *node);
void mem_names_add_entry(struct mem_names *names, const struct mem_entry *entry);
/* The same names of the same nodes, in the same order, as far as `from` goes; how many are. */
uint32_t mem_names_common(const struct mem_names *a, const struct mem_names *b);
void mem_names_remove(struct mem_disk *disk, struct mem_names *names, struct mem_entry *entry);
void mem_names_clear(struct mem_disk *disk, struct mem_names *names);
void mem_names_copy(struct mem_disk *disk, struct mem_names *to, const struct mem_names *from);

/* By the names that programs see.  The directory that holds the last name of path, and that name, of up to
 * MEM_NAME_BYTES ("" for the root itself). */
rl_status mem_path_parent(struct mem_disk *disk, const char *path, struct mem_node **ret_parent, char *ret_name);
/* RL_ENOTFOUND; RL_EINVAL: a file where a directory should be. */
rl_status mem_path_find(struct mem_disk *disk, const char *path, struct mem_node **ret_node);
rl_status mem_path_directory(struct mem_disk *disk, const char *path, struct mem_node **ret_node);

#endif

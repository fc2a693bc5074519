/* tests/io/mem_disk.c — the disk of the kernel in memory: what a power cut leaves, and faults.
 *
 * A node is a file or a directory.  It has what programs see (live) and what the device has
 * (durable): of a file its bytes, of a directory its names.  A sync copies one to the other; a
 * power cut copies back.  Names do not become durable by syncing the file they name: that is
 * stricter than ext4, and what POSIX says.  Names and paths are in mem_names.c, power cuts that
 * leave a part of something in mem_disk_crash.c.
 *
 * A failed sync drops the dirty range, as Linux does: its bytes stay visible and are never
 * written, perhaps but for the first of them.  A read of the device sees what is durable. */
#include "core/memory.h"
#include "mem_disk.h"
#include <stdio.h>
#include <string.h>

#define MEM_FILE_FD_FIRST 1000

struct mem_disk *mem_disk_of(const struct rl_disk *disk)
{
    return RL_CONTAINER_OF(disk, struct mem_disk, disk);
}

struct rl_mem *mem_of_disk(struct rl_disk *disk)
{
    return mem_disk_of(disk)->mem;
}

/* ---- bytes and nodes ---- */

void mem_bytes_resize(struct mem_bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = RL_MAX(size, bytes->capacity * 2);
        bytes->data = rl_realloc(bytes->data, bytes->capacity);
    }
    if (size > bytes->bytes)
        memset(bytes->data + bytes->bytes, 0, size - bytes->bytes);
    bytes->bytes = size;
}

struct mem_node *mem_node_create(struct mem_disk *disk, bool directory)
{
    struct mem_node *node = rl_alloc_zero(1, sizeof *node);
    node->id = disk->node_next++;
    node->directory = directory;
    node->live_names.live = true;
    return node;
}

void mem_node_unref(struct mem_disk *disk, struct mem_node *node)
{
    RL_ASSERT(node->references > 0);
    if (--node->references != 0)
        return;
    disk->used_bytes -= node->live.bytes;
    mem_names_clear(disk, &node->live_names);
    mem_names_clear(disk, &node->durable_names);
    rl_free(node->live.data);
    rl_free(node->durable.data);
    rl_free(node);
}

static void mem_node_dirty(struct mem_node *node, size_t from, size_t to)
{
    if (node->dirty_from >= node->dirty_to) {
        node->dirty_from = from;
        node->dirty_to = to;
        return;
    }
    node->dirty_from = RL_MIN(node->dirty_from, from);
    node->dirty_to = RL_MAX(node->dirty_to, to);
}

/* The dirty range is clean now; only its first `keep` bytes got to the device. */
static void mem_node_sync_failed(struct mem_node *node, size_t keep)
{
    size_t to = RL_MIN(RL_MIN(node->dirty_to, node->live.bytes), node->dirty_from + keep);

    if (node->dirty_from < to) {
        if (to > node->durable.bytes)
            mem_bytes_resize(&node->durable, to);
        memcpy(node->durable.data + node->dirty_from, node->live.data + node->dirty_from,
               to - node->dirty_from);
    }
    node->dirty_from = node->dirty_to = 0;
    node->differs = true;
}

static void mem_node_sync(struct mem_node *node)
{
    size_t to = RL_MIN(node->dirty_to, node->live.bytes);

    mem_bytes_resize(&node->durable, node->live.bytes);
    if (node->dirty_from < to)
        memcpy(node->durable.data + node->dirty_from, node->live.data + node->dirty_from,
               to - node->dirty_from);
    node->dirty_from = node->dirty_to = 0;
}

void mem_node_drop_cache(struct mem_disk *disk, struct mem_node *node)
{
    const struct mem_bytes *durable = &node->durable;
    size_t from = node->differs ? 0 : node->dirty_from;
    size_t to = node->differs ? durable->bytes : RL_MIN(node->dirty_to, durable->bytes);

    disk->used_bytes += durable->bytes - node->live.bytes;
    mem_bytes_resize(&node->live, durable->bytes);
    if (from < to)
        memcpy(node->live.data + from, durable->data + from, to - from);
    node->dirty_from = node->dirty_to = 0;
    node->differs = false;
}

/* ---- faults ---- */

/* Count the call; the fault that waits for it is taken out and returned through ret_fault. */
static bool mem_fault_take(struct mem_disk *disk, enum rl_mem_call call, struct mem_fault *ret_fault)
{
    uint64_t own = disk->calls[call]++, any = disk->calls[RL_MEM_ANY]++;

    for (uint32_t i = 0; i < disk->fault_count; i++) {
        struct mem_fault fault = disk->faults[i];
        if (!((fault.call == call && fault.at == own) ||
              (fault.call == RL_MEM_ANY && fault.at == any)))
            continue;
        disk->faults[i] = disk->faults[--disk->fault_count];
        *ret_fault = fault;
        return true;
    }
    return false;
}

static rl_status mem_fault_status(struct mem_disk *disk, enum rl_mem_call call)
{
    struct mem_fault fault;
    return mem_fault_take(disk, call, &fault) ? fault.status : RL_OK;
}

static void mem_fault_add(struct rl_disk *rl_disk, struct mem_fault fault, uint32_t after)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);

    RL_ASSERT(disk->fault_count < MEM_FAULTS_MAX && fault.status != RL_OK);
    fault.at = disk->calls[fault.call] + after;
    disk->faults[disk->fault_count++] = fault;
}

void rl_mem_disk_fail(struct rl_disk *disk, enum rl_mem_call call, uint32_t after, rl_status status)
{
    mem_fault_add(disk, (struct mem_fault){ .call = call, .status = status }, after);
}

void rl_mem_disk_fail_write(struct rl_disk *disk, uint32_t after, size_t bytes, rl_status status)
{
    mem_fault_add(disk, (struct mem_fault){ .call = RL_MEM_WRITE, .status = status,
                                            .partial = true, .bytes = bytes }, after);
}

void rl_mem_disk_fail_sync(struct rl_disk *disk, uint32_t after, size_t bytes, rl_status status)
{
    mem_fault_add(disk, (struct mem_fault){ .call = RL_MEM_SYNC, .status = status,
                                            .partial = true, .bytes = bytes }, after);
}

void rl_mem_disk_no_sync_all(struct rl_disk *disk)
{
    mem_disk_of(disk)->no_sync_all = true;
}

void rl_mem_disk_heal(struct rl_disk *disk)
{
    mem_disk_of(disk)->fault_count = 0;
}

/* ---- the table ---- */

static struct mem_file *mem_file_of(struct mem_disk *disk, int fd)
{
    uint32_t index = (uint32_t)(fd - MEM_FILE_FD_FIRST);

    if (fd < MEM_FILE_FD_FIRST || index >= disk->file_count || disk->files[index].node == NULL)
        rl_panic(__FILE__, __LINE__, "descriptor %d is not an open file", fd);
    return &disk->files[index];
}

static int mem_file_open(struct mem_disk *disk, struct mem_node *node, uint32_t flags)
{
    if (disk->file_count == disk->file_capacity) {
        disk->file_capacity = RL_MAX(disk->file_capacity * 2, 64);
        disk->files = rl_realloc(disk->files, disk->file_capacity * sizeof *disk->files);
    }
    disk->files[disk->file_count] = (struct mem_file){
        .node = node, .writable = (flags & RL_OPEN_WRITE) != 0, .device = (flags & RL_OPEN_DEVICE) != 0 };
    node->references++;
    disk->open_count++;
    return MEM_FILE_FD_FIRST + (int)disk->file_count++;
}

static void mem_file_close(struct mem_disk *disk, struct mem_file *file)
{
    if (file->locks)
        file->node->locked = false;
    mem_node_unref(disk, file->node);
    *file = (struct mem_file){ 0 };
    disk->open_count--;
}

static void mem_set_size(struct mem_disk *disk, struct mem_node *node, size_t bytes)
{
    size_t before = node->live.bytes;

    mem_bytes_resize(&node->live, bytes);
    disk->used_bytes += bytes - before;
    mem_node_dirty(node, RL_MIN(before, bytes), RL_MAX(before, bytes));
}

static rl_status mem_open_node(struct mem_disk *disk, const char *path, uint32_t flags,
                               struct mem_node **ret_node)
{
    struct mem_node *parent;
    char name[MEM_NAME_BYTES];
    rl_status status = mem_path_parent(disk, path, &parent, name);

    if (status != RL_OK)
        return status;
    struct mem_entry *entry = mem_names_find(&parent->live_names, name);
    if (entry != NULL) {
        if ((flags & RL_OPEN_EXCLUSIVE) != 0)
            return RL_EEXIST;
        if (entry->node->directory)
            return RL_EINVAL;
        *ret_node = entry->node;
        return RL_OK;
    }
    if (name[0] == '\0' || (flags & RL_OPEN_CREATE) == 0)
        return RL_ENOTFOUND;
    *ret_node = mem_node_create(disk, false);
    mem_names_add(&parent->live_names, name, *ret_node);
    return RL_OK;
}

static rl_status mem_open(struct rl_disk *rl_disk, const char *path, uint32_t flags, int *ret_fd)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *node;
    rl_status status = mem_fault_status(disk, RL_MEM_OPEN);

    if (status == RL_OK)
        status = mem_open_node(disk, path, flags, &node);
    if (status != RL_OK)
        return status;
    if ((flags & RL_OPEN_TRUNCATE) != 0)
        mem_set_size(disk, node, 0);
    *ret_fd = mem_file_open(disk, node, flags);
    return RL_OK;
}

static void mem_close(struct rl_disk *rl_disk, int fd)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    mem_file_close(disk, mem_file_of(disk, fd));
}

static rl_status mem_read(struct rl_disk *rl_disk, int fd, uint64_t pos, void *buffer, size_t bytes,
                          bool resident_only, size_t *ret_bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    const struct mem_bytes *live = &mem_file_of(disk, fd)->node->live;
    rl_status status = mem_fault_status(disk, RL_MEM_READ);

    RL_ASSERT(!mem_file_of(disk, fd)->device);
    if (status != RL_OK)
        return status;
    if (resident_only && disk->not_resident)
        return RL_EBUSY;
    *ret_bytes = pos < live->bytes ? RL_MIN(bytes, live->bytes - pos) : 0;
    if (*ret_bytes != 0)
        memcpy(buffer, live->data + pos, *ret_bytes);
    return RL_OK;
}

static rl_status mem_read_device(struct rl_disk *rl_disk, int fd, uint64_t pos, void *buffer,
                                 size_t bytes, size_t *ret_bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    const struct mem_file *file = mem_file_of(disk, fd);
    const struct mem_bytes *durable = &file->node->durable;
    rl_status status = mem_fault_status(disk, RL_MEM_READ_DEVICE);

    RL_ASSERT(file->device);
    if (status != RL_OK)
        return status;
    *ret_bytes = pos < durable->bytes ? RL_MIN(bytes, durable->bytes - pos) : 0;
    if (*ret_bytes != 0)
        memcpy(buffer, durable->data + pos, *ret_bytes);
    return RL_OK;
}

/* How many of `bytes` at pos still fit the disk. */
static size_t mem_room(const struct mem_disk *disk, const struct mem_node *node, uint64_t pos,
                       size_t bytes)
{
    uint64_t left = disk->capacity_bytes - RL_MIN(disk->used_bytes, disk->capacity_bytes);
    uint64_t end = node->live.bytes + left;

    return pos >= end ? 0 : (size_t)RL_MIN(bytes, end - pos);
}

static rl_status mem_write(struct rl_disk *rl_disk, int fd, uint64_t pos, const struct iovec *iov,
                           int iov_count, size_t *ret_bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_file *file = mem_file_of(disk, fd);
    struct mem_fault fault = { .status = RL_OK };
    bool failed = mem_fault_take(disk, RL_MEM_WRITE, &fault);
    size_t limit = !failed ? SIZE_MAX : fault.partial ? fault.bytes : 0;

    RL_ASSERT(file->writable);
    *ret_bytes = 0;
    for (int i = 0; i < iov_count; i++) {
        size_t wanted = RL_MIN(iov[i].iov_len, limit - *ret_bytes);
        size_t fits = mem_room(disk, file->node, pos, wanted);
        if (fits != 0 && pos + fits > file->node->live.bytes)
            mem_set_size(disk, file->node, pos + fits);
        if (fits != 0) {
            memcpy(file->node->live.data + pos, iov[i].iov_base, fits);
            mem_node_dirty(file->node, pos, pos + fits);
        }
        *ret_bytes += fits;
        pos += fits;
        if (fits < wanted)
            return RL_ENOSPACE;
    }
    return failed ? fault.status : RL_OK;
}

static rl_status mem_sync(struct rl_disk *rl_disk, int fd)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *node = mem_file_of(disk, fd)->node;
    struct mem_fault fault;

    if (mem_fault_take(disk, RL_MEM_SYNC, &fault)) {
        mem_node_sync_failed(node, fault.partial ? fault.bytes : 0);
        return fault.status;
    }
    mem_node_sync(node);
    return node->links > 0 ? RL_OK : RL_ENOTFOUND;
}

static rl_status mem_truncate(struct rl_disk *rl_disk, int fd, uint64_t bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_file *file = mem_file_of(disk, fd);
    rl_status status = mem_fault_status(disk, RL_MEM_TRUNCATE);

    RL_ASSERT(file->writable);
    if (status == RL_OK)
        mem_set_size(disk, file->node, bytes);
    return status;
}

static rl_status mem_allocate(struct rl_disk *rl_disk, int fd, uint64_t pos, uint64_t bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_file *file = mem_file_of(disk, fd);
    rl_status status = mem_fault_status(disk, RL_MEM_ALLOCATE);

    RL_ASSERT(file->writable);
    if (status == RL_OK && mem_room(disk, file->node, pos, bytes) < bytes)
        status = RL_ENOSPACE;
    return status;
}

static rl_status mem_size(struct rl_disk *rl_disk, int fd, uint64_t *ret_bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    const struct mem_file *file = mem_file_of(disk, fd);
    rl_status status = mem_fault_status(disk, RL_MEM_SIZE);

    if (status == RL_OK)
        *ret_bytes = file->node->live.bytes;
    return status;
}

static rl_status mem_rename(struct rl_disk *rl_disk, const char *from, const char *to)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *from_parent, *to_parent;
    char from_name[MEM_NAME_BYTES], to_name[MEM_NAME_BYTES];
    rl_status status = mem_fault_status(disk, RL_MEM_RENAME);

    if (status == RL_OK)
        status = mem_path_parent(disk, from, &from_parent, from_name);
    if (status == RL_OK)
        status = mem_path_parent(disk, to, &to_parent, to_name);
    if (status != RL_OK)
        return status;
    struct mem_entry *source = mem_names_find(&from_parent->live_names, from_name);
    struct mem_entry *target = mem_names_find(&to_parent->live_names, to_name);
    if (source == NULL)
        return RL_ENOTFOUND;
    struct mem_node *node = source->node;
    if (target != NULL && target->node == node)
        return RL_OK;
    if (target != NULL && target->node->directory != node->directory)
        return RL_EINVAL;
    if (target != NULL && target->node->live_names.count != 0)
        return RL_EEXIST;
    node->references++;                 /* between its two names */
    if (target != NULL)
        mem_names_remove(disk, &to_parent->live_names, target);
    mem_names_remove(disk, &from_parent->live_names,
                     mem_names_find(&from_parent->live_names, from_name));
    mem_names_add(&to_parent->live_names, to_name, node);
    mem_node_unref(disk, node);
    return RL_OK;
}

static rl_status mem_remove(struct mem_disk *disk, const char *path, enum rl_mem_call call)
{
    bool directory = call == RL_MEM_REMOVE_DIRECTORY;
    struct mem_node *parent;
    char name[MEM_NAME_BYTES];
    rl_status status = mem_fault_status(disk, call);

    if (status == RL_OK)
        status = mem_path_parent(disk, path, &parent, name);
    if (status != RL_OK)
        return status;
    struct mem_entry *entry = mem_names_find(&parent->live_names, name);
    if (entry == NULL)
        return RL_ENOTFOUND;
    if (entry->node->directory != directory)
        return RL_EINVAL;
    if (entry->node->live_names.count != 0)
        return RL_EEXIST;
    mem_names_remove(disk, &parent->live_names, entry);
    return RL_OK;
}

static rl_status mem_unlink(struct rl_disk *disk, const char *path)
{
    return mem_remove(mem_disk_of(disk), path, RL_MEM_UNLINK);
}

static rl_status mem_remove_directory(struct rl_disk *disk, const char *path)
{
    return mem_remove(mem_disk_of(disk), path, RL_MEM_REMOVE_DIRECTORY);
}

static rl_status mem_make_directory(struct rl_disk *rl_disk, const char *path)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *parent;
    char name[MEM_NAME_BYTES];
    rl_status status = mem_fault_status(disk, RL_MEM_MAKE_DIRECTORY);

    if (status == RL_OK)
        status = mem_path_parent(disk, path, &parent, name);
    if (status != RL_OK)
        return status;
    if (name[0] == '\0' || mem_names_find(&parent->live_names, name) != NULL)
        return RL_EEXIST;
    mem_names_add(&parent->live_names, name, mem_node_create(disk, true));
    return RL_OK;
}

/* The names the directory has now are on the device.  Mostly something was added, and that is all. */
static void mem_names_sync(struct mem_disk *disk, struct mem_node *node)
{
    const struct mem_names *live = &node->live_names, *durable = &node->durable_names;

    if (mem_names_common(durable, live) < durable->count)
        mem_names_copy(disk, &node->durable_names, &node->live_names);
    for (uint32_t i = durable->count; i < live->count; i++)
        mem_names_add_entry(&node->durable_names, &live->entries[i]);
}

static void mem_tree_sync(struct mem_disk *disk, struct mem_node *node)
{
    if (!node->directory) {
        mem_node_sync(node);
        return;
    }
    mem_names_sync(disk, node);
    for (uint32_t i = 0; i < node->live_names.count; i++)
        mem_tree_sync(disk, node->live_names.entries[i].node);
}

static rl_status mem_sync_directory(struct rl_disk *rl_disk, const char *path)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *node;
    rl_status status = mem_fault_status(disk, RL_MEM_SYNC_DIRECTORY);

    if (status == RL_OK)
        status = mem_path_directory(disk, path, &node);
    if (status != RL_OK)
        return status;
    mem_names_sync(disk, node);
    return RL_OK;
}

static rl_status mem_sync_all(struct rl_disk *rl_disk, int fd)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);

    RL_ASSERT(mem_file_of(disk, fd)->node != NULL);
    if (disk->no_sync_all)
        return RL_EUNSUPPORTED;
    rl_status status = mem_fault_status(disk, RL_MEM_SYNC_DIRECTORY);
    if (status == RL_OK)
        mem_tree_sync(disk, disk->root);
    return status;
}

static rl_status mem_list(struct rl_disk *rl_disk, const char *path, rl_disk_entry_fn *entry, void *arg)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *node;
    rl_status status = mem_fault_status(disk, RL_MEM_LIST);

    if (status == RL_OK)
        status = mem_path_directory(disk, path, &node);
    if (status != RL_OK)
        return status;
    struct mem_names copy = { 0 };      /* entry() may create and remove names */
    mem_names_copy(disk, &copy, &node->live_names);
    for (uint32_t i = 0; i < copy.count; i++)
        entry(arg, copy.entries[i].name->text, copy.entries[i].node->directory);
    mem_names_clear(disk, &copy);
    return RL_OK;
}

static rl_status mem_lock(struct rl_disk *rl_disk, const char *path, int *ret_fd)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);
    struct mem_node *node;
    rl_status status = mem_fault_status(disk, RL_MEM_LOCK);

    if (status == RL_OK)
        status = mem_open_node(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE, &node);
    if (status != RL_OK)
        return status;
    if (node->locked)
        return RL_EBUSY;
    node->locked = true;
    *ret_fd = mem_file_open(disk, node, RL_OPEN_WRITE);
    mem_file_of(disk, *ret_fd)->locks = true;
    return RL_OK;
}

static rl_status mem_free_bytes(struct rl_disk *rl_disk, const char *path, uint64_t *ret_free_bytes,
                                uint64_t *ret_total_bytes)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);

    (void)path;
    *ret_free_bytes = disk->capacity_bytes - RL_MIN(disk->used_bytes, disk->capacity_bytes);
    *ret_total_bytes = disk->capacity_bytes;
    return RL_OK;
}

static rl_status mem_identity(struct rl_disk *disk, const char *path, char *text, size_t bytes)
{
    (void)path;
    return snprintf(text, bytes, "mem-boot-%u", mem_disk_of(disk)->boots) < (int)bytes ? RL_OK
                                                                                       : RL_ETOOLARGE;
}

/* ---- life ---- */

struct rl_disk *mem_disk_create(struct rl_mem *mem, struct rl_list *disks)
{
    static const struct rl_disk_table table = {
        .open = mem_open,
        .close = mem_close,
        .read = mem_read,
        .read_device = mem_read_device,
        .write = mem_write,
        .sync = mem_sync,
        .truncate = mem_truncate,
        .allocate = mem_allocate,
        .size = mem_size,
        .rename = mem_rename,
        .unlink = mem_unlink,
        .make_directory = mem_make_directory,
        .remove_directory = mem_remove_directory,
        .sync_directory = mem_sync_directory,
        .sync_all = mem_sync_all,
        .list = mem_list,
        .lock = mem_lock,
        .free_bytes = mem_free_bytes,
        .identity = mem_identity,
    };
    struct mem_disk *disk = rl_alloc_zero(1, sizeof *disk);

    disk->disk.table = &table;
    disk->mem = mem;
    disk->capacity_bytes = UINT64_MAX / 2;
    disk->root = mem_node_create(disk, true);
    disk->root->references = 1;
    rl_list_push_back(disks, &disk->node);
    return &disk->disk;
}

struct rl_disk *rl_mem_disk(struct rl_mem *mem)
{
    return &RL_LIST_ENTRY(mem->disks.next, struct mem_disk, node)->disk;
}

void mem_disk_free_all(struct rl_list *disks)
{
    struct rl_list *node;

    while ((node = rl_list_pop_front(disks)) != NULL) {
        struct mem_disk *disk = RL_LIST_ENTRY(node, struct mem_disk, node);
        rl_mem_disk_kill(&disk->disk);
        mem_node_unref(disk, disk->root);
        rl_free(disk->files);
        rl_free(disk);
    }
}

void rl_mem_disk_kill(struct rl_disk *rl_disk)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);

    for (uint32_t i = 0; i < disk->file_count; i++) {
        if (disk->files[i].node != NULL)
            mem_file_close(disk, &disk->files[i]);
    }
}

static void mem_node_crash(struct mem_disk *disk, struct mem_node *node)
{
    if (node->directory) {
        mem_names_copy(disk, &node->live_names, &node->durable_names);
        for (uint32_t i = 0; i < node->live_names.count; i++)
            mem_node_crash(disk, node->live_names.entries[i].node);
        return;
    }
    mem_node_drop_cache(disk, node);
}

void rl_mem_disk_crash(struct rl_disk *rl_disk)
{
    struct mem_disk *disk = mem_disk_of(rl_disk);

    rl_mem_disk_kill(rl_disk);
    mem_node_crash(disk, disk->root);
    disk->boots++;
}

uint64_t rl_mem_disk_calls(const struct rl_disk *disk, enum rl_mem_call call)
{
    return mem_disk_of(disk)->calls[call];
}

void rl_mem_disk_set_capacity(struct rl_disk *disk, uint64_t bytes)
{
    mem_disk_of(disk)->capacity_bytes = bytes;
}

uint64_t rl_mem_disk_used(const struct rl_disk *disk)
{
    return mem_disk_of(disk)->used_bytes;
}

void rl_mem_disk_set_resident(struct rl_disk *disk, bool resident)
{
    mem_disk_of(disk)->not_resident = !resident;
}

uint32_t rl_mem_disk_open_count(const struct rl_disk *disk)
{
    return mem_disk_of(disk)->open_count;
}

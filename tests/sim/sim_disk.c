/* tests/sim/sim_disk.c — the disk as the broker sees it: every call is noted, may fail, may be its last.
 *
 * Functions in front of those of the disk in memory.  A call at which the broker dies is not done,
 * done, or (a write) done in part; then control goes back to the world as if the process were gone. */
#include "sim.h"
#include "sim_heap.h"
#include <stdio.h>
#include <string.h>

static const char *const call_names[RL_MEM_CALLS] = {
    "open", "read", "write", "sync", "truncate", "allocate", "size", "rename", "unlink",
    "make directory", "remove directory", "sync directory", "list", "lock", "close",
};

static struct sim_disk *mine(void)
{
    return &sim_now->disk;
}

static noreturn void die(struct sim *sim)
{
    sim->disk.die_at = UINT64_MAX;
    sim_noted(sim, SIM_CRASH_IN_CALL, 1);
    sim_say(sim, "it dies here");
    longjmp(sim->died, 1);
}

/* ---- what the descriptors are ---- */

static char open_paths[1 << 14][SIM_PATH_BYTES];        /* of this run, by descriptor */

static char *path_of(int fd)
{
    return open_paths[(uint32_t)fd % RL_ARRAY_COUNT(open_paths)];
}

static void opened(int fd, const char *path)
{
    size_t bytes = strlen(path);

    RL_ASSERT(bytes < SIM_PATH_BYTES);
    memcpy(path_of(fd), path, bytes + 1);
}

static void trace_call(enum rl_mem_call call, uint64_t a, uint64_t b)
{
    if (sim_now->options.trace)
        sim_say(sim_now, "call %llu: %s %s %llu, %llu bytes", (unsigned long long)mine()->calls,
                call_names[call], call == RL_MEM_OPEN ? "" : path_of((int)a),
                (unsigned long long)(b & UINT32_MAX), (unsigned long long)(b >> 32));
}

/* ---- failed syncs that no mark tells of yet ---- */

/* A log whose sync has failed leaves a mark for the next start.  Killed before the mark is there,
 * nobody can know on that mount that clean pages are not on the device: see the README. */
static void sync_has_failed(int fd)
{
    struct sim_disk *disk = mine();
    char *slash;

    sim_model_sync_failed(sim_now, path_of(fd));
    if (disk->unmarked_count == RL_ARRAY_COUNT(disk->unmarked) || strstr(path_of(fd), ".log") == NULL)
        return;
    struct sim_unmarked *unmarked = &disk->unmarked[disk->unmarked_count++];
    snprintf(unmarked->directory, SIM_PATH_BYTES, "%s", path_of(fd));
    unmarked->made = false;
    if ((slash = strrchr(unmarked->directory, '/')) != NULL)
        *slash = '\0';
}

static void mark_was_made(const char *path)
{
    struct sim_disk *disk = mine();
    const char *slash = strrchr(path, '/');

    if (slash == NULL || strcmp(slash, "/sync-failed") != 0)
        return;
    for (uint32_t i = 0; i < disk->unmarked_count; i++) {
        const char *directory = disk->unmarked[i].directory;
        disk->unmarked[i].made |= strlen(directory) == (size_t)(slash - path) &&
                                  strncmp(directory, path, (size_t)(slash - path)) == 0;
    }
}

static void directory_was_synced(const char *path)
{
    struct sim_disk *disk = mine();

    for (uint32_t i = disk->unmarked_count; i-- > 0;)
        if (disk->unmarked[i].made && strcmp(disk->unmarked[i].directory, path) == 0)
            disk->unmarked[i] = disk->unmarked[--disk->unmarked_count];
}

/* Note a call; true: it is the last one, and happens or not as sim->disk.cut says. */
static bool note(enum rl_mem_call call, uint64_t a, uint64_t b, bool counts)
{
    struct sim *sim = sim_now;

    trace_call(call, a, b);
    sim_hash_number(sim, (uint64_t)call << 56 ^ a << 20 ^ b);
    if (!counts)
        return false;
    bool syncs = call == RL_MEM_SYNC || call == RL_MEM_SYNC_DIRECTORY;
    sim_exhaustive_fork(sim, call == RL_MEM_WRITE, syncs);
    return sim->disk.calls++ == sim->disk.die_at && sim->may_die;
}

static bool fails(uint32_t one_in, enum sim_count what)
{
    struct sim *sim = sim_now;

    if (sim->calm || !sim_one_in(sim, one_in))
        return false;
    sim->disk.faulty = true;
    sim_noted(sim, what, 1);
    sim_say(sim, "the disk fails");
    return true;
}

static void note_path(const char *path)
{
    if (sim_now->options.trace)
        sim_say(sim_now, "    %s", path);
    sim_hash_bytes(sim_now, path, strlen(path));
}

/* A simple call with a path: before, the call, after. */
#define LAST_BEFORE(last) do { if ((last) && mine()->cut != SIM_CUT_AFTER) die(sim_now); } while (0)
#define LAST_AFTER(last)  do { if (last) die(sim_now); } while (0)

static rl_status disk_open(struct rl_disk *d, const char *path, uint32_t flags, int *ret_fd)
{
    bool last = note(RL_MEM_OPEN, flags, 0, (flags & (RL_OPEN_CREATE | RL_OPEN_TRUNCATE)) != 0);

    note_path(path);
    LAST_BEFORE(last);
    if (fails(mine()->faults.other, SIM_FAIL_OTHER))
        return sim_one_in(sim_now, 2) ? RL_EIO : RL_EMFILE;
    rl_status status = mine()->inner->open(d, path, flags, ret_fd);
    if (status == RL_OK) {
        opened(*ret_fd, path);
        mark_was_made(path);
    }
    LAST_AFTER(last);
    return status;
}

static void disk_close(struct rl_disk *d, int fd)
{
    mine()->inner->close(d, fd);
}

static rl_status disk_read(struct rl_disk *d, int fd, uint64_t pos, void *buffer, size_t bytes,
                           bool resident_only, size_t *ret_bytes)
{
    note(RL_MEM_READ, (uint64_t)fd, pos ^ bytes << 32, false);
    if (resident_only && sim_one_in(sim_now, 8))
        return RL_EBUSY;
    if (fails(mine()->faults.read, SIM_FAIL_READ))
        return RL_EIO;
    rl_status status = mine()->inner->read(d, fd, pos, buffer, bytes, false, ret_bytes);
    if (status == RL_OK)
        sim_hash_number(sim_now, *ret_bytes);           /* what it says is what was written */
    return status;
}

static rl_status disk_read_device(struct rl_disk *d, int fd, uint64_t pos, void *buffer, size_t bytes,
                                  size_t *ret_bytes)
{
    note(RL_MEM_READ_DEVICE, (uint64_t)fd, pos ^ bytes << 32, false);
    if (fails(mine()->faults.read, SIM_FAIL_READ))
        return RL_EIO;
    rl_status status = mine()->inner->read_device(d, fd, pos, buffer, bytes, ret_bytes);
    if (status == RL_OK)
        sim_hash_bytes(sim_now, buffer, *ret_bytes);
    return status;
}

static size_t iov_bytes(const struct iovec *iov, int count)
{
    size_t bytes = 0;

    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

static rl_status disk_write(struct rl_disk *d, int fd, uint64_t pos, const struct iovec *iov,
                            int iov_count, size_t *ret_bytes)
{
    size_t bytes = iov_bytes(iov, iov_count);
    bool last = note(RL_MEM_WRITE, (uint64_t)fd, pos ^ (uint64_t)bytes << 32, true);

    for (int i = 0; i < iov_count; i++)
        sim_hash_bytes(sim_now, iov[i].iov_base, iov[i].iov_len);
    if (last && mine()->cut == SIM_CUT_BEFORE)
        die(sim_now);
    if (last && mine()->cut == SIM_CUT_TORN) {
        rl_mem_disk_fail_write(d, 0, sim_below(sim_now, bytes + 1), RL_EIO);
        (void)mine()->inner->write(d, fd, pos, iov, iov_count, ret_bytes);
        sim_noted(sim_now, SIM_TORN_WRITES, 1);
        die(sim_now);
    }
    if (fails(mine()->faults.write, SIM_FAIL_WRITE))
        rl_mem_disk_fail_write(d, 0, sim_below(sim_now, bytes + 1),
                               sim_one_in(sim_now, 3) ? RL_ENOSPACE : RL_EIO);
    rl_status status = mine()->inner->write(d, fd, pos, iov, iov_count, ret_bytes);
    if (status == RL_ENOSPACE) {
        mine()->faulty = true;
        sim_noted(sim_now, SIM_FULL_DISK, 1);
    }
    LAST_AFTER(last);
    return status;
}

static rl_status disk_sync(struct rl_disk *d, int fd)
{
    bool last = note(RL_MEM_SYNC, (uint64_t)fd, 0, true);

    LAST_BEFORE(last);
    if (fails(mine()->faults.sync, SIM_FAIL_SYNC)) {
        rl_mem_disk_fail_sync(d, 0, sim_one_in(sim_now, 2) ? 0 : sim_below(sim_now, 2000), RL_EIO);
        sync_has_failed(fd);
    }
    rl_status status = mine()->inner->sync(d, fd);
    LAST_AFTER(last);
    return status;
}

static rl_status disk_truncate(struct rl_disk *d, int fd, uint64_t bytes)
{
    bool last = note(RL_MEM_TRUNCATE, (uint64_t)fd, bytes, true);

    LAST_BEFORE(last);
    if (fails(mine()->faults.other, SIM_FAIL_OTHER))
        return RL_EIO;
    rl_status status = mine()->inner->truncate(d, fd, bytes);
    LAST_AFTER(last);
    return status;
}

static rl_status disk_allocate(struct rl_disk *d, int fd, uint64_t pos, uint64_t bytes)
{
    note(RL_MEM_ALLOCATE, (uint64_t)fd, pos ^ bytes, false);
    return mine()->inner->allocate(d, fd, pos, bytes);
}

static rl_status disk_size(struct rl_disk *d, int fd, uint64_t *ret_bytes)
{
    note(RL_MEM_SIZE, (uint64_t)fd, 0, false);
    return mine()->inner->size(d, fd, ret_bytes);
}

static rl_status disk_rename(struct rl_disk *d, const char *from, const char *to)
{
    bool last = note(RL_MEM_RENAME, 0, 0, true);

    note_path(from);
    note_path(to);
    LAST_BEFORE(last);
    if (fails(mine()->faults.other, SIM_FAIL_OTHER))
        return RL_EIO;
    rl_status status = mine()->inner->rename(d, from, to);
    LAST_AFTER(last);
    return status;
}

static rl_status with_path(struct rl_disk *d, enum rl_mem_call call, const char *path,
                           rl_status (*inner)(struct rl_disk *, const char *))
{
    bool last = note(call, 0, 0, true);

    note_path(path);
    LAST_BEFORE(last);
    if (fails(mine()->faults.other, SIM_FAIL_OTHER))
        return RL_EIO;
    rl_status status = inner(d, path);
    LAST_AFTER(last);
    return status;
}

static rl_status disk_unlink(struct rl_disk *d, const char *path)
{
    return with_path(d, RL_MEM_UNLINK, path, mine()->inner->unlink);
}

static rl_status disk_make_directory(struct rl_disk *d, const char *path)
{
    return with_path(d, RL_MEM_MAKE_DIRECTORY, path, mine()->inner->make_directory);
}

static rl_status disk_remove_directory(struct rl_disk *d, const char *path)
{
    return with_path(d, RL_MEM_REMOVE_DIRECTORY, path, mine()->inner->remove_directory);
}

static rl_status disk_sync_directory(struct rl_disk *d, const char *path)
{
    rl_status status = with_path(d, RL_MEM_SYNC_DIRECTORY, path, mine()->inner->sync_directory);
    char inside[SIM_PATH_BYTES];

    if (status == RL_OK) {
        directory_was_synced(path);
    } else {                            /* a log whose commit needed it is rebuilt from the device, too */
        snprintf(inside, sizeof inside, "%s/", path);
        sim_model_sync_failed(sim_now, inside);
    }
    return status;
}

static rl_status disk_sync_all(struct rl_disk *d, int fd)
{
    struct sim_disk *disk = mine();
    bool last = note(RL_MEM_SYNC_DIRECTORY, (uint64_t)fd, 0, true);

    LAST_BEFORE(last);
    if (fails(disk->faults.other, SIM_FAIL_OTHER))
        return RL_EIO;
    rl_status status = disk->inner->sync_all(d, fd);
    for (uint32_t i = disk->unmarked_count; i-- > 0 && status == RL_OK;)
        if (disk->unmarked[i].made)
            disk->unmarked[i] = disk->unmarked[--disk->unmarked_count];
    LAST_AFTER(last);
    return status;
}

static rl_status disk_list(struct rl_disk *d, const char *path, rl_disk_entry_fn *entry, void *arg)
{
    note(RL_MEM_LIST, 0, 0, false);
    note_path(path);
    if (fails(mine()->faults.other, SIM_FAIL_OTHER))
        return RL_EIO;
    return mine()->inner->list(d, path, entry, arg);
}

static rl_status disk_lock(struct rl_disk *d, const char *path, int *ret_fd)
{
    bool last = note(RL_MEM_LOCK, 0, 0, true);

    LAST_BEFORE(last);
    rl_status status = mine()->inner->lock(d, path, ret_fd);
    LAST_AFTER(last);
    return status;
}

static rl_status disk_free_bytes(struct rl_disk *d, const char *path, uint64_t *ret_free_bytes,
                                 uint64_t *ret_total_bytes)
{
    return mine()->inner->free_bytes(d, path, ret_free_bytes, ret_total_bytes);
}

static rl_status disk_identity(struct rl_disk *d, const char *path, char *text, size_t bytes)
{
    return mine()->inner->identity(d, path, text, bytes);
}

void sim_disk_install(struct sim *sim)
{
    static const struct rl_disk_table table = {
        .open = disk_open, .close = disk_close, .read = disk_read,
        .read_device = disk_read_device, .write = disk_write,
        .sync = disk_sync, .truncate = disk_truncate, .allocate = disk_allocate,
        .size = disk_size, .rename = disk_rename, .unlink = disk_unlink,
        .make_directory = disk_make_directory, .remove_directory = disk_remove_directory,
        .sync_directory = disk_sync_directory, .sync_all = disk_sync_all, .list = disk_list, .lock = disk_lock,
        .free_bytes = disk_free_bytes, .identity = disk_identity,
    };

    sim->disk.disk = rl_mem_disk(sim->mem);
    sim->disk.inner = sim->disk.disk->table;
    sim->disk.disk->table = &table;
    sim->disk.die_at = UINT64_MAX;
}

/* tests/replicate/metadata_rig.c — the power switch between a broker and its disk in memory.
 *
 * The memory disk forgets everything that was not synced when it crashes.  Real disks keep any
 * part of it, so the switch remembers unsynced writes and, at rig_lose, brings back none, a
 * prefix, or random small pieces of them. */
#include "metadata_rig.h"
#include "core/memory.h"
#include <criterion/criterion.h>

#define PIECE_BYTES 32u                 /* smaller than any sector: crueller than any disk */

static struct rig *the_rig;

struct call {
    struct rl_msg msg;
    void (*fn)(struct rl_shard *shard, void *arg);
    void *arg;
};

/* ---- the switch ---- */

enum power { POWER_ON, POWER_FAILS, POWER_OFF };

/* One change to the disk is asked for. */
static enum power power_take(void)
{
    if (the_rig->cut)
        return POWER_OFF;
    the_rig->calls++;
    if (the_rig->calls != the_rig->cut_at)
        return POWER_ON;
    the_rig->cut = true;
    return POWER_FAILS;
}

/* Does a call that is all or nothing still happen? */
static bool power_allows(void)
{
    enum power power = power_take();
    return power == POWER_ON || (power == POWER_FAILS && rl_random_below(&the_rig->random, 2) == 0);
}

/* The caller never learns of what happened when the power failed. */
static rl_status power_answer(rl_status status)
{
    return the_rig->cut ? RL_EIO : status;
}

static void write_forget(uint32_t index)
{
    rl_free(the_rig->writes[index].path);
    rl_free(the_rig->writes[index].data);
    the_rig->writes[index] = the_rig->writes[--the_rig->write_count];
}

static void writes_forget(int fd)       /* -1: all */
{
    for (uint32_t i = the_rig->write_count; i > 0; i--)
        if (fd < 0 || the_rig->writes[i - 1].fd == fd)
            write_forget(i - 1);
}

static void write_remember(int fd, uint64_t pos, const struct iovec *iov, int iov_count)
{
    size_t bytes = 0;
    for (int i = 0; i < iov_count; i++)
        bytes += iov[i].iov_len;
    cr_assert_lt(the_rig->write_count, RIG_WRITES_MAX);
    struct rig_write *w = &the_rig->writes[the_rig->write_count++];
    const char *path = rl_table_find_number(&the_rig->paths, (uint64_t)fd);
    *w = (struct rig_write){ .path = rl_strdup(path), .fd = fd, .pos = pos,
                             .data = rl_alloc(bytes + 1) };
    for (int i = 0; i < iov_count; i++) {
        memcpy(w->data + w->bytes, iov[i].iov_base, iov[i].iov_len);
        w->bytes += iov[i].iov_len;
    }
}

/* ---- the disk's table ---- */

static rl_status rig_open(struct rl_disk *d, const char *path, uint32_t flags, int *ret_fd)
{
    bool change = (flags & (RL_OPEN_CREATE | RL_OPEN_TRUNCATE)) != 0;
    if (the_rig->cut || (change && !power_allows()))
        return RL_EIO;
    rl_status status = the_rig->under->open(d, path, flags, ret_fd);
    if (status == RL_OK) {
        rl_free(rl_table_put_number(&the_rig->paths, (uint64_t)*ret_fd, rl_strdup(path)));
        if (the_rig->cut)
            rl_disk_close(d, *ret_fd);
    }
    return power_answer(status);
}

static void rig_close(struct rl_disk *d, int fd)
{
    rl_free(rl_table_remove_number(&the_rig->paths, (uint64_t)fd));
    the_rig->under->close(d, fd);
}

static rl_status rig_read(struct rl_disk *d, int fd, uint64_t pos, void *buffer, size_t bytes,
                          bool resident_only, size_t *ret_bytes)
{
    return the_rig->cut ? RL_EIO
                        : the_rig->under->read(d, fd, pos, buffer, bytes, resident_only, ret_bytes);
}

static rl_status rig_write(struct rl_disk *d, int fd, uint64_t pos, const struct iovec *iov,
                           int iov_count, size_t *ret_bytes)
{
    enum power power = power_take();
    *ret_bytes = 0;
    if (power == POWER_OFF)
        return RL_EIO;
    write_remember(fd, pos, iov, iov_count);
    return power_answer(the_rig->under->write(d, fd, pos, iov, iov_count, ret_bytes));
}

static rl_status rig_sync(struct rl_disk *d, int fd)
{
    if (!power_allows())
        return RL_EIO;
    rl_status status = the_rig->under->sync(d, fd);
    if (status == RL_OK)
        writes_forget(fd);
    return power_answer(status);
}

static rl_status rig_truncate(struct rl_disk *d, int fd, uint64_t bytes)
{
    return power_allows() ? power_answer(the_rig->under->truncate(d, fd, bytes)) : RL_EIO;
}

static rl_status rig_size(struct rl_disk *d, int fd, uint64_t *ret_bytes)
{
    return power_answer(the_rig->under->size(d, fd, ret_bytes));
}

/* Names that power kept while it failed are on the disk. */
static rl_status name_changed(struct rl_disk *d, const char *path, rl_status status)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash != NULL ? rl_strndup(path, (size_t)(slash - path)) : rl_strdup(".");
    if (the_rig->cut && status == RL_OK)
        the_rig->under->sync_directory(d, parent);
    rl_free(parent);
    return power_answer(status);
}

static rl_status rig_rename(struct rl_disk *d, const char *from, const char *to)
{
    return power_allows() ? name_changed(d, to, the_rig->under->rename(d, from, to)) : RL_EIO;
}

static rl_status rig_unlink(struct rl_disk *d, const char *path)
{
    return power_allows() ? name_changed(d, path, the_rig->under->unlink(d, path)) : RL_EIO;
}

static rl_status rig_make_directory(struct rl_disk *d, const char *path)
{
    return power_allows() ? name_changed(d, path, the_rig->under->make_directory(d, path)) : RL_EIO;
}

static rl_status rig_remove_directory(struct rl_disk *d, const char *path)
{
    return power_allows() ? name_changed(d, path, the_rig->under->remove_directory(d, path))
                          : RL_EIO;
}

static rl_status rig_sync_directory(struct rl_disk *d, const char *path)
{
    return power_allows() ? power_answer(the_rig->under->sync_directory(d, path)) : RL_EIO;
}

static struct rl_disk_table rig_table;

static void table_set(struct rig *rig)
{
    rig->under = rig->disk->table;
    rig_table = *rig->under;
    rig_table.open = rig_open;
    rig_table.close = rig_close;
    rig_table.read = rig_read;
    rig_table.write = rig_write;
    rig_table.sync = rig_sync;
    rig_table.truncate = rig_truncate;
    rig_table.size = rig_size;
    rig_table.rename = rig_rename;
    rig_table.unlink = rig_unlink;
    rig_table.make_directory = rig_make_directory;
    rig_table.remove_directory = rig_remove_directory;
    rig_table.sync_directory = rig_sync_directory;
    rig->disk->table = &rig_table;
}

/* ---- the rig ---- */

void rig_init(struct rig *rig, uint32_t shard_count, uint64_t seed)
{
    *rig = (struct rig){ .shard_count = shard_count };
    rl_random_init(&rig->random, seed);
    rl_table_init(&rig->paths, seed);
    rig->mem = rl_mem_create(seed);
    rig->disk = rl_mem_disk(rig->mem);
    the_rig = rig;
    table_set(rig);
}

void rig_done(struct rig *rig)
{
    writes_forget(-1);
    rig->disk->table = rig->under;
    rl_mem_free(rig->mem);
    rl_table_done(&rig->paths);         /* everything was closed */
    the_rig = NULL;
}

static rl_status nothing_to_start(struct rl_shard *shard, void *arg)
{
    (void)shard, (void)arg;
    return RL_OK;
}

void rig_boot(struct rig *rig, uint32_t cut_at)
{
    struct rl_shard_set_options options = { .shard_count = rig->shard_count,
                                            .backend = &rl_backend_mem, .disk = rig->disk };
    rig->cut = false;
    rig->calls = 0;
    rig->cut_at = cut_at;
    cr_assert_eq(rl_shard_set_create(&options, &rig->set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(rig->set, nothing_to_start, NULL), RL_OK);
}

void rig_run(struct rig *rig)
{
    rl_mem_settle(rig->set);
}

static void on_call(struct rl_shard *shard, struct rl_msg *msg)
{
    struct call *call = RL_CONTAINER_OF(msg, struct call, msg);
    call->fn(shard, call->arg);
    rl_free(call);
}

void rig_post(struct rig *rig, uint32_t shard, void (*fn)(struct rl_shard *shard, void *arg),
              void *arg)
{
    struct call *call = rl_alloc_zero(1, sizeof *call);
    *call = (struct call){ .msg = { .handle = on_call }, .fn = fn, .arg = arg };
    rl_shard_post_foreign(rl_shard_set_get(rig->set, shard), &call->msg);
}

void rig_call(struct rig *rig, uint32_t shard, void (*fn)(struct rl_shard *shard, void *arg),
              void *arg)
{
    rig_post(rig, shard, fn, arg);
    rig_run(rig);
}

void rig_halt(struct rig *rig)
{
    rl_shard_set_stop(rig->set);
    rl_shard_set_join(rig->set, NULL, NULL);
    rl_shard_set_free(rig->set);
    rig->set = NULL;
}

/* Of one unsynced write, what the disk has kept. */
static void write_survive(struct rig *rig, const struct rig_write *w, uint64_t how)
{
    int fd;
    size_t written, prefix = (size_t)rl_random_below(&rig->random, w->bytes + 1);
    if (rig->under->open(rig->disk, w->path, RL_OPEN_WRITE, &fd) != RL_OK)
        return;
    for (size_t at = 0; at < w->bytes; at += PIECE_BYTES) {
        size_t bytes = RL_MIN((size_t)PIECE_BYTES, w->bytes - at);
        if (how == 1)
            bytes = at < prefix ? RL_MIN(bytes, prefix - at) : 0;
        else if (how == 2)
            bytes = rl_random_below(&rig->random, 4) > 0 ? bytes : 0;
        struct iovec iov = { .iov_base = w->data + at, .iov_len = bytes };
        if (bytes > 0)
            cr_assert_eq(rig->under->write(rig->disk, fd, w->pos + at, &iov, 1, &written), RL_OK);
    }
    cr_assert_eq(rig->under->sync(rig->disk, fd), RL_OK);
    rig->under->close(rig->disk, fd);
}

void rig_lose(struct rig *rig)
{
    rl_mem_disk_crash(rig->disk);
    uint64_t how = rl_random_below(&rig->random, 4);    /* nothing, a prefix, pieces, all */
    for (uint32_t i = 0; i < rig->write_count && how > 0; i++)
        write_survive(rig, &rig->writes[i], how);
    writes_forget(-1);
}

uint8_t *rig_read_file(struct rig *rig, const char *path, size_t *ret_bytes)
{
    int fd;
    uint64_t size = 0;
    if (rig->under->open(rig->disk, path, 0, &fd) != RL_OK)
        return NULL;
    cr_assert_eq(rig->under->size(rig->disk, fd, &size), RL_OK);
    uint8_t *data = rl_alloc(size + 1);
    cr_assert_eq(rig->under->read(rig->disk, fd, 0, data, size, false, ret_bytes), RL_OK);
    cr_assert_eq(*ret_bytes, size);
    rig->under->close(rig->disk, fd);
    return data;
}

void rig_write_file(struct rig *rig, const char *path, const void *data, size_t bytes)
{
    int fd;
    size_t written;
    struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes };
    uint32_t flags = RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE;
    cr_assert_eq(rig->under->open(rig->disk, path, flags, &fd), RL_OK);
    if (bytes > 0)
        cr_assert_eq(rig->under->write(rig->disk, fd, 0, &iov, 1, &written), RL_OK);
    cr_assert_eq(rig->under->sync(rig->disk, fd), RL_OK);
    rig->under->close(rig->disk, fd);
}

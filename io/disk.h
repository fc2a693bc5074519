/* io/disk.h — files, one blocking call each.
 *
 * The real disk is stateless and may be used from any thread.  On a shard's own thread only the
 * calls that do not wait for a device are allowed: rl_disk_write (page cache), rl_disk_try_read,
 * rl_disk_open/close/size of what exists, and everything before the shard serves.  All else
 * belongs into an RL_OP_JOB or RL_OP_SYNC.  A simulated disk implements the same table, and
 * every call is a point at which it may lose power.
 *
 * Paths are relative to the process's directory or absolute, at most RL_PATH_BYTES. */
#ifndef RL_IO_DISK_H
#define RL_IO_DISK_H

#include "core/base.h"
#include "core/status.h"
#include <sys/uio.h>

#define RL_PATH_BYTES 4096

enum {
    RL_OPEN_WRITE     = 1,              /* read and write; otherwise read only */
    RL_OPEN_CREATE    = 2,              /* create when missing (0644) */
    RL_OPEN_EXCLUSIVE = 4,              /* with CREATE: RL_EEXIST when it is there */
    RL_OPEN_TRUNCATE  = 8,
    RL_OPEN_DEVICE    = 16,             /* for rl_disk_read_device, and nothing else */
};

struct rl_disk;

/* name: of the entry, valid during the call; directory: it is one. */
typedef void rl_disk_entry_fn(void *arg, const char *name, bool directory);

struct rl_disk_table {
    rl_status (*open)(struct rl_disk *, const char *path, uint32_t flags, int *ret_fd);
    void (*close)(struct rl_disk *, int fd);
    rl_status (*read)(struct rl_disk *, int fd, uint64_t pos, void *buffer, size_t bytes,
                      bool resident_only, size_t *ret_bytes);
    rl_status (*read_device)(struct rl_disk *, int fd, uint64_t pos, void *buffer, size_t bytes,
                             size_t *ret_bytes);
    rl_status (*write)(struct rl_disk *, int fd, uint64_t pos, const struct iovec *iov,
                       int iov_count, size_t *ret_bytes);
    rl_status (*sync)(struct rl_disk *, int fd);
    rl_status (*truncate)(struct rl_disk *, int fd, uint64_t bytes);
    rl_status (*allocate)(struct rl_disk *, int fd, uint64_t pos, uint64_t bytes);
    rl_status (*size)(struct rl_disk *, int fd, uint64_t *ret_bytes);
    rl_status (*rename)(struct rl_disk *, const char *from, const char *to);
    rl_status (*unlink)(struct rl_disk *, const char *path);
    rl_status (*make_directory)(struct rl_disk *, const char *path);
    rl_status (*remove_directory)(struct rl_disk *, const char *path);
    rl_status (*sync_directory)(struct rl_disk *, const char *path);
    rl_status (*sync_all)(struct rl_disk *, int fd);
    rl_status (*list)(struct rl_disk *, const char *path, rl_disk_entry_fn *entry, void *arg);
    rl_status (*lock)(struct rl_disk *, const char *path, int *ret_fd);
    rl_status (*free_bytes)(struct rl_disk *, const char *path, uint64_t *ret_free_bytes,
                            uint64_t *ret_total_bytes);
    rl_status (*identity)(struct rl_disk *, const char *path, char *text, size_t bytes);
};

struct rl_disk {
    const struct rl_disk_table *table;  /* a backend embeds this struct first */
};

/* The disk of the machine, static storage. */
struct rl_disk *rl_disk_real(void);

/* ret_fd: closed with rl_disk_close.  RL_ENOTFOUND, RL_EEXIST, RL_EACCESS, RL_EMFILE,
 * RL_ENOSPACE, RL_EREADONLY, RL_EIO. */
static inline rl_status rl_disk_open(struct rl_disk *d, const char *path, uint32_t flags, int *ret_fd)
{
    return d->table->open(d, path, flags, ret_fd);
}
static inline void rl_disk_close(struct rl_disk *d, int fd)
{
    d->table->close(d, fd);
}
/* Read up to `bytes` at `pos`; fewer only at the end of the file (ret_bytes may be 0). */
static inline rl_status rl_disk_read(struct rl_disk *d, int fd, uint64_t pos, void *buffer,
                                     size_t bytes, size_t *ret_bytes)
{
    return d->table->read(d, fd, pos, buffer, bytes, false, ret_bytes);
}
/* The same from memory only: RL_EBUSY when a part would have to come from the device. */
static inline rl_status rl_disk_try_read(struct rl_disk *d, int fd, uint64_t pos, void *buffer,
                                         size_t bytes, size_t *ret_bytes)
{
    return d->table->read(d, fd, pos, buffer, bytes, true, ret_bytes);
}
/* What the device has of the file, whatever the page cache says; fd was opened with RL_OPEN_DEVICE.
 * Fewer bytes only at the end of the file.  What never reached the device comes as the device has
 * it: older bytes, zeros, or not at all.  Pages not yet written out are written out first; where
 * that fails this fails, too, and the next attempt reads.  RL_EIO: the device cannot read it. */
static inline rl_status rl_disk_read_device(struct rl_disk *d, int fd, uint64_t pos, void *buffer,
                                            size_t bytes, size_t *ret_bytes)
{
    return d->table->read_device(d, fd, pos, buffer, bytes, ret_bytes);
}
/* Write everything at `pos` into the page cache.  On failure ret_bytes (which is always set)
 * says how much was written before the error: the caller rolls back. */
static inline rl_status rl_disk_write(struct rl_disk *d, int fd, uint64_t pos,
                                      const struct iovec *iov, int iov_count, size_t *ret_bytes)
{
    return d->table->write(d, fd, pos, iov, iov_count, ret_bytes);
}
/* Data and size to stable storage.  A failure is final: never retry (PostgreSQL's fsyncgate).
 * RL_ENOTFOUND: the file has no name any more, so nobody will ever find what it holds. */
static inline rl_status rl_disk_sync(struct rl_disk *d, int fd) { return d->table->sync(d, fd); }
static inline rl_status rl_disk_truncate(struct rl_disk *d, int fd, uint64_t bytes)
{
    return d->table->truncate(d, fd, bytes);
}
/* Reserve space without changing the size. */
static inline rl_status rl_disk_allocate(struct rl_disk *d, int fd, uint64_t pos, uint64_t bytes)
{
    return d->table->allocate(d, fd, pos, bytes);
}
static inline rl_status rl_disk_size(struct rl_disk *d, int fd, uint64_t *ret_bytes)
{
    return d->table->size(d, fd, ret_bytes);
}
static inline rl_status rl_disk_rename(struct rl_disk *d, const char *from, const char *to)
{
    return d->table->rename(d, from, to);
}
static inline rl_status rl_disk_unlink(struct rl_disk *d, const char *path)
{
    return d->table->unlink(d, path);
}
/* RL_EEXIST when it is there.  Mode 0755. */
static inline rl_status rl_disk_make_directory(struct rl_disk *d, const char *path)
{
    return d->table->make_directory(d, path);
}
static inline rl_status rl_disk_remove_directory(struct rl_disk *d, const char *path)
{
    return d->table->remove_directory(d, path);
}
/* Names created, renamed and removed in `path` survive a power cut after this. */
static inline rl_status rl_disk_sync_directory(struct rl_disk *d, const char *path)
{
    return d->table->sync_directory(d, path);
}
/* All data, sizes and names on the file system of the file fd survive a power cut after this, whoever
 * wrote them.  A failure may be that of any file on it, at any time since fd was opened.
 * RL_EUNSUPPORTED: not known to be true of this file system or kernel; nothing was done. */
static inline rl_status rl_disk_sync_all(struct rl_disk *d, int fd)
{
    return d->table->sync_all(d, fd);
}
/* Call entry once per name (not "." and ".."), in no order. */
static inline rl_status rl_disk_list(struct rl_disk *d, const char *path, rl_disk_entry_fn *entry,
                                     void *arg)
{
    return d->table->list(d, path, entry, arg);
}
/* Create the file and hold an exclusive lock on it while ret_fd is open; RL_EBUSY when another
 * process holds it.  The lock is never given to a ring. */
static inline rl_status rl_disk_lock(struct rl_disk *d, const char *path, int *ret_fd)
{
    return d->table->lock(d, path, ret_fd);
}
/* Space that an ordinary user may still fill, and the size of the whole file system. */
static inline rl_status rl_disk_free_bytes(struct rl_disk *d, const char *path, uint64_t *ret_free_bytes,
                                           uint64_t *ret_total_bytes)
{
    return d->table->free_bytes(d, path, ret_free_bytes, ret_total_bytes);
}
/* A text that is equal as long as the very same mount of the same boot is there: what was
 * written is then still in the page cache although it was never synced. */
static inline rl_status rl_disk_identity(struct rl_disk *d, const char *path, char *text, size_t bytes)
{
    return d->table->identity(d, path, text, bytes);
}

#endif

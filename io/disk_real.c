/* io/disk_real.c — the machine's files: one system call each, errno as a status.
 *
 * Stateless, any thread.  Short reads and writes are continued here, so that a caller sees all
 * or an error; a failed sync is reported once and never tried again.
 *
 * The device is asked by O_DIRECT, through aligned memory of our own; where a file system has no
 * O_DIRECT the range is dropped from the page cache before it is read. */
#include "io/disk.h"
#include "core/memory.h"
#include "io/uring_compat.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

/* O_DIRECT wants positions, lengths and memory in steps of the device's blocks: 4 KiB is enough
 * for every disk and file system we know of. */
#define DEVICE_ALIGN ((size_t)4096)
#define DEVICE_STEP_BYTES ((size_t)1 << 20)

static rl_status real_errno(int result)
{
    return result == 0 ? RL_OK : rl_status_from_errno(errno);
}

static rl_status real_open(struct rl_disk *disk, const char *path, uint32_t flags, int *ret_fd)
{
    int mode = O_CLOEXEC | ((flags & RL_OPEN_WRITE) != 0 ? O_RDWR : O_RDONLY);

    (void)disk;
    if ((flags & RL_OPEN_CREATE) != 0)
        mode |= O_CREAT;
    if ((flags & RL_OPEN_EXCLUSIVE) != 0)
        mode |= O_EXCL;
    if ((flags & RL_OPEN_TRUNCATE) != 0)
        mode |= O_TRUNC;
    if ((flags & RL_OPEN_DEVICE) != 0)
        mode |= O_DIRECT;
    int fd = open(path, mode, 0644);
    if (fd < 0 && errno == EINVAL && (flags & RL_OPEN_DEVICE) != 0)
        fd = open(path, mode & ~O_DIRECT, 0644);
    if (fd < 0)
        return rl_status_from_errno(errno);
    *ret_fd = fd;
    return RL_OK;
}

static void real_close(struct rl_disk *disk, int fd)
{
    (void)disk;
    close(fd);                          /* what matters was synced; an error here says nothing */
}

static rl_status real_read(struct rl_disk *disk, int fd, uint64_t pos, void *buffer, size_t bytes,
                           bool resident_only, size_t *ret_bytes)
{
    size_t done = 0;

    (void)disk;
    while (done < bytes) {
        struct iovec iov = { .iov_base = (uint8_t *)buffer + done, .iov_len = bytes - done };
        ssize_t got = resident_only ? preadv2(fd, &iov, 1, (off_t)(pos + done), RWF_NOWAIT)
                                    : pread(fd, iov.iov_base, iov.iov_len, (off_t)(pos + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && resident_only && (errno == EOPNOTSUPP || errno == EAGAIN))
            return RL_EBUSY;            /* not all file systems can tell: then it is not resident */
        if (got < 0)
            return rl_status_from_errno(errno);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_bytes = done;
    return RL_OK;
}

/* One aligned step of the device into `step`; fewer bytes only at the end of the file. */
static rl_status real_read_step(int fd, bool direct, off_t from, uint8_t *step, size_t bytes, size_t *ret_bytes)
{
    ssize_t got;

    if (!direct)                        /* clean pages go, dirty ones stay and are the newer truth */
        (void)posix_fadvise(fd, from, (off_t)bytes, POSIX_FADV_DONTNEED);
    do {
        got = pread(fd, step, bytes, from);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return rl_status_from_errno(errno);
    *ret_bytes = (size_t)got;
    return RL_OK;
}

static rl_status real_read_device(struct rl_disk *disk, int fd, uint64_t pos, void *buffer, size_t bytes,
                                  size_t *ret_bytes)
{
    bool direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    uint8_t *step = rl_alloc_aligned(DEVICE_ALIGN, DEVICE_STEP_BYTES);
    rl_status status = RL_OK;
    size_t done = 0;

    (void)disk;
    while (done < bytes) {
        size_t before = (size_t)((pos + done) % DEVICE_ALIGN), got = 0;
        size_t wanted = (before + bytes - done + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
        status = real_read_step(fd, direct, (off_t)(pos + done - before), step,
                                RL_MIN(wanted, DEVICE_STEP_BYTES), &got);
        if (status != RL_OK || got <= before)
            break;
        size_t part = RL_MIN(got - before, bytes - done);
        memcpy((uint8_t *)buffer + done, step + before, part);
        done += part;
        if (got % DEVICE_ALIGN != 0)
            break;                      /* the end of the file */
    }
    rl_free(step);
    if (status == RL_OK)
        *ret_bytes = done;
    return status;
}

/* Skip `bytes` written bytes; *at is the place in the first piece that is left. */
static void real_skip(const struct iovec **iov, int *iov_count, size_t *at, size_t bytes)
{
    bytes += *at;
    while (*iov_count > 0 && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*iov_count)--;
    }
    *at = bytes;
}

static rl_status real_write(struct rl_disk *disk, int fd, uint64_t pos, const struct iovec *iov,
                            int iov_count, size_t *ret_bytes)
{
    size_t done = 0, at = 0;

    (void)disk;
    *ret_bytes = 0;
    real_skip(&iov, &iov_count, &at, 0);        /* empty pieces in front */
    while (iov_count > 0) {
        off_t to = (off_t)(pos + done);
        /* A piece begun is finished alone, so the caller's array is never changed. */
        ssize_t put = at != 0 ? pwrite(fd, (const uint8_t *)iov->iov_base + at, iov->iov_len - at, to)
                              : pwritev(fd, iov, RL_MIN(iov_count, IOV_MAX), to);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            *ret_bytes = done;
            return put < 0 ? rl_status_from_errno(errno) : RL_EIO;
        }
        done += (size_t)put;
        real_skip(&iov, &iov_count, &at, (size_t)put);
    }
    *ret_bytes = done;
    return RL_OK;
}

static rl_status real_sync(struct rl_disk *disk, int fd)
{
    struct stat file;

    (void)disk;
    if (fdatasync(fd) != 0 || fstat(fd, &file) != 0)
        return rl_status_from_errno(errno);
    return file.st_nlink > 0 ? RL_OK : RL_ENOTFOUND;
}

static rl_status real_truncate(struct rl_disk *disk, int fd, uint64_t bytes)
{
    (void)disk;
    return real_errno(ftruncate(fd, (off_t)bytes));
}

static rl_status real_allocate(struct rl_disk *disk, int fd, uint64_t pos, uint64_t bytes)
{
    int result;

    (void)disk;
    do {
        result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    return real_errno(result);
}

static rl_status real_size(struct rl_disk *disk, int fd, uint64_t *ret_bytes)
{
    struct stat status;

    (void)disk;
    if (fstat(fd, &status) != 0)
        return rl_status_from_errno(errno);
    *ret_bytes = (uint64_t)status.st_size;
    return RL_OK;
}

static rl_status real_rename(struct rl_disk *disk, const char *from, const char *to)
{
    (void)disk;
    return real_errno(rename(from, to));
}

static rl_status real_unlink(struct rl_disk *disk, const char *path)
{
    (void)disk;
    return real_errno(unlink(path));
}

static rl_status real_make_directory(struct rl_disk *disk, const char *path)
{
    (void)disk;
    return real_errno(mkdir(path, 0755));
}

static rl_status real_remove_directory(struct rl_disk *disk, const char *path)
{
    (void)disk;
    return real_errno(rmdir(path));
}

static rl_status real_sync_directory(struct rl_disk *disk, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)disk;
    if (fd < 0)
        return rl_status_from_errno(errno);
    rl_status status = real_errno(fsync(fd));
    close(fd);
    return status;
}

/* Linux says which writes have failed from 5.8 on.  Not in the list: file systems that forward a sync
 * of one file, but not one of everything (FUSE), and those that nobody has looked at. */
static bool real_can_sync_all(int fd)
{
    static const unsigned long known[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                           F2FS_SUPER_MAGIC, TMPFS_MAGIC };
    unsigned major = 0, minor = 0;
    struct utsname kernel;
    struct statfs status;

    if (uname(&kernel) != 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2 ||
        major < 5 || (major == 5 && minor < 8) || fstatfs(fd, &status) != 0)
        return false;
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(known); i++) {
        if ((unsigned long)status.f_type == known[i])
            return true;
    }
    return false;
}

static rl_status real_sync_all(struct rl_disk *disk, int fd)
{
    (void)disk;
    return real_can_sync_all(fd) ? real_errno(syncfs(fd)) : RL_EUNSUPPORTED;
}

static bool real_is_directory(DIR *directory, const struct dirent *entry)
{
    struct stat status;

    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

static rl_status real_list(struct rl_disk *disk, const char *path, rl_disk_entry_fn *entry, void *arg)
{
    DIR *directory = opendir(path);
    struct dirent *found;

    (void)disk;
    if (directory == NULL)
        return rl_status_from_errno(errno);
    while (errno = 0, (found = readdir(directory)) != NULL) {
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            entry(arg, found->d_name, real_is_directory(directory, found));
    }
    rl_status status = rl_status_from_errno(errno);
    closedir(directory);
    return status;
}

static rl_status real_lock(struct rl_disk *disk, const char *path, int *ret_fd)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    (void)disk;
    if (fd < 0)
        return rl_status_from_errno(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rl_status status = rl_status_from_errno(errno);
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return RL_OK;
}

static rl_status real_free_bytes(struct rl_disk *disk, const char *path, uint64_t *ret_free_bytes,
                                 uint64_t *ret_total_bytes)
{
    struct statvfs status;

    (void)disk;
    if (statvfs(path, &status) != 0)
        return rl_status_from_errno(errno);
    *ret_free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *ret_total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return RL_OK;
}

/* The boot, and the mount's number that is never given again (Linux 6.8).  Older kernels reuse
 * mount numbers, so nothing can be proved there. */
static rl_status real_identity(struct rl_disk *disk, const char *path, char *text, size_t bytes)
{
    struct statx status;
    char boot[64] = "";

    (void)disk;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID_UNIQUE, &status) != 0)
        return rl_status_from_errno(errno);
    if ((status.stx_mask & STATX_MNT_ID_UNIQUE) == 0)
        return RL_EUNSUPPORTED;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return RL_EUNSUPPORTED;
    ssize_t got = read(fd, boot, sizeof boot - 1);
    close(fd);
    if (got < 36)
        return RL_EUNSUPPORTED;
    boot[36] = '\0';
    int length = snprintf(text, bytes, "%s/%llx/%x:%x", boot, (unsigned long long)status.stx_mnt_id,
                          status.stx_dev_major, status.stx_dev_minor);
    return length > 0 && (size_t)length < bytes ? RL_OK : RL_ETOOLARGE;
}

struct rl_disk *rl_disk_real(void)
{
    static const struct rl_disk_table table = {
        .open = real_open,
        .close = real_close,
        .read = real_read,
        .read_device = real_read_device,
        .write = real_write,
        .sync = real_sync,
        .truncate = real_truncate,
        .allocate = real_allocate,
        .size = real_size,
        .rename = real_rename,
        .unlink = real_unlink,
        .make_directory = real_make_directory,
        .remove_directory = real_remove_directory,
        .sync_directory = real_sync_directory,
        .sync_all = real_sync_all,
        .list = real_list,
        .lock = real_lock,
        .free_bytes = real_free_bytes,
        .identity = real_identity,
    };
    static struct rl_disk disk = { .table = &table };
    return &disk;
}

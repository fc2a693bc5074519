/* log/replace.c — a new file in the place of an old one.
 *
 * Happy path: created, filled, synced, renamed.  Failures: where the device does not take it, once
 * more elsewhere, some times; then, and at any other failure, all of them are removed. */
#include "log/replace.h"
#include "core/logger.h"
#include <stdio.h>

/* Files that may fail until it is given up: enough for the holes of a bad segment, which a file system
 * fills first; but no more of large files than a disk can be expected to have room for. */
enum { ATTEMPTS_MAX = 8, ATTEMPTS_LARGE_MAX = 4, LARGE_BYTES = 4 << 20,
       HOLD_BYTES = 256 << 10, HOLD_DOUBLINGS_MAX = 6 };

typedef char temporary_path[RL_PATH_BYTES + 16];

static void temporary_name(const char *path, int attempt, temporary_path ret_path)
{
    if (attempt == 0)
        snprintf(ret_path, sizeof(temporary_path), "%s.tmp", path);
    else
        snprintf(ret_path, sizeof(temporary_path), "%s.%d.tmp", path, attempt);
}

/* The first block of a small file is what lay free between others: where a segment went bad, one bad
 * hole after the other.  From the second attempt on a file begins in a larger piece, each time twice
 * as large; what it does not need is given back by trim(). */
static void begin_elsewhere(struct rl_disk *disk, int fd, int attempt)
{
    if (attempt > 0)
        (void)rl_disk_allocate(disk, fd, 0, (uint64_t)HOLD_BYTES << RL_MIN(attempt, HOLD_DOUBLINGS_MAX));
}

static void trim(struct rl_disk *disk, int fd, int attempt)
{
    uint64_t bytes;

    if (attempt > 0 && rl_disk_size(disk, fd, &bytes) == RL_OK)
        (void)rl_disk_truncate(disk, fd, bytes);
}

/* ret_failed_bytes: of a file that the device did not take, at least 1; 0: that is not what failed. */
static rl_status write_one(struct rl_disk *disk, const char *path, int attempt, bool sync,
                           rl_replace_fill_fn *fill, void *arg, uint64_t *ret_failed_bytes)
{
    bool written = true;
    int fd;

    *ret_failed_bytes = 0;
    rl_status status = rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &fd);
    if (status != RL_OK)
        return status;
    begin_elsewhere(disk, fd, attempt);
    status = fill(disk, fd, arg, &written);
    if (status == RL_OK)
        trim(disk, fd, attempt);
    if (status == RL_OK && sync) {
        status = rl_disk_sync(disk, fd);
        written = status == RL_OK;
    }
    if (status == RL_EIO && !written &&
        (rl_disk_size(disk, fd, ret_failed_bytes) != RL_OK || *ret_failed_bytes == 0))
        *ret_failed_bytes = 1;
    rl_disk_close(disk, fd);
    return status;
}

rl_status rl_file_replace(struct rl_disk *disk, const char *path, bool sync, rl_replace_fill_fn *fill,
                          void *arg)
{
    temporary_path temporary;
    rl_status status;
    uint64_t failed_bytes;
    int attempts = 0, most;
    bool holds_much = false;

    do {
        temporary_name(path, attempts, temporary);
        status = write_one(disk, temporary, attempts, sync, fill, arg, &failed_bytes);
        attempts++;
        holds_much |= failed_bytes > LARGE_BYTES;
        most = failed_bytes > LARGE_BYTES ? ATTEMPTS_LARGE_MAX : ATTEMPTS_MAX;
    } while (failed_bytes != 0 && attempts < most);
    /* No room but where the device fails: that is not healed by space, unless what is held took it. */
    if (status == RL_ENOSPACE && attempts > 1 && !holds_much)
        status = RL_EIO;
    if (attempts > 1)
        RL_WARN("log", "%s: input/output error at %d places, %s; the disk should be "
                "replaced", path, attempts - (failed_bytes == 0),
                status == RL_OK ? "written at another" : "cannot be written");
    if (status == RL_OK)
        status = rl_disk_rename(disk, temporary, path);
    if (status == RL_OK)
        attempts--;                     /* the last one has its name now */
    while (attempts-- > 0) {
        temporary_name(path, attempts, temporary);
        (void)rl_disk_unlink(disk, temporary);
    }
    return status;
}

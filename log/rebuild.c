/* log/rebuild.c — after a failed sync: new files, from what the device really has.
 *
 * Linux takes pages whose write-back failed for clean: the page cache goes on to show them, the
 * next sync succeeds, and a power cut takes them all the same (fsyncgate).  So the segment is read
 * around the page cache and copied, synced and renamed over the old one; what is walked afterwards
 * is what there is.  Whoever still reads the old file (a lease) has its pages to the end.
 * Failures: nothing is renamed that is not synced, nor what is shorter than it was known to be. */
#include "core/logger.h"
#include "core/memory.h"
#include "log/recovery_walk.h"
#include <inttypes.h>
#include <stdio.h>

enum { STEP_BYTES = 1 << 20 };

/* A read of the device first writes out what is dirty; where that fails it fails, and the next one
 * reads. */
static rl_status read_step(struct rl_disk *disk, int fd, uint64_t pos, uint8_t *step, size_t *ret_bytes)
{
    rl_status status = rl_disk_read_device(disk, fd, pos, step, STEP_BYTES, ret_bytes);

    return status == RL_EIO ? rl_disk_read_device(disk, fd, pos, step, STEP_BYTES, ret_bytes) : status;
}

static rl_status copy(struct rl_disk *disk, int from, int to, uint64_t *ret_bytes)
{
    uint8_t *step = rl_alloc(STEP_BYTES);
    uint64_t pos = 0;
    rl_status status;

    for (;;) {
        size_t bytes = 0, wrote;
        status = read_step(disk, from, pos, step, &bytes);
        if (status != RL_OK || bytes == 0)
            break;
        struct iovec iov = { step, bytes };
        status = rl_disk_write(disk, to, pos, &iov, 1, &wrote);
        if (status != RL_OK)
            break;
        pos += bytes;
    }
    rl_free(step);
    *ret_bytes = pos;
    return status == RL_OK ? rl_disk_sync(disk, to) : status;
}

/* path -> copy_path; ret_bytes: how many there were. */
static rl_status copy_file(struct rl_disk *disk, const char *path, const char *copy_path,
                           uint64_t *ret_bytes)
{
    int from, to;

    rl_status status = rl_disk_open(disk, path, RL_OPEN_DEVICE, &from);
    if (status != RL_OK)
        return status;
    status = rl_disk_open(disk, copy_path, RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &to);
    if (status == RL_OK) {
        status = copy(disk, from, to, ret_bytes);
        rl_disk_close(disk, to);
    }
    rl_disk_close(disk, from);
    return status;
}

static rl_status rebuild(struct rl_recovering *run, uint32_t i)
{
    struct rl_recovery *r = run->r;
    uint32_t least = i == run->trusted_segment ? run->trusted.pos : 0;
    char path[RL_PATH_BYTES], copy_path[RL_PATH_BYTES];
    uint64_t bytes = 0;

    rl_segment_path(r->directory, r->segments[i].base_offset, ".log", path);
    rl_segment_path(r->directory, r->segments[i].base_offset, ".log.tmp", copy_path);
    rl_status status = copy_file(r->disk, path, copy_path, &bytes);
    if (status == RL_OK && bytes < least) {
        RL_ERROR("log", "%s: the device has only %" PRIu64 " bytes of what was synced up to position "
                 "%u; nothing was changed", path, bytes, least);
        status = RL_ECORRUPT;
    }
    if (status == RL_OK)
        status = rl_disk_rename(r->disk, copy_path, path);
    if (status != RL_OK)
        (void)rl_disk_unlink(r->disk, copy_path);
    else
        RL_WARN("log", "%s: rebuilt from the %" PRIu64 " bytes that the device has", path, bytes);
    return status;
}

rl_status rl_recovery_rebuild(struct rl_recovering *run)
{
    for (uint32_t i = run->trusted_segment; i < run->r->segment_count; i++) {
        rl_status status = rebuild(run, i);
        if (status != RL_OK)
            return status;
    }
    return rl_disk_sync_directory(run->r->disk, run->r->directory);
}

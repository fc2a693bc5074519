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
#include "log/replace.h"
#include <inttypes.h>

enum { STEP_BYTES = 1 << 20 };

/* A read of the device first writes out what is dirty; where that fails it fails, and the next one
 * reads. */
static rl_status read_step(struct rl_disk *disk, int fd, uint64_t pos, uint8_t *step, size_t *ret_bytes)
{
    rl_status status = rl_disk_read_device(disk, fd, pos, step, STEP_BYTES, ret_bytes);

    return status == RL_EIO ? rl_disk_read_device(disk, fd, pos, step, STEP_BYTES, ret_bytes) : status;
}

struct copying {
    const char *path;
    int from;
    uint64_t least;                     /* bytes that were known to be synced */
    uint64_t bytes;
};

/* rl_replace_fill_fn */
static rl_status copy(struct rl_disk *disk, int to, void *arg, bool *ret_written)
{
    struct copying *copying = arg;
    uint8_t *step = rl_alloc(STEP_BYTES);
    rl_status status;

    copying->bytes = 0;
    for (;;) {
        size_t bytes = 0, wrote;
        status = read_step(disk, copying->from, copying->bytes, step, &bytes);
        if (status != RL_OK || bytes == 0)
            break;
        struct iovec iov = { step, bytes };
        status = rl_disk_write(disk, to, copying->bytes, &iov, 1, &wrote);
        *ret_written = status == RL_OK;
        if (status != RL_OK)
            break;
        copying->bytes += bytes;
    }
    rl_free(step);
    if (status != RL_OK || copying->bytes >= copying->least)
        return status;
    RL_ERROR("log", "%s: the device has only %" PRIu64 " bytes of what was synced up to position "
             "%" PRIu64 "; nothing was changed", copying->path, copying->bytes, copying->least);
    return RL_ECORRUPT;
}

static rl_status rebuild(struct rl_recovering *run, uint32_t i)
{
    struct rl_recovery *r = run->r;
    char path[RL_PATH_BYTES];
    struct copying copying = { .path = path,
                               .least = i == run->trusted_segment ? run->trusted.pos : 0 };

    rl_segment_path(r->directory, r->segments[i].base_offset, ".log", path);
    rl_status status = rl_disk_open(r->disk, path, RL_OPEN_DEVICE, &copying.from);
    if (status != RL_OK)
        return status;
    status = rl_file_replace(r->disk, path, true, copy, &copying);
    rl_disk_close(r->disk, copying.from);
    if (status == RL_OK)
        RL_WARN("log", "%s: rebuilt from the %" PRIu64 " bytes that the device has", path,
                copying.bytes);
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

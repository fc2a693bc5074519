/* tests/durability/fault_disk.c — one file that is a disk whose writes, syncs and power can fail.
 *
 *   fault_disk MOUNTPOINT MEGABYTES          (libfuse3; the file is MOUNTPOINT/disk)
 *
 * A loop device over the file makes it a block device; a file system's flushes arrive as fsync.
 * Like a disk with a write cache: a write goes to the cache, a sync moves the cache to what
 * survives.  Lines on stdin command it, each is answered by one line on stdout:
 *
 *   fail-writes FROM TO   writes that touch bytes FROM .. TO-1, too, answer EIO and change nothing
 *   fail-syncs N LOSES    the next N syncs answer EIO; LOSES 1: what was in the cache is gone
 *   stall                 writes and syncs hang until `go`; reads go on
 *   go                    no fault any more (a cut disk stays cut)
 *   cut SEED BYTES        the power fails: of the cache each sector of so many bytes is there or
 *                         not, by SEED (0: none of it), and everything answers EIO
 *   power-on              a cut disk answers again
 *   counts                writes syncs failed-writes failed-syncs
 *
 * Happy path: ready; commands; end of stdin, or the death of whoever started it, ends it.
 * Failures: a line that begins with "error". */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { SECTOR_BYTES = 512, RANGES_MAX = 64 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned char *cached;              /* what reads see */
    unsigned char *durable;             /* what survives a cut */
    unsigned char *dirty;               /* one per sector: cached differs from durable, perhaps */
    size_t bytes;
    size_t dirty_from, dirty_to;        /* sectors outside are clean */
    struct { uint64_t from, to; } ranges[RANGES_MAX];   /* whose writes fail */
    int range_count;
    long fail_syncs;
    bool sync_loses, stalled, cut;
    uint64_t writes, syncs, failed_writes, failed_syncs;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static struct fuse *fuse;

/* ---- the cache ---- */

/* `unit` sectors are kept or lost together. */
static void settle(bool (*is_kept)(uint64_t *state), uint64_t *state, size_t unit)
{
    size_t asked_for = SIZE_MAX;
    bool kept = false;

    for (size_t i = disk.dirty_from; i < disk.dirty_to; i++) {
        size_t at = i * SECTOR_BYTES;
        if (!disk.dirty[i])
            continue;
        disk.dirty[i] = 0;
        if (i / unit != asked_for)
            kept = is_kept(state);
        asked_for = i / unit;
        if (kept)
            memcpy(disk.durable + at, disk.cached + at, SECTOR_BYTES);
        else
            memcpy(disk.cached + at, disk.durable + at, SECTOR_BYTES);
    }
    disk.dirty_from = disk.bytes / SECTOR_BYTES;
    disk.dirty_to = 0;
}

static bool keep_all(uint64_t *state)
{
    (void)state;
    return true;
}

static bool keep_none(uint64_t *state)
{
    (void)state;
    return false;
}

/* splitmix64 */
static bool keep_some(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return ((z ^ (z >> 31)) & 1) != 0;
}

/* ---- the file; called with the lock held ---- */

static void wait_while_stalled(void)
{
    while (disk.stalled && !disk.cut)
        pthread_cond_wait(&disk.changed, &disk.lock);
}

static bool fails(size_t bytes, uint64_t pos)
{
    for (int i = 0; i < disk.range_count; i++) {
        if (pos < disk.ranges[i].to && pos + bytes > disk.ranges[i].from)
            return true;
    }
    return disk.cut;
}

static int write_locked(const char *data, size_t bytes, uint64_t pos)
{
    wait_while_stalled();
    disk.writes++;
    if (fails(bytes, pos)) {
        disk.failed_writes++;
        return -EIO;
    }
    if (pos > disk.bytes || bytes > disk.bytes - pos)
        return -ENOSPC;
    memcpy(disk.cached + pos, data, bytes);
    size_t first = pos / SECTOR_BYTES, end = (pos + bytes + SECTOR_BYTES - 1) / SECTOR_BYTES;
    memset(disk.dirty + first, 1, end - first);
    disk.dirty_from = first < disk.dirty_from ? first : disk.dirty_from;
    disk.dirty_to = end > disk.dirty_to ? end : disk.dirty_to;
    return (int)bytes;
}

static int sync_locked(void)
{
    wait_while_stalled();
    disk.syncs++;
    if (!disk.cut && disk.fail_syncs == 0) {
        settle(keep_all, NULL, 1);
        return 0;
    }
    disk.failed_syncs++;
    if (!disk.cut && disk.fail_syncs > 0)
        disk.fail_syncs--;
    if (!disk.cut && disk.sync_loses)
        settle(keep_none, NULL, 1);
    return -EIO;
}

/* ---- libfuse's table ---- */

static bool is_disk(const char *path) { return strcmp(path, "/disk") == 0; }

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    (void)info;
    memset(st, 0, sizeof *st);
    st->st_nlink = 1;
    if (strcmp(path, "/") == 0) {
        st->st_mode = S_IFDIR | 0700;
        return 0;
    }
    if (!is_disk(path))
        return -ENOENT;
    st->st_mode = S_IFREG | 0600;
    st->st_size = (off_t)disk.bytes;
    return 0;
}

static int on_open(const char *path, struct fuse_file_info *info)
{
    if (!is_disk(path))
        return -ENOENT;
    info->direct_io = 1;                /* every read and write arrives here, at once */
    return 0;
}

static int on_read(const char *path, char *to, size_t bytes, off_t at, struct fuse_file_info *info)
{
    uint64_t pos = (uint64_t)at;
    int result = -EIO;

    (void)path;
    (void)info;
    pthread_mutex_lock(&disk.lock);
    if (!disk.cut) {
        bytes = pos >= disk.bytes ? 0 : bytes < disk.bytes - pos ? bytes : disk.bytes - pos;
        memcpy(to, disk.cached + pos, bytes);
        result = (int)bytes;
    }
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static int on_write(const char *path, const char *from, size_t bytes, off_t at,
                    struct fuse_file_info *info)
{
    (void)path;
    (void)info;
    pthread_mutex_lock(&disk.lock);
    int result = write_locked(from, bytes, (uint64_t)at);
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)path;
    (void)data_only;
    (void)info;
    pthread_mutex_lock(&disk.lock);
    int result = sync_locked();
    pthread_mutex_unlock(&disk.lock);
    return result;
}

static const struct fuse_operations operations = {
    .getattr = on_getattr, .open = on_open, .read = on_read, .write = on_write, .fsync = on_fsync,
};

/* ---- commands; called with the lock held ---- */

static void heal(void)
{
    disk.stalled = false;
    disk.range_count = 0;
    disk.fail_syncs = 0;
}

static void cut_power(uint64_t seed, size_t unit)
{
    settle(seed == 0 ? keep_none : keep_some, &seed, unit);
    heal();
    disk.cut = true;
}

static bool obey(const char *line)
{
    uint64_t a, b;
    int loses;

    if (sscanf(line, "fail-writes %" SCNu64 " %" SCNu64, &a, &b) == 2) {
        if (disk.range_count == RANGES_MAX)
            return false;
        disk.ranges[disk.range_count].from = a;
        disk.ranges[disk.range_count++].to = b;
    } else if (sscanf(line, "fail-syncs %" SCNu64 " %d", &a, &loses) == 2) {
        disk.fail_syncs = (long)a;
        disk.sync_loses = loses != 0;
    } else if (strcmp(line, "stall\n") == 0) {
        disk.stalled = true;
    } else if (strcmp(line, "go\n") == 0) {
        heal();
    } else if (sscanf(line, "cut %" SCNu64 " %" SCNu64, &a, &b) == 2 && b >= SECTOR_BYTES) {
        cut_power(a, b / SECTOR_BYTES);
    } else if (strcmp(line, "power-on\n") == 0) {
        disk.cut = false;
    } else if (strcmp(line, "counts\n") != 0) {
        return false;
    }
    pthread_cond_broadcast(&disk.changed);
    return true;
}

static void answer(bool obeyed)
{
    if (obeyed)
        printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", disk.writes, disk.syncs,
               disk.failed_writes, disk.failed_syncs);
    else
        printf("error: unknown command\n");
    fflush(stdout);
}

static void *listen_to_commands(void *arg)
{
    char line[200];

    (void)arg;
    while (fgets(line, sizeof line, stdin) != NULL) {
        pthread_mutex_lock(&disk.lock);
        answer(obey(line));
        pthread_mutex_unlock(&disk.lock);
    }
    pthread_mutex_lock(&disk.lock);
    heal();                             /* nobody may hang in us when we end */
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
    fuse_exit(fuse);
    fuse_unmount(fuse);                 /* wakes the loop */
    return NULL;
}

static void *zeros(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        printf("error: no memory\n");
        exit(1);
    }
    return memory;
}

int main(int argc, char **argv)
{
    static char *options[] = { "fault_disk", NULL };
    struct fuse_args args = FUSE_ARGS_INIT(1, options);
    pthread_t thread;

    if (argc != 3 || atol(argv[2]) <= 0) {
        fprintf(stderr, "usage: fault_disk MOUNTPOINT MEGABYTES\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    disk.bytes = (size_t)atol(argv[2]) << 20;
    disk.cached = zeros(disk.bytes);
    disk.durable = zeros(disk.bytes);
    disk.dirty = zeros(disk.bytes / SECTOR_BYTES);
    disk.dirty_from = disk.bytes / SECTOR_BYTES;
    fuse = fuse_new(&args, &operations, sizeof operations, NULL);
    if (fuse == NULL || fuse_mount(fuse, argv[1]) != 0) {
        printf("error: cannot mount (root? /dev/fuse?)\n");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    if (pthread_create(&thread, NULL, listen_to_commands, NULL) != 0)
        return 1;
    fuse_loop_mt(fuse, 0);
    return 0;
}

/* tests/replicate/metadata_rig.h — shards in memory on a disk whose power can be cut at any call.
 *
 *     rig_init -> { rig_boot -> rig_call, rig_run ... -> rig_halt -> [rig_lose] } -> rig_done
 *
 * The disk counts the calls that change something.  At call cut_at the power fails: of a write
 * any part happens, of any other call all or nothing, and every later call answers RL_EIO until
 * the next boot; rig_lose then takes away what was not synced.  So a "dead" broker still runs to
 * its end and frees what it has, but nothing it does reaches the disk. */
#ifndef TESTS_REPLICATE_METADATA_RIG_H
#define TESTS_REPLICATE_METADATA_RIG_H

#include "core/random.h"
#include "core/table.h"
#include "io/disk.h"
#include "io/shard.h"
#include "mem_backend.h"

#define RIG_WRITES_MAX 64

struct rig_write {                      /* not synced yet */
    char *path;
    int fd;
    uint64_t pos;
    uint8_t *data;
    size_t bytes;
};

struct rig {                            /* one at a time: its disk's table is a static one */
    struct rl_mem *mem;
    struct rl_disk *disk;
    const struct rl_disk_table *under;  /* what the disk really does */
    struct rl_shard_set *set;
    uint32_t shard_count;
    struct rl_random random;
    struct rl_table paths;              /* of open files, by descriptor */
    struct rig_write writes[RIG_WRITES_MAX];
    uint32_t write_count;
    uint32_t calls;                     /* changes to the disk since the boot */
    uint32_t cut_at;                    /* 0: never */
    bool cut;
};

void rig_init(struct rig *rig, uint32_t shard_count, uint64_t seed);
void rig_done(struct rig *rig);
/* New shards on the disk as it is; the power is on. */
void rig_boot(struct rig *rig, uint32_t cut_at);
/* Turn all shards until nothing happens any more. */
void rig_run(struct rig *rig);
/* Run fn on a shard, and then until nothing happens any more. */
void rig_call(struct rig *rig, uint32_t shard, void (*fn)(struct rl_shard *shard, void *arg),
              void *arg);
/* The same without running. */
void rig_post(struct rig *rig, uint32_t shard, void (*fn)(struct rl_shard *shard, void *arg),
              void *arg);
/* The shards are gone. */
void rig_halt(struct rig *rig);
/* What was not synced is lost, all of it or any part. */
void rig_lose(struct rig *rig);

/* The whole content of a file; freed with rl_free.  NULL: not there. */
uint8_t *rig_read_file(struct rig *rig, const char *path, size_t *ret_bytes);
/* Make the file exactly this, durably. */
void rig_write_file(struct rig *rig, const char *path, const void *data, size_t bytes);

#endif

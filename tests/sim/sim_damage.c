/* tests/sim/sim_damage.c — a bit flips on the device, below what was acknowledged.
 *
 * Only at the end of a run, after a clean stop, so that all of it lies before the recovery point:
 * nothing of it may be cut, and what is damaged must not be served.
 * The leader epoch of a batch is spared: no checksum covers it.  A damaged header hides where the
 * next batch begins, so what follows in its segment may be unreachable, too; nothing else. */
#include "core/memory.h"
#include "log/batch.h"
#include "log/log_bytes.h"
#include "sim.h"
#include "sim_heap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_BEGINS_AT 12
#define EPOCH_ENDS_AT 16

struct search {
    int64_t offset, base, next;
};

/* The last segment that begins at or before the offset, and the one behind it. */
static void on_entry(void *arg, const char *name, bool directory)
{
    struct search *search = arg;
    char *end;
    long long base = strtoll(name, &end, 10);

    if (directory || end == name || strcmp(end, ".log") != 0)
        return;
    if (base <= search->offset)
        search->base = RL_MAX(search->base, base);
    else
        search->next = RL_MIN(search->next, base);
}

/* Where in these bytes the batch of the offset is; SIZE_MAX: nowhere. */
static size_t batch_at(uint8_t *bytes, size_t size, int64_t offset, struct rl_batch *batch)
{
    for (size_t at = 0; at < size; at += batch->size_bytes) {
        if (rl_batch_read_header(bytes + at, size - at, batch) != RL_OK)
            break;
        if (batch->base_offset <= offset && rl_batch_last_offset(batch) >= offset)
            return at;
    }
    return SIZE_MAX;
}

static void flip(struct sim *sim, struct rl_disk *disk, int fd, uint8_t *bytes, size_t size, int64_t offset)
{
    struct rl_batch batch;
    size_t at = batch_at(bytes, size, offset, &batch), written;

    if (at == SIZE_MAX)
        sim_fail(sim, "offset %lld is served, but is in no file", (long long)offset);
    size_t byte = (size_t)sim_below(sim, sim_one_in(sim, 2) ? RL_BATCH_HEADER_BYTES : batch.size_bytes);
    if (byte >= EPOCH_BEGINS_AT && byte < EPOCH_ENDS_AT)
        byte = 0;
    sim->damage.from_offset = batch.base_offset;
    if (byte >= RL_BATCH_HEADER_BYTES)
        sim->damage.to_offset = rl_batch_last_offset(&batch) + 1;
    sim->damage.on = true;
    bytes[at + byte] ^= (uint8_t)(1u << sim_below(sim, 8));
    sim_say(sim, "---- a bit flips: partition %u offset %lld, byte %zu of the batch", sim->damage.partition,
            (long long)batch.base_offset, byte);
    RL_ASSERT(sim->disk.inner->write(disk, fd, at + byte, &(struct iovec){ bytes + at + byte, 1 }, 1,
                                     &written) == RL_OK);
    RL_ASSERT(sim->disk.inner->sync(disk, fd) == RL_OK);
    sim_noted(sim, SIM_FLIPS, 1);
}

void sim_damage_one(struct sim *sim)
{
    uint32_t partition = (uint32_t)sim_below(sim, sim->model.partition_count);
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct rl_disk *disk = sim->disk.disk;
    char directory[SIM_PATH_BYTES], path[SIM_PATH_BYTES + 32];
    struct search search = { .base = -1, .next = p->known };
    uint64_t size;
    size_t got;
    int fd;

    if (p->known == 0)
        return;
    search.offset = (int64_t)sim_below(sim, (uint64_t)p->known);
    sim->damage.partition = partition;
    snprintf(directory, sizeof directory, SIM_DATA_DIR "/%s-%d", sim->model.topics[p->topic].name, p->index);
    RL_ASSERT(sim->disk.inner->list(disk, directory, on_entry, &search) == RL_OK && search.base >= 0);
    snprintf(path, sizeof path, "%s/%020lld.log", directory, (long long)search.base);
    RL_ASSERT(sim->disk.inner->open(disk, path, RL_OPEN_WRITE, &fd) == RL_OK);
    RL_ASSERT(sim->disk.inner->size(disk, fd, &size) == RL_OK);
    uint8_t *bytes = sim_world_alloc(size + 1);
    RL_ASSERT(sim->disk.inner->read(disk, fd, 0, bytes, size, false, &got) == RL_OK);
    sim->damage.to_offset = search.next;
    flip(sim, disk, fd, bytes, got, search.offset);
    sim->disk.inner->close(disk, fd);
    sim_world_free(bytes);
}

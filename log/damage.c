/* log/damage.c — batches that are there but not sound: told once, counted, and stepped over.
 *
 * Readers come again and again to the same place, and the scrubber passes it every round: what was
 * told is remembered, up to a bound; beyond it lines are told at most every ten seconds.
 * Failures: none of its own. */
#include "log/damage.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/index.h"
#include "log/log_bytes.h"
#include "log/log_internal.h"

enum { REMEMBERED_MAX = 1024 };

static bool is_known(const struct rl_log_manager *manager, const struct rl_log *log,
                     int64_t segment_base, uint32_t pos)
{
    for (uint32_t i = 0; i < manager->damage_count; i++) {
        const struct rl_damage *known = &manager->damage[i];
        if (known->log == log && known->segment_base == segment_base && known->pos == pos)
            return true;
    }
    return false;
}

void rl_damage_note(struct rl_log *log, int64_t segment_base, uint32_t pos, int64_t offset,
                    const char *what)
{
    struct rl_log_manager *manager = log->manager;
    bool is_full = manager->damage_count == REMEMBERED_MAX;
    char directory[RL_PATH_BYTES];

    if (is_known(manager, log, segment_base, pos))
        return;
    manager->counts.damaged_batches++;
    rl_log_directory(log, directory);
    if (is_full) {
        RL_ERROR_EVERY(10, "log", "%s/%020lld.log: position %u, offset %lld: %s; it is kept and not served",
                       directory, (long long)segment_base, pos, (long long)offset, what);
        return;
    }
    RL_ERROR("log", "%s/%020lld.log: position %u, offset %lld: %s; it is kept and not served", directory,
             (long long)segment_base, pos, (long long)offset, what);
    if (manager->damage == NULL)
        manager->damage = rl_alloc(REMEMBERED_MAX * sizeof *manager->damage);
    manager->damage[manager->damage_count++] = (struct rl_damage){ log, segment_base, pos };
}

void rl_damage_forget(struct rl_log *log)
{
    struct rl_log_manager *manager = log->manager;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < manager->damage_count; i++) {
        if (manager->damage[i].log != log)
            manager->damage[kept++] = manager->damage[i];
    }
    manager->damage_count = kept;
}

void rl_damage_done(struct rl_log_manager *manager)
{
    rl_free(manager->damage);
    manager->damage = NULL;
}

rl_status rl_damage_next_entry(struct rl_disk *disk, const char *index_path, uint32_t entries,
                               int64_t segment_base, uint32_t pos, uint32_t *ret_pos,
                               int64_t *ret_last_offset)
{
    uint8_t entry[RL_INDEX_ENTRY_BYTES];
    uint32_t low = 0, high = entries;
    rl_status status;
    size_t got;
    int fd;

    status = rl_disk_open(disk, index_path, 0, &fd);
    if (status != RL_OK)
        return RL_ENOTFOUND;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        status = rl_disk_read(disk, fd, (uint64_t)middle * sizeof entry, entry, sizeof entry, &got);
        if (status != RL_OK || got < sizeof entry)
            break;
        if (rl_get_u32(entry + 4) > pos)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == high && low < entries)
        status = rl_disk_read(disk, fd, (uint64_t)low * sizeof entry, entry, sizeof entry, &got);
    rl_disk_close(disk, fd);
    if (status != RL_OK || low != high || low == entries || got < sizeof entry ||
        rl_get_u32(entry + 4) <= pos)
        return RL_ENOTFOUND;
    *ret_pos = rl_get_u32(entry + 4);
    *ret_last_offset = segment_base + rl_get_u32(entry);
    return RL_OK;
}

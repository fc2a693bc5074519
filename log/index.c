/* log/index.c — sparse indexes: entries in memory, binary search in files.
 *
 * The formats stand in index.h.  A search in a file reads single entries until the rest fits
 * one block, so a cold index costs a few pages and no memory.
 * Failures: a file that is missing or too short is RL_ECORRUPT; the caller walks the log. */
#include "log/index.h"
#include "core/memory.h"
#include "log/log_bytes.h"

struct rl_index_memory *rl_index_memory_create(void)
{
    struct rl_index_memory *index = rl_alloc_zero(1, sizeof *index);

    index->last_time_ms = INT64_MIN;
    return index;
}

void rl_index_memory_free(struct rl_index_memory *index)
{
    if (index == NULL)
        return;
    rl_free(index->entries);
    rl_free(index->times);
    rl_free(index);
}

static void push_entry(struct rl_index_memory *index, struct rl_index_entry entry)
{
    if (index->entry_count == index->entry_capacity) {
        index->entry_capacity = RL_MAX(8u, index->entry_capacity * 2);
        index->entries = rl_realloc(index->entries, index->entry_capacity * sizeof entry);
    }
    index->entries[index->entry_count++] = entry;
}

void rl_index_note_last_time(struct rl_index_memory *index, int64_t max_timestamp_ms,
                             uint32_t max_timestamp_relative)
{
    if (max_timestamp_ms <= index->last_time_ms)
        return;
    if (index->time_count == index->time_capacity) {
        index->time_capacity = RL_MAX(8u, index->time_capacity * 2);
        index->times = rl_realloc(index->times, index->time_capacity * sizeof *index->times);
    }
    index->times[index->time_count++] =
        (struct rl_time_entry){ max_timestamp_ms, max_timestamp_relative };
    index->last_time_ms = max_timestamp_ms;
}

void rl_index_note(struct rl_index_memory *index, int32_t interval_bytes, uint32_t relative_offset,
                   uint32_t pos, uint32_t bytes, int64_t max_timestamp_ms,
                   uint32_t max_timestamp_relative)
{
    if (index->bytes_since_entry > (uint32_t)interval_bytes) {
        push_entry(index, (struct rl_index_entry){ relative_offset, pos });
        rl_index_note_last_time(index, max_timestamp_ms, max_timestamp_relative);
        index->bytes_since_entry = 0;
    }
    index->bytes_since_entry += bytes;
}

void rl_index_memory_drop(struct rl_index_memory *index, uint32_t entries, uint32_t times)
{
    if (entries > 0)
        memmove(index->entries, index->entries + entries,
                (index->entry_count - entries) * sizeof *index->entries);
    if (times > 0)
        memmove(index->times, index->times + times,
                (index->time_count - times) * sizeof *index->times);
    index->entry_count -= entries;
    index->time_count -= times;
}

bool rl_index_memory_find(const struct rl_index_memory *index, uint32_t relative_offset,
                          struct rl_index_entry *ret_entry)
{
    uint32_t low = 0, high = index->entry_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].relative_offset <= relative_offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_entry = index->entries[low - 1];
    return true;
}

bool rl_time_memory_find(const struct rl_index_memory *index, int64_t timestamp_ms,
                         struct rl_time_entry *ret_entry)
{
    uint32_t low = 0, high = index->time_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->times[middle].timestamp_ms < timestamp_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *ret_entry = index->times[low - 1];
    return true;
}

/* ---- in files ---- */

enum { BLOCK_BYTES = 3072 };            /* a multiple of both entry sizes */

/* Is the entry at p below or at what is wanted?  key: relative offset or timestamp. */
typedef bool is_below_fn(const uint8_t *p, int64_t key);

static bool index_is_below(const uint8_t *p, int64_t key)
{
    return rl_get_u32(p) <= (uint64_t)key;
}

static bool time_is_below(const uint8_t *p, int64_t key)
{
    return (int64_t)rl_get_u64(p) < key;
}

static rl_status read_exactly(struct rl_disk *disk, int fd, uint64_t pos, uint8_t *to, size_t bytes,
                              bool resident_only)
{
    size_t got;
    rl_status status = resident_only ? rl_disk_try_read(disk, fd, pos, to, bytes, &got)
                                     : rl_disk_read(disk, fd, pos, to, bytes, &got);
    if (status == RL_OK && got < bytes)
        return RL_ECORRUPT;
    return status;
}

/* The last of count entries that is below key, into entry. */
static rl_status search(struct rl_disk *disk, int fd, uint32_t count, uint32_t entry_bytes,
                        is_below_fn *is_below, int64_t key, bool resident_only, uint8_t *entry)
{
    uint8_t block[BLOCK_BYTES];
    uint32_t low = 0, high = count;     /* entries before low are below, from high on are not */
    rl_status status;

    while ((high - low) * entry_bytes > BLOCK_BYTES) {
        uint32_t middle = low + (high - low) / 2;
        status = read_exactly(disk, fd, (uint64_t)middle * entry_bytes, block, entry_bytes,
                              resident_only);
        if (status != RL_OK)
            return status;
        if (is_below(block, key)) {
            low = middle + 1;
            memcpy(entry, block, entry_bytes);
        } else {
            high = middle;
        }
    }
    status = read_exactly(disk, fd, (uint64_t)low * entry_bytes, block, (high - low) * entry_bytes,
                          resident_only);
    if (status != RL_OK)
        return status;
    uint32_t first = low;
    while (low < high && is_below(block + (low - first) * entry_bytes, key)) {
        memcpy(entry, block + (low - first) * entry_bytes, entry_bytes);
        low++;
    }
    return low == 0 ? RL_ENOTFOUND : RL_OK;
}

static rl_status search_path(struct rl_disk *disk, const char *path, uint32_t count,
                             uint32_t entry_bytes, is_below_fn *is_below, int64_t key,
                             bool resident_only, uint8_t *entry)
{
    int fd;

    if (count == 0)
        return RL_ENOTFOUND;
    rl_status status = rl_disk_open(disk, path, 0, &fd);
    if (status == RL_ENOTFOUND)
        return RL_ECORRUPT;
    if (status != RL_OK)
        return status;
    status = search(disk, fd, count, entry_bytes, is_below, key, resident_only, entry);
    rl_disk_close(disk, fd);
    return status;
}

rl_status rl_index_file_find(struct rl_disk *disk, const char *path, uint32_t count,
                             uint32_t relative_offset, bool resident_only,
                             struct rl_index_entry *ret_entry)
{
    uint8_t entry[RL_INDEX_ENTRY_BYTES];
    rl_status status = search_path(disk, path, count, sizeof entry, index_is_below, relative_offset,
                                   resident_only, entry);
    if (status == RL_OK)
        *ret_entry = (struct rl_index_entry){ rl_get_u32(entry), rl_get_u32(entry + 4) };
    return status;
}

rl_status rl_time_file_find(struct rl_disk *disk, const char *path, uint32_t count,
                            int64_t timestamp_ms, bool resident_only,
                            struct rl_time_entry *ret_entry)
{
    uint8_t entry[RL_TIME_ENTRY_BYTES];
    rl_status status = search_path(disk, path, count, sizeof entry, time_is_below, timestamp_ms,
                                   resident_only, entry);
    if (status == RL_OK)
        *ret_entry = (struct rl_time_entry){ (int64_t)rl_get_u64(entry), rl_get_u32(entry + 8) };
    return status;
}

void rl_index_encode(const struct rl_index_entry *entries, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++, out += RL_INDEX_ENTRY_BYTES) {
        rl_put_u32(out, entries[i].relative_offset);
        rl_put_u32(out + 4, entries[i].pos);
    }
}

void rl_time_encode(const struct rl_time_entry *entries, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++, out += RL_TIME_ENTRY_BYTES) {
        rl_put_u64(out, (uint64_t)entries[i].timestamp_ms);
        rl_put_u32(out + 8, entries[i].relative_offset);
    }
}

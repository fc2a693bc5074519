/* log/epoch_cache.c — the sorted array of leader epochs. */
#include "log/epoch_cache.h"
#include "core/memory.h"
#include <string.h>

void rl_epoch_cache_done(struct rl_epoch_cache *cache)
{
    rl_free(cache->entries);
    *cache = (struct rl_epoch_cache){ 0 };
}

int32_t rl_epoch_cache_latest(const struct rl_epoch_cache *cache)
{
    return cache->count == 0 ? -1 : cache->entries[cache->count - 1].epoch;
}

void rl_epoch_cache_truncate_end(struct rl_epoch_cache *cache, int64_t end_offset)
{
    while (cache->count > 0 && cache->entries[cache->count - 1].start_offset >= end_offset)
        cache->count--;
}

bool rl_epoch_cache_assign(struct rl_epoch_cache *cache, int32_t epoch, int64_t start_offset)
{
    if (epoch < 0 || epoch <= rl_epoch_cache_latest(cache))
        return false;
    rl_epoch_cache_truncate_end(cache, start_offset);
    if (cache->count == cache->capacity) {
        cache->capacity = cache->capacity == 0 ? 1 : cache->capacity * 2;
        cache->entries = rl_realloc(cache->entries, cache->capacity * sizeof *cache->entries);
    }
    cache->entries[cache->count++] = (struct rl_epoch_entry){ epoch, start_offset };
    return true;
}

void rl_epoch_cache_truncate_start(struct rl_epoch_cache *cache, int64_t start_offset)
{
    uint32_t gone = 0;

    /* An epoch is gone when its successor, too, begins at or before the new start. */
    while (gone + 1 < cache->count && cache->entries[gone + 1].start_offset <= start_offset)
        gone++;
    if (gone > 0) {
        memmove(cache->entries, cache->entries + gone, (cache->count - gone) * sizeof *cache->entries);
        cache->count -= gone;
    }
    if (cache->count > 0 && cache->entries[0].start_offset < start_offset)
        cache->entries[0].start_offset = start_offset;
}

/* Index of the last entry whose epoch is at most `epoch`; -1 when there is none. */
static int64_t find_epoch(const struct rl_epoch_cache *cache, int32_t epoch)
{
    uint32_t low = 0, high = cache->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cache->entries[middle].epoch <= epoch)
            low = middle + 1;
        else
            high = middle;
    }
    return (int64_t)low - 1;
}

int32_t rl_epoch_cache_of(const struct rl_epoch_cache *cache, int64_t offset)
{
    uint32_t low = 0, high = cache->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (cache->entries[middle].start_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? -1 : cache->entries[low - 1].epoch;
}

void rl_epoch_cache_end(const struct rl_epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                        int32_t *ret_epoch, int64_t *ret_end_offset)
{
    *ret_epoch = -1;
    *ret_end_offset = -1;
    if (epoch == -1 || cache->count == 0 || epoch > rl_epoch_cache_latest(cache))
        return;
    if (epoch == rl_epoch_cache_latest(cache)) {
        *ret_epoch = epoch;
        *ret_end_offset = log_end_offset;
        return;
    }
    int64_t at = find_epoch(cache, epoch);
    *ret_epoch = at < 0 ? epoch : cache->entries[at].epoch;
    *ret_end_offset = cache->entries[at + 1].start_offset;
}

/* log/epoch_cache.h — which leader epoch wrote which offsets (KIP-101, KIP-279).
 *
 * A short sorted array of (epoch, first offset): both rise from entry to entry.  Pure data, no
 * input or output; log/checkpoint.c stores it. */
#ifndef RL_LOG_EPOCH_CACHE_H
#define RL_LOG_EPOCH_CACHE_H

#include "core/base.h"

struct rl_epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

/* All zero is an empty cache. */
struct rl_epoch_cache {
    struct rl_epoch_entry *entries;
    uint32_t count;
    uint32_t capacity;
};

void rl_epoch_cache_done(struct rl_epoch_cache *cache);
/* Epoch begins at start_offset.  Older or equal epochs are ignored; entries that begin at or
 * behind start_offset held no records and are replaced.  True when something changed. */
bool rl_epoch_cache_assign(struct rl_epoch_cache *cache, int32_t epoch, int64_t start_offset);
/* The log ends at end_offset now: epochs that begin at or behind it are forgotten. */
void rl_epoch_cache_truncate_end(struct rl_epoch_cache *cache, int64_t end_offset);
/* The log starts at start_offset now: the epoch that covers it begins there. */
void rl_epoch_cache_truncate_start(struct rl_epoch_cache *cache, int64_t start_offset);
/* -1 when nothing is known. */
int32_t rl_epoch_cache_latest(const struct rl_epoch_cache *cache);
/* The epoch that wrote `offset`, -1 when it is below the first known. */
int32_t rl_epoch_cache_of(const struct rl_epoch_cache *cache, int64_t offset);
/* OffsetForLeaderEpoch's answer, see log.h. */
void rl_epoch_cache_end(const struct rl_epoch_cache *cache, int32_t epoch, int64_t log_end_offset,
                        int32_t *ret_epoch, int64_t *ret_end_offset);

#endif

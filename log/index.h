/* log/index.h — sparse indexes of one segment, Kafka's formats.
 *
 *   .index      8 bytes an entry: last offset of a batch - base offset i32, position i32
 *   .timeindex 12 bytes an entry: largest timestamp so far i64, last offset of the first batch
 *               that has it - base offset i32
 *
 * Both rise strictly from entry to entry; big-endian.  About every index.interval.bytes one
 * entry.  New entries are kept in memory and appended to the files now and then and at roll.
 * An index is a hint: whoever follows an entry checks that a batch with that very last offset
 * (and timestamp) stands there, and otherwise walks the log itself. */
#ifndef RL_LOG_INDEX_H
#define RL_LOG_INDEX_H

#include "core/status.h"
#include "io/disk.h"
#include "log/batch.h"

#define RL_INDEX_ENTRY_BYTES 8
#define RL_TIME_ENTRY_BYTES 12

struct rl_index_entry {
    uint32_t relative_offset;           /* of the batch's last record */
    uint32_t pos;
};
struct rl_time_entry {
    int64_t timestamp_ms;
    uint32_t relative_offset;
};

/* Entries of a segment that is being written. */
struct rl_index_memory {
    struct rl_index_entry *entries;
    struct rl_time_entry *times;
    uint32_t entry_count, entry_capacity;
    uint32_t time_count, time_capacity;
    uint32_t bytes_since_entry;         /* appended since the last entry */
    int64_t last_time_ms;               /* of the last time entry, in memory or file; INT64_MIN */
};

struct rl_index_memory *rl_index_memory_create(void);
void rl_index_memory_free(struct rl_index_memory *index);       /* NULL is fine */
/* A batch of bytes bytes at pos is appended; max_timestamp_*: of the segment, this batch
 * included. */
void rl_index_note(struct rl_index_memory *index, int32_t interval_bytes, uint32_t relative_offset,
                   uint32_t pos, uint32_t bytes, int64_t max_timestamp_ms,
                   uint32_t max_timestamp_relative);
/* The last time entry of a segment: its largest timestamp, if not there yet. */
void rl_index_note_last_time(struct rl_index_memory *index, int64_t max_timestamp_ms,
                             uint32_t max_timestamp_relative);
/* Forget the first entries: they are in the files now. */
void rl_index_memory_drop(struct rl_index_memory *index, uint32_t entries, uint32_t times);
/* The greatest entry at or below relative_offset; false when there is none. */
bool rl_index_memory_find(const struct rl_index_memory *index, uint32_t relative_offset,
                          struct rl_index_entry *ret_entry);
/* The greatest entry whose timestamp is below timestamp_ms; false when there is none. */
bool rl_time_memory_find(const struct rl_index_memory *index, int64_t timestamp_ms,
                         struct rl_time_entry *ret_entry);

/* The same in a file of `count` entries, by small reads.  RL_ENOTFOUND: none; RL_EBUSY: not in
 * memory (resident_only); RL_ECORRUPT: the file is missing or shorter than that. */
rl_status rl_index_file_find(struct rl_disk *disk, const char *path, uint32_t count,
                             uint32_t relative_offset, bool resident_only,
                             struct rl_index_entry *ret_entry);
rl_status rl_time_file_find(struct rl_disk *disk, const char *path, uint32_t count,
                            int64_t timestamp_ms, bool resident_only,
                            struct rl_time_entry *ret_entry);
/* Encode for the files; out has room for count entries. */
void rl_index_encode(const struct rl_index_entry *entries, uint32_t count, uint8_t *out);
void rl_time_encode(const struct rl_time_entry *entries, uint32_t count, uint8_t *out);

#endif

/* log/batch.h — a record batch, message format v2, seen by its header.
 *
 *  at  bytes  field                    at  bytes  field
 *   0      8  base offset              27      8  base timestamp
 *   8      4  length after this        35      8  max timestamp
 *  12      4  partition leader epoch   43      8  producer id
 *  16      1  magic (2)                51      2  producer epoch
 *  17      4  CRC-32C of 21..end       53      4  base sequence
 *  21      2  attributes               57      4  record count
 *  23      4  last offset delta        61         records
 *
 * Base offset, length, leader epoch and magic lie outside the CRC: the broker patches them
 * without hashing again.  A batch is valid if and only if: at least 61 bytes; length + 12 equals
 * its bytes; magic is 2; record count >= 1 and last offset delta + 1 == record count; the CRC
 * holds. */
#ifndef RL_LOG_BATCH_H
#define RL_LOG_BATCH_H

#include "core/base.h"
#include "core/status.h"
#include "log/log_config.h"

#define RL_BATCH_HEADER_BYTES 61

struct rl_batch {
    uint8_t *bytes;
    size_t size_bytes;                  /* the whole batch */
    int64_t base_offset;
    int64_t base_timestamp_ms, max_timestamp_ms;
    int64_t producer_id;                /* -1: none */
    int32_t partition_leader_epoch;
    int32_t last_offset_delta;
    int32_t base_sequence;
    int32_t record_count;
    int16_t producer_epoch;
    uint16_t attributes;
    uint32_t crc;
};

static inline enum rl_codec rl_batch_codec(const struct rl_batch *b)
{
    return (enum rl_codec)(b->attributes & 7);
}
static inline bool rl_batch_is_log_append_time(const struct rl_batch *b) { return (b->attributes & 8) != 0; }
static inline bool rl_batch_is_transactional(const struct rl_batch *b) { return (b->attributes & 16) != 0; }
static inline bool rl_batch_is_control(const struct rl_batch *b) { return (b->attributes & 32) != 0; }
/* Defined for any header, also one that was never checked. */
static inline int64_t rl_batch_last_offset(const struct rl_batch *b)
{
    return (int64_t)((uint64_t)b->base_offset + (uint64_t)(int64_t)b->last_offset_delta);
}

/* Read the header of the batch at bytes[0]; available may reach further than the batch.
 * RL_OK (size_bytes from the length field, <= available); RL_ETRUNCATED (header or body not all
 * there); RL_EMALFORMED (length below a header's); RL_EUNSUPPORTED (magic 0 or 1). No CRC. */
rl_status rl_batch_read_header(uint8_t *bytes, size_t available, struct rl_batch *ret_batch);
/* Everything the file head calls valid, CRC included.  Pure; any shard.  RL_ECORRUPT: CRC;
 * RL_EMALFORMED: counts and lengths. */
rl_status rl_batch_check(const struct rl_batch *batch);
/* What no producer may send, whatever the topic, as Kafka's LogValidator: RL_EINVALIDRECORD for a
 * control batch, a producer id without a sequence, an unknown codec, more records than its bytes
 * can hold.  Rules of topics: broker/produce_check.h. */
rl_status rl_batch_check_rules(const struct rl_batch *batch);
/* Patch what lies outside the CRC, and the struct. */
void rl_batch_set_offset(struct rl_batch *batch, int64_t base_offset, int32_t leader_epoch);
/* LogAppendTime: timestamp type bit and max timestamp, CRC computed anew. */
void rl_batch_set_append_time(struct rl_batch *batch, int64_t wall_ms);
/* CreateTime, and the largest timestamp of the records; CRC computed anew. */
void rl_batch_set_create_time(struct rl_batch *batch, int64_t max_timestamp_ms);

#endif

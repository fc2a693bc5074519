/* log/batch.c — read, check and patch the header of a record batch.
 *
 * The format and what makes a batch valid stand at the head of batch.h.  Records are opaque
 * here: one pass of CRC-32C over attributes..end is all that is done to them.
 * Failures: a status; nothing is changed. */
#include "log/batch.h"
#include "core/crc32c.h"
#include "log/log_bytes.h"

enum {
    AT_LENGTH = 8, AT_LEADER_EPOCH = 12, AT_MAGIC = 16, AT_CRC = 17, AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23, AT_BASE_TIMESTAMP = 27, AT_MAX_TIMESTAMP = 35, AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51, AT_BASE_SEQUENCE = 53, AT_RECORD_COUNT = 57
};
enum { MAGIC = 2, BEFORE_LENGTH_BYTES = 12, ATTRIBUTE_LOG_APPEND_TIME = 8, RECORD_BYTES_MIN = 7 };

rl_status rl_batch_read_header(uint8_t *bytes, size_t available, struct rl_batch *ret_batch)
{
    if (available < RL_BATCH_HEADER_BYTES)
        return RL_ETRUNCATED;
    if (bytes[AT_MAGIC] != MAGIC)
        return bytes[AT_MAGIC] < MAGIC ? RL_EUNSUPPORTED : RL_EMALFORMED;

    int32_t length = (int32_t)rl_get_u32(bytes + AT_LENGTH);
    if (length < RL_BATCH_HEADER_BYTES - BEFORE_LENGTH_BYTES)
        return RL_EMALFORMED;
    size_t size_bytes = (size_t)length + BEFORE_LENGTH_BYTES;
    if (size_bytes > available)
        return RL_ETRUNCATED;

    *ret_batch = (struct rl_batch){
        .bytes = bytes,
        .size_bytes = size_bytes,
        .base_offset = (int64_t)rl_get_u64(bytes),
        .partition_leader_epoch = (int32_t)rl_get_u32(bytes + AT_LEADER_EPOCH),
        .crc = rl_get_u32(bytes + AT_CRC),
        .attributes = rl_get_u16(bytes + AT_ATTRIBUTES),
        .last_offset_delta = (int32_t)rl_get_u32(bytes + AT_LAST_OFFSET_DELTA),
        .base_timestamp_ms = (int64_t)rl_get_u64(bytes + AT_BASE_TIMESTAMP),
        .max_timestamp_ms = (int64_t)rl_get_u64(bytes + AT_MAX_TIMESTAMP),
        .producer_id = (int64_t)rl_get_u64(bytes + AT_PRODUCER_ID),
        .producer_epoch = (int16_t)rl_get_u16(bytes + AT_PRODUCER_EPOCH),
        .base_sequence = (int32_t)rl_get_u32(bytes + AT_BASE_SEQUENCE),
        .record_count = (int32_t)rl_get_u32(bytes + AT_RECORD_COUNT),
    };
    return RL_OK;
}

rl_status rl_batch_check(const struct rl_batch *batch)
{
    if (batch->size_bytes < RL_BATCH_HEADER_BYTES)
        return RL_EMALFORMED;
    if (batch->bytes[AT_MAGIC] != MAGIC)
        return RL_EMALFORMED;
    if ((size_t)rl_get_u32(batch->bytes + AT_LENGTH) + BEFORE_LENGTH_BYTES != batch->size_bytes)
        return RL_EMALFORMED;
    if (batch->record_count < 1 || batch->last_offset_delta != batch->record_count - 1)
        return RL_EMALFORMED;
    if (rl_crc32c(0, batch->bytes + AT_ATTRIBUTES, batch->size_bytes - AT_ATTRIBUTES) != batch->crc)
        return RL_ECORRUPT;
    return RL_OK;
}

rl_status rl_batch_check_rules(const struct rl_batch *batch)
{
    if (rl_batch_is_control(batch) || rl_batch_codec(batch) > RL_CODEC_ZSTD)
        return RL_EINVALIDRECORD;
    if (batch->producer_id >= 0 && batch->base_sequence < 0)
        return RL_EINVALIDRECORD;
    /* More records than its bytes could hold would burn offsets. */
    if (rl_batch_codec(batch) == RL_CODEC_NONE &&
        (size_t)batch->record_count >
            (batch->size_bytes - RL_BATCH_HEADER_BYTES) / RECORD_BYTES_MIN)
        return RL_EINVALIDRECORD;
    return RL_OK;
}

void rl_batch_set_offset(struct rl_batch *batch, int64_t base_offset, int32_t leader_epoch)
{
    batch->base_offset = base_offset;
    batch->partition_leader_epoch = leader_epoch;
    rl_put_u64(batch->bytes, (uint64_t)base_offset);
    rl_put_u32(batch->bytes + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

static void set_time(struct rl_batch *batch, uint16_t attributes, int64_t max_timestamp_ms)
{
    batch->attributes = attributes;
    batch->max_timestamp_ms = max_timestamp_ms;
    rl_put_u16(batch->bytes + AT_ATTRIBUTES, batch->attributes);
    rl_put_u64(batch->bytes + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp_ms);
    batch->crc = rl_crc32c(0, batch->bytes + AT_ATTRIBUTES, batch->size_bytes - AT_ATTRIBUTES);
    rl_put_u32(batch->bytes + AT_CRC, batch->crc);
}

void rl_batch_set_append_time(struct rl_batch *batch, int64_t wall_ms)
{
    set_time(batch, batch->attributes | ATTRIBUTE_LOG_APPEND_TIME, wall_ms);
}

void rl_batch_set_create_time(struct rl_batch *batch, int64_t max_timestamp_ms)
{
    set_time(batch, batch->attributes & (uint16_t)~ATTRIBUTE_LOG_APPEND_TIME, max_timestamp_ms);
}

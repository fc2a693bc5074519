/* coordinate/batch_writer.c — a record batch of the broker's own, record by record. */
#include "coordinate/batch_writer.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include "wire/writer.h"

enum {
    AT_LENGTH = 8, AT_LEADER_EPOCH = 12, AT_MAGIC = 16, AT_CRC = 17, AT_ATTRIBUTES = 21,
    AT_LAST_OFFSET_DELTA = 23, AT_BASE_TIMESTAMP = 27, AT_MAX_TIMESTAMP = 35, AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51, AT_BASE_SEQUENCE = 53, AT_RECORD_COUNT = 57
};
enum { MAGIC = 2, BEFORE_LENGTH_BYTES = 12 };

void rl_batch_writer_done(struct rl_batch_writer *writer)
{
    rl_text_done(&writer->bytes);
    *writer = (struct rl_batch_writer){ 0 };
}

static size_t field_bytes(struct rl_slice field)
{
    return field.data == NULL ? rl_varint_bytes(-1)
                              : rl_varint_bytes((int32_t)field.bytes) + field.bytes;
}

static void write_field(struct rl_writer *w, struct rl_slice field)
{
    rl_wr_varint(w, field.data == NULL ? -1 : (int32_t)field.bytes);
    rl_wr_copy(w, field.data, field.bytes);
}

void rl_batch_writer_add(struct rl_batch_writer *writer, int64_t timestamp_ms,
                          struct rl_slice key, struct rl_slice value)
{
    RL_ASSERT(key.bytes + value.bytes < (size_t)1 << 30);
    if (writer->record_count == 0) {
        rl_text_clear(&writer->bytes);
        memset(rl_text_reserve(&writer->bytes, RL_BATCH_HEADER_BYTES), 0, RL_BATCH_HEADER_BYTES);
        writer->bytes.bytes = RL_BATCH_HEADER_BYTES;
        writer->base_timestamp_ms = writer->max_timestamp_ms = timestamp_ms;
    }
    int64_t timestamp_delta = timestamp_ms - writer->base_timestamp_ms;
    size_t body = 1 + rl_varlong_bytes(timestamp_delta) + rl_varint_bytes(writer->record_count) +
                  field_bytes(key) + field_bytes(value) + rl_varint_bytes(0);
    size_t bytes = rl_varint_bytes((int32_t)body) + body;
    struct rl_writer w = rl_wr_of(rl_text_reserve(&writer->bytes, bytes), bytes);
    rl_wr_varint(&w, (int32_t)body);
    rl_wr_i8(&w, 0);
    rl_wr_varlong(&w, timestamp_delta);
    rl_wr_varint(&w, writer->record_count);
    write_field(&w, key);
    write_field(&w, value);
    rl_wr_varint(&w, 0);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    writer->bytes.bytes += bytes;
    writer->record_count++;
    writer->max_timestamp_ms = RL_MAX(writer->max_timestamp_ms, timestamp_ms);
}

struct rl_buffer *rl_batch_writer_finish(struct rl_batch_writer *writer, uint32_t home,
                                          struct rl_batch *ret_batch)
{
    size_t bytes = writer->bytes.bytes;
    RL_ASSERT(writer->record_count > 0);
    struct rl_buffer *buffer = rl_buffer_create(bytes, home);
    uint8_t *p = buffer->data;
    memcpy(p, writer->bytes.data, bytes);
    rl_put_u32(p + AT_LENGTH, (uint32_t)(bytes - BEFORE_LENGTH_BYTES));
    rl_put_u32(p + AT_LEADER_EPOCH, (uint32_t)-1);
    p[AT_MAGIC] = MAGIC;
    rl_put_u32(p + AT_LAST_OFFSET_DELTA, (uint32_t)(writer->record_count - 1));
    rl_put_u64(p + AT_BASE_TIMESTAMP, (uint64_t)writer->base_timestamp_ms);
    rl_put_u64(p + AT_MAX_TIMESTAMP, (uint64_t)writer->max_timestamp_ms);
    rl_put_u64(p + AT_PRODUCER_ID, (uint64_t)-1);
    rl_put_u16(p + AT_PRODUCER_EPOCH, (uint16_t)-1);
    rl_put_u32(p + AT_BASE_SEQUENCE, (uint32_t)-1);
    rl_put_u32(p + AT_RECORD_COUNT, (uint32_t)writer->record_count);
    rl_put_u32(p + AT_CRC, rl_crc32c(0, p + AT_ATTRIBUTES, bytes - AT_ATTRIBUTES));
    writer->record_count = 0;
    rl_text_clear(&writer->bytes);
    rl_status status = rl_batch_read_header(p, bytes, ret_batch);
    RL_ASSERT(status == RL_OK);
    return buffer;
}

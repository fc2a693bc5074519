/* cli/bench_batch.c — a valid record batch (message format v2, KIP-98) to send again and again. */
#include "cli/bench_batch.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "core/random.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define HEADER_BYTES 61
#define KEY_BYTES 16
#define STAMP_BYTES 8

/* attributes, timestamp delta, offset delta, key, value, headers */
static size_t record_body_bytes(size_t record_bytes, uint32_t index, bool keyed)
{
    return 1 + 1 + rl_varint_bytes((int32_t)index) + rl_varint_bytes(keyed ? KEY_BYTES : -1) +
           (keyed ? KEY_BYTES : 0) + rl_varint_bytes((int32_t)record_bytes) + record_bytes + 1;
}

static size_t record_wire_bytes(size_t record_bytes, uint32_t index, bool keyed)
{
    size_t body = record_body_bytes(record_bytes, index, keyed);
    return rl_varint_bytes((int32_t)body) + body;
}

static void batch_write_record(struct rl_writer *w, struct rl_bench_batch *b, size_t record_bytes,
                               uint32_t index, bool keyed, struct rl_random *random)
{
    rl_wr_varint(w, (int32_t)record_body_bytes(record_bytes, index, keyed));
    rl_wr_i8(w, 0);
    rl_wr_varint(w, 0);
    rl_wr_varint(w, (int32_t)index);
    rl_wr_varint(w, keyed ? KEY_BYTES : -1);
    for (int i = 0; keyed && i < KEY_BYTES; i++)
        rl_wr_i8(w, (int8_t)('a' + rl_random_next(random) % 26));
    rl_wr_varint(w, (int32_t)record_bytes);
    if (index == 0)
        b->stamp_at = rl_wr_bytes(w);
    for (size_t i = 0; i < record_bytes; i++)
        rl_wr_i8(w, (int8_t)(rl_random_next(random) >> 32));
    rl_wr_varint(w, 0);
}

static void batch_seal(struct rl_bench_batch *b)
{
    struct rl_writer w = rl_wr_of(b->bytes + 17, 4);
    rl_wr_u32(&w, rl_crc32c(0, b->bytes + 21, b->size_bytes - 21));
}

void rl_bench_batch_init(struct rl_bench_batch *b, size_t record_bytes, size_t batch_bytes,
                         int64_t timestamp_ms, bool keyed)
{
    *b = (struct rl_bench_batch){ 0 };
    b->size_bytes = HEADER_BYTES;
    do {
        b->size_bytes += record_wire_bytes(record_bytes, b->record_count++, keyed);
    } while (b->size_bytes + record_wire_bytes(record_bytes, b->record_count, keyed) <= batch_bytes);
    b->value_bytes = record_bytes * b->record_count;
    b->bytes = rl_alloc(b->size_bytes);

    struct rl_writer w = rl_wr_of(b->bytes, b->size_bytes);
    rl_wr_i64(&w, 0);                                   /* base offset */
    rl_wr_i32(&w, (int32_t)b->size_bytes - 12);
    rl_wr_i32(&w, -1);                                  /* partition leader epoch */
    rl_wr_i8(&w, 2);                                    /* magic */
    rl_wr_u32(&w, 0);                                   /* CRC, later */
    rl_wr_i16(&w, 0);                                   /* attributes */
    rl_wr_i32(&w, (int32_t)b->record_count - 1);
    rl_wr_i64(&w, timestamp_ms);
    rl_wr_i64(&w, timestamp_ms);
    rl_wr_i64(&w, -1);                                  /* producer id, epoch, sequence: none */
    rl_wr_i16(&w, -1);
    rl_wr_i32(&w, -1);
    rl_wr_i32(&w, (int32_t)b->record_count);
    struct rl_random random;
    rl_random_init(&random, 1);
    for (uint32_t i = 0; i < b->record_count; i++)
        batch_write_record(&w, b, record_bytes, i, keyed, &random);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == b->size_bytes);
    batch_seal(b);
}

void rl_bench_batch_done(struct rl_bench_batch *b)
{
    rl_free(b->bytes);
    b->bytes = NULL;
}

void rl_bench_batch_stamp(struct rl_bench_batch *b, int64_t ns)
{
    struct rl_writer w = rl_wr_of(b->bytes + b->stamp_at, STAMP_BYTES);
    rl_wr_i64(&w, ns);
    batch_seal(b);
}

static int64_t read_stamp(struct rl_reader *r)
{
    rl_rd_varint(r);                                    /* length */
    rl_rd_i8(r);
    rl_rd_varlong(r);
    rl_rd_varint(r);
    int32_t key_bytes = rl_rd_varint(r);
    if (key_bytes > 0)
        rl_rd_raw(r, (size_t)key_bytes);
    int32_t value_bytes = rl_rd_varint(r);
    return value_bytes >= STAMP_BYTES ? rl_rd_i64(r) : -1;
}

bool rl_bench_batch_read(const uint8_t *bytes, size_t available, int64_t *ret_stamp_ns,
                         uint32_t *ret_records, int64_t *ret_next_offset, size_t *ret_size_bytes)
{
    if (available < HEADER_BYTES)
        return false;
    struct rl_reader r = rl_rd_of(rl_slice_of(bytes, available));
    int64_t base_offset = rl_rd_i64(&r);
    size_t size_bytes = (size_t)rl_rd_i32(&r) + 12;
    if (size_bytes < HEADER_BYTES || size_bytes > available)
        return false;
    rl_rd_raw(&r, 4 + 1 + 4 + 2);
    int32_t last_offset_delta = rl_rd_i32(&r);
    rl_rd_raw(&r, 8 + 8 + 8 + 2 + 4);
    *ret_records = (uint32_t)rl_rd_i32(&r);
    *ret_stamp_ns = read_stamp(&r);
    *ret_next_offset = base_offset + last_offset_delta + 1;
    *ret_size_bytes = size_bytes;
    return rl_rd_done(&r) == RL_OK;
}

/* tests/log/batch_builder.c — valid batches with real records, for tests of log/. */
#include "core/crc32c.h"
#include "core/memory.h"
#include "core/text.h"
#include "log/batch.h"
#include "log/log_bytes.h"
#include "log_fixture.h"
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

static void put_varint(struct rl_text *out, int64_t value)
{
    uint64_t v = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    for (; v >= 0x80; v >>= 7)
        rl_text_append_char(out, (char)(uint8_t)(v | 0x80));
    rl_text_append_char(out, (char)(uint8_t)v);
}

static void put_record(struct rl_text *out, int32_t i, int64_t timestamp_delta_ms,
                       size_t value_bytes, struct rl_random *random)
{
    struct rl_text body = { 0 };

    rl_text_append_char(&body, 0);
    put_varint(&body, timestamp_delta_ms);
    put_varint(&body, i);
    put_varint(&body, -1);
    put_varint(&body, (int64_t)value_bytes);
    /* Half random, half repeated: compression has something to do. */
    for (size_t at = 0; at < value_bytes; at++)
        rl_text_append_char(&body, at % 2 == 0 ? 'v' : (char)(uint8_t)rl_random_next(random));
    put_varint(&body, 1);
    put_varint(&body, 1);
    rl_text_append_char(&body, 'h');
    put_varint(&body, -1);
    put_varint(out, (int64_t)body.bytes);
    rl_text_append(out, body.data, body.bytes);
    rl_text_done(&body);
}

static void compress_records(enum rl_codec codec, const struct rl_text *in, struct rl_text *out)
{
    size_t room = in->bytes * 2 + 4096;
    char *to = rl_text_reserve(out, room);
    size_t bytes = room;

    if (codec == RL_CODEC_GZIP) {
        z_stream z = { .next_in = (Bytef *)in->data, .avail_in = (uInt)in->bytes,
                       .next_out = (Bytef *)to, .avail_out = (uInt)room };
        RL_ASSERT(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        RL_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
        bytes = z.total_out;
        deflateEnd(&z);
    } else if (codec == RL_CODEC_SNAPPY) {
        RL_ASSERT(snappy_compress(in->data, in->bytes, to, &bytes) == SNAPPY_OK);
    } else if (codec == RL_CODEC_LZ4) {
        bytes = LZ4F_compressFrame(to, room, in->data, in->bytes, NULL);
    } else {
        bytes = ZSTD_compress(to, room, in->data, in->bytes, 3);
    }
    out->bytes += bytes;
}

static void put_header(uint8_t *p, const struct batch_spec *spec, size_t bytes, int32_t records,
                       int64_t base_ms, int64_t max_ms)
{
    rl_put_u64(p, 0);
    rl_put_u32(p + 8, (uint32_t)bytes - 12);
    rl_put_u32(p + 12, UINT32_MAX);
    p[16] = 2;
    rl_put_u16(p + 21, (uint16_t)spec->codec);
    rl_put_u32(p + 23, (uint32_t)records - 1);
    rl_put_u64(p + 27, (uint64_t)base_ms);
    rl_put_u64(p + 35, (uint64_t)max_ms);
    rl_put_u64(p + 43, spec->producer_id != 0 ? (uint64_t)spec->producer_id : UINT64_MAX);
    rl_put_u16(p + 51, spec->producer_id != 0 ? (uint16_t)spec->producer_epoch : UINT16_MAX);
    rl_put_u32(p + 53, spec->producer_id != 0 ? (uint32_t)spec->base_sequence : UINT32_MAX);
    rl_put_u32(p + 57, (uint32_t)records);
    rl_put_u32(p + 17, rl_crc32c(0, p + 21, bytes - 21));
}

uint8_t *build_batch(const struct batch_spec *spec, size_t *ret_bytes)
{
    struct rl_text records = { 0 }, payload = { 0 };
    struct rl_random random;
    int32_t count = RL_MAX(spec->records, 1);
    int64_t base_ms = spec->timestamps_ms != NULL ? spec->timestamps_ms[0] : spec->base_timestamp_ms;
    int64_t max_ms = INT64_MIN;

    rl_random_init(&random, spec->seed);
    for (int32_t i = 0; i < count; i++) {
        int64_t ms = spec->timestamps_ms != NULL ? spec->timestamps_ms[i]
                                                 : base_ms + i * spec->timestamp_step_ms;
        max_ms = RL_MAX(max_ms, ms);
        put_record(&records, i, ms - base_ms, spec->value_bytes, &random);
    }
    if (spec->codec != RL_CODEC_NONE)
        compress_records(spec->codec, &records, &payload);
    else
        rl_text_append(&payload, records.data, records.bytes);

    *ret_bytes = RL_BATCH_HEADER_BYTES + payload.bytes;
    uint8_t *batch = rl_alloc(*ret_bytes);
    memcpy(batch + RL_BATCH_HEADER_BYTES, payload.data, payload.bytes);
    put_header(batch, spec, *ret_bytes, count, base_ms, max_ms);
    rl_text_done(&records);
    rl_text_done(&payload);
    return batch;
}

/* log/codec.c — bounded decompression with the distribution's libraries.
 *
 * Each decoder writes into room that grows in steps, so that a header which promises gigabytes
 * costs nothing.  Failures: a status, never more than limit_bytes of memory for output. */
#include "log/codec.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { STEP_BYTES = 64 << 10, ZSTD_WINDOW_LOG_MAX = 26 };

/* Room for the next piece of output; NULL when the limit is reached.  A byte more than the limit
 * is given out, so that data of exactly limit_bytes can still see its end. */
static uint8_t *out_room(struct rl_text *out, size_t begin, size_t limit_bytes, size_t *ret_bytes)
{
    size_t used = out->bytes - begin;
    if (used > limit_bytes)
        return NULL;
    *ret_bytes = RL_MIN(RL_MAX((size_t)STEP_BYTES, used), limit_bytes + 1 - used);
    return (uint8_t *)rl_text_reserve(out, *ret_bytes);
}

static rl_status decode_gzip(struct rl_slice input, size_t limit_bytes, struct rl_text *out)
{
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)input.data, .avail_in = (uInt)input.bytes };
    size_t begin = out->bytes;
    rl_status status = RL_ECORRUPT;

    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return RL_ENOMEM;
    for (;;) {
        size_t room;
        uint8_t *to = out_room(out, begin, limit_bytes, &room);
        if (to == NULL) {
            status = RL_ETOOLARGE;
            break;
        }
        stream.next_out = to;
        stream.avail_out = (uInt)room;
        int result = inflate(&stream, Z_NO_FLUSH);
        size_t made = room - stream.avail_out;
        out->bytes += made;
        if (result == Z_STREAM_END) {
            if (stream.avail_in == 0) {
                status = RL_OK;
                break;
            }
            if (inflateReset(&stream) != Z_OK)          /* another member follows */
                break;
        } else if (result != Z_OK || (made == 0 && stream.avail_in == 0)) {
            break;
        }
    }
    inflateEnd(&stream);
    if (status == RL_OK && out->bytes - begin > limit_bytes)
        status = RL_ETOOLARGE;
    return status;
}

static rl_status decode_snappy_block(struct rl_slice input, size_t limit_bytes, struct rl_text *out)
{
    size_t bytes;

    if (snappy_uncompressed_length((const char *)input.data, input.bytes, &bytes) != SNAPPY_OK)
        return RL_ECORRUPT;
    /* The format cannot expand more than 64 bytes per 3 (a copy element): checked before memory
     * is taken, so that ten bytes do not cost 64 MiB. */
    if (bytes > limit_bytes)
        return RL_ETOOLARGE;
    if (bytes / 64 > input.bytes)
        return RL_ECORRUPT;
    char *to = rl_text_reserve(out, bytes);
    if (snappy_uncompress((const char *)input.data, input.bytes, to, &bytes) != SNAPPY_OK)
        return RL_ECORRUPT;
    out->bytes += bytes;
    return RL_OK;
}

static rl_status decode_snappy(struct rl_slice input, size_t limit_bytes, struct rl_text *out)
{
    static const uint8_t xerial_magic[8] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };
    enum { XERIAL_HEADER_BYTES = 16 };
    size_t begin = out->bytes;

    if (input.bytes < XERIAL_HEADER_BYTES || memcmp(input.data, xerial_magic, 8) != 0)
        return decode_snappy_block(input, limit_bytes, out);

    size_t at = XERIAL_HEADER_BYTES;
    while (at < input.bytes) {
        if (input.bytes - at < 4)
            return RL_ECORRUPT;
        size_t block_bytes = rl_get_u32(input.data + at);
        at += 4;
        if (block_bytes > input.bytes - at)
            return RL_ECORRUPT;
        rl_status status = decode_snappy_block(rl_slice_of(input.data + at, block_bytes),
                                               limit_bytes - (out->bytes - begin), out);
        if (status != RL_OK)
            return status;
        at += block_bytes;
    }
    return RL_OK;
}

static rl_status decode_lz4(struct rl_slice input, size_t limit_bytes, struct rl_text *out)
{
    LZ4F_dctx *context = NULL;
    size_t begin = out->bytes, at = 0, hint = 1;
    rl_status status = RL_OK;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return RL_ENOMEM;
    while (hint != 0 || at < input.bytes) {
        size_t room, taken = input.bytes - at;
        uint8_t *to = out_room(out, begin, limit_bytes, &room);
        if (to == NULL) {
            status = RL_ETOOLARGE;
            break;
        }
        hint = LZ4F_decompress(context, to, &room, input.data + at, &taken, NULL);
        if (LZ4F_isError(hint) || (room == 0 && taken == 0)) {
            status = RL_ECORRUPT;
            break;
        }
        at += taken;
        out->bytes += room;
    }
    LZ4F_freeDecompressionContext(context);
    if (status == RL_OK && out->bytes - begin > limit_bytes)
        status = RL_ETOOLARGE;
    return status;
}

static rl_status decode_zstd(struct rl_slice input, size_t limit_bytes, struct rl_text *out)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer from = { input.data, input.bytes, 0 };
    size_t begin = out->bytes, hint = 1;
    rl_status status = RL_OK;

    if (context == NULL)
        return RL_ENOMEM;
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    while (hint != 0 || from.pos < from.size) {
        size_t room, before = from.pos;
        uint8_t *place = out_room(out, begin, limit_bytes, &room);
        if (place == NULL) {
            status = RL_ETOOLARGE;
            break;
        }
        ZSTD_outBuffer to = { place, room, 0 };
        hint = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(hint) || (to.pos == 0 && from.pos == before)) {
            status = RL_ECORRUPT;
            break;
        }
        out->bytes += to.pos;
    }
    ZSTD_freeDCtx(context);
    if (status == RL_OK && out->bytes - begin > limit_bytes)
        status = RL_ETOOLARGE;
    return status;
}

static rl_status decode(enum rl_codec codec, struct rl_slice input, size_t limit_bytes,
                        struct rl_text *out)
{
    switch (codec) {
    case RL_CODEC_NONE:
        if (input.bytes > limit_bytes)
            return RL_ETOOLARGE;
        rl_text_append(out, input.data, input.bytes);
        return RL_OK;
    case RL_CODEC_GZIP:
        return decode_gzip(input, limit_bytes, out);
    case RL_CODEC_SNAPPY:
        return decode_snappy(input, limit_bytes, out);
    case RL_CODEC_LZ4:
        return decode_lz4(input, limit_bytes, out);
    case RL_CODEC_ZSTD:
        return decode_zstd(input, limit_bytes, out);
    case RL_CODEC_PRODUCER:
        break;
    }
    return RL_EUNSUPPORTED;
}

rl_status rl_codec_decode(enum rl_codec codec, struct rl_slice input, size_t limit_bytes,
                          struct rl_text *out)
{
    if (input.bytes > UINT32_MAX)
        return RL_ETOOLARGE;
    rl_status status = decode(codec, input, limit_bytes, out);
    if (out->data != NULL)
        out->data[out->bytes] = '\0';
    return status;
}

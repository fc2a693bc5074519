/* tests/log/test_batch.c — a batch's header, byte by byte; records and codecs; what is refused. */
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/codec.h"
#include "log/log_bytes.h"
#include "log/record.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <zlib.h>
#include <zstd.h>

static struct rl_batch read_batch(uint8_t *bytes, size_t size)
{
    struct rl_batch batch;

    cr_assert_eq(rl_batch_read_header(bytes, size, &batch), RL_OK);
    return batch;
}

Test(batch, header_fields_are_where_kafka_has_them)
{
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 3, .value_bytes = 5,
                                                       .base_timestamp_ms = 1000,
                                                       .timestamp_step_ms = 10, .producer_id = 77,
                                                       .producer_epoch = 2, .base_sequence = 9 },
                                 &size);
    struct rl_batch batch = read_batch(bytes, size);

    cr_assert_eq(batch.size_bytes, size);
    cr_assert_eq(batch.base_offset, 0);
    cr_assert_eq(batch.partition_leader_epoch, -1);
    cr_assert_eq(batch.last_offset_delta, 2);
    cr_assert_eq(batch.base_timestamp_ms, 1000);
    cr_assert_eq(batch.max_timestamp_ms, 1020);
    cr_assert_eq(batch.producer_id, 77);
    cr_assert_eq(batch.producer_epoch, 2);
    cr_assert_eq(batch.base_sequence, 9);
    cr_assert_eq(batch.record_count, 3);
    cr_assert_eq(rl_batch_check(&batch), RL_OK);
    rl_free(bytes);
}

Test(batch, a_cut_batch_is_truncated_at_any_length)
{
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .value_bytes = 20 }, &size);

    for (size_t available = 0; available < size; available++) {
        struct rl_batch batch;
        uint8_t *copy = rl_alloc(available + 1);
        memcpy(copy, bytes, available);
        cr_assert_eq(rl_batch_read_header(copy, available, &batch), RL_ETRUNCATED);
        rl_free(copy);
    }
    rl_free(bytes);
}

Test(batch, every_flipped_bit_behind_the_magic_is_found)
{
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 2, .value_bytes = 20 }, &size);

    for (size_t at = 8; at < size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct rl_batch batch;
            bytes[at] ^= (uint8_t)(1 << bit);
            rl_status status = rl_batch_read_header(bytes, size, &batch);
            if (status == RL_OK)
                status = rl_batch_check(&batch);
            /* the leader epoch lies outside the CRC; a smaller length ends in a wrong CRC */
            cr_assert((status == RL_OK) == (at >= 12 && at < 16), "byte %zu bit %d", at, bit);
            bytes[at] ^= (uint8_t)(1 << bit);
        }
    }
    rl_free(bytes);
}

Test(batch, counts_and_magic)
{
    static const struct { size_t at; uint32_t value; rl_status status; } rows[] = {
        { 57, 0, RL_EMALFORMED },               /* no record */
        { 57, 4, RL_EMALFORMED },               /* more records than offsets */
        { 57, 0x80000000, RL_EMALFORMED },
        { 23, 7, RL_EMALFORMED },
        { 23, UINT32_MAX, RL_EMALFORMED },
        { 8, 48, RL_EMALFORMED },               /* shorter than a header */
        { 8, 0x7fffffff, RL_ETRUNCATED },
        { 8, UINT32_MAX, RL_EMALFORMED },
    };

    for (uint32_t i = 0; i < RL_ARRAY_COUNT(rows); i++) {
        size_t size;
        struct rl_batch batch;
        uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 3 }, &size);
        rl_put_u32(bytes + rows[i].at, rows[i].value);
        rl_put_u32(bytes + 17, rl_crc32c(0, bytes + 21, size - 21));
        rl_status status = rl_batch_read_header(bytes, size, &batch);
        if (status == RL_OK)
            status = rl_batch_check(&batch);
        cr_assert_eq(status, rows[i].status, "row %u", i);
        bytes[16] = 1;
        cr_assert_eq(rl_batch_read_header(bytes, size, &batch), RL_EUNSUPPORTED);
        bytes[16] = 3;
        cr_assert_eq(rl_batch_read_header(bytes, size, &batch), RL_EMALFORMED);
        rl_free(bytes);
    }
}

Test(batch, patching_the_offset_keeps_the_checksum)
{
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 3 }, &size);
    struct rl_batch batch = read_batch(bytes, size);

    rl_batch_set_offset(&batch, 0x123456789a, 42);
    struct rl_batch again = read_batch(bytes, size);
    cr_assert_eq(again.base_offset, 0x123456789a);
    cr_assert_eq(again.partition_leader_epoch, 42);
    cr_assert_eq(rl_batch_check(&again), RL_OK);
    rl_batch_set_append_time(&batch, 12345);
    again = read_batch(bytes, size);
    cr_assert_eq(rl_batch_check(&again), RL_OK);
    cr_assert(rl_batch_is_log_append_time(&again));
    cr_assert_eq(again.max_timestamp_ms, 12345);
    rl_free(bytes);
}

Test(batch, rules_for_producers)
{
    static const struct {
        struct batch_spec spec;
        uint16_t attributes;
        int32_t base_sequence_patch;    /* 0: none */
        rl_status status;
    } rows[] = {
        { { .value_bytes = 3 }, 0, 0, RL_OK },
        { { .value_bytes = 3 }, 32, 0, RL_EINVALIDRECORD },             /* control */
        { { .value_bytes = 3 }, 8, 0, RL_OK },                          /* the broker corrects it */
        { { .value_bytes = 3 }, 5, 0, RL_EINVALIDRECORD },              /* no such codec */
        { { .producer_id = 5 }, 0, 0, RL_OK },
        { { .producer_id = 5 }, 0, -1, RL_EINVALIDRECORD },
    };

    for (uint32_t i = 0; i < RL_ARRAY_COUNT(rows); i++) {
        size_t size;
        uint8_t *bytes = build_batch(&rows[i].spec, &size);
        struct rl_batch batch = read_batch(bytes, size);
        batch.attributes |= rows[i].attributes;
        if (rows[i].base_sequence_patch != 0)
            batch.base_sequence = rows[i].base_sequence_patch;
        cr_assert_eq(rl_batch_check_rules(&batch), rows[i].status, "row %u", i);
        rl_free(bytes);
    }
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .base_timestamp_ms = 1 }, &size);
    struct rl_batch batch = read_batch(bytes, size);
    batch.record_count = 1000000;
    batch.last_offset_delta = 999999;
    cr_assert_eq(rl_batch_check_rules(&batch), RL_EINVALIDRECORD);
    rl_free(bytes);
}

Test(batch, create_time_takes_the_bit_away)
{
    size_t size;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 2, .base_timestamp_ms = 1000 }, &size);
    struct rl_batch batch = read_batch(bytes, size);

    rl_batch_set_append_time(&batch, 5000);
    rl_batch_set_create_time(&batch, 1234);
    struct rl_batch again = read_batch(bytes, size);
    cr_assert_eq(rl_batch_check(&again), RL_OK);
    cr_assert_not(rl_batch_is_log_append_time(&again));
    cr_assert_eq(again.max_timestamp_ms, 1234);
    rl_free(bytes);
}

/* ---- records ---- */

Test(batch, records_of_every_codec)
{
    for (enum rl_codec codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++) {
        size_t size;
        uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 100, .value_bytes = 3000,
                                                           .codec = codec,
                                                           .base_timestamp_ms = 500,
                                                           .timestamp_step_ms = -3 }, &size);
        struct rl_batch batch = read_batch(bytes, size);
        struct rl_records records;
        struct rl_record record;

        rl_batch_set_offset(&batch, 1000, 1);
        cr_assert_eq(rl_records_init(&records, &batch), RL_OK);
        for (int i = 0; i < 100; i++) {
            cr_assert_eq(rl_records_next(&records, &record), RL_OK);
            cr_assert_eq(record.offset, 1000 + i);
            cr_assert_eq(record.timestamp_ms, 500 - 3 * i);
            cr_assert_null(record.key.data);
            cr_assert_eq(record.value.bytes, 3000);
            cr_assert_eq(record.value.data[0], 'v');
            cr_assert_eq(record.header_count, 1);
        }
        cr_assert_eq(rl_records_next(&records, &record), RL_ENOTFOUND);
        rl_records_done(&records);
        rl_free(bytes);
    }
}

Test(batch, damaged_records_are_refused_not_followed)
{
    for (enum rl_codec codec = RL_CODEC_NONE; codec <= RL_CODEC_ZSTD; codec++) {
        size_t size;
        uint8_t *bytes = build_batch(&(struct batch_spec){ .records = 4, .value_bytes = 30,
                                                           .codec = codec }, &size);
        for (size_t at = RL_BATCH_HEADER_BYTES; at < size; at++) {
            for (int change = 0; change < 3; change++) {
                uint8_t *copy = rl_alloc(size);
                struct rl_records records;
                struct rl_record record;
                int count = 0;
                rl_status status = RL_OK;
                memcpy(copy, bytes, size);
                copy[at] = change == 0 ? 0xff : change == 1 ? 0 : (uint8_t)(copy[at] ^ 0x40);
                struct rl_batch batch = read_batch(copy, size);
                if (rl_records_init(&records, &batch) == RL_OK) {
                    while ((status = rl_records_next(&records, &record)) == RL_OK)
                        count++;
                    cr_assert_leq(count, 4);
                    cr_assert(status == RL_ENOTFOUND || status == RL_ECORRUPT);
                    rl_records_done(&records);
                }
                rl_free(copy);
            }
        }
        rl_free(bytes);
    }
}

Test(batch, xerial_snappy_is_opened)
{
    /* "hello" as one raw snappy block of a literal, twice, behind the Java client's header */
    static const uint8_t framed[] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
                                      0, 0, 0, 7, 5, 16, 'h', 'e', 'l', 'l', 'o',
                                      0, 0, 0, 7, 5, 16, 'w', 'o', 'r', 'l', 'd' };
    struct rl_text out = { 0 };

    cr_assert_eq(rl_codec_decode(RL_CODEC_SNAPPY, rl_slice_of(framed, sizeof framed), 10, &out),
                 RL_OK);
    cr_assert_str_eq(rl_text_string(&out), "helloworld");
    rl_text_clear(&out);
    cr_assert_eq(rl_codec_decode(RL_CODEC_SNAPPY, rl_slice_of(framed, sizeof framed), 9, &out),
                 RL_ETOOLARGE);
    for (size_t bytes = 17; bytes < sizeof framed; bytes++) {
        rl_text_clear(&out);
        rl_status status = rl_codec_decode(RL_CODEC_SNAPPY, rl_slice_of(framed, bytes), 10, &out);
        cr_assert(bytes == 27 ? status == RL_OK : status == RL_ECORRUPT);
    }
    rl_text_done(&out);
}

Test(batch, gzip_members_follow_each_other)
{
    uint8_t packed[200];
    struct rl_text out = { 0 };
    size_t bytes = 0;

    for (int member = 0; member < 2; member++) {
        z_stream z = { .next_in = (Bytef *)(uintptr_t)"abc", .avail_in = 3,
                       .next_out = packed + bytes, .avail_out = (uInt)(sizeof packed - bytes) };
        cr_assert_eq(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        bytes += z.total_out;
        deflateEnd(&z);
    }
    cr_assert_eq(rl_codec_decode(RL_CODEC_GZIP, rl_slice_of(packed, bytes), 6, &out), RL_OK);
    cr_assert_str_eq(rl_text_string(&out), "abcabc");
    rl_text_done(&out);
}

Test(batch, a_decompression_bomb_is_stopped_at_the_limit)
{
    enum { BOMB_BYTES = 16 << 20, LIMIT_BYTES = 1 << 20 };
    uint8_t *zeros = rl_alloc_zero(BOMB_BYTES, 1);
    size_t room = ZSTD_compressBound(BOMB_BYTES);
    uint8_t *bomb = rl_alloc(room);
    struct rl_text out = { 0 };
    uLongf gzip_bytes = room;

    size_t bytes = ZSTD_compress(bomb, room, zeros, BOMB_BYTES, 3);
    cr_assert_eq(rl_codec_decode(RL_CODEC_ZSTD, rl_slice_of(bomb, bytes), LIMIT_BYTES, &out),
                 RL_ETOOLARGE);
    cr_assert_lt(out.capacity, 4 * LIMIT_BYTES);
    rl_text_clear(&out);
    z_stream z = { .next_in = zeros, .avail_in = BOMB_BYTES, .next_out = bomb,
                   .avail_out = (uInt)gzip_bytes };
    cr_assert_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    cr_assert_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    cr_assert_eq(rl_codec_decode(RL_CODEC_GZIP, rl_slice_of(bomb, z.total_out), LIMIT_BYTES, &out),
                 RL_ETOOLARGE);
    cr_assert_lt(out.capacity, 4 * LIMIT_BYTES);
    deflateEnd(&z);
    /* snappy: a preamble that promises 64 MiB, ten bytes of input */
    static const uint8_t promise[] = { 0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0, 0, 0 };
    rl_text_done(&out);
    cr_assert_eq(rl_codec_decode(RL_CODEC_SNAPPY, rl_slice_of(promise, sizeof promise), 64u << 20,
                                 &out), RL_ECORRUPT);
    cr_assert_eq(out.capacity, 0);
    rl_free(zeros);
    rl_free(bomb);
}

/* tests/wire/test_reader.c — primitives: what the reader believes and the writer writes. */
#include "wire/reader.h"
#include "wire/writer.h"

#include <criterion/criterion.h>

#define READER(...) \
    rl_rd_of(rl_slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })))

Test(reader, reads_big_endian_numbers)
{
    struct rl_reader r = READER(0xff, 0x01, 0x02, 0x80, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 2, 0,
                                0x3f, 0xf8, 0, 0, 0, 0, 0, 0);
    cr_expect_eq(rl_rd_i8(&r), -1);
    cr_expect_eq(rl_rd_i16(&r), 0x0102);
    cr_expect_eq(rl_rd_i32(&r), INT32_MIN + 1);
    cr_expect_eq(rl_rd_i64(&r), INT64_C(0x0102030405060708));
    cr_expect_eq(rl_rd_bool(&r), true, "any byte but zero is true");
    cr_expect_eq(rl_rd_bool(&r), false);
    cr_expect_eq(rl_rd_f64(&r), 1.5);
    cr_expect_eq(rl_rd_done(&r), RL_OK);
    cr_expect_eq(rl_rd_remaining(&r), 0);
}

Test(reader, an_error_sticks_and_reads_zeros)
{
    struct rl_reader r = READER(1, 2, 3, 4, 5);
    cr_expect_eq(rl_rd_i32(&r), 0x01020304);
    cr_expect_eq(rl_rd_i16(&r), 0);
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
    cr_expect_eq(rl_rd_i8(&r), 0, "the last byte is not read after the failure");
    rl_rd_fail(&r, RL_EMALFORMED);
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED, "the first failure is kept");
    cr_expect_eq(rl_rd_remaining(&r), 0);
}

Test(reader, empty_input_without_memory)
{
    struct rl_reader r = rl_rd_of(rl_slice_of(NULL, 0));
    cr_expect_eq(rl_rd_uvarint(&r), 0);
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
}

Test(reader, strings_and_null)
{
    struct rl_reader r = READER(0, 2, 'h', 'i', 0xff, 0xff, 0, 0);
    struct rl_slice s = rl_rd_string(&r, false, false);
    cr_expect(rl_slice_equal_string(s, "hi"));
    s = rl_rd_string(&r, false, true);
    cr_expect_null(s.data);
    s = rl_rd_string(&r, false, true);
    cr_expect_not_null(s.data, "empty is not null");
    cr_expect_eq(s.bytes, 0);
    cr_expect_eq(rl_rd_done(&r), RL_OK);

    r = READER(3, 'h', 'i', 0, 1);
    cr_expect(rl_slice_equal_string(rl_rd_string(&r, true, false), "hi"));
    cr_expect_null(rl_rd_string(&r, true, true).data);
    cr_expect_not_null(rl_rd_string(&r, true, true).data);
    cr_expect_eq(rl_rd_done(&r), RL_OK);
}

Test(reader, null_where_none_may_be_is_malformed)
{
    struct rl_reader r = READER(0xff, 0xff);
    rl_rd_string(&r, false, false);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0);
    rl_rd_bytes(&r, true, false);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
}

Test(reader, negative_lengths_but_minus_one_are_malformed)
{
    struct rl_reader r = READER(0xff, 0xfe);
    rl_rd_string(&r, false, true);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0x80, 0, 0, 0);
    rl_rd_bytes(&r, false, true);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0xff, 0xff, 0xff, 0xff, 0x0f);       /* compact: 2^32 - 2 bytes */
    rl_rd_bytes(&r, true, true);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
}

Test(reader, a_compact_string_has_kafkas_limit_too)
{
    static uint8_t input[3 + RL_STRING_BYTES_MAX + 1];
    struct rl_writer w = rl_wr_of(input, sizeof input);
    rl_wr_uvarint(&w, RL_STRING_BYTES_MAX + 2);
    struct rl_reader r = rl_rd_of(rl_slice_of(input, sizeof input));
    rl_rd_string(&r, true, false);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);

    w = rl_wr_of(input, sizeof input);
    rl_wr_uvarint(&w, RL_STRING_BYTES_MAX + 1);
    r = rl_rd_of(rl_slice_of(input, sizeof input));
    cr_expect_eq(rl_rd_string(&r, true, false).bytes, RL_STRING_BYTES_MAX);
    cr_expect_eq(rl_rd_done(&r), RL_OK);
}

Test(reader, bytes_beyond_the_input_are_not_believed)
{
    struct rl_reader r = READER(0, 0, 0, 4, 1, 2, 3);
    cr_expect_eq(rl_rd_bytes(&r, false, false).bytes, 0);
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
}

Test(reader, varints_there_and_back)
{
    static const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, UINT32_MAX,
        UINT64_C(1) << 35, UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(values); i++) {
        uint8_t buffer[64];
        struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
        rl_wr_uvarlong(&w, values[i]);
        cr_expect_eq(rl_wr_bytes(&w), rl_uvarlong_bytes(values[i]));
        rl_wr_varlong(&w, (int64_t)values[i]);
        rl_wr_varlong(&w, -(int64_t)(values[i] >> 1));
        rl_wr_uvarint(&w, (uint32_t)values[i]);
        rl_wr_varint(&w, (int32_t)values[i]);
        cr_expect_eq(rl_wr_done(&w), RL_OK);

        struct rl_reader r = rl_rd_of(rl_wr_written(&w));
        cr_expect_eq(rl_rd_uvarlong(&r), values[i]);
        cr_expect_eq(rl_rd_varlong(&r), (int64_t)values[i]);
        cr_expect_eq(rl_rd_varlong(&r), -(int64_t)(values[i] >> 1));
        cr_expect_eq(rl_rd_uvarint(&r), (uint32_t)values[i]);
        cr_expect_eq(rl_rd_varint(&r), (int32_t)values[i]);
        cr_expect_eq(rl_rd_done(&r), RL_OK);
        cr_expect_eq(rl_rd_remaining(&r), 0);
    }
}

Test(reader, zig_zag_as_in_records)
{
    uint8_t buffer[16];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    rl_wr_varint(&w, -1);
    rl_wr_varint(&w, 1);
    rl_wr_varint(&w, INT32_MIN);
    static const uint8_t expected[] = { 1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f };
    cr_expect(rl_slice_equal(rl_wr_written(&w), rl_slice_of(expected, sizeof expected)));
    cr_expect_eq(rl_varint_bytes(INT32_MIN), 5);
    cr_expect_eq(rl_varlong_bytes(INT64_MIN), 10);
    cr_expect_eq(rl_varlong_bytes(-64), 1);
}

Test(reader, overlong_varints_are_malformed)
{
    struct rl_reader r = READER(0x80, 0x80, 0x80, 0x80, 0x10);          /* 33 bits */
    rl_rd_uvarint(&r);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0x80, 0x80, 0x80, 0x80, 0x80, 0);                        /* six bytes */
    rl_rd_uvarint(&r);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2);
    rl_rd_uvarlong(&r);
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
    r = READER(0x80, 0x80);
    rl_rd_uvarint(&r);
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
}

Test(reader, a_count_is_believed_as_far_as_the_bytes_reach)
{
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, 1 << 20);
    int32_t count = 7;
    struct rl_reader r = READER(0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0);
    cr_expect_null(rl_rd_array(&r, &arena, false, false, 1, 100, &count));
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
    cr_expect_eq(count, 0);
    cr_expect_eq(arena.used_bytes, 0, "nothing was allocated for it");

    r = READER(0, 0, 0, 2, 1, 2, 3, 4);
    cr_expect_not_null(rl_rd_array(&r, &arena, false, false, 2, 8, &count));
    cr_expect_eq(count, 2);
    r = READER(0, 0, 0, 2, 1, 2, 3);
    cr_expect_null(rl_rd_array(&r, &arena, false, false, 2, 8, &count));
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);

    r = READER(0xff, 0xff, 0xff, 0xff);
    cr_expect_null(rl_rd_array(&r, &arena, false, true, 2, 8, &count));
    cr_expect_eq(count, -1);
    cr_expect_eq(rl_rd_done(&r), RL_OK);
    rl_arena_done(&arena);
}

Test(reader, the_arenas_limit_is_a_status)
{
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, 64);
    int32_t count;
    struct rl_reader r = READER(0, 0, 0, 2, 1, 2, 3, 4);
    cr_expect_null(rl_rd_array(&r, &arena, false, false, 1, 64, &count));
    cr_expect_eq(rl_rd_done(&r), RL_ENOMEM);
    cr_expect_eq(count, 0);
    rl_arena_done(&arena);
}

Test(reader, unknown_tags_are_skipped)
{
    struct rl_reader r = READER(2, 0, 3, 'a', 'b', 'c', 0x80, 1, 0, 42);
    rl_rd_tags_skip(&r);
    cr_expect_eq(rl_rd_i8(&r), 42);
    cr_expect_eq(rl_rd_done(&r), RL_OK);
}

static rl_status skip_tags(struct rl_reader r)
{
    rl_rd_tags_skip(&r);
    return rl_rd_done(&r);
}

Test(reader, tags_must_ascend)
{
    cr_expect_eq(skip_tags(READER(2, 1, 0, 2, 0)), RL_OK);
    cr_expect_eq(skip_tags(READER(2, 1, 0, 1, 0)), RL_EMALFORMED);
    cr_expect_eq(skip_tags(READER(2, 2, 0, 1, 0)), RL_EMALFORMED);
}

Test(reader, tags_do_not_reach_beyond_the_input)
{
    cr_expect_eq(skip_tags(READER(1, 1, 5, 0, 0)), RL_ETRUNCATED);
    cr_expect_eq(skip_tags(READER(0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0)), RL_ETRUNCATED);
    cr_expect_eq(skip_tags(READER(1)), RL_ETRUNCATED);
}

Test(reader, a_known_tag_is_read_within_its_bytes)
{
    struct rl_reader r = READER(1, 0, 2, 0, 0, 0, 7);       /* two bytes for an i32 */
    struct rl_rd_tags tags = rl_rd_tags_begin(&r);
    cr_assert(rl_rd_tags_next(&r, &tags));
    cr_expect_eq(rl_rd_i32(&r), 0);
    cr_expect_not(rl_rd_tags_next(&r, &tags));
    cr_expect_eq(rl_rd_done(&r), RL_ETRUNCATED);
    cr_expect_eq(rl_rd_remaining(&r), 0);

    r = READER(1, 0, 5, 0, 0, 0, 7, 9);                     /* five bytes for an i32 */
    tags = rl_rd_tags_begin(&r);
    cr_assert(rl_rd_tags_next(&r, &tags));
    cr_expect_eq(rl_rd_i32(&r), 7);
    cr_expect_not(rl_rd_tags_next(&r, &tags));
    cr_expect_eq(rl_rd_done(&r), RL_EMALFORMED);
}

Test(writer, no_room_sticks)
{
    uint8_t buffer[5] = { 0 };
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    rl_wr_i32(&w, 0x01020304);
    rl_wr_i16(&w, 0x0506);
    rl_wr_i8(&w, 7);
    cr_expect_eq(rl_wr_done(&w), RL_EFULL);
    cr_expect_eq(rl_wr_bytes(&w), 4);
    cr_expect_eq(buffer[4], 0, "nothing is written after a failure");
}

Test(writer, a_string_beyond_the_limit_is_refused)
{
    static uint8_t buffer[40000];
    struct rl_slice s = rl_slice_of(buffer, RL_STRING_BYTES_MAX + 1);
    static uint8_t out[40010];
    struct rl_writer w = rl_wr_of(out, sizeof out);
    rl_wr_string(&w, true, false, s);
    cr_expect_eq(rl_wr_done(&w), RL_ETOOLARGE);
    w = rl_wr_of(out, sizeof out);
    rl_wr_string(&w, false, false, s);
    cr_expect_eq(rl_wr_done(&w), RL_ETOOLARGE);
}

Test(writer, null_is_empty_where_it_cannot_be_said)
{
    uint8_t buffer[16];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    struct rl_slice null = { NULL, 0 };
    rl_wr_string(&w, false, false, null);
    rl_wr_string(&w, true, false, null);
    rl_wr_count(&w, false, false, -1);
    rl_wr_string(&w, false, true, null);
    rl_wr_string(&w, true, true, null);
    rl_wr_count(&w, true, true, -1);
    static const uint8_t expected[] = { 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 0 };
    cr_expect(rl_slice_equal(rl_wr_written(&w), rl_slice_of(expected, sizeof expected)));
}

Test(writer, external_records_are_noted_and_not_copied)
{
    uint8_t buffer[32];
    struct rl_wr_external externals[2];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    w.externals = externals;
    w.externals_capacity = RL_ARRAY_COUNT(externals);
    rl_wr_i8(&w, 9);
    rl_wr_records(&w, false, true, (struct rl_slice){ NULL, 1000 });
    rl_wr_records(&w, false, true, (struct rl_slice){ NULL, 0 });
    rl_wr_records(&w, false, true, rl_slice_of("", 0));
    rl_wr_records(&w, true, true, rl_slice_of("abc", 3));
    cr_expect_eq(rl_wr_done(&w), RL_OK);
    cr_expect_eq(rl_wr_externals_bytes(&w), 1003);
    cr_expect_eq(w.externals_count, 2);
    cr_expect_eq(externals[0].at, 5);
    cr_expect_eq(externals[0].bytes, 1000);
    cr_expect_eq(externals[1].at, 14);
    cr_expect_eq(externals[1].bytes, 3);
    static const uint8_t expected[] = { 9, 0, 0, 3, 0xe8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 4 };
    cr_expect(rl_slice_equal(rl_wr_written(&w), rl_slice_of(expected, sizeof expected)));

    rl_wr_records(&w, false, true, rl_slice_of("abc", 3));
    cr_expect_eq(rl_wr_done(&w), RL_EFULL, "more externals than the caller can take");
}

Test(writer, records_from_elsewhere_need_externals)
{
    uint8_t buffer[2000];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    rl_wr_records(&w, false, true, (struct rl_slice){ NULL, 1000 });
    cr_expect_eq(rl_wr_done(&w), RL_EINVAL);
}

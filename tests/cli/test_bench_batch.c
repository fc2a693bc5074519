/* tests/cli/test_bench_batch.c — the generator's batches are valid, and tell when they were sent. */
#include "cli/bench_batch.h"
#include "core/crc32c.h"
#include "wire/reader.h"
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

static int64_t read_at(const struct rl_bench_batch *b, size_t at, size_t bytes)
{
    struct rl_reader r = rl_rd_of(rl_slice_of(b->bytes + at, bytes));
    return bytes == 8 ? rl_rd_i64(&r) : bytes == 4 ? (int64_t)rl_rd_u32(&r) : rl_rd_i16(&r);
}

static void check_valid(const struct rl_bench_batch *b)
{
    cr_assert(eq(i64, read_at(b, 8, 4), (int64_t)b->size_bytes - 12), "length");
    cr_assert(eq(int, b->bytes[16], 2), "magic");
    cr_assert(eq(i64, read_at(b, 17, 4), (int64_t)rl_crc32c(0, b->bytes + 21, b->size_bytes - 21)), "CRC");
    cr_assert(eq(i64, read_at(b, 23, 4), (int64_t)b->record_count - 1), "last offset delta");
    cr_assert(eq(i64, read_at(b, 57, 4), (int64_t)b->record_count), "record count");
}

/* Walk all records; the sum of their values. */
static size_t walk_values(const struct rl_bench_batch *b, int32_t key_bytes)
{
    struct rl_reader r = rl_rd_of(rl_slice_of(b->bytes + 61, b->size_bytes - 61));
    size_t sum = 0;
    for (uint32_t i = 0; i < b->record_count; i++) {
        rl_rd_varint(&r);
        cr_assert(eq(int, rl_rd_i8(&r), 0));
        cr_assert(eq(i64, rl_rd_varlong(&r), 0));
        cr_assert(eq(int, rl_rd_varint(&r), (int)i));
        cr_assert(eq(int, rl_rd_varint(&r), key_bytes));
        if (key_bytes > 0)
            rl_rd_raw(&r, (size_t)key_bytes);
        int32_t value_bytes = rl_rd_varint(&r);
        rl_rd_raw(&r, (size_t)value_bytes);
        sum += (size_t)value_bytes;
        cr_assert(eq(int, rl_rd_varint(&r), 0));
    }
    cr_assert(eq(int, rl_rd_done(&r), RL_OK));
    return sum;
}

Test(bench_batch, fills_the_size_asked_and_not_more)
{
    static const size_t sizes[] = { 1000, 16384, 500000, 900000 };
    for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
        struct rl_bench_batch b;
        rl_bench_batch_init(&b, 100, sizes[i], 1234, false);
        check_valid(&b);
        cr_assert(le(sz, b.size_bytes, sizes[i]));
        cr_assert(gt(sz, b.size_bytes + 120, sizes[i]));
        cr_assert(eq(sz, b.value_bytes, 100 * (size_t)b.record_count));
        cr_assert(eq(sz, walk_values(&b, -1), b.value_bytes));
        rl_bench_batch_done(&b);
    }
}

Test(bench_batch, holds_one_record_however_small_the_batch)
{
    struct rl_bench_batch b;
    rl_bench_batch_init(&b, 1024, 1, 1234, false);
    cr_assert(eq(int, (int)b.record_count, 1));
    check_valid(&b);
    rl_bench_batch_done(&b);
}

Test(bench_batch, has_keys_when_asked)
{
    struct rl_bench_batch b;
    rl_bench_batch_init(&b, 100, 1000, 1234, true);
    check_valid(&b);
    cr_assert(eq(sz, walk_values(&b, 16), b.value_bytes));
    rl_bench_batch_done(&b);
}

Test(bench_batch, a_stamp_is_read_back_and_the_crc_stays_right)
{
    for (int keyed = 0; keyed < 2; keyed++) {
        struct rl_bench_batch b;
        rl_bench_batch_init(&b, 100, 2000, 1234, keyed);
        rl_bench_batch_stamp(&b, 987654321012345);
        check_valid(&b);
        int64_t stamp_ns, next_offset;
        uint32_t records;
        size_t bytes;
        cr_assert(rl_bench_batch_read(b.bytes, b.size_bytes, &stamp_ns, &records, &next_offset, &bytes));
        cr_assert(eq(i64, stamp_ns, 987654321012345));
        cr_assert(eq(int, (int)records, (int)b.record_count));
        cr_assert(eq(i64, next_offset, b.record_count));
        cr_assert(eq(sz, bytes, b.size_bytes));
        rl_bench_batch_done(&b);
    }
}

Test(bench_batch, a_batch_cut_anywhere_is_not_read)
{
    struct rl_bench_batch b;
    rl_bench_batch_init(&b, 20, 300, 1234, false);
    int64_t stamp_ns, next_offset;
    uint32_t records;
    size_t bytes;
    for (size_t cut = 0; cut < b.size_bytes; cut++)
        cr_assert(not(rl_bench_batch_read(b.bytes, cut, &stamp_ns, &records, &next_offset, &bytes)));
    rl_bench_batch_done(&b);
}

/* tests/core/test_numbers.c — checksums, random numbers, histograms. */
#include "core/crc32c.h"
#include "core/histogram.h"
#include "core/memory.h"
#include "core/random.h"
#include <criterion/criterion.h>
#include <string.h>

Test(crc32c, known_vectors)
{
    uint8_t data[32];

    cr_assert_eq(rl_crc32c(0, "123456789", 9), 0xe3069283u);
    cr_assert_eq(rl_crc32c(0, "", 0), 0);
    memset(data, 0, sizeof data);       /* RFC 3720 B.4 */
    cr_assert_eq(rl_crc32c(0, data, 32), 0x8a9136aau);
    memset(data, 255, sizeof data);
    cr_assert_eq(rl_crc32c(0, data, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    cr_assert_eq(rl_crc32c(0, data, 32), 0x46dd794eu);
}

Test(crc32c, fast_equals_table_and_chains_at_any_cut)
{
    enum { BYTES = 9000 };
    uint8_t *data = rl_alloc(BYTES);
    struct rl_random random;

    rl_random_init(&random, 1);
    rl_random_fill(&random, data, BYTES);
    for (int i = 0; i < 500; i++) {
        size_t at = rl_random_below(&random, 64);
        size_t bytes = rl_random_below(&random, i % 10 == 0 ? BYTES - 64 : 300);
        size_t cut = rl_random_below(&random, bytes + 1);
        uint32_t expected = rl_crc32c_table(0, data + at, bytes);
        cr_assert_eq(rl_crc32c(0, data + at, bytes), expected);
        uint32_t first = rl_crc32c(0, data + at, cut);
        cr_assert_eq(rl_crc32c(first, data + at + cut, bytes - cut), expected);
    }
    rl_free(data);
}

Test(random, same_seed_same_numbers)
{
    struct rl_random a, b, c;

    rl_random_init(&a, 0);
    rl_random_init(&b, 0);
    rl_random_init(&c, 1);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t number = rl_random_next(&a);
        cr_assert_eq(number, rl_random_next(&b));
        differs |= number != rl_random_next(&c);
    }
    cr_assert(differs);
}

Test(random, below_reaches_every_number_and_no_other)
{
    struct rl_random random;
    int seen[7] = { 0 };

    rl_random_init(&random, 5);
    for (int i = 0; i < 7000; i++)
        seen[rl_random_below(&random, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(seen[i] > 800 && seen[i] < 1200, "%d: %d", i, seen[i]);
    cr_assert_eq(rl_random_below(&random, 1), 0);
}

Test(histogram, small_values_are_exact)
{
    static struct rl_histogram h;

    cr_assert_eq(rl_histogram_percentile(&h, 50), 0);
    for (uint64_t i = 1; i <= 20; i++)
        rl_histogram_record(&h, i);
    cr_assert_eq(rl_histogram_percentile(&h, 0), 1);
    cr_assert_eq(rl_histogram_percentile(&h, 50), 10);
    cr_assert_eq(rl_histogram_percentile(&h, 95), 19);
    cr_assert_eq(rl_histogram_percentile(&h, 100), 20);
    cr_assert_eq(rl_histogram_count_up_to(&h, 7), 7);
    cr_assert_eq(h.sum, 210);
}

Test(histogram, large_values_are_within_a_thirtieth)
{
    static struct rl_histogram h, merged;

    for (uint64_t i = 1; i <= 100000; i++)
        rl_histogram_record(&h, i * 1000);
    rl_histogram_record(&merged, 5);
    rl_histogram_merge(&merged, &h);
    cr_assert_eq(merged.count, 100001);
    for (int percent = 1; percent <= 100; percent++) {
        double exact = percent * 1e6, got = (double)rl_histogram_percentile(&h, percent);
        cr_assert(got >= exact && got <= exact * 1.04, "%d: %f", percent, got);
    }
    rl_histogram_record(&h, UINT64_MAX);
    cr_assert_eq(rl_histogram_percentile(&h, 100), UINT64_MAX);
    cr_assert_eq(h.value_max, UINT64_MAX);
}

Test(histogram, every_value_lies_within_its_bucket)
{
    static struct rl_histogram h;

    for (uint64_t value = 1; value < (uint64_t)1 << RL_HISTOGRAM_VALUE_BITS; value = value * 9 / 8 + 1) {
        memset(&h, 0, sizeof h);
        rl_histogram_record(&h, value);
        rl_histogram_record(&h, UINT64_MAX);
        uint64_t got = rl_histogram_percentile(&h, 50);
        cr_assert(got >= value && got - value <= value / 32, "%lu: %lu", value, got);
    }
}

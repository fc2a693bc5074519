/* core/histogram.c — log-linear buckets.
 *
 * Values below 2^SUB_BITS have a bucket each.  Above, a value's highest bit chooses a group and
 * the next SUB_BITS bits a bucket of that group, so a bucket is at most 1/32 of its value wide. */
#include "core/histogram.h"

#define SUB_BITS RL_HISTOGRAM_SUB_BITS
#define SUB_COUNT (1u << SUB_BITS)

static uint32_t histogram_bucket(uint64_t value)
{
    if (value < SUB_COUNT)
        return (uint32_t)value;
    if (value >> RL_HISTOGRAM_VALUE_BITS != 0)
        return RL_HISTOGRAM_BUCKETS - 1;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (uint32_t)(value >> shift) - SUB_COUNT;
}

/* The largest value that falls into the bucket. */
static uint64_t histogram_bucket_end(uint32_t bucket)
{
    uint32_t group = bucket >> SUB_BITS;

    if (group == 0)
        return bucket;
    uint64_t first = (uint64_t)(SUB_COUNT + (bucket & (SUB_COUNT - 1))) << (group - 1);
    return first + ((uint64_t)1 << (group - 1)) - 1;
}

void rl_histogram_record(struct rl_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->value_max)
        histogram->value_max = value;
    histogram->buckets[histogram_bucket(value)]++;
}

void rl_histogram_merge(struct rl_histogram *to, const struct rl_histogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    to->value_max = RL_MAX(to->value_max, from->value_max);
    for (uint32_t i = 0; i < RL_HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

uint64_t rl_histogram_percentile(const struct rl_histogram *histogram, double percent)
{
    double share = percent < 0 ? 0 : percent > 100 ? 1 : percent / 100;
    double exact = share * (double)histogram->count;
    uint64_t wanted = (uint64_t)exact, seen = 0;

    if ((double)wanted < exact)
        wanted++;
    wanted = RL_MAX(wanted, 1);
    for (uint32_t i = 0; i < RL_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && i == RL_HISTOGRAM_BUCKETS - 1)
            return histogram->value_max;        /* that bucket has no upper end */
        if (seen >= wanted)
            return RL_MIN(histogram_bucket_end(i), histogram->value_max);
    }
    return histogram->value_max;
}

uint64_t rl_histogram_count_up_to(const struct rl_histogram *histogram, uint64_t value)
{
    uint32_t last = histogram_bucket(value);
    uint64_t count = 0;

    for (uint32_t i = 0; i <= last; i++)
        count += histogram->buckets[i];
    return count;
}

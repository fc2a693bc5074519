/* core/histogram.h — how often which value: fixed memory, about 3 % wide buckets. */
#ifndef RL_CORE_HISTOGRAM_H
#define RL_CORE_HISTOGRAM_H

#include "core/base.h"

#define RL_HISTOGRAM_SUB_BITS 5u        /* 32 buckets per power of two */
#define RL_HISTOGRAM_VALUE_BITS 42u     /* larger values count as the largest: 73 minutes in ns */
#define RL_HISTOGRAM_BUCKETS \
    ((RL_HISTOGRAM_VALUE_BITS - RL_HISTOGRAM_SUB_BITS + 1u) << RL_HISTOGRAM_SUB_BITS)

/* All zero is an empty histogram.  One thread writes; a reader elsewhere takes a copy on it. */
struct rl_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t value_max;                 /* exact */
    uint64_t buckets[RL_HISTOGRAM_BUCKETS];
};

/* Any unit; the same for all values of one histogram. */
void rl_histogram_record(struct rl_histogram *histogram, uint64_t value);
void rl_histogram_merge(struct rl_histogram *to, const struct rl_histogram *from);
/* The value that `percent` per cent of the recorded ones do not pass (upper end of its bucket,
 * never above value_max); 0 when nothing was recorded.  percent: 0 to 100. */
uint64_t rl_histogram_percentile(const struct rl_histogram *histogram, double percent);
/* How many recorded values are <= value, rounded up to whole buckets. */
uint64_t rl_histogram_count_up_to(const struct rl_histogram *histogram, uint64_t value);

#endif

/* tests/coordinate/test_committed_offsets.c — offsets by topic and partition, against a plain array. */
#include "coordinate/committed_offsets.h"
#include "core/random.h"
#include <criterion/criterion.h>

#define TOPICS 5
#define PARTITIONS 40                   /* some topics have a table at times, some have none */

static void against_an_array(uint64_t seed)
{
    static const char *const names[TOPICS] = { "a", "b", "topic", "", "zz" };
    int64_t model[TOPICS][PARTITIONS];
    struct rl_committed_offsets offsets;
    struct rl_random random;
    uint32_t count = 0;
    memset(model, -1, sizeof model);
    rl_random_init(&random, seed);
    rl_committed_offsets_init(&offsets, 3);
    for (int i = 0; i < 50000; i++) {
        uint32_t t = (uint32_t)rl_random_below(&random, TOPICS), p = (uint32_t)rl_random_below(&random, PARTITIONS);
        struct rl_slice topic = rl_slice_of_string(names[t]);
        if (rl_random_below(&random, 2) == 0) {
            struct rl_committed_offset value = { .offset = i, .metadata = rl_slice_of_string("m"), .expire_ms = -1 };
            rl_committed_offsets_put(&offsets, topic, (int32_t)p, &value);
            count += model[t][p] < 0;
            model[t][p] = i;
        } else {
            cr_assert_eq(rl_committed_offsets_remove(&offsets, topic, (int32_t)p), model[t][p] >= 0);
            count -= model[t][p] >= 0;
            model[t][p] = -1;
        }
        p = (uint32_t)rl_random_below(&random, PARTITIONS);
        const struct rl_committed_offset *found = rl_committed_offsets_find(&offsets, topic, (int32_t)p);
        cr_assert_eq(found != NULL ? found->offset : -1, model[t][p]);
        cr_assert_eq(offsets.count, count);
    }
    rl_committed_offsets_done(&offsets);
}

Test(committed_offsets, against_an_array)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        against_an_array(seed);
}

/* In falling order each used to move all before it; removed in rising order, too. */
Test(committed_offsets, a_hundred_thousand_partitions, .timeout = 20)
{
    enum { COUNT = 100000 };
    struct rl_committed_offsets offsets;
    struct rl_slice topic = rl_slice_of_string("t");
    rl_committed_offsets_init(&offsets, 3);
    for (int32_t p = COUNT; p-- > 0;)
        rl_committed_offsets_put(&offsets, topic, p, &(struct rl_committed_offset){ .offset = p * 2,
                                                                                    .metadata = topic });
    cr_assert_eq(offsets.count, COUNT);
    for (int32_t p = 0; p < COUNT; p++)
        cr_assert_eq(rl_committed_offsets_find(&offsets, topic, p)->offset, p * 2);
    for (int32_t p = 0; p < COUNT; p++)
        cr_assert(rl_committed_offsets_remove(&offsets, topic, p));
    cr_assert_eq(offsets.count, 0);
    cr_assert_null(rl_committed_offsets_topic(&offsets, topic));
    rl_committed_offsets_done(&offsets);
}

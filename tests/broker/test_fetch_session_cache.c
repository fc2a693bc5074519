/* tests/broker/test_fetch_session_cache.c — who gets a slot, who loses one, and what is counted.
 *
 * The rules are those of Kafka's FetchSessionCacheShard: a slot that was unused for two minutes is
 * anybody's; one that has lived so long, and is smaller, gives way to a larger one. */
#include "broker/fetch_session.h"
#include "net_fixture.h"
#include <criterion/criterion.h>

enum { SLOTS = 3, PARTITIONS_MAX = 10, HUGE_PARTITIONS = 20000 };
#define SECOND_NS INT64_C(1000000000)

static struct fixture f;
static struct rl_shard *shard;

static void cache_open(uint32_t shard_count, uint32_t index, uint32_t slots)
{
    struct rl_net_options options = fixture_options();
    fixture_start(&f, shard_count, &options);
    shard = rl_shard_set_get(f.set, index);
    rl_self = shard;
    rl_fetch_sessions_start(shard, slots);
}

static void cache_close(void)
{
    rl_fetch_sessions_stop(shard);
    rl_self = NULL;
    fixture_stop(&f);
}

/* A session over so many partitions of a topic that is not there: 0, there is no slot. */
static int32_t make(uint32_t count)
{
    static struct rl_fetch_entry entries[HUGE_PARTITIONS], *pointers[HUGE_PARTITIONS];
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct rl_fetch_entry){ .topic = rl_slice_of_string("none"), .partition_index = (int32_t)i,
                                              .error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION };
        pointers[i] = &entries[i];
    }
    return rl_fetch_sessions_make(shard, pointers, count, false);
}

static bool lives(int32_t id)
{
    return rl_fetch_sessions_find(shard, id) != NULL;
}

static void touch(int32_t id)
{
    rl_fetch_sessions_touch(rl_fetch_sessions_find(shard, id));
}

static void pass(int64_t seconds)
{
    shard->now_ns += seconds * SECOND_NS;
}

Test(fetch_session_cache, young_sessions_keep_their_slots)
{
    int32_t ids[SLOTS];
    cache_open(1, 0, SLOTS);
    for (int i = 0; i < SLOTS; i++) {
        ids[i] = make(2);
        cr_assert_gt(ids[i], 0);
        pass(10);
    }
    cr_assert_eq(make(PARTITIONS_MAX), 0, "however large");
    for (int i = 0; i < SLOTS; i++)
        cr_assert(lives(ids[i]));
    cr_assert_eq(rl_fetch_sessions_count(shard).evictions, 0);
    cache_close();
}

Test(fetch_session_cache, an_unused_slot_is_anybodys)
{
    cache_open(1, 0, SLOTS);
    int32_t large = make(PARTITIONS_MAX), small = make(1), other = make(2);
    pass(100);
    touch(small);
    pass(20);
    cr_assert_eq(make(1), 0, "not longer than two minutes");
    pass(1);
    cr_assert_gt(make(1), 0);
    cr_assert(!lives(large), "the least recently used one");
    cr_assert(lives(small) && lives(other));
    cr_assert_eq(rl_fetch_sessions_count(shard).evictions, 1);
    cache_close();
}

Test(fetch_session_cache, an_old_slot_gives_way_to_a_larger_one)
{
    cache_open(1, 0, SLOTS);
    int32_t one = make(1), three = make(3), five = make(5);
    for (int i = 0; i < 3; i++) {       /* all used, and older than two minutes */
        pass(60);
        touch(one);
        touch(three);
        touch(five);
    }
    cr_assert_eq(make(1), 0, "as large is not larger");
    cr_assert(lives(one));
    int32_t two = make(2);
    cr_assert_gt(two, 0);
    cr_assert(!lives(one) && lives(three) && lives(five));
    int32_t four = make(4);             /* the young one is safe, though smaller */
    cr_assert_gt(four, 0);
    cr_assert(lives(two) && !lives(three) && lives(five));
    cr_assert_eq(make(5), 0);
    cache_close();
}

Test(fetch_session_cache, nobody_gives_way_to_a_session_that_does_not_fit)
{
    cache_open(16, 0, 16);              /* one slot on this shard, and 4 MiB */
    int32_t small = make(1);
    pass(200);
    cr_assert_eq(make(HUGE_PARTITIONS), 0, "it takes more than half of the memory");
    cr_assert(lives(small));
    cr_assert_eq(rl_fetch_sessions_count(shard).evictions, 0);
    cr_assert_gt(make(2), 0);
    cr_assert(!lives(small));
    cache_close();
}

Test(fetch_session_cache, slots_are_divided_and_ids_tell_the_shard)
{
    for (uint32_t index = 0; index < 4; index++) {
        cache_open(4, index, 6);        /* 2, 2, 1, 1 */
        uint32_t made = 0;
        for (int i = 0; i < 4; i++) {
            int32_t id = make(1);
            cr_assert(id == 0 || (id & 127) == (int32_t)index);
            made += id != 0;
        }
        cr_assert_eq(made, index < 2 ? 2 : 1);
        cache_close();
    }
}

Test(fetch_session_cache, what_is_there_is_counted)
{
    cache_open(1, 0, SLOTS);
    cr_assert_eq(rl_fetch_sessions_count(shard).bytes, 0);
    int32_t small = make(1);
    size_t bytes = rl_fetch_sessions_count(shard).bytes;
    int32_t large = make(PARTITIONS_MAX);
    struct rl_fetch_session_counts counts = rl_fetch_sessions_count(shard);
    cr_assert_eq(counts.sessions, 2);
    cr_assert_eq(counts.partitions, 1 + PARTITIONS_MAX);
    cr_assert_gt(counts.bytes, 2 * bytes);
    rl_fetch_sessions_close(rl_fetch_sessions_find(shard, large));
    cr_assert_eq(rl_fetch_sessions_count(shard).bytes, bytes);
    rl_fetch_sessions_close(rl_fetch_sessions_find(shard, small));
    counts = rl_fetch_sessions_count(shard);
    cr_assert_eq(counts.sessions, 0);
    cr_assert_eq(counts.bytes, 0);
    cache_close();
}

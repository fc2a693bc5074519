/* tests/coordinate/test_group_lag.c — how far groups are behind, over real logs. */
#include "coordinator_rig.h"
#include "coordinate/group_lag.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"
#include "tests/log/log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define LAGS_MAX 4096
#define SECOND_NS ((int64_t)1000000000)

static struct told {
    struct rl_lag lags[LAGS_MAX];
    char groups[LAGS_MAX][32];
    uint32_t count, pieces;
    bool done;
} told;

static void on_lags(struct rl_lag_walk *walk, const struct rl_lag *lags, uint32_t count)
{
    (void)walk;
    cr_assert(!told.done);
    told.pieces++;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_lt(told.count, LAGS_MAX);
        cr_assert(rl_slice_equal(lags[i].topic, text("t")));
        snprintf(told.groups[told.count], sizeof told.groups[0], "%.*s", (int)lags[i].group_id.bytes,
                 (const char *)lags[i].group_id.data);
        told.lags[told.count++] = lags[i];
    }
}

static void on_walked(struct rl_lag_walk *walk)
{
    (void)walk;
    told.done = true;
}

/* All groups, or one. */
static enum rl_group_error walk(const char *group)
{
    struct rl_lag_walk call = { .group_id = group != NULL ? text(group) : (struct rl_slice){ 0 },
                                .each = on_lags, .done = on_walked };
    memset(&told, 0, sizeof told);
    rl_lag_walk(rig.shard, &call);
    cr_assert(!told.done);
    settle();
    cr_assert(told.done);
    return call.error;
}

static const struct rl_lag *lag_of(const char *group, int32_t partition)
{
    for (uint32_t i = 0; i < told.count; i++)
        if (strcmp(told.groups[i], group) == 0 && told.lags[i].partition == partition)
            return &told.lags[i];
    return NULL;
}

static void expect(const char *group, int32_t partition, int64_t records, int64_t unread_ms)
{
    const struct rl_lag *lag = lag_of(group, partition);
    cr_assert_not_null(lag, "%s %d", group, partition);
    cr_assert(lag->known);
    cr_assert_eq(lag->records, records, "%s %d: %lld records", group, partition, (long long)lag->records);
    cr_assert_eq(lag->unread_ms, unread_ms, "%s %d: %lld ms", group, partition, (long long)lag->unread_ms);
}

static struct rl_partition *read_partition(int32_t partition)
{
    return rl_replica_manager_find(rig.shard, rig.read_topic.id, partition);
}

static void on_produced(struct rl_partition_append *append)
{
    cr_assert_eq(append->status, RL_OK);
    *(bool *)append->arg = true;
}

/* Records of a producer whose clock stands in 1970. */
static void produce(int32_t partition, int32_t records)
{
    size_t bytes;
    bool produced = false;
    struct batch_spec spec = { .records = records, .value_bytes = 10 };
    uint8_t *data = build_batch(&spec, &bytes);
    struct rl_batch batch;
    cr_assert_eq(rl_batch_read_header(data, bytes, &batch), RL_OK);
    struct rl_partition_append append = { .batch = &batch, .acks = 1, .done = on_produced, .arg = &produced };
    cr_assert_eq(rl_partition_append(read_partition(partition), &append), RL_OK);
    settle();
    cr_assert(produced);
    rl_free(data);
}

static void pass(int64_t seconds)
{
    rl_mem_advance(rig.mem, seconds * SECOND_NS);
    settle();
}

static void on_trimmed(struct rl_log_trim *trim)
{
    *(bool *)trim->arg = true;
}

static void delete_before(int32_t partition, int64_t offset)
{
    bool trimmed = false;
    struct rl_log_trim trim = { .offset = offset, .done = on_trimmed, .arg = &trimmed };
    rl_log_trim(read_partition(partition)->log, &trim);
    settle();
    cr_assert(trimmed);
    cr_assert_eq(trim.status, RL_OK);
}

Test(group_lag, records_and_time_of_the_oldest_unread)
{
    rig_start_reading(3);
    produce(0, 10);
    pass(30);
    produce(0, 5);
    pass(10);
    cr_assert_eq(commit("behind", 0, 4), RL_GROUP_OK);
    cr_assert_eq(commit("middle", 0, 10), RL_GROUP_OK);
    cr_assert_eq(commit("at the end", 0, 15), RL_GROUP_OK);
    cr_assert_eq(commit("beyond", 0, 20), RL_GROUP_OK);
    cr_assert_eq(commit("of an empty one", 1, 0), RL_GROUP_OK);
    cr_assert_eq(commit("absurd", 0, INT64_MIN), RL_GROUP_OK);
    cr_assert_eq(walk(NULL), RL_GROUP_OK);
    cr_assert_eq(told.count, 6);
    expect("absurd", 0, 15, 40000);
    expect("behind", 0, 11, 40000);
    expect("middle", 0, 5, 10000);
    expect("at the end", 0, 0, 0);
    expect("beyond", 0, -5, 0);
    expect("of an empty one", 1, 0, 0);
    cr_assert_eq(lag_of("behind", 0)->high_watermark, 15);
    cr_assert_eq(lag_of("behind", 0)->committed_offset, 4);
    rig_stop();
}

/* Deleted records count, as Kafka's tools count them; the time is that of the oldest that is left. */
Test(group_lag, records_that_are_deleted_unread)
{
    rig_start_reading(1);
    produce(0, 10);
    pass(30);
    produce(0, 5);
    pass(10);
    cr_assert_eq(commit("g", 0, 2), RL_GROUP_OK);
    delete_before(0, 10);
    cr_assert_eq(walk("g"), RL_GROUP_OK);
    expect("g", 0, 13, 10000);
    cr_assert_eq(lag_of("g", 0)->log_start_offset, 10);
    delete_before(0, 15);
    cr_assert_eq(walk("g"), RL_GROUP_OK);
    expect("g", 0, 13, 0);
    rig_stop();
}

Test(group_lag, partitions_that_are_not_there)
{
    rig_start_reading(2);
    cr_assert_eq(commit("g", 1, 0), RL_GROUP_OK);
    cr_assert_eq(commit("g", 7, 3), RL_GROUP_OK);
    cr_assert_eq(walk("g"), RL_GROUP_OK);
    cr_assert_eq(told.count, 2);
    expect("g", 1, 0, 0);
    cr_assert_not(lag_of("g", 7)->known);
    cr_assert_eq(lag_of("g", 7)->records, -1);
    cr_assert_eq(lag_of("g", 7)->unread_ms, -1);
    cr_assert_eq(walk("nobody"), RL_GROUP_OK);
    cr_assert_eq(told.count, 0);
    rig_stop();
}

/* Many groups and a large one: every row once, in pieces. */
Test(group_lag, many_groups_come_in_pieces)
{
    rig_start_reading(4);
    produce(2, 7);
    for (int g = 0; g < 300; g++) {
        char group[16];
        snprintf(group, sizeof group, "g%d", g);
        cr_assert_eq(commit(group, 2, g % 7), RL_GROUP_OK);
    }
    for (int32_t partition = 0; partition < 1200; partition++)
        cr_assert_eq(commit("large", partition, 1), RL_GROUP_OK);
    cr_assert_eq(walk(NULL), RL_GROUP_OK);
    cr_assert_eq(told.count, 1500);
    cr_assert_geq(told.pieces, 4);
    for (int g = 0; g < 300; g++) {
        char group[16];
        snprintf(group, sizeof group, "g%d", g);
        cr_assert_eq(lag_of(group, 2)->records, 7 - g % 7);
    }
    for (int32_t partition = 0; partition < 1200; partition++)
        cr_assert_eq(lag_of("large", partition)->known, partition < 4);
    rig_stop();
}

/* Groups that are read just now are told to be missing; a stop ends a walk. */
Test(group_lag, loading_and_stopping)
{
    rig_start_reading(1);
    cr_assert_eq(commit("g", 0, 0), RL_GROUP_OK);
    struct rl_groups *groups;
    rig.topic.leader_epoch++;
    for (int32_t i = 0; i < 2; i++)
        rl_partition_raise_epoch(rl_replica_manager_find(rig.shard, rig.topic.id, i), rig.topic.leader_epoch);
    cr_assert_eq(rl_coordinator_find(rig.shard, text("g"), &groups), RL_GROUP_LOADING);
    cr_assert_eq(walk(NULL), RL_GROUP_LOADING);
    cr_assert_eq(walk(NULL), RL_GROUP_OK);
    cr_assert_eq(told.count, 1);
    struct rl_lag_walk call = { .each = on_lags, .done = on_walked };
    memset(&told, 0, sizeof told);
    rl_lag_walk(rig.shard, &call);
    rl_coordinator_stop_serving(rig.shard);
    settle();
    cr_assert(told.done);
    cr_assert_eq(call.error, RL_GROUP_NOT_COORDINATOR);
    cr_assert_eq(told.count, 0);
    rig_stop();
}

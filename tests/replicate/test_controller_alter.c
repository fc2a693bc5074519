/* tests/replicate/test_controller_alter.c — what is changed after it was made: partitions added,
 * overrides of topics, brokers and groups; on one shard and on four, and with the power cut at
 * every call. */
#include "controller_fixture.h"
#include "core/memory.h"
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#define BOTH_SHARD_COUNTS(name) \
    ParameterizedTestParameters(controller_alter, name) \
    { \
        static uint32_t shards[] = { 1, 4 }; \
        return cr_make_param_array(uint32_t, shards, RL_ARRAY_COUNT(shards)); \
    } \
    ParameterizedTest(uint32_t *shards, controller_alter, name)

/* An edit: one key gets a value, or (value NULL) is deleted, or everything is refused. */
struct change {
    const char *key, *value;
    bool refuse;
    uint32_t seen;                      /* overrides that were there */
};

static rl_status edit(void *arg, const struct rl_topic_override *now, uint32_t count,
                      struct rl_topic_override **ret_overrides, uint32_t *ret_count, char *reason,
                      size_t bytes)
{
    struct change *change = arg;
    change->seen = count;
    if (change->refuse) {
        snprintf(reason, bytes, "no");
        return RL_EINVAL;
    }
    struct rl_topic_override *made = rl_alloc_zero(count + 1, sizeof *made);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(now[i].key, change->key) != 0)
            made[kept++] = now[i];
    if (change->value != NULL)
        made[kept++] = (struct rl_topic_override){ change->key, change->value };
    *ret_overrides = made;
    *ret_count = kept;
    return RL_OK;
}

static struct rl_alter grow(const char *name, int32_t partitions)
{
    return (struct rl_alter){ .target = RL_ALTER_TOPIC, .name = rl_slice_of_string(name),
                              .grow = true, .partition_count = partitions };
}

static struct rl_alter set(enum rl_alter_target target, const char *name, struct change *change)
{
    return (struct rl_alter){ .target = target, .name = rl_slice_of_string(name), .edit = edit,
                              .edit_arg = change };
}

static rl_status set_now(enum rl_alter_target target, const char *name, const char *key,
                         const char *value)
{
    struct change change = { .key = key, .value = value };
    return fixture_alter(0, set(target, name, &change)).status;
}

static void expect_refused(struct rl_alter call, rl_status status, const char *reason)
{
    cr_assert_eq(call.status, status, "%s", rl_status_name(call.status));
    cr_assert_str_eq(call.reason, reason);
}

static void expect_topic(const char *name, int32_t partitions, uint32_t overrides)
{
    for (uint32_t s = 0; s < fixture.rig.shard_count; s++) {
        const struct rl_topic *topic = fixture_find(s, name);
        cr_assert_not_null(topic);
        cr_assert_eq(topic->partition_count, partitions);
        cr_assert_eq(topic->state, RL_TOPIC_ONLINE);
        cr_assert_eq(topic->override_count, overrides);
    }
}

static const struct fixture_settings *settings(uint32_t shard)
{
    return fixture_image(shard)->settings;
}

/* ---- partitions ---- */

BOTH_SHARD_COUNTS(partitions_are_added_and_last)
{
    fixture_init(*shards, 1);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 2).status, RL_OK);
    struct rl_uuid id = fixture_find(0, "t")->id;
    fixture.creating = 0;
    cr_assert_eq(fixture_alter(*shards - 1, grow("t", 5)).status, RL_OK);
    cr_assert_eq(fixture.creating, 3);                  /* those that were there are not touched */
    for (int restarted = 0; restarted < 2; restarted++) {
        expect_topic("t", 5, 0);
        cr_assert(rl_uuid_equal(fixture_find(0, "t")->id, id));
        cr_assert_eq(fixture_directory_count(), 5);
        fixture_stop();
        fixture_start(false, 0);
    }
    cr_assert_eq(fixture.missing, 0);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(partitions_refused_in_kafkas_words)
{
    fixture_init(*shards, 2);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 2).status, RL_OK);
    expect_refused(fixture_alter(0, grow("t", 2)), RL_ERANGE, "Topic already has 2 partition(s).");
    expect_refused(fixture_alter(0, grow("t", 1)), RL_ERANGE, "The topic t currently has 2 "
                   "partition(s); 1 would not be an increase.");
    cr_assert_eq(fixture_alter(0, grow("t", RL_TOPIC_PARTITIONS_MAX + 1)).status, RL_ETOOLARGE);
    cr_assert_eq(fixture_alter(0, grow("nope", 3)).status, RL_ENOTFOUND);
    struct rl_alter call = grow("t", 3);
    call.validate_only = true;
    cr_assert_eq(fixture_alter(0, call).status, RL_OK);
    expect_topic("t", 2, 0);
    cr_assert_eq(fixture_directory_count(), 2);
    fixture_stop();
    fixture_done();
}

/* ---- overrides ---- */

BOTH_SHARD_COUNTS(a_topics_overrides_change_at_once_and_last)
{
    fixture_init(*shards, 3);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 1).status, RL_OK);
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "t", "b", "1"), RL_OK);
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "t", "a", "2"), RL_OK);
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "t", "b", "3"), RL_OK);
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "nope", "b", "3"), RL_ENOTFOUND);
    for (int restarted = 0; restarted < 2; restarted++) {
        const struct rl_topic *topic = fixture_find(*shards - 1, "t");
        expect_topic("t", 1, 2);
        cr_assert_str_eq(topic->overrides[0].key, "a");
        cr_assert_str_eq(topic->overrides[0].value, "2");
        cr_assert_str_eq(topic->overrides[1].key, "b");
        cr_assert_str_eq(topic->overrides[1].value, "3");
        cr_assert_eq(topic->config.max_message_bytes, 1002);
        fixture_stop();
        fixture_start(false, 0);
    }
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "t", "a", NULL), RL_OK);
    expect_topic("t", 1, 1);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(what_is_refused_or_only_tried_changes_nothing)
{
    struct change refused = { .key = "a", .value = "1", .refuse = true };
    struct change tried = { .key = "a", .value = "1" }, bad = { .key = "a", .value = "\xff" };
    fixture_init(*shards, 4);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 1).status, RL_OK);
    expect_refused(fixture_alter(0, set(RL_ALTER_TOPIC, "t", &refused)), RL_EINVAL, "no");
    cr_assert_eq(fixture_alter(0, set(RL_ALTER_TOPIC, "t", &bad)).status, RL_EINVAL);
    cr_assert_eq(fixture_alter(0, set(RL_ALTER_BROKER, "1", &bad)).status, RL_EINVAL);
    struct rl_alter call = set(RL_ALTER_TOPIC, "t", &tried);
    call.validate_only = true;
    cr_assert_eq(fixture_alter(0, call).status, RL_OK);
    call = set(RL_ALTER_BROKER, "", &tried);
    call.validate_only = true;
    cr_assert_eq(fixture_alter(0, call).status, RL_OK);
    expect_topic("t", 1, 0);
    cr_assert_eq(settings(0)->overrides, 0);
    fixture_stop();
    fixture_done();
}

/* Two calls at a time never undo each other's work: the second edits what the first has made. */
BOTH_SHARD_COUNTS(calls_for_one_topic_run_in_order)
{
    struct change a = { .key = "a", .value = "1" }, b = { .key = "b", .value = "2" };
    struct rl_alter first = set(RL_ALTER_TOPIC, "t", &a), second = set(RL_ALTER_TOPIC, "t", &b);
    struct rl_alter third = grow("t", 4);
    struct rl_delete_topic last = { .name = rl_slice_of_string("t") };
    uint32_t answered = 0;
    fixture_init(*shards, 5);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 2).status, RL_OK);
    fixture_post_alter(0, &first, &answered);
    fixture_post_alter(0, &second, &answered);
    fixture_post_alter(0, &third, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 3);
    cr_assert(first.status == RL_OK && second.status == RL_OK && third.status == RL_OK);
    cr_assert_eq(b.seen, 1);
    expect_topic("t", 4, 2);

    /* A deletion comes after the changes that were asked for before it; later ones find nothing. */
    fixture_post_alter(0, &first, &answered);
    fixture_post_delete(0, &last, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 5);
    cr_assert_eq(last.status, RL_OK);
    cr_assert_eq(set_now(RL_ALTER_TOPIC, "t", "a", "5"), RL_ENOTFOUND);
    fixture_stop();
    fixture_done();
}

/* ---- brokers and groups ---- */

BOTH_SHARD_COUNTS(settings_reach_every_shard_and_last)
{
    fixture_init(*shards, 6);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 1).status, RL_OK);
    cr_assert_eq(set_now(RL_ALTER_GROUP, "g / \"h\"", "y", "1"), RL_OK);
    fixture.settings_applied = 0;
    cr_assert_eq(set_now(RL_ALTER_BROKER, "", "x", "1"), RL_OK);
    cr_assert_eq(fixture.settings_applied, *shards);
    cr_assert_eq(set_now(RL_ALTER_BROKER, "7", "x", "1"), RL_OK);
    for (int restarted = 0; restarted < 2; restarted++) {
        for (uint32_t s = 0; s < *shards; s++) {
            cr_assert_eq(settings(s)->resources, 3);
            cr_assert_eq(settings(s)->overrides, 3);
            cr_assert_eq(fixture_find(s, "t")->config.max_message_bytes, 4000);
        }
        cr_assert_eq(fixture.settings_alive, 1);        /* the old ones are gone */
        fixture_stop();
        fixture_start(false, 0);
    }
    /* A resource without overrides is none. */
    cr_assert_eq(set_now(RL_ALTER_GROUP, "g / \"h\"", "y", NULL), RL_OK);
    cr_assert_eq(settings(0)->resources, 2);
    fixture_stop();
    fixture_done();
}

/* ---- power cuts everywhere ---- */

struct outcome {
    int32_t partitions;
    uint32_t topic_overrides, broker_overrides;
};

/* One change; what it leads to, and whether it was answered well. */
static bool step(uint32_t i, uint32_t shards, struct outcome *outcome)
{
    rl_status status;
    if (i % 3 == 0) {
        outcome->partitions++;
        status = fixture_alter(i % shards, grow("t", outcome->partitions)).status;
    } else if (i % 3 == 1) {
        outcome->topic_overrides++;
        status = set_now(RL_ALTER_TOPIC, "t", i == 1 ? "a" : "b", "1");
    } else {
        outcome->broker_overrides++;
        status = set_now(RL_ALTER_BROKER, "1", i == 2 ? "a" : "b", "1");
    }
    cr_assert(status == RL_OK || fixture.rig.cut, "%s", rl_status_name(status));
    return status == RL_OK;
}

/* Changes come one after another: what is there now is what was answered, or one step more. */
static bool cut_once(uint32_t shards, uint32_t cut_at)
{
    struct outcome sure = { .partitions = 1 }, tried;
    fixture_init(shards, 1000 + cut_at);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "t", 1).status, RL_OK);
    fixture_stop();
    fixture_start(false, cut_at);
    tried = sure;
    for (uint32_t i = 0; i < 6 && fixture.status == RL_OK && step(i, shards, &tried); i++)
        sure = tried;
    bool cut = fixture.rig.cut;
    fixture_power_cut();

    fixture.missing = 0;
    fixture_start(true, 0);
    cr_assert_eq(fixture.status, RL_OK, "cut at %u: %s", cut_at, rl_status_name(fixture.status));
    cr_assert_eq(fixture.missing, 0, "cut at %u: a partition without its directory", cut_at);
    const struct rl_topic *topic = fixture_find(0, "t");
    cr_assert_not_null(topic);
    cr_assert(topic->partition_count == sure.partitions ||
              topic->partition_count == tried.partitions, "cut at %u", cut_at);
    cr_assert(topic->override_count == sure.topic_overrides ||
              topic->override_count == tried.topic_overrides, "cut at %u", cut_at);
    cr_assert(settings(0)->overrides == sure.broker_overrides ||
              settings(0)->overrides == tried.broker_overrides, "cut at %u", cut_at);
    expect_topic("t", topic->partition_count, topic->override_count);
    cr_assert_eq((int32_t)fixture_directory_count(), topic->partition_count, "cut at %u", cut_at);
    uint32_t overrides = topic->override_count;
    cr_assert_eq(fixture_alter(0, grow("t", 9)).status, RL_OK);
    expect_topic("t", 9, overrides);
    fixture_stop();
    fixture_done();
    return cut;
}

BOTH_SHARD_COUNTS(power_cut_at_every_call)
{
    uint32_t cut_at = 1;
    while (cut_once(*shards, cut_at))
        cut_at++;
    cr_assert_gt(cut_at, 15);
}

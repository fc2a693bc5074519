/* tests/replicate/test_controller.c — topics made, found and deleted, on one shard and on four. */
#include "controller_fixture.h"
#include "core/memory.h"
#include "replicate/metadata_store.h"
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>

#define BOTH_SHARD_COUNTS(name) \
    ParameterizedTestParameters(controller, name) \
    { \
        static uint32_t shards[] = { 1, 4 }; \
        return cr_make_param_array(uint32_t, shards, RL_ARRAY_COUNT(shards)); \
    } \
    ParameterizedTest(uint32_t *shards, controller, name)

/* Every shard sees the topic like this. */
static void expect_topic(const char *name, int32_t partitions, int32_t leader_epoch)
{
    for (uint32_t s = 0; s < fixture.rig.shard_count; s++) {
        const struct rl_topic *topic = fixture_find(s, name);
        cr_assert_not_null(topic, "%s on shard %u", name, s);
        cr_assert_eq(topic->partition_count, partitions);
        cr_assert_eq(topic->leader_epoch, leader_epoch);
        cr_assert_eq(topic->state, RL_TOPIC_ONLINE);
    }
}

static void expect_no_topic(const char *name)
{
    for (uint32_t s = 0; s < fixture.rig.shard_count; s++)
        cr_assert_null(fixture_find(s, name), "%s on shard %u", name, s);
}

static void expect_refused(struct rl_create_topic call, rl_status status, const char *reason)
{
    cr_assert_eq(call.status, status, "%s", rl_status_name(call.status));
    cr_assert_str_eq(call.reason, reason);
    cr_assert(rl_uuid_is_zero(call.topic_id));
}

BOTH_SHARD_COUNTS(create_find_delete)
{
    uint32_t last = *shards - 1;
    fixture_init(*shards, 1);
    fixture_start(false, 0);
    cr_assert_eq(fixture.status, RL_OK);
    expect_no_topic("a");

    struct rl_create_topic a = fixture_create(last, "a", 3);
    cr_assert_eq(a.status, RL_OK);
    cr_assert_eq(a.topic_id.bytes[6] >> 4, 4);          /* a random UUID, version 4 */
    cr_assert_eq(a.topic_id.bytes[8] >> 6, 2);
    expect_topic("a", 3, 0);
    cr_assert_eq(fixture_directory_count(), 3);
    cr_assert(rl_uuid_equal(fixture_find(last, "a")->id, a.topic_id));
    struct rl_create_topic b = fixture_create(0, "b.b", 1);
    cr_assert_eq(b.status, RL_OK);
    cr_assert(!rl_uuid_equal(a.topic_id, b.topic_id));

    cr_assert_eq(fixture_delete(last, "nothing"), RL_ENOTFOUND);
    cr_assert_eq(fixture_delete_id(last, (struct rl_uuid){ { 1 } }), RL_ENOTFOUND);
    cr_assert_eq(fixture_delete(last, "a"), RL_OK);
    expect_no_topic("a");
    expect_topic("b.b", 1, 0);
    cr_assert_eq(fixture_directory_count(), 1);
    cr_assert_eq(fixture_delete(0, "a"), RL_ENOTFOUND);
    cr_assert_eq(fixture_delete_id(0, a.topic_id), RL_ENOTFOUND);

    struct rl_create_topic again = fixture_create(0, "a", 2);
    cr_assert_eq(again.status, RL_OK);
    cr_assert(!rl_uuid_equal(a.topic_id, again.topic_id));
    cr_assert_eq(fixture_delete_id(0, again.topic_id), RL_OK);
    fixture_stop();

    fixture.creating = 0;
    fixture_start(false, 0);
    cr_assert_eq(fixture.creating, 0);                  /* it was stored that they are ONLINE */
    expect_no_topic("a");
    expect_topic("b.b", 1, 0);
    cr_assert(rl_uuid_equal(fixture_find(last, "b.b")->id, b.topic_id));
    cr_assert_eq(fixture.missing, 0);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(refusals_in_kafkas_words)
{
    fixture_init(*shards, 2);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "my.topic", 1).status, RL_OK);
    expect_refused(fixture_create(0, "my.topic", 0), RL_EEXIST,
                   "Topic 'my.topic' already exists.");
    expect_refused(fixture_create(0, "my_topic", 1), RL_EINVAL,
                   "Topic 'my_topic' collides with existing topic: my.topic");
    expect_refused(fixture_create(0, ".", 1), RL_EINVAL,
                   "Topic name is invalid: '.' is not allowed");
    expect_refused(fixture_create(0, "a b", 1), RL_EINVAL,
                   "Topic name is invalid: 'a b' contains one or more characters other than ASCII"
                   " alphanumerics, '.', '_' and '-'");
    expect_refused(fixture_create(0, "p", 0), RL_ERANGE,
                   "Number of partitions was set to an invalid non-positive value.");
    expect_refused(fixture_create(0, "p", -2), RL_ERANGE,
                   "Number of partitions was set to an invalid non-positive value.");
    expect_refused(fixture_create(0, "p", RL_TOPIC_PARTITIONS_MAX + 1), RL_ETOOLARGE,
                   "Excessively large number of partitions per request.");
    cr_assert_eq(fixture_image(0)->topic_count, 1);

    /* The longest names there are fit the sentence. */
    char name[250], other[250], text[600];
    memset(name, '_', sizeof name);
    memset(other, '.', sizeof other);
    name[249] = other[249] = '\0';
    cr_assert_eq(fixture_create(0, name, 1).status, RL_OK);
    snprintf(text, sizeof text, "Topic '%s' collides with existing topic: %s", other, name);
    text[sizeof ((struct rl_create_topic *)0)->reason - 1] = '\0';
    expect_refused(fixture_create(0, other, 1), RL_EINVAL, text);
    /* A deleted name is in nobody's way. */
    cr_assert_eq(fixture_delete(0, name), RL_OK);
    cr_assert_eq(fixture_create(0, other, 1).status, RL_OK);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(validate_only_changes_nothing)
{
    fixture_init(*shards, 3);
    fixture_start(false, 0);
    uint32_t answered = 0, syncs = (uint32_t)rl_mem_disk_calls(fixture.rig.disk, RL_MEM_SYNC);
    struct rl_create_topic call = { .name = rl_slice_of_string("v"), .partition_count = 1,
                                    .validate_only = true };
    fixture_post_create(0, &call, &answered);
    rig_run(&fixture.rig);
    cr_assert(answered == 1 && call.status == RL_OK && rl_uuid_is_zero(call.topic_id));
    expect_no_topic("v");
    cr_assert_eq(rl_mem_disk_calls(fixture.rig.disk, RL_MEM_SYNC), syncs);
    cr_assert_eq(fixture_create(0, "v", 1).status, RL_OK);
    fixture_post_create(0, &call, &answered);
    rig_run(&fixture.rig);
    expect_refused(call, RL_EEXIST, "Topic 'v' already exists.");
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(overrides_are_kept)
{
    const struct rl_topic_override overrides[] = { { "retention.ms", "1000" },
                                                   { "cleanup.policy", "compact,\"\\\n\xc3\xa4" } };
    const struct rl_topic_override bad[] = { { "retention.ms", "\xff" } };
    uint32_t answered = 0;
    fixture_init(*shards, 4);
    fixture_start(false, 0);
    struct rl_create_topic call = { .name = rl_slice_of_string("o"), .partition_count = 1,
                                    .overrides = overrides, .override_count = 2 };
    fixture_post_create(*shards - 1, &call, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(call.status, RL_OK);
    struct rl_create_topic other = { .name = rl_slice_of_string("bad"), .partition_count = 1,
                                     .overrides = bad, .override_count = 1 };
    fixture_post_create(0, &other, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(other.status, RL_EINVAL);
    cr_assert_eq(answered, 2);

    for (int restarted = 0; restarted < 2; restarted++) {
        const struct rl_topic *topic = fixture_find(*shards - 1, "o");
        cr_assert_eq(topic->override_count, 2);
        cr_assert_str_eq(topic->overrides[0].key, "cleanup.policy");    /* sorted */
        cr_assert_str_eq(topic->overrides[0].value, overrides[1].value);
        cr_assert_str_eq(topic->overrides[1].key, "retention.ms");
        cr_assert_str_eq(topic->overrides[1].value, "1000");
        cr_assert_eq(topic->config.max_message_bytes, 1002);
        expect_no_topic("bad");
        fixture_stop();
        fixture_start(false, 0);
    }
    fixture_stop();
    fixture_done();
}

/* ---- many at a time ---- */

#define MANY 300

BOTH_SHARD_COUNTS(many_creates_share_syncs_and_images)
{
    static struct rl_create_topic creates[MANY];
    static struct rl_delete_topic deletes[MANY];
    static char names[MANY][16];
    uint32_t answered = 0;
    fixture_init(*shards, 5);
    fixture_start(false, 0);
    uint64_t syncs = rl_mem_disk_calls(fixture.rig.disk, RL_MEM_SYNC);
    uint32_t applies = fixture.applies;
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "t-%u", i * 7919 % MANY);
        creates[i] = (struct rl_create_topic){ .name = rl_slice_of_string(names[i]),
                                               .partition_count = 2 };
        fixture_post_create(i % *shards, &creates[i], &answered);
    }
    rig_run(&fixture.rig);
    cr_assert_eq(answered, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        cr_assert_eq(creates[i].status, RL_OK);
        cr_assert_eq(creates[i].reason[0], '\0');
        expect_topic(names[i], 2, 0);
    }
    cr_assert_lt(rl_mem_disk_calls(fixture.rig.disk, RL_MEM_SYNC) - syncs, 40);
    cr_assert_lt(fixture.applies - applies, 40 * *shards);
    cr_assert_eq(fixture_directory_count(), 2 * MANY);

    for (uint32_t i = 0; i < MANY; i++) {
        deletes[i] = (struct rl_delete_topic){ .topic_id = creates[i].topic_id };
        fixture_post_delete(i % *shards, &deletes[i], &answered);
    }
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 2 * MANY);
    cr_assert_eq(fixture_image(0)->topic_count, 0);
    cr_assert_eq(fixture_directory_count(), 0);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(one_name_once)
{
    struct rl_create_topic creates[12];
    uint32_t answered = 0, made = 0;
    fixture_init(*shards, 6);
    fixture_start(false, 0);
    for (uint32_t i = 0; i < 12; i++) {
        creates[i] = (struct rl_create_topic){ .name = rl_slice_of_string(i % 3 ? "a.b" : "a_b"),
                                               .partition_count = 1 };
        fixture_post_create(i % *shards, &creates[i], &answered);
    }
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 12);
    for (uint32_t i = 0; i < 12; i++)
        made += creates[i].status == RL_OK;
    cr_assert_eq(made, 1);
    cr_assert_eq(fixture_image(0)->topic_count, 1);
    fixture_stop();
    fixture_done();
}

Test(controller, delete_waits_for_create)
{
    struct rl_create_topic create = { .name = rl_slice_of_string("w"), .partition_count = 1 };
    struct rl_create_topic late = create;
    struct rl_delete_topic delete = { .name = rl_slice_of_string("w") }, again = delete;
    uint32_t answered = 0;
    fixture_init(1, 7);
    fixture_start(false, 0);
    fixture.hold = true;                                /* the topic stays CREATING */
    fixture_post_create(0, &create, &answered);
    rig_run(&fixture.rig);
    fixture_post_delete(0, &delete, &answered);
    fixture_post_delete(0, &again, &answered);
    fixture_post_create(0, &late, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 2);
    cr_assert_eq(again.status, RL_ENOTFOUND);
    expect_refused(late, RL_EEXIST, "Topic 'w' is marked for deletion.");
    fixture_release();
    cr_assert_eq(answered, 4);
    cr_assert_eq(create.status, RL_OK);
    cr_assert_eq(delete.status, RL_OK);
    expect_no_topic("w");
    cr_assert_eq(fixture_directory_count(), 0);
    cr_assert_eq(fixture_create(0, "w", 1).status, RL_OK);
    fixture_stop();
    fixture_done();
}

#define LARGE 10000

BOTH_SHARD_COUNTS(ten_thousand_topics)
{
    struct rl_create_topic *creates = rl_alloc_zero(LARGE, sizeof *creates);
    char (*names)[16] = rl_alloc_zero(LARGE, sizeof *names);
    uint32_t answered = 0;
    fixture_init(*shards, 8);
    fixture_start(false, 0);
    for (uint32_t i = 0; i < LARGE; i++) {
        snprintf(names[i], sizeof names[i], "t-%u", i * 7919 % LARGE);
        creates[i] = (struct rl_create_topic){ .name = rl_slice_of_string(names[i]),
                                               .partition_count = 1 };
        fixture_post_create(i % *shards, &creates[i], &answered);
        if (i % 100 == 99)
            rig_run(&fixture.rig);
    }
    cr_assert_eq(answered, LARGE);
    cr_assert_eq(fixture_image(*shards - 1)->topic_count, LARGE);
    for (uint32_t i = 0; i < LARGE; i++)
        cr_assert_eq(creates[i].status, RL_OK);
    fixture_stop();
    fixture_start(true, 0);
    cr_assert_eq(fixture_image(*shards - 1)->topic_count, LARGE);
    fixture_stop();
    fixture_done();
    rl_free(names);
    rl_free(creates);
}

/* ---- interrupted ---- */

BOTH_SHARD_COUNTS(power_cut_while_creating)
{
    struct rl_create_topic create = { .name = rl_slice_of_string("c"), .partition_count = 5 };
    uint32_t answered = 0;
    fixture_init(*shards, 9);
    fixture_start(false, 0);
    fixture.hold = true;                                /* stored as CREATING, not yet ONLINE */
    fixture_post_create(0, &create, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 0);
    fixture_power_cut();
    cr_assert_eq(create.status, RL_EIO);

    fixture_start(true, 0);
    cr_assert_eq(fixture.status, RL_OK);
    expect_topic("c", 5, 1);
    cr_assert_eq(fixture_directory_count(), 5);
    cr_assert_eq(fixture_delete(0, "c"), RL_OK);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(power_cut_while_deleting)
{
    struct rl_delete_topic delete = { .name = rl_slice_of_string("d") };
    uint32_t answered = 0;
    fixture_init(*shards, 10);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "d", 5).status, RL_OK);
    fixture.apply_status = RL_EIO;                      /* stored as DELETING, files still there */
    fixture_post_delete(0, &delete, &answered);
    rig_run(&fixture.rig);
    cr_assert(answered == 1 && delete.status == RL_EIO);
    expect_no_topic("d");
    cr_assert_eq(fixture_directory_count(), 5);
    expect_refused(fixture_create(0, "d", 1), RL_EEXIST, "Topic 'd' is marked for deletion.");
    cr_assert_eq(fixture_delete(0, "d"), RL_ENOTFOUND);
    fixture_power_cut();
    fixture.apply_status = RL_OK;

    fixture_start(true, 0);
    expect_no_topic("d");
    cr_assert_eq(fixture_directory_count(), 0);
    cr_assert_eq(fixture_create(0, "d", 2).status, RL_OK);
    expect_topic("d", 2, 0);
    fixture_stop();
    fixture_done();
}

Test(controller, apply_failure_keeps_the_topic)
{
    fixture_init(1, 11);
    fixture_start(false, 0);
    fixture.apply_status = RL_ENOSPACE;
    struct rl_create_topic call = fixture_create(0, "half", 1);
    cr_assert_eq(call.status, RL_ENOSPACE);
    fixture.apply_status = RL_OK;
    expect_refused(fixture_create(0, "half", 1), RL_EEXIST, "Topic 'half' already exists.");
    fixture_stop();
    fixture_start(false, 0);
    expect_topic("half", 1, 0);
    cr_assert_eq(fixture_delete(0, "half"), RL_OK);
    fixture_stop();
    fixture_done();
}

/* Topics that are made in the same image have nothing to do with each other. */
BOTH_SHARD_COUNTS(a_bad_topic_does_not_fail_its_neighbours)
{
    static const char *const names[] = { "bad", "good", "fine" };
    struct rl_create_topic calls[3];
    uint32_t answered = 0;
    fixture_init(*shards, 32);
    fixture_start(false, 0);
    fixture.apply_status = RL_ENOSPACE;
    fixture.apply_fails = "bad";
    uint32_t applies = fixture.applies;
    for (uint32_t i = 0; i < 3; i++) {
        calls[i] = (struct rl_create_topic){ .name = rl_slice_of_string(names[i]), .partition_count = 2 };
        fixture_post_create(0, &calls[i], &answered);
    }
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 3);
    cr_assert_eq(fixture.applies, applies + 2 * *shards, "not the same image");
    cr_assert_eq(calls[0].status, RL_ENOSPACE);
    cr_assert_eq(calls[1].status, RL_OK);
    cr_assert_eq(calls[2].status, RL_OK);
    fixture.apply_status = RL_OK;
    expect_topic("good", 2, 0);
    fixture_stop();
    fixture_start(false, 0);
    expect_topic("bad", 2, 0);
    fixture_stop();
    fixture_done();
}

/* Its directories are there: clients find leaders although the last word could not be stored. */
BOTH_SHARD_COUNTS(a_create_without_its_last_commit_works)
{
    fixture_init(*shards, 31);
    fixture_start(false, 0);
    struct rl_create_topic call = { .name = rl_slice_of_string("half"), .partition_count = 3 };
    uint32_t answered = 0;
    fixture.hold = true;
    fixture_post_create(0, &call, &answered);
    rig_run(&fixture.rig);
    rl_mem_disk_fail(fixture.rig.disk, RL_MEM_WRITE, 0, RL_ENOSPACE);
    fixture_release();
    cr_assert_eq(answered, 1);
    cr_assert_eq(call.status, RL_ENOSPACE);
    for (uint32_t i = 0; i < *shards; i++) {
        const struct rl_topic *topic = fixture_find(i, "half");
        cr_assert_not_null(topic);
        cr_assert_eq(topic->state, RL_TOPIC_ONLINE);
        cr_assert_eq(topic->partitions_made, 3);
    }
    cr_assert_eq(fixture_alter(0, (struct rl_alter){ .name = rl_slice_of_string("half"), .grow = true,
                                                     .partition_count = 4 }).status, RL_OK);
    fixture_stop();
    fixture_start(false, 0);
    expect_topic("half", 4, 0);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(failed_store)
{
    fixture_init(*shards, 12);
    fixture_start(false, 0);
    cr_assert_eq(fixture_create(0, "before", 1).status, RL_OK);
    rl_mem_disk_fail(fixture.rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    struct rl_create_topic call = fixture_create(0, "after", 1);
    expect_refused(call, RL_EIO, "Topic 'after' could not be stored: input/output error.");
    cr_assert_eq(fixture_create(0, "later", 1).status, RL_EIO);
    cr_assert_eq(fixture_delete(0, "before"), RL_EIO);
    expect_topic("before", 1, 0);
    expect_no_topic("after");
    fixture_stop();
    fixture_start(true, 0);
    expect_topic("before", 1, 1);
    fixture_stop();
    fixture_done();
}

BOTH_SHARD_COUNTS(epochs_rise_after_unclean_starts)
{
    fixture_init(*shards, 13);
    fixture_start(true, 0);             /* the very first start may count as one */
    cr_assert_eq(fixture_create(0, "old", 1).status, RL_OK);
    expect_topic("old", 1, 0);
    fixture_stop();
    fixture_start(false, 0);
    expect_topic("old", 1, 0);
    fixture_stop();
    fixture_start(true, 0);
    expect_topic("old", 1, 1);
    cr_assert_eq(fixture_create(0, "new", 1).status, RL_OK);
    expect_topic("new", 1, 0);
    fixture_stop();
    fixture_start(true, 0);
    expect_topic("old", 1, 2);
    expect_topic("new", 1, 1);
    fixture_stop();
    fixture_start(false, 0);
    expect_topic("old", 1, 2);
    fixture_stop();
    fixture_done();
}

/* ---- producer ids ---- */

#define IDS 6000
#define ID_CALLS 700

static bool id_given[200000];

/* Ask for `count` ids, from all shards in turn; every one is new. */
static void expect_new_ids(uint32_t count, bool all)
{
    static struct rl_allocate_producer_id calls[IDS];
    uint32_t answered = 0;
    memset(calls, 0, sizeof calls);
    for (uint32_t i = 0; i < count; i++)
        fixture_post_producer_id(i % fixture.rig.shard_count, &calls[i], &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, count);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(calls[i].status == RL_OK || !all);
        if (calls[i].status != RL_OK)
            continue;
        cr_assert(calls[i].producer_id >= 0 && calls[i].producer_id < (int64_t)sizeof id_given);
        cr_assert(!id_given[calls[i].producer_id], "%ld twice", (long)calls[i].producer_id);
        id_given[calls[i].producer_id] = true;
    }
}

BOTH_SHARD_COUNTS(producer_ids_are_given_once)
{
    fixture_init(*shards, 14);
    for (int life = 0; life < 4; life++) {
        fixture_start(life > 0, 0);
        expect_new_ids(1, true);
        expect_new_ids(ID_CALLS, true);
        expect_new_ids(IDS, true);
        if (life % 2 == 0)
            fixture_stop();
        else
            fixture_power_cut();
    }
    fixture_done();
}

Test(controller, producer_ids_under_power_cuts)
{
    fixture_init(4, 15);
    for (uint32_t cut_at = 1; cut_at < 30; cut_at++) {
        fixture_start(true, cut_at);
        if (fixture.status == RL_OK)
            expect_new_ids(50, false);
        fixture_power_cut();
    }
    fixture_start(true, 0);
    expect_new_ids(50, true);
    fixture_stop();
    fixture_done();
}

/* ---- power cuts everywhere ---- */

struct step { bool create; const char *name; };

static const struct step steps[] = {
    { true, "a" }, { true, "b.b" }, { false, "a" }, { true, "c" }, { true, "a" }, { false, "b.b" },
    { true, "b_b" }, { false, "c" }, { false, "b_b" },
};

/* What may be there: a step that was answered has happened, the first that was not may have. */
static void expect_outcome(const char *name, const rl_status *answers)
{
    bool there = false, unsure = false;
    for (size_t i = 0; i < RL_ARRAY_COUNT(steps); i++) {
        if (strcmp(steps[i].name, name) != 0)
            continue;
        if (answers[i] == RL_OK)
            there = steps[i].create;
        else
            unsure = true;
    }
    if (!unsure && there)
        expect_topic(name, 2, 1);
    else if (!unsure)
        expect_no_topic(name);
}

static bool cut_once(uint32_t shards, uint32_t cut_at)
{
    rl_status answers[RL_ARRAY_COUNT(steps)];
    fixture_init(shards, 1000 + cut_at);
    fixture_start(false, cut_at);
    for (size_t i = 0; i < RL_ARRAY_COUNT(steps); i++) {
        uint32_t from = (uint32_t)i % shards;
        if (fixture.status != RL_OK)
            answers[i] = fixture.status;
        else if (steps[i].create)
            answers[i] = fixture_create(from, steps[i].name, 2).status;
        else
            answers[i] = fixture_delete(from, steps[i].name);
        cr_assert(answers[i] == RL_OK || fixture.rig.cut);
    }
    bool cut = fixture.rig.cut;
    fixture_power_cut();

    fixture.missing = 0;
    fixture_start(true, 0);
    cr_assert_eq(fixture.status, RL_OK, "cut at %u: %s", cut_at, rl_status_name(fixture.status));
    cr_assert_eq(fixture.missing, 0, "cut at %u: a topic without its directories", cut_at);
    expect_outcome("a", answers);
    expect_outcome("b.b", answers);
    expect_outcome("c", answers);
    expect_outcome("b_b", answers);
    /* Nothing is left lying about, and everything works. */
    cr_assert_eq(fixture_directory_count(), 2 * fixture_image(0)->topic_count, "cut at %u", cut_at);
    for (uint32_t i = 0; i < fixture_image(0)->topic_count; i++)
        cr_assert_eq(fixture_image(0)->by_name[i]->state, RL_TOPIC_ONLINE);
    cr_assert_eq(fixture_create(0, "z", 1).status, RL_OK);
    fixture_stop();
    fixture_done();
    return cut;
}

BOTH_SHARD_COUNTS(power_cut_at_every_call)
{
    uint32_t cut_at = 1;
    while (cut_once(*shards, cut_at))
        cut_at++;
    cr_assert_gt(cut_at, 60);
}

/* ---- start and stop ---- */

static void on_late(struct rl_create_topic *call)
{
    ++*(uint32_t *)call->arg;
}

struct last_words {
    struct rl_create_topic create;
    struct rl_allocate_producer_id id;
    uint32_t answered, stopped;
};

static void on_last_id(struct rl_allocate_producer_id *call)
{
    ++*(uint32_t *)call->arg;
}

static void on_stopped(void *arg)
{
    ++*(uint32_t *)arg;
}

static void do_stop_and_call(struct rl_shard *shard, void *arg)
{
    struct last_words *words = arg;
    rl_controller_allocate_producer_id(shard, &words->id);      /* has to ask for a block */
    rl_controller_stop(shard, on_stopped, &words->stopped);
    rl_controller_create_topic(shard, &words->create);
}

static void do_call(struct rl_shard *shard, void *arg)
{
    struct last_words *words = arg;
    rl_controller_create_topic(shard, &words->create);
    rl_controller_allocate_producer_id(shard, &words->id);
}

BOTH_SHARD_COUNTS(calls_after_stop)
{
    struct last_words words = { .create = { .name = rl_slice_of_string("x"), .partition_count = 1,
                                            .done = on_late },
                                .id = { .done = on_last_id } };
    words.create.arg = words.id.arg = &words.answered;
    fixture_init(*shards, 16);
    fixture_start(false, 0);
    rig_call(&fixture.rig, 0, do_stop_and_call, &words);
    cr_assert_eq(words.stopped, 1);
    cr_assert_eq(words.answered, 2);
    cr_assert_eq(words.create.status, RL_ESTOPPING);
    cr_assert(words.id.status == RL_ESTOPPING || words.id.status == RL_OK);
    rig_call(&fixture.rig, *shards - 1, do_call, &words);
    cr_assert_eq(words.answered, 4);
    cr_assert_eq(words.create.status, RL_ESTOPPING);
    cr_assert_eq(words.id.status, RL_ESTOPPING);
    fixture.running = false;
    fixture_stop();
    fixture_done();
}

struct writer {
    struct rl_metadata_op op;
    rl_status status;
    struct rl_metadata_store *store;
};

static void on_writer_closed(void *arg)
{
    struct writer *w = arg;
    w->store = NULL;
}

static void on_written(void *arg, rl_status status)
{
    struct writer *w = arg;
    w->status = status;
    rl_metadata_store_close(w->store, on_writer_closed, w);
}

static void on_writer_opened(void *arg, rl_status status, struct rl_metadata_store *store)
{
    struct writer *w = arg;
    cr_assert_eq(status, RL_OK);
    w->store = store;
    rl_metadata_store_commit(store, &w->op, 1, on_written, w);
}

static void do_write(struct rl_shard *shard, void *arg)
{
    rl_metadata_store_open(shard, "local:meta", on_writer_opened, arg);
}

/* Put a value into the store behind the controller's back. */
static void store_put(const char *key, const char *value)
{
    struct writer w = { .op = { .key = rl_slice_of_string(key), .value = rl_slice_of_string(value),
                                .expected_version = RL_METADATA_ANY_VERSION } };
    rig_boot(&fixture.rig, 0);
    rig_call(&fixture.rig, 0, do_write, &w);
    cr_assert_eq(w.status, RL_OK);
    cr_assert_null(w.store);
    rig_halt(&fixture.rig);
}

static rl_status start_with(const char *key, const char *value)
{
    fixture_init(2, 17);
    store_put("broker/else", "not the controller's");
    store_put(key, value);
    fixture_start(false, 0);
    rl_status status = fixture.status;
    fixture_stop();
    fixture_done();
    return status;
}

#define TOPIC(id, partitions, floor, more) \
    "{\"version\":1,\"id\":\"" id "\",\"state\":\"online\",\"partitions\":" partitions \
    ",\"created_at_floor\":" floor ",\"overrides\":{}" more "}"
#define AN_ID "AAAAAAAAQACAAAAAAAAAAQ"

/* A higher leader epoch for one topic: on every shard, over restarts, and on top of the floor. */
BOTH_SHARD_COUNTS(raised_epochs)
{
    uint32_t last = *shards - 1;
    fixture_init(*shards, 1);
    fixture_start(false, 0);
    struct rl_uuid a = fixture_create(0, "a", 3).topic_id;
    fixture_create(0, "b", 1);
    cr_assert_eq(fixture_raise(last, a, 0), RL_OK);
    expect_topic("a", 3, 1);
    expect_topic("b", 1, 0);
    cr_assert_eq(fixture_raise(last, a, 0), RL_OK, "it is higher already");
    expect_topic("a", 3, 1);
    cr_assert_eq(fixture_raise(0, a, 1), RL_OK);
    expect_topic("a", 3, 2);
    cr_assert_eq(fixture_raise(0, (struct rl_uuid){ { 1 } }, 0), RL_ENOTFOUND);

    rl_mem_disk_fail(fixture.rig.disk, RL_MEM_WRITE, 0, RL_EIO);
    cr_assert_neq(fixture_raise(0, a, 2), RL_OK);
    expect_topic("a", 3, 2);
    rl_mem_disk_heal(fixture.rig.disk);
    fixture_stop();

    fixture_start(false, 0);
    cr_assert_eq(fixture.status, RL_OK);
    expect_topic("a", 3, 2);
    expect_topic("b", 1, 0);
    fixture_stop();
    fixture_start(true, 0);
    expect_topic("a", 3, 3);
    expect_topic("b", 1, 1);
    cr_assert_eq(fixture_delete_id(0, a), RL_OK);
    fixture_stop();
    fixture_done();
}

Test(controller, values_that_make_no_sense)
{
    const struct { const char *key, *value; rl_status status; } cases[] = {
        { "topics/t", TOPIC(AN_ID, "1", "0", ""), RL_OK },
        { "topics/t", TOPIC(AN_ID, "1", "0", ",\"added_later\":[1]"), RL_OK },
        { "topics/t", "{\"version\":2}", RL_EVERSION },
        { "topics/t", "{\"version\":0}", RL_ECORRUPT },
        { "topics/t", "", RL_ECORRUPT },
        { "topics/t", "[]", RL_ECORRUPT },
        { "topics/t", "{\"version\":1}", RL_ECORRUPT },
        { "topics/t", TOPIC("AAAAAAAAAAAAAAAAAAAAAA", "1", "0", ""), RL_ECORRUPT },
        { "topics/t", TOPIC("short", "1", "0", ""), RL_ECORRUPT },
        { "topics/t", TOPIC(AN_ID, "0", "0", ""), RL_ECORRUPT },
        { "topics/t", TOPIC(AN_ID, "100001", "0", ""), RL_ECORRUPT },
        { "topics/t", TOPIC(AN_ID, "1", "-1", ""), RL_OK },             /* its epoch was raised */
        { "topics/t", TOPIC(AN_ID, "1", "-2147483648", ""), RL_ECORRUPT },
        { "topics/t", TOPIC(AN_ID, "1", "1", ""), RL_ECORRUPT },        /* from the future */
        { "topics/t", TOPIC(AN_ID, "1", "0", ",\"id\":\"" AN_ID "\""), RL_ECORRUPT },
        { "topics/a b", TOPIC(AN_ID, "1", "0", ""), RL_ECORRUPT },
        { "broker/epoch-floor", "{\"version\":1,\"number\":-1}", RL_ECORRUPT },
        { "broker/epoch-floor", "{\"version\":1,\"number\":2147483647}", RL_ECORRUPT },
        { "broker/epoch-floor", "{\"version\":1,\"number\":5}", RL_OK },
        { "broker/producer-ids", "{\"version\":1,\"number\":\"7\"}", RL_ECORRUPT },
        { "broker/producer-ids", "{\"version\":9,\"number\":7}", RL_EVERSION },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++)
        cr_assert_eq(start_with(cases[i].key, cases[i].value), cases[i].status, "case %zu", i);
}

Test(controller, one_id_for_two_topics)
{
    fixture_init(2, 18);
    store_put("topics/s", TOPIC(AN_ID, "1", "0", ""));
    store_put("topics/t", TOPIC(AN_ID, "1", "0", ""));
    fixture_start(false, 0);
    cr_assert_eq(fixture.status, RL_ECORRUPT);
    fixture_stop();
    fixture_done();
}

/* tests/coordinate/test_consumer_migrate.c — a group with members changes its protocol: what is written,
 * what a killed broker finds, and what keeps a group as it is. */
#include "coordinate/consumer_group.h"
#include "coordinate/consumer_group_internal.h"
#include "coordinate/consumer_group_record.h"
#include "core/memory.h"
#include "core/text.h"
#include "recorded_log.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { CLASSIC_KEY = 2 };

static struct group_rig rig;
static struct rl_topic topic = { .id = { { 1 } }, .name = "t", .partition_count = 4 };
static const struct rl_topic *topics[1] = { &topic };
static struct rl_image image = { .generation = 1, .topic_count = 1, .by_name = topics, .by_id = topics };
static const char *const assignors[] = { "uniform", NULL };
static const struct rl_slice names[] = { { (const uint8_t *)"t", 1 } };
/* Version 0: reads "t". */
static const uint8_t metadata[] = { 0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff };
/* Version 0: partitions 0 and 1 of it. */
static const uint8_t assignment[] = { 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1,
                                      0xff, 0xff, 0xff, 0xff };
static const struct rl_group_protocol protocol = { { (const uint8_t *)"range", 5 }, { metadata, sizeof metadata } };

static struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

static const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &image;
}

static int answers;

static void on_answered(struct rl_group_answer *answer)
{
    (void)answer;
    answers++;
}

static void start(void)
{
    group_rig_start(&rig, 1);
    recorded_log_attach(&rig);
    rig.limits.consumer_session_timeout_ms = 100000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 100;
    rig.limits.can_upgrade = rig.limits.can_downgrade = true;
    rig.limits.assignors = assignors;
    rig.groups.image = current_image;
    answers = 0;
}

static void stop(void)
{
    recorded_log_settle();
    rl_groups_drop_all(&rig.groups, RL_GROUP_NOT_COORDINATOR);
    recorded_log_settle();
    recorded_log_done();
    group_rig_stop(&rig);
}

static const struct rl_group *group(void)
{
    return rl_groups_find(&rig.groups, text("g"));
}

/* ---- members; instance NULL: dynamic ---- */

struct classic {
    struct rl_group_join join;
    struct rl_group_sync sync;
    char id[80];
};

static struct rl_slice instance_of(const char *instance)
{
    return instance != NULL ? text(instance) : (struct rl_slice){ 0 };
}

static void classic_send_join(struct classic *c, const char *instance)
{
    c->join = (struct rl_group_join){ .group_id = text("g"), .member_id = text(c->id), .instance_id = instance_of(instance),
        .client_id = text("c"), .client_host = text("/h"), .protocol_type = text("consumer"), .protocols = &protocol,
        .protocol_count = 1, .session_timeout_ms = 50000, .rebalance_timeout_ms = 50000,
        .answer = { .done = on_answered } };
    rl_groups_join(&rig.groups, &c->join);
}

static enum rl_group_error classic_joined(struct classic *c)
{
    if (c->join.error == RL_GROUP_OK)
        snprintf(c->id, sizeof c->id, "%.*s", (int)c->join.ret_member_id.bytes, (const char *)c->join.ret_member_id.data);
    rl_free(c->join.memory);
    c->join.memory = NULL;
    return c->join.error;
}

static void classic_send_sync(struct classic *c, const char *instance, const struct rl_group_assignment *parts,
                              uint32_t count)
{
    c->sync = (struct rl_group_sync){ .group_id = text("g"), .member_id = text(c->id), .instance_id = instance_of(instance),
        .generation = c->join.ret_generation, .assignments = parts, .assignment_count = count,
        .answer = { .done = on_answered } };
    rl_groups_sync(&rig.groups, &c->sync);
}

static enum rl_group_error classic_synced(struct classic *c)
{
    rl_free(c->sync.memory);
    c->sync.memory = NULL;
    return c->sync.error;
}

static enum rl_group_error classic_join(struct classic *c, const char *instance)
{
    classic_send_join(c, instance);
    recorded_log_settle();
    group_rig_advance(&rig, 1);         /* the initial delay of 0 */
    recorded_log_settle();
    return classic_joined(c);
}

/* A stable group of one, who has two partitions, and an offset of it. */
static void start_classic(struct classic *c, const char *instance)
{
    start();
    cr_assert_eq(classic_join(c, instance), RL_GROUP_OK);
    struct rl_group_assignment part = { text(c->id), rl_slice_of(assignment, sizeof assignment) };
    classic_send_sync(c, instance, &part, 1);
    recorded_log_settle();
    cr_assert_eq(classic_synced(c), RL_GROUP_OK);
    struct rl_offset_commit_partition partition = { .topic = text("t"), .retention_ms = -1,
                                                    .value = { .offset = 7, .metadata = text("") } };
    struct rl_offset_commit commit = { .group_id = text("g"), .member_id = text(c->id), .instance_id = instance_of(instance),
        .generation = 1, .metadata_units_max = 100, .partitions = &partition, .partition_count = 1,
        .answer = { .done = on_answered } };
    rl_groups_commit_offsets(&rig.groups, &commit);
    recorded_log_settle();
    cr_assert_eq(partition.error, RL_GROUP_OK);
}

static struct rl_consumer_heartbeat beat_of(const char *member, const char *instance, int32_t epoch)
{
    return (struct rl_consumer_heartbeat){ .group_id = text("g"), .member_id = text(member),
        .instance_id = instance_of(instance), .client_id = text("c"), .client_host = text("/h"), .member_epoch = epoch,
        .needs_member_id = true, .rebalance_timeout_ms = epoch == 0 ? 2000 : -1, .topics_told = epoch == 0,
        .topics = names, .topic_count = epoch == 0, .owned_told = epoch == 0, .answer = { .done = on_answered } };
}

static enum rl_group_error beat(const char *member, const char *instance, int32_t epoch)
{
    struct rl_consumer_heartbeat call = beat_of(member, instance, epoch);
    rl_groups_consumer_heartbeat(&rig.groups, &call);
    recorded_log_settle();
    rl_consumer_heartbeat_done(&call);
    return call.error;
}

/* ---- what is written ---- */

static int key_of(uint32_t record)
{
    return recorded_log.records[record].key.data[1];
}

static bool is_tombstone(uint32_t record)
{
    return recorded_log.records[record].value.data == NULL;
}

static int64_t committed(int32_t number)
{
    struct rl_offset_fetch_partition partition = { .partition = number };
    struct rl_offset_fetch_topic asked = { text("t"), &partition, 1 };
    struct rl_offset_fetch fetch = { .bytes_max = SIZE_MAX, .group_id = text("g"), .member_epoch = -1, .topics = &asked,
                                     .topic_count = 1 };
    rl_groups_fetch_offsets(&rig.groups, &fetch);
    rl_free(fetch.memory);
    return partition.offset;
}

/* Kafka drops a group with the tombstone of either protocol: that comes first. */
Test(consumer_migrate, up_is_one_write_that_begins_with_the_tombstone)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    uint32_t before = recorded_log.record_count;
    struct rl_consumer_heartbeat call = beat_of("new", NULL, 0);
    rl_groups_consumer_heartbeat(&rig.groups, &call);
    group_rig_turn(&rig);
    cr_assert_eq(recorded_log.write_count - recorded_log.first_write, 1);
    cr_assert(key_of(before) == CLASSIC_KEY && is_tombstone(before));
    for (uint32_t i = before + 1; i < recorded_log.record_count; i++)
        cr_assert(key_of(i) > CLASSIC_KEY && !is_tombstone(i), "record %u", i);
    recorded_log_settle();
    cr_assert_eq(call.error, RL_GROUP_OK);
    rl_consumer_heartbeat_done(&call);
    for (int round = 0; round < 2; round++) {
        cr_assert_not_null(group()->consumer);
        cr_assert_eq(rl_table_count(&group()->consumer->by_member_id), 2);
        cr_assert_eq(rl_consumer_group_find(group(), text(c.id))->assigned.count, 2);
        cr_assert_eq(committed(0), 7);
        recorded_log_reload();
    }
    stop();
}

Test(consumer_migrate, down_is_one_write_that_ends_with_the_group)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_OK);
    uint32_t before = recorded_log.record_count;
    struct rl_consumer_heartbeat call = beat_of("new", NULL, RL_CONSUMER_LEAVE);
    rl_groups_consumer_heartbeat(&rig.groups, &call);
    group_rig_turn(&rig);
    cr_assert_eq(recorded_log.write_count - recorded_log.first_write, 1);
    uint32_t last = recorded_log.record_count - 1;
    cr_assert(key_of(last) == CLASSIC_KEY && !is_tombstone(last));
    for (uint32_t i = before; i < last; i++)
        cr_assert_gt(key_of(i), CLASSIC_KEY, "record %u", i);
    recorded_log_settle();
    cr_assert_eq(call.error, RL_GROUP_OK);
    rl_consumer_heartbeat_done(&call);
    for (int round = 0; round < 2; round++) {
        cr_assert_null(group()->consumer);
        cr_assert_eq(rl_table_count(&group()->by_member_id), 1);
        cr_assert_eq(committed(0), 7);
        recorded_log_reload();
    }
    stop();
}

/* The last member of the consumer protocol goes on as one of the classic protocol. */
Test(consumer_migrate, down_when_a_classic_member_takes_over)
{
    struct classic c = { 0 }, heir = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", "i", 0), RL_GROUP_OK);
    int32_t epoch = group()->consumer->epoch;
    classic_send_join(&heir, "i");
    recorded_log_settle();
    cr_assert_eq(classic_joined(&heir), RL_GROUP_OK);
    cr_assert_eq(heir.join.ret_generation, epoch);
    cr_assert_null(group()->consumer);
    cr_assert_eq(rl_table_count(&group()->by_member_id), 2);
    cr_assert_eq(group()->generation, epoch, "the generation in which it has joined");
    cr_assert_eq(rl_groups_heartbeat(&rig.groups, text("g"), text(heir.id), text("i"), epoch), RL_GROUP_REBALANCING);
    recorded_log_reload();
    cr_assert_null(group()->consumer);
    cr_assert_eq(rl_table_count(&group()->by_member_id), 2);
    stop();
}

/* Its ids are of two members: it cannot join, and nothing has changed. */
Test(consumer_migrate, who_cannot_join_changes_nothing)
{
    struct classic one = { 0 }, other = { 0 };
    start();
    classic_send_join(&one, "i");
    classic_send_join(&other, "k");
    recorded_log_settle();
    group_rig_advance(&rig, 1);
    cr_assert_eq(classic_joined(&one), RL_GROUP_OK);
    cr_assert_eq(classic_joined(&other), RL_GROUP_OK);
    uint32_t before = recorded_log.record_count;
    cr_assert_eq(beat(one.id, "k", 0), RL_GROUP_ID_NOT_FOUND);
    cr_assert_null(group()->consumer);
    cr_assert_eq(rl_table_count(&group()->by_member_id), 2);
    cr_assert_eq(recorded_log.record_count, before);
    cr_assert_eq(beat(one.id, "i", 0), RL_GROUP_OK);
    cr_assert_not_null(group()->consumer);
    stop();
}

/* More than one write holds. */
Test(consumer_migrate, a_group_that_tells_too_much_stays_classic)
{
    enum { BYTES = 60 << 20 };
    struct classic c = { 0 };
    uint8_t *large = rl_alloc_zero(1, BYTES);
    const struct rl_group_protocol two[] = { protocol, { text("other"), rl_slice_of(large, BYTES) } };
    start();
    c.join = (struct rl_group_join){ .group_id = text("g"), .member_id = text(""), .client_id = text("c"),
        .client_host = text("/h"), .protocol_type = text("consumer"), .protocols = two, .protocol_count = 2,
        .session_timeout_ms = 50000, .rebalance_timeout_ms = 50000, .answer = { .done = on_answered } };
    rl_groups_join(&rig.groups, &c.join);
    recorded_log_settle();
    group_rig_advance(&rig, 1);
    cr_assert_eq(classic_joined(&c), RL_GROUP_OK);
    c = (struct classic){ 0 };
    c.join = (struct rl_group_join){ .group_id = text("g"), .member_id = text(""), .client_id = text("c"),
        .client_host = text("/h"), .protocol_type = text("consumer"), .protocols = two, .protocol_count = 2,
        .session_timeout_ms = 50000, .rebalance_timeout_ms = 50000, .answer = { .done = on_answered } };
    rl_groups_join(&rig.groups, &c.join);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_ID_NOT_FOUND);
    cr_assert_null(group()->consumer);
    stop();
    rl_free(c.join.memory);
    rl_free(large);
}

/* ---- what is told ---- */

/* What SyncGroup tells must not be what a crash takes back. */
Test(consumer_migrate, a_sync_waits_for_what_was_written)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_OK);
    classic_send_join(&c, NULL);
    group_rig_turn(&rig);
    c.join.ret_generation = rl_consumer_group_find(group(), text(c.id))->epoch;
    answers = 0;
    classic_send_sync(&c, NULL, NULL, 0);       /* its JoinGroup is not on stable storage */
    group_rig_turn(&rig);
    cr_assert_eq(answers, 0);
    recorded_log_settle();
    cr_assert_eq(answers, 2);
    (void)classic_joined(&c);
    cr_assert_eq(classic_synced(&c), RL_GROUP_OK);
    stop();
}

/* A commit of a partition that had no offset is on its way while the group is deleted. */
Test(consumer_migrate, a_deletion_takes_commits_on_their_way_along)
{
    struct rl_offset_commit_partition partition = { .topic = text("t"), .partition = 3, .retention_ms = -1,
                                                    .value = { .offset = 9, .metadata = text("") } };
    struct rl_offset_commit commit = { .group_id = text("g"), .member_id = text(""), .generation = -1,
        .metadata_units_max = 100, .partitions = &partition, .partition_count = 1, .answer = { .done = on_answered } };
    struct rl_group_delete call = { .group_id = text("g"), .answer = { .done = on_answered } };
    start();
    rl_groups_commit_offsets(&rig.groups, &commit);
    rl_groups_delete(&rig.groups, &call);
    recorded_log_settle();
    cr_assert_eq(call.error, RL_GROUP_OK);
    cr_assert_eq(committed(3), -1);
    recorded_log_reload();
    cr_assert_eq(committed(3), -1);
    stop();
}

/* ---- ids that a JoinGroup was given ---- */

static enum rl_group_error ask_id(struct classic *c, const char *client_id)
{
    c->join = (struct rl_group_join){ .group_id = text("g"), .member_id = text(""), .client_id = text(client_id),
        .client_host = text("/h"), .protocol_type = text("consumer"), .protocols = &protocol, .protocol_count = 1,
        .session_timeout_ms = 50000, .rebalance_timeout_ms = 50000, .needs_member_id = true,
        .answer = { .done = on_answered } };
    rl_groups_join(&rig.groups, &c->join);
    recorded_log_settle();
    snprintf(c->id, sizeof c->id, "%.*s", (int)c->join.ret_member_id.bytes, (const char *)c->join.ret_member_id.data);
    rl_free(c->join.memory);
    c->join.memory = NULL;
    return c->join.error;
}

/* They are used by heartbeats, and then by JoinGroup: each is one member, and not two. */
Test(consumer_migrate, an_id_that_was_given_out_joins_by_both_protocols)
{
    enum { COUNT = 4 };
    struct classic c[COUNT] = { 0 };
    uint32_t listed = 0;
    start();
    rig.limits.consumer_session_timeout_ms = 1000;
    cr_assert_eq(beat("first", NULL, 0), RL_GROUP_OK);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(ask_id(&c[i], "c"), RL_GROUP_MEMBER_ID_REQUIRED);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(beat(c[i].id, NULL, 0), RL_GROUP_OK);
    cr_assert_eq(rl_table_count(&group()->pending), 0);
    for (int i = 0; i < COUNT; i++) {
        classic_send_join(&c[i], NULL);
        recorded_log_settle();
        cr_assert_eq(classic_joined(&c[i]), RL_GROUP_OK);
    }
    RL_LIST_EACH(node, &group()->consumer->members)
        listed++;
    cr_assert_eq(listed, rl_table_count(&group()->consumer->by_member_id));
    cr_assert_eq(listed, COUNT + 1);
    group_rig_advance(&rig, 5000);      /* sessions end, and the group changes its protocol */
    recorded_log_settle();
    stop();
}

/* Each holds the client id that asked for it: they count. */
Test(consumer_migrate, ids_that_are_given_out_are_bounded)
{
    struct classic c = { 0 };
    char *client_id = rl_alloc_zero(1, 32001);
    int given = 0;
    memset(client_id, 'c', 32000);
    start();
    while (ask_id(&c, client_id) == RL_GROUP_MEMBER_ID_REQUIRED)
        cr_assert_lt(++given, 10000);
    cr_assert_eq(c.join.error, RL_GROUP_MAX_SIZE_REACHED);
    cr_assert_gt(given, 1000);
    rl_free(client_id);
    stop();
}

/* ---- what a restart finds ---- */

static struct rl_consumer_heartbeat regex_call;

static void regex_beat(const char *member, int32_t epoch, bool full)
{
    regex_call = (struct rl_consumer_heartbeat){ .group_id = text("g"), .member_id = text(member), .instance_id = text("i"),
        .client_id = text("c"), .client_host = text("/h"), .member_epoch = epoch, .needs_member_id = true,
        .rebalance_timeout_ms = full ? 2000 : -1, .topics_told = full, .regex = full ? text("t.*") : (struct rl_slice){ 0 },
        .rack_id = strcmp(member, "a") == 0 ? text("rack") : (struct rl_slice){ 0 },
        .owned_told = full, .answer = { .done = on_answered } };
    int before = answers;
    rl_groups_consumer_heartbeat(&rig.groups, &regex_call);
    for (int i = 0; i < 100 && answers == before; i++) {
        group_rig_advance(&rig, 1);
        recorded_log_settle();
    }
    cr_assert_eq(answers, before + 1);
    cr_assert_eq(regex_call.error, RL_GROUP_OK);
    rl_consumer_heartbeat_done(&regex_call);
}

/* A static member that reads by a pattern comes back under another id; then the broker restarts. */
Test(consumer_migrate, a_pattern_outlives_its_reader_s_return)
{
    start();
    regex_beat("a", 0, true);
    cr_assert_eq(rl_consumer_group_find(group(), text("a"))->assigned.count, 4);
    regex_beat("a", RL_CONSUMER_LEAVE_STATIC, false);
    regex_beat("b", 0, true);
    cr_assert_eq(rl_consumer_group_find(group(), text("b"))->assigned.count, 4);
    cr_assert(rl_slice_equal_string(rl_consumer_group_find(group(), text("b"))->rack_id, "rack"));
    recorded_log_reload();
    const struct rl_consumer_member *m = rl_consumer_group_find(group(), text("b"));
    cr_assert_eq(m->assigned.count, 4);
    regex_beat("b", m->epoch, false);
    m = rl_consumer_group_find(group(), text("b"));
    cr_expect_eq(m->assigned.count, 4, "it has %u, is to give up %u", m->assigned.count, m->revoking.count);
    cr_expect_not(regex_call.ret_assignment_told);
    stop();
}

/* The record by which one gave up a partition was damaged, and passed over. */
static void restore(struct rl_consumer_group_record *record, struct rl_slice detail)
{
    struct rl_text key = { 0 }, value = { 0 };
    rl_consumer_group_record_key(&key, record->kind, text("g"), detail);
    if (!record->tombstone)
        rl_consumer_group_record_value(&value, record);
    cr_assert_eq(rl_groups_restore_record(&rig.groups, rl_text_slice(&key),
                                          record->tombstone ? (struct rl_slice){ 0 } : rl_text_slice(&value)), RL_OK);
    rl_text_done(&key);
    rl_text_done(&value);
}

Test(consumer_migrate, a_partition_that_damage_gave_to_two)
{
    int32_t numbers[] = { 0 };
    struct rl_consumer_group_record_topic has = { .topic_id = { { 1 } }, .partitions = numbers, .partition_count = 1 };
    start();
    struct rl_consumer_group_record meta = { .kind = RL_CONSUMER_GROUP_RECORD_METADATA, .value.metadata = { .epoch = 3 } };
    struct rl_consumer_group_record member = { .kind = RL_CONSUMER_GROUP_RECORD_MEMBER, .value.member_metadata = {
        .client_id = text("c"), .client_host = text("/h"), .subscribed_topic_names = names, .subscribed_topic_name_count = 1,
        .rebalance_timeout_ms = 1000 } };
    struct rl_consumer_group_record current = { .kind = RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER, .value.current_member = {
        .member_epoch = 2, .previous_member_epoch = 1, .state = 0, .assigned = &has, .assigned_count = 1 } };
    struct rl_consumer_group_record gone = { .kind = RL_CONSUMER_GROUP_RECORD_MEMBER, .tombstone = true };
    restore(&meta, (struct rl_slice){ 0 });
    restore(&member, text("a"));
    restore(&current, text("a"));
    restore(&member, text("b"));
    restore(&current, text("b"));       /* between: the damaged record of a */
    restore(&gone, text("b"));
    rl_group_store(rl_groups_find(&rig.groups, text("g")));     /* as the rewriting does */
    rl_consumer_group_write(rl_groups_find(&rig.groups, text("g")));
    stop();
}

/* Before anybody has joined again. */
Test(consumer_migrate, a_rebalance_after_the_change_outlives_a_kill)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_OK);
    cr_assert_eq(classic_join(&c, NULL), RL_GROUP_OK);  /* gives up, at once as version 0 owns nothing */
    classic_send_sync(&c, NULL, NULL, 0);
    recorded_log_settle();
    cr_assert_eq(classic_synced(&c), RL_GROUP_OK);
    int32_t epoch = group()->consumer->epoch;
    cr_assert_eq(rl_consumer_group_find(group(), text(c.id))->epoch, epoch);
    cr_assert_eq(beat("new", NULL, epoch), RL_GROUP_OK);
    cr_assert_eq(rl_consumer_group_find(group(), text(c.id))->assigned.count, 2);
    cr_assert_eq(rl_consumer_group_find(group(), text("new"))->assigned.count, 2);
    cr_assert_eq(beat("new", NULL, RL_CONSUMER_LEAVE), RL_GROUP_OK);
    cr_assert_null(group()->consumer);
    cr_assert_eq(rl_groups_heartbeat(&rig.groups, text("g"), text(c.id), (struct rl_slice){ 0 }, epoch), RL_GROUP_REBALANCING);
    recorded_log_reload();              /* killed now */
    cr_expect_eq(rl_groups_heartbeat(&rig.groups, text("g"), text(c.id), (struct rl_slice){ 0 }, epoch), RL_GROUP_REBALANCING,
                 "half of the topic is nobody's, and nobody is told");
    stop();
}

/* ---- LeaveGroup ---- */

Test(consumer_migrate, a_member_is_gone_when_that_is_stored)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_OK);
    struct rl_group_leave_member one = { .member_id = text(c.id) };
    struct rl_group_leave leave = { .group_id = text("g"), .members = &one, .count = 1, .answer = { .done = on_answered } };
    answers = 0;
    rl_groups_leave(&rig.groups, &leave);
    group_rig_turn(&rig);
    cr_assert_eq(answers, 0);
    recorded_log_settle();
    cr_assert_eq(answers, 1);
    cr_assert(leave.error == RL_GROUP_OK && one.error == RL_GROUP_OK);
    recorded_log_reload();
    cr_assert_eq(rl_table_count(&group()->consumer->by_member_id), 1);
    one.member_id = text("new");        /* not of this protocol */
    rl_groups_leave(&rig.groups, &leave);
    recorded_log_settle();
    cr_assert_eq(one.error, RL_GROUP_UNKNOWN_MEMBER);
    stop();
}

Test(consumer_migrate, a_member_that_could_not_be_removed_is_there)
{
    struct classic c = { 0 };
    start_classic(&c, NULL);
    cr_assert_eq(beat("new", NULL, 0), RL_GROUP_OK);
    struct rl_group_leave_member one = { .member_id = text(c.id) };
    struct rl_group_leave leave = { .group_id = text("g"), .members = &one, .count = 1, .answer = { .done = on_answered } };
    rl_groups_leave(&rig.groups, &leave);
    recorded_log_reload();
    cr_assert_eq(leave.error, RL_GROUP_NOT_COORDINATOR);
    cr_assert_eq(rl_table_count(&group()->consumer->by_member_id), 2);
    stop();
}

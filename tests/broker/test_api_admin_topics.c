/* tests/broker/test_api_admin_topics.c — CreateTopics and DeleteTopics. */
#include "admin_fixture.h"
#include "wire/api_table.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_delete_topics.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void setup(void)
{
    admin_start("num.partitions=3\n");
}

TestSuite(api_admin_topics, .init = setup, .fini = admin_stop);

#define TEXT_IS(slice, text) \
    cr_assert(rl_slice_equal_string((slice), (text)), "%.*s", (int)(slice).bytes, \
              (const char *)(slice).data)

/* ---- CreateTopics ---- */

static struct rl_create_topics_request_topic topic_of(const char *name, int32_t partitions,
                                                      int16_t factor)
{
    return (struct rl_create_topics_request_topic){
        .name = rl_slice_of_string(name), .num_partitions = partitions,
        .replication_factor = factor };
}

static struct rl_create_topics_response *create(int16_t version,
                                                struct rl_create_topics_request_topic *topics,
                                                int32_t count, bool validate_only)
{
    struct rl_create_topics_request request = { .topics = topics, .topics_count = count,
                                                .validate_only = validate_only };
    return admin_ask(RL_API_CREATE_TOPICS, version, &request);
}

static struct rl_create_topics_response_topic *create_one(
    struct rl_create_topics_request_topic topic)
{
    struct rl_create_topics_response *answer = create(7, &topic, 1, false);
    cr_assert_eq(answer->topics_count, 1);
    return &answer->topics[0];
}

static void create_refused(struct rl_create_topics_request_topic topic, int16_t error,
                           const char *message)
{
    uint64_t calls = admin.calls;
    struct rl_create_topics_response_topic *answer = create_one(topic);
    cr_assert_eq(answer->error_code, error, "%d", answer->error_code);
    TEXT_IS(answer->error_message, message);
    cr_assert_eq(answer->num_partitions, -1);
    cr_assert_eq(answer->replication_factor, -1);
    cr_assert_eq(answer->configs_count, 0);
    cr_assert(rl_uuid_is_zero(answer->topic_id));
    cr_assert_eq(admin.calls, calls);
}

Test(api_admin_topics, create_all_versions)
{
    char name[8];
    for (int16_t version = 2; version <= 7; version++) {
        snprintf(name, sizeof name, "t%d", version);
        struct rl_create_topics_request_topic topic = topic_of(name, -1, -1);
        struct rl_create_topics_response *answer = create(version, &topic, 1, false);
        cr_assert_eq(answer->topics_count, 1);
        cr_assert_eq(answer->topics[0].error_code, 0);
        cr_assert_null(answer->topics[0].error_message.data);
        cr_assert_eq(admin.last_create.partition_count, 3);
        if (version >= 5) {
            cr_assert_eq(answer->topics[0].num_partitions, 3);
            cr_assert_eq(answer->topics[0].replication_factor, 1);
            cr_assert_eq(answer->topics[0].configs_count,
                         (int32_t)rl_config_key_count(RL_CONFIG_TOPIC));
        }
        if (version >= 7)
            cr_assert_not(rl_uuid_is_zero(answer->topics[0].topic_id));
    }
}

Test(api_admin_topics, create_with_overrides_the_last_of_a_key_counts)
{
    struct rl_create_topics_request_config configs[] = {
        { rl_slice_of_string("retention.ms"), rl_slice_of_string("1") },
        { rl_slice_of_string("cleanup.policy"), rl_slice_of_string("delete") },
        { rl_slice_of_string("retention.ms"), rl_slice_of_string("2") },
    };
    struct rl_create_topics_request_topic topics[] = { topic_of("plain", 1, 1),
                                                       topic_of("t", 2, 1) };
    topics[1].configs = configs;
    topics[1].configs_count = 3;
    struct rl_create_topics_response *answer = create(7, topics, 2, false);
    cr_assert_eq(answer->topics[1].error_code, 0);
    cr_assert_str_eq(admin.last_overrides, "retention.ms=2 cleanup.policy=delete");
    bool seen = false;
    for (int32_t i = 0; i < answer->topics[1].configs_count; i++) {
        if (!rl_slice_equal_string(answer->topics[1].configs[i].name, "retention.ms"))
            continue;
        seen = true;
        TEXT_IS(answer->topics[1].configs[i].value, "2");
        cr_assert_eq(answer->topics[1].configs[i].config_source, RL_CONFIG_SOURCE_TOPIC);
        cr_assert_eq(answer->topics[0].configs[i].config_source, RL_CONFIG_SOURCE_DEFAULT);
    }
    cr_assert(seen);
}

Test(api_admin_topics, create_bad_names)
{
    create_refused(topic_of("", 1, 1), RL_KAFKA_INVALID_TOPIC_EXCEPTION,
                   "Topic name is invalid: the empty string is not allowed");
    create_refused(topic_of("..", 0, 9), RL_KAFKA_INVALID_TOPIC_EXCEPTION,
                   "Topic name is invalid: '..' is not allowed");
    create_refused(topic_of("__cluster_metadata", 1, 1), RL_KAFKA_INVALID_REQUEST,
                   "Creation of internal topic __cluster_metadata is prohibited.");
    struct rl_create_topics_request_topic nul = topic_of("", 1, 1);
    nul.name = rl_slice_of("a\0b", 3);
    cr_assert_eq(create_one(nul)->error_code, RL_KAFKA_INVALID_TOPIC_EXCEPTION);
    cr_assert_eq(admin.calls, 0);
}

Test(api_admin_topics, create_bad_numbers)
{
    create_refused(topic_of("t", 0, 1), RL_KAFKA_INVALID_PARTITIONS,
                   "Number of partitions was set to an invalid non-positive value.");
    create_refused(topic_of("t", -2, 1), RL_KAFKA_INVALID_PARTITIONS,
                   "Number of partitions was set to an invalid non-positive value.");
    create_refused(topic_of("t", 0, 0), RL_KAFKA_INVALID_REPLICATION_FACTOR,
                   "Replication factor must be larger than 0, or -1 to use the default value.");
    create_refused(topic_of("t", 1, -2), RL_KAFKA_INVALID_REPLICATION_FACTOR,
                   "Replication factor must be larger than 0, or -1 to use the default value.");
    create_refused(topic_of("t", 1, 3), RL_KAFKA_INVALID_REPLICATION_FACTOR,
                   "Unable to replicate the partition 3 time(s): The target replication factor of "
                   "3 cannot be reached because only 1 broker(s) are registered or some brokers have "
                   "all their log directories cordoned.");
}

Test(api_admin_topics, create_too_many_partitions_refuses_the_whole_request)
{
    struct rl_create_topics_request_topic topics[] = { topic_of("a", 5000, 1),
                                                       topic_of("b", 5001, 1),
                                                       topic_of("a b", 1, 1) };
    struct rl_create_topics_response *answer = create(7, topics, 3, false);
    for (int32_t i = 0; i < 3; i++) {
        cr_assert_eq(answer->topics[i].error_code, RL_KAFKA_POLICY_VIOLATION);
        TEXT_IS(answer->topics[i].error_message,
                "Excessively large number of partitions per request.");
    }
    cr_assert_eq(admin.calls, 0);
    create_refused(topic_of("t", INT32_MAX, 1), RL_KAFKA_POLICY_VIOLATION,
                   "Excessively large number of partitions per request.");
}

Test(api_admin_topics, create_bad_configs)
{
    struct rl_create_topics_request_config config = { rl_slice_of_string("nope"),
                                                      rl_slice_of_string("1") };
    struct rl_create_topics_request_topic topic = topic_of("t", 0, 0);
    topic.configs = &config;
    topic.configs_count = 1;
    create_refused(topic, RL_KAFKA_INVALID_CONFIG, "Unknown topic config name: nope");
    config.name = rl_slice_of_string("retention.ms");
    config.value = rl_slice_of_string("abc");
    create_refused(topic, RL_KAFKA_INVALID_CONFIG,
                   "Invalid value abc for configuration retention.ms: Not a number of type LONG");
    config.value = rl_slice_of(NULL, 0);
    create_refused(topic, RL_KAFKA_INVALID_CONFIG,
                   "Null value not supported for topic configs: retention.ms");
    config.name = rl_slice_of("retention.ms\0x", 14);
    config.value = rl_slice_of_string("5");
    create_refused(topic, RL_KAFKA_INVALID_CONFIG, "Unknown topic config name: retention.ms?x");
}

Test(api_admin_topics, create_with_assignments)
{
    static const int32_t own[] = { ADMIN_NODE_ID }, other[] = { 8 }, twice[] = { 7, 7 },
                         both[] = { 8, 7 }, less[] = { 7, -1, 7 };
    static const struct {
        int32_t index[2];
        const int32_t *ids[2];
        int32_t counts[2];
        const char *message;            /* NULL: good */
    } cases[] = {
        { { 0, 1 }, { own, own }, { 1, 1 }, NULL },
        { { 1, 0 }, { own, own }, { 1, 1 }, NULL },
        { { 0, 2 }, { own, own }, { 1, 1 },
          "partitions should be a consecutive 0-based integer sequence" },
        { { -1, 0 }, { own, own }, { 1, 1 },
          "partitions should be a consecutive 0-based integer sequence" },
        { { 0, 0 }, { own, own }, { 1, 1 },
          "Found multiple manual partition assignments for partition 0" },
        { { 0, 1 }, { own, own }, { 1, 0 },
          "The manual partition assignment includes an empty replica list." },
        { { 0, 1 }, { own, other }, { 1, 1 },
          "The manual partition assignment includes broker 8, but no such broker is registered." },
        { { 0, 1 }, { both, own }, { 2, 1 },
          "The manual partition assignment includes broker 8, but no such broker is registered." },
        { { 0, 1 }, { less, own }, { 3, 1 },
          "The manual partition assignment includes broker -1, but no such broker is registered." },
        { { 0, 1 }, { twice, own }, { 2, 1 },
          "The manual partition assignment includes the broker 7 more than once." },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        struct rl_create_topics_request_assignment assignments[2];
        for (int k = 0; k < 2; k++)
            assignments[k] = (struct rl_create_topics_request_assignment){
                cases[i].index[k], cases[i].ids[k], cases[i].counts[k] };
        char name[8];
        snprintf(name, sizeof name, "t%zu", i);
        struct rl_create_topics_request_topic topic = topic_of(name, -1, -1);
        topic.assignments = assignments;
        topic.assignments_count = 2;
        if (cases[i].message != NULL) {
            create_refused(topic, RL_KAFKA_INVALID_REPLICA_ASSIGNMENT, cases[i].message);
            continue;
        }
        cr_assert_eq(create_one(topic)->num_partitions, 2);
        topic.num_partitions = 2;
        topic.name = rl_slice_of_string("more");
        create_refused(topic, RL_KAFKA_INVALID_REQUEST, "A manual partition assignment was "
                       "specified, but numPartitions was not set to -1.");
        topic.replication_factor = 1;
        create_refused(topic, RL_KAFKA_INVALID_REQUEST, "A manual partition assignment was "
                       "specified, but replication factor was not set to -1.");
    }
}

Test(api_admin_topics, create_what_exists_and_what_comes_twice)
{
    admin_add_topic("there", 1, NULL, 0);
    create_refused(topic_of("there", 0, 0), RL_KAFKA_TOPIC_ALREADY_EXISTS,
                   "Topic 'there' already exists.");
    struct rl_create_topics_request_topic topics[] = {
        topic_of("twice", -5, 1), topic_of("once", 1, 1), topic_of("twice", 1, 1),
        topic_of("twice", 1, 1) };
    struct rl_create_topics_response *answer = create(7, topics, 4, false);
    cr_assert_eq(answer->topics_count, 2);
    TEXT_IS(answer->topics[0].name, "once");
    cr_assert_eq(answer->topics[0].error_code, 0);
    cr_assert_eq(answer->topics[1].error_code, RL_KAFKA_INVALID_REQUEST);
    TEXT_IS(answer->topics[1].error_message, "Duplicate topic name.");
}

Test(api_admin_topics, create_validates_only)
{
    struct rl_create_topics_request_topic topic = topic_of("t", 2, 1);
    struct rl_create_topics_response *answer = create(7, &topic, 1, true);
    cr_assert_eq(answer->topics[0].error_code, 0);
    cr_assert_eq(answer->topics[0].num_partitions, 2);
    cr_assert_eq(admin.image.topic_count, 0);
    cr_assert_eq(create(7, NULL, 0, false)->topics_count, 0);
}

Test(api_admin_topics, create_outcomes_of_the_controller)
{
    static const struct { rl_status status; int16_t error; } cases[] = {
        { RL_EINVAL, RL_KAFKA_INVALID_TOPIC_EXCEPTION },
        { RL_EEXIST, RL_KAFKA_TOPIC_ALREADY_EXISTS },
        { RL_EIO, RL_KAFKA_KAFKA_STORAGE_ERROR },
        { RL_ENOSPACE, RL_KAFKA_KAFKA_STORAGE_ERROR },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        admin.outcome = cases[i].status;
        struct rl_create_topics_response_topic *answer = create_one(topic_of("t", 1, 1));
        cr_assert_eq(answer->error_code, cases[i].error);
        TEXT_IS(answer->error_message, "because");
    }
}

Test(api_admin_topics, create_waits_for_all_and_survives_the_client)
{
    struct rl_create_topics_request_topic topics[] = { topic_of("a", 1, 1), topic_of("b", 1, 1) };
    struct rl_create_topics_request request = { .topics = topics, .topics_count = 2 };
    admin.hold = true;
    admin_send(RL_API_CREATE_TOPICS, 7, &request);
    cr_assert_null(admin_receive(RL_API_CREATE_TOPICS, 7));
    cr_assert_eq(admin.pending_count, 2);
    rl_mem_client_close(admin.client);
    rl_mem_settle(admin.set);
    admin_release();
    cr_assert_eq(admin.image.topic_count, 2);
    admin.client = rl_mem_connect(admin.mem, ADMIN_PORT);
}

/* ---- DeleteTopics ---- */

static struct rl_delete_topics_request_topic item_of(const char *name, const struct rl_uuid *id)
{
    struct rl_delete_topics_request_topic item = { .name = rl_slice_of_string(name) };
    if (id != NULL)
        item.topic_id = *id;
    return item;
}

static struct rl_delete_topics_response *delete_items(
    struct rl_delete_topics_request_topic *items, int32_t count)
{
    struct rl_delete_topics_request request = { .topics = items, .topics_count = count };
    return admin_ask(RL_API_DELETE_TOPICS, 6, &request);
}

static struct rl_delete_topics_response *delete_names(int16_t version, const char *a, const char *b)
{
    struct rl_slice names[] = { rl_slice_of_string(a), rl_slice_of_string(b) };
    struct rl_delete_topics_request request = { .topic_names = names, .topic_names_count = 2 };
    return admin_ask(RL_API_DELETE_TOPICS, version, &request);
}

Test(api_admin_topics, delete_by_name)
{
    for (int16_t version = 1; version <= 5; version++) {
        admin_add_topic("t", 1, NULL, 0);
        struct rl_delete_topics_response *answer = delete_names(version, "t", "a b");
        cr_assert_eq(answer->responses_count, 2);
        TEXT_IS(answer->responses[0].name, "t");
        cr_assert_eq(answer->responses[0].error_code, 0);
        cr_assert_null(answer->responses[0].error_message.data);
        cr_assert_eq(answer->responses[1].error_code, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        if (version == 5)
            TEXT_IS(answer->responses[1].error_message,
                    "This server does not host this topic-partition.");
        cr_assert_eq(admin.image.topic_count, 0);
    }
}

Test(api_admin_topics, delete_by_id)
{
    struct rl_uuid id = admin_add_topic("t", 1, NULL, 0)->id, unknown = { { 1 } };
    struct rl_delete_topics_request_topic items[] = { item_of(NULL, &id), item_of(NULL, &unknown) };
    struct rl_delete_topics_response *answer = delete_items(items, 2);
    TEXT_IS(answer->responses[0].name, "t");
    cr_assert(rl_uuid_equal(answer->responses[0].topic_id, id));
    cr_assert_eq(answer->responses[0].error_code, 0);
    cr_assert_null(answer->responses[1].name.data);
    cr_assert_eq(answer->responses[1].error_code, RL_KAFKA_UNKNOWN_TOPIC_ID);
    TEXT_IS(answer->responses[1].error_message, "This server does not host this topic ID.");
}

Test(api_admin_topics, delete_nothing_that_is_named_twice)
{
    struct rl_uuid id = admin_add_topic("t", 1, NULL, 0)->id;
    struct rl_delete_topics_response *answer = delete_names(5, "t", "t");
    cr_assert_eq(answer->responses_count, 1);
    TEXT_IS(answer->responses[0].error_message, "Duplicate topic name.");

    struct rl_delete_topics_request_topic same[] = { item_of("t", NULL), item_of(NULL, &id) };
    answer = delete_items(same, 2);
    cr_assert_eq(answer->responses_count, 1);
    cr_assert_eq(answer->responses[0].error_code, RL_KAFKA_INVALID_REQUEST);
    TEXT_IS(answer->responses[0].error_message,
            "The provided topic name maps to an ID that was already supplied.");

    struct rl_delete_topics_request_topic all[] = { item_of(NULL, &id), item_of(NULL, &id),
                                                    item_of("t", NULL), item_of(NULL, NULL),
                                                    item_of("t", &id) };
    answer = delete_items(all, 5);
    cr_assert_eq(answer->responses_count, 4);
    TEXT_IS(answer->responses[0].error_message, "Duplicate topic id.");
    cr_assert_null(answer->responses[0].name.data);
    TEXT_IS(answer->responses[1].error_message,
            "The provided topic name maps to an ID that was already supplied.");
    TEXT_IS(answer->responses[2].error_message, "Neither topic name nor id were specified.");
    TEXT_IS(answer->responses[3].error_message,
            "You may not specify both topic name and topic id.");
    cr_assert_eq(admin.calls, 0);
    cr_assert_eq(admin.image.topic_count, 1);
}

Test(api_admin_topics, delete_disabled)
{
    admin_stop();
    admin_start("delete.topic.enable=false\n");
    admin_add_topic("t", 1, NULL, 0);
    cr_assert_eq(delete_names(2, "t", "u")->responses[0].error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(delete_names(3, "t", "u")->responses[1].error_code,
                 RL_KAFKA_TOPIC_DELETION_DISABLED);
    cr_assert_eq(admin.calls, 0);
}

Test(api_admin_topics, delete_outcomes_of_the_controller)
{
    struct rl_uuid id = admin_add_topic("t", 1, NULL, 0)->id;
    struct rl_delete_topics_request_topic item = item_of(NULL, &id);
    admin.outcome = RL_EIO;
    cr_assert_eq(delete_items(&item, 1)->responses[0].error_code, RL_KAFKA_KAFKA_STORAGE_ERROR);

    struct rl_delete_topics_request request = { .topics = &item, .topics_count = 1 };
    admin.outcome = RL_OK;
    admin.hold = true;
    admin_send(RL_API_DELETE_TOPICS, 6, &request);      /* two clients at once */
    admin_send(RL_API_DELETE_TOPICS, 6, &request);
    admin.correlation_id--;
    admin_release();
    struct rl_delete_topics_response *answer = admin_receive(RL_API_DELETE_TOPICS, 6);
    cr_assert_eq(answer->responses[0].error_code, 0);
    TEXT_IS(answer->responses[0].name, "t");
    admin.correlation_id++;
    answer = admin_receive(RL_API_DELETE_TOPICS, 6);
    cr_assert_eq(answer->responses[0].error_code, RL_KAFKA_UNKNOWN_TOPIC_ID);
}

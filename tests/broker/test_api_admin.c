/* tests/broker/test_api_admin.c — ApiVersions, InitProducerId, DescribeConfigs, Metadata. */
#include "admin_fixture.h"
#include "wire/api_table.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_describe_configs.h"
#include "wire/msg_init_producer_id.h"
#include "wire/msg_metadata.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void setup(void)
{
    admin_start("broker.rack=r1\nnum.partitions=3\nlog.retention.ms=86400000\n");
}

TestSuite(api_admin, .init = setup, .fini = admin_stop);

#define TEXT_IS(slice, text) \
    cr_assert(rl_slice_equal_string((slice), (text)), "%.*s", (int)(slice).bytes, \
              (const char *)(slice).data)

/* ---- ApiVersions ---- */

static struct rl_api_versions_response *ask_versions(int16_t version, const char *name,
                                                     const char *software_version)
{
    struct rl_api_versions_request request = {
        .client_software_name = rl_slice_of_string(name),
        .client_software_version = rl_slice_of_string(software_version) };
    return admin_ask(RL_API_API_VERSIONS, version, &request);
}

Test(api_admin, versions_are_the_rows)
{
    uint32_t count;
    const struct rl_api_row *rows = rl_api_rows(&count);
    for (int16_t version = 0; version <= 4; version++) {
        struct rl_api_versions_response *answer = ask_versions(version, "a.b-c", "1.0");
        cr_assert_eq(answer->error_code, 0);
        cr_assert_eq(answer->api_keys_count, (int32_t)count);
        cr_assert_eq(answer->supported_features_count, version >= 4, "older clients take no level 0");
        cr_assert_eq(answer->finalized_features_count, version >= 3);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(answer->api_keys[i].api_key, rows[i].key);
            cr_assert_eq(answer->api_keys[i].max_version, rows[i].announced_max);
        }
    }
}

Test(api_admin, versions_want_a_proper_client_name)
{
    static const char *const bad[] = { "", "-x", "x-", "x y", "x_y", ".x", "x\n", "é" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(bad); i++) {
        cr_assert_eq(ask_versions(3, bad[i], "1")->error_code, RL_KAFKA_INVALID_REQUEST);
        cr_assert_eq(ask_versions(4, "x", bad[i])->error_code, RL_KAFKA_INVALID_REQUEST);
    }
    cr_assert_eq(ask_versions(2, "", "")->error_code, 0);
}

Test(api_admin, versions_of_the_future_are_answered_in_the_oldest_form)
{
    struct rl_api_versions_request request;
    rl_api_versions_request_init(&request);
    admin_send(RL_API_API_VERSIONS, 99, &request);
    struct rl_api_versions_response *answer = admin_receive(RL_API_API_VERSIONS, 0);
    cr_assert_eq(answer->error_code, RL_KAFKA_UNSUPPORTED_VERSION);
    cr_assert_eq(answer->api_keys_count, 1);
    cr_assert_eq(answer->api_keys[0].api_key, RL_API_API_VERSIONS);
    cr_assert_eq(answer->api_keys[0].max_version, 4);
}

/* ---- InitProducerId ---- */

static struct rl_init_producer_id_response *ask_producer_id(int16_t version,
                                                            const char *transactional_id,
                                                            int64_t id, int16_t epoch)
{
    struct rl_init_producer_id_request request = {
        .transactional_id = rl_slice_of_string(transactional_id), .producer_id = id,
        .producer_epoch = epoch, .transaction_timeout_ms = -1 };
    return admin_ask(RL_API_INIT_PRODUCER_ID, version, &request);
}

Test(api_admin, producer_ids_are_new_each_time)
{
    int64_t last = -1;
    for (int16_t version = 0; version <= 5; version++) {
        struct rl_init_producer_id_response *answer = ask_producer_id(version, NULL, -1, -1);
        cr_assert_eq(answer->error_code, 0);
        cr_assert_eq(answer->producer_epoch, 0);
        cr_assert_gt(answer->producer_id, last);
        last = answer->producer_id;
    }
    cr_assert_gt(ask_producer_id(5, NULL, last, 3)->producer_id, last);
}

Test(api_admin, producer_ids_without_transactions_and_half_pairs)
{
    cr_assert_eq(ask_producer_id(4, "", -1, -1)->error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(ask_producer_id(4, "t", -1, -1)->error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(ask_producer_id(4, NULL, 5, -1)->error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(ask_producer_id(4, NULL, -1, 5)->error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(admin.calls, 0);
    admin.outcome = RL_EIO;
    struct rl_init_producer_id_response *answer = ask_producer_id(4, NULL, -1, -1);
    cr_assert_eq(answer->error_code, RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    cr_assert_eq(answer->producer_id, -1);
}

/* ---- DescribeConfigs ---- */

static struct rl_describe_configs_response_result *ask_configs(int8_t type, const char *name,
                                                               const char *key)
{
    struct rl_slice keys[] = { rl_slice_of_string(key), rl_slice_of_string("no.such.key") };
    struct rl_describe_configs_request_resource resource = {
        .resource_type = type, .resource_name = rl_slice_of_string(name),
        .configuration_keys = keys, .configuration_keys_count = key != NULL ? 2 : -1 };
    struct rl_describe_configs_request request = { .resources = &resource, .resources_count = 1,
                                                   .include_synonyms = true };
    struct rl_describe_configs_response *answer = admin_ask(RL_API_DESCRIBE_CONFIGS, 4, &request);
    cr_assert_eq(answer->results_count, 1);
    cr_assert_eq(answer->results[0].resource_type, type);
    TEXT_IS(answer->results[0].resource_name, name);
    return &answer->results[0];
}

Test(api_admin, configs_of_a_topic)
{
    struct rl_topic_override override = { "retention.bytes", "5" };
    admin_add_topic("t", 1, &override, 1);
    struct rl_describe_configs_response_result *all = ask_configs(2, "t", NULL);
    cr_assert_eq(all->configs_count, (int32_t)rl_config_key_count(RL_CONFIG_TOPIC));
    cr_assert_not_null(all->error_message.data);

    struct rl_describe_configs_response_result *one = ask_configs(2, "t", "retention.bytes");
    cr_assert_eq(one->configs_count, 1);
    TEXT_IS(one->configs[0].value, "5");
    cr_assert_eq(one->configs[0].config_source, RL_CONFIG_SOURCE_TOPIC);
    cr_assert_gt(one->configs[0].synonyms_count, 0);
    one = ask_configs(2, "t", "retention.ms");
    TEXT_IS(one->configs[0].value, "86400000");
    cr_assert_eq(one->configs[0].config_source, RL_CONFIG_SOURCE_STATIC);
}

Test(api_admin, configs_of_what_is_not_there)
{
    cr_assert_eq(ask_configs(2, "nope", NULL)->error_code, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    struct rl_describe_configs_response_result *result = ask_configs(2, "a b", NULL);
    cr_assert_eq(result->error_code, RL_KAFKA_INVALID_TOPIC_EXCEPTION);
    TEXT_IS(result->error_message, "Topic name is invalid: 'a b' contains one or more characters "
            "other than ASCII alphanumerics, '.', '_' and '-'");
    TEXT_IS(ask_configs(4, "8", NULL)->error_message,
            "Unexpected broker id, expected 7 or empty string, but received 8");
    static const char *const no_numbers[] = { "x", " 7", "7 ", "-", "+", "99999999999", "0x7" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(no_numbers); i++) {
        result = ask_configs(4, no_numbers[i], NULL);
        cr_assert_eq(result->error_code, RL_KAFKA_INVALID_REQUEST);
        cr_assert_eq(result->configs_count, 0);
    }
    cr_assert_eq(ask_configs(16, "x", NULL)->error_code, RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(ask_configs(32, "x", NULL)->error_code, 0);    /* a group need not exist */
    cr_assert_eq(ask_configs(3, "x", NULL)->error_code, RL_KAFKA_INVALID_REQUEST);
}

Test(api_admin, configs_of_the_broker)
{
    cr_assert_eq(ask_configs(4, "7", NULL)->configs_count,
                 (int32_t)rl_config_key_count(RL_CONFIG_BROKER));
    TEXT_IS(ask_configs(4, "+07", "num.partitions")->configs[0].value, "3");
    cr_assert_eq(ask_configs(4, "", NULL)->error_code, 0);
    cr_assert_eq(ask_configs(4, "", NULL)->configs_count, 0);
    struct rl_describe_configs_response_result *loggers = ask_configs(8, "7", NULL);
    cr_assert_eq(loggers->configs_count, 1);
    TEXT_IS(loggers->configs[0].name, "root");
    TEXT_IS(loggers->configs[0].value, "INFO");
    TEXT_IS(ask_configs(8, "", NULL)->error_message, "Broker id must not be empty");
    TEXT_IS(ask_configs(8, "9", NULL)->error_message,
            "Unexpected broker id, expected 7 but received 9");
}

/* ---- Metadata ---- */

/* names: separated by one space; NULL: all topics. */
static struct rl_metadata_request metadata_of(const char *names, bool create)
{
    static struct rl_metadata_request_topic topics[64];
    struct rl_metadata_request request;
    rl_metadata_request_init(&request);
    request.topics_count = names == NULL ? -1 : 0;
    request.topics = topics;
    request.allow_auto_topic_creation = create;
    while (names != NULL && *names != '\0') {
        size_t bytes = strcspn(names, " ");
        topics[request.topics_count++] =
            (struct rl_metadata_request_topic){ .name = rl_slice_of(names, bytes) };
        names += bytes + (names[bytes] == ' ');
    }
    return request;
}

static struct rl_metadata_response *ask_metadata(int16_t version, const char *names, bool create)
{
    struct rl_metadata_request request = metadata_of(names, create);
    return admin_ask(RL_API_METADATA, version, &request);
}

Test(api_admin, metadata_tells_broker_and_partitions)
{
    admin_add_topic("t", 2, NULL, 0);
    for (int16_t version = 0; version <= 13; version++) {
        struct rl_metadata_response *answer = ask_metadata(version, "t", false);
        cr_assert_eq(answer->brokers_count, 1);
        cr_assert_eq(answer->brokers[0].node_id, ADMIN_NODE_ID);
        cr_assert_eq(answer->brokers[0].port, ADMIN_PORT);
        cr_assert_gt(answer->brokers[0].host.bytes, 0);
        if (version >= 1)
            TEXT_IS(answer->brokers[0].rack, "r1");
        if (version >= 2)
            TEXT_IS(answer->cluster_id, "kyqTnjLvSteASnporu96eg");
        cr_assert_eq(answer->topics_count, 1);
        struct rl_metadata_response_topic *topic = &answer->topics[0];
        cr_assert_eq(topic->error_code, 0);
        cr_assert_eq(topic->partitions_count, 2);
        for (int32_t i = 0; i < 2; i++) {
            cr_assert_eq(topic->partitions[i].partition_index, i);
            cr_assert_eq(topic->partitions[i].leader_id, ADMIN_NODE_ID);
            cr_assert_eq(topic->partitions[i].replica_nodes_count, 1);
            cr_assert_eq(topic->partitions[i].isr_nodes[0], ADMIN_NODE_ID);
        }
        cr_assert_eq(topic->topic_authorized_operations, INT32_MIN);
    }
}

/* Directories of partitions 2 and 3 are still being made. */
Test(api_admin, metadata_of_a_topic_that_grows)
{
    struct rl_topic *topic = (struct rl_topic *)(uintptr_t)admin_add_topic("t", 4, NULL, 0);
    topic->state = RL_TOPIC_CREATING;
    topic->partitions_made = 2;
    struct rl_metadata_response_topic *answer = &ask_metadata(12, "t", true)->topics[0];
    cr_assert_eq(answer->partitions_count, 2);
    cr_assert_eq(answer->partitions[1].error_code, 0);
    cr_assert_eq(answer->partitions[1].leader_id, ADMIN_NODE_ID);
}

Test(api_admin, metadata_of_all_and_of_none)
{
    admin_add_topic("b", 1, NULL, 0);
    admin_add_topic("a", 1, NULL, 0);
    cr_assert_eq(ask_metadata(0, "", false)->topics_count, 2);
    cr_assert_eq(ask_metadata(1, "", false)->topics_count, 0);
    struct rl_metadata_response *answer = ask_metadata(13, NULL, true);
    cr_assert_eq(answer->topics_count, 2);
    TEXT_IS(answer->topics[0].name, "a");
    TEXT_IS(answer->topics[1].name, "b");
    cr_assert_eq(admin.calls, 0);
}

Test(api_admin, metadata_answers_each_name_once_found_ones_first)
{
    admin_add_topic("t", 1, NULL, 0);
    struct rl_metadata_response *answer = ask_metadata(9, "nope .. t nope t", false);
    cr_assert_eq(answer->topics_count, 3);
    TEXT_IS(answer->topics[0].name, "t");
    cr_assert_eq(answer->topics[1].error_code, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(answer->topics[2].error_code, RL_KAFKA_INVALID_TOPIC_EXCEPTION);
}

Test(api_admin, metadata_operations_when_asked)
{
    struct rl_metadata_request request = metadata_of("nope", false);
    request.include_topic_authorized_operations = true;
    request.include_cluster_authorized_operations = true;
    struct rl_metadata_response *answer = admin_ask(RL_API_METADATA, 8, &request);
    cr_assert_eq(answer->cluster_authorized_operations, 8096);
    cr_assert_eq(answer->topics[0].topic_authorized_operations, 3576);
}

Test(api_admin, metadata_by_id)
{
    struct rl_uuid id = admin_add_topic("t", 1, NULL, 0)->id;
    struct rl_metadata_request request = metadata_of("other x y", true);
    request.topics[0].topic_id = id;
    request.topics[1].topic_id = (struct rl_uuid){ { 1, 2, 3 } };
    struct rl_metadata_response *answer = admin_ask(RL_API_METADATA, 12, &request);
    cr_assert_eq(answer->topics_count, 2);      /* names do not count beside ids */
    cr_assert_eq(answer->topics[0].error_code, RL_KAFKA_UNKNOWN_TOPIC_ID);
    cr_assert_null(answer->topics[0].name.data);
    TEXT_IS(answer->topics[1].name, "t");
    cr_assert_eq(admin.calls, 0);

    answer = admin_ask(RL_API_METADATA, 10, &request);
    cr_assert_eq(answer->brokers_count, 0);
    cr_assert_eq(answer->topics_count, 3);
    cr_assert_eq(answer->topics[2].error_code, RL_KAFKA_INVALID_REQUEST);

    request = metadata_of("x", false);
    request.topics[0].name = rl_slice_of(NULL, 0);
    for (int16_t version = 10; version <= 13; version++) {
        answer = admin_ask(RL_API_METADATA, version, &request);
        cr_assert_eq(answer->topics[0].error_code, RL_KAFKA_INVALID_REQUEST);
        cr_assert_eq(answer->error_code, version >= 13 ? RL_KAFKA_INVALID_REQUEST : 0);
    }
}

Test(api_admin, metadata_creates_what_is_missing_and_then_answers)
{
    admin.hold = true;
    struct rl_metadata_request request = metadata_of("new a/b newer new __consumer_offsets", true);
    admin_send(RL_API_METADATA, 4, &request);
    cr_assert_null(admin_receive(RL_API_METADATA, 4));
    cr_assert_eq(admin.pending_count, 2);
    admin_release();
    struct rl_metadata_response *answer = admin_receive(RL_API_METADATA, 4);
    cr_assert_eq(answer->topics_count, 4);
    TEXT_IS(answer->topics[0].name, "new");
    cr_assert_eq(answer->topics[0].partitions_count, 3);        /* num.partitions */
    TEXT_IS(answer->topics[1].name, "newer");
    cr_assert_eq(answer->topics[2].error_code, RL_KAFKA_INVALID_TOPIC_EXCEPTION);
    cr_assert_eq(answer->topics[3].error_code, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(api_admin, metadata_creates_only_when_allowed)
{
    cr_assert_eq(ask_metadata(4, "new", false)->topics[0].error_code,
                 RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(admin.calls, 0);
    cr_assert_eq(ask_metadata(3, "new", false)->topics[0].error_code, 0);       /* always allowed */
    admin_stop();
    admin_start("auto.create.topics.enable=false\n");
    cr_assert_eq(ask_metadata(4, "new", true)->topics[0].error_code,
                 RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    cr_assert_eq(admin.calls, 0);
}

Test(api_admin, metadata_somebody_else_created_it_meanwhile)
{
    struct rl_metadata_request request = metadata_of("new", true);
    admin.hold = true;
    admin_send(RL_API_METADATA, 12, &request);
    admin_add_topic("new", 5, NULL, 0);
    admin_release();
    struct rl_metadata_response *answer = admin_receive(RL_API_METADATA, 12);
    cr_assert_eq(answer->topics[0].error_code, 0);
    cr_assert_eq(answer->topics[0].partitions_count, 5);
}

Test(api_admin, metadata_creation_fails)
{
    admin.outcome = RL_EINVAL;
    struct rl_metadata_response *answer = ask_metadata(12, "new", true);
    cr_assert_eq(answer->topics[0].error_code, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

Test(api_admin, metadata_client_gone_while_creating)
{
    struct rl_metadata_request request = metadata_of("new", true);
    admin.hold = true;
    admin_send(RL_API_METADATA, 12, &request);
    rl_mem_client_close(admin.client);
    rl_mem_settle(admin.set);
    admin_release();
    admin.client = rl_mem_connect(admin.mem, ADMIN_PORT);
    admin.hold = false;
    cr_assert_eq(ask_metadata(12, "new", true)->topics[0].error_code, 0);
}

Test(api_admin, metadata_of_a_topic_being_made)
{
    struct rl_topic *topic = (struct rl_topic *)(uintptr_t)admin_add_topic("t", 1, NULL, 0);
    admin_add_topic("u", 2, NULL, 0);
    topic->state = RL_TOPIC_CREATING;
    topic->leader_epoch = 4;
    struct rl_metadata_response *answer = ask_metadata(12, NULL, false);
    cr_assert_eq(answer->topics[0].error_code, 0);
    cr_assert_eq(answer->topics[0].partitions[0].error_code, RL_KAFKA_LEADER_NOT_AVAILABLE);
    cr_assert_eq(answer->topics[0].partitions[0].leader_id, -1);
    cr_assert_eq(answer->topics[0].partitions[0].leader_epoch, 4);
    cr_assert_eq(answer->topics[1].partitions[1].leader_epoch, 0);
    cr_assert_eq(answer->topics[1].partitions[1].error_code, 0);
}

Test(api_admin, metadata_of_ten_thousand_topics)
{
    admin_add_topics("topic-%05d", 10000, 100);
    struct rl_metadata_response *answer = ask_metadata(12, NULL, false);
    cr_assert_eq(answer->topics_count, 10000);
    TEXT_IS(answer->topics[9999].name, "topic-09999");
    cr_assert_eq(answer->topics[9999].partitions[99].partition_index, 99);
}

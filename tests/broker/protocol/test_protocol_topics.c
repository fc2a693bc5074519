/* tests/broker/protocol/test_protocol_topics.c — Metadata, CreateTopics, DeleteTopics and
 * DescribeConfigs in every version: what each version can say; many topics at once; races. */
#include "core/memory.h"
#include "protocol_calls.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_delete_topics.h"
#include "wire/msg_describe_configs.h"
#include "wire/msg_metadata.h"
#include <criterion/criterion.h>
#include <stdlib.h>

enum { NAMES_MAX = 256 };

static struct rl_metadata_request ask_metadata(struct rl_metadata_request_topic *topics, int32_t count, bool create)
{
    struct rl_metadata_request ask;
    rl_metadata_request_init(&ask);
    ask.topics = topics;
    ask.topics_count = count;
    ask.allow_auto_topic_creation = create;
    return ask;
}

PROTOCOL_TEST(metadata, each_version)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "described", 3, NULL);
    for (int16_t version = METADATA_MIN; version <= METADATA_MAX; version++) {
        struct rl_metadata_request_topic topics[3] = {
            { .name = rl_slice_of_string(t.name) }, { .name = rl_slice_of_string("a b") },
            { .name = rl_slice_of_string(t.name) } };
        struct rl_metadata_request ask = ask_metadata(topics, 3, false);
        ask.include_topic_authorized_operations = ask.include_cluster_authorized_operations = true;
        const struct rl_metadata_response *reply = client_call(c, RL_API_METADATA, version, &ask);
        cr_assert_eq(reply->error_code, 0);
        cr_assert_eq(reply->brokers_count, 1);
        cr_assert_eq(reply->brokers[0].port, b->port);
        cr_assert(rl_slice_equal_string(reply->brokers[0].host, "127.0.0.1"));
        int32_t node_id = reply->brokers[0].node_id;
        if (version >= 1)
            cr_assert_eq(reply->controller_id, node_id);
        if (version >= 2)
            cr_assert_eq(reply->cluster_id.bytes, 22);
        cr_assert_eq(reply->topics_count, 2);
        const struct rl_metadata_response_topic *found = &reply->topics[0];
        cr_assert_eq(reply->topics[1].error_code, 17);
        cr_assert_eq(found->error_code, 0);
        cr_assert(rl_slice_equal_string(found->name, t.name));
        if (version >= 10)
            cr_assert(rl_uuid_equal(found->topic_id, t.id));
        if (version >= 8)
            cr_assert_eq(found->topic_authorized_operations, 3576);
        cr_assert_eq(found->partitions_count, 3);
        for (int32_t p = 0; p < 3; p++) {
            const struct rl_metadata_response_partition *part = &found->partitions[p];
            cr_assert_eq(part->error_code, 0);
            cr_assert_eq(part->partition_index, p);
            cr_assert_eq(part->leader_id, node_id);
            cr_assert_eq(part->leader_epoch, version >= 7 ? 0 : -1);
            cr_assert_eq(part->replica_nodes_count, 1);
            cr_assert_eq(part->isr_nodes_count, 1);
            cr_assert_eq(part->offline_replicas_count, 0);
        }
    }
    client_close(c);
}

/* Null means all, empty none; version 0 says all by empty.  Ids count from version 12 on. */
PROTOCOL_TEST(metadata, all_none_and_by_id)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "only", 1, NULL);
    for (int16_t version = METADATA_MIN; version <= METADATA_MAX; version++) {
        struct rl_metadata_request ask = ask_metadata(NULL, -1, true);
        const struct rl_metadata_response *reply = client_call(c, RL_API_METADATA, version, &ask);
        cr_assert_eq(reply->topics_count, 1);
        ask.topics_count = 0;
        reply = client_call(c, RL_API_METADATA, version, &ask);
        cr_assert_eq(reply->topics_count, version == 0 ? 1 : 0);
        if (version < 10)
            continue;
        struct rl_metadata_request_topic topics[2] = { { .topic_id = t.id }, { .topic_id = { { 7 } } } };
        ask = ask_metadata(topics, 2, true);
        reply = client_call(c, RL_API_METADATA, version, &ask);
        cr_assert_eq(reply->topics_count, 2);
        int ok = 0, unknown = 0, refused = 0;
        for (int i = 0; i < 2; i++) {
            ok += reply->topics[i].error_code == 0;
            unknown += reply->topics[i].error_code == 100;
            refused += reply->topics[i].error_code == 42;
        }
        cr_assert(version < 12 ? refused == 2 : ok == 1 && unknown == 1);
    }
    client_close(c);
}

/* Whoever asks for an unknown topic creates it, unless the version can say no and does. */
PROTOCOL_TEST(metadata, creates_on_first_use, "num.partitions=3")
{
    struct client *c = client_open(b);
    for (int16_t version = METADATA_MIN; version <= METADATA_MAX; version++)
        for (int create = 0; create <= 1; create++) {
            char name[32];
            snprintf(name, sizeof name, "first-use-%d-%d", version, create);
            struct rl_metadata_request_topic topic = { .name = rl_slice_of_string(name) };
            struct rl_metadata_request ask = ask_metadata(&topic, 1, create == 1);
            const struct rl_metadata_response *reply = client_call(c, RL_API_METADATA, version, &ask);
            cr_assert_eq(reply->topics_count, 1);
            bool created = version < 4 || create == 1;
            cr_assert_eq(reply->topics[0].error_code, created ? 0 : 3);
            cr_assert_eq(reply->topics[0].partitions_count, created ? 3 : 0);
        }
    client_close(c);
}

PROTOCOL_TEST(metadata, does_not_create_when_disabled, "auto.create.topics.enable=false")
{
    struct client *c = client_open(b);
    for (int16_t version = METADATA_MIN; version <= METADATA_MAX; version++) {
        struct rl_metadata_request_topic topic = { .name = rl_slice_of_string("unwanted") };
        struct rl_metadata_request ask = ask_metadata(&topic, 1, true);
        const struct rl_metadata_response *reply = client_call(c, RL_API_METADATA, version, &ask);
        cr_assert_eq(reply->topics[0].error_code, 3);
    }
    client_close(c);
}

/* Four connections ask for the same new names at once: one topic each, the same for all, and
 * every one can be written by everybody at once. */
PROTOCOL_TEST(metadata, creation_races, "num.partitions=4")
{
    enum { CONNECTIONS = 4, ROUNDS = 6, NAMES = 5 };
    struct client *c[CONNECTIONS];
    struct blob batch = batch_small(1);
    for (int i = 0; i < CONNECTIONS; i++)
        c[i] = client_open(b);
    for (int round = 0; round < ROUNDS; round++) {
        char names[NAMES][32];
        struct rl_metadata_request_topic topics[NAMES];
        struct topic t[NAMES];
        for (int i = 0; i < CONNECTIONS; i++) {
            for (int n = 0; n < NAMES; n++) {
                snprintf(names[n], sizeof names[n], "race-%d-%d", round, n);
                topics[(n + i) % NAMES] = (struct rl_metadata_request_topic){ .name = rl_slice_of_string(names[n]) };
            }
            struct rl_metadata_request ask = ask_metadata(topics, NAMES, true);
            client_send(c[i], RL_API_METADATA, 12, &ask);
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            const struct rl_metadata_response *reply = client_receive(c[i]);
            cr_assert_eq(reply->topics_count, NAMES);
            for (int n = 0; n < NAMES; n++) {
                const struct rl_metadata_response_topic *topic = &reply->topics[n];
                cr_assert_eq(topic->error_code, 0, "connection %d: error %d", i, topic->error_code);
                cr_assert_eq(topic->partitions_count, 4);
                int k = topic->name.data[topic->name.bytes - 1] - '0';
                if (i == 0) {
                    snprintf(t[k].name, sizeof t[k].name, "%s", names[k]);
                    t[k].id = topic->topic_id;
                }
                cr_assert(rl_uuid_equal(t[k].id, topic->topic_id));
                for (int32_t p = 0; p < 4; p++)
                    cr_assert_eq(topic->partitions[p].error_code, 0);
            }
        }
        for (int i = 0; i < CONNECTIONS; i++)
            for (int n = 0; n < NAMES; n++)
                produce_send(c[i], 13, &t[n], i, 1, rl_slice_of(batch.bytes, batch.size));
        for (int i = 0; i < CONNECTIONS; i++)
            for (int n = 0; n < NAMES; n++)
                cr_assert_eq(produce_receive(c[i])->error_code, 0);
    }
    rl_free(batch.bytes);
    for (int i = 0; i < CONNECTIONS; i++)
        client_close(c[i]);
}

/* ---- create and delete ---- */

PROTOCOL_TEST(topics, create_and_delete_in_each_version)
{
    struct client *c = client_open(b);
    for (int16_t version = 2; version <= 7; version++) {
        struct rl_create_topics_request_config config = { rl_slice_of_string("retention.ms"), rl_slice_of_string("5000") };
        struct rl_create_topics_request_topic topics[4];
        struct rl_create_topics_request ask = { .topics = topics, .topics_count = 4, .timeout_ms = 10000 };
        for (int i = 0; i < 4; i++) {
            rl_create_topics_request_topic_init(&topics[i]);
            topics[i].num_partitions = 2;
            topics[i].replication_factor = 1;
        }
        topics[0].name = rl_slice_of_string("versions");
        topics[0].configs = &config;
        topics[0].configs_count = 1;
        topics[1].name = rl_slice_of_string("no blanks");
        topics[2].name = rl_slice_of_string("zero");
        topics[2].num_partitions = 0;
        topics[3].name = rl_slice_of_string("replicas");
        topics[3].replication_factor = 3;
        static const int16_t errors[] = { 0, 17, 37, 38 };
        for (int only = 1; only >= 0; only--) {
            ask.validate_only = only == 1;
            const struct rl_create_topics_response *reply = client_call(c, RL_API_CREATE_TOPICS, version, &ask);
            cr_assert_eq(reply->topics_count, 4);
            for (int i = 0; i < 4; i++) {
                const struct rl_create_topics_response_topic *topic = &reply->topics[i];
                int k = 0;
                while (!rl_slice_equal(topic->name, topics[k].name))
                    cr_assert_lt(++k, 4);
                cr_assert_eq(topic->error_code, errors[k], "version %d topic %d: error %d", version, k, topic->error_code);
                if (version >= 5 && k == 0)
                    cr_assert_eq(topic->num_partitions, 2);
                if (version >= 7 && k == 0 && only == 0)
                    cr_assert(!rl_uuid_is_zero(topic->topic_id));
            }
        }
        const struct rl_create_topics_response *again = client_call(c, RL_API_CREATE_TOPICS, version, &ask);
        for (int i = 0; i < 4; i++)
            if (rl_slice_equal(again->topics[i].name, topics[0].name))
                cr_assert_eq(again->topics[i].error_code, 36);

        int16_t delete_version = (int16_t)(version - 1);
        struct rl_slice names[2] = { topics[0].name, rl_slice_of_string("nothing") };
        struct rl_delete_topics_request_topic by_name[2] = { { .name = names[0] }, { .name = names[1] } };
        struct rl_delete_topics_request doomed = { .topics = by_name, .topics_count = 2, .topic_names = names,
                                                   .topic_names_count = 2, .timeout_ms = 10000 };
        const struct rl_delete_topics_response *gone = client_call(c, RL_API_DELETE_TOPICS, delete_version, &doomed);
        cr_assert_eq(gone->responses_count, 2);
        for (int i = 0; i < 2; i++)
            cr_assert_eq(gone->responses[i].error_code, rl_slice_equal(gone->responses[i].name, names[0]) ? 0 : 3);
    }
    client_close(c);
}

PROTOCOL_TEST(topics, delete_by_id)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "by-id", 2, NULL);
    struct rl_delete_topics_request_topic topics[2] = { { .topic_id = t.id }, { .topic_id = { { 5 } } } };
    struct rl_delete_topics_request ask = { .topics = topics, .topics_count = 2, .timeout_ms = 10000 };
    const struct rl_delete_topics_response *reply = client_call(c, RL_API_DELETE_TOPICS, 6, &ask);
    cr_assert_eq(reply->responses_count, 2);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(reply->responses[i].error_code, rl_uuid_equal(reply->responses[i].topic_id, t.id) ? 0 : 100);
    client_close(c);
}

/* 200 topics in one request, written each, listed, found after a kill, deleted in one request. */
PROTOCOL_TEST(topics, two_hundred_at_once)
{
    enum { COUNT = 200 };
    struct client *c = client_open(b);
    static char names[COUNT][32];
    static struct rl_create_topics_request_topic topics[COUNT];
    static struct rl_slice doomed_names[COUNT];
    static struct topic t[COUNT];
    struct blob batch = batch_small(1);
    for (int i = 0; i < COUNT; i++) {
        rl_create_topics_request_topic_init(&topics[i]);
        snprintf(names[i], sizeof names[i], "many-%03d", i);
        topics[i].name = doomed_names[i] = rl_slice_of_string(names[i]);
        topics[i].num_partitions = 1 + i % 3;
        topics[i].replication_factor = -1;
    }
    struct rl_create_topics_request ask = { .topics = topics, .topics_count = COUNT, .timeout_ms = 20000 };
    const struct rl_create_topics_response *reply = client_call(c, RL_API_CREATE_TOPICS, 7, &ask);
    cr_assert_eq(reply->topics_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(reply->topics[i].error_code, 0);
        const uint8_t *digits = reply->topics[i].name.data + 5;
        int k = ((digits[0] - '0') * 10 + digits[1] - '0') * 10 + digits[2] - '0';
        snprintf(t[k].name, sizeof t[k].name, "%s", names[k]);
        t[k].id = reply->topics[i].topic_id;
    }
    for (int i = 0; i < COUNT; i++)
        produce_send(c, 13, &t[i], i % 3, 1, rl_slice_of(batch.bytes, batch.size));
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(produce_receive(c)->error_code, 0);
    client_close(c);
    broker_kill(b);
    broker_start(b);
    c = client_open(b);
    struct rl_metadata_request all = ask_metadata(NULL, -1, false);
    const struct rl_metadata_response *listed = client_call(c, RL_API_METADATA, 12, &all);
    cr_assert_eq(listed->topics_count, COUNT);
    for (int i = 0; i < COUNT; i += 7)
        cr_assert_eq(log_end(c, &t[i], i % 3), 3);
    struct rl_delete_topics_request doomed = { .topic_names = doomed_names, .topic_names_count = COUNT,
                                               .timeout_ms = 20000 };
    const struct rl_delete_topics_response *gone = client_call(c, RL_API_DELETE_TOPICS, 5, &doomed);
    cr_assert_eq(gone->responses_count, COUNT);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(gone->responses[i].error_code, 0);
    listed = client_call(c, RL_API_METADATA, 12, &all);
    cr_assert_eq(listed->topics_count, 0);
    rl_free(batch.bytes);
    client_close(c);
}

/* ---- configurations ---- */

PROTOCOL_TEST(configs, each_version)
{
    struct client *c = client_open(b);
    struct topic t;
    topic_create(c, &t, "configured", 1, (const char *const[]){ "retention.ms=12345", NULL });
    for (int16_t version = 1; version <= 4; version++) {
        struct rl_slice keys[2] = { rl_slice_of_string("retention.ms"), rl_slice_of_string("segment.bytes") };
        struct rl_describe_configs_request_resource resources[3] = {
            { .resource_type = 2, .resource_name = rl_slice_of_string(t.name), .configuration_keys = keys,
              .configuration_keys_count = 2 },
            { .resource_type = 2, .resource_name = rl_slice_of_string("nothing"), .configuration_keys_count = -1 },
            { .resource_type = 2, .resource_name = rl_slice_of_string(t.name), .configuration_keys_count = -1 },
        };
        struct rl_describe_configs_request ask = { .resources = resources, .resources_count = 3,
                                                   .include_synonyms = true, .include_documentation = true };
        const struct rl_describe_configs_response *reply = client_call(c, RL_API_DESCRIBE_CONFIGS, version, &ask);
        cr_assert_eq(reply->results_count, 3);
        int missing = 0;
        for (int i = 0; i < 3; i++) {
            const struct rl_describe_configs_response_result *result = &reply->results[i];
            if (rl_slice_equal_string(result->resource_name, "nothing")) {
                cr_assert_eq(result->error_code, 3);
                missing++;
                continue;
            }
            cr_assert_eq(result->error_code, 0);
            bool found = false;
            for (int32_t k = 0; k < result->configs_count; k++)
                if (rl_slice_equal_string(result->configs[k].name, "retention.ms")) {
                    cr_assert(rl_slice_equal_string(result->configs[k].value, "12345"));
                    cr_assert_eq(result->configs[k].config_source, 1);
                    cr_assert_geq(result->configs[k].synonyms_count, 1);
                    found = true;
                }
            cr_assert(found);
            cr_assert(result->configs_count == 2 || result->configs_count > 20);
        }
        cr_assert_eq(missing, 1);
    }
    client_close(c);
}

/* tests/broker/protocol/test_protocol_versions.c — ApiVersions, and every announced API once in
 * every version. */
#include "protocol_calls.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_find_coordinator.h"
#include "wire/msg_init_producer_id.h"
#include "wire/msg_metadata.h"
#include <criterion/criterion.h>
#include <stdlib.h>

struct announced {
    int16_t key, min, max;
};

/* Sorted by key.  Produce 0 to 2 are announced for old librdkafka, and refused. */
static const struct announced announced[] = {
    { RL_API_PRODUCE, 0, 13 }, { RL_API_FETCH, 4, 18 }, { RL_API_LIST_OFFSETS, 1, 11 },
    { RL_API_METADATA, 0, 13 }, { RL_API_OFFSET_COMMIT, 2, 10 }, { RL_API_OFFSET_FETCH, 1, 10 },
    { RL_API_FIND_COORDINATOR, 0, 6 }, { RL_API_JOIN_GROUP, 0, 9 }, { RL_API_HEARTBEAT, 0, 4 },
    { RL_API_LEAVE_GROUP, 0, 5 }, { RL_API_SYNC_GROUP, 0, 5 }, { RL_API_DESCRIBE_GROUPS, 0, 6 },
    { RL_API_LIST_GROUPS, 0, 5 }, { RL_API_API_VERSIONS, 0, 4 },
    { RL_API_CREATE_TOPICS, 2, 7 }, { RL_API_DELETE_TOPICS, 1, 6 },
    { RL_API_DELETE_RECORDS, 0, 2 },
    { RL_API_INIT_PRODUCER_ID, 0, 5 }, { RL_API_OFFSET_FOR_LEADER_EPOCH, 2, 4 },
    { RL_API_DESCRIBE_CONFIGS, 1, 4 }, { RL_API_ALTER_CONFIGS, 0, 2 },
    { RL_API_DESCRIBE_LOG_DIRS, 1, 5 }, { RL_API_CREATE_PARTITIONS, 0, 3 },
    { RL_API_DELETE_GROUPS, 0, 2 }, { RL_API_ELECT_LEADERS, 0, 2 }, { RL_API_INCREMENTAL_ALTER_CONFIGS, 0, 1 },
    { RL_API_ALTER_PARTITION_REASSIGNMENTS, 0, 1 }, { RL_API_LIST_PARTITION_REASSIGNMENTS, 0, 0 },
    { RL_API_OFFSET_DELETE, 0, 0 }, { RL_API_DESCRIBE_CLUSTER, 0, 2 }, { RL_API_DESCRIBE_PRODUCERS, 0, 0 },
    { RL_API_CONSUMER_GROUP_HEARTBEAT, 0, 1 }, { RL_API_CONSUMER_GROUP_DESCRIBE, 0, 1 },
    { RL_API_LIST_CONFIG_RESOURCES, 0, 1 }, { RL_API_DESCRIBE_TOPIC_PARTITIONS, 0, 0 },
};

static struct rl_api_versions_request ask_versions(const char *name, const char *version)
{
    return (struct rl_api_versions_request){
        .client_software_name = rl_slice_of_string(name),
        .client_software_version = rl_slice_of_string(version) };
}

static void expect_announced(const struct rl_api_versions_response *reply)
{
    cr_assert_eq(reply->error_code, 0);
    cr_assert_eq(reply->throttle_time_ms, 0);
    cr_assert_eq(reply->api_keys_count, (int32_t)RL_ARRAY_COUNT(announced));
    for (size_t i = 0; i < RL_ARRAY_COUNT(announced); i++) {
        cr_assert_eq(reply->api_keys[i].api_key, announced[i].key);
        cr_assert_eq(reply->api_keys[i].min_version, announced[i].min);
        cr_assert_eq(reply->api_keys[i].max_version, announced[i].max);
    }
}

PROTOCOL_TEST(api_versions, each_version)
{
    struct client *c = client_open(b);
    struct rl_api_versions_request ask = ask_versions("librdkafka", "2.0.2");
    for (int16_t version = 0; version <= API_VERSIONS_MAX; version++) {
        const struct rl_api_versions_response *reply = client_call(c, RL_API_API_VERSIONS, version, &ask);
        expect_announced(reply);
        cr_assert_eq(reply->finalized_features_count, version >= 3);
        cr_assert_eq(reply->supported_features_count, version >= 4);
        cr_assert_eq(reply->finalized_features_epoch, version >= 3 ? 0 : -1);
        if (version >= 3) {
            cr_assert(rl_slice_equal_string(reply->finalized_features[0].name, "group.version"));
            cr_assert_eq(reply->finalized_features[0].max_version_level, 1);
        }
    }
    client_close(c);
}

/* A version nobody knows gets version 0 of the answer, and the connection stays usable (KIP-511). */
PROTOCOL_TEST(api_versions, unknown_version_is_answered_in_version_0)
{
    static const int16_t versions[] = { 5, 6, 99, INT16_MAX, -1, INT16_MIN };
    struct client *c = client_open(b);
    struct rl_api_versions_request ask = ask_versions("apache-kafka-java", "9.9.9");
    for (size_t i = 0; i < RL_ARRAY_COUNT(versions); i++) {
        size_t bytes;
        uint8_t *frame = client_encode(c, RL_API_API_VERSIONS, 4, &ask, &bytes);
        put_be16(frame + 6, (uint16_t)versions[i]);
        cr_assert(client_write(c, frame, bytes));
        free(frame);
        client_expect(c, RL_API_API_VERSIONS, 0);
        const struct rl_api_versions_response *reply = client_receive(c);
        cr_assert_eq(reply->error_code, 35, "version %d", versions[i]);
        cr_assert_eq(reply->api_keys_count, 1);
        cr_assert_eq(reply->api_keys[0].api_key, RL_API_API_VERSIONS);
        cr_assert_eq(reply->api_keys[0].min_version, 0);
        cr_assert_eq(reply->api_keys[0].max_version, API_VERSIONS_MAX);
        expect_announced(client_call(c, RL_API_API_VERSIONS, 3, &ask));
    }
    client_close(c);
}

PROTOCOL_TEST(api_versions, software_names)
{
    static const struct { const char *name, *version; int16_t error; } cases[] = {
        { "a", "1", 0 }, { "apache-kafka-java", "4.3.1-SNAPSHOT", 0 }, { "x.y-z", "0", 0 },
        { "", "1", 42 }, { "a", "", 42 }, { "-a", "1", 42 }, { "a.", "1", 42 }, { "a b", "1", 42 },
        { "a", "1_0", 42 }, { "a", "1\n", 42 }, { "\xc3\xa9", "1", 42 },
    };
    struct client *c = client_open(b);
    for (int16_t version = 3; version <= API_VERSIONS_MAX; version++)
        for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
            struct rl_api_versions_request ask = ask_versions(cases[i].name, cases[i].version);
            const struct rl_api_versions_response *reply =
                client_call(c, RL_API_API_VERSIONS, version, &ask);
            cr_assert_eq(reply->error_code, cases[i].error, "case %zu", i);
        }
    client_close(c);
}

/* An empty request of every API in every version is answered and decodes, also by the reply of
 * the same version; a version outside the range closes the connection. */
PROTOCOL_TEST(versions, empty_request_of_each_api)
{
    struct client *c = client_open(b);
    for (size_t i = 0; i < RL_ARRAY_COUNT(announced); i++) {
        const struct rl_api_info *info = rl_api_find(announced[i].key);
        void *message = calloc(1, info->request.struct_bytes);
        info->request.init(message);
        if (info->key == RL_API_PRODUCE)
            ((struct rl_produce_request *)message)->acks = -1;
        for (int16_t v = RL_MAX(announced[i].min, info->min_version); v <= announced[i].max; v++)
            client_call(c, info->key, v, message);
        free(message);
    }
    client_close(c);
}

static void expect_refused(struct broker *b, int16_t key, int16_t version)
{
    const struct rl_api_info *info = rl_api_find(key);
    struct client *c = client_open(b);
    void *message = calloc(1, info->request.struct_bytes);
    size_t bytes;
    info->request.init(message);
    uint8_t *frame = client_encode(c, key, info->max_version, message, &bytes);
    put_be16(frame + 6, (uint16_t)version);
    client_write(c, frame, bytes);
    client_expect_closed(c);
    free(frame);
    free(message);
    client_close(c);
}

PROTOCOL_TEST(versions, outside_the_range_closes)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(announced); i++) {
        if (announced[i].key == RL_API_API_VERSIONS)
            continue;
        expect_refused(b, announced[i].key, (int16_t)(announced[i].max + 1));
        expect_refused(b, announced[i].key, -1);
        if (announced[i].min > 0)
            expect_refused(b, announced[i].key, (int16_t)(announced[i].min - 1));
    }
    for (int16_t version = 0; version < PRODUCE_MIN; version++)
        expect_refused(b, RL_API_PRODUCE, version);
}

/* An API that the codec knows but the broker does not announce closes as well. */
PROTOCOL_TEST(versions, api_that_is_not_announced_closes)
{
    for (size_t i = 0; i < RL_API_COUNT; i++) {
        bool known = false;
        for (size_t k = 0; k < RL_ARRAY_COUNT(announced); k++)
            known |= announced[k].key == rl_api_table[i].key;
        if (!known)
            expect_refused(b, rl_api_table[i].key, rl_api_table[i].min_version);
    }
}

/* The first question makes __consumer_offsets; what is no group is refused. */
PROTOCOL_TEST(find_coordinator, names_this_broker)
{
    struct client *c = client_open(b);
    struct rl_find_coordinator_request ask;
    rl_find_coordinator_request_init(&ask);
    ask.key = rl_slice_of_string("group");
    ask.coordinator_keys = &ask.key;
    ask.coordinator_keys_count = 1;
    for (int16_t version = 0; version <= 6; version++) {
        ask.key_type = 0;
        const struct rl_find_coordinator_response *reply = client_call(c, RL_API_FIND_COORDINATOR, version, &ask);
        cr_assert_eq(version < 4 ? reply->error_code : reply->coordinators[0].error_code, 0);
        cr_assert_gt(version < 4 ? reply->port : reply->coordinators[0].port, 0);
        ask.key_type = 1;
        reply = version < 1 ? NULL : client_call(c, RL_API_FIND_COORDINATOR, version, &ask);
        if (version >= 1)
            cr_assert_eq(version < 4 ? reply->error_code : reply->coordinators[0].error_code, 42);
    }
    client_close(c);
}

/* ---- InitProducerId ---- */

static struct rl_init_producer_id_response init_producer_id(struct client *c, int16_t version,
                                                            const char *transactional_id,
                                                            int64_t producer_id, int16_t epoch)
{
    struct rl_init_producer_id_request ask;
    rl_init_producer_id_request_init(&ask);
    ask.transactional_id = rl_slice_of_string(transactional_id);
    ask.transaction_timeout_ms = 60000;
    ask.producer_id = producer_id;
    ask.producer_epoch = epoch;
    return *(const struct rl_init_producer_id_response *)
        client_call(c, RL_API_INIT_PRODUCER_ID, version, &ask);
}

PROTOCOL_TEST(init_producer_id, each_version)
{
    struct client *c = client_open(b);
    int64_t last = -1;
    for (int16_t version = 0; version <= 5; version++) {
        struct rl_init_producer_id_response id = init_producer_id(c, version, NULL, -1, -1);
        cr_assert_eq(id.error_code, 0);
        cr_assert_eq(id.producer_epoch, 0);
        cr_assert_geq(id.producer_id, 0);
        cr_assert_neq(id.producer_id, last);
        last = id.producer_id;
        cr_assert_eq(init_producer_id(c, version, "tx", -1, -1).error_code, 42);
        if (version < 3)
            continue;
        cr_assert_eq(init_producer_id(c, version, NULL, 5, -1).error_code, 42);
        cr_assert_eq(init_producer_id(c, version, NULL, -1, 5).error_code, 42);
        id = init_producer_id(c, version, NULL, last, 0);
        cr_assert_eq(id.error_code, 0);
        cr_assert_eq(id.producer_epoch, 0);
        cr_assert_neq(id.producer_id, last);
        last = id.producer_id;
    }
    client_close(c);
}

#define ID_CONNECTIONS 8
#define ID_ROUNDS      60
#define ID_COUNT       (4 * ID_CONNECTIONS * ID_ROUNDS)

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Over connections on all shards, a clean restart and two kills, no id is given twice. */
PROTOCOL_TEST(init_producer_id, unique_over_restarts_and_shards)
{
    static int64_t ids[ID_COUNT];
    size_t count = 0;
    for (int life = 0; life < 4; life++) {
        struct client *c[ID_CONNECTIONS];
        for (int i = 0; i < ID_CONNECTIONS; i++)
            c[i] = client_open(b);
        for (int round = 0; round < ID_ROUNDS; round++)
            for (int i = 0; i < ID_CONNECTIONS; i++) {
                struct rl_init_producer_id_response id = init_producer_id(c[i], 4, NULL, -1, -1);
                cr_assert_eq(id.error_code, 0);
                ids[count++] = id.producer_id;
            }
        for (int i = 0; i < ID_CONNECTIONS; i++)
            client_close(c[i]);
        if (life == 1)
            broker_stop(b);
        else
            broker_kill(b);
        broker_start(b);
    }
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t i = 1; i < count; i++)
        cr_assert_lt(ids[i - 1], ids[i], "id %lld was given twice", (long long)ids[i]);
}

/* tests/broker/test_api_alter_configs.c — changes that must not be carried out. */
#include "admin_fixture.h"
#include "broker/alter_configs.h"
#include "broker/kafka_error.h"
#include "wire/msg_incremental_alter_configs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void setup(void)
{
    admin_start("");
}

TestSuite(api_alter_configs, .init = setup, .fini = admin_stop);

static struct rl_incremental_alter_configs_request_config change(const char *key, int8_t operation,
                                                                 const char *value)
{
    return (struct rl_incremental_alter_configs_request_config){
        .name = rl_slice_of_string(key), .config_operation = operation,
        .value = rl_slice_of_string(value) };
}

static int16_t alter(int8_t type, const char *name,
                     struct rl_incremental_alter_configs_request_config *changes, int32_t count)
{
    struct rl_incremental_alter_configs_request_resource resource = {
        .resource_type = type, .resource_name = rl_slice_of_string(name), .configs = changes,
        .configs_count = count };
    struct rl_incremental_alter_configs_request request = { .resources = &resource, .resources_count = 1 };
    const struct rl_incremental_alter_configs_response *answer =
        admin_ask(RL_API_INCREMENTAL_ALTER_CONFIGS, 1, &request);
    cr_assert_not_null(answer);
    cr_assert_eq(answer->responses_count, 1);
    return answer->responses[0].error_code;
}

/* Each passes alone; together the start would refuse them. */
Test(api_alter_configs, broker_values_are_checked_together)
{
    struct rl_incremental_alter_configs_request_config changes[] = {
        change("log.roll.ms", RL_CONFIG_SET, "0"), change("log.roll.jitter.ms", RL_CONFIG_SET, "1") };
    cr_assert_eq(alter(RL_RESOURCE_BROKER, "", changes, 2), RL_KAFKA_INVALID_REQUEST);
    changes[0] = change("log.roll.ms", RL_CONFIG_SET, "1000");
    cr_assert_eq(alter(RL_RESOURCE_BROKER, "", changes, 2), 0);
    cr_assert_eq(alter(RL_RESOURCE_BROKER, "7", changes, 2), 0);
}

Test(api_alter_configs, nobody_is_locked_out)
{
    static const char *const keys[] = { "max.connections", "max.connections.per.ip" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(keys); i++) {
        struct rl_incremental_alter_configs_request_config zero = change(keys[i], RL_CONFIG_SET, "0");
        struct rl_incremental_alter_configs_request_config one = change(keys[i], RL_CONFIG_SET, "1");
        cr_assert_eq(alter(RL_RESOURCE_BROKER, "", &zero, 1), RL_KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(RL_RESOURCE_BROKER, "7", &zero, 1), RL_KAFKA_INVALID_REQUEST);
        cr_assert_eq(alter(RL_RESOURCE_BROKER, "", &one, 1), 0);
    }
}

/* What no answer could hold is not stored. */
Test(api_alter_configs, a_list_grows_no_longer_than_a_string)
{
    enum { ELEMENTS = 4500, BYTES = ELEMENTS * 7 + 1 };
    static const char key[] = "leader.replication.throttled.replicas";
    char *now = calloc(1, BYTES), *more = calloc(1, BYTES);
    for (int i = 0; i < ELEMENTS; i++) {
        snprintf(now + i * 7, 8, "%u:0,", (1000 + (unsigned)i) % 10000);
        snprintf(more + i * 7, 8, "%u:1,", (1000 + (unsigned)i) % 10000);
    }
    now[BYTES - 2] = more[BYTES - 2] = '\0';           /* the last comma */
    struct rl_topic_override override = { key, now };
    admin_add_topic("t", 1, &override, 1);
    struct rl_incremental_alter_configs_request_config append = change(key, RL_CONFIG_APPEND, more);
    struct rl_incremental_alter_configs_request_config set = change(key, RL_CONFIG_SET, more);
    cr_assert_eq(alter(RL_RESOURCE_TOPIC, "t", &append, 1), RL_KAFKA_INVALID_CONFIG);
    cr_assert_eq(alter(RL_RESOURCE_TOPIC, "t", &set, 1), 0);
    free(now);
    free(more);
}

Test(api_alter_configs, no_more_changes_than_there_are_keys)
{
    enum { COUNT = 1001 };
    struct rl_incremental_alter_configs_request_config *changes = calloc(COUNT, sizeof *changes);
    char (*keys)[16] = calloc(COUNT, sizeof *keys);
    for (int i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof keys[i], "key.%d", i);
        changes[i] = change(keys[i], RL_CONFIG_SET, "1");
    }
    cr_assert_eq(alter(RL_RESOURCE_BROKER, "", changes, COUNT), RL_KAFKA_INVALID_REQUEST);
    cr_assert_eq(alter(RL_RESOURCE_BROKER, "", changes, COUNT - 1), 0);
    free(changes);
    free(keys);
}

Test(api_alter_configs, resources_named_twice_are_refused_and_others_are_not)
{
    enum { COUNT = 5000 };
    struct rl_incremental_alter_configs_request_resource *resources = calloc(COUNT, sizeof *resources);
    char (*names)[16] = calloc(COUNT, sizeof *names);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "g%d", i == COUNT - 1 ? 17 : i);
        resources[i] = (struct rl_incremental_alter_configs_request_resource){
            .resource_type = RL_RESOURCE_GROUP, .resource_name = rl_slice_of_string(names[i]) };
    }
    struct rl_incremental_alter_configs_request request = {
        .resources = resources, .resources_count = COUNT, .validate_only = true };
    const struct rl_incremental_alter_configs_response *answer =
        admin_ask(RL_API_INCREMENTAL_ALTER_CONFIGS, 1, &request);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(answer->responses[i].error_code,
                     i == 17 || i == COUNT - 1 ? RL_KAFKA_INVALID_REQUEST : 0, "%d", i);
    free(resources);
    free(names);
}

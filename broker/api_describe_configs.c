/* broker/api_describe_configs.c — DescribeConfigs: topics, this broker, its log level.
 *
 * Happy path: each resource is answered from the configuration and this shard's image at once,
 * keys in the order of their names.  Of all brokers together (a broker with the name "") it is
 * what was set at run time.
 *
 * Failures are answered per resource with Kafka's codes and sentences; a resource type that Kafka
 * does not have refuses the whole request, as in Kafka. */
#include "broker/alter_configs.h"
#include "broker/broker.h"
#include "broker/settings.h"
#include "broker/config_describe.h"
#include "broker/topic_config.h"
#include "broker/topics.h"
#include "core/logger.h"
#include "core/table.h"
#include "replicate/metadata_image.h"
#include "wire/msg_describe_configs.h"

#include <stdio.h>

#define SOURCE_DYNAMIC_BROKER_LOGGER 6  /* ConfigEntry.ConfigSource */
#define ROOT_LOGGER "root"

struct describe_configs {
    struct rl_request *request;
    const struct rl_describe_configs_request *asked;
    const struct rl_describe_configs_request_resource *resource;    /* being answered */
    struct rl_describe_configs_response_result *result;             /* its answer */
    struct rl_table wanted;             /* the keys asked; empty: all */
};

/* ---- everything below answers false only when the connection was closed ---- */

static bool describe_refuse(struct describe_configs *d, int16_t error, const char *message)
{
    d->result->error_code = error;
    return rl_request_printf(d->request, &d->result->error_message, "%s", message);
}

static bool describe_wants(const struct describe_configs *d, const char *name)
{
    return rl_table_count(&d->wanted) == 0 ||
           rl_table_find(&d->wanted, rl_slice_of_string(name)) != NULL;
}

static bool describe_add_synonyms(struct describe_configs *d, const struct rl_config_entry *entry,
                                  struct rl_describe_configs_response_config *config)
{
    config->synonyms = rl_request_alloc(d->request, entry->synonym_count, sizeof *config->synonyms);
    if (config->synonyms == NULL)
        return false;
    config->synonyms_count = (int32_t)entry->synonym_count;
    for (size_t i = 0; i < entry->synonym_count; i++) {
        config->synonyms[i].name = rl_slice_of_string(entry->synonyms[i].name);
        config->synonyms[i].value = rl_slice_of_string(entry->synonyms[i].value);
        config->synonyms[i].source = (int8_t)entry->synonyms[i].source;
    }
    return true;
}

static bool describe_add(struct describe_configs *d, const struct rl_config_entry *entry)
{
    struct rl_describe_configs_response_config *config =
        &d->result->configs[d->result->configs_count++];
    config->name = rl_slice_of_string(entry->name);
    config->value = rl_slice_of_string(entry->value);
    config->read_only = entry->read_only;
    config->config_source = (int8_t)entry->source;
    config->is_sensitive = entry->sensitive;
    config->config_type = (int8_t)entry->type;
    if (d->asked->include_documentation)
        config->documentation = rl_slice_of_string(entry->documentation);
    return !d->asked->include_synonyms || describe_add_synonyms(d, entry, config);
}

/* Room for the wanted ones of a level's keys. */
static bool describe_make_room(struct describe_configs *d, enum rl_config_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < rl_config_key_count(level); i++)
        count += describe_wants(d, rl_config_key_at(level, i)->name);
    d->result->configs = rl_request_alloc(d->request, count, sizeof *d->result->configs);
    return d->result->configs != NULL;
}

static bool describe_topic(struct describe_configs *d, const struct rl_config *config)
{
    struct rl_slice name = d->resource->resource_name;
    char message[RL_TOPICS_SENTENCE_BYTES];
    const char *reason;
    if (rl_topic_name_check(name, &reason) != RL_OK) {
        rl_topic_name_explain(name, message, sizeof message);
        return describe_refuse(d, RL_KAFKA_INVALID_TOPIC_EXCEPTION, message);
    }
    const struct rl_image *image = rl_image_current(rl_request_shard(d->request));
    const struct rl_topic *topic = rl_image_find(image, name);
    if (topic == NULL)
        return describe_refuse(d, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "");
    struct rl_config_pair *overrides =
        rl_request_alloc(d->request, topic->override_count, sizeof *overrides);
    if (overrides == NULL || !describe_make_room(d, RL_CONFIG_TOPIC))
        return false;
    for (uint32_t i = 0; i < topic->override_count; i++)
        overrides[i] = (struct rl_config_pair){ .key = topic->overrides[i].key,
                                                .value = topic->overrides[i].value };
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_TOPIC); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_TOPIC, i);
        struct rl_config_entry entry;
        if (!describe_wants(d, key->name))
            continue;
        if (rl_topic_config_describe(config, overrides, topic->override_count, key,
                                     &d->request->arena, &entry) != RL_OK) {
            rl_request_close(d->request);
            return false;
        }
        if (!describe_add(d, &entry))
            return false;
    }
    return true;
}

/* Is the resource this broker?  Otherwise it is refused. */
static bool describe_is_self(struct describe_configs *d, const char *unexpected, bool *ret_self)
{
    char sentence[RL_RESOURCE_SENTENCE_BYTES];
    *ret_self = rl_resource_is_self(d->request, d->resource->resource_name, "Broker", unexpected, sentence);
    return *ret_self || describe_refuse(d, RL_KAFKA_INVALID_REQUEST, sentence);
}

/* What was set at run time for all brokers, nothing else. */
static bool describe_all_brokers(struct describe_configs *d)
{
    const struct rl_config_resource *all =
        rl_settings_find(rl_request_shard(d->request), RL_CONFIG_RESOURCE_BROKER,
                         rl_slice_of_string(""));
    if (all == NULL)
        return true;
    d->result->configs = rl_request_alloc(d->request, all->override_count, sizeof *d->result->configs);
    if (d->result->configs == NULL)
        return false;
    for (uint32_t i = 0; i < all->override_count; i++) {
        const struct rl_config_key *key =
            rl_config_key_find(RL_CONFIG_BROKER, all->overrides[i].key);
        if (key == NULL || !describe_wants(d, key->name))
            continue;
        struct rl_config_entry entry = {
            .name = key->name, .value = all->overrides[i].value, .type = key->type,
            .documentation = key->documentation, .source = RL_CONFIG_SOURCE_CLUSTER,
            .sensitive = rl_config_key_sensitive(key) };
        rl_config_entry_add(&entry, key->name, entry.value, RL_CONFIG_SOURCE_CLUSTER);
        rl_config_entry_finish(&entry);
        if (!describe_add(d, &entry))
            return false;
    }
    return true;
}

static const char *override_of(const struct rl_config_resource *resource, const char *key)
{
    for (uint32_t i = 0; resource != NULL && i < resource->override_count; i++)
        if (strcmp(resource->overrides[i].key, key) == 0)
            return resource->overrides[i].value;
    return NULL;
}

/* Every group has configuration, also one that nobody has seen yet. */
static bool describe_group(struct describe_configs *d, const struct rl_config *config)
{
    const struct rl_config_resource *own =
        rl_settings_find(rl_request_shard(d->request), RL_CONFIG_RESOURCE_GROUP,
                         d->resource->resource_name);
    if (d->resource->resource_name.bytes == 0)
        return describe_refuse(d, RL_KAFKA_INVALID_REQUEST, "Group name must not be empty");
    if (!describe_make_room(d, RL_CONFIG_GROUP))
        return false;
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_GROUP); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_GROUP, i);
        const struct rl_config_key *broker_key =
            key->synonym != NULL ? rl_config_key_find(RL_CONFIG_BROKER, key->synonym) : NULL;
        const char *value = override_of(own, key->name);
        struct rl_config_entry entry = { .name = key->name, .type = key->type,
                                         .documentation = key->documentation };
        if (!describe_wants(d, key->name))
            continue;
        if (value != NULL)
            rl_config_entry_add(&entry, key->name, value, RL_CONFIG_SOURCE_GROUP);
        if (broker_key != NULL)
            rl_config_entry_add_broker(config, broker_key->name, &entry);
        else if (key->default_text != NULL)
            rl_config_entry_add(&entry, key->name, key->default_text, RL_CONFIG_SOURCE_DEFAULT);
        rl_config_entry_finish(&entry);
        entry.value = value != NULL      ? value
                    : broker_key != NULL ? rl_config_text(config, broker_key) : key->default_text;
        if (!describe_add(d, &entry))
            return false;
    }
    return true;
}

static bool describe_broker(struct describe_configs *d, const struct rl_config *config)
{
    bool self;
    if (d->resource->resource_name.bytes == 0)
        return describe_all_brokers(d);
    if (!describe_is_self(d, "Unexpected broker id, expected %d or empty string, but received %.*s", &self))
        return false;
    if (!self)
        return true;
    if (!describe_make_room(d, RL_CONFIG_BROKER))
        return false;
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_BROKER); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_BROKER, i);
        struct rl_config_entry entry;
        if (!describe_wants(d, key->name))
            continue;
        rl_config_describe(config, key, &entry);
        if (!describe_add(d, &entry))
            return false;
    }
    return true;
}

/* There is one logger, and it has one level for the whole process. */
static bool describe_logger(struct describe_configs *d)
{
    static const char *const levels[] = {
        [RL_LOG_DEBUG] = "DEBUG", [RL_LOG_INFO] = "INFO", [RL_LOG_WARN] = "WARN",
        [RL_LOG_ERROR] = "ERROR"
    };
    bool self;
    if (d->resource->resource_name.bytes == 0)
        return describe_refuse(d, RL_KAFKA_INVALID_REQUEST, "Broker id must not be empty");
    if (!describe_is_self(d, "Unexpected broker id, expected %d but received %.*s", &self))
        return false;
    if (!self)
        return true;
    if (!describe_wants(d, ROOT_LOGGER))
        return true;
    struct rl_describe_configs_response_config *config =
        rl_request_alloc(d->request, 1, sizeof *config);
    if (config == NULL)
        return false;
    config->name = rl_slice_of_string(ROOT_LOGGER);
    config->value = rl_slice_of_string(levels[rl_logger_level()]);
    config->config_source = SOURCE_DYNAMIC_BROKER_LOGGER;
    config->documentation = rl_slice_of("", 0);
    d->result->configs = config;
    d->result->configs_count = 1;
    return true;
}

/* ---- the request ---- */

static bool describe_resource(struct describe_configs *d)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(d->request));
    switch (d->resource->resource_type) {
    case RL_RESOURCE_TOPIC:
        return describe_topic(d, config);
    case RL_RESOURCE_BROKER:
        return describe_broker(d, config);
    case RL_RESOURCE_BROKER_LOGGER:
        return describe_logger(d);
    case RL_RESOURCE_CLIENT_METRICS:
        return describe_refuse(d, RL_KAFKA_INVALID_REQUEST,
                               "This broker has no client metrics subscriptions");
    default:
        return describe_group(d, config);
    }
}

static bool describe_answer(struct describe_configs *d, bool known)
{
    d->result->resource_type = d->resource->resource_type;
    d->result->resource_name = d->resource->resource_name;
    d->result->error_message = rl_slice_of("", 0);
    if (!known)
        return describe_refuse(d, RL_KAFKA_INVALID_REQUEST, "This most likely occurs because of a "
                               "request being malformed by the client library or the message was "
                               "sent to an incompatible broker. See the broker logs for more "
                               "details.");
    /* No keys, or an empty list of them, means all. */
    rl_table_init(&d->wanted, rl_shard_random(rl_request_shard(d->request)));
    for (int32_t i = 0; i < d->resource->configuration_keys_count; i++)
        rl_table_put(&d->wanted, d->resource->configuration_keys[i], d);
    bool going_on = describe_resource(d);
    rl_table_done(&d->wanted);
    return going_on;
}

void rl_api_describe_configs(struct rl_request *request, const void *message)
{
    struct describe_configs d = { .request = request, .asked = message };
    struct rl_describe_configs_response response;
    rl_describe_configs_response_init(&response);
    size_t count = (size_t)d.asked->resources_count;
    response.results = rl_request_alloc(request, count, sizeof *response.results);
    if (response.results == NULL)
        return;
    response.results_count = d.asked->resources_count;
    bool known = true;
    for (size_t i = 0; i < count; i++)
        known &= rl_resource_type_is_known(d.asked->resources[i].resource_type);
    for (size_t i = 0; i < count; i++) {
        d.resource = &d.asked->resources[i];
        d.result = &response.results[i];
        if (!describe_answer(&d, known))
            return;
    }
    rl_reply_message(request, &response);
}

/* broker/settings.c — the configuration in force: what was set at the start, and at run time.
 *
 * Happy path: resources come sorted from the controller; the defaults of all brokers and those of
 * this one are laid over the start's configuration; everything is copied.
 * Failures: a stored key that this version does not know, or whose value does not pass any more,
 * is passed over with a warning, so that a broker always starts. */
#include "broker/settings.h"

#include "broker/broker.h"
#include "broker/topic_config.h"
#include "coordinate/group_id.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/log.h"
#include "replicate/metadata_image.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct rl_config_pair) == sizeof(struct rl_topic_override) &&
              offsetof(struct rl_config_pair, value) == offsetof(struct rl_topic_override, value),
              "overrides are read as pairs");

const struct rl_config_pair *rl_settings_pairs(const struct rl_topic_override *overrides)
{
    return (const struct rl_config_pair *)(const void *)overrides;
}

static const struct rl_config_resource *find(const struct rl_config_resource *resources,
                                             uint32_t count, enum rl_config_resource_type type,
                                             struct rl_slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (resources[i].type == type && rl_slice_equal_string(name, resources[i].name))
            return &resources[i];
    return NULL;
}

/* A copy that needs nothing of the original. */
static struct rl_config_resource resource_copy(const struct rl_config_resource *from)
{
    struct rl_topic_override *overrides = rl_alloc_zero(from->override_count + 1, sizeof *overrides);
    for (uint32_t i = 0; i < from->override_count; i++)
        overrides[i] = (struct rl_topic_override){ rl_strdup(from->overrides[i].key),
                                                   rl_strdup(from->overrides[i].value) };
    return (struct rl_config_resource){ .type = from->type, .name = rl_strdup(from->name),
                                        .overrides = overrides,
                                        .override_count = from->override_count };
}

static void resource_free(struct rl_config_resource *resource)
{
    for (uint32_t i = 0; i < resource->override_count; i++) {
        rl_free((void *)(uintptr_t)resource->overrides[i].key);
        rl_free((void *)(uintptr_t)resource->overrides[i].value);
    }
    rl_free((void *)(uintptr_t)resource->overrides);
    rl_free((void *)(uintptr_t)resource->name);
}

const void *rl_settings_build(void *arg, const struct rl_config_resource *resources, uint32_t count)
{
    const struct rl_broker *broker = arg;
    struct rl_settings *settings = rl_alloc_zero(1, sizeof *settings);
    static const struct rl_config_resource none;
    char id[16];
    snprintf(id, sizeof id, "%d", broker->node_id);
    const struct rl_config_resource *all =
        find(resources, count, RL_CONFIG_RESOURCE_BROKER, rl_slice_of_string(""));
    const struct rl_config_resource *own =
        find(resources, count, RL_CONFIG_RESOURCE_BROKER, rl_slice_of_string(id));
    all = all != NULL ? all : &none;
    own = own != NULL ? own : &none;
    size_t passed_over = rl_config_derive(broker->config, rl_settings_pairs(all->overrides),
                                          all->override_count, rl_settings_pairs(own->overrides),
                                          own->override_count, &settings->config);
    if (settings->config.errors.count > 0) {
        RL_ERROR("broker", "the stored broker configurations have no effect, for together they make no "
                 "sense: %s", settings->config.errors.lines[0]);
        rl_config_done(&settings->config);
        passed_over = rl_config_derive(broker->config, NULL, 0, NULL, 0, &settings->config);
    }
    if (passed_over > 0)
        RL_WARN("broker", "%zu stored broker configurations do not pass any more and have no effect",
                passed_over);
    settings->resources = rl_alloc_zero(count + 1, sizeof *settings->resources);
    for (uint32_t i = 0; i < count; i++)
        settings->resources[settings->resource_count++] = resource_copy(&resources[i]);
    return settings;
}

void rl_settings_free(void *arg, const void *opaque)
{
    struct rl_settings *settings = (struct rl_settings *)(uintptr_t)opaque;
    (void)arg;
    for (uint32_t i = 0; i < settings->resource_count; i++)
        resource_free(&settings->resources[i]);
    rl_free(settings->resources);
    rl_config_done(&settings->config);
    rl_free(settings);
}

void rl_settings_resolve(void *arg, const void *opaque, const char *topic,
                         const struct rl_topic_override *overrides, uint32_t count,
                         struct rl_log_config *ret_config)
{
    const struct rl_settings *settings = opaque;
    (void)arg;
    rl_topic_config_resolve(&settings->config, rl_settings_pairs(overrides), count, ret_config);
    if (strcmp(topic, RL_OFFSETS_TOPIC) == 0)
        ret_config->cleanup_delete = false;     /* coordinate/ deletes what it has written again */
}

struct rl_connection_limits rl_settings_connection_limits(const struct rl_config *config)
{
    return (struct rl_connection_limits){
        .total_max = (uint32_t)config->max_connections,
        .per_address_max = (uint32_t)config->max_connections_per_ip,
        .address_overrides = config->max_connections_per_ip_overrides,
        .per_second_max = (uint32_t)config->max_connection_creation_rate,
    };
}

void rl_settings_applied(struct rl_shard *shard, const void *opaque)
{
    const struct rl_config *config = &((const struct rl_settings *)opaque)->config;
    const struct rl_connection_limits limits = rl_settings_connection_limits(config);
    rl_net_set_connection_limits(shard, &limits);
    rl_log_manager_set_producer_expiration(shard, config->producer_id_expiration_ms);
}

static const struct rl_settings *settings_of(const struct rl_shard *shard)
{
    return rl_image_current(shard)->settings;
}

const struct rl_config *rl_broker_config(const struct rl_shard *shard)
{
    const struct rl_settings *settings = settings_of(shard);
    return settings != NULL ? &settings->config : rl_broker_of(shard)->config;
}

const struct rl_config_resource *rl_settings_all(const struct rl_shard *shard, uint32_t *ret_count)
{
    const struct rl_settings *settings = settings_of(shard);
    *ret_count = settings != NULL ? settings->resource_count : 0;
    return settings != NULL ? settings->resources : NULL;
}

const struct rl_config_resource *rl_settings_find(const struct rl_shard *shard,
                                                  enum rl_config_resource_type type,
                                                  struct rl_slice name)
{
    uint32_t count;
    const struct rl_config_resource *resources = rl_settings_all(shard, &count);
    return find(resources, count, type, name);
}

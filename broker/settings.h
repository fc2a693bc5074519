/* broker/settings.h — the configuration in force: what was set at the start, and at run time.
 *
 * Built on shard 0 whenever something changes (replicate/controller_settings.c), immutable, and
 * carried to every shard by the metadata image: a pointer is good until the handler returns. */
#ifndef RL_BROKER_SETTINGS_H
#define RL_BROKER_SETTINGS_H

#include "broker/config.h"
#include "replicate/controller.h"

struct rl_settings {
    struct rl_config config;            /* of this broker */
    struct rl_config_resource *resources;               /* as stored, sorted by type and name */
    uint32_t resource_count;
};

/* For rl_controller_options; arg is the struct rl_broker, whose config is the start's. */
const void *rl_settings_build(void *arg, const struct rl_config_resource *resources, uint32_t count);
void rl_settings_free(void *arg, const void *settings);
/* Commits outlive every cleanup.policy that somebody may set for __consumer_offsets. */
void rl_settings_resolve(void *arg, const void *settings, const char *topic,
                         const struct rl_topic_override *overrides, uint32_t count,
                         struct rl_log_config *ret_config);
/* Each shard: what the folders below keep of the configuration follows. */
void rl_settings_applied(struct rl_shard *shard, const void *settings);

/* What net/ is told of the configuration; lends its texts. */
struct rl_connection_limits rl_settings_connection_limits(const struct rl_config *config);

/* Overrides as the configuration's functions read them. */
const struct rl_config_pair *rl_settings_pairs(const struct rl_topic_override *overrides);
/* What was set at run time for this resource; NULL: nothing.  On the shard, from its image. */
const struct rl_config_resource *rl_settings_find(const struct rl_shard *shard,
                                                  enum rl_config_resource_type type,
                                                  struct rl_slice name);
/* All of them; NULL with *ret_count 0 before the first image. */
const struct rl_config_resource *rl_settings_all(const struct rl_shard *shard, uint32_t *ret_count);

#endif

/* broker/config_describe.h — building DescribeConfigs entries; private to broker/config_describe.c
 * and broker/topic_config.c. */
#ifndef RL_BROKER_CONFIG_DESCRIBE_H
#define RL_BROKER_CONFIG_DESCRIBE_H

#include "broker/config.h"

/* Append one synonym. */
void rl_config_entry_add(struct rl_config_entry *entry, const char *name, const char *value,
                         enum rl_config_source source);
/* Append what the broker says about its key `wanted`. */
void rl_config_entry_add_broker(const struct rl_config *config, const char *wanted,
                                struct rl_config_entry *entry);
/* Set what follows from the synonyms: source, is_default; hide a sensitive value. */
void rl_config_entry_finish(struct rl_config_entry *entry);

#endif

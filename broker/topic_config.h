/* broker/topic_config.h — a topic's configuration: check overrides, resolve them, describe them.
 *
 * Overrides are the key/value texts a topic was created or altered with.  Messages are worded as
 * Kafka words them, because users and tools look for them.  Pure functions over a finished
 * rl_config: any thread. */
#ifndef RL_BROKER_TOPIC_CONFIG_H
#define RL_BROKER_TOPIC_CONFIG_H

#include "broker/config.h"

/* Check one override alone.  Returns RL_OK; RL_EINVAL with one sentence in message[bytes] (unknown
 * key, null, wrong type, out of range); the Kafka code to answer is INVALID_CONFIG (40). */
rl_status rl_topic_config_check(const char *key, const char *value, char *message, size_t bytes);
/* Check all overrides of a topic together: unknown names first, then each value, then values
 * against each other and against the broker's defaults.  Same results. */
rl_status rl_topic_config_validate(const struct rl_config *config,
                                   const struct rl_config_pair *overrides, size_t count,
                                   char *message, size_t bytes);
/* Effective configuration: overrides over the broker's defaults; of a repeated key the last wins.
 * The overrides must have passed rl_topic_config_validate; one that would not any more (stored by
 * another version) is passed over, so that a topic always opens.  Returns how many were. */
size_t rl_topic_config_resolve(const struct rl_config *config,
                               const struct rl_config_pair *overrides, size_t count,
                               struct rl_log_config *ret_log);
/* Why this override does nothing yet ("cleanup.policy: ringlog acts only on delete yet"), into
 * message[bytes] for the broker's log.  True when there is something to say. */
bool rl_topic_config_unsupported(const char *key, const char *value, char *message, size_t bytes);

/* The DescribeConfigs entry of one topic key.  New strings come from `arena`, others are lent by
 * config, the overrides and the table.  Returns RL_OK or RL_ENOMEM (over the arena's limit). */
rl_status rl_topic_config_describe(const struct rl_config *config,
                                   const struct rl_config_pair *overrides, size_t count,
                                   const struct rl_config_key *key, struct rl_arena *arena,
                                   struct rl_config_entry *ret_entry);

/* A Markdown table of all topic keys: name, type, default, allowed, what ringlog does with it.
 * Caller frees with rl_free. */
char *rl_topic_config_keys_markdown(void);

#endif

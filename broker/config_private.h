/* broker/config_private.h — what the files broker/config*.c share and nobody else may use. */
#ifndef RL_BROKER_CONFIG_PRIVATE_H
#define RL_BROKER_CONFIG_PRIVATE_H

#include "broker/config.h"

#define RL_CONFIG_LINE_BYTES         1024
#define RL_CONFIG_VARIABLE_BYTES_MAX 255
#define RL_CONFIG_UNSUPPORTED "known to Kafka but not supported by ringlog yet, it has no effect"

/* Add a line to the errors or warnings; beyond RL_CONFIG_LINES_MAX it is only counted. */
void rl_config_say(struct rl_config_lines *lines, const char *format, ...) RL_PRINTF(2, 3);
/* Once, at the end: a last line that says how many were only counted. */
void rl_config_say_dropped(struct rl_config_lines *lines);
/* The default of a broker key, which for some depends on the machine or on other keys; NULL: no
 * value.  Right once the listeners have been parsed. */
const char *rl_config_default_text(const struct rl_config *config, const struct rl_config_key *key);
/* Give the broker key `to` the checked explicit value of `from`.  Moves config->values. */
void rl_config_mirror(struct rl_config *config, const char *from, const char *to);
/* The log's configuration for a topic without overrides.  After the values have been checked. */
void rl_topic_config_defaults(const struct rl_config *config, struct rl_log_config *ret_log);

#endif

/* broker/config_properties.h — Java's .properties format, as Kafka's server.properties has it. */
#ifndef RL_BROKER_CONFIG_PROPERTIES_H
#define RL_BROKER_CONFIG_PROPERTIES_H

#include "core/slice.h"
#include "core/status.h"
#include "core/text.h"

/* A walk over the text, one setting at a time. */
struct rl_properties {
    struct rl_slice rest;               /* not yet read; borrowed */
    int32_t next_line;                  /* number of rest's first line, from 1 */
    int32_t line;                       /* where the last setting began */
    struct rl_text key;                 /* the last setting, unescaped UTF-8 */
    struct rl_text value;
};

/* text: stays the caller's and must live until done; a byte order mark at its start is skipped. */
void rl_properties_init(struct rl_properties *properties, struct rl_slice text);
void rl_properties_done(struct rl_properties *properties);
/* Read the next setting into line, key and value (overwritten by the next call).  Returns RL_OK;
 * RL_ENOTFOUND at the end; RL_EMALFORMED with *ret_reason (static storage) for a setting that
 * cannot be read, after which the walk may go on with the next one.
 * Source: java.util.Properties.load; the text is UTF-8 here. */
rl_status rl_properties_next(struct rl_properties *properties, const char **ret_reason);

#endif

/* broker/config_family.h — broker keys that say the same in different units; private to
 * broker/config*.c and broker/topic_config.c.
 *
 * Of log.retention.ms, .minutes and .hours the first that has a value counts, whatever set it; so
 * Kafka does it, and the last has a default. */
#ifndef RL_BROKER_CONFIG_FAMILY_H
#define RL_BROKER_CONFIG_FAMILY_H

#include "broker/config.h"

#define RL_CONFIG_FAMILY_MEMBERS 3

struct rl_config_family {
    const char *topic_key;              /* what the family gives the default of */
    struct {
        const char *name;               /* NULL: no more members */
        int64_t unit_ms;
    } members[RL_CONFIG_FAMILY_MEMBERS];
    /* Kafka shows the family as synonyms of its first member only. */
    bool first_only;
};

/* The family a broker key belongs to, NULL for most. */
const struct rl_config_family *rl_config_family_find(const char *broker_key);
/* Families by index; NULL behind the last. */
const struct rl_config_family *rl_config_family_at(size_t index);
/* The value of a family in milliseconds: of the first member that has one, -1 for negative ones.
 * ret_key (may be NULL) gets the member.  After values have been checked. */
int64_t rl_config_family_ms(const struct rl_config *config, const struct rl_config_family *family,
                            const struct rl_config_key **ret_key);

#endif

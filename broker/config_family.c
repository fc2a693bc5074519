/* broker/config_family.c — retention, roll and flush times in their several units. */
#include "broker/config_family.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS   (60 * MINUTE_MS)

static const struct rl_config_family families[] = {
    { .topic_key = "retention.ms", .members = { { "log.retention.ms", 1 },
      { "log.retention.minutes", MINUTE_MS }, { "log.retention.hours", HOUR_MS } } },
    { .topic_key = "segment.ms",
      .members = { { "log.roll.ms", 1 }, { "log.roll.hours", HOUR_MS } } },
    { .topic_key = "segment.jitter.ms",
      .members = { { "log.roll.jitter.ms", 1 }, { "log.roll.jitter.hours", HOUR_MS } } },
    { .topic_key = "flush.ms", .first_only = true,
      .members = { { "log.flush.interval.ms", 1 }, { "log.flush.scheduler.interval.ms", 1 } } },
};

const struct rl_config_family *rl_config_family_at(size_t index)
{
    return index < RL_ARRAY_COUNT(families) ? &families[index] : NULL;
}

const struct rl_config_family *rl_config_family_find(const char *broker_key)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(families); i++)
        for (size_t j = 0; j < RL_CONFIG_FAMILY_MEMBERS && families[i].members[j].name; j++)
            if (strcmp(families[i].members[j].name, broker_key) == 0)
                return &families[i];
    return NULL;
}

int64_t rl_config_family_ms(const struct rl_config *config, const struct rl_config_family *family,
                            const struct rl_config_key **ret_key)
{
    for (size_t i = 0; i < RL_CONFIG_FAMILY_MEMBERS && family->members[i].name != NULL; i++) {
        const struct rl_config_key *key =
            rl_config_key_find(RL_CONFIG_BROKER, family->members[i].name);
        RL_ASSERT(key != NULL);
        const char *text = rl_config_text(config, key);
        if (text == NULL)
            continue;
        if (ret_key != NULL)
            *ret_key = key;
        /* Minutes and hours are 32-bit keys: no overflow. */
        int64_t ms = strtoll(text, NULL, 10) * family->members[i].unit_ms;
        return ms < 0 ? -1 : ms;
    }
    RL_ASSERT(!"the last member of a family has a default");
    return -1;
}

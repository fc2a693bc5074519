/* broker/groups.c — the coordinator of a shard, as the broker's configuration wants it. */
#include "broker/groups.h"
#include "coordinate/coordinator.h"
#include <strings.h>

#define CHECK_INTERVAL_MS_MAX ((int64_t)366 * 86400 * 1000)

/* The names of a checked list, at most one of each. */
static const char *const *assignors(const char *list)
{
    static const char *const both[] = { "uniform", "range", NULL }, *const other[] = { "range", "uniform", NULL };
    if (strchr(list, ',') != NULL)
        return strncmp(list, "uniform", 7) == 0 ? both : other;
    return strcmp(list, "uniform") == 0 ? other + 1 : both + 1;
}

rl_status rl_groups_start(struct rl_shard *shard, const struct rl_config *config)
{
    return rl_coordinator_start(shard, &(struct rl_coordinator_options){
        .limits = {
            .session_timeout_min_ms = config->group_min_session_timeout_ms,
            .session_timeout_max_ms = config->group_max_session_timeout_ms,
            .size_max = config->group_max_size,
            .initial_rebalance_delay_ms = RL_MAX(config->group_initial_rebalance_delay_ms, 0),
            .consumer_session_timeout_ms = config->group_consumer_session_timeout_ms,
            .consumer_heartbeat_interval_ms = config->group_consumer_heartbeat_interval_ms,
            .can_upgrade = strcasecmp(config->group_consumer_migration_policy, "bidirectional") == 0 ||
                           strcasecmp(config->group_consumer_migration_policy, "upgrade") == 0,
            .can_downgrade = strcasecmp(config->group_consumer_migration_policy, "bidirectional") == 0 ||
                             strcasecmp(config->group_consumer_migration_policy, "downgrade") == 0,
            .consumer_size_max = config->group_consumer_max_size,
            .assignors = assignors(config->group_consumer_assignors),
        },
        .offsets_retention_ms = config->offsets_retention_minutes * (int64_t)60000,
        .check_interval_ms = RL_MIN(config->offsets_retention_check_interval_ms, CHECK_INTERVAL_MS_MAX),
        .metadata_units_max = config->offset_metadata_max_bytes,
    });
}

void rl_groups_forget_topics(struct rl_shard *shard, const struct rl_topic *const *removed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rl_coordinator_forget_topic(shard, rl_slice_of_string(removed[i]->name));
}

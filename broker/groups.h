/* broker/groups.h — the coordinator of a shard, as the broker's configuration wants it. */
#ifndef RL_BROKER_GROUPS_H
#define RL_BROKER_GROUPS_H

#include "broker/config.h"
#include "core/status.h"
#include "io/shard.h"
#include "replicate/metadata_image.h"

/* Each shard, before its log manager (coordinate/coordinator.h). */
rl_status rl_groups_start(struct rl_shard *shard, const struct rl_config *config);
/* For rl_controller_options. */
void rl_groups_forget_topics(struct rl_shard *shard, const struct rl_topic *const *removed, uint32_t count);

#endif

/* broker/broker.h — what every API of this broker knows: configuration, identity, listeners.
 *
 * One struct rl_broker, filled by main before the shards start and read-only afterwards (the
 * bound ports are set on shard 0 before the first connection is accepted). */
#ifndef RL_BROKER_BROKER_H
#define RL_BROKER_BROKER_H

#include "broker/config.h"
#include "broker/dispatch.h"
#include "broker/kafka_error.h"
#include "io/shard.h"
#include "io/socket.h"

struct rl_broker {
    const struct rl_config *config;
    char cluster_id[RL_UUID_TEXT_BYTES];
    int32_t node_id;
    char *data_dir;                     /* its absolute path; NULL: as configured */
    struct rl_shard_set *shards;
    uint16_t bound_ports[RL_LISTENERS_MAX];             /* by listener index */
};

static inline struct rl_broker *rl_broker_of(const struct rl_shard *shard)
{
    return shard->context[RL_CONTEXT_BROKER];
}
static inline struct rl_shard *rl_request_shard(const struct rl_request *request)
{
    return rl_connection_shard(request->connection);
}

/* The configuration in force on this shard; good until the handler returns.  broker->config is what
 * was set at the start. */
const struct rl_config *rl_broker_config(const struct rl_shard *shard);

/* What this client is told about us: the advertised host, or the address it dialled. */
void rl_broker_advertised(const struct rl_request *request, char host[RL_HOST_BYTES], int32_t *ret_port);

#endif

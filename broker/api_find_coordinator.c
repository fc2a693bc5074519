/* broker/api_find_coordinator.c — FindCoordinator, version 0 only: there are no groups yet.
 *
 * Announced because librdkafka before 2.11 takes a broker without FindCoordinator 0 for one that
 * cannot store lz4 batches, and then silently sends them uncompressed.  Whoever really asks for a
 * group's coordinator is told COORDINATOR_NOT_AVAILABLE: a final error would also reach
 * librdkafka's consumers that only assign partitions, because they look for a coordinator too. */
#include "broker/broker.h"
#include "core/logger.h"
#include "wire/msg_find_coordinator.h"

void rl_api_find_coordinator(struct rl_request *request, const void *message)
{
    const struct rl_find_coordinator_request *asked = message;
    RL_WARN_EVERY(60, "broker", "consumer groups are not supported yet: assign partitions instead group=%.*s",
                  (int)RL_MIN(asked->key.bytes, 100), (const char *)asked->key.data);
    struct rl_find_coordinator_response response;
    rl_find_coordinator_response_init(&response);
    response.error_code = RL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    response.node_id = -1;
    response.port = -1;
    rl_reply_message(request, &response);
}

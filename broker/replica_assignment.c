/* broker/replica_assignment.c — a client names the brokers of a partition.
 *
 * Kafka's checks and sentences (ReplicationControlManager.validateManualPartitionAssignment), for a
 * cluster of one. */
#include "broker/replica_assignment.h"

#include "broker/broker.h"
#include "broker/topics.h"

bool rl_replica_assignment_check(struct rl_request *request, const int32_t *broker_ids, int32_t count,
                                 struct rl_slice *ret_message)
{
    int32_t node_id = rl_broker_of(rl_request_shard(request))->node_id;
    *ret_message = (struct rl_slice){ 0 };
    if (count == 0)
        return rl_request_printf(request, ret_message, "The manual partition assignment includes an "
                                 "empty replica list.");
    for (int32_t i = 0; i < count; i++) {
        if (broker_ids[i] != node_id)
            return rl_request_printf(request, ret_message, "The manual partition assignment includes "
                                     "broker %d, but no such broker is registered.", broker_ids[i]);
    }
    if (count > 1)
        return rl_request_printf(request, ret_message, "The manual partition assignment includes the "
                                 "broker %d more than once.", node_id);
    return true;
}

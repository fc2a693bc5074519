/* broker/replica_assignment.h — a client names the brokers of a partition. */
#ifndef RL_BROKER_REPLICA_ASSIGNMENT_H
#define RL_BROKER_REPLICA_ASSIGNMENT_H

#include "net/net.h"

/* A partition of a single broker has exactly that one.  NULL data in *ret_message: it is right;
 * otherwise Kafka's sentence for INVALID_REPLICA_ASSIGNMENT, in the request's arena.  False:
 * connection closed.  Connection's shard. */
bool rl_replica_assignment_check(struct rl_request *request, const int32_t *broker_ids, int32_t count,
                                 struct rl_slice *ret_message);

#endif

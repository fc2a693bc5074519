/* broker/api_describe_cluster.c — DescribeCluster: who is the cluster (KIP-700, 919).
 *
 * One broker, which is its own controller for clients.  Failures: a client that wants a controller's
 * endpoint, or one that does not exist, is told so in Kafka's words. */
#include "broker/broker.h"
#include "broker/topics.h"
#include "wire/msg_describe_cluster.h"

enum { ENDPOINT_BROKERS = 1, ENDPOINT_CONTROLLERS = 2 };

static void cluster_refuse(struct rl_request *request, int8_t endpoint_type)
{
    struct rl_describe_cluster_response response;
    rl_describe_cluster_response_init(&response);
    if (endpoint_type == ENDPOINT_CONTROLLERS) {
        response.error_code = RL_KAFKA_MISMATCHED_ENDPOINT_TYPE;
        response.error_message = rl_slice_of_string("The request was sent to an endpoint of type "
                                                    "BROKER, but we wanted an endpoint of type "
                                                    "CONTROLLER");
    } else {
        response.error_code = RL_KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        if (!rl_request_printf(request, &response.error_message, "Unsupported endpoint type %d",
                               endpoint_type))
            return;
    }
    response.cluster_id = rl_slice_of("", 0);
    rl_reply_message(request, &response);
}

void rl_api_describe_cluster(struct rl_request *request, const void *message)
{
    const struct rl_describe_cluster_request *asked = message;
    const struct rl_broker *broker = rl_broker_of(rl_request_shard(request));
    struct rl_describe_cluster_response response;
    char host[RL_HOST_BYTES];

    if (asked->endpoint_type != ENDPOINT_BROKERS) {
        cluster_refuse(request, asked->endpoint_type);
        return;
    }
    rl_describe_cluster_response_init(&response);
    struct rl_describe_cluster_response_broker self = {
        .broker_id = broker->node_id,
        .rack = rl_slice_of_string(broker->config->broker_rack),
    };
    rl_broker_advertised(request, host, &self.port);
    self.host = rl_slice_of_string(host);
    response.brokers = &self;
    response.brokers_count = 1;
    response.cluster_id = rl_slice_of_string(broker->cluster_id);
    response.controller_id = broker->node_id;
    if (asked->include_cluster_authorized_operations)
        response.cluster_authorized_operations = RL_CLUSTER_OPERATIONS;
    rl_reply_message(request, &response);
}

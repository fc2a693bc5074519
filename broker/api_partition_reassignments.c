/* broker/api_partition_reassignments.c — AlterPartitionReassignments and
 * ListPartitionReassignments (KIP-455): what a single broker truthfully says to them.
 *
 * A partition that is asked to be where it is, is there; nothing is ever under way.  Failures are
 * answered per partition, in Kafka's words. */
#include "broker/broker.h"
#include "broker/replica_assignment.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"
#include "wire/msg_alter_partition_reassignments.h"
#include "wire/msg_list_partition_reassignments.h"

/* False: connection closed. */
static bool reassign_partition(struct rl_request *request, struct rl_slice topic_name,
                               const struct rl_topic *topic,
                               const struct rl_alter_partition_reassignments_request_partition *from,
                               struct rl_alter_partition_reassignments_response_partition *to)
{
    int shown = (int)RL_MIN(topic_name.bytes, (size_t)RL_TOPIC_NAME_BYTES_MAX);
    const char *name = (const char *)topic_name.data;
    to->partition_index = from->partition_index;
    to->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (topic == NULL)
        return rl_request_printf(request, &to->error_message, "Unable to find a topic named %.*s.",
                                 shown, name);
    if (from->partition_index < 0 || from->partition_index >= topic->partition_count)
        return rl_request_printf(request, &to->error_message, "Unable to find partition %.*s:%d.",
                                 shown, name, from->partition_index);
    to->error_code = RL_KAFKA_NO_REASSIGNMENT_IN_PROGRESS;
    if (from->replicas_count < 0)
        return true;
    if (!rl_replica_assignment_check(request, from->replicas, from->replicas_count,
                                     &to->error_message))
        return false;
    to->error_code = to->error_message.data != NULL ? RL_KAFKA_INVALID_REPLICA_ASSIGNMENT
                                                    : RL_KAFKA_NONE;
    return true;
}

static bool reassign_topic(struct rl_request *request,
                           const struct rl_alter_partition_reassignments_request_topic *from,
                           struct rl_alter_partition_reassignments_response_topic *to)
{
    const struct rl_topic *topic =
        rl_image_find(rl_image_current(rl_request_shard(request)), from->name);
    to->name = from->name;
    to->partitions = rl_request_alloc(request, (size_t)from->partitions_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++)
        if (!reassign_partition(request, from->name, topic, &from->partitions[i], &to->partitions[i]))
            return false;
    return true;
}

void rl_api_alter_partition_reassignments(struct rl_request *request, const void *message)
{
    const struct rl_alter_partition_reassignments_request *asked = message;
    struct rl_alter_partition_reassignments_response response;
    rl_alter_partition_reassignments_response_init(&response);
    response.allow_replication_factor_change = asked->allow_replication_factor_change;
    response.responses = rl_request_alloc(request, (size_t)asked->topics_count,
                                          sizeof *response.responses);
    if (response.responses == NULL)
        return;
    response.responses_count = asked->topics_count;
    if (asked->topics_count == 0)
        response.error_message = rl_slice_of("", 0);    /* as Kafka: there was no controller to ask */
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!reassign_topic(request, &asked->topics[i], &response.responses[i]))
            return;
    rl_reply_message(request, &response);
}

void rl_api_list_partition_reassignments(struct rl_request *request, const void *message)
{
    struct rl_list_partition_reassignments_response response;
    (void)message;
    rl_list_partition_reassignments_response_init(&response);
    rl_reply_message(request, &response);
}

/* broker/api_consumer_group_heartbeat.c — ConsumerGroupHeartbeat: a member of the consumer protocol
 * joins, stays and leaves (KIP-848).
 *
 * Happy path: the group's shard answers when what has changed is on stable storage.  Failures: see
 * coordinate/consumer_heartbeat.c; an error comes with a sentence and nothing else. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "coordinate/consumer_group.h"
#include "wire/msg_consumer_group_heartbeat.h"

#define MEMBER_MAKES_ID_SINCE 1         /* KIP-1082 */
#define MESSAGE_BYTES_MAX 16384
#define OWNED_MAX 1000000               /* partitions; each takes five times what it takes in a request */

struct consumer_heartbeat {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_consumer_heartbeat call;
    char client_host[RL_HOST_BYTES + 1];
};

/* ---- on the group's shard ---- */

static void on_beaten(struct rl_group_answer *answer)
{
    rl_group_item_done(&RL_CONTAINER_OF(answer, struct consumer_heartbeat, call.answer)->item);
}

static void beat_one(struct rl_group_item *item, struct rl_groups *groups)
{
    struct consumer_heartbeat *h = RL_CONTAINER_OF(item, struct consumer_heartbeat, item);
    h->call.assignment_interval_ms = rl_broker_config(groups->shard)->group_consumer_assignment_interval_ms;
    rl_groups_consumer_heartbeat(groups, &h->call);
}

static void beat_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, beat_one);
}

static void beat_cancel(struct rl_scatter_call *call)
{
    struct consumer_heartbeat *h = RL_CONTAINER_OF(call->scatter, struct consumer_heartbeat, scatter);
    rl_consumer_heartbeat_forget(h->item.groups, &h->call);
}

/* ---- on the connection's shard ---- */

/* By topic; numbers and topics are the request's. */
static bool fill_assignment(struct rl_request *request, const struct rl_partition_set *set,
                            struct rl_consumer_group_heartbeat_response_assignment *assignment)
{
    struct rl_consumer_group_heartbeat_response_assigned_topic *topics =
        rl_request_alloc(request, set->count, sizeof *topics);
    int32_t *numbers = topics != NULL ? rl_request_alloc(request, set->count, sizeof *numbers) : NULL;
    if (numbers == NULL)
        return false;
    assignment->topic_partitions = topics;
    for (uint32_t at = 0, run; at < set->count; at += run) {
        run = rl_partition_set_run(set, at);
        topics[assignment->topic_partitions_count++] = (struct rl_consumer_group_heartbeat_response_assigned_topic){
            .topic_id = set->items[at].topic_id, .partitions = numbers + at, .partitions_count = (int32_t)run };
        for (uint32_t i = at; i < at + run; i++)
            numbers[i] = set->items[i].partition;
    }
    return true;
}

static bool answer(struct rl_request *request, struct consumer_heartbeat *h, struct rl_consumer_heartbeat *call)
{
    enum rl_group_error error = h->item.error != RL_GROUP_OK ? h->item.error : call->error;
    struct rl_consumer_group_heartbeat_response response;
    struct rl_consumer_group_heartbeat_response_assignment assignment = { 0 };
    rl_consumer_group_heartbeat_response_init(&response);
    response.error_code = rl_kafka_error_of_group(error);
    if (error == RL_GROUP_OK) {
        response.member_id = call->ret_member_id;
        response.member_epoch = call->ret_member_epoch;
        response.heartbeat_interval_ms = call->ret_heartbeat_interval_ms;
        if (call->ret_assignment_told && !fill_assignment(request, &call->ret_assignment, &assignment))
            return false;
        if (call->ret_assignment_told)
            response.assignment = &assignment;
    } else if (call->message.bytes > 0) {
        response.error_message = rl_slice_of(call->message.data, RL_MIN(call->message.bytes, MESSAGE_BYTES_MAX));
    }
    rl_reply_message(request, &response);
    return true;
}

static void beat_done(struct rl_scatter *scatter)
{
    struct consumer_heartbeat *h = RL_CONTAINER_OF(scatter, struct consumer_heartbeat, scatter);
    struct rl_consumer_heartbeat call = h->call;        /* the request goes with the answer */
    answer(scatter->request, h, &call);
    rl_consumer_heartbeat_done(&call);
}

/* Can it own so many? */
static bool check_owned(struct rl_consumer_heartbeat *call, const struct rl_consumer_group_heartbeat_request *asked)
{
    int64_t count = 0;
    for (int32_t t = 0; t < asked->topic_partitions_count; t++)
        count += asked->topic_partitions[t].partitions_count;
    if (count <= OWNED_MAX)
        return true;
    rl_text_printf(&call->message, "TopicPartitions has more than %d partitions.", OWNED_MAX);
    return false;
}

static void take_owned(struct rl_partition_set *owned, const struct rl_consumer_group_heartbeat_request *asked)
{
    for (int32_t t = 0; t < asked->topic_partitions_count; t++)
        for (int32_t i = 0; i < asked->topic_partitions[t].partitions_count; i++)
            rl_partition_set_add(owned, asked->topic_partitions[t].topic_id, asked->topic_partitions[t].partitions[i]);
    rl_partition_set_sort(owned);
}

void rl_api_consumer_group_heartbeat(struct rl_request *request, const void *message)
{
    const struct rl_consumer_group_heartbeat_request *asked = message;
    struct consumer_heartbeat *h = rl_request_alloc(request, 1, sizeof *h);
    uint16_t port;
    if (h == NULL)
        return;
    h->client_host[0] = '/';            /* as Java prints an address */
    rl_connection_peer_address(request->connection, h->client_host + 1, &port);
    h->item.group_id = asked->group_id;
    h->call = (struct rl_consumer_heartbeat){
        .group_id = asked->group_id, .member_id = asked->member_id, .instance_id = asked->instance_id,
        .rack_id = asked->rack_id, .client_id = request->client_id,
        .client_host = rl_slice_of_string(h->client_host), .member_epoch = asked->member_epoch,
        .needs_member_id = request->api_version >= MEMBER_MAKES_ID_SINCE,
        .rebalance_timeout_ms = asked->rebalance_timeout_ms,
        .topics_told = asked->subscribed_topic_names_count >= 0, .topics = asked->subscribed_topic_names,
        .topic_count = (uint32_t)RL_MAX(asked->subscribed_topic_names_count, 0),
        .regex = asked->subscribed_topic_regex, .server_assignor = asked->server_assignor,
        .owned_told = asked->topic_partitions_count >= 0, .answer = { .done = on_beaten },
    };
    rl_scatter_init(&h->scatter, request, beat_run, beat_done);
    h->scatter.cancel = beat_cancel;
    if (!check_owned(&h->call, asked))
        h->item.error = RL_GROUP_INVALID_REQUEST;       /* and nobody is asked */
    else if (rl_group_scatter_add(&h->scatter, &h->item))
        take_owned(&h->call.owned, asked);
    else
        return;
    if (h->call.regex.bytes > 0)        /* which may take a while */
        rl_group_scatter_may_wait(request, &h->scatter);
    rl_scatter_start(&h->scatter);
}

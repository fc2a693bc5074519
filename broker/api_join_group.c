/* broker/api_join_group.c — JoinGroup: a member of the classic protocol comes, and waits for the
 * others (KIP-62, 345, 394, 559, 814).
 *
 * Happy path: the group's shard parks the call and answers when the generation begins.  Failures: see
 * coordinate/group_join.c.  A connection that goes, and memory that is short, end the waiting; the
 * member stays and may join again. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "core/memory.h"
#include "wire/msg_join_group.h"
#include <stdio.h>

struct join_group {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_group_join join;
    char client_host[RL_HOST_BYTES + 1];
};

/* ---- on the group's shard ---- */

static void on_joined(struct rl_group_answer *answer)
{
    struct join_group *j = RL_CONTAINER_OF(answer, struct join_group, join.answer);
    rl_group_item_done(&j->item);
}

static void join_one(struct rl_group_item *item, struct rl_groups *groups)
{
    struct join_group *j = RL_CONTAINER_OF(item, struct join_group, item);
    j->join.assignment_interval_ms = rl_broker_config(groups->shard)->group_consumer_assignment_interval_ms;
    rl_groups_join(groups, &j->join);
}

static void join_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, join_one);
}

static void join_cancel(struct rl_scatter_call *call)
{
    struct join_group *j = RL_CONTAINER_OF(call->scatter, struct join_group, scatter);
    rl_group_join_forget(j->item.groups, &j->join);
}

/* ---- on the connection's shard ---- */

static bool fill_members(struct join_group *j, struct rl_join_group_response *response)
{
    const struct rl_group_join *join = &j->join;
    response->members = rl_request_alloc(j->scatter.request, join->ret_member_count, sizeof *response->members);
    if (response->members == NULL)
        return false;
    response->members_count = (int32_t)join->ret_member_count;
    for (uint32_t i = 0; i < join->ret_member_count; i++) {
        rl_join_group_response_member_init(&response->members[i]);
        response->members[i].member_id = join->ret_members[i].id;
        response->members[i].group_instance_id = join->ret_members[i].instance_id;
        response->members[i].metadata = join->ret_members[i].metadata;
    }
    return true;
}

/* Later versions have a word for no name, and Kafka uses it for an empty one, too. */
static bool request_is_old(const struct rl_request *request)
{
    return request->api_version < 7;
}

static void join_done(struct rl_scatter *scatter)
{
    struct join_group *j = RL_CONTAINER_OF(scatter, struct join_group, scatter);
    struct rl_group_join *join = &j->join;
    enum rl_group_error error = j->item.error != RL_GROUP_OK ? j->item.error : join->error;
    struct rl_join_group_response response;
    rl_join_group_response_init(&response);
    response.error_code = rl_kafka_error_of_group(error);
    response.member_id = j->item.error != RL_GROUP_OK ? join->member_id : join->ret_member_id;
    void *memory = join->memory;        /* the request may go while we answer */
    if (error == RL_GROUP_OK) {
        response.generation_id = join->ret_generation;
        response.protocol_type = join->ret_protocol_type;
        if (join->ret_protocol.bytes > 0 || request_is_old(scatter->request))
            response.protocol_name = join->ret_protocol;
        response.leader = join->ret_leader;
        response.skip_assignment = join->ret_skip_assignment;
        if (!fill_members(j, &response)) {
            rl_free(memory);
            return;
        }
    }
    rl_reply_message(scatter->request, &response);
    rl_free(memory);
}

static bool take_protocols(struct rl_request *request, const struct rl_join_group_request *asked,
                           struct rl_group_join *join)
{
    struct rl_group_protocol *protocols = rl_request_alloc(request, (size_t)asked->protocols_count,
                                                           sizeof *protocols);
    if (protocols == NULL)
        return false;
    for (int32_t i = 0; i < asked->protocols_count; i++)
        protocols[i] = (struct rl_group_protocol){ asked->protocols[i].name, asked->protocols[i].metadata };
    join->protocols = protocols;
    join->protocol_count = (uint32_t)asked->protocols_count;
    return true;
}

void rl_api_join_group(struct rl_request *request, const void *message)
{
    const struct rl_join_group_request *asked = message;
    struct join_group *j = rl_request_alloc(request, 1, sizeof *j);
    uint16_t port;
    if (j == NULL)
        return;
    j->client_host[0] = '/';            /* as Java prints an address */
    rl_connection_peer_address(request->connection, j->client_host + 1, &port);
    j->item.group_id = asked->group_id;
    j->join = (struct rl_group_join){
        .group_id = asked->group_id, .member_id = asked->member_id, .instance_id = asked->group_instance_id,
        .client_id = request->client_id, .client_host = rl_slice_of_string(j->client_host),
        .protocol_type = asked->protocol_type,
        .session_timeout_ms = asked->session_timeout_ms,
        .rebalance_timeout_ms = request->api_version == 0 ? asked->session_timeout_ms
                                                          : asked->rebalance_timeout_ms,
        .needs_member_id = request->api_version >= 4,
        .can_skip_assignment = request->api_version >= 9,
        .answer = { .done = on_joined },
    };
    if (!take_protocols(request, asked, &j->join))
        return;
    rl_scatter_init(&j->scatter, request, join_run, join_done);
    j->scatter.cancel = join_cancel;
    if (!rl_group_scatter_add(&j->scatter, &j->item))
        return;
    rl_group_scatter_may_wait(request, &j->scatter);
    rl_scatter_start(&j->scatter);
}

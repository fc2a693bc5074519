/* broker/api_leave_group.c — LeaveGroup: a member goes, or somebody removes members (KIP-345).
 *
 * Up to version 2 there is one member and its error is the answer's; later each has its own. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "wire/msg_leave_group.h"

#define MEMBERS_SINCE 3

struct leave_group {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_group_leave leave;
};

static void on_left(struct rl_group_answer *answer)
{
    struct leave_group *l = RL_CONTAINER_OF(answer, struct leave_group, leave.answer);
    bool is_unknown = l->leave.error == RL_GROUP_UNKNOWN_MEMBER;
    for (uint32_t i = 0; is_unknown && i < l->leave.count; i++)
        l->leave.members[i].error = RL_GROUP_UNKNOWN_MEMBER;
    l->item.error = is_unknown ? RL_GROUP_OK : l->leave.error;  /* each member has it */
    rl_group_item_done(&l->item);
}

static void leave_one(struct rl_group_item *item, struct rl_groups *groups)
{
    rl_groups_leave(groups, &RL_CONTAINER_OF(item, struct leave_group, item)->leave);
}

static void leave_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, leave_one);
}

static bool fill_members(struct leave_group *l, struct rl_leave_group_response *response)
{
    response->members = rl_request_alloc(l->scatter.request, l->leave.count, sizeof *response->members);
    if (response->members == NULL)
        return false;
    response->members_count = (int32_t)l->leave.count;
    for (uint32_t i = 0; i < l->leave.count; i++) {
        rl_leave_group_response_member_init(&response->members[i]);
        response->members[i].member_id = l->leave.members[i].member_id;
        response->members[i].group_instance_id = l->leave.members[i].instance_id;
        response->members[i].error_code = rl_kafka_error_of_group(l->leave.members[i].error);
    }
    return true;
}

static void leave_done(struct rl_scatter *scatter)
{
    struct leave_group *l = RL_CONTAINER_OF(scatter, struct leave_group, scatter);
    struct rl_leave_group_response response;
    rl_leave_group_response_init(&response);
    response.error_code = rl_kafka_error_of_group(l->item.error);
    if (l->item.error == RL_GROUP_OK && scatter->request->api_version < MEMBERS_SINCE)
        response.error_code = rl_kafka_error_of_group(l->leave.members[0].error);
    if (l->item.error == RL_GROUP_OK && scatter->request->api_version >= MEMBERS_SINCE &&
        !fill_members(l, &response))
        return;
    rl_reply_message(scatter->request, &response);
}

void rl_api_leave_group(struct rl_request *request, const void *message)
{
    const struct rl_leave_group_request *asked = message;
    bool one = request->api_version < MEMBERS_SINCE;
    struct leave_group *l = rl_request_alloc(request, 1, sizeof *l);
    if (l == NULL)
        return;
    l->leave.count = one ? 1 : (uint32_t)asked->members_count;
    l->leave.members = rl_request_alloc(request, l->leave.count, sizeof *l->leave.members);
    if (l->leave.members == NULL)
        return;
    if (one)
        l->leave.members[0].member_id = asked->member_id;
    for (uint32_t i = 0; !one && i < l->leave.count; i++) {
        l->leave.members[i].member_id = asked->members[i].member_id;
        l->leave.members[i].instance_id = asked->members[i].group_instance_id;
    }
    l->item.group_id = l->leave.group_id = asked->group_id;
    l->leave.answer.done = on_left;
    rl_scatter_init(&l->scatter, request, leave_run, leave_done);
    if (rl_group_scatter_add(&l->scatter, &l->item))
        rl_scatter_start(&l->scatter);
}

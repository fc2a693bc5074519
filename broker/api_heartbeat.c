/* broker/api_heartbeat.c — Heartbeat: a member lives, and hears whether the group rebalances. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "wire/msg_heartbeat.h"

struct heartbeat {
    struct rl_scatter scatter;
    struct rl_group_item item;
    const struct rl_heartbeat_request *asked;
};

static void beat_one(struct rl_group_item *item, struct rl_groups *groups)
{
    const struct rl_heartbeat_request *asked = RL_CONTAINER_OF(item, struct heartbeat, item)->asked;
    item->error = rl_groups_heartbeat(groups, asked->group_id, asked->member_id, asked->group_instance_id,
                                      asked->generation_id);
    rl_group_item_done(item);
}

static void beat_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, beat_one);
}

static void beat_done(struct rl_scatter *scatter)
{
    const struct heartbeat *h = RL_CONTAINER_OF(scatter, struct heartbeat, scatter);
    struct rl_heartbeat_response response;
    rl_heartbeat_response_init(&response);
    /* Loading takes a moment: a client that is told so would give up its place. */
    response.error_code = h->item.error == RL_GROUP_LOADING ? RL_KAFKA_NONE
                                                            : rl_kafka_error_of_group(h->item.error);
    rl_reply_message(scatter->request, &response);
}

void rl_api_heartbeat(struct rl_request *request, const void *message)
{
    struct heartbeat *h = rl_request_alloc(request, 1, sizeof *h);
    if (h == NULL)
        return;
    h->asked = message;
    h->item.group_id = h->asked->group_id;
    rl_scatter_init(&h->scatter, request, beat_run, beat_done);
    if (rl_group_scatter_add(&h->scatter, &h->item))
        rl_scatter_start(&h->scatter);
}

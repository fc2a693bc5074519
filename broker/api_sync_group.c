/* broker/api_sync_group.c — SyncGroup: the leader brings the assignment, everybody gets his part.
 *
 * Happy path: followers wait until the leader's assignment is on stable storage.  Failures: see
 * coordinate/group_sync.c; from version 5 on a client says which protocol it means, and must. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "core/memory.h"
#include "wire/msg_sync_group.h"

struct sync_group {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_group_sync sync;
};

static void on_synced(struct rl_group_answer *answer)
{
    struct sync_group *s = RL_CONTAINER_OF(answer, struct sync_group, sync.answer);
    rl_group_item_done(&s->item);
}

static void sync_one(struct rl_group_item *item, struct rl_groups *groups)
{
    rl_groups_sync(groups, &RL_CONTAINER_OF(item, struct sync_group, item)->sync);
}

static void sync_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, sync_one);
}

static void sync_cancel(struct rl_scatter_call *call)
{
    struct sync_group *s = RL_CONTAINER_OF(call->scatter, struct sync_group, scatter);
    rl_group_sync_forget(s->item.groups, &s->sync);
}

static void answer(struct rl_request *request, enum rl_group_error error, const struct rl_group_sync *sync)
{
    struct rl_sync_group_response response;
    rl_sync_group_response_init(&response);
    response.error_code = rl_kafka_error_of_group(error);
    response.assignment = rl_slice_of("", 0);
    if (error == RL_GROUP_OK) {
        response.protocol_type = sync->ret_protocol_type;
        response.protocol_name = sync->ret_protocol;
        response.assignment = sync->ret_assignment;
    }
    rl_reply_message(request, &response);
}

static void sync_done(struct rl_scatter *scatter)
{
    struct sync_group *s = RL_CONTAINER_OF(scatter, struct sync_group, scatter);
    void *memory = s->sync.memory;
    answer(scatter->request, s->item.error != RL_GROUP_OK ? s->item.error : s->sync.error, &s->sync);
    rl_free(memory);
}

void rl_api_sync_group(struct rl_request *request, const void *message)
{
    const struct rl_sync_group_request *asked = message;
    size_t count = (size_t)asked->assignments_count;
    if (request->api_version >= 5 && (asked->protocol_type.data == NULL || asked->protocol_name.data == NULL)) {
        answer(request, RL_GROUP_INCONSISTENT_PROTOCOL, NULL);
        return;
    }
    struct sync_group *s = rl_request_alloc(request, 1, sizeof *s);
    if (s == NULL)
        return;
    struct rl_group_assignment *assignments = rl_request_alloc(request, count, sizeof *assignments);
    if (assignments == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        assignments[i] = (struct rl_group_assignment){ asked->assignments[i].member_id,
                                                       asked->assignments[i].assignment };
    s->item.group_id = asked->group_id;
    s->sync = (struct rl_group_sync){
        .group_id = asked->group_id, .member_id = asked->member_id, .instance_id = asked->group_instance_id,
        .generation = asked->generation_id, .protocol_type = asked->protocol_type,
        .protocol = asked->protocol_name, .assignments = assignments, .assignment_count = (uint32_t)count,
        .answer = { .done = on_synced },
    };
    rl_scatter_init(&s->scatter, request, sync_run, sync_done);
    s->scatter.cancel = sync_cancel;
    if (!rl_group_scatter_add(&s->scatter, &s->item))
        return;
    rl_group_scatter_may_wait(request, &s->scatter);
    rl_scatter_start(&s->scatter);
}

/* broker/api_delete_groups.c — DeleteGroups: empty groups go, and what they have committed.
 *
 * A group named twice is asked once.  Failures are answered per group. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "coordinate/group_offsets.h"
#include "core/table.h"
#include "wire/msg_delete_groups.h"

struct delete_group {
    struct rl_group_item item;
    struct rl_group_delete call;
};

struct delete_groups {
    struct rl_scatter scatter;
    struct delete_group *groups;
    uint32_t count;
};

static void on_deleted(struct rl_group_answer *answer)
{
    struct delete_group *d = RL_CONTAINER_OF(answer, struct delete_group, call.answer);
    d->item.error = d->call.error;
    rl_group_item_done(&d->item);
}

static void delete_one(struct rl_group_item *item, struct rl_groups *groups)
{
    rl_groups_delete(groups, &RL_CONTAINER_OF(item, struct delete_group, item)->call);
}

static void delete_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, delete_one);
}

static void delete_done(struct rl_scatter *scatter)
{
    struct delete_groups *g = RL_CONTAINER_OF(scatter, struct delete_groups, scatter);
    struct rl_delete_groups_response response;
    rl_delete_groups_response_init(&response);
    response.results = rl_request_alloc(scatter->request, g->count, sizeof *response.results);
    if (response.results == NULL)
        return;
    response.results_count = (int32_t)g->count;
    for (uint32_t i = 0; i < g->count; i++) {
        rl_delete_groups_response_result_init(&response.results[i]);
        response.results[i].group_id = g->groups[i].item.group_id;
        response.results[i].error_code = rl_kafka_error_of_group(g->groups[i].item.error);
    }
    rl_reply_message(scatter->request, &response);
}

void rl_api_delete_groups(struct rl_request *request, const void *message)
{
    const struct rl_delete_groups_request *asked = message;
    struct delete_groups *g = rl_request_alloc(request, 1, sizeof *g);
    struct rl_table seen;
    bool failed = false;
    if (g == NULL)
        return;
    g->groups = rl_request_alloc(request, (size_t)asked->groups_names_count, sizeof *g->groups);
    if (g->groups == NULL)
        return;
    rl_scatter_init(&g->scatter, request, delete_run, delete_done);
    rl_table_init(&seen, rl_shard_random(rl_request_shard(request)));
    for (int32_t i = 0; i < asked->groups_names_count && !failed; i++) {
        if (rl_table_put(&seen, asked->groups_names[i], g) != NULL)
            continue;
        struct delete_group *d = &g->groups[g->count++];
        d->item.group_id = d->call.group_id = asked->groups_names[i];
        d->call.answer.done = on_deleted;
        failed = !rl_group_scatter_add(&g->scatter, &d->item);
    }
    rl_table_done(&seen);
    if (!failed)
        rl_scatter_start(&g->scatter);
}

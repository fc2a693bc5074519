/* broker/api_list_groups.c — ListGroups: all groups of this broker, from every shard.
 *
 * Filters are compared without regard to case, as in Kafka; an unknown state or type matches nothing.
 * While a shard still reads its groups the answer is COORDINATOR_LOAD_IN_PROGRESS. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "coordinate/consumer_group.h"
#include "coordinate/coordinator.h"
#include "coordinate/owned.h"
#include "core/memory.h"
#include "wire/msg_list_groups.h"
#include <strings.h>

struct listed_group {
    struct rl_slice id, protocol_type;
    const char *state, *type;
};

struct list_shard {
    struct rl_scatter_item item;
    bool loading;
    struct listed_group *groups;
    uint32_t count;
    void *memory;
};

struct list_groups {
    struct rl_scatter scatter;
    const struct rl_list_groups_request *asked;
    struct list_shard *shards;
    uint32_t shard_count;
};

/* ---- on every shard ---- */

static void list_shard(struct rl_shard *shard, struct list_shard *to)
{
    size_t bytes = 1;
    uint32_t at = 0;
    for (struct rl_groups *groups; (groups = rl_coordinator_next(shard, &at)) != NULL;)
        RL_LIST_EACH(node, &groups->list) {
            const struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
            bytes += sizeof *to->groups + group->id.bytes + group->protocol_type.bytes;
            to->count++;
        }
    to->memory = rl_alloc(bytes);
    to->groups = to->memory;
    uint8_t *text = (uint8_t *)(to->groups + to->count);
    struct listed_group *listed = to->groups;
    at = 0;
    for (struct rl_groups *groups; (groups = rl_coordinator_next(shard, &at)) != NULL;)
        RL_LIST_EACH(node, &groups->list) {
            const struct rl_group *group = RL_LIST_ENTRY(node, struct rl_group, link);
            *listed++ = (struct listed_group){
                .id = rl_slice_pack(&text, group->id), .type = group->consumer != NULL ? "consumer" : "classic",
                .state = group->consumer != NULL ? rl_consumer_group_state_name(rl_consumer_group_state(group))
                                                 : rl_group_state_name(group->state),
                .protocol_type = rl_slice_pack(&text, group->protocol_type) };
        }
}

static void list_run(struct rl_scatter_call *call)
{
    struct list_shard *to = RL_CONTAINER_OF(call->items, struct list_shard, item);
    to->loading = rl_coordinator_is_loading(call->owner);
    if (!to->loading)
        list_shard(call->owner, to);
    rl_scatter_call_done(call);
}

/* ---- on the connection's shard ---- */

static bool slice_is(struct rl_slice text, const char *word)
{
    return text.bytes == strlen(word) && strncasecmp((const char *)text.data, word, text.bytes) == 0;
}

static bool passes(const struct rl_slice *filter, int32_t count, const char *word)
{
    for (int32_t i = 0; i < count; i++)
        if (slice_is(filter[i], word))
            return true;
    return count <= 0;
}

static bool answer(struct list_groups *l, struct rl_list_groups_response *response)
{
    size_t most = 0;
    for (uint32_t i = 0; i < l->shard_count; i++) {
        most += l->shards[i].count;
        if (l->shards[i].loading)
            response->error_code = RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    }
    if (response->error_code != 0)
        return true;
    struct rl_list_groups_response_group *groups = rl_request_alloc(l->scatter.request, most, sizeof *groups);
    if (groups == NULL)
        return false;
    response->groups = groups;
    for (uint32_t i = 0; i < l->shard_count; i++)
        for (uint32_t k = 0; k < l->shards[i].count; k++) {
            const struct listed_group *from = &l->shards[i].groups[k];
            if (!passes(l->asked->types_filter, l->asked->types_filter_count, from->type) ||
                !passes(l->asked->states_filter, l->asked->states_filter_count, from->state))
                continue;
            struct rl_list_groups_response_group *to = &groups[response->groups_count++];
            rl_list_groups_response_group_init(to);
            to->group_id = from->id;
            to->protocol_type = from->protocol_type;
            to->group_state = rl_slice_of_string(from->state);
            to->group_type = rl_slice_of_string(from->type);
        }
    return true;
}

static void list_done(struct rl_scatter *scatter)
{
    struct list_groups *l = RL_CONTAINER_OF(scatter, struct list_groups, scatter);
    void *memory[RL_SHARDS_MAX];
    uint32_t count = l->shard_count;
    struct rl_list_groups_response response;
    rl_list_groups_response_init(&response);
    for (uint32_t i = 0; i < count; i++)
        memory[i] = l->shards[i].memory;
    if (answer(l, &response))
        rl_reply_message(scatter->request, &response);
    for (uint32_t i = 0; i < count; i++)        /* the request is gone; what it pointed to is ours */
        rl_free(memory[i]);
}

void rl_api_list_groups(struct rl_request *request, const void *message)
{
    struct list_groups *l = rl_request_alloc(request, 1, sizeof *l);
    if (l == NULL)
        return;
    l->asked = message;
    l->shard_count = rl_request_shard(request)->count;
    l->shards = rl_request_alloc(request, l->shard_count, sizeof *l->shards);
    if (l->shards == NULL)
        return;
    rl_scatter_init(&l->scatter, request, list_run, list_done);
    for (uint32_t i = 0; i < l->shard_count; i++)
        if (rl_scatter_add(&l->scatter, i, &l->shards[i].item) != RL_OK) {
            rl_request_close(request);
            return;
        }
    rl_scatter_start(&l->scatter);
}

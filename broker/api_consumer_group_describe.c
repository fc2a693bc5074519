/* broker/api_consumer_group_describe.c — ConsumerGroupDescribe: state and members of groups of the
 * consumer protocol (KIP-848).
 *
 * Happy path: the group's shard fills the group's part of the answer into memory of its own, which goes
 * with it.  What a member is told to give up and has not yet is still its own here, as in Kafka.
 * Failures: a group that there is not, or of another protocol, is GROUP_ID_NOT_FOUND with a sentence. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "broker/topics.h"
#include "coordinate/consumer_group.h"
#include "core/memory.h"
#include "replicate/metadata_image.h"
#include "wire/msg_consumer_group_describe.h"

#define GROUP_OPERATIONS 3400           /* what nobody is refused: bits of AclOperation (KIP-430) */
#define ARENA_CHUNK_BYTES 4096
#define MEMBER_OF_THE_CLASSIC_PROTOCOL 0
#define MEMBER_OF_THIS_PROTOCOL 1

struct describe_group {
    struct rl_group_item item;
    bool found, is_other;
    struct rl_consumer_group_describe_response_group answer;
    struct rl_arena memory;             /* what answer points into; used by one shard after the other */
};

struct describe {
    struct rl_scatter scatter;
    struct describe_group *groups;
    uint32_t count;
    bool operations;
};

/* ---- on the groups' shards ---- */

static void *take(struct rl_arena *arena, size_t count, size_t bytes)
{
    void *memory = rl_arena_alloc_array(arena, count, bytes);
    RL_ASSERT(memory != NULL);          /* it has no limit: what is copied is there already */
    return memory;
}

static struct rl_slice copy(struct rl_arena *arena, struct rl_slice from)
{
    return from.data == NULL ? from : rl_slice_of(rl_arena_strndup(arena, (const char *)from.data, from.bytes),
                                                  from.bytes);
}

/* By topic, without topics that are gone. */
static struct rl_consumer_group_describe_response_assignment
assignment_of(struct rl_arena *arena, const struct rl_image *image, const struct rl_partition_set *set)
{
    struct rl_consumer_group_describe_response_assignment to = { 0 };
    to.topic_partitions = take(arena, set->count, sizeof *to.topic_partitions);
    int32_t *numbers = take(arena, set->count, sizeof *numbers);
    for (uint32_t at = 0, run; at < set->count; at += run) {
        run = rl_partition_set_run(set, at);
        const struct rl_topic *topic = rl_image_find_id(image, set->items[at].topic_id);
        if (topic == NULL)
            continue;
        to.topic_partitions[to.topic_partitions_count++] = (struct rl_consumer_group_describe_response_topic){
            .topic_id = topic->id, .topic_name = copy(arena, rl_slice_of_string(topic->name)),
            .partitions = numbers + at, .partitions_count = (int32_t)run };
        for (uint32_t i = at; i < at + run; i++)
            numbers[i] = set->items[i].partition;
    }
    return to;
}

/* The schema has two types for one shape. */
static struct rl_consumer_group_describe_response_target
as_target(struct rl_arena *arena, struct rl_consumer_group_describe_response_assignment from)
{
    struct rl_consumer_group_describe_response_target to = { .topic_partitions_count = from.topic_partitions_count };
    to.topic_partitions = take(arena, (size_t)from.topic_partitions_count, sizeof *to.topic_partitions);
    for (int32_t i = 0; i < from.topic_partitions_count; i++)
        to.topic_partitions[i] = (struct rl_consumer_group_describe_response_target_topic){
            .topic_id = from.topic_partitions[i].topic_id, .topic_name = from.topic_partitions[i].topic_name,
            .partitions = from.topic_partitions[i].partitions,
            .partitions_count = from.topic_partitions[i].partitions_count };
    return to;
}

static void describe_member(struct rl_arena *arena, const struct rl_image *image,
                            const struct rl_consumer_member *member,
                            struct rl_consumer_group_describe_response_member *to)
{
    struct rl_partition_set has = rl_partition_set_copy(&member->assigned);
    struct rl_slice *names = take(arena, member->topic_count, sizeof *names);
    for (uint32_t i = 0; i < member->revoking.count; i++)
        rl_partition_set_add(&has, member->revoking.items[i].topic_id, member->revoking.items[i].partition);
    rl_partition_set_sort(&has);
    for (uint32_t i = 0; i < member->topic_count; i++)
        names[i] = copy(arena, member->topics[i]);
    rl_consumer_group_describe_response_member_init(to);
    to->member_id = copy(arena, member->id);
    to->instance_id = copy(arena, member->instance_id);
    to->rack_id = copy(arena, member->rack_id);
    to->member_epoch = member->epoch;
    to->client_id = copy(arena, member->client_id);
    to->client_host = copy(arena, member->client_host);
    to->subscribed_topic_names = names;
    to->subscribed_topic_names_count = (int32_t)member->topic_count;
    to->subscribed_topic_regex = copy(arena, member->regex);
    to->assignment = assignment_of(arena, image, &has);
    to->target_assignment = as_target(arena, assignment_of(arena, image, &member->target));
    to->member_type = member->is_classic ? MEMBER_OF_THE_CLASSIC_PROTOCOL : MEMBER_OF_THIS_PROTOCOL;
    rl_partition_set_done(&has);
}

static void describe(struct describe_group *d, const struct rl_group *group)
{
    const struct rl_image *image = rl_image_current(group->groups->shard);
    const struct rl_consumer_group *c = group->consumer;
    struct rl_consumer_group_describe_response_group *to = &d->answer;
    d->found = true;
    to->group_state = rl_slice_of_string(rl_consumer_group_state_name(rl_consumer_group_state(group)));
    to->group_epoch = c->epoch;
    to->assignment_epoch = c->assignment_epoch;
    to->assignor_name = rl_consumer_group_assignor(group);
    to->members = take(&d->memory, rl_table_count(&c->by_member_id), sizeof *to->members);
    RL_LIST_EACH(node, &c->members)
        describe_member(&d->memory, image, RL_LIST_ENTRY(node, struct rl_consumer_member, link),
                        &to->members[to->members_count++]);
}

static void describe_one(struct rl_group_item *item, struct rl_groups *groups)
{
    struct describe_group *d = RL_CONTAINER_OF(item, struct describe_group, item);
    const struct rl_group *group = rl_groups_find(groups, item->group_id);
    d->is_other = group != NULL && group->consumer == NULL;
    if (group != NULL && group->consumer != NULL && rl_group_item_left(item) > 0) {
        describe(d, group);
        if (!rl_group_item_take(item, d->memory.used_bytes))
            rl_consumer_group_describe_response_group_init(&d->answer);
    } else if (group != NULL && group->consumer != NULL) {
        item->error = RL_GROUP_INTERNAL;
    }
    rl_group_item_done(item);
}

static void describe_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, describe_one);
}

/* ---- on the connection's shard ---- */

static bool answer(struct describe *g, struct rl_consumer_group_describe_response *response)
{
    struct rl_request *request = g->scatter.request;
    response->groups = rl_request_alloc(request, g->count, sizeof *response->groups);
    if (response->groups == NULL)
        return false;
    response->groups_count = (int32_t)g->count;
    for (uint32_t i = 0; i < g->count; i++) {
        struct describe_group *d = &g->groups[i];
        struct rl_consumer_group_describe_response_group *to = &response->groups[i];
        *to = d->answer;
        to->group_id = d->item.group_id;
        to->error_code = rl_kafka_error_of_group(d->item.error);
        if (d->item.error != RL_GROUP_OK)
            continue;
        if (d->found) {
            to->authorized_operations = g->operations ? GROUP_OPERATIONS : INT32_MIN;
            continue;
        }
        to->error_code = to->group_id.bytes == 0 ? RL_KAFKA_INVALID_GROUP_ID : RL_KAFKA_GROUP_ID_NOT_FOUND;
        if (to->group_id.bytes == 0)
            continue;
        if (!rl_request_printf(request, &to->error_message, d->is_other ? "Group %.*s is not a consumer group."
                                                                        : "Group %.*s not found.",
                               (int)to->group_id.bytes, (const char *)to->group_id.data))
            return false;
    }
    return true;
}

static void describe_done(struct rl_scatter *scatter)
{
    struct describe *g = RL_CONTAINER_OF(scatter, struct describe, scatter);
    uint32_t count = g->count;
    struct rl_arena *memory = rl_alloc_zero(count + 1, sizeof *memory);
    struct rl_consumer_group_describe_response response;
    rl_consumer_group_describe_response_init(&response);
    for (uint32_t i = 0; i < count; i++)
        memory[i] = g->groups[i].memory;
    if (answer(g, &response))
        rl_reply_message(scatter->request, &response);
    for (uint32_t i = 0; i < count; i++)        /* the request is gone; what it pointed to is ours */
        rl_arena_done(&memory[i]);
    rl_free(memory);
}

void rl_api_consumer_group_describe(struct rl_request *request, const void *message)
{
    const struct rl_consumer_group_describe_request *asked = message;
    struct describe *g = rl_request_alloc(request, 1, sizeof *g);
    if (g == NULL)
        return;
    g->count = (uint32_t)asked->group_ids_count;
    g->operations = asked->include_authorized_operations;
    g->groups = rl_request_alloc(request, g->count, sizeof *g->groups);
    if (g->groups == NULL)
        return;
    rl_scatter_init(&g->scatter, request, describe_run, describe_done);
    for (uint32_t i = 0; i < g->count; i++) {
        g->groups[i].item.group_id = asked->group_ids[i];
        rl_consumer_group_describe_response_group_init(&g->groups[i].answer);
        rl_arena_init(&g->groups[i].memory, ARENA_CHUNK_BYTES, SIZE_MAX);
        if (!rl_group_scatter_add(&g->scatter, &g->groups[i].item))
            return;
    }
    rl_scatter_start(&g->scatter);
}

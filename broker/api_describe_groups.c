/* broker/api_describe_groups.c — DescribeGroups: state and members of groups.
 *
 * What members subscribe to is told in a stable group only, as in Kafka.  A group
 * that does not exist is "Dead"; from version 6 on that is an error, too. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "broker/topics.h"
#include "coordinate/owned.h"
#include "wire/msg_describe_groups.h"

#define NOT_FOUND_SINCE 6
#define GROUP_OPERATIONS 3400           /* what nobody is refused: bits of AclOperation (KIP-430) */

struct describe_member {
    struct rl_slice id, instance_id, client_id, client_host, metadata, assignment;
};

struct describe_group {
    struct rl_group_item item;
    bool found, is_other;               /* of the consumer protocol: as if it was not there */
    enum rl_group_state state;
    struct rl_slice protocol_type, protocol;
    struct describe_member *members;
    uint32_t member_count;
    void *memory;                       /* what all this points into */
};

struct describe_groups {
    struct rl_scatter scatter;
    struct describe_group *groups;
    uint32_t count;
    bool operations;
};

/* ---- on the groups' shards ---- */

static struct describe_member member_of(const struct rl_group *group, const struct rl_group_member *member)
{
    bool stable = group->state == RL_GROUP_STABLE;
    return (struct describe_member){
        .id = member->id, .instance_id = member->instance_id, .client_id = member->client_id,
        .client_host = member->client_host,
        .metadata = stable ? rl_group_member_metadata(member, group->protocol) : rl_slice_of("", 0),
        .assignment = member->assignment,
    };
}

static size_t member_bytes(const struct describe_member *m)
{
    return sizeof *m + m->id.bytes + m->instance_id.bytes + m->client_id.bytes + m->client_host.bytes +
           m->metadata.bytes + m->assignment.bytes;
}

static void describe(struct describe_group *d, const struct rl_group *group)
{
    size_t bytes = 1 + group->protocol_type.bytes + group->protocol.bytes;
    RL_LIST_EACH(node, &group->members) {
        struct describe_member m = member_of(group, RL_LIST_ENTRY(node, struct rl_group_member, link));
        bytes += member_bytes(&m);
    }
    if (!rl_group_item_take(&d->item, bytes))
        return;
    d->found = true;
    d->state = group->state;
    d->member_count = rl_table_count(&group->by_member_id);
    d->memory = rl_alloc(bytes);
    d->members = d->memory;
    uint8_t *at = (uint8_t *)(d->members + d->member_count);
    d->protocol_type = rl_slice_pack(&at, group->protocol_type);
    d->protocol = rl_slice_pack(&at, group->protocol);
    struct describe_member *to = d->members;
    RL_LIST_EACH(node, &group->members) {
        struct describe_member m = member_of(group, RL_LIST_ENTRY(node, struct rl_group_member, link));
        *to++ = (struct describe_member){
            .id = rl_slice_pack(&at, m.id), .instance_id = rl_slice_pack(&at, m.instance_id),
            .client_id = rl_slice_pack(&at, m.client_id), .client_host = rl_slice_pack(&at, m.client_host),
            .metadata = rl_slice_pack(&at, m.metadata), .assignment = rl_slice_pack(&at, m.assignment),
        };
    }
}

static void describe_one(struct rl_group_item *item, struct rl_groups *groups)
{
    const struct rl_group *group = rl_groups_find(groups, item->group_id);
    struct describe_group *d = RL_CONTAINER_OF(item, struct describe_group, item);
    d->is_other = group != NULL && group->consumer != NULL;
    if (group != NULL && !d->is_other)
        describe(d, group);
    rl_group_item_done(item);
}

static void describe_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, describe_one);
}

/* ---- on the connection's shard ---- */

static bool answer_missing(struct rl_request *request, bool is_other, struct rl_describe_groups_response_group *to)
{
    to->group_state = rl_slice_of_string("Dead");
    if (request->api_version < NOT_FOUND_SINCE)
        return true;
    to->error_code = RL_KAFKA_GROUP_ID_NOT_FOUND;
    return rl_request_printf(request, &to->error_message, is_other ? "Group %.*s is not a classic group."
                                                                   : "Group %.*s not found.", (int)to->group_id.bytes,
                             (const char *)to->group_id.data);
}

static bool answer_found(struct rl_request *request, const struct describe_group *d,
                         struct rl_describe_groups_response_group *to)
{
    to->group_state = rl_slice_of_string(rl_group_state_name(d->state));
    to->protocol_type = d->protocol_type;
    to->protocol_data = d->state == RL_GROUP_STABLE ? d->protocol : rl_slice_of("", 0);
    struct rl_describe_groups_response_member *members = rl_request_alloc(request, d->member_count, sizeof *members);
    if (members == NULL)
        return false;
    to->members = members;
    to->members_count = (int32_t)d->member_count;
    for (uint32_t i = 0; i < d->member_count; i++) {
        rl_describe_groups_response_member_init(&members[i]);
        members[i].member_id = d->members[i].id;
        members[i].group_instance_id = d->members[i].instance_id;
        members[i].client_id = d->members[i].client_id;
        members[i].client_host = d->members[i].client_host;
        members[i].member_metadata = d->members[i].metadata;
        members[i].member_assignment = d->members[i].assignment;
    }
    return true;
}

static bool answer(struct describe_groups *g, struct rl_describe_groups_response *response)
{
    struct rl_request *request = g->scatter.request;
    struct rl_describe_groups_response_group *groups = rl_request_alloc(request, g->count, sizeof *groups);
    if (groups == NULL)
        return false;
    response->groups = groups;
    response->groups_count = (int32_t)g->count;
    for (uint32_t i = 0; i < g->count; i++) {
        const struct describe_group *d = &g->groups[i];
        rl_describe_groups_response_group_init(&groups[i]);
        groups[i].group_id = d->item.group_id;
        groups[i].error_code = rl_kafka_error_of_group(d->item.error);
        if (d->item.error != RL_GROUP_OK)
            continue;
        if (!(d->found ? answer_found(request, d, &groups[i]) : answer_missing(request, d->is_other, &groups[i])))
            return false;
        if (g->operations && groups[i].error_code == 0)
            groups[i].authorized_operations = GROUP_OPERATIONS;
    }
    return true;
}

static void describe_done(struct rl_scatter *scatter)
{
    struct describe_groups *g = RL_CONTAINER_OF(scatter, struct describe_groups, scatter);
    uint32_t count = g->count;
    void **memory = rl_alloc_zero(count + 1, sizeof *memory);
    struct rl_describe_groups_response response;
    rl_describe_groups_response_init(&response);
    for (uint32_t i = 0; i < count; i++)
        memory[i] = g->groups[i].memory;
    if (answer(g, &response))
        rl_reply_message(scatter->request, &response);
    for (uint32_t i = 0; i < count; i++)        /* the request is gone; what it pointed to is ours */
        rl_free(memory[i]);
    rl_free(memory);
}

void rl_api_describe_groups(struct rl_request *request, const void *message)
{
    const struct rl_describe_groups_request *asked = message;
    struct describe_groups *g = rl_request_alloc(request, 1, sizeof *g);
    if (g == NULL)
        return;
    g->count = (uint32_t)asked->groups_count;
    g->operations = asked->include_authorized_operations;
    g->groups = rl_request_alloc(request, g->count, sizeof *g->groups);
    if (g->groups == NULL)
        return;
    rl_scatter_init(&g->scatter, request, describe_run, describe_done);
    for (uint32_t i = 0; i < g->count; i++) {
        g->groups[i].item.group_id = asked->groups[i];
        if (!rl_group_scatter_add(&g->scatter, &g->groups[i].item))
            return;
    }
    rl_scatter_start(&g->scatter);
}

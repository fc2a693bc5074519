/* broker/api_offset_fetch.c — OffsetFetch: how far groups have come.
 *
 * Up to version 7 a request asks of one group, from 8 on of many; null topics are all there are.  From
 * version 10 on topics are told by id.  What a group has not committed is offset -1, without an error.
 * Failures are the group's; before version 2, where there is no place for it, every partition's.
 * There are no transactions yet, so require_stable waits for nothing. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "broker/topics.h"
#include "coordinate/group_offsets.h"
#include "core/memory.h"
#include "replicate/metadata_image.h"
#include "wire/msg_offset_fetch.h"

#define GROUPS_SINCE 8
#define TOPIC_IDS_SINCE 10

struct fetch_group {
    struct rl_group_item item;
    struct rl_offset_fetch fetch;
    struct rl_uuid *topic_ids;          /* as asked, by fetch.topics; NULL: all */
    bool *unknown;                      /* such a topic id there is not */
};

struct offset_fetch {
    struct rl_scatter scatter;
    const struct rl_offset_fetch_request *asked;
    struct fetch_group *groups;
    uint32_t group_count;
};

/* ---- on the groups' shards ---- */

static void fetch_one(struct rl_group_item *item, struct rl_groups *groups)
{
    struct rl_offset_fetch *fetch = &RL_CONTAINER_OF(item, struct fetch_group, item)->fetch;
    fetch->bytes_max = rl_group_item_left(item);
    rl_groups_fetch_offsets(groups, fetch);
    item->error = fetch->error;
    (void)rl_group_item_take(item, fetch->bytes);
    rl_group_item_done(item);
}

static void fetch_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, fetch_one);
}

/* ---- the answer ---- */

static int16_t partition_error(const struct fetch_group *g, uint32_t topic)
{
    return !g->fetch.all && g->unknown != NULL && g->unknown[topic] ? RL_KAFKA_UNKNOWN_TOPIC_ID : RL_KAFKA_NONE;
}

/* A group with an error tells, in old versions, each partition of it. */
static void clear(struct rl_offset_fetch_partition *partition)
{
    partition->offset = -1;
    partition->leader_epoch = -1;
    partition->metadata = rl_slice_of("", 0);
}

static bool answer_group_topics(struct rl_request *request, const struct fetch_group *g,
                                struct rl_offset_fetch_response_group *to)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    const struct rl_offset_fetch *fetch = &g->fetch;
    bool by_id = request->api_version >= TOPIC_IDS_SINCE;
    struct rl_offset_fetch_response_group_topic *topics = rl_request_alloc(request, fetch->topic_count, sizeof *topics);
    if (topics == NULL)
        return false;
    to->topics = topics;
    for (uint32_t t = 0; t < fetch->topic_count; t++) {
        const struct rl_offset_fetch_topic *from = &fetch->topics[t];
        const struct rl_topic *topic = by_id && fetch->all ? rl_image_find(image, from->name) : NULL;
        if (by_id && fetch->all && topic == NULL)
            continue;                   /* deleted: it has no id to tell it by */
        struct rl_offset_fetch_response_group_topic *answer = &topics[to->topics_count++];
        rl_offset_fetch_response_group_topic_init(answer);
        answer->name = from->name;
        if (by_id)
            answer->topic_id = fetch->all ? topic->id : g->topic_ids[t];
        struct rl_offset_fetch_response_group_partition *partitions =
            rl_request_alloc(request, from->partition_count, sizeof *partitions);
        if (partitions == NULL)
            return false;
        answer->partitions = partitions;
        answer->partitions_count = (int32_t)from->partition_count;
        for (uint32_t i = 0; i < from->partition_count; i++) {
            rl_offset_fetch_response_group_partition_init(&partitions[i]);
            partitions[i].partition_index = from->partitions[i].partition;
            partitions[i].committed_offset = from->partitions[i].offset;
            partitions[i].committed_leader_epoch = from->partitions[i].leader_epoch;
            partitions[i].metadata = from->partitions[i].metadata;
            partitions[i].error_code = partition_error(g, t);
        }
    }
    return true;
}

static bool answer_groups(struct offset_fetch *f, struct rl_offset_fetch_response *response)
{
    struct rl_offset_fetch_response_group *groups =
        rl_request_alloc(f->scatter.request, f->group_count, sizeof *groups);
    if (groups == NULL)
        return false;
    response->groups = groups;
    response->groups_count = (int32_t)f->group_count;
    for (uint32_t i = 0; i < f->group_count; i++) {
        const struct fetch_group *g = &f->groups[i];
        rl_offset_fetch_response_group_init(&groups[i]);
        groups[i].group_id = g->item.group_id;
        groups[i].error_code = rl_kafka_error_of_group(g->item.error);
        if (g->item.error == RL_GROUP_OK && !answer_group_topics(f->scatter.request, g, &groups[i]))
            return false;
    }
    return true;
}

static bool answer_topics(struct offset_fetch *f, struct rl_offset_fetch_response *response)
{
    const struct fetch_group *g = &f->groups[0];
    int16_t error = rl_kafka_error_of_group(g->item.error);
    bool in_partitions = f->scatter.request->api_version < 2;
    if (error != 0 && !in_partitions) {
        response->error_code = error;
        return true;
    }
    struct rl_offset_fetch_response_topic *topics =
        rl_request_alloc(f->scatter.request, g->fetch.topic_count, sizeof *topics);
    if (topics == NULL)
        return false;
    response->topics = topics;
    response->topics_count = (int32_t)g->fetch.topic_count;
    for (uint32_t t = 0; t < g->fetch.topic_count; t++) {
        const struct rl_offset_fetch_topic *from = &g->fetch.topics[t];
        rl_offset_fetch_response_topic_init(&topics[t]);
        topics[t].name = from->name;
        struct rl_offset_fetch_response_partition *partitions =
            rl_request_alloc(f->scatter.request, from->partition_count, sizeof *partitions);
        if (partitions == NULL)
            return false;
        topics[t].partitions = partitions;
        topics[t].partitions_count = (int32_t)from->partition_count;
        for (uint32_t i = 0; i < from->partition_count; i++) {
            if (error != 0)
                clear(&from->partitions[i]);
            rl_offset_fetch_response_partition_init(&partitions[i]);
            partitions[i].partition_index = from->partitions[i].partition;
            partitions[i].committed_offset = from->partitions[i].offset;
            partitions[i].committed_leader_epoch = from->partitions[i].leader_epoch;
            partitions[i].metadata = from->partitions[i].metadata;
            partitions[i].error_code = error;
        }
    }
    return true;
}

static void fetch_done(struct rl_scatter *scatter)
{
    struct offset_fetch *f = RL_CONTAINER_OF(scatter, struct offset_fetch, scatter);
    struct rl_offset_fetch_response response;
    rl_offset_fetch_response_init(&response);
    void *memory[8];
    uint32_t count = f->group_count;
    void **all = count <= RL_ARRAY_COUNT(memory) ? memory : rl_alloc_zero(count, sizeof *all);
    for (uint32_t i = 0; i < count; i++)
        all[i] = f->groups[i].fetch.memory;
    if (scatter->request->api_version >= GROUPS_SINCE ? answer_groups(f, &response)
                                                      : answer_topics(f, &response))
        rl_reply_message(scatter->request, &response);
    for (uint32_t i = 0; i < count; i++)        /* the request is gone; what it pointed to is ours */
        rl_free(all[i]);
    if (all != memory)
        rl_free(all);
}

/* ---- the question ---- */

static bool take_partitions(struct rl_request *request, struct rl_offset_fetch_topic *topic,
                            const int32_t *indexes, int32_t count)
{
    topic->partitions = rl_request_alloc(request, (size_t)count, sizeof *topic->partitions);
    if (topic->partitions == NULL)
        return false;
    topic->partition_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++) {
        topic->partitions[i].partition = indexes[i];
        clear(&topic->partitions[i]);
    }
    return true;
}

static bool take_one_group(struct rl_request *request, struct offset_fetch *f)
{
    struct fetch_group *g = &f->groups[0];
    g->item.group_id = g->fetch.group_id = f->asked->group_id;
    g->fetch.member_epoch = -1;
    g->fetch.all = f->asked->topics_count < 0;
    g->fetch.topic_count = g->fetch.all ? 0 : (uint32_t)f->asked->topics_count;
    g->fetch.topics = rl_request_alloc(request, g->fetch.topic_count, sizeof *g->fetch.topics);
    if (g->fetch.topics == NULL)
        return false;
    for (uint32_t i = 0; i < g->fetch.topic_count; i++) {
        g->fetch.topics[i].name = f->asked->topics[i].name;
        if (!take_partitions(request, &g->fetch.topics[i], f->asked->topics[i].partition_indexes,
                             f->asked->topics[i].partition_indexes_count))
            return false;
    }
    return rl_group_scatter_add(&f->scatter, &g->item);
}

/* The name of a topic that is told by its id; it must outlive the image. */
static bool name_topic(struct rl_request *request, struct fetch_group *g, uint32_t i, struct rl_uuid id)
{
    const struct rl_topic *topic = rl_image_find_id(rl_image_current(rl_request_shard(request)), id);
    g->topic_ids[i] = id;
    g->unknown[i] = topic == NULL;
    g->fetch.topics[i].name = rl_slice_of("", 0);
    return topic == NULL || rl_request_copy_name(request, topic->name, &g->fetch.topics[i].name);
}

static bool take_group(struct rl_request *request, struct offset_fetch *f, struct fetch_group *g,
                       const struct rl_offset_fetch_request_group *asked)
{
    g->item.group_id = g->fetch.group_id = asked->group_id;
    g->fetch.member_id = asked->member_id;
    g->fetch.member_epoch = asked->member_epoch;
    g->fetch.all = asked->topics_count < 0;
    g->fetch.topic_count = g->fetch.all ? 0 : (uint32_t)asked->topics_count;
    g->fetch.topics = rl_request_alloc(request, g->fetch.topic_count, sizeof *g->fetch.topics);
    if (g->fetch.topics == NULL)
        return false;
    if (request->api_version >= TOPIC_IDS_SINCE) {
        g->topic_ids = rl_request_alloc(request, g->fetch.topic_count, sizeof *g->topic_ids);
        if (g->topic_ids == NULL)
            return false;
        g->unknown = rl_request_alloc(request, g->fetch.topic_count, sizeof *g->unknown);
        if (g->unknown == NULL)
            return false;
    }
    for (uint32_t i = 0; i < g->fetch.topic_count; i++) {
        g->fetch.topics[i].name = asked->topics[i].name;
        if (g->topic_ids != NULL && !name_topic(request, g, i, asked->topics[i].topic_id))
            return false;
        if (!take_partitions(request, &g->fetch.topics[i], asked->topics[i].partition_indexes,
                             asked->topics[i].partition_indexes_count))
            return false;
    }
    return rl_group_scatter_add(&f->scatter, &g->item);
}

void rl_api_offset_fetch(struct rl_request *request, const void *message)
{
    const struct rl_offset_fetch_request *asked = message;
    struct offset_fetch *f = rl_request_alloc(request, 1, sizeof *f);
    if (f == NULL)
        return;
    bool many = request->api_version >= GROUPS_SINCE;
    f->asked = asked;
    f->group_count = many ? (uint32_t)asked->groups_count : 1;
    f->groups = rl_request_alloc(request, f->group_count, sizeof *f->groups);
    if (f->groups == NULL)
        return;
    rl_scatter_init(&f->scatter, request, fetch_run, fetch_done);
    if (!many && !take_one_group(request, f))
        return;
    for (uint32_t i = 0; many && i < f->group_count; i++)
        if (!take_group(request, f, &f->groups[i], &asked->groups[i]))
            return;
    rl_scatter_start(&f->scatter);
}

/* broker/api_offset_delete.c — OffsetDelete: a group forgets how far it has come (KIP-496).
 *
 * Offsets of topics that its members read are not deleted.  Unknown topics are told per partition; an
 * error of the group is the answer's only content. */
#include "broker/broker.h"
#include "broker/group_scatter.h"
#include "coordinate/group_offsets.h"
#include "replicate/metadata_image.h"
#include "wire/msg_offset_delete.h"

struct offset_delete {
    struct rl_scatter scatter;
    struct rl_group_item item;
    struct rl_offset_delete call;
    const struct rl_offset_delete_request *asked;
};

static void on_deleted(struct rl_group_answer *answer)
{
    struct offset_delete *d = RL_CONTAINER_OF(answer, struct offset_delete, call.answer);
    d->item.error = d->call.error;
    rl_group_item_done(&d->item);
}

static void delete_one(struct rl_group_item *item, struct rl_groups *groups)
{
    rl_groups_delete_offsets(groups, &RL_CONTAINER_OF(item, struct offset_delete, item)->call);
}

static void delete_run(struct rl_scatter_call *call)
{
    rl_group_scatter_run(call, delete_one);
}

static bool answer_topics(struct offset_delete *d, struct rl_offset_delete_response *response)
{
    const struct rl_offset_delete_request *asked = d->asked;
    struct rl_request *request = d->scatter.request;
    const struct rl_offset_delete_partition *said = d->call.partitions;
    struct rl_offset_delete_response_topic *topics = rl_request_alloc(request, (size_t)asked->topics_count, sizeof *topics);
    if (topics == NULL)
        return false;
    response->topics = topics;
    response->topics_count = asked->topics_count;
    for (int32_t t = 0; t < asked->topics_count; t++) {
        const struct rl_offset_delete_request_topic *from = &asked->topics[t];
        rl_offset_delete_response_topic_init(&topics[t]);
        topics[t].name = from->name;
        topics[t].partitions = rl_request_alloc(request, (size_t)from->partitions_count, sizeof *topics[t].partitions);
        if (topics[t].partitions == NULL)
            return false;
        topics[t].partitions_count = from->partitions_count;
        for (int32_t i = 0; i < from->partitions_count; i++, said++) {
            rl_offset_delete_response_partition_init(&topics[t].partitions[i]);
            topics[t].partitions[i].partition_index = said->partition;
            topics[t].partitions[i].error_code = said->refused ? RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                                               : rl_kafka_error_of_group(said->error);
        }
    }
    return true;
}

static void delete_done(struct rl_scatter *scatter)
{
    struct offset_delete *d = RL_CONTAINER_OF(scatter, struct offset_delete, scatter);
    struct rl_offset_delete_response response;
    rl_offset_delete_response_init(&response);
    response.error_code = rl_kafka_error_of_group(d->item.error);
    if (d->item.error != RL_GROUP_OK || answer_topics(d, &response))
        rl_reply_message(scatter->request, &response);
}

void rl_api_offset_delete(struct rl_request *request, const void *message)
{
    const struct rl_offset_delete_request *asked = message;
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    struct offset_delete *d = rl_request_alloc(request, 1, sizeof *d);
    size_t count = 0;
    if (d == NULL)
        return;
    for (int32_t t = 0; t < asked->topics_count; t++)
        count += (size_t)asked->topics[t].partitions_count;
    d->call.partitions = rl_request_alloc(request, count, sizeof *d->call.partitions);
    if (d->call.partitions == NULL)
        return;
    for (int32_t t = 0; t < asked->topics_count; t++) {
        const struct rl_topic *topic = rl_image_find(image, asked->topics[t].name);
        for (int32_t i = 0; i < asked->topics[t].partitions_count; i++) {
            int32_t partition = asked->topics[t].partitions[i].partition_index;
            d->call.partitions[d->call.partition_count++] = (struct rl_offset_delete_partition){
                .topic = asked->topics[t].name, .partition = partition,
                .refused = topic == NULL || partition < 0 || partition >= topic->partition_count,
            };
        }
    }
    d->asked = asked;
    d->item.group_id = d->call.group_id = asked->group_id;
    d->call.answer.done = on_deleted;
    rl_scatter_init(&d->scatter, request, delete_run, delete_done);
    if (rl_group_scatter_add(&d->scatter, &d->item))
        rl_scatter_start(&d->scatter);
}

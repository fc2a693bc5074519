/* broker/api_offset_for_leader_epoch.c — where an epoch ended, so that a client notices loss.
 *
 * A consumer that read acks=0/1 records which a power cut took finds the end of its epoch below
 * its own position (KIP-320).  Failures are answered per partition. */
#include "broker/broker.h"
#include "broker/scatter.h"
#include "replicate/metadata_image.h"
#include "replicate/replica_manager.h"
#include "wire/msg_offset_for_leader_epoch.h"


struct epoch_entry {                    /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_offset_for_leader_epoch_response_partition *answer;
    struct rl_uuid topic_id;
    int32_t partition_index;
    int32_t current_leader_epoch;
    int32_t asked_epoch;
    rl_status status;
    int32_t ret_epoch;
    int64_t ret_end_offset;
};

struct epoch_request {
    struct rl_scatter scatter;
    struct rl_offset_for_leader_epoch_response response;
};

static void epoch_run(struct rl_scatter_call *call)
{
    for (struct rl_scatter_item *i = call->items; i != NULL; i = i->next) {
        struct epoch_entry *e = RL_CONTAINER_OF(i, struct epoch_entry, item);
        const struct rl_partition *p = rl_replica_manager_find(call->owner, e->topic_id, e->partition_index);
        e->status = rl_partition_check_asked_epoch(p, e->current_leader_epoch);
        if (e->status == RL_OK)
            rl_log_epoch_end(p->log, e->asked_epoch, &e->ret_epoch, &e->ret_end_offset);
    }
    rl_scatter_call_done(call);
}

static void epoch_done(struct rl_scatter *scatter)
{
    struct epoch_request *r = RL_CONTAINER_OF(scatter, struct epoch_request, scatter);
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next)
        for (struct rl_scatter_item *i = c->items; i != NULL; i = i->next) {
            struct epoch_entry *e = RL_CONTAINER_OF(i, struct epoch_entry, item);
            e->answer->error_code = rl_kafka_error_of(e->status);
            if (e->status != RL_OK)
                continue;
            e->answer->leader_epoch = e->ret_epoch;
            e->answer->end_offset = e->ret_end_offset;
        }
    rl_reply_message(scatter->request, &r->response);
}

static bool epoch_add(struct rl_request *request, struct epoch_request *r, const struct rl_topic *topic,
                      const struct rl_offset_for_leader_epoch_request_partition *asked,
                      struct rl_offset_for_leader_epoch_response_partition *answer)
{
    if (topic == NULL || asked->partition < 0 || asked->partition >= topic->partition_count) {
        answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        return true;
    }
    struct epoch_entry *e = rl_request_alloc(request, 1, sizeof *e);
    if (e == NULL)
        return false;
    e->answer = answer;
    e->topic_id = topic->id;
    e->partition_index = asked->partition;
    e->current_leader_epoch = asked->current_leader_epoch;
    e->asked_epoch = asked->leader_epoch;
    uint32_t shard_count = rl_request_shard(request)->count;
    if (rl_scatter_add(&r->scatter, rl_partition_home(topic->id, asked->partition, shard_count), &e->item) == RL_OK)
        return true;
    rl_request_close(request);
    return false;
}

static bool epoch_topic(struct rl_request *request, struct epoch_request *r,
                        const struct rl_offset_for_leader_epoch_request_topic *from,
                        struct rl_offset_for_leader_epoch_response_topic *to)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(request));
    const struct rl_topic *topic = rl_image_find(image, from->topic);
    rl_offset_for_leader_epoch_response_topic_init(to);
    to->topic = from->topic;
    to->partitions = rl_request_alloc(request, (size_t)from->partitions_count, sizeof *to->partitions);
    if (to->partitions == NULL)
        return false;
    to->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        rl_offset_for_leader_epoch_response_partition_init(&to->partitions[i]);
        to->partitions[i].partition = from->partitions[i].partition;
        if (!epoch_add(request, r, topic, &from->partitions[i], &to->partitions[i]))
            return false;
    }
    return true;
}

void rl_api_offset_for_leader_epoch(struct rl_request *request, const void *message)
{
    const struct rl_offset_for_leader_epoch_request *asked = message;
    struct epoch_request *r = rl_request_alloc(request, 1, sizeof *r);
    if (r == NULL)
        return;
    rl_scatter_init(&r->scatter, request, epoch_run, epoch_done);
    rl_offset_for_leader_epoch_response_init(&r->response);
    r->response.topics = rl_request_alloc(request, (size_t)asked->topics_count, sizeof *r->response.topics);
    if (r->response.topics == NULL)
        return;
    r->response.topics_count = asked->topics_count;
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (!epoch_topic(request, r, &asked->topics[i], &r->response.topics[i]))
            return;
    rl_scatter_start(&r->scatter);
}

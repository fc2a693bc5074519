/* broker/api_create_partitions.c — CreatePartitions: more partitions for topics.
 *
 * Happy path: each topic goes to the controller, which makes it CREATING once more for the new
 * partitions and answers when they can be used; one reply at the end.
 *
 * Failures are answered per topic, in Kafka's words; a topic that is named twice is refused.  A
 * manual assignment can only name this broker.  timeout.ms is not needed: the controller always
 * answers. */
#include "broker/broker.h"
#include "broker/replica_assignment.h"
#include "broker/topics.h"
#include "coordinate/group_id.h"
#include "core/table.h"
#include "replicate/controller.h"
#include "replicate/metadata_image.h"
#include "wire/msg_create_partitions.h"

#include <stdio.h>

struct grow_item {
    const struct rl_create_partitions_request_topic *asked;
    int16_t error_code;
    struct rl_slice error_message;
    bool duplicate;
    bool called;
    struct rl_alter call;
};

struct grow {
    struct rl_request *request;
    struct grow_item *items;
    uint32_t item_count;
    uint32_t outstanding;
};

static void grow_answer(struct grow *g)
{
    struct rl_create_partitions_response response;
    rl_create_partitions_response_init(&response);
    response.results = rl_request_alloc(g->request, g->item_count, sizeof *response.results);
    if (response.results == NULL)
        return;
    for (uint32_t i = 0; i < g->item_count; i++)
        response.results[response.results_count++] = (struct rl_create_partitions_response_result){
            .name = g->items[i].asked->name, .error_code = g->items[i].error_code,
            .error_message = g->items[i].error_message };
    rl_reply_message(g->request, &response);
}

static void on_grown(struct rl_alter *call)
{
    struct grow_item *item = RL_CONTAINER_OF(call, struct grow_item, call);
    struct grow *g = call->arg;
    item->error_code = call->status == RL_ERANGE || call->status == RL_ETOOLARGE
                     ? RL_KAFKA_INVALID_PARTITIONS : rl_kafka_error_of(call->status);
    if (call->status != RL_OK && call->reason[0] != '\0')
        item->error_message = rl_slice_of_string(call->reason);
    if (--g->outstanding == 0)
        grow_answer(g);
}

/* ---- checks; false: connection closed ---- */

static bool grow_refuse(struct grow *g, struct grow_item *item, const char *message)
{
    item->error_code = RL_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    return rl_request_printf(g->request, &item->error_message, "%s", message);
}

static bool grow_check_assignments(struct grow *g, struct grow_item *item)
{
    const struct rl_topic *topic =
        rl_image_find(rl_image_current(rl_request_shard(g->request)), item->asked->name);
    if (topic != NULL && rl_slice_equal_string(item->asked->name, RL_OFFSETS_TOPIC)) {
        item->error_code = RL_KAFKA_INVALID_TOPIC_EXCEPTION;
        item->error_message = rl_slice_of_string(
            "More partitions of __consumer_offsets would make every group lose its offsets.");
        return true;
    }
    int64_t additional = (int64_t)item->asked->count - (topic != NULL ? topic->partition_count : 0);
    if (topic == NULL || additional <= 0 || item->asked->assignments_count < 0)
        return true;                    /* the controller has the word for that */
    if (item->asked->assignments_count != additional) {
        char message[160];
        snprintf(message, sizeof message, "Attempted to add %lld additional partition(s), but only "
                 "%d assignment(s) were specified.", (long long)additional,
                 item->asked->assignments_count);
        return grow_refuse(g, item, message);
    }
    for (int32_t i = 0; i < item->asked->assignments_count && item->error_message.data == NULL; i++) {
        const struct rl_create_partitions_request_assignment *one = &item->asked->assignments[i];
        if (!rl_replica_assignment_check(g->request, one->broker_ids, one->broker_ids_count,
                                         &item->error_message))
            return false;
    }
    if (item->error_message.data != NULL)
        item->error_code = RL_KAFKA_INVALID_REPLICA_ASSIGNMENT;
    return true;
}

static void grow_gather(struct grow *g, const struct rl_create_partitions_request *asked)
{
    struct rl_table seen;
    rl_table_init(&seen, rl_shard_random(rl_request_shard(g->request)));
    for (int32_t i = 0; i < asked->topics_count; i++) {
        struct grow_item *first = rl_table_find(&seen, asked->topics[i].name);
        if (first != NULL) {
            first->error_code = RL_KAFKA_INVALID_REQUEST;
            first->error_message = rl_slice_of_string("Duplicate topic name.");
            continue;
        }
        struct grow_item *item = &g->items[g->item_count++];
        item->asked = &asked->topics[i];
        rl_table_put(&seen, item->asked->name, item);
    }
    rl_table_done(&seen);
}

void rl_api_create_partitions(struct rl_request *request, const void *message)
{
    const struct rl_create_partitions_request *asked = message;
    struct grow *g = rl_request_alloc(request, 1, sizeof *g);
    if (g == NULL)
        return;
    g->request = request;
    g->items = rl_request_alloc(request, (size_t)asked->topics_count, sizeof *g->items);
    if (g->items == NULL)
        return;
    grow_gather(g, asked);
    for (uint32_t i = 0; i < g->item_count; i++) {
        struct grow_item *item = &g->items[i];
        if (item->error_code == RL_KAFKA_NONE && !grow_check_assignments(g, item))
            return;
        item->called = item->error_code == RL_KAFKA_NONE;
        g->outstanding += item->called;
    }
    if (g->outstanding == 0) {
        grow_answer(g);
        return;
    }
    for (uint32_t i = 0; i < g->item_count; i++) {
        struct grow_item *item = &g->items[i];
        if (!item->called)
            continue;
        item->call = (struct rl_alter){ .target = RL_ALTER_TOPIC, .name = item->asked->name,
            .partition_count = item->asked->count, .grow = true,
            .validate_only = asked->validate_only, .done = on_grown, .arg = g };
        rl_controller_alter(rl_request_shard(request), &item->call);
    }
}

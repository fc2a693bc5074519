/* broker/api_delete_topics.c — DeleteTopics, by name or (from version 6) by id.
 *
 * Happy path: names are resolved to ids, so that a topic made anew meanwhile is not hit; the
 * controller answers when the files are gone; one reply.
 *
 * Failures are answered per topic with Kafka's codes and sentences.  A topic that is named twice,
 * or once by name and once by id, is not deleted: the client is confused.  timeout.ms is not
 * needed: the controller always answers. */
#include "broker/broker.h"
#include "coordinate/group_id.h"
#include "core/table.h"
#include "replicate/controller.h"
#include "replicate/metadata_image.h"
#include "wire/msg_delete_topics.h"

#define OFFSETS_TEXT "Without __consumer_offsets every group would lose its offsets; groups can be deleted by their names."
#define UNKNOWN_TOPIC_TEXT "This server does not host this topic-partition."
#define UNKNOWN_TOPIC_ID_TEXT "This server does not host this topic ID."

struct delete_topics_item {
    struct rl_slice name;               /* data NULL: asked by id, not resolved yet */
    struct rl_uuid topic_id;
    bool by_id;
    bool left_out;                      /* another item answers for this one */
    int16_t error_code;
    const char *error_message;          /* static, or NULL */
    struct rl_delete_topic call;        /* lent to the controller */
};

struct delete_topics {
    struct rl_request *request;
    struct delete_topics_item *items;   /* in the order asked */
    uint32_t item_count;
    uint32_t outstanding;
};

static void delete_refuse(struct delete_topics_item *item, int16_t error, const char *message)
{
    item->error_code = error;
    item->error_message = message;
}

/* ---- the answer ---- */

static void delete_answer(struct delete_topics *d)
{
    struct rl_delete_topics_response response;
    rl_delete_topics_response_init(&response);
    response.responses = rl_request_alloc(d->request, d->item_count, sizeof *response.responses);
    if (response.responses == NULL)
        return;
    for (uint32_t i = 0; i < d->item_count; i++) {
        const struct delete_topics_item *item = &d->items[i];
        if (item->left_out)
            continue;
        struct rl_delete_topics_response_topic *answer =
            &response.responses[response.responses_count++];
        rl_delete_topics_response_topic_init(answer);
        answer->name = item->name;
        answer->topic_id = item->topic_id;
        answer->error_code = item->error_code;
        answer->error_message = rl_slice_of_string(item->error_message);
    }
    rl_reply_message(d->request, &response);
}

/* ---- what is asked ---- */

/* False: connection closed. */
static bool delete_gather(struct delete_topics *d, const struct rl_delete_topics_request *asked)
{
    bool by_names = d->request->api_version < 6;
    d->item_count = (uint32_t)(by_names ? asked->topic_names_count : asked->topics_count);
    d->items = rl_request_alloc(d->request, d->item_count, sizeof *d->items);
    if (d->items == NULL)
        return false;
    for (uint32_t i = 0; i < d->item_count; i++) {
        struct delete_topics_item *item = &d->items[i];
        item->name = by_names ? asked->topic_names[i] : asked->topics[i].name;
        if (by_names)
            continue;
        item->topic_id = asked->topics[i].topic_id;
        item->by_id = !rl_uuid_is_zero(item->topic_id);
        if (item->by_id && item->name.data != NULL)
            delete_refuse(item, RL_KAFKA_INVALID_REQUEST,
                          "You may not specify both topic name and topic id.");
        else if (!item->by_id && item->name.data == NULL)
            delete_refuse(item, RL_KAFKA_INVALID_REQUEST,
                          "Neither topic name nor id were specified.");
    }
    return true;
}

/* Refuse what is there twice, once; note every id in `ids`. */
static void delete_find_duplicates(struct delete_topics *d, struct rl_table *names,
                                   struct rl_table *ids)
{
    for (uint32_t i = 0; i < d->item_count; i++) {
        struct delete_topics_item *item = &d->items[i];
        if (item->error_code != RL_KAFKA_NONE)
            continue;
        struct rl_table *seen = item->by_id ? ids : names;
        struct rl_slice key = item->by_id ? rl_slice_of(item->topic_id.bytes, sizeof item->topic_id)
                                          : item->name;
        struct delete_topics_item *first = rl_table_find(seen, key);
        if (first == NULL) {
            rl_table_put(seen, key, item);
            continue;
        }
        delete_refuse(first, RL_KAFKA_INVALID_REQUEST,
                      item->by_id ? "Duplicate topic id." : "Duplicate topic name.");
        item->left_out = true;
    }
}

static void delete_resolve_name(struct delete_topics_item *item, const struct rl_image *image,
                                const struct rl_table *ids)
{
    const struct rl_topic *topic = rl_image_find(image, item->name);
    if (topic == NULL) {
        delete_refuse(item, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_TEXT);
        return;
    }
    item->topic_id = topic->id;
    struct delete_topics_item *same =
        rl_table_find(ids, rl_slice_of(topic->id.bytes, sizeof topic->id));
    if (same == NULL)
        return;
    delete_refuse(item, RL_KAFKA_INVALID_REQUEST,
                  "The provided topic name maps to an ID that was already supplied.");
    if (same->error_code == RL_KAFKA_NONE)
        same->left_out = true;
}

/* The name is copied: the image may be gone when we answer.  False: connection closed. */
static bool delete_resolve_id(struct delete_topics *d, struct delete_topics_item *item,
                              const struct rl_image *image)
{
    const struct rl_topic *topic = rl_image_find_id(image, item->topic_id);
    if (topic == NULL) {
        delete_refuse(item, RL_KAFKA_UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_ID_TEXT);
        return true;
    }
    size_t bytes = strlen(topic->name);
    char *copy = rl_request_alloc(d->request, 1, bytes + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, topic->name, bytes);
    item->name = rl_slice_of(copy, bytes);
    return true;
}

/* False: connection closed. */
static bool delete_resolve(struct delete_topics *d, const struct rl_table *ids)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(d->request));
    for (uint32_t i = 0; i < d->item_count; i++) {
        struct delete_topics_item *item = &d->items[i];
        if (!item->by_id && !item->left_out && item->error_code == RL_KAFKA_NONE)
            delete_resolve_name(item, image, ids);
    }
    for (uint32_t i = 0; i < d->item_count; i++) {
        struct delete_topics_item *item = &d->items[i];
        if (item->by_id && !item->left_out && item->error_code == RL_KAFKA_NONE &&
            !delete_resolve_id(d, item, image))
            return false;
    }
    for (uint32_t i = 0; i < d->item_count; i++)
        if (d->items[i].error_code == RL_KAFKA_NONE && !d->items[i].left_out &&
            rl_slice_equal_string(d->items[i].name, RL_OFFSETS_TOPIC))
            delete_refuse(&d->items[i], RL_KAFKA_INVALID_TOPIC_EXCEPTION, OFFSETS_TEXT);
    return true;
}

/* False: connection closed. */
static bool delete_check(struct delete_topics *d)
{
    struct rl_table names, ids;
    rl_table_init(&names, rl_shard_random(rl_request_shard(d->request)));
    rl_table_init(&ids, rl_shard_random(rl_request_shard(d->request)));
    delete_find_duplicates(d, &names, &ids);
    bool going_on = delete_resolve(d, &ids);
    rl_table_done(&names);
    rl_table_done(&ids);
    return going_on;
}

/* ---- the controller ---- */

static void on_deleted(struct rl_delete_topic *call)
{
    struct delete_topics_item *item = RL_CONTAINER_OF(call, struct delete_topics_item, call);
    struct delete_topics *d = call->arg;
    if (call->status == RL_ENOTFOUND && item->by_id)        /* somebody else was quicker */
        delete_refuse(item, RL_KAFKA_UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_ID_TEXT);
    else if (call->status == RL_ENOTFOUND)
        delete_refuse(item, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_TEXT);
    else if (call->status != RL_OK)
        delete_refuse(item, rl_kafka_error_of(call->status), rl_status_text(call->status));
    if (--d->outstanding == 0)
        delete_answer(d);
}

static void delete_start(struct delete_topics *d)
{
    for (uint32_t i = 0; i < d->item_count; i++) {
        struct delete_topics_item *item = &d->items[i];
        if (item->left_out || item->error_code != RL_KAFKA_NONE)
            continue;
        item->call.topic_id = item->topic_id;
        item->call.done = on_deleted;
        item->call.arg = d;
        d->outstanding++;
    }
    if (d->outstanding == 0) {
        delete_answer(d);
        return;
    }
    for (uint32_t i = 0; i < d->item_count; i++)
        if (d->items[i].call.done != NULL)
            rl_controller_delete_topic(rl_request_shard(d->request), &d->items[i].call);
}

void rl_api_delete_topics(struct rl_request *request, const void *message)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(request));
    struct delete_topics *d = rl_request_alloc(request, 1, sizeof *d);
    if (d == NULL)
        return;
    d->request = request;
    if (!delete_gather(d, message))
        return;
    if (!config->delete_topic_enable) {
        /* Version 2 and older do not know the code. */
        for (uint32_t i = 0; i < d->item_count; i++)
            delete_refuse(&d->items[i], request->api_version < 3 ? RL_KAFKA_INVALID_REQUEST
                                                                 : RL_KAFKA_TOPIC_DELETION_DISABLED,
                          NULL);
        delete_answer(d);
        return;
    }
    if (delete_check(d))
        delete_start(d);
}

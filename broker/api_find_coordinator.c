/* broker/api_find_coordinator.c — FindCoordinator: who coordinates a group.  There is one broker: we.
 *
 * Happy path: __consumer_offsets is there and the answer is our address, as the client dialled it.
 * The first question of all makes the topic, and waits for it.
 * Failures: transactional ids and share groups are INVALID_REQUEST until they are built; without the
 * topic COORDINATOR_NOT_AVAILABLE, and clients ask again. */
#include "broker/broker.h"
#include "coordinate/group_id.h"
#include "core/logger.h"
#include "replicate/controller.h"
#include "replicate/metadata_image.h"
#include "wire/msg_find_coordinator.h"
#include <stdio.h>

#define KEYS_SINCE 4
enum { KEY_GROUP = 0, KEY_SHARE = 2 };
/* Kafka's text of INVALID_REQUEST. */
#define REFUSED "This most likely occurs because of a request being malformed by the client library or the message "     \
                "was sent to an incompatible broker. See the broker logs for more details."

struct find_coordinator {
    struct rl_request *request;
    const struct rl_find_coordinator_request *asked;
    struct rl_create_topic create;
    struct rl_topic_override overrides[3];
    char segment_bytes[16];
};

static bool topic_is_there(const struct rl_request *request)
{
    const struct rl_topic *topic = rl_image_find(rl_image_current(rl_request_shard(request)),
                                                 rl_slice_of_string(RL_OFFSETS_TOPIC));
    return topic != NULL && topic->state == RL_TOPIC_ONLINE;
}

static bool answer_keys(struct find_coordinator *f, const struct rl_find_coordinator_response_coordinator *found,
                        struct rl_find_coordinator_response *response)
{
    int32_t count = f->asked->coordinator_keys_count;
    struct rl_find_coordinator_response_coordinator *coordinators =
        rl_request_alloc(f->request, (size_t)count, sizeof *coordinators);
    if (coordinators == NULL)
        return false;
    response->coordinators = coordinators;
    response->coordinators_count = count;
    for (int32_t i = 0; i < count; i++) {
        coordinators[i] = *found;
        coordinators[i].key = f->asked->coordinator_keys[i];
    }
    return true;
}

/* What Kafka says beside the code: before version 4 always something, later hardly anything. */
static const char *message_of(const struct find_coordinator *f, int16_t error)
{
    bool old = f->request->api_version < KEYS_SINCE;
    if (error == RL_KAFKA_INVALID_REQUEST)
        return old || f->asked->key_type != KEY_SHARE ? REFUSED : "";
    return error == RL_KAFKA_NONE && old ? "NONE" : "";
}

static void answer(struct find_coordinator *f, int16_t error)
{
    struct rl_slice message = rl_slice_of_string(message_of(f, error));
    struct rl_broker *broker = rl_broker_of(rl_request_shard(f->request));
    struct rl_find_coordinator_response_coordinator found;
    struct rl_find_coordinator_response response;
    char host[RL_HOST_BYTES];
    rl_find_coordinator_response_init(&response);
    rl_find_coordinator_response_coordinator_init(&found);
    found.error_code = error;
    found.error_message = message;
    found.node_id = -1;
    found.port = -1;
    if (error == RL_KAFKA_NONE) {
        found.node_id = broker->node_id;
        rl_broker_advertised(f->request, host, &found.port);
        found.host = rl_slice_of_string(host);
    }
    response.error_code = error;
    response.error_message = message;
    response.node_id = found.node_id;
    response.host = found.host;
    response.port = found.port;
    if (f->request->api_version < KEYS_SINCE || answer_keys(f, &found, &response))
        rl_reply_message(f->request, &response);
}

static void on_created(struct rl_create_topic *call)
{
    struct find_coordinator *f = call->arg;
    bool there = call->status == RL_OK || call->status == RL_EEXIST;
    if (call->status == RL_OK)
        RL_INFO("broker", "%s was created for the first group", RL_OFFSETS_TOPIC);
    else if (!there)
        RL_WARN_EVERY(10, "broker", "%s cannot be created: %s", RL_OFFSETS_TOPIC, call->reason);
    if (rl_connection_closing(f->request->connection))
        rl_request_finish(f->request);
    else
        answer(f, there ? RL_KAFKA_NONE : RL_KAFKA_COORDINATOR_NOT_AVAILABLE);
}

static void create_topic(struct find_coordinator *f)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(f->request));
    snprintf(f->segment_bytes, sizeof f->segment_bytes, "%d", config->offsets_topic_segment_bytes);
    f->overrides[0] = (struct rl_topic_override){ "cleanup.policy", "compact" };
    f->overrides[1] = (struct rl_topic_override){ "compression.type", "producer" };
    f->overrides[2] = (struct rl_topic_override){ "segment.bytes", f->segment_bytes };
    f->create = (struct rl_create_topic){
        .name = rl_slice_of_string(RL_OFFSETS_TOPIC),
        .partition_count = config->offsets_topic_num_partitions,
        .overrides = f->overrides, .override_count = RL_ARRAY_COUNT(f->overrides),
        .done = on_created, .arg = f,
    };
    rl_controller_create_topic(rl_request_shard(f->request), &f->create);
}

void rl_api_find_coordinator(struct rl_request *request, const void *message)
{
    struct find_coordinator *f = rl_request_alloc(request, 1, sizeof *f);
    if (f == NULL)
        return;
    f->request = request;
    f->asked = message;
    if (f->asked->key_type != KEY_GROUP)
        answer(f, RL_KAFKA_INVALID_REQUEST);
    else if (topic_is_there(request))
        answer(f, RL_KAFKA_NONE);
    else
        create_topic(f);
}

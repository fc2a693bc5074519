/* broker/api_metadata.c — Metadata: brokers, topics, leaders; and topics created on first use.
 *
 * Happy path: the names (or ids, from version 12) are looked up in this shard's image and all is
 * answered at once.  Missing topics that may be created are given to the controller first; the
 * request waits for them and is then answered completely, which spares clients the retry that
 * Kafka's early answer costs them.
 *
 * Memory: partitions of different topics differ only in their index, so topics with the same
 * leader epoch share one array; ten thousand topics cost about a megabyte.
 *
 * Failures are answered per topic.  A creation that fails leaves UNKNOWN_TOPIC_OR_PARTITION, as
 * in Kafka.  While we wait, nothing points into an image: names are slices of the frame. */
#include "broker/broker.h"
#include "broker/topics.h"
#include "core/logger.h"
#include "core/table.h"
#include "replicate/controller.h"
#include "replicate/metadata_image.h"
#include "wire/msg_metadata.h"

struct metadata {
    struct rl_request *request;
    const struct rl_metadata_request *asked;
    bool all;                           /* every topic there is */
    bool by_id;                         /* names are not looked at */
    struct rl_slice *names;             /* distinct, in the order asked */
    struct rl_uuid *ids;                /* the same, by id */
    uint32_t count;
    struct rl_create_topic *calls;      /* topics to create, lent to the controller */
    uint32_t call_count, outstanding;
};

/* Partitions that any topic of this leader epoch may show. */
struct metadata_partitions {
    struct metadata_partitions *next;
    int32_t leader_epoch;
    bool online;
    int32_t count;
    struct rl_metadata_response_partition *items;
};

/* ---- what is asked ---- */

/* A request that Kafka refuses whole: every topic carries the error, nothing else is told. */
static void metadata_refuse(const struct metadata *m, int16_t error)
{
    struct rl_metadata_response response;
    rl_metadata_response_init(&response);
    response.error_code = error;
    response.topics = rl_request_alloc(m->request, (size_t)m->asked->topics_count,
                                       sizeof *response.topics);
    if (response.topics == NULL)
        return;
    response.topics_count = m->asked->topics_count;
    for (int32_t i = 0; i < m->asked->topics_count; i++) {
        struct rl_metadata_response_topic *answer = &response.topics[i];
        rl_metadata_response_topic_init(answer);
        answer->error_code = error;
        answer->topic_id = m->asked->topics[i].topic_id;
        answer->name = m->asked->topics[i].name.data != NULL ? m->asked->topics[i].name
                                                             : rl_slice_of("", 0);
    }
    rl_reply_message(m->request, &response);
}

/* Ids count from version 12 on; the two versions before have the field and refuse it. */
static bool metadata_is_valid(struct metadata *m)
{
    bool null_name = false;
    for (int32_t i = 0; i < m->asked->topics_count; i++) {
        const struct rl_metadata_request_topic *topic = &m->asked->topics[i];
        null_name |= topic->name.data == NULL;
        m->by_id |= !rl_uuid_is_zero(topic->topic_id);
    }
    return m->request->api_version < 12 ? !m->by_id && !null_name : m->by_id || !null_name;
}

/* Fill names or ids with what is asked, each once.  False: connection closed. */
static bool metadata_gather(struct metadata *m)
{
    size_t count = (size_t)m->asked->topics_count;
    m->names = rl_request_alloc(m->request, count, sizeof *m->names);
    if (m->names == NULL)
        return false;
    m->ids = rl_request_alloc(m->request, count, sizeof *m->ids);
    if (m->ids == NULL)
        return false;
    struct rl_table seen;
    rl_table_init(&seen, rl_shard_random(rl_request_shard(m->request)));
    for (size_t i = 0; i < count; i++) {
        const struct rl_metadata_request_topic *topic = &m->asked->topics[i];
        if (m->by_id && rl_uuid_is_zero(topic->topic_id))
            continue;
        struct rl_slice key = m->by_id ? rl_slice_of(topic->topic_id.bytes, sizeof topic->topic_id)
                                       : topic->name;
        if (rl_table_put(&seen, key, m) != NULL)
            continue;
        m->names[m->count] = topic->name;
        m->ids[m->count++] = topic->topic_id;
    }
    rl_table_done(&seen);
    return true;
}

/* ---- the answer ---- */

/* A topic that is made has no leader yet; one that grows keeps those it has, and shows no others. */
static bool topic_is_led(const struct rl_topic *topic)
{
    return topic->state == RL_TOPIC_ONLINE || topic->partitions_made > 0;
}

static int32_t topic_partitions_shown(const struct rl_topic *topic)
{
    return topic->state != RL_TOPIC_ONLINE && topic->partitions_made > 0 ? topic->partitions_made
                                                                         : topic->partition_count;
}

static struct metadata_partitions *metadata_share(struct metadata_partitions *list,
                                                  const struct rl_topic *topic)
{
    while (list != NULL && (list->leader_epoch != topic->leader_epoch ||
                            list->online != topic_is_led(topic)))
        list = list->next;
    return list;
}

/* Note that `topic` will be answered.  False: connection closed. */
static bool metadata_share_add(struct rl_request *request, struct metadata_partitions **list,
                               const struct rl_topic *topic)
{
    struct metadata_partitions *share = metadata_share(*list, topic);
    if (share == NULL) {
        share = rl_request_alloc(request, 1, sizeof *share);
        if (share == NULL)
            return false;
        share->leader_epoch = topic->leader_epoch;
        share->online = topic_is_led(topic);
        share->next = *list;
        *list = share;
    }
    share->count = RL_MAX(share->count, topic_partitions_shown(topic));
    return true;
}

/* A topic whose directories are still being made has no leader yet; clients ask again. */
static bool metadata_share_fill(struct rl_request *request, struct metadata_partitions *share,
                                const int32_t *node_id)
{
    share->items = rl_request_alloc(request, (size_t)share->count, sizeof *share->items);
    if (share->items == NULL)
        return false;
    for (int32_t i = 0; i < share->count; i++) {
        struct rl_metadata_response_partition *answer = &share->items[i];
        answer->error_code = share->online ? RL_KAFKA_NONE : RL_KAFKA_LEADER_NOT_AVAILABLE;
        answer->partition_index = i;
        answer->leader_id = share->online ? *node_id : -1;
        answer->leader_epoch = share->leader_epoch;
        answer->replica_nodes = node_id;
        answer->replica_nodes_count = 1;
        answer->isr_nodes = node_id;
        answer->isr_nodes_count = 1;
    }
    return true;
}

static void metadata_answer_topic(const struct metadata *m, const struct rl_topic *topic,
                                  struct metadata_partitions *shares,
                                  struct rl_metadata_response_topic *answer)
{
    rl_metadata_response_topic_init(answer);
    if (m->asked->include_topic_authorized_operations)
        answer->topic_authorized_operations = RL_TOPIC_OPERATIONS;
    if (topic == NULL)
        return;
    answer->name = rl_slice_of_string(topic->name);
    answer->is_internal = rl_topics_is_internal(answer->name);
    answer->topic_id = topic->id;
    answer->partitions = metadata_share(shares, topic)->items;
    answer->partitions_count = topic_partitions_shown(topic);
}

static void metadata_answer_missing(const struct metadata *m, uint32_t i,
                                    struct rl_metadata_response_topic *answer)
{
    const char *reason;
    metadata_answer_topic(m, NULL, NULL, answer);
    if (m->by_id) {
        answer->error_code = RL_KAFKA_UNKNOWN_TOPIC_ID;
        answer->topic_id = m->ids[i];
        answer->topic_authorized_operations = INT32_MIN;        /* Kafka does not say for these */
        return;
    }
    answer->name = m->names[i];
    answer->error_code = rl_topic_name_check(m->names[i], &reason) == RL_OK
                       ? RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION : RL_KAFKA_INVALID_TOPIC_EXCEPTION;
}

/* The topic asked i-th, NULL when it does not exist. */
static const struct rl_topic *metadata_topic(const struct metadata *m, const struct rl_image *image,
                                             uint32_t i)
{
    if (m->all)
        return image->by_name[i];
    return m->by_id ? rl_image_find_id(image, m->ids[i]) : rl_image_find(image, m->names[i]);
}

/* Unknown ids, then what exists, then unknown names: Kafka's order.  False: connection closed. */
static bool metadata_answer_topics(struct metadata *m, const struct rl_broker *broker,
                                   struct rl_metadata_response *response)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(m->request));
    uint32_t count = m->all ? image->topic_count : m->count;
    struct metadata_partitions *shares = NULL;
    response->topics = rl_request_alloc(m->request, count, sizeof *response->topics);
    if (response->topics == NULL)
        return false;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct rl_topic *topic = metadata_topic(m, image, i);
        if (topic != NULL && !metadata_share_add(m->request, &shares, topic))
            return false;
        found += topic != NULL;
    }
    for (struct metadata_partitions *share = shares; share != NULL; share = share->next)
        if (!metadata_share_fill(m->request, share, &broker->node_id))
            return false;

    uint32_t at_found = m->by_id ? count - found : 0, at_missing = m->by_id ? 0 : found;
    for (uint32_t i = 0; i < count; i++) {
        const struct rl_topic *topic = metadata_topic(m, image, i);
        if (topic != NULL)
            metadata_answer_topic(m, topic, shares, &response->topics[at_found++]);
        else
            metadata_answer_missing(m, i, &response->topics[at_missing++]);
    }
    response->topics_count = (int32_t)count;
    return true;
}

static void metadata_answer(struct metadata *m)
{
    if (rl_connection_closing(m->request->connection)) {
        rl_request_finish(m->request);
        return;
    }
    const struct rl_broker *broker = rl_broker_of(rl_request_shard(m->request));
    struct rl_metadata_response response;
    rl_metadata_response_init(&response);
    char host[RL_HOST_BYTES];
    struct rl_metadata_response_broker self = {
        .node_id = broker->node_id,
        .rack = rl_slice_of_string(broker->config->broker_rack),
    };
    rl_broker_advertised(m->request, host, &self.port);
    self.host = rl_slice_of_string(host);
    response.brokers = &self;
    response.brokers_count = 1;
    response.cluster_id = rl_slice_of_string(broker->cluster_id);
    response.controller_id = broker->node_id;
    if (m->asked->include_cluster_authorized_operations)
        response.cluster_authorized_operations = RL_CLUSTER_OPERATIONS;
    if (metadata_answer_topics(m, broker, &response))
        rl_reply_message(m->request, &response);
}

/* ---- creation on first use ---- */

static void on_created(struct rl_create_topic *call)
{
    struct metadata *m = call->arg;
    if (call->status == RL_OK)
        RL_INFO("broker", "topic created on first use name=%.*s client=%.*s",
                (int)call->name.bytes, (const char *)call->name.data,
                (int)m->request->client_id.bytes, (const char *)m->request->client_id.data);
    else if (call->status != RL_EEXIST)
        RL_WARN_EVERY(10, "broker", "topic not created on first use name=%.*s: %s",
                      (int)call->name.bytes, (const char *)call->name.data, call->reason);
    if (--m->outstanding == 0)
        metadata_answer(m);
}

static bool metadata_may_create(const struct metadata *m, const struct rl_config *config)
{
    bool allowed = m->request->api_version < 4 || m->asked->allow_auto_topic_creation;
    return allowed && config->auto_create_topics_enable && !m->all && !m->by_id;
}

/* Note the topics to create in m->calls; also those that somebody else is creating now: the call
 * waits for them.  False: connection closed. */
static bool metadata_plan_creations(struct metadata *m, const struct rl_config *config)
{
    const struct rl_image *image = rl_image_current(rl_request_shard(m->request));
    const char *reason;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct rl_topic *topic = rl_image_find(image, m->names[i]);
        if ((topic != NULL && topic_is_led(topic)) ||
            rl_topics_is_internal(m->names[i]) || rl_topic_name_check(m->names[i], &reason) != RL_OK)
            continue;
        if (m->calls == NULL) {
            m->calls = rl_request_alloc(m->request, m->count - i, sizeof *m->calls);
            if (m->calls == NULL)
                return false;
        }
        struct rl_create_topic *call = &m->calls[m->call_count++];
        call->name = m->names[i];
        call->partition_count = config->num_partitions;
        call->done = on_created;
        call->arg = m;
    }
    return true;
}

void rl_api_metadata(struct rl_request *request, const void *message)
{
    struct rl_shard *shard = rl_request_shard(request);
    const struct rl_config *config = rl_broker_config(shard);
    struct metadata *m = rl_request_alloc(request, 1, sizeof *m);
    if (m == NULL)
        return;
    m->request = request;
    m->asked = message;
    m->all = request->api_version == 0 ? m->asked->topics_count == 0 : m->asked->topics_count < 0;
    if (!m->all) {
        if (!metadata_is_valid(m)) {
            metadata_refuse(m, RL_KAFKA_INVALID_REQUEST);
            return;
        }
        if (!metadata_gather(m))
            return;
        if (metadata_may_create(m, config) && !metadata_plan_creations(m, config))
            return;
    }
    if (m->call_count == 0) {
        metadata_answer(m);
        return;
    }
    m->outstanding = m->call_count;
    for (uint32_t i = 0, count = m->call_count; i < count; i++)
        rl_controller_create_topic(shard, &m->calls[i]);
}

/* broker/api_create_topics.c — CreateTopics: check each topic, let the controller create it.
 *
 * Happy path: every topic of the request gets a verdict from what this shard knows; those that
 * pass go to the controller all at once, which answers when the topic can be used; then one reply.
 *
 * Failures are answered per topic with Kafka's codes and sentences.  The controller checks
 * existence and collisions once more: it alone knows.  Duplicates in one request are all refused
 * and answered once, at the end.  timeout.ms is not needed: the controller always answers. */
#include "broker/create_topics.h"

#include "broker/broker.h"
#include "broker/topic_config.h"
#include "core/table.h"

/* Kafka's bound for one request. */
#define CREATE_PARTITIONS_MAX 10000

/* ---- the answer ---- */

/* The override's text as the client gave it, which is what Kafka shows here. */
static const char *create_given_value(const struct rl_create_topics_item *item, const char *key)
{
    for (size_t i = 0; i < item->config_count; i++)
        if (strcmp(item->configs[i].key, key) == 0)
            return item->configs[i].value;
    return NULL;
}

/* All keys of a topic with these overrides.  False: connection closed. */
static bool create_describe(struct rl_create_topics *c, const struct rl_create_topics_item *item,
                            struct rl_create_topics_response_config **ret_configs,
                            int32_t *ret_count)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(c->request));
    size_t count = rl_config_key_count(RL_CONFIG_TOPIC);
    struct rl_create_topics_response_config *configs =
        rl_request_alloc(c->request, count, sizeof *configs);
    if (configs == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct rl_config_entry entry;
        if (rl_topic_config_describe(config, item->configs, item->config_count,
                                     rl_config_key_at(RL_CONFIG_TOPIC, i), &c->request->arena,
                                     &entry) != RL_OK)
            goto too_much;
        configs[i].name = rl_slice_of_string(entry.name);
        const char *given = create_given_value(item, entry.name);
        configs[i].value = rl_slice_of_string(given != NULL ? given : entry.value);
        configs[i].read_only = entry.read_only;
        configs[i].config_source = (int8_t)entry.source;
        configs[i].is_sensitive = entry.sensitive;
    }
    *ret_configs = configs;
    *ret_count = (int32_t)count;
    return true;
too_much:
    rl_request_close(c->request);
    return false;
}

static bool create_answer_topic(struct rl_create_topics *c,
                                const struct rl_create_topics_item *item,
                                struct rl_create_topics_response_topic *answer)
{
    rl_create_topics_response_topic_init(answer);
    answer->name = item->asked->name;
    answer->error_code = item->error_code;
    answer->error_message = item->error_message;
    answer->configs_count = 0;          /* empty, not null */
    if (item->error_code != RL_KAFKA_NONE)
        return true;
    answer->topic_id = item->call.topic_id;
    answer->num_partitions = item->partition_count;
    answer->replication_factor = 1;
    if (c->request->api_version < 5)
        return true;
    if (item->config_count > 0)
        return create_describe(c, item, &answer->configs, &answer->configs_count);
    if (c->default_configs == NULL &&
        !create_describe(c, item, &c->default_configs, &c->default_config_count))
        return false;
    answer->configs = c->default_configs;
    answer->configs_count = c->default_config_count;
    return true;
}

static void create_answer(struct rl_create_topics *c)
{
    struct rl_create_topics_response response;
    rl_create_topics_response_init(&response);
    response.topics = rl_request_alloc(c->request, c->item_count, sizeof *response.topics);
    if (response.topics == NULL)
        return;
    for (int duplicates = 0; duplicates <= 1; duplicates++)
        for (uint32_t i = 0; i < c->item_count; i++)
            if (c->items[i].duplicate == (duplicates == 1) &&
                !create_answer_topic(c, &c->items[i], &response.topics[response.topics_count++]))
                return;
    rl_reply_message(c->request, &response);
}

/* ---- the controller ---- */

static int16_t create_error_of(rl_status status)
{
    return status == RL_EINVAL ? RL_KAFKA_INVALID_TOPIC_EXCEPTION : rl_kafka_error_of(status);
}

static void on_created(struct rl_create_topic *call)
{
    struct rl_create_topics_item *item = RL_CONTAINER_OF(call, struct rl_create_topics_item, call);
    struct rl_create_topics *c = call->arg;
    item->error_code = create_error_of(call->status);
    if (call->status != RL_OK)
        item->error_message = rl_slice_of_string(call->reason[0] != '\0' ? call->reason : NULL);
    if (--c->outstanding == 0)
        create_answer(c);
}

/* False: connection closed. */
static bool create_prepare_call(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    struct rl_topic_override *overrides =
        rl_request_alloc(c->request, item->config_count, sizeof *overrides);
    if (overrides == NULL)
        return false;
    for (size_t i = 0; i < item->config_count; i++)
        overrides[i] = (struct rl_topic_override){ item->configs[i].key, item->configs[i].value };
    item->call.name = item->asked->name;
    item->call.partition_count = item->partition_count;
    item->call.overrides = overrides;
    item->call.override_count = (uint32_t)item->config_count;
    item->call.validate_only = c->asked->validate_only;
    item->call.done = on_created;
    item->call.arg = c;
    c->outstanding++;
    return true;
}

/* Each name once; who comes twice is refused. */
static void create_gather(struct rl_create_topics *c)
{
    struct rl_table seen;
    rl_table_init(&seen, rl_shard_random(rl_request_shard(c->request)));
    for (int32_t i = 0; i < c->asked->topics_count; i++) {
        const struct rl_create_topics_request_topic *topic = &c->asked->topics[i];
        struct rl_create_topics_item *first = rl_table_find(&seen, topic->name);
        if (first != NULL) {
            first->duplicate = true;
            first->error_code = RL_KAFKA_INVALID_REQUEST;
            first->error_message = rl_slice_of_string("Duplicate topic name.");
            continue;
        }
        struct rl_create_topics_item *item = &c->items[c->item_count++];
        item->asked = topic;
        rl_table_put(&seen, topic->name, item);
    }
    rl_table_done(&seen);
}

/* Kafka takes no request that would create more partitions than this, whatever else is wrong. */
static bool create_is_too_large(const struct rl_create_topics *c)
{
    int32_t defaults = rl_broker_config(rl_request_shard(c->request))->num_partitions;
    int64_t total = 0;
    for (uint32_t i = 0; i < c->item_count && total <= CREATE_PARTITIONS_MAX; i++) {
        const struct rl_create_topics_request_topic *topic = c->items[i].asked;
        if (!c->items[i].duplicate)
            total += topic->assignments_count > 0 ? topic->assignments_count
                   : topic->num_partitions == -1 ? defaults : topic->num_partitions;
    }
    return total > CREATE_PARTITIONS_MAX;
}

void rl_api_create_topics(struct rl_request *request, const void *message)
{
    struct rl_create_topics *c = rl_request_alloc(request, 1, sizeof *c);
    if (c == NULL)
        return;
    c->request = request;
    c->asked = message;
    c->items = rl_request_alloc(request, (size_t)c->asked->topics_count, sizeof *c->items);
    if (c->items == NULL)
        return;
    create_gather(c);
    bool too_large = create_is_too_large(c);
    for (uint32_t i = 0; i < c->item_count; i++) {
        struct rl_create_topics_item *item = &c->items[i];
        if (too_large) {
            item->error_code = RL_KAFKA_POLICY_VIOLATION;
            item->error_message = rl_slice_of_string("Excessively large number of partitions per "
                                                     "request.");
        } else if (!item->duplicate && !rl_create_topics_check(c, item)) {
            return;
        }
        if (item->error_code == RL_KAFKA_NONE && !create_prepare_call(c, item))
            return;
    }
    if (c->outstanding == 0) {
        create_answer(c);
        return;
    }
    for (uint32_t i = 0; i < c->item_count; i++)
        if (c->items[i].call.done != NULL)
            rl_controller_create_topic(rl_request_shard(request), &c->items[i].call);
}

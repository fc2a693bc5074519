/* broker/create_topics_check.c — CreateTopics: a topic's verdict, from what this shard knows.
 *
 * The order of checks and the sentences are Kafka's (ReplicationControlManager): name, existence,
 * configuration, then replication factor and partitions, or the manual assignment.  Every function
 * here answers false only when the connection was closed for want of memory. */
#include "broker/create_topics.h"

#include "broker/broker.h"
#include "broker/topic_config.h"
#include "broker/topics.h"
#include "replicate/metadata_image.h"

#include <stdio.h>
#include <string.h>

static bool create_refuse(struct rl_create_topics *c, struct rl_create_topics_item *item,
                          int16_t error, const char *message)
{
    item->error_code = error;
    return rl_request_printf(c->request, &item->error_message, "%s", message);
}

static bool create_check_name(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    struct rl_slice name = item->asked->name;
    char message[RL_TOPICS_SENTENCE_BYTES];
    const char *reason;
    if (rl_topic_name_check(name, &reason) != RL_OK) {
        rl_topic_name_explain(name, message, sizeof message);
        return create_refuse(c, item, RL_KAFKA_INVALID_TOPIC_EXCEPTION, message);
    }
    if (rl_slice_equal_string(name, "__cluster_metadata"))
        return create_refuse(c, item, RL_KAFKA_INVALID_REQUEST,
                             "Creation of internal topic __cluster_metadata is prohibited.");
    if (rl_image_find(rl_image_current(rl_request_shard(c->request)), name) != NULL) {
        item->error_code = RL_KAFKA_TOPIC_ALREADY_EXISTS;
        return rl_request_printf(c->request, &item->error_message, "Topic '%.*s' already exists.",
                                 (int)name.bytes, (const char *)name.data);
    }
    return true;
}

/* Of a repeated key the last value counts.  Only valid keys are here, so the walk is short. */
static void create_keep_config(struct rl_create_topics_item *item, struct rl_config_pair pair)
{
    for (size_t i = 0; i < item->config_count; i++) {
        if (strcmp(item->configs[i].key, pair.key) == 0) {
            item->configs[i].value = pair.value;
            return;
        }
    }
    item->configs[item->config_count++] = pair;
}

static bool create_check_configs(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(c->request));
    size_t count = (size_t)item->asked->configs_count;
    bool failed = false;
    char message[1024];
    item->configs = rl_request_alloc(c->request, count, sizeof *item->configs);
    if (item->configs == NULL)
        return false;
    for (size_t i = 0; i < count && !failed; i++) {
        item->configs[i].key = rl_request_string(c->request, item->asked->configs[i].name, &failed);
        if (!failed)
            item->configs[i].value = rl_request_string(c->request, item->asked->configs[i].value,
                                                       &failed);
    }
    if (failed)
        return false;
    if (rl_topic_config_validate(config, item->configs, count, message, sizeof message) != RL_OK)
        return create_refuse(c, item, RL_KAFKA_INVALID_CONFIG, message);
    for (size_t i = 0; i < count; i++)          /* keeps never overtake what is still read */
        create_keep_config(item, item->configs[i]);
    return true;
}

/* One partition's replicas: exactly this broker.  Complaints are about the smallest wrong id. */
static bool create_check_replicas(struct rl_create_topics *c, struct rl_create_topics_item *item,
                                  const struct rl_create_topics_request_assignment *assignment)
{
    int32_t node_id = rl_broker_of(rl_request_shard(c->request))->node_id;
    int32_t own = 0, below = node_id, above = node_id;
    for (int32_t i = 0; i < assignment->broker_ids_count; i++) {
        int32_t id = assignment->broker_ids[i];
        own += id == node_id;
        below = RL_MIN(below, id);
        if (id > node_id && (above == node_id || id < above))
            above = id;
    }
    char message[128];
    if (assignment->broker_ids_count == 0)
        snprintf(message, sizeof message,
                 "The manual partition assignment includes an empty replica list.");
    else if (below == node_id && own > 1)
        snprintf(message, sizeof message,
                 "The manual partition assignment includes the broker %d more than once.", node_id);
    else if (below != node_id || above != node_id)
        snprintf(message, sizeof message, "The manual partition assignment includes broker %d, but "
                 "no such broker is registered.", below != node_id ? below : above);
    else
        return true;
    return create_refuse(c, item, RL_KAFKA_INVALID_REPLICA_ASSIGNMENT, message);
}

static bool create_check_assignments(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    int32_t count = item->asked->assignments_count;
    if (item->asked->replication_factor != -1)
        return create_refuse(c, item, RL_KAFKA_INVALID_REQUEST, "A manual partition assignment was "
                             "specified, but replication factor was not set to -1.");
    if (item->asked->num_partitions != -1)
        return create_refuse(c, item, RL_KAFKA_INVALID_REQUEST, "A manual partition assignment was "
                             "specified, but numPartitions was not set to -1.");
    bool *seen = rl_request_alloc(c->request, (size_t)count, sizeof *seen);
    if (seen == NULL)
        return false;
    bool dense = true;
    for (int32_t i = 0; i < count; i++) {
        const struct rl_create_topics_request_assignment *assignment = &item->asked->assignments[i];
        int32_t index = assignment->partition_index;
        if (index < 0 || index >= count) {
            dense = false;
        } else if (seen[index]) {
            item->error_code = RL_KAFKA_INVALID_REPLICA_ASSIGNMENT;
            return rl_request_printf(c->request, &item->error_message, "Found multiple manual "
                                     "partition assignments for partition %d", index);
        } else {
            seen[index] = true;
        }
        if (!create_check_replicas(c, item, assignment))
            return false;
        if (item->error_code != RL_KAFKA_NONE)
            return true;
    }
    if (!dense)
        return create_refuse(c, item, RL_KAFKA_INVALID_REPLICA_ASSIGNMENT,
                             "partitions should be a consecutive 0-based integer sequence");
    item->partition_count = count;
    return true;
}

static bool create_check_partitions(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    const struct rl_config *config = rl_broker_config(rl_request_shard(c->request));
    int32_t factor = item->asked->replication_factor;
    if (factor < -1 || factor == 0)
        return create_refuse(c, item, RL_KAFKA_INVALID_REPLICATION_FACTOR, "Replication factor "
                             "must be larger than 0, or -1 to use the default value.");
    int32_t partitions = item->asked->num_partitions;
    if (partitions < -1 || partitions == 0)
        return create_refuse(c, item, RL_KAFKA_INVALID_PARTITIONS,
                             "Number of partitions was set to an invalid non-positive value.");
    if (factor == -1)
        factor = config->default_replication_factor;
    item->partition_count = partitions == -1 ? config->num_partitions : partitions;
    if (factor == 1)
        return true;
    item->error_code = RL_KAFKA_INVALID_REPLICATION_FACTOR;
    return rl_request_printf(c->request, &item->error_message, "Unable to replicate the partition "
                             "%d time(s): The target replication factor of %d cannot be reached "
                             "because only 1 broker(s) are registered or some brokers have all "
                             "their log directories cordoned.", factor, factor);
}

bool rl_create_topics_check(struct rl_create_topics *c, struct rl_create_topics_item *item)
{
    if (!create_check_name(c, item))
        return false;
    if (item->error_code == RL_KAFKA_NONE && !create_check_configs(c, item))
        return false;
    if (item->error_code != RL_KAFKA_NONE)
        return true;
    return item->asked->assignments_count > 0 ? create_check_assignments(c, item)
                                              : create_check_partitions(c, item);
}

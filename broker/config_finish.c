/* broker/config_finish.c — from gathered texts to a configuration that holds.
 *
 * Each value alone (type, limits) → warnings for what has no effect → values together → typed
 * fields.  An invalid value counts as not set for the rest of the way, so that one mistake is one
 * line.  Any error: RL_EINVAL, the broker does not start. */
#include "broker/config.h"

#include "broker/config_family.h"
#include "broker/config_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- each value alone ---- */

static void check_value(struct rl_config *config, struct rl_config_value *value)
{
    char message[RL_CONFIG_MESSAGE_BYTES], allowed[RL_CONFIG_MESSAGE_BYTES];
    rl_status st = rl_config_key_check(value->key, value->text, message, sizeof message,
                                       &value->canonical);
    if (st == RL_OK)
        return;
    rl_config_key_allowed(value->key, allowed, sizeof allowed);
    rl_config_say(&config->errors, "%s: %s (allowed: %s)", value->where, message, allowed);
}

static void warn_without_effect(struct rl_config *config, const struct rl_config_value *value)
{
    const struct rl_config_key *key = value->key;
    switch (key->honoured) {
    case RL_CONFIG_HONOURED:
        return;
    case RL_CONFIG_NOT_HONOURED:
        rl_config_say(&config->warnings, "%s: %s: %s", value->where, key->name,
                      key->note != NULL ? key->note : RL_CONFIG_UNSUPPORTED);
        return;
    case RL_CONFIG_DEFAULT_ONLY:
        if (value->canonical != NULL && strcmp(value->canonical, key->default_text) != 0)
            rl_config_say(&config->warnings, "%s: %s=%s: ringlog acts only on %s yet",
                          value->where, key->name, value->canonical, key->default_text);
        return;
    }
}

/* ---- values together ---- */

static const struct rl_config_key *broker_key(const char *name)
{
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, name);
    RL_ASSERT(key != NULL);
    return key;
}

static const char *text_of(const struct rl_config *config, const char *name)
{
    return rl_config_text(config, broker_key(name));
}

/* NULL unless set, and set to something valid. */
static const struct rl_config_value *find_valid(const struct rl_config *config, const char *name)
{
    const struct rl_config_value *value = rl_config_find(config, name);
    return value != NULL && value->canonical != NULL ? value : NULL;
}

const char *rl_config_text(const struct rl_config *config, const struct rl_config_key *key)
{
    const struct rl_config_value *value = find_valid(config, key->name);
    if (value != NULL)
        return value->canonical;
    return rl_config_default_text(config, key);
}

const char *rl_config_default_text(const struct rl_config *config, const struct rl_config_key *key)
{
    if (strcmp(key->name, "ringlog.shards") == 0)
        return config->default_shards;
    /* Whoever can reach the port must not be able to fill the disk with topics by asking. */
    if (strcmp(key->name, "auto.create.topics.enable") == 0 && config->beyond_loopback)
        return "false";
    return key->default_text;
}

/* node.id and broker.id are one; who sets one sets both. */
static void finish_node_id(struct rl_config *config)
{
    const struct rl_config_value *node = find_valid(config, "node.id");
    const struct rl_config_value *broker = find_valid(config, "broker.id");
    /* Kafka 3.x: -1 asks ZooKeeper for a number. */
    if (broker != NULL && strcmp(broker->canonical, "-1") == 0)
        broker = NULL;
    if (node != NULL && broker != NULL && strcmp(node->canonical, broker->canonical) != 0)
        rl_config_say(&config->errors, "%s: node.id is %s, but broker.id is %s (%s): you must set "
                      "node.id to the same value as broker.id", node->where, node->canonical,
                      broker->canonical, broker->where);
    if (node == NULL)
        node = broker;
    if (node == NULL) {
        config->node_id = (int32_t)strtol(broker_key("node.id")->default_text, NULL, 10);
        return;
    }
    config->node_id = (int32_t)strtol(node->canonical, NULL, 10);
    if (config->node_id < 0)
        rl_config_say(&config->errors, "%s: Invalid value %s for configuration broker.id: Value "
                      "must be at least 0", node->where, node->canonical);
    rl_config_mirror(config, node->name, node == broker ? "node.id" : "broker.id");
}

static void finish_data_dir(struct rl_config *config)
{
    const char *name = text_of(config, "log.dirs") != NULL ? "log.dirs" : "log.dir";
    const struct rl_config_value *value = find_valid(config, name);
    config->data_dir = text_of(config, name);
    if (strchr(config->data_dir, ',') != NULL)
        rl_config_say(&config->errors, "%s: %s names several directories (%.256s): ringlog "
                      "supports one data directory for now", value->where, name,
                      config->data_dir);
}

static void finish_roles(struct rl_config *config)
{
    const struct rl_config_value *roles = find_valid(config, "process.roles");
    if (roles != NULL && strstr(roles->canonical, "broker") == NULL)
        rl_config_say(&config->errors, "%s: process.roles=%s: ringlog is a broker that needs no "
                      "controller beside it; the value must contain broker", roles->where,
                      roles->canonical);
}

static const char *explicit_text(const struct rl_config *config, const char *name)
{
    const struct rl_config_value *value = find_valid(config, name);
    return value != NULL ? value->canonical : NULL;
}

/* PLAINTEXT asks nobody who he is: beyond this machine only where that was asked for. */
static void check_exposure(struct rl_config *config, const struct rl_listener_set *set)
{
    const struct rl_config_value *value = find_valid(config, "listeners");
    const char *creation = explicit_text(config, "auto.create.topics.enable") == NULL
        ? "; topics are not created by asking for them (auto.create.topics.enable)" : "";
    bool allowed = strcmp(text_of(config, "ringlog.allow.insecure.listener"), "true") == 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct rl_listener *listener = &set->listeners[i];
        char text[RL_LISTENER_NAME_BYTES + RL_LISTENER_HOST_BYTES + 16];
        if (listener->loopback || listener->protocol != RL_PROTOCOL_PLAINTEXT)
            continue;
        RL_ASSERT(value != NULL);       /* the default is loopback */
        config->beyond_loopback = true;
        rl_listener_format(listener, text, sizeof text);
        if (allowed)
            rl_config_say(&config->warnings, "%s: listeners: %s has no authentication and no "
                          "encryption: whoever reaches it may read, write and delete everything%s",
                          value->where, text, creation);
        else
            rl_config_say(&config->errors, "%s: listeners: %s can be reached from other machines, "
                          "without authentication and encryption: use 127.0.0.1, or set "
                          "ringlog.allow.insecure.listener=true where everybody in the network may "
                          "read, write and delete everything", value->where, text);
    }
}

static void finish_listeners(struct rl_config *config)
{
    static const char *const names[] = {
        "listeners", "advertised.listeners", "listener.security.protocol.map",
        "controller.listener.names", "inter.broker.listener.name" };
    const struct rl_listener_settings settings = {
        .listeners = text_of(config, names[0]),
        .advertised_listeners = explicit_text(config, names[1]),
        .listener_security_protocol_map = explicit_text(config, names[2]),
        .controller_listener_names = explicit_text(config, names[3]),
        .inter_broker_listener_name = explicit_text(config, names[4]),
    };
    char message[RL_CONFIG_MESSAGE_BYTES];
    if (rl_listeners_parse(&settings, &config->listeners, message, sizeof message) == RL_OK) {
        check_exposure(config, &config->listeners);
        return;
    }
    const struct rl_config_value *culprit = NULL;
    for (size_t i = 0; i < RL_ARRAY_COUNT(names) && culprit == NULL; i++)
        if (strncmp(message, names[i], strlen(names[i])) == 0 && message[strlen(names[i])] == ':')
            culprit = find_valid(config, names[i]);
    rl_config_say(&config->errors, "%s%s%s", culprit != NULL ? culprit->where : "",
                  culprit != NULL ? ": " : "", message);
}

/* A member that is set in vain, because another one goes before it, is worth a warning. */
static void warn_shadowed(struct rl_config *config, const struct rl_config_family *family)
{
    const struct rl_config_value *first = NULL;
    for (size_t i = 0; i < RL_CONFIG_FAMILY_MEMBERS && family->members[i].name != NULL; i++) {
        const struct rl_config_value *value = find_valid(config, family->members[i].name);
        if (first != NULL && value != NULL)
            rl_config_say(&config->warnings, "%s: %s has no effect, because %s goes before it "
                          "and is set too (%s)", value->where, value->name, first->name,
                          first->where);
        if (first == NULL)
            first = value;
    }
}

static void check_family(struct rl_config *config, const struct rl_config_family *family)
{
    warn_shadowed(config, family);
    const struct rl_config_key *key = NULL;
    int64_t ms = rl_config_family_ms(config, family, &key);
    const struct rl_config_value *value = find_valid(config, key->name);
    const char *rule = NULL;
    if (strcmp(family->topic_key, "retention.ms") == 0 && ms == 0)
        rule = "must be unlimited (-1) or at least 1";
    else if (strcmp(family->topic_key, "segment.ms") == 0 && ms < 1)
        rule = "must be at least 1";
    else if (strcmp(family->topic_key, "segment.jitter.ms") == 0 && ms < 0)
        rule = "must be at least 0";
    if (rule == NULL)
        return;
    RL_ASSERT(value != NULL);           /* defaults keep the rules */
    rl_config_say(&config->errors, "%s: Invalid value %s for configuration %s: %s",
                  value->where, value->canonical, key->name, rule);
}

/* ---- typed fields ---- */

#define FIELD(key, field) \
    { key, offsetof(struct rl_config, field), sizeof(((struct rl_config *)0)->field) }

static const struct {
    const char *key;
    size_t at;
    size_t bytes;
} typed_fields[] = {
    FIELD("num.partitions", num_partitions),
    FIELD("default.replication.factor", default_replication_factor),
    FIELD("auto.create.topics.enable", auto_create_topics_enable),
    FIELD("ringlog.allow.insecure.listener", allow_insecure_listener),
    FIELD("delete.topic.enable", delete_topic_enable),
    FIELD("fetch.max.bytes", fetch_max_bytes),
    FIELD("max.incremental.fetch.session.cache.slots", max_incremental_fetch_session_cache_slots),
    FIELD("socket.request.max.bytes", socket_request_max_bytes),
    FIELD("socket.send.buffer.bytes", socket_send_buffer_bytes),
    FIELD("socket.receive.buffer.bytes", socket_receive_buffer_bytes),
    FIELD("socket.listen.backlog.size", socket_listen_backlog_size),
    FIELD("max.connections", max_connections),
    FIELD("max.connections.per.ip", max_connections_per_ip),
    FIELD("max.connection.creation.rate", max_connection_creation_rate),
    FIELD("queued.max.request.bytes", queued_max_request_bytes),
    FIELD("connections.max.idle.ms", connections_max_idle_ms),
    FIELD("log.retention.check.interval.ms", log_retention_check_interval_ms),
    FIELD("group.consumer.assignment.interval.ms", group_consumer_assignment_interval_ms),
    FIELD("group.consumer.heartbeat.interval.ms", group_consumer_heartbeat_interval_ms),
    FIELD("group.consumer.max.assignment.interval.ms", group_consumer_max_assignment_interval_ms),
    FIELD("group.consumer.max.heartbeat.interval.ms", group_consumer_max_heartbeat_interval_ms),
    FIELD("group.consumer.max.session.timeout.ms", group_consumer_max_session_timeout_ms),
    FIELD("group.consumer.max.size", group_consumer_max_size),
    FIELD("group.consumer.min.assignment.interval.ms", group_consumer_min_assignment_interval_ms),
    FIELD("group.consumer.min.heartbeat.interval.ms", group_consumer_min_heartbeat_interval_ms),
    FIELD("group.consumer.min.session.timeout.ms", group_consumer_min_session_timeout_ms),
    FIELD("group.consumer.session.timeout.ms", group_consumer_session_timeout_ms),
    FIELD("group.initial.rebalance.delay.ms", group_initial_rebalance_delay_ms),
    FIELD("group.max.session.timeout.ms", group_max_session_timeout_ms),
    FIELD("group.max.size", group_max_size),
    FIELD("group.min.session.timeout.ms", group_min_session_timeout_ms),
    FIELD("offset.metadata.max.bytes", offset_metadata_max_bytes),
    FIELD("offsets.retention.check.interval.ms", offsets_retention_check_interval_ms),
    FIELD("offsets.retention.minutes", offsets_retention_minutes),
    FIELD("offsets.topic.num.partitions", offsets_topic_num_partitions),
    FIELD("offsets.topic.segment.bytes", offsets_topic_segment_bytes),
    FIELD("producer.id.expiration.ms", producer_id_expiration_ms),
    FIELD("ringlog.shards", shards),
    FIELD("ringlog.group.lag.log.interval.ms", group_lag_log_interval_ms),
    FIELD("ringlog.log.min.free.bytes", log_min_free_bytes),
    FIELD("ringlog.log.reserve.bytes", log_reserve_bytes),
    FIELD("ringlog.log.scrub.bytes.per.second", log_scrub_bytes_per_second),
    FIELD("ringlog.log.tail.bytes", log_tail_bytes),
};

static void fill_field(struct rl_config *config, size_t index)
{
    const struct rl_config_key *key = broker_key(typed_fields[index].key);
    void *field = (char *)config + typed_fields[index].at;
    size_t bytes = typed_fields[index].bytes;
    const char *text = rl_config_text(config, key);
    if (key->type == RL_CONFIG_BOOLEAN) {
        RL_ASSERT(bytes == sizeof(bool));
        *(bool *)field = strcmp(text, "true") == 0;
    } else if (key->type == RL_CONFIG_INT) {
        RL_ASSERT(bytes == sizeof(int32_t));
        *(int32_t *)field = (int32_t)strtol(text, NULL, 10);
    } else {
        RL_ASSERT(key->type == RL_CONFIG_LONG && bytes == sizeof(int64_t));
        *(int64_t *)field = strtoll(text, NULL, 10);
    }
}

/* The largest request must fit.  Who set only that one gets as much as it needs. */
static void finish_request_memory(struct rl_config *config)
{
    const struct rl_config_value *value = find_valid(config, "queued.max.request.bytes");
    int64_t least = config->socket_request_max_bytes;
    if (config->queued_max_request_bytes <= 0)
        config->queued_max_request_bytes = -1;
    else if (value == NULL)
        config->queued_max_request_bytes = RL_MAX(config->queued_max_request_bytes, least);
    else if (config->queued_max_request_bytes < least)
        rl_config_say(&config->errors, "%s: queued.max.request.bytes is %s, but must be at least "
                      "socket.request.max.bytes (%lld)", value->where, value->canonical,
                      (long long)least);
}

/* A setting of groups must lie between the limits that are set for it. */
static void finish_group_limits(struct rl_config *config, const char *name, int32_t value, int32_t min, int32_t max)
{
    if (value < min)
        rl_config_say(&config->errors, "group.consumer.%s must be greater than or equal to group.consumer.min.%s", name, name);
    if (value > max)
        rl_config_say(&config->errors, "group.consumer.%s must be less than or equal to group.consumer.max.%s", name, name);
}

static void finish_groups(struct rl_config *config)
{
    config->group_consumer_migration_policy = text_of(config, "group.consumer.migration.policy");
    config->group_consumer_assignors = text_of(config, "group.consumer.assignors");
    finish_group_limits(config, "heartbeat.interval.ms", config->group_consumer_heartbeat_interval_ms,
                        config->group_consumer_min_heartbeat_interval_ms,
                        config->group_consumer_max_heartbeat_interval_ms);
    finish_group_limits(config, "session.timeout.ms", config->group_consumer_session_timeout_ms,
                        config->group_consumer_min_session_timeout_ms,
                        config->group_consumer_max_session_timeout_ms);
    finish_group_limits(config, "assignment.interval.ms", config->group_consumer_assignment_interval_ms,
                        config->group_consumer_min_assignment_interval_ms,
                        config->group_consumer_max_assignment_interval_ms);
    if (config->group_consumer_heartbeat_interval_ms >= config->group_consumer_session_timeout_ms)
        rl_config_say(&config->errors, "group.consumer.heartbeat.interval.ms must be less than "
                      "group.consumer.session.timeout.ms");
}

static void fill_fields(struct rl_config *config)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(typed_fields); i++)
        fill_field(config, i);
    config->connections_max_idle_ms =
        RL_MIN(config->connections_max_idle_ms, RL_CONFIG_TIME_MS_MAX);
    config->log_retention_check_interval_ms =
        RL_MIN(config->log_retention_check_interval_ms, RL_CONFIG_TIME_MS_MAX);
    config->offsets_retention_check_interval_ms =
        RL_MIN(config->offsets_retention_check_interval_ms, RL_CONFIG_TIME_MS_MAX);
    config->max_connections_per_ip_overrides = text_of(config, "max.connections.per.ip.overrides");
    finish_request_memory(config);
    finish_groups(config);
    const char *rack = text_of(config, "broker.rack");
    config->broker_rack = rack != NULL && rack[0] != '\0' ? rack : NULL;
    rl_status status = rl_send_path_parse(text_of(config, "ringlog.fetch.path"), &config->fetch_path);
    RL_ASSERT(status == RL_OK);         /* ONE_OF has checked it */
    const char *io = text_of(config, "ringlog.io");
    config->io = strcmp(io, "uring") == 0   ? RL_CONFIG_IO_URING
                 : strcmp(io, "posix") == 0 ? RL_CONFIG_IO_POSIX
                                            : RL_CONFIG_IO_AUTO;
}

rl_status rl_config_finish(struct rl_config *config)
{
    RL_OBJ(config, CONFIG);
    RL_ASSERT(!config->finished);
    config->finished = true;
    for (size_t i = 0; i < config->value_count; i++) {
        check_value(config, &config->values[i]);
        warn_without_effect(config, &config->values[i]);
    }
    finish_node_id(config);
    finish_data_dir(config);
    finish_roles(config);
    finish_listeners(config);
    for (size_t i = 0; rl_config_family_at(i) != NULL; i++)
        check_family(config, rl_config_family_at(i));
    fill_fields(config);
    rl_topic_config_defaults(config, &config->log);
    rl_config_say_dropped(&config->errors);
    rl_config_say_dropped(&config->warnings);
    return config->errors.count > 0 ? RL_EINVAL : RL_OK;
}

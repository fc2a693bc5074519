/* broker/topic_config.c — a topic's overrides over the broker's defaults.
 *
 * validate: unknown names → each value → values against each other, with the broker's defaults for
 * those not given.  resolve: a copy of the broker's rl_log_config with the overrides written into
 * it.  describe: one DescribeConfigs entry.  Stored overrides that no longer pass are passed over
 * rather than keeping a topic closed. */
#include "broker/topic_config.h"

#include "broker/config_describe.h"
#include "broker/config_family.h"
#include "broker/config_private.h"
#include "core/memory.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES 24

static const struct rl_config_key *topic_key(const char *name)
{
    return rl_config_key_find(RL_CONFIG_TOPIC, name);
}

/* What a topic without an override has, in canonical form.  number[NUMBER_BYTES] is used where the
 * broker's value has another unit. */
static const char *default_text(const struct rl_config *config, const struct rl_config_key *key,
                                char *number)
{
    if (key->synonym == NULL)
        return key->default_text;
    const struct rl_config_family *family = rl_config_family_find(key->synonym);
    if (family != NULL) {
        snprintf(number, NUMBER_BYTES, "%lld",
                 (long long)rl_config_family_ms(config, family, NULL));
        return number;
    }
    const struct rl_config_key *broker_key = rl_config_key_find(RL_CONFIG_BROKER, key->synonym);
    RL_ASSERT(broker_key != NULL);
    return rl_config_text(config, broker_key);
}

/* The last override of a key, NULL: none. */
static const struct rl_config_pair *find_override(const struct rl_config_pair *overrides,
                                                  size_t count, const char *name)
{
    while (count-- > 0)
        if (strcmp(overrides[count].key, name) == 0)
            return &overrides[count];
    return NULL;
}

/* ---- validate ---- */

static rl_status check_known(const char *key, char *message, size_t bytes)
{
    if (topic_key(key) != NULL)
        return RL_OK;
    snprintf(message, bytes, "Unknown topic config name: %.249s", key);
    return RL_EINVAL;
}

static rl_status check_value(const struct rl_config_pair *pair, char *message, size_t bytes)
{
    if (pair->value != NULL)
        return rl_config_key_check(topic_key(pair->key), pair->value, message, bytes, NULL);
    snprintf(message, bytes, "Null value not supported for topic configs: %s", pair->key);
    return RL_EINVAL;
}

rl_status rl_topic_config_check(const char *key, const char *value, char *message, size_t bytes)
{
    struct rl_config_pair pair = { .key = key, .value = value };
    rl_status st = check_known(key, message, bytes);
    return st == RL_OK ? check_value(&pair, message, bytes) : st;
}

/* The value in force of a key of type LONG; the overrides have been checked. */
static int64_t effective_long(const struct rl_config *config,
                              const struct rl_config_pair *overrides, size_t count,
                              const char *name)
{
    char number[NUMBER_BYTES];
    const struct rl_config_pair *override = find_override(overrides, count, name);
    const char *text = override != NULL ? override->value
                                        : default_text(config, topic_key(name), number);
    return strtoll(text, NULL, 10);     /* blanks in front are skipped, behind ignored */
}

static rl_status check_together(const struct rl_config *config,
                                const struct rl_config_pair *overrides, size_t count,
                                char *message, size_t bytes)
{
    int64_t lag_min = effective_long(config, overrides, count, "min.compaction.lag.ms");
    int64_t lag_max = effective_long(config, overrides, count, "max.compaction.lag.ms");
    if (lag_min > lag_max) {
        snprintf(message, bytes, "conflict topic config setting min.compaction.lag.ms (%lld) > "
                 "max.compaction.lag.ms (%lld)", (long long)lag_min, (long long)lag_max);
        return RL_EINVAL;
    }
    const struct rl_config_pair *remote =
        find_override(overrides, count, "remote.storage.enable");
    char *canonical = NULL;
    if (remote == NULL || rl_config_key_check(topic_key(remote->key), remote->value, message,
                                              bytes, &canonical) != RL_OK)
        return RL_OK;
    bool enabled = strcmp(canonical, "true") == 0;
    rl_free(canonical);
    if (!enabled)
        return RL_OK;
    snprintf(message, bytes, "Tiered Storage functionality is disabled in the broker. Topic cannot "
             "be configured with remote log storage.");
    return RL_EINVAL;
}

rl_status rl_topic_config_validate(const struct rl_config *config,
                                   const struct rl_config_pair *overrides, size_t count,
                                   char *message, size_t bytes)
{
    RL_OBJ(config, CONFIG);
    rl_status st = RL_OK;
    for (size_t i = 0; i < count && st == RL_OK; i++)
        st = check_known(overrides[i].key, message, bytes);
    for (size_t i = 0; i < count && st == RL_OK; i++)
        st = check_value(&overrides[i], message, bytes);
    return st == RL_OK ? check_together(config, overrides, count, message, bytes) : st;
}

/* ---- resolve ---- */

/* Fields of rl_log_config that hold a key's number or truth as it is. */
#define FIELD(key, field) \
    { key, offsetof(struct rl_log_config, field), sizeof(((struct rl_log_config *)0)->field) }

static const struct {
    const char *key;
    size_t at;
    size_t bytes;
} log_fields[] = {
    FIELD("retention.ms", retention_ms),
    FIELD("retention.bytes", retention_bytes),
    FIELD("segment.ms", segment_ms),
    FIELD("segment.jitter.ms", segment_jitter_ms),
    FIELD("flush.messages", flush_messages),
    FIELD("flush.ms", flush_ms),
    FIELD("delete.retention.ms", delete_retention_ms),
    FIELD("file.delete.delay.ms", file_delete_delay_ms),
    FIELD("message.timestamp.before.max.ms", message_timestamp_before_max_ms),
    FIELD("message.timestamp.after.max.ms", message_timestamp_after_max_ms),
    FIELD("segment.bytes", segment_bytes),
    FIELD("segment.index.bytes", segment_index_bytes),
    FIELD("index.interval.bytes", index_interval_bytes),
    FIELD("max.message.bytes", max_message_bytes),
    FIELD("min.insync.replicas", min_insync_replicas),
    FIELD("preallocate", preallocate),
    FIELD("ringlog.acks.all.sync", acks_all_sync),
};

static enum rl_codec codec_of(const char *name)
{
    static const char *const names[] = {
        [RL_CODEC_NONE] = "uncompressed", [RL_CODEC_GZIP] = "gzip", [RL_CODEC_SNAPPY] = "snappy",
        [RL_CODEC_LZ4] = "lz4", [RL_CODEC_ZSTD] = "zstd", [RL_CODEC_PRODUCER] = "producer" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum rl_codec)i;
    return RL_CODEC_PRODUCER;
}

/* Write one value, in canonical form, into its field; keys that are no business of the log have
 * none. */
static void fill_field(struct rl_log_config *log, const struct rl_config_key *key,
                       const char *text)
{
    if (strcmp(key->name, "cleanup.policy") == 0) {
        log->cleanup_delete = strstr(text, "delete") != NULL;
        log->cleanup_compact = strstr(text, "compact") != NULL;
        return;
    }
    if (strcmp(key->name, "compression.type") == 0) {
        log->compression_type = codec_of(text);
        return;
    }
    if (strcmp(key->name, "message.timestamp.type") == 0) {
        log->message_timestamp_type =
            strcmp(text, "LogAppendTime") == 0 ? RL_LOG_APPEND_TIME : RL_CREATE_TIME;
        return;
    }
    for (size_t i = 0; i < RL_ARRAY_COUNT(log_fields); i++) {
        if (strcmp(log_fields[i].key, key->name) != 0)
            continue;
        void *field = (char *)log + log_fields[i].at;
        if (key->type == RL_CONFIG_BOOLEAN)
            *(bool *)field = strcmp(text, "true") == 0;
        else if (log_fields[i].bytes == sizeof(int32_t))
            *(int32_t *)field = (int32_t)strtol(text, NULL, 10);
        else
            *(int64_t *)field = strtoll(text, NULL, 10);
    }
}

void rl_topic_config_defaults(const struct rl_config *config, struct rl_log_config *ret_log)
{
    char number[NUMBER_BYTES];
    *ret_log = (struct rl_log_config){ 0 };
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_TOPIC); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_TOPIC, i);
        fill_field(ret_log, key, default_text(config, key, number));
    }
}

size_t rl_topic_config_resolve(const struct rl_config *config,
                               const struct rl_config_pair *overrides, size_t count,
                               struct rl_log_config *ret_log)
{
    RL_OBJ(config, CONFIG);
    RL_ASSERT(config->finished);
    char message[RL_CONFIG_MESSAGE_BYTES];
    size_t passed_over = 0;
    struct rl_log_config log = config->log;
    for (size_t i = 0; i < count; i++) {
        const struct rl_config_key *key = topic_key(overrides[i].key);
        char *canonical = NULL;
        if (key == NULL || overrides[i].value == NULL ||
            rl_config_key_check(key, overrides[i].value, message, sizeof message,
                                &canonical) != RL_OK) {
            passed_over++;
            continue;
        }
        fill_field(&log, key, canonical);
        rl_free(canonical);
    }
    *ret_log = log;
    return passed_over;
}

/* ---- what has no effect yet ---- */

bool rl_topic_config_unsupported(const char *key, const char *value, char *message, size_t bytes)
{
    const struct rl_config_key *row = topic_key(key);
    if (row == NULL || value == NULL || row->honoured == RL_CONFIG_HONOURED)
        return false;
    if (row->honoured == RL_CONFIG_NOT_HONOURED) {
        snprintf(message, bytes, "%s: " RL_CONFIG_UNSUPPORTED, key);
        return true;
    }
    char *canonical = NULL;
    char reason[RL_CONFIG_MESSAGE_BYTES];
    if (rl_config_key_check(row, value, reason, sizeof reason, &canonical) != RL_OK)
        return false;
    bool differs = strcmp(canonical, row->default_text) != 0;
    if (differs)
        snprintf(message, bytes, "%s=%.128s: ringlog acts only on %s yet", key, canonical,
                 row->default_text);
    rl_free(canonical);
    return differs;
}

/* ---- describe ---- */

/* A copy in the arena; RL_ENOMEM over its limit. */
static rl_status keep(struct rl_arena *arena, const char *text, const char **ret_text)
{
    const char *copy = rl_arena_strndup(arena, text, strlen(text));
    if (copy == NULL)
        return RL_ENOMEM;
    *ret_text = copy;
    return RL_OK;
}

static rl_status describe_override(struct rl_arena *arena, const struct rl_config_key *key,
                                   const char *value, struct rl_config_entry *entry)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    char *canonical = NULL;
    if (value == NULL ||
        rl_config_key_check(key, value, message, sizeof message, &canonical) != RL_OK)
        return RL_OK;                   /* resolve passes it over, so the default is in force */
    rl_status st = keep(arena, canonical, &entry->value);
    rl_free(canonical);
    if (st == RL_OK)
        rl_config_entry_add(entry, key->name, entry->value, RL_CONFIG_SOURCE_TOPIC);
    return st;
}

rl_status rl_topic_config_describe(const struct rl_config *config,
                                   const struct rl_config_pair *overrides, size_t count,
                                   const struct rl_config_key *key, struct rl_arena *arena,
                                   struct rl_config_entry *ret_entry)
{
    RL_OBJ(config, CONFIG);
    RL_ASSERT(config->finished && key->level == RL_CONFIG_TOPIC);
    struct rl_config_entry entry = {
        .name = key->name, .type = key->type, .documentation = key->documentation,
        .sensitive = rl_config_key_sensitive(key) };
    const struct rl_config_pair *override = find_override(overrides, count, key->name);
    rl_status st = override != NULL ? describe_override(arena, key, override->value, &entry)
                                    : RL_OK;
    if (st == RL_OK && entry.value == NULL) {
        char number[NUMBER_BYTES];
        st = keep(arena, default_text(config, key, number), &entry.value);
    }
    if (st != RL_OK)
        return st;
    if (key->synonym != NULL)
        rl_config_entry_add_broker(config, key->synonym, &entry);
    rl_config_entry_finish(&entry);
    *ret_entry = entry;
    return RL_OK;
}

/* ---- for people ---- */

static const char *use_of(const struct rl_config_key *key)
{
    switch (key->honoured) {
    case RL_CONFIG_HONOURED:     return "yes";
    case RL_CONFIG_DEFAULT_ONLY: return "only the default";
    case RL_CONFIG_NOT_HONOURED: return "not yet";
    }
    return "";
}

char *rl_topic_config_keys_markdown(void)
{
    struct rl_text text = { 0 };
    rl_text_append_string(&text, "| Key | Type | Default | Allowed | Honoured | Meaning |\n"
                                 "|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_TOPIC); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_TOPIC, i);
        char allowed[RL_CONFIG_MESSAGE_BYTES];
        rl_config_key_allowed(key, allowed, sizeof allowed);
        rl_text_printf(&text, "| `%s` | %s | %s | %s | %s | %s |\n", key->name,
                       rl_config_type_name(key->type), key->default_text, allowed, use_of(key),
                       key->documentation != NULL ? key->documentation : "");
    }
    return rl_text_take(&text);
}

/* broker/alter_configs.c — change the configuration of topics, brokers and groups.
 *
 * Happy path: each resource is checked for what only this shard's knowledge is needed for; then
 * its changes go to the controller, which has them edited there, on top of what is stored, so that
 * two clients never undo each other's work; one answer when every resource has its verdict.  The
 * log level is changed at once and kept nowhere, as in Kafka.
 *
 * Failures are answered per resource; the others are carried out. */
#include "broker/alter_configs.h"

#include "broker/broker.h"
#include "broker/config_list.h"
#include "broker/settings.h"
#include "broker/topic_config.h"
#include "broker/topics.h"
#include "core/logger.h"
#include "core/memory.h"
#include "core/table.h"
#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_LOGGER "root"
/* Of one resource in one request; there are some three hundred keys. */
#define CHANGES_MAX 1000

/* ---- what the APIs fill ---- */

struct rl_alter_configs *rl_alter_configs_create(struct rl_request *request, bool validate_only, int32_t count,
                                                 void (*answer)(struct rl_alter_configs *all))
{
    struct rl_alter_configs *all = rl_request_alloc(request, 1, sizeof *all);
    if (all == NULL)
        return NULL;
    *all = (struct rl_alter_configs){ .request = request, .validate_only = validate_only,
                                      .item_count = (uint32_t)count, .answer = answer };
    all->items = rl_request_alloc(request, (size_t)count, sizeof *all->items);
    return all->items != NULL ? all : NULL;
}

bool rl_alter_item_begin(struct rl_alter_configs *all, struct rl_alter_item *item, int8_t type,
                         struct rl_slice name, int32_t change_count)
{
    item->all = all;
    item->resource_type = type;
    item->resource_name = name;
    item->changes = rl_request_alloc(all->request, (size_t)change_count, sizeof *item->changes);
    item->change_count = (uint32_t)change_count;
    return item->changes != NULL;
}

bool rl_alter_item_set(struct rl_alter_configs *all, struct rl_alter_change *change,
                       struct rl_slice key, struct rl_slice value, int8_t operation)
{
    bool failed = false;
    change->key = rl_request_string(all->request, key, &failed);
    if (!failed)
        change->value = rl_request_string(all->request, value, &failed);
    change->operation = operation;
    return !failed;
}

/* ---- editing: on shard 0 ---- */

/* What is being edited: an array that grows; strings belong to others. */
struct edit {
    struct rl_alter_item *item;
    enum rl_config_level level;
    struct rl_topic_override *overrides;
    uint32_t count;
};

static struct rl_topic_override *edit_find(const struct edit *e, const char *key)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (strcmp(e->overrides[i].key, key) == 0)
            return &e->overrides[i];
    return NULL;
}

static void edit_set(struct edit *e, const char *key, const char *value)
{
    struct rl_topic_override *there = edit_find(e, key);
    if (there != NULL)
        there->value = value;
    else
        e->overrides[e->count++] = (struct rl_topic_override){ key, value };
}

static void edit_delete(struct edit *e, const char *key)
{
    struct rl_topic_override *there = edit_find(e, key);
    if (there != NULL)
        *there = e->overrides[--e->count];
}

static bool list_has(const char *list, struct rl_slice element)
{
    struct rl_slice rest = rl_config_list(list), one;
    while (rl_config_list_next(&rest, &one))
        if (rl_slice_equal(one, element))
            return true;
    return false;
}

static void list_add(struct rl_text *list, struct rl_slice element)
{
    if (list->bytes > 0)
        rl_text_append_string(list, ",");
    rl_text_append(list, element.data, element.bytes);
}

/* now with (or without) the elements of `change`, kept by the item. */
static const char *list_edit(struct rl_alter_item *item, const char *now,
                             const struct rl_alter_change *change)
{
    struct rl_text list = { 0 };
    struct rl_slice rest = rl_config_list(now), one;
    while (rl_config_list_next(&rest, &one))
        if (change->operation == RL_CONFIG_APPEND || !list_has(change->value, one))
            list_add(&list, one);
    if (change->operation == RL_CONFIG_APPEND) {
        rest = rl_config_list(change->value);
        while (rl_config_list_next(&rest, &one))
            if (!list_has(rl_text_string(&list), one))
                list_add(&list, one);
    }
    item->made = rl_realloc(item->made, (item->made_count + 1) * sizeof *item->made);
    item->made[item->made_count] = rl_text_take(&list);
    return item->made[item->made_count++];
}

RL_PRINTF(4, 5)
static rl_status edit_refuse(struct rl_alter_item *item, char *reason, size_t bytes,
                             const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reason, bytes, format, args);
    va_end(args);
    item->edit_error = RL_KAFKA_INVALID_CONFIG;
    return RL_EINVAL;
}

static rl_status edit_list(struct edit *e, const struct rl_alter_change *change, char *reason,
                           size_t bytes)
{
    const struct rl_config_key *key = rl_config_key_find(e->level, change->key);
    const char *verb = change->operation == RL_CONFIG_APPEND ? "APPEND" : "SUBTRACT";
    if (key == NULL || key->type != RL_CONFIG_LIST) {
        if (e->level == RL_CONFIG_BROKER)
            return edit_refuse(e->item, reason, bytes, "Config value %s is not allowed for config "
                               "key: %s", change->operation == RL_CONFIG_APPEND ? "append" : "subtract",
                               change->key);
        return edit_refuse(e->item, reason, bytes,
                           "Can't %s to key %s because its type is not LIST.", verb, change->key);
    }
    const struct rl_topic_override *there = edit_find(e, change->key);
    edit_set(e, change->key,
             list_edit(e->item, there != NULL ? there->value : key->default_text, change));
    return RL_OK;
}

static rl_status edit_all(struct edit *e, char *reason, size_t bytes)
{
    for (uint32_t i = 0; i < e->item->change_count; i++) {
        const struct rl_alter_change *change = &e->item->changes[i];
        rl_status status = RL_OK;
        if (change->operation == RL_CONFIG_SET)
            edit_set(e, change->key, change->value);
        else if (change->operation == RL_CONFIG_DELETE)
            edit_delete(e, change->key);
        else
            status = edit_list(e, change, reason, bytes);
        if (status != RL_OK)
            return status;
    }
    return RL_OK;
}

/* Keys that are named and may not change while the broker runs: "[a, b]". */
static bool edit_names_fixed(const struct rl_alter_item *item, char *text, size_t bytes)
{
    size_t at = 0;
    for (uint32_t i = 0; i < item->change_count; i++) {
        const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, item->changes[i].key);
        if (key == NULL || rl_config_is_alterable(key) || at >= bytes)
            continue;
        at += (size_t)snprintf(text + at, bytes - at, "%s%s", at == 0 ? "" : ", ", key->name);
    }
    return at > 0;
}

/* All layers together, as they would be in force. */
static rl_status edit_check_together(const struct edit *e, char *reason, size_t bytes)
{
    bool own = e->item->resource_name.bytes > 0;
    const struct rl_broker *broker = rl_broker_of(rl_self);
    const struct rl_config_resource *other = rl_settings_find(
        rl_self, RL_CONFIG_RESOURCE_BROKER, rl_slice_of_string(own ? "" : e->item->id_text));
    const struct rl_config_pair *others = other != NULL ? rl_settings_pairs(other->overrides) : NULL;
    size_t other_count = other != NULL ? other->override_count : 0;
    const struct rl_config_pair *edited = rl_settings_pairs(e->overrides);
    struct rl_config config;
    rl_status status = RL_OK;
    if (own)
        (void)rl_config_derive(broker->config, others, other_count, edited, e->count, &config);
    else
        (void)rl_config_derive(broker->config, edited, e->count, others, other_count, &config);
    if (config.errors.count > 0) {
        snprintf(reason, bytes, "%s", config.errors.lines[0]);
        status = RL_EINVAL;
    } else if (config.max_connections < 1 || config.max_connections_per_ip < 1) {
        snprintf(reason, bytes, "Nobody could connect any more, not even to take this back");
        status = RL_EINVAL;
    }
    rl_config_done(&config);
    return status;
}

static rl_status edit_check_broker(struct edit *e, char *reason, size_t bytes)
{
    char fixed[512], message[RL_CONFIG_MESSAGE_BYTES];
    e->item->edit_error = RL_KAFKA_INVALID_REQUEST;
    if (edit_names_fixed(e->item, fixed, sizeof fixed)) {
        snprintf(reason, bytes, "Cannot update these configs dynamically: [%s]", fixed);
        return RL_EINVAL;
    }
    for (uint32_t i = 0; i < e->count; i++) {
        const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, e->overrides[i].key);
        if (key == NULL)
            continue;                   /* as Kafka, which keeps them for plugins */
        if (rl_config_key_check(key, e->overrides[i].value, message, sizeof message, NULL) == RL_OK)
            continue;
        snprintf(reason, bytes, "%s", message);
        return RL_EINVAL;
    }
    return edit_check_together(e, reason, bytes);
}

static rl_status edit_check_group(struct edit *e, char *reason, size_t bytes)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    for (uint32_t i = 0; i < e->count; i++) {
        const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_GROUP, e->overrides[i].key);
        if (key == NULL)
            return edit_refuse(e->item, reason, bytes, "Unknown group config name: %s",
                               e->overrides[i].key);
        if (rl_config_key_check(key, e->overrides[i].value, message, sizeof message, NULL) != RL_OK)
            return edit_refuse(e->item, reason, bytes, "%s", message);
    }
    return RL_OK;
}

static rl_status edit_check(struct edit *e, char *reason, size_t bytes)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (strlen(e->overrides[i].value) > RL_STRING_BYTES_MAX)        /* DescribeConfigs could not tell */
            return edit_refuse(e->item, reason, bytes, "The value of %.128s is longer than %d bytes",
                               e->overrides[i].key, RL_STRING_BYTES_MAX);
    if (e->level == RL_CONFIG_BROKER)
        return edit_check_broker(e, reason, bytes);
    if (e->level == RL_CONFIG_GROUP)
        return edit_check_group(e, reason, bytes);
    e->item->edit_error = RL_KAFKA_INVALID_CONFIG;
    return rl_topic_config_validate(rl_broker_config(rl_self), rl_settings_pairs(e->overrides),
                                    e->count, reason, bytes);
}

/* rl_overrides_edit_fn; arg: the item, whose connection's shard waits. */
static rl_status edit_run(void *arg, const struct rl_topic_override *now, uint32_t count,
                          struct rl_topic_override **ret_overrides, uint32_t *ret_count,
                          char *reason, size_t bytes)
{
    struct rl_alter_item *item = arg;
    struct edit e = { .item = item };
    e.level = item->resource_type == RL_RESOURCE_TOPIC    ? RL_CONFIG_TOPIC
            : item->resource_type == RL_RESOURCE_BROKER   ? RL_CONFIG_BROKER
                                                          : RL_CONFIG_GROUP;
    e.overrides = rl_alloc_zero(count + item->change_count + 1, sizeof *e.overrides);
    if (!item->all->replace && count > 0) {
        memcpy(e.overrides, now, count * sizeof *now);
        e.count = count;
    }
    rl_status status = edit_all(&e, reason, bytes);
    if (status == RL_OK)
        status = edit_check(&e, reason, bytes);
    if (status != RL_OK) {
        rl_free(e.overrides);
        return status;
    }
    *ret_overrides = e.overrides;
    *ret_count = e.count;
    return RL_OK;
}

/* ---- checks; every function answers false only when the connection was closed ---- */

static bool item_refuse(struct rl_alter_item *item, int16_t error, const char *message)
{
    item->error_code = error;
    return rl_request_printf(item->all->request, &item->error_message, "%s", message);
}

/* As Java's Integer.parseInt reads it. */
static bool resource_parse_id(struct rl_slice text, int64_t *ret_id)
{
    size_t at = text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    if (at == text.bytes)
        return false;
    int64_t id = 0;
    for (size_t i = at; i < text.bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        id = id * 10 + (text.data[i] - '0');
        if (id > (int64_t)INT32_MAX + 1)
            return false;
    }
    if (text.data[0] == '-')
        id = -id;
    *ret_id = id;
    return id <= INT32_MAX;
}

bool rl_resource_is_self(const struct rl_request *request, struct rl_slice name, const char *kind,
                         const char *unexpected, char sentence[RL_RESOURCE_SENTENCE_BYTES])
{
    int32_t node_id = rl_broker_of(rl_request_shard(request))->node_id;
    int shown = (int)RL_MIN(name.bytes, (size_t)128);
    int64_t id = 0;
    if (!resource_parse_id(name, &id))
        snprintf(sentence, RL_RESOURCE_SENTENCE_BYTES, "%s id must be an integer, but it is: %.*s", kind, shown,
                 (const char *)name.data);
    else if (id != node_id)
        snprintf(sentence, RL_RESOURCE_SENTENCE_BYTES, unexpected, node_id, shown, (const char *)name.data);
    else
        return true;
    return false;
}

static bool item_check_id(struct rl_alter_item *item, const char *unexpected)
{
    char sentence[RL_RESOURCE_SENTENCE_BYTES];
    return rl_resource_is_self(item->all->request, item->resource_name, "Node", unexpected, sentence) ||
           item_refuse(item, RL_KAFKA_INVALID_REQUEST, sentence);
}

static bool item_check_keys(struct rl_alter_item *item)
{
    struct rl_table seen;
    char nulls[512];
    size_t at = 0;
    bool twice = false;
    rl_table_init(&seen, rl_shard_random(rl_request_shard(item->all->request)));
    for (uint32_t i = 0; i < item->change_count; i++) {
        const struct rl_alter_change *change = &item->changes[i];
        twice |= rl_table_put(&seen, rl_slice_of_string(change->key), item) != NULL;
        if (change->value == NULL && change->operation != RL_CONFIG_DELETE && at < sizeof nulls)
            at += (size_t)snprintf(nulls + at, sizeof nulls - at, "%s%s", at == 0 ? "" : ",",
                                   change->key);
    }
    rl_table_done(&seen);
    if (twice)
        return item_refuse(item, RL_KAFKA_INVALID_REQUEST, "Error due to duplicate config keys");
    if (at == 0)
        return true;
    item->error_code = RL_KAFKA_INVALID_REQUEST;
    return rl_request_printf(item->all->request, &item->error_message,
                             "Null value not supported for : %s", nulls);
}

static bool item_check_operations(struct rl_alter_item *item)
{
    for (uint32_t i = 0; i < item->change_count; i++) {
        int8_t operation = item->changes[i].operation;
        if (operation >= RL_CONFIG_SET && operation <= RL_CONFIG_SUBTRACT)
            continue;
        item->error_code = RL_KAFKA_INVALID_REQUEST;
        return rl_request_printf(item->all->request, &item->error_message,
                                 "Unknown config operation %d", operation);
    }
    return true;
}

/* There is one logger, root; its level is this process's. */
static bool item_change_logger(struct rl_alter_item *item)
{
    char message[256];
    for (uint32_t i = 0; i < item->change_count; i++) {
        const struct rl_alter_change *change = &item->changes[i];
        enum rl_log_level level;
        if (strcmp(change->key, ROOT_LOGGER) != 0) {
            snprintf(message, sizeof message, "Logger %.128s does not exist!", change->key);
            return item_refuse(item, RL_KAFKA_INVALID_CONFIG, message);
        }
        if (change->operation == RL_CONFIG_DELETE)
            return item_refuse(item, RL_KAFKA_INVALID_REQUEST, "Removing the log level of the root "
                               "logger is not allowed");
        if (change->operation != RL_CONFIG_SET) {
            snprintf(message, sizeof message, "%s operation is not allowed for the BROKER_LOGGER "
                     "resource", change->operation == RL_CONFIG_APPEND ? "APPEND" : "SUBTRACT");
            return item_refuse(item, RL_KAFKA_INVALID_REQUEST, message);
        }
        if (!rl_logger_parse_level(change->value, &level)) {
            snprintf(message, sizeof message, "Cannot set the log level of root to %.64s as it is "
                     "not a supported log level. Valid log levels are DEBUG, ERROR, INFO, WARN",
                     change->value);
            return item_refuse(item, RL_KAFKA_INVALID_CONFIG, message);
        }
        if (!item->all->validate_only)
            rl_logger_set_level(level);
    }
    return true;
}

static bool item_check_topic_name(struct rl_alter_item *item)
{
    char message[RL_TOPICS_SENTENCE_BYTES];
    const char *reason;
    if (rl_topic_name_check(item->resource_name, &reason) == RL_OK)
        return true;
    rl_topic_name_explain(item->resource_name, message, sizeof message);
    return item_refuse(item, RL_KAFKA_INVALID_TOPIC_EXCEPTION, message);
}

static bool item_check_resource(struct rl_alter_item *item)
{
    static const char broker_words[] = "Unexpected broker id, expected %d, but received %.*s";
    static const char logger_words[] = "Unexpected node id. Expected %d, but received %.*s";
    char message[64];
    switch (item->resource_type) {
    case RL_RESOURCE_TOPIC:
        if (item->resource_name.bytes == 0)
            return item_refuse(item, RL_KAFKA_INVALID_REQUEST,
                               "Default topic resources are not allowed.");
        return item_check_topic_name(item);
    case RL_RESOURCE_BROKER:
        return item->resource_name.bytes == 0 || item_check_id(item, broker_words);
    case RL_RESOURCE_GROUP:
        if (item->resource_name.bytes == 0)
            return item_refuse(item, RL_KAFKA_INVALID_REQUEST,
                               "Default group resources are not allowed.");
        if (memchr(item->resource_name.data, '\0', item->resource_name.bytes) != NULL)
            return item_refuse(item, RL_KAFKA_INVALID_REQUEST, "A group id without NUL bytes is expected.");
        return true;
    case RL_RESOURCE_BROKER_LOGGER:
        if (item->all->replace)
            break;
        return item_check_id(item, logger_words);
    case RL_RESOURCE_CLIENT_METRICS:
        return item_refuse(item, RL_KAFKA_INVALID_REQUEST,
                           "This broker has no client metrics subscriptions");
    default:
        break;
    }
    snprintf(message, sizeof message, "Unknown resource type %d", item->resource_type);
    return item_refuse(item, RL_KAFKA_INVALID_REQUEST, message);
}

static bool item_check(struct rl_alter_item *item)
{
    if (item->error_code != RL_KAFKA_NONE)
        return true;
    if (item->change_count > CHANGES_MAX)
        return item_refuse(item, RL_KAFKA_INVALID_REQUEST, "Too many changes of one resource.");
    if (!item_check_keys(item))
        return false;
    if (item->error_code == RL_KAFKA_NONE && !item_check_operations(item))
        return false;
    if (item->error_code == RL_KAFKA_NONE && !item_check_resource(item))
        return false;
    if (item->error_code == RL_KAFKA_NONE && item->resource_type == RL_RESOURCE_BROKER_LOGGER)
        return item_change_logger(item);
    snprintf(item->id_text, sizeof item->id_text, "%d",
             rl_broker_of(rl_request_shard(item->all->request))->node_id);
    item->called = item->error_code == RL_KAFKA_NONE;
    return !item->called ||
           rl_request_printf(item->all->request, &item->not_found, "The topic '%.*s' does not exist.",
                             (int)item->resource_name.bytes, (const char *)item->resource_name.data);
}

static int item_compare(const void *a, const void *b)
{
    const struct rl_alter_item *one = *(struct rl_alter_item *const *)a;
    const struct rl_alter_item *other = *(struct rl_alter_item *const *)b;
    if (one->resource_type != other->resource_type)
        return one->resource_type < other->resource_type ? -1 : 1;
    return rl_slice_compare(one->resource_name, other->resource_name);
}

static bool check_names(struct rl_alter_configs *all)
{
    static const char words[] = "Each resource must appear at most once.";
    struct rl_alter_item **sorted = rl_request_alloc(all->request, all->item_count, sizeof *sorted);
    if (sorted == NULL)
        return false;
    for (uint32_t i = 0; i < all->item_count; i++)
        sorted[i] = &all->items[i];
    qsort(sorted, all->item_count, sizeof *sorted, item_compare);
    for (uint32_t i = 1; i < all->item_count; i++)
        if (item_compare(&sorted[i - 1], &sorted[i]) == 0) {
            sorted[i - 1]->error_code = sorted[i]->error_code = RL_KAFKA_INVALID_REQUEST;
            sorted[i - 1]->error_message = sorted[i]->error_message = rl_slice_of_string(words);
        }
    return true;
}

/* ---- calls ---- */

static void items_free(struct rl_alter_configs *all)
{
    for (uint32_t i = 0; i < all->item_count; i++) {
        struct rl_alter_item *item = &all->items[i];
        for (uint32_t m = 0; m < item->made_count; m++)
            rl_free(item->made[m]);
        rl_free(item->made);
        item->made = NULL;
        item->made_count = 0;
    }
}

static void item_take_answer(struct rl_alter_item *item)
{
    const struct rl_alter *call = &item->call;
    if (call->status == RL_OK)
        return;
    item->error_code = item->edit_error != RL_KAFKA_NONE && call->status == RL_EINVAL
                     ? item->edit_error : rl_kafka_error_of(call->status);
    if (call->status == RL_ENOTFOUND)
        item->error_message = item->not_found;
    else
        item->error_message = rl_slice_of_string(call->reason[0] != '\0' ? call->reason : NULL);
}

static void on_altered(struct rl_alter *call)
{
    struct rl_alter_item *item = call->arg;
    struct rl_alter_configs *all = item->all;
    item_take_answer(item);
    if (--all->outstanding > 0)
        return;
    items_free(all);
    all->answer(all);
}

/* What it is stored under: "+01" names broker 1, too. */
static struct rl_slice item_key(const struct rl_alter_item *item)
{
    bool own = item->resource_type == RL_RESOURCE_BROKER && item->resource_name.bytes > 0;
    return own ? rl_slice_of_string(item->id_text) : item->resource_name;
}

static void item_call(struct rl_alter_item *item)
{
    item->call = (struct rl_alter){
        .target = item->resource_type == RL_RESOURCE_TOPIC  ? RL_ALTER_TOPIC
                : item->resource_type == RL_RESOURCE_BROKER ? RL_ALTER_BROKER
                                                            : RL_ALTER_GROUP,
        .name = item_key(item), .edit = edit_run, .edit_arg = item,
        .validate_only = item->all->validate_only, .done = on_altered, .arg = item };
    rl_controller_alter(rl_request_shard(item->all->request), &item->call);
}

void rl_alter_configs_start(struct rl_alter_configs *all)
{
    if (!check_names(all))
        return;
    for (uint32_t i = 0; i < all->item_count; i++) {
        if (!item_check(&all->items[i]))
            return;
        all->outstanding += all->items[i].called;
    }
    if (all->outstanding == 0) {
        all->answer(all);
        return;
    }
    for (uint32_t i = 0; i < all->item_count; i++)
        if (all->items[i].called)
            item_call(&all->items[i]);
}

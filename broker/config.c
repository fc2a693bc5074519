/* broker/config.c — settings gathered from file, environment and flags.
 *
 * Every source ends in config_store, which keeps one setting per key: the later origin wins, and
 * within one origin the last.  Unknown keys are told at once, with the nearest known name; values
 * are looked at only by rl_config_finish (config_finish.c), so that a bad value which a flag
 * overrides does no harm. */
#include "broker/config.h"

#include "broker/config_private.h"
#include "broker/config_properties.h"
#include "core/memory.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void rl_config_init(struct rl_config *config, int32_t cpu_count)
{
    *config = (struct rl_config){ .magic = RL_CONFIG_MAGIC };
    int32_t shards = RL_MAX(1, RL_MIN(cpu_count - 1, RL_SHARDS_MAX));
    snprintf(config->default_shards, sizeof config->default_shards, "%d", (int)shards);
}

static void lines_done(struct rl_config_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        rl_free(lines->lines[i]);
    rl_free(lines->lines);
    *lines = (struct rl_config_lines){ 0 };
}

static void value_done(struct rl_config_value *value)
{
    rl_free(value->name);
    rl_free(value->text);
    rl_free(value->canonical);
    rl_free(value->where);
}

void rl_config_done(struct rl_config *config)
{
    if (config->magic != RL_CONFIG_MAGIC)
        return;
    for (size_t i = 0; i < config->value_count; i++)
        value_done(&config->values[i]);
    rl_free(config->values);
    lines_done(&config->errors);
    lines_done(&config->warnings);
    *config = (struct rl_config){ 0 };
}

void rl_config_say(struct rl_config_lines *lines, const char *format, ...)
{
    if (lines->count == RL_CONFIG_LINES_MAX) {
        lines->dropped++;
        return;
    }
    char line[RL_CONFIG_LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            *c = '?';                   /* what is quoted must not play with the terminal */
    lines->lines = rl_realloc(lines->lines, (lines->count + 1) * sizeof lines->lines[0]);
    lines->lines[lines->count++] = rl_strdup(line);
}

void rl_config_say_dropped(struct rl_config_lines *lines)
{
    if (lines->dropped == 0)
        return;
    lines->lines = rl_realloc(lines->lines, (lines->count + 1) * sizeof lines->lines[0]);
    lines->lines[lines->count++] = rl_asprintf("and %zu more like these", lines->dropped);
}

static enum rl_config_layer layer_of(enum rl_config_origin origin)
{
    switch (origin) {
    case RL_CONFIG_OWN_BROKER:  return RL_CONFIG_LAYER_OWN;
    case RL_CONFIG_ALL_BROKERS: return RL_CONFIG_LAYER_ALL;
    case RL_CONFIG_FILE:
    case RL_CONFIG_ENVIRONMENT:
    case RL_CONFIG_FLAG:        break;
    }
    return RL_CONFIG_LAYER_START;
}

static struct rl_config_value *find_value(const struct rl_config *config, enum rl_config_layer layer,
                                          const char *name)
{
    for (size_t i = 0; i < config->value_count; i++)
        if (layer_of(config->values[i].origin) == layer && strcmp(config->values[i].name, name) == 0)
            return &config->values[i];
    return NULL;
}

const struct rl_config_value *rl_config_find_in(const struct rl_config *config,
                                                enum rl_config_layer layer, const char *name)
{
    return find_value(config, layer, name);
}

const struct rl_config_value *rl_config_find(const struct rl_config *config, const char *name)
{
    const struct rl_config_value *value = NULL;
    for (int layer = 0; layer < RL_CONFIG_LAYERS && value == NULL; layer++)
        value = find_value(config, (enum rl_config_layer)layer, name);
    return value;
}

/* ---- one setting ---- */

/* Families of keys whose names users make up: known to Kafka, none of them supported yet. */
static bool is_open_family(const char *name)
{
    static const char *const prefixes[] = {
        "listener.name.", "config.providers.", "rlmm.config.", "rsm.config.", "metrics.context." };
    for (size_t i = 0; i < RL_ARRAY_COUNT(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static rl_status unknown_key(struct rl_config *config, const char *name, const char *where,
                             enum rl_config_origin origin)
{
    if (is_open_family(name)) {
        rl_config_say(&config->warnings, "%s: %.128s: " RL_CONFIG_UNSUPPORTED, where, name);
        return RL_OK;
    }
    bool error = origin == RL_CONFIG_FLAG;
    struct rl_config_lines *lines = error ? &config->errors : &config->warnings;
    const struct rl_config_key *nearest = NULL;
    if (lines->count < RL_CONFIG_LINES_MAX)
        nearest = rl_config_key_nearest(name);      /* slow: not for lines that are dropped */
    rl_config_say(lines, "%s: unknown key %.128s%s%s%s",
                  where, name, nearest != NULL ? "; did you mean " : "",
                  nearest != NULL ? nearest->name : "", nearest != NULL ? "?" : "");
    return error ? RL_EINVAL : RL_OK;
}

/* A new value, empty. */
static rl_status add_value(struct rl_config *config, struct rl_config_value **ret_value)
{
    if (config->value_count == RL_CONFIG_VALUES_MAX) {
        rl_config_say(&config->errors, "more than %d settings", RL_CONFIG_VALUES_MAX);
        return RL_EINVAL;
    }
    if (config->value_count == config->value_capacity) {
        config->value_capacity = RL_MAX((size_t)32, config->value_capacity * 2);
        config->values = rl_realloc(config->values,
                                    config->value_capacity * sizeof config->values[0]);
    }
    *ret_value = &config->values[config->value_count];
    config->values[config->value_count++] = (struct rl_config_value){ .name = rl_strdup("") };
    return RL_OK;
}

static rl_status config_store(struct rl_config *config, const char *name, const char *text,
                              const char *where, enum rl_config_origin origin)
{
    RL_OBJ(config, CONFIG);
    RL_ASSERT(!config->finished);
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, name);
    if (key == NULL)
        key = rl_config_key_find(RL_CONFIG_LEGACY, name);
    if (key == NULL)
        return unknown_key(config, name, where, origin);

    struct rl_config_value *value = find_value(config, RL_CONFIG_LAYER_START, name);
    if (value != NULL && value->origin > origin)
        return RL_OK;
    if (value != NULL && value->origin == RL_CONFIG_FILE && origin == RL_CONFIG_FILE)
        rl_config_say(&config->warnings, "%s: %s is set again, the value of %s does not count",
                      where, name, value->where);
    rl_status st = value == NULL ? add_value(config, &value) : RL_OK;
    if (st != RL_OK)
        return st;
    value_done(value);
    *value = (struct rl_config_value){ .name = rl_strdup(name), .text = rl_strdup(text),
        .where = rl_strdup(where), .key = key, .origin = origin };
    return RL_OK;
}

void rl_config_mirror(struct rl_config *config, const char *from, const char *to)
{
    struct rl_config_value *copy = find_value(config, RL_CONFIG_LAYER_START, to);
    if (copy == NULL && add_value(config, &copy) != RL_OK)
        return;
    const struct rl_config_value *value = find_value(config, RL_CONFIG_LAYER_START, from);
    value_done(copy);
    *copy = (struct rl_config_value){ .name = rl_strdup(to), .text = rl_strdup(value->text),
        .canonical = rl_strdup(value->canonical), .where = rl_strdup(value->where),
        .key = rl_config_key_find(RL_CONFIG_BROKER, to), .origin = value->origin };
}

rl_status rl_config_set(struct rl_config *config, const char *key, const char *value,
                        const char *where)
{
    return config_store(config, key, value, where, RL_CONFIG_FLAG);
}

rl_status rl_config_set_pair(struct rl_config *config, const char *pair, const char *where)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair) {
        rl_config_say(&config->errors, "%s: expected key=value, not '%.128s'", where, pair);
        return RL_EINVAL;
    }
    char *key = rl_strndup(pair, (size_t)(equals - pair));
    rl_status st = rl_config_set(config, key, equals + 1, where);
    rl_free(key);
    return st;
}

/* ---- run time ---- */

/* False: passed over. */
static bool derive_add(struct rl_config *config, const struct rl_config_pair *pair,
                       enum rl_config_origin origin)
{
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, pair->key);
    char message[RL_CONFIG_MESSAGE_BYTES];
    struct rl_config_value *value;
    if (key == NULL || !key->dynamic || pair->value == NULL ||
        rl_config_key_check(key, pair->value, message, sizeof message, NULL) != RL_OK ||
        add_value(config, &value) != RL_OK)
        return false;
    value_done(value);
    *value = (struct rl_config_value){ .name = rl_strdup(pair->key), .text = rl_strdup(pair->value),
        .where = rl_strdup("set at run time"), .key = key, .origin = origin };
    return true;
}

size_t rl_config_derive(const struct rl_config *start, const struct rl_config_pair *all_brokers,
                        size_t all_brokers_count, const struct rl_config_pair *own, size_t own_count,
                        struct rl_config *ret_config)
{
    RL_OBJ(start, CONFIG);
    RL_ASSERT(start->finished);
    size_t passed_over = 0;
    rl_config_init(ret_config, 1);
    memcpy(ret_config->default_shards, start->default_shards, sizeof start->default_shards);
    for (size_t i = 0; i < start->value_count; i++) {
        const struct rl_config_value *from = &start->values[i];
        struct rl_config_value *value;
        rl_status st = add_value(ret_config, &value);
        RL_ASSERT(st == RL_OK);         /* as many as before */
        value_done(value);
        *value = (struct rl_config_value){ .name = rl_strdup(from->name), .text = rl_strdup(from->text),
            .where = rl_strdup(from->where), .key = from->key, .origin = from->origin };
    }
    for (size_t i = 0; i < all_brokers_count; i++)
        passed_over += !derive_add(ret_config, &all_brokers[i], RL_CONFIG_ALL_BROKERS);
    for (size_t i = 0; i < own_count; i++)
        passed_over += !derive_add(ret_config, &own[i], RL_CONFIG_OWN_BROKER);
    (void)rl_config_finish(ret_config); /* errors: each value is good, but not all together */
    return passed_over;
}

/* ---- file ---- */

rl_status rl_config_load_text(struct rl_config *config, const char *name, const void *text,
                              size_t bytes)
{
    RL_OBJ(config, CONFIG);
    if (bytes > RL_CONFIG_FILE_BYTES_MAX) {
        rl_config_say(&config->errors, "%s: larger than %d bytes", name, RL_CONFIG_FILE_BYTES_MAX);
        return RL_ETOOLARGE;
    }
    struct rl_properties properties;
    rl_properties_init(&properties, rl_slice_of(text, bytes));
    rl_status result = RL_OK;
    const char *reason = NULL;
    for (;;) {
        rl_status st = rl_properties_next(&properties, &reason);
        if (st == RL_ENOTFOUND)
            break;
        char where[512];
        snprintf(where, sizeof where, "%.480s:%d", name, (int)properties.line);
        if (st == RL_OK) {
            st = config_store(config, rl_text_string(&properties.key),
                              rl_text_string(&properties.value), where, RL_CONFIG_FILE);
        } else {
            rl_config_say(&config->errors, "%s: %s", where, reason);
            st = RL_EINVAL;
        }
        if (st != RL_OK)
            result = st;
        if (config->errors.dropped > 0)
            break;                      /* this is no configuration file */
    }
    rl_properties_done(&properties);
    return result;
}

/* ---- environment ---- */

/* Variables that Kafka's scripts and images read, and that are no keys. */
static bool is_script_variable(const char *name)
{
    static const char *const names[] = {
        "CLASSPATH", "DEBUG", "DEBUG_SUSPEND", "GC_LOG_OPTS", "HEAP_OPTS", "HOME", "JMX_HOSTNAME",
        "JMX_OPTS", "JMX_PORT", "JVM_PERFORMANCE_OPTS", "LOG4J_CMD_OPTS", "LOG4J_LOGGERS",
        "LOG4J_OPTS", "LOG4J_ROOT_LOGLEVEL", "MODE", "OPTS", "TOOLS_LOG4J_LOGLEVEL", "VERSION" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* What Kubernetes puts into every container for a service called "kafka" or "ringlog":
 * KAFKA_SERVICE_HOST, KAFKA_SERVICE_PORT_X, KAFKA_PORT=tcp://..., KAFKA_PORT_9092_TCP_ADDR. */
static bool is_service_variable(const char *name, const char *value)
{
    return ends_with(name, "SERVICE_HOST") || strstr(name, "SERVICE_PORT") != NULL ||
           strstr(name, "_TCP_") != NULL || strstr(name, "_UDP_") != NULL ||
           strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
}

/* "LOG_RETENTION_MS" → "log.retention.ms": _ is ., __ is _, ___ is -. */
static void key_of_variable(const char *name, char *key)
{
    while (*name != '\0') {
        size_t run = RL_MIN(strspn(name, "_"), (size_t)3);
        *key++ = run > 0 ? "._-"[run - 1] : (char)tolower((unsigned char)*name);
        name += run > 0 ? run : 1;
    }
    *key = '\0';
}

static rl_status load_variable(struct rl_config *config, const char *variable)
{
    bool own = strncmp(variable, "RINGLOG_", 8) == 0;
    if (!own && strncmp(variable, "KAFKA_", 6) != 0)
        return RL_OK;
    const char *equals = strchr(variable, '=');
    size_t prefix_bytes = own ? 8 : 6;
    size_t name_bytes = equals != NULL ? (size_t)(equals - variable) : 0;
    if (name_bytes <= prefix_bytes)
        return RL_OK;
    if (name_bytes > RL_CONFIG_VARIABLE_BYTES_MAX) {
        rl_config_say(&config->warnings, "%.64s...: no key is that long", variable);
        return RL_OK;
    }
    char name[RL_CONFIG_VARIABLE_BYTES_MAX + 1], key[RL_CONFIG_VARIABLE_BYTES_MAX + 1] = "ringlog.";
    memcpy(name, variable, name_bytes);
    name[name_bytes] = '\0';
    if ((!own && is_script_variable(name + prefix_bytes)) ||
        is_service_variable(name + prefix_bytes, equals + 1))
        return RL_OK;
    key_of_variable(name + prefix_bytes, own ? key + prefix_bytes : key);
    return config_store(config, key, equals + 1, name, RL_CONFIG_ENVIRONMENT);
}

rl_status rl_config_load_environment(struct rl_config *config, const char *const *environment)
{
    for (size_t i = 0; environment[i] != NULL; i++) {
        rl_status st = load_variable(config, environment[i]);
        if (st != RL_OK)
            return st;
    }
    return RL_OK;
}

/* broker/config_key.c — the table of keys, and finding the one that was meant.
 *
 * A key is found by binary search; a misspelt one by edit distance over all broker keys.  Nothing
 * here can fail. */
#include "broker/config_key.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ANY                        .check = RL_CHECK_NONE
#define AT_LEAST(low)              .check = RL_CHECK_RANGE, .min = (low), .max = INT64_MAX
#define BETWEEN(low, high)         .check = RL_CHECK_RANGE, .min = (low), .max = (high)
#define BETWEEN_OR_MINUS_ONE(low, high) \
    .check = RL_CHECK_RANGE_OR_MINUS_ONE, .min = (low), .max = (high)
#define ONE_OF(list)               .check = RL_CHECK_ONE_OF, .choices = list
#define ONE_OF_ANY_CASE(list)      .check = RL_CHECK_ONE_OF_ANY_CASE, .choices = list
#define EACH_OF(list)              .check = RL_CHECK_EACH_OF, .choices = list
#define SOME_OF(list)              .check = RL_CHECK_SOME_OF, .choices = list
#define NOT_EMPTY                  .check = RL_CHECK_NOT_EMPTY
#define THROTTLED                  .check = RL_CHECK_THROTTLED_REPLICAS
#define ADDRESS_LIMITS             .check = RL_CHECK_ADDRESS_LIMITS
#define DYNAMIC                    true
#define STATIC                     false
#define HONOURED                   RL_CONFIG_HONOURED
#define NOT_HONOURED               RL_CONFIG_NOT_HONOURED
#define DEFAULT_ONLY               RL_CONFIG_DEFAULT_ONLY
#define NO_POOL      "ringlog has no such thread pool: its shards do all work (ringlog.shards)"
#define NO_QUORUM    "ringlog has no controller quorum"
#define NO_ZOOKEEPER "ringlog starts without ZooKeeper"

#define TOPIC(key, kind, value, limits, broker_key, use, text) \
    { .level = RL_CONFIG_TOPIC, .name = key, .type = RL_CONFIG_##kind, .default_text = value, \
      limits, .synonym = broker_key, .honoured = use, .documentation = text, .dynamic = true },
#define BROKER(key, kind, value, limits, mode, use, text) \
    { .level = RL_CONFIG_BROKER, .name = key, .type = RL_CONFIG_##kind, .default_text = value, \
      limits, .dynamic = mode, .honoured = use, .documentation = text },
#define OTHER(key, kind, value, limits, mode, why) \
    { .level = RL_CONFIG_BROKER, .name = key, .type = RL_CONFIG_##kind, .default_text = value, \
      limits, .dynamic = mode, .note = why },
#define GROUP(key, kind, value, limits, broker_key) \
    { .level = RL_CONFIG_GROUP, .name = key, .type = RL_CONFIG_##kind, .default_text = value, \
      limits, .synonym = broker_key, .dynamic = true },
#define LEGACY(key, kind, why) \
    { .level = RL_CONFIG_LEGACY, .name = key, .type = RL_CONFIG_##kind, .note = why },

static const struct rl_config_key config_keys[] = {
#include "broker/config_keys.def"
};

#define CONFIG_KEY_COUNT RL_ARRAY_COUNT(config_keys)

static_assert(CONFIG_KEY_COUNT < 1024, "nearest looks at all of them for every misspelt key");

/* The first row of a level or a later one.  Rows are sorted by level, then by name
 * (tests/broker/test_config_key.c checks that). */
static size_t level_first(int level)
{
    size_t low = 0, high = CONFIG_KEY_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((int)config_keys[middle].level < level)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct rl_config_key *level_rows(enum rl_config_level level, size_t *ret_count)
{
    size_t first = level_first((int)level);
    *ret_count = level_first((int)level + 1) - first;
    return &config_keys[first];
}

size_t rl_config_key_count(enum rl_config_level level)
{
    size_t count = 0;
    level_rows(level, &count);
    return count;
}

const struct rl_config_key *rl_config_key_at(enum rl_config_level level, size_t index)
{
    size_t count = 0;
    const struct rl_config_key *rows = level_rows(level, &count);
    RL_ASSERT(index < count);
    return &rows[index];
}

static int compare_name(const void *name, const void *row)
{
    return strcmp(name, ((const struct rl_config_key *)row)->name);
}

const struct rl_config_key *rl_config_key_find(enum rl_config_level level, const char *name)
{
    size_t count = 0;
    const struct rl_config_key *rows = level_rows(level, &count);
    return bsearch(name, rows, count, sizeof rows[0], compare_name);
}

bool rl_config_is_alterable(const struct rl_config_key *key)
{
    static const char *const fixed[] = { "listeners", "advertised.listeners",
                                         "listener.security.protocol.map" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(fixed); i++)
        if (strcmp(key->name, fixed[i]) == 0)
            return false;
    return key->dynamic;
}

bool rl_config_key_sensitive(const struct rl_config_key *key)
{
    return key->type == RL_CONFIG_PASSWORD;
}

const char *rl_config_type_name(enum rl_config_type type)
{
    switch (type) {
    case RL_CONFIG_BOOLEAN:  return "boolean";
    case RL_CONFIG_STRING:   return "string";
    case RL_CONFIG_INT:      return "int";
    case RL_CONFIG_SHORT:    return "short";
    case RL_CONFIG_LONG:     return "long";
    case RL_CONFIG_DOUBLE:   return "double";
    case RL_CONFIG_LIST:     return "list";
    case RL_CONFIG_CLASS:    return "class";
    case RL_CONFIG_PASSWORD: return "password";
    }
    return "unknown";
}

#define NEAREST_NAME_BYTES 128          /* longer names are no misspelling of ours */

/* Edits (insert, delete, replace, swap of neighbours) that make b of a; `limit` when they are that
 * many or more.  Both names are shorter than NEAREST_NAME_BYTES. */
static size_t edit_distance(const char *a, const char *b, size_t limit)
{
    size_t rows[3][NEAREST_NAME_BYTES + 1];
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    for (size_t j = 0; j <= b_bytes; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        size_t least = now[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = RL_MIN(best, last[j] + 1);
            best = RL_MIN(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = RL_MIN(best, before[j - 2] + 1);
            now[j] = best;
            least = RL_MIN(least, best);
        }
        if (least > limit)
            return limit;               /* a swap may reach back one row, not further */
    }
    return RL_MIN(limit, rows[a_bytes % 3][b_bytes]);
}

/* The broker key a row stands for in a broker's file; NULL: none. */
static const struct rl_config_key *as_broker_key(const struct rl_config_key *key)
{
    switch (key->level) {
    case RL_CONFIG_BROKER:
    case RL_CONFIG_LEGACY:
        return key;
    case RL_CONFIG_TOPIC:
        return key->synonym != NULL ? rl_config_key_find(RL_CONFIG_BROKER, key->synonym) : NULL;
    case RL_CONFIG_GROUP:
    case RL_CONFIG_LEVELS:
        break;
    }
    return NULL;
}

const struct rl_config_key *rl_config_key_nearest(const char *name)
{
    size_t bytes = strlen(name);
    if (bytes >= NEAREST_NAME_BYTES)
        return NULL;
    const struct rl_config_key *nearest = NULL;
    size_t nearest_distance = RL_MAX((size_t)2, RL_MIN(bytes / 4, (size_t)6)) + 1;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        size_t key_bytes = strlen(config_keys[i].name);
        size_t least = key_bytes > bytes ? key_bytes - bytes : bytes - key_bytes;
        if (least >= nearest_distance || key_bytes >= NEAREST_NAME_BYTES)
            continue;
        const struct rl_config_key *key = as_broker_key(&config_keys[i]);
        size_t distance = key == NULL ? nearest_distance
            : edit_distance(name, config_keys[i].name, nearest_distance);
        if (distance < nearest_distance) {
            nearest = key;
            nearest_distance = distance;
        }
    }
    /* RINGLOG_NUM_PARTITIONS sets ringlog.num.partitions; num.partitions was meant. */
    if (nearest == NULL && strncmp(name, "ringlog.", 8) == 0)
        return rl_config_key_nearest(name + 8);
    return nearest;
}

/* broker/config_key.h — every configuration key there is: name, type, default, what is allowed.
 *
 * The rows are in broker/config_keys.def.  Names, types, defaults and limits are Kafka's (4.3,
 * with 3.x's lower bound where 4 raised it); keys of our own begin with "ringlog.".  The table is
 * constant, so everything here may be called from any thread. */
#ifndef RL_BROKER_CONFIG_KEY_H
#define RL_BROKER_CONFIG_KEY_H

#include "core/base.h"
#include "core/status.h"

/* RL_CONFIG_LEGACY: broker keys of Kafka 3.x and older that Kafka 4 no longer has. */
enum rl_config_level { RL_CONFIG_TOPIC, RL_CONFIG_BROKER, RL_CONFIG_GROUP, RL_CONFIG_LEGACY,
                       RL_CONFIG_LEVELS };

/* Numbers as in DescribeConfigsResponse (org.apache.kafka.clients.admin.ConfigEntry.ConfigType). */
enum rl_config_type {
    RL_CONFIG_BOOLEAN = 1, RL_CONFIG_STRING = 2, RL_CONFIG_INT = 3, RL_CONFIG_SHORT = 4,
    RL_CONFIG_LONG = 5, RL_CONFIG_DOUBLE = 6, RL_CONFIG_LIST = 7, RL_CONFIG_CLASS = 8,
    RL_CONFIG_PASSWORD = 9
};

/* What ringlog does with a key today. */
enum rl_config_honoured {
    RL_CONFIG_NOT_HONOURED,             /* checked, kept, shown; a warning when set */
    RL_CONFIG_HONOURED,
    RL_CONFIG_DEFAULT_ONLY              /* acted on with its default value, else a warning */
};

/* How a value is checked beyond its type. */
enum rl_config_check {
    RL_CHECK_NONE,
    RL_CHECK_RANGE,                     /* min <= value <= max */
    RL_CHECK_RANGE_OR_MINUS_ONE,        /* the same, or -1 */
    RL_CHECK_ONE_OF,                    /* one of `choices` */
    RL_CHECK_ONE_OF_ANY_CASE,
    RL_CHECK_EACH_OF,                   /* a list, maybe empty, each element one of `choices` */
    RL_CHECK_SOME_OF,                   /* the same, not empty */
    RL_CHECK_NOT_EMPTY,                 /* a list or text with something in it */
    RL_CHECK_THROTTLED_REPLICAS,        /* "*" or partition:broker,partition:broker,... */
    RL_CHECK_ADDRESS_LIMITS             /* address:limit,... with literal addresses */
};

struct rl_config_key {
    const char *name;
    const char *default_text;           /* in canonical form; NULL: no value */
    const char *choices;                /* "a, b, c" for the checks that need it */
    const char *synonym;                /* topic keys: the broker key that gives the default */
    const char *documentation;          /* our own words, NULL for keys not honoured */
    const char *note;                   /* why setting it does nothing; NULL: the usual sentence */
    int64_t min;
    int64_t max;
    enum rl_config_level level;
    enum rl_config_type type;
    enum rl_config_check check;
    enum rl_config_honoured honoured;
    bool dynamic;                       /* Kafka lets it change at run time */
};

#define RL_CONFIG_MESSAGE_BYTES 768     /* room for any sentence of these files; more is cut */

/* Keys of a level, sorted by name. */
size_t rl_config_key_count(enum rl_config_level level);
const struct rl_config_key *rl_config_key_at(enum rl_config_level level, size_t index);
/* NULL when the level has no such key.  Case matters, as in Kafka. */
const struct rl_config_key *rl_config_key_find(enum rl_config_level level, const char *name);
/* The broker or legacy key that whoever wrote `name` as a broker key most likely meant: the nearest
 * by spelling, or the broker's synonym of a topic key.  NULL when nothing is close. */
const struct rl_config_key *rl_config_key_nearest(const char *name);
/* May it change while the broker runs?  As in Kafka, but for what decides where we listen. */
bool rl_config_is_alterable(const struct rl_config_key *key);
/* Passwords: their values are never shown. */
bool rl_config_key_sensitive(const struct rl_config_key *key);

/* Check `text` against the key's type and limits and bring it into Kafka's canonical form (trimmed;
 * true/false; plain decimals; list elements joined by "," without repetitions).
 * Returns RL_OK with *ret_canonical (freed by the caller with rl_free; ret_canonical may be NULL),
 * or RL_EINVAL with one sentence in message[bytes], worded as Kafka words it: "Invalid value abc
 * for configuration retention.ms: Not a number of type LONG". */
rl_status rl_config_key_check(const struct rl_config_key *key, const char *text, char *message,
                              size_t bytes, char **ret_canonical);
/* What is allowed, for people: "integer, at least 1", into text[bytes]. */
void rl_config_key_allowed(const struct rl_config_key *key, char *text, size_t bytes);
/* The type's name as in Kafka's documentation, lower case, static storage. */
const char *rl_config_type_name(enum rl_config_type type);

#endif

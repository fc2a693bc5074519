/* broker/config.h — the broker's configuration: gathered from file, environment and flags.
 *
 * rl_config_init → any number of load/set calls, in any order → rl_config_finish, which checks the
 * whole and fills the typed fields; from then on it is read-only and may be read from any thread.
 * Precedence: flag over environment over file over default.  Nothing here reads files, prints or
 * looks at the machine: the caller passes the file's bytes, the environment and the CPU count, and
 * prints the collected warnings and errors. */
#ifndef RL_BROKER_CONFIG_H
#define RL_BROKER_CONFIG_H

#include "broker/config_key.h"
#include "broker/listener.h"
#include "core/arena.h"
#include "io/send_path.h"
#include "log/log_config.h"

#define RL_CONFIG_FILE_BYTES_MAX (1024 * 1024)
#define RL_CONFIG_VALUES_MAX 4096       /* explicit settings, all origins together */
#define RL_CONFIG_SYNONYMS_MAX 8
#define RL_CONFIG_LINES_MAX 200
#define RL_CONFIG_TIME_MS_MAX (INT64_MAX / 1000000)
#define RL_SHARDS_MAX 128

/* Numbers as in DescribeConfigsResponse (ConfigEntry.ConfigSource). */
enum rl_config_source {
    RL_CONFIG_SOURCE_TOPIC = 1,         /* DYNAMIC_TOPIC_CONFIG */
    RL_CONFIG_SOURCE_BROKER = 2,        /* DYNAMIC_BROKER_CONFIG */
    RL_CONFIG_SOURCE_CLUSTER = 3,       /* DYNAMIC_DEFAULT_BROKER_CONFIG */
    RL_CONFIG_SOURCE_STATIC = 4,        /* STATIC_BROKER_CONFIG: file, environment or flag */
    RL_CONFIG_SOURCE_DEFAULT = 5,       /* DEFAULT_CONFIG */
    RL_CONFIG_SOURCE_GROUP = 8          /* DYNAMIC_GROUP_CONFIG */
};

/* Where an explicit value came from; a later one wins over an earlier one.  The last two are
 * set at run time: for all brokers, and for this one. */
enum rl_config_origin { RL_CONFIG_FILE, RL_CONFIG_ENVIRONMENT, RL_CONFIG_FLAG,
                        RL_CONFIG_ALL_BROKERS, RL_CONFIG_OWN_BROKER };

/* ringlog.io */
enum rl_config_io { RL_CONFIG_IO_AUTO, RL_CONFIG_IO_URING, RL_CONFIG_IO_POSIX };

/* A key and its value as text, NUL-terminated; e.g. a topic's overrides.  Borrowed. */
struct rl_config_pair {
    const char *key;
    const char *value;                  /* NULL: null on the wire */
};

/* One explicit setting. */
struct rl_config_value {
    char *name;
    char *text;                         /* as given */
    char *canonical;                    /* after rl_config_finish, when valid; else NULL */
    char *where;                        /* "server.properties:12", "--set", "KAFKA_LOG_DIRS" */
    const struct rl_config_key *key;    /* broker or legacy key, NULL: unknown */
    enum rl_config_origin origin;
};

/* Lines of text for the operator, without newline. */
struct rl_config_lines {
    char **lines;
    size_t count;
    size_t dropped;                     /* more than RL_CONFIG_LINES_MAX: only counted */
};

struct rl_config {
    uint32_t magic;                     /* RL_CONFIG_MAGIC while alive */

    /* Filled by rl_config_finish.  Kafka's names in snake case. */
    const char *data_dir;               /* log.dirs or log.dir: one path */
    const char *broker_rack;            /* NULL: none */
    struct rl_listener_set listeners;   /* listeners, advertised.listeners, ... */
    bool beyond_loopback;               /* one of them can be reached from other machines */
    bool allow_insecure_listener;       /* ...and that was asked for */
    int32_t node_id;                    /* node.id, or broker.id */
    int32_t num_partitions;
    int32_t default_replication_factor;
    bool auto_create_topics_enable;
    bool delete_topic_enable;
    int32_t fetch_max_bytes;
    int32_t max_incremental_fetch_session_cache_slots;
    int32_t socket_request_max_bytes;
    int32_t socket_send_buffer_bytes;   /* -1: the system's default */
    int32_t socket_receive_buffer_bytes;/* -1: the system's default */
    int32_t socket_listen_backlog_size;
    int32_t max_connections;
    int32_t max_connections_per_ip;
    const char *max_connections_per_ip_overrides;       /* "address:limit,..." */
    int32_t max_connection_creation_rate;
    int64_t queued_max_request_bytes;   /* of all shards; at least one request; -1: no limit */
    /* Both at most RL_CONFIG_TIME_MS_MAX, so that they may be turned into nanoseconds. */
    int64_t connections_max_idle_ms;    /* negative: never closed for idleness */
    int64_t log_retention_check_interval_ms;
    int64_t offsets_retention_check_interval_ms;        /* likewise */
    int32_t producer_id_expiration_ms;
    int32_t group_initial_rebalance_delay_ms;
    int32_t group_min_session_timeout_ms, group_max_session_timeout_ms;
    int32_t group_max_size;
    int32_t group_consumer_session_timeout_ms, group_consumer_min_session_timeout_ms,
            group_consumer_max_session_timeout_ms;
    int32_t group_consumer_heartbeat_interval_ms, group_consumer_min_heartbeat_interval_ms,
            group_consumer_max_heartbeat_interval_ms;
    int32_t group_consumer_assignment_interval_ms, group_consumer_min_assignment_interval_ms,
            group_consumer_max_assignment_interval_ms;
    int32_t group_consumer_max_size;
    const char *group_consumer_migration_policy;
    const char *group_consumer_assignors;               /* "uniform,range" */
    int32_t offset_metadata_max_bytes;
    int32_t offsets_retention_minutes;
    int32_t offsets_topic_num_partitions, offsets_topic_segment_bytes;
    struct rl_log_config log;           /* a topic without overrides */
    /* ringlog.* */
    int32_t shards;                     /* 1..RL_SHARDS_MAX */
    int64_t log_tail_bytes;             /* in-memory tails of all partitions together */
    int64_t log_min_free_bytes;
    int64_t log_reserve_bytes;
    int64_t log_scrub_bytes_per_second;
    int64_t group_lag_log_interval_ms;
    enum rl_config_io io;
    enum rl_send_path fetch_path;

    struct rl_config_lines errors;      /* any: the broker must not start */
    struct rl_config_lines warnings;

    /* private to broker/config*.c */
    struct rl_config_value *values;     /* explicit settings: of a name at most one that was set
                                           at the start, one for all brokers and one for this */
    size_t value_count;
    size_t value_capacity;
    char default_shards[8];             /* the default of ringlog.shards as text */
    bool finished;
};

#define RL_CONFIG_MAGIC 0x52434647u     /* "RCFG" */

/* cpu_count: of the machine; decides the default of ringlog.shards (one less, at least 1). */
void rl_config_init(struct rl_config *config, int32_t cpu_count);
/* Free everything; the struct may be zeroed, never initialised, or done already. */
void rl_config_done(struct rl_config *config);

/* Read Java .properties text.  `name` is the file's, for messages.  Returns RL_OK; RL_ETOOLARGE or
 * RL_EINVAL, with lines added to config->errors.  Unknown keys are warnings. */
rl_status rl_config_load_text(struct rl_config *config, const char *name, const void *text,
                              size_t bytes);
/* Take KAFKA_* and RINGLOG_* of a NULL-terminated environment ("NAME=value").  KAFKA_LOG_DIRS sets
 * log.dirs, RINGLOG_SHARDS sets ringlog.shards ("_" "." , "__" "_", "___" "-").  What other
 * programs and container platforms put there (KAFKA_HEAP_OPTS, KAFKA_PORT=tcp://...) is passed
 * over.  Returns RL_OK, or RL_EINVAL when there are too many settings. */
rl_status rl_config_load_environment(struct rl_config *config, const char *const *environment);
/* One setting by flag.  `where` names it in messages: "--set", "--data-dir" (sets log.dirs),
 * "--listeners", "--shards".  Returns RL_OK, or RL_EINVAL (unknown key; too many) with an error
 * collected. */
rl_status rl_config_set(struct rl_config *config, const char *key, const char *value,
                        const char *where);
/* The same from "key=value"; also RL_EINVAL without "=". */
rl_status rl_config_set_pair(struct rl_config *config, const char *pair, const char *where);
/* Check all settings, each alone and together, and fill the typed fields.  Once.
 * Returns RL_OK, or RL_EINVAL when config->errors has lines (also from loading). */
rl_status rl_config_finish(struct rl_config *config);

/* What was set at run time, over what was set at the start: *ret_config is initialised and
 * finished, whatever is in the pairs: unknown keys, those that cannot be changed at run time and
 * values that do not pass are passed over.  Any thread.  Returns how many were. */
size_t rl_config_derive(const struct rl_config *start, const struct rl_config_pair *all_brokers,
                        size_t all_brokers_count, const struct rl_config_pair *own, size_t own_count,
                        struct rl_config *ret_config);

/* The explicit setting of a key that counts, NULL when it has its default. */
const struct rl_config_value *rl_config_find(const struct rl_config *config, const char *name);
/* The same of one layer: set at run time for this broker, or for all, or at the start. */
enum rl_config_layer { RL_CONFIG_LAYER_OWN, RL_CONFIG_LAYER_ALL, RL_CONFIG_LAYER_START,
                       RL_CONFIG_LAYERS };
const struct rl_config_value *rl_config_find_in(const struct rl_config *config,
                                                enum rl_config_layer layer, const char *name);
/* A broker key's value in force (explicit or default) in canonical form; NULL: no value.
 * After rl_config_finish; lent as long as config lives. */
const char *rl_config_text(const struct rl_config *config, const struct rl_config_key *key);

/* ---- DescribeConfigs ---- */

struct rl_config_synonym {
    const char *name;
    const char *value;                  /* NULL: null, or sensitive */
    enum rl_config_source source;
};

struct rl_config_entry {
    const char *name;
    const char *value;                  /* NULL: null, or sensitive */
    const char *documentation;          /* NULL: none */
    const char *where;                  /* origin of an explicit value ("x:3"), or NULL */
    enum rl_config_type type;
    enum rl_config_source source;
    bool is_default;                    /* as versions before 1 say it: source is DEFAULT */
    bool read_only;
    bool sensitive;
    struct rl_config_synonym synonyms[RL_CONFIG_SYNONYMS_MAX];
    size_t synonym_count;
};

/* The broker's entry for rl_config_key_at(RL_CONFIG_BROKER, ...).  Strings are lent by config and
 * the table.  After rl_config_finish; any thread.  Synonyms are in Kafka's order. */
void rl_config_describe(const struct rl_config *config, const struct rl_config_key *key,
                        struct rl_config_entry *ret_entry);

#endif

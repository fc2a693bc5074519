/* tests/broker/test_config_key.c — the table of keys, values against it, and misspelt names. */
#include "broker/config_key.h"
#include "core/memory.h"

#include <criterion/criterion.h>
#include <string.h>

Test(config_key, levels_are_sorted_and_found)
{
    for (int level = 0; level < RL_CONFIG_LEVELS; level++) {
        size_t count = rl_config_key_count(level);
        cr_assert_gt(count, 0);
        for (size_t i = 0; i < count; i++) {
            const struct rl_config_key *key = rl_config_key_at(level, i);
            cr_assert_eq(key->level, (enum rl_config_level)level);
            cr_assert_eq(rl_config_key_find(level, key->name), key, "%s", key->name);
            if (i > 0)
                cr_assert_lt(strcmp(rl_config_key_at(level, i - 1)->name, key->name), 0, "%s",
                             key->name);
        }
    }
    /* Kafka 4.3's own, and ours. */
    cr_assert_eq(rl_config_key_count(RL_CONFIG_TOPIC), 33 + 1);
    cr_assert_eq(rl_config_key_count(RL_CONFIG_BROKER), 340 + 10);
    cr_assert_eq(rl_config_key_count(RL_CONFIG_GROUP), 17);
    cr_assert_null(rl_config_key_find(RL_CONFIG_TOPIC, "Retention.ms"));
    cr_assert_null(rl_config_key_find(RL_CONFIG_TOPIC, ""));
}

Test(config_key, defaults_are_valid_and_canonical)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    for (int level = 0; level < RL_CONFIG_LEVELS; level++) {
        for (size_t i = 0; i < rl_config_key_count(level); i++) {
            const struct rl_config_key *key = rl_config_key_at(level, i);
            if (key->default_text == NULL)
                continue;
            char *canonical = NULL;
            cr_assert_eq(rl_config_key_check(key, key->default_text, message, sizeof message,
                                             &canonical), RL_OK, "%s", message);
            /* Java writes the largest double in a form of its own. */
            if (strcmp(key->name, "log.cleaner.io.max.bytes.per.second") != 0)
                cr_assert_str_eq(canonical, key->default_text, "%s", key->name);
            rl_free(canonical);
        }
    }
}

Test(config_key, rows_agree_with_each_other)
{
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_TOPIC); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_TOPIC, i);
        cr_assert_not_null(key->default_text, "%s", key->name);
        if (key->honoured != RL_CONFIG_NOT_HONOURED)
            cr_assert_not_null(key->documentation, "%s", key->name);
        if (key->synonym == NULL)
            continue;
        const struct rl_config_key *broker = rl_config_key_find(RL_CONFIG_BROKER, key->synonym);
        cr_assert_not_null(broker, "%s", key->synonym);
        cr_assert_eq(broker->type, key->type, "%s", key->synonym);
        cr_assert_eq(broker->honoured, key->honoured, "%s", key->synonym);
        if (broker->default_text != NULL)
            cr_assert_str_eq(broker->default_text, key->default_text);
    }
}

/* What Kafka 4.3.1 answers to the same; segment.bytes is the one lower bound of 3.x. */
static const struct {
    const char *key;
    const char *value;
    const char *answer;                 /* canonical form, or "!" and the complaint */
} value_cases[] = {
    { "retention.ms", "abc",
      "!Invalid value abc for configuration retention.ms: Not a number of type LONG" },
    { "retention.ms", "",
      "!Invalid value  for configuration retention.ms: Not a number of type LONG" },
    { "retention.ms", " 5 ", "5" },
    { "retention.ms", "+5", "5" },
    { "retention.ms", "-1", "-1" },
    { "retention.ms", "007", "7" },
    { "retention.ms", "-2",
      "!Invalid value -2 for configuration retention.ms: Value must be at least -1" },
    { "retention.ms", "9223372036854775807", "9223372036854775807" },
    { "retention.ms", "9223372036854775808", "!Invalid value 9223372036854775808 for configuration "
      "retention.ms: Not a number of type LONG" },
    { "retention.ms", "0x10",
      "!Invalid value 0x10 for configuration retention.ms: Not a number of type LONG" },
    { "retention.ms", "1.5",
      "!Invalid value 1.5 for configuration retention.ms: Not a number of type LONG" },
    { "retention.ms", "- 5",
      "!Invalid value - 5 for configuration retention.ms: Not a number of type LONG" },
    { "retention.bytes", "-5", "-5" },
    { "segment.bytes", "14", "14" },
    { "segment.bytes", "13",
      "!Invalid value 13 for configuration segment.bytes: Value must be at least 14" },
    { "segment.bytes", "2147483648",
      "!Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT" },
    { "max.message.bytes", "-1",
      "!Invalid value -1 for configuration max.message.bytes: Value must be at least 0" },
    { "min.insync.replicas", "0",
      "!Invalid value 0 for configuration min.insync.replicas: Value must be at least 1" },
    { "compression.gzip.level", "0", "!Invalid value 0 for configuration compression.gzip.level: "
      "Value must be between 1 and 9 or equal to -1" },
    { "compression.gzip.level", "-1", "-1" },
    { "compression.lz4.level", "18",
      "!Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17" },
    { "compression.zstd.level", "-131072", "-131072" },
    { "preallocate", "yes", "!Invalid value yes for configuration preallocate: Expected value to "
      "be either true or false" },
    { "preallocate", " TRUE ", "true" },
    { "compression.type", " gzip ", "gzip" },
    { "compression.type", "none", "!Invalid value none for configuration compression.type: String "
      "must be one of: uncompressed, zstd, lz4, snappy, gzip, producer" },
    { "compression.type", "GZIP", "!Invalid value GZIP for configuration compression.type: String "
      "must be one of: uncompressed, zstd, lz4, snappy, gzip, producer" },
    { "message.timestamp.type", "LogAppendTime", "LogAppendTime" },
    { "message.timestamp.type", "createtime", "!Invalid value createtime for configuration "
      "message.timestamp.type: String must be one of: CreateTime, LogAppendTime" },
    { "cleanup.policy", "", "" },
    { "cleanup.policy", " ", "" },
    { "cleanup.policy", "compact, delete", "compact,delete" },
    { "cleanup.policy", "delete,delete", "delete" },
    { "cleanup.policy", "delete, compact ,delete", "delete,compact" },
    { "cleanup.policy", "delete,foo", "!Invalid value foo for configuration cleanup.policy: String "
      "must be one of: compact, delete" },
    { "cleanup.policy", "Delete", "!Invalid value Delete for configuration cleanup.policy: String "
      "must be one of: compact, delete" },
    { "cleanup.policy", "delete,", "!Configuration 'cleanup.policy' values must not be empty." },
    { "cleanup.policy", ",delete", "!Configuration 'cleanup.policy' values must not be empty." },
    { "min.cleanable.dirty.ratio", "5e-1", "0.5" },
    { "min.cleanable.dirty.ratio", "0.5f", "0.5" },
    { "min.cleanable.dirty.ratio", ".25", "0.25" },
    { "min.cleanable.dirty.ratio", "1.", "1.0" },
    { "min.cleanable.dirty.ratio", "0.1", "0.1" },
    { "min.cleanable.dirty.ratio", "1.5", "!Invalid value 1.5 for configuration "
      "min.cleanable.dirty.ratio: Value must be no more than 1" },
    { "min.cleanable.dirty.ratio", "-0.1", "!Invalid value -0.1 for configuration "
      "min.cleanable.dirty.ratio: Value must be at least 0" },
    { "min.cleanable.dirty.ratio", "nan", "!Invalid value nan for configuration "
      "min.cleanable.dirty.ratio: Not a number of type DOUBLE" },
    { "min.cleanable.dirty.ratio", "f", "!Invalid value f for configuration "
      "min.cleanable.dirty.ratio: Not a number of type DOUBLE" },
    { "leader.replication.throttled.replicas", "*", "*" },
    { "leader.replication.throttled.replicas", "", "" },
    { "leader.replication.throttled.replicas", "0:1, 1:2", "0:1,1:2" },
    { "leader.replication.throttled.replicas", "0:1,0:1", "0:1,0:1" },
    { "leader.replication.throttled.replicas", "foo", "!Invalid value [foo] for configuration "
      "leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the "
      "literal '*' or a list of replicas in the following format: "
      "[partitionId]:[brokerId],[partitionId]:[brokerId],..." },
};

Test(config_key, values_are_answered_as_kafka_does)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(value_cases); i++) {
        const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_TOPIC, value_cases[i].key);
        cr_assert_not_null(key, "%s", value_cases[i].key);
        char message[RL_CONFIG_MESSAGE_BYTES] = "";
        char *canonical = NULL;
        rl_status st = rl_config_key_check(key, value_cases[i].value, message, sizeof message,
                                           &canonical);
        if (value_cases[i].answer[0] == '!') {
            cr_assert_eq(st, RL_EINVAL, "%s=%s", key->name, value_cases[i].value);
            cr_assert_str_eq(message, value_cases[i].answer + 1);
            cr_assert_null(canonical);
        } else {
            cr_assert_eq(st, RL_OK, "%s", message);
            cr_assert_str_eq(canonical, value_cases[i].answer);
            rl_free(canonical);
        }
    }
}

Test(config_key, long_values_and_lists_are_bounded)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    size_t bytes = 100000;
    char *text = rl_alloc(bytes + 1);
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    const struct rl_config_key *rack = rl_config_key_find(RL_CONFIG_BROKER, "broker.rack");
    cr_assert_eq(rl_config_key_check(rack, text, message, sizeof message, NULL), RL_EINVAL);
    cr_assert_not_null(strstr(message, "too long"));
    for (size_t i = 0; i < 20000; i++)
        text[i] = i % 2 == 0 ? 'x' : ',';
    text[19999] = '\0';
    const struct rl_config_key *list = rl_config_key_find(RL_CONFIG_BROKER, "ssl.cipher.suites");
    cr_assert_eq(rl_config_key_check(list, text, message, sizeof message, NULL), RL_EINVAL);
    cr_assert_not_null(strstr(message, "too many values"));
    rl_free(text);
}

Test(config_key, passwords_are_neither_trimmed_nor_repeated)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    char *canonical = NULL;
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_BROKER, "ssl.key.password");
    cr_assert(rl_config_key_sensitive(key));
    cr_assert_eq(rl_config_key_check(key, " pw ", message, sizeof message, &canonical), RL_OK);
    cr_assert_str_eq(canonical, " pw ");
    rl_free(canonical);
    size_t bytes = 70000;
    char *text = rl_alloc(bytes + 1);
    memset(text, 's', bytes);
    text[bytes] = '\0';
    cr_assert_eq(rl_config_key_check(key, text, message, sizeof message, NULL), RL_EINVAL);
    cr_assert_not_null(strstr(message, "[hidden]"));
    cr_assert_null(strstr(message, "ssss"));
    rl_free(text);
}

Test(config_key, misspelt_names_find_the_one_meant)
{
    static const struct {
        const char *name;
        const char *nearest;
    } cases[] = {
        { "num.partition", "num.partitions" },
        { "num.partitons", "num.partitions" },
        { "log.dris", "log.dirs" },
        { "retention.ms", "log.retention.ms" },             /* a topic key in a broker's file */
        { "segment.bytes", "log.segment.bytes" },
        { "auto.create.topic.enable", "auto.create.topics.enable" },
        { "zookeeper.conect", "zookeeper.connect" },
        { "ringlog.shard", "ringlog.shards" },
        { "ringlog.num.partitions", "num.partitions" },
        { "frobnicate", NULL },
        { "x", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        const struct rl_config_key *key = rl_config_key_nearest(cases[i].name);
        if (cases[i].nearest == NULL) {
            cr_assert_null(key, "%s: %s", cases[i].name, key != NULL ? key->name : "");
        } else {
            cr_assert_not_null(key, "%s", cases[i].name);
            cr_assert_str_eq(key->name, cases[i].nearest);
        }
    }
    char long_name[1000];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    cr_assert_null(rl_config_key_nearest(long_name));
}

Test(config_key, what_is_allowed_reads_well)
{
    static const struct {
        enum rl_config_level level;
        const char *key;
        const char *allowed;
    } cases[] = {
        { RL_CONFIG_TOPIC, "retention.ms", "integer, at least -1" },
        { RL_CONFIG_TOPIC, "compression.lz4.level", "integer from 1 to 17" },
        { RL_CONFIG_TOPIC, "compression.gzip.level", "integer from 1 to 9, or -1" },
        { RL_CONFIG_TOPIC, "cleanup.policy", "any of: compact, delete" },
        { RL_CONFIG_TOPIC, "message.timestamp.type", "one of: CreateTime, LogAppendTime" },
        { RL_CONFIG_TOPIC, "preallocate", "true or false" },
        { RL_CONFIG_BROKER, "broker.rack", "text" },
        { RL_CONFIG_BROKER, "listeners", "list, not empty" },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        char allowed[RL_CONFIG_MESSAGE_BYTES];
        rl_config_key_allowed(rl_config_key_find(cases[i].level, cases[i].key), allowed,
                              sizeof allowed);
        cr_assert_str_eq(allowed, cases[i].allowed);
    }
}

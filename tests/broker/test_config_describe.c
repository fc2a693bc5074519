/* tests/broker/test_config_describe.c — DescribeConfigs beside what Kafka 4.3.1 answers.
 *
 * The expected texts are those of kafka-configs --describe --all.  Known differences: Kafka has
 * DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas before the default (it writes that when a
 * cluster is formatted); ringlog has one key more; a broker's keys are all read-only here; unknown
 * keys of a broker's file are not listed; log.dir, listeners, node.id and
 * group.initial.rebalance.delay.ms have other defaults. */
#include "broker/topic_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rl_config config;
static struct rl_arena arena;

static void start_with(const char *file)
{
    rl_config_done(&config);
    rl_config_init(&config, 4);
    cr_assert_eq(rl_config_load_text(&config, "x", file, strlen(file)), RL_OK);
    cr_assert_eq(rl_config_finish(&config), RL_OK);
}

static void start(void)
{
    start_with("");
    rl_arena_init(&arena, 4096, 1 << 20);
}

static void stop(void)
{
    rl_config_done(&config);
    rl_arena_done(&arena);
}

TestSuite(describe, .init = start, .fini = stop);

static const char *source_name(enum rl_config_source source)
{
    switch (source) {
    case RL_CONFIG_SOURCE_TOPIC:   return "DYNAMIC_TOPIC_CONFIG";
    case RL_CONFIG_SOURCE_BROKER:  return "DYNAMIC_BROKER_CONFIG";
    case RL_CONFIG_SOURCE_CLUSTER: return "DYNAMIC_DEFAULT_BROKER_CONFIG";
    case RL_CONFIG_SOURCE_STATIC:  return "STATIC_BROKER_CONFIG";
    case RL_CONFIG_SOURCE_DEFAULT: return "DEFAULT_CONFIG";
    case RL_CONFIG_SOURCE_GROUP:   return "DYNAMIC_GROUP_CONFIG";
    }
    return "?";
}

static const char *synonyms_of(const struct rl_config_entry *entry)
{
    static char text[2048];
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < entry->synonym_count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:%s=%s", i > 0 ? ", " : "",
                               source_name(entry->synonyms[i].source), entry->synonyms[i].name,
                               entry->synonyms[i].value);
    return text;
}

static struct rl_config_entry topic_entry(const char *name, const struct rl_config_pair *overrides,
                                          size_t count)
{
    struct rl_config_entry entry;
    const struct rl_config_key *key = rl_config_key_find(RL_CONFIG_TOPIC, name);
    cr_assert_not_null(key, "%s", name);
    cr_assert_eq(rl_topic_config_describe(&config, overrides, count, key, &arena, &entry), RL_OK);
    cr_assert_str_eq(entry.name, name);
    cr_assert_eq(entry.type, key->type);
    cr_assert(!entry.read_only);
    cr_assert(!entry.sensitive);
    cr_assert_eq(entry.is_default, entry.source == RL_CONFIG_SOURCE_DEFAULT);
    return entry;
}

struct expected {
    const char *name;
    const char *value;
    const char *synonyms;
};

static const struct expected topic_defaults[] = {
    { "cleanup.policy", "delete", "DEFAULT_CONFIG:log.cleanup.policy=delete" },
    { "compression.gzip.level", "-1", "DEFAULT_CONFIG:compression.gzip.level=-1" },
    { "compression.lz4.level", "9", "DEFAULT_CONFIG:compression.lz4.level=9" },
    { "compression.type", "producer", "DEFAULT_CONFIG:compression.type=producer" },
    { "compression.zstd.level", "3", "DEFAULT_CONFIG:compression.zstd.level=3" },
    { "delete.retention.ms", "86400000",
      "DEFAULT_CONFIG:log.cleaner.delete.retention.ms=86400000" },
    { "file.delete.delay.ms", "60000", "DEFAULT_CONFIG:log.segment.delete.delay.ms=60000" },
    { "flush.messages", "9223372036854775807",
      "DEFAULT_CONFIG:log.flush.interval.messages=9223372036854775807" },
    { "flush.ms", "9223372036854775807", "" },
    { "follower.replication.throttled.replicas", "", "" },
    { "index.interval.bytes", "4096", "DEFAULT_CONFIG:log.index.interval.bytes=4096" },
    { "leader.replication.throttled.replicas", "", "" },
    { "local.retention.bytes", "-2", "DEFAULT_CONFIG:log.local.retention.bytes=-2" },
    { "local.retention.ms", "-2", "DEFAULT_CONFIG:log.local.retention.ms=-2" },
    { "max.compaction.lag.ms", "9223372036854775807",
      "DEFAULT_CONFIG:log.cleaner.max.compaction.lag.ms=9223372036854775807" },
    { "max.message.bytes", "1048588", "DEFAULT_CONFIG:message.max.bytes=1048588" },
    { "message.timestamp.after.max.ms", "3600000",
      "DEFAULT_CONFIG:log.message.timestamp.after.max.ms=3600000" },
    { "message.timestamp.before.max.ms", "9223372036854775807",
      "DEFAULT_CONFIG:log.message.timestamp.before.max.ms=9223372036854775807" },
    { "message.timestamp.type", "CreateTime",
      "DEFAULT_CONFIG:log.message.timestamp.type=CreateTime" },
    { "min.cleanable.dirty.ratio", "0.5", "DEFAULT_CONFIG:log.cleaner.min.cleanable.ratio=0.5" },
    { "min.compaction.lag.ms", "0", "DEFAULT_CONFIG:log.cleaner.min.compaction.lag.ms=0" },
    { "min.insync.replicas", "1", "DEFAULT_CONFIG:min.insync.replicas=1" },
    { "preallocate", "false", "DEFAULT_CONFIG:log.preallocate=false" },
    { "remote.log.copy.disable", "false", "" },
    { "remote.log.delete.on.disable", "false", "" },
    { "remote.storage.enable", "false", "" },
    { "retention.bytes", "-1", "DEFAULT_CONFIG:log.retention.bytes=-1" },
    { "retention.ms", "604800000", "" },
    { "segment.bytes", "1073741824", "DEFAULT_CONFIG:log.segment.bytes=1073741824" },
    { "segment.index.bytes", "10485760", "DEFAULT_CONFIG:log.index.size.max.bytes=10485760" },
    { "segment.jitter.ms", "0", "" },
    { "segment.ms", "604800000", "" },
    { "unclean.leader.election.enable", "false",
      "DEFAULT_CONFIG:unclean.leader.election.enable=false" },
};

Test(describe, a_topic_without_overrides)
{
    cr_assert_eq(RL_ARRAY_COUNT(topic_defaults), rl_config_key_count(RL_CONFIG_TOPIC) - 1);
    for (size_t i = 0; i < RL_ARRAY_COUNT(topic_defaults); i++) {
        struct rl_config_entry entry = topic_entry(topic_defaults[i].name, NULL, 0);
        cr_assert_str_eq(entry.value, topic_defaults[i].value, "%s", entry.name);
        cr_assert_str_eq(synonyms_of(&entry), topic_defaults[i].synonyms, "%s", entry.name);
        cr_assert_eq(entry.source, RL_CONFIG_SOURCE_DEFAULT);
    }
    struct rl_config_entry own = topic_entry("ringlog.acks.all.sync", NULL, 0);
    cr_assert_str_eq(synonyms_of(&own), "DEFAULT_CONFIG:ringlog.acks.all.sync=true");
    cr_assert_not_null(own.documentation);
}

static const struct rl_config_pair overrides[] = {
    { "cleanup.policy", "compact, compact" }, { "flush.ms", "44" },
    { "max.message.bytes", " 5000 " }, { "retention.ms", "1000" }, { "segment.bytes", "2000000" },
};

static const struct expected topic_overridden[] = {
    { "cleanup.policy", "compact", "DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact, "
      "DEFAULT_CONFIG:log.cleanup.policy=delete" },
    { "flush.ms", "44", "DYNAMIC_TOPIC_CONFIG:flush.ms=44" },
    { "max.message.bytes", "5000", "DYNAMIC_TOPIC_CONFIG:max.message.bytes=5000, "
      "DEFAULT_CONFIG:message.max.bytes=1048588" },
    { "retention.ms", "1000", "DYNAMIC_TOPIC_CONFIG:retention.ms=1000" },
    { "segment.bytes", "2000000", "DYNAMIC_TOPIC_CONFIG:segment.bytes=2000000, "
      "DEFAULT_CONFIG:log.segment.bytes=1073741824" },
};

Test(describe, a_topic_with_overrides)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(topic_overridden); i++) {
        struct rl_config_entry entry =
            topic_entry(topic_overridden[i].name, overrides, RL_ARRAY_COUNT(overrides));
        cr_assert_str_eq(entry.value, topic_overridden[i].value, "%s", entry.name);
        cr_assert_str_eq(synonyms_of(&entry), topic_overridden[i].synonyms, "%s", entry.name);
        cr_assert_eq(entry.source, RL_CONFIG_SOURCE_TOPIC);
    }
    struct rl_config_entry other = topic_entry("segment.ms", overrides, RL_ARRAY_COUNT(overrides));
    cr_assert_eq(other.source, RL_CONFIG_SOURCE_DEFAULT);
}

/* The file both brokers got. */
static const char broker_file[] =
    "log.retention.hours=5\nlog.roll.ms=3600000\nlog.roll.hours=7\nlog.roll.jitter.hours=2\n"
    "log.segment.bytes=2000000\nlog.flush.interval.ms=777\n"
    "log.flush.scheduler.interval.ms=888\nmin.insync.replicas=1\ncompression.type=gzip\n"
    "node.id=1\n";

static const struct expected topic_from_broker[] = {
    { "compression.type", "gzip", "STATIC_BROKER_CONFIG:compression.type=gzip, "
      "DEFAULT_CONFIG:compression.type=producer" },
    { "flush.ms", "777", "STATIC_BROKER_CONFIG:log.flush.interval.ms=777, "
      "STATIC_BROKER_CONFIG:log.flush.scheduler.interval.ms=888, "
      "DEFAULT_CONFIG:log.flush.scheduler.interval.ms=9223372036854775807" },
    { "min.insync.replicas", "1", "STATIC_BROKER_CONFIG:min.insync.replicas=1, "
      "DEFAULT_CONFIG:min.insync.replicas=1" },
    { "retention.ms", "18000000", "" },
    { "segment.bytes", "2000000", "STATIC_BROKER_CONFIG:log.segment.bytes=2000000, "
      "DEFAULT_CONFIG:log.segment.bytes=1073741824" },
    { "segment.jitter.ms", "7200000", "" },
    { "segment.ms", "3600000", "STATIC_BROKER_CONFIG:log.roll.ms=3600000, "
      "STATIC_BROKER_CONFIG:log.roll.hours=7, DEFAULT_CONFIG:log.roll.hours=168" },
};

Test(describe, a_topic_on_a_configured_broker)
{
    start_with(broker_file);
    for (size_t i = 0; i < RL_ARRAY_COUNT(topic_from_broker); i++) {
        struct rl_config_entry entry = topic_entry(topic_from_broker[i].name, NULL, 0);
        cr_assert_str_eq(entry.value, topic_from_broker[i].value, "%s", entry.name);
        cr_assert_str_eq(synonyms_of(&entry), topic_from_broker[i].synonyms, "%s", entry.name);
    }
}

/* value NULL: null */
static const struct expected broker_entries[] = {
    { "broker.id", "1", "STATIC_BROKER_CONFIG:broker.id=1, DEFAULT_CONFIG:broker.id=-1" },
    { "log.flush.interval.ms", "777", "STATIC_BROKER_CONFIG:log.flush.interval.ms=777, "
      "STATIC_BROKER_CONFIG:log.flush.scheduler.interval.ms=888, "
      "DEFAULT_CONFIG:log.flush.scheduler.interval.ms=9223372036854775807" },
    { "log.flush.scheduler.interval.ms", "888", "STATIC_BROKER_CONFIG:"
      "log.flush.scheduler.interval.ms=888, "
      "DEFAULT_CONFIG:log.flush.scheduler.interval.ms=9223372036854775807" },
    { "log.retention.hours", "5", "STATIC_BROKER_CONFIG:log.retention.hours=5, "
      "DEFAULT_CONFIG:log.retention.hours=168" },
    { "log.retention.minutes", NULL, "" },
    { "log.retention.ms", NULL, "" },
    { "log.roll.hours", "7", "STATIC_BROKER_CONFIG:log.roll.hours=7, "
      "DEFAULT_CONFIG:log.roll.hours=168" },
    { "log.roll.jitter.ms", NULL, "" },
    { "log.roll.ms", "3600000", "STATIC_BROKER_CONFIG:log.roll.ms=3600000, "
      "STATIC_BROKER_CONFIG:log.roll.hours=7, DEFAULT_CONFIG:log.roll.hours=168" },
    { "log.retention.bytes", "-1", "DEFAULT_CONFIG:log.retention.bytes=-1" },
    { "num.replica.alter.log.dirs.threads", NULL, "" },
    { "ringlog.shards", "3", "DEFAULT_CONFIG:ringlog.shards=3" },
};

Test(describe, a_broker)
{
    start_with(broker_file);
    for (size_t i = 0; i < RL_ARRAY_COUNT(broker_entries); i++) {
        const struct rl_config_key *key =
            rl_config_key_find(RL_CONFIG_BROKER, broker_entries[i].name);
        struct rl_config_entry entry;
        rl_config_describe(&config, key, &entry);
        if (broker_entries[i].value == NULL)
            cr_assert_null(entry.value, "%s", entry.name);
        else
            cr_assert_str_eq(entry.value, broker_entries[i].value, "%s", entry.name);
        cr_assert_str_eq(synonyms_of(&entry), broker_entries[i].synonyms, "%s", entry.name);
        bool set = strstr(broker_entries[i].synonyms, "STATIC") != NULL;
        cr_assert_eq(entry.source, set ? RL_CONFIG_SOURCE_STATIC : RL_CONFIG_SOURCE_DEFAULT);
        cr_assert_eq(entry.read_only, !rl_config_is_alterable(key));
    }
}

Test(describe, every_broker_key)
{
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_BROKER); i++) {
        const struct rl_config_key *key = rl_config_key_at(RL_CONFIG_BROKER, i);
        struct rl_config_entry entry;
        rl_config_describe(&config, key, &entry);
        cr_assert_str_eq(entry.name, key->name);
        cr_assert_eq(entry.source, RL_CONFIG_SOURCE_DEFAULT);
        cr_assert_eq(entry.documentation != NULL, key->honoured != RL_CONFIG_NOT_HONOURED);
    }
}

Test(describe, secrets_stay_secret)
{
    start_with("ssl.key.password=hunter2\n");
    struct rl_config_entry entry;
    rl_config_describe(&config, rl_config_key_find(RL_CONFIG_BROKER, "ssl.key.password"), &entry);
    cr_assert(entry.sensitive);
    cr_assert_null(entry.value);
    cr_assert_eq(entry.source, RL_CONFIG_SOURCE_STATIC);
    cr_assert_eq(entry.synonym_count, 1);
    cr_assert_null(entry.synonyms[0].value);
    cr_assert_str_eq(entry.where, "x:1");
}

Test(describe, memory_is_bounded)
{
    struct rl_arena small;
    struct rl_config_entry entry = { .name = "untouched" };
    rl_arena_init(&small, 64, 0);
    cr_assert_eq(rl_topic_config_describe(&config, NULL, 0,
                                          rl_config_key_find(RL_CONFIG_TOPIC, "retention.ms"),
                                          &small, &entry), RL_ENOMEM);
    cr_assert_str_eq(entry.name, "untouched");
    rl_arena_done(&small);
}

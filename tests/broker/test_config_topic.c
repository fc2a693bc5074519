/* tests/broker/test_config_topic.c — topic overrides: checked, resolved, listed. */
#include "broker/topic_config.h"
#include "core/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rl_config config;

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
}

static void stop(void)
{
    rl_config_done(&config);
}

TestSuite(topic_config, .init = start, .fini = stop);

/* What Kafka 4.3.1 answers to CreateTopics with these configs; NULL: the topic is created. */
static const struct {
    struct rl_config_pair overrides[3];
    size_t count;
    const char *message;
} cases[] = {
    { .count = 0 },
    { { { "retention.ms", "1" } }, 1, NULL },
    { { { "retention.ms", "abc" } }, 1,
      "Invalid value abc for configuration retention.ms: Not a number of type LONG" },
    { { { "retention.ms", NULL } }, 1, "Null value not supported for topic configs: retention.ms" },
    { { { "foo", "bar" } }, 1, "Unknown topic config name: foo" },
    { { { "", "bar" } }, 1, "Unknown topic config name: " },
    { { { "log.retention.ms", "1" } }, 1, "Unknown topic config name: log.retention.ms" },
    { { { "message.format.version", "2.8" } }, 1,
      "Unknown topic config name: message.format.version" },
    { { { "retention.ms", "abc" }, { "foo", "bar" } }, 2, "Unknown topic config name: foo" },
    { { { "min.compaction.lag.ms", "5" }, { "max.compaction.lag.ms", "4" } }, 2, "conflict topic "
      "config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)" },
    { { { "min.compaction.lag.ms", " 5 " }, { "max.compaction.lag.ms", "+5" } }, 2, NULL },
    { { { "remote.storage.enable", " TRUE " } }, 1, "Tiered Storage functionality is disabled in "
      "the broker. Topic cannot be configured with remote log storage." },
    { { { "remote.storage.enable", "false" } }, 1, NULL },
    { { { "remote.log.copy.disable", "true" } }, 1, NULL },
    { { { "cleanup.policy", "" } }, 1, NULL },
    { { { "cleanup.policy", "compact,delete" }, { "min.insync.replicas", "5" } }, 2, NULL },
    { { { "local.retention.ms", "6" }, { "retention.ms", "5" } }, 2, NULL },
    { { { "ringlog.acks.all.sync", "false" } }, 1, NULL },
    { { { "ringlog.acks.all.sync", "no" } }, 1, "Invalid value no for configuration "
      "ringlog.acks.all.sync: Expected value to be either true or false" },
};

Test(topic_config, validate_answers_as_kafka_does)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        char message[RL_CONFIG_MESSAGE_BYTES] = "";
        rl_status st = rl_topic_config_validate(&config, cases[i].overrides, cases[i].count,
                                                message, sizeof message);
        cr_assert_eq(st, cases[i].message == NULL ? RL_OK : RL_EINVAL, "case %zu: %s", i, message);
        if (cases[i].message != NULL)
            cr_assert_str_eq(message, cases[i].message);
    }
}

Test(topic_config, the_brokers_defaults_count_in_cross_checks)
{
    start_with("log.cleaner.max.compaction.lag.ms=100\n");
    struct rl_config_pair override = { "min.compaction.lag.ms", "101" };
    char message[RL_CONFIG_MESSAGE_BYTES];
    cr_assert_eq(rl_topic_config_validate(&config, &override, 1, message, sizeof message),
                 RL_EINVAL);
    override.value = "100";
    cr_assert_eq(rl_topic_config_validate(&config, &override, 1, message, sizeof message), RL_OK);
}

Test(topic_config, check_takes_one_override)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    cr_assert_eq(rl_topic_config_check("segment.bytes", "14", message, sizeof message), RL_OK);
    cr_assert_eq(rl_topic_config_check("segment.bytes", "1", message, sizeof message), RL_EINVAL);
    cr_assert_str_eq(message,
                     "Invalid value 1 for configuration segment.bytes: Value must be at least 14");
    cr_assert_eq(rl_topic_config_check("x", "1", message, sizeof message), RL_EINVAL);
    cr_assert_str_eq(message, "Unknown topic config name: x");
    cr_assert_eq(rl_topic_config_check("segment.ms", NULL, message, sizeof message), RL_EINVAL);
}

Test(topic_config, long_names_are_cut_in_messages)
{
    char name[5000], message[RL_CONFIG_MESSAGE_BYTES];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_assert_eq(rl_topic_config_check(name, "1", message, sizeof message), RL_EINVAL);
    cr_assert_lt(strlen(message), sizeof message);
    cr_assert_eq(rl_topic_config_check("retention.ms", name, message, sizeof message), RL_EINVAL);
    cr_assert_not_null(strstr(message, "Not a number of type LONG"));
}

Test(topic_config, without_overrides_the_brokers_values_hold)
{
    start_with("log.retention.hours=1\nlog.segment.bytes=1000\nringlog.acks.all.sync=false\n");
    struct rl_log_config log;
    cr_assert_eq(rl_topic_config_resolve(&config, NULL, 0, &log), 0);
    cr_assert_eq(log.retention_ms, 3600000);
    cr_assert_eq(log.segment_bytes, 1000);
    cr_assert(!log.acks_all_sync);
    cr_assert_eq(memcmp(&log, &config.log, sizeof log), 0);
}

Test(topic_config, every_override_arrives)
{
    static const struct rl_config_pair overrides[] = {
        { "cleanup.policy", "compact" }, { "compression.type", "zstd" },
        { "delete.retention.ms", "1" }, { "file.delete.delay.ms", "2" }, { "flush.messages", "3" },
        { "flush.ms", "4" }, { "index.interval.bytes", "5" }, { "max.message.bytes", "6" },
        { "message.timestamp.after.max.ms", "7" }, { "message.timestamp.before.max.ms", "8" },
        { "message.timestamp.type", "LogAppendTime" }, { "min.insync.replicas", "9" },
        { "preallocate", "true" }, { "retention.bytes", "10" }, { "retention.ms", "11" },
        { "segment.bytes", "14" }, { "segment.index.bytes", "13" }, { "segment.jitter.ms", "15" },
        { "segment.ms", "16" }, { "ringlog.acks.all.sync", "False" },
        { "min.cleanable.dirty.ratio", "0.7" },
    };
    struct rl_log_config log;
    cr_assert_eq(rl_topic_config_resolve(&config, overrides, RL_ARRAY_COUNT(overrides), &log), 0);
    cr_assert(!log.cleanup_delete);
    cr_assert(log.cleanup_compact);
    cr_assert_eq(log.compression_type, RL_CODEC_ZSTD);
    cr_assert_eq(log.delete_retention_ms, 1);
    cr_assert_eq(log.file_delete_delay_ms, 2);
    cr_assert_eq(log.flush_messages, 3);
    cr_assert_eq(log.flush_ms, 4);
    cr_assert_eq(log.index_interval_bytes, 5);
    cr_assert_eq(log.max_message_bytes, 6);
    cr_assert_eq(log.message_timestamp_after_max_ms, 7);
    cr_assert_eq(log.message_timestamp_before_max_ms, 8);
    cr_assert_eq(log.message_timestamp_type, RL_LOG_APPEND_TIME);
    cr_assert_eq(log.min_insync_replicas, 9);
    cr_assert(log.preallocate);
    cr_assert_eq(log.retention_bytes, 10);
    cr_assert_eq(log.retention_ms, 11);
    cr_assert_eq(log.segment_bytes, 14);
    cr_assert_eq(log.segment_index_bytes, 13);
    cr_assert_eq(log.segment_jitter_ms, 15);
    cr_assert_eq(log.segment_ms, 16);
    cr_assert(!log.acks_all_sync);
}

Test(topic_config, codecs_and_policies)
{
    static const struct {
        const char *name;
        enum rl_codec codec;
    } codecs[] = { { "uncompressed", RL_CODEC_NONE }, { "gzip", RL_CODEC_GZIP },
                   { "snappy", RL_CODEC_SNAPPY }, { "lz4", RL_CODEC_LZ4 },
                   { "zstd", RL_CODEC_ZSTD }, { "producer", RL_CODEC_PRODUCER } };
    struct rl_log_config log;
    for (size_t i = 0; i < RL_ARRAY_COUNT(codecs); i++) {
        struct rl_config_pair override = { "compression.type", codecs[i].name };
        rl_topic_config_resolve(&config, &override, 1, &log);
        cr_assert_eq(log.compression_type, codecs[i].codec);
    }
    struct rl_config_pair override = { "cleanup.policy", "" };
    rl_topic_config_resolve(&config, &override, 1, &log);
    cr_assert(!log.cleanup_delete && !log.cleanup_compact);
    override.value = "delete,compact";
    rl_topic_config_resolve(&config, &override, 1, &log);
    cr_assert(log.cleanup_delete && log.cleanup_compact);
}

Test(topic_config, of_repeated_overrides_the_last_wins_and_bad_ones_are_passed_over)
{
    static const struct rl_config_pair overrides[] = {
        { "retention.ms", "1" }, { "gone.in.this.version", "1" }, { "segment.bytes", "x" },
        { "segment.ms", NULL }, { "retention.ms", "2" } };
    struct rl_log_config log;
    cr_assert_eq(rl_topic_config_resolve(&config, overrides, RL_ARRAY_COUNT(overrides), &log), 3);
    cr_assert_eq(log.retention_ms, 2);
    cr_assert_eq(log.segment_bytes, 1 << 30);
    cr_assert_eq(log.segment_ms, 604800000);
}

Test(topic_config, what_has_no_effect_is_told)
{
    char message[RL_CONFIG_MESSAGE_BYTES];
    cr_assert(rl_topic_config_unsupported("cleanup.policy", "compact", message, sizeof message));
    cr_assert_str_eq(message, "cleanup.policy=compact: ringlog acts only on delete yet");
    cr_assert(rl_topic_config_unsupported("segment.index.bytes", "5", message, sizeof message));
    cr_assert_str_eq(message, "segment.index.bytes: known to Kafka but not supported by ringlog "
                     "yet, it has no effect");
    cr_assert(!rl_topic_config_unsupported("cleanup.policy", " delete ", message, sizeof message));
    cr_assert(!rl_topic_config_unsupported("retention.ms", "5", message, sizeof message));
    cr_assert(!rl_topic_config_unsupported("unknown", "5", message, sizeof message));
    cr_assert(!rl_topic_config_unsupported("cleanup.policy", NULL, message, sizeof message));
}

Test(topic_config, the_list_for_the_documentation)
{
    char *text = rl_topic_config_keys_markdown();
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    cr_assert_eq(lines, rl_config_key_count(RL_CONFIG_TOPIC) + 2);
    cr_assert_not_null(strstr(text, "| `retention.ms` | long | 604800000 | integer, at least -1 | yes "
                                    "| "));
    cr_assert_not_null(strstr(text, "| `cleanup.policy` | list | delete | any of: compact, delete "
                                    "| only the default | "));
    cr_assert_not_null(strstr(text, "| `flush.ms` | long | 9223372036854775807 | integer, at least "
                                    "0 | not yet |  |"));
    rl_free(text);
}

Test(topic_config, the_documentation_has_that_list)
{
    static char page[256 * 1024];
    FILE *file = fopen(RL_TEST_SOURCE_DIR "/docs/configuration.md", "r");
    cr_assert_not_null(file);
    size_t bytes = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    page[bytes] = '\0';
    char *text = rl_topic_config_keys_markdown();
    cr_assert_not_null(strstr(page, text), "docs/configuration.md: replace its last table by\n%s",
                       text);
    rl_free(text);
}

/* tests/broker/test_config.c — sources, precedence, messages and typed fields. */
#include "broker/config.h"
#include "core/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rl_config config;

static void start(void)
{
    rl_config_init(&config, 4);
}

static void stop(void)
{
    rl_config_done(&config);
}

TestSuite(config, .init = start, .fini = stop);

static void load(const char *text)
{
    cr_assert_eq(rl_config_load_text(&config, "x.properties", text, strlen(text)), RL_OK);
}

static void environment(const char *variable)
{
    const char *variables[] = { "PATH=/bin", variable, NULL };
    cr_assert_eq(rl_config_load_environment(&config, variables), RL_OK);
}

static void set(const char *pair)
{
    cr_assert_eq(rl_config_set_pair(&config, pair, "--set"), RL_OK);
}

static bool says(const struct rl_config_lines *lines, const char *part)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strstr(lines->lines[i], part) != NULL)
            return true;
    return false;
}

static void print(const struct rl_config_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        fprintf(stderr, "  %s\n", lines->lines[i]);
}

static void finish(void)
{
    rl_status st = rl_config_finish(&config);
    if (st != RL_OK)
        print(&config.errors);
    cr_assert_eq(st, RL_OK);
}

static void finish_refused(const char *line)
{
    cr_assert_eq(rl_config_finish(&config), RL_EINVAL);
    if (config.errors.count != 1 || strcmp(config.errors.lines[0], line) != 0)
        print(&config.errors);
    cr_assert_eq(config.errors.count, 1);
    cr_assert_str_eq(config.errors.lines[0], line);
}

static const char *text_of(const char *name)
{
    return rl_config_text(&config, rl_config_key_find(RL_CONFIG_BROKER, name));
}

Test(config, defaults)
{
    finish();
    cr_assert_eq(config.warnings.count, 0);
    cr_assert_str_eq(config.data_dir, "./ringlog-data");
    cr_assert_null(config.broker_rack);
    cr_assert_eq(config.listeners.count, 1);
    cr_assert_str_eq(config.listeners.listeners[0].host, "127.0.0.1");
    cr_assert_eq(config.listeners.listeners[0].port, 9092);
    cr_assert_eq(config.node_id, 1);
    cr_assert_eq(config.num_partitions, 1);
    cr_assert_eq(config.default_replication_factor, 1);
    cr_assert(config.auto_create_topics_enable);
    cr_assert(config.delete_topic_enable);
    cr_assert_eq(config.fetch_max_bytes, 57671680);
    cr_assert_eq(config.socket_request_max_bytes, 104857600);
    cr_assert_eq(config.socket_send_buffer_bytes, 102400);
    cr_assert_eq(config.socket_receive_buffer_bytes, 102400);
    cr_assert_eq(config.socket_listen_backlog_size, 50);
    cr_assert_eq(config.max_connections, 20000);
    cr_assert_eq(config.max_connections_per_ip, 20000);
    cr_assert_str_eq(config.max_connections_per_ip_overrides, "");
    cr_assert_eq(config.max_connection_creation_rate, 20000);
    cr_assert_eq(config.queued_max_request_bytes, 268435456);
    cr_assert_eq(config.connections_max_idle_ms, 600000);
    cr_assert_eq(config.log_retention_check_interval_ms, 300000);
    cr_assert_eq(config.producer_id_expiration_ms, 86400000);
    cr_assert_eq(config.shards, 3);
    cr_assert_eq(config.log_tail_bytes, 16 << 20);
    cr_assert_eq(config.io, RL_CONFIG_IO_AUTO);
    cr_assert_str_eq(text_of("group.initial.rebalance.delay.ms"), "0");
    cr_assert_eq(config.log.retention_ms, 604800000);
    cr_assert_eq(config.log.retention_bytes, -1);
    cr_assert_eq(config.log.segment_bytes, 1 << 30);
    cr_assert_eq(config.log.segment_ms, 604800000);
    cr_assert_eq(config.log.segment_jitter_ms, 0);
    cr_assert_eq(config.log.flush_messages, INT64_MAX);
    cr_assert_eq(config.log.flush_ms, INT64_MAX);
    cr_assert_eq(config.log.max_message_bytes, 1048588);
    cr_assert_eq(config.log.index_interval_bytes, 4096);
    cr_assert_eq(config.log.segment_index_bytes, 10485760);
    cr_assert_eq(config.log.file_delete_delay_ms, 60000);
    cr_assert_eq(config.log.delete_retention_ms, 86400000);
    cr_assert_eq(config.log.message_timestamp_type, RL_CREATE_TIME);
    cr_assert_eq(config.log.message_timestamp_before_max_ms, INT64_MAX);
    cr_assert_eq(config.log.message_timestamp_after_max_ms, 3600000);
    cr_assert_eq(config.log.min_insync_replicas, 1);
    cr_assert_eq(config.log.compression_type, RL_CODEC_PRODUCER);
    cr_assert(config.log.cleanup_delete);
    cr_assert(!config.log.cleanup_compact);
    cr_assert(!config.log.preallocate);
    cr_assert(config.log.acks_all_sync);
}

Test(config, shards_by_default_leave_one_cpu)
{
    static const int32_t cases[][2] = { { 0, 1 }, { 1, 1 }, { 2, 1 }, { 8, 7 }, { 500, 128 } };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        struct rl_config other;
        rl_config_init(&other, cases[i][0]);
        cr_assert_eq(rl_config_finish(&other), RL_OK);
        cr_assert_eq(other.shards, cases[i][1]);
        rl_config_done(&other);
        rl_config_done(&other);         /* twice does no harm */
    }
}

Test(config, every_honoured_key_arrives)
{
    load("node.id=7\nlog.dirs=/data\nbroker.rack=a\nnum.partitions=3\n"
         "default.replication.factor=2\nauto.create.topics.enable=FALSE\n"
         "delete.topic.enable = false\nfetch.max.bytes=2048\nsocket.request.max.bytes=99999\n"
         "socket.send.buffer.bytes=-1\nsocket.receive.buffer.bytes=5\n"
         "socket.listen.backlog.size=6\nmax.connections=8\n"
         "max.connections.per.ip=9\nmax.connections.per.ip.overrides=10.0.0.1:5, [::1]:6\n"
         "max.connection.creation.rate=11\nqueued.max.request.bytes=99999\nconnections.max.idle.ms=-1\n"
         "log.retention.check.interval.ms=9\nproducer.id.expiration.ms=10\nringlog.shards=128\n"
         "ringlog.log.tail.bytes=0\nringlog.io=uring\nringlog.acks.all.sync=false\n"
         "log.retention.bytes=11\nlog.segment.bytes=14\nlog.index.interval.bytes=12\n"
         "message.max.bytes=13\nlog.message.timestamp.type=LogAppendTime\n"
         "log.message.timestamp.before.max.ms=14\nlog.message.timestamp.after.max.ms=15\n"
         "log.flush.interval.messages=1\nmin.insync.replicas=2\n"
         "log.segment.delete.delay.ms=16\nlog.cleanup.policy=delete\ncompression.type=producer\n"
         "listeners=PLAINTEXT://[::1]:0\nadvertised.listeners=PLAINTEXT://h:5\n"
         "ringlog.allow.insecure.listener=true\n");
    finish();
    cr_assert_eq(config.warnings.count, 0);
    cr_assert(config.allow_insecure_listener);
    cr_assert_eq(config.node_id, 7);
    cr_assert_str_eq(config.data_dir, "/data");
    cr_assert_str_eq(config.broker_rack, "a");
    cr_assert_eq(config.num_partitions, 3);
    cr_assert_eq(config.default_replication_factor, 2);
    cr_assert(!config.auto_create_topics_enable);
    cr_assert(!config.delete_topic_enable);
    cr_assert_eq(config.fetch_max_bytes, 2048);
    cr_assert_eq(config.socket_request_max_bytes, 99999);
    cr_assert_eq(config.socket_send_buffer_bytes, -1);
    cr_assert_eq(config.socket_receive_buffer_bytes, 5);
    cr_assert_eq(config.socket_listen_backlog_size, 6);
    cr_assert_eq(config.max_connections, 8);
    cr_assert_eq(config.max_connections_per_ip, 9);
    cr_assert_str_eq(config.max_connections_per_ip_overrides, "10.0.0.1:5, [::1]:6");
    cr_assert_eq(config.max_connection_creation_rate, 11);
    cr_assert_eq(config.queued_max_request_bytes, 99999);
    cr_assert_eq(config.connections_max_idle_ms, -1);
    cr_assert_eq(config.log_retention_check_interval_ms, 9);
    cr_assert_eq(config.producer_id_expiration_ms, 10);
    cr_assert_eq(config.shards, 128);
    cr_assert_eq(config.log_tail_bytes, 0);
    cr_assert_eq(config.io, RL_CONFIG_IO_URING);
    cr_assert(!config.log.acks_all_sync);
    cr_assert_eq(config.log.retention_bytes, 11);
    cr_assert_eq(config.log.segment_bytes, 14);
    cr_assert_eq(config.log.index_interval_bytes, 12);
    cr_assert_eq(config.log.max_message_bytes, 13);
    cr_assert_eq(config.log.message_timestamp_type, RL_LOG_APPEND_TIME);
    cr_assert_eq(config.log.message_timestamp_before_max_ms, 14);
    cr_assert_eq(config.log.message_timestamp_after_max_ms, 15);
    cr_assert_eq(config.log.flush_messages, 1);
    cr_assert_eq(config.log.min_insync_replicas, 2);
    cr_assert_eq(config.log.file_delete_delay_ms, 16);
    cr_assert_str_eq(config.listeners.listeners[0].advertised_host, "h");
}

Test(config, flag_over_environment_over_file_over_default_in_any_order)
{
    set("num.partitions=4");
    environment("KAFKA_NUM_PARTITIONS=3");
    environment("KAFKA_BROKER_RACK=environment");
    load("num.partitions=2\nbroker.rack=file\nfetch.max.bytes=5000\n");
    finish();
    cr_assert_eq(config.num_partitions, 4);
    cr_assert_str_eq(config.broker_rack, "environment");
    cr_assert_eq(config.fetch_max_bytes, 5000);
    cr_assert_str_eq(rl_config_find(&config, "num.partitions")->where, "--set");
    cr_assert_str_eq(rl_config_find(&config, "broker.rack")->where, "KAFKA_BROKER_RACK");
    cr_assert_str_eq(rl_config_find(&config, "fetch.max.bytes")->where, "x.properties:3");
    cr_assert_null(rl_config_find(&config, "log.dirs"));
    cr_assert_eq(config.warnings.count, 0);
}

Test(config, an_overridden_bad_value_does_no_harm)
{
    load("num.partitions=many\n");
    set("num.partitions=4");
    finish();
    cr_assert_eq(config.num_partitions, 4);
}

Test(config, of_equals_the_last_wins)
{
    load("num.partitions=2\nnum.partitions=3\n");
    set("ringlog.shards=1");
    set("ringlog.shards=2");
    finish();
    cr_assert_eq(config.num_partitions, 3);
    cr_assert_eq(config.shards, 2);
    cr_assert_eq(config.warnings.count, 1);
    cr_assert_str_eq(config.warnings.lines[0], "x.properties:2: num.partitions is set again, the "
                     "value of x.properties:1 does not count");
}

Test(config, the_backend_by_variable)
{
    environment("RINGLOG_IO=posix");
    finish();
    cr_assert_eq(config.io, RL_CONFIG_IO_POSIX);
}

Test(config, variables_become_keys)
{
    environment("KAFKA_LOG_RETENTION_MS=5");
    environment("RINGLOG_SHARDS=2");
    environment("RINGLOG_ACKS_ALL_SYNC=false");
    environment("RINGLOG_LOG_TAIL_BYTES=7");
    environment("KAFKA_MESSAGE_MAX_BYTES=a=b");             /* only the first = separates */
    cr_assert_str_eq(rl_config_find(&config, "log.retention.ms")->text, "5");
    cr_assert_str_eq(rl_config_find(&config, "ringlog.shards")->text, "2");
    cr_assert_str_eq(rl_config_find(&config, "ringlog.acks.all.sync")->text, "false");
    cr_assert_str_eq(rl_config_find(&config, "ringlog.log.tail.bytes")->text, "7");
    cr_assert_str_eq(rl_config_find(&config, "message.max.bytes")->text, "a=b");
    environment("KAFKA_A__B___C____D=1");                   /* _ is ., __ is _, ___ is - */
    cr_assert(says(&config.warnings, "KAFKA_A__B___C____D: unknown key a_b-c-.d"));
}

Test(config, variables_of_others_are_passed_over)
{
    static const char *const variables[] = {
        "KAFKA_HEAP_OPTS=-Xmx1G", "KAFKA_OPTS=", "KAFKA_LOG4J_OPTS=x", "KAFKA_HOME=/opt/kafka",
        "KAFKA_JVM_PERFORMANCE_OPTS=x", "KAFKA_JMX_PORT=9999", "KAFKA_PORT=tcp://10.0.0.1:9092",
        "KAFKA_PORT_9092_TCP=tcp://10.0.0.1:9092", "KAFKA_PORT_9092_TCP_ADDR=10.0.0.1",
        "KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_SERVICE_PORT=9092", "KAFKA_SERVICE_PORT_CLIENT=9092",
        "RINGLOG_SERVICE_HOST=10.0.0.1", "RINGLOG_PORT=tcp://10.0.0.1:9092", "KAFKA_=x",
        "KAFKA_NOEQUALS", "RINGLOG_=x", "MY_KAFKA_X=1", "kafka_num_partitions=9", "", NULL };
    cr_assert_eq(rl_config_load_environment(&config, variables), RL_OK);
    cr_assert_eq(config.value_count, 0);
    cr_assert_eq(config.warnings.count, 0);
    cr_assert_eq(config.errors.count, 0);
    char variable[1000] = "KAFKA_";
    memset(variable + 6, 'A', 900);
    memcpy(variable + 906, "=x", 3);
    environment(variable);
    cr_assert_eq(config.warnings.count, 1);
    cr_assert(says(&config.warnings, "no key is that long"));
}

Test(config, unknown_keys_warn_and_flags_are_refused)
{
    load("log.dris=/data\nfrobnicate=1\n");
    environment("KAFKA_NUM_PARTITION=1");
    environment("RINGLOG_NUM_PARTITIONS=1");
    cr_assert_eq(config.warnings.count, 4);
    cr_assert_str_eq(config.warnings.lines[0],
                     "x.properties:1: unknown key log.dris; did you mean log.dirs?");
    cr_assert_str_eq(config.warnings.lines[1], "x.properties:2: unknown key frobnicate");
    cr_assert_str_eq(config.warnings.lines[2],
                     "KAFKA_NUM_PARTITION: unknown key num.partition; did you mean "
                     "num.partitions?");
    cr_assert_str_eq(config.warnings.lines[3], "RINGLOG_NUM_PARTITIONS: unknown key "
                     "ringlog.num.partitions; did you mean num.partitions?");
    cr_assert_eq(rl_config_set_pair(&config, "retention.ms=5", "--set"), RL_EINVAL);
    finish_refused("--set: unknown key retention.ms; did you mean log.retention.ms?");
}

Test(config, flags_need_an_equals_sign)
{
    cr_assert_eq(rl_config_set_pair(&config, "num.partitions", "--set"), RL_EINVAL);
    finish_refused("--set: expected key=value, not 'num.partitions'");
}

Test(config, keys_without_effect_warn_once)
{
    load("num.io.threads=8\nnum.io.threads=9\nlog.cleaner.enable=true\nzookeeper.connect=h:1\n"
         "listener.name.internal.ssl.keystore.location=x\nlog.message.format.version=2.8\n"
         "controller.quorum.voters=1@h:1\nlog.cleanup.policy=compact\ncompression.type=gzip\n");
    environment("KAFKA_NUM_IO_THREADS=10");
    finish();
    size_t lines = 0;
    for (size_t i = 0; i < config.warnings.count; i++)
        lines += strstr(config.warnings.lines[i], "num.io.threads: ringlog has no such thread pool")
            != NULL;
    cr_assert_eq(lines, 1);
    cr_assert(says(&config.warnings, "KAFKA_NUM_IO_THREADS: num.io.threads: "));
    cr_assert(says(&config.warnings, "x.properties:3: log.cleaner.enable: known to Kafka but not "
                   "supported by ringlog yet, it has no effect"));
    cr_assert(says(&config.warnings,
                   "x.properties:4: zookeeper.connect: ringlog starts without ZooKeeper"));
    cr_assert(says(&config.warnings, "x.properties:5: listener.name.internal.ssl.keystore.location"
                   ": known to Kafka but not supported"));
    cr_assert(says(&config.warnings, "x.properties:6: log.message.format.version: "));
    cr_assert(says(&config.warnings, "x.properties:7: controller.quorum.voters: "));
    cr_assert(says(&config.warnings,
                   "x.properties:8: log.cleanup.policy=compact: ringlog acts only on delete yet"));
    cr_assert(says(&config.warnings,
                   "x.properties:9: compression.type=gzip: ringlog acts only on producer yet"));
    cr_assert(config.log.cleanup_compact);
}

Test(config, a_usual_kafka_file_starts)
{
    load("process.roles=broker,controller\nnode.id=1\n"
         "controller.quorum.bootstrap.servers=localhost:9093\n"
         "listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n"
         "inter.broker.listener.name=PLAINTEXT\n"
         "advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n"
         "controller.listener.names=CONTROLLER\n"
         "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,"
         "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n"
         "num.network.threads=3\nsocket.send.buffer.bytes=102400\n"
         "log.dirs=/var/lib/kafka\nnum.partitions=1\nlog.retention.hours=168\n"
         "log.segment.bytes=1073741824\nlog.retention.check.interval.ms=300000\n"
         "ringlog.allow.insecure.listener=true\n");
    finish();
    cr_assert_eq(config.listeners.count, 1);
    cr_assert_eq(config.listeners.controller_count, 1);
    cr_assert_str_eq(config.listeners.listeners[0].advertised_host, "localhost");
    cr_assert_eq(config.warnings.count, 3);     /* the quorum, the threads, the open listener */
}

/* ---- beyond loopback ---- */

static const struct {
    const char *listeners;
    bool open;
} exposures[] = {
    { "PLAINTEXT://127.0.0.1:9092", false },
    { "PLAINTEXT://127.7.7.7:9092", false },
    { "PLAINTEXT://[::1]:9092", false },
    { "PLAINTEXT://LocalHost:9092", false },
    { "PLAINTEXT://:9092", true },
    { "PLAINTEXT://0.0.0.0:9092", true },
    { "PLAINTEXT://[::]:9092", true },
    { "PLAINTEXT://10.0.0.1:9092", true },
    { "PLAINTEXT://127.0.0.1.evil.example:9092", true },
    { "PLAINTEXT://kafka:9092", true },
};

Test(config, an_open_listener_must_be_asked_for)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(exposures); i++) {
        char text[128];
        rl_config_done(&config);
        rl_config_init(&config, 4);
        snprintf(text, sizeof text, "listeners=%s", exposures[i].listeners);
        load(text);
        cr_assert_eq(rl_config_finish(&config), exposures[i].open ? RL_EINVAL : RL_OK, "%s", text);
        cr_assert_eq(says(&config.errors, "ringlog.allow.insecure.listener=true"),
                     exposures[i].open, "%s", text);
        cr_assert_eq(config.warnings.count, 0);
        cr_assert_eq(config.auto_create_topics_enable, !exposures[i].open);

        rl_config_done(&config);
        rl_config_init(&config, 4);
        load(text);
        set("ringlog.allow.insecure.listener=true");
        finish();
        cr_assert_eq(says(&config.warnings, "has no authentication and no encryption"),
                     exposures[i].open, "%s", text);
        cr_assert_eq(says(&config.warnings, "auto.create.topics.enable"), exposures[i].open);
        cr_assert_str_eq(text_of("auto.create.topics.enable"),
                         exposures[i].open ? "false" : "true");
    }
}

Test(config, one_open_listener_among_several_is_named)
{
    load("listeners=PLAINTEXT://127.0.0.1:9092,B://10.0.0.1:9093\n"
         "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,B:PLAINTEXT\n");
    finish_refused("x.properties:1: listeners: B://10.0.0.1:9093 can be reached from other "
                   "machines, without authentication and encryption: use 127.0.0.1, or set "
                   "ringlog.allow.insecure.listener=true where everybody in the network may read, "
                   "write and delete everything");
}

Test(config, request_memory_follows_the_largest_request)
{
    load("socket.request.max.bytes=300000000\n");
    finish();
    cr_assert_eq(config.queued_max_request_bytes, 300000000);
    rl_config_done(&config);
    rl_config_init(&config, 4);
    load("queued.max.request.bytes=0\n");
    finish();
    cr_assert_eq(config.queued_max_request_bytes, -1);
}

Test(config, topics_by_asking_beyond_loopback_only_when_set)
{
    load("listeners=PLAINTEXT://:9092\nauto.create.topics.enable=true\n");
    set("ringlog.allow.insecure.listener=true");
    finish();
    cr_assert(config.auto_create_topics_enable);
    cr_assert_eq(config.warnings.count, 1);
    cr_assert(!says(&config.warnings, "auto.create.topics.enable"));
}

static const struct {
    const char *file;
    const char *error;
} refused[] = {
    { "num.partitions=abc", "x.properties:1: Invalid value abc for configuration num.partitions: "
      "Not a number of type INT (allowed: integer, at least 1)" },
    { "num.partitions=0", "x.properties:1: Invalid value 0 for configuration num.partitions: Value "
      "must be at least 1 (allowed: integer, at least 1)" },
    { "\n\nauto.create.topics.enable=yes", "x.properties:3: Invalid value yes for configuration "
      "auto.create.topics.enable: Expected value to be either true or false "
      "(allowed: true or false)" },
    { "ringlog.io=epoll", "x.properties:1: Invalid value epoll for configuration ringlog.io: "
      "String must be one of: auto, uring, posix (allowed: one of: auto, uring, posix)" },
    { "ringlog.shards=129", "x.properties:1: Invalid value 129 for configuration ringlog.shards: "
      "Value must be no more than 128 (allowed: integer from 1 to 128)" },
    { "log.segment.bytes=13", "x.properties:1: Invalid value 13 for configuration "
      "log.segment.bytes: Value must be at least 14 (allowed: integer, at least 14)" },
    { "offsets.topic.replication.factor=70000", "x.properties:1: Invalid value 70000 for "
      "configuration offsets.topic.replication.factor: Not a number of type SHORT (allowed: "
      "integer, at least 1)" },
    { "log.dirs=", "x.properties:1: Configuration 'log.dirs' must not be empty. Valid values "
      "include: any non-empty value (allowed: list, not empty)" },
    { "log.dirs=/a, /b", "x.properties:1: log.dirs names several directories (/a,/b): ringlog "
      "supports one data directory for now" },
    { "log.dir=/a,/b", "x.properties:1: log.dir names several directories (/a,/b): ringlog "
      "supports one data directory for now" },
    { "node.id=1\nbroker.id=2", "x.properties:1: node.id is 1, but broker.id is 2 "
      "(x.properties:2): you must set node.id to the same value as broker.id" },
    { "broker.id=-2", "x.properties:1: Invalid value -2 for configuration broker.id: Value must be "
      "at least 0" },
    { "process.roles=controller", "x.properties:1: process.roles=controller: ringlog is a broker "
      "that needs no controller beside it; the value must contain broker" },
    { "log.retention.ms=0", "x.properties:1: Invalid value 0 for configuration log.retention.ms: "
      "must be unlimited (-1) or at least 1" },
    { "log.retention.hours=0", "x.properties:1: Invalid value 0 for configuration "
      "log.retention.hours: must be unlimited (-1) or at least 1" },
    { "log.roll.ms=0", "x.properties:1: Invalid value 0 for configuration log.roll.ms: must be at "
      "least 1" },
    { "log.roll.jitter.ms=-1", "x.properties:1: Invalid value -1 for configuration "
      "log.roll.jitter.ms: must be at least 0" },
    { "listeners=SSL://h:1", "x.properties:1: listeners: listener SSL has the security protocol "
      "SSL, which ringlog does not support yet; only PLAINTEXT is" },
    { "advertised.listeners=PLAINTEXT://0.0.0.0:1", "x.properties:1: advertised.listeners: cannot "
      "use the nonroutable meta-address 0.0.0.0. Use a routable IP address." },
    { "queued.max.request.bytes=99999", "x.properties:1: queued.max.request.bytes is 99999, but must "
      "be at least socket.request.max.bytes (104857600)" },
    { "max.connections.per.ip.overrides=host:5", "x.properties:1: Invalid value host:5 for "
      "configuration max.connections.per.ip.overrides: it must be a list of ADDRESS:LIMIT with "
      "numeric addresses (allowed: address:limit,address:limit,...)" },
    { "max.connections.per.ip.overrides=::1:5,1.2.3.4", "x.properties:1: Invalid value ::1:5,1.2.3.4 "
      "for configuration max.connections.per.ip.overrides: it must be a list of ADDRESS:LIMIT with "
      "numeric addresses (allowed: address:limit,address:limit,...)" },
    { "inter.broker.listener.name=A", "x.properties:1: inter.broker.listener.name: A is not a name "
      "in listeners" },
};

Test(config, what_is_wrong_is_said_in_one_line)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(refused); i++) {
        rl_config_done(&config);
        rl_config_init(&config, 4);
        load(refused[i].file);
        finish_refused(refused[i].error);
    }
}

Test(config, each_source_is_named)
{
    environment("KAFKA_NUM_PARTITIONS=x");
    set("ringlog.shards=x");
    cr_assert_eq(rl_config_set(&config, "listeners", "x", "--listeners"), RL_OK);
    cr_assert_eq(rl_config_finish(&config), RL_EINVAL);
    cr_assert_eq(config.errors.count, 3);
    cr_assert(says(&config.errors, "KAFKA_NUM_PARTITIONS: Invalid value x for"));
    cr_assert(says(&config.errors, "--set: Invalid value x for configuration ringlog.shards"));
    cr_assert(says(&config.errors, "--listeners: listeners: Unable to parse 'x'"));
}

Test(config, malformed_files_name_the_line)
{
    static const char text[] = "a=\\u12\nnum.partitions=2\nb=\xff\n";
    cr_assert_eq(rl_config_load_text(&config, "/etc/x", text, sizeof text - 1), RL_EINVAL);
    cr_assert_eq(config.errors.count, 2);
    cr_assert_str_eq(config.errors.lines[0],
                     "/etc/x:1: \\u must be followed by four hexadecimal digits");
    cr_assert_str_eq(config.errors.lines[1], "/etc/x:3: the text is not UTF-8");
    cr_assert_eq(rl_config_finish(&config), RL_EINVAL);
    cr_assert_eq(config.num_partitions, 2);
}

Test(config, files_are_bounded)
{
    size_t bytes = RL_CONFIG_FILE_BYTES_MAX + 1;
    char *text = rl_alloc(bytes);
    memset(text, '\n', bytes);
    cr_assert_eq(rl_config_load_text(&config, "x", text, bytes), RL_ETOOLARGE);
    cr_assert_eq(rl_config_load_text(&config, "x", text, bytes - 1), RL_OK);
    for (size_t i = 0; i < bytes; i += 3)
        memcpy(text + i, "=x\n", RL_MIN((size_t)3, bytes - i));
    cr_assert_eq(rl_config_load_text(&config, "x", text, bytes - 1), RL_EINVAL);
    cr_assert_eq(config.errors.count, RL_CONFIG_LINES_MAX);
    cr_assert_gt(config.errors.dropped, 0);
    cr_assert_eq(rl_config_finish(&config), RL_EINVAL);
    cr_assert_eq(config.errors.count, RL_CONFIG_LINES_MAX + 1);
    cr_assert(says(&config.errors, " more like these"));
    rl_free(text);
}

Test(config, quoted_control_characters_are_harmless)
{
    load("\\u001b[31mx=1\n");
    cr_assert_str_eq(config.warnings.lines[0], "x.properties:1: unknown key ?[31mx");
}

/* ---- node ids, directories, times ---- */

Test(config, broker_id_is_node_id)
{
    load("broker.id=5\n");
    finish();
    cr_assert_eq(config.node_id, 5);
    cr_assert_str_eq(text_of("node.id"), "5");
    cr_assert_str_eq(text_of("broker.id"), "5");
}

Test(config, broker_id_of_minus_one_is_not_set)
{
    load("broker.id=-1\nnode.id=3\n");
    finish();
    cr_assert_eq(config.node_id, 3);
}

Test(config, log_dirs_goes_before_log_dir)
{
    load("log.dir=/a\nlog.dirs=/b\n");
    finish();
    cr_assert_str_eq(config.data_dir, "/b");
}

static const struct {
    const char *file;
    int64_t retention_ms;
    int64_t segment_ms;
    int64_t jitter_ms;
    int64_t flush_ms;
    size_t warnings;                    /* of values without effect */
} times[] = {
    { "log.retention.hours=2", 7200000, 604800000, 0, INT64_MAX, 0 },
    { "log.retention.minutes=2\nlog.retention.hours=5", 120000, 604800000, 0, INT64_MAX, 1 },
    { "log.retention.ms=2\nlog.retention.minutes=3\nlog.retention.hours=5", 2, 604800000, 0,
      INT64_MAX, 2 },
    { "log.retention.ms=-1", -1, 604800000, 0, INT64_MAX, 0 },
    { "log.retention.hours=-2", -1, 604800000, 0, INT64_MAX, 0 },
    { "log.retention.hours=2147483647", INT64_C(2147483647) * 3600000, 604800000, 0, INT64_MAX, 0 },
    { "log.roll.hours=1\nlog.roll.jitter.hours=2", 604800000, 3600000, 7200000, INT64_MAX, 1 },
    { "log.roll.ms=1\nlog.roll.hours=5\nlog.roll.jitter.ms=3", 604800000, 1, 3, INT64_MAX, 2 },
    { "log.flush.scheduler.interval.ms=7", 604800000, 604800000, 0, 7, 1 },
    { "log.flush.interval.ms=5\nlog.flush.scheduler.interval.ms=7", 604800000, 604800000, 0, 5, 3 },
};

Test(config, times_have_kafkas_precedence)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(times); i++) {
        rl_config_done(&config);
        rl_config_init(&config, 4);
        load(times[i].file);
        finish();
        cr_assert_eq(config.log.retention_ms, times[i].retention_ms, "%s", times[i].file);
        cr_assert_eq(config.log.segment_ms, times[i].segment_ms, "%s", times[i].file);
        cr_assert_eq(config.log.segment_jitter_ms, times[i].jitter_ms, "%s", times[i].file);
        cr_assert_eq(config.log.flush_ms, times[i].flush_ms, "%s", times[i].file);
        cr_assert_eq(config.warnings.count, times[i].warnings, "%s", times[i].file);
    }
}

Test(config, the_longest_times_fit_into_nanoseconds)
{
    load("connections.max.idle.ms=9223372036854775807\n"
         "log.retention.check.interval.ms=9223372036854775807\n");
    finish();
    cr_assert_eq(config.connections_max_idle_ms, RL_CONFIG_TIME_MS_MAX);
    cr_assert_eq(config.log_retention_check_interval_ms, RL_CONFIG_TIME_MS_MAX);
}

Test(config, a_time_set_in_vain_is_told)
{
    load("log.retention.ms=5\n");
    set("log.retention.hours=7");
    finish();
    cr_assert_str_eq(config.warnings.lines[0], "--set: log.retention.hours has no effect, because "
                     "log.retention.ms goes before it and is set too (x.properties:1)");
}

/* tests/clients/librdkafka/rdkafka_member.c — a member of a consumer group in C (../group_members.py).
 *
 *   rdkafka_member HOST:PORT TOPIC GROUP [protocol=range|cooperative-sticky]
 *
 * Commits what it has read as soon as nothing more is there.  A commit that a rebalance or a dead
 * broker prevents is made up for by the next one. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t running = 1;

static void on_term(int number)
{
    (void)number;
    running = 0;
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void tell_assigned(rd_kafka_t *consumer)
{
    char text[1024] = "";
    size_t at = 0;
    rd_kafka_topic_partition_list_t *own = NULL;
    if (rd_kafka_assignment(consumer, &own) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (int i = 0; i < own->cnt && at < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %d", own->elems[i].partition);
    rd_kafka_topic_partition_list_destroy(own);
    say("assigned%s", text);
}

/* What librdkafka does by itself without this callback, and a word about it. */
static void on_rebalance(rd_kafka_t *consumer, rd_kafka_resp_err_t what,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    (void)opaque;
    rd_kafka_error_t *error = NULL;
    bool assign = what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (strcmp(rd_kafka_rebalance_protocol(consumer), "COOPERATIVE") == 0)
        error = assign ? rd_kafka_incremental_assign(consumer, partitions)
                       : rd_kafka_incremental_unassign(consumer, partitions);
    else
        rd_kafka_assign(consumer, assign ? partitions : NULL);
    if (error) {
        fprintf(stderr, "rebalance: %s\n", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    tell_assigned(consumer);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
}

static rd_kafka_t *consumer_create(int count, char **arguments)
{
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", arguments[1]);
    set(conf, "group.id", arguments[3]);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "session.timeout.ms", "6000");
    set(conf, "heartbeat.interval.ms", "500");
    set(conf, "reconnect.backoff.max.ms", "500");
    for (int i = 4; i < count; i++) {
        if (strncmp(arguments[i], "protocol=", 9) == 0)
            set(conf, "partition.assignment.strategy", arguments[i] + 9);
    }
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!consumer) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
    rd_kafka_poll_set_consumer(consumer);
    return consumer;
}

static bool commit(rd_kafka_t *consumer)
{
    rd_kafka_resp_err_t error = rd_kafka_commit(consumer, NULL, 0);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return true;
    fprintf(stderr, "commit: %s\n", rd_kafka_err2str(error));
    return false;
}

static void consume(rd_kafka_t *consumer)
{
    bool unsaved = false;
    while (running) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (!message) {
            unsaved = unsaved && !commit(consumer);
            continue;
        }
        if (message->err) {
            fprintf(stderr, "poll: %s\n", rd_kafka_message_errstr(message));
        } else {
            say("record %d %lld %.*s", message->partition, (long long)message->offset, (int)message->len,
                (const char *)message->payload);
            unsaved = true;
        }
        rd_kafka_message_destroy(message);
    }
    if (unsaved)
        commit(consumer);
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: rdkafka_member HOST:PORT TOPIC GROUP [protocol=ASSIGNOR]\n");
        return 2;
    }
    signal(SIGTERM, on_term);
    rd_kafka_t *consumer = consumer_create(count, arguments);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, arguments[2], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(consumer, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (error) {
        fprintf(stderr, "subscribe: %s\n", rd_kafka_err2str(error));
        return 1;
    }
    consume(consumer);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    say("closed");
    return 0;
}

/* tests/clients/librdkafka/rdkafka_client.c — librdkafka's C interface against a broker.
 *
 *   rdkafka_client HOST:PORT PREFIX
 *
 * Each check uses topics of its own, named PREFIX-something, and prints `ok NAME` or
 * `FAILED NAME: reason`.  Records are made from their number, so both sides can tell what a
 * record must be; a check ends at its first difference. */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS 30000
#define RECORD_BYTES_MAX 120000

static const char *broker_address;
static const char *topic_prefix;
static char why[512];
static int64_t recent_ms; /* an hour ago: older records would fall to retention */

static bool fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- records that can be told from their number ---- */

struct record {
    char key[32];
    size_t key_bytes;
    unsigned char *value;
    size_t value_bytes;
};

/* Value sizes from 0 to 120,000 bytes, every byte value occurs. */
static void record_make(struct record *record, int number, unsigned char *buffer)
{
    static const size_t sizes[] = { 0, 1, 2, 127, 128, 1000, 16383, 16384 };
    record->key_bytes = (size_t)snprintf(record->key, sizeof(record->key), "key-%d", number % 50);
    record->value = buffer;
    record->value_bytes = number % 200 == 199 ? RECORD_BYTES_MAX : sizes[number % 8];
    uint32_t state = (uint32_t)number * 2654435761u + 1;
    for (size_t i = 0; i < record->value_bytes; i++) {
        state = state * 1664525u + 1013904223u;
        buffer[i] = (unsigned char)(state >> 24);
    }
    if (record->value_bytes >= 4)
        memcpy(buffer, &number, 4);
}

static bool record_equal(const rd_kafka_message_t *message, int number)
{
    static unsigned char buffer[RECORD_BYTES_MAX];
    struct record wanted;
    record_make(&wanted, number, buffer);
    if (message->key_len != wanted.key_bytes || memcmp(message->key, wanted.key, wanted.key_bytes))
        return fail("record %d at offset %lld has another key", number,
                    (long long)message->offset);
    if (message->len != wanted.value_bytes ||
        (message->len && memcmp(message->payload, wanted.value, wanted.value_bytes)))
        return fail("record %d at offset %lld has another value (%zu bytes, wanted %zu)", number,
                    (long long)message->offset, message->len, wanted.value_bytes);
    return true;
}

/* ---- clients ---- */

struct option {
    const char *name, *value;
};

static int undelivered;

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    (void)opaque;
    if (message->err) {
        undelivered++;
        fail("delivery: %s", rd_kafka_err2str(message->err));
    }
}

static rd_kafka_t *client_new(rd_kafka_type_t type, const struct option *options)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", broker_address, text, sizeof(text));
    if (type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    for (; options && options->name; options++) {
        if (rd_kafka_conf_set(conf, options->name, options->value, text, sizeof(text))) {
            fail("%s=%s: %s", options->name, options->value, text);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof(text));
    if (!client)
        fail("rd_kafka_new: %s", text);
    return client;
}

/* Wait until partition 0 of topic has a leader that serves it; the topic is made by asking. */
static bool leader_wait(rd_kafka_t *client, const char *topic)
{
    time_t limit = time(NULL) + WAIT_MS / 1000;
    for (;;) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
        if (!rd_kafka_metadata(client, 0, handle, &metadata, WAIT_MS))
            rd_kafka_metadata_destroy(metadata);
        rd_kafka_topic_destroy(handle);
        int64_t low, high;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, 1000);
        if (!err)
            return true;
        if (time(NULL) > limit)
            return fail("no leader: %s", rd_kafka_err2str(err));
        nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    }
}

/* Records first .. first + count - 1 to partition 0 of topic; all delivered when it returns. */
static bool produce(const char *topic, const struct option *options, int first, int count)
{
    static unsigned char buffer[RECORD_BYTES_MAX];
    rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, options);
    if (!client)
        return false;
    undelivered = 0;
    if (!leader_wait(client, topic)) {
        rd_kafka_destroy(client);
        return false;
    }
    for (int i = first; i < first + count; i++) {
        struct record record;
        record_make(&record, i, buffer);
        rd_kafka_resp_err_t err;
        while ((err = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                        RD_KAFKA_V_KEY(record.key, record.key_bytes),
                                        RD_KAFKA_V_VALUE(record.value, record.value_bytes),
                                        RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(client, 100);
        if (err) {
            rd_kafka_destroy(client);
            return fail("produce: %s", rd_kafka_err2str(err));
        }
    }
    rd_kafka_resp_err_t err = rd_kafka_flush(client, WAIT_MS);
    rd_kafka_destroy(client);
    if (err)
        return fail("flush: %s", rd_kafka_err2str(err));
    return undelivered == 0;
}

/* A consumer on partition 0 of topic from offset, told of the partition's end. */
static rd_kafka_t *consumer_at(const char *topic, int64_t offset)
{
    static const struct option options[] = { { "group.id", "nobody" },
                                             { "enable.auto.commit", "false" },
                                             { "enable.partition.eof", "true" },
                                             { "auto.offset.reset", "error" },
                                             { NULL, NULL } };
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, options);
    if (!client)
        return NULL;
    rd_kafka_poll_set_consumer(client);
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(parts, topic, 0)->offset = offset;
    rd_kafka_resp_err_t err = rd_kafka_assign(client, parts);
    rd_kafka_topic_partition_list_destroy(parts);
    if (err) {
        fail("assign: %s", rd_kafka_err2str(err));
        rd_kafka_destroy(client);
        return NULL;
    }
    return client;
}

static void consumer_free(rd_kafka_t *client)
{
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
}

/* The next record must be `number` at `offset`; number -1: the partition must end here. */
static bool expect_next(rd_kafka_t *client, int number, int64_t offset)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WAIT_MS);
    bool good;
    if (!message)
        good = fail("nothing within %d ms where offset %lld should be", WAIT_MS, (long long)offset);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        good = number == -1 || fail("the partition ends at offset %lld, wanted record %d",
                                    (long long)message->offset, number);
    else if (message->err)
        good = fail("consume: %s", rd_kafka_message_errstr(message));
    else if (number == -1)
        good = fail("a record at offset %lld after the end", (long long)message->offset);
    else if (message->offset != offset)
        good = fail("offset %lld, wanted %lld", (long long)message->offset, (long long)offset);
    else
        good = record_equal(message, number);
    if (message)
        rd_kafka_message_destroy(message);
    return good;
}

/* From `start` (a number or a RD_KAFKA_OFFSET_ constant) exactly records first .. last - 1,
 * whose number is their offset, then the end. */
static bool consume(const char *topic, int64_t start, int first, int last)
{
    rd_kafka_t *client = consumer_at(topic, start);
    if (!client)
        return false;
    bool good = true;
    for (int i = first; good && i < last; i++)
        good = expect_next(client, i, i);
    good = good && expect_next(client, -1, last);
    consumer_free(client);
    return good;
}

static const char *topic_named(const char *word)
{
    static char name[200];
    snprintf(name, sizeof(name), "%s-%s", topic_prefix, word);
    return name;
}

/* ---- checks ---- */

static bool round_trip(const char *word, const struct option *options, int count)
{
    const char *topic = topic_named(word);
    return produce(topic, options, 0, count) &&
           consume(topic, RD_KAFKA_OFFSET_BEGINNING, 0, count);
}

static bool check_defaults(void)
{
    return round_trip("defaults", NULL, 2000);
}

static bool check_acks_0(void)
{
    const char *topic = topic_named("acks0");
    static const struct option options[] = { { "acks", "0" }, { NULL, NULL } };
    if (!produce(topic, options, 0, 500))
        return false;
    /* acks=0 tells nothing about when: wait for the last record, then look at all of them. */
    rd_kafka_t *client = consumer_at(topic, RD_KAFKA_OFFSET_BEGINNING);
    time_t limit = time(NULL) + WAIT_MS / 1000;
    int next = 0;
    while (client && next < 500 && time(NULL) < limit) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 1000);
        if (!message)
            continue;
        bool good = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
                    (!message->err && record_equal(message, next++));
        rd_kafka_message_destroy(message);
        if (!good)
            break;
    }
    if (client)
        consumer_free(client);
    return next == 500 || fail("%d of 500 records, %s", next, why);
}

static bool check_acks_1(void)
{
    static const struct option options[] = { { "acks", "1" }, { NULL, NULL } };
    return round_trip("acks1", options, 500);
}

static bool check_acks_all(void)
{
    static const struct option options[] = { { "acks", "all" }, { NULL, NULL } };
    return round_trip("acksall", options, 500);
}

static bool check_idempotent(void)
{
    static const struct option options[] = { { "enable.idempotence", "true" },
                                             { "batch.num.messages", "50" },
                                             { NULL, NULL } };
    return round_trip("idempotent", options, 2000);
}

static bool check_codecs(void)
{
    static const char *codecs[] = { "none", "gzip", "snappy", "lz4", "zstd" };
    for (int i = 0; i < 5; i++) {
        const struct option options[] = { { "compression.type", codecs[i] },
                                          { "linger.ms", "20" },
                                          { NULL, NULL } };
        if (!round_trip(codecs[i], options, 600))
            return false;
    }
    return true;
}

static bool check_positions(void)
{
    const char *topic = topic_named("positions");
    return produce(topic, NULL, 0, 1000) && consume(topic, 0, 0, 1000) &&
           consume(topic, 777, 777, 1000) && consume(topic, RD_KAFKA_OFFSET_TAIL(10), 990, 1000) &&
           consume(topic, RD_KAFKA_OFFSET_END, 1000, 1000) && consume(topic, 1000, 1000, 1000);
}

/* A consumer at the end gets what is written afterwards. */
static bool check_end_then_more(void)
{
    const char *topic = topic_named("endmore");
    if (!produce(topic, NULL, 0, 10))
        return false;
    rd_kafka_t *client = consumer_at(topic, RD_KAFKA_OFFSET_END);
    if (!client)
        return false;
    bool good = expect_next(client, -1, 10) && produce(topic, NULL, 10, 1) &&
                expect_next(client, 10, 10);
    consumer_free(client);
    return good;
}

static bool check_out_of_range(void)
{
    const char *topic = topic_named("range");
    if (!produce(topic, NULL, 0, 10))
        return false;
    rd_kafka_t *client = consumer_at(topic, 11);
    if (!client)
        return false;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WAIT_MS);
    bool good = message && (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                            message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    if (!good)
        fail("offset 11 of 10: %s", message ? rd_kafka_message_errstr(message) : "nothing");
    if (message)
        rd_kafka_message_destroy(message);
    consumer_free(client);
    return good;
}

static bool check_headers(void)
{
    const char *topic = topic_named("headers");
    rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, NULL);
    if (!client)
        return false;
    undelivered = 0;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    rd_kafka_header_add(headers, "twice", -1, "1", 1);
    rd_kafka_header_add(headers, "twice", -1, "2\0binary", 8);
    rd_kafka_header_add(headers, "empty", -1, "", 0);
    rd_kafka_header_add(headers, "null", -1, NULL, 0);
    rd_kafka_resp_err_t err = rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_VALUE(NULL, 0),
        RD_KAFKA_V_TIMESTAMP(recent_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (!err)
        err = rd_kafka_flush(client, WAIT_MS);
    rd_kafka_destroy(client);
    if (err || undelivered)
        return fail("produce: %s", rd_kafka_err2str(err));
    client = consumer_at(topic, RD_KAFKA_OFFSET_BEGINNING);
    if (!client)
        return false;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client, WAIT_MS);
    bool good = message && !message->err && !message->key && !message->payload &&
                rd_kafka_message_timestamp(message, NULL) == recent_ms &&
                !rd_kafka_message_headers(message, &headers) && rd_kafka_header_cnt(headers) == 4;
    static const struct { const char *name, *value; size_t bytes; } wanted[] = {
        { "twice", "1", 1 }, { "twice", "2\0binary", 8 }, { "empty", "", 0 }, { "null", NULL, 0 },
    };
    for (size_t i = 0; good && i < 4; i++) {
        const char *name;
        const void *value;
        size_t bytes;
        good = !rd_kafka_header_get_all(headers, i, &name, &value, &bytes) &&
               !strcmp(name, wanted[i].name) && bytes == wanted[i].bytes &&
               !value == !wanted[i].value && (!bytes || !memcmp(value, wanted[i].value, bytes));
    }
    if (message)
        rd_kafka_message_destroy(message);
    consumer_free(client);
    return good || fail("null key, null value, timestamp or headers came back changed");
}

static bool produce_at(const char *topic, int count, int64_t timestamp_ms, int64_t step_ms)
{
    static unsigned char buffer[RECORD_BYTES_MAX];
    static const struct option options[] = { { "batch.num.messages", "7" }, { NULL, NULL } };
    rd_kafka_t *client = client_new(RD_KAFKA_PRODUCER, options);
    if (!client)
        return false;
    undelivered = 0;
    if (!leader_wait(client, topic)) {
        rd_kafka_destroy(client);
        return false;
    }
    for (int i = 0; i < count; i++) {
        struct record record;
        record_make(&record, i, buffer);
        rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_TIMESTAMP(timestamp_ms + i * step_ms),
                          RD_KAFKA_V_KEY(record.key, record.key_bytes),
                          RD_KAFKA_V_VALUE(record.value, record.value_bytes), RD_KAFKA_V_END);
    }
    rd_kafka_resp_err_t err = rd_kafka_flush(client, WAIT_MS);
    rd_kafka_destroy(client);
    return (!err && !undelivered) || fail("produce with timestamps: %s", why);
}

static bool check_timestamps(void)
{
    const char *topic = topic_named("timestamps");
    const int64_t base = recent_ms;
    if (!produce_at(topic, 200, base, 10))
        return false;
    static const struct { int64_t after, offset; } wanted[] = {
        { -1, 0 }, { 0, 0 }, { 1, 1 }, { 990, 99 }, { 995, 100 }, { 1990, 199 },
    };
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, NULL);
    if (!client)
        return false;
    bool good = true;
    for (size_t i = 0; good && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(parts, topic, 0)->offset = base + wanted[i].after;
        rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(client, parts, WAIT_MS);
        if (err || parts->elems[0].err)
            good = fail("offsets_for_times: %s", rd_kafka_err2str(err ? err : parts->elems[0].err));
        else if (parts->elems[0].offset != wanted[i].offset)
            good = fail("time +%lld ms: offset %lld, wanted %lld", (long long)wanted[i].after,
                        (long long)parts->elems[0].offset, (long long)wanted[i].offset);
        rd_kafka_topic_partition_list_destroy(parts);
    }
    rd_kafka_destroy(client);
    return good && consume(topic, 99, 99, 200);
}

static bool check_watermarks(void)
{
    const char *topic = topic_named("watermarks");
    if (!produce(topic, NULL, 0, 42))
        return false;
    rd_kafka_t *client = client_new(RD_KAFKA_CONSUMER, NULL);
    if (!client)
        return false;
    int64_t low = -1, high = -1;
    rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, WAIT_MS);
    rd_kafka_destroy(client);
    if (err)
        return fail("query_watermark_offsets: %s", rd_kafka_err2str(err));
    return (low == 0 && high == 42) || fail("%lld..%lld, wanted 0..42", (long long)low,
                                            (long long)high);
}

static const struct {
    const char *name;
    bool (*run)(void);
} checks[] = {
    { "producer with default settings, values of 0 to 120,000 bytes", check_defaults },
    { "acks=0", check_acks_0 },
    { "acks=1", check_acks_1 },
    { "acks=all", check_acks_all },
    { "idempotent producer", check_idempotent },
    { "codecs none gzip snappy lz4 zstd", check_codecs },
    { "assign at beginning, offset, tail, end", check_positions },
    { "waiting at the end gets what is written later", check_end_then_more },
    { "an offset out of range is told", check_out_of_range },
    { "headers, null key, null value", check_headers },
    { "offsets for times", check_timestamps },
    { "watermarks", check_watermarks },
};

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: rdkafka_client HOST:PORT PREFIX\n");
        return 2;
    }
    broker_address = argv[1];
    topic_prefix = argv[2];
    recent_ms = ((int64_t)time(NULL) - 3600) * 1000 + 123;
    int failed = 0;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        why[0] = 0;
        if (checks[i].run()) {
            printf("ok %s\n", checks[i].name);
        } else {
            printf("FAILED %s: %s\n", checks[i].name, why);
            failed++;
        }
        fflush(stdout);
    }
    return failed ? 1 : 0;
}

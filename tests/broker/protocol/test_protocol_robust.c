/* tests/broker/protocol/test_protocol_robust.c — what no client should send.
 *
 * Whatever comes in, the sender loses its connection at most, and everybody else is served. */
#include "core/memory.h"
#include "core/random.h"
#include "protocol_calls.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_delete_topics.h"
#include "wire/msg_describe_configs.h"
#include "wire/msg_metadata.h"
#include "wire/msg_offset_for_leader_epoch.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

static void expect_served(struct broker *b, struct client *c)
{
    struct rl_api_versions_request ask = { .client_software_name = rl_slice_of_string("x"),
                                           .client_software_version = rl_slice_of_string("1") };
    broker_expect_alive(b);
    client_call(c, RL_API_API_VERSIONS, 4, &ask);
}

/* No more bytes from us; read whatever comes for at most wait_ms between two pieces. */
static void drain_and_close(struct client *c, int wait_ms)
{
    struct pollfd poller = { .fd = c->fd, .events = POLLIN };
    char bytes[4096];
    shutdown(c->fd, SHUT_WR);
    while (poll(&poller, 1, wait_ms) == 1 && recv(c->fd, bytes, sizeof bytes, 0) > 0)
        ;
    client_close(c);
}

PROTOCOL_TEST(robust, random_bytes)
{
    struct client *other = client_open(b);
    struct rl_random random;
    uint8_t bytes[4096];
    rl_random_init(&random, 42);
    for (int i = 0; i < 300; i++) {
        struct client *c = client_open(b);
        size_t count = 1 + rl_random_below(&random, sizeof bytes - 1);
        for (size_t k = 0; k < count; k++)
            bytes[k] = (uint8_t)rl_random_next(&random);
        if (i % 3 != 0 && count >= 8) {                 /* a plausible frame around them */
            put_be32(bytes, (uint32_t)count - 4);
            put_be16(bytes + 4, (uint16_t)rl_random_below(&random, 40));
            if (i % 3 == 1)
                put_be16(bytes + 6, (uint16_t)rl_random_below(&random, 14));
        }
        client_write(c, bytes, count);
        drain_and_close(c, 20);
        expect_served(b, other);
    }
    client_close(other);
}

PROTOCOL_TEST(robust, wrong_sizes_and_keys)
{
    static const uint32_t sizes[] = { 0, 1, 7, 104857601, INT32_MAX, 0x80000000u, UINT32_MAX, 0x16030100u };
    static const int16_t keys[] = { -1, 4, 5, 6, 7, 17, 36, 93, 94, 1000, INT16_MAX, INT16_MIN };
    struct client *other = client_open(b);
    for (size_t i = 0; i < RL_ARRAY_COUNT(sizes); i++) {
        struct client *c = client_open(b);
        uint8_t bytes[11] = { 0 };
        put_be32(bytes, sizes[i]);
        put_be16(bytes + 4, 18);
        client_write(c, bytes, sizes[i] > 7 ? 11 : 4 + sizes[i]);
        client_expect_closed(c);
        client_close(c);
        expect_served(b, other);
    }
    for (size_t i = 0; i < RL_ARRAY_COUNT(keys); i++) {
        struct client *c = client_open(b);
        uint8_t bytes[14] = { 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff };
        put_be16(bytes + 4, (uint16_t)keys[i]);
        client_write(c, bytes, sizeof bytes);
        client_expect_closed(c);
        client_close(c);
        expect_served(b, other);
    }
    client_close(other);
}

/* ---- a full request of each API ---- */

struct rich {                           /* memory of a request */
    struct topic topic;
    struct blob batch;
    struct rl_slice name;
    struct rl_uuid id;
    struct { struct rl_produce_request m; struct rl_produce_request_topic t; struct rl_produce_request_partition p; } produce;
    struct { struct rl_fetch_request m; struct rl_fetch_request_topic t; struct rl_fetch_request_partition p; } fetch;
    struct { struct rl_list_offsets_request m; struct rl_list_offsets_request_topic t; struct rl_list_offsets_request_partition p; } list;
    struct { struct rl_metadata_request m; struct rl_metadata_request_topic t; } metadata;
    struct { struct rl_create_topics_request m; struct rl_create_topics_request_topic t; struct rl_create_topics_request_config c; } create;
    struct { struct rl_delete_topics_request m; } delete;
    struct { struct rl_describe_configs_request m; struct rl_describe_configs_request_resource r; } describe;
    struct { struct rl_offset_for_leader_epoch_request m; struct rl_offset_for_leader_epoch_request_topic t; struct rl_offset_for_leader_epoch_request_partition p; } epoch;
    struct rl_api_versions_request versions;
};
struct rich_row {
    int16_t key, version;
    const void *message;
};
enum { RICH_ROWS = 9 };

static void rich_init(struct rich *r, struct client *c, struct rich_row *rows)
{
    topic_create(c, &r->topic, "rich", 2, NULL);
    r->batch = batch_small(5);
    r->name = rl_slice_of_string(r->topic.name);
    r->produce.m = (struct rl_produce_request){ .acks = 1, .timeout_ms = 1000, .topic_data = &r->produce.t, .topic_data_count = 1 };
    r->produce.t = (struct rl_produce_request_topic){ .name = r->name, .topic_id = r->topic.id, .partition_data = &r->produce.p, .partition_data_count = 1 };
    r->produce.p = (struct rl_produce_request_partition){ .records = rl_slice_of(r->batch.bytes, r->batch.size) };
    rl_fetch_request_init(&r->fetch.m);
    rl_fetch_request_topic_init(&r->fetch.t);
    rl_fetch_request_partition_init(&r->fetch.p);
    r->fetch.m.topics = &r->fetch.t;
    r->fetch.m.topics_count = 1;
    r->fetch.t.topic = r->name;
    r->fetch.t.topic_id = r->topic.id;
    r->fetch.t.partitions = &r->fetch.p;
    r->fetch.t.partitions_count = 1;
    r->fetch.p.partition_max_bytes = 1000;
    r->list.m = (struct rl_list_offsets_request){ .replica_id = -1, .topics = &r->list.t, .topics_count = 1 };
    r->list.t = (struct rl_list_offsets_request_topic){ .name = r->name, .partitions = &r->list.p, .partitions_count = 1 };
    r->list.p = (struct rl_list_offsets_request_partition){ .current_leader_epoch = -1, .timestamp = -1 };
    r->metadata.m = (struct rl_metadata_request){ .topics = &r->metadata.t, .topics_count = 1 };
    r->metadata.t = (struct rl_metadata_request_topic){ .name = r->name };
    r->create.m = (struct rl_create_topics_request){ .topics = &r->create.t, .topics_count = 1, .timeout_ms = 1000, .validate_only = true };
    r->create.t = (struct rl_create_topics_request_topic){ .name = r->name, .num_partitions = 1, .replication_factor = 1, .configs = &r->create.c, .configs_count = 1 };
    r->create.c = (struct rl_create_topics_request_config){ .name = rl_slice_of_string("retention.ms"), .value = rl_slice_of_string("1000") };
    r->delete.m = (struct rl_delete_topics_request){ .topic_names = &r->name, .topic_names_count = 1, .timeout_ms = 1000 };
    r->describe.m = (struct rl_describe_configs_request){ .resources = &r->describe.r, .resources_count = 1 };
    r->describe.r = (struct rl_describe_configs_request_resource){ .resource_type = 2, .resource_name = r->name, .configuration_keys_count = -1 };
    r->epoch.m = (struct rl_offset_for_leader_epoch_request){ .replica_id = -1, .topics = &r->epoch.t, .topics_count = 1 };
    r->epoch.t = (struct rl_offset_for_leader_epoch_request_topic){ .topic = r->name, .partitions = &r->epoch.p, .partitions_count = 1 };
    r->epoch.p = (struct rl_offset_for_leader_epoch_request_partition){ .current_leader_epoch = -1 };
    r->versions = (struct rl_api_versions_request){ rl_slice_of_string("abc"), rl_slice_of_string("1") };
    const struct rich_row all[RICH_ROWS] = {
        { RL_API_PRODUCE, 9, &r->produce.m }, { RL_API_PRODUCE, 13, &r->produce.m },
        { RL_API_FETCH, 18, &r->fetch.m }, { RL_API_LIST_OFFSETS, 11, &r->list.m },
        { RL_API_METADATA, 13, &r->metadata.m }, { RL_API_CREATE_TOPICS, 7, &r->create.m },
        { RL_API_DESCRIBE_CONFIGS, 4, &r->describe.m },
        { RL_API_OFFSET_FOR_LEADER_EPOCH, 4, &r->epoch.m }, { RL_API_API_VERSIONS, 4, &r->versions },
    };
    memcpy(rows, all, sizeof all);
}

/* Every API's frame cut at every byte: as a shorter frame, and as a frame whose rest never comes. */
PROTOCOL_TEST(robust, truncated_frames)
{
    struct client *other = client_open(b);
    struct rich *r = calloc(1, sizeof *r);
    struct rich_row rows[RICH_ROWS];
    rich_init(r, other, rows);
    for (int i = 0; i < RICH_ROWS; i++) {
        size_t bytes;
        uint8_t *frame = client_encode(other, rows[i].key, rows[i].version, rows[i].message, &bytes);
        other->correlation_id--;
        for (size_t cut = 4; cut < bytes; cut++) {
            struct client *c = client_open(b), *rest = client_open(b);
            client_write(rest, frame, cut);
            put_be32(frame, (uint32_t)cut - 4);
            client_write(c, frame, cut);
            put_be32(frame, (uint32_t)bytes - 4);
            drain_and_close(c, 1000);   /* closed or answered at once: nobody waits here */
            client_close(rest);
        }
        free(frame);
        expect_served(b, other);
    }
    cr_assert_eq(log_end(other, &r->topic, 0), 0);
    rl_free(r->batch.bytes);
    free(r);
    client_close(other);
}

/* Valid frames with a few bytes changed, mostly behind the header. */
PROTOCOL_TEST(robust, mutated_frames)
{
    struct client *other = client_open(b);
    struct rich *r = calloc(1, sizeof *r);
    struct rich_row rows[RICH_ROWS];
    struct rl_random random;
    rl_random_init(&random, b->shards);
    rich_init(r, other, rows);
    for (int i = 0; i < 800; i++) {
        const struct rich_row *row = &rows[i % RICH_ROWS];
        size_t bytes;
        struct client *c = client_open(b);
        uint8_t *frame = client_encode(c, row->key, row->version, row->message, &bytes);
        for (uint64_t k = 0, n = 1 + rl_random_below(&random, 3); k < n; k++)
            frame[8 + rl_random_below(&random, bytes - 8)] =
                rl_random_below(&random, 2) == 0 ? 0xff : (uint8_t)rl_random_next(&random);
        client_write(c, frame, bytes);
        drain_and_close(c, 2);
        free(frame);
        if (i % 50 == 0)
            expect_served(b, other);
    }
    expect_served(b, other);
    rl_free(r->batch.bytes);
    free(r);
    client_close(other);
}

/* Every API byte by byte, pipelined: the answers are those of whole frames. */
PROTOCOL_TEST(robust, one_byte_at_a_time)
{
    struct client *c = client_open(b);
    struct rich *r = calloc(1, sizeof *r);
    struct rich_row rows[RICH_ROWS];
    rich_init(r, c, rows);
    for (int i = 0; i < RICH_ROWS; i++) {
        size_t bytes;
        uint8_t *frame = client_encode(c, rows[i].key, rows[i].version, rows[i].message, &bytes);
        for (size_t k = 0; k < bytes; k++)
            client_write(c, frame + k, 1);
        client_expect(c, rows[i].key, rows[i].version);
        free(frame);
    }
    for (int i = 0; i < RICH_ROWS; i++)
        client_receive(c);
    cr_assert_eq(log_end(c, &r->topic, 0), 6);
    rl_free(r->batch.bytes);
    free(r);
    client_close(c);
}

/* Array counts that promise more than the frame holds, and frames whose decoding takes much more
 * memory than they are long. */
PROTOCOL_TEST(robust, counts_that_lie)
{
    struct client *other = client_open(b);
    long before_kib = broker_resident_kib(b);
    for (int16_t version = 0; version <= 8; version++) {
        /* Metadata with INT32_MAX topics. */
        struct client *c = client_open(b);
        uint8_t bytes[18] = { 0, 0, 0, 14, 0, 3, 0, (uint8_t)version, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff };
        client_write(c, bytes, sizeof bytes);
        client_expect_closed(c);
        client_close(c);
    }
    /* Four million empty names in 8 MB. */
    enum { NAMES = 4000000 };
    struct client *c = client_open(b);
    size_t bytes = 18 + (size_t)NAMES * 2;
    uint8_t *frame = calloc(1, bytes);
    put_be32(frame, (uint32_t)bytes - 4);
    put_be16(frame + 4, RL_API_METADATA);
    put_be16(frame + 6, 1);
    put_be16(frame + 12, 0xffff);
    put_be32(frame + 14, NAMES);
    if (client_write(c, frame, bytes))
        drain_and_close(c, 10000);
    else
        client_close(c);
    free(frame);
    expect_served(b, other);
    cr_assert_lt(broker_resident_kib(b) - before_kib, 700 * 1024);
    client_close(other);
}

/* Four hundred connections that send half a frame and stay: others are served. */
PROTOCOL_TEST(robust, many_half_frames)
{
    enum { COUNT = 400 };
    struct client *half[COUNT];
    for (int i = 0; i < COUNT; i++) {
        uint8_t bytes[12] = { 0x05, 0xf5, 0xe0, 0xff, 0, 0, 0, 9 };     /* 100 MB announced */
        half[i] = client_open(b);
        client_write(half[i], bytes, sizeof bytes);
    }
    struct client *c = client_open(b);
    for (int i = 0; i < 20; i++)
        expect_served(b, c);
    cr_assert_lt(broker_resident_kib(b), 600 * 1024);
    client_close(c);
    for (int i = 0; i < COUNT; i++)
        client_close(half[i]);
}

/* tests/wire/test_known_bytes.c — bytes written by hand from the protocol's documents. */
#include "wire/api_table.h"
#include "wire/message_header.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_fetch.h"
#include "wire/msg_metadata.h"
#include "wire/msg_produce.h"

#include <criterion/criterion.h>

#define BYTES(...) \
    rl_slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static struct rl_arena arena;

static void setup(void)
{
    rl_arena_init(&arena, 4096, 1 << 20);
}

static void teardown(void)
{
    rl_arena_done(&arena);
}

TestSuite(known, .init = setup, .fini = teardown);

Test(known, produce_request_version_3)
{
    struct rl_reader r = rl_rd_of(BYTES(
        0xff, 0xff,                         /* transactional_id: null */
        0xff, 0xff,                         /* acks -1 */
        0, 0, 0x75, 0x30,                   /* timeout_ms 30000 */
        0, 0, 0, 1,                         /* one topic */
        0, 3, 'f', 'o', 'o',
        0, 0, 0, 1,                         /* one partition */
        0, 0, 0, 7,
        0, 0, 0, 4, 1, 2, 3, 4));           /* records */
    struct rl_produce_request msg;
    cr_assert_eq(rl_produce_request_decode(&r, 3, &arena, &msg), RL_OK);
    cr_expect_eq(rl_rd_remaining(&r), 0);
    cr_expect_null(msg.transactional_id.data);
    cr_expect_eq(msg.acks, -1);
    cr_expect_eq(msg.timeout_ms, 30000);
    cr_assert_eq(msg.topic_data_count, 1);
    cr_expect(rl_slice_equal_string(msg.topic_data[0].name, "foo"));
    cr_assert_eq(msg.topic_data[0].partition_data_count, 1);
    cr_expect_eq(msg.topic_data[0].partition_data[0].index, 7);
    cr_expect(rl_slice_equal(msg.topic_data[0].partition_data[0].records, BYTES(1, 2, 3, 4)));
}

Test(known, produce_request_version_9_is_flexible)
{
    struct rl_reader r = rl_rd_of(BYTES(
        4, 't', 'x', 'n',                   /* transactional_id */
        0, 1,                               /* acks 1 */
        0, 0, 0, 100,
        2,                                  /* one topic */
        4, 'f', 'o', 'o',
        2,                                  /* one partition */
        0, 0, 0, 7,
        0,                                  /* records: null */
        0, 0, 0));                          /* no tags: partition, topic, request */
    struct rl_produce_request msg;
    cr_assert_eq(rl_produce_request_decode(&r, 9, &arena, &msg), RL_OK);
    cr_expect(rl_slice_equal_string(msg.transactional_id, "txn"));
    cr_expect_null(msg.topic_data[0].partition_data[0].records.data);
}

Test(known, produce_response_names_the_leader_in_a_tag)
{
    struct rl_produce_response_partition partition;
    rl_produce_response_partition_init(&partition);
    partition.index = 5;
    partition.error_code = 6;               /* NOT_LEADER_OR_FOLLOWER */
    partition.base_offset = -1;
    partition.current_leader.leader_id = 2;
    partition.current_leader.leader_epoch = 9;
    struct rl_produce_response_topic topic = {
        .name = rl_slice_of_string("t"), .partition_responses = &partition,
        .partition_responses_count = 1,
    };
    struct rl_produce_response msg = { .responses = &topic, .responses_count = 1 };
    struct rl_slice expected = BYTES(
        2, 2, 't', 2,
        0, 0, 0, 5, 0, 6,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,     /* base_offset */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,     /* log_append_time_ms */
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,     /* log_start_offset */
        1, 0,                                               /* no record_errors, null message */
        1, 0, 9, 0, 0, 0, 2, 0, 0, 0, 9, 0,                 /* tag 0: current_leader */
        0,                                                  /* the topic's tags */
        0, 0, 0, 0,                                         /* throttle_time_ms */
        0);                                                 /* no node_endpoints: left out */
    uint8_t buffer[256];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    rl_produce_response_encode(&w, 10, &msg);
    cr_expect_eq(rl_wr_done(&w), RL_OK);
    cr_expect(rl_slice_equal(rl_wr_written(&w), expected));
    cr_expect_eq(rl_produce_response_size(10, &msg), expected.bytes);
}

Test(known, fetch_response_sends_records_from_elsewhere)
{
    struct rl_fetch_response_partition partitions[2];
    for (int i = 0; i < 2; i++) {
        rl_fetch_response_partition_init(&partitions[i]);
        partitions[i].partition_index = i;
        partitions[i].records = (struct rl_slice){ NULL, 5000 };
    }
    struct rl_fetch_response_topic topic = {
        .topic_id = { { 1 } }, .partitions = partitions, .partitions_count = 2,
    };
    struct rl_fetch_response msg = { .responses = &topic, .responses_count = 1 };
    size_t bytes = rl_fetch_response_size(17, &msg) - 2 * 5000;
    uint8_t buffer[512];
    cr_assert_leq(bytes, sizeof buffer);
    struct rl_wr_external externals[2];
    struct rl_writer w = rl_wr_of(buffer, bytes);
    w.externals = externals;
    w.externals_capacity = 2;
    rl_fetch_response_encode(&w, 17, &msg);
    cr_expect_eq(rl_wr_done(&w), RL_OK);
    cr_expect_eq(rl_wr_bytes(&w), bytes);
    cr_assert_eq(w.externals_count, 2);
    /* an unsigned varint of 5001 ends where the records belong */
    cr_expect_eq(buffer[externals[0].at - 2], 0x89);
    cr_expect_eq(buffer[externals[0].at - 1], 0x27);
    cr_expect_eq(buffer[externals[0].at], 0, "the partition's tags follow the records");
}

Test(known, metadata_request_null_and_empty_topics_differ)
{
    struct rl_metadata_request msg;
    struct rl_reader r = rl_rd_of(BYTES(0xff, 0xff, 0xff, 0xff));
    cr_assert_eq(rl_metadata_request_decode(&r, 1, &arena, &msg), RL_OK);
    cr_expect_eq(msg.topics_count, -1);
    cr_expect(msg.allow_auto_topic_creation, "the default where the version has no such field");
    r = rl_rd_of(BYTES(0, 0, 0, 0));
    cr_assert_eq(rl_metadata_request_decode(&r, 1, &arena, &msg), RL_OK);
    cr_expect_eq(msg.topics_count, 0);
    r = rl_rd_of(BYTES(0xff, 0xff, 0xff, 0xff));
    cr_expect_eq(rl_metadata_request_decode(&r, 0, &arena, &msg), RL_EMALFORMED);
}

Test(known, api_versions_response_leaves_defaults_out)
{
    struct rl_api_versions_response_api_version row = { 18, 0, 4 };
    struct rl_api_versions_response msg;
    rl_api_versions_response_init(&msg);
    msg.api_keys = &row;
    msg.api_keys_count = 1;
    struct rl_slice expected = BYTES(0, 0, 2, 0, 18, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0);
    uint8_t buffer[64];
    struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
    rl_api_versions_response_encode(&w, 3, &msg);
    cr_expect(rl_slice_equal(rl_wr_written(&w), expected));
}

Test(known, request_header_of_each_version)
{
    struct rl_request_header header;
    struct rl_reader r = rl_rd_of(BYTES(0, 0, 0, 8, 0, 0, 1, 0, 0, 2, 'm', 'e', 99));
    cr_assert_eq(rl_request_header_read(&r, &header), RL_OK);
    cr_expect_eq(header.request_api_key, RL_API_PRODUCE);
    cr_expect_eq(header.request_api_version, 8);
    cr_expect_eq(header.correlation_id, 256);
    cr_expect(rl_slice_equal_string(header.client_id, "me"));
    cr_expect_eq(rl_rd_i8(&r), 99, "the body follows");

    /* version 2 ends with tags, and its client_id keeps the old length */
    r = rl_rd_of(BYTES(0, 0, 0, 9, 0, 0, 1, 0, 0, 2, 'm', 'e', 1, 5, 1, 0xaa, 99));
    cr_assert_eq(rl_request_header_read(&r, &header), RL_OK);
    cr_expect(rl_slice_equal_string(header.client_id, "me"));
    cr_expect_eq(rl_rd_i8(&r), 99);

    r = rl_rd_of(BYTES(0, 0, 0, 9, 0, 0, 1, 0, 0xff, 0xff, 0));
    cr_assert_eq(rl_request_header_read(&r, &header), RL_OK);
    cr_expect_null(header.client_id.data);
}

Test(known, request_header_of_an_unknown_api)
{
    struct rl_request_header header;
    struct rl_reader r = rl_rd_of(BYTES(0x7f, 0, 0, 9, 0, 0, 1, 0, 0, 2, 'm', 'e'));
    cr_expect_eq(rl_request_header_read(&r, &header), RL_EUNSUPPORTED);
    cr_expect_eq(header.correlation_id, 256);
    r = rl_rd_of(BYTES(0, 0, 0));
    cr_expect_eq(rl_request_header_read(&r, &header), RL_ETRUNCATED);
}

Test(known, header_versions)
{
    cr_expect_eq(rl_request_header_version(RL_API_FETCH, 11), 1);
    cr_expect_eq(rl_request_header_version(RL_API_FETCH, 12), 2);
    cr_expect_eq(rl_response_header_version(RL_API_FETCH, 11), 0);
    cr_expect_eq(rl_response_header_version(RL_API_FETCH, 12), 1);
    cr_expect_eq(rl_request_header_version(RL_API_API_VERSIONS, 3), 2);
    cr_expect_eq(rl_response_header_version(RL_API_API_VERSIONS, 3), 0);
    cr_expect_eq(rl_request_header_version(RL_API_API_VERSIONS, 100), 2);
    cr_expect_eq(rl_request_header_version(-1, 0), -1);
    cr_expect_eq(rl_response_header_version(32767, 0), -1);
}

Test(known, the_table_finds_every_row)
{
    for (size_t i = 0; i < RL_API_COUNT; i++) {
        cr_expect_eq(rl_api_find(rl_api_table[i].key), &rl_api_table[i]);
        cr_expect(i == 0 || rl_api_table[i - 1].key < rl_api_table[i].key);
    }
    cr_expect_null(rl_api_find(-1));
    cr_expect_null(rl_api_find(RL_API_KEY_MAX + 1));
    cr_expect_str_eq(rl_api_find(RL_API_PRODUCE)->name, "Produce");
}

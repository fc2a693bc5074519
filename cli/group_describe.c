/* cli/group_describe.c — what a group has committed and reads, and how far behind it is.
 *
 * Happy path: coordinator → members and offsets → leaders → where partitions begin and end → the
 * oldest unread record of each that has one, for its time.  Kafka's protocol has no way to ask when a
 * record was appended: the time is the record's own, which its producer gave, or, with
 * message.timestamp.type=LogAppendTime, its broker.
 * Failures: of a partition, in its row; of the group, the status. */
#include "cli/group_command.h"
#include "core/base.h"
#include "log/batch.h"
#include "log/record.h"
#include "wire/api_table.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_consumer_group_describe.h"
#include "wire/msg_describe_groups.h"
#include "wire/msg_fetch.h"
#include "wire/msg_find_coordinator.h"
#include "wire/msg_list_offsets.h"
#include "wire/msg_metadata.h"
#include "wire/msg_offset_fetch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIND_COORDINATOR_VERSION = 2, DESCRIBE_GROUPS_VERSION = 4, OFFSET_FETCH_VERSION = 5, METADATA_VERSION = 8,
    LIST_OFFSETS_VERSION = 5, FETCH_VERSION = 11, API_VERSIONS_VERSION = 0, CONSUMER_GROUP_DESCRIBE_VERSION = 0
};
enum { LATEST = -1, EARLIEST = -2 };
enum { LOAD_IN_PROGRESS = 14, COORDINATOR_NOT_AVAILABLE = 15, NOT_COORDINATOR = 16 };

#define PATIENCE_TRIES 150              /* 100 ms apart: a broker that has just started reads its groups */
#define FETCH_BYTES (64 << 10)          /* of a larger batch its beginning comes whole */
#define ASSIGNMENT_PARTITIONS_MAX 1000000

struct describing {
    struct rl_kafka_client *client;
    struct rl_group_description *group;
    uint32_t capacity;
    int16_t passing;                    /* the last error that another try may not meet */
    const struct rl_describe_groups_response_group *members;
    const struct rl_consumer_group_describe_response_group *consumer;   /* NULL: of the classic protocol */
};

/* ---- rows ---- */

static struct rl_group_row *row_add(struct describing *d, struct rl_slice topic, int32_t partition)
{
    struct rl_group_description *group = d->group;
    if (group->row_count == d->capacity) {
        uint32_t capacity = RL_MAX(d->capacity * 2, 16);
        struct rl_group_row *rows = rl_arena_alloc_array(&d->client->arena, capacity, sizeof *rows);
        if (rows == NULL)
            return NULL;
        if (group->row_count > 0)
            memcpy(rows, group->rows, group->row_count * sizeof *rows);
        group->rows = rows;
        d->capacity = capacity;
    }
    group->rows[group->row_count] = (struct rl_group_row){
        .topic = topic, .partition = partition, .committed_offset = -1, .log_start_offset = -1,
        .log_end_offset = -1, .unread_ms = -1, .leader_id = -1 };
    return &group->rows[group->row_count++];
}

static rl_status too_many(struct describing *d)
{
    return rl_kafka_fail(d->client, 0, "too many partitions to describe them");
}

static int compare_rows(const void *a, const void *b)
{
    const struct rl_group_row *one = a, *other = b;
    int order = rl_slice_compare(one->topic, other->topic);
    return order != 0 ? order : (one->partition > other->partition) - (one->partition < other->partition);
}

static void rows_sort(struct rl_group_description *group)
{
    if (group->row_count > 0)
        qsort(group->rows, group->row_count, sizeof *group->rows, compare_rows);
}

/* Among the first `count`, which are sorted. */
static struct rl_group_row *row_find(const struct rl_group_description *group, uint32_t count,
                                     struct rl_slice topic, int32_t partition)
{
    const struct rl_group_row wanted = { .topic = topic, .partition = partition };
    return count > 0 ? bsearch(&wanted, group->rows, count, sizeof wanted, compare_rows) : NULL;
}

bool rl_group_row_lag(const struct rl_group_row *row, int64_t *ret_records)
{
    if (row->committed_offset < 0 || row->log_end_offset < 0)
        return false;
    *ret_records = row->log_end_offset - row->committed_offset;
    return true;
}

/* ---- the group ---- */

static bool is_passing(struct describing *d, int16_t error)
{
    if (error != LOAD_IN_PROGRESS && error != COORDINATOR_NOT_AVAILABLE && error != NOT_COORDINATOR)
        return false;
    d->passing = error;
    return true;
}

static rl_status find_coordinator(struct describing *d)
{
    struct rl_find_coordinator_request request;
    rl_find_coordinator_request_init(&request);
    request.key = d->group->group_id;
    const struct rl_find_coordinator_response *response = rl_kafka_ask(
        d->client, RL_KAFKA_BOOTSTRAP, RL_API_FIND_COORDINATOR, FIND_COORDINATOR_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    d->group->coordinator_id = response->node_id;
    if (is_passing(d, response->error_code))
        return RL_EBUSY;
    return response->error_code == 0 ? RL_OK : rl_kafka_fail(d->client, response->error_code, "FindCoordinator");
}

/* Does the coordinator know this API at all?  What it does not know it answers by closing. */
static rl_status ask_known(struct describing *d, int16_t api_key, bool *ret_known)
{
    struct rl_api_versions_request request;
    rl_api_versions_request_init(&request);
    const struct rl_api_versions_response *response = rl_kafka_ask(
        d->client, d->group->coordinator_id, RL_API_API_VERSIONS, API_VERSIONS_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    *ret_known = false;
    for (int32_t i = 0; i < response->api_keys_count; i++)
        *ret_known |= response->api_keys[i].api_key == api_key;
    return RL_OK;
}

/* Perhaps it is a group of the consumer protocol (KIP-848). */
static rl_status ask_consumer_members(struct describing *d)
{
    struct rl_consumer_group_describe_request request;
    bool known;
    rl_status status = ask_known(d, RL_API_CONSUMER_GROUP_DESCRIBE, &known);
    if (status != RL_OK || !known)
        return status;
    rl_consumer_group_describe_request_init(&request);
    request.group_ids = &d->group->group_id;
    request.group_ids_count = 1;
    const struct rl_consumer_group_describe_response *response =
        rl_kafka_ask(d->client, d->group->coordinator_id, RL_API_CONSUMER_GROUP_DESCRIBE,
                     CONSUMER_GROUP_DESCRIBE_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    if (response->groups_count != 1 || response->groups[0].error_code != 0)
        return response->groups_count == 1 && is_passing(d, response->groups[0].error_code) ? RL_EBUSY : RL_OK;
    d->consumer = &response->groups[0];
    d->group->state = d->consumer->group_state;
    d->group->protocol_type = rl_slice_of_string("consumer");
    d->group->protocol = d->consumer->assignor_name;
    d->group->member_count = d->consumer->members_count;
    return RL_OK;
}

static rl_status ask_members(struct describing *d)
{
    struct rl_describe_groups_request request;
    rl_describe_groups_request_init(&request);
    request.groups = &d->group->group_id;
    request.groups_count = 1;
    const struct rl_describe_groups_response *response = rl_kafka_ask(
        d->client, d->group->coordinator_id, RL_API_DESCRIBE_GROUPS, DESCRIBE_GROUPS_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    if (response->groups_count != 1)
        return rl_kafka_fail(d->client, 0, "DescribeGroups: an answer of %d groups", response->groups_count);
    d->members = &response->groups[0];
    if (is_passing(d, d->members->error_code))
        return RL_EBUSY;
    if (d->members->error_code != 0)
        return rl_kafka_fail(d->client, d->members->error_code, "DescribeGroups");
    d->group->state = d->members->group_state;
    d->group->protocol_type = d->members->protocol_type;
    d->group->protocol = d->members->protocol_data;
    d->group->member_count = d->members->members_count;
    d->consumer = NULL;
    return rl_slice_equal_string(d->group->state, "Dead") ? ask_consumer_members(d) : RL_OK;
}

static rl_status add_committed(struct describing *d, const struct rl_offset_fetch_response *response)
{
    for (int32_t t = 0; t < response->topics_count; t++)
        for (int32_t i = 0; i < response->topics[t].partitions_count; i++) {
            const struct rl_offset_fetch_response_partition *from = &response->topics[t].partitions[i];
            struct rl_group_row *row = row_add(d, response->topics[t].name, from->partition_index);
            if (row == NULL)
                return too_many(d);
            row->committed_offset = from->committed_offset;
        }
    return RL_OK;
}

static rl_status ask_offsets(struct describing *d)
{
    struct rl_offset_fetch_request request;
    rl_offset_fetch_request_init(&request);
    request.group_id = d->group->group_id;
    request.topics_count = -1;          /* all */
    const struct rl_offset_fetch_response *response = rl_kafka_ask(
        d->client, d->group->coordinator_id, RL_API_OFFSET_FETCH, OFFSET_FETCH_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    if (is_passing(d, response->error_code))
        return RL_EBUSY;
    if (response->error_code != 0)
        return rl_kafka_fail(d->client, response->error_code, "OffsetFetch");
    return add_committed(d, response);
}

/* Once a coordinator has the group at hand. */
static rl_status ask_group(struct describing *d)
{
    rl_status status = RL_EBUSY;
    for (int tries = 0; tries < PATIENCE_TRIES; tries++) {
        d->group->row_count = 0;
        status = find_coordinator(d);
        if (status == RL_OK)
            status = ask_members(d);
        if (status == RL_OK)
            status = ask_offsets(d);
        if (status != RL_EBUSY)
            return status;
        usleep(100000);
    }
    return rl_kafka_fail(d->client, d->passing, "no coordinator for the group");
}

/* ---- who reads what ---- */

/* A member reads this partition, whose row may be among the first `sorted`. */
static rl_status assign(struct describing *d, uint32_t sorted, struct rl_slice topic, int32_t partition,
                        const struct rl_group_row *member)
{
    struct rl_group_row *row = row_find(d->group, sorted, topic, partition);
    if (row == NULL)
        row = row_add(d, topic, partition);
    if (row == NULL)
        return too_many(d);
    row->member_id = member->member_id;
    row->client_id = member->client_id;
    row->client_host = member->client_host;
    return RL_OK;
}

/* A ConsumerProtocolAssignment. */
static rl_status add_assignment(struct describing *d, const struct rl_describe_groups_response_member *member,
                                uint32_t sorted)
{
    const struct rl_group_row as = { .member_id = member->member_id, .client_id = member->client_id,
                                     .client_host = member->client_host };
    struct rl_reader r = rl_rd_of(member->member_assignment);
    rl_rd_i16(&r);                      /* version: later ones only add fields at the end */
    for (int32_t topics = rl_rd_i32(&r); topics > 0 && r.st == RL_OK; topics--) {
        struct rl_slice topic = rl_rd_string(&r, false, false);
        int32_t count = rl_rd_i32(&r);
        for (; count > 0 && count < ASSIGNMENT_PARTITIONS_MAX && r.st == RL_OK; count--) {
            int32_t partition = rl_rd_i32(&r);
            if (r.st != RL_OK)
                break;
            rl_status status = assign(d, sorted, topic, partition, &as);
            if (status != RL_OK)
                return status;
        }
    }
    return RL_OK;
}

static rl_status add_consumer_assignment(struct describing *d,
                                         const struct rl_consumer_group_describe_response_member *member,
                                         uint32_t sorted)
{
    const struct rl_group_row as = { .member_id = member->member_id, .client_id = member->client_id,
                                     .client_host = member->client_host };
    rl_status status = RL_OK;
    for (int32_t t = 0; t < member->assignment.topic_partitions_count; t++) {
        const struct rl_consumer_group_describe_response_topic *topic = &member->assignment.topic_partitions[t];
        for (int32_t i = 0; i < topic->partitions_count && status == RL_OK; i++)
            status = assign(d, sorted, topic->topic_name, topic->partitions[i], &as);
    }
    return status;
}

static rl_status add_assignments(struct describing *d)
{
    uint32_t sorted = d->group->row_count;
    rl_status status = RL_OK;
    rows_sort(d->group);
    for (int32_t i = 0; d->consumer != NULL && i < d->consumer->members_count && status == RL_OK; i++)
        status = add_consumer_assignment(d, &d->consumer->members[i], sorted);
    bool is_known_protocol = rl_slice_equal_string(d->members->protocol_type, "consumer");
    for (int32_t i = 0; is_known_protocol && i < d->members->members_count && status == RL_OK; i++)
        status = add_assignment(d, &d->members->members[i], sorted);
    rows_sort(d->group);
    return status;
}

/* ---- leaders ---- */

/* The last of the rows that have the topic of row i, and one more. */
static uint32_t topic_end(const struct rl_group_description *group, uint32_t i)
{
    uint32_t end = i;
    while (end < group->row_count && rl_slice_equal(group->rows[end].topic, group->rows[i].topic))
        end++;
    return end;
}

static void take_leaders(struct rl_group_description *group, const struct rl_metadata_response_topic *topic)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct rl_group_row *row = row_find(group, group->row_count, topic->name,
                                            topic->partitions[i].partition_index);
        if (row == NULL)
            continue;
        row->leader_id = topic->partitions[i].leader_id;
        row->problem = row->leader_id < 0 ? "no leader" : NULL;
    }
}

static rl_status ask_leaders(struct describing *d)
{
    struct rl_group_description *group = d->group;
    struct rl_metadata_request request;
    rl_metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    request.topics = rl_arena_alloc_array(&d->client->arena, group->row_count, sizeof *request.topics);
    request.topics_count = 0;
    if (request.topics == NULL)
        return too_many(d);
    for (uint32_t i = 0; i < group->row_count; i = topic_end(group, i)) {
        rl_metadata_request_topic_init(&request.topics[request.topics_count]);
        request.topics[request.topics_count++].name = group->rows[i].topic;
    }
    const struct rl_metadata_response *response =
        rl_kafka_ask(d->client, RL_KAFKA_BOOTSTRAP, RL_API_METADATA, METADATA_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    for (uint32_t i = 0; i < group->row_count; i++)
        group->rows[i].problem = "no such partition";
    for (int32_t i = 0; i < response->topics_count; i++)
        take_leaders(group, &response->topics[i]);
    return RL_OK;
}

/* ---- begin and end ---- */

static void take_offsets(struct rl_group_description *group, const struct rl_list_offsets_response *response,
                         int64_t which)
{
    for (int32_t t = 0; t < response->topics_count; t++)
        for (int32_t i = 0; i < response->topics[t].partitions_count; i++) {
            const struct rl_list_offsets_response_partition *from = &response->topics[t].partitions[i];
            struct rl_group_row *row = row_find(group, group->row_count, response->topics[t].name,
                                                from->partition_index);
            if (row == NULL)
                continue;
            if (from->error_code != 0)
                row->problem = "its leader does not answer for it now";
            else if (which == LATEST)
                row->log_end_offset = from->offset;
            else
                row->log_start_offset = from->offset;
        }
}

static bool leads_any(const struct rl_group_description *group, int32_t node_id)
{
    for (uint32_t i = 0; i < group->row_count; i++)
        if (group->rows[i].leader_id == node_id)
            return true;
    return false;
}

/* Of all partitions that this broker leads. */
static rl_status ask_ends_of(struct describing *d, int32_t node_id, int64_t which)
{
    struct rl_group_description *group = d->group;
    struct rl_list_offsets_request request;
    struct rl_list_offsets_request_partition *next =
        rl_arena_alloc_array(&d->client->arena, group->row_count, sizeof *next);
    rl_list_offsets_request_init(&request);
    request.replica_id = -1;
    request.topics = rl_arena_alloc_array(&d->client->arena, group->row_count, sizeof *request.topics);
    if (next == NULL || request.topics == NULL)
        return too_many(d);
    for (uint32_t i = 0; i < group->row_count;) {
        struct rl_list_offsets_request_topic *topic = &request.topics[request.topics_count];
        *topic = (struct rl_list_offsets_request_topic){ .name = group->rows[i].topic, .partitions = next };
        for (uint32_t end = topic_end(group, i); i < end; i++) {
            if (group->rows[i].leader_id != node_id)
                continue;
            rl_list_offsets_request_partition_init(next);
            next->partition_index = group->rows[i].partition;
            next->timestamp = which;
            next++;
            topic->partitions_count++;
        }
        request.topics_count += topic->partitions_count > 0;
    }
    const struct rl_list_offsets_response *response =
        rl_kafka_ask(d->client, node_id, RL_API_LIST_OFFSETS, LIST_OFFSETS_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    take_offsets(group, response, which);
    return RL_OK;
}

static rl_status ask_ends(struct describing *d)
{
    rl_status status = RL_OK;
    for (uint32_t i = 0; i < d->client->node_count && status == RL_OK; i++) {
        if (!leads_any(d->group, d->client->nodes[i].id))
            continue;
        status = ask_ends_of(d, d->client->nodes[i].id, EARLIEST);
        if (status == RL_OK)
            status = ask_ends_of(d, d->client->nodes[i].id, LATEST);
    }
    return status;
}

/* ---- the oldest unread record ---- */

/* The time of the first record at or after offset in these batches, of which only the first need be whole. */
static int64_t record_time(struct rl_slice bytes, int64_t offset)
{
    struct rl_batch batch;
    struct rl_records records;
    struct rl_record record;
    size_t at = 0;
    int64_t time_ms = -1;
    while (at < bytes.bytes &&
           rl_batch_read_header((uint8_t *)(uintptr_t)bytes.data + at, bytes.bytes - at, &batch) == RL_OK &&
           rl_batch_last_offset(&batch) < offset)
        at += batch.size_bytes;
    if (at >= bytes.bytes || rl_batch_read_header((uint8_t *)(uintptr_t)bytes.data + at, bytes.bytes - at, &batch) != RL_OK)
        return -1;
    if (rl_batch_is_log_append_time(&batch))
        return batch.max_timestamp_ms;
    if (rl_batch_check(&batch) != RL_OK || rl_records_init(&records, &batch) != RL_OK)
        return batch.base_timestamp_ms;
    while (time_ms < 0 && rl_records_next(&records, &record) == RL_OK)
        if (record.offset >= offset)
            time_ms = record.timestamp_ms;
    rl_records_done(&records);
    return time_ms >= 0 ? time_ms : batch.base_timestamp_ms;
}

static rl_status ask_unread(struct describing *d, struct rl_group_row *row)
{
    int64_t offset = RL_MAX(row->committed_offset, row->log_start_offset);
    struct rl_fetch_request_partition partition;
    struct rl_fetch_request_topic topic = { .topic = row->topic, .partitions = &partition, .partitions_count = 1 };
    struct rl_fetch_request request;
    rl_fetch_request_partition_init(&partition);
    partition.partition = row->partition;
    partition.fetch_offset = offset;
    partition.partition_max_bytes = FETCH_BYTES;
    rl_fetch_request_init(&request);
    request.replica_id = -1;
    request.max_bytes = FETCH_BYTES;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    const struct rl_fetch_response *response = rl_kafka_ask(d->client, row->leader_id, RL_API_FETCH, FETCH_VERSION,
                                                            &request);
    if (response == NULL)
        return RL_EIO;
    if (response->responses_count == 1 && response->responses[0].partitions_count == 1 &&
        response->responses[0].partitions[0].error_code == 0)
        row->unread_ms = record_time(response->responses[0].partitions[0].records, offset);
    return RL_OK;
}

static rl_status ask_times(struct describing *d)
{
    rl_status status = RL_OK;
    for (uint32_t i = 0; i < d->group->row_count && status == RL_OK; i++) {
        struct rl_group_row *row = &d->group->rows[i];
        int64_t lag;
        if (row->leader_id >= 0 && rl_group_row_lag(row, &lag) && lag > 0 && row->log_start_offset < row->log_end_offset)
            status = ask_unread(d, row);
    }
    return status;
}

rl_status rl_group_describe(struct rl_kafka_client *client, struct rl_slice group_id,
                            struct rl_group_description *ret_group)
{
    struct describing d = { .client = client, .group = ret_group };
    *ret_group = (struct rl_group_description){ .group_id = group_id };
    rl_status status = ask_group(&d);
    if (status == RL_OK && ret_group->row_count == 0 && rl_slice_equal_string(ret_group->state, "Dead")) {
        rl_kafka_fail(client, 0, "no such group");
        return RL_ENOTFOUND;
    }
    if (status == RL_OK)
        status = add_assignments(&d);
    if (status == RL_OK && ret_group->row_count > 0)
        status = ask_leaders(&d);
    if (status == RL_OK)
        status = ask_ends(&d);
    return status == RL_OK ? ask_times(&d) : status;
}

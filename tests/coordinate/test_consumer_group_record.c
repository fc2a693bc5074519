/* tests/coordinate/test_consumer_group_record.c — records of the consumer protocol: what Kafka's own
 * classes wrote (vectors/, tests/clients/vectors/src/GroupRecords.java) is read, says what Kafka says
 * it does, and is written the same; and nothing else crashes. */
#include "coordinate/consumer_group_record.h"
#include "core/random.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES_MAX = 1 << 20 };

/* ---- as the toString() of Kafka's classes ---- */

static void say_string(struct rl_text *out, const char *name, struct rl_slice s)
{
    if (s.data == NULL)
        rl_text_printf(out, "%s=null", name);
    else
        rl_text_printf(out, "%s='%.*s'", name, (int)s.bytes, (const char *)s.data);
}

static void say_names(struct rl_text *out, const char *name, const struct rl_slice *names, int32_t count)
{
    rl_text_printf(out, "%s=[", name);
    for (int32_t i = 0; i < count; i++)
        rl_text_printf(out, "%s%.*s", i > 0 ? ", " : "", (int)names[i].bytes, (const char *)names[i].data);
    rl_text_append_char(out, ']');
}

static void say_numbers(struct rl_text *out, const char *name, const int32_t *values, int32_t count)
{
    rl_text_printf(out, "%s=[", name);
    for (int32_t i = 0; i < count; i++)
        rl_text_printf(out, "%s%" PRId32, i > 0 ? ", " : "", values[i]);
    rl_text_append_char(out, ']');
}

static void say_topics(struct rl_text *out, const char *name, const char *type, bool with_epochs,
                       const struct rl_consumer_group_record_topic *topics, int32_t count)
{
    rl_text_printf(out, "%s=[", name);
    for (int32_t i = 0; i < count; i++) {
        char id[RL_UUID_TEXT_BYTES];
        rl_uuid_format(topics[i].topic_id, id);
        rl_text_printf(out, "%s%s(topicId=%s, ", i > 0 ? ", " : "", type, id);
        say_numbers(out, "partitions", topics[i].partitions, topics[i].partition_count);
        if (with_epochs && topics[i].assignment_epochs == NULL) {
            rl_text_append_string(out, ", assignmentEpochs=null");
        } else if (with_epochs) {
            rl_text_append_string(out, ", ");
            say_numbers(out, "assignmentEpochs", topics[i].assignment_epochs, topics[i].partition_count);
        }
        rl_text_append_char(out, ')');
    }
    rl_text_append_char(out, ']');
}

static void say_classic(struct rl_text *out, const struct rl_consumer_group_record_member *member)
{
    if (!member->is_classic) {
        rl_text_append_string(out, "classicMemberMetadata=null");
        return;
    }
    rl_text_printf(out, "classicMemberMetadata=ClassicMemberMetadata(sessionTimeoutMs=%" PRId32
                   ", supportedProtocols=[", member->classic_session_timeout_ms);
    for (int32_t i = 0; i < member->classic_protocol_count; i++) {
        struct rl_slice metadata = member->classic_protocols[i].metadata;
        rl_text_append_string(out, i > 0 ? ", ClassicProtocol(" : "ClassicProtocol(");
        say_string(out, "name", member->classic_protocols[i].name);
        rl_text_append_string(out, ", metadata=[");
        for (size_t k = 0; k < metadata.bytes; k++)
            rl_text_printf(out, "%s%d", k > 0 ? ", " : "", (int8_t)metadata.data[k]);
        rl_text_append_string(out, "])");
    }
    rl_text_append_string(out, "])");
}

static void say_member(struct rl_text *out, const struct rl_consumer_group_record_member *member)
{
    rl_text_append_string(out, "ConsumerGroupMemberMetadataValue(");
    say_string(out, "instanceId", member->instance_id);
    rl_text_append_string(out, ", ");
    say_string(out, "rackId", member->rack_id);
    rl_text_append_string(out, ", ");
    say_string(out, "clientId", member->client_id);
    rl_text_append_string(out, ", ");
    say_string(out, "clientHost", member->client_host);
    rl_text_append_string(out, ", ");
    say_names(out, "subscribedTopicNames", member->subscribed_topic_names, member->subscribed_topic_name_count);
    rl_text_append_string(out, ", ");
    say_string(out, "subscribedTopicRegex", member->subscribed_topic_regex);
    rl_text_printf(out, ", rebalanceTimeoutMs=%" PRId32 ", ", member->rebalance_timeout_ms);
    say_string(out, "serverAssignor", member->server_assignor);
    rl_text_append_string(out, ", ");
    say_classic(out, member);
    rl_text_append_char(out, ')');
}

static void say_current(struct rl_text *out, const struct rl_consumer_group_record_current_member *member)
{
    rl_text_printf(out, "ConsumerGroupCurrentMemberAssignmentValue(memberEpoch=%" PRId32
                   ", previousMemberEpoch=%" PRId32 ", state=%d, ",
                   member->member_epoch, member->previous_member_epoch, member->state);
    say_topics(out, "assignedPartitions", "TopicPartitions", true, member->assigned, member->assigned_count);
    rl_text_append_string(out, ", ");
    say_topics(out, "partitionsPendingRevocation", "TopicPartitions", true, member->pending_revocation,
               member->pending_revocation_count);
    rl_text_append_char(out, ')');
}

static void say_value(struct rl_text *out, const struct rl_consumer_group_record *record)
{
    switch (record->kind) {
    case RL_CONSUMER_GROUP_RECORD_METADATA:
        rl_text_printf(out, "ConsumerGroupMetadataValue(epoch=%" PRId32 ", metadataHash=%" PRId64 ")",
                       record->value.metadata.epoch, record->value.metadata.metadata_hash);
        break;
    case RL_CONSUMER_GROUP_RECORD_MEMBER:
        say_member(out, &record->value.member_metadata);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_METADATA:
        rl_text_printf(out, "ConsumerGroupTargetAssignmentMetadataValue(assignmentEpoch=%" PRId32
                       ", assignmentTimestamp=%" PRId64 ")", record->value.target_metadata.assignment_epoch,
                       record->value.target_metadata.assignment_ms);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER:
        rl_text_append_string(out, "ConsumerGroupTargetAssignmentMemberValue(");
        say_topics(out, "topicPartitions", "TopicPartition", false, record->value.target_member.topics,
                   record->value.target_member.topic_count);
        rl_text_append_char(out, ')');
        break;
    case RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER:
        say_current(out, &record->value.current_member);
        break;
    case RL_CONSUMER_GROUP_RECORD_REGEX:
        rl_text_append_string(out, "ConsumerGroupRegularExpressionValue(");
        say_names(out, "topics", record->value.regex.topics, record->value.regex.topic_count);
        rl_text_printf(out, ", version=%" PRId64 ", timestamp=%" PRId64 ")", record->value.regex.version,
                       record->value.regex.resolved_ms);
        break;
    case RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA:
    case RL_CONSUMER_GROUP_RECORD_OTHER:
        break;
    }
}

static void say_key(struct rl_text *out, const struct rl_consumer_group_record *record)
{
    static const char *const names[] = {
        [RL_CONSUMER_GROUP_RECORD_METADATA] = "ConsumerGroupMetadataKey",
        [RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA] = "ConsumerGroupPartitionMetadataKey",
        [RL_CONSUMER_GROUP_RECORD_MEMBER] = "ConsumerGroupMemberMetadataKey",
        [RL_CONSUMER_GROUP_RECORD_TARGET_METADATA] = "ConsumerGroupTargetAssignmentMetadataKey",
        [RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER] = "ConsumerGroupTargetAssignmentMemberKey",
        [RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER] = "ConsumerGroupCurrentMemberAssignmentKey",
        [RL_CONSUMER_GROUP_RECORD_REGEX] = "ConsumerGroupRegularExpressionKey",
    };
    rl_text_printf(out, "%s(", names[record->kind]);
    say_string(out, "groupId", record->group);
    if (record->member.data != NULL || record->pattern.data != NULL) {
        rl_text_append_string(out, ", ");
        say_string(out, record->member.data != NULL ? "memberId" : "regularExpression",
                   record->member.data != NULL ? record->member : record->pattern);
    }
    rl_text_append_string(out, ") ");
    if (record->tombstone)
        rl_text_append_string(out, "null");
}

/* ---- the vectors ---- */

/* Hexadecimal digits to bytes, from malloc; "-" is null. */
static struct rl_slice from_hex(const char *hex)
{
    if (strcmp(hex, "-") == 0)
        return (struct rl_slice){ 0 };
    size_t bytes = strlen(hex) / 2;
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    cr_assert_not_null(data);
    for (size_t i = 0; i < bytes; i++) {
        char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        data[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return rl_slice_of(data, bytes);
}

/* Whatever is cut off or flipped has a status, and memory is bounded. */
static void damage(struct rl_slice key, struct rl_slice value, struct rl_random *random)
{
    struct rl_consumer_group_record record;
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, 4096 + 16 * value.bytes);
    for (size_t bytes = 0; bytes < value.bytes; bytes += 1 + bytes / 16) {
        rl_status status = rl_consumer_group_record_read(key, rl_slice_of(value.data, bytes), &arena, &record);
        cr_assert_neq(status, RL_ENOMEM);
        cr_assert(status != RL_OK || record.kind == RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA);
        rl_arena_reset(&arena);
    }
    uint8_t *copy = malloc(value.bytes + 1);
    cr_assert_not_null(copy);
    for (int i = 0; i < 500 && value.bytes > 0; i++) {
        memcpy(copy, value.data, value.bytes);
        for (uint64_t n = 1 + rl_random_below(random, 3); n > 0; n--)
            copy[rl_random_below(random, value.bytes)] = (uint8_t)rl_random_below(random, 256);
        (void)rl_consumer_group_record_read(key, rl_slice_of(copy, value.bytes), &arena, &record);
        rl_arena_reset(&arena);
    }
    free(copy);
    rl_arena_done(&arena);
}

static void replay(char *line, struct rl_random *random)
{
    char *rest = line;
    struct rl_slice key = from_hex(strtok_r(rest, " ", &rest));
    struct rl_slice value = from_hex(strtok_r(NULL, " ", &rest));
    struct rl_consumer_group_record record;
    struct rl_text said = { 0 }, written = { 0 };
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, ARENA_BYTES_MAX);
    cr_assert_eq(rl_consumer_group_record_read(key, value, &arena, &record), RL_OK, "%s", rest);
    cr_assert_eq(record.tombstone, value.data == NULL);
    say_key(&said, &record);
    if (!record.tombstone)
        say_value(&said, &record);
    if (record.kind == RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA)
        cr_assert_eq(strncmp(rl_text_string(&said), rest, said.bytes), 0, "%s", rest);
    else
        cr_assert_str_eq(rl_text_string(&said), rest);

    rl_consumer_group_record_key(&written, record.kind, record.group,
                                 record.pattern.data != NULL ? record.pattern : record.member);
    cr_assert(rl_slice_equal(rl_text_slice(&written), key), "%s", rest);
    if (!record.tombstone && record.kind != RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA) {
        rl_text_clear(&written);
        rl_consumer_group_record_value(&written, &record);
        cr_assert(rl_slice_equal(rl_text_slice(&written), value), "%s", rest);
    }
    damage(key, value, random);
    rl_arena_done(&arena);
    rl_text_done(&said);
    rl_text_done(&written);
    free((void *)key.data);
    free((void *)value.data);
}

Test(consumer_group_record, vectors_of_kafka)
{
    FILE *file = fopen(RL_VECTORS_DIR "/consumer_group_records.txt", "r");
    struct rl_random random;
    char *line = NULL;
    size_t capacity = 0, lines = 0;
    rl_random_init(&random, 848);
    cr_assert_not_null(file);
    for (ssize_t bytes; (bytes = getline(&line, &capacity, file)) > 0; lines++) {
        line[bytes - 1] = '\0';
        replay(line, &random);
    }
    cr_assert_gt(lines, 80);
    free(line);
    (void)fclose(file);
}

/* ---- the rest ---- */

Test(consumer_group_record, of_others_is_left_to_others)
{
    static const uint8_t offset_key[] = { 0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 9 };
    static const uint8_t share_key[] = { 0, 10, 0, 1, 'g' };
    static const uint8_t value[] = { 0, 9, 9 };
    static const uint8_t group_key[] = { 0, 3, 0, 1, 'g' };
    struct rl_consumer_group_record record;
    struct rl_arena arena;
    struct rl_slice v = rl_slice_of(value, sizeof value);
    rl_arena_init(&arena, 4096, ARENA_BYTES_MAX);
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(offset_key, sizeof offset_key), v, &arena, &record), RL_OK);
    cr_assert_eq(record.kind, RL_CONSUMER_GROUP_RECORD_OTHER);
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(share_key, sizeof share_key), v, &arena, &record), RL_OK);
    cr_assert_eq(record.kind, RL_CONSUMER_GROUP_RECORD_OTHER);
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(group_key, sizeof group_key), v, &arena, &record),
                 RL_EUNSUPPORTED, "a value of version 9");
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(group_key, 4), v, &arena, &record), RL_ETRUNCATED);
    rl_arena_done(&arena);
}

/* A later Kafka's tagged fields are passed over, in every struct that has them. */
Test(consumer_group_record, unknown_tags)
{
    static const uint8_t key[] = { 0, 8, 0, 1, 'g', 0, 1, 'm' };
    static const uint8_t value[] = {
        0, 0, 0, 0, 0, 5, 0, 0, 0, 4, 1,
        2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 2, 0, 0, 0, 7,    /* a topic, partition 7 */
        2, 0, 5, 2, 0, 0, 0, 3, 9, 1, 'x',                                          /* tags 0 and 9 */
        1, 1, 77, 2, 'y', 'z' };
    struct rl_consumer_group_record record;
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, ARENA_BYTES_MAX);
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(key, sizeof key), rl_slice_of(value, sizeof value),
                                               &arena, &record), RL_OK);
    cr_assert_eq(record.value.current_member.assigned_count, 1);
    cr_assert_eq(record.value.current_member.assigned[0].partitions[0], 7);
    cr_assert_eq(record.value.current_member.assigned[0].assignment_epochs[0], 3);
    cr_assert_eq(record.value.current_member.state, RL_CONSUMER_GROUP_RECORD_UNREVOKED_PARTITIONS);
    rl_arena_done(&arena);
}

/* Epochs that are fewer than the partitions would be read beyond their end: they say nothing. */
Test(consumer_group_record, epochs_of_another_count)
{
    static const uint8_t key[] = { 0, 8, 0, 1, 'g', 0, 1, 'm' };
    static const uint8_t value[] = {
        0, 0, 0, 0, 0, 5, 0, 0, 0, 4, 1,
        2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 3, 0, 0, 0, 7, 0, 0, 0, 8,
        1, 0, 5, 2, 0, 0, 0, 3, 1, 0 };
    struct rl_consumer_group_record record;
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, ARENA_BYTES_MAX);
    cr_assert_eq(rl_consumer_group_record_read(rl_slice_of(key, sizeof key), rl_slice_of(value, sizeof value),
                                               &arena, &record), RL_OK);
    cr_assert_eq(record.value.current_member.assigned[0].partition_count, 2);
    cr_assert_null(record.value.current_member.assigned[0].assignment_epochs);
    rl_arena_done(&arena);
}

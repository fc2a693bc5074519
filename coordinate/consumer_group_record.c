/* coordinate/consumer_group_record.c — what groups of the consumer protocol keep in
 * __consumer_offsets.
 *
 * A key is a big-endian kind and strings with 16-bit lengths; a value a version, 0, and fields of a
 * flexible version (KIP-482): compact strings and arrays, tagged fields behind every struct.
 * Kafka writes the null of a tagged field, for whose absence it reads an empty struct or array: so
 * do we.  Both say nothing here. */
#include "coordinate/consumer_group_record.h"
#include "log/log_bytes.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum { VALUE_VERSION = 0 };
enum { TAG_METADATA_HASH = 0, TAG_CLASSIC_MEMBER = 0, TAG_ASSIGNMENT_MS = 0, TAG_ASSIGNMENT_EPOCHS = 0 };
/* The least that an element takes: id, an empty array, no tags; two empty strings and no tags. */
enum { TOPIC_BYTES_MIN = 18, PROTOCOL_BYTES_MIN = 3, NAME_BYTES_MIN = 1 };

static bool has_member(enum rl_consumer_group_record_kind kind)
{
    return kind == RL_CONSUMER_GROUP_RECORD_MEMBER || kind == RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER ||
           kind == RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER;
}

/* ---- write ---- */

static void put_i8(struct rl_text *out, int8_t v)
{
    rl_text_append(out, &v, 1);
}

static void put_i16(struct rl_text *out, int16_t v)
{
    rl_put_u16((uint8_t *)rl_text_reserve(out, sizeof v), (uint16_t)v);
    out->bytes += sizeof v;
}

static void put_i32(struct rl_text *out, int32_t v)
{
    rl_put_u32((uint8_t *)rl_text_reserve(out, sizeof v), (uint32_t)v);
    out->bytes += sizeof v;
}

static void put_i64(struct rl_text *out, int64_t v)
{
    rl_put_u64((uint8_t *)rl_text_reserve(out, sizeof v), (uint64_t)v);
    out->bytes += sizeof v;
}

static void put_uvarint(struct rl_text *out, uint32_t v)
{
    struct rl_writer w = rl_wr_of(rl_text_reserve(out, RL_UVARINT_BYTES_MAX), RL_UVARINT_BYTES_MAX);
    rl_wr_uvarint(&w, v);
    out->bytes += rl_wr_bytes(&w);
}

static void put_count(struct rl_text *out, int32_t count)
{
    RL_ASSERT(count >= 0);
    put_uvarint(out, (uint32_t)count + 1);
}

/* Null is 0. */
static void put_compact(struct rl_text *out, struct rl_slice s)
{
    put_uvarint(out, s.data == NULL ? 0 : (uint32_t)s.bytes + 1);
    rl_text_append(out, s.data, s.bytes);
}

/* A field that cannot be null. */
static void put_present(struct rl_text *out, struct rl_slice s)
{
    put_compact(out, s.data != NULL ? s : rl_slice_of("", 0));
}

static void put_names(struct rl_text *out, const struct rl_slice *names, int32_t count)
{
    put_count(out, count);
    for (int32_t i = 0; i < count; i++)
        put_present(out, names[i]);
}

static void put_i32s(struct rl_text *out, const int32_t *values, int32_t count)
{
    put_count(out, count);
    for (int32_t i = 0; i < count; i++)
        put_i32(out, values[i]);
}

static void put_no_tags(struct rl_text *out)
{
    put_uvarint(out, 0);
}

/* The only tagged field of a struct; its bytes follow. */
static void put_tag(struct rl_text *out, uint32_t tag, size_t bytes)
{
    put_uvarint(out, 1);
    put_uvarint(out, tag);
    put_uvarint(out, (uint32_t)bytes);
}

/* The only tagged field of a struct, and it is null. */
static void put_tagged_null(struct rl_text *out, uint32_t tag)
{
    put_tag(out, tag, 1);
    put_uvarint(out, 0);
}

/* A tagged field that is left out at its default, 0. */
static void put_tagged_i64(struct rl_text *out, uint32_t tag, int64_t v)
{
    if (v == 0) {
        put_no_tags(out);
        return;
    }
    put_tag(out, tag, sizeof v);
    put_i64(out, v);
}

static void put_topics(struct rl_text *out, const struct rl_consumer_group_record_topic *topics,
                       int32_t count, bool with_epochs)
{
    put_count(out, count);
    for (int32_t i = 0; i < count; i++) {
        const struct rl_consumer_group_record_topic *topic = &topics[i];
        size_t partition_count = (size_t)topic->partition_count;
        rl_text_append(out, topic->topic_id.bytes, sizeof topic->topic_id.bytes);
        put_i32s(out, topic->partitions, topic->partition_count);
        if (!with_epochs) {
            put_no_tags(out);
        } else if (topic->assignment_epochs == NULL) {
            put_tagged_null(out, TAG_ASSIGNMENT_EPOCHS);
        } else {
            put_tag(out, TAG_ASSIGNMENT_EPOCHS,
                    rl_uvarlong_bytes(partition_count + 1) + partition_count * sizeof(int32_t));
            put_i32s(out, topic->assignment_epochs, topic->partition_count);
        }
    }
}

static void put_classic(struct rl_text *out, const struct rl_consumer_group_record_member *member)
{
    struct rl_text field = { 0 };
    put_uvarint(&field, 1);             /* not null */
    put_i32(&field, member->classic_session_timeout_ms);
    put_count(&field, member->classic_protocol_count);
    for (int32_t i = 0; i < member->classic_protocol_count; i++) {
        put_present(&field, member->classic_protocols[i].name);
        put_present(&field, member->classic_protocols[i].metadata);
        put_no_tags(&field);
    }
    put_no_tags(&field);
    put_tag(out, TAG_CLASSIC_MEMBER, field.bytes);
    rl_text_append(out, field.data, field.bytes);
    rl_text_done(&field);
}

static void put_member(struct rl_text *out, const struct rl_consumer_group_record_member *member)
{
    put_compact(out, member->instance_id);
    put_compact(out, member->rack_id);
    put_present(out, member->client_id);
    put_present(out, member->client_host);
    put_names(out, member->subscribed_topic_names, member->subscribed_topic_name_count);
    put_compact(out, member->subscribed_topic_regex);
    put_i32(out, member->rebalance_timeout_ms);
    put_compact(out, member->server_assignor);
    if (member->is_classic)
        put_classic(out, member);
    else
        put_tagged_null(out, TAG_CLASSIC_MEMBER);
}

static void put_current_member(struct rl_text *out, const struct rl_consumer_group_record_current_member *member)
{
    put_i32(out, member->member_epoch);
    put_i32(out, member->previous_member_epoch);
    put_i8(out, member->state);
    put_topics(out, member->assigned, member->assigned_count, true);
    put_topics(out, member->pending_revocation, member->pending_revocation_count, true);
    put_no_tags(out);
}

static void put_regex(struct rl_text *out, const struct rl_consumer_group_record_regex *regex)
{
    put_names(out, regex->topics, regex->topic_count);
    put_i64(out, regex->version);
    put_i64(out, regex->resolved_ms);
    put_no_tags(out);
}

/* In keys, strings have a length of 16 bits. */
static void put_key_string(struct rl_text *out, struct rl_slice s)
{
    RL_ASSERT(s.bytes <= INT16_MAX);
    put_i16(out, (int16_t)s.bytes);
    rl_text_append(out, s.data, s.bytes);
}

void rl_consumer_group_record_key(struct rl_text *out, enum rl_consumer_group_record_kind kind,
                                  struct rl_slice group, struct rl_slice detail)
{
    RL_ASSERT(kind != RL_CONSUMER_GROUP_RECORD_OTHER);
    put_i16(out, (int16_t)kind);
    put_key_string(out, group);
    if (has_member(kind) || kind == RL_CONSUMER_GROUP_RECORD_REGEX)
        put_key_string(out, detail);
}

void rl_consumer_group_record_value(struct rl_text *out, const struct rl_consumer_group_record *record)
{
    put_i16(out, VALUE_VERSION);
    switch (record->kind) {
    case RL_CONSUMER_GROUP_RECORD_METADATA:
        put_i32(out, record->value.metadata.epoch);
        put_tagged_i64(out, TAG_METADATA_HASH, record->value.metadata.metadata_hash);
        break;
    case RL_CONSUMER_GROUP_RECORD_MEMBER:
        put_member(out, &record->value.member_metadata);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_METADATA:
        put_i32(out, record->value.target_metadata.assignment_epoch);
        put_tagged_i64(out, TAG_ASSIGNMENT_MS, record->value.target_metadata.assignment_ms);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER:
        put_topics(out, record->value.target_member.topics, record->value.target_member.topic_count, false);
        put_no_tags(out);
        break;
    case RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER:
        put_current_member(out, &record->value.current_member);
        break;
    case RL_CONSUMER_GROUP_RECORD_REGEX:
        put_regex(out, &record->value.regex);
        break;
    case RL_CONSUMER_GROUP_RECORD_OTHER:
    case RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA:
        rl_panic(__FILE__, __LINE__, "no value is written for kind %d", (int)record->kind);
    }
}

/* ---- read ---- */

static const struct rl_slice *read_names(struct rl_reader *r, struct rl_arena *arena, int32_t *ret_count)
{
    struct rl_slice *names = rl_rd_array(r, arena, true, false, NAME_BYTES_MIN, sizeof *names, ret_count);
    for (int32_t i = 0; i < *ret_count; i++)
        names[i] = rl_rd_string(r, true, false);
    return names;
}

static const int32_t *read_i32s(struct rl_reader *r, struct rl_arena *arena, bool nullable, int32_t *ret_count)
{
    int32_t *values = rl_rd_array(r, arena, true, nullable, sizeof *values, sizeof *values, ret_count);
    for (int32_t i = 0; i < *ret_count; i++)
        values[i] = rl_rd_i32(r);
    return values;
}

static int64_t read_tagged_i64(struct rl_reader *r, int64_t wanted)
{
    struct rl_rd_tags tags = rl_rd_tags_begin(r);
    int64_t v = 0;
    while (rl_rd_tags_next(r, &tags)) {
        if (tags.tag == wanted)
            v = rl_rd_i64(r);
        else
            rl_rd_skip(r);
    }
    return v;
}

/* As many as there are partitions, or they say nothing, as in Kafka. */
static void read_assignment_epochs(struct rl_reader *r, struct rl_arena *arena,
                                   struct rl_consumer_group_record_topic *topic)
{
    struct rl_rd_tags tags = rl_rd_tags_begin(r);
    topic->assignment_epochs = NULL;
    while (rl_rd_tags_next(r, &tags)) {
        int32_t count;
        if (tags.tag != TAG_ASSIGNMENT_EPOCHS) {
            rl_rd_skip(r);
            continue;
        }
        const int32_t *epochs = read_i32s(r, arena, true, &count);
        topic->assignment_epochs = count == topic->partition_count ? epochs : NULL;
    }
}

static const struct rl_consumer_group_record_topic *read_topics(struct rl_reader *r, struct rl_arena *arena,
                                                               bool with_epochs, int32_t *ret_count)
{
    struct rl_consumer_group_record_topic *topics =
        rl_rd_array(r, arena, true, false, TOPIC_BYTES_MIN, sizeof *topics, ret_count);
    for (int32_t i = 0; i < *ret_count; i++) {
        topics[i] = (struct rl_consumer_group_record_topic){ .topic_id = rl_rd_uuid(r) };
        topics[i].partitions = read_i32s(r, arena, false, &topics[i].partition_count);
        if (with_epochs)
            read_assignment_epochs(r, arena, &topics[i]);
        else
            rl_rd_tags_skip(r);
    }
    return topics;
}

static void read_classic(struct rl_reader *r, struct rl_arena *arena, struct rl_consumer_group_record_member *member)
{
    member->is_classic = rl_rd_uvarint(r) > 0;
    if (!member->is_classic)
        return;
    member->classic_session_timeout_ms = rl_rd_i32(r);
    struct rl_consumer_group_record_protocol *protocols =
        rl_rd_array(r, arena, true, false, PROTOCOL_BYTES_MIN, sizeof *protocols, &member->classic_protocol_count);
    for (int32_t i = 0; i < member->classic_protocol_count; i++) {
        protocols[i].name = rl_rd_string(r, true, false);
        protocols[i].metadata = rl_rd_bytes(r, true, false);
        rl_rd_tags_skip(r);
    }
    member->classic_protocols = protocols;
    rl_rd_tags_skip(r);
}

static void read_member(struct rl_reader *r, struct rl_arena *arena, struct rl_consumer_group_record_member *member)
{
    member->instance_id = rl_rd_string(r, true, true);
    member->rack_id = rl_rd_string(r, true, true);
    member->client_id = rl_rd_string(r, true, false);
    member->client_host = rl_rd_string(r, true, false);
    member->subscribed_topic_names = read_names(r, arena, &member->subscribed_topic_name_count);
    member->subscribed_topic_regex = rl_rd_string(r, true, true);
    member->rebalance_timeout_ms = rl_rd_i32(r);
    member->server_assignor = rl_rd_string(r, true, true);
    struct rl_rd_tags tags = rl_rd_tags_begin(r);
    while (rl_rd_tags_next(r, &tags)) {
        if (tags.tag == TAG_CLASSIC_MEMBER)
            read_classic(r, arena, member);
        else
            rl_rd_skip(r);
    }
}

static void read_current_member(struct rl_reader *r, struct rl_arena *arena,
                                struct rl_consumer_group_record_current_member *member)
{
    member->member_epoch = rl_rd_i32(r);
    member->previous_member_epoch = rl_rd_i32(r);
    member->state = rl_rd_i8(r);
    member->assigned = read_topics(r, arena, true, &member->assigned_count);
    member->pending_revocation = read_topics(r, arena, true, &member->pending_revocation_count);
    rl_rd_tags_skip(r);
}

static void read_regex(struct rl_reader *r, struct rl_arena *arena, struct rl_consumer_group_record_regex *regex)
{
    regex->topics = read_names(r, arena, &regex->topic_count);
    regex->version = rl_rd_i64(r);
    regex->resolved_ms = rl_rd_i64(r);
    rl_rd_tags_skip(r);
}

static rl_status read_value(struct rl_slice value, struct rl_arena *arena, struct rl_consumer_group_record *record)
{
    struct rl_reader r = rl_rd_of(value);
    int16_t version = rl_rd_i16(&r);
    if (r.st == RL_OK && version != VALUE_VERSION)
        return RL_EUNSUPPORTED;
    switch (record->kind) {
    case RL_CONSUMER_GROUP_RECORD_METADATA:
        record->value.metadata.epoch = rl_rd_i32(&r);
        record->value.metadata.metadata_hash = read_tagged_i64(&r, TAG_METADATA_HASH);
        break;
    case RL_CONSUMER_GROUP_RECORD_MEMBER:
        read_member(&r, arena, &record->value.member_metadata);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_METADATA:
        record->value.target_metadata.assignment_epoch = rl_rd_i32(&r);
        record->value.target_metadata.assignment_ms = read_tagged_i64(&r, TAG_ASSIGNMENT_MS);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER:
        record->value.target_member.topics =
            read_topics(&r, arena, false, &record->value.target_member.topic_count);
        rl_rd_tags_skip(&r);
        break;
    case RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER:
        read_current_member(&r, arena, &record->value.current_member);
        break;
    case RL_CONSUMER_GROUP_RECORD_REGEX:
        read_regex(&r, arena, &record->value.regex);
        break;
    case RL_CONSUMER_GROUP_RECORD_OTHER:
    case RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA:
        break;
    }
    return r.st;
}

static enum rl_consumer_group_record_kind kind_of(int16_t key_version)
{
    bool known = (key_version >= RL_CONSUMER_GROUP_RECORD_METADATA &&
                  key_version <= RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER) ||
                 key_version == RL_CONSUMER_GROUP_RECORD_REGEX;
    return known ? (enum rl_consumer_group_record_kind)key_version : RL_CONSUMER_GROUP_RECORD_OTHER;
}

rl_status rl_consumer_group_record_read(struct rl_slice key, struct rl_slice value, struct rl_arena *arena,
                                        struct rl_consumer_group_record *ret_record)
{
    struct rl_reader r = rl_rd_of(key);
    int16_t key_version = rl_rd_i16(&r);
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_OTHER };
    if (r.st != RL_OK)
        return r.st;
    record.kind = kind_of(key_version);
    if (record.kind != RL_CONSUMER_GROUP_RECORD_OTHER) {
        record.tombstone = value.data == NULL;
        record.group = rl_rd_string(&r, false, false);
        if (has_member(record.kind))
            record.member = rl_rd_string(&r, false, false);
        else if (record.kind == RL_CONSUMER_GROUP_RECORD_REGEX)
            record.pattern = rl_rd_string(&r, false, false);
        rl_status status = r.st;
        if (status == RL_OK && !record.tombstone)
            status = read_value(value, arena, &record);
        if (status != RL_OK)
            return status;
    }
    *ret_record = record;
    return RL_OK;
}

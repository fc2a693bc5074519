/* coordinate/group_record.c — what stands in __consumer_offsets, in Kafka's own formats. */
#include "coordinate/group_record.h"
#include "log/log_bytes.h"

enum { OFFSET_KEY = 1, GROUP_KEY = 2, OFFSET_KEY_FIRST = 0 };
enum { OFFSET_VALUE = 3, OFFSET_VALUE_EXPIRES = 1, OFFSET_VALUE_FLEXIBLE = 4, GROUP_VALUE = 3,
       GROUP_VALUE_FLEXIBLE = 4 };

/* ---- write ---- */

static void put_u16(struct rl_text *out, uint16_t v)
{
    rl_put_u16((uint8_t *)rl_text_reserve(out, sizeof v), v);
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

/* Strings come from the wire, where they are no longer than INT16_MAX. */
static void put_string(struct rl_text *out, struct rl_slice s)
{
    put_u16(out, s.data == NULL ? UINT16_MAX : (uint16_t)s.bytes);
    rl_text_append(out, s.data, s.bytes);
}

static void put_bytes(struct rl_text *out, struct rl_slice s)
{
    put_i32(out, (int32_t)s.bytes);
    rl_text_append(out, s.data, s.bytes);
}

void rl_group_record_offset_key(struct rl_text *out, struct rl_slice group, struct rl_slice topic,
                                int32_t partition)
{
    put_u16(out, OFFSET_KEY);
    put_string(out, group);
    put_string(out, topic);
    put_i32(out, partition);
}

void rl_group_record_offset_value(struct rl_text *out, const struct rl_committed_offset *offset)
{
    bool expires = offset->expire_ms >= 0;
    put_u16(out, expires ? OFFSET_VALUE_EXPIRES : OFFSET_VALUE);
    put_i64(out, offset->offset);
    if (!expires)
        put_i32(out, offset->leader_epoch);
    put_string(out, offset->metadata.data != NULL ? offset->metadata : rl_slice_of("", 0));
    put_i64(out, offset->commit_ms);
    if (expires)
        put_i64(out, offset->expire_ms);
}

void rl_group_record_group_key(struct rl_text *out, struct rl_slice group)
{
    put_u16(out, GROUP_KEY);
    put_string(out, group);
}

void rl_group_record_group_value(struct rl_text *out, const struct rl_group_record_value *value)
{
    put_u16(out, GROUP_VALUE);
    put_string(out, value->protocol_type);
    put_i32(out, value->generation);
    put_string(out, value->protocol);
    put_string(out, value->leader);
    put_i64(out, value->state_ms);
    put_i32(out, value->member_count);
}

void rl_group_record_member(struct rl_text *out, const struct rl_group_record_member *member)
{
    put_string(out, member->id);
    put_string(out, member->instance_id);
    put_string(out, member->client_id);
    put_string(out, member->client_host);
    put_i32(out, member->rebalance_timeout_ms);
    put_i32(out, member->session_timeout_ms);
    put_bytes(out, member->subscription);
    put_bytes(out, member->assignment);
}

/* ---- read ---- */

/* What a later minor version may have added. */
static void skip_tags(struct rl_reader *r)
{
    struct rl_rd_tags tags = rl_rd_tags_begin(r);
    while (rl_rd_tags_next(r, &tags))
        rl_rd_skip(r);
}

static rl_status read_offset_value(struct rl_reader *r, struct rl_committed_offset *offset)
{
    int16_t version = rl_rd_i16(r);
    bool flexible = version >= OFFSET_VALUE_FLEXIBLE;
    if (version < 0 || version > OFFSET_VALUE_FLEXIBLE)
        return r->st != RL_OK ? r->st : RL_EUNSUPPORTED;
    offset->offset = rl_rd_i64(r);
    offset->leader_epoch = version >= 3 ? rl_rd_i32(r) : -1;
    offset->metadata = rl_rd_string(r, flexible, false);
    offset->commit_ms = rl_rd_i64(r);
    offset->expire_ms = version == OFFSET_VALUE_EXPIRES ? rl_rd_i64(r) : -1;
    if (flexible)
        skip_tags(r);
    return r->st;
}

static rl_status read_group_value(struct rl_reader *r, struct rl_group_record_value *value)
{
    value->version = rl_rd_i16(r);
    bool flexible = value->version >= GROUP_VALUE_FLEXIBLE;
    if (value->version < 0 || value->version > GROUP_VALUE_FLEXIBLE)
        return r->st != RL_OK ? r->st : RL_EUNSUPPORTED;
    value->protocol_type = rl_rd_string(r, flexible, false);
    value->generation = rl_rd_i32(r);
    value->protocol = rl_rd_string(r, flexible, true);
    value->leader = rl_rd_string(r, flexible, true);
    value->state_ms = value->version >= 2 ? rl_rd_i64(r) : -1;
    value->member_count = rl_rd_length(r, flexible, false, false);
    value->members = *r;
    return r->st;
}

rl_status rl_group_record_read(struct rl_slice key, struct rl_slice value, struct rl_group_record *ret_record)
{
    struct rl_reader r = rl_rd_of(key), v = rl_rd_of(value);
    int16_t kind = rl_rd_i16(&r);
    struct rl_group_record record = { .tombstone = value.data == NULL, .kind = RL_GROUP_RECORD_OTHER };
    rl_status status = RL_OK;

    if (r.st == RL_OK && kind >= OFFSET_KEY_FIRST && kind <= OFFSET_KEY) {
        record.kind = RL_GROUP_RECORD_OFFSET;
        record.group = rl_rd_string(&r, false, false);
        record.topic = rl_rd_string(&r, false, false);
        record.partition = rl_rd_i32(&r);
        if (!record.tombstone)
            status = read_offset_value(&v, &record.offset);
    } else if (r.st == RL_OK && kind == GROUP_KEY) {
        record.kind = RL_GROUP_RECORD_GROUP;
        record.group = rl_rd_string(&r, false, false);
        if (!record.tombstone)
            status = read_group_value(&v, &record.value);
    }
    if (r.st != RL_OK || status != RL_OK)
        return r.st != RL_OK ? r.st : status;
    *ret_record = record;
    return RL_OK;
}

rl_status rl_group_record_next_member(struct rl_group_record_value *value,
                                      struct rl_group_record_member *ret_member)
{
    struct rl_reader *r = &value->members;
    bool flexible = value->version >= GROUP_VALUE_FLEXIBLE;
    struct rl_group_record_member member = { 0 };

    member.id = rl_rd_string(r, flexible, false);
    if (value->version >= 3)
        member.instance_id = rl_rd_string(r, flexible, true);
    member.client_id = rl_rd_string(r, flexible, false);
    member.client_host = rl_rd_string(r, flexible, false);
    member.rebalance_timeout_ms = value->version >= 1 ? rl_rd_i32(r) : -1;
    member.session_timeout_ms = rl_rd_i32(r);
    if (value->version < 1)
        member.rebalance_timeout_ms = member.session_timeout_ms;
    member.subscription = rl_rd_bytes(r, flexible, false);
    member.assignment = rl_rd_bytes(r, flexible, false);
    if (flexible)
        skip_tags(r);
    if (r->st == RL_OK)
        *ret_member = member;
    return r->st;
}

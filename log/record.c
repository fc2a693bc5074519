/* log/record.c — a bounds-checked walk over the records of a batch. */
#include "log/record.h"
#include "log/codec.h"

/* Bytes with a sticky error: after the first bad read everything reads as zero. */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t read_uvarint(struct reader *r, unsigned bits_max)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < bits_max; shift += 7) {
        if (r->bad || r->at == r->end)
            break;
        uint8_t byte = *r->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    r->bad = true;
    return 0;
}

static int64_t read_varlong(struct reader *r)
{
    uint64_t value = read_uvarint(r, 70);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static int32_t read_varint(struct reader *r)
{
    uint32_t value = (uint32_t)read_uvarint(r, 35);
    return (int32_t)(value >> 1) ^ -(int32_t)(value & 1);
}

/* A run of bytes behind its length; -1 is null where allowed. */
static struct rl_slice read_bytes(struct reader *r, bool nullable)
{
    int32_t bytes = read_varint(r);

    if (bytes == -1 && nullable)
        return rl_slice_of(NULL, 0);
    if (r->bad || bytes < 0 || bytes > r->end - r->at) {
        r->bad = true;
        return rl_slice_of(NULL, 0);
    }
    struct rl_slice slice = rl_slice_of(r->at, (size_t)bytes);
    r->at += bytes;
    return slice;
}

rl_status rl_records_init(struct rl_records *records, const struct rl_batch *batch)
{
    struct rl_slice payload = rl_slice_of(batch->bytes + RL_BATCH_HEADER_BYTES,
                                          batch->size_bytes - RL_BATCH_HEADER_BYTES);

    *records = (struct rl_records){ .batch = batch, .left = batch->record_count };
    if (rl_batch_codec(batch) != RL_CODEC_NONE) {
        rl_status status = rl_codec_decode(rl_batch_codec(batch), payload, RL_DECODED_BYTES_MAX,
                                           &records->decoded);
        if (status != RL_OK) {
            rl_text_done(&records->decoded);
            return status == RL_EUNSUPPORTED ? RL_ECORRUPT : status;
        }
        payload = rl_slice_of(rl_text_string(&records->decoded), records->decoded.bytes);
    }
    records->at = payload.data;
    records->end = payload.data + payload.bytes;
    return RL_OK;
}

rl_status rl_records_next(struct rl_records *records, struct rl_record *ret_record)
{
    if (records->left <= 0)
        return records->at == records->end ? RL_ENOTFOUND : RL_ECORRUPT;

    struct reader outer = { records->at, records->end, false };
    struct rl_slice body = read_bytes(&outer, false);
    if (outer.bad || body.bytes == 0)
        return RL_ECORRUPT;

    const struct rl_batch *batch = records->batch;
    struct reader r = { body.data + 1, body.data + body.bytes, false };         /* attributes: unused */
    struct rl_record record = { 0 };
    int64_t timestamp_delta = read_varlong(&r);
    int32_t offset_delta = read_varint(&r);
    record.key = read_bytes(&r, true);
    record.value = read_bytes(&r, true);
    record.header_count = read_varint(&r);
    record.headers.data = r.at;
    for (int32_t i = 0; i < record.header_count && !r.bad; i++) {
        read_bytes(&r, false);
        read_bytes(&r, true);
    }
    if (r.bad || r.at != r.end || record.header_count < 0)
        return RL_ECORRUPT;
    if (offset_delta < 0 || offset_delta > batch->last_offset_delta)
        return RL_ECORRUPT;
    record.headers.bytes = (size_t)(r.at - record.headers.data);
    record.offset = batch->base_offset + offset_delta;
    record.timestamp_ms = rl_batch_is_log_append_time(batch)
        ? batch->max_timestamp_ms
        : (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)timestamp_delta);

    records->at = outer.at;
    records->left--;
    *ret_record = record;
    return RL_OK;
}

void rl_records_done(struct rl_records *records)
{
    rl_text_done(&records->decoded);
}

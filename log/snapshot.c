/* log/snapshot.c — encode and decode producer state; the format stands in snapshot.h. */
#include "log/snapshot.h"
#include "core/crc32c.h"
#include "log/log_bytes.h"

enum { MAGIC = 0x726c7073, VERSION = 2, HEADER_BYTES = 24, PRODUCER_BYTES = 27, BATCH_BYTES = 28 };

static uint8_t *encode_producer(uint8_t *p, const struct rl_producer *producer)
{
    rl_put_u64(p, (uint64_t)producer->producer_id);
    rl_put_u64(p + 8, (uint64_t)producer->last_used_ms);
    rl_put_u64(p + 16, (uint64_t)producer->last_timestamp_ms);
    rl_put_u16(p + 24, (uint16_t)producer->producer_epoch);
    p[26] = producer->batch_count;
    p += PRODUCER_BYTES;
    for (uint32_t i = 0; i < producer->batch_count; i++, p += BATCH_BYTES) {
        const struct rl_producer_batch *batch = &producer->batches[i];
        rl_put_u64(p, (uint64_t)batch->base_offset);
        rl_put_u32(p + 8, (uint32_t)batch->first_sequence);
        rl_put_u32(p + 12, (uint32_t)batch->last_sequence);
        rl_put_u32(p + 16, (uint32_t)batch->last_offset_delta);
        rl_put_u64(p + 20, (uint64_t)batch->append_time_ms);
    }
    return p;
}

void rl_snapshot_encode(const struct rl_producer_state *state, int64_t offset, struct rl_text *out)
{
    uint32_t count = 0;
    size_t most = HEADER_BYTES + (size_t)rl_producer_state_count(state) * (PRODUCER_BYTES + RL_PRODUCER_WINDOW * BATCH_BYTES);
    uint8_t *file = (uint8_t *)rl_text_reserve(out, most);
    uint8_t *p = file + HEADER_BYTES;

    rl_put_u32(file, MAGIC);
    rl_put_u32(file + 4, VERSION);
    rl_put_u64(file + 12, (uint64_t)offset);
    if (state != NULL) {
        RL_LIST_EACH(node, &state->by_use) {
            const struct rl_producer *producer = RL_LIST_ENTRY(node, struct rl_producer, by_use);
            if (producer->batch_count == 0)
                continue;               /* a trace of what is gone, for who is connected now */
            p = encode_producer(p, producer);
            count++;
        }
    }
    rl_put_u32(file + 20, count);
    rl_put_u32(file + 8, rl_crc32c(0, file + 12, (size_t)(p - file) - 12));
    out->bytes += (size_t)(p - file);
    out->data[out->bytes] = '\0';
}

static const uint8_t *decode_producer(const uint8_t *p, const uint8_t *end,
                                      struct rl_producer_state *state)
{
    if (end - p < PRODUCER_BYTES)
        return NULL;
    uint32_t count = p[26];
    if (count < 1 || count > RL_PRODUCER_WINDOW ||
        end - p < (ptrdiff_t)(PRODUCER_BYTES + count * BATCH_BYTES))
        return NULL;

    struct rl_producer *producer = rl_producer_state_touch(state, (int64_t)rl_get_u64(p));
    producer->last_used_ms = (int64_t)rl_get_u64(p + 8);
    producer->last_timestamp_ms = (int64_t)rl_get_u64(p + 16);
    producer->producer_epoch = (int16_t)rl_get_u16(p + 24);
    producer->batch_count = (uint8_t)count;
    p += PRODUCER_BYTES;
    for (uint32_t i = 0; i < count; i++, p += BATCH_BYTES) {
        producer->batches[i] = (struct rl_producer_batch){
            .base_offset = (int64_t)rl_get_u64(p),
            .first_sequence = (int32_t)rl_get_u32(p + 8),
            .last_sequence = (int32_t)rl_get_u32(p + 12),
            .last_offset_delta = (int32_t)rl_get_u32(p + 16),
            .append_time_ms = (int64_t)rl_get_u64(p + 20),
        };
    }
    rl_producer_go_on(producer);
    return p;
}

rl_status rl_snapshot_decode(struct rl_slice file, int64_t offset, struct rl_producer_state *state)
{
    const uint8_t *data = file.data;

    if (file.bytes < HEADER_BYTES || rl_get_u32(data) != MAGIC || rl_get_u32(data + 4) != VERSION)
        return RL_ECORRUPT;
    if (rl_get_u32(data + 8) != rl_crc32c(0, data + 12, file.bytes - 12))
        return RL_ECORRUPT;
    if ((int64_t)rl_get_u64(data + 12) != offset)
        return RL_ECORRUPT;

    const uint8_t *p = data + HEADER_BYTES;
    const uint8_t *end = data + file.bytes;
    for (uint32_t left = rl_get_u32(data + 20); left > 0; left--) {
        p = decode_producer(p, end, state);
        if (p == NULL)
            return RL_ECORRUPT;
    }
    return p == end ? RL_OK : RL_ECORRUPT;
}

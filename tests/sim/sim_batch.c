/* tests/sim/sim_batch.c — record batches whose first record says which they are. */
#include "core/crc32c.h"
#include "log/log_bytes.h"
#include "sim.h"
#include "sim_heap.h"
#include <string.h>

#define HEADER_BYTES 61
#define ID_BYTES 4

static uint8_t *put_varint(uint8_t *at, int64_t value)
{
    uint64_t v = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);

    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

static uint8_t *put_record(struct rl_random *random, uint8_t *at, uint32_t id, uint32_t index,
                           uint32_t value_bytes)
{
    uint8_t body[32], *end = body;

    *end++ = 0;                         /* attributes */
    end = put_varint(end, 0);           /* timestamp */
    end = put_varint(end, index);       /* offset */
    end = put_varint(end, -1);          /* no key */
    end = put_varint(end, value_bytes);
    at = put_varint(at, (end - body) + (int64_t)value_bytes + 1);
    memcpy(at, body, (size_t)(end - body));
    at += end - body;
    rl_put_u32(at, id);
    rl_random_fill(random, at + ID_BYTES, value_bytes - ID_BYTES);
    at += value_bytes;
    return put_varint(at, 0);           /* no headers */
}

uint8_t *sim_batch_build(struct rl_random *random, uint32_t id, uint32_t records, uint32_t value_bytes,
                         int64_t wall_ms, int64_t producer_id, int32_t base_sequence,
                         uint32_t *ret_bytes)
{
    uint8_t *p = sim_world_alloc(HEADER_BYTES + records * (value_bytes + 32u)), *at = p + HEADER_BYTES;

    for (uint32_t i = 0; i < records; i++)
        at = put_record(random, at, id, i, value_bytes);
    size_t bytes = (size_t)(at - p);
    memset(p, 0, HEADER_BYTES);
    rl_put_u32(p + 8, (uint32_t)bytes - 12);
    rl_put_u32(p + 12, UINT32_MAX);
    p[16] = 2;
    rl_put_u32(p + 23, records - 1);
    rl_put_u64(p + 27, (uint64_t)wall_ms);
    rl_put_u64(p + 35, (uint64_t)wall_ms);
    rl_put_u64(p + 43, (uint64_t)producer_id);
    rl_put_u16(p + 51, producer_id < 0 ? UINT16_MAX : 0);
    rl_put_u32(p + 53, producer_id < 0 ? UINT32_MAX : (uint32_t)base_sequence);
    rl_put_u32(p + 57, records);
    rl_put_u32(p + 17, rl_crc32c(0, p + 21, bytes - 21));
    *ret_bytes = (uint32_t)bytes;
    return p;
}

uint32_t sim_batch_id(const uint8_t *bytes, size_t size)
{
    size_t at = HEADER_BYTES;

    for (int varints = 0; varints < 2; varints++) {
        while (at < size && (bytes[at] & 0x80) != 0)
            at++;
        at += varints == 0 ? 5 : 1;     /* the length and four bytes; the value's length */
    }
    return at + ID_BYTES <= size ? rl_get_u32(bytes + at) : UINT32_MAX;
}

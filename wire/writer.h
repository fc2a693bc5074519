/* wire/writer.h — writes Kafka's primitives into memory of the caller.
 *
 * Happy path: the caller asks a message for its size, provides that much, encodes, and takes
 * what was written (rl_wr_written).  Failures: no room sets a sticky RL_EFULL, a string beyond
 * Kafka's limit RL_ETOOLARGE; nothing is written after a failure.
 *
 * Records need not be copied: with `externals` set, the encoder writes only the length of a
 * records field and notes where the bytes belong; the caller sends, in order, buffer up to
 * externals[0].at, the external bytes, buffer up to externals[1].at, and so on. */
#ifndef RL_WIRE_WRITER_H
#define RL_WIRE_WRITER_H

#include "core/base.h"
#include "core/slice.h"
#include "core/status.h"

#include <string.h>

/* One run of bytes that is sent from elsewhere. */
struct rl_wr_external {
    size_t at;                          /* it follows this many bytes of the writer's buffer */
    size_t bytes;                       /* > 0 */
};

struct rl_writer {
    uint8_t *at;                        /* next byte to write */
    uint8_t *end;                       /* == at after a failure */
    uint8_t *start;
    rl_status st;                       /* sticky: the first failure */
    /* NULL: records are copied.  Set by the caller after rl_wr_of, together with the
     * capacity; one entry per records field that is neither null nor empty, in the order of
     * encoding; RL_EFULL when they do not fit. */
    struct rl_wr_external *externals;
    uint32_t externals_capacity;
    uint32_t externals_count;
};

/* Write into buffer[0 .. bytes). */
static inline struct rl_writer rl_wr_of(void *buffer, size_t bytes)
{
    uint8_t *start = buffer;
    uint8_t *end = bytes > 0 ? start + bytes : start;
    return (struct rl_writer){ .at = start, .end = end, .start = start, .st = RL_OK };
}

static inline void rl_wr_fail(struct rl_writer *w, rl_status st)
{
    if (w->st == RL_OK)
        w->st = st;
    w->end = w->at;
}

/* RL_OK, or the first failure. */
static inline rl_status rl_wr_done(const struct rl_writer *w)
{
    return w->st;
}

/* Bytes written so far, externals not counted. */
static inline size_t rl_wr_bytes(const struct rl_writer *w)
{
    return (size_t)(w->at - w->start);
}

static inline struct rl_slice rl_wr_written(const struct rl_writer *w)
{
    return rl_slice_of(w->start, rl_wr_bytes(w));
}

/* Bytes of all externals noted so far. */
size_t rl_wr_externals_bytes(const struct rl_writer *w);

/* Room for `bytes` bytes, which the caller fills; NULL with RL_EFULL noted. */
static inline uint8_t *rl_wr_raw(struct rl_writer *w, size_t bytes)
{
    if (RL_UNLIKELY((size_t)(w->end - w->at) < bytes)) {
        rl_wr_fail(w, RL_EFULL);
        return NULL;
    }
    uint8_t *p = w->at;
    w->at += bytes;
    return p;
}

static inline void rl_wr_copy(struct rl_writer *w, const void *data, size_t bytes)
{
    uint8_t *p = rl_wr_raw(w, bytes);
    if (RL_LIKELY(p != NULL && bytes > 0))
        memcpy(p, data, bytes);
}

static inline void rl_wr_u16(struct rl_writer *w, uint16_t v)
{
    v = __builtin_bswap16(v);
    rl_wr_copy(w, &v, sizeof v);
}

static inline void rl_wr_u32(struct rl_writer *w, uint32_t v)
{
    v = __builtin_bswap32(v);
    rl_wr_copy(w, &v, sizeof v);
}

static inline void rl_wr_u64(struct rl_writer *w, uint64_t v)
{
    v = __builtin_bswap64(v);
    rl_wr_copy(w, &v, sizeof v);
}

static inline void rl_wr_i8(struct rl_writer *w, int8_t v) { rl_wr_copy(w, &v, sizeof v); }
static inline void rl_wr_i16(struct rl_writer *w, int16_t v) { rl_wr_u16(w, (uint16_t)v); }
static inline void rl_wr_i32(struct rl_writer *w, int32_t v) { rl_wr_u32(w, (uint32_t)v); }
static inline void rl_wr_i64(struct rl_writer *w, int64_t v) { rl_wr_u64(w, (uint64_t)v); }
static inline void rl_wr_bool(struct rl_writer *w, bool v) { rl_wr_i8(w, v ? 1 : 0); }

static inline void rl_wr_f64(struct rl_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    rl_wr_u64(w, bits);
}

static inline void rl_wr_uuid(struct rl_writer *w, struct rl_uuid id)
{
    rl_wr_copy(w, id.bytes, sizeof id.bytes);
}

void rl_wr_uvarlong(struct rl_writer *w, uint64_t v);

/* Unsigned varint of 32 bits (KIP-482). */
static inline void rl_wr_uvarint(struct rl_writer *w, uint32_t v)
{
    if (RL_LIKELY(v < 0x80))
        rl_wr_i8(w, (int8_t)v);
    else
        rl_wr_uvarlong(w, v);
}

/* Zig-zag varints, as in records (KIP-98). */
static inline void rl_wr_varint(struct rl_writer *w, int32_t v)
{
    rl_wr_uvarint(w, (uint32_t)v << 1 ^ (uint32_t)(v >> 31));
}

static inline void rl_wr_varlong(struct rl_writer *w, int64_t v)
{
    rl_wr_uvarlong(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

/* Encoded sizes. */
static inline size_t rl_uvarlong_bytes(uint64_t v)
{
    return (size_t)(70 - __builtin_clzll(v | 1)) / 7;
}
static inline size_t rl_uvarint_bytes(uint32_t v) { return rl_uvarlong_bytes(v); }
static inline size_t rl_varint_bytes(int32_t v)
{
    return rl_uvarint_bytes((uint32_t)v << 1 ^ (uint32_t)(v >> 31));
}
static inline size_t rl_varlong_bytes(int64_t v)
{
    return rl_uvarlong_bytes((uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

/* Is this slice written as null?  External bytes have data NULL and bytes > 0. */
static inline bool rl_wr_is_null(struct rl_slice s)
{
    return s.data == NULL && s.bytes == 0;
}

/* A count or length; `null` writes -1, or 0 in flexible versions. */
static inline void rl_wr_length(struct rl_writer *w, bool flexible, bool null, size_t length)
{
    if (RL_UNLIKELY(length > INT32_MAX))
        rl_wr_fail(w, RL_ETOOLARGE);
    else if (flexible)
        rl_wr_uvarint(w, null ? 0 : (uint32_t)length + 1);
    else
        rl_wr_i32(w, null ? -1 : (int32_t)length);
}

/* The bytes that rl_wr_length writes. */
static inline size_t rl_wr_length_bytes(bool flexible, bool null, size_t length)
{
    return !flexible ? 4 : null ? 1 : rl_uvarlong_bytes(length + 1);
}

/* An array's count, -1 for null.  A null that the version cannot express is an empty array. */
static inline void rl_wr_count(struct rl_writer *w, bool flexible, bool nullable, int32_t count)
{
    rl_wr_length(w, flexible, nullable && count < 0, (size_t)RL_MAX(count, 0));
}

static inline size_t rl_wr_count_bytes(bool flexible, bool nullable, int32_t count)
{
    return rl_wr_length_bytes(flexible, nullable && count < 0, (size_t)RL_MAX(count, 0));
}

/* A null that the version cannot express is written as an empty string. */
static inline void rl_wr_string(struct rl_writer *w, bool flexible, bool nullable, struct rl_slice s)
{
    bool null = nullable && rl_wr_is_null(s);
    if (RL_UNLIKELY(s.bytes > INT16_MAX))
        rl_wr_fail(w, RL_ETOOLARGE);
    else if (flexible)
        rl_wr_uvarint(w, null ? 0 : (uint32_t)s.bytes + 1);
    else
        rl_wr_i16(w, null ? -1 : (int16_t)s.bytes);
    rl_wr_copy(w, s.data, s.bytes);
}

static inline size_t rl_wr_string_bytes(bool flexible, bool nullable, struct rl_slice s)
{
    bool null = nullable && rl_wr_is_null(s);
    return (flexible ? rl_wr_length_bytes(true, null, s.bytes) : 2) + s.bytes;
}

static inline void rl_wr_bytes_field(struct rl_writer *w, bool flexible, bool nullable,
                                     struct rl_slice s)
{
    rl_wr_length(w, flexible, nullable && rl_wr_is_null(s), s.bytes);
    rl_wr_copy(w, s.data, s.bytes);
}

static inline size_t rl_wr_bytes_field_bytes(bool flexible, bool nullable, struct rl_slice s)
{
    return rl_wr_length_bytes(flexible, nullable && rl_wr_is_null(s), s.bytes) + s.bytes;
}

/* As bytes, but noted in w->externals instead of copied when that is set.  Without externals
 * data must be there: data NULL with bytes > 0 is RL_EINVAL. */
void rl_wr_records(struct rl_writer *w, bool flexible, bool nullable, struct rl_slice s);

static inline size_t rl_wr_records_bytes(bool flexible, bool nullable, struct rl_slice s)
{
    return rl_wr_bytes_field_bytes(flexible, nullable, s);
}

#endif

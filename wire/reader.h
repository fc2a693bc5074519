/* wire/reader.h — reads Kafka's primitives from bytes that cannot be trusted.
 *
 * Happy path: a caller reads field after field and asks once, at the end, how it went
 * (rl_rd_done).  Strings, bytes and records come back as slices of the input, never copied.
 * Failures: the first bad byte sets a sticky status and moves `at` to the end, so every later
 * read returns zero, an empty slice or no elements, and loops stop by themselves.
 * No count is believed beyond what the remaining bytes could hold. */
#ifndef RL_WIRE_READER_H
#define RL_WIRE_READER_H

#include "core/arena.h"
#include "core/base.h"
#include "core/slice.h"
#include "core/status.h"

#include <string.h>

#define RL_STRING_BYTES_MAX 32767       /* Kafka refuses longer strings in every version */
#define RL_UVARINT_BYTES_MAX 5          /* 32 bits */
#define RL_UVARLONG_BYTES_MAX 10        /* 64 bits */

struct rl_reader {
    const uint8_t *at;                  /* next byte; == end after an error */
    const uint8_t *end;
    rl_status st;                       /* sticky: the first failure */
};

/* Read from `input`, which must outlive every slice that is read from it. */
static inline struct rl_reader rl_rd_of(struct rl_slice input)
{
    const uint8_t *data = input.data != NULL ? input.data : (const uint8_t *)"";
    return (struct rl_reader){ .at = data, .end = data + input.bytes, .st = RL_OK };
}

/* Note a failure; only the first one is kept. */
static inline void rl_rd_fail(struct rl_reader *r, rl_status st)
{
    if (r->st == RL_OK)
        r->st = st;
    r->at = r->end;
}

/* RL_OK, or the first failure of all reads so far.  Trailing bytes are the caller's affair
 * (rl_rd_remaining). */
static inline rl_status rl_rd_done(const struct rl_reader *r)
{
    return r->st;
}

static inline size_t rl_rd_remaining(const struct rl_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next `bytes` bytes, or NULL with RL_ETRUNCATED noted. */
static inline const uint8_t *rl_rd_raw(struct rl_reader *r, size_t bytes)
{
    if (RL_UNLIKELY(rl_rd_remaining(r) < bytes)) {
        rl_rd_fail(r, RL_ETRUNCATED);
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += bytes;
    return p;
}

static inline uint16_t rl_rd_u16(struct rl_reader *r)
{
    const uint8_t *p = rl_rd_raw(r, 2);
    uint16_t v = 0;
    if (RL_LIKELY(p != NULL))
        memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t rl_rd_u32(struct rl_reader *r)
{
    const uint8_t *p = rl_rd_raw(r, 4);
    uint32_t v = 0;
    if (RL_LIKELY(p != NULL))
        memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t rl_rd_u64(struct rl_reader *r)
{
    const uint8_t *p = rl_rd_raw(r, 8);
    uint64_t v = 0;
    if (RL_LIKELY(p != NULL))
        memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline int8_t rl_rd_i8(struct rl_reader *r)
{
    const uint8_t *p = rl_rd_raw(r, 1);
    return RL_LIKELY(p != NULL) ? (int8_t)*p : 0;
}

static inline int16_t rl_rd_i16(struct rl_reader *r) { return (int16_t)rl_rd_u16(r); }
static inline int32_t rl_rd_i32(struct rl_reader *r) { return (int32_t)rl_rd_u32(r); }
static inline int64_t rl_rd_i64(struct rl_reader *r) { return (int64_t)rl_rd_u64(r); }
/* Any nonzero byte is true, as in Kafka. */
static inline bool rl_rd_bool(struct rl_reader *r) { return rl_rd_i8(r) != 0; }

static inline double rl_rd_f64(struct rl_reader *r)
{
    uint64_t bits = rl_rd_u64(r);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline struct rl_uuid rl_rd_uuid(struct rl_reader *r)
{
    struct rl_uuid id = { { 0 } };
    const uint8_t *p = rl_rd_raw(r, sizeof id.bytes);
    if (RL_LIKELY(p != NULL))
        memcpy(id.bytes, p, sizeof id.bytes);
    return id;
}

uint32_t rl_rd_uvarint_long(struct rl_reader *r);   /* the rest of rl_rd_uvarint */

/* Unsigned varint of 32 bits, at most 5 bytes; RL_EMALFORMED beyond.  Source: KIP-482. */
static inline uint32_t rl_rd_uvarint(struct rl_reader *r)
{
    if (RL_LIKELY(r->at < r->end && *r->at < 0x80))
        return *r->at++;
    return rl_rd_uvarint_long(r);
}

/* Unsigned varint of 64 bits, at most 10 bytes; RL_EMALFORMED beyond. */
uint64_t rl_rd_uvarlong(struct rl_reader *r);

/* Zig-zag varints, as in records (KIP-98). */
static inline int32_t rl_rd_varint(struct rl_reader *r)
{
    uint32_t v = rl_rd_uvarint(r);
    return (int32_t)(v >> 1 ^ (0u - (v & 1)));
}

static inline int64_t rl_rd_varlong(struct rl_reader *r)
{
    uint64_t v = rl_rd_uvarlong(r);
    return (int64_t)(v >> 1 ^ (UINT64_C(0) - (v & 1)));
}

/* A length or count that may be null: -1 for null, negative never else.  In flexible versions
 * an uvarint of length + 1, before that a big-endian integer (16 bits: strings; 32: the rest). */
static inline int32_t rl_rd_length(struct rl_reader *r, bool flexible, bool nullable, bool is_short)
{
    int64_t length;
    if (flexible)
        length = (int64_t)rl_rd_uvarint(r) - 1;
    else
        length = is_short ? rl_rd_i16(r) : rl_rd_i32(r);
    if (RL_UNLIKELY(r->st != RL_OK))
        return nullable ? -1 : 0;
    if (RL_UNLIKELY(length < (nullable ? -1 : 0) || length > INT32_MAX)) {
        rl_rd_fail(r, RL_EMALFORMED);
        return nullable ? -1 : 0;
    }
    return (int32_t)length;
}

/* `length` bytes, -1 for null.  data != NULL unless it is null or the read failed. */
static inline struct rl_slice rl_rd_slice(struct rl_reader *r, int32_t length)
{
    if (length < 0)
        return (struct rl_slice){ NULL, 0 };
    const uint8_t *p = rl_rd_raw(r, (size_t)length);
    return (struct rl_slice){ p, p != NULL ? (size_t)length : 0 };
}

/* string, compact string and their nullable forms.  UTF-8 is not checked. */
static inline struct rl_slice rl_rd_string(struct rl_reader *r, bool flexible, bool nullable)
{
    int32_t length = rl_rd_length(r, flexible, nullable, true);
    if (RL_UNLIKELY(length > RL_STRING_BYTES_MAX)) {
        rl_rd_fail(r, RL_EMALFORMED);
        length = -1;
    }
    return rl_rd_slice(r, length);
}

/* bytes and records, compact or not, nullable or not. */
static inline struct rl_slice rl_rd_bytes(struct rl_reader *r, bool flexible, bool nullable)
{
    return rl_rd_slice(r, rl_rd_length(r, flexible, nullable, false));
}

/* The count of an array and memory for it: the count is believed only if the remaining bytes
 * could hold it at element_bytes_min wire bytes each; count * struct_bytes come from the arena,
 * not zeroed (NULL when there are none).  *ret_count is -1 for null, 0 on failure (noted:
 * RL_ETRUNCATED, RL_EMALFORMED, RL_ENOMEM). */
static inline void *rl_rd_array(struct rl_reader *r, struct rl_arena *arena, bool flexible,
                                bool nullable, size_t element_bytes_min, size_t struct_bytes,
                                int32_t *ret_count)
{
    int32_t count = rl_rd_length(r, flexible, nullable, false);
    *ret_count = count;
    if (count <= 0)
        return NULL;
    if (RL_UNLIKELY((uint64_t)count * element_bytes_min > rl_rd_remaining(r))) {
        rl_rd_fail(r, RL_ETRUNCATED);
        *ret_count = 0;
        return NULL;
    }
    void *items = rl_arena_alloc(arena, (size_t)count * struct_bytes);
    if (RL_UNLIKELY(items == NULL)) {
        rl_rd_fail(r, RL_ENOMEM);
        *ret_count = 0;
    }
    return items;
}

/* Memory for a nullable struct, written as a byte: negative is null, else the struct follows.
 * NULL for null and on failure. */
static inline void *rl_rd_optional(struct rl_reader *r, struct rl_arena *arena, size_t struct_bytes)
{
    if (rl_rd_i8(r) < 0 || r->st != RL_OK)
        return NULL;
    void *item = rl_arena_alloc(arena, struct_bytes);
    if (RL_UNLIKELY(item == NULL))
        rl_rd_fail(r, RL_ENOMEM);
    return item;
}

/* A walk over the tagged fields that end every struct of a flexible version (KIP-482).  While
 * rl_rd_tags_next is true, the reader is narrowed to the bytes of the field `tag`; they must
 * all be read, or skipped by rl_rd_skip.  Tags must ascend. */
struct rl_rd_tags {
    const uint8_t *outer_end;           /* the reader's own end */
    int64_t tag;                        /* of the current field, -1 before the first */
    uint32_t left;                      /* fields not yet begun */
};

static inline struct rl_rd_tags rl_rd_tags_begin(struct rl_reader *r)
{
    struct rl_rd_tags tags = { .outer_end = r->end, .tag = -1 };
    tags.left = rl_rd_uvarint(r);
    return tags;
}

bool rl_rd_tags_next_field(struct rl_reader *r, struct rl_rd_tags *tags);

static inline bool rl_rd_tags_next(struct rl_reader *r, struct rl_rd_tags *tags)
{
    if (RL_LIKELY(tags->left == 0 && tags->tag < 0))
        return false;
    return rl_rd_tags_next_field(r, tags);
}

/* Skip what is left of the reader, or of the tagged field it is narrowed to. */
static inline void rl_rd_skip(struct rl_reader *r)
{
    r->at = r->end;
}

/* Skip a tagged section of which no field is known. */
static inline void rl_rd_tags_skip(struct rl_reader *r)
{
    struct rl_rd_tags tags = rl_rd_tags_begin(r);
    while (rl_rd_tags_next(r, &tags))
        rl_rd_skip(r);
}

#endif

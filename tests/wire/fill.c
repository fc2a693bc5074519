/* tests/wire/fill.c — values for every field of every message. */
#include "tests/wire/fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG_COUNT 130                  /* a length of two varint bytes */

const char *rl_fill_kind_name(enum rl_fill_kind kind)
{
    static const char *const names[RL_FILL_KINDS] = {
        "default", "minimum", "typical", "maximum", "random"
    };
    return names[kind];
}

/* splitmix64 */
static uint64_t fill_random(struct rl_fill *fill)
{
    uint64_t z = fill->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

bool rl_fill_wants(const struct rl_fill *fill)
{
    return fill->kind != RL_FILL_DEFAULT;
}

/* A number of `bits` bits; the caller casts. */
static uint64_t fill_number(struct rl_fill *fill, unsigned bits, bool is_signed)
{
    uint64_t most = is_signed ? (UINT64_C(1) << (bits - 1)) - 1 : UINT64_MAX >> (64 - bits);
    switch (fill->kind) {
    case RL_FILL_MINIMUM:
        return is_signed ? ~most : 0;
    case RL_FILL_MAXIMUM:
        return most;
    case RL_FILL_RANDOM: {
        uint64_t v = fill_random(fill);
        return v & 1 ? v >> 1 : (uint64_t)(v >> 1) % 5 - 1;
    }
    case RL_FILL_DEFAULT:
    case RL_FILL_TYPICAL:
    case RL_FILL_KINDS:
        break;
    }
    uint64_t v = ++fill->state;
    return bits == 8 ? v % 100 + 1 : bits == 16 ? v + 1000 : bits == 32 ? v + 70000
        : v + UINT64_C(5000000000);
}

bool rl_fill_bool(struct rl_fill *fill)
{
    if (fill->kind == RL_FILL_RANDOM)
        return fill_random(fill) & 1;
    return fill->kind != RL_FILL_MINIMUM;
}

int8_t rl_fill_i8(struct rl_fill *fill) { return (int8_t)fill_number(fill, 8, true); }
int16_t rl_fill_i16(struct rl_fill *fill) { return (int16_t)fill_number(fill, 16, true); }
uint16_t rl_fill_u16(struct rl_fill *fill) { return (uint16_t)fill_number(fill, 16, false); }
int32_t rl_fill_i32(struct rl_fill *fill) { return (int32_t)fill_number(fill, 32, true); }
uint32_t rl_fill_u32(struct rl_fill *fill) { return (uint32_t)fill_number(fill, 32, false); }
int64_t rl_fill_i64(struct rl_fill *fill) { return (int64_t)fill_number(fill, 64, true); }
double rl_fill_f64(struct rl_fill *fill) { return (double)rl_fill_i32(fill) / 3; }

struct rl_uuid rl_fill_uuid(struct rl_fill *fill)
{
    struct rl_uuid id;
    for (size_t i = 0; i < sizeof id.bytes; i++)
        id.bytes[i] = (uint8_t)fill_number(fill, 8, false);
    return id;
}

static struct rl_slice fill_run(struct rl_fill *fill, size_t bytes, const char *pattern)
{
    size_t length = strlen(pattern);
    uint8_t *data = rl_arena_alloc(fill->arena, bytes + 1);
    RL_ASSERT(data != NULL);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)pattern[i % length];
    return rl_slice_of(data, bytes);
}

struct rl_slice rl_fill_string(struct rl_fill *fill, bool nullable)
{
    char text[64];
    switch (fill->kind) {
    case RL_FILL_MINIMUM:
        return nullable ? (struct rl_slice){ NULL, 0 } : rl_slice_of("", 0);
    case RL_FILL_MAXIMUM:
        if (fill->has_long_string)
            return rl_slice_of("~", 1);
        fill->has_long_string = true;
        return fill_run(fill, LONG_COUNT, "long");
    case RL_FILL_RANDOM: {
        uint64_t v = fill_random(fill);
        if (nullable && v % 4 == 0)
            return (struct rl_slice){ NULL, 0 };
        return fill_run(fill, v % 64 == 1 ? RL_STRING_BYTES_MAX : v % 150, "Rabc\"\\\n");
    }
    case RL_FILL_DEFAULT:
    case RL_FILL_TYPICAL:
    case RL_FILL_KINDS:
        break;
    }
    ++fill->state;
    /* every third one with a character of two UTF-8 bytes */
    int length = snprintf(text, sizeof text, fill->state % 3 ? "s%" PRIu64 : "\xc3\xa9%" PRIu64,
                          fill->state);
    return fill_run(fill, (size_t)length, text);
}

struct rl_slice rl_fill_bytes(struct rl_fill *fill, bool nullable)
{
    switch (fill->kind) {
    case RL_FILL_MINIMUM:
        return nullable ? (struct rl_slice){ NULL, 0 } : rl_slice_of("", 0);
    case RL_FILL_RANDOM: {
        uint64_t v = fill_random(fill);
        if (nullable && v % 4 == 0)
            return (struct rl_slice){ NULL, 0 };
        return fill_run(fill, v % 64 == 1 ? 100000 : v % 300, "\x01\xff\x80z");
    }
    case RL_FILL_MAXIMUM:
        if (fill->has_long_bytes)
            return fill_run(fill, 1, "\xff");
        fill->has_long_bytes = true;
        return fill_run(fill, LONG_COUNT, "\xff");
    case RL_FILL_DEFAULT:
    case RL_FILL_TYPICAL:
    case RL_FILL_KINDS:
        break;
    }
    return fill_run(fill, 3 + ++fill->state % 5, "\x01\x02\x03\xf0");
}

struct rl_slice rl_fill_records(struct rl_fill *fill, bool nullable)
{
    return rl_fill_bytes(fill, nullable);
}

int32_t rl_fill_count(struct rl_fill *fill, bool nullable, bool is_primitive)
{
    switch (fill->kind) {
    case RL_FILL_DEFAULT:
        return is_primitive ? 0 : 1;
    case RL_FILL_MINIMUM:
        return nullable ? -1 : 0;
    case RL_FILL_MAXIMUM:
        if (!is_primitive || fill->has_long_array)
            return 2;
        fill->has_long_array = true;
        return LONG_COUNT;
    case RL_FILL_RANDOM:
        return (int32_t)(fill_random(fill) % 4) - (nullable ? 1 : 0);
    case RL_FILL_TYPICAL:
    case RL_FILL_KINDS:
        break;
    }
    return ++fill->state % 2 ? 2 : 1;
}

void *rl_fill_items(struct rl_fill *fill, int32_t count, size_t struct_bytes)
{
    if (count <= 0)
        return NULL;
    void *items = rl_arena_alloc_array(fill->arena, (size_t)count, struct_bytes);
    RL_ASSERT(items != NULL);
    return items;
}

bool rl_fill_is_there(struct rl_fill *fill)
{
    if (fill->kind == RL_FILL_RANDOM)
        return fill_random(fill) & 1;
    return fill->kind != RL_FILL_MINIMUM && fill->kind != RL_FILL_DEFAULT;
}

void *rl_fill_new(struct rl_fill *fill, const struct rl_fill_message *message, int16_t version)
{
    void *msg = rl_arena_alloc_array(fill->arena, 1, message->codec.struct_bytes);
    RL_ASSERT(msg != NULL);
    message->fill(fill, version, msg);
    return msg;
}

struct rl_slice rl_fill_encode(const struct rl_fill_message *message, int16_t version,
                               const void *msg)
{
    size_t bytes = message->codec.size(version, msg);
    uint8_t *buffer = malloc(bytes > 0 ? bytes : 1);
    RL_ASSERT(buffer != NULL);
    struct rl_writer w = rl_wr_of(buffer, bytes);
    message->codec.encode(&w, version, msg);
    RL_ASSERT(rl_wr_done(&w) == RL_OK);
    RL_ASSERT(rl_wr_bytes(&w) == bytes);
    return rl_slice_of(buffer, bytes);
}

char *rl_fill_print(const struct rl_fill_message *message, int16_t version, const void *msg)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    RL_ASSERT(out != NULL);
    message->codec.print(out, version, msg);
    RL_ASSERT(fclose(out) == 0);
    return text;
}

/* tests/wire/fill.h — values for every field of every message.
 *
 * generate_fill.py writes, from the schema, a function per message that asks this file for one
 * value after the other (message_fill.c); what comes is the fill's kind.  Everything lives in
 * the fill's arena.  tests/fuzz/draw.c answers the same questions from a fuzzer's input. */
#ifndef RL_TESTS_WIRE_FILL_H
#define RL_TESTS_WIRE_FILL_H

#include "wire/api_table.h"

enum rl_fill_kind {
    RL_FILL_DEFAULT,                    /* defaults; arrays of one element */
    RL_FILL_MINIMUM,                    /* least numbers, empty strings and arrays, nulls */
    RL_FILL_TYPICAL,                    /* every field another value, nothing null */
    RL_FILL_MAXIMUM,                    /* greatest numbers, one long string, bytes and array */
    RL_FILL_RANDOM,                     /* anything, from the seed */
    RL_FILL_KINDS
};

struct rl_fill {
    enum rl_fill_kind kind;
    uint64_t state;                     /* random: the seed; else counts the values */
    struct rl_arena *arena;
    bool has_long_string, has_long_bytes, has_long_array;    /* maximum: no more of them */
    const char *object, *field;         /* what is asked for: "topic" ("": the message), "name" */
};

static inline void rl_fill_at(struct rl_fill *fill, const char *object, const char *field)
{
    fill->object = object;
    fill->field = field;
}

const char *rl_fill_kind_name(enum rl_fill_kind kind);

/* Does this fill set single fields, or leave them at their defaults? */
bool rl_fill_wants(const struct rl_fill *fill);
bool rl_fill_bool(struct rl_fill *fill);
int8_t rl_fill_i8(struct rl_fill *fill);
int16_t rl_fill_i16(struct rl_fill *fill);
uint16_t rl_fill_u16(struct rl_fill *fill);
int32_t rl_fill_i32(struct rl_fill *fill);
uint32_t rl_fill_u32(struct rl_fill *fill);
int64_t rl_fill_i64(struct rl_fill *fill);
double rl_fill_f64(struct rl_fill *fill);
struct rl_uuid rl_fill_uuid(struct rl_fill *fill);
struct rl_slice rl_fill_string(struct rl_fill *fill, bool nullable);     /* UTF-8 */
struct rl_slice rl_fill_bytes(struct rl_fill *fill, bool nullable);
struct rl_slice rl_fill_records(struct rl_fill *fill, bool nullable);
/* An array's count, -1 for null, and its memory. */
int32_t rl_fill_count(struct rl_fill *fill, bool nullable, bool is_primitive);
void *rl_fill_items(struct rl_fill *fill, int32_t count, size_t struct_bytes);
/* Is a nullable struct there? */
bool rl_fill_is_there(struct rl_fill *fill);

/* One message of the schema, headers and the test's own schema included. */
struct rl_fill_message {
    const char *api;                    /* the schema file's stem: "produce" */
    const char *side;                   /* "request", "response" or "header" */
    int16_t key;                        /* -1 for headers */
    int16_t min_version, max_version, flexible_since;
    struct rl_message_info codec;
    void (*fill)(struct rl_fill *fill, int16_t version, void *msg);
};

extern const struct rl_fill_message rl_fill_messages[];
extern const size_t rl_fill_messages_count;

/* A new message filled in, from the fill's arena. */
void *rl_fill_new(struct rl_fill *fill, const struct rl_fill_message *message, int16_t version);
/* Encode into memory from malloc of exactly codec.size bytes; aborts when the size is wrong. */
struct rl_slice rl_fill_encode(const struct rl_fill_message *message, int16_t version,
                               const void *msg);
/* The message's JSON, from malloc. */
char *rl_fill_print(const struct rl_fill_message *message, int16_t version, const void *msg);

#endif

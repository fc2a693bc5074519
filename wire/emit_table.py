"""wire/emit_table.py - writes the C table of all APIs: one row each, generic functions.

Generic functions take void *, so each row has a thunk of the right type (a call through a cast
function pointer would be undefined).
"""
from schema_notation import NEVER

VERBS = ("init", "decode", "encode", "size", "print")

HEADER = """\
/* wire/api_table.h - every API that the codec knows, generated from wire/schema/.
 *
 * For the dispatcher, the tests and the fuzzers: one row per API with its versions, and the
 * codec of its messages as functions over void *.  Constant data; any thread. */
#ifndef RL_WIRE_API_TABLE_H
#define RL_WIRE_API_TABLE_H

#include "wire/reader.h"
#include "wire/writer.h"

#include <stdio.h>

/* Kafka's API keys. */
enum rl_api_key {
%(keys)s
};

#define RL_API_COUNT %(count)d
#define RL_API_KEY_MAX %(max)d
#define RL_NEVER_FLEXIBLE INT16_MAX

/* A message's codec; as the functions of the same names in wire/msg_<api>.h. */
struct rl_message_info {
    const char *name;                   /* "ProduceRequest" */
    size_t struct_bytes;                /* sizeof the message's struct */
    void (*init)(void *msg);
    rl_status (*decode)(struct rl_reader *r, int16_t version, struct rl_arena *arena, void *ret_msg);
    void (*encode)(struct rl_writer *w, int16_t version, const void *msg);
    size_t (*size)(int16_t version, const void *msg);
    void (*print)(FILE *out, int16_t version, const void *msg);
};

struct rl_api_info {
    int16_t key;
    int16_t min_version, max_version;
    int16_t flexible_since;             /* RL_NEVER_FLEXIBLE where no version is */
    const char *name;                   /* Kafka's: "Produce" */
    struct rl_message_info request, response;
};

/* Rows in the order of their keys. */
extern const struct rl_api_info rl_api_table[RL_API_COUNT];

/* The row of an API, NULL when the codec does not know the key. */
const struct rl_api_info *rl_api_find(int16_t key);

#endif
"""

THUNKS = """\
static void %(m)s_init(void *msg)
{
    rl_%(m)s_init(msg);
}

static rl_status %(m)s_decode(struct rl_reader *r, int16_t version, struct rl_arena *arena,
                              void *ret_msg)
{
    return rl_%(m)s_decode(r, version, arena, ret_msg);
}

static void %(m)s_encode(struct rl_writer *w, int16_t version, const void *msg)
{
    rl_%(m)s_encode(w, version, msg);
}

static size_t %(m)s_size(int16_t version, const void *msg)
{
    return rl_%(m)s_size(version, msg);
}

static void %(m)s_print(FILE *out, int16_t version, const void *msg)
{
    rl_%(m)s_print(out, version, msg);
}
"""

FIND = """\
static const uint8_t api_row_of_key[RL_API_KEY_MAX + 1] = {     /* row + 1; 0: unknown */
%s
};

const struct rl_api_info *rl_api_find(int16_t key)
{
    if (key < 0 || key > RL_API_KEY_MAX || api_row_of_key[key] == 0)
        return NULL;
    return &rl_api_table[api_row_of_key[key] - 1];
}
"""


def key_name(api):
    return "RL_API_" + api.stem.upper()


def table_header(apis):
    keys = "\n".join(f"    {key_name(a)} = {a.key}," for a in apis)
    return HEADER % {"keys": keys, "count": len(apis), "max": max(a.key for a in apis)}


def table_source(apis):
    lines = ["/* wire/api_table.c - the table of all APIs; generated from wire/schema/. */",
             '#include "wire/api_table.h"']
    lines += [f'#include "wire/msg_{a.stem}.h"' for a in sorted(apis, key=lambda a: a.stem)] + [""]
    rows = []
    for api in apis:
        flexible = "RL_NEVER_FLEXIBLE" if api.flexible == NEVER else str(api.flexible)
        rows += ["    {", f"        .key = {key_name(api)},",
                 f"        .min_version = {api.since}, .max_version = {api.until}, "
                 f".flexible_since = {flexible},", f'        .name = "{api.name}",']
        for message, side in zip(api.messages, ("request", "response")):
            short = message.name[3:]
            lines.append(THUNKS % {"m": short})
            verbs = ", ".join(f".{v} = {short}_{v}" for v in VERBS[:3])
            rows += [f"        .{side} = {{",
                     f'            .name = "{api.name}{side.capitalize()}", '
                     f".struct_bytes = sizeof(struct {message.name}),",
                     f"            {verbs},",
                     f"            .size = {short}_size, .print = {short}_print,", "        },"]
        rows.append("    },")
    lines += ["const struct rl_api_info rl_api_table[RL_API_COUNT] = {", *rows, "};", ""]
    lines.append(FIND % "\n".join(f"    [{key_name(a)}] = {n + 1}," for n, a in enumerate(apis)))
    return "\n".join(lines)

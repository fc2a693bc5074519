/* wire/message_print.h — values as JSON, for the generated print functions.
 *
 * For people and tests, not for speed.  Bytes of a string outside printable ASCII become
 * \u00xx, byte by byte, so that no client can write control sequences into a terminal. */
#ifndef RL_WIRE_MESSAGE_PRINT_H
#define RL_WIRE_MESSAGE_PRINT_H

#include "core/slice.h"

#include <stdio.h>

/* `"key": `, with a comma before it unless *first, which is cleared. */
void rl_print_key(FILE *out, bool *first, const char *key);
void rl_print_bool(FILE *out, bool value);
void rl_print_f64(FILE *out, double value);
void rl_print_uuid(FILE *out, struct rl_uuid id);
/* A quoted string; null where it is null and may be. */
void rl_print_string(FILE *out, bool nullable, struct rl_slice s);
/* Hexadecimal digits, quoted. */
void rl_print_bytes(FILE *out, bool nullable, struct rl_slice s);
/* The byte count. */
void rl_print_records(FILE *out, bool nullable, struct rl_slice s);

#endif

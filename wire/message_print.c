/* wire/message_print.c — values as JSON, for the generated print functions. */
#include "wire/message_print.h"

#include <inttypes.h>

void rl_print_key(FILE *out, bool *first, const char *key)
{
    fprintf(out, "%s\"%s\": ", *first ? "" : ", ", key);
    *first = false;
}

void rl_print_bool(FILE *out, bool value)
{
    fputs(value ? "true" : "false", out);
}

void rl_print_f64(FILE *out, double value)
{
    fprintf(out, "%.17g", value);
}

void rl_print_uuid(FILE *out, struct rl_uuid id)
{
    char text[RL_UUID_TEXT_BYTES];
    rl_uuid_format(id, text);
    fprintf(out, "\"%s\"", text);
}

void rl_print_string(FILE *out, bool nullable, struct rl_slice s)
{
    if (nullable && s.data == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < s.bytes; i++) {
        uint8_t c = s.data[i];
        if (c < 0x20 || c > 0x7e)
            fprintf(out, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

void rl_print_bytes(FILE *out, bool nullable, struct rl_slice s)
{
    if (nullable && s.data == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (size_t i = 0; i < s.bytes; i++)
        fprintf(out, "%02x", s.data[i]);
    fputc('"', out);
}

void rl_print_records(FILE *out, bool nullable, struct rl_slice s)
{
    if (nullable && s.data == NULL && s.bytes == 0)
        fputs("null", out);
    else
        fprintf(out, "%zu", s.bytes);
}

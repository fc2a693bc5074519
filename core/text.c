/* core/text.c — growing text; the capacity doubles, so appending is linear. */
#include "core/text.h"
#include "core/memory.h"
#include <stdio.h>

#define TEXT_BYTES_MIN 64u

void rl_text_done(struct rl_text *text)
{
    rl_free(text->data);
    *text = (struct rl_text){ 0 };
}

void rl_text_clear(struct rl_text *text)
{
    text->bytes = 0;
    if (text->data != NULL)
        text->data[0] = '\0';
}

char *rl_text_reserve(struct rl_text *text, size_t bytes)
{
    size_t need;

    if (__builtin_add_overflow(text->bytes + 1, bytes, &need))
        rl_panic(__FILE__, __LINE__, "text of %zu more bytes", bytes);
    if (need > text->capacity) {
        text->capacity = RL_MAX(RL_MAX(need, text->capacity * 2), TEXT_BYTES_MIN);
        text->data = rl_realloc(text->data, text->capacity);
    }
    return text->data + text->bytes;
}

void rl_text_append(struct rl_text *text, const void *data, size_t bytes)
{
    char *to = rl_text_reserve(text, bytes);

    if (bytes != 0)
        memcpy(to, data, bytes);
    to[bytes] = '\0';
    text->bytes += bytes;
}

void rl_text_append_string(struct rl_text *text, const char *s)
{
    rl_text_append(text, s, strlen(s));
}

void rl_text_append_char(struct rl_text *text, char c)
{
    rl_text_append(text, &c, 1);
}

void rl_text_printf(struct rl_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    rl_text_vprintf(text, format, args);
    va_end(args);
}

void rl_text_vprintf(struct rl_text *text, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    char *to = rl_text_reserve(text, TEXT_BYTES_MIN);
    int length = vsnprintf(to, text->capacity - text->bytes, format, args);
    RL_ASSERT(length >= 0);
    if ((size_t)length >= text->capacity - text->bytes) {
        to = rl_text_reserve(text, (size_t)length);
        vsnprintf(to, text->capacity - text->bytes, format, again);
    }
    va_end(again);
    text->bytes += (size_t)length;
}

const char *rl_text_string(const struct rl_text *text)
{
    return text->data != NULL ? text->data : "";
}

char *rl_text_take(struct rl_text *text)
{
    rl_text_reserve(text, 0)[0] = '\0';
    char *data = text->data;
    *text = (struct rl_text){ 0 };
    return data;
}

/* core/text.h — a growing run of bytes, kept NUL-terminated: log lines, JSON, tables. */
#ifndef RL_CORE_TEXT_H
#define RL_CORE_TEXT_H

#include "core/slice.h"

/* All zero is an empty text.  data is NULL until the first append. */
struct rl_text {
    char *data;
    size_t bytes;                       /* without the NUL */
    size_t capacity;
};

void rl_text_done(struct rl_text *text);
/* Forget the content, keep the memory. */
void rl_text_clear(struct rl_text *text);
/* Make room for `bytes` more bytes and the NUL; returns where they go. */
char *rl_text_reserve(struct rl_text *text, size_t bytes);
void rl_text_append(struct rl_text *text, const void *data, size_t bytes);
void rl_text_append_string(struct rl_text *text, const char *s);
void rl_text_append_char(struct rl_text *text, char c);
void rl_text_printf(struct rl_text *text, const char *format, ...) RL_PRINTF(2, 3);
void rl_text_vprintf(struct rl_text *text, const char *format, va_list args) RL_PRINTF(2, 0);
/* The content as a string, never NULL; valid until the next change. */
const char *rl_text_string(const struct rl_text *text);
/* The memory, to be freed with rl_free; the text is empty afterwards.  Never NULL. */
char *rl_text_take(struct rl_text *text) RL_MUST_USE;
static inline struct rl_slice rl_text_slice(const struct rl_text *text)
{
    return rl_slice_of(text->data, text->bytes);
}

#endif

/* broker/config_properties.c — Java's .properties format.
 *
 * A natural line ends with \n, \r or \r\n.  Blank ones and those that begin with # or ! are
 * skipped.  A logical line is a natural line plus, after an odd number of \ at its end, the next
 * one without its leading blanks.  The key ends at the first unescaped =, : or blank; after it
 * blanks, one = or :, and blanks are skipped; everything else, blanks at the end too, is the value.
 * \t \n \r \f and \uXXXX (UTF-16, pairs joined) are escapes, any other \c is c.
 * Malformed: bad \u, half a surrogate pair, NUL, bytes that are not UTF-8, an empty key. */
#include "broker/config_properties.h"

#define END_OF_LINE (-1)
#define BACKSLASH   '\\'

void rl_properties_init(struct rl_properties *properties, struct rl_slice text)
{
    if (text.bytes >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        text = rl_slice_of(text.data + 3, text.bytes - 3);
    *properties = (struct rl_properties){ .rest = text, .next_line = 1 };
}

void rl_properties_done(struct rl_properties *properties)
{
    rl_text_done(&properties->key);
    rl_text_done(&properties->value);
}

static void skip_bytes(struct rl_properties *p, size_t bytes)
{
    p->rest = rl_slice_of(p->rest.data + bytes, p->rest.bytes - bytes);
}

/* Bytes of the line end at data[at]: 0 (none), 1 or 2. */
static size_t line_end_bytes(struct rl_slice text, size_t at)
{
    if (at >= text.bytes || (text.data[at] != '\n' && text.data[at] != '\r'))
        return 0;
    return text.data[at] == '\r' && at + 1 < text.bytes && text.data[at + 1] == '\n' ? 2 : 1;
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static void skip_blanks(struct rl_properties *p)
{
    while (p->rest.bytes > 0 && is_blank(p->rest.data[0]))
        skip_bytes(p, 1);
}

static void skip_natural_line(struct rl_properties *p)
{
    size_t at = 0;
    while (at < p->rest.bytes && line_end_bytes(p->rest, at) == 0)
        at++;
    size_t end = line_end_bytes(p->rest, at);
    p->next_line += end > 0;
    skip_bytes(p, at + end);
}

/* A \ before a line end (or the end of the text) joins the next line: skip it and its blanks. */
static void skip_joins(struct rl_properties *p)
{
    while (p->rest.bytes > 0 && p->rest.data[0] == BACKSLASH) {
        size_t end = line_end_bytes(p->rest, 1);
        if (end == 0 && p->rest.bytes > 1)
            return;
        p->next_line += end > 0;
        skip_bytes(p, 1 + end);
        skip_blanks(p);
    }
}

/* The next raw byte of the logical line, or END_OF_LINE. */
static int peek(struct rl_properties *p)
{
    skip_joins(p);
    if (p->rest.bytes == 0 || line_end_bytes(p->rest, 0) > 0)
        return END_OF_LINE;
    return p->rest.data[0];
}

static int take(struct rl_properties *p)
{
    int c = peek(p);
    if (c != END_OF_LINE)
        skip_bytes(p, 1);
    return c;
}

/* The byte after a \ that joins nothing: it stands for itself, also when it is a \ . */
static int take_escaped(struct rl_properties *p)
{
    RL_ASSERT(p->rest.bytes > 0);
    int c = p->rest.data[0];
    skip_bytes(p, 1);
    return c;
}

/* To the first byte of a setting.  False at the end of the text. */
static bool skip_to_setting(struct rl_properties *p)
{
    for (;;) {
        skip_blanks(p);
        if (p->rest.bytes == 0)
            return false;
        bool comment = p->rest.data[0] == '#' || p->rest.data[0] == '!';
        if (!comment && peek(p) != END_OF_LINE)
            return true;
        skip_natural_line(p);
    }
}

static void append_code_point(struct rl_text *text, uint32_t c)
{
    if (c < 0x80) {
        rl_text_append_char(text, (char)c);
        return;
    }
    if (c < 0x800) {
        rl_text_append_char(text, (char)(0xc0 | c >> 6));
    } else {
        if (c < 0x10000) {
            rl_text_append_char(text, (char)(0xe0 | c >> 12));
        } else {
            rl_text_append_char(text, (char)(0xf0 | c >> 18));
            rl_text_append_char(text, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        rl_text_append_char(text, (char)(0x80 | (c >> 6 & 0x3f)));
    }
    rl_text_append_char(text, (char)(0x80 | (c & 0x3f)));
}

/* XXXX of \uXXXX; negative when malformed. */
static int32_t take_hex(struct rl_properties *p)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(p);
        int digit = c >= '0' && c <= '9' ? c - '0'
                  : c >= 'a' && c <= 'f' ? c - 'a' + 10
                  : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0)
            return -1;
        take(p);
        value = value * 16 + digit;
    }
    return value;
}

static const char *read_unicode(struct rl_properties *p, struct rl_text *text)
{
    int32_t c = take_hex(p);
    if (c < 0)
        return "\\u must be followed by four hexadecimal digits";
    if (c == 0)
        return "a NUL character is not allowed";
    if (c >= 0xdc00 && c <= 0xdfff)
        return "\\u names half a surrogate pair";
    if (c >= 0xd800 && c <= 0xdbff) {
        int32_t low = peek(p) == BACKSLASH && take(p) && take_escaped(p) == 'u' ? take_hex(p) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return "\\u names half a surrogate pair";
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    append_code_point(text, (uint32_t)c);
    return NULL;
}

/* What follows a \ . */
static const char *read_escape(struct rl_properties *p, struct rl_text *text)
{
    int c = take_escaped(p);
    switch (c) {
    case 'u': return read_unicode(p, text);
    case 't': rl_text_append_char(text, '\t'); return NULL;
    case 'n': rl_text_append_char(text, '\n'); return NULL;
    case 'r': rl_text_append_char(text, '\r'); return NULL;
    case 'f': rl_text_append_char(text, '\f'); return NULL;
    case 0:   return "a NUL character is not allowed";
    default:
        rl_text_append_char(text, (char)c);
        return NULL;
    }
}

/* Up to the end of the line or, in a key, to an unescaped =, : or blank.  NULL or a reason. */
static const char *read_part(struct rl_properties *p, struct rl_text *text, bool is_key)
{
    rl_text_clear(text);
    for (;;) {
        int c = peek(p);
        if (c == END_OF_LINE || (is_key && (c == '=' || c == ':' || is_blank(c))))
            return NULL;
        take(p);
        const char *reason = NULL;
        if (c == BACKSLASH)
            reason = read_escape(p, text);
        else if (c == 0)
            reason = "a NUL character is not allowed";
        else
            rl_text_append_char(text, (char)c);
        if (reason != NULL)
            return reason;
    }
}

static void skip_separator(struct rl_properties *p)
{
    bool seen = false;
    for (int c = peek(p); is_blank(c) || (!seen && (c == '=' || c == ':')); c = peek(p)) {
        seen = seen || !is_blank(c);
        take(p);
    }
}

/* Bytes of the UTF-8 sequence at the start of text; 0: malformed, overlong or a surrogate. */
static size_t utf8_sequence_bytes(struct rl_slice text)
{
    uint8_t first = text.data[0];
    size_t bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3
                 : first < 0xf5 ? 4 : 0;
    if (bytes > text.bytes)
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
    uint8_t second = bytes > 2 ? text.data[1] : 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    return bytes;
}

static bool is_utf8(struct rl_slice text)
{
    while (text.bytes > 0) {
        size_t bytes = utf8_sequence_bytes(text);
        if (bytes == 0)
            return false;
        text = rl_slice_of(text.data + bytes, text.bytes - bytes);
    }
    return true;
}

static const char *read_setting(struct rl_properties *p)
{
    const char *reason = read_part(p, &p->key, true);
    if (reason != NULL)
        return reason;
    skip_separator(p);
    reason = read_part(p, &p->value, false);
    if (reason != NULL)
        return reason;
    if (p->key.bytes == 0)
        return "there is no key before the separator";
    if (!is_utf8(rl_text_slice(&p->key)) || !is_utf8(rl_text_slice(&p->value)))
        return "the text is not UTF-8";
    return NULL;
}

rl_status rl_properties_next(struct rl_properties *properties, const char **ret_reason)
{
    if (!skip_to_setting(properties))
        return RL_ENOTFOUND;
    properties->line = properties->next_line;
    const char *reason = read_setting(properties);
    if (reason == NULL)
        return RL_OK;
    /* The rest of the logical line says nothing now. */
    for (int c = take(properties); c != END_OF_LINE; c = take(properties))
        if (c == BACKSLASH)
            take_escaped(properties);
    *ret_reason = reason;
    return RL_EMALFORMED;
}

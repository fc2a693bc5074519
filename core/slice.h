/* core/slice.h — a borrowed run of bytes, and Kafka's 128-bit ids. */
#ifndef RL_CORE_SLICE_H
#define RL_CORE_SLICE_H

#include "core/base.h"
#include <string.h>

/* Borrowed bytes; data == NULL means null where a protocol field may be null. */
struct rl_slice {
    const uint8_t *data;
    size_t bytes;
};

static inline struct rl_slice rl_slice_of(const void *data, size_t bytes)
{
    return (struct rl_slice){ .data = data, .bytes = bytes };
}
static inline struct rl_slice rl_slice_of_string(const char *s)
{
    return (struct rl_slice){ .data = (const uint8_t *)s, .bytes = s != NULL ? strlen(s) : 0 };
}
static inline bool rl_slice_equal(struct rl_slice a, struct rl_slice b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}
/* By bytes, a prefix before what it begins: < 0, 0, > 0. */
static inline int rl_slice_compare(struct rl_slice a, struct rl_slice b)
{
    size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = bytes > 0 ? memcmp(a.data, b.data, bytes) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}
static inline bool rl_slice_equal_string(struct rl_slice a, const char *s)
{
    return rl_slice_equal(a, rl_slice_of_string(s));
}

/* 16 raw bytes, as on the wire. */
struct rl_uuid {
    uint8_t bytes[16];
};

#define RL_UUID_TEXT_BYTES 23           /* base64url without padding, and a NUL */

static inline bool rl_uuid_equal(struct rl_uuid a, struct rl_uuid b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}
static inline bool rl_uuid_is_zero(struct rl_uuid id)
{
    return rl_uuid_equal(id, (struct rl_uuid){ { 0 } });
}
/* Kafka's text form of an id (22 characters of base64url) into text[RL_UUID_TEXT_BYTES]. */
void rl_uuid_format(struct rl_uuid id, char *text);
/* The reverse.  Returns RL_OK or RL_EMALFORMED (int to keep this header below status.h). */
int rl_uuid_parse(struct rl_slice text, struct rl_uuid *ret_id);

#endif

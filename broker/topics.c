/* broker/topics.c — texts and names for the topic APIs. */
#include "broker/topics.h"

#include "broker/dispatch.h"

#include <stdio.h>
#include <string.h>

bool rl_request_printf(struct rl_request *request, struct rl_slice *ret_text,
                       const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t bytes = length < 0 ? 0 : RL_MIN((size_t)length, sizeof text - 1);
    char *copy = rl_request_alloc(request, 1, bytes + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text, bytes);
    *ret_text = rl_slice_of(copy, bytes);
    return true;
}

bool rl_request_copy_name(struct rl_request *request, const char *name, struct rl_slice *ret_name)
{
    size_t bytes = strlen(name);
    char *copy = rl_request_alloc(request, 1, bytes + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, name, bytes);
    *ret_name = rl_slice_of(copy, bytes);
    return true;
}

const char *rl_request_string(struct rl_request *request, struct rl_slice text, bool *failed)
{
    if (text.data == NULL)
        return NULL;
    char *copy = rl_request_alloc(request, 1, text.bytes + 1);
    if (copy == NULL) {
        *failed = true;
        return NULL;
    }
    for (size_t i = 0; i < text.bytes; i++)
        copy[i] = text.data[i] != '\0' ? (char)text.data[i] : '?';
    return copy;
}

bool rl_topics_is_internal(struct rl_slice name)
{
    static const char *const internal[] = { "__consumer_offsets", "__transaction_state",
                                            "__share_group_state", "__cluster_metadata" };
    for (size_t i = 0; i < RL_ARRAY_COUNT(internal); i++)
        if (rl_slice_equal_string(name, internal[i]))
            return true;
    return false;
}

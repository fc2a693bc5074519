/* broker/config_list.h — lists in configuration values: "a, b ,c". */
#ifndef RL_BROKER_CONFIG_LIST_H
#define RL_BROKER_CONFIG_LIST_H

#include "core/slice.h"

/* Without what Java's trim takes away: everything up to the space, at both ends. */
static inline struct rl_slice rl_config_trim(struct rl_slice text)
{
    while (text.bytes > 0 && text.data[0] <= ' ')
        text = rl_slice_of(text.data + 1, text.bytes - 1);
    while (text.bytes > 0 && text.data[text.bytes - 1] <= ' ')
        text.bytes--;
    return text;
}

/* The start of a walk over `list` (NULL: empty), which stays the caller's. */
static inline struct rl_slice rl_config_list(const char *list)
{
    struct rl_slice text = rl_config_trim(rl_slice_of_string(list != NULL ? list : ""));
    return text.bytes > 0 ? text : rl_slice_of(NULL, 0);
}

/* Cut the next element, trimmed and maybe empty, off *rest.  False at the end. */
static inline bool rl_config_list_next(struct rl_slice *rest, struct rl_slice *ret_element)
{
    if (rest->data == NULL)
        return false;
    const uint8_t *comma = rest->bytes > 0 ? memchr(rest->data, ',', rest->bytes) : NULL;
    size_t bytes = comma != NULL ? (size_t)(comma - rest->data) : rest->bytes;
    *ret_element = rl_config_trim(rl_slice_of(rest->data, bytes));
    *rest = comma != NULL ? rl_slice_of(comma + 1, rest->bytes - bytes - 1) : rl_slice_of(NULL, 0);
    return true;
}

#endif

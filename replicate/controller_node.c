/* replicate/controller_node.c — topic nodes and lists of overrides, each in one piece of memory.
 *
 * Everything that names it is copied behind the struct, so that a node dies by one rl_free. */
#include "core/memory.h"
#include "replicate/controller_internal.h"
#include <stdlib.h>

static int override_compare(const void *a, const void *b)
{
    const struct rl_topic_override *left = a, *right = b;
    return strcmp(left->key, right->key);
}

static const char *string_place(char **at, const char *string)
{
    size_t bytes = strlen(string) + 1;
    char *place = *at;
    memcpy(place, string, bytes);
    *at += bytes;
    return place;
}

static size_t overrides_bytes(const struct rl_topic_override *overrides, uint32_t count)
{
    size_t bytes = count * sizeof *overrides;
    for (uint32_t i = 0; i < count; i++)
        bytes += strlen(overrides[i].key) + strlen(overrides[i].value) + 2;
    return bytes;
}

/* The array at `to`, sorted, its strings behind it; returns where the next string may go. */
static char *overrides_place(struct rl_topic_override *to, const struct rl_topic_override *from,
                             uint32_t count)
{
    char *at = (char *)(to + count);
    for (uint32_t i = 0; i < count; i++) {
        to[i].key = string_place(&at, from[i].key);
        to[i].value = string_place(&at, from[i].value);
    }
    qsort(to, count, sizeof *to, override_compare);
    return at;
}

struct rl_topic *rl_topic_node_create(const struct rl_topic *like)
{
    struct rl_topic *topic = rl_alloc(sizeof *like + strlen(like->name) + 1 +
                                      overrides_bytes(like->overrides, like->override_count));
    struct rl_topic_override *overrides = (struct rl_topic_override *)(topic + 1);
    *topic = *like;
    topic->overrides = overrides;
    char *at = overrides_place(overrides, like->overrides, like->override_count);
    topic->name = string_place(&at, like->name);
    return topic;
}

struct rl_topic_override *rl_overrides_copy(const struct rl_topic_override *overrides, uint32_t count)
{
    struct rl_topic_override *copy = rl_alloc(RL_MAX(overrides_bytes(overrides, count), 1));
    overrides_place(copy, overrides, count);
    return copy;
}

/* replicate/metadata_image.c — looking things up in an image: by name, by id, by home.
 *
 * Lookups are binary searches over sorted arrays of pointers: an image is built often and as a
 * whole, and copying two arrays is all that costs. */
#include "replicate/metadata_image.h"
#include "core/table.h"
#include "replicate/controller_internal.h"

#define HOME_SEED 0x72696e676c6f67u     /* any number: files do not depend on it */

static const struct rl_image image_empty = { .generation = 0 };

const struct rl_image *rl_image_current(const struct rl_shard *shard)
{
    const struct rl_metadata_shard *local = rl_metadata_shard_of(shard);
    return local != NULL ? local->image : &image_empty;
}

/* memcmp's order, a shorter name before the longer one that it begins. */
static int name_compare(const char *name, struct rl_slice other)
{
    size_t bytes = strlen(name), common = RL_MIN(bytes, other.bytes);
    int order = common > 0 ? memcmp(name, other.data, common) : 0;
    return order != 0 ? order : (bytes > other.bytes) - (bytes < other.bytes);
}

const struct rl_topic *rl_image_find(const struct rl_image *image, struct rl_slice name)
{
    uint32_t low = 0, high = image->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = name_compare(image->by_name[middle]->name, name);
        if (order == 0)
            return image->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct rl_topic *rl_image_find_id(const struct rl_image *image, struct rl_uuid id)
{
    uint32_t low = 0, high = image->topic_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = memcmp(image->by_id[middle]->id.bytes, id.bytes, sizeof id.bytes);
        if (order == 0)
            return image->by_id[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t rl_partition_home(struct rl_uuid topic_id, int32_t partition, uint32_t shard_count)
{
    uint64_t first = rl_hash_bytes(HOME_SEED, topic_id.bytes, sizeof topic_id.bytes) % shard_count;
    return (uint32_t)((first + (uint32_t)partition) % shard_count);
}

static bool name_byte_allowed(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

rl_status rl_topic_name_check(struct rl_slice name, const char **ret_reason)
{
    const char *reason = NULL;
    if (name.bytes == 0)
        reason = "the empty string is not allowed";
    else if (rl_slice_equal_string(name, "."))
        reason = "'.' is not allowed";
    else if (rl_slice_equal_string(name, ".."))
        reason = "'..' is not allowed";
    else if (name.bytes > RL_TOPIC_NAME_BYTES_MAX)
        reason = "longer than the max allowed length 249";
    for (size_t i = 0; i < name.bytes && reason == NULL; i++)
        if (!name_byte_allowed(name.data[i]))
            reason = "contains one or more characters other than ASCII alphanumerics, "
                     "'.', '_' and '-'";
    if (reason == NULL)
        return RL_OK;
    *ret_reason = reason;
    return RL_EINVAL;
}

static void text_add(char *text, size_t bytes, size_t *at, const void *data, size_t data_bytes)
{
    size_t room = bytes - 1 - *at;
    if (data_bytes > room)
        data_bytes = room;
    if (data_bytes > 0)
        memcpy(text + *at, data, data_bytes);
    *at += data_bytes;
    text[*at] = '\0';
}

/* As much of the name as leaves `reserved` bytes free, but no part of a UTF-8 character. */
static void text_add_name(char *text, size_t bytes, size_t *at, struct rl_slice name,
                          size_t reserved)
{
    size_t room = bytes - 1 - *at;
    room = room > reserved ? room - reserved : 0;
    if (name.bytes > room) {
        name.bytes = room;
        while (name.bytes > 0 && (name.data[name.bytes] & 0xc0) == 0x80)
            name.bytes--;
    }
    text_add(text, bytes, at, name.data, name.bytes);
}

void rl_topic_name_explain(struct rl_slice name, char *text, size_t bytes)
{
    const char *reason = NULL;
    size_t at = 0;
    text[0] = '\0';
    if (rl_topic_name_check(name, &reason) == RL_OK)
        return;
    text_add(text, bytes, &at, "Topic name is invalid: ", 23);
    /* The reasons for "", "." and ".." are whole sentences. */
    if (name.bytes > 0 && !rl_slice_equal_string(name, ".") && !rl_slice_equal_string(name, "..")) {
        bool too_long = name.bytes > RL_TOPIC_NAME_BYTES_MAX;
        const char *before = too_long ? "the length of '" : "'";
        const char *after = too_long ? "' is " : "' ";
        text_add(text, bytes, &at, before, strlen(before));
        text_add_name(text, bytes, &at, name, strlen(after) + strlen(reason));
        text_add(text, bytes, &at, after, strlen(after));
    }
    text_add(text, bytes, &at, reason, strlen(reason));
}

/* coordinate/group_id.c — which partition of __consumer_offsets keeps a group.
 *
 * Java hashes UTF-16 units, so UTF-8 is decoded on the way.  Bytes that are not UTF-8 become
 * U+FFFD, one for each maximal part of a sequence and one for a surrogate, as Java's decoder does it. */
#include "coordinate/group_id.h"

#define REPLACEMENT 0xFFFDu

struct sequence {                       /* what a first byte promises */
    uint32_t bytes;                     /* 0: it is no first byte */
    uint8_t second_min, second_max;     /* beyond it the encoding would be overlong or too large */
};

static struct sequence sequence_of(uint8_t first)
{
    if (first >= 0xC2 && first <= 0xDF)
        return (struct sequence){ 2, 0x80, 0xBF };
    if (first >= 0xE0 && first <= 0xEF)
        return (struct sequence){ 3, first == 0xE0 ? 0xA0 : 0x80, 0xBF };
    if (first >= 0xF0 && first <= 0xF4)
        return (struct sequence){ 4, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF };
    return (struct sequence){ 0 };
}

/* The next code point; *at moves behind it. */
static uint32_t next_point(struct rl_slice s, size_t *at)
{
    uint8_t first = s.data[(*at)++];
    if (first < 0x80)
        return first;
    struct sequence sequence = sequence_of(first);
    if (sequence.bytes == 0)
        return REPLACEMENT;
    uint32_t point = first & (0xFFu >> (sequence.bytes + 1));
    for (uint32_t i = 1; i < sequence.bytes; i++) {
        uint8_t low = i == 1 ? sequence.second_min : 0x80, high = i == 1 ? sequence.second_max : 0xBF;
        if (*at == s.bytes || s.data[*at] < low || s.data[*at] > high)
            return REPLACEMENT;
        point = point << 6 | (s.data[(*at)++] & 0x3Fu);
    }
    return point >= 0xD800 && point <= 0xDFFF ? REPLACEMENT : point;
}

size_t rl_utf16_units(struct rl_slice text)
{
    size_t units = 0;
    for (size_t at = 0; at < text.bytes;)
        units += next_point(text, &at) >= 0x10000 ? 2 : 1;
    return units;
}

static uint32_t java_hash(struct rl_slice s)
{
    uint32_t hash = 0;
    for (size_t at = 0; at < s.bytes;) {
        uint32_t point = next_point(s, &at);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xD800 + ((point - 0x10000) >> 10));
            point = 0xDC00 + ((point - 0x10000) & 0x3FF);
        }
        hash = 31 * hash + point;
    }
    return hash;
}

int32_t rl_group_partition(struct rl_slice group_id, int32_t partition_count)
{
    int32_t hash = (int32_t)java_hash(group_id);
    return (hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash) % partition_count;
}

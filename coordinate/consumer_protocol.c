/* coordinate/consumer_protocol.c — metadata and assignments of consumers of the classic protocol. */
#include "coordinate/consumer_protocol.h"
#include "log/log_bytes.h"
#include "wire/reader.h"

enum { OWNED_SINCE = 1, GENERATION_SINCE = 2, RACK_SINCE = 3, VERSION_MAX = 3 };
enum { NAME_BYTES_MIN = 2, OWNED_MAX = 1000000 };       /* nobody owns more partitions */

/* topic, partitions[], as often as there are. */
static void read_partitions(struct rl_reader *r, const struct rl_image *image, struct rl_partition_set *set)
{
    int32_t topics = rl_rd_length(r, false, false, false);
    for (int32_t t = 0; t < topics && r->st == RL_OK; t++) {
        const struct rl_topic *topic = rl_image_find(image, rl_rd_string(r, false, false));
        int32_t count = rl_rd_length(r, false, false, false);
        for (int32_t i = 0; i < count && r->st == RL_OK; i++) {
            int32_t partition = rl_rd_i32(r);
            if (set->count == OWNED_MAX)
                rl_rd_fail(r, RL_EMALFORMED);
            if (r->st == RL_OK && topic != NULL && partition >= 0 && partition < topic->partition_count)
                rl_partition_set_add(set, topic->id, partition);
        }
    }
    rl_partition_set_sort(set);
}

rl_status rl_consumer_subscription_read(struct rl_slice metadata, const struct rl_image *image,
                                        struct rl_arena *arena, struct rl_consumer_subscription *ret_subscription)
{
    struct rl_reader r = rl_rd_of(metadata);
    struct rl_consumer_subscription s = { .version = rl_rd_i16(&r) };
    int32_t count = rl_rd_length(&r, false, false, false);
    if (r.st != RL_OK || s.version < 0 || (size_t)count > metadata.bytes / NAME_BYTES_MIN)
        return r.st != RL_OK ? r.st : RL_EMALFORMED;
    s.topics = rl_arena_alloc_array(arena, (size_t)count, sizeof *s.topics);
    if (s.topics == NULL)
        return RL_ENOMEM;
    s.topic_count = (uint32_t)count;
    for (int32_t i = 0; i < count; i++)
        s.topics[i] = rl_rd_string(&r, false, false);
    (void)rl_rd_bytes(&r, false, true);         /* the assignor's own */
    if (s.version >= OWNED_SINCE && r.st == RL_OK)
        read_partitions(&r, image, &s.owned);
    if (s.version >= GENERATION_SINCE)
        (void)rl_rd_i32(&r);
    if (s.version >= RACK_SINCE)
        s.rack_id = rl_rd_string(&r, false, true);
    if (r.st != RL_OK) {
        rl_partition_set_done(&s.owned);
        return r.st;
    }
    *ret_subscription = s;
    return RL_OK;
}

rl_status rl_consumer_assignment_read(struct rl_slice assignment, const struct rl_image *image,
                                      struct rl_partition_set *ret_set)
{
    struct rl_reader r = rl_rd_of(assignment);
    struct rl_partition_set set = { 0 };
    if (assignment.bytes == 0) {
        *ret_set = set;
        return RL_OK;
    }
    if (rl_rd_i16(&r) < 0)
        return r.st != RL_OK ? r.st : RL_EMALFORMED;
    read_partitions(&r, image, &set);
    if (r.st != RL_OK) {
        rl_partition_set_done(&set);
        return r.st;
    }
    *ret_set = set;
    return RL_OK;
}

static void put_i32(struct rl_text *out, int32_t v)
{
    rl_put_u32((uint8_t *)rl_text_reserve(out, sizeof v), (uint32_t)v);
    out->bytes += sizeof v;
}

static void put_i16(struct rl_text *out, int16_t v)
{
    rl_put_u16((uint8_t *)rl_text_reserve(out, sizeof v), (uint16_t)v);
    out->bytes += sizeof v;
}

void rl_consumer_assignment_write(struct rl_text *out, int16_t version, const struct rl_partition_set *set,
                                  const struct rl_image *image)
{
    int32_t topics = 0;
    put_i16(out, RL_MIN(version, (int16_t)VERSION_MAX));
    size_t count_at = out->bytes;
    put_i32(out, 0);
    for (uint32_t at = 0, run; at < set->count; at += run) {
        run = rl_partition_set_run(set, at);
        const struct rl_topic *topic = rl_image_find_id(image, set->items[at].topic_id);
        if (topic == NULL)
            continue;
        topics++;
        put_i16(out, (int16_t)strlen(topic->name));
        rl_text_append_string(out, topic->name);
        put_i32(out, (int32_t)run);
        for (uint32_t i = at; i < at + run; i++)
            put_i32(out, set->items[i].partition);
    }
    rl_put_u32((uint8_t *)out->data + count_at, (uint32_t)topics);
    put_i32(out, -1);                   /* nothing of an assignor's */
}

/* tests/fuzz/draw.c — values for every field, out of a fuzzer's input. */
#include "tests/fuzz/draw.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/batch.h"
#include "log/log_bytes.h"
#include "log_fixture.h"
#include <stdio.h>

#define ITEMS_MAX 400                   /* of one message */
#define RAW_BYTES_MAX 64

const char *const draw_topic_names[DRAW_TOPICS] = { "a", "b", "c", "new-1", "new-2" };

static const char *const other_names[] = {
    "", "1", ".", "bad name", "__consumer_offsets", "a\xff", "no-such-topic", "new-1,new-2"
};
static const char *const config_names[] = {
    "segment.bytes", "retention.ms", "retention.bytes", "max.message.bytes", "flush.messages",
    "message.timestamp.type", "cleanup.policy", "compression.type", "min.insync.replicas",
    "index.interval.bytes", "message.timestamp.after.max.ms", "message.timestamp.before.max.ms",
    "log.retention.ms", "message.max.bytes", "log.segment.bytes", "background.threads",
    "log.flush.interval.messages", "ringlog.acks.all.sync", "segment.ms", "file.delete.delay.ms",
    "node.id", "no.such.key", "follower.replication.throttled.replicas"
};
static const char *const config_values[] = {
    "1", "0", "-1", "100", "1024", "1048576", "9223372036854775807", "true", "false", "delete",
    "compact", "CreateTime", "LogAppendTime", "zstd", "producer", "", "x", "99999999999999999999", "1:1"
};

/* What numbers a field is likely to hold; by the end of its name, the first that fits. */
static const struct { const char *end; int64_t values[8]; } numbers[] = {
    { "leader_epoch", { -1, -1, 0, 0, 1, -1, 2, 0 } },
    { "fetched_epoch", { -1, -1, 0, 0, 1, -1, 2, 0 } },
    { "index", { 0, 0, 0, 1, 1, 2, 3, -1 } },
    { "partition_indexes", { 0, 0, 0, 1, 1, 2, 3, -1 } },
    { "partition_id", { 0, 0, 0, 1, 1, 2, 3, -1 } },
    { "num_partitions", { 1, 1, 2, 3, -1, 0, 4, 17 } },
    { "partitions", { 0, 0, 0, 1, 1, 2, 3, -1 } },
    { "partition", { 0, 0, 0, 1, 1, 2, 3, -1 } },
    { "replication_factor", { 1, 1, -1, 1, -1, 1, 2, 0 } },
    { "max_bytes", { 1 << 20, 1 << 20, 1 << 16, 100, 0, 1, INT32_MAX, 1 << 20 } },
    { "min_bytes", { 0, 1, 1, 0, 100, 100000, INT32_MAX, 1 } },
    { "_ms", { 0, 0, 1, 10, 100, 500, 30000, -1 } },
    { "acks", { -1, 1, -1, 1, 0, -1, 2, 1 } },
    { "replica_id", { -1, -1, -1, -1, -1, -1, 0, -2 } },
    { "replicas", { 1, 1, 1, 0, 2, 1, -1, 1 } },
    { "broker_ids", { 1, 1, 1, 1, 2, 1, -1, 0 } },
    { "broker_id", { 1, 1, 1, 0, 2, 1, -1, 0 } },
    { "offset", { 0, 0, 1, 2, 3, 5, -1, -2 } },
    { "timestamp", { -1, -2, -3, -4, -5, 0, 1763812800000, -6 } },
    { "resource_type", { 2, 2, 4, 4, 2, 8, 16, 3 } },
    { "config_operation", { 0, 0, 1, 2, 3, 0, 1, 4 } },
    { "count", { 1, 2, 3, 4, 0, -1, 17, 2 } },
    { "", { 0, 1, -1, 2, 3, 5, 100, 0 } },
};

static const int64_t edges[] = {
    0, 1, -1, -2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, -32768, 2147483647, -2147483648,
    4294967295, 9223372036854775807, INT64_MIN, 1 << 20, 63, 64, 1000
};

/* ---- bytes ---- */

void draw_init(struct draw *draw, const uint8_t *data, size_t bytes)
{
    *draw = (struct draw){ .data = data, .bytes = bytes };
}

/* splitmix64 */
static uint64_t draw_seeded(struct draw *draw)
{
    uint64_t z = draw->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint8_t draw_byte(struct draw *draw)
{
    if (draw->seeded)
        return (uint8_t)draw_seeded(draw);
    return draw->at < draw->bytes ? draw->data[draw->at++] : 0;
}

static uint64_t draw_bytes(struct draw *draw, unsigned count)
{
    uint64_t value = 0;

    while (count-- > 0)
        value = value << 8 | draw_byte(draw);
    return value;
}

uint32_t draw_below(struct draw *draw, uint32_t bound)
{
    return (uint32_t)(draw_bytes(draw, bound <= 256 ? 1 : 4) % bound);
}

static struct draw *draw_of(struct rl_fill *fill)
{
    return RL_CONTAINER_OF(fill, struct draw, fill);
}

static bool ends_with(const char *text, const char *end)
{
    size_t bytes = strlen(text), end_bytes = strlen(end);

    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* ---- numbers ---- */

/* Sessions and producers are numbers that only answers can tell. */
static bool draw_learned_number(struct draw *draw, const char *field, int64_t *ret_value)
{
    const struct draw_learned *learned = &draw->learned;

    if (strcmp(field, "session_id") == 0 && learned->session_count != 0) {
        draw->session = draw_below(draw, DRAW_LEARNED_MAX) % learned->session_count;
        *ret_value = draw_byte(draw) % 3 == 0 ? 0 : learned->sessions[draw->session].id;
    } else if (strcmp(field, "session_epoch") == 0 && learned->session_count != 0) {
        *ret_value = draw_byte(draw) % 4 == 0 ? 0 : learned->sessions[draw->session].next_epoch;
    } else if (strcmp(field, "producer_id") == 0 && learned->producer_count != 0) {
        draw->producer = draw_below(draw, DRAW_LEARNED_MAX) % learned->producer_count;
        *ret_value = learned->producers[draw->producer].id;
    } else if (strcmp(field, "producer_epoch") == 0 && learned->producer_count != 0) {
        *ret_value = learned->producers[draw->producer].epoch + draw_byte(draw) % 3 - 1;
    } else {
        return false;
    }
    return true;
}

static int64_t draw_likely(struct draw *draw, const char *field)
{
    int64_t value;
    size_t i = 0;

    if (draw_learned_number(draw, field, &value))
        return value;
    while (!ends_with(field, numbers[i].end))
        i++;
    return numbers[i].values[draw_byte(draw) % 8];
}

static int64_t draw_number(struct rl_fill *fill, unsigned bits)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);

    if (choice < 220)
        return draw_likely(draw, fill->field);
    if (choice < 232)
        return draw_byte(draw) % 8 - 1;
    if (choice < 246)
        return edges[draw_byte(draw) % RL_ARRAY_COUNT(edges)];
    return (int64_t)draw_bytes(draw, bits / 8);
}

int8_t rl_fill_i8(struct rl_fill *fill) { return (int8_t)draw_number(fill, 8); }
int16_t rl_fill_i16(struct rl_fill *fill) { return (int16_t)draw_number(fill, 16); }
uint16_t rl_fill_u16(struct rl_fill *fill) { return (uint16_t)draw_number(fill, 16); }
int32_t rl_fill_i32(struct rl_fill *fill) { return (int32_t)draw_number(fill, 32); }
uint32_t rl_fill_u32(struct rl_fill *fill) { return (uint32_t)draw_number(fill, 32); }
int64_t rl_fill_i64(struct rl_fill *fill) { return draw_number(fill, 64); }
double rl_fill_f64(struct rl_fill *fill) { return (double)rl_fill_i32(fill) / 3; }
bool rl_fill_bool(struct rl_fill *fill) { return draw_byte(draw_of(fill)) % 4 == 1; }

/* ---- names and ids ---- */

struct rl_uuid rl_fill_uuid(struct rl_fill *fill)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);
    struct rl_uuid id = draw->learned.topic_ids[choice % DRAW_TOPICS];

    if (choice >= 250)
        memset(&id, 0, sizeof id);
    else if (choice >= 240)
        id.bytes[draw_byte(draw) % sizeof id.bytes] ^= 1;
    return id;
}

static struct rl_slice draw_run(struct draw *draw, size_t bytes, int repeated)
{
    uint8_t *data = rl_arena_alloc(draw->fill.arena, bytes + 1);

    RL_ASSERT(data != NULL);
    for (size_t i = 0; i < bytes; i++)
        data[i] = repeated >= 0 ? (uint8_t)repeated : draw_byte(draw);
    return rl_slice_of(data, bytes);
}

static struct rl_slice pick(struct draw *draw, const char *const *texts, size_t count)
{
    return rl_slice_of_string(texts[draw_byte(draw) % count]);
}

static struct rl_slice draw_text(struct draw *draw)
{
    const char *field = draw->fill.field;
    bool of_config = strstr(draw->fill.object, "config") != NULL;

    if (ends_with(field, "value"))
        return pick(draw, config_values, RL_ARRAY_COUNT(config_values));
    if (of_config || strstr(field, "config") != NULL)
        return pick(draw, config_names, RL_ARRAY_COUNT(config_names));
    if (ends_with(field, "topic") || ends_with(field, "name") || ends_with(field, "names") ||
        ends_with(field, "topics"))
        return pick(draw, draw_topic_names, DRAW_TOPICS);
    return pick(draw, other_names, RL_ARRAY_COUNT(other_names));
}

struct rl_slice rl_fill_string(struct rl_fill *fill, bool nullable)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);

    if (nullable && choice % 4 == 3)
        return (struct rl_slice){ NULL, 0 };
    if (choice < 224)
        return draw_text(draw);
    if (choice < 240)
        return pick(draw, other_names, RL_ARRAY_COUNT(other_names));
    if (choice < 248)
        return draw_run(draw, draw_byte(draw) % 32, -1);
    return draw_run(draw, choice < 253 ? 248u + draw_byte(draw) % 4 : 32767, 'a');
}

/* ---- bytes and records ---- */

struct rl_slice rl_fill_bytes(struct rl_fill *fill, bool nullable)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);

    if (nullable && choice % 4 == 3)
        return (struct rl_slice){ NULL, 0 };
    return draw_run(draw, choice % RAW_BYTES_MAX, -1);
}

/* A batch with something that should not be; its checksum is right, or not. */
static void spoil(struct draw *draw, uint8_t *batch, size_t bytes)
{
    static const uint8_t places[] = { 0, 3, 7, 8, 11, 12, 15, 16, 17, 21, 22, 22, 23, 26, 27, 34, 35,
                                      42, 43, 51, 52, 53, 56, 57, 60, 61, 62, 63, 64, 65 };
    size_t at = places[draw_byte(draw) % RL_ARRAY_COUNT(places)];

    if (at < bytes)
        batch[at] ^= (uint8_t)(1u << draw_byte(draw) % 8);
    if (draw_byte(draw) % 4 != 0)
        rl_put_u32(batch + 17, rl_crc32c(0, batch + 21, bytes - 21));
}

static struct rl_slice draw_batch(struct draw *draw)
{
    static const int32_t counts[] = { 1, 1, 2, 3, 10, 200 };
    static const size_t sizes[] = { 0, 1, 10, 100, 1000, 5000 };
    struct batch_spec spec = {
        .records = counts[draw_byte(draw) % RL_ARRAY_COUNT(counts)],
        .value_bytes = sizes[draw_byte(draw) % RL_ARRAY_COUNT(sizes)],
        .codec = (enum rl_codec)(draw_byte(draw) % 8 < 4 ? 0 : draw_byte(draw) % 5),
        .base_timestamp_ms = draw->learned.wall_ms, .timestamp_step_ms = draw_byte(draw) % 3,
        .seed = draw_byte(draw) };
    size_t bytes;

    if (spec.records > 3)
        spec.value_bytes %= 101;
    if (draw->learned.producer_count != 0 && draw_byte(draw) % 2 == 0) {
        uint32_t i = draw_byte(draw) % RL_MIN(draw->learned.producer_count, DRAW_LEARNED_MAX);
        spec.producer_id = draw->learned.producers[i].id;
        spec.producer_epoch = draw->learned.producers[i].epoch;
        spec.base_sequence = draw_byte(draw) % 4 != 0 ? draw_byte(draw) % 4 : INT32_MAX;
    }
    uint8_t *batch = build_batch(&spec, &bytes);
    uint8_t *copy = rl_arena_alloc(draw->fill.arena, 2 * bytes);
    RL_ASSERT(copy != NULL);
    memcpy(copy, batch, bytes);
    rl_free(batch);
    uint8_t choice = draw_byte(draw);
    if (choice >= 160)
        spoil(draw, copy, bytes);
    if (choice >= 240)
        spoil(draw, copy, bytes);
    if (choice >= 250)                  /* two of them, or a piece of one */
        memcpy(copy + bytes, copy, bytes);
    return rl_slice_of(copy, choice >= 253 ? 2 * bytes : choice >= 250 ? bytes - draw_byte(draw) % bytes : bytes);
}

struct rl_slice rl_fill_records(struct rl_fill *fill, bool nullable)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);

    return choice < 240 ? draw_batch(draw) : rl_fill_bytes(fill, nullable);
}

/* ---- shapes ---- */

bool rl_fill_wants(const struct rl_fill *fill)
{
    (void)fill;
    return true;
}

bool rl_fill_is_there(struct rl_fill *fill)
{
    return draw_byte(draw_of(fill)) % 4 != 0;
}

int32_t rl_fill_count(struct rl_fill *fill, bool nullable, bool is_primitive)
{
    struct draw *draw = draw_of(fill);
    uint8_t choice = draw_byte(draw);
    int32_t count = choice < 160 ? 1 : choice < 200 ? 2 : choice < 210 ? 3 : choice < 230 ? 0
                  : choice < 245 ? (nullable ? -1 : 1) : choice < 252 ? 8 : is_primitive ? 300 : 40;

    if (count > 0 && draw->depth + (uint32_t)count > ITEMS_MAX)
        count = 0;
    draw->depth += (uint32_t)RL_MAX(count, 0);
    return count;
}

void *rl_fill_items(struct rl_fill *fill, int32_t count, size_t struct_bytes)
{
    if (count <= 0)
        return NULL;
    void *items = rl_arena_alloc_array(fill->arena, (size_t)count, struct_bytes);
    RL_ASSERT(items != NULL);
    return items;
}

void *draw_message(struct draw *draw, const struct rl_fill_message *message, int16_t version,
                   struct rl_arena *arena)
{
    uint8_t choice = draw_byte(draw);

    if (choice % 4 != 0) {
        draw->state = choice + 256 * draw_bytes(draw, 2);
        draw->seeded = true;
    }
    draw->fill.arena = arena;
    draw->depth = 0;
    void *msg = rl_arena_alloc_array(arena, 1, message->codec.struct_bytes);
    RL_ASSERT(msg != NULL);
    message->fill(&draw->fill, version, msg);
    draw->seeded = false;
    return msg;
}

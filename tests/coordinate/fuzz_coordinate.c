/* tests/coordinate/fuzz_coordinate.c — libFuzzer over what coordinators read that others wrote.
 *
 * Input: one byte chooses what the rest is: a record of __consumer_offsets (a byte of key length, key,
 * value), a regular expression and a topic's name behind a newline, or a group for the assignors.
 * Records that are read are written and read again, the same; a pattern has a verdict; of a group,
 * every partition that somebody subscribes to has one owner who does. */
#include "coordinate/assignor.h"
#include "coordinate/consumer_group_record.h"
#include "coordinate/group_record.h"
#include "coordinate/topic_regex.h"

#include <string.h>

enum { TOPICS_MAX = 8, MEMBERS_MAX = 16, PARTITIONS_MAX = 16, CURRENT_MAX = TOPICS_MAX * PARTITIONS_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- records ---- */

/* Written by us, it is read by us, and written the same once more. */
static void check_written(const struct rl_consumer_group_record *record)
{
    struct rl_consumer_group_record again;
    struct rl_text key = { 0 }, value = { 0 }, twice = { 0 };
    struct rl_arena arena;
    rl_consumer_group_record_key(&key, record->kind, record->group,
                                 record->pattern.data != NULL ? record->pattern : record->member);
    rl_consumer_group_record_value(&value, record);
    rl_arena_init(&arena, 4096, 4096 + 16 * value.bytes);
    rl_status status = rl_consumer_group_record_read(rl_text_slice(&key), rl_text_slice(&value), &arena, &again);
    RL_ASSERT(status == RL_OK && again.kind == record->kind && rl_slice_equal(again.group, record->group));
    rl_consumer_group_record_value(&twice, &again);
    RL_ASSERT(rl_slice_equal(rl_text_slice(&twice), rl_text_slice(&value)));
    rl_arena_done(&arena);
    rl_text_done(&key);
    rl_text_done(&value);
    rl_text_done(&twice);
}

static void fuzz_classic(struct rl_slice key, struct rl_slice value)
{
    struct rl_group_record record;
    struct rl_group_record_member member;
    if (rl_group_record_read(key, value, &record) != RL_OK || record.kind != RL_GROUP_RECORD_GROUP || record.tombstone)
        return;
    while (rl_group_record_next_member(&record.value, &member) == RL_OK)
        ;
}

static void fuzz_record(const uint8_t *data, size_t bytes)
{
    size_t key_bytes = bytes > 0 ? RL_MIN(data[0], bytes - 1) : 0;
    struct rl_slice key = rl_slice_of(data + 1, key_bytes), value = { 0 };
    struct rl_consumer_group_record record;
    struct rl_arena arena;
    if (bytes == 0)
        return;
    if (bytes - 1 > key_bytes)
        value = rl_slice_of(data + 1 + key_bytes, bytes - 1 - key_bytes);
    fuzz_classic(key, value);
    rl_arena_init(&arena, 4096, 4096 + 16 * value.bytes);
    rl_status status = rl_consumer_group_record_read(key, value, &arena, &record);
    RL_ASSERT(status != RL_ENOMEM);
    if (status == RL_OK && !record.tombstone && record.kind != RL_CONSUMER_GROUP_RECORD_OTHER &&
        record.kind != RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA)
        check_written(&record);
    rl_arena_done(&arena);
}

/* ---- patterns ---- */

static void fuzz_pattern(const uint8_t *data, size_t bytes)
{
    const uint8_t *newline = memchr(data, '\n', bytes);
    size_t pattern_bytes = newline != NULL ? (size_t)(newline - data) : bytes;
    struct rl_slice name = rl_slice_of(data + pattern_bytes, bytes - pattern_bytes);
    struct rl_topic_regex *regex = NULL;
    const char *why = NULL;
    rl_status status = rl_topic_regex_create(rl_slice_of(data, pattern_bytes), &why, &regex);
    RL_ASSERT((status == RL_OK && regex != NULL) || (status == RL_EMALFORMED && why != NULL));
    if (status == RL_OK)
        (void)rl_topic_regex_matches(regex, name);
    rl_topic_regex_free(regex);
}

/* ---- assignors ---- */

/* Bytes of the input, zeros behind its end. */
struct bytes {
    const uint8_t *at, *end;
};

static uint8_t next(struct bytes *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

struct group {
    struct rl_assignor_topic topics[TOPICS_MAX];
    struct rl_assignor_member members[MEMBERS_MAX];
    uint32_t subscribed[MEMBERS_MAX][TOPICS_MAX];
    struct rl_assignor_partition current[MEMBERS_MAX][CURRENT_MAX];
    uint8_t ids[MEMBERS_MAX][2], bits[MEMBERS_MAX];
    struct rl_assignor_input input;
};

/* Sorted, but perhaps of what is not there. */
static void read_current(struct group *g, struct bytes *in, uint32_t m)
{
    uint32_t count = next(in) % CURRENT_MAX, place = 0;
    for (uint32_t i = 0; i < count; i++) {
        place += 1 + next(in) % 7;
        uint32_t topic = place / (PARTITIONS_MAX + 4);
        if (topic >= g->input.topic_count)
            break;
        g->current[m][g->members[m].current_count++] =
            (struct rl_assignor_partition){ topic, (int32_t)(place % (PARTITIONS_MAX + 4)) - 2 };
    }
}

static void read_group(struct group *g, struct bytes *in)
{
    g->input = (struct rl_assignor_input){ .topics = g->topics, .members = g->members };
    g->input.topic_count = next(in) % (TOPICS_MAX + 1);
    g->input.member_count = next(in) % (MEMBERS_MAX + 1);
    for (uint32_t t = 0; t < g->input.topic_count; t++)
        g->topics[t].partition_count = next(in) % (PARTITIONS_MAX + 1);
    for (uint32_t m = 0; m < g->input.member_count; m++) {
        struct rl_assignor_member *member = &g->members[m];
        g->ids[m][0] = next(in);
        g->ids[m][1] = (uint8_t)m;
        g->bits[m] = next(in);
        *member = (struct rl_assignor_member){ .id = rl_slice_of(g->ids[m], 2), .topics = g->subscribed[m],
                                               .current = g->current[m] };
        if (next(in) & 1)
            member->instance_id = member->id;
        for (uint32_t t = 0; t < g->input.topic_count; t++) {
            if (g->bits[m] >> t & 1)
                g->subscribed[m][member->topic_count++] = t;
        }
        read_current(g, in, m);
    }
}

static void check_group(const struct group *g, const struct rl_assignor_share *shares)
{
    uint32_t owned[TOPICS_MAX][PARTITIONS_MAX] = { 0 };
    uint8_t subscribed = 0;
    for (uint32_t m = 0; m < g->input.member_count; m++) {
        subscribed |= g->bits[m];
        for (uint32_t i = 0; i < shares[m].partition_count; i++) {
            struct rl_assignor_partition at = shares[m].partitions[i];
            RL_ASSERT(g->bits[m] >> at.topic & 1);
            owned[at.topic][at.partition]++;
        }
    }
    for (uint32_t t = 0; t < g->input.topic_count; t++) {
        for (int32_t p = 0; p < PARTITIONS_MAX; p++)
            RL_ASSERT(owned[t][p] == (p < g->topics[t].partition_count && (subscribed >> t & 1)));
    }
}

static void fuzz_assignors(const uint8_t *data, size_t bytes)
{
    static struct group g;
    struct bytes in = { data, data + bytes };
    memset(&g, 0, sizeof g);
    read_group(&g, &in);
    for (int i = 0; i < 2; i++) {
        struct rl_assignor_share *shares;
        struct rl_arena arena;
        rl_arena_init(&arena, 4096, rl_assignor_bytes_max(&g.input));
        rl_status status = rl_assignor_assign((enum rl_assignor)i, &g.input, &arena, &shares);
        RL_ASSERT(status == RL_OK);
        check_group(&g, shares);
        rl_arena_done(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        fuzz_record(data + 1, bytes - 1);
        break;
    case 1:
        fuzz_pattern(data + 1, bytes - 1);
        break;
    default:
        fuzz_assignors(data + 1, bytes - 1);
        break;
    }
    return 0;
}

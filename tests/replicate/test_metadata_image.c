/* tests/replicate/test_metadata_image.c — finding topics, names that Kafka takes, homes. */
#include "core/memory.h"
#include "core/random.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPICS 500

static int by_name(const void *a, const void *b)
{
    const struct rl_topic *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static int by_id(const void *a, const void *b)
{
    const struct rl_topic *const *left = a, *const *right = b;
    return memcmp((*left)->id.bytes, (*right)->id.bytes, 16);
}

Test(metadata_image, find)
{
    static struct rl_topic topics[TOPICS];
    static char names[TOPICS][16];
    const struct rl_topic *name_order[TOPICS], *id_order[TOPICS];
    struct rl_random random;
    rl_random_init(&random, 1);
    for (int i = 0; i < TOPICS; i++) {
        snprintf(names[i], sizeof names[i], "t-%d", i * 7);
        topics[i].name = names[i];
        rl_random_fill(&random, topics[i].id.bytes, 16);
        name_order[i] = &topics[i];
    }
    for (uint32_t count = 0; count <= TOPICS; count += count < 5 ? 1 : 165) {
        qsort(name_order, count, sizeof *name_order, by_name);
        memcpy(id_order, name_order, sizeof id_order);
        qsort(id_order, count, sizeof *id_order, by_id);
        struct rl_image image = { .topic_count = count, .by_name = name_order, .by_id = id_order };
        for (uint32_t i = 0; i < count; i++) {
            const struct rl_topic *topic = name_order[i];
            cr_assert_eq(rl_image_find(&image, rl_slice_of_string(topic->name)), topic);
            cr_assert_eq(rl_image_find_id(&image, topic->id), topic);
            /* A beginning and a continuation of a name are other names. */
            size_t bytes = strlen(topic->name);
            cr_assert_neq(rl_image_find(&image, rl_slice_of(topic->name, bytes - 1)), topic);
            cr_assert_neq(rl_image_find(&image, rl_slice_of(topic->name, bytes + 1)), topic);
            struct rl_uuid other = topic->id;
            other.bytes[15] ^= 1;
            cr_assert_null(rl_image_find_id(&image, other));
        }
        cr_assert_null(rl_image_find(&image, rl_slice_of_string("t-1")));
        cr_assert_null(rl_image_find(&image, rl_slice_of("", 0)));
        cr_assert_null(rl_image_find_id(&image, (struct rl_uuid){ { 0 } }));
    }
}

Test(metadata_image, homes_spread_evenly)
{
    static const uint32_t shard_counts[] = { 1, 2, 3, 4, 7, 128 };
    struct rl_random random;
    rl_random_init(&random, 2);
    for (size_t s = 0; s < RL_ARRAY_COUNT(shard_counts); s++) {
        uint32_t shards = shard_counts[s], firsts[128] = { 0 };
        for (int t = 0; t < 2000; t++) {
            struct rl_uuid id;
            uint32_t homes[128] = { 0 };
            rl_random_fill(&random, id.bytes, sizeof id.bytes);
            for (uint32_t p = 0; p < 2 * shards; p++)
                homes[rl_partition_home(id, (int32_t)p, shards)]++;
            for (uint32_t i = 0; i < shards; i++)
                cr_assert_eq(homes[i], 2);              /* each topic, on all shards alike */
            firsts[rl_partition_home(id, 0, shards)]++;
            cr_assert_lt(rl_partition_home(id, INT32_MAX, shards), shards);
        }
        for (uint32_t i = 0; i < shards; i++)           /* one-partition topics, over all shards */
            cr_assert(firsts[i] > 0 && firsts[i] < 2000 / shards * 3 + 3);
    }
}

Test(metadata_image, names)
{
    static char just[249], beyond[250];
    memset(just, 'x', sizeof just);
    memset(beyond, 'x', sizeof beyond);
    /* Kafka 4.3.1's answers; NULL: it takes the name. */
    const struct { struct rl_slice name; const char *answer; } cases[] = {
        { rl_slice_of_string("a"), NULL },
        { rl_slice_of_string("..."), NULL },
        { rl_slice_of_string("-"), NULL },
        { rl_slice_of_string("a.b_c-D9"), NULL },
        { rl_slice_of_string("__consumer_offsets"), NULL },
        { rl_slice_of(just, sizeof just), NULL },
        { rl_slice_of_string(""), "Topic name is invalid: the empty string is not allowed" },
        { rl_slice_of_string("."), "Topic name is invalid: '.' is not allowed" },
        { rl_slice_of_string(".."), "Topic name is invalid: '..' is not allowed" },
        { rl_slice_of_string("a b"), "Topic name is invalid: 'a b' contains one or more characters "
                                     "other than ASCII alphanumerics, '.', '_' and '-'" },
        { rl_slice_of_string("a/b"), "Topic name is invalid: 'a/b' contains one or more characters "
                                     "other than ASCII alphanumerics, '.', '_' and '-'" },
        { rl_slice_of_string("\xc3\xa4"), "Topic name is invalid: '\xc3\xa4' contains one or more "
                                          "characters other than ASCII alphanumerics, '.', '_' and "
                                          "'-'" },
        { rl_slice_of("a\0b", 3), "Topic name is invalid: 'a" },
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        const char *reason = "untouched";
        char text[320];
        rl_status status = rl_topic_name_check(cases[i].name, &reason);
        rl_topic_name_explain(cases[i].name, text, sizeof text);
        cr_assert_eq(status, cases[i].answer == NULL ? RL_OK : RL_EINVAL, "case %zu", i);
        cr_assert_str_eq(text, cases[i].answer == NULL ? "" : cases[i].answer);
        cr_assert((strcmp(reason, "untouched") == 0) == (status == RL_OK));
    }

    char text[400];
    struct rl_slice long_name = rl_slice_of(beyond, sizeof beyond);
    rl_topic_name_explain(long_name, text, sizeof text);        /* all of it, as Kafka says it */
    cr_assert_eq(strlen(text), 23 + 15 + 250 + 5 + 38);
    cr_assert(strncmp(text, "Topic name is invalid: the length of 'xxx", 41) == 0);
    cr_assert_not_null(strstr(text, "xxx' is longer than the max allowed length 249"));
    for (size_t room = 120; room < 140; room++) {       /* or its beginning, never half a letter */
        for (size_t i = 0; i < sizeof beyond; i += 2)
            memcpy(beyond + i, "\xc3\xa4", 2);
        rl_topic_name_explain(long_name, text, room);
        cr_assert_leq(strlen(text), room - 1);
        cr_assert_not_null(strstr(text, "\xc3\xa4' is longer than the max allowed length 249"));
    }
}

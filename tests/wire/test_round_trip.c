/* tests/wire/test_round_trip.c — every message, every version, every kind of values.
 *
 * What was encoded is decoded to the same values; whatever else arrives is refused or understood,
 * never believed (these tests mean most under ASan). */
#include "tests/wire/fill.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define ARENA_BYTES (1u << 20)
#define RANDOM_SEEDS 15

typedef void each_fn(const struct rl_fill_message *message, int16_t version, const void *msg,
                     struct rl_slice encoded);

/* Run fn on a filled and encoded message, for every message and version. */
static void each(enum rl_fill_kind kind, uint64_t seed, each_fn *fn)
{
    for (size_t i = 0; i < rl_fill_messages_count; i++) {
        const struct rl_fill_message *message = &rl_fill_messages[i];
        for (int16_t v = message->min_version; v <= message->max_version; v++) {
            struct rl_arena arena;
            rl_arena_init(&arena, 65536, SIZE_MAX / 2);
            struct rl_fill fill = { .kind = kind, .state = seed, .arena = &arena };
            const void *msg = rl_fill_new(&fill, message, v);
            struct rl_slice encoded = rl_fill_encode(message, v, msg);
            fn(message, v, msg, encoded);
            free((void *)encoded.data);
            rl_arena_done(&arena);
        }
    }
}

static void each_kind(each_fn *fn)
{
    for (enum rl_fill_kind kind = RL_FILL_DEFAULT; kind < RL_FILL_RANDOM; kind++)
        each(kind, 0, fn);
}

/* Decode an exact copy of input, so that a byte read beyond it is caught.  *ret_msg comes from
 * the arena; the copy from malloc goes to *ret_copy, because slices point into it. */
static rl_status decode_copy(const struct rl_fill_message *message, int16_t version,
                             struct rl_slice input, struct rl_arena *arena, void **ret_msg,
                             uint8_t **ret_copy, size_t *ret_left)
{
    uint8_t *copy = malloc(input.bytes > 0 ? input.bytes : 1);
    cr_assert_not_null(copy);
    if (input.bytes > 0)
        memcpy(copy, input.data, input.bytes);
    void *msg = malloc(message->codec.struct_bytes);
    cr_assert_not_null(msg);
    struct rl_reader r = rl_rd_of(rl_slice_of(copy, input.bytes));
    rl_status st = message->codec.decode(&r, version, arena, msg);
    cr_assert_eq(st, rl_rd_done(&r));
    *ret_msg = msg;
    *ret_copy = copy;
    *ret_left = rl_rd_remaining(&r);
    return st;
}

static void expect_same(const struct rl_fill_message *message, int16_t version, const void *msg,
                        struct rl_slice encoded)
{
    struct rl_arena arena;
    rl_arena_init(&arena, 65536, SIZE_MAX / 2);
    void *decoded;
    uint8_t *copy;
    size_t left;
    rl_status st = decode_copy(message, version, encoded, &arena, &decoded, &copy, &left);
    cr_assert_eq(st, RL_OK, "%s %s v%d: %s", message->api, message->side, version,
                 rl_status_name(st));
    cr_assert_eq(left, 0);

    char *before = rl_fill_print(message, version, msg);
    char *after = rl_fill_print(message, version, decoded);
    cr_assert_str_eq(after, before, "%s %s v%d", message->api, message->side, version);
    struct rl_slice again = rl_fill_encode(message, version, decoded);
    cr_assert(rl_slice_equal(again, encoded), "%s %s v%d", message->api, message->side, version);

    free((void *)again.data);
    free(before);
    free(after);
    free(copy);
    free(decoded);
    rl_arena_done(&arena);
}

Test(round_trip, every_version_gives_back_what_it_got)
{
    each_kind(expect_same);
}

Test(round_trip, random_values)
{
    for (uint64_t seed = 1; seed <= RANDOM_SEEDS; seed++)
        each(RL_FILL_RANDOM, seed * 1000, expect_same);
}

/* Decode bytes that may be anything.  If they are accepted, the message can be written and read
 * again; on failure it is at its defaults. */
static rl_status decode_any(const struct rl_fill_message *message, int16_t version,
                            struct rl_slice input, size_t limit_bytes)
{
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, limit_bytes);
    void *decoded;
    uint8_t *copy;
    size_t left;
    rl_status st = decode_copy(message, version, input, &arena, &decoded, &copy, &left);
    cr_assert_leq(arena.used_bytes, limit_bytes);
    if (st == RL_OK) {
        struct rl_slice again = rl_fill_encode(message, version, decoded);
        expect_same(message, version, decoded, again);
        free((void *)again.data);
    } else {
        void *untouched = malloc(message->codec.struct_bytes);
        cr_assert_not_null(untouched);
        message->codec.init(untouched);
        char *expected = rl_fill_print(message, version, untouched);
        char *printed = rl_fill_print(message, version, decoded);
        cr_assert_str_eq(printed, expected);
        free(expected);
        free(printed);
        free(untouched);
    }
    free(copy);
    free(decoded);
    rl_arena_done(&arena);
    return st;
}

static void expect_truncation_refused(const struct rl_fill_message *message, int16_t version,
                                      const void *msg, struct rl_slice encoded)
{
    (void)msg;
    for (size_t bytes = 0; bytes < encoded.bytes; bytes++) {
        rl_status st = decode_any(message, version, rl_slice_of(encoded.data, bytes), ARENA_BYTES);
        cr_assert(st == RL_ETRUNCATED || st == RL_EMALFORMED, "%s %s v%d cut at %zu: %s",
                  message->api, message->side, version, bytes, rl_status_name(st));
    }
}

Test(round_trip, every_truncation_is_refused, .timeout = 100)
{
    each(RL_FILL_DEFAULT, 0, expect_truncation_refused);
    each(RL_FILL_TYPICAL, 0, expect_truncation_refused);
}

static void expect_damage_survived(const struct rl_fill_message *message, int16_t version,
                                   const void *msg, struct rl_slice encoded)
{
    (void)msg;
    static const uint8_t values[] = { 0x00, 0x80, 0xff };
    uint8_t *damaged = malloc(encoded.bytes > 0 ? encoded.bytes : 1);
    cr_assert_not_null(damaged);
    if (encoded.bytes > 0)
        memcpy(damaged, encoded.data, encoded.bytes);
    for (size_t at = 0; at < encoded.bytes; at++) {
        for (size_t i = 0; i < RL_ARRAY_COUNT(values); i++) {
            damaged[at] = values[i];
            decode_any(message, version, rl_slice_of(damaged, encoded.bytes), ARENA_BYTES);
        }
        damaged[at] = encoded.data[at];
    }
    free(damaged);
}

Test(round_trip, every_damaged_byte_is_survived, .timeout = 100)
{
    each(RL_FILL_TYPICAL, 0, expect_damage_survived);
}

static void expect_limit_kept(const struct rl_fill_message *message, int16_t version,
                              const void *msg, struct rl_slice encoded)
{
    (void)msg;
    rl_status st = RL_ENOMEM;
    for (size_t limit = 0; st != RL_OK; limit += 16) {
        st = decode_any(message, version, encoded, limit);
        cr_assert(st == RL_OK || st == RL_ENOMEM, "%s", rl_status_name(st));
    }
}

Test(round_trip, the_arenas_limit_is_kept)
{
    each(RL_FILL_TYPICAL, 0, expect_limit_kept);
}

static void expect_small_buffer_refused(const struct rl_fill_message *message, int16_t version,
                                        const void *msg, struct rl_slice encoded)
{
    for (size_t bytes = 0; bytes < encoded.bytes; bytes++) {
        uint8_t *buffer = malloc(bytes > 0 ? bytes : 1);
        cr_assert_not_null(buffer);
        struct rl_writer w = rl_wr_of(buffer, bytes);
        message->codec.encode(&w, version, msg);
        cr_assert_eq(rl_wr_done(&w), RL_EFULL);
        cr_assert(bytes == 0 || memcmp(buffer, encoded.data, rl_wr_bytes(&w)) == 0);
        free(buffer);
    }
}

Test(round_trip, a_buffer_too_small_is_refused)
{
    each(RL_FILL_TYPICAL, 0, expect_small_buffer_refused);
}

static void expect_externals_to_fit_in(const struct rl_fill_message *message, int16_t version,
                                       const void *msg, struct rl_slice encoded)
{
    uint8_t *buffer = malloc(encoded.bytes > 0 ? encoded.bytes : 1);
    cr_assert_not_null(buffer);
    struct rl_wr_external externals[256];
    struct rl_writer w = rl_wr_of(buffer, encoded.bytes);
    w.externals = externals;
    w.externals_capacity = RL_ARRAY_COUNT(externals);
    message->codec.encode(&w, version, msg);
    cr_assert_eq(rl_wr_done(&w), RL_OK);
    cr_assert_eq(rl_wr_bytes(&w) + rl_wr_externals_bytes(&w), encoded.bytes);

    /* the buffer's pieces and the external bytes, in order, are the whole message */
    size_t from = 0, to = 0;
    for (uint32_t i = 0; i < w.externals_count; i++) {
        cr_assert(memcmp(buffer + from, encoded.data + to, externals[i].at - from) == 0);
        to += externals[i].at - from + externals[i].bytes;
        from = externals[i].at;
    }
    cr_assert(encoded.bytes == 0
              || memcmp(buffer + from, encoded.data + to, rl_wr_bytes(&w) - from) == 0);
    free(buffer);
}

Test(round_trip, records_may_stay_where_they_are)
{
    each_kind(expect_externals_to_fit_in);
    for (uint64_t seed = 1; seed <= RANDOM_SEEDS; seed++)
        each(RL_FILL_RANDOM, seed * 1000, expect_externals_to_fit_in);
}

/* Defaults set no tagged field, so a flexible message ends with the byte 0. */
static void expect_unknown_tags_skipped(const struct rl_fill_message *message, int16_t version,
                                        const void *msg, struct rl_slice encoded)
{
    static const uint8_t good[] = { 2, 0xf0, 0xff, 3, 3, 'a', 'b', 'c', 0xf1, 0xff, 3, 0 };
    static const uint8_t twice[] = { 2, 0xf0, 0xff, 3, 0, 0xf0, 0xff, 3, 0 };
    static const uint8_t long_tag[] = { 1, 0xf0, 0xff, 3, 4, 'a', 'b', 'c' };
    const struct { struct rl_slice tags; rl_status st; } cases[] = {
        { { good, sizeof good }, RL_OK },
        { { twice, sizeof twice }, RL_EMALFORMED },
        { { long_tag, sizeof long_tag }, RL_ETRUNCATED },
    };
    if (version < message->flexible_since)
        return;
    cr_assert_eq(encoded.data[encoded.bytes - 1], 0);
    for (size_t i = 0; i < RL_ARRAY_COUNT(cases); i++) {
        size_t bytes = encoded.bytes - 1 + cases[i].tags.bytes;
        uint8_t *longer = malloc(bytes);
        cr_assert_not_null(longer);
        memcpy(longer, encoded.data, encoded.bytes - 1);
        memcpy(longer + encoded.bytes - 1, cases[i].tags.data, cases[i].tags.bytes);
        struct rl_arena arena;
        rl_arena_init(&arena, 4096, ARENA_BYTES);
        void *decoded;
        uint8_t *copy;
        size_t left;
        rl_status st = decode_copy(message, version, rl_slice_of(longer, bytes), &arena, &decoded,
                                   &copy, &left);
        cr_assert_eq(st, cases[i].st, "%s %s v%d case %zu: %s", message->api, message->side,
                     version, i, rl_status_name(st));
        if (st == RL_OK) {
            cr_assert_eq(left, 0);
            char *before = rl_fill_print(message, version, msg);
            char *after = rl_fill_print(message, version, decoded);
            cr_assert_str_eq(after, before);
            free(before);
            free(after);
        }
        free(longer);
        free(copy);
        free(decoded);
        rl_arena_done(&arena);
    }
}

Test(round_trip, unknown_tagged_fields_are_skipped)
{
    each(RL_FILL_DEFAULT, 0, expect_unknown_tags_skipped);
}

Test(round_trip, other_versions_are_refused)
{
    for (size_t i = 0; i < rl_fill_messages_count; i++) {
        const struct rl_fill_message *message = &rl_fill_messages[i];
        const int16_t versions[] = { (int16_t)(message->min_version - 1),
                                     (int16_t)(message->max_version + 1), INT16_MAX, INT16_MIN };
        for (size_t v = 0; v < RL_ARRAY_COUNT(versions); v++) {
            void *msg = malloc(message->codec.struct_bytes);
            cr_assert_not_null(msg);
            message->codec.init(msg);
            uint8_t buffer[256] = { 0 };
            struct rl_reader r = rl_rd_of(rl_slice_of(buffer, sizeof buffer));
            cr_assert_eq(message->codec.decode(&r, versions[v], NULL, msg), RL_EUNSUPPORTED);
            struct rl_writer w = rl_wr_of(buffer, sizeof buffer);
            message->codec.encode(&w, versions[v], msg);
            cr_assert_eq(rl_wr_done(&w), RL_EUNSUPPORTED);
            cr_assert_eq(message->codec.size(versions[v], msg), 0);
            free(msg);
        }
    }
}

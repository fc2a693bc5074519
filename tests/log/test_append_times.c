/* tests/log/test_append_times.c — when records were appended: exact enough, bounded, and kept. */
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/append_times.h"
#include "log/checkpoint.h"
#include "log_fixture.h"
#include <criterion/criterion.h>

#define START_MS ((int64_t)1795348800000)
#define SECOND_NS ((int64_t)1000000000)

/* ---- alone ---- */

/* One record an append: its offset is its place in `when`. */
static void append(struct rl_append_times *times, int64_t *when, int64_t offset, int64_t now_ms)
{
    if (rl_append_times_is_due(times, now_ms))
        rl_append_times_note(times, offset, now_ms, 0);
    when[offset] = now_ms;
}

static void check(const struct rl_append_times *times, const int64_t *when, int64_t from, int64_t end,
                  int64_t now_ms)
{
    cr_assert_leq(times->count, RL_APPEND_MARKS_MAX);
    for (int64_t offset = from; offset < end; offset++) {
        int64_t ms, age_ms = now_ms - when[offset];
        cr_assert(rl_append_times_find(times, offset, &ms), "offset %lld", (long long)offset);
        cr_assert_leq(ms, when[offset], "offset %lld is told to be younger than it is", (long long)offset);
        cr_assert_leq(when[offset] - ms, RL_MAX(RL_APPEND_MARK_MS, age_ms / 8),
                      "offset %lld, %lld ms old, is told %lld ms too old", (long long)offset,
                      (long long)age_ms, (long long)(when[offset] - ms));
    }
}

/* Twice a second for ten days: what retention keeps by default, and more. */
Test(append_times, a_busy_log_is_exact_enough_and_bounded, .timeout = 120)
{
    enum { COUNT = 10 * 86400 * 2 };
    struct rl_append_times times = { 0 };
    int64_t *when = rl_alloc(COUNT * sizeof *when);
    for (int64_t i = 0; i < COUNT; i++) {
        append(&times, when, i, START_MS + i * 500);
        if (i < 5000 || i % 100000 == 0)
            check(&times, when, i > 5000 ? 0 : RL_MAX(i - 300, 0), i + 1, when[i]);
    }
    check(&times, when, 0, COUNT, when[COUNT - 1]);
    rl_append_times_done(&times);
    rl_free(when);
}

/* Bursts, with pauses from nothing to days between them. */
Test(append_times, a_log_with_pauses_is_exact_enough, .timeout = 120)
{
    enum { COUNT = 4000 };
    static int64_t when[COUNT];
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rl_append_times times = { 0 };
        struct rl_random random;
        int64_t now_ms = START_MS;
        rl_random_init(&random, seed);
        for (int64_t i = 0; i < COUNT; i++) {
            now_ms += (int64_t)rl_random_below(&random, (uint64_t)1 << rl_random_below(&random, 24));
            append(&times, when, i, now_ms);
            if (i % 97 == 0)
                check(&times, when, 0, i + 1, now_ms + (int64_t)rl_random_below(&random, 10000));
        }
        check(&times, when, 0, COUNT, now_ms);
        rl_append_times_done(&times);
    }
}

/* Marks further apart than their number allows: the first and the last stay, and the order. */
Test(append_times, a_log_of_years_stays_bounded)
{
    struct rl_append_times times = { 0 };
    int64_t now_ms = START_MS, ms;
    for (int64_t i = 0; i < 20000; i++, now_ms += 3600000)
        rl_append_times_note(&times, i, now_ms, 0);
    cr_assert_leq(times.count, RL_APPEND_MARKS_MAX);
    cr_assert_eq(times.marks[0].ms, START_MS);
    cr_assert(rl_append_times_find(&times, 19999, &ms));
    cr_assert_eq(ms, now_ms - 3600000);
    for (uint32_t i = 1; i < times.count; i++) {
        cr_assert_gt(times.marks[i].offset, times.marks[i - 1].offset);
        cr_assert_gt(times.marks[i].ms, times.marks[i - 1].ms);
    }
    rl_append_times_done(&times);
}

Test(append_times, what_is_before_the_log_start_is_forgotten_but_for_its_last)
{
    struct rl_append_times times = { 0 };
    int64_t ms;
    for (int64_t i = 0; i < 10; i++)
        rl_append_times_note(&times, i * 10, START_MS + i * 5000, 0);
    rl_append_times_thin(&times, START_MS + 45000, 57);
    cr_assert_eq(times.marks[0].offset, 50);
    cr_assert(rl_append_times_find(&times, 57, &ms));
    cr_assert_eq(ms, START_MS + 25000);
    cr_assert_not(rl_append_times_find(&times, 49, &ms));
    rl_append_times_cut(&times, 70);
    cr_assert(rl_append_times_find(&times, 1000, &ms));
    cr_assert_eq(ms, START_MS + 30000);
    rl_append_times_cut(&times, 0);
    cr_assert_not(rl_append_times_find(&times, 0, &ms));
    rl_append_times_done(&times);
}

/* An hour ahead for a while: then nothing may stay in the future, and marks go on. */
Test(append_times, a_clock_that_is_set_back)
{
    struct rl_append_times times = { 0 };
    int64_t ms;
    rl_append_times_note(&times, 0, START_MS, 0);
    rl_append_times_note(&times, 10, START_MS + 3600000, 0);
    cr_assert(rl_append_times_is_due(&times, START_MS + 2000));
    rl_append_times_note(&times, 20, START_MS + 2000, 0);
    cr_assert(rl_append_times_find(&times, 10, &ms));
    cr_assert_eq(ms, START_MS + 2000);
    cr_assert_not(rl_append_times_is_due(&times, START_MS + 2999));
    cr_assert(rl_append_times_is_due(&times, START_MS + 3000));
    rl_append_times_done(&times);
}

/* Batches found behind the last mark: their own times, as far as they are possible. */
Test(append_times, batches_tell_their_times_within_bounds)
{
    struct rl_append_times times = { 0 };
    int64_t ms;
    rl_append_times_note(&times, 0, START_MS, 0);
    rl_append_times_learn(&times, 5, START_MS - 86400000, START_MS + 60000);    /* before the last mark */
    rl_append_times_learn(&times, 6, -1, START_MS + 60000);                     /* it does not say */
    rl_append_times_learn(&times, 0, START_MS + 7000, START_MS + 60000);        /* has a mark */
    cr_assert_eq(times.count, 1);
    rl_append_times_learn(&times, 7, START_MS + 5000, START_MS + 60000);
    rl_append_times_learn(&times, 8, START_MS + 86400000, START_MS + 60000);    /* in the future */
    cr_assert(rl_append_times_find(&times, 7, &ms));
    cr_assert_eq(ms, START_MS + 5000);
    cr_assert(rl_append_times_find(&times, 8, &ms));
    cr_assert_eq(ms, START_MS + 60000);
    rl_append_times_done(&times);
}

/* ---- in a log ---- */

static int64_t told_ms(struct fixture *f, int64_t offset)
{
    return rl_log_append_time_ms(f->log, offset);
}

/* `count` batches of one record, a minute apart; the time of each into when. */
static void fill(struct fixture *f, uint32_t count, int64_t *when, bool own_times)
{
    for (uint32_t i = 0; i < count; i++) {
        fixture_settle(f);              /* and the shard's clock goes on */
        struct batch_spec spec = { .value_bytes = 100, .base_timestamp_ms = own_times ? f->shard->wall_ms : 1000 };
        when[i] = f->shard->wall_ms;
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
        rl_mem_advance(f->mem, 60 * SECOND_NS);
    }
}

static void start(struct fixture *f)
{
    fixture_init(f);
    f->config.segment_bytes = 1000;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
}

Test(append_times, a_log_knows_them_and_a_clean_stop_keeps_them)
{
    struct fixture f;
    int64_t when[12];
    start(&f);
    cr_assert_eq(told_ms(&f, 0), -1, "there is no record yet");
    fill(&f, 12, when, false);          /* producers that say 1970 */
    for (int32_t round = 0; round < 2; round++) {
        for (int64_t i = 9; i < 12; i++)
            cr_assert_eq(told_ms(&f, i), when[i], "offset %lld: %lld", (long long)i, (long long)told_ms(&f, i));
        cr_assert_leq(told_ms(&f, 0), when[0]);
        cr_assert_eq(told_ms(&f, -5), told_ms(&f, 0));
        cr_assert_eq(told_ms(&f, 12), -1);
        fixture_close(&f, true);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
    }
    fixture_close(&f, true);
    fixture_done(&f);
}

/* After a kill what no checkpoint has comes from the batches, never later than the start. */
Test(append_times, a_kill_leaves_what_batches_say)
{
    struct fixture f;
    int64_t when[12];
    start(&f);
    fill(&f, 12, when, true);
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int64_t i = 10; i < 12; i++) {
        cr_assert_leq(told_ms(&f, i), when[i]);
        cr_assert_geq(told_ms(&f, i), when[i] - 61000);
    }
    fixture_close(&f, true);
    fixture_done(&f);
}

/* A checkpoint of the version before: the segment's age is what is known. */
Test(append_times, a_checkpoint_without_marks_is_read)
{
    struct fixture f;
    struct rl_checkpoint checkpoint;
    struct rl_text file = { 0 };
    int64_t when[4];
    size_t size;
    start(&f);
    fill(&f, 4, when, false);
    fixture_close(&f, true);
    uint8_t *bytes = fixture_file_load(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", &size);
    cr_assert_eq(rl_checkpoint_decode(rl_slice_of(bytes, size), &checkpoint), RL_OK);
    cr_assert_gt(checkpoint.append_times.count, 0);
    rl_append_times_done(&checkpoint.append_times);
    rl_checkpoint_encode(&checkpoint, &file);
    file.bytes -= 4;                    /* the count */
    file.data[7] = 1;
    uint32_t crc = rl_crc32c(0, file.data + 12, file.bytes - 12);
    for (uint32_t i = 0; i < 4; i++)
        file.data[8 + i] = (char)(crc >> (24 - 8 * i));
    fixture_file_store(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", file.data, file.bytes);
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(told_ms(&f, 3), when[0], "%lld", (long long)(told_ms(&f, 3) - when[0]));
    fill(&f, 1, when, false);
    cr_assert_eq(told_ms(&f, 4), when[0]);
    fixture_close(&f, true);
    rl_checkpoint_done(&checkpoint);
    rl_text_done(&file);
    rl_free(bytes);
    fixture_done(&f);
}

/* Marks that no broker writes are no marks, however well their checksum fits. */
Test(append_times, a_checkpoint_with_impossible_marks)
{
    static const struct rl_append_mark wrong[][2] = {
        { { 0, 5 }, { 1, INT64_MAX } }, { { 0, -1 }, { 1, 5 } }, { { -1, 1 }, { 1, 5 } },
        { { 3, 1 }, { 3, 5 } }, { { 0, 5 }, { 1, 4 } },
    };
    struct rl_segment segment = { .base_offset = 0 };
    struct rl_append_mark marks[2] = { { 0, 1 }, { 1, 2 } };
    struct rl_checkpoint checkpoint = { .segments = &segment, .segment_count = 1, .append_times = { marks, 2, 2 } };
    for (size_t i = 0; i < RL_ARRAY_COUNT(wrong); i++) {
        struct rl_text file = { 0 };
        struct rl_checkpoint decoded;
        rl_checkpoint_encode(&checkpoint, &file);
        cr_assert_eq(rl_checkpoint_decode(rl_text_slice(&file), &decoded), RL_OK);
        rl_checkpoint_done(&decoded);
        for (size_t k = 0; k < 4; k++) {
            uint64_t value = (uint64_t)(k % 2 == 0 ? wrong[i][k / 2].offset : wrong[i][k / 2].ms);
            for (size_t byte = 0; byte < 8; byte++)
                file.data[file.bytes - 32 + k * 8 + byte] = (char)(value >> (56 - 8 * byte));
        }
        uint32_t crc = rl_crc32c(0, file.data + 12, file.bytes - 12);
        for (uint32_t byte = 0; byte < 4; byte++)
            file.data[8 + byte] = (char)(crc >> (24 - 8 * byte));
        cr_assert_eq(rl_checkpoint_decode(rl_text_slice(&file), &decoded), RL_ECORRUPT, "%zu", i);
        rl_text_done(&file);
    }
}

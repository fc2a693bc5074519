/* tests/log/test_producer_state.c — Kafka's rules for sequences and epochs, as tables. */
#include "core/memory.h"
#include "log/epoch_cache.h"
#include "log/producer_state.h"
#include "log/snapshot.h"
#include <criterion/criterion.h>

static struct rl_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, int32_t records,
                                int64_t base_offset)
{
    return (struct rl_batch){ .producer_id = id, .producer_epoch = epoch,
                              .base_sequence = sequence, .record_count = records,
                              .last_offset_delta = records - 1, .base_offset = base_offset };
}

struct step {
    int16_t epoch;
    int32_t sequence, records;
    rl_status status;
    int64_t duplicate_offset;
};

/* Steps of one producer; accepted batches get the next offsets. */
static void play(const struct step *steps, uint32_t count)
{
    struct rl_producer_state *state = rl_producer_state_create(1);
    int64_t offset = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct rl_producer_batch *duplicate = NULL;
        struct rl_batch batch = batch_of(7, steps[i].epoch, steps[i].sequence, steps[i].records,
                                         offset);
        rl_status status = rl_producer_state_check(state, &batch, &duplicate);
        cr_assert_eq(status, steps[i].status, "step %u", i);
        if (status == RL_EDUPLICATE)
            cr_assert_eq(duplicate->base_offset, steps[i].duplicate_offset, "step %u", i);
        if (status != RL_OK)
            continue;
        rl_producer_state_update(state, &batch, 1000);
        offset += steps[i].records;
    }
    rl_producer_state_free(state);
}

Test(producer_state, a_stream_in_order_with_retries)
{
    static const struct step steps[] = {
        { 0, 0, 3, RL_OK, 0 }, { 0, 3, 1, RL_OK, 0 }, { 0, 3, 1, RL_EDUPLICATE, 3 },
        { 0, 0, 3, RL_EDUPLICATE, 0 }, { 0, 0, 2, RL_EOUTOFORDER, 0 }, /* another range */
        { 0, 5, 1, RL_EOUTOFORDER, 0 }, { 0, 4, 1, RL_OK, 0 },
    };
    play(steps, RL_ARRAY_COUNT(steps));
}

Test(producer_state, an_unknown_producer_begins_anywhere)
{
    static const struct step steps[] = {
        { 3, 500, 2, RL_OK, 0 }, { 3, 502, 2, RL_OK, 0 }, { 3, 500, 2, RL_EDUPLICATE, 0 },
    };
    play(steps, RL_ARRAY_COUNT(steps));
}

Test(producer_state, the_window_is_five_batches)
{
    static const struct step steps[] = {
        { 0, 0, 1, RL_OK, 0 }, { 0, 1, 1, RL_OK, 0 }, { 0, 2, 1, RL_OK, 0 }, { 0, 3, 1, RL_OK, 0 },
        { 0, 4, 1, RL_OK, 0 }, { 0, 0, 1, RL_EDUPLICATE, 0 }, { 0, 5, 1, RL_OK, 0 },
        { 0, 0, 1, RL_EOUTOFORDER, 0 }, { 0, 1, 1, RL_EDUPLICATE, 1 },
        { 0, 5, 1, RL_EDUPLICATE, 5 },
    };
    play(steps, RL_ARRAY_COUNT(steps));
}

Test(producer_state, sequences_wrap_to_zero)
{
    static const struct step steps[] = {
        { 0, INT32_MAX - 1, 2, RL_OK, 0 }, { 0, INT32_MAX, 1, RL_EOUTOFORDER, 0 },
        { 0, 0, 2, RL_OK, 0 }, { 0, INT32_MAX - 1, 2, RL_EDUPLICATE, 0 }, { 0, 2, 1, RL_OK, 0 },
        { 1, 0, 1, RL_OK, 0 },
    };
    static const struct step inside[] = {
        { 0, INT32_MAX - 1, 4, RL_OK, 0 }, /* MAX-1, MAX, 0, 1 */
        { 0, 2, 1, RL_OK, 0 }, { 0, INT32_MAX - 1, 4, RL_EDUPLICATE, 0 },
    };
    play(steps, RL_ARRAY_COUNT(steps));
    play(inside, RL_ARRAY_COUNT(inside));
}

Test(producer_state, epochs)
{
    static const struct step steps[] = {
        { 2, 0, 1, RL_OK, 0 }, { 1, 1, 1, RL_EPRODUCEREPOCH, 0 }, { 1, 0, 1, RL_EPRODUCEREPOCH, 0 },
        { 3, 1, 1, RL_EOUTOFORDER, 0 }, { 3, 0, 1, RL_OK, 0 }, { 2, 0, 1, RL_EPRODUCEREPOCH, 0 },
        { 3, 0, 1, RL_EDUPLICATE, 1 }, { 3, 1, 1, RL_OK, 0 },
    };
    play(steps, RL_ARRAY_COUNT(steps));
}

Test(producer_state, the_least_recently_used_is_forgotten_first)
{
    struct rl_producer_state *state = rl_producer_state_create(1);
    const struct rl_producer_batch *duplicate;

    state->producers_max = 3;
    for (int64_t id = 1; id <= 3; id++) {
        struct rl_batch batch = batch_of(id, 0, 10, 1, id);
        rl_producer_state_update(state, &batch, 1000);
    }
    struct rl_batch again = batch_of(1, 0, 11, 1, 4), fourth = batch_of(4, 0, 10, 1, 5);
    rl_producer_state_update(state, &again, 1000);
    rl_producer_state_update(state, &fourth, 1000);
    cr_assert_eq(rl_producer_state_count(state), 3);
    struct rl_batch second = batch_of(2, 0, 99, 1, 0), first = batch_of(1, 0, 99, 1, 0);
    cr_assert_eq(rl_producer_state_check(state, &second, &duplicate), RL_OK, "2 is unknown again");
    cr_assert_eq(rl_producer_state_check(state, &first, &duplicate), RL_EOUTOFORDER);
    rl_producer_state_free(state);
}

Test(producer_state, idle_producers_expire)
{
    struct rl_producer_state *state = rl_producer_state_create(1);

    for (int64_t id = 1; id <= 10; id++) {
        struct rl_batch batch = batch_of(id, 0, 0, 1, id);
        rl_producer_state_update(state, &batch, 1000 * id);
    }
    rl_producer_state_expire(state, 10999, 7000);
    cr_assert_eq(rl_producer_state_count(state), 7);
    rl_producer_state_expire(state, 1000, 7000);        /* the clock went back */
    cr_assert_eq(rl_producer_state_count(state), 7);
    rl_producer_state_free(state);
}

Test(producer_state, a_snapshot_brings_back_the_same_state)
{
    struct rl_producer_state *state = rl_producer_state_create(1), *copy;
    struct rl_text file = { 0 }, again = { 0 };

    for (int i = 0; i < 1000; i++) {
        struct rl_batch batch = batch_of(i % 137, (int16_t)(i % 3), i, 1 + i % 4, i * 5);
        rl_producer_state_update(state, &batch, i);
    }
    rl_snapshot_encode(state, 5000, &file);
    copy = rl_producer_state_create(2);
    cr_assert_eq(rl_snapshot_decode(rl_text_slice(&file), 5000, copy), RL_OK);
    cr_assert_eq(rl_producer_state_count(copy), 137);
    rl_snapshot_encode(copy, 5000, &again);
    cr_assert(rl_slice_equal(rl_text_slice(&file), rl_text_slice(&again)));
    cr_assert_eq(rl_snapshot_decode(rl_text_slice(&file), 5001, copy), RL_ECORRUPT);
    for (size_t bytes = 0; bytes < file.bytes; bytes += 97)
        cr_assert_eq(rl_snapshot_decode(rl_slice_of(file.data, bytes), 5000, copy), RL_ECORRUPT);
    rl_producer_state_free(state);
    rl_producer_state_free(copy);
    rl_text_done(&file);
    rl_text_done(&again);
}

/* ---- batches that are lost ---- */

static rl_status check(const struct rl_producer_state *state, int64_t id, int16_t epoch, int32_t sequence)
{
    const struct rl_producer_batch *duplicate;
    struct rl_batch batch = batch_of(id, epoch, sequence, 1, 0);
    return rl_producer_state_check(state, &batch, &duplicate);
}

/* A state with sequences first..last of producer 7, one batch each, at offsets from `offset` on. */
static struct rl_producer_state *state_with(int16_t epoch, int32_t first, int32_t last, int64_t offset)
{
    struct rl_producer_state *state = rl_producer_state_create(1);
    for (int32_t sequence = first; sequence <= last; sequence++) {
        struct rl_batch batch = batch_of(7, epoch, sequence, 1, offset++);
        rl_producer_state_update(state, &batch, 1000);
    }
    return state;
}

/* A pipelined producer: 0, 1 and 2 are answered with an error, 3 is on its way.  Kafka would take 3. */
Test(producer_state, who_lost_all_batches_goes_on_with_the_first)
{
    struct rl_producer_state *before = state_with(0, 0, 2, 10), *after = NULL;

    rl_producer_state_lose(&after, 1, before, 10, 10);
    cr_assert_eq(check(after, 7, 0, 3), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 0, 1), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 0, 0), RL_OK);
    cr_assert_eq(check(after, 8, 0, 3), RL_OK, "others are as unknown as before");
    cr_assert_eq(check(after, 7, 1, 0), RL_OK, "it may begin anew");
    cr_assert_eq(check(after, 7, 1, 1), RL_EOUTOFORDER);
    for (int32_t sequence = 0; sequence < 8; sequence++) {
        struct rl_batch batch = batch_of(7, 0, sequence, 1, 10 + sequence);
        cr_assert_eq(check(after, 7, 0, sequence), RL_OK);
        rl_producer_state_update(after, &batch, 1000);
        cr_assert_eq(check(after, 7, 0, sequence), RL_EDUPLICATE);
    }
    rl_producer_state_free(before);
    rl_producer_state_free(after);
}

/* Sequences 4 to 8 at offsets 10 to 14; 12 and 13 were answered without a sync, 14 was not. */
Test(producer_state, who_lost_acknowledged_batches_goes_on_behind_them)
{
    struct rl_producer_state *before = state_with(3, 4, 8, 10), *after = state_with(3, 4, 5, 10);

    rl_producer_state_lose(&after, 1, before, 12, 14);
    cr_assert_eq(check(after, 7, 3, 9), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 3, 8), RL_OK);
    cr_assert_eq(check(after, 7, 3, 6), RL_OK, "the answer may have been lost, too");
    cr_assert_eq(check(after, 7, 3, 5), RL_EDUPLICATE);
    cr_assert_eq(check(after, 7, 2, 0), RL_EPRODUCEREPOCH);
    struct rl_producer_state *again = NULL;
    rl_producer_state_lose(&again, 1, after, 12, 14);   /* opened once more, before it came */
    cr_assert_eq(check(again, 7, 3, 8), RL_OK);
    cr_assert_eq(check(again, 7, 3, 9), RL_EOUTOFORDER);
    rl_producer_state_free(again);
    struct rl_batch batch = batch_of(7, 3, 8, 1, 12);
    rl_producer_state_update(after, &batch, 1000);
    cr_assert_eq(check(after, 7, 3, 6), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 3, 9), RL_OK);
    rl_producer_state_free(before);
    rl_producer_state_free(after);
}

/* A start takes what a killed process wrote for acknowledged.  Who sends it again has another view. */
Test(producer_state, who_waited_for_a_batch_that_is_lost_goes_on_with_it)
{
    struct rl_producer_state *before = state_with(3, 4, 8, 10), *after = state_with(3, 4, 5, 10);
    struct rl_batch again = batch_of(7, 3, 7, 1, 0), stranger = batch_of(8, 0, 0, 1, 0);

    rl_producer_state_await(before, &again);
    rl_producer_state_await(before, &stranger);
    rl_producer_state_await(NULL, &again);
    rl_producer_state_lose(&after, 1, before, 12, 15);
    cr_assert_eq(check(after, 7, 3, 9), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 3, 8), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 3, 7), RL_OK);
    cr_assert_eq(check(after, 7, 3, 6), RL_OK, "acknowledged, or not");
    again.base_sequence = 6;            /* now it is known */
    rl_producer_state_refuse(&after, 1, &again, 1000);
    cr_assert_eq(check(after, 7, 3, 7), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 3, 6), RL_OK);
    rl_producer_state_free(before);
    rl_producer_state_free(after);
}

Test(producer_state, who_lost_nothing_is_as_before)
{
    struct rl_producer_state *before = state_with(0, 0, 2, 10), *after = state_with(0, 0, 2, 10);
    struct rl_producer_state *none = NULL;

    rl_producer_state_lose(&after, 1, before, 13, 13);
    cr_assert_eq(check(after, 7, 0, 3), RL_OK);
    cr_assert_eq(check(after, 7, 0, 1), RL_EDUPLICATE);
    rl_producer_state_lose(&none, 1, before, 13, 13);
    rl_producer_state_lose(&none, 1, NULL, 0, 0);
    cr_assert_null(none);
    rl_producer_state_free(before);
    rl_producer_state_free(after);
}

/* A sequence wraps, and a window that is all lost and full. */
Test(producer_state, lost_sequences_wrap)
{
    struct rl_producer_state *before = rl_producer_state_create(1), *after = NULL;
    int32_t sequence = INT32_MAX - 1;

    for (int64_t offset = 0; offset < 5; offset++) {
        struct rl_batch batch = batch_of(7, 0, sequence, 1, offset);
        rl_producer_state_update(before, &batch, 1000);
        sequence = sequence == INT32_MAX ? 0 : sequence + 1;
    }
    rl_producer_state_lose(&after, 1, before, 0, 3);    /* MAX-1, MAX, 0 were acknowledged */
    cr_assert_eq(check(after, 7, 0, 2), RL_EOUTOFORDER);
    cr_assert_eq(check(after, 7, 0, 1), RL_OK);
    cr_assert_eq(check(after, 7, 0, INT32_MAX), RL_OK);
    cr_assert_eq(check(after, 7, 0, INT32_MAX - 2), RL_EOUTOFORDER);
    rl_producer_state_free(before);
    rl_producer_state_free(after);
}

/* Refused while there is no log: what was sent behind it must not be first. */
Test(producer_state, a_refused_producer_begins_with_what_was_refused)
{
    struct rl_producer_state *state = NULL, *known = state_with(0, 0, 3, 10);
    struct rl_batch first = batch_of(7, 0, 2, 1, 0), second = batch_of(7, 0, 3, 1, 0);
    struct rl_text file = { 0 };

    rl_producer_state_refuse(&state, 1, &first, 1000);
    rl_producer_state_refuse(&state, 1, &second, 1000);
    cr_assert_eq(check(state, 7, 0, 3), RL_EOUTOFORDER);
    cr_assert_eq(check(state, 7, 0, 2), RL_OK);
    rl_producer_state_lose(&known, 1, state, 14, 14);   /* the log knew it after all */
    cr_assert_eq(check(known, 7, 0, 2), RL_EDUPLICATE);
    cr_assert_eq(check(known, 7, 0, 4), RL_OK);

    struct rl_producer_state *copy = rl_producer_state_create(2);
    rl_snapshot_encode(state, 5, &file);                /* connections do not outlive a process */
    cr_assert_eq(rl_snapshot_decode(rl_text_slice(&file), 5, copy), RL_OK);
    cr_assert_eq(rl_producer_state_count(copy), 0);
    rl_text_done(&file);
    rl_producer_state_free(copy);
    rl_producer_state_free(known);
    rl_producer_state_free(state);
}

/* ---- leader epochs ---- */

Test(epoch_cache, ends_as_kafka_answers_them)
{
    struct rl_epoch_cache cache = { 0 };
    static const struct { int32_t asked, epoch; int64_t end_offset; } rows[] = {
        { -1, -1, -1 }, { 0, 0, 10 }, { 1, 1, 10 }, /* below the first: (asked, first start) */
        { 2, 2, 20 }, { 3, 2, 20 }, { 4, 4, 35 }, { 5, 4, 35 }, { 6, 4, 35 }, { 7, 7, 50 },
        { 8, -1, -1 },
    };
    int32_t epoch;
    int64_t end_offset;

    rl_epoch_cache_end(&cache, 0, 50, &epoch, &end_offset);
    cr_assert_eq(epoch, -1);
    cr_assert_eq(rl_epoch_cache_latest(&cache), -1);
    cr_assert(rl_epoch_cache_assign(&cache, 2, 10));
    cr_assert(rl_epoch_cache_assign(&cache, 4, 20));
    cr_assert_not(rl_epoch_cache_assign(&cache, 4, 25), "the same epoch goes on");
    cr_assert_not(rl_epoch_cache_assign(&cache, 3, 30), "an older one is ignored");
    cr_assert(rl_epoch_cache_assign(&cache, 7, 35));
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(rows); i++) {
        rl_epoch_cache_end(&cache, rows[i].asked, 50, &epoch, &end_offset);
        cr_assert_eq(epoch, rows[i].epoch, "row %u", i);
        cr_assert_eq(end_offset, rows[i].end_offset, "row %u", i);
    }
    cr_assert_eq(rl_epoch_cache_of(&cache, 9), -1);
    cr_assert_eq(rl_epoch_cache_of(&cache, 10), 2);
    cr_assert_eq(rl_epoch_cache_of(&cache, 34), 4);
    cr_assert_eq(rl_epoch_cache_of(&cache, 1000), 7);
    rl_epoch_cache_done(&cache);
}

Test(epoch_cache, truncation_at_both_ends)
{
    struct rl_epoch_cache cache = { 0 };

    for (int32_t epoch = 1; epoch <= 5; epoch++)
        cr_assert(rl_epoch_cache_assign(&cache, epoch, epoch * 10));
    rl_epoch_cache_truncate_end(&cache, 40);
    cr_assert_eq(rl_epoch_cache_latest(&cache), 3);
    cr_assert(rl_epoch_cache_assign(&cache, 6, 30), "an epoch without records is replaced");
    cr_assert_eq(cache.count, 3);
    cr_assert_eq(rl_epoch_cache_of(&cache, 30), 6);
    rl_epoch_cache_truncate_start(&cache, 25);
    cr_assert_eq(cache.count, 2);
    cr_assert_eq(cache.entries[0].epoch, 2);
    cr_assert_eq(cache.entries[0].start_offset, 25);
    rl_epoch_cache_truncate_start(&cache, 30);
    cr_assert_eq(cache.count, 1);
    cr_assert_eq(cache.entries[0].epoch, 6);
    rl_epoch_cache_truncate_start(&cache, 100);
    cr_assert_eq(cache.entries[0].start_offset, 100);
    rl_epoch_cache_done(&cache);
}

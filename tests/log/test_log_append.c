/* tests/log/test_log_append.c — append, read, roll, flush, reopen: against a simple model. */
#include "core/buffer.h"
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <string.h>

Test(log_append, what_is_appended_is_read)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 0);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .records = 3, .value_bytes = 10 }), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 3);
    cr_assert_eq(rl_log_written_offset(f.log), 0, "nothing is written before the end of the turn");
    cr_assert_eq(fixture_read(&f, 0, 3, 1000, true, &bytes, &size), RL_OK);
    cr_assert_eq(size, 0, "what is not written is not read");
    rl_free(bytes);
    fixture_settle(&f);
    cr_assert_eq(rl_log_written_offset(f.log), 3);
    cr_assert_eq(rl_log_flushed_offset(f.log), 0);
    cr_assert_eq(f.written, 1);
    cr_assert_eq(f.flushed, 0);
    fixture_check(&f);
    fixture_flush(&f);
    cr_assert_eq(f.flushed, 1);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 3);
    cr_assert_eq(rl_log_flushed_offset(f.log), 3);
    fixture_check(&f);
    cr_assert_eq(fixture_read(&f, 4, 9, 1000, true, &bytes, &size), RL_ERANGE);
    rl_free(bytes);
    cr_assert_eq(fixture_read(&f, -1, 9, 1000, true, &bytes, &size), RL_ERANGE);
    rl_free(bytes);
    fixture_done(&f);
}

Test(log_append, small_and_large_batches_stay_readable_from_memory_and_file)
{
    struct fixture f;

    fixture_init(&f);
    f.options.tail_bytes = 100000;
    fixture_crash(&f, false);           /* start again with these options */
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 60; i++) {
        size_t value_bytes = i % 7 == 0 ? 30000 : (size_t)i * 20;
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = value_bytes,
                                                              .seed = (uint64_t)i }), RL_OK);
        if (i % 3 == 0)
            fixture_settle(&f);
    }
    fixture_settle(&f);
    fixture_check(&f);
    rl_mem_disk_set_resident(f.mem_disk, false);
    fixture_check(&f);
    fixture_done(&f);
}

/* A frame may hold much more than the batch that keeps it: memory, not the batch, is what counts. */
Test(log_append, a_large_frame_is_not_kept_for_a_small_batch)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    fixture_init(&f);
    f.options.tail_bytes = 100000;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 20000 }), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(fixture_read(&f, 0, 1, 100000, true, &bytes, &size), RL_OK);
    for (int i = 0; i < 3; i++) {
        struct rl_buffer *frame = rl_buffer_create(1 << 20, 0);
        struct rl_append_result result;
        struct rl_batch batch;
        memcpy(frame->data, bytes, size);
        cr_assert_eq(rl_batch_read_header(frame->data, size, &batch), RL_OK);
        cr_assert_eq(rl_log_append(f.log, &batch, frame, 5, &result), RL_OK);
        cr_assert_eq(frame->references, 2, "it is written from there");
        fixture_settle(&f);
        cr_assert_eq(frame->references, 1, "and costs more than the tail may");
        rl_buffer_unref(frame);
    }
    rl_free(bytes);
    fixture_done(&f);
}

/* Exactly at batch boundaries, whatever the bounds. */
static void check_bounds(struct fixture *f)
{
    for (uint32_t first = 0; first < f->model.count; first++) {
        for (uint32_t upper = first; upper <= f->model.count; upper++) {
            size_t want = 0;
            for (uint32_t i = first; i < upper; i++)
                want += f->model.batches[i].size_bytes;
            int64_t upper_offset = upper == f->model.count ? rl_log_end_offset(f->log)
                                                           : f->model.batches[upper].base_offset;
            uint8_t *bytes;
            size_t size;
            cr_assert_eq(fixture_read(f, f->model.batches[first].base_offset, upper_offset, 1 << 20,
                                      true, &bytes, &size), RL_OK);
            cr_assert_eq(size, want);
            rl_free(bytes);
            if (first == upper)
                continue;
            cr_assert_leq(rl_log_available_bytes(f->log, f->model.batches[first].base_offset,
                                                 upper_offset, 1 << 20), want);
            cr_assert_gt(rl_log_available_bytes(f->log, f->model.batches[first].base_offset,
                                                upper_offset, 1 << 20), 0);
            /* an offset inside the batch gives the whole batch */
            cr_assert_eq(fixture_read(f, f->model.batches[first].end_offset - 1, upper_offset, want,
                                      false, &bytes, &size), RL_OK);
            cr_assert_eq(size, want);
            rl_free(bytes);
            /* one byte less is one batch less */
            cr_assert_eq(fixture_read(f, f->model.batches[first].base_offset, upper_offset,
                                      want - 1, false, &bytes, &size), RL_OK);
            cr_assert_eq(size, want - f->model.batches[upper - 1].size_bytes);
            rl_free(bytes);
            cr_assert_eq(fixture_read(f, f->model.batches[first].base_offset, upper_offset, 1, true,
                                      &bytes, &size), RL_OK);
            cr_assert_eq(size, f->model.batches[first].size_bytes);
            rl_free(bytes);
        }
    }
}

static void bounds(size_t tail_bytes, bool resident)
{
    struct fixture f;

    fixture_init(&f);
    f.options.tail_bytes = tail_bytes;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .records = 1 + i % 4,
                                                              .value_bytes = (size_t)i * 50 }),
                     RL_OK);
        if (i % 4 == 0)
            fixture_settle(&f);
    }
    fixture_settle(&f);
    rl_mem_disk_set_resident(f.mem_disk, resident);
    check_bounds(&f);
    fixture_done(&f);
}

Test(log_append, bounds_in_the_tail)         { bounds(1 << 20, true); }
Test(log_append, bounds_in_the_page_cache)   { bounds(0, true); }
Test(log_append, bounds_on_the_device)       { bounds(0, false); }
Test(log_append, bounds_half_in_the_tail)    { bounds(6000, true); }

Test(log_append, segments_roll_by_size_and_are_reopened)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    f.config.index_interval_bytes = 200;
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 150 }), RL_OK);
        if (i % 5 == 0)
            fixture_settle(&f);
    }
    fixture_settle(&f);
    fixture_check(&f);
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000004.log"));
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000004.index"));
    cr_assert_geq(rl_log_flushed_offset(f.log), 36, "sealed segments are synced by themselves");
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 150 }), RL_OK);
    fixture_settle(&f);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_append, segments_roll_by_age_of_the_first_append)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_ms = 60000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ 0 }), RL_OK);
    fixture_settle(&f);
    rl_mem_advance(f.mem, 59000000000);
    fixture_settle(&f);
    rl_log_maintain(f.log, INT64_MAX);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ 0 }), RL_OK);
    fixture_settle(&f);
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000002.log"));
    rl_mem_advance(f.mem, 1000000000);
    fixture_settle(&f);
    rl_log_maintain(f.log, INT64_MAX);
    fixture_settle(&f);
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000002.log"));
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_append, log_append_time_is_patched_with_its_checksum)
{
    struct fixture f;
    struct rl_append_result result;
    struct rl_batch batch;
    uint8_t *bytes;
    size_t size;

    fixture_init(&f);
    f.config.message_timestamp_type = RL_LOG_APPEND_TIME;
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append_result(&f, &(struct batch_spec){ .base_timestamp_ms = 7 }, &result),
                 RL_OK);
    cr_assert_eq(result.log_append_time_ms, f.shard->wall_ms);
    fixture_settle(&f);
    cr_assert_eq(fixture_read(&f, 0, 1, 1000, true, &bytes, &size), RL_OK);
    cr_assert_eq(rl_batch_read_header(bytes, size, &batch), RL_OK);
    cr_assert_eq(rl_batch_check(&batch), RL_OK);
    cr_assert(rl_batch_is_log_append_time(&batch));
    cr_assert_eq(batch.max_timestamp_ms, result.log_append_time_ms);
    cr_assert_eq(batch.partition_leader_epoch, 5);
    rl_free(bytes);
    fixture_done(&f);
}

Test(log_append, a_flush_covers_what_was_appended_before_it)
{
    struct fixture f;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    uint64_t before = rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ 0 }), RL_OK);
        rl_log_flush(f.log);
    }
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 10);
    cr_assert_eq(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC), before + 1, "one sync for all");
    rl_log_flush(f.log);
    fixture_settle(&f);
    cr_assert_eq(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC), before + 1, "nothing left to sync");
    fixture_done(&f);
}

Test(log_append, flush_messages_flushes_by_itself)
{
    struct fixture f;

    fixture_init(&f);
    f.config.flush_messages = 3;
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .records = 2 }), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 0);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .records = 1 }), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 3);
    fixture_done(&f);
}

Test(log_append, flush_ms_flushes_by_itself)
{
    struct fixture f;

    fixture_init(&f);
    f.config.flush_ms = 500;
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ 0 }), RL_OK);
    fixture_settle(&f);
    rl_mem_advance(f.mem, 499000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 0);
    rl_mem_advance(f.mem, 2000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 1);
    fixture_done(&f);
}

/* ---- seeded random operations against the model ---- */

static void random_append(struct fixture *f, struct rl_random *random, int32_t *sequences)
{
    struct batch_spec spec = {
        .records = 1 + (int32_t)rl_random_below(random, 5),
        .value_bytes = rl_random_below(random, 20) == 0 ? 20000 : rl_random_below(random, 300),
        .codec = (enum rl_codec)rl_random_below(random, 5),
        .base_timestamp_ms = (int64_t)rl_random_below(random, 1000000),
        .seed = rl_random_next(random),
    };

    if (rl_random_below(random, 2) == 0) {
        uint64_t producer = rl_random_below(random, 3);
        spec.producer_id = (int64_t)producer + 1;
        spec.base_sequence = sequences[producer];
        sequences[producer] += spec.records;
    }
    cr_assert_eq(fixture_append(f, &spec), RL_OK);
}

static void random_read(struct fixture *f, struct rl_random *random)
{
    int64_t start = rl_log_start_offset(f->log), written = rl_log_written_offset(f->log);
    uint8_t *bytes;
    size_t size, at = 0;

    if (written == start)
        return;
    int64_t offset = start + (int64_t)rl_random_below(random, (uint64_t)(written - start));
    int64_t upper = offset + (int64_t)rl_random_below(random, (uint64_t)(written - offset) + 1);
    cr_assert_eq(fixture_read(f, offset, upper, rl_random_below(random, 5000),
                              rl_random_below(random, 2) == 0, &bytes, &size), RL_OK);
    uint32_t i = 0;
    while (f->model.batches[i].end_offset <= offset)
        i++;
    for (; at < size; i++) {
        cr_assert_leq(f->model.batches[i].end_offset, upper);
        cr_assert_leq(at + f->model.batches[i].size_bytes, size);
        cr_assert_eq(memcmp(bytes + at, f->model.batches[i].bytes, f->model.batches[i].size_bytes), 0);
        at += f->model.batches[i].size_bytes;
    }
    rl_free(bytes);
}

static void random_reopen(struct fixture *f, struct rl_random *random)
{
    uint64_t how = rl_random_below(random, 3);
    int64_t end = rl_log_end_offset(f->log);

    if (how == 0) {
        fixture_close(f, true);
    } else {
        fixture_settle(f);              /* written: survives a kill */
        if (how == 2)
            fixture_flush(f);           /* flushed: survives a power cut */
        fixture_crash(f, how == 2);
    }
    cr_assert_eq(fixture_open(f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f->log), end);
}

static void random_run(uint64_t seed)
{
    struct fixture f;
    struct rl_random random;
    int32_t sequences[3] = { 0 };

    rl_random_init(&random, seed);
    fixture_init(&f);
    f.config.segment_bytes = 2000 + (int32_t)rl_random_below(&random, 30000);
    f.config.index_interval_bytes = (int32_t)rl_random_below(&random, 1000);
    f.options.tail_bytes = rl_random_below(&random, 50000);
    f.save_bytes = rl_random_below(&random, 2) == 0 ? 0 : 100 + rl_random_below(&random, 10000);
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int step = 0; step < 400; step++) {
        uint64_t what = rl_random_below(&random, 100);
        if (what < 50)
            random_append(&f, &random, sequences);
        else if (what < 70)
            fixture_settle(&f);
        else if (what < 90)
            random_read(&f, &random);
        else if (what < 93)
            rl_log_flush(f.log);
        else if (what < 95)
            rl_mem_disk_set_resident(f.mem_disk, what == 93);
        else if (what < 97)
            random_reopen(&f, &random);
    }
    fixture_settle(&f);
    fixture_check(&f);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_append, random_operations_match_the_model)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        random_run(seed);
}

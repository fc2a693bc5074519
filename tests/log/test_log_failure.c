/* tests/log/test_log_failure.c — the disk is full, or says no. */
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>

static const struct batch_spec one = { .value_bytes = 100 };

static void start(struct fixture *f)
{
    fixture_init(f);
    cr_assert_eq(fixture_open(f), RL_OK);
    cr_assert_eq(fixture_append(f, &one), RL_OK);
    fixture_flush(f);
}

/* R18: a short write at the end of the disk is taken back, and the log heals by itself. */
Test(log_failure, a_full_disk_is_told_and_heals)
{
    for (size_t short_bytes = 0; short_bytes < 300; short_bytes += 37) {
        struct fixture f;
        struct batch_spec retry = { .value_bytes = 100, .producer_id = 9, .base_sequence = 0 };

        start(&f);
        cr_assert_eq(fixture_append(&f, &retry), RL_OK);
        cr_assert_eq(fixture_append(&f, &one), RL_OK);
        rl_mem_disk_fail_write(f.mem_disk, 0, short_bytes, RL_ENOSPACE);
        fixture_settle(&f);
        cr_assert_eq(f.failed, 1);
        cr_assert_eq(f.failure, RL_ENOSPACE);
        cr_assert_eq(rl_log_end_offset(f.log), 1);
        cr_assert_eq(rl_log_failure(f.log), RL_ENOSPACE);
        model_truncate(&f.model, 1);
        cr_assert_eq(fixture_append(&f, &one), RL_ENOSPACE);
        fixture_check(&f);                              /* reads go on */
        rl_mem_advance(f.mem, 1100000000);
        fixture_settle(&f);
        cr_assert_eq(rl_log_failure(f.log), RL_OK);
        cr_assert_eq(fixture_append(&f, &retry), RL_OK, "what was taken back is no duplicate");
        cr_assert_eq(fixture_append(&f, &retry), RL_EDUPLICATE);
        fixture_flush(&f);
        fixture_check(&f);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 2);
        fixture_check(&f);
        fixture_done(&f);
    }
}

Test(log_failure, a_full_disk_stays_full_until_there_is_space)
{
    struct fixture f;

    start(&f);
    rl_mem_disk_set_capacity(f.mem_disk, 1 << 20);
    uint64_t appended = 0;
    while (rl_log_failure(f.log) == RL_OK) {
        struct batch_spec spec = { .value_bytes = 50000, .seed = appended };
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        fixture_settle(&f);
        cr_assert_lt(++appended, 100);
    }
    model_truncate(&f.model, rl_log_end_offset(f.log));
    fixture_check(&f);
    for (int i = 0; i < 3; i++) {
        rl_mem_advance(f.mem, 1100000000);
        fixture_settle(&f);
        cr_assert_eq(fixture_append(&f, &one), RL_ENOSPACE);
    }
    rl_mem_disk_set_capacity(f.mem_disk, 64 << 20);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_flush(&f);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_failure, a_segment_that_cannot_be_created_is_taken_back)
{
    struct fixture f;

    start(&f);
    struct rl_log_config config = f.config;
    config.segment_bytes = 300;
    rl_log_set_config(f.log, &config);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);              /* rolls */
    rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, 0, RL_ENOSPACE);
    fixture_settle(&f);
    if (f.failed == 0) {                /* the first open was another one's */
        fixture_check(&f);
    } else {
        model_truncate(&f.model, rl_log_end_offset(f.log));
        fixture_check(&f);
        rl_mem_advance(f.mem, 1100000000);
        fixture_settle(&f);
        cr_assert_eq(rl_log_failure(f.log), RL_OK);
    }
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(fixture_append(&f, &one), RL_OK);
        fixture_settle(&f);
    }
    fixture_check(&f);
    fixture_done(&f);
}

/* A sync on its way may have made the rest of the write last, and no later one may touch its segment. */
Test(log_failure, what_a_rollback_cuts_is_gone_for_good)
{
    struct fixture f;

    start(&f);
    uint64_t before = rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_disk_fail_write(f.mem_disk, 0, 50, RL_ENOSPACE);
    fixture_settle(&f);
    rl_mem_advance(f.mem, 5000000000);
    fixture_settle(&f);
    cr_assert_gt(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC), before);
    model_truncate(&f.model, 1);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_failure, a_failed_write_stops_the_log_until_it_is_opened_again)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    start(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_disk_fail_write(f.mem_disk, 0, 50, RL_EIO);
    fixture_settle(&f);
    cr_assert_eq(f.failed, 1);
    cr_assert_eq(f.failure, RL_EIO);
    cr_assert_eq(fixture_append(&f, &one), RL_EIO);
    cr_assert_eq(fixture_read(&f, 0, 1, 1000, true, &bytes, &size), RL_EIO);
    rl_free(bytes);
    rl_mem_advance(f.mem, 5000000000);
    fixture_settle(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_EIO);
    model_truncate(&f.model, 1);
    fixture_close(&f, false);
    cr_assert_eq(fixture_try_open(&f, (struct rl_log_start){ .clean = true }), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 1);
    fixture_check(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_flush(&f);
    fixture_check(&f);
    fixture_done(&f);
}

/* R1, R2: no flush is told after a failed sync, no sync is repeated on the same pages, and what
 * is opened again is what the device has, in a new file. */
Test(log_failure, a_failed_sync_is_never_retried_into_a_lie)
{
    struct fixture f;

    start(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(rl_log_written_offset(f.log), 2);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_SYNC, 0, RL_EIO);
    rl_log_flush(f.log);
    fixture_settle(&f);
    cr_assert_eq(rl_log_flushed_offset(f.log), 1);
    cr_assert_eq(f.failure, RL_EIO);
    uint64_t syncs = rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC);
    rl_log_flush(f.log);
    fixture_settle(&f);
    cr_assert_eq(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC), syncs);
    fixture_close(&f, false);
    cr_assert_eq(fixture_try_open(&f, (struct rl_log_start){ .same_mount = true }), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 1, "the page cache shows it, the device has it not");
    cr_assert_eq(rl_log_flushed_offset(f.log), 1);
    model_truncate(&f.model, 1);
    fixture_check(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_flush(&f);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 2);
    fixture_check(&f);
    fixture_done(&f);
}

/* Appends and flushes until the sync number `failing` fails, having stored its first bytes; true: it
 * was reached.  Acknowledged (flushed) records are there after the log was opened again, those of
 * the window are known, and everything goes on: also over a power cut. */
static bool life_with_failed_sync(uint32_t failing, size_t stored_bytes, enum rl_mem_call call)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 150, .producer_id = 4 };
    int64_t flushed = 0;

    fixture_init(&f);
    f.config.segment_bytes = 600;
    cr_assert_eq(fixture_open(&f), RL_OK);
    if (call == RL_MEM_SYNC)
        rl_mem_disk_fail_sync(f.mem_disk, failing, stored_bytes, RL_EIO);
    else
        rl_mem_disk_fail(f.mem_disk, call, failing, RL_EIO);
    for (; spec.base_sequence < 14 && f.failed == 0; spec.base_sequence++) {
        spec.seed = (uint64_t)spec.base_sequence;
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        if (spec.base_sequence % 3 == 2)
            rl_log_flush(f.log);
        fixture_settle(&f);
        flushed = rl_log_flushed_offset(f.log);
    }
    bool reached = f.failed > 0;
    rl_mem_disk_heal(f.mem_disk);
    if (reached) {
        struct rl_log_start again = rl_log_start_again(f.log);
        fixture_close(&f, false);
        cr_assert_eq(fixture_try_open(&f, again), RL_OK);
        cr_assert_geq(rl_log_end_offset(f.log), flushed, "sync %u, %zu bytes", failing, stored_bytes);
        cr_assert_eq(rl_log_flushed_offset(f.log), rl_log_end_offset(f.log), "it is on the device");
        cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/sync-failed"));
        model_truncate(&f.model, rl_log_end_offset(f.log));
        fixture_check(&f);
    }
    /* The producer does not know: it sends its last five again, then goes on. */
    int64_t end_offset = rl_log_end_offset(f.log);
    int32_t next = spec.base_sequence;
    for (spec.base_sequence = RL_MAX(0, next - 5); spec.base_sequence < next + 2; spec.base_sequence++) {
        spec.seed = (uint64_t)spec.base_sequence;
        cr_assert_eq(fixture_append(&f, &spec),
                     spec.base_sequence < end_offset ? RL_EDUPLICATE : RL_OK);
    }
    cr_assert_eq(rl_log_end_offset(f.log), next + 2);
    fixture_flush(&f);
    fixture_check(&f);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), next + 2);
    fixture_check(&f);
    fixture_done(&f);
    return reached;
}

Test(log_failure, every_sync_may_fail_and_nothing_acknowledged_is_lost)
{
    uint32_t reached = 0;

    for (uint32_t failing = 0; failing < 40; failing++) {
        for (size_t stored_bytes = 0; stored_bytes < 700; stored_bytes += 61)
            reached += life_with_failed_sync(failing, stored_bytes, RL_MEM_SYNC);
        reached += life_with_failed_sync(failing, 0, RL_MEM_SYNC_DIRECTORY);
    }
    cr_assert_gt(reached, 60);
}

/* The mark is for the next process; this one knows without it. */
Test(log_failure, a_mark_that_cannot_be_written_is_not_needed)
{
    struct fixture f;

    start(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_SYNC, 0, RL_EIO);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, 0, RL_EMFILE);    /* ringlog.state, and the mark */
    rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, 1, RL_EMFILE);
    rl_log_flush(f.log);
    fixture_settle(&f);
    cr_assert_eq(f.failure, RL_EIO);
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/sync-failed"));
    struct rl_log_start again = rl_log_start_again(f.log);
    fixture_close(&f, false);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_RENAME, 0, RL_EIO);
    cr_assert_eq(fixture_try_open(&f, again), RL_EIO);
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/sync-failed"), "it is there for the next process");
    cr_assert_eq(fixture_try_open(&f, again), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 1);
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/sync-failed"));
    model_truncate(&f.model, 1);
    fixture_check(&f);
    fixture_done(&f);
}

/* The rebuild meets a disk that still says no: nothing is lost, and the next attempt has it. */
Test(log_failure, a_rebuild_may_fail_and_is_tried_again)
{
    static const enum rl_mem_call calls[] = { RL_MEM_OPEN, RL_MEM_WRITE, RL_MEM_SYNC, RL_MEM_RENAME,
                                              RL_MEM_SYNC_DIRECTORY, RL_MEM_READ_DEVICE, RL_MEM_UNLINK,
                                              RL_MEM_TRUNCATE, RL_MEM_READ };

    for (uint32_t c = 0; c < RL_ARRAY_COUNT(calls); c++) {
        for (uint32_t after = 0; after < 12; after++) {
            struct fixture f;

            start(&f);
            for (int i = 0; i < 3; i++)
                cr_assert_eq(fixture_append(&f, &one), RL_OK);
            fixture_settle(&f);
            rl_mem_disk_fail_sync(f.mem_disk, 0, 200, RL_EIO);
            rl_log_flush(f.log);
            fixture_settle(&f);
            struct rl_log_start again = rl_log_start_again(f.log);
            fixture_close(&f, false);
            rl_mem_disk_fail(f.mem_disk, calls[c], after, RL_EIO);
            rl_mem_disk_fail(f.mem_disk, calls[c], after + 1, RL_EIO);
            rl_status status = fixture_try_open(&f, again);
            rl_mem_disk_heal(f.mem_disk);
            if (status != RL_OK)
                cr_assert_eq(fixture_try_open(&f, again), RL_OK);
            cr_assert_eq(rl_log_end_offset(f.log), 2, "what the device has: one, and one of three");
            model_truncate(&f.model, 2);
            fixture_check(&f);
            fixture_crash(&f, true);
            cr_assert_eq(fixture_open(&f), RL_OK);
            cr_assert_eq(rl_log_end_offset(f.log), 2);
            fixture_check(&f);
            fixture_done(&f);
        }
    }
}

/* Blocks that fail are given again by a file system that has just got them back: seven copies may
 * fail, the next lies elsewhere; and nothing of the others stays. */
Test(log_failure, a_copy_that_cannot_be_written_is_made_again_elsewhere)
{
    static const enum rl_mem_call calls[] = { RL_MEM_WRITE, RL_MEM_SYNC };

    for (uint32_t c = 0; c < RL_ARRAY_COUNT(calls); c++) {
        for (uint32_t failures = 1; failures <= 8; failures++) {
            struct fixture f;

            start(&f);
            cr_assert_eq(fixture_append(&f, &one), RL_OK);
            fixture_settle(&f);
            rl_mem_disk_fail_sync(f.mem_disk, 0, 200, RL_EIO);
            rl_log_flush(f.log);
            fixture_settle(&f);
            struct rl_log_start again = rl_log_start_again(f.log);
            fixture_close(&f, false);
            for (uint32_t i = 0; i < failures; i++)
                rl_mem_disk_fail(f.mem_disk, calls[c], i, RL_EIO);
            cr_assert_eq(fixture_try_open(&f, again), failures < 8 ? RL_OK : RL_EIO);
            rl_mem_disk_heal(f.mem_disk);
            if (failures == 8)
                cr_assert_eq(fixture_try_open(&f, again), RL_OK);
            cr_assert_eq(rl_log_end_offset(f.log), 2);
            model_truncate(&f.model, 2);
            fixture_check(&f);
            fixture_done(&f);
        }
    }
}

/* Synced records that the device lost all the same are not passed over. */
Test(log_failure, a_segment_that_vanished_is_not_taken_for_an_empty_one)
{
    for (int directory = 0; directory < 2; directory++) {
        struct fixture f;

        start(&f);
        cr_assert_eq(fixture_append(&f, &one), RL_OK);
        fixture_settle(&f);
        if (directory == 0)
            cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DIRECTORY "/00000000000000000000.log"), RL_OK);
        else
            cr_assert_eq(rl_disk_rename(f.mem_disk, FIXTURE_DIRECTORY, "data/elsewhere"), RL_OK);
        if (directory == 1)
            cr_assert_eq(rl_disk_unlink(f.mem_disk, "data/elsewhere/00000000000000000000.log"), RL_OK);
        rl_log_flush(f.log);
        fixture_settle(&f);
        cr_assert_eq(f.failure, RL_EIO);
        struct rl_log_start again = rl_log_start_again(f.log);
        fixture_close(&f, false);
        cr_assert_eq(fixture_try_open(&f, again), directory == 0 ? RL_ECORRUPT : RL_ENOTFOUND);
        cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000000.log"));
        fixture_done(&f);
    }
}

/* Each disk call of a small life fails once, with each status: nothing that was told as flushed
 * is lost, and reopening always works. */
static void life_with_fault(enum rl_mem_call call, uint32_t after, rl_status status)
{
    struct fixture f;
    int64_t flushed = 0;

    fixture_init(&f);
    f.config.segment_bytes = 600;
    f.config.retention_bytes = 1500;
    cr_assert_eq(fixture_open(&f), RL_OK);
    rl_mem_disk_fail(f.mem_disk, call, after, status);
    for (int i = 0; i < 12; i++) {
        struct batch_spec spec = { .value_bytes = 150, .producer_id = 4, .base_sequence = i,
                                   .seed = (uint64_t)i };
        if (fixture_append(&f, &spec) != RL_OK)
            break;
        rl_log_flush(f.log);
        fixture_settle(&f);
        flushed = RL_MAX(flushed, rl_log_flushed_offset(f.log));
        rl_log_maintain(f.log, rl_log_flushed_offset(f.log));
        fixture_settle(&f);
    }
    int64_t start_offset = rl_log_start_offset(f.log);
    fixture_crash(&f, true);
    rl_mem_disk_heal(f.mem_disk);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_geq(rl_log_end_offset(f.log), flushed);
    cr_assert_leq(rl_log_start_offset(f.log), start_offset);
    model_truncate(&f.model, rl_log_end_offset(f.log));
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_failure, any_call_may_fail_once)
{
    static const enum rl_mem_call calls[] = {
        RL_MEM_OPEN, RL_MEM_WRITE, RL_MEM_SYNC, RL_MEM_TRUNCATE, RL_MEM_SIZE, RL_MEM_RENAME,
        RL_MEM_UNLINK, RL_MEM_SYNC_DIRECTORY, RL_MEM_READ, RL_MEM_LIST,
    };
    static const rl_status statuses[] = { RL_EIO, RL_ENOSPACE };

    for (uint32_t c = 0; c < RL_ARRAY_COUNT(calls); c++) {
        for (uint32_t s = 0; s < RL_ARRAY_COUNT(statuses); s++) {
            for (uint32_t after = 0; after < 40; after++)
                life_with_fault(calls[c], after, statuses[s]);
        }
    }
}

/* A file system that was made read-only: nothing is taken, everything is read, and it goes on by
 * itself when it may be written again. */
Test(log_failure, a_read_only_file_system_serves_and_heals)
{
    for (size_t short_bytes = 0; short_bytes < 300; short_bytes += 100) {
        struct fixture f;
        struct batch_spec spec = { .value_bytes = 100, .producer_id = 9, .base_sequence = 0 };

        start(&f);
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        rl_mem_disk_fail_write(f.mem_disk, 0, short_bytes, RL_EREADONLY);
        for (uint32_t i = 0; i < 3; i++)        /* the rollback finds the same */
            rl_mem_disk_fail(f.mem_disk, RL_MEM_TRUNCATE, i, RL_EREADONLY);
        for (uint32_t i = 2; i < 5; i++)        /* behind the side files; one of them is for writing */
            rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, i, RL_EREADONLY);
        fixture_settle(&f);
        cr_assert_eq(f.failed, 1);
        cr_assert_eq(f.failure, RL_EREADONLY);
        model_truncate(&f.model, 1);
        cr_assert_eq(fixture_append(&f, &spec), RL_EREADONLY);
        fixture_check(&f);
        rl_mem_disk_heal(f.mem_disk);
        rl_mem_advance(f.mem, 5100000000);
        fixture_settle(&f);
        cr_assert_eq(rl_log_failure(f.log), RL_OK);
        cr_assert_eq(fixture_append(&f, &spec), RL_OK, "what was taken back is no duplicate");
        fixture_flush(&f);
        fixture_check(&f);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 2);
        fixture_check(&f);
        fixture_done(&f);
    }
}

/* EMFILE at each open of a small life: records wait or are refused, nothing fails, nothing is lost. */
Test(log_failure, no_descriptors_hold_up_and_nothing_else)
{
    uint32_t refused = 0;

    for (uint32_t after = 0; after < 30; after++) {
        struct fixture f;
        struct batch_spec spec = { .value_bytes = 150, .producer_id = 4 };

        fixture_init(&f);
        f.config.segment_bytes = 600;
        f.options.open_files_max = 2;
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        for (uint32_t i = 0; i < 4; i++)
            rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, after + i, RL_EMFILE);
        if (after % 2 == 0)
            rl_mem_disk_fail(f.mem_disk, RL_MEM_SYNC_DIRECTORY, after / 4, RL_EMFILE);
        for (int i = 0; i < 12; i++, spec.base_sequence++) {
            spec.seed = (uint64_t)i;
            rl_status status;
            while ((status = fixture_append(&f, &spec)) == RL_EMFILE) {
                refused++;
                rl_mem_advance(f.mem, 110000000);
                fixture_settle(&f);
            }
            cr_assert_eq(status, RL_OK);
            rl_log_flush(f.log);
            fixture_settle(&f);
        }
        rl_mem_disk_heal(f.mem_disk);
        rl_mem_advance(f.mem, 110000000);
        fixture_settle(&f);
        cr_assert_eq(f.failed, 0, "open %u", after);
        cr_assert_eq(rl_log_flushed_offset(f.log), 12);
        fixture_check(&f);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 12);
        fixture_check(&f);
        fixture_done(&f);
    }
    cr_assert_gt(refused, 0);
}

Test(log_failure, too_many_descriptors_only_cost_reopening)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 300;
    f.options.open_files_max = 1;
    f.options.tail_bytes = 0;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 150 }), RL_OK);
    fixture_flush(&f);
    fixture_check(&f);
    cr_assert_leq(rl_mem_disk_open_count(f.mem_disk), 1);
    fixture_done(&f);
}

/* The recovery point keeps its position through a rollback: a checkpoint written afterwards does
 * not make the next start cut flushed records. */
Test(log_failure, a_rollback_keeps_the_recovery_point)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 5000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 30; i++)
        cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_flush(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_disk_fail_write(f.mem_disk, 0, 10, RL_ENOSPACE);
    fixture_settle(&f);
    cr_assert_eq(rl_log_end_offset(f.log), 31);
    cr_assert_eq(rl_log_flushed_offset(f.log), 30);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    struct rl_log_config config = f.config;
    config.retention_bytes = 0;                 /* the oldest segment goes: a checkpoint is saved */
    rl_log_set_config(f.log, &config);
    rl_log_maintain(f.log, 30);
    fixture_settle(&f);
    cr_assert_gt(rl_log_start_offset(f.log), 0);
    cr_assert_eq(rl_log_flushed_offset(f.log), 30);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_geq(rl_log_end_offset(f.log), 30);
    model_truncate(&f.model, rl_log_end_offset(f.log));
    fixture_check(&f);
    fixture_done(&f);
}

/* ---- things that happen while a helper is busy ---- */

static void on_read(struct rl_log_read *read) { (*(int *)read->arg)++; }
static void on_looked_up(struct rl_log_lookup *lookup) { (*(int *)lookup->arg)++; }
static void on_closed(void *arg) { (*(int *)arg)++; }

Test(log_failure, retention_and_close_wait_for_reads_in_flight)
{
    struct fixture f;
    int reads = 0, lookups = 0, closed = 0;
    struct rl_log_read read = { .offset = 0, .upper_offset = 40, .max_bytes = 100000,
                                .at_least_one = true, .done = on_read, .arg = &reads };
    struct rl_log_lookup lookup = { .timestamp_ms = 0, .upper_offset = 40, .done = on_looked_up,
                                    .arg = &lookups };

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    f.options.tail_bytes = 0;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_flush(&f);
    rl_mem_disk_set_resident(f.mem_disk, false);
    rl_mem_hold_helpers(f.mem, true);
    cr_assert_eq(rl_log_read(f.log, &read), RL_EBUSY);
    rl_log_lookup(f.log, &lookup);
    struct rl_log_config config = f.config;
    config.retention_bytes = 1000;
    rl_log_set_config(f.log, &config);
    rl_log_maintain(f.log, 40);
    cr_assert_gt(rl_log_start_offset(f.log), 0);
    fixture_settle(&f);
    rl_log_close(f.log, true, on_closed, &closed);
    fixture_settle(&f);
    cr_assert_eq(reads + lookups + closed, 0);
    rl_mem_hold_helpers(f.mem, false);
    fixture_settle(&f);
    cr_assert_eq(reads, 1);
    cr_assert_eq(lookups, 1);
    cr_assert_eq(closed, 1);
    cr_assert_eq(read.status, RL_OK, "the file was still there for it");
    for (uint32_t i = 0; i < read.chunk_count; i++)
        rl_chunk_release(&read.chunks[i]);
    f.log = NULL;
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_failure, a_clock_that_jumps_does_not_delete)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 300;
    f.config.retention_ms = 86400000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 5; i++) {
        struct batch_spec spec = { .value_bytes = 150, .base_timestamp_ms = f.shard->wall_ms };
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    }
    fixture_flush(&f);
    rl_mem_set_clock(f.mem, rl_mem_now_ns(f.mem) + 1000000000,
                     f.shard->wall_ms + 10 * 86400000LL);
    fixture_settle(&f);
    rl_log_maintain(f.log, 5);
    fixture_settle(&f);
    cr_assert_eq(rl_log_start_offset(f.log), 0);
    rl_mem_advance(f.mem, 86400 * 1000000000LL);
    fixture_settle(&f);
    rl_log_maintain(f.log, 5);
    rl_log_maintain(f.log, 5);
    fixture_settle(&f);
    cr_assert_eq(rl_log_start_offset(f.log), 5, "after a day it is believed");
    fixture_done(&f);
}

#define MARKS 2                         /* files that tell of a failed sync */

/* The disk is full, and a sync that was already on its way fails: that does not heal by itself, or
 * the next sync would say yes for what the device lost. */
Test(log_failure, a_failed_sync_of_a_log_that_waits_for_space_is_not_hidden)
{
    struct fixture f;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    rl_mem_hold_helpers(f.mem, true);
    rl_mem_disk_fail_sync(f.mem_disk, 0, 0, RL_EIO);
    rl_log_flush(f.log);
    rl_mem_settle(f.set);
    rl_mem_disk_fail_write(f.mem_disk, 0, 0, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_settle(f.set);
    cr_assert_eq(f.failure, RL_ENOSPACE);
    for (uint32_t call = 0; call < MARKS; call++)       /* the failed sync leaves no mark */
        rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, call, RL_ENOSPACE);
    rl_mem_hold_helpers(f.mem, false);
    fixture_settle(&f);
    cr_assert_eq(f.failure, RL_EIO);
    for (int second = 0; second < 10; second++) {
        rl_mem_advance(f.mem, 1000000000);
        fixture_settle(&f);
        cr_assert_eq(rl_log_failure(f.log), RL_EIO);
    }
    cr_assert_eq(f.flushed_offset, -1);
    cr_assert_eq(fixture_append(&f, &one), RL_EIO);
    cr_assert(rl_log_start_again(f.log).sync_failed);
    fixture_close(&f, false);
    fixture_done(&f);
}

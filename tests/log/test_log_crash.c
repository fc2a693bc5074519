/* tests/log/test_log_crash.c — the disk stops at every single call of a small life of a log.
 *
 * After a power cut everything that was told as flushed is there, after a kill everything that
 * was told as written; what is there is a prefix of what was appended, byte for byte, with dense
 * offsets; retries of what survived are recognised; and the log can be used. */
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>

struct promise {
    int64_t written, flushed;           /* the most that was ever told */
    int32_t sequence;                   /* next of producer 77 */
};

static void note(struct fixture *f, struct promise *promise)
{
    promise->written = RL_MAX(promise->written, f->written_offset);
    promise->flushed = RL_MAX(promise->flushed, f->flushed_offset);
}

static void append(struct fixture *f, struct promise *promise, int32_t records, size_t value_bytes)
{
    struct batch_spec spec = { .records = records, .value_bytes = value_bytes, .producer_id = 77,
                               .base_sequence = promise->sequence,
                               .seed = (uint64_t)promise->sequence,
                               .base_timestamp_ms = 1000 + promise->sequence };

    if (f->log != NULL && fixture_append(f, &spec) == RL_OK)
        promise->sequence += records;
}

static void settle(struct fixture *f, struct promise *promise)
{
    fixture_settle(f);
    note(f, promise);
}

static void flush(struct fixture *f, struct promise *promise)
{
    if (f->log != NULL)
        rl_log_flush(f->log);
    settle(f, promise);
}

/* A life: appends, rolls, flushes, a clean stop and a second start.  Ends early when the disk
 * is dead. */
static void live(struct fixture *f, struct promise *promise)
{
    if (fixture_open(f) != RL_OK)
        return;
    append(f, promise, 2, 40);
    settle(f, promise);
    append(f, promise, 1, 10);
    flush(f, promise);
    append(f, promise, 3, 100);
    append(f, promise, 1, 300);
    settle(f, promise);
    append(f, promise, 2, 300);         /* rolls */
    append(f, promise, 1, 200);
    flush(f, promise);
    for (int i = 0; i < 6; i++)
        append(f, promise, 1, 400);     /* rolls more than once in one turn */
    settle(f, promise);
    append(f, promise, 2, 20);
    flush(f, promise);
    if (f->cut.dead)
        return;
    fixture_close(f, true);
    if (f->cut.dead || fixture_open(f) != RL_OK)
        return;
    append(f, promise, 1, 50);
    flush(f, promise);
    append(f, promise, 1, 60);
    settle(f, promise);
}

static void check_after(struct fixture *f, struct promise *promise, bool power_cut)
{
    struct rl_append_result result;

    cr_assert_eq(fixture_open(f), RL_OK);
    int64_t end = rl_log_end_offset(f->log);
    cr_assert_geq(end, power_cut ? promise->flushed : promise->written);
    model_truncate(&f->model, end);
    fixture_check(f);
    rl_mem_advance(f->mem, 61000000000);
    fixture_settle(f);
    cr_assert_eq(rl_log_flushed_offset(f->log), end, "what survived is synced within a minute");
    if (f->save_bytes > 0) {            /* keep the checkpoint that recovery found or left */
        append(f, promise, 1, 333);
        fixture_settle(f);
        model_truncate(&f->model, rl_log_end_offset(f->log));
        fixture_crash(f, false);
        cr_assert_eq(fixture_open(f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f->log), f->model.batches[f->model.count - 1].end_offset);
        fixture_check(f);
    }

    /* A retry of the last batch in the log is known, the next one in order is accepted. */
    if (f->model.count > 0) {
        struct model_batch last = f->model.batches[f->model.count - 1];
        struct rl_batch batch;
        uint8_t *copy = rl_alloc(last.size_bytes);
        memcpy(copy, last.bytes, last.size_bytes);
        cr_assert_eq(rl_batch_read_header(copy, last.size_bytes, &batch), RL_OK);
        cr_assert_eq(rl_log_append(f->log, &batch, NULL, 5, &result), RL_EDUPLICATE);
        cr_assert_eq(result.base_offset, last.base_offset);
        promise->sequence = batch.base_sequence + batch.record_count;
        rl_free(copy);
    } else {
        promise->sequence = 0;
    }
    struct batch_spec wrong = { .producer_id = 77, .base_sequence = promise->sequence + 1 };
    if (f->model.count > 0)
        cr_assert_eq(fixture_append(f, &wrong), RL_EOUTOFORDER);
    append(f, promise, 2, 500);
    append(f, promise, 2, 500);
    append(f, promise, 2, 500);
    fixture_settle(f);
    fixture_check(f);
}

static bool run(uint64_t cut_at, size_t torn_bytes, bool power_cut, uint64_t save_bytes)
{
    struct fixture f;
    struct promise promise = { -1, -1, 0 };

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    f.config.index_interval_bytes = 100;
    f.save_bytes = save_bytes;
    fixture_crash(&f, false);
    f.cut.cut_at = cut_at;
    f.cut.torn_bytes = torn_bytes;
    live(&f, &promise);
    bool was_cut = f.cut.dead;
    fixture_crash(&f, power_cut);
    check_after(&f, &promise, power_cut);
    /* And once more: nothing half done is left, no checkpoint that speaks of lost records. */
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
    return was_cut;
}

static void run_all(bool power_cut, uint64_t save_bytes)
{
    static const size_t torn[] = { 0, 1, 12, 61, 100, 5000 };

    for (uint32_t i = 0; i < RL_ARRAY_COUNT(torn); i++) {
        uint64_t cut_at = 0;
        while (run(cut_at, torn[i], power_cut, save_bytes))
            cut_at++;
        cr_assert_gt(cut_at, 40);
    }
}

Test(log_crash, a_power_cut_at_any_call_loses_nothing_flushed)  { run_all(true, 0); }
Test(log_crash, a_kill_at_any_call_loses_nothing_written)       { run_all(false, 0); }
/* The same with a checkpoint of unsynced data after nearly every batch. */
Test(log_crash, a_power_cut_leaves_checkpoints_that_are_ahead)  { run_all(true, 150); }
Test(log_crash, a_kill_leaves_checkpoints_that_are_ahead)       { run_all(false, 150); }

/* A process is killed when the checkpoint knows a new segment and its file is there, but the file's
 * name is not durable.  What the next one flushes into it has to last all the same. */
Test(log_crash, a_segment_that_a_killed_process_made_keeps_its_name)
{
    struct fixture f;
    struct promise promise = { -1, -1, 0 };

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, &promise, 1, 700);
    flush(&f, &promise);
    rl_mem_hold_helpers(f.mem, true);
    append(&f, &promise, 1, 700);       /* rolls: one helper creates, another one saves */
    rl_mem_settle(f.set);
    cr_assert_eq(rl_mem_helpers_waiting(f.mem), 2);
    rl_mem_run_helper_at(f.mem, 1);
    rl_mem_run_helper_at(f.mem, 0);
    fixture_crash(&f, false);
    rl_mem_hold_helpers(f.mem, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 1);
    model_truncate(&f.model, 1);
    promise = (struct promise){ -1, -1, 1 };
    append(&f, &promise, 1, 30);
    flush(&f, &promise);
    cr_assert_eq(promise.flushed, 2);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 2);
    fixture_check(&f);
    fixture_done(&f);
}

/* The disk dies a second time, while the first death is repaired. */
Test(log_crash, a_power_cut_during_recovery_loses_nothing_flushed)
{
    for (uint64_t first = 0; first < 120; first += 7) {
        for (uint64_t second = 0; second < 12; second++) {
            struct fixture f;
            struct promise promise = { -1, -1, 0 };

            fixture_init(&f);
            f.config.segment_bytes = 1000;
            f.cut.cut_at = first;
            live(&f, &promise);
            fixture_crash(&f, true);
            f.cut.cut_at = second;
            if (fixture_open(&f) == RL_OK)
                note(&f, &promise);
            fixture_crash(&f, true);
            check_after(&f, &promise, true);
            fixture_done(&f);
        }
    }
}

/* Bytes that no append wrote stand behind the last batch: zeros, garbage, half a batch. */
Test(log_crash, a_torn_tail_is_cut)
{
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";

    for (int kind = 0; kind < 4; kind++) {
        for (int mounted = 0; mounted < 2; mounted++) {
            struct fixture f;
            struct promise promise = { -1, -1, 0 };
            size_t size, extra_bytes;
            uint8_t *extra = build_batch(&(struct batch_spec){ .value_bytes = 300 }, &extra_bytes);

            fixture_init(&f);
            cr_assert_eq(fixture_open(&f), RL_OK);
            append(&f, &promise, 3, 50);
            flush(&f, &promise);
            fixture_crash(&f, mounted == 0);
            uint8_t *file = fixture_file_load(&f, path, &size);
            file = rl_realloc(file, size + extra_bytes);
            memset(file + size, kind == 0 ? 0 : 0xa5, extra_bytes);
            if (kind == 2)
                memcpy(file + size, extra, extra_bytes / 2);
            if (kind == 3) {
                memcpy(file + size, extra, extra_bytes);
                file[size + 7] = 3;             /* the next offset, but a wrong checksum */
                file[size + extra_bytes - 1] ^= 1;
            }
            fixture_file_store(&f, path, file, size + extra_bytes);
            cr_assert_eq(fixture_open(&f), RL_OK);
            cr_assert_eq(rl_log_end_offset(f.log), 3);
            fixture_check(&f);
            append(&f, &promise, 1, 10);
            settle(&f, &promise);
            fixture_check(&f);
            fixture_done(&f);
            rl_free(file);
            rl_free(extra);
        }
    }
}

/* A checkpoint was saved for bytes that a power cut took.  Other bytes take their place, and the
 * process is killed before the next checkpoint: the old save point lies inside a new batch. */
Test(log_crash, a_save_point_that_was_lost_is_not_used_again)
{
    struct fixture f;
    struct promise promise = { -1, -1, 0 };

    fixture_init(&f);
    f.save_bytes = 100;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, &promise, 1, 10);
    flush(&f, &promise);
    for (int i = 0; i < 5; i++) {
        append(&f, &promise, 1, 200);
        settle(&f, &promise);
    }
    /* The kernel happened to write the index back, but not the log. */
    int fd;
    cr_assert_eq(rl_disk_open(f.mem_disk, FIXTURE_DIRECTORY "/00000000000000000000.timeindex", 0,
                              &fd), RL_OK);
    cr_assert_eq(rl_disk_sync(f.mem_disk, fd), RL_OK);
    rl_disk_close(f.mem_disk, fd);
    cr_assert_eq(rl_disk_sync_directory(f.mem_disk, FIXTURE_DIRECTORY), RL_OK);
    f.save_bytes = 0;
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 1, "the rest was not flushed");
    model_truncate(&f.model, 1);
    promise = (struct promise){ -1, -1, 1 };
    for (int i = 0; i < 7; i++) {
        append(&f, &promise, 2, 333);
        settle(&f, &promise);
    }
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 15);
    fixture_check(&f);
    fixture_done(&f);
}

/* Damage that one recovery kept (nothing of it can be torn on the same mount, or nothing says what
 * was flushed) is not cut by the next one, with what was flushed behind it since. */
static void keep_damage(bool checkpoint)
{
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";
    struct fixture f;
    struct promise promise = { -1, -1, 0 };
    uint8_t *bytes;
    size_t size;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, &promise, 1, 100);
    flush(&f, &promise);
    if (checkpoint) {
        fixture_close(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
    }
    for (int i = 0; i < 4; i++)
        append(&f, &promise, 1, 100);
    settle(&f, &promise);
    fixture_crash(&f, false);
    fixture_file_flip(&f, path, 2 * f.model.batches[0].size_bytes + 70, 1);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 5);
    append(&f, &promise, 1, 100);
    append(&f, &promise, 1, 100);
    flush(&f, &promise);
    cr_assert_eq(promise.flushed, 7);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 7);
    cr_assert_eq(fixture_read(&f, 2, 7, 1000, true, &bytes, &size), RL_ECORRUPT);
    rl_free(bytes);
    cr_assert_eq(fixture_read(&f, 3, 7, 10000, true, &bytes, &size), RL_OK);
    cr_assert_eq(size, 4 * f.model.batches[3].size_bytes);
    rl_free(bytes);
    fixture_done(&f);
}

Test(log_crash, damage_that_was_kept_stays_kept)                     { keep_damage(true); }
Test(log_crash, damage_that_was_kept_without_checkpoint_stays_kept)  { keep_damage(false); }

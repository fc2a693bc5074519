/* tests/log/test_log_trust.c — what a start may believe: recovery points, marks, the mount.
 *
 * Each test is a way in which a start once believed too much or too little. */
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct batch_spec one = { .value_bytes = 100 };

static void append(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct batch_spec spec = { .value_bytes = 100, .seed = f->model.count };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
    }
}

/* A rollback forgot how much of the active segment was synced; a checkpoint before the next sync
 * then named the flushed offset at an earlier place, and what lay between was cut. */
Test(log_trust, a_checkpoint_after_a_rollback_keeps_what_was_flushed)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 8);
    fixture_flush(&f);                                  /* segments sealed and saved */
    append(&f, 2);
    fixture_flush(&f);
    append(&f, 1);                                      /* written only */
    int64_t flushed = rl_log_flushed_offset(f.log);
    cr_assert_lt(flushed, rl_log_written_offset(f.log));
    rl_mem_disk_fail_write(f.mem_disk, 0, 10, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(f.failure, RL_ENOSPACE);
    model_truncate(&f.model, rl_log_end_offset(f.log));
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_failure(f.log), RL_OK);
    cr_assert_eq(rl_log_flushed_offset(f.log), flushed);

    f.config.retention_bytes = 1;
    rl_log_set_config(f.log, &f.config);
    rl_log_maintain(f.log, rl_log_written_offset(f.log));
    fixture_settle(&f);                                 /* a checkpoint with the new start */
    cr_assert_gt(rl_log_start_offset(f.log), 0);
    cr_assert_eq(rl_log_flushed_offset(f.log), flushed);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_geq(rl_log_end_offset(f.log), flushed);
    model_truncate(&f.model, rl_log_end_offset(f.log));
    fixture_check(&f);
    fixture_done(&f);
}

/* What waits for a sync when the disk is full goes on by itself when there is space. */
Test(log_trust, a_flush_goes_on_when_there_is_space_again)
{
    struct fixture f;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 2);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_hold_helpers(f.mem, true);
    rl_log_flush(f.log);
    fixture_settle(&f);                                 /* the sync of the first three is out */
    append(&f, 1);
    rl_log_flush(f.log);
    rl_mem_disk_fail_write(f.mem_disk, 0, 0, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(f.failure, RL_ENOSPACE);
    rl_mem_hold_helpers(f.mem, false);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_failure(f.log), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 4);
    cr_assert_eq(rl_log_flushed_offset(f.log), 4);
    fixture_done(&f);
}

/* A checkpoint whose save point is the start of the active segment (offset 10) and whose recovery
 * point lies in the middle of it (13): retention writes such a one. */
static void make_save_point_lag(struct fixture *f, int64_t producer_id)
{
    fixture_init(f);
    f->config.segment_bytes = 1000;                     /* five batches */
    f->options.tail_bytes = 0;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
    cr_assert_eq(rl_log_directory_recovered(f->mem_disk, FIXTURE_DATA_DIR), RL_OK);
    for (int32_t i = 0; i < 13; i++) {
        struct batch_spec spec = { .value_bytes = 100, .seed = (uint64_t)i,
                                   .producer_id = producer_id, .base_sequence = i };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
    }
    fixture_flush(f);
    f->config.retention_bytes = 1;
    rl_log_set_config(f->log, &f->config);
    rl_log_maintain(f->log, 13);
    fixture_settle(f);
    cr_assert_eq(rl_log_start_offset(f->log), 10);
    f->config.retention_bytes = -1;
    rl_log_set_config(f->log, &f->config);
}

/* R10: a walk that began before the recovery point noted some batches twice, and pushed others
 * out of the windows. */
Test(log_trust, windows_do_not_shrink_when_a_segment_is_walked_twice)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 100, .producer_id = 7 };

    make_save_point_lag(&f, 7);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f.log), 13);
    for (spec.base_sequence = 8; spec.base_sequence < 13; spec.base_sequence++)
        cr_assert_eq(fixture_append(&f, &spec), RL_EDUPLICATE, "%d is forgotten",
                     spec.base_sequence);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_flush(&f);
    fixture_check(&f);
    fixture_done(&f);
}

/* A start that dies before its logs were recovered must not prove anything to the next one. */
Test(log_trust, the_mount_is_believed_only_after_a_recovery)
{
    struct fixture f;
    struct rl_log_start start;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 2);
    fixture_crash(&f, true);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.same_mount);
    fixture_crash(&f, false);                           /* killed before the logs were open */
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.same_mount);
    cr_assert_not(start.clean);
    cr_assert_eq(fixture_try_open(&f, start), RL_OK);
    cr_assert_eq(rl_log_directory_recovered(f.mem_disk, FIXTURE_DATA_DIR), RL_OK);
    fixture_crash(&f, false);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert(start.same_mount, "killed after that: what was written is there");
    fixture_crash(&f, false);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert(start.same_mount, "and stays there, however often it is killed");
    fixture_done(&f);
}

/* A start after a clean stop, killed before the name of its state file was synced, then a kill, then a
 * power cut: the clean stop came back, and no epoch was raised for what was lost (simulator, seed 3662). */
Test(log_trust, a_clean_stop_does_not_come_back)
{
    struct rl_log_start start;

    for (uint64_t calls = 0; calls < 8; calls++) {
        struct fixture f;
        fixture_init(&f);
        cr_assert_eq(fixture_open(&f), RL_OK);
        fixture_close(&f, true);
        cr_assert_eq(rl_log_directory_stop(f.mem_disk, FIXTURE_DATA_DIR, false), RL_OK);
        f.cut.cut_at = f.cut.calls + calls;
        if (rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start) == RL_OK && calls > 3)
            (void)rl_log_directory_recovered(f.mem_disk, FIXTURE_DATA_DIR);
        fixture_crash(&f, false);
        cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
        fixture_crash(&f, true);
        cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
        cr_assert_not(start.clean, "call %llu", (unsigned long long)calls);
        cr_assert_not(start.same_mount);
        fixture_done(&f);
    }
}

/* Names that could not be synced are not proved by a later sync that succeeds. */
Test(log_trust, a_stop_whose_sync_fails_is_not_believed)
{
    for (int doubt_fails = 0; doubt_fails < 2; doubt_fails++) {
        struct fixture f;
        struct rl_log_start start;

        fixture_init(&f);
        cr_assert_eq(fixture_open(&f), RL_OK);
        rl_mem_disk_fail(f.mem_disk, RL_MEM_SYNC_DIRECTORY, 0, RL_EIO);
        if (doubt_fails)                /* on such a disk, not unlikely */
            rl_mem_disk_fail(f.mem_disk, RL_MEM_RENAME, 0, RL_EIO);
        cr_assert_eq(rl_log_directory_stop(f.mem_disk, FIXTURE_DATA_DIR, true), RL_EIO);
        cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
        cr_assert(!start.clean && !start.same_mount, "%d", doubt_fails);
        fixture_done(&f);
    }
}

/* A kill between two attempts to replace the state file, on a disk with bad places. */
Test(log_trust, state_files_without_their_name_are_removed)
{
    static const struct { const char *path; rl_status after; } files[] = {
        { FIXTURE_DATA_DIR "/ringlog.state.tmp", RL_ENOTFOUND },
        { FIXTURE_DATA_DIR "/ringlog.state.3.tmp", RL_ENOTFOUND },
        { FIXTURE_DATA_DIR "/somebodys.tmp", RL_OK },
    };
    struct fixture f;
    struct rl_log_start start;
    int fd;

    fixture_init(&f);
    for (size_t i = 0; i < RL_ARRAY_COUNT(files); i++) {
        cr_assert_eq(rl_disk_open(f.mem_disk, files[i].path, RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
        rl_disk_close(f.mem_disk, fd);
    }
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    for (size_t i = 0; i < RL_ARRAY_COUNT(files); i++) {
        cr_assert_eq(rl_disk_open(f.mem_disk, files[i].path, 0, &fd), files[i].after, "%s", files[i].path);
        if (files[i].after == RL_OK)
            rl_disk_close(f.mem_disk, fd);
    }
    fixture_done(&f);
}

/* A clean stop vouches for all names, also those in directories of logs that were not touched since a kill:
 * a segment whose name no sync had reached was believed after it, and a power cut took it with all that had
 * been acknowledged since (simulator, seed 1018). */
Test(log_trust, a_clean_stop_vouches_for_names_that_a_kill_left)
{
    for (int can_sync_all = 0; can_sync_all < 2; can_sync_all++) {
        struct fixture f;
        struct rl_log_start start;
        int fd;

        fixture_init(&f);
        if (!can_sync_all)
            rl_mem_disk_no_sync_all(f.mem_disk);
        cr_assert_eq(fixture_open(&f), RL_OK);
        append(&f, 3);
        fixture_close(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_disk_open(f.mem_disk, FIXTURE_DIRECTORY "/name",
                                  RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
        rl_disk_close(f.mem_disk, fd);
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        fixture_close(&f, true);
        fixture_crash(&f, true);
        cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
        cr_assert_eq(start.clean, (bool)can_sync_all);
        if (start.clean) {
            cr_assert_eq(rl_disk_open(f.mem_disk, FIXTURE_DIRECTORY "/name", 0, &fd), RL_OK);
            rl_disk_close(f.mem_disk, fd);
        }
        fixture_done(&f);
    }
}

static rl_status identity_unsupported(struct rl_disk *disk, const char *path, char *text,
                                      size_t bytes)
{
    (void)disk;
    (void)path;
    (void)text;
    (void)bytes;
    return RL_EUNSUPPORTED;
}

/* Before Linux 6.8 a mount has no number of its own: nothing is proved, all else works. */
Test(log_trust, a_kernel_that_cannot_name_the_mount)
{
    struct fixture f;
    struct rl_log_start start;

    fixture_init(&f);
    struct rl_disk_table table = *f.mem_disk->table;
    table.identity = identity_unsupported;
    f.mem_disk->table = &table;
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.same_mount);
    cr_assert_eq(fixture_try_open(&f, start), RL_OK);
    cr_assert_eq(rl_log_directory_recovered(f.mem_disk, FIXTURE_DATA_DIR), RL_OK);
    append(&f, 3);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.same_mount);
    fixture_close(&f, true);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert(start.clean);
    cr_assert_eq(fixture_try_open(&f, start), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

/* A new segment whose file a power cut took: the checkpoints after that were not valid. */
Test(log_trust, an_empty_segment_that_did_not_survive)
{
    struct fixture f;
    size_t size;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 3);
    f.config.segment_ms = 0;
    rl_log_set_config(f.log, &f.config);
    rl_log_maintain(f.log, 3);                          /* rolls; nothing is appended any more */
    fixture_settle(&f);
    fixture_flush(&f);
    f.config.segment_ms = INT64_MAX;
    fixture_close(&f, true);
    cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DIRECTORY "/00000000000000000003.log"), RL_OK);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_flushed_offset(f.log), 3);
    fixture_close(&f, true);                            /* saves a checkpoint */
    uint8_t *checkpoint = fixture_file_load(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", &size);
    uint32_t position = (uint32_t)checkpoint[28] << 24 | (uint32_t)checkpoint[29] << 16 |
                        (uint32_t)checkpoint[30] << 8 | checkpoint[31];
    rl_free(checkpoint);
    cr_assert_gt(position, 0, "a recovery point at offset 3 is not at the segment's start");
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

/* The same, and the start replaces the checkpoint: it was one that the next start could not read, and
 * without one a torn segment was taken for a damaged one (simulator, seed 230). */
Test(log_trust, a_replaced_checkpoint_knows_where_an_empty_segment_was)
{
    struct fixture f;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 3);
    f.config.segment_ms = 0;
    rl_log_set_config(f.log, &f.config);
    rl_log_maintain(f.log, 3);                          /* rolls; nothing is appended any more */
    fixture_settle(&f);
    fixture_flush(&f);
    f.config.segment_ms = INT64_MAX;
    fixture_close(&f, true);
    fixture_crash(&f, true);
    cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DIRECTORY "/00000000000000000003.log"), RL_OK);
    cr_assert_eq(rl_disk_sync_directory(f.mem_disk, FIXTURE_DIRECTORY), RL_OK);
    for (int start = 0; start < 3; start++) {
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_flushed_offset(f.log), 3);
        size_t size;
        struct rl_checkpoint checkpoint;
        uint8_t *bytes = fixture_file_load(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", &size);
        cr_assert_eq(rl_checkpoint_decode(rl_slice_of(bytes, size), &checkpoint), RL_OK);
        cr_assert_eq(checkpoint.recovery.offset, 3);
        rl_checkpoint_done(&checkpoint);
        rl_free(bytes);
        fixture_check(&f);
        fixture_crash(&f, true);
    }
    fixture_done(&f);
}

static const struct rl_disk_table *inner;
static uint32_t renames_left;

static rl_status rename_some(struct rl_disk *disk, const char *from, const char *to)
{
    if (renames_left == 0)
        return RL_EIO;
    renames_left--;
    return inner->rename(disk, from, to);
}

/* A checkpoint may list segments that were rolled in memory and are not written yet.  When the log was
 * opened again in the same process before the next one, the flushed offset was believed, and the sizes
 * of those segments, too (simulator, seed 14); and where it was the start of one of them, the position
 * at which it was told was that of another (seed 151). */
Test(log_trust, segments_that_grew_after_the_checkpoint_are_walked)
{
    for (uint32_t i = 0; i < 24; i++) {
        uint32_t renames = i / 2;
        bool whole = i % 2 == 0;        /* else up to the start of the last segment */
        struct fixture f;

        fixture_init(&f);
        inner = f.mem_disk->table;
        struct rl_disk_table table = *inner;
        table.rename = rename_some;
        f.config.segment_bytes = 300;                   /* one batch */
        cr_assert_eq(fixture_open(&f), RL_OK);
        append(&f, 1);
        f.mem_disk->table = &table;
        renames_left = renames;
        rl_mem_hold_helpers(f.mem, true);
        rl_log_flush(f.log);
        fixture_settle(&f);                             /* the sync of the first segment is out */
        for (uint64_t seed = 1; seed < 4; seed++) {
            struct batch_spec spec = { .value_bytes = 100, .seed = seed };
            cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        }
        fixture_settle(&f);
        rl_mem_hold_helpers(f.mem, false);
        fixture_settle(&f);
        if (whole)
            fixture_flush(&f);
        f.mem_disk->table = inner;
        struct rl_log_start start = rl_log_start_again(f.log);
        cr_assert_eq(start.flushed.offset, whole ? 4 : 3);
        fixture_close(&f, false);
        cr_assert_eq(fixture_try_open(&f, start), RL_OK, "%u", i);
        cr_assert_eq(rl_log_end_offset(f.log), 4);
        fixture_check(&f);
        fixture_done(&f);
    }
}

/* A stop is only clean when no log was in doubt: one that had failed, one that was never opened. */
Test(log_trust, a_log_in_doubt_is_told)
{
    struct fixture f;

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 2);
    cr_assert(rl_log_manager_is_sound(f.shard));
    fixture_close(&f, true);
    cr_assert(rl_log_manager_is_sound(f.shard));

    cr_assert_eq(fixture_open(&f), RL_OK);
    rl_mem_disk_fail_write(f.mem_disk, 0, 10, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    fixture_settle(&f);
    model_truncate(&f.model, 2);
    fixture_close(&f, true);                            /* still waiting for space */
    cr_assert_not(rl_log_manager_is_sound(f.shard));

    fixture_crash(&f, false);
    cr_assert(rl_log_manager_is_sound(f.shard));
    rl_mem_disk_fail(f.mem_disk, RL_MEM_LIST, 1, RL_EMFILE);
    cr_assert_eq(fixture_open(&f), RL_EMFILE);
    cr_assert_not(rl_log_manager_is_sound(f.shard));
    fixture_done(&f);
}

/* R3: where the save point lies before the recovery point, a start on the same mount cut at damage
 * that was on stable storage; and what was written later was cut with it. */
Test(log_trust, a_flipped_bit_after_a_kill_takes_one_batch)
{
    for (int32_t wrong = 10; wrong < 14; wrong++) {
        struct fixture f;
        uint8_t *bytes;
        size_t size, at = 0;

        make_save_point_lag(&f, 0);
        append(&f, 2);
        fixture_crash(&f, false);
        for (int32_t i = 10; i <= wrong; i++)
            at += f.model.batches[i].size_bytes;
        fixture_file_flip(&f, FIXTURE_DIRECTORY "/00000000000000000010.log", at - 3, 4);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 15, "damage at %d: the log ends at %lld", wrong,
                     (long long)rl_log_end_offset(f.log));
        for (int64_t offset = 10; offset < 15; offset++) {
            rl_status status = fixture_read(&f, offset, 15, 1, true, &bytes, &size);
            cr_assert_eq(status, offset == wrong ? RL_ECORRUPT : RL_OK);
            cr_assert(status != RL_OK || memcmp(bytes, f.model.batches[offset].bytes, size) == 0);
            rl_free(bytes);
        }
        fixture_done(&f);
    }
}

/* Segments without a snapshot are read for their producers at a start.  When they cannot be read,
 * the log stays closed: whoever forgets a producer takes its retries for new. */
Test(log_trust, producers_that_cannot_be_read_are_not_forgotten)
{
    for (uint32_t after = 0; after < 40; after++) {
        struct fixture f;
        struct batch_spec spec = { .value_bytes = 100, .producer_id = 7 };

        make_save_point_lag(&f, 7);
        fixture_crash(&f, false);
        for (int64_t offset = 0; offset <= 24; offset++) {
            char path[300];
            snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%020lld.snapshot", (long long)offset);
            (void)rl_disk_unlink(f.mem_disk, path);
        }
        rl_mem_disk_fail(f.mem_disk, RL_MEM_READ, after, RL_EIO);
        rl_status status = fixture_open(&f);
        rl_mem_disk_heal(f.mem_disk);
        if (status != RL_OK) {
            cr_assert_eq(status, RL_EIO);
            cr_assert_eq(fixture_open(&f), RL_OK);
        }
        cr_assert_eq(rl_log_end_offset(f.log), 13);
        for (spec.base_sequence = 10; spec.base_sequence < 13; spec.base_sequence++)
            cr_assert_eq(fixture_append(&f, &spec), RL_EDUPLICATE, "read %u, sequence %d", after,
                         spec.base_sequence);
        fixture_done(&f);
    }
}

/* A start that cannot write its checkpoint does not go on without one: the next power cut would
 * leave a torn segment that nothing tells from a damaged one. */
Test(log_trust, a_checkpoint_that_cannot_be_replaced_stops_the_start)
{
    struct fixture f;

    fixture_init(&f);
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 3);
    fixture_flush(&f);
    f.config.segment_bytes = 300;
    rl_log_set_config(f.log, &f.config);
    append(&f, 3);                                      /* checkpoints that know all this */
    fixture_crash(&f, true);
    model_truncate(&f.model, 3);
    for (uint32_t i = 0; i < 8; i++)                    /* as often as it is tried (log/replace.c) */
        rl_mem_disk_fail(f.mem_disk, RL_MEM_WRITE, i, RL_EIO);
    cr_assert_eq(fixture_try_open(&f, (struct rl_log_start){ .same_mount = false }), RL_EIO);
    rl_mem_disk_heal(f.mem_disk);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_WRITE, 0, RL_EIO);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_WRITE, 1, RL_ENOSPACE);  /* only the place that fails is free */
    cr_assert_eq(fixture_try_open(&f, (struct rl_log_start){ .same_mount = false }), RL_EIO);
    rl_mem_disk_heal(f.mem_disk);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_done(&f);
}

/* A start on a full disk removed a checkpoint that spoke of records that were gone, and went on without:
 * the next power cut left a torn segment that was taken for a damaged one.  Now the old one stays, and
 * nothing is appended before there is space for the new one (simulator, seed 1564). */
Test(log_trust, a_full_disk_at_a_start_does_not_cost_the_checkpoint)
{
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct fixture f;
        struct rl_random random;
        size_t size;

        fixture_init(&f);
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        append(&f, 3);
        fixture_flush(&f);
        f.config.segment_bytes = 300;
        rl_log_set_config(f.log, &f.config);
        append(&f, 3);                                  /* checkpoints that know all this */
        fixture_crash(&f, true);
        uint8_t *before = fixture_file_load(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", &size);
        rl_mem_disk_fail(f.mem_disk, RL_MEM_WRITE, 0, RL_ENOSPACE);
        cr_assert_eq(fixture_try_open(&f, (struct rl_log_start){ .same_mount = false }), RL_OK);
        cr_assert_geq(rl_log_end_offset(f.log), 3);
        model_truncate(&f.model, rl_log_end_offset(f.log));
        fixture_check(&f);
        cr_assert_eq(fixture_append(&f, &one), RL_ENOSPACE);
        uint8_t *after = fixture_file_load(&f, FIXTURE_DIRECTORY "/ringlog.checkpoint", &size);
        cr_assert_eq(memcmp(before, after, size), 0);
        rl_free(before);
        rl_free(after);

        for (int second = 0; second < 3; second++) {
            rl_mem_advance(f.mem, 1100000000);
            fixture_settle(&f);
        }
        append(&f, 12);
        fixture_crash(&f, false);
        rl_random_init(&random, seed);
        rl_mem_disk_crash_torn(f.mem_disk, &random, 70, NULL);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_geq(rl_log_end_offset(f.log), 3);
        model_truncate(&f.model, rl_log_end_offset(f.log));
        fixture_check(&f);
        fixture_done(&f);
    }
}

/* A new log has a checkpoint at once: without one, what a power cut tore was taken for damage,
 * kept, and stood in the way of readers. */
Test(log_trust, a_new_log_knows_a_torn_end)
{
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct fixture f;
        struct rl_random random;

        fixture_init(&f);
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        append(&f, 4);
        fixture_flush(&f);
        append(&f, 12);
        fixture_crash(&f, false);
        rl_random_init(&random, seed);
        rl_mem_disk_crash_torn(f.mem_disk, &random, 70, NULL);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_geq(rl_log_end_offset(f.log), 4);
        model_truncate(&f.model, rl_log_end_offset(f.log));
        fixture_check(&f);
        fixture_done(&f);
    }
}

/* tests/log/test_log_damage.c — side files are removed or flipped bit by bit, batches too.
 *
 * An index, snapshot or checkpoint is never trusted over the log: whatever happens to it, the
 * same records and the same dedupe windows come back.  A damaged batch is never served. */
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

static const char *const names[] = {
    "00000000000000000000.index", "00000000000000000000.timeindex", "ringlog.checkpoint",
    "leader-epoch-checkpoint",
};

/* Three segments with windows of two producers, closed cleanly. */
static void build(struct fixture *f)
{
    fixture_init(f);
    f->config.segment_bytes = 2500;
    f->config.index_interval_bytes = 300;
    f->options.tail_bytes = 0;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
    for (int i = 0; i < 24; i++) {
        struct batch_spec spec = { .value_bytes = 180, .producer_id = 1 + i % 2,
                                   .base_sequence = i / 2, .seed = (uint64_t)i,
                                   .base_timestamp_ms = 1000 + i * 10 };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
    }
    fixture_close(f, true);
}

static void check_windows(struct fixture *f)
{
    for (int64_t producer = 1; producer <= 2; producer++) {
        struct batch_spec spec = { .value_bytes = 180, .producer_id = producer };
        for (spec.base_sequence = 7; spec.base_sequence < 12; spec.base_sequence++)
            cr_assert_eq(fixture_append(f, &spec), RL_EDUPLICATE);
        spec.base_sequence = 13;
        cr_assert_eq(fixture_append(f, &spec), RL_EOUTOFORDER);
    }
    cr_assert_eq(rl_log_latest_epoch(f->log), 5);
    cr_assert_eq(rl_log_epoch_of(f->log, 0), 5);
}

static void check_lookups(struct fixture *f)
{
    struct rl_log_lookup lookup;

    for (int i = 0; i < 24; i++) {
        cr_assert_eq(fixture_lookup(f, 1000 + i * 10 - 5, INT64_MAX, &lookup), RL_OK);
        cr_assert_eq(lookup.ret_offset, i);
    }
    cr_assert_eq(fixture_lookup(f, RL_LOOKUP_MAX_TIMESTAMP, INT64_MAX, &lookup), RL_OK);
    cr_assert_eq(lookup.ret_offset, 23);
}

static void check_all(struct fixture *f)
{
    cr_assert_eq(fixture_open(f), RL_OK);
    cr_assert_eq(rl_log_end_offset(f->log), 24);
    fixture_check(f);
    check_lookups(f);
    check_windows(f);
    fixture_check(f);
    fixture_close(f, true);
    cr_assert_eq(fixture_open(f), RL_OK);
    fixture_check(f);
    check_lookups(f);
    fixture_close(f, true);
}

Test(log_damage, a_side_file_is_removed_or_empty)
{
    for (uint32_t n = 0; n < RL_ARRAY_COUNT(names); n++) {
        for (int empty = 0; empty < 3; empty++) {
            struct fixture f;
            char path[300];

            build(&f);
            snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%s", names[n]);
            if (empty == 0)
                cr_assert_eq(rl_disk_unlink(f.mem_disk, path), RL_OK);
            else
                fixture_file_store(&f, path, "\0\0\0\0\0\0\0\0\0\0\0\0", empty == 1 ? 0 : 12);
            check_all(&f);
            fixture_done(&f);
        }
    }
}

Test(log_damage, snapshots_are_removed)
{
    struct fixture f;

    build(&f);
    for (int64_t offset = 0; offset <= 24; offset++) {
        char path[300];
        snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%020lld.snapshot", (long long)offset);
        (void)rl_disk_unlink(f.mem_disk, path);
    }
    check_all(&f);
    fixture_done(&f);
}

static void flip_every_byte(const char *name, uint32_t stride)
{
    struct fixture f;
    char path[300];
    size_t size;

    build(&f);
    snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%s", name);
    uint8_t *good = fixture_file_load(&f, path, &size);
    cr_assert_gt(size, 0);
    for (size_t bit = 0; bit < size * 8; bit += stride) {
        /* a fresh directory each time: damage must not pile up, nor repairs hide it */
        fixture_done(&f);
        build(&f);
        fixture_file_flip(&f, path, bit / 8, (uint8_t)(1u << (bit % 8)));
        check_all(&f);
    }
    rl_free(good);
    fixture_done(&f);
}

Test(log_damage, an_index_with_a_flipped_bit)           { flip_every_byte(names[0], 1); }
Test(log_damage, a_time_index_with_a_flipped_bit)       { flip_every_byte(names[1], 1); }
Test(log_damage, a_checkpoint_with_a_flipped_bit)       { flip_every_byte(names[2], 7); }
Test(log_damage, a_snapshot_with_a_flipped_bit)
{
    flip_every_byte("00000000000000000024.snapshot", 13);
}

Test(log_damage, a_state_file_with_a_flipped_bit_is_an_unclean_end)
{
    for (size_t at = 0; at < 16; at++) {
        struct fixture f;
        struct rl_log_start start = { true, true };

        build(&f);
        fixture_file_flip(&f, FIXTURE_DATA_DIR "/ringlog.state", at, 0x10);
        cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
        cr_assert_not(start.clean);
        cr_assert_not(start.same_mount);
        fixture_done(&f);
    }
}

Test(log_damage, the_last_run_is_told)
{
    struct fixture f;
    struct rl_log_start start;

    fixture_init(&f);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.clean);
    cr_assert_eq(rl_log_directory_recovered(f.mem_disk, FIXTURE_DATA_DIR), RL_OK);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.clean);
    cr_assert(start.same_mount);
    cr_assert_eq(rl_log_directory_stop(f.mem_disk, FIXTURE_DATA_DIR, false), RL_OK);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert(start.clean);
    fixture_crash(&f, true);
    cr_assert_eq(rl_log_directory_start(f.mem_disk, FIXTURE_DATA_DIR, &start), RL_OK);
    cr_assert_not(start.clean);
    cr_assert_not(start.same_mount);
    fixture_done(&f);
}

/* R4: metadata that is gone or says something else is a reason to refuse, never to delete. */
Test(log_damage, a_partition_of_another_topic_is_refused)
{
    struct fixture f;
    size_t size, size_after;
    static const char metadata[] = FIXTURE_DIRECTORY "/partition.metadata";
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";

    build(&f);
    uint8_t *before = fixture_file_load(&f, path, &size);
    f.identity.topic_id.bytes[0] ^= 1;
    cr_assert_eq(fixture_open(&f), RL_ECORRUPT);
    f.identity.topic_id.bytes[0] ^= 1;
    uint8_t *text = fixture_file_load(&f, metadata, &size_after);
    cr_assert_eq(rl_disk_unlink(f.mem_disk, metadata), RL_OK);
    cr_assert_eq(fixture_open(&f), RL_ECORRUPT);
    cr_assert_eq(fixture_create_directory(&f), RL_ECORRUPT);
    fixture_file_store(&f, metadata, "version: 0\ntopic_id: ???\n", 25);
    cr_assert_eq(fixture_open(&f), RL_ECORRUPT);
    fixture_file_store(&f, metadata, text, size_after);
    cr_assert_eq(fixture_create_directory(&f), RL_EEXIST);
    uint8_t *after = fixture_file_load(&f, path, &size_after);
    cr_assert_eq(size, size_after);
    cr_assert_eq(memcmp(before, after, size), 0);
    rl_free(before);
    rl_free(after);
    rl_free(text);
    check_all(&f);
    f.identity.topic = "nothing";
    cr_assert_eq(fixture_open(&f), RL_ENOTFOUND);
    fixture_done(&f);
}

/* R3: every bit of the first batches is flipped: that batch is not served (or, where the flip hit
 * what nobody can check, served as it is), the others are, and nothing is cut. */
static void flip_batches(bool unclean, bool checkpoint)
{
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";
    struct fixture f;
    size_t batch_bytes;

    build(&f);
    batch_bytes = f.model.batches[0].size_bytes;
    for (size_t at = batch_bytes; at < 2 * batch_bytes; at++) {
        uint8_t *bytes;
        size_t size;

        fixture_done(&f);
        build(&f);
        fixture_file_flip(&f, path, at, 0x04);
        if (!checkpoint)
            cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DIRECTORY "/ringlog.checkpoint"), RL_OK);
        if (unclean) {
            cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DATA_DIR "/ringlog.state"), RL_OK);
        }
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 24, "nothing is cut (byte %zu)", at);
        cr_assert_eq(rl_log_start_offset(f.log), 0);
        cr_assert_eq(fixture_read(&f, 0, 1, 100000, true, &bytes, &size), RL_OK);
        cr_assert_eq(memcmp(bytes, f.model.batches[0].bytes, size), 0);
        rl_free(bytes);
        rl_status status = fixture_read(&f, 1, 2, 100000, true, &bytes, &size);
        if (status == RL_OK && size > 0)
            cr_assert_eq(memcmp(bytes, f.model.batches[1].bytes, size), 0);
        else
            cr_assert_eq(status, RL_ECORRUPT);
        rl_free(bytes);
        /* the other segments are not concerned */
        for (uint32_t i = 12; i < 24; i++) {
            cr_assert_eq(fixture_read(&f, i, i + 1, 100000, true, &bytes, &size), RL_OK);
            cr_assert_eq(size, f.model.batches[i].size_bytes);
            cr_assert_eq(memcmp(bytes, f.model.batches[i].bytes, size), 0);
            rl_free(bytes);
        }
        fixture_close(&f, true);
    }
    fixture_done(&f);
}

Test(log_damage, a_damaged_batch_is_neither_served_nor_cut)             { flip_batches(false, true); }
Test(log_damage, nor_after_an_unclean_end)                              { flip_batches(true, true); }
Test(log_damage, nor_without_a_checkpoint)                              { flip_batches(true, false); }

Test(log_damage, a_read_ends_before_a_batch_with_a_false_epoch)
{
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    build(&f);
    const struct model_batch *batch = f.model.batches;
    fixture_file_flip(&f, path, batch[0].size_bytes + batch[1].size_bytes + 15, 0x04);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_read(&f, 0, 24, 100000, true, &bytes, &size), RL_OK);
    cr_assert_eq(size, batch[0].size_bytes + batch[1].size_bytes);
    cr_assert_eq(memcmp(bytes, batch[0].bytes, batch[0].size_bytes), 0);
    rl_free(bytes);
    cr_assert_eq(fixture_read(&f, 2, 24, 100000, true, &bytes, &size), RL_ECORRUPT);
    rl_free(bytes);
    cr_assert_eq(fixture_read(&f, 3, 24, 100000, true, &bytes, &size), RL_OK);
    cr_assert_gt(size, batch[3].size_bytes);
    cr_assert_eq(memcmp(bytes, batch[3].bytes, batch[3].size_bytes), 0);
    rl_free(bytes);
    fixture_done(&f);
}

/* A log of one to three batches, whose last one has another leader epoch after a kill. */
static void build_false_epoch(struct fixture *f, int batches)
{
    struct batch_spec spec = { .value_bytes = 100 };

    fixture_init(f);
    f->options.tail_bytes = 0;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
    for (int i = 0; i < batches; i++)
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
    fixture_settle(f);
    fixture_crash(f, false);
    struct model_batch *last = &f->model.batches[batches - 1];
    fixture_file_flip(f, FIXTURE_DIRECTORY "/00000000000000000000.log", (size_t)(batches - 1) * last->size_bytes + 13, 0x01);
    last->bytes[13] ^= 0x01;
}

static void check_last_is_refused(struct fixture *f, int batches, int appended)
{
    uint8_t *bytes;
    size_t size;

    for (int i = 0; i < batches + appended; i++) {
        rl_status status = fixture_read(f, i, batches + appended, 100000, true, &bytes, &size);
        cr_assert_eq(status, i == batches - 1 ? RL_ECORRUPT : RL_OK, "%d of %d", i, batches);
        if (status == RL_OK)
            cr_assert_eq(memcmp(bytes, f->model.batches[i].bytes, f->model.batches[i].size_bytes), 0);
        rl_free(bytes);
    }
    cr_assert_eq(rl_log_latest_epoch(f->log), 5);
}

/* No neighbour contradicts it, but nobody has led in that epoch. */
Test(log_damage, the_last_batch_with_an_epoch_that_nobody_led_in)
{
    for (int batches = 1; batches <= 3; batches++) {
        struct fixture f;
        struct batch_spec spec = { .value_bytes = 100 };

        build_false_epoch(&f, batches);
        cr_assert_eq(fixture_open(&f), RL_OK);
        check_last_is_refused(&f, batches, 0);
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(fixture_append(&f, &spec), RL_OK);
            fixture_settle(&f);
        }
        check_last_is_refused(&f, batches, 2);
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        check_last_is_refused(&f, batches, 2);
        fixture_close(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        check_last_is_refused(&f, batches, 2);
        fixture_done(&f);
    }
}

/* The metadata is an older copy: what was written since is served, and so is what comes behind it. */
Test(log_damage, an_epoch_above_the_leader_s_is_gone_on_with)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 100 };

    build_false_epoch(&f, 3);
    f.leader_epoch_unknown = true;
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    fixture_check(&f);
    f.leader_epoch_unknown = false;     /* there is more than one by now */
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    cr_assert_eq(rl_log_latest_epoch(f.log), 5 + 0x10000);
    fixture_done(&f);
}

Test(log_damage, flushed_data_that_is_missing_is_a_reason_to_refuse)
{
    static const char path[] = FIXTURE_DIRECTORY "/00000000000000000000.log";
    struct fixture f;

    build(&f);
    cr_assert_eq(rl_disk_unlink(f.mem_disk, path), RL_OK);
    cr_assert_eq(fixture_open(&f), RL_ECORRUPT);
    fixture_done(&f);
}

/* R4: what nobody knows is somebody's. */
Test(log_damage, unknown_files_are_left_alone)
{
    static const char *const names_of_others[] = {
        "notes.txt", "00000000000000000000.log.bak", "00000000000000000007.txnindex", "1.log", "lost+found",
        "0000000000000000000x.log", "00000000000000000000.log~", ".log",
    };
    struct fixture f;
    char path[300];

    build(&f);
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(names_of_others); i++) {
        snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%s", names_of_others[i]);
        fixture_file_store(&f, path, "theirs", 6);
    }
    check_all(&f);
    cr_assert_eq(rl_disk_unlink(f.mem_disk, FIXTURE_DATA_DIR "/ringlog.state"), RL_OK);
    fixture_file_store(&f, FIXTURE_DIRECTORY "/sync-failed", "", 0);
    check_all(&f);
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(names_of_others); i++) {
        size_t size;
        snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%s", names_of_others[i]);
        uint8_t *bytes = fixture_file_load(&f, path, &size);
        cr_assert_eq(size, 6, "%s", names_of_others[i]);
        cr_assert_eq(memcmp(bytes, "theirs", 6), 0);
        rl_free(bytes);
    }
    fixture_done(&f);
}

/* Cut short at every length: the same records and windows as ever. */
Test(log_damage, a_side_file_is_cut_short)
{
    static const char *const more[] = { "00000000000000000024.snapshot" };

    for (uint32_t n = 0; n < RL_ARRAY_COUNT(names) + RL_ARRAY_COUNT(more); n++) {
        const char *name = n < RL_ARRAY_COUNT(names) ? names[n] : more[n - RL_ARRAY_COUNT(names)];
        size_t size = 1;
        for (size_t cut_at = 0; cut_at < size; cut_at += 5) {
            struct fixture f;
            char path[300];

            build(&f);
            snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%s", name);
            uint8_t *bytes = fixture_file_load(&f, path, &size);
            fixture_file_store(&f, path, bytes, RL_MIN(cut_at, size));
            rl_free(bytes);
            check_all(&f);
            fixture_done(&f);
        }
    }
}

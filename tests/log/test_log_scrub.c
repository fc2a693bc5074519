/* tests/log/test_log_scrub.c — what rots is found before anybody asks, told once, and stepped over. */
#include "core/memory.h"
#include "log/log_internal.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define MINUTE_NS ((int64_t)60 * 1000000000)
#define WEEK_NS ((int64_t)7 * 86400 * 1000000000)
static const char first_log[] = FIXTURE_DIRECTORY "/00000000000000000000.log";

/* Three segments of sound batches, on stable storage, open after a start. */
static void build(struct fixture *f, uint64_t bytes_per_second)
{
    fixture_init(f);
    f->config.segment_bytes = 2500;
    f->config.index_interval_bytes = 300;
    f->options.tail_bytes = 0;
    f->options.scrub_bytes_per_second = bytes_per_second;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
    for (int i = 0; i < 24; i++) {
        struct batch_spec spec = { .value_bytes = 180, .seed = (uint64_t)i };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
    }
    fixture_flush(f);
}

static void start_again(struct fixture *f)
{
    fixture_close(f, true);
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
}

/* On the device, too: the scrubber does not ask the page cache. */
static void flip(struct fixture *f, const char *path, size_t at, uint8_t mask)
{
    int fd;

    fixture_file_flip(f, path, at, mask);
    cr_assert_eq(rl_disk_open(f->mem_disk, path, 0, &fd), RL_OK);
    cr_assert_eq(rl_disk_sync(f->mem_disk, fd), RL_OK);
    rl_disk_close(f->mem_disk, fd);
}

static struct rl_log_counts counts(const struct fixture *f)
{
    return rl_log_manager_counts(f->shard);
}

static uint64_t device_reads(const struct fixture *f)
{
    return rl_mem_disk_calls(f->mem_disk, RL_MEM_READ_DEVICE);
}

/* Let it work until the round is over; how many timers it took. */
static uint32_t run_round(struct fixture *f)
{
    uint64_t rounds = counts(f).scrub_rounds;
    uint32_t steps = 0;

    while (counts(f).scrub_rounds == rounds) {
        rl_mem_advance(f->mem, MINUTE_NS);
        fixture_settle(f);
        cr_assert_lt(++steps, 10000);
    }
    return steps;
}

Test(log_scrub, a_round_reads_everything_once_and_then_rests)
{
    struct fixture f;

    build(&f, 1 << 20);
    uint64_t size = rl_log_size_bytes(f.log);
    run_round(&f);
    cr_assert_eq(counts(&f).scrubbed_bytes, size);
    cr_assert_eq(counts(&f).damaged_batches, 0);
    uint64_t reads = device_reads(&f);
    for (int day = 0; day < 6; day++) {
        rl_mem_advance(f.mem, 86400 * (int64_t)1000000000);
        fixture_settle(&f);
    }
    cr_assert_eq(device_reads(&f), reads, "it rests");
    rl_mem_advance(f.mem, WEEK_NS);
    fixture_settle(&f);
    run_round(&f);
    cr_assert_eq(counts(&f).scrubbed_bytes, 2 * size);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_scrub, nothing_is_read_when_it_is_off)
{
    struct fixture f;

    build(&f, 0);
    rl_mem_advance(f.mem, WEEK_NS);
    fixture_settle(&f);
    cr_assert_eq(device_reads(&f), 0);
    fixture_done(&f);
}

Test(log_scrub, what_is_not_synced_is_left_alone)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 180, .seed = 99 };

    build(&f, 1 << 20);
    uint64_t size = rl_log_size_bytes(f.log);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    run_round(&f);
    cr_assert_eq(counts(&f).scrubbed_bytes, size);
    cr_assert_eq(counts(&f).damaged_batches, 0);
    fixture_done(&f);
}

/* The budget holds: a second of it reads no more than a second's bytes, and one step. */
Test(log_scrub, it_keeps_to_its_budget)
{
    struct fixture f;

    build(&f, 1000);
    uint64_t size = rl_log_size_bytes(f.log);
    rl_mem_advance(f.mem, MINUTE_NS);
    fixture_settle(&f);
    uint64_t before = counts(&f).scrubbed_bytes;
    cr_assert_gt(before, 0);
    rl_mem_advance(f.mem, (int64_t)((before - 1) * 1000000));
    fixture_settle(&f);
    cr_assert_eq(counts(&f).scrubbed_bytes, before, "paid for first");
    run_round(&f);
    cr_assert_eq(counts(&f).scrubbed_bytes, size);
    fixture_done(&f);
}

/* A log that grows faster than the budget does not keep it from the end of its round. */
Test(log_scrub, what_is_appended_meanwhile_is_not_chased)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 180 };
    uint32_t steps = 0;

    build(&f, 1000);
    while (counts(&f).scrub_rounds == 0) {
        for (int i = 0; i < 20; i++)
            cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        fixture_flush(&f);
        rl_mem_advance(f.mem, steps == 0 ? MINUTE_NS : 2500000000);
        fixture_settle(&f);
        cr_assert_lt(++steps, 20);
    }
    fixture_done(&f);
}

/* Each byte of a batch: found, told once however often it is passed, not served; every batch but the
 * few that share its place in the index is still there, and a consumer reads on behind it. */
Test(log_scrub, every_flipped_byte_is_found_and_stepped_over)
{
    struct fixture f;

    build(&f, 1 << 20);
    size_t from = f.model.batches[0].size_bytes, bytes = f.model.batches[1].size_bytes;
    fixture_done(&f);
    for (size_t at = from; at < from + bytes; at += at < from + 61 ? 1 : 17) {
        uint8_t *read_bytes;
        size_t size;

        build(&f, 1 << 20);
        fixture_close(&f, true);
        flip(&f, first_log, at, 0x04);
        fixture_crash(&f, false);
        cr_assert_eq(fixture_open(&f), RL_OK);
        run_round(&f);
        bool is_epoch = at >= from + 12 && at < from + 16;      /* outside the CRC; seen by reads */
        cr_assert_eq(counts(&f).damaged_batches, is_epoch ? 0 : 1, "byte %zu: %u", at - from,
                     (unsigned)counts(&f).damaged_batches);
        uint32_t lost = 0;
        for (uint32_t i = 0; i < 24; i++) {
            rl_status status = fixture_read(&f, i, i + 1, 100000, true, &read_bytes, &size);
            if (status == RL_OK)
                cr_assert_eq(memcmp(read_bytes, f.model.batches[i].bytes, size), 0);
            else
                cr_assert_eq(status, RL_ECORRUPT);
            lost += status != RL_OK;
            rl_free(read_bytes);
        }
        cr_assert_geq(lost, 1);
        cr_assert_leq(lost, 3, "byte %zu", at - from);
        cr_assert_eq(counts(&f).damaged_batches, 1, "byte %zu: known already", at - from);
        rl_mem_advance(f.mem, WEEK_NS);
        fixture_settle(&f);
        run_round(&f);
        cr_assert_eq(counts(&f).damaged_batches, 1);
        fixture_done(&f);
    }
}

/* Found by the first reader after a start as well, long before the scrubber comes by. */
Test(log_scrub, the_first_read_after_a_start_finds_it)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    build(&f, 0);
    fixture_close(&f, true);
    flip(&f, first_log, f.model.batches[0].size_bytes + 100, 0x04);
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int again = 0; again < 3; again++) {
        cr_assert_eq(fixture_read(&f, 1, 24, 100000, true, &bytes, &size), RL_ECORRUPT);
        rl_free(bytes);
        cr_assert_eq(counts(&f).damaged_batches, 1);
    }
    cr_assert_eq(fixture_read(&f, 2, 24, 100000, true, &bytes, &size), RL_OK, "a consumer seeks behind it");
    cr_assert_eq(memcmp(bytes, f.model.batches[2].bytes, f.model.batches[2].size_bytes), 0);
    rl_free(bytes);
    fixture_done(&f);
}

/* A place that the device cannot read, a file that is gone, a log that is closed in the middle. */
Test(log_scrub, trouble_of_all_kinds)
{
    struct fixture f;

    build(&f, 1 << 20);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_READ_DEVICE, 1, RL_EIO);
    run_round(&f);
    cr_assert_eq(counts(&f).damaged_batches, 1);
    fixture_done(&f);

    build(&f, 1 << 20);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_OPEN, 0, RL_EMFILE);
    run_round(&f);
    cr_assert_eq(counts(&f).damaged_batches, 0);
    fixture_done(&f);

    build(&f, 1 << 20);
    rl_mem_hold_helpers(f.mem, true);
    rl_mem_advance(f.mem, MINUTE_NS);
    for (int i = 0; i < 3; i++)
        rl_shard_step(f.shard);
    rl_mem_hold_helpers(f.mem, false);
    start_again(&f);
    fixture_check(&f);
    run_round(&f);
    fixture_done(&f);
}

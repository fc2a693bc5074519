/* tests/log/test_log_lend.c — ranges of files that the log lends: what is in them, how long they live. */
#include "core/memory.h"
#include "log/log_internal.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <string.h>

#define SEGMENT "data/topic-3/00000000000000000000.log"

static void append(struct fixture *f, uint32_t count, size_t value_bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        struct batch_spec spec = { .value_bytes = value_bytes, .seed = f->model.count };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
    }
}

/* A log that lends whatever it can and answers nothing from memory. */
static void start(struct fixture *f, int32_t segment_bytes)
{
    fixture_init(f);
    f->config.segment_bytes = segment_bytes;
    f->lend_bytes_min = 1;
    f->skip_tail = true;
    cr_assert_eq(fixture_open(f), RL_OK);
}

static void on_read(struct rl_log_read *read)
{
    (void)read;
}

/* One lent range; the caller releases its chunk. */
static struct rl_log_read *lend(struct fixture *f, int64_t offset)
{
    struct rl_log_read *read = rl_alloc_zero(1, sizeof *read);

    read->offset = offset;
    read->upper_offset = rl_log_end_offset(f->log);
    read->max_bytes = SIZE_MAX;
    read->lend_bytes_min = 1;
    read->skip_tail = true;
    read->done = on_read;
    if (rl_log_read(f->log, read) == RL_EBUSY)
        fixture_settle(f);
    cr_assert_eq(read->status, RL_OK);
    cr_assert_eq(read->chunk_count, 1);
    cr_assert(rl_chunk_is_file(&read->chunks[0]));
    return read;
}

/* The lent bytes are still those of the model, from its batch number `first` on. */
static void expect_lent(struct fixture *f, const struct rl_log_read *read, uint32_t first)
{
    const struct rl_chunk *chunk = &read->chunks[0];
    uint8_t *bytes = rl_alloc(chunk->bytes);
    size_t at = 0, got;

    cr_assert_eq(rl_disk_read(f->mem_disk, chunk->file->fd, chunk->file->pos, bytes, chunk->bytes, &got),
                 RL_OK);
    for (uint32_t i = first; at < chunk->bytes; i++) {
        const struct model_batch *batch = &f->model.batches[i];
        cr_assert_leq(at + batch->size_bytes, chunk->bytes, "whole batches only");
        cr_assert_eq(memcmp(bytes + at, batch->bytes, batch->size_bytes), 0);
        at += batch->size_bytes;
    }
    rl_free(bytes);
}

static void give_back(struct rl_log_read *read)
{
    rl_chunk_release(&read->chunks[0]);
    rl_free(read);
}

/* fixture_check reads by every bound; here each answer is a loan. */
Test(log_lend, whole_batches_within_every_bound)
{
    struct fixture f;

    start(&f, 20000);
    append(&f, 40, 1000);
    append(&f, 40, 17);
    append(&f, 3, 30000);
    fixture_check(&f);
    cr_assert_gt(f.lent, 0);
    rl_mem_disk_set_resident(f.mem_disk, false);        /* the same, by jobs */
    uint32_t before = f.lent;
    fixture_check(&f);
    cr_assert_gt(f.lent, before);
    fixture_done(&f);
}

Test(log_lend, small_ranges_are_copied_when_a_size_is_asked_for)
{
    struct fixture f;

    start(&f, 1 << 20);
    append(&f, 10, 1000);
    f.lend_bytes_min = 64 << 10;
    fixture_check(&f);
    cr_assert_eq(f.lent, 0);
    append(&f, 10, 20000);
    fixture_check(&f);
    cr_assert_gt(f.lent, 0);
    fixture_done(&f);
}

/* What is in memory, too, in one range of its file; not across two files, not what is small. */
Test(log_lend, large_ranges_of_the_tail_when_asked_for)
{
    struct fixture f;

    start(&f, 150000);
    f.skip_tail = false;
    f.lend_tail = true;
    f.lend_bytes_min = 64 << 10;
    append(&f, 3, 10000);
    fixture_check(&f);
    cr_assert_eq(f.lent, 0, "too small");
    append(&f, 20, 10000);
    cr_assert_eq(rl_tail_first_offset(f.log), 0, "all of it is in memory");
    cr_assert_gt(f.log->segment_count, 1);
    fixture_check(&f);
    cr_assert_gt(f.lent, 0);

    struct rl_log_read *read = rl_alloc_zero(1, sizeof *read);
    read->upper_offset = rl_log_end_offset(f.log);
    read->max_bytes = 100000;
    read->lend_bytes_min = 64 << 10;
    read->lend_tail = true;
    read->done = on_read;
    cr_assert_eq(rl_log_read(f.log, read), RL_OK);
    cr_assert_eq(read->chunk_count, 1);
    cr_assert(rl_chunk_is_file(&read->chunks[0]));
    expect_lent(&f, read, 0);
    give_back(read);
    fixture_done(&f);
}

Test(log_lend, after_a_start_only_what_was_checked_once)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    start(&f, 1 << 20);
    append(&f, 10, 1000);
    fixture_flush(&f);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(fixture_read(&f, 0, 10, SIZE_MAX, true, &bytes, &size), RL_OK);
        rl_free(bytes);
        cr_assert_eq(f.lent, (uint32_t)round, "copied and checked first, lent then");
    }
    append(&f, 2, 1000);                /* what comes now is known */
    cr_assert_eq(fixture_read(&f, 10, 12, SIZE_MAX, true, &bytes, &size), RL_OK);
    rl_free(bytes);
    cr_assert_eq(f.lent, 2);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_lend, what_is_damaged_is_neither_lent_nor_copied)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    start(&f, 1 << 20);
    append(&f, 10, 1000);
    fixture_flush(&f);
    size_t at = f.model.batches[0].size_bytes * 5 + 500;
    fixture_close(&f, true);
    fixture_file_flip(&f, SEGMENT, at, 1);
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(fixture_read(&f, 0, 10, SIZE_MAX, true, &bytes, &size), RL_OK);
        cr_assert_eq(size, f.model.batches[0].size_bytes * 5, "up to the damage");
        rl_free(bytes);
        cr_assert_eq(fixture_read(&f, 5, 10, SIZE_MAX, true, &bytes, &size), RL_ECORRUPT);
        rl_free(bytes);
        cr_assert_eq(fixture_read(&f, 6, 10, SIZE_MAX, true, &bytes, &size), RL_OK);
        cr_assert_eq(size, f.model.batches[0].size_bytes * 4, "and behind it");
        rl_free(bytes);
    }
    fixture_done(&f);
}

Test(log_lend, a_loan_outlives_its_segment)
{
    struct fixture f;

    start(&f, 4000);
    f.config.retention_bytes = 1;
    f.config.file_delete_delay_ms = 0;
    rl_log_set_config(f.log, &f.config);
    append(&f, 12, 1000);
    struct rl_log_read *read = lend(&f, 0);
    rl_log_maintain(f.log, rl_log_end_offset(f.log));
    fixture_settle(&f);
    rl_mem_advance(f.mem, 1000000000);
    fixture_settle(&f);
    cr_assert_gt(rl_log_start_offset(f.log), 0);
    cr_assert_not(fixture_file_exists(&f, SEGMENT));
    expect_lent(&f, read, 0);
    give_back(read);
    fixture_done(&f);
}

Test(log_lend, a_loan_outlives_its_log)
{
    for (int clean = 0; clean < 2; clean++) {
        struct fixture f;

        start(&f, 1 << 20);
        append(&f, 5, 1000);
        struct rl_log_read *read = lend(&f, 0);
        fixture_close(&f, clean == 1);
        expect_lent(&f, read, 0);
        cr_assert_eq(fixture_open(&f), RL_OK);
        append(&f, 5, 1000);
        expect_lent(&f, read, 0);
        give_back(read);
        fixture_check(&f);
        fixture_done(&f);
    }
}

Test(log_lend, a_loan_outlives_a_rollback)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 1000 };

    start(&f, 1 << 20);
    append(&f, 5, 1000);
    struct rl_log_read *read = lend(&f, 0);
    rl_mem_disk_fail_write(f.mem_disk, 0, 700, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    model_truncate(&f.model, 5);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    append(&f, 5, 900);
    expect_lent(&f, read, 0);
    give_back(read);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_lend, descriptors_on_loan_are_not_closed_for_others)
{
    struct fixture f;
    struct rl_log_read *reads[6];

    fixture_init(&f);
    f.options.open_files_max = 1;
    f.config.segment_bytes = 2500;
    f.lend_bytes_min = 1;
    f.skip_tail = true;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    append(&f, 12, 1000);               /* two to a segment */
    for (int i = 0; i < 6; i++)
        reads[i] = lend(&f, 2 * i);
    fixture_check(&f);
    for (int i = 0; i < 6; i++) {
        expect_lent(&f, reads[i], (uint32_t)(2 * i));
        give_back(reads[i]);
    }
    fixture_check(&f);
    fixture_done(&f);
}

/* Nobody will release it any more: the manager ends it, and no descriptor is left open. */
Test(log_lend, the_end_of_all_takes_loans_back)
{
    struct fixture f;

    start(&f, 1 << 20);
    append(&f, 5, 1000);
    struct rl_log_read *read = lend(&f, 0);
    fixture_close(&f, true);
    rl_free(read);
    fixture_done(&f);
}

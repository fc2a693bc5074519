/* tests/log/test_log_space.c — refused before the disk is full, taken again when there is room. */
#include "log_fixture.h"
#include <criterion/criterion.h>

#define MIB ((uint64_t)1 << 20)
#define SECOND_NS ((int64_t)1000000000)

static void start(struct fixture *f, uint64_t min_free_bytes)
{
    fixture_init(f);
    f->options.min_free_bytes = min_free_bytes;
    fixture_crash(f, false);            /* the option counts from a start on */
    cr_assert_eq(fixture_open(f), RL_OK);
}

static rl_status append(struct fixture *f, size_t value_bytes)
{
    struct batch_spec spec = { .value_bytes = value_bytes, .seed = f->model.count };
    rl_status status = fixture_append(f, &spec);
    fixture_settle(f);
    return status;
}

/* So much is free from now on. */
static void leave(struct fixture *f, uint64_t bytes)
{
    uint64_t free_bytes, total_bytes;

    cr_assert_eq(rl_disk_free_bytes(f->mem_disk, "/", &free_bytes, &total_bytes), RL_OK);
    rl_mem_disk_set_capacity(f->mem_disk, total_bytes - free_bytes + bytes);
}

static void let_look(struct fixture *f)
{
    rl_mem_advance(f->mem, 2 * SECOND_NS);
    fixture_settle(f);
}

Test(log_space, refused_below_the_minimum_and_taken_again_above_it)
{
    struct fixture f;

    start(&f, 8 * MIB);
    leave(&f, 9 * MIB);
    cr_assert_eq(append(&f, 1000), RL_OK);
    leave(&f, 7 * MIB);
    let_look(&f);
    cr_assert_eq(append(&f, 1000), RL_ENOSPACE);
    cr_assert_eq(rl_log_failure(f.log), RL_OK, "the log itself is well");
    fixture_check(&f);
    leave(&f, 8 * MIB);
    let_look(&f);
    cr_assert_eq(append(&f, 1000), RL_ENOSPACE, "a little distance, or it would flap");
    leave(&f, 10 * MIB);
    let_look(&f);
    cr_assert_eq(append(&f, 1000), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_space, seen_within_a_burst_too)
{
    struct fixture f;
    rl_status status = RL_OK;
    uint64_t free_bytes, total_bytes;

    start(&f, 32 * MIB);
    leave(&f, 40 * MIB);
    for (int i = 0; i < 60 && status == RL_OK; i++)
        status = append(&f, MIB);       /* no time passes */
    cr_assert_eq(status, RL_ENOSPACE);
    rl_disk_free_bytes(f.mem_disk, "/", &free_bytes, &total_bytes);
    cr_assert_gt(free_bytes, 20 * MIB, "long before the end");
    cr_assert_eq(f.failed, 0);
    fixture_done(&f);
}

Test(log_space, a_repeated_batch_is_still_known)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 1000, .producer_id = 7, .base_sequence = 0 };
    struct rl_append_result first, again;

    start(&f, 8 * MIB);
    cr_assert_eq(fixture_append_result(&f, &spec, &first), RL_OK);
    fixture_settle(&f);
    leave(&f, 1 * MIB);
    let_look(&f);
    cr_assert_eq(fixture_append_result(&f, &spec, &again), RL_EDUPLICATE);
    cr_assert_eq(again.base_offset, first.base_offset);
    fixture_done(&f);
}

Test(log_space, zero_never_asks)
{
    struct fixture f;

    start(&f, 0);
    leave(&f, 100 << 10);
    cr_assert_eq(append(&f, 1000), RL_OK);
    let_look(&f);
    cr_assert_eq(append(&f, 1000), RL_OK);
    fixture_done(&f);
}

/* tests/log/test_log_reserve.c — space ahead of a growing segment: asked for, bounded, given back. */
#include "log_fixture.h"
#include <criterion/criterion.h>

#define MIB ((size_t)1 << 20)

static void start(struct fixture *f, uint64_t reserve_bytes)
{
    fixture_init(f);
    f->options.reserve_bytes = reserve_bytes;
    fixture_crash(f, false);            /* the option counts from a start on */
    cr_assert_eq(fixture_open(f), RL_OK);
}

static void append_mib(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct batch_spec spec = { .value_bytes = MIB, .seed = i };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        fixture_settle(f);
    }
}

static uint64_t reservations(const struct fixture *f)
{
    return rl_mem_disk_calls(f->mem_disk, RL_MEM_ALLOCATE);
}

static uint64_t truncations(const struct fixture *f)
{
    return rl_mem_disk_calls(f->mem_disk, RL_MEM_TRUNCATE);
}

Test(log_reserve, nothing_for_a_small_log)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 500000 };

    start(&f, 64 * MIB);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    uint64_t before = truncations(&f);
    fixture_close(&f, true);
    cr_assert_eq(reservations(&f), 0);
    cr_assert_eq(truncations(&f), before);
    fixture_done(&f);
}

Test(log_reserve, nothing_when_it_is_switched_off)
{
    struct fixture f;

    start(&f, 0);
    append_mib(&f, 8);
    cr_assert_eq(reservations(&f), 0);
    fixture_done(&f);
}

Test(log_reserve, as_much_again_and_then_steps)
{
    struct fixture f;

    start(&f, 4 * MIB);
    append_mib(&f, 2);
    cr_assert_geq(reservations(&f), 1);
    append_mib(&f, 30);
    cr_assert_geq(reservations(&f), 6, "always ahead");
    cr_assert_leq(reservations(&f), 20, "half a step at a time, not one for each batch");
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_reserve, given_back_at_a_roll_and_at_a_clean_close)
{
    struct fixture f;

    fixture_init(&f);
    f.options.reserve_bytes = 64 * MIB;
    f.config.segment_bytes = 3 * (int32_t)MIB + 4096;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    uint64_t before = truncations(&f);
    append_mib(&f, 4);                  /* rolls once */
    cr_assert_eq(truncations(&f), before + 1);
    append_mib(&f, 1);
    before = truncations(&f);
    fixture_close(&f, true);
    cr_assert_eq(truncations(&f), before + 1);
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_reserve, refused_once_is_not_asked_again_for_this_segment)
{
    struct fixture f;

    fixture_init(&f);
    f.options.reserve_bytes = 64 * MIB;
    f.config.segment_bytes = 8 * (int32_t)MIB;
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_ALLOCATE, 0, RL_ENOSPACE);
    append_mib(&f, 6);
    cr_assert_eq(reservations(&f), 1);
    append_mib(&f, 6);                  /* another segment */
    cr_assert_gt(reservations(&f), 1);
    cr_assert_eq(f.failed, 0);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_reserve, never_what_fills_the_disk)
{
    struct fixture f;

    start(&f, 64 * MIB);
    rl_mem_disk_set_capacity(f.mem_disk, 10 * MIB);
    append_mib(&f, 6);
    cr_assert_eq(reservations(&f), 0);
    cr_assert_eq(f.failed, 0);
    fixture_done(&f);
}

/* A job in flight while the log rolls, fails or ends. */
static void in_flight(struct fixture *f)
{
    fixture_init(f);
    f->options.reserve_bytes = 64 * MIB;
    f->config.segment_bytes = 4 * (int32_t)MIB;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
    rl_mem_hold_helpers(f->mem, true);
    append_mib(f, 2);
    cr_assert_eq(reservations(f), 0);
}

Test(log_reserve, in_flight_at_a_roll)
{
    struct fixture f;

    in_flight(&f);
    append_mib(&f, 3);
    uint64_t before = truncations(&f);
    rl_mem_hold_helpers(f.mem, false);
    fixture_settle(&f);
    cr_assert_geq(reservations(&f), 1);
    cr_assert_eq(truncations(&f), before + 1, "given back after it was given");
    append_mib(&f, 2);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_reserve, in_flight_at_a_close)
{
    for (int clean = 0; clean < 2; clean++) {
        struct fixture f;

        in_flight(&f);
        rl_mem_hold_helpers(f.mem, false);
        fixture_close(&f, clean == 1);
        cr_assert_eq(fixture_open(&f), RL_OK);
        fixture_check(&f);
        fixture_done(&f);
    }
}

Test(log_reserve, in_flight_when_a_write_fails)
{
    struct fixture f;
    struct batch_spec spec = { .value_bytes = 1000 };

    in_flight(&f);
    rl_mem_disk_fail_write(f.mem_disk, 0, 10, RL_ENOSPACE);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    cr_assert_eq(f.failure, RL_ENOSPACE);
    model_truncate(&f.model, 2);
    rl_mem_hold_helpers(f.mem, false);
    fixture_settle(&f);
    rl_mem_advance(f.mem, 1100000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_failure(f.log), RL_OK);
    append_mib(&f, 1);
    fixture_check(&f);
    fixture_done(&f);
}

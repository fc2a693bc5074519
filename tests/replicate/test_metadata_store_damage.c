/* tests/replicate/test_metadata_store_damage.c — every byte of the store's file damaged. */
#include "core/crc32c.h"
#include "core/memory.h"
#include "metadata_trace.h"
#include <criterion/criterion.h>

TestSuite(metadata_store_damage);

/* Open the store over these bytes; what it says, and (if it opens) which state it shows. */
static rl_status open_bytes(struct trace *t, struct rig *rig, const uint8_t *data, size_t bytes,
                            int64_t *ret_state)
{
    struct user u;
    rig_write_file(rig, USER_PATH, data, bytes);
    rl_status status = user_open(&u, rig, "local:meta");
    if (status == RL_OK) {
        *ret_state = trace_state(t, &u);
        rig->cut = true;                                /* leave no seal */
        user_close(&u);
        rig->cut = false;
        return status;
    }
    size_t after_bytes;
    uint8_t *after = rig_read_file(rig, USER_PATH, &after_bytes);
    cr_assert(after_bytes == bytes && memcmp(after, data, bytes) == 0, "a refused file changed");
    rl_free(after);
    return status;
}

/* Flip a bit of, and then all of, each byte.  A flipped file is refused, or shows a state that
 * is at least `least`. */
static uint32_t flip_all(struct trace *t, struct rig *rig, uint8_t *data, size_t bytes,
                         int64_t least)
{
    uint32_t cuts = 0;
    for (size_t at = 0; at < bytes; at++)
        for (int whole = 0; whole < 2; whole++) {
            uint8_t mask = whole ? 0xff : (uint8_t)RL_BIT(rl_random_below(&t->random, 8));
            int64_t state = -1;
            data[at] ^= mask;
            rl_status status = open_bytes(t, rig, data, bytes, &state);
            data[at] ^= mask;
            if (status != RL_OK) {
                cr_assert_eq(status, RL_ECORRUPT, "byte %zu of %zu: %s", at, bytes,
                             rl_status_name(status));
                continue;
            }
            cr_assert_geq(state, least, "byte %zu of %zu shows state %ld", at, bytes, (long)state);
            cuts++;
        }
    return cuts;
}

/* A file with a snapshot and with several groups behind it.  Returns the state that the last
 * group began with. */
static int64_t damage_make(struct trace *t, struct rig *rig, uint64_t seed)
{
    rig_init(rig, 1, seed);
    rig_boot(rig, 0);
    trace_init(t, seed);
    trace_open(t, rig);
    while (t->issued < STEPS - 10) {
        if (t->issued == STEPS / 2)                     /* after this, the file only grows */
            rl_metadata_store_set_rewrite_bytes(t->user.store, UINT64_MAX);
        rig_post(rig, 0, do_transaction, trace_next(t));
        rig_run(rig);
    }
    int64_t before_last = t->state_count - 1;
    for (uint32_t last = t->state_count + 3; t->state_count < last && t->issued < STEPS;)
        rig_post(rig, 0, do_transaction, trace_next(t));
    rig_run(rig);
    return before_last;
}

Test(metadata_store_damage, damage_after_clean_close, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    damage_make(t, &rig, 7);
    user_close(&t->user);
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    /* The seal proves everything before it: only damage to the seal itself goes through. */
    uint32_t cuts = flip_all(t, &rig, data, bytes, t->state_count - 1);
    cr_assert_leq(cuts, 2 * 32);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store_damage, damage_after_kill, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    int64_t before_last = damage_make(t, &rig, 8);
    rig.cut = true;
    user_close(&t->user);
    rig.cut = false;
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    /* The last group cannot be told from a torn one; nothing before it is ever cut. */
    cr_assert_gt(flip_all(t, &rig, data, bytes, before_last), 0);

    for (size_t cut = 0; cut < bytes; cut++) {          /* and a file that is too short */
        int64_t state = -1;
        rl_status status = open_bytes(t, &rig, data, cut, &state);
        cr_assert(status == RL_ECORRUPT || (status == RL_OK && state >= 0), "%zu", cut);
    }
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store_damage, newer_format_and_foreign_file)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    int64_t state;
    damage_make(t, &rig, 9);
    user_close(&t->user);
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    /* Version 2 with its checksum: what a later ringlog would have written. */
    static const uint8_t newer[64] = {
        'r', 'l', 'm', 'e', 't', 'a', '\r', '\n', 0, 0, 0, 2, 0x00, 0x00, 0x00, 0x00 };
    memcpy(data, newer, 16);
    uint32_t crc = rl_crc32c(0, data, 64);
    for (int i = 0; i < 4; i++)
        data[12 + i] = (uint8_t)(crc >> (24 - 8 * i));
    cr_assert_eq(open_bytes(t, &rig, data, bytes, &state), RL_EVERSION);
    cr_assert_eq(open_bytes(t, &rig, (const uint8_t *)"", 0, &state), RL_ECORRUPT);
    cr_assert_eq(open_bytes(t, &rig, (const uint8_t *)"{\"topics\":[]}", 13, &state), RL_ECORRUPT);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store_damage, damaged_snapshot, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    struct user again;
    size_t bytes;
    damage_make(t, &rig, 10);
    rig.cut = true;
    user_close(&t->user);
    rig.cut = false;
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK); /* settles: a seal stands behind all */
    rig.cut = true;
    user_close(&again);
    rig.cut = false;
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    /* Damage is refused, but for that of the seal itself: cut off, nothing is missing. */
    cr_assert_leq(flip_all(t, &rig, data, bytes, (int64_t)t->state_count - 1), 2 * USER_SEAL_BYTES);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

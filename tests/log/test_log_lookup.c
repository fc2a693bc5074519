/* tests/log/test_log_lookup.c — timestamps to offsets, exact to the record; retention by them. */
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>

enum { BATCHES = 60, RECORDS = 4 };

static int64_t timestamps[BATCHES * RECORDS];

/* Timestamps that mostly rise but step back in places, also within a batch. */
static void fill(struct fixture *f, enum rl_codec codec)
{
    struct rl_random random;

    rl_random_init(&random, 42);
    for (int i = 0; i < BATCHES; i++) {
        for (int r = 0; r < RECORDS; r++)
            timestamps[i * RECORDS + r] = 10000 + i * 100 + (int64_t)rl_random_below(&random, 250);
        struct batch_spec spec = { .records = RECORDS, .value_bytes = 60, .codec = codec,
                                   .seed = (uint64_t)i,
                                   .timestamps_ms = timestamps + i * RECORDS };
        cr_assert_eq(fixture_append(f, &spec), RL_OK);
        if (i % 5 == 0)
            fixture_settle(f);
    }
    fixture_settle(f);
}

static int64_t expect_first(int64_t timestamp_ms, int64_t upper)
{
    for (int64_t offset = 0; offset < upper; offset++) {
        if (timestamps[offset] >= timestamp_ms)
            return offset;
    }
    return -1;
}

static int64_t expect_largest(int64_t upper)
{
    int64_t best = 0;

    for (int64_t offset = 1; offset < upper; offset++) {
        if (timestamps[offset] > timestamps[best])
            best = offset;
    }
    return best;
}

static void check(struct fixture *f)
{
    struct rl_log_lookup lookup;

    for (int64_t upper = 0; upper <= BATCHES * RECORDS; upper += RECORDS * 7) {
        for (int64_t ms = 9900; ms < 16500; ms += 37) {
            int64_t want = expect_first(ms, upper);
            rl_status status = fixture_lookup(f, ms, upper, &lookup);
            cr_assert_eq(status, want < 0 ? RL_ENOTFOUND : RL_OK, "%lld below %lld", (long long)ms,
                         (long long)upper);
            if (want < 0)
                continue;
            cr_assert_eq(lookup.ret_offset, want);
            cr_assert_eq(lookup.ret_timestamp_ms, timestamps[want]);
            cr_assert_eq(lookup.ret_leader_epoch, 5);
        }
        if (upper == 0) {
            cr_assert_eq(fixture_lookup(f, RL_LOOKUP_MAX_TIMESTAMP, upper, &lookup), RL_ENOTFOUND);
            continue;
        }
        cr_assert_eq(fixture_lookup(f, RL_LOOKUP_MAX_TIMESTAMP, upper, &lookup), RL_OK);
        cr_assert_eq(lookup.ret_offset, expect_largest(upper));
        cr_assert_eq(lookup.ret_timestamp_ms, timestamps[lookup.ret_offset]);
    }
}

static void run(enum rl_codec codec, int32_t segment_bytes)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = segment_bytes;
    f.config.index_interval_bytes = 500;
    cr_assert_eq(fixture_open(&f), RL_OK);
    fill(&f, codec);
    check(&f);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    check(&f);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    check(&f);
    fixture_done(&f);
}

Test(log_lookup, uncompressed)    { run(RL_CODEC_NONE, 5000); }
Test(log_lookup, gzip)            { run(RL_CODEC_GZIP, 4000); }
Test(log_lookup, snappy)          { run(RL_CODEC_SNAPPY, 4000); }
Test(log_lookup, lz4)             { run(RL_CODEC_LZ4, 4000); }
Test(log_lookup, zstd)            { run(RL_CODEC_ZSTD, 4000); }
Test(log_lookup, in_one_segment)  { run(RL_CODEC_NONE, 1 << 30); }

/* ---- retention ---- */

Test(log_lookup, retention_by_time_goes_by_the_largest_timestamp)
{
    struct fixture f;
    uint8_t *bytes;
    size_t size;

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    f.config.retention_ms = 10000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    int64_t now = f.shard->wall_ms;
    for (int i = 0; i < 20; i++) {
        /* the third segment holds one record from the future of the others */
        int64_t age = i == 10 ? -1000 : 20000 - i;
        struct batch_spec spec = { .value_bytes = 150, .base_timestamp_ms = now - age };
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    }
    fixture_flush(&f);
    rl_log_maintain(f.log, 3);
    fixture_settle(&f);
    cr_assert_eq(rl_log_start_offset(f.log), 0, "nothing above the upper offset goes");
    rl_log_maintain(f.log, 20);
    fixture_settle(&f);
    cr_assert_eq(f.trimmed, 1);
    cr_assert_eq(rl_log_start_offset(f.log), 8);
    cr_assert_eq(fixture_read(&f, 7, 20, 1000, true, &bytes, &size), RL_ERANGE);
    rl_free(bytes);
    fixture_check(&f);
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000000.log.deleted"));
    rl_mem_advance(f.mem, 59000000000);
    fixture_settle(&f);
    cr_assert(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000000.log.deleted"));
    rl_mem_advance(f.mem, 2000000000);
    fixture_settle(&f);
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000000.log.deleted"));
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000004.log"));
    /* now all of it is old: the active segment is rolled and everything goes */
    rl_log_maintain(f.log, 20);
    fixture_settle(&f);
    cr_assert_eq(rl_log_start_offset(f.log), 20);
    cr_assert_eq(rl_log_end_offset(f.log), 20);
    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_start_offset(f.log), 20);
    cr_assert_eq(rl_log_end_offset(f.log), 20);
    cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 10 }), RL_OK);
    fixture_flush(&f);
    fixture_check(&f);
    fixture_done(&f);
}

Test(log_lookup, retention_by_size_keeps_at_least_what_was_asked)
{
    struct fixture f;

    fixture_init(&f);
    f.config.segment_bytes = 1000;
    f.config.retention_bytes = 3000;
    cr_assert_eq(fixture_open(&f), RL_OK);
    for (int i = 0; i < 40; i++)
        cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 150 }), RL_OK);
    fixture_flush(&f);
    uint64_t segment_bytes = 4 * f.model.batches[0].size_bytes;
    rl_log_maintain(f.log, 40);
    fixture_settle(&f);
    cr_assert_geq(rl_log_size_bytes(f.log), 3000);
    cr_assert_lt(rl_log_size_bytes(f.log), 3000 + segment_bytes);
    fixture_check(&f);
    int64_t start_offset = rl_log_start_offset(f.log);
    fixture_close(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_start_offset(f.log), start_offset);
    cr_assert_not(fixture_file_exists(&f, FIXTURE_DIRECTORY "/00000000000000000000.log.deleted"));
    fixture_check(&f);
    fixture_done(&f);
}

/* The disk stops at any call of a retention run: no gap, no record of the middle comes back. */
Test(log_lookup, retention_survives_a_power_cut_at_any_call)
{
    for (uint64_t cut_at = 0; cut_at < 40; cut_at++) {
        struct fixture f;

        fixture_init(&f);
        f.config.segment_bytes = 1000;
        cr_assert_eq(fixture_open(&f), RL_OK);
        for (int i = 0; i < 20; i++)
            cr_assert_eq(fixture_append(&f, &(struct batch_spec){ .value_bytes = 150 }), RL_OK);
        fixture_flush(&f);
        struct rl_log_config config = f.config;
        config.retention_bytes = 2000;
        rl_log_set_config(f.log, &config);
        f.cut.cut_at = f.cut.calls + cut_at;
        rl_log_maintain(f.log, 20);
        fixture_settle(&f);
        rl_mem_advance(f.mem, 61000000000);
        fixture_settle(&f);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f.log), 20);
        cr_assert_leq(rl_log_start_offset(f.log), 12);
        fixture_check(&f);
        fixture_done(&f);
    }
}

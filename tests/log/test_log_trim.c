/* tests/log/test_log_trim.c — the log start is raised on demand, also while the disk dies. */
#include "core/memory.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define BATCHES 12
#define RECORDS 3                       /* of each */

static void on_trimmed(struct rl_log_trim *trim)
{
    ++*(uint32_t *)trim->arg;
}

static void post_trim(struct fixture *f, struct rl_log_trim *trim, int64_t offset, uint32_t *answered)
{
    *trim = (struct rl_log_trim){ .offset = offset, .done = on_trimmed, .arg = answered };
    rl_log_trim(f->log, trim);
}

static struct rl_log_trim trim_to(struct fixture *f, int64_t offset)
{
    struct rl_log_trim trim;
    uint32_t answered = 0;
    post_trim(f, &trim, offset, &answered);
    cr_assert_eq(answered, 0, "done ran inside the call");
    fixture_settle(f);
    cr_assert_eq(answered, 1);
    return trim;
}

/* Two batches a segment, 36 records in all. */
static void fill(struct fixture *f)
{
    for (int32_t i = 0; i < BATCHES; i++) {
        struct batch_spec spec = { .records = RECORDS, .value_bytes = 120, .seed = (uint64_t)i,
                                   .producer_id = 7, .base_sequence = i * RECORDS };
        if (f->log == NULL || fixture_append(f, &spec) != RL_OK)
            return;
        fixture_settle(f);
    }
}

static void start(struct fixture *f)
{
    fixture_init(f);
    f->config.segment_bytes = 1000;
    f->config.index_interval_bytes = 100;
    f->config.cleanup_delete = true;
    fixture_crash(f, false);
    cr_assert_eq(fixture_open(f), RL_OK);
}

static uint32_t count_segments(struct fixture *f)
{
    uint32_t count = 0;
    char path[128];
    for (int64_t offset = 0; offset <= BATCHES * RECORDS; offset++) {
        snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%020lld.log", (long long)offset);
        count += fixture_file_exists(f, path);
    }
    return count;
}

static void expect_readable(struct fixture *f, int64_t offset, rl_status expected)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    cr_assert_eq(fixture_read(f, offset, rl_log_written_offset(f->log), 1 << 20, true, &bytes, &size),
                 expected, "offset %lld", (long long)offset);
    rl_free(bytes);
}

/* The largest time is one of a record that is left, also where the segment's own is not. */
static void largest_time_after_trim(int32_t segment_bytes)
{
    struct fixture f;
    struct rl_log_lookup lookup;
    start(&f);
    f.config.segment_bytes = segment_bytes;
    for (int32_t i = 0; i < BATCHES; i++) {
        struct batch_spec spec = { .records = RECORDS, .value_bytes = 120, .seed = (uint64_t)i,
                                   .base_timestamp_ms = 100000 - i * 100, .timestamp_step_ms = 1 };
        cr_assert_eq(fixture_append(&f, &spec), RL_OK);
        fixture_settle(&f);
    }
    for (int64_t start_offset = 0; start_offset < BATCHES * RECORDS; start_offset += RECORDS) {
        cr_assert_eq(trim_to(&f, start_offset).status, RL_OK);
        for (int64_t upper = start_offset + RECORDS; upper <= BATCHES * RECORDS; upper += RECORDS) {
            cr_assert_eq(fixture_lookup(&f, RL_LOOKUP_MAX_TIMESTAMP, upper, &lookup), RL_OK);
            cr_assert_eq(lookup.ret_offset, start_offset + RECORDS - 1, "from %lld to %lld: %lld",
                         (long long)start_offset, (long long)upper, (long long)lookup.ret_offset);
        }
    }
    fixture_done(&f);
}

Test(log_trim, largest_time_in_one_segment)   { largest_time_after_trim(1 << 30); }
Test(log_trim, largest_time_in_many_segments) { largest_time_after_trim(1000); }

Test(log_trim, inside_a_batch_and_over_segments)
{
    struct fixture f;
    start(&f);
    fill(&f);
    uint32_t segments = count_segments(&f);
    cr_assert_gt(segments, 3);
    fixture_flush(&f);

    struct rl_log_trim trim = trim_to(&f, 4);           /* in the middle of the second batch */
    cr_assert(trim.status == RL_OK && trim.ret_log_start_offset == 4);
    cr_assert_eq(rl_log_start_offset(f.log), 4);
    cr_assert_eq(count_segments(&f), segments);
    expect_readable(&f, 3, RL_ERANGE);
    expect_readable(&f, 4, RL_OK);

    trim = trim_to(&f, 20);
    cr_assert_eq(trim.status, RL_OK);
    cr_assert_lt(count_segments(&f), segments);
    expect_readable(&f, 19, RL_ERANGE);
    expect_readable(&f, 20, RL_OK);
    trim = trim_to(&f, 10);             /* it never goes back */
    cr_assert(trim.status == RL_OK && trim.ret_log_start_offset == 20);

    fixture_crash(&f, true);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_start_offset(f.log), 20);
    cr_assert_eq(rl_log_end_offset(f.log), BATCHES * RECORDS);
    expect_readable(&f, 19, RL_ERANGE);
    expect_readable(&f, 20, RL_OK);
    fixture_done(&f);
}

Test(log_trim, everything_and_offsets_go_on)
{
    struct fixture f;
    start(&f);
    fill(&f);
    int64_t end = rl_log_end_offset(f.log);
    cr_assert_eq(trim_to(&f, end).status, RL_OK);
    cr_assert_eq(count_segments(&f), 1);
    cr_assert_eq(rl_log_start_offset(f.log), end);
    for (int restarted = 0; restarted < 2; restarted++) {
        struct batch_spec spec = { .records = 1, .producer_id = 7,
                                   .base_sequence = BATCHES * RECORDS + restarted };
        cr_assert_eq(fixture_append(&f, &spec), RL_OK); /* the producer is still known */
        fixture_flush(&f);
        cr_assert_eq(rl_log_end_offset(f.log), end + 1 + restarted);
        fixture_crash(&f, true);
        cr_assert_eq(fixture_open(&f), RL_OK);
        cr_assert_eq(rl_log_start_offset(f.log), end);
        cr_assert_eq(rl_log_end_offset(f.log), end + 1 + restarted);
    }
    fixture_done(&f);
}

Test(log_trim, several_at_a_time_each_get_their_answer)
{
    struct fixture f;
    struct rl_log_trim trims[3];
    uint32_t answered = 0;
    start(&f);
    fill(&f);
    post_trim(&f, &trims[0], 2, &answered);
    post_trim(&f, &trims[1], 30, &answered);
    post_trim(&f, &trims[2], 9, &answered);
    fixture_settle(&f);
    cr_assert_eq(answered, 3);
    for (int i = 0; i < 3; i++)
        cr_assert(trims[i].status == RL_OK && trims[i].ret_log_start_offset == 30);
    fixture_done(&f);
}

Test(log_trim, a_log_that_closes_answers)
{
    struct fixture f;
    struct rl_log_trim trim;
    uint32_t answered = 0;
    start(&f);
    fill(&f);
    post_trim(&f, &trim, 5, &answered);
    fixture_close(&f, false);
    cr_assert(answered == 1 && trim.status == RL_ESTOPPING);
    fixture_done(&f);
}

/* ---- the disk says no ---- */

static bool segment_exists(struct fixture *f, int64_t base_offset)
{
    char path[128];
    snprintf(path, sizeof path, FIXTURE_DIRECTORY "/%020lld.log", (long long)base_offset);
    return fixture_file_exists(f, path);
}

/* Files that retention could not rename before a write failed are found by the rollback.  It does not
 * bring them back: the checkpoint would name what is deleted then, and the next start refuse the log. */
Test(log_trim, a_rollback_brings_nothing_back)
{
    struct batch_spec one = { .records = 1, .value_bytes = 50, .producer_id = 9 };
    struct fixture f;
    start(&f);
    fill(&f);
    cr_assert_eq(fixture_append(&f, &one), RL_OK);  /* in a new segment */
    fixture_flush(&f);
    one.producer_id = 10;
    f.config.retention_bytes = 1500;
    rl_log_set_config(f.log, &f.config);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_RENAME, 0, RL_EIO);
    rl_log_maintain(f.log, rl_log_end_offset(f.log));
    fixture_settle(&f);
    int64_t start_offset = rl_log_start_offset(f.log);
    cr_assert_gt(start_offset, 0);
    cr_assert(segment_exists(&f, 0));
    cr_assert_eq(fixture_append(&f, &one), RL_OK);
    rl_mem_disk_fail_write(f.mem_disk, 0, 10, RL_ENOSPACE);
    fixture_settle(&f);
    cr_assert_eq(rl_log_failure(f.log), RL_ENOSPACE);
    rl_mem_advance(f.mem, 2000000000);
    fixture_settle(&f);
    cr_assert_eq(rl_log_failure(f.log), RL_OK);
    rl_log_maintain(f.log, rl_log_end_offset(f.log));
    fixture_settle(&f);
    cr_assert_eq(rl_log_start_offset(f.log), start_offset);
    cr_assert_not(segment_exists(&f, 0));
    fixture_crash(&f, false);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(rl_log_start_offset(f.log), start_offset);
    fixture_done(&f);
}

/* A deletion whose checkpoint could not be saved: the files stay, and go when they are asked to again. */
Test(log_trim, a_failed_deletion_is_made_up_for)
{
    struct fixture f;
    start(&f);
    fill(&f);
    fixture_flush(&f);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_RENAME, 0, RL_EIO);
    cr_assert_eq(trim_to(&f, 20).status, RL_EIO);
    cr_assert(segment_exists(&f, 0));
    cr_assert_eq(trim_to(&f, 20).status, RL_OK);
    cr_assert_not(segment_exists(&f, 0));
    fixture_done(&f);

    start(&f);
    fill(&f);
    fixture_flush(&f);
    f.config.retention_bytes = 1500;
    rl_log_set_config(f.log, &f.config);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_RENAME, 0, RL_EIO);
    rl_log_maintain(f.log, rl_log_end_offset(f.log));
    fixture_settle(&f);
    cr_assert(segment_exists(&f, 0));
    rl_log_maintain(f.log, rl_log_end_offset(f.log));
    fixture_settle(&f);
    cr_assert_not(segment_exists(&f, 0));
    fixture_done(&f);
}

/* ---- the disk dies ---- */

static bool run(uint64_t cut_at, bool power_cut)
{
    static const int64_t targets[] = { 5, 17, 36 };
    struct fixture f;
    int64_t sure = 0, tried = 0;
    start(&f);
    fill(&f);
    fixture_flush(&f);
    f.cut.cut_at = f.cut.calls + cut_at;
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(targets) && tried == sure; i++) {
        struct rl_log_trim trim;
        uint32_t answered = 0;
        tried = targets[i];
        post_trim(&f, &trim, tried, &answered);
        fixture_settle(&f);
        if (answered == 1 && trim.status == RL_OK && !f.cut.dead)
            sure = tried;
    }
    bool was_cut = f.cut.dead;
    fixture_crash(&f, power_cut);
    cr_assert_eq(fixture_open(&f), RL_OK, "cut at %llu", (unsigned long long)cut_at);
    int64_t now = rl_log_start_offset(f.log);
    cr_assert(now >= sure && now <= tried, "cut at %llu: start %lld", (unsigned long long)cut_at,
              (long long)now);
    cr_assert_eq(rl_log_end_offset(f.log), BATCHES * RECORDS);
    for (int64_t offset = now; offset < BATCHES * RECORDS; offset++)
        expect_readable(&f, offset, RL_OK);
    cr_assert_eq(trim_to(&f, 36).status, RL_OK);
    fixture_done(&f);
    return was_cut;
}

static void run_all(bool power_cut)
{
    uint64_t cut_at = 0;
    while (run(cut_at, power_cut))
        cut_at++;
    cr_assert_gt(cut_at, 10);
}

Test(log_trim, a_power_cut_at_any_call_keeps_what_was_answered)  { run_all(true); }
Test(log_trim, a_kill_at_any_call_keeps_what_was_answered)       { run_all(false); }

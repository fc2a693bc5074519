/* tests/log/test_log_create.c — directories of many partitions: the power goes, or a call fails, at
 * every single call.
 *
 * What was answered is there afterwards; what was not can be made again and opened; and a log that
 * was just made is opened and closed without a write. */
#include "core/memory.h"
#include "core/random.h"
#include "log_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { PARTITIONS = 12, ONE = 1 };

struct creating {
    struct rl_log_creation creations[PARTITIONS];
    uint32_t count;
};

static struct creating creating_of(const struct fixture *f, uint32_t count)
{
    struct creating c = { .count = count };

    for (uint32_t i = 0; i < count; i++) {
        c.creations[i].identity = f->identity;
        c.creations[i].identity.partition = 100 + (int32_t)i;
    }
    return c;
}

static bool create(struct fixture *f, struct creating *c)
{
    rl_status status = rl_log_create_directories(f->mem_disk, FIXTURE_DATA_DIR, c->creations, c->count);
    bool all = status == RL_OK;

    for (uint32_t i = 0; i < c->count; i++)
        all = all && (c->creations[i].status == RL_OK || c->creations[i].status == RL_EEXIST);
    return all;
}

/* Every save leaves this file, too. */
static void check_not_written(const struct fixture *f)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s-%d/leader-epoch-checkpoint", FIXTURE_DATA_DIR, f->identity.topic,
             f->identity.partition);
    cr_assert_eq(rl_disk_open(f->mem_disk, path, 0, &fd), RL_ENOTFOUND);
}

static void check_usable(struct fixture *f, struct creating *c)
{
    struct rl_log_identity before = f->identity;

    for (uint32_t i = 0; i < c->count; i++) {
        f->identity = c->creations[i].identity;
        cr_assert_eq(fixture_open(f), RL_OK);
        cr_assert_eq(rl_log_end_offset(f->log), 0);
        fixture_close(f, true);
        check_not_written(f);
        cr_assert_eq(fixture_open(f), RL_OK);
        fixture_close(f, true);
        check_not_written(f);
    }
    f->identity = before;
}

/* Call number fail_at fails, and the power goes: at once, or when the creation was asked for again. */
static bool run(uint32_t fail_at, uint32_t count, uint32_t keep_percent, bool again, bool all)
{
    struct fixture f;
    struct rl_random random;

    fixture_init(&f);
    rl_random_init(&random, fail_at * 4u + keep_percent);
    if (!all)
        rl_mem_disk_no_sync_all(f.mem_disk);
    struct creating c = creating_of(&f, count);
    rl_mem_disk_fail(f.mem_disk, RL_MEM_ANY, fail_at, RL_EIO);
    uint64_t calls = rl_mem_disk_calls(f.mem_disk, RL_MEM_ANY);
    bool told = create(&f, &c);
    bool failed = rl_mem_disk_calls(f.mem_disk, RL_MEM_ANY) - calls > fail_at;
    rl_mem_disk_heal(f.mem_disk);
    if (again) {
        cr_assert(create(&f, &c), "after a call that failed all can be made again");
        told = true;
    }
    fixture_crash(&f, false);
    rl_mem_disk_crash_torn(f.mem_disk, &random, keep_percent, NULL);
    if (told) {
        check_usable(&f, &c);           /* as it is: what was answered needs no second attempt */
    } else {
        cr_assert(create(&f, &c));
        check_usable(&f, &c);
    }
    cr_assert(create(&f, &c), "again and again");
    fixture_done(&f);
    return failed;
}

static void run_all(uint32_t count, bool all)
{
    static const uint32_t keeps[] = { 0, 50, 100 };
    uint32_t at = 0;

    for (bool failed = true; failed; at++) {
        failed = false;
        for (uint32_t k = 0; k < RL_ARRAY_COUNT(keeps); k++) {
            failed |= run(at, count, keeps[k], false, all);
            run(at, count, keeps[k], true, all);
        }
    }
    cr_assert_gt(at, 5 * count, "every call was the one");
}

Test(log_create, one_partition) { run_all(ONE, true); }
Test(log_create, many_with_one_sync) { run_all(PARTITIONS, true); }
Test(log_create, many_where_each_file_is_synced) { run_all(PARTITIONS, false); }

Test(log_create, many_need_one_sync)
{
    struct fixture f;

    fixture_init(&f);
    struct creating c = creating_of(&f, PARTITIONS);
    uint64_t syncs = rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC);
    uint64_t directories = rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC_DIRECTORY);
    cr_assert(create(&f, &c));
    cr_assert_eq(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC), syncs);
    cr_assert_eq(rl_mem_disk_calls(f.mem_disk, RL_MEM_SYNC_DIRECTORY), directories + 1);
    fixture_done(&f);
}

/* Records are there: whatever is asked, they stay. */
Test(log_create, what_was_used_is_left_alone)
{
    struct fixture f;
    struct batch_spec spec = { .records = 3 };

    fixture_init(&f);
    cr_assert_eq(fixture_open(&f), RL_OK);
    cr_assert_eq(fixture_append(&f, &spec), RL_OK);
    fixture_settle(&f);
    fixture_close(&f, true);
    cr_assert_eq(fixture_create_directory(&f), RL_EEXIST);
    f.identity.topic_id.bytes[0] ^= 1;
    cr_assert_eq(fixture_create_directory(&f), RL_ECORRUPT, "another topic's");
    f.identity.topic_id.bytes[0] ^= 1;
    cr_assert_eq(fixture_open(&f), RL_OK);
    fixture_check(&f);
    fixture_done(&f);
}

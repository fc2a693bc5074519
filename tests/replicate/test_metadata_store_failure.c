/* tests/replicate/test_metadata_store_failure.c — kills, torn groups, full and failing disks. */
#include "core/memory.h"
#include "metadata_user.h"
#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(metadata_store_failure);

/* ---- what must not come back, and what must not go ---- */

static void do_two_commits(struct rl_shard *shard, void *arg)
{
    static struct rl_metadata_op first, second;
    struct user *u = arg;
    (void)shard;
    first = put("a", "same size", 0);
    second = put("b", "same size", 0);
    rl_metadata_store_commit(u->store, &first, 1, on_committed, u);
    rl_metadata_store_commit(u->store, &second, 1, on_committed, u);
}

/* The process is killed: what it has written stays, what it wants to write now does not. */
static void user_kill(struct user *u)
{
    u->rig->cut = true;
    user_close(u);
    rig_halt(u->rig);
    rl_mem_disk_kill(u->rig->disk);
    rig_boot(u->rig, 0);
}

static void expect_only(struct user *u, const char *key)
{
    struct rl_metadata_tree all = user_list(u, "");
    cr_assert_eq(all.count, key != NULL ? 1 : 0);
    if (key != NULL)
        expect_entry(&all, key, "same size", 1);
    rl_metadata_tree_done(&all);
}

Test(metadata_store_failure, torn_group_never_comes_back)
{
    struct rig rig;
    struct user u;
    size_t bytes;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 11);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rig_call(&rig, 0, do_two_commits, &u);
    user_kill(&u);
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    data[70] ^= 1;                      /* the first record of the group is torn, the second not */
    rig_write_file(&rig, USER_PATH, data, bytes - USER_SEAL_BYTES);       /* as before its sync */
    rl_free(data);

    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    /* A record of the first one's size fits exactly before the second. */
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("c", "same size", 0) }, 1), RL_OK);
    user_kill(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "c");
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store_failure, refused_for_lack_of_space_never_comes_back)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 12);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rl_mem_disk_fail_write(rig.disk, 0, 80, RL_ENOSPACE);       /* all of the first record */
    rig_call(&rig, 0, do_two_commits, &u);
    cr_assert_eq(u.status, RL_ENOSPACE);
    user_kill(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store_failure, what_was_shown_after_a_kill_stays)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 13);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rl_mem_disk_fail(rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_EIO);
    user_kill(&u);
    /* It is in the page cache only, and a sync of this file would not change that. */
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    rig.cut = true;
    user_close(&u);
    rig_halt(&rig);
    rl_mem_disk_crash(rig.disk);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

/* The name of the file that the killed process made must last, too. */
Test(metadata_store_failure, kill_at_every_call_of_an_open_then_a_power_cut)
{
    rl_logger_set_sink(quiet, NULL);
    for (uint32_t turn = 0; turn < 8 * 20; turn++) {    /* the call itself happens or not */
        struct rig rig;
        struct user u;
        rig_init(&rig, 1, turn);
        rig_boot(&rig, 1 + turn / 8);
        (void)user_open(&u, &rig, "local:meta");
        user_kill(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
        cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_OK);
        rig.cut = true;
        user_close(&u);
        rig_halt(&rig);
        rl_mem_disk_crash(rig.disk);
        rig_boot(&rig, 0);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
        expect_only(&u, "a");
        user_close(&u);
        rig_halt(&rig);
        rig_done(&rig);
    }
}

Test(metadata_store_failure, no_space_for_a_second_file)
{
    struct rig rig;
    struct user u;
    size_t bytes;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 14);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_OK);
    user_kill(&u);
    uint8_t *data = rig_read_file(&rig, USER_PATH, &bytes);
    rig_write_file(&rig, USER_PATH, data, bytes - USER_SEAL_BYTES);
    rl_free(data);
    rl_mem_disk_fail_write(rig.disk, 0, 0, RL_ENOSPACE);        /* writing it again at open */
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("a", 1) }, 1), RL_OK);
    user_close(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

/* ---- failing disks ---- */

Test(metadata_store_failure, failed_sync_is_final)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 3);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    rl_mem_disk_fail(rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "1", 0) }, 1), RL_EIO);
    user_close(&u);
    rig_halt(&rig);
    rl_mem_disk_crash(rig.disk);

    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    struct rl_metadata_tree all = user_list(&u, "");
    cr_assert_eq(all.count, 1);
    expect_entry(&all, "a", "1", 1);
    rl_metadata_tree_done(&all);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store_failure, full_disk_heals)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 4);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    rl_mem_disk_fail_write(rig.disk, 0, 20, RL_ENOSPACE);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_ENOSPACE);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "3", 1) }, 1), RL_OK);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct rl_metadata_tree all = user_list(&u, "");
        cr_assert_eq(all.count, 1);
        expect_entry(&all, "a", "3", 2);
        rl_metadata_tree_done(&all);
        user_close(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    }
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

/* A full store says so, loses nothing, and has room again when something was removed. */
Test(metadata_store_failure, no_larger_than_a_start_can_read)
{
    struct rig rig;
    struct user u;
    char key[8], value[201];
    uint32_t stored = 0;
    rl_logger_set_sink(quiet, NULL);
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    rig_init(&rig, 1, 15);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rl_metadata_store_set_bytes_max(u.store, 1000);
    do
        snprintf(key, sizeof key, "k/%u", stored);
    while (user_commit(&u, (struct rl_metadata_op[]){ put(key, value, 0) }, 1) == RL_OK && ++stored < 100);
    cr_assert_eq(u.status, RL_EFULL);
    cr_assert_eq(stored, 4);
    /* A little more for what is there: a topic can still be marked as going. */
    value[200 - 1] = '\0';
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("k/0", value, 1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("x", "small", 0) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("k/1", 1), put(key, value, 0) }, 2), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("k/1", value, 0) }, 1), RL_EFULL);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct rl_metadata_tree all = user_list(&u, "");
        cr_assert_eq(all.count, 5);
        cr_assert_not_null(rl_metadata_tree_find(&all, rl_slice_of_string("x")));
        rl_metadata_tree_done(&all);
        user_close(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    }
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

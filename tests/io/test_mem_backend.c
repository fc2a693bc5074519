/* tests/io/test_mem_backend.c — the kernel in memory: the echo server on it, its disk's promises. */
#include "core/list.h"
#include "core/memory.h"
#include "echo.h"
#include "io/loop.h"
#include "mem_backend.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct rl_mem *mem;
static struct rl_shard_set *set;
static struct rl_disk *disk;
static struct echo_server server;

static void start(uint32_t shards)
{
    mem = rl_mem_create(1);
    disk = rl_mem_disk(mem);
    struct rl_shard_set_options options = { .shard_count = shards, .backend = &rl_backend_mem,
                                            .disk = disk };
    cr_assert_eq(rl_shard_set_create(&options, &set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(set, echo_start, &server), RL_OK);
    rl_mem_settle(set);
}

static void stop(void)
{
    rl_shard_set_stop(set);
    rl_shard_set_join(set, echo_finish, &server);
    echo_free(&server);
    rl_shard_set_free(set);
    rl_mem_free(mem);
}

static uint32_t posted_arrived;

static void on_posted(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    (void)msg;
    posted_arrived++;
}

/* Whoever stopped because of it must hear that a mailbox has room again, although no answer comes:
 * hooks run before mailboxes are published, so there is one more turn. */
Test(mem_backend, a_turn_follows_the_end_of_congestion)
{
    enum { POSTS = 5000 };              /* more than a mailbox holds */
    static struct rl_msg messages[POSTS];

    start(2);
    struct rl_shard *from = rl_shard_set_get(set, 0), *to = rl_shard_set_get(set, 1);
    rl_self = from;
    for (int i = 0; i < POSTS; i++) {
        messages[i].handle = on_posted;
        rl_shard_post(to, &messages[i]);
    }
    rl_self = NULL;
    rl_shard_step(from);
    cr_assert(rl_shard_congested(from));
    cr_assert_not(rl_loop_has_work(rl_loop_of(from)), "it sleeps until there is room");
    rl_shard_step(to);
    rl_shard_step(from);
    cr_assert_not(rl_shard_congested(from));
    cr_assert(rl_loop_has_work(rl_loop_of(from)));
    rl_mem_settle(set);
    cr_assert_eq(posted_arrived, POSTS);
    stop();
}

static void echo_rounds(uint32_t shards)
{
    enum { CLIENTS = 20 };
    struct rl_mem_client *clients[CLIENTS];
    char out[3000], in[3000];

    start(shards);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_not_null(clients[i] = rl_mem_connect(mem, server.port));
    for (int round = 0; round < 50; round++) {
        size_t bytes = (size_t)round * 60 + 1;
        memset(out, round, sizeof out);
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(rl_mem_client_send(clients[i], out, bytes), bytes);
        rl_mem_settle(set);
        for (int i = 0; i < CLIENTS; i++) {
            cr_assert_eq(rl_mem_client_receive(clients[i], in, sizeof in), bytes);
            cr_assert_eq(memcmp(in, out, bytes), 0);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert_eq(rl_mem_client_send(clients[i], "last", 4), 4);
        if (i % 3 == 0)
            rl_mem_client_reset(clients[i]);
        else
            rl_mem_client_end(clients[i]);
    }
    rl_mem_settle(set);
    uint32_t accepted = 0, open = 0;
    for (uint32_t i = 0; i < shards; i++) {
        accepted += echo_accepted(&server, i);
        open += echo_open(&server, i);
    }
    cr_assert_eq(accepted, CLIENTS);
    cr_assert_eq(open, 0);
    cr_assert_eq(rl_mem_socket_count(mem), 1);
    for (int i = 0; i < CLIENTS; i++) {
        if (i % 3 == 0)
            continue;
        cr_assert_not(rl_mem_client_ended(clients[i]));
        cr_assert_eq(rl_mem_client_receive(clients[i], in, sizeof in), 4);
        cr_assert(rl_mem_client_ended(clients[i]));
        rl_mem_client_close(clients[i]);
    }
    stop();
}

Test(mem_net, echo_one_shard)
{
    echo_rounds(1);
}

Test(mem_net, echo_four_shards)
{
    echo_rounds(4);
}

Test(mem_net, crumbs_and_a_slow_reader)
{
    uint8_t byte = 0, got[200];
    uint32_t sent = 0, received = 0;

    start(1);
    rl_mem_set_receive_max(mem, 1);
    rl_mem_set_window(mem, 100);
    struct rl_mem_client *client = rl_mem_connect(mem, server.port);
    for (; sent < 90; sent++) {
        byte = (uint8_t)sent;
        cr_assert_eq(rl_mem_client_send(client, &byte, 1), 1);
    }
    rl_mem_settle(set);
    for (; sent < 180; sent++) {
        byte = (uint8_t)sent;
        cr_assert_eq(rl_mem_client_send(client, &byte, 1), 1);
    }
    rl_mem_settle(set);
    cr_assert_eq(rl_mem_client_readable(client), 100);  /* the rest is in flight */
    while (received < 180) {
        size_t bytes = rl_mem_client_receive(client, got, sizeof got);
        cr_assert_gt(bytes, 0);
        for (size_t i = 0; i < bytes; i++)
            cr_assert_eq(got[i], (uint8_t)received++);
        rl_mem_settle(set);
    }
    rl_mem_client_close(client);
    rl_mem_settle(set);
    cr_assert_eq(echo_open(&server, 0), 0);
    stop();
}

Test(mem_net, nobody_listens)
{
    start(1);
    cr_assert_null(rl_mem_connect(mem, 1));
    stop();
}

/* ---- helpers ---- */

static int helped;

static void job_run(struct rl_op *op)
{
    cr_assert_null(rl_self);
    op->status = RL_EFULL;
}

static void job_done(struct rl_op *op)
{
    cr_assert_eq(op->status, RL_EFULL);
    helped++;
}

static struct rl_op jobs[2];

static void submit_jobs(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)msg;
    for (int i = 0; i < 2; i++) {
        jobs[i] = (struct rl_op){ .kind = RL_OP_JOB, .done = job_done, .job.run = job_run };
        rl_submit(shard, &jobs[i]);
    }
}

Test(mem_helpers, held_jobs_stay_in_flight)
{
    static struct rl_msg msg = { .handle = submit_jobs };

    start(2);
    rl_mem_hold_helpers(mem, true);
    rl_shard_post_foreign(rl_shard_set_get(set, 1), &msg);
    rl_mem_settle(set);
    cr_assert_eq(helped, 0);
    cr_assert(rl_mem_run_helper(mem));
    rl_mem_settle(set);
    cr_assert_eq(helped, 1);
    cr_assert_not(jobs[0].in_flight);
    cr_assert(jobs[1].in_flight);
    rl_mem_hold_helpers(mem, false);
    rl_mem_settle(set);
    cr_assert_eq(helped, 2);
    cr_assert_not(rl_mem_run_helper(mem));
    stop();
}

static int timer_order[3], timers_ran;

static void on_timer(struct rl_timer *timer)
{
    timer_order[timers_ran++] = *(int *)timer->arg;
}

static struct rl_timer timers[3];

static void start_timers(struct rl_shard *shard, struct rl_msg *msg)
{
    static int numbers[3] = { 0, 1, 2 };

    (void)msg;
    for (int i = 0; i < 3; i++) {
        timers[i] = (struct rl_timer){ .done = on_timer, .arg = &numbers[i] };
        rl_timer_start(shard, &timers[i], shard->now_ns + (3 - i) * 1000000);
    }
    rl_timer_stop(shard, &timers[1]);
}

Test(mem_clock, timers_run_when_time_is_moved)
{
    static struct rl_msg msg = { .handle = start_timers };

    start(1);
    rl_shard_post_foreign(rl_shard_set_get(set, 0), &msg);
    rl_mem_settle(set);
    cr_assert_eq(timers_ran, 0);
    rl_mem_advance(mem, 999999);
    rl_mem_settle(set);
    cr_assert_eq(timers_ran, 0);
    rl_mem_advance(mem, 1);
    rl_mem_settle(set);
    cr_assert_eq(timers_ran, 1);
    cr_assert_eq(timer_order[0], 2);
    rl_mem_advance(mem, 1000000000);
    rl_mem_settle(set);
    cr_assert_eq(timers_ran, 2);
    cr_assert_eq(timer_order[1], 0);
    cr_assert_not(rl_timer_running(&timers[1]));
    stop();
}

/* ---- disk ---- */

static void disk_setup(void)
{
    mem = rl_mem_create(1);
    disk = rl_mem_disk(mem);
}

static void disk_teardown(void)
{
    rl_mem_free(mem);
}

TestSuite(mem_disk, .init = disk_setup, .fini = disk_teardown);

static rl_status put(int fd, uint64_t pos, const char *text)
{
    struct iovec iov[2] = { { (void *)(uintptr_t)text, strlen(text) / 2 },
                            { (void *)(uintptr_t)(text + strlen(text) / 2),
                              strlen(text) - strlen(text) / 2 } };
    size_t written;
    rl_status status = rl_disk_write(disk, fd, pos, iov, 2, &written);

    cr_assert(status != RL_OK || written == strlen(text));
    return status;
}

static int open_file(const char *path, uint32_t flags)
{
    int fd = -1;
    cr_assert_eq(rl_disk_open(disk, path, flags, &fd), RL_OK, "%s", path);
    return fd;
}

static void expect_content(const char *path, const char *expected)
{
    char buffer[100];
    size_t bytes = 0;
    int fd = open_file(path, 0);

    cr_assert_eq(rl_disk_read(disk, fd, 0, buffer, sizeof buffer, &bytes), RL_OK);
    cr_assert_eq(bytes, strlen(expected));
    cr_assert_eq(memcmp(buffer, expected, bytes), 0);
    rl_disk_close(disk, fd);
}

Test(mem_disk, power_cut_keeps_what_was_synced)
{
    int fd;

    cr_assert_eq(rl_disk_make_directory(disk, "data"), RL_OK);
    cr_assert_eq(rl_disk_sync_directory(disk, "/"), RL_OK);
    fd = open_file("data/a", RL_OPEN_WRITE | RL_OPEN_CREATE);
    put(fd, 0, "hello");
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_sync_directory(disk, "data"), RL_OK);
    put(fd, 5, " world");
    put(fd, 0, "J");
    open_file("data/b", RL_OPEN_WRITE | RL_OPEN_CREATE);
    rl_mem_disk_kill(disk);             /* a killed process loses nothing */
    cr_assert_eq(rl_mem_disk_open_count(disk), 0);
    expect_content("data/a", "Jello world");
    expect_content("data/b", "");
    rl_mem_disk_crash(disk);
    expect_content("data/a", "hello");
    cr_assert_eq(rl_disk_open(disk, "data/b", 0, &fd), RL_ENOTFOUND);
}

Test(mem_disk, names_are_forgotten_with_their_directory)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_EXCLUSIVE);

    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_CREATE | RL_OPEN_EXCLUSIVE, &fd), RL_EEXIST);
    put(fd, 0, "x");
    rl_disk_sync(disk, fd);
    rl_disk_sync_directory(disk, ".");
    cr_assert_eq(rl_disk_rename(disk, "a", "b"), RL_OK);
    cr_assert_eq(rl_disk_open(disk, "a", 0, &fd), RL_ENOTFOUND);
    rl_mem_disk_crash(disk);
    expect_content("a", "x");
    cr_assert_eq(rl_disk_unlink(disk, "a"), RL_OK);
    rl_mem_disk_crash(disk);
    expect_content("a", "x");
    cr_assert_eq(rl_disk_unlink(disk, "a"), RL_OK);
    rl_disk_sync_directory(disk, "/");
    rl_mem_disk_crash(disk);
    cr_assert_eq(rl_disk_open(disk, "a", 0, &fd), RL_ENOTFOUND);
}

Test(mem_disk, truncation_is_durable_only_after_sync)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);

    put(fd, 0, "0123456789");
    rl_disk_sync(disk, fd);
    rl_disk_sync_directory(disk, "/");
    rl_disk_truncate(disk, fd, 4);
    rl_mem_disk_crash(disk);
    expect_content("a", "0123456789");
    fd = open_file("a", RL_OPEN_WRITE);
    rl_disk_truncate(disk, fd, 4);
    put(fd, 4, "ab");
    rl_disk_sync(disk, fd);
    rl_mem_disk_crash(disk);
    expect_content("a", "0123ab");
}

Test(mem_disk, a_failed_sync_loses_its_data_for_good)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);

    rl_disk_sync_directory(disk, "/");
    put(fd, 0, "abc");
    rl_mem_disk_fail(disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_EIO);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);        /* the lie that must not be believed */
    expect_content("a", "abc");
    rl_mem_disk_crash(disk);
    char buffer[8];
    size_t bytes;
    fd = open_file("a", 0);
    cr_assert_eq(rl_disk_read(disk, fd, 0, buffer, sizeof buffer, &bytes), RL_OK);
    cr_assert(bytes == 3 && memcmp(buffer, "\0\0\0", 3) == 0);  /* the size came, the data not */
}

static void expect_device(const char *path, const char *content, size_t size)
{
    char buffer[64];
    size_t bytes;
    int fd = open_file(path, RL_OPEN_DEVICE);

    cr_assert_eq(rl_disk_read_device(disk, fd, 0, buffer, sizeof buffer, &bytes), RL_OK);
    cr_assert_eq(bytes, size);
    cr_assert(size == 0 || memcmp(buffer, content, size) == 0);
    rl_disk_close(disk, fd);
}

Test(mem_disk, the_device_has_what_was_synced)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);

    put(fd, 0, "abc");
    expect_device("a", "", 0);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    put(fd, 2, "xyz");
    expect_device("a", "abc", 3);
    rl_mem_disk_fail_sync(disk, 0, 2, RL_EIO);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_EIO);
    expect_content("a", "abxyz");
    expect_device("a", "abxy", 4);                      /* the first two of them */
    put(fd, 5, "!");
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    expect_content("a", "abxyz!");
    expect_device("a", "abxy\0!", 6);                   /* what was lost is not written again */
    rl_mem_disk_fail(disk, RL_MEM_READ_DEVICE, 0, RL_EIO);
    char buffer[4];
    size_t bytes;
    int device = open_file("a", RL_OPEN_DEVICE);
    cr_assert_eq(rl_disk_read_device(disk, device, 0, buffer, 4, &bytes), RL_EIO);
    cr_assert_eq(rl_disk_read_device(disk, device, 4, buffer, 4, &bytes), RL_OK);
    cr_assert(bytes == 2 && memcmp(buffer, "\0!", 2) == 0);
}

Test(mem_disk, a_sync_of_a_file_without_a_name_is_told)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);

    cr_assert_eq(rl_disk_rename(disk, "a", "b"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_sync_directory(disk, "/"), RL_OK);
    cr_assert_eq(rl_disk_unlink(disk, "b"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_ENOTFOUND);
    open_file("c", RL_OPEN_WRITE | RL_OPEN_CREATE);
    cr_assert_eq(rl_disk_rename(disk, "c", "d"), RL_OK);
    int other = open_file("e", RL_OPEN_WRITE | RL_OPEN_CREATE);
    cr_assert_eq(rl_disk_rename(disk, "d", "e"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, other), RL_ENOTFOUND);
}

Test(mem_disk, the_nth_call_fails_once)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);

    rl_mem_disk_fail(disk, RL_MEM_WRITE, 1, RL_EIO);
    cr_assert_eq(put(fd, 0, "abc"), RL_OK);
    cr_assert_eq(put(fd, 0, "xyz"), RL_EIO);
    cr_assert_eq(put(fd, 3, "def"), RL_OK);
    expect_content("a", "abcdef");
    rl_mem_disk_fail_write(disk, 0, 2, RL_ENOSPACE);
    cr_assert_eq(put(fd, 0, "XYZ"), RL_ENOSPACE);
    expect_content("a", "XYcdef");
    rl_mem_disk_fail(disk, RL_MEM_ANY, 2, RL_EMFILE);
    cr_assert_eq(put(fd, 0, "ab"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_open(disk, "a", 0, &fd), RL_EMFILE);
    cr_assert_eq(rl_disk_open(disk, "a", 0, &fd), RL_OK);
}

Test(mem_disk, a_full_disk_cuts_writes_short)
{
    struct iovec iov = { (void *)(uintptr_t)"0123456789", 10 };
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);
    uint64_t left, total;
    size_t written;

    rl_mem_disk_set_capacity(disk, 15);
    cr_assert_eq(rl_disk_write(disk, fd, 0, &iov, 1, &written), RL_OK);
    cr_assert_eq(rl_disk_write(disk, fd, 10, &iov, 1, &written), RL_ENOSPACE);
    cr_assert_eq(written, 5);
    cr_assert_eq(rl_disk_free_bytes(disk, "/", &left, &total), RL_OK);
    cr_assert_eq(left, 0);
    cr_assert_eq(rl_disk_write(disk, fd, 0, &iov, 1, &written), RL_OK);     /* in place */
    cr_assert_eq(rl_disk_unlink(disk, "a"), RL_OK);
    rl_disk_close(disk, fd);
    rl_disk_free_bytes(disk, "/", &left, &total);
    cr_assert_eq(left, 15);
}

static void count_entry(void *arg, const char *name, bool directory)
{
    uint32_t *counts = arg;
    counts[directory]++;
    cr_assert(strcmp(name, "d") == 0 || name[0] == 'f');
}

Test(mem_disk, directories_list_lock_and_refuse)
{
    uint32_t counts[2] = { 0, 0 };
    char before[64], after[64];
    int lock, fd;

    cr_assert_eq(rl_disk_make_directory(disk, "d"), RL_OK);
    cr_assert_eq(rl_disk_make_directory(disk, "d"), RL_EEXIST);
    cr_assert_eq(rl_disk_make_directory(disk, "x/y"), RL_ENOTFOUND);
    open_file("f1", RL_OPEN_CREATE);
    open_file("f2", RL_OPEN_CREATE);
    open_file("d/f3", RL_OPEN_CREATE);
    cr_assert_eq(rl_disk_list(disk, "/", count_entry, counts), RL_OK);
    cr_assert(counts[0] == 2 && counts[1] == 1);
    cr_assert_eq(rl_disk_remove_directory(disk, "d"), RL_EEXIST);
    cr_assert_eq(rl_disk_unlink(disk, "d"), RL_EINVAL);
    cr_assert_eq(rl_disk_list(disk, "f1", count_entry, counts), RL_EINVAL);
    cr_assert_eq(rl_disk_unlink(disk, "/d//./f3"), RL_OK);
    cr_assert_eq(rl_disk_remove_directory(disk, "d"), RL_OK);

    cr_assert_eq(rl_disk_lock(disk, ".lock", &lock), RL_OK);
    cr_assert_eq(rl_disk_lock(disk, ".lock", &fd), RL_EBUSY);
    rl_disk_close(disk, lock);
    cr_assert_eq(rl_disk_lock(disk, ".lock", &lock), RL_OK);
    rl_disk_identity(disk, "/", before, sizeof before);
    rl_mem_disk_kill(disk);
    rl_disk_identity(disk, "/", after, sizeof after);
    cr_assert_str_eq(before, after);
    cr_assert_eq(rl_disk_lock(disk, ".lock", &lock), RL_OK);
    rl_mem_disk_crash(disk);
    rl_disk_identity(disk, "/", after, sizeof after);
    cr_assert_str_neq(before, after);
}

Test(mem_disk, residency_is_settable)
{
    int fd = open_file("a", RL_OPEN_WRITE | RL_OPEN_CREATE);
    char buffer[8];
    size_t bytes;

    put(fd, 0, "abcd");
    cr_assert_eq(rl_disk_try_read(disk, fd, 2, buffer, 8, &bytes), RL_OK);
    cr_assert_eq(bytes, 2);
    rl_mem_disk_set_resident(disk, false);
    cr_assert_eq(rl_disk_try_read(disk, fd, 2, buffer, 8, &bytes), RL_EBUSY);
    cr_assert_eq(rl_disk_read(disk, fd, 9, buffer, 8, &bytes), RL_OK);
    cr_assert_eq(bytes, 0);
}

/* tests/io/test_send_file.c — bytes of a file reach a socket, whatever the reader does.
 *
 * A real kernel, a real TCP connection, a real file; every case by every method, over each
 * backend. */
#include "core/memory.h"
#include "core/random.h"
#include "io/send_path.h"
#include "remote.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)9 << 20)
#define MANY 40                         /* more than there are pipes */

static const enum rl_send_path methods[] = { RL_SEND_SENDFILE, RL_SEND_SPLICE };

static struct rl_shard_set *set;
static struct rl_shard *shard;
static int file;
static uint8_t *content, *got;

struct ends {
    int ours, theirs;
};

static void setup(void)
{
    struct rl_random random;
    char path[64];

    content = rl_alloc(FILE_BYTES);
    got = rl_alloc(FILE_BYTES);
    rl_random_init(&random, 7);
    rl_random_fill(&random, content, FILE_BYTES);
    snprintf(path, sizeof path, "send_file.%d", (int)getpid());
    file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unlink(path);
    cr_assert_eq(pwrite(file, content, FILE_BYTES, 0), (ssize_t)FILE_BYTES);
    set = remote_set(1, remote_backend());
    cr_assert_eq(rl_shard_set_start(set, NULL, NULL), RL_OK);
    shard = rl_shard_set_get(set, 0);
}

static void teardown(void)
{
    remote_end(set, NULL, NULL);
    close(file);
    rl_free(content);
    rl_free(got);
}

TestSuite(send_file, .init = setup, .fini = teardown, .timeout = 60);

/* receive_bytes: of our end's buffer, 0: the kernel's. */
static struct ends connect_ends(int receive_bytes)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof address;
    struct ends ends;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&address, &bytes);
    ends.ours = socket(AF_INET, SOCK_STREAM, 0);
    if (receive_bytes > 0)
        setsockopt(ends.ours, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    cr_assert_eq(connect(ends.ours, (struct sockaddr *)&address, sizeof address), 0);
    ends.theirs = accept(listener, NULL, NULL);
    close(listener);
    return ends;
}

static void disconnect(struct ends ends)
{
    close(ends.ours);
    close(ends.theirs);
}

static void read_exactly(int fd, uint8_t *to, size_t bytes, size_t piece)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, to + done, RL_MIN(piece, bytes - done));
        cr_assert_gt(n, 0, "%zu of %zu: %s", done, bytes, strerror(errno));
        done += (size_t)n;
    }
}

static struct remote_op file_op(int fd, enum rl_send_path method, uint64_t pos, size_t bytes)
{
    return (struct remote_op){ .op = { .kind = RL_OP_SEND_FILE, .fd = fd,
                                       .send_file = { .file = file, .method = method, .pos = pos,
                                                      .bytes = bytes } } };
}

static void expect_sent(struct ends ends, enum rl_send_path method, uint64_t pos, size_t bytes,
                        size_t piece)
{
    struct remote_op send = file_op(ends.theirs, method, pos, bytes);

    remote_submit(shard, &send);
    read_exactly(ends.ours, got, bytes, piece);
    remote_wait(&send);
    cr_assert_eq(send.op.status, RL_OK);
    cr_assert_eq(send.op.ret_bytes, bytes);
    cr_assert_eq(memcmp(got, content + pos, bytes), 0);
}

Test(send_file, any_range_byte_for_byte)
{
    const size_t sizes[] = { 1, 4095, 4096, 65537, (1 << 20) - 1, 1 << 20, (3 << 20) + 7 };
    const uint64_t places[] = { 0, 1, 4095, 123457 };
    struct ends ends = connect_ends(0);

    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++)
        for (size_t s = 0; s < RL_ARRAY_COUNT(sizes); s++)
            for (size_t p = 0; p < RL_ARRAY_COUNT(places); p++)
                expect_sent(ends, methods[m], places[p], sizes[s], SIZE_MAX);
    disconnect(ends);
}

Test(send_file, a_slow_reader_gets_it_all)
{
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        struct ends ends = connect_ends(4096);
        expect_sent(ends, methods[m], 3, (3 << 20) + 7, 3001);
        disconnect(ends);
    }
}

Test(send_file, many_slow_readers_at_once)
{
    enum { BYTES = 700001, PIECE = 50021 };
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        static struct ends ends[MANY];
        static struct remote_op sends[MANY];
        for (size_t i = 0; i < MANY; i++) {
            ends[i] = connect_ends(4096);
            sends[i] = file_op(ends[i].theirs, methods[m], i, BYTES);
            remote_submit(shard, &sends[i]);
        }
        for (size_t at = 0; at < BYTES; at += PIECE) {
            size_t bytes = RL_MIN((size_t)PIECE, BYTES - at);
            for (size_t i = 0; i < MANY; i++) {
                read_exactly(ends[i].ours, got, bytes, SIZE_MAX);
                cr_assert_eq(memcmp(got, content + i + at, bytes), 0, "reader %zu at %zu", i, at);
            }
        }
        for (size_t i = 0; i < MANY; i++) {
            remote_wait(&sends[i]);
            cr_assert_eq(sends[i].op.status, RL_OK);
            disconnect(ends[i]);
        }
    }
}

Test(send_file, a_reader_that_leaves_ends_it)
{
    const size_t points[] = { 0, 1, 1000, 65536, 300001, 3000000 };
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        for (size_t p = 0; p < 2 * RL_ARRAY_COUNT(points); p++) {
            struct linger reset = { .l_onoff = p % 2 };
            struct ends ends = connect_ends(4096);
            struct remote_op send = file_op(ends.theirs, methods[m], 0, FILE_BYTES);
            remote_submit(shard, &send);
            read_exactly(ends.ours, got, points[p / 2], SIZE_MAX);
            setsockopt(ends.ours, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(ends.ours);
            remote_wait(&send);
            cr_assert_neq(send.op.status, RL_OK);
            cr_assert_lt(send.op.ret_bytes, FILE_BYTES);
            close(ends.theirs);
        }
    }
}

Test(send_file, a_file_that_is_too_short_is_an_error)
{
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        struct ends ends = connect_ends(0);
        struct remote_op send = file_op(ends.theirs, methods[m], FILE_BYTES - 5000, 5001);
        remote_submit(shard, &send);
        remote_wait(&send);
        cr_assert_eq(send.op.status, RL_EIO);
        disconnect(ends);
    }
}

Test(send_file, bytes_that_are_on_the_disk_only)
{
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        struct ends ends = connect_ends(0);
        cr_assert_eq(fsync(file), 0);
        cr_assert_eq(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
        expect_sent(ends, methods[m], 4097, (5 << 20) + 1, SIZE_MAX);
        disconnect(ends);
    }
}

Test(send_file, shutdown_and_cancel_end_it)
{
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        struct ends ends = connect_ends(4096);
        struct remote_op send = file_op(ends.theirs, methods[m], 0, FILE_BYTES);
        remote_submit(shard, &send);
        read_exactly(ends.ours, got, 100000, SIZE_MAX);
        remote_run(shard, remote_cancel_here, &send);
        remote_wait(&send);
        cr_assert_eq(send.op.status, RL_ECANCELLED);
        disconnect(ends);

        ends = connect_ends(4096);
        send = file_op(ends.theirs, methods[m], 0, FILE_BYTES);
        remote_submit(shard, &send);
        read_exactly(ends.ours, got, 100000, SIZE_MAX);
        shutdown(ends.theirs, SHUT_RDWR);
        remote_wait(&send);
        cr_assert_neq(send.op.status, RL_OK);
        disconnect(ends);
    }
}

/* The socket is non-blocking only around the calls: a receive that waits all the time, and sends
 * before and after, notice nothing. */
Test(send_file, other_operations_of_the_socket_go_on)
{
    for (size_t m = 0; m < RL_ARRAY_COUNT(methods); m++) {
        struct ends ends = connect_ends(4096);
        char text[4] = { 0 };
        struct iovec iov = { (void *)(uintptr_t)"head", 4 };
        struct remote_op receive = { .op = { .kind = RL_OP_RECEIVE_INTO, .fd = ends.theirs,
                                             .into = { text, sizeof text } } };
        struct remote_op head = { .op = { .kind = RL_OP_SEND, .fd = ends.theirs,
                                          .send = { .iov = &iov, .iov_count = 1, .more = true } } };
        remote_submit(shard, &receive);
        remote_submit(shard, &head);
        remote_wait(&head);
        struct remote_op send = file_op(ends.theirs, methods[m], 11, 2000003);
        remote_submit(shard, &send);
        read_exactly(ends.ours, got, 4, SIZE_MAX);
        cr_assert_eq(memcmp(got, "head", 4), 0);
        read_exactly(ends.ours, got, 2000003, 70001);
        remote_wait(&send);
        cr_assert_eq(memcmp(got, content + 11, 2000003), 0);
        cr_assert_eq(write(ends.ours, "tail", 4), 4);
        remote_wait(&receive);
        cr_assert_eq(receive.op.status, RL_OK);
        cr_assert_eq(memcmp(text, "tail", 4), 0);
        disconnect(ends);
    }
}

/* ---- SEND without a copy ---- */

Test(send_file, without_a_copy_byte_for_byte)
{
    struct ends ends = connect_ends(4096);
    struct iovec iov[2] = { { content, 100001 }, { content + 100001, 3000000 } };

    for (int count = 1; count <= 2; count++) {
        struct remote_op send = { .op = { .kind = RL_OP_SEND, .fd = ends.theirs,
                                          .send = { .iov = iov, .iov_count = count,
                                                    .zero_copy = true } } };
        size_t bytes = count == 1 ? iov[0].iov_len : iov[0].iov_len + iov[1].iov_len;
        remote_submit(shard, &send);
        read_exactly(ends.ours, got, bytes, 40001);
        remote_wait(&send);
        cr_assert_eq(send.op.status, RL_OK);
        cr_assert_eq(send.op.ret_bytes, bytes);
        cr_assert_eq(memcmp(got, content, bytes), 0);
    }
    disconnect(ends);
}

Test(send_file, without_a_copy_to_nobody_ends_by_cancel)
{
    struct ends ends = connect_ends(4096);
    struct iovec iov = { content, FILE_BYTES };
    struct remote_op send = { .op = { .kind = RL_OP_SEND, .fd = ends.theirs,
                                      .send = { .iov = &iov, .iov_count = 1, .zero_copy = true } } };

    remote_submit(shard, &send);
    read_exactly(ends.ours, got, 1000, SIZE_MAX);
    remote_run(shard, remote_cancel_here, &send);
    remote_wait(&send);
    cr_assert_neq(send.op.status, RL_OK);
    disconnect(ends);
}

/* ---- which path ---- */

Test(send_path, names_and_the_cheapest)
{
    struct rl_send_costs costs = { .measured = false };
    enum rl_send_path path;

    for (int i = 0; i < RL_SEND_PATHS; i++) {
        cr_assert_eq(rl_send_path_parse(rl_send_path_name((enum rl_send_path)i), &path), RL_OK);
        cr_assert_eq((int)path, i);
    }
    cr_assert_eq(rl_send_path_parse("mmap", &path), RL_EINVAL);
    cr_assert_eq(rl_send_path_best(&costs, true), RL_SEND_READ);
    costs = (struct rl_send_costs){ .measured = true,
                                    .of = { [RL_SEND_READ] = { 200, 300 },
                                            [RL_SEND_SENDFILE] = { 190, 290 },
                                            [RL_SEND_SPLICE] = { 100, 900 } } };
    cr_assert_eq(rl_send_path_best(&costs, true), RL_SEND_SENDFILE);
    cr_assert_eq(rl_send_path_best(&costs, false), RL_SEND_SPLICE);
    costs.of[RL_SEND_READ] = (struct rl_send_cost){ 50, 100 };
    cr_assert_eq(rl_send_path_best(&costs, true), RL_SEND_READ);
}

Test(send_path, is_measured_once)
{
    struct rl_send_costs first, second;

    cr_assert_eq(rl_send_path_measure(&first), RL_OK);
    cr_assert_eq(rl_send_path_measure(&second), RL_OK);
    cr_assert_eq(memcmp(&first, &second, sizeof first), 0);
    cr_assert_gt(first.of[RL_SEND_SPLICE].sender_ns, 0);
    cr_assert_gt(first.of[RL_SEND_READ].both_ns, first.of[RL_SEND_READ].sender_ns);
}

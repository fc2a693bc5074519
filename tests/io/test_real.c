/* tests/io/test_real.c — the real kernel, with 1 and with 4 shards: sockets over loopback.  Runs
 * once over each backend (remote_backend). */
#include "core/memory.h"
#include "core/random.h"
#include "echo.h"
#include "io/limits.h"
#include "remote.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void read_exactly(int fd, void *buffer, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = read(fd, (char *)buffer + done, bytes - done);
        cr_assert_gt(got, 0, "%zu of %zu: %zd %s", done, bytes, got, strerror(errno));
        done += (size_t)got;
    }
}

ParameterizedTestParameters(real, echo)
{
    static uint32_t shards[] = { 1, 4 };
    return cr_make_param_array(uint32_t, shards, RL_ARRAY_COUNT(shards));
}

ParameterizedTest(uint32_t *shards, real, echo)
{
    enum { CLIENTS = 20, ROUNDS = 50 };
    struct rl_shard_set *set = remote_set(*shards, remote_backend());
    struct echo_server server = { 0 };
    int fds[CLIENTS];
    char out[3000], in[3000];

    cr_assert_eq(rl_shard_set_start(set, echo_start, &server), RL_OK);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = connect_to(server.port);
    for (int round = 0; round < ROUNDS; round++) {
        size_t bytes = (size_t)round * 60 + 1;
        memset(out, round, sizeof out);
        for (int i = 0; i < CLIENTS; i++)
            cr_assert_eq(write(fds[i], out, bytes), (ssize_t)bytes);
        for (int i = 0; i < CLIENTS; i++) {
            read_exactly(fds[i], in, bytes);
            cr_assert_eq(memcmp(in, out, bytes), 0);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {     /* what was sent before the end comes back */
        cr_assert_eq(write(fds[i], "last", 4), 4);
        shutdown(fds[i], SHUT_WR);
        read_exactly(fds[i], in, 4);
        cr_assert_eq(read(fds[i], in, 1), 0);
        close(fds[i]);
    }
    rl_shard_set_stop(set);
    rl_shard_set_join(set, echo_finish, &server);
    uint32_t accepted = 0, open = 0;
    for (uint32_t i = 0; i < *shards; i++) {
        accepted += echo_accepted(&server, i);
        open += echo_open(&server, i);
    }
    cr_assert_eq(accepted, CLIENTS);
    cr_assert_eq(open, 0);
    echo_free(&server);
    rl_shard_set_free(set);
}

/* ---- one shard, one socket pair: the operations one by one ---- */

static struct rl_shard_set *set;
static struct rl_shard *shard;
static int ours, theirs;                /* the test's end, the shard's end */

static void pair_setup(void)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    set = remote_set(1, remote_backend());
    cr_assert_eq(rl_shard_set_start(set, NULL, NULL), RL_OK);
    shard = rl_shard_set_get(set, 0);
}

static void pair_teardown(void)
{
    remote_end(set, NULL, NULL);
    close(ours);
    close(theirs);
}

TestSuite(ops, .init = pair_setup, .fini = pair_teardown);

struct collected {
    struct rl_op op;
    sem_t event;
    char data[256];
    size_t bytes;
};

static void collect(struct rl_op *op)
{
    struct collected *c = op->arg;

    if (op->more) {
        memcpy(c->data + c->bytes, op->ret_data, op->ret_bytes);
        c->bytes += op->ret_bytes;
    }
    sem_post(&c->event);
}

static void collected_wait(struct collected *c)
{
    while (sem_wait(&c->event) != 0)
        ;
}

static void collected_submit(struct rl_shard *on, void *arg)
{
    struct collected *c = arg;

    c->op = (struct rl_op){ .kind = RL_OP_RECEIVE, .fd = theirs, .done = collect, .arg = c };
    rl_submit(on, &c->op);
}

static void collected_cancel(struct rl_shard *on, void *arg)
{
    rl_cancel(on, &((struct collected *)arg)->op);
}

Test(ops, cancel_a_multishot_receive_then_receive_into)
{
    struct collected c = { .bytes = 0 };
    char buffer[100];

    sem_init(&c.event, 0, 0);
    remote_run(shard, collected_submit, &c);
    cr_assert_eq(write(ours, "one", 3), 3);
    collected_wait(&c);
    cr_assert(c.op.more && c.bytes == 3);
    remote_run(shard, collected_cancel, &c);
    collected_wait(&c);
    cr_assert_not(c.op.more);
    cr_assert_not(c.op.in_flight);
    cr_assert_eq(c.op.status, RL_ECANCELLED);
    cr_assert_eq(write(ours, "two", 3), 3);

    struct remote_op into = { .op = { .kind = RL_OP_RECEIVE_INTO, .fd = theirs,
                                      .into = { buffer, sizeof buffer } } };
    remote_submit(shard, &into);
    remote_wait(&into);
    cr_assert_eq(into.op.status, RL_OK);
    cr_assert_eq(into.op.ret_bytes, 3);
    cr_assert_eq(memcmp(buffer, "two", 3), 0);

    remote_submit(shard, &into);        /* one that waits, and is cancelled */
    remote_run(shard, remote_cancel_here, &into);
    remote_wait(&into);
    cr_assert_eq(into.op.status, RL_ECANCELLED);

    remote_submit(shard, &into);
    shutdown(ours, SHUT_WR);
    remote_wait(&into);
    cr_assert_eq(into.op.status, RL_ECLOSED);
    remote_run(shard, collected_submit, &c);
    collected_wait(&c);
    cr_assert_eq(c.op.status, RL_ECLOSED);
    cr_assert_not(c.op.more);
}

Test(ops, a_slow_reader_keeps_a_big_send_in_flight_until_all_is_sent)
{
    enum { PIECES = 1000, PIECE = 10007 };
    struct iovec iov[PIECES];
    uint8_t *data = rl_alloc(PIECES * PIECE), *got = rl_alloc(PIECES * PIECE);
    struct rl_random random;

    rl_random_init(&random, 1);
    rl_random_fill(&random, data, PIECES * PIECE);
    for (int i = 0; i < PIECES; i++)
        iov[i] = (struct iovec){ data + i * PIECE, PIECE };
    struct remote_op send = { .op = { .kind = RL_OP_SEND, .fd = theirs, .send = { iov, PIECES } } };
    remote_submit(shard, &send);
    read_exactly(ours, got, 100000);
    int value;
    sem_getvalue(&send.event, &value);
    cr_assert_eq(value, 0);             /* 9.9 MB do not fit any socket buffer */
    read_exactly(ours, got + 100000, PIECES * PIECE - 100000);
    remote_wait(&send);
    cr_assert_eq(send.op.status, RL_OK);
    cr_assert_eq(send.op.ret_bytes, PIECES * PIECE);
    cr_assert_eq(memcmp(data, got, PIECES * PIECE), 0);

    send.op.send.iov_count = 1;         /* one piece is another opcode */
    iov[0].iov_len = PIECES * PIECE;
    remote_submit(shard, &send);
    read_exactly(ours, got, PIECES * PIECE);
    remote_wait(&send);
    cr_assert_eq(send.op.ret_bytes, PIECES * PIECE);

    remote_submit(shard, &send);        /* and nobody reads at all */
    remote_run(shard, remote_cancel_here, &send);
    remote_wait(&send);
    cr_assert_eq(send.op.status, RL_ECANCELLED);
    rl_free(data);
    rl_free(got);
}

/* The number of a closed descriptor is the next one's at once: nothing of the old may be believed. */
Test(ops, a_number_used_again_is_another_socket)
{
    for (int round = 0; round < 5; round++) {
        struct collected c = { .bytes = 0 };
        int pair[2];
        sem_init(&c.event, 0, 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        cr_assert_eq(dup2(pair[1], theirs), theirs);
        close(pair[1]);
        remote_run(shard, collected_submit, &c);        /* which waits */
        usleep(2000);
        cr_assert_eq(write(pair[0], "word", 4), 4);
        collected_wait(&c);
        cr_assert_eq(c.bytes, 4);
        close(pair[0]);
        collected_wait(&c);
        cr_assert_eq(c.op.status, RL_ECLOSED);
    }
}

Test(ops, a_patient_receive_waits_for_all_and_ends_early_at_the_end)
{
    char buffer[1000];
    struct remote_op into = { .op = { .kind = RL_OP_RECEIVE_INTO, .fd = theirs,
                                      .into = { buffer, sizeof buffer, .patient = true } } };
    char piece[250];

    memset(piece, 'p', sizeof piece);
    for (int end = 0; end < 2; end++) {
        remote_submit(shard, &into);
        for (int i = 0; i < 4 - end; i++) {
            usleep(2000);
            cr_assert_eq(write(ours, piece, sizeof piece), (ssize_t)sizeof piece);
        }
        if (end)
            shutdown(ours, SHUT_WR);
        remote_wait(&into);
        cr_assert_eq(into.op.status, RL_OK);
        cr_assert_eq(into.op.ret_bytes, sizeof buffer - (size_t)end * sizeof piece);
    }
    remote_submit(shard, &into);
    remote_wait(&into);
    cr_assert_eq(into.op.status, RL_ECLOSED);
}

/* Whoever cancels from within done may use the struct again from within the last one. */
static void cancels_itself(struct rl_op *op)
{
    struct collected *c = op->arg;

    if (op->kind == RL_OP_RECEIVE && op->more) {
        rl_cancel(op->home, op);
    } else if (op->kind == RL_OP_RECEIVE) {
        *op = (struct rl_op){ .kind = RL_OP_RECEIVE_INTO, .fd = theirs, .done = cancels_itself,
                              .arg = c, .into = { .buffer = c->data, .bytes = sizeof c->data } };
        rl_submit(rl_self, op);
        sem_post(&c->event);
    } else {
        c->bytes = op->ret_bytes;
        sem_post(&c->event);
    }
}

static void cancels_itself_here(struct rl_shard *on, void *arg)
{
    struct collected *c = arg;

    c->op = (struct rl_op){ .kind = RL_OP_RECEIVE, .fd = theirs, .done = cancels_itself, .arg = c };
    rl_submit(on, &c->op);
}

Test(ops, cancelled_from_within_its_own_done)
{
    for (int round = 0; round < 20; round++) {
        struct collected c = { .bytes = 0 };
        sem_init(&c.event, 0, 0);
        remote_run(shard, cancels_itself_here, &c);
        cr_assert_eq(write(ours, "one", 3), 3);
        collected_wait(&c);             /* "three" must not come with "one", however slow we are */
        cr_assert_eq(write(ours, "three", 5), 5);
        collected_wait(&c);
        cr_assert_eq(c.bytes, 5);
    }
}

static void shutdown_theirs(struct rl_shard *on, void *arg)
{
    (void)arg;
    rl_socket_shutdown(on, theirs);
}

Test(ops, shutdown_ends_what_is_in_flight)
{
    static char big[4000000];
    struct iovec iov = { big, sizeof big };
    struct collected c = { .bytes = 0 };
    struct remote_op send = { .op = { .kind = RL_OP_SEND, .fd = theirs, .send = { &iov, 1 } } };

    sem_init(&c.event, 0, 0);
    remote_run(shard, collected_submit, &c);
    remote_submit(shard, &send);
    remote_run(shard, shutdown_theirs, NULL);
    collected_wait(&c);
    remote_wait(&send);
    cr_assert_eq(c.op.status, RL_ECLOSED);
    cr_assert_neq(send.op.status, RL_OK);
}

Test(ops, a_peer_that_is_gone_is_an_error_not_a_signal)
{
    char byte = 1;
    struct iovec iov = { &byte, 1 };
    struct remote_op send = { .op = { .kind = RL_OP_SEND, .fd = theirs, .send = { &iov, 1 } } };

    shutdown(ours, SHUT_RD);
    remote_submit(shard, &send);
    remote_wait(&send);
    cr_assert_eq(send.op.status, RL_ECLOSED);
}

/* procfs has neither splice nor a page cache: the bytes are copied, and loaded only once. */
Test(ops, send_file_where_the_file_system_cannot_splice)
{
    const enum rl_send_path methods[] = { RL_SEND_SENDFILE, RL_SEND_SPLICE };
    char expected[40], got[sizeof expected];
    int file = open("/proc/version", O_RDONLY | O_CLOEXEC);

    cr_assert_eq(pread(file, expected, sizeof expected, 3), (ssize_t)sizeof expected);
    for (size_t i = 0; i < RL_ARRAY_COUNT(methods); i++) {
        struct remote_op send = { .op = { .kind = RL_OP_SEND_FILE, .fd = theirs,
                                          .send_file = { .file = file, .method = methods[i],
                                                         .pos = 3, .bytes = sizeof expected } } };
        remote_submit(shard, &send);
        read_exactly(ours, (uint8_t *)got, sizeof got);
        remote_wait(&send);
        cr_assert_eq(send.op.status, RL_OK);
        cr_assert_eq(send.op.ret_bytes, sizeof expected);
        cr_assert_eq(memcmp(got, expected, sizeof got), 0);
    }
    close(file);
}

/* More receives in one turn than there are slots: each gets its bytes, some by RL_EBUSY. */
enum { MANY = 300 };
static int many_fds[MANY][2];
static struct collected many[MANY];

static void many_done(struct rl_op *op)
{
    if (!op->more && op->status == RL_EBUSY)
        rl_submit(op->home, op);
    else
        collect(op);
}

static void many_submit(struct rl_shard *on, void *arg)
{
    (void)arg;
    for (int i = 0; i < MANY; i++) {
        many[i].op = (struct rl_op){ .kind = RL_OP_RECEIVE, .fd = many_fds[i][1],
                                     .done = many_done, .arg = &many[i] };
        rl_submit(on, &many[i].op);
    }
}

Test(ops, more_receives_than_slots)
{
    for (int i = 0; i < MANY; i++) {
        sem_init(&many[i].event, 0, 0);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, many_fds[i]), 0);
        cr_assert_eq(write(many_fds[i][0], &i, sizeof i), sizeof i);
    }
    remote_run(shard, many_submit, NULL);
    for (int i = 0; i < MANY; i++) {
        int number = 0;
        collected_wait(&many[i]);
        memcpy(&number, many[i].data, sizeof number);
        cr_assert_eq(many[i].bytes, sizeof i);
        cr_assert_eq(number, i);
        close(many_fds[i][0]);
        collected_wait(&many[i]);
        cr_assert_eq(many[i].op.status, RL_ECLOSED);
        close(many_fds[i][1]);
    }
}

/* ---- connect ---- */

static rl_status connect_status(const char *host, uint16_t port, int *ret_fd)
{
    struct remote_op connect = { .op = { .kind = RL_OP_CONNECT, .connect = { host, port } } };

    remote_submit(shard, &connect);
    remote_wait(&connect);
    *ret_fd = connect.op.ret_fd;
    return connect.op.status;
}

struct listener {
    const char *host;
    int fd;
    uint16_t port;
    rl_status status;
};

static void listen_here(struct rl_shard *on, void *arg)
{
    struct listener *listener = arg;
    listener->status = rl_socket_listen(on, listener->host, listener->port, 16, &listener->fd,
                                        &listener->port);
}

Test(ops, connect_by_literal_and_by_name)
{
    struct listener listener = { .host = "" };
    struct sockaddr_storage peer;
    socklen_t bytes = sizeof peer;
    char host[RL_HOST_BYTES];
    uint16_t port;
    int fd;

    remote_run(shard, listen_here, &listener);
    cr_assert_eq(listener.status, RL_OK);
    cr_assert_eq(connect_status("127.0.0.1", listener.port, &fd), RL_OK);
    int accepted = accept(listener.fd, (struct sockaddr *)&peer, &bytes);
    shard->backend->socket_address(shard, accepted, false, host, sizeof host, &port);
    cr_assert_str_eq(host, "127.0.0.1");
    cr_assert_eq(port, listener.port);
    close(accepted);
    close(fd);
    cr_assert_eq(connect_status("localhost", listener.port, &fd), RL_OK);
    close(fd);
    cr_assert_eq(connect_status("no such host", 1, &fd), RL_EINVAL);
    cr_assert_eq(fd, -1);

    struct listener second = { .host = "", .port = listener.port };
    remote_run(shard, listen_here, &second);
    cr_assert_eq(second.status, RL_EADDRINUSE);
    close(listener.fd);
    cr_assert_eq(connect_status("127.0.0.1", listener.port, &fd), RL_ECLOSED);
    struct listener wrong = { .host = "192.0.2.1" };
    remote_run(shard, listen_here, &wrong);
    cr_assert_eq(wrong.status, RL_EINVAL);
}

static void accept_done(struct rl_op *op)
{
    if (op->more)
        close(op->ret_fd);
    remote_op_done(op);
}

static void accept_here(struct rl_shard *on, void *arg)
{
    struct remote_op *remote = arg;
    remote->op.done = accept_done;
    remote->op.arg = remote;
    rl_submit(on, &remote->op);
}

static void shutdown_fd(struct rl_shard *on, void *arg)
{
    rl_socket_shutdown(on, *(int *)arg);
}

Test(ops, accept_ends_with_its_listener)
{
    struct listener listener = { .host = "127.0.0.1" };

    remote_run(shard, listen_here, &listener);
    struct remote_op accept_op = { .op = { .kind = RL_OP_ACCEPT, .fd = listener.fd } };
    sem_init(&accept_op.event, 0, 0);
    remote_run(shard, accept_here, &accept_op);
    for (int i = 0; i < 3; i++) {
        int fd = connect_to(listener.port);
        remote_wait(&accept_op);
        cr_assert(accept_op.op.more && accept_op.op.status == RL_OK);
        close(fd);
    }
    remote_run(shard, shutdown_fd, &listener.fd);
    remote_wait(&accept_op);
    cr_assert_not(accept_op.op.more);
    cr_assert_eq(accept_op.op.status, RL_ECLOSED);
    close(listener.fd);
}

/* ---- timers, helpers ---- */

static sem_t timer_event;
static int64_t timer_ran_ns[3];

static void timer_done(struct rl_timer *timer)
{
    timer_ran_ns[(intptr_t)timer->arg] = rl_self->now_ns;
    sem_post(&timer_event);
}

static struct rl_timer test_timers[3];
static int64_t timers_started_ns;

static void timers_start(struct rl_shard *on, void *arg)
{
    (void)arg;
    timers_started_ns = on->now_ns;
    for (int i = 0; i < 3; i++) {
        test_timers[i] = (struct rl_timer){ .done = timer_done, .arg = (void *)(intptr_t)i };
        rl_timer_start(on, &test_timers[i], on->now_ns + (i + 1) * 5000000);
    }
    rl_timer_stop(on, &test_timers[1]);
    rl_timer_start(on, &test_timers[0], on->now_ns + 20000000);     /* moved behind the third */
}

Test(ops, timers_run_at_their_time_and_not_when_stopped)
{
    sem_init(&timer_event, 0, 0);
    remote_run(shard, timers_start, NULL);
    sem_wait(&timer_event);
    sem_wait(&timer_event);
    cr_assert_eq(timer_ran_ns[1], 0);
    cr_assert_geq(timer_ran_ns[2], timers_started_ns + 15000000);
    cr_assert_geq(timer_ran_ns[0], timers_started_ns + 20000000);
    cr_assert_geq(timer_ran_ns[0], timer_ran_ns[2]);
}

static void job_run(struct rl_op *op)
{
    cr_assert_null(rl_self);
    op->status = RL_EFULL;
}

Test(ops, jobs_and_syncs_run_on_helpers)
{
    char path[] = "/tmp/ringlog-io-test-XXXXXX";
    int fd = mkstemp(path);
    struct remote_op job = { .op = { .kind = RL_OP_JOB, .job.run = job_run } };
    struct remote_op sync = { .op = { .kind = RL_OP_SYNC, .fd = fd } };

    remote_submit(shard, &job);
    remote_submit(shard, &sync);
    remote_wait(&job);
    remote_wait(&sync);
    unlink(path);
    cr_assert_eq(job.op.status, RL_EFULL);
    cr_assert_eq(sync.op.status, RL_OK);
    close(fd);
    sync.op.fd = -1;
    remote_submit(shard, &sync);
    remote_wait(&sync);
    cr_assert_eq(sync.op.status, RL_EIO);
}

static sem_t job_may_end, job_runs;

static void job_blocks(struct rl_op *op)
{
    (void)op;
    sem_post(&job_runs);
    sem_wait(&job_may_end);
}

Test(ops, long_jobs_never_keep_a_sync_waiting)
{
    enum { JOBS = 10 };
    struct remote_op jobs[JOBS], sync = { .op = { .kind = RL_OP_SYNC, .fd = theirs } };

    sem_init(&job_runs, 0, 0);
    sem_init(&job_may_end, 0, 0);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct remote_op){ .op = { .kind = RL_OP_JOB, .job.run = job_blocks } };
        remote_submit(shard, &jobs[i]);
    }
    sem_wait(&job_runs);
    remote_submit(shard, &sync);
    remote_wait(&sync);                 /* a socket cannot be synced; but it was tried */
    cr_assert_neq(sync.op.status, RL_OK);
    for (int i = 0; i < JOBS; i++)
        sem_post(&job_may_end);
    for (int i = 0; i < JOBS; i++)
        remote_wait(&jobs[i]);
}

/* The look-up waits behind jobs, so the cancel is there first. */
Test(ops, a_connect_is_cancelled_while_its_name_is_looked_up)
{
    enum { JOBS = 10 };
    struct remote_op jobs[JOBS];
    struct remote_op connect = { .op = { .kind = RL_OP_CONNECT, .connect = { "localhost", 1 } } };

    sem_init(&job_runs, 0, 0);
    sem_init(&job_may_end, 0, 0);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct remote_op){ .op = { .kind = RL_OP_JOB, .job.run = job_blocks } };
        remote_submit(shard, &jobs[i]);
    }
    remote_submit(shard, &connect);
    remote_run(shard, remote_cancel_here, &connect);
    for (int i = 0; i < JOBS; i++)
        sem_post(&job_may_end);
    remote_wait(&connect);
    cr_assert_eq(connect.op.status, RL_ECANCELLED);
    cr_assert_eq(connect.op.ret_fd, -1);
    for (int i = 0; i < JOBS; i++)
        remote_wait(&jobs[i]);
}

/* ---- quiet ---- */

Test(idle, four_shards_with_connections_do_not_wake)
{
    struct rl_shard_set *four = remote_set(4, remote_backend());
    struct echo_server server = { 0 };
    struct rusage before, after;
    char byte = 1;
    int fds[8];

    cr_assert_eq(rl_shard_set_start(four, echo_start, &server), RL_OK);
    for (int i = 0; i < 8; i++) {
        fds[i] = connect_to(server.port);
        cr_assert_eq(write(fds[i], &byte, 1), 1);
        read_exactly(fds[i], &byte, 1);
    }
    usleep(50000);                      /* what the last echo left to do */
    getrusage(RUSAGE_SELF, &before);
    sleep(1);
    getrusage(RUSAGE_SELF, &after);
    /* Ours is one of the switches: a loop that wakes even ten times a second would show. */
    cr_assert_leq(after.ru_nvcsw - before.ru_nvcsw, 4);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    rl_shard_set_stop(four);
    rl_shard_set_join(four, echo_finish, &server);
    echo_free(&server);
    rl_shard_set_free(four);
}

/* ---- life ---- */

static rl_status fail_on_two(struct rl_shard *on, void *arg)
{
    (void)arg;
    return on->index == 2 ? RL_ENOSPACE : RL_OK;
}

Test(life, a_failed_start_stops_everybody)
{
    struct rl_shard_set *four = remote_set(4, remote_backend());

    cr_assert_eq(rl_shard_set_start(four, fail_on_two, NULL), RL_ENOSPACE);
    rl_shard_set_free(four);
}

Test(life, impossible_sets_are_refused)
{
    struct rl_shard_set *none;
    struct rl_shard_set_options options = { .backend = remote_backend(), .disk = rl_disk_real() };

    cr_assert_eq(rl_shard_set_create(&options, &none), RL_EINVAL);
    options.shard_count = RL_SHARDS_MAX + 1;
    cr_assert_eq(rl_shard_set_create(&options, &none), RL_EINVAL);
}

Test(life, the_real_kernel_can_be_stepped_too)
{
    struct rl_shard_set *two = remote_set(2, remote_backend());
    struct echo_server server = { 0 };
    char byte = 7;

    cr_assert_eq(rl_shard_set_start_stepped(two, echo_start, &server), RL_OK);
    int fd = connect_to(server.port);
    cr_assert_eq(write(fd, &byte, 1), 1);
    while (recv(fd, &byte, 1, MSG_DONTWAIT) != 1) {
        rl_shard_step(rl_shard_set_get(two, 0));
        rl_shard_step(rl_shard_set_get(two, 1));
    }
    cr_assert_eq(byte, 7);
    close(fd);
    rl_shard_set_stop(two);
    rl_shard_set_join(two, echo_finish, &server);
    echo_free(&server);
    rl_shard_set_free(two);
}

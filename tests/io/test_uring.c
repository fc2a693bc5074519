/* tests/io/test_uring.c — the real ring, with 1 and with 4 shards: sockets over loopback. */
#include "core/memory.h"
#include "core/random.h"
#include "echo.h"
#include "io/backend.h"
#include "io/disk.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct rl_shard_set *set_of(uint32_t shards)
{
    struct rl_shard_set *set;
    struct rl_shard_set_options options = { .shard_count = shards, .backend = &rl_backend_uring,
                                            .disk = rl_disk_real() };

    cr_assert_eq(rl_shard_set_create(&options, &set), RL_OK);
    return set;
}

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

ParameterizedTestParameters(uring, echo)
{
    static uint32_t shards[] = { 1, 4 };
    return cr_make_param_array(uint32_t, shards, RL_ARRAY_COUNT(shards));
}

ParameterizedTest(uint32_t *shards, uring, echo)
{
    enum { CLIENTS = 20, ROUNDS = 50 };
    struct rl_shard_set *set = set_of(*shards);
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

/* tests/net/test_net_real.c — the same over the real kernel: loopback TCP, threads, each backend.
 *
 * Skipped where the kernel refuses io_uring. */
#include "core/buffer.h"
#include "core/memory.h"
#include "core/random.h"
#include "io/backend.h"
#include "io/disk.h"
#include "net/net.h"
#include "remote.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)
#define CLIENTS 4u

struct server {
    struct rl_shard_set *set;
    struct rl_net_options options;
    uint16_t port;
};

static void echo(struct rl_request *request)
{
    struct rl_chunk chunk = { .data = request->frame.data, .bytes = request->frame.bytes,
                              .buffer = rl_buffer_ref(request->frame_buffer) };
    rl_request_reply(request, &chunk, 1);
}

static rl_status server_on_start(struct rl_shard *shard, void *arg)
{
    struct server *server = arg;
    rl_status status = rl_net_start(shard, &server->options);

    if (status == RL_OK && shard->index == 0)
        status = rl_net_listen(shard, 0, "127.0.0.1", 0, &server->port);
    return status;
}

static void server_on_finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_net_stop(shard);
}

static bool server_start(struct server *server, uint32_t shard_count, size_t request_bytes_max)
{
    struct rl_shard_set_options options = { .shard_count = shard_count, .helper_count = 1,
                                            .backend = remote_backend(),
                                            .disk = rl_disk_real() };

    server->options = (struct rl_net_options){
        .handler = echo, .frame_bytes_max = 100 * MIB, .request_bytes_max = request_bytes_max,
        .arena_bytes_max = MIB, .requests_in_flight_max = 64, .connection_limits = RL_CONNECTION_LIMITS(100),
        .idle_ns_max = (int64_t)600 * 1000 * 1000 * 1000, .send_buffer_bytes = -1,
        .receive_buffer_bytes = -1, .backlog = 16,
    };
    cr_assert_eq(rl_shard_set_create(&options, &server->set), RL_OK);
    rl_status status = rl_shard_set_start(server->set, server_on_start, server);
    if (status == RL_EUNSUPPORTED) {
        rl_shard_set_free(server->set);
        return false;
    }
    cr_assert_eq(status, RL_OK);
    return true;
}

static void server_stop(struct server *server)
{
    rl_shard_set_stop(server->set);
    rl_shard_set_join(server->set, server_on_finish, NULL);
    rl_shard_set_free(server->set);
}

/* ---- clients: a thread writes, another reads and compares ---- */

enum load { LOAD_SMALL, LOAD_LARGE, LOAD_MIXED };

struct client {
    const struct server *server;
    enum load load;
    uint64_t seed;
    uint32_t frames;
    int fd;
    size_t wrong_at;                    /* first byte that differed, or SIZE_MAX */
};

/* The i-th frame of a client's stream, with its size prefix.  Returns its bytes. */
static size_t client_frame(struct rl_random *random, enum load load, uint8_t *to)
{
    size_t size = 1 + rl_random_below(random, 300);

    if (load == LOAD_LARGE || (load == LOAD_MIXED && rl_random_below(random, 10) == 0))
        size = 1 + rl_random_below(random, 2 * MIB);
    to[0] = (uint8_t)(size >> 24);
    to[1] = (uint8_t)(size >> 16);
    to[2] = (uint8_t)(size >> 8);
    to[3] = (uint8_t)size;
    rl_random_fill(random, to + 4, RL_MIN(size, (size_t)64));
    for (size_t i = 64; i < size; i++)
        to[4 + i] = (uint8_t)(to[4 + i - 64] + 1);
    return 4 + size;
}

static void *client_write_all(void *arg)
{
    struct client *client = arg;
    struct rl_random random;
    uint8_t *frame = rl_alloc(2 * MIB + 4);

    rl_random_init(&random, client->seed);
    for (uint32_t i = 0; i < client->frames; i++) {
        size_t bytes = client_frame(&random, client->load, frame);
        for (size_t at = 0; at < bytes;) {
            ssize_t n = send(client->fd, frame + at, bytes - at, MSG_NOSIGNAL);
            if (n <= 0)
                goto out;               /* the reader will notice */
            at += (size_t)n;
        }
    }
out:
    rl_free(frame);
    return NULL;
}

static void *client_read_all(void *arg)
{
    struct client *client = arg;
    struct rl_random random;
    uint8_t *expected = rl_alloc(2 * MIB + 4), *got = rl_alloc(2 * MIB + 4);
    size_t total = 0;

    rl_random_init(&random, client->seed);
    for (uint32_t i = 0; i < client->frames; i++) {
        size_t bytes = client_frame(&random, client->load, expected);
        ssize_t n = recv(client->fd, got, bytes, MSG_WAITALL);
        if (n != (ssize_t)bytes || memcmp(got, expected, bytes) != 0) {
            client->wrong_at = total;
            break;
        }
        total += bytes;
    }
    rl_free(expected);
    rl_free(got);
    return NULL;
}

static void client_connect_socket(const struct server *server, int fd)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(server->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
}

static int client_connect(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    client_connect_socket(server, fd);
    return fd;
}

static void echo_byte_for_byte(uint32_t shard_count, enum load load, uint32_t frames,
                               size_t request_bytes_max)
{
    struct server server;
    struct client clients[CLIENTS];
    pthread_t writers[CLIENTS], readers[CLIENTS];

    if (!server_start(&server, shard_count, request_bytes_max))
        cr_skip("the kernel refuses io_uring");
    for (uint32_t k = 0; k < CLIENTS; k++) {
        clients[k] = (struct client){ .server = &server, .load = load, .seed = k + 1,
                                      .frames = frames, .wrong_at = SIZE_MAX,
                                      .fd = client_connect(&server) };
        pthread_create(&writers[k], NULL, client_write_all, &clients[k]);
        pthread_create(&readers[k], NULL, client_read_all, &clients[k]);
    }
    for (uint32_t k = 0; k < CLIENTS; k++) {
        pthread_join(readers[k], NULL);
        shutdown(clients[k].fd, SHUT_RDWR);             /* a writer must not wait for ever */
        pthread_join(writers[k], NULL);
        close(clients[k].fd);
    }
    server_stop(&server);
    for (uint32_t k = 0; k < CLIENTS; k++)
        cr_assert_eq(clients[k].wrong_at, SIZE_MAX, "client %u differs after %zu bytes", k,
                     clients[k].wrong_at);
}

Test(net_real, small_pipelines) { echo_byte_for_byte(1, LOAD_SMALL, 20000, 64 * MIB); }
Test(net_real, small_pipelines_four_shards) { echo_byte_for_byte(4, LOAD_SMALL, 20000, 64 * MIB); }
Test(net_real, large_pipelines) { echo_byte_for_byte(1, LOAD_LARGE, 60, 64 * MIB); }
Test(net_real, mixed_pipelines) { echo_byte_for_byte(1, LOAD_MIXED, 400, 64 * MIB); }
Test(net_real, mixed_pipelines_four_shards) { echo_byte_for_byte(4, LOAD_MIXED, 400, 64 * MIB); }
Test(net_real, mixed_pipelines_with_little_memory) { echo_byte_for_byte(1, LOAD_MIXED, 200, MIB); }

static bool echoes(int fd)
{
    uint8_t reply[6], frame[] = { 0, 0, 0, 2, 'h', 'i' };

    return send(fd, frame, sizeof frame, MSG_NOSIGNAL) == sizeof frame &&
           recv(fd, reply, sizeof reply, MSG_WAITALL) == sizeof reply &&
           memcmp(frame, reply, sizeof frame) == 0;
}

/* Out of descriptors: who has connected waits, and is served when some are free again. */
Test(net_real, accepts_again_after_running_out_of_descriptors)
{
    struct server server;
    struct rlimit limit;
    int clients[8], spare[16];

    if (!server_start(&server, 1, MIB))
        cr_skip("the kernel refuses io_uring");
    int first = client_connect(&server);
    cr_assert(echoes(first));
    for (size_t i = 0; i < RL_ARRAY_COUNT(clients); i++)
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; i < RL_ARRAY_COUNT(spare); i++)
        spare[i] = dup(first);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)spare[RL_ARRAY_COUNT(spare) - 1] + 1;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < RL_ARRAY_COUNT(clients); i++)
        client_connect_socket(&server, clients[i]);
    cr_assert(echoes(first));           /* the accept has failed by now, and the rest lives */
    limit.rlim_cur = before;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t i = 0; i < RL_ARRAY_COUNT(clients); i++) {
        cr_assert(echoes(clients[i]));
        close(clients[i]);
    }
    for (size_t i = 0; i < RL_ARRAY_COUNT(spare); i++)
        close(spare[i]);
    close(first);
    server_stop(&server);
}

Test(net_real, stops_with_connections_open)
{
    struct server server;
    int fds[20];

    if (!server_start(&server, 2, MIB))
        cr_skip("the kernel refuses io_uring");
    for (size_t i = 0; i < RL_ARRAY_COUNT(fds); i++) {
        fds[i] = client_connect(&server);
        cr_assert(echoes(fds[i]));
    }
    server_stop(&server);
    for (size_t i = 0; i < RL_ARRAY_COUNT(fds); i++)
        close(fds[i]);
}

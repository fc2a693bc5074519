/* tests/broker/protocol/protocol_client.c — one blocking connection that speaks the wire codec. */
#include "protocol_client.h"
#include "wire/message_header.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECONDS 40
#define ARENA_CHUNK_BYTES 4096
#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define SIZE_BYTES 4

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct client *client_open(const struct broker *b)
{
    struct client *c = calloc(1, sizeof *c);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(b->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(c->fd, 0);
    cr_assert_eq(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0, "connect: %d", errno);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    rl_arena_init(&c->arena, ARENA_CHUNK_BYTES, ARENA_BYTES_MAX);
    return c;
}

void client_close(struct client *c)
{
    close(c->fd);
    rl_arena_done(&c->arena);
    free(c->frame);
    free(c);
}

bool client_write(struct client *c, const void *bytes, size_t count)
{
    for (const uint8_t *at = bytes; count > 0;) {
        ssize_t sent = send(c->fd, at, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        cr_assert(sent >= 0 || errno == EPIPE || errno == ECONNRESET, "send: errno %d", errno);
        if (sent < 0)
            return false;
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

size_t client_read(struct client *c, void *bytes, size_t count)
{
    size_t at = 0;
    while (at < count) {
        ssize_t got = recv(c->fd, (uint8_t *)bytes + at, count - at, 0);
        if (got < 0 && errno == EINTR)
            continue;
        cr_assert(got >= 0 || errno == ECONNRESET, "no answer: errno %d after %zu bytes", errno, at);
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    return at;
}

uint8_t *client_encode(struct client *c, int16_t api_key, int16_t version, const void *message,
                       size_t *ret_bytes)
{
    const struct rl_message_info *info = &rl_api_find(api_key)->request;
    int16_t header_version = rl_request_header_version(api_key, version);
    struct rl_request_header header = { .request_api_key = api_key, .request_api_version = version,
                                        .correlation_id = ++c->correlation_id,
                                        .client_id = rl_slice_of_string("protocol-test") };
    size_t bytes = rl_request_header_size(header_version, &header) + info->size(version, message);
    uint8_t *frame = malloc(SIZE_BYTES + bytes);
    struct rl_writer w = rl_wr_of(frame + SIZE_BYTES, bytes);
    uint32_t size = htonl((uint32_t)bytes);
    memcpy(frame, &size, SIZE_BYTES);
    rl_request_header_encode(&w, header_version, &header);
    info->encode(&w, version, message);
    cr_assert_eq(rl_wr_done(&w), RL_OK);
    cr_assert_eq(rl_wr_bytes(&w), bytes);
    *ret_bytes = SIZE_BYTES + bytes;
    return frame;
}

void client_send_silent(struct client *c, int16_t api_key, int16_t version, const void *message)
{
    size_t bytes;
    uint8_t *frame = client_encode(c, api_key, version, message, &bytes);
    client_write(c, frame, bytes);
    free(frame);
}

void client_expect(struct client *c, int16_t api_key, int16_t version)
{
    cr_assert_lt(c->pending_tail - c->pending_head, CLIENT_PENDING_MAX);
    c->pending[c->pending_tail++ % CLIENT_PENDING_MAX] =
        (struct client_pending){ c->correlation_id, api_key, version };
}

void client_send(struct client *c, int16_t api_key, int16_t version, const void *message)
{
    client_send_silent(c, api_key, version, message);
    client_expect(c, api_key, version);
}

/* False: closed before a whole frame came. */
static bool client_read_frame(struct client *c)
{
    uint32_t size;
    size_t got = client_read(c, &size, SIZE_BYTES);
    free(c->frame);
    c->frame = NULL;
    if (got == 0)
        return false;
    cr_assert_eq(got, SIZE_BYTES);
    c->frame_bytes = ntohl(size);
    c->frame = malloc(c->frame_bytes);
    cr_assert_eq(client_read(c, c->frame, c->frame_bytes), c->frame_bytes, "closed within a reply");
    return true;
}

const void *client_receive_or_close(struct client *c)
{
    cr_assert_lt(c->pending_head, c->pending_tail, "no reply is due");
    const struct client_pending due = c->pending[c->pending_head++ % CLIENT_PENDING_MAX];
    rl_arena_reset(&c->arena);
    if (!client_read_frame(c))
        return NULL;
    struct rl_reader r = rl_rd_of(rl_slice_of(c->frame, c->frame_bytes));
    struct rl_response_header header;
    cr_assert_eq(rl_response_header_decode(&r, rl_response_header_version(due.api_key, due.api_version),
                                           &c->arena, &header), RL_OK);
    cr_assert_eq(header.correlation_id, due.correlation_id, "correlation id %d, expected %d",
                 header.correlation_id, due.correlation_id);
    const struct rl_message_info *info = &rl_api_find(due.api_key)->response;
    void *message = rl_arena_alloc_array(&c->arena, 1, info->struct_bytes);
    rl_status status = info->decode(&r, due.api_version, &c->arena, message);
    cr_assert_eq(status, RL_OK, "%s version %d: %s", info->name, due.api_version, rl_status_text(status));
    cr_assert_eq(rl_rd_remaining(&r), 0, "%s version %d: %zu bytes left over", info->name,
                 due.api_version, rl_rd_remaining(&r));
    return message;
}

const void *client_receive(struct client *c)
{
    const void *message = client_receive_or_close(c);
    cr_assert_not_null(message, "the connection was closed instead of an answer");
    return message;
}

const void *client_call(struct client *c, int16_t api_key, int16_t version, const void *message)
{
    client_send(c, api_key, version, message);
    return client_receive(c);
}

void client_expect_closed(struct client *c)
{
    uint8_t byte;
    cr_assert_eq(client_read(c, &byte, 1), 0, "an answer instead of a closed connection");
}

/* cli/kafka_client.c — a cluster, asked one thing after the other, for commands that look and change.
 *
 * Failures: no connection, no answer in time, an answer that cannot be read: the text says which
 * broker and what. */
#include "cli/kafka_client.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include "wire/msg_metadata.h"
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define FRAME_BYTES_MAX ((size_t)256 << 20)
#define HEADER_BYTES_MAX 256
#define ANSWER_SECONDS 30
#define NO_ANSWER "no answer in 30 s"
#define METADATA_VERSION 8

/* ---- what went wrong ---- */

static const struct { int16_t code; const char *text; } errors[] = {
    { -1, "an error that the broker does not explain" }, { 3, "no such topic or partition" },
    { 5, "the partition has no leader now" }, { 6, "that broker does not lead the partition any more" },
    { 14, "the broker still reads its groups" }, { 15, "there is no coordinator for groups yet" },
    { 16, "that broker does not coordinate the group any more" }, { 24, "a group cannot have this name" },
    { 29, "not authorized for the topic" }, { 30, "not authorized for the group" },
    { 35, "the broker does not know this version of the request" }, { 56, "the broker's disk has failed" },
    { 69, "no such group" },
};

rl_status rl_kafka_fail(struct rl_kafka_client *client, int16_t error, const char *fmt, ...)
{
    const char *text = "";
    va_list args;
    va_start(args, fmt);
    int bytes = vsnprintf(client->failure, sizeof client->failure, fmt, args);
    va_end(args);
    for (size_t i = 0; i < RL_ARRAY_COUNT(errors); i++)
        if (errors[i].code == error)
            text = errors[i].text;
    size_t at = RL_MIN((size_t)RL_MAX(bytes, 0), sizeof client->failure - 1);
    if (error != 0)
        snprintf(client->failure + at, sizeof client->failure - at, ": %s (error %d)",
                 *text != 0 ? text : "Kafka's code for it says what", error);
    return RL_EIO;
}

static rl_status node_fail(struct rl_kafka_client *client, const struct rl_kafka_node *node, const char *what)
{
    client->unreachable = true;
    snprintf(client->failure, sizeof client->failure, "%s:%u: %s", node->host, node->port, what);
    return RL_EIO;
}

/* ---- connections ---- */

bool rl_kafka_address(const char *text, const char **ret_host, uint16_t *ret_port, struct rl_arena *arena)
{
    const char *colon = strrchr(text, ':');
    char *end;
    long port = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    if (colon == NULL || colon == text || colon[1] == 0 || *end != 0 || port < 1 || port > UINT16_MAX)
        return false;
    size_t bytes = (size_t)(colon - text);
    if (text[0] == '[' && colon[-1] == ']' && bytes > 2) {
        text++;
        bytes -= 2;
    }
    *ret_host = rl_arena_strndup(arena, text, bytes);
    *ret_port = (uint16_t)port;
    return true;
}

static rl_status node_connect(struct rl_kafka_client *client, struct rl_kafka_node *node)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    struct timeval limit = { .tv_sec = ANSWER_SECONDS };
    char port[8];
    snprintf(port, sizeof port, "%u", node->port);
    int error = getaddrinfo(node->host, port, &hints, &found);
    if (error != 0)
        return node_fail(client, node, gai_strerror(error));
    error = EADDRNOTAVAIL;
    for (const struct addrinfo *to = found; to != NULL && node->fd < 0; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0) {
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        }
        if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0) {
            node->fd = fd;
            break;
        }
        error = errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    if (node->fd >= 0)
        return RL_OK;
    return node_fail(client, node, error == EINPROGRESS ? NO_ANSWER : strerror(error));     /* socket(7), SO_SNDTIMEO */
}

static const char *why(ssize_t got)
{
    return got == 0 ? "the broker closed the connection" : errno == EAGAIN ? NO_ANSWER : strerror(errno);
}

static rl_status send_all(struct rl_kafka_client *client, const struct rl_kafka_node *node, const uint8_t *bytes,
                          size_t count)
{
    while (count > 0) {
        ssize_t sent = send(node->fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0)
            return node_fail(client, node, why(sent));
        bytes += sent;
        count -= (size_t)sent;
    }
    return RL_OK;
}

static rl_status receive_all(struct rl_kafka_client *client, const struct rl_kafka_node *node, uint8_t *bytes,
                             size_t count)
{
    while (count > 0) {
        ssize_t got = recv(node->fd, bytes, count, 0);
        if (got <= 0)
            return node_fail(client, node, why(got));
        bytes += got;
        count -= (size_t)got;
    }
    return RL_OK;
}

/* ---- a question ---- */

static rl_status send_request(struct rl_kafka_client *client, const struct rl_kafka_node *node,
                              const struct rl_api_info *api, int16_t version, const void *request)
{
    struct rl_request_header header;
    size_t capacity = 4 + HEADER_BYTES_MAX + api->request.size(version, request);
    uint8_t *bytes = rl_alloc(capacity);
    struct rl_writer w = rl_wr_of(bytes, capacity);
    rl_request_header_init(&header);
    header.request_api_key = api->key;
    header.request_api_version = version;
    header.correlation_id = ++client->correlation_id;
    header.client_id = rl_slice_of_string("ringlog");
    rl_wr_u32(&w, 0);
    rl_request_header_encode(&w, rl_request_header_version(api->key, version), &header);
    api->request.encode(&w, version, request);
    if (rl_wr_done(&w) != RL_OK) {
        rl_free(bytes);
        return rl_kafka_fail(client, 0, "%s cannot be asked: a name in it is too long for Kafka's protocol", api->name);
    }
    size_t count = rl_wr_bytes(&w);
    struct rl_writer size = rl_wr_of(bytes, 4);
    rl_wr_u32(&size, (uint32_t)(count - 4));
    rl_status status = send_all(client, node, bytes, count);
    rl_free(bytes);
    return status;
}

/* The frame behind its size, in the arena. */
static rl_status receive_frame(struct rl_kafka_client *client, const struct rl_kafka_node *node,
                               struct rl_slice *ret_frame)
{
    uint8_t size[4];
    rl_status status = receive_all(client, node, size, sizeof size);
    if (status != RL_OK)
        return status;
    struct rl_reader r = rl_rd_of(rl_slice_of(size, sizeof size));
    size_t bytes = rl_rd_u32(&r);
    uint8_t *frame = bytes <= FRAME_BYTES_MAX ? rl_arena_alloc(&client->arena, bytes) : NULL;
    if (frame == NULL)
        return node_fail(client, node, "its answer is too large, or it does not speak Kafka's protocol");
    *ret_frame = rl_slice_of(frame, bytes);
    return receive_all(client, node, frame, bytes);
}

static struct rl_kafka_node *node_find(struct rl_kafka_client *client, int32_t node_id)
{
    for (uint32_t i = 0; i < client->node_count; i++)
        if (client->nodes[i].id == node_id)
            return &client->nodes[i];
    return node_id == RL_KAFKA_BOOTSTRAP ? &client->bootstrap : NULL;
}

static void node_close(struct rl_kafka_node *node)
{
    if (node->fd >= 0)
        close(node->fd);
    node->fd = -1;
}

/* The response to the request that was sent last; NULL: `failure` says why. */
static const void *receive_response(struct rl_kafka_client *client, const struct rl_kafka_node *node,
                                    const struct rl_api_info *api, int16_t version)
{
    struct rl_response_header header;
    struct rl_slice frame;
    void *response = rl_arena_alloc_array(&client->arena, 1, api->response.struct_bytes);
    if (receive_frame(client, node, &frame) != RL_OK)
        return NULL;
    struct rl_reader r = rl_rd_of(frame);
    rl_status status = rl_response_header_decode(&r, rl_response_header_version(api->key, version),
                                                 &client->arena, &header);
    if (status == RL_OK && header.correlation_id != client->correlation_id)
        status = RL_EMALFORMED;
    if (status == RL_OK)
        status = response == NULL ? RL_ENOMEM : api->response.decode(&r, version, &client->arena, response);
    if (status == RL_OK)
        return response;
    rl_kafka_fail(client, 0, "%s:%u: its answer to %s cannot be read: %s", node->host, node->port, api->name,
                  rl_status_text(status));
    return NULL;
}

const void *rl_kafka_ask(struct rl_kafka_client *client, int32_t node_id, int16_t api_key, int16_t version,
                         const void *request)
{
    const struct rl_api_info *api = rl_api_find(api_key);
    struct rl_kafka_node *node = node_find(client, node_id);
    const void *response = NULL;
    RL_ASSERT(api != NULL && version >= api->min_version && version <= api->max_version);
    if (node == NULL) {
        rl_kafka_fail(client, 0, "broker %d is not there", node_id);
        return NULL;
    }
    if ((node->fd >= 0 || node_connect(client, node) == RL_OK) &&
        send_request(client, node, api, version, request) == RL_OK)
        response = receive_response(client, node, api, version);
    if (response == NULL)
        node_close(node);               /* what still comes there answers no later question */
    return response;
}

/* ---- life ---- */

static rl_status learn_nodes(struct rl_kafka_client *client)
{
    struct rl_metadata_request request;
    rl_metadata_request_init(&request);
    request.allow_auto_topic_creation = false;
    const struct rl_metadata_response *response =
        rl_kafka_ask(client, RL_KAFKA_BOOTSTRAP, RL_API_METADATA, METADATA_VERSION, &request);
    if (response == NULL)
        return RL_EIO;
    client->nodes = rl_arena_alloc_array(&client->arena, (size_t)response->brokers_count, sizeof *client->nodes);
    if (client->nodes == NULL)
        return rl_kafka_fail(client, 0, "%s:%u: a cluster of %d brokers is too large", client->bootstrap.host,
                             client->bootstrap.port, response->brokers_count);
    for (int32_t i = 0; i < response->brokers_count; i++) {
        const struct rl_metadata_response_broker *from = &response->brokers[i];
        if (from->port < 1 || from->port > UINT16_MAX)
            return rl_kafka_fail(client, 0, "%s:%u: it says that broker %d listens at port %d", client->bootstrap.host,
                                 client->bootstrap.port, from->node_id, from->port);
        client->nodes[client->node_count++] = (struct rl_kafka_node){
            .id = from->node_id, .port = (uint16_t)from->port, .fd = -1,
            .host = rl_arena_strndup(&client->arena, (const char *)from->host.data, from->host.bytes) };
    }
    return RL_OK;
}

rl_status rl_kafka_open(struct rl_kafka_client *client, const char *address)
{
    *client = (struct rl_kafka_client){ .bootstrap = { .id = RL_KAFKA_BOOTSTRAP, .fd = -1 } };
    rl_arena_init(&client->arena, 64 << 10, ARENA_BYTES_MAX);
    if (rl_kafka_address(address, &client->bootstrap.host, &client->bootstrap.port, &client->arena))
        return learn_nodes(client);
    snprintf(client->failure, sizeof client->failure, "%s: HOST:PORT is needed", address);
    return RL_EINVAL;
}

void rl_kafka_close(struct rl_kafka_client *client)
{
    node_close(&client->bootstrap);
    for (uint32_t i = 0; i < client->node_count; i++)
        node_close(&client->nodes[i]);
    rl_arena_done(&client->arena);
}

/* tests/io/mem_net.c — the network of the kernel in memory: listeners, connections, byte pipes.
 *
 * A connection is two pipes of bounded size.  A full pipe leaves SEND in flight, so a client that
 * does not read is a slow reader.  The last end that closes frees the connection. */
#include "core/memory.h"
#include "mem_world.h"
#include <stdio.h>
#include <string.h>

#define MEM_WINDOW_BYTES (64u * 1024u)
#define MEM_PORT_FIRST 40000
#define MEM_FD_FIRST 100000

enum { WORD_SENT = 0 };

/* ---- pipes ---- */

static void mem_pipe_init(struct mem_pipe *pipe, size_t capacity)
{
    *pipe = (struct mem_pipe){ .data = rl_alloc(capacity), .capacity = capacity };
}

static size_t mem_pipe_put(struct mem_pipe *pipe, const void *data, size_t bytes)
{
    bytes = RL_MIN(bytes, pipe->capacity - pipe->bytes);
    if (bytes == 0)
        return 0;
    size_t at = (pipe->head + pipe->bytes) % pipe->capacity;
    size_t first = RL_MIN(bytes, pipe->capacity - at);
    memcpy(pipe->data + at, data, first);
    memcpy(pipe->data, (const uint8_t *)data + first, bytes - first);
    pipe->bytes += bytes;
    return bytes;
}

static size_t mem_pipe_take(struct mem_pipe *pipe, void *buffer, size_t bytes)
{
    bytes = RL_MIN(bytes, pipe->bytes);
    if (bytes == 0)
        return 0;
    size_t first = RL_MIN(bytes, pipe->capacity - pipe->head);
    memcpy(buffer, pipe->data + pipe->head, first);
    memcpy((uint8_t *)buffer + first, pipe->data, bytes - first);
    pipe->head = (pipe->head + bytes) % pipe->capacity;
    pipe->bytes -= bytes;
    return bytes;
}

/* ---- connections ---- */

static void mem_connection_close(struct mem_connection *connection, int side)
{
    connection->to[1 - side].ended = true;
    connection->to[side].deaf = true;
    if (--connection->ends != 0)
        return;
    rl_free(connection->to[0].data);
    rl_free(connection->to[1].data);
    rl_free(connection);
}

static struct mem_socket *mem_socket_find(struct rl_mem *mem, int fd)
{
    struct mem_socket *found =
        fd >= MEM_FD_FIRST && fd < mem->fd_next ? mem->sockets[fd - MEM_FD_FIRST] : NULL;

    if (found == NULL)
        rl_panic(__FILE__, __LINE__, "descriptor %d is not an open socket", fd);
    return found;
}

static struct mem_socket *mem_socket_create(struct rl_mem *mem)
{
    struct mem_socket *made = rl_alloc_zero(1, sizeof *made);

    uint32_t index = (uint32_t)(mem->fd_next - MEM_FD_FIRST);
    if (index == mem->socket_capacity) {
        mem->socket_capacity = RL_MAX(2 * index, 64);
        mem->sockets = rl_realloc(mem->sockets, mem->socket_capacity * sizeof *mem->sockets);
    }
    mem->sockets[index] = made;
    mem->socket_count++;
    made->fd = mem->fd_next++;
    rl_list_init(&made->pending);
    return made;
}

static void mem_socket_free(struct rl_mem *mem, struct mem_socket *socket)
{
    struct rl_list *node;

    mem->sockets[socket->fd - MEM_FD_FIRST] = NULL;
    mem->socket_count--;
    if (socket->listener)
        rl_list_remove(&socket->node);
    while ((node = rl_list_pop_front(&socket->pending)) != NULL) {
        struct mem_connection *waiting = RL_LIST_ENTRY(node, struct mem_connection, node);
        waiting->reset = true;
        mem_connection_close(waiting, 1);
    }
    if (socket->connection != NULL)
        mem_connection_close(socket->connection, socket->side);
    rl_free(socket);
}

static struct mem_socket *mem_listener_find(struct rl_mem *mem, uint16_t port)
{
    RL_LIST_EACH(node, &mem->listeners) {
        struct mem_socket *found = RL_LIST_ENTRY(node, struct mem_socket, node);
        if (!found->shut && found->port == port)
            return found;
    }
    return NULL;
}

/* NULL: nobody listens. */
static struct mem_connection *mem_connect(struct rl_mem *mem, uint16_t port)
{
    struct mem_socket *listener = mem_listener_find(mem, port);

    if (listener == NULL)
        return NULL;
    struct mem_connection *made = rl_alloc_zero(1, sizeof *made);
    mem_pipe_init(&made->to[0], mem->window_bytes);
    mem_pipe_init(&made->to[1], mem->window_bytes);
    made->ends = 2;
    made->port[0] = mem->port_next++;
    made->port[1] = port;
    rl_list_push_back(&listener->pending, &made->node);
    return made;
}

void mem_net_init(struct rl_mem *mem)
{
    rl_list_init(&mem->listeners);
    rl_list_init(&mem->clients);
    mem->fd_next = MEM_FD_FIRST;
    mem->port_next = MEM_PORT_FIRST;
    mem->window_bytes = MEM_WINDOW_BYTES;
    mem->receive_max = MEM_RECEIVE_BYTES;
}

void mem_net_close_all(struct rl_mem *mem, bool reset)
{
    for (int fd = MEM_FD_FIRST; mem->socket_count > 0 && fd < mem->fd_next; fd++) {
        struct mem_socket *found = mem->sockets[fd - MEM_FD_FIRST];
        if (found != NULL && found->connection != NULL)
            found->connection->reset |= reset;
        if (found != NULL)
            mem_socket_free(mem, found);
    }
}

void mem_net_done(struct rl_mem *mem)
{
    while (!rl_list_empty(&mem->clients))
        rl_mem_client_close(RL_LIST_ENTRY(mem->clients.next, struct rl_mem_client, node));
    mem_net_close_all(mem, false);
    rl_free(mem->sockets);
}

/* ---- the shards' calls ---- */

rl_status mem_net_listen(struct rl_shard *shard, const char *host, uint16_t port, int backlog,
                         int *ret_fd, uint16_t *ret_port)
{
    struct rl_mem *mem = mem_of(shard);

    (void)host;
    (void)backlog;
    if (port == 0)
        port = mem->port_next++;
    if (mem_listener_find(mem, port) != NULL)
        return RL_EADDRINUSE;
    struct mem_socket *listener = mem_socket_create(mem);
    listener->listener = true;
    rl_list_push_back(&mem->listeners, &listener->node);
    listener->port = port;
    *ret_fd = listener->fd;
    *ret_port = port;
    return RL_OK;
}

void mem_net_shutdown(struct rl_shard *shard, int fd)
{
    struct mem_socket *socket = mem_socket_find(mem_of(shard), fd);

    socket->shut = true;
    if (socket->connection != NULL) {
        socket->connection->to[1 - socket->side].ended = true;
        socket->connection->to[socket->side].deaf = true;
    }
}

void mem_net_close(struct rl_shard *shard, int fd)
{
    struct rl_mem *mem = mem_of(shard);

    mem_socket_free(mem, mem_socket_find(mem, fd));
}

void mem_net_address(struct rl_shard *shard, int fd, bool peer, char *host, size_t host_bytes,
                     uint16_t *ret_port)
{
    struct mem_socket *socket = mem_socket_find(mem_of(shard), fd);
    int side = socket->side ^ (peer ? 1 : 0);

    snprintf(host, host_bytes, side == 0 ? "10.0.0.1" : "127.0.0.1");
    *ret_port = socket->connection != NULL ? socket->connection->port[side] : socket->port;
}

/* ---- operations ---- */

static bool mem_end(struct rl_op *op, rl_status status)
{
    op->more = false;
    op->status = status;
    return true;
}

static bool mem_accept(struct rl_mem *mem, struct rl_op *op, struct mem_socket *listener)
{
    if (listener->shut)
        return mem_end(op, RL_ECLOSED);
    struct rl_list *node = rl_list_pop_front(&listener->pending);
    if (node == NULL)
        return false;
    struct mem_socket *made = mem_socket_create(mem);
    made->connection = RL_LIST_ENTRY(node, struct mem_connection, node);
    made->side = 1;
    op->ret_fd = made->fd;
    op->more = true;
    return true;
}

static bool mem_connect_out(struct rl_mem *mem, struct rl_op *op)
{
    struct mem_connection *connection = mem_connect(mem, op->connect.port);

    if (connection == NULL)
        return mem_end(op, RL_ECLOSED);
    struct mem_socket *made = mem_socket_create(mem);
    made->connection = connection;
    made->side = 0;
    op->ret_fd = made->fd;
    return mem_end(op, RL_OK);
}

/* What a receive finds when there is no byte: RL_OK means wait. */
static rl_status mem_receive_end(const struct mem_socket *socket)
{
    if (socket->connection->reset)
        return RL_EIO;
    return socket->connection->to[socket->side].ended || socket->shut ? RL_ECLOSED : RL_OK;
}

static bool mem_receive(struct rl_mem *mem, struct rl_op *op, struct mem_socket *socket)
{
    struct mem_pipe *pipe = &socket->connection->to[socket->side];
    bool into = op->kind == RL_OP_RECEIVE_INTO;
    void *buffer = into ? op->into.buffer : mem->lend;
    size_t bytes = into ? op->into.bytes : RL_MIN(mem->receive_max, sizeof mem->lend);

    op->ret_bytes = 0;
    if (socket->connection->reset || pipe->bytes == 0) {
        rl_status status = mem_receive_end(socket);
        return status != RL_OK && mem_end(op, status);
    }
    op->ret_bytes = mem_pipe_take(pipe, buffer, RL_MIN(bytes, mem->receive_max));
    op->ret_data = into ? NULL : buffer;
    op->status = RL_OK;
    op->more = !into;
    return true;
}

static bool mem_send(struct rl_op *op, struct mem_socket *socket)
{
    struct mem_pipe *pipe = &socket->connection->to[1 - socket->side];
    size_t skip = op->backend_word[WORD_SENT], total = 0;

    if (socket->connection->reset)
        return mem_end(op, RL_EIO);
    if (pipe->deaf || pipe->ended)
        return mem_end(op, RL_ECLOSED);
    for (int i = 0; i < op->send.iov_count; i++) {
        const struct iovec *piece = &op->send.iov[i];
        size_t skipped = RL_MIN(skip, piece->iov_len);
        total += piece->iov_len;
        skip -= skipped;
        op->backend_word[WORD_SENT] += mem_pipe_put(pipe, (const uint8_t *)piece->iov_base + skipped,
                                                    piece->iov_len - skipped);
    }
    op->ret_bytes = op->backend_word[WORD_SENT];
    return op->ret_bytes == total && mem_end(op, RL_OK);
}

/* From the disk of the operation's shard, as much as the window takes; by whatever method. */
static bool mem_send_file(struct rl_op *op, struct mem_socket *socket)
{
    struct mem_pipe *pipe = &socket->connection->to[1 - socket->side];
    struct rl_disk *disk = op->home->disk;
    uint8_t piece[512];

    if (socket->connection->reset)
        return mem_end(op, RL_EIO);
    if (pipe->deaf || pipe->ended)
        return mem_end(op, RL_ECLOSED);
    while (op->ret_bytes < op->send_file.bytes) {
        size_t bytes = RL_MIN(op->send_file.bytes - op->ret_bytes, sizeof piece), got, put;
        rl_status status = rl_disk_read(disk, op->send_file.file, op->send_file.pos + op->ret_bytes,
                                        piece, bytes, &got);
        if (status != RL_OK || got == 0)
            return mem_end(op, RL_EIO);
        put = mem_pipe_put(pipe, piece, got);
        op->ret_bytes += put;
        if (put < got)
            return false;
    }
    return mem_end(op, RL_OK);
}

bool mem_net_progress(struct rl_mem *mem, struct rl_op *op)
{
    switch (op->kind) {
    case RL_OP_ACCEPT:
        return mem_accept(mem, op, mem_socket_find(mem, op->fd));
    case RL_OP_CONNECT:
        return mem_connect_out(mem, op);
    case RL_OP_RECEIVE:
    case RL_OP_RECEIVE_INTO:
        return mem_receive(mem, op, mem_socket_find(mem, op->fd));
    case RL_OP_SEND:
        return mem_send(op, mem_socket_find(mem, op->fd));
    case RL_OP_SEND_FILE:
        return mem_send_file(op, mem_socket_find(mem, op->fd));
    case RL_OP_NONE:
    case RL_OP_SYNC:
    case RL_OP_JOB:
        break;
    }
    rl_panic(__FILE__, __LINE__, "operation kind %d on the network", (int)op->kind);
}

/* ---- the test's end ---- */

struct rl_mem_client *rl_mem_connect(struct rl_mem *mem, uint16_t port)
{
    struct mem_connection *connection = mem_connect(mem, port);

    if (connection == NULL)
        return NULL;
    struct rl_mem_client *client = rl_alloc_zero(1, sizeof *client);
    client->mem = mem;
    client->connection = connection;
    rl_list_push_back(&mem->clients, &client->node);
    return client;
}

size_t rl_mem_client_send(struct rl_mem_client *client, const void *data, size_t bytes)
{
    struct mem_pipe *pipe = &client->connection->to[1];

    return pipe->ended || pipe->deaf || client->connection->reset ? 0
                                                                  : mem_pipe_put(pipe, data, bytes);
}

size_t rl_mem_client_receive(struct rl_mem_client *client, void *buffer, size_t bytes)
{
    return mem_pipe_take(&client->connection->to[0], buffer, bytes);
}

size_t rl_mem_client_readable(const struct rl_mem_client *client)
{
    return client->connection->to[0].bytes;
}

bool rl_mem_client_ended(const struct rl_mem_client *client)
{
    const struct mem_pipe *pipe = &client->connection->to[0];

    return (pipe->ended || client->connection->reset) && pipe->bytes == 0;
}

void rl_mem_client_end(struct rl_mem_client *client)
{
    client->connection->to[1].ended = true;
}

void rl_mem_client_close(struct rl_mem_client *client)
{
    rl_list_remove(&client->node);
    mem_connection_close(client->connection, 0);
    rl_free(client);
}

void rl_mem_client_reset(struct rl_mem_client *client)
{
    client->connection->reset = true;
    rl_mem_client_close(client);
}

void rl_mem_set_window(struct rl_mem *mem, size_t bytes)
{
    RL_ASSERT(bytes > 0);
    mem->window_bytes = bytes;
}

void rl_mem_set_receive_max(struct rl_mem *mem, size_t bytes)
{
    RL_ASSERT(bytes > 0);
    mem->receive_max = bytes;
}

uint32_t rl_mem_socket_count(const struct rl_mem *mem)
{
    return mem->socket_count;
}

/* tests/io/echo.c — an echo server over the seam.
 *
 * A connection collects what it receives while a send is in flight, and sends it when that is
 * done: one send at a time, as net/ does. */
#include "echo.h"
#include "core/list.h"
#include "core/memory.h"
#include "core/text.h"
#include <string.h>

struct echo_connection {
    struct rl_list node;
    struct echo_shard *owner;
    int fd;
    bool ended;                         /* the peer has ended, or failed */
    struct rl_op receive, send;
    struct rl_text collected, sending;
    struct iovec iov[2];                /* two pieces, so that sendmsg is used */
};

struct echo_shard {
    struct rl_shard *shard;
    struct rl_op accept;
    struct rl_list connections;
    uint32_t accepted, open;
};

static void echo_flush(struct echo_connection *connection);

static void echo_close_if_idle(struct echo_connection *connection)
{
    if (!connection->ended || connection->receive.in_flight || connection->send.in_flight)
        return;
    connection->owner->open--;
    rl_socket_close(connection->owner->shard, connection->fd);
    rl_list_remove(&connection->node);
    rl_text_done(&connection->collected);
    rl_text_done(&connection->sending);
    rl_free(connection);
}

static void echo_on_sent(struct rl_op *op)
{
    struct echo_connection *connection = op->arg;

    if (op->status != RL_OK) {
        connection->ended = true;
        rl_text_clear(&connection->collected);
        if (connection->receive.in_flight)
            rl_cancel(connection->owner->shard, &connection->receive);
    }
    echo_flush(connection);
    echo_close_if_idle(connection);
}

static void echo_flush(struct echo_connection *connection)
{
    if (connection->send.in_flight || connection->collected.bytes == 0)
        return;
    struct rl_text spare = connection->sending;
    connection->sending = connection->collected;
    connection->collected = spare;
    rl_text_clear(&connection->collected);
    size_t bytes = connection->sending.bytes, cut = bytes / 3;
    connection->iov[0] = (struct iovec){ connection->sending.data, cut };
    connection->iov[1] = (struct iovec){ connection->sending.data + cut, bytes - cut };
    connection->send = (struct rl_op){ .kind = RL_OP_SEND, .fd = connection->fd,
                                       .done = echo_on_sent, .arg = connection,
                                       .send = { connection->iov, 2 } };
    if (cut == 0)
        connection->send.send.iov = &connection->iov[1], connection->send.send.iov_count = 1;
    rl_submit(connection->owner->shard, &connection->send);
}

static void echo_on_received(struct rl_op *op)
{
    struct echo_connection *connection = op->arg;

    if (op->more) {
        rl_text_append(&connection->collected, op->ret_data, op->ret_bytes);
        echo_flush(connection);
        return;
    }
    if (op->status == RL_EBUSY) {
        rl_submit(connection->owner->shard, op);
        return;
    }
    connection->ended = true;
    echo_flush(connection);
    echo_close_if_idle(connection);
}

static void echo_on_accepted(struct rl_op *op)
{
    struct echo_shard *owner = op->arg;

    if (!op->more)
        return;
    struct echo_connection *connection = rl_alloc_zero(1, sizeof *connection);
    connection->owner = owner;
    connection->fd = op->ret_fd;
    owner->accepted++;
    owner->open++;
    rl_list_push_back(&owner->connections, &connection->node);
    rl_socket_tune(owner->shard, connection->fd, -1, -1);
    connection->receive = (struct rl_op){ .kind = RL_OP_RECEIVE, .fd = connection->fd,
                                          .done = echo_on_received, .arg = connection };
    rl_submit(owner->shard, &connection->receive);
}

struct echo_begin {
    struct rl_msg msg;
    struct echo_server *server;
};

static void echo_begin_accepting(struct echo_server *server, struct rl_shard *shard)
{
    struct echo_shard *owner = &server->shards[shard->index];

    owner->shard = shard;
    rl_list_init(&owner->connections);
    owner->accept = (struct rl_op){ .kind = RL_OP_ACCEPT, .fd = server->listen_fd,
                                    .done = echo_on_accepted, .arg = owner };
    rl_submit(shard, &owner->accept);
}

static void echo_on_begin(struct rl_shard *shard, struct rl_msg *msg)
{
    struct echo_begin *begin = RL_CONTAINER_OF(msg, struct echo_begin, msg);

    echo_begin_accepting(begin->server, shard);
    rl_free(begin);
}

rl_status echo_start(struct rl_shard *shard, void *arg)
{
    struct echo_server *server = arg;

    if (shard->index != 0)
        return RL_OK;
    server->shards = rl_alloc_zero(shard->count, sizeof *server->shards);
    rl_status status = rl_socket_listen(shard, "127.0.0.1", 0, 128, &server->listen_fd,
                                        &server->port);
    if (status != RL_OK)
        return status;
    echo_begin_accepting(server, shard);
    for (uint32_t i = 1; i < shard->count; i++) {
        struct echo_begin *begin = rl_alloc(sizeof *begin);
        begin->msg.handle = echo_on_begin;
        begin->server = server;
        rl_shard_post(rl_shard_peer(shard, i), &begin->msg);
    }
    return RL_OK;
}

void echo_finish(struct rl_shard *shard, void *arg)
{
    struct echo_server *server = arg;
    struct echo_shard *owner = &server->shards[shard->index];

    if (owner->shard == NULL)
        return;
    RL_LIST_EACH_SAFE(node, &owner->connections) {
        struct echo_connection *connection = RL_LIST_ENTRY(node, struct echo_connection, node);
        connection->receive.in_flight = connection->send.in_flight = false;
        connection->ended = true;
        echo_close_if_idle(connection);
    }
    if (shard->index == 0)
        rl_socket_close(shard, server->listen_fd);
}

void echo_free(struct echo_server *server)
{
    rl_free(server->shards);
    server->shards = NULL;
}

uint32_t echo_accepted(const struct echo_server *server, uint32_t shard_index)
{
    return server->shards[shard_index].accepted;
}

uint32_t echo_open(const struct echo_server *server, uint32_t shard_index)
{
    return server->shards[shard_index].open;
}

/* net/connection.c — the life of one connection, apart from its bytes.
 *
 * Happy path: opened by the shard it was handed to, it receives (receive.c), its requests go to
 * the handler (request.c), replies leave in order (send.c).
 *
 * The end: rl_connection_close() shuts the socket down and cancels what is parked.  The socket is
 * closed when no operation is in flight any more; the struct lives until the last request was
 * finished too, because handlers may answer long after, and until nobody on the stack holds it. */
#include "net/connection.h"
#include "core/memory.h"

void rl_connection_open(struct rl_net *net, int fd, struct rl_handover *handover,
                        uint32_t listener_index)
{
    struct rl_connection *conn = rl_alloc_zero(1, sizeof *conn);

    conn->magic = RL_CONNECTION_MAGIC;
    conn->fd = fd;
    conn->net = net;
    conn->handover = handover;
    conn->listener_index = listener_index;
    conn->turn = net->turn;
    rl_list_init(&conn->requests);
    rl_list_init(&conn->sent);
    conn->listed_ns = net->shard->now_ns;
    rl_list_push_back(&net->connections, &conn->link);
    net->connection_count++;
    if (net->options.idle_ns_max > 0 && !rl_timer_running(&net->idle_timer))
        rl_timer_start(net->shard, &net->idle_timer,
                       conn->listed_ns + net->options.idle_ns_max + net->idle_step_ns);
    rl_socket_tune(net->shard, fd, net->options.send_buffer_bytes,
                   net->options.receive_buffer_bytes);
    rl_receive_update(conn);
}

/* Tell those who wait.  A handler may finish this or any other request meanwhile. */
static void connection_cancel_requests(struct rl_connection *conn)
{
    struct rl_list pending, *node;

    rl_list_init(&pending);
    rl_list_take_all(&pending, &conn->requests);
    while ((node = rl_list_pop_front(&pending)) != NULL) {
        struct rl_request *request = RL_LIST_ENTRY(node, struct rl_request, link);
        rl_list_push_back(&conn->requests, node);
        if (request->reply_state == RL_REPLY_PENDING && request->on_cancel != NULL) {
            void (*on_cancel)(struct rl_request *) = request->on_cancel;
            request->on_cancel = NULL;
            on_cancel(request);
        }
    }
}

void rl_connection_close(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;

    RL_OBJ(conn, CONNECTION);
    if (conn->closing)
        return;
    conn->closing = true;
    rl_connection_hold(conn);
    rl_list_remove(&conn->link);
    rl_list_push_back(&net->closing, &conn->link);
    if (rl_list_linked(&conn->send_link))
        rl_list_remove(&conn->send_link);
    rl_receive_close(conn);
    rl_socket_shutdown(net->shard, conn->fd);
    if (conn->send != NULL && conn->send_op.kind == RL_OP_SEND && conn->send_op.send.zero_copy)
        rl_cancel(net->shard, &conn->send_op);  /* else it waits for the peer to acknowledge */
    connection_cancel_requests(conn);
    rl_connection_unhold(conn);
}

/* Replies that were ready will not be sent; no send is in flight. */
static void connection_drop_replies(struct rl_connection *conn)
{
    RL_ASSERT(rl_list_empty(&conn->sent));
    RL_LIST_EACH_SAFE(at, &conn->requests) {
        struct rl_request *request = RL_LIST_ENTRY(at, struct rl_request, link);
        if (request->reply_state != RL_REPLY_PENDING)
            rl_request_release(request);
    }
}

void rl_connection_check_free(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;

    if (!conn->closing || conn->holds != 0 || conn->send != NULL ||
        conn->receive_state != RL_RECEIVE_NONE)
        return;
    if (conn->fd >= 0) {
        conn->holds++;                  /* releasing requests asks again */
        rl_receive_drop_frame(conn);
        rl_socket_close(net->shard, conn->fd);
        conn->fd = -1;
        rl_handover_return(net, conn->handover);
        connection_drop_replies(conn);
        conn->holds--;
    }
    if (conn->request_count != 0)
        return;
    rl_reply_bytes_take(conn, conn->reply_bytes);       /* what was never sent */
    rl_list_remove(&conn->link);
    conn->magic = 0;
    rl_free(conn);
    rl_net_connection_gone(net);
}

void rl_connection_unhold(struct rl_connection *conn)
{
    RL_ASSERT(conn->holds > 0);
    conn->holds--;
    if (RL_UNLIKELY(conn->closing))
        rl_connection_check_free(conn);
}

void rl_connection_abandon(struct rl_connection *conn)
{
    struct rl_list *node;

    rl_connection_hold(conn);
    conn->closing = true;
    rl_receive_close(conn);
    rl_receive_drop_frame(conn);
    rl_send_drop(conn);
    while ((node = rl_list_first(&conn->requests)) != NULL ||
           (node = rl_list_first(&conn->sent)) != NULL)
        rl_request_release(RL_LIST_ENTRY(node, struct rl_request, link));
    rl_free(conn->own_bytes);           /* the shard has ended: no operation refers to it */
    conn->own_bytes = NULL;
    conn->receive_state = RL_RECEIVE_NONE;
    rl_connection_unhold(conn);         /* frees it */
}

/* ---- what the broker may ask ---- */

struct rl_shard *rl_connection_shard(const struct rl_connection *connection)
{
    RL_OBJ(connection, CONNECTION);
    return connection->net->shard;
}

void *rl_connection_handler_arg(const struct rl_connection *connection)
{
    RL_OBJ(connection, CONNECTION);
    return connection->net->options.handler_arg;
}

uint32_t rl_connection_listener(const struct rl_connection *connection)
{
    RL_OBJ(connection, CONNECTION);
    return connection->listener_index;
}

bool rl_connection_closing(const struct rl_connection *connection)
{
    RL_OBJ(connection, CONNECTION);
    return connection->closing;
}

static void connection_address(const struct rl_connection *connection, bool peer,
                               char host[RL_HOST_BYTES], uint16_t *ret_port)
{
    RL_OBJ(connection, CONNECTION);
    host[0] = '\0';
    *ret_port = 0;
    if (connection->fd >= 0)
        rl_socket_address(connection->net->shard, connection->fd, peer, host, RL_HOST_BYTES,
                          ret_port);
}

void rl_connection_local_address(const struct rl_connection *connection, char host[RL_HOST_BYTES],
                                 uint16_t *ret_port)
{
    connection_address(connection, false, host, ret_port);
}

void rl_connection_peer_address(const struct rl_connection *connection, char host[RL_HOST_BYTES],
                                uint16_t *ret_port)
{
    connection_address(connection, true, host, ret_port);
}

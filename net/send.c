/* net/send.c — replies leave in request order, one gathered send per connection and turn.
 *
 * Happy path: at the end of a turn the connection's ready replies, oldest first, become one list
 * of iovecs: size prefixes and small chunks are copied together (their requests are free at
 * once), large chunks are pointed at and stay referenced until the send is done.  There is one
 * send in flight per connection; what gets ready meanwhile goes with the next one.  A send is
 * bounded, so a reply of any size goes in pieces and other connections are served between them.
 * Failures: a failed send closes the connection. */
#include "core/memory.h"
#include "net/connection.h"
#include <string.h>

#define SEND_POOL_BYTES 1024u           /* a batch of this size is kept for reuse */
#define SEND_POOL_MAX 256u

/* What is being gathered; one per shard. */
struct rl_gather {
    size_t bytes;                       /* in all iovecs */
    size_t copied;                      /* of `copy` */
    uint32_t iov_count;
    struct iovec iov[RL_SEND_IOV_MAX];
    uint8_t copy[RL_SEND_COPY_BYTES];
};

/* What is in flight: iovecs, and behind them the bytes that were copied. */
struct rl_send {
    struct rl_send *next;               /* in the pool */
    size_t bytes;
    size_t capacity;                    /* of this allocation */
    struct iovec iov[];
};

static void send_on_done(struct rl_op *op);

void rl_send_start(struct rl_net *net)
{
    net->gather = rl_alloc(sizeof *net->gather);
}

void rl_send_stop(struct rl_net *net)
{
    while (net->send_pool != NULL) {
        struct rl_send *send = net->send_pool;
        net->send_pool = send->next;
        rl_free(send);
    }
    rl_free(net->gather);
    net->gather = NULL;
}

void rl_send_want(struct rl_connection *conn)
{
    struct rl_list *node = rl_list_first(&conn->requests);

    if (conn->closing || conn->send != NULL || rl_list_linked(&conn->send_link))
        return;
    if (node == NULL ? !conn->net->draining :
        RL_LIST_ENTRY(node, struct rl_request, link)->reply_state == RL_REPLY_PENDING)
        return;
    rl_list_push_back(&conn->net->to_send, &conn->send_link);
    rl_net_need_turn(conn->net);
}

/* ---- gathering ---- */

static bool gather_full(const struct rl_gather *gather)
{
    return gather->iov_count == RL_SEND_IOV_MAX || gather->bytes >= RL_SEND_BYTES_MAX;
}

static bool gather_can_copy(const struct rl_gather *gather, size_t bytes)
{
    return bytes <= RL_SEND_COPY_CHUNK_BYTES && bytes <= RL_SEND_COPY_BYTES - gather->copied;
}

/* Copy; joins the last iovec if that was copied too. */
static void gather_copy(struct rl_gather *gather, const void *data, size_t bytes)
{
    uint8_t *to = gather->copy + gather->copied;
    struct iovec *last = gather->iov_count != 0 ? &gather->iov[gather->iov_count - 1] : NULL;

    memcpy(to, data, bytes);
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == to)
        last->iov_len += bytes;
    else
        gather->iov[gather->iov_count++] = (struct iovec){ to, bytes };
    gather->copied += bytes;
    gather->bytes += bytes;
}

/* The next bytes of the request's current chunk.  Returns true when they were only pointed at. */
static bool gather_piece(struct rl_gather *gather, const uint8_t *data, size_t bytes)
{
    if (gather_can_copy(gather, bytes)) {
        gather_copy(gather, data, bytes);
        return false;
    }
    gather->iov[gather->iov_count++] = (struct iovec){ (void *)(uintptr_t)data, bytes };
    gather->bytes += bytes;
    return true;
}

/* Gather the connection's oldest request.  Returns true when all of it is in.  ret_borrowed: the
 * send points into its chunks. */
static bool gather_request(struct rl_connection *conn, const struct rl_request *request,
                           bool *ret_borrowed)
{
    struct rl_gather *gather = conn->net->gather;

    *ret_borrowed = false;
    if (!conn->head_begun) {
        uint32_t size = request->reply_bytes;
        uint8_t prefix[] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                             (uint8_t)size };
        if (gather_full(gather) || !gather_can_copy(gather, sizeof prefix))
            return false;
        gather_copy(gather, prefix, sizeof prefix);
        conn->head_begun = true;
    }
    while (conn->head_chunk < request->chunk_count) {
        const struct rl_chunk *chunk = &request->chunks[conn->head_chunk];
        size_t bytes = chunk->bytes - conn->head_at;
        if (bytes != 0) {
            if (gather_full(gather))
                return false;
            bytes = RL_MIN(bytes, RL_SEND_BYTES_MAX - gather->bytes);
            *ret_borrowed |= gather_piece(gather, chunk->data + conn->head_at, bytes);
            conn->head_at += bytes;
        }
        if (conn->head_at == chunk->bytes) {
            conn->head_chunk++;
            conn->head_at = 0;
        }
    }
    conn->head_begun = false;
    conn->head_chunk = 0;
    return true;
}

/* Gather all replies that are ready and fit. */
static void gather_ready(struct rl_connection *conn)
{
    struct rl_list *node;

    while ((node = rl_list_first(&conn->requests)) != NULL) {
        struct rl_request *request = RL_LIST_ENTRY(node, struct rl_request, link);
        bool borrowed;
        if (request->reply_state == RL_REPLY_CLOSE)
            conn->close_after_send = true;
        if (request->reply_state != RL_REPLY_READY || !gather_request(conn, request, &borrowed))
            return;
        if (borrowed) {
            rl_list_remove(node);
            rl_list_push_back(&conn->sent, node);
        } else {
            rl_request_release(request);
        }
    }
}

/* Chunks of the oldest request that earlier sends have finished. */
static void send_release_begun_chunks(struct rl_connection *conn)
{
    if (!conn->head_begun)
        return;
    struct rl_request *request = RL_LIST_ENTRY(conn->requests.next, struct rl_request, link);
    for (uint32_t i = conn->head_chunk; i > 0 && request->chunks[i - 1].bytes != 0; i--)
        rl_chunk_release(&request->chunks[i - 1]);
}

/* ---- sending ---- */

static struct rl_send *send_create(struct rl_net *net, size_t capacity)
{
    struct rl_send *send = net->send_pool;

    if (capacity <= SEND_POOL_BYTES && send != NULL) {
        net->send_pool = send->next;
        net->send_pool_count--;
        return send;
    }
    capacity = RL_MAX(capacity, SEND_POOL_BYTES);
    send = rl_alloc(capacity);
    send->capacity = capacity;
    return send;
}

void rl_send_drop(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;
    struct rl_send *send = conn->send;

    conn->send = NULL;
    if (send == NULL)
        return;
    if (send->capacity == SEND_POOL_BYTES && net->send_pool_count < SEND_POOL_MAX) {
        send->next = net->send_pool;
        net->send_pool = send;
        net->send_pool_count++;
    } else {
        rl_free(send);
    }
}

/* Move what was gathered into a batch of its own and submit it. */
static void send_submit(struct rl_connection *conn)
{
    struct rl_gather *gather = conn->net->gather;
    size_t iov_bytes = gather->iov_count * sizeof(struct iovec);
    struct rl_send *send = send_create(conn->net, sizeof *send + iov_bytes + gather->copied);
    uint8_t *copy = (uint8_t *)send + sizeof *send + iov_bytes;

    send->bytes = gather->bytes;
    memcpy(copy, gather->copy, gather->copied);
    for (uint32_t i = 0; i < gather->iov_count; i++) {
        struct iovec iov = gather->iov[i];
        uintptr_t at = (uintptr_t)iov.iov_base - (uintptr_t)gather->copy;
        if (at < RL_SEND_COPY_BYTES)
            iov.iov_base = copy + at;
        send->iov[i] = iov;
    }
    conn->send = send;
    conn->send_op = (struct rl_op){ .kind = RL_OP_SEND, .fd = conn->fd, .done = send_on_done,
                                    .arg = conn,
                                    .send = { .iov = send->iov,
                                              .iov_count = (int)gather->iov_count } };
    rl_submit(conn->net->shard, &conn->send_op);
}

/* Nothing is in flight and nothing is ready: is that the end? */
static bool send_is_last(const struct rl_connection *conn)
{
    return conn->close_after_send || (conn->net->draining && conn->request_count == 0);
}

void rl_send_collect(struct rl_connection *conn)
{
    struct rl_gather *gather = conn->net->gather;

    if (conn->closing || conn->send != NULL)
        return;
    gather->bytes = gather->copied = 0;
    gather->iov_count = 0;
    rl_connection_hold(conn);
    gather_ready(conn);
    if (gather->iov_count != 0)
        send_submit(conn);
    else if (send_is_last(conn))
        rl_connection_close(conn);
    rl_connection_unhold(conn);
}

static void send_on_done(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;
    struct rl_list *node;

    RL_OBJ(conn, CONNECTION);
    rl_connection_hold(conn);
    rl_reply_bytes_take(conn, conn->send->bytes);
    rl_send_drop(conn);
    while ((node = rl_list_first(&conn->sent)) != NULL)
        rl_request_release(RL_LIST_ENTRY(node, struct rl_request, link));
    if (!conn->closing && op->status != RL_OK) {
        rl_connection_close(conn);
    } else if (!conn->closing) {
        rl_net_touch(conn);
        send_release_begun_chunks(conn);
        rl_receive_want_resume(conn);
        rl_send_want(conn);
    }
    rl_connection_unhold(conn);
}

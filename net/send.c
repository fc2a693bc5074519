/* net/send.c — replies leave in request order, one gathered send per connection and turn.
 *
 * Happy path: at the end of a turn the connection's ready replies, oldest first, become one list
 * of iovecs: size prefixes and small chunks are copied together (their requests are free at
 * once), large chunks are pointed at and stay referenced until the send is done.  There is one
 * send in flight per connection; what gets ready meanwhile goes with the next one.  A send is
 * bounded, so a reply of any size goes in pieces and other connections are served between them.
 *
 * Chunks that lie in a file are read here, into a warm buffer that goes with the same send, or
 * are a send of their own that the kernel makes from the file (peer_path.c chooses).  Bytes that
 * are not in the page cache are read on a helper first; the other connections do not wait.
 * Failures: a failed send closes the connection, and so does a file that cannot be read, because
 * the reply has begun. */
#include "core/logger.h"
#include "core/memory.h"
#include "io/disk.h"
#include "net/connection.h"
#include <string.h>

#define SEND_POOL_BYTES 1024u           /* a batch of this size is kept for reuse */
#define SEND_POOL_MAX 256u
/* What one send reads from files: it stays in the processor's cache from read to send. */
#define SEND_READ_BYTES ((size_t)1024 * 1024)
/* Below this, a copy is cheaper than to pin pages and wait for their acknowledgement. */
#define SEND_ZERO_COPY_BYTES_MIN ((size_t)64 * 1024)

/* A piece of a file. */
struct file_piece {
    int fd;
    uint64_t pos;
    size_t bytes;                       /* 0: none */
};

/* What is being gathered; one per shard. */
struct rl_gather {
    size_t bytes;                       /* in all iovecs, or in `by_kernel` */
    size_t copied;                      /* of `copy` */
    size_t read_bytes;                  /* of `read`; 0: no buffer yet */
    struct rl_buffer *read;             /* bytes from files */
    struct file_piece by_kernel;        /* what the kernel sends: alone in its send */
    enum rl_send_path method;           /* by which it does */
    struct file_piece missing;          /* nothing was gathered, because this is on the disk */
    bool more;                          /* the next send follows at once */
    bool failed;                        /* a file could not be read */
    uint32_t iov_count;
    struct iovec iov[RL_SEND_IOV_MAX];
    uint8_t copy[RL_SEND_COPY_BYTES];
};

/* What is in flight: iovecs, and behind them the bytes that were copied. */
struct rl_send {
    struct rl_send *next;               /* in the pool */
    size_t bytes;
    size_t capacity;                    /* of this allocation */
    struct rl_buffer *read;             /* bytes from files, or NULL */
    struct file_piece missing;          /* being read into `read` */
    struct iovec iov[];
};

static void send_on_done(struct rl_op *op);
static void send_on_loaded(struct rl_op *op);

void rl_send_start(struct rl_net *net)
{
    net->gather = rl_alloc(sizeof *net->gather);
    net->gather->read = NULL;
}

void rl_send_stop(struct rl_net *net)
{
    while (net->send_pool != NULL) {
        struct rl_send *send = net->send_pool;
        net->send_pool = send->next;
        rl_free(send);
    }
    rl_buffer_unref(net->read_buffer);
    net->read_buffer = NULL;
    rl_free(net->gather);
    net->gather = NULL;
}

void rl_send_want(struct rl_connection *conn)
{
    struct rl_list *node = rl_list_first(&conn->requests);

    if (conn->closing || conn->send != NULL || rl_list_linked(&conn->send_link))
        return;
    if (node == NULL ? !conn->net->draining && !conn->ended :
        RL_LIST_ENTRY(node, struct rl_request, link)->reply_state == RL_REPLY_PENDING)
        return;
    rl_list_push_back(&conn->net->to_send, &conn->send_link);
    rl_net_need_turn(conn->net);
}

/* ---- gathering ---- */

static bool gather_full(const struct rl_gather *gather)
{
    return gather->iov_count == RL_SEND_IOV_MAX || gather->bytes >= RL_SEND_BYTES_MAX ||
           (gather->read != NULL && gather->read_bytes == gather->read->capacity) ||
           gather->by_kernel.bytes != 0;
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

/* A buffer for so many bytes: the warm one, unless a slow reader could hold it for a little.  So
 * what sends hold is bounded as replies are. */
static struct rl_buffer *take_read_buffer(struct rl_net *net, size_t bytes)
{
    struct rl_buffer *buffer = net->read_buffer;

    if (bytes < SEND_READ_BYTES / 4)
        return rl_buffer_create(bytes, net->shard->index);
    net->read_buffer = NULL;
    return buffer != NULL ? buffer : rl_buffer_create(SEND_READ_BYTES, net->shard->index);
}

/* Read the next bytes of a file into the buffer that goes with this send.  Returns how many. */
static size_t gather_read(struct rl_net *net, struct file_piece piece, size_t reply_bytes)
{
    struct rl_gather *gather = net->gather;
    size_t got = 0;

    if (gather->read == NULL)
        gather->read = take_read_buffer(net, RL_MAX(piece.bytes, reply_bytes));
    piece.bytes = RL_MIN(piece.bytes, gather->read->capacity - gather->read_bytes);
    uint8_t *to = gather->read->data + gather->read_bytes;
    rl_status status = rl_disk_try_read(net->shard->disk, piece.fd, piece.pos, to, piece.bytes, &got);
    if (status == RL_EBUSY) {
        if (gather->bytes == 0)
            gather->missing = piece;
        return 0;
    }
    if (status != RL_OK || got != piece.bytes) {
        gather->failed = true;
        return 0;
    }
    gather->iov[gather->iov_count++] = (struct iovec){ to, piece.bytes };
    gather->read_bytes += piece.bytes;
    gather->bytes += piece.bytes;
    return piece.bytes;
}

/* The next bytes of a chunk that lies in a file.  Returns how many of them go with this send. */
static size_t gather_file(struct rl_connection *conn, const struct rl_request *request,
                          const struct rl_chunk *chunk, size_t bytes, bool *ret_borrowed)
{
    struct rl_gather *gather = conn->net->gather;
    struct file_piece piece = { chunk->file->fd, chunk->file->pos + conn->head_at, bytes };
    enum rl_send_path path = rl_send_path_of(conn, chunk->bytes);

    if (path != RL_SEND_SENDFILE && path != RL_SEND_SPLICE)
        return gather_read(conn->net, piece, request->reply_bytes);
    if (gather->iov_count != 0) {
        gather->more = true;
        return 0;
    }
    gather->by_kernel = piece;
    gather->method = path;
    gather->bytes = bytes;
    *ret_borrowed = true;
    return bytes;
}

/* Gather from the request's current chunk on.  Returns true when the request is all in. */
static bool gather_chunks(struct rl_connection *conn, const struct rl_request *request,
                          bool *ret_borrowed)
{
    struct rl_gather *gather = conn->net->gather;

    while (conn->head_chunk < request->chunk_count) {
        const struct rl_chunk *chunk = &request->chunks[conn->head_chunk];
        size_t bytes = chunk->bytes - conn->head_at;
        if (bytes != 0) {
            if (gather_full(gather))
                return false;
            bytes = RL_MIN(bytes, RL_SEND_BYTES_MAX - gather->bytes);
            if (rl_chunk_is_file(chunk))
                bytes = gather_file(conn, request, chunk, bytes, ret_borrowed);
            else
                *ret_borrowed |= gather_piece(gather, chunk->data + conn->head_at, bytes);
            if (bytes == 0)
                return false;
            conn->head_at += bytes;
        }
        if (conn->head_at == chunk->bytes) {
            conn->head_chunk++;
            conn->head_at = 0;
        }
    }
    return true;
}

/* Gather the connection's oldest request.  Returns true when all of it is in.  ret_borrowed: the
 * send needs its chunks. */
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
        rl_send_path_wanted(conn, size);
    }
    if (!gather_chunks(conn, request, ret_borrowed))
        return false;
    conn->head_begun = false;
    conn->head_chunk = 0;
    return true;
}

static void gather_begin(struct rl_gather *gather)
{
    gather->bytes = gather->copied = gather->read_bytes = 0;
    gather->by_kernel.bytes = gather->missing.bytes = 0;
    gather->more = gather->failed = false;
    gather->iov_count = 0;
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
    send->read = NULL;
    return send;
}

/* Keep one, warm, for the next send. */
static void send_give_read_buffer(struct rl_net *net, struct rl_buffer *buffer)
{
    if (buffer == NULL || buffer->capacity < SEND_READ_BYTES || net->read_buffer != NULL)
        rl_buffer_unref(buffer);
    else
        net->read_buffer = buffer;
}

void rl_send_drop(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;
    struct rl_send *send = conn->send;

    conn->send = NULL;
    if (send == NULL)
        return;
    send_give_read_buffer(net, send->read);
    send->read = NULL;
    if (send->capacity == SEND_POOL_BYTES && net->send_pool_count < SEND_POOL_MAX) {
        send->next = net->send_pool;
        net->send_pool = send;
        net->send_pool_count++;
    } else {
        rl_free(send);
    }
}

static void send_submit_iov(struct rl_connection *conn, uint32_t iov_count, bool more)
{
    struct rl_send *send = conn->send;
    bool zero_copy = conn->net->options.send_path == RL_SEND_ZEROCOPY &&
                     send->bytes >= SEND_ZERO_COPY_BYTES_MIN;

    conn->send_op = (struct rl_op){ .kind = RL_OP_SEND, .fd = conn->fd, .done = send_on_done,
                                    .arg = conn,
                                    .send = { .iov = send->iov, .iov_count = (int)iov_count,
                                              .more = more, .zero_copy = zero_copy } };
    rl_submit(conn->net->shard, &conn->send_op);
}

/* Move what was gathered into a batch of its own and submit it. */
static void send_submit_memory(struct rl_connection *conn)
{
    struct rl_gather *gather = conn->net->gather;
    size_t iov_bytes = gather->iov_count * sizeof(struct iovec);
    struct rl_send *send = send_create(conn->net, sizeof *send + iov_bytes + gather->copied);
    uint8_t *copy = (uint8_t *)send + sizeof *send + iov_bytes;

    send->bytes = gather->bytes;
    send->read = gather->read;
    gather->read = NULL;
    memcpy(copy, gather->copy, gather->copied);
    for (uint32_t i = 0; i < gather->iov_count; i++) {
        struct iovec iov = gather->iov[i];
        uintptr_t at = (uintptr_t)iov.iov_base - (uintptr_t)gather->copy;
        if (at < RL_SEND_COPY_BYTES)
            iov.iov_base = copy + at;
        send->iov[i] = iov;
    }
    conn->send = send;
    send_submit_iov(conn, gather->iov_count, gather->more);
}

/* Let the kernel send a piece of a file. */
static void send_submit_file(struct rl_connection *conn)
{
    const struct rl_gather *gather = conn->net->gather;
    const struct file_piece *piece = &gather->by_kernel;

    conn->send = send_create(conn->net, sizeof *conn->send);
    conn->send->bytes = piece->bytes;
    conn->send_op = (struct rl_op){ .kind = RL_OP_SEND_FILE, .fd = conn->fd, .done = send_on_done,
                                    .arg = conn,
                                    .send_file = { .file = piece->fd, .method = gather->method,
                                                   .pos = piece->pos, .bytes = piece->bytes } };
    rl_submit(conn->net->shard, &conn->send_op);
}

/* ---- bytes that are on the disk ---- */

static void run_load(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;
    const struct file_piece *piece = &conn->send->missing;
    size_t got = 0;

    op->status = rl_disk_read(conn->net->shard->disk, piece->fd, piece->pos, conn->send->read->data,
                              piece->bytes, &got);
    if (op->status == RL_OK && got != piece->bytes)
        op->status = RL_EIO;
}

static void send_submit_load(struct rl_connection *conn)
{
    struct rl_gather *gather = conn->net->gather;
    struct rl_send *send = send_create(conn->net, sizeof *send + sizeof(struct iovec));

    send->bytes = 0;                    /* nothing of the reply yet */
    send->read = gather->read;
    send->missing = gather->missing;
    gather->read = NULL;
    conn->send = send;
    conn->send_op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_load, .done = send_on_loaded,
                                    .arg = conn };
    rl_submit(conn->net->shard, &conn->send_op);
}

/* The oldest request's current chunk goes on by that many bytes. */
static void send_advance_head(struct rl_connection *conn, size_t bytes)
{
    const struct rl_request *request =
        RL_LIST_ENTRY(rl_list_first(&conn->requests), struct rl_request, link);

    conn->head_at += bytes;
    if (conn->head_at == request->chunks[conn->head_chunk].bytes) {
        conn->head_chunk++;
        conn->head_at = 0;
    }
}

static void send_file_failed(struct rl_connection *conn)
{
    RL_ERROR_EVERY(10, "net", "a reply cannot be sent: its file cannot be read; connection closed");
    rl_connection_close(conn);
}

static void send_on_loaded(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;
    struct rl_send *send = conn->send;

    RL_OBJ(conn, CONNECTION);
    rl_connection_hold(conn);
    if (conn->closing) {
        rl_send_drop(conn);
    } else if (op->status != RL_OK) {
        rl_send_drop(conn);
        send_file_failed(conn);
    } else {
        send->bytes = send->missing.bytes;
        send->iov[0] = (struct iovec){ send->read->data, send->bytes };
        send_advance_head(conn, send->bytes);
        send_submit_iov(conn, 1, false);
    }
    rl_connection_unhold(conn);
}

/* ---- turns ---- */

/* Nothing is in flight and nothing is ready: is that the end? */
static bool send_is_last(const struct rl_connection *conn)
{
    return conn->close_after_send ||
           (conn->request_count == 0 &&
            (conn->net->draining || (conn->ended && conn->spill == NULL)));
}

void rl_send_collect(struct rl_connection *conn)
{
    struct rl_gather *gather = conn->net->gather;

    if (conn->closing || conn->send != NULL)
        return;
    gather_begin(gather);
    rl_connection_hold(conn);
    gather_ready(conn);
    if (gather->by_kernel.bytes != 0)
        send_submit_file(conn);
    else if (gather->iov_count != 0)
        send_submit_memory(conn);
    else if (gather->missing.bytes != 0)
        send_submit_load(conn);
    else if (gather->failed)
        send_file_failed(conn);
    else if (send_is_last(conn))
        rl_connection_close(conn);
    send_give_read_buffer(conn->net, gather->read);
    gather->read = NULL;
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

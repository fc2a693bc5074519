/* net/request.c — requests: pooled, answered in any order, released exactly once.
 *
 * Happy path: created for a complete frame, linked behind the connection's older requests;
 * rl_request_reply keeps the chunks and, if it is the oldest, has the connection send at the end
 * of the turn; released when the kernel has taken its last byte (or a copy of it was made).
 * The frame's memory is given back with the answer, so a slow reader holds no budget.
 * Failures: on a closing connection an answer is thrown away and the request released at once. */
#include "core/memory.h"
#include "net/connection.h"
#include <string.h>

struct rl_request *rl_request_create(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;
    struct rl_list *node = rl_list_pop_front(&net->request_pool);
    struct rl_request *request;

    if (node != NULL) {
        net->request_pool_count--;
        request = RL_LIST_ENTRY(node, struct rl_request, link);
        struct rl_arena arena = request->arena;
        *request = (struct rl_request){ .arena = arena };
    } else {
        request = rl_alloc_zero(1, sizeof *request);
        rl_arena_init(&request->arena, RL_REQUEST_ARENA_BYTES, net->options.arena_bytes_max);
    }
    request->magic = RL_REQUEST_MAGIC;
    request->connection = conn;
    request->arrived_ns = net->shard->now_ns;
    request->reply_state = RL_REPLY_PENDING;
    rl_list_push_back(&conn->requests, &request->link);
    conn->request_count++;
    conn->unanswered_count++;
    return request;
}

static void request_free(struct rl_request *request)
{
    rl_arena_done(&request->arena);
    rl_free(request);
}

/* The frame is not needed any more. */
static void request_release_frame(struct rl_request *request)
{
    size_t bytes = request->frame.bytes;

    rl_buffer_unref(request->frame_buffer);
    request->frame_buffer = NULL;
    request->frame = (struct rl_slice){ 0 };
    if (bytes != 0)
        rl_receive_give_memory(request->connection->net, bytes);
}

static void request_withdraw_announcement(struct rl_request *request)
{
    rl_reply_bytes_take(request->connection, request->announced_bytes);
    request->announced_bytes = 0;
}

void rl_request_release(struct rl_request *request)
{
    struct rl_connection *conn = request->connection;
    struct rl_net *net = conn->net;

    request_release_frame(request);
    for (uint32_t i = 0; i < request->chunk_count; i++)
        rl_chunk_release(&request->chunks[i]);
    if (request->chunks != request->few_chunks)
        rl_free(request->chunks);
    request_withdraw_announcement(request);
    if (request->reply_state == RL_REPLY_PENDING)
        conn->unanswered_count--;
    rl_list_remove(&request->link);
    request->magic = 0;
    if (net->request_pool_count < RL_REQUEST_POOL_MAX) {
        rl_arena_reset(&request->arena);
        rl_list_push_front(&net->request_pool, &request->link);
        net->request_pool_count++;
    } else {
        request_free(request);
    }
    conn->request_count--;
    rl_receive_want_resume(conn);
    if (RL_UNLIKELY(conn->closing))
        rl_connection_check_free(conn);
    else if (RL_UNLIKELY(net->draining) && conn->request_count == 0)
        rl_send_want(conn);             /* which closes it */
}

void rl_request_pool_free(struct rl_net *net)
{
    struct rl_list *node;

    while ((node = rl_list_pop_front(&net->request_pool)) != NULL)
        request_free(RL_LIST_ENTRY(node, struct rl_request, link));
    net->request_pool_count = 0;
}

void rl_request_announce_reply(struct rl_request *request, size_t bytes)
{
    RL_OBJ(request, REQUEST);
    RL_ASSERT(request->reply_state == RL_REPLY_PENDING);
    request_withdraw_announcement(request);
    request->announced_bytes = (uint32_t)RL_MIN(bytes, (size_t)INT32_MAX);
    rl_reply_bytes_add(request->connection, request->announced_bytes);
    rl_receive_want_resume(request->connection);        /* if it is less than before */
}

/* The request has its answer. */
static void request_answered(struct rl_request *request, enum rl_reply_state state)
{
    request_withdraw_announcement(request);
    request->reply_state = state;
    request->on_cancel = NULL;
    request->connection->unanswered_count--;
}

void rl_request_reply(struct rl_request *request, const struct rl_chunk *chunks, uint32_t count)
{
    RL_OBJ(request, REQUEST);
    RL_ASSERT(request->reply_state == RL_REPLY_PENDING && request->chunk_count == 0);
    struct rl_connection *conn = request->connection;
    size_t bytes = 0;

    request->chunks = request->few_chunks;
    if (count > RL_ARRAY_COUNT(request->few_chunks))
        request->chunks = rl_alloc(count * sizeof *chunks);
    if (count != 0)
        memcpy(request->chunks, chunks, count * sizeof *chunks);
    request->chunk_count = count;
    for (uint32_t i = 0; i < count; i++)
        bytes += chunks[i].bytes;
    RL_ASSERT(bytes <= INT32_MAX);      /* the size prefix is an int32 */
    request->reply_bytes = (uint32_t)bytes;
    request_answered(request, RL_REPLY_READY);
    if (RL_UNLIKELY(conn->closing)) {
        rl_request_release(request);
        return;
    }
    request_release_frame(request);
    rl_reply_bytes_add(conn, sizeof(uint32_t) + bytes);
    if (conn->requests.next == &request->link)
        rl_send_want(conn);
}

void rl_request_finish(struct rl_request *request)
{
    RL_OBJ(request, REQUEST);
    RL_ASSERT(request->reply_state == RL_REPLY_PENDING);
    struct rl_connection *conn = request->connection;

    rl_connection_hold(conn);
    rl_request_release(request);
    rl_send_want(conn);                 /* a younger one may have waited for us */
    rl_connection_unhold(conn);
}

void rl_request_close(struct rl_request *request)
{
    RL_OBJ(request, REQUEST);
    RL_ASSERT(request->reply_state == RL_REPLY_PENDING);
    struct rl_connection *conn = request->connection;

    request_answered(request, RL_REPLY_CLOSE);
    if (conn->closing) {
        rl_request_release(request);
        return;
    }
    conn->stopping = true;
    request_release_frame(request);
    if (conn->requests.next == &request->link)
        rl_send_want(conn);
}

/* net/request.c — requests: pooled, answered in any order, released exactly once.
 *
 * Happy path: created for a complete frame, linked behind the connection's older requests;
 * rl_request_reply keeps the chunks and, if it is the oldest, has the connection send at the end
 * of the turn; released when the kernel has taken its last byte (or a copy of it was made).
 * The frame's memory is given back with the answer, so a slow reader holds no budget; what is
 * left of the arena counts as reply bytes until it is sent.
 * Requests that wait (long polls) may hold so much decode memory together; beyond that the oldest
 * are asked to answer early, and beyond twice as much no frame begins until they have.
 * Failures: on a closing connection an answer is thrown away and the request released at once. */
#include "core/logger.h"
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

    bool overdraft = request->overdraft;

    rl_buffer_unref(request->frame_buffer);
    request->frame_buffer = NULL;
    request->frame = (struct rl_slice){ 0 };
    request->overdraft = false;
    if (bytes != 0)
        rl_receive_give_memory(request->connection->net, bytes, overdraft);
}

/* ---- requests that wait ---- */

/* It can be hurried no more. */
static void request_leave_patient(struct rl_request *request)
{
    if (!rl_list_linked(&request->patient_link))
        return;
    rl_list_remove(&request->patient_link);
    rl_list_remove(&request->budget_link);
}

static void request_join_patient(struct rl_request *request)
{
    struct rl_net *net = request->connection->net;
    struct rl_budget *budget = rl_receive_budget(net, request->frame.bytes);

    rl_list_push_back(&net->patient, &request->patient_link);
    if (request->overdraft)             /* others wait for this one */
        rl_list_push_front(&budget->patient, &request->budget_link);
    else
        rl_list_push_back(&budget->patient, &request->budget_link);
}

static void request_hurry(struct rl_request *request)
{
    struct rl_net *net = request->connection->net;
    void (*on_hurry)(struct rl_request *) = request->on_hurry;

    request_leave_patient(request);
    request->on_hurry = NULL;
    request->hurried = true;
    net->hurried_bytes += request->parked_bytes;
    on_hurry(request);
}

static void request_unpark(struct rl_request *request)
{
    struct rl_net *net = request->connection->net;

    request_leave_patient(request);
    if (request->hurried)
        net->hurried_bytes -= request->parked_bytes;
    net->parked_bytes -= request->parked_bytes;
    request->parked_bytes = 0;
    request->hurried = false;
    if (RL_UNLIKELY(!rl_list_empty(&net->congested)))
        rl_net_need_turn(net);
}

static void request_hurry_parked(struct rl_net *net)
{
    struct rl_list *node;

    while (net->parked_bytes - net->hurried_bytes > net->parked_bytes_max &&
           (node = rl_list_first(&net->patient)) != NULL) {
        RL_WARN_EVERY(10, "net", "requests that wait hold %zu bytes (a quarter of "
                      "queued.max.request.bytes is theirs): the oldest are answered early",
                      net->parked_bytes);
        request_hurry(RL_LIST_ENTRY(node, struct rl_request, patient_link));
    }
}

void rl_request_handle(struct rl_request *request)
{
    struct rl_net *net = request->connection->net;
    struct rl_request *outer = net->handling;

    net->handling = request;
    net->options.handler(request);
    bool pending = net->handling == request && request->reply_state == RL_REPLY_PENDING;
    net->handling = outer;
    if (!pending)
        return;
    request->parked_bytes = request->arena.used_bytes;
    net->parked_bytes += request->parked_bytes;
    request->connection->turn_bytes += request->parked_bytes;
    if (request->on_hurry != NULL)
        request_join_patient(request);
    if (RL_UNLIKELY(net->parked_bytes - net->hurried_bytes > net->parked_bytes_max))
        request_hurry_parked(net);
}

void rl_request_hurry_frames(struct rl_budget *budget, size_t bytes)
{
    size_t hurried = 0;
    struct rl_list *node;

    while (hurried < bytes && (node = rl_list_first(&budget->patient)) != NULL) {
        struct rl_request *request = RL_LIST_ENTRY(node, struct rl_request, budget_link);
        if (!request->overdraft)        /* what is beyond the budget makes no room in it */
            hurried += request->frame.bytes;
        request_hurry(request);         /* which may answer others as well: look anew */
    }
}

bool rl_request_hurry_connection(struct rl_connection *conn)
{
    bool all = true;

    RL_LIST_EACH_SAFE(node, &conn->requests) {
        struct rl_request *request = RL_LIST_ENTRY(node, struct rl_request, link);
        if (request->reply_state != RL_REPLY_PENDING || request->hurried)
            continue;
        if (request->on_hurry != NULL && rl_list_linked(&request->patient_link))
            request_hurry(request);
        else if (request->on_cancel != NULL)
            all = false;
    }
    return all;
}

/* ---- answers ---- */

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
    request_unpark(request);
    if (net->handling == request)
        net->handling = NULL;
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
    else if (RL_UNLIKELY(net->draining || conn->ended) && conn->request_count == 0)
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
    request_unpark(request);
    request->reply_state = state;
    request->on_cancel = request->on_hurry = NULL;
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
    if (request->arena.used_bytes > RL_REQUEST_ARENA_BYTES) {   /* kept until it is sent */
        request->announced_bytes = (uint32_t)RL_MIN(request->arena.used_bytes, (size_t)INT32_MAX);
        rl_reply_bytes_add(conn, request->announced_bytes);
    }
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

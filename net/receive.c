/* net/receive.c — from received bytes to complete frames.
 *
 * Happy path, small frames: a multishot receive lends a slot; each frame in it is copied into a
 * buffer of its exact size and becomes a request.  A connection that waits for its next frame
 * holds no buffer.
 * Happy path, large frames: the slot that holds the beginning is copied, the multishot receive is
 * cancelled, and the rest is received straight into the frame's buffer, exactly as much as is
 * missing.  After a large frame the next one is expected to be like it (bulk mode): its buffer is
 * there before its first byte, and nothing is copied; what was received beyond its end is the
 * beginning of the next one.
 *
 * A frame begins only if the connection is not paused: too many requests or reply bytes in
 * flight, its share of the turn used up, a congested shard, no memory in the budget.  What
 * arrives meanwhile is spilled into one block; when that grows, receiving stops, and TCP holds
 * the peer back.  Whoever removes a cause asks for rl_receive_resume by the turn hook.
 *
 * Failures: a size that is not legal closes the connection with one rate-limited line (with a
 * remedy when the first bytes are TLS or HTTP).  At the end of the stream the frames that are
 * here are still handled, because producers with acks=0 leave without a goodbye.  A large size
 * is only believed as bytes arrive: the buffer doubles, and who stalls in the middle of a frame
 * while others wait for memory is closed. */
#include "core/logger.h"
#include "core/memory.h"
#include "net/connection.h"
#include <string.h>

#define PREFIX_BYTES 4u

static void receive_on_slot(struct rl_op *op);
static void receive_on_frame(struct rl_op *op);
static void receive_on_own(struct rl_op *op);

/* ---- memory ---- */

struct rl_budget *rl_receive_budget(struct rl_net *net, size_t frame_bytes)
{
    return frame_bytes < RL_FRAME_LARGE_BYTES ? &net->small : &net->large;
}

static uint32_t receive_prefix_size(const uint8_t *prefix)
{
    return (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 |
           prefix[3];
}

static bool receive_anyone_waits(const struct rl_net *net)
{
    return rl_budget_awaited(&net->small) || rl_budget_awaited(&net->large);
}

/* Let the first in line try again, if it would get what it wants. */
static void receive_wake(struct rl_net *net, struct rl_budget *budget)
{
    struct rl_list *node = rl_list_first(&budget->stuck);

    if (node == NULL)
        node = rl_list_first(&budget->waiting);
    if (node != NULL) {
        struct rl_connection *conn = RL_LIST_ENTRY(node, struct rl_connection, budget_link);
        if (budget->overdrawn && !rl_budget_fits(budget, conn->wanted, conn->wanted_whole))
            return;
        rl_list_remove(node);
        rl_receive_want_resume(conn);
    }
    if (RL_UNLIKELY(rl_timer_running(&net->stall_timer)) && !receive_anyone_waits(net))
        rl_timer_stop(net->shard, &net->stall_timer);
}

static void receive_give(struct rl_net *net, struct rl_budget *budget, size_t bytes, bool overdraft)
{
    rl_budget_give(budget, bytes);
    if (overdraft)
        budget->overdrawn = false;
    if (RL_UNLIKELY(rl_budget_awaited(budget)))
        receive_wake(net, budget);
}

void rl_receive_give_memory(struct rl_net *net, size_t frame_bytes, bool overdraft)
{
    receive_give(net, rl_receive_budget(net, frame_bytes), frame_bytes, overdraft);
}

/* Stand in line and pause.  Parked requests that can be hurried make room. */
static void receive_wait(struct rl_connection *conn, struct rl_budget *budget, size_t bytes, bool whole)
{
    struct rl_net *net = conn->net;

    conn->paused = true;
    conn->wanted = bytes;
    conn->wanted_whole = whole;
    if (!rl_list_linked(&conn->budget_link))
        rl_list_push_back(conn->frame != NULL ? &budget->stuck : &budget->waiting,
                          &conn->budget_link);
    if (rl_list_linked(&conn->partial_link))
        rl_list_remove(&conn->partial_link);    /* it is not the peer who stalls */
    if (!rl_timer_running(&net->stall_timer))
        rl_timer_start(net->shard, &net->stall_timer, net->shard->now_ns + RL_STALL_NS);
    RL_WARN_EVERY(10, "net", "requests wait for memory: %zu bytes are in use, %zu may be "
                  "(a shard's share of queued.max.request.bytes)", budget->used_bytes,
                  budget->bytes_max);
    rl_request_hurry_frames(budget, bytes);
}

/* May this frame have so many bytes, though others are in line? */
static bool receive_may_take(const struct rl_connection *conn, const struct rl_budget *budget,
                             size_t bytes, bool whole)
{
    bool first = conn->frame != NULL || conn->wanted != 0 || rl_list_empty(&budget->waiting);

    return conn->overdraft || ((first || whole) && rl_budget_fits(budget, bytes, whole));
}

/* Take so many bytes for a frame (whole: it is all there), or stand in line and pause. */
static bool receive_take_memory(struct rl_connection *conn, size_t frame_bytes, size_t bytes, bool whole)
{
    struct rl_net *net = conn->net;
    struct rl_budget *budget = rl_receive_budget(net, frame_bytes);

    if (!receive_may_take(conn, budget, bytes, whole)) {
        if (budget->overdrawn || (conn->frame == NULL && !rl_list_empty(&budget->stuck))) {
            receive_wait(conn, budget, bytes, whole);
            return false;
        }
        budget->overdrawn = conn->overdraft = true;
    }
    rl_budget_take(budget, bytes);
    conn->charge += bytes;
    conn->charged = budget;
    if (RL_UNLIKELY(conn->wanted != 0)) {       /* it was woken; is there room for one more? */
        conn->wanted = 0;
        receive_wake(net, budget);
    }
    return true;
}

static void receive_give_charge(struct rl_connection *conn)
{
    size_t bytes = conn->charge;
    struct rl_budget *budget = conn->charged;
    bool overdraft = conn->overdraft;

    conn->charge = 0;
    conn->charged = NULL;
    conn->overdraft = false;
    if (budget != NULL)
        receive_give(conn->net, budget, bytes, overdraft);
}

/* Others wait for memory: who holds some for a frame that does not arrive must go. */
void rl_receive_on_stall_timer(struct rl_timer *timer)
{
    struct rl_net *net = timer->arg;
    int64_t now_ns = net->shard->now_ns;
    struct rl_list *node = rl_list_first(&net->partial);

    if (node != NULL) {
        struct rl_connection *conn = RL_LIST_ENTRY(node, struct rl_connection, partial_link);
        if (now_ns - conn->wait_ns >= RL_STALL_NS) {
            RL_WARN_EVERY(10, "net", "closed a connection that stalled within a frame of %zu bytes "
                          "while others waited for memory (queued.max.request.bytes)",
                          conn->charge);
            rl_connection_close(conn);
        }
    }
    if (!receive_anyone_waits(net))
        return;
    node = rl_list_first(&net->partial);
    int64_t from_ns = now_ns;
    if (node != NULL)
        from_ns = RL_LIST_ENTRY(node, struct rl_connection, partial_link)->wait_ns;
    rl_timer_start(net->shard, timer, RL_MAX(from_ns + RL_STALL_NS, now_ns + 1));
}

/* ---- spill ---- */

static void receive_spill_append(struct rl_connection *conn, const uint8_t *data, size_t bytes)
{
    struct rl_spill *spill = conn->spill;
    size_t held = spill != NULL ? spill->bytes - spill->at : 0;

    if (spill == NULL || spill->capacity - spill->bytes < bytes) {
        size_t capacity = held == 0 ? bytes : 2 * (held + bytes);
        struct rl_spill *larger = rl_alloc(sizeof *larger + capacity);
        *larger = (struct rl_spill){ .bytes = held, .capacity = capacity };
        if (held != 0)
            memcpy(larger->data, spill->data + spill->at, held);
        rl_free(spill);
        conn->spill = spill = larger;
    }
    memcpy(spill->data + spill->bytes, data, bytes);
    spill->bytes += bytes;
    conn->net->spill_bytes += bytes;
}

static void receive_spill_consume(struct rl_connection *conn, size_t bytes)
{
    struct rl_spill *spill = conn->spill;

    spill->at += bytes;
    conn->net->spill_bytes -= bytes;
    if (spill->at == spill->bytes) {
        rl_free(spill);
        conn->spill = NULL;
    }
}

/* ---- pausing ---- */

void rl_receive_want_resume(struct rl_connection *conn)
{
    if (!conn->paused || conn->closing || rl_list_linked(&conn->resume_link) ||
        rl_list_linked(&conn->budget_link))
        return;
    rl_list_push_back(&conn->net->resume, &conn->resume_link);
    rl_net_need_turn(conn->net);
}

/* Unsent reply bytes with which this connection may still begin a request. */
static size_t receive_reply_bytes_max(const struct rl_net *net)
{
    return RL_LIKELY(net->reply_bytes <= RL_NET_REPLY_BYTES_MAX) ? RL_REPLY_BYTES_MAX : 0;
}

/* May the next frame begin?  If not, somebody will ask for rl_receive_resume. */
static bool receive_may_begin(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;

    if (conn->turn != net->turn) {
        conn->turn = net->turn;
        conn->turn_requests = 0;
        conn->turn_bytes = 0;
    }
    if (RL_LIKELY(conn->request_count < net->options.requests_in_flight_max &&
                  conn->reply_bytes <= receive_reply_bytes_max(net) && !net->draining && !conn->stopping &&
                  conn->turn_requests < RL_TURN_REQUESTS_MAX &&
                  conn->turn_bytes < RL_TURN_BYTES_MAX && !rl_shard_congested(net->shard) &&
                  !rl_net_crowded(net)))
        return true;
    conn->paused = true;
    if (conn->turn_requests >= RL_TURN_REQUESTS_MAX || conn->turn_bytes >= RL_TURN_BYTES_MAX)
        rl_receive_want_resume(conn);
    else if ((rl_shard_congested(net->shard) || rl_net_crowded(net)) && !rl_list_linked(&conn->wait_link))
        rl_list_push_back(&net->congested, &conn->wait_link);
    return false;
}

/* ---- frames ---- */

static void receive_refuse(struct rl_connection *conn, const uint8_t *prefix)
{
    char host[RL_HOST_BYTES];
    uint16_t port;

    rl_connection_peer_address(conn, host, &port);
    if (!conn->seen_frame && prefix[0] == 0x16 && prefix[1] == 0x03)
        RL_WARN_EVERY(10, "net", "%s:%u speaks TLS to a plaintext listener: set the client's "
                      "security.protocol to PLAINTEXT, or connect it to an SSL listener",
                      host, port);
    else if (!conn->seen_frame && (memcmp(prefix, "GET ", 4) == 0 || memcmp(prefix, "POST", 4) == 0 ||
                                   memcmp(prefix, "HEAD", 4) == 0 || memcmp(prefix, "PUT ", 4) == 0))
        RL_WARN_EVERY(10, "net", "%s:%u speaks HTTP to a Kafka listener: use a Kafka client here, "
                      "and the HTTP listener's port for metrics and health", host, port);
    else
        RL_WARN_EVERY(10, "net", "closed %s:%u: frame size %d is not between 1 and %zu "
                      "(socket.request.max.bytes)", host, port,
                      (int32_t)receive_prefix_size(prefix), conn->net->options.frame_bytes_max);
    rl_connection_close(conn);
}

/* Is this a legal size?  If not, the connection is closed. */
static bool receive_check_prefix(struct rl_connection *conn, const uint8_t *prefix)
{
    uint32_t size = receive_prefix_size(prefix);

    if (RL_LIKELY(size != 0 && size <= INT32_MAX && size <= conn->net->options.frame_bytes_max)) {
        conn->seen_frame = true;
        return true;
    }
    receive_refuse(conn, prefix);
    return false;
}

/* A buffer for the frame whose prefix is here; available: bytes of it at hand.  False: paused. */
static bool receive_begin_frame(struct rl_connection *conn, size_t available)
{
    size_t size = receive_prefix_size(conn->prefix);
    size_t first = size;

    if (available < size) {             /* who has sent a large frame is believed another one */
        first = RL_MAX(RL_FRAME_FIRST_BYTES, RL_MIN(conn->bulk_bytes, RL_BULK_BYTES_MAX));
        first = RL_MIN(size, RL_MAX(first, 2 * available));
    }
    if (!receive_take_memory(conn, size, first, available >= size))
        return false;
    conn->frame = rl_buffer_create(first, conn->net->shard->index);
    conn->frame_begin = conn->frame_at = 0;
    conn->frame_end = size;
    return true;
}

/* The buffer is full and the frame is not: make it larger.  False: paused, there is no memory. */
static bool receive_grow_frame(struct rl_connection *conn, size_t at_least)
{
    size_t before = conn->frame->capacity;
    size_t larger_bytes = before < RL_FRAME_LARGE_BYTES ? 4 * before : 2 * before;
    size_t capacity = RL_MIN(conn->frame_end, RL_MAX(at_least, larger_bytes));

    if (!receive_take_memory(conn, conn->frame_end - conn->frame_begin, capacity - before,
                             at_least >= conn->frame_end))
        return false;
    struct rl_buffer *larger = rl_buffer_create(capacity, conn->net->shard->index);
    memcpy(larger->data, conn->frame->data, conn->frame_at);
    rl_buffer_unref(conn->frame);
    conn->frame = larger;
    return true;
}

/* The frame is whole: it becomes a request, and the handler has it. */
static void receive_complete_frame(struct rl_connection *conn)
{
    struct rl_request *request = rl_request_create(conn);
    size_t size = conn->frame_end - conn->frame_begin;

    RL_ASSERT(conn->charge == size && conn->charged == rl_receive_budget(conn->net, size));
    request->frame_buffer = conn->frame;
    request->frame = rl_slice_of(conn->frame->data + conn->frame_begin, size);
    request->overdraft = conn->overdraft;
    conn->frame = NULL;
    conn->charge = 0;
    conn->charged = NULL;
    conn->overdraft = false;
    conn->prefix_bytes = 0;
    conn->bulk_bytes = size >= RL_FRAME_LARGE_BYTES ? size : 0;
    conn->turn_requests++;
    conn->turn_bytes += size;
    if (rl_list_linked(&conn->partial_link))
        rl_list_remove(&conn->partial_link);
    rl_request_handle(request);
}

/* The frame did not end here: remember when it last got on.  A few bytes now and then are no progress. */
static void receive_note_progress(struct rl_connection *conn)
{
    size_t step = RL_MAX((conn->frame_end - conn->frame_begin) / RL_STALL_PARTS, RL_STALL_BYTES);

    if (rl_list_linked(&conn->partial_link)) {
        if (conn->frame_at - conn->progress_at < step)
            return;
        rl_list_remove(&conn->partial_link);
    }
    conn->progress_at = conn->frame_at;
    rl_list_push_back(&conn->net->partial, &conn->partial_link);
    conn->wait_ns = conn->net->shard->now_ns;
}

/* Complete the prefix and begin the frame.  False: paused, refused, or too few bytes. */
static bool receive_feed_prefix(struct rl_connection *conn, const uint8_t *data, size_t bytes,
                                size_t *at)
{
    if (conn->prefix_bytes == 0 && !receive_may_begin(conn))
        return false;
    if (conn->prefix_bytes < PREFIX_BYTES) {
        while (conn->prefix_bytes < PREFIX_BYTES && *at < bytes)
            conn->prefix[conn->prefix_bytes++] = data[(*at)++];
        if (conn->prefix_bytes < PREFIX_BYTES || !receive_check_prefix(conn, conn->prefix))
            return false;
    }
    return *at < bytes && receive_begin_frame(conn, bytes - *at);
}

/* Cut bytes into frames.  Returns how many were used: all, unless paused or closing. */
static size_t receive_feed(struct rl_connection *conn, const uint8_t *data, size_t bytes)
{
    size_t at = 0;

    while (at < bytes && !conn->closing) {
        if (conn->frame == NULL && !receive_feed_prefix(conn, data, bytes, &at))
            break;
        size_t piece = RL_MIN(bytes - at, conn->frame_end - conn->frame_at);
        if (conn->frame->capacity - conn->frame_at < piece &&
            !receive_grow_frame(conn, conn->frame_at + piece))
            break;
        memcpy(conn->frame->data + conn->frame_at, data + at, piece);
        conn->frame_at += piece;
        at += piece;
        if (conn->frame_at == conn->frame_end)
            receive_complete_frame(conn);
    }
    if (conn->frame != NULL && !conn->closing && !rl_list_linked(&conn->budget_link))
        receive_note_progress(conn);
    return at;
}

/* Bytes in the order of the stream: cut them, and spill what must wait. */
static void receive_bytes(struct rl_connection *conn, const uint8_t *data, size_t bytes)
{
    size_t used = 0;

    if (!conn->paused && conn->spill == NULL)
        used = receive_feed(conn, data, bytes);
    if (used < bytes && !conn->closing)
        receive_spill_append(conn, data + used, bytes - used);
}

/* The peer sends no more, and all its frames have been handled: what it asked for is still
 * answered, but what waits for something need not wait on.  If the peer is gone altogether, the
 * first send says so. */
static void receive_goodbye(struct rl_connection *conn)
{
    rl_connection_hold(conn);
    if (rl_list_linked(&conn->partial_link))
        rl_list_remove(&conn->partial_link);
    rl_receive_drop_frame(conn);
    if (!rl_request_hurry_connection(conn) || (conn->request_count == 0 && conn->send == NULL))
        rl_connection_close(conn);
    rl_connection_unhold(conn);
}

void rl_receive_resume(struct rl_connection *conn)
{
    rl_connection_hold(conn);
    conn->paused = false;
    if (rl_list_linked(&conn->wait_link) && conn->receive_state != RL_RECEIVE_FRAME)
        rl_list_remove(&conn->wait_link);               /* net->congested */
    if (conn->spill != NULL) {
        struct rl_spill *spill = conn->spill;
        size_t used = receive_feed(conn, spill->data + spill->at, spill->bytes - spill->at);
        if (!conn->closing)
            receive_spill_consume(conn, used);
    }
    if (conn->ended && conn->spill == NULL && !conn->closing)
        receive_goodbye(conn);
    rl_receive_update(conn);
    rl_connection_unhold(conn);
}

/* ---- operations ---- */

static void receive_submit_slots(struct rl_connection *conn)
{
    conn->receive_op = (struct rl_op){ .kind = RL_OP_RECEIVE, .fd = conn->fd,
                                       .done = receive_on_slot, .arg = conn };
    conn->receive_state = RL_RECEIVE_SLOTS;
    rl_submit(conn->net->shard, &conn->receive_op);
}

/* Once the frame's size is known its rest is waited for in one go, but not more than so much:
 * progress must be seen. */
#define PATIENT_BYTES_MAX ((size_t)1 << 20)

static void receive_submit_frame(struct rl_connection *conn, size_t bytes)
{
    bool patient = conn->frame_end != 0;

    if (patient)
        bytes = RL_MIN(bytes, PATIENT_BYTES_MAX);
    conn->receive_op = (struct rl_op){ .kind = RL_OP_RECEIVE_INTO, .fd = conn->fd,
                                       .done = receive_on_frame, .arg = conn,
                                       .into = { .buffer = conn->frame->data + conn->frame_at,
                                                 .bytes = bytes, .patient = patient } };
    conn->receive_state = RL_RECEIVE_FRAME;
    rl_submit(conn->net->shard, &conn->receive_op);
}

/* The last frame was large: have a buffer ready for one like it.  A little larger than that,
 * because producers' batches vary; but not more is asked for, lest we read too far. */
static void receive_submit_bulk(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;

    conn->charge = conn->bulk_bytes;
    conn->charged = &net->large;
    rl_budget_take(&net->large, conn->charge);
    conn->frame = rl_buffer_create(PREFIX_BYTES + conn->bulk_bytes + conn->bulk_bytes / 8,
                                   net->shard->index);
    conn->frame_begin = PREFIX_BYTES;
    conn->frame_end = conn->frame_at = 0;
    conn->wait_ns = net->shard->now_ns;
    rl_list_push_back(&net->bulk, &conn->wait_link);
    if (!rl_timer_running(&net->bulk_timer))
        rl_timer_start(net->shard, &net->bulk_timer, conn->wait_ns + RL_BULK_IDLE_NS);
    receive_submit_frame(conn, PREFIX_BYTES + conn->bulk_bytes);
}

/* A few that send much can take all slots again and again; this one does not stand behind them. */
static void receive_submit_own(struct rl_connection *conn)
{
    conn->own_bytes = rl_alloc(RL_RECEIVE_OWN_BYTES);
    conn->receive_op = (struct rl_op){ .kind = RL_OP_RECEIVE_INTO, .fd = conn->fd,
                                       .done = receive_on_own, .arg = conn,
                                       .into = { .buffer = conn->own_bytes,
                                                 .bytes = RL_RECEIVE_OWN_BYTES } };
    conn->receive_state = RL_RECEIVE_OWN;
    rl_submit(conn->net->shard, &conn->receive_op);
}

/* Was the last frame large, so that the next one will be, too? */
static bool receive_expects_large(const struct rl_connection *conn)
{
    return conn->frame == NULL && conn->bulk_bytes != 0 && conn->bulk_bytes <= RL_BULK_BYTES_MAX &&
           conn->prefix_bytes == 0 && conn->spill == NULL && !rl_budget_awaited(&conn->net->large) &&
           rl_budget_fits(&conn->net->large, conn->bulk_bytes, false);
}

static void receive_submit(struct rl_connection *conn)
{
    if (receive_expects_large(conn)) {
        if (receive_may_begin(conn))
            receive_submit_bulk(conn);
        return;
    }
    size_t end = conn->frame_end != 0 ? conn->frame_end : PREFIX_BYTES + conn->bulk_bytes;
    if (conn->frame == NULL || end - conn->frame_begin < RL_FRAME_LARGE_BYTES) {
        if (RL_UNLIKELY(conn->starved))
            receive_submit_own(conn);
        else
            receive_submit_slots(conn);
        return;
    }
    if (conn->frame_at == conn->frame->capacity && !receive_grow_frame(conn, 0))
        return;
    receive_submit_frame(conn, RL_MIN(end, conn->frame->capacity) - conn->frame_at);
}

/* Should the multishot receive end: to fill a large buffer directly, or to hold the peer back? */
static bool receive_must_stop(const struct rl_connection *conn)
{
    if (rl_list_linked(&conn->budget_link))
        return true;
    if (conn->frame != NULL)
        return conn->frame_end - conn->frame_at >= RL_FRAME_LARGE_BYTES;
    if (conn->spill == NULL)
        return !conn->paused && receive_expects_large(conn);
    return conn->spill->bytes - conn->spill->at > RL_SPILL_BYTES_MAX ||
           conn->net->spill_bytes > RL_NET_SPILL_BYTES_MAX;
}

void rl_receive_update(struct rl_connection *conn)
{
    if (conn->closing || conn->ended)
        return;
    if (conn->receive_state == RL_RECEIVE_NONE && !conn->paused) {
        receive_submit(conn);
    } else if (conn->receive_state == RL_RECEIVE_SLOTS && receive_must_stop(conn)) {
        conn->receive_state = RL_RECEIVE_STOPPING;
        rl_cancel(conn->net->shard, &conn->receive_op);
    }
}

/* The receive ended for good. */
static void receive_ended(struct rl_connection *conn, rl_status status)
{
    conn->ended = true;
    if (status == RL_ECLOSED && conn->spill != NULL && !conn->net->draining && !conn->stopping) {
        rl_request_hurry_connection(conn);
        return;                         /* frames are left: rl_receive_resume goes on */
    }
    if (conn->frame != NULL && conn->frame_end != 0)
        RL_DEBUG("net", "connection ended %zu bytes before the end of a frame",
                 conn->frame_end - conn->frame_at);
    if (status == RL_ECLOSED)
        receive_goodbye(conn);
    else
        rl_connection_close(conn);
}

static void receive_on_slot(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;

    RL_OBJ(conn, CONNECTION);
    rl_connection_hold(conn);
    if (!op->more)
        conn->receive_state = RL_RECEIVE_NONE;
    if (!conn->closing && op->status == RL_OK) {
        rl_net_touch(conn);
        receive_bytes(conn, op->ret_data, op->ret_bytes);
    } else if (!conn->closing && op->status == RL_EBUSY) {
        conn->starved = true;
    } else if (!conn->closing && op->status != RL_ECANCELLED) {
        receive_ended(conn, op->status);
    }
    rl_receive_update(conn);
    rl_connection_unhold(conn);
}

static void receive_on_own(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;
    uint8_t *bytes = conn->own_bytes;

    RL_OBJ(conn, CONNECTION);
    rl_connection_hold(conn);
    conn->receive_state = RL_RECEIVE_NONE;
    conn->own_bytes = NULL;
    conn->starved = false;
    if (!conn->closing && op->status == RL_OK) {
        rl_net_touch(conn);
        receive_bytes(conn, bytes, op->ret_bytes);
    } else if (!conn->closing) {
        receive_ended(conn, op->status);
    }
    rl_free(bytes);
    rl_receive_update(conn);
    rl_connection_unhold(conn);
}

/* The expected frame was not like the last one: treat its bytes as if they came in a slot. */
static void receive_bulk_refeed(struct rl_connection *conn)
{
    struct rl_buffer *buffer = conn->frame;

    conn->frame = NULL;
    if (rl_list_linked(&conn->partial_link))
        rl_list_remove(&conn->partial_link);
    receive_give_charge(conn);
    receive_bytes(conn, buffer->data, conn->frame_at);
    rl_buffer_unref(buffer);
}

/* The prefix of an expected frame is here.  False: the frame is not in this buffer any more. */
static bool receive_bulk_size(struct rl_connection *conn)
{
    size_t size = receive_prefix_size(conn->frame->data);

    if (!receive_check_prefix(conn, conn->frame->data))
        return false;
    if (size < RL_FRAME_LARGE_BYTES || PREFIX_BYTES + size > conn->frame->capacity ||
        size < conn->frame->capacity / 2) {
        receive_bulk_refeed(conn);
        return false;
    }
    rl_budget_take(&conn->net->large, size);
    receive_give_charge(conn);
    conn->charge = size;
    conn->charged = &conn->net->large;
    conn->frame_end = PREFIX_BYTES + size;
    return true;
}

/* Bytes arrived in conn->frame. */
static void receive_frame_bytes(struct rl_connection *conn)
{
    if (conn->frame_end == 0 && conn->frame_at >= PREFIX_BYTES && !receive_bulk_size(conn))
        return;
    if (conn->frame_end == 0 || conn->frame_at < conn->frame_end) {
        receive_note_progress(conn);
        return;
    }
    struct rl_buffer *buffer = rl_buffer_ref(conn->frame);
    size_t end = conn->frame_end, surplus = conn->frame_at - conn->frame_end;
    receive_complete_frame(conn);
    if (surplus != 0 && !conn->closing)
        receive_bytes(conn, buffer->data + end, surplus);
    rl_buffer_unref(buffer);
}

static void receive_on_frame(struct rl_op *op)
{
    struct rl_connection *conn = op->arg;

    RL_OBJ(conn, CONNECTION);
    rl_connection_hold(conn);
    conn->receive_state = RL_RECEIVE_NONE;
    if (rl_list_linked(&conn->wait_link))
        rl_list_remove(&conn->wait_link);               /* net->bulk */
    if (!conn->closing && op->status == RL_OK) {
        rl_net_touch(conn);
        conn->frame_at += op->ret_bytes;
        receive_frame_bytes(conn);
    } else if (!conn->closing && op->status == RL_ECANCELLED) {
        RL_ASSERT(conn->frame_end == 0 && conn->frame_at == 0);
        conn->bulk_bytes = 0;
        rl_receive_drop_frame(conn);
    } else if (!conn->closing) {
        receive_ended(conn, op->status);
    }
    rl_receive_update(conn);
    rl_connection_unhold(conn);
}

/* Expectant connections that wait too long give their buffers back. */
void rl_receive_on_bulk_timer(struct rl_timer *timer)
{
    struct rl_net *net = timer->arg;
    struct rl_list *node;

    while ((node = rl_list_first(&net->bulk)) != NULL) {
        struct rl_connection *conn = RL_LIST_ENTRY(node, struct rl_connection, wait_link);
        if (net->shard->now_ns - conn->wait_ns < RL_BULK_IDLE_NS) {
            rl_timer_start(net->shard, timer, conn->wait_ns + RL_BULK_IDLE_NS);
            return;
        }
        rl_list_remove(node);
        rl_cancel(net->shard, &conn->receive_op);
    }
}

/* ---- the end ---- */

void rl_receive_drop_frame(struct rl_connection *conn)
{
    RL_ASSERT(!rl_list_linked(&conn->partial_link));
    rl_buffer_unref(conn->frame);
    conn->frame = NULL;
    receive_give_charge(conn);
}

void rl_receive_close(struct rl_connection *conn)
{
    struct rl_list *links[] = { &conn->resume_link, &conn->wait_link, &conn->budget_link,
                                &conn->partial_link };

    for (size_t i = 0; i < RL_ARRAY_COUNT(links); i++) {
        if (rl_list_linked(links[i]))
            rl_list_remove(links[i]);
    }
    if (conn->spill != NULL)
        receive_spill_consume(conn, conn->spill->bytes - conn->spill->at);
    if (conn->receive_state != RL_RECEIVE_FRAME)
        rl_receive_drop_frame(conn);
    if (conn->wanted != 0) {            /* its turn is another's */
        conn->wanted = 0;
        receive_wake(conn->net, &conn->net->small);
        receive_wake(conn->net, &conn->net->large);
    }
}

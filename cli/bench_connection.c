/* cli/bench_connection.c — one raw connection of the load generator. */
#include "cli/bench_connection.h"
#include "core/memory.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include <string.h>

#define PREFIX_BYTES_FIRST ((size_t)256)
#define PREFIX_BYTES_MAX ((size_t)64 << 20)
#define FRAME_BYTES_MAX ((size_t)256 << 20)

static void connection_fail(struct rl_bench_connection *c, const char *what, rl_status status)
{
    c->on_failed(c, what, status);
}

/* ---- receive ---- */

static void connection_receive(struct rl_bench_connection *c)
{
    if (*c->stopped)
        return;
    if (c->in_capacity - c->in_bytes < c->in_bytes_min / 2) {
        c->in_capacity *= 2;
        c->in = rl_realloc(c->in, c->in_capacity);
    }
    c->receive_op.kind = RL_OP_RECEIVE_INTO;
    c->receive_op.fd = c->fd;
    c->receive_op.into.buffer = c->in + c->in_bytes;
    c->receive_op.into.bytes = c->in_capacity - c->in_bytes;
    rl_submit(c->shard, &c->receive_op);
}

static bool connection_take_frame(struct rl_bench_connection *c, size_t *at)
{
    const uint8_t *p = c->in + *at;
    if (c->in_bytes - *at < 4)
        return false;
    size_t bytes = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (bytes > FRAME_BYTES_MAX) {
        connection_fail(c, "answer", RL_ETOOLARGE);
        return false;
    }
    if (c->in_bytes - *at - 4 < bytes) {
        if (c->in_capacity < bytes + 4 + c->in_bytes_min) {
            c->in_capacity = bytes + 4 + c->in_bytes_min;
            c->in = rl_realloc(c->in, c->in_capacity);
        }
        return false;
    }
    if (c->head == c->sent) {
        connection_fail(c, "answer without a request", RL_EMALFORMED);
        return false;
    }
    *at += 4 + bytes;
    struct rl_bench_slot *slot = &c->slots[c->head++ % c->in_flight_max];
    c->on_answer(c, slot, rl_slice_of(p + 4, bytes));
    return true;
}

static void on_received(struct rl_op *op)
{
    struct rl_bench_connection *c = op->arg;
    if (op->status != RL_OK) {
        connection_fail(c, "receive", op->status);
        return;
    }
    c->in_bytes += op->ret_bytes;
    c->wire_bytes_in += op->ret_bytes;
    size_t at = 0;
    while (connection_take_frame(c, &at))
        ;
    memmove(c->in, c->in + at, c->in_bytes - at);
    c->in_bytes -= at;
    connection_receive(c);
    rl_bench_connection_flush(c);
}

/* ---- send ---- */

static void on_sent_op(struct rl_op *op)
{
    struct rl_bench_connection *c = op->arg;
    if (op->status != RL_OK) {
        connection_fail(c, "send", op->status);
        return;
    }
    c->wire_bytes_out += op->ret_bytes;
    bool freed = false;
    while (c->head < c->sent && !c->slots[c->head % c->in_flight_max].has_answer) {
        c->head++;
        freed = true;
    }
    if (freed)
        c->on_sent(c);
    rl_bench_connection_flush(c);
}

void rl_bench_connection_flush(struct rl_bench_connection *c)
{
    if (*c->stopped || c->send_op.in_flight || c->sent == c->tail)
        return;
    int count = 0;
    for (; c->sent < c->tail; c->sent++) {
        struct rl_bench_slot *slot = &c->slots[c->sent % c->in_flight_max];
        c->iov[count++] = (struct iovec){ slot->prefix, slot->prefix_bytes };
        if (slot->body.bytes > 0)
            c->iov[count++] = (struct iovec){ (void *)(uintptr_t)slot->body.data, slot->body.bytes };
    }
    c->send_op.kind = RL_OP_SEND;
    c->send_op.fd = c->fd;
    c->send_op.send.iov = c->iov;
    c->send_op.send.iov_count = count;
    rl_submit(c->shard, &c->send_op);
}

struct rl_bench_slot *rl_bench_connection_slot(struct rl_bench_connection *c)
{
    if (c->tail - c->head == c->in_flight_max)
        return NULL;
    return &c->slots[c->tail % c->in_flight_max];
}

void rl_bench_connection_queue(struct rl_bench_connection *c)
{
    c->tail++;
}

static void slot_grow(struct rl_bench_slot *slot)
{
    slot->prefix_capacity = slot->prefix_capacity == 0 ? PREFIX_BYTES_FIRST : 2 * slot->prefix_capacity;
    RL_ASSERT(slot->prefix_capacity <= PREFIX_BYTES_MAX);
    slot->prefix = rl_realloc(slot->prefix, slot->prefix_capacity);
}

/* False: it needs more room. */
static bool slot_try_encode(struct rl_bench_slot *slot, int16_t api_key, int16_t version,
                            const struct rl_request_header *header, const void *message,
                            struct rl_writer *ret_writer, struct rl_wr_external *ret_external)
{
    struct rl_writer w = rl_wr_of(slot->prefix, slot->prefix_capacity);
    w.externals = ret_external;
    w.externals_capacity = 1;
    rl_wr_u32(&w, 0);                   /* the size, later */
    rl_request_header_encode(&w, rl_request_header_version(api_key, version), header);
    rl_api_find(api_key)->request.encode(&w, version, message);
    RL_ASSERT(rl_wr_done(&w) == RL_OK || rl_wr_done(&w) == RL_EFULL);
    *ret_writer = w;
    return rl_wr_done(&w) == RL_OK;
}

void rl_bench_slot_encode(struct rl_bench_slot *slot, int16_t api_key, int16_t version,
                          int32_t correlation_id, const void *message, struct rl_slice records)
{
    struct rl_request_header header = {
        .request_api_key = api_key,
        .request_api_version = version,
        .correlation_id = correlation_id,
        .client_id = rl_slice_of_string("ringlog-bench"),
    };
    struct rl_wr_external external[1];
    struct rl_writer w;
    if (slot->prefix == NULL)
        slot_grow(slot);
    while (!slot_try_encode(slot, api_key, version, &header, message, &w, external))
        slot_grow(slot);
    slot->prefix_bytes = rl_wr_bytes(&w);
    slot->body = records;
    RL_ASSERT(records.bytes == 0 || external[0].at == slot->prefix_bytes);
    struct rl_writer size = rl_wr_of(slot->prefix, 4);
    rl_wr_u32(&size, (uint32_t)(slot->prefix_bytes - 4 + records.bytes));
    slot->has_answer = true;
}

/* ---- life ---- */

static void on_connected(struct rl_op *op)
{
    struct rl_bench_connection *c = op->arg;
    if (op->status != RL_OK) {
        connection_fail(c, "cannot connect", op->status);
        return;
    }
    c->fd = op->ret_fd;
    rl_socket_tune(c->shard, c->fd, -1, -1);
    connection_receive(c);
    c->on_ready(c);
}

void rl_bench_connection_open(struct rl_bench_connection *c, struct rl_shard *shard, const char *host,
                              uint16_t port, uint32_t in_flight_max, size_t in_bytes_min)
{
    c->shard = shard;
    c->fd = -1;
    c->in_flight_max = in_flight_max;
    c->slots = rl_alloc_zero(in_flight_max, sizeof *c->slots);
    c->iov = rl_alloc_zero(2 * (size_t)in_flight_max, sizeof *c->iov);
    c->in_bytes_min = in_bytes_min;
    c->in_capacity = in_bytes_min;
    c->in = rl_alloc(c->in_capacity);
    c->send_op = (struct rl_op){ .done = on_sent_op, .arg = c };
    c->receive_op = (struct rl_op){ .done = on_received, .arg = c };
    c->connect_op = (struct rl_op){ .kind = RL_OP_CONNECT, .done = on_connected, .arg = c,
                                    .connect = { .host = host, .port = port } };
    rl_submit(shard, &c->connect_op);
}

void rl_bench_connection_free(struct rl_bench_connection *c)
{
    for (uint32_t i = 0; c->slots != NULL && i < c->in_flight_max; i++)
        rl_free(c->slots[i].prefix);
    rl_free(c->slots);
    rl_free(c->iov);
    rl_free(c->in);
}

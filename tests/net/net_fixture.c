/* tests/net/net_fixture.c — a net on shards in one thread, clients in the same thread. */
#include "net_fixture.h"
#include "core/buffer.h"
#include "core/logger.h"
#include "core/memory.h"
#include <criterion/criterion.h>
#include <string.h>

#define CHUNK_BYTES 100000u
#define CLIENT_READ_BYTES 65536u

/* ---- rows of bytes ---- */

void bytes_append(struct bytes *to, const void *data, size_t count)
{
    if (count == 0)
        return;
    if (to->capacity - to->count < count) {
        to->capacity = RL_MAX(2 * to->capacity, to->count + count);
        to->data = rl_realloc(to->data, to->capacity);
    }
    memcpy(to->data + to->count, data, count);
    to->count += count;
}

void bytes_free(struct bytes *b)
{
    rl_free(b->data);
    *b = (struct bytes){ 0 };
}

static void bytes_append_u32(struct bytes *to, uint32_t value)
{
    uint8_t raw[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                      (uint8_t)value };
    bytes_append(to, raw, sizeof raw);
}

void bytes_frame(struct bytes *to, char kind, size_t size, uint32_t seed)
{
    uint8_t *body = rl_alloc(size);

    body[0] = (uint8_t)kind;
    for (size_t i = 1; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        body[i] = (uint8_t)(seed >> 24);
    }
    bytes_append_u32(to, (uint32_t)size);
    bytes_append(to, body, size);
    rl_free(body);
}

static void big_pattern(uint8_t *to, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((at + i) * 31 >> 3);
}

void bytes_big_ask(struct bytes *to, uint32_t reply_bytes)
{
    bytes_append_u32(to, 5);
    bytes_append(to, "b", 1);
    bytes_append_u32(to, reply_bytes);
}

void bytes_big_reply(struct bytes *to, uint32_t reply_bytes)
{
    uint8_t *body = rl_alloc(reply_bytes + 1);

    big_pattern(body, 0, reply_bytes);
    bytes_append_u32(to, reply_bytes);
    bytes_append(to, body, reply_bytes);
    rl_free(body);
}

/* ---- the handler ---- */

static void handler_forget(struct fixture *f, struct rl_request *request)
{
    f->in_handler_bytes -= request->frame.bytes;
    for (uint32_t i = 0; i < f->parked_count; i++) {
        if (f->parked[i] == request)
            f->parked[i] = NULL;
    }
}

static struct fixture *handler_fixture(const struct rl_request *request)
{
    return rl_connection_handler_arg(request->connection);
}

static void handler_on_cancel(struct rl_request *request)
{
    struct fixture *f = handler_fixture(request);

    cr_assert(rl_connection_closing(request->connection));
    f->cancelled++;
    if (f->cancel_later)
        return;
    handler_forget(f, request);
    rl_request_finish(request);
}

static void handler_echo(struct fixture *f, struct rl_request *request)
{
    struct rl_chunk chunk = { .data = request->frame.data, .bytes = request->frame.bytes,
                              .buffer = rl_buffer_ref(request->frame_buffer) };
    handler_forget(f, request);
    rl_request_reply(request, &chunk, 1);
}

static void handler_big(struct fixture *f, struct rl_request *request)
{
    const uint8_t *p = request->frame.data + 1;
    size_t bytes = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    uint32_t count = 0;
    struct rl_chunk *chunks = rl_alloc_zero(bytes / CHUNK_BYTES + 1, sizeof *chunks);

    for (size_t at = 0; at < bytes; at += chunks[count++].bytes) {
        size_t piece = RL_MIN(bytes - at, CHUNK_BYTES);
        struct rl_buffer *buffer = rl_buffer_create(piece, rl_self->index);
        big_pattern(buffer->data, at, piece);
        chunks[count] = (struct rl_chunk){ buffer->data, piece, buffer };
    }
    handler_forget(f, request);
    rl_request_reply(request, chunks, count);
    rl_free(chunks);
}

static void handler_park(struct fixture *f, struct rl_request *request)
{
    cr_assert_lt(f->parked_count, FIXTURE_PARKED_MAX);
    f->parked[f->parked_count++] = request;
    request->on_cancel = handler_on_cancel;
}

static void handler(struct rl_request *request)
{
    struct fixture *f = handler_fixture(request);

    RL_OBJ(request, REQUEST);
    cr_assert_eq(rl_connection_shard(request->connection), rl_self);
    f->handled++;
    f->handled_by_shard[rl_self->index]++;
    f->in_handler_bytes += request->frame.bytes;
    f->in_handler_bytes_max = RL_MAX(f->in_handler_bytes_max, f->in_handler_bytes);
    switch (request->frame.data[0]) {
    case 'e':
        handler_echo(f, request);
        break;
    case 'p':
        handler_park(f, request);
        break;
    case 'b':
        handler_big(f, request);
        break;
    case 'f':
        handler_forget(f, request);
        rl_request_finish(request);
        break;
    case 'c':
        handler_forget(f, request);
        rl_request_close(request);
        break;
    default:
        cr_assert_fail("frame of unknown kind %d", request->frame.data[0]);
    }
}

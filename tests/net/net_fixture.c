/* tests/net/net_fixture.c — a net on shards in one thread, clients in the same thread. */
#include "net_fixture.h"
#include "core/buffer.h"
#include "core/logger.h"
#include "core/memory.h"
#include <criterion/criterion.h>
#include <string.h>

#define FIXTURE_WINDOW_BYTES (256u * 1024u)
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

void bytes_lent_ask(struct bytes *to, uint32_t reply_bytes)
{
    bytes_append_u32(to, 5);
    bytes_append(to, "l", 1);
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
        chunks[count] = (struct rl_chunk){ buffer->data, piece, { buffer } };
    }
    handler_forget(f, request);
    rl_request_reply(request, chunks, count);
    rl_free(chunks);
}

/* ---- replies that are lent from a file ---- */

void fixture_make_pattern_file(struct fixture *f, size_t file_bytes)
{
    struct rl_disk *disk = rl_mem_disk(f->mem);
    uint8_t *data = rl_alloc(file_bytes);
    struct iovec iov = { data, file_bytes };
    size_t wrote;

    big_pattern(data, 0, file_bytes);
    cr_assert_eq(rl_disk_open(disk, "pattern", RL_OPEN_WRITE | RL_OPEN_CREATE, &f->pattern_file), RL_OK);
    cr_assert_eq(rl_disk_write(disk, f->pattern_file, 0, &iov, 1, &wrote), RL_OK);
    rl_free(data);
}

struct pattern_lease {
    struct rl_file_lease lent;
    struct fixture *f;
};

static void pattern_release(struct rl_file_lease *lent)
{
    struct pattern_lease *lease = RL_CONTAINER_OF(lent, struct pattern_lease, lent);

    cr_assert_gt(lease->f->leases, 0);
    lease->f->leases--;
    rl_free(lease);
}

static struct rl_chunk pattern_lend(struct fixture *f, size_t at, size_t bytes)
{
    struct pattern_lease *lease = rl_alloc_zero(1, sizeof *lease);

    lease->lent = (struct rl_file_lease){ .fd = f->pattern_file, .pos = at, .release = pattern_release };
    lease->f = f;
    f->leases++;
    return (struct rl_chunk){ .bytes = bytes, .file = &lease->lent };
}

static void handler_lent(struct fixture *f, struct rl_request *request)
{
    static const size_t sizes[] = { 37, 70000, 600, 5, 200000, 20, 1, 1100000, 513, 6000000 };
    const uint8_t *p = request->frame.data + 1;
    size_t bytes = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    struct rl_chunk chunks[64];
    uint32_t count = 0;

    for (size_t at = 0; at < bytes; at += chunks[count++].bytes) {
        size_t piece = RL_MIN(bytes - at, sizes[count % RL_ARRAY_COUNT(sizes)]);
        cr_assert_lt(count, RL_ARRAY_COUNT(chunks));
        if (count % 2 == 1 || count == 4) {
            chunks[count] = pattern_lend(f, at, piece);
            continue;
        }
        struct rl_buffer *buffer = rl_buffer_create(piece, rl_self->index);
        big_pattern(buffer->data, at, piece);
        chunks[count] = (struct rl_chunk){ buffer->data, piece, { buffer } };
    }
    handler_forget(f, request);
    rl_request_reply(request, chunks, count);
}

static void handler_park(struct fixture *f, struct rl_request *request)
{
    cr_assert_lt(f->parked_count, FIXTURE_PARKED_MAX);
    f->parked[f->parked_count++] = request;
    request->on_cancel = handler_on_cancel;
}

static void handler_on_hurry(struct rl_request *request)
{
    handler_fixture(request)->hurried++;
    handler_echo(handler_fixture(request), request);
}

static void handler_park_patiently(struct fixture *f, struct rl_request *request)
{
    cr_assert_not_null(rl_arena_alloc(&request->arena, 100000));
    handler_park(f, request);
    request->on_hurry = handler_on_hurry;
}

struct handler_message {
    struct rl_msg msg;
    struct rl_request *request;
};

static void handler_on_returned(struct rl_shard *shard, struct rl_msg *msg)
{
    struct handler_message *message = RL_CONTAINER_OF(msg, struct handler_message, msg);

    (void)shard;
    handler_echo(handler_fixture(message->request), message->request);
    rl_free(message);
}

static void handler_on_asked(struct rl_shard *shard, struct rl_msg *msg)
{
    struct handler_message *message = RL_CONTAINER_OF(msg, struct handler_message, msg);

    (void)shard;
    msg->handle = handler_on_returned;
    rl_shard_post(rl_connection_shard(message->request->connection), msg);
}

static void handler_ask(struct rl_request *request)
{
    struct handler_message *message = rl_alloc(sizeof *message);

    *message = (struct handler_message){ .msg = { .handle = handler_on_asked }, .request = request };
    rl_shard_post(rl_shard_peer(rl_self, (rl_self->index + 1) % rl_self->count), &message->msg);
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
    case 'q':
        handler_park_patiently(f, request);
        break;
    case 'm':
        handler_ask(request);
        break;
    case 'b':
        handler_big(f, request);
        break;
    case 'l':
        handler_lent(f, request);
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

/* ---- the shards ---- */

static void fixture_sink(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    struct fixture *f = arg;

    (void)level;
    if (bytes < sizeof f->log - f->log_bytes) {
        memcpy(f->log + f->log_bytes, line, bytes);
        f->log_bytes += bytes;
        f->log[f->log_bytes] = '\0';
    }
}

struct rl_net_options fixture_options(void)
{
    return (struct rl_net_options){
        .handler = handler,
        .frame_bytes_max = (size_t)20 * 1024 * 1024,
        .request_bytes_max = (size_t)64 * 1024 * 1024,
        .arena_bytes_max = (size_t)1024 * 1024,
        .requests_in_flight_max = 1000,
        .connection_limits = RL_CONNECTION_LIMITS(1000),
        .idle_ns_max = (int64_t)600 * 1000 * 1000 * 1000,
        .send_buffer_bytes = -1,
        .receive_buffer_bytes = -1,
        .backlog = 16,
    };
}

static rl_status fixture_on_start(struct rl_shard *shard, void *arg)
{
    return rl_net_start(shard, arg);
}

void fixture_start(struct fixture *f, uint32_t shard_count, const struct rl_net_options *options)
{
    struct rl_net_options own = *options;
    struct rl_shard_set_options set = { .shard_count = shard_count, .backend = &rl_backend_mem };

    *f = (struct fixture){ .shard_count = shard_count, .mem = rl_mem_create(1) };
    set.disk = rl_mem_disk(f->mem);
    rl_logger_set_sink(fixture_sink, f);
    own.handler_arg = f;
    rl_mem_set_window(f->mem, FIXTURE_WINDOW_BYTES);
    rl_mem_set_receive_max(f->mem, FIXTURE_WINDOW_BYTES);
    cr_assert_eq(rl_shard_set_create(&set, &f->set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(f->set, fixture_on_start, &own), RL_OK);
    rl_self = rl_shard_set_get(f->set, 0);
    cr_assert_eq(rl_net_listen(rl_self, 7, "127.0.0.1", 0, &f->port), RL_OK);
    rl_self = NULL;
    fixture_run(f);
}

void fixture_run(struct fixture *f)
{
    rl_mem_settle(f->set);
}

void fixture_advance(struct fixture *f, int64_t ns)
{
    rl_mem_advance(f->mem, ns);
    fixture_run(f);
}

static void fixture_on_drained(void *arg)
{
    struct fixture *f = arg;
    f->drained++;
}

void fixture_drain(struct fixture *f, int64_t grace_ns)
{
    for (uint32_t i = 0; i < f->shard_count; i++) {
        rl_self = rl_shard_set_get(f->set, i);
        if (i == 0)
            rl_net_stop_listening(rl_self);
        rl_net_drain(rl_self, grace_ns, fixture_on_drained, f);
    }
    rl_self = NULL;
    f->draining = true;
    fixture_run(f);
}

static void fixture_on_finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_net_stop(shard);
}

void fixture_stop(struct fixture *f)
{
    if (f->set == NULL)
        return;
    if (!f->draining)
        fixture_drain(f, 0);
    fixture_advance(f, 1);
    cr_assert_eq(f->drained, f->shard_count);
    cr_assert_eq(fixture_connections(f), 0);
    cr_assert_eq(rl_mem_socket_count(f->mem), 0);
    fixture_stop_now(f);
}

void fixture_stop_now(struct fixture *f)
{
    rl_shard_set_stop(f->set);
    rl_shard_set_join(f->set, fixture_on_finish, NULL);
    rl_shard_set_free(f->set);
    f->set = NULL;
    cr_assert_eq(f->leases, 0, "%u leases are still out", f->leases);
    if (f->pattern_file != 0)
        rl_disk_close(rl_mem_disk(f->mem), f->pattern_file);
    rl_mem_free(f->mem);
    rl_logger_set_sink(NULL, NULL);
}

uint32_t fixture_connections(const struct fixture *f)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < f->shard_count; i++)
        count += rl_net_connection_count(rl_shard_set_get(f->set, i));
    return count;
}

/* The test answers for the handler: on the connection's shard. */
static struct rl_request *fixture_take(struct fixture *f, uint32_t i)
{
    struct rl_request *request = f->parked[i];

    cr_assert_lt(i, f->parked_count);
    cr_assert_not_null(request);
    rl_self = rl_connection_shard(request->connection);
    return request;
}

void fixture_answer(struct fixture *f, uint32_t i)
{
    handler_echo(f, fixture_take(f, i));
    rl_self = NULL;
}

void fixture_finish(struct fixture *f, uint32_t i)
{
    struct rl_request *request = fixture_take(f, i);

    handler_forget(f, request);
    rl_request_finish(request);
    rl_self = NULL;
}

void fixture_close(struct fixture *f, uint32_t i)
{
    struct rl_request *request = fixture_take(f, i);

    handler_forget(f, request);
    rl_request_close(request);
    rl_self = NULL;
}

/* ---- clients ---- */

struct client client_open(struct fixture *f)
{
    struct client c = { .f = f, .end = rl_mem_connect(f->mem, f->port) };

    cr_assert_not_null(c.end);
    return c;
}

size_t client_write_some(struct client *c, const void *data, size_t count)
{
    const uint8_t *p = data;
    size_t at = 0, n;

    do {
        n = rl_mem_client_send(c->end, p + at, count - at);
        at += n;
        fixture_run(c->f);
    } while (n != 0 && at < count);
    return at;
}

/* Take in what is there; false at the end of the stream. */
static bool client_take(struct client *c)
{
    uint8_t piece[CLIENT_READ_BYTES];
    size_t n;

    while (!c->stopped && (n = rl_mem_client_receive(c->end, piece, sizeof piece)) != 0)
        bytes_append(&c->in, piece, n);
    return !rl_mem_client_ended(c->end);
}

void client_write(struct client *c, const void *data, size_t count)
{
    const uint8_t *p = data;

    for (size_t at = 0; at < count;) {
        size_t n = client_write_some(c, p + at, count - at), before = c->in.count;
        at += n;
        if (!client_take(c))
            return;
        fixture_run(c->f);
        cr_assert(n != 0 || c->in.count != before, "%zu bytes are not taken", count - at);
    }
}

bool client_read(struct client *c)
{
    size_t before;
    bool open;

    do {
        before = c->in.count;
        fixture_run(c->f);
        open = client_take(c);
    } while (open && c->in.count != before);
    return open;
}

bool client_got(struct client *c, const struct bytes *expected)
{
    client_read(c);
    bool same = c->in.count == expected->count &&
                (c->in.count == 0 || memcmp(c->in.data, expected->data, c->in.count) == 0);
    if (!same)
        fprintf(stderr, "expected %zu bytes, got %zu\n", expected->count, c->in.count);
    c->in.count = 0;
    return same;
}

void client_close(struct client *c)
{
    rl_mem_client_close(c->end);
    c->end = NULL;
    bytes_free(&c->in);
}

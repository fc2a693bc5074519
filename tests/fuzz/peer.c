/* tests/fuzz/peer.c — one connection and its judge. */
#include "tests/fuzz/peer.h"
#include "broker/dispatch.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include "wire/msg_produce.h"

#define SIZE_BYTES 4
#define DECODE_BYTES_MAX ((size_t)64 << 20)
#define ANSWER_BYTES_MAX ((size_t)8 << 20)

/* ---- bytes ---- */

void bytes_append(struct bytes *bytes, const void *data, size_t count)
{
    if (bytes->at == bytes->end)
        bytes->at = bytes->end = 0;
    if (bytes->end + count > bytes->capacity) {
        bytes->capacity = RL_MAX(2 * (bytes->end + count), 4096);
        bytes->data = rl_realloc(bytes->data, bytes->capacity);
    }
    if (count != 0)
        memcpy(bytes->data + bytes->end, data, count);
    bytes->end += count;
}

static struct rl_slice bytes_left(const struct bytes *bytes)
{
    return bytes->at == bytes->end ? rl_slice_of("", 0)
                                   : rl_slice_of(bytes->data + bytes->at, bytes->end - bytes->at);
}

void bytes_done(struct bytes *bytes)
{
    rl_free(bytes->data);
    *bytes = (struct bytes){ 0 };
}

/* ---- what is asked ---- */

static const struct rl_api_row *find_row(int16_t key)
{
    uint32_t count;
    const struct rl_api_row *rows = rl_api_rows(&count);

    for (uint32_t i = 0; i < count; i++)
        if (rows[i].key == key)
            return &rows[i];
    return NULL;
}

struct expected peer_judge_frame(struct rl_arena *arena, struct rl_slice frame)
{
    struct rl_reader r = rl_rd_of(frame);
    struct rl_request_header header;
    struct expected e = { .kind = EXPECT_END };

    if (rl_request_header_read(&r, &header) != RL_OK)
        return e;
    e.key = header.request_api_key;
    e.version = e.answer_version = header.request_api_version;
    e.correlation_id = header.correlation_id;
    const struct rl_api_row *row = find_row(e.key);
    if (row == NULL)
        return e;
    if (e.version < row->served_min || e.version > row->announced_max) {
        if (e.key == RL_API_API_VERSIONS) {
            e.answer_version = 0;
            e.kind = EXPECT_ANSWER;
        }
        return e;
    }
    const struct rl_message_info *info = &rl_api_find(e.key)->request;
    rl_arena_reset(arena);
    void *message = rl_arena_alloc_array(arena, 1, info->struct_bytes);
    RL_ASSERT(message != NULL);
    if (info->decode(&r, e.version, arena, message) != RL_OK)
        return e;
    e.kind = EXPECT_ANSWER;
    if (e.key == RL_API_PRODUCE && ((const struct rl_produce_request *)message)->acks == 0)
        e.kind = EXPECT_SILENCE;
    return e;
}

static void expect(struct peer *peer, struct expected e)
{
    if (peer->queue_count == 0)
        peer->queue_at = 0;
    if (peer->queue_at + peer->queue_count == peer->queue_capacity) {
        peer->queue_capacity = RL_MAX(2 * peer->queue_capacity, 16);
        peer->queue = rl_realloc(peer->queue, peer->queue_capacity * sizeof *peer->queue);
    }
    peer->queue[peer->queue_at + peer->queue_count++] = e;
    peer->hopeless = e.kind == EXPECT_END || e.kind == EXPECT_END_NOW;
}

static void cut_frames(struct peer *peer)
{
    struct rl_slice left;

    while (!peer->hopeless && (left = bytes_left(&peer->sent)).bytes >= SIZE_BYTES) {
        size_t bytes = rl_get_u32(left.data);
        if (bytes == 0 || bytes > PEER_FRAME_BYTES_MAX) {
            expect(peer, (struct expected){ .kind = EXPECT_END_NOW });
            return;
        }
        if (left.bytes < SIZE_BYTES + bytes)
            return;
        expect(peer, peer_judge_frame(&peer->arena, rl_slice_of(left.data + SIZE_BYTES, bytes)));
        peer->sent.at += SIZE_BYTES + bytes;
    }
}

/* ---- what comes back ---- */

static struct expected *first(const struct peer *peer)
{
    return peer->queue_count == 0 ? NULL : &peer->queue[peer->queue_at];
}

static void pop(struct peer *peer)
{
    peer->queue_at++;
    peer->queue_count--;
}

static void judge_answer(struct peer *peer, struct rl_slice frame)
{
    while (peer->queue_count != 0 && first(peer)->kind == EXPECT_SILENCE)
        pop(peer);
    if (peer->queue_count == 0 || first(peer)->kind != EXPECT_ANSWER)
        fuzz_fail("%zu bytes of an answer to nothing", frame.bytes);
    struct expected to = *first(peer);
    const struct rl_message_info *info = &rl_api_find(to.key)->response;
    struct rl_response_header header;
    struct rl_reader r = rl_rd_of(frame);
    pop(peer);
    rl_arena_reset(&peer->arena);
    if (rl_response_header_decode(&r, rl_response_header_version(to.key, to.version), &peer->arena,
                                  &header) != RL_OK || header.correlation_id != to.correlation_id)
        fuzz_fail("%s version %d: not the answer to correlation id %d", info->name, to.version,
                  to.correlation_id);
    void *message = rl_arena_alloc_array(&peer->arena, 1, info->struct_bytes);
    RL_ASSERT(message != NULL);
    if (info->decode(&r, to.answer_version, &peer->arena, message) != RL_OK)
        fuzz_fail("%s version %d cannot be decoded", info->name, to.version);
    if (rl_rd_remaining(&r) != 0)
        fuzz_fail("%s version %d: %zu bytes too many", info->name, to.version, rl_rd_remaining(&r));
    peer->on_answer(peer->arg, &to, message);
}

static void judge_received(struct peer *peer)
{
    struct rl_slice left;

    while ((left = bytes_left(&peer->in)).bytes >= SIZE_BYTES) {
        size_t bytes = rl_get_u32(left.data);
        if (bytes < SIZE_BYTES || bytes > ANSWER_BYTES_MAX)
            fuzz_fail("an answer of %zu bytes", bytes);
        if (left.bytes < SIZE_BYTES + bytes)
            return;
        peer->in.at += SIZE_BYTES + bytes;
        judge_answer(peer, rl_slice_of(left.data + SIZE_BYTES, bytes));
    }
}

/* Something was sent for which the connection ends at once, whatever is on its way. */
static bool ends_now(const struct peer *peer)
{
    for (size_t i = 0; i < peer->queue_count; i++)
        if (peer->queue[peer->queue_at + i].kind == EXPECT_END_NOW)
            return true;
    return false;
}

static bool has_reason_to_end(const struct peer *peer)
{
    const struct expected *e = first(peer);

    if (ends_now(peer))
        return true;
    if (e == NULL)
        return peer->half_closed;
    return e->kind != EXPECT_ANSWER;
}

static void judge_end(struct peer *peer, bool ending)
{
    const struct expected *e = first(peer);

    if (!ending && !has_reason_to_end(peer))
        fuzz_fail("closed without a reason; next was %s version %d%s",
                  e == NULL ? "nothing" : rl_api_find(e->key)->name, e == NULL ? 0 : e->version,
                  peer->half_closed ? ", half closed" : "");
    if (!ending && !ends_now(peer) && bytes_left(&peer->in).bytes != 0)
        fuzz_fail("closed within an answer");
    peer_close(peer, false);
}

/* ---- moving ---- */

static size_t crumb(const struct peer *peer, size_t bytes)
{
    return peer->crumb_bytes == 0 ? bytes : RL_MIN(bytes, peer->crumb_bytes);
}

static bool move_out(struct peer *peer)
{
    struct rl_slice left = bytes_left(&peer->out);
    size_t moved = left.bytes == 0 || peer->half_closed ? 0
                 : rl_mem_client_send(peer->client, left.data, crumb(peer, left.bytes));

    if (moved == 0)
        return false;
    bytes_append(&peer->sent, left.data, moved);
    peer->out.at += moved;
    cut_frames(peer);
    return true;
}

static bool move_in(struct peer *peer, bool ending)
{
    uint8_t buffer[4096];
    size_t moved = 0, part;

    if (peer->deaf)
        return false;
    while ((part = crumb(peer, RL_MIN(rl_mem_client_readable(peer->client), sizeof buffer))) != 0) {
        rl_mem_client_receive(peer->client, buffer, part);
        bytes_append(&peer->in, buffer, part);
        moved += part;
        if (peer->crumb_bytes != 0)
            break;
    }
    judge_received(peer);
    if (moved == 0 && rl_mem_client_ended(peer->client)) {
        judge_end(peer, ending);
        return true;
    }
    return moved != 0;
}

bool peer_move(struct peer *peer, bool ending)
{
    if (peer->client == NULL)
        return false;
    bool moved = move_out(peer);
    return move_in(peer, ending) || moved;
}

bool peer_waits(const struct peer *peer)
{
    if (peer->client == NULL)
        return false;
    if (!peer->half_closed && bytes_left(&peer->out).bytes != 0)
        return true;
    for (size_t i = 0; i < peer->queue_count; i++)
        if (peer->queue[peer->queue_at + i].kind != EXPECT_SILENCE)
            return true;
    return peer->half_closed;           /* the broker closes, too */
}

/* ---- the rest ---- */

void peer_init(struct peer *peer, peer_answer_fn *on_answer, void *arg)
{
    *peer = (struct peer){ .on_answer = on_answer, .arg = arg };
    rl_arena_init(&peer->arena, 8192, DECODE_BYTES_MAX);
}

void peer_done(struct peer *peer)
{
    peer_close(peer, false);
    bytes_done(&peer->out);
    bytes_done(&peer->sent);
    bytes_done(&peer->in);
    rl_free(peer->queue);
    rl_arena_done(&peer->arena);
}

bool peer_open(struct peer *peer, struct rl_mem *mem)
{
    RL_ASSERT(peer->client == NULL);
    peer->client = rl_mem_connect(mem, 9092);
    return peer->client != NULL;
}

void peer_close(struct peer *peer, bool reset)
{
    if (peer->client != NULL && reset)
        rl_mem_client_reset(peer->client);
    else if (peer->client != NULL)
        rl_mem_client_close(peer->client);
    peer->client = NULL;
    peer->out.at = peer->out.end = peer->sent.at = peer->sent.end = peer->in.at = peer->in.end = 0;
    peer->queue_count = 0;
    peer->hopeless = peer->half_closed = peer->deaf = false;
    peer->crumb_bytes = 0;
}

void peer_half_close(struct peer *peer)
{
    if (peer->client == NULL || peer->half_closed)
        return;
    rl_mem_client_end(peer->client);
    peer->half_closed = true;
}

void peer_send(struct peer *peer, const void *data, size_t bytes)
{
    if (peer->client != NULL && !peer->half_closed)
        bytes_append(&peer->out, data, bytes);
}

struct rl_slice peer_frame(struct bytes *frame, int16_t key, int16_t version, int32_t correlation_id,
                           struct rl_slice client_id, const void *message)
{
    const struct rl_message_info *info = &rl_api_find(key)->request;
    int16_t header_version = rl_request_header_version(key, version);
    struct rl_request_header header = { .request_api_key = key, .request_api_version = version,
                                        .correlation_id = correlation_id, .client_id = client_id };
    size_t bytes = rl_request_header_size(header_version, &header) + info->size(version, message);
    uint8_t *data = rl_alloc(SIZE_BYTES + bytes);
    struct rl_writer w = rl_wr_of(data + SIZE_BYTES, bytes);

    rl_put_u32(data, (uint32_t)bytes);
    rl_request_header_encode(&w, header_version, &header);
    info->encode(&w, version, message);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    frame->at = frame->end = 0;
    bytes_append(frame, data, SIZE_BYTES + bytes);
    rl_free(data);
    return bytes_left(frame);
}

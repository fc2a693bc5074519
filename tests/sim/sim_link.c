/* tests/sim/sim_link.c — a client's end of one connection, and the network between.
 *
 * Requests are encoded at once and reach the broker in whatever pieces the seed says; replies come
 * back the same way.  A connection may be closed or reset at any byte.
 * Failures: a reply that cannot be decoded, or to nothing that was asked, fails the run. */
#include "core/memory.h"
#include "log/log_bytes.h"
#include "sim.h"
#include "sim_heap.h"
#include "wire/api_table.h"
#include "wire/message_header.h"
#include <string.h>

#define SIZE_BYTES 4
#define FRAME_BYTES_MAX (8u << 20)
#define ARENA_CHUNK_BYTES 8192
#define DELAY_NS_MAX 3000000

bool sim_link_open(struct sim *sim, struct sim_link *link)
{
    static const size_t windows[] = { 65536, 16384, 4096, 65536 };

    rl_mem_set_window(sim->mem, sim->calm ? 1 << 20 : windows[sim_below(sim, 4)]);
    link->client = rl_mem_connect(sim->mem, SIM_PORT);
    if (link->client == NULL)
        return false;
    if (!link->arena_ready)
        rl_arena_init(&link->arena, ARENA_CHUNK_BYTES, (size_t)64 << 20);
    link->arena_ready = true;
    link->out_at = link->out_bytes = link->in_at = link->in_bytes = 0;
    link->call_count = 0;
    link->crumbs = !sim->calm && sim_one_in(sim, 4);
    link->quiet_until_ns = 0;
    sim_noted(sim, SIM_CONNECTIONS, 1);
    return true;
}

void sim_link_close(struct sim *sim, struct sim_link *link, bool reset)
{
    (void)sim;
    if (link->client == NULL)
        return;
    if (reset)
        rl_mem_client_reset(link->client);
    else
        rl_mem_client_close(link->client);
    link->client = NULL;
    link->call_count = 0;
}

void sim_link_done(struct sim_link *link)
{
    if (link->arena_ready)
        rl_arena_done(&link->arena);
    sim_world_free(link->out);
    sim_world_free(link->in);
    *link = (struct sim_link){ 0 };
}

static uint8_t *reserve(uint8_t **data, size_t *capacity, size_t used, size_t more)
{
    if (used + more > *capacity) {
        *capacity = RL_MAX(2 * (used + more), 4096);
        *data = sim_world_realloc(*data, *capacity);
    }
    return *data + used;
}

void sim_link_send(struct sim *sim, struct sim_link *link, struct sim_call call, const void *message,
                   bool silent)
{
    const struct rl_message_info *info = &rl_api_find(call.key)->request;
    int16_t header_version = rl_request_header_version(call.key, call.version);
    struct rl_request_header header = { .request_api_key = call.key, .request_api_version = call.version,
                                        .correlation_id = ++link->correlation_id,
                                        .client_id = rl_slice_of_string("sim") };
    size_t bytes = rl_request_header_size(header_version, &header) + info->size(call.version, message);

    if (link->out_at == link->out_bytes)
        link->out_at = link->out_bytes = 0;
    uint8_t *at = reserve(&link->out, &link->out_capacity, link->out_bytes, SIZE_BYTES + bytes);
    struct rl_writer w = rl_wr_of(at + SIZE_BYTES, bytes);
    rl_put_u32(at, (uint32_t)bytes);
    rl_request_header_encode(&w, header_version, &header);
    info->encode(&w, call.version, message);
    RL_ASSERT(rl_wr_done(&w) == RL_OK && rl_wr_bytes(&w) == bytes);
    link->out_bytes += SIZE_BYTES + bytes;
    sim_hash_bytes(sim, at, SIZE_BYTES + bytes);
    call.correlation_id = link->correlation_id;
    call.sent_ns = rl_mem_now_ns(sim->mem);
    if (!silent) {
        RL_ASSERT(link->call_count < SIM_CALLS_MAX);
        link->calls[link->call_count++] = call;
    }
}

/* How much the network takes now of so many bytes. */
static size_t passes(struct sim *sim, struct sim_link *link, size_t bytes)
{
    if (!link->crumbs || sim->calm || bytes == 0)
        return bytes;
    sim_noted(sim, SIM_CRUMBS, 1);
    if (sim_one_in(sim, 3))
        link->quiet_until_ns = rl_mem_now_ns(sim->mem) + (int64_t)sim_below(sim, DELAY_NS_MAX);
    return 1 + sim_below(sim, bytes);
}

static bool move(struct sim *sim, struct sim_link *link)
{
    if (rl_mem_now_ns(sim->mem) < link->quiet_until_ns && !sim->calm)
        return true;
    if (link->out_at < link->out_bytes) {
        size_t part = passes(sim, link, link->out_bytes - link->out_at);
        link->out_at += rl_mem_client_send(link->client, link->out + link->out_at, part);
    }
    size_t ready = rl_mem_client_readable(link->client);
    if (ready == 0)
        return !rl_mem_client_ended(link->client);
    size_t part = passes(sim, link, ready);
    uint8_t *at = reserve(&link->in, &link->in_capacity, link->in_bytes, part);
    part = rl_mem_client_receive(link->client, at, part);
    sim_hash_bytes(sim, at, part);
    link->in_bytes += part;
    return true;
}

static const void *decode(struct sim *sim, struct sim_link *link, const struct sim_call *call,
                          struct rl_slice frame)
{
    struct rl_reader r = rl_rd_of(frame);
    struct rl_response_header header;
    const struct rl_message_info *info = &rl_api_find(call->key)->response;

    rl_arena_reset(&link->arena);
    if (rl_response_header_decode(&r, rl_response_header_version(call->key, call->version),
                                  &link->arena, &header) != RL_OK ||
        header.correlation_id != call->correlation_id)
        sim_fail(sim, "a reply to something else: %s, correlation id %d, expected %d", info->name,
                 header.correlation_id, call->correlation_id);
    void *message = rl_arena_alloc_array(&link->arena, 1, info->struct_bytes);
    if (info->decode(&r, call->version, &link->arena, message) != RL_OK || rl_rd_remaining(&r) != 0)
        sim_fail(sim, "%s version %d cannot be decoded", info->name, call->version);
    return message;
}

const void *sim_link_receive(struct sim *sim, struct sim_link *link, struct sim_call *ret_call,
                             bool *ret_lost)
{
    *ret_lost = false;
    if (link->in_at > 0 && 2 * link->in_at >= link->in_bytes) {
        link->in_bytes -= link->in_at;  /* the last reply is not needed any more */
        memmove(link->in, link->in + link->in_at, link->in_bytes);
        link->in_at = 0;
    }
    if (!move(sim, link)) {
        sim_link_close(sim, link, false);
        *ret_lost = true;
        return NULL;
    }
    size_t ready = link->in_bytes - link->in_at;
    if (ready < SIZE_BYTES)
        return NULL;
    const uint8_t *frame = link->in + link->in_at + SIZE_BYTES;
    size_t bytes = rl_get_u32(frame - SIZE_BYTES);
    if (bytes > FRAME_BYTES_MAX || link->call_count == 0)
        sim_fail(sim, "%zu bytes that nobody asked for", bytes);
    if (ready < SIZE_BYTES + bytes)
        return NULL;
    *ret_call = link->calls[0];
    memmove(link->calls, link->calls + 1, --link->call_count * sizeof link->calls[0]);
    link->in_at += SIZE_BYTES + bytes;
    return decode(sim, link, ret_call, rl_slice_of(frame, bytes));      /* it points into link->in */
}

/* cli/bench_connection.h — one raw connection of the load generator: pipelined requests, frames.
 *
 * Requests are a small prefix, built in a slot of ours, and a body that is sent from where it
 * lies; responses come in order and are handed over as frames inside the receive buffer.
 * Everything on the generator's one shard. */
#ifndef RL_CLI_BENCH_CONNECTION_H
#define RL_CLI_BENCH_CONNECTION_H

#include "cli/bench.h"
#include "core/slice.h"
#include "io/op.h"

struct rl_bench_slot {                  /* a request in flight */
    uint8_t *prefix;                    /* heap, grows to the largest request */
    size_t prefix_bytes, prefix_capacity;
    struct rl_slice body;
    int64_t intended_ns;
    uint32_t records;
    size_t value_bytes;
    int32_t partition;
    bool has_answer;                    /* false: acks=0 */
};

struct rl_bench_connection {
    struct rl_shard *shard;
    void *arg;                          /* the mode's */
    const bool *stopped;                /* true: the run is over, submit nothing more */
    void (*on_ready)(struct rl_bench_connection *c);                    /* connected */
    void (*on_sent)(struct rl_bench_connection *c);                     /* acks=0: slots are free again */
    void (*on_answer)(struct rl_bench_connection *c, struct rl_bench_slot *slot, struct rl_slice frame);
    void (*on_failed)(struct rl_bench_connection *c, const char *what, rl_status status);
    uint32_t index;
    int fd;
    struct rl_op connect_op, send_op, receive_op;
    struct iovec *iov;                  /* two per slot */
    struct rl_bench_slot *slots;        /* ring of in_flight_max */
    uint32_t in_flight_max;
    uint64_t head, sent, tail;          /* answered <= handed to the kernel <= queued */
    uint8_t *in;
    size_t in_bytes, in_capacity, in_bytes_min;
    uint64_t wire_bytes_in, wire_bytes_out;
};

/* Connect; on_ready or on_failed follows.  in_bytes_min: room for answers to begin with. */
void rl_bench_connection_open(struct rl_bench_connection *c, struct rl_shard *shard, const char *host,
                              uint16_t port, uint32_t in_flight_max, size_t in_bytes_min);
/* Free its memory, when its shard has ended; all zero is fine. */
void rl_bench_connection_free(struct rl_bench_connection *c);
/* The next free slot to fill, NULL when all are in flight. */
struct rl_bench_slot *rl_bench_connection_slot(struct rl_bench_connection *c);
/* Queue the slot just filled; flush sends what is queued in one go. */
void rl_bench_connection_queue(struct rl_bench_connection *c);
void rl_bench_connection_flush(struct rl_bench_connection *c);
static inline uint32_t rl_bench_connection_in_flight(const struct rl_bench_connection *c)
{
    return (uint32_t)(c->tail - c->head);
}
/* Build a whole request (size, header v1 or v2, body) of the generated codec into a slot's
 * prefix; a records field is left out, at the end, and becomes the slot's body. */
void rl_bench_slot_encode(struct rl_bench_slot *slot, int16_t api_key, int16_t version,
                          int32_t correlation_id, const void *message, struct rl_slice records);

#endif

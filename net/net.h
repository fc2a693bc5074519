/* net/net.h — connections: accept, frames, in-order replies.
 *
 * Shard 0 listens and hands each accepted socket to the shard with the fewest connections, which
 * owns it for good.  Bytes arrive in shared receive slots and are gathered into one buffer per
 * frame; a large frame is received straight into its buffer.  A complete frame becomes an
 * rl_request and goes to the handler given at start, in the order of arrival.  Requests of one
 * connection may be answered in any order; replies leave in request order, everything that is
 * ready in one gathered send per turn.
 *
 * Back-pressure, never a spin and never an unbounded queue: a connection stops receiving while it
 * has too many requests or reply bytes in flight, while the shard's request memory is used up, or
 * while rl_shard_congested().
 *
 * Failures: a frame with a negative or too large size closes the connection with one
 * rate-limited log line; a closed connection cancels its parked requests (on_cancel) and drops
 * their replies.  A peer that only sends no more (half closed) still gets what it has asked for.  net/ knows sizes and correlation order, and nothing of Kafka's APIs. */
#ifndef RL_NET_NET_H
#define RL_NET_NET_H

#include "core/arena.h"
#include "core/chunk.h"
#include "core/list.h"
#include "core/slice.h"
#include "core/status.h"
#include "io/send_path.h"
#include "io/shard.h"
#include "io/socket.h"
#include "net/quota.h"

#define RL_CONNECTION_MAGIC 0x6e6e6f63u /* "conn" */
#define RL_REQUEST_MAGIC 0x74736571u    /* "qest" */

struct rl_net;
struct rl_connection;
struct rl_request;

/* A frame arrived.  Runs on the connection's shard.  The handler answers now or later with
 * exactly one of rl_request_reply, rl_request_finish, rl_request_close. */
typedef void rl_request_fn(struct rl_request *request);

struct rl_net_options {
    rl_request_fn *handler;
    void *handler_arg;
    size_t frame_bytes_max;             /* socket.request.max.bytes */
    size_t request_bytes_max;           /* frame bytes in flight per shard (queued.max.request.bytes);
                                           may be passed by one frame.  Requests that wait may hold
                                           a quarter as much beside their frames.  SIZE_MAX: no
                                           limit */
    size_t arena_bytes_max;             /* decode memory of one request */
    uint32_t requests_in_flight_max;    /* per connection */
    struct rl_connection_limits connection_limits;      /* of the broker; copied */
    int64_t idle_ns_max;                /* connections.max.idle.ms; 0: never */
    int send_buffer_bytes, receive_buffer_bytes;        /* -1: the kernel's */
    int backlog;
    enum rl_send_path send_path;        /* for chunks in files; ZEROCOPY: for those in memory */
};

/* One request, from its last byte received to its last reply byte handed to the kernel. */
struct rl_request {
    uint32_t magic;
    struct rl_connection *connection;
    struct rl_slice frame;              /* without the size prefix; valid until the reply */
    struct rl_buffer *frame_buffer;     /* holds frame; who keeps slices longer (a reply chunk that
                                           points into the frame, too) takes a reference */
    struct rl_arena arena;              /* for decoding and the handler's own state */
    int64_t arrived_ns;                 /* shard clock at its last byte */
    /* the handler's: */
    void *state;
    void (*on_cancel)(struct rl_request *request);      /* connection gone while unanswered: stop
                                           waiting and call rl_request_finish soon (also at once).
                                           Runs once; not if set when rl_connection_closing */
    void (*on_hurry)(struct rl_request *request);       /* it waits for something, and memory is short
                                           or the peer sends no more: answer soon with what there
                                           is.  Runs at most once, after the handler has returned */
    int16_t api_key, api_version;
    int32_t correlation_id;
    struct rl_slice client_id;          /* data NULL: null */
    /* net/ only */
    struct rl_list link;                /* the connection's requests, oldest first */
    struct rl_chunk *chunks;            /* the reply: few_chunks, or on the heap */
    struct rl_chunk few_chunks[3];
    uint32_t chunk_count;
    uint32_t reply_bytes;
    uint32_t announced_bytes;
    uint32_t reply_state;
    struct rl_list patient_link;        /* net->patient, while it can be hurried... */
    struct rl_list budget_link;         /* ...and in the same list of its frame's budget */
    size_t parked_bytes;                /* of its arena, counted in net->parked_bytes */
    bool hurried;                       /* ...and in net->hurried_bytes */
    bool overdraft;                     /* its frame has passed the budget */
};

/* Start net on this shard (each shard, at start; after every folder whose turn hook answers
 * requests, so that their replies leave in the same turn).  Options are copied.  RL_EINVAL. */
rl_status rl_net_start(struct rl_shard *shard, const struct rl_net_options *options);
/* Free everything (each shard's finish, after its last turn).  Connections that are left are
 * closed; their requests in flight are gone, without on_cancel. */
void rl_net_stop(struct rl_shard *shard);
/* Shard 0: listen.  listener_index is given to every connection accepted there.  ret_port: the
 * port bound.  Statuses of rl_socket_listen. */
rl_status rl_net_listen(struct rl_shard *shard, uint32_t listener_index, const char *host,
                        uint16_t port, uint16_t *ret_port);
/* Stop accepting (shard 0). */
void rl_net_stop_listening(struct rl_shard *shard);
/* Close what is idle now and the rest as soon as their requests in flight are answered (or after
 * grace_ns); done(arg) runs when this shard has no connection left. */
void rl_net_drain(struct rl_shard *shard, int64_t grace_ns, void (*done)(void *arg), void *arg);

/* The answer is going to need up to so many bytes of memory, although it may come much later:
 * until then they count as reply bytes in flight, so that a client that asks ahead without reading
 * holds about one large reply and not as many as it asked for.  Replaces what was announced for
 * this request before; 0 while nothing is being read for it. */
void rl_request_announce_reply(struct rl_request *request, size_t bytes);
/* Chunks of RL_SEND_BY_KERNEL_BYTES_MIN or more that lie in files reach this peer with less work than
 * the same bytes in memory: the kernel sends them, and `auto` says so.  False until it was measured.
 * Connection's shard. */
bool rl_request_prefers_files(struct rl_request *request);
/* Answer: the 4-byte size prefix is added by net; chunks (copied array, references taken over)
 * are the response header and body.  Chunks without a buffer must be static or in the request's
 * arena.  The request is not the caller's any more: no field may be read after this.
 * Connection's shard, as for the two below. */
void rl_request_reply(struct rl_request *request, const struct rl_chunk *chunks, uint32_t count);
/* No answer on the wire (acks=0); the slot is freed silently. */
void rl_request_finish(struct rl_request *request);
/* Close the connection once all earlier replies are sent (acks=0 with an error, bad frames). */
void rl_request_close(struct rl_request *request);

/* What the broker may ask of a connection (of a request that is not answered yet). */
struct rl_shard *rl_connection_shard(const struct rl_connection *connection);
void *rl_connection_handler_arg(const struct rl_connection *connection);
uint32_t rl_connection_listener(const struct rl_connection *connection);
bool rl_connection_closing(const struct rl_connection *connection);
/* The address this client dialled (numeric host, port); "" and 0 when the socket is closed. */
void rl_connection_local_address(const struct rl_connection *connection, char host[RL_HOST_BYTES],
                                 uint16_t *ret_port);
void rl_connection_peer_address(const struct rl_connection *connection, char host[RL_HOST_BYTES],
                                uint16_t *ret_port);
/* How many reply bytes, announced ones too, all connections of this shard together should still
 * add to those that the kernel has not taken yet (256 MiB).  A goal, not a limit: who makes large
 * replies makes them smaller as it shrinks. */
size_t rl_net_reply_bytes_left(const struct rl_shard *shard);
/* Other bounds from now on, for new connections.  Copied.  Does something on shard 0 only. */
void rl_net_set_connection_limits(struct rl_shard *shard, const struct rl_connection_limits *limits);
/* Connections on this shard. */
uint32_t rl_net_connection_count(const struct rl_shard *shard);

#endif

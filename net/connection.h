/* net/connection.h — what the files of net/ share: a shard's connections and one connection.
 *
 * Private to net/.  Everything here lives on one shard and is touched by its thread only; the
 * one struct that travels is rl_handover (net/acceptor.c). */
#ifndef RL_NET_CONNECTION_H
#define RL_NET_CONNECTION_H

#include "core/buffer.h"
#include "net/budget.h"
#include "net/net.h"
#include <assert.h>

#define RL_NET_MAGIC 0x5f74656eu        /* "net_" */

/* A frame of this size is received straight into its own buffer. */
#define RL_FRAME_LARGE_BYTES ((size_t)64 * 1024)
/* The first allocation for a frame that did not arrive at once; it doubles as bytes really
 * arrive, and at once to a size that is worth a system call if they come fast. */
#define RL_FRAME_FIRST_BYTES ((size_t)1024)
/* Frames above this are not expected in advance (bulk mode). */
#define RL_BULK_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* An expectant connection gives its large buffer back after this long without a byte. */
#define RL_BULK_IDLE_NS ((int64_t)20 * 1000 * 1000)

/* Requests that one connection may begin in one turn: the others want their turn too. */
#define RL_TURN_REQUESTS_MAX 256u
/* The same in bytes, of frames and of what their decoding took: large requests take longer. */
#define RL_TURN_BYTES_MAX ((size_t)256 * 1024)
/* A connection with more unsent reply bytes than this begins no request... */
#define RL_REPLY_BYTES_MAX ((size_t)8 * 1024 * 1024)
/* ...and one with any while all of a shard together have more than this. */
#define RL_NET_REPLY_BYTES_MAX ((size_t)256 * 1024 * 1024)
/* What a connection receives by itself when there was no slot for it. */
#define RL_RECEIVE_OWN_BYTES ((size_t)4 * 1024)
/* Bytes that came while a connection was paused; beyond this it stops receiving. */
#define RL_SPILL_BYTES_MAX ((size_t)64 * 1024)
/* The same for all connections of a shard together. */
#define RL_NET_SPILL_BYTES_MAX ((size_t)16 * 1024 * 1024)
/* A frame that stalls this long while others wait for memory costs its connection.  Less than the
 * 30 s that clients wait for an answer, so that who waits is served before it gives up. */
#define RL_STALL_NS ((int64_t)10 * 1000 * 1000 * 1000)
/* It stalls when less than this part of it, or so many bytes, have come meanwhile: 320 kB/s of 100 MiB. */
#define RL_STALL_PARTS 32u
#define RL_STALL_BYTES ((size_t)64 * 1024)

/* One send: iovecs, bytes. */
#define RL_SEND_IOV_MAX 1024u
#define RL_SEND_BYTES_MAX ((size_t)4 * 1024 * 1024)
/* Chunks up to this size are copied together: cheaper than an iovec, and the request is free. */
#define RL_SEND_COPY_CHUNK_BYTES ((size_t)512)
#define RL_SEND_COPY_BYTES ((size_t)32 * 1024)

/* Requests kept for reuse on a shard, and the usual chunk of their arenas. */
#define RL_REQUEST_POOL_MAX 512u
#define RL_REQUEST_ARENA_BYTES 2016u

static_assert(RL_FRAME_LARGE_BYTES <= RL_SPILL_BYTES_MAX * 2 &&
              RL_SPILL_BYTES_MAX <= RL_NET_SPILL_BYTES_MAX,
              "one connection alone never trips the bound of all");

struct rl_acceptor;
struct rl_gather;
struct rl_handover;
struct rl_send;
struct rl_send_path_choice;

/* rl_request.reply_state */
enum rl_reply_state { RL_REPLY_PENDING, RL_REPLY_READY, RL_REPLY_CLOSE };

/* Where the peer is, as far as it was asked. */
enum rl_peer_place { RL_PEER_UNKNOWN, RL_PEER_LOCAL, RL_PEER_REMOTE };

/* Which receive operation is in flight. */
enum rl_receive_state {
    RL_RECEIVE_NONE,
    RL_RECEIVE_SLOTS,       /* multishot: bytes come in lent slots */
    RL_RECEIVE_STOPPING,    /* the same, asked to end */
    RL_RECEIVE_FRAME,       /* straight into conn->frame */
    RL_RECEIVE_OWN,         /* into conn->own_bytes, because all slots are others' */
};

/* Bytes received and not yet looked at, because the connection is paused. */
struct rl_spill {
    size_t at, bytes, capacity;
    uint8_t data[];
};

struct rl_net {
    uint32_t magic;
    uint32_t connection_count;          /* both lists */
    struct rl_shard *shard;
    struct rl_net_options options;
    struct rl_list connections;         /* open ones, least recently active first */
    struct rl_list closing;             /* wait for operations or handlers */

    /* worked off by the turn hook */
    struct rl_list resume;              /* connections that may go on receiving */
    struct rl_list congested;           /* ...once the shard's mailboxes have room */
    struct rl_list to_send;             /* connections with a reply to send */
    uint32_t turn;                      /* counts turns, wraps */
    int64_t hook_ns;                    /* clock of the turn whose hook ran last */

    struct rl_list bulk;                /* expect a large frame, longest waiting first */
    struct rl_timer bulk_timer;
    struct rl_budget small, large;      /* frames below and from RL_FRAME_LARGE_BYTES */
    struct rl_list partial;             /* holders of a partly received frame, by progress */
    struct rl_timer stall_timer;
    size_t spill_bytes;
    size_t reply_bytes;                 /* of all connections */
    struct rl_list patient;             /* requests that can be hurried, oldest first */
    size_t parked_bytes;                /* decode memory of unanswered requests */
    size_t parked_bytes_max;            /* beyond this the oldest are hurried; twice: none begins */
    size_t hurried_bytes;               /* of parked_bytes, what is about to be given back */
    struct rl_request *handling;        /* the handler is at work on this; NULL: it is gone */

    struct rl_timer idle_timer;
    int64_t idle_step_ns;               /* activity is noted this coarsely */

    struct rl_list request_pool;        /* free requests */
    uint32_t request_pool_count;
    struct rl_gather *gather;
    struct rl_buffer *read_buffer;      /* for the next send from a file, or NULL */
    struct rl_send_path_choice *path_choice;
    struct rl_send *send_pool;
    uint32_t send_pool_count;

    bool stopped;
    bool draining;
    struct rl_timer drain_timer;
    void (*drain_done)(void *arg);
    void *drain_arg;
    struct rl_acceptor *acceptor;       /* shard 0 */
};

struct rl_connection {
    uint32_t magic;
    int fd;                             /* -1 once closed */
    struct rl_net *net;
    struct rl_handover *handover;       /* shard 0's record of this connection */
    uint32_t listener_index;
    uint32_t holds;                     /* functions on the stack that still need us */
    struct rl_list link;                /* net->connections or net->closing */
    int64_t listed_ns;                  /* activity as known to the list */

    bool closing;                       /* no more requests, replies or operations */
    bool ended;                         /* the peer will send nothing more */
    bool stopping;                      /* rl_request_close: begin no request */
    bool paused;                        /* a frame may not begin now */

    /* receiving */
    enum rl_receive_state receive_state;
    uint8_t prefix[4];                  /* size of the frame, as far as it is here */
    uint8_t prefix_bytes;
    bool seen_frame;                    /* at least one frame had a legal size */
    struct rl_buffer *frame;            /* the frame being received, or NULL */
    size_t frame_begin, frame_end;      /* where it lies in the buffer; end 0: size unknown yet */
    size_t frame_at;                    /* filled up to here */
    size_t charge;                      /* bytes taken from the budget for it */
    struct rl_budget *charged;          /* that budget; NULL while charge is 0 */
    size_t wanted;                      /* bytes waited for in the budget's line; 0: not there */
    bool wanted_whole;
    bool overdraft;                     /* its frame has passed the budget */
    size_t bulk_bytes;                  /* size of the last frame if it was large, else 0 */
    struct rl_spill *spill;
    uint8_t *own_bytes;                 /* RL_RECEIVE_OWN_BYTES, or NULL */
    bool starved;                       /* there was no slot for what has arrived */
    struct rl_list resume_link, wait_link, budget_link, partial_link;
    int64_t wait_ns;                    /* since when in net->bulk; last progress in net->partial */
    size_t progress_at;                 /* bytes of the frame that had come then */
    uint32_t turn, turn_requests;       /* requests begun in that turn */
    size_t turn_bytes;                  /* ...and what they hold */

    /* requests: oldest first; the first may be partly sent */
    struct rl_list requests;
    uint32_t request_count;             /* requests + sent */
    uint32_t unanswered_count;
    struct rl_list sent;                /* whole in the send in flight */
    struct rl_list send_link;
    struct rl_send *send;               /* in flight, or NULL */
    size_t reply_bytes;                 /* answered or announced, and not yet taken by the kernel */
    size_t head_at;                     /* bytes of the first request's current chunk done */
    uint32_t head_chunk;
    bool head_begun;                    /* its size prefix is sent */
    bool close_after_send;
    enum rl_peer_place peer_place;

    struct rl_op receive_op, send_op;
};

static_assert(sizeof(struct rl_connection) <= 960, "10,000 idle connections cost below 10 MiB");

/* ---- net.c ---- */
struct rl_net *rl_net_of(const struct rl_shard *shard);
/* Something was put into a list of the turn hook: see that it runs before the shard sleeps. */
void rl_net_need_turn(struct rl_net *net);
/* Received or sent something. */
void rl_net_touch(struct rl_connection *conn);
/* The connection is in no list any more. */
void rl_net_connection_gone(struct rl_net *net);

/* ---- connection.c ---- */
/* Take over fd; starts receiving.  handover is reported back at the end. */
void rl_connection_open(struct rl_net *net, int fd, struct rl_handover *handover,
                        uint32_t listener_index);
/* Close now: drop replies, cancel requests.  Freed when no operation and no request is left. */
void rl_connection_close(struct rl_connection *conn);
/* Keep the struct alive over calls that may close it. */
static inline void rl_connection_hold(struct rl_connection *conn) { conn->holds++; }
void rl_connection_unhold(struct rl_connection *conn);
/* Free a closing connection if nothing refers to it. */
void rl_connection_check_free(struct rl_connection *conn);
/* rl_net_stop: free whatever is in flight. */
void rl_connection_abandon(struct rl_connection *conn);

/* ---- receive.c ---- */
/* Submit or cancel a receive as the connection's state asks for. */
void rl_receive_update(struct rl_connection *conn);
/* Look again whether frames may begin (turn hook). */
void rl_receive_resume(struct rl_connection *conn);
/* Ask for that in the next turn hook, if the connection is paused. */
void rl_receive_want_resume(struct rl_connection *conn);
/* Give back a frame's share of the budget and let those in line go on.  overdraft: the frame had
 * passed the budget. */
void rl_receive_give_memory(struct rl_net *net, size_t frame_bytes, bool overdraft);
/* A frame of this size is charged here. */
struct rl_budget *rl_receive_budget(struct rl_net *net, size_t frame_bytes);
/* Leave every list and free what no operation refers to. */
void rl_receive_close(struct rl_connection *conn);
/* Give back the partial frame; no operation in flight. */
void rl_receive_drop_frame(struct rl_connection *conn);
void rl_receive_on_bulk_timer(struct rl_timer *timer);
void rl_receive_on_stall_timer(struct rl_timer *timer);

/* ---- request.c ---- */
static inline void rl_reply_bytes_add(struct rl_connection *conn, size_t bytes)
{
    conn->reply_bytes += bytes;
    conn->net->reply_bytes += bytes;
}
static inline void rl_reply_bytes_take(struct rl_connection *conn, size_t bytes)
{
    RL_ASSERT(bytes <= conn->reply_bytes && bytes <= conn->net->reply_bytes);
    conn->reply_bytes -= bytes;
    conn->net->reply_bytes -= bytes;
}
struct rl_request *rl_request_create(struct rl_connection *conn);
/* Unlink, give everything back.  May free a closing connection that nobody holds. */
void rl_request_release(struct rl_request *request);
void rl_request_pool_free(struct rl_net *net);
/* Hand it to the handler; what is not answered then counts as parked, and if parked requests hold
 * too much, the oldest of those that can be are hurried. */
void rl_request_handle(struct rl_request *request);
/* Hurry the one with this budget's overdraft and the oldest whose frames hold so many bytes of it. */
void rl_request_hurry_frames(struct rl_budget *budget, size_t bytes);
/* Hurry all of a connection.  False: one of them waits for something and cannot be hurried. */
bool rl_request_hurry_connection(struct rl_connection *conn);
/* Do parked requests hold so much that no other may begin? */
static inline bool rl_net_crowded(const struct rl_net *net)
{
    return net->parked_bytes / 2 > net->parked_bytes_max;
}

/* ---- send.c ---- */
void rl_send_start(struct rl_net *net);
void rl_send_stop(struct rl_net *net);
/* The oldest request may have become ready. */
void rl_send_want(struct rl_connection *conn);
/* Gather what is ready and submit it (turn hook). */
void rl_send_collect(struct rl_connection *conn);
/* Give back the batch in flight; no operation refers to it. */
void rl_send_drop(struct rl_connection *conn);

/* ---- peer_path.c ---- */
void rl_send_path_start(struct rl_net *net);
void rl_send_path_stop(struct rl_net *net);
/* By which of READ, SENDFILE and SPLICE a chunk of this size, in a file, goes to this peer. */
enum rl_send_path rl_send_path_of(struct rl_connection *conn, size_t bytes);
/* A reply of this size goes to some peer: if it is a large one, find out how that is done best. */
void rl_send_path_wanted(struct rl_connection *conn, size_t bytes);

/* ---- listener.c ---- */
void rl_acceptor_start(struct rl_net *net);
void rl_acceptor_stop(struct rl_net *net);
/* The connection's socket is closed: tell shard 0. */
void rl_handover_return(struct rl_net *net, struct rl_handover *handover);

#endif

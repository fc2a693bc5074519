/* net/acceptor.c — shard 0 accepts and hands sockets over.
 *
 * Happy path: a multishot accept gives a socket; shard 0 counts it for the shard with the fewest
 * connections and posts a handover there.  That shard opens the connection and keeps the
 * handover; when the socket is closed it posts it back, and shard 0 counts down.
 *
 * Failures: too many connections (quota.c): the socket is closed at once.  They come too fast, or
 * accept fails (EMFILE and the like): accepting pauses, and the kernel's queue holds who comes;
 * clients that are let in one by one would only meet the same end.  Each has one rate-limited line.  At stop a socket whose
 * handover has not arrived yet is left to the end of the process; drain leaves none. */
#include "core/logger.h"
#include "core/memory.h"
#include "net/connection.h"
#include "net/quota.h"

#define ACCEPT_RETRY_NS ((int64_t)100 * 1000 * 1000)

struct rl_handover {
    struct rl_msg msg;                  /* shard 0 -> connection's shard -> shard 0 */
    struct rl_list link;                /* shard 0 only, like the next */
    struct rl_quota_peer *peer;
    uint32_t shard_index;
    uint32_t listener_index;
    int fd;
};

struct rl_listener {
    struct rl_list link;
    struct rl_net *net;
    uint32_t index;
    int fd;
    bool armed;                         /* the accept is in flight */
    bool stopping;
    int64_t pause_ns;                   /* accepting ends for so long, because they come too fast */
    struct rl_op op;
    struct rl_timer retry_timer;
};

struct rl_acceptor {
    struct rl_list listeners;
    struct rl_list handovers;           /* one per connection of all shards */
    struct rl_quota quota;
    uint32_t shard_counts[RL_SHARDS_MAX];
};

/* ---- handing over ---- */

/* On the connection's shard. */
static void handover_open(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_handover *handover = RL_CONTAINER_OF(msg, struct rl_handover, msg);
    struct rl_net *net = rl_net_of(shard);

    if (net->draining) {
        rl_socket_close(shard, handover->fd);
        rl_handover_return(net, handover);
        return;
    }
    rl_connection_open(net, handover->fd, handover, handover->listener_index);
}

/* On shard 0. */
static void handover_closed(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_handover *handover = RL_CONTAINER_OF(msg, struct rl_handover, msg);
    struct rl_acceptor *acceptor = rl_net_of(shard)->acceptor;

    RL_ASSERT(acceptor->shard_counts[handover->shard_index] > 0);
    acceptor->shard_counts[handover->shard_index]--;
    rl_quota_give(&acceptor->quota, handover->peer);
    rl_list_remove(&handover->link);
    rl_free(handover);
}

void rl_handover_return(struct rl_net *net, struct rl_handover *handover)
{
    if (net->stopped)
        return;                         /* shard 0 frees all that are left */
    handover->msg.handle = handover_closed;
    if (net->shard->index == 0)
        handover_closed(net->shard, &handover->msg);
    else
        rl_shard_post(rl_shard_peer(net->shard, 0), &handover->msg);
}

static uint32_t acceptor_pick_shard(const struct rl_acceptor *acceptor, uint32_t shard_count)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < shard_count; i++) {
        if (acceptor->shard_counts[i] < acceptor->shard_counts[best])
            best = i;
    }
    return best;
}

/* NULL: this connection is one too many. */
static struct rl_quota_peer *acceptor_admit(struct rl_acceptor *acceptor, struct rl_shard *shard,
                                            int fd)
{
    struct rl_quota_peer *peer = NULL;
    char host[RL_HOST_BYTES];
    uint16_t port;

    rl_socket_address(shard, fd, true, host, sizeof host, &port);
    switch (rl_quota_take(&acceptor->quota, host, &peer)) {
    case RL_QUOTA_GRANTED:
        break;
    case RL_QUOTA_TOO_MANY:
        RL_WARN_EVERY(10, "net", "refused a connection of %s: %u are open (max.connections)", host,
                      acceptor->quota.count);
        break;
    case RL_QUOTA_TOO_MANY_OF_ADDRESS:
        RL_WARN_EVERY(10, "net", "refused a connection of %s: it has %u (max.connections.per.ip)",
                      host, rl_quota_address_max(&acceptor->quota, host));
        break;
    }
    return peer;
}

static void listener_accepted(struct rl_listener *listener, int fd)
{
    struct rl_net *net = listener->net;
    struct rl_acceptor *acceptor = net->acceptor;
    struct rl_shard *shard = net->shard;

    struct rl_quota_peer *peer = acceptor_admit(acceptor, shard, fd);
    if (peer == NULL) {
        rl_socket_close(shard, fd);
        return;
    }
    struct rl_handover *handover = rl_alloc(sizeof *handover);
    *handover = (struct rl_handover){ .msg = { .handle = handover_open }, .fd = fd,
                                      .shard_index = acceptor_pick_shard(acceptor, shard->count),
                                      .listener_index = listener->index, .peer = peer };
    rl_list_push_back(&acceptor->handovers, &handover->link);
    acceptor->shard_counts[handover->shard_index]++;
    if (handover->shard_index == 0)
        handover_open(shard, &handover->msg);
    else
        rl_shard_post(rl_shard_peer(shard, handover->shard_index), &handover->msg);
}

/* ---- listening ---- */

static void listener_free(struct rl_listener *listener)
{
    struct rl_shard *shard = listener->net->shard;

    rl_timer_stop(shard, &listener->retry_timer);
    rl_socket_close(shard, listener->fd);
    rl_list_remove(&listener->link);
    rl_free(listener);
}

static void listener_on_accept(struct rl_op *op);

static void listener_submit(struct rl_listener *listener)
{
    listener->op = (struct rl_op){ .kind = RL_OP_ACCEPT, .fd = listener->fd,
                                   .done = listener_on_accept, .arg = listener };
    listener->armed = true;
    rl_submit(listener->net->shard, &listener->op);
}

static void listener_on_retry(struct rl_timer *timer)
{
    listener_submit(timer->arg);
}

/* A socket came: if they come too fast, accept no more for a while. */
static void listener_watch_rate(struct rl_listener *listener)
{
    struct rl_net *net = listener->net;
    int64_t pause_ns = rl_quota_accepted(&net->acceptor->quota, net->shard->now_ns);

    if (pause_ns == 0)
        return;
    RL_WARN_EVERY(10, "net", "connections come faster than %u a second "
                  "(max.connection.creation.rate): accepting pauses",
                  net->acceptor->quota.limits.per_second_max);
    if (listener->pause_ns == 0 && listener->armed)
        rl_cancel(net->shard, &listener->op);
    listener->pause_ns = pause_ns;
}

static void listener_on_accept(struct rl_op *op)
{
    struct rl_listener *listener = op->arg;
    struct rl_shard *shard = listener->net->shard;
    rl_status status = op->status;

    if (!op->more)
        listener->armed = false;
    if (status == RL_OK && listener->stopping)
        rl_socket_close(shard, op->ret_fd);
    else if (status == RL_OK)
        listener_accepted(listener, op->ret_fd);
    else if (status == RL_ECANCELLED && listener->pause_ns != 0)
        status = RL_OK;                 /* our own doing */
    else if (status == RL_EMFILE)
        RL_ERROR_EVERY(10, "net", "cannot accept connections: %s; raise the limit of open files "
                       "(LimitNOFILE, ulimit -n)", rl_status_text(status));
    else if (!listener->stopping)
        RL_ERROR_EVERY(10, "net", "cannot accept connections: %s", rl_status_text(status));
    if (op->status == RL_OK && !listener->stopping)
        listener_watch_rate(listener);
    if (listener->armed)
        return;
    int64_t pause_ns = status == RL_OK ? listener->pause_ns : ACCEPT_RETRY_NS;
    listener->pause_ns = 0;
    if (listener->stopping)
        listener_free(listener);
    else if (pause_ns == 0)
        listener_submit(listener);
    else
        rl_timer_start(shard, &listener->retry_timer, shard->now_ns + pause_ns);
}

rl_status rl_net_listen(struct rl_shard *shard, uint32_t listener_index, const char *host,
                        uint16_t port, uint16_t *ret_port)
{
    struct rl_net *net = rl_net_of(shard);
    int fd;

    RL_ASSERT(shard->index == 0);
    rl_status status = rl_socket_listen(shard, host, port, net->options.backlog, &fd, ret_port);
    if (status != RL_OK)
        return status;
    struct rl_listener *listener = rl_alloc_zero(1, sizeof *listener);
    listener->net = net;
    listener->index = listener_index;
    listener->fd = fd;
    listener->retry_timer = (struct rl_timer){ .done = listener_on_retry, .arg = listener };
    rl_list_push_back(&net->acceptor->listeners, &listener->link);
    listener_submit(listener);
    return RL_OK;
}

void rl_net_stop_listening(struct rl_shard *shard)
{
    RL_LIST_EACH_SAFE(node, &rl_net_of(shard)->acceptor->listeners) {
        struct rl_listener *listener = RL_LIST_ENTRY(node, struct rl_listener, link);
        if (listener->stopping)
            continue;
        listener->stopping = true;
        if (listener->armed)
            rl_cancel(shard, &listener->op);            /* freed by its last done */
        else
            listener_free(listener);
    }
}

/* ---- start and stop ---- */

void rl_acceptor_start(struct rl_net *net)
{
    if (net->shard->index != 0)
        return;
    net->acceptor = rl_alloc_zero(1, sizeof *net->acceptor);
    rl_list_init(&net->acceptor->listeners);
    rl_list_init(&net->acceptor->handovers);
    rl_quota_init(&net->acceptor->quota, &net->options.connection_limits,
                  rl_shard_random(net->shard));
    net->options.connection_limits.address_overrides = NULL;    /* lent to us until here */
}

void rl_net_set_connection_limits(struct rl_shard *shard, const struct rl_connection_limits *limits)
{
    if (shard->index == 0)
        rl_quota_set(&rl_net_of(shard)->acceptor->quota, limits);
}

void rl_acceptor_stop(struct rl_net *net)
{
    struct rl_list *node;

    if (net->acceptor == NULL)
        return;
    while ((node = rl_list_first(&net->acceptor->listeners)) != NULL)
        listener_free(RL_LIST_ENTRY(node, struct rl_listener, link));
    while ((node = rl_list_pop_front(&net->acceptor->handovers)) != NULL)
        rl_free(RL_LIST_ENTRY(node, struct rl_handover, link));
    rl_quota_done(&net->acceptor->quota);
    rl_free(net->acceptor);
    net->acceptor = NULL;
}

/* net/net.c — one shard's connections: start, the turn hook, idle connections, drain, stop.
 *
 * The turn hook is where work of a whole turn comes together: connections whose pause is over
 * look at their bytes, then every connection with ready replies sends once.  Both lists hold only
 * connections that have something to do; nothing walks over all connections, except drain.
 *
 * Idle connections: the list of open connections is ordered by activity, noted in steps so that
 * a busy connection is not moved for each frame; one timer watches the first. */
#include "core/memory.h"
#include "net/connection.h"

#define IDLE_STEP_NS_MAX ((int64_t)1000 * 1000 * 1000)

struct rl_net *rl_net_of(const struct rl_shard *shard)
{
    struct rl_net *net = shard->context[RL_CONTEXT_NET];

    RL_OBJ(net, NET);
    return net;
}

void rl_net_need_turn(struct rl_net *net)
{
    if (net->hook_ns == net->shard->now_ns)             /* this turn's hook is over */
        rl_shard_again(net->shard);
}

/* ---- the turn hook ---- */

static void net_resume_congested(struct rl_net *net)
{
    struct rl_list *node;

    while ((node = rl_list_pop_front(&net->congested)) != NULL)
        rl_receive_want_resume(RL_LIST_ENTRY(node, struct rl_connection, wait_link));
}

static void net_resume_receiving(struct rl_net *net)
{
    struct rl_list now, *node;

    rl_list_init(&now);                 /* who pauses again waits for the next turn */
    rl_list_take_all(&now, &net->resume);
    while ((node = rl_list_pop_front(&now)) != NULL)
        rl_receive_resume(RL_LIST_ENTRY(node, struct rl_connection, resume_link));
}

static void net_on_turn(struct rl_shard *shard, void *arg)
{
    struct rl_net *net = arg;
    struct rl_list *node;

    net->turn++;
    if (!rl_list_empty(&net->congested) && !rl_shard_congested(shard) && !rl_net_crowded(net))
        net_resume_congested(net);
    if (!rl_list_empty(&net->resume)) {
        net_resume_receiving(net);
        rl_shard_again(shard);          /* the hooks of those who serve these requests are over */
    }
    while ((node = rl_list_pop_front(&net->to_send)) != NULL)
        rl_send_collect(RL_LIST_ENTRY(node, struct rl_connection, send_link));
    if (!rl_list_empty(&net->resume))
        rl_shard_again(shard);
    net->hook_ns = shard->now_ns;
    if (net->draining && net->connection_count == 0 && net->drain_done != NULL) {
        void (*done)(void *) = net->drain_done;
        net->drain_done = NULL;
        rl_timer_stop(shard, &net->drain_timer);
        done(net->drain_arg);
    }
}

/* ---- idle connections ---- */

void rl_net_touch(struct rl_connection *conn)
{
    struct rl_net *net = conn->net;
    int64_t now_ns = net->shard->now_ns;

    if (RL_LIKELY(now_ns - conn->listed_ns < net->idle_step_ns))
        return;
    conn->listed_ns = now_ns;
    rl_list_remove(&conn->link);
    rl_list_push_back(&net->connections, &conn->link);
}

static void net_on_idle_timer(struct rl_timer *timer)
{
    struct rl_net *net = timer->arg;
    int64_t limit_ns = net->options.idle_ns_max + net->idle_step_ns;
    struct rl_list *node;

    while ((node = rl_list_first(&net->connections)) != NULL) {
        struct rl_connection *conn = RL_LIST_ENTRY(node, struct rl_connection, link);
        if (net->shard->now_ns - conn->listed_ns < limit_ns) {
            rl_timer_start(net->shard, timer, conn->listed_ns + limit_ns);
            return;
        }
        if (conn->unanswered_count != 0)
            rl_net_touch(conn);         /* the client waits for us, not we for it */
        else
            rl_connection_close(conn);
    }
}

void rl_net_connection_gone(struct rl_net *net)
{
    RL_ASSERT(net->connection_count > 0);
    if (--net->connection_count != 0)
        return;
    rl_timer_stop(net->shard, &net->idle_timer);
    rl_timer_stop(net->shard, &net->bulk_timer);
    if (net->draining)
        rl_net_need_turn(net);
}

/* ---- start, drain, stop ---- */

rl_status rl_net_start(struct rl_shard *shard, const struct rl_net_options *options)
{
    if (options->handler == NULL || options->frame_bytes_max == 0 ||
        options->frame_bytes_max > INT32_MAX || options->request_bytes_max == 0 ||
        options->requests_in_flight_max == 0 || options->idle_ns_max < 0)
        return RL_EINVAL;
    struct rl_net *net = rl_alloc_zero(1, sizeof *net);
    struct rl_list *lists[] = { &net->connections, &net->closing, &net->resume, &net->congested,
                                &net->to_send, &net->bulk, &net->partial, &net->request_pool,
                                &net->patient };

    net->magic = RL_NET_MAGIC;
    net->shard = shard;
    net->options = *options;
    net->hook_ns = -1;
    for (size_t i = 0; i < RL_ARRAY_COUNT(lists); i++)
        rl_list_init(lists[i]);
    /* A quarter is for small frames alone: a heartbeat does not wait behind an upload. */
    size_t small_max = RL_MAX(options->request_bytes_max / 4, 1);
    size_t large_max = RL_MAX(options->request_bytes_max / 4 * 3, 1);
    rl_budget_init(&net->small, small_max, small_max / 2);     /* nor behind those that dawdle */
    rl_budget_init(&net->large, large_max, large_max);
    net->parked_bytes_max = options->request_bytes_max / 4;
    net->idle_timer = (struct rl_timer){ .done = net_on_idle_timer, .arg = net };
    net->bulk_timer = (struct rl_timer){ .done = rl_receive_on_bulk_timer, .arg = net };
    net->stall_timer = (struct rl_timer){ .done = rl_receive_on_stall_timer, .arg = net };
    net->idle_step_ns = IDLE_STEP_NS_MAX;
    if (options->idle_ns_max != 0)
        net->idle_step_ns = RL_MIN(IDLE_STEP_NS_MAX, options->idle_ns_max / 16 + 1);
    rl_send_start(net);
    rl_send_path_start(net);
    rl_acceptor_start(net);
    shard->context[RL_CONTEXT_NET] = net;
    rl_shard_add_turn_hook(shard, net_on_turn, net);
    return RL_OK;
}

static void net_on_drain_timer(struct rl_timer *timer)
{
    struct rl_net *net = timer->arg;
    struct rl_list *node;

    while ((node = rl_list_first(&net->connections)) != NULL)
        rl_connection_close(RL_LIST_ENTRY(node, struct rl_connection, link));
}

void rl_net_drain(struct rl_shard *shard, int64_t grace_ns, void (*done)(void *arg), void *arg)
{
    struct rl_net *net = rl_net_of(shard);

    RL_ASSERT(!net->draining);
    net->draining = true;
    net->drain_done = done;
    net->drain_arg = arg;
    net->drain_timer = (struct rl_timer){ .done = net_on_drain_timer, .arg = net };
    rl_timer_start(shard, &net->drain_timer, shard->now_ns + grace_ns);
    RL_LIST_EACH_SAFE(node, &net->connections) {
        struct rl_connection *conn = RL_LIST_ENTRY(node, struct rl_connection, link);
        if (conn->request_count == 0 && conn->send == NULL)
            rl_connection_close(conn);
    }
    rl_shard_again(shard);
}

void rl_net_stop(struct rl_shard *shard)
{
    struct rl_net *net = shard->context[RL_CONTEXT_NET];
    struct rl_list *node;

    if (net == NULL)
        return;
    RL_OBJ(net, NET);
    net->stopped = true;
    while ((node = rl_list_first(&net->connections)) != NULL ||
           (node = rl_list_first(&net->closing)) != NULL)
        rl_connection_abandon(RL_LIST_ENTRY(node, struct rl_connection, link));
    rl_acceptor_stop(net);
    rl_send_stop(net);
    rl_send_path_stop(net);
    rl_request_pool_free(net);
    struct rl_timer *timers[] = { &net->idle_timer, &net->bulk_timer, &net->stall_timer,
                                  &net->drain_timer };
    for (size_t i = 0; i < RL_ARRAY_COUNT(timers); i++)
        rl_timer_stop(shard, timers[i]);
    shard->context[RL_CONTEXT_NET] = NULL;
    net->magic = 0;
    rl_free(net);
}

size_t rl_net_reply_bytes_left(const struct rl_shard *shard)
{
    return RL_NET_REPLY_BYTES_MAX - RL_MIN(rl_net_of(shard)->reply_bytes, RL_NET_REPLY_BYTES_MAX);
}

uint32_t rl_net_connection_count(const struct rl_shard *shard)
{
    return rl_net_of(shard)->connection_count;
}

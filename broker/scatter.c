/* broker/scatter.c — one request's work, spread over the shards that own its partitions. */
#include "broker/scatter.h"
#include "broker/broker.h"

void rl_scatter_init(struct rl_scatter *scatter, struct rl_request *request,
                     void (*run)(struct rl_scatter_call *), void (*done)(struct rl_scatter *))
{
    *scatter = (struct rl_scatter){ .request = request, .run = run, .done = done };
}

static struct rl_scatter_call *scatter_call_of(struct rl_scatter *scatter, uint32_t owner)
{
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next)
        if (c->owner->index == owner)
            return c;
    struct rl_scatter_call *c = rl_arena_alloc_array(&scatter->request->arena, 1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->owner = rl_shard_peer(rl_request_shard(scatter->request), owner);
    rl_scatter_call_clear(c);
    rl_scatter_add_call(scatter, c);
    return c;
}

void rl_scatter_call_clear(struct rl_scatter_call *call)
{
    call->items = NULL;
    call->items_end = &call->items;
}

void rl_scatter_add_call(struct rl_scatter *scatter, struct rl_scatter_call *call)
{
    call->scatter = scatter;
    call->next = scatter->calls;
    scatter->calls = call;
}

void rl_scatter_call_add(struct rl_scatter_call *call, struct rl_scatter_item *item)
{
    item->next = NULL;
    *call->items_end = item;
    call->items_end = &item->next;
}

rl_status rl_scatter_add(struct rl_scatter *scatter, uint32_t owner, struct rl_scatter_item *item)
{
    struct rl_scatter_call *c = scatter_call_of(scatter, owner);
    if (c == NULL)
        return RL_ENOMEM;
    rl_scatter_call_add(c, item);
    return RL_OK;
}

static void scatter_release(struct rl_scatter *scatter)
{
    if (--scatter->outstanding == 0)
        scatter->done(scatter);
}

static void scatter_call_returned(struct rl_scatter_call *call)
{
    struct rl_scatter *scatter = call->scatter;
    call->returned = true;
    if (scatter->returned != NULL)
        scatter->returned(scatter);
    scatter_release(scatter);
}

static void on_call_arrived(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_scatter_call *call = RL_CONTAINER_OF(msg, struct rl_scatter_call, msg);
    RL_ASSERT(call->owner == shard);
    call->scatter->run(call);
}

static void on_call_returned(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    scatter_call_returned(RL_CONTAINER_OF(msg, struct rl_scatter_call, msg));
}

static void on_cancel_returned(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    scatter_release(RL_CONTAINER_OF(msg, struct rl_scatter_call, cancel_msg)->scatter);
}

/* The call may be finished and its message on its way home: then there is nothing to end.  The
 * answer tells the connection's shard that nobody here looks at the call any more. */
static void on_cancel_arrived(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_scatter_call *call = RL_CONTAINER_OF(msg, struct rl_scatter_call, cancel_msg);
    RL_ASSERT(call->owner == shard);
    if (!call->finished)
        call->scatter->cancel(call);
    msg->handle = on_cancel_returned;
    rl_shard_post(rl_request_shard(call->scatter->request), msg);
}

void rl_scatter_start(struct rl_scatter *scatter)
{
    struct rl_shard *self = rl_request_shard(scatter->request);
    scatter->outstanding = 1;           /* ours: done cannot run while calls are still going out */
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next) {
        c->finished = c->returned = c->cancelling = false;
        scatter->outstanding++;
    }
    /* Ours runs last: it may end at once and have the others cancelled (rl_scatter.returned), and a
     * cancel must arrive behind its call. */
    struct rl_scatter_call *ours = NULL;
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next) {
        if (c->owner == self) {
            ours = c;
        } else {
            c->msg.handle = on_call_arrived;
            rl_shard_post(c->owner, &c->msg);
        }
    }
    if (ours != NULL)
        scatter->run(ours);
    scatter_release(scatter);
}

void rl_scatter_call_done(struct rl_scatter_call *call)
{
    RL_ASSERT(!call->finished);
    struct rl_shard *home = rl_request_shard(call->scatter->request);
    call->finished = true;
    if (home == call->owner) {
        scatter_call_returned(call);
        return;
    }
    call->msg.handle = on_call_returned;
    rl_shard_post(home, &call->msg);
}

void rl_scatter_cancel(struct rl_scatter *scatter)
{
    struct rl_shard *self = rl_request_shard(scatter->request);
    scatter->outstanding++;             /* ours, as in rl_scatter_start */
    for (struct rl_scatter_call *c = scatter->calls; c != NULL; c = c->next) {
        if (c->returned || c->cancelling)
            continue;
        c->cancelling = true;
        if (c->owner == self) {
            scatter->cancel(c);
        } else {
            scatter->outstanding++;
            c->cancel_msg.handle = on_cancel_arrived;
            rl_shard_post(c->owner, &c->cancel_msg);
        }
    }
    scatter_release(scatter);
}

/* broker/scatter.h — one request's work, spread over the shards that own its partitions.
 *
 * Worked example, Produce with partitions on two shards:
 *     rl_scatter_init(&s, request, append_run, append_done);
 *     rl_scatter_add(&s, home_of_a, &a.item);  rl_scatter_add(&s, home_of_b, &b.item);
 *     rl_scatter_start(&s);             one message per owner, none to ourselves
 *   on each owner: append_run(call) walks call->items in the order added, may finish later, and
 *     says rl_scatter_call_done(call) exactly once;
 *   back on the connection's shard, when all calls are done: append_done(&s).
 *
 * All memory is in the request's arena, which only the connection's shard may allocate from;
 * items are lent to the owner until its call is done. */
#ifndef RL_BROKER_SCATTER_H
#define RL_BROKER_SCATTER_H

#include "io/shard.h"
#include "net/net.h"

struct rl_scatter;

struct rl_scatter_item {
    struct rl_scatter_item *next;       /* of the same owner */
};

struct rl_scatter_call {                /* all items of one owner */
    struct rl_msg msg;
    struct rl_scatter_call *next;
    struct rl_scatter *scatter;
    struct rl_shard *owner;
    struct rl_scatter_item *items, **items_end;
    /* the owner's, while the call is out */
    uint32_t outstanding;               /* its own count */
    size_t bytes;                       /* group_scatter.h: taken for the answer */
    bool finished;                      /* it said rl_scatter_call_done */
    struct rl_timer timer;
    /* the connection's shard's; a word apart from the owner's, since compilers read flags together */
    bool returned;                      /* it knows that the call is finished */
    bool cancelling;                    /* it asked for an early end */
    struct rl_msg cancel_msg;
};

struct rl_scatter {
    struct rl_request *request;
    struct rl_scatter_call *calls;
    uint32_t outstanding;
    void (*run)(struct rl_scatter_call *call);          /* on the owner */
    void (*done)(struct rl_scatter *scatter);           /* on the connection's shard */
    /* Optional, for calls that wait: */
    void (*returned)(struct rl_scatter *scatter);       /* connection's shard, after each call */
    void (*cancel)(struct rl_scatter_call *call);       /* owner: end early, by call_done */
};

void rl_scatter_init(struct rl_scatter *scatter, struct rl_request *request,
                     void (*run)(struct rl_scatter_call *), void (*done)(struct rl_scatter *));
/* RL_OK, or RL_ENOMEM (the request's limit; the caller gives up the request). */
rl_status rl_scatter_add(struct rl_scatter *scatter, uint32_t owner, struct rl_scatter_item *item);
/* For calls whose memory is the caller's: call->owner is set; take its items away, link it, and add
 * items in order.  The owner may add some of its own while the call is out. */
void rl_scatter_call_clear(struct rl_scatter_call *call);
void rl_scatter_add_call(struct rl_scatter *scatter, struct rl_scatter_call *call);
void rl_scatter_call_add(struct rl_scatter_call *call, struct rl_scatter_item *item);
/* Run it.  With no items, or when all is done at once here, done runs before this returns. */
void rl_scatter_start(struct rl_scatter *scatter);
/* Owner's shard, once per call. */
void rl_scatter_call_done(struct rl_scatter_call *call);
/* Ask the owners whose calls are still out to end them early; done follows as usual.  Repeating
 * it is harmless.  Connection's shard. */
void rl_scatter_cancel(struct rl_scatter *scatter);

#endif

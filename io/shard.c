/* io/shard.c — one shard's loop: messages, timers, hooks, kernel, and how it sleeps.
 *
 * One turn: take messages, run due timers, run the end-of-turn hooks, publish what was posted,
 * enter the kernel once.  There the clocks are read anew and completed operations run.
 *
 * To sleep: set `sleeping`, then look at every inbox once more, then wait without limit or until
 * the next timer.  A sender publishes first and looks at `sleeping` afterwards; both orders are
 * sequentially consistent, so a message is seen or its receiver is woken.  Whoever clears
 * `sleeping` does the waking: one wake per sleep.
 *
 * Failures: a full mailbox makes messages wait in the sender (rl_shard_congested). */
#include "io/shard.h"
#include "core/logger.h"
#include "io/loop.h"
#include <stdio.h>

#define LOOP_MAIL_BATCH 64u             /* taken from one mailbox at a time */
#define LOOP_MAIL_ROUNDS 16u            /* batches of one sender per turn */

_Thread_local struct rl_shard *rl_self;

/* ---- posting ---- */

void rl_shard_post(struct rl_shard *to, struct rl_msg *msg)
{
    struct rl_loop *loop = rl_loop_of(rl_self);

    if (to == rl_self) {
        msg->next = NULL;
        if (loop->self_first == NULL)
            loop->self_first = msg;
        else
            loop->self_last->next = msg;
        loop->self_last = msg;
        return;
    }
    struct rl_mailbox *mailbox = &rl_self->set->mailboxes[rl_self->index * rl_self->count + to->index];
    bool waited = rl_mailbox_waiting(mailbox);
    rl_mailbox_put(mailbox, msg);
    loop->congested_count += rl_mailbox_waiting(mailbox) && !waited;
    loop->post_to[to->index / 64] |= (uint64_t)1 << (to->index % 64);
}

void rl_shard_post_foreign(struct rl_shard *to, struct rl_msg *msg)
{
    struct rl_loop *loop = rl_loop_of(to);

    struct rl_msg *newest = atomic_load_explicit(&loop->foreign, memory_order_relaxed);
    do {
        msg->next = newest;
    } while (!atomic_compare_exchange_weak(&loop->foreign, &newest, msg));
    rl_loop_wake(NULL, loop);
}

bool rl_shard_congested(const struct rl_shard *shard)
{
    return rl_loop_of(shard)->congested_count != 0;
}

struct rl_shard *rl_shard_peer(const struct rl_shard *shard, uint32_t index)
{
    RL_ASSERT(index < shard->count);
    return &shard->set->loops[index]->shard;
}

void rl_loop_wake(struct rl_shard *from, struct rl_loop *to)
{
    if (atomic_load(&to->sleeping) != 0 && atomic_exchange(&to->sleeping, 0) != 0)
        to->shard.backend->wake(from, &to->shard);
}

static void loop_publish_one(struct rl_loop *loop, uint32_t to)
{
    struct rl_shard_set *set = loop->shard.set;
    struct rl_mailbox *mailbox = &set->mailboxes[loop->shard.index * set->count + to];
    uint32_t index = loop->shard.index;
    uint64_t bit = (uint64_t)1 << (index % 64);
    bool waited = rl_mailbox_waiting(mailbox);

    if (rl_mailbox_publish(mailbox)) {
        struct rl_loop *target = set->loops[to];
        loop->work++;
        _Atomic uint64_t *mail = &target->mail_from[index / 64];
        /* A bit still set will be taken after our store of the tail: nothing to add. */
        if ((atomic_load(mail) & bit) == 0)
            atomic_fetch_or(mail, bit);
        rl_loop_wake(&loop->shard, target);
    }
    if (rl_mailbox_waiting(mailbox))
        return;
    loop->congested_count -= waited;
    loop->again |= waited;              /* hooks ran before: who waited for room must hear of it */
    loop->post_to[to / 64] &= ~((uint64_t)1 << (to % 64));
}

static void loop_publish(struct rl_loop *loop)
{
    for (uint32_t word = 0; word < RL_LOOP_MASK_WORDS; word++) {
        for (uint64_t left = loop->post_to[word]; left != 0; left &= left - 1)
            loop_publish_one(loop, word * 64 + (uint32_t)__builtin_ctzll(left));
    }
}

/* ---- taking ---- */

static void loop_handle(struct rl_loop *loop, struct rl_msg *msg)
{
    loop->work++;
    msg->handle(&loop->shard, msg);
}

/* True when the mailbox is empty afterwards. */
static bool loop_take_from(struct rl_loop *loop, uint32_t from)
{
    struct rl_shard_set *set = loop->shard.set;
    struct rl_mailbox *mailbox = &set->mailboxes[from * set->count + loop->shard.index];
    struct rl_msg *messages[LOOP_MAIL_BATCH];

    for (uint32_t round = 0; round < LOOP_MAIL_ROUNDS; round++) {
        bool wake_sender;
        uint32_t count = rl_mailbox_take(mailbox, messages, LOOP_MAIL_BATCH, &wake_sender);
        if (wake_sender)
            rl_loop_wake(&loop->shard, set->loops[from]);
        for (uint32_t i = 0; i < count; i++)
            loop_handle(loop, messages[i]);
        if (count < LOOP_MAIL_BATCH)
            return true;
    }
    return false;
}

static void loop_take_mail(struct rl_loop *loop)
{
    for (uint32_t word = 0; word < RL_LOOP_MASK_WORDS; word++) {
        uint64_t senders = loop->mail_left[word];
        if (atomic_load(&loop->mail_from[word]) != 0)
            senders |= atomic_exchange(&loop->mail_from[word], 0);
        loop->mail_left[word] = 0;
        for (; senders != 0; senders &= senders - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(senders);
            if (!loop_take_from(loop, word * 64 + bit))
                loop->mail_left[word] |= (uint64_t)1 << bit;
        }
    }
}

static void loop_take_foreign(struct rl_loop *loop)
{
    if (atomic_load(&loop->foreign) == NULL)
        return;
    struct rl_msg *newest = atomic_exchange(&loop->foreign, NULL), *oldest = NULL;
    while (newest != NULL) {            /* reverse: first posted, first handled */
        struct rl_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct rl_msg *next = oldest->next;
        loop_handle(loop, oldest);
        oldest = next;
    }
}

/* Only what was posted before: a handler that posts to itself again gets the next turn. */
static void loop_take_self(struct rl_loop *loop)
{
    struct rl_msg *msg = loop->self_first;

    loop->self_first = NULL;
    while (msg != NULL) {
        struct rl_msg *next = msg->next;
        loop_handle(loop, msg);
        msg = next;
    }
}

/* ---- sleeping ---- */

bool rl_loop_has_work(const struct rl_loop *loop)
{
    if (loop->again || loop->self_first != NULL ||
        rl_timers_next(&loop->timers) <= loop->shard.now_ns)
        return true;
    for (uint32_t word = 0; word < RL_LOOP_MASK_WORDS; word++) {
        if (loop->mail_left[word] != 0)
            return true;
    }
    return false;
}

/* After `sleeping` was set: has anything arrived that nobody will wake us for? */
static bool loop_inbox_filled(const struct rl_loop *loop)
{
    struct rl_shard_set *set = loop->shard.set;

    if (atomic_load(&loop->foreign) != NULL || atomic_load(&set->stopping))
        return true;
    for (uint32_t word = 0; word < RL_LOOP_MASK_WORDS; word++) {
        if (atomic_load(&loop->mail_from[word]) != 0)
            return true;
        for (uint64_t left = loop->post_to[word]; left != 0; left &= left - 1) {
            uint32_t to = word * 64 + (uint32_t)__builtin_ctzll(left);
            if (rl_mailbox_unblocked(&set->mailboxes[loop->shard.index * set->count + to]))
                return true;
        }
    }
    return false;
}

/* How long the kernel may keep us: 0 when there is work. */
static int64_t loop_wait_ns(struct rl_loop *loop)
{
    if (rl_loop_has_work(loop))
        return 0;
    int64_t next = rl_timers_next(&loop->timers);
    atomic_store(&loop->sleeping, 1);
    if (loop_inbox_filled(loop)) {
        atomic_store_explicit(&loop->sleeping, 0, memory_order_relaxed);
        return 0;
    }
    return next == INT64_MAX ? INT64_MAX : next - loop->shard.now_ns;
}

void rl_loop_turn(struct rl_loop *loop, bool may_sleep)
{
    struct rl_shard *shard = &loop->shard;

    shard->doing = "messages";
    loop->again = false;
    loop_take_mail(loop);
    loop_take_foreign(loop);
    loop_take_self(loop);
    shard->doing = "timers";
    if (rl_timers_next(&loop->timers) <= shard->now_ns)
        loop->work += rl_timers_run(&loop->timers, shard->now_ns);
    shard->doing = "end of turn";
    for (uint32_t i = 0; i < loop->hook_count; i++)
        loop->hooks[i].run(shard, loop->hooks[i].arg);
    loop_publish(loop);
    int64_t wait_ns = may_sleep ? loop_wait_ns(loop) : 0;
    shard->doing = "kernel";
    shard->backend->turn(shard, wait_ns);
    if (wait_ns != 0)
        atomic_store_explicit(&loop->sleeping, 0, memory_order_relaxed);
}

/* ---- hooks, timers, operations ---- */

void rl_shard_add_turn_hook(struct rl_shard *shard, rl_shard_hook_fn *hook, void *arg)
{
    struct rl_loop *loop = rl_loop_of(shard);

    RL_ASSERT(loop->hook_count < RL_LOOP_HOOKS_MAX);
    loop->hooks[loop->hook_count++] = (struct rl_loop_hook){ .run = hook, .arg = arg };
}

void rl_shard_again(struct rl_shard *shard)
{
    rl_loop_of(shard)->again = true;
}

void rl_timer_start(struct rl_shard *shard, struct rl_timer *timer, int64_t deadline_ns)
{
    RL_ASSERT(shard == rl_self);
    rl_timers_start(&rl_loop_of(shard)->timers, timer, deadline_ns);
}

void rl_timer_stop(struct rl_shard *shard, struct rl_timer *timer)
{
    RL_ASSERT(shard == rl_self);
    rl_timers_stop(&rl_loop_of(shard)->timers, timer);
}

uint64_t rl_shard_random(struct rl_shard *shard)
{
    return rl_random_next(&rl_loop_of(shard)->random);
}

void rl_submit(struct rl_shard *shard, struct rl_op *op)
{
    RL_ASSERT(shard == rl_self);
    RL_ASSERT(!op->in_flight && op->done != NULL);
    op->in_flight = true;
    op->cancelled = false;
    op->home = shard;
    op->status = RL_OK;
    op->more = false;
    op->ret_fd = -1;
    op->ret_data = NULL;
    op->ret_bytes = 0;
    shard->backend->submit(shard, op);
}

void rl_cancel(struct rl_shard *shard, struct rl_op *op)
{
    RL_ASSERT(shard == rl_self);
    RL_ASSERT(op->kind != RL_OP_JOB && op->kind != RL_OP_SYNC);
    if (!op->in_flight || op->cancelled)
        return;
    op->cancelled = true;
    shard->backend->cancel(shard, op);
}

void rl_shard_complete(struct rl_shard *shard, struct rl_op *op)
{
    RL_ASSERT(op->in_flight && op->home == shard);
    shard->doing = "completions";
    rl_loop_of(shard)->work++;
    op->in_flight = op->more;
    op->done(op);
}

void rl_shard_read_clocks(struct rl_shard *shard)
{
    shard->backend->clocks(shard, &shard->now_ns, &shard->wall_ms);
}

/* ---- life ---- */

static void loop_describe(void *arg, char *buffer, size_t bytes)
{
    struct rl_loop *loop = arg;
    snprintf(buffer, bytes, "shard %u of %u, doing: %s", loop->shard.index, loop->shard.count,
             loop->shard.doing != NULL ? loop->shard.doing : "nothing");
}

rl_status rl_loop_open(struct rl_loop *loop)
{
    struct rl_shard *shard = &loop->shard;
    struct rl_shard_set *set = shard->set;
    char tag[16];

    rl_self = shard;
    shard->doing = "start";
    rl_panic_context(loop_describe, loop);
    snprintf(tag, sizeof tag, "s%u", shard->index);
    rl_logger_tag(tag);
    rl_status status = shard->backend->start(shard);
    if (status != RL_OK)
        return status;
    rl_random_init(&loop->random, shard->backend->seed(shard));
    rl_shard_read_clocks(shard);
    status = set->start != NULL ? set->start(shard, set->start_arg) : RL_OK;
    if (status != RL_OK)
        shard->backend->stop(shard);
    return status;
}

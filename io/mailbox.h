/* io/mailbox.h — messages from one shard to one other: a ring with one writer and one reader.
 *
 * The sender puts messages into free slots, which cost no atomic, and publishes them once per
 * turn.  What finds no slot waits in a list at the sender (bounded by the senders' own memory:
 * a message is theirs) and moves into the ring as the receiver makes room; the sender marks
 * itself blocked, so that the receiver wakes it.
 *
 * Every pair of stores and loads that decides about sleeping is sequentially consistent: each
 * side stores its own word, then loads the other's, so at least one of them sees the other. */
#ifndef RL_IO_MAILBOX_H
#define RL_IO_MAILBOX_H

#include "io/shard.h"
#include <stdatomic.h>

struct rl_mailbox {
    /* sender writes, receiver reads */
    alignas(RL_CACHE_LINE_BYTES) _Atomic uint32_t tail;
    _Atomic bool blocked;               /* the sender waits for room */
    /* receiver writes, sender reads */
    alignas(RL_CACHE_LINE_BYTES) _Atomic uint32_t head;
    /* sender only */
    alignas(RL_CACHE_LINE_BYTES) uint32_t tail_next;    /* slots filled, published or not */
    uint32_t tail_published;
    uint32_t head_seen;
    struct rl_msg *waiting_first, *waiting_last;
    /* receiver only */
    alignas(RL_CACHE_LINE_BYTES) uint32_t head_next;
    /* constant */
    alignas(RL_CACHE_LINE_BYTES) uint32_t capacity;     /* a power of two */
    struct rl_msg **slots;
};

void rl_mailbox_init(struct rl_mailbox *mailbox, uint32_t capacity);
void rl_mailbox_done(struct rl_mailbox *mailbox);

/* Sender: add a message, unpublished. */
void rl_mailbox_put(struct rl_mailbox *mailbox, struct rl_msg *msg);
/* Sender: show the receiver everything that has a slot; true when there was something new. */
bool rl_mailbox_publish(struct rl_mailbox *mailbox);
/* Sender: messages have no slot yet. */
static inline bool rl_mailbox_waiting(const struct rl_mailbox *mailbox)
{
    return mailbox->waiting_first != NULL;
}
/* Sender, after publish and before it sleeps: has the receiver taken the promise to wake it, while
 * messages still wait?  Then it must publish again instead of sleeping. */
bool rl_mailbox_unblocked(const struct rl_mailbox *mailbox);

/* Receiver: take up to `max` messages; ret_wake_sender: the sender waited for this room. */
uint32_t rl_mailbox_take(struct rl_mailbox *mailbox, struct rl_msg **messages, uint32_t max,
                         bool *ret_wake_sender);

#endif

/* io/mailbox.c — messages from one shard to one other.
 *
 * Happy path: put, put, publish (one store); take (one load, one store).
 * Full: put appends to the waiting list, publish sets `blocked` and looks at head once more;
 * take moves head, sees `blocked`, clears it and has the sender woken.  It may clear it for room
 * that publish had used already: so before a sender sleeps it asks whether `blocked` still stands
 * (rl_mailbox_unblocked), not whether there is room.
 *
 * Pairs: put's slot write → tail store | tail load → slot read in take;
 *        slot read → head store        | head load → slot reuse in put. */
#include "io/mailbox.h"
#include "core/memory.h"

void rl_mailbox_init(struct rl_mailbox *mailbox, uint32_t capacity)
{
    RL_ASSERT(capacity != 0 && (capacity & (capacity - 1)) == 0);
    *mailbox = (struct rl_mailbox){ .capacity = capacity };
    mailbox->slots = rl_alloc_zero(capacity, sizeof *mailbox->slots);
}

void rl_mailbox_done(struct rl_mailbox *mailbox)
{
    rl_free(mailbox->slots);
    mailbox->slots = NULL;
}

static bool mailbox_has_room(struct rl_mailbox *mailbox)
{
    if (mailbox->tail_next - mailbox->head_seen < mailbox->capacity)
        return true;
    mailbox->head_seen = atomic_load(&mailbox->head);
    return mailbox->tail_next - mailbox->head_seen < mailbox->capacity;
}

static void mailbox_fill(struct rl_mailbox *mailbox, struct rl_msg *msg)
{
    mailbox->slots[mailbox->tail_next & (mailbox->capacity - 1)] = msg;
    mailbox->tail_next++;
}

void rl_mailbox_put(struct rl_mailbox *mailbox, struct rl_msg *msg)
{
    if (mailbox->waiting_first == NULL && mailbox_has_room(mailbox)) {
        mailbox_fill(mailbox, msg);
        return;
    }
    msg->next = NULL;
    if (mailbox->waiting_first == NULL)
        mailbox->waiting_first = msg;
    else
        mailbox->waiting_last->next = msg;
    mailbox->waiting_last = msg;
}

static void mailbox_move_waiting(struct rl_mailbox *mailbox)
{
    while (mailbox->waiting_first != NULL && mailbox_has_room(mailbox)) {
        struct rl_msg *msg = mailbox->waiting_first;
        mailbox->waiting_first = msg->next;
        mailbox_fill(mailbox, msg);
    }
}

bool rl_mailbox_publish(struct rl_mailbox *mailbox)
{
    mailbox_move_waiting(mailbox);
    if (mailbox->waiting_first != NULL) {
        atomic_store(&mailbox->blocked, true);
        mailbox_move_waiting(mailbox);  /* room made before the store was seen by nobody */
    }
    if (mailbox->tail_next == mailbox->tail_published)
        return false;
    mailbox->tail_published = mailbox->tail_next;
    atomic_store(&mailbox->tail, mailbox->tail_next);
    return true;
}

bool rl_mailbox_unblocked(const struct rl_mailbox *mailbox)
{
    return mailbox->waiting_first != NULL && !atomic_load(&mailbox->blocked);
}

uint32_t rl_mailbox_take(struct rl_mailbox *mailbox, struct rl_msg **messages, uint32_t max,
                         bool *ret_wake_sender)
{
    uint32_t count = atomic_load(&mailbox->tail) - mailbox->head_next;

    *ret_wake_sender = false;
    count = RL_MIN(count, max);
    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        messages[i] = mailbox->slots[(mailbox->head_next + i) & (mailbox->capacity - 1)];
    mailbox->head_next += count;
    atomic_store(&mailbox->head, mailbox->head_next);
    if (RL_UNLIKELY(atomic_load(&mailbox->blocked)))
        *ret_wake_sender = atomic_exchange(&mailbox->blocked, false);
    return count;
}

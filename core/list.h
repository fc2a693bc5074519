/* core/list.h — an intrusive doubly linked list.
 *
 * The head is a node of its own that points to itself when the list is empty, so no operation
 * has a special case.  A node that is in no list has next == NULL (rl_list_linked). */
#ifndef RL_CORE_LIST_H
#define RL_CORE_LIST_H

#include "core/base.h"

struct rl_list {
    struct rl_list *next, *previous;
};

/* The object whose field `field` is the node. */
#define RL_LIST_ENTRY(node, type, field) RL_CONTAINER_OF(node, type, field)
/* Walk the nodes; the node itself must not be removed on the way. */
#define RL_LIST_EACH(node, head) \
    for (struct rl_list *node = (head)->next; node != (head); node = node->next)
/* Walk the nodes; the node itself (no other) may be removed on the way. */
#define RL_LIST_EACH_SAFE(node, head) \
    for (struct rl_list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void rl_list_init(struct rl_list *head)
{
    head->next = head->previous = head;
}
static inline bool rl_list_empty(const struct rl_list *head)
{
    return head->next == head;
}
/* Is this node in a list?  Only for nodes that were zeroed before their first use. */
static inline bool rl_list_linked(const struct rl_list *node)
{
    return node->next != NULL;
}
static inline void rl_list_insert_between(struct rl_list *node, struct rl_list *before,
                                          struct rl_list *after)
{
    node->previous = before;
    node->next = after;
    before->next = node;
    after->previous = node;
}
static inline void rl_list_push_front(struct rl_list *head, struct rl_list *node)
{
    rl_list_insert_between(node, head, head->next);
}
static inline void rl_list_push_back(struct rl_list *head, struct rl_list *node)
{
    rl_list_insert_between(node, head->previous, head);
}
static inline void rl_list_remove(struct rl_list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = node->previous = NULL;
}
/* The first node, NULL when the list is empty. */
static inline struct rl_list *rl_list_first(const struct rl_list *head)
{
    return rl_list_empty(head) ? NULL : head->next;
}
/* Remove the first node and return it, NULL when the list is empty. */
static inline struct rl_list *rl_list_pop_front(struct rl_list *head)
{
    struct rl_list *node = rl_list_first(head);

    if (node != NULL)
        rl_list_remove(node);
    return node;
}
/* Move all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void rl_list_take_all(struct rl_list *to, struct rl_list *from)
{
    if (rl_list_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    rl_list_init(from);
}

#endif

/* core/buffer.h — bytes with a count of users, all of them on one shard.
 *
 * The count is a plain integer: only the home shard may call ref and unref.  Another shard is
 * lent the bytes inside a message and answers before it forgets them. */
#ifndef RL_CORE_BUFFER_H
#define RL_CORE_BUFFER_H

#include "core/base.h"

#define RL_BUFFER_MAGIC 0x66667562u     /* "buff" */

struct rl_buffer {
    uint32_t magic;
    uint32_t references;
    uint32_t home;                      /* index of the shard that owns it */
    size_t capacity;                    /* bytes at data */
    alignas(16) uint8_t data[];
};

/* One reference, content undefined.  home: index of the calling shard. */
struct rl_buffer *rl_buffer_create(size_t bytes, uint32_t home) RL_MUST_USE;
/* One more user; returns buffer. */
struct rl_buffer *rl_buffer_ref(struct rl_buffer *buffer);
/* One user less; the last one frees it.  NULL is fine. */
void rl_buffer_unref(struct rl_buffer *buffer);

#endif

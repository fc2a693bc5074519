/* core/buffer.c — bytes with a count of users, all of them on one shard. */
#include "core/buffer.h"
#include "core/memory.h"

struct rl_buffer *rl_buffer_create(size_t bytes, uint32_t home)
{
    RL_ASSERT(bytes <= SIZE_MAX - sizeof(struct rl_buffer));
    struct rl_buffer *buffer = rl_alloc(sizeof *buffer + bytes);

    buffer->magic = RL_BUFFER_MAGIC;
    buffer->references = 1;
    buffer->home = home;
    buffer->capacity = bytes;
    return buffer;
}

struct rl_buffer *rl_buffer_ref(struct rl_buffer *buffer)
{
    RL_OBJ(buffer, BUFFER);
    RL_ASSERT(buffer->references > 0 && buffer->references < UINT32_MAX);
    buffer->references++;
    return buffer;
}

void rl_buffer_unref(struct rl_buffer *buffer)
{
    if (buffer == NULL)
        return;
    RL_OBJ(buffer, BUFFER);
    RL_ASSERT(buffer->references > 0);
    if (--buffer->references == 0) {
        buffer->magic = 0;
        rl_free(buffer);
    }
}

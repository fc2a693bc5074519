/* tests/io/remote.h — a test's main thread drives shards that run on theirs. */
#ifndef RL_TESTS_IO_REMOTE_H
#define RL_TESTS_IO_REMOTE_H

#include "io/backend.h"
#include "io/disk.h"
#include "io/shard.h"
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

/* The backend over the real kernel that this run of the tests is about: RINGLOG_IO, as for the
 * broker itself. */
static inline const struct rl_backend *remote_backend(void)
{
    const char *io = getenv("RINGLOG_IO");

    return io != NULL && strcmp(io, "posix") == 0 ? &rl_backend_posix : &rl_backend_uring;
}

struct remote_call {
    struct rl_msg msg;
    void (*run)(struct rl_shard *shard, void *arg);
    void *arg;
    sem_t done;
};

static inline void remote_handle(struct rl_shard *shard, struct rl_msg *msg)
{
    struct remote_call *call = RL_CONTAINER_OF(msg, struct remote_call, msg);

    call->run(shard, call->arg);
    sem_post(&call->done);
}

/* Run a function on a shard and wait until it has returned. */
static inline void remote_run(struct rl_shard *shard, void (*run)(struct rl_shard *, void *), void *arg)
{
    struct remote_call call = { .msg.handle = remote_handle, .run = run, .arg = arg };

    sem_init(&call.done, 0, 0);
    rl_shard_post_foreign(shard, &call.msg);
    while (sem_wait(&call.done) != 0)
        ;
    sem_destroy(&call.done);
}

/* An operation whose every event wakes the test. */
struct remote_op {
    struct rl_op op;
    sem_t event;
};

static inline void remote_op_done(struct rl_op *op)
{
    sem_post(&((struct remote_op *)op->arg)->event);
}

static inline void remote_submit_here(struct rl_shard *shard, void *arg)
{
    rl_submit(shard, &((struct remote_op *)arg)->op);
}

static inline void remote_cancel_here(struct rl_shard *shard, void *arg)
{
    rl_cancel(shard, &((struct remote_op *)arg)->op);
}

static inline void remote_submit(struct rl_shard *shard, struct remote_op *remote)
{
    remote->op.done = remote_op_done;
    remote->op.arg = remote;
    sem_init(&remote->event, 0, 0);
    remote_run(shard, remote_submit_here, remote);
}

static inline void remote_wait(struct remote_op *remote)
{
    while (sem_wait(&remote->event) != 0)
        ;
}

static inline struct rl_shard_set *remote_set(uint32_t shards, const struct rl_backend *backend)
{
    struct rl_shard_set *set = NULL;
    struct rl_shard_set_options options = { .shard_count = shards, .backend = backend,
                                            .disk = rl_disk_real() };

    RL_ASSERT(rl_shard_set_create(&options, &set) == RL_OK);
    return set;
}

static inline void remote_end(struct rl_shard_set *set, rl_shard_hook_fn *finish, void *arg)
{
    rl_shard_set_stop(set);
    rl_shard_set_join(set, finish, arg);
    rl_shard_set_free(set);
}

#endif

/* io/loop.h — what stands behind shard->io and shard->set.  Private to io/ (and to backends). */
#ifndef RL_IO_LOOP_H
#define RL_IO_LOOP_H

#include "core/random.h"
#include "io/backend.h"
#include "io/mailbox.h"
#include "io/timers.h"
#include <pthread.h>
#include <stdatomic.h>

#define RL_LOOP_HOOKS_MAX 16
#define RL_LOOP_MASK_WORDS (RL_SHARDS_MAX / 64)

struct rl_helpers;

struct rl_loop_hook {
    rl_shard_hook_fn *run;
    void *arg;
};

struct rl_loop {
    struct rl_shard shard;
    /* written by others */
    alignas(RL_CACHE_LINE_BYTES) _Atomic uint32_t sleeping;     /* wake me after you publish */
    _Atomic uint64_t mail_from[RL_LOOP_MASK_WORDS];             /* one bit per sender: look */
    alignas(RL_CACHE_LINE_BYTES) _Atomic(struct rl_msg *) foreign;  /* newest first */
    /* this shard only */
    alignas(RL_CACHE_LINE_BYTES) uint64_t mail_left[RL_LOOP_MASK_WORDS];    /* not yet empty */
    uint64_t post_to[RL_LOOP_MASK_WORDS];       /* mailboxes to publish */
    uint32_t congested_count;                   /* mailboxes with messages that wait */
    struct rl_msg *self_first, *self_last;      /* posted to oneself */
    struct rl_loop_hook hooks[RL_LOOP_HOOKS_MAX];
    uint32_t hook_count;
    bool again;
    uint64_t work;                              /* things done, ever */
    struct rl_timers timers;
    struct rl_random random;
    void *backend;                              /* the backend's state */
    pthread_t thread;
};

/* Where the threads of a set are in their life. */
enum rl_set_phase { RL_SET_CREATED, RL_SET_STARTING, RL_SET_RUNNING, RL_SET_FINISHING };

struct rl_shard_set {
    uint32_t count;
    uint32_t helper_count;
    const struct rl_backend *backend;
    struct rl_loop **loops;
    struct rl_mailbox *mailboxes;       /* [from * count + to] */
    struct rl_helpers *helpers;         /* NULL where the backend has none */
    _Atomic bool stopping;
    bool stepped;
    /* start and end of the threads, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum rl_set_phase phase;
    uint32_t arrived;                   /* threads that have done what the phase asks */
    rl_status start_status;             /* the first failure */
    rl_status (*start)(struct rl_shard *shard, void *arg);
    void *start_arg;
    rl_shard_hook_fn *finish;
    void *finish_arg;
};

static inline struct rl_loop *rl_loop_of(const struct rl_shard *shard)
{
    return shard->io;
}

/* Bind the calling thread to the shard, start its backend, run start().  On failure the backend
 * is stopped again. */
rl_status rl_loop_open(struct rl_loop *loop);
/* One turn; may_sleep: wait in the kernel when there is nothing left to do. */
void rl_loop_turn(struct rl_loop *loop, bool may_sleep);
/* Something waits for the next turn that no wake will announce. */
bool rl_loop_has_work(const struct rl_loop *loop);
/* Make the loop turn if it sleeps.  from: the calling shard or NULL. */
void rl_loop_wake(struct rl_shard *from, struct rl_loop *to);

#endif

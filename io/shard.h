/* io/shard.h — a shard: one thread, one ring, one event loop, and the data it owns.
 *
 * One turn of the loop: read the clocks once; take messages from the other shards (a bounded
 * number); run due timers; run `done` of completed operations; run the end-of-turn hooks (the
 * log's write, the connections' sends); hand everything submitted to the kernel; and, with
 * nothing left to do, sleep until a completion, a message or the next timer.  There is no tick
 * when idle.
 *
 * Shard to shard: rl_shard_post().  It never fails and never blocks: what does not fit the
 * target's mailbox waits in the sender, and rl_shard_congested() tells the connections to stop
 * receiving meanwhile.  Messages staged in one turn are published, and the target is woken, once
 * per turn; who is awake is not woken. */
#ifndef RL_IO_SHARD_H
#define RL_IO_SHARD_H

#include "core/base.h"
#include "core/status.h"
#include "io/op.h"

#define RL_SHARDS_MAX 128
#define RL_SHARD_MAGIC 0x64726873u      /* "shrd" */

struct rl_backend;
struct rl_disk;
struct rl_shard_set;
struct rl_mesh;

/* A message is memory of the sender, lent to the receiver until it answers (or given to it:
 * the message's own documentation says which).  handle runs on the receiving shard. */
struct rl_msg {
    void (*handle)(struct rl_shard *shard, struct rl_msg *msg);
    struct rl_msg *next;                /* io/ only, while it waits */
};

struct rl_timer {
    void (*done)(struct rl_timer *timer);
    void *arg;
    int64_t deadline_ns;
    uint32_t heap_index;                /* 0: not running; io/ only */
};

/* What the folders above keep per shard; each sets its own pointer when it starts. */
enum rl_shard_context { RL_CONTEXT_NET, RL_CONTEXT_LOG, RL_CONTEXT_METADATA, RL_CONTEXT_REPLICATE,
                        RL_CONTEXT_COORDINATE, RL_CONTEXT_BROKER, RL_CONTEXT_FETCH_SESSIONS, RL_CONTEXT_COUNT };

typedef void rl_shard_hook_fn(struct rl_shard *shard, void *arg);

struct rl_shard {
    uint32_t magic;
    uint32_t index;                     /* 0 .. count-1 */
    uint32_t count;                     /* shards in the set */
    struct rl_shard_set *set;
    const struct rl_backend *backend;
    struct rl_disk *disk;
    /* read once per turn */
    int64_t now_ns;                     /* monotonic */
    int64_t wall_ms;                    /* since 1970 */
    void *context[RL_CONTEXT_COUNT];
    const char *doing;                  /* static text for crash reports */
    void *io;                           /* io/ only: loop, heap, mailboxes, backend */
};

/* The shard whose code is running, NULL elsewhere (helper threads, main). */
extern _Thread_local struct rl_shard *rl_self;

/* Post to a shard (also to oneself: handled later in the same or the next turn, never inside
 * this call).  Only from a shard's thread (rl_self != NULL). */
void rl_shard_post(struct rl_shard *to, struct rl_msg *msg);
/* The same from any other thread (main, signals' thread, HTTP).  Wakes the shard.  Such threads
 * end before rl_shard_set_join; what is posted after rl_shard_set_stop may never be handled. */
void rl_shard_post_foreign(struct rl_shard *to, struct rl_msg *msg);
/* Messages of this shard wait because a peer's mailbox is full. */
bool rl_shard_congested(const struct rl_shard *shard);
/* The shard with this index of the same set. */
struct rl_shard *rl_shard_peer(const struct rl_shard *shard, uint32_t index);

/* Run hook at the end of every turn, in order of registration.  At start, on the shard. */
void rl_shard_add_turn_hook(struct rl_shard *shard, rl_shard_hook_fn *hook, void *arg);
/* Make the loop turn once more before it sleeps (for hooks that left work behind). */
void rl_shard_again(struct rl_shard *shard);

/* Start or move a timer; done runs once, at or after deadline_ns of shard->now_ns. */
void rl_timer_start(struct rl_shard *shard, struct rl_timer *timer, int64_t deadline_ns);
void rl_timer_stop(struct rl_shard *shard, struct rl_timer *timer);
static inline bool rl_timer_running(const struct rl_timer *timer) { return timer->heap_index != 0; }

/* Random bits from the shard's own generator (seeded by the kernel, or by a simulator). */
uint64_t rl_shard_random(struct rl_shard *shard);

/* ---- the set: all shards of one broker ---- */
struct rl_shard_set_options {
    uint32_t shard_count;               /* 1 .. RL_SHARDS_MAX */
    uint32_t helper_count;              /* helper threads for SYNC and JOB; 0: default */
    const struct rl_backend *backend;
    struct rl_disk *disk;
};

/* Main thread.  RL_EINVAL, RL_ENOMEM.  Nothing runs yet. */
rl_status rl_shard_set_create(const struct rl_shard_set_options *options, struct rl_shard_set **ret_set);
/* Start a thread per shard.  start(shard, arg) runs first on each shard's own thread; returns
 * when all have run it, with the first status that is not RL_OK (then all are stopped).
 * RL_EUNSUPPORTED: the kernel refuses what the backend needs. */
rl_status rl_shard_set_start(struct rl_shard_set *set, rl_status (*start)(struct rl_shard *, void *),
                             void *arg);
/* Ask every shard to leave its loop.  Any thread, also a shard. */
void rl_shard_set_stop(struct rl_shard_set *set);
/* Wait until every shard has left its loop.  After it threads that post to shards may end: between
 * this and join nothing that they touch is freed.  Main thread; not for stepped sets. */
void rl_shard_set_await_stop(struct rl_shard_set *set);
/* Wait for the threads; finish(shard, arg) runs last on each shard's own thread (NULL: nothing). */
void rl_shard_set_join(struct rl_shard_set *set, rl_shard_hook_fn *finish, void *arg);
void rl_shard_set_free(struct rl_shard_set *set);
struct rl_shard *rl_shard_set_get(struct rl_shard_set *set, uint32_t index);
uint32_t rl_shard_set_count(const struct rl_shard_set *set);

/* ---- one thread, all shards: tests and simulators ---- */
/* Initialise every shard on the calling thread instead of rl_shard_set_start. */
rl_status rl_shard_set_start_stepped(struct rl_shard_set *set,
                                     rl_status (*start)(struct rl_shard *, void *), void *arg);
/* One turn of one shard without sleeping; true when anything was done. */
bool rl_shard_step(struct rl_shard *shard);

#endif

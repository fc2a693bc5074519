/* broker/fetch_session.h — fetch sessions (KIP-227): what a client asks, remembered.
 *
 * A session lives on the shard of the connection that made it, and its id says which; another
 * shard does not know the id.  It holds every partition the client wants with the offset asked and
 * what the client was told last, so that a fetch names only what changed and is answered only
 * what changed.
 *
 * What an incremental fetch costs does not depend on how many partitions are in the session: a
 * partition is either *clean* (nothing to read, nothing to tell) and watched by its owner, or it
 * is in the list `dirty`, and only these are collected.  For each owner there is a *side*:
 *
 *   connection's shard                        owner's shard
 *   collect: items = dirty ones here  ──────▶ unlink their waiters; take those that fired since;
 *                                             measure; link a waiter where nothing is readable
 *   items, fired ones among them      ◀────── answer
 *   side is ready: collect again      ◀────── a waiter fires: message, unless one is under way
 *                                             that no collect has answered yet (side.notified)
 *
 * So a waiter's list node belongs to the owner from the first collect until the partition has left
 * the session by a call of its own (leaving), or the whole side was released.
 *
 * A session whose id is gone (closed, evicted) is freed when its fetches are answered and all sides
 * are released.  Everything here runs on the connection's shard but for what says otherwise. */
#ifndef RL_BROKER_FETCH_SESSION_H
#define RL_BROKER_FETCH_SESSION_H

#include "broker/fetch.h"
#include "core/list.h"
#include "core/table.h"

struct rl_fetch_sessions;               /* of one shard */

struct rl_fetch_session_topic {
    uint32_t partition_count;           /* in the session */
    uint32_t number;                    /* in the session: half of a partition's key */
    struct rl_uuid id;                  /* the key, where the session uses ids */
    struct rl_slice name;               /* owned; data NULL: an id nobody has resolved yet */
};

struct rl_fetch_side {                  /* the session at one owner */
    struct rl_scatter_call call;        /* of a collect round */
    struct rl_fetch_session *session;
    struct rl_fetch_side *next;
    uint32_t partition_count;
    bool in_round;
    bool ready;                         /* the owner has something for the next collect */
    bool answers;                       /* the call answers the owner's last message */
    struct rl_scatter_item *leaving;    /* to let go of in this call */
    struct rl_msg release_msg;          /* to the owner and back */
    /* the owner's */
    alignas(RL_CACHE_LINE_BYTES) struct rl_list fired;
    struct rl_msg ready_msg;
    bool notified;                      /* told, and no collect has answered it */
};

struct rl_fetch_session_partition {
    struct rl_fetch_entry entry;
    struct rl_fetch_session_topic *topic;
    struct rl_fetch_side *side;         /* NULL: the metadata know no such partition */
    struct rl_list link;                /* session.dirty or session.leaving; clean: in none */
    bool leaving;
    int64_t told_high_watermark;        /* -1: to be told */
    int64_t told_log_start_offset;
};

struct rl_fetch_session {
    int32_t id;
    int32_t epoch;                      /* of the next fetch */
    bool uses_topic_ids;
    bool read_committed;                /* the last fetch was */
    bool closed;                        /* nobody finds it any more */
    int64_t created_ns, last_used_ns;
    struct rl_shard *home;
    struct rl_fetch_sessions *sessions;
    struct rl_list by_use;
    struct rl_list fetches;             /* the first one runs, the others wait for it */
    struct rl_table topics;             /* by name or id */
    struct rl_table partitions;         /* by topic number and index */
    uint32_t topic_number_next;
    struct rl_list dirty;               /* in the order they are served in */
    struct rl_list leaving;
    struct rl_fetch_side *sides;
    uint32_t sides_out;                 /* being released */
    uint32_t unknown_count;             /* partitions the metadata do not know */
    size_t max_bytes;                   /* of all partitions together */
    size_t bytes;                       /* of memory */
};

/* ---- fetch_session.c: one session ---- */

struct rl_fetch_session *rl_fetch_session_create(struct rl_fetch_sessions *sessions, struct rl_shard *home,
                                                 bool uses_topic_ids);
static inline uint32_t rl_fetch_session_count(const struct rl_fetch_session *session)
{
    return rl_table_count(&session->partitions);
}
/* The partition of a full fetch, just answered.  RL_OK, RL_ENOMEM. */
rl_status rl_fetch_session_add_answered(struct rl_fetch_session *session, const struct rl_fetch_entry *entry);
/* Take over what an incremental fetch changes.  Not while a round is out.  RL_OK, RL_ENOMEM (too
 * large: close it). */
rl_status rl_fetch_session_update(struct rl_fetch_session *session, const struct rl_fetch_request *asked);
/* Look again for the partitions that the metadata did not know. */
void rl_fetch_session_resolve(struct rl_fetch_session *session);
/* Everything is to be measured again. */
void rl_fetch_session_touch_all(struct rl_fetch_session *session);
/* A partition whose owner has let go of it. */
void rl_fetch_session_remove(struct rl_fetch_session *session, struct rl_fetch_session_partition *partition);
/* No owner holds anything of it.  NULL is fine. */
void rl_fetch_session_free(struct rl_fetch_session *session);
/* The same when every shard has left its loop, whoever holds what. */
void rl_fetch_session_abandon(struct rl_fetch_session *session);

/* Must the reply have it?  After a round. */
bool rl_fetch_session_must_tell(const struct rl_fetch_session_partition *partition);
/* The reply has it, or need not have it: it is clean now, or stays dirty.  data: it had records,
 * so that others come first next time. */
void rl_fetch_session_told(struct rl_fetch_session *session, struct rl_fetch_session_partition *partition, bool data);
void rl_fetch_session_mark_dirty(struct rl_fetch_session *session, struct rl_fetch_session_partition *partition);

/* ---- fetch_session_cache.c: all sessions of a shard ---- */

/* Kafka's FetchSessionCacheShard: at most slots_max sessions; a new one takes the place of one
 * unused for two minutes, or of a smaller one that has lived so long. */
void rl_fetch_sessions_start(struct rl_shard *shard, uint32_t slots_max);
/* Frees every session.  Each shard's finish. */
void rl_fetch_sessions_stop(struct rl_shard *shard);
/* NULL: not on this shard. */
struct rl_fetch_session *rl_fetch_sessions_find(struct rl_shard *shard, int32_t id);
/* A session for what was just answered: its id, or 0: there is no room. */
int32_t rl_fetch_sessions_make(struct rl_shard *shard, struct rl_fetch_entry *const *entries, uint32_t count,
                               bool uses_topic_ids);
/* Used now. */
void rl_fetch_sessions_touch(struct rl_fetch_session *session);
/* Nobody finds it any more (hide); it is freed as soon as no fetch and no owner has it (close, or
 * rl_fetch_sessions_idle later).  Twice is harmless. */
void rl_fetch_sessions_hide(struct rl_fetch_session *session);
void rl_fetch_sessions_close(struct rl_fetch_session *session);
/* Its last fetch was answered: free it if it was closed meanwhile. */
void rl_fetch_sessions_idle(struct rl_fetch_session *session);
/* Memory: would so much more stay within the bounds of the session and of all; take it, give it
 * back. */
bool rl_fetch_sessions_fits(const struct rl_fetch_session *session, size_t bytes);
void rl_fetch_sessions_charge(struct rl_fetch_session *session, size_t bytes);
void rl_fetch_sessions_uncharge(struct rl_fetch_session *session, size_t bytes);

struct rl_fetch_session_counts {
    uint32_t sessions;
    uint64_t partitions;
    size_t bytes;                       /* closed ones too, until they are freed */
    uint64_t evictions;
};
struct rl_fetch_session_counts rl_fetch_sessions_count(const struct rl_shard *shard);

/* ---- fetch_incremental.c ---- */

/* The owner of a side has something new.  Connection's shard. */
void rl_fetch_side_is_ready(struct rl_shard *shard, struct rl_msg *msg);

#endif

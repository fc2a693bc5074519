/* broker/fetch.h — a Fetch on its way: what its files share.
 *
 * A fetch alternates between rounds over the shards that own its partitions, and ends in a reply:
 *   collect: measure what is readable; read it if that is enough for min.bytes (or if the fetch
 *            may not wait any longer), else only say how much there is;
 *   wait:    without a session, a watch round parks at every partition until one of them has
 *            something new; in a session, partitions stay watched from fetch to fetch, and only
 *            those that moved are collected (fetch_session.h).
 * With everything on the connection's own shard all of it is plain calls. */
#ifndef RL_BROKER_FETCH_H
#define RL_BROKER_FETCH_H

#include "broker/broker.h"
#include "broker/scatter.h"
#include "replicate/metadata_image.h"
#include "replicate/partition.h"
#include "wire/msg_fetch.h"

#define RL_FETCH_TOPIC_ID_VERSION_MIN 13        /* from here on topics are named by id (KIP-516) */

struct rl_fetch_session;

struct rl_fetch_entry {                 /* one partition of the request, or of the session */
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    /* what is asked */
    struct rl_slice topic;              /* as answered; data NULL where only the id is known */
    struct rl_uuid topic_id;
    int32_t partition_index;
    int32_t current_leader_epoch;       /* -1: not checked */
    int32_t last_fetched_epoch;         /* -1: not checked */
    int64_t fetch_offset;
    size_t max_bytes;
    int16_t error_code;                 /* what the metadata say of it; else an owner is asked */
    /* what a round found; written by the owner, read by the connection's shard after it */
    rl_status status;
    int64_t high_watermark, last_stable_offset, log_start_offset;
    int32_t leader_epoch;
    int32_t diverging_epoch;            /* with diverging_end_offset >= 0 */
    int64_t diverging_end_offset;       /* -1: the logs agree */
    size_t available_bytes;             /* measured */
    size_t bytes;                       /* read */
    struct rl_chunk *chunks;            /* connection's shard owns the references */
    uint32_t chunk_count;
    struct rl_log_read *read;           /* memory of chunks on the same shard; heap */
    struct rl_chunk copy;               /* chunks when they crossed shards */
    struct rl_fetch_waiter waiter;      /* owner's, while watching */
};

struct rl_fetch {
    struct rl_scatter scatter;
    struct rl_request *request;
    const struct rl_fetch_request *asked;
    struct rl_fetch_entry *entries;     /* in the order of the request; NULL in a session */
    uint32_t entry_count;
    size_t asked_min_bytes, asked_max_bytes;
    size_t min_bytes, max_bytes;        /* of this round */
    int64_t deadline_ns;
    bool read_committed;
    bool prefers_files;                 /* large ranges of files, even of what is in memory */
    bool forced;                        /* this round reads whatever there is */
    bool wants_session;                 /* the reply makes one */
    bool hurried;                       /* answer soon with what there is */
    bool abandoned;                     /* the connection is gone */
    struct rl_timer timer;
    /* in a session */
    struct rl_fetch_session *session;
    struct rl_list link;                /* among the session's fetches, oldest first */
    bool started, parked;
    bool superseded;                    /* another connection went on with the session */
};

/* What a round adds up to, on the connection's shard. */
struct rl_fetch_sum {
    size_t read_bytes, available_bytes;
    bool failed;                        /* a partition has an error, which is told at once */
};
void rl_fetch_sum_add(struct rl_fetch_sum *sum, const struct rl_fetch_entry *entry);

/* ---- api_fetch.c ---- */

/* Fill f from the request, but for partitions and deadline. */
void rl_fetch_init(struct rl_fetch *f, struct rl_request *request, const struct rl_fetch_request *asked);
/* No answer is larger than what is asked of all partitions together. */
void rl_fetch_limit(struct rl_fetch *f, size_t bytes);
/* Max.wait.ms begins now; done runs when f's timer was started and the time is over. */
void rl_fetch_set_deadline(struct rl_fetch *f, void (*done)(struct rl_timer *timer));
bool rl_fetch_may_wait(const struct rl_fetch *f);
/* What the request says of one partition. */
void rl_fetch_entry_ask(struct rl_fetch_entry *entry, const struct rl_fetch_request_partition *asked);
/* How much this round may read, known and told to the connection before anything is read. */
void rl_fetch_grant(struct rl_fetch *f);
/* Answer without partitions. */
void rl_fetch_refuse(struct rl_request *request, int16_t error);
/* A fetch without a session, or the first of one when the request says so. */
void rl_fetch_begin_full(struct rl_request *request, const struct rl_fetch_request *asked, bool wants_session);

/* ---- fetch_incremental.c ---- */

/* A fetch in a session (rl_fetch_request.session_epoch > 0, or what else is not full). */
void rl_fetch_begin_incremental(struct rl_request *request, const struct rl_fetch_request *asked);

/* ---- fetch_reply.c ---- */

/* Answer with these partitions.  Takes what they have read.  False over the request's memory
 * limit: the connection is closed, and nothing was taken. */
bool rl_fetch_reply(struct rl_fetch *f, struct rl_fetch_entry *const *entries, uint32_t count,
                    int32_t session_id);
/* Drop data beyond max_bytes, which rounds over several shards may have read; in order. */
void rl_fetch_trim(const struct rl_fetch *f, struct rl_fetch_entry *entry, size_t *total_bytes);

/* ---- fetch_partitions.c: the owner's halves of the rounds ---- */

void rl_fetch_collect_run(struct rl_scatter_call *call);
void rl_fetch_watch_run(struct rl_scatter_call *call);
void rl_fetch_watch_cancel(struct rl_scatter_call *call);
/* The same for a call that is a session's side. */
void rl_fetch_side_run(struct rl_scatter_call *call);
/* Give back what a round has read.  Connection's shard. */
void rl_fetch_entry_release(struct rl_fetch_entry *entry);

#endif

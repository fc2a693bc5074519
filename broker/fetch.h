/* broker/fetch.h — a Fetch on its way: what api_fetch.c and fetch_partitions.c share.
 *
 * A fetch alternates between two rounds over the shards that own its partitions:
 *   collect: measure what is readable; read it if that is enough for min.bytes (or if the fetch
 *            may not wait any longer), else only say how much there is;
 *   watch:   park at every partition until one of them has something new.
 * and ends in a reply.  With everything on the connection's own shard both are plain calls. */
#ifndef RL_BROKER_FETCH_H
#define RL_BROKER_FETCH_H

#include "broker/broker.h"
#include "broker/scatter.h"
#include "replicate/partition.h"
#include "wire/msg_fetch.h"

struct rl_fetch_entry {                 /* one partition of the request */
    struct rl_scatter_item item;
    struct rl_scatter_call *call;
    struct rl_fetch_response_partition *answer;
    /* what is asked */
    struct rl_uuid topic_id;
    int32_t partition_index;
    int32_t current_leader_epoch;
    int64_t fetch_offset;
    size_t max_bytes;
    /* what a round found; written by the owner, read by the connection's shard after it */
    rl_status status;
    int64_t high_watermark, last_stable_offset, log_start_offset;
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
    struct rl_fetch_entry *entries;     /* in the order of the request */
    uint32_t entry_count;
    size_t asked_min_bytes, asked_max_bytes;
    size_t min_bytes, max_bytes;        /* of this round */
    int64_t deadline_ns;
    bool read_committed;
    bool prefers_files;                 /* large ranges of files, even of what is in memory */
    bool forced;                        /* this round reads whatever there is */
    bool abandoned;                     /* the connection is gone */
    struct rl_timer timer;
    struct rl_fetch_response response;
};

/* The owner's halves of the two rounds (fetch_partitions.c). */
void rl_fetch_collect_run(struct rl_scatter_call *call);
void rl_fetch_watch_run(struct rl_scatter_call *call);
void rl_fetch_watch_cancel(struct rl_scatter_call *call);
/* Give back what a round has read.  Connection's shard. */
void rl_fetch_entry_release(struct rl_fetch_entry *entry);

#endif

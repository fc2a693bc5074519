/* perf/memory_broker.h — the real broker on a kernel in memory, and one client.
 *
 * For counting and timing what the broker's own code does for a request: no system call is made,
 * and the same calls give the same run.  Everything on the calling thread. */
#ifndef RL_PERF_MEMORY_BROKER_H
#define RL_PERF_MEMORY_BROKER_H

#include "core/base.h"
#include "core/slice.h"

struct rl_memory_broker;

/* Start with this many shards, the client's connection on shard 0; panics when that fails, as all
 * of this does: nothing here may be believed then. */
struct rl_memory_broker *rl_memory_broker_create(uint32_t shard_count);
void rl_memory_broker_free(struct rl_memory_broker *broker);
/* Create a topic and wait for it. */
void rl_memory_broker_create_topic(struct rl_memory_broker *broker, const char *name, int32_t partitions);
/* Its id, for versions that name topics by id. */
struct rl_uuid rl_memory_broker_topic_id(struct rl_memory_broker *broker, const char *name);

/* Messages that any shard has posted to another one so far. */
uint64_t rl_memory_broker_messages(const struct rl_memory_broker *broker);

/* A frame with its size prefix: request header, message.  Heap, freed with rl_free. */
struct rl_slice rl_memory_broker_frame(int16_t api_key, int16_t version, const void *request);
/* Send a frame, run the broker until it is quiet, take the answer, which is lent until the next
 * call.  Without the size prefix. */
struct rl_slice rl_memory_broker_call(struct rl_memory_broker *broker, struct rl_slice frame);
/* Send a frame, run the broker until it is quiet, drop what it answered, if anything: for requests
 * that wait for another. */
void rl_memory_broker_run(struct rl_memory_broker *broker, struct rl_slice frame);

/* ---- frames of the hot requests ---- */
struct rl_memory_produce {
    const char *topic;
    struct rl_uuid topic_id;            /* from version 13 */
    int16_t version, acks;
    int32_t partition_first, partitions;        /* a batch for each of so many */
    size_t record_bytes, batch_bytes;
};
struct rl_slice rl_memory_produce_frame(const struct rl_memory_produce *what);

struct rl_memory_fetch {
    const char *topic;
    struct rl_uuid topic_id;            /* from version 13 */
    int16_t version;
    int32_t partition_first, partitions;
    int64_t offset;
    int32_t wait_ms;                    /* 0: an empty fetch is answered, not parked */
    int32_t partition_bytes_max;
    int32_t session_id, session_epoch;  /* 0, 0: no session; 0, 1: a new one; else an incremental
                                           fetch with so many fetches before it */
};
struct rl_slice rl_memory_fetch_frame(const struct rl_memory_fetch *what);
/* The session that an answer to such a frame (version 12 or later) has made. */
int32_t rl_memory_fetch_session(struct rl_slice answer, int16_t version);

/* topic NULL: all of them. */
struct rl_slice rl_memory_metadata_frame(int16_t version, const char *topic);
struct rl_slice rl_memory_api_versions_frame(int16_t version);

#endif

/* log/producer_state.h — what a partition remembers about idempotent producers.
 *
 * Per producer id: the epoch and the last five batches (sequence range, offset), as Kafka keeps
 * them, so that a retry is answered with the first attempt's offset and a gap is refused.
 * Pure data: the time is an argument; log/snapshot.c stores it.
 *
 * When a log is opened again or rolled back within a life, connections live on, and behind a batch
 * that is gone there may be others on their way.  Kafka takes any sequence of a producer it does not
 * know; a pipelined producer would be reordered by that.  So who loses batches leaves a trace: the
 * sequences it may go on with.  A trace lives in memory only: a restart ends all connections.
 *
 * Bounded: beyond RL_PRODUCERS_MAX the least recently used producer is forgotten.  A retry comes
 * within delivery.timeout.ms (two minutes by default), so dedupe is only lost if more than 270
 * new producers per second write to this one partition; the table then stays below 7 MiB. */
#ifndef RL_LOG_PRODUCER_STATE_H
#define RL_LOG_PRODUCER_STATE_H

#include "core/list.h"
#include "core/status.h"
#include "core/table.h"
#include "log/batch.h"

#define RL_PRODUCERS_MAX 32768
#define RL_PRODUCER_WINDOW 5

struct rl_producer_batch {
    int64_t base_offset;
    int32_t first_sequence;
    int32_t last_sequence;
    int32_t last_offset_delta;
    int64_t append_time_ms;             /* -1 with CreateTime */
    bool awaited;                       /* sent again since, and that was not answered with success */
};

struct rl_producer {
    struct rl_list by_use;              /* oldest first */
    int64_t producer_id;
    int64_t last_used_ms;               /* wall clock of the last append */
    int64_t last_timestamp_ms;          /* of its last batch */
    int16_t producer_epoch;
    uint8_t batch_count;                /* 0 (a trace) .. RL_PRODUCER_WINDOW */
    int32_t next_sequence;              /* it goes on there, */
    int32_t resume_sequence;            /* or from here: acknowledged ones that are lost begin here */
    struct rl_producer_batch batches[RL_PRODUCER_WINDOW];       /* oldest first */
};

struct rl_producer_state {
    struct rl_table by_id;
    struct rl_list by_use;
    uint32_t producers_max;
};

struct rl_producer_state *rl_producer_state_create(uint64_t seed);
void rl_producer_state_free(struct rl_producer_state *state);   /* NULL is fine */
uint32_t rl_producer_state_count(const struct rl_producer_state *state);        /* NULL: 0 */

/* Kafka's verdict on a batch with a producer id (ProducerAppendInfo, UnifiedLog):
 * RL_OK: append it; RL_EDUPLICATE: ret_duplicate (lent until the state changes) is the earlier
 * append; RL_EOUTOFORDER (a client sends it again, in order); RL_EPRODUCEREPOCH.  An unknown producer may begin with any sequence,
 * a new epoch only with 0. */
rl_status rl_producer_state_check(const struct rl_producer_state *state,
                                  const struct rl_batch *batch,
                                  const struct rl_producer_batch **ret_duplicate);
/* Note a batch that is in the log; the checks are not repeated, so that a log can be replayed. */
void rl_producer_state_update(struct rl_producer_state *state, const struct rl_batch *batch,
                              int64_t wall_ms);
/* Batches of `before` from end_offset on are gone.  Their producers go on with the first one that was
 * not acknowledged, which are those from acknowledged_offset on.  *state (NULL: none yet, created with
 * seed if needed) is what the log has now. */
void rl_producer_state_lose(struct rl_producer_state **state, uint64_t seed,
                            const struct rl_producer_state *before, int64_t end_offset,
                            int64_t acknowledged_offset);
/* The batch is known, and its producer, who sent it again, waits until it is on stable storage: so it
 * does not know it as acknowledged, whatever lies before acknowledged_offset. */
void rl_producer_state_await(struct rl_producer_state *state, const struct rl_batch *batch);
/* The batch is not taken, for no fault of its producer: an unknown one has to begin with it, and one
 * that loses it has to go on with it. */
void rl_producer_state_refuse(struct rl_producer_state **state, uint64_t seed,
                              const struct rl_batch *batch, int64_t wall_ms);
/* Forget producers that were idle for expiration_ms. */
void rl_producer_state_expire(struct rl_producer_state *state, int64_t wall_ms,
                              int64_t expiration_ms);
/* For snapshot.c: the entry, created when missing, as most recently used. */
struct rl_producer *rl_producer_state_touch(struct rl_producer_state *state, int64_t producer_id);
/* The one behind its newest batch is the only one it may go on with. */
void rl_producer_go_on(struct rl_producer *producer);

#endif

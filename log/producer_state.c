/* log/producer_state.c — sequence windows of idempotent producers. */
#include "log/producer_state.h"
#include "core/memory.h"
#include <string.h>

struct rl_producer_state *rl_producer_state_create(uint64_t seed)
{
    struct rl_producer_state *state = rl_alloc(sizeof *state);

    rl_table_init(&state->by_id, seed);
    rl_list_init(&state->by_use);
    state->producers_max = RL_PRODUCERS_MAX;
    return state;
}

static void forget(struct rl_producer_state *state, struct rl_producer *producer)
{
    rl_table_remove_number(&state->by_id, (uint64_t)producer->producer_id);
    rl_list_remove(&producer->by_use);
    rl_free(producer);
}

void rl_producer_state_free(struct rl_producer_state *state)
{
    if (state == NULL)
        return;
    RL_LIST_EACH_SAFE(node, &state->by_use)
        rl_free(RL_LIST_ENTRY(node, struct rl_producer, by_use));
    rl_table_done(&state->by_id);
    rl_free(state);
}

uint32_t rl_producer_state_count(const struct rl_producer_state *state)
{
    return state == NULL ? 0 : rl_table_count(&state->by_id);
}

/* sequence + delta, wrapping from INT32_MAX to 0. */
static int32_t sequence_add(int32_t sequence, int32_t delta)
{
    if (sequence > INT32_MAX - delta)
        return delta - (INT32_MAX - sequence) - 1;
    return sequence + delta;
}

/* The same batch in the producer's window, or NULL. */
static const struct rl_producer_batch *window_find(const struct rl_producer *producer,
                                                   const struct rl_batch *batch)
{
    int32_t last_sequence = sequence_add(batch->base_sequence, batch->last_offset_delta);

    for (uint32_t i = 0; i < producer->batch_count; i++) {
        const struct rl_producer_batch *known = &producer->batches[i];
        if (known->first_sequence == batch->base_sequence && known->last_sequence == last_sequence)
            return known;
    }
    return NULL;
}

/* How far the sequence lies behind where the producer may go on; sequences are counted modulo 2^31. */
static uint32_t sequences_ahead(const struct rl_producer *producer, int32_t sequence)
{
    return ((uint32_t)sequence - (uint32_t)producer->resume_sequence) & INT32_MAX;
}

rl_status rl_producer_state_check(const struct rl_producer_state *state,
                                  const struct rl_batch *batch,
                                  const struct rl_producer_batch **ret_duplicate)
{
    const struct rl_producer *producer =
        state == NULL ? NULL : rl_table_find_number(&state->by_id, (uint64_t)batch->producer_id);

    if (producer == NULL)
        return RL_OK;
    if (batch->producer_epoch < producer->producer_epoch)
        return RL_EPRODUCEREPOCH;
    if (batch->producer_epoch > producer->producer_epoch)
        return batch->base_sequence == 0 ? RL_OK : RL_EOUTOFORDER;

    const struct rl_producer_batch *known = window_find(producer, batch);
    if (known != NULL) {
        *ret_duplicate = known;
        return RL_EDUPLICATE;
    }
    return sequences_ahead(producer, batch->base_sequence) <=
           sequences_ahead(producer, producer->next_sequence) ? RL_OK : RL_EOUTOFORDER;
}

void rl_producer_go_on(struct rl_producer *producer)
{
    int32_t newest = producer->batches[producer->batch_count - 1].last_sequence;

    producer->next_sequence = producer->resume_sequence = sequence_add(newest, 1);
}

struct rl_producer *rl_producer_state_touch(struct rl_producer_state *state, int64_t producer_id)
{
    struct rl_producer *producer = rl_table_find_number(&state->by_id, (uint64_t)producer_id);

    if (producer == NULL) {
        if (rl_table_count(&state->by_id) >= state->producers_max)
            forget(state, RL_LIST_ENTRY(rl_list_first(&state->by_use), struct rl_producer, by_use));
        producer = rl_alloc_zero(1, sizeof *producer);
        producer->producer_id = producer_id;
        producer->producer_epoch = -1;
        rl_table_put_number(&state->by_id, (uint64_t)producer_id, producer);
    } else {
        rl_list_remove(&producer->by_use);
    }
    rl_list_push_back(&state->by_use, &producer->by_use);
    return producer;
}

void rl_producer_state_update(struct rl_producer_state *state, const struct rl_batch *batch,
                              int64_t wall_ms)
{
    struct rl_producer *producer = rl_producer_state_touch(state, batch->producer_id);

    if (producer->producer_epoch != batch->producer_epoch) {
        producer->producer_epoch = batch->producer_epoch;
        producer->batch_count = 0;
    }
    if (producer->batch_count == RL_PRODUCER_WINDOW) {
        memmove(producer->batches, producer->batches + 1,
                (RL_PRODUCER_WINDOW - 1) * sizeof producer->batches[0]);
        producer->batch_count--;
    }
    producer->batches[producer->batch_count++] = (struct rl_producer_batch){
        .base_offset = batch->base_offset,
        .first_sequence = batch->base_sequence,
        .last_sequence = sequence_add(batch->base_sequence, batch->last_offset_delta),
        .last_offset_delta = batch->last_offset_delta,
        .append_time_ms = rl_batch_is_log_append_time(batch) ? batch->max_timestamp_ms : -1,
    };
    rl_producer_go_on(producer);
    producer->last_used_ms = wall_ms;
    producer->last_timestamp_ms = batch->max_timestamp_ms;
}

/* Where a producer goes on whose batches from end_offset on are gone; false: it lost none. */
static bool lost_sequences(const struct rl_producer *before, int64_t end_offset,
                           int64_t acknowledged_offset, int32_t *ret_resume, int32_t *ret_next)
{
    bool lost = before->batch_count == 0;

    *ret_resume = before->resume_sequence;
    *ret_next = before->next_sequence;
    for (uint32_t i = before->batch_count; i-- > 0;) {
        const struct rl_producer_batch *batch = &before->batches[i];
        if (batch->base_offset < end_offset)
            break;
        lost = true;
        *ret_resume = batch->first_sequence;
        if (batch->base_offset >= acknowledged_offset || batch->awaited)
            *ret_next = batch->first_sequence;
    }
    return lost || *ret_resume != *ret_next;
}

static struct rl_producer *trace_of(struct rl_producer_state **state, uint64_t seed,
                                    int64_t producer_id, int16_t producer_epoch)
{
    if (*state == NULL)
        *state = rl_producer_state_create(seed);
    struct rl_producer *producer = rl_producer_state_touch(*state, producer_id);
    if (producer->producer_epoch != producer_epoch) {
        producer->producer_epoch = producer_epoch;
        producer->batch_count = 0;
    }
    return producer;
}

/* A trace of somebody whom the log knows after all. */
static bool is_superseded(const struct rl_producer_state *state, const struct rl_producer *trace)
{
    const struct rl_producer *known =
        state == NULL ? NULL : rl_table_find_number(&state->by_id, (uint64_t)trace->producer_id);

    return trace->batch_count == 0 && known != NULL && known->batch_count > 0 &&
           known->producer_epoch >= trace->producer_epoch;
}

void rl_producer_state_lose(struct rl_producer_state **state, uint64_t seed,
                            const struct rl_producer_state *before, int64_t end_offset,
                            int64_t acknowledged_offset)
{
    if (before == NULL)
        return;
    RL_LIST_EACH(node, &before->by_use) {
        const struct rl_producer *old = RL_LIST_ENTRY(node, struct rl_producer, by_use);
        int32_t resume_sequence, next_sequence;
        if (is_superseded(*state, old) ||
            !lost_sequences(old, end_offset, acknowledged_offset, &resume_sequence, &next_sequence))
            continue;
        struct rl_producer *producer = trace_of(state, seed, old->producer_id, old->producer_epoch);
        producer->resume_sequence = resume_sequence;
        producer->next_sequence = next_sequence;
        producer->last_used_ms = old->last_used_ms;
        producer->last_timestamp_ms = old->last_timestamp_ms;
    }
}

void rl_producer_state_await(struct rl_producer_state *state, const struct rl_batch *batch)
{
    struct rl_producer *producer =
        state == NULL ? NULL : rl_table_find_number(&state->by_id, (uint64_t)batch->producer_id);

    if (producer == NULL || producer->producer_epoch != batch->producer_epoch)
        return;
    const struct rl_producer_batch *known = window_find(producer, batch);
    if (known != NULL)
        producer->batches[known - producer->batches].awaited = true;
    else if (sequences_ahead(producer, batch->base_sequence) <
             sequences_ahead(producer, producer->next_sequence))
        producer->next_sequence = batch->base_sequence;         /* lost before, and not acknowledged */
}

void rl_producer_state_refuse(struct rl_producer_state **state, uint64_t seed,
                              const struct rl_batch *batch, int64_t wall_ms)
{
    if (batch->producer_id < 0)
        return;
    if (*state != NULL && rl_table_find_number(&(*state)->by_id, (uint64_t)batch->producer_id) != NULL) {
        rl_producer_state_await(*state, batch);
        return;                         /* what it may go on with is known */
    }
    struct rl_producer *producer = trace_of(state, seed, batch->producer_id, batch->producer_epoch);
    producer->resume_sequence = producer->next_sequence = batch->base_sequence;
    producer->last_used_ms = wall_ms;
    producer->last_timestamp_ms = batch->max_timestamp_ms;
}

void rl_producer_state_expire(struct rl_producer_state *state, int64_t wall_ms,
                              int64_t expiration_ms)
{
    /* The list is in order of use; a clock that went back only delays the end of the walk. */
    while (!rl_list_empty(&state->by_use)) {
        struct rl_producer *oldest =
            RL_LIST_ENTRY(rl_list_first(&state->by_use), struct rl_producer, by_use);
        if (wall_ms - oldest->last_used_ms < expiration_ms)
            break;
        forget(state, oldest);
    }
}

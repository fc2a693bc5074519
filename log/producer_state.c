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

    int32_t last_sequence = sequence_add(batch->base_sequence, batch->last_offset_delta);
    for (uint32_t i = 0; i < producer->batch_count; i++) {
        const struct rl_producer_batch *known = &producer->batches[i];
        if (known->first_sequence == batch->base_sequence && known->last_sequence == last_sequence) {
            *ret_duplicate = known;
            return RL_EDUPLICATE;
        }
    }
    int32_t newest = producer->batches[producer->batch_count - 1].last_sequence;
    return batch->base_sequence == sequence_add(newest, 1) ? RL_OK : RL_EOUTOFORDER;
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

/* replicate/controller_producer.c — producer ids, in blocks of a thousand for each shard.
 *
 * Happy path: a shard gives ids from its own block.  When that is used up it asks shard 0, where
 * one commit takes blocks for all shards that ask; "broker/producer-ids" is the first id that was
 * never in a block, and it is stored before any id of the block is used.  A crash loses what is
 * left of the blocks, never gives an id twice.
 *
 * Failures: a block that cannot be stored is not given; whoever waits is answered the status, and
 * the next call asks again. */
#include "core/logger.h"
#include "replicate/controller_internal.h"

static void blocks_next(struct rl_controller *c);

/* ---- on each shard ---- */

static void on_answer(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_allocate_producer_id *call =
        RL_CONTAINER_OF(msg, struct rl_allocate_producer_id, msg);
    (void)shard;
    call->done(call);
}

/* done runs from the loop: callers need not expect it inside their call. */
static void call_answer(struct rl_shard *shard, struct rl_allocate_producer_id *call,
                        rl_status status, int64_t producer_id)
{
    call->status = status;
    call->producer_id = producer_id;
    call->msg.handle = on_answer;
    rl_shard_post(shard, &call->msg);
}

static void calls_refuse(struct rl_metadata_shard *local, rl_status status)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&local->producer_calls)) != NULL)
        call_answer(local->shard, RL_LIST_ENTRY(link, struct rl_allocate_producer_id, link),
                    status, -1);
}

static void on_block_wanted(struct rl_shard *shard, struct rl_msg *msg);

/* Give what the block has; ask for another one if that was not enough. */
static void calls_serve(struct rl_metadata_shard *local)
{
    while (local->producer_id_next < local->producer_id_end) {
        struct rl_list *link = rl_list_pop_front(&local->producer_calls);
        if (link == NULL)
            return;
        call_answer(local->shard, RL_LIST_ENTRY(link, struct rl_allocate_producer_id, link), RL_OK,
                    local->producer_id_next++);
    }
    if (rl_list_empty(&local->producer_calls) || local->block_asked)
        return;
    local->block_asked = true;
    local->block_msg.handle = on_block_wanted;
    rl_shard_post(rl_shard_peer(local->shard, 0), &local->block_msg);
}

static void on_block(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, block_msg);
    (void)shard;
    local->block_asked = false;
    if (local->leaving) {
        rl_controller_left(local);
        return;
    }
    if (local->block_status != RL_OK) {
        calls_refuse(local, local->block_status);
        return;
    }
    local->producer_id_next = local->block_first;
    local->producer_id_end = local->block_first + RL_PRODUCER_ID_BLOCK;
    calls_serve(local);
}

void rl_controller_allocate_producer_id(struct rl_shard *from, struct rl_allocate_producer_id *call)
{
    struct rl_metadata_shard *local = rl_metadata_shard_of(from);
    if (local == NULL) {
        call_answer(from, call, RL_ESTOPPING, -1);
        return;
    }
    rl_list_push_back(&local->producer_calls, &call->link);
    calls_serve(local);
}

bool rl_controller_producer_leave(struct rl_metadata_shard *local)
{
    calls_refuse(local, RL_ESTOPPING);
    local->leaving = true;
    return !local->block_asked;
}

/* ---- on shard 0 ---- */

static void block_answer(struct rl_metadata_shard *local, rl_status status)
{
    local->block_status = status;
    local->block_msg.handle = on_block;
    rl_shard_post(local->shard, &local->block_msg);
}

static void on_blocks_stored(void *arg, rl_status status)
{
    struct rl_controller *c = arg;
    struct rl_list *link;
    if (RL_NEVER(status == RL_EVERSION))                /* there is no other writer */
        status = RL_EIO;
    if (status == RL_OK)
        c->producer_ids_version++;
    else
        RL_ERROR("metadata", "cannot store a block of producer ids: %s", rl_status_text(status));
    while ((link = rl_list_pop_front(&c->block_storing)) != NULL) {
        struct rl_metadata_shard *local = RL_LIST_ENTRY(link, struct rl_metadata_shard, block_link);
        if (status == RL_OK) {
            local->block_first = c->producer_id_next;
            c->producer_id_next += RL_PRODUCER_ID_BLOCK;
        }
        block_answer(local, status);
    }
    blocks_next(c);
    rl_controller_rest(c);
}

/* Blocks for all shards that wait, by one commit. */
static void blocks_next(struct rl_controller *c)
{
    if (!rl_list_empty(&c->block_storing) || rl_list_empty(&c->block_waiting))
        return;
    int64_t next = c->producer_id_next;
    rl_list_take_all(&c->block_storing, &c->block_waiting);
    RL_LIST_EACH(link, &c->block_storing)
        next += RL_PRODUCER_ID_BLOCK;
    rl_text_clear(&c->block_value);
    rl_number_record_encode(next, &c->block_value);
    c->block_op = (struct rl_metadata_op){ .key = rl_slice_of_string(RL_PRODUCER_IDS_KEY),
                                           .value = rl_text_slice(&c->block_value),
                                           .expected_version = c->producer_ids_version };
    rl_metadata_store_commit(c->store, &c->block_op, 1, on_blocks_stored, c);
}

static void on_block_wanted(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, block_msg);
    struct rl_controller *c = local->controller;
    (void)shard;
    if (c->stopping) {
        block_answer(local, RL_ESTOPPING);
        return;
    }
    rl_list_push_back(&c->block_waiting, &local->block_link);
    blocks_next(c);
}

rl_status rl_controller_producer_load(struct rl_controller *c, struct rl_slice value,
                                      int64_t version)
{
    int64_t next;
    rl_status status = rl_number_record_decode(value, &next);
    if (status != RL_OK)
        return status;
    if (next > INT64_MAX / 2)
        return RL_ECORRUPT;                             /* nobody has used that many */
    c->producer_id_next = next;
    c->producer_ids_version = version;
    return RL_OK;
}

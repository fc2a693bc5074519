/* tests/sim/sim_hand.c — a group without members: somebody commits offsets by hand, and deletes them.
 *
 * A deletion has a number, as a commit has; several may be on their way, in their order.  It is seen at
 * once, and kept when it was acknowledged. */
#include "broker/kafka_error.h"
#include "sim_group.h"
#include "wire/api_table.h"
#include "wire/msg_delete_groups.h"
#include "wire/msg_offset_delete.h"

/* Deletions of all partitions of a group are one call: its items are the first and how many. */
static bool begin_deletions(struct sim *sim, struct sim_member *m, uint32_t partitions, struct sim_call *call)
{
    if (m->unanswered_count + (uint32_t)__builtin_popcount(partitions) > SIM_UNANSWERED_MAX)
        return false;
    for (uint32_t p = 0; p < sim->model.partition_count; p++)
        if (!sim_group_may_commit(sim, m->group, p))
            return false;
    call->count = 1;
    call->items[0] = (struct sim_call_item){ .batch = sim->members->model.commit_count,
                                             .offset = __builtin_popcount(partitions) };
    call->member.generation = -1;
    for (; partitions != 0; partitions &= partitions - 1) {
        uint32_t partition = (uint32_t)__builtin_ctz(partitions);
        m->unanswered[m->unanswered_count++] = sim_group_commit(
            sim, &(struct sim_commit){ m->group, partition, -1, -1, false, true });
    }
    return true;
}

static void deletions_answered(struct sim *sim, struct sim_member *m, const struct sim_call *call, int16_t error)
{
    uint32_t first = call->items[0].batch;

    for (uint32_t i = first; i < first + (uint32_t)call->items[0].offset; i++) {
        sim_member_answered(m, i);
        sim_group_committed(sim, call, i, error);
    }
    /* No such group: then nothing of it can be known. */
    for (uint32_t p = 0; error == RL_KAFKA_GROUP_ID_NOT_FOUND && p < sim->model.partition_count; p++)
        sim_group_fetched(sim, m->group, p, RL_MIN(sim_member_group(sim, m)->at[p].floor, first), -1,
                          (struct rl_slice){ 0 });
    if (error != 0 && error != RL_KAFKA_GROUP_ID_NOT_FOUND)
        sim_member_on_error(sim, m, call, error);
}

static void ask_delete_group(struct sim *sim, struct sim_member *m)
{
    struct rl_slice name = rl_slice_of_string(sim_member_group(sim, m)->id);
    struct sim_call call = { .key = RL_API_DELETE_GROUPS, .version = (int16_t)(1 + sim_below(sim, 2)) };
    struct rl_delete_groups_request ask;

    if (!begin_deletions(sim, m, m->owned, &call))
        return;
    rl_delete_groups_request_init(&ask);
    ask.groups_names = &name;
    ask.groups_names_count = 1;
    sim_member_send(sim, m, call, &ask);
}

void sim_hand_on_group_deleted(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer)
{
    const struct rl_delete_groups_response *reply = answer;

    if (reply->results_count != 1)
        sim_fail(sim, "one group was to be deleted, %d are answered", reply->results_count);
    deletions_answered(sim, m, call, reply->results[0].error_code);
}

static void ask_delete_offset(struct sim *sim, struct sim_member *m)
{
    uint32_t partition = (uint32_t)sim_below(sim, sim->model.partition_count);
    const struct sim_partition *p = &sim->model.partitions[partition];
    struct rl_offset_delete_request_partition part = { .partition_index = p->index };
    struct rl_offset_delete_request_topic topic = {
        .name = rl_slice_of_string(sim->model.topics[p->topic].name), .partitions = &part, .partitions_count = 1 };
    struct rl_offset_delete_request ask;
    struct sim_call call = { .key = RL_API_OFFSET_DELETE, .version = 0 };

    if (!sim->model.topics[p->topic].acknowledged || !begin_deletions(sim, m, RL_BIT(partition), &call))
        return;
    rl_offset_delete_request_init(&ask);
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.topics = &topic;
    ask.topics_count = 1;
    sim_member_send(sim, m, call, &ask);
}

void sim_hand_on_offsets_deleted(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                                 const void *answer)
{
    const struct rl_offset_delete_response *reply = answer;
    int16_t error = reply->error_code;

    if (error == 0)
        error = reply->topics[0].partitions[0].error_code;
    deletions_answered(sim, m, call, error);
}

void sim_hand_work(struct sim *sim, struct sim_member *m)
{
    uint64_t dice = sim_below(sim, 100);

    if (sim->calm && m->committed)
        return;
    if (dice < 60 || sim->calm) {
        for (uint32_t p = 0; p < sim->model.partition_count; p++)
            m->positions[p] = (int64_t)sim_below(sim, 1000);
        sim_member_ask_commit(sim, m);
    } else if (dice < 85) {
        sim_member_ask_offsets(sim, m, m->owned);
    } else if (dice < 98) {
        ask_delete_offset(sim, m);
    } else {
        ask_delete_group(sim, m);
    }
    m->again_ns = rl_mem_now_ns(sim->mem) + (int64_t)sim_below(sim, 500000);
}

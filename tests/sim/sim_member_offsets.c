/* tests/sim/sim_member_offsets.c — how far a member has come: it asks for what is committed, reads on from
 * there, and commits; or says what an old self or a stranger would commit. */
#include "core/memory.h"
#include "sim_group.h"
#include "wire/api_table.h"
#include "wire/msg_offset_commit.h"
#include "wire/msg_offset_fetch.h"
#include <stdio.h>
#include <string.h>

static const char *topic_of(const struct sim *sim, uint32_t partition)
{
    return sim->model.topics[sim->model.partitions[partition].topic].name;
}

static uint32_t random_bit(struct sim *sim, uint32_t bits)
{
    uint32_t n = (uint32_t)sim_below(sim, (uint64_t)__builtin_popcount(bits));
    for (; n > 0; n--)
        bits &= bits - 1;
    return (uint32_t)__builtin_ctz(bits);
}

/* ---- OffsetFetch ---- */

void sim_member_ask_offsets(struct sim *sim, struct sim_member *m, uint32_t partitions)
{
    struct rl_offset_fetch_request_topic topics[SIM_CALL_ITEMS];
    struct rl_offset_fetch_request_group_topic group_topics[SIM_CALL_ITEMS];
    struct rl_offset_fetch_request_group group;
    struct rl_offset_fetch_request ask;
    struct sim_call call = { .key = RL_API_OFFSET_FETCH, .version = sim_one_in(sim, 2) ? 7 : 8 };

    rl_offset_fetch_request_init(&ask);
    rl_offset_fetch_request_group_init(&group);
    for (; partitions != 0 && call.count < SIM_CALL_ITEMS; partitions &= partitions - 1) {
        uint32_t partition = (uint32_t)__builtin_ctz(partitions), n = call.count++;
        rl_offset_fetch_request_topic_init(&topics[n]);
        rl_offset_fetch_request_group_topic_init(&group_topics[n]);
        topics[n].name = group_topics[n].name = rl_slice_of_string(topic_of(sim, partition));
        topics[n].partition_indexes = group_topics[n].partition_indexes = &sim->model.partitions[partition].index;
        topics[n].partition_indexes_count = group_topics[n].partition_indexes_count = 1;
        call.items[n] = (struct sim_call_item){ .partition = partition,
                                                .floor = sim_member_group(sim, m)->at[partition].floor };
    }
    group.group_id = ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    group.topics = group_topics;
    ask.topics = topics;
    group.topics_count = ask.topics_count = (int32_t)call.count;
    ask.groups = &group;
    ask.groups_count = 1;
    sim_member_send(sim, m, call, &ask);
}

/* One shape for both versions; in the order of the question. */
static void offset_at(const struct sim_call *call, const struct rl_offset_fetch_response *reply, uint32_t i,
                      struct rl_offset_fetch_response_partition *ret_part)
{
    if (call->version < 8) {
        *ret_part = reply->topics[i].partitions[0];
        return;
    }
    const struct rl_offset_fetch_response_group_partition *part = &reply->groups[0].topics[i].partitions[0];
    *ret_part = (struct rl_offset_fetch_response_partition){ .partition_index = part->partition_index,
        .committed_offset = part->committed_offset, .metadata = part->metadata, .error_code = part->error_code };
}

void sim_member_on_offsets(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer)
{
    const struct rl_offset_fetch_response *reply = answer;
    struct rl_offset_fetch_response_partition part;
    int16_t error = call->version < 8 ? reply->error_code : reply->groups[0].error_code;

    if (error != 0) {
        sim_member_on_error(sim, m, call, error);
        return;
    }
    if ((call->version < 8 ? reply->topics_count : reply->groups[0].topics_count) != (int32_t)call->count)
        sim_fail(sim, "group %s: offsets of another number of topics", sim_member_group(sim, m)->id);
    for (uint32_t i = 0; i < call->count; i++) {
        uint32_t partition = call->items[i].partition;
        offset_at(call, reply, i, &part);
        if (part.error_code != 0 || part.partition_index != sim->model.partitions[partition].index)
            sim_fail(sim, "group %s partition %u: the offset of %d, error %d", sim_member_group(sim, m)->id, partition,
                     part.partition_index, part.error_code);
        sim_group_fetched(sim, m->group, partition, (uint32_t)call->items[i].floor, part.committed_offset,
                          part.metadata);
        if (call->member.identity != m->identity || (m->unknown & RL_BIT(partition)) == 0)
            continue;
        m->positions[partition] = RL_MAX(part.committed_offset, 0);
        m->unknown &= ~RL_BIT(partition);
    }
    if (m->step == SIM_MEMBER_ASKS_OFFSETS && call->member.identity == m->identity)
        sim_member_set_step(m, m->unknown == 0 ? SIM_MEMBER_WORKS : SIM_MEMBER_ASKS_OFFSETS);
}

/* ---- reading ---- */

void sim_member_ask_records(struct sim *sim, struct sim_member *m)
{
    uint32_t partitions[SIM_CALL_ITEMS], count = 0, left = m->owned;
    int64_t offsets[SIM_CALL_ITEMS];

    while (left != 0 && count < 2) {
        uint32_t p = random_bit(sim, left);
        left &= ~RL_BIT(p);
        if (!sim->model.partitions[p].audited)
            continue;
        partitions[count] = p;
        offsets[count++] = m->positions[p] = RL_MIN(m->positions[p], sim->model.partitions[p].high_watermark);
    }
    if (count == 0)
        return;
    sim_client_send_fetch(sim, &m->link, (struct sim_call){ .member.identity = m->identity }, partitions, offsets,
                          count);
}

void sim_member_on_records(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer)
{
    int64_t ends[SIM_CALL_ITEMS];

    sim_client_fetched(sim, call, answer, ends);
    for (uint32_t i = 0; i < call->count; i++)
        if (ends[i] >= 0 && call->member.identity == m->identity)
            m->positions[call->items[i].partition] = ends[i];
}

/* ---- OffsetCommit ---- */

struct commit_as {
    struct rl_slice id, instance;
    int32_t generation;
    bool refused;                       /* whatever the broker may have forgotten */
    bool stray;
};

static void ask_commit(struct sim *sim, struct sim_member *m, uint32_t partitions, const struct commit_as *as)
{
    struct rl_offset_commit_request_partition parts[SIM_CALL_ITEMS];
    struct rl_offset_commit_request_topic topics[SIM_CALL_ITEMS];
    struct rl_offset_commit_request ask;
    char texts[SIM_CALL_ITEMS][12];
    struct sim_call call = { .key = RL_API_OFFSET_COMMIT, .version = (int16_t)(7 + sim_below(sim, 3)),
                             .member = { .generation = as->generation, .stray = as->stray } };

    rl_offset_commit_request_init(&ask);
    for (; partitions != 0 && call.count < SIM_CALL_ITEMS; partitions &= partitions - 1) {
        uint32_t p = (uint32_t)__builtin_ctz(partitions), n = call.count;
        if (!sim->model.partitions[p].audited || !sim_group_may_commit(sim, m->group, p) ||
            m->unanswered_count == SIM_UNANSWERED_MAX)
            continue;
        uint32_t number = sim_group_commit(sim, &(struct sim_commit){ m->group, p, m->positions[p],
                                                                      as->generation, as->refused, false });
        m->unanswered[m->unanswered_count++] = number;
        call.items[call.count++] = (struct sim_call_item){ .partition = p, .batch = number };
        snprintf(texts[n], sizeof texts[n], "%u", number);
        rl_offset_commit_request_partition_init(&parts[n]);
        rl_offset_commit_request_topic_init(&topics[n]);
        parts[n].partition_index = sim->model.partitions[p].index;
        parts[n].committed_offset = m->positions[p];
        parts[n].committed_metadata = rl_slice_of_string(texts[n]);
        topics[n].name = rl_slice_of_string(topic_of(sim, p));
        topics[n].partitions = &parts[n];
        topics[n].partitions_count = 1;
    }
    if (call.count == 0)
        return;
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.generation_id_or_member_epoch = as->generation;
    ask.member_id = as->id;
    ask.group_instance_id = as->instance;
    ask.topics = topics;
    ask.topics_count = (int32_t)call.count;
    sim_member_send(sim, m, call, &ask);
}

void sim_member_ask_commit(struct sim *sim, struct sim_member *m)
{
    struct commit_as as = { .id = rl_slice_of_string(m->id), .instance = sim_member_instance(m),
                            .generation = m->generation };
    uint32_t partitions = m->owned;

    while (!sim->calm && __builtin_popcount(partitions) > 1 && sim_one_in(sim, 2))
        partitions &= ~RL_BIT(random_bit(sim, partitions));
    ask_commit(sim, m, partitions, &as);
}

/* What an old self or a stranger would say. */
void sim_member_ask_wrong_commit(struct sim *sim, struct sim_member *m)
{
    struct commit_as as = { .id = rl_slice_of_string(m->id), .instance = sim_member_instance(m),
                            .generation = m->generation, .stray = true };

    if (sim_one_in(sim, 3)) {
        as.id = rl_slice_of_string("nobody");
        as.refused = true;
    } else {
        as.generation -= 1 + (int32_t)sim_below(sim, 2);
        as.refused = as.generation < sim_member_group(sim, m)->synced;
    }
    if (as.generation > 0 && m->owned != 0 && (as.refused || !sim->disk.faulty))
        ask_commit(sim, m, RL_BIT(random_bit(sim, m->owned)), &as);
}

void sim_member_answered(struct sim_member *m, uint32_t number)
{
    for (uint32_t i = 0; i < m->unanswered_count; i++)
        if (m->unanswered[i] == number) {
            memmove(&m->unanswered[i], &m->unanswered[i + 1], (--m->unanswered_count - i) * sizeof m->unanswered[0]);
            return;
        }
}

void sim_member_on_committed(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *answer)
{
    const struct rl_offset_commit_response *reply = answer;
    int16_t worst = 0;

    if (reply->topics_count != (int32_t)call->count)
        sim_fail(sim, "group %s: %d of %u topics of a commit are answered", sim_member_group(sim, m)->id,
                 reply->topics_count, call->count);
    for (uint32_t i = 0; i < call->count; i++) {
        const struct rl_offset_commit_response_partition *part = reply->topics[i].partitions;
        if (part->partition_index != sim->model.partitions[call->items[i].partition].index)
            sim_fail(sim, "group %s: a commit of another partition is answered", sim_member_group(sim, m)->id);
        sim_member_answered(m, call->items[i].batch);
        sim_group_committed(sim, call, call->items[i].batch, part->error_code);
        worst = part->error_code != 0 ? part->error_code : worst;
    }
    if (worst != 0)
        sim_member_on_error(sim, m, call, worst);
    else if (call->member.identity == m->identity && !call->member.stray)
        m->committed = sim->calm;
}

void sim_member_lose_answers(struct sim *sim, struct sim_member *m)
{
    for (uint32_t i = 0; i < m->unanswered_count; i++)
        sim_group_in_doubt(sim, m->unanswered[i]);
    m->unanswered_count = 0;
}

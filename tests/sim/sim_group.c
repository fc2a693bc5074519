/* tests/sim/sim_group.c — what must be true of groups: one owner per partition and generation, nothing
 * accepted from an old generation, nothing committed ever forgotten.
 *
 * A generation is known for good once a member was given his part of it: that stands on stable storage.
 * Until then the broker may forget it with a crash, or when its disk fails, and give its number again.
 * A commit is known for good once it was acknowledged, or read by anybody.  Where a connection was lost
 * with commits unanswered, the broker may still work on them behind newer ones that came on another
 * connection: those are in doubt until a newer generation is known, or the life is over. */
#include "broker/kafka_error.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include "sim_group.h"
#include "sim_heap.h"
#include "wire/api_table.h"
#include "wire/msg_find_coordinator.h"
#include "wire/msg_offset_fetch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT_NS_MAX (INT64_C(20) * 1000000000)         /* longer than a disk stalls */
#define AUDIT_ASKS_FAULTY 100           /* the disk has failed: then it may be that nobody answers */
#define ASK_AGAIN_NS 500000

static struct sim_groups *model_of(const struct sim *sim)
{
    return &sim->members->model;
}

/* ---- generations ---- */

void sim_group_note_floors(const struct sim *sim, uint32_t group, struct sim_call *call)
{
    const struct sim_group *g = &model_of(sim)->groups[group];

    call->member.group = group;
    call->member.synced = g->synced;
    call->member.told = g->told;
}

/* The oldest generation that the group may have been in when this was asked. */
static int32_t generation_floor(const struct sim *sim, const struct sim_call *call)
{
    return sim->disk.faulty ? call->member.synced : call->member.told;
}

void sim_group_check_generation(struct sim *sim, const struct sim_call *call, int32_t generation)
{
    if (generation < generation_floor(sim, call))
        sim_fail(sim, "group %s: API %d says that all is well in generation %d, and generation %d was known "
                 "when it was asked", model_of(sim)->groups[call->member.group].id, call->key, generation,
                 generation_floor(sim, call));
}

void sim_group_told(struct sim *sim, const struct sim_call *call, int32_t generation)
{
    struct sim_group *g = &model_of(sim)->groups[call->member.group];

    sim_group_check_generation(sim, call, generation);
    g->told = RL_MAX(g->told, generation);
    sim_noted(sim, SIM_JOINED, 1);
}

/* ---- assignments ---- */

void sim_part_encode(const struct sim_part *part, uint8_t bytes[SIM_PART_BYTES])
{
    rl_put_u32(bytes, part->group);
    rl_put_u32(bytes + 4, (uint32_t)part->generation);
    rl_put_u32(bytes + 8, part->nonce);
    rl_put_u32(bytes + 12, part->label);
    rl_put_u32(bytes + 16, part->partitions);
}

static struct sim_part decode_part(struct sim *sim, const struct sim_call *call, struct rl_slice assignment)
{
    if (assignment.bytes != SIM_PART_BYTES)
        sim_fail(sim, "group %s, generation %d: an assignment of %zu bytes, which no leader gave",
                 model_of(sim)->groups[call->member.group].id, call->member.generation, assignment.bytes);
    return (struct sim_part){ .group = rl_get_u32(assignment.data),
                              .generation = (int32_t)rl_get_u32(assignment.data + 4),
                              .nonce = rl_get_u32(assignment.data + 8),
                              .label = rl_get_u32(assignment.data + 12),
                              .partitions = rl_get_u32(assignment.data + 16) };
}

/* Commits of older generations can come no more: the broker knows a newer one for good. */
static void settle_older(struct sim *sim, struct sim_group *g)
{
    for (uint32_t p = 0; p < sim->model.partition_count; p++)
        for (uint32_t i = 0; i < g->at[p].doubt_count; i++) {
            struct sim_doubt *doubt = &g->at[p].doubts[i];
            if (doubt->settled_at == UINT32_MAX && model_of(sim)->commits[doubt->number].generation < g->synced)
                doubt->settled_at = model_of(sim)->commit_count;
        }
}

static void note_owner(struct sim *sim, struct sim_group *g, const struct sim_part *part)
{
    bool whole = true;

    for (uint32_t p = 0; p < sim->model.partition_count; p++) {
        if ((part->partitions & RL_BIT(p)) != 0) {
            if (g->owners[p] != 0 && g->owners[p] != part->label)
                sim_fail(sim, "group %s, generation %d: partition %u has two owners", g->id,
                         part->generation, p);
            whole &= g->owners[p] == part->label;
            g->owners[p] = part->label;
        }
    }
    for (uint32_t p = 0; p < sim->model.partition_count; p++)
        if (g->owners[p] == 0)
            return;
    sim_noted(sim, SIM_GENERATIONS, !whole);            /* the last owner has just come */
}

uint32_t sim_group_synced(struct sim *sim, const struct sim_call *call, uint32_t label,
                          struct rl_slice assignment)
{
    struct sim_group *g = &model_of(sim)->groups[call->member.group];
    struct sim_part part = decode_part(sim, call, assignment);

    sim_group_check_generation(sim, call, call->member.generation);
    if (part.group != call->member.group || part.generation != call->member.generation)
        sim_fail(sim, "group %s: asked in generation %d, given a part of generation %d of group %u", g->id,
                 call->member.generation, part.generation, part.group);
    if (part.label != label)
        sim_fail(sim, "group %s, generation %d: a member was given another's part", g->id, part.generation);
    sim_noted(sim, SIM_SYNCED, 1);
    if (part.generation < g->synced)
        return part.partitions;         /* the answer was long on its way */
    if (part.generation > g->synced) {
        g->synced = part.generation;
        g->told = RL_MAX(g->told, g->synced);
        g->nonce = part.nonce;
        memset(g->owners, 0, sizeof g->owners);
        settle_older(sim, g);
    }
    if (part.nonce != g->nonce)
        sim_fail(sim, "group %s, generation %d: two assignments, %u and %u", g->id, part.generation, g->nonce,
                 part.nonce);
    note_owner(sim, g, &part);
    return part.partitions;
}

/* ---- commits ---- */

uint32_t sim_group_commit(struct sim *sim, const struct sim_commit *commit)
{
    struct sim_groups *m = model_of(sim);

    if (m->commit_count == m->commit_capacity) {
        m->commit_capacity = RL_MAX(2 * m->commit_capacity, 1024);
        m->commits = sim_world_realloc(m->commits, m->commit_capacity * sizeof *m->commits);
    }
    m->commits[m->commit_count] = *commit;
    return m->commit_count++;
}

bool sim_group_may_commit(const struct sim *sim, uint32_t group, uint32_t partition)
{
    /* There must be room for the doubts about what is on its way; in calm no connection is lost. */
    return sim->calm || model_of(sim)->groups[group].at[partition].doubt_count < SIM_DOUBTS_MAX / 2;
}

void sim_group_in_doubt(struct sim *sim, uint32_t number)
{
    const struct sim_commit *commit = &model_of(sim)->commits[number];
    struct sim_committed *c = &model_of(sim)->groups[commit->group].at[commit->partition];

    if (commit->refused)
        return;
    RL_ASSERT(c->doubt_count < SIM_DOUBTS_MAX);
    c->doubts[c->doubt_count++] = (struct sim_doubt){ number, UINT32_MAX };
    sim_noted(sim, SIM_IN_DOUBT, 1);
}

/* The log of its group may or may not have it; nothing else of what is known is in question. */
static bool is_unclear(int16_t error)
{
    return error == RL_KAFKA_NOT_COORDINATOR || error == RL_KAFKA_COORDINATOR_NOT_AVAILABLE;
}

void sim_group_committed(struct sim *sim, const struct sim_call *call, uint32_t number, int16_t error)
{
    struct sim_commit *commit = &model_of(sim)->commits[number];
    struct sim_group *g = &model_of(sim)->groups[commit->group];

    if (error == 0 && commit->refused)
        sim_fail(sim, "group %s: commit %u of generation %d was accepted from a stranger or an old "
                 "generation", g->id, number, commit->generation);
    if (error == 0) {
        if (commit->generation >= 0)
            sim_group_check_generation(sim, call, commit->generation);
        sim_say(sim, "%s: group %s partition %u offset %lld, commit %u", commit->deletes ? "deleted" : "committed",
                g->id, commit->partition, (long long)commit->offset, number);
        g->at[commit->partition].floor = RL_MAX(g->at[commit->partition].floor, number + 1);
        sim_noted(sim, commit->deletes ? SIM_DELETED : SIM_COMMITS, 1);
        return;
    }
    commit->refused |= !is_unclear(error) && error != RL_KAFKA_GROUP_ID_NOT_FOUND;
    sim_noted(sim, SIM_FENCED, error == RL_KAFKA_ILLEGAL_GENERATION || error == RL_KAFKA_UNKNOWN_MEMBER_ID ||
                               error == RL_KAFKA_FENCED_INSTANCE_ID);
}

static bool may_come_behind(const struct sim_committed *c, uint32_t number, uint32_t floor)
{
    for (uint32_t i = 0; i < c->doubt_count; i++)
        if (c->doubts[i].number == number && c->doubts[i].settled_at >= floor)
            return true;
    return false;
}

/* Nothing is committed: never was, or it was deleted.  That is seen before it is on stable storage. */
static bool may_be_none(const struct sim_groups *m, const struct sim_committed *c, uint32_t group,
                        uint32_t partition, uint32_t floor)
{
    if (floor == 0 || m->commits[floor - 1].deletes)
        return true;
    for (uint32_t i = 0; i < c->doubt_count; i++)
        if (m->commits[c->doubts[i].number].deletes && may_come_behind(c, c->doubts[i].number, floor))
            return true;
    for (uint32_t i = m->commit_count; i-- > floor;) {
        const struct sim_commit *newer = &m->commits[i];
        if (newer->deletes && newer->group == group && newer->partition == partition && !newer->refused)
            return true;
    }
    return false;
}

void sim_group_fetched(struct sim *sim, uint32_t group, uint32_t partition, uint32_t floor, int64_t offset,
                       struct rl_slice metadata)
{
    struct sim_groups *m = model_of(sim);
    struct sim_group *g = &m->groups[group];
    struct sim_committed *c = &g->at[partition];
    char text[16] = "";

    sim_noted(sim, SIM_OFFSETS_FETCHED, 1);
    if (offset < 0 && may_be_none(m, c, group, partition, floor))
        return;
    if (offset < 0)
        sim_fail(sim, "group %s partition %u: nothing is committed, but commit %u was known", g->id, partition,
                 floor - 1);
    memcpy(text, metadata.data, RL_MIN(metadata.bytes, sizeof text - 1));
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    const struct sim_commit *commit = text[0] != '\0' && number < m->commit_count ? &m->commits[number] : NULL;
    if (commit == NULL || commit->group != group || commit->partition != partition || commit->offset != offset ||
        commit->deletes)
        sim_fail(sim, "group %s partition %u: offset %lld (%s) is committed, which nobody sent", g->id, partition,
                 (long long)offset, text);
    if (commit->refused)
        sim_fail(sim, "group %s partition %u: commit %u was refused and is there", g->id, partition, number);
    if (number + 1 < floor && !may_come_behind(c, number, floor))
        sim_fail(sim, "group %s partition %u: commit %u is there, but the newer commit %u was known", g->id,
                 partition, number, floor - 1);
    c->floor = RL_MAX(c->floor, number + 1);
}

/* ---- lives ---- */

/* Nothing comes any more.  A doubt is left about what may have come behind a commit that is known, until
 * one is known that was sent later still. */
static void settle(const struct sim_groups *m, struct sim_committed *c)
{
    for (uint32_t i = c->doubt_count; i-- > 0;) {
        struct sim_doubt *doubt = &c->doubts[i];
        doubt->settled_at = RL_MIN(doubt->settled_at, m->commit_count);
        if (doubt->number >= c->floor || doubt->settled_at < c->floor)
            *doubt = c->doubts[--c->doubt_count];
    }
}

void sim_groups_ended(struct sim *sim)
{
    struct sim_groups *m = model_of(sim);

    for (uint32_t g = 0; g < m->count; g++) {
        m->groups[g].told = m->groups[g].synced;
        for (uint32_t p = 0; p < sim->model.partition_count; p++)
            settle(m, &m->groups[g].at[p]);
    }
}

/* ---- the audit ---- */

static uint32_t partition_of(struct sim *sim, struct rl_slice topic, int32_t index)
{
    for (uint32_t i = 0; i < sim->model.partition_count; i++) {
        const struct sim_partition *p = &sim->model.partitions[i];
        if (p->index == index && rl_slice_equal(topic, rl_slice_of_string(sim->model.topics[p->topic].name)))
            return i;
    }
    sim_fail(sim, "an offset is committed for %.*s-%d, which there is not", (int)topic.bytes,
             (const char *)topic.data, index);
}

static void audit_group(struct sim *sim, uint32_t group, const struct rl_offset_fetch_response_group *answer)
{
    uint32_t seen = 0;

    for (int32_t t = 0; t < answer->topics_count; t++)
        for (int32_t i = 0; i < answer->topics[t].partitions_count; i++) {
            const struct rl_offset_fetch_response_group_partition *part = &answer->topics[t].partitions[i];
            uint32_t partition = partition_of(sim, answer->topics[t].name, part->partition_index);
            if (part->error_code != 0 || (seen & RL_BIT(partition)) != 0)
                sim_fail(sim, "group %s: error %d of partition %u, or it is there twice", answer->group_id.data,
                         part->error_code, partition);
            seen |= (uint32_t)RL_BIT(partition);
            sim_group_fetched(sim, group, partition, model_of(sim)->groups[group].at[partition].floor,
                              part->committed_offset, part->metadata);
        }
    for (uint32_t p = 0; p < sim->model.partition_count; p++)
        if ((seen & RL_BIT(p)) == 0)
            sim_group_fetched(sim, group, p, model_of(sim)->groups[group].at[p].floor, -1, (struct rl_slice){ 0 });
}

static bool is_answered(struct sim *sim, uint32_t group, int16_t *ret_error)
{
    struct sim_groups *m = model_of(sim);
    struct rl_offset_fetch_request_group asked;
    struct rl_offset_fetch_request message;

    rl_offset_fetch_request_init(&message);
    rl_offset_fetch_request_group_init(&asked);
    asked.group_id = rl_slice_of_string(m->groups[group].id);
    asked.topics_count = -1;
    asked.topics = NULL;
    message.groups = &asked;
    message.groups_count = 1;
    const struct rl_offset_fetch_response *reply = sim_audit_ask(sim, RL_API_OFFSET_FETCH, 8, &message);
    int16_t error = reply->groups[0].error_code;
    if (error == 0) {
        audit_group(sim, group, &reply->groups[0]);
        return true;
    }
    *ret_error = error;
    sim_noted(sim, SIM_GROUPS_LOADING, error == RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    if (error != RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS && !is_unclear(error))
        sim_fail(sim, "group %s: OffsetFetch answers error %d", m->groups[group].id, error);
    return false;
}

/* The first question for it makes the topic that keeps groups. */
static bool is_found(struct sim *sim)
{
    struct rl_slice key = rl_slice_of_string(model_of(sim)->groups[0].id);
    struct rl_find_coordinator_request message;

    rl_find_coordinator_request_init(&message);
    message.coordinator_keys = &key;
    message.coordinator_keys_count = 1;
    const struct rl_find_coordinator_response *reply = sim_audit_ask(sim, RL_API_FIND_COORDINATOR, 4, &message);
    return reply->coordinators[0].error_code == 0;
}

void sim_groups_audit(struct sim *sim)
{
    int64_t began_ns = rl_mem_now_ns(sim->mem);
    uint32_t asked = 0, group = 0;
    int16_t error = RL_KAFKA_COORDINATOR_NOT_AVAILABLE;
    bool found = false;

    while (group < model_of(sim)->count && (!sim->disk.faulty || asked < AUDIT_ASKS_FAULTY)) {
        bool answered = found ? is_answered(sim, group, &error) : is_found(sim);
        if (!sim->disk.faulty && rl_mem_now_ns(sim->mem) - began_ns > AUDIT_NS_MAX)
            sim_fail(sim, "group %s has no coordinator: error %d", model_of(sim)->groups[group].id, error);
        if (!answered)
            rl_mem_advance(sim->mem, ASK_AGAIN_NS);
        group += answered && found;
        found |= answered;
        asked++;
    }
    sim_link_close(sim, &sim->auditor, false);
}

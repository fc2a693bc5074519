/* tests/sim/sim_member.c — members of consumer groups: they come, work, die, and come again.
 *
 * Each is on one connection and does what a client does: find the coordinator, join, get its part (or
 * give everybody his, as the leader), ask for what is committed, read, commit, and beat.  Beside that
 * it loses its connection and with it replies, dies without a word, leaves, sends things twice, and says
 * what an old self or a stranger would say.  Two or three requests may be on their way.
 * An answer that another part of the broker may have given, too, moves it on as it moves a client;
 * anything else fails the run. */
#include "broker/kafka_error.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include "sim_group.h"
#include "sim_heap.h"
#include "wire/api_table.h"
#include "wire/msg_find_coordinator.h"
#include "wire/msg_heartbeat.h"
#include "wire/msg_join_group.h"
#include "wire/msg_leave_group.h"
#include "wire/msg_sync_group.h"
#include <stdio.h>
#include <string.h>

#define MS INT64_C(1000000)
#define PATIENCE_NS (INT64_C(20) * 1000 * MS)
#define SESSION_MS 12
#define REBALANCE_MS 8
#define HEARTBEAT_NS MS
#define PIPELINE_MAX 3
#define SUBSCRIPTION_BYTES_MAX 128

static int64_t now_ns(const struct sim *sim)
{
    return rl_mem_now_ns(sim->mem);
}

static void wait_below(struct sim *sim, struct sim_member *m, int64_t ns)
{
    m->again_ns = now_ns(sim) + (int64_t)sim_below(sim, (uint64_t)ns);
}

/* Who it is for an assignment: a static member keeps its part under any id. */
static uint32_t label_of(struct rl_slice instance, struct rl_slice id)
{
    struct rl_slice name = instance.data != NULL ? instance : id;
    return rl_crc32c(0, name.data, name.bytes) | 1;
}

static int16_t one_of(struct sim *sim, const int16_t versions[], uint32_t count)
{
    return versions[sim_below(sim, count)];
}

/* ---- who it is ---- */

void sim_member_set_step(struct sim_member *m, enum sim_member_step step)
{
    m->step = step;
    m->identity++;
    if (step == SIM_MEMBER_JOINS)
        m->assigned = m->committed = m->beaten = false;
}

static void forget_itself(struct sim_member *m)
{
    m->id[0] = '\0';
    m->generation = -1;
    m->owned = m->unknown = 0;
    sim_member_set_step(m, SIM_MEMBER_JOINS);
}

static void connection_lost(struct sim *sim, struct sim_member *m)
{
    sim_link_close(sim, &m->link, false);
    sim_member_lose_answers(sim, m);
    sim_member_set_step(m, SIM_MEMBER_FINDS);
    wait_below(sim, m, 5 * MS);
}

void sim_members_lost(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->members->count; i++)
        connection_lost(sim, &sim->members->members[i]);
    sim_groups_ended(sim);
}

/* ---- errors ---- */

/* What a client does when it is told that. */
void sim_member_on_error(struct sim *sim, struct sim_member *m, const struct sim_call *call, int16_t error)
{
    bool mine = !call->member.stray && call->member.identity == m->identity;

    if (m->by_hand && (error < RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS || error > RL_KAFKA_NOT_COORDINATOR))
        sim_fail(sim, "group %s: API %d answers error %d, and it has no members", sim_member_group(sim, m)->id,
                 call->key, error);
    switch (error) {
    case RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS:
    case RL_KAFKA_COORDINATOR_NOT_AVAILABLE:
    case RL_KAFKA_NOT_COORDINATOR:
        sim_noted(sim, SIM_GROUPS_LOADING, error == RL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
        if (!mine)
            return;
        sim_member_set_step(m, SIM_MEMBER_FINDS);
        wait_below(sim, m, 2 * MS);
        return;
    case RL_KAFKA_FENCED_INSTANCE_ID:
        if (m->instance[0] == '\0')
            break;
        /* fall through */
    case RL_KAFKA_UNKNOWN_MEMBER_ID:
        if (mine)
            forget_itself(m);
        return;
    case RL_KAFKA_ILLEGAL_GENERATION:
    case RL_KAFKA_REBALANCE_IN_PROGRESS:
        if (mine)
            sim_member_set_step(m, SIM_MEMBER_JOINS);
        return;
    default:
        break;
    }
    sim_fail(sim, "group %s: API %d answers error %d", sim_member_group(sim, m)->id, call->key, error);
}

void sim_member_send(struct sim *sim, struct sim_member *m, struct sim_call call, const void *message)
{
    sim_group_note_floors(sim, m->group, &call);
    call.member.identity = m->identity;
    sim_link_send(sim, &m->link, call, message, false);
}

/* ---- FindCoordinator ---- */

static void ask_coordinator(struct sim *sim, struct sim_member *m)
{
    struct rl_find_coordinator_request ask;
    struct rl_slice key = rl_slice_of_string(sim_member_group(sim, m)->id);

    rl_find_coordinator_request_init(&ask);
    ask.key = key;
    ask.coordinator_keys = &key;
    ask.coordinator_keys_count = 1;
    sim_member_send(sim, m, (struct sim_call){ .key = RL_API_FIND_COORDINATOR, .version = sim_one_in(sim, 2) ? 3 : 4 }, &ask);
}

static void on_coordinator(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                           const struct rl_find_coordinator_response *reply)
{
    int16_t error = call->version < 4 ? reply->error_code : reply->coordinators[0].error_code;

    if (error != 0) {
        sim_member_on_error(sim, m, call, error);
        return;
    }
    sim_noted(sim, SIM_FOUND_COORDINATOR, 1);
    if (call->member.identity == m->identity)
        sim_member_set_step(m, !m->assigned ? SIM_MEMBER_JOINS : m->unknown != 0 ? SIM_MEMBER_ASKS_OFFSETS : SIM_MEMBER_WORKS);
}

/* ---- JoinGroup ---- */

/* ConsumerProtocolSubscription, version 0. */
static struct rl_slice subscription(const struct sim *sim, const struct sim_member *m,
                                    uint8_t bytes[SUBSCRIPTION_BYTES_MAX])
{
    uint8_t *at = bytes + 6;

    rl_put_u16(bytes, 0);
    rl_put_u32(bytes + 2, (uint32_t)__builtin_popcount(m->topics));
    for (uint32_t t = 0; t < sim->model.topic_count; t++) {
        size_t length = strlen(sim->model.topics[t].name);
        if ((m->topics & RL_BIT(t)) == 0)
            continue;
        rl_put_u16(at, (uint16_t)length);
        memcpy(at + 2, sim->model.topics[t].name, length);
        at += 2 + length;
    }
    rl_put_u32(at, UINT32_MAX);
    return rl_slice_of(bytes, (size_t)(at + 4 - bytes));
}

static void ask_join(struct sim *sim, struct sim_member *m, bool stray)
{
    static const int16_t versions[] = { 5, 7, 9 };
    uint8_t bytes[SUBSCRIPTION_BYTES_MAX];
    struct rl_join_group_request_protocol protocols[2];
    struct rl_join_group_request ask;

    rl_join_group_request_init(&ask);
    for (uint32_t i = 0; i < 2; i++) {
        protocols[i].name = rl_slice_of_string(i == 0 ? "range" : "roundrobin");
        protocols[i].metadata = subscription(sim, m, bytes);
    }
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.session_timeout_ms = SESSION_MS;
    ask.rebalance_timeout_ms = REBALANCE_MS;
    ask.member_id = rl_slice_of_string(m->id);
    ask.group_instance_id = sim_member_instance(m);
    ask.protocol_type = rl_slice_of_string("consumer");
    ask.protocols = protocols;
    ask.protocols_count = 2;
    sim_member_send(sim, m, (struct sim_call){ .key = RL_API_JOIN_GROUP, .version = one_of(sim, versions, 3),
                                    .member.stray = stray }, &ask);
}

static void note_named(struct sim *sim, struct sim_member *m, const struct rl_join_group_response *reply)
{
    bool itself = false;

    if (reply->members_count > SIM_NAMED_MAX)
        sim_fail(sim, "group %s has %d members", sim_member_group(sim, m)->id, reply->members_count);
    m->named_count = (uint32_t)reply->members_count;
    for (uint32_t i = 0; i < m->named_count; i++) {
        const struct rl_join_group_response_member *named = &reply->members[i];
        snprintf(m->named[i].id, sizeof m->named[i].id, "%.*s", (int)named->member_id.bytes,
                 (const char *)named->member_id.data);
        m->named[i].label = label_of(named->group_instance_id, named->member_id);
        itself |= rl_slice_equal(named->member_id, reply->member_id);
        for (uint32_t j = 0; j < i; j++)
            if (m->named[j].label == m->named[i].label)
                sim_fail(sim, "group %s: member %s is there twice", sim_member_group(sim, m)->id, m->named[i].id);
    }
    if (!itself)
        sim_fail(sim, "group %s: a leader that is no member", sim_member_group(sim, m)->id);
}

static void on_joined(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                      const struct rl_join_group_response *reply)
{
    bool mine = !call->member.stray && call->member.identity == m->identity;

    if (reply->error_code != 0 && reply->error_code != RL_KAFKA_MEMBER_ID_REQUIRED) {
        sim_member_on_error(sim, m, call, reply->error_code);
        return;
    }
    if (reply->error_code == 0)
        sim_group_told(sim, call, reply->generation_id);
    if (!mine)
        return;
    sim_noted(sim, SIM_CAME_AGAIN, m->id[0] == '\0' && m->instance[0] != '\0' && reply->error_code == 0 &&
                                   reply->generation_id == call->member.synced);
    snprintf(m->id, sizeof m->id, "%.*s", (int)reply->member_id.bytes, (const char *)reply->member_id.data);
    if (reply->error_code == RL_KAFKA_MEMBER_ID_REQUIRED) {
        if (m->instance[0] != '\0')
            sim_fail(sim, "group %s: a static member is asked to come with an id", sim_member_group(sim, m)->id);
        sim_member_set_step(m, SIM_MEMBER_JOINS);
        return;
    }
    m->generation = reply->generation_id;
    m->leads = rl_slice_equal(reply->leader, reply->member_id) && !reply->skip_assignment;
    m->named_count = 0;
    if (m->leads)
        note_named(sim, m, reply);
    sim_member_set_step(m, SIM_MEMBER_SYNCS);
}

/* ---- SyncGroup ---- */

/* Partitions one after the other to members one after the other, from any on. */
static void assign(struct sim *sim, const struct sim_member *m, struct sim_part parts[SIM_NAMED_MAX])
{
    uint32_t first = (uint32_t)sim_below(sim, m->named_count), nonce = ++sim->members->model.next_nonce;

    for (uint32_t i = 0; i < m->named_count; i++)
        parts[i] = (struct sim_part){ m->group, m->generation, nonce, m->named[i].label, 0 };
    for (uint32_t p = 0; p < sim->model.partition_count; p++)
        parts[(first + p) % m->named_count].partitions |= RL_BIT(p);
}

static void ask_sync(struct sim *sim, struct sim_member *m, bool stray)
{
    static const int16_t versions[] = { 3, 4, 5 };
    struct rl_sync_group_request_assignment assignments[SIM_NAMED_MAX];
    uint8_t bytes[SIM_NAMED_MAX][SIM_PART_BYTES];
    struct sim_part parts[SIM_NAMED_MAX];
    struct rl_sync_group_request ask;

    rl_sync_group_request_init(&ask);
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.generation_id = m->generation;
    ask.member_id = rl_slice_of_string(m->id);
    ask.group_instance_id = sim_member_instance(m);
    ask.protocol_type = rl_slice_of_string("consumer");
    ask.protocol_name = rl_slice_of_string("range");
    if (m->leads) {
        assign(sim, m, parts);
        for (uint32_t i = 0; i < m->named_count; i++) {
            sim_part_encode(&parts[i], bytes[i]);
            assignments[i].member_id = rl_slice_of_string(m->named[i].id);
            assignments[i].assignment = rl_slice_of(bytes[i], SIM_PART_BYTES);
        }
        ask.assignments = assignments;
        ask.assignments_count = (int32_t)m->named_count;
    }
    sim_member_send(sim, m, (struct sim_call){ .key = RL_API_SYNC_GROUP, .version = one_of(sim, versions, 3),
                                    .member = { .generation = m->generation, .stray = stray } }, &ask);
}

static void on_synced(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                      const struct rl_sync_group_response *reply)
{
    if (reply->error_code != 0) {
        sim_member_on_error(sim, m, call, reply->error_code);
        return;
    }
    if (call->member.stray || call->member.identity != m->identity)
        return;                         /* whose part it was is not known any more */
    uint32_t label = label_of(sim_member_instance(m), rl_slice_of_string(m->id));
    m->owned = m->unknown = sim_group_synced(sim, call, label, reply->assignment);
    m->assigned = true;
    sim_say(sim, "member %u of group %s: generation %d, partitions %x", m->index, sim_member_group(sim, m)->id,
            m->generation, m->owned);
    sim_member_set_step(m, m->owned != 0 ? SIM_MEMBER_ASKS_OFFSETS : SIM_MEMBER_WORKS);
}

/* ---- Heartbeat, LeaveGroup ---- */

static void ask_heartbeat(struct sim *sim, struct sim_member *m, int32_t generation)
{
    struct rl_heartbeat_request ask;

    rl_heartbeat_request_init(&ask);
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.generation_id = generation;
    ask.member_id = rl_slice_of_string(m->id);
    ask.group_instance_id = sim_member_instance(m);
    m->heartbeat_ns = now_ns(sim) + HEARTBEAT_NS / 2 + (int64_t)sim_below(sim, HEARTBEAT_NS);
    sim_member_send(sim, m, (struct sim_call){ .key = RL_API_HEARTBEAT, .version = sim_one_in(sim, 2) ? 3 : 4,
                                    .member = { .generation = generation, .stray = generation != m->generation } },
         &ask);
}

static void on_heartbeat(struct sim *sim, struct sim_member *m, const struct sim_call *call, int16_t error)
{
    sim_noted(sim, SIM_BEATS, 1);
    if (error != 0) {
        sim_member_on_error(sim, m, call, error);
        return;
    }
    if (!sim->disk.faulty)              /* while a group is read again everybody is told that all is well */
        sim_group_check_generation(sim, call, call->member.generation);
    if (call->member.identity == m->identity && !call->member.stray)
        m->beaten = sim->calm;
}

static void ask_leave(struct sim *sim, struct sim_member *m)
{
    struct rl_leave_group_request_member leaving;
    struct rl_leave_group_request ask;

    rl_leave_group_request_init(&ask);
    rl_leave_group_request_member_init(&leaving);
    leaving.member_id = rl_slice_of_string(m->instance[0] != '\0' && sim_one_in(sim, 2) ? "" : m->id);
    leaving.group_instance_id = sim_member_instance(m);
    ask.group_id = rl_slice_of_string(sim_member_group(sim, m)->id);
    ask.members = &leaving;
    ask.members_count = 1;
    sim_member_send(sim, m, (struct sim_call){ .key = RL_API_LEAVE_GROUP, .version = (int16_t)(3 + sim_below(sim, 3)),
                                    .member.stray = true }, &ask);
    forget_itself(m);
    wait_below(sim, m, 4 * MS);
}

static void on_left(struct sim *sim, struct sim_member *m, const struct sim_call *call,
                    const struct rl_leave_group_response *reply)
{
    if (reply->error_code == 0 && reply->members_count != 1)
        sim_fail(sim, "group %s: one left, %d are answered", sim_member_group(sim, m)->id, reply->members_count);
    int16_t error = reply->error_code != 0 ? reply->error_code : reply->members[0].error_code;
    sim_noted(sim, SIM_LEFT, error == 0);
    if (error != 0)
        sim_member_on_error(sim, m, call, error);
}

/* ---- one step ---- */

static void on_reply(struct sim *sim, struct sim_member *m, const struct sim_call *call, const void *reply)
{
    sim_noted(sim, SIM_OPERATIONS, 1);
    switch (call->key) {
    case RL_API_FIND_COORDINATOR:
        on_coordinator(sim, m, call, reply);
        break;
    case RL_API_JOIN_GROUP:
        on_joined(sim, m, call, reply);
        break;
    case RL_API_SYNC_GROUP:
        on_synced(sim, m, call, reply);
        break;
    case RL_API_OFFSET_FETCH:
        sim_member_on_offsets(sim, m, call, reply);
        break;
    case RL_API_FETCH:
        sim_member_on_records(sim, m, call, reply);
        break;
    case RL_API_OFFSET_COMMIT:
        sim_member_on_committed(sim, m, call, reply);
        break;
    case RL_API_DELETE_GROUPS:
        sim_hand_on_group_deleted(sim, m, call, reply);
        break;
    case RL_API_OFFSET_DELETE:
        sim_hand_on_offsets_deleted(sim, m, call, reply);
        break;
    case RL_API_HEARTBEAT:
        on_heartbeat(sim, m, call, ((const struct rl_heartbeat_response *)reply)->error_code);
        break;
    default:
        on_left(sim, m, call, reply);
    }
}

static void work(struct sim *sim, struct sim_member *m)
{
    uint64_t dice = sim_below(sim, 1000);

    if (now_ns(sim) >= m->heartbeat_ns || (sim->calm && !m->beaten)) {
        ask_heartbeat(sim, m, m->generation);
    } else if (sim->calm) {
        if (!m->committed && m->owned != 0)
            sim_member_ask_commit(sim, m);
    } else if (dice < 300) {
        sim_member_ask_records(sim, m);
    } else if (dice < 700) {
        sim_member_ask_commit(sim, m);
    } else if (dice < 850) {
        if (m->owned != 0)
            sim_member_ask_offsets(sim, m, m->owned);
    } else if (dice < 960) {
        ask_heartbeat(sim, m, m->generation);
    } else if (dice < 980) {
        sim_member_ask_wrong_commit(sim, m);
    } else if (dice < 985) {
        ask_heartbeat(sim, m, m->generation - 1);
    } else if (dice < 988) {
        ask_sync(sim, m, true);
    } else if (dice < 991) {
        ask_leave(sim, m);
    } else if (dice < 995) {
        m->topics = 1 + (uint32_t)sim_below(sim, RL_BIT(sim->model.topic_count) - 1);
        sim_member_set_step(m, SIM_MEMBER_JOINS);
    }
    if (!sim->calm)
        wait_below(sim, m, MS / 2);
}

static void ask_next(struct sim *sim, struct sim_member *m)
{
    switch (m->step) {
    case SIM_MEMBER_FINDS:
        ask_coordinator(sim, m);
        break;
    case SIM_MEMBER_JOINS:
        ask_join(sim, m, false);
        if (!sim->calm && sim_one_in(sim, 30))
            ask_join(sim, m, true);
        break;
    case SIM_MEMBER_SYNCS:
        ask_sync(sim, m, false);
        if (!sim->calm && sim_one_in(sim, 30))
            ask_sync(sim, m, true);
        break;
    case SIM_MEMBER_ASKS_OFFSETS:
        sim_member_ask_offsets(sim, m, m->unknown);
        break;
    case SIM_MEMBER_WORKS:
        if (m->by_hand)
            sim_hand_work(sim, m);
        else
            work(sim, m);
        break;
    }
}

static void receive_all(struct sim *sim, struct sim_member *m)
{
    struct sim_call call;
    const void *reply;
    bool lost;

    while ((reply = sim_link_receive(sim, &m->link, &call, &lost)) != NULL)
        on_reply(sim, m, &call, reply);
    if (lost || (m->link.call_count > 0 && now_ns(sim) - m->link.calls[0].sent_ns > PATIENCE_NS))
        connection_lost(sim, m);
}

/* It is cut off, or gone for good: then somebody else, or the same instance, comes some time later. */
static void suffer(struct sim *sim, struct sim_member *m)
{
    bool reset = sim_one_in(sim, 2), dies = sim_one_in(sim, 3) && !m->by_hand;

    sim_noted(sim, SIM_RESETS, reset);
    sim_link_close(sim, &m->link, reset);
    connection_lost(sim, m);
    if (!dies)
        return;
    sim_noted(sim, SIM_DIED, 1);
    sim_say(sim, "member %u of group %s dies", m->index, sim_member_group(sim, m)->id);
    forget_itself(m);
    sim_member_set_step(m, SIM_MEMBER_FINDS);
    wait_below(sim, m, sim_one_in(sim, 2) ? 3 * MS : 25 * MS);
}

static void act(struct sim *sim, struct sim_member *m)
{
    if (m->link.client == NULL) {
        if (now_ns(sim) < m->again_ns)
            return;
        if (!sim_link_open(sim, &m->link)) {
            wait_below(sim, m, 5 * MS);
            return;
        }
    }
    if (m->link.call_count > 0)
        receive_all(sim, m);
    if (m->link.client == NULL || now_ns(sim) < m->again_ns)
        return;
    if (!sim->calm && sim_one_in(sim, 2500)) {
        suffer(sim, m);
        return;
    }
    if (m->link.call_count == 0 ||
        (m->step == SIM_MEMBER_WORKS && m->link.call_count < PIPELINE_MAX && !sim->calm && sim_one_in(sim, 3)))
        ask_next(sim, m);
}

void sim_members_act(struct sim *sim)
{
    uint32_t first = (uint32_t)sim_below(sim, sim->members->count);

    for (uint32_t i = 0; i < sim->members->count; i++)
        act(sim, &sim->members->members[(first + i) % sim->members->count]);
}

bool sim_members_settled(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->members->count; i++) {
        const struct sim_member *m = &sim->members->members[i];
        if (m->by_hand) {
            if (!m->committed || m->link.call_count > 0)
                return false;
            continue;
        }
        if (!m->assigned || m->step != SIM_MEMBER_WORKS || m->generation != sim_member_group(sim, m)->synced ||
            sim_member_group(sim, m)->told != m->generation || !m->beaten || (!m->committed && m->owned != 0) ||
            m->link.call_count > 0)
            return false;
    }
    return true;
}

/* ---- the members ---- */

struct sim_members *sim_members_create(struct sim *sim)
{
    struct sim_members *members = sim_world_alloc_zero(1, sizeof *members);

    uint32_t groups = 1 + (uint32_t)sim_below(sim, SIM_GROUPS_MAX - 1);
    for (uint32_t g = 0; g < groups; g++)
        snprintf(members->model.groups[g].id, sizeof members->model.groups[g].id, "group-%u", g);
    snprintf(members->model.groups[groups].id, sizeof members->model.groups[groups].id, "by-hand");
    members->model.count = groups + 1;
    members->count = groups + 2 + (uint32_t)sim_below(sim, SIM_MEMBERS_MAX - SIM_GROUPS_MAX);
    for (uint32_t i = 0; i < members->count; i++) {
        struct sim_member *m = &members->members[i];
        m->index = i;
        m->group = i == 0 ? groups : i % groups;
        m->by_hand = m->assigned = i == 0;
        m->owned = m->by_hand ? RL_BIT(sim->model.partition_count) - 1 : 0;
        m->generation = -1;
        m->topics = RL_BIT(sim->model.topic_count) - 1;
        if (!m->by_hand && sim_one_in(sim, 3))
            snprintf(m->instance, sizeof m->instance, "i%u", i);
    }
    return members;
}

void sim_members_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->members->count; i++) {
        sim_link_close(sim, &sim->members->members[i].link, false);
        sim_link_done(&sim->members->members[i].link);
    }
    sim_world_free(sim->members->model.commits);
    sim_world_free(sim->members);
    sim->members = NULL;
}

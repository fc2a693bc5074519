/* tests/coordinate/consumer_model.c — members of a group, as their clients see it. */
#include "consumer_model.h"
#include "coordinate/consumer_protocol.h"
#include "core/memory.h"
#include "recorded_log.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define PATTERN "a|c"

struct group_rig rig;
struct consumer_model model;

uint32_t roll(uint32_t sides)
{
    return (uint32_t)rl_random_below(&model.dice, sides);
}

/* ---- the topics ---- */

const char *const topic_names[TOPICS] = { "a", "b", "c" };
static const struct rl_topic *by_name[TOPICS], *by_id[TOPICS];

static int compare_ids(const void *a, const void *b)
{
    return memcmp((*(const struct rl_topic *const *)a)->id.bytes, (*(const struct rl_topic *const *)b)->id.bytes, 16);
}

static void rebuild_image(void)
{
    model.image.topic_count = 0;
    for (int i = 0; i < TOPICS; i++)
        if (model.topics[i].partition_count > 0)
            by_name[model.image.topic_count++] = &model.topics[i];
    memcpy(by_id, by_name, sizeof by_id);
    qsort(by_id, model.image.topic_count, sizeof by_id[0], compare_ids);
    model.image.by_name = by_name;
    model.image.by_id = by_id;
    model.image.generation++;
}

void change_topic(void)
{
    struct rl_topic *topic = &model.topics[roll(TOPICS)];
    if (topic->partition_count == 0) {
        memset(&topic->id, 0, sizeof topic->id);
        topic->id.bytes[15 - roll(2) * 15] = ++model.next_topic_id;
        topic->partition_count = 1 + (int32_t)roll(4);
    } else if (roll(2) == 0) {
        topic->partition_count = 0;
    } else if (topic->partition_count < PARTITIONS_MAX) {
        topic->partition_count++;
    }
    rebuild_image();
}

const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &model.image;
}

const struct rl_topic *topic_of(struct rl_uuid id)
{
    return rl_image_find_id(&model.image, id);
}

/* ---- clients, in their right mind ---- */

/* A call; its client may have given up waiting for it. */
struct beat {
    struct client *client;
    char id[80];
    struct rl_slice names[TOPICS];
    struct rl_consumer_heartbeat call;
};

static uint32_t next_id;

static struct rl_slice instance_of(const struct client *c)
{
    return c->instance[0] != '\0' ? text(c->instance) : (struct rl_slice){ 0 };
}

const struct rl_group *group(void)
{
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    return g != NULL && g->consumer != NULL ? g : NULL;
}

static void set_owns(struct client *c, const struct rl_partition_set *to)
{
    struct rl_partition_set copy = rl_partition_set_copy(to);
    rl_partition_set_move(&c->owns, &copy);
    c->has_news = true;
}

static void give_up_all(struct client *c)
{
    struct rl_partition_set none = { 0 };
    set_owns(c, &none);
    rl_partition_set_done(&c->wants);
    c->epoch = 0;
    c->told_all = false;
}

void client_be_somebody_new(struct client *c)
{
    give_up_all(c);
    c->is_classic = model.seed % 2 == 0 && roll(3) == 0;
    c->assigned = c->leads = false;
    c->by_pattern &= !c->is_classic;
    if (c->is_classic)
        c->id[0] = '\0';
    else
        snprintf(c->id, sizeof c->id, "m%u", next_id++);
}

static void take_answer(struct client *c, const struct rl_consumer_heartbeat *call)
{
    switch (call->error) {
    case RL_GROUP_OK:
        break;
    case RL_GROUP_FENCED_MEMBER_EPOCH:
    case RL_GROUP_UNKNOWN_MEMBER:
    case RL_GROUP_ID_NOT_FOUND:
        model.fenced++;
        give_up_all(c);
        return;
    case RL_GROUP_FENCED_INSTANCE:
        client_be_somebody_new(c);
        return;
    default:
        c->told_all = false;
        return;
    }
    if (c->leaving) {
        client_be_somebody_new(c);
        return;
    }
    c->epoch = call->ret_member_epoch;
    c->told_all = true;
    if (call->ret_assignment_told) {
        struct rl_partition_set wants = rl_partition_set_copy(&call->ret_assignment);
        model.revoked += !rl_partition_set_is_subset(&c->owns, &wants);
        rl_partition_set_move(&c->wants, &wants);
    }
}

static void on_beaten(struct rl_group_answer *answer)
{
    struct beat *beat = RL_CONTAINER_OF(answer, struct beat, call.answer);
    struct client *c = beat->client;
    model.beats_out--;
    if (c->beat == beat) {
        c->beat = NULL;
        take_answer(c, &beat->call);
        c->leaving = false;
    }
    rl_consumer_heartbeat_done(&beat->call);
    rl_free(beat);
}

/* The answer, or the request, is lost: it asks again, and tells everything. */
void client_give_up_waiting(struct client *c)
{
    c->beat = NULL;
    c->told_all = false;
    if (c->leaving)
        client_be_somebody_new(c);             /* who leaves does not wait */
    c->leaving = false;
}

void client_send_beat(struct client *c, int32_t epoch)
{
    struct beat *beat = rl_alloc_zero(1, sizeof *beat);
    uint32_t count = 0;
    bool all = epoch == 0 || !c->told_all;
    beat->client = c;
    snprintf(beat->id, sizeof beat->id, "%s", c->id);
    for (int i = 0; i < TOPICS; i++)
        if (c->reads[i] && !c->by_pattern)
            beat->names[count++] = text(topic_names[i]);
    beat->call = (struct rl_consumer_heartbeat){
        .group_id = text("g"), .member_id = text(beat->id), .instance_id = instance_of(c), .client_id = text("c"),
        .client_host = text("/h"), .member_epoch = epoch, .needs_member_id = true,
        .rebalance_timeout_ms = all ? 3000 : -1, .topics_told = all, .topics = beat->names, .topic_count = count,
        .regex = !all ? (struct rl_slice){ 0 } : text(c->by_pattern ? PATTERN : ""),
        .assignment_interval_ms = model.seed % 3 == 0 ? 1000 : 0,
        .owned_told = all || c->has_news || roll(4) == 0, .answer = { .done = on_beaten },
    };
    if (beat->call.owned_told && epoch >= 0)
        beat->call.owned = rl_partition_set_copy(&c->owns);
    if (beat->call.owned_told)
        c->has_news = false;
    c->beat = beat;
    model.beats_out++;
    rl_groups_consumer_heartbeat(&rig.groups, &beat->call);
}

void client_choose_topics(struct client *c)
{
    c->by_pattern = !c->is_classic && roll(4) == 0;
    for (int t = 0; t < TOPICS; t++)
        c->reads[t] = c->by_pattern ? t != 1 : roll(3) != 0;
}

/* ---- of the classic protocol, eager: it gives up all before it joins ---- */

static void put_i16(struct rl_text *out, int16_t v)
{
    rl_text_append_char(out, (char)(v >> 8));
    rl_text_append_char(out, (char)v);
}

static void put_i32(struct rl_text *out, int32_t v)
{
    put_i16(out, (int16_t)(v >> 16));
    put_i16(out, (int16_t)v);
}

static void write_metadata(struct client *c)
{
    int32_t count = 0;
    for (int i = 0; i < TOPICS; i++)
        count += c->reads[i];
    rl_text_clear(&c->metadata);
    put_i16(&c->metadata, 1);
    put_i32(&c->metadata, count);
    for (int i = 0; i < TOPICS; i++)
        if (c->reads[i]) {
            put_i16(&c->metadata, 1);
            rl_text_append_string(&c->metadata, topic_names[i]);
        }
    put_i32(&c->metadata, -1);
    put_i32(&c->metadata, 0);
}

/* A leader's: each partition of what is read to the next of its readers. */
static void share_out(struct client *c)
{
    struct rl_partition_set sets[NAMED_MAX] = { 0 };
    for (int t = 0; t < TOPICS; t++)
        for (int32_t p = 0, next = 0, tried; p < model.topics[t].partition_count; p++)
            for (tried = 0; tried < (int32_t)c->named_count; tried++, next++) {
                uint32_t member = (uint32_t)next % c->named_count;
                if (strchr(c->named[member], 'a' + t) == NULL)
                    continue;
                rl_partition_set_add(&sets[member], model.topics[t].id, p);
                next++;
                break;
            }
    for (uint32_t i = 0; i < c->named_count; i++) {
        rl_partition_set_sort(&sets[i]);
        rl_text_clear(&c->parts[i]);
        rl_consumer_assignment_write(&c->parts[i], 1, &sets[i], &model.image);
        rl_partition_set_done(&sets[i]);
        c->assignments[i].assignment = rl_text_slice(&c->parts[i]);
    }
}

static void on_joined(struct rl_group_answer *answer)
{
    struct client *c = RL_CONTAINER_OF(answer, struct client, join.answer);
    struct rl_group_join *join = &c->join;
    cr_assert(c->joining, "one answer");
    c->joining = c->assigned = false;
    c->epoch = 0;
    if (join->error == RL_GROUP_OK || join->error == RL_GROUP_MEMBER_ID_REQUIRED)
        snprintf(c->id, sizeof c->id, "%.*s", (int)join->ret_member_id.bytes, (const char *)join->ret_member_id.data);
    else if (join->error == RL_GROUP_UNKNOWN_MEMBER || join->error == RL_GROUP_FENCED_INSTANCE)
        c->id[0] = '\0';
    if (join->error == RL_GROUP_OK) {
        c->epoch = join->ret_generation;
        c->leads = join->ret_member_count > 0;
        cr_assert_leq(join->ret_member_count, NAMED_MAX);
        c->named_count = join->ret_member_count;
        for (uint32_t i = 0; i < c->named_count; i++) {         /* which topics, by their letters */
            struct rl_slice metadata = join->ret_members[i].metadata;
            uint32_t at = 0;
            for (size_t k = 6; k + 2 < metadata.bytes && at < 3 && metadata.data[k] == 0 && metadata.data[k + 1] == 1; k += 3)
                c->named[i][at++] = (char)metadata.data[k + 2];
            c->named[i][at] = '\0';
            rl_free((void *)(uintptr_t)c->assignments[i].member_id.data);
            c->assignments[i].member_id = copy_slice(join->ret_members[i].id);
        }
        share_out(c);
    }
    rl_free(join->memory);
    join->memory = NULL;
}

static void on_synced(struct rl_group_answer *answer)
{
    struct client *c = RL_CONTAINER_OF(answer, struct client, sync.answer);
    cr_assert(c->syncing, "one answer");
    c->syncing = false;
    if (c->sync.error == RL_GROUP_OK) {
        struct rl_partition_set owns;
        cr_assert_eq(rl_consumer_assignment_read(c->sync.ret_assignment, &model.image, &owns), RL_OK);
        rl_partition_set_move(&c->owns, &owns);
        c->assigned = true;
    } else {
        c->epoch = 0;
        if (c->sync.error == RL_GROUP_UNKNOWN_MEMBER)
            c->id[0] = '\0';
    }
    rl_free(c->sync.memory);
    c->sync.memory = NULL;
}

static void send_join(struct client *c)
{
    give_up_all(c);
    write_metadata(c);
    c->protocol = (struct rl_group_protocol){ text("range"), rl_text_slice(&c->metadata) };
    c->join = (struct rl_group_join){
        .group_id = text("g"), .member_id = text(c->id), .instance_id = instance_of(c), .client_id = text("k"),
        .client_host = text("/h"), .protocol_type = text("consumer"), .protocols = &c->protocol, .protocol_count = 1,
        .session_timeout_ms = 3000, .rebalance_timeout_ms = 2000, .needs_member_id = true,
        .assignment_interval_ms = model.seed % 3 == 0 ? 1000 : 0, .answer = { .done = on_joined } };
    c->joining = true;
    rl_groups_join(&rig.groups, &c->join);
}

static void send_sync(struct client *c)
{
    c->sync = (struct rl_group_sync){ .group_id = text("g"), .member_id = text(c->id), .instance_id = instance_of(c),
        .generation = c->epoch, .assignments = c->assignments, .assignment_count = c->leads ? c->named_count : 0,
        .answer = { .done = on_synced } };
    c->syncing = true;
    rl_groups_sync(&rig.groups, &c->sync);
}

void client_do_classic(struct client *c)
{
    if (c->joining || c->syncing)
        return;
    if (c->epoch == 0) {
        send_join(c);
    } else if (!c->assigned) {
        send_sync(c);
    } else {
        enum rl_group_error error = rl_groups_heartbeat(&rig.groups, text("g"), text(c->id), instance_of(c), c->epoch);
        if (error == RL_GROUP_OK)
            return;
        give_up_all(c);
        if (error == RL_GROUP_UNKNOWN_MEMBER || error == RL_GROUP_FENCED_INSTANCE)
            c->id[0] = '\0';
    }
}

static void leave_classic(struct client *c)
{
    if (c->joining || c->syncing || c->committing || c->epoch == 0)
        return;
    group_rig_leave(&rig, text(c->id), instance_of(c));
    client_be_somebody_new(c);
}

void client_beat(struct client *c)
{
    if (c->is_classic) {
        client_do_classic(c);
        return;
    }
    if (c->beat != NULL)
        return;
    if (roll(20) == 0) {                /* the request is lost on its way */
        c->told_all = false;
        return;
    }
    if (c->epoch != 0 && roll(12) == 0) {
        client_choose_topics(c);
        c->told_all = false;
    }
    client_send_beat(c, c->epoch);
}

void client_leave(struct client *c)
{
    if (c->is_classic) {
        leave_classic(c);
        return;
    }
    if (c->beat != NULL || c->epoch <= 0)
        return;
    give_up_all(c);                     /* before it says so */
    c->leaving = true;
    client_send_beat(c, c->instance[0] != '\0' && roll(2) == 0 ? RL_CONSUMER_LEAVE_STATIC : RL_CONSUMER_LEAVE);
}

/* It does what it was told: gives up first, then takes. */
void client_apply(struct client *c)
{
    if (c->is_classic || c->epoch <= 0 || rl_partition_set_equal(&c->owns, &c->wants))
        return;
    if (!rl_partition_set_is_subset(&c->owns, &c->wants)) {
        struct rl_partition_set kept = rl_partition_set_intersection(&c->owns, &c->wants);
        set_owns(c, &kept);
        rl_partition_set_done(&kept);
    } else if (c->beat == NULL && c->told_all) {    /* a call without an answer told that it has them not */
        set_owns(c, &c->wants);
    }
}

void client_die(struct client *c)
{
    if (c->committing || c->joining || c->syncing)
        return;                         /* the structs are lent */
    client_give_up_waiting(c);
    client_be_somebody_new(c);
    model.replaced += c->instance[0] != '\0';
}

/* ---- commits ---- */

static int index_of(struct rl_slice topic)
{
    for (int i = 0; i < TOPICS; i++)
        if (rl_slice_equal_string(topic, topic_names[i]))
            return i;
    return -1;
}

bool client_is_member(const struct client *c)
{
    return group() != NULL && c->epoch > 0 && rl_consumer_group_find(group(), text(c->id)) != NULL;
}

static void on_committed(struct rl_group_answer *answer)
{
    struct client *c = RL_CONTAINER_OF(answer, struct client, commit.answer);
    cr_assert(c->committing, "one answer");
    c->committing = false;
    if (c->commit.error != RL_GROUP_OK || c->partition.error != RL_GROUP_OK)
        return;
    int64_t *known = &model.acknowledged[index_of(c->partition.topic)][c->partition.partition];
    *known = RL_MAX(*known, c->partition.value.offset);
}

void client_commit(struct client *c)
{
    if (c->committing || c->owns.count == 0)
        return;
    struct rl_topic_partition p = c->owns.items[roll(c->owns.count)];
    const struct rl_topic *topic = topic_of(p.topic_id);
    if (topic == NULL)
        return;
    uint32_t before = recorded_log.record_count;
    c->partition = (struct rl_offset_commit_partition){ .topic = text(topic->name), .partition = p.partition,
        .retention_ms = -1, .value = { .offset = model.next_offset++, .metadata = text("") } };
    c->commit = (struct rl_offset_commit){ .group_id = text("g"), .member_id = text(c->id),
        .instance_id = instance_of(c), .generation = roll(8) == 0 ? c->epoch - 1 : c->epoch,
        .knows_group_ids = true, .metadata_units_max = 100, .partitions = &c->partition, .partition_count = 1,
        .answer = { .done = on_committed } };
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    bool member = client_is_member(c) || (g != NULL && g->consumer == NULL &&
                                   rl_group_check_member(g, text(c->id), instance_of(c)) == RL_GROUP_OK);
    c->committing = true;
    rl_groups_commit_offsets(&rig.groups, &c->commit);
    if (recorded_log.record_count == before) {
        model.commits_refused++;
        return;
    }
    model.commits_kept++;
    cr_assert(member, "somebody who is not in the group has committed");
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(&model.clients[i] == c || !client_is_member(&model.clients[i]) || !rl_partition_set_has(&model.clients[i].owns, p),
                  "a commit for a partition of somebody else, seed %llu", (unsigned long long)model.seed);
}

void check_committed(void)
{
    for (int t = 0; t < TOPICS; t++)
        for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
            if (model.acknowledged[t][p] < 0)
                continue;
            struct rl_offset_fetch_partition partition = { .partition = p };
            struct rl_offset_fetch_topic topic = { text(topic_names[t]), &partition, 1 };
            struct rl_offset_fetch fetch = { .bytes_max = SIZE_MAX, .group_id = text("g"), .member_epoch = -1, .topics = &topic, .topic_count = 1 };
            rl_groups_fetch_offsets(&rig.groups, &fetch);
            cr_assert_geq(partition.offset, model.acknowledged[t][p]);
            rl_free(fetch.memory);
        }
}

/* tests/coordinate/test_consumer_histories.c — thousands of random lives of a group of the consumer
 * protocol, against a model.
 *
 * Members join, beat, give up and take what they are told, commit, leave, come back under an old
 * instance id, fall silent, die; requests and answers are lost and repeated; topics come, grow and go;
 * writes are slow and fail; the broker is killed and reads its records again.  Checked all the time:
 *   - no partition belongs to two members, and what a member of the group owns, by what it was told, is
 *     its own here;
 *   - a commit that is taken is of a member of the group, for a partition that no other member owns;
 *   - a read of offsets never goes back behind what was acknowledged;
 *   - every call is answered once, also when a pattern is looked for meanwhile;
 * Some members speak the classic protocol, so that groups change theirs.
 *   - when all is quiet everybody has what the assignment says, and every partition that is read is
 *     somebody's. */
#include "coordinate/consumer_group.h"
#include "coordinate/consumer_protocol.h"
#include "core/logger.h"
#include "core/memory.h"
#include "core/random.h"
#include "group_rig.h"
#include "replicate/metadata_image.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS 5
#define TOPICS 3
#define PARTITIONS_MAX 8
#define PATTERN "a|c"
#define HISTORIES 500
#define NAMED_MAX 64                    /* those that were killed and not yet missed count, too */
#define STEPS 400

static struct group_rig rig;
static struct rl_random dice;
static uint64_t now_seed;

static uint32_t roll(uint32_t sides)
{
    return (uint32_t)rl_random_below(&dice, sides);
}

static struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

/* ---- the topics ---- */

static const char *const topic_names[TOPICS] = { "a", "b", "c" };
static struct rl_topic topics[TOPICS];
static const struct rl_topic *by_name[TOPICS], *by_id[TOPICS];
static struct rl_image image;
static uint8_t next_topic_id;

static int compare_ids(const void *a, const void *b)
{
    return memcmp((*(const struct rl_topic *const *)a)->id.bytes, (*(const struct rl_topic *const *)b)->id.bytes, 16);
}

static void rebuild_image(void)
{
    image.topic_count = 0;
    for (int i = 0; i < TOPICS; i++)
        if (topics[i].partition_count > 0)
            by_name[image.topic_count++] = &topics[i];
    memcpy(by_id, by_name, sizeof by_id);
    qsort(by_id, image.topic_count, sizeof by_id[0], compare_ids);
    image.by_name = by_name;
    image.by_id = by_id;
    image.generation++;
}

static void change_topic(void)
{
    struct rl_topic *topic = &topics[roll(TOPICS)];
    if (topic->partition_count == 0) {
        memset(&topic->id, 0, sizeof topic->id);
        topic->id.bytes[15 - roll(2) * 15] = ++next_topic_id;
        topic->partition_count = 1 + (int32_t)roll(4);
    } else if (roll(2) == 0) {
        topic->partition_count = 0;
    } else if (topic->partition_count < PARTITIONS_MAX) {
        topic->partition_count++;
    }
    rebuild_image();
}

static const struct rl_image *current_image(const struct rl_groups *groups)
{
    (void)groups;
    return &image;
}

static const struct rl_topic *topic_of(struct rl_uuid id)
{
    return rl_image_find_id(&image, id);
}

/* ---- the log: records, and how many of them are on stable storage ---- */

struct logged {
    struct rl_slice key, value;
};

struct logged_write {
    struct rl_group_write *write;
    uint32_t end;                       /* records up to here */
};

static struct logged *records;
static uint32_t record_count, record_capacity, stable_count;
static struct logged_write writes[4096];
static uint32_t first_write, write_count;

static struct rl_slice copy_slice(struct rl_slice from)
{
    if (from.data == NULL)
        return from;
    uint8_t *copy = rl_alloc(from.bytes + 1);
    memcpy(copy, from.data, from.bytes);
    return rl_slice_of(copy, from.bytes);
}

static void store_add(struct rl_group_store *store, struct rl_slice key, struct rl_slice value)
{
    (void)store;
    if (record_count == record_capacity) {
        record_capacity = record_capacity > 0 ? record_capacity * 2 : 64;
        records = rl_realloc(records, record_capacity * sizeof *records);
    }
    records[record_count++] = (struct logged){ copy_slice(key), copy_slice(value) };
}

static void store_end(struct rl_group_store *store, struct rl_group_write *write)
{
    (void)store;
    cr_assert_lt(write_count, RL_ARRAY_COUNT(writes));
    writes[write_count++] = (struct logged_write){ write, record_count };
}

static void truncate_log(uint32_t count)
{
    while (record_count > count) {
        record_count--;
        rl_free((void *)(uintptr_t)records[record_count].key.data);
        rl_free((void *)(uintptr_t)records[record_count].value.data);
    }
}

static void forget_writes(void)
{
    if (first_write == write_count)
        first_write = write_count = 0;
}

static bool end_write(void)
{
    if (first_write == write_count)
        return false;
    struct logged_write ended = writes[first_write++];
    forget_writes();
    stable_count = RL_MAX(stable_count, ended.end);
    ended.write->done(ended.write, RL_OK);
    group_rig_turn(&rig);
    return true;
}

static uint64_t reloads;

/* The broker is killed, or a write failed: what is not on stable storage is lost, also who waits for it. */
static void reload(void)
{
    truncate_log(stable_count);
    while (first_write < write_count) {
        struct logged_write lost = writes[first_write++];
        lost.write->done(lost.write, RL_EIO);
    }
    forget_writes();
    rl_groups_drop_all(&rig.groups, RL_GROUP_NOT_COORDINATOR);
    group_rig_turn(&rig);
    for (uint32_t i = 0; i < record_count; i++)
        cr_assert_eq(rl_groups_restore_record(&rig.groups, records[i].key, records[i].value), RL_OK);
    RL_LIST_EACH(node, &rig.groups.list)
        rl_group_begin_sessions(RL_LIST_ENTRY(node, struct rl_group, link));
    reloads++;
}

/* ---- clients, in their right mind ---- */

struct client {
    char id[80], instance[16];          /* instance "": dynamic */
    int32_t epoch;                      /* 0: has to join */
    bool told_all;                      /* all but what it owns; else the next call tells everything */
    bool reads[TOPICS];
    bool by_pattern;                    /* "a|c" says what it reads */
    struct beat *beat;                  /* waits for its answer */
    bool committing, leaving;
    struct rl_partition_set owns, wants;
    bool has_news;                      /* what it owns is not what it told last */
    struct rl_offset_commit commit;
    struct rl_offset_commit_partition partition;
    /* of the classic protocol; `epoch` is its generation: */
    bool is_classic, joining, syncing, assigned, leads;
    struct rl_group_join join;
    struct rl_group_sync sync;
    struct rl_group_protocol protocol;
    struct rl_text metadata;
    char named[NAMED_MAX][32];          /* as a leader: whom it was told of */
    uint32_t named_count;
    struct rl_text parts[NAMED_MAX];
    struct rl_group_assignment assignments[NAMED_MAX];
};

/* A call; its client may have given up waiting for it. */
struct beat {
    struct client *client;
    char id[80];
    struct rl_slice names[TOPICS];
    struct rl_consumer_heartbeat call;
};

static struct client clients[CLIENTS];
static uint32_t beats_out;
static uint32_t next_id;
static int64_t next_offset, acknowledged[TOPICS][PARTITIONS_MAX];
static uint64_t converged, commits_kept, commits_refused, fenced, revoked, replaced;

static struct rl_slice instance_of(const struct client *c)
{
    return c->instance[0] != '\0' ? text(c->instance) : (struct rl_slice){ 0 };
}

static const struct rl_group *group(void)
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

static void be_somebody_new(struct client *c)
{
    give_up_all(c);
    c->is_classic = now_seed % 2 == 0 && roll(3) == 0;
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
        fenced++;
        give_up_all(c);
        return;
    case RL_GROUP_FENCED_INSTANCE:
        be_somebody_new(c);
        return;
    default:
        c->told_all = false;
        return;
    }
    if (c->leaving) {
        be_somebody_new(c);
        return;
    }
    c->epoch = call->ret_member_epoch;
    c->told_all = true;
    if (call->ret_assignment_told) {
        struct rl_partition_set wants = rl_partition_set_copy(&call->ret_assignment);
        revoked += !rl_partition_set_is_subset(&c->owns, &wants);
        rl_partition_set_move(&c->wants, &wants);
    }
}

static void on_beaten(struct rl_group_answer *answer)
{
    struct beat *beat = RL_CONTAINER_OF(answer, struct beat, call.answer);
    struct client *c = beat->client;
    beats_out--;
    if (c->beat == beat) {
        c->beat = NULL;
        take_answer(c, &beat->call);
        c->leaving = false;
    }
    rl_consumer_heartbeat_done(&beat->call);
    rl_free(beat);
}

/* The answer, or the request, is lost: it asks again, and tells everything. */
static void give_up_waiting(struct client *c)
{
    c->beat = NULL;
    c->told_all = false;
    if (c->leaving)
        be_somebody_new(c);             /* who leaves does not wait */
    c->leaving = false;
}

static void send_beat(struct client *c, int32_t epoch)
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
        .assignment_interval_ms = now_seed % 3 == 0 ? 1000 : 0,
        .owned_told = all || c->has_news || roll(4) == 0, .answer = { .done = on_beaten },
    };
    if (beat->call.owned_told && epoch >= 0)
        beat->call.owned = rl_partition_set_copy(&c->owns);
    if (beat->call.owned_told)
        c->has_news = false;
    c->beat = beat;
    beats_out++;
    rl_groups_consumer_heartbeat(&rig.groups, &beat->call);
}

static void choose_topics(struct client *c)
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
        for (int32_t p = 0, next = 0, tried; p < topics[t].partition_count; p++)
            for (tried = 0; tried < (int32_t)c->named_count; tried++, next++) {
                uint32_t member = (uint32_t)next % c->named_count;
                if (strchr(c->named[member], 'a' + t) == NULL)
                    continue;
                rl_partition_set_add(&sets[member], topics[t].id, p);
                next++;
                break;
            }
    for (uint32_t i = 0; i < c->named_count; i++) {
        rl_partition_set_sort(&sets[i]);
        rl_text_clear(&c->parts[i]);
        rl_consumer_assignment_write(&c->parts[i], 1, &sets[i], &image);
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
        cr_assert_eq(rl_consumer_assignment_read(c->sync.ret_assignment, &image, &owns), RL_OK);
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
        .assignment_interval_ms = now_seed % 3 == 0 ? 1000 : 0, .answer = { .done = on_joined } };
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

static void do_classic(struct client *c)
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
    struct rl_group_leave_member leaving = { .member_id = text(c->id), .instance_id = instance_of(c) };
    if (c->joining || c->syncing || c->committing || c->epoch == 0)
        return;
    (void)rl_groups_leave(&rig.groups, text("g"), &leaving, 1);
    be_somebody_new(c);
}

static void beat(struct client *c)
{
    if (c->is_classic) {
        do_classic(c);
        return;
    }
    if (c->beat != NULL)
        return;
    if (roll(20) == 0) {                /* the request is lost on its way */
        c->told_all = false;
        return;
    }
    if (c->epoch != 0 && roll(12) == 0) {
        choose_topics(c);
        c->told_all = false;
    }
    send_beat(c, c->epoch);
}

static void leave(struct client *c)
{
    if (c->is_classic) {
        leave_classic(c);
        return;
    }
    if (c->beat != NULL || c->epoch <= 0)
        return;
    give_up_all(c);                     /* before it says so */
    c->leaving = true;
    send_beat(c, c->instance[0] != '\0' && roll(2) == 0 ? RL_CONSUMER_LEAVE_STATIC : RL_CONSUMER_LEAVE);
}

/* It does what it was told: gives up first, then takes. */
static void apply(struct client *c)
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

static void die(struct client *c)
{
    if (c->committing || c->joining || c->syncing)
        return;                         /* the structs are lent */
    give_up_waiting(c);
    be_somebody_new(c);
    replaced += c->instance[0] != '\0';
}

/* ---- commits ---- */

static int index_of(struct rl_slice topic)
{
    for (int i = 0; i < TOPICS; i++)
        if (rl_slice_equal_string(topic, topic_names[i]))
            return i;
    return -1;
}

static bool is_member(const struct client *c)
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
    int64_t *known = &acknowledged[index_of(c->partition.topic)][c->partition.partition];
    *known = RL_MAX(*known, c->partition.value.offset);
}

static void commit(struct client *c)
{
    if (c->committing || c->owns.count == 0)
        return;
    struct rl_topic_partition p = c->owns.items[roll(c->owns.count)];
    const struct rl_topic *topic = topic_of(p.topic_id);
    if (topic == NULL)
        return;
    uint32_t before = record_count;
    c->partition = (struct rl_offset_commit_partition){ .topic = text(topic->name), .partition = p.partition,
        .retention_ms = -1, .value = { .offset = next_offset++, .metadata = text("") } };
    c->commit = (struct rl_offset_commit){ .group_id = text("g"), .member_id = text(c->id),
        .instance_id = instance_of(c), .generation = roll(8) == 0 ? c->epoch - 1 : c->epoch,
        .knows_group_ids = true, .metadata_units_max = 100, .partitions = &c->partition, .partition_count = 1,
        .answer = { .done = on_committed } };
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    bool member = is_member(c) || (g != NULL && g->consumer == NULL &&
                                   rl_group_check_member(g, text(c->id), instance_of(c)) == RL_GROUP_OK);
    c->committing = true;
    rl_groups_commit_offsets(&rig.groups, &c->commit);
    if (record_count == before) {
        commits_refused++;
        return;
    }
    commits_kept++;
    cr_assert(member, "somebody who is not in the group has committed");
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(&clients[i] == c || !is_member(&clients[i]) || !rl_partition_set_has(&clients[i].owns, p),
                  "a commit for a partition of somebody else, seed %llu", (unsigned long long)now_seed);
}

static void check_committed(void)
{
    for (int t = 0; t < TOPICS; t++)
        for (int32_t p = 0; p < PARTITIONS_MAX; p++) {
            if (acknowledged[t][p] < 0)
                continue;
            struct rl_offset_fetch_partition partition = { .partition = p };
            struct rl_offset_fetch_topic topic = { text(topic_names[t]), &partition, 1 };
            struct rl_offset_fetch fetch = { .bytes_max = SIZE_MAX, .group_id = text("g"), .member_epoch = -1, .topics = &topic, .topic_count = 1 };
            rl_groups_fetch_offsets(&rig.groups, &fetch);
            cr_assert_geq(partition.offset, acknowledged[t][p]);
            rl_free(fetch.memory);
        }
}

/* ---- the group itself ---- */

static void check_owners(void)
{
    const struct rl_group *g = group();
    struct rl_partition_set all = { 0 };
    uint32_t count = 0;
    size_t bytes = 0;
    if (g == NULL)
        return;
    RL_LIST_EACH(node, &g->consumer->members) {
        const struct rl_consumer_member *m = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        const struct rl_partition_set *sets[] = { &m->assigned, &m->revoking };
        for (int s = 0; s < 2; s++)
            for (uint32_t i = 0; i < sets[s]->count; i++, count++) {
                rl_partition_set_add(&all, sets[s]->items[i].topic_id, sets[s]->items[i].partition);
                const struct rl_partition_owner *owner = rl_consumer_group_owner(g, sets[s]->items[i]);
                cr_assert(owner != NULL && owner->member == m, "seed %llu", (unsigned long long)now_seed);
            }
        cr_assert(rl_timer_running(&m->session_timer), "nothing would ever end this membership");
        if (!m->is_classic)
            cr_assert_eq(m->state == RL_CONSUMER_MEMBER_UNREVOKED, rl_timer_running(&m->rebalance_timer));
        cr_assert_leq(m->epoch, g->consumer->assignment_epoch);
        bytes += m->bytes;
    }
    cr_assert_eq(g->consumer->member_bytes, bytes);
    rl_partition_set_sort(&all);
    cr_assert_eq(all.count, count, "two owners, seed %llu", (unsigned long long)now_seed);
    cr_assert_eq(rl_table_count(&g->consumer->owners), count);
    rl_partition_set_done(&all);
}

/* What clients really have. */
static void check_clients(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        const struct client *c = &clients[i];
        if (!is_member(c) || c->leaving || c->joining)
            continue;
        const struct rl_consumer_member *m = rl_consumer_group_find(group(), text(c->id));
        /* A classic generation begins before it is stored. */
        cr_assert(c->is_classic || m->epoch == RL_CONSUMER_LEAVE_STATIC || c->epoch <= m->epoch,
                  "%s was told what is not on stable storage, seed %llu", c->id, (unsigned long long)now_seed);
        if (c->epoch != m->epoch && c->epoch != m->previous_epoch)
            continue;                   /* it will be fenced */
        for (uint32_t k = 0; k < c->owns.count; k++)
            cr_assert((c->is_classic && topic_of(c->owns.items[k].topic_id) == NULL) ||       /* it knows names only */
                      rl_partition_set_has(&m->assigned, c->owns.items[k]) ||
                      rl_partition_set_has(&m->revoking, c->owns.items[k]),
                      "%s owns what is not its own, seed %llu", c->id, (unsigned long long)now_seed);
    }
}

static void check(void)
{
    check_owners();
    check_clients();
    check_committed();
}

static uint64_t upgraded, downgraded;

static void count_changes(void)
{
    static bool was_classic, was_consumer;
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    bool is_consumer = group() != NULL, is_classic = g != NULL && !is_consumer && !rl_group_is_empty(g);
    upgraded += was_classic && is_consumer && !rl_group_is_empty(g);
    downgraded += was_consumer && is_classic;
    was_classic = is_classic;
    was_consumer = is_consumer;
}

/* ---- a history ---- */

static void step(void)
{
    struct client *c = &clients[roll(CLIENTS)];
    switch (roll(40)) {
    case 0:
        leave(c);
        break;
    case 1:
        if (roll(3) == 0)
            die(c);
        break;
    case 2:
        if (roll(3) == 0)
            change_topic();
        break;
    case 3:
        group_rig_advance(&rig, roll(4) == 0 ? 2000 : roll(400));
        break;
    case 4:
        if (c->beat != NULL)
            give_up_waiting(c);
        break;
    case 5:
        if (roll(4) == 0)
            reload();
        break;
    case 6: case 7: case 8: case 9: case 10: case 11: case 12: case 13:
        (void)end_write();
        break;
    case 14: case 15: case 16: case 17: case 18: case 19:
        apply(c);
        break;
    case 20: case 21: case 22: case 23: case 24: case 25:
        commit(c);
        break;
    default:
        beat(c);
        break;
    }
    group_rig_turn(&rig);
    check();
    count_changes();
}

static void settle(void)
{
    group_rig_turn(&rig);
    while (end_write())
        ;
}

static uint64_t converged_classic;

/* Only members of the classic protocol are left: the group is theirs. */
static void check_converged_classic(void)
{
    const struct rl_group *g = rl_groups_find(&rig.groups, text("g"));
    cr_assert_not_null(g);
    cr_assert_eq(g->state, RL_GROUP_STABLE, "%s, seed %llu", rl_group_state_name(g->state), (unsigned long long)now_seed);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(clients[i].is_classic && clients[i].assigned && clients[i].epoch == g->generation);
    converged_classic++;
    converged++;
}

static void check_converged(void)
{
    const struct rl_group *g = group();
    uint32_t assigned = 0, expected = 0;
    if (g == NULL) {
        check_converged_classic();
        return;
    }
    cr_assert_eq(rl_consumer_group_state(g), RL_CONSUMER_GROUP_STABLE, "%s, seed %llu",
                 rl_consumer_group_state_name(rl_consumer_group_state(g)), (unsigned long long)now_seed);
    cr_assert_eq(rl_table_count(&g->consumer->by_member_id), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        const struct rl_consumer_member *m = rl_consumer_group_find(g, text(clients[i].id));
        cr_assert_not_null(m);
        cr_assert_eq(m->epoch, g->consumer->epoch);
        cr_assert(rl_partition_set_equal(&m->assigned, &m->target));
        cr_assert(rl_partition_set_equal(&m->assigned, &clients[i].owns), "seed %llu", (unsigned long long)now_seed);
        assigned += m->assigned.count;
    }
    for (int t = 0; t < TOPICS; t++) {
        bool read = false;
        for (int i = 0; i < CLIENTS; i++)
            read |= clients[i].reads[t];
        expected += read ? (uint32_t)topics[t].partition_count : 0;
    }
    cr_assert_eq(assigned, expected, "seed %llu", (unsigned long long)now_seed);
    converged++;
}

/* Everybody beats and does what he is told; who was there and is no more has timed out. */
static void be_quiet(void)
{
    for (int round = 0; round < 60; round++) {
        group_rig_advance(&rig, 500);
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &clients[i];
            apply(c);
            apply(c);
            if (c->is_classic)
                do_classic(c);
            else if (c->beat == NULL)
                send_beat(c, c->epoch);
            settle();
            check();
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        apply(&clients[i]);
    check_converged();
}

static void begin(uint64_t seed)
{
    static const char *const assignors[] = { "uniform", "range", NULL };
    now_seed = seed;
    rl_random_init(&dice, seed);
    group_rig_start(&rig, seed);
    rig.store = (struct rl_group_store){ store_add, store_end, NULL };
    rig.limits.consumer_session_timeout_ms = 3000;
    rig.limits.consumer_heartbeat_interval_ms = 500;
    rig.limits.consumer_size_max = 100;
    rig.limits.can_upgrade = rig.limits.can_downgrade = true;
    rig.limits.assignors = assignors + seed % 2;
    rig.groups.image = current_image;
    memset(topics, 0, sizeof topics);
    for (int i = 0; i < TOPICS; i++) {
        topics[i].name = topic_names[i];
        for (int p = 0; p < PARTITIONS_MAX; p++)
            acknowledged[i][p] = -1;
    }
    next_topic_id = 0;
    for (int i = 0; i < 4; i++)
        change_topic();
    next_offset = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ 0 };
        if (roll(3) == 0)
            snprintf(clients[i].instance, sizeof clients[i].instance, "i%d", i);
        be_somebody_new(&clients[i]);
        choose_topics(&clients[i]);
    }
}

static void end(void)
{
    settle();
    rl_groups_drop_all(&rig.groups, RL_GROUP_NOT_COORDINATOR);
    settle();
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(!clients[i].committing, "no answer for %d", i);
        rl_partition_set_done(&clients[i].owns);
        rl_partition_set_done(&clients[i].wants);
        rl_text_done(&clients[i].metadata);
        for (int k = 0; k < NAMED_MAX; k++) {
            rl_text_done(&clients[i].parts[k]);
            rl_free((void *)(uintptr_t)clients[i].assignments[k].member_id.data);
        }
        cr_assert(!clients[i].joining && !clients[i].syncing, "no answer for %d", i);
    }
    cr_assert_eq(beats_out, 0, "no answer");
    truncate_log(0);
    stable_count = 0;
    group_rig_stop(&rig);
}

static void history(uint64_t seed)
{
    begin(seed);
    for (int i = 0; i < STEPS; i++)
        step();
    be_quiet();
    reload();                           /* and a start finds the same */
    check();
    check_converged();
    end();
}

Test(consumer_histories, random)
{
    rl_logger_set_level(RL_LOG_WARN);
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        history(seed);
    rl_free(records);
    records = NULL;
    record_capacity = 0;
    printf("%llu upgraded, %llu downgraded, %llu converged classic\n", (unsigned long long)upgraded,
           (unsigned long long)downgraded, (unsigned long long)converged_classic);
    printf("%llu converged, %llu commits taken, %llu refused, %llu fenced, %llu told to give up, %llu reloads\n",
           (unsigned long long)converged, (unsigned long long)commits_kept, (unsigned long long)commits_refused,
           (unsigned long long)fenced, (unsigned long long)revoked, (unsigned long long)reloads);
    cr_assert_eq(converged, 2 * HISTORIES);
    cr_assert_gt(commits_kept, 2 * HISTORIES);
    cr_assert_gt(commits_refused, 100);
    cr_assert_gt(fenced, HISTORIES / 2);
    cr_assert_gt(revoked, HISTORIES);
    cr_assert_gt(replaced, 10);
    cr_assert_gt(upgraded, 20);
    cr_assert_gt(downgraded, 20);
}

/* coordinate/consumer_target.c — the assignment of a consumer group: who is to have what.
 *
 * Happy path: when the group is in a newer epoch than its assignment, the assignor that most members
 * ask for gives every partition of every topic that is read to one member, and leaves as much as it can
 * where it is; members whose part has changed get a record.  That is done at most once per
 * group.consumer.assignment.interval.ms, by the heartbeat that comes then: who joins meanwhile waits for
 * his next one, as in Kafka.
 * Failures: none; a topic that is gone meanwhile is passed over when members move towards it. */
#include "coordinate/assignor.h"
#include "coordinate/consumer_group_internal.h"
#include "core/memory.h"
#include <stdlib.h>

#define NS_PER_MS ((int64_t)1000000)
#define HASH_SEED UINT64_C(0x6b697038343821)
#define ARENA_CHUNK_BYTES ((size_t)64 << 10)

uint64_t rl_consumer_topic_hash(const struct rl_image *image, struct rl_slice name)
{
    const struct rl_topic *topic = rl_image_find(image, name);
    uint8_t known[sizeof topic->id.bytes + sizeof topic->partition_count];
    if (topic == NULL)
        return 0;
    memcpy(known, topic->id.bytes, sizeof topic->id.bytes);
    memcpy(known + sizeof topic->id.bytes, &topic->partition_count, sizeof topic->partition_count);
    return rl_hash_bytes(HASH_SEED, known, sizeof known);
}

/* A sum, so that it can be kept while names come and go: walked is everything once per image. */
uint64_t rl_consumer_group_hash(const struct rl_group *group)
{
    const struct rl_image *image = rl_group_image(group);
    struct rl_consumer_group *c = group->consumer;
    uint32_t at = 0;
    if (c->topics_hash_known && c->topics_hash_generation == image->generation)
        return c->topics_hash;
    c->topics_hash = 0;
    for (const struct rl_topic_readers *readers; (readers = rl_table_next(&c->topics, &at)) != NULL;)
        c->topics_hash += rl_consumer_topic_hash(image, readers->name);
    c->topics_hash_generation = image->generation;
    c->topics_hash_known = true;
    return c->topics_hash;
}

/* ---- what an assignor is asked ---- */

struct question {
    struct rl_arena arena;              /* all of it */
    const struct rl_topic **topics;     /* by index; sorted by id, as sets are */
    struct rl_assignor_topic *assignor_topics;
    uint32_t topic_count;
    struct rl_assignor_member *members; /* in the order of the group's list */
    uint32_t member_count;
};

static void *take(struct question *q, size_t count, size_t bytes)
{
    void *memory = rl_arena_alloc_array(&q->arena, count, bytes);
    RL_ASSERT(memory != NULL);          /* it has no limit */
    return memory;
}

static int compare_topics(const void *a, const void *b)
{
    return memcmp((*(const struct rl_topic *const *)a)->id.bytes, (*(const struct rl_topic *const *)b)->id.bytes,
                  sizeof(struct rl_uuid));
}

static void ask_topics(struct question *q, const struct rl_group *group)
{
    const struct rl_image *image = rl_group_image(group);
    uint32_t at = 0;
    q->topics = take(q, rl_table_count(&group->consumer->topics), sizeof *q->topics);
    for (const struct rl_topic_readers *readers; (readers = rl_table_next(&group->consumer->topics, &at)) != NULL;) {
        const struct rl_topic *topic = rl_image_find(image, readers->name);
        if (topic != NULL)
            q->topics[q->topic_count++] = topic;
    }
    qsort(q->topics, q->topic_count, sizeof *q->topics, compare_topics);
    q->assignor_topics = take(q, q->topic_count, sizeof *q->assignor_topics);
    for (uint32_t i = 0; i < q->topic_count; i++)
        q->assignor_topics[i] = (struct rl_assignor_topic){ q->topics[i]->id, q->topics[i]->partition_count };
}

static bool reads_alike(const struct rl_consumer_member *a, const struct rl_consumer_member *b)
{
    if (a->topic_count != b->topic_count || !rl_slice_equal(a->regex, b->regex))
        return false;
    for (uint32_t i = 0; i < a->topic_count; i++)
        if (!rl_slice_equal(a->topics[i], b->topics[i]))
            return false;
    return true;
}

static int compare_indexes(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* The index of each name that is a topic's; sorted, each once. */
static uint32_t find_indexes(const struct question *q, const struct rl_image *image, const struct rl_slice *names,
                             uint32_t count, uint32_t *indexes)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct rl_topic *topic = rl_image_find(image, names[i]);
        if (topic == NULL)
            continue;
        const struct rl_topic **at = bsearch(&topic, q->topics, q->topic_count, sizeof *q->topics, compare_topics);
        RL_ASSERT(at != NULL);          /* the group counts its readers */
        indexes[found++] = (uint32_t)(at - q->topics);
    }
    return found;
}

/* Memory as for what the member names, not for all that anybody reads: members by topics may be many. */
static void ask_subscription(struct question *q, const struct rl_consumer_member *member, struct rl_assignor_member *to)
{
    const struct rl_image *image = rl_group_image(member->group);
    const struct rl_group_regex *regex = member->regex.bytes > 0 ? rl_table_find(&member->group->consumer->regexes,
                                                                                 member->regex) : NULL;
    uint32_t matched = regex != NULL ? regex->topic_count : 0, found, kept = 0;
    uint32_t *indexes = take(q, (size_t)member->topic_count + matched, sizeof *indexes);
    found = find_indexes(q, image, member->topics, member->topic_count, indexes);
    if (matched > 0)
        found += find_indexes(q, image, regex->topics, matched, indexes + found);
    qsort(indexes, found, sizeof *indexes, compare_indexes);
    for (uint32_t i = 0; i < found; i++)
        if (kept == 0 || indexes[kept - 1] != indexes[i])
            indexes[kept++] = indexes[i];
    to->topics = indexes;
    to->topic_count = kept;
}

/* Both are sorted by topic id; topics that are gone are left out. */
static void ask_current(struct question *q, const struct rl_consumer_member *member, struct rl_assignor_member *to)
{
    const struct rl_partition_set *target = &member->target;
    struct rl_assignor_partition *current = take(q, target->count, sizeof *current);
    uint32_t topic = 0;
    for (uint32_t i = 0; i < target->count; i++) {
        int order = 1;
        while (topic < q->topic_count &&
               (order = memcmp(q->topics[topic]->id.bytes, target->items[i].topic_id.bytes, sizeof(struct rl_uuid))) < 0)
            topic++;
        if (topic < q->topic_count && order == 0)
            current[to->current_count++] = (struct rl_assignor_partition){ topic, target->items[i].partition };
    }
    to->current = current;
}

static void ask_members(struct question *q, const struct rl_group *group)
{
    const struct rl_consumer_member *before = NULL;
    q->members = take(q, rl_table_count(&group->consumer->by_member_id), sizeof *q->members);
    RL_LIST_EACH(node, &group->consumer->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        struct rl_assignor_member *to = &q->members[q->member_count];
        *to = (struct rl_assignor_member){ .id = member->id, .instance_id = member->instance_id };
        if (before != NULL && reads_alike(before, member)) {
            to->topics = q->members[q->member_count - 1].topics;
            to->topic_count = q->members[q->member_count - 1].topic_count;
        } else {
            ask_subscription(q, member, to);
        }
        ask_current(q, member, to);
        before = member;
        q->member_count++;
    }
}

/* ---- what it answers ---- */

static struct rl_partition_set set_of(const struct question *q, const struct rl_assignor_share *share)
{
    struct rl_partition_set set = { 0 };
    for (uint32_t i = 0; i < share->partition_count; i++)
        rl_partition_set_add(&set, q->topics[share->partitions[i].topic]->id, share->partitions[i].partition);
    return set;                         /* sorted: as topics are by id, and shares by topic */
}

static void take_shares(struct question *q, struct rl_group *group, const struct rl_assignor_share *shares)
{
    RL_LIST_EACH(node, &group->consumer->members) {
        struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        struct rl_partition_set target = set_of(q, shares++);
        if (rl_partition_set_equal(&target, &member->target)) {
            rl_partition_set_done(&target);
            continue;
        }
        rl_partition_set_move(&member->target, &target);
        rl_consumer_store_target(member);
    }
}

static void assign(struct rl_group *group)
{
    struct question q = { 0 };
    struct rl_assignor_share *shares;
    enum rl_assignor assignor;
    rl_arena_init(&q.arena, ARENA_CHUNK_BYTES, SIZE_MAX);
    ask_topics(&q, group);
    ask_members(&q, group);
    rl_status status = rl_assignor_find(rl_consumer_group_assignor(group), &assignor);
    RL_ASSERT(status == RL_OK);         /* nobody may ask for another */
    status = rl_assignor_assign(assignor, &(struct rl_assignor_input){
        .topics = q.assignor_topics, .topic_count = q.topic_count, .members = q.members,
        .member_count = q.member_count }, &q.arena, &shares);
    RL_ASSERT(status == RL_OK);
    take_shares(&q, group, shares);
    rl_arena_done(&q.arena);
}

void rl_consumer_group_maybe_assign(struct rl_group *group, int32_t interval_ms)
{
    struct rl_consumer_group *c = group->consumer;
    int64_t now_ns = group->groups->shard->now_ns;
    if (c->epoch <= c->assignment_epoch || now_ns < c->next_assignment_ns)
        return;
    assign(group);
    c->assignment_epoch = c->epoch;
    c->next_assignment_ns = now_ns + interval_ms * NS_PER_MS;
    rl_consumer_store_target_epoch(group);
}

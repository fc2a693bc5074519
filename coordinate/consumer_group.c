/* coordinate/consumer_group.c — what a consumer group is made of: members, who owns a partition, who
 * reads a topic.
 *
 * Happy path: a member is made by its first heartbeat or by its first record; its names are counted
 * per topic, its partitions stand in `owners`, so that nobody has to ask all members.
 * Failures: none; memory alone. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/group_internal.h"
#include "coordinate/owned.h"
#include <stdlib.h>

static const char *const state_names[] = {
    [RL_CONSUMER_GROUP_EMPTY] = "Empty",
    [RL_CONSUMER_GROUP_ASSIGNING] = "Assigning",
    [RL_CONSUMER_GROUP_RECONCILING] = "Reconciling",
    [RL_CONSUMER_GROUP_STABLE] = "Stable",
};

const char *rl_consumer_group_state_name(enum rl_consumer_group_state state)
{
    return state_names[state];
}

/* ---- the group ---- */

void rl_consumer_group_begin(struct rl_group *group)
{
    uint64_t seed = group->by_member_id.seed;
    struct rl_consumer_group *c = rl_alloc_zero(1, sizeof *c);
    RL_ASSERT(group->consumer == NULL && rl_list_empty(&group->members));
    c->epoch = 1;
    rl_list_init(&c->members);
    rl_protocol_counts_init(&c->protocol_counts, seed);
    rl_table_init(&c->by_member_id, seed);
    rl_table_init(&c->by_instance_id, seed);
    rl_table_init(&c->owners, seed);
    rl_table_init(&c->topics, seed);
    rl_table_init(&c->regexes, seed);
    rl_owned_free(&group->protocol);
    rl_owned_set(&group->protocol_type, rl_slice_of_string("consumer"));
    group->generation = 0;
    group->consumer = c;
}

void rl_consumer_group_end(struct rl_group *group)
{
    struct rl_consumer_group *c = group->consumer;
    if (c == NULL)
        return;
    for (struct rl_list *node; (node = rl_list_first(&c->members)) != NULL;)
        rl_consumer_group_remove(RL_LIST_ENTRY(node, struct rl_consumer_member, link));
    rl_protocol_counts_done(&c->protocol_counts);
    rl_table_done(&c->by_member_id);
    rl_table_done(&c->by_instance_id);
    rl_table_done(&c->owners);
    rl_table_done(&c->topics);
    rl_table_done(&c->regexes);
    rl_free(c);
    group->consumer = NULL;
    rl_owned_free(&group->protocol_type);
}

enum rl_consumer_group_state rl_consumer_group_state(const struct rl_group *group)
{
    const struct rl_consumer_group *c = group->consumer;
    if (rl_list_empty(&c->members))
        return RL_CONSUMER_GROUP_EMPTY;
    if (c->epoch > c->assignment_epoch)
        return RL_CONSUMER_GROUP_ASSIGNING;
    RL_LIST_EACH(node, &c->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        if (member->state != RL_CONSUMER_MEMBER_STABLE || member->epoch != c->assignment_epoch)
            return RL_CONSUMER_GROUP_RECONCILING;
    }
    return RL_CONSUMER_GROUP_STABLE;
}

struct rl_consumer_member *rl_consumer_group_find(const struct rl_group *group, struct rl_slice member_id)
{
    return rl_table_find(&group->consumer->by_member_id, member_id);
}

/* Votes are few names: each is counted where it first stands. */
struct rl_slice rl_consumer_group_assignor(const struct rl_group *group)
{
    const struct rl_consumer_group *c = group->consumer;
    struct rl_slice best = rl_slice_of_string(group->groups->limits->assignors[0]);
    uint32_t best_votes = 0;
    for (uint32_t i = 0; group->groups->limits->assignors[i] != NULL; i++) {
        uint32_t votes = 0;
        RL_LIST_EACH(node, &c->members)
            votes += rl_slice_equal_string(RL_LIST_ENTRY(node, struct rl_consumer_member, link)->server_assignor,
                                           group->groups->limits->assignors[i]);
        if (votes > best_votes) {
            best_votes = votes;
            best = rl_slice_of_string(group->groups->limits->assignors[i]);
        }
    }
    return best;
}

/* ---- who reads what ---- */

/* What the group's hash changes by when this name comes, or goes. */
static uint64_t hash_step(const struct rl_group *group, struct rl_slice name)
{
    struct rl_consumer_group *c = group->consumer;
    if (!c->topics_hash_known)
        return 0;
    const struct rl_image *image = rl_group_image(group);
    c->topics_hash_known = c->topics_hash_generation == image->generation;
    return c->topics_hash_known ? rl_consumer_topic_hash(image, name) : 0;
}

static void count_reader(struct rl_group *group, struct rl_slice name)
{
    struct rl_table *topics = &group->consumer->topics;
    struct rl_topic_readers *readers = rl_table_find(topics, name);
    if (readers == NULL) {
        readers = rl_alloc_zero(1, sizeof *readers);
        readers->name = rl_owned_copy(name);
        rl_table_put(topics, readers->name, readers);
        group->consumer->topics_hash += hash_step(group, name);
    }
    readers->count++;
}

static void uncount_reader(struct rl_group *group, struct rl_slice name)
{
    struct rl_table *topics = &group->consumer->topics;
    struct rl_topic_readers *readers = rl_table_find(topics, name);
    if (--readers->count > 0)
        return;
    group->consumer->topics_hash -= hash_step(group, readers->name);
    rl_table_remove(topics, readers->name);
    rl_owned_free(&readers->name);
    rl_free(readers);
}

bool rl_consumer_group_reads(const struct rl_group *group, struct rl_slice topic)
{
    return rl_table_find(&group->consumer->topics, topic) != NULL;
}

static int compare_names(const void *a, const void *b)
{
    return rl_slice_compare(*(const struct rl_slice *)a, *(const struct rl_slice *)b);
}

static void free_names(struct rl_slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rl_owned_free(&names[i]);
    rl_free(names);
}

/* Sorted copies, each once. */
static struct rl_slice *copy_names(const struct rl_slice *names, uint32_t *count)
{
    struct rl_slice *copies = rl_alloc_zero(*count + 1, sizeof *copies);
    uint32_t kept = 0;
    if (*count > 0)
        memcpy(copies, names, *count * sizeof *copies);
    qsort(copies, *count, sizeof *copies, compare_names);
    for (uint32_t i = 0; i < *count; i++)
        if (kept == 0 || !rl_slice_equal(copies[kept - 1], copies[i]))
            copies[kept++] = copies[i];
    for (uint32_t i = 0; i < kept; i++)
        copies[i] = rl_owned_copy(copies[i]);
    *count = kept;
    return copies;
}

static bool has_name(const struct rl_slice *names, uint32_t count, struct rl_slice name)
{
    return count > 0 && bsearch(&name, names, count, sizeof name, compare_names) != NULL;
}

void rl_consumer_member_set_topics(struct rl_consumer_member *member, const struct rl_slice *topics,
                                   uint32_t count)
{
    struct rl_slice *old = member->topics;
    uint32_t old_count = member->topic_count;
    struct rl_slice *copies = copy_names(topics, &count);
    for (uint32_t i = 0; i < count; i++)
        count_reader(member->group, copies[i]);
    for (uint32_t i = 0; i < old_count; i++)
        uncount_reader(member->group, old[i]);
    member->topics = copies;
    member->topic_count = count;
    free_names(old, old_count);
}

static struct rl_group_regex *find_regex(const struct rl_group *group, struct rl_slice text)
{
    return text.bytes > 0 ? rl_table_find(&group->consumer->regexes, text) : NULL;
}

bool rl_consumer_member_reads(const struct rl_consumer_member *member, struct rl_slice topic)
{
    const struct rl_group_regex *regex = find_regex(member->group, member->regex);
    return has_name(member->topics, member->topic_count, topic) ||
           (regex != NULL && has_name(regex->topics, regex->topic_count, topic));
}

void rl_group_regex_set_topics(struct rl_group *group, struct rl_group_regex *regex,
                               const struct rl_slice *topics, uint32_t count)
{
    struct rl_slice *copies = copy_names(topics, &count);
    for (uint32_t i = 0; i < count; i++)
        count_reader(group, copies[i]);
    for (uint32_t i = 0; i < regex->topic_count; i++)
        uncount_reader(group, regex->topics[i]);
    group->consumer->member_bytes += rl_consumer_names_bytes(copies, count);
    group->consumer->member_bytes -= rl_consumer_names_bytes(regex->topics, regex->topic_count);
    free_names(regex->topics, regex->topic_count);
    regex->topics = copies;
    regex->topic_count = count;
    regex->resolved = true;
}

static void leave_regex(struct rl_group *group, struct rl_slice text)
{
    struct rl_group_regex *regex = find_regex(group, text);
    if (regex == NULL || --regex->members > 0)
        return;
    rl_group_regex_set_topics(group, regex, NULL, 0);
    rl_table_remove(&group->consumer->regexes, regex->text);
    free_names(regex->topics, regex->topic_count);
    rl_owned_free(&regex->text);
    rl_free(regex);
}

void rl_consumer_member_set_regex(struct rl_consumer_member *member, struct rl_slice text)
{
    struct rl_group *group = member->group;
    struct rl_group_regex *regex = find_regex(group, text);
    if (regex == NULL && text.bytes > 0) {
        regex = rl_alloc_zero(1, sizeof *regex);
        regex->text = rl_owned_copy(text);
        rl_table_put(&group->consumer->regexes, regex->text, regex);
    }
    if (regex != NULL)
        regex->members++;
    leave_regex(group, member->regex);
    rl_owned_set(&member->regex, text);
}

/* ---- who has what ---- */

static struct rl_slice key_of(const struct rl_topic_partition *key)
{
    return rl_slice_of(key, sizeof *key);
}

struct rl_partition_owner *rl_consumer_group_owner(const struct rl_group *group, struct rl_topic_partition key)
{
    return rl_table_find(&group->consumer->owners, key_of(&key));
}

static void disown(struct rl_consumer_member *member, const struct rl_partition_set *set)
{
    struct rl_table *owners = &member->group->consumer->owners;
    for (uint32_t i = 0; i < set->count; i++) {
        struct rl_partition_owner *owner = rl_table_find(owners, key_of(&set->items[i]));
        if (owner == NULL || owner->member != member)
            continue;
        rl_table_remove(owners, key_of(&owner->key));
        rl_free(owner);
    }
}

static void own(struct rl_consumer_member *member, const struct rl_partition_set *set)
{
    struct rl_table *owners = &member->group->consumer->owners;
    for (uint32_t i = 0; i < set->count; i++) {
        struct rl_partition_owner *owner = rl_table_find(owners, key_of(&set->items[i]));
        if (owner != NULL && owner->member == member)
            continue;
        if (owner == NULL) {
            owner = rl_alloc_zero(1, sizeof *owner);
            owner->key = set->items[i];
            rl_table_put(owners, key_of(&owner->key), owner);
        }
        owner->member = member;
        owner->assignment_epoch = member->epoch;
    }
}

void rl_consumer_member_set_partitions(struct rl_consumer_member *member, struct rl_partition_set *assigned,
                                       struct rl_partition_set *revoking)
{
    struct rl_partition_set gone = rl_partition_set_difference(&member->assigned, assigned), still = { 0 };
    rl_partition_set_move(&still, &gone);
    gone = rl_partition_set_difference(&still, revoking);
    disown(member, &gone);
    rl_partition_set_done(&gone);
    rl_partition_set_done(&still);
    still = rl_partition_set_difference(&member->revoking, assigned);
    gone = rl_partition_set_difference(&still, revoking);
    disown(member, &gone);
    rl_partition_set_done(&gone);
    rl_partition_set_done(&still);
    own(member, assigned);
    own(member, revoking);
    rl_partition_set_move(&member->assigned, assigned);
    rl_partition_set_move(&member->revoking, revoking);
}

/* ---- members ---- */

void rl_consumer_member_set_protocols(struct rl_consumer_member *member, const struct rl_group_protocol *protocols,
                                      uint32_t count)
{
    struct rl_protocol_counts *counts = &member->group->consumer->protocol_counts;
    struct rl_group_protocol *copies = rl_alloc_zero(count + 1, sizeof *copies);
    rl_protocol_counts_remove(counts, member, member->protocols, member->protocol_count);
    rl_protocol_counts_add(counts, member, protocols, count);
    for (uint32_t i = 0; i < count; i++)
        copies[i] = (struct rl_group_protocol){ rl_owned_copy(protocols[i].name), rl_owned_copy(protocols[i].metadata) };
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        rl_owned_free(&member->protocols[i].name);
        rl_owned_free(&member->protocols[i].metadata);
    }
    rl_free(member->protocols);
    member->protocols = copies;
    member->protocol_count = count;
}

struct rl_consumer_member *rl_consumer_group_add(struct rl_group *group, struct rl_slice member_id)
{
    struct rl_consumer_member *member = rl_alloc_zero(1, sizeof *member);
    RL_ASSERT(rl_consumer_group_find(group, member_id) == NULL);
    member->group = group;
    member->id = rl_owned_copy(member_id);
    struct rl_pending_member *pending = rl_group_find_pending(group, member->id);
    if (pending != NULL)                /* a heartbeat may come under an id that a JoinGroup was given */
        rl_group_remove_pending(pending);
    member->client_id = rl_owned_copy(rl_slice_of("", 0));
    member->client_host = rl_owned_copy(rl_slice_of("", 0));
    member->regex = rl_owned_copy(rl_slice_of("", 0));
    member->rebalance_timeout_ms = -1;
    rl_list_push_back(&group->consumer->members, &member->link);
    rl_table_put(&group->consumer->by_member_id, member->id, member);
    return member;
}

static void forget_instance(struct rl_consumer_member *member)
{
    struct rl_table *instances = &member->group->consumer->by_instance_id;
    if (member->instance_id.data != NULL && rl_table_find(instances, member->instance_id) == member)
        rl_table_remove(instances, member->instance_id);
    rl_owned_free(&member->instance_id);
}

void rl_consumer_member_set_instance(struct rl_consumer_member *member, struct rl_slice instance_id)
{
    struct rl_slice copy = rl_owned_copy(instance_id);
    forget_instance(member);
    member->instance_id = copy;
    if (copy.data != NULL)
        rl_table_put(&member->group->consumer->by_instance_id, copy, member);
}

void rl_consumer_member_count(struct rl_consumer_member *member)
{
    size_t bytes = sizeof *member + member->id.bytes + member->instance_id.bytes + member->rack_id.bytes +
                   member->client_id.bytes + member->client_host.bytes + member->server_assignor.bytes +
                   member->regex.bytes + rl_consumer_names_bytes(member->topics, member->topic_count) +
                   rl_group_protocol_bytes(member->protocols, member->protocol_count);
    member->group->consumer->member_bytes += bytes - member->bytes;
    member->bytes = bytes;
}

bool rl_consumer_group_has_room(const struct rl_group *group, struct rl_slice member_id, size_t bytes)
{
    const struct rl_consumer_member *member = rl_consumer_group_find(group, member_id);
    size_t own = member != NULL ? member->bytes : 0;
    /* group->member_bytes: ids that were given out */
    return bytes <= own ||
           group->consumer->member_bytes + group->member_bytes - own + bytes <= RL_CONSUMER_MEMBER_BYTES_MAX;
}

void rl_consumer_group_remove(struct rl_consumer_member *member)
{
    struct rl_group *group = member->group;
    group->consumer->member_bytes -= member->bytes;
    struct rl_partition_set none = { 0 }, nothing = { 0 };
    rl_timer_stop(group->groups->shard, &member->session_timer);
    rl_timer_stop(group->groups->shard, &member->rebalance_timer);
    rl_consumer_member_set_partitions(member, &none, &nothing);
    rl_partition_set_done(&member->target);
    rl_consumer_member_set_topics(member, NULL, 0);
    rl_free(member->topics);
    rl_consumer_member_set_regex(member, rl_slice_of("", 0));
    forget_instance(member);
    rl_list_remove(&member->link);
    rl_table_remove(&group->consumer->by_member_id, member->id);
    rl_owned_free(&member->id);
    rl_owned_free(&member->rack_id);
    rl_owned_free(&member->client_id);
    rl_owned_free(&member->client_host);
    rl_owned_free(&member->server_assignor);
    rl_owned_free(&member->regex);
    rl_consumer_member_set_protocols(member, NULL, 0);
    rl_free(member->protocols);
    rl_free(member);
}

/* coordinate/consumer_store.c — a consumer group to records, and back.
 *
 * A group is its epoch (key 3), its members (5), the epoch of the assignment (6), every member's part of
 * it (7) and what every member has (8), and what regular expressions match (16); see
 * consumer_group_record.h.  A start reads them in the order in which they were written.
 * Failures: a record that cannot be read leaves that part as the record before it said. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/consumer_group_record.h"
#include "coordinate/owned.h"
#include "core/arena.h"

/* ---- to the store ---- */

static void add(struct rl_group *group, const struct rl_consumer_group_record *record, struct rl_slice detail)
{
    struct rl_group_store *store = group->groups->store;
    struct rl_text key = { 0 }, value = { 0 };
    rl_consumer_group_record_key(&key, record->kind, group->id, detail);
    if (!record->tombstone)
        rl_consumer_group_record_value(&value, record);
    store->add(store, rl_text_slice(&key), record->tombstone ? (struct rl_slice){ 0 } : rl_text_slice(&value));
    rl_text_done(&key);
    rl_text_done(&value);
    if (group->consumer != NULL)
        group->consumer->records++;
}

static void add_tombstone(struct rl_group *group, enum rl_consumer_group_record_kind kind, struct rl_slice detail)
{
    add(group, &(struct rl_consumer_group_record){ .kind = kind, .tombstone = true }, detail);
}

void rl_consumer_store_epoch(struct rl_group *group)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_METADATA };
    record.value.metadata = (struct rl_consumer_group_record_metadata){
        .epoch = group->consumer->epoch, .metadata_hash = (int64_t)group->consumer->metadata_hash };
    add(group, &record, (struct rl_slice){ 0 });
    group->consumer->is_stored = true;
}

void rl_consumer_store_member(const struct rl_consumer_member *member)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_MEMBER };
    record.value.member_metadata = (struct rl_consumer_group_record_member){
        .instance_id = member->instance_id, .rack_id = member->rack_id, .client_id = member->client_id,
        .client_host = member->client_host, .subscribed_topic_names = member->topics,
        .subscribed_topic_name_count = (int32_t)member->topic_count, .subscribed_topic_regex = member->regex,
        .rebalance_timeout_ms = member->rebalance_timeout_ms, .server_assignor = member->server_assignor,
        .is_classic = member->is_classic, .classic_session_timeout_ms = member->classic_session_timeout_ms };
    struct rl_consumer_group_record_protocol *protocols = rl_alloc_zero(member->protocol_count + 1, sizeof *protocols);
    for (uint32_t i = 0; i < member->protocol_count; i++)
        protocols[i] = (struct rl_consumer_group_record_protocol){ member->protocols[i].name, member->protocols[i].metadata };
    record.value.member_metadata.classic_protocols = protocols;
    record.value.member_metadata.classic_protocol_count = (int32_t)member->protocol_count;
    add(member->group, &record, member->id);
    rl_free(protocols);
}

void rl_consumer_store_target_epoch(struct rl_group *group)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_TARGET_METADATA };
    record.value.target_metadata = (struct rl_consumer_group_record_target_metadata){
        .assignment_epoch = group->consumer->assignment_epoch, .assignment_ms = group->groups->shard->wall_ms };
    add(group, &record, (struct rl_slice){ 0 });
}

/* The set by topic; arrays are the caller's to free: topics, and topics[0].partitions behind them. */
static struct rl_consumer_group_record_topic *topics_of(const struct rl_group *group,
                                                        const struct rl_partition_set *set, bool epochs,
                                                        int32_t *ret_count)
{
    size_t numbers = (size_t)set->count * (epochs ? 2 : 1);
    uint8_t *memory = rl_alloc(set->count * sizeof(struct rl_consumer_group_record_topic) +
                               numbers * sizeof(int32_t) + 1);
    struct rl_consumer_group_record_topic *topics = (void *)memory;
    int32_t *at = (void *)(topics + set->count), count = 0;
    for (uint32_t i = 0, run; i < set->count; i += run) {
        run = rl_partition_set_run(set, i);
        topics[count] = (struct rl_consumer_group_record_topic){ .topic_id = set->items[i].topic_id,
            .partitions = at, .partition_count = (int32_t)run, .assignment_epochs = epochs ? at + run : NULL };
        for (uint32_t k = 0; k < run; k++) {
            at[k] = set->items[i + k].partition;
            if (!epochs)
                continue;
            /* NULL: the log is damaged, and said that two members had it, one of whom is gone. */
            const struct rl_partition_owner *owner = rl_consumer_group_owner(group, set->items[i + k]);
            at[run + k] = owner != NULL ? owner->assignment_epoch : 0;
        }
        at += run * (epochs ? 2 : 1);
        count++;
    }
    *ret_count = count;
    return topics;
}

void rl_consumer_store_target(const struct rl_consumer_member *member)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER };
    struct rl_consumer_group_record_target_member *value = &record.value.target_member;
    struct rl_consumer_group_record_topic *topics = topics_of(member->group, &member->target, false,
                                                              &value->topic_count);
    value->topics = topics;
    add(member->group, &record, member->id);
    rl_free(topics);
}

void rl_consumer_store_current(const struct rl_consumer_member *member)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER };
    struct rl_consumer_group_record_current_member *value = &record.value.current_member;
    *value = (struct rl_consumer_group_record_current_member){
        .member_epoch = member->epoch, .previous_member_epoch = member->previous_epoch,
        .state = (int8_t)member->state };
    struct rl_consumer_group_record_topic *assigned = topics_of(member->group, &member->assigned, true,
                                                                &value->assigned_count);
    struct rl_consumer_group_record_topic *revoking = topics_of(member->group, &member->revoking, true,
                                                                &value->pending_revocation_count);
    value->assigned = assigned;
    value->pending_revocation = revoking;
    add(member->group, &record, member->id);
    rl_free(assigned);
    rl_free(revoking);
}

void rl_consumer_store_member_tombstones(const struct rl_consumer_member *member)
{
    add_tombstone(member->group, RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER, member->id);
    add_tombstone(member->group, RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER, member->id);
    add_tombstone(member->group, RL_CONSUMER_GROUP_RECORD_MEMBER, member->id);
}

void rl_consumer_store_regex(struct rl_group *group, const struct rl_group_regex *regex)
{
    struct rl_consumer_group_record record = { .kind = RL_CONSUMER_GROUP_RECORD_REGEX };
    record.value.regex = (struct rl_consumer_group_record_regex){
        .topics = regex->topics, .topic_count = (int32_t)regex->topic_count,
        .version = (int64_t)regex->image_generation, .resolved_ms = regex->resolved_ms };
    add(group, &record, regex->text);
}

void rl_consumer_store_regex_tombstone(struct rl_group *group, struct rl_slice text)
{
    add_tombstone(group, RL_CONSUMER_GROUP_RECORD_REGEX, text);
}

void rl_consumer_group_store(struct rl_group *group)
{
    struct rl_consumer_group *c = group->consumer;
    uint32_t at = 0;
    if (!c->is_stored)
        return;
    rl_consumer_store_epoch(group);
    RL_LIST_EACH(node, &c->members)
        rl_consumer_store_member(RL_LIST_ENTRY(node, struct rl_consumer_member, link));
    for (const struct rl_group_regex *regex; (regex = rl_table_next(&c->regexes, &at)) != NULL;)
        if (regex->resolved)
            rl_consumer_store_regex(group, regex);
    rl_consumer_store_target_epoch(group);
    RL_LIST_EACH(node, &c->members) {
        const struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        rl_consumer_store_target(member);
        rl_consumer_store_current(member);
    }
}

void rl_consumer_group_store_tombstone(struct rl_group *group)
{
    add_tombstone(group, RL_CONSUMER_GROUP_RECORD_TARGET_METADATA, (struct rl_slice){ 0 });
    add_tombstone(group, RL_CONSUMER_GROUP_RECORD_METADATA, (struct rl_slice){ 0 });
}

/* ---- and back ---- */

static struct rl_partition_set set_of(const struct rl_consumer_group_record_topic *topics, int32_t count)
{
    struct rl_partition_set set = { 0 };
    for (int32_t t = 0; t < count; t++)
        for (int32_t i = 0; i < topics[t].partition_count; i++)
            rl_partition_set_add(&set, topics[t].topic_id, topics[t].partitions[i]);
    rl_partition_set_sort(&set);
    return set;
}

static void restore_epochs(struct rl_group *group, const struct rl_consumer_group_record_topic *topics, int32_t count)
{
    for (int32_t t = 0; t < count; t++)
        for (int32_t i = 0; topics[t].assignment_epochs != NULL && i < topics[t].partition_count; i++)
            rl_consumer_group_owner(group, (struct rl_topic_partition){ topics[t].topic_id, topics[t].partitions[i] })
                ->assignment_epoch = topics[t].assignment_epochs[i];
}

static void restore_member(struct rl_consumer_member *member, const struct rl_consumer_group_record_member *value)
{
    rl_consumer_member_set_instance(member, value->instance_id);
    rl_owned_set(&member->rack_id, value->rack_id);
    rl_owned_set(&member->client_id, value->client_id);
    rl_owned_set(&member->client_host, value->client_host);
    rl_owned_set(&member->server_assignor, value->server_assignor);
    rl_consumer_member_set_topics(member, value->subscribed_topic_names,
                                  (uint32_t)value->subscribed_topic_name_count);
    rl_consumer_member_set_regex(member, value->subscribed_topic_regex.data != NULL ? value->subscribed_topic_regex
                                                                                    : rl_slice_of("", 0));
    member->rebalance_timeout_ms = value->rebalance_timeout_ms;
    member->is_classic = value->is_classic;
    member->classic_session_timeout_ms = value->classic_session_timeout_ms;
    struct rl_group_protocol *protocols = rl_alloc_zero((size_t)value->classic_protocol_count + 1, sizeof *protocols);
    for (int32_t i = 0; i < value->classic_protocol_count; i++)
        protocols[i] = (struct rl_group_protocol){ value->classic_protocols[i].name, value->classic_protocols[i].metadata };
    rl_consumer_member_set_protocols(member, protocols, (uint32_t)value->classic_protocol_count);
    rl_free(protocols);
    rl_consumer_member_count(member);
}

static void restore_current(struct rl_consumer_member *member,
                            const struct rl_consumer_group_record_current_member *value)
{
    struct rl_partition_set assigned = set_of(value->assigned, value->assigned_count);
    struct rl_partition_set revoking = set_of(value->pending_revocation, value->pending_revocation_count);
    member->epoch = value->member_epoch;
    member->previous_epoch = value->previous_member_epoch;
    member->state = value->state == RL_CONSUMER_GROUP_RECORD_UNREVOKED_PARTITIONS   ? RL_CONSUMER_MEMBER_UNREVOKED
                  : value->state == RL_CONSUMER_GROUP_RECORD_UNRELEASED_PARTITIONS ? RL_CONSUMER_MEMBER_UNRELEASED
                                                                                  : RL_CONSUMER_MEMBER_STABLE;
    rl_consumer_member_set_partitions(member, &assigned, &revoking);
    restore_epochs(member->group, value->assigned, value->assigned_count);
    restore_epochs(member->group, value->pending_revocation, value->pending_revocation_count);
}

static void restore_regex(struct rl_group *group, struct rl_slice text,
                          const struct rl_consumer_group_record_regex *value)
{
    struct rl_group_regex *regex = rl_table_find(&group->consumer->regexes, text);
    if (regex == NULL)
        return;                         /* nobody asks it any more */
    rl_group_regex_set_topics(group, regex, value->topics, (uint32_t)value->topic_count);
    regex->resolved_ms = value->resolved_ms;
}

static void restore_value(struct rl_group *group, const struct rl_consumer_group_record *record)
{
    struct rl_consumer_group *c = group->consumer;
    struct rl_consumer_member *member = record->member.data != NULL ? rl_consumer_group_find(group, record->member)
                                                                    : NULL;
    if (record->member.data != NULL && member == NULL)
        member = rl_consumer_group_add(group, record->member);
    switch (record->kind) {
    case RL_CONSUMER_GROUP_RECORD_METADATA:
        c->epoch = record->value.metadata.epoch;
        c->metadata_hash = (uint64_t)record->value.metadata.metadata_hash;
        c->is_stored = true;
        break;
    case RL_CONSUMER_GROUP_RECORD_MEMBER:
        restore_member(member, &record->value.member_metadata);
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_METADATA:
        c->assignment_epoch = record->value.target_metadata.assignment_epoch;
        break;
    case RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER: {
        struct rl_partition_set target = set_of(record->value.target_member.topics,
                                                record->value.target_member.topic_count);
        rl_partition_set_move(&member->target, &target);
        break;
    }
    case RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER:
        restore_current(member, &record->value.current_member);
        break;
    case RL_CONSUMER_GROUP_RECORD_REGEX:
        restore_regex(group, record->pattern, &record->value.regex);
        break;
    case RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA:
    case RL_CONSUMER_GROUP_RECORD_OTHER:
        break;
    }
}

/* Only what ends a member, or the group, says something by its absence. */
static void restore_tombstone(struct rl_group *group, const struct rl_consumer_group_record *record)
{
    if (record->kind == RL_CONSUMER_GROUP_RECORD_MEMBER) {
        struct rl_consumer_member *member = rl_consumer_group_find(group, record->member);
        if (member != NULL)
            rl_consumer_group_remove(member);
    } else if (record->kind == RL_CONSUMER_GROUP_RECORD_METADATA) {
        rl_consumer_group_end(group);
    }
}

static void apply(struct rl_groups *groups, const struct rl_consumer_group_record *record)
{
    struct rl_group *group = record->tombstone ? rl_groups_find(groups, record->group)
                                               : rl_groups_find_or_create(groups, record->group);
    if (group == NULL)
        return;
    if (record->tombstone && group->consumer != NULL) {
        restore_tombstone(group, record);
    } else if (!record->tombstone) {
        if (group->consumer == NULL) {
            (void)rl_group_restore(group, NULL);
            rl_consumer_group_begin(group);
        }
        restore_value(group, record);
    }
    rl_group_drop_if_unused(group);
}

rl_status rl_consumer_group_restore(struct rl_groups *groups, struct rl_slice key, struct rl_slice value)
{
    struct rl_arena arena;
    struct rl_consumer_group_record record;
    rl_arena_init(&arena, 4096, value.bytes * 16 + 4096);
    rl_status status = rl_consumer_group_record_read(key, value, &arena, &record);
    if (status == RL_OK && record.kind != RL_CONSUMER_GROUP_RECORD_OTHER)
        apply(groups, &record);
    rl_arena_done(&arena);
    return status;
}

void rl_consumer_group_begin_sessions(struct rl_group *group)
{
    RL_LIST_EACH(node, &group->consumer->members) {
        struct rl_consumer_member *member = RL_LIST_ENTRY(node, struct rl_consumer_member, link);
        rl_consumer_member_start_session(member);
        if (member->state == RL_CONSUMER_MEMBER_UNREVOKED && !member->is_classic)
            rl_consumer_member_start_rebalance(member);
    }
}

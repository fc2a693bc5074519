/* coordinate/consumer_heartbeat.c — ConsumerGroupHeartbeat: a member joins, stays, leaves.
 *
 * Happy path: the member is found or made; what it tells anew is taken; if that, or the topics, have
 * changed, the group is in its next epoch; if the assignment is behind, it is made; the member moves a
 * step towards it, and is told what it is to own when that has changed or it has told everything.
 * Failures: checked before anything changes.  A member whose epoch is not the one known here is fenced,
 * unless its last answer was lost: then it is in the epoch before, and owns no more than it was told. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/group_internal.h"
#include "coordinate/group_offsets.h"
#include "coordinate/owned.h"

#define TEXT(slice) (int)(slice).bytes, (const char *)(slice).data

void rl_consumer_heartbeat_done(struct rl_consumer_heartbeat *call)
{
    rl_text_done(&call->message);
    rl_partition_set_done(&call->owned);
    rl_partition_set_done(&call->ret_assignment);
    rl_free(call->memory);
    call->memory = NULL;
}

static enum rl_group_error say(struct rl_consumer_heartbeat *call, enum rl_group_error error, const char *format,
                               ...) RL_PRINTF(3, 4);
static enum rl_group_error say(struct rl_consumer_heartbeat *call, enum rl_group_error error, const char *format,
                               ...)
{
    va_list args;
    va_start(args, format);
    rl_text_vprintf(&call->message, format, args);
    va_end(args);
    return error;
}

/* ---- is the call as it must be? ---- */

static bool is_empty(struct rl_slice text)
{
    return text.data != NULL && text.bytes == 0;
}

static enum rl_group_error check_join(struct rl_consumer_heartbeat *call)
{
    if (call->rebalance_timeout_ms == -1)
        return say(call, RL_GROUP_INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.");
    if (!call->owned_told || call->owned.count > 0)
        return say(call, RL_GROUP_INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.");
    if (!call->topics_told && call->regex.data == NULL)
        return say(call, RL_GROUP_INVALID_REQUEST,
                   "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
    return RL_GROUP_OK;
}

static enum rl_group_error check_assignor(const struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    const char *const *assignors = groups->limits->assignors;
    if (call->server_assignor.data == NULL)
        return RL_GROUP_OK;
    for (uint32_t i = 0; assignors[i] != NULL; i++)
        if (rl_slice_equal_string(call->server_assignor, assignors[i]))
            return RL_GROUP_OK;
    say(call, RL_GROUP_UNSUPPORTED_ASSIGNOR, "ServerAssignor %.*s is not supported. Supported assignors: ",
        TEXT(call->server_assignor));
    for (uint32_t i = 0; assignors[i] != NULL; i++)
        rl_text_printf(&call->message, "%s%s", i > 0 ? ", " : "", assignors[i]);
    rl_text_append_char(&call->message, '.');
    return RL_GROUP_UNSUPPORTED_ASSIGNOR;
}

static enum rl_group_error check_request(const struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    if ((call->needs_member_id || call->member_epoch != 0) && call->member_id.bytes == 0)
        return say(call, RL_GROUP_INVALID_REQUEST, "MemberId can't be empty.");
    if (call->group_id.bytes == 0)
        return say(call, RL_GROUP_INVALID_REQUEST, "GroupId can't be empty.");
    if (is_empty(call->instance_id))
        return say(call, RL_GROUP_INVALID_REQUEST, "InstanceId can't be empty.");
    if (is_empty(call->rack_id))
        return say(call, RL_GROUP_INVALID_REQUEST, "RackId can't be empty.");
    enum rl_group_error error = call->member_epoch == 0 ? check_join(call) : RL_GROUP_OK;
    if (error != RL_GROUP_OK)
        return error;
    if (call->member_epoch < RL_CONSUMER_LEAVE_STATIC)
        return say(call, RL_GROUP_INVALID_REQUEST, "MemberEpoch is invalid.");
    if (call->member_epoch == RL_CONSUMER_LEAVE_STATIC && call->instance_id.data == NULL)
        return say(call, RL_GROUP_INVALID_REQUEST, "InstanceId can't be null.");
    return check_assignor(groups, call);
}

/* ---- the group ---- */

#define TOO_MUCH "What the members of the consumer group tell is too much."

static enum rl_group_error become_consumer_group(struct rl_group *group, struct rl_consumer_heartbeat *call)
{
    const char *why;
    bool was_stored = group->generation > 0;
    if (rl_consumer_heartbeat_bytes(call) > RL_CONSUMER_MEMBER_BYTES_MAX)
        return say(call, RL_GROUP_MAX_SIZE_REACHED, TOO_MUCH);
    if (group->state != RL_GROUP_EMPTY) {
        if (rl_consumer_group_upgrade(group, call, &why))
            return RL_GROUP_OK;
        return say(call, RL_GROUP_ID_NOT_FOUND, "Cannot upgrade classic group %.*s to consumer group because %s.",
                   TEXT(group->id), why);
    }
    rl_group_clear_classic(group);
    rl_consumer_group_begin(group);
    if (was_stored) {
        rl_group_store_classic_tombstone(group);
        rl_consumer_store_epoch(group);
    }
    return RL_GROUP_OK;
}

void rl_consumer_group_become_classic(struct rl_group *group)
{
    bool was_stored = group->consumer->is_stored;
    rl_consumer_group_end(group);
    if (!was_stored)
        return;
    rl_consumer_group_store_tombstone(group);
    rl_group_store(group);
    rl_consumer_group_write(group);
}

size_t rl_consumer_heartbeat_bytes(const struct rl_consumer_heartbeat *call)
{
    return call->member_id.bytes + call->instance_id.bytes + call->rack_id.bytes + call->client_id.bytes +
           call->regex.bytes + rl_consumer_names_bytes(call->topics, call->topic_count) +
           (call->found != NULL ? rl_consumer_names_bytes(call->found, call->found_count) : 0);
}

/* Is there room for what it tells? */
static bool has_room(const struct rl_group *group, const struct rl_consumer_heartbeat *call)
{
    return rl_consumer_group_has_room(group, call->member_id, rl_consumer_heartbeat_bytes(call));
}

static enum rl_group_error find_group(struct rl_groups *groups, struct rl_consumer_heartbeat *call,
                                      struct rl_group **ret_group)
{
    struct rl_group *group = rl_groups_find(groups, call->group_id);
    bool joins = call->member_epoch == 0;
    if (group == NULL && !joins)
        return say(call, RL_GROUP_ID_NOT_FOUND, "%s %.*s not found.",
                   call->member_epoch > 0 ? "Consumer group" : "Group", TEXT(call->group_id));
    if (group == NULL)
        group = rl_groups_find_or_create(groups, call->group_id);
    if (group->consumer == NULL) {
        enum rl_group_error error = joins ? become_consumer_group(group, call)
            : say(call, RL_GROUP_ID_NOT_FOUND, "Group %.*s is not a consumer group.", TEXT(call->group_id));
        if (error != RL_GROUP_OK)
            return error;
    }
    uint32_t size_max = (uint32_t)groups->limits->consumer_size_max;
    if (call->member_epoch >= 0 && rl_table_count(&group->consumer->by_member_id) >= size_max &&
        rl_consumer_group_find(group, call->member_id) == NULL)
        return say(call, RL_GROUP_MAX_SIZE_REACHED, "The consumer group has reached its maximum capacity of %u members.",
                   size_max);
    if (call->member_epoch >= 0 && !has_room(group, call))
        return say(call, RL_GROUP_MAX_SIZE_REACHED, TOO_MUCH);
    *ret_group = group;
    return RL_GROUP_OK;
}

/* ---- the member ---- */

static enum rl_group_error check_epoch(struct rl_consumer_heartbeat *call, const struct rl_consumer_member *member)
{
    int32_t told = call->member_epoch, known = member->epoch;
    if (told == known || told == 0)     /* who joins owns nothing: he begins anew */
        return RL_GROUP_OK;
    if (told < known && told == member->previous_epoch && call->owned_told &&
        rl_partition_set_is_subset(&call->owned, &member->assigned))
        return RL_GROUP_OK;             /* its last answer was lost */
    return say(call, RL_GROUP_FENCED_MEMBER_EPOCH, "The consumer group member has a %s member epoch (%d) than the one "
               "known by the group coordinator (%d). The member must abandon all its partitions and rejoin.",
               told > known ? "greater" : "smaller", told, known);
}

/* A member that the call names by both its ids. */
static enum rl_group_error find_static(const struct rl_group *group, struct rl_consumer_heartbeat *call,
                                       struct rl_consumer_member **ret_member)
{
    struct rl_consumer_member *member = rl_table_find(&group->consumer->by_instance_id, call->instance_id);
    if (member == NULL)
        return say(call, RL_GROUP_UNKNOWN_MEMBER, "Instance id %.*s is unknown.", TEXT(call->instance_id));
    if (!rl_slice_equal(member->id, call->member_id))
        return say(call, RL_GROUP_FENCED_INSTANCE, "Static member %.*s with instance id %.*s was fenced by member %.*s.",
                   TEXT(call->member_id), TEXT(call->instance_id), TEXT(member->id));
    *ret_member = member;
    return RL_GROUP_OK;
}

static enum rl_group_error find_dynamic(const struct rl_group *group, struct rl_consumer_heartbeat *call,
                                        struct rl_consumer_member **ret_member)
{
    struct rl_consumer_member *member = rl_consumer_group_find(group, call->member_id);
    if (member == NULL)
        return say(call, RL_GROUP_UNKNOWN_MEMBER, "Member %.*s is not a member of group %.*s.",
                   TEXT(call->member_id), TEXT(call->group_id));
    *ret_member = member;
    return RL_GROUP_OK;
}

/* A static member comes back under another id, or the same one: it takes over everything. */
struct rl_consumer_member *rl_consumer_member_replace(struct rl_consumer_member *old, struct rl_slice member_id)
{
    struct rl_group *group = old->group;
    struct rl_partition_set assigned = rl_partition_set_copy(&old->assigned), none = { 0 };
    struct rl_partition_set target = rl_partition_set_copy(&old->target);
    struct rl_consumer_member *member;
    struct rl_slice instance_id = rl_owned_copy(old->instance_id), regex = rl_owned_copy(old->regex);
    struct rl_slice assignor = rl_owned_copy(old->server_assignor), rack_id = rl_owned_copy(old->rack_id);
    const struct rl_slice *topics = old->topics;
    uint32_t topic_count = old->topic_count;
    int32_t rebalance_timeout_ms = old->rebalance_timeout_ms;

    rl_consumer_store_member_tombstones(old);
    struct rl_slice *names = rl_alloc_zero(topic_count + 1, sizeof *names);
    for (uint32_t i = 0; i < topic_count; i++)
        names[i] = rl_owned_copy(topics[i]);
    struct rl_group_regex *kept = regex.bytes > 0 ? rl_table_find(&group->consumer->regexes, regex) : NULL;
    if (kept != NULL)
        kept->members++;                /* it stays, and what it matched */
    rl_consumer_group_remove(old);
    member = rl_consumer_group_add(group, member_id);
    rl_consumer_member_set_instance(member, instance_id);
    rl_consumer_member_set_topics(member, names, topic_count);
    rl_consumer_member_set_regex(member, regex);
    if (kept != NULL)
        kept->members--;
    member->server_assignor = assignor;
    member->rack_id = rack_id;
    member->rebalance_timeout_ms = rebalance_timeout_ms;
    rl_consumer_member_set_partitions(member, &assigned, &none);
    rl_partition_set_move(&member->target, &target);
    rl_consumer_member_count(member);
    rl_consumer_store_member(member);
    if (kept != NULL && kept->resolved) /* it went with the tombstone of the last who reads by it */
        rl_consumer_store_regex(group, kept);
    rl_consumer_store_target(member);
    for (uint32_t i = 0; i < topic_count; i++)
        rl_owned_free(&names[i]);
    rl_free(names);
    rl_owned_free(&instance_id);
    rl_owned_free(&regex);
    return member;
}

static enum rl_group_error join_static(struct rl_group *group, struct rl_consumer_heartbeat *call,
                                       struct rl_consumer_member **ret_member)
{
    struct rl_consumer_member *old = rl_table_find(&group->consumer->by_instance_id, call->instance_id);
    if (old != NULL && !old->is_classic && old->epoch != RL_CONSUMER_LEAVE_STATIC)
        return say(call, RL_GROUP_UNRELEASED_INSTANCE, "Static member %.*s with instance id %.*s cannot join the group "
                   "because the instance id is owned by %.*s member.", TEXT(call->member_id),
                   TEXT(call->instance_id), TEXT(old->id));
    struct rl_consumer_member *member = rl_consumer_group_find(group, call->member_id);
    if (old != NULL) {
        if (member != NULL && member != old)
            return say(call, RL_GROUP_UNRELEASED_INSTANCE, "Member %.*s is in the group with another instance id.",
                       TEXT(call->member_id));
        *ret_member = rl_consumer_member_replace(old, call->member_id);
        return RL_GROUP_OK;
    }
    *ret_member = member != NULL ? member : rl_consumer_group_add(group, call->member_id);
    return RL_GROUP_OK;
}

static enum rl_group_error find_or_join(struct rl_group *group, struct rl_consumer_heartbeat *call,
                                        struct rl_consumer_member **ret_member)
{
    struct rl_consumer_member *member = NULL;
    enum rl_group_error error;
    if (call->member_epoch == 0 && call->instance_id.data != NULL)
        return join_static(group, call, ret_member);
    if (call->member_epoch == 0 && rl_consumer_group_find(group, call->member_id) == NULL) {
        *ret_member = rl_consumer_group_add(group, call->member_id);
        return RL_GROUP_OK;
    }
    error = call->instance_id.data != NULL ? find_static(group, call, &member) : find_dynamic(group, call, &member);
    if (error == RL_GROUP_OK)
        error = check_epoch(call, member);
    if (error == RL_GROUP_OK)
        *ret_member = member;
    return error;
}

/* ---- what it tells anew ---- */

static bool set(struct rl_slice *field, struct rl_slice told)
{
    if (told.data == NULL || (field->data != NULL && rl_slice_equal(*field, told)))
        return false;
    rl_owned_set(field, told);
    return true;
}

static bool set_topics(struct rl_consumer_member *member, const struct rl_consumer_heartbeat *call)
{
    uint32_t old_count = member->topic_count, same = 0;
    struct rl_slice *old = rl_alloc_zero(old_count + 1, sizeof *old);
    if (!call->topics_told) {
        rl_free(old);
        return false;
    }
    for (uint32_t i = 0; i < old_count; i++)
        old[i] = rl_owned_copy(member->topics[i]);
    rl_consumer_member_set_topics(member, call->topics, call->topic_count);
    for (uint32_t i = 0; i < old_count; i++) {
        same += i < member->topic_count && rl_slice_equal(old[i], member->topics[i]);
        rl_owned_free(&old[i]);
    }
    rl_free(old);
    return same != old_count || member->topic_count != old_count;
}

struct changes {
    bool any, topics, regex;
};

static struct changes take_what_is_told(struct rl_consumer_member *member, const struct rl_consumer_heartbeat *call)
{
    struct rl_group *group = member->group;
    struct changes changes = { .topics = set_topics(member, call) };
    struct rl_slice old_regex = rl_owned_copy(member->regex);
    if (call->instance_id.data != NULL &&
        (member->instance_id.data == NULL || !rl_slice_equal(member->instance_id, call->instance_id))) {
        rl_consumer_member_set_instance(member, call->instance_id);
        changes.any = true;
    }
    changes.any |= set(&member->rack_id, call->rack_id);
    changes.any |= set(&member->server_assignor, call->server_assignor);
    changes.any |= set(&member->client_id, call->client_id);
    changes.any |= set(&member->client_host, call->client_host);
    if (call->rebalance_timeout_ms != -1 && member->rebalance_timeout_ms != call->rebalance_timeout_ms) {
        member->rebalance_timeout_ms = call->rebalance_timeout_ms;
        changes.any = true;
    }
    if (call->regex.data != NULL && !rl_slice_equal(call->regex, member->regex)) {
        rl_consumer_member_set_regex(member, call->regex);
        changes.regex = true;
        if (old_regex.bytes > 0 && rl_table_find(&group->consumer->regexes, old_regex) == NULL)
            rl_consumer_store_regex_tombstone(group, old_regex);
    }
    rl_owned_free(&old_regex);
    if (member->is_classic != call->is_classic) {
        member->is_classic = call->is_classic;
        rl_consumer_member_set_protocols(member, NULL, 0);
        rl_timer_stop(group->groups->shard, &member->rebalance_timer);  /* it was to join, or to sync */
        if (member->state == RL_CONSUMER_MEMBER_UNREVOKED)
            rl_consumer_member_start_rebalance(member);
        changes.any = true;
    }
    changes.any |= changes.topics | changes.regex;
    if (changes.any)
        rl_consumer_member_count(member);
    return changes;
}

/* New names, other names, or other topics behind them: the next epoch. */
static void maybe_next_epoch(struct rl_consumer_member *member, const struct changes *changes)
{
    struct rl_group *group = member->group;
    struct rl_consumer_group *c = group->consumer;
    uint64_t generation = rl_group_image(group)->generation;
    const struct rl_group_regex *regex = member->regex.bytes > 0 ? rl_table_find(&c->regexes, member->regex) : NULL;
    bool regex_counts = changes->regex && (member->regex.bytes == 0 || regex->resolved);
    bool next = changes->topics || regex_counts;
    if (!next && generation != c->image_generation)
        next = rl_consumer_group_hash(group) != c->metadata_hash;
    c->image_generation = generation;
    if (next)
        rl_consumer_group_next_epoch(group);
    else if (!c->is_stored)
        rl_consumer_store_epoch(group);
}

/* ---- the answer ---- */

static void on_written(struct rl_group_write *write, rl_status status)
{
    struct rl_consumer_heartbeat *call = RL_CONTAINER_OF(write, struct rl_consumer_heartbeat, write);
    struct rl_group *group = call->group;
    if (status != RL_OK)
        call->error = rl_consumer_write_error(status);
    call->answer.done(&call->answer);
    rl_consumer_group_write_ends(group);
}

static void answer_when_stored(struct rl_group *group, struct rl_consumer_heartbeat *call, bool changed)
{
    call->group = group;
    if (!changed && group->writes_in_flight == 0) {
        rl_group_answer(group, &call->answer);
        return;
    }
    call->write = (struct rl_group_write){ .done = on_written, .applied = changed };
    rl_consumer_group_write_begins(group);      /* without records it waits for those before it */
    group->groups->store->end(group->groups->store, &call->write);
}

static void tell_member(struct rl_consumer_heartbeat *call, struct rl_slice member_id, int32_t epoch)
{
    call->memory = (void *)(uintptr_t)rl_owned_copy(member_id).data;
    call->ret_member_id = rl_slice_of(call->memory, member_id.bytes);
    call->ret_member_epoch = epoch;
}

/* It has told everything there is: it wants to hear everything. */
static bool is_full(const struct rl_consumer_heartbeat *call)
{
    return call->member_epoch == 0 || (call->rebalance_timeout_ms != -1 && call->owned_told &&
                                       (call->topics_told || call->regex.data != NULL));
}

/* ---- it stays ---- */

void rl_consumer_member_beat(struct rl_consumer_member *member, const struct rl_consumer_heartbeat *call)
{
    struct rl_group *group = member->group;
    struct changes changes = take_what_is_told(member, call);
    if (changes.any)
        rl_consumer_store_member(member);
    if (changes.regex && call->found != NULL && call->regex.bytes > 0)  /* its record only counts behind the member's */
        rl_consumer_regex_take(group, rl_table_find(&group->consumer->regexes, call->regex), call->found,
                               call->found_count, call->found_generation);
    maybe_next_epoch(member, &changes);
    rl_consumer_group_maybe_resolve(group);
    rl_consumer_group_maybe_assign(group, call->assignment_interval_ms);
    if (rl_consumer_member_reconcile(member, call->owned_told ? &call->owned : NULL,
                                     changes.topics || changes.regex)) {
        rl_consumer_store_current(member);
        rl_timer_stop(group->groups->shard, &member->rebalance_timer);
        if (member->state == RL_CONSUMER_MEMBER_UNREVOKED)
            rl_consumer_member_start_rebalance(member);
    }
    rl_consumer_member_start_session(member);
}

static void stay(struct rl_group *group, struct rl_consumer_heartbeat *call)
{
    struct rl_consumer_member *member = NULL;   /* gcc -O2 does not see that it is set */
    uint64_t before = group->consumer->records;
    enum rl_group_error error = find_or_join(group, call, &member);
    if (error != RL_GROUP_OK) {
        call->error = error;
        rl_group_answer(group, &call->answer);
        return;
    }
    struct rl_partition_set had = rl_partition_set_copy(&member->assigned);
    rl_consumer_member_beat(member, call);
    tell_member(call, member->id, member->epoch);
    call->ret_heartbeat_interval_ms = group->groups->limits->consumer_heartbeat_interval_ms;
    call->ret_assignment_told = is_full(call) || !rl_partition_set_equal(&had, &member->assigned);
    if (call->ret_assignment_told)
        call->ret_assignment = rl_partition_set_copy(&member->assigned);
    rl_partition_set_done(&had);
    answer_when_stored(group, call, group->consumer->records != before);
}

/* ---- it leaves ---- */

static void leave_to_come_back(struct rl_consumer_member *member)
{
    struct rl_partition_set assigned = rl_partition_set_copy(&member->assigned), none = { 0 };
    rl_consumer_member_set_partitions(member, &assigned, &none);
    member->epoch = RL_CONSUMER_LEAVE_STATIC;
    member->state = RL_CONSUMER_MEMBER_STABLE;
    rl_timer_stop(member->group->groups->shard, &member->rebalance_timer);
    rl_consumer_store_current(member);
}

static void leave(struct rl_group *group, struct rl_consumer_heartbeat *call)
{
    struct rl_consumer_member *member;
    enum rl_group_error error = call->instance_id.data != NULL ? find_static(group, call, &member)
                                                               : find_dynamic(group, call, &member);
    if (error != RL_GROUP_OK) {
        call->error = error;
        rl_group_answer(group, &call->answer);
        return;
    }
    tell_member(call, member->id, call->member_epoch);
    if (call->member_epoch == RL_CONSUMER_LEAVE_STATIC)
        leave_to_come_back(member);
    else
        rl_consumer_group_fence(member, "it leaves");
    rl_consumer_group_maybe_downgrade(group, group->consumer->epoch - 1);
    answer_when_stored(group, call, true);
}

void rl_groups_consumer_heartbeat(struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    call->error = check_request(groups, call);
    if (call->error != RL_GROUP_OK)
        rl_list_push_back(groups->answers, &call->answer.link);
    else if (call->member_epoch < 0 || call->regex.bytes == 0 || !rl_consumer_regex_search(groups, call))
        rl_consumer_heartbeat_go_on(groups, call);
}

void rl_consumer_heartbeat_go_on(struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    struct rl_group *group = NULL;
    char made[RL_UUID_TEXT_BYTES];
    call->error = find_group(groups, call, &group);
    if (call->error != RL_GROUP_OK) {
        group = rl_groups_find(groups, call->group_id);
        if (group != NULL)
            rl_group_drop_if_unused(group);
        rl_list_push_back(groups->answers, &call->answer.link);
        return;
    }
    if (call->member_id.bytes == 0) {   /* version 0: the member is told its id */
        struct rl_uuid id;
        for (size_t i = 0; i < sizeof id.bytes; i += 8)
            memcpy(id.bytes + i, &(uint64_t){ rl_shard_random(groups->shard) }, 8);
        rl_uuid_format(id, made);
        call->member_id = rl_slice_of_string(made);
    }
    if (call->member_epoch < 0)
        leave(group, call);
    else
        stay(group, call);
}

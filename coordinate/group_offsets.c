/* coordinate/group_offsets.c — offsets of groups: committed, asked for, deleted.
 *
 * Happy path of a commit: the member and its generation are checked, the records join the batch of
 * this turn, and when that is on stable storage the offsets are what the group has committed.
 * Deletions take effect in memory at once; if they cannot be stored everything is read again.
 * Failures: see rl_group_error; a write that failed is NOT_AVAILABLE, and clients ask again. */
#include "coordinate/group_offsets.h"
#include "coordinate/consumer_group_internal.h"
#include "coordinate/group_id.h"
#include "coordinate/owned.h"
#include "core/text.h"
#include <stdlib.h>

/* One commit may take so much of the log; a client that wants more makes several. */
#define COMMIT_BYTES_MAX ((size_t)16 << 20)
#define RECORD_BYTES 64                 /* of an offset, beside its texts */
#define COMPARISONS_MAX 10000000u       /* of one OffsetDelete with commits on their way */

static void answer(struct rl_groups *groups, struct rl_group_answer *call)
{
    rl_list_push_back(groups->answers, &call->link);
}

static enum rl_group_error write_error(rl_status status)
{
    return status == RL_OK ? RL_GROUP_OK
         : status == RL_ENOTLEADER || status == RL_ESTOPPING || status == RL_EIO ? RL_GROUP_NOT_COORDINATOR
                                                                                  : RL_GROUP_NOT_AVAILABLE;
}

/* ---- commit ---- */

/* May a member that is in a later epoch by now still commit this?  It has had the partition since
 * before the epoch that it tells (KIP-1251). */
static bool has_kept(const struct rl_consumer_member *member, const struct rl_offset_commit *commit,
                     const struct rl_offset_commit_partition *partition)
{
    const struct rl_topic *topic = rl_image_find(rl_group_image(member->group), partition->topic);
    const struct rl_partition_owner *owner = topic == NULL ? NULL :
        rl_consumer_group_owner(member->group, (struct rl_topic_partition){ topic->id, partition->partition });
    return owner != NULL && owner->member == member && owner->assignment_epoch <= commit->generation;
}

/* As the consumer protocol has it (KIP-848). */
static enum rl_group_error check_consumer_commit(const struct rl_group *group, const struct rl_offset_commit *commit)
{
    enum rl_group_error stale = commit->knows_group_ids ? RL_GROUP_STALE_MEMBER_EPOCH : RL_GROUP_UNSUPPORTED_VERSION;
    if (commit->generation < 0 && rl_group_is_empty(group))
        return RL_GROUP_OK;
    const struct rl_consumer_member *member = rl_consumer_group_find(group, commit->member_id);
    if (member == NULL)
        return RL_GROUP_UNKNOWN_MEMBER;
    if (member->is_classic)
        return commit->generation == member->epoch ? RL_GROUP_OK : RL_GROUP_ILLEGAL_GENERATION;
    if (!commit->knows_group_ids)
        return RL_GROUP_UNSUPPORTED_VERSION;
    if (commit->generation == member->epoch)
        return RL_GROUP_OK;
    if (commit->generation > member->epoch || commit->generation < 0)
        return stale;
    for (uint32_t i = 0; i < commit->partition_count; i++)
        if (!commit->partitions[i].refused && !has_kept(member, commit, &commit->partitions[i]))
            return stale;
    return RL_GROUP_OK;
}

/* May this commit be made now?  Kafka's rules for the classic protocol. */
static enum rl_group_error check_commit(const struct rl_group *group, const struct rl_offset_commit *commit)
{
    if (group->consumer != NULL)
        return check_consumer_commit(group, commit);
    bool names_member = commit->generation >= 0 || commit->member_id.bytes > 0 ||
                        commit->instance_id.data != NULL;
    if (commit->generation < 0 && group->state == RL_GROUP_EMPTY)
        return RL_GROUP_OK;
    if (!names_member && group->state != RL_GROUP_EMPTY)
        return RL_GROUP_UNKNOWN_MEMBER;
    if (names_member) {
        enum rl_group_error error = rl_group_check_member(group, commit->member_id, commit->instance_id);
        if (error != RL_GROUP_OK)
            return error;
        if (commit->generation != group->generation)
            return RL_GROUP_ILLEGAL_GENERATION;
    }
    return group->state == RL_GROUP_COMPLETING ? RL_GROUP_REBALANCING : RL_GROUP_OK;
}

void rl_group_store_offset(struct rl_group *group, struct rl_slice topic, int32_t partition,
                           const struct rl_committed_offset *offset)
{
    struct rl_text key = { 0 }, value = { 0 };
    rl_group_record_offset_key(&key, group->id, topic, partition);
    rl_group_record_offset_value(&value, offset);
    group->groups->store->add(group->groups->store, rl_text_slice(&key), rl_text_slice(&value));
    rl_text_done(&key);
    rl_text_done(&value);
}

static bool is_stored(const struct rl_offset_commit_partition *partition)
{
    return !partition->refused && partition->error == RL_GROUP_OK;
}

static void on_commit_stored(struct rl_group_write *write, rl_status status)
{
    struct rl_offset_commit *commit = RL_CONTAINER_OF(write, struct rl_offset_commit, write);
    struct rl_group *group = commit->group;
    rl_list_remove(&commit->link);
    for (uint32_t i = 0; i < commit->partition_count; i++) {
        struct rl_offset_commit_partition *partition = &commit->partitions[i];
        if (!is_stored(partition))
            continue;
        partition->error = write_error(status);
        group->first_commits_in_flight -= partition->is_first;
        if (group->groups != NULL && !partition->is_first)
            rl_committed_offsets_note_commit(&group->offsets, partition->topic, partition->partition, false);
        if (status == RL_OK && group->groups != NULL && !partition->is_removed)
            rl_committed_offsets_put(&group->offsets, partition->topic, partition->partition, &partition->value);
    }
    bool is_dropped = group->groups == NULL;
    rl_group_release(group);
    if (!is_dropped)
        rl_group_drop_if_unused(group); /* made for this commit, of which nothing was stored */
    commit->answer.done(&commit->answer);
}

static void refuse_commit(struct rl_groups *groups, struct rl_offset_commit *commit, enum rl_group_error error)
{
    commit->error = error;
    answer(groups, &commit->answer);
}

static struct rl_group *commit_group(struct rl_groups *groups, struct rl_offset_commit *commit)
{
    struct rl_group *group = rl_groups_find(groups, commit->group_id);
    if (group != NULL)
        return group;
    if (commit->generation < 0)         /* somebody who manages his partitions himself */
        return rl_groups_find_or_create(groups, commit->group_id);
    refuse_commit(groups, commit, commit->knows_group_ids ? RL_GROUP_ID_NOT_FOUND : RL_GROUP_ILLEGAL_GENERATION);
    return NULL;
}

/* What the commit takes in the log, about. */
static bool is_too_large(const struct rl_offset_commit *commit)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < commit->partition_count && bytes <= COMMIT_BYTES_MAX; i++)
        if (!commit->partitions[i].refused)
            bytes += RECORD_BYTES + commit->group_id.bytes + commit->partitions[i].topic.bytes +
                     commit->partitions[i].value.metadata.bytes;
    return bytes > COMMIT_BYTES_MAX;
}

static void store_commit(struct rl_group *group, struct rl_offset_commit *commit)
{
    int64_t wall_ms = group->groups->shard->wall_ms;
    for (uint32_t i = 0; i < commit->partition_count; i++) {
        struct rl_offset_commit_partition *partition = &commit->partitions[i];
        struct rl_committed_offset *value = &partition->value;
        if (!partition->refused && rl_utf16_units(value->metadata) > (size_t)commit->metadata_units_max)
            partition->error = RL_GROUP_METADATA_TOO_LARGE;
        if (!is_stored(partition))
            continue;
        value->commit_ms = wall_ms;
        value->expire_ms = partition->retention_ms >= 0 && partition->retention_ms < INT64_MAX - wall_ms
                         ? wall_ms + partition->retention_ms : -1;
        if (value->metadata.data == NULL)
            value->metadata = rl_slice_of("", 0);
        rl_group_store_offset(group, partition->topic, partition->partition, value);
        partition->is_first = !rl_committed_offsets_note_commit(&group->offsets, partition->topic,
                                                                partition->partition, true);
        group->first_commits_in_flight += partition->is_first;
    }
    commit->group = group;
    rl_list_push_back(&group->commits, &commit->link);
    commit->write = (struct rl_group_write){ .done = on_commit_stored };
    rl_group_hold(group);
    group->groups->store->end(group->groups->store, &commit->write);
}

void rl_groups_commit_offsets(struct rl_groups *groups, struct rl_offset_commit *commit)
{
    struct rl_group *group = commit_group(groups, commit);
    if (group == NULL)
        return;
    enum rl_group_error error = check_commit(group, commit);
    if (error == RL_GROUP_OK && is_too_large(commit))
        error = RL_GROUP_COMMIT_TOO_LARGE;
    if (error != RL_GROUP_OK) {
        refuse_commit(groups, commit, error);
        rl_group_drop_if_unused(group);
        return;
    }
    if (group->state == RL_GROUP_STABLE || group->state == RL_GROUP_PREPARING)
        rl_group_touch_member(group, commit->member_id);
    store_commit(group, commit);
}

/* ---- fetch ---- */

static size_t metadata_bytes(const struct rl_committed_offset *offset)
{
    return offset != NULL ? offset->metadata.bytes : 0;
}

static void fill(struct rl_offset_fetch_partition *to, const struct rl_committed_offset *from, uint8_t **at)
{
    to->offset = from != NULL ? from->offset : -1;
    to->leader_epoch = from != NULL ? from->leader_epoch : -1;
    to->metadata = rl_slice_of(*at, metadata_bytes(from));
    if (to->metadata.bytes > 0)
        memcpy(*at, from->metadata.data, from->metadata.bytes);
    *at += to->metadata.bytes;
}

static bool fetch_reserve(struct rl_offset_fetch *fetch, size_t bytes)
{
    if (bytes > fetch->bytes_max) {
        fetch->error = RL_GROUP_INTERNAL;
        return false;
    }
    fetch->memory = rl_alloc(bytes);
    fetch->bytes = bytes;
    return true;
}

static void fetch_asked(const struct rl_committed_offsets *offsets, struct rl_offset_fetch *fetch)
{
    size_t bytes = 1;
    for (uint32_t t = 0; t < fetch->topic_count; t++)
        for (uint32_t i = 0; i < fetch->topics[t].partition_count; i++)
            bytes += metadata_bytes(rl_committed_offsets_find(offsets, fetch->topics[t].name,
                                                              fetch->topics[t].partitions[i].partition));
    if (!fetch_reserve(fetch, bytes))
        return;
    uint8_t *at = fetch->memory;
    for (uint32_t t = 0; t < fetch->topic_count; t++)
        for (uint32_t i = 0; i < fetch->topics[t].partition_count; i++) {
            struct rl_offset_fetch_partition *partition = &fetch->topics[t].partitions[i];
            fill(partition, rl_committed_offsets_find(offsets, fetch->topics[t].name, partition->partition), &at);
        }
}

static size_t all_bytes(const struct rl_committed_offsets *offsets)
{
    size_t bytes = 1;
    RL_LIST_EACH(node, &offsets->topics) {
        const struct rl_offsets_topic *topic = RL_LIST_ENTRY(node, struct rl_offsets_topic, link);
        bytes += sizeof(struct rl_offset_fetch_topic) + topic->name.bytes;
        bytes += topic->count * sizeof(struct rl_offset_fetch_partition);
        for (uint32_t i = 0; i < topic->count; i++)
            bytes += topic->entries[i].value.metadata.bytes;
    }
    return bytes;
}

static int compare_partitions(const void *a, const void *b)
{
    const struct rl_offset_fetch_partition *one = a, *other = b;
    return (one->partition > other->partition) - (one->partition < other->partition);
}

static void fetch_all(const struct rl_committed_offsets *offsets, struct rl_offset_fetch *fetch)
{
    if (!fetch_reserve(fetch, all_bytes(offsets)))
        return;
    fetch->topics = fetch->memory;
    fetch->topic_count = rl_table_count(&offsets->by_topic);
    struct rl_offset_fetch_partition *partition = (void *)(fetch->topics + fetch->topic_count);
    uint8_t *at = (uint8_t *)(partition + offsets->count);
    struct rl_offset_fetch_topic *to = fetch->topics;
    RL_LIST_EACH(node, &offsets->topics) {
        const struct rl_offsets_topic *topic = RL_LIST_ENTRY(node, struct rl_offsets_topic, link);
        *to = (struct rl_offset_fetch_topic){ .name = rl_slice_of(at, topic->name.bytes),
                                              .partitions = partition, .partition_count = topic->count };
        memcpy(at, topic->name.data, topic->name.bytes);
        at += topic->name.bytes;
        for (uint32_t i = 0; i < topic->count; i++, partition++) {
            partition->partition = topic->entries[i].partition;
            fill(partition, &topic->entries[i].value, &at);
        }
        qsort(to->partitions, to->partition_count, sizeof *to->partitions, compare_partitions);
        to++;
    }
}

/* A member that asks tells its epoch, so that it hears nothing of a life that is over. */
static enum rl_group_error check_fetch(const struct rl_group *group, const struct rl_offset_fetch *fetch)
{
    if (group == NULL || (fetch->member_id.data == NULL && fetch->member_epoch < 0))
        return RL_GROUP_OK;
    if (group->consumer == NULL)
        return RL_GROUP_OK;
    if (fetch->member_id.data == NULL)
        return RL_GROUP_INTERNAL;
    const struct rl_consumer_member *member = rl_consumer_group_find(group, fetch->member_id);
    return member == NULL                        ? RL_GROUP_UNKNOWN_MEMBER
         : member->epoch != fetch->member_epoch ? RL_GROUP_STALE_MEMBER_EPOCH
                                                 : RL_GROUP_OK;
}

void rl_groups_fetch_offsets(struct rl_groups *groups, struct rl_offset_fetch *fetch)
{
    const struct rl_group *group = rl_groups_find(groups, fetch->group_id);
    fetch->error = check_fetch(group, fetch);
    struct rl_committed_offsets none;
    rl_committed_offsets_init(&none, 0);
    const struct rl_committed_offsets *offsets = group != NULL ? &group->offsets : &none;
    if (fetch->all)
        fetch_all(offsets, fetch);
    else
        fetch_asked(offsets, fetch);
}

/* ---- delete ---- */

static void add_tombstone(struct rl_group *group, struct rl_slice topic, int32_t partition)
{
    struct rl_text key = { 0 };
    rl_group_record_offset_key(&key, group->id, topic, partition);
    group->groups->store->add(group->groups->store, rl_text_slice(&key), (struct rl_slice){ 0 });
    rl_text_done(&key);
}

/* What commits on their way say of it (of all its partitions: -1) stands before this in the log, and changes
 * nothing any more.  True: there was something that memory does not know of. */
static bool overtake_commits(struct rl_group *group, struct rl_slice topic, int32_t partition)
{
    bool is_any = false;
    RL_LIST_EACH(node, &group->commits) {
        struct rl_offset_commit *commit = RL_LIST_ENTRY(node, struct rl_offset_commit, link);
        for (uint32_t i = 0; i < commit->partition_count; i++) {
            struct rl_offset_commit_partition *one = &commit->partitions[i];
            if (!is_stored(one) || (partition >= 0 && one->partition != partition) || !rl_slice_equal(one->topic, topic))
                continue;
            if (partition < 0 && one->is_first && !one->is_removed)
                add_tombstone(group, topic, one->partition);
            is_any |= one->is_first;
            one->is_removed = true;
        }
    }
    return is_any;
}

bool rl_group_forget_commits(struct rl_group *group, struct rl_slice topic)
{
    return overtake_commits(group, topic, -1);
}

/* Each partition is looked for in each commit on its way. */
static bool is_too_busy(const struct rl_group *group, uint32_t asked)
{
    uint64_t in_flight = 0;
    RL_LIST_EACH(node, &group->commits)
        in_flight += RL_LIST_ENTRY(node, struct rl_offset_commit, link)->partition_count;
    return in_flight * asked > COMPARISONS_MAX;
}

void rl_group_remove_offset(struct rl_group *group, struct rl_slice topic, int32_t partition)
{
    overtake_commits(group, topic, partition);
    add_tombstone(group, topic, partition);
    rl_committed_offsets_remove(&group->offsets, topic, partition);
}

/* Commits on their way stand before this in the log, and may be of partitions that nothing knows yet. */
static void add_tombstones_of_commits(struct rl_group *group)
{
    RL_LIST_EACH(node, &group->commits) {
        const struct rl_offset_commit *commit = RL_LIST_ENTRY(node, struct rl_offset_commit, link);
        for (uint32_t i = 0; i < commit->partition_count; i++)
            if (is_stored(&commit->partitions[i]) && commit->partitions[i].is_first)
                add_tombstone(group, commit->partitions[i].topic, commit->partitions[i].partition);
    }
}

void rl_group_remove(struct rl_group *group)
{
    add_tombstones_of_commits(group);
    RL_LIST_EACH(node, &group->offsets.topics) {
        const struct rl_offsets_topic *topic = RL_LIST_ENTRY(node, struct rl_offsets_topic, link);
        for (uint32_t i = 0; i < topic->count; i++)
            add_tombstone(group, topic->name, topic->entries[i].partition);
    }
    rl_group_store_tombstone(group);
    rl_group_drop(group, RL_GROUP_ID_NOT_FOUND);
}

static void on_deleted(struct rl_group_write *write, rl_status status)
{
    struct rl_group_delete *call = RL_CONTAINER_OF(write, struct rl_group_delete, write);
    call->error = write_error(status);
    call->answer.done(&call->answer);
}

void rl_groups_delete(struct rl_groups *groups, struct rl_group_delete *call)
{
    struct rl_group *group = rl_groups_find(groups, call->group_id);
    call->error = group == NULL                  ? RL_GROUP_ID_NOT_FOUND
                : !rl_group_is_empty(group)      ? RL_GROUP_NOT_EMPTY
                                                 : RL_GROUP_OK;
    if (call->error != RL_GROUP_OK) {
        answer(groups, &call->answer);
        return;
    }
    call->write = (struct rl_group_write){ .done = on_deleted, .applied = true };
    rl_group_remove(group);
    groups->store->end(groups->store, &call->write);
}

static void on_offsets_deleted(struct rl_group_write *write, rl_status status)
{
    struct rl_offset_delete *call = RL_CONTAINER_OF(write, struct rl_offset_delete, write);
    call->error = write_error(status);
    call->answer.done(&call->answer);
}

void rl_groups_delete_offsets(struct rl_groups *groups, struct rl_offset_delete *call)
{
    struct rl_group *group = rl_groups_find(groups, call->group_id);
    call->error = call->group_id.bytes == 0 ? RL_GROUP_INVALID_ID
                : group == NULL             ? RL_GROUP_ID_NOT_FOUND
                : !rl_group_is_empty(group) && !rl_group_uses_consumer_protocol(group) ? RL_GROUP_NOT_EMPTY
                : is_too_busy(group, call->partition_count) ? RL_GROUP_NOT_AVAILABLE    /* clients ask again */
                                                            : RL_GROUP_OK;
    if (call->error != RL_GROUP_OK) {
        answer(groups, &call->answer);
        return;
    }
    for (uint32_t i = 0; i < call->partition_count; i++) {
        struct rl_offset_delete_partition *partition = &call->partitions[i];
        if (partition->refused)
            continue;
        if (rl_group_is_subscribed(group, partition->topic))
            partition->error = RL_GROUP_SUBSCRIBED_TO_TOPIC;
        else if (rl_committed_offsets_find(&group->offsets, partition->topic, partition->partition) != NULL ||
                 group->first_commits_in_flight > 0)    /* one of them may be of this partition */
            rl_group_remove_offset(group, partition->topic, partition->partition);
    }
    call->write = (struct rl_group_write){ .done = on_offsets_deleted, .applied = true };
    groups->store->end(groups->store, &call->write);
}

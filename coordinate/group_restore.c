/* coordinate/group_restore.c — one record of __consumer_offsets after the other, until groups are as they
 * were: the last record of a key counts.
 *
 * Failures: a record that cannot be read changes nothing. */
#include "coordinate/consumer_group_internal.h"

static void apply_offset(struct rl_group *group, const struct rl_group_record *record)
{
    if (record->tombstone)
        rl_committed_offsets_remove(&group->offsets, record->topic, record->partition);
    else
        rl_committed_offsets_put(&group->offsets, record->topic, record->partition, &record->offset);
}

rl_status rl_groups_restore_record(struct rl_groups *groups, struct rl_slice key, struct rl_slice value)
{
    struct rl_group_record record;
    rl_status status = rl_group_record_read(key, value, &record);
    if (status == RL_OK && record.kind == RL_GROUP_RECORD_OTHER)
        return rl_consumer_group_restore(groups, key, value);
    if (status != RL_OK)
        return status;
    struct rl_group *group = record.tombstone ? rl_groups_find(groups, record.group)
                                              : rl_groups_find_or_create(groups, record.group);
    if (group == NULL)
        return RL_OK;
    if (record.kind == RL_GROUP_RECORD_OFFSET) {
        apply_offset(group, &record);
    } else if (!record.tombstone || group->consumer == NULL) {  /* else it is of the other protocol already */
        status = rl_group_restore(group, record.tombstone ? NULL : &record.value);
    }
    rl_group_drop_if_unused(group);
    return status;
}

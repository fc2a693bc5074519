/* coordinate/consumer_group_internal.h — what the files of a consumer group share. */
#ifndef RL_COORDINATE_CONSUMER_GROUP_INTERNAL_H
#define RL_COORDINATE_CONSUMER_GROUP_INTERNAL_H

#include "coordinate/consumer_group.h"
#include "replicate/metadata_image.h"

static inline const struct rl_image *rl_group_image(const struct rl_group *group)
{
    const struct rl_groups *groups = group->groups;
    return groups->image != NULL ? groups->image(groups) : rl_image_current(groups->shard);
}

/* ---- consumer_group.c ---- */
/* An empty group of the classic protocol is one of this protocol now, and back; nothing is stored.
 * Nobody is in it. */
void rl_consumer_group_begin(struct rl_group *group);
void rl_consumer_group_end(struct rl_group *group);
void rl_consumer_member_set_protocols(struct rl_consumer_member *member, const struct rl_group_protocol *protocols,
                                      uint32_t count);
struct rl_consumer_member *rl_consumer_group_add(struct rl_group *group, struct rl_slice member_id);
void rl_consumer_group_remove(struct rl_consumer_member *member);
void rl_consumer_member_set_instance(struct rl_consumer_member *member, struct rl_slice instance_id);
/* What members of a group tell may take so much; as in the classic protocol. */
#define RL_CONSUMER_MEMBER_BYTES_MAX ((size_t)256 << 20)
/* What names take in memory. */
static inline size_t rl_consumer_names_bytes(const struct rl_slice *names, uint32_t count)
{
    size_t bytes = count * sizeof *names;
    for (uint32_t i = 0; i < count; i++)
        bytes += names[i].bytes;
    return bytes;
}

/* Count anew what it takes, when its texts have changed. */
void rl_consumer_member_count(struct rl_consumer_member *member);
/* May this member tell so much? */
bool rl_consumer_group_has_room(const struct rl_group *group, struct rl_slice member_id, size_t bytes);
/* Names in any order. */
void rl_consumer_member_set_topics(struct rl_consumer_member *member, const struct rl_slice *topics,
                                   uint32_t count);
void rl_consumer_member_set_regex(struct rl_consumer_member *member, struct rl_slice regex);
/* Take both sets; partitions that it had before keep the epoch in which it got them. */
void rl_consumer_member_set_partitions(struct rl_consumer_member *member, struct rl_partition_set *assigned,
                                       struct rl_partition_set *revoking);
bool rl_consumer_member_reads(const struct rl_consumer_member *member, struct rl_slice topic);
/* Names, sorted and each once; the set of topics of a regular expression is this now. */
void rl_group_regex_set_topics(struct rl_group *group, struct rl_group_regex *regex,
                               const struct rl_slice *topics, uint32_t count);

/* ---- consumer_store.c: records join the next write ---- */
void rl_consumer_store_epoch(struct rl_group *group);
void rl_consumer_store_member(const struct rl_consumer_member *member);
void rl_consumer_store_target_epoch(struct rl_group *group);
void rl_consumer_store_target(const struct rl_consumer_member *member);
void rl_consumer_store_current(const struct rl_consumer_member *member);
void rl_consumer_store_member_tombstones(const struct rl_consumer_member *member);
void rl_consumer_store_regex(struct rl_group *group, const struct rl_group_regex *regex);
void rl_consumer_store_regex_tombstone(struct rl_group *group, struct rl_slice text);

/* All that is known of the group joins the next write; tombstones of the group itself. */
void rl_consumer_group_store(struct rl_group *group);
void rl_consumer_group_store_tombstone(struct rl_group *group);
/* A record that was read: OK also for those of other protocols; statuses of
 * rl_consumer_group_record_read. */
rl_status rl_consumer_group_restore(struct rl_groups *groups, struct rl_slice key, struct rl_slice value);
/* Everything is loaded: members have their timeouts from now. */
void rl_consumer_group_begin_sessions(struct rl_group *group);

/* ---- consumer_member.c: members come, change and go ---- */
/* Removed, with its records; the group is in its next epoch. */
void rl_consumer_group_fence(struct rl_consumer_member *member, const char *reason);
void rl_consumer_member_start_session(struct rl_consumer_member *member);
void rl_consumer_member_start_rebalance(struct rl_consumer_member *member);
/* The group is in its next epoch: its record joins the next write. */
void rl_consumer_group_next_epoch(struct rl_group *group);
/* A write of nobody's: all that joined is written. */
void rl_consumer_group_write(struct rl_group *group);
void rl_consumer_group_write_begins(struct rl_group *group);
/* The write has come back. */
void rl_consumer_group_write_ends(struct rl_group *group);
/* What a call is told whose write came back so. */
enum rl_group_error rl_consumer_write_error(rl_status status);

/* ---- consumer_migrate.c ---- */
/* A classic group with members is of this protocol now, which this call may join: nothing keeps it from
 * that afterwards.  False: *ret_why says why it cannot be.  Stored, not ended. */
bool rl_consumer_group_upgrade(struct rl_group *group, const struct rl_consumer_heartbeat *call,
                               const char **ret_why);
/* If only members of the classic protocol are left, the group is a classic one now, in this generation
 * (that which they know), and rebalances; unless everyone has what he is to have, in the group's epoch.  Stored, not ended. */
void rl_consumer_group_maybe_downgrade(struct rl_group *group, int32_t generation);

/* ---- consumer_target.c ---- */
/* Of the topics that members read, as the image has them; 0: of none. */
uint64_t rl_consumer_group_hash(const struct rl_group *group);
/* A topic's part in that; 0: the image does not have it. */
uint64_t rl_consumer_topic_hash(const struct rl_image *image, struct rl_slice name);
/* If the assignment is behind the epoch, and none was made for interval_ms, make it, with its records. */
void rl_consumer_group_maybe_assign(struct rl_group *group, int32_t interval_ms);

/* ---- consumer_reconcile.c ---- */
/* Move a member towards its target.  owned NULL: not told.  True: it changed. */
bool rl_consumer_member_reconcile(struct rl_consumer_member *member, const struct rl_partition_set *owned,
                                  bool subscription_changed);

/* ---- consumer_heartbeat.c ---- */
/* What a member tells, of either protocol, is taken, and the member moves a step.  Stored, not ended. */
void rl_consumer_member_beat(struct rl_consumer_member *member, const struct rl_consumer_heartbeat *call);
/* A static member comes back under this id: it takes over everything, the old one is gone. */
struct rl_consumer_member *rl_consumer_member_replace(struct rl_consumer_member *old, struct rl_slice member_id);
/* What it tells takes so much in memory. */
size_t rl_consumer_heartbeat_bytes(const struct rl_consumer_heartbeat *call);
/* A call that was checked, and whose regular expression, if any, is known or found. */
void rl_consumer_heartbeat_go_on(struct rl_groups *groups, struct rl_consumer_heartbeat *call);

/* Somebody else still has a part of what it is to get. */
bool rl_consumer_member_waits(const struct rl_consumer_member *member);

/* ---- consumer_regex.c ---- */
/* Does the call have to wait until it is known what its expression matches?  True: it is answered, or
 * goes on by itself. */
bool rl_consumer_regex_search(struct rl_groups *groups, struct rl_consumer_heartbeat *call);
/* This it matches; its record joins the next write. */
void rl_consumer_regex_take(struct rl_group *group, struct rl_group_regex *regex, const struct rl_slice *topics,
                            uint32_t count, uint64_t image_generation);
/* The groups are dropped: calls that wait are answered `error`. */
void rl_consumer_regex_forget(struct rl_groups *groups, enum rl_group_error error);
/* Find out what regular expressions match, when the image has changed or they are new. */
void rl_consumer_group_maybe_resolve(struct rl_group *group);

#endif

/* coordinate/group_record.h — what stands in __consumer_offsets, in Kafka's own formats.
 *
 *   key 1  group, topic, partition      value 3  offset, leader epoch, metadata, commit time
 *                                       value 1  ... with an expiry time of its own (OffsetCommit 2-4)
 *   key 2  group                        value 3  protocol, generation, members and what they got
 * A null value is a tombstone.  Read are all versions that Kafka has written since 0.9: key 0 to 2,
 * offsets 0 to 4, groups 0 to 4.  Source: OffsetCommitKey, OffsetCommitValue, GroupMetadataKey,
 * GroupMetadataValue.  Pure functions. */
#ifndef RL_COORDINATE_GROUP_RECORD_H
#define RL_COORDINATE_GROUP_RECORD_H

#include "core/slice.h"
#include "core/status.h"
#include "core/text.h"
#include "wire/reader.h"

struct rl_committed_offset {
    int64_t offset;
    int32_t leader_epoch;               /* -1: not told */
    struct rl_slice metadata;           /* not null */
    int64_t commit_ms;                  /* since 1970 */
    int64_t expire_ms;                  /* -1: by offsets.retention.minutes */
};

struct rl_group_record_member {
    struct rl_slice id, instance_id, client_id, client_host;    /* instance_id null: dynamic */
    int32_t rebalance_timeout_ms, session_timeout_ms;
    struct rl_slice subscription, assignment;
};

struct rl_group_record_value {
    struct rl_slice protocol_type;
    int32_t generation;
    struct rl_slice protocol, leader;   /* null: none */
    int64_t state_ms;                   /* of the last change of state, -1: not told */
    int32_t member_count;
    /* decode only: */
    struct rl_reader members;
    int16_t version;
};

enum rl_group_record_kind { RL_GROUP_RECORD_OFFSET, RL_GROUP_RECORD_GROUP, RL_GROUP_RECORD_OTHER };

struct rl_group_record {
    enum rl_group_record_kind kind;     /* OTHER: a key of protocols that are not known here */
    bool tombstone;
    struct rl_slice group;
    struct rl_slice topic;              /* OFFSET */
    int32_t partition;
    struct rl_committed_offset offset;
    struct rl_group_record_value value; /* GROUP */
};

/* Append to a text. */
void rl_group_record_offset_key(struct rl_text *out, struct rl_slice group, struct rl_slice topic,
                                int32_t partition);
void rl_group_record_offset_value(struct rl_text *out, const struct rl_committed_offset *offset);
void rl_group_record_group_key(struct rl_text *out, struct rl_slice group);
/* The head of a group's value; value->member_count members follow. */
void rl_group_record_group_value(struct rl_text *out, const struct rl_group_record_value *value);
void rl_group_record_member(struct rl_text *out, const struct rl_group_record_member *member);

/* Slices point into key and value.  RL_OK; RL_EMALFORMED, RL_ETRUNCATED; RL_EUNSUPPORTED: a value of
 * a later version. */
rl_status rl_group_record_read(struct rl_slice key, struct rl_slice value, struct rl_group_record *ret_record);
/* The next of value->member_count members; call as often as there are. */
rl_status rl_group_record_next_member(struct rl_group_record_value *value,
                                      struct rl_group_record_member *ret_member);

#endif

/* coordinate/consumer_group_record.h — what groups of the consumer protocol (KIP-848) keep in
 * __consumer_offsets, in the formats of Kafka 4.3.
 *
 *   key 3   group           epoch of the group, hash of the topics it subscribes to
 *   key 4   group           until Kafka 4.0: partitions of those topics; passed over
 *   key 5   group, member   who the member is and what it subscribes to
 *   key 6   group           epoch of the target assignment
 *   key 7   group, member   the member's part of the target assignment
 *   key 8   group, member   what the member has now, and in which epoch
 *   key 16  group, regex    the topics that a regular expression stands for
 * A null value is a tombstone.  All values are of version 0; what a later Kafka adds as tagged
 * fields is passed over.  Source: ConsumerGroup*Key and ConsumerGroup*Value of
 * kafka-group-coordinator 4.3.1.  Pure functions. */
#ifndef RL_COORDINATE_CONSUMER_GROUP_RECORD_H
#define RL_COORDINATE_CONSUMER_GROUP_RECORD_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"
#include "core/text.h"

/* The key's first two bytes. */
enum rl_consumer_group_record_kind {
    RL_CONSUMER_GROUP_RECORD_OTHER = -1,        /* of other protocols, or later than this */
    RL_CONSUMER_GROUP_RECORD_METADATA = 3,
    RL_CONSUMER_GROUP_RECORD_PARTITION_METADATA = 4,
    RL_CONSUMER_GROUP_RECORD_MEMBER = 5,
    RL_CONSUMER_GROUP_RECORD_TARGET_METADATA = 6,
    RL_CONSUMER_GROUP_RECORD_TARGET_MEMBER = 7,
    RL_CONSUMER_GROUP_RECORD_CURRENT_MEMBER = 8,
    RL_CONSUMER_GROUP_RECORD_REGEX = 16
};

/* Partitions of one topic. */
struct rl_consumer_group_record_topic {
    struct rl_uuid topic_id;
    const int32_t *partitions;
    int32_t partition_count;
    /* Only in CURRENT_MEMBER: since which member epoch each partition is assigned, partition_count
     * of them; NULL: not told, for which Kafka takes the member's epoch, or 0 if that is negative. */
    const int32_t *assignment_epochs;
};

struct rl_consumer_group_record_metadata {
    int32_t epoch;
    int64_t metadata_hash;              /* 0: not told */
};

struct rl_consumer_group_record_protocol {
    struct rl_slice name, metadata;
};

struct rl_consumer_group_record_member {
    struct rl_slice instance_id, rack_id;       /* null: none */
    struct rl_slice client_id, client_host;
    const struct rl_slice *subscribed_topic_names;
    int32_t subscribed_topic_name_count;
    struct rl_slice subscribed_topic_regex;     /* null or empty: none */
    int32_t rebalance_timeout_ms;
    struct rl_slice server_assignor;            /* null: the group's choice */
    bool is_classic;                            /* it speaks the classic protocol: */
    int32_t classic_session_timeout_ms;
    const struct rl_consumer_group_record_protocol *classic_protocols;
    int32_t classic_protocol_count;
};

struct rl_consumer_group_record_target_metadata {
    int32_t assignment_epoch;
    int64_t assignment_ms;              /* since 1970: when it was computed; 0: not told */
};

struct rl_consumer_group_record_target_member {
    const struct rl_consumer_group_record_topic *topics;
    int32_t topic_count;
};

/* Kafka's MemberState; a value that is none of these is kept as it is. */
enum rl_consumer_group_record_state {
    RL_CONSUMER_GROUP_RECORD_STABLE = 0,
    RL_CONSUMER_GROUP_RECORD_UNREVOKED_PARTITIONS = 1,
    RL_CONSUMER_GROUP_RECORD_UNRELEASED_PARTITIONS = 2
};

struct rl_consumer_group_record_current_member {
    int32_t member_epoch, previous_member_epoch;
    int8_t state;
    const struct rl_consumer_group_record_topic *assigned;
    int32_t assigned_count;
    const struct rl_consumer_group_record_topic *pending_revocation;
    int32_t pending_revocation_count;
};

struct rl_consumer_group_record_regex {
    const struct rl_slice *topics;      /* names */
    int32_t topic_count;
    int64_t version;                    /* of the topics they were chosen from */
    int64_t resolved_ms;                /* since 1970 */
};

struct rl_consumer_group_record {
    enum rl_consumer_group_record_kind kind;    /* OTHER: nothing else is set */
    bool tombstone;                             /* no value is set */
    struct rl_slice group;
    struct rl_slice member;                     /* MEMBER, TARGET_MEMBER, CURRENT_MEMBER; else null */
    struct rl_slice pattern;                    /* REGEX; else null */
    union {                                     /* by kind; none for PARTITION_METADATA */
        struct rl_consumer_group_record_metadata metadata;
        struct rl_consumer_group_record_member member_metadata;
        struct rl_consumer_group_record_target_metadata target_metadata;
        struct rl_consumer_group_record_target_member target_member;
        struct rl_consumer_group_record_current_member current_member;
        struct rl_consumer_group_record_regex regex;
    } value;
};

/* Append the key of a record to a text.  detail: the member's id, or the pattern, for kinds that have
 * one (null else).  Not for OTHER. */
void rl_consumer_group_record_key(struct rl_text *out, enum rl_consumer_group_record_kind kind,
                                  struct rl_slice group, struct rl_slice detail);
/* Append the value of record->kind, which is METADATA, MEMBER, TARGET_METADATA, TARGET_MEMBER,
 * CURRENT_MEMBER or REGEX, from record->value.  Strings are at most INT16_MAX bytes, as they come
 * from the wire; counts are not negative. */
void rl_consumer_group_record_value(struct rl_text *out, const struct rl_consumer_group_record *record);

/* Slices point into key and value, arrays into the arena.  RL_OK (also for OTHER, whatever its
 * bytes); RL_EMALFORMED, RL_ETRUNCATED; RL_EUNSUPPORTED: a value of a later version; RL_ENOMEM: the
 * arena's limit.  A count is believed only as far as the value's bytes could hold it, so the arena
 * needs at most 16 times the bytes of the value. */
rl_status rl_consumer_group_record_read(struct rl_slice key, struct rl_slice value, struct rl_arena *arena,
                                        struct rl_consumer_group_record *ret_record);

#endif

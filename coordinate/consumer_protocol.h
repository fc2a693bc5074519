/* coordinate/consumer_protocol.h — what consumers of the classic protocol write into the metadata and
 * assignments of their groups, which a group of both protocols has to understand.
 *
 * Source: ConsumerProtocolSubscription and ConsumerProtocolAssignment, versions 0 to 3.  Pure. */
#ifndef RL_COORDINATE_CONSUMER_PROTOCOL_H
#define RL_COORDINATE_CONSUMER_PROTOCOL_H

#include "coordinate/partition_set.h"
#include "core/arena.h"
#include "core/status.h"
#include "core/text.h"
#include "replicate/metadata_image.h"

struct rl_consumer_subscription {
    int16_t version;
    struct rl_slice *topics;            /* the arena's */
    uint32_t topic_count;
    struct rl_partition_set owned;      /* of topics that the image knows; the caller's */
    struct rl_slice rack_id;            /* null: not told */
};

/* Slices point into metadata.  RL_OK; RL_EMALFORMED, RL_ETRUNCATED, RL_ENOMEM: nothing is to be freed. */
rl_status rl_consumer_subscription_read(struct rl_slice metadata, const struct rl_image *image,
                                        struct rl_arena *arena, struct rl_consumer_subscription *ret_subscription);
/* Partitions of topics that the image knows; empty bytes: none. */
rl_status rl_consumer_assignment_read(struct rl_slice assignment, const struct rl_image *image,
                                      struct rl_partition_set *ret_set);
/* Append; topics that the image does not know are left out. */
void rl_consumer_assignment_write(struct rl_text *out, int16_t version, const struct rl_partition_set *set,
                                  const struct rl_image *image);

#endif

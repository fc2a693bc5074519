/* coordinate/group_id.h — which partition of __consumer_offsets keeps a group. */
#ifndef RL_COORDINATE_GROUP_ID_H
#define RL_COORDINATE_GROUP_ID_H

#include "core/slice.h"

#define RL_OFFSETS_TOPIC "__consumer_offsets"

/* Kafka's: abs(String.hashCode(group id)) mod partition_count, the hash over UTF-16 units as Java
 * makes them of the UTF-8 on the wire.  Pure.  Source: Utils.abs, String.hashCode. */
int32_t rl_group_partition(struct rl_slice group_id, int32_t partition_count);
/* UTF-16 units of a text, made as above: Kafka's limits of texts count these.  Pure. */
size_t rl_utf16_units(struct rl_slice text);

#endif

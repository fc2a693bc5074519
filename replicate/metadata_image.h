/* replicate/metadata_image.h — what every shard knows of the cluster: topics, partitions, ids.
 *
 * Built on shard 0 by the controller; immutable once published; a shard holds a pointer and
 * swaps it on a message.  Topic nodes are shared between images and never change: a change makes
 * a new node.  An old image, and the nodes that are not in its successor, are freed on shard 0
 * when every shard has applied the successor, and so are settings that changed: a pointer into an
 * image is good until the handler returns and no longer. */
#ifndef RL_REPLICATE_METADATA_IMAGE_H
#define RL_REPLICATE_METADATA_IMAGE_H

#include "core/slice.h"
#include "core/status.h"
#include "io/shard.h"
#include "log/log_config.h"

#define RL_TOPIC_NAME_BYTES_MAX 249     /* Kafka's limit */
#define RL_TOPIC_PARTITIONS_MAX 100000

struct rl_topic_override {              /* one topic configuration set by a user */
    const char *key, *value;
};

enum rl_topic_state { RL_TOPIC_CREATING, RL_TOPIC_ONLINE };

struct rl_topic {
    struct rl_uuid id;
    const char *name;
    int32_t partition_count;
    enum rl_topic_state state;          /* CREATING: directories may still have to be made... */
    int32_t partitions_made;            /* ...but not those of partitions below this */
    int32_t leader_epoch;               /* of every partition */
    uint32_t override_count;
    const struct rl_topic_override *overrides;          /* sorted by key */
    struct rl_log_config config;        /* overrides resolved over the broker's defaults */
    int32_t created_at_floor;           /* controller only */
};

struct rl_image {
    uint64_t generation;                /* rises with every change */
    const void *settings;               /* what rl_controller_options.build made; NULL: nothing */
    uint32_t topic_count;
    const struct rl_topic *const *by_name;              /* sorted by name (bytes) */
    const struct rl_topic *const *by_id;                /* sorted by id */
};

/* The image this shard works with now; never NULL: without topics before the controller has
 * started and after it has stopped.  On that shard only. */
const struct rl_image *rl_image_current(const struct rl_shard *shard);
/* NULL when there is none.  Any shard, on its own image. */
const struct rl_topic *rl_image_find(const struct rl_image *image, struct rl_slice name);
const struct rl_topic *rl_image_find_id(const struct rl_image *image, struct rl_uuid id);

/* The shard that owns a partition: (hash(topic id) + partition) mod shards. */
uint32_t rl_partition_home(struct rl_uuid topic_id, int32_t partition, uint32_t shard_count);

/* Kafka's rules for a topic's name: 1..249 of [a-zA-Z0-9._-], not "." or "..".  RL_OK or
 * RL_EINVAL with a static explanation. */
rl_status rl_topic_name_check(struct rl_slice name, const char **ret_reason);
/* Kafka's whole sentence for a name that does not pass, with the name in it (its beginning,
 * where it would not fit), NUL-terminated. */
void rl_topic_name_explain(struct rl_slice name, char *text, size_t bytes);

#endif

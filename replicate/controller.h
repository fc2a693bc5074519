/* replicate/controller.h — the one writer of the cluster's metadata, on shard 0.
 *
 * A topic's life in the store: "topics/<name>" = CREATING, then its directories are made on the
 * shards that own its partitions, then ONLINE, then the caller is answered.  Deletion: DELETING,
 * an image without it everywhere, files removed, key removed.  A crash at any point is finished
 * at the next start.  Every change builds a new image, sends it to all shards, and frees the old
 * one when all have confirmed.
 *
 * More partitions are a topic that is CREATING once more, but for the partitions it has; other
 * overrides are one record and one image.  "configs/broker/<id>" and "configs/group/<id>" are the
 * overrides of brokers and groups; a change makes new settings, and topics are resolved anew.
 *
 * Other facts: "broker/epoch-floor", raised once after an unclean start, so that every led
 * partition gets a higher leader epoch by one record; "broker/producer-ids", the next block of
 * producer ids, made durable before any of it is used. */
#ifndef RL_REPLICATE_CONTROLLER_H
#define RL_REPLICATE_CONTROLLER_H

#include "core/list.h"
#include "core/status.h"
#include "io/shard.h"
#include "replicate/metadata_image.h"

/* What is not a topic and has configuration of its own. */
enum rl_config_resource_type { RL_CONFIG_RESOURCE_BROKER, RL_CONFIG_RESOURCE_GROUP,
                               RL_CONFIG_RESOURCE_TYPES };

struct rl_config_resource {
    enum rl_config_resource_type type;
    const char *name;                   /* a broker's number, "" for all brokers; a group's id */
    const struct rl_topic_override *overrides;          /* sorted by key */
    uint32_t override_count;
};

/* Make settings (broker/) from what is stored: resources sorted by type and name, lent during the
 * call.  Pure; what is returned is released once, when no shard works with it any more. */
typedef const void *rl_settings_build_fn(void *arg, const struct rl_config_resource *resources,
                                         uint32_t resource_count);
typedef void rl_settings_free_fn(void *arg, const void *settings);
/* Each shard, after its image has changed to one with other settings. */
typedef void rl_settings_applied_fn(struct rl_shard *shard, const void *settings);
/* Resolve a topic's overrides to what its logs need (broker/topic_config.c).  Pure. */
typedef void rl_topic_resolve_fn(void *arg, const void *settings, const char *topic,
                                 const struct rl_topic_override *overrides,
                                 uint32_t override_count, struct rl_log_config *ret_config);

/* Each shard: these topics are deleted and in its image no more; lent during the call. */
typedef void rl_topics_removed_fn(struct rl_shard *shard, const struct rl_topic *const *removed,
                                  uint32_t count);

struct rl_controller_options {
    const char *metadata_url;           /* "local:DIR" */
    rl_topic_resolve_fn *resolve;
    /* All three or none: then settings are NULL. */
    rl_settings_build_fn *build;
    rl_settings_free_fn *free;
    rl_settings_applied_fn *applied;
    rl_topics_removed_fn *removed;      /* or NULL */
    void *arg;                          /* of resolve, build and free */
    bool unclean_start;                 /* raise the leader epochs */
};

/* Shard 0, after rl_replica_manager_start on every shard: open the store, finish what a crash
 * interrupted, build the first image, publish it, wait until every shard applied it.  options is
 * copied, its strings are not needed after done.  Failures (those of rl_metadata_store_open;
 * RL_ECORRUPT, RL_EVERSION: what is in it makes no sense to this ringlog) are logged and leave
 * nothing behind: then there is nothing to stop. */
void rl_controller_start(struct rl_shard *shard, const struct rl_controller_options *options,
                         void (*done)(void *arg, rl_status status), void *arg);
/* Shard 0: finish what is under way, let every shard forget the image, close the store.  Before
 * the replica managers stop.  Calls that come later are answered RL_ESTOPPING. */
void rl_controller_stop(struct rl_shard *shard, void (*done)(void *arg), void *arg);

/* ---- calls, from any shard; memory is the caller's, lent until done, which runs on the
 * ---- caller's shard, never inside the call.  RL_ESTOPPING: before start or after stop ---- */

struct rl_create_topic {
    /* in */
    struct rl_slice name;
    int32_t partition_count;            /* >= 1: defaults were applied by the caller */
    const struct rl_topic_override *overrides;          /* validated by the caller */
    uint32_t override_count;
    bool validate_only;
    /* out */
    rl_status status;                   /* RL_OK: every shard has it ONLINE; RL_EEXIST (they
                                           have it already); RL_EINVAL
                                           (name, collision in . and _, overrides not UTF-8);
                                           RL_ERANGE (fewer than 1 partition); RL_ETOOLARGE (too
                                           many, or overrides beyond a megabyte); RL_EIO,
                                           RL_ENOSPACE (the topic may be there nevertheless) */
    char reason[384];                   /* for people, Kafka's words; "" when RL_OK */
    struct rl_uuid topic_id;            /* zero unless it was created */
    void (*done)(struct rl_create_topic *call);
    void *arg;
    struct rl_msg msg;                  /* replicate/ only, from here */
    struct rl_shard *from;
    struct rl_list link;
};
void rl_controller_create_topic(struct rl_shard *from, struct rl_create_topic *call);

struct rl_delete_topic {
    struct rl_slice name;               /* or data NULL: by topic_id */
    struct rl_uuid topic_id;
    rl_status status;                   /* RL_OK: its files are gone too; RL_ENOTFOUND; RL_EIO,
                                           RL_ENOSPACE (it may be deleted nevertheless) */
    void (*done)(struct rl_delete_topic *call);
    void *arg;
    struct rl_msg msg;                  /* replicate/ only, from here */
    struct rl_shard *from;
    struct rl_list link;
};
void rl_controller_delete_topic(struct rl_shard *from, struct rl_delete_topic *call);

/* A topic's partitions shall lead in a higher epoch: one of them lost records that were seen. */
struct rl_raise_epoch {
    struct rl_uuid topic_id;
    int32_t above_epoch;
    rl_status status;                   /* RL_OK: every shard has an image with a higher one;
                                           RL_EBUSY: the topic is changing, ask again; RL_ENOTFOUND;
                                           RL_ERANGE (there is none); RL_EIO, RL_ENOSPACE */
    void (*done)(struct rl_raise_epoch *call);
    void *arg;
    struct rl_msg msg;                  /* replicate/ only, from here */
    struct rl_shard *from;
};
void rl_controller_raise_epoch(struct rl_shard *from, struct rl_raise_epoch *call);

/* Make new overrides from those there are: *ret_overrides is rl_alloc'ed and given to the
 * controller, its strings are lent by `now` or by arg.  Runs on shard 0; Pure.  RL_OK, or another
 * status with a sentence in reason[bytes]: then nothing is changed. */
typedef rl_status rl_overrides_edit_fn(void *arg, const struct rl_topic_override *now,
                                       uint32_t count, struct rl_topic_override **ret_overrides,
                                       uint32_t *ret_count, char *reason, size_t bytes);

enum rl_alter_target { RL_ALTER_TOPIC, RL_ALTER_BROKER, RL_ALTER_GROUP };

struct rl_alter {
    /* in */
    enum rl_alter_target target;
    struct rl_slice name;
    bool grow;                          /* a topic, to this many partitions: */
    int32_t partition_count;
    rl_overrides_edit_fn *edit;         /* NULL: as they are */
    void *edit_arg;
    bool validate_only;
    /* out */
    rl_status status;                   /* RL_OK: every shard works with it; RL_ENOTFOUND (no such
                                           topic); RL_ERANGE (no more partitions than there are),
                                           RL_ETOOLARGE; what edit said; RL_EIO, RL_ENOSPACE (it
                                           may be altered nevertheless) */
    char reason[1024];                  /* for people, Kafka's words; "" when RL_OK */
    void (*done)(struct rl_alter *call);
    void *arg;
    struct rl_msg msg;                  /* replicate/ only, from here */
    struct rl_shard *from;
    struct rl_list link;
};
/* Calls for the same topic, and those for all brokers and groups, are carried out in order. */
void rl_controller_alter(struct rl_shard *from, struct rl_alter *call);

struct rl_allocate_producer_id {
    int64_t producer_id;                /* out; never given twice, over crashes too */
    rl_status status;                   /* RL_OK; RL_EIO, RL_ENOSPACE */
    void (*done)(struct rl_allocate_producer_id *call);
    void *arg;
    struct rl_msg msg;                  /* replicate/ only, from here */
    struct rl_list link;
};
/* From the shard's own block; a new block comes from the controller when it is used up. */
void rl_controller_allocate_producer_id(struct rl_shard *from,
                                        struct rl_allocate_producer_id *call);

#endif

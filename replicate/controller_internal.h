/* replicate/controller_internal.h — what the files of the controller share; private to replicate/.
 *
 *   controller.c           start, stop, the way of calls to shard 0 and back
 *   controller_topic.c     a topic's life: store, publish, store, publish
 *   controller_node.c      topic nodes
 *   controller_publish.c   images: built, sent to all shards, freed
 *   controller_producer.c  blocks of producer ids
 *   controller_settings.c  overrides of brokers and groups
 *   controller_record.c    what stands in the store, as JSON */
#ifndef RL_REPLICATE_CONTROLLER_INTERNAL_H
#define RL_REPLICATE_CONTROLLER_INTERNAL_H

#include "core/list.h"
#include "core/table.h"
#include "core/text.h"
#include "replicate/controller.h"
#include "replicate/metadata_store.h"
#include "replicate/replica_manager.h"

#define RL_TOPIC_KEY_PREFIX "topics/"
#define RL_CONFIGS_KEY_PREFIX "configs/"
#define RL_EPOCH_FLOOR_KEY "broker/epoch-floor"
#define RL_PRODUCER_IDS_KEY "broker/producer-ids"
#define RL_PRODUCER_ID_BLOCK 1000       /* ids in one block, as in Kafka */

struct rl_controller;

/* One per shard, in shard->context[RL_CONTEXT_METADATA] from its first image until it leaves.
 * Each message belongs to the shard that handles it, and so do its fields. */
struct rl_metadata_shard {
    const struct rl_image *image;       /* first: rl_image_current() */
    struct rl_shard *shard;
    struct rl_controller *controller;   /* shard 0 only */

    rl_settings_applied_fn *settings_applied;
    rl_topics_removed_fn *topics_removed;

    /* this shard only */
    int64_t producer_id_next, producer_id_end;          /* what is left of its block */
    struct rl_list producer_calls;      /* wait for a block */
    bool block_asked;
    bool leaving;                       /* at stop: goes when its question is answered */

    /* controller -> shard: apply this image, or leave; shard -> controller: done */
    struct rl_msg publish_msg;
    const struct rl_image *publish_image;
    const struct rl_topic *const *publish_removed;
    uint32_t publish_removed_count;
    struct rl_topic_failure *publish_failures;          /* owned */
    uint32_t publish_failure_count;

    /* shard -> controller: a block of producer ids please; controller -> shard: here */
    struct rl_msg block_msg;
    struct rl_list block_link;          /* controller's: waits for a commit */
    int64_t block_first;
    rl_status block_status;
};

enum topic_phase {                      /* who has to answer next */
    TOPIC_LOADED,                       /* at start: nobody yet */
    TOPIC_STORING_CREATING,             /* the store */
    TOPIC_APPLYING_CREATING,            /* the shards */
    TOPIC_STORING_ONLINE,
    TOPIC_APPLYING_ONLINE,
    TOPIC_STORING_ALTERED,              /* other overrides, a higher leader epoch, or more
                                           partitions: then ONLINE follows */
    TOPIC_APPLYING_ALTERED,
    TOPIC_IDLE,                         /* nobody: calls may change it */
    TOPIC_STORING_DELETING,
    TOPIC_APPLYING_DELETING,
    TOPIC_STORING_REMOVED,
    TOPIC_STUCK,                        /* deleted, but that could not be finished: next start */
};

struct topic_entry {                    /* a key "topics/<name>", controller only */
    struct rl_controller *controller;
    char *key, *name;                   /* owned; name is the end of key */
    char *collision;                    /* owned; name with every . as _ */
    enum topic_phase phase;
    const struct rl_topic *topic;       /* the newest node; in an image, or on its way to one */
    const struct rl_topic *published;   /* the node in the newest image, or NULL */
    int64_t version;                    /* in the store */
    struct rl_list publish_link;
    struct rl_metadata_op op;           /* the commit in flight */
    struct rl_text value;
    struct rl_create_topic *create;     /* to be answered */
    struct rl_raise_epoch *raise;       /* likewise */
    struct rl_list creates;             /* calls for the same name that came meanwhile */
    struct rl_list deletes;             /* calls to be answered, or not begun yet */
    struct rl_topic *altered;           /* the node that is being stored */
    struct rl_alter *alter;             /* to be answered */
    struct rl_list alters;              /* wait until the topic is idle */
};

struct settings_entry {                 /* a key "configs/<type>/<name>", controller only */
    struct rl_list link;                /* in order of type and name */
    struct rl_config_resource resource; /* owned: name, overrides in one piece of memory */
    int64_t version;                    /* in the store; 0: not there */
};

struct rl_controller {
    struct rl_shard *shard;
    struct rl_controller_options options;
    struct rl_metadata_store *store;
    struct rl_table by_name, by_collision;              /* struct topic_entry */
    struct rl_metadata_shard *shards;   /* shard->count of them */
    uint32_t busy;                      /* topics that are neither idle nor stuck */
    int32_t epoch_floor;
    int64_t epoch_floor_version;

    /* images */
    struct rl_image *image;             /* the newest */
    struct rl_list publish_waiting;     /* entries whose change is not in it yet */
    struct publish *publish;            /* in flight, or NULL */
    struct rl_msg publish_kick;         /* to ourselves: begin the next one */
    bool publish_kicked;
    uint32_t leaving;                   /* shards that have not left yet, at stop */

    /* settings */
    const void *settings;               /* of the newest image */
    const void *settings_next;          /* for the next one, or NULL */
    bool settings_resolve;              /* ...and topics have other defaults with it */
    struct rl_list settings_entries;
    struct rl_list settings_alters;     /* calls that wait */
    struct rl_alter *settings_alter;    /* under way */
    struct settings_entry *settings_altered;            /* what it makes, while it is stored */
    struct rl_metadata_op settings_op;
    char *settings_key;
    struct rl_text settings_value;

    /* producer ids */
    int64_t producer_id_next;           /* first one that was never in a block */
    int64_t producer_ids_version;
    struct rl_list block_waiting, block_storing;        /* rl_metadata_shard.block_link */
    struct rl_metadata_op block_op;
    struct rl_text block_value;

    /* start and stop */
    rl_status load_status;
    bool starting, stopping, closing;
    void (*started)(void *arg, rl_status status);
    void (*stopped)(void *arg);
    void *start_arg, *stop_arg;
};

/* Why the store refused, for whoever asked. */
static inline const char *rl_controller_store_text(rl_status status)
{
    return status == RL_EFULL ? "the metadata store is full" : rl_status_text(status);
}

/* ---- controller.c ---- */
/* NULL before the first image and after it left. */
static inline struct rl_metadata_shard *rl_metadata_shard_of(const struct rl_shard *shard)
{
    return shard->context[RL_CONTEXT_METADATA];
}
/* Something came to rest: a start may be complete, a stop may go on. */
void rl_controller_rest(struct rl_controller *c);

/* ---- controller_topic.c ---- */
/* At start: an entry for a record of the store, TOPIC_LOADED.  RL_ECORRUPT, RL_EVERSION. */
rl_status rl_controller_topic_load(struct rl_controller *c, struct rl_slice key,
                                   struct rl_slice value, int64_t version);
/* At start, once the epoch floor is known: nodes for all entries, on their way into the first
 * image; what a crash interrupted goes on from there. */
rl_status rl_controller_topics_begin(struct rl_controller *c);
void rl_controller_topic_create(struct rl_controller *c, struct rl_create_topic *call);
void rl_controller_topic_delete(struct rl_controller *c, struct rl_delete_topic *call);
void rl_controller_topic_raise(struct rl_controller *c, struct rl_raise_epoch *call);
void rl_controller_topic_alter(struct rl_controller *c, struct rl_alter *call);
void rl_controller_alter_answer(struct rl_alter *call, rl_status status);
/* The topic's node for an image with other settings; what is in the newest image is not touched. */
const struct rl_topic *rl_controller_topic_resolve_again(struct topic_entry *entry);
/* The image with this entry's change has been applied everywhere. */
void rl_controller_topic_applied(struct topic_entry *entry, rl_status status);
void rl_controller_topics_free(struct rl_controller *c);
/* Back to the caller's shard. */
void rl_controller_create_answer(struct rl_create_topic *call, rl_status status);
void rl_controller_raise_answer(struct rl_raise_epoch *call, rl_status status);
void rl_controller_delete_answer(struct rl_delete_topic *call, rl_status status);

/* ---- controller_node.c ---- */
/* A topic node in one piece of memory, freed by rl_free.  Everything is copied; overrides are
 * sorted. */
struct rl_topic *rl_topic_node_create(const struct rl_topic *like) RL_MUST_USE;
/* The same for overrides alone; freed by rl_free. */
struct rl_topic_override *rl_overrides_copy(const struct rl_topic_override *overrides,
                                            uint32_t count) RL_MUST_USE;

/* ---- controller_publish.c ---- */
/* The next image shall have entry->topic in the place of entry->published (or not have it, in
 * phase TOPIC_APPLYING_DELETING). */
void rl_controller_publish_add(struct topic_entry *entry);
/* The next image shall carry c->settings_next. */
void rl_controller_publish_settings(struct rl_controller *c);
/* At start: publish also without any change. */
void rl_controller_publish_first(struct rl_controller *c);
/* At stop: every shard forgets its image; rl_controller_rest() runs when all have. */
void rl_controller_publish_leave(struct rl_controller *c);
/* On the shard that leaves: the last it does with its struct. */
void rl_controller_left(struct rl_metadata_shard *local);

/* ---- controller_settings.c ---- */
/* At start.  RL_ECORRUPT; RL_EVERSION. */
rl_status rl_controller_settings_load(struct rl_controller *c, struct rl_slice key,
                                      struct rl_slice value, int64_t version);
/* At start, when all are loaded: the first settings. */
void rl_controller_settings_begin(struct rl_controller *c);
void rl_controller_settings_alter(struct rl_controller *c, struct rl_alter *call);
/* The image with settings_next has been applied everywhere. */
void rl_controller_settings_applied(struct rl_controller *c);
void rl_controller_settings_free(struct rl_controller *c);

/* ---- controller_producer.c ---- */
rl_status rl_controller_producer_load(struct rl_controller *c, struct rl_slice value,
                                      int64_t version);
/* The shard leaves: whoever waits is answered RL_ESTOPPING.  false: its question is under way,
 * rl_controller_left() comes later. */
bool rl_controller_producer_leave(struct rl_metadata_shard *local);

/* ---- controller_record.c ---- */
enum topic_record_state { TOPIC_RECORD_CREATING, TOPIC_RECORD_ONLINE, TOPIC_RECORD_DELETING };
/* Append the record of `topic`.  RL_EINVAL: an override is not UTF-8. */
rl_status rl_topic_record_encode(const struct rl_topic *topic, enum topic_record_state state,
                                 struct rl_text *text);
/* name is copied into the node; config and leader_epoch stay zero.  RL_ECORRUPT; RL_EVERSION. */
rl_status rl_topic_record_decode(struct rl_slice value, const char *name,
                                 struct rl_topic **ret_topic, enum topic_record_state *ret_state);
/* Overrides alone.  RL_EINVAL: one is not UTF-8. */
rl_status rl_overrides_record_encode(const struct rl_topic_override *overrides, uint32_t count,
                                     struct rl_text *text);
/* *ret_overrides, in one piece of memory: sorted; freed by rl_free. */
rl_status rl_overrides_record_decode(struct rl_slice value,
                                     struct rl_topic_override **ret_overrides, uint32_t *ret_count);
void rl_number_record_encode(int64_t number, struct rl_text *text);
rl_status rl_number_record_decode(struct rl_slice value, int64_t *ret_number);

#endif

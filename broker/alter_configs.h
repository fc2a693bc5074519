/* broker/alter_configs.h — what AlterConfigs and IncrementalAlterConfigs share.
 *
 * Both APIs turn their resources into items; an item is checked here, carried out by the
 * controller, and answered.  Sentences and codes are Kafka's (ConfigAdminManager,
 * ConfigurationControlManager). */
#ifndef RL_BROKER_ALTER_CONFIGS_H
#define RL_BROKER_ALTER_CONFIGS_H

#include "net/net.h"
#include "replicate/controller.h"

/* org.apache.kafka.common.config.ConfigResource.Type */
enum rl_resource_type {
    RL_RESOURCE_TOPIC = 2, RL_RESOURCE_BROKER = 4, RL_RESOURCE_BROKER_LOGGER = 8,
    RL_RESOURCE_CLIENT_METRICS = 16, RL_RESOURCE_GROUP = 32
};

static inline bool rl_resource_type_is_known(int8_t type)
{
    return type == RL_RESOURCE_TOPIC || type == RL_RESOURCE_BROKER || type == RL_RESOURCE_BROKER_LOGGER ||
           type == RL_RESOURCE_CLIENT_METRICS || type == RL_RESOURCE_GROUP;
}

enum rl_config_operation { RL_CONFIG_SET, RL_CONFIG_DELETE, RL_CONFIG_APPEND, RL_CONFIG_SUBTRACT };

struct rl_alter_change {
    const char *key, *value;            /* in the request's arena; value NULL: null */
    int8_t operation;                   /* rl_config_operation, or what the client sent */
};

struct rl_alter_item {                  /* one resource */
    /* the API fills */
    int8_t resource_type;
    struct rl_slice resource_name;
    struct rl_alter_change *changes;
    uint32_t change_count;
    /* the answer */
    int16_t error_code;
    struct rl_slice error_message;
    /* alter_configs.c only */
    struct rl_alter_configs *all;
    struct rl_alter call;
    bool called;
    char id_text[16];                   /* this broker's number, as it is stored */
    struct rl_slice not_found;          /* a topic: the sentence for when it is not there */
    int16_t edit_error;                 /* Kafka's code for what the edit refused */
    char **made;                        /* new values of lists; owned */
    uint32_t made_count;
};

struct rl_alter_configs {
    struct rl_request *request;
    bool replace;                       /* AlterConfigs: what is not named is deleted */
    bool validate_only;
    struct rl_alter_item *items;
    uint32_t item_count;
    void (*answer)(struct rl_alter_configs *all);       /* every item has its verdict */
    uint32_t outstanding;
};

/* A request over so many resources.  NULL: connection closed. */
struct rl_alter_configs *rl_alter_configs_create(struct rl_request *request, bool validate_only, int32_t count,
                                                 void (*answer)(struct rl_alter_configs *all));
/* Check and carry out all items; answer runs once, perhaps before this returns; not at all when
 * the connection was closed for want of memory. */
void rl_alter_configs_start(struct rl_alter_configs *all);
/* The item of this resource with room for its changes, and texts for one of them.  False:
 * connection closed. */
bool rl_alter_item_begin(struct rl_alter_configs *all, struct rl_alter_item *item, int8_t type,
                         struct rl_slice name, int32_t change_count);
bool rl_alter_item_set(struct rl_alter_configs *all, struct rl_alter_change *change,
                       struct rl_slice key, struct rl_slice value, int8_t operation);

#define RL_RESOURCE_SENTENCE_BYTES 256
/* Is the name this broker's number (as Java's Integer.parseInt reads it)?  Otherwise `sentence`
 * says why not: kind ("Broker" or "Node") begins it, or it is `unexpected`, a format for the
 * number that was expected (%d) and the name (%.*s).  On the request's shard. */
bool rl_resource_is_self(const struct rl_request *request, struct rl_slice name, const char *kind,
                         const char *unexpected, char sentence[RL_RESOURCE_SENTENCE_BYTES]);

#endif

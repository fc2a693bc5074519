/* broker/create_topics.h — what the two files of CreateTopics share.  Private to them. */
#ifndef RL_BROKER_CREATE_TOPICS_H
#define RL_BROKER_CREATE_TOPICS_H

#include "broker/config.h"
#include "replicate/controller.h"
#include "wire/msg_create_topics.h"

struct rl_request;

struct rl_create_topics_item {
    const struct rl_create_topics_request_topic *asked;
    bool duplicate;
    int16_t error_code;
    struct rl_slice error_message;
    int32_t partition_count;
    struct rl_config_pair *configs;     /* known keys, each once */
    size_t config_count;
    struct rl_create_topic call;        /* lent to the controller */
};

struct rl_create_topics {
    struct rl_request *request;
    const struct rl_create_topics_request *asked;
    struct rl_create_topics_item *items;   /* each name once, in the order asked */
    uint32_t item_count;
    uint32_t outstanding;
    /* what a topic without overrides shows, made once */
    struct rl_create_topics_response_config *default_configs;
    int32_t default_config_count;
};

/* Give item its verdict: error_code and error_message, or the partition count and the overrides.
 * False only when the connection was closed. */
bool rl_create_topics_check(struct rl_create_topics *c, struct rl_create_topics_item *item);

#endif

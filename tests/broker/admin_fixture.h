/* tests/broker/admin_fixture.h — the administrative APIs over a kernel in memory.
 *
 * Real: net, dispatch, codec, configuration, the handlers.  Made up: the controller, which keeps
 * its topics in one image that all shards share, answers when the test lets it, and fails when
 * the test wants that. */
#ifndef RL_TESTS_BROKER_ADMIN_FIXTURE_H
#define RL_TESTS_BROKER_ADMIN_FIXTURE_H

#include "broker/broker.h"
#include "replicate/controller.h"
#include "replicate/controller_internal.h"
#include "tests/io/mem_backend.h"

#define ADMIN_NODE_ID 7
#define ADMIN_PORT 9092
#define ADMIN_TOPICS_MAX 10100
#define ADMIN_PENDING_MAX 64

struct admin_fixture {
    struct rl_mem *mem;
    struct rl_shard_set *set;
    struct rl_config config;
    struct rl_broker broker;
    struct rl_arena arena;              /* decoded answers */
    struct rl_mem_client *client;
    int32_t correlation_id;
    /* the made-up controller */
    struct rl_image image;
    struct rl_metadata_shard metadata;
    const struct rl_topic *by_name[ADMIN_TOPICS_MAX], *by_id[ADMIN_TOPICS_MAX];
    bool hold;                          /* calls wait for admin_release */
    rl_status outcome;                  /* of every call that is not RL_OK by itself */
    const char *reason;
    struct rl_msg *pending[ADMIN_PENDING_MAX];
    uint32_t pending_count;
    uint64_t calls;                     /* creations, deletions and allocations asked for */
    struct rl_create_topic last_create; /* copy, its pointers may be stale */
    char last_overrides[256];           /* "key=value key=value" */
};

/* The one of the running test. */
extern struct admin_fixture admin;

/* properties: server.properties text beyond node.id. */
void admin_start(const char *properties);
void admin_stop(void);

/* Add a topic to the image without asking the controller. */
const struct rl_topic *admin_add_topic(const char *name, int32_t partitions,
                                       const struct rl_topic_override *overrides, uint32_t count);
/* Add many: pattern is a printf format for their number. */
void admin_add_topics(const char *pattern, int count, int32_t partitions);
/* Complete the calls that wait, and run. */
void admin_release(void);

/* Encode and send; the answer is not awaited. */
void admin_send(int16_t key, int16_t version, const void *request);
/* Run until quiet and decode the next answer into a new struct of the fixture's arena; NULL: no
 * answer.  Slices in it live until admin_stop. */
void *admin_receive(int16_t key, int16_t version);
/* Both. */
void *admin_ask(int16_t key, int16_t version, const void *request);
/* The broker has closed the connection; a new one is made. */
bool admin_was_closed(void);

#endif

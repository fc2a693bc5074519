/* cli/kafka_client.h — a cluster, asked one thing after the other, for commands that look and change.
 *
 * Blocking, with a limit per answer; a connection per broker, made when it is first asked.  All that
 * is answered lives as long as the client.  One thread. */
#ifndef RL_CLI_KAFKA_CLIENT_H
#define RL_CLI_KAFKA_CLIENT_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"
#include <stdbool.h>
#include <stdint.h>

#define RL_KAFKA_BOOTSTRAP (-1)         /* whichever broker was named */

struct rl_kafka_node {
    int32_t id;
    const char *host;
    uint16_t port;
    int fd;                             /* -1: not connected */
};

struct rl_kafka_client {
    struct rl_arena arena;
    struct rl_kafka_node bootstrap;
    struct rl_kafka_node *nodes;        /* of the cluster */
    uint32_t node_count;
    int32_t correlation_id;
    bool unreachable;                   /* what failed is the way to a broker, and not its answer */
    char failure[512];                  /* what went wrong, for people */
};

/* "HOST:PORT"; IPv6 in brackets.  False: it is none. */
bool rl_kafka_address(const char *text, const char **ret_host, uint16_t *ret_port, struct rl_arena *arena);
/* Connect to the broker named and learn of the others.  RL_OK, or `failure` says why not. */
rl_status rl_kafka_open(struct rl_kafka_client *client, const char *address);
void rl_kafka_close(struct rl_kafka_client *client);
/* The response's struct, of the generated codec; NULL: `failure` says why. */
const void *rl_kafka_ask(struct rl_kafka_client *client, int32_t node_id, int16_t api_key, int16_t version,
                         const void *request);
/* Note what an answer's error code means; fmt names what was asked.  Returns RL_EIO. */
rl_status rl_kafka_fail(struct rl_kafka_client *client, int16_t error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

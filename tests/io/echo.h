/* tests/io/echo.h — an echo server over the seam, for any backend: every shard accepts from one
 * listener, receives, sends back what came, and closes with its peer. */
#ifndef RL_TESTS_IO_ECHO_H
#define RL_TESTS_IO_ECHO_H

#include "io/shard.h"
#include "io/socket.h"

struct echo_server {
    int listen_fd;
    uint16_t port;
    struct echo_shard *shards;          /* one per shard of the set */
};

/* start/finish for rl_shard_set_start and _join; arg is a struct echo_server *, zeroed. */
rl_status echo_start(struct rl_shard *shard, void *arg);
void echo_finish(struct rl_shard *shard, void *arg);
/* After join. */
void echo_free(struct echo_server *server);
/* Connections a shard has accepted so far.  On the shard, or after join. */
uint32_t echo_accepted(const struct echo_server *server, uint32_t shard_index);
uint32_t echo_open(const struct echo_server *server, uint32_t shard_index);

#endif

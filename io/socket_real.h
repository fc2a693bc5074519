/* io/socket_real.h — the real kernel's sockets, for backends that use it.  Private to io/. */
#ifndef RL_IO_SOCKET_REAL_H
#define RL_IO_SOCKET_REAL_H

#include "io/backend.h"

struct sockaddr;

/* Literal address into *ret_address (sockaddr_in or sockaddr_in6), without asking anybody.
 * RL_EINVAL: not a literal. */
rl_status rl_socket_parse(const char *host, uint16_t port, void *ret_address);
/* Literal or name; blocks: helper threads only.  RL_EINVAL: the name does not resolve. */
rl_status rl_socket_resolve(const char *host, uint16_t port, void *ret_address);
uint32_t rl_socket_address_bytes(const struct sockaddr *address);

rl_status rl_socket_real_listen(struct rl_shard *shard, const char *host, uint16_t port,
                                int backlog, int *ret_fd, uint16_t *ret_port);
void rl_socket_real_shutdown(struct rl_shard *shard, int fd);
void rl_socket_real_close(struct rl_shard *shard, int fd);
void rl_socket_real_address(struct rl_shard *shard, int fd, bool peer, char *host,
                            size_t host_bytes, uint16_t *ret_port);
void rl_socket_real_tune(struct rl_shard *shard, int fd, int send_buffer_bytes,
                         int receive_buffer_bytes);

#endif

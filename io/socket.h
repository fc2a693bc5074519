/* io/socket.h — what connections need besides operations: listen, close, addresses. */
#ifndef RL_IO_SOCKET_H
#define RL_IO_SOCKET_H

#include "core/base.h"
#include "core/status.h"

struct rl_shard;

#define RL_ADDRESS_BYTES 46             /* text of a numeric address, with its NUL */
#define RL_HOST_BYTES 256               /* text of a host name or address, with its NUL */

/* Listen on host (name or literal; "" is every address of both families) and port (0: the
 * kernel chooses).  No SO_REUSEPORT: a second broker is refused with RL_EADDRINUSE.  ret_port is
 * the port bound.  RL_EINVAL: the host does not resolve; RL_EACCESS. */
rl_status rl_socket_listen(struct rl_shard *shard, const char *host, uint16_t port, int backlog,
                           int *ret_fd, uint16_t *ret_port);
/* End both directions: operations in flight on fd complete soon.  The fd stays valid. */
void rl_socket_shutdown(struct rl_shard *shard, int fd);
/* Close; no operation may be in flight. */
void rl_socket_close(struct rl_shard *shard, int fd);
/* Numeric address of this end (the one the peer dialled) or of the peer. */
void rl_socket_address(struct rl_shard *shard, int fd, bool peer, char *host, size_t host_bytes,
                       uint16_t *ret_port);
/* A literal IPv4 or IPv6 address as rl_socket_address writes it, so that equal ones compare equal.
 * False: it is none.  Pure; any thread. */
bool rl_address_canonical(const char *text, char host[RL_ADDRESS_BYTES]);
/* TCP_NODELAY, keepalive, TCP_USER_TIMEOUT; buffer sizes, -1: leave them to the kernel. */
void rl_socket_tune(struct rl_shard *shard, int fd, int send_buffer_bytes, int receive_buffer_bytes);

#endif

/* io/real.h — what the backends over the real kernel have in common.  Private to io/. */
#ifndef RL_IO_REAL_H
#define RL_IO_REAL_H

#include "io/backend.h"

/* sendfile(2) and splice(2) have no MSG_NOSIGNAL: block SIGPIPE in the calling thread. */
void rl_real_block_sigpipe(void);
void rl_real_clocks(struct rl_shard *shard, int64_t *ret_monotonic_ns, int64_t *ret_wall_ms);
uint64_t rl_real_seed(struct rl_shard *shard);

/* What an errno (0: none) means for an operation. */
rl_status rl_real_status(const struct rl_op *op, int error);
/* Errors of a connection that died in the queue; accept(2): "treat them like EAGAIN". */
bool rl_real_accept_goes_on(int error);
/* A CONNECT's socket, its address known; flags: more of socket(2)'s.  Sets op->ret_fd. */
rl_status rl_real_connect_socket(struct rl_op *op, int flags);
/* A CONNECT is over: no socket is left of one that failed. */
void rl_real_connect_ended(struct rl_op *op, rl_status status);

#endif

/* io/backend.h — the small table behind the seam: what a kernel, or a stand-in, must do.
 *
 * uring (io/uring.c) and, where it is forbidden, posix (io/posix.c); mem (tests/io/mem_backend.c)
 * is a kernel in memory for unit tests, and a simulator fills the same table.  All functions run on the shard's own
 * thread unless noted. */
#ifndef RL_IO_BACKEND_H
#define RL_IO_BACKEND_H

#include "core/base.h"
#include "core/status.h"
#include "io/op.h"

struct rl_shard;

struct rl_backend {
    const char *name;                   /* "uring", "posix", "mem" */
    bool helpers;                       /* the set starts threads for SYNC and JOB (io/helper.h) */
    bool measurable;                    /* a kernel whose costs can be measured */
    rl_status (*start)(struct rl_shard *shard);         /* RL_EUNSUPPORTED: not on this machine */
    void (*stop)(struct rl_shard *shard);               /* operations in flight are forgotten */
    void (*submit)(struct rl_shard *shard, struct rl_op *op);
    void (*cancel)(struct rl_shard *shard, struct rl_op *op);
    /* Hand over what was submitted, collect what is complete (rl_shard_complete), and if nothing
     * is, wait for at most wait_ns (0: do not wait; INT64_MAX: no limit) or until woken. */
    void (*turn)(struct rl_shard *shard, int64_t wait_ns);
    /* Make `to` return from turn().  from: the calling shard, NULL on any other thread. */
    void (*wake)(struct rl_shard *from, struct rl_shard *to);
    void (*clocks)(struct rl_shard *shard, int64_t *ret_monotonic_ns, int64_t *ret_wall_ms);
    uint64_t (*seed)(struct rl_shard *shard);
    /* sockets; see io/socket.h */
    rl_status (*listen)(struct rl_shard *shard, const char *host, uint16_t port, int backlog,
                        int *ret_fd, uint16_t *ret_port);
    void (*socket_shutdown)(struct rl_shard *shard, int fd);
    void (*socket_close)(struct rl_shard *shard, int fd);
    void (*socket_address)(struct rl_shard *shard, int fd, bool peer, char *host,
                           size_t host_bytes, uint16_t *ret_port);
    void (*socket_tune)(struct rl_shard *shard, int fd, int send_buffer_bytes,
                        int receive_buffer_bytes);
};

extern const struct rl_backend rl_backend_uring, rl_backend_posix;

/* For backends, only inside turn(): the operation is done (or, with op->more, has an event);
 * runs its done now.  One-shot and last events clear in_flight before.  Afterwards op may be gone. */
void rl_shard_complete(struct rl_shard *shard, struct rl_op *op);
/* For backends, inside turn(): read the clocks, after the wait and before the first completion. */
void rl_shard_read_clocks(struct rl_shard *shard);

#endif

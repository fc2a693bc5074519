/* io/op.h — one operation that the kernel (or a stand-in for it) does for a shard.
 *
 * The caller owns the struct, fills kind, the fields of that kind, done and arg, and submits it
 * with rl_submit().  Later, never inside rl_submit(), done runs on the same shard with the
 * result in `status` and the ret_ fields.  From submit until its last done the struct and the
 * memory it names belong to io/.
 *
 * Multishot kinds (ACCEPT, RECEIVE) stay armed: done runs once per event with more == true, and
 * once for the last time with more == false, after which the struct is the caller's again.
 *
 * An fd has at most one operation in each direction at a time.  It may become non-blocking.
 *
 * Failures arrive only as `status`; a cancelled operation ends with RL_ECANCELLED (or with its
 * ordinary result when it was already done). */
#ifndef RL_IO_OP_H
#define RL_IO_OP_H

#include "core/base.h"
#include "core/status.h"
#include "io/send_path.h"
#include <sys/uio.h>

enum rl_op_kind {
    RL_OP_NONE,
    RL_OP_ACCEPT,       /* fd: listener; multishot; each done has ret_fd, a connected socket */
    RL_OP_CONNECT,      /* address; ret_fd */
    RL_OP_RECEIVE,      /* fd; multishot; each done lends ret_data, ret_bytes until done returns.
                           The last one: RL_ECLOSED at end of stream, RL_EBUSY when no buffer was
                           free (submit it again), RL_ECANCELLED, RL_EIO (reset) */
    RL_OP_RECEIVE_INTO, /* fd, buffer, bytes: at least one byte; ret_bytes; RL_ECLOSED at the end.
                           patient: preferably all of them at once, so that a large frame wakes
                           the shard once and not for every piece */
    RL_OP_SEND,         /* fd, iov, iov_count: all of it or an error; ret_bytes.  The iov array is
                           the caller's and stays untouched until done.  more: other bytes follow
                           at once, so a part of a segment waits for them.  zero_copy: from the
                           caller's memory without a copy, if the kernel can; done then comes when
                           the peer has acknowledged, and
                           a cancel resets the connection */
    RL_OP_SEND_FILE,    /* fd, bytes of file at pos, by method: all of them or an error; ret_bytes.
                           RL_EIO: also when the file is shorter */
    RL_OP_SYNC,         /* fd: file data to stable storage, on a helper thread */
    RL_OP_JOB,          /* job(op) runs on a helper thread, where it may block and call
                           rl_disk_*(), then done on the shard.  The job sets op->status */
};

#define RL_OP_IOV_MAX 1024              /* pieces of one SEND */

struct rl_shard;
struct rl_op;
typedef void rl_op_fn(struct rl_op *op);

struct rl_op {
    enum rl_op_kind kind;
    int fd;
    rl_op_fn *done;                     /* runs on the submitting shard */
    void *arg;                          /* the caller's */
    union {
        struct { void *buffer; size_t bytes; bool patient; } into;
        struct { const struct iovec *iov; int iov_count; bool more, zero_copy; } send;
        struct { int file; enum rl_send_path method; uint64_t pos; size_t bytes; } send_file;
        struct { rl_op_fn *run; } job;
        struct { const char *host; uint16_t port; } connect;
    };
    /* results */
    rl_status status;
    bool more;                          /* multishot: still armed */
    int ret_fd;
    const void *ret_data;
    size_t ret_bytes;
    /* io/ only */
    bool in_flight, cancelled;          /* cancelled: an early end was asked for */
    struct rl_shard *home;
    struct rl_op *next;                 /* backend's queue, or the shard's completed list */
    uint64_t backend_word[7];
};

/* Hand the operation over.  Shard thread.  Never fails and never calls done directly: errors
 * arrive through done. */
void rl_submit(struct rl_shard *shard, struct rl_op *op);
/* Ask for an early end of an operation in flight; its done still runs, later.  Not for JOB, SYNC. */
void rl_cancel(struct rl_shard *shard, struct rl_op *op);

#endif

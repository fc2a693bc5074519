/* io/uring.c — the backend that ships: one io_uring per shard.
 *
 * Happy path: submit fills an SQE whose user_data is the operation; turn enters the kernel once,
 * with everything submitted, and runs `done` for every completion found.  ACCEPT and RECEIVE are
 * multishot; RECEIVE takes slots of a ring of provided buffers and gives each back as soon as
 * its done has returned.  SEND is one request that the kernel retries until all is sent; without
 * a copy it has two completions, and is done with the second.  SEND_FILE is io/send_file.c's.
 * SYNC, JOB and the look-up of a CONNECT's host name go to the helpers.
 *
 * With DEFER_TASKRUN completions appear only on entering the kernel with GETEVENTS, so every turn
 * does that, also when it does not wait.
 *
 * Waking: another shard puts a MSG_RING into its own ring and submits it at the end of its turn;
 * other threads write to the eventfd that the ring always reads.
 *
 * Failures:
 *  - a multishot request may end by itself with a result (full completion queue) or for a reason
 *    that is nobody's fault (a peer gone before accept): it is armed again, nobody notices;
 *  - no free slot: -ENOBUFS, RL_EBUSY, the owner decides when to go on;
 *  - the SQ is full: one more submit within the turn;
 *  - MSG_RING fails (target's completion queue): the eventfd does it. */
#include "core/memory.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/real.h"
#include "io/send_file.h"
#include "io/socket_real.h"
#include "io/uring_compat.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#define URING_ENTRIES 1024u
#define URING_COMPLETIONS (8u * URING_ENTRIES)  /* one multishot request has many */
#define URING_SLOTS 64u
#define URING_SLOT_BYTES (32u * 1024u)
#define URING_GROUP 0
#define URING_STOP_ROUNDS 50
#define URING_STOP_WAIT_NS (20 * 1000 * 1000)

/* user_data that is no operation.  Operations are aligned, so they are never so small or odd. */
enum {
    URING_IGNORE = 0,
    URING_WOKEN = 1,                    /* a peer's MSG_RING arrived */
    URING_EVENT = 3,                    /* the eventfd was read */
    URING_WAKE_FAILED = 5,              /* our MSG_RING failed; the target's index from bit 8 on */
};

/* backend_word of an operation in the ring */
enum {
    WORD_TOTAL = 0,                     /* SEND: bytes asked for */
    WORD_RESULT = 1,                    /* SEND without a copy: of the first completion... */
    WORD_SENT = 2,                      /* ...which was seen */
};

struct rl_uring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    uint8_t *slots;
    struct msghdr *headers;             /* one per SQE, read by the kernel when it takes the SQE */
    struct rl_helper_batch helper_batch;
    struct rl_send_files files;
    uint64_t event_value;
    uint32_t in_flight;                 /* requests that will have a (last) completion */
    int event_fd;
    bool accept_once;                   /* this kernel's multishot accept is broken */
    bool stopping;                      /* completions are dropped */
};

static struct rl_uring *uring_of(const struct rl_shard *shard)
{
    return rl_loop_of(shard)->backend;
}

static struct io_uring_sqe *uring_sqe(struct rl_uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

    if (RL_UNLIKELY(sqe == NULL)) {
        io_uring_submit(&uring->ring);
        sqe = io_uring_get_sqe(&uring->ring);
        RL_ASSERT(sqe != NULL);
    }
    return sqe;
}

/* ---- submit ---- */

static void uring_arm_event(struct rl_uring *uring)
{
    struct io_uring_sqe *sqe = uring_sqe(uring);

    io_uring_prep_read(sqe, uring->event_fd, &uring->event_value, sizeof uring->event_value, 0);
    io_uring_sqe_set_data64(sqe, URING_EVENT);
    uring->in_flight++;
}

static void uring_submit_send(struct rl_uring *uring, struct io_uring_sqe *sqe, struct rl_op *op)
{
    const struct iovec *iov = op->send.iov;
    const int flags = MSG_WAITALL | MSG_NOSIGNAL | (op->send.more ? MSG_MORE : 0);
    uint64_t total = 0;

    RL_ASSERT(op->send.iov_count >= 1 && op->send.iov_count <= RL_OP_IOV_MAX);
    for (int i = 0; i < op->send.iov_count; i++)
        total += iov[i].iov_len;
    op->backend_word[WORD_TOTAL] = total;
    op->backend_word[WORD_SENT] = 0;
    if (op->send.iov_count == 1 && op->send.zero_copy) {
        io_uring_prep_send_zc(sqe, op->fd, iov[0].iov_base, iov[0].iov_len, flags, 0);
        return;
    }
    if (op->send.iov_count == 1) {
        io_uring_prep_send(sqe, op->fd, iov[0].iov_base, iov[0].iov_len, flags);
        return;
    }
    struct msghdr *header = &uring->headers[sqe - uring->ring.sq.sqes];
    *header = (struct msghdr){ .msg_iov = (struct iovec *)(uintptr_t)iov,
                               .msg_iovlen = (size_t)op->send.iov_count };
    if (op->send.zero_copy)
        io_uring_prep_sendmsg_zc(sqe, op->fd, header, (unsigned)flags);
    else
        io_uring_prep_sendmsg(sqe, op->fd, header, (unsigned)flags);
}

static void uring_arm(struct rl_uring *uring, struct rl_op *op)
{
    struct io_uring_sqe *sqe = uring_sqe(uring);

    switch (op->kind) {
    case RL_OP_ACCEPT:
        if (uring->accept_once)
            io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
        else
            io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
        break;
    case RL_OP_CONNECT:
        io_uring_prep_connect(sqe, op->ret_fd, rl_helper_address(op),
                              rl_socket_address_bytes(rl_helper_address(op)));
        break;
    case RL_OP_RECEIVE:
        io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_GROUP;
        break;
    case RL_OP_RECEIVE_INTO:
        io_uring_prep_recv(sqe, op->fd, op->into.buffer, op->into.bytes,
                           op->into.patient ? MSG_WAITALL : 0);
        break;
    case RL_OP_SEND:
        uring_submit_send(uring, sqe, op);
        break;
    case RL_OP_NONE:
    case RL_OP_SEND_FILE:
    case RL_OP_SYNC:
    case RL_OP_JOB:
        rl_panic(__FILE__, __LINE__, "operation kind %d in the ring", (int)op->kind);
    }
    io_uring_sqe_set_data(sqe, op);
    uring->in_flight++;
}

/* SEND_FILE cannot go on. */
static void uring_arm_file(void *arg, struct rl_op *op, enum rl_send_file_need need)
{
    struct rl_uring *uring = arg;
    struct io_uring_sqe *sqe = uring_sqe(uring);
    uint64_t pos;
    size_t bytes;

    rl_send_file_next(op, &pos, &bytes);
    switch (need) {
    case RL_SEND_FILE_NOTHING:
        io_uring_prep_nop(sqe);
        break;
    case RL_SEND_FILE_ROOM:
        io_uring_prep_poll_add(sqe, op->fd, POLLOUT);
        break;
    case RL_SEND_FILE_LOAD:
        io_uring_prep_read(sqe, op->send_file.file, rl_send_file_load_buffer(&uring->files),
                           (unsigned)bytes, pos);
        break;
    case RL_SEND_FILE_FILL:
        io_uring_prep_splice(sqe, op->send_file.file, (int64_t)pos, rl_send_file_pipe(op), -1,
                             (unsigned)bytes, 0);
        break;
    }
    io_uring_sqe_set_data(sqe, op);
    uring->in_flight++;
}

/* A helper has finished SYNC or JOB. */
static void uring_on_helped(struct rl_shard *shard, struct rl_msg *msg)
{
    rl_shard_complete(shard, rl_helper_op(msg));
}

/* Address known: open the socket and connect. */
static rl_status uring_connect(struct rl_uring *uring, struct rl_op *op)
{
    rl_status status = rl_real_connect_socket(op, 0);

    if (status == RL_OK)
        uring_arm(uring, op);
    return status;
}

/* A helper has looked up the name. */
static void uring_on_resolved(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_op *op = rl_helper_op(msg);

    if (op->cancelled)
        op->status = RL_ECANCELLED;
    if (op->status == RL_OK)
        op->status = uring_connect(uring_of(shard), op);
    if (op->status != RL_OK)
        rl_shard_complete(shard, op);
}

static void uring_submit_connect(struct rl_shard *shard, struct rl_uring *uring, struct rl_op *op)
{
    if (rl_socket_parse(op->connect.host, op->connect.port, rl_helper_address(op)) != RL_OK) {
        rl_helper_stage(&uring->helper_batch, op, uring_on_resolved);
        return;
    }
    op->status = uring_connect(uring, op);
    if (op->status != RL_OK) {          /* done must not run inside rl_submit */
        struct rl_msg *msg = (struct rl_msg *)op->backend_word;
        msg->handle = uring_on_helped;
        rl_shard_post(shard, msg);
    }
}

static void uring_submit(struct rl_shard *shard, struct rl_op *op)
{
    struct rl_uring *uring = uring_of(shard);

    switch (op->kind) {
    case RL_OP_SYNC:
    case RL_OP_JOB:
        rl_helper_stage(&uring->helper_batch, op, uring_on_helped);
        break;
    case RL_OP_CONNECT:
        uring_submit_connect(shard, uring, op);
        break;
    case RL_OP_ACCEPT:
    case RL_OP_RECEIVE:
    case RL_OP_RECEIVE_INTO:
    case RL_OP_SEND:
        uring_arm(uring, op);
        break;
    case RL_OP_SEND_FILE:
        rl_send_file_begin(&uring->files, op);
        break;
    case RL_OP_NONE:
        rl_panic(__FILE__, __LINE__, "operation without a kind");
    }
}

/* The memory is let go when the peer has acknowledged, which it may never do: cut it off. */
static void uring_disconnect(int fd)
{
    struct sockaddr nobody = { .sa_family = AF_UNSPEC };

    (void)connect(fd, &nobody, sizeof nobody);
}

static void uring_cancel(struct rl_shard *shard, struct rl_op *op)
{
    struct rl_uring *uring = uring_of(shard);

    /* While a helper looks up a name there is nothing to cancel: uring_on_resolved will see it. */
    if (op->kind == RL_OP_CONNECT && op->ret_fd < 0)
        return;
    if (op->kind == RL_OP_SEND && op->send.zero_copy && op->backend_word[WORD_SENT] != 0) {
        uring_disconnect(op->fd);
        return;
    }
    struct io_uring_sqe *sqe = uring_sqe(uring);
    io_uring_prep_cancel(sqe, op, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, URING_IGNORE);
}

/* ---- complete ---- */

static rl_status uring_status(const struct rl_op *op, int result)
{
    return rl_real_status(op, result < 0 ? -result : 0);
}

static void uring_recycle(struct rl_uring *uring, uint32_t slot)
{
    io_uring_buf_ring_add(uring->buffers, uring->slots + (size_t)slot * URING_SLOT_BYTES,
                          URING_SLOT_BYTES, (unsigned short)slot,
                          io_uring_buf_ring_mask(URING_SLOTS), 0);
    io_uring_buf_ring_advance(uring->buffers, 1);
}

/* The request has ended although its operation goes on: arm it again, or end it. */
static void uring_continue(struct rl_shard *shard, struct rl_uring *uring, struct rl_op *op)
{
    if (!op->cancelled) {
        uring_arm(uring, op);
        return;
    }
    op->more = false;
    op->status = RL_ECANCELLED;
    op->ret_bytes = 0;
    op->ret_fd = -1;
    rl_shard_complete(shard, op);
}

static void uring_on_receive(struct rl_shard *shard, struct rl_uring *uring, struct rl_op *op,
                             int result, uint32_t flags)
{
    uint32_t slot = flags >> IORING_CQE_BUFFER_SHIFT;
    bool armed = (flags & IORING_CQE_F_MORE) != 0, has_slot = (flags & IORING_CQE_F_BUFFER) != 0;

    if (result > 0) {
        RL_ASSERT(has_slot && slot < URING_SLOTS);
        op->more = true;
        op->status = RL_OK;
        op->ret_data = uring->slots + (size_t)slot * URING_SLOT_BYTES;
        op->ret_bytes = (size_t)result;
        rl_shard_complete(shard, op);
        uring_recycle(uring, slot);
        if (!armed)
            uring_continue(shard, uring, op);
        return;
    }
    if (has_slot)
        uring_recycle(uring, slot);
    op->more = false;
    op->ret_bytes = 0;
    op->status = result == 0 ? RL_ECLOSED : uring_status(op, result);
    rl_shard_complete(shard, op);
}

static void uring_on_accept(struct rl_shard *shard, struct rl_uring *uring, struct rl_op *op,
                            int result, uint32_t flags)
{
    bool armed = (flags & IORING_CQE_F_MORE) != 0;

    if (result >= 0) {
        op->more = true;
        op->status = RL_OK;
        op->ret_fd = result;
        rl_shard_complete(shard, op);
    }
    if (armed)
        return;
    if (result >= 0 || rl_real_accept_goes_on(-result)) {
        uring_continue(shard, uring, op);
        return;
    }
    op->more = false;
    op->ret_fd = -1;
    op->status = uring_status(op, result);
    rl_shard_complete(shard, op);
}

static void uring_on_send(struct rl_shard *shard, struct rl_op *op, int result)
{
    op->status = uring_status(op, result);
    op->ret_bytes = result > 0 ? (size_t)result : 0;
    if (result >= 0 && (uint64_t)result < op->backend_word[WORD_TOTAL])
        op->status = op->cancelled ? RL_ECANCELLED : RL_EIO;
    rl_shard_complete(shard, op);
}

/* Pages could not be pinned (memlock limit), or this socket cannot do it. */
static bool uring_cannot_zero_copy(int result)
{
    return result == -ENOMEM || result == -ENOBUFS || result == -EOPNOTSUPP || result == -EINVAL;
}

/* A SEND without a copy: the first completion has the result, the second lets go of the memory. */
static void uring_on_send_zero_copy(struct rl_shard *shard, struct rl_uring *uring,
                                    struct rl_op *op, int result, uint32_t flags)
{
    if ((flags & IORING_CQE_F_NOTIF) == 0) {
        op->backend_word[WORD_RESULT] = (uint64_t)(int64_t)result;
        op->backend_word[WORD_SENT] = 1;
    }
    if ((flags & IORING_CQE_F_MORE) != 0) {
        if (op->cancelled ||
            (result >= 0 && (uint64_t)result < op->backend_word[WORD_TOTAL]))
            uring_disconnect(op->fd);
        return;
    }
    result = (int)(int64_t)op->backend_word[WORD_RESULT];
    if (uring_cannot_zero_copy(result)) {
        op->send.zero_copy = false;
        uring_continue(shard, uring, op);
        return;
    }
    uring_on_send(shard, op, result);
}

static void uring_on_op(struct rl_shard *shard, struct rl_uring *uring, struct rl_op *op,
                        int result, uint32_t flags)
{
    switch (op->kind) {
    case RL_OP_RECEIVE:
        uring_on_receive(shard, uring, op, result, flags);
        break;
    case RL_OP_SEND:
        if (op->send.zero_copy)
            uring_on_send_zero_copy(shard, uring, op, result, flags);
        else
            uring_on_send(shard, op, result);
        break;
    case RL_OP_SEND_FILE:
        rl_send_file_on_result(&uring->files, op, result);
        break;
    case RL_OP_RECEIVE_INTO:
        op->ret_bytes = result > 0 ? (size_t)result : 0;
        op->status = result == 0 ? RL_ECLOSED : uring_status(op, result);
        rl_shard_complete(shard, op);
        break;
    case RL_OP_ACCEPT:
        uring_on_accept(shard, uring, op, result, flags);
        break;
    case RL_OP_CONNECT:
        rl_real_connect_ended(op, uring_status(op, result));
        rl_shard_complete(shard, op);
        break;
    case RL_OP_NONE:
    case RL_OP_SYNC:
    case RL_OP_JOB:
        rl_panic(__FILE__, __LINE__, "completion of operation kind %d", (int)op->kind);
    }
}

/* While stopping: nobody hears of it, but what it opened is closed. */
static void uring_drop(struct rl_uring *uring, struct rl_op *op, int result)
{
    if (op->kind == RL_OP_SEND_FILE)
        rl_send_file_drop(&uring->files, op);
    if (op->kind == RL_OP_ACCEPT && result >= 0)
        close(result);
    if (op->kind == RL_OP_CONNECT)
        close(op->ret_fd);
}

static void uring_write_event(const struct rl_shard *to)
{
    const uint64_t one = 1;
    /* A full counter means the shard is already being woken. */
    (void)!write(uring_of(to)->event_fd, &one, sizeof one);
}

static void uring_on_completion(struct rl_shard *shard, struct rl_uring *uring, uint64_t data,
                                int result, uint32_t flags)
{
    if (data == URING_WOKEN || data == URING_IGNORE)
        return;
    if ((data & 0xff) == URING_WAKE_FAILED) {
        if (!uring->stopping)           /* else the peer's ring may be gone, and needs no wake */
            uring_write_event(rl_shard_peer(shard, (uint32_t)(data >> 8)));
        return;
    }
    uring->in_flight -= (flags & IORING_CQE_F_MORE) == 0;
    if (data == URING_EVENT) {
        if (!uring->stopping)
            uring_arm_event(uring);
        return;
    }
    struct rl_op *op = (struct rl_op *)(uintptr_t)data;
    if (uring->stopping)
        uring_drop(uring, op, result);
    else
        uring_on_op(shard, uring, op, result, flags);
}

static void uring_harvest(struct rl_shard *shard, struct rl_uring *uring)
{
    /* Only what is there now: completions caused by `done` belong to the next turn. */
    unsigned count = io_uring_cq_ready(&uring->ring), head = *uring->ring.cq.khead;
    unsigned mask = *uring->ring.cq.kring_mask;

    for (unsigned i = 0; i < count; i++) {
        struct io_uring_cqe cqe = uring->ring.cq.cqes[(head + i) & mask];
        /* Free the place first: `done` may submit, and submitting may complete. */
        io_uring_cq_advance(&uring->ring, 1);
        uring_on_completion(shard, uring, cqe.user_data, cqe.res, cqe.flags);
    }
}

static void uring_enter(struct rl_uring *uring, int64_t wait_ns)
{
    struct io_uring_cqe *cqe;

    if (wait_ns == 0 || io_uring_cq_ready(&uring->ring) != 0) {
        io_uring_submit_and_get_events(&uring->ring);
        return;
    }
    struct __kernel_timespec limit = { .tv_sec = wait_ns / 1000000000,
                                       .tv_nsec = wait_ns % 1000000000 };
    /* Its results (time is up, a signal) say nothing that the loop does not see for itself. */
    io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, wait_ns == INT64_MAX ? NULL : &limit,
                                     NULL);
}

static void uring_turn(struct rl_shard *shard, int64_t wait_ns)
{
    struct rl_uring *uring = uring_of(shard);

    rl_helper_flush(shard->set->helpers, &uring->helper_batch);
    rl_send_files_step(&uring->files, uring_arm_file, uring);
    uring_enter(uring, rl_send_files_have_work(&uring->files) ? 0 : wait_ns);
    rl_shard_read_clocks(shard);
    for (struct rl_op *op; (op = rl_send_files_take_ended(&uring->files)) != NULL;)
        rl_shard_complete(shard, op);
    uring_harvest(shard, uring);
}

static void uring_wake(struct rl_shard *from, struct rl_shard *to)
{
    if (from == NULL) {
        uring_write_event(to);
        return;
    }
    struct io_uring_sqe *sqe = uring_sqe(uring_of(from));
    io_uring_prep_msg_ring(sqe, uring_of(to)->ring.ring_fd, 0, URING_WOKEN, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, URING_WAKE_FAILED | (uint64_t)to->index << 8);
}

/* ---- start and stop ---- */

/* liburing#1062: with DEFER_TASKRUN these kernels' multishot accept could return a number that is
 * no descriptor. */
static bool uring_accept_is_broken(void)
{
    struct utsname name;

    return uname(&name) == 0 &&
           (strncmp(name.release, "6.6.", 4) == 0 || strncmp(name.release, "6.7.", 4) == 0);
}

static rl_status uring_start_buffers(struct rl_uring *uring)
{
    size_t ring_bytes = URING_SLOTS * sizeof(struct io_uring_buf);

    uring->buffers = rl_alloc_aligned(4096, ring_bytes);
    memset(uring->buffers, 0, ring_bytes);
    uring->slots = mmap(NULL, (size_t)URING_SLOTS * URING_SLOT_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (uring->slots == MAP_FAILED) {
        uring->slots = NULL;
        return RL_ENOMEM;
    }
    struct io_uring_buf_reg registration = { .ring_addr = (uintptr_t)uring->buffers,
                                             .ring_entries = URING_SLOTS, .bgid = URING_GROUP };
    if (io_uring_register_buf_ring(&uring->ring, &registration, 0) != 0)
        return RL_EUNSUPPORTED;
    io_uring_buf_ring_init(uring->buffers);
    for (uint32_t slot = 0; slot < URING_SLOTS; slot++)
        uring_recycle(uring, slot);
    return RL_OK;
}

static void uring_free(struct rl_uring *uring)
{
    if (uring->event_fd >= 0)
        close(uring->event_fd);
    if (uring->slots != NULL)
        munmap(uring->slots, (size_t)URING_SLOTS * URING_SLOT_BYTES);
    rl_send_files_done(&uring->files);
    rl_free(uring->buffers);
    rl_free(uring->headers);
    rl_free(uring);
}

static rl_status uring_start(struct rl_shard *shard)
{
    struct rl_uring *uring = rl_alloc_zero(1, sizeof *uring);
    struct io_uring_params params = { .flags = RL_URING_SETUP_FLAGS,
                                      .cq_entries = URING_COMPLETIONS };

    rl_real_block_sigpipe();
    uring->event_fd = eventfd(0, EFD_CLOEXEC);  /* blocking: a non-blocking read is not parked */
    if (uring->event_fd < 0) {
        uring_free(uring);
        return RL_EMFILE;
    }
    int result = io_uring_queue_init_params(URING_ENTRIES, &uring->ring, &params);
    if (result < 0) {
        uring_free(uring);
        return result == -EMFILE || result == -ENFILE ? RL_EMFILE : RL_EUNSUPPORTED;
    }
    rl_status status = uring_start_buffers(uring);
    if (status != RL_OK) {
        io_uring_queue_exit(&uring->ring);
        uring_free(uring);
        return status;
    }
    (void)io_uring_register_ring_fd(&uring->ring);      /* saves a look-up per enter; optional */
    uring->headers = rl_alloc_zero(params.sq_entries, sizeof *uring->headers);
    uring->accept_once = uring_accept_is_broken();
    rl_loop_of(shard)->backend = uring;
    uring_arm_event(uring);
    return RL_OK;
}

static void uring_stop(struct rl_shard *shard)
{
    struct rl_uring *uring = uring_of(shard);

    /* The kernel must let go of every buffer before its owner frees it, and closing a ring does
     * not wait for that: cancel everything and see the last completion of each. */
    uring->stopping = true;
    struct io_uring_sqe *sqe = uring_sqe(uring);
    io_uring_prep_cancel(sqe, NULL, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(sqe, URING_IGNORE);
    uring_enter(uring, 0);
    uring_harvest(shard, uring);
    for (int round = 0; uring->in_flight > 0 && round < URING_STOP_ROUNDS; round++) {
        uring_enter(uring, URING_STOP_WAIT_NS);
        uring_harvest(shard, uring);
    }
    bool quiet = uring->in_flight == 0;
    io_uring_queue_exit(&uring->ring);
    rl_loop_of(shard)->backend = NULL;
    if (RL_NEVER(!quiet))
        uring->slots = NULL;            /* leaked on purpose: the kernel may still write to it */
    uring_free(uring);
}

const struct rl_backend rl_backend_uring = {
    .name = "uring",
    .helpers = true,
    .measurable = true,
    .start = uring_start,
    .stop = uring_stop,
    .submit = uring_submit,
    .cancel = uring_cancel,
    .turn = uring_turn,
    .wake = uring_wake,
    .clocks = rl_real_clocks,
    .seed = rl_real_seed,
    .listen = rl_socket_real_listen,
    .socket_shutdown = rl_socket_real_shutdown,
    .socket_close = rl_socket_real_close,
    .socket_address = rl_socket_real_address,
    .socket_tune = rl_socket_real_tune,
};

/* io/posix.c — the backend for machines that forbid io_uring: epoll and plain calls.
 *
 * Happy path: submit puts an operation into the queue and into its descriptor's slot, one for each
 * direction.  turn tries what is in the queue: most sends and many receives are done by that one
 * call.  What the kernel is not ready for stays in its slot until epoll says that the descriptor
 * can be read or written, and is queued again.  Received bytes are lent from one buffer, so there
 * is always one free.  SEND_FILE is io/send_file.c's, which waits here for room in its socket;
 * what may wait for the disk, SYNC, JOB and host names go to the helpers.
 *
 * A descriptor is registered once, edge-triggered and for both directions, so waiting costs no
 * call.  An edge is remembered (`readable`, `writable`) until a call finds nothing left, so none
 * is lost however late its operation comes.  While an operation is in flight nobody may close its
 * descriptor, so the registration is known to stand.  With none in flight somebody may have
 * closed it, and its number may be another socket's: then it is not trusted, the next operation
 * tries first, and if it has to wait it registers again, which reports what is ready already.
 *
 * Waking: an eventfd, edge-triggered too, so that nobody needs to read it.
 *
 * Failures are the operations' own, told in done.  A kernel or a sandbox without epoll_pwait2 has
 * timers that are late by up to a millisecond. */
#include "core/memory.h"
#include "io/helper.h"
#include "io/loop.h"
#include "io/real.h"
#include "io/send_file.h"
#include "io/socket_real.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define POSIX_EVENTS_MAX 256
#define POSIX_BUFFER_BYTES ((size_t)32 * 1024)
/* Of one operation before the others have their turn. */
#define POSIX_CALLS_MAX 4
#define POSIX_ACCEPTS_MAX 64
#define POSIX_RESUME_PIECES 64          /* of a SEND that goes on within a piece */
#define POSIX_WAIT_MS_MAX (60 * 1000)

/* backend_word; CONNECT has its address in the words between, SEND_FILE all words for itself */
enum {
    WORD_BYTES = 0,                     /* SEND: sent; RECEIVE_INTO: received */
    WORD_PIECE = 1,                     /* SEND: the piece to go on with... */
    WORD_OFFSET = 2,                    /* ...and where in it */
    WORD_QUEUED = 6,
};

struct posix_fd {
    struct rl_op *reader, *writer;      /* in flight */
    bool registered;                    /* known to be, because an operation has been in flight since */
    bool readable, writable;            /* try: nothing has said yet that it would wait */
    bool hung_up;                       /* the end or an error is to be read after the bytes */
};

struct rl_posix {
    int epoll_fd, event_fd;
    struct posix_fd *fds;               /* by descriptor */
    size_t fd_count;
    struct rl_op *first, *last;         /* to be tried */
    struct rl_send_files files;
    struct rl_helper_batch helper_batch;
    bool went_round;                    /* the last turn did not look for events */
    bool coarse;                        /* no epoll_pwait2 */
    uint8_t buffer[POSIX_BUFFER_BYTES]; /* lent to RECEIVE's done */
};

/* What trying an operation found out. */
enum outcome { WAITS, GOES_ON, ENDED };

static struct rl_posix *posix_of(const struct rl_shard *shard)
{
    return rl_loop_of(shard)->backend;
}

/* ---- descriptors ---- */

static bool reads(const struct rl_op *op)
{
    return op->kind == RL_OP_ACCEPT || op->kind == RL_OP_RECEIVE || op->kind == RL_OP_RECEIVE_INTO;
}

static int fd_of(const struct rl_op *op)
{
    return op->kind == RL_OP_CONNECT ? op->ret_fd : op->fd;
}

/* The place may move whenever `done` runs: never kept across it. */
static struct posix_fd *posix_fd(struct rl_posix *posix, int fd)
{
    RL_ASSERT(fd >= 0);
    if ((size_t)fd >= posix->fd_count) {
        size_t count = RL_MAX((size_t)fd + 1, 2 * posix->fd_count);
        posix->fds = rl_realloc(posix->fds, count * sizeof *posix->fds);
        memset(posix->fds + posix->fd_count, 0, (count - posix->fd_count) * sizeof *posix->fds);
        posix->fd_count = count;
    }
    return &posix->fds[fd];
}

static struct rl_op **slot_of(struct posix_fd *at, const struct rl_op *op)
{
    return reads(op) ? &at->reader : &at->writer;
}

static void posix_occupy(struct rl_posix *posix, struct rl_op *op)
{
    struct posix_fd *at = posix_fd(posix, fd_of(op));
    struct rl_op **slot = slot_of(at, op);

    RL_ASSERT(*slot == NULL);           /* at most one operation in each direction */
    if (!at->registered)
        *at = (struct posix_fd){ .reader = at->reader, .writer = at->writer, .readable = true,
                                 .writable = true };
    *slot = op;
}

static void posix_vacate(struct rl_posix *posix, const struct rl_op *op)
{
    struct posix_fd *at = posix_fd(posix, fd_of(op));

    *slot_of(at, op) = NULL;
    if (at->reader == NULL && at->writer == NULL)
        at->registered = false;
}

/* An operation has to wait: see that epoll will tell. */
static int posix_register(struct rl_posix *posix, int fd)
{
    struct posix_fd *at = posix_fd(posix, fd);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd };

    if (at->registered)
        return 0;
    if (epoll_ctl(posix->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 &&
        (errno != EEXIST || epoll_ctl(posix->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0))
        return errno;
    at->registered = true;
    return 0;
}

/* ---- the queue ---- */

static void posix_queue(struct rl_posix *posix, struct rl_op *op)
{
    if (op->backend_word[WORD_QUEUED] != 0)
        return;
    op->backend_word[WORD_QUEUED] = 1;
    op->next = NULL;
    if (posix->first == NULL)
        posix->first = op;
    else
        posix->last->next = op;
    posix->last = op;
}

static void posix_end(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    struct rl_posix *posix = posix_of(shard);

    if (fd_of(op) >= 0)
        posix_vacate(posix, op);
    op->more = false;
    op->status = status;
    rl_shard_complete(shard, op);
}

/* ---- trying ---- */

/* Less was received than there was room for: if an end was behind it, epoll has said so, or will. */
static bool was_all(struct rl_posix *posix, int fd)
{
    return !posix_fd(posix, fd)->hung_up;
}

static enum outcome posix_end_receive(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    op->ret_bytes = 0;
    posix_end(shard, op, status);
    return ENDED;
}

static enum outcome try_receive(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    if (op->cancelled)
        return posix_end_receive(shard, op, RL_ECANCELLED);
    for (int call = 0; call < POSIX_CALLS_MAX; call++) {
        ssize_t n = recv(op->fd, posix->buffer, sizeof posix->buffer, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return WAITS;
        if (n <= 0)
            return posix_end_receive(shard, op, n == 0 ? RL_ECLOSED : rl_real_status(op, errno));
        op->more = true;
        op->status = RL_OK;
        op->ret_data = posix->buffer;
        op->ret_bytes = (size_t)n;
        rl_shard_complete(shard, op);
        if (op->cancelled)
            return GOES_ON;             /* queued for its end */
        if ((size_t)n < sizeof posix->buffer && was_all(posix, op->fd))
            return WAITS;
    }
    return GOES_ON;
}

static enum outcome end_receive_into(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    op->ret_bytes = op->backend_word[WORD_BYTES];
    posix_end(shard, op, op->ret_bytes > 0 ? RL_OK : status);
    return ENDED;
}

static enum outcome try_receive_into(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    if (op->cancelled)
        return end_receive_into(shard, op, RL_ECANCELLED);
    for (int call = 0; call < POSIX_CALLS_MAX; call++) {
        const size_t got = op->backend_word[WORD_BYTES];
        ssize_t n = recv(op->fd, (uint8_t *)op->into.buffer + got, op->into.bytes - got, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return WAITS;
        if (n <= 0)
            return end_receive_into(shard, op, n == 0 ? RL_ECLOSED : rl_real_status(op, errno));
        op->backend_word[WORD_BYTES] += (uint64_t)n;
        if (!op->into.patient || op->backend_word[WORD_BYTES] == op->into.bytes)
            return end_receive_into(shard, op, RL_OK);
        if (was_all(posix, op->fd))
            return WAITS;
    }
    return GOES_ON;
}

/* Send what is left, as far as one call takes it. */
static ssize_t send_rest(const struct rl_op *op)
{
    const struct iovec *iov = op->send.iov + op->backend_word[WORD_PIECE];
    const size_t left = (size_t)op->send.iov_count - op->backend_word[WORD_PIECE];
    const size_t offset = op->backend_word[WORD_OFFSET];
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (op->send.more ? MSG_MORE : 0);
    struct iovec resumed[POSIX_RESUME_PIECES];

    if (left == 1)
        return send(op->fd, (const uint8_t *)iov->iov_base + offset, iov->iov_len - offset, flags);
    struct msghdr header = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = left };
    if (offset != 0) {
        header.msg_iov = resumed;
        header.msg_iovlen = RL_MIN(left, (size_t)POSIX_RESUME_PIECES);
        memcpy(resumed, iov, header.msg_iovlen * sizeof *iov);
        resumed[0].iov_base = (uint8_t *)iov->iov_base + offset;
        resumed[0].iov_len -= offset;
        if (header.msg_iovlen < left)
            flags |= MSG_MORE;
    }
    return sendmsg(op->fd, &header, flags);
}

/* So many bytes have gone; true: those were the last. */
static bool send_advance(struct rl_op *op, size_t bytes)
{
    op->backend_word[WORD_BYTES] += bytes;
    for (bytes += op->backend_word[WORD_OFFSET]; op->backend_word[WORD_PIECE] < (uint64_t)op->send.iov_count;) {
        const size_t piece_bytes = op->send.iov[op->backend_word[WORD_PIECE]].iov_len;
        if (bytes < piece_bytes)
            break;
        bytes -= piece_bytes;
        op->backend_word[WORD_PIECE]++;
    }
    op->backend_word[WORD_OFFSET] = bytes;
    return op->backend_word[WORD_PIECE] == (uint64_t)op->send.iov_count;
}

static enum outcome end_send(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    op->ret_bytes = op->backend_word[WORD_BYTES];
    posix_end(shard, op, status);
    return ENDED;
}

static enum outcome try_send(struct rl_shard *shard, struct rl_op *op)
{
    if (op->cancelled)
        return end_send(shard, op, RL_ECANCELLED);
    for (int call = 0; call < POSIX_CALLS_MAX; call++) {
        ssize_t n = send_rest(op);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return WAITS;
        if (n < 0)
            return end_send(shard, op, rl_real_status(op, errno));
        if (send_advance(op, (size_t)n))
            return end_send(shard, op, RL_OK);
    }
    return GOES_ON;
}

static enum outcome end_accept(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    op->ret_fd = -1;
    posix_end(shard, op, status);
    return ENDED;
}

static enum outcome try_accept(struct rl_shard *shard, struct rl_op *op)
{
    if (op->cancelled)
        return end_accept(shard, op, RL_ECANCELLED);
    for (int call = 0; call < POSIX_ACCEPTS_MAX; call++) {
        int fd = accept4(op->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            op->more = true;
            op->status = RL_OK;
            op->ret_fd = fd;
            rl_shard_complete(shard, op);
            if (op->cancelled)
                return GOES_ON;         /* queued for its end */
        } else if (errno == EAGAIN) {
            return WAITS;
        } else if (!rl_real_accept_goes_on(errno)) {
            return end_accept(shard, op, rl_real_status(op, errno));
        }
    }
    return GOES_ON;
}

static enum outcome end_connect(struct rl_shard *shard, struct rl_op *op, rl_status status)
{
    if (op->ret_fd >= 0)
        posix_vacate(posix_of(shard), op);
    rl_real_connect_ended(op, status);
    rl_shard_complete(shard, op);
    return ENDED;
}

/* First try: begin.  Second: it has come to an end. */
static enum outcome try_connect(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    int error = 0;
    socklen_t bytes = sizeof error;

    if (op->cancelled)
        return end_connect(shard, op, RL_ECANCELLED);
    if (op->ret_fd >= 0) {
        getsockopt(op->ret_fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
        return end_connect(shard, op, rl_real_status(op, error));
    }
    rl_status status = rl_real_connect_socket(op, SOCK_NONBLOCK);
    if (status != RL_OK)
        return end_connect(shard, op, status);
    posix_occupy(posix, op);
    const struct sockaddr *address = rl_helper_address(op);
    if (connect(op->ret_fd, address, rl_socket_address_bytes(address)) == 0)
        return end_connect(shard, op, RL_OK);
    return errno == EINPROGRESS ? WAITS : end_connect(shard, op, rl_real_status(op, errno));
}

static enum outcome posix_try(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    switch (op->kind) {
    case RL_OP_ACCEPT:
        return try_accept(shard, op);
    case RL_OP_CONNECT:
        return try_connect(shard, posix, op);
    case RL_OP_RECEIVE:
        return try_receive(shard, posix, op);
    case RL_OP_RECEIVE_INTO:
        return try_receive_into(shard, posix, op);
    case RL_OP_SEND:
        return try_send(shard, op);
    case RL_OP_NONE:
    case RL_OP_SEND_FILE:
    case RL_OP_SYNC:
    case RL_OP_JOB:
        break;
    }
    rl_panic(__FILE__, __LINE__, "operation kind %d in the queue", (int)op->kind);
}

/* Does it make sense to try now?  Only a wait that epoll will end is worth believing in. */
static bool posix_may_try(struct rl_posix *posix, const struct rl_op *op)
{
    if (op->cancelled || fd_of(op) < 0)
        return true;
    const struct posix_fd *at = posix_fd(posix, fd_of(op));
    return !at->registered || (reads(op) ? at->readable : at->writable);
}

/* Nothing more to be had from this direction until epoll says so. */
static void posix_wait(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    struct posix_fd *at = posix_fd(posix, fd_of(op));

    if (reads(op))
        at->readable = false;
    else
        at->writable = false;
    int error = posix_register(posix, fd_of(op));
    if (error != 0 && op->kind == RL_OP_CONNECT)
        (void)end_connect(shard, op, rl_real_status(op, error));
    else if (error != 0)
        posix_end(shard, op, rl_real_status(op, error));
}

/* Try what is in the queue now; what `done` adds comes next time. */
static void posix_run_queue(struct rl_shard *shard, struct rl_posix *posix)
{
    struct rl_op *op = posix->first, *next;

    posix->first = NULL;
    for (; op != NULL; op = next) {
        next = op->next;
        op->backend_word[WORD_QUEUED] = 0;
        if (!posix_may_try(posix, op))
            continue;
        enum outcome outcome = posix_try(shard, posix, op);
        if (outcome == GOES_ON)
            posix_queue(posix, op);
        else if (outcome == WAITS && op->backend_word[WORD_QUEUED] == 0)
            posix_wait(shard, posix, op);
    }
}

/* ---- submit ---- */

/* A helper has finished SYNC or JOB. */
static void posix_on_helped(struct rl_shard *shard, struct rl_msg *msg)
{
    rl_shard_complete(shard, rl_helper_op(msg));
}

/* A helper has looked up the name. */
static void posix_on_resolved(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_op *op = rl_helper_op(msg);

    if (op->status == RL_OK)
        posix_queue(posix_of(shard), op);
    else
        rl_shard_complete(shard, op);
}

/* A helper has loaded bytes of a file. */
static void posix_on_loaded(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_op *op = rl_helper_op(msg);
    const int result = op->ret_fd;

    op->ret_fd = -1;
    rl_send_file_on_result(&posix_of(shard)->files, op, result);
}

static void posix_submit_connect(struct rl_shard *shard, struct rl_posix *posix, struct rl_op *op)
{
    (void)shard;
    op->backend_word[WORD_QUEUED] = 0;
    if (rl_socket_parse(op->connect.host, op->connect.port, rl_helper_address(op)) == RL_OK)
        posix_queue(posix, op);
    else
        rl_helper_stage(&posix->helper_batch, op, posix_on_resolved);
}

static void posix_submit(struct rl_shard *shard, struct rl_op *op)
{
    struct rl_posix *posix = posix_of(shard);

    switch (op->kind) {
    case RL_OP_SYNC:
    case RL_OP_JOB:
        rl_helper_stage(&posix->helper_batch, op, posix_on_helped);
        break;
    case RL_OP_CONNECT:
        posix_submit_connect(shard, posix, op);
        break;
    case RL_OP_SEND_FILE:
        (void)fcntl(op->fd, F_SETFL, O_NONBLOCK);
        posix_occupy(posix, op);
        rl_send_file_begin(&posix->files, op);
        break;
    case RL_OP_ACCEPT:
        (void)fcntl(op->fd, F_SETFL, O_NONBLOCK);
        /* fall through */
    case RL_OP_RECEIVE:
    case RL_OP_RECEIVE_INTO:
    case RL_OP_SEND:
        for (size_t i = 0; i < RL_ARRAY_COUNT(op->backend_word); i++)
            op->backend_word[i] = 0;
        posix_occupy(posix, op);
        posix_queue(posix, op);
        break;
    case RL_OP_NONE:
        rl_panic(__FILE__, __LINE__, "operation without a kind");
    }
}

static void posix_cancel(struct rl_shard *shard, struct rl_op *op)
{
    struct rl_posix *posix = posix_of(shard);

    if (op->kind == RL_OP_SEND_FILE) {
        if (rl_send_file_needs(op) == RL_SEND_FILE_ROOM)
            rl_send_file_on_result(&posix->files, op, 0);
        return;                         /* else it has its turn soon, or is with a helper */
    }
    if (op->kind == RL_OP_CONNECT && op->ret_fd < 0)
        return;                         /* queued, or with a helper: seen when it is tried */
    posix_queue(posix, op);
}

/* ---- turn ---- */

/* SEND_FILE cannot go on. */
static void posix_arm_file(void *arg, struct rl_op *op, enum rl_send_file_need need)
{
    struct rl_posix *posix = arg;

    if (need != RL_SEND_FILE_ROOM) {
        rl_helper_stage(&posix->helper_batch, op, posix_on_loaded);
        return;
    }
    posix_fd(posix, op->fd)->writable = false;
    int error = posix_register(posix, op->fd);
    if (error != 0)
        rl_send_file_on_result(&posix->files, op, -error);
}

static void posix_on_event(struct rl_posix *posix, const struct epoll_event *event)
{
    if (event->data.fd == posix->event_fd)
        return;
    struct posix_fd *at = posix_fd(posix, event->data.fd);
    const bool ended = (event->events & (EPOLLHUP | EPOLLERR)) != 0;
    at->hung_up |= ended || (event->events & EPOLLRDHUP) != 0;
    at->readable |= ended || (event->events & (EPOLLIN | EPOLLRDHUP)) != 0;
    at->writable |= ended || (event->events & EPOLLOUT) != 0;
    if (at->reader != NULL && at->readable)
        posix_queue(posix, at->reader);
    if (at->writer == NULL || !at->writable)
        return;
    if (at->writer->kind != RL_OP_SEND_FILE)
        posix_queue(posix, at->writer);
    else if (rl_send_file_needs(at->writer) == RL_SEND_FILE_ROOM)
        rl_send_file_on_result(&posix->files, at->writer, 0);
}

static int posix_wait_ms(int64_t wait_ns)
{
    return wait_ns == INT64_MAX ? -1
                                : (int)RL_MIN((wait_ns + 999999) / 1000000, (int64_t)POSIX_WAIT_MS_MAX);
}

static void posix_collect(struct rl_posix *posix, int64_t wait_ns)
{
    struct epoll_event events[POSIX_EVENTS_MAX];
    const struct timespec limit = { .tv_sec = wait_ns / 1000000000, .tv_nsec = wait_ns % 1000000000 };
    int count = -1;

    if (wait_ns != 0 && wait_ns != INT64_MAX && !posix->coarse) {
        count = epoll_pwait2(posix->epoll_fd, events, POSIX_EVENTS_MAX, &limit, NULL);
        if (count < 0 && errno == EINTR)
            return;                     /* the loop comes again */
        posix->coarse = count < 0;
    }
    if (count < 0)
        count = epoll_wait(posix->epoll_fd, events, POSIX_EVENTS_MAX, posix_wait_ms(wait_ns));
    for (int i = 0; i < count; i++)
        posix_on_event(posix, &events[i]);
}

static void posix_run_files(struct rl_shard *shard, struct rl_posix *posix)
{
    rl_send_files_step(&posix->files, posix_arm_file, posix);
    for (struct rl_op *op; (op = rl_send_files_take_ended(&posix->files)) != NULL;) {
        posix_vacate(posix, op);
        rl_shard_complete(shard, op);
    }
}

static void posix_turn(struct rl_shard *shard, int64_t wait_ns)
{
    struct rl_posix *posix = posix_of(shard);
    const bool has_work = posix->first != NULL || rl_send_files_have_work(&posix->files);

    /* What was submitted is tried at once, and the loop goes round before it asks the kernel for
     * more: so a request and its reply cost one epoll_wait.  But not twice in a row. */
    if (has_work) {
        rl_shard_read_clocks(shard);
        posix_run_queue(shard, posix);
        posix_run_files(shard, posix);
    }
    rl_helper_flush(shard->set->helpers, &posix->helper_batch);
    posix->went_round = has_work && !posix->went_round;
    if (posix->went_round)
        return;
    posix_collect(posix, has_work ? 0 : wait_ns);
    rl_shard_read_clocks(shard);
    posix_run_queue(shard, posix);
}

static void posix_wake(struct rl_shard *from, struct rl_shard *to)
{
    const uint64_t one = 1;

    (void)from;
    (void)!write(posix_of(to)->event_fd, &one, sizeof one);
}

/* ---- start and stop ---- */

static void posix_free(struct rl_posix *posix)
{
    if (posix->epoll_fd >= 0)
        close(posix->epoll_fd);
    if (posix->event_fd >= 0)
        close(posix->event_fd);
    rl_send_files_done(&posix->files);
    rl_free(posix->fds);
    rl_free(posix);
}

static rl_status posix_start(struct rl_shard *shard)
{
    struct rl_posix *posix = rl_alloc_zero(1, sizeof *posix);

    rl_real_block_sigpipe();
    posix->files.sockets_never_wait = true;
    posix->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    posix->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = posix->event_fd };
    if (posix->epoll_fd < 0 || posix->event_fd < 0 ||
        epoll_ctl(posix->epoll_fd, EPOLL_CTL_ADD, posix->event_fd, &event) != 0) {
        rl_status status = rl_status_from_errno(errno);
        posix_free(posix);
        return status;
    }
    rl_loop_of(shard)->backend = posix;
    return RL_OK;
}

/* Nobody hears of it, but what was opened for it is closed. */
static void posix_drop(struct rl_posix *posix, struct rl_op *op)
{
    if (op == NULL)
        return;
    if (op->kind == RL_OP_CONNECT)
        close(op->ret_fd);
    if (op->kind == RL_OP_SEND_FILE)
        rl_send_file_drop(&posix->files, op);
}

static void posix_stop(struct rl_shard *shard)
{
    struct rl_posix *posix = posix_of(shard);

    for (size_t fd = 0; fd < posix->fd_count; fd++)
        posix_drop(posix, posix->fds[fd].writer);
    rl_loop_of(shard)->backend = NULL;
    posix_free(posix);
}

const struct rl_backend rl_backend_posix = {
    .name = "posix",
    .helpers = true,
    .measurable = true,
    .start = posix_start,
    .stop = posix_stop,
    .submit = posix_submit,
    .cancel = posix_cancel,
    .turn = posix_turn,
    .wake = posix_wake,
    .clocks = rl_real_clocks,
    .seed = rl_real_seed,
    .listen = rl_socket_real_listen,
    .socket_shutdown = rl_socket_real_shutdown,
    .socket_close = rl_socket_real_close,
    .socket_address = rl_socket_real_address,
    .socket_tune = rl_socket_real_tune,
};

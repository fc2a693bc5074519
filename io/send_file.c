/* io/send_file.c — SEND_FILE: bytes of a file to a socket that never enter our memory.
 *
 * Happy path: while the bytes are in the page cache and the socket takes them, plain calls do all:
 * sendfile(2), or splice(2) from the file into a pipe of one MiB and from it to the socket.  They
 * are cheaper than the same through a ring, where a splice always runs on a worker thread.
 * The backend does what waits: for room in the socket (poll), and for the disk (a read whose bytes
 * nobody looks at, or the splice into the pipe, on a thread of the kernel or of ours).  The two
 * splices are not linked in a ring, because the second would hold a kernel thread for as long as
 * its reader is slow.
 *
 * The socket is made non-blocking only around the calls: a ring's own operations on it wait by
 * themselves, and would fail instead.
 *
 * Failures: a file that ends early or cannot be read, and a socket that is gone, end the
 * operation; what is then in its pipe is thrown away with the pipe.  No pipe to be had: sendfile.
 * A file system that cannot splice: its bytes are copied through a buffer, here too. */
#include "io/send_file.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define STEP_BYTES ((size_t)1 << 20)    /* per operation and turn; also what a pipe should hold */
#define SAMPLE_BYTES ((uint64_t)64 << 10)
#define HELP_BYTES ((size_t)32 << 10)    /* of a helper's stack */

/* backend_word; the first two are the message's that a helper posts */
enum {
    WORD_SENT = 2,
    WORD_PIPE = 3,                      /* read end + 1, write end + 1 above; 0: none */
    WORD_PIPED = 4,                     /* bytes in it */
    WORD_NEED = 5,                      /* what the backend does for us; NEED_COPY */
    WORD_LOADED = 6,                    /* place, + 1, that was loaded last: it should be there now */
};
/* With WORD_NEED: this file system has no splice. */
#define NEED_COPY ((uint64_t)1 << 8)

/* ---- queues ---- */

static void queue_push(struct rl_op **first, struct rl_op **last, struct rl_op *op)
{
    op->next = NULL;
    if (*first == NULL)
        *first = op;
    else
        (*last)->next = op;
    *last = op;
}

struct rl_op *rl_send_files_take_ended(struct rl_send_files *files)
{
    struct rl_op *op = files->ended_first;

    if (op != NULL)
        files->ended_first = op->next;
    return op;
}

/* ---- pipes ---- */

static struct rl_send_pipe pipe_of(const struct rl_op *op)
{
    return (struct rl_send_pipe){ (int)(op->backend_word[WORD_PIPE] & UINT32_MAX) - 1,
                                   (int)(op->backend_word[WORD_PIPE] >> 32) - 1 };
}

static bool pipe_open(struct rl_send_files *files, struct rl_send_pipe *ret_pipe)
{
    int fds[2];

    if (files->pipe_count > 0) {
        *ret_pipe = files->pipes[--files->pipe_count];
        return true;
    }
    if (files->pipes_open == RL_SEND_PIPES_MAX || pipe2(fds, O_CLOEXEC) != 0)
        return false;
    (void)fcntl(fds[1], F_SETPIPE_SZ, (int)STEP_BYTES);         /* a smaller one works, too */
    files->pipes_open++;
    *ret_pipe = (struct rl_send_pipe){ fds[0], fds[1] };
    return true;
}

static void pipe_close(struct rl_send_files *files, struct rl_send_pipe pipe)
{
    close(pipe.read_fd);
    close(pipe.write_fd);
    files->pipes_open--;
}

/* Does the operation have a pipe, and if not, can it have one? */
static bool pipe_take(struct rl_send_files *files, struct rl_op *op)
{
    struct rl_send_pipe pipe;

    if (op->backend_word[WORD_PIPE] != 0)
        return true;
    if (!pipe_open(files, &pipe))
        return false;
    op->backend_word[WORD_PIPE] =
        (uint64_t)(uint32_t)(pipe.read_fd + 1) | (uint64_t)(uint32_t)(pipe.write_fd + 1) << 32;
    return true;
}

static void pipe_give(struct rl_send_files *files, struct rl_op *op)
{
    if (op->backend_word[WORD_PIPE] == 0)
        return;
    if (op->backend_word[WORD_PIPED] == 0)
        files->pipes[files->pipe_count++] = pipe_of(op);
    else
        pipe_close(files, pipe_of(op));
    op->backend_word[WORD_PIPE] = 0;
}

void rl_send_file_drop(struct rl_send_files *files, struct rl_op *op)
{
    if (op->backend_word[WORD_PIPE] == 0)
        return;
    pipe_close(files, pipe_of(op));
    op->backend_word[WORD_PIPE] = 0;
}

/* ---- is it in memory? ---- */

#ifndef SYS_cachestat                   /* Linux 6.5 */
#define SYS_cachestat 451
#endif

struct cachestat_range {
    uint64_t pos, bytes;
};
struct cachestat_counts {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* Where the kernel cannot count: look at one byte in each piece. */
static bool samples_are_resident(int file, uint64_t pos, size_t bytes)
{
    uint8_t byte;
    struct iovec iov = { &byte, 1 };

    for (uint64_t at = pos; at < pos + bytes; at += SAMPLE_BYTES) {
        if (preadv2(file, &iov, 1, (off_t)at, RWF_NOWAIT) < 0 && errno == EAGAIN)
            return false;
    }
    return true;
}

static bool is_resident(int file, uint64_t pos, size_t bytes)
{
    const uint64_t page = 4096;         /* larger pages are counted as several of these */
    struct cachestat_range range = { pos, bytes };
    struct cachestat_counts counts;

    if (syscall(SYS_cachestat, file, &range, &counts, 0) != 0)
        return samples_are_resident(file, pos, bytes);
    return counts.cached >= (pos + bytes - 1) / page - pos / page + 1;
}

/* ---- sending ---- */

/* What a step found out. */
enum outcome { WENT_ON, NEEDS_HELP, ENDED };

static enum outcome step_end(struct rl_send_files *files, struct rl_op *op, rl_status status)
{
    op->status = status;
    op->ret_bytes = op->backend_word[WORD_SENT];
    pipe_give(files, op);
    queue_push(&files->ended_first, &files->ended_last, op);
    return ENDED;
}

static enum outcome step_need(struct rl_op *op, enum rl_send_file_need need)
{
    op->backend_word[WORD_NEED] = need | (op->backend_word[WORD_NEED] & NEED_COPY);
    return NEEDS_HELP;
}

enum rl_send_file_need rl_send_file_needs(const struct rl_op *op)
{
    return (enum rl_send_file_need)(op->backend_word[WORD_NEED] & ~NEED_COPY);
}

static bool cannot_splice(int error)
{
    return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

/* After a call that moved nothing. */
static enum outcome step_failed(struct rl_send_files *files, struct rl_op *op, ssize_t result)
{
    if (result < 0 && errno == EINTR)
        return WENT_ON;
    if (result < 0 && errno == EAGAIN)
        return step_need(op, RL_SEND_FILE_ROOM);
    if (result < 0 && cannot_splice(errno) && (op->backend_word[WORD_NEED] & NEED_COPY) == 0) {
        rl_send_file_drop(files, op);
        op->backend_word[WORD_PIPED] = 0;
        op->backend_word[WORD_NEED] = NEED_COPY;
        return WENT_ON;
    }
    return step_end(files, op, RL_EIO); /* the file is too short, or the socket gone */
}

uint8_t *rl_send_file_load_buffer(struct rl_send_files *files)
{
    if (files->load_buffer == NULL)
        files->load_buffer = rl_alloc(STEP_BYTES);
    return files->load_buffer;
}

/* Must the backend load these bytes first?  Once: a file system without a page cache never shows
 * them there. */
static bool must_load(const struct rl_op *op, uint64_t pos, size_t bytes)
{
    return op->backend_word[WORD_LOADED] != pos + 1 && !is_resident(op->send_file.file, pos, bytes);
}

static enum outcome step_copy(struct rl_send_files *files, struct rl_op *op, uint64_t pos,
                              size_t bytes)
{
    if (must_load(op, pos, bytes))
        return step_need(op, RL_SEND_FILE_LOAD);
    ssize_t n = pread(op->send_file.file, rl_send_file_load_buffer(files), bytes, (off_t)pos);
    if (n > 0)
        n = send(op->fd, files->load_buffer, (size_t)n, MSG_NOSIGNAL);
    if (n <= 0)
        return step_failed(files, op, n);
    op->backend_word[WORD_SENT] += (uint64_t)n;
    return WENT_ON;
}

static enum outcome step_sendfile(struct rl_send_files *files, struct rl_op *op, uint64_t pos,
                                  size_t bytes)
{
    off_t at = (off_t)pos;

    if (must_load(op, pos, bytes))
        return step_need(op, RL_SEND_FILE_LOAD);
    ssize_t n = sendfile(op->fd, op->send_file.file, &at, bytes);
    if (n <= 0)
        return step_failed(files, op, n);
    op->backend_word[WORD_SENT] += (uint64_t)n;
    return WENT_ON;
}

static enum outcome step_fill_pipe(struct rl_send_files *files, struct rl_op *op, uint64_t pos,
                                   size_t bytes)
{
    loff_t at = (loff_t)pos;

    if (!is_resident(op->send_file.file, pos, bytes))
        return step_need(op, RL_SEND_FILE_FILL);
    ssize_t n = splice(op->send_file.file, &at, pipe_of(op).write_fd, NULL, bytes, SPLICE_F_NONBLOCK);
    if (n <= 0)
        return step_failed(files, op, n);
    op->backend_word[WORD_PIPED] = (uint64_t)n;
    return WENT_ON;
}

static enum outcome step_empty_pipe(struct rl_send_files *files, struct rl_op *op)
{
    ssize_t n = splice(pipe_of(op).read_fd, NULL, op->fd, NULL, op->backend_word[WORD_PIPED],
                       SPLICE_F_NONBLOCK);

    if (n <= 0)
        return step_failed(files, op, n);
    op->backend_word[WORD_PIPED] -= (uint64_t)n;
    op->backend_word[WORD_SENT] += (uint64_t)n;
    return WENT_ON;
}

static enum outcome step_once(struct rl_send_files *files, struct rl_op *op)
{
    const uint64_t sent = op->backend_word[WORD_SENT];
    const uint64_t pos = op->send_file.pos + sent;
    const size_t bytes = (size_t)RL_MIN(op->send_file.bytes - sent, STEP_BYTES);

    if (op->cancelled)
        return step_end(files, op, RL_ECANCELLED);
    if (op->backend_word[WORD_PIPED] > 0)
        return step_empty_pipe(files, op);
    if (bytes == 0)
        return step_end(files, op, RL_OK);
    if ((op->backend_word[WORD_NEED] & NEED_COPY) != 0)
        return step_copy(files, op, pos, bytes);
    if (op->send_file.method == RL_SEND_SPLICE && pipe_take(files, op))
        return step_fill_pipe(files, op, pos, bytes);
    return step_sendfile(files, op, pos, bytes);
}

/* Go on until something must be waited for, or others should have their turn. */
static enum outcome step(struct rl_send_files *files, struct rl_op *op)
{
    const uint64_t limit = op->backend_word[WORD_SENT] + STEP_BYTES;
    enum outcome outcome = WENT_ON;

    if (!files->sockets_never_wait)
        fcntl(op->fd, F_SETFL, O_NONBLOCK);
    while (outcome == WENT_ON &&
           (op->backend_word[WORD_SENT] < limit || op->backend_word[WORD_SENT] == op->send_file.bytes))
        outcome = step_once(files, op);
    if (!files->sockets_never_wait)
        fcntl(op->fd, F_SETFL, 0);
    return outcome;
}

void rl_send_file_begin(struct rl_send_files *files, struct rl_op *op)
{
    for (size_t i = 0; i < RL_ARRAY_COUNT(op->backend_word); i++)
        op->backend_word[i] = 0;
    queue_push(&files->first, &files->last, op);
}

void rl_send_files_step(struct rl_send_files *files,
                         void (*arm)(void *arg, struct rl_op *op, enum rl_send_file_need need),
                         void *arg)
{
    struct rl_op *op = files->first, *next;

    files->first = NULL;
    for (; op != NULL; op = next) {
        next = op->next;
        enum outcome outcome = step(files, op);
        if (outcome == WENT_ON)
            queue_push(&files->first, &files->last, op);
        else if (outcome == NEEDS_HELP)
            arm(arg, op, rl_send_file_needs(op));
    }
}

/* ---- the backend's part ---- */

void rl_send_file_next(struct rl_op *op, uint64_t *ret_pos, size_t *ret_bytes)
{
    const uint64_t sent = op->backend_word[WORD_SENT];

    *ret_pos = op->send_file.pos + sent;
    *ret_bytes = (size_t)RL_MIN(op->send_file.bytes - sent, STEP_BYTES);
    if (rl_send_file_needs(op) == RL_SEND_FILE_LOAD)
        op->backend_word[WORD_LOADED] = *ret_pos + 1;
}

int rl_send_file_pipe(const struct rl_op *op)
{
    return pipe_of(op).write_fd;
}

static int help_load(int file, uint64_t pos, size_t bytes)
{
    uint8_t buffer[HELP_BYTES];
    size_t loaded = 0;

    while (loaded < bytes) {
        ssize_t n = pread(file, buffer, RL_MIN(bytes - loaded, sizeof buffer), (off_t)(pos + loaded));
        if (n < 0 && loaded == 0)
            return -errno;
        if (n <= 0)
            break;
        loaded += (size_t)n;
    }
    return (int)loaded;
}

int rl_send_file_help(struct rl_op *op)
{
    uint64_t pos;
    size_t bytes;

    rl_send_file_next(op, &pos, &bytes);
    if (rl_send_file_needs(op) == RL_SEND_FILE_LOAD)
        return help_load(op->send_file.file, pos, bytes);
    loff_t at = (loff_t)pos;
    ssize_t n = splice(op->send_file.file, &at, rl_send_file_pipe(op), NULL, bytes, 0);
    return n < 0 ? -errno : (int)n;
}

void rl_send_file_on_result(struct rl_send_files *files, struct rl_op *op, int result)
{
    const enum rl_send_file_need need = rl_send_file_needs(op);

    op->backend_word[WORD_NEED] &= NEED_COPY;
    if (need == RL_SEND_FILE_FILL && result > 0)
        op->backend_word[WORD_PIPED] = (uint64_t)result;
    if (op->cancelled)
        (void)step_end(files, op, RL_ECANCELLED);
    else if (result < 0 && result != -EAGAIN && result != -EINTR)
        (void)step_end(files, op, RL_EIO);
    else if (result == 0 && (need == RL_SEND_FILE_FILL || need == RL_SEND_FILE_LOAD))
        (void)step_end(files, op, RL_EIO);
    else
        queue_push(&files->first, &files->last, op);
}

void rl_send_files_done(struct rl_send_files *files)
{
    for (struct rl_op *op = files->first; op != NULL; op = op->next)
        rl_send_file_drop(files, op);
    while (files->pipe_count > 0)
        pipe_close(files, files->pipes[--files->pipe_count]);
    rl_free(files->load_buffer);
    files->load_buffer = NULL;
}

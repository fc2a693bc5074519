/* io/send_file.h — SEND_FILE for backends over the real kernel; private to io/. */
#ifndef RL_IO_SEND_FILE_H
#define RL_IO_SEND_FILE_H

#include "io/op.h"

#define RL_SEND_PIPES_MAX 32u

struct rl_send_pipe {
    int read_fd, write_fd;
};

/* A shard's SEND_FILEs: those that may go on now, those that are done, and idle pipes. */
struct rl_send_files {
    struct rl_op *first, *last;
    struct rl_op *ended_first, *ended_last;
    struct rl_send_pipe pipes[RL_SEND_PIPES_MAX];     /* idle; the last one is warm */
    uint32_t pipe_count;
    uint32_t pipes_open;                /* these, and those of operations */
    uint8_t *load_buffer;               /* bytes read only to have them in memory */
    bool sockets_never_wait;            /* the backend's sockets are non-blocking anyway */
};

/* What the backend must do before an operation can go on. */
enum rl_send_file_need {
    RL_SEND_FILE_NOTHING,
    RL_SEND_FILE_ROOM,                 /* wait until the socket takes bytes */
    RL_SEND_FILE_LOAD,                 /* read the next bytes into memory */
    RL_SEND_FILE_FILL,                 /* splice the next bytes into the operation's pipe */
};

/* A new operation: its turn comes in rl_send_files_step. */
void rl_send_file_begin(struct rl_send_files *files, struct rl_op *op);
/* Send what goes without waiting, from each operation at most a MiB.  arm(arg, op, need): the
 * backend does it, and gives the result to rl_send_file_on_result. */
void rl_send_files_step(struct rl_send_files *files,
                         void (*arm)(void *arg, struct rl_op *op, enum rl_send_file_need need),
                         void *arg);
/* What it waits for. */
enum rl_send_file_need rl_send_file_needs(const struct rl_op *op);
/* For LOAD and FILL: which bytes of op->send_file.file.  LOAD: into what is returned, to be
 * thrown away.  FILL: into the pipe whose write end this is. */
void rl_send_file_next(struct rl_op *op, uint64_t *ret_pos, size_t *ret_bytes);
uint8_t *rl_send_file_load_buffer(struct rl_send_files *files);
int rl_send_file_pipe(const struct rl_op *op);
/* Do LOAD or FILL here, on a helper thread: bytes or -errno.  Blocks. */
int rl_send_file_help(struct rl_op *op);
/* It is done: bytes, or -errno. */
void rl_send_file_on_result(struct rl_send_files *files, struct rl_op *op, int result);
/* Something is to be done without a completion: do not sleep. */
static inline bool rl_send_files_have_work(const struct rl_send_files *files)
{
    return files->first != NULL || files->ended_first != NULL;
}
/* Take one that is done, NULL: none. */
struct rl_op *rl_send_files_take_ended(struct rl_send_files *files);
/* The operation is forgotten: close its pipe. */
void rl_send_file_drop(struct rl_send_files *files, struct rl_op *op);
/* Forget all that wait for their turn and close the pipes; no operation is with the
 * backend. */
void rl_send_files_done(struct rl_send_files *files);

#endif

/* io/uring_file.h — SEND_FILE on a shard with a ring; private to io/. */
#ifndef RL_IO_URING_FILE_H
#define RL_IO_URING_FILE_H

#include "io/op.h"
#include "io/uring_compat.h"

#define RL_URING_PIPES_MAX 32u

struct rl_uring_pipe {
    int read_fd, write_fd;
};

/* A shard's SEND_FILEs: those that may go on now, those that are done, and idle pipes. */
struct rl_uring_files {
    struct rl_op *first, *last;
    struct rl_op *ended_first, *ended_last;
    struct rl_uring_pipe pipes[RL_URING_PIPES_MAX];     /* idle; the last one is warm */
    uint32_t pipe_count;
    uint32_t pipes_open;                /* these, and those of operations */
    uint8_t *load_buffer;               /* bytes read only to have them in memory */
};

/* What the ring must do before an operation can go on. */
enum rl_uring_file_need {
    RL_URING_FILE_NOTHING,
    RL_URING_FILE_ROOM,                 /* wait until the socket takes bytes */
    RL_URING_FILE_LOAD,                 /* read the next bytes into memory */
    RL_URING_FILE_FILL,                 /* splice the next bytes into the operation's pipe */
};

/* A new operation: its turn comes in rl_uring_files_step. */
void rl_uring_file_begin(struct rl_uring_files *files, struct rl_op *op);
/* Send what goes without waiting, from each operation at most a MiB.  arm(arg, op, need): ask the
 * ring; its result goes to rl_uring_file_on_result. */
void rl_uring_files_step(struct rl_uring_files *files,
                         void (*arm)(void *arg, struct rl_op *op, enum rl_uring_file_need need),
                         void *arg);
/* Fill the submission entry for what was asked for. */
void rl_uring_file_prepare(struct rl_uring_files *files, struct io_uring_sqe *sqe, struct rl_op *op,
                           enum rl_uring_file_need need);
/* The ring has done it. */
void rl_uring_file_on_result(struct rl_uring_files *files, struct rl_op *op, int result);
/* Something is to be done without a completion: do not sleep. */
static inline bool rl_uring_files_have_work(const struct rl_uring_files *files)
{
    return files->first != NULL || files->ended_first != NULL;
}
/* Take one that is done, NULL: none. */
struct rl_op *rl_uring_files_take_ended(struct rl_uring_files *files);
/* The operation is forgotten: close its pipe. */
void rl_uring_file_drop(struct rl_uring_files *files, struct rl_op *op);
/* Forget all that wait for their turn and close the pipes; no operation is in the ring. */
void rl_uring_files_done(struct rl_uring_files *files);

#endif

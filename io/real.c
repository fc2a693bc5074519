/* io/real.c — what the backends over the real kernel have in common: time, chance, errors. */
#include "io/real.h"
#include "io/helper.h"
#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void rl_real_block_sigpipe(void)
{
    sigset_t pipe_signal;

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
}

void rl_real_clocks(struct rl_shard *shard, int64_t *ret_monotonic_ns, int64_t *ret_wall_ms)
{
    struct timespec monotonic, wall;

    (void)shard;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    *ret_monotonic_ns = (int64_t)monotonic.tv_sec * 1000000000 + monotonic.tv_nsec;
    *ret_wall_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
}

uint64_t rl_real_seed(struct rl_shard *shard)
{
    uint64_t seed;

    (void)shard;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        rl_panic(__FILE__, __LINE__, "getrandom: errno %d", errno);
    return seed;
}

rl_status rl_real_status(const struct rl_op *op, int error)
{
    if (error == 0)
        return RL_OK;
    if (error == ECONNRESET)
        return RL_EIO;
    if (error == EINVAL && op->kind == RL_OP_ACCEPT)    /* the listener was shut down */
        return RL_ECLOSED;
    return rl_status_from_errno(error);
}

bool rl_real_accept_goes_on(int error)
{
    switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EAGAIN:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

rl_status rl_real_connect_socket(struct rl_op *op, int flags)
{
    const struct sockaddr *address = rl_helper_address(op);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0)
        return rl_status_from_errno(errno);
    op->ret_fd = fd;
    return RL_OK;
}

void rl_real_connect_ended(struct rl_op *op, rl_status status)
{
    op->status = status;
    if (status == RL_OK || op->ret_fd < 0)
        return;
    close(op->ret_fd);
    op->ret_fd = -1;
}

/* io/send_path.h — the ways by which bytes of a file reach a socket, and what each costs here.
 *
 * Which is cheapest depends on the machine, on the kernel and on where the peer is: on loopback
 * the receiver copies from the very pages that were sent, on a network card nobody copies.  So it
 * is measured, once per process, on a helper thread, when the answer is first needed. */
#ifndef RL_IO_SEND_PATH_H
#define RL_IO_SEND_PATH_H

#include "core/base.h"
#include "core/status.h"

struct rl_text;

/* Below this nothing is won by not looking at the bytes. */
#define RL_SEND_BY_KERNEL_BYTES_MIN ((size_t)64 * 1024)

enum rl_send_path {
    RL_SEND_AUTO,                       /* by size, peer and measurement */
    RL_SEND_MEMORY,                     /* the in-memory tail, or read into memory of its own */
    RL_SEND_READ,                       /* pread into a warm buffer, then send */
    RL_SEND_SENDFILE,                   /* sendfile(2) */
    RL_SEND_SPLICE,                     /* splice(2), file to pipe to socket */
    RL_SEND_ZEROCOPY,                   /* as MEMORY, by SEND_ZC of the ring */
    RL_SEND_PATHS
};

/* "auto", "memory", "read", "sendfile", "splice", "sendzc"; static storage. */
const char *rl_send_path_name(enum rl_send_path path);
/* RL_EINVAL: not one of these names. */
rl_status rl_send_path_parse(const char *name, enum rl_send_path *ret_path);

/* Nanoseconds of CPU per KiB, of the sending thread and of sender and receiver together. */
struct rl_send_cost {
    double sender_ns, both_ns;
};
struct rl_send_costs {
    bool measured;
    struct rl_send_cost of[RL_SEND_PATHS];      /* READ, SENDFILE and SPLICE are set */
};

/* Measure over a loopback connection: sends some MiB from the page cache and takes some tens of
 * milliseconds of two CPUs.  Blocks: on a helper, or in a command.  The first call measures,
 * others wait for it and get the same answer.  RL_EUNSUPPORTED: a socket, a thread or a file in
 * memory was not to be had; ret_costs->measured is false then, too. */
rl_status rl_send_path_measure(struct rl_send_costs *ret_costs);
/* The cheapest of READ, SENDFILE and SPLICE: by both for a peer on this machine, else by the
 * sender.  READ when nothing was measured. */
enum rl_send_path rl_send_path_best(const struct rl_send_costs *costs, bool peer_is_local);
/* The measurement and what follows from it, a few lines of "name: value". */
void rl_send_path_text(const struct rl_send_costs *costs, struct rl_text *text);

#endif

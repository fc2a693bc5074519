/* net/peer_path.c — by which path bytes of a file go to a peer.
 *
 * Happy path: small pieces are read, because one more system call costs as much as the copy.  The
 * first large one asks for a measurement, on a helper; until it is there, and where nothing can
 * be measured, bytes are read.  Then the cheapest path is taken: that of sender and receiver
 * together for a peer on this machine, that of the sender alone for one beyond a network.
 * A path that was configured is taken always.
 * Nothing here can fail. */
#include "core/logger.h"
#include "core/memory.h"
#include "core/text.h"
#include "io/backend.h"
#include "net/connection.h"
#include <string.h>

struct rl_send_path_choice {
    struct rl_op op;
    bool asked;
    struct rl_send_costs costs;         /* the helper's until it is done */
    enum rl_send_path local, remote;
};

void rl_send_path_start(struct rl_net *net)
{
    net->path_choice = rl_alloc_zero(1, sizeof *net->path_choice);
    net->path_choice->local = net->path_choice->remote = RL_SEND_READ;
}

void rl_send_path_stop(struct rl_net *net)
{
    rl_free(net->path_choice);
    net->path_choice = NULL;
}

static void run_measure(struct rl_op *op)
{
    struct rl_send_path_choice *choice = op->arg;

    op->status = rl_send_path_measure(&choice->costs);
}

static void on_measured(struct rl_op *op)
{
    struct rl_send_path_choice *choice = op->arg;
    struct rl_text text = { 0 };

    choice->local = rl_send_path_best(&choice->costs, true);
    choice->remote = rl_send_path_best(&choice->costs, false);
    rl_send_path_text(&choice->costs, &text);
    for (const char *line = rl_text_string(&text), *end; (end = strchr(line, '\n')) != NULL;
         line = end + 1)
        RL_INFO("net", "%.*s", (int)(end - line), line);
    rl_text_done(&text);
}

static void ask(struct rl_net *net)
{
    struct rl_send_path_choice *choice = net->path_choice;

    choice->asked = true;
    if (!net->shard->backend->measurable)
        return;
    choice->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_measure, .done = on_measured,
                                 .arg = choice };
    rl_submit(net->shard, &choice->op);
}

/* On this machine: loopback, or both ends have the same address. */
static bool peer_is_local(struct rl_connection *conn)
{
    char peer[RL_HOST_BYTES], own[RL_HOST_BYTES];
    uint16_t port;

    if (conn->peer_place == RL_PEER_UNKNOWN) {
        rl_connection_peer_address(conn, peer, &port);
        rl_connection_local_address(conn, own, &port);
        bool local = strncmp(peer, "127.", 4) == 0 || strcmp(peer, own) == 0;
        conn->peer_place = local ? RL_PEER_LOCAL : RL_PEER_REMOTE;
    }
    return conn->peer_place == RL_PEER_LOCAL;
}

static enum rl_send_path best_path(struct rl_connection *conn)
{
    struct rl_send_path_choice *choice = conn->net->path_choice;

    return peer_is_local(conn) ? choice->local : choice->remote;
}

void rl_send_path_wanted(struct rl_connection *conn, size_t bytes)
{
    if (bytes >= RL_SEND_BY_KERNEL_BYTES_MIN && !conn->net->path_choice->asked &&
        conn->net->options.send_path == RL_SEND_AUTO)
        ask(conn->net);
}

bool rl_request_prefers_files(struct rl_request *request)
{
    struct rl_connection *conn = request->connection;

    if (conn->net->options.send_path != RL_SEND_AUTO)
        return false;
    enum rl_send_path path = best_path(conn);
    return path == RL_SEND_SENDFILE || path == RL_SEND_SPLICE;
}

enum rl_send_path rl_send_path_of(struct rl_connection *conn, size_t bytes)
{
    struct rl_net *net = conn->net;
    enum rl_send_path path = net->options.send_path;

    if (path != RL_SEND_AUTO)
        return path;
    if (bytes < RL_SEND_BY_KERNEL_BYTES_MIN)
        return RL_SEND_READ;
    rl_send_path_wanted(conn, bytes);
    return best_path(conn);
}

/* io/send_path.c — names of the paths, and the measurement that chooses between them.
 *
 * Happy path: a file in memory (its pages are page cache like any other's), a loopback
 * connection, and a thread that asks for a MiB at a time and reads it, as a consumer does.  The
 * paths take turns, so that whatever else the machine does hits all of them; per path the
 * cheapest round counts, because noise only adds.
 * Failures: without socket, file or thread nothing is measured and READ is used. */
#include "io/send_path.h"
#include "core/memory.h"
#include "core/text.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUNDS = 4,
    MESSAGES = 6,                       /* per round and path */
    MESSAGE_BYTES = 1 << 20,
    FILE_BYTES = 4 << 20,
};
/* Here the file lies in the processor's cache, a segment does not: reading passes its bytes through
 * the cache once more than the others, which this measurement does not show. */
#define READ_HANDICAP 1.25

static const char *const path_names[RL_SEND_PATHS] = {
    [RL_SEND_AUTO] = "auto",   [RL_SEND_MEMORY] = "memory", [RL_SEND_READ] = "read",
    [RL_SEND_SENDFILE] = "sendfile", [RL_SEND_SPLICE] = "splice", [RL_SEND_ZEROCOPY] = "sendzc",
};
static const enum rl_send_path candidates[] = { RL_SEND_READ, RL_SEND_SENDFILE, RL_SEND_SPLICE };

const char *rl_send_path_name(enum rl_send_path path)
{
    return path_names[path];
}

rl_status rl_send_path_parse(const char *name, enum rl_send_path *ret_path)
{
    for (int path = 0; path < RL_SEND_PATHS; path++) {
        if (strcmp(name, path_names[path]) == 0) {
            *ret_path = (enum rl_send_path)path;
            return RL_OK;
        }
    }
    return RL_EINVAL;
}

/* ---- the receiver ---- */

struct receiver {
    int fd;
    uint8_t *buffer;                    /* MESSAGE_BYTES */
    uint64_t cpu_ns;                    /* of the last message */
};

static uint64_t thread_cpu_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Take whole messages; say after each what it cost. */
static void *receiver_main(void *arg)
{
    struct receiver *receiver = arg;
    uint64_t before_ns = thread_cpu_ns();
    size_t got = 0;
    ssize_t n;

    while ((n = recv(receiver->fd, receiver->buffer, MESSAGE_BYTES, 0)) > 0) {
        got += (size_t)n;
        if (got < MESSAGE_BYTES)
            continue;
        got = 0;
        uint64_t now_ns = thread_cpu_ns(), cost_ns = now_ns - before_ns;
        before_ns = now_ns;
        if (send(receiver->fd, &cost_ns, sizeof cost_ns, MSG_NOSIGNAL) != sizeof cost_ns)
            break;
    }
    return NULL;
}

/* ---- the sender ---- */

struct sender {
    int fd;
    int file;
    int pipe[2];
    uint8_t *buffer;                    /* MESSAGE_BYTES */
};

static bool send_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static bool send_by_read(const struct sender *s, off_t pos)
{
    return pread(s->file, s->buffer, MESSAGE_BYTES, pos) == MESSAGE_BYTES &&
           send_all(s->fd, s->buffer, MESSAGE_BYTES);
}

static bool send_by_sendfile(const struct sender *s, off_t pos)
{
    const off_t end = pos + MESSAGE_BYTES;

    while (pos < end) {
        if (sendfile(s->fd, s->file, &pos, (size_t)(end - pos)) <= 0)
            return false;
    }
    return true;
}

static bool send_by_splice(const struct sender *s, off_t pos)
{
    loff_t at = pos;
    const loff_t end = at + MESSAGE_BYTES;

    while (at < end) {
        ssize_t piped = splice(s->file, &at, s->pipe[1], NULL, (size_t)(end - at), 0);
        while (piped > 0) {
            ssize_t n = splice(s->pipe[0], NULL, s->fd, NULL, (size_t)piped, 0);
            if (n <= 0)
                return false;
            piped -= n;
        }
        if (piped < 0)
            return false;
    }
    return true;
}

static bool send_message(const struct sender *s, enum rl_send_path path, off_t pos)
{
    switch (path) {
    case RL_SEND_SENDFILE:
        return send_by_sendfile(s, pos);
    case RL_SEND_SPLICE:
        return send_by_splice(s, pos);
    case RL_SEND_READ:
    case RL_SEND_AUTO:
    case RL_SEND_MEMORY:
    case RL_SEND_ZEROCOPY:
    case RL_SEND_PATHS:
        break;
    }
    return send_by_read(s, pos);
}

static bool measure_round(const struct sender *s, enum rl_send_path path, struct rl_send_cost *cost)
{
    const double kib = (double)MESSAGES * MESSAGE_BYTES / 1024;
    uint64_t receiver_ns = 0, sum_ns = 0, before_ns = thread_cpu_ns();

    for (int i = 0; i < MESSAGES; i++) {
        if (!send_message(s, path, i * (off_t)MESSAGE_BYTES % FILE_BYTES) ||
            recv(s->fd, &receiver_ns, sizeof receiver_ns, MSG_WAITALL) != sizeof receiver_ns)
            return false;
        sum_ns += receiver_ns;
    }
    double sender_ns = (double)(thread_cpu_ns() - before_ns) / kib;
    double both_ns = sender_ns + (double)sum_ns / kib;
    if (cost->both_ns == 0 || both_ns < cost->both_ns)
        cost->both_ns = both_ns;
    if (cost->sender_ns == 0 || sender_ns < cost->sender_ns)
        cost->sender_ns = sender_ns;
    return true;
}

static bool measure_all(const struct sender *s, struct rl_send_costs *costs)
{
    struct rl_send_costs warm_up = { 0 };

    for (int round = 0; round <= ROUNDS; round++) {
        for (size_t i = 0; i < RL_ARRAY_COUNT(candidates); i++) {
            struct rl_send_costs *into = round == 0 ? &warm_up : costs;
            if (!measure_round(s, candidates[i], &into->of[candidates[i]]))
                return false;
        }
    }
    return true;
}

/* ---- files and sockets ---- */

/* Two ends of a TCP connection; false: none. */
static bool connect_pair(int ret_fds[2])
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t bytes = sizeof address;
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool fine = listener >= 0 && ret_fds[0] >= 0 &&
                bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(listener, 1) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &bytes) == 0 &&
                connect(ret_fds[0], (struct sockaddr *)&address, sizeof address) == 0;
    ret_fds[1] = fine ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (listener >= 0)
        close(listener);
    if (ret_fds[1] >= 0)
        setsockopt(ret_fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return ret_fds[1] >= 0;
}

static int create_file(const uint8_t *content)
{
    int file = memfd_create("ringlog-send-path", MFD_CLOEXEC);

    for (off_t pos = 0; file >= 0 && pos < FILE_BYTES; pos += MESSAGE_BYTES) {
        if (pwrite(file, content, MESSAGE_BYTES, pos) == MESSAGE_BYTES)
            continue;
        close(file);
        file = -1;
    }
    return file;
}

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool measure(struct rl_send_costs *costs)
{
    int ends[2] = { -1, -1 };
    struct sender sender = { .fd = -1, .pipe = { -1, -1 },
                             .buffer = rl_alloc_zero(1, MESSAGE_BYTES) };
    struct receiver receiver = { .buffer = rl_alloc_zero(1, MESSAGE_BYTES) };
    pthread_t thread;

    sender.file = create_file(sender.buffer);
    bool fine = sender.file >= 0 && connect_pair(ends) && pipe2(sender.pipe, O_CLOEXEC) == 0;
    if (fine) {
        (void)fcntl(sender.pipe[1], F_SETPIPE_SZ, MESSAGE_BYTES);
        receiver.fd = ends[0];
        sender.fd = ends[1];
        fine = pthread_create(&thread, NULL, receiver_main, &receiver) == 0;
    }
    if (fine) {
        fine = measure_all(&sender, costs);
        shutdown(sender.fd, SHUT_RDWR);
        pthread_join(thread, NULL);
    }
    int fds[] = { ends[0], ends[1], sender.file, sender.pipe[0], sender.pipe[1] };
    for (size_t i = 0; i < RL_ARRAY_COUNT(fds); i++)
        close_one(fds[i]);
    rl_free(sender.buffer);
    rl_free(receiver.buffer);
    return fine;
}

/* ---- the answer ---- */

static pthread_mutex_t measured_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rl_send_costs measured_costs;

rl_status rl_send_path_measure(struct rl_send_costs *ret_costs)
{
    pthread_mutex_lock(&measured_lock);
    if (!measured_costs.measured)
        measured_costs.measured = measure(&measured_costs);
    *ret_costs = measured_costs;
    pthread_mutex_unlock(&measured_lock);
    return ret_costs->measured ? RL_OK : RL_EUNSUPPORTED;
}

static double cost_of(const struct rl_send_costs *costs, enum rl_send_path path, bool peer_is_local)
{
    double cost_ns = peer_is_local ? costs->of[path].both_ns : costs->of[path].sender_ns;

    return path == RL_SEND_READ ? cost_ns * READ_HANDICAP : cost_ns;
}

enum rl_send_path rl_send_path_best(const struct rl_send_costs *costs, bool peer_is_local)
{
    enum rl_send_path best = RL_SEND_READ;

    if (!costs->measured)
        return best;
    for (size_t i = 0; i < RL_ARRAY_COUNT(candidates); i++) {
        if (cost_of(costs, candidates[i], peer_is_local) < cost_of(costs, best, peer_is_local))
            best = candidates[i];
    }
    return best;
}

void rl_send_path_text(const struct rl_send_costs *costs, struct rl_text *text)
{
    if (!costs->measured) {
        rl_text_append_string(text, "fetch path: could not be measured, read is used\n");
        return;
    }
    rl_text_append_string(text, "fetch path, ns of CPU per KiB on loopback, sender (with receiver):");
    for (size_t i = 0; i < RL_ARRAY_COUNT(candidates); i++)
        rl_text_printf(text, " %s %.0f (%.0f)", path_names[candidates[i]],
                       costs->of[candidates[i]].sender_ns, costs->of[candidates[i]].both_ns);
    rl_text_printf(text, "\nfetch path of auto: %s on this machine, %s over a network\n",
                   path_names[rl_send_path_best(costs, true)],
                   path_names[rl_send_path_best(costs, false)]);
}

/* io/socket.c — listen, close, addresses: the seam's five calls and the real kernel's answers.
 *
 * A listener for "" is one IPv6 socket that takes IPv4 as well; where the machine has no IPv6 it
 * is an IPv4 socket.  A literal IPv6 address is IPv6 only, so that an IPv4 listener may have the
 * same port.  A name prefers IPv4, as Java does: "localhost" must be 127.0.0.1 for old clients.
 * Failures: the caller's (a taken port, a foreign address); none is retried here. */
#include "io/socket.h"
#include "io/shard.h"
#include "io/socket_real.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that vanished is noticed within a few minutes, also while a reply waits for it; a
 * consumer that merely does not read answers the probes, and has as long. */
#define SOCKET_KEEPALIVE_IDLE_S 60
#define SOCKET_KEEPALIVE_INTERVAL_S 15
#define SOCKET_KEEPALIVE_PROBES 4
#define SOCKET_USER_TIMEOUT_MS (600 * 1000)

/* ---- the seam ---- */

rl_status rl_socket_listen(struct rl_shard *shard, const char *host, uint16_t port, int backlog,
                           int *ret_fd, uint16_t *ret_port)
{
    return shard->backend->listen(shard, host, port, backlog, ret_fd, ret_port);
}

void rl_socket_shutdown(struct rl_shard *shard, int fd)
{
    shard->backend->socket_shutdown(shard, fd);
}

void rl_socket_close(struct rl_shard *shard, int fd)
{
    shard->backend->socket_close(shard, fd);
}

void rl_socket_address(struct rl_shard *shard, int fd, bool peer, char *host, size_t host_bytes,
                       uint16_t *ret_port)
{
    shard->backend->socket_address(shard, fd, peer, host, host_bytes, ret_port);
}

void rl_socket_tune(struct rl_shard *shard, int fd, int send_buffer_bytes, int receive_buffer_bytes)
{
    shard->backend->socket_tune(shard, fd, send_buffer_bytes, receive_buffer_bytes);
}

/* ---- addresses ---- */

uint32_t rl_socket_address_bytes(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

rl_status rl_socket_parse(const char *host, uint16_t port, void *ret_address)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        memcpy(ret_address, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        memcpy(ret_address, &v6, sizeof v6);
    else
        return RL_EINVAL;
    return RL_OK;
}

rl_status rl_socket_resolve(const char *host, uint16_t port, void *ret_address)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;

    if (rl_socket_parse(host, port, ret_address) == RL_OK)
        return RL_OK;
    if (getaddrinfo(host, NULL, &hints, &found) != 0 || found == NULL)
        return RL_EINVAL;
    const struct addrinfo *best = found;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        if (each->ai_family == AF_INET) {
            best = each;
            break;
        }
    }
    rl_status status = RL_EINVAL;
    if (best->ai_family == AF_INET || best->ai_family == AF_INET6) {
        memcpy(ret_address, best->ai_addr, rl_socket_address_bytes(best->ai_addr));
        /* The port lies at the same place in both. */
        ((struct sockaddr_in *)ret_address)->sin_port = htons(port);
        status = RL_OK;
    }
    freeaddrinfo(found);
    return status;
}

bool rl_address_canonical(const char *text, char host[RL_ADDRESS_BYTES])
{
    struct in6_addr address;

    if (inet_pton(AF_INET, text, &address) == 1)
        return inet_ntop(AF_INET, &address, host, RL_ADDRESS_BYTES) != NULL;
    return inet_pton(AF_INET6, text, &address) == 1 &&
           inet_ntop(AF_INET6, &address, host, RL_ADDRESS_BYTES) != NULL;
}

/* ---- the real kernel ---- */

static int socket_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value);
}

static rl_status socket_listen_on(const struct sockaddr *address, bool v6_only, int backlog, int *ret_fd)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return rl_status_from_errno(errno);
    /* Only lets go of connections of a broker that has ended; a live listener still refuses. */
    socket_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->sa_family == AF_INET6)
        socket_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
    if (bind(fd, address, rl_socket_address_bytes(address)) != 0 || listen(fd, backlog) != 0) {
        rl_status status = errno == EADDRNOTAVAIL ? RL_EINVAL : rl_status_from_errno(errno);
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return RL_OK;
}

rl_status rl_socket_real_listen(struct rl_shard *shard, const char *host, uint16_t port,
                                int backlog, int *ret_fd, uint16_t *ret_port)
{
    struct sockaddr_in6 address;
    bool any = host[0] == '\0';
    int fd;

    (void)shard;
    rl_status status = rl_socket_resolve(any ? "::" : host, port, &address);
    if (status != RL_OK)
        return status;
    status = socket_listen_on((struct sockaddr *)&address, !any, backlog, &fd);
    if (any && (status == RL_EUNSUPPORTED || status == RL_EINVAL)) {    /* no IPv6 here */
        rl_socket_parse("0.0.0.0", port, &address);
        status = socket_listen_on((struct sockaddr *)&address, false, backlog, &fd);
    }
    if (status != RL_OK)
        return status;
    socklen_t bytes = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *ret_fd = fd;
    *ret_port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    return RL_OK;
}

void rl_socket_real_shutdown(struct rl_shard *shard, int fd)
{
    (void)shard;
    shutdown(fd, SHUT_RDWR);
}

void rl_socket_real_close(struct rl_shard *shard, int fd)
{
    (void)shard;
    close(fd);
}

void rl_socket_real_address(struct rl_shard *shard, int fd, bool peer, char *host,
                            size_t host_bytes, uint16_t *ret_port)
{
    struct sockaddr_in6 address = { .sin6_family = AF_INET };
    socklen_t bytes = sizeof address;

    (void)shard;
    if (peer)
        getpeername(fd, (struct sockaddr *)&address, &bytes);
    else
        getsockname(fd, (struct sockaddr *)&address, &bytes);
    *ret_port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    host[0] = '\0';
    if (address.sin6_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, host, (socklen_t)host_bytes);
    else if (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr))  /* show IPv4 peers as what they are */
        inet_ntop(AF_INET, &address.sin6_addr.s6_addr[12], host, (socklen_t)host_bytes);
    else
        inet_ntop(AF_INET6, &address.sin6_addr, host, (socklen_t)host_bytes);
}

void rl_socket_real_tune(struct rl_shard *shard, int fd, int send_buffer_bytes,
                         int receive_buffer_bytes)
{
    (void)shard;
    /* Failures are left alone: a connection without an option still works. */
    socket_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    socket_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    socket_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, SOCKET_KEEPALIVE_IDLE_S);
    socket_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, SOCKET_KEEPALIVE_INTERVAL_S);
    socket_option(fd, IPPROTO_TCP, TCP_KEEPCNT, SOCKET_KEEPALIVE_PROBES);
    socket_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SOCKET_USER_TIMEOUT_MS);
    if (send_buffer_bytes > 0)
        socket_option(fd, SOL_SOCKET, SO_SNDBUF, send_buffer_bytes);
    if (receive_buffer_bytes > 0)
        socket_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer_bytes);
}

/* broker/broker.c — what every API of this broker knows.
 *
 * Happy path: a client is told the advertised host and port of the listener it came in by.
 * Without an advertised host it is told the address it dialled, which is right for everybody
 * but clients behind a port forward; those need advertised.listeners. */
#include "broker/broker.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define MAPPED_PREFIX "::ffff:"         /* an IPv4 address seen through an IPv6 socket */

static_assert(RL_LISTENER_HOST_BYTES <= RL_HOST_BYTES, "an advertised host fits");

void rl_broker_advertised(const struct rl_request *request, char host[RL_HOST_BYTES],
                          int32_t *ret_port)
{
    const struct rl_broker *broker = rl_broker_of(rl_request_shard(request));
    uint32_t index = rl_connection_listener(request->connection);
    RL_ASSERT(index < broker->config->listeners.count);
    const struct rl_listener *listener = &broker->config->listeners.listeners[index];
    *ret_port = listener->advertised_port != 0 ? listener->advertised_port
                                               : broker->bound_ports[index];
    if (listener->advertised_host[0] != '\0') {
        snprintf(host, RL_HOST_BYTES, "%s", listener->advertised_host);
        return;
    }
    uint16_t dialled_port;
    rl_connection_local_address(request->connection, host, &dialled_port);
    size_t prefix = strlen(MAPPED_PREFIX);
    if (strncmp(host, MAPPED_PREFIX, prefix) == 0 && strchr(host, '.') != NULL)
        memmove(host, host + prefix, strlen(host + prefix) + 1);
}

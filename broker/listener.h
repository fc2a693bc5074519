/* broker/listener.h — where clients may connect, and which address each of them is told.
 *
 * Parses Kafka's listener family: listeners, advertised.listeners, listener.security.protocol.map,
 * controller.listener.names, inter.broker.listener.name.  Pure functions: no name is resolved and
 * no socket opened here. */
#ifndef RL_BROKER_LISTENER_H
#define RL_BROKER_LISTENER_H

#include "core/base.h"
#include "core/status.h"

#define RL_LISTENERS_MAX 16
#define RL_LISTENER_NAME_BYTES 64
#define RL_LISTENER_HOST_BYTES 256

/* Numbers are Kafka's. */
enum rl_security_protocol {
    RL_PROTOCOL_PLAINTEXT = 0, RL_PROTOCOL_SSL = 1, RL_PROTOCOL_SASL_PLAINTEXT = 2,
    RL_PROTOCOL_SASL_SSL = 3
};

struct rl_listener {
    char name[RL_LISTENER_NAME_BYTES];              /* upper case, e.g. "PLAINTEXT" */
    char host[RL_LISTENER_HOST_BYTES];              /* name or address; IPv6 without brackets */
    /* What clients are told.  "": the address this client dialled (a wildcard listener without
     * an advertised host). */
    char advertised_host[RL_LISTENER_HOST_BYTES];
    uint16_t port;                                  /* 0: the kernel chooses */
    uint16_t advertised_port;                       /* 0: the port that was bound */
    enum rl_security_protocol protocol;
    bool wildcard;                                  /* all addresses: host is "", 0.0.0.0 or :: */
    bool loopback;                                  /* this machine only: localhost, 127.*, ::1 */
};

struct rl_listener_set {
    struct rl_listener listeners[RL_LISTENERS_MAX];
    size_t count;                                   /* at least 1 after a good parse */
    size_t inter_broker_index;                      /* the one brokers use among themselves */
    size_t controller_count;                        /* entries left out: see below */
};

/* The texts as configured; NULL: not set. */
struct rl_listener_settings {
    const char *listeners;
    const char *advertised_listeners;
    const char *listener_security_protocol_map;
    const char *controller_listener_names;
    const char *inter_broker_listener_name;
};

/* Parse and cross-check.  Listeners named in controller.listener.names belong to Kafka's controller
 * quorum, which ringlog does not have: they are left out and counted.
 * Returns RL_OK; RL_EINVAL (malformed, or repeated name or port) or RL_EUNSUPPORTED (a protocol
 * other than PLAINTEXT), with "KEY: one sentence" in message[bytes].  KIP-103. */
rl_status rl_listeners_parse(const struct rl_listener_settings *settings,
                             struct rl_listener_set *ret_set, char *message, size_t bytes);

/* "PLAINTEXT://[::1]:9092" into text[bytes], as Kafka prints an endpoint. */
void rl_listener_format(const struct rl_listener *listener, char *text, size_t bytes);
/* Kafka's name of a protocol, static storage. */
const char *rl_security_protocol_name(enum rl_security_protocol protocol);

#endif

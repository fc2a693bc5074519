/* net/quota.h — how many connections there may be, of whom, and how fast they may come.
 *
 * Lives on shard 0, whose acceptor asks for each socket before anybody else sees it.  What is
 * bounded: all connections together, those of one address, and accepted sockets per second (refused
 * ones too, since each costs an accept and a close).  An address is known only while it has a
 * connection, so what a stranger makes us remember is bounded by the first limit.  Time is an
 * argument. */
#ifndef RL_NET_QUOTA_H
#define RL_NET_QUOTA_H

#include "core/table.h"

struct rl_connection_limits {
    uint32_t total_max;                 /* max.connections */
    uint32_t per_address_max;           /* max.connections.per.ip */
    const char *address_overrides;      /* max.connections.per.ip.overrides: "address:limit,..." with
                                           literal addresses; NULL: none */
    uint32_t per_second_max;            /* max.connection.creation.rate; a second's worth may come
                                           at once */
};

/* Only so many at a time, whoever they are and however fast they come. */
#define RL_CONNECTION_LIMITS(total) \
    ((struct rl_connection_limits){ .total_max = (total), .per_address_max = UINT32_MAX, \
                                    .per_second_max = UINT32_MAX })

struct rl_quota_peer;                   /* one address and its connections */

struct rl_quota {
    struct rl_connection_limits limits; /* address_overrides: NULL */
    struct rl_table overrides;          /* address -> its limit */
    struct rl_table peers;              /* address -> struct rl_quota_peer */
    uint32_t count;
    int64_t credit_ns;                  /* of accepting; negative: too many came */
    int64_t credit_at_ns;               /* when that was so; -1: nobody has come yet */
};

enum rl_quota_answer { RL_QUOTA_GRANTED, RL_QUOTA_TOO_MANY, RL_QUOTA_TOO_MANY_OF_ADDRESS };

/* seed: of the tables.  Free with rl_quota_done. */
void rl_quota_init(struct rl_quota *quota, const struct rl_connection_limits *limits, uint64_t seed);
void rl_quota_done(struct rl_quota *quota);
/* Other limits from now on.  Connections that are open stay.  Copies everything. */
void rl_quota_set(struct rl_quota *quota, const struct rl_connection_limits *limits);
/* May one more connection from this numeric address be open?  Then *ret_peer is to be given back
 * when it is closed. */
enum rl_quota_answer rl_quota_take(struct rl_quota *quota, const char *host,
                                   struct rl_quota_peer **ret_peer);
void rl_quota_give(struct rl_quota *quota, struct rl_quota_peer *peer);
/* Limit in force for this address. */
uint32_t rl_quota_address_max(const struct rl_quota *quota, const char *host);
/* A socket was accepted at now_ns.  Returns how long to accept no more; 0: go on. */
int64_t rl_quota_accepted(struct rl_quota *quota, int64_t now_ns);

#endif

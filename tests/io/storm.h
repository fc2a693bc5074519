/* tests/io/storm.h — shards that bombard each other: full mailboxes, sleep and wake, order. */
#ifndef RL_TESTS_IO_STORM_H
#define RL_TESTS_IO_STORM_H

#include <stdbool.h>
#include <stdint.h>

struct rl_backend;

struct storm_result {
    uint64_t messages;                  /* there and back */
    bool ordered;                       /* between each pair: first posted, first handled */
    bool congested;                     /* somebody's mailbox was full at some time */
    uint64_t foreign_handled;           /* posted by threads that are no shard */
    uint64_t helped;                    /* jobs and syncs that came back */
};

/* Every shard sends `burst` messages to each other one, all come back, `rounds` times; every
 * second round begins after a pause in which all sleep.  Meanwhile two threads post foreign
 * messages and every round submits jobs and syncs.  burst: up to 20000. */
void storm_run(const struct rl_backend *backend, uint32_t shards, uint32_t burst, uint32_t rounds, struct storm_result *ret_result);

#endif

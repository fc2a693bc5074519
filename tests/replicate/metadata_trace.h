/* tests/replicate/metadata_trace.h — a model of the store: a few keys, seeded transactions, the state
 * after each. */
#ifndef TESTS_REPLICATE_METADATA_TRACE_H
#define TESTS_REPLICATE_METADATA_TRACE_H

#include "metadata_user.h"

#define KEYS 12
#define OPS_MAX 4
#define STEPS 80

struct model {                          /* version 0: not there */
    int64_t version[KEYS];
    uint32_t value[KEYS];               /* names the value's text */
};

struct transaction {
    struct rl_metadata_op ops[OPS_MAX];
    char keys[OPS_MAX][8];
    char values[OPS_MAX][256];
    uint32_t op_count;
    rl_status expected, answer;
    bool answered;
    uint32_t after;                     /* states[]: the model after this one */
    struct trace *trace;
};

struct trace {
    struct user user;
    struct transaction transactions[STEPS];
    struct model states[STEPS + 1];     /* after 0, 1, ... transactions that succeeded */
    uint32_t state_count;
    uint32_t issued;
    uint32_t next_answer;               /* answers come in the order of the calls */
    struct rl_random random;
};

void trace_init(struct trace *t, uint64_t seed);
void trace_open(struct trace *t, struct rig *rig);
/* The next transaction, and what the model says of it. */
struct transaction *trace_next(struct trace *t);
/* Commit it: arg is a transaction.  For rig_post. */
void do_transaction(struct rl_shard *shard, void *arg);
/* Issue them all, in bunches of random size, and wait for the answers. */
void trace_run(struct trace *t, struct rig *rig);
/* The state the store is in now: the newest that matches, -1 for none. */
int64_t trace_state(const struct trace *t, struct user *u);
/* The last state that was acknowledged. */
int64_t trace_acknowledged(const struct trace *t);

#endif

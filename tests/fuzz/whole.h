/* tests/fuzz/whole.h — the whole broker on a kernel in memory, and the peers that talk to it.
 *
 * Every run begins with a copy of one disk on which a broker has made three topics.  Lives are begun
 * and ended as in tests/sim (sim_life.c, sim_heap.c), without chance: shards take turns, what a disk
 * is asked for is done at once. */
#ifndef RL_TESTS_FUZZ_WHOLE_H
#define RL_TESTS_FUZZ_WHOLE_H

#include "tests/fuzz/draw.h"
#include "tests/fuzz/peer.h"

#define WHOLE_PEERS 4

struct whole {
    struct draw draw;
    struct rl_mem *mem;
    struct rl_disk *disk;
    struct sim_broker *broker;
    struct peer peers[WHOLE_PEERS];
    struct peer guest;                  /* asks what must work whatever the others did */
    const void *reply;                  /* to the guest */
    int16_t reply_key;
    struct rl_arena arena;              /* of the message that is drawn */
    struct bytes frame;                 /* the last one drawn */
    int32_t correlation_id;
    uint32_t shards;
    bool faulty;                        /* the disk failed since the last start */
    bool ending;                        /* the broker stops: connections may end */
    size_t begin_bytes;                 /* the broker's memory when it was ready */
};

/* The sum of all lives' memory may grow by this much over what it was when ready. */
#define WHOLE_BYTES_MAX ((size_t)64 << 20)

struct whole *whole_create(const uint8_t *data, size_t bytes);
void whole_free(struct whole *w);
/* One turn of every shard and peer; false: nothing was to be done. */
bool whole_turn(struct whole *w);
void whole_settle(struct whole *w);
/* Time passes, timer by timer as far as that is bearable, and everybody works. */
void whole_advance(struct whole *w, int64_t ns);
void whole_learn_topics(struct whole *w);
enum whole_end { WHOLE_STOP, WHOLE_KILL, WHOLE_POWER_CUT };
void whole_restart(struct whole *w, enum whole_end end, uint32_t shards);
/* The sequence is over: all answers come, all memory is given back, and the broker still works. */
void whole_finish(struct whole *w);

#endif

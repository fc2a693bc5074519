/* io/timers.h — a shard's timers: a binary heap by deadline.  Private to io/. */
#ifndef RL_IO_TIMERS_H
#define RL_IO_TIMERS_H

#include "io/shard.h"

struct rl_timers {
    struct rl_timer **heap;             /* 1 .. count; place 0 is unused */
    uint32_t count;
    uint32_t capacity;
};

void rl_timers_done(struct rl_timers *timers);
/* Add, or move when it is running. */
void rl_timers_start(struct rl_timers *timers, struct rl_timer *timer, int64_t deadline_ns);
/* Remove; nothing happens when it is not running. */
void rl_timers_stop(struct rl_timers *timers, struct rl_timer *timer);
/* The earliest deadline, INT64_MAX when no timer runs. */
int64_t rl_timers_next(const struct rl_timers *timers);
/* Run what is due at now_ns, at most as many as were running; returns how many ran. */
uint32_t rl_timers_run(struct rl_timers *timers, int64_t now_ns);

#endif

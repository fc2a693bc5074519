/* io/limits.h — what the system lets this process have. */
#ifndef RL_IO_LIMITS_H
#define RL_IO_LIMITS_H

#include "core/base.h"
#include "core/status.h"

/* Raise the soft limit of open descriptors to the hard one.  ret_before, ret_now: the soft limit
 * before and after.  RL_EACCESS: refused, the limit stays (ret_now == ret_before). */
rl_status rl_raise_descriptor_limit(uint64_t *ret_before, uint64_t *ret_now);
/* Processors this process may use at once: affinity mask and cgroup quota, at least 1. */
uint32_t rl_cpu_count(void);

#endif

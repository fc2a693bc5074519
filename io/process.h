/* io/process.h — what main needs from the kernel around the shards: files, CPUs, signals. */
#ifndef RL_IO_PROCESS_H
#define RL_IO_PROCESS_H

#include "core/base.h"
#include "core/status.h"
#include "io/shard.h"

/* Read a whole small file; ret_text is NUL-terminated, freed with rl_free.  Blocks: before the
 * shards start.  RL_ETOOLARGE beyond bytes_max; RL_ENOTFOUND, RL_EACCESS, RL_EIO. */
rl_status rl_read_file(const char *path, size_t bytes_max, char **ret_text, size_t *ret_bytes);

/* CPUs this process may use (affinity and cgroup quota), at least 1. */
uint32_t rl_cpu_count(void);

/* CLOCK_MONOTONIC, for the time before there is a shard. */
int64_t rl_process_now_ns(void);

/* The user who runs this process. */
uint32_t rl_process_user_id(void);

/* Main thread, before any other thread: signals below go to nobody until rl_signals_start. */
void rl_signals_block(void);
/* Start a thread that waits for signals.  The first SIGTERM or SIGINT runs stop(shard, arg) on
 * shard 0; the second ends the process at once with exit code 2.  SIGHUP is noted in the log. */
void rl_signals_start(struct rl_shard_set *set, void (*stop)(struct rl_shard *shard, void *arg), void *arg);

#endif

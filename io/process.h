/* io/process.h — what main needs from the kernel: signals as messages, a file read whole. */
#ifndef RL_IO_PROCESS_H
#define RL_IO_PROCESS_H

#include "io/shard.h"
#include <signal.h>                     /* for the numbers */

/* Runs on the shard given to rl_signals_start, once per signal; equal signals that arrive before
 * it has run may be one. */
typedef void rl_signal_fn(struct rl_shard *shard, int number, void *arg);

struct rl_signals;

/* Block the signals in the calling thread, and so in all it creates, and ignore SIGPIPE.  First
 * thing in main, so that a signal during start-up waits. */
void rl_signals_block(const int *numbers, uint32_t count);
/* Start the thread that waits for the signals (blocked before) and posts them to `to`.
 * RL_EMFILE, RL_EBUSY. */
rl_status rl_signals_start(struct rl_shard *to, const int *numbers, uint32_t count,
                           rl_signal_fn *fn, void *arg, struct rl_signals **ret_signals);
/* End the thread; nothing is posted afterwards.  Before rl_shard_set_free.  NULL is fine. */
void rl_signals_stop(struct rl_signals *signals);

/* Read a whole file of at most bytes_max bytes.  ret_data: heap, a NUL behind it, freed with
 * rl_free.  Blocks: before the shards run, or in a job.  RL_ENOTFOUND, RL_EACCESS, RL_ETOOLARGE,
 * RL_EINVAL (a directory), RL_EIO. */
rl_status rl_read_file(const char *path, size_t bytes_max, char **ret_data, size_t *ret_bytes);

/* Let time pass on the main thread, before the shards run. */
void rl_process_sleep(int64_t ns);

/* Processor time that a process has used, all its threads, also those that ended, in nanoseconds;
 * another process's too (clock_getcpuclockid(3)).  False: there is no such process. */
bool rl_process_cpu_ns(int64_t process_id, int64_t *ret_ns);

/* The user who runs this process, and the owner of a path (false: there is no such path). */
uint32_t rl_process_user_id(void);
bool rl_path_owner(const char *path, uint32_t *ret_user_id);
/* Random bytes from the kernel, for ids made before there is a shard.  Any thread; arg is not
 * looked at.  RL_OK or RL_EIO. */
rl_status rl_process_random(void *arg, void *data, size_t bytes);

#endif

/* broker/server.h — a broker's life: start, serve, stop. */
#ifndef RL_BROKER_SERVER_H
#define RL_BROKER_SERVER_H

#include "broker/config.h"

/* The process's exit code. */
enum { RL_EXIT_OK = 0, RL_EXIT_START_FAILED = 1, RL_EXIT_FORCED = 2, RL_EXIT_STOP_FAILED = 3 };

/* Run a broker until SIGTERM or SIGINT; prints why it cannot start, and one `ready` line when it
 * serves.  Main thread, once.  started_ns: rl_clock_monotonic_ns() when the process began. */
int rl_server_run(const struct rl_config *config, int64_t started_ns);

/* `ringlog server ...` (server_command.c): read flags, environment and file, then run. */
int rl_server_command(int argc, char **argv, char **environment, int64_t started_ns);

#endif

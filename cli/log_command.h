/* cli/log_command.h — `ringlog log`: look at a log's files, offline. */
#ifndef RL_CLI_LOG_COMMAND_H
#define RL_CLI_LOG_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

struct rl_log_command_options {
    bool records, json;
    int64_t offset;                     /* dump: from the batch with this offset on */
    int64_t limit;                      /* dump: so many batches or entries at most */
};

/* argv[0] is "log".  Exit code: 0 all is well, 1 something is wrong in the files, 2 these flags are
 * wrong, 3 it cannot be read. */
int rl_log_command(int argc, char **argv);

/* The same for one path each; the exit code. */
int rl_log_verify(char *const *paths, int count, const struct rl_log_command_options *options);
int rl_log_dump(const char *path, const struct rl_log_command_options *options);

#endif

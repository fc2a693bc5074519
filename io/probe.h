/* io/probe.h — what this machine's io_uring can do, and why it refuses when it does. */
#ifndef RL_IO_PROBE_H
#define RL_IO_PROBE_H

#include "core/status.h"
#include "core/text.h"
#include "io/backend.h"

/* Can the uring backend run here?  RL_OK, or RL_EUNSUPPORTED with one line that names the cause
 * and the remedy in reason[bytes].  Any thread; opens and closes a small ring. */
rl_status rl_probe_check(char *reason, size_t bytes);
/* The best backend over the real kernel that can run here: uring, or posix, with uring's reason as
 * above (else an empty text).  Any thread. */
const struct rl_backend *rl_probe_backend(char *reason, size_t bytes);
/* Kernel, features and opcodes found, a few lines of "name: value", for `ringlog version`. */
void rl_probe_text(struct rl_text *text);

#endif

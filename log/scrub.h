/* log/scrub.h — in the background everything is read and checked, some bytes a second; private to
 * log/.
 *
 * A round goes over all logs of the shard, segment by segment, over what is on stable storage, and
 * reads it from the device: what is damaged there is found before the page cache hides it no longer,
 * and before anybody asks for it.  When a round is over nothing wakes until the next one begins. */
#ifndef RL_LOG_SCRUB_H
#define RL_LOG_SCRUB_H

#include "core/base.h"

struct rl_log;
struct rl_log_manager;

/* bytes_per_second 0: never. */
void rl_scrub_start(struct rl_log_manager *manager, uint64_t bytes_per_second);
/* The log goes: it is not the one to go on with. */
void rl_scrub_forget(struct rl_log *log);
void rl_scrub_stop(struct rl_log_manager *manager);

#endif

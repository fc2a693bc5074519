/* log/damage.h — batches that are there but not sound: told once, counted, and stepped over; private
 * to log/. */
#ifndef RL_LOG_DAMAGE_H
#define RL_LOG_DAMAGE_H

#include "core/status.h"
#include "io/disk.h"
#include "log/batch.h"

struct rl_log;
struct rl_log_manager;

/* A damaged batch (or a place that cannot be read) of this segment begins at pos: a line in the log
 * and the count, the first time it is seen. */
void rl_damage_note(struct rl_log *log, int64_t segment_base, uint32_t pos, int64_t offset,
                    const char *what);
/* The log goes. */
void rl_damage_forget(struct rl_log *log);
void rl_damage_done(struct rl_log_manager *manager);

/* Helper.  Where an index file of `entries` has its first entry behind pos: a batch begins there, the
 * one whose last offset is *ret_last_offset.  RL_ENOTFOUND: none. */
rl_status rl_damage_next_entry(struct rl_disk *disk, const char *index_path, uint32_t entries,
                               int64_t segment_base, uint32_t pos, uint32_t *ret_pos,
                               int64_t *ret_last_offset);

#endif

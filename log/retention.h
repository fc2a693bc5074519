/* log/retention.h — segments on their way out; private to log/.
 *
 * An expired segment leaves the log at once, its files are renamed to *.deleted after a
 * checkpoint with the new log start is on the device (so that no power cut brings back a part),
 * and they are removed file.delete.delay.ms later. */
#ifndef RL_LOG_RETENTION_H
#define RL_LOG_RETENTION_H

#include "core/list.h"
#include "core/status.h"
#include "io/op.h"
#include "io/shard.h"

struct rl_log;
struct rl_disk;

struct rl_expired {
    struct rl_list node;                /* in hot->deleting */
    struct rl_log *log;
    struct rl_timer timer;
    struct rl_op op;
    uint32_t count;
    uint32_t capacity;
    int64_t *base_offsets;
};

/* The log start has risen past `count` of the oldest segments, or shall rise to their end: they leave
 * the log, their files with the next save. */
void rl_retention_drop(struct rl_log *log, uint32_t count);
/* Whole segments below the log start; the active one is not among them, so that offsets go on. */
uint32_t rl_retention_below_start(const struct rl_log *log);
/* A rollback found files of dropped segments that no save has renamed yet: they are dropped again. */
void rl_retention_again(struct rl_log *log);
/* The segments waiting for a save; the caller owns them. */
struct rl_expired *rl_expired_take(struct rl_log *log);
/* Helper: rename their files.  Files that are not there are fine. */
rl_status rl_expired_rename(const struct rl_expired *expired, struct rl_disk *disk,
                            const char *directory);
/* Take ownership: delete the renamed files when their time comes (at the next open if the log is
 * closed before).  With a status that says that the renaming failed they wait for another save, with
 * the next round of retention. */
void rl_expired_delete_later(struct rl_expired *expired, struct rl_log *log, rl_status status);
/* The log goes: forget what waits. */
void rl_expired_free_all(struct rl_log *log);

#endif

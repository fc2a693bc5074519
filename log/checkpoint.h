/* log/checkpoint.h — what a log knows about itself, as a file, ringlog.checkpoint.
 *
 *   at bytes field                       all numbers big-endian
 *    0   4   magic "rlck"
 *    4   4   version (2; 1 has no append marks)
 *    8   4   CRC-32C of 12..end
 *   12   8   log start offset
 *   20  12   recovery point: offset 8, position in its segment 4; all before is on stable storage
 *   32  12   save point: the same for what was written and whose index entries were saved
 *   44   4   leader epoch count, then per epoch: epoch 4, start offset 8
 *        4   segment count, then per segment: base offset 8, size 4, index entries 4, time
 *            entries 4, largest timestamp 8, its offset 8, first append 8
 *        4   append mark count, then per mark (append_times.h): offset 8, milliseconds since 1970 8
 *
 * A checkpoint is valid if and only if magic, version and CRC hold, counts add up to the file's
 * size, offsets and times rise from 0 on, and both points lie in a segment it lists.  It is replaced by renaming a
 * synced file, so one that is missing or not valid was damaged: recovery.c then believes only
 * the log itself.  The recovery point never claims more than was synced before it was written. */
#ifndef RL_LOG_CHECKPOINT_H
#define RL_LOG_CHECKPOINT_H

#include "core/slice.h"
#include "core/text.h"
#include "log/append_times.h"
#include "log/epoch_cache.h"
#include "log/segment.h"

#define RL_CHECKPOINT_FILE "ringlog.checkpoint"
#define RL_EPOCH_FILE "leader-epoch-checkpoint"

struct rl_log_point {
    int64_t offset;
    uint32_t pos;
};

struct rl_checkpoint {
    int64_t start_offset;
    struct rl_log_point recovery, saved;
    struct rl_epoch_cache epochs;
    struct rl_segment *segments;        /* size_bytes, entries, timestamps; nothing else is set */
    uint32_t segment_count;
    struct rl_append_times append_times;
};

void rl_checkpoint_encode(const struct rl_checkpoint *checkpoint, struct rl_text *out);
/* RL_ECORRUPT: not valid; ret_checkpoint is untouched.  Freed by rl_checkpoint_done. */
rl_status rl_checkpoint_decode(struct rl_slice file, struct rl_checkpoint *ret_checkpoint);
void rl_checkpoint_done(struct rl_checkpoint *checkpoint);
/* The segment a point lies in: the last one that begins at or before it. */
uint32_t rl_checkpoint_segment_of(const struct rl_checkpoint *checkpoint, int64_t offset);

/* Kafka's leader-epoch-checkpoint, for Kafka's tools; ringlog reads its own checkpoint. */
void rl_epoch_file_encode(const struct rl_epoch_cache *epochs, struct rl_text *out);

/* ---- side files; helper ---- */

/* The whole file into out.  RL_ENOTFOUND; RL_ETOOLARGE: more than bytes_max; RL_EIO. */
rl_status rl_side_file_load(struct rl_disk *disk, const char *path, size_t bytes_max,
                            struct rl_text *out);
/* Replace it (replace.h): written beside it, synced if asked to, and renamed. */
rl_status rl_side_file_store(struct rl_disk *disk, const char *path, struct rl_slice content,
                             bool sync);
/* Write at pos into a file that may be missing; what lies behind is cut off. */
rl_status rl_side_file_extend(struct rl_disk *disk, const char *path, uint64_t pos,
                              struct rl_slice content, bool sync);

#endif

/* log/file_read.h — find and read batches in one segment's files; private to log/.
 *
 * A request is a copy of everything that is needed, so that it can run inline, as long as the
 * kernel has the bytes in memory, and otherwise the same again on a helper. */
#ifndef RL_LOG_FILE_READ_H
#define RL_LOG_FILE_READ_H

#include "core/buffer.h"
#include "core/status.h"
#include "io/disk.h"
#include "log/batch.h"
#include "log/segment.h"

/* More than this is not read at once, whatever is asked for (a single larger batch is). */
#define RL_FILE_READ_BYTES_MAX (8u << 20)

struct rl_file_read {
    struct rl_disk *disk;
    uint32_t home;                      /* shard that will own the buffer */
    int fd;                             /* the .log file, pinned */
    int64_t segment_base;
    uint32_t end_pos;                   /* bytes of the file that are written */
    int64_t offset, upper_offset;
    size_t max_bytes;
    size_t lend_bytes_min;              /* see log.h */
    bool at_least_one;
    struct rl_checked checked;          /* what need not be checked again */
    /* where to begin */
    uint32_t floor_pos;                 /* a batch at or before `offset` begins here */
    int64_t floor_offset;               /* its base offset; -1: not known, see floor_last_offset */
    int64_t floor_last_offset;          /* its last offset, if floor_offset is -1 */
    char index_path[RL_PATH_BYTES];     /* empty: the floor is all there is */
    uint32_t index_entries;
    /* results */
    struct rl_buffer *buffer;           /* one reference; NULL: bytes is 0, or they may be lent */
    size_t bytes;                       /* whole batches, at buffer->data or before next_pos */
    uint32_t next_pos;                  /* the place behind them */
    int64_t next_offset;
    bool index_damaged;
};

/* Find the first batch whose last offset is at least `offset`: ret_pos, ret_batch (header only;
 * its bytes are not there).  RL_ENOTFOUND: the file ends before. */
rl_status rl_file_find(struct rl_file_read *r, bool resident_only, uint32_t *ret_pos,
                       struct rl_batch *ret_batch);
/* Read whole batches from there, or find out how many bytes of them may be lent.  RL_OK (bytes may be 0: the first one is too large or not below
 * upper_offset); RL_EBUSY: not in memory; RL_ECORRUPT: the batch with `offset` is damaged (a
 * damaged one further on only ends the read); RL_EIO; RL_ENOTFOUND. */
rl_status rl_file_read(struct rl_file_read *r, bool resident_only);

#endif

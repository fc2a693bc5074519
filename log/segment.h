/* log/segment.h — one segment of a log: its files, what is known of it, and a walk over them.
 *
 * Private to log/.  A segment is a row in its log's array; its descriptor lives apart, because a
 * read in flight may outlive the row (retention) and an idle segment holds none. */
#ifndef RL_LOG_SEGMENT_H
#define RL_LOG_SEGMENT_H

#include "core/list.h"
#include "core/status.h"
#include "io/disk.h"
#include "log/batch.h"
#include "log/index.h"

struct rl_log;
struct rl_log_manager;

/* An open descriptor.  Unpinned ones may be closed at any time (least recently used first). */
struct rl_segment_file {
    struct rl_list lru;                 /* in the manager's list while unpinned */
    struct rl_log_manager *manager;
    struct rl_log *log;                 /* gone, perhaps, when detached */
    int64_t base_offset;                /* whose segment; unless detached */
    int fd;
    uint32_t pins;                      /* operations and leases that use fd right now */
    bool writable;
    bool detached;                      /* the segment is gone: closed with the last pin */
};

enum {
    RL_SEGMENT_EXISTS = 1,              /* the .log file was created */
    RL_SEGMENT_INDEX_SAVED = 2,         /* sealed, and all index entries are in the files */
    RL_SEGMENT_INDEX_DAMAGED = 4,       /* index files contradict the log: walk it, then rebuild */
    RL_SEGMENT_LOG_DAMAGED = 8,         /* the log is damaged itself: its index cannot be rebuilt */
};

/* Which bytes of a segment are known to be sound: those that this process appended, and a stretch
 * of older ones whose checksums it has seen. */
struct rl_checked {
    uint32_t from_pos, end_pos;
    uint32_t appended_pos;              /* from here on */
};

/* How many bytes from pos on, all of them before end_pos, are known to be sound. */
static inline uint32_t rl_checked_bytes(const struct rl_checked *checked, uint32_t pos, uint32_t end_pos)
{
    if (pos >= checked->appended_pos)
        return end_pos - pos;
    if (pos < checked->from_pos || pos >= checked->end_pos)
        return 0;
    return checked->end_pos >= checked->appended_pos ? end_pos - pos : checked->end_pos - pos;
}

struct rl_segment {
    int64_t base_offset;
    int64_t max_timestamp_ms;           /* largest of its batches, INT64_MIN while empty */
    int64_t max_timestamp_offset;       /* last offset of the first batch that has it */
    int64_t first_append_ms;            /* wall clock; INT64_MIN while empty */
    uint32_t size_bytes;                /* appended */
    uint32_t written_bytes;             /* in the file; <= size_bytes */
    uint32_t synced_bytes;              /* on stable storage; <= written_bytes */
    uint32_t index_entries;             /* in the .index file; more may be in `index` */
    uint32_t time_entries;              /* in the .timeindex file */
    uint32_t flags;
    struct rl_checked checked;
    struct rl_index_memory *index;      /* entries not yet in the files; NULL: none */
    struct rl_segment_file *file;       /* NULL: not open */
};

/* DIR/<20 digits><suffix> into path[RL_PATH_BYTES]. */
void rl_segment_path(const char *directory, int64_t base_offset, const char *suffix, char *path);

/* A walk over the batch headers of a .log file, on a helper. */
struct rl_segment_walk {
    struct rl_disk *disk;
    int fd;
    uint32_t pos;                       /* in: where a batch begins; out: where the walk ended */
    uint32_t end_pos;                   /* bytes of the file that count */
    int64_t next_offset;                /* in: what the batch at pos must begin with; out: after */
    uint32_t crc_from_pos;              /* batches that end behind this are checked by CRC */
};
/* header: only its first RL_BATCH_HEADER_BYTES bytes are there.  A status other than RL_OK ends
 * the walk with it, before this batch. */
typedef rl_status rl_segment_walk_fn(void *arg, const struct rl_batch *header, uint32_t pos);
/* RL_OK: reached end_pos; RL_ETRUNCATED: the last batch is not all there; RL_ECORRUPT: what
 * stands at pos is no batch, or not the next one; RL_EIO. */
rl_status rl_segment_walk(struct rl_segment_walk *walk, rl_segment_walk_fn *each, void *arg);

/* Make sure seg->file is open (for writing, if it is the active one).  Shard. */
rl_status rl_segment_open(struct rl_log *log, struct rl_segment *seg, bool writable);
/* Keep the descriptor while an operation uses it; unpin also frees a detached one. */
struct rl_segment_file *rl_segment_pin(struct rl_segment *seg);
void rl_segment_pin_file(struct rl_segment_file *file);
void rl_segment_unpin(struct rl_segment_file *file);
/* Give up the descriptor: at once, or when the last pin goes. */
void rl_segment_detach(struct rl_segment *seg);

#endif

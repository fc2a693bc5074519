/* log/log_internal.h — the insides of a log and of a shard's manager; private to log/.
 *
 * struct rl_log is what every partition costs, used or not (below 512 bytes with its first
 * segment); struct rl_log_hot comes with the first append or read.
 *
 * Work in flight, each at most once per log: `create` makes the file of a rolled segment,
 * `commit` syncs (commit.c), `reserve` asks for space (reserve.c), `save` writes index entries, snapshot and checkpoint or renames
 * expired files (save.c), `rollback` recovers in place after a failed write (rollback.c). */
#ifndef RL_LOG_LOG_INTERNAL_H
#define RL_LOG_LOG_INTERNAL_H

#include "core/buffer.h"
#include "core/list.h"
#include "core/text.h"
#include "io/disk.h"
#include "io/op.h"
#include "io/shard.h"
#include "log/append_times.h"
#include "log/epoch_cache.h"
#include "log/log.h"
#include "log/producer_state.h"
#include "log/segment.h"

#define RL_LOG_MANAGER_MAGIC 0x6d676f6cu        /* "logm" */
#define RL_SNAPSHOTS_KEPT 3
#define RL_LOG_HINTS 4
/* A smaller segment has nothing reserved behind it. */
#define RL_LOG_RESERVE_FROM_BYTES (1u << 20)
/* Index entries, snapshot and checkpoint are saved after this many bytes: what a restart after
 * kill -9 has to walk, and what the index of an active segment costs in memory. */
#define RL_LOG_SAVE_BYTES (64u << 20)

/* Configurations are equal for all partitions of a topic: shared. */
struct rl_log_config_ref {
    uint32_t references;
    struct rl_log_config config;
};

/* A damaged place that was told. */
struct rl_damage {
    const struct rl_log *log;
    int64_t segment_base;
    uint32_t pos;
};

struct rl_log_manager {
    uint32_t magic;
    struct rl_shard *shard;
    char *data_dir;
    size_t tail_bytes;
    int64_t producer_id_expiration_ms;
    uint32_t open_files_max;
    uint64_t reserve_bytes;
    uint64_t save_bytes;                /* RL_LOG_SAVE_BYTES; tests save more often */
    /* */
    uint32_t log_count;
    uint32_t open_files;
    struct rl_list logs;                /* all; those that the scrubber had last at the end */
    struct rl_list files;               /* unpinned descriptors, least recently used first */
    struct rl_list leases;              /* ranges of files that are lent to somebody */
    struct rl_list dirty;               /* logs with something to do at the end of this turn */
    struct rl_list runs;                /* tails of all logs, oldest first */
    size_t tail_used_bytes;
    const struct rl_buffer *tail_charged_buffer;    /* newest frame by reference, charged whole */
    struct rl_log_config_ref *last_config;
    bool unsound;                       /* a log could not be opened, or had failed at its end */
    bool names_doubted;                 /* a log was closed whose files may have names that a power cut takes */
    /* free_space.c */
    struct rl_list no_space;            /* logs that found the disk full and wait */
    uint64_t min_free_bytes;            /* below it nothing is taken; 0: not looked at */
    bool space_low;                     /* so it is now */
    uint64_t bytes_since_look;
    struct rl_timer space_timer;
    struct rl_op space_op;
    uint64_t free_bytes;                /* result of space_op */
    /* */
    struct rl_scrub *scrub;             /* scrub.c; NULL: off */
    struct rl_damage *damage;           /* damage.c */
    uint32_t damage_count;
    struct rl_log_counts counts;
    int64_t wall_offset_ms;             /* wall clock - monotonic clock, as far as it is trusted */
    int64_t jumped_ns;                  /* when it was seen to have jumped; 0: it has not */
};

/* A run of batches that lie next to each other in memory and in the file. */
struct rl_tail_run {
    struct rl_list in_manager;
    struct rl_log *log;
    struct rl_buffer *buffer;
    uint8_t *data;
    int64_t segment_base;
    int64_t base_offset, end_offset;
    uint32_t pos;                       /* in the segment's file */
    uint32_t bytes;
    uint32_t written_bytes;             /* prefix that is in the file */
    uint32_t hint_at;                   /* where the batch with hint_offset begins */
    int64_t hint_offset;                /* last place a reader asked for */
    size_t charge_bytes;                /* of the manager's budget */
};

/* A file position that the next read of somebody will begin at. */
struct rl_log_hint {
    int64_t offset;
    int64_t segment_base;
    uint32_t pos;
};

/* A node that knows its log (the log itself has no room for lists it may never be in). */
struct rl_log_node {
    struct rl_list node;
    struct rl_log *log;
};

struct rl_log_hot {
    struct rl_log_node dirty;          /* in manager->dirty */
    struct rl_log_node no_space;       /* in manager->no_space */
    /* the tail: a ring of runs, oldest first; the last `unwritten` of them wait for the file */
    struct rl_tail_run **runs;
    uint32_t run_head, run_count, run_capacity;
    uint32_t unwritten;
    struct rl_buffer *block;            /* where small batches are copied */
    size_t block_used;
    /* flush */
    int64_t flush_wanted_offset;
    int64_t messages_since_flush;
    struct rl_timer flush_timer;        /* flush.ms */
    struct rl_op commit_op;
    struct rl_segment_file *commit_file;
    int64_t commit_segment_base;
    int64_t commit_offset;              /* flushed_offset when it is done */
    uint32_t commit_bytes;
    bool commit_busy;
    bool directory_dirty;               /* files were created since the directory was synced */
    bool directory_committing;
    /* */
    bool create_busy, save_busy, rollback_busy, reserve_busy;
    bool reserve_refused;               /* not again for this segment */
    uint32_t reserved_pos;              /* of the segment with reserved_base; 0: nothing yet */
    int64_t reserved_base;
    bool rollback_due;
    bool sync_failed;                   /* the page cache is not to be believed */
    bool held_up;                       /* no descriptor to be had; goes on with retry_timer */
    struct rl_timer retry_timer;
    bool changed;                       /* since open: a clean close has something to save */
    struct rl_expired *expired;         /* retention.c: segments to rename with the next save... */
    bool deletions_wait;                /* ...but that failed: with the next round of retention */
    struct rl_list trims;               /* trim.c: calls that wait for their save */
    struct rl_list deleting;            /* retention.c: renamed, deleted when their time comes */
    uint64_t bytes_since_save;
    struct rl_text snapshot;            /* taken at the last roll, not yet saved */
    int64_t snapshot_offset;
    uint32_t hint_next;
    struct rl_log_hint hints[RL_LOG_HINTS];
    /* closing */
    void (*close_done)(void *arg);
    void *close_arg;
    bool close_clean, close_saved;
    /* told at the end of the turn */
    bool tell_written, tell_flushed, tell_failed, tell_trimmed;
};

struct rl_log {
    uint32_t magic;
    int32_t partition;
    struct rl_log_manager *manager;
    const char *topic;
    struct rl_uuid topic_id;
    struct rl_log_config_ref *config;
    const struct rl_log_events *events;
    void *events_arg;
    int64_t start_offset;               /* <= flushed <= written <= end */
    int64_t flushed_offset;
    int64_t written_offset;
    int64_t end_offset;
    struct rl_list in_manager;
    uint32_t scrub_round;               /* when the scrubber last took it up */
    rl_status failure;
    bool closing;
    bool rebuilt;
    bool checkpoint_due;                /* the one on disk is older than a cut: it has to be replaced first */
    bool names_doubted;                 /* at open: files may have names that a power cut takes */
    uint8_t snapshot_count;
    uint32_t busy;                      /* operations and jobs in flight that name this log */
    struct rl_segment *segments;        /* never empty; the last one is active */
    uint32_t segment_count, segment_capacity;
    struct rl_epoch_cache epochs;
    struct rl_append_times append_times;        /* of what is written */
    struct rl_producer_state *producers;        /* NULL: none */
    struct rl_log_hot *hot;             /* NULL until used */
    int64_t snapshots[RL_SNAPSHOTS_KEPT];       /* offsets of the files, oldest first */
};

static inline struct rl_segment *rl_log_active(struct rl_log *log)
{
    return &log->segments[log->segment_count - 1];
}
static inline const struct rl_log_config *rl_log_config_of(const struct rl_log *log)
{
    return &log->config->config;
}
static inline struct rl_disk *rl_log_disk(const struct rl_log *log)
{
    return log->manager->shard->disk;
}

/* log_manager.c */
struct rl_log_manager *rl_log_manager_of(const struct rl_shard *shard);
struct rl_log_config_ref *rl_log_config_take(struct rl_log_manager *manager,
                                             const struct rl_log_config *config);
void rl_log_config_drop(struct rl_log_manager *manager, struct rl_log_config_ref *ref);
/* Work for the end of this turn. */
void rl_log_mark_dirty(struct rl_log *log);
/* The wall clock for what deletes: a jump forward is believed only after a day. */
int64_t rl_log_retention_wall_ms(struct rl_log_manager *manager);
/* The partition's directory into path[RL_PATH_BYTES]. */
void rl_partition_path(const char *data_dir, const char *topic, int32_t partition, char *path);
void rl_log_directory(const struct rl_log *log, char *path);

/* log.c */
struct rl_log_hot *rl_log_heat(struct rl_log *log);
/* The segment that holds offset (start <= offset); index in the array. */
uint32_t rl_log_segment_at(const struct rl_log *log, int64_t offset);
/* The segment with this base offset, NULL when it is gone. */
struct rl_segment *rl_log_segment_find(struct rl_log *log, int64_t base_offset);
/* One past the last offset of segment i. */
int64_t rl_log_segment_end(const struct rl_log *log, uint32_t i);
/* The index entries in memory of a segment that is written to. */
struct rl_index_memory *rl_log_index_of(struct rl_segment *seg);
/* Is the segment, if it is not empty, older than segment.ms (less its jitter)? */
bool rl_log_is_time_to_roll(const struct rl_log *log, const struct rl_segment *seg);
/* Begin a new segment at the log end, in memory; its file comes by a job. */
void rl_log_roll(struct rl_log *log);
/* What a failed call means for its log: some failures heal, all others are RL_EIO. */
static inline rl_status rl_log_failure_of(rl_status status)
{
    return status == RL_ENOSPACE || status == RL_EREADONLY ? status : RL_EIO;
}
/* Note a failure, once; on_failed runs at the end of the turn. */
void rl_log_fail(struct rl_log *log, rl_status status);
/* Nothing failed, but it cannot go on now (no descriptors): the same again in a moment.  Appends are
 * refused until then. */
void rl_log_hold_up(struct rl_log *log);
/* A log that found the file system read-only tries to roll back again in some seconds. */
void rl_log_retry_rollback(struct rl_log *log);
/* Start whatever can be started: create, commit, save, rollback, close. */
void rl_log_advance(struct rl_log *log);
/* Free the struct and all it holds; nothing is in flight. */
void rl_log_free(struct rl_log *log);
void rl_segments_free(struct rl_segment *segments, uint32_t count);

/* log_write.c: everything queued goes to the files. */
void rl_log_write(struct rl_log *log);

/* tail.c */
void rl_tail_append(struct rl_log *log, struct rl_batch *batch, struct rl_buffer *buffer,
                    int64_t segment_base, uint32_t pos);
static inline struct rl_tail_run *rl_tail_run_at(const struct rl_log_hot *hot, uint32_t i)
{
    return hot->runs[(hot->run_head + i) & (hot->run_capacity - 1)];
}
/* The first offset in memory; end_offset when the tail is empty. */
int64_t rl_tail_first_offset(const struct rl_log *log);
void rl_tail_read(struct rl_log *log, struct rl_log_read *read);
/* Where the batch with this offset (or, exactly, the log end) begins; offset is in the tail. */
void rl_tail_locate(struct rl_log *log, int64_t offset, int64_t *ret_segment_base,
                    uint32_t *ret_pos);
void rl_tail_drop_unwritten(struct rl_log *log);
/* Evict written runs until the budget holds. */
void rl_tail_trim(struct rl_log_manager *manager);
void rl_tail_free(struct rl_log *log);

/* log_read.c: fill what a read of the segment's files needs, from the nearest known place at or
 * before offset; the segment is open.  The caller adds upper_offset, max_bytes, at_least_one. */
struct rl_file_read;
void rl_log_prepare_read(struct rl_log *log, struct rl_segment *seg, int64_t offset,
                         struct rl_file_read *request);

/* commit.c: the only way to flushed_offset. */
void rl_commit_advance(struct rl_log *log);

/* lease.c: lend a range of an open file, from pos on. */
struct rl_file_lease *rl_lease_create(struct rl_log_manager *manager, struct rl_segment_file *file,
                                      uint32_t pos);
/* End all that are left: nobody uses them any more, but their release may not have arrived. */
void rl_lease_end_all(struct rl_log_manager *manager);

/* free_space.c */
void rl_free_space_start(struct rl_log_manager *manager);
void rl_free_space_stop(struct rl_log_manager *manager);
/* Bytes were appended: is it time to look? */
void rl_free_space_note(struct rl_log_manager *manager, uint64_t bytes);
/* A log found the disk full and was rolled back: it may go on when there is space. */
void rl_log_wait_for_space(struct rl_log *log);

/* reserve.c: ask for space ahead of the active segment, if it is time. */
void rl_reserve_advance(struct rl_log *log);

/* save.c */
void rl_save_advance(struct rl_log *log);

/* trim.c */
/* Raise the start for those whose records are on stable storage. */
void rl_trim_advance(struct rl_log *log);
/* The start has risen for somebody who waits: a checkpoint has to say so. */
bool rl_trim_is_due(const struct rl_log *log);
/* Those who wait for a start up to start_offset (that of a checkpoint which is saved now). */
void rl_trim_answer(struct rl_log *log, int64_t start_offset, rl_status status);

/* rollback.c */
void rl_rollback_start(struct rl_log *log);

#endif

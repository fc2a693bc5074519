/* log/log.h — one partition's log: append, read, flush, recover.
 *
 * On disk (design fixed from day one, independent of the number of shards):
 *   DIR/<topic>-<partition>/partition.metadata              topic id (Kafka's text format)
 *                           00000000000000000000.log        batches exactly as Kafka's
 *                           00000000000000000000.index      sparse: offset -> position
 *                           00000000000000000000.timeindex  sparse: largest timestamp -> offset
 *                           00000000000000012345.snapshot   producer state at that offset
 *                           leader-epoch-checkpoint         epoch -> first offset, for Kafka's tools
 *                           ringlog.checkpoint              what is on stable storage (checkpoint.h)
 *
 * The happy path of an append: rl_log_append() gives a checked batch its offsets, patches base
 * offset and leader epoch (outside the CRC) and queues its bytes; at the end of the turn one
 * vectored write per touched segment carries everything queued, written_offset rises and
 * on_written runs.  rl_log_flush() asks for stable storage: one sync per touched file, one in
 * flight per log, everything that waits shares it; flushed_offset rises and on_flushed runs.
 *
 * Failures: a short or failed write is rolled back (file truncated to what was acknowledged as
 * written) and a failed sync is never retried: the log fails, on_failed runs, appends and reads
 * answer RL_EIO until it is opened again (RL_ENOSPACE and RL_EREADONLY heal, and reads go on meanwhile).  After a failed sync that
 * rebuilds it from what the device has.
 *
 * Everything here runs on the log's home shard unless it says "helper": those functions block
 * and run inside an RL_OP_JOB, or before the shard serves. */
#ifndef RL_LOG_LOG_H
#define RL_LOG_LOG_H

#include "core/base.h"
#include "core/chunk.h"
#include "core/list.h"
#include "core/slice.h"
#include "core/status.h"
#include "io/shard.h"
#include "log/batch.h"
#include "log/log_config.h"

#define RL_LOG_MAGIC 0x676f6c72u        /* "rlog" */

struct rl_log;
struct rl_log_manager;                  /* one per shard: dirty logs, tail budget, open files */

struct rl_log_manager_options {
    const char *data_dir;
    size_t tail_bytes;                  /* this shard's budget of in-memory tails */
    int64_t producer_id_expiration_ms;
    uint32_t open_files_max;            /* descriptors this shard's logs may hold */
    uint64_t reserve_bytes;             /* at most, ahead of each segment that grows; 0: nothing */
    uint64_t min_free_bytes;            /* of the disk: with less nothing is appended; 0: any */
    uint64_t scrub_bytes_per_second;    /* read in the background and checked; 0: none */
};
/* Each shard, at start.  Registers its end-of-turn hook (writes) and shard->context[LOG]. */
rl_status rl_log_manager_start(struct rl_shard *shard, const struct rl_log_manager_options *options);
/* Another producer.id.expiration.ms from now on. */
void rl_log_manager_set_producer_expiration(struct rl_shard *shard, int64_t expiration_ms);
/* Has every log that is there been opened, and has none that was closed failed before?  Only then
 * may the directory be called recovered, or stopped cleanly. */
bool rl_log_manager_is_sound(const struct rl_shard *shard);
/* Was a log closed cleanly whose files were there at an unclean start, and whose directory was not synced
 * since?  After all logs are closed. */
bool rl_log_manager_names_doubted(const struct rl_shard *shard);
/* For metrics; this shard's, since its start. */
struct rl_log_counts {
    uint64_t damaged_batches;           /* places found, by readers and by the scrubber */
    uint64_t scrubbed_bytes;
    uint64_t scrub_rounds;
};
struct rl_log_counts rl_log_manager_counts(const struct rl_shard *shard);
/* At the end, when all logs are closed. */
void rl_log_manager_stop(struct rl_shard *shard);

struct rl_log_identity {
    struct rl_uuid topic_id;
    const char *topic;                  /* valid as long as the log */
    int32_t partition;
};

/* What the owner (replicate/partition.c) is told.  All run on the home shard, from the loop,
 * never from inside a call into the log. */
struct rl_log_events {
    void (*on_written)(void *arg);      /* written_offset rose */
    void (*on_flushed)(void *arg);      /* flushed_offset rose */
    void (*on_failed)(void *arg, rl_status status);
    void (*on_trimmed)(void *arg);      /* log_start_offset rose (retention, rl_log_trim) */
};

struct rl_log_creation {
    struct rl_log_identity identity;
    rl_status status;                   /* RL_EEXIST: there already, with batches of the same topic (fine);
                                           RL_ECORRUPT: of another one */
};
/* Helper.  Create the directories of new, empty partitions in data_dir.  RL_OK: those whose status is
 * RL_OK or RL_EEXIST survive a power cut; otherwise none may.  What is not there, or not finished, can be
 * created again. */
rl_status rl_log_create_directories(struct rl_disk *disk, const char *data_dir,
                                    struct rl_log_creation *creations, uint32_t count);
/* Helper.  Delete a partition's directory: renamed to *.deleted first, then emptied. */
rl_status rl_log_delete_directory(struct rl_disk *disk, const char *data_dir,
                                  const struct rl_log_identity *identity);
/* Helper, once at start before any open: remove leftovers (*.deleted directories), decide
 * whether the last run ended cleanly, and note that this one is running.  ret_clean: logs may
 * be opened by their checkpoints.  Also tells whether the very same mount is still there. */
struct rl_log_flushed {
    int64_t offset;                     /* before it everything is on stable storage; 0: not known */
    int64_t segment_base;
    uint32_t pos;                       /* there; 0: the segment before is whole */
};
struct rl_log_start {
    bool clean;
    bool same_mount;
    struct rl_log_flushed flushed;      /* of a log that failed and is opened again */
    bool sync_failed;                   /* likewise: whether or not its mark could be written */
    bool leader_epoch_known;
    int32_t leader_epoch;               /* the latest that anybody has led in, if that is known */
};
rl_status rl_log_directory_start(struct rl_disk *disk, const char *data_dir, struct rl_log_start *ret_start);
/* Helper, once all logs are open after a start that was not on the same mount: from
 * now on a kill loses nothing that was written, and the next start may rely on that. */
rl_status rl_log_directory_recovered(struct rl_disk *disk, const char *data_dir);
/* Helper, when a sync has failed: what was written may be lost although the mount stays, so the next
 * start has to look, and to raise the leader epochs. */
rl_status rl_log_directory_doubt(struct rl_disk *disk, const char *data_dir);
/* Helper, last of all at a clean stop, after every log was closed cleanly.  names_doubted: of any shard
 * (rl_log_manager_names_doubted); then the file system is synced first, or, where that cannot be known to
 * help, the next start is told nothing.  It may take as long as the file system has to write.  A status
 * that is not RL_OK: the next start looks at all logs. */
rl_status rl_log_directory_stop(struct rl_disk *disk, const char *data_dir, bool names_doubted);

/* Open: recovers on a helper, then done(arg, status, log) on the shard.  Torn tail cut,
 * indexes rebuilt if needed, producer windows and leader epochs rebuilt.  config is copied.
 * RL_ENOTFOUND: directory missing; RL_ECORRUPT: metadata of another topic, or damage before the
 * recovery point (explained in a log line; nothing is deleted). */
void rl_log_open(struct rl_shard *shard, const struct rl_log_identity *identity,
                 const struct rl_log_config *config, struct rl_log_start start,
                 const struct rl_log_events *events, void *events_arg,
                 void (*done)(void *arg, rl_status status, struct rl_log *log), void *arg);
/* Close: writes what is queued, flushes, writes checkpoints (snapshot, epochs, indexes), frees.
 * done(arg) on the shard; log is gone then.  clean == false: drop without touching files (for
 * deleted topics and failed logs). */
void rl_log_close(struct rl_log *log, bool clean, void (*done)(void *arg), void *arg);
/* How to open a log again that has failed, once it is closed: what was on stable storage is told to
 * the recovery, which refuses to do with less. */
struct rl_log_start rl_log_start_again(const struct rl_log *log);
/* What connected producers have to go on with when a log is opened again (producer_state.h): taken from
 * the one that failed, kept while there is none, given to the next.  Zeroed: nothing. */
struct rl_log_lost {
    struct rl_producer_state *producers;
    int64_t acknowledged_offset;
};
/* From a log that has failed and will be closed; batches before acknowledged_offset were answered. */
void rl_log_lost_take(struct rl_log_lost *lost, struct rl_log *log, int64_t acknowledged_offset);
/* A batch is not taken since there is no log now; rl_log_append() does the same when it takes none. */
void rl_log_lost_refuse(struct rl_log_lost *lost, struct rl_shard *shard, const struct rl_batch *batch);
/* To a log that was opened, before anything is appended; nothing is left in lost. */
void rl_log_lost_give(struct rl_log_lost *lost, struct rl_log *log);
void rl_log_lost_done(struct rl_log_lost *lost);
/* Was it rebuilt from the device when it was opened?  Then records that were written, and seen, but
 * not on stable storage may be gone. */
bool rl_log_was_rebuilt(const struct rl_log *log);
void rl_log_set_config(struct rl_log *log, const struct rl_log_config *config);

/* log start <= ... <= log end, all Kafka offsets; written and flushed are exclusive ends. */
int64_t rl_log_start_offset(const struct rl_log *log);
int64_t rl_log_end_offset(const struct rl_log *log);            /* next to assign */
int64_t rl_log_written_offset(const struct rl_log *log);        /* safe from a kill of the process */
int64_t rl_log_flushed_offset(const struct rl_log *log);        /* on stable storage */
/* When the record at offset was appended, by our clock; before the log start: the first one there is.
 * As exact as append_times.h says, and never too late; of what was written before its marks were kept
 * only the age of the segment is known.  -1: no record there yet, or nothing known.  Cheap. */
int64_t rl_log_append_time_ms(const struct rl_log *log, int64_t offset);
uint64_t rl_log_size_bytes(const struct rl_log *log);
rl_status rl_log_failure(const struct rl_log *log);             /* RL_OK while healthy */

struct rl_append_result {
    int64_t base_offset;
    int64_t last_offset;
    int64_t log_append_time_ms;         /* -1 with CreateTime */
    int64_t log_start_offset;
};
/* Append one batch that passed rl_batch_check().  batch->bytes are writable memory; base offset
 * and leader epoch (and, for LogAppendTime, timestamp and CRC) are patched in place.  `buffer`
 * keeps them alive: the log takes references of its own until written, and as in-memory tail
 * (or copies small ones).  buffer NULL: the log copies at once.
 * RL_OK; RL_EDUPLICATE (result is the earlier batch's: answer success); RL_EOUTOFORDER,
 * RL_EPRODUCEREPOCH (Kafka's idempotence rules: window of 5, wrap at INT32_MAX, unknown
 * producer accepted with any sequence); RL_EIO, RL_ENOSPACE (log has failed); RL_ENOSPACE also
 * while the disk has less than min_free_bytes.
 * On error nothing has changed. */
rl_status rl_log_append(struct rl_log *log, struct rl_batch *batch, struct rl_buffer *buffer,
                        int32_t leader_epoch, struct rl_append_result *ret_result);
/* A batch for which rl_log_append() said RL_EDUPLICATE is only answered when it is on stable storage:
 * should it be lost before, its producer has to begin with it. */
void rl_log_await(struct rl_log *log, const struct rl_batch *batch);
/* Ask that everything appended so far becomes durable; on_flushed tells.  Cheap to repeat. */
void rl_log_flush(struct rl_log *log);

/* Read whole batches from the one containing `offset` up to below `upper_offset`, at most
 * max_bytes, but at least one batch if at_least_one.  From the in-memory tail if it is there,
 * else from the file: copied, or lent as a range of it.  With lend_tail a range is lent of what is
 * in memory, too: its file's pages have just been written.
 * A range is lent only of bytes that this process has appended or once checked, it stays valid
 * whatever happens to the log meanwhile, even its end, and its lease may be released on any
 * shard.  (Written bytes are never overwritten: what is cut off lies behind them.)
 * The caller owns the struct until done has run (or until RL_OK / an error was returned). */
#define RL_LOG_READ_CHUNKS 64
struct rl_log_read {
    int64_t offset, upper_offset;
    size_t max_bytes;
    size_t lend_bytes_min;              /* from this size on a range of a file is welcome; 0: never */
    bool at_least_one;
    bool skip_tail;                     /* read the file, also what is in memory */
    bool lend_tail;                     /* lend_bytes_min is meant for what is in memory, too */
    void (*done)(struct rl_log_read *read);
    void *arg;
    /* results */
    rl_status status;                   /* RL_OK, RL_ERANGE (outside start..end), RL_ECORRUPT, RL_EIO */
    size_t bytes;
    uint32_t chunk_count;
    struct rl_chunk chunks[RL_LOG_READ_CHUNKS];         /* references pass to the caller */
    struct rl_log *log;                 /* log/ only, from here */
    void *job;
};
/* RL_OK: done already (done is NOT called).  RL_EBUSY: on its way, done will run.  Any other:
 * failed at once. */
rl_status rl_log_read(struct rl_log *log, struct rl_log_read *read);
/* Bytes a fetch at `offset` would find below upper_offset, capped at max_bytes; from memory
 * only and cheap: for fetch.min.bytes.  An estimate may only be too high by less than a batch. */
size_t rl_log_available_bytes(struct rl_log *log, int64_t offset, int64_t upper_offset, size_t max_bytes);

/* First record at or after a timestamp, or the record with the largest one; exact to the
 * record, opening compressed batches with bounded output.  Runs on a helper where needed. */
struct rl_log_lookup {
    int64_t timestamp_ms;               /* >= 0, or RL_LOOKUP_MAX_TIMESTAMP */
    int64_t upper_offset;
    void (*done)(struct rl_log_lookup *lookup);         /* always runs, never inside the call */
    void *arg;
    rl_status status;                   /* RL_OK, RL_ENOTFOUND, RL_EIO, RL_ECORRUPT */
    int64_t ret_offset, ret_timestamp_ms;
    int32_t ret_leader_epoch;
    void *job;                          /* log/ only */
};
#define RL_LOOKUP_MAX_TIMESTAMP (-3)
void rl_log_lookup(struct rl_log *log, struct rl_log_lookup *lookup);

/* Leader epochs (KIP-101, KIP-320).  A new leader epoch begins at the log end. */
int32_t rl_log_latest_epoch(const struct rl_log *log);          /* -1: none yet */
void rl_log_begin_epoch(struct rl_log *log, int32_t leader_epoch);
/* OffsetForLeaderEpoch's answer: the largest known epoch <= asked and its exclusive end; asked
 * below the first known: (asked, first start); unknown: (-1, -1); see kafka's rules. */
void rl_log_epoch_end(const struct rl_log *log, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end_offset);
int32_t rl_log_epoch_of(const struct rl_log *log, int64_t offset);

/* Retention and roll by time; the owner calls it now and then (log.retention.check.interval.ms).
 * Deletes whole segments below upper_offset (the high watermark) by size and by largest record
 * timestamp; never the active one unless it is all expired (then it is rolled first). */
void rl_log_maintain(struct rl_log *log, int64_t upper_offset);

/* Raise the log start to offset (<= written_offset); whole segments below are deleted.  done runs
 * once, on the home shard, never inside the call: RL_OK when no power cut brings the records back,
 * RL_EIO, RL_ENOSPACE when the log or its checkpoint failed, RL_ESTOPPING when it was closed.
 * Source: KIP-107. */
struct rl_log_trim {
    int64_t offset;
    void (*done)(struct rl_log_trim *trim);
    void *arg;
    rl_status status;
    int64_t ret_log_start_offset;
    struct rl_list link;                /* log/ only */
};
void rl_log_trim(struct rl_log *log, struct rl_log_trim *trim);

/* Producer ids known here. */
uint32_t rl_log_producer_count(const struct rl_log *log);
/* What of them clients may ask for (DescribeProducers): at most `count`, least recently used first;
 * the number written. */
struct rl_log_producer {
    int64_t producer_id;
    int64_t last_timestamp_ms;          /* of the last batch */
    int32_t last_sequence;
    int16_t producer_epoch;
};
uint32_t rl_log_producers(const struct rl_log *log, struct rl_log_producer *ret_producers,
                          uint32_t count);

#endif

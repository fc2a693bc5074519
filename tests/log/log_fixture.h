/* tests/log/log_fixture.h — one log on a kernel in memory, and a model of what must be in it.
 *
 * Thin functions in front of the disk's own count calls and can die: from call number `cut_at`
 * on nothing reaches the disk any more, as if the process or the machine had stopped there (a
 * write may leave its first bytes).  One fixture at a time. */
#ifndef RL_TESTS_LOG_LOG_FIXTURE_H
#define RL_TESTS_LOG_LOG_FIXTURE_H

#include "core/random.h"
#include "io/disk.h"
#include "io/shard.h"
#include "log/log.h"
#include "mem_backend.h"

/* ---- batches ---- */

struct batch_spec {
    int32_t records;                    /* 0: 1 */
    size_t value_bytes;
    enum rl_codec codec;
    int64_t base_timestamp_ms, timestamp_step_ms;
    int64_t producer_id;                /* 0: none (-1 on the wire) */
    int16_t producer_epoch;
    int32_t base_sequence;
    uint64_t seed;                      /* of the values' content */
    const int64_t *timestamps_ms;       /* instead of base and step: one per record */
};
/* A valid batch; rl_free it.  base offset 0, leader epoch -1. */
uint8_t *build_batch(const struct batch_spec *spec, size_t *ret_bytes);

/* ---- a disk that can die ---- */

struct cut_disk {
    const struct rl_disk_table *inner;  /* the functions it stands in front of */
    uint64_t calls;                     /* that may change something, or make it durable */
    uint64_t cut_at;                    /* UINT64_MAX: never */
    size_t torn_bytes;                  /* the write that is cut leaves so many */
    bool dead;
};

/* ---- the model ---- */

struct model_batch {
    int64_t base_offset, end_offset;
    uint8_t *bytes;                     /* as they are in the log */
    size_t size_bytes;
};

struct model {
    struct model_batch *batches;
    uint32_t count, capacity;
};

/* ---- a broker with one log ---- */

struct fixture {
    struct rl_mem *mem;
    struct rl_disk *mem_disk;
    struct cut_disk cut;
    struct rl_shard_set *set;
    struct rl_shard *shard;
    struct rl_log_config config;
    struct rl_log_identity identity;
    struct rl_log_manager_options options;
    bool leader_epoch_unknown;          /* as for a metadata log that is an older copy */
    uint64_t save_bytes;                /* 0: as shipped; takes effect at the next start */
    struct rl_log *log;
    struct model model;
    size_t lend_bytes_min;              /* of fixture_read: see log.h */
    bool skip_tail, lend_tail;
    uint32_t lent;                      /* ranges that reads were lent so far */
    /* what the log told */
    uint32_t written, flushed, failed, trimmed;
    rl_status failure;
    int64_t flushed_offset;             /* the largest ever told */
    int64_t written_offset;
};

#define FIXTURE_DATA_DIR "data"
#define FIXTURE_DIRECTORY "data/topic-3"

/* Everything started, the partition created, no log open. */
/* The directory of f->identity, made anew or as it is: its own status. */
rl_status fixture_create_directory(struct fixture *f);
void fixture_init(struct fixture *f);
void fixture_done(struct fixture *f);
/* Stop the broker without a word, then start it again: after a power cut or a kill. */
void fixture_crash(struct fixture *f, bool power_cut);
/* directory_start, open, directory_recovered, as the broker does.  The status of the open. */
rl_status fixture_open(struct fixture *f);
rl_status fixture_try_open(struct fixture *f, struct rl_log_start start);
void fixture_close(struct fixture *f, bool clean);      /* and directory_stop if clean */

/* Append, and keep a copy in the model when it was accepted.  Not written before a settle. */
rl_status fixture_append(struct fixture *f, const struct batch_spec *spec);
rl_status fixture_append_result(struct fixture *f, const struct batch_spec *spec,
                                struct rl_append_result *ret_result);
void fixture_settle(struct fixture *f);
void fixture_flush(struct fixture *f);          /* and settle; asserts that all is flushed */

/* Read, waiting for it; the bytes are copied to ret_bytes (rl_free). */
rl_status fixture_read(struct fixture *f, int64_t offset, int64_t upper_offset, size_t max_bytes,
                       bool at_least_one, uint8_t **ret_bytes, size_t *ret_size);
rl_status fixture_lookup(struct fixture *f, int64_t timestamp_ms, int64_t upper_offset,
                         struct rl_log_lookup *ret_lookup);
/* The log holds exactly the model's batches from its start to its end. */
void fixture_check(struct fixture *f);
void model_truncate(struct model *model, int64_t end_offset);

/* Whole files, through the disk. */
bool fixture_file_exists(struct fixture *f, const char *path);
uint8_t *fixture_file_load(struct fixture *f, const char *path, size_t *ret_bytes);
void fixture_file_store(struct fixture *f, const char *path, const void *bytes, size_t size);
void fixture_file_flip(struct fixture *f, const char *path, size_t at, uint8_t mask);

#endif

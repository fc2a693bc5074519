/* perf/micro/micro_log.c — one log: append to a null device, and what a fetch asks of it.
 *
 * The log is the real one on the kernel in memory.  The null device takes every write and keeps
 * nothing, so that an append costs what our own code does, with the end of the turn that writes. */
#include "cli/bench_batch.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "io/disk.h"
#include "io/shard.h"
#include "log/log.h"
#include "mem_backend.h"
#include "perf/micro/rl_bench.h"
#include <limits.h>
#include <string.h>

#define DATA_DIR "data"
#define TAIL_BYTES ((size_t)16 << 20)
#define BATCH_BYTES 16384
#define FILL_BATCHES 400
#define OPEN_FILES_MAX 8

struct bench_log {
    struct rl_mem *mem;
    struct rl_disk *disk;
    struct rl_disk_table table;         /* the disk's own, but for write */
    struct rl_shard_set *set;
    struct rl_log *log;
    bool closed;
};

static const struct rl_log_config log_config = {
    .retention_ms = -1, .retention_bytes = -1, .segment_ms = INT64_MAX, .flush_messages = INT64_MAX,
    .flush_ms = INT64_MAX, .file_delete_delay_ms = 60000, .message_timestamp_before_max_ms = INT64_MAX,
    .message_timestamp_after_max_ms = INT64_MAX, .segment_bytes = 1 << 30, .segment_index_bytes = 10 << 20,
    .index_interval_bytes = 4096, .max_message_bytes = INT_MAX, .compression_type = RL_CODEC_PRODUCER,
    .cleanup_delete = true,
};
static const struct rl_log_identity log_identity = { .topic_id = { { 1, 2, 3 } }, .topic = "topic", .partition = 0 };

static void ignore(void *arg)
{
    (void)arg;
}

static void on_failed(void *arg, rl_status status)
{
    (void)arg;
    RL_ASSERT(status == RL_OK);
}

static const struct rl_log_events log_events = { ignore, ignore, on_failed, ignore };

static rl_status null_write(struct rl_disk *disk, int fd, uint64_t pos, const struct iovec *iov, int iov_count,
                            size_t *ret_bytes)
{
    (void)disk;
    (void)fd;
    (void)pos;
    *ret_bytes = 0;
    for (int i = 0; i < iov_count; i++)
        *ret_bytes += iov[i].iov_len;
    return RL_OK;
}

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    (void)arg;
    return rl_log_manager_start(shard, &(struct rl_log_manager_options){
        .data_dir = DATA_DIR, .tail_bytes = TAIL_BYTES, .producer_id_expiration_ms = 86400000,
        .open_files_max = OPEN_FILES_MAX });
}

static void shard_finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_log_manager_stop(shard);
}

/* The caller is the shard's code, too. */
static void settle(struct bench_log *b)
{
    rl_mem_settle(b->set);
    rl_self = rl_shard_set_get(b->set, 0);
}

static void on_opened(void *arg, rl_status status, struct rl_log *log)
{
    struct bench_log *b = arg;
    RL_ASSERT(status == RL_OK);
    b->log = log;
}

static void on_closed(void *arg)
{
    struct bench_log *b = arg;
    b->closed = true;
}

static struct bench_log *bench_log_create(void)
{
    struct bench_log *b = rl_alloc_zero(1, sizeof *b);
    struct rl_log_start start;
    b->mem = rl_mem_create(1);
    b->disk = rl_mem_disk(b->mem);
    RL_ASSERT(rl_disk_make_directory(b->disk, DATA_DIR) == RL_OK);
    struct rl_log_creation creation = { .identity = log_identity };
    RL_ASSERT(rl_log_create_directories(b->disk, DATA_DIR, &creation, 1) == RL_OK);
    RL_ASSERT(rl_log_directory_start(b->disk, DATA_DIR, &start) == RL_OK);
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem, .disk = b->disk };
    RL_ASSERT(rl_shard_set_create(&options, &b->set) == RL_OK);
    RL_ASSERT(rl_shard_set_start_stepped(b->set, shard_start, NULL) == RL_OK);
    settle(b);
    rl_log_open(rl_self, &log_identity, &log_config, start, &log_events, b, on_opened, b);
    settle(b);
    RL_ASSERT(b->log != NULL);
    return b;
}

static void bench_log_free(struct bench_log *b)
{
    rl_log_close(b->log, false, on_closed, b);
    settle(b);
    RL_ASSERT(b->closed);
    rl_shard_set_stop(b->set);
    rl_shard_set_join(b->set, shard_finish, NULL);
    rl_shard_set_free(b->set);
    rl_self = NULL;
    rl_mem_free(b->mem);
    rl_free(b);
}

static void use_null_device(struct bench_log *b)
{
    b->table = *b->disk->table;
    b->table.write = null_write;
    b->disk->table = &b->table;
}

/* The batch once more; by reference if there is a buffer, else copied. */
static void append(struct bench_log *b, uint8_t *bytes, size_t size_bytes, struct rl_buffer *buffer)
{
    struct rl_batch batch;
    struct rl_append_result result;
    RL_ASSERT(rl_batch_read_header(bytes, size_bytes, &batch) == RL_OK);
    RL_ASSERT(rl_log_append(b->log, &batch, buffer, 0, &result) == RL_OK);
}

/* ---- append ---- */

/* One batch a turn, as with a single producer. */
static void append_copied(struct rl_bench_state *state, int64_t batch_bytes)
{
    struct bench_log *b = bench_log_create();
    struct rl_bench_batch made;
    rl_bench_batch_init(&made, 1024, (size_t)batch_bytes, 1, false);
    use_null_device(b);
    while (rl_bench_next(state)) {
        append(b, made.bytes, made.size_bytes, NULL);
        settle(b);
    }
    rl_bench_count_bytes(state, (int64_t)made.size_bytes);
    rl_bench_batch_done(&made);
    bench_log_free(b);
}
RL_BENCH_ARG("append/1KiB", append_copied, 1)
RL_BENCH_ARG("append/16KB", append_copied, BATCH_BYTES)

/* Twenty batches a turn: one write carries them. */
static void append_many(struct rl_bench_state *state, int64_t count)
{
    struct bench_log *b = bench_log_create();
    struct rl_bench_batch made;
    rl_bench_batch_init(&made, 1024, BATCH_BYTES, 1, false);
    use_null_device(b);
    while (rl_bench_next(state)) {
        for (int64_t i = 0; i < count; i++)
            append(b, made.bytes, made.size_bytes, NULL);
        settle(b);
    }
    rl_bench_count_bytes(state, (int64_t)made.size_bytes * count);
    rl_bench_batch_done(&made);
    bench_log_free(b);
}
RL_BENCH_ARG("append/20x16KB", append_many, 20)

/* A large batch stays where it was received.  It is the same memory each time: nobody reads it. */
static void append_lent(struct rl_bench_state *state, int64_t batch_bytes)
{
    struct bench_log *b = bench_log_create();
    struct rl_bench_batch made;
    rl_bench_batch_init(&made, 1024, (size_t)batch_bytes, 1, false);
    struct rl_buffer *buffer = rl_buffer_create(made.size_bytes, 0);
    memcpy(buffer->data, made.bytes, made.size_bytes);
    use_null_device(b);
    while (rl_bench_next(state)) {
        append(b, buffer->data, made.size_bytes, buffer);
        settle(b);
    }
    rl_bench_count_bytes(state, (int64_t)made.size_bytes);
    rl_bench_batch_done(&made);
    bench_log_free(b);
    rl_buffer_unref(buffer);
}
RL_BENCH_ARG("append/900KB", append_lent, 900000)

/* ---- what a fetch asks ---- */

static struct bench_log *filled(int64_t *ret_records)
{
    struct bench_log *b = bench_log_create();
    struct rl_bench_batch made;
    rl_bench_batch_init(&made, 1024, BATCH_BYTES, 1, false);
    for (int i = 0; i < FILL_BATCHES; i++) {
        append(b, made.bytes, made.size_bytes, NULL);
        settle(b);
    }
    *ret_records = made.record_count;
    rl_bench_batch_done(&made);
    return b;
}

/* fetch.min.bytes: how much is there? */
static void plan_available(struct rl_bench_state *state, int64_t arg)
{
    int64_t records, at = arg;
    struct bench_log *b = filled(&records);
    while (rl_bench_next(state)) {
        at = (at + 1) % FILL_BATCHES;
        rl_bench_use(rl_log_available_bytes(b->log, at * records, INT64_MAX, 1 << 20));
    }
    bench_log_free(b);
}
RL_BENCH("plan/available", plan_available)

static void read_log(struct rl_bench_state *state, struct rl_log_read what)
{
    int64_t records, at = 0;
    struct bench_log *b = filled(&records);
    struct rl_log_read *read = rl_alloc_zero(1, sizeof *read);
    while (rl_bench_next(state)) {
        *read = what;
        at = (at + 1) % (FILL_BATCHES / 2);
        read->offset = at * records;
        RL_ASSERT(rl_log_read(b->log, read) == RL_OK && read->chunk_count > 0);
        RL_ASSERT(what.lend_bytes_min == 0 || read->chunks[0].file != NULL);
        for (uint32_t i = 0; i < read->chunk_count; i++)
            rl_chunk_release(&read->chunks[i]);
    }
    rl_free(read);
    bench_log_free(b);
}

/* From memory: references to what was appended. */
static void plan_tail(struct rl_bench_state *state, int64_t bytes)
{
    read_log(state, (struct rl_log_read){ .upper_offset = INT64_MAX, .max_bytes = (size_t)bytes,
                                          .at_least_one = true });
}
RL_BENCH_ARG("plan/tail-16KB", plan_tail, BATCH_BYTES)
RL_BENCH_ARG("plan/tail-1MiB", plan_tail, 1 << 20)

/* From the file, lent: index, position, length, and no byte of the records. */
static void plan_file(struct rl_bench_state *state, int64_t bytes)
{
    read_log(state, (struct rl_log_read){ .upper_offset = INT64_MAX, .max_bytes = (size_t)bytes,
                                          .lend_bytes_min = 1, .at_least_one = true, .skip_tail = true });
}
RL_BENCH_ARG("plan/file-1MiB", plan_file, 1 << 20)

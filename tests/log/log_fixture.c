/* tests/log/log_fixture.c — one log on a kernel in memory; see log_fixture.h. */
#include "log_fixture.h"
#include "core/buffer.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/log_internal.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- a disk that can die ---- */

static struct cut_disk *cut;            /* of the one fixture there is */

/* Count a call; true when it no longer reaches the disk. */
static bool is_cut(void)
{
    if (!cut->dead && cut->calls++ >= cut->cut_at)
        cut->dead = true;
    return cut->dead;
}

static rl_status cut_open(struct rl_disk *disk, const char *path, uint32_t flags, int *ret_fd)
{
    if ((flags & (RL_OPEN_CREATE | RL_OPEN_TRUNCATE)) != 0 ? is_cut() : cut->dead)
        return RL_EIO;
    return cut->inner->open(disk, path, flags, ret_fd);
}
static void cut_close(struct rl_disk *disk, int fd)
{
    cut->inner->close(disk, fd);
}
static rl_status cut_read(struct rl_disk *disk, int fd, uint64_t pos, void *buffer, size_t bytes,
                          bool resident_only, size_t *ret_bytes)
{
    if (cut->dead)
        return RL_EIO;
    return cut->inner->read(disk, fd, pos, buffer, bytes, resident_only, ret_bytes);
}
static rl_status cut_read_device(struct rl_disk *disk, int fd, uint64_t pos, void *buffer,
                                 size_t bytes, size_t *ret_bytes)
{
    return cut->dead ? RL_EIO : cut->inner->read_device(disk, fd, pos, buffer, bytes, ret_bytes);
}
static rl_status cut_write(struct rl_disk *disk, int fd, uint64_t pos, const struct iovec *iov,
                           int iov_count, size_t *ret_bytes)
{
    bool was_dead = cut->dead;

    *ret_bytes = 0;
    if (!is_cut())
        return cut->inner->write(disk, fd, pos, iov, iov_count, ret_bytes);
    size_t left = was_dead ? 0 : cut->torn_bytes, wrote;
    for (int i = 0; i < iov_count && left > 0; i++) {
        struct iovec part = { iov[i].iov_base, RL_MIN(iov[i].iov_len, left) };
        cr_assert_eq(cut->inner->write(disk, fd, pos, &part, 1, &wrote), RL_OK);
        pos += part.iov_len;
        left -= part.iov_len;
    }
    return RL_EIO;
}
static rl_status cut_sync(struct rl_disk *disk, int fd)
{
    return is_cut() ? RL_EIO : cut->inner->sync(disk, fd);
}
static rl_status cut_truncate(struct rl_disk *disk, int fd, uint64_t bytes)
{
    return is_cut() ? RL_EIO : cut->inner->truncate(disk, fd, bytes);
}
static rl_status cut_allocate(struct rl_disk *disk, int fd, uint64_t pos, uint64_t bytes)
{
    return is_cut() ? RL_EIO : cut->inner->allocate(disk, fd, pos, bytes);
}
static rl_status cut_size(struct rl_disk *disk, int fd, uint64_t *ret_bytes)
{
    return cut->dead ? RL_EIO : cut->inner->size(disk, fd, ret_bytes);
}
static rl_status cut_rename(struct rl_disk *disk, const char *from, const char *to)
{
    return is_cut() ? RL_EIO : cut->inner->rename(disk, from, to);
}
static rl_status cut_unlink(struct rl_disk *disk, const char *path)
{
    return is_cut() ? RL_EIO : cut->inner->unlink(disk, path);
}
static rl_status cut_make_directory(struct rl_disk *disk, const char *path)
{
    return is_cut() ? RL_EIO : cut->inner->make_directory(disk, path);
}
static rl_status cut_remove_directory(struct rl_disk *disk, const char *path)
{
    return is_cut() ? RL_EIO : cut->inner->remove_directory(disk, path);
}
static rl_status cut_sync_directory(struct rl_disk *disk, const char *path)
{
    return is_cut() ? RL_EIO : cut->inner->sync_directory(disk, path);
}
static rl_status cut_sync_all(struct rl_disk *disk, int fd)
{
    return is_cut() ? RL_EIO : cut->inner->sync_all(disk, fd);
}
static rl_status cut_list(struct rl_disk *disk, const char *path, rl_disk_entry_fn *entry, void *arg)
{
    return cut->dead ? RL_EIO : cut->inner->list(disk, path, entry, arg);
}
static rl_status cut_free_bytes(struct rl_disk *disk, const char *path, uint64_t *ret_free_bytes,
                                uint64_t *ret_total_bytes)
{
    return cut->dead ? RL_EIO : cut->inner->free_bytes(disk, path, ret_free_bytes, ret_total_bytes);
}
static rl_status cut_identity(struct rl_disk *disk, const char *path, char *text, size_t bytes)
{
    return cut->inner->identity(disk, path, text, bytes);
}

static const struct rl_disk_table cut_table = {
    .open = cut_open, .close = cut_close, .read = cut_read,
    .read_device = cut_read_device, .write = cut_write, .sync = cut_sync,
    .truncate = cut_truncate, .allocate = cut_allocate, .size = cut_size, .rename = cut_rename,
    .unlink = cut_unlink, .make_directory = cut_make_directory,
    .remove_directory = cut_remove_directory, .sync_directory = cut_sync_directory,
    .sync_all = cut_sync_all, .list = cut_list, .free_bytes = cut_free_bytes, .identity = cut_identity,
};

/* ---- the broker ---- */

static void on_written(void *arg)
{
    struct fixture *f = arg;
    f->written++;
    cr_assert_gt(rl_log_written_offset(f->log), f->written_offset);
    f->written_offset = rl_log_written_offset(f->log);
}
static void on_flushed(void *arg)
{
    struct fixture *f = arg;
    f->flushed++;
    cr_assert_gt(rl_log_flushed_offset(f->log), f->flushed_offset);
    f->flushed_offset = rl_log_flushed_offset(f->log);
}
static void on_failed(void *arg, rl_status status)
{
    struct fixture *f = arg;
    f->failed++;
    f->failure = status;
}
static void on_trimmed(void *arg) { ((struct fixture *)arg)->trimmed++; }

static const struct rl_log_events events = { on_written, on_flushed, on_failed, on_trimmed };

static rl_status start_shard(struct rl_shard *shard, void *arg)
{
    struct fixture *f = arg;

    f->shard = shard;
    rl_status status = rl_log_manager_start(shard, &f->options);
    if (status == RL_OK && f->save_bytes > 0)
        rl_log_manager_of(shard)->save_bytes = f->save_bytes;
    return status;
}

static void stop_shard(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_log_manager_stop(shard);
}

/* The test is the shard's code, too. */
static void settle(struct fixture *f)
{
    rl_mem_settle(f->set);
    rl_self = f->shard;
}

static void start_broker(struct fixture *f)
{
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem,
                                            .disk = f->mem_disk };

    if (f->mem_disk->table != &cut_table)
        f->cut.inner = f->mem_disk->table;
    f->cut = (struct cut_disk){ .inner = f->cut.inner, .cut_at = UINT64_MAX };
    f->mem_disk->table = &cut_table;
    cut = &f->cut;
    cr_assert_eq(rl_shard_set_create(&options, &f->set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(f->set, start_shard, f), RL_OK);
    settle(f);
}

static void stop_broker(struct fixture *f)
{
    rl_shard_set_stop(f->set);
    rl_shard_set_join(f->set, stop_shard, f);
    rl_shard_set_free(f->set);
    f->set = NULL;
    rl_self = NULL;
}

/* Hundreds of thousands of deaths write many lines; RL_TEST_LOG=1 shows them. */
static void drop_line(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)bytes;
}

rl_status fixture_create_directory(struct fixture *f)
{
    struct rl_log_creation creation = { .identity = f->identity };
    rl_status status = rl_log_create_directories(f->mem_disk, FIXTURE_DATA_DIR, &creation, 1);

    return status == RL_OK ? creation.status : status;
}

void fixture_init(struct fixture *f)
{
    if (getenv("RL_TEST_LOG") == NULL)
        rl_logger_set_sink(drop_line, NULL);
    *f = (struct fixture){
        .config = {
            .retention_ms = -1, .retention_bytes = -1, .segment_ms = INT64_MAX,
            .flush_messages = INT64_MAX, .flush_ms = INT64_MAX, .file_delete_delay_ms = 60000,
            .message_timestamp_before_max_ms = INT64_MAX, .message_timestamp_after_max_ms = 3600000,
            .segment_bytes = 1 << 30, .segment_index_bytes = 10 << 20, .index_interval_bytes = 4096,
            .max_message_bytes = 1048588, .compression_type = RL_CODEC_PRODUCER,
            .cleanup_delete = true, .acks_all_sync = true,
        },
        .identity = { .topic_id = { { 1, 2, 3 } }, .topic = "topic", .partition = 3 },
        .options = { .data_dir = FIXTURE_DATA_DIR, .tail_bytes = 1 << 20,
                     .producer_id_expiration_ms = 86400000, .open_files_max = 4 },
    };
    f->mem = rl_mem_create(1);
    f->mem_disk = rl_mem_disk(f->mem);
    cr_assert_eq(rl_disk_make_directory(f->mem_disk, FIXTURE_DATA_DIR), RL_OK);
    cr_assert_eq(rl_disk_sync_directory(f->mem_disk, ""), RL_OK);
    cr_assert_eq(fixture_create_directory(f), RL_OK);
    start_broker(f);
}

void fixture_done(struct fixture *f)
{
    if (f->log != NULL)
        fixture_close(f, false);
    stop_broker(f);
    cr_assert_eq(rl_mem_disk_open_count(f->mem_disk), 0);
    rl_mem_free(f->mem);
    model_truncate(&f->model, INT64_MIN);
    rl_free(f->model.batches);
}

void fixture_crash(struct fixture *f, bool power_cut)
{
    f->cut.dead = true;
    if (f->log != NULL)
        fixture_close(f, false);
    stop_broker(f);
    if (power_cut)
        rl_mem_disk_crash(f->mem_disk);
    else
        rl_mem_disk_kill(f->mem_disk);
    start_broker(f);
}

struct opened {
    struct fixture *f;
    bool done;
    rl_status status;
};

static void on_opened(void *arg, rl_status status, struct rl_log *log)
{
    struct opened *opened = arg;

    opened->done = true;
    opened->status = status;
    opened->f->log = log;
}

rl_status fixture_try_open(struct fixture *f, struct rl_log_start start)
{
    struct opened opened = { .f = f };

    f->flushed_offset = f->written_offset = -1;
    start.leader_epoch_known = !f->leader_epoch_unknown;
    start.leader_epoch = 5;
    rl_log_open(f->shard, &f->identity, &f->config, start, &events, f, on_opened, &opened);
    cr_assert_not(opened.done);
    settle(f);
    cr_assert(opened.done);
    return opened.status;
}

rl_status fixture_open(struct fixture *f)
{
    struct rl_log_start start;
    rl_status status = rl_log_directory_start(f->mem_disk, FIXTURE_DATA_DIR, &start);

    if (status == RL_OK)
        status = fixture_try_open(f, start);
    /* What the broker does once all its logs are open: the next start may rely on the mount. */
    if (status == RL_OK && rl_log_manager_is_sound(f->shard))
        (void)rl_log_directory_recovered(f->mem_disk, FIXTURE_DATA_DIR);
    return status;
}

static void on_closed(void *arg) { *(bool *)arg = true; }

void fixture_close(struct fixture *f, bool clean)
{
    bool closed = false;

    rl_log_close(f->log, clean, on_closed, &closed);
    cr_assert_not(closed);
    settle(f);
    cr_assert(closed);
    f->log = NULL;
    if (clean && !f->cut.dead) {
        rl_status status = rl_log_directory_stop(f->mem_disk, FIXTURE_DATA_DIR,
                                                 rl_log_manager_names_doubted(f->shard));
        cr_assert(status == RL_OK || f->cut.dead);
    }
}

/* ---- append ---- */

static void model_add(struct model *model, const struct rl_batch *batch)
{
    if (model->count == model->capacity) {
        model->capacity = RL_MAX(16u, model->capacity * 2);
        model->batches = rl_realloc(model->batches, model->capacity * sizeof *model->batches);
    }
    struct model_batch *to = &model->batches[model->count++];
    *to = (struct model_batch){ batch->base_offset, rl_batch_last_offset(batch) + 1,
                                rl_alloc(batch->size_bytes), batch->size_bytes };
    memcpy(to->bytes, batch->bytes, batch->size_bytes);
}

void model_truncate(struct model *model, int64_t end_offset)
{
    while (model->count > 0 && model->batches[model->count - 1].end_offset > end_offset)
        rl_free(model->batches[--model->count].bytes);
}

rl_status fixture_append_result(struct fixture *f, const struct batch_spec *spec,
                                struct rl_append_result *ret_result)
{
    size_t bytes;
    uint8_t *built = build_batch(spec, &bytes);
    struct rl_buffer *buffer = rl_buffer_create(bytes, 0);
    struct rl_batch batch;

    memcpy(buffer->data, built, bytes);
    rl_free(built);
    cr_assert_eq(rl_batch_read_header(buffer->data, bytes, &batch), RL_OK);
    cr_assert_eq(rl_batch_check(&batch), RL_OK);
    rl_status status = rl_log_append(f->log, &batch, buffer, 5, ret_result);
    if (status == RL_OK) {
        cr_assert_eq(ret_result->base_offset, batch.base_offset);
        cr_assert_eq(rl_log_end_offset(f->log), ret_result->last_offset + 1);
        model_add(&f->model, &batch);
    }
    rl_buffer_unref(buffer);
    return status;
}

rl_status fixture_append(struct fixture *f, const struct batch_spec *spec)
{
    struct rl_append_result result;
    return fixture_append_result(f, spec, &result);
}

void fixture_settle(struct fixture *f)
{
    settle(f);
}

void fixture_flush(struct fixture *f)
{
    rl_log_flush(f->log);
    settle(f);
    cr_assert_eq(rl_log_flushed_offset(f->log), rl_log_end_offset(f->log));
}

/* ---- read ---- */

static void on_read(struct rl_log_read *read) { *(bool *)read->arg = true; }

static void copy_chunk(struct fixture *f, const struct rl_chunk *chunk, uint8_t *to)
{
    size_t got;

    if (!rl_chunk_is_file(chunk)) {
        memcpy(to, chunk->data, chunk->bytes);
        return;
    }
    f->lent++;
    cr_assert_eq(rl_disk_read(f->mem_disk, chunk->file->fd, chunk->file->pos, to, chunk->bytes, &got),
                 RL_OK);
    cr_assert_eq(got, chunk->bytes);
}

rl_status fixture_read(struct fixture *f, int64_t offset, int64_t upper_offset, size_t max_bytes,
                       bool at_least_one, uint8_t **ret_bytes, size_t *ret_size)
{
    bool done = false;
    struct rl_log_read *read = rl_alloc_zero(1, sizeof *read);

    read->offset = offset;
    read->upper_offset = upper_offset;
    read->max_bytes = max_bytes;
    read->at_least_one = at_least_one;
    read->lend_bytes_min = f->lend_bytes_min;
    read->skip_tail = f->skip_tail;
    read->lend_tail = f->lend_tail;
    read->done = on_read;
    read->arg = &done;
    rl_status status = rl_log_read(f->log, read);
    if (status == RL_EBUSY) {
        settle(f);
        cr_assert(done);
        status = read->status;
    } else {
        cr_assert_not(done);
        cr_assert_eq(status, read->status);
    }
    size_t at = 0;
    uint8_t *bytes = rl_alloc(read->bytes + 1);
    for (uint32_t i = 0; i < read->chunk_count; i++) {
        copy_chunk(f, &read->chunks[i], bytes + at);
        at += read->chunks[i].bytes;
        rl_chunk_release(&read->chunks[i]);
    }
    cr_assert_eq(at, read->bytes);
    if (status != RL_OK)
        cr_assert_eq(at, 0);
    rl_free(read);
    *ret_bytes = bytes;
    *ret_size = at;
    return status;
}

static void on_looked_up(struct rl_log_lookup *lookup) { *(bool *)lookup->arg = true; }

rl_status fixture_lookup(struct fixture *f, int64_t timestamp_ms, int64_t upper_offset,
                         struct rl_log_lookup *ret_lookup)
{
    bool done = false;

    *ret_lookup = (struct rl_log_lookup){ .timestamp_ms = timestamp_ms,
                                          .upper_offset = upper_offset, .done = on_looked_up,
                                          .arg = &done };
    rl_log_lookup(f->log, ret_lookup);
    cr_assert_not(done);
    settle(f);
    cr_assert(done);
    return ret_lookup->status;
}

void fixture_check(struct fixture *f)
{
    int64_t offset = rl_log_start_offset(f->log), end = rl_log_end_offset(f->log);
    uint32_t i = 0;

    while (i < f->model.count && f->model.batches[i].end_offset <= offset)
        i++;
    while (offset < end) {
        uint8_t *bytes;
        size_t size, at = 0;
        cr_assert_eq(fixture_read(f, offset, end, 100000, true, &bytes, &size), RL_OK);
        cr_assert_gt(size, 0);
        for (; at < size; i++) {
            cr_assert_lt(i, f->model.count);
            const struct model_batch *batch = &f->model.batches[i];
            cr_assert_leq(at + batch->size_bytes, size);
            cr_assert_eq(memcmp(bytes + at, batch->bytes, batch->size_bytes), 0);
            at += batch->size_bytes;
            offset = batch->end_offset;
        }
        rl_free(bytes);
    }
    cr_assert_eq(offset, end);
    cr_assert(i == f->model.count, "the log ends at %lld, the model holds more", (long long)end);
}

/* ---- files ---- */

bool fixture_file_exists(struct fixture *f, const char *path)
{
    int fd;

    if (rl_disk_open(f->mem_disk, path, 0, &fd) != RL_OK)
        return false;
    rl_disk_close(f->mem_disk, fd);
    return true;
}

uint8_t *fixture_file_load(struct fixture *f, const char *path, size_t *ret_bytes)
{
    int fd;
    uint64_t size;

    cr_assert_eq(rl_disk_open(f->mem_disk, path, 0, &fd), RL_OK);
    cr_assert_eq(rl_disk_size(f->mem_disk, fd, &size), RL_OK);
    uint8_t *bytes = rl_alloc(size + 1);
    cr_assert_eq(rl_disk_read(f->mem_disk, fd, 0, bytes, size, ret_bytes), RL_OK);
    rl_disk_close(f->mem_disk, fd);
    return bytes;
}

void fixture_file_store(struct fixture *f, const char *path, const void *bytes, size_t size)
{
    int fd;
    size_t wrote;
    struct iovec iov = { (void *)(uintptr_t)bytes, size };

    cr_assert_eq(rl_disk_open(f->mem_disk, path,
                              RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &fd), RL_OK);
    if (size > 0)
        cr_assert_eq(rl_disk_write(f->mem_disk, fd, 0, &iov, 1, &wrote), RL_OK);
    rl_disk_close(f->mem_disk, fd);
}

void fixture_file_flip(struct fixture *f, const char *path, size_t at, uint8_t mask)
{
    size_t size;
    uint8_t *bytes = fixture_file_load(f, path, &size);

    cr_assert_lt(at, size);
    bytes[at] ^= mask;
    fixture_file_store(f, path, bytes, size);
    rl_free(bytes);
}

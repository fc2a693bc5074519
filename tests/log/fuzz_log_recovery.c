/* tests/log/fuzz_log_recovery.c — libFuzzer: a partition's directory with any bytes in its files.
 *
 * The input: how many sound batches two segments begin with, then edits: file, position, length,
 * bytes that replace (or, behind the end, extend) what is there.
 * Oracle: recovery starts or refuses; started, offsets are consistent, and doing it again gives
 * the same end; refused, the .log files are as they were. */
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/log_bytes.h"
#include "log/recovery.h"
#include "log_fixture.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define DIRECTORY "p"
enum { LOG_0, LOG_4, INDEX_0, TIME_0, CHECKPOINT, SNAPSHOT_4, EPOCHS, MARK, FILES };
static const char *const paths[FILES] = {
    DIRECTORY "/00000000000000000000.log", DIRECTORY "/00000000000000000004.log",
    DIRECTORY "/00000000000000000000.index", DIRECTORY "/00000000000000000000.timeindex",
    DIRECTORY "/ringlog.checkpoint", DIRECTORY "/00000000000000000004.snapshot",
    DIRECTORY "/leader-epoch-checkpoint", DIRECTORY "/sync-failed",
};

static struct rl_text files[FILES];
static bool present[FILES];

static void drop_line(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg;
    (void)level;
    (void)line;
    (void)bytes;
}

static void add_batch(struct rl_text *file, int64_t offset, int i)
{
    size_t size;
    struct rl_batch batch;
    uint8_t *bytes = build_batch(&(struct batch_spec){ .value_bytes = 20, .producer_id = 1 + i % 2,
                                                       .base_sequence = i / 2,
                                                       .base_timestamp_ms = 100 + i }, &size);

    if (rl_batch_read_header(bytes, size, &batch) != RL_OK)
        abort();
    rl_batch_set_offset(&batch, offset, 1 + i / 3);
    rl_text_append(file, bytes, size);
    rl_free(bytes);
}

static void edit(struct rl_text *file, size_t at, const uint8_t *bytes, size_t count)
{
    at = RL_MIN(at, file->bytes);
    for (size_t i = 0; i < count; i++) {
        if (at + i < file->bytes)
            file->data[at + i] = (char)bytes[i];
        else
            rl_text_append_char(file, (char)bytes[i]);
    }
}

static void store(struct rl_disk *disk)
{
    for (int i = 0; i < FILES; i++) {
        if (present[i] &&
            rl_side_file_extend(disk, paths[i], 0, rl_text_slice(&files[i]), false) != RL_OK)
            abort();
    }
}

static struct rl_recovery recovery_of(struct rl_disk *disk, bool same_mount)
{
    return (struct rl_recovery){ .disk = disk, .directory = DIRECTORY, .same_mount = same_mount,
                                 .cut_offset = INT64_MAX, .index_interval_bytes = 100,
                                 .wall_ms = 1000000, .producer_id_expiration_ms = INT64_MAX,
                                 .seed = 1 };
}

static void check(struct rl_disk *disk, bool same_mount)
{
    struct rl_recovery first = recovery_of(disk, same_mount), second = first;
    rl_status status = rl_recovery_run(&first);

    if (status != RL_OK) {
        for (int i = LOG_0; i <= LOG_4; i++) {
            struct rl_text now = { 0 };
            if (present[i] && (rl_side_file_load(disk, paths[i], 1 << 30, &now) != RL_OK ||
                               !rl_slice_equal(rl_text_slice(&now), rl_text_slice(&files[i]))))
                abort();
            rl_text_done(&now);
        }
        return;
    }
    if (first.segment_count == 0 || first.start_offset > first.end_offset ||
        first.flushed_offset > first.end_offset)
        abort();
    int64_t end_offset = first.end_offset;
    rl_recovery_done(&first);
    if (rl_recovery_run(&second) != RL_OK || second.end_offset != end_offset)
        abort();
    rl_recovery_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct rl_mem *mem = rl_mem_create(1);
    struct rl_disk *disk = rl_mem_disk(mem);
    const uint8_t *end = data + bytes;

    rl_logger_set_sink(drop_line, NULL);
    for (int i = 0; i < FILES; i++) {
        rl_text_clear(&files[i]);
        present[i] = false;
    }
    uint8_t shape = bytes > 0 ? *data++ : 0;
    present[LOG_0] = true;
    present[LOG_4] = (shape & 8) != 0;
    for (int i = 0; i < (shape & 7) && i < 4; i++)
        add_batch(&files[LOG_0], i, i);
    for (int i = 0; i < (shape >> 4); i++)
        add_batch(&files[LOG_4], 4 + i, i);
    while (end - data >= 4) {
        int file = data[0] % FILES;
        size_t at = rl_get_u16(data + 1), count = RL_MIN((size_t)data[3], (size_t)(end - data - 4));
        edit(&files[file], at, data + 4, count);
        present[file] = true;
        data += 4 + count;
    }
    if (rl_disk_make_directory(disk, DIRECTORY) != RL_OK ||
        rl_partition_metadata_write(disk, DIRECTORY, (struct rl_uuid){ { 0 } }) != RL_OK)
        abort();
    store(disk);
    check(disk, bytes % 2 == 0);
    rl_mem_free(mem);
    return 0;
}

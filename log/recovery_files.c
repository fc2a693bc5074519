/* log/recovery_files.c — names in a partition's directory, and its metadata file.
 *
 * Failures: a name that is not ours is left alone. */
#include "log/recovery_files.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/file_name.h"
#include "log/recovery.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    struct rl_partition_files *files;
    bool keep_temporary;
    struct rl_text leftovers;           /* names, each with its NUL */
};

static void push(struct rl_offsets *offsets, int64_t value)
{
    if (offsets->count == offsets->capacity) {
        offsets->capacity = RL_MAX(8u, offsets->capacity * 2);
        offsets->values = rl_realloc(offsets->values, offsets->capacity * sizeof(int64_t));
    }
    offsets->values[offsets->count++] = value;
}

static void on_entry(void *arg, const char *name, bool directory)
{
    struct listing *listing = arg;
    int64_t offset;

    if (directory)
        return;
    switch (rl_log_file_kind(name, &offset)) {
    case RL_FILE_TEMPORARY:
        if (!listing->keep_temporary)
            rl_text_append(&listing->leftovers, name, strlen(name) + 1);
        break;
    case RL_FILE_DELETED:
        rl_text_append(&listing->leftovers, name, strlen(name) + 1);
        break;
    case RL_FILE_LOG:
        push(&listing->files->segments, offset);
        break;
    case RL_FILE_SNAPSHOT:
        push(&listing->files->snapshots, offset);
        break;
    case RL_FILE_SYNC_FAILED:
        listing->files->sync_failed = true;
        break;
    default:                            /* rebuilt or read by name, or not ours */
        break;
    }
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void sort(struct rl_offsets *offsets)
{
    if (offsets->count > 1)
        qsort(offsets->values, offsets->count, sizeof(int64_t), compare_offsets);
}

rl_status rl_partition_files_list(struct rl_disk *disk, const char *directory, bool keep_temporary,
                                  struct rl_partition_files *ret_files)
{
    struct rl_partition_files files = { 0 };
    struct listing listing = { .files = &files, .keep_temporary = keep_temporary };
    char path[RL_PATH_BYTES];

    rl_status status = rl_disk_list(disk, directory, on_entry, &listing);
    if (status != RL_OK) {
        rl_text_done(&listing.leftovers);
        rl_partition_files_done(&files);
        return status;
    }
    const char *name = rl_text_string(&listing.leftovers);
    for (size_t at = 0; at < listing.leftovers.bytes; at += strlen(name + at) + 1) {
        snprintf(path, sizeof path, "%s/%s", directory, name + at);
        (void)rl_disk_unlink(disk, path);
    }
    rl_text_done(&listing.leftovers);
    sort(&files.segments);
    sort(&files.snapshots);
    *ret_files = files;
    return RL_OK;
}

void rl_partition_files_done(struct rl_partition_files *files)
{
    rl_free(files->segments.values);
    rl_free(files->snapshots.values);
    *files = (struct rl_partition_files){ 0 };
}

void rl_segment_unlink(struct rl_disk *disk, const char *directory, int64_t base_offset)
{
    static const char *const suffixes[] = { ".log", ".index", ".timeindex" };
    char path[RL_PATH_BYTES];

    for (uint32_t i = 0; i < RL_ARRAY_COUNT(suffixes); i++) {
        rl_segment_path(directory, base_offset, suffixes[i], path);
        (void)rl_disk_unlink(disk, path);
    }
}

/* ---- the mark of a failed sync ---- */

void rl_sync_failed_path(const char *directory, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%s/sync-failed", directory);
}

rl_status rl_recovery_mark_sync_failed(struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES];
    int fd;

    rl_sync_failed_path(directory, path);
    rl_status status = rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE, &fd);
    if (status != RL_OK)
        return status;
    rl_disk_close(disk, fd);
    return rl_disk_sync_directory(disk, directory);
}

/* ---- partition.metadata ---- */

enum { METADATA_BYTES_MAX = 4096 };

void rl_partition_metadata_path(const char *directory, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%s/partition.metadata", directory);
}

rl_status rl_partition_metadata_load(struct rl_disk *disk, const char *directory,
                                     struct rl_uuid *ret_topic_id)
{
    static const char key[] = "topic_id: ";
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    rl_partition_metadata_path(directory, path);
    rl_status status = rl_side_file_load(disk, path, METADATA_BYTES_MAX, &file);
    if (status == RL_OK) {
        const char *text = rl_text_string(&file);
        const char *line = strstr(text, key);
        status = RL_ECORRUPT;
        if (line != NULL && strncmp(text, "version: 0\n", 11) == 0) {
            line += sizeof key - 1;
            size_t bytes = strcspn(line, "\n");
            if (rl_uuid_parse(rl_slice_of(line, bytes), ret_topic_id) == RL_OK)
                status = RL_OK;
        }
    } else if (status == RL_ETOOLARGE) {
        status = RL_ECORRUPT;
    }
    rl_text_done(&file);
    return status;
}

rl_status rl_partition_metadata_write(struct rl_disk *disk, const char *directory,
                                      struct rl_uuid topic_id)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES], text[RL_UUID_TEXT_BYTES];

    rl_uuid_format(topic_id, text);
    rl_text_printf(&file, "version: 0\ntopic_id: %s\n", text);
    rl_partition_metadata_path(directory, path);
    rl_status status = rl_side_file_extend(disk, path, 0, rl_text_slice(&file), false);
    rl_text_done(&file);
    return status;
}

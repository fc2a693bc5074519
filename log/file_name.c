/* log/file_name.c — the files of a partition's directory, by name.
 *
 * Failures: a name that is not ours is RL_FILE_OTHER, and told as such. */
#include "log/file_name.h"
#include "core/memory.h"
#include <stdlib.h>
#include <string.h>

#define NAME_DIGITS 20

/* "00000000000000000042.log" gives 42 and ".log"; NULL: no such name. */
static const char *split_offset(const char *name, int64_t *ret_offset)
{
    uint64_t value = 0;

    for (int i = 0; i < NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (uint64_t)INT64_MAX / 10)
            return NULL;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX || name[NAME_DIGITS] != '.')
        return NULL;
    *ret_offset = (int64_t)value;
    return name + NAME_DIGITS;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t name_bytes = strlen(name), suffix_bytes = strlen(suffix);

    return name_bytes >= suffix_bytes && strcmp(name + name_bytes - suffix_bytes, suffix) == 0;
}

enum rl_log_file_kind rl_log_file_kind(const char *name, int64_t *ret_offset)
{
    static const struct { const char *name; enum rl_log_file_kind kind; } suffixes[] = {
        { ".log", RL_FILE_LOG }, { ".index", RL_FILE_INDEX }, { ".timeindex", RL_FILE_TIME_INDEX },
        { ".snapshot", RL_FILE_SNAPSHOT },
    }, names[] = {
        { "ringlog.checkpoint", RL_FILE_CHECKPOINT }, { "partition.metadata", RL_FILE_PARTITION },
        { "leader-epoch-checkpoint", RL_FILE_EPOCHS }, { "sync-failed", RL_FILE_SYNC_FAILED },
    };

    *ret_offset = -1;
    const char *suffix = split_offset(name, ret_offset);
    for (size_t i = 0; suffix != NULL && i < RL_ARRAY_COUNT(suffixes); i++) {
        if (strcmp(suffix, suffixes[i].name) == 0)
            return suffixes[i].kind;
    }
    for (size_t i = 0; i < RL_ARRAY_COUNT(names); i++) {
        if (strcmp(name, names[i].name) == 0)
            return names[i].kind;
    }
    if (ends_with(name, ".tmp"))
        return RL_FILE_TEMPORARY;
    return ends_with(name, ".deleted") ? RL_FILE_DELETED : RL_FILE_OTHER;
}

static void on_entry(void *arg, const char *name, bool directory)
{
    struct rl_log_files *files = arg;

    if (directory) {
        files->directories = rl_realloc(files->directories,
                                        (files->directory_count + 1) * sizeof *files->directories);
        files->directories[files->directory_count++] = rl_strdup(name);
        return;
    }
    struct rl_log_file file = { .name = rl_strdup(name) };
    file.kind = rl_log_file_kind(name, &file.offset);
    files->files = rl_realloc(files->files, (files->count + 1) * sizeof file);
    files->files[files->count++] = file;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct rl_log_file *)a)->name, ((const struct rl_log_file *)b)->name);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rl_status rl_log_files_list(struct rl_disk *disk, const char *directory, struct rl_log_files *ret_files)
{
    *ret_files = (struct rl_log_files){ 0 };
    rl_status status = rl_disk_list(disk, directory, on_entry, ret_files);
    if (status != RL_OK) {
        rl_log_files_done(ret_files);
        return status;
    }
    if (ret_files->count > 1)
        qsort(ret_files->files, ret_files->count, sizeof *ret_files->files, compare_files);
    if (ret_files->directory_count > 1)
        qsort(ret_files->directories, ret_files->directory_count, sizeof *ret_files->directories, compare_names);
    return RL_OK;
}

void rl_log_files_done(struct rl_log_files *files)
{
    for (uint32_t i = 0; i < files->count; i++)
        rl_free(files->files[i].name);
    for (uint32_t i = 0; i < files->directory_count; i++)
        rl_free(files->directories[i]);
    rl_free(files->files);
    rl_free(files->directories);
    *files = (struct rl_log_files){ 0 };
}

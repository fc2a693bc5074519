/* log/log_create.c — directories of new partitions, many at once.
 *
 * Happy path: names first (directory, empty segment), then contents (partition.metadata and a
 * checkpoint that says "empty"), then stable storage: one sync of the whole file system where there
 * are many and the disk has such a call, else one sync per file.  With the checkpoint there, opening
 * the log writes nothing, and closing it neither.
 *
 * Failures: a status per partition; a sync that failed is everybody's.  Whatever a crash left is made
 * again by the next call: contents are written anew, since a sync that failed leaves pages that look
 * clean.  Only where batches are, or have been, is everything left alone. */
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/file_name.h"
#include "log/log_bytes.h"
#include "log/log_internal.h"
#include "log/recovery.h"
#include <stdio.h>

/* From so many on the whole file system is synced: fewer are not worth everybody's dirty pages. */
#define SYNC_ALL_FROM 8u

struct inside {
    bool metadata;
    bool used;                          /* segments other than the first: there was something once */
};

static void on_entry(void *arg, const char *name, bool directory)
{
    struct inside *inside = arg;
    int64_t offset;

    if (!directory && rl_log_file_kind(name, &offset) == RL_FILE_LOG && offset > 0)
        inside->used = true;
}

static rl_status first_segment_bytes(struct rl_disk *disk, const char *directory, uint64_t *ret_bytes)
{
    char path[RL_PATH_BYTES];
    int fd;

    *ret_bytes = 0;
    rl_segment_path(directory, 0, ".log", path);
    rl_status status = rl_disk_open(disk, path, 0, &fd);
    if (status != RL_OK)
        return status == RL_ENOTFOUND ? RL_OK : status;
    status = rl_disk_size(disk, fd, ret_bytes);
    rl_disk_close(disk, fd);
    return status;
}

/* The directory is there.  RL_OK: its creation was interrupted, or never synced, and is done again;
 * RL_EEXIST: it has, or had, batches of this topic; RL_ECORRUPT: it is not this topic's, or nobody
 * knows whose. */
static rl_status look_inside(struct rl_disk *disk, const char *directory, struct rl_uuid topic_id)
{
    struct inside inside = { 0 };
    struct rl_uuid found;
    uint64_t bytes;

    rl_status status = rl_disk_list(disk, directory, on_entry, &inside);
    if (status == RL_OK)
        status = first_segment_bytes(disk, directory, &bytes);
    if (status != RL_OK)
        return status;
    inside.used |= bytes > 0;
    status = rl_partition_metadata_load(disk, directory, &found);
    if (status == RL_OK && !rl_uuid_equal(found, topic_id))
        return RL_ECORRUPT;
    if (status == RL_OK)
        return inside.used ? RL_EEXIST : RL_OK;
    if (status != RL_ENOTFOUND && status != RL_ECORRUPT)
        return status;
    /* A power cut leaves of an unsynced file what it likes.  Batches without it: somebody took it. */
    return inside.used ? RL_ECORRUPT : RL_OK;
}

static rl_status make_names(struct rl_disk *disk, const char *directory, struct rl_uuid topic_id)
{
    char path[RL_PATH_BYTES];
    int fd;

    rl_status status = rl_disk_make_directory(disk, directory);
    if (status == RL_EEXIST)
        status = look_inside(disk, directory, topic_id);
    if (status != RL_OK)
        return status;
    rl_segment_path(directory, 0, ".log", path);
    status = rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE, &fd);
    if (status == RL_OK)
        rl_disk_close(disk, fd);
    return status;
}

static void checkpoint_path(const char *directory, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%.*s/%s", RL_PATH_BYTES - 32, directory, RL_CHECKPOINT_FILE);
}

/* Not by renaming a synced file: until the sync at the end nobody relies on them. */
static rl_status make_contents(struct rl_disk *disk, const char *directory, struct rl_uuid topic_id)
{
    struct rl_segment first = { .max_timestamp_ms = INT64_MIN, .first_append_ms = INT64_MIN };
    struct rl_checkpoint checkpoint = { .segments = &first, .segment_count = 1 };
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    rl_status status = rl_partition_metadata_write(disk, directory, topic_id);
    if (status != RL_OK)
        return status;
    checkpoint_path(directory, path);
    rl_checkpoint_encode(&checkpoint, &file);
    status = rl_side_file_extend(disk, path, 0, rl_text_slice(&file), false);
    rl_text_done(&file);
    return status;
}

static rl_status sync_file(struct rl_disk *disk, const char *path)
{
    int fd;

    rl_status status = rl_disk_open(disk, path, RL_OPEN_WRITE, &fd);
    if (status != RL_OK)
        return status == RL_ENOTFOUND ? RL_OK : status;         /* a used one may have no checkpoint */
    status = rl_disk_sync(disk, fd);
    rl_disk_close(disk, fd);
    return status;
}

static rl_status sync_one(struct rl_disk *disk, const char *directory)
{
    char path[RL_PATH_BYTES];

    rl_partition_metadata_path(directory, path);
    rl_status status = sync_file(disk, path);
    if (status == RL_OK) {
        checkpoint_path(directory, path);
        status = sync_file(disk, path);
    }
    return status == RL_OK ? rl_disk_sync_directory(disk, directory) : status;
}

/* An open file of theirs: a sync of the whole file system tells of every failure since it was opened. */
static rl_status open_witness(struct rl_disk *disk, const char *data_dir, struct rl_log_creation *creations,
                              uint32_t count, int *ret_fd)
{
    char directory[RL_PATH_BYTES], path[RL_PATH_BYTES];
    rl_status status = RL_ENOTFOUND;

    for (uint32_t i = 0; i < count && status != RL_OK; i++) {
        if (creations[i].status != RL_OK)
            continue;
        rl_partition_path(data_dir, creations[i].identity.topic, creations[i].identity.partition, directory);
        rl_segment_path(directory, 0, ".log", path);
        status = rl_disk_open(disk, path, RL_OPEN_WRITE, ret_fd);
    }
    return status;
}

static rl_status sync_each(struct rl_disk *disk, const char *data_dir, struct rl_log_creation *creations,
                           uint32_t count)
{
    char directory[RL_PATH_BYTES];

    for (uint32_t i = 0; i < count; i++) {
        struct rl_log_creation *creation = &creations[i];
        if (creation->status != RL_OK && creation->status != RL_EEXIST)
            continue;
        rl_partition_path(data_dir, creation->identity.topic, creation->identity.partition, directory);
        rl_status status = sync_one(disk, directory);
        if (status != RL_OK)
            creation->status = status;
    }
    return rl_disk_sync_directory(disk, data_dir);
}

rl_status rl_log_create_directories(struct rl_disk *disk, const char *data_dir,
                                    struct rl_log_creation *creations, uint32_t count)
{
    char directory[RL_PATH_BYTES];
    rl_status status = RL_EUNSUPPORTED;
    int witness = -1;

    for (uint32_t i = 0; i < count; i++) {
        const struct rl_log_identity *identity = &creations[i].identity;
        rl_partition_path(data_dir, identity->topic, identity->partition, directory);
        creations[i].status = make_names(disk, directory, identity->topic_id);
    }
    bool all = count >= SYNC_ALL_FROM && open_witness(disk, data_dir, creations, count, &witness) == RL_OK;
    for (uint32_t i = 0; i < count; i++) {
        const struct rl_log_identity *identity = &creations[i].identity;
        if (creations[i].status != RL_OK)
            continue;
        rl_partition_path(data_dir, identity->topic, identity->partition, directory);
        creations[i].status = make_contents(disk, directory, identity->topic_id);
    }
    if (all) {
        status = rl_disk_sync_all(disk, witness);
        rl_disk_close(disk, witness);
    }
    return status == RL_EUNSUPPORTED ? sync_each(disk, data_dir, creations, count) : status;
}

/* log/log_directory.c — directories of partitions, and how the last run of the broker ended.
 *
 * DIR/ringlog.state says whether somebody runs on DIR.  All numbers big-endian:
 *   at bytes
 *    0   4   magic "rlst"
 *    4   4   version (1)
 *    8   4   CRC-32C of 12..end
 *   12   4   1: running, 2: stopped cleanly
 *   16       text: identity of the mount on which it ran (io/disk.h); empty until every log was
 *            opened on it, and until the file without it is durable
 * It is replaced by renaming a synced file.  Only a valid file that says "stopped" is a clean
 * end: missing, damaged or running all mean that logs are checked.
 * Failures: a status; every step can be repeated. */
#include "core/crc32c.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/checkpoint.h"
#include "log/log_bytes.h"
#include "log/log_internal.h"
#include "log/recovery.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAGIC = 0x726c7374, VERSION = 1, HEADER_BYTES = 16, RUNNING = 1, STOPPED = 2,
       STATE_BYTES_MAX = 4096, IDENTITY_BYTES = 512 };

#define STATE_NAME "ringlog.state"

/* ---- the end of a partition's directory ---- */

struct names {
    struct rl_text files;               /* names, each with its NUL */
    struct rl_text directories;
};

static void collect(void *arg, const char *name, bool directory)
{
    struct names *names = arg;

    rl_text_append(directory ? &names->directories : &names->files, name, strlen(name) + 1);
}

/* Remove a directory and the files in it. */
static rl_status remove_directory(struct rl_disk *disk, const char *directory)
{
    struct names names = { 0 };
    struct rl_text path = { 0 };

    rl_status status = rl_disk_list(disk, directory, collect, &names);
    const char *name = rl_text_string(&names.files);
    for (size_t at = 0; status == RL_OK && at < names.files.bytes; at += strlen(name + at) + 1) {
        rl_text_clear(&path);
        rl_text_printf(&path, "%s/%s", directory, name + at);
        status = rl_disk_unlink(disk, rl_text_string(&path));
    }
    if (status == RL_OK)
        status = rl_disk_remove_directory(disk, directory);
    rl_text_done(&path);
    rl_text_done(&names.files);
    rl_text_done(&names.directories);
    return status;
}

rl_status rl_log_delete_directory(struct rl_disk *disk, const char *data_dir,
                                  const struct rl_log_identity *identity)
{
    char directory[RL_PATH_BYTES], deleted[RL_PATH_BYTES], id[RL_UUID_TEXT_BYTES];

    rl_partition_path(data_dir, identity->topic, identity->partition, directory);
    rl_uuid_format(identity->topic_id, id);
    /* Without the topic's name: with it, the longest ones would be too long for a file system. */
    snprintf(deleted, sizeof deleted, "%.*s/%s-%d.deleted", (int)(sizeof deleted - 64), data_dir, id,
             identity->partition);
    rl_status status = rl_disk_rename(disk, directory, deleted);
    if (status == RL_OK)
        status = rl_disk_sync_directory(disk, data_dir);
    return status == RL_OK ? remove_directory(disk, deleted) : status;
}

/* ---- the data directory ---- */

static void state_path(const char *data_dir, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%s/" STATE_NAME, data_dir);
}

/* What the file says; RL_ECORRUPT, RL_ENOTFOUND when it says nothing. */
static rl_status load_state(struct rl_disk *disk, const char *data_dir, uint32_t *ret_state,
                            char *identity)
{
    struct rl_text file = { 0 };
    char path[RL_PATH_BYTES];

    state_path(data_dir, path);
    rl_status status = rl_side_file_load(disk, path, STATE_BYTES_MAX, &file);
    const uint8_t *p = (const uint8_t *)rl_text_string(&file);
    if (status == RL_OK &&
        (file.bytes < HEADER_BYTES || file.bytes - HEADER_BYTES >= IDENTITY_BYTES ||
         rl_get_u32(p) != MAGIC || rl_get_u32(p + 4) != VERSION ||
         rl_get_u32(p + 8) != rl_crc32c(0, p + 12, file.bytes - 12)))
        status = RL_ECORRUPT;
    if (status == RL_OK) {
        *ret_state = rl_get_u32(p + 12);
        memcpy(identity, p + HEADER_BYTES, file.bytes - HEADER_BYTES);
        identity[file.bytes - HEADER_BYTES] = '\0';
    }
    rl_text_done(&file);
    return status;
}

static rl_status store_state(struct rl_disk *disk, const char *data_dir, uint32_t state,
                             const char *identity)
{
    uint8_t file[HEADER_BYTES + IDENTITY_BYTES];
    size_t bytes = HEADER_BYTES + strlen(identity);
    char path[RL_PATH_BYTES];

    rl_put_u32(file, MAGIC);
    rl_put_u32(file + 4, VERSION);
    rl_put_u32(file + 12, state);
    memcpy(file + HEADER_BYTES, identity, bytes - HEADER_BYTES);
    rl_put_u32(file + 8, rl_crc32c(0, file + 12, bytes - 12));
    state_path(data_dir, path);
    rl_status status = rl_side_file_store(disk, path, rl_slice_of(file, bytes), true);
    return status == RL_OK ? rl_disk_sync_directory(disk, data_dir) : status;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t bytes = strlen(name), suffix_bytes = strlen(suffix);

    return bytes > suffix_bytes && strcmp(name + bytes - suffix_bytes, suffix) == 0;
}

/* A partition's directory whose deletion was interrupted, or a state file that did not get its name
 * (replace.h).  What cannot be removed is in nobody's way but the disk's. */
static void remove_leftover(struct rl_disk *disk, const char *data_dir, const char *name, bool directory)
{
    struct rl_text path = { 0 };
    rl_status status = RL_OK;

    rl_text_printf(&path, "%s/%s", data_dir, name);
    if (directory && ends_with(name, ".deleted"))
        status = remove_directory(disk, rl_text_string(&path));
    if (!directory && strncmp(name, STATE_NAME ".", sizeof STATE_NAME) == 0 && ends_with(name, ".tmp"))
        status = rl_disk_unlink(disk, rl_text_string(&path));
    if (status != RL_OK)
        RL_WARN("log", "%s, left by a process that was killed, cannot be removed: %s", rl_text_string(&path),
                rl_status_text(status));
    rl_text_done(&path);
}

static void remove_those(struct rl_disk *disk, const char *data_dir, const struct rl_text *names, bool directories)
{
    const char *name = rl_text_string(names);

    for (size_t at = 0; at < names->bytes; at += strlen(name + at) + 1)
        remove_leftover(disk, data_dir, name + at, directories);
}

static rl_status remove_leftovers(struct rl_disk *disk, const char *data_dir)
{
    struct names names = { 0 };
    rl_status status = rl_disk_list(disk, data_dir, collect, &names);

    if (status == RL_OK) {
        remove_those(disk, data_dir, &names.directories, true);
        remove_those(disk, data_dir, &names.files, false);
    }
    rl_text_done(&names.files);
    rl_text_done(&names.directories);
    return status;
}

/* Empty where the kernel cannot tell (before Linux 6.8): then nothing is proved, nothing else. */
static rl_status mount_identity(struct rl_disk *disk, const char *data_dir, char *identity)
{
    rl_status status = rl_disk_identity(disk, data_dir, identity, IDENTITY_BYTES);

    if (status != RL_EUNSUPPORTED)
        return status;
    identity[0] = '\0';
    return RL_OK;
}

rl_status rl_log_directory_start(struct rl_disk *disk, const char *data_dir,
                                 struct rl_log_start *ret_start)
{
    char before[IDENTITY_BYTES], now[IDENTITY_BYTES];
    struct rl_log_start start = { false, false };
    uint32_t state;

    rl_status status = remove_leftovers(disk, data_dir);
    if (status == RL_OK)
        status = mount_identity(disk, data_dir, now);
    if (status != RL_OK)
        return status;
    status = load_state(disk, data_dir, &state, before);
    if (status == RL_OK) {
        start.clean = state == STOPPED;
        start.same_mount = state == RUNNING && now[0] != '\0' && strcmp(before, now) == 0;
    } else if (status == RL_ECORRUPT || status == RL_ETOOLARGE) {
        RL_WARN("log", "%s/ringlog.state is damaged: logs are checked", data_dir);
    } else if (status != RL_ENOTFOUND) {
        return status;
    }
    /* Logs that were not recovered since a power cut prove nothing to whoever starts after us; nor does
     * this file, as long as its name may not be on the device: after a kill it would be believed, and a
     * power cut would bring the clean stop back.  After a kill the file says already what it should; a
     * sync could take long, because the device is still writing what the killed process left. */
    status = start.same_mount ? RL_OK : store_state(disk, data_dir, RUNNING, "");
    if (status == RL_OK)
        *ret_start = start;
    return status;
}

rl_status rl_log_directory_recovered(struct rl_disk *disk, const char *data_dir)
{
    char now[IDENTITY_BYTES];
    rl_status status = mount_identity(disk, data_dir, now);

    return status == RL_OK ? store_state(disk, data_dir, RUNNING, now) : status;
}

rl_status rl_log_directory_doubt(struct rl_disk *disk, const char *data_dir)
{
    return store_state(disk, data_dir, RUNNING, "");
}

/* All names in it, at once.  RL_EUNSUPPORTED: this file system or kernel cannot. */
static rl_status sync_names(struct rl_disk *disk, const char *data_dir)
{
    char path[RL_PATH_BYTES];
    int fd;

    /* A killed process may have left much: who waits for this stop should know what for. */
    RL_INFO("log", "%s: the names of files that a killed process left are synced; this takes as long as the "
            "file system has to write", data_dir);
    state_path(data_dir, path);
    rl_status status = rl_disk_open(disk, path, 0, &fd);
    if (status != RL_OK)
        return status;
    status = rl_disk_sync_all(disk, fd);
    rl_disk_close(disk, fd);
    /* The kernel tells of it once: a later sync that succeeds proves nothing of these names. */
    if (status != RL_OK && status != RL_EUNSUPPORTED && rl_log_directory_doubt(disk, data_dir) != RL_OK)
        (void)rl_disk_unlink(disk, path);       /* without it a start looks at everything, too */
    return status;
}

rl_status rl_log_directory_stop(struct rl_disk *disk, const char *data_dir, bool names_doubted)
{
    char now[IDENTITY_BYTES];
    rl_status status = names_doubted ? sync_names(disk, data_dir) : RL_OK;

    if (status == RL_EUNSUPPORTED) {
        RL_INFO("log", "%s: this file system or kernel cannot sync them at once; the next start looks at the "
                "logs, as after a kill", data_dir);
        return RL_OK;
    }
    if (status == RL_OK)
        status = mount_identity(disk, data_dir, now);
    return status == RL_OK ? store_state(disk, data_dir, STOPPED, now) : status;
}

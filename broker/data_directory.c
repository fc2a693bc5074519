/* broker/data_directory.c — DIR/meta.properties and DIR/.lock.
 *
 * meta.properties is Java properties, so that people and Kafka's own tools can read it:
 *     version=1            Kafka's version of this file
 *     ringlog.format=1     ours; a directory without it belongs to Apache Kafka
 *     cluster.id=<22 characters of base64url>
 *     node.id=1
 * It is written once: temporary file, sync, rename, directory sync.  A crash before the rename
 * leaves a directory that still counts as empty.
 *
 * Nothing is written before the directory is known to be empty or ours: not even the lock file
 * goes into somebody else's directory.  Failures end in one message with path and remedy. */
#include "broker/data_directory.h"

#include "broker/config_properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META_NAME "meta.properties"
#define META_NEW_NAME "meta.properties.tmp"
#define LOCK_NAME ".lock"
#define META_BYTES_MAX ((size_t)64 * 1024)
#define KAFKA_META_VERSION 1

struct directory_open {
    struct rl_disk *disk;
    const struct rl_data_directory_options *options;
    char *message;
};

/* What a walk over the directory found. */
struct directory_content {
    bool meta;
    bool foreign;
    char foreign_name[256];             /* one of them */
};

struct directory_meta {
    bool has_version, has_format, has_cluster_id, has_node_id;
    long long version, format, node_id;
    char cluster_id[RL_UUID_TEXT_BYTES];
};

/* ---- messages ---- */

static rl_status directory_fail(const struct directory_open *o, rl_status status,
                                const char *format, ...) RL_PRINTF(3, 4);

static rl_status directory_fail(const struct directory_open *o, rl_status status,
                                const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->message, RL_DATA_DIRECTORY_MESSAGE_BYTES, format, args);
    va_end(args);
    return status;
}

/* The longest prefix of path that exists, as far as the owner function knows. */
static bool directory_owner(const struct directory_open *o, const char *path, char *ret_path,
                            uint32_t *ret_user_id)
{
    if (o->options->owner == NULL)
        return false;
    snprintf(ret_path, RL_PATH_BYTES, "%s", path);
    while (!o->options->owner(ret_path, ret_user_id)) {
        char *slash = strrchr(ret_path, '/');
        if (slash == NULL || ret_path[1] == '\0')
            return false;
        slash[slash == ret_path] = '\0';        /* "/a" → "/" */
    }
    return true;
}

/* The disk said no.  verb: "read", "create", ... */
static rl_status directory_fail_disk(const struct directory_open *o, rl_status status,
                                     const char *verb, const char *path)
{
    char owned[RL_PATH_BYTES];
    uint32_t user_id;
    bool owner_known = status == RL_EACCESS && directory_owner(o, path, owned, &user_id);
    if (owner_known && user_id == o->options->user_id)
        return directory_fail(o, status, "cannot %s %s: permission denied, although %s belongs to "
                              "uid %u, who runs ringlog. Remedy: check its mode (chmod u+rwx %s) "
                              "and how it is mounted", verb, path, owned, user_id, owned);
    if (owner_known)
        return directory_fail(o, status, "cannot %s %s: permission denied; %s belongs to uid %u "
                              "and ringlog runs as uid %u. Remedy: chown -R %u %s (Kubernetes: "
                              "securityContext.fsGroup)", verb, path, owned, user_id,
                              o->options->user_id, o->options->user_id, owned);
    if (status == RL_EACCESS)
        return directory_fail(o, status, "cannot %s %s: permission denied; ringlog runs as uid %u. "
                              "Remedy: chown -R %u %s (Kubernetes: securityContext.fsGroup)",
                              verb, path, o->options->user_id, o->options->user_id,
                              o->options->path);
    return directory_fail(o, status, "cannot %s %s: %s", verb, path,
                          status == RL_EINVAL ? "not a directory" : rl_status_text(status));
}

static void directory_path(const struct directory_open *o, const char *name,
                           char path[RL_PATH_BYTES])
{
    snprintf(path, RL_PATH_BYTES, "%s/%s", o->options->path, name);
}

/* ---- the directory itself ---- */

/* The name of what was just made survives a power cut. */
static rl_status directory_sync_parent(const struct directory_open *o, const char *path)
{
    char parent[RL_PATH_BYTES];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        snprintf(parent, sizeof parent, ".");
    else
        slash[slash == parent] = '\0';
    rl_status status = rl_disk_sync_directory(o->disk, parent);
    return status == RL_OK ? RL_OK : directory_fail_disk(o, status, "sync directory", parent);
}

/* Make path unless it is there.  RL_ENOTFOUND, without a message: a parent is missing. */
static rl_status directory_make_one(const struct directory_open *o, const char *path)
{
    rl_status status = rl_disk_make_directory(o->disk, path);
    if (status == RL_EEXIST)
        return RL_OK;
    if (status == RL_OK)
        return directory_sync_parent(o, path);
    return status == RL_ENOTFOUND ? status
                                  : directory_fail_disk(o, status, "create directory", path);
}

/* Often it is there already, under parents that we must not touch: so that is tried first. */
static rl_status directory_make(const struct directory_open *o)
{
    char path[RL_PATH_BYTES];
    size_t bytes = strlen(o->options->path);
    if (bytes == 0 || bytes + sizeof META_NEW_NAME + 1 > RL_PATH_BYTES)
        return directory_fail(o, RL_EINVAL, "the data directory's path is empty or too long");
    snprintf(path, sizeof path, "%s", o->options->path);
    while (bytes > 1 && path[bytes - 1] == '/')
        path[--bytes] = '\0';
    rl_status status = directory_make_one(o, path);
    if (status != RL_ENOTFOUND)
        return status;
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = directory_make_one(o, path);
        *slash = '/';
        if (status != RL_OK && status != RL_ENOTFOUND)
            return status;
    }
    status = directory_make_one(o, path);
    return status == RL_ENOTFOUND ? directory_fail_disk(o, status, "create directory", path)
                                  : status;
}

/* Whoever made the directory may have been killed before its name, or that of a parent, was durable.
 * Parents that we may not read are somebody else's work. */
static rl_status directory_sync_names(const struct directory_open *o)
{
    char path[RL_PATH_BYTES], *slash;
    rl_status status = RL_OK;
    snprintf(path, sizeof path, "%s", o->options->path);
    do {
        slash = strrchr(path, '/');
        if (slash == NULL || slash[1] != '\0')
            status = directory_sync_parent(o, path);
        if (slash != NULL)
            *slash = '\0';
    } while ((status == RL_OK || status == RL_EACCESS) && slash != NULL && slash != path);
    if (status != RL_EACCESS)
        return status;
    o->message[0] = '\0';
    return RL_OK;
}

static void directory_on_entry(void *arg, const char *name, bool directory)
{
    struct directory_content *content = arg;
    (void)directory;
    if (strcmp(name, META_NAME) == 0)
        content->meta = true;
    else if (strcmp(name, LOCK_NAME) != 0 && strcmp(name, META_NEW_NAME) != 0 &&
             strcmp(name, "lost+found") != 0 && !content->foreign) {    /* a fresh ext4 has it */
        content->foreign = true;
        snprintf(content->foreign_name, sizeof content->foreign_name, "%s", name);
    }
}

static rl_status directory_list(const struct directory_open *o, struct directory_content *content)
{
    *content = (struct directory_content){ 0 };
    rl_status status = rl_disk_list(o->disk, o->options->path, directory_on_entry, content);
    if (status != RL_OK)
        return directory_fail_disk(o, status, "list directory", o->options->path);
    if (content->foreign && !content->meta)
        return directory_fail(o, RL_EEXIST, "%s is not empty (it holds %s) and not a ringlog data "
                              "directory: there is no " META_NAME ". Remedy: give an empty "
                              "directory by --data-dir or log.dirs", o->options->path,
                              content->foreign_name);
    return RL_OK;
}

/* ---- meta.properties ---- */

static bool meta_number(struct rl_slice text, long long *ret_number)
{
    char *end;
    const char *start = (const char *)text.data;        /* NUL-terminated by rl_text */
    if (text.bytes == 0 || text.bytes > 18)
        return false;
    *ret_number = strtoll(start, &end, 10);
    return end == start + text.bytes;
}

/* False: the value makes no sense. */
static bool meta_take(struct directory_meta *meta, const struct rl_properties *p)
{
    struct rl_slice key = rl_text_slice(&p->key), value = rl_text_slice(&p->value);
    struct rl_uuid id;
    if (rl_slice_equal_string(key, "version")) {
        meta->has_version = true;
        return meta_number(value, &meta->version);
    }
    if (rl_slice_equal_string(key, "ringlog.format")) {
        meta->has_format = true;
        return meta_number(value, &meta->format);
    }
    if (rl_slice_equal_string(key, "node.id")) {
        meta->has_node_id = true;
        return meta_number(value, &meta->node_id);
    }
    if (!rl_slice_equal_string(key, "cluster.id"))
        return true;
    meta->has_cluster_id = true;
    if (value.bytes != RL_UUID_TEXT_BYTES - 1 || rl_uuid_parse(value, &id) != RL_OK)
        return false;
    memcpy(meta->cluster_id, value.data, value.bytes);
    return true;
}

/* False: not readable as properties, or one of our values makes no sense. */
static bool meta_parse(struct rl_slice text, struct directory_meta *meta)
{
    struct rl_properties p;
    const char *reason;
    rl_status status;
    bool good = true;
    *meta = (struct directory_meta){ 0 };
    rl_properties_init(&p, text);
    while ((status = rl_properties_next(&p, &reason)) != RL_ENOTFOUND)
        good &= status == RL_OK && meta_take(meta, &p);
    rl_properties_done(&p);
    return good;
}

static rl_status meta_check(const struct directory_open *o, const char *path,
                            const struct directory_meta *meta, bool readable)
{
    if (!meta->has_format && meta->has_version)
        return directory_fail(o, RL_EVERSION, "%s was formatted by Apache Kafka, not by ringlog "
                              "(%s has no ringlog.format). Remedy: give ringlog a directory of its "
                              "own by --data-dir or log.dirs", o->options->path, path);
    if ((meta->has_format && meta->format > RL_DATA_DIRECTORY_FORMAT) ||
        (meta->has_format && meta->has_version && meta->version > KAFKA_META_VERSION))
        return directory_fail(o, RL_EVERSION, "%s was written by a newer ringlog (format %lld, "
                              "version %lld in %s; this one knows format %d). Remedy: start the "
                              "newer ringlog", o->options->path, meta->format, meta->version, path,
                              RL_DATA_DIRECTORY_FORMAT);
    if (!readable || !meta->has_format || meta->format < 1 || !meta->has_version ||
        !meta->has_cluster_id || !meta->has_node_id)
        return directory_fail(o, RL_ECORRUPT, "%s is damaged: it must have version=1, "
                              "ringlog.format=%d, cluster.id and node.id. Remedy: restore it from "
                              "a backup", path, RL_DATA_DIRECTORY_FORMAT);
    if (meta->node_id != o->options->node_id)
        return directory_fail(o, RL_EINVAL, "%s belongs to node.id=%lld, but node.id=%d is "
                              "configured. Remedy: set node.id=%lld, or give another directory",
                              o->options->path, meta->node_id, o->options->node_id, meta->node_id);
    return RL_OK;
}

static rl_status meta_read(const struct directory_open *o, struct rl_data_directory *directory)
{
    static const char empty[] = "";
    char path[RL_PATH_BYTES];
    directory_path(o, META_NAME, path);
    int fd;
    rl_status status = rl_disk_open(o->disk, path, 0, &fd);
    if (status != RL_OK)
        return directory_fail_disk(o, status, "open", path);
    struct rl_text text = { 0 };
    size_t bytes = 0;
    char *data = rl_text_reserve(&text, META_BYTES_MAX + 1);
    status = rl_disk_read(o->disk, fd, 0, data, META_BYTES_MAX + 1, &bytes);
    rl_disk_close(o->disk, fd);
    if (status != RL_OK) {
        rl_text_done(&text);
        return directory_fail_disk(o, status, "read", path);
    }
    struct directory_meta meta;
    bool readable = bytes <= META_BYTES_MAX &&
                    meta_parse(rl_slice_of(bytes > 0 ? data : empty, bytes), &meta);
    if (bytes > META_BYTES_MAX)
        meta = (struct directory_meta){ 0 };
    rl_text_done(&text);
    status = meta_check(o, path, &meta, readable);
    if (status == RL_OK)
        memcpy(directory->cluster_id, meta.cluster_id, sizeof directory->cluster_id);
    return status;
}

static rl_status meta_write_file(const struct directory_open *o, const char *path,
                                 const char *cluster_id)
{
    char text[256];
    int length = snprintf(text, sizeof text, "# Written by ringlog; do not edit.\nversion=%d\n"
                          "ringlog.format=%d\ncluster.id=%s\nnode.id=%d\n", KAFKA_META_VERSION,
                          RL_DATA_DIRECTORY_FORMAT, cluster_id, o->options->node_id);
    int fd;
    rl_status status = rl_disk_open(o->disk, path,
                                    RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &fd);
    if (status != RL_OK)
        return status;
    size_t written = 0;
    struct iovec iov = { .iov_base = text, .iov_len = (size_t)length };
    status = rl_disk_write(o->disk, fd, 0, &iov, 1, &written);
    if (status == RL_OK)
        status = rl_disk_sync(o->disk, fd);
    rl_disk_close(o->disk, fd);
    return status;
}

static rl_status meta_write(const struct directory_open *o, const char *cluster_id)
{
    char path[RL_PATH_BYTES], new_path[RL_PATH_BYTES];
    directory_path(o, META_NAME, path);
    directory_path(o, META_NEW_NAME, new_path);
    rl_status status = meta_write_file(o, new_path, cluster_id);
    if (status == RL_OK)
        status = rl_disk_rename(o->disk, new_path, path);
    if (status == RL_OK)
        status = rl_disk_sync_directory(o->disk, o->options->path);
    return status == RL_OK ? RL_OK : directory_fail_disk(o, status, "write", path);
}

/* A random UUID in Kafka's text form, never with a leading dash, which tools take for an option. */
static rl_status directory_format(const struct directory_open *o,
                                  struct rl_data_directory *directory)
{
    struct rl_uuid id;
    rl_status status = o->options->random(o->options->random_arg, id.bytes, sizeof id.bytes);
    if (status != RL_OK)
        return directory_fail(o, status, "cannot format %s: no random bytes for a cluster id: %s",
                              o->options->path, rl_status_text(status));
    id.bytes[0] &= 0x7f;
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);       /* RFC 4122, version 4 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    rl_uuid_format(id, directory->cluster_id);
    directory->formatted = true;
    status = directory_sync_names(o);
    return status == RL_OK ? meta_write(o, directory->cluster_id) : status;
}

/* ---- all of it ---- */

static rl_status directory_lock(const struct directory_open *o, int *ret_fd)
{
    char path[RL_PATH_BYTES];
    directory_path(o, LOCK_NAME, path);
    rl_status status = rl_disk_lock(o->disk, path, ret_fd);
    if (status == RL_EBUSY)
        return directory_fail(o, status, "%s is in use by another process (it holds %s). Remedy: "
                              "stop that ringlog, or give another directory by --data-dir or "
                              "log.dirs", o->options->path, path);
    return status == RL_OK ? RL_OK : directory_fail_disk(o, status, "lock", path);
}

rl_status rl_data_directory_open(struct rl_disk *disk,
                                 const struct rl_data_directory_options *options,
                                 struct rl_data_directory *ret_directory,
                                 char message[RL_DATA_DIRECTORY_MESSAGE_BYTES])
{
    struct directory_open o = { .disk = disk, .options = options, .message = message };
    struct directory_content content;
    struct rl_data_directory directory = { .lock_fd = -1 };
    message[0] = '\0';
    rl_status status = directory_make(&o);
    if (status == RL_OK)
        status = directory_list(&o, &content);
    if (status == RL_OK && content.meta)        /* refuse before anything is written */
        status = meta_read(&o, &directory);
    if (status == RL_OK)
        status = directory_lock(&o, &directory.lock_fd);
    if (status != RL_OK)
        return status;
    status = directory_list(&o, &content);      /* once more: nobody else is here now */
    if (status == RL_OK)
        status = content.meta ? meta_read(&o, &directory) : directory_format(&o, &directory);
    if (status == RL_OK)
        *ret_directory = directory;
    else
        rl_data_directory_close(disk, &directory);
    return status;
}

void rl_data_directory_close(struct rl_disk *disk, struct rl_data_directory *directory)
{
    if (directory->lock_fd >= 0)
        rl_disk_close(disk, directory->lock_fd);
    directory->lock_fd = -1;
}

/* replicate/metadata_store_file.c — the file DIR/metadata.log: what is in it and how it is read.
 *
 * All numbers are big-endian.  The head, 64 bytes; magic, version and checksum stay where they
 * are in every later version:
 *
 *      0  8  magic "rlmeta\r\n"
 *      8  4  format version, 1
 *     12  4  CRC-32C of the 64 bytes, this field taken as zero
 *     16  8  file id, random; its CRC-32C is the start value of every record's CRC-32C, so that a
 *            record of another file is never taken for one of this
 *     24  8  base bytes: the head and the snapshot behind it, on stable storage before the file
 *            got its name
 *     32  8  sequence number of the first record
 *     40 24  zero
 *
 * Records follow without gaps, each a whole transaction, the first ones (below base bytes) the
 * snapshot: puts of every entry that lived when the file was made.
 *
 *      0  4  magic "rlmt"
 *      4  4  CRC-32C of everything behind this field, beginning with the CRC of the file id
 *      8  4  length of the record, a multiple of 8
 *     12  4  count of ops
 *     16  8  sequence number, one more than the record before
 *     24  8  durable bytes: so much of the file was on stable storage when this was written
 *     32     ops: kind (1: 1 put, 2 remove), zero (1), key bytes (2), value bytes (4), version (8),
 *            key, value; then zeros up to the length
 *
 * A put carries the version it makes (the last one of this key + 1, in a snapshot any), a remove
 * the version it ends.  A record without ops is a seal: all before it is on stable storage.
 *
 * A record is valid if and only if magic, length, checksum and sequence number are right and it
 * is complete.  Commits are appended and synced in groups, so a power cut leaves any part of the
 * last group damaged, and nothing else.  What is damaged at pos is therefore
 *   - a torn tail, to be cut, iff pos >= base bytes and no valid record behind it says
 *     durable bytes > pos;
 *   - corruption otherwise: the store does not open and nothing is changed.
 *
 * Behind each synced group stands a seal that is not synced itself: after a kill it tells the
 * next start that nothing of what it reads is in the page cache only, so that a start does not
 * wait for a device that is still busy with the killed process's data.
 *
 * A file that does not end in a seal is made durable anew at open, and so is its name (a failed
 * sync marks pages clean, so to sync it is not enough; a process killed between the rename and the
 * sync of the directory leaves no seal).  The same bytes are written over themselves and synced:
 * whatever part of that a power cut leaves, they are the same.  With a torn tail the file is rewritten
 * instead, as it is when most of it is history: metadata.log.new is written, synced, renamed over
 * metadata.log, and the directory synced: a crash at any point leaves the one or the other. */
#include "replicate/metadata_store_file.h"
#include "core/crc32c.h"
#include "core/logger.h"
#include "core/memory.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define FILE_MAGIC "rlmeta\r\n"
#define FILE_VERSION 1
#define HEAD_BYTES 64u
#define RECORD_MAGIC 0x726c6d74u        /* "rlmt" */
#define RECORD_HEAD_BYTES 32u
#define OP_HEAD_BYTES 16u
#define SNAPSHOT_RECORD_BYTES (1u << 20)        /* about; bounds the memory of a rewrite */

enum { OP_PUT = 1, OP_REMOVE = 2 };

uint64_t rl_metadata_file_bytes_of(const struct rl_metadata_tree *tree)
{
    return tree->live_bytes + (uint64_t)tree->count * OP_HEAD_BYTES;
}

/* ---- records, written ---- */

static struct rl_writer text_writer(struct rl_text *text, size_t bytes)
{
    char *at = rl_text_reserve(text, bytes);
    text->bytes += bytes;
    return rl_wr_of(at, bytes);
}

struct rl_metadata_record rl_metadata_record_begin(struct rl_text *text)
{
    struct rl_metadata_record record = { .at = text->bytes };
    text_writer(text, RECORD_HEAD_BYTES);               /* filled in by rl_metadata_record_end */
    return record;
}

static void record_op(struct rl_text *text, struct rl_metadata_record *record, int8_t kind,
                      struct rl_slice key, struct rl_slice value, int64_t version)
{
    struct rl_writer w = text_writer(text, OP_HEAD_BYTES + key.bytes + value.bytes);
    rl_wr_i8(&w, kind);
    rl_wr_i8(&w, 0);
    rl_wr_u16(&w, (uint16_t)key.bytes);
    rl_wr_u32(&w, (uint32_t)value.bytes);
    rl_wr_i64(&w, version);
    rl_wr_copy(&w, key.data, key.bytes);
    rl_wr_copy(&w, value.data, value.bytes);
    RL_ASSERT(rl_wr_done(&w) == RL_OK);
    record->op_count++;
}

void rl_metadata_record_put(struct rl_text *text, struct rl_metadata_record *record,
                            const struct rl_metadata_entry *entry)
{
    record_op(text, record, OP_PUT, rl_metadata_entry_key(entry), rl_metadata_entry_value(entry),
              entry->version);
}

void rl_metadata_record_remove(struct rl_text *text, struct rl_metadata_record *record,
                               struct rl_slice key, int64_t version)
{
    record_op(text, record, OP_REMOVE, key, rl_slice_of(NULL, 0), version);
}

rl_status rl_metadata_record_end(struct rl_text *text, const struct rl_metadata_record *record,
                                 const struct rl_metadata_file *file, uint32_t index)
{
    while ((text->bytes - record->at) % 8 != 0)
        rl_text_append_char(text, 0);
    size_t bytes = text->bytes - record->at;
    if (bytes > RL_METADATA_RECORD_BYTES_MAX) {
        text->bytes = record->at;
        return RL_ETOOLARGE;
    }
    RL_ASSERT(text->data != NULL && bytes >= RECORD_HEAD_BYTES);
    uint8_t *at = (uint8_t *)text->data + record->at;
    struct rl_writer w = rl_wr_of(at, RECORD_HEAD_BYTES);
    rl_wr_u32(&w, RECORD_MAGIC);
    rl_wr_u32(&w, 0);
    rl_wr_u32(&w, (uint32_t)bytes);
    rl_wr_u32(&w, record->op_count);
    rl_wr_u64(&w, file->sequence + index);
    rl_wr_u64(&w, file->durable_bytes);

    w = rl_wr_of(at + 4, 4);
    rl_wr_u32(&w, rl_crc32c(file->salt, at + 8, bytes - 8));
    return RL_OK;
}

/* ---- records, read ---- */

struct record {
    uint32_t bytes, op_count;
    uint64_t sequence, durable_bytes;
    struct rl_slice ops;
};

/* Is there a whole record with a right checksum at pos?  Its meaning is not judged. */
static bool record_read(struct rl_slice content, uint64_t pos, uint32_t salt, struct record *ret)
{
    struct rl_reader r = rl_rd_of(rl_slice_of(content.data + pos, content.bytes - pos));
    if (rl_rd_u32(&r) != RECORD_MAGIC)
        return false;
    uint32_t crc = rl_rd_u32(&r);
    struct record record = { .bytes = rl_rd_u32(&r), .op_count = rl_rd_u32(&r) };
    record.sequence = rl_rd_u64(&r);
    record.durable_bytes = rl_rd_u64(&r);
    if (rl_rd_done(&r) != RL_OK || record.bytes < RECORD_HEAD_BYTES || record.bytes % 8 != 0 ||
        record.bytes > RL_METADATA_RECORD_BYTES_MAX || record.bytes > content.bytes - pos)
        return false;
    if (rl_crc32c(salt, content.data + pos + 8, record.bytes - 8) != crc)
        return false;
    record.ops = rl_slice_of(content.data + pos + RECORD_HEAD_BYTES,
                             record.bytes - RECORD_HEAD_BYTES);
    *ret = record;
    return true;
}

/* Make `tree` follow one op; false when it does not fit what is there. */
static bool op_apply(struct rl_metadata_tree *tree, struct rl_reader *r, bool snapshot)
{
    int8_t kind = rl_rd_i8(r);
    bool zero = rl_rd_i8(r) == 0;
    uint16_t key_bytes = rl_rd_u16(r);
    uint32_t value_bytes = rl_rd_u32(r);
    int64_t version = rl_rd_i64(r);
    struct rl_slice key = rl_slice_of(rl_rd_raw(r, key_bytes), key_bytes);
    struct rl_slice value = rl_slice_of(rl_rd_raw(r, value_bytes), value_bytes);
    if (rl_rd_done(r) != RL_OK || !zero || version < 1)
        return false;

    const struct rl_metadata_entry *before = rl_metadata_tree_find(tree, key);
    struct rl_metadata_entry *entry = NULL;
    if (kind == OP_PUT) {
        if (snapshot ? before != NULL : version != (before != NULL ? before->version : 0) + 1)
            return false;
        entry = rl_metadata_entry_create(key, value, version);
    } else if (kind != OP_REMOVE || before == NULL || before->version != version ||
               value_bytes > 0) {
        return false;
    }
    rl_free(rl_metadata_tree_swap(tree, key, entry));
    return true;
}

static bool record_apply(struct rl_metadata_tree *tree, const struct record *record, bool snapshot)
{
    struct rl_reader r = rl_rd_of(record->ops);
    for (uint32_t i = 0; i < record->op_count; i++)
        if (!op_apply(tree, &r, snapshot))
            return false;
    return rl_rd_remaining(&r) < 8;                     /* the zeros at the end */
}

struct head {
    uint32_t salt;
    uint64_t base_bytes, sequence;
};

static void head_write(uint8_t data[HEAD_BYTES], uint64_t id, const struct head *head)
{
    struct rl_writer w = rl_wr_of(data, HEAD_BYTES);
    memset(data, 0, HEAD_BYTES);
    rl_wr_copy(&w, FILE_MAGIC, 8);
    rl_wr_u32(&w, FILE_VERSION);
    rl_wr_u32(&w, 0);
    rl_wr_u64(&w, id);
    rl_wr_u64(&w, head->base_bytes);
    rl_wr_u64(&w, head->sequence);
    w = rl_wr_of(data + 12, 4);
    rl_wr_u32(&w, rl_crc32c(0, data, HEAD_BYTES));
}

static uint32_t id_salt(uint64_t id)
{
    uint8_t data[8];
    struct rl_writer w = rl_wr_of(data, sizeof data);
    rl_wr_u64(&w, id);
    return rl_crc32c(0, data, sizeof data);
}

static rl_status head_read(struct rl_slice content, struct head *ret_head, const char **ret_problem)
{
    uint8_t data[HEAD_BYTES];
    if (content.bytes < HEAD_BYTES || memcmp(content.data, FILE_MAGIC, 8) != 0) {
        *ret_problem = "it is not a metadata log, or its head is lost";
        return RL_ECORRUPT;
    }
    struct rl_reader r = rl_rd_of(rl_slice_of(content.data + 8, HEAD_BYTES - 8));
    uint32_t version = rl_rd_u32(&r), crc = rl_rd_u32(&r);
    memcpy(data, content.data, HEAD_BYTES);
    memset(data + 12, 0, 4);
    if (rl_crc32c(0, data, HEAD_BYTES) != crc) {
        *ret_problem = "its head is damaged";
        return RL_ECORRUPT;
    }
    if (version != FILE_VERSION) {
        *ret_problem = "it was written by a newer ringlog";
        return RL_EVERSION;
    }
    struct head head = { .salt = id_salt(rl_rd_u64(&r)) };
    head.base_bytes = rl_rd_u64(&r);
    head.sequence = rl_rd_u64(&r);
    if (head.base_bytes > content.bytes) {
        *ret_problem = "it is shorter than it was when it was made";
        return RL_ECORRUPT;
    }
    *ret_head = head;
    return RL_OK;
}

/* Does a valid record behind pos prove that pos was on stable storage once? */
static bool was_durable(struct rl_slice content, uint64_t pos, uint32_t salt)
{
    struct record record;
    for (uint64_t at = pos + 8; at + RECORD_HEAD_BYTES <= content.bytes;) {
        bool valid = record_read(content, at, salt, &record);
        if (valid && record.durable_bytes > pos)
            return true;
        at += valid ? record.bytes : 8;
    }
    return false;
}

/* Read `content` into file and tree.  On RL_ECORRUPT *ret_pos says where it begins. */
static rl_status file_replay(struct rl_metadata_file *file, struct rl_metadata_tree *tree,
                             struct rl_slice content, uint64_t *ret_pos, const char **ret_problem)
{
    struct head head;
    rl_status status = head_read(content, &head, ret_problem);
    if (status != RL_OK)
        return status;
    file->salt = head.salt;
    file->sequence = head.sequence;
    uint64_t pos = HEAD_BYTES;
    struct record record;
    while (pos < content.bytes && record_read(content, pos, head.salt, &record)) {
        *ret_pos = pos;
        *ret_problem = "a record does not fit what stands before it";
        if (record.sequence != file->sequence || record.durable_bytes > pos ||
            !record_apply(tree, &record, pos < head.base_bytes))
            return RL_ECORRUPT;
        file->durable_bytes = pos;      /* counts if this is a seal */
        pos += record.bytes;
        file->sequence++;
        file->sealed_bytes = record.op_count == 0 ? pos : 0;
    }
    *ret_pos = pos;
    *ret_problem = "a record is damaged that was on stable storage";
    if (pos < head.base_bytes || (pos < content.bytes && was_durable(content, pos, head.salt)))
        return RL_ECORRUPT;
    if (pos < content.bytes)
        file->sealed_bytes = 0;
    file->bytes = pos;
    return RL_OK;
}

/* ---- the file ---- */

void rl_metadata_file_init(struct rl_metadata_file *file, struct rl_disk *disk,
                           const char *directory)
{
    *file = (struct rl_metadata_file){ .disk = disk, .fd = -1 };
    file->directory = rl_strdup(directory);
    file->path = rl_asprintf("%s/metadata.log", directory);
    file->path_new = rl_asprintf("%s/metadata.log.new", directory);
}

void rl_metadata_file_done(struct rl_metadata_file *file)
{
    if (file->fd >= 0)
        rl_disk_close(file->disk, file->fd);
    rl_free(file->directory);
    rl_free(file->path);
    rl_free(file->path_new);
    *file = (struct rl_metadata_file){ .fd = -1 };
}

static rl_status write_all(struct rl_disk *disk, int fd, uint64_t pos, const void *data,
                           size_t bytes)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = bytes };
    size_t written = 0;
    return bytes > 0 ? rl_disk_write(disk, fd, pos, &iov, 1, &written) : RL_OK;
}

static rl_status read_all(struct rl_disk *disk, int fd, uint8_t **ret_data, uint64_t *ret_bytes)
{
    uint64_t size = 0, at = 0;
    rl_status status = rl_disk_size(disk, fd, &size);
    if (status != RL_OK)
        return status;
    if (size > RL_METADATA_FILE_BYTES_MAX)
        return RL_ETOOLARGE;
    uint8_t *data = rl_alloc(size + 1);
    while (at < size) {
        size_t got = 0;
        status = rl_disk_read(disk, fd, at, data + at, size - at, &got);
        if (status == RL_OK && got == 0)
            status = RL_EIO;                            /* it shrank under our hands */
        if (status != RL_OK) {
            rl_free(data);
            return status;
        }
        at += got;
    }
    *ret_data = data;
    *ret_bytes = size;
    return RL_OK;
}

/* The tree as snapshot records behind the head of `file`, then the head. */
static rl_status snapshot_write(struct rl_metadata_file *file, const struct rl_metadata_tree *tree,
                                uint64_t id)
{
    struct head head = { .sequence = file->sequence };
    struct rl_text text = { 0 };
    rl_status status = RL_OK;
    file->bytes = file->durable_bytes = HEAD_BYTES;
    for (uint32_t i = 0; i < tree->count && status == RL_OK;) {
        struct rl_metadata_record record = rl_metadata_record_begin(&text);
        while (i < tree->count && text.bytes < SNAPSHOT_RECORD_BYTES)
            rl_metadata_record_put(&text, &record, tree->entries[i++]);
        status = rl_metadata_record_end(&text, &record, file, 0);
        if (status == RL_OK)
            status = write_all(file->disk, file->fd, file->bytes, text.data, text.bytes);
        file->bytes += text.bytes;
        file->sequence++;
        rl_text_clear(&text);
    }
    rl_text_done(&text);
    if (status != RL_OK)
        return status;

    uint8_t data[HEAD_BYTES];
    head.base_bytes = file->bytes;
    head_write(data, id, &head);
    status = write_all(file->disk, file->fd, 0, data, HEAD_BYTES);
    file->durable_bytes = file->bytes;
    return status == RL_OK ? rl_disk_sync(file->disk, file->fd) : status;
}

/* Make the new file and give it the name.  *ret_named: the old one is (perhaps) no longer it. */
static rl_status file_replace(struct rl_metadata_file *file, const struct rl_metadata_tree *tree,
                              uint64_t id, bool *ret_named)
{
    struct rl_metadata_file new = *file;
    *ret_named = false;
    rl_status status = rl_disk_open(file->disk, file->path_new,
                                    RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &new.fd);
    if (status != RL_OK)
        return status;
    new.salt = id_salt(id);
    new.sealed_bytes = 0;
    status = snapshot_write(&new, tree, id);
    if (status == RL_OK) {
        *ret_named = true;
        status = rl_disk_rename(file->disk, file->path_new, file->path);
    }
    if (status == RL_OK)
        status = rl_disk_sync_directory(file->disk, file->directory);
    if (status != RL_OK) {
        rl_disk_close(file->disk, new.fd);
        if (!*ret_named)
            rl_disk_unlink(file->disk, file->path_new);
        return status;
    }
    if (file->fd >= 0)
        rl_disk_close(file->disk, file->fd);
    *file = new;
    return RL_OK;
}

rl_status rl_metadata_file_rewrite(struct rl_metadata_file *file,
                                   const struct rl_metadata_tree *tree, uint64_t id)
{
    bool named;
    rl_status status = file_replace(file, tree, id, &named);
    if (status != RL_OK)
        RL_WARN("metadata", "cannot rewrite %s: %s", file->path, rl_status_text(status));
    return status == RL_OK || named ? status : RL_EBUSY;
}

/* The directory may be new: its name has to survive as well. */
static rl_status directory_make(struct rl_metadata_file *file)
{
    rl_status status = rl_disk_make_directory(file->disk, file->directory);
    if (status != RL_OK && status != RL_EEXIST)
        return status;
    const char *slash = strrchr(file->directory, '/');
    char *parent = slash == NULL ? rl_strdup(".")
                 : slash == file->directory ? rl_strdup("/")
                 : rl_strndup(file->directory, (size_t)(slash - file->directory));
    status = rl_disk_sync_directory(file->disk, parent);
    rl_free(parent);
    return status;
}

static rl_status file_create(struct rl_metadata_file *file, const struct rl_metadata_tree *tree,
                             uint64_t id)
{
    bool named;
    file->sequence = 1;
    rl_status status = directory_make(file);
    return status == RL_OK ? file_replace(file, tree, id, &named) : status;
}

static rl_status seal_encode(struct rl_text *text, const struct rl_metadata_file *file)
{
    struct rl_metadata_record record = rl_metadata_record_begin(text);

    return rl_metadata_record_end(text, &record, file, 0);
}

/* Say that all before is durable; this itself is, with the next commit. */
static rl_status file_seal_unsynced(struct rl_metadata_file *file)
{
    struct rl_text text = { 0 };
    rl_status status = seal_encode(&text, file);

    if (status == RL_OK)
        status = write_all(file->disk, file->fd, file->bytes, text.data, text.bytes);
    if (status == RL_OK) {
        file->bytes += text.bytes;
        file->sealed_bytes = file->bytes;
        file->sequence++;
    } else {                            /* then without: nothing of it may stay */
        status = rl_disk_truncate(file->disk, file->fd, file->bytes);
    }
    rl_text_done(&text);
    return status;
}

/* The end is not a seal: make sure that what was read, data, is durable. */
static rl_status file_settle(struct rl_metadata_file *file, const struct rl_metadata_tree *tree,
                             uint64_t id, struct rl_slice data)
{
    rl_status status = RL_EBUSY;
    if (data.bytes > file->bytes) {
        RL_WARN("metadata", "%s: cut a torn tail of %llu bytes behind %llu; it was never"
                " acknowledged", file->path, (unsigned long long)(data.bytes - file->bytes),
                (unsigned long long)file->bytes);
        status = rl_metadata_file_rewrite(file, tree, id);
    }
    if (status != RL_EBUSY)
        return status;
    /* In place: the same bytes again; where even that needs space, the page cache has to do. */
    status = write_all(file->disk, file->fd, 0, data.data, file->bytes);
    if ((status == RL_OK || status == RL_ENOSPACE) && data.bytes > file->bytes)
        status = rl_disk_truncate(file->disk, file->fd, file->bytes);
    if (status == RL_OK || status == RL_ENOSPACE)
        status = rl_disk_sync(file->disk, file->fd);
    /* Its name, too: whoever made the file may have been killed before that. */
    if (status == RL_OK)
        status = rl_disk_sync_directory(file->disk, file->directory);
    if (status != RL_OK)
        return status;
    file->durable_bytes = file->bytes;
    return file_seal_unsynced(file);
}

static rl_status file_load(struct rl_metadata_file *file, struct rl_metadata_tree *tree,
                           uint64_t id)
{
    uint8_t *data = NULL;
    uint64_t bytes = 0, pos = 0;
    const char *problem = NULL;
    rl_status status = read_all(file->disk, file->fd, &data, &bytes);
    if (status == RL_OK)
        status = file_replay(file, tree, rl_slice_of(data, bytes), &pos, &problem);
    if (status == RL_OK) {
        if (file->sealed_bytes != file->bytes)
            status = file_settle(file, tree, id, rl_slice_of(data, bytes));
    } else {
        RL_ERROR("metadata", "%s cannot be used: %s (at byte %llu of %llu). Nothing was changed;"
                 " restore the file from a copy", file->path,
                 problem != NULL ? problem : rl_status_text(status), (unsigned long long)pos,
                 (unsigned long long)bytes);
    }
    rl_free(data);
    return status;
}

rl_status rl_metadata_file_open(struct rl_metadata_file *file, struct rl_metadata_tree *tree,
                                uint64_t id)
{
    rl_status status = rl_disk_open(file->disk, file->path, RL_OPEN_WRITE, &file->fd);
    if (status == RL_ENOTFOUND)
        status = file_create(file, tree, id);
    else if (status == RL_OK)
        return file_load(file, tree, id);
    if (status != RL_OK)
        RL_ERROR("metadata", "%s cannot be opened: %s", file->path, rl_status_text(status));
    return status;
}

rl_status rl_metadata_file_append(struct rl_metadata_file *file, const struct rl_text *records,
                                  uint32_t record_count)
{
    rl_status status = write_all(file->disk, file->fd, file->bytes, records->data, records->bytes);
    if (status == RL_OK) {
        status = rl_disk_sync(file->disk, file->fd);
        if (status == RL_OK) {
            file->bytes += records->bytes;
            file->durable_bytes = file->bytes;
            file->sequence += record_count;
            (void)file_seal_unsynced(file);     /* without one the next start syncs again */
            return RL_OK;
        }
        return RL_EIO;                                  /* also where the cause was lack of space */
    }
    if (status != RL_ENOSPACE)
        return RL_EIO;
    /* Take back what was written, durably: it must not come back after a crash, since the caller
     * is told that it failed. */
    if (rl_disk_truncate(file->disk, file->fd, file->bytes) != RL_OK ||
        rl_disk_sync(file->disk, file->fd) != RL_OK)
        return RL_EIO;
    return RL_ENOSPACE;
}

rl_status rl_metadata_file_seal(struct rl_metadata_file *file)
{
    if (file->sealed_bytes == file->bytes)
        return RL_OK;
    struct rl_text text = { 0 };
    rl_status status = seal_encode(&text, file);
    if (status == RL_OK)
        status = rl_metadata_file_append(file, &text, 1);
    if (status == RL_OK)
        file->sealed_bytes = file->bytes;
    rl_text_done(&text);
    return status;
}

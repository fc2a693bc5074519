/* log/file_read.c — from an offset to bytes: index, walk to the batch, then one read or a loan.
 *
 * The happy path: the index gives a place at most index.interval.bytes before the wanted batch;
 * headers are walked from there.  Bytes that are known to be sound may be lent: a few more headers
 * say where the last whole batch ends, and that is all we see of them.  Else one read brings as
 * many whole batches as asked for, and each that was not checked before has its CRC checked.
 * Failures: an entry that does not point to the batch it promises is not followed: the walk then
 * begins at the segment's start, and the caller has the index rebuilt. */
#include "log/file_read.h"
#include "core/logger.h"
#include "log/index.h"
#include <inttypes.h>

static rl_status read_at(const struct rl_file_read *r, uint32_t pos, void *to, size_t bytes,
                         bool resident_only)
{
    size_t got;
    rl_status status = resident_only ? rl_disk_try_read(r->disk, r->fd, pos, to, bytes, &got)
                                     : rl_disk_read(r->disk, r->fd, pos, to, bytes, &got);
    if (status == RL_OK && got < bytes)
        return RL_ECORRUPT;             /* shorter than what was written to it */
    return status;
}

/* The header at pos, no more; its size is believed up to the end of the file. */
static rl_status header_at(const struct rl_file_read *r, uint32_t pos, bool resident_only,
                           struct rl_batch *ret_batch)
{
    uint8_t header[RL_BATCH_HEADER_BYTES];
    uint32_t left = r->end_pos - pos;

    if (pos >= r->end_pos)
        return RL_ENOTFOUND;
    if (left < sizeof header)
        return RL_ECORRUPT;
    rl_status status = read_at(r, pos, header, sizeof header, resident_only);
    if (status != RL_OK)
        return status;
    status = rl_batch_read_header(header, left, ret_batch);
    ret_batch->bytes = NULL;
    if (status != RL_OK || ret_batch->last_offset_delta < 0)
        return RL_ECORRUPT;
    return RL_OK;
}

static bool floor_is_true(const struct rl_file_read *r, const struct rl_batch *batch)
{
    return r->floor_offset >= 0 ? batch->base_offset == r->floor_offset
                                : rl_batch_last_offset(batch) == r->floor_last_offset;
}

/* Replace the floor by the index file's, if that has one. */
static rl_status use_index(struct rl_file_read *r, bool resident_only)
{
    struct rl_index_entry entry;

    if (r->index_path[0] == '\0')
        return RL_OK;
    rl_status status = rl_index_file_find(r->disk, r->index_path, r->index_entries,
                                          (uint32_t)(r->offset - r->segment_base), resident_only,
                                          &entry);
    if (status == RL_OK) {
        r->floor_pos = entry.pos;
        r->floor_offset = -1;
        r->floor_last_offset = r->segment_base + entry.relative_offset;
    } else if (status == RL_ECORRUPT) {
        r->index_damaged = true;
    } else if (status != RL_ENOTFOUND) {
        return status;
    }
    return RL_OK;
}

/* The batch at pos is not the one with next_offset, so its header is damaged; if the batch behind it
 * makes sense, the walk goes on there, and only what lies between is not to be had. */
static rl_status step_over(const struct rl_file_read *r, uint32_t *pos, int64_t next_offset,
                           bool resident_only, struct rl_batch *batch)
{
    uint32_t behind = *pos + (uint32_t)batch->size_bytes;

    rl_status status = header_at(r, behind, resident_only, batch);
    if (status == RL_EBUSY || status == RL_EIO)
        return status;
    if (status != RL_OK || batch->base_offset <= next_offset || batch->base_offset > r->offset)
        return RL_ECORRUPT;             /* the wanted one, or nobody knows where it is */
    *pos = behind;
    return RL_OK;
}

rl_status rl_file_find(struct rl_file_read *r, bool resident_only, uint32_t *ret_pos,
                       struct rl_batch *ret_batch)
{
    rl_status status = use_index(r, resident_only);
    if (status != RL_OK)
        return status;

    uint32_t pos = r->floor_pos;
    status = header_at(r, pos, resident_only, ret_batch);
    if (status == RL_EBUSY || status == RL_EIO)
        return status;
    bool doubted = (status != RL_OK || !floor_is_true(r, ret_batch)) && (pos > 0 || r->floor_offset < 0);
    if (doubted) {
        if (resident_only)
            return RL_EBUSY;            /* a long walk: on a helper */
        pos = r->floor_pos = 0;
        r->floor_offset = r->segment_base;
        status = header_at(r, 0, resident_only, ret_batch);
    }
    if (status == RL_OK && !floor_is_true(r, ret_batch))
        status = RL_ECORRUPT;
    while (status == RL_OK && rl_batch_last_offset(ret_batch) < r->offset) {
        int64_t next_offset = rl_batch_last_offset(ret_batch) + 1;
        pos += (uint32_t)ret_batch->size_bytes;
        status = header_at(r, pos, resident_only, ret_batch);
        if (status == RL_OK && ret_batch->base_offset != next_offset)
            status = step_over(r, &pos, next_offset, resident_only, ret_batch);
    }
    r->next_pos = pos;
    if (status != RL_OK)
        return status;
    /* Else it may be the log, and a true index is the way around the damage. */
    r->index_damaged |= doubted;
    *ret_pos = pos;
    return RL_OK;
}

/* ---- lending ---- */

/* Batches this small are not worth a look at each header: they are copied. */
enum { LOOK_AFTER = 16, LOOK_BYTES = 64 << 10, HEADERS_MAX = 512 };

/* How many bytes, from pos on, are whole batches below upper_offset, and known to be sound, by
 * their headers.  0: better copied. */
static size_t lend_batches(struct rl_file_read *r, const struct rl_batch *first, uint32_t pos,
                           size_t bytes, bool resident_only)
{
    struct rl_batch batch = *first;
    size_t at = 0;

    bytes = RL_MIN(bytes, (size_t)rl_checked_bytes(&r->checked, pos, r->end_pos));
    r->next_offset = first->base_offset;
    for (uint32_t count = 0; count < HEADERS_MAX; count++) {
        if (at + batch.size_bytes > bytes || batch.base_offset != r->next_offset ||
            rl_batch_last_offset(&batch) >= r->upper_offset)
            break;
        at += batch.size_bytes;
        r->next_offset = rl_batch_last_offset(&batch) + 1;
        if (at == bytes || (count == LOOK_AFTER && at < LOOK_BYTES && r->lend_bytes_min > 1))
            break;
        if (header_at(r, pos + (uint32_t)at, resident_only, &batch) != RL_OK)
            break;
    }
    return at >= r->lend_bytes_min ? at : 0;
}

/* ---- copying ---- */

/* How many of the bytes are whole, sound batches below upper_offset.  RL_ECORRUPT: not even the
 * first one. */
static rl_status take_batches(struct rl_file_read *r, uint8_t *data, size_t bytes, uint32_t pos,
                              int64_t next_offset)
{
    size_t at = 0;
    rl_status status = RL_OK;

    while (at < bytes) {
        struct rl_batch batch;
        status = rl_batch_read_header(data + at, bytes - at, &batch);
        if (status == RL_ETRUNCATED)
            break;
        if (status == RL_OK && batch.base_offset != next_offset)
            status = RL_EMALFORMED;
        if (status == RL_OK && rl_checked_bytes(&r->checked, pos + (uint32_t)at, r->end_pos) <
                                   batch.size_bytes)
            status = rl_batch_check(&batch);
        if (status != RL_OK || rl_batch_last_offset(&batch) >= r->upper_offset)
            break;
        at += batch.size_bytes;
        next_offset += batch.last_offset_delta + (int64_t)1;
    }
    r->bytes = at;
    r->next_pos = pos + (uint32_t)at;
    r->next_offset = next_offset;
    return at == 0 && status != RL_OK && status != RL_ETRUNCATED ? RL_ECORRUPT : RL_OK;
}

rl_status rl_file_read(struct rl_file_read *r, bool resident_only)
{
    struct rl_batch first;
    uint32_t pos = 0;

    rl_status status = rl_file_find(r, resident_only, &pos, &first);
    if (status != RL_OK)
        return status;
    size_t bytes = RL_MIN(RL_MIN(r->max_bytes, (size_t)RL_FILE_READ_BYTES_MAX),
                          (size_t)(r->end_pos - pos));
    if (bytes < first.size_bytes) {
        if (!r->at_least_one && r->max_bytes < first.size_bytes)
            bytes = 0;
        else
            bytes = first.size_bytes;
    }
    r->bytes = 0;
    r->next_pos = pos;
    r->next_offset = first.base_offset;
    if (bytes == 0)
        return RL_OK;
    if (rl_batch_last_offset(&first) >= r->upper_offset)
        bytes = first.size_bytes;       /* nothing to give: but only if this is no damage */
    if (r->lend_bytes_min > 0 && bytes >= r->lend_bytes_min) {
        r->bytes = lend_batches(r, &first, pos, bytes, resident_only);
        r->next_pos = pos + (uint32_t)r->bytes;
        if (r->bytes > 0)
            return RL_OK;
    }

    struct rl_buffer *buffer = rl_buffer_create(bytes, r->home);
    status = read_at(r, pos, buffer->data, bytes, resident_only);
    if (status == RL_OK)
        status = take_batches(r, buffer->data, bytes, pos, first.base_offset);
    if (status != RL_OK || r->bytes == 0) {
        rl_buffer_unref(buffer);
        return status;
    }
    r->buffer = buffer;
    return RL_OK;
}

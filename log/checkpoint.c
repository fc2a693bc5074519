/* log/checkpoint.c — encode and decode a log's checkpoint; load and store side files.
 *
 * The format stands in checkpoint.h.  Failures: a status; a store that failed leaves the old
 * file. */
#include "log/checkpoint.h"
#include "core/crc32c.h"
#include "core/memory.h"
#include "log/log_bytes.h"
#include "log/replace.h"
#include <inttypes.h>

enum { MAGIC = 0x726c636b, VERSION = 2, VERSION_WITHOUT_MARKS = 1, HEADER_BYTES = 48, EPOCH_BYTES = 12,
       SEGMENT_BYTES = 44, MARK_BYTES = 16 };

#define MARK_MS_MAX (INT64_MAX / 2)     /* differences of times are times */

static void encode_point(uint8_t *p, struct rl_log_point point)
{
    rl_put_u64(p, (uint64_t)point.offset);
    rl_put_u32(p + 8, point.pos);
}

static struct rl_log_point decode_point(const uint8_t *p)
{
    return (struct rl_log_point){ (int64_t)rl_get_u64(p), rl_get_u32(p + 8) };
}

static void encode_segment(uint8_t *p, const struct rl_segment *seg)
{
    rl_put_u64(p, (uint64_t)seg->base_offset);
    rl_put_u32(p + 8, seg->size_bytes);
    rl_put_u32(p + 12, seg->index_entries);
    rl_put_u32(p + 16, seg->time_entries);
    rl_put_u64(p + 20, (uint64_t)seg->max_timestamp_ms);
    rl_put_u64(p + 28, (uint64_t)seg->max_timestamp_offset);
    rl_put_u64(p + 36, (uint64_t)seg->first_append_ms);
}

static struct rl_segment decode_segment(const uint8_t *p)
{
    return (struct rl_segment){
        .base_offset = (int64_t)rl_get_u64(p),
        .size_bytes = rl_get_u32(p + 8),
        .index_entries = rl_get_u32(p + 12),
        .time_entries = rl_get_u32(p + 16),
        .max_timestamp_ms = (int64_t)rl_get_u64(p + 20),
        .max_timestamp_offset = (int64_t)rl_get_u64(p + 28),
        .first_append_ms = (int64_t)rl_get_u64(p + 36),
    };
}

uint32_t rl_checkpoint_segment_of(const struct rl_checkpoint *checkpoint, int64_t offset)
{
    uint32_t i = checkpoint->segment_count - 1;

    while (i > 0 && checkpoint->segments[i].base_offset > offset)
        i--;
    return i;
}

static bool point_is_valid(const struct rl_checkpoint *checkpoint, struct rl_log_point point)
{
    const struct rl_segment *seg =
        &checkpoint->segments[rl_checkpoint_segment_of(checkpoint, point.offset)];

    return point.offset >= seg->base_offset && point.pos <= seg->size_bytes &&
           (point.pos == 0) == (point.offset == seg->base_offset);
}

static bool is_valid(const struct rl_checkpoint *checkpoint)
{
    if (checkpoint->start_offset < checkpoint->segments[0].base_offset)
        return false;
    for (uint32_t i = 1; i < checkpoint->segment_count; i++) {
        if (checkpoint->segments[i].base_offset <= checkpoint->segments[i - 1].base_offset)
            return false;
    }
    for (uint32_t i = 1; i < checkpoint->epochs.count; i++) {
        if (checkpoint->epochs.entries[i].epoch <= checkpoint->epochs.entries[i - 1].epoch)
            return false;
    }
    for (uint32_t i = 0; i < checkpoint->append_times.count; i++) {
        const struct rl_append_mark *mark = &checkpoint->append_times.marks[i];
        if (mark->offset < 0 || mark->ms < 0 || mark->ms > MARK_MS_MAX ||
            (i > 0 && (mark->offset <= mark[-1].offset || mark->ms < mark[-1].ms)))
            return false;
    }
    return checkpoint->segments[0].base_offset >= 0 &&
           point_is_valid(checkpoint, checkpoint->recovery) &&
           point_is_valid(checkpoint, checkpoint->saved);
}

void rl_checkpoint_encode(const struct rl_checkpoint *checkpoint, struct rl_text *out)
{
    RL_ASSERT(is_valid(checkpoint));    /* or the next start has none */
    size_t bytes = HEADER_BYTES + (size_t)checkpoint->epochs.count * EPOCH_BYTES + 4 +
                   (size_t)checkpoint->segment_count * SEGMENT_BYTES + 4 +
                   (size_t)checkpoint->append_times.count * MARK_BYTES;
    uint8_t *file = (uint8_t *)rl_text_reserve(out, bytes);
    uint8_t *p = file + HEADER_BYTES;

    rl_put_u32(file, MAGIC);
    rl_put_u32(file + 4, VERSION);
    rl_put_u64(file + 12, (uint64_t)checkpoint->start_offset);
    encode_point(file + 20, checkpoint->recovery);
    encode_point(file + 32, checkpoint->saved);
    rl_put_u32(file + 44, checkpoint->epochs.count);
    for (uint32_t i = 0; i < checkpoint->epochs.count; i++, p += EPOCH_BYTES) {
        rl_put_u32(p, (uint32_t)checkpoint->epochs.entries[i].epoch);
        rl_put_u64(p + 4, (uint64_t)checkpoint->epochs.entries[i].start_offset);
    }
    rl_put_u32(p, checkpoint->segment_count);
    p += 4;
    for (uint32_t i = 0; i < checkpoint->segment_count; i++, p += SEGMENT_BYTES)
        encode_segment(p, &checkpoint->segments[i]);
    rl_put_u32(p, checkpoint->append_times.count);
    p += 4;
    for (uint32_t i = 0; i < checkpoint->append_times.count; i++, p += MARK_BYTES) {
        rl_put_u64(p, (uint64_t)checkpoint->append_times.marks[i].offset);
        rl_put_u64(p + 8, (uint64_t)checkpoint->append_times.marks[i].ms);
    }
    rl_put_u32(file + 8, rl_crc32c(0, file + 12, bytes - 12));
    out->bytes += bytes;
    out->data[out->bytes] = '\0';
}

/* The bytes behind the segments; version 1 has none.  False: they do not add up. */
static bool decode_marks(const uint8_t *p, size_t bytes, bool has_marks, struct rl_append_times *ret_times)
{
    uint32_t count = has_marks && bytes >= 4 ? rl_get_u32(p) : 0;

    if (bytes != (has_marks ? 4 + (uint64_t)count * MARK_BYTES : 0) || count > RL_APPEND_MARKS_MAX)
        return false;
    *ret_times = (struct rl_append_times){ count > 0 ? rl_alloc(count * sizeof(struct rl_append_mark)) : NULL,
                                           count, count };
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *mark = p + 4 + (size_t)i * MARK_BYTES;
        ret_times->marks[i] = (struct rl_append_mark){ (int64_t)rl_get_u64(mark),
                                                       (int64_t)rl_get_u64(mark + 8) };
    }
    return true;
}

rl_status rl_checkpoint_decode(struct rl_slice file, struct rl_checkpoint *ret_checkpoint)
{
    const uint8_t *p = file.data;

    if (file.bytes < HEADER_BYTES + 4 || rl_get_u32(p) != MAGIC ||
        (rl_get_u32(p + 4) != VERSION && rl_get_u32(p + 4) != VERSION_WITHOUT_MARKS) ||
        rl_get_u32(p + 8) != rl_crc32c(0, p + 12, file.bytes - 12))
        return RL_ECORRUPT;
    uint32_t epoch_count = rl_get_u32(p + 44);
    if (epoch_count > (file.bytes - HEADER_BYTES - 4) / EPOCH_BYTES)
        return RL_ECORRUPT;
    size_t segments_at = HEADER_BYTES + (size_t)epoch_count * EPOCH_BYTES;
    uint32_t segment_count = rl_get_u32(p + segments_at);
    size_t marks_at = segments_at + 4 + (size_t)segment_count * SEGMENT_BYTES;
    struct rl_append_times times;
    if (segment_count == 0 || segment_count > (file.bytes - segments_at - 4) / SEGMENT_BYTES ||
        !decode_marks(p + marks_at, file.bytes - marks_at, rl_get_u32(p + 4) == VERSION, &times))
        return RL_ECORRUPT;

    struct rl_checkpoint checkpoint = {
        .start_offset = (int64_t)rl_get_u64(p + 12),
        .recovery = decode_point(p + 20),
        .saved = decode_point(p + 32),
        .epochs = { rl_alloc_zero(epoch_count + 1u, sizeof(struct rl_epoch_entry)), epoch_count,
                    epoch_count + 1u },
        .segments = rl_alloc_zero(segment_count, sizeof(struct rl_segment)),
        .segment_count = segment_count,
        .append_times = times,
    };
    for (uint32_t i = 0; i < epoch_count; i++) {
        const uint8_t *e = p + HEADER_BYTES + (size_t)i * EPOCH_BYTES;
        checkpoint.epochs.entries[i] =
            (struct rl_epoch_entry){ (int32_t)rl_get_u32(e), (int64_t)rl_get_u64(e + 4) };
    }
    for (uint32_t i = 0; i < segment_count; i++)
        checkpoint.segments[i] = decode_segment(p + segments_at + 4 + (size_t)i * SEGMENT_BYTES);
    if (!is_valid(&checkpoint)) {
        rl_checkpoint_done(&checkpoint);
        return RL_ECORRUPT;
    }
    *ret_checkpoint = checkpoint;
    return RL_OK;
}

void rl_checkpoint_done(struct rl_checkpoint *checkpoint)
{
    rl_epoch_cache_done(&checkpoint->epochs);
    rl_append_times_done(&checkpoint->append_times);
    rl_free(checkpoint->segments);
    checkpoint->segments = NULL;
}

void rl_epoch_file_encode(const struct rl_epoch_cache *epochs, struct rl_text *out)
{
    rl_text_printf(out, "0\n%" PRIu32 "\n", epochs->count);
    for (uint32_t i = 0; i < epochs->count; i++)
        rl_text_printf(out, "%" PRId32 " %" PRId64 "\n", epochs->entries[i].epoch,
                       epochs->entries[i].start_offset);
}

/* ---- side files ---- */

rl_status rl_side_file_load(struct rl_disk *disk, const char *path, size_t bytes_max,
                            struct rl_text *out)
{
    int fd;
    uint64_t size;
    size_t got = 0;

    rl_status status = rl_disk_open(disk, path, 0, &fd);
    if (status != RL_OK)
        return status;
    status = rl_disk_size(disk, fd, &size);
    if (status == RL_OK && size > bytes_max)
        status = RL_ETOOLARGE;
    if (status == RL_OK)
        status = rl_disk_read(disk, fd, 0, rl_text_reserve(out, (size_t)size), (size_t)size, &got);
    rl_disk_close(disk, fd);
    if (status != RL_OK)
        return status;
    out->bytes += got;
    out->data[out->bytes] = '\0';
    return RL_OK;
}

static rl_status write_all(struct rl_disk *disk, int fd, uint64_t pos, struct rl_slice content)
{
    struct iovec iov = { (void *)(uintptr_t)content.data, content.bytes };
    size_t wrote;

    if (content.bytes == 0)
        return RL_OK;
    return rl_disk_write(disk, fd, pos, &iov, 1, &wrote);
}

/* rl_replace_fill_fn */
static rl_status fill(struct rl_disk *disk, int fd, void *arg, bool *ret_written)
{
    rl_status status = write_all(disk, fd, 0, *(const struct rl_slice *)arg);

    *ret_written = status == RL_OK;
    return status;
}

rl_status rl_side_file_store(struct rl_disk *disk, const char *path, struct rl_slice content,
                             bool sync)
{
    return rl_file_replace(disk, path, sync, fill, &content);
}

rl_status rl_side_file_extend(struct rl_disk *disk, const char *path, uint64_t pos,
                              struct rl_slice content, bool sync)
{
    int fd;
    uint64_t size;

    rl_status status = rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE, &fd);
    if (status != RL_OK)
        return status;
    status = rl_disk_size(disk, fd, &size);
    if (status == RL_OK && size > pos)
        status = rl_disk_truncate(disk, fd, pos);
    if (status == RL_OK)
        status = write_all(disk, fd, pos, content);
    if (status == RL_OK && sync)
        status = rl_disk_sync(disk, fd);
    rl_disk_close(disk, fd);
    return status;
}

/* log/scan.c — every batch of a .log file, sound or not.
 *
 * Happy path: header, body, checksum, next.  The file is read through a window that grows to the
 * largest batch.
 * Failures: what is no sound batch is skipped up to the next place that is one, whose checksum
 * says so; a length field of a damaged header is not believed.  An unreadable file ends the scan. */
#include "log/scan.h"
#include "core/base.h"
#include "log/log_bytes.h"
#include <string.h>

#define WINDOW_BYTES ((size_t)1 << 20)
#define LENGTH_AT 8
#define LENGTH_END 12
#define MAGIC_AT 16
#define MAGIC 2

rl_status rl_log_scan_open(struct rl_log_scan *scan, struct rl_disk *disk, const char *path)
{
    *scan = (struct rl_log_scan){ .disk = disk };
    rl_status status = rl_disk_open(disk, path, 0, &scan->fd);
    if (status != RL_OK)
        return status;
    status = rl_disk_size(disk, scan->fd, &scan->file_bytes);
    if (status != RL_OK)
        rl_disk_close(disk, scan->fd);
    return status;
}

void rl_log_scan_done(struct rl_log_scan *scan)
{
    rl_disk_close(scan->disk, scan->fd);
    rl_text_done(&scan->window);
}

/* Have at least `bytes` from pos on in the window, or as many as there are. */
static rl_status look_at(struct rl_log_scan *scan, uint64_t pos, size_t bytes, uint8_t **ret_data,
                         size_t *ret_available)
{
    struct rl_text *window = &scan->window;
    size_t left = (size_t)RL_MIN(scan->file_bytes - pos, (uint64_t)SIZE_MAX), done;

    bytes = RL_MIN(bytes, left);
    if (pos < scan->window_pos || pos + bytes > scan->window_pos + window->bytes) {
        size_t wanted = RL_MIN(RL_MAX(bytes, WINDOW_BYTES), left);
        rl_text_clear(window);
        rl_status status = rl_disk_read(scan->disk, scan->fd, pos, rl_text_reserve(window, wanted),
                                        wanted, &done);
        if (status != RL_OK)
            return status;
        window->bytes = done;
        scan->window_pos = pos;
        if (done < bytes)
            scan->file_bytes = pos + done;      /* it was cut while we looked */
    }
    size_t at = (size_t)(pos - scan->window_pos);
    *ret_data = (uint8_t *)window->data + at;
    *ret_available = window->bytes - at;
    return RL_OK;
}

/* RL_OK: a sound batch stands at pos; RL_EIO; else what is wrong with it (ret_batch: its header, as
 * far as there is one). */
static rl_status batch_at(struct rl_log_scan *scan, uint64_t pos, struct rl_batch *ret_batch,
                          bool *ret_unreadable)
{
    uint8_t *data;
    size_t available;

    memset(ret_batch, 0, sizeof *ret_batch);
    rl_status status = look_at(scan, pos, RL_BATCH_HEADER_BYTES, &data, &available);
    *ret_unreadable = status != RL_OK;
    if (status != RL_OK)
        return status;
    if (available < RL_BATCH_HEADER_BYTES)
        return RL_ETRUNCATED;
    size_t size_bytes = (size_t)rl_get_u32(data + LENGTH_AT) + LENGTH_END;
    if (size_bytes > RL_LOG_SCAN_BATCH_BYTES_MAX)
        return RL_EMALFORMED;
    if (size_bytes > scan->file_bytes - pos)
        return RL_ETRUNCATED;
    status = look_at(scan, pos, size_bytes, &data, &available);
    *ret_unreadable = status != RL_OK;
    if (status == RL_OK)
        status = rl_batch_read_header(data, available, ret_batch);
    return status == RL_OK ? rl_batch_check(ret_batch) : status;
}

/* The next position behind pos where a sound batch stands; the end of the file if there is none. */
static rl_status find_sound(struct rl_log_scan *scan, uint64_t pos, uint64_t *ret_pos)
{
    struct rl_batch batch;
    uint8_t *data;
    size_t available;
    bool unreadable;

    while (++pos + RL_BATCH_HEADER_BYTES <= scan->file_bytes) {
        rl_status status = look_at(scan, pos, RL_BATCH_HEADER_BYTES, &data, &available);
        if (status != RL_OK)
            return status;
        if (available < RL_BATCH_HEADER_BYTES || data[MAGIC_AT] != MAGIC)
            continue;
        status = batch_at(scan, pos, &batch, &unreadable);
        if (unreadable)
            return status;
        if (status == RL_OK) {
            *ret_pos = pos;
            return RL_OK;
        }
    }
    *ret_pos = scan->file_bytes;
    return RL_OK;
}

rl_status rl_log_scan_next(struct rl_log_scan *scan, struct rl_log_scan_item *ret_item)
{
    bool unreadable;
    uint64_t next_pos = scan->file_bytes;

    *ret_item = (struct rl_log_scan_item){ .kind = RL_SCAN_END, .pos = scan->pos };
    if (scan->pos >= scan->file_bytes)
        return RL_OK;
    rl_status status = batch_at(scan, scan->pos, &ret_item->batch, &unreadable);
    if (unreadable)
        return status;
    ret_item->status = status;
    if (status == RL_OK) {
        ret_item->kind = RL_SCAN_BATCH;
        next_pos = scan->pos + ret_item->batch.size_bytes;
    } else {
        ret_item->batch.bytes = NULL;   /* the window moves */
        status = find_sound(scan, scan->pos, &next_pos);
        if (status != RL_OK)
            return status;
        ret_item->kind = next_pos < scan->file_bytes ? RL_SCAN_DAMAGE : RL_SCAN_TAIL;
    }
    ret_item->bytes = next_pos - scan->pos;
    scan->pos = next_pos;
    return RL_OK;
}

/* log/scan.h — every batch of a .log file, sound or not: an offline look, for people and tests.
 *
 * Blocks; any thread.  (What a start believes is recovery's business, see recovery.h.) */
#ifndef RL_LOG_SCAN_H
#define RL_LOG_SCAN_H

#include "core/text.h"
#include "io/disk.h"
#include "log/batch.h"

/* Larger than any batch a broker takes: a length field beyond is damage. */
#define RL_LOG_SCAN_BATCH_BYTES_MAX ((size_t)256 << 20)

struct rl_log_scan {
    struct rl_disk *disk;
    int fd;
    uint64_t file_bytes;
    uint64_t pos;                       /* where the next look begins */
    struct rl_text window;              /* bytes of the file from window_pos on */
    uint64_t window_pos;
};

enum rl_log_scan_kind {
    RL_SCAN_BATCH,                      /* a sound batch */
    RL_SCAN_DAMAGE,                     /* bytes that are none, and something sound behind them */
    RL_SCAN_TAIL,                       /* bytes that are none, up to the end of the file */
    RL_SCAN_END
};

struct rl_log_scan_item {
    enum rl_log_scan_kind kind;
    uint64_t pos, bytes;                /* in the file */
    rl_status status;                   /* DAMAGE, TAIL: what is wrong with the first batch there */
    struct rl_batch batch;              /* BATCH: lent until the next call; else its header, if any */
};

/* RL_OK; RL_ENOTFOUND, RL_EACCESS, RL_EIO.  Ended by rl_log_scan_done. */
rl_status rl_log_scan_open(struct rl_log_scan *scan, struct rl_disk *disk, const char *path);
void rl_log_scan_done(struct rl_log_scan *scan);
/* RL_OK: ret_item is what stands at pos; RL_EIO: the file cannot be read there. */
rl_status rl_log_scan_next(struct rl_log_scan *scan, struct rl_log_scan_item *ret_item);

#endif

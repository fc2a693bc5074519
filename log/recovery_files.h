/* log/recovery_files.h — what lies in a partition's directory; private to log/, on a helper. */
#ifndef RL_LOG_RECOVERY_FILES_H
#define RL_LOG_RECOVERY_FILES_H

#include "core/slice.h"
#include "core/status.h"
#include "io/disk.h"

struct rl_offsets {
    int64_t *values;                    /* ascending */
    uint32_t count;
    uint32_t capacity;
};

struct rl_partition_files {
    struct rl_offsets segments;         /* base offsets of *.log */
    struct rl_offsets snapshots;        /* offsets of *.snapshot */
    bool sync_failed;                   /* the mark is there */
};

/* List the directory and remove leftovers: *.deleted, and *.tmp unless keep_temporary: after a kill
 * the disk may be busy for seconds with what was written, and an unlink would wait for it, while a
 * start is waited for.  RL_ENOTFOUND; RL_EIO. */
rl_status rl_partition_files_list(struct rl_disk *disk, const char *directory, bool keep_temporary,
                                  struct rl_partition_files *ret_files);
void rl_partition_files_done(struct rl_partition_files *files);
/* Remove a segment's three files; what is not there is fine. */
void rl_segment_unlink(struct rl_disk *disk, const char *directory, int64_t base_offset);
void rl_sync_failed_path(const char *directory, char *path);

#endif

/* log/repair.h — rebuild the index files of a segment from its log; private to log/. */
#ifndef RL_LOG_REPAIR_H
#define RL_LOG_REPAIR_H

#include "core/status.h"
#include "io/disk.h"
#include "log/segment.h"

struct rl_log;
struct rl_file_read;

/* An index was found not to fit the log.  The segment is read without it from now on; a sealed
 * one has it rebuilt by a job.  Shard. */
void rl_repair_index(struct rl_log *log, int64_t segment_base);

/* Helper.  Walk [0, end_pos) of an open .log file and write both index files anew.  seg: in:
 * base_offset; out: entries, largest timestamp. */
rl_status rl_index_rebuild(struct rl_disk *disk, const char *directory, int fd, uint32_t end_pos,
                           int32_t interval_bytes, struct rl_segment *seg);
/* Helper.  Write the entries in seg->index behind those already in the files and free them. */
rl_status rl_index_store(struct rl_disk *disk, const char *directory, struct rl_segment *seg);

#endif

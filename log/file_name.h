/* log/file_name.h — the files of a partition's directory, by name, and what each means. */
#ifndef RL_LOG_FILE_NAME_H
#define RL_LOG_FILE_NAME_H

#include "core/base.h"
#include "core/status.h"
#include "io/disk.h"

enum rl_log_file_kind {
    RL_FILE_LOG,                        /* <offset>.log */
    RL_FILE_INDEX,                      /* <offset>.index */
    RL_FILE_TIME_INDEX,                 /* <offset>.timeindex */
    RL_FILE_SNAPSHOT,                   /* <offset>.snapshot */
    RL_FILE_CHECKPOINT,                 /* ringlog.checkpoint */
    RL_FILE_PARTITION,                  /* partition.metadata */
    RL_FILE_EPOCHS,                     /* leader-epoch-checkpoint, for Kafka's tools */
    RL_FILE_SYNC_FAILED,                /* sync-failed, a mark */
    RL_FILE_TEMPORARY,                  /* *.tmp: a write that was interrupted */
    RL_FILE_DELETED,                    /* *.deleted: on its way out */
    RL_FILE_OTHER
};

struct rl_log_file {
    char *name;
    enum rl_log_file_kind kind;
    int64_t offset;                     /* of its name; -1: none */
};

/* What a name (without a directory) means. */
enum rl_log_file_kind rl_log_file_kind(const char *name, int64_t *ret_offset);

struct rl_log_files {
    struct rl_log_file *files;          /* by name, which is also by offset */
    uint32_t count;
    char **directories;                 /* within it, by name */
    uint32_t directory_count;
};
/* Blocks.  RL_OK; RL_ENOTFOUND: no such directory; RL_EACCESS, RL_EIO. */
rl_status rl_log_files_list(struct rl_disk *disk, const char *directory, struct rl_log_files *ret_files);
void rl_log_files_done(struct rl_log_files *files);

#endif

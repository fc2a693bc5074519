/* broker/data_directory.h — whose data directory is this, and is it ours to use?
 *
 * DIR/meta.properties names the cluster, the node and the format.  An empty directory is
 * formatted; one that holds anything else is refused, never reformatted.  One process at a time
 * holds DIR/.lock. */
#ifndef RL_BROKER_DATA_DIRECTORY_H
#define RL_BROKER_DATA_DIRECTORY_H

#include "core/slice.h"
#include "core/status.h"
#include "io/disk.h"

#define RL_DATA_DIRECTORY_FORMAT 1
#define RL_DATA_DIRECTORY_MESSAGE_BYTES (2 * RL_PATH_BYTES + 512)

struct rl_data_directory_options {
    const char *path;
    int32_t node_id;
    uint32_t user_id;                   /* who runs this process, for messages */
    /* The owner of an existing path, for messages; false: not known.  NULL: never known. */
    bool (*owner)(const char *path, uint32_t *ret_user_id);
    /* Random bytes for a new cluster id.  RL_OK, or RL_EIO. */
    rl_status (*random)(void *arg, void *data, size_t bytes);
    void *random_arg;
};

struct rl_data_directory {
    char cluster_id[RL_UUID_TEXT_BYTES];
    bool formatted;                     /* it was empty and is ours now */
    int lock_fd;
};

/* Make the directory when it is missing (with its parents), lock it, and read or write its
 * meta.properties.  Blocks: main thread, before the shards start.  Returns RL_OK;
 *   RL_EBUSY     another process holds the lock
 *   RL_EVERSION  written by a newer ringlog, or by Apache Kafka
 *   RL_EEXIST    holds files of somebody else
 *   RL_EINVAL    belongs to another node id
 *   RL_ECORRUPT  meta.properties cannot be read or lacks something
 *   or what the disk says;
 * then message is one line without newline that names the path and the remedy, and nothing is
 * held. */
rl_status rl_data_directory_open(struct rl_disk *disk,
                                 const struct rl_data_directory_options *options,
                                 struct rl_data_directory *ret_directory,
                                 char message[RL_DATA_DIRECTORY_MESSAGE_BYTES]);
/* Give the lock back. */
void rl_data_directory_close(struct rl_disk *disk, struct rl_data_directory *directory);

#endif

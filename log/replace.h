/* log/replace.h — a new file in the place of an old one, whole or not at all; private to log/.
 *
 * It is written under a name that ends in ".tmp", synced, and renamed.  A file system that has just
 * freed blocks which fail likes to give them again: a file that could not be written is kept, with
 * its blocks, until the next one is.  A start that finds any of them removes it: recovery in
 * a partition's directory, log_directory.c in the data directory. */
#ifndef RL_LOG_REPLACE_H
#define RL_LOG_REPLACE_H

#include "core/status.h"
#include "io/disk.h"

/* Write what belongs into fd, an empty file.  ret_written false: fd did not take it; true at first.
 * Runs again for each file that is tried. */
typedef rl_status rl_replace_fill_fn(struct rl_disk *disk, int fd, void *arg, bool *ret_written);

/* Blocks.  sync: what was written is on the device before it has its name; the name itself is only
 * after a sync of the directory.  RL_OK; what fill returned; RL_EIO, RL_ENOSPACE, RL_EMFILE, RL_EACCESS,
 * RL_EREADONLY: nothing has changed.  RL_EIO, too, when the only space left is where the device failed. */
rl_status rl_file_replace(struct rl_disk *disk, const char *path, bool sync, rl_replace_fill_fn *fill,
                          void *arg);

#endif

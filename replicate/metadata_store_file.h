/* replicate/metadata_store_file.h — a local metadata store's one file: recover, append, rewrite.
 *
 * "Helper" functions block and run inside an RL_OP_JOB; the shard keeps its hands off the file
 * and the tree meanwhile.  The format is described in metadata_store_file.c. */
#ifndef RL_REPLICATE_METADATA_STORE_FILE_H
#define RL_REPLICATE_METADATA_STORE_FILE_H

#include "core/status.h"
#include "core/text.h"
#include "io/disk.h"
#include "replicate/metadata_store_tree.h"

struct rl_metadata_file {
    struct rl_disk *disk;
    char *directory, *path, *path_new;  /* owned */
    int fd;                             /* -1: not open */
    uint32_t salt;                      /* CRC of the file id: every record's CRC begins with it */
    uint64_t bytes;                     /* end of the last record */
    uint64_t durable_bytes;             /* on stable storage: all of it, but for a seal at the end */
    uint64_t sealed_bytes;              /* == bytes: the last record is an empty one */
    uint64_t sequence;                  /* of the next record */
};

/* Copies the path.  Nothing is touched yet. */
void rl_metadata_file_init(struct rl_metadata_file *file, struct rl_disk *disk,
                           const char *directory);
/* Close the descriptor, free what init made. */
void rl_metadata_file_done(struct rl_metadata_file *file);
/* Helper.  Make the directory and an empty file if missing, read everything into the empty
 * `tree`, cut a torn tail.  id: random bits, for a file that is made.  RL_ECORRUPT, RL_EVERSION
 * (logged, nothing changed on disk), or what the disk says. */
rl_status rl_metadata_file_open(struct rl_metadata_file *file, struct rl_metadata_tree *tree,
                                uint64_t id);
/* Helper.  Write `records` at the end and sync.  RL_OK; RL_ENOSPACE: there was no room, the file
 * is as before and goes on working; any other: the file must not be written again. */
rl_status rl_metadata_file_append(struct rl_metadata_file *file, const struct rl_text *records,
                                  uint32_t record_count);
/* Helper.  Append an empty record: proof that all before it was on stable storage, so that later
 * damage there cannot be taken for a torn tail.  As append. */
rl_status rl_metadata_file_seal(struct rl_metadata_file *file);
/* Helper.  Replace the file by a new one with just the entries of `tree`.  RL_OK; RL_EBUSY: the
 * new file could not be made (logged), the old one goes on; any other: as append. */
rl_status rl_metadata_file_rewrite(struct rl_metadata_file *file,
                                   const struct rl_metadata_tree *tree, uint64_t id);

/* A record under construction, at the end of a text. */
struct rl_metadata_record {
    size_t at;                          /* where it begins in the text */
    uint32_t op_count;
};
#define RL_METADATA_RECORD_BYTES_MAX (64u << 20)
/* A larger file is not read. */
#define RL_METADATA_FILE_BYTES_MAX (UINT64_C(1) << 30)
/* What all entries take in a file that holds nothing else (without its records' heads). */
uint64_t rl_metadata_file_bytes_of(const struct rl_metadata_tree *tree);

struct rl_metadata_record rl_metadata_record_begin(struct rl_text *text);
void rl_metadata_record_put(struct rl_text *text, struct rl_metadata_record *record,
                            const struct rl_metadata_entry *entry);
/* version: the one that is removed. */
void rl_metadata_record_remove(struct rl_text *text, struct rl_metadata_record *record,
                               struct rl_slice key, int64_t version);
/* Length, numbers and checksum.  index: records that stand before it in the same append.
 * RL_ETOOLARGE: taken out of the text again. */
rl_status rl_metadata_record_end(struct rl_text *text, const struct rl_metadata_record *record,
                                 const struct rl_metadata_file *file, uint32_t index);

#endif

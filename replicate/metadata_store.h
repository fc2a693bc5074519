/* replicate/metadata_store.h — where the cluster's facts live: a small tree of versioned values.
 *
 * One interface, several homes (design decision 5).  `local:DIR` is an in-memory tree with its
 * own checksummed log and snapshot in DIR; a ZooKeeper home comes later behind the same calls.
 * Everything is asynchronous: done runs on the calling shard (shard 0, the controller's), in the
 * order of the calls, never inside them.  Keys are paths such as "topics/<name>"; values are bytes
 * of at most RL_METADATA_VALUE_BYTES_MAX.  No Kafka type appears here.
 *
 * Failures: a store that cannot be read does not open (RL_ECORRUPT with an explanation logged);
 * a commit that cannot be made durable fails the store: every later commit answers RL_EIO. */
#ifndef RL_REPLICATE_METADATA_STORE_H
#define RL_REPLICATE_METADATA_STORE_H

#include "core/slice.h"
#include "core/status.h"
#include "io/shard.h"

#define RL_METADATA_VALUE_BYTES_MAX (1u << 20)
#define RL_METADATA_KEY_BYTES_MAX 512

struct rl_metadata_store;

enum { RL_METADATA_ANY_VERSION = -1, RL_METADATA_MUST_NOT_EXIST = 0 };

struct rl_metadata_op {
    bool remove;                        /* otherwise put */
    struct rl_slice key, value;         /* lent until done */
    int64_t expected_version;           /* -1 any; 0 must not exist; n exactly this one */
};

/* RL_OK: all of it is on stable storage.  Nothing was changed: RL_EVERSION; RL_EINVAL (size of a
 * key or value); RL_ETOOLARGE; RL_ENOSPACE; RL_EFULL: with it the store would be larger than a
 * start can read, which is logged (to remove something, or to change a few bytes, is still
 * possible).  RL_EIO: the store has failed; what a later open
 * finds of this commit is all or nothing. */
typedef void rl_metadata_commit_fn(void *arg, rl_status status);
/* Once per entry in key order, then once with key.data == NULL and the final status. */
typedef void rl_metadata_entry_fn(void *arg, rl_status status, struct rl_slice key,
                                  struct rl_slice value, int64_t version);

/* url: "local:DIR" (created when missing).  done(arg, status, store).  RL_EUNSUPPORTED for a
 * scheme that is not there; RL_ECORRUPT; RL_EVERSION: written by a newer ringlog. */
void rl_metadata_store_open(struct rl_shard *shard, const char *url,
                            void (*done)(void *arg, rl_status status,
                                         struct rl_metadata_store *store),
                            void *arg);
void rl_metadata_store_close(struct rl_metadata_store *store, void (*done)(void *arg), void *arg);
/* All entries whose key begins with prefix. */
void rl_metadata_store_list(struct rl_metadata_store *store, const char *prefix,
                            rl_metadata_entry_fn *entry, void *arg);
/* All ops or none, durable before done.  The first put of a key makes version 1, each later one
 * adds 1; removing what is not there is fine unless a version is expected.  An op sees the ones
 * before it in the same commit. */
void rl_metadata_store_commit(struct rl_metadata_store *store, const struct rl_metadata_op *ops,
                              uint32_t op_count, rl_metadata_commit_fn *done, void *arg);
/* Most that all entries may take in the file; 256 MiB at first. */
void rl_metadata_store_set_bytes_max(struct rl_metadata_store *store, uint64_t bytes);
/* Rewrite the file when it is larger than this and than twice the live data; 4 MiB at first. */
void rl_metadata_store_set_rewrite_bytes(struct rl_metadata_store *store, uint64_t bytes);

#endif

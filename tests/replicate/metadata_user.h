/* tests/replicate/metadata_user.h — a test that uses a metadata store: one call at a time.
 *
 *     user_open -> user_commit, user_list ... -> user_close
 *
 * Each call runs the rig until its answer is there, and asserts that it never comes inside the call. */
#ifndef TESTS_REPLICATE_METADATA_USER_H
#define TESTS_REPLICATE_METADATA_USER_H

#include "core/logger.h"
#include "metadata_rig.h"
#include "replicate/metadata_store.h"
#include "replicate/metadata_store_tree.h"

#define USER_PATH "meta/metadata.log"   /* of a store at "local:meta" */
#define USER_SEAL_BYTES 32

struct user {
    struct rig *rig;
    const char *url;
    struct rl_metadata_store *store;
    rl_status status;
    uint32_t answered;
    bool open, closed;
    /* the commit */
    struct rl_metadata_op *ops;
    uint32_t op_count;
    /* the list */
    const char *prefix;
    struct rl_metadata_tree found;
};

/* A sink for lines that a test expects. */
static inline void quiet(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg, (void)level, (void)line, (void)bytes;
}

static inline struct rl_metadata_op put(const char *key, const char *value, int64_t expected)
{
    return (struct rl_metadata_op){ .key = rl_slice_of_string(key),
                                    .value = rl_slice_of_string(value),
                                    .expected_version = expected };
}

static inline struct rl_metadata_op take(const char *key, int64_t expected)
{
    return (struct rl_metadata_op){ .remove = true, .key = rl_slice_of_string(key),
                                    .expected_version = expected };
}

rl_status user_open(struct user *u, struct rig *rig, const char *url);
void user_close(struct user *u);
rl_status user_commit(struct user *u, struct rl_metadata_op *ops, uint32_t op_count);
/* For commits that a test makes by itself; arg is the user. */
void on_committed(void *arg, rl_status status);
/* Freed by rl_metadata_tree_done. */
struct rl_metadata_tree user_list(struct user *u, const char *prefix);
void expect_entry(const struct rl_metadata_tree *tree, const char *key, const char *value,
                  int64_t version);

#endif

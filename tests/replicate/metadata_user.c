/* tests/replicate/metadata_user.c — calls of a metadata store, one at a time. */
#include "metadata_user.h"
#include <criterion/criterion.h>

static void on_opened(void *arg, rl_status status, struct rl_metadata_store *store)
{
    struct user *u = arg;
    u->status = status;
    u->store = store;
    u->open = status == RL_OK;
    u->answered++;
}

static void do_open(struct rl_shard *shard, void *arg)
{
    struct user *u = arg;
    rl_metadata_store_open(shard, u->url, on_opened, u);
    cr_assert_eq(u->answered, 0, "done ran inside the call");
}

rl_status user_open(struct user *u, struct rig *rig, const char *url)
{
    *u = (struct user){ .rig = rig, .url = url };
    rig_call(rig, 0, do_open, u);
    cr_assert_eq(u->answered, 1);
    return u->status;
}

static void on_closed(void *arg)
{
    struct user *u = arg;
    u->closed = true;
}

static void do_close(struct rl_shard *shard, void *arg)
{
    struct user *u = arg;
    (void)shard;
    rl_metadata_store_close(u->store, on_closed, u);
}

void user_close(struct user *u)
{
    if (u->open)
        rig_call(u->rig, 0, do_close, u);
    cr_assert_eq(u->closed, u->open);
    u->open = u->closed = false;
}

void on_committed(void *arg, rl_status status)
{
    struct user *u = arg;
    u->status = status;
    u->answered++;
}

static void do_commit(struct rl_shard *shard, void *arg)
{
    struct user *u = arg;
    (void)shard;
    rl_metadata_store_commit(u->store, u->ops, u->op_count, on_committed, u);
    cr_assert_eq(u->answered, 0, "done ran inside the call");
}

rl_status user_commit(struct user *u, struct rl_metadata_op *ops, uint32_t op_count)
{
    u->ops = ops;
    u->op_count = op_count;
    u->answered = 0;
    rig_call(u->rig, 0, do_commit, u);
    cr_assert_eq(u->answered, 1);
    return u->status;
}

static void on_entry(void *arg, rl_status status, struct rl_slice key, struct rl_slice value,
                     int64_t version)
{
    struct user *u = arg;
    u->status = status;
    if (key.data == NULL) {
        u->answered++;
        return;
    }
    cr_assert_eq(rl_metadata_tree_at(&u->found, key), u->found.count, "not in order of keys");
    cr_assert_null(rl_metadata_tree_swap(&u->found, key,
                                         rl_metadata_entry_create(key, value, version)));
}

static void do_list(struct rl_shard *shard, void *arg)
{
    struct user *u = arg;
    (void)shard;
    rl_metadata_store_list(u->store, u->prefix, on_entry, u);
    cr_assert_eq(u->answered, 0);
}

struct rl_metadata_tree user_list(struct user *u, const char *prefix)
{
    u->prefix = prefix;
    u->answered = 0;
    u->found = (struct rl_metadata_tree){ 0 };
    rig_call(u->rig, 0, do_list, u);
    cr_assert_eq(u->answered, 1);
    cr_assert_eq(u->status, RL_OK);
    return u->found;
}

void expect_entry(const struct rl_metadata_tree *tree, const char *key, const char *value,
                         int64_t version)
{
    const struct rl_metadata_entry *entry = rl_metadata_tree_find(tree, rl_slice_of_string(key));
    cr_assert_not_null(entry, "%s is missing", key);
    cr_assert(rl_slice_equal_string(rl_metadata_entry_value(entry), value), "%s", key);
    cr_assert_eq(entry->version, version, "%s", key);
}

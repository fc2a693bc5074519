/* replicate/metadata_store.c — the store behind `local:DIR`: requests in order, commits in groups.
 *
 * Happy path: a call is queued; a message to ourselves lets everything else of this turn be
 * queued too; then the commits at the head of the queue become one group.  Each is checked and
 * applied to the tree, its record encoded; one helper job writes and syncs all records; then all
 * are answered, in order.  One group is in flight at a time and a list waits for it, so nothing
 * is ever shown that is not on stable storage.
 *
 * Failures: a commit whose versions do not fit is undone and answered RL_EVERSION, its
 * neighbours go on.  No space: the group is undone and answered RL_ENOSPACE.  Any other failure
 * to write or sync: the store has failed, this and every later call answers RL_EIO.  A commit that
 * would make the store larger than a start can read answers RL_EFULL. */
#include "replicate/metadata_store.h"
#include "core/list.h"
#include "core/logger.h"
#include "core/memory.h"
#include "io/op.h"
#include "replicate/metadata_store_file.h"
#include "replicate/metadata_store_tree.h"

#define STORE_GROUP_BYTES (8u << 20)    /* about; more commits wait for the next group */
#define STORE_REWRITE_BYTES (4u << 20)
/* What lives may take a quarter of the largest file: twice that is when it is rewritten. */
#define STORE_BYTES_MAX (RL_METADATA_FILE_BYTES_MAX / 4)
/* A commit that adds only so much may take a sixteenth more: who is full can still delete. */
#define STORE_SMALL_BYTES 64u
#define STORE_SMALL_SHARE 16u

enum request_kind { REQUEST_COMMIT, REQUEST_LIST, REQUEST_CLOSE };

struct request {
    struct rl_list link;
    enum request_kind kind;
    rl_status status;
    void *arg;
    union {
        struct {
            const struct rl_metadata_op *ops;
            uint32_t op_count;
            rl_metadata_commit_fn *done;
        } commit;
        struct { char *prefix; rl_metadata_entry_fn *entry; } list;
        struct { void (*done)(void *arg); } close;
    };
};

struct change {                         /* one swap in the tree, for the way back */
    struct rl_metadata_entry *before, *now;
};

struct rl_metadata_store {
    struct rl_shard *shard;
    struct rl_metadata_file file;
    struct rl_metadata_tree tree;
    struct rl_list queue;
    struct rl_msg kick;                 /* to ourselves: look at the queue */
    bool kicked;
    bool working;                       /* job is in flight: hands off file and tree */
    bool closing;
    rl_status failed;
    uint64_t bytes_max;                 /* that all entries may take in a file */
    uint64_t rewrite_bytes;             /* smallest file that is rewritten */
    uint64_t rewrite_again_bytes;       /* after a rewrite that failed for lack of space */
    struct rl_op job;
    uint64_t job_id;                    /* random bits for a file the job may make */
    /* the group in flight */
    struct rl_list group;
    struct rl_text records;
    uint32_t record_count;
    struct change *changes;
    size_t change_count, change_capacity;
    /* open */
    void (*opened)(void *arg, rl_status status, struct rl_metadata_store *store);
    void *opened_arg;
};

static void store_run(struct rl_metadata_store *store);

static void store_submit(struct rl_metadata_store *store, rl_op_fn *run, rl_op_fn *done)
{
    RL_ASSERT(!store->working);
    store->working = true;
    store->job = (struct rl_op){ .kind = RL_OP_JOB, .done = done, .arg = store,
                                 .job = { .run = run } };
    rl_submit(store->shard, &store->job);
}

/* ---- one commit ---- */

static rl_status op_check(const struct rl_metadata_op *op, const struct rl_metadata_entry *before)
{
    int64_t version = before != NULL ? before->version : RL_METADATA_MUST_NOT_EXIST;
    if (op->key.bytes == 0 || op->key.bytes > RL_METADATA_KEY_BYTES_MAX ||
        op->value.bytes > RL_METADATA_VALUE_BYTES_MAX)
        return RL_EINVAL;
    if (op->expected_version != RL_METADATA_ANY_VERSION && op->expected_version != version)
        return RL_EVERSION;
    return RL_OK;
}

static void change_note(struct rl_metadata_store *store, struct change change)
{
    if (store->change_count == store->change_capacity) {
        store->change_capacity = RL_MAX((size_t)64, store->change_capacity * 2);
        store->changes = rl_realloc(store->changes,
                                    store->change_capacity * sizeof *store->changes);
    }
    store->changes[store->change_count++] = change;
}

/* Take back the changes from `first` on, the last one first. */
static void changes_undo(struct rl_metadata_store *store, size_t first)
{
    while (store->change_count > first) {
        struct change *change = &store->changes[--store->change_count];
        struct rl_metadata_entry *known = change->now != NULL ? change->now : change->before;
        rl_metadata_tree_swap(&store->tree, rl_metadata_entry_key(known), change->before);
        rl_free(change->now);
    }
}

static rl_status op_apply(struct rl_metadata_store *store, const struct rl_metadata_op *op,
                          struct rl_metadata_record *record)
{
    struct rl_metadata_entry *before = rl_metadata_tree_find(&store->tree, op->key);
    rl_status status = op_check(op, before);
    if (status != RL_OK || (op->remove && before == NULL))
        return status;                                  /* removing nothing changes nothing */
    struct rl_metadata_entry *now = NULL;
    if (op->remove) {
        rl_metadata_record_remove(&store->records, record, op->key, before->version);
    } else {
        int64_t version = before != NULL ? before->version + 1 : 1;
        now = rl_metadata_entry_create(op->key, op->value, version);
        rl_metadata_record_put(&store->records, record, now);
    }
    rl_metadata_tree_swap(&store->tree, op->key, now);
    change_note(store, (struct change){ .before = before, .now = now });
    return RL_OK;
}

/* What was applied since the entries took before_bytes must leave a file that a start can read. */
static rl_status commit_check_size(const struct rl_metadata_store *store, uint64_t before_bytes)
{
    uint64_t bytes = rl_metadata_file_bytes_of(&store->tree), most = store->bytes_max;
    if (bytes > before_bytes && bytes - before_bytes <= STORE_SMALL_BYTES)
        most += most / STORE_SMALL_SHARE;
    if (bytes > before_bytes && bytes > most) {
        RL_ERROR_EVERY(10, "metadata", "%s is full: topics and settings would take %llu bytes, %llu"
                       " are the most; delete some", store->file.path, (unsigned long long)bytes,
                       (unsigned long long)store->bytes_max);
        return RL_EFULL;
    }
    /* It grows so far only where it could not be rewritten for lack of space. */
    return store->file.bytes + store->records.bytes > RL_METADATA_FILE_BYTES_MAX ? RL_ENOSPACE : RL_OK;
}

/* Add a commit's record to the group, or leave everything as it was. */
static rl_status commit_apply(struct rl_metadata_store *store, const struct request *request)
{
    struct rl_metadata_record record = rl_metadata_record_begin(&store->records);
    uint64_t before_bytes = rl_metadata_file_bytes_of(&store->tree);
    size_t first = store->change_count;
    rl_status status = RL_OK;
    for (uint32_t i = 0; i < request->commit.op_count && status == RL_OK; i++)
        status = op_apply(store, &request->commit.ops[i], &record);
    if (status == RL_OK)
        status = commit_check_size(store, before_bytes);
    if (status == RL_OK && record.op_count > 0) {
        status = rl_metadata_record_end(&store->records, &record, &store->file,
                                        store->record_count);
        store->record_count += status == RL_OK;
    } else {
        store->records.bytes = record.at;
    }
    if (status != RL_OK)
        changes_undo(store, first);
    return status;
}

/* ---- a group ---- */

static void group_answer(struct rl_metadata_store *store, rl_status status)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&store->group)) != NULL) {
        struct request *request = RL_LIST_ENTRY(link, struct request, link);
        if (request->status == RL_OK)
            request->status = status;
        request->commit.done(request->arg, request->status);
        rl_free(request);
    }
}

static void store_fail(struct rl_metadata_store *store, rl_status status)
{
    RL_ERROR("metadata", "%s cannot be written any more: %s; topics stay as they are until a"
             " restart", store->file.path, rl_status_text(status));
    store->failed = RL_EIO;
}

static void rewrite_run(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    op->status = rl_metadata_file_rewrite(&store->file, &store->tree, store->job_id);
}

static void rewrite_done(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    store->working = false;
    store->rewrite_again_bytes = 0;
    if (op->status == RL_EBUSY)
        store->rewrite_again_bytes = store->file.bytes + store->file.bytes / 4;
    else if (op->status != RL_OK)
        store_fail(store, op->status);
    store_run(store);
}

/* The file is large and mostly dead. */
static bool store_wants_rewrite(const struct rl_metadata_store *store)
{
    uint64_t bytes = store->file.bytes;
    return store->failed == RL_OK && bytes > store->rewrite_bytes &&
           bytes > store->rewrite_again_bytes && bytes / 2 > store->tree.live_bytes;
}

static void group_run(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    op->status = rl_metadata_file_append(&store->file, &store->records, store->record_count);
}

static void group_done(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    store->working = false;
    if (op->status == RL_OK) {
        for (size_t i = 0; i < store->change_count; i++)
            rl_free(store->changes[i].before);
        store->change_count = 0;
    } else {
        changes_undo(store, 0);
        if (op->status != RL_ENOSPACE)
            store_fail(store, op->status);
    }
    rl_text_clear(&store->records);
    store->record_count = 0;
    group_answer(store, op->status == RL_OK || op->status == RL_ENOSPACE ? op->status : RL_EIO);

    if (store_wants_rewrite(store)) {
        store->job_id = rl_shard_random(store->shard);
        store_submit(store, rewrite_run, rewrite_done);
    }
    store_run(store);
}

/* The commits at the head of the queue, up to the first that is none. */
static void group_begin(struct rl_metadata_store *store)
{
    struct rl_list *link;
    while ((link = rl_list_first(&store->queue)) != NULL &&
           store->records.bytes < STORE_GROUP_BYTES) {
        struct request *request = RL_LIST_ENTRY(link, struct request, link);
        if (request->kind != REQUEST_COMMIT)
            break;
        rl_list_remove(link);
        rl_list_push_back(&store->group, link);
        request->status = store->failed != RL_OK ? store->failed : commit_apply(store, request);
    }
    if (store->record_count > 0)
        store_submit(store, group_run, group_done);
    else
        group_answer(store, RL_OK);
}

/* ---- list and close ---- */

static void list_run(struct rl_metadata_store *store, const struct request *request)
{
    struct rl_slice prefix = rl_slice_of_string(request->list.prefix);
    uint32_t at = rl_metadata_tree_at(&store->tree, prefix);
    for (; store->failed == RL_OK && at < store->tree.count; at++) {
        const struct rl_metadata_entry *entry = store->tree.entries[at];
        struct rl_slice key = rl_metadata_entry_key(entry);
        if (key.bytes < prefix.bytes || memcmp(key.data, prefix.data, prefix.bytes) != 0)
            break;
        request->list.entry(request->arg, RL_OK, key, rl_metadata_entry_value(entry),
                            entry->version);
    }
    request->list.entry(request->arg, store->failed, rl_slice_of(NULL, 0), rl_slice_of(NULL, 0), 0);
}

static void store_free(struct rl_metadata_store *store)
{
    RL_ASSERT(rl_list_empty(&store->queue) && rl_list_empty(&store->group));
    rl_metadata_file_done(&store->file);
    rl_metadata_tree_done(&store->tree);
    rl_text_done(&store->records);
    rl_free(store->changes);
    rl_free(store);
}

static void close_run(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    op->status = store->failed == RL_OK ? rl_metadata_file_seal(&store->file) : RL_OK;
}

static void close_done(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    struct request *request = RL_LIST_ENTRY(rl_list_pop_front(&store->queue), struct request, link);
    if (op->status != RL_OK)
        RL_WARN("metadata", "%s was not sealed: %s; all commits are safe", store->file.path,
                rl_status_text(op->status));
    store_free(store);
    request->close.done(request->arg);
    rl_free(request);
}

/* ---- the queue ---- */

/* From the loop only.  Ends when the queue is empty or a job is in flight. */
static void store_run(struct rl_metadata_store *store)
{
    struct rl_list *link;
    while (!store->working && (link = rl_list_first(&store->queue)) != NULL) {
        struct request *request = RL_LIST_ENTRY(link, struct request, link);
        switch (request->kind) {
        case REQUEST_COMMIT:
            group_begin(store);
            break;
        case REQUEST_LIST:
            rl_list_remove(link);
            list_run(store, request);
            rl_free(request->list.prefix);
            rl_free(request);
            break;
        case REQUEST_CLOSE:
            if (store->kicked)
                return;                                 /* that message is ours: after it */
            store_submit(store, close_run, close_done);
            break;
        }
    }
}

static void on_kick(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_store *store = RL_CONTAINER_OF(msg, struct rl_metadata_store, kick);
    (void)shard;
    store->kicked = false;
    store_run(store);
}

static void store_queue(struct rl_metadata_store *store, struct request request)
{
    RL_ASSERT(rl_self == store->shard && !store->closing);
    struct request *copy = rl_alloc(sizeof *copy);
    *copy = request;
    rl_list_push_back(&store->queue, &copy->link);
    store->closing = request.kind == REQUEST_CLOSE;
    if (store->kicked || store->working)
        return;                                         /* somebody will look */
    store->kicked = true;
    store->kick.handle = on_kick;
    rl_shard_post(store->shard, &store->kick);
}

void rl_metadata_store_commit(struct rl_metadata_store *store, const struct rl_metadata_op *ops,
                              uint32_t op_count, rl_metadata_commit_fn *done, void *arg)
{
    store_queue(store, (struct request){ .kind = REQUEST_COMMIT, .arg = arg,
                                         .commit = { .ops = ops, .op_count = op_count,
                                                     .done = done } });
}

void rl_metadata_store_list(struct rl_metadata_store *store, const char *prefix,
                            rl_metadata_entry_fn *entry, void *arg)
{
    store_queue(store, (struct request){ .kind = REQUEST_LIST, .arg = arg,
                                         .list = { .prefix = rl_strdup(prefix), .entry = entry } });
}

void rl_metadata_store_close(struct rl_metadata_store *store, void (*done)(void *arg), void *arg)
{
    store_queue(store, (struct request){ .kind = REQUEST_CLOSE, .arg = arg,
                                         .close = { .done = done } });
}

void rl_metadata_store_set_bytes_max(struct rl_metadata_store *store, uint64_t bytes)
{
    store->bytes_max = bytes;
}

void rl_metadata_store_set_rewrite_bytes(struct rl_metadata_store *store, uint64_t bytes)
{
    store->rewrite_bytes = bytes;
}

/* ---- open ---- */

static void open_run(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    op->status = store->failed != RL_OK ? store->failed
               : rl_metadata_file_open(&store->file, &store->tree, store->job_id);
}

static void open_done(struct rl_op *op)
{
    struct rl_metadata_store *store = op->arg;
    rl_status status = op->status;
    store->working = false;
    if (status == RL_OK) {
        store->opened(store->opened_arg, RL_OK, store);
        return;
    }
    store->opened(store->opened_arg, status, NULL);
    store_free(store);
}

void rl_metadata_store_open(struct rl_shard *shard, const char *url,
                            void (*done)(void *arg, rl_status status,
                                         struct rl_metadata_store *store),
                            void *arg)
{
    static const char scheme[] = "local:";
    struct rl_metadata_store *store = rl_alloc_zero(1, sizeof *store);
    bool local = strncmp(url, scheme, sizeof scheme - 1) == 0 && url[sizeof scheme - 1] != '\0';
    store->shard = shard;
    store->bytes_max = STORE_BYTES_MAX;
    store->rewrite_bytes = STORE_REWRITE_BYTES;
    store->failed = local ? RL_OK : RL_EUNSUPPORTED;
    store->opened = done;
    store->opened_arg = arg;
    store->job_id = rl_shard_random(shard);
    rl_list_init(&store->queue);
    rl_list_init(&store->group);
    rl_metadata_file_init(&store->file, shard->disk, local ? url + sizeof scheme - 1 : "");
    if (!local)
        RL_ERROR("metadata", "no metadata store for \"%s\"; this ringlog knows local:DIR", url);
    store_submit(store, open_run, open_done);
}

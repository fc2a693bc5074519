/* tests/replicate/test_metadata_store.c — the local store against a model, under power cuts and
 * with every byte of its file damaged. */
#include "core/crc32c.h"
#include "core/logger.h"
#include "core/memory.h"
#include "metadata_rig.h"
#include "replicate/metadata_store.h"
#include "replicate/metadata_store_tree.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define PATH "meta/metadata.log"

TestSuite(metadata_store);

static void quiet(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg, (void)level, (void)line, (void)bytes;
}

/* ---- calls, one at a time ---- */

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

static rl_status user_open(struct user *u, struct rig *rig, const char *url)
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

static void user_close(struct user *u)
{
    if (u->open)
        rig_call(u->rig, 0, do_close, u);
    cr_assert_eq(u->closed, u->open);
    u->open = u->closed = false;
}

static void on_committed(void *arg, rl_status status)
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

static rl_status user_commit(struct user *u, struct rl_metadata_op *ops, uint32_t op_count)
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

/* Freed by rl_metadata_tree_done. */
static struct rl_metadata_tree user_list(struct user *u, const char *prefix)
{
    u->prefix = prefix;
    u->answered = 0;
    u->found = (struct rl_metadata_tree){ 0 };
    rig_call(u->rig, 0, do_list, u);
    cr_assert_eq(u->answered, 1);
    cr_assert_eq(u->status, RL_OK);
    return u->found;
}

static struct rl_metadata_op put(const char *key, const char *value, int64_t expected)
{
    return (struct rl_metadata_op){ .key = rl_slice_of_string(key),
                                    .value = rl_slice_of_string(value),
                                    .expected_version = expected };
}

static struct rl_metadata_op take(const char *key, int64_t expected)
{
    return (struct rl_metadata_op){ .remove = true, .key = rl_slice_of_string(key),
                                    .expected_version = expected };
}

static void expect_entry(const struct rl_metadata_tree *tree, const char *key, const char *value,
                         int64_t version)
{
    const struct rl_metadata_entry *entry = rl_metadata_tree_find(tree, rl_slice_of_string(key));
    cr_assert_not_null(entry, "%s is missing", key);
    cr_assert(rl_slice_equal_string(rl_metadata_entry_value(entry), value), "%s", key);
    cr_assert_eq(entry->version, version, "%s", key);
}

Test(metadata_store, versions_and_transactions)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 1);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);

    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 0) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 2) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "3", -1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("b", -1) }, 1), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("b", 1) }, 1), RL_EVERSION);
    cr_assert_eq(user_commit(&u, NULL, 0), RL_OK);
    /* The second op fails: the first one did not happen. */
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "x", 0),
                                                            put("a", "x", 7) }, 2), RL_EVERSION);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "y", 0),
                                                            put("b", "z", 1) }, 2), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("", "x", -1) }, 1), RL_EINVAL);

    for (int reopened = 0; reopened < 2; reopened++) {
        struct rl_metadata_tree all = user_list(&u, "");
        cr_assert_eq(all.count, 2);
        expect_entry(&all, "a", "3", 3);
        expect_entry(&all, "b", "z", 2);
        rl_metadata_tree_done(&all);
        user_close(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    }
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("a", 3), put("b/c", "", 0),
                                                            put("b/d", "", 0) }, 3), RL_OK);
    struct rl_metadata_tree some = user_list(&u, "b/");
    cr_assert_eq(some.count, 2);
    expect_entry(&some, "b/c", "", 1);
    expect_entry(&some, "b/d", "", 1);
    rl_metadata_tree_done(&some);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, unknown_home)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 1);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "zk:somewhere:2181"), RL_EUNSUPPORTED);
    cr_assert_eq(user_open(&u, &rig, "local:"), RL_EUNSUPPORTED);
    cr_assert_eq(user_open(&u, &rig, "local:missing/meta"), RL_ENOTFOUND);
    rig_halt(&rig);
    rig_done(&rig);
}

/* ---- a model: a few keys, seeded transactions, the state after each ---- */

#define KEYS 12
#define OPS_MAX 4
#define STEPS 80

struct model {                          /* version 0: not there */
    int64_t version[KEYS];
    uint32_t value[KEYS];               /* names the value's text */
};

struct transaction {
    struct rl_metadata_op ops[OPS_MAX];
    char keys[OPS_MAX][8];
    char values[OPS_MAX][256];
    uint32_t op_count;
    rl_status expected, answer;
    bool answered;
    uint32_t after;                     /* states[]: the model after this one */
    struct trace *trace;
};

struct trace {
    struct user user;
    struct transaction transactions[STEPS];
    struct model states[STEPS + 1];     /* after 0, 1, ... transactions that succeeded */
    uint32_t state_count;
    uint32_t issued;
    uint32_t next_answer;               /* answers come in the order of the calls */
    struct rl_random random;
};

static size_t value_text(uint32_t value, char text[256])
{
    int bytes = snprintf(text, 256, "value %u ", value);
    size_t end = (size_t)bytes + value * 37 % 200;
    memset(text + bytes, 'a' + (int)(value % 26), end - (size_t)bytes);
    return end;
}

static int64_t guess_version(struct rl_random *random, int64_t version)
{
    switch (rl_random_below(random, 8)) {
    case 0:
        return version + 1;
    case 1:
        return 0;
    case 2:
    case 3:
        return -1;
    default:
        return version;
    }
}

/* The next transaction, and what the model says of it. */
static struct transaction *trace_next(struct trace *t)
{
    struct transaction *tx = &t->transactions[t->issued++];
    struct model model = t->states[t->state_count - 1];
    *tx = (struct transaction){ .trace = t };
    tx->op_count = 1 + (uint32_t)rl_random_below(&t->random, OPS_MAX);
    for (uint32_t i = 0; i < tx->op_count; i++) {
        uint32_t key = (uint32_t)rl_random_below(&t->random, KEYS);
        uint32_t value = (uint32_t)rl_random_below(&t->random, 100000);
        struct rl_metadata_op *op = &tx->ops[i];
        snprintf(tx->keys[i], sizeof tx->keys[i], "k/%u", key);
        *op = (struct rl_metadata_op){ .key = rl_slice_of_string(tx->keys[i]) };
        op->remove = rl_random_below(&t->random, 4) == 0;
        op->expected_version = guess_version(&t->random, model.version[key]);
        if (op->expected_version >= 0 && op->expected_version != model.version[key])
            tx->expected = RL_EVERSION;
        if (!op->remove)
            op->value = rl_slice_of(tx->values[i], value_text(value, tx->values[i]));
        model.version[key] = op->remove ? 0 : model.version[key] + 1;
        model.value[key] = value;
    }
    if (tx->expected == RL_OK)
        t->states[t->state_count++] = model;
    tx->after = t->state_count - 1;
    return tx;
}

static void on_transaction(void *arg, rl_status status)
{
    struct transaction *tx = arg;
    cr_assert_eq(tx, &tx->trace->transactions[tx->trace->next_answer++], "out of order");
    tx->answered = true;
    tx->answer = status;
}

static void do_transaction(struct rl_shard *shard, void *arg)
{
    struct transaction *tx = arg;
    (void)shard;
    rl_metadata_store_commit(tx->trace->user.store, tx->ops, tx->op_count, on_transaction, tx);
}

/* Issue them all, in bunches of random size, and wait for the answers. */
static void trace_run(struct trace *t, struct rig *rig)
{
    while (t->issued < STEPS) {
        uint32_t bunch = 1 + (uint32_t)rl_random_below(&t->random, 4);
        for (uint32_t i = 0; i < bunch && t->issued < STEPS; i++)
            rig_post(rig, 0, do_transaction, trace_next(t));
        rig_run(rig);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct transaction *tx = &t->transactions[i];
        cr_assert(tx->answered);
        cr_assert(rig->cut || tx->answer == tx->expected, "transaction %u", i);
    }
}

static void trace_init(struct trace *t, uint64_t seed)
{
    memset(t, 0, sizeof *t);
    t->state_count = 1;
    rl_random_init(&t->random, seed);
}

static bool model_equal(const struct model *model, const struct rl_metadata_tree *tree)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        char key[8], text[256];
        snprintf(key, sizeof key, "k/%u", k);
        const struct rl_metadata_entry *entry =
            rl_metadata_tree_find(tree, rl_slice_of_string(key));
        if ((entry != NULL) != (model->version[k] > 0))
            return false;
        if (entry == NULL)
            continue;
        count++;
        size_t bytes = value_text(model->value[k], text);
        if (entry->version != model->version[k] ||
            !rl_slice_equal(rl_metadata_entry_value(entry), rl_slice_of(text, bytes)))
            return false;
    }
    return count == tree->count;
}

/* The state the store is in now: the newest that matches, -1 for none. */
static int64_t trace_state(const struct trace *t, struct user *u)
{
    struct rl_metadata_tree tree = user_list(u, "k/");
    int64_t found = -1;
    for (int64_t i = t->state_count - 1; i >= 0 && found < 0; i--)
        if (model_equal(&t->states[i], &tree))
            found = i;
    rl_metadata_tree_done(&tree);
    return found;
}

/* The last state that was acknowledged. */
static int64_t trace_acknowledged(const struct trace *t)
{
    int64_t state = 0;
    for (uint32_t i = 0; i < t->issued; i++)
        if (t->transactions[i].answered && t->transactions[i].answer == RL_OK)
            state = t->transactions[i].after;
    return state;
}

static void trace_open(struct trace *t, struct rig *rig)
{
    if (user_open(&t->user, rig, "local:meta") == RL_OK)
        rl_metadata_store_set_rewrite_bytes(t->user.store, 3000);
}

Test(metadata_store, model_with_reopen)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rig rig;
        rig_init(&rig, 1, seed);
        rig_boot(&rig, 0);
        trace_init(t, seed);
        for (int part = 0; part < 3; part++) {          /* three lives of one store */
            struct model last = t->states[t->state_count - 1];
            t->states[0] = last;
            t->state_count = 1;
            t->issued = t->next_answer = 0;
            trace_open(t, &rig);
            cr_assert_eq(t->user.status, RL_OK);
            cr_assert_eq(trace_state(t, &t->user), 0);
            trace_run(t, &rig);
            cr_assert_eq(trace_state(t, &t->user), t->state_count - 1);
            user_close(&t->user);
        }
        rig_halt(&rig);
        rig_done(&rig);
    }
    rl_free(t);
}

/* One life that is cut short at one call to the disk.  Returns false when the trace ended first. */
static bool cut_once(struct trace *t, uint64_t seed, uint32_t cut_at)
{
    struct rig rig;
    struct user again;
    rig_init(&rig, 1, seed * 1000003 + cut_at);
    rig_boot(&rig, cut_at);
    trace_init(t, seed);
    trace_open(t, &rig);
    if (t->user.status == RL_OK) {
        trace_run(t, &rig);
        user_close(&t->user);
    }
    bool cut = rig.cut;
    rig_halt(&rig);
    rig_lose(&rig);

    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK, "seed %lu cut %u: %s", seed, cut_at,
                 rl_status_name(again.status));
    int64_t state = trace_state(t, &again);
    cr_assert_geq(state, trace_acknowledged(t), "seed %lu cut %u: a commit is lost", seed, cut_at);
    /* What was found stays, and the store works. */
    cr_assert_eq(user_commit(&again, (struct rl_metadata_op[]){ put("x", "y", 0) }, 1), RL_OK);
    rig.cut = true;                                     /* as if killed: it is not sealed */
    user_close(&again);
    rig_halt(&rig);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK);
    cr_assert_eq(trace_state(t, &again), state);
    user_close(&again);
    rig_halt(&rig);
    rig_done(&rig);
    return cut;
}

Test(metadata_store, power_cut_at_every_call, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint32_t cut_at = 1;
        while (cut_once(t, seed, cut_at))
            cut_at++;
        cr_assert_gt(cut_at, 50);
    }
    rl_free(t);
}

/* ---- damage ---- */

enum { SEAL_BYTES = 32 };

/* Open the store over these bytes; what it says, and (if it opens) which state it shows. */
static rl_status open_bytes(struct trace *t, struct rig *rig, const uint8_t *data, size_t bytes,
                            int64_t *ret_state)
{
    struct user u;
    rig_write_file(rig, PATH, data, bytes);
    rl_status status = user_open(&u, rig, "local:meta");
    if (status == RL_OK) {
        *ret_state = trace_state(t, &u);
        rig->cut = true;                                /* leave no seal */
        user_close(&u);
        rig->cut = false;
        return status;
    }
    size_t after_bytes;
    uint8_t *after = rig_read_file(rig, PATH, &after_bytes);
    cr_assert(after_bytes == bytes && memcmp(after, data, bytes) == 0, "a refused file changed");
    rl_free(after);
    return status;
}

/* Flip a bit of, and then all of, each byte.  A flipped file is refused, or shows a state that
 * is at least `least`. */
static uint32_t flip_all(struct trace *t, struct rig *rig, uint8_t *data, size_t bytes,
                         int64_t least)
{
    uint32_t cuts = 0;
    for (size_t at = 0; at < bytes; at++)
        for (int whole = 0; whole < 2; whole++) {
            uint8_t mask = whole ? 0xff : (uint8_t)RL_BIT(rl_random_below(&t->random, 8));
            int64_t state = -1;
            data[at] ^= mask;
            rl_status status = open_bytes(t, rig, data, bytes, &state);
            data[at] ^= mask;
            if (status != RL_OK) {
                cr_assert_eq(status, RL_ECORRUPT, "byte %zu of %zu: %s", at, bytes,
                             rl_status_name(status));
                continue;
            }
            cr_assert_geq(state, least, "byte %zu of %zu shows state %ld", at, bytes, (long)state);
            cuts++;
        }
    return cuts;
}

/* A file with a snapshot and with several groups behind it.  Returns the state that the last
 * group began with. */
static int64_t damage_make(struct trace *t, struct rig *rig, uint64_t seed)
{
    rig_init(rig, 1, seed);
    rig_boot(rig, 0);
    trace_init(t, seed);
    trace_open(t, rig);
    while (t->issued < STEPS - 10) {
        if (t->issued == STEPS / 2)                     /* after this, the file only grows */
            rl_metadata_store_set_rewrite_bytes(t->user.store, UINT64_MAX);
        rig_post(rig, 0, do_transaction, trace_next(t));
        rig_run(rig);
    }
    int64_t before_last = t->state_count - 1;
    for (uint32_t last = t->state_count + 3; t->state_count < last && t->issued < STEPS;)
        rig_post(rig, 0, do_transaction, trace_next(t));
    rig_run(rig);
    return before_last;
}

Test(metadata_store, damage_after_clean_close, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    damage_make(t, &rig, 7);
    user_close(&t->user);
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    /* The seal proves everything before it: only damage to the seal itself goes through. */
    uint32_t cuts = flip_all(t, &rig, data, bytes, t->state_count - 1);
    cr_assert_leq(cuts, 2 * 32);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store, damage_after_kill, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    int64_t before_last = damage_make(t, &rig, 8);
    rig.cut = true;
    user_close(&t->user);
    rig.cut = false;
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    /* The last group cannot be told from a torn one; nothing before it is ever cut. */
    cr_assert_gt(flip_all(t, &rig, data, bytes, before_last), 0);

    for (size_t cut = 0; cut < bytes; cut++) {          /* and a file that is too short */
        int64_t state = -1;
        rl_status status = open_bytes(t, &rig, data, cut, &state);
        cr_assert(status == RL_ECORRUPT || (status == RL_OK && state >= 0), "%zu", cut);
    }
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store, newer_format_and_foreign_file)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    size_t bytes;
    int64_t state;
    damage_make(t, &rig, 9);
    user_close(&t->user);
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    /* Version 2 with its checksum: what a later ringlog would have written. */
    static const uint8_t newer[64] = {
        'r', 'l', 'm', 'e', 't', 'a', '\r', '\n', 0, 0, 0, 2, 0x00, 0x00, 0x00, 0x00 };
    memcpy(data, newer, 16);
    uint32_t crc = rl_crc32c(0, data, 64);
    for (int i = 0; i < 4; i++)
        data[12 + i] = (uint8_t)(crc >> (24 - 8 * i));
    cr_assert_eq(open_bytes(t, &rig, data, bytes, &state), RL_EVERSION);
    cr_assert_eq(open_bytes(t, &rig, (const uint8_t *)"", 0, &state), RL_ECORRUPT);
    cr_assert_eq(open_bytes(t, &rig, (const uint8_t *)"{\"topics\":[]}", 13, &state), RL_ECORRUPT);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

Test(metadata_store, damaged_snapshot, .timeout = 100)
{
    rl_logger_set_sink(quiet, NULL);
    struct trace *t = rl_alloc(sizeof *t);
    struct rig rig;
    struct user again;
    size_t bytes;
    damage_make(t, &rig, 10);
    rig.cut = true;
    user_close(&t->user);
    rig.cut = false;
    cr_assert_eq(user_open(&again, &rig, "local:meta"), RL_OK); /* settles: a seal stands behind all */
    rig.cut = true;
    user_close(&again);
    rig.cut = false;
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    /* Damage is refused, but for that of the seal itself: cut off, nothing is missing. */
    cr_assert_leq(flip_all(t, &rig, data, bytes, (int64_t)t->state_count - 1), 2 * SEAL_BYTES);
    rl_free(data);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

/* ---- what must not come back, and what must not go ---- */

static void do_two_commits(struct rl_shard *shard, void *arg)
{
    static struct rl_metadata_op first, second;
    struct user *u = arg;
    (void)shard;
    first = put("a", "same size", 0);
    second = put("b", "same size", 0);
    rl_metadata_store_commit(u->store, &first, 1, on_committed, u);
    rl_metadata_store_commit(u->store, &second, 1, on_committed, u);
}

/* The process is killed: what it has written stays, what it wants to write now does not. */
static void user_kill(struct user *u)
{
    u->rig->cut = true;
    user_close(u);
    rig_halt(u->rig);
    rl_mem_disk_kill(u->rig->disk);
    rig_boot(u->rig, 0);
}

static void expect_only(struct user *u, const char *key)
{
    struct rl_metadata_tree all = user_list(u, "");
    cr_assert_eq(all.count, key != NULL ? 1 : 0);
    if (key != NULL)
        expect_entry(&all, key, "same size", 1);
    rl_metadata_tree_done(&all);
}

Test(metadata_store, torn_group_never_comes_back)
{
    struct rig rig;
    struct user u;
    size_t bytes;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 11);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rig_call(&rig, 0, do_two_commits, &u);
    user_kill(&u);
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    data[70] ^= 1;                      /* the first record of the group is torn, the second not */
    rig_write_file(&rig, PATH, data, bytes - SEAL_BYTES);       /* as before its sync */
    rl_free(data);

    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    /* A record of the first one's size fits exactly before the second. */
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("c", "same size", 0) }, 1), RL_OK);
    user_kill(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "c");
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, refused_for_lack_of_space_never_comes_back)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 12);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rl_mem_disk_fail_write(rig.disk, 0, 80, RL_ENOSPACE);       /* all of the first record */
    rig_call(&rig, 0, do_two_commits, &u);
    cr_assert_eq(u.status, RL_ENOSPACE);
    user_kill(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, what_was_shown_after_a_kill_stays)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 13);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    rl_mem_disk_fail(rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_EIO);
    user_kill(&u);
    /* It is in the page cache only, and a sync of this file would not change that. */
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    rig.cut = true;
    user_close(&u);
    rig_halt(&rig);
    rl_mem_disk_crash(rig.disk);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

/* The name of the file that the killed process made must last, too. */
Test(metadata_store, kill_at_every_call_of_an_open_then_a_power_cut)
{
    rl_logger_set_sink(quiet, NULL);
    for (uint32_t turn = 0; turn < 8 * 20; turn++) {    /* the call itself happens or not */
        struct rig rig;
        struct user u;
        rig_init(&rig, 1, turn);
        rig_boot(&rig, 1 + turn / 8);
        (void)user_open(&u, &rig, "local:meta");
        user_kill(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
        cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_OK);
        rig.cut = true;
        user_close(&u);
        rig_halt(&rig);
        rl_mem_disk_crash(rig.disk);
        rig_boot(&rig, 0);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
        expect_only(&u, "a");
        user_close(&u);
        rig_halt(&rig);
        rig_done(&rig);
    }
}

Test(metadata_store, no_space_for_a_second_file)
{
    struct rig rig;
    struct user u;
    size_t bytes;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 14);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "same size", 0) }, 1), RL_OK);
    user_kill(&u);
    uint8_t *data = rig_read_file(&rig, PATH, &bytes);
    rig_write_file(&rig, PATH, data, bytes - SEAL_BYTES);
    rl_free(data);
    rl_mem_disk_fail_write(rig.disk, 0, 0, RL_ENOSPACE);        /* writing it again at open */
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, "a");
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ take("a", 1) }, 1), RL_OK);
    user_close(&u);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    expect_only(&u, NULL);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

/* ---- failing disks ---- */

Test(metadata_store, failed_sync_is_final)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 3);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    rl_mem_disk_fail(rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_EIO);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("b", "1", 0) }, 1), RL_EIO);
    user_close(&u);
    rig_halt(&rig);
    rl_mem_disk_crash(rig.disk);

    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    struct rl_metadata_tree all = user_list(&u, "");
    cr_assert_eq(all.count, 1);
    expect_entry(&all, "a", "1", 1);
    rl_metadata_tree_done(&all);
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, full_disk_heals)
{
    struct rig rig;
    struct user u;
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 4);
    rig_boot(&rig, 0);
    cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "1", 0) }, 1), RL_OK);
    rl_mem_disk_fail_write(rig.disk, 0, 20, RL_ENOSPACE);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "2", 1) }, 1), RL_ENOSPACE);
    cr_assert_eq(user_commit(&u, (struct rl_metadata_op[]){ put("a", "3", 1) }, 1), RL_OK);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct rl_metadata_tree all = user_list(&u, "");
        cr_assert_eq(all.count, 1);
        expect_entry(&all, "a", "3", 2);
        rl_metadata_tree_done(&all);
        user_close(&u);
        cr_assert_eq(user_open(&u, &rig, "local:meta"), RL_OK);
    }
    user_close(&u);
    rig_halt(&rig);
    rig_done(&rig);
}

Test(metadata_store, one_sync_for_all_commits_of_a_turn)
{
    struct rig rig;
    struct trace *t = rl_alloc(sizeof *t);
    rl_logger_set_sink(quiet, NULL);
    rig_init(&rig, 1, 5);
    rig_boot(&rig, 0);
    trace_init(t, 5);
    cr_assert_eq(user_open(&t->user, &rig, "local:meta"), RL_OK);
    uint64_t syncs = rl_mem_disk_calls(rig.disk, RL_MEM_SYNC);
    while (t->issued < 50)
        rig_post(&rig, 0, do_transaction, trace_next(t));
    rig_run(&rig);
    cr_assert_eq(t->next_answer, 50);
    cr_assert_leq(rl_mem_disk_calls(rig.disk, RL_MEM_SYNC) - syncs, 2);
    user_close(&t->user);
    rig_halt(&rig);
    rig_done(&rig);
    rl_free(t);
}

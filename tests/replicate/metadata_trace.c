/* tests/replicate/metadata_trace.c — seeded transactions and the model they are compared with. */
#include "metadata_trace.h"
#include <criterion/criterion.h>
#include <stdio.h>

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

struct transaction *trace_next(struct trace *t)
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

void do_transaction(struct rl_shard *shard, void *arg)
{
    struct transaction *tx = arg;
    (void)shard;
    rl_metadata_store_commit(tx->trace->user.store, tx->ops, tx->op_count, on_transaction, tx);
}

void trace_run(struct trace *t, struct rig *rig)
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

void trace_init(struct trace *t, uint64_t seed)
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

int64_t trace_state(const struct trace *t, struct user *u)
{
    struct rl_metadata_tree tree = user_list(u, "k/");
    int64_t found = -1;
    for (int64_t i = t->state_count - 1; i >= 0 && found < 0; i--)
        if (model_equal(&t->states[i], &tree))
            found = i;
    rl_metadata_tree_done(&tree);
    return found;
}

int64_t trace_acknowledged(const struct trace *t)
{
    int64_t state = 0;
    for (uint32_t i = 0; i < t->issued; i++)
        if (t->transactions[i].answered && t->transactions[i].answer == RL_OK)
            state = t->transactions[i].after;
    return state;
}

void trace_open(struct trace *t, struct rig *rig)
{
    if (user_open(&t->user, rig, "local:meta") == RL_OK)
        rl_metadata_store_set_rewrite_bytes(t->user.store, 3000);
}

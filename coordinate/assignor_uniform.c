/* coordinate/assignor_uniform.c — balanced, and nothing moves without need.
 *
 * Members that subscribe alike are a class; topics that the same classes subscribe to are a pool:
 * one pool where all members subscribe alike.  Happy path:
 *   1. each member keeps what it has and may have;
 *   2. place: what nobody has goes to the members of its pool that have the least;
 *   3. balance: pool by pool, the level that the pool's partitions would fill its members up to, like
 *      water, is what they are brought to: who is above it gives away that much and no more.  What
 *      one pool does may unbalance another: again, until nothing changes.
 * A member's load counts all of its partitions, of every pool.  Each round that changes something
 * lessens the sum of the loads' squares, so there is an end; ROUNDS_MAX is for contrived cases.
 * Failures: only the arena's limit. */
#include "coordinate/assignor.h"
#include "core/table.h"
#include <stdlib.h>

enum { ROUNDS_MAX = 64 };
#define NO_POOL UINT32_MAX

/* Runs of numbers, one per key: those of key k are items[starts[k]] .. items[starts[k + 1]]. */
struct runs {
    uint32_t *starts, *items;
};

struct uniform {
    const struct rl_assignor_input *input;
    struct rl_arena *arena;
    uint32_t *starts;                   /* of topics among all partitions */
    uint32_t *owners;                   /* by partition */
    uint32_t class_count, pool_count;
    uint32_t *class_of;                 /* by member */
    uint32_t *first_of;                 /* by class: its first member */
    struct runs members;                /* of a class */
    struct runs classes;                /* of a topic */
    uint32_t *pool_of;                  /* by topic; NO_POOL: nobody subscribes */
    struct runs topics;                 /* of a pool */
    uint32_t *pool_order;               /* the pools with fewer members first */
    uint32_t *pool_member_count;
    /* by member: */
    uint32_t *load;                     /* its partitions */
    uint32_t *owned;                    /* its partitions of the pool at hand */
    uint32_t *wanted;                   /* how many it is to get or to have of the pool at hand */
    uint32_t *takers;                   /* members that get some */
    uint32_t *free;                     /* partitions to be given */
    rl_status status;
};

/* ---- classes and pools ---- */

static void *array(struct uniform *u, size_t count, size_t bytes)
{
    void *items = rl_arena_alloc_array(u->arena, count, bytes);
    if (items == NULL)
        u->status = RL_ENOMEM;
    return items;
}

/* Group keys 0 .. count-1 by what stands for them: open addressing over hashes, groups numbered in
 * the order of their first keys. */
struct grouping {
    uint32_t *slots;                    /* group + 1; 0: empty */
    uint64_t *hashes;                   /* by group */
    size_t mask;
};

static bool grouping_init(struct uniform *u, struct grouping *grouping, size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    grouping->mask = slots - 1;
    grouping->slots = array(u, slots, sizeof *grouping->slots);
    grouping->hashes = array(u, count, sizeof *grouping->hashes);
    return u->status == RL_OK;
}

/* The group of a run of numbers; runs[group] tells what an earlier one was. */
static uint32_t grouping_find(struct grouping *grouping, const uint32_t *items, uint32_t count,
                              const uint32_t *(*run_of)(struct uniform *u, uint32_t group, uint32_t *ret_count),
                              struct uniform *u, uint32_t *group_count)
{
    uint64_t hash = rl_hash_bytes(count, items, count * sizeof *items);
    for (size_t at = hash & grouping->mask;; at = (at + 1) & grouping->mask) {
        uint32_t group = grouping->slots[at] - 1, other_count;
        if (grouping->slots[at] == 0) {
            grouping->hashes[*group_count] = hash;
            grouping->slots[at] = ++*group_count;
            return *group_count - 1;
        }
        if (grouping->hashes[group] != hash)
            continue;
        const uint32_t *other = run_of(u, group, &other_count);
        if (other_count == count && (count == 0 || memcmp(other, items, count * sizeof *items) == 0))
            return group;
    }
}

static const uint32_t *class_run(struct uniform *u, uint32_t class, uint32_t *ret_count)
{
    const struct rl_assignor_member *member = &u->input->members[u->first_of[class]];
    *ret_count = member->topic_count;
    return member->topics;
}

static const uint32_t *pool_run(struct uniform *u, uint32_t pool, uint32_t *ret_count)
{
    uint32_t topic = u->first_of[pool];
    *ret_count = u->classes.starts[topic + 1] - u->classes.starts[topic];
    return &u->classes.items[u->classes.starts[topic]];
}

/* Turn counts at starts[k + 1] into where runs begin, with room for all items. */
static void runs_begin(struct uniform *u, struct runs *runs, uint32_t key_count)
{
    for (uint32_t k = 0; k < key_count; k++)
        runs->starts[k + 1] += runs->starts[k];
    runs->items = array(u, runs->starts[key_count], sizeof *runs->items);
}

/* keys[i] is the key of item i, or NO_POOL. */
static void runs_of_keys(struct uniform *u, struct runs *runs, const uint32_t *keys, uint32_t item_count,
                         uint32_t key_count)
{
    uint32_t *at = array(u, key_count, sizeof *at);
    runs->starts = array(u, (size_t)key_count + 1, sizeof *runs->starts);
    if (u->status != RL_OK)
        return;
    for (uint32_t i = 0; i < item_count; i++) {
        if (keys[i] != NO_POOL)
            runs->starts[keys[i] + 1]++;
    }
    runs_begin(u, runs, key_count);
    if (u->status != RL_OK)
        return;
    for (uint32_t i = 0; i < item_count; i++) {
        if (keys[i] != NO_POOL)
            runs->items[runs->starts[keys[i]] + at[keys[i]]++] = i;
    }
}

static void find_classes(struct uniform *u)
{
    const struct rl_assignor_member *members = u->input->members;
    uint32_t count = u->input->member_count;
    struct grouping grouping;
    u->class_of = array(u, count, sizeof *u->class_of);
    u->first_of = array(u, RL_MAX(count, u->input->topic_count), sizeof *u->first_of);
    if (!grouping_init(u, &grouping, count))
        return;
    for (uint32_t m = 0; m < count; m++) {
        uint32_t before = u->class_count;
        if (m > 0 && members[m].topics == members[m - 1].topics && members[m].topic_count == members[m - 1].topic_count) {
            u->class_of[m] = u->class_of[m - 1];
            continue;
        }
        u->class_of[m] = grouping_find(&grouping, members[m].topics, members[m].topic_count, class_run, u,
                                       &u->class_count);
        if (u->class_count > before)
            u->first_of[before] = m;
    }
    runs_of_keys(u, &u->members, u->class_of, count, u->class_count);
}

static void find_classes_of_topics(struct uniform *u)
{
    uint32_t topic_count = u->input->topic_count;
    uint32_t *at = array(u, topic_count, sizeof *at);
    u->classes.starts = array(u, (size_t)topic_count + 1, sizeof *u->classes.starts);
    for (uint32_t class = 0; u->status == RL_OK && class < u->class_count; class++) {
        const struct rl_assignor_member *member = &u->input->members[u->first_of[class]];
        for (uint32_t i = 0; i < member->topic_count; i++) {
            RL_ASSERT(member->topics[i] < topic_count && (i == 0 || member->topics[i - 1] < member->topics[i]));
            u->classes.starts[member->topics[i] + 1]++;
        }
    }
    if (u->status == RL_OK)
        runs_begin(u, &u->classes, topic_count);
    for (uint32_t class = 0; u->status == RL_OK && class < u->class_count; class++) {
        const struct rl_assignor_member *member = &u->input->members[u->first_of[class]];
        for (uint32_t i = 0; i < member->topic_count; i++) {
            uint32_t topic = member->topics[i];
            u->classes.items[u->classes.starts[topic] + at[topic]++] = class;
        }
    }
}

static int compare_pools(const void *a, const void *b, void *arg)
{
    const uint32_t *member_count = arg;
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    if (member_count[left] != member_count[right])
        return member_count[left] < member_count[right] ? -1 : 1;
    return left < right ? -1 : 1;
}

static void order_pools(struct uniform *u)
{
    u->pool_order = array(u, u->pool_count, sizeof *u->pool_order);
    u->pool_member_count = array(u, u->pool_count, sizeof *u->pool_member_count);
    if (u->status != RL_OK)
        return;
    for (uint32_t pool = 0; pool < u->pool_count; pool++) {
        uint32_t count;
        const uint32_t *classes = pool_run(u, pool, &count);
        for (uint32_t i = 0; i < count; i++)
            u->pool_member_count[pool] += u->members.starts[classes[i] + 1] - u->members.starts[classes[i]];
        u->pool_order[pool] = pool;
    }
    if (u->pool_count > 1)
        qsort_r(u->pool_order, u->pool_count, sizeof *u->pool_order, compare_pools, u->pool_member_count);
}

/* From here on, first_of is by pool: its first topic. */
static void find_pools(struct uniform *u)
{
    uint32_t topic_count = u->input->topic_count;
    struct grouping grouping;
    u->pool_of = array(u, topic_count, sizeof *u->pool_of);
    if (!grouping_init(u, &grouping, topic_count))
        return;
    for (uint32_t t = 0; t < topic_count; t++) {
        uint32_t before = u->pool_count, count = u->classes.starts[t + 1] - u->classes.starts[t];
        u->pool_of[t] = NO_POOL;
        if (count == 0)
            continue;
        u->pool_of[t] = grouping_find(&grouping, &u->classes.items[u->classes.starts[t]], count, pool_run, u,
                                      &u->pool_count);
        if (u->pool_count > before)
            u->first_of[before] = t;
    }
    runs_of_keys(u, &u->topics, u->pool_of, topic_count, u->pool_count);
    if (u->status == RL_OK)
        order_pools(u);
}

/* ---- what members have ---- */

static void keep_current(struct uniform *u, uint32_t m)
{
    const struct rl_assignor_member *member = &u->input->members[m];
    uint32_t subscribed = 0;
    for (uint32_t i = 0; i < member->current_count; i++) {
        struct rl_assignor_partition at = member->current[i];
        while (subscribed < member->topic_count && member->topics[subscribed] < at.topic)
            subscribed++;
        if (subscribed == member->topic_count)
            return;
        if (member->topics[subscribed] != at.topic || at.partition < 0 ||
            at.partition >= u->input->topics[at.topic].partition_count)
            continue;
        uint32_t *owner = &u->owners[u->starts[at.topic] + (uint32_t)at.partition];
        if (*owner != RL_ASSIGNOR_NOBODY)
            continue;
        *owner = m;
        u->load[m]++;
    }
}

/* ---- one pool ---- */

/* A walk over the members of a pool, and one over its partitions. */
#define FOR_MEMBERS(u, pool, m) \
    for (struct member_walk walk_ = member_walk_of(u, pool); member_walk_next(u, &walk_, &(m));)

struct member_walk {
    const uint32_t *class, *class_end, *at, *end;
};

static struct member_walk member_walk_of(struct uniform *u, uint32_t pool)
{
    uint32_t count;
    const uint32_t *classes = pool_run(u, pool, &count);
    return (struct member_walk){ .class = classes, .class_end = classes + count };
}

static inline bool member_walk_next(const struct uniform *u, struct member_walk *walk, uint32_t *ret_member)
{
    while (walk->at == walk->end) {
        if (walk->class == walk->class_end)
            return false;
        walk->at = &u->members.items[u->members.starts[*walk->class]];
        walk->end = &u->members.items[u->members.starts[*walk->class + 1]];
        walk->class++;
    }
    *ret_member = *walk->at++;
    return true;
}

/* The highest level up to which `quantity` fills members that stand at their loads less what they own
 * of this pool, and what is left over then: less than there are members at that level or below. */
static uint32_t find_level(struct uniform *u, uint32_t pool, uint64_t quantity, uint64_t *ret_left)
{
    uint32_t low = UINT32_MAX, m;
    FOR_MEMBERS(u, pool, m)
        low = RL_MIN(low, u->load[m] - u->owned[m]);
    uint64_t good = low, bad = low + quantity + 1, left = quantity;
    while (bad - good > 1) {
        uint64_t level = good + (bad - good) / 2, sum = 0;
        FOR_MEMBERS(u, pool, m) {
            uint32_t base = u->load[m] - u->owned[m];
            sum += level > base ? level - base : 0;
        }
        if (sum <= quantity) {
            good = level;
            left = quantity - sum;
        } else {
            bad = level;
        }
    }
    *ret_left = left;
    return (uint32_t)good;
}

/* Set wanted[] for the members of a pool: what each is to have of `quantity` partitions.  One more
 * than the level goes first to those that own as many already. */
static void share_out(struct uniform *u, uint32_t pool, uint64_t quantity)
{
    uint64_t left;
    uint32_t level = find_level(u, pool, quantity, &left), m;
    FOR_MEMBERS(u, pool, m) {
        uint32_t base = u->load[m] - u->owned[m];
        u->wanted[m] = level > base ? level - base : 0;
        if (left > 0 && base <= level && u->owned[m] > u->wanted[m]) {
            u->wanted[m]++;
            left--;
        }
    }
    FOR_MEMBERS(u, pool, m) {
        uint32_t base = u->load[m] - u->owned[m];
        if (left > 0 && base + u->wanted[m] <= level) {
            u->wanted[m]++;
            left--;
        }
    }
    RL_ASSERT(left == 0);
}

/* Give the free partitions to those members of the pool that own less than wanted, by turns: so
 * that a topic spreads over them. */
static void deal(struct uniform *u, uint32_t pool, uint32_t free_count)
{
    uint32_t taker_count = 0, m, at = 0;
    FOR_MEMBERS(u, pool, m) {
        if (u->owned[m] < u->wanted[m])
            u->takers[taker_count++] = m;
    }
    while (at < free_count) {
        uint32_t still = 0;
        RL_ASSERT(taker_count > 0);
        for (uint32_t i = 0; i < taker_count && at < free_count; i++) {
            m = u->takers[i];
            u->owners[u->free[at++]] = m;
            u->load[m]++;
            if (++u->owned[m] < u->wanted[m])
                u->takers[still++] = m;
        }
        taker_count = still;
    }
}

/* What nobody has, to the members with the least. */
static void place(struct uniform *u, uint32_t pool)
{
    uint32_t free_count = 0, m;
    for (uint32_t i = u->topics.starts[pool]; i < u->topics.starts[pool + 1]; i++) {
        uint32_t topic = u->topics.items[i];
        for (uint32_t p = u->starts[topic]; p < u->starts[topic + 1]; p++) {
            if (u->owners[p] == RL_ASSIGNOR_NOBODY)
                u->free[free_count++] = p;
        }
    }
    if (free_count == 0)
        return;
    FOR_MEMBERS(u, pool, m)
        u->owned[m] = 0;
    share_out(u, pool, free_count);
    deal(u, pool, free_count);
}

/* Count owned[] of the pool; returns the pool's partitions. */
static uint32_t count_owned(struct uniform *u, uint32_t pool)
{
    uint32_t count = 0, m;
    FOR_MEMBERS(u, pool, m)
        u->owned[m] = 0;
    for (uint32_t i = u->topics.starts[pool]; i < u->topics.starts[pool + 1]; i++) {
        uint32_t topic = u->topics.items[i];
        for (uint32_t p = u->starts[topic]; p < u->starts[topic + 1]; p++)
            u->owned[u->owners[p]]++;
        count += u->starts[topic + 1] - u->starts[topic];
    }
    return count;
}

/* No partition of the pool could move to a member with two less. */
static bool is_balanced(struct uniform *u, uint32_t pool)
{
    uint32_t least = UINT32_MAX, most = 0, m;
    FOR_MEMBERS(u, pool, m) {
        least = RL_MIN(least, u->load[m]);
        if (u->owned[m] > 0)
            most = RL_MAX(most, u->load[m]);
    }
    return most <= least + 1;
}

/* Take from those that own more than wanted, the last partitions first. */
static uint32_t take_back(struct uniform *u, uint32_t pool)
{
    uint32_t free_count = 0;
    for (uint32_t i = u->topics.starts[pool + 1]; i-- > u->topics.starts[pool];) {
        uint32_t topic = u->topics.items[i];
        for (uint32_t p = u->starts[topic + 1]; p-- > u->starts[topic];) {
            uint32_t m = u->owners[p];
            if (u->owned[m] <= u->wanted[m])
                continue;
            u->owned[m]--;
            u->load[m]--;
            u->free[free_count++] = p;
        }
    }
    return free_count;
}

/* Did anything move? */
static bool balance(struct uniform *u, uint32_t pool)
{
    uint32_t count = count_owned(u, pool);
    if (count == 0 || is_balanced(u, pool))
        return false;
    share_out(u, pool, count);
    deal(u, pool, take_back(u, pool));
    return true;
}

rl_status rl_assignor_uniform(const struct rl_assignor_input *input, struct rl_arena *arena,
                              struct rl_assignor_share **ret_shares)
{
    struct uniform u = { .input = input, .arena = arena };
    u.starts = rl_assignor_topic_starts(input, arena);
    u.owners = u.starts != NULL ? rl_assignor_nobodys(u.starts[input->topic_count], arena) : NULL;
    if (u.owners == NULL)
        return RL_ENOMEM;
    u.load = array(&u, input->member_count, sizeof *u.load);
    u.owned = array(&u, input->member_count, sizeof *u.owned);
    u.wanted = array(&u, input->member_count, sizeof *u.wanted);
    u.takers = array(&u, input->member_count, sizeof *u.takers);
    u.free = array(&u, u.starts[input->topic_count], sizeof *u.free);
    if (u.status == RL_OK)
        find_classes(&u);
    if (u.status == RL_OK)
        find_classes_of_topics(&u);
    if (u.status == RL_OK)
        find_pools(&u);
    if (u.status != RL_OK)
        return u.status;

    for (uint32_t m = 0; m < input->member_count; m++)
        keep_current(&u, m);
    for (uint32_t i = 0; i < u.pool_count; i++)
        place(&u, u.pool_order[i]);
    bool moved = true;
    for (int round = 0; round < ROUNDS_MAX && moved; round++) {
        moved = false;
        for (uint32_t i = 0; i < u.pool_count; i++)
            moved |= balance(&u, u.pool_order[i]);
    }
    return rl_assignor_shares_of(input, u.starts, u.owners, arena, ret_shares);
}

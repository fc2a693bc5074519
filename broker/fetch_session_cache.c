/* broker/fetch_session_cache.c — all fetch sessions of a shard: ids, slots, eviction, memory.
 *
 * Happy path: a full fetch gets a slot and a random id whose low bits are the shard's index; later
 * fetches find it by the id.
 * Failures: without a slot or without memory the id is 0 and the client fetches in full, which
 * KIP-227 allows.  Closing a session only takes its id away: its fetches are answered, its owners
 * are asked to let go of its waiters, and then it is freed. */
#include "broker/fetch_session.h"
#include "core/memory.h"

#include <assert.h>

/* Kafka's: a session so old may be evicted by a larger one, and one unused for so long by any. */
#define EVICTION_NS ((int64_t)120 * 1000000000)
/* Of all sessions of all shards: 200,000 partitions and more.  One session may take half of its
 * shard's share. */
#define SESSIONS_BYTES_MAX ((size_t)64 << 20)
#define SHARD_BITS 7

static_assert(RL_SHARDS_MAX <= 1 << SHARD_BITS, "an id holds its shard");

struct rl_fetch_sessions {
    struct rl_shard *shard;
    uint32_t slots_max;
    struct rl_table by_id;
    struct rl_list by_use;              /* least recently used first */
    struct rl_list closed;              /* not freed yet */
    size_t bytes, bytes_max;
    size_t spare_bytes;                 /* of the session whose place a new one is about to take */
    uint64_t evictions;
};

static struct rl_fetch_sessions *sessions_of(const struct rl_shard *shard)
{
    return shard->context[RL_CONTEXT_FETCH_SESSIONS];
}

void rl_fetch_sessions_start(struct rl_shard *shard, uint32_t slots_max)
{
    struct rl_fetch_sessions *all = rl_alloc_zero(1, sizeof *all);
    all->shard = shard;
    /* The slots are the broker's: each shard has its part, the first ones the rest. */
    all->slots_max = slots_max / shard->count + (shard->index < slots_max % shard->count);
    all->bytes_max = SESSIONS_BYTES_MAX / shard->count;
    rl_table_init(&all->by_id, rl_shard_random(shard));
    rl_list_init(&all->by_use);
    rl_list_init(&all->closed);
    shard->context[RL_CONTEXT_FETCH_SESSIONS] = all;
}

/* Every shard has left its loop: waiters and calls that are still out will never be touched. */
static void list_free(struct rl_list *list)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(list)) != NULL)
        rl_fetch_session_abandon(RL_LIST_ENTRY(link, struct rl_fetch_session, by_use));
}

void rl_fetch_sessions_stop(struct rl_shard *shard)
{
    struct rl_fetch_sessions *all = sessions_of(shard);
    if (all == NULL)
        return;
    list_free(&all->by_use);
    list_free(&all->closed);
    RL_ASSERT(all->bytes == 0);
    rl_table_done(&all->by_id);
    rl_free(all);
    shard->context[RL_CONTEXT_FETCH_SESSIONS] = NULL;
}

/* ---- memory ---- */

bool rl_fetch_sessions_fits(const struct rl_fetch_session *s, size_t bytes)
{
    const struct rl_fetch_sessions *all = s->sessions;
    return all->bytes + bytes <= all->bytes_max + all->spare_bytes && s->bytes + bytes <= all->bytes_max / 2;
}

void rl_fetch_sessions_charge(struct rl_fetch_session *s, size_t bytes)
{
    s->bytes += bytes;
    s->sessions->bytes += bytes;
}

void rl_fetch_sessions_uncharge(struct rl_fetch_session *s, size_t bytes)
{
    RL_ASSERT(s->bytes >= bytes && s->sessions->bytes >= bytes);
    s->bytes -= bytes;
    s->sessions->bytes -= bytes;
}

struct rl_fetch_session_counts rl_fetch_sessions_count(const struct rl_shard *shard)
{
    const struct rl_fetch_sessions *all = sessions_of(shard);
    struct rl_fetch_session_counts counts = { 0 };
    if (all == NULL)
        return counts;
    counts.sessions = rl_table_count(&all->by_id);
    counts.bytes = all->bytes;
    counts.evictions = all->evictions;
    RL_LIST_EACH(link, &all->by_use)
        counts.partitions += rl_fetch_session_count(RL_LIST_ENTRY(link, struct rl_fetch_session, by_use));
    return counts;
}

/* ---- finding and making ---- */

struct rl_fetch_session *rl_fetch_sessions_find(struct rl_shard *shard, int32_t id)
{
    struct rl_fetch_sessions *all = sessions_of(shard);
    return all == NULL || id == 0 ? NULL : rl_table_find_number(&all->by_id, (uint32_t)id);
}

void rl_fetch_sessions_touch(struct rl_fetch_session *s)
{
    s->last_used_ns = s->home->now_ns;
    rl_list_remove(&s->by_use);
    rl_list_push_back(&s->sessions->by_use, &s->by_use);
}

/* Positive, of this shard, unused. */
static int32_t id_make(struct rl_fetch_sessions *all)
{
    for (;;) {
        uint32_t bits = (uint32_t)rl_shard_random(all->shard) << SHARD_BITS & INT32_MAX;
        int32_t id = (int32_t)(bits | all->shard->index);
        if (id != 0 && rl_table_find_number(&all->by_id, (uint32_t)id) == NULL)
            return id;
    }
}

/* As Kafka orders them: the smallest, and of those the one with the lowest id. */
static bool is_worth_less(const struct rl_fetch_session *a, const struct rl_fetch_session *b)
{
    uint32_t a_count = rl_fetch_session_count(a), b_count = rl_fetch_session_count(b);
    return a_count != b_count ? a_count < b_count : a->id < b->id;
}

/* The session whose slot one with so many partitions may take.  NULL: none. */
static struct rl_fetch_session *sessions_victim(struct rl_fetch_sessions *all, uint32_t partition_count)
{
    struct rl_list *oldest = rl_list_first(&all->by_use);
    if (oldest == NULL)
        return NULL;
    struct rl_fetch_session *victim = RL_LIST_ENTRY(oldest, struct rl_fetch_session, by_use);
    if (all->shard->now_ns - victim->last_used_ns > EVICTION_NS)
        return victim;
    victim = NULL;
    RL_LIST_EACH(link, &all->by_use) {
        struct rl_fetch_session *s = RL_LIST_ENTRY(link, struct rl_fetch_session, by_use);
        if (s->last_used_ns - s->created_ns > EVICTION_NS && (victim == NULL || is_worth_less(s, victim)))
            victim = s;
    }
    return victim != NULL && partition_count > rl_fetch_session_count(victim) ? victim : NULL;
}

/* Not found by anybody yet.  NULL: it is larger than a session may be. */
static struct rl_fetch_session *session_build(struct rl_fetch_sessions *all, struct rl_fetch_entry *const *entries,
                                              uint32_t count, bool uses_topic_ids)
{
    struct rl_fetch_session *s = rl_fetch_session_create(all, all->shard, uses_topic_ids);
    for (uint32_t i = 0; i < count; i++)
        if (rl_fetch_session_add_answered(s, entries[i]) != RL_OK) {
            rl_fetch_session_free(s);
            return NULL;
        }
    return s;
}

int32_t rl_fetch_sessions_make(struct rl_shard *shard, struct rl_fetch_entry *const *entries, uint32_t count,
                               bool uses_topic_ids)
{
    struct rl_fetch_sessions *all = sessions_of(shard);
    struct rl_fetch_session *victim = NULL;
    if (all == NULL)
        return 0;
    if (rl_table_count(&all->by_id) >= all->slots_max && (victim = sessions_victim(all, count)) == NULL)
        return 0;
    /* Nobody loses its place to a session that does not fit. */
    all->spare_bytes = victim != NULL ? victim->bytes : 0;
    struct rl_fetch_session *s = session_build(all, entries, count, uses_topic_ids);
    all->spare_bytes = 0;
    if (s == NULL)
        return 0;
    if (victim != NULL) {
        all->evictions++;
        rl_fetch_sessions_close(victim);
    }
    s->id = id_make(all);
    s->created_ns = s->last_used_ns = shard->now_ns;
    rl_table_put_number(&all->by_id, (uint32_t)s->id, s);
    rl_list_push_back(&all->by_use, &s->by_use);
    return s->id;
}

/* ---- closing ---- */

static void session_end(struct rl_fetch_session *s)
{
    rl_list_remove(&s->by_use);
    rl_fetch_session_free(s);
}

static void on_released(struct rl_shard *shard, struct rl_msg *msg)
{
    (void)shard;
    struct rl_fetch_session *s = RL_CONTAINER_OF(msg, struct rl_fetch_side, release_msg)->session;
    if (--s->sides_out == 0)
        session_end(s);
}

static void side_release(struct rl_fetch_side *side)
{
    for (struct rl_scatter_item *i = side->call.items; i != NULL; i = i->next)
        rl_partition_wait_stop(&RL_CONTAINER_OF(i, struct rl_fetch_entry, item)->waiter);
    RL_ASSERT(rl_list_empty(&side->fired));
}

/* Its message that a side is ready left before this answer does, and mailboxes keep the order. */
static void on_release(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_fetch_side *side = RL_CONTAINER_OF(msg, struct rl_fetch_side, release_msg);
    side_release(side);
    msg->handle = on_released;
    rl_shard_post(side->session->home, msg);
    (void)shard;
}

/* Every owner lets go, also this shard: a message of its side may be under way here, too. */
static void session_release(struct rl_fetch_session *s)
{
    for (struct rl_fetch_side *side = s->sides; side != NULL; side = side->next)
        rl_scatter_call_clear(&side->call);
    uint32_t at = 0;
    struct rl_fetch_session_partition *p;
    while ((p = rl_table_next(&s->partitions, &at)) != NULL)
        if (p->side != NULL)
            rl_scatter_call_add(&p->side->call, &p->entry.item);
    RL_LIST_EACH(link, &s->leaving) {
        p = RL_LIST_ENTRY(link, struct rl_fetch_session_partition, link);
        rl_scatter_call_add(&p->side->call, &p->entry.item);
    }
    for (struct rl_fetch_side *side = s->sides; side != NULL; side = side->next) {
        s->sides_out++;
        side->release_msg.handle = on_release;
        rl_shard_post(side->call.owner, &side->release_msg);
    }
    if (s->sides_out == 0)
        session_end(s);
}

void rl_fetch_sessions_hide(struct rl_fetch_session *s)
{
    struct rl_fetch_sessions *all = s->sessions;
    if (s->closed)
        return;
    s->closed = true;
    rl_table_remove_number(&all->by_id, (uint32_t)s->id);
    rl_list_remove(&s->by_use);
    rl_list_push_back(&all->closed, &s->by_use);
}

void rl_fetch_sessions_close(struct rl_fetch_session *s)
{
    rl_fetch_sessions_hide(s);
    rl_fetch_sessions_idle(s);
}

void rl_fetch_sessions_idle(struct rl_fetch_session *s)
{
    if (s->closed && rl_list_empty(&s->fetches) && s->sides_out == 0)
        session_release(s);
}

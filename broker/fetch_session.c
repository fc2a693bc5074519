/* broker/fetch_session.c — one fetch session: its partitions, and what the client was told.
 *
 * Happy path: a full fetch adds its partitions as answered; each incremental fetch changes a few
 * (update), has the dirty ones collected, tells what is new, and leaves them clean.
 *
 * Failures: a partition that the metadata do not know has an error and no side; it stays dirty and
 * is looked up again by every fetch, since its topic may appear, grow, or be made again.  A
 * session that would pass its memory's bound is refused whole. */
#include "broker/fetch_session.h"
#include "core/memory.h"

/* Of heap and table, beside the struct itself. */
#define TABLE_ENTRY_BYTES 48

#define TOPIC_BYTES_MAX (sizeof(struct rl_fetch_session_topic) + TABLE_ENTRY_BYTES + RL_TOPIC_NAME_BYTES_MAX)
#define PARTITION_BYTES (sizeof(struct rl_fetch_session_partition) + TABLE_ENTRY_BYTES)

struct rl_fetch_session *rl_fetch_session_create(struct rl_fetch_sessions *sessions, struct rl_shard *home,
                                                 bool uses_topic_ids)
{
    struct rl_fetch_session *s = rl_alloc_zero(1, sizeof *s);
    s->sessions = sessions;
    s->home = home;
    s->uses_topic_ids = uses_topic_ids;
    s->epoch = 1;
    rl_list_init(&s->fetches);
    rl_table_init(&s->topics, rl_shard_random(home));
    rl_table_init(&s->partitions, rl_shard_random(home));
    rl_list_init(&s->dirty);
    rl_list_init(&s->leaving);
    rl_fetch_sessions_charge(s, sizeof *s);
    return s;
}

/* ---- topics ---- */

static size_t topic_bytes(const struct rl_fetch_session_topic *t)
{
    return sizeof *t + t->name.bytes + TABLE_ENTRY_BYTES;
}

static struct rl_slice topic_key(const struct rl_fetch_session *s, const struct rl_fetch_session_topic *t)
{
    return s->uses_topic_ids ? rl_slice_of(&t->id, sizeof t->id) : t->name;
}

static struct rl_fetch_session_topic *topic_find(const struct rl_fetch_session *s, struct rl_slice name,
                                                 struct rl_uuid id)
{
    return rl_table_find(&s->topics, s->uses_topic_ids ? rl_slice_of(&id, sizeof id) : name);
}

static struct rl_slice name_copy(struct rl_slice name)
{
    return rl_slice_of(rl_strndup((const char *)name.data, name.bytes), name.bytes);
}

static struct rl_fetch_session_topic *topic_add(struct rl_fetch_session *s, struct rl_slice name, struct rl_uuid id)
{
    struct rl_fetch_session_topic *t = rl_alloc_zero(1, sizeof *t);
    t->number = s->topic_number_next++;
    t->id = id;
    if (name.data != NULL)
        t->name = name_copy(name);
    rl_fetch_sessions_charge(s, topic_bytes(t));
    rl_table_put(&s->topics, topic_key(s, t), t);
    return t;
}

static void topic_free(struct rl_fetch_session_topic *t)
{
    rl_free((void *)(uintptr_t)t->name.data);
    rl_free(t);
}

static void topic_release(struct rl_fetch_session *s, struct rl_fetch_session_topic *t)
{
    if (--t->partition_count > 0)
        return;
    if (topic_find(s, t->name, t->id) == t)
        rl_table_remove(&s->topics, topic_key(s, t));
    rl_fetch_sessions_uncharge(s, topic_bytes(t));
    topic_free(t);
}

/* ---- sides ---- */

static struct rl_fetch_side *side_of(struct rl_fetch_session *s, uint32_t owner)
{
    for (struct rl_fetch_side *side = s->sides; side != NULL; side = side->next)
        if (side->call.owner->index == owner)
            return side;
    struct rl_fetch_side *side = rl_alloc_aligned(RL_CACHE_LINE_BYTES, sizeof *side);
    *side = (struct rl_fetch_side){ .session = s, .next = s->sides };
    side->call.owner = rl_shard_peer(s->home, owner);
    rl_list_init(&side->fired);
    side->ready_msg.handle = rl_fetch_side_is_ready;
    s->sides = side;
    rl_fetch_sessions_charge(s, sizeof *side);
    return side;
}

static void partition_set_side(struct rl_fetch_session_partition *p, struct rl_fetch_side *side)
{
    if (p->side == side)
        return;
    if (p->side != NULL)
        p->side->partition_count--;
    if (side != NULL)
        side->partition_count++;
    p->side = side;
}

/* ---- partitions ---- */

static uint64_t partition_key(const struct rl_fetch_session_topic *t, int32_t index)
{
    return (uint64_t)t->number << 32 | (uint32_t)index;
}

void rl_fetch_session_mark_dirty(struct rl_fetch_session *s, struct rl_fetch_session_partition *p)
{
    if (!rl_list_linked(&p->link))
        rl_list_push_back(&s->dirty, &p->link);
}

static void partition_set_error(struct rl_fetch_session *s, struct rl_fetch_session_partition *p, int16_t error_code)
{
    s->unknown_count += (error_code != 0) - (p->entry.error_code != 0);
    p->entry.error_code = error_code;
}

/* An id that was known once has a name: who asks for a deleted topic's id is told what became of
 * the name (as Kafka does, which keeps the name in the session). */
static int16_t topic_error(const struct rl_fetch_session *s, const struct rl_image *image,
                           const struct rl_fetch_session_topic *t)
{
    if (!s->uses_topic_ids)
        return RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    if (t->name.data == NULL)
        return RL_KAFKA_UNKNOWN_TOPIC_ID;
    return rl_image_find(image, t->name) != NULL ? RL_KAFKA_INCONSISTENT_TOPIC_ID
                                                 : RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

static void topic_learn_name(struct rl_fetch_session *s, struct rl_fetch_session_topic *t, const char *name)
{
    if (t->name.data != NULL)
        return;
    t->name = name_copy(rl_slice_of_string(name));
    rl_fetch_sessions_charge(s, t->name.bytes);
}

static void partition_resolve(struct rl_fetch_session *s, struct rl_fetch_session_partition *p)
{
    const struct rl_image *image = rl_image_current(s->home);
    struct rl_fetch_session_topic *t = p->topic;
    const struct rl_topic *topic = s->uses_topic_ids ? rl_image_find_id(image, t->id) : rl_image_find(image, t->name);
    if (topic == NULL) {
        partition_set_side(p, NULL);
        partition_set_error(s, p, topic_error(s, image, t));
        return;
    }
    topic_learn_name(s, t, topic->name);
    p->entry.topic = t->name;
    if (p->entry.partition_index < 0 || p->entry.partition_index >= topic->partition_count) {
        partition_set_side(p, NULL);
        partition_set_error(s, p, RL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    p->entry.topic_id = topic->id;
    partition_set_side(p, side_of(s, rl_partition_home(topic->id, p->entry.partition_index, s->home->count)));
    partition_set_error(s, p, RL_KAFKA_NONE);
}

static struct rl_fetch_session_partition *partition_find(const struct rl_fetch_session *s,
                                                         const struct rl_fetch_session_topic *t, int32_t index)
{
    return t == NULL ? NULL : rl_table_find_number(&s->partitions, partition_key(t, index));
}

/* The partition, made where there was none: dirty, to be told, not resolved. */
static rl_status partition_get(struct rl_fetch_session *s, struct rl_slice name, struct rl_uuid id, int32_t index,
                               struct rl_fetch_session_partition **ret_partition)
{
    struct rl_fetch_session_topic *t = topic_find(s, name, id);
    *ret_partition = partition_find(s, t, index);
    if (*ret_partition != NULL)
        return RL_OK;
    if (!rl_fetch_sessions_fits(s, PARTITION_BYTES + TOPIC_BYTES_MAX))
        return RL_ENOMEM;
    if (t == NULL)
        t = topic_add(s, s->uses_topic_ids ? (struct rl_slice){ 0 } : name, id);
    rl_fetch_sessions_charge(s, PARTITION_BYTES);
    struct rl_fetch_session_partition *p = rl_alloc_zero(1, sizeof *p);
    t->partition_count++;
    p->topic = t;
    p->told_high_watermark = p->told_log_start_offset = -1;
    p->entry.topic = t->name;
    p->entry.topic_id = id;
    p->entry.partition_index = index;
    rl_table_put_number(&s->partitions, partition_key(t, index), p);
    rl_fetch_session_mark_dirty(s, p);
    *ret_partition = p;
    return RL_OK;
}

static void partition_free(struct rl_fetch_session *s, struct rl_fetch_session_partition *p)
{
    RL_ASSERT(!rl_list_linked(&p->entry.waiter.link));
    RL_ASSERT(p->entry.bytes == 0 && p->entry.read == NULL);
    partition_set_side(p, NULL);
    topic_release(s, p->topic);
    rl_fetch_sessions_uncharge(s, PARTITION_BYTES);
    rl_free(p);
}

void rl_fetch_session_remove(struct rl_fetch_session *s, struct rl_fetch_session_partition *p)
{
    RL_ASSERT(p->leaving);
    rl_list_remove(&p->link);
    partition_free(s, p);
}

/* Leave the session: at once, or by way of the owner that may hold its waiter. */
static void partition_forget(struct rl_fetch_session *s, struct rl_fetch_session_partition *p)
{
    rl_table_remove_number(&s->partitions, partition_key(p->topic, p->entry.partition_index));
    if (rl_list_linked(&p->link))
        rl_list_remove(&p->link);
    s->max_bytes -= p->entry.max_bytes;
    partition_set_error(s, p, RL_KAFKA_NONE);           /* not counted any more */
    p->leaving = true;
    rl_list_push_back(&s->leaving, &p->link);
    if (p->side == NULL)
        rl_fetch_session_remove(s, p);
}

/* ---- changes ---- */

rl_status rl_fetch_session_add_answered(struct rl_fetch_session *s, const struct rl_fetch_entry *e)
{
    struct rl_fetch_session_partition *p;
    if (partition_get(s, e->topic, e->topic_id, e->partition_index, &p) != RL_OK)
        return RL_ENOMEM;
    bool failed = e->status != RL_OK || e->error_code != 0;
    p->told_high_watermark = failed ? -1 : e->high_watermark;
    p->told_log_start_offset = failed ? -1 : e->log_start_offset;
    p->entry.current_leader_epoch = e->current_leader_epoch;
    p->entry.last_fetched_epoch = e->last_fetched_epoch;
    p->entry.fetch_offset = e->fetch_offset;
    s->max_bytes += e->max_bytes - p->entry.max_bytes;
    p->entry.max_bytes = e->max_bytes;
    partition_resolve(s, p);
    return RL_OK;
}

static rl_status session_update_topic(struct rl_fetch_session *s, const struct rl_fetch_request_topic *asked)
{
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        struct rl_fetch_session_partition *p;
        if (partition_get(s, asked->topic, asked->topic_id, asked->partitions[i].partition, &p) != RL_OK)
            return RL_ENOMEM;
        s->max_bytes -= p->entry.max_bytes;
        rl_fetch_entry_ask(&p->entry, &asked->partitions[i]);
        s->max_bytes += p->entry.max_bytes;
        rl_fetch_session_mark_dirty(s, p);
        if (p->side == NULL)
            partition_resolve(s, p);
    }
    return RL_OK;
}

static void session_forget_topic(struct rl_fetch_session *s, const struct rl_fetch_request_forgotten_topic *asked)
{
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        const struct rl_fetch_session_topic *t = topic_find(s, asked->topic, asked->topic_id);
        struct rl_fetch_session_partition *p = partition_find(s, t, asked->partitions[i]);
        if (p != NULL)
            partition_forget(s, p);
    }
}

rl_status rl_fetch_session_update(struct rl_fetch_session *s, const struct rl_fetch_request *asked)
{
    for (int32_t i = 0; i < asked->topics_count; i++)
        if (session_update_topic(s, &asked->topics[i]) != RL_OK)
            return RL_ENOMEM;
    for (int32_t i = 0; i < asked->forgotten_topics_data_count; i++)
        session_forget_topic(s, &asked->forgotten_topics_data[i]);
    return RL_OK;
}

void rl_fetch_session_resolve(struct rl_fetch_session *s)
{
    RL_LIST_EACH(link, &s->dirty) {
        struct rl_fetch_session_partition *p = RL_LIST_ENTRY(link, struct rl_fetch_session_partition, link);
        if (p->entry.error_code != 0 || p->entry.status == RL_ENOTFOUND)
            partition_resolve(s, p);
    }
}

void rl_fetch_session_touch_all(struct rl_fetch_session *s)
{
    uint32_t at = 0;
    struct rl_fetch_session_partition *p;
    while ((p = rl_table_next(&s->partitions, &at)) != NULL)
        rl_fetch_session_mark_dirty(s, p);
}

/* ---- what the client is told ---- */

bool rl_fetch_session_must_tell(const struct rl_fetch_session_partition *p)
{
    const struct rl_fetch_entry *e = &p->entry;
    return e->error_code != 0 || e->status != RL_OK || e->bytes > 0 || e->diverging_end_offset >= 0 ||
           e->high_watermark != p->told_high_watermark || e->log_start_offset != p->told_log_start_offset;
}

void rl_fetch_session_told(struct rl_fetch_session *s, struct rl_fetch_session_partition *p, bool data)
{
    const struct rl_fetch_entry *e = &p->entry;
    bool failed = e->error_code != 0 || e->status != RL_OK;
    /* What was an error is told again when it is none any more. */
    p->told_high_watermark = failed || e->diverging_end_offset >= 0 ? -1 : e->high_watermark;
    p->told_log_start_offset = failed ? -1 : e->log_start_offset;
    bool clean = !failed && e->diverging_end_offset < 0 && e->available_bytes == 0;
    if (clean || data)
        rl_list_remove(&p->link);
    if (data)
        rl_list_push_back(&s->dirty, &p->link);
}

void rl_fetch_session_free(struct rl_fetch_session *s)
{
    if (s == NULL)
        return;
    uint32_t at = 0;
    struct rl_fetch_session_partition *p;
    while ((p = rl_table_next(&s->partitions, &at)) != NULL)
        partition_free(s, p);
    struct rl_list *link;
    while ((link = rl_list_pop_front(&s->leaving)) != NULL)
        partition_free(s, RL_LIST_ENTRY(link, struct rl_fetch_session_partition, link));
    rl_table_done(&s->partitions);
    rl_table_done(&s->topics);
    while (s->sides != NULL) {
        struct rl_fetch_side *side = s->sides;
        s->sides = side->next;
        rl_free(side);
    }
    rl_fetch_sessions_uncharge(s, s->bytes);
    rl_free(s);
}

/* Nothing runs any more: what others hold of it is never touched again. */
static void partition_abandon(struct rl_fetch_session_partition *p)
{
    p->entry.waiter.link = (struct rl_list){ 0 };
    rl_fetch_entry_release(&p->entry);
}

void rl_fetch_session_abandon(struct rl_fetch_session *s)
{
    uint32_t at = 0;
    struct rl_fetch_session_partition *p;
    while ((p = rl_table_next(&s->partitions, &at)) != NULL)
        partition_abandon(p);
    RL_LIST_EACH(link, &s->leaving)
        partition_abandon(RL_LIST_ENTRY(link, struct rl_fetch_session_partition, link));
    rl_fetch_session_free(s);
}

/* coordinate/committed_offsets.c — what a group has committed: topic, partition → offset. */
#include "coordinate/committed_offsets.h"
#include "coordinate/owned.h"

#define CAPACITY_FIRST 4
#define TABLE_FROM 16

void rl_committed_offsets_init(struct rl_committed_offsets *offsets, uint64_t seed)
{
    rl_table_init(&offsets->by_topic, seed);
    rl_list_init(&offsets->topics);
    offsets->count = 0;
}

static void topic_free(struct rl_offsets_topic *topic)
{
    for (uint32_t i = 0; i < topic->count; i++)
        rl_owned_free(&topic->entries[i].value.metadata);
    rl_free(topic->entries);
    rl_table_done(&topic->by_partition);
    rl_owned_free(&topic->name);
    rl_free(topic);
}

void rl_committed_offsets_done(struct rl_committed_offsets *offsets)
{
    for (struct rl_list *node; (node = rl_list_pop_front(&offsets->topics)) != NULL;)
        topic_free(RL_LIST_ENTRY(node, struct rl_offsets_topic, link));
    rl_table_done(&offsets->by_topic);
    offsets->count = 0;
}

void rl_committed_offsets_remove_topic(struct rl_committed_offsets *offsets, struct rl_offsets_topic *topic)
{
    offsets->count -= topic->count;
    rl_table_remove(&offsets->by_topic, topic->name);
    rl_list_remove(&topic->link);
    topic_free(topic);
}

struct rl_offsets_topic *rl_committed_offsets_topic(const struct rl_committed_offsets *offsets,
                                                    struct rl_slice topic)
{
    return rl_table_find(&offsets->by_topic, topic);
}

/* Few are looked through; so many have a table. */
static bool has_table(const struct rl_offsets_topic *topic)
{
    return rl_table_count(&topic->by_partition) > 0;
}

static void table_set(struct rl_offsets_topic *topic, uint32_t i)
{
    rl_table_put_number(&topic->by_partition, (uint32_t)topic->entries[i].partition, (void *)(uintptr_t)(i + 1));
}

static struct rl_offsets_entry *entry_find(const struct rl_offsets_topic *topic, int32_t partition)
{
    if (has_table(topic)) {
        uintptr_t found = (uintptr_t)rl_table_find_number(&topic->by_partition, (uint32_t)partition);
        return found > 0 ? &topic->entries[found - 1] : NULL;
    }
    for (uint32_t i = 0; i < topic->count; i++)
        if (topic->entries[i].partition == partition)
            return &topic->entries[i];
    return NULL;
}

const struct rl_committed_offset *rl_offsets_topic_find(const struct rl_offsets_topic *topic,
                                                        int32_t partition)
{
    const struct rl_offsets_entry *entry = entry_find(topic, partition);
    return entry != NULL ? &entry->value : NULL;
}

const struct rl_committed_offset *rl_committed_offsets_find(const struct rl_committed_offsets *offsets,
                                                            struct rl_slice topic, int32_t partition)
{
    const struct rl_offsets_topic *found = rl_committed_offsets_topic(offsets, topic);
    return found != NULL ? rl_offsets_topic_find(found, partition) : NULL;
}

static struct rl_offsets_topic *topic_find_or_create(struct rl_committed_offsets *offsets,
                                                     struct rl_slice name)
{
    struct rl_offsets_topic *topic = rl_table_find(&offsets->by_topic, name);
    if (topic != NULL)
        return topic;
    topic = rl_alloc_zero(1, sizeof *topic);
    topic->name = rl_owned_copy(name);
    rl_table_init(&topic->by_partition, offsets->by_topic.seed);
    rl_table_put(&offsets->by_topic, topic->name, topic);
    rl_list_push_back(&offsets->topics, &topic->link);
    return topic;
}

static struct rl_offsets_entry *entry_insert(struct rl_offsets_topic *topic, int32_t partition)
{
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity == 0 ? CAPACITY_FIRST : topic->capacity * 2;
        topic->entries = rl_realloc(topic->entries, topic->capacity * sizeof *topic->entries);
    }
    topic->entries[topic->count++] = (struct rl_offsets_entry){ .partition = partition };
    if (has_table(topic))
        table_set(topic, topic->count - 1);
    for (uint32_t i = 0; topic->count == TABLE_FROM && i < TABLE_FROM; i++)
        table_set(topic, i);
    return &topic->entries[topic->count - 1];
}

static void entry_remove(struct rl_offsets_topic *topic, struct rl_offsets_entry *entry)
{
    bool with_table = has_table(topic);
    if (with_table)
        rl_table_remove_number(&topic->by_partition, (uint32_t)entry->partition);
    rl_owned_free(&entry->value.metadata);
    *entry = topic->entries[--topic->count];
    if (with_table && entry < &topic->entries[topic->count])
        table_set(topic, (uint32_t)(entry - topic->entries));
}

void rl_committed_offsets_put(struct rl_committed_offsets *offsets, struct rl_slice topic,
                              int32_t partition, const struct rl_committed_offset *value)
{
    struct rl_offsets_topic *to = topic_find_or_create(offsets, topic);
    struct rl_offsets_entry *entry = entry_find(to, partition);
    if (entry == NULL) {
        entry = entry_insert(to, partition);
        offsets->count++;
    }
    struct rl_slice metadata = rl_owned_copy(value->metadata);
    rl_owned_free(&entry->value.metadata);
    entry->value = *value;
    entry->value.metadata = metadata;
}

bool rl_committed_offsets_note_commit(struct rl_committed_offsets *offsets, struct rl_slice topic,
                                      int32_t partition, bool in_flight)
{
    const struct rl_offsets_topic *found = rl_committed_offsets_topic(offsets, topic);
    struct rl_offsets_entry *entry = found != NULL ? entry_find(found, partition) : NULL;
    if (entry != NULL && in_flight)
        entry->commits_in_flight++;
    else if (entry != NULL && entry->commits_in_flight > 0)     /* removed and made anew: it begins at 0 */
        entry->commits_in_flight--;
    return entry != NULL;
}

bool rl_committed_offsets_remove(struct rl_committed_offsets *offsets, struct rl_slice topic,
                                 int32_t partition)
{
    struct rl_offsets_topic *from = rl_table_find(&offsets->by_topic, topic);
    struct rl_offsets_entry *entry = from != NULL ? entry_find(from, partition) : NULL;
    if (entry == NULL)
        return false;
    entry_remove(from, entry);
    offsets->count--;
    if (from->count == 0)
        rl_committed_offsets_remove_topic(offsets, from);
    return true;
}

/* coordinate/committed_offsets.c — what a group has committed: topic, partition → offset. */
#include "coordinate/committed_offsets.h"
#include "coordinate/owned.h"

#define CAPACITY_FIRST 4

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

void rl_committed_offsets_clear(struct rl_committed_offsets *offsets)
{
    uint64_t seed = offsets->by_topic.seed;
    rl_committed_offsets_done(offsets);
    rl_committed_offsets_init(offsets, seed);
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

/* The first entry that is not below this partition. */
static uint32_t lower_bound(const struct rl_offsets_topic *topic, int32_t partition)
{
    uint32_t low = 0, high = topic->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->entries[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct rl_offsets_entry *entry_find(const struct rl_offsets_topic *topic, int32_t partition)
{
    uint32_t i = lower_bound(topic, partition);
    return i < topic->count && topic->entries[i].partition == partition ? &topic->entries[i] : NULL;
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
    rl_table_put(&offsets->by_topic, topic->name, topic);
    rl_list_push_back(&offsets->topics, &topic->link);
    return topic;
}

static struct rl_offsets_entry *entry_insert(struct rl_offsets_topic *topic, int32_t partition)
{
    uint32_t i = lower_bound(topic, partition);
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity == 0 ? CAPACITY_FIRST : topic->capacity * 2;
        topic->entries = rl_realloc(topic->entries, topic->capacity * sizeof *topic->entries);
    }
    memmove(&topic->entries[i + 1], &topic->entries[i], (topic->count - i) * sizeof *topic->entries);
    topic->count++;
    topic->entries[i] = (struct rl_offsets_entry){ .partition = partition };
    return &topic->entries[i];
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
    rl_owned_free(&entry->value.metadata);
    uint32_t i = (uint32_t)(entry - from->entries);
    memmove(entry, entry + 1, (from->count - i - 1) * sizeof *entry);
    offsets->count--;
    if (--from->count == 0)
        rl_committed_offsets_remove_topic(offsets, from);
    return true;
}

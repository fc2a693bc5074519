/* replicate/controller_publish.c — images: built from the one before, sent to every shard, freed.
 *
 * Happy path: changes gather in publish_waiting; when no image is on its way, all of them make
 * the next one.  Every shard gets a message, swaps its pointer, lets its partitions follow
 * (rl_replica_manager_apply) and answers.  When all have answered, nobody can hold a pointer into
 * the old image any more: it is freed, and so are the nodes that the new one does not have.
 * One image is on its way at a time, so nodes need no counts of users: a node dies with the last
 * image that has it.
 *
 * Failures: each shard names the topics that it could not follow, and only these hear of it. */
#include "core/memory.h"
#include "replicate/controller_internal.h"
#include "replicate/replica_manager.h"
#include <stdlib.h>

struct change {
    struct topic_entry *entry;
    const struct rl_topic *before, *after;              /* in the old and new image, or NULL */
    bool quiet;                         /* the topic is the same, only its defaults are others */
};

struct publish {
    struct rl_image *old;
    struct change *changes;
    uint32_t change_count;
    const struct rl_topic **removed;
    uint32_t removed_count;
    uint32_t outstanding;               /* shards that have not answered */
    bool settings_changed;
    const void *old_settings;
    struct rl_topic_failure *failures;  /* of all shards that have answered */
    uint32_t failure_count;
};

static void publish_next(struct rl_controller *c);

/* ---- building ---- */

/* Any node of the topic: name and id are the same in all. */
static const struct rl_topic *change_node(const struct change *change)
{
    return change->entry->topic;
}

static int name_order(const struct rl_topic *a, const struct rl_topic *b)
{
    return strcmp(a->name, b->name);
}

static int id_order(const struct rl_topic *a, const struct rl_topic *b)
{
    return memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes);
}

static int change_name_compare(const void *a, const void *b)
{
    return name_order(change_node(a), change_node(b));
}

static int change_id_compare(const void *a, const void *b)
{
    return id_order(change_node(a), change_node(b));
}

/* Merge old[] with the changes (sorted in the same order) into new[]; returns how many. */
static uint32_t nodes_merge(const struct rl_topic *const *old, uint32_t old_count,
                            const struct publish *p, int (*order)(const struct rl_topic *,
                                                                  const struct rl_topic *),
                            const struct rl_topic **new)
{
    uint32_t i = 0, count = 0;
    for (uint32_t k = 0; k < p->change_count; k++) {
        const struct change *change = &p->changes[k];
        while (i < old_count && order(old[i], change_node(change)) < 0)
            new[count++] = old[i++];
        if (change->before != NULL) {
            RL_ASSERT(i < old_count && old[i] == change->before);
            i++;
        }
        if (change->after != NULL)
            new[count++] = change->after;
    }
    while (i < old_count)
        new[count++] = old[i++];
    return count;
}

static struct rl_image *image_build(const struct rl_image *old, struct publish *p)
{
    static const struct rl_image none = { 0 };
    old = old != NULL ? old : &none;
    size_t most = (size_t)old->topic_count + p->change_count;
    struct rl_image *image = rl_alloc(sizeof *image + 2 * most * sizeof *image->by_name);
    const struct rl_topic **by_name = (const struct rl_topic **)(image + 1);
    const struct rl_topic **by_id = by_name + most;

    qsort(p->changes, p->change_count, sizeof *p->changes, change_id_compare);
    uint32_t count = nodes_merge(old->by_id, old->topic_count, p, id_order, by_id);
    qsort(p->changes, p->change_count, sizeof *p->changes, change_name_compare);
    uint32_t again = nodes_merge(old->by_name, old->topic_count, p, name_order, by_name);
    RL_ASSERT(again == count);

    *image = (struct rl_image){ .generation = old->generation + 1, .topic_count = count,
                                .by_name = by_name, .by_id = by_id };
    return image;
}

/* ---- done ---- */

static int failure_compare(const void *a, const void *b)
{
    return memcmp(((const struct rl_topic_failure *)a)->topic_id.bytes,
                  ((const struct rl_topic_failure *)b)->topic_id.bytes, sizeof(struct rl_uuid));
}

/* What became of this topic; the failures are sorted. */
static rl_status publish_status(const struct publish *p, struct rl_uuid topic_id)
{
    const struct rl_topic_failure key = { .topic_id = topic_id }, *found = NULL;
    if (p->failure_count > 0)
        found = bsearch(&key, p->failures, p->failure_count, sizeof key, failure_compare);
    return found != NULL ? found->status : RL_OK;
}

static void publish_take_failures(struct publish *p, struct rl_metadata_shard *local)
{
    if (local->publish_failure_count > 0) {
        p->failures = rl_realloc(p->failures, (p->failure_count + local->publish_failure_count) *
                                              sizeof *p->failures);
        memcpy(p->failures + p->failure_count, local->publish_failures,
               local->publish_failure_count * sizeof *p->failures);
        p->failure_count += local->publish_failure_count;
    }
    rl_free(local->publish_failures);
    local->publish_failures = NULL;
    local->publish_failure_count = 0;
}

/* Every shard works with the new image: free what only the old one had, and go on. */
static void publish_finish(struct rl_controller *c)
{
    struct publish *p = c->publish;
    c->publish = NULL;
    rl_free(p->old);
    if (p->failure_count > 0)
        qsort(p->failures, p->failure_count, sizeof *p->failures, failure_compare);
    for (uint32_t i = 0; i < p->change_count; i++) {
        struct topic_entry *entry = p->changes[i].entry;
        const struct rl_topic *before = p->changes[i].before;
        rl_status status = publish_status(p, change_node(&p->changes[i])->id);
        entry->published = p->changes[i].after;
        if (before != NULL)
            rl_free((void *)(uintptr_t)before);
        if (before == entry->topic)
            entry->topic = NULL;
        if (!p->changes[i].quiet)
            rl_controller_topic_applied(entry, status);
    }
    if (p->old_settings != NULL)
        c->options.free(c->options.arg, p->old_settings);
    if (p->settings_changed)
        rl_controller_settings_applied(c);
    rl_free(p->changes);
    rl_free(p->removed);
    rl_free(p->failures);
    rl_free(p);
    publish_next(c);
    rl_controller_rest(c);
}

static void on_shard_applied(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, publish_msg);
    struct rl_controller *c = local->controller;
    (void)shard;
    publish_take_failures(c->publish, local);
    if (--c->publish->outstanding == 0)
        publish_finish(c);
}

/* ---- on each shard ---- */

static void on_applied(void *arg, struct rl_topic_failure *failures, uint32_t count)
{
    struct rl_metadata_shard *local = arg;
    local->publish_failures = failures;
    local->publish_failure_count = count;
    local->publish_msg.handle = on_shard_applied;
    rl_shard_post(rl_shard_peer(local->shard, 0), &local->publish_msg);
}

static void on_publish(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, publish_msg);
    const void *settings = local->image != NULL ? local->image->settings : NULL;
    local->image = local->publish_image;
    shard->context[RL_CONTEXT_METADATA] = local;
    if (local->settings_applied != NULL && local->image->settings != settings)
        local->settings_applied(shard, local->image->settings);
    if (local->topics_removed != NULL && local->publish_removed_count > 0)
        local->topics_removed(shard, local->publish_removed, local->publish_removed_count);
    rl_replica_manager_apply(shard, local->image, local->publish_removed,
                             local->publish_removed_count, on_applied, local);
}

/* ---- sending ---- */

static void publish_send(struct rl_controller *c, struct publish *p)
{
    c->publish = p;
    p->outstanding = c->shard->count;
    for (uint32_t i = 0; i < c->shard->count; i++) {
        struct rl_metadata_shard *local = &c->shards[i];
        local->publish_image = c->image;
        local->publish_removed = p->removed;
        local->publish_removed_count = p->removed_count;
        local->publish_msg.handle = on_publish;
        rl_shard_post(local->shard, &local->publish_msg);
    }
}

/* Other settings: every topic is resolved anew, also those that wait with a change of their own. */
static void changes_resolve(struct rl_controller *c, struct publish *p)
{
    struct topic_entry *entry;
    uint32_t at = 0;
    while ((entry = rl_table_next(&c->by_name, &at)) != NULL) {
        bool waits = rl_list_linked(&entry->publish_link);
        if (waits ? entry->phase == TOPIC_APPLYING_DELETING : entry->published == NULL)
            continue;
        const struct rl_topic *after = rl_controller_topic_resolve_again(entry);
        if (!waits)
            p->changes[p->change_count++] = (struct change){
                .entry = entry, .before = entry->published, .after = after, .quiet = true };
    }
}

static void changes_take(struct rl_controller *c, struct publish *p)
{
    uint32_t count = c->settings_resolve ? rl_table_count(&c->by_name) : 0;
    RL_LIST_EACH(link, &c->publish_waiting)
        count++;
    p->changes = rl_alloc_zero(count + 1, sizeof *p->changes);
    p->removed = rl_alloc_zero(count + 1, sizeof *p->removed);
    if (c->settings_resolve && p->settings_changed)
        changes_resolve(c, p);

    struct rl_list *link;
    while ((link = rl_list_pop_front(&c->publish_waiting)) != NULL) {
        struct topic_entry *entry = RL_LIST_ENTRY(link, struct topic_entry, publish_link);
        bool removed = entry->phase == TOPIC_APPLYING_DELETING;
        if (removed)
            p->removed[p->removed_count++] = entry->topic;
        p->changes[p->change_count++] = (struct change){
            .entry = entry, .before = entry->published, .after = removed ? NULL : entry->topic };
    }
}

static void publish_begin(struct rl_controller *c)
{
    struct publish *p = rl_alloc_zero(1, sizeof *p);
    if (c->settings_next != NULL) {
        p->settings_changed = true;
        p->old_settings = c->settings;
        c->settings = c->settings_next;
        c->settings_next = NULL;
    }
    changes_take(c, p);
    p->old = c->image;
    c->image = image_build(p->old, p);
    c->image->settings = c->settings;
    publish_send(c, p);
}

static void publish_next(struct rl_controller *c)
{
    if (c->publish == NULL && (!rl_list_empty(&c->publish_waiting) || c->settings_next != NULL))
        publish_begin(c);
}

static void on_kick(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_controller *c = RL_CONTAINER_OF(msg, struct rl_controller, publish_kick);
    (void)shard;
    c->publish_kicked = false;
    publish_next(c);
    rl_controller_rest(c);
}

/* Not at once: a group of commits ends together, and one image does for all of them. */
static void publish_soon(struct rl_controller *c)
{
    if (c->publish != NULL || c->publish_kicked || c->image == NULL)
        return;
    c->publish_kicked = true;
    c->publish_kick.handle = on_kick;
    rl_shard_post(c->shard, &c->publish_kick);
}

void rl_controller_publish_add(struct topic_entry *entry)
{
    rl_list_push_back(&entry->controller->publish_waiting, &entry->publish_link);
    publish_soon(entry->controller);
}

void rl_controller_publish_settings(struct rl_controller *c)
{
    publish_soon(c);
}

void rl_controller_publish_first(struct rl_controller *c)
{
    publish_begin(c);
}

/* ---- stop ---- */

static void on_left(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, publish_msg);
    (void)shard;
    if (--local->controller->leaving == 0)
        rl_controller_rest(local->controller);
}

static void on_leave(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_metadata_shard *local = RL_CONTAINER_OF(msg, struct rl_metadata_shard, publish_msg);
    shard->context[RL_CONTEXT_METADATA] = NULL;
    if (rl_controller_producer_leave(local))
        rl_controller_left(local);
}

void rl_controller_left(struct rl_metadata_shard *local)
{
    local->publish_msg.handle = on_left;
    rl_shard_post(rl_shard_peer(local->shard, 0), &local->publish_msg);
}

void rl_controller_publish_leave(struct rl_controller *c)
{
    c->leaving = c->shard->count;
    for (uint32_t i = 0; i < c->shard->count; i++) {
        c->shards[i].publish_msg.handle = on_leave;
        rl_shard_post(c->shards[i].shard, &c->shards[i].publish_msg);
    }
}

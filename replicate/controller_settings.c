/* replicate/controller_settings.c — overrides of brokers and groups: stored, built, published.
 *
 * Happy path of a change: what the call makes of the resource's overrides is stored, the settings
 * are built anew from all resources, and the next image carries them to every shard, with topics
 * that are resolved over their new defaults.  One change at a time; others wait in order.
 *
 * Failures: an edit that refuses, or a commit that fails, changes nothing.  A shard that could not
 * follow an image is answered like a topic's: the next start finishes it. */
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/controller_internal.h"
#include <stdio.h>

static const char *const type_names[RL_CONFIG_RESOURCE_TYPES] = {
    [RL_CONFIG_RESOURCE_BROKER] = "broker",
    [RL_CONFIG_RESOURCE_GROUP] = "group",
};

static void settings_next(struct rl_controller *c);

/* ---- entries ---- */

static struct settings_entry *entry_of(const struct rl_list *link)
{
    return RL_LIST_ENTRY(link, struct settings_entry, link);
}

static void entry_free(struct settings_entry *entry)
{
    rl_free((void *)(uintptr_t)entry->resource.name);
    rl_free((void *)(uintptr_t)entry->resource.overrides);
    rl_free(entry);
}

static int resource_compare(const struct rl_config_resource *a, const struct rl_config_resource *b)
{
    return a->type != b->type ? (a->type > b->type) - (a->type < b->type) : strcmp(a->name, b->name);
}

static struct settings_entry *entry_find(const struct rl_controller *c,
                                         const struct rl_config_resource *like)
{
    RL_LIST_EACH(link, &c->settings_entries)
        if (resource_compare(&entry_of(link)->resource, like) == 0)
            return entry_of(link);
    return NULL;
}

static void entry_insert(struct rl_controller *c, struct settings_entry *entry)
{
    struct rl_list *next = c->settings_entries.next;
    while (next != &c->settings_entries &&
           resource_compare(&entry_of(next)->resource, &entry->resource) < 0)
        next = next->next;
    rl_list_insert_between(&entry->link, next->previous, next);
}

/* ---- building ---- */

static const void *settings_build(struct rl_controller *c)
{
    uint32_t count = 0;
    if (c->options.build == NULL)
        return NULL;
    RL_LIST_EACH(link, &c->settings_entries)
        count++;
    struct rl_config_resource *resources = rl_alloc_zero(count + 1, sizeof *resources);
    count = 0;
    RL_LIST_EACH(link, &c->settings_entries)
        resources[count++] = entry_of(link)->resource;
    const void *settings = c->options.build(c->options.arg, resources, count);
    RL_ASSERT(settings != NULL);
    rl_free(resources);
    return settings;
}

/* ---- altering ---- */

static void settings_answer(struct rl_controller *c, rl_status status)
{
    struct rl_alter *call = c->settings_alter;
    c->settings_alter = NULL;
    if (status != RL_OK)
        snprintf(call->reason, sizeof call->reason, "The configuration could not be stored: %s.",
                 rl_controller_store_text(status));
    rl_controller_alter_answer(call, status);
    settings_next(c);
    rl_controller_rest(c);
}

/* What was stored takes the place of what was there; without overrides nothing does. */
static void settings_adopt(struct rl_controller *c)
{
    struct settings_entry *altered = c->settings_altered;
    struct settings_entry *before = entry_find(c, &altered->resource);
    c->settings_altered = NULL;
    if (before != NULL) {
        rl_list_remove(&before->link);
        entry_free(before);
    }
    if (altered->resource.override_count > 0)
        entry_insert(c, altered);
    else
        entry_free(altered);
}

static void on_stored(void *arg, rl_status status)
{
    struct rl_controller *c = arg;
    rl_free(c->settings_key);
    c->settings_key = NULL;
    if (status != RL_OK) {
        RL_ERROR("metadata", "cannot store a configuration: %s", rl_status_text(status));
        entry_free(c->settings_altered);
        c->settings_altered = NULL;
        settings_answer(c, status);
        return;
    }
    c->settings_resolve = c->settings_altered->resource.type == RL_CONFIG_RESOURCE_BROKER;
    settings_adopt(c);
    c->settings_next = settings_build(c);
    rl_controller_publish_settings(c);
}

void rl_controller_settings_applied(struct rl_controller *c)
{
    c->settings_resolve = false;
    settings_answer(c, RL_OK);
}

static rl_status settings_store(struct rl_controller *c, const struct settings_entry *altered)
{
    const struct rl_config_resource *r = &altered->resource;
    rl_text_clear(&c->settings_value);
    rl_status status = rl_overrides_record_encode(r->overrides, r->override_count,
                                                  &c->settings_value);
    if (status == RL_OK && c->settings_value.bytes > RL_METADATA_VALUE_BYTES_MAX)
        status = RL_ETOOLARGE;
    if (status == RL_OK &&
        strlen(r->name) > RL_METADATA_KEY_BYTES_MAX - sizeof RL_CONFIGS_KEY_PREFIX - 16)
        status = RL_ETOOLARGE;
    if (status != RL_OK)
        return status;
    c->settings_key = rl_asprintf("%s%s/%s", RL_CONFIGS_KEY_PREFIX, type_names[r->type],
                                  r->name[0] != '\0' ? r->name : "<default>");  /* broker only */
    c->settings_op = (struct rl_metadata_op){ .remove = r->override_count == 0,
                                              .key = rl_slice_of_string(c->settings_key),
                                              .value = rl_text_slice(&c->settings_value),
                                              .expected_version = altered->version - 1 };
    rl_metadata_store_commit(c->store, &c->settings_op, 1, on_stored, c);
    return RL_OK;
}

static bool same_overrides(const struct settings_entry *before, const struct settings_entry *after)
{
    uint32_t count = before != NULL ? before->resource.override_count : 0;
    if (count != after->resource.override_count)
        return false;
    for (uint32_t i = 0; i < count; i++)                /* both sorted */
        if (strcmp(before->resource.overrides[i].key, after->resource.overrides[i].key) != 0 ||
            strcmp(before->resource.overrides[i].value, after->resource.overrides[i].value) != 0)
            return false;
    return true;
}

static rl_status settings_begin(struct rl_controller *c, struct rl_alter *call)
{
    char *name = rl_strndup((const char *)call->name.data, call->name.bytes);
    struct settings_entry *altered = rl_alloc_zero(1, sizeof *altered);
    altered->resource = (struct rl_config_resource){
        .type = call->target == RL_ALTER_BROKER ? RL_CONFIG_RESOURCE_BROKER
                                                : RL_CONFIG_RESOURCE_GROUP,
        .name = name };
    const struct settings_entry *before = entry_find(c, &altered->resource);
    struct rl_topic_override *overrides = NULL;
    rl_status status = call->edit(call->edit_arg, before != NULL ? before->resource.overrides : NULL,
                                  before != NULL ? before->resource.override_count : 0, &overrides,
                                  &altered->resource.override_count, call->reason,
                                  sizeof call->reason);
    if (status == RL_OK) {
        altered->resource.overrides = rl_overrides_copy(overrides, altered->resource.override_count);
        altered->version = before != NULL ? before->version + 1 : 1;
        rl_free(overrides);
    }
    bool changes = status == RL_OK && !call->validate_only && !same_overrides(before, altered);
    if (changes)
        status = settings_store(c, altered);
    if (status == RL_OK && changes) {
        c->settings_altered = altered;
        c->settings_alter = call;
        return RL_OK;
    }
    entry_free(altered);
    rl_controller_alter_answer(call, status);
    return RL_EINVAL;
}

/* Nothing is under way: the next call that is good goes on its way. */
static void settings_next(struct rl_controller *c)
{
    struct rl_list *link;
    while (c->settings_alter == NULL && (link = rl_list_pop_front(&c->settings_alters)) != NULL) {
        struct rl_alter *call = RL_LIST_ENTRY(link, struct rl_alter, link);
        if (c->stopping)
            rl_controller_alter_answer(call, RL_ESTOPPING);
        else
            (void)settings_begin(c, call);
    }
}

void rl_controller_settings_alter(struct rl_controller *c, struct rl_alter *call)
{
    RL_ASSERT(call->edit != NULL);
    rl_list_push_back(&c->settings_alters, &call->link);
    settings_next(c);
}

/* ---- start and end ---- */

/* "configs/<type>/<name>" */
static bool key_parse(struct rl_slice key, struct rl_config_resource *resource)
{
    key = rl_slice_of(key.data + sizeof RL_CONFIGS_KEY_PREFIX - 1,
                      key.bytes - (sizeof RL_CONFIGS_KEY_PREFIX - 1));
    for (int type = 0; type < RL_CONFIG_RESOURCE_TYPES; type++) {
        size_t bytes = strlen(type_names[type]);
        if (key.bytes <= bytes + 1 || memcmp(key.data, type_names[type], bytes) != 0 ||
            key.data[bytes] != '/')
            continue;
        struct rl_slice name = rl_slice_of(key.data + bytes + 1, key.bytes - bytes - 1);
        bool all = type == RL_CONFIG_RESOURCE_BROKER && rl_slice_equal_string(name, "<default>");
        resource->type = (enum rl_config_resource_type)type;
        resource->name = rl_strndup((const char *)name.data, all ? 0 : name.bytes);
        return true;
    }
    return false;
}

rl_status rl_controller_settings_load(struct rl_controller *c, struct rl_slice key,
                                      struct rl_slice value, int64_t version)
{
    struct rl_config_resource resource = { 0 };
    struct rl_topic_override *overrides = NULL;
    if (!key_parse(key, &resource))
        return RL_ECORRUPT;
    rl_status status = rl_overrides_record_decode(value, &overrides, &resource.override_count);
    if (status != RL_OK) {
        rl_free((void *)(uintptr_t)resource.name);
        return status;
    }
    resource.overrides = overrides;
    struct settings_entry *entry = rl_alloc_zero(1, sizeof *entry);
    *entry = (struct settings_entry){ .resource = resource, .version = version };
    entry_insert(c, entry);
    return RL_OK;
}

void rl_controller_settings_begin(struct rl_controller *c)
{
    c->settings = settings_build(c);
}

void rl_controller_settings_free(struct rl_controller *c)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&c->settings_entries)) != NULL)
        entry_free(entry_of(link));
    if (c->settings != NULL)
        c->options.free(c->options.arg, c->settings);
    rl_text_done(&c->settings_value);
}

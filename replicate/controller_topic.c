/* replicate/controller_topic.c — a topic's life, from the call that makes it to its deletion.
 *
 *   create:  STORING_CREATING -> APPLYING_CREATING -> STORING_ONLINE -> APPLYING_ONLINE -> IDLE
 *   alter:   IDLE -> STORING_ALTERED -> APPLYING_ALTERED -> IDLE, with more partitions instead
 *            -> STORING_ONLINE -> APPLYING_ONLINE -> IDLE.  A higher leader epoch goes this way, too
 *   delete:  IDLE -> STORING_DELETING -> APPLYING_DELETING -> STORING_REMOVED -> gone
 *
 * STORING waits for a commit, APPLYING for an image on every shard.  Topics go through this side
 * by side: commits of one turn share a sync, and changes that wait share an image.  One topic has
 * one commit or one image under way, never both.  Calls for a topic that is being created or
 * altered wait until it is idle.
 *
 * Failures: a create that could not be stored leaves nothing; one that fails later leaves the
 * topic stored as CREATING, and the next start finishes it: data may have been produced to it
 * already, so it is not taken back; nor are more partitions.  If only the last commit failed, all
 * directories are there, and until then every shard has it ONLINE.  An alteration that could not be
 * stored changes nothing.  A delete that fails before it is stored leaves the topic; one
 * that fails later leaves the entry STUCK: invisible, its name taken, until the next start. */
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/controller_internal.h"
#include <stdio.h>

static void delete_begin(struct topic_entry *entry);
static void alter_next(struct topic_entry *entry);

/* ---- entries ---- */

static struct topic_entry *entry_create(struct rl_controller *c, struct rl_slice name)
{
    struct topic_entry *entry = rl_alloc_zero(1, sizeof *entry);
    entry->controller = c;
    entry->key = rl_asprintf("%s%.*s", RL_TOPIC_KEY_PREFIX, (int)name.bytes,
                             (const char *)name.data);
    entry->name = entry->key + sizeof RL_TOPIC_KEY_PREFIX - 1;
    entry->collision = rl_strdup(entry->name);
    for (char *at = entry->collision; *at != '\0'; at++)
        if (*at == '.')
            *at = '_';
    rl_list_init(&entry->deletes);
    rl_list_init(&entry->creates);
    rl_list_init(&entry->alters);
    rl_table_put(&c->by_name, rl_slice_of_string(entry->name), entry);
    rl_table_put(&c->by_collision, rl_slice_of_string(entry->collision), entry);
    c->busy++;
    return entry;
}

static void entry_forget(struct topic_entry *entry)
{
    rl_table_remove(&entry->controller->by_name, rl_slice_of_string(entry->name));
    rl_table_remove(&entry->controller->by_collision, rl_slice_of_string(entry->collision));
}

static void entry_free(struct topic_entry *entry)
{
    rl_free((void *)(uintptr_t)entry->topic);
    rl_free(entry->altered);
    rl_text_done(&entry->value);
    rl_free(entry->key);
    rl_free(entry->collision);
    rl_free(entry);
}

static void answer_deletes(struct topic_entry *entry, rl_status status)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&entry->deletes)) != NULL)
        rl_controller_delete_answer(RL_LIST_ENTRY(link, struct rl_delete_topic, link), status);
}

/* Those who came while the topic was being created: now every shard has it, or it failed. */
static void answer_late_creates(struct topic_entry *entry, rl_status status)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&entry->creates)) != NULL) {
        struct rl_create_topic *call = RL_LIST_ENTRY(link, struct rl_create_topic, link);
        snprintf(call->reason, sizeof call->reason,
                 status == RL_OK ? "Topic '%s' already exists." : "Topic '%s' could not be stored.",
                 entry->name);
        rl_controller_create_answer(call, status == RL_OK ? RL_EEXIST : status);
    }
}

static void answer_create(struct topic_entry *entry, rl_status status)
{
    answer_late_creates(entry, status);
    struct rl_create_topic *call = entry->create;
    if (call == NULL)
        return;
    entry->create = NULL;
    if (status == RL_OK)
        call->topic_id = entry->topic->id;
    else
        snprintf(call->reason, sizeof call->reason, "Topic '%s' could not be stored: %s.",
                 entry->name, rl_controller_store_text(status));
    rl_controller_create_answer(call, status);
}

static void answer_raise(struct topic_entry *entry, rl_status status)
{
    struct rl_raise_epoch *call = entry->raise;
    entry->raise = NULL;
    if (call != NULL)
        rl_controller_raise_answer(call, status);
}

static void answer_alter(struct topic_entry *entry, rl_status status)
{
    struct rl_alter *call = entry->alter;
    if (call == NULL)
        return;
    entry->alter = NULL;
    if (status != RL_OK)
        snprintf(call->reason, sizeof call->reason, "Topic '%s' could not be altered: %s.",
                 entry->name, rl_controller_store_text(status));
    rl_controller_alter_answer(call, status);
}

/* The topic goes, or never came. */
static void answer_late_alters(struct topic_entry *entry)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&entry->alters)) != NULL)
        rl_controller_alter_answer(RL_LIST_ENTRY(link, struct rl_alter, link), RL_ENOTFOUND);
}

/* Nobody works on the topic any more. */
static void entry_rest(struct topic_entry *entry, enum topic_phase phase)
{
    struct rl_controller *c = entry->controller;
    entry->phase = phase;
    c->busy--;
    if (phase == TOPIC_IDLE && !rl_list_empty(&entry->deletes))
        delete_begin(entry);
    else if (phase == TOPIC_IDLE)
        alter_next(entry);
    rl_controller_rest(c);
}

/* ---- steps ---- */

static void on_stored(void *arg, rl_status status);

/* What clients ask for leaves this much room for what we change ourselves: the state, the epoch. */
#define OWN_BYTES 64

static rl_status entry_store(struct topic_entry *entry, const struct rl_topic *topic,
                             enum topic_phase phase, enum topic_record_state state)
{
    rl_text_clear(&entry->value);
    rl_status status = rl_topic_record_encode(topic, state, &entry->value);
    bool asked = phase == TOPIC_STORING_CREATING ||
                 (phase == TOPIC_STORING_ALTERED && entry->raise == NULL);
    if (status == RL_OK && entry->value.bytes > RL_METADATA_VALUE_BYTES_MAX - (asked ? OWN_BYTES : 0))
        status = RL_ETOOLARGE;
    if (status != RL_OK)
        return status;
    entry->phase = phase;
    entry->op = (struct rl_metadata_op){ .key = rl_slice_of_string(entry->key),
                                         .value = rl_text_slice(&entry->value),
                                         .expected_version = entry->version };
    rl_metadata_store_commit(entry->controller->store, &entry->op, 1, on_stored, entry);
    return RL_OK;
}

static void entry_store_removed(struct topic_entry *entry)
{
    entry->phase = TOPIC_STORING_REMOVED;
    entry->op = (struct rl_metadata_op){ .remove = true, .key = rl_slice_of_string(entry->key),
                                         .expected_version = entry->version };
    rl_metadata_store_commit(entry->controller->store, &entry->op, 1, on_stored, entry);
}

/* The node is ours alone until it is in an image. */
static void topic_resolve(const struct rl_controller *c, const struct rl_topic *topic)
{
    struct rl_topic *ours = (struct rl_topic *)(uintptr_t)topic;
    const void *settings = c->settings_next != NULL ? c->settings_next : c->settings;
    c->options.resolve(c->options.arg, settings, topic->name, topic->overrides, topic->override_count,
                       &ours->config);
}

static void entry_apply(struct topic_entry *entry, enum topic_phase phase)
{
    entry->phase = phase;
    if (phase != TOPIC_APPLYING_DELETING)
        topic_resolve(entry->controller, entry->topic);
    rl_controller_publish_add(entry);
}

const struct rl_topic *rl_controller_topic_resolve_again(struct topic_entry *entry)
{
    if (entry->topic == entry->published)
        entry->topic = rl_topic_node_create(entry->topic);
    topic_resolve(entry->controller, entry->topic);
    return entry->topic;
}

static void delete_begin(struct topic_entry *entry)
{
    entry->controller->busy++;
    answer_late_alters(entry);
    rl_status status = entry_store(entry, entry->topic, TOPIC_STORING_DELETING, TOPIC_RECORD_DELETING);
    RL_ASSERT(status == RL_OK);                         /* it was stored before */
}

static void entry_removed(struct topic_entry *entry)
{
    struct rl_controller *c = entry->controller;
    RL_INFO("metadata", "deleted topic %s", entry->name);
    answer_deletes(entry, RL_OK);
    entry_forget(entry);
    entry_free(entry);
    c->busy--;
    rl_controller_rest(c);
}

/* Every directory is there: all shards are to know. */
static void entry_apply_online(struct topic_entry *entry)
{
    struct rl_topic online = *entry->topic;
    online.state = RL_TOPIC_ONLINE;
    online.partitions_made = online.partition_count;
    entry->topic = rl_topic_node_create(&online);       /* the old node dies with its image */
    entry_apply(entry, TOPIC_APPLYING_ONLINE);
}

/* What a commit that failed means for the topic. */
static void store_failed(struct topic_entry *entry, rl_status status)
{
    struct rl_controller *c = entry->controller;
    switch (entry->phase) {
    case TOPIC_STORING_CREATING:
        answer_create(entry, status);
        answer_deletes(entry, RL_ENOTFOUND);
        answer_late_alters(entry);
        entry_forget(entry);
        entry_free(entry);
        c->busy--;
        rl_controller_rest(c);
        return;
    case TOPIC_STORING_ONLINE:          /* stored as CREATING, but it works, and so it is led */
        answer_create(entry, status);
        answer_alter(entry, status);
        answer_raise(entry, status);
        entry_apply_online(entry);
        return;
    case TOPIC_STORING_ALTERED:
        rl_free(entry->altered);
        entry->altered = NULL;
        answer_alter(entry, status);
        answer_raise(entry, status);
        entry_rest(entry, TOPIC_IDLE);
        return;
    case TOPIC_STORING_DELETING:
        answer_deletes(entry, status);
        entry_rest(entry, TOPIC_IDLE);
        return;
    case TOPIC_STORING_REMOVED:
        answer_deletes(entry, status);
        entry_rest(entry, TOPIC_STUCK);
        return;
    case TOPIC_LOADED:
    case TOPIC_APPLYING_CREATING:
    case TOPIC_APPLYING_ONLINE:
    case TOPIC_APPLYING_ALTERED:
    case TOPIC_IDLE:
    case TOPIC_APPLYING_DELETING:
    case TOPIC_STUCK:
        RL_ASSERT(!"a commit was under way");
    }
}

static void on_stored(void *arg, rl_status status)
{
    struct topic_entry *entry = arg;
    if (RL_NEVER(status == RL_EVERSION))                /* there is no other writer */
        status = RL_EIO;
    if (status != RL_OK) {
        if (status != RL_EFULL)         /* the store has said so itself, not for each topic */
            RL_ERROR("metadata", "topic %s: cannot store its state: %s", entry->name,
                     rl_status_text(status));
        store_failed(entry, status);
        return;
    }
    entry->version++;
    if (entry->phase == TOPIC_STORING_CREATING) {
        entry_apply(entry, TOPIC_APPLYING_CREATING);
    } else if (entry->phase == TOPIC_STORING_ONLINE) {
        entry_apply_online(entry);
    } else if (entry->phase == TOPIC_STORING_ALTERED) {
        entry->topic = entry->altered;
        entry->altered = NULL;
        entry_apply(entry, TOPIC_APPLYING_ALTERED);
    } else if (entry->phase == TOPIC_STORING_DELETING) {
        entry_apply(entry, TOPIC_APPLYING_DELETING);
    } else {
        RL_ASSERT(entry->phase == TOPIC_STORING_REMOVED);
        entry_removed(entry);
    }
}

static void apply_failed(struct topic_entry *entry, rl_status status)
{
    RL_ERROR("metadata", "topic %s: not every shard could follow: %s; the next start finishes it",
             entry->name, rl_status_text(status));
    answer_create(entry, status);
    answer_raise(entry, status);
    answer_alter(entry, status);
    if (entry->phase != TOPIC_APPLYING_DELETING) {
        entry_rest(entry, TOPIC_IDLE);
        return;
    }
    answer_deletes(entry, status);
    entry_rest(entry, TOPIC_STUCK);
}

void rl_controller_topic_applied(struct topic_entry *entry, rl_status status)
{
    if (status != RL_OK) {
        apply_failed(entry, status);
    } else if (entry->phase == TOPIC_APPLYING_CREATING ||
               (entry->phase == TOPIC_APPLYING_ALTERED && entry->topic->state == RL_TOPIC_CREATING)) {
        status = entry_store(entry, entry->topic, TOPIC_STORING_ONLINE, TOPIC_RECORD_ONLINE);
        RL_ASSERT(status == RL_OK);
    } else if (entry->phase == TOPIC_APPLYING_ONLINE || entry->phase == TOPIC_APPLYING_ALTERED) {
        if (entry->create != NULL || entry->alter != NULL)
            RL_INFO("metadata", "%s topic %s partitions=%d",
                    entry->create != NULL ? "created" : "altered", entry->name,
                    entry->topic->partition_count);
        if (entry->raise != NULL)
            RL_INFO("metadata", "topic %s: leader epoch %d", entry->name, entry->topic->leader_epoch);
        answer_create(entry, RL_OK);
        answer_alter(entry, RL_OK);
        answer_raise(entry, RL_OK);
        entry_rest(entry, TOPIC_IDLE);
    } else {
        RL_ASSERT(entry->phase == TOPIC_APPLYING_DELETING);
        entry_store_removed(entry);
    }
}

/* ---- create ---- */

RL_PRINTF(3, 4)
static rl_status create_refuse(struct rl_create_topic *call, rl_status status,
                               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->reason, sizeof call->reason, format, args);
    va_end(args);
    return status;
}

/* It is being deleted, or will be as soon as it is there. */
static bool entry_is_going(const struct topic_entry *entry)
{
    return entry->phase >= TOPIC_STORING_DELETING || !rl_list_empty(&entry->deletes);
}

/* May there be such a topic?  The order of the checks and the words are Kafka's. */
static rl_status create_check(struct rl_controller *c, struct rl_create_topic *call)
{
    const char *reason;
    if (rl_topic_name_check(call->name, &reason) != RL_OK) {
        rl_topic_name_explain(call->name, call->reason, sizeof call->reason);
        return RL_EINVAL;
    }
    const struct topic_entry *entry = rl_table_find(&c->by_name, call->name);
    if (entry != NULL && entry_is_going(entry))
        return create_refuse(call, RL_EEXIST, "Topic '%s' is marked for deletion.", entry->name);
    if (entry != NULL)
        return create_refuse(call, RL_EEXIST, "Topic '%s' already exists.", entry->name);

    char collision[RL_TOPIC_NAME_BYTES_MAX];
    for (size_t i = 0; i < call->name.bytes; i++)
        collision[i] = call->name.data[i] == '.' ? '_' : (char)call->name.data[i];
    entry = rl_table_find(&c->by_collision, rl_slice_of(collision, call->name.bytes));
    if (entry != NULL)
        return create_refuse(call, RL_EINVAL, "Topic '%.*s' collides with existing topic: %.*s",
                             (int)call->name.bytes, (const char *)call->name.data,
                             RL_TOPIC_NAME_BYTES_MAX, entry->name);
    if (call->partition_count < 1)
        return create_refuse(call, RL_ERANGE,
                             "Number of partitions was set to an invalid non-positive value.");
    if (call->partition_count > RL_TOPIC_PARTITIONS_MAX)
        return create_refuse(call, RL_ETOOLARGE,
                             "Excessively large number of partitions per request.");
    return RL_OK;
}

/* Random, version 4 (RFC 9562).  As in Kafka, no text form begins with '-', which commands would
 * take for an option; the reserved ids (0 to 99) are not of version 4. */
static struct rl_uuid topic_id_random(struct rl_shard *shard)
{
    struct rl_uuid id;
    do {
        uint64_t bits[2] = { rl_shard_random(shard), rl_shard_random(shard) };
        memcpy(id.bytes, bits, sizeof id.bytes);
        id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40);
        id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    } while (id.bytes[0] >> 2 == 62);                   /* '-' in base64url */
    return id;
}

/* Who hears that a topic exists may use it at once, on every shard: so the answer waits. */
static bool create_is_under_way(const struct topic_entry *entry)
{
    return entry != NULL && entry->create != NULL && !entry_is_going(entry);
}

void rl_controller_topic_create(struct rl_controller *c, struct rl_create_topic *call)
{
    rl_status status = create_check(c, call);
    struct topic_entry *same = rl_table_find(&c->by_name, call->name);
    if (status == RL_EEXIST && create_is_under_way(same)) {
        rl_list_push_back(&same->creates, &call->link);
        return;
    }
    if (status != RL_OK || call->validate_only) {
        rl_controller_create_answer(call, status);
        return;
    }
    struct topic_entry *entry = entry_create(c, call->name);
    struct rl_topic topic = { .id = topic_id_random(c->shard), .name = entry->name,
                              .partition_count = call->partition_count,
                              .state = RL_TOPIC_CREATING, .override_count = call->override_count,
                              .overrides = call->overrides, .created_at_floor = c->epoch_floor };
    entry->topic = rl_topic_node_create(&topic);
    entry->create = call;
    status = entry_store(entry, entry->topic, TOPIC_STORING_CREATING, TOPIC_RECORD_CREATING);
    if (status == RL_OK)
        return;
    entry->phase = TOPIC_STORING_CREATING;
    store_failed(entry, status);
}

/* ---- alter ---- */

RL_PRINTF(3, 4)
static rl_status alter_refuse(struct rl_alter *call, rl_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->reason, sizeof call->reason, format, args);
    va_end(args);
    return status;
}

static rl_status alter_check_partitions(const struct rl_topic *topic, struct rl_alter *call)
{
    if (call->partition_count == topic->partition_count)
        return alter_refuse(call, RL_ERANGE, "Topic already has %d partition(s).",
                            topic->partition_count);
    if (call->partition_count < topic->partition_count)
        return alter_refuse(call, RL_ERANGE, "The topic %s currently has %d partition(s); %d would "
                            "not be an increase.", topic->name, topic->partition_count,
                            call->partition_count);
    if (call->partition_count > RL_TOPIC_PARTITIONS_MAX)
        return alter_refuse(call, RL_ETOOLARGE,
                            "Excessively large number of partitions per request.");
    return RL_OK;
}

/* What the call makes of the topic, not yet stored. */
static rl_status alter_make(const struct rl_topic *topic, struct rl_alter *call,
                            struct rl_topic **ret_altered)
{
    struct rl_topic like = *topic;
    struct rl_topic_override *overrides = NULL;
    if (call->grow) {
        rl_status status = alter_check_partitions(topic, call);
        if (status != RL_OK)
            return status;
        like.partition_count = call->partition_count;
        like.state = RL_TOPIC_CREATING;
    }
    if (call->edit != NULL) {
        rl_status status = call->edit(call->edit_arg, topic->overrides, topic->override_count,
                                      &overrides, &like.override_count, call->reason,
                                      sizeof call->reason);
        if (status != RL_OK)
            return status;
        like.overrides = overrides;
    }
    *ret_altered = rl_topic_node_create(&like);
    rl_free(overrides);
    return RL_OK;
}

static rl_status entry_store_altered(struct topic_entry *entry)
{
    return entry_store(entry, entry->altered, TOPIC_STORING_ALTERED,
                       entry->altered->state == RL_TOPIC_CREATING ? TOPIC_RECORD_CREATING
                                                                  : TOPIC_RECORD_ONLINE);
}

/* True: the call is on its way.  Otherwise it has its answer. */
static bool alter_begin(struct topic_entry *entry, struct rl_alter *call)
{
    rl_status status = alter_make(entry->topic, call, &entry->altered);
    if (status == RL_OK && !call->validate_only)
        status = entry_store_altered(entry);
    if (status == RL_OK && !call->validate_only) {
        entry->alter = call;
        entry->controller->busy++;
        return true;
    }
    rl_free(entry->altered);
    entry->altered = NULL;
    rl_controller_alter_answer(call, status);
    return false;
}

/* The topic is idle: the next call has its turn. */
static void alter_next(struct topic_entry *entry)
{
    struct rl_list *link;
    while ((link = rl_list_pop_front(&entry->alters)) != NULL)
        if (alter_begin(entry, RL_LIST_ENTRY(link, struct rl_alter, link)))
            return;
}

void rl_controller_topic_alter(struct rl_controller *c, struct rl_alter *call)
{
    struct topic_entry *entry = rl_table_find(&c->by_name, call->name);
    if (entry == NULL || entry_is_going(entry)) {
        rl_controller_alter_answer(call, RL_ENOTFOUND);
        return;
    }
    rl_list_push_back(&entry->alters, &call->link);
    if (entry->phase == TOPIC_IDLE)
        alter_next(entry);
}

/* ---- delete ---- */

static struct topic_entry *delete_find(struct rl_controller *c, const struct rl_delete_topic *call)
{
    if (call->name.data != NULL)
        return rl_table_find(&c->by_name, call->name);
    const struct rl_topic *topic = rl_image_find_id(c->image, call->topic_id);
    return topic != NULL ? rl_table_find(&c->by_name, rl_slice_of_string(topic->name)) : NULL;
}

void rl_controller_topic_delete(struct rl_controller *c, struct rl_delete_topic *call)
{
    struct topic_entry *entry = delete_find(c, call);
    if (entry == NULL || entry_is_going(entry)) {
        rl_controller_delete_answer(call, RL_ENOTFOUND);
        return;
    }
    call->topic_id = entry->topic->id;
    rl_list_push_back(&entry->deletes, &call->link);
    if (entry->phase == TOPIC_IDLE)
        delete_begin(entry);
}

/* ---- a higher leader epoch ---- */

void rl_controller_topic_raise(struct rl_controller *c, struct rl_raise_epoch *call)
{
    const struct rl_topic *topic = rl_image_find_id(c->image, call->topic_id);
    struct topic_entry *entry =
        topic != NULL ? rl_table_find(&c->by_name, rl_slice_of_string(topic->name)) : NULL;
    if (entry == NULL || entry_is_going(entry)) {
        rl_controller_raise_answer(call, RL_ENOTFOUND);
        return;
    }
    if (entry->phase != TOPIC_IDLE || entry->topic->leader_epoch > call->above_epoch) {
        rl_controller_raise_answer(call, entry->phase == TOPIC_IDLE ? RL_OK : RL_EBUSY);
        return;
    }
    if (entry->topic->leader_epoch == INT32_MAX) {
        rl_controller_raise_answer(call, RL_ERANGE);
        return;
    }
    /* The epoch is what the floor rose by since the topic was created: one more than it did. */
    struct rl_topic raised = *entry->topic;
    raised.created_at_floor--;
    raised.leader_epoch++;
    entry->altered = rl_topic_node_create(&raised);
    entry->raise = call;
    c->busy++;
    rl_status status = entry_store_altered(entry);
    RL_ASSERT(status == RL_OK);                         /* it was stored before */
}

/* ---- start and stop ---- */

rl_status rl_controller_topic_load(struct rl_controller *c, struct rl_slice key,
                                   struct rl_slice value, int64_t version)
{
    struct rl_slice name = rl_slice_of(key.data + sizeof RL_TOPIC_KEY_PREFIX - 1,
                                       key.bytes - (sizeof RL_TOPIC_KEY_PREFIX - 1));
    const char *reason;
    if (rl_topic_name_check(name, &reason) != RL_OK)
        return RL_ECORRUPT;
    struct topic_entry *entry = entry_create(c, name);
    struct rl_topic *topic = NULL;
    enum topic_record_state state;
    rl_status status = rl_topic_record_decode(value, entry->name, &topic, &state);
    if (status != RL_OK)
        return status;
    entry->topic = topic;
    entry->version = version;
    entry->phase = state == TOPIC_RECORD_CREATING ? TOPIC_APPLYING_CREATING
                 : state == TOPIC_RECORD_ONLINE   ? TOPIC_APPLYING_ONLINE
                                                  : TOPIC_APPLYING_DELETING;
    return RL_OK;
}

rl_status rl_controller_topics_begin(struct rl_controller *c)
{
    struct rl_table ids;
    rl_status status = RL_OK;
    uint32_t at = 0;
    struct topic_entry *entry;
    rl_table_init(&ids, rl_shard_random(c->shard));
    while ((entry = rl_table_next(&c->by_name, &at)) != NULL) {
        struct rl_topic *topic = (struct rl_topic *)(uintptr_t)entry->topic;    /* not shown yet */
        if (topic->created_at_floor > c->epoch_floor ||
            (int64_t)c->epoch_floor - topic->created_at_floor > INT32_MAX ||
            rl_table_put(&ids, rl_slice_of(&topic->id, sizeof topic->id), topic) != NULL) {
            RL_ERROR("metadata", "topic %s: its id is another topic's, or it is from the future",
                     topic->name);
            status = RL_ECORRUPT;
        }
        topic->leader_epoch = c->epoch_floor - topic->created_at_floor;
        topic_resolve(c, topic);
        rl_controller_publish_add(entry);
    }
    rl_table_done(&ids);
    return status;
}

void rl_controller_topics_free(struct rl_controller *c)
{
    uint32_t at = 0;
    struct topic_entry *entry;
    while ((entry = rl_table_next(&c->by_name, &at)) != NULL)
        entry_free(entry);
    rl_table_done(&c->by_name);
    rl_table_done(&c->by_collision);
}

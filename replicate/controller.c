/* replicate/controller.c — start and stop of the one writer, and the way of calls to it.
 *
 * Start: open the store, read all of it, raise the epoch floor after an unclean start, publish
 * the first image, finish what a crash interrupted (an entry that was CREATING gets its
 * directories again and becomes ONLINE, one that was DELETING loses its files and its key).
 * Stop: let everything come to rest, let every shard forget its image, close the store.
 *
 * A call is a message to shard 0 and back; the caller's struct is that message.
 *
 * Failures: whatever goes wrong before the first image ends the start, and nothing is left.
 * After it, a topic that cannot be finished is logged and left for the next start. */
#include "replicate/controller.h"
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/controller_internal.h"

/* ---- the end of everything ---- */

static void controller_free(struct rl_controller *c)
{
    rl_controller_topics_free(c);
    rl_controller_settings_free(c);
    rl_free(c->image);
    rl_text_done(&c->block_value);
    rl_free(c->shards);
    rl_free(c);
}

static void on_closed(void *arg)
{
    struct rl_controller *c = arg;
    void (*started)(void *, rl_status) = c->starting ? c->started : NULL;
    void (*stopped)(void *) = c->stopped;
    void *start_arg = c->start_arg, *stop_arg = c->stop_arg;
    rl_status status = c->load_status;
    controller_free(c);
    if (started != NULL)
        started(start_arg, status);
    else
        stopped(stop_arg);
}

void rl_controller_rest(struct rl_controller *c)
{
    if (c->busy > 0 || c->publish != NULL || c->publish_kicked || c->leaving > 0 || c->closing ||
        !rl_list_empty(&c->publish_waiting) || !rl_list_empty(&c->block_storing) ||
        c->settings_alter != NULL)
        return;
    if (c->starting) {
        c->starting = false;
        RL_INFO("metadata", "%u topics, epoch floor %d", c->image->topic_count, c->epoch_floor);
        c->started(c->start_arg, RL_OK);
    } else if (c->stopping && rl_metadata_shard_of(c->shard) != NULL) {
        rl_controller_publish_leave(c);
    } else if (c->stopping) {
        c->closing = true;
        rl_metadata_store_close(c->store, on_closed, c);
    }
}

/* ---- start ---- */

static void start_fail(struct rl_controller *c, rl_status status)
{
    c->load_status = status;
    if (c->store != NULL)
        rl_metadata_store_close(c->store, on_closed, c);
    else
        on_closed(c);
}

static void start_publish(struct rl_controller *c)
{
    rl_controller_settings_begin(c);
    rl_status status = rl_controller_topics_begin(c);
    if (status == RL_OK)
        rl_controller_publish_first(c);
    else
        start_fail(c, status);
}

static void on_floor_stored(void *arg, rl_status status)
{
    struct rl_controller *c = arg;
    if (status != RL_OK) {
        RL_ERROR("metadata", "cannot raise the leader epochs after an unclean start: %s",
                 rl_status_text(status));
        start_fail(c, status);
        return;
    }
    c->epoch_floor++;
    start_publish(c);
}

static void floor_raise(struct rl_controller *c)
{
    rl_number_record_encode((int64_t)c->epoch_floor + 1, &c->block_value);
    c->block_op = (struct rl_metadata_op){ .key = rl_slice_of_string(RL_EPOCH_FLOOR_KEY),
                                           .value = rl_text_slice(&c->block_value),
                                           .expected_version = c->epoch_floor_version };
    rl_metadata_store_commit(c->store, &c->block_op, 1, on_floor_stored, c);
}

static rl_status load_floor(struct rl_controller *c, struct rl_slice value, int64_t version)
{
    int64_t floor;
    rl_status status = rl_number_record_decode(value, &floor);
    if (status == RL_OK && floor >= INT32_MAX)
        status = RL_ECORRUPT;
    if (status != RL_OK)
        return status;
    c->epoch_floor = (int32_t)floor;
    c->epoch_floor_version = version;
    return RL_OK;
}

static rl_status load_entry(struct rl_controller *c, struct rl_slice key, struct rl_slice value,
                            int64_t version)
{
    static const size_t prefix_bytes = sizeof RL_TOPIC_KEY_PREFIX - 1;
    if (key.bytes > prefix_bytes && memcmp(key.data, RL_TOPIC_KEY_PREFIX, prefix_bytes) == 0)
        return rl_controller_topic_load(c, key, value, version);
    static const size_t configs_bytes = sizeof RL_CONFIGS_KEY_PREFIX - 1;
    if (key.bytes > configs_bytes && memcmp(key.data, RL_CONFIGS_KEY_PREFIX, configs_bytes) == 0)
        return rl_controller_settings_load(c, key, value, version);
    if (rl_slice_equal_string(key, RL_EPOCH_FLOOR_KEY))
        return load_floor(c, value, version);
    if (rl_slice_equal_string(key, RL_PRODUCER_IDS_KEY))
        return rl_controller_producer_load(c, value, version);
    return RL_OK;                                       /* somebody else's */
}

static void on_entry(void *arg, rl_status status, struct rl_slice key, struct rl_slice value,
                     int64_t version)
{
    struct rl_controller *c = arg;
    if (key.data != NULL) {
        if (c->load_status != RL_OK)
            return;
        c->load_status = load_entry(c, key, value, version);
        if (c->load_status != RL_OK)
            RL_ERROR("metadata", "the value of %.*s cannot be used: %s", (int)key.bytes,
                     (const char *)key.data, c->load_status == RL_EVERSION
                         ? "it was written by a newer ringlog" : rl_status_text(c->load_status));
        return;
    }
    if (c->load_status == RL_OK)
        c->load_status = status;
    if (c->load_status != RL_OK)
        start_fail(c, c->load_status);
    else if (c->options.unclean_start)
        floor_raise(c);
    else
        start_publish(c);
}

static void on_opened(void *arg, rl_status status, struct rl_metadata_store *store)
{
    struct rl_controller *c = arg;
    c->store = store;
    if (status != RL_OK)
        start_fail(c, status);
    else
        rl_metadata_store_list(store, "", on_entry, c);
}

void rl_controller_start(struct rl_shard *shard, const struct rl_controller_options *options,
                         void (*done)(void *arg, rl_status status), void *arg)
{
    struct rl_controller *c = rl_alloc_zero(1, sizeof *c);
    RL_ASSERT(shard->index == 0);
    c->shard = shard;
    c->options = *options;
    c->starting = true;
    c->started = done;
    c->start_arg = arg;
    rl_table_init(&c->by_name, rl_shard_random(shard));
    rl_table_init(&c->by_collision, rl_shard_random(shard));
    rl_list_init(&c->publish_waiting);
    rl_list_init(&c->settings_entries);
    rl_list_init(&c->settings_alters);
    rl_list_init(&c->block_waiting);
    rl_list_init(&c->block_storing);
    c->shards = rl_alloc_zero(shard->count, sizeof *c->shards);
    for (uint32_t i = 0; i < shard->count; i++) {
        c->shards[i].shard = rl_shard_peer(shard, i);
        c->shards[i].controller = c;
        c->shards[i].settings_applied = options->applied;
        c->shards[i].topics_removed = options->removed;
        rl_list_init(&c->shards[i].producer_calls);
    }
    rl_metadata_store_open(shard, options->metadata_url, on_opened, c);
}

/* ---- stop ---- */

void rl_controller_stop(struct rl_shard *shard, void (*done)(void *arg), void *arg)
{
    struct rl_metadata_shard *local = rl_metadata_shard_of(shard);
    RL_ASSERT(shard->index == 0 && local != NULL && !local->controller->starting);
    local->controller->stopping = true;
    local->controller->stopped = done;
    local->controller->stop_arg = arg;
    rl_controller_rest(local->controller);
}

/* ---- calls ---- */

/* On shard 0; NULL: no calls now. */
static struct rl_controller *controller_of(const struct rl_shard *shard)
{
    const struct rl_metadata_shard *local = rl_metadata_shard_of(shard);
    return local != NULL && !local->controller->starting && !local->controller->stopping
         ? local->controller : NULL;
}

static void on_create_answer(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_create_topic *call = RL_CONTAINER_OF(msg, struct rl_create_topic, msg);
    (void)shard;
    call->done(call);
}

void rl_controller_create_answer(struct rl_create_topic *call, rl_status status)
{
    call->status = status;
    call->msg.handle = on_create_answer;
    rl_shard_post(call->from, &call->msg);
}

static void on_create(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_create_topic *call = RL_CONTAINER_OF(msg, struct rl_create_topic, msg);
    struct rl_controller *c = controller_of(shard);
    if (c != NULL)
        rl_controller_topic_create(c, call);
    else
        rl_controller_create_answer(call, RL_ESTOPPING);
}

void rl_controller_create_topic(struct rl_shard *from, struct rl_create_topic *call)
{
    call->from = from;
    call->reason[0] = '\0';
    call->topic_id = (struct rl_uuid){ { 0 } };
    call->msg.handle = on_create;
    rl_shard_post(rl_shard_peer(from, 0), &call->msg);
}

static void on_delete_answer(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_delete_topic *call = RL_CONTAINER_OF(msg, struct rl_delete_topic, msg);
    (void)shard;
    call->done(call);
}

void rl_controller_delete_answer(struct rl_delete_topic *call, rl_status status)
{
    call->status = status;
    call->msg.handle = on_delete_answer;
    rl_shard_post(call->from, &call->msg);
}

static void on_delete(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_delete_topic *call = RL_CONTAINER_OF(msg, struct rl_delete_topic, msg);
    struct rl_controller *c = controller_of(shard);
    if (c != NULL)
        rl_controller_topic_delete(c, call);
    else
        rl_controller_delete_answer(call, RL_ESTOPPING);
}

void rl_controller_delete_topic(struct rl_shard *from, struct rl_delete_topic *call)
{
    call->from = from;
    call->msg.handle = on_delete;
    rl_shard_post(rl_shard_peer(from, 0), &call->msg);
}

static void on_raise_answer(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_raise_epoch *call = RL_CONTAINER_OF(msg, struct rl_raise_epoch, msg);
    (void)shard;
    call->done(call);
}

void rl_controller_raise_answer(struct rl_raise_epoch *call, rl_status status)
{
    call->status = status;
    call->msg.handle = on_raise_answer;
    rl_shard_post(call->from, &call->msg);
}

static void on_raise(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_raise_epoch *call = RL_CONTAINER_OF(msg, struct rl_raise_epoch, msg);
    struct rl_controller *c = controller_of(shard);
    if (c != NULL)
        rl_controller_topic_raise(c, call);
    else
        rl_controller_raise_answer(call, RL_ESTOPPING);
}

void rl_controller_raise_epoch(struct rl_shard *from, struct rl_raise_epoch *call)
{
    call->from = from;
    call->msg.handle = on_raise;
    rl_shard_post(rl_shard_peer(from, 0), &call->msg);
}

static void on_alter_answer(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_alter *call = RL_CONTAINER_OF(msg, struct rl_alter, msg);
    (void)shard;
    call->done(call);
}

void rl_controller_alter_answer(struct rl_alter *call, rl_status status)
{
    call->status = status;
    call->msg.handle = on_alter_answer;
    rl_shard_post(call->from, &call->msg);
}

static void on_alter(struct rl_shard *shard, struct rl_msg *msg)
{
    struct rl_alter *call = RL_CONTAINER_OF(msg, struct rl_alter, msg);
    struct rl_controller *c = controller_of(shard);
    if (c == NULL)
        rl_controller_alter_answer(call, RL_ESTOPPING);
    else if (call->target == RL_ALTER_TOPIC)
        rl_controller_topic_alter(c, call);
    else
        rl_controller_settings_alter(c, call);
}

void rl_controller_alter(struct rl_shard *from, struct rl_alter *call)
{
    call->from = from;
    call->reason[0] = '\0';
    call->msg.handle = on_alter;
    rl_shard_post(rl_shard_peer(from, 0), &call->msg);
}

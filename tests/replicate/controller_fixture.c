/* tests/replicate/controller_fixture.c — start and stop a controller, call it, play its shards. */
#include "controller_fixture.h"
#include "core/logger.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define HELD_MAX 64

struct fixture fixture;

struct failures {
    struct rl_topic_failure *items;
    uint32_t count;
};

static struct held {
    struct rl_shard *shard;
    rl_applied_fn *done;
    void *arg;
    struct failures failures;
} held[HELD_MAX];
static uint32_t held_count;

/* ---- the replica manager ---- */

struct search {
    const char *name;
    uint32_t count;
    bool found;
};

static void on_name(void *arg, const char *name, bool directory)
{
    struct search *search = arg;
    cr_assert(directory);
    search->count++;
    search->found |= search->name != NULL && strcmp(name, search->name) == 0;
}

static bool directory_exists(const char *name)
{
    struct search search = { .name = name };
    cr_assert_eq(fixture.rig.under->list(fixture.rig.disk, "data", on_name, &search), RL_OK);
    return search.found;
}

static rl_status topic_apply(struct rl_shard *shard, const struct rl_topic *topic, bool removed,
                             bool look)
{
    for (int32_t p = 0; p < topic->partition_count; p++) {
        char path[300];
        rl_status status = RL_OK;
        snprintf(path, sizeof path, "data/%s-%d", topic->name, p);
        if (rl_partition_home(topic->id, p, shard->count) != shard->index)
            continue;
        bool creating = topic->state == RL_TOPIC_CREATING && p >= topic->partitions_made;
        fixture.creating += creating;
        if (removed)
            status = rl_disk_remove_directory(shard->disk, path);
        else if (creating)
            status = rl_disk_make_directory(shard->disk, path);
        else if (look && !directory_exists(path + 5))
            fixture.missing++;
        if (status != RL_OK && status != RL_EEXIST && status != RL_ENOTFOUND)
            return status;
        if (removed || creating)
            status = rl_disk_sync_directory(shard->disk, "data");
        if (status != RL_OK)
            return status;
    }
    return RL_OK;
}

static bool is_made_to_fail(const struct rl_topic *topic, bool removed)
{
    return fixture.apply_status != RL_OK && (removed || topic->state == RL_TOPIC_CREATING) &&
           (fixture.apply_fails == NULL || strcmp(fixture.apply_fails, topic->name) == 0);
}

static void topic_try(struct rl_shard *shard, const struct rl_topic *topic, bool removed, bool look,
                      struct failures *failures)
{
    rl_status status = is_made_to_fail(topic, removed) ? fixture.apply_status
                                                       : topic_apply(shard, topic, removed, look);
    if (status == RL_OK)
        return;
    failures->items = rl_realloc(failures->items, (failures->count + 1) * sizeof *failures->items);
    failures->items[failures->count++] = (struct rl_topic_failure){ topic->id, status };
}

static void image_check(const struct rl_image *image)
{
    for (uint32_t i = 0; i < image->topic_count; i++) {
        const struct rl_topic *topic = image->by_name[i];
        cr_assert_eq(rl_image_find_id(image, topic->id), topic);
        cr_assert_eq(rl_image_find(image, rl_slice_of_string(topic->name)), topic);
        cr_assert(i == 0 || strcmp(image->by_name[i - 1]->name, topic->name) < 0);
    }
}

void rl_replica_manager_apply(struct rl_shard *shard, const struct rl_image *image,
                              const struct rl_topic *const *removed, uint32_t removed_count,
                              rl_applied_fn *done, void *arg)
{
    struct failures failures = { 0 };
    /* The larger tests are about other things. */
    bool look = image->topic_count < 20, act = image->topic_count < 1000;
    cr_assert_eq(rl_self, shard);
    cr_assert_eq(rl_image_current(shard), image);
    fixture.applies++;
    if (look)
        image_check(image);
    for (uint32_t i = 0; i < removed_count; i++)
        topic_try(shard, removed[i], true, look, &failures);
    for (uint32_t i = 0; i < image->topic_count && act; i++)
        topic_try(shard, image->by_name[i], false, look, &failures);
    if (!fixture.hold) {
        done(arg, failures.items, failures.count);
        return;
    }
    cr_assert_lt(held_count, HELD_MAX);
    held[held_count++] = (struct held){ shard, done, arg, failures };
}

static void do_release(struct rl_shard *shard, void *arg)
{
    struct held *one = arg;
    (void)shard;
    one->done(one->arg, one->failures.items, one->failures.count);
}

void fixture_release(void)
{
    fixture.hold = false;
    for (uint32_t i = 0; i < held_count; i++)
        rig_post(&fixture.rig, held[i].shard->index, do_release, &held[i]);
    held_count = 0;
    rig_run(&fixture.rig);
}

/* ---- start and stop ---- */

static void quiet(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg, (void)level, (void)line, (void)bytes;
}

void fixture_init(uint32_t shard_count, uint64_t seed)
{
    rl_logger_set_sink(quiet, NULL);
    fixture = (struct fixture){ .status = RL_OK };
    rig_init(&fixture.rig, shard_count, seed);
    struct rig *rig = &fixture.rig;
    cr_assert_eq(rig->under->make_directory(rig->disk, "data"), RL_OK);
    cr_assert_eq(rig->under->sync_directory(rig->disk, "."), RL_OK);
}

void fixture_done(void)
{
    rig_done(&fixture.rig);
}

/* A configuration that tells how many overrides it was made from. */
static void resolve(void *arg, const void *settings, const char *topic,
                    const struct rl_topic_override *overrides, uint32_t override_count,
                    struct rl_log_config *ret_config)
{
    const struct fixture_settings *own = settings;
    (void)overrides;
    (void)topic;
    cr_assert_eq(arg, &fixture);
    cr_assert_eq(own->magic, FIXTURE_SETTINGS_MAGIC);
    *ret_config = (struct rl_log_config){
        .max_message_bytes = 1000 * (1 + (int32_t)own->overrides) + (int32_t)override_count };
}

/* Settings that tell how many overrides of resources there are. */
static const void *build(void *arg, const struct rl_config_resource *resources, uint32_t count)
{
    struct fixture_settings *settings = rl_alloc_zero(1, sizeof *settings);
    cr_assert_eq(arg, &fixture);
    settings->magic = FIXTURE_SETTINGS_MAGIC;
    settings->resources = count;
    for (uint32_t i = 0; i < count; i++) {
        settings->overrides += resources[i].override_count;
        cr_assert(i == 0 || resources[i - 1].type < resources[i].type ||
                  strcmp(resources[i - 1].name, resources[i].name) < 0);
    }
    fixture.settings_alive++;
    return settings;
}

static void forget(void *arg, const void *settings)
{
    struct fixture_settings *own = (struct fixture_settings *)(uintptr_t)settings;
    cr_assert_eq(arg, &fixture);
    cr_assert_eq(own->magic, FIXTURE_SETTINGS_MAGIC);
    own->magic = 0;
    fixture.settings_alive--;
    rl_free(own);
}

static void applied(struct rl_shard *shard, const void *settings)
{
    cr_assert_eq(rl_image_current(shard)->settings, settings);
    fixture.settings_applied++;
}

static void on_started(void *arg, rl_status status)
{
    fixture.status = status;
    fixture.running = status == RL_OK;
    ++*(uint32_t *)arg;
}

static uint32_t started;

static void do_start(struct rl_shard *shard, void *arg)
{
    struct rl_controller_options options = { .metadata_url = "local:meta", .resolve = resolve,
                                             .build = build, .free = forget, .applied = applied,
                                             .arg = &fixture, .unclean_start = *(bool *)arg };
    started = 0;
    rl_controller_start(shard, &options, on_started, &started);
    cr_assert_eq(started, 0);
}

void fixture_start(bool unclean, uint32_t cut_at)
{
    rig_boot(&fixture.rig, cut_at);
    rig_call(&fixture.rig, 0, do_start, &unclean);
    cr_assert_eq(started, 1);
}

static void on_stopped(void *arg)
{
    ++*(uint32_t *)arg;
}

static void do_stop(struct rl_shard *shard, void *arg)
{
    rl_controller_stop(shard, on_stopped, arg);
}

void fixture_stop(void)
{
    uint32_t stopped = 0;
    if (fixture.running) {
        rig_call(&fixture.rig, 0, do_stop, &stopped);
        cr_assert_eq(stopped, 1);
    }
    fixture.running = false;
    for (uint32_t i = 0; i < fixture.rig.shard_count; i++)
        cr_assert_eq(fixture_image(i)->topic_count, 0);
    cr_assert_eq(fixture.settings_alive, 0);
    rig_halt(&fixture.rig);
}

void fixture_power_cut(void)
{
    fixture.rig.cut = true;
    fixture_release();
    fixture_stop();
    rig_lose(&fixture.rig);
}

uint32_t fixture_directory_count(void)
{
    struct search search = { 0 };
    cr_assert_eq(fixture.rig.under->list(fixture.rig.disk, "data", on_name, &search), RL_OK);
    return search.count;
}

/* ---- calls ---- */


static void on_create(struct rl_create_topic *call)
{
    cr_assert_eq(rl_self, call->from);
    cr_assert((call->status == RL_OK) == (call->reason[0] == '\0') || call->status == RL_ESTOPPING);
    ++*(uint32_t *)call->arg;
}

static void do_create(struct rl_shard *shard, void *arg)
{
    struct rl_create_topic *call = arg;
    uint32_t before = *(uint32_t *)call->arg;
    rl_controller_create_topic(shard, call);
    cr_assert_eq(*(uint32_t *)call->arg, before, "done ran inside the call");
}

void fixture_post_create(uint32_t shard, struct rl_create_topic *call, uint32_t *answered)
{
    call->done = on_create;
    call->arg = answered;
    rig_post(&fixture.rig, shard, do_create, call);
}

struct rl_create_topic fixture_create(uint32_t shard, const char *name, int32_t partitions)
{
    struct rl_create_topic call = { .name = rl_slice_of_string(name),
                                    .partition_count = partitions };
    uint32_t answered = 0;
    fixture_post_create(shard, &call, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 1);
    return call;
}

static void on_delete(struct rl_delete_topic *call)
{
    cr_assert_eq(rl_self, call->from);
    ++*(uint32_t *)call->arg;
}

static void do_delete(struct rl_shard *shard, void *arg)
{
    struct rl_delete_topic *call = arg;
    uint32_t before = *(uint32_t *)call->arg;
    rl_controller_delete_topic(shard, call);
    cr_assert_eq(*(uint32_t *)call->arg, before, "done ran inside the call");
}

void fixture_post_delete(uint32_t shard, struct rl_delete_topic *call, uint32_t *answered)
{
    call->done = on_delete;
    call->arg = answered;
    rig_post(&fixture.rig, shard, do_delete, call);
}

static void do_raise(struct rl_shard *shard, void *arg) { rl_controller_raise_epoch(shard, arg); }
static void on_raise(struct rl_raise_epoch *call) { ++*(uint32_t *)call->arg; }

rl_status fixture_raise(uint32_t shard, struct rl_uuid id, int32_t above_epoch)
{
    uint32_t answered = 0;
    struct rl_raise_epoch call = { .topic_id = id, .above_epoch = above_epoch, .done = on_raise,
                                   .arg = &answered };
    rig_post(&fixture.rig, shard, do_raise, &call);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 1);
    return call.status;
}

static rl_status delete_run(uint32_t shard, struct rl_delete_topic call)
{
    uint32_t answered = 0;
    fixture_post_delete(shard, &call, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 1);
    return call.status;
}

rl_status fixture_delete(uint32_t shard, const char *name)
{
    return delete_run(shard, (struct rl_delete_topic){ .name = rl_slice_of_string(name) });
}

rl_status fixture_delete_id(uint32_t shard, struct rl_uuid id)
{
    return delete_run(shard, (struct rl_delete_topic){ .topic_id = id });
}

static void on_alter(struct rl_alter *call)
{
    cr_assert_eq(rl_self, call->from);
    ++*(uint32_t *)call->arg;
}

static void do_alter(struct rl_shard *shard, void *arg)
{
    struct rl_alter *call = arg;
    uint32_t before = *(uint32_t *)call->arg;
    rl_controller_alter(shard, call);
    cr_assert_eq(*(uint32_t *)call->arg, before, "done ran inside the call");
}

void fixture_post_alter(uint32_t shard, struct rl_alter *call, uint32_t *answered)
{
    call->done = on_alter;
    call->arg = answered;
    rig_post(&fixture.rig, shard, do_alter, call);
}

struct rl_alter fixture_alter(uint32_t shard, struct rl_alter call)
{
    uint32_t answered = 0;
    fixture_post_alter(shard, &call, &answered);
    rig_run(&fixture.rig);
    cr_assert_eq(answered, 1);
    return call;
}

static void on_producer_id(struct rl_allocate_producer_id *call)
{
    ++*(uint32_t *)call->arg;
}

static void do_producer_id(struct rl_shard *shard, void *arg)
{
    struct rl_allocate_producer_id *call = arg;
    uint32_t before = *(uint32_t *)call->arg;
    rl_controller_allocate_producer_id(shard, call);
    cr_assert_eq(*(uint32_t *)call->arg, before, "done ran inside the call");
}

void fixture_post_producer_id(uint32_t shard, struct rl_allocate_producer_id *call,
                              uint32_t *answered)
{
    call->done = on_producer_id;
    call->arg = answered;
    rig_post(&fixture.rig, shard, do_producer_id, call);
}

const struct rl_image *fixture_image(uint32_t shard)
{
    return rl_image_current(rl_shard_set_get(fixture.rig.set, shard));
}

const struct rl_topic *fixture_find(uint32_t shard, const char *name)
{
    return rl_image_find(fixture_image(shard), rl_slice_of_string(name));
}

/* log/log_manager.c — what the logs of one shard share: the end of the turn, budgets, descriptors.
 *
 * The happy path of a turn: appends and completions mark their logs dirty; the hook writes what
 * each has queued, starts its operations, then tells the owners.  An owner's handler may append
 * again: that log is dirty again and has its turn in the next one.
 * Failures: none of its own. */
#include "log/log_internal.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/damage.h"
#include "log/scrub.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct rl_log_manager *rl_log_manager_of(const struct rl_shard *shard)
{
    struct rl_log_manager *manager = shard->context[RL_CONTEXT_LOG];

    RL_OBJ(manager, LOG_MANAGER);
    return manager;
}

/* ---- the end of the turn ---- */

static void tell(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;
    const struct rl_log_events *events = log->events;

    if (log->closing || events == NULL) {
        hot->tell_written = hot->tell_flushed = hot->tell_failed = hot->tell_trimmed = false;
        return;
    }
    if (hot->tell_failed) {
        hot->tell_failed = false;
        if (events->on_failed != NULL)
            events->on_failed(log->events_arg, log->failure);
    }
    if (hot->tell_written) {
        hot->tell_written = false;
        if (events->on_written != NULL)
            events->on_written(log->events_arg);
    }
    if (hot->tell_flushed) {
        hot->tell_flushed = false;
        if (events->on_flushed != NULL)
            events->on_flushed(log->events_arg);
    }
    if (hot->tell_trimmed) {
        hot->tell_trimmed = false;
        if (events->on_trimmed != NULL)
            events->on_trimmed(log->events_arg);
    }
}

/* A log may go when nothing is in flight and nothing is left to be saved. */
static bool finish_closing(struct rl_log *log)
{
    struct rl_log_hot *hot = log->hot;

    if (!log->closing || log->busy > 0)
        return false;
    if (hot->close_clean && log->failure == RL_OK && !hot->close_saved)
        return false;
    if (log->failure != RL_OK)
        log->manager->unsound = true;
    void (*done)(void *arg) = hot->close_done;
    void *arg = hot->close_arg;
    rl_log_free(log);
    if (done != NULL)
        done(arg);
    return true;
}

static void on_turn(struct rl_shard *shard, void *arg)
{
    struct rl_log_manager *manager = arg;
    struct rl_list work;

    if (rl_list_empty(&manager->dirty))
        return;
    shard->doing = "log: end of turn";
    rl_list_init(&work);
    rl_list_take_all(&work, &manager->dirty);
    RL_LIST_EACH(node, &work) {
        struct rl_log *log = RL_LIST_ENTRY(node, struct rl_log_node, node)->log;
        rl_log_write(log);
    }
    rl_tail_trim(manager);
    for (struct rl_list *node; (node = rl_list_pop_front(&work)) != NULL;) {
        struct rl_log *log = RL_LIST_ENTRY(node, struct rl_log_node, node)->log;
        rl_log_advance(log);
        tell(log);
        finish_closing(log);
    }
    if (!rl_list_empty(&manager->dirty))
        rl_shard_again(shard);
}

void rl_log_mark_dirty(struct rl_log *log)
{
    struct rl_log_hot *hot = rl_log_heat(log);

    if (!rl_list_linked(&hot->dirty.node))
        rl_list_push_back(&log->manager->dirty, &hot->dirty.node);
}

/* ---- the clock of retention ---- */

int64_t rl_log_retention_wall_ms(struct rl_log_manager *manager)
{
    const int64_t jump_ms_max = 3600 * 1000, believed_after_ns = 86400 * (int64_t)1000000000;
    const struct rl_shard *shard = manager->shard;
    int64_t offset_ms = shard->wall_ms - shard->now_ns / 1000000;

    if (offset_ms - manager->wall_offset_ms <= jump_ms_max) {
        manager->wall_offset_ms = offset_ms;
        manager->jumped_ns = 0;
        return shard->wall_ms;
    }
    if (manager->jumped_ns == 0) {
        manager->jumped_ns = shard->now_ns;
        RL_WARN("log", "the clock jumped forward by %lld s: for a day nothing is deleted by it",
                (long long)((offset_ms - manager->wall_offset_ms) / 1000));
    }
    if (shard->now_ns - manager->jumped_ns >= believed_after_ns)
        manager->wall_offset_ms = offset_ms;
    return shard->now_ns / 1000000 + manager->wall_offset_ms;
}

/* ---- start and stop ---- */

rl_status rl_log_manager_start(struct rl_shard *shard, const struct rl_log_manager_options *options)
{
    struct rl_log_manager *manager = rl_alloc_zero(1, sizeof *manager);

    manager->magic = RL_LOG_MANAGER_MAGIC;
    manager->shard = shard;
    manager->data_dir = rl_strdup(options->data_dir);
    manager->tail_bytes = options->tail_bytes;
    manager->producer_id_expiration_ms = options->producer_id_expiration_ms;
    manager->open_files_max = RL_MAX(options->open_files_max, 1u);
    manager->reserve_bytes = options->reserve_bytes;
    manager->save_bytes = RL_LOG_SAVE_BYTES;
    manager->wall_offset_ms = shard->wall_ms - shard->now_ns / 1000000;
    rl_list_init(&manager->logs);
    rl_list_init(&manager->files);
    rl_list_init(&manager->leases);
    rl_list_init(&manager->dirty);
    rl_list_init(&manager->runs);
    manager->min_free_bytes = options->min_free_bytes;
    rl_free_space_start(manager);
    rl_scrub_start(manager, options->scrub_bytes_per_second);
    shard->context[RL_CONTEXT_LOG] = manager;
    rl_shard_add_turn_hook(shard, on_turn, manager);
    return RL_OK;
}

void rl_log_manager_set_producer_expiration(struct rl_shard *shard, int64_t expiration_ms)
{
    rl_log_manager_of(shard)->producer_id_expiration_ms = expiration_ms;
}

bool rl_log_manager_is_sound(const struct rl_shard *shard)
{
    return !rl_log_manager_of(shard)->unsound;
}

bool rl_log_manager_names_doubted(const struct rl_shard *shard)
{
    return rl_log_manager_of(shard)->names_doubted;
}

struct rl_log_counts rl_log_manager_counts(const struct rl_shard *shard)
{
    return rl_log_manager_of(shard)->counts;
}

void rl_log_manager_stop(struct rl_shard *shard)
{
    struct rl_log_manager *manager = rl_log_manager_of(shard);

    RL_ASSERT(manager->log_count == 0);
    rl_lease_end_all(manager);
    RL_ASSERT(manager->open_files == 0);
    rl_free_space_stop(manager);
    rl_scrub_stop(manager);
    rl_damage_done(manager);
    if (manager->last_config != NULL)
        rl_log_config_drop(manager, manager->last_config);
    shard->context[RL_CONTEXT_LOG] = NULL;
    rl_free(manager->data_dir);
    manager->magic = 0;
    rl_free(manager);
}

/* ---- shared configurations ---- */

struct rl_log_config_ref *rl_log_config_take(struct rl_log_manager *manager,
                                             const struct rl_log_config *config)
{
    /* Partitions of a topic are opened one after another: the last one's is nearly always it. */
    if (manager->last_config == NULL ||
        memcmp(&manager->last_config->config, config, sizeof *config) != 0) {
        if (manager->last_config != NULL)
            rl_log_config_drop(manager, manager->last_config);
        manager->last_config = rl_alloc_zero(1, sizeof *manager->last_config);
        memcpy(&manager->last_config->config, config, sizeof *config);
        manager->last_config->references = 1;
    }
    manager->last_config->references++;
    return manager->last_config;
}

void rl_log_config_drop(struct rl_log_manager *manager, struct rl_log_config_ref *ref)
{
    if (--ref->references > 0)
        return;
    if (manager->last_config == ref)
        manager->last_config = NULL;
    rl_free(ref);
}

/* ---- names ---- */

void rl_partition_path(const char *data_dir, const char *topic, int32_t partition, char *path)
{
    snprintf(path, RL_PATH_BYTES, "%s/%s-%" PRId32, data_dir, topic, partition);
}

void rl_log_directory(const struct rl_log *log, char *path)
{
    rl_partition_path(log->manager->data_dir, log->topic, log->partition, path);
}

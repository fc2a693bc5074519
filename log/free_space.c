/* log/free_space.c — what the logs of a shard do before, while and after the disk is full.
 *
 * Happy path: while records come, a job looks at the free space once a second, and sooner when
 * much was appended.  Below the configured minimum nothing more is taken, while there is still room
 * for what a full disk must not stop: metadata, checkpoints, the last batches on their way.  Above
 * it, with a little distance, all goes on by itself.
 * Failures: a write that finds no space all the same (somebody else was quicker) fails its log,
 * which is rolled back and waits here until there is some.  Free space that cannot be asked for
 * counts as enough. */
#include "core/logger.h"
#include "log/log_internal.h"

#define LOOK_EVERY_NS ((int64_t)1000000000)
/* A log that found the disk full tries again with this much. */
#define RESUME_BYTES ((uint64_t)4 << 20)
/* Looks per minimum: what all shards together append between two of them is less than this part. */
#define LOOKS_PER_MINIMUM 8
#define LOOK_BYTES_MIN ((uint64_t)256 << 10)

static uint64_t look_bytes(const struct rl_log_manager *manager)
{
    return RL_MAX(manager->min_free_bytes / LOOKS_PER_MINIMUM / manager->shard->count, LOOK_BYTES_MIN);
}

/* ---- what was found ---- */

static void judge(struct rl_log_manager *manager)
{
    uint64_t wanted = manager->min_free_bytes;

    if (!manager->space_low && manager->free_bytes < wanted) {
        manager->space_low = true;
        RL_WARN("log", "%s has only %llu MiB left, less than ringlog.log.min.free.bytes (%llu MiB): "
                "records are refused until there is more; make room or shorten retention",
                manager->data_dir, (unsigned long long)(manager->free_bytes >> 20),
                (unsigned long long)(wanted >> 20));
    } else if (manager->space_low && manager->free_bytes >= wanted + wanted / LOOKS_PER_MINIMUM) {
        manager->space_low = false;
        RL_INFO("log", "%s has %llu MiB left: records are taken again", manager->data_dir,
                (unsigned long long)(manager->free_bytes >> 20));
    }
}

static void resume(struct rl_log_manager *manager)
{
    for (struct rl_list *node; (node = rl_list_pop_front(&manager->no_space)) != NULL;) {
        struct rl_log *log = RL_LIST_ENTRY(node, struct rl_log_node, node)->log;
        if (log->checkpoint_due)
            log->hot->rollback_due = true;
        else
            log->failure = RL_OK;
        rl_log_mark_dirty(log);         /* a flush may be waiting */
    }
}

/* ---- looking ---- */

static void start_timer(struct rl_log_manager *manager)
{
    if (!rl_timer_running(&manager->space_timer))
        rl_timer_start(manager->shard, &manager->space_timer, manager->shard->now_ns + LOOK_EVERY_NS);
}

static void run_look(struct rl_op *op)
{
    struct rl_log_manager *manager = op->arg;
    uint64_t total_bytes;

    op->status = rl_disk_free_bytes(manager->shard->disk, manager->data_dir, &manager->free_bytes,
                                    &total_bytes);
}

static void on_looked(struct rl_op *op)
{
    struct rl_log_manager *manager = op->arg;

    if (op->status == RL_OK)
        judge(manager);
    if (op->status == RL_OK && manager->free_bytes >= RESUME_BYTES && !manager->space_low)
        resume(manager);
    if (manager->space_low || !rl_list_empty(&manager->no_space))
        start_timer(manager);
}

static void look(struct rl_log_manager *manager)
{
    if (manager->space_op.in_flight)
        return;
    manager->bytes_since_look = 0;
    manager->space_op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_look, .done = on_looked,
                                        .arg = manager };
    rl_submit(manager->shard, &manager->space_op);
}

static void on_timer(struct rl_timer *timer)
{
    look(timer->arg);
}

void rl_free_space_note(struct rl_log_manager *manager, uint64_t bytes)
{
    if (manager->min_free_bytes == 0)
        return;
    manager->bytes_since_look += bytes;
    if (RL_UNLIKELY(manager->bytes_since_look >= look_bytes(manager)))
        look(manager);
    start_timer(manager);               /* others fill the disk, too */
}

void rl_log_wait_for_space(struct rl_log *log)
{
    if (!rl_list_linked(&log->hot->no_space.node))
        rl_list_push_back(&log->manager->no_space, &log->hot->no_space.node);
    start_timer(log->manager);
}

/* ---- start and stop ---- */

void rl_free_space_start(struct rl_log_manager *manager)
{
    rl_list_init(&manager->no_space);
    manager->space_timer = (struct rl_timer){ .done = on_timer, .arg = manager };
    manager->bytes_since_look = look_bytes(manager);    /* the first append looks */
}

void rl_free_space_stop(struct rl_log_manager *manager)
{
    rl_timer_stop(manager->shard, &manager->space_timer);
}

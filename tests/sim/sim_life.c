/* tests/sim/sim_life.c — one life of the broker, started and stopped as broker/server.c does it.
 *
 * The same order of the same calls, without signals and threads.  A kill drops everything: the
 * heap of the life is given back, the kernel forgets what was in flight. */
#include "broker/groups.h"
#include "broker/broker.h"
#include "broker/data_directory.h"
#include "broker/fetch_session.h"
#include "broker/settings.h"
#include "coordinate/coordinator_internal.h"
#include "core/memory.h"
#include "log/log_internal.h"
#include "replicate/controller.h"
#include "replicate/replica_manager.h"
#include "sim.h"
#include "sim_heap.h"
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define SAVE_BYTES (12u << 10)          /* checkpoints come often */
#define REWRITE_BYTES (6u << 10)        /* and committed offsets are written again */
#define DRAIN_GRACE_NS ((int64_t)100 * 1000000)

struct visit {
    struct rl_msg msg;
    struct sim_broker *broker;
};

struct sim_broker {
    struct rl_mem *mem;
    struct rl_disk *disk;
    struct rl_config config;
    struct rl_broker broker;
    struct rl_data_directory directory;
    struct rl_log_start log_start;
    uint32_t fetch_session_slots;
    bool prove_mount, ready, failed, stopped, unsound[4], names_doubted[4],
         logs_closed;
    struct rl_msg boot;
    struct rl_op recovered_job;
    struct visit visits[4];
    uint32_t visits_out;
    void (*visit)(struct rl_shard *shard, struct visit *visit);
    void (*next)(struct rl_shard *shard, struct sim_broker *broker);
};

/* ---- rounds over all shards ---- */

static void on_visit_returned(struct rl_shard *shard, struct rl_msg *msg)
{
    struct sim_broker *b = RL_CONTAINER_OF(msg, struct visit, msg)->broker;
    if (--b->visits_out == 0)
        b->next(shard, b);
}

static void visit_done(void *arg)
{
    struct visit *v = arg;
    v->msg.handle = on_visit_returned;
    rl_shard_post(rl_shard_peer(rl_self, 0), &v->msg);
}

static void on_visit(struct rl_shard *shard, struct rl_msg *msg)
{
    struct visit *v = RL_CONTAINER_OF(msg, struct visit, msg);
    v->broker->visit(shard, v);
}

static void round_begin(struct rl_shard *shard, struct sim_broker *b,
                        void (*visit)(struct rl_shard *, struct visit *),
                        void (*next)(struct rl_shard *, struct sim_broker *))
{
    b->visit = visit;
    b->next = next;
    b->visits_out = shard->count;
    for (uint32_t i = 0; i < shard->count; i++) {
        b->visits[i] = (struct visit){ .msg = { .handle = on_visit }, .broker = b };
        rl_shard_post(rl_shard_peer(shard, i), &b->visits[i].msg);
    }
}

/* ---- start ---- */

static rl_status same_random(void *arg, void *data, size_t bytes)
{
    (void)arg;
    memset(data, 7, bytes);
    return RL_OK;
}

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    struct sim_broker *b = arg;
    shard->context[RL_CONTEXT_BROKER] = &b->broker;
    rl_status status = rl_groups_start(shard, &b->config);
    if (status != RL_OK)
        return status;
    rl_coordinator_of(shard)->rewrite_bytes_min = REWRITE_BYTES;
    status = rl_log_manager_start(shard, &(struct rl_log_manager_options){
        .data_dir = SIM_DATA_DIR, .tail_bytes = (size_t)(64 << 10) / shard->count,
        .producer_id_expiration_ms = b->config.producer_id_expiration_ms, .open_files_max = 8 });
    if (status != RL_OK)
        return status;
    rl_log_manager_of(shard)->save_bytes = SAVE_BYTES;
    status = rl_net_start(shard, &(struct rl_net_options){
        .handler = rl_dispatch, .frame_bytes_max = 1 << 20, .request_bytes_max = 4 << 20,
        .arena_bytes_max = ARENA_BYTES_MAX, .requests_in_flight_max = 64, .connection_limits = RL_CONNECTION_LIMITS(100),
        .send_buffer_bytes = -1, .receive_buffer_bytes = -1, .backlog = 50 });
    if (status != RL_OK)
        return status;
    if (b->fetch_session_slots != 0)
        rl_fetch_sessions_start(shard, b->fetch_session_slots);
    return rl_replica_manager_start(shard, &(struct rl_replica_manager_options){
        .data_dir = SIM_DATA_DIR, .log_start = b->log_start, .node_id = 1,
        .maintain_interval_ns = 5 * INT64_C(1000000000) });
}

static void begin_listening(struct rl_shard *shard, struct sim_broker *b)
{
    b->ready = rl_net_listen(shard, 0, "127.0.0.1", SIM_PORT, &b->broker.bound_ports[0]) == RL_OK;
    b->failed = !b->ready;
}

static void recovered_run(struct rl_op *op)
{
    struct sim_broker *b = op->arg;
    op->status = rl_log_directory_recovered(b->disk, SIM_DATA_DIR);
}

static void recovered_done(struct rl_op *op)
{
    begin_listening(rl_self, op->arg);
}

static void visit_note_sound(struct rl_shard *shard, struct visit *v)
{
    v->broker->unsound[shard->index] = !rl_log_manager_is_sound(shard);
    visit_done(v);
}

static bool all_sound(const struct sim_broker *b)
{
    return !b->unsound[0] && !b->unsound[1] && !b->unsound[2] && !b->unsound[3];
}

static void on_all_noted(struct rl_shard *shard, struct sim_broker *b)
{
    if (!all_sound(b)) {
        begin_listening(shard, b);
        return;
    }
    b->recovered_job = (struct rl_op){ .kind = RL_OP_JOB, .job.run = recovered_run,
                                       .done = recovered_done, .arg = b };
    rl_submit(shard, &b->recovered_job);
}

static void visit_load_groups(struct rl_shard *shard, struct visit *v)
{
    rl_coordinator_load(shard);
    visit_done(v);
}

static void on_groups_loading(struct rl_shard *shard, struct sim_broker *b)
{
    if (b->prove_mount)
        round_begin(shard, b, visit_note_sound, on_all_noted);
    else
        begin_listening(shard, b);
}

static void on_controller_started(void *arg, rl_status status)
{
    struct sim_broker *b = arg;
    if (status != RL_OK)
        b->failed = true;
    else
        round_begin(rl_self, b, visit_load_groups, on_groups_loading);
}

static void on_boot(struct rl_shard *shard, struct rl_msg *msg)
{
    struct sim_broker *b = RL_CONTAINER_OF(msg, struct sim_broker, boot);
    rl_controller_start(shard, &(struct rl_controller_options){
        .metadata_url = "local:" SIM_DATA_DIR "/metadata", .resolve = rl_settings_resolve,
        .build = rl_settings_build, .free = rl_settings_free, .applied = rl_settings_applied,
        .removed = rl_groups_forget_topics,
        .arg = &b->broker, .unclean_start = !b->log_start.clean && !b->log_start.same_mount }, on_controller_started, b);
}

static rl_status start_in_broker(struct sim_broker *b, uint32_t shards)
{
    char message[RL_DATA_DIRECTORY_MESSAGE_BYTES];
    const struct rl_data_directory_options options = { .path = SIM_DATA_DIR, .node_id = 1,
                                                       .random = same_random };
    struct rl_shard_set_options set = { .shard_count = shards, .backend = &rl_backend_mem,
                                        .disk = b->disk };
    rl_status status = rl_data_directory_open(b->disk, &options, &b->directory, message);
    if (status != RL_OK)
        return status;
    memcpy(b->broker.cluster_id, b->directory.cluster_id, sizeof b->broker.cluster_id);
    status = rl_log_directory_start(b->disk, SIM_DATA_DIR, &b->log_start);
    if (status != RL_OK)
        return status;
    b->prove_mount = !b->log_start.same_mount;
    b->log_start.clean |= b->directory.formatted;
    RL_ASSERT(rl_shard_set_create(&set, &b->broker.shards) == RL_OK);
    status = rl_shard_set_start_stepped(b->broker.shards, shard_start, b);
    if (status != RL_OK)
        return status;
    b->boot.handle = on_boot;
    rl_shard_post_foreign(rl_shard_set_get(b->broker.shards, 0), &b->boot);
    return RL_OK;
}

rl_status sim_broker_start(struct sim_broker *b, uint32_t shards)
{
    b->ready = b->failed = b->stopped = b->logs_closed = false;
    memset(b->unsound, 0, sizeof b->unsound);
    memset(b->names_doubted, 0, sizeof b->names_doubted);
    sim_enter_broker();
    rl_status status = start_in_broker(b, shards);
    sim_leave_broker();
    return status;
}

/* ---- stop ---- */

static void on_logs_closed(struct rl_shard *shard, struct sim_broker *b)
{
    (void)shard;
    b->logs_closed = b->stopped = true;
}

static void visit_close_logs(struct rl_shard *shard, struct visit *v)
{
    rl_replica_manager_stop(shard, visit_done, v);
}

static void on_controller_stopped(void *arg)
{
    round_begin(rl_self, arg, visit_close_logs, on_logs_closed);
}

static void on_drained(struct rl_shard *shard, struct sim_broker *b)
{
    rl_controller_stop(shard, on_controller_stopped, b);
}

static void visit_drain(struct rl_shard *shard, struct visit *v)
{
    rl_coordinator_stop_serving(shard);
    rl_net_drain(shard, DRAIN_GRACE_NS, visit_done, v);
}

static void on_stop(struct rl_shard *shard, struct rl_msg *msg)
{
    struct sim_broker *b = RL_CONTAINER_OF(msg, struct sim_broker, boot);
    rl_net_stop_listening(shard);
    round_begin(shard, b, visit_drain, on_drained);
}

void sim_broker_stop(struct sim_broker *b)
{
    b->boot.handle = on_stop;
    rl_shard_post_foreign(rl_shard_set_get(b->broker.shards, 0), &b->boot);
}

static void shard_finish(struct rl_shard *shard, void *arg)
{
    struct sim_broker *b = arg;
    b->unsound[shard->index] = !rl_log_manager_is_sound(shard);
    b->names_doubted[shard->index] = rl_log_manager_names_doubted(shard);
    rl_net_stop(shard);
    rl_fetch_sessions_stop(shard);
    rl_coordinator_stop(shard);
    rl_log_manager_stop(shard);
}

void sim_broker_join(struct sim_broker *b)
{
    sim_enter_broker();
    rl_shard_set_stop(b->broker.shards);
    rl_shard_set_join(b->broker.shards, shard_finish, b);
    rl_shard_set_free(b->broker.shards);
    b->broker.shards = NULL;
    if (all_sound(b))
        (void)rl_log_directory_stop(b->disk, SIM_DATA_DIR, b->names_doubted[0] || b->names_doubted[1] ||
                                                           b->names_doubted[2] || b->names_doubted[3]);
    rl_data_directory_close(b->disk, &b->directory);
    sim_leave_broker();
}

void sim_broker_kill(struct sim_broker *b)
{
    sim_leave_broker();
    rl_mem_abandon(b->mem, b->broker.shards);
    b->broker.shards = NULL;
    rl_panic_context(NULL, NULL);
    sim_heap_end_life();
}

/* ---- the rest ---- */

bool sim_broker_is_ready(const struct sim_broker *b)
{
    return b->ready;
}

bool sim_broker_has_failed(const struct sim_broker *b)
{
    return b->failed;
}

bool sim_broker_has_stopped(const struct sim_broker *b)
{
    return b->stopped;
}

struct rl_shard_set *sim_broker_set(const struct sim_broker *b)
{
    return b->broker.shards;
}

struct sim_broker *sim_broker_create(struct rl_mem *mem, struct rl_disk *disk)
{
    static const char *const settings[][2] = {
        { "log.dirs", SIM_DATA_DIR },
        { "log.retention.ms", "-1" },
        /* Longer than the clock ever jumps: a producer that was used is never forgotten, nor an offset. */
        { "producer.id.expiration.ms", "2147483647" },
        { "offsets.retention.minutes", "2147483647" },
        { "offsets.topic.num.partitions", "4" },
        { "offsets.topic.segment.bytes", "4096" },
        { "group.min.session.timeout.ms", "1" },
        { "group.initial.rebalance.delay.ms", "1" },
    };
    struct sim_broker *b = rl_alloc_zero(1, sizeof *b);
    rl_config_init(&b->config, 2);
    for (size_t i = 0; i < RL_ARRAY_COUNT(settings); i++)
        RL_ASSERT(rl_config_set(&b->config, settings[i][0], settings[i][1], "sim") == RL_OK);
    RL_ASSERT(rl_config_finish(&b->config) == RL_OK);
    b->broker.config = &b->config;
    b->broker.node_id = 1;
    b->mem = mem;
    b->disk = disk;
    return b;
}

void sim_broker_set_fetch_sessions(struct sim_broker *b, uint32_t slots)
{
    b->fetch_session_slots = slots;
}

void sim_broker_free(struct sim_broker *b)
{
    rl_config_done(&b->config);
    rl_free(b);
}

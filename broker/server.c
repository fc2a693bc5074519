/* broker/server.c — a broker's life: start, serve, stop.
 *
 * Start: lock and check the data directory; start the shards, each with its logs, connections and
 * replicas; on shard 0 the controller reads the metadata and every shard opens its partitions;
 * then the listeners open and the `ready` line is printed.
 * Stop (SIGTERM): no more connections; requests in flight are answered; the controller and then
 * every log close cleanly; the shards leave their loops; the directory is marked clean.
 *
 * Failures: whatever prevents the start is told in one line with its remedy, exit code 1.  A lock
 * or a port that a killed process still holds is tried again for two seconds, because the kernel
 * frees what a dead ring held some milliseconds late. */
#include "broker/server.h"
#include "broker/broker.h"
#include "broker/fetch_session.h"
#include "broker/groups.h"
#include "broker/lag_log.h"
#include "broker/data_directory.h"
#include "broker/settings.h"
#include "coordinate/coordinator.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/memory.h"
#include "io/backend.h"
#include "io/disk.h"
#include "io/limits.h"
#include "io/probe.h"
#include "io/process.h"
#include "replicate/controller.h"
#include "replicate/replica_manager.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS          ((int64_t)50 * 1000000)
#define PATIENCE_NS       ((int64_t)2000 * 1000000)
#define DRAIN_GRACE_NS    ((int64_t)1000 * 1000000)
#define ARENA_BYTES_MAX   ((size_t)256 << 20)
#define REQUESTS_IN_FLIGHT_MAX 64
#define OPEN_FILES_FALLBACK 1024
#define MIN_FREE_PERCENT  2
#define MIN_FREE_BYTES_MAX ((uint64_t)256 << 20)
#define DESCRIPTORS_OTHER 64            /* neither a log's nor a connection's */
#define POSIX_COST        "up to two system calls more per request"      /* io/README.md */

static const int signal_numbers[] = { SIGTERM, SIGINT, SIGHUP };

struct server;

struct server_visit {                   /* one shard's part of a round over all shards */
    struct rl_msg msg;
    struct server *server;
};

struct server {
    struct rl_broker broker;
    const struct rl_config *config;
    struct rl_log_start log_start;
    struct rl_disk *disk;
    const struct rl_backend *backend;
    int64_t started_ns;
    uint32_t open_files_max;            /* per shard */
    uint64_t min_free_bytes;            /* of the disk */
    char metadata_url[RL_PATH_BYTES];
    uint32_t listeners_open;
    int64_t listen_give_up_ns;
    struct rl_timer listen_timer;
    bool stopping;
    bool serving;
    bool logs_closed;
    struct rl_lag_log *lag_logs[RL_SHARDS_MAX];         /* each shard's; NULL: off */
    bool logs_unsound[RL_SHARDS_MAX];   /* each shard's: some log is in doubt */
    bool names_doubted[RL_SHARDS_MAX];  /* and the names of some log's files */
    bool prove_mount;                   /* once all logs are open, say so in the directory */
    struct rl_op recovered_job;
    int exit_code;
    /* a round: visit runs on every shard, then next on shard 0 */
    struct server_visit visits[RL_SHARDS_MAX];
    uint32_t visits_out;
    void (*visit)(struct rl_shard *shard, struct server_visit *visit);
    void (*next)(struct rl_shard *shard, struct server *server);
};

/* ---- rounds over all shards ---- */

static void on_visit_returned(struct rl_shard *shard, struct rl_msg *msg)
{
    struct server *s = RL_CONTAINER_OF(msg, struct server_visit, msg)->server;
    if (--s->visits_out == 0)
        s->next(shard, s);
}

/* The shard's part is finished: tell shard 0. */
static void visit_done(void *arg)
{
    struct server_visit *v = arg;
    v->msg.handle = on_visit_returned;
    rl_shard_post(rl_shard_peer(rl_self, 0), &v->msg);
}

static void on_visit(struct rl_shard *shard, struct rl_msg *msg)
{
    struct server_visit *v = RL_CONTAINER_OF(msg, struct server_visit, msg);
    v->server->visit(shard, v);
}

static void server_round(struct rl_shard *shard, struct server *s,
                         void (*visit)(struct rl_shard *, struct server_visit *),
                         void (*next)(struct rl_shard *, struct server *))
{
    s->visit = visit;
    s->next = next;
    s->visits_out = shard->count;
    for (uint32_t i = 0; i < shard->count; i++) {
        s->visits[i] = (struct server_visit){ .msg = { .handle = on_visit }, .server = s };
        rl_shard_post(rl_shard_peer(shard, i), &s->visits[i].msg);
    }
}

/* ---- stop ---- */

static void stop_shards(struct rl_shard *shard, struct server *s)
{
    (void)shard;
    s->logs_closed = true;
    rl_shard_set_stop(s->broker.shards);
}

static void visit_close_logs(struct rl_shard *shard, struct server_visit *v)
{
    rl_replica_manager_stop(shard, visit_done, v);
}

static void on_controller_stopped(void *arg)
{
    server_round(rl_self, arg, visit_close_logs, stop_shards);
}

static void stop_controller(struct rl_shard *shard, struct server *s)
{
    rl_controller_stop(shard, on_controller_stopped, s);
}

static void visit_drain(struct rl_shard *shard, struct server_visit *v)
{
    rl_coordinator_stop_serving(shard); /* who waits for a rebalance is answered */
    rl_net_drain(shard, DRAIN_GRACE_NS, visit_done, v);
}

static void server_shut_down(struct rl_shard *shard, struct server *s)
{
    rl_net_stop_listening(shard);
    server_round(shard, s, visit_drain, stop_controller);
}

static void on_signal(struct rl_shard *shard, int number, void *arg)
{
    struct server *s = arg;
    if (number == SIGHUP) {
        RL_INFO("broker", "SIGHUP: the configuration is read at start only; restart to change it");
        return;
    }
    if (s->stopping) {
        RL_WARN("broker", "second signal: leaving at once, the next start will recover");
        _Exit(RL_EXIT_FORCED);
    }
    s->stopping = true;
    RL_INFO("broker", "stopping");
    if (s->serving)                     /* else the start is under way and will see `stopping` */
        server_shut_down(shard, s);
}

/* ---- start, on shard 0 ---- */

static void print_ready(const struct server *s, const struct rl_shard *shard)
{
    const struct rl_listener_set *set = &s->config->listeners;
    char address[RL_LISTENERS_MAX * (RL_HOST_BYTES + 8)];
    size_t at = 0;
    for (size_t i = 0; i < set->count; i++) {
        struct rl_listener bound = set->listeners[i];
        bound.port = s->broker.bound_ports[i];
        char text[RL_HOST_BYTES + 80];
        rl_listener_format(&bound, text, sizeof text);
        at += (size_t)snprintf(address + at, sizeof address - at, "%s%s", i > 0 ? "," : "", text);
    }
    fprintf(stderr, "ready address=%s shards=%u io=%s data=%s ms=%lld\n", address, shard->count,
            shard->backend->name, s->config->data_dir,
            (long long)((rl_clock_monotonic_ns() - s->started_ns) / 1000000));
}

static void listen_failed(struct rl_shard *shard, struct server *s, const struct rl_listener *l, rl_status status)
{
    char text[RL_HOST_BYTES + 80];
    rl_listener_format(l, text, sizeof text);
    const char *remedy = status == RL_EADDRINUSE ? "another process listens there: stop it, or choose another port with --listeners"
                       : status == RL_EACCESS    ? "ports below 1024 need privileges: choose another with --listeners"
                                                 : "the address must belong to this machine";
    fprintf(stderr, "ringlog: cannot listen on %s: %s; %s\n", text, rl_status_text(status), remedy);
    s->exit_code = RL_EXIT_START_FAILED;
    server_shut_down(shard, s);
}

static void server_listen(struct rl_timer *timer)
{
    struct server *s = timer->arg;
    struct rl_shard *shard = rl_self;
    if (s->stopping) {
        server_shut_down(shard, s);
        return;
    }
    const struct rl_listener_set *set = &s->config->listeners;
    while (s->listeners_open < set->count) {
        uint32_t i = s->listeners_open;
        const struct rl_listener *l = &set->listeners[i];
        rl_status status = rl_net_listen(shard, i, l->host, l->port, &s->broker.bound_ports[i]);
        if (status == RL_EADDRINUSE && shard->now_ns < s->listen_give_up_ns) {
            rl_timer_start(shard, timer, shard->now_ns + RETRY_NS);
            return;
        }
        if (status != RL_OK) {
            listen_failed(shard, s, l, status);
            return;
        }
        s->listeners_open++;
    }
    s->serving = true;
    print_ready(s, shard);
}

static void server_begin_listening(struct rl_shard *shard, struct server *s)
{
    s->listen_give_up_ns = shard->now_ns + PATIENCE_NS;
    s->listen_timer = (struct rl_timer){ .done = server_listen, .arg = s };
    server_listen(&s->listen_timer);
}

static bool logs_are_sound(const struct server *s)
{
    for (int i = 0; i < s->config->shards; i++) {
        if (s->logs_unsound[i])
            return false;
    }
    return true;
}

static bool names_are_doubted(const struct server *s)
{
    for (int i = 0; i < s->config->shards; i++) {
        if (s->names_doubted[i])
            return true;
    }
    return false;
}

static void recovered_run(struct rl_op *op)
{
    struct server *s = op->arg;
    op->status = rl_log_directory_recovered(s->disk, s->config->data_dir);
}

static void recovered_done(struct rl_op *op)
{
    if (op->status != RL_OK)
        RL_WARN("broker", "cannot note that all logs were recovered: %s; the next start checks them again",
                rl_status_text(op->status));
    server_begin_listening(rl_self, op->arg);
}

static void visit_note_sound(struct rl_shard *shard, struct server_visit *v)
{
    v->server->logs_unsound[shard->index] = !rl_log_manager_is_sound(shard);
    visit_done(v);
}

static void on_all_noted(struct rl_shard *shard, struct server *s)
{
    if (!logs_are_sound(s)) {
        server_begin_listening(shard, s);
        return;
    }
    s->recovered_job = (struct rl_op){ .kind = RL_OP_JOB, .job.run = recovered_run,
                                       .done = recovered_done, .arg = s };
    rl_submit(shard, &s->recovered_job);
}

static void visit_load_groups(struct rl_shard *shard, struct server_visit *v)
{
    rl_coordinator_load(shard);
    visit_done(v);
}

static void on_groups_loading(struct rl_shard *shard, struct server *s)
{
    if (s->prove_mount)
        server_round(shard, s, visit_note_sound, on_all_noted);
    else
        server_begin_listening(shard, s);
}

static void on_controller_started(void *arg, rl_status status)
{
    struct server *s = arg;
    struct rl_shard *shard = rl_self;
    if (status != RL_OK) {
        fprintf(stderr, "ringlog: cannot start: the metadata in %s: %s\n", s->config->data_dir,
                rl_status_text(status));
        s->exit_code = RL_EXIT_START_FAILED;
        rl_shard_set_stop(s->broker.shards);
        return;
    }
    server_round(shard, s, visit_load_groups, on_groups_loading);
}

static void server_boot(struct rl_shard *shard, struct rl_msg *msg)
{
    struct server *s = RL_CONTAINER_OF(msg, struct server_visit, msg)->server;
    struct rl_controller_options options = {
        .metadata_url = s->metadata_url,
        .resolve = rl_settings_resolve,
        .build = rl_settings_build,
        .free = rl_settings_free,
        .applied = rl_settings_applied,
        .removed = rl_groups_forget_topics,
        .arg = &s->broker,
        /* On the same mount nothing is lost that anybody could have read. */
        .unclean_start = !s->log_start.clean && !s->log_start.same_mount,
    };
    rl_controller_start(shard, &options, on_controller_started, s);
}

/* ---- start, on every shard ---- */

/* A shard's share of queued.max.request.bytes. */
static size_t request_bytes_max(const struct rl_config *config)
{
    if (config->queued_max_request_bytes < 0)
        return SIZE_MAX;
    return RL_MAX((size_t)config->queued_max_request_bytes / (size_t)config->shards, 1);
}

static rl_status shard_start(struct rl_shard *shard, void *arg)
{
    struct server *s = arg;
    const struct rl_config *c = s->config;
    shard->context[RL_CONTEXT_BROKER] = &s->broker;
    /* End-of-turn hooks: groups hand over what they write, logs write it, net sends the answers. */
    rl_status status = rl_groups_start(shard, c);
    if (status != RL_OK)
        return status;
    status = rl_log_manager_start(shard, &(struct rl_log_manager_options){
        .data_dir = c->data_dir,
        .tail_bytes = (size_t)c->log_tail_bytes / shard->count,
        .producer_id_expiration_ms = c->producer_id_expiration_ms,
        .open_files_max = s->open_files_max,
        .reserve_bytes = (uint64_t)c->log_reserve_bytes,
        .min_free_bytes = s->min_free_bytes,
        .scrub_bytes_per_second = ((uint64_t)c->log_scrub_bytes_per_second + shard->count - 1) / shard->count,
    });
    if (status != RL_OK)
        return status;
    status = rl_net_start(shard, &(struct rl_net_options){
        .handler = rl_dispatch,
        .frame_bytes_max = (size_t)c->socket_request_max_bytes,
        .request_bytes_max = request_bytes_max(c),
        .arena_bytes_max = ARENA_BYTES_MAX,
        .requests_in_flight_max = REQUESTS_IN_FLIGHT_MAX,
        .connection_limits = rl_settings_connection_limits(c),
        .idle_ns_max = c->connections_max_idle_ms < 0 ? 0 : c->connections_max_idle_ms * 1000000,
        .send_buffer_bytes = c->socket_send_buffer_bytes,
        .receive_buffer_bytes = c->socket_receive_buffer_bytes,
        .backlog = c->socket_listen_backlog_size,
        .send_path = c->fetch_path,
    });
    if (status != RL_OK)
        return status;
    s->lag_logs[shard->index] = rl_lag_log_start(shard, c->group_lag_log_interval_ms);
    rl_fetch_sessions_start(shard, (uint32_t)c->max_incremental_fetch_session_cache_slots);
    return rl_replica_manager_start(shard, &(struct rl_replica_manager_options){
        .data_dir = c->data_dir,
        .log_start = s->log_start,
        .node_id = c->node_id,
        .maintain_interval_ns = c->log_retention_check_interval_ms * 1000000,
    });
}

static void shard_finish(struct rl_shard *shard, void *arg)
{
    struct server *s = arg;
    s->logs_unsound[shard->index] = !rl_log_manager_is_sound(shard);
    s->names_doubted[shard->index] = rl_log_manager_names_doubted(shard);
    rl_net_stop(shard);                 /* gives back what the logs have lent */
    rl_fetch_sessions_stop(shard);
    rl_coordinator_stop(shard);
    rl_lag_log_stop(s->lag_logs[shard->index]);
    rl_log_manager_stop(shard);
}

/* ---- main thread ---- */

static int start_error(const char *what, rl_status status)
{
    fprintf(stderr, "ringlog: cannot start: %s: %s\n", what, rl_status_text(status));
    return RL_EXIT_START_FAILED;
}

/* NULL: the one that the configuration demands cannot run here, which has been told. */
static const struct rl_backend *choose_backend(enum rl_config_io io)
{
    char reason[256];

    if (io == RL_CONFIG_IO_POSIX)
        return &rl_backend_posix;
    const struct rl_backend *best = rl_probe_backend(reason, sizeof reason);
    if (best == &rl_backend_uring)
        return best;
    if (io == RL_CONFIG_IO_URING) {
        fprintf(stderr, "ringlog: %s; or start with --io posix\n", reason);
        return NULL;
    }
    RL_WARN("broker", "%s; going on with epoll, which costs " POSIX_COST " (--io posix: without this "
            "warning)", reason);
    return best;
}

/* Everything is closed as it should be: the next start may believe it. */
static void server_note_stop(struct server *s)
{
    rl_status status = rl_log_directory_stop(s->disk, s->config->data_dir, names_are_doubted(s));

    if (status == RL_OK)
        return;
    RL_ERROR("broker", "%s: a clean stop cannot be noted: %s; look at its disk; the next start checks all logs, as "
             "after a kill", s->config->data_dir, rl_status_text(status));
    if (s->exit_code == RL_EXIT_OK)
        s->exit_code = RL_EXIT_STOP_FAILED;
}

static int server_run_shards(struct server *s)
{
    struct rl_shard_set_options options = {
        .shard_count = (uint32_t)s->config->shards,
        .backend = s->backend,
        .disk = s->disk,
    };
    rl_status status = rl_shard_set_create(&options, &s->broker.shards);
    if (status != RL_OK)
        return start_error("shards", status);
    status = rl_shard_set_start(s->broker.shards, shard_start, s);
    if (status != RL_OK) {
        rl_shard_set_free(s->broker.shards);
        return start_error("shards", status);
    }
    struct rl_signals *signals = NULL;
    status = rl_signals_start(rl_shard_set_get(s->broker.shards, 0), signal_numbers,
                              RL_ARRAY_COUNT(signal_numbers), on_signal, s, &signals);
    if (status != RL_OK)
        RL_WARN("broker", "signals are not handled: %s", rl_status_text(status));
    struct server_visit boot = { .msg = { .handle = server_boot }, .server = s };
    rl_shard_post_foreign(rl_shard_set_get(s->broker.shards, 0), &boot.msg);
    rl_shard_set_await_stop(s->broker.shards);
    rl_signals_stop(signals);           /* its thread posts to a shard: it ends before the shards */
    rl_shard_set_join(s->broker.shards, shard_finish, s);
    rl_shard_set_free(s->broker.shards);
    if (s->logs_closed && logs_are_sound(s))
        server_note_stop(s);
    return s->exit_code;
}

/* A killed predecessor holds its lock until the kernel has taken it apart: wait for that. */
static rl_status directory_open_patiently(struct rl_disk *disk,
                                          const struct rl_data_directory_options *options,
                                          struct rl_data_directory *ret_directory, char *message)
{
    for (int64_t waited_ns = 0;; waited_ns += RETRY_NS) {
        rl_status status = rl_data_directory_open(disk, options, ret_directory, message);
        if (status != RL_EBUSY || waited_ns >= PATIENCE_NS)
            return status;
        rl_process_sleep(RETRY_NS);
    }
}

/* ringlog.log.min.free.bytes, or what follows from the size of the disk. */
static uint64_t min_free_bytes(struct rl_disk *disk, const struct rl_config *config)
{
    uint64_t free_bytes, total_bytes;

    if (config->log_min_free_bytes >= 0)
        return (uint64_t)config->log_min_free_bytes;
    if (rl_disk_free_bytes(disk, config->data_dir, &free_bytes, &total_bytes) != RL_OK)
        return 0;
    return RL_MIN(total_bytes / 100 * MIN_FREE_PERCENT, MIN_FREE_BYTES_MAX);
}

/* Half of the descriptors are for logs' files, the other half for connections. */
static void warn_of_descriptors(const struct rl_config *config, uint64_t descriptors)
{
    uint64_t connections = descriptors - RL_MIN(descriptors / 2 + DESCRIPTORS_OTHER, descriptors);

    if ((uint64_t)config->max_connections > connections)
        RL_WARN("broker", "%llu files may be open, half of them for logs: about %llu connections have room, not "
                "the %d of max.connections; raise the limit (ulimit -n %llu, LimitNOFILE= of systemd), or lower "
                "max.connections", (unsigned long long)descriptors, (unsigned long long)connections,
                config->max_connections,
                (unsigned long long)((uint64_t)config->max_connections + DESCRIPTORS_OTHER) * 2);
}

int rl_server_run(const struct rl_config *config, int64_t started_ns)
{
    struct server *s = rl_alloc_zero(1, sizeof *s);
    s->config = config;
    s->broker.config = config;
    s->broker.node_id = config->node_id;
    s->disk = rl_disk_real();
    s->started_ns = started_ns;
    snprintf(s->metadata_url, sizeof s->metadata_url, "local:%s/metadata", config->data_dir);

    rl_signals_block(signal_numbers, RL_ARRAY_COUNT(signal_numbers));
    uint64_t before, descriptors = OPEN_FILES_FALLBACK;
    rl_raise_descriptor_limit(&before, &descriptors);
    warn_of_descriptors(config, descriptors);
    s->open_files_max = (uint32_t)RL_MAX(descriptors / 2 / (uint64_t)config->shards, 64);

    struct rl_data_directory directory;
    char message[RL_DATA_DIRECTORY_MESSAGE_BYTES];
    const struct rl_data_directory_options options = {
        .path = config->data_dir, .node_id = config->node_id, .user_id = rl_process_user_id(),
        .owner = rl_path_owner, .random = rl_process_random,
    };
    s->backend = choose_backend(config->io);
    rl_status status = s->backend == NULL ? RL_EUNSUPPORTED
                     : directory_open_patiently(s->disk, &options, &directory, message);
    if (status != RL_OK) {
        if (s->backend != NULL)
            fprintf(stderr, "ringlog: %s\n", message);
        rl_free(s);
        return RL_EXIT_START_FAILED;
    }
    s->broker.data_dir = realpath(config->data_dir, NULL);
    memcpy(s->broker.cluster_id, directory.cluster_id, sizeof s->broker.cluster_id);
    s->min_free_bytes = min_free_bytes(s->disk, config);
    status = rl_log_directory_start(s->disk, config->data_dir, &s->log_start);
    s->prove_mount = !s->log_start.same_mount;
    s->log_start.clean |= directory.formatted;          /* nothing can have been lost */
    int code = status == RL_OK ? server_run_shards(s) : start_error(config->data_dir, status);
    rl_data_directory_close(s->disk, &directory);
    free(s->broker.data_dir);
    rl_free(s);
    return code;
}

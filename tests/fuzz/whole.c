/* tests/fuzz/whole.c — the whole broker: lives, turns, and what must be true at the end. */
#include "tests/fuzz/whole.h"
#include "broker/kafka_error.h"
#include "core/logger.h"
#include "core/memory.h"
#include "io/loop.h"
#include "log_fixture.h"
#include "net/connection.h"
#include "replicate/metadata_image.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_heap.h"
#include "wire/msg_alter_configs.h"
#include "wire/msg_api_versions.h"
#include "wire/msg_create_topics.h"
#include "wire/msg_fetch.h"
#include "wire/msg_init_producer_id.h"
#include "wire/msg_metadata.h"
#include "wire/msg_produce.h"
#include <stdio.h>
#include <stdlib.h>

#define TURNS_MAX 200000
#define TIMER_HOPS_MAX 100
#define TURN_NS 1000000
#define FAR_NS (INT64_C(26) * 86400 * 1000000000)       /* beyond 2^31 ms, the longest anybody waits */
#define LOG_LINES 30
#define SESSION_SLOTS 5                 /* so few that they are evicted */

static char log_lines[LOG_LINES][512];
static uint32_t log_next;
static bool tells_all;

/* ---- telling ---- */

static void keep_line(void *arg, enum rl_log_level level, const char *line, size_t bytes)
{
    (void)arg;
    (void)level;
    if (tells_all)
        fputs(line, stderr);
    bytes = RL_MIN(bytes, sizeof log_lines[0] - 1);
    memcpy(log_lines[log_next % LOG_LINES], line, bytes);
    log_lines[log_next++ % LOG_LINES][bytes] = '\0';
}

noreturn void fuzz_fail(const char *format, ...)
{
    va_list args;

    for (uint32_t i = log_next > LOG_LINES ? log_next - LOG_LINES : 0; i < log_next && !tells_all; i++)
        fprintf(stderr, "    %s", log_lines[i % LOG_LINES]);
    fputs("FAILED: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- turns ---- */

void sim_enter_broker(void)
{
    sim_heap_set_broker(true);
}

void sim_leave_broker(void)
{
    sim_heap_set_broker(false);
}

static void check_memory(const struct whole *w)
{
    if (sim_heap_life_bytes() > w->begin_bytes + WHOLE_BYTES_MAX)
        fuzz_fail("the broker took %zu bytes, it began with %zu", sim_heap_life_bytes(), w->begin_bytes);
}

bool whole_turn(struct whole *w)
{
    struct rl_shard_set *set = sim_broker_set(w->broker);
    bool worked = false;

    for (uint32_t i = 0; i < WHOLE_PEERS; i++)
        worked |= peer_move(&w->peers[i], w->ending);
    worked |= peer_move(&w->guest, w->ending);
    sim_enter_broker();
    for (uint32_t i = 0; i < rl_shard_set_count(set); i++)
        worked |= rl_shard_step(rl_shard_set_get(set, i));
    sim_leave_broker();
    check_memory(w);
    return worked;
}

void whole_settle(struct whole *w)
{
    for (uint32_t turn = 0; whole_turn(w); turn++)
        if (turn == TURNS_MAX)
            fuzz_fail("it does not come to rest");
}

static int64_t next_timer_ns(struct whole *w)
{
    struct rl_shard_set *set = sim_broker_set(w->broker);
    int64_t next = INT64_MAX;

    for (uint32_t i = 0; i < set->count; i++)
        next = RL_MIN(next, rl_timers_next(&set->loops[i]->timers));
    return next;
}

void whole_advance(struct whole *w, int64_t ns)
{
    int64_t until_ns = rl_mem_now_ns(w->mem) + ns, next_ns;

    for (uint32_t hop = 0; hop < TIMER_HOPS_MAX && (next_ns = next_timer_ns(w)) < until_ns; hop++) {
        rl_mem_advance(w->mem, RL_MAX(next_ns - rl_mem_now_ns(w->mem), 1));
        whole_settle(w);
    }
    rl_mem_advance(w->mem, RL_MAX(until_ns - rl_mem_now_ns(w->mem), 0));
    whole_settle(w);
}

/* ---- learning ---- */

static void learn_session(struct draw_learned *learned, int32_t id)
{
    if (id == 0)
        return;
    for (uint32_t i = 0; i < RL_MIN(learned->session_count, DRAW_LEARNED_MAX); i++)
        if (learned->sessions[i].id == id) {
            learned->sessions[i].next_epoch++;
            return;
        }
    uint32_t at = learned->session_count++ % DRAW_LEARNED_MAX;
    learned->sessions[at].id = id;
    learned->sessions[at].next_epoch = 1;
}

static void on_answer(void *arg, const struct expected *to, const void *answer)
{
    struct whole *w = arg;
    struct draw_learned *learned = &w->draw.learned;

    if (to->key == RL_API_FETCH)
        learn_session(learned, ((const struct rl_fetch_response *)answer)->session_id);
    if (to->key == RL_API_INIT_PRODUCER_ID) {
        const struct rl_init_producer_id_response *made = answer;
        uint32_t at = learned->producer_count++ % DRAW_LEARNED_MAX;
        learned->producers[at].id = made->producer_id;
        learned->producers[at].epoch = made->producer_epoch;
    }
}

static void on_guest_answer(void *arg, const struct expected *to, const void *answer)
{
    struct whole *w = arg;

    w->reply = answer;                  /* in the peer's arena until its next answer */
    w->reply_key = to->key;
}

void whole_learn_topics(struct whole *w)
{
    struct rl_shard *shard = rl_shard_set_get(sim_broker_set(w->broker), 0);
    const struct rl_image *image = rl_image_current(shard);
    int64_t now_ns;

    shard->backend->clocks(shard, &now_ns, &w->draw.learned.wall_ms);
    for (uint32_t i = 0; i < DRAW_TOPICS; i++) {
        const struct rl_topic *topic = rl_image_find(image, rl_slice_of_string(draw_topic_names[i]));
        w->draw.learned.topic_ids[i] = topic == NULL ? (struct rl_uuid){ 0 } : topic->id;
    }
}

/* ---- lives ---- */

static void start(struct whole *w, uint32_t shards)
{
    w->shards = shards;
    w->begin_bytes = SIZE_MAX / 2;
    rl_status status = sim_broker_start(w->broker, shards);
    if (status != RL_OK)
        fuzz_fail("the broker does not start: %s", rl_status_text(status));
    for (uint32_t turn = 0; !sim_broker_is_ready(w->broker); turn++) {
        if (sim_broker_has_failed(w->broker) || turn == TURNS_MAX)
            fuzz_fail("the broker does not become ready");
        if (!whole_turn(w))
            rl_mem_advance(w->mem, TURN_NS);
    }
    whole_settle(w);
    w->begin_bytes = sim_heap_life_bytes();
}

static void stop(struct whole *w)
{
    w->ending = true;
    sim_broker_stop(w->broker);
    for (uint32_t turn = 0; !sim_broker_has_stopped(w->broker); turn++) {
        if (turn == TURNS_MAX)
            fuzz_fail("the broker does not stop");
        if (!whole_turn(w))
            rl_mem_advance(w->mem, TURN_NS);
    }
    sim_broker_join(w->broker);
    if (sim_heap_life_bytes() != 0)
        fuzz_fail("%zu bytes were not freed at a clean stop", sim_heap_life_bytes());
}

static void close_all(struct whole *w)
{
    for (uint32_t i = 0; i < WHOLE_PEERS; i++)
        peer_close(&w->peers[i], false);
    peer_close(&w->guest, false);
}

static void heal(struct whole *w)
{
    rl_mem_disk_heal(w->disk);
    rl_mem_disk_set_capacity(w->disk, UINT64_MAX / 2);
    rl_mem_disk_set_resident(w->disk, true);
}

void whole_restart(struct whole *w, enum whole_end end, uint32_t shards)
{
    heal(w);
    if (end == WHOLE_STOP) {
        stop(w);
    } else {
        sim_broker_kill(w->broker);
        if (end == WHOLE_KILL)
            rl_mem_disk_kill(w->disk);
        else
            rl_mem_disk_crash(w->disk);
    }
    close_all(w);
    w->ending = w->faulty = false;
    start(w, shards);
}

/* ---- asking ---- */

static const void *ask(struct whole *w, int16_t key, int16_t version, const void *message)
{
    if (w->guest.client == NULL && !peer_open(&w->guest, w->mem))
        fuzz_fail("nobody listens");
    struct rl_slice frame = peer_frame(&w->frame, key, version, ++w->correlation_id,
                                       rl_slice_of_string("guest"), message);
    peer_send(&w->guest, frame.data, frame.bytes);
    w->reply = NULL;
    for (uint32_t turn = 0; w->reply == NULL; turn++) {
        if (w->guest.client == NULL || turn == TURNS_MAX)
            fuzz_fail("no answer to %s", rl_api_find(key)->name);
        if (!whole_turn(w))
            rl_mem_advance(w->mem, TURN_NS);
    }
    return w->reply;
}

static void create_topic(struct whole *w, const char *name, int32_t partitions, const char *key,
                         const char *value)
{
    struct rl_create_topics_request_config config = { .name = rl_slice_of_string(key),
                                                      .value = rl_slice_of_string(value) };
    struct rl_create_topics_request_topic topic;
    struct rl_create_topics_request message;

    rl_create_topics_request_topic_init(&topic);
    rl_create_topics_request_init(&message);
    topic.name = rl_slice_of_string(name);
    topic.num_partitions = partitions;
    topic.replication_factor = 1;
    topic.configs = &config;
    topic.configs_count = 1;
    message.topics = &topic;
    message.topics_count = 1;
    const struct rl_create_topics_response *reply = ask(w, RL_API_CREATE_TOPICS, 7, &message);
    if (reply->topics_count != 1 || reply->topics[0].error_code != 0)
        fuzz_fail("CreateTopics %s: error %d", name, reply->topics[0].error_code);
}

/* What was set at run time is taken back: it may stand in the way of what follows. */
static void reset_broker_configs(struct whole *w)
{
    struct rl_alter_configs_request_resource resources[2];
    struct rl_alter_configs_request message;

    rl_alter_configs_request_init(&message);
    for (uint32_t i = 0; i < RL_ARRAY_COUNT(resources); i++) {
        rl_alter_configs_request_resource_init(&resources[i]);
        resources[i].resource_type = 4;
        resources[i].resource_name = rl_slice_of_string(i == 0 ? "" : "1");
    }
    message.resources = resources;
    message.resources_count = 2;
    const struct rl_alter_configs_response *reply = ask(w, RL_API_ALTER_CONFIGS, 2, &message);
    for (int32_t i = 0; i < reply->responses_count; i++)
        if (reply->responses[i].error_code != 0)
            fuzz_fail("AlterConfigs of the broker: error %d", reply->responses[i].error_code);
}

static void produce_one(struct whole *w, const char *name, struct rl_slice batch)
{
    struct rl_produce_request_partition partition;
    struct rl_produce_request_topic topic;
    struct rl_produce_request message;

    rl_produce_request_partition_init(&partition);
    rl_produce_request_topic_init(&topic);
    rl_produce_request_init(&message);
    partition.records = batch;
    topic.name = rl_slice_of_string(name);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    message.acks = -1;
    message.timeout_ms = 30000;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    const struct rl_produce_response *reply = ask(w, RL_API_PRODUCE, 9, &message);
    if (reply->responses_count != 1)
        fuzz_fail("Produce: %d topics are answered", reply->responses_count);
    const struct rl_produce_response_partition *answer = reply->responses[0].partition_responses;
    if (answer->error_code != 0 || answer->base_offset != 0)
        fuzz_fail("Produce: error %d, offset %lld", answer->error_code, (long long)answer->base_offset);
}

static void fetch_one(struct whole *w, const char *name, struct rl_slice batch)
{
    struct rl_fetch_request_partition partition;
    struct rl_fetch_request_topic topic;
    struct rl_fetch_request message;

    rl_fetch_request_partition_init(&partition);
    rl_fetch_request_topic_init(&topic);
    rl_fetch_request_init(&message);
    partition.partition_max_bytes = 1 << 20;
    topic.topic = rl_slice_of_string(name);
    topic.partitions = &partition;
    topic.partitions_count = 1;
    message.topics = &topic;
    message.topics_count = 1;
    const struct rl_fetch_response *reply = ask(w, RL_API_FETCH, 12, &message);
    if (reply->responses_count != 1 || reply->responses[0].partitions[0].error_code != 0)
        fuzz_fail("Fetch: error %d", reply->error_code);
    struct rl_slice records = reply->responses[0].partitions[0].records;
    /* The broker's own: the base offset, here 0, and the leader epoch. */
    if (records.bytes != batch.bytes || memcmp(records.data, batch.data, 12) != 0 ||
        memcmp(records.data + 16, batch.data + 16, batch.bytes - 16) != 0)
        fuzz_fail("Fetch gives other bytes than were produced");
}

static void check_alive(struct whole *w)
{
    struct rl_api_versions_request versions;
    struct rl_metadata_request metadata;

    rl_api_versions_request_init(&versions);
    versions.client_software_name = versions.client_software_version = rl_slice_of_string("1");
    const struct rl_api_versions_response *announced = ask(w, RL_API_API_VERSIONS, 3, &versions);
    if (announced->error_code != 0)
        fuzz_fail("ApiVersions: error %d", announced->error_code);
    reset_broker_configs(w);
    create_topic(w, "the-end", 1, "segment.bytes", "1048576");
    rl_metadata_request_init(&metadata);
    metadata.topics_count = -1;
    const struct rl_metadata_response *known = ask(w, RL_API_METADATA, 12, &metadata);
    bool found = false;
    for (int32_t i = 0; i < known->topics_count; i++)
        found |= rl_slice_equal_string(known->topics[i].name, "the-end");
    if (!found)
        fuzz_fail("Metadata does not know a topic just made");
    struct batch_spec spec = { .value_bytes = 20, .base_timestamp_ms = w->draw.learned.wall_ms };
    size_t bytes;
    uint8_t *batch = build_batch(&spec, &bytes);
    produce_one(w, "the-end", rl_slice_of(batch, bytes));
    fetch_one(w, "the-end", rl_slice_of(batch, bytes));
    rl_free(batch);
    peer_close(&w->guest, false);
}

/* ---- the end of a sequence ---- */

static bool anybody_waits(const struct whole *w)
{
    for (uint32_t i = 0; i < WHOLE_PEERS; i++)
        if (peer_waits(&w->peers[i]))
            return true;
    return false;
}

static void await_answers(struct whole *w)
{
    for (uint32_t i = 0; i < WHOLE_PEERS; i++) {
        w->peers[i].deaf = false;
        w->peers[i].crumb_bytes = 0;
    }
    whole_settle(w);
    for (uint32_t hop = 0; anybody_waits(w) && hop < 8; hop++)
        whole_advance(w, hop < 7 ? (int64_t)10 * 1000000000 : FAR_NS);
    for (uint32_t i = 0; i < WHOLE_PEERS; i++) {
        const struct peer *peer = &w->peers[i];
        if (!peer_waits(peer))
            continue;
        const struct expected *e = peer->queue_count == 0 ? NULL : &peer->queue[peer->queue_at];
        fuzz_fail("nothing comes: %s, %zu requests, first %s version %d",
                  e == NULL ? "the end" : e->kind == EXPECT_ANSWER ? "an answer" : "an end",
                  peer->queue_count, e == NULL || rl_api_find(e->key) == NULL ? "" :
                  rl_api_find(e->key)->name, e == NULL ? 0 : e->version);
    }
}

static void check_given_back(struct whole *w)
{
    struct rl_shard_set *set = sim_broker_set(w->broker);

    close_all(w);
    whole_settle(w);
    whole_advance(w, (int64_t)20 * 1000000000);
    for (uint32_t i = 0; i < rl_shard_set_count(set); i++) {
        const struct rl_net *net = rl_net_of(rl_shard_set_get(set, i));
        if (net->connection_count != 0)
            fuzz_fail("%u connections are left", net->connection_count);
        if (net->small.used_bytes != 0 || net->large.used_bytes != 0 || net->spill_bytes != 0 ||
            net->reply_bytes != 0 || net->parked_bytes != 0 || net->hurried_bytes != 0)
            fuzz_fail("memory of connections that are gone: frames %zu and %zu, spilled %zu, "
                      "replies %zu, parked %zu, hurried %zu", net->small.used_bytes,
                      net->large.used_bytes, net->spill_bytes, net->reply_bytes, net->parked_bytes,
                      net->hurried_bytes);
    }
    if (rl_mem_socket_count(w->mem) != 1)
        fuzz_fail("%u sockets are open", rl_mem_socket_count(w->mem));
}

void whole_finish(struct whole *w)
{
    heal(w);
    await_answers(w);
    check_given_back(w);
    if (w->faulty)
        whole_restart(w, WHOLE_STOP, w->shards);
    whole_learn_topics(w);              /* the time */
    check_alive(w);
    stop(w);
}

/* ---- the world ---- */

static struct whole *world_of(struct rl_mem *mem, struct rl_disk *disk)
{
    struct whole *w = rl_alloc_zero(1, sizeof *w);

    rl_logger_set_sink(keep_line, NULL);
    log_next = 0;
    tells_all = getenv("RINGLOG_FUZZ_TELL") != NULL;
    w->mem = mem;
    w->disk = disk;
    w->broker = sim_broker_create(mem, disk);
    sim_broker_set_fetch_sessions(w->broker, SESSION_SLOTS);
    rl_arena_init(&w->arena, 8192, (size_t)64 << 20);
    for (uint32_t i = 0; i < WHOLE_PEERS; i++)
        peer_init(&w->peers[i], on_answer, w);
    peer_init(&w->guest, on_guest_answer, w);
    return w;
}

static void world_done(struct whole *w)
{
    for (uint32_t i = 0; i < WHOLE_PEERS; i++)
        peer_done(&w->peers[i]);
    peer_done(&w->guest);
    sim_broker_free(w->broker);
    bytes_done(&w->frame);
    rl_arena_done(&w->arena);
    rl_free(w);
}

/* The disk that every run begins with; made once. */
static struct rl_disk *template_disk(void)
{
    static struct rl_mem *mem;

    if (mem != NULL)
        return rl_mem_disk(mem);
    mem = rl_mem_create(1);
    struct whole *w = world_of(mem, rl_mem_disk(mem));
    start(w, 2);
    create_topic(w, "a", 2, "segment.bytes", "1048576");
    create_topic(w, "b", 1, "segment.bytes", "1024");
    create_topic(w, "c", 3, "flush.messages", "1");
    close_all(w);
    stop(w);
    world_done(w);
    return rl_mem_disk(mem);
}

struct whole *whole_create(const uint8_t *data, size_t bytes)
{
    const struct rl_disk *begin = template_disk();
    struct rl_mem *mem = rl_mem_create(2);      /* another seed than the template's: other topic ids */
    struct whole *w;

    rl_mem_disk_copy(rl_mem_disk(mem), begin);
    w = world_of(mem, rl_mem_disk(mem));
    draw_init(&w->draw, data, bytes);
    start(w, 1 + draw_byte(&w->draw) % 4);
    whole_learn_topics(w);
    return w;
}

void whole_free(struct whole *w)
{
    struct rl_mem *mem = w->mem;

    world_done(w);
    rl_mem_free(mem);
    rl_logger_set_sink(NULL, NULL);
}

/* tests/coordinate/coordinator_rig.c — a coordinator over real partitions on a kernel in memory. */
#include "coordinator_rig.h"
#include "coordinate/group_id.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"
#include <criterion/criterion.h>

#define DATA_DIR "data"

struct coordinator_rig rig;

struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

/* ---- start and stop ---- */

static rl_status start(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_disk_make_directory(shard->disk, DATA_DIR);
    struct rl_coordinator_options options = {
        .limits = { .session_timeout_min_ms = 10, .session_timeout_max_ms = 100000, .size_max = 100 },
        .offsets_retention_ms = 3600000, .check_interval_ms = 60000, .metadata_units_max = 100,
    };
    cr_assert_eq(rl_coordinator_start(shard, &options), RL_OK);
    struct rl_log_manager_options log = { .data_dir = DATA_DIR, .tail_bytes = 1 << 20,
                                          .producer_id_expiration_ms = 86400000, .open_files_max = 16 };
    cr_assert_eq(rl_log_manager_start(shard, &log), RL_OK);
    struct rl_replica_manager_options replicas = { .data_dir = DATA_DIR, .log_start = { .clean = true },
                                                   .node_id = 1, .maintain_interval_ns = 1000000000 };
    return rl_replica_manager_start(shard, &replicas);
}

static void on_applied(void *arg, struct rl_topic_failure *failures, uint32_t count)
{
    (void)arg;
    (void)failures;
    cr_assert_eq(count, 0);
    rig.applied = true;
}

void settle(void)
{
    rl_mem_settle(rig.set);
    rl_self = rig.shard;
}

void rig_start(void)
{
    rig_start_reading(0);
}

void rig_start_reading(int32_t partition_count)
{
    memset(&rig, 0, sizeof rig);
    rig.mem = rl_mem_create(7);
    rig.disk = rl_mem_disk(rig.mem);
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem, .disk = rig.disk };
    cr_assert_eq(rl_shard_set_create(&options, &rig.set), RL_OK);
    rig.shard = rl_shard_set_get(rig.set, 0);
    cr_assert_eq(rl_shard_set_start_stepped(rig.set, start, NULL), RL_OK);
    rig.topic = (struct rl_topic){
        .id = { { 1, 2, 3 } }, .name = RL_OFFSETS_TOPIC, .partition_count = 2, .state = RL_TOPIC_CREATING,
        .leader_epoch = 4,
        .config = { .retention_ms = -1, .retention_bytes = -1, .segment_ms = INT64_MAX,
                    .segment_bytes = 1 << 20, .segment_index_bytes = 1 << 20, .index_interval_bytes = 4096,
                    .max_message_bytes = 1 << 20, .flush_messages = INT64_MAX, .flush_ms = INT64_MAX,
                    .min_insync_replicas = 1, .acks_all_sync = true, .cleanup_delete = false,
                    .message_timestamp_before_max_ms = INT64_MAX, .message_timestamp_after_max_ms = INT64_MAX,
                    .compression_type = RL_CODEC_PRODUCER, .file_delete_delay_ms = 0 },
    };
    rig.read_topic = (struct rl_topic){ .id = { { 9 } }, .name = "t", .partition_count = partition_count,
                                         .state = RL_TOPIC_CREATING, .config = rig.topic.config };
    rig.topics[0] = &rig.topic;
    rig.topics[1] = &rig.read_topic;
    rig.image = (struct rl_image){ .generation = 1, .topic_count = 2, .by_name = rig.topics, .by_id = rig.topics };
    rig.metadata.image = &rig.image;
    rig.shard->context[RL_CONTEXT_METADATA] = &rig.metadata;
    rl_self = rig.shard;
    rl_replica_manager_apply(rig.shard, &rig.image, NULL, 0, on_applied, NULL);
    settle();
    cr_assert(rig.applied);
    rl_coordinator_load(rig.shard);
    settle();
}

static void on_stopped(void *arg)
{
    (void)arg;
    rig.stopped = true;
}

static void finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_coordinator_stop(shard);
    rl_log_manager_stop(shard);
}

void rig_stop(void)
{
    rl_coordinator_stop_serving(rig.shard);
    settle();
    rl_replica_manager_stop(rig.shard, on_stopped, NULL);
    settle();
    cr_assert(rig.stopped);
    rl_mem_advance(rig.mem, 5000000);   /* other shards may take longer */
    settle();
    rl_shard_set_stop(rig.set);
    rl_shard_set_join(rig.set, finish, NULL);
    rl_shard_set_free(rig.set);
    rl_mem_free(rig.mem);
}

/* ---- calls ---- */

struct rl_groups *groups_of(const char *group)
{
    struct rl_groups *groups = NULL;
    cr_assert_eq(rl_coordinator_find(rig.shard, text(group), &groups), RL_GROUP_OK);
    return groups;
}

struct rl_partition *partition_of(const char *group)
{
    return rl_replica_manager_find(rig.shard, rig.topic.id, rl_group_partition(text(group), 2));
}

void on_committed(struct rl_group_answer *answer)
{
    RL_CONTAINER_OF(answer, struct commit, call.answer)->answered = true;
    rig.answers++;
}

void commit_send(struct commit *c, const char *group, int32_t partition, int64_t offset)
{
    *c = (struct commit){ .partition = { .topic = text("t"), .partition = partition, .retention_ms = -1,
                                         .value = { .offset = offset, .metadata = text("note") } } };
    c->call = (struct rl_offset_commit){ .group_id = text(group), .member_id = text(""), .generation = -1,
                                         .metadata_units_max = 100, .partitions = &c->partition,
                                         .partition_count = 1, .answer = { .done = on_committed } };
    rl_groups_commit_offsets(groups_of(group), &c->call);
}

enum rl_group_error commit(const char *group, int32_t partition, int64_t offset)
{
    struct commit c;
    commit_send(&c, group, partition, offset);
    cr_assert(!c.answered);
    settle();
    cr_assert(c.answered);
    return c.call.error != RL_GROUP_OK ? c.call.error : c.partition.error;
}

int64_t committed(const char *group, int32_t partition)
{
    struct rl_offset_fetch_partition asked = { .partition = partition };
    struct rl_offset_fetch_topic topic = { text("t"), &asked, 1 };
    struct rl_offset_fetch fetch = { .group_id = text(group), .topics = &topic, .topic_count = 1,
                                     .bytes_max = 1000 };
    rl_groups_fetch_offsets(groups_of(group), &fetch);
    rl_free(fetch.memory);
    return asked.offset;
}

void read_again(void)
{
    struct rl_groups *groups;
    rig.topic.leader_epoch++;
    for (int32_t i = 0; i < 2; i++)
        rl_partition_raise_epoch(rl_replica_manager_find(rig.shard, rig.topic.id, i), rig.topic.leader_epoch);
    cr_assert_eq(rl_coordinator_find(rig.shard, text("g"), &groups), RL_GROUP_LOADING);
    rl_coordinator_load(rig.shard);
    settle();
    cr_assert(!rl_coordinator_is_loading(rig.shard));
}

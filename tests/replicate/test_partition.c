/* tests/replicate/test_partition.c — appends become acknowledged, then visible, in order. */
#include "core/buffer.h"
#include "core/memory.h"
#include "log_fixture.h"
#include "replicate/replica_manager.h"
#include <criterion/criterion.h>

#define DATA_DIR "data"
#define APPENDS_MAX 16

static struct rig {
    struct rl_mem *mem;
    struct rl_disk *disk;
    struct rl_shard_set *set;
    struct rl_shard *shard;
    struct rl_topic topic;
    const struct rl_topic *topics[1];
    struct rl_image image, empty;
    struct rl_partition *partition;
    bool applied, stopped;
    struct rl_partition_append appends[APPENDS_MAX];
    struct rl_batch batches[APPENDS_MAX];
    uint8_t *bytes[APPENDS_MAX];
    uint32_t append_count;
    uint32_t answered[APPENDS_MAX];     /* in which order, 1-based; 0: not yet */
    uint32_t answers;
    uint32_t woken;
} rig;

static bool directory_is_there(void)
{
    int fd;
    rl_status status = rl_disk_open(rig.disk, DATA_DIR "/topic-0/partition.metadata", 0, &fd);
    if (status == RL_OK)
        rl_disk_close(rig.disk, fd);
    return status == RL_OK;
}

static bool marked;                     /* a sync failed before this start */

static void leave_mark(struct rl_disk *disk)
{
    struct rl_log_creation creation = { .identity = { .topic_id = { { 1, 2, 3 } }, .topic = "topic" } };
    int fd;
    cr_assert_eq(rl_log_create_directories(disk, DATA_DIR, &creation, 1), RL_OK);
    cr_assert_eq(rl_disk_open(disk, DATA_DIR "/topic-0/sync-failed", RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
    rl_disk_close(disk, fd);
}

static rl_status start(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_disk_make_directory(shard->disk, DATA_DIR);
    if (marked)
        leave_mark(shard->disk);
    struct rl_log_manager_options log = { .data_dir = DATA_DIR, .tail_bytes = 1 << 20,
                                          .producer_id_expiration_ms = 86400000, .open_files_max = 16 };
    cr_assert_eq(rl_log_manager_start(shard, &log), RL_OK);
    struct rl_replica_manager_options options = { .data_dir = DATA_DIR, .log_start = { .clean = true },
                                                  .node_id = 1, .maintain_interval_ns = 1000000000 };
    return rl_replica_manager_start(shard, &options);
}

static void on_applied(void *arg, struct rl_topic_failure *failures, uint32_t count)
{
    (void)arg;
    (void)failures;
    cr_assert_eq(count, 0);
    rig.applied = true;
}

static void on_applied_failed(void *arg, struct rl_topic_failure *failures, uint32_t count)
{
    (void)arg;
    cr_assert_eq(count, 1);
    cr_assert(rl_uuid_equal(failures[0].topic_id, rig.topic.id));
    cr_assert_eq(failures[0].status, RL_ENOSPACE);
    rl_free(failures);
    rig.applied = true;
}

static void apply(const struct rl_image *image, uint32_t removed_count)
{
    rig.applied = false;
    rl_self = rig.shard;
    rl_replica_manager_apply(rig.shard, image, rig.topics, removed_count, on_applied, NULL);
    rl_mem_settle(rig.set);
    cr_assert(rig.applied);
}

static void rig_start(bool acks_all_sync, int64_t flush_messages)
{
    memset(&rig, 0, sizeof rig);
    rig.mem = rl_mem_create(7);
    rig.disk = rl_mem_disk(rig.mem);
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem, .disk = rig.disk };
    cr_assert_eq(rl_shard_set_create(&options, &rig.set), RL_OK);
    rig.shard = rl_shard_set_get(rig.set, 0);
    cr_assert_eq(rl_shard_set_start_stepped(rig.set, start, NULL), RL_OK);
    rig.topic = (struct rl_topic){
        .id = { { 1, 2, 3 } }, .name = "topic", .partition_count = 1, .state = RL_TOPIC_CREATING,
        .leader_epoch = 4,
        .config = { .retention_ms = -1, .retention_bytes = -1, .segment_ms = INT64_MAX,
                    .segment_bytes = 1 << 20, .segment_index_bytes = 1 << 20, .index_interval_bytes = 4096,
                    .max_message_bytes = 1 << 20, .flush_messages = flush_messages, .flush_ms = INT64_MAX,
                    .min_insync_replicas = 1, .acks_all_sync = acks_all_sync, .cleanup_delete = true,
                    .message_timestamp_before_max_ms = INT64_MAX, .message_timestamp_after_max_ms = INT64_MAX,
                    .compression_type = RL_CODEC_PRODUCER, .file_delete_delay_ms = 0 },
    };
    rig.topics[0] = &rig.topic;
    rig.image = (struct rl_image){ .generation = 1, .topic_count = 1, .by_name = rig.topics, .by_id = rig.topics };
    apply(&rig.image, 0);
    rig.partition = rl_replica_manager_find(rig.shard, rig.topic.id, 0);
    cr_assert_not_null(rig.partition);
    cr_assert_eq(rig.partition->state, marked ? RL_REPLICA_OFFLINE : RL_REPLICA_LEADER);
}

static void on_stopped(void *arg)
{
    (void)arg;
    rig.stopped = true;
}

static void finish(struct rl_shard *shard, void *arg)
{
    (void)arg;
    rl_log_manager_stop(shard);
}

static void rig_stop(void)
{
    rl_self = rig.shard;
    rl_replica_manager_stop(rig.shard, on_stopped, NULL);
    rl_mem_settle(rig.set);
    cr_assert(rig.stopped);
    rl_shard_set_stop(rig.set);
    rl_shard_set_join(rig.set, finish, NULL);
    rl_shard_set_free(rig.set);
    rl_mem_free(rig.mem);
    for (uint32_t i = 0; i < rig.append_count; i++)
        rl_free(rig.bytes[i]);
}

static void on_append_done(struct rl_partition_append *append)
{
    rig.answered[append - rig.appends] = ++rig.answers;
}

/* Append a batch of `records`; nothing is written before a step. */
static rl_status append(int16_t acks, int32_t records, int64_t producer_id, int32_t sequence)
{
    uint32_t i = rig.append_count++;
    size_t bytes;
    struct batch_spec spec = { .records = records, .value_bytes = 20, .base_timestamp_ms = 1000,
                               .producer_id = producer_id, .base_sequence = sequence };
    rig.bytes[i] = build_batch(&spec, &bytes);
    cr_assert_eq(rl_batch_read_header(rig.bytes[i], bytes, &rig.batches[i]), RL_OK);
    rig.appends[i] = (struct rl_partition_append){ .batch = &rig.batches[i], .acks = acks,
                                                   .done = on_append_done };
    rl_self = rig.shard;
    return rl_partition_append(rig.partition, &rig.appends[i]);
}

Test(partition, leads_in_the_epoch_of_its_topic)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(rig.partition->leader_epoch, 4);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, -1), RL_OK);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, 4), RL_OK);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, 3), RL_EFENCED);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, 5), RL_EUNKNOWNEPOCH);
    rig_stop();
}

Test(partition, acks_one_is_answered_when_written_and_not_before)
{
    rig_start(true, INT64_MAX);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(1, 3, 0, 0), RL_OK);
    cr_assert_eq(rig.answers, 0);
    cr_assert_eq(rig.partition->high_watermark, 0);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 1);
    cr_assert_eq(rig.appends[0].status, RL_OK);
    cr_assert_eq(rig.appends[0].result.base_offset, 0);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rl_mem_hold_helpers(rig.mem, false);
    rig_stop();
}

Test(partition, acks_all_waits_for_stable_storage_and_holds_back_what_follows)
{
    rig_start(true, INT64_MAX);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
    cr_assert_eq(append(1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answers, 0, "written, but what comes before is not visible yet");
    cr_assert_eq(rig.partition->high_watermark, 0);
    rl_mem_hold_helpers(rig.mem, false);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 1);
    cr_assert_eq(rig.answered[1], 2);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rig_stop();
}

Test(partition, acks_all_without_sync_is_answered_when_written)
{
    rig_start(false, INT64_MAX);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 1);
    rl_mem_hold_helpers(rig.mem, false);
    rig_stop();
}

Test(partition, flush_messages_one_makes_every_acknowledgement_durable)
{
    rig_start(false, 1);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answers, 0);
    rl_mem_hold_helpers(rig.mem, false);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 1);
    rig_stop();
}

Test(partition, a_repeated_batch_is_answered_with_the_first_one_and_not_before_it)
{
    rig_start(true, INT64_MAX);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(-1, 2, 77, 0), RL_OK);
    cr_assert_eq(append(-1, 1, 77, 2), RL_OK);
    cr_assert_eq(append(-1, 2, 77, 0), RL_OK, "the first is not durable yet: the repetition waits");
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answers, 0);
    rl_mem_hold_helpers(rig.mem, false);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answers, 3);
    cr_assert_lt(rig.answered[2], rig.answered[1], "in the order of offsets");
    cr_assert_eq(rig.appends[2].result.base_offset, 0);
    cr_assert_eq(rig.partition->high_watermark, 3);
    cr_assert_eq(append(-1, 2, 77, 0), RL_EDUPLICATE, "durable: answered at once");
    cr_assert_eq(rig.appends[3].result.base_offset, 0);
    rig_stop();
}

Test(partition, forgetting_an_append_keeps_the_data_and_the_order)
{
    rig_start(true, INT64_MAX);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    rl_self = rig.shard;
    rl_partition_append_forget(rig.partition, &rig.appends[0]);
    rl_mem_hold_helpers(rig.mem, false);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 0);
    cr_assert_eq(rig.answered[1], 1);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rig_stop();
}

static void on_ready(struct rl_fetch_waiter *waiter)
{
    (void)waiter;
    rig.woken++;
}

Test(partition, a_waiter_wakes_once_when_the_high_watermark_passes)
{
    rig_start(true, INT64_MAX);
    struct rl_fetch_waiter waiter = { .wanted_offset = 2, .ready = on_ready }, gone = waiter;
    rl_partition_wait(rig.partition, &waiter);
    rl_partition_wait(rig.partition, &gone);
    rl_partition_wait_stop(&gone);
    rl_partition_wait_stop(&gone);      /* harmless */
    cr_assert_eq(append(1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.woken, 0, "high watermark 2 does not pass 2");
    cr_assert_eq(append(1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.woken, 1);
    cr_assert_eq(append(1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.woken, 1);
    rig_stop();
}

/* R2: everybody is answered, the log is rebuilt from the device, and what was there is there: the
 * producer, who does not know, sends again and is told the same offset. */
Test(partition, a_failed_sync_answers_everybody_and_heals)
{
    rig_start(true, INT64_MAX);
    struct rl_fetch_waiter waiter = { .wanted_offset = 0, .ready = on_ready };
    rl_partition_wait(rig.partition, &waiter);
    cr_assert_eq(append(-1, 2, 77, 0), RL_OK);
    rl_mem_disk_fail_sync(rig.disk, 0, 10000, RL_EIO);
    rl_mem_hold_helpers(rig.mem, true);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answers, 0);
    rl_mem_hold_helpers(rig.mem, false);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.answered[0], 1);
    cr_assert_eq(rig.appends[0].status, RL_EIO);
    cr_assert_eq(rig.woken, 1, "a parked fetch learns of it");
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER, "and it serves again");
    cr_assert_eq(rig.partition->leader_epoch, 4, "nothing that was seen is missing");
    cr_assert_eq(rig.partition->high_watermark, 2, "the device had it");
    cr_assert_eq(append(-1, 2, 77, 0), RL_EDUPLICATE);
    cr_assert_eq(rig.appends[1].result.base_offset, 0);
    cr_assert_eq(append(-1, 1, 77, 2), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[2].status, RL_OK);
    rig_stop();
}

/* acks=1 was acknowledged without a sync, and a consumer may have seen it: when it is gone the
 * partition leads only in a higher epoch. */
Test(partition, what_was_seen_and_is_lost_raises_the_leader_epoch)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(append(-1, 2, 77, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(append(1, 1, 77, 2), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rl_mem_disk_fail_sync(rig.disk, 0, 0, RL_EIO);
    cr_assert_eq(append(-1, 1, 77, 3), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[2].status, RL_EIO);
    cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE, "no controller here: no epoch");
    cr_assert_eq(append(-1, 1, 77, 3), RL_EIO);
    rl_mem_advance(rig.mem, 5000000000);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE);

    static struct rl_topic raised;
    static const struct rl_topic *topics[1] = { &raised };
    raised = rig.topic;
    raised.leader_epoch = 5;
    struct rl_image image = { .generation = 2, .topic_count = 1, .by_name = topics, .by_id = topics };
    apply(&image, 0);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    cr_assert_eq(rig.partition->leader_epoch, 5);
    cr_assert_eq(rig.partition->high_watermark, 2);
    int32_t epoch;
    int64_t end_offset;
    rl_log_epoch_end(rig.partition->log, 4, &epoch, &end_offset);
    cr_assert_eq(end_offset, 2, "a consumer at 3 learns that it has seen too much");
    cr_assert_eq(append(-1, 1, 77, 2), RL_OK);
    cr_assert_eq(append(-1, 1, 77, 3), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->high_watermark, 4);
    rig_stop();
}

/* Batches 0 and 1 of a new producer are lost, and 2 and 3 were on their way behind them: they were taken,
 * since nobody knew the producer, and 0 and 1 never again.  How: a failed sync, a failed write, a full
 * disk (simulator, seeds 655 and 11). */
Test(partition, a_pipelined_producer_stays_in_order_over_a_failure)
{
    for (int how = 0; how < 3; how++) {
        rig_start(true, INT64_MAX);
        cr_assert_eq(append(-1, 1, 5, 0), RL_OK);
        rl_mem_settle(rig.set);
        if (how == 0)
            rl_mem_disk_fail_sync(rig.disk, 0, 0, RL_EIO);
        else
            rl_mem_disk_fail_write(rig.disk, 0, 10, how == 1 ? RL_EIO : RL_ENOSPACE);
        rl_mem_hold_helpers(rig.mem, true);
        cr_assert_eq(append(-1, 1, 77, 0), RL_OK);
        cr_assert_eq(append(-1, 1, 77, 1), RL_OK);
        rl_mem_settle(rig.set);
        rl_status unavailable = how == 2 ? RL_ENOSPACE : RL_EIO;
        if (how > 0) {
            cr_assert_eq(rig.appends[1].status, unavailable);
            cr_assert_eq(append(-1, 1, 78, 0), unavailable, "nothing is taken now");
        }
        rl_mem_hold_helpers(rig.mem, false);
        rl_mem_settle(rig.set);
        rl_mem_advance(rig.mem, 1100000000);
        rl_mem_settle(rig.set);
        cr_assert_eq(rig.appends[2].status, unavailable);
        cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
        cr_assert_eq(append(-1, 1, 77, 2), RL_EOUTOFORDER);
        cr_assert_eq(append(-1, 1, 77, 1), RL_EOUTOFORDER);
        if (how > 0) {
            cr_assert_eq(append(-1, 1, 78, 1), RL_EOUTOFORDER, "refused before anything of it was taken");
            cr_assert_eq(append(-1, 1, 78, 0), RL_OK);
        }
        for (int32_t sequence = 0; sequence < 3; sequence++)
            cr_assert_eq(append(-1, 1, 77, sequence), RL_OK);
        cr_assert_eq(append(-1, 1, 5, 1), RL_OK, "who lost nothing goes on");
        rl_mem_settle(rig.set);
        cr_assert_eq(rig.appends[rig.append_count - 1].status, RL_OK);
        rig_stop();
    }
}

/* Visible, so perhaps acknowledged, and lost; but its producer sends it again, before the failure or while
 * the log is being rebuilt, so it was not: what comes behind it was taken all the same, and the batch itself
 * never again (simulator, seed 7698). */
Test(partition, a_lost_batch_that_was_sent_again_is_waited_for)
{
    for (int how = 0; how < 2; how++) {
        rig_start(true, INT64_MAX);
        for (int32_t sequence = 0; sequence < 2; sequence++)
            cr_assert_eq(append(1, 1, 77, sequence), RL_OK);
        rl_mem_settle(rig.set);
        cr_assert_eq(rig.partition->high_watermark, 2);
        rl_mem_disk_fail_sync(rig.disk, 0, 0, RL_EIO);
        rl_mem_hold_helpers(rig.mem, true);
        if (how == 0) {
            cr_assert_eq(append(-1, 1, 77, 0), RL_OK, "it waits for the sync");
        } else {
            cr_assert_eq(append(-1, 1, 5, 0), RL_OK);
        }
        while (rig.partition->state == RL_REPLICA_LEADER) {
            rl_mem_settle(rig.set);
            cr_assert_gt(rl_mem_helpers_waiting(rig.mem), 0);
            rl_mem_run_helper_at(rig.mem, 0);
            rl_mem_settle(rig.set);
        }
        if (how == 1)
            cr_assert_eq(append(-1, 1, 77, 0), RL_EIO);
        rl_mem_hold_helpers(rig.mem, false);
        rl_mem_settle(rig.set);
        rl_mem_advance(rig.mem, 1100000000);
        rl_mem_settle(rig.set);
        cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE, "no controller here: no epoch");
        static struct rl_topic raised;
        static const struct rl_topic *topics[1] = { &raised };
        raised = rig.topic;
        raised.leader_epoch = 5;
        apply(&(struct rl_image){ .generation = 2, .topic_count = 1, .by_name = topics, .by_id = topics }, 0);
        cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
        cr_assert_eq(rig.partition->high_watermark, 0);
        cr_assert_eq(append(-1, 1, 77, 2), RL_EOUTOFORDER);
        cr_assert_eq(append(-1, 1, 77, 1), RL_EOUTOFORDER);
        for (int32_t sequence = 0; sequence < 3; sequence++)
            cr_assert_eq(append(-1, 1, 77, sequence), RL_OK);
        rl_mem_settle(rig.set);
        rig_stop();
    }
}

/* Killed after a failed sync: on the same mount a start raises no epoch, but this partition may have
 * lost what was seen. */
Test(partition, a_log_rebuilt_at_a_start_leads_in_a_higher_epoch)
{
    marked = true;
    rig_start(true, INT64_MAX);
    static struct rl_topic raised;
    static const struct rl_topic *topics[1] = { &raised };
    raised = rig.topic;
    raised.leader_epoch = 5;
    struct rl_image image = { .generation = 2, .topic_count = 1, .by_name = topics, .by_id = topics };
    apply(&image, 0);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    cr_assert_eq(rig.partition->leader_epoch, 5);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[0].status, RL_OK);
    rig_stop();
}

Test(partition, an_image_with_a_higher_epoch_fences_clients_that_know_the_old_one)
{
    rig_start(true, INT64_MAX);
    struct rl_fetch_waiter waiter = { .wanted_offset = 0, .ready = on_ready };
    rl_partition_wait(rig.partition, &waiter);
    struct rl_topic raised = rig.topic;
    const struct rl_topic *topics[1] = { &raised };
    raised.leader_epoch = 6;
    struct rl_image image = { .generation = 2, .topic_count = 1, .by_name = topics, .by_id = topics };
    apply(&image, 0);
    cr_assert_eq(rig.woken, 1);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, 4), RL_EFENCED);
    cr_assert_eq(rl_partition_check_epoch(rig.partition, 6), RL_OK);
    rig_stop();
}

/* A disk that says no for a while: offline, and back by itself. */
Test(partition, a_failed_write_and_a_directory_that_comes_back_heal)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    rl_mem_disk_fail_write(rig.disk, 0, 20, RL_EIO);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[1].status, RL_EIO);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    cr_assert_eq(rig.partition->high_watermark, 2);

    /* The segment's file is not open any more, so this finds out. */
    cr_assert_eq(rl_disk_rename(rig.disk, DATA_DIR "/topic-0", DATA_DIR "/elsewhere"), RL_OK);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[2].status, RL_EIO);
    cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE);
    rl_mem_advance(rig.mem, 120000000000);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE);
    cr_assert_eq(rl_disk_rename(rig.disk, DATA_DIR "/elsewhere", DATA_DIR "/topic-0"), RL_OK);
    rl_mem_disk_heal(rig.disk);         /* its segment could not be opened: nothing was written */
    rl_mem_advance(rig.mem, 61000000000);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rig_stop();
}

/* A full disk, and then the rollback fails: that is no longer a full disk. */
Test(partition, a_rollback_that_fails_is_healed_by_opening_again)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    rl_mem_disk_fail_write(rig.disk, 0, 10, RL_ENOSPACE);
    rl_mem_disk_fail(rig.disk, RL_MEM_LIST, 0, RL_EIO);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[1].status, RL_ENOSPACE);
    rl_mem_advance(rig.mem, 1100000000);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    cr_assert_eq(append(-1, 1, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[2].status, RL_OK);
    cr_assert_eq(rig.partition->high_watermark, 3);
    rig_stop();
}

/* Topics may go, and the broker stop, at any moment of it. */
Test(partition, a_topic_is_deleted_while_its_log_is_rebuilt)
{
    for (int removed = 0; removed < 2; removed++) {
        for (int offline = 0; offline < 2; offline++) {
            rig_start(true, INT64_MAX);
            cr_assert_eq(append(-1, 2, 0, 0), RL_OK);
            rl_mem_hold_helpers(rig.mem, true);
            rl_mem_settle(rig.set);
            rl_mem_disk_fail_sync(rig.disk, 0, 0, RL_EIO);
            if (offline)
                rl_mem_disk_fail(rig.disk, RL_MEM_LIST, 0, RL_EIO);
            rl_mem_hold_helpers(rig.mem, false);
            while (rig.answers == 0)
                cr_assert(rl_shard_step(rig.shard));
            if (offline) {
                rl_mem_settle(rig.set);
                cr_assert_eq(rig.partition->state, RL_REPLICA_OFFLINE);
            }
            rl_self = rig.shard;
            if (removed) {
                rig.applied = false;
                rl_replica_manager_apply(rig.shard, &rig.empty, rig.topics, 1, on_applied, NULL);
                rl_mem_settle(rig.set);
                cr_assert(rig.applied);
                cr_assert(!directory_is_there());
            }
            rig_stop();
        }
    }
}

Test(partition, a_full_disk_refuses_and_heals)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(append(1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    rl_mem_disk_fail(rig.disk, RL_MEM_WRITE, 0, RL_ENOSPACE);
    cr_assert_eq(append(1, 2, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[1].status, RL_ENOSPACE);
    cr_assert_eq(rig.partition->high_watermark, 2);
    rl_mem_advance(rig.mem, 10000000000);
    rl_mem_settle(rig.set);
    cr_assert_eq(append(1, 3, 0, 0), RL_OK);
    rl_mem_settle(rig.set);
    cr_assert_eq(rig.appends[2].status, RL_OK);
    cr_assert_eq(rig.appends[2].result.base_offset, 2, "offsets stay dense");
    cr_assert_eq(rig.partition->high_watermark, 5);
    rig_stop();
}

Test(partition, a_removed_topic_is_gone_with_its_files)
{
    rig_start(true, INT64_MAX);
    cr_assert_eq(append(1, 2, 0, 0), RL_OK);
    apply(&rig.empty, 1);
    cr_assert_null(rl_replica_manager_find(rig.shard, rig.topic.id, 0));
    cr_assert_eq(rig.answers, 1, "who waited was answered");
    cr_assert(!directory_is_there());
    rig_stop();
}

Test(partition, files_of_an_interrupted_deletion_go_although_nothing_was_opened)
{
    rig_start(true, INT64_MAX);
    struct rl_log_creation leftover = { .identity = { .topic_id = { { 9 } }, .topic = "leftover" } };
    cr_assert_eq(rl_log_create_directories(rig.disk, DATA_DIR, &leftover, 1), RL_OK);
    struct rl_topic deleting = rig.topic;
    deleting.id = leftover.identity.topic_id;
    deleting.name = leftover.identity.topic;
    rig.applied = false;
    rl_self = rig.shard;
    const struct rl_topic *removed[] = { &deleting };
    rl_replica_manager_apply(rig.shard, &rig.image, removed, 1, on_applied, NULL);
    rl_mem_settle(rig.set);
    cr_assert(rig.applied);
    int fd;
    cr_assert_eq(rl_disk_open(rig.disk, DATA_DIR "/leftover-0/partition.metadata", 0, &fd), RL_ENOTFOUND);
    cr_assert(directory_is_there(), "and nothing else");
    rig_stop();
}

/* The disk was full when the directory was to be made: the next image of the topic makes it. */
Test(partition, a_directory_that_could_not_be_made_is_made_by_the_next_change)
{
    rig_start(true, INT64_MAX);
    struct rl_topic grown = rig.topic, again;
    const struct rl_topic *topics[1] = { &grown };
    struct rl_image image = { .generation = 2, .topic_count = 1, .by_name = topics, .by_id = topics };
    grown.partition_count = 2;
    grown.partitions_made = 1;
    rl_mem_disk_fail(rig.disk, RL_MEM_MAKE_DIRECTORY, 0, RL_ENOSPACE);
    rig.applied = false;
    rl_self = rig.shard;
    rl_replica_manager_apply(rig.shard, &image, NULL, 0, on_applied_failed, NULL);
    rl_mem_settle(rig.set);
    cr_assert(rig.applied);
    struct rl_partition *second = rl_replica_manager_find(rig.shard, rig.topic.id, 1);
    cr_assert_eq(second->state, RL_REPLICA_OFFLINE);

    again = grown;
    const struct rl_topic *topics_again[1] = { &again };
    struct rl_image image_again = { .generation = 3, .topic_count = 1, .by_name = topics_again,
                                    .by_id = topics_again };
    apply(&image_again, 0);             /* and says so truthfully */
    cr_assert_eq(second->state, RL_REPLICA_LEADER);
    cr_assert_eq(rig.partition->state, RL_REPLICA_LEADER);
    rig_stop();
}

/* tests/coordinate/test_coordinator.c — what is read back after a change of leader epoch is what was
 * acknowledged. */
#include "coordinator_rig.h"
#include "coordinate/coordinator_internal.h"
#include "coordinate/group_id.h"
#include "coordinate/offsets_log.h"
#include "core/memory.h"
#include "replicate/replica_manager.h"
#include <criterion/criterion.h>
#include <stdio.h>

Test(coordinator, commits_are_read_back)
{
    rig_start();
    for (int i = 0; i < 50; i++) {
        char group[16];
        snprintf(group, sizeof group, "g%d", i % 10);
        cr_assert_eq(commit(group, i % 3, i), RL_GROUP_OK);
    }
    read_again();
    for (int i = 20; i < 50; i++) {
        char group[16];
        snprintf(group, sizeof group, "g%d", i % 10);
        cr_assert_eq(committed(group, i % 3), i);
    }
    cr_assert_eq(committed("nobody", 0), -1);
    rig_stop();
}

/* Many calls of one turn are one batch. */
Test(coordinator, one_batch_per_turn)
{
    static struct commit commits[100];
    rig_start();
    int64_t before = rl_log_end_offset(partition_of("g")->log);
    for (int i = 0; i < 100; i++)
        commit_send(&commits[i], "g", i, i);
    settle();
    cr_assert_eq(rig.answers, 100);
    struct rl_log *log = partition_of("g")->log;
    cr_assert_eq(rl_log_end_offset(log), before + 100);
    struct rl_log_read read = { .offset = before, .upper_offset = before + 100, .max_bytes = 1, .at_least_one = true };
    cr_assert_eq(rl_log_read(log, &read), RL_OK);
    struct rl_batch batch;
    cr_assert_eq(rl_batch_read_header((uint8_t *)(uintptr_t)read.chunks[0].data, read.chunks[0].bytes, &batch), RL_OK);
    cr_assert_eq(batch.record_count, 100);
    for (uint32_t i = 0; i < read.chunk_count; i++)
        rl_chunk_release(&read.chunks[i]);
    rig_stop();
}

static void on_deleted(struct rl_group_answer *answer)
{
    (void)answer;
    rig.answers++;
}

Test(coordinator, deletions_are_read_back)
{
    rig_start();
    cr_assert_eq(commit("gone", 0, 5), RL_GROUP_OK);
    cr_assert_eq(commit("kept", 0, 6), RL_GROUP_OK);
    cr_assert_eq(commit("kept", 1, 7), RL_GROUP_OK);
    struct rl_group_delete call = { .group_id = text("gone"), .answer = { .done = on_deleted } };
    rl_groups_delete(groups_of("gone"), &call);
    struct rl_offset_delete_partition one = { .topic = text("t"), .partition = 1 };
    struct rl_offset_delete offsets = { .group_id = text("kept"), .partitions = &one, .partition_count = 1,
                                        .answer = { .done = on_deleted } };
    rl_groups_delete_offsets(groups_of("kept"), &offsets);
    settle();
    cr_assert_eq(call.error, RL_GROUP_OK);
    cr_assert_eq(offsets.error, RL_GROUP_OK);
    for (int round = 0; round < 2; round++) {
        cr_assert_null(rl_groups_find(groups_of("gone"), text("gone")));
        cr_assert_eq(committed("kept", 0), 6);
        cr_assert_eq(committed("kept", 1), -1);
        read_again();
    }
    rig_stop();
}

/* The first commit of a partition is on its way when its offset is deleted. */
Test(coordinator, a_deletion_behind_a_commit)
{
    struct commit first, other;
    rig_start();
    commit_send(&first, "g", 0, 5);
    commit_send(&other, "g", 1, 6);
    struct rl_offset_delete_partition one = { .topic = text("t"), .partition = 0 };
    struct rl_offset_delete offsets = { .group_id = text("g"), .partitions = &one, .partition_count = 1,
                                        .answer = { .done = on_deleted } };
    rl_groups_delete_offsets(groups_of("g"), &offsets);
    settle();
    cr_assert(first.answered && other.answered);
    cr_assert_eq(offsets.error, RL_GROUP_OK);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(committed("g", 0), -1);
        cr_assert_eq(committed("g", 1), 6);
        read_again();
    }
    rig_stop();
}

/* An offset that is deleted twice: the second deletion finds nothing, and that is only true once the first
 * one is on stable storage. */
Test(coordinator, a_deletion_behind_a_deletion)
{
    struct rl_offset_delete_partition one[2];
    struct rl_offset_delete calls[2];
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    int before = rig.answers;
    rl_mem_hold_helpers(rig.mem, true);
    for (int i = 0; i < 2; i++) {
        one[i] = (struct rl_offset_delete_partition){ .topic = text("t"), .partition = 0 };
        calls[i] = (struct rl_offset_delete){ .group_id = text("g"), .partitions = &one[i], .partition_count = 1,
                                              .answer = { .done = on_deleted } };
        rl_groups_delete_offsets(groups_of("g"), &calls[i]);
        settle();
        cr_assert_eq(rig.answers, before, "%d", i);
    }
    rl_mem_hold_helpers(rig.mem, false);
    settle();
    cr_assert_eq(rig.answers, before + 2);
    cr_assert_eq(calls[1].error, RL_GROUP_OK);
    cr_assert_eq(committed("g", 0), -1);
    rig_stop();
}

/* A disk that is full refuses the commit, and what was committed before stays. */
Test(coordinator, a_commit_that_cannot_be_written)
{
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    rl_mem_disk_fail_write(rig.disk, 0, 10, RL_ENOSPACE);
    cr_assert_neq(commit("g", 0, 9), RL_GROUP_OK);
    settle();
    rl_mem_advance(rig.mem, 3000000000);
    settle();
    cr_assert_eq(committed("g", 0), 5);
    cr_assert_eq(commit("g", 0, 10), RL_GROUP_OK);
    cr_assert_eq(committed("g", 0), 10);
    rig_stop();
}

/* After a failed sync the log is rebuilt from the device; the groups follow it. */
Test(coordinator, a_sync_that_fails)
{
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    rl_mem_disk_fail(rig.disk, RL_MEM_SYNC, 0, RL_EIO);
    cr_assert_eq(commit("g", 0, 9), RL_GROUP_NOT_COORDINATOR);
    for (int i = 0; i < 5; i++) {
        rl_mem_advance(rig.mem, 2000000000);
        settle();
    }
    struct rl_groups *groups;
    (void)rl_coordinator_find(rig.shard, text("g"), &groups);
    settle();
    int64_t now = committed("g", 0);
    cr_assert(now == 5 || now == 9, "what is in the log: %lld", (long long)now);
    cr_assert_eq(commit("g", 0, 10), RL_GROUP_OK);
    rig_stop();
}

Test(coordinator, offsets_expire_and_groups_with_them)
{
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    rl_mem_advance(rig.mem, (int64_t)1800 * 1000000000);
    settle();
    cr_assert_eq(commit("g", 1, 6), RL_GROUP_OK);
    rl_mem_advance(rig.mem, (int64_t)1900 * 1000000000);
    settle();
    rl_mem_advance(rig.mem, (int64_t)61 * 1000000000);
    settle();
    cr_assert_eq(committed("g", 0), -1, "after an hour");
    cr_assert_eq(committed("g", 1), 6);
    for (int i = 0; i < 40; i++) {
        rl_mem_advance(rig.mem, (int64_t)61 * 1000000000);
        settle();
    }
    cr_assert_null(rl_groups_find(groups_of("g"), text("g")));
    read_again();
    cr_assert_null(rl_groups_find(groups_of("g"), text("g")));
    rig_stop();
}

Test(coordinator, offsets_of_a_deleted_topic_go)
{
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    rl_coordinator_forget_topic(rig.shard, text("other"));
    settle();
    cr_assert_eq(committed("g", 0), 5);
    rl_coordinator_forget_topic(rig.shard, text("t"));
    settle();
    cr_assert_eq(committed("g", 0), -1);
    read_again();
    cr_assert_eq(committed("g", 0), -1);
    rig_stop();
}

static uint32_t groups_with_offsets(void)
{
    uint32_t at = 0, count = 0;
    for (struct rl_groups *groups; (groups = rl_coordinator_next(rig.shard, &at)) != NULL;)
        RL_LIST_EACH(node, &groups->list)
            count += RL_LIST_ENTRY(node, struct rl_group, link)->offsets.count > 0;
    return count;
}

/* Thousands of groups forget some per turn; whoever asks for one does not see the difference. */
Test(coordinator, offsets_of_a_deleted_topic_go_in_pieces)
{
    enum { GROUPS = 2000 };
    static struct commit commits[GROUPS];
    static char names[GROUPS][16];
    rig_start();
    for (int i = 0; i < GROUPS; i++) {
        snprintf(names[i], sizeof names[0], "g%d", i);
        commit_send(&commits[i], names[i], 0, i);
    }
    settle();
    cr_assert_eq(groups_with_offsets(), GROUPS);
    rl_coordinator_forget_topic(rig.shard, text("t"));
    cr_assert_geq(groups_with_offsets(), GROUPS - 100, "all at once");
    cr_assert_eq(committed("g1900", 0), -1, "nobody sees it");
    cr_assert_eq(commit("g1901", 0, 77), RL_GROUP_OK);          /* of a new topic of that name */
    rl_coordinator_forget_topic(rig.shard, text("other"));
    settle();
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(groups_with_offsets(), 1);
        cr_assert_eq(committed("g1901", 0), 77);
        cr_assert_eq(committed("g0", 0), -1);
        read_again();
    }
    cr_assert_eq(commit("g5", 0, 5), RL_GROUP_OK);
    rl_coordinator_forget_topic(rig.shard, text("t"));          /* once more, and stopped amid it */
    rl_coordinator_stop_serving(rig.shard);
    rig_stop();
}

/* The topic went while its offsets could not be seen; a new one of its name begins anew, for good. */
Test(coordinator, offsets_of_a_topic_that_is_not_there_any_more)
{
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);
    rig.image.topic_count = 1;
    read_again();
    cr_assert_eq(committed("g", 0), -1);
    rig.image.topic_count = 2;
    read_again();
    cr_assert_eq(committed("g", 0), -1, "the log says so, too");
    rig_stop();
}

static struct rl_offsets_log alone;

struct chained {
    struct rl_group_write write;
    struct chained *next;               /* written when this one has ended */
    rl_status status;
    bool done;
};

static void on_chained(struct rl_group_write *write, rl_status status)
{
    struct chained *c = RL_CONTAINER_OF(write, struct chained, write);
    c->done = true;
    c->status = status;
    if (c->next == NULL)
        return;
    alone.store.add(&alone.store, text("key"), text("value"));
    alone.store.end(&alone.store, &c->next->write);
}

static void on_alone_failed(struct rl_offsets_log *log)
{
    (void)log;
}

static void on_alone_appended(struct rl_offsets_log *log, rl_status status, size_t bytes, int64_t end_offset)
{
    (void)log;
    (void)bytes;
    (void)end_offset;
    cr_assert_neq(status, RL_OK);
}

/* Nobody leads the partition: what is written because a write failed fails as well, and is not taken
 * for written. */
Test(coordinator, a_write_from_within_a_failure)
{
    struct chained second = { .write = { .done = on_chained } };
    struct chained first = { .write = { .done = on_chained }, .next = &second };
    struct chained empty = { .write = { .done = on_chained } };
    struct rl_list dirty;
    rig_start();
    rl_list_init(&dirty);
    rl_offsets_log_init(&alone, rig.shard, (struct rl_uuid){ { 77 } }, 0, &dirty, on_alone_failed, on_alone_appended);
    alone.store.add(&alone.store, text("key"), text("value"));
    alone.store.end(&alone.store, &first.write);
    rl_offsets_log_flush(&alone);
    cr_assert(first.done && first.status == RL_ENOTLEADER);
    cr_assert(!second.done);
    rl_offsets_log_flush(&alone);
    cr_assert(second.done && second.status == RL_ENOTLEADER);
    alone.store.end(&alone.store, &empty.write);
    rl_offsets_log_flush(&alone);
    cr_assert(empty.done && empty.status == RL_OK);
    rl_offsets_log_done(&alone);
    rig_stop();
}

static void on_refused_becomes_leader(struct rl_offsets_log *log, rl_status status, size_t bytes, int64_t end_offset)
{
    (void)bytes;
    (void)end_offset;
    cr_assert_eq(status, RL_ENOTLEADER);
    log->topic_id = rig.topic.id;       /* the next batch would be taken */
}

/* The second write stands in a batch of its own, and saw what the first did. */
Test(coordinator, a_refused_batch_takes_later_ones_with_it)
{
    static char large[600 << 10];
    struct chained first = { .write = { .done = on_chained } }, write = { .write = { .done = on_chained } };
    struct rl_list dirty;
    rig_start();
    int64_t before = rl_log_end_offset(rl_replica_manager_find(rig.shard, rig.topic.id, 0)->log);
    rl_list_init(&dirty);
    rl_offsets_log_init(&alone, rig.shard, (struct rl_uuid){ { 77 } }, 0, &dirty, on_alone_failed,
                        on_refused_becomes_leader);
    alone.store.add(&alone.store, text("key"), rl_slice_of(large, sizeof large));
    alone.store.end(&alone.store, &first.write);
    alone.store.add(&alone.store, text("key"), text("value"));
    alone.store.end(&alone.store, &write.write);
    rl_offsets_log_flush(&alone);
    settle();
    cr_assert(first.done && first.status == RL_ENOTLEADER);
    cr_assert(write.done && write.status == RL_ENOTLEADER);
    cr_assert_eq(rl_log_end_offset(rl_replica_manager_find(rig.shard, rig.topic.id, 0)->log), before);
    rl_offsets_log_done(&alone);
    rig_stop();
}

static int batches_stored;

static void on_batch_stored(struct rl_offsets_log *log, rl_status status, size_t bytes, int64_t end_offset)
{
    (void)log;
    (void)bytes;
    (void)end_offset;
    cr_assert_eq(status, RL_OK);
    batches_stored++;
}

/* A killed broker leaves a batch whole or not at all, and so it does a write. */
Test(coordinator, a_write_is_one_batch)
{
    static char large[200 << 10];
    struct chained writes[2] = { { .write = { .done = on_chained } }, { .write = { .done = on_chained } } };
    struct rl_list dirty;
    rig_start();
    rl_list_init(&dirty);
    rl_offsets_log_init(&alone, rig.shard, rig.topic.id, 0, &dirty, on_alone_failed, on_batch_stored);
    for (int w = 0; w < 2; w++) {
        for (int i = 0; i < 10; i++)
            alone.store.add(&alone.store, text("key"), rl_slice_of(large, sizeof large));
        alone.store.end(&alone.store, &writes[w].write);
    }
    rl_offsets_log_flush(&alone);
    settle();
    cr_assert(writes[0].done && writes[0].status == RL_OK);
    cr_assert(writes[1].done && writes[1].status == RL_OK);
    cr_assert_eq(batches_stored, 2);
    rl_offsets_log_done(&alone);
    rig_stop();
}

/* A group that a commit has made, of which nothing was stored, is not there. */
Test(coordinator, a_commit_of_nothing_leaves_no_group)
{
    struct commit c;
    rig_start();
    commit_send(&c, "refused", 0, 1);
    settle();
    cr_assert_not_null(rl_groups_find(groups_of("refused"), text("refused")));
    for (int round = 0; round < 2; round++) {
        c = (struct commit){ .partition = { .topic = text("t"), .refused = round == 0, .retention_ms = -1,
                                            .value = { .metadata = text("too long") } } };
        c.call = (struct rl_offset_commit){ .group_id = text("new"), .member_id = text(""), .generation = -1,
                                            .metadata_units_max = 3, .partitions = &c.partition,
                                            .partition_count = 1, .answer = { .done = on_committed } };
        rl_groups_commit_offsets(groups_of("new"), &c.call);
        settle();
        cr_assert(c.answered);
        cr_assert_null(rl_groups_find(groups_of("new"), text("new")), "round %d", round);
    }
    rl_mem_disk_fail_write(rig.disk, 0, 10, RL_ENOSPACE);
    cr_assert_neq(commit("new", 0, 9), RL_GROUP_OK);
    settle();
    rl_mem_advance(rig.mem, 3000000000);
    settle();
    cr_assert_null(rl_groups_find(groups_of("new"), text("new")), "a commit that failed");
    rig_stop();
}

/* Many commits of few offsets: the log start rises, and nothing is forgotten. */
Test(coordinator, the_log_is_rewritten)
{
    static struct commit commits[64];
    rig_start();
    int64_t last[8] = { 0 };
    cr_assert_eq(commit("quiet", 3, 42), RL_GROUP_OK);
    for (int i = 0; i < 600; i++) {
        for (int k = 0; k < 64; k++) {
            last[k % 8] = i * 64 + k;
            commit_send(&commits[k], "busy", k % 8, last[k % 8]);
        }
        settle();
    }
    cr_assert_eq(rig.answers, 1 + 600 * 64);
    struct rl_partition *p = partition_of("busy");
    cr_assert_gt(rl_partition_log_start_offset(p), 10000, "start is %lld", (long long)rl_partition_log_start_offset(p));
    for (int round = 0; round < 2; round++) {
        for (int k = 0; k < 8; k++)
            cr_assert_eq(committed("busy", k), last[k]);
        cr_assert_eq(committed("quiet", 3), 42);
        read_again();
    }
    rig_stop();
}

static void on_written(struct rl_partition_append *call)
{
    cr_assert_eq(call->status, RL_OK);
    rig.answers++;
}

/* An offset of "g" in the log, written and not synced, and a leader epoch that makes it be read. */
static struct rl_partition *leave_unsynced(int64_t offset)
{
    const struct rl_committed_offset value = { .offset = offset, .leader_epoch = -1, .metadata = text(""),
                                               .expire_ms = -1 };
    struct rl_text key_bytes = { 0 }, value_bytes = { 0 };
    struct rl_batch_writer writer = { 0 };
    struct rl_batch batch;
    rl_group_record_offset_key(&key_bytes, text("g"), text("t"), 0);
    rl_group_record_offset_value(&value_bytes, &value);
    rl_batch_writer_add(&writer, 1, rl_text_slice(&key_bytes), rl_text_slice(&value_bytes));
    struct rl_buffer *buffer = rl_batch_writer_finish(&writer, rig.shard->index, &batch);
    struct rl_partition *p = partition_of("g");
    struct rl_partition_append call = { .batch = &batch, .buffer = buffer, .acks = 1, .done = on_written };
    cr_assert_eq(rl_partition_append(p, &call), RL_OK);
    settle();
    cr_assert_eq(rig.answers, 1);
    cr_assert_lt(rl_log_flushed_offset(p->log), p->high_watermark);
    rl_partition_raise_epoch(p, ++rig.topic.leader_epoch);
    rl_buffer_unref(buffer);
    rl_batch_writer_done(&writer);
    rl_text_done(&key_bytes);
    rl_text_done(&value_bytes);
    return p;
}

/* What a killed process wrote and did not sync is told of when it is on stable storage. */
Test(coordinator, what_is_read_is_synced)
{
    struct rl_groups *groups;
    rig_start();
    struct rl_partition *p = leave_unsynced(77);
    while (rl_coordinator_find(rig.shard, text("g"), &groups) == RL_GROUP_LOADING) {
        rl_mem_advance(rig.mem, 1000000);
        settle();
    }
    cr_assert_eq(committed("g", 0), 77);
    cr_assert_eq(rl_log_flushed_offset(p->log), p->high_watermark);
    rig_stop();
}

Test(coordinator, a_stop_while_that_is_awaited)
{
    struct rl_groups *groups;
    rig_start();
    (void)leave_unsynced(77);
    rl_mem_hold_helpers(rig.mem, true);
    cr_assert_eq(rl_coordinator_find(rig.shard, text("g"), &groups), RL_GROUP_LOADING);
    settle();
    rl_mem_hold_helpers(rig.mem, false);
    rig_stop();
}

/* A stop empties memory: with a rewrite due, or amid one, nothing may be deleted because of that. */
Test(coordinator, a_stop_in_the_time_of_a_rewrite)
{
    static struct commit commits[64];
    int cut_short = 0;
    for (int stop_at = 1; stop_at < 20; stop_at++) {
        rig_start();
        rl_coordinator_of(rig.shard)->rewrite_bytes_min = 32 << 10;     /* in the middle of these */
        cr_assert_eq(commit("quiet", 3, 42), RL_GROUP_OK);
        for (int i = 0; i <= stop_at; i++) {
            for (int k = 0; k < 64; k++)
                commit_send(&commits[k], "busy", k % 8, i * 64 + k);
            if (i < stop_at)
                settle();
        }
        rl_coordinator_stop_serving(rig.shard);
        settle();
        struct rl_partition *p = partition_of("busy");
        cut_short += rl_partition_log_start_offset(p) == 0;
        rl_coordinator_load(rig.shard);                         /* as the next start does */
        read_again();
        cr_assert_eq(committed("busy", 7), stop_at * 64 + 63);
        cr_assert_eq(committed("quiet", 3), 42);
        rig_stop();
    }
    cr_assert(cut_short > 0 && cut_short < 19, "%d", cut_short);
}

struct joiner {
    struct rl_group_join join;
    struct rl_group_sync sync;
    struct rl_group_protocol protocol;
    int answers;
};

static void on_joiner_joined(struct rl_group_answer *answer)
{
    RL_CONTAINER_OF(answer, struct joiner, join.answer)->answers++;
}

static void on_joiner_synced(struct rl_group_answer *answer)
{
    RL_CONTAINER_OF(answer, struct joiner, sync.answer)->answers++;
}

/* Answers come when the assignment is stored, and not with the next thing that happens. */
Test(coordinator, a_group_is_stable_without_a_timer, .timeout = 20)
{
    struct joiner j = { .protocol = { text("range"), text("") } };
    rig_start();
    j.join = (struct rl_group_join){ .group_id = text("g"), .member_id = text(""), .client_id = text("c"),
                                     .client_host = text("/h"), .protocol_type = text("consumer"),
                                     .protocols = &j.protocol, .protocol_count = 1, .session_timeout_ms = 1000,
                                     .rebalance_timeout_ms = 1000, .answer = { .done = on_joiner_joined } };
    rl_groups_join(groups_of("g"), &j.join);
    rl_mem_advance(rig.mem, 1000000);   /* the initial delay of 0 */
    settle();
    cr_assert_eq(j.answers, 1);
    char id[128];
    snprintf(id, sizeof id, "%.*s", (int)j.join.ret_member_id.bytes, (const char *)j.join.ret_member_id.data);
    struct rl_group_assignment all = { text(id), text("all") };
    j.sync = (struct rl_group_sync){ .group_id = text("g"), .member_id = text(id), .generation = 1,
                                     .assignments = &all, .assignment_count = 1,
                                     .answer = { .done = on_joiner_synced } };
    rl_groups_sync(groups_of("g"), &j.sync);
    settle();
    cr_assert_eq(j.answers, 2, "no time has passed");
    cr_assert_eq(j.sync.error, RL_GROUP_OK);
    read_again();
    cr_assert_eq(rl_groups_heartbeat(groups_of("g"), text("g"), text(id), (struct rl_slice){ 0 }, 1), RL_GROUP_OK,
                 "it goes on after a start");
    rl_free(j.join.memory);
    rl_free(j.sync.memory);
    rig_stop();
}

/* A log that is large because much is committed stays as it is, also after a start. */
Test(coordinator, what_is_large_for_a_reason_is_not_rewritten)
{
    static struct commit commits[1000];
    rig_start();
    rl_coordinator_of(rig.shard)->rewrite_bytes_min = 32 << 10;
    for (int i = 0; i < 1000; i++) {
        commit_send(&commits[i], "g", i, i);
        if (i % 50 == 49)
            settle();
    }
    struct rl_partition *p = partition_of("g");
    cr_assert_gt(rl_log_size_bytes(p->log), 40 << 10, "%llu", (unsigned long long)rl_log_size_bytes(p->log));
    cr_assert_eq(rl_partition_log_start_offset(p), 0);
    read_again();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(commit("g", i, 7), RL_GROUP_OK);
    cr_assert_eq(rl_partition_log_start_offset(p), 0);
    cr_assert_eq(committed("g", 999), 999);
    rig_stop();
}

/* A rewrite that waits for the end of a rebalance does not look at all groups with every append. */
Test(coordinator, a_rewrite_that_waits_is_patient)
{
    struct joiner j = { .protocol = { text("range"), text("") } };
    char other[16], id[128];
    rig_start();
    struct rl_coordinator *c = rl_coordinator_of(rig.shard);
    int32_t partition = rl_group_partition(text("busy"), 2);
    const struct rl_offsets_slot *slot = rl_table_find_number(&c->by_partition, (uint64_t)partition);
    c->rewrite_bytes_min = 8 << 10;
    for (int i = 0; i == 0 || rl_group_partition(text(other), 2) != partition; i++)
        snprintf(other, sizeof other, "other%d", i);
    j.join = (struct rl_group_join){ .group_id = text(other), .member_id = text(""), .client_id = text("c"),
                                     .client_host = text("/h"), .protocol_type = text("consumer"),
                                     .protocols = &j.protocol, .protocol_count = 1, .session_timeout_ms = 100000,
                                     .rebalance_timeout_ms = 100000, .answer = { .done = on_joiner_joined } };
    rl_groups_join(groups_of(other), &j.join);
    for (int i = 0; slot->rewrite.phase != RL_REWRITE_PAUSED && i < 1000; i++)
        cr_assert_eq(commit("busy", 0, i), RL_GROUP_OK);
    cr_assert_eq(slot->rewrite.phase, RL_REWRITE_PAUSED);
    uint32_t looks = slot->rewrite.looks;
    for (int i = 0; i < 100; i++)
        cr_assert_eq(commit("busy", 0, i), RL_GROUP_OK);
    cr_assert_leq(slot->rewrite.looks, looks + 1, "%u times", slot->rewrite.looks - looks);
    rl_mem_advance(rig.mem, 1000000000);
    settle();
    cr_assert_eq(j.answers, 1);
    snprintf(id, sizeof id, "%.*s", (int)j.join.ret_member_id.bytes, (const char *)j.join.ret_member_id.data);
    struct rl_group_assignment all = { text(id), text("all") };
    j.sync = (struct rl_group_sync){ .group_id = text(other), .member_id = text(id), .generation = 1,
                                     .assignments = &all, .assignment_count = 1,
                                     .answer = { .done = on_joiner_synced } };
    rl_groups_sync(groups_of(other), &j.sync);
    settle();
    rl_mem_advance(rig.mem, 1000000000);
    settle();
    cr_assert_eq(commit("busy", 0, 77), RL_GROUP_OK);
    settle();
    cr_assert_gt(rl_partition_log_start_offset(partition_of("busy")), 0);
    read_again();
    cr_assert_eq(committed("busy", 0), 77);
    rl_free(j.join.memory);
    rl_free(j.sync.memory);
    rig_stop();
}

/* A partition that is asked for many times takes memory each time, but not without bound. */
Test(coordinator, a_fetch_takes_no_more_than_it_may)
{
    static struct rl_offset_fetch_partition asked[1000];
    struct rl_offset_fetch_topic topic = { text("t"), asked, RL_ARRAY_COUNT(asked) };
    struct rl_offset_fetch fetch = { .group_id = text("g"), .topics = &topic, .topic_count = 1, .member_epoch = -1,
                                     .bytes_max = 4 * RL_ARRAY_COUNT(asked) };
    rig_start();
    cr_assert_eq(commit("g", 0, 5), RL_GROUP_OK);       /* "note" */
    rl_groups_fetch_offsets(groups_of("g"), &fetch);
    cr_assert_eq(fetch.error, RL_GROUP_INTERNAL);
    cr_assert_null(fetch.memory);
    fetch.bytes_max++;
    rl_groups_fetch_offsets(groups_of("g"), &fetch);
    cr_assert_eq(fetch.error, RL_GROUP_OK);
    cr_assert_eq(fetch.bytes, fetch.bytes_max);
    for (size_t i = 0; i < RL_ARRAY_COUNT(asked); i++)
        cr_assert(asked[i].offset == 5 && rl_slice_equal(asked[i].metadata, text("note")));
    rl_free(fetch.memory);
    fetch.memory = NULL;
    fetch.all = true;
    fetch.bytes_max = 10;
    rl_groups_fetch_offsets(groups_of("g"), &fetch);
    cr_assert_eq(fetch.error, RL_GROUP_INTERNAL);
    rig_stop();
}

/* What one commit may take of the log. */
Test(coordinator, a_commit_that_is_too_large)
{
    static struct rl_offset_commit_partition many[200000];
    rig_start();
    for (size_t i = 0; i < RL_ARRAY_COUNT(many); i++)
        many[i] = (struct rl_offset_commit_partition){ .topic = text("a topic of some length, for bytes"),
                                                       .partition = (int32_t)(i % 50), .retention_ms = -1,
                                                       .value = { .offset = 1, .metadata = text("metadata") } };
    struct commit c = { .answered = false };
    c.call = (struct rl_offset_commit){ .group_id = text("g"), .member_id = text(""), .generation = -1,
                                        .metadata_units_max = 100, .partitions = many,
                                        .partition_count = RL_ARRAY_COUNT(many), .answer = { .done = on_committed } };
    rl_groups_commit_offsets(groups_of("g"), &c.call);
    settle();
    cr_assert_eq(c.call.error, RL_GROUP_COMMIT_TOO_LARGE);
    c.call.partition_count = 50000;     /* a batch of some megabytes */
    c.call.error = RL_GROUP_OK;
    c.answered = false;
    rl_groups_commit_offsets(groups_of("g"), &c.call);
    settle();
    cr_assert(c.answered);
    cr_assert_eq(c.call.error, RL_GROUP_OK);
    cr_assert_eq(many[0].error, RL_GROUP_OK);
    rig_stop();
}

Test(coordinator, who_waits_is_answered_at_the_stop)
{
    struct rl_group_protocol protocol = { text("range"), text("") };
    struct rl_group_join join = { .group_id = text("g"), .member_id = text(""), .client_id = text("c"),
                                  .client_host = text("/h"), .protocol_type = text("consumer"),
                                  .protocols = &protocol, .protocol_count = 1, .session_timeout_ms = 1000,
                                  .rebalance_timeout_ms = 1000, .answer = { .done = on_deleted } };
    rig_start();
    rl_groups_join(groups_of("g"), &join);
    rl_coordinator_stop_serving(rig.shard);
    settle();
    cr_assert_eq(rig.answers, 1);
    cr_assert_eq(join.error, RL_GROUP_NOT_COORDINATOR);
    rl_free(join.memory);
    struct rl_groups *groups;
    cr_assert_eq(rl_coordinator_find(rig.shard, text("g"), &groups), RL_GROUP_NOT_COORDINATOR);
    rig_stop();
}

static void on_neighbour_joined(struct rl_group_answer *answer)
{
    (void)answer;
}

/* An offset is deleted while a commit of it is on its way: the other groups of that partition do not notice. */
Test(coordinator, a_deletion_disturbs_no_neighbour)
{
    const struct rl_group_protocol protocol = { text("range"), text("m") };
    struct commit first;
    char other[8] = "h";
    rig_start();
    for (int i = 0; partition_of(other) != partition_of("g"); i++)
        snprintf(other, sizeof other, "h%d", i);
    struct rl_group_join join = { .group_id = text(other), .member_id = text(""), .client_id = text("c"),
        .client_host = text("/h"), .protocol_type = text("x"), .protocols = &protocol, .protocol_count = 1,
        .session_timeout_ms = 50000, .rebalance_timeout_ms = 50000, .answer = { .done = on_neighbour_joined } };
    ((struct rl_group_limits *)(uintptr_t)groups_of(other)->limits)->initial_rebalance_delay_ms = 5;
    rl_groups_join(groups_of(other), &join);
    commit_send(&first, "g", 0, 5);
    struct rl_offset_delete_partition one = { .topic = text("t"), .partition = 0 };
    struct rl_offset_delete offsets = { .group_id = text("g"), .partitions = &one, .partition_count = 1,
                                        .answer = { .done = on_deleted } };
    rl_groups_delete_offsets(groups_of("g"), &offsets);
    settle();
    rl_mem_advance(rig.mem, 10000000);
    settle();
    cr_assert_eq(committed("g", 0), -1);
    cr_assert_eq(join.error, RL_GROUP_OK);
    rl_free(join.memory);
    rig_stop();
}

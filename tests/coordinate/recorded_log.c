/* tests/coordinate/recorded_log.c — a store that keeps what is written. */
#include "recorded_log.h"
#include "core/memory.h"
#include <criterion/criterion.h>

struct recorded_log recorded_log;

struct rl_slice copy_slice(struct rl_slice from)
{
    if (from.data == NULL)
        return from;
    uint8_t *copy = rl_alloc(from.bytes + 1);
    memcpy(copy, from.data, from.bytes);
    return rl_slice_of(copy, from.bytes);
}

static void add(struct rl_group_store *store, struct rl_slice key, struct rl_slice value)
{
    struct recorded_log *log = &recorded_log;
    (void)store;
    if (log->record_count == log->record_capacity) {
        log->record_capacity = log->record_capacity > 0 ? log->record_capacity * 2 : 64;
        log->records = rl_realloc(log->records, log->record_capacity * sizeof *log->records);
    }
    log->records[log->record_count++] = (struct logged){ copy_slice(key), copy_slice(value) };
}

static void end(struct rl_group_store *store, struct rl_group_write *write)
{
    struct recorded_log *log = &recorded_log;
    (void)store;
    cr_assert_lt(log->write_count, RL_ARRAY_COUNT(log->writes));
    log->writes[log->write_count++] = (struct logged_write){ write, log->record_count };
}

static void truncate_to(uint32_t count)
{
    struct recorded_log *log = &recorded_log;
    while (log->record_count > count) {
        log->record_count--;
        rl_free((void *)(uintptr_t)log->records[log->record_count].key.data);
        rl_free((void *)(uintptr_t)log->records[log->record_count].value.data);
    }
}

void recorded_log_attach(struct group_rig *rig)
{
    recorded_log.rig = rig;
    rig->store = (struct rl_group_store){ add, end };
}

static void forget_writes(void)
{
    if (recorded_log.first_write == recorded_log.write_count)
        recorded_log.first_write = recorded_log.write_count = 0;
}

bool recorded_log_end_write(void)
{
    struct recorded_log *log = &recorded_log;
    if (log->first_write == log->write_count)
        return false;
    struct logged_write ended = log->writes[log->first_write++];
    forget_writes();
    log->stable_count = RL_MAX(log->stable_count, ended.end);
    ended.write->done(ended.write, RL_OK);
    group_rig_turn(log->rig);
    return true;
}

void recorded_log_settle(void)
{
    group_rig_turn(recorded_log.rig);
    while (recorded_log_end_write())
        ;
}

void recorded_log_reload(void)
{
    struct recorded_log *log = &recorded_log;
    struct rl_groups *groups = &log->rig->groups;
    truncate_to(log->stable_count);
    while (log->first_write < log->write_count) {
        struct logged_write lost = log->writes[log->first_write++];
        lost.write->done(lost.write, RL_EIO);
    }
    forget_writes();
    rl_groups_drop_all(groups, RL_GROUP_NOT_COORDINATOR);
    group_rig_turn(log->rig);
    for (uint32_t i = 0; i < log->record_count; i++)
        cr_assert_eq(rl_groups_restore_record(groups, log->records[i].key, log->records[i].value), RL_OK);
    RL_LIST_EACH(node, &groups->list)
        rl_group_begin_sessions(RL_LIST_ENTRY(node, struct rl_group, link));
}

void recorded_log_done(void)
{
    truncate_to(0);
    rl_free(recorded_log.records);
    recorded_log = (struct recorded_log){ 0 };
}

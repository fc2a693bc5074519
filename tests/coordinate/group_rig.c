/* tests/coordinate/group_rig.c — groups alone. */
#include "group_rig.h"
#include "core/memory.h"
#include <criterion/criterion.h>

static struct group_rig *rig_of(struct rl_group_store *store)
{
    return RL_CONTAINER_OF(store, struct group_rig, store);
}

static void add(struct rl_group_store *store, struct rl_slice key, struct rl_slice value)
{
    struct rl_group_record record;
    cr_assert_eq(rl_group_record_read(key, value, &record), RL_OK, "what is written can be read");
    rig_of(store)->records++;
    rig_of(store)->tombstones += value.data == NULL;
}

static void end(struct rl_group_store *store, struct rl_group_write *write)
{
    rl_list_push_back(&rig_of(store)->writes, &write->link);
}

static rl_status start(struct rl_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    return RL_OK;
}

void group_rig_start(struct group_rig *rig, uint64_t seed)
{
    *rig = (struct group_rig){ .store = { add, end } };
    rig->limits = (struct rl_group_limits){ .session_timeout_min_ms = 10, .session_timeout_max_ms = 100000,
                                            .size_max = 100 };
    rig->mem = rl_mem_create(seed);
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem,
                                            .disk = rl_mem_disk(rig->mem) };
    cr_assert_eq(rl_shard_set_create(&options, &rig->set), RL_OK);
    rig->shard = rl_shard_set_get(rig->set, 0);
    cr_assert_eq(rl_shard_set_start_stepped(rig->set, start, NULL), RL_OK);
    rl_self = rig->shard;
    rl_list_init(&rig->answers);
    rl_list_init(&rig->searches);
    rl_list_init(&rig->writes);
    rl_groups_init(&rig->groups, rig->shard, &rig->limits, &rig->store, &rig->answers, &rig->searches);
    group_rig_advance(rig, 1);
}

void group_rig_turn(struct group_rig *rig)
{
    rl_mem_settle(rig->set);
    rl_self = rig->shard;
    rl_group_answers_run(&rig->answers);
}

bool group_rig_end_write(struct group_rig *rig, rl_status status)
{
    struct rl_list *node = rl_list_pop_front(&rig->writes);
    if (node == NULL)
        return false;
    struct rl_group_write *write = RL_LIST_ENTRY(node, struct rl_group_write, link);
    write->done(write, status);
    group_rig_turn(rig);
    return true;
}

void group_rig_settle(struct group_rig *rig)
{
    group_rig_turn(rig);
    while (group_rig_end_write(rig, RL_OK))
        ;
}

void group_rig_advance(struct group_rig *rig, int64_t ms)
{
    rl_mem_advance(rig->mem, ms * 1000000);
    group_rig_turn(rig);
}

void group_rig_stop(struct group_rig *rig)
{
    rl_groups_drop_all(&rig->groups, RL_GROUP_NOT_COORDINATOR);
    group_rig_settle(rig);
    rl_table_done(&rig->groups.by_id);
    rl_shard_set_stop(rig->set);
    rl_shard_set_join(rig->set, NULL, NULL);
    rl_shard_set_free(rig->set);
    rl_mem_free(rig->mem);
}

struct leaving {
    struct rl_group_leave call;
    struct rl_group_leave_member member;
};

static void on_left(struct rl_group_answer *answer)
{
    rl_free(RL_CONTAINER_OF(answer, struct leaving, call.answer));
}

void group_rig_leave(struct group_rig *rig, struct rl_slice member_id, struct rl_slice instance_id)
{
    struct leaving *leaving = rl_alloc_zero(1, sizeof *leaving);
    leaving->member = (struct rl_group_leave_member){ .member_id = member_id, .instance_id = instance_id };
    leaving->call = (struct rl_group_leave){ .group_id = rl_slice_of_string("g"), .members = &leaving->member, .count = 1,
                                             .answer = { .done = on_left } };
    rl_groups_leave(&rig->groups, &leaving->call);
}

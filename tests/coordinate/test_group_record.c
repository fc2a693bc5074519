/* tests/coordinate/test_group_record.c — records of __consumer_offsets: what is written is read, what
 * Kafka wrote in other versions as well, and nothing else crashes. */
#include "coordinate/group_record.h"
#include "core/random.h"
#include <criterion/criterion.h>

static struct rl_slice text(const char *s)
{
    return rl_slice_of_string(s);
}

Test(group_record, offset_round_trip)
{
    struct rl_committed_offset offset = { .offset = 1234567890123, .leader_epoch = 7, .metadata = text("note"),
                                          .commit_ms = 1764331200000, .expire_ms = -1 };
    struct rl_text key = { 0 }, value = { 0 };
    struct rl_group_record record;
    rl_group_record_offset_key(&key, text("group"), text("topic"), 3);
    rl_group_record_offset_value(&value, &offset);
    cr_assert_eq(rl_group_record_read(rl_text_slice(&key), rl_text_slice(&value), &record), RL_OK);
    cr_assert_eq(record.kind, RL_GROUP_RECORD_OFFSET);
    cr_assert(rl_slice_equal_string(record.group, "group") && rl_slice_equal_string(record.topic, "topic"));
    cr_assert_eq(record.partition, 3);
    cr_assert_eq(record.offset.offset, 1234567890123);
    cr_assert_eq(record.offset.leader_epoch, 7);
    cr_assert(rl_slice_equal_string(record.offset.metadata, "note"));
    cr_assert_eq(record.offset.expire_ms, -1);
    cr_assert_eq(rl_group_record_read(rl_text_slice(&key), (struct rl_slice){ 0 }, &record), RL_OK);
    cr_assert(record.tombstone);

    offset.expire_ms = 1764331300000;
    rl_text_clear(&value);
    rl_group_record_offset_value(&value, &offset);
    cr_assert_eq(rl_group_record_read(rl_text_slice(&key), rl_text_slice(&value), &record), RL_OK);
    cr_assert_eq(record.offset.expire_ms, 1764331300000);
    cr_assert_eq(record.offset.leader_epoch, -1, "version 1 has no place for it");
    rl_text_done(&key);
    rl_text_done(&value);
}

Test(group_record, group_round_trip)
{
    struct rl_group_record_value value = { .protocol_type = text("consumer"), .generation = 5,
                                           .protocol = text("range"), .leader = text("m1"), .state_ms = 99,
                                           .member_count = 2 };
    struct rl_group_record_member members[2] = {
        { text("m1"), { 0 }, text("client"), text("/127.0.0.1"), 300000, 45000, text("sub1"), text("part1") },
        { text("m2"), text("inst"), text("client"), text("/127.0.0.1"), 1, 2, text(""), text("") },
    };
    struct rl_text key = { 0 }, out = { 0 };
    struct rl_group_record record;
    rl_group_record_group_key(&key, text("group"));
    rl_group_record_group_value(&out, &value);
    for (int i = 0; i < 2; i++)
        rl_group_record_member(&out, &members[i]);
    cr_assert_eq(rl_group_record_read(rl_text_slice(&key), rl_text_slice(&out), &record), RL_OK);
    cr_assert_eq(record.kind, RL_GROUP_RECORD_GROUP);
    cr_assert_eq(record.value.generation, 5);
    cr_assert(rl_slice_equal_string(record.value.leader, "m1"));
    for (int i = 0; i < 2; i++) {
        struct rl_group_record_member member;
        cr_assert_eq(rl_group_record_next_member(&record.value, &member), RL_OK);
        cr_assert(rl_slice_equal(member.id, members[i].id));
        cr_assert_eq(member.instance_id.data == NULL, members[i].instance_id.data == NULL);
        cr_assert_eq(member.session_timeout_ms, members[i].session_timeout_ms);
        cr_assert(rl_slice_equal(member.assignment, members[i].assignment));
    }
    struct rl_group_record_member none;
    cr_assert_neq(rl_group_record_next_member(&record.value, &none), RL_OK, "there were two");
    rl_text_done(&key);
    rl_text_done(&out);
}

/* OffsetCommitValue 4, as a broker with topic ids writes it; 0; and one that nobody knows yet. */
Test(group_record, other_versions)
{
    static const uint8_t key[] = { 0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 9 };
    static const uint8_t v4[] = { 0, 4, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1, 2, 'm', 0, 0, 0, 0, 0, 0, 0, 5,
                                  1, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
    static const uint8_t v0[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 42, 0, 1, 'm', 0, 0, 0, 0, 0, 0, 0, 5 };
    static const uint8_t v9[] = { 0, 9, 0 };
    static const uint8_t other[] = { 0, 5, 0, 1, 'g' };
    struct rl_group_record record;
    struct rl_slice k = rl_slice_of(key, sizeof key);
    cr_assert_eq(rl_group_record_read(k, rl_slice_of(v4, sizeof v4), &record), RL_OK);
    cr_assert_eq(record.offset.offset, 42);
    cr_assert(rl_slice_equal_string(record.offset.metadata, "m"));
    cr_assert_eq(rl_group_record_read(k, rl_slice_of(v0, sizeof v0), &record), RL_OK);
    cr_assert_eq(record.offset.commit_ms, 5);
    cr_assert_eq(rl_group_record_read(k, rl_slice_of(v9, sizeof v9), &record), RL_EUNSUPPORTED);
    cr_assert_eq(rl_group_record_read(rl_slice_of(other, sizeof other), rl_slice_of(v9, sizeof v9), &record), RL_OK);
    cr_assert_eq(record.kind, RL_GROUP_RECORD_OTHER);
}

Test(group_record, arbitrary_bytes)
{
    struct rl_random random;
    rl_random_init(&random, 5);
    for (int i = 0; i < 200000; i++) {
        uint8_t key[24], value[64];
        struct rl_group_record record;
        rl_random_fill(&random, key, sizeof key);
        rl_random_fill(&random, value, sizeof value);
        key[0] = value[0] = 0;
        key[1] %= 4;
        key[2] = 0;
        value[1] %= 6;
        struct rl_slice k = rl_slice_of(key, rl_random_below(&random, sizeof key));
        struct rl_slice v = rl_slice_of(value, rl_random_below(&random, sizeof value));
        if (rl_group_record_read(k, v, &record) != RL_OK || record.kind != RL_GROUP_RECORD_GROUP || record.tombstone)
            continue;
        struct rl_group_record_member member;
        while (rl_group_record_next_member(&record.value, &member) == RL_OK)
            ;
    }
}

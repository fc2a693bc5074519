"""tests/differential/rows_group_offsets.py — OffsetCommit, OffsetFetch, OffsetDelete."""
import uuid

from members import Member, join_all, joined, stable, subscription, wait, wait_for_state
from script import ZERO, case

NOBODY = "test-00000000-0000-4000-8000-000000000001"
NO_TOPIC_ID = str(uuid.UUID(int=2**127 + 3))
COMMIT, FETCH = 8, 7                            # versions, where the case does not care


def place(s, version, topic):
    """A topic as a version names it: by name, or by id from 10 on."""
    return {"topic_id": s.topic_ids.get(topic, NO_TOPIC_ID)} if version >= 10 else {"name": topic}


def at(partition, offset, metadata=None, version=COMMIT, epoch=-1):
    one = {"partition_index": partition, "committed_offset": offset, "committed_metadata": metadata}
    return {**one, "committed_leader_epoch": epoch} if version >= 6 else one


def commits(s, version, group, *topics, **fields):
    """topics: (name, [at(...), ...])"""
    return {"group_id": group, "topics": [{**place(s, version, name), "partitions": parts}
                                          for name, parts in topics], **fields}


def by(member, version, **fields):
    who = {"member_id": member.id, "generation_id_or_member_epoch": member.generation}
    if version >= 7:
        who["group_instance_id"] = member.instance
    return {**who, **fields}


def stored(s, label, group):
    """All that a group has committed, as it stands now."""
    s.keep(f"stored after {label}", s.plain(s.quiet("OffsetFetch", FETCH, {"group_id": group, "topics": None})))


def commit(s, group, *topics, **fields):
    s.quiet("OffsetCommit", COMMIT, commits(s, COMMIT, group, *topics, **fields))


@case("OffsetCommit", 2, 10)
def by_nobody(s, version):
    topic, other = s.topic("topic", 3), s.topic("other")
    group = s.name("group")

    def ask(label, *topics, to=group, **fields):
        s.ask(label, "OffsetCommit", version, commits(s, version, to, *topics, **fields))
    ask("one", (topic, [at(0, 5, version=version)]))
    stored(s, "one", group)
    ask("more", (topic, [at(0, 6, "", version), at(1, 7, "text", version)]), (other, [at(0, 1, version=version)]))
    ask("backwards", (topic, [at(0, 2, version=version)]))
    for offset in (0, -1, -2, 2**63 - 1, -2**63):
        ask(f"offset {offset}", (topic, [at(2, offset, version=version)]))
        stored(s, f"offset {offset}", group)
    for length in (4095, 4096, 4097):
        ask(f"metadata of {length}", (topic, [at(0, 3, "x" * length, version), at(1, 3, version=version)]))
    ask("metadata of 3000 letters of two bytes", (topic, [at(2, 3, "ü" * 3000, version)]))
    stored(s, "long metadata", group)
    ask("partitions that are not there", (topic, [at(p, 4, version=version) for p in (-1, 3, 0)]))
    ask("a topic that is not there", (s.name("missing"), [at(0, 4, version=version)]), (other, [at(0, 4, version=version)]))
    ask("a partition twice", (topic, [at(1, 8, version=version), at(1, 9, version=version)]))
    ask("a topic twice", (topic, [at(1, 10, version=version)]), (topic, [at(1, 11, version=version)]))
    ask("no partitions", (topic, []))
    ask("no topics")
    ask("no topics of an unknown group", to=s.name("never"))
    if version >= 6:
        for epoch in (0, 5, -2):
            ask(f"leader epoch {epoch}", (topic, [at(0, 12, version=version, epoch=epoch)]))
            s.keep(f"leader epoch {epoch}, stored", s.plain(s.quiet("OffsetFetch", FETCH, {
                "group_id": group, "topics": [{"name": topic, "partition_indexes": [0]}]})))
    if version < 10:
        ask("no name", ("", [at(0, 4, version=version)]))
        ask("a name that cannot be", ("bad name/", [at(0, 4, version=version)]))
    else:
        s.ask("the id of nothing", "OffsetCommit", version, {"group_id": group, "topics": [
            {"topic_id": ZERO, "partitions": [at(0, 4, version=version)]}]})
        s.ask("two ids that are not there", "OffsetCommit", version, {"group_id": group, "topics": [
            {"topic_id": i, "partitions": [at(0, 4, version=version)]} for i in (NO_TOPIC_ID, ZERO)]})
    if version <= 4:
        for time in (-1, 0, 1, -2, 3600_000):
            ask(f"retention {time}", (topic, [at(0, 13, version=version)]), retention_time_ms=time)
        stored(s, "retention", group)
    ask("no group", (topic, [at(0, 4, version=version)]), to="")
    stored(s, "all", group)
    s.quiet("DeleteGroups", 1, {"groups_names": [""]})          # other cases expect that it is unknown


@case("OffsetCommit", 2, 10)
def who_may_commit(s, version):
    topic = s.topic("topic")

    def ask(label, group, offset=5, **fields):
        s.ask(label, "OffsetCommit", version, commits(s, version, group, (topic, [at(0, offset, version=version)]), **fields))
    unknown = s.name("unknown")
    ask("an unknown group, generation 0", unknown, generation_id_or_member_epoch=0)
    ask("an unknown group, a member", unknown, generation_id_or_member_epoch=1, member_id=NOBODY)
    ask("an unknown group, generation -1, a member", unknown, member_id=NOBODY)
    ask("an unknown group, generation -2", unknown, generation_id_or_member_epoch=-2)
    ask("a group of offsets only, generation 0", unknown, generation_id_or_member_epoch=0)
    ask("a group of offsets only, a member", unknown, generation_id_or_member_epoch=1, member_id=NOBODY)

    a, b = joined(s, "group", 2)
    ask("before the sync", a.group, **by(a, version))
    ask("before the sync, nobody", a.group)
    a.sync([(a.id, b"1"), (b.id, b"2")])
    ask("the leader", a.group, 6, **by(a, version))
    ask("a follower", a.group, 7, **by(b, version))
    ask("nobody", a.group, 8)
    ask("generation -1 of a member", a.group, 8, **by(a, version, generation_id_or_member_epoch=-1))
    for generation in (1, 3, 0, -2):
        ask(f"generation {generation} of 2", a.group, 8, **by(a, version, generation_id_or_member_epoch=generation))
    ask("no member", a.group, 8, **by(a, version, member_id=""))
    ask("an unknown member", a.group, 8, **by(a, version, member_id=NOBODY))
    ask("an unknown member and generation", a.group, 8, **by(a, version, member_id=NOBODY, generation_id_or_member_epoch=9))
    if version >= 7:
        ask("an unknown instance", a.group, 8, **by(a, version, group_instance_id="one"))
    stored(s, "refusals", a.group)
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    ask("while a round is open", a.group, 9, **by(a, version))
    ask("while a round is open, who has joined", a.group, 10, **by(b, version))
    ask("while a round is open, nobody", a.group, 11)
    a.leave()
    b.end_join()
    ask("who has left", a.group, 12, **by(a, version))
    b.leave()
    ask("of an empty group, who has left", a.group, 12, **by(b, version))
    ask("of an empty group, nobody", a.group, 13)
    ask("of an empty group, the last generation", a.group, 14, generation_id_or_member_epoch=b.generation)
    stored(s, "all", a.group)


@case("OffsetCommit", 7, 10)
def static_members_commit(s, version):
    topic = s.topic("topic")
    a, b = (Member(s, "group", instance=i) for i in ("one", "two"))
    join_all([a, b])
    a.sync()

    def ask(label, **fields):
        s.ask(label, "OffsetCommit", version, commits(s, version, a.group, (topic, [at(0, 5, version=version)]),
                                                      **by(a, version, **fields)))
    ask("both")
    ask("without the instance", group_instance_id=None)
    ask("another's instance", group_instance_id="two")
    ask("an unknown instance", group_instance_id="three")
    ask("no id", member_id="")
    again = Member(s, "group", instance="one")
    again.join()
    ask("the old id")
    ask("the old id, another generation", generation_id_or_member_epoch=9)


@case("OffsetFetch", 1, 7)
def offsets_fetched(s, version):
    topic, other = s.topic("topic", 3), s.topic("other")
    group = s.name("group")
    commit(s, group, (topic, [at(0, 5, "text", epoch=0), at(1, 6)]), (other, [at(0, 7, "")]))

    def ask(label, topics, of=group, **fields):
        s.ask(label, "OffsetFetch", version, {"group_id": of, **fields, "topics": topics and [
            {"name": n, "partition_indexes": list(p)} for n, p in topics]})
    ask("one", [(topic, [0])])
    ask("several, and one without", [(topic, [2, 1, 0]), (other, [0])])
    ask("partitions that are not there", [(topic, [3, -1])])
    ask("a topic that is not there", [(s.name("missing"), [0]), (topic, [0])])
    ask("a partition twice", [(topic, [0, 0])])
    ask("a topic twice", [(topic, [0]), (topic, [1])])
    ask("no partitions", [(topic, [])])
    ask("no topics", [])
    ask("an unknown group", [(topic, [0])], s.name("unknown"))
    ask("no group", [(topic, [0])], "")
    if version >= 2:
        ask("all", None)
        ask("all of an unknown group", None, s.name("unknown"))
        ask("all of no group", None, "")
    if version >= 7:
        ask("stable ones", [(topic, [0, 2])], require_stable=True)
        ask("all stable ones", None, require_stable=True)
    member, = stable(s, "members")
    commit(s, member.group, (topic, [at(0, 9)]), **by(member, COMMIT))
    ask("of a group with members", [(topic, [0])], member.group)
    joined(s, "silent")
    ask("of a group without offsets", [(topic, [0])], s.name("silent"))


@case("OffsetFetch", 8, 10)
def offsets_of_several_groups(s, version):
    topic, other = s.topic("topic", 3), s.topic("other")
    group, second = s.name("group"), s.name("second")
    commit(s, group, (topic, [at(0, 5, "text", epoch=0), at(1, 6)]), (other, [at(0, 7, "")]))
    commit(s, second, (other, [at(0, 8)]))

    def of(name, topics, **fields):
        return {"group_id": name, **fields, "topics": topics and [
            {**place(s, version, n), "partition_indexes": list(p)} for n, p in topics]}

    def ask(label, *groups, **fields):
        s.ask(label, "OffsetFetch", version, {"groups": list(groups), **fields})
    ask("one", of(group, [(topic, [0])]))
    ask("several, and one without", of(group, [(topic, [2, 1, 0]), (other, [0])]))
    ask("partitions that are not there", of(group, [(topic, [3, -1])]))
    ask("a topic that is not there", of(group, [(s.name("missing"), [0]), (topic, [0])]))
    ask("a partition twice", of(group, [(topic, [0, 0])]))
    ask("a topic twice", of(group, [(topic, [0]), (topic, [1])]))
    ask("no partitions", of(group, [(topic, [])]))
    ask("no topics", of(group, []))
    ask("all", of(group, None))
    ask("two groups", of(group, [(topic, [0])]), of(second, [(other, [0]), (topic, [0])]))
    ask("all of two groups", of(group, None), of(second, None))
    ask("a group twice", of(group, [(topic, [0])]), of(group, None))
    ask("an unknown group, none, and a good one", of(s.name("unknown"), [(topic, [0])]), of("", None), of(second, None))
    ask("no groups")
    ask("stable ones", of(group, None), require_stable=True)
    if version >= 10:
        ask("the id of nothing", {"group_id": group, "topics": [{"topic_id": ZERO, "partition_indexes": [0]}]})
    if version >= 9:
        member, = stable(s, "members")
        commit(s, member.group, (topic, [at(0, 9)]), **by(member, COMMIT))
        for label, who, epoch in (("a member", member.id, member.generation), ("an old epoch", member.id, 0),
                                  ("a later epoch", member.id, 9), ("an unknown member", NOBODY, 1),
                                  ("a member, no epoch", member.id, -1), ("no member, an epoch", None, 1),
                                  ("an empty member id", "", 1), ("an empty member id, no epoch", "", -1)):
            ask(f"for {label}", of(member.group, [(topic, [0])], member_id=who, member_epoch=epoch))
        ask("for a member of an unknown group", of(s.name("unknown"), [(topic, [0])], member_id=NOBODY, member_epoch=1))


@case("OffsetFetch", 1, 10)
def offsets_of_a_topic_that_was_deleted(s, version):
    topic, other = s.topic("topic"), s.topic("other")
    group = s.name("group")
    commit(s, group, (topic, [at(0, 5)]), (other, [at(0, 7)]))
    s.quiet("DeleteTopics", 5, {"topic_names": [topic], "timeout_ms": 20000})
    wait(lambda: len(s.quiet("OffsetFetch", FETCH, {"group_id": group, "topics": None})["topics"]), 1)
    s.topic_ids["the old one"] = s.topic_ids[topic]

    def ask(label):
        asked = [{**place(s, version, n), "partition_indexes": [0]} for n in (topic, other)]
        one = {"group_id": group, "topics": asked}
        s.ask(label, "OffsetFetch", version, {"groups": [one]} if version >= 8 else one)
    if version < 10:
        ask("it is gone")
    s.topic("topic")
    ask("made again")


@case("OffsetDelete", 0, 0)
def offsets_deleted(s, version):
    topic, other = s.topic("topic", 3), s.topic("other")
    group = s.name("group")
    commit(s, group, (topic, [at(p, 5) for p in range(3)]), (other, [at(0, 7)]))

    def delete(label, *topics, of=group):
        s.ask(label, "OffsetDelete", version, {"group_id": of, "topics": [
            {"name": n, "partitions": [{"partition_index": i} for i in p]} for n, p in topics]})
    delete("no group", (topic, [0]), of="")
    delete("an unknown group", (topic, [0]), of=s.name("unknown"))
    delete("one", (topic, [1]))
    delete("one again, and another", (topic, [1, 2]))
    stored(s, "two", group)
    delete("partitions that are not there", (topic, [3, -1]))
    delete("a topic that is not there", (s.name("missing"), [0]), (other, [0]))
    delete("no name", ("", [0]))
    delete("a partition twice", (topic, [0, 0]))
    delete("no partitions", (topic, []))
    delete("no topics")
    stored(s, "all", group)

    mine = Member(s, "mine", protocols=[("range", subscription(topic))])
    mine.join()
    commit(s, mine.group, (topic, [at(0, 5)]), **by(mine, COMMIT))
    delete("before the sync", (topic, [0]), (other, [0]), of=mine.group)
    mine.sync()
    commit(s, mine.group, (topic, [at(0, 5)]), (other, [at(0, 6)]), **by(mine, COMMIT))
    delete("subscribed and not", (topic, [0, 1]), (other, [0]), (s.name("missing"), [0]), of=mine.group)
    delete("subscribed and not there", (topic, [7]), of=mine.group)
    stored(s, "what was not subscribed", mine.group)
    mine.leave()
    delete("of an empty group", (topic, [0]), of=mine.group)
    for word, kind, metadata in (("connect", "connect", subscription(other)), ("broken", "consumer", b"?"),
                                 ("empty", "consumer", b"")):
        one, = stable(s, word, kind=kind, protocols=[("range", metadata)])
        commit(s, one.group, (topic, [at(0, 5)]), **by(one, COMMIT))
        delete(f"of a group that is {word}", (topic, [0]), of=one.group)
        stored(s, f"a group that is {word}", one.group)

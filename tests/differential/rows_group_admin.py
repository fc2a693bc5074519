"""tests/differential/rows_group_admin.py — DescribeGroups, ListGroups, DeleteGroups."""
from members import Member, join_all, joined, stable, wait_for_state
from script import case


def commit(s, group, topic, offset=5, partition=0):
    s.quiet("OffsetCommit", 8, {"group_id": group, "topics": [{"name": topic, "partitions": [
        {"partition_index": partition, "committed_offset": offset}]}]})
    return group


@case("DescribeGroups", 0, 6)
def groups_described(s, version):
    topic = s.topic("topic")

    def ask(label, *groups, **fields):
        s.ask(label, "DescribeGroups", version, {"groups": list(groups), **fields})
    ask("an unknown group", s.name("unknown"))
    ask("no name", "")
    ask("none")
    ask("one that only has offsets", commit(s, s.name("simple"), topic))
    a, b = Member(s, "group", instance="one"), Member(s, "group")
    join_all([a, b])
    ask("before the sync", a.group)
    a.sync([(a.id, b"1"), (b.id, b"2")])
    ask("stable", a.group)
    ask("a name twice", a.group, a.group)
    ask("several", a.group, s.name("unknown"), s.name("simple"), "")
    if version >= 3:
        ask("with operations", a.group, s.name("unknown"), "", include_authorized_operations=True)
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    ask("while a round is open", a.group)
    a.leave()
    b.end_join()
    b.leave()
    ask("empty", a.group)
    c, = stable(s, "connect", kind="connect", protocols=[("default", b"url")])
    ask("another protocol type", c.group)


STATES = (["Stable"], ["Empty"], ["PreparingRebalance"], ["CompletingRebalance"], ["Dead"], ["stable"], ["EMPTY"],
          ["Assigning"], ["Reconciling"], ["NotReady"], ["Nope"], [""], ["Stable", "Nope"], ["Stable", "Empty", "Stable"])
TYPES = (["classic"], ["Classic"], ["consumer"], ["share"], ["streams"], ["nope"], [""], ["classic", "consumer"],
         ["classic", "nope"], ["unknown"])


@case("ListGroups", 0, 5)
def groups_listed(s, version):
    topic = s.topic("topic")
    commit(s, s.name("simple"), topic)
    stable(s, "stable")
    joined(s, "joined")
    a, _ = stable(s, "open", 2)
    empty, = stable(s, "empty")
    empty.leave()
    stable(s, "connect", kind="connect")
    a.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")

    def ask(label, **fields):
        answer = s.quiet("ListGroups", version, fields)
        answer["groups"] = [g for g in answer["groups"] if g["group_id"].startswith(s.prefix)]
        s.keep_answer(label, "ListGroups", version, answer)
    ask("all")
    for states in STATES if version >= 4 else ():
        ask(f"states {states}", states_filter=states)
    for types in TYPES if version >= 5 else ():
        ask(f"types {types}", types_filter=types)
    if version >= 5:
        ask("a state and a type", states_filter=["Stable"], types_filter=["classic"])
        ask("a state and another type", states_filter=["Stable"], types_filter=["consumer"])


@case("DeleteGroups", 0, 2)
def groups_deleted(s, version):
    topic = s.topic("topic", 2)

    def delete(label, *groups):
        s.ask(label, "DeleteGroups", version, {"groups_names": list(groups)})

    def look(label, *groups):
        for group in groups:
            s.keep(f"{label}: {s.text(group)}", [
                s.plain(s.quiet("DescribeGroups", 6, {"groups": [group]})),
                s.plain(s.quiet("OffsetFetch", 7, {"group_id": group, "topics": None}))])
    delete("an unknown group", s.name("unknown"))
    delete("no name", "")
    delete("none")
    simple, other = commit(s, s.name("simple"), topic), commit(s, s.name("other"), topic, partition=1)
    delete("one that only has offsets", simple)
    look("it is gone", simple)
    delete("again", simple)
    member, = stable(s, "stable")
    commit_by(s, member, topic)
    delete("one with members", member.group)
    look("it is there", member.group)
    delete("several", other, member.group, s.name("unknown"), "")
    look("one is gone", other)
    waiting, = joined(s, "joined")
    delete("one that has not synced", waiting.group)
    pending = Member(s, "pending")
    pending.learn_id()
    delete("one that was only asked for an id", pending.group)
    member.leave()
    delete("one that is empty, twice", member.group, member.group)
    look("empty, and gone", member.group)
    commit(s, member.group, topic, 9)
    look("it comes again", member.group)
    delete("and goes again", member.group)


def commit_by(s, member, topic, offset=7, partition=0, version=8):
    return s.quiet("OffsetCommit", version, {
        "group_id": member.group, "member_id": member.id, "generation_id_or_member_epoch": member.generation,
        "group_instance_id": member.instance, "topics": [{"name": topic, "partitions": [
            {"partition_index": partition, "committed_offset": offset}]}]})

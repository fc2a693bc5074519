"""tests/differential/rows_groups.py — FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup."""
from members import Member, describe, join_all, joined, stable, wait_for_members, wait_for_state
from script import AnswerError, case

NOBODY = "test-00000000-0000-4000-8000-000000000001"        # an id that no broker has made


@case("FindCoordinator", 0, 6)
def of_a_group(s, version):
    def ask(label, *keys, **fields):
        where = {"coordinator_keys": list(keys)} if version >= 4 else {"key": keys[0]}
        s.ask(label, "FindCoordinator", version, {**where, **fields})
    ask("a group", s.name("group"))
    ask("no name", "")
    ask("an odd name", "a b/ü\x01")
    if version >= 4:
        ask("none")
        ask("two groups", s.name("one"), s.name("two"))
        ask("a name twice", s.name("one"), s.name("one"))
        ask("a group and no name", s.name("one"), "")


@case("FindCoordinator", 1, 6)
def of_other_kinds(s, version):
    """Key type 1 makes Kafka make the topic of transactions: it is asked for when they are built."""
    def ask(label, key, kind):
        where = {"coordinator_keys": [key]} if version >= 4 else {"key": key}
        s.ask(label, "FindCoordinator", version, {**where, "key_type": kind})
    for kind in (3, -1, 127):
        ask(f"key type {kind}", s.name("key"), kind)
    ask("key type 2, a bad key", s.name("share"), 2)
    ask("key type 2, no name", "", 2)


# ---- JoinGroup

@case("JoinGroup", 0, 9)
def the_first_member(s, version):
    a = Member(s, "group", version=version)
    answer = s.ask("without an id", "JoinGroup", version, a.join_request())
    a.id = answer["member_id"]
    s.ask("with an id", "JoinGroup", version, a.join_request())
    s.keep("then", s.plain(describe(s, a.group)))
    a.learn(s.ask("again", "JoinGroup", version, a.join_request()))
    a.sync([(a.id, b"mine")])
    s.ask("again when stable", "JoinGroup", version, a.join_request())
    s.ask("with other metadata", "JoinGroup", version, a.join_request(
        protocols=[{"name": "range", "metadata": b"other"}]))
    s.ask("with another protocol", "JoinGroup", version, a.join_request(
        protocols=[{"name": "sticky", "metadata": b""}]))
    s.keep("at last", s.plain(describe(s, a.group)))


@case("JoinGroup", 0, 9)
def joins_that_are_wrong(s, version):
    a = Member(s, "group", version=version)

    def ask(label, **fields):
        s.ask(label, "JoinGroup", version, a.join_request(**fields))
    ask("no group", group_id="")
    ask("an odd group", group_id=s.name(" ü"))
    for timeout in (5999, 1800001, 0, -1, 2**31 - 1, -2**31):
        ask(f"session timeout {timeout}", session_timeout_ms=timeout)
    ask("an unknown member of an unknown group", member_id=NOBODY)
    ask("an odd member id of an unknown group", member_id="x y")
    ask("no protocol type", protocol_type="")
    ask("no protocols", protocols=[])
    ask("no protocols and no type", protocols=[], protocol_type="")
    ask("no protocols of an unknown member", protocols=[], member_id=NOBODY)
    ask("no group and no protocols", group_id="", protocols=[])
    ask("no group and a wrong timeout", group_id="", session_timeout_ms=1)
    s.keep("nothing came of it", s.plain(describe(s, a.group)))
    stable(s, "group")
    ask("an unknown member", member_id=NOBODY)
    ask("another protocol type", protocol_type="connect")
    ask("another protocol", protocols=[{"name": "sticky", "metadata": b""}])
    ask("no protocols when there is a group", protocols=[])
    ask("an unknown member with another protocol", member_id=NOBODY, protocols=[{"name": "x", "metadata": b""}])
    if version >= 8:
        ask("a reason, and no group", group_id="", reason="because")
    s.keep("the group is as it was", describe(s, a.group)["group_state"])


@case("JoinGroup", 0, 9)
def timeouts_at_their_edges(s, version):
    """Sessions of 6 s and 30 min; rebalance timeouts that are odd (the first round waits for nobody)."""
    for session in (6000, 1800000):
        a = Member(s, f"session{session}", version=version, session_ms=session)
        s.keep_answer(f"session timeout {session}", "JoinGroup", version, a.join())
    for rebalance in (0, -1, 1, 2**31 - 1) if version >= 1 else ():
        a = Member(s, f"rebalance{rebalance}", version=version, rebalance_ms=rebalance)
        s.keep_answer(f"rebalance timeout {rebalance}", "JoinGroup", version, a.join())
    for name, metadata in (("", b""), ("x" * 300, b"y" * 3000), ("ü ö", b"\0\xff")):
        a = Member(s, f"protocol{len(name)}", version=version, kind="other", protocols=[(name, metadata)])
        s.keep_answer(f"a protocol named {name[:5]!r}", "JoinGroup", version, a.join())
    a = Member(s, "kind", version=version, kind="x y")
    s.keep_answer("an odd protocol type", "JoinGroup", version, a.join())


@case("JoinGroup", 0, 9)
def leader_and_follower(s, version):
    a, b = (Member(s, "group", version=version, protocols=[("range", m), ("sticky", m)]) for m in (b"a", b"b"))
    s.keep_answer("the first, alone", "JoinGroup", version, a.join())
    a.sync([(a.id, b"all")])
    b.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    s.keep("while the second waits", a.heartbeat())
    a.begin_join()
    s.keep_answer("the second", "JoinGroup", version, b.end_join())
    s.keep_answer("the first", "JoinGroup", version, a.end_join())
    s.keep("both have joined", s.plain(describe(s, a.group)))
    s.keep_answer("the second again, nobody has synced", "JoinGroup", version, b.join())
    s.keep_answer("the first again, nobody has synced", "JoinGroup", version, a.join())
    a.sync([(a.id, b"1"), (b.id, b"2")])
    s.keep_answer("the second again when stable", "JoinGroup", version, b.join())
    s.keep("which changes nothing", s.plain(describe(s, a.group)))
    a.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    b.begin_join()
    s.keep_answer("the first again when stable: the second", "JoinGroup", version, b.end_join())
    s.keep_answer("the first again when stable: the first", "JoinGroup", version, a.end_join())
    a.sync()
    b.protocols = [("range", b"new"), ("sticky", b"b")]
    b.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    a.begin_join()
    s.keep_answer("the second wants something else: the second", "JoinGroup", version, b.end_join())
    s.keep_answer("the second wants something else: the first", "JoinGroup", version, a.end_join())
    b.protocols = [("range", b"newer"), ("sticky", b"b")]
    b.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    a.begin_join()
    s.keep_answer("again before the sync: the second", "JoinGroup", version, b.end_join())
    s.keep_answer("again before the sync: the first", "JoinGroup", version, a.end_join())


@case("JoinGroup", 0, 9)
def protocols_by_vote(s, version):
    def round_of(label, *preferences):
        members = [Member(s, label.replace(" ", ""), version=version, protocols=[(p, p.encode()) for p in names])
                   for names in preferences]
        members[0].join()
        for i, one in enumerate(members[1:], 2):
            one.begin_join()
            wait_for_members(members[0], i)
        members[0].begin_join()
        for i in reversed(range(len(members))):
            s.keep_answer(f"{label}: {i}", "JoinGroup", version, members[i].end_join())
    round_of("same order", "ab", "ab")
    round_of("most wins", "abc", "bca", "bac")
    round_of("only one in common", "abc", "cd")
    a, = stable(s, "none", version=version, protocols=[("a", b""), ("b", b"")])
    b = Member(s, "none", version=version, protocols=[("c", b"")])
    s.ask("none in common", "JoinGroup", version, b.join_request())
    s.keep("nobody notices", a.heartbeat())


@case("JoinGroup", 1, 9)
def members_that_do_not_come_back(s, version):
    a, b = joined(s, "group", 2, version=version, rebalance_ms=1500)
    a.sync()
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    s.keep_answer("who came back leads", "JoinGroup", version, b.end_join())
    s.keep("who did not", a.heartbeat())
    s.ask("who did not, joins", "JoinGroup", version, a.join_request())
    s.keep("one is left", s.plain(describe(s, a.group)))


@case("JoinGroup", 4, 9)
def ids_that_were_given_and_not_used(s, version):
    a, b, c = (Member(s, "group", version=version) for _ in range(3))
    first = s.ask("one", "JoinGroup", version, a.join_request())
    second = s.ask("another", "JoinGroup", version, b.join_request())
    pending = {"group_id": a.group, "generation_id": 0, "member_id": first["member_id"]}
    s.keep("heartbeat", s.quiet("Heartbeat", 3, pending))
    s.keep("sync", s.plain(s.quiet("SyncGroup", 3, pending)))
    s.keep_answer("a third joins", "JoinGroup", version, c.join())
    a.id = first["member_id"]
    a.begin_join()
    wait_for_members(c, 2)
    c.begin_join()
    s.keep("the round waits for the second", s.plain(s.quiet("LeaveGroup", 3, {
        "group_id": a.group, "members": [{"member_id": second["member_id"]}]})))
    s.keep_answer("the first has joined", "JoinGroup", version, a.end_join())
    s.keep_answer("the third again", "JoinGroup", version, c.end_join())
    s.keep("at last", s.plain(describe(s, a.group)))


@case("JoinGroup", 5, 9)
def static_members(s, version):
    a, b = (Member(s, "group", instance=i, version=version) for i in ("one", "two"))
    s.ask("an id and an instance that are unknown", "JoinGroup", version, a.join_request(member_id=NOBODY))
    s.keep_answer("the first", "JoinGroup", version, a.join())
    a.sync([(a.id, b"all")])
    s.ask("an instance with an unknown id", "JoinGroup", version, a.join_request(member_id=NOBODY))
    s.ask("an id without its instance", "JoinGroup", version, a.join_request(group_instance_id="three", member_id=a.id))
    b.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    a.begin_join()
    s.keep_answer("the second", "JoinGroup", version, b.end_join())
    s.keep_answer("the first again", "JoinGroup", version, a.end_join())
    a.sync([(a.id, b"1"), (b.id, b"2")])
    b.sync()

    again = Member(s, "group", instance="two", version=version)
    s.keep_answer("the follower comes back without its id", "JoinGroup", version, again.join())
    s.keep("its old id", b.heartbeat())
    s.keep("its old id without the instance", b.heartbeat(group_instance_id=None))
    s.keep("its old id joins", s.plain(b.join()))
    s.keep("its old id syncs", s.plain(b.try_sync()))
    s.keep("its sync", s.plain(again.try_sync()))
    s.keep("the leader", a.heartbeat())
    s.keep("stable", s.plain(describe(s, a.group)))

    leader = Member(s, "group", instance="one", version=version)
    s.keep_answer("the leader comes back without its id", "JoinGroup", version, leader.join())
    s.keep("the leader's old id", a.heartbeat())
    s.keep("the leader's sync", s.plain(leader.try_sync([(leader.id, b"new"), (again.id, b"new")])))
    s.keep("the follower", again.heartbeat())
    s.keep("who leads", s.plain(describe(s, a.group)))


@case("JoinGroup", 5, 9)
def static_members_that_want_something_else(s, version):
    both, only = [("range", b"r"), ("sticky", b"s")], [("sticky", b"s")]
    a, b = (Member(s, "group", instance=i, version=version, protocols=both) for i in ("one", "two"))
    join_all([a, b])
    a.sync([(a.id, b"1"), (b.id, b"2")])

    def back(protocols):
        return Member(s, "group", instance="two", version=version, protocols=protocols)
    other = back([("range", b"else"), ("sticky", b"s")])
    s.keep_answer("other metadata, the same protocol", "JoinGroup", version, other.join())
    s.keep("which changes nothing", s.plain(describe(s, a.group)))
    s.keep("the leader of it", a.heartbeat())
    again = back(only)
    again.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    s.keep("the leader meanwhile", a.heartbeat())
    s.keep("the old id", other.heartbeat())
    a.begin_join()
    s.keep_answer("another protocol", "JoinGroup", version, again.end_join())
    s.keep_answer("another protocol: the leader", "JoinGroup", version, a.end_join())
    third = back(only)
    third.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    a.begin_join()
    s.keep_answer("back again before the sync", "JoinGroup", version, third.end_join())
    s.keep_answer("the leader, before the sync", "JoinGroup", version, a.end_join())


@case("JoinGroup", 5, 9)
def static_members_while_others_wait(s, version):
    """An instance joins twice while the round is open: the earlier join is fenced."""
    a, = stable(s, "group", version=version)
    b, again = (Member(s, "group", instance="one", version=version) for _ in range(2))
    b.begin_join()
    wait_for_state(s, a.group, "PreparingRebalance")
    again.begin_join()
    s.keep_answer("the earlier join", "JoinGroup", version, b.end_join())
    a.begin_join()
    s.keep_answer("the later join", "JoinGroup", version, again.end_join())
    s.keep_answer("the leader", "JoinGroup", version, a.end_join())


# ---- SyncGroup

@case("SyncGroup", 0, 5)
def leader_and_follower_sync(s, version):
    a, b, c = joined(s, "group", 3)

    def keep(label, answer):
        s.keep_answer(label, "SyncGroup", version, answer)
    b.begin_sync(version=version)
    keep("the leader", a.try_sync([(a.id, b"one"), (b.id, b"two"), (NOBODY, b"no")], version))
    keep("who waited", b.end_sync(version))
    keep("who comes later and got nothing", c.try_sync(version=version))
    keep("the follower again", b.try_sync(version=version))
    keep("the leader again, with another assignment", a.try_sync([(a.id, b"else"), (b.id, b"else")], version))
    keep("a follower with an assignment", b.try_sync([(b.id, b"else")], version))
    s.keep("stable", s.plain(describe(s, a.group)))
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    keep("while a round is open", a.try_sync([(a.id, b"one")], version))
    keep("while a round is open, a follower", c.try_sync(version=version))


@case("SyncGroup", 0, 5)
def syncs_that_are_wrong(s, version):
    a, b = joined(s, "group", 2)

    def ask(label, who=a, **fields):
        s.ask(label, "SyncGroup", version, who.sync_request(version=version, **fields))
    ask("no group", group_id="")
    ask("an unknown group", group_id=s.name("other"))
    ask("an unknown member", member_id=NOBODY)
    ask("no member", member_id="")
    for generation in (1, 3, 0, -1, 2**31 - 1):
        ask(f"generation {generation} of 2", generation_id=generation)
    ask("an unknown member and generation", member_id=NOBODY, generation_id=9)
    if version >= 3:
        ask("an instance that is not there", group_instance_id="one")
    if version >= 5:
        ask("another protocol type", protocol_type="connect")
        ask("another protocol", protocol_name="sticky")
        ask("no protocol type", protocol_type=None)
        ask("no protocol", protocol_name=None)
        ask("neither", protocol_type=None, protocol_name=None)
        ask("empty ones", protocol_type="", protocol_name="")
        ask("another protocol of an unknown member", protocol_name="sticky", member_id=NOBODY)
        ask("another protocol of another generation", protocol_name="sticky", generation_id=9)
        ask("no protocol of an unknown group", group_id=s.name("other"), protocol_name=None)
        b.begin_sync(version=version)
        s.ask("the right ones", "SyncGroup", version, a.sync_request([(b.id, b"2")], version))
        s.keep_answer("the right ones, a follower", "SyncGroup", version, b.end_sync(version))
        ask("another protocol when stable", protocol_name="sticky")
    for one in (a, b):
        one.leave()
    ask("who has left")


@case("SyncGroup", 0, 5)
def a_round_that_is_broken_off(s, version):
    """Followers wait for the leader's assignment, and somebody joins or leaves instead."""
    a, b, c = joined(s, "joins", 3)
    b.begin_sync(version=version)
    c.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    s.keep_answer("somebody joins", "SyncGroup", version, b.end_sync(version))
    a, b, c = joined(s, "leaves", 3)
    b.begin_sync(version=version)
    a.leave()
    s.keep_answer("the leader leaves", "SyncGroup", version, b.end_sync(version))
    a, b = joined(s, "silent", 2, rebalance_ms=400)
    b.begin_sync(version=version)
    s.keep_answer("the leader is silent", "SyncGroup", version, b.end_sync(version))
    s.keep("the leader", a.heartbeat())


@case("SyncGroup", 3, 5)
def static_members_sync(s, version):
    a, b = (Member(s, "group", instance=i) for i in ("one", "two"))
    join_all([a, b])

    def ask(label, **fields):
        s.ask(label, "SyncGroup", version, a.sync_request([(a.id, b"1"), (b.id, b"2")], version, **fields))
    ask("another's instance", group_instance_id="two")
    ask("an unknown instance", group_instance_id="three")
    ask("another's id", member_id=b.id)
    ask("no id", member_id="")
    ask("without the instance", group_instance_id=None)
    ask("both", generation_id=2)


# ---- Heartbeat

@case("Heartbeat", 0, 4)
def in_every_state(s, version):
    a, b = joined(s, "group", 2)

    def beat(label, who=a, **fields):
        s.keep_answer(label, "Heartbeat", version, who.heartbeat(version, **fields))
    beat("before the sync")
    a.sync([(a.id, b"1"), (b.id, b"2")])
    beat("stable")
    beat("stable, a follower", b)
    for generation in (1, 3, 0, -1):
        beat(f"generation {generation} of 2", generation_id=generation)
    beat("no group", group_id="")
    beat("an unknown group", group_id=s.name("other"))
    beat("an unknown member", member_id=NOBODY)
    beat("no member", member_id="")
    beat("an unknown member and generation", member_id=NOBODY, generation_id=9)
    if version >= 3:
        beat("an unknown instance", group_instance_id="one")
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    beat("while a round is open")
    beat("while a round is open, who has joined", b)
    beat("while a round is open, the next generation", generation_id=3)
    a.leave()
    b.end_join()
    beat("who has left")
    b.leave()
    beat("of an empty group", b)


@case("Heartbeat", 3, 4)
def static_members_beat(s, version):
    a, b = (Member(s, "group", instance=i) for i in ("one", "two"))
    join_all([a, b])
    a.sync([(a.id, b"1"), (b.id, b"2")])

    def beat(label, **fields):
        s.keep_answer(label, "Heartbeat", version, a.heartbeat(version, **fields))
    beat("both")
    beat("without the instance", group_instance_id=None)
    beat("another's instance", group_instance_id="two")
    beat("an unknown instance", group_instance_id="three")
    beat("an empty instance", group_instance_id="")
    beat("no id", member_id="")
    beat("an unknown id", member_id=NOBODY)
    beat("another's instance, another generation", group_instance_id="two", generation_id=1)


@case("Heartbeat", 4, 4)
def a_session_that_ends(s, version):
    """6 s, the least that is allowed: the silent one is put out, who beats stays."""
    a, b = stable(s, "group", 2, session_ms=6000)
    s.client.socket.settimeout(20)
    b.client.socket.settimeout(20)
    while (answer := b.heartbeat(version))["error_code"] == 0:
        pass
    s.keep_answer("when the other has gone", "Heartbeat", version, answer)
    s.keep_answer("the round", "JoinGroup", 9, b.join())
    s.keep_answer("who was silent", "Heartbeat", version, a.heartbeat(version))


# ---- LeaveGroup

def leave_request(s, group, version, *members):
    """members: (id, instance) each; before version 3 only one can be named."""
    if version >= 3:
        return {"group_id": group, "members": [{"member_id": i, "group_instance_id": n} for i, n in members]}
    return {"group_id": group, "member_id": members[0][0] if members else ""}


@case("LeaveGroup", 0, 5)
def members_leave(s, version):
    a, b = stable(s, "group", 2)

    def leave(label, *members, group=a.group):
        s.ask(label, "LeaveGroup", version, leave_request(s, group, version, *members))
    leave("no group", (a.id, None), group="")
    leave("an unknown group", (a.id, None), group=s.name("other"))
    leave("an unknown member", (NOBODY, None))
    leave("no id", ("", None))
    leave("the follower", (b.id, None))
    s.keep("the leader hears of it", a.heartbeat())
    leave("the follower again", (b.id, None))
    leave("the leader", (a.id, None))
    s.keep("empty", s.plain(describe(s, a.group)))
    leave("the leader again", (a.id, None))
    s.keep_answer("and joins again", "JoinGroup", 9, Member(s, "group").join())


@case("LeaveGroup", 0, 5)
def a_leave_while_others_wait(s, version):
    a, b, c = stable(s, "group", 3)
    b.begin_join(protocols=[{"name": "range", "metadata": b"new"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    c.begin_join()
    s.ask("the only one that had not joined again", "LeaveGroup", version,
          leave_request(s, a.group, version, (a.id, None)))
    answers = [b.end_join(), c.end_join()]
    s.keep("the round is over", sorted(answer["error_code"] for answer in answers))
    s.keep("one of them leads", sum(one.leads for one in (b, c)))
    b.begin_join(protocols=[{"name": "range", "metadata": b"newer"}])
    wait_for_state(s, a.group, "PreparingRebalance")
    s.ask("who waits itself", "LeaveGroup", version, leave_request(s, a.group, version, (b.id, None)))
    s.keep_answer("its join", "JoinGroup", 9, b.end_join())


@case("LeaveGroup", 3, 5)
def many_leave_at_once(s, version):
    static = [Member(s, "group", instance=i) for i in ("one", "two", "three")]
    a, b = Member(s, "group"), Member(s, "group")
    join_all([a, b, *static])
    a.sync()

    def leave(label, *members, **fields):
        request = leave_request(s, a.group, version, *members)
        for member in request["members"]:
            member.update(fields)
        s.ask(label, "LeaveGroup", version, request)
    one, two, three = static
    leave("nobody")
    leave("instances that are not theirs", (one.id, "two"), (two.id, "five"), (a.id, "one"))
    leave("an unknown instance", ("", "four"))
    leave("an unknown id with an instance", (NOBODY, "one"))
    leave("no id and no instance", ("", None), ("", ""))
    leave("by instance, by id, by both, and unknown", ("", "one"), (two.id, None), (three.id, "three"), (NOBODY, None))
    s.keep("two are left", s.plain(describe(s, a.group))["group_state"])
    leave("one twice", (b.id, None), (b.id, None))
    leave("the last", (a.id, None))
    s.keep("none is left", s.plain(describe(s, a.group)))
    if version >= 5:
        leave("a reason", (a.id, None), reason="because")


@case("LeaveGroup", 0, 5)
def ids_leave_that_were_not_used(s, version):
    a = Member(s, "group")
    a.learn_id()
    request = leave_request(s, a.group, version, (a.id, None))
    s.ask("an id that has not joined", "LeaveGroup", version, request)
    s.ask("again", "LeaveGroup", version, request)
    try:
        answer = a.join()
        s.keep_answer("and joins", "JoinGroup", 9, answer)
    except AnswerError as error:
        s.keep("and joins", str(error))

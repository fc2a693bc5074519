"""tests/differential/members.py — members of groups for the cases: who joins, syncs, waits.

    a, b = stable(s, "group", 2)            # both joined and synced; a leads
    a.begin_join()                          # sent, not answered yet
    s.keep_answer("b", "Heartbeat", 4, b.heartbeat(4))

Each member has a connection of its own, because its join and its sync are answered late.  What a
member does is quiet unless a case keeps the answer.  Versions are the newest ones that fit, but
where a case asks for its own.
"""
import struct
import time

from script import Broken

UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED = 25, 79
JOIN, SYNC = 9, 5                               # versions, where the case does not care
STATE_SECONDS = 15


def subscription(*topics):
    """Version 0 of a Java consumer's metadata: the topics it wants."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Member:
    """One member; its id and generation are those of the last good join."""

    def __init__(self, s, group, instance=None, protocols=(("range", b"meta"),), kind="consumer",
                 session_ms=30000, rebalance_ms=20000, version=JOIN):
        self.s, self.group, self.instance, self.kind = s, s.name(group), instance, kind
        self.protocols, self.version = list(protocols), version
        self.session_ms, self.rebalance_ms = session_ms, rebalance_ms
        self.client = s.another_client()
        self.id, self.generation, self.leads, self.protocol = "", -1, False, None

    def join_request(self, **fields):
        request = {"group_id": self.group, "session_timeout_ms": self.session_ms, "member_id": self.id,
                   "protocol_type": self.kind,
                   "protocols": [{"name": n, "metadata": m} for n, m in self.protocols]}
        if self.version >= 1:
            request["rebalance_timeout_ms"] = self.rebalance_ms
        if self.version >= 5:
            request["group_instance_id"] = self.instance
        return {**request, **fields}

    def learn_id(self):
        """What a client does first: it is given an id and told to join with it (KIP-394)."""
        if self.version >= 4 and not self.id and self.instance is None:
            self.s.need("JoinGroup", self.version)
            answer = self.client.call("JoinGroup", self.version, self.join_request())
            if answer["error_code"] != MEMBER_ID_REQUIRED:
                raise Broken(f"a join without an id: {answer['error_code']}")
            self.take_id(answer)

    def take_id(self, answer):
        self.id = answer["member_id"]
        self.s.text(self.id)                    # ids are counted as their members learn them

    def begin_join(self, **fields):
        self.learn_id()
        self.s.need("JoinGroup", self.version)
        self.client.call_silently("JoinGroup", self.version, self.join_request(**fields))

    def end_join(self):
        return self.learn(self.client.end("JoinGroup", self.version))

    def learn(self, answer):
        if answer["error_code"] == 0:
            self.take_id(answer)
            self.generation = answer["generation_id"]
            self.leads, self.protocol = answer["leader"] == self.id, answer["protocol_name"]
        return answer

    def join(self, **fields):
        self.begin_join(**fields)
        return self.end_join()

    def sync_request(self, assignments=(), version=SYNC, **fields):
        request = {"group_id": self.group, "generation_id": self.generation, "member_id": self.id,
                   "assignments": [{"member_id": m, "assignment": a} for m, a in assignments]}
        if version >= 3:
            request["group_instance_id"] = self.instance
        if version >= 5:
            request.update(protocol_type=self.kind, protocol_name=self.protocol)
        return {**request, **fields}

    def begin_sync(self, assignments=(), version=SYNC, **fields):
        self.s.need("SyncGroup", version)
        self.client.call_silently("SyncGroup", version, self.sync_request(assignments, version, **fields))

    def end_sync(self, version=SYNC):
        return self.client.end("SyncGroup", version)

    def try_sync(self, assignments=(), version=SYNC, **fields):
        self.begin_sync(assignments, version, **fields)
        return self.end_sync(version)

    def sync(self, assignments=()):
        answer = self.try_sync(assignments)
        if answer["error_code"]:
            raise Broken(f"a sync: {answer['error_code']}")

    def heartbeat(self, version=4, **fields):
        request = {"group_id": self.group, "generation_id": self.generation, "member_id": self.id}
        if version >= 3:
            request["group_instance_id"] = self.instance
        return self.s.quiet("Heartbeat", version, {**request, **fields})

    def leave(self):
        return self.s.quiet("LeaveGroup", 3, {"group_id": self.group, "members": [
            {"member_id": self.id, "group_instance_id": self.instance}]})


def join_all(members):
    """All members in one generation, the first of them leads: it joins alone, then all again."""
    first = members[0]
    first.join()
    for member in members[1:]:
        member.begin_join()
    if members[1:]:
        wait_for_members(first, len(members))
        first.begin_join()
        for member in members:
            member.end_join()
    if not first.leads or len({m.generation for m in members}) != 1:
        raise Broken(f"generations {[m.generation for m in members]}")


def sync_all(members):
    """The assignment of member i is the text `part i`."""
    members[0].sync([(m.id, f"part {i}".encode()) for i, m in enumerate(members)])
    for member in members[1:]:
        member.sync()


def joined(s, group, count=1, **fields):
    """`count` members that have joined and not synced."""
    members = [Member(s, group, **fields) for _ in range(count)]
    join_all(members)
    return members


def stable(s, group, count=1, **fields):
    members = joined(s, group, count, **fields)
    sync_all(members)
    return members


def describe(s, group):
    return s.quiet("DescribeGroups", 0, {"groups": [group]})["groups"][0]


def wait_for_state(s, group, state):
    """Until the group (its name as the broker knows it) is in a state."""
    wait(lambda: describe(s, group)["group_state"], state)


def wait_for_members(member, count):
    """Until so many are in the group: also those whose join waits."""
    wait(lambda: len(describe(member.s, member.group)["members"]), count)


def wait(ask, wanted):
    limit = time.monotonic() + STATE_SECONDS
    while (seen := ask()) != wanted:
        if time.monotonic() > limit:
            raise Broken(f"wanted {wanted}, it stays {seen}")
        time.sleep(0.005)

"""tests/differential/rows_consumer_groups.py — groups of the consumer protocol (KIP-848): ConsumerGroupHeartbeat,
ConsumerGroupDescribe, and what the other APIs say of such groups."""
import struct
import time

from members import Member, stable
from script import ZERO, case

HEARTBEAT = 1                                   # version, where the case does not care
INTERVAL = 1.2                                  # group.consumer.assignment.interval.ms is over


def known_topic(s, word, partitions=1):
    """A topic that the group coordinator knows, too: Kafka tells it last of all, but before it goes on to
    the next change of the metadata."""
    topic = s.topic(word, partitions)
    s.topic(f"later{len(s.topic_ids)}")
    return topic


class Consumer:
    """One member; `epoch` is what it was told last, `owned` what it says it owns."""

    def __init__(self, s, group, member, *topics, version=HEARTBEAT, instance=None):
        self.s, self.group, self.member, self.instance = s, s.name(group), member, instance
        self.topics, self.version, self.epoch = list(topics), version, 0

    def owned(self, topic, *partitions):
        return [{"topic_id": self.s.topic_ids[topic], "partitions": list(partitions)}] if partitions else []

    def request(self, **fields):
        request = {"group_id": self.group, "member_id": self.member, "member_epoch": self.epoch,
                   "instance_id": self.instance, "rack_id": None, "subscribed_topic_names": None,
                   "subscribed_topic_regex": None, "server_assignor": None, "topic_partitions": None}
        return {**request, **fields}

    def join_request(self, **fields):
        return self.request(**{"member_epoch": 0, "rebalance_timeout_ms": 30000,
                               "subscribed_topic_names": self.topics, "topic_partitions": [], **fields})

    def learn(self, answer):
        if answer and answer["error_code"] == 0:
            self.epoch = answer["member_epoch"]
        return answer

    def ask(self, label, **fields):
        return self.learn(self.s.ask(label, "ConsumerGroupHeartbeat", self.version, self.request(**fields)))

    def ask_join(self, label, **fields):
        return self.learn(self.s.ask(label, "ConsumerGroupHeartbeat", self.version, self.join_request(**fields)))

    def join(self, **fields):
        return self.learn(self.s.quiet("ConsumerGroupHeartbeat", self.version, self.join_request(**fields)))

    def beat(self, **fields):
        return self.learn(self.s.quiet("ConsumerGroupHeartbeat", self.version, self.request(**fields)))

    def leave(self):
        return self.beat(member_epoch=-1)


def describe(s, *groups, version=1, **fields):
    return s.quiet("ConsumerGroupDescribe", version, {"group_ids": list(groups), **fields})["groups"]


def keep_group(s, label, group):
    s.keep(label, s.plain(describe(s, group)))


# ---- ConsumerGroupHeartbeat

@case("ConsumerGroupHeartbeat", 0, 1)
def calls_that_are_wrong(s, version):
    topic = known_topic(s, "topic", 3)
    a = Consumer(s, "group", "a", topic, version=version)

    def ask(label, **fields):
        s.ask(label, "ConsumerGroupHeartbeat", version, a.join_request(**fields))
    ask("no group", group_id="")
    ask("an empty instance", instance_id="")
    ask("an empty rack", rack_id="")
    ask("no rebalance timeout", rebalance_timeout_ms=-1)
    ask("no partitions told", topic_partitions=None)
    ask("partitions of one that joins", topic_partitions=a.owned(topic, 0))
    ask("no names", subscribed_topic_names=None)
    ask("another assignor", server_assignor="sticky")
    ask("an assignor without a name", server_assignor="")
    ask("epoch -3", member_epoch=-3)
    ask("a static one leaves without instance", member_epoch=-2)
    ask("one leaves with another assignor", member_epoch=-1, server_assignor="sticky")
    ask("no member that stays", member_id="", member_epoch=4)
    ask("no member that leaves", member_id="", member_epoch=-1)
    ask("an unknown group", member_epoch=3)
    ask("an unknown group is left", member_epoch=-1)
    if version >= 1:
        ask("no member", member_id="")
        for pattern in ("(", "a**", "[z-a]", "(?<n>a)\\k<n>", "a(?=b)", "\\"):
            ask(f"pattern {pattern}", subscribed_topic_regex=pattern)
    s.keep("nothing came of it", s.plain(describe(s, a.group)))
    a.join()
    ask("an unknown member", member_id="b", member_epoch=3)
    ask("an unknown member leaves", member_id="b", member_epoch=-1)
    ask("an unknown instance", instance_id="i", member_epoch=2)
    ask("a later epoch", member_epoch=77)
    ask("an earlier epoch", member_epoch=1)
    s.keep("the group is as it was", describe(s, a.group)[0]["group_epoch"])
    c, = stable(s, "classic")
    ask("a group of the classic protocol", group_id=c.group, member_epoch=1)
    ask("a group of the classic protocol is left", group_id=c.group, member_epoch=-1)


@case("ConsumerGroupHeartbeat", 0, 1)
def the_life_of_a_member(s, version):
    topic = known_topic(s, "topic", 4)
    a = Consumer(s, "group", "a", topic, version=version)
    a.ask_join("joins")
    keep_group(s, "has joined", a.group)
    a.ask("stays")
    a.ask("tells what it owns", topic_partitions=a.owned(topic, 0, 1, 2, 3))
    a.ask("tells some of it", topic_partitions=a.owned(topic, 0))
    a.ask("tells more than it", topic_partitions=a.owned(topic, 7))
    a.ask("tells an unknown topic", topic_partitions=[{"topic_id": ZERO, "partitions": [0]}])
    a.ask("tells everything", rebalance_timeout_ms=30000, subscribed_topic_names=[topic],
          topic_partitions=a.owned(topic, 0, 1, 2, 3))
    a.ask("the same names", subscribed_topic_names=[topic])
    a.ask("another timeout", rebalance_timeout_ms=20000)
    a.ask("an assignor", server_assignor="range")
    a.ask("a rack", rack_id="r")
    a.ask_join("joins again")
    keep_group(s, "is as it was", a.group)
    a.ask("leaves", member_epoch=-1)
    keep_group(s, "empty", a.group)
    a.epoch = 2
    a.ask("stays, but has left")
    a.ask("leaves again", member_epoch=-1)
    time.sleep(INTERVAL)
    a.ask_join("comes back")


@case("ConsumerGroupHeartbeat", 0, 1)
def what_may_be_joined(s, version):
    topic = known_topic(s, "topic", 2)
    for word, fields in (("nothing", {"subscribed_topic_names": []}),
                         ("an unknown topic", {"subscribed_topic_names": [s.name("unknown")]}),
                         ("no topic's name", {"subscribed_topic_names": ["a/b", ""]}),
                         ("a name twice", {"subscribed_topic_names": [topic, topic]}),
                         ("an assignor", {"server_assignor": "range"}),
                         ("a rack", {"rack_id": "here"}),
                         ("timeout 0", {"rebalance_timeout_ms": 0}),
                         ("a negative timeout", {"rebalance_timeout_ms": -5}),
                         ("an odd member", {"member_id": "ü x"})):
        a = Consumer(s, word.replace(" ", "-"), "a", topic, version=version)
        a.ask_join(word, **fields)
        keep_group(s, f"{word}: the group", a.group)
    if version == 0:
        a = Consumer(s, "no-member", "", topic, version=version)
        answer = a.join()
        s.keep("no member: is given an id of so many characters", len(answer["member_id"]))
        s.keep("no member", s.plain({**answer, "member_id": "<made>"}))


@case("ConsumerGroupHeartbeat", 0, 1)
def two_members(s, version):
    topic = known_topic(s, "topic", 4)
    a, b = (Consumer(s, "group", m, topic, version=version) for m in "ab")
    a.ask_join("the first")
    b.ask_join("the second, within the interval")
    keep_group(s, "not assigned yet", a.group)
    b.ask("the second stays")
    time.sleep(INTERVAL)
    b.ask("the second, after the interval")
    keep_group(s, "assigned", a.group)
    a.ask("the first is to give up")
    keep_group(s, "being given up", a.group)
    a.ask("has not yet", topic_partitions=a.owned(topic, 0, 1, 2, 3))
    b.ask("the second waits")
    a.ask("has not told")
    a.ask("has", topic_partitions=a.owned(topic, 0, 1))
    keep_group(s, "given up", a.group)
    old = a.epoch - 1
    a.ask("its answer was lost", member_epoch=old, topic_partitions=a.owned(topic, 0, 1))
    a.ask("lost, it owns less", member_epoch=old, topic_partitions=a.owned(topic, 0))
    a.ask("lost, it owns more", member_epoch=old, topic_partitions=a.owned(topic, 0, 1, 2))
    a.ask("lost, it does not tell", member_epoch=old)
    b.ask("the second is given them")
    keep_group(s, "stable", a.group)
    b.leave()
    keep_group(s, "the second has left", a.group)
    time.sleep(INTERVAL)
    a.ask("the first has them again")
    keep_group(s, "alone", a.group)


@case("ConsumerGroupHeartbeat", 0, 1)
def other_topics(s, version):
    one, two = known_topic(s, "one", 2), known_topic(s, "two", 2)
    a = Consumer(s, "group", "a", one, version=version)
    a.ask_join("joins")
    time.sleep(INTERVAL)
    a.ask("reads the other", subscribed_topic_names=[two])
    keep_group(s, "has to give up", a.group)
    a.ask("gives up", topic_partitions=[])
    time.sleep(INTERVAL)
    a.ask("reads both", subscribed_topic_names=[one, two])
    time.sleep(INTERVAL)
    a.ask("reads nothing", subscribed_topic_names=[])
    a.ask("gives up all", topic_partitions=[])
    keep_group(s, "nothing", a.group)


@case("ConsumerGroupHeartbeat", 0, 1)
def static_members(s, version):
    topic = known_topic(s, "topic", 4)
    a = Consumer(s, "group", "a", topic, version=version, instance="one")
    a.ask_join("joins")
    a.ask_join("another with its instance", member_id="b")
    a.ask_join("itself again")
    a.ask("another stays with its instance", member_id="b")
    a.ask("it with another instance", instance_id="two")
    a.ask("without its instance", instance_id=None)
    a.ask("another leaves with its instance", member_id="b", member_epoch=-1)
    a.ask("another leaves for a while", member_id="b", member_epoch=-2)
    a.s.ask("leaves for a while", "ConsumerGroupHeartbeat", version, a.request(member_epoch=-2))
    keep_group(s, "away", a.group)
    a.epoch = 2
    a.s.ask("stays, but is away", "ConsumerGroupHeartbeat", version, a.request())
    b = Consumer(s, "group", "b", topic, version=version, instance="one")
    b.ask_join("comes back as another")
    keep_group(s, "back", a.group)
    b.ask("stays")
    a.ask("its old self", member_epoch=2)
    b.ask("leaves for good", member_epoch=-1)
    keep_group(s, "gone", a.group)


@case("ConsumerGroupHeartbeat", 1, 1)
def patterns(s, version):
    """Kafka looks for what matches after it has answered; here the end of it is compared."""
    topic = known_topic(s, "match-one", 2)
    known_topic(s, "match-two", 1)
    known_topic(s, "other", 1)
    pattern = s.name("match-.*")

    def settled(member, epoch):
        for _ in range(100):
            member.beat(topic_partitions=[])
            if member.epoch >= epoch and describe(s, member.group)[0]["group_state"] != "Assigning":
                return
            time.sleep(0.1)
    a = Consumer(s, "group", "a", version=version)
    a.join(subscribed_topic_regex=pattern, subscribed_topic_names=None)
    settled(a, 2)
    keep_group(s, "by a pattern", a.group)
    b = Consumer(s, "both", "a", s.name("other"), version=version)
    b.join(subscribed_topic_regex=s.name("match-one"))
    settled(b, 3)
    s.keep("by names and a pattern", s.plain(describe(s, b.group)[0]["members"][0]["assignment"]))
    c = Consumer(s, "none", "a", version=version)
    c.join(subscribed_topic_regex="one", subscribed_topic_names=[])
    time.sleep(INTERVAL)
    c.beat()
    s.keep("a pattern matches whole names", s.plain(describe(s, c.group)[0]["members"][0]["assignment"]))
    d = Consumer(s, "empty", "a", topic, version=version)
    d.ask_join("an empty pattern and names", subscribed_topic_regex="")


# ---- ConsumerGroupDescribe

@case("ConsumerGroupDescribe", 0, 1)
def groups_described(s, version):
    topic = known_topic(s, "topic", 2)

    def ask(label, *groups, **fields):
        s.ask(label, "ConsumerGroupDescribe", version, {"group_ids": list(groups), **fields})
    ask("none")
    ask("an unknown group", s.name("unknown"))
    ask("no name", "")
    c, = stable(s, "classic")
    ask("a group of the classic protocol", c.group)
    a = Consumer(s, "group", "a", topic)
    b = Consumer(s, "static", "b", topic, instance="one")
    a.join()
    b.join(rack_id="r", server_assignor="range")
    ask("a group", a.group)
    ask("a static member", b.group)
    ask("several", a.group, b.group, s.name("unknown"), c.group, "")
    ask("a name twice", a.group, a.group)
    ask("with operations", a.group, s.name("unknown"), include_authorized_operations=True)
    a.leave()
    ask("empty", a.group)


# ---- what the other APIs say

@case("DescribeGroups", 5, 6)
def a_consumer_group_described(s, version):
    topic = known_topic(s, "topic", 2)
    a = Consumer(s, "group", "a", topic)
    a.join()
    s.ask("with a member", "DescribeGroups", version, {"groups": [a.group]})
    a.leave()
    s.ask("empty", "DescribeGroups", version, {"groups": [a.group]})


@case("ListGroups", 4, 5)
def consumer_groups_listed(s, version):
    topic = known_topic(s, "topic", 2)
    a, b = Consumer(s, "stable", "a", topic), Consumer(s, "empty", "b", topic)
    a.join()
    b.join()
    b.leave()

    def ask(label, **fields):
        answer = s.quiet("ListGroups", version, fields)
        answer["groups"] = [g for g in answer["groups"] if g["group_id"].startswith(s.prefix)]
        s.keep_answer(label, "ListGroups", version, answer)
    ask("all")
    for state in ("Stable", "Empty", "stable", "Assigning"):
        ask(f"states {state}", states_filter=[state])
    for kind in ("consumer", "Consumer", "classic") if version >= 5 else ():
        ask(f"types {kind}", types_filter=[kind])


@case("DeleteGroups", 1, 2)
def consumer_groups_deleted(s, version):
    topic = known_topic(s, "topic", 2)
    a = Consumer(s, "group", "a", topic)
    a.join()
    s.ask("with a member", "DeleteGroups", version, {"groups_names": [a.group]})
    a.leave()
    s.ask("empty", "DeleteGroups", version, {"groups_names": [a.group]})
    s.keep("gone", s.plain(describe(s, a.group)))


@case("OffsetDelete", 0, 0)
def offsets_of_a_consumer_group(s, version):
    one, two = known_topic(s, "one", 1), known_topic(s, "two", 1)
    a = Consumer(s, "group", "a", one)
    a.join()
    for topic in (one, two):
        s.quiet("OffsetCommit", 9, {"group_id": a.group, "member_id": "a", "generation_id_or_member_epoch": a.epoch,
                                    "topics": [{"name": topic, "partitions": [
                                        {"partition_index": 0, "committed_offset": 1}]}]})
    s.ask("one is read", "OffsetDelete", version, {"group_id": a.group, "topics": [
        {"name": t, "partitions": [{"partition_index": 0}]} for t in (one, two)]})


@case("OffsetCommit", 8, 10)
def commits_of_consumers(s, version):
    topic = known_topic(s, "topic", 4)
    a, b = (Consumer(s, "group", m, topic) for m in "ab")

    def ask(label, member, epoch, partition=0, **fields):
        where = {"topic_id": s.topic_ids[topic]} if version >= 10 else {"name": topic}
        s.ask(label, "OffsetCommit", version, {
            "group_id": a.group, "member_id": member, "generation_id_or_member_epoch": epoch, "topics": [
                {**where, "partitions": [{"partition_index": partition, "committed_offset": 3}]}], **fields})
    ask("nobody is there", "a", 1)
    a.join()
    first = a.epoch
    ask("a member", "a", first)
    ask("a later epoch", "a", 77)
    ask("an earlier epoch", "a", first - 1)
    ask("no epoch", "a", -1)
    ask("nobody", "", -1)
    ask("an unknown member", "x", first)
    time.sleep(INTERVAL)
    b.join()
    a.beat()
    a.beat(topic_partitions=a.owned(topic, 0, 1))
    ask("the epoch before, what it kept", "a", first, 0)
    ask("the epoch before, what it gave up", "a", first, 3)
    ask("this epoch, what it gave up", "a", a.epoch, 3)
    b.beat()
    ask("what was given", "b", b.epoch, 3)
    ask("what was given, the epoch before", "b", b.epoch - 1, 3)
    a.leave()
    ask("has left", "a", a.epoch if a.epoch > 0 else first)
    b.leave()
    ask("empty, nobody", "", -1)
    ask("empty, a member", "a", first)


@case("OffsetFetch", 8, 10)
def fetches_of_consumers(s, version):
    topic = known_topic(s, "topic", 1)
    a = Consumer(s, "group", "a", topic)
    a.join()

    def ask(label, group=a.group, **fields):
        where = {"topic_id": s.topic_ids[topic]} if version >= 10 else {"name": topic}
        s.ask(label, "OffsetFetch", version, {"groups": [{
            "group_id": group, "topics": [{**where, "partition_indexes": [0]}], **fields}]})
    ask("nobody asks")
    if version >= 9:
        ask("a member", member_id="a", member_epoch=a.epoch)
        ask("an earlier epoch", member_id="a", member_epoch=a.epoch - 1)
        ask("a later epoch", member_id="a", member_epoch=77)
        ask("an unknown member", member_id="x", member_epoch=a.epoch)
        ask("an empty member", member_id="", member_epoch=-1)
        ask("a member without an epoch", member_id="a", member_epoch=-1)
        ask("an unknown group", s.name("unknown"), member_id="a", member_epoch=a.epoch)


@case("Heartbeat", 4, 4)
def classic_calls_to_a_consumer_group(s, version):
    topic = known_topic(s, "topic", 1)
    a = Consumer(s, "group", "a", topic)
    a.join()
    m = Member(s, "group")
    m.id, m.generation = "a", a.epoch
    s.ask("Heartbeat", "Heartbeat", version, {"group_id": a.group, "member_id": "x", "generation_id": 1})
    s.keep("SyncGroup", s.plain(s.quiet("SyncGroup", 5, {"group_id": a.group, "member_id": "x", "generation_id": 1,
                                                         "protocol_type": "consumer", "protocol_name": "range"})))
    s.keep("LeaveGroup", s.plain(s.quiet("LeaveGroup", 5, {"group_id": a.group, "members": [{"member_id": "x"}]})))
    s.keep("JoinGroup, another type", s.plain(s.quiet("JoinGroup", 9, m.join_request(
        member_id="", protocol_type="connect"))))


@case("JoinGroup", 9, 9)
def an_empty_consumer_group_joined(s, version):
    topic = known_topic(s, "topic", 1)
    a = Consumer(s, "group", "a", topic)
    a.join()
    s.quiet("OffsetCommit", 9, {"group_id": a.group, "member_id": "a", "generation_id_or_member_epoch": a.epoch,
                                "topics": [{"name": topic, "partitions": [
                                    {"partition_index": 0, "committed_offset": 7}]}]})
    a.leave()
    m = Member(s, "group")
    s.keep_answer("by the classic protocol", "JoinGroup", version, m.join())
    s.keep("is no consumer group", s.plain(describe(s, a.group)))
    s.keep("has its offsets", s.plain(s.quiet("OffsetFetch", 8, {"groups": [{"group_id": a.group, "topics": None}]})))
    m.sync([(m.id, b"x")])
    m.leave()
    a.ask_join("and back")
    s.keep("has its offsets again", s.plain(s.quiet("OffsetFetch", 8, {
        "groups": [{"group_id": a.group, "topics": None}]})))


# ---- members of both protocols

def subscribed(version, owned=(), *topics):
    """A Java consumer's metadata, version 1: topics, and what it owns of the first."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    has = struct.pack(">i", 1) + struct.pack(">h", len(topics[0])) + topics[0].encode() + \
        struct.pack(f">i{len(owned)}i", len(owned), *owned) if owned else struct.pack(">i", 0)
    return struct.pack(">hi", version, len(topics)) + names + struct.pack(">i", -1) + has


class Classic(Member):
    """A member of the classic protocol whose id, which brokers make up in their own ways, is `<it>`."""

    def __init__(self, s, group, topic, **fields):
        super().__init__(s, group, **fields)
        self.topic = topic
        self.owns()

    def owns(self, *partitions):
        self.protocols = [("range", subscribed(1, partitions, self.topic))]

    def plain(self, value):
        if isinstance(value, dict):
            return {k: self.plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.plain(v) for v in value]
        return "<it>" if isinstance(value, str) and value == self.s.text(self.id) else value

    def raw(self, value):
        """Names of topics have another length in each run, and bytes say so."""
        if isinstance(value, dict):
            return {k: self.raw(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.raw(v) for v in value]
        name = self.topic.encode()
        return value.replace(struct.pack(">h", len(name)) + name, b"<topic>") if isinstance(value, bytes) else value

    def keep(self, label, answer):
        self.s.keep(label, self.plain(self.s.plain(self.raw(answer))))

    def keep_group(self, label):
        described = self.plain(self.s.plain(describe(self.s, self.group)))
        for group in described:
            group["members"].sort(key=lambda m: m["member_id"])
        self.s.keep(label, described)

    def take_id(self, answer):
        self.id = answer["member_id"]


@case("JoinGroup", 5, 9)
def a_classic_member_of_a_consumer_group(s, version):
    topic = known_topic(s, "topic", 4)
    a = Consumer(s, "group", "a", topic)
    a.join()
    time.sleep(INTERVAL)
    m = Classic(s, "group", topic, version=version)
    m.keep("joins", m.join())
    s.asked.add(("JoinGroup", version))
    m.keep_group("has joined")
    m.keep("syncs", m.try_sync())
    m.keep("beats", m.heartbeat())
    m.keep("syncs in another generation", m.try_sync(generation_id=77))
    m.keep("beats in another generation", m.heartbeat(generation_id=77))
    m.keep("syncs by another protocol", m.try_sync(protocol_name="other"))
    a.beat()
    a.beat(topic_partitions=a.owned(topic, 0, 1))
    m.keep("beats: there is something to get", m.heartbeat())
    m.keep("joins again", m.join())
    m.keep("gets it", m.try_sync())
    m.keep("beats, has it", m.heartbeat())
    for v, generation in ((8, m.generation), (8, m.generation - 1), (9, m.generation + 1)):
        m.keep(f"commits by version {v} in generation {generation - m.generation:+}", s.quiet("OffsetCommit", v, {
            "group_id": a.group, "member_id": m.id, "generation_id_or_member_epoch": generation, "topics": [
                {"name": topic, "partitions": [{"partition_index": 2, "committed_offset": 3}]}]}))
    m.keep("another protocol", s.quiet("JoinGroup", version, m.join_request(
        member_id="", group_instance_id="one", protocols=[{"name": "other", "metadata": b"\0"}])))
    m.keep("leaves", m.leave())
    m.keep_group("has left")


@case("ConsumerGroupHeartbeat", 0, 1)
def a_group_changes_its_protocol_and_back(s, version):
    topic = known_topic(s, "topic", 4)
    m = Classic(s, "group", topic)
    m.join()
    text = topic.encode()
    m.sync([(m.id, struct.pack(">hih", 1, 1, len(text)) + text + struct.pack(">5i", 4, 0, 1, 2, 3) + struct.pack(">i", -1))])
    a = Consumer(s, "group", "a", topic, version=version)
    a.ask_join("joins a classic group")
    m.keep_group("of both protocols")
    m.keep("the other has to join", m.heartbeat())
    m.keep("joins", m.join())
    m.keep("syncs", m.try_sync())
    a.ask("gets its part")
    m.keep_group("shared")
    a.ask("leaves", member_epoch=-1)
    m.keep_group("is a classic group")
    described = s.quiet("DescribeGroups", 5, {"groups": [m.group]})
    m.keep("as such", described)
    m.keep("the other has to join again", m.heartbeat())
    m.keep("and leads", m.join())


@case("JoinGroup", 5, 9)
def a_classic_member_takes_over(s, version):
    """From the last member of the consumer protocol, under its instance id."""
    topic = known_topic(s, "topic", 4)
    a = Consumer(s, "group", "a", topic, instance="one")
    a.join()
    time.sleep(INTERVAL)
    m = Classic(s, "group", topic, instance="one", version=version)
    m.keep("joins", m.join())
    m.keep("beats", m.heartbeat())
    m.keep("syncs", m.try_sync())
    m.keep_group("is a classic group")
    described = s.quiet("DescribeGroups", 5, {"groups": [m.group]})
    m.keep("as such", described)
    m.keep("joins again", m.join())
    a.ask("the one before")


@case("JoinGroup", 5, 9)
def a_classic_member_takes_over_and_reads_something_else(s, version):
    """Who else is there keeps its generation until it has heard of the rebalance."""
    topic, other = known_topic(s, "topic", 1), known_topic(s, "other", 1)
    a = Consumer(s, "group", "a", topic, instance="one")
    a.join()
    time.sleep(INTERVAL)
    c = Classic(s, "group", topic, version=version)
    c.join()
    c.try_sync()
    time.sleep(INTERVAL)
    a.beat(topic_partitions=a.owned(topic, 0))
    c.keep("settled", c.heartbeat())
    m = Classic(s, "group", other, instance="one", version=version)
    joined = m.join()
    m.keep("takes over", {"error_code": joined["error_code"]})
    c.keep("the other beats", c.heartbeat())
    committed = s.quiet("OffsetCommit", 8, {
        "group_id": c.group, "member_id": c.id, "generation_id_or_member_epoch": c.generation, "topics": [
            {"name": topic, "partitions": [{"partition_index": 0, "committed_offset": 5}]}]})
    c.keep("and commits", committed)


@case("ConsumerGroupHeartbeat", 0, 1)
def groups_that_cannot_change(s, version):
    topic = known_topic(s, "topic", 1)
    stable(s, "odd")
    a = Consumer(s, "odd", "a", topic, version=version)
    a.ask_join("metadata that is not a consumer's")
    stable(s, "connect", kind="connect")
    b = Consumer(s, "connect", "a", topic, version=version)
    b.ask_join("another protocol type")

"""tests/clients/suite_groups.py — consumer groups, with every client of the matrix.

Two members share a topic of six partitions.  While nothing dies each record is read once; a member
that is killed amid records is taken over within its session; committed offsets outlive a kill -9 of
the broker.  The programs: group_members.py.
"""
import os

from group_members import PARTITIONS, SESSION_MS, Group, Member, until
from harness import HERE, case, expect, expect_equal
import suite_librdkafka
from suite_java import CURRENT, OLD, java_command
from suite_node import node_command
from suite_python import DEBIAN, current

PYTHON_MEMBER = os.path.join(HERE, "python", "group_member.py")


def kcat(broker, topic, group, **_options):
    return ["kcat", "-b", broker.address, "-u", "-f", "record %p %o %s\\n", "-X", "auto.offset.reset=earliest",
            "-X", f"session.timeout.ms={SESSION_MS}", "-X", "heartbeat.interval.ms=500",
            "-X", "auto.commit.interval.ms=200", "-G", group, topic]


def python(interpreter):
    def command(broker, topic, group, **options):
        return [interpreter(), PYTHON_MEMBER, broker.address, topic, group,
                *(f"{k}={v}" for k, v in options.items())]
    return command


def librdkafka(broker, topic, group, **options):
    return [suite_librdkafka.program("rdkafka_member"), broker.address, topic, group,
            *(f"{k}={v}" for k, v in options.items())]


def java(version):
    def command(broker, topic, group, **options):
        return java_command("GroupMember", broker.address, topic, group,
                            *(f"{k}={v}" for k, v in options.items()), heap="200m", version=version)
    return command


def node(program):
    def command(broker, topic, group, **options):
        return node_command(program, broker.address, topic, group, *(f"{k}={v}" for k, v in options.items()))
    return command


def two_members(broker, word, command, gives_up, **options):
    group = Group(broker, word, command)
    try:
        group.send(20)
        a = group.start(**options)
        group.wait_for_owners(a)
        group.wait_for_records()
        b = group.start(**options)
        group.wait_for_owners(a, b)
        group.send(20)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
        expect(len(b.records) > 0, f"the second read nothing\n{b.story()}")

        group.send(5)                           # perhaps read by the second, not yet committed
        b.kill()
        group.send(5)
        group.wait_for_owners(a)
        group.wait_for_records()
        group.wait_for_commits()
        outlives(group, a, gives_up, options)
    finally:
        group.remove()


def outlives(group, a, gives_up, options):
    """The broker is killed, the member goes on; it closes, and the next one begins where it ended.

    gives_up: the client ends itself when no broker is there (kcat), so it closes before that."""
    broker = group.broker
    if gives_up:
        a.stop()
    if broker.owned:
        broker.kill()
        broker.start()
        expect_equal(wait_for_offsets(group), group.ends, "committed after kill -9 of the broker")
        if gives_up:
            a = group.start(**options)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
    if a.process.poll() is None:
        a.stop()
    before = len(group.seen())
    c = group.start(**options)
    group.wait_for_owners(c)
    group.send(3)
    group.wait_for_records()
    expect_equal(len(group.seen()) - before, 3 * PARTITIONS, f"records for the next one\n{c.story()}\n")
    group.wait_for_commits()
    c.stop()


def wait_for_offsets(group):
    until(lambda: group.committed() is not None, "the group is not loaded")
    return group.committed()


def client(word, command, once=False, gives_up=False, **options):
    title = " ".join([word, *(str(v) for v in options.values())])

    @case("groups", f"{title}: two members, one is killed, the broker is killed", timeout=180, once=once)
    def one(broker):
        two_members(broker, "grp-" + title.replace(" ", "-"), command, gives_up, **options)


client("kcat", kcat, gives_up=True)
client("librdkafka", librdkafka)
client("python", python(lambda: DEBIAN))
client("confluent", python(current), protocol="range")
client("confluent", python(current), protocol="cooperative-sticky")
client("java", java(CURRENT), protocol="range")
client("java", java(CURRENT), protocol="cooperative-sticky")
client("java-3.9", java(OLD), once=True, protocol="range")
client("java-3.9", java(OLD), once=True, protocol="cooperative-sticky")
client("kafkajs", node("kafkajs_member.js"))
client("platformatic", node("platformatic_member.js"))


def static_members(broker, word, command):
    group = Group(broker, word, command)
    try:
        group.send(5)
        a = group.start(instance="one", session=30000)
        group.wait_for_owners(a)
        b = group.start(instance="two", session=30000)
        group.wait_for_owners(a, b)
        group.wait_for_records()
        group.wait_for_commits()
        owned, rebalances = b.owned, a.rebalances
        b.kill()
        again = group.start(instance="two", session=30000)
        until(lambda: again.owned == owned, f"wanted {owned} as before", members=group.members)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
        expect_equal(a.rebalances, rebalances, "rebalances of the other member")
        other = group.start(instance="two", session=30000)
        until(lambda: again.fenced, "the earlier one was not fenced", members=group.members)
        until(lambda: other.owned == owned, f"wanted {owned} for the later one", members=group.members)
        expect_equal(a.rebalances, rebalances, "rebalances after the fencing")
    finally:
        group.remove()


@case("groups", "java: a static member comes back without a rebalance, an earlier one is fenced", timeout=120)
def static_java(broker):
    static_members(broker, "static-java", java(CURRENT))


@case("groups", "confluent: a static member comes back without a rebalance, an earlier one is fenced", timeout=120)
def static_confluent(broker):
    static_members(broker, "static-confluent", python(current))


def full(broker, word, command):
    """The third of a group of two is told so, in its client's words, and nobody else notices."""
    group = Group(broker, word, command)
    try:
        group.send(5)
        a, b = group.start(), group.start()
        group.wait_for_owners(a, b)
        rebalances = a.rebalances, b.rebalances
        third = group.start()
        until(lambda: any("max" in line.lower() and "size" in line.lower() for line in third.errors),
              "the third was not told that the group is full", members=group.members)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
        expect_equal((third.owned, a.rebalances, b.rebalances), (set(), *rebalances), "owned, rebalances")
    finally:
        group.remove()


@case("groups", "java: group.max.size", timeout=120, settings=("group.max.size=2",))
def full_java(broker):
    full(broker, "full-java", java(CURRENT))


@case("groups", "confluent: group.max.size", timeout=120, settings=("group.max.size=2",))
def full_confluent(broker):
    full(broker, "full-confluent", python(current))


# Every library, and the assignor that all of them have or take from outside.
EVERYBODY = [(kcat, {}), (librdkafka, {"protocol": "range"}), (python(lambda: DEBIAN), {"protocol": "range"}),
             (python(current), {"protocol": "range"}), (java(CURRENT), {"protocol": "range"}),
             (java(OLD), {"protocol": "range"}), (node("kafkajs_member.js"), {"protocol": "range"}),
             (node("platformatic_member.js"), {"protocol": "range"})]


def alone(broker, topic, *which):
    """A single consumer: by partition and offset, in no group."""
    return Member(f"alone {' '.join(which)}", ["kcat", "-b", broker.address, "-C", "-u", "-o", "beginning", "-t", topic,
                                               *which, "-f", "record %p %o %s\\n"])


@case("groups", "one topic: a group of every library, two more, two by the consumer protocol, single consumers; each sees "
                "every record", timeout=150)
def mixed(broker):
    group = Group(broker, "mixed", None, partitions=len(EVERYBODY))
    others = [(java(CURRENT), {}), (node("kafkajs_member.js"), {}),
              (java(CURRENT), {"assignor": "uniform"}), (python(current), {"assignor": "range"})]
    beside = [Group(broker, "beside", command, topic=group.topic, partitions=group.partitions)
              for command, _ in others]
    single = [alone(broker, group.topic), alone(broker, group.topic, "-p", "3")]
    try:
        for command, options in EVERYBODY:
            group.command = command
            group.start(**options)
        for other, (_, options) in zip(beside, others):
            other.start(**options)
        group.wait_for_owners(*group.members)
        for other in beside:
            other.wait_for_owners(*other.members)
        group.send(20)
        for one in (group, *beside):
            one.ends = group.ends
            one.wait_for_records()
            one.wait_for_commits()
            one.expect_once()
        expect(all(len(m.records) == 20 for m in group.members), "not everybody has read its partition")
        for member, wanted in zip(single, (group.wanted(), [(3, o) for o in range(20)])):
            until(lambda m=member, w=wanted: sorted(r[:2] for r in m.records) == w, "a single consumer missed records",
                  members=[member])
    finally:
        for one in (group, *beside):
            one.remove()
        for member in single:
            member.remove()

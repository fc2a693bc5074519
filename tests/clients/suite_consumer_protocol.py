"""tests/clients/suite_consumer_protocol.py — groups of the consumer protocol (KIP-848).

Members of Java 4.3 and of the current librdkafka, by both assignors, alone and together; what is shared
out, killed, restarted and committed is as in suite_groups.py, whose programs these are.
"""
import re
import time

from group_members import Group, Member, make_topic, until
from harness import case, expect, expect_equal, new_topic
from suite_group_tools import groups, offsets_of, rows
from suite_groups import java, python, two_members
from suite_java import CURRENT
from suite_python import current

# Silence is noticed soon, and nobody waits for the next assignment: tests are short.
SETTINGS = ("group.consumer.session.timeout.ms=6000", "group.consumer.min.session.timeout.ms=1000",
            "group.consumer.heartbeat.interval.ms=500", "group.consumer.min.heartbeat.interval.ms=100",
            "group.consumer.assignment.interval.ms=200")
SUITE = "consumer-protocol"


def client(word, command, **options):
    title = " ".join([word, *options.values()])

    @case(SUITE, f"{title}: two members, one is killed, the broker is killed", timeout=240, settings=SETTINGS)
    def one(broker):
        two_members(broker, "new-" + title.replace(" ", "-"), command, False, **options)


client("java", java(CURRENT), assignor="uniform")
client("java", java(CURRENT), assignor="range")
client("confluent", python(current), assignor="uniform")
client("confluent", python(current), assignor="range")


@case(SUITE, "java and confluent in one group", timeout=180, settings=SETTINGS)
def both(broker):
    group = Group(broker, "new-both", java(CURRENT))
    try:
        a = group.start(assignor="uniform")
        group.wait_for_owners(a)
        group.command = python(current)
        b = group.start(assignor="uniform")
        group.wait_for_owners(a, b)
        group.send(20)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
        expect(len(a.owned) == len(b.owned) == 3, f"not balanced: {a.owned} {b.owned}")
        a.stop()
        group.wait_for_owners(b)
        group.send(5)
        group.wait_for_records()
    finally:
        group.remove()


def static_members(broker, word, command):
    """One that is killed comes back to what it had, and nobody else notices; one that closes, too."""
    group = Group(broker, word, command)
    try:
        group.send(5)
        a = group.start(instance="one", assignor="uniform")
        group.wait_for_owners(a)
        b = group.start(instance="two", assignor="uniform")
        group.wait_for_owners(a, b)
        group.wait_for_records()
        group.wait_for_commits()
        owned = b.owned
        b.stop()                            # says that it will come back
        time.sleep(1)
        expect_equal(a.owned & owned, set(), "what was taken over at once")
        again = group.start(instance="two", assignor="uniform")
        until(lambda: again.owned == owned, f"wanted {owned} as before", members=group.members)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
        again.kill()
        group.wait_for_owners(a)            # its session ends
    finally:
        group.remove()


@case(SUITE, "java: a static member comes back to what it had", timeout=150, settings=SETTINGS)
def static_java(broker):
    static_members(broker, "new-static-java", java(CURRENT))


@case(SUITE, "confluent: a static member comes back to what it had", timeout=150, settings=SETTINGS)
def static_confluent(broker):
    static_members(broker, "new-static-confluent", python(current))


@case(SUITE, "java: a pattern, topics that come and grow", timeout=150, settings=SETTINGS)
def pattern(broker):
    word = new_topic("pattern")
    make_topic(broker, word + ".a", 2)
    make_topic(broker, "x" + word, 1)
    member = Member("by a pattern", java(CURRENT)(broker, "-", new_topic("pattern-group"), assignor="uniform",
                                                  pattern=f"{word}[.].*"))
    try:
        until(lambda: member.owned == {0, 1}, "the topic is not read", members=[member])
        make_topic(broker, word + ".b", 5)
        until(lambda: member.owned == {0, 1, 2, 3, 4}, "the new topic is not read", members=[member])
        member.stop()
    finally:
        member.remove()


@case(SUITE, "java: a topic grows", timeout=120, settings=SETTINGS)
def grows(broker):
    group = Group(broker, "new-grows", java(CURRENT), 2)
    try:
        a, b = group.start(assignor="range"), group.start(assignor="range")
        group.wait_for_owners(a, b)
        groups_tool = __import__("suite_tools").tool
        groups_tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker.address, "--alter", "--topic",
                    group.topic, "--partitions", "4")
        group.partitions, group.ends = 4, [0] * 4
        group.wait_for_owners(a, b)
        group.send(5)
        group.wait_for_records()
    finally:
        group.remove()


@case(SUITE, "kafka-consumer-groups: list, describe, delete", timeout=240, settings=SETTINGS)
def described(broker):
    group = Group(broker, "new-described", java(CURRENT), 3)
    try:
        group.send(10)
        group.start(assignor="range")
        group.wait_for_records()
        group.wait_for_commits()
        group.start(assignor="range")
        group.wait_for_owners(*group.members)
        listed = groups(broker, "--list", "--state", "--type")
        expect(re.search(rf"^{group.name}\s+Consumer\s+Stable", listed, re.M), listed)
        expect(group.name in groups(broker, "--list", "--type", "consumer").split(), "not listed by its type")
        expect(group.name not in groups(broker, "--list", "--type", "classic").split(), "listed by another type")
        text = groups(broker, "--describe", "--group", group.name, "--offsets")
        expect_equal(offsets_of(text, "CURRENT-OFFSET"), [10, 10, 10], f"current offsets {text}")
        expect_equal(len({r["CONSUMER-ID"] for r in rows(text)}), 2, f"members {text}")
        text = groups(broker, "--describe", "--group", group.name, "--members", "--verbose")
        expect_equal(sorted(int(r["#PARTITIONS"]) for r in rows(text)), [1, 2], f"members {text}")
        expect_equal({r["CURRENT-EPOCH"] for r in rows(text)}, {r["TARGET-EPOCH"] for r in rows(text)}, f"epochs {text}")
        expect(f"{group.topic}(" in text or f"{group.topic}:" in text, f"no assignment: {text}")
        text = groups(broker, "--describe", "--group", group.name, "--state", "--verbose")
        expect(re.search(rf"^{group.name}\s+127\.0\.0\.1:\d+\s+\(1\)\s+range\s+Stable\s+.*2\s*$", text, re.M), text)
        refused = groups(broker, "--delete", "--group", group.name, check=False)
        expect("not empty" in refused or "NonEmpty" in refused, f"deleted with members: {refused}")
        for member in group.members:
            member.stop()
        until(lambda: rows(groups(broker, "--describe", "--group", group.name, "--state"))[0]["STATE"] == "Empty",
              "the group is not empty", seconds=20)
        expect("Deletion of requested" in groups(broker, "--delete", "--group", group.name), "not deleted")
        expect(group.name not in groups(broker, "--list").split(), "listed after it was deleted")
    finally:
        group.remove()


@case(SUITE, "java: an empty group changes its protocol, and back; its offsets stay", timeout=180, settings=SETTINGS)
def changes(broker):
    group = Group(broker, "new-changes", java(CURRENT))
    try:
        for options in ({"protocol": "range"}, {"assignor": "uniform"}, {"protocol": "range"}):
            member = group.start(**options)
            group.wait_for_owners(member)
            group.send(5)
            group.wait_for_records()
            group.wait_for_commits()
            member.stop()
            if broker.owned:
                broker.kill()
                broker.start()
        group.expect_once()
    finally:
        group.remove()


def migrates(broker, word, classic, **options):
    """A group with members goes over to the consumer protocol, member by member, and back."""
    group = Group(broker, word, classic)
    try:
        old = [group.start(**options), group.start(**options)]
        group.wait_for_owners(*old)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        group.command = java(CURRENT)
        new = [group.start(assignor="uniform")]         # the first one takes the group along
        group.wait_for_owners(*old, *new)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        if broker.owned:
            broker.kill()
            broker.start()
        group.wait_for_owners(*old, *new)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        for member in old:
            member.stop()
        group.wait_for_owners(*new)
        group.command = classic
        back = [group.start(**options)]
        group.wait_for_owners(*new, *back)
        new[0].stop()                                   # the last one: the group goes back
        group.wait_for_owners(*back)
        listed = groups(broker, "--list", "--state", "--type")
        expect(re.search(rf"^{group.name}\s+Classic\s+Stable", listed, re.M), listed)
        back.append(group.start(**options))
        group.wait_for_owners(*back)
        group.send(5)
        group.wait_for_records()
        group.wait_for_commits()
        group.expect_once()
    finally:
        group.remove()


@case(SUITE, "java: members of both protocols, there and back; range", timeout=300, settings=SETTINGS)
def migrates_java(broker):
    migrates(broker, "migrates-range", java(CURRENT), protocol="range")


@case(SUITE, "java: members of both protocols, there and back; cooperative", timeout=300, settings=SETTINGS)
def migrates_cooperative(broker):
    migrates(broker, "migrates-coop", java(CURRENT), protocol="cooperative-sticky")


@case(SUITE, "confluent: members of both protocols, there and back", timeout=300, settings=SETTINGS)
def migrates_confluent(broker):
    migrates(broker, "migrates-confluent", python(current), protocol="range")

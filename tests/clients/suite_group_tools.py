"""tests/clients/suite_group_tools.py — Kafka's tools for groups, 4.3.1, and its Admin client.

Groups are made by members that read everything and close, so that the tools see exact offsets.
"""
import glob
import json
import os
import re
import subprocess
import tempfile

from group_members import Group, until
from harness import case, checks_by_program, die_with_parent, expect, expect_equal, new_topic, owned
from suite_groups import kcat
from suite_java import CURRENT, OLD, java_command
from suite_tools import tool

COMMAND = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def groups(broker, *arguments, check=True):
    done = tool(COMMAND, "--bootstrap-server", broker.address, *arguments, check=check)
    return done.stdout.decode() + done.stderr.decode()


def rows(text):
    """The table a tool prints: a dictionary per line, by the words of its head."""
    found, head = [], None
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["GROUP"]:
            head = words
        elif head and words:
            found.append(dict(zip(head, words)))
    return found


def offsets_of(text, column):
    return [int(r[column]) for r in sorted(rows(text), key=lambda r: int(r["PARTITION"]))]


def read_to_end(broker, word, partitions=3, count=20):
    """A topic, and an empty group that has committed all of it."""
    group = Group(broker, word, kcat, partitions)
    try:
        group.send(count)
        member = group.start()
        group.wait_for_records()
        group.wait_for_commits()
        member.stop()
        until(lambda: rows(groups(broker, "--describe", "--group", group.name, "--state"))[0]["STATE"] == "Empty",
              "the group is not empty", seconds=20)
    finally:
        group.remove()
    return group


@case("group-tools", "kafka-consumer-groups: list, describe offsets, members, state", timeout=240)
def described(broker):
    group = Group(broker, "described", kcat, 3)
    try:
        group.send(10)
        group.start()
        group.wait_for_records()
        group.wait_for_commits()
        group.start()
        group.wait_for_owners(*group.members)
        expect(group.name in groups(broker, "--list").split(), "not listed")
        listed = groups(broker, "--list", "--state", "--type")
        expect(re.search(rf"^{group.name}\s+Classic\s+Stable", listed, re.M), listed)
        expect(group.name in groups(broker, "--list", "--state", "stable").split(), "not listed by its state")
        expect(group.name not in groups(broker, "--list", "--state", "empty").split(), "listed by another state")
        text = groups(broker, "--describe", "--group", group.name, "--offsets")
        expect_equal(offsets_of(text, "CURRENT-OFFSET"), [10, 10, 10], f"current offsets {text}")
        expect_equal(offsets_of(text, "LOG-END-OFFSET"), [10, 10, 10], f"end offsets {text}")
        expect_equal(offsets_of(text, "LAG"), [0, 0, 0], f"lag {text}")
        expect_equal(len({r["CONSUMER-ID"] for r in rows(text)}), 2, f"members {text}")
        expect(all(r["HOST"] == "/127.0.0.1" and r["CLIENT-ID"] == "rdkafka" for r in rows(text)), text)
        text = groups(broker, "--describe", "--group", group.name, "--members", "--verbose")
        expect_equal(sorted(int(r["#PARTITIONS"]) for r in rows(text)), [1, 2], f"members {text}")
        expect(f"{group.topic}(" in text or f"{group.topic}:" in text, f"no assignment: {text}")
        text = groups(broker, "--describe", "--group", group.name, "--state", "--verbose")
        expect(re.search(rf"^{group.name}\s+127\.0\.0\.1:\d+\s+\(1\)\s+range\s+Stable\s+.*2\s*$", text, re.M), text)
        refused = groups(broker, "--delete", "--group", group.name, check=False)
        expect("not empty" in refused or "NonEmpty" in refused, f"deleted with members: {refused}")
        refused = groups(broker, "--reset-offsets", "--group", group.name, "--topic", group.topic, "--to-earliest",
                         "--execute", check=False)
        expect("only be reset if" in refused and "inactive" in refused, f"reset with members: {refused}")
        for member in group.members:
            member.stop()
    finally:
        group.remove()


@case("group-tools", "kafka-consumer-groups: reset-offsets in every mode", timeout=300, once=True)
def reset(broker):
    group = read_to_end(broker, "reset")

    def by(*how, execute=True, topic=group.topic):
        text = groups(broker, "--reset-offsets", "--group", group.name, "--topic", topic, *how,
                      "--execute" if execute else "--dry-run")
        return offsets_of(text, "NEW-OFFSET")
    expect_equal(by("--to-earliest", execute=False), [0, 0, 0], "dry run")
    expect_equal(group.committed(), [20, 20, 20], "a dry run changes nothing")
    for how, wanted in ((("--to-earliest",), [0, 0, 0]), (("--to-latest",), [20, 20, 20]),
                        (("--to-offset", "7"), [7, 7, 7]), (("--shift-by", "5"), [12, 12, 12]),
                        (("--shift-by", "-2"), [10, 10, 10]), (("--shift-by", "100"), [20, 20, 20]),
                        (("--to-offset", "3000"), [20, 20, 20]),
                        (("--to-datetime", "2020-01-01T00:00:00.000"), [0, 0, 0]),
                        (("--by-duration", "PT0S"), [20, 20, 20]), (("--by-duration", "PT1H"), [0, 0, 0]),
                        (("--to-current",), [0, 0, 0])):
        expect_equal(by(*how), wanted, " ".join(how))
        expect_equal(group.committed(), wanted, f"committed after {' '.join(how)}")
    expect_equal(by("--to-offset", "4", topic=f"{group.topic}:1"), [4], "one partition")
    expect_equal(group.committed(), [0, 4, 0], "committed after one partition")
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write(f"{group.topic},0,11\n{group.topic},2,13\n")
        file.flush()
        text = groups(broker, "--reset-offsets", "--group", group.name, "--from-file", file.name, "--execute")
        expect_equal(offsets_of(text, "NEW-OFFSET"), [11, 13], text)
    expect_equal(group.committed(), [11, 4, 13], "committed after from-file")
    text = groups(broker, "--reset-offsets", "--group", group.name, "--all-topics", "--to-latest", "--dry-run", "--export")
    expect(f'"{group.topic}",0,20' in text or f"{group.topic},0,20" in text, f"exported: {text}")
    again = group.start()
    try:
        group.wait_for_commits()
        read = sorted((p, o) for p, o, _ in again.records)
        wanted = [(0, o) for o in range(11, 20)] + [(1, o) for o in range(4, 20)] + [(2, o) for o in range(13, 20)]
        expect_equal(read, wanted, "what a member reads then")
    finally:
        group.remove()


@case("group-tools", "kafka-consumer-groups: delete, delete-offsets", timeout=120, once=True)
def deleted(broker):
    group = read_to_end(broker, "deleted")
    text = groups(broker, "--delete-offsets", "--group", group.name, "--topic", f"{group.topic}:1")
    expect("Successful" in text, text)
    expect_equal(group.committed(), [20, -1, 20], "offsets of one partition deleted")
    text = groups(broker, "--delete", "--group", group.name)
    expect("successful" in text, text)
    expect_equal(group.committed(), [-1, -1, -1], "offsets of the group")
    expect(group.name not in groups(broker, "--list").split(), "listed after its deletion")
    text = groups(broker, "--delete", "--group", group.name, check=False)
    expect("GroupIdNotFoundException" in text or "could not be found" in text or "not found" in text, text)
    text = groups(broker, "--describe", "--group", group.name, check=False)
    expect("not found" in text or "does not exist" in text, text)


@case("group-tools", "kafka-console-consumer --group goes on where it was", timeout=90)
def console_consumer(broker):
    topic, name = new_topic("console"), new_topic("console-group")

    def write(*values):
        done = subprocess.run(["kcat", "-b", broker.address, "-P", "-t", topic], check=False, timeout=30,
                              input="".join(f"{v}\n" for v in values).encode(), preexec_fn=die_with_parent)
        expect(done.returncode == 0, "kcat could not write")

    def read(count):
        return tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", broker.address,
                    "--topic", topic, "--group", name, "--from-beginning", "--max-messages", str(count),
                    "--timeout-ms", "20000").stdout.decode().split()
    write("a", "b", "c", "d")
    expect_equal(read(3), ["a", "b", "c"], "the first three")
    write("e")
    expect_equal(read(2), ["d", "e"], "the rest")


@case("group-tools", "kafka-verifiable-consumer: reads, commits, is told its partitions", timeout=120, once=True)
def verifiable_consumer(broker):
    group = Group(broker, "verifiable", kcat, 3)
    group.send(50)
    program = subprocess.Popen(java_command(
        "org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", broker.address, "--topic", group.topic,
        "--group-id", group.name, "--session-timeout", "6000", "--reset-policy", "earliest", "--max-messages", "150",
        heap="300m"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        out, errors = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    events = [json.loads(line) for line in out.splitlines() if line.startswith(b"{")]
    names = [e["name"] for e in events]
    expect_equal(program.returncode, 0, f"exit code; {errors[-400:]!r}")
    expect_equal(sum(e["count"] for e in events if e["name"] == "records_consumed"), 150, "records")
    assigned = next(e for e in events if e["name"] == "partitions_assigned")
    expect_equal(sorted(p["partition"] for p in assigned["partitions"]), [0, 1, 2], "partitions")
    committed = [e for e in events if e["name"] == "offsets_committed"]
    expect(committed and all(e["success"] for e in committed), f"commits {committed[-1:]}")
    expect_equal(group.committed(), [50, 50, 50], "committed")
    expect("shutdown_complete" in names, f"{names}")


@case("group-tools", "kafka-dump-log --offsets-decoder reads __consumer_offsets", timeout=150)
def dump_offsets(broker):
    owned(broker)
    group = read_to_end(broker, "dumped")
    broker.stop()       # so that what is on disk is all there is
    try:
        texts = []
        for path in sorted(glob.glob(f"{broker.data}/__consumer_offsets-*/*.log")):
            if os.path.getsize(path) > 0:
                texts.append(path)
        expect(texts, "__consumer_offsets is empty on disk")
        text = tool("org.apache.kafka.tools.DumpLogSegments", "--files", ",".join(texts),
                    "--offsets-decoder", "--deep-iteration").stdout.decode()
    finally:
        broker.start()
    bad = [line for line in text.splitlines() if line.startswith("baseOffset:") and "isvalid: true" not in line]
    expect(not bad, f"invalid batches: {bad[:3]}")
    mine = [line for line in text.splitlines() if group.name in line]
    found = {}
    for line in mine:
        key, _, payload = line.partition(" payload: ")
        partition, offset = re.search(r'"partition":(\d+)', key), re.search(r'"offset":(\d+)', payload)
        if group.topic in key and partition and offset:
            found[int(partition[1])] = int(offset[1])
    expect_equal(found, {0: 20, 1: 20, 2: 20}, f"offsets in the dump; {mine[:3]}")
    states = [line for line in mine if '"protocolType":"consumer"' in line and '"assignedPartitions"' in line]
    expect(states and '"clientHost":"/127.0.0.1"' in states[0], f"no state of the group; {mine[:3]}")


def admin(suite, version, once):
    checks_by_program(suite, [
        "lists and describes groups", "lists offsets of groups", "alters offsets", "deletes offsets",
        "removes members", "deletes groups"],
        lambda broker: java_command("GroupAdmin", broker.address, new_topic(suite), version=version),
        prefix="Admin ", timeout=120, once=once)


admin("group-admin", CURRENT, False)
admin("group-admin-3.9", OLD, True)

"""tests/clients/suite_restart.py — what was acknowledged is there after any end and restart.

Uses kcat and our own slow client only, so that it also runs where there is no JVM.
"""
import os
import shutil
import subprocess
import time

from group_members import SchemaClient
from harness import case, die_with_parent, expect, expect_equal, new_topic, owned
from suite_kcat import consume, produce, some_lines

PARTITIONED = ("num.partitions=8",)
NO_ID = "00000000-0000-0000-0000-000000000000"


def contents(broker, topic):
    """Every record with its place, in an order that does not depend on who came first."""
    return sorted(consume(broker, topic, form="%p %o %k %s\\n"),
                  key=lambda line: tuple(map(int, line.split(b" ", 2)[:2])))


def keyed(lines):
    return [b"key%d:" % (i % 97) + line for i, line in enumerate(lines)]


@case("restart", "kill -9: acks=1 and acks=all survive, twice")
def killed(broker):
    owned(broker)
    topics = {}
    for life in range(2):
        for acks in ("1", "all"):
            topic = new_topic(f"killed-acks-{acks}")
            topics[topic] = some_lines(1000, life)
            produce(broker, topic, topics[topic], "-X", f"acks={acks}")
        broker.kill()
        broker.start()
        for topic, lines in topics.items():
            expect_equal(consume(broker, topic), lines, f"{topic} in life {life + 2}")
    for topic, lines in topics.items():     # and it goes on where it was
        produce(broker, topic, [b"more"])
        expect_equal(consume(broker, topic, form="%o %s\\n")[-1], b"%d more" % len(lines), topic)


@case("restart", "SIGTERM: exit code 0, everything there, offsets go on")
def terminated(broker):
    owned(broker)
    topic, lines = new_topic("terminated"), some_lines(1000)
    produce(broker, topic, lines, "-z", "lz4")
    expect_equal(broker.stop(), 0, "exit code on SIGTERM")
    broker.start()
    expect_equal(consume(broker, topic), lines, "after the restart")
    produce(broker, topic, [b"more"])
    expect_equal(consume(broker, topic, form="%o %s\\n")[-1], b"1000 more", "the next record")


def refused(broker, command, clues):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                          preexec_fn=die_with_parent)
    text = (done.stdout + done.stderr).decode(errors="replace")
    expect(done.returncode != 0, "the second broker did not fail")
    expect("ready" not in [line[:5] for line in text.splitlines()], f"it said ready: {text[-500:]}")
    expect(any(clue in text.lower() for clue in clues), f"no clear line: {text[-500:]}")
    expect(broker.alive(), "the first broker died of it")


@case("restart", "a second broker on the same directory is refused")
def same_directory(broker):
    owned(broker)
    topic = new_topic("locked")
    produce(broker, topic, [b"mine"])
    command = broker.command(port=broker.port + 1)
    refused(broker, command, ("lock", "in use", "another"))
    expect_equal(consume(broker, topic), [b"mine"], "the first broker's data")


@case("restart", "a second broker on the same port is refused")
def same_port(broker):
    owned(broker)
    command = broker.command()
    other = broker.data + "-other"
    command[command.index(broker.data)] = other
    os.makedirs(other, exist_ok=True)
    refused(broker, command, ("in use", "port", "bind"))
    shutil.rmtree(other)


@case("restart", "the same data opens with 4, then 1, then 3 shards", timeout=120,
      settings=PARTITIONED)
def other_shards(broker):
    owned(broker)
    topic, lines = new_topic("shards"), keyed(some_lines(2000))
    usual = broker.shards
    before = None
    for shards in (4, 1, 3, usual):
        expect_equal(broker.stop(), 0, "exit code on SIGTERM")
        broker.shards = shards
        broker.start()
        if before is None:
            produce(broker, topic, lines, "-K:")
            before = contents(broker, topic)
            expect_equal(len(before), len(lines), "records")
            expect(len({line.split(b" ")[0] for line in before}) == 8, "8 partitions in use")
        expect_equal(contents(broker, topic), before, f"with {shards} shards")


@case("restart", "kill -9 while writing: what kcat saw acknowledged is there", timeout=120,
      settings=PARTITIONED)
def killed_while_writing(broker):
    owned(broker)
    topic, lines = new_topic("torn"), keyed(some_lines(20000))
    produce(broker, topic, lines[:100], "-K:")
    # An endless writer: the broker dies under it at an arbitrary point, three times.
    for round_index in range(3):
        before = contents(broker, topic)
        writer = subprocess.Popen(["kcat", "-b", broker.address, "-P", "-t", topic, "-K:", "-X",
                                   "linger.ms=1", "-X", "message.timeout.ms=3000"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            writer.stdin.write(b"".join(line + b"\n" for line in lines[100:]))
            writer.stdin.flush()
        except BrokenPipeError:
            pass
        broker.kill()
        writer.kill()
        writer.wait()
        broker.start()
        after = contents(broker, topic)
        # Per partition the log may only have grown, without a hole, by records that were sent.
        by_partition = {}
        for line in after:
            partition, offset, _ = line.split(b" ", 2)
            by_partition.setdefault(partition, []).append(int(offset))
        for partition, offsets in by_partition.items():
            expect_equal(offsets, list(range(len(offsets))), f"offsets of partition {partition}")
        expect(set(before) <= set(after), f"round {round_index}: acknowledged records are gone")
        sent = {line.split(b":", 1)[1] for line in lines}
        expect(all(line.split(b" ", 3)[3] in sent for line in after), "a record nobody sent")


@case("restart", "commits outlive what clients do to __consumer_offsets, and a kill -9", timeout=120,
      settings=("log.retention.check.interval.ms=100",))
def offsets_topic(broker):
    owned(broker)
    topic, group, own = new_topic("read"), new_topic("read-group"), "__consumer_offsets"
    produce(broker, topic, some_lines(3))
    client = SchemaClient(broker.address)
    limit = time.monotonic() + 30
    while client.call("FindCoordinator", 2, {"key": group, "key_type": 0})["error_code"]:
        expect(time.monotonic() < limit, "no coordinator")
    commit = client.call("OffsetCommit", 7, {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "",
                         "topics": [{"name": topic, "partitions": [
                             {"partition_index": 0, "committed_offset": 2, "committed_metadata": ""}]}]})
    expect_equal(commit["topics"][0]["partitions"][0]["error_code"], 0, "the commit")

    refused = client.call("DeleteRecords", 2, {"timeout_ms": 10000, "topics": [
        {"name": own, "partitions": [{"partition_index": i, "offset": -1} for i in range(50)]}]})
    expect_equal({p["error_code"] for p in refused["topics"][0]["partitions"]}, {17}, "DeleteRecords")
    for validate in (True, False):
        refused = client.call("CreatePartitions", 3, {"timeout_ms": 10000, "validate_only": validate, "topics": [
            {"name": own, "count": 60, "assignments": None}]})
        expect_equal(refused["results"][0]["error_code"], 17, "CreatePartitions")
    refused = client.call("DeleteTopics", 5, {"topic_names": [own], "timeout_ms": 10000})
    expect_equal(refused["responses"][0]["error_code"], 17, "DeleteTopics")
    topic_id = client.call("Metadata", 12, {"topics": [{"topic_id": NO_ID, "name": own}]})["topics"][0]["topic_id"]
    refused = client.call("DeleteTopics", 6, {"topics": [{"name": None, "topic_id": topic_id}], "timeout_ms": 10000})
    expect_equal(refused["responses"][0]["error_code"], 17, "DeleteTopics by id")
    changed = client.call("IncrementalAlterConfigs", 1, {"validate_only": False, "resources": [
        {"resource_type": 2, "resource_name": own, "configs": [
            {"name": "cleanup.policy", "config_operation": 0, "value": "delete"},
            {"name": "retention.ms", "config_operation": 0, "value": "1"}]}]})
    expect_equal(changed["responses"][0]["error_code"], 0, "IncrementalAlterConfigs")
    time.sleep(1.5)                 # retention looks ten times a second
    client.close()
    for how in ("", " after a kill -9"):
        client = SchemaClient(broker.address)
        while (answer := client.call("OffsetFetch", 7, {"group_id": group, "topics": None}))["error_code"] == 14:
            expect(time.monotonic() < limit, "still loading")
        client.close()
        found = {t["name"]: t["partitions"][0]["committed_offset"] for t in answer["topics"]}
        expect_equal(found, {topic: 2}, "committed" + how)
        if not how:
            broker.kill()
            broker.start()

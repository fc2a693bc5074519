"""tests/clients/suite_lag.py — how far groups are behind: `ringlog group`, and what the broker itself knows
(its log, ringlog.group.lag.log.interval.ms), against kafka-consumer-groups; also after kill -9.
"""
import json
import re
import struct
import time
import uuid

from group_members import Group, SchemaClient, until
from harness import case, expect, expect_equal, new_topic, owned, run
from suite_group_tools import groups, rows

TOLD = ("ringlog.group.lag.log.interval.ms=300",)
PAUSE_SECONDS = 3
SLACK_SECONDS = 2               # a mark a second, a log line three times a second, a busy machine


def call(broker, api, version, body):
    client = SchemaClient(broker.address)
    try:
        return client.call(api, version, body)
    finally:
        client.close()


def commit(broker, group, topic, offsets):
    until(lambda: call(broker, "FindCoordinator", 2, {"key": group, "key_type": 0})["error_code"] == 0,
          f"no coordinator for {group}")
    answer = call(broker, "OffsetCommit", 7, {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "",
                  "topics": [{"name": topic, "partitions": [
                      {"partition_index": p, "committed_offset": o, "committed_metadata": ""}
                      for p, o in offsets.items()]}]})
    errors = [p["error_code"] for p in answer["topics"][0]["partitions"]]
    expect_equal(errors, [0] * len(offsets), f"commit of {group}")


def consumer_bytes(topic, partitions=None):
    """What a consumer subscribes to, or, with partitions, what it is assigned (ConsumerProtocol, version 0)."""
    name = struct.pack(">hih", 0, 1, len(topic)) + topic.encode()
    numbers = b"" if partitions is None else struct.pack(f">i{len(partitions)}i", len(partitions), *partitions)
    return name + numbers + struct.pack(">i", -1)


def join(broker, group, topic, partitions):
    """A member that was assigned these partitions and says no more for the next minutes; its id."""
    body = {"group_id": group, "session_timeout_ms": 300000, "rebalance_timeout_ms": 300000, "member_id": "",
            "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": consumer_bytes(topic)}]}
    body["member_id"] = call(broker, "JoinGroup", 5, body)["member_id"]
    joined = call(broker, "JoinGroup", 5, body)
    expect_equal(joined["error_code"], 0, f"JoinGroup: {joined}")
    synced = call(broker, "SyncGroup", 3, {"group_id": group, "generation_id": joined["generation_id"],
                  "member_id": body["member_id"], "assignments": [
                      {"member_id": body["member_id"], "assignment": consumer_bytes(topic, partitions)}]})
    expect_equal(synced["error_code"], 0, f"SyncGroup: {synced}")
    return body["member_id"]


def join_consumer(broker, group, topic, partitions):
    """The same by the consumer protocol (KIP-848); its session is 45 s.  Its id."""
    body = {"group_id": group, "member_id": str(uuid.uuid4()), "member_epoch": 0, "rebalance_timeout_ms": 300000,
            "subscribed_topic_names": [topic], "topic_partitions": []}
    limit = time.monotonic() + 20
    owned_now = []
    while len(owned_now) < partitions:
        expect(time.monotonic() < limit, f"assigned {owned_now}")
        beat = call(broker, "ConsumerGroupHeartbeat", 1, body)
        expect_equal(beat["error_code"], 0, f"ConsumerGroupHeartbeat: {beat}")
        if beat["assignment"]:
            owned_now = [p for t in beat["assignment"]["topic_partitions"] for p in t["partitions"]]
        body.update(member_epoch=beat["member_epoch"], subscribed_topic_names=None)
        time.sleep(0.1)
    return body["member_id"]


def delete_before(broker, topic, partition, offset):
    answer = call(broker, "DeleteRecords", 1, {"timeout_ms": 10000, "topics": [
        {"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}]})
    expect_equal(answer["topics"][0]["partitions"][0]["error_code"], 0, "DeleteRecords")


def speak(broker):
    """The broker tells of every partition."""
    answer = call(broker, "IncrementalAlterConfigs", 0, {"validate_only": False, "resources": [
        {"resource_type": 8, "resource_name": "1", "configs": [
            {"name": "root", "config_operation": 0, "value": "DEBUG"}]}]})
    expect_equal(answer["responses"][0]["error_code"], 0, f"log level: {answer}")


def by_kafka(broker, names):
    found = {}
    for r in rows(groups(broker, "--describe", "--all-groups", "--offsets")):
        if r["GROUP"] in names:
            found[r["GROUP"], r["TOPIC"], int(r["PARTITION"])] = (r["CURRENT-OFFSET"], r["LOG-END-OFFSET"], r["LAG"])
    return found


def text(number):
    return "-" if number is None else str(number)


def by_ringlog(broker, names):
    """Offsets as Kafka's tool shows them, and seconds."""
    done = run([broker.binary, "group", "describe", *sorted(names), "--bootstrap", broker.address, "--format", "json"])
    offsets, seconds = {}, {}
    for g in json.loads(done.stdout):
        for p in g["partitions"]:
            expect_equal(p["problem"], None, f"{g['group']} {p['topic']}-{p['partition']}")
            key = (g["group"], p["topic"], p["partition"])
            offsets[key] = (text(p["committed_offset"]), text(p["log_end_offset"]), text(p["lag"]))
            seconds[key] = p["lag_seconds"]
    return offsets, seconds


LINE = re.compile(r"lag: group=(\S+) topic=(\S+) partition=(\d+) committed=(\d+) start=(\d+) end=(\d+) "
                  r"records=(-?\d+) unread_ms=(-?\d+)")


def by_broker(broker, names):
    """What the broker says from now on: two rounds of each shard at least."""
    with open(broker.log_path) as log:
        log.seek(0, 2)
        time.sleep(1.2)
        lines = log.read()
    offsets, seconds = {}, {}
    for m in LINE.finditer(lines):
        if m[1] in names:
            key = (m[1], m[2], int(m[3]))
            offsets[key], seconds[key] = (m[4], m[6], m[7]), int(m[8]) / 1000
    return offsets, seconds


def compare(broker, names, when, uncommitted):
    """All three agree; `when`: for each row with unread records, when its oldest was appended."""
    kafka = by_kafka(broker, names)
    ringlog, ringlog_seconds = by_ringlog(broker, names)
    known, known_seconds = by_broker(broker, names)
    committed = {k: v for k, v in kafka.items() if k not in uncommitted}
    expect_equal(ringlog, kafka, "ringlog group describe, against kafka-consumer-groups")
    expect_equal(known, committed, "the broker, against both")
    for key in kafka:
        if key in uncommitted:
            expect_equal(ringlog_seconds[key], None, f"seconds of {key}")
            continue
        age = time.time() - when[key] if key in when else 0
        for who, said in (("ringlog group", ringlog_seconds[key]), ("the broker", known_seconds[key])):
            expect(abs(said - age) <= SLACK_SECONDS + age / 8 if age else said == 0,
                   f"{who} says {key} is {said} s behind, not about {age:.1f}")
    return kafka


@case("lag", "group list and describe, the broker's own lag, and kafka-consumer-groups agree; also after kill -9",
      timeout=300, settings=TOLD)
def lag(broker):
    owned(broker)
    member = Group(broker, "lag", None, 3)
    topic = member.topic
    behind, ended, deleted, some, beyond = (new_topic(f"lag-{w}") for w in ("behind", "end", "deleted", "some", "beyond"))
    names = {behind, ended, deleted, some, beyond, member.name}
    member.send(10)                             # to each partition
    first = time.time()
    time.sleep(PAUSE_SECONDS)
    member.send(5)
    second = time.time()
    time.sleep(PAUSE_SECONDS)
    commit(broker, behind, topic, {0: 4, 1: 10, 2: 12})
    commit(broker, ended, topic, {0: 15, 1: 15, 2: 15})
    commit(broker, deleted, topic, {0: 2, 1: 14})
    commit(broker, some, topic, {1: 0})
    commit(broker, beyond, topic, {2: 40})
    commit(broker, member.name, topic, {1: 3})          # before it has members
    delete_before(broker, topic, 0, 11)
    member_id = join(broker, member.name, topic, [0, 1, 2])
    # Partition 0 begins with what was sent at last: that is the oldest that is there.
    when = {(behind, topic, 0): second, (behind, topic, 1): second, (behind, topic, 2): second,
            (deleted, topic, 0): second, (deleted, topic, 1): second, (some, topic, 1): first,
            (member.name, topic, 1): first}
    uncommitted = {(member.name, topic, 0), (member.name, topic, 2)}
    listed = run([broker.binary, "group", "list", "--bootstrap", broker.address, "--format", "json"]).stdout
    states = {g["group"]: g["state"] for g in json.loads(listed)}
    expect_equal({n: states.get(n) for n in names}, {n: "Stable" if n == member.name else "Empty" for n in names},
                 "group list")
    speak(broker)
    before = compare(broker, names, when, uncommitted)
    expect_equal(before[deleted, topic, 0], ("2", "15", "13"), "deleted records count")
    expect_equal(before[beyond, topic, 2], ("40", "15", "-25"), "more committed than there is")
    expect_equal(before[member.name, topic, 2], ("-", "15", "-"), "assigned, and nothing committed")
    shown = run([broker.binary, "group", "describe", member.name, "--bootstrap", broker.address]).stdout.decode()
    expect_equal([r["CONSUMER-ID"] for r in rows(shown)], [member_id] * 3, f"who reads: {shown}")
    broker.kill()
    broker.start()
    speak(broker)
    expect_equal(compare(broker, names, when, uncommitted), before, "lag after kill -9")


@case("lag", "a group of the consumer protocol; a broker that speaks before it serves", timeout=120,
      settings=("ringlog.group.lag.log.interval.ms=1",))
def consumer_protocol(broker):
    owned(broker)
    group = Group(broker, "consumer", None, 2)
    group.send(6)
    first = time.time()
    commit(broker, group.name, group.topic, {0: 2})
    member_id = join_consumer(broker, group.name, group.topic, 2)
    speak(broker)
    compare(broker, {group.name}, {(group.name, group.topic, 0): first}, {(group.name, group.topic, 1)})
    shown = run([broker.binary, "group", "describe", group.name, "--bootstrap", broker.address]).stdout.decode()
    expect_equal([r["CONSUMER-ID"] for r in rows(shown)], [member_id] * 2, f"who reads: {shown}")


@case("lag", "a table for people; flags and groups that are wrong")
def table(broker):
    owned(broker)
    topic, group = new_topic("table"), new_topic("table-group")
    run(["kcat", "-b", broker.address, "-P", "-t", topic, "-p", "0"], stdin=b"1\n2\n3\n")
    commit(broker, group, topic, {0: 1})
    done = run([broker.binary, "group", "describe", group, "--bootstrap", broker.address])
    found = rows(done.stdout.decode())
    expect_equal(len(found), 1, "rows")
    expect_equal({k: found[0][k] for k in ("GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG",
                                           "CONSUMER-ID")},
                 {"GROUP": group, "TOPIC": topic, "PARTITION": "0", "CURRENT-OFFSET": "1", "LOG-END-OFFSET": "3",
                  "LAG": "2", "CONSUMER-ID": "-"}, "the row")
    expect(0 <= int(found[0]["LAG-SECONDS"]) < 60, f"seconds: {found[0]}")
    for wanted, arguments in ((0, ["describe", "--all"]), (0, ["list"]), (1, ["describe", "nobody"]),
                              (4, ["describe", "nobody", group]), (2, ["describe"]), (2, ["list", "x"]),
                              (2, ["forget"]), (2, ["list", "--format", "xml"])):
        done = run([broker.binary, "group", *arguments, *(["--bootstrap", broker.address] if wanted != 2 else [])],
                   check=False)
        expect_equal(done.returncode, wanted, f"exit code of {arguments}: {done.stderr.decode()}")
    expect_equal(run([broker.binary, "group", "list", "--bootstrap", "127.0.0.1:1"], check=False).returncode, 3,
                 "no broker there")

"""tests/differential/rows_offsets.py — ListOffsets, OffsetForLeaderEpoch, DeleteRecords."""
import time

import batch
from script import case


def one(topic, *partitions):
    return {"replica_id": -1, "timeout_ms": 5000, "topics": [{"name": topic, "partitions": list(partitions)}]}


def at(timestamp, partition=0, epoch=-1):
    return {"partition_index": partition, "timestamp": timestamp, "current_leader_epoch": epoch}


@case("ListOffsets", 1, 11)
def special_times(s, version):
    empty, full = s.topic("empty"), s.topic("full")
    s.produce(full, s.batch(3), s.batch(2, time_ms=s.time + 100))
    for name, topic in (("empty", empty), ("full", full)):
        for timestamp in (-1, -2, -3, -4, -5, -6, -7, -8, -100, -2**63):
            s.ask(f"{name}, {timestamp}", "ListOffsets", version, one(topic, at(timestamp)))


@case("ListOffsets", 1, 11)
def times_of_records(s, version):
    topic = s.topic("times")
    s.produce(topic, s.batch(3), s.batch(3, codec=batch.GZIP, time_ms=s.time + 100),
              s.batch(time_ms=s.time + 50), s.batch(3, codec=batch.LZ4, time_ms=s.time + 200),
              s.batch(2, codec=batch.SNAPPY, time_ms=s.time + 300),
              s.batch(2, codec=batch.ZSTD, time_ms=s.time + 400),
              s.batch(3, time_ms=s.time + 500, max_timestamp=s.time + 509, records=batch.record(0, timestamp_delta=7)
                      + batch.record(1, timestamp_delta=3) + batch.record(2, timestamp_delta=9)))
    for delta in (-10**9, -1, 0, 1, 2, 3, 50, 51, 100, 101, 102, 103, 201, 202, 203, 301, 302, 400,
                  401, 402, 500, 503, 504, 507, 508, 509, 510, 10**6):
        s.ask(f"t{delta:+d}", "ListOffsets", version, one(topic, at(s.time + delta)))
    s.ask("0", "ListOffsets", version, one(topic, at(0)))
    s.ask("the end of time", "ListOffsets", version, one(topic, at(2**63 - 1)))
    s.ask("the greatest", "ListOffsets", version, one(topic, at(-3)))


@case("ListOffsets", 1, 11)
def append_times(s, version):
    topic = s.topic("append", message_timestamp_type="LogAppendTime")
    s.produce(topic, s.batch(3))
    time.sleep(0.005)           # or both might have the same time
    s.produce(topic, s.batch(3, codec=batch.GZIP))
    s.ask("0", "ListOffsets", version, one(topic, at(0)))
    s.ask("the greatest", "ListOffsets", version, one(topic, at(-3)))


@case("ListOffsets", 1, 11)
def who_and_where(s, version):
    topic = s.topic("where", 2)
    s.produce(topic, s.batch(3))
    s.ask("two partitions", "ListOffsets", version, one(topic, at(-1), at(-2, 1)))
    s.ask("a partition twice", "ListOffsets", version, one(topic, at(-1), at(-2)))
    s.ask("a partition twice, alike", "ListOffsets", version, one(topic, at(-1), at(-1)))
    s.ask("partitions that are not there", "ListOffsets", version,
          one(topic, at(-1, 2), at(-1, -1), at(-1, 2**31 - 1)))
    s.ask("no such topic", "ListOffsets", version, one(s.name("missing"), at(-1)))
    s.ask("a name that cannot be", "ListOffsets", version, one("bad name/", at(-1)))
    s.ask("no name", "ListOffsets", version, one("", at(-1)))
    s.ask("a topic twice", "ListOffsets", version, {"replica_id": -1, "topics": [
        *one(topic, at(-1))["topics"], *one(topic, at(-2, 1))["topics"]]})
    s.ask("no partitions", "ListOffsets", version, one(topic))
    s.ask("nothing", "ListOffsets", version, {"replica_id": -1})
    for isolation in (0, 1, 2, -1, 127):
        s.ask(f"isolation {isolation}", "ListOffsets", version,
              {**one(topic, at(-1)), "isolation_level": isolation if version >= 2 else 0})
    for replica in (-2, 0, 1, 2, -3):
        s.ask(f"replica {replica}", "ListOffsets", version, {**one(topic, at(-1)), "replica_id": replica})
    for epoch in (-1, 0, 1, 5, -2, 2**31 - 1):
        for timestamp in (-1, -2, s.time):
            s.ask(f"epoch {epoch}, {timestamp if timestamp < 0 else 't'}", "ListOffsets", version,
                  one(topic, at(timestamp, 0, epoch)))


def epochs(topic, *partitions, replica_id=-1):
    return {"replica_id": replica_id, "topics": [{"topic": topic, "partitions": [
        {"partition": p, "current_leader_epoch": c, "leader_epoch": e} for p, c, e in partitions]}]}


@case("OffsetForLeaderEpoch", 2, 4)
def ends_of_epochs(s, version):
    topic, empty = s.topic("epochs", 2), s.topic("empty")
    s.produce(topic, s.batch(3))
    for current in (-1, 0, 1, 7, -2):
        for epoch in (-1, 0, 1, 5, -2, 2**31 - 1):
            s.ask(f"current {current}, asked {epoch}", "OffsetForLeaderEpoch", version,
                  epochs(topic, (0, current, epoch)))
    for epoch in (-1, 0, 1):
        s.ask(f"empty, {epoch}", "OffsetForLeaderEpoch", version, epochs(empty, (0, -1, epoch)))
    for replica in (-1, -2, 0, 1, 2):
        s.ask(f"replica {replica}", "OffsetForLeaderEpoch", version,
              epochs(topic, (0, -1, 0), replica_id=replica))
    s.ask("partitions that are not there", "OffsetForLeaderEpoch", version,
          epochs(topic, (0, -1, 0), (2, -1, 0), (-1, -1, 0)))
    s.ask("a partition twice", "OffsetForLeaderEpoch", version, epochs(topic, (0, -1, 0), (0, -1, 0)))
    s.ask("no such topic", "OffsetForLeaderEpoch", version, epochs(s.name("missing"), (0, -1, 0)))
    s.ask("no name", "OffsetForLeaderEpoch", version, epochs("", (0, -1, 0)))
    s.ask("no partitions", "OffsetForLeaderEpoch", version, epochs(topic))
    s.ask("nothing", "OffsetForLeaderEpoch", version, {})


def cut(topic, *partitions, timeout_ms=5000):
    return {"timeout_ms": timeout_ms, "topics": [{"name": topic, "partitions": [
        {"partition_index": p, "offset": o} for p, o in partitions]}]}


@case("DeleteRecords", 0, 2)
def records_deleted(s, version):
    topic, compact = s.topic("cut", 2), s.topic("compact", cleanup_policy="compact")
    both = s.topic("both", cleanup_policy="compact,delete")
    s.produce(topic, s.batch(3), s.batch(3), s.batch(4))
    for i, offset in enumerate((0, 4, 2, 4, -2, 11, 2**63 - 1, -2**63, 6, -1, -1, 10)):
        s.ask(f"{i}. to {offset}", "DeleteRecords", version, cut(topic, (0, offset)))
    s.ask("an empty partition", "DeleteRecords", version, cut(topic, (1, -1)))
    s.ask("an empty partition, to 0", "DeleteRecords", version, cut(topic, (1, 0)))
    s.ask("an empty partition, to 1", "DeleteRecords", version, cut(topic, (1, 1)))
    s.ask("partitions that are not there", "DeleteRecords", version, cut(topic, (2, 0), (-1, 0), (1, 0)))
    s.ask("a partition twice", "DeleteRecords", version, cut(topic, (1, 0), (1, 0)))
    s.ask("no such topic", "DeleteRecords", version, cut(s.name("missing"), (0, 0)))
    s.ask("no name", "DeleteRecords", version, cut("", (0, 0)))
    s.ask("compacted", "DeleteRecords", version, cut(compact, (0, 0)))
    s.ask("compacted and deleted", "DeleteRecords", version, cut(both, (0, 0)))
    s.ask("a timeout of zero", "DeleteRecords", version, cut(topic, (0, 10), timeout_ms=0))
    s.ask("a timeout below zero", "DeleteRecords", version, cut(topic, (0, 10), timeout_ms=-1))
    s.ask("no partitions", "DeleteRecords", version, cut(topic))
    s.ask("nothing", "DeleteRecords", version, {})
    for timestamp in (-1, -2, -3, -4, 0):
        s.ask(f"then ListOffsets {timestamp}", "ListOffsets", 8, one(topic, at(timestamp)))
    s.ask("then OffsetForLeaderEpoch", "OffsetForLeaderEpoch", 4, epochs(topic, (0, -1, 0)))
    s.produce(topic, s.batch(2))
    for timestamp in (-1, -2, -3, -4, 0):
        s.ask(f"then a batch, ListOffsets {timestamp}", "ListOffsets", 8, one(topic, at(timestamp)))


@case("DeleteRecords", 0, 2)
def records_of_the_brokers_own(s, version):
    for offset in (0, -1, 5):
        s.ask(f"to {offset}", "DeleteRecords", version, cut("__consumer_offsets", (0, offset), (99, 0)))

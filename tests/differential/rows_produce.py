"""tests/differential/rows_produce.py — Produce: what a batch may be, and how it is answered."""
import struct

import batch
from batch import GZIP, LOG_APPEND_TIME, LZ4, NONE, SNAPPY, ZSTD, old_message, record
from script import ZERO, case

MADE_UP = 900_000_000              # ids of producers that no broker gives so soon
ALIKE = (4, 6, 9, 10, 11, 12)       # versions that say of a batch what the one before says
CODECS = {"none": NONE, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}


def request(s, topic, *partitions, acks=-1, transactional_id=None, timeout_ms=20000):
    """partitions: (index, records)."""
    return {"acks": acks, "timeout_ms": timeout_ms, "transactional_id": transactional_id,
            "topic_data": [{"name": topic, "topic_id": s.topic_ids.get(topic, ZERO),
                            "partition_data": [{"index": i, "records": r} for i, r in partitions]}]}


def sender(s, version, topic):
    def send(label, records, partition=0, **fields):
        return s.ask(label, "Produce", version, request(s, topic, (partition, records), **fields))
    return send


def fetch(s, topic):
    s.ask("as stored", "Fetch", 12, {
        "replica_id": -1, "max_wait_ms": 0, "min_bytes": 1, "max_bytes": 1000000, "topics": [{
            "topic": topic, "partitions": [{"partition": 0, "fetch_offset": 0,
                                            "partition_max_bytes": 1000000}]}]})


@case("Produce", 3, 13)
def good_batches(s, version):
    send = sender(s, version, s.topic("good", 2))
    send("one record", s.batch())
    send("three records", s.batch(3))
    send("another partition", s.batch(2), partition=1)
    send("acks 1", s.batch(), acks=1)
    send("a timeout of zero", s.batch(), timeout_ms=0, acks=1)
    send("a timeout below zero", s.batch(), timeout_ms=-1, acks=1)
    send("a leader epoch of its own", s.batch(leader_epoch=9))
    send("an unused attribute", s.batch(attributes=0x4000))
    send("a delete horizon", s.batch(attributes=batch.DELETE_HORIZON))
    send("null key, value, headers", s.batch(records=record(value=None)))
    send("empty key and value", s.batch(records=record(value=b"", key=b"")))
    send("headers", s.batch(records=record(headers=[(b"a", b"1"), (b"", None), (b"a", b"")])))
    s.exact_offsets = False
    send("a base offset of its own", s.batch(base_offset=77))


@case("Produce", 3, 13, but=ALIKE)
def every_codec(s, version):
    s.exact_offsets = False
    send = sender(s, version, s.topic("codecs"))
    for name, codec in CODECS.items():
        send(name, s.batch(3, codec=codec))
    for codec in (5, 6, 7):
        send(f"codec {codec}", s.batch(codec=codec))
    for name, codec in CODECS.items():
        if codec != NONE:
            send(f"{name} of something else", s.batch(codec=codec, payload=b"this is not compressed"))
            send(f"{name} of nothing", s.batch(codec=codec, payload=b""))
    send("gzip cut short", s.batch(codec=GZIP, payload=batch.compress(GZIP, record())[:-9]))
    send("zstd cut short", s.batch(codec=ZSTD, payload=batch.compress(ZSTD, record())[:-2]))
    send("lz4 cut short", s.batch(codec=LZ4, payload=batch.compress(LZ4, record())[:-6]))
    send("snappy cut short", s.batch(codec=SNAPPY, payload=batch.compress(SNAPPY, record())[:-2]))


@case("Produce", 3, 13, but=ALIKE)
def the_shape_of_records(s, version):
    s.exact_offsets = False
    send = sender(s, version, s.topic("shape"))
    good = s.batch(2)
    send("nothing", b"")
    send("one byte", b"\0")
    send("half a header", good[:30])
    send("a header without its last byte", good[:60])
    send("a batch without its last byte", good[:-1])
    send("a batch and a byte", good + b"\0")
    send("a batch and half of one", good + good[:40])
    send("two batches", good + good)
    send("a header only", s.batch(1, payload=b""))
    send("zeros", bytes(100))
    send("all ones", b"\xff" * 100)
    for length in (-1, 0, 13, 14, 48, 49, 50, 2**31 - 1, -2**31):
        send(f"length {length}", s.batch(2, length=length))
    for magic in (3, 127, -1, -128):
        send(f"magic {magic}", s.batch(2, magic=magic))
    send("a changed byte", good[:-1] + bytes([good[-1] ^ 1]))
    send("crc of zero", s.batch(2, crc=0))


@case("Produce", 8, 8)
def no_records_at_all(s, version):
    sender(s, version, s.topic("null"))("null", None)


@case("Produce", 3, 13, but=ALIKE)
def counts_and_deltas(s, version):
    s.exact_offsets = False
    send = sender(s, version, s.topic("counts"))
    for count, delta in ((0, -1), (0, 0), (1, 1), (1, 0), (2, 0), (3, 2), (1, -1), (-1, 0), (-1, -2),
                         (2**31 - 1, 2**31 - 2), (2**31 - 1, 2**31 - 1)):
        send(f"{count} records, last delta {delta}, one there",
             s.batch(records=record(), record_count=count, last_offset_delta=delta))
    two = record(0) + record(1)
    send("two records there, one counted", s.batch(records=two, record_count=1, last_offset_delta=0))
    send("two records there, three counted", s.batch(records=two, record_count=3, last_offset_delta=2))
    send("deltas from one", s.batch(2, records=record(1) + record(2)))
    send("equal deltas", s.batch(2, records=record(0) + record(0)))
    send("falling deltas", s.batch(2, records=record(1) + record(0)))
    send("a gap in the deltas", s.batch(2, records=record(0) + record(5)))
    send("a negative delta", s.batch(records=record(-1)))
    for name, codec in (("gzip", GZIP), ("zstd", ZSTD)):
        send(f"{name}: two there, one counted",
             s.batch(records=two, codec=codec, record_count=1, last_offset_delta=0))
        send(f"{name}: two there, three counted",
             s.batch(records=two, codec=codec, record_count=3, last_offset_delta=2))
        send(f"{name}: deltas from one", s.batch(2, codec=codec, records=record(1) + record(2)))
        send(f"{name}: a gap in the deltas", s.batch(2, codec=codec, records=record(0) + record(5)))


@case("Produce", 7, 8)
def records_that_are_broken(s, version):
    s.exact_offsets = False
    send = sender(s, version, s.topic("records"))
    good = record()
    broken = {
        "length zero": b"\0", "length below zero": b"\x01" + good[1:],
        "length too large": b"\x7e" + good[1:], "length too small": b"\x08" + good[1:],
        "a byte behind the headers": record(tail=b"x"),
        "one header promised, none there": record(header_count=1),
        "headers below zero": record(header_count=-1),
        "a header without a key": record(headers=[(None, b"1")]),
        "attributes": record(attributes=1),
        "an endless varint": b"\xff" * 12,
        "garbage behind the record": good + b"garbage",
        "nothing": b"",
    }
    for name, payload in broken.items():
        send(name, s.batch(records=payload))
        send(name + ", gzip", s.batch(records=payload, codec=GZIP))


@case("Produce", 3, 13, but=ALIKE)
def old_formats(s, version):
    s.exact_offsets = False
    send = sender(s, version, s.topic("old"))
    for magic in (0, 1):
        send(f"format {magic}", old_message(magic, s.time))
        send(f"two of format {magic}", old_message(magic, s.time) + old_message(magic, s.time, offset=1))
        send(f"format {magic}, large", old_message(magic, s.time, b"v" * 200))
        send(f"format {magic}, large, wrong crc", old_message(magic, s.time, b"v" * 200)[:-1] + b"x")
        send(f"format {magic} behind format 2", s.batch() + old_message(magic, s.time))
        send(f"format 2 that says {magic}", s.batch(magic=magic))


@case("Produce", 3, 13, but=ALIKE)
def what_a_producer_may_not_say(s, version):
    s.exact_offsets = False
    topic = s.topic("flags")
    send = sender(s, version, topic)
    control = record(key=struct.pack(">hh", 0, 1), value=struct.pack(">hi", 0, 0))
    send("a control batch", s.batch(records=control, attributes=batch.CONTROL))
    send("a transactional control batch", s.batch(
        records=control, attributes=batch.CONTROL | batch.TRANSACTIONAL, producer_id=MADE_UP + 5,
        producer_epoch=0))
    send("LogAppendTime", s.batch(attributes=LOG_APPEND_TIME))
    send("LogAppendTime, gzip", s.batch(attributes=LOG_APPEND_TIME, codec=GZIP))
    fetch(s, topic)


@case("Produce", 3, 13)
def topics_and_partitions(s, version):
    topic = s.topic("there", 2)
    missing = s.name("missing")
    send = sender(s, version, topic)
    for partition in (2, -1, 2**31 - 1, -2**31):
        send(f"partition {partition}", s.batch(), partition=partition)
    sender(s, version, missing)("no such topic", s.batch())
    sender(s, version, "bad name/")("a name that cannot be", s.batch())
    sender(s, version, "")("no name", s.batch())
    for acks in (2, -2, 127, -128):
        send(f"acks {acks}", s.batch(), acks=acks)
    both = request(s, topic, (0, s.batch()), (1, s.batch(magic=3)))
    both["topic_data"] += request(s, missing, (0, s.batch()))["topic_data"]
    s.ask("one good, one bad, one missing", "Produce", version, both)
    s.ask("the same partition twice", "Produce", version,
          request(s, topic, (0, s.batch(2)), (0, s.batch(3))))
    s.ask("no partitions", "Produce", version, request(s, topic))
    s.ask("no topics", "Produce", version, {"acks": -1, "timeout_ms": 1000})
    twice = request(s, topic, (0, s.batch()))
    twice["topic_data"] += request(s, topic, (1, s.batch()))["topic_data"]
    s.ask("the same topic twice", "Produce", version, twice)


@case("Produce", 3, 13)
def without_acknowledgement(s, version):
    topic = s.topic("silent")

    def send(label, records, name=topic, partition=0):
        s.ask_without_answer(label, "Produce", version,
                             request(s, name, (partition, records), acks=0))
    send("a good batch", s.batch())
    send("a changed byte", s.batch(crc=0))
    send("a control batch", s.batch(attributes=batch.CONTROL))
    send("no such partition", s.batch(), partition=7)
    send("no such topic", s.batch(), name=s.name("missing"))
    send("old format", old_message(1, s.time))
    s.ask("the end", "ListOffsets", 4, {"replica_id": -1, "topics": [{"name": topic, "partitions": [
        {"partition_index": 0, "timestamp": -1}]}]})


@case("Produce", 3, 13, but=ALIKE)
def sizes(s, version):
    s.exact_offsets = False
    topic = s.topic("small", max_message_bytes=300)
    send = sender(s, version, topic)
    empty = len(s.batch(records=record(value=b"x" * 100))) - 100
    for size in (299, 300, 301, 400):
        send(f"{size} bytes", s.batch(records=record(value=b"x" * (size - empty))))
    send("too large and damaged", s.batch(records=record(value=b"x" * 500), crc=0))
    send("too large and counted wrong", s.batch(records=record(value=b"x" * 500), record_count=2))
    send("two batches", s.batch() + s.batch(records=record(value=b"x" * 500)))
    large = record(value=bytes(1000))
    send("small by gzip", s.batch(records=large, codec=GZIP))
    zero = s.topic("zero", max_message_bytes=0)
    sender(s, version, zero)("any batch where nothing may be", s.batch())
    normal = sender(s, version, s.topic("normal"))
    payload = record(value=bytes(1048588 - 61 - 12))
    over = len(s.batch(records=payload)) - 1048588
    normal("a megabyte and a byte", s.batch(records=record(value=bytes(1048588 - 61 - 12 - over + 1))))
    normal("a megabyte", s.batch(records=record(value=bytes(1048588 - 61 - 12 - over))))


@case("Produce", 3, 13, but=ALIKE)
def times(s, version):
    s.exact_offsets = False
    hour = 3600_000
    send = sender(s, version, s.topic("times"))
    send("no time", s.batch(base_timestamp=-1, max_timestamp=-1))
    send("below no time", s.batch(base_timestamp=-2, max_timestamp=-2))
    send("1970", s.batch(time_ms=0))
    send("in half an hour", s.batch(time_ms=s.now + hour // 2))
    send("in two hours", s.batch(time_ms=s.now + 2 * hour))
    send("in two hours, gzip", s.batch(time_ms=s.now + 2 * hour, codec=GZIP))
    send("only the header is in two hours", s.batch(max_timestamp=s.now + 2 * hour))
    send("only the record is in two hours", s.batch(records=record(timestamp_delta=4 * hour)))
    send("the second is in two hours",
         s.batch(2, records=record() + record(1, timestamp_delta=4 * hour)))
    send("the end of time", s.batch(time_ms=2**63 - 1))
    strict = sender(s, version, s.topic("strict", message_timestamp_before_max_ms=hour // 2))
    strict("an hour old", s.batch())
    strict("an hour old, the second", s.batch(
        2, base_timestamp=s.now, max_timestamp=s.now,
        records=record() + record(1, timestamp_delta=-hour)))
    strict("now", s.batch(time_ms=s.now))
    strict("strict, no time", s.batch(base_timestamp=-1, max_timestamp=-1))
    fixed = sender(s, version, s.topic("fixed", message_timestamp_after_max_ms=0,
                                       message_timestamp_before_max_ms=0))
    fixed("an hour old, nothing allowed", s.batch())


@case("Produce", 3, 13, but=ALIKE)
def the_time_of_the_append(s, version):
    topic = s.topic("append", message_timestamp_type="LogAppendTime")
    send = sender(s, version, topic)
    send("three records", s.batch(3))
    send("gzip", s.batch(3, codec=GZIP))
    send("in two hours", s.batch(time_ms=s.now + 7200_000))
    send("LogAppendTime from the producer", s.batch(attributes=LOG_APPEND_TIME))
    send("a control batch", s.batch(attributes=batch.CONTROL))
    fetch(s, topic)


@case("Produce", 3, 13, but=ALIKE)
def a_compacted_topic(s, version):
    s.exact_offsets = False
    topic = s.topic("compact", cleanup_policy="compact")
    send = sender(s, version, topic)
    keyed, bare = record(key=b"k"), record()
    send("a key", s.batch(records=keyed))
    send("an empty key", s.batch(records=record(key=b"")))
    send("a tombstone", s.batch(records=record(key=b"k", value=None)))
    send("no key", s.batch(records=bare))
    send("the second without a key", s.batch(2, records=keyed + record(1)))
    send("two without a key", s.batch(2, records=bare + record(1)))
    send("all of five without a key", s.batch(5))
    for name, codec in CODECS.items():
        if codec != NONE:
            send(f"a key, {name}", s.batch(records=keyed, codec=codec))
            send(f"no key, {name}", s.batch(records=bare, codec=codec))
    both = sender(s, version, s.topic("both", cleanup_policy="compact,delete"))
    both("no key, compact and delete", s.batch())
    timed = sender(s, version, s.topic("timed", cleanup_policy="compact",
                                       message_timestamp_type="LogAppendTime"))
    timed("a key, LogAppendTime", s.batch(records=keyed))
    timed("no key, LogAppendTime", s.batch(records=bare))
    s.ask("the end", "ListOffsets", 4, {"replica_id": -1, "topics": [{"name": topic, "partitions": [
        {"partition_index": 0, "timestamp": -1}]}]})


@case("Produce", 3, 13, but=ALIKE)
def a_codec_of_the_topic(s, version):
    for kind in ("uncompressed", "gzip", "snappy", "lz4", "zstd"):
        topic = s.topic("codec" + kind, compression_type=kind)
        sender(s, version, topic)(f"gzip to {kind}", s.batch(3, codec=GZIP))
        sender(s, version, topic)(f"none to {kind}", s.batch(3))


@case("Produce", 3, 13, but=ALIKE)
def idempotent(s, version):
    send = sender(s, version, s.topic("idempotent", 2))
    producer = s.quiet("InitProducerId", 1, {"transaction_timeout_ms": 1000})["producer_id"]

    def put(label, sequence, count=1, epoch=0, partition=0, producer_id=producer, **fields):
        send(label, s.batch(count, producer_id=producer_id, producer_epoch=epoch,
                            base_sequence=sequence, **fields), partition=partition)
    put("first", 0, 2)
    put("again", 0, 2)
    put("next", 2, 3)
    put("again, the first", 0, 2)
    put("overlapping", 1, 3)
    put("a gap", 7)
    put("a new epoch, not at 0", 5, epoch=1)
    put("a new epoch", 0, epoch=1)
    put("the old epoch", 1)
    put("four more 1", 1, epoch=1)
    put("four more 2", 2, epoch=1)
    put("four more 3", 3, epoch=1)
    put("four more 4", 4, epoch=1)
    put("four more 5", 5, epoch=1)
    put("out of the window", 0, epoch=1)
    put("the oldest in the window", 1, epoch=1)
    put("an unknown producer, not at 0", 9, producer_id=MADE_UP + 77)
    put("its next", 10, producer_id=MADE_UP + 77)
    put("near the end of sequences", 2**31 - 2, producer_id=MADE_UP + 78)
    put("around the end", 2**31 - 1, 3, producer_id=MADE_UP + 78)
    put("behind the end", 2, producer_id=MADE_UP + 78)
    put("another partition", 4, partition=1)
    put("no sequence", -1)
    put("sequence below none", -2)
    put("no epoch", 6, epoch=-1)
    put("no epoch, an unknown producer", 0, epoch=-1, producer_id=MADE_UP + 80)
    put("no epoch, an unknown producer, next", 1, epoch=-1, producer_id=MADE_UP + 80)
    put("no id, a sequence", 3, epoch=-1, producer_id=-1)
    put("no id, an epoch", -1, epoch=3, producer_id=-1)
    put("id below none", 0, producer_id=-2)
    put("epoch at its end", 0, epoch=32767, producer_id=MADE_UP + 79)


@case("Produce", 3, 13, but=ALIKE)
def transactional(s, version):
    topic = s.topic("transactional")
    send = sender(s, version, topic)
    send("a transactional id", s.batch(), transactional_id=s.name("t"))
    send("an empty transactional id", s.batch(), transactional_id="")
    send("a transactional batch, no id", s.batch(
        attributes=batch.TRANSACTIONAL, producer_id=MADE_UP + 5, producer_epoch=0, base_sequence=0))
    send("a transactional batch and id", s.batch(
        attributes=batch.TRANSACTIONAL, producer_id=MADE_UP + 5, producer_epoch=0, base_sequence=0),
        transactional_id=s.name("t"))
    send("a transactional batch without a producer", s.batch(attributes=batch.TRANSACTIONAL))


@case("Produce", 0, 2)
def versions_that_are_only_announced(s, version):
    s.ask("a batch", "Produce", version, {"acks": -1, "timeout_ms": 1000, "topic_data": []})

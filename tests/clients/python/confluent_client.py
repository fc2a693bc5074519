"""tests/clients/python/confluent_client.py — confluent-kafka for Python against a broker.

  /usr/bin/python3 confluent_client.py HOST:PORT PREFIX

Each check uses topics named PREFIX-something and prints `ok NAME` or `FAILED NAME: reason`; a
check of NOT_EVERYWHERE whose API the broker does not announce prints `skipped NAME: reason`.
"""
import sys
import time
import traceback

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

ADDRESS, PREFIX = sys.argv[1], sys.argv[2]
SECONDS = 30
RECENT_MS = int(time.time()) * 1000 - 3_600_000      # old records would fall to retention


class Difference(Exception):
    pass


def expect(condition, text):
    if not condition:
        raise Difference(text)


def producer(**options):
    return ck.Producer({"bootstrap.servers": ADDRESS, **{k.replace("_", "."): v
                                                         for k, v in options.items()}})


def consumer():
    return ck.Consumer({"bootstrap.servers": ADDRESS, "group.id": "nobody",
                        "enable.auto.commit": False, "enable.partition.eof": True,
                        "auto.offset.reset": "error"})


_admin = AdminClient({"bootstrap.servers": ADDRESS})    # outlives the futures it gives


def admin():
    return _admin


def wait(futures):
    return {key: future.result(SECONDS) for key, future in futures.items()}


def wait_for_leaders(topic, partitions):
    """Kafka answers before its brokers serve a new topic, and a batch refused meanwhile is sent
    again behind later ones."""
    reader, limit = consumer(), time.monotonic() + SECONDS
    waiting = set(range(partitions))
    while waiting:
        expect(time.monotonic() < limit, f"partitions {waiting} of a new topic have no leader")
        try:
            reader.get_watermark_offsets(ck.TopicPartition(topic, min(waiting)), 1)
            waiting.remove(min(waiting))
        except ck.KafkaException:
            time.sleep(0.05)
    reader.close()


def create(name, partitions=4, **config):
    topic = f"{PREFIX}-{name}"
    wait(admin().create_topics([NewTopic(topic, partitions, 1,
                                         config={k.replace("_", "."): v for k, v in config.items()})]))
    wait_for_leaders(topic, partitions)
    return topic


def produce(topic, records, client=None, **keywords):
    """records: (partition, key, value)"""
    client = client or producer()
    errors = []
    for partition, key, value in records:
        client.produce(topic, value, key, partition=partition,
                       on_delivery=lambda error, _: error and errors.append(error), **keywords)
        client.poll(0)
    expect(client.flush(SECONDS) == 0, "not everything was delivered in time")
    expect(not errors, f"delivery: {errors[:3]}")


def consume(topic, starts):
    """starts: partition -> offset; per partition the messages up to its end."""
    client = consumer()
    client.assign([ck.TopicPartition(topic, p, offset) for p, offset in starts.items()])
    found, open_partitions = {p: [] for p in starts}, set(starts)
    limit = time.monotonic() + SECONDS
    while open_partitions:
        expect(time.monotonic() < limit, f"partitions {open_partitions} did not end")
        for message in client.consume(500, 0.2):
            if message.error():
                expect(message.error().code() == ck.KafkaError._PARTITION_EOF, str(message.error()))
                open_partitions.discard(message.partition())
            else:
                found[message.partition()].append(message)
    client.close()
    return found


def records(count, partitions=4):
    return [(i % partitions, b"key%d" % (i % 10), b"value %d " % i * (i % 30)) for i in range(count)]


def same_records(messages, wanted, partition):
    got = [(m.key(), m.value()) for m in messages]
    if got != wanted:
        first = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), min(len(got), len(wanted)))
        raise Difference(f"partition {partition}: {len(got)} records, wanted {len(wanted)}; the first "
                         f"difference is at {first}: {got[first:first + 2]}, wanted "
                         f"{wanted[first:first + 2]}")
    expect([m.offset() for m in messages] == list(range(len(wanted))), f"offsets of {partition}")


def check_round_trip():
    topic, sent = create("round"), records(4000)
    produce(topic, sent)
    found = consume(topic, {p: ck.OFFSET_BEGINNING for p in range(4)})
    for p in range(4):
        same_records(found[p], [(key, value) for at, key, value in sent if at == p], p)


def check_idempotent():
    topic, sent = create("idempotent"), records(4000)
    produce(topic, sent, producer(enable_idempotence=True, compression_type="lz4",
                                  batch_num_messages=100))
    found = consume(topic, {p: ck.OFFSET_BEGINNING for p in range(4)})
    for p in range(4):
        same_records(found[p], [(key, value) for at, key, value in sent if at == p], p)


def check_headers():
    topic = create("headers", 1)
    produce(topic, [(0, None, None)], timestamp=RECENT_MS,
            headers=[("a", b"1"), ("a", b"\x00\xff"), ("none", None), ("empty", b"")])
    message = consume(topic, {0: 0})[0][0]
    expect(message.headers() == [("a", b"1"), ("a", b"\x00\xff"), ("none", None), ("empty", b"")],
           f"headers {message.headers()}")
    expect(message.key() is None and message.value() is None, "null key and value")
    expect(message.timestamp() == (ck.TIMESTAMP_CREATE_TIME, RECENT_MS), f"{message.timestamp()}")


def check_positions():
    topic = create("positions", 1)
    produce(topic, [(0, b"k", b"%d" % i) for i in range(100)])

    def values(start):
        return [int(m.value()) for m in consume(topic, {0: start})[0]]
    expect(values(ck.OFFSET_BEGINNING) == list(range(100)), "beginning")
    expect(values(60) == list(range(60, 100)), "offset 60")
    expect(values(ck.OFFSET_END) == [], "end")
    client = consumer()
    client.assign([ck.TopicPartition(topic, 0, 0)])
    expect(int(client.consume(1, SECONDS)[0].value()) == 0, "before the seek")
    client.seek(ck.TopicPartition(topic, 0, 42))
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit:
        message = client.poll(1)
        if message and not message.error() and message.offset() >= 42:
            break
    expect(message and int(message.value()) == 42, "after seek(42)")
    client.close()


def check_offsets():
    topic = create("offsets", 2)
    client = producer()
    for i in range(50):
        client.produce(topic, b"%d" % i, partition=0, timestamp=RECENT_MS + i * 1000)
    expect(client.flush(SECONDS) == 0, "flush")
    reader = consumer()
    expect(reader.get_watermark_offsets(ck.TopicPartition(topic, 0), SECONDS) == (0, 50), "of 0")
    expect(reader.get_watermark_offsets(ck.TopicPartition(topic, 1), SECONDS) == (0, 0), "of 1")
    asked = [ck.TopicPartition(topic, 0, RECENT_MS + 20500), ck.TopicPartition(topic, 1, 1)]
    got = reader.offsets_for_times(asked, SECONDS)
    expect(got[0].offset == 21, f"offset for a time {got[0]}")
    expect(got[1].offset == ck.OFFSET_END, f"a time in an empty partition {got[1]}")
    got = reader.offsets_for_times([ck.TopicPartition(topic, 0, RECENT_MS + 50000)], SECONDS)
    expect(got[0].offset == ck.OFFSET_END, f"a time after the last record {got[0]}")
    reader.close()


def check_create_delete():
    client = admin()
    topic = create("made", 3, retention_ms="123456", segment_bytes="1048576")
    listed = client.list_topics(timeout=SECONDS)
    expect(len(listed.topics[topic].partitions) == 3, f"{listed.topics.get(topic)}")
    expect(all(p.leader in listed.brokers for p in listed.topics[topic].partitions.values()),
           "a partition without a leader")
    try:
        create("made", 3)
        raise Difference("a topic was made twice")
    except ck.KafkaException as error:
        expect(error.args[0].code() == ck.KafkaError.TOPIC_ALREADY_EXISTS, f"{error}")
    try:
        create("bad/name", 1)
        raise Difference("a topic with a slash was made")
    except ck.KafkaException as error:
        expect(error.args[0].code() == ck.KafkaError.TOPIC_EXCEPTION, f"{error}")
    wait(client.delete_topics([topic], operation_timeout=SECONDS))
    limit = time.monotonic() + SECONDS
    while topic in admin().list_topics(timeout=SECONDS).topics:
        expect(time.monotonic() < limit, "still listed after it was deleted")
        time.sleep(0.05)
    try:
        wait(client.delete_topics([topic], operation_timeout=SECONDS))
        raise Difference("a topic was deleted twice")
    except ck.KafkaException as error:
        expect(error.args[0].code() == ck.KafkaError.UNKNOWN_TOPIC_OR_PART, f"{error}")
    topic = create("made", 1)       # the name is free again, and the new topic is empty
    reader = consumer()
    expect(reader.get_watermark_offsets(ck.TopicPartition(topic, 0), SECONDS) == (0, 0), "not empty")
    reader.close()


def check_partitions():
    topic = create("grown", 1)
    produce(topic, [(0, b"k", b"v")])
    wait(admin().create_partitions([NewPartitions(topic, 5)]))
    wait_for_leaders(topic, 5)
    produce(topic, [(p, b"k", b"v") for p in range(5)])
    found = consume(topic, {p: 0 for p in range(5)})
    expect([len(found[p]) for p in range(5)] == [2, 1, 1, 1, 1], f"{found}")


def check_configs():
    topic = create("configs", 1, retention_ms="86400000", cleanup_policy="delete")
    client = admin()
    of_topic, of_broker = (ConfigResource("topic", topic),
                           ConfigResource("broker", str(next(iter(client.list_topics().brokers)))))
    found = wait(client.describe_configs([of_topic]))[of_topic]
    expect(found["retention.ms"].value == "86400000", f"retention.ms {found['retention.ms'].value}")
    expect(not found["retention.ms"].is_default, "retention.ms is not a default")
    expect(found["segment.bytes"].value == "1073741824", f"segment.bytes {found['segment.bytes'].value}")
    expect(found["segment.bytes"].is_default, "segment.bytes is a default")
    for name in ("cleanup.policy", "compression.type", "flush.messages", "max.message.bytes",
                 "message.timestamp.type", "min.insync.replicas", "retention.bytes", "segment.ms"):
        expect(name in found, f"{name} is missing")
    found = wait(client.describe_configs([of_broker]))[of_broker]
    for name in ("log.dirs", "num.partitions", "auto.create.topics.enable", "log.segment.bytes"):
        expect(name in found, f"{name} of the broker is missing")


CHECKS = [
    ("producer, consumer by assign, 4 partitions", check_round_trip),
    ("idempotent producer, lz4", check_idempotent),
    ("headers, null key and value, timestamp", check_headers),
    ("assign and seek to beginning, offset, end", check_positions),
    ("watermarks and offsets for times", check_offsets),
    ("AdminClient creates, lists, deletes topics", check_create_delete),
    ("AdminClient adds partitions", check_partitions),
    ("AdminClient describes topic and broker configs", check_configs),
]


# A broker may go without these; clients that write and read do not need them.
NOT_EVERYWHERE = {"AdminClient adds partitions"}


def main():
    failed = 0
    for name, check in CHECKS:
        try:
            check()
            print(f"ok {name}", flush=True)
        except Exception as error:
            code = error.args[0].code() if isinstance(error, ck.KafkaException) else None
            if name in NOT_EVERYWHERE and code == ck.KafkaError._UNSUPPORTED_FEATURE:
                print(f"skipped {name}: {error.args[0].str()}", flush=True)
                continue
            where = traceback.extract_tb(error.__traceback__)
            line = next((f.lineno for f in reversed(where) if f.filename == __file__), 0)
            print(f"FAILED {name}: {type(error).__name__} (line {line}): {error}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

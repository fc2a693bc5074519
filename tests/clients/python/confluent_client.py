"""tests/clients/python/confluent_client.py — confluent-kafka for Python against a broker.

  confluent_client.py checks HOST:PORT PREFIX      topics named PREFIX-something; prints `ok NAME`
                                                   or `FAILED NAME: reason` per check
  confluent_client.py reconnect HOST:PORT TOPIC    writes and reads, says `half` and expects to be
                                                   cut off then (../reconnect.py)
Works with Debian's old version and with a current one, which can administer more.
"""
import sys
import time
import traceback

import confluent_kafka as ck
import confluent_kafka.admin as ck_admin
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

MODE, ADDRESS, PREFIX = sys.argv[1:]
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
    client = producer() if client is None else client     # an idle Producer counts as false
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


def check_codecs():
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        topic, sent = create(codec, 1), records(1000, 1)
        produce(topic, sent, producer(compression_type=codec, linger_ms=20))
        same_records(consume(topic, {0: 0})[0], [(key, value) for _, key, value in sent], 0)


def check_large():
    topic, big = create("large", 1), bytes(i * 7 % 251 for i in range(1_000_000))
    client = producer(message_max_bytes="10000000")
    produce(topic, [(0, b"big", big)], client)
    try:
        produce(topic, [(0, b"bigger", bytes(2_000_000))], client)
        raise Difference("2 MB were accepted")
    except Difference as refusal:
        expect("MSG_SIZE_TOO_LARGE" in str(refusal), str(refusal))
    produce(topic, [(0, b"after", b"after")], client)
    same_records(consume(topic, {0: 0})[0], [(b"big", big), (b"after", b"after")], 0)


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
    client = producer()
    for i in range(100):
        produce(topic, [(0, b"k", b"%d" % i)], client, timestamp=RECENT_MS + i * 1000)

    def values(start):
        return [int(m.value()) for m in consume(topic, {0: start})[0]]
    expect(values(ck.OFFSET_BEGINNING) == list(range(100)), "beginning")
    expect(values(60) == list(range(60, 100)), "offset 60")
    reader = consumer()
    found = reader.offsets_for_times([ck.TopicPartition(topic, 0, RECENT_MS + 29_500)], SECONDS)[0]
    reader.close()
    expect(values(found.offset) == list(range(30, 100)), f"a time: {found}")
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


def check_alter_config():
    topic = create("altered", 1)
    resource = ConfigResource("topic", topic)

    def change(operation, value):
        entry = ck_admin.ConfigEntry("max.message.bytes", value, incremental_operation=operation)
        wait(admin().incremental_alter_configs(
            [ConfigResource("topic", topic, incremental_configs=[entry])]))
        return wait(admin().describe_configs([resource]))[resource]["max.message.bytes"].value
    expect(change(ck_admin.AlterConfigOpType.SET, "2000") == "2000", "the change does not show")
    try:
        produce(topic, [(0, None, bytes(3000))])
        raise Difference("3,000 bytes were accepted")
    except Difference as refusal:
        expect("MSG_SIZE_TOO_LARGE" in str(refusal), str(refusal))
    expect(change(ck_admin.AlterConfigOpType.DELETE, None) == "1048588", "the default is not back")
    produce(topic, [(0, None, bytes(3000))])


def check_delete_records():
    topic = create("trimmed", 1)
    produce(topic, records(100, 1))
    wanted = ck.TopicPartition(topic, 0, 40)
    low = next(iter(wait(admin().delete_records([wanted])).values())).low_watermark
    expect(low == 40, f"low watermark {low}")
    messages = consume(topic, {0: ck.OFFSET_BEGINNING})[0]
    expect([m.offset() for m in messages] == list(range(40, 100)), "what is left")
    try:
        wait(admin().delete_records([ck.TopicPartition(topic, 0, 101)]))
        raise Difference("101 of 100 records were deleted")
    except ck.KafkaException as error:
        expect(error.args[0].code() == ck.KafkaError.OFFSET_OUT_OF_RANGE, f"{error}")


def check_describe():
    topic = create("described", 3)
    produce(topic, records(30, 3))
    cluster = admin().describe_cluster(request_timeout=SECONDS).result(SECONDS)
    expect(len(cluster.nodes) == 1 and cluster.cluster_id and cluster.controller, f"{cluster}")
    found = wait(admin().describe_topics(ck.TopicCollection([topic])))[topic]
    expect(len(found.partitions) == 3, f"{len(found.partitions)} partitions described")
    expect(all(p.leader.id == p.isr[0].id for p in found.partitions), "leaders")
    for spec, wanted in ((ck_admin.OffsetSpec.earliest(), 0), (ck_admin.OffsetSpec.latest(), 10)):
        asked = {ck.TopicPartition(topic, p): spec for p in range(3)}
        offsets = [result.offset for result in wait(admin().list_offsets(asked)).values()]
        expect(offsets == [wanted] * 3, f"{offsets}")


CHECKS = [
    ("producer, consumer by assign, 4 partitions", check_round_trip),
    ("codecs none gzip snappy lz4 zstd", check_codecs),
    ("idempotent producer, lz4", check_idempotent),
    ("headers, null key and value, timestamp", check_headers),
    ("a record of 1 MB, one too large", check_large),
    ("assign and seek to beginning, offset, time, end", check_positions),
    ("watermarks and offsets for times", check_offsets),
    ("AdminClient creates, lists, deletes topics", check_create_delete),
    ("AdminClient adds partitions", check_partitions),
    ("AdminClient describes topic and broker configs", check_configs),
]
if hasattr(AdminClient, "delete_records"):
    CHECKS += [
        ("AdminClient changes a topic's config", check_alter_config),
        ("AdminClient deletes records", check_delete_records),
        ("AdminClient describes cluster and topics, lists offsets", check_describe),
    ]


def reconnect(topic, count=400):
    """A producer and a consumer over a kill -9: what was acknowledged is read once, in order."""
    wait(admin().create_topics([NewTopic(topic, 1, 1)]))
    wait_for_leaders(topic, 1)
    quick = {"bootstrap.servers": ADDRESS, "reconnect.backoff.max.ms": 500}
    writer = ck.Producer({**quick, "enable.idempotence": True, "linger.ms": 1})
    reader = ck.Consumer({**quick, "group.id": "nobody", "enable.auto.commit": False,
                          "auto.offset.reset": "error"})
    reader.assign([ck.TopicPartition(topic, 0, 0)])
    acknowledged, seen, limit = [], [], time.monotonic() + 100

    def on_delivery(error, message):
        expect(error is None, f"not written: {error}")
        acknowledged.append(int(message.value()))
        if len(acknowledged) == count // 2:
            print("half", flush=True)

    sent = 0
    while len(acknowledged) < count or len(seen) < count:
        expect(time.monotonic() < limit, f"{len(acknowledged)} acknowledged, {len(seen)} read")
        if sent < count and sent - len(acknowledged) < 20:
            writer.produce(topic, b"%d" % sent, partition=0, on_delivery=on_delivery)
            sent += 1
        writer.poll(0.002)
        message = reader.poll(0)
        if message and not message.error():
            seen.append(int(message.value()))
    expect(acknowledged == list(range(count)), "acknowledged in order")
    expect(seen == list(range(count)), f"read in order, each once: {seen[:10]} ...")
    reader.close()
    print(f"acknowledged {len(acknowledged)} read {len(seen)}")
    return 0


def checks():
    failed = 0
    for name, check in CHECKS:
        try:
            check()
            print(f"ok {name}", flush=True)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            line = next((f.lineno for f in reversed(where) if f.filename == __file__), 0)
            print(f"FAILED {name}: {type(error).__name__} (line {line}): {error}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(reconnect(PREFIX) if MODE == "reconnect" else checks())

"""tests/clients/python/packages_client.py — a package index through the broker, librdkafka inside.

  packages_client.py create ADDRESS TOPIC             8 partitions
  packages_client.py write  ADDRESS TOPIC FILE CODEC  all records, keyed; prints `half` on the way
  packages_client.py check  ADDRESS TOPIC FILE        all is there once, in order, byte-identical,
                                                      from beginning, offset, timestamp and end

FILE holds records as: key bytes, value bytes (two big-endian 32-bit lengths), key, value; every
value occurs once, so a value names its record.  Record i is sent with timestamp base + i, where
base is FILE's modification time less an hour.
"""
import os
import struct
import sys
import time

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 8
SECONDS = 60


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    records, at = [], 0
    while at < len(data):
        key_bytes, value_bytes = struct.unpack_from(">II", data, at)
        at += 8
        records.append((data[at:at + key_bytes], data[at + key_bytes:at + key_bytes + value_bytes]))
        at += key_bytes + value_bytes
    base = int(os.path.getmtime(path)) * 1000 - 3_600_000
    return records, base


def create(address, topic):
    client = AdminClient({"bootstrap.servers": address})
    for future in client.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(SECONDS)
    # Kafka answers before its brokers serve the topic, and a batch refused meanwhile is sent again.
    reader, limit = ck.Consumer({"bootstrap.servers": address, "group.id": "x"}), time.monotonic() + SECONDS
    waiting = set(range(PARTITIONS))
    while waiting:
        try:
            reader.get_watermark_offsets(ck.TopicPartition(topic, min(waiting)), 1)
            waiting.remove(min(waiting))
        except ck.KafkaException as error:
            if time.monotonic() > limit:
                sys.exit(f"partitions {waiting} of a new topic have no leader: {error}")
            time.sleep(0.05)
    reader.close()


def write(address, topic, path, codec):
    records, base = load(path)
    client = ck.Producer({
        "bootstrap.servers": address, "enable.idempotence": True, "compression.type": codec,
        "queue.buffering.max.messages": 5000, "reconnect.backoff.max.ms": 500,
        "message.timeout.ms": 90000})
    acknowledged, errors = 0, []

    def delivered(error, _message):
        nonlocal acknowledged
        if error:
            errors.append(error)
        acknowledged += 1
        if acknowledged == len(records) // 2:
            print("half", flush=True)

    for i, (key, value) in enumerate(records):
        while True:
            try:
                client.produce(topic, value, key, timestamp=base + i, on_delivery=delivered)
                break
            except BufferError:
                client.poll(0.1)
        client.poll(0)
    left = client.flush(SECONDS)
    if left or errors:
        sys.exit(f"{left} not delivered, {len(errors)} errors: {errors[:2]}")
    print(f"acknowledged {acknowledged}", flush=True)


def read(address, topic, starts):
    """Per partition the messages from its start to its end."""
    client = ck.Consumer({"bootstrap.servers": address, "group.id": "nobody",
                          "enable.auto.commit": False, "enable.partition.eof": True,
                          "auto.offset.reset": "error", "check.crcs": True})
    client.assign([ck.TopicPartition(topic, p, starts[p]) for p in range(PARTITIONS)])
    found, still_open = [[] for _ in range(PARTITIONS)], set(range(PARTITIONS))
    limit = time.monotonic() + SECONDS
    while still_open:
        if time.monotonic() > limit:
            sys.exit(f"partitions {sorted(still_open)} did not come to their end in {SECONDS} s, "
                     f"{sum(map(len, found))} records so far")
        for message in client.consume(2000, 0.1):
            if not message.error():
                found[message.partition()].append(message)
            elif message.error().code() == ck.KafkaError._PARTITION_EOF:
                still_open.discard(message.partition())
            else:
                sys.exit(f"consume: {message.error()}")
    client.close()
    return found


def check(address, topic, path):
    records, base = load(path)
    number_of = {value: i for i, (_, value) in enumerate(records)}
    whole = read(address, topic, [ck.OFFSET_BEGINNING] * PARTITIONS)

    # Everything once, in the order it was sent, nothing else, byte by byte.
    seen, partition_of = set(), {}
    for p, messages in enumerate(whole):
        last = -1
        for at, message in enumerate(messages):
            number = number_of.get(message.value())
            if number is None:
                sys.exit(f"partition {p} offset {message.offset()}: a value nobody sent")
            if message.key() != records[number][0]:
                sys.exit(f"partition {p} offset {message.offset()}: another key")
            if message.offset() != at:
                sys.exit(f"partition {p}: offset {message.offset()} where {at} should be")
            if number in seen:
                sys.exit(f"record {number} twice, again in partition {p} at {message.offset()}")
            if number < last:
                sys.exit(f"partition {p} offset {at}: record {number} after record {last}")
            if partition_of.setdefault(message.key(), p) != p:
                sys.exit(f"key {message.key()} in two partitions")
            if message.timestamp() != (ck.TIMESTAMP_CREATE_TIME, base + number):
                sys.exit(f"record {number}: timestamp {message.timestamp()}, sent {base + number}")
            seen.add(number)
            last = number
    if len(seen) != len(records):
        lost = sorted(set(range(len(records))) - seen)
        sys.exit(f"{len(lost)} records are lost, the first are {lost[:5]}")

    def must_equal(found, starts, what):
        for p in range(PARTITIONS):
            wanted = whole[p][starts[p]:]
            if [(m.offset(), m.key(), m.value()) for m in found[p]] != \
                    [(m.offset(), m.key(), m.value()) for m in wanted]:
                sys.exit(f"{what}: partition {p} from offset {starts[p]} gives {len(found[p])} "
                         f"records, wanted {len(wanted)}")

    middles = [len(messages) // 2 for messages in whole]
    must_equal(read(address, topic, middles), middles, "from an offset")

    moment = base + len(records) * 2 // 3
    client = ck.Consumer({"bootstrap.servers": address, "group.id": "nobody"})
    answers = client.offsets_for_times([ck.TopicPartition(topic, p, moment)
                                        for p in range(PARTITIONS)], SECONDS)
    client.close()
    starts = [0] * PARTITIONS
    for answer in answers:
        messages = whole[answer.partition]
        wanted = next((m.offset() for m in messages if m.timestamp()[1] >= moment), ck.OFFSET_END)
        if answer.error or answer.offset != wanted:
            sys.exit(f"time {moment} in partition {answer.partition}: {answer.offset}, wanted {wanted}")
        starts[answer.partition] = len(messages) if wanted < 0 else wanted
    must_equal(read(address, topic, starts), starts, "from a timestamp")

    ends = [len(messages) for messages in whole]
    must_equal(read(address, topic, [ck.OFFSET_END] * PARTITIONS), ends, "from the end")
    print(f"checked {len(records)} records")


if __name__ == "__main__":
    {"create": create, "write": write, "check": check}[sys.argv[1]](*sys.argv[2:])

"""tests/durability/record_load.py — producers whose every record can be recognised, and the check.

A record's value is "<writer> <partition> <number> " and filling that follows from these; numbers of
a writer rise by one per partition.  Writers with acks=all are idempotent: each acknowledged record
is there exactly once, at the offset that was told, in order.  Writers with acks=1 send once and
never again: those acknowledged are there (unless power was cut), at most once, in order.
check() fails on an empty load: a check of nothing proves nothing."""
import logging
import threading
import time
import zlib

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from broker_process import Failed

QUIET = logging.getLogger("rdkafka")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def value_of(writer, partition, number, size):
    head = f"{writer} {partition} {number} ".encode()
    seed = zlib.crc32(head)
    filling = (b"%08x" % seed) * (size // 8 + 1)
    return head + filling[:max(0, size - len(head))]


def create_topic(address, topic, partitions, config=None):
    admin = AdminClient({"bootstrap.servers": address})
    futures = admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])
    futures[topic].result(timeout=30)
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        known = admin.list_topics(topic, timeout=5).topics[topic].partitions
        if len(known) == partitions and all(p.leader >= 0 for p in known.values()):
            return
        time.sleep(0.02)
    raise Failed(f"topic {topic} did not get leaders")


class Load:
    """What every writer knows of its records, whichever client sends them."""

    def __init__(self, name, parts):
        self.writer, self.parts = name, list(parts)
        self.lock = threading.Lock()
        self.acknowledged = {}          # (partition, number) -> offset
        self.refused = {}               # (partition, number) -> error name
        self.fatal = None
        self.sent = {p: 0 for p in self.parts}

    def noted(self):
        with self.lock:
            return dict(self.acknowledged)

    def count(self):
        return len(self.acknowledged)

    def wait_for_more(self, seconds=30, records=1):
        """Until so many were acknowledged since now; or the writer has ended."""
        wanted, give_up = self.count() + records, time.monotonic() + seconds
        while self.count() < wanted and self.fatal is None:
            if time.monotonic() > give_up:
                raise Failed(f"writer {self.writer}: {self.count() + records - wanted} of {records} records "
                             f"were acknowledged within {seconds} s")
            time.sleep(0.002)

    def stop(self):
        """Whatever state it is in: no more records; does not wait."""
        raise NotImplementedError


class Noted:
    """A writer with what was acknowledged at some moment, while it goes on."""

    def __init__(self, load):
        self.writer, self.sent, self.acknowledged = load.writer, load.sent, load.noted()

    def noted(self):
        return self.acknowledged


class Writer(Load, threading.Thread):
    """librdkafka; sends to its partitions in turn until told to end; `acknowledged` grows by callbacks."""

    def __init__(self, name, address, topic, parts, acks, records_per_second=3000,
                 size=200, compression="none", timeout_ms=120000):
        threading.Thread.__init__(self, daemon=True)
        Load.__init__(self, name, range(parts) if isinstance(parts, int) else parts)
        self.topic, self.acks = topic, acks
        self.interval, self.size = 1.0 / records_per_second, size
        self.ending = threading.Event()
        idempotent = acks == -1
        self.producer = Producer({
            "bootstrap.servers": address, "acks": acks, "enable.idempotence": idempotent,
            "message.send.max.retries": 2147483647 if idempotent else 0,
            "message.timeout.ms": timeout_ms if idempotent else 10000, "retry.backoff.ms": 10,
            "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50, "linger.ms": 2,
            "batch.num.messages": 20, "compression.type": compression,
            "topic.metadata.refresh.interval.ms": 1000, "log_level": 0,
            "queue.buffering.max.messages": 2000, "error_cb": self.on_error,
        }, logger=QUIET)

    def on_error(self, error):
        if error.fatal():
            self.fatal = str(error)

    def on_delivery(self, error, message):
        partition, number = (int(word) for word in message.value().split(b" ", 3)[1:3])
        with self.lock:
            if error is None:
                self.acknowledged[partition, number] = message.offset()
            else:
                self.refused[partition, number] = error.name()

    def run(self):
        try:
            turn = 0
            while not self.ending.is_set() and self.fatal is None:
                turn = self.send(turn)
        except KafkaException as error:         # fatal: the broker forgot what it acknowledged
            self.fatal = str(error)

    def send(self, turn):
        partition = self.parts[turn % len(self.parts)]
        number = self.sent[partition]
        size = self.size if turn % 50 else self.size * 100
        try:
            self.producer.produce(self.topic, partition=partition,
                                  value=value_of(self.writer, partition, number, size),
                                  on_delivery=self.on_delivery)
        except BufferError:
            self.producer.poll(0.01)
            return turn
        self.sent[partition] += 1
        self.producer.poll(0)
        if turn % 10 == 0:
            time.sleep(self.interval * 10)
        return turn + 1

    def stop(self):
        self.ending.set()

    def end(self, seconds=60):
        """How many records are neither acknowledged nor refused."""
        self.ending.set()
        self.join()
        left = self.producer.flush(seconds)
        if self.fatal is not None:
            raise Failed(f"writer {self.writer}: {self.fatal}")
        return left


def read_all(address, topic, partitions, seconds=120, only=None):
    """[[(offset, value)]] of every partition, from its start to its end; only: a list of partitions."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "check.crcs": True,
                         "enable.auto.commit": False, "enable.partition.eof": True,
                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20,
                         "log_level": 0, "reconnect.backoff.ms": 5})
    records = [[] for _ in range(partitions)]
    open_partitions = set(range(partitions) if only is None else only)
    consumer.assign([TopicPartition(topic, p, 0) for p in sorted(open_partitions)])
    give_up = time.monotonic() + seconds
    try:
        while open_partitions:
            if time.monotonic() > give_up:
                raise Failed(f"{topic}: partitions {sorted(open_partitions)} were not read to the "
                             f"end within {seconds} s")
            for message in consumer.consume(2000, 0.2):
                error = message.error()
                if error is None:
                    records[message.partition()].append((message.offset(), message.value()))
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
                elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                    raise Failed(f"{topic}-{message.partition()}: {error}")
    finally:
        consumer.close()
    return records


def problems_of(writers, records, lossy=(), gaps=False):
    """What is wrong with what was read; lossy: writers whose records may be lost."""
    problems = []
    places = {}                         # (writer, partition, number) -> offset
    by_name = {w.writer: w for w in writers}
    newest = {}
    for partition, rows in enumerate(records):
        for i, (offset, value) in enumerate(rows):
            if not gaps and i > 0 and offset != rows[i - 1][0] + 1:
                problems.append(f"hole: partition {partition} {rows[i - 1][0]} then {offset}")
            words = value.split(b" ", 3)
            name, at, number = words[0].decode(errors="replace"), int(words[1]), int(words[2])
            if (name not in by_name or at != partition or number >= by_name[name].sent.get(at, 0) or
                    value != value_of(name, at, number, len(value))):
                problems.append(f"invented: partition {partition} offset {offset} {value[:40]!r}")
                continue
            key = name, partition, number
            if key in places:
                problems.append(f"twice: {key} at {places[key]} and {offset}")
                continue
            places[key] = offset
            if number < newest.get((name, partition), -1):
                problems.append(f"order: {key} at {offset} behind "
                                f"{newest[name, partition]}")
            newest[name, partition] = number
    for w in writers:
        for (partition, number), offset in w.noted().items():
            found = places.get((w.writer, partition, number))
            if found is None and w.writer not in lossy:
                problems.append(f"lost: {w.writer} {partition} {number} acknowledged at {offset}")
            elif found is not None and offset >= 0 and found != offset and w.writer not in lossy:
                problems.append(f"moved: {w.writer} {partition} {number} acknowledged at {offset}, "
                                f"is at {found}")
    return problems


def check(writers, records, lossy=()):
    if not any(w.noted() for w in writers) or not any(records):
        raise Failed("nothing was acknowledged or read: this proves nothing")
    problems = problems_of(writers, records, lossy)
    if problems:
        kinds = {}
        for problem in problems:
            kinds[problem.split(":")[0]] = kinds.get(problem.split(":")[0], 0) + 1
        raise Failed(f"{kinds}; first: " + "; ".join(problems[:5]))
    return sum(len(w.noted()) for w in writers)

"""tests/durability/record_reader.py — a consumer that goes on while the broker dies, and remembers.

What a consumer was given stays: at the same offset, with the same value, after whatever happened (but for
acks=1 after a power cut, docs/durability.md).  The runner asks at the end.
Failures: check() raises with the first offsets that say something else now."""
import threading
import zlib

from confluent_kafka import Consumer, TopicPartition

from broker_process import Failed
from record_load import QUIET


class Reader(threading.Thread):
    def __init__(self, address, topic, parts):
        super().__init__(daemon=True)
        self.seen = {}                  # (partition, offset) -> checksum of the value
        self.changed = []
        self.ending = threading.Event()
        self.consumer = Consumer({
            "bootstrap.servers": address, "group.id": "none", "check.crcs": True, "log_level": 0,
            "enable.auto.commit": False, "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20,
            "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 50,
            "topic.metadata.refresh.interval.ms": 1000}, logger=QUIET)
        self.consumer.assign([TopicPartition(topic, p, 0) for p in parts])

    def run(self):
        while not self.ending.is_set():
            for message in self.consumer.consume(1000, 0.1):
                if message.error() is None:
                    self.note(message.partition(), message.offset(), message.value())
        self.consumer.close()

    def note(self, partition, offset, value):
        checksum = zlib.crc32(value)
        if self.seen.setdefault((partition, offset), checksum) != checksum:
            self.changed.append((partition, offset))

    def stop(self):
        self.ending.set()

    def check(self, records):
        """Ends the reader; records: as of read_all.  Returns how many records it had been given."""
        self.stop()
        self.join()
        if not self.seen:
            raise Failed("the reader was given nothing: this proves nothing")
        there = {(p, offset): zlib.crc32(value) for p, rows in enumerate(records) for offset, value in rows}
        gone = [key for key, checksum in self.seen.items() if there.get(key) != checksum]
        if gone or self.changed:
            raise Failed(f"{len(gone)} records that a consumer was given are gone or are others now, first "
                         f"{sorted(gone)[:3]}; {len(self.changed)} changed while it read {self.changed[:3]}")
        return len(self.seen)

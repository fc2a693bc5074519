"""tests/durability/scenario_full.py — the disk is full, and after a while it is not.  Needs root.

Refused with KAFKA_STORAGE_ERROR, reads go on, heals by itself, and after a kill -9 in the middle of
it everything acknowledged is there.  Once filled to the last byte with nothing kept free, and once
with the minimum that is kept by default: then the broker also starts on the full disk."""
import os
import time

from confluent_kafka import Producer

from broker_process import Broker, Failed
from mounts import ShutdownMount
from record_load import Writer, check, create_topic, read_all

PARTITIONS = 2


class Ballast:
    """Fills the mount up to a few free bytes, again and again while the broker frees some."""

    def __init__(self, mount, broker_reserve):
        self.path = os.path.join(mount.path, "ballast")
        self.mount, self.reserve = mount, broker_reserve

    def fill(self):
        s = os.statvfs(self.mount.path)
        free = s.f_bavail * s.f_frsize
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.posix_fallocate(fd, 0, max(4096, free - self.reserve))
        os.close(fd)

    def drop(self):
        if os.path.exists(self.path):
            os.unlink(self.path)


def refusal_of(address, topic):
    """The error a client without retries is told."""
    errors = []
    producer = Producer({"bootstrap.servers": address, "acks": -1, "log_level": 0,
                         "message.send.max.retries": 0, "message.timeout.ms": 5000})
    for _ in range(40):                 # small ones may still fit
        producer.produce(topic, partition=0, value=b"probe" + b"x" * 100000,
                         on_delivery=lambda e, m: errors.append(e))
        producer.flush(10)
        if errors[-1] is not None:
            return errors[-1].name()
    return None


def wait_for(what, holds, seconds):
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def full_disk(options, directory, shards, keeps_free):
    mount = ShutdownMount(directory, megabytes=64)
    broker = Broker(options.binary, f"{mount.path}/data", f"{directory}/broker.log", shards,
                    ["log.segment.bytes=1048576", "log.retention.ms=-1",
                     f"ringlog.log.min.free.bytes={-1 if keeps_free else 0}"])
    # Kept free are 2 % of the disk: less is never filled from outside, so that the broker decides.
    ballast = Ballast(mount, broker_reserve=4 << 20 if keeps_free else 2 << 20)
    writers, started_full = [], 0
    try:
        broker.start()
        create_topic(broker.address, "full", PARTITIONS)
        create_topic(broker.address, "probe", 1)
        writers = [Writer("all", broker.address, "full", PARTITIONS, -1, options.rate),
                   Writer("one", broker.address, "full", PARTITIONS, 1, options.rate / 4)]
        for w in writers:
            w.start()
        time.sleep(0.3)
        for turn in range(3):
            ballast.fill()
            wait_for("records are refused", lambda: writers[1].refused and stalled(writers[0]), 30)
            name = refusal_of(broker.address, "probe")
            if name not in ("KAFKA_STORAGE_ERROR",) + (() if keeps_free else (None,)):
                raise Failed(f"a full disk was told as {name}")
            read_all(broker.address, "full", PARTITIONS)        # reads go on
            if turn == 2:
                broker.kill()
                started_full = broker.start(check=False)
                if keeps_free and not started_full:
                    raise Failed("does not start although space was kept free")
                if started_full:
                    read_all(broker.address, "full", PARTITIONS)
                ballast.drop()
                if not started_full:
                    broker.start()
            ballast.drop()
            before = len(writers[0].noted())
            wait_for("heals by itself", lambda: len(writers[0].noted()) > before + 10, 15)
        for w in writers:
            w.end()
        acknowledged = check(writers, read_all(broker.address, "full", PARTITIONS))
        broker.kill()
        broker.start()
        check(writers, read_all(broker.address, "full", PARTITIONS))
    finally:
        for w in writers:
            w.ending.set()
        broker.kill()
        mount.close()
    return ({"full disks": 3, "records acknowledged": acknowledged},
            f"{'starts' if started_full else 'does not start'} on a full disk")


def stalled(writer, seconds=0.5):
    before = len(writer.noted())
    time.sleep(seconds)
    return len(writer.noted()) == before

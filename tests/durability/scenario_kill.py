"""tests/durability/scenario_kill.py — kill -9 under load, again and again, with real idempotent producers.

Every acknowledged record is there exactly once (acks=1: at most once), in order, at the offset that was
told; what a consumer was given stays.  No idempotent producer is ever told that a record failed."""
import random
import time

from broker_process import Broker, Failed
from java_writer import JavaWriter
from record_load import Noted, Writer, check, create_topic, read_all
from record_reader import Reader

PARTITIONS = 4
TOPIC = "kill"


def librdkafka_writers(address, rate):
    return [Writer("all", address, TOPIC, PARTITIONS, -1, rate),
            Writer("lz4", address, TOPIC, PARTITIONS, -1, rate / 4, compression="lz4"),
            Writer("one", address, TOPIC, PARTITIONS, 1, rate / 2)]


def java_writers(address, rate):
    return [JavaWriter("java", address, TOPIC, PARTITIONS, rate / 2),
            JavaWriter("javazstd", address, TOPIC, PARTITIONS, rate / 4, compression="zstd")]


def kill_loop(options, directory, shards, make_writers=librdkafka_writers):
    rng = random.Random(options.seed)
    broker = Broker(options.binary, f"{directory}/data", f"{directory}/broker.log", shards,
                    ["log.segment.bytes=65536", "log.retention.ms=-1"])
    writers, readers, slowest = [], [], 0.0
    try:
        broker.start()
        create_topic(broker.address, TOPIC, PARTITIONS)
        writers = make_writers(broker.address, options.rate)
        readers = [Reader(broker.address, TOPIC, range(PARTITIONS))]
        for thread in writers + readers:
            thread.start()
        for cycle in range(options.cycles):
            for w in writers:
                w.wait_for_more(60)
            time.sleep(rng.uniform(0.0, 0.2))
            broker.kill()
            if rng.random() < 0.2:          # and once more while it starts
                broker.spawn()
                time.sleep(rng.uniform(0.0, 0.03))
                broker.kill()
            broker.start()
            slowest = max(slowest, broker.ready_seconds)
            if cycle % 25 == 24:            # in between, what is there is what was acknowledged
                noted = [Noted(w) for w in writers]
                check(noted, read_all(broker.address, TOPIC, PARTITIONS))
        for w in writers:
            w.end()
        for w in writers:
            if w.refused and w.writer != "one":
                raise Failed(f"writer {w.writer} was told {set(w.refused.values())}")
        records = read_all(broker.address, TOPIC, PARTITIONS)
        acknowledged = check(writers, records)
        seen = readers[0].check(records)
        broker.stop()
        broker.start()
        check(writers, read_all(broker.address, TOPIC, PARTITIONS))
    finally:
        for thread in writers + readers:
            thread.stop()
        broker.kill()
    return ({"kill -9": options.cycles, "records acknowledged": acknowledged, "records consumed meanwhile": seen},
            f"slowest start {slowest:.2f} s")

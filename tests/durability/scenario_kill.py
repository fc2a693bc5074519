"""tests/durability/scenario_kill.py — kill -9 under load, again and again."""
import random
import time

from broker_process import Broker
from record_load import Writer, check, create_topic, read_all

PARTITIONS = 4


def kill_loop(options, directory, shards):
    """Every acknowledged record is there exactly once (acks=1: at most once), in order."""
    rng = random.Random(options.seed)
    broker = Broker(options.binary, f"{directory}/data", f"{directory}/broker.log", shards,
                    ["log.segment.bytes=65536", "log.retention.ms=-1"])
    broker.start()
    create_topic(broker.address, "kill", PARTITIONS)
    writers = [Writer("all", broker.address, "kill", PARTITIONS, -1, options.rate),
               Writer("lz4", broker.address, "kill", PARTITIONS, -1, options.rate / 4,
                      compression="lz4"),
               Writer("one", broker.address, "kill", PARTITIONS, 1, options.rate / 2)]
    for w in writers:
        w.start()
    slowest = 0.0
    try:
        for cycle in range(options.cycles):
            writers[0].wait_for_more()
            time.sleep(rng.uniform(0.0, 0.2))
            broker.kill()
            broker.start()
            slowest = max(slowest, broker.ready_seconds)
            if cycle % 25 == 24:        # in between, what is there is what was acknowledged
                check_now(broker, writers)
        for w in writers:
            w.end()
        acknowledged = check(writers, read_all(broker.address, "kill", PARTITIONS))
        broker.stop()
        broker.start()
        check(writers, read_all(broker.address, "kill", PARTITIONS))
    finally:
        for w in writers:
            w.ending.set()
        broker.kill()
    return f"{options.cycles} kills, {acknowledged} acknowledged, slowest start {slowest:.2f} s"


def check_now(broker, writers):
    """While writers go on: only what was acknowledged before the read began must be there."""
    noted = [(w, w.noted()) for w in writers]
    records = read_all(broker.address, "kill", PARTITIONS)

    class Frozen:
        def __init__(self, w, acknowledged):
            self.writer, self.sent, self.acknowledged = w.writer, w.sent, acknowledged

        def noted(self):
            return self.acknowledged

    check([Frozen(w, a) for w, a in noted], records)

"""tests/durability/scenario_power.py — the power is cut under load.  Needs root for the mount.

After each cut what was acknowledged with acks=all must be there.  The negative control runs the
same with ringlog.acks.all.sync=false and must lose something, or the harness proves nothing."""
import random
import time

from broker_process import Broker, Failed
from cut_mount import CutMount
from record_load import Writer, create_topic, problems_of, read_all

PARTITIONS = 4


def power_loop(options, directory, shards, sync=True, kind="ext4"):
    rng = random.Random(options.seed)
    mount = CutMount(directory, kind=kind)
    broker = Broker(options.binary, f"{mount.path}/data", f"{directory}/broker.log", shards,
                    ["log.segment.bytes=65536", "log.retention.ms=-1",
                     f"ringlog.acks.all.sync={'true' if sync else 'false'}"])
    writers, lost_cycles, problems, acknowledged = [], 0, [], 0
    try:
        broker.start()
        create_topic(broker.address, "power", PARTITIONS)
        for cycle in range(options.cuts):
            if cycle % 10 == 0:         # new writers now and then: reading all stays quick
                for w in writers:
                    w.end()
                topic = f"power{cycle}"
                create_topic(broker.address, topic, PARTITIONS)
                writers = [Writer("all", broker.address, topic, PARTITIONS, -1, options.rate),
                           Writer("one", broker.address, topic, PARTITIONS, 1, options.rate / 2)]
                for w in writers:
                    w.start()
            writers[0].wait_for_more()
            time.sleep(rng.uniform(0.0, 0.3))
            broker.freeze()
            time.sleep(0.02)            # what is on its way to the writers arrives
            noted = [(w.writer, w.noted()) for w in writers]
            mount.cut()
            broker.kill()
            mount.unmount()
            mount.mount()
            if rng.random() < 0.3:      # a start that dies proves nothing to the next one
                broker.spawn()
                time.sleep(rng.uniform(0.0, 0.05))
                broker.kill()
            broker.start()
            found = problems_after(broker, topic, writers, dict(noted))
            acknowledged += len(dict(noted)["all"])
            lost_cycles += any(p.startswith("lost") for p in found)
            problems += [f"cycle {cycle}: {p}" for p in found]
            if sync and problems:
                raise Failed("; ".join(problems[:5]))
            if not sync and lost_cycles:
                break
        if sync:
            for w in writers:
                w.end()
    finally:
        for w in writers:
            w.ending.set()
        broker.kill()
        mount.close()
    if acknowledged == 0:
        raise Failed("nothing was acknowledged: this proves nothing")
    if not sync and lost_cycles == 0:
        raise Failed("without syncs nothing was lost: the cut does not cut")
    return (f"{options.cuts} cuts, {acknowledged} acknowledged with acks=all"
            if sync else f"lost, as it must be, in cut {cycle + 1}")


class Noted:
    def __init__(self, writer, acknowledged):
        self.writer, self.sent, self.acknowledged = writer.writer, writer.sent, acknowledged

    def noted(self):
        return self.acknowledged


def problems_after(broker, topic, writers, noted):
    records = read_all(broker.address, topic, PARTITIONS)
    return problems_of([Noted(w, noted[w.writer]) for w in writers], records, lossy=("one",))

"""tests/durability/scenario_power.py — the power is cut under load.  Needs root for the mount.

After each cut what was acknowledged with acks=all must be there, once, in order, where it was told, and so
must be what a consumer was given of partitions that only acks=all wrote to.  The negative control runs
the same with ringlog.acks.all.sync=false and must lose something, or the harness proves nothing."""
import random
import time

from broker_process import Broker, Failed
from record_load import Noted, Writer, create_topic, problems_of, read_all
from record_reader import Reader

PARTITIONS = 4
ALL_ONLY = [2, 3]                       # partitions without acks=1
CUTS_PER_TOPIC = 10                     # then new writers: reading all stays quick


def power_loop(options, directory, shards, make_mount, kind, sync=True):
    rng = random.Random(options.seed)
    mount = make_mount(directory, kind)
    broker = Broker(options.binary, f"{mount.path}/data", f"{directory}/broker.log", shards,
                    ["log.segment.bytes=65536", "log.retention.ms=-1",
                     f"ringlog.acks.all.sync={'true' if sync else 'false'}"])
    run = PowerRun(options, rng, mount, broker, sync)
    try:
        broker.start()
        for cycle in range(options.cuts):
            if cycle % CUTS_PER_TOPIC == 0:
                run.next_topic(cycle)
            run.cycle(cycle)
            if not sync and run.lost > 0:
                break
        if sync:
            run.finish_topic()
    finally:
        run.stop()
        broker.kill()
        mount.close()
    if run.acknowledged == 0:
        raise Failed("nothing was acknowledged: this proves nothing")
    if not sync and run.lost == 0:
        raise Failed("without syncs nothing was lost: the cut does not cut")
    what = f"power cuts, {kind}" + (", write cache" if not mount.needs_frozen else "")
    if not sync:
        return {"controls that lost, as they must": 1}, f"{run.lost} of {run.acknowledged} lost in cut {cycle + 1}"
    return {what: options.cuts, "records acknowledged": run.acknowledged, "acknowledged records lost": run.lost,
            "records consumed meanwhile": run.seen}, ""


class PowerRun:
    def __init__(self, options, rng, mount, broker, sync):
        self.options, self.rng, self.mount, self.broker, self.sync = options, rng, mount, broker, sync
        self.writers, self.reader, self.topic = [], None, None
        self.acknowledged = self.lost = self.seen = 0

    def next_topic(self, cycle):
        self.finish_topic()
        address, rate = self.broker.address, self.options.rate
        self.topic = f"power{cycle}"
        create_topic(address, self.topic, PARTITIONS)
        self.writers = [Writer("all", address, self.topic, PARTITIONS, -1, rate),
                        Writer("one", address, self.topic, [0, 1], 1, rate / 2)]
        self.reader = Reader(address, self.topic, ALL_ONLY)
        for thread in self.writers + [self.reader]:
            thread.start()

    def finish_topic(self):
        for w in self.writers:
            w.end()
        if self.reader is not None:
            records = read_all(self.broker.address, self.topic, PARTITIONS)
            self.seen += self.reader.check(records)
            self.note_problems(problems_of(self.writers, records, lossy=("one",)))
            self.acknowledged += sum(w.count() for w in self.writers if w.acks == -1)
        self.writers, self.reader = [], None

    def stop(self):
        for thread in self.writers + ([self.reader] if self.reader else []):
            thread.stop()

    def cut(self):
        """What had been acknowledged when the power failed."""
        if self.mount.needs_frozen:
            self.broker.freeze()
            time.sleep(0.02)                # what is on its way to the writers arrives
            noted = [Noted(w) for w in self.writers]
            self.mount.cut(0)
            self.broker.kill()
            return noted
        self.mount.cut(self.rng.choice([0, self.rng.getrandbits(63)]))
        time.sleep(self.rng.choice([0, 0, 0.05]))       # it may notice that its disk is gone
        self.broker.kill()
        time.sleep(0.02)
        return [Noted(w) for w in self.writers]         # also what it said since: nothing may be a lie

    def cycle(self, cycle):
        self.writers[0].wait_for_more()
        time.sleep(self.rng.uniform(0.0, 0.3))
        noted = self.cut()
        self.mount.unmount()
        self.mount.power_on()
        self.mount.mount()
        if self.rng.random() < 0.3:         # a start that dies proves nothing to the next one
            self.broker.spawn()
            time.sleep(self.rng.uniform(0.0, 0.05))
            self.broker.kill()
        self.broker.start()
        records = read_all(self.broker.address, self.topic, PARTITIONS)
        if not self.sync:
            self.acknowledged += len(noted[0].noted())
        self.note_problems(problems_of(noted, records, lossy=("one",)), f"cut {cycle}: ")

    def note_problems(self, problems, where=""):
        self.lost += sum(p.startswith("lost") for p in problems)
        if self.sync and problems:
            raise Failed(f"{where}{len(problems)} problems: " + "; ".join(problems[:5]))

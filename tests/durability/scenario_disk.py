"""tests/durability/scenario_disk.py — the disk fails in part, hangs, is read-only; descriptors run out.

- write errors: the blocks of one partition's newest file answer EIO.  That partition refuses for a moment
  and goes on in a new file, whether the blocks get well or not; the others acknowledge all the time.
- sync errors: the disk's flushes fail, and what was not flushed is lost at the next cut: whatever was
  acknowledged after the first failed one is a lie, and shows.
- stalls: the disk hangs for a while.  Nothing is acknowledged by acks=all meanwhile, nobody is refused.
- read-only: ext4 finds itself damaged.  Records are refused, reads and metadata go on (where no sync had failed).
- directory gone: a partition's directory is moved away and back.  The others do not notice; it heals.
- descriptors: the process may open no more.  Who is connected is served on.
After each the broker is killed, or the power cut, and every acknowledged record is there, once, in order.
Needs root for the mounts; the last two do not."""
import os
import random
import resource
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from broker_process import Broker, Failed
from mounts import FaultMount, ShutdownMount
from raw_fetch import NONE, RawClient
from record_load import Noted, Writer, check, create_topic, read_all

SICK, WELL = ("sick", 1), ("well", 2)           # topic, partitions
FOREVER = 1000000


def wait_for(what, holds, seconds):
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.005)


class DiskRun:
    """A broker on a mount, with idempotent writers to a partition that will suffer and to two others."""

    def __init__(self, options, directory, mount, shards=2, segment_bytes=1 << 20, topics=(SICK, WELL)):
        self.options, self.mount, self.topics = options, mount, topics
        self.rng = random.Random(options.seed)
        self.broker = Broker(options.binary, f"{mount.path if mount else directory}/data",
                             f"{directory}/broker.log", shards,
                             [f"log.segment.bytes={segment_bytes}", "log.retention.ms=-1"])
        self.writers = {}

    def start(self):
        self.broker.start()
        for topic, partitions in self.topics:
            create_topic(self.broker.address, topic, partitions)
            self.writers[topic] = Writer(topic, self.broker.address, topic, partitions, -1,
                                         self.options.rate / 2)
        for w in self.writers.values():
            w.start()
        self.wait_for_all()

    def wait_for_all(self, seconds=30):
        for w in self.writers.values():
            w.wait_for_more(seconds, 20)

    def cut(self):
        """Whatever was acknowledged until now, and what the broker still says, must not be a lie."""
        # A file system that met an error writes its superblock, in place: half of that, and it is gone.
        self.mount.cut(self.rng.choice([0, self.rng.getrandbits(63)]), sector_bytes=4096)
        self.broker.kill()
        self.mount.unmount()
        self.mount.power_on()
        self.mount.mount()

    def restart(self, power_cut):
        if power_cut:
            self.cut()
        else:
            self.broker.kill()
        noted = {topic: Noted(w) for topic, w in self.writers.items()}
        self.broker.start()
        self.check(noted)

    def check(self, writers):
        return sum(check([writers[topic]], read_all(self.broker.address, topic, partitions))
                   for topic, partitions in self.topics)

    def end(self):
        """Everything is acknowledged now, and still there after one more cut; how many records."""
        for w in self.writers.values():
            w.end()
            if w.refused:
                raise Failed(f"writer {w.writer} was told {sorted(set(w.refused.values()))}")
        self.check(self.writers)
        if self.mount is not None and not self.mount.needs_frozen:
            self.cut()
        else:
            self.broker.kill()
        self.broker.start()
        return self.check(self.writers)

    def close(self):
        for w in self.writers.values():
            w.stop()
        self.broker.kill()
        if self.mount is not None:
            self.mount.close()


def in_a_run(make_run, body):
    """body(run) -> (counts, text); whatever happens nothing is left behind."""
    run = make_run()
    try:
        run.start()
        counts, text = body(run)
        counts["records acknowledged"] = run.end()
        return counts, text
    finally:
        run.close()


# ---- errors

def newest_segment(directory):
    names = [n for n in os.listdir(directory) if n.endswith(".log")]
    return os.path.join(directory, max(names))


def break_newest_segment(run):
    """Returns once a write to it has failed."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        before = run.mount.command("counts")[2]
        run.mount.fail_writes_of(newest_segment(f"{run.broker.data_dir}/sick-0"))
        time.sleep(0.3)
        if run.mount.command("counts")[2] > before:
            return
        run.mount.command("go")         # it had been rolled in between
    raise Failed("no write reached the blocks that fail")


def wait_until_healed(run, seconds=20):
    """Without a restart."""
    run.writers["sick"].wait_for_more(seconds, 20)


def write_errors(options, directory, kind):
    def body(run):
        for cycle in range(options.faults):
            break_newest_segment(run)
            run.writers["well"].wait_for_more(20, 50)
            if cycle % 2 == 0:
                run.mount.command("go")
            wait_until_healed(run)
            run.mount.command("go")
            run.restart(power_cut=cycle % 3 != 2)
            run.wait_for_all()
        return {f"write errors, {kind}": options.faults}, ""
    return in_a_run(lambda: DiskRun(options, directory, FaultMount(directory, kind)), body)


def sync_errors(options, directory, kind):
    def body(run):
        for _ in range(options.faults):
            time.sleep(run.rng.uniform(0.0, 0.1))
            loses = run.rng.randrange(2)
            before = run.mount.command("counts")[3]
            # A flush that lost something and is followed by one that works would break any file system; on
            # ext4 one that works is enough for a lie of the kernel's: ext4_sync_race.py.
            some = [FOREVER] if loses or kind == "ext4" else [1, 3, FOREVER]
            run.mount.command(f"fail-syncs {run.rng.choice(some)} {loses}")
            wait_for("a flush fails", lambda: run.mount.command("counts")[3] > before, 20)
            time.sleep(run.rng.uniform(0.1, 0.5))
            run.restart(power_cut=True)
            run.wait_for_all()
        return {f"sync errors, {kind}": options.faults}, ""
    return in_a_run(lambda: DiskRun(options, directory, FaultMount(directory, kind)), body)


# ---- stalls

def answers_metadata(run, seconds):
    try:
        AdminClient({"bootstrap.servers": run.broker.address, "log_level": 0}).list_topics(timeout=seconds)
        return True
    except KafkaException:
        return False


def stalls(options, directory, kind):
    def body(run):
        answered = 0
        for cycle in range(options.faults):
            run.mount.command("stall")
            time.sleep(0.2)             # what was on its way arrives
            before = [w.count() for w in run.writers.values()]
            answered += answers_metadata(run, 2)
            time.sleep(run.rng.uniform(0.1, 1.0))
            if [w.count() for w in run.writers.values()] != before:
                raise Failed("acks=all was acknowledged while the disk did nothing")
            if cycle % 3 == 2:
                run.restart(power_cut=True)
            else:
                run.mount.command("go")
            run.wait_for_all()
        return {f"stalls, {kind}": options.faults}, f"metadata was answered during {answered}"
    return in_a_run(lambda: DiskRun(options, directory, FaultMount(directory, kind)), body)


# ---- read-only, directory gone, descriptors

def read_only(options, directory):
    def make():
        mount = ShutdownMount(directory)
        mount.unmount()
        mount.mount("errors=remount-ro")
        return DiskRun(options, directory, mount)

    def is_stalled(run):
        before = [w.count() for w in run.writers.values()]
        time.sleep(0.5)
        return [w.count() for w in run.writers.values()] == before

    def body(run):
        run.broker.freeze()             # a sync that races the abort of ext4's journal may return 0:
        time.sleep(0.5)                 # those that are on their way come to an end
        run.mount.turn_read_only()
        run.broker.thaw()
        wait_for("records are refused", lambda: is_stalled(run), 20)
        if not run.broker.alive() or not answers_metadata(run, 5):
            raise Failed("the broker ended or answers nothing")
        client = RawClient(run.broker.port)
        error = client.fetch("well", 0, 0)[0]
        client.close()
        # After a failed sync nobody knows what the device has until it can be copied.
        if error != NONE and "well-0: sync failed" not in run.broker.said():
            raise Failed(f"a read was answered with error {error}")
        run.broker.kill()
        run.mount.unmount()
        run.mount.mount()
        noted = {topic: Noted(w) for topic, w in run.writers.items()}
        run.broker.start()
        run.check(noted)
        run.wait_for_all()
        return {"read-only file systems": 1}, ""
    return in_a_run(make, body)


def directory_gone(options, directory):
    def body(run):
        path, away = f"{run.broker.data_dir}/sick-0", f"{directory}/away"
        for _ in range(options.faults):
            os.rename(path, away)
            stuck = time.monotonic() + 2    # it may write into the files it has open
            while time.monotonic() < stuck:
                run.writers["well"].wait_for_more(20, 20)
            if os.path.exists(path):
                raise Failed("the directory was made anew while its records are elsewhere")
            os.rename(away, path)
            wait_until_healed(run)
            run.restart(power_cut=False)
            run.wait_for_all()
        return {"directories gone for a while": options.faults}, ""
    return in_a_run(lambda: DiskRun(options, directory, None, segment_bytes=65536), body)


def descriptors(options, directory):
    def body(run):
        pid, asked = run.broker.process.pid, 0
        first = RawClient(run.broker.port)
        usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), usual[1]))
            more = [RawClient(run.broker.port) for _ in range(20)]     # the kernel's queue takes them
            run.wait_for_all()
            asked = first.end_offset("well", 0)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        for client in more:
            if client.end_offset("well", 0) is None:
                raise Failed("a client that had to wait is not served")
            client.close()
        if asked is None or first.fetch("well", 0, 0)[0] != NONE:
            raise Failed("a client that was connected is not served")
        first.close()
        return {"descriptors run out": 1}, ""
    return in_a_run(lambda: DiskRun(options, directory, None), body)

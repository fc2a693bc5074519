"""tests/durability/scenario_flip.py — one flipped bit in each file of a data directory.

Whatever is flipped: no byte is served that was not written, what was on stable storage is not cut
away, and a side file never prevents the start.  meta.properties, partition.metadata and the
metadata log are no side files: there a start may refuse, or a partition may, but never delete."""
import os
import random
import shutil
import time

from broker_process import Broker, Failed
from raw_fetch import CORRUPT_MESSAGE, NONE, OFFSET_OUT_OF_RANGE, RawClient
from record_load import Writer, create_topic

TOPIC = "flip"
NOT_SIDE_FILES = ("meta.properties", "partition.metadata", "metadata.log")


def build(options, directory, clean):
    broker = Broker(options.binary, f"{directory}/original", f"{directory}/broker.log", 1,
                    ["log.segment.bytes=32768", "log.index.interval.bytes=1024",
                     "log.retention.ms=-1"])
    broker.start()
    create_topic(broker.address, TOPIC, 1)
    writer = Writer("all", broker.address, TOPIC, 1, -1, 3000)
    writer.start()
    while len(writer.noted()) < 600:
        time.sleep(0.01)
    writer.end()
    client = RawClient(broker.port)
    batches, offset = {}, 0
    end = client.end_offset(TOPIC, 0)
    while offset < end:
        _, _, got = client.fetch(TOPIC, 0, offset)
        batches.update(dict(got))
        offset = last_offset(*got[-1]) + 1
    client.close()
    if clean:
        broker.stop()
    else:
        broker.kill()
    return batches, end


def last_offset(base, batch):
    return base + int.from_bytes(batch[23:27], "big")


def recovery_offset(directory):
    """What the checkpoint says was on stable storage."""
    with open(f"{directory}/{TOPIC}-0/ringlog.checkpoint", "rb") as f:
        return int.from_bytes(f.read(28)[20:28], "big")


def read_around(port, batches, end):
    """(served, refused) base offsets; raises when a byte is wrong."""
    client = RawClient(port)
    bases = sorted(batches)
    served, refused, at = set(), set(), 0
    try:
        while at < len(bases):
            error, _, got = client.fetch(TOPIC, 0, bases[at], max_bytes=1)
            if error == OFFSET_OUT_OF_RANGE or (error == NONE and not got):
                break
            if error != NONE:
                if error != CORRUPT_MESSAGE:
                    raise Failed(f"offset {bases[at]}: error {error}")
                refused.add(bases[at])
                at += 1
                continue
            for base, batch in got:
                if batches.get(base) != batch:
                    raise Failed(f"offset {base}: bytes were served that were never written")
                served.add(base)
            at = bases.index(got[-1][0]) + 1
        client_end = client.end_offset(TOPIC, 0)
    finally:
        client.close()
    return served, refused, client_end


def files_of(directory):
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.getsize(path) > 0:
                yield os.path.relpath(path, directory)


def flip_one(options, directory, path, at, bit, batches, end, kept_below):
    copy = f"{directory}/copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(f"{directory}/original", copy)
    with open(f"{copy}/{path}", "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ (1 << bit)]))
    where = f"{path} byte {at} bit {bit}"
    broker = Broker(options.binary, copy, f"{directory}/broker.log")
    try:
        if not broker.start(check=False):
            if not path.endswith(NOT_SIDE_FILES):
                raise Failed(f"{where}: the broker does not start")
            same_logs(directory, copy, where)
            return "refused to start"
        try:
            served, refused, new_end = read_around(broker.port, batches, end)
        except Failed as error:
            if path.endswith(NOT_SIDE_FILES):
                same_logs(directory, copy, where)
                return "offline"
            raise Failed(f"{where}: {error}")
        log = path.endswith(".log") and "metadata" not in path
        if new_end is None or (log and new_end < kept_below) or (not log and new_end != end):
            raise Failed(f"{where}: the log ends at {new_end}, not at {end} "
                         f"(on stable storage: {kept_below})")
        if not log and refused:
            raise Failed(f"{where}: batches {sorted(refused)[:3]} are refused")
        if len(refused) > 1:
            raise Failed(f"{where}: {len(refused)} batches are refused")
        return "damage refused" if refused else "cut" if new_end < end else "all served"
    finally:
        broker.kill()


def same_logs(directory, copy, where):
    for path in files_of(f"{directory}/original"):
        if f"{TOPIC}-0/" in path and path.endswith(".log"):
            if os.path.getsize(f"{copy}/{path}") != os.path.getsize(f"{directory}/original/{path}"):
                raise Failed(f"{where}: {path} was cut")


def flips(options, directory, clean):
    rng = random.Random(options.seed)
    batches, end = build(options, directory, clean)
    kept_below = end if clean else recovery_offset(f"{directory}/original")
    counts, problems, total = {}, [], 0
    for path in sorted(files_of(f"{directory}/original")):
        size = os.path.getsize(f"{directory}/original/{path}")
        for at in sorted(rng.sample(range(size), min(size, options.flips))):
            total += 1
            try:
                result = flip_one(options, directory, path, at, rng.randrange(8), batches, end,
                                  kept_below)
                kind = os.path.splitext(path)[1] or os.path.basename(path)
                counts[f"{kind} {result}"] = counts.get(f"{kind} {result}", 0) + 1
            except Failed as error:
                problems.append(str(error))
    if problems:
        raise Failed(f"{len(problems)} of {total} flips: " + "; ".join(problems[:8]))
    return f"{total} flips: " + ", ".join(f"{n} {k}" for k, n in sorted(counts.items()))

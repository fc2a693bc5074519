"""tests/durability/scenario_flip.py — every byte of a small log and of all side files is flipped.

One partition is written, then a start gets 127 copies of it, each with one damage of its own, and one
without: so a damage costs milliseconds, and each is also a neighbour of the others.  Damages: a byte
flipped, a file cut short, a file removed; in a log left cleanly and in one left by kill -9.
Whatever it is: no byte is served that was not written; what was on stable storage is not cut away; no
.log file is removed; a side file costs nothing; `ringlog log verify` notices; a second start finds the
same, and what is appended then has the next offset.  meta.properties, partition.metadata and the metadata
log are no side files: there a start may refuse, or a partition may, but never delete.
Files beside the partitions are damaged one per start."""
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections import namedtuple

from confluent_kafka import Producer

from broker_process import Broker, Failed
from raw_fetch import CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR, NONE, OFFSET_OUT_OF_RANGE, RawClient
from record_load import create_topic

TOPIC = "flip"
COPIES = 128                            # the last one is not damaged
BATCHES = 56
NOT_SIDE_FILES = ("meta.properties", "partition.metadata", "metadata.log")
UNREAD = ("leader-epoch-checkpoint", "partition.metadata")      # verify need not notice

Damage = namedtuple("Damage", "kind file at mask")              # kind: flip, cut, remove


def described(damage):
    how = {"flip": f"byte {damage.at} ^ 0x{damage.mask:02x}", "cut": f"cut to {damage.at}", "remove": "removed"}
    return f"{damage.file} {how[damage.kind]}"


def damaged(content, damage):
    """None: no such file any more."""
    if damage.kind == "remove":
        return None
    if damage.kind == "cut":
        return content[:damage.at]
    flipped = bytearray(content)
    flipped[damage.at] ^= damage.mask
    return bytes(flipped)


# ---- the original

class Original:
    """A data directory with one written partition, in memory; `clean` says how it was left."""

    def __init__(self, options, directory, clean):
        self.clean = clean
        self.data = f"{directory}/data"
        self.broker = Broker(options.binary, self.data, f"{directory}/../broker.log", 1,
                             ["log.segment.bytes=9000", "log.index.interval.bytes=1024", "log.retention.ms=-1"])
        self.broker.start()
        create_topic(self.broker.address, TOPIC, COPIES)
        write_batches(self.broker.address)
        client = RawClient(self.broker.port)
        self.end = client.end_offset(TOPIC, 0)
        self.batches = dict(read_batches(client, 0, self.end))
        client.close()
        if clean:
            self.broker.stop()
        else:
            self.broker.kill()
        self.partition, self.root = {}, {}
        for path in files_of(self.data):
            with open(f"{self.data}/{path}", "rb") as f:
                if path.startswith(f"{TOPIC}-0/"):
                    self.partition[os.path.basename(path)] = f.read()
                elif not path.startswith(f"{TOPIC}-"):
                    self.root[path] = f.read()
        if len(self.batches) != BATCHES or len([n for n in self.partition if n.endswith(".log")]) < 3:
            raise Failed(f"{len(self.batches)} batches in {sorted(self.partition)}: too little to damage")

    def materialize(self, damages):
        """Copy i with damages[i]; root files as they were."""
        shutil.rmtree(self.data)
        for path, content in self.root.items():
            os.makedirs(os.path.dirname(f"{self.data}/{path}"), exist_ok=True)
            write_file(f"{self.data}/{path}", content)
        for i in range(COPIES):
            os.makedirs(f"{self.data}/{TOPIC}-{i}")
            damage = damages.get(i)
            for name, content in self.partition.items():
                if damage is not None and damage.file == name:
                    content = damaged(content, damage)
                if content is not None:
                    write_file(f"{self.data}/{TOPIC}-{i}/{name}", content)

    def last_batch_begins(self):
        """(file name, position) of the batch that a kill may have torn."""
        name = max(n for n in self.partition if n.endswith(".log") and self.partition[n])
        return name, len(self.partition[name]) - len(self.batches[max(self.batches)])


def write_file(path, content):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    if content:
        os.write(fd, content)
    os.close(fd)


def files_of(directory):
    for parent, _, names in os.walk(directory):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), directory)


def write_batches(address):
    """Each acknowledged before the next one: small ones, of every codec, idempotent or not."""
    producers = [Producer({"bootstrap.servers": address, "acks": -1, "compression.type": codec, "log_level": 0,
                           "enable.idempotence": idempotent, "linger.ms": 5})
                 for codec, idempotent in (("none", True), ("lz4", False), ("zstd", True), ("none", False),
                                           ("gzip", True), ("snappy", True))]
    rng = random.Random(1)
    for i in range(BATCHES):
        producer = producers[i % len(producers)]
        for _ in range(1 + i % 4):
            producer.produce(TOPIC, partition=0, key=b"key %d" % i, value=rng.randbytes(rng.randint(1, 250)))
        if producer.flush(20) > 0:
            raise Failed("the log to damage was not written")


# ---- what is served

def last_offset(base, batch):
    return base + int.from_bytes(batch[23:27], "big")


def read_batches(client, partition, end):
    offset = 0
    while offset < end:
        error, _, got = client.fetch(TOPIC, partition, offset)
        if error != NONE or not got:
            raise Failed(f"offset {offset} of the sound log: error {error}")
        yield from got
        offset = last_offset(*got[-1]) + 1


# The leader epoch of a batch is the one field that Kafka's format does not checksum: a flip there,
# behind the last checkpoint, cannot be told from what the broker wrote.  The records are checked.
EPOCH_FROM, EPOCH_TO = 12, 16


def in_leader_epoch(content, at):
    position = 0
    while position + EPOCH_TO <= len(content):
        end = position + 12 + int.from_bytes(content[position + 8:position + 12], "big")
        if at < end:
            return EPOCH_FROM <= at - position < EPOCH_TO
        position = end
    return False


def same_records(batch, other):
    return other is not None and (batch[:EPOCH_FROM] + batch[EPOCH_TO:] ==
                                  other[:EPOCH_FROM] + other[EPOCH_TO:])


Seen = namedtuple("Seen", "served refused end offline")


def look_at(client, partition, original, below=None):
    """Raises when a byte is wrong; below: only offsets of the original that are smaller."""
    bases = sorted(b for b in original.batches if below is None or b < below)
    served, refused, at = set(), set(), 0
    while at < len(bases):
        error, _, got = client.fetch(TOPIC, partition, bases[at])
        if error == CORRUPT_MESSAGE:
            refused.add(bases[at])
            at += 1
        elif error == KAFKA_STORAGE_ERROR:
            return Seen(served, refused, None, True)
        elif error == OFFSET_OUT_OF_RANGE or (error == NONE and not got):
            break
        elif error != NONE:
            raise Failed(f"offset {bases[at]}: error {error}")
        else:
            for base, batch in got:
                if base < (original.end if below is None else below):
                    if not same_records(batch, original.batches.get(base)):
                        raise Failed(f"offset {base}: bytes were served that were never written")
                    served.add(base)
            last = max(base for base, _ in got)
            while at < len(bases) and bases[at] <= last:
                at += 1
    return Seen(served, refused, client.end_offset(TOPIC, partition), False)


# ---- the verdict on one damage

def may_be_cut(original, damage):
    """Bytes that nobody said were on stable storage, or that are simply not there any more."""
    if damage.kind != "flip":
        return damage.file.endswith(".log")
    name, _ = original.last_batch_begins()
    return not original.clean and damage.file == name


def verdict(original, damage, seen):
    """A word for the table; raises what does not hold."""
    everything = set(original.batches)
    if damage.file == "partition.metadata":
        if not seen.offline and (seen.served != everything or seen.end != original.end):
            raise Failed("neither offline nor whole")
        return "offline" if seen.offline else "all served"
    if seen.offline:
        if damage.kind == "flip" or not damage.file.endswith(".log"):
            raise Failed("the partition is offline")
        return "offline"
    if not damage.file.endswith(".log"):
        if seen.served != everything or seen.refused or seen.end != original.end:
            raise Failed(f"a side file costs {len(everything - seen.served)} batches; the log ends at {seen.end}, "
                         f"not at {original.end}")
        return "all served"
    if seen.end != original.end and not may_be_cut(original, damage):
        raise Failed(f"the log ends at {seen.end}, not at {original.end}")
    lost = {b for b in everything - seen.served - seen.refused if seen.end is None or b < seen.end}
    if lost:
        raise Failed(f"batches {sorted(lost)[:5]} are neither served nor refused, the log ends at {seen.end}")
    return "damage refused" if seen.refused else "cut" if seen.end != original.end else "all served"


def check_files(original, copy, damage, seen):
    """No log file is gone or shorter for it."""
    cut_allowed = may_be_cut(original, damage)
    for name, content in original.partition.items():
        if not name.endswith(".log"):
            continue
        content = damaged(content, damage) if name == damage.file else content
        path = f"{copy}/{name}"
        if content is not None and not os.path.exists(path):
            raise Failed(f"{name} is gone")
        if content is not None and os.path.getsize(path) < len(content) and not (cut_allowed and not seen.offline):
            raise Failed(f"{name} was cut from {len(content)} to {os.path.getsize(path)} bytes")


# ---- many at once

def verify(options, data):
    """partition number -> how many things `ringlog log verify` finds wrong"""
    done = subprocess.run([options.binary, "log", "verify", "--records", "--format", "json", data],
                          capture_output=True, text=True, timeout=120)
    if done.returncode not in (0, 1):
        raise Failed(f"ringlog log verify: exit code {done.returncode}: {done.stderr[-500:]}")
    found = {int(p["path"].rsplit("-", 1)[1]): [f["file"] + ": " + f["problem"] for f in p["findings"]
                                                if f["severity"] != "note"]
             for p in json.loads(done.stdout)["partitions"]}
    if (done.returncode != 0) != any(found.values()):
        raise Failed(f"ringlog log verify: exit code {done.returncode}, but it finds {sum(map(len, found.values()))}")
    return found


class Flips:
    def __init__(self, options, directory, original):
        self.options, self.original = options, original
        self.counts, self.words, self.problems = {}, {}, []
        self.control = None             # what verify says of an undamaged copy

    def book(self, damage, word):
        what = {"flip": "bytes flipped", "cut": "files cut short", "remove": "files removed"}[damage.kind]
        self.counts[what] = self.counts.get(what, 0) + 1
        self.words[word] = self.words.get(word, 0) + 1

    def problem(self, damage, text):
        self.problems.append(f"{described(damage)}: {text}")
        if len(self.problems) >= 20:
            raise Failed(f"{len(self.problems)} and more: " + "\n  ".join(self.problems))

    def chunk(self, chosen, thorough):
        damages = dict(enumerate(chosen))
        self.original.materialize(damages)
        found = verify(self.options, self.original.data)
        for i, damage in damages.items():
            unseen = damage.file.endswith(".log") and in_leader_epoch(self.original.partition[damage.file],
                                                                      damage.at)
            if damage.kind == "flip" and damage.file not in UNREAD and not unseen and \
                    found.get(i, []) == found[COPIES - 1]:
                self.problem(damage, "verify does not notice")
        if not self.original.broker.start(check=False):
            return self.find_culprit(chosen)
        first = self.look(damages)
        if thorough:
            ends = self.append(first)
            self.original.broker.kill()
            self.original.broker.start()
            self.look_again(damages, first, ends)
        self.original.broker.kill()
        for i, damage in damages.items():
            if i in first:
                self.attempt(damage, check_files, self.original, f"{self.original.data}/{TOPIC}-{i}", damage, first[i])
        return None

    def attempt(self, damage, function, *arguments):
        try:
            return function(*arguments)
        except Failed as error:
            self.problem(damage, str(error))
            return None

    def look(self, damages):
        client, seen = RawClient(self.original.broker.port), {}
        for i, damage in damages.items():
            seen_now = self.attempt(damage, look_at, client, i, self.original)
            if seen_now is None:
                continue
            seen[i] = seen_now
            word = self.attempt(damage, verdict, self.original, damage, seen_now)
            if word is not None:
                self.book(damage, word)
        untouched = look_at(client, COPIES - 1, self.original)
        if untouched.served != set(self.original.batches) or untouched.end != self.original.end:
            raise Failed(f"the partition that was not damaged serves {len(untouched.served)} batches to "
                         f"{untouched.end}")
        client.close()
        return seen

    def append(self, seen):
        """One record each; partition -> the end it must have then."""
        told = {}
        producer = Producer({"bootstrap.servers": self.original.broker.address, "acks": -1, "log_level": 0,
                             "message.timeout.ms": 20000})
        for i, one in seen.items():
            if not one.offline:
                producer.produce(TOPIC, partition=i, value=b"appended",
                                 on_delivery=lambda e, m, i=i: told.setdefault(i, (e, m.offset())))
        producer.flush(30)
        return {i: told.get(i) for i, one in seen.items() if not one.offline}

    def look_again(self, damages, first, told):
        client = RawClient(self.original.broker.port)
        for i, damage in damages.items():
            if i not in first:
                continue
            again = self.attempt(damage, look_at, client, i, self.original, first[i].end)
            if again is None or first[i].offline != again.offline:
                self.problem(damage, f"at the second start: {again}")
            elif not again.offline:
                error, offset = told[i] or ("nothing was told", None)
                if error is not None or offset != first[i].end or again.end != offset + 1:
                    self.problem(damage, f"appended: {error} offset {offset}, the log ended at {first[i].end}, "
                                         f"and ends at {again.end} after another start")
                if again.served != first[i].served or again.refused != first[i].refused:
                    self.problem(damage, f"a second start serves {len(again.served)} batches, the first one "
                                         f"{len(first[i].served)}")
        client.close()

    def find_culprit(self, chosen):
        """The broker did not start with all of them: one at a time."""
        before = len(self.problems)
        for damage in chosen:
            self.original.materialize({0: damage})
            if not self.original.broker.start(check=False):
                self.problem(damage, "the broker does not start")
            self.original.broker.kill()
        if len(self.problems) == before:
            raise Failed("the broker does not start with many damaged partitions, with each of them it does")

    def root_file(self, damage):
        original = self.original
        original.materialize({})
        content = damaged(original.root[damage.file], damage)
        if content is None:
            os.unlink(f"{original.data}/{damage.file}")
        else:
            write_file(f"{original.data}/{damage.file}", content)
        started = original.broker.start(check=False)
        word = "refused to start"
        if started:
            client = RawClient(original.broker.port)
            try:
                seen = look_at(client, 0, original)
                whole = seen.served == set(original.batches) and seen.end == original.end
                word = "all served" if whole else "offline"
            except Failed as error:
                if "never written" in str(error):
                    self.problem(damage, str(error))
                word = "offline"
            client.close()
        original.broker.kill()
        if word != "all served" and not damage.file.endswith(NOT_SIDE_FILES):
            self.problem(damage, word)
        for i in (0, COPIES - 1):           # nothing was deleted, whatever was made of it
            for name, content in original.partition.items():
                path = f"{original.data}/{TOPIC}-{i}/{name}"
                if name.endswith(".log") and (not os.path.exists(path) or os.path.getsize(path) < len(content)):
                    self.problem(damage, f"{word}; {name} is gone or shorter")
        self.book(damage, word)


def damages_of(files, stride, rng):
    """Every stride-th byte, beginning somewhere, and a few cuts and the removal of each file."""
    for name, content in sorted(files.items()):
        for at in range(rng.randrange(stride) if len(content) > stride else 0, len(content), stride):
            yield Damage("flip", name, at, rng.choice([1 << rng.randrange(8), 0xFF]))
        for at in sorted(rng.sample(range(len(content)), min(len(content), max(2, len(content) // (8 * stride))))):
            yield Damage("cut", name, at, 0)
        yield Damage("remove", name, 0, 0)


def last_epoch_damages(original):
    """In the leader epoch of the last batch, which no checksum covers, and no neighbour contradicts."""
    name, position = original.last_batch_begins()
    return [Damage("flip", name, at, mask) for at in range(position + EPOCH_FROM, position + EPOCH_TO)
            for mask in (0x01, 0xFF)]


def flips(options, directory, clean):
    rng = random.Random(options.seed)
    home = "/dev/shm" if os.access("/dev/shm", os.W_OK) else directory
    memory = tempfile.mkdtemp(prefix=f"ringlog-torture-{os.getpid()}-flip-", dir=home)
    original = None
    try:
        os.makedirs(f"{memory}/d")
        original = Original(options, f"{memory}/d", clean)
        run = Flips(options, directory, original)
        chosen = list(damages_of(original.partition, options.stride, rng))
        rng.shuffle(chosen)                 # different neighbours
        chosen = [*last_epoch_damages(original), *chosen]
        for i in range(0, len(chosen), COPIES - 1):
            run.chunk(chosen[i:i + COPIES - 1], thorough=i // (COPIES - 1) % 4 == 0)
        for damage in damages_of(original.root, max(1, options.stride), rng):
            run.root_file(damage)
        if run.problems:
            raise Failed(f"{len(run.problems)} problems: " + "\n  ".join(run.problems))
    finally:
        if original is not None:
            original.broker.kill()
            shutil.copy(original.broker.log_path, f"{directory}/broker.log")
        shutil.rmtree(memory, ignore_errors=True)
    return run.counts, "; ".join(f"{n} {k}" for k, n in sorted(run.words.items()))

#!/usr/bin/python3
"""tests/clients/churn.py — members of every kind join, die and leave while the broker is killed.

  ./dev churn --minutes 10 --shards 4 --io posix --seed 7

Happy path: 30 members of mixed clients share one group over 64 partitions by the range assignor, which
all of them have.  A producer writes.  Members are started, killed (-9) and told to leave at random
moments, the broker is killed and started again.  Then the choices end: the group must be Stable, with
exactly the living members, within 15 s; each record must have been read, each commit have arrived.
Meanwhile an observer asks for committed offsets and for the group, all the time.

Failures, each with the seed and what is known of the partition concerned: a record nobody has read; a
partition that two members were given in one generation; a commit that went back; a description of a
stable group in which a partition has no owner or two; a member that ended by itself.
"""
import argparse
import collections
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness                                                  # noqa: E402
from group_members import AnswerError, Group, Member, SchemaClient     # noqa: E402
from harness import Broker, Failed, expect                      # noqa: E402
from suite_groups import java, kcat, node, python               # noqa: E402
from suite_java import CURRENT, OLD                             # noqa: E402
from suite_python import DEBIAN, current                        # noqa: E402

MEMBERS, PARTITIONS, RECORDS_PER_SECOND = 30, 64, 300
STABLE_SECONDS = 15
STALE_MAX = 10                          # a minute; none in most runs
HISTORY_SECONDS = 20                    # of a partition that something is wrong with
PRODUCER = os.path.join(harness.HERE, "python", "churn_producer.py")


def kcat_member(broker, topic, group, **_options):
    """-E: goes on without a broker.  The generation is in its log only."""
    command = kcat(broker, topic, group)
    return [command[0], "-E", "-X", "debug=cgrp,consumer,protocol", "-X", "reconnect.backoff.max.ms=500", *command[1:]]


# How many of each, and how each is started.
KINDS = {
    "kcat": (9, kcat_member, {}),
    "python": (6, python(lambda: DEBIAN), {"protocol": "range", "generations": 1}),
    "confluent": (6, python(current), {"protocol": "range", "generations": 1}),
    "kafkajs": (3, node("kafkajs_member.js"), {"protocol": "range"}),
    "platformatic": (2, node("platformatic_member.js"), {"protocol": "range"}),
    "java": (2, java(CURRENT), {"protocol": "range"}),
    "java-3.9": (2, java(OLD), {"protocol": "range"}),
}


class ChurnMember(Member):
    """A member that also remembers when it was given what, and when it has read what."""

    def __init__(self, name, command, clock):
        self.clock, self.claims, self.state = clock, [], "lives"    # claims: (when, generation, partitions)
        self.read_at = []                                           # beside records: when
        self.commit_log = []                                        # what librdkafka says of its commits
        super().__init__(name, command)

    def take(self, line):
        if line.startswith("%"):
            self.take_error(line)                       # librdkafka's own words, on the same stream
            return
        super().take(line)
        if line.startswith("assigned"):
            self.claims.append((self.clock(), self.generation, frozenset(self.owned)))
        elif line.startswith("record"):
            self.read_at.append(self.clock())

    def take_error(self, line):
        if line.startswith("%7|"):
            _, found, rest = line.partition("JoinGroup response: GenerationId ")
            if found and not rest.startswith("-1"):
                self.generation = int(rest.split(",")[0])
            elif "OffsetCommit" in line or "Committing offsets" in line or "RETRY" in line:
                self.commit_log.append((self.clock(), line.split("]: ", 1)[-1]))
            return
        if not line.startswith("% Reached end"):
            super().take_error(line)

    def reads_of(self, partition):
        """What it has read of a partition: (first offset, last offset, when, until when)."""
        runs = []
        for (p, offset, _), at in zip(list(self.records), list(self.read_at)):
            if p != partition:
                continue
            if runs and runs[-1][1] + 1 == offset:
                runs[-1][1], runs[-1][3] = offset, at
            else:
                runs.append([offset, offset, at, at])
        return [tuple(r) for r in runs]


class Producer:
    def __init__(self, broker, topic):
        self.acked, self.errors = {}, []                # (partition, offset) -> value
        self.process = subprocess.Popen(
            [current(), PRODUCER, broker.address, topic, str(PARTITIONS), str(RECORDS_PER_SECOND)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=harness.die_with_parent)
        self.threads = [threading.Thread(target=self.read, daemon=True),
                        threading.Thread(target=self.read_errors, daemon=True)]
        for thread in self.threads:
            thread.start()

    def read(self):
        for line in self.process.stdout:
            _, partition, offset, value = line.decode().rstrip("\n").split(" ", 3)
            self.acked[int(partition), int(offset)] = value

    def read_errors(self):
        for line in self.process.stderr:
            self.errors = [*self.errors[-20:], line.decode(errors="replace").rstrip()]

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(70)
        except subprocess.TimeoutExpired:
            raise Failed(f"the producer did not end: {self.errors}") from None
        for thread in self.threads:
            thread.join(10)
        expect(code == 0, f"the producer ended with {code}: {self.errors[-5:]}")


def assigned_partitions(raw):
    """The partitions in a member's assignment, Kafka's consumer protocol."""
    if not raw:
        return []
    found, at = [], 6
    for _ in range(struct.unpack_from(">i", raw, 2)[0]):
        at += 2 + struct.unpack_from(">h", raw, at)[0]
        count = struct.unpack_from(">i", raw, at)[0]
        found += struct.unpack_from(f">{count}i", raw, at + 4)
        at += 4 + 4 * count
    return found


class Observer:
    """Asks the broker for commits and for the group; it is no member."""

    def __init__(self, broker, topic, group, clock):
        self.broker, self.topic, self.group, self.clock = broker, topic, group, clock
        self.commits = [[(0.0, -1)] for _ in range(PARTITIONS)]     # (when, offset), at each change
        self.state, self.members, self.seen_at = None, 0, 0.0       # of the last description
        self.complaints = []                                        # (partition or None, text)
        self.went_back = []                                         # (partition, since, offset before, when, offset after)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        client = None
        while not self.ended.wait(0.15):
            try:
                client = client or SchemaClient(self.broker.address, 5)
                self.look_at_commits(client)
                self.look_at_group(client)
            except (AnswerError, OSError):              # the broker is down
                client = None
            except Exception as error:                  # a mistake of ours must be seen
                self.complaints.append((None, f"the observer failed: {type(error).__name__}: {error}"))
                return

    def look_at_commits(self, client):
        answer = client.call("OffsetFetch", 5, {"group_id": self.group, "topics": [
            {"name": self.topic, "partition_indexes": list(range(PARTITIONS))}]})
        if answer["error_code"]:
            return                                      # it loads
        for one in answer["topics"][0]["partitions"]:
            if one["error_code"]:
                continue
            history, offset = self.commits[one["partition_index"]], one["committed_offset"]
            if offset < history[-1][1]:
                self.went_back.append((one["partition_index"], *history[-1], self.clock(), offset))
            if offset != history[-1][1]:
                history.append((self.clock(), offset))

    def look_at_group(self, client):
        one = client.call("DescribeGroups", 5, {"groups": [self.group]})["groups"][0]
        if one["error_code"]:
            return
        owned = [p for m in one["members"] for p in assigned_partitions(m["member_assignment"])]
        if one["group_state"] == "Stable" and sorted(owned) != list(range(PARTITIONS)):
            counts = collections.Counter(owned)
            wrong = {p: counts[p] for p in range(PARTITIONS) if counts[p] != 1}
            self.complaints.append((min(wrong), f"described as Stable with owners per partition {wrong}"))
        self.state, self.members, self.seen_at = one["group_state"], len(one["members"]), self.clock()


class Churn:
    def __init__(self, broker, seconds, seed, restarts=2, say=lambda _text: None):
        self.broker, self.seconds, self.seed, self.restarts, self.tell = broker, seconds, seed, restarts, say
        self.random, self.begin = random.Random(seed), time.monotonic()
        self.group = Group(broker, "churn", None, PARTITIONS)
        self.slots = [(kind, *how[1:]) for kind, how in KINDS.items() for _ in range(how[0])]
        self.living = [None] * len(self.slots)
        self.leaving, self.all, self.events = [], [], []
        self.counts = collections.Counter()
        self.owners = {}                # (generation, partition) -> member
        self.claims_read = {}           # member -> how many of its claims are in owners

    def clock(self):
        return time.monotonic() - self.begin

    def note(self, text):
        self.events.append(f"{self.clock():7.2f}  {text}")
        self.tell(self.events[-1])

    # ---- what happens

    def start(self, slot):
        kind, command, options = self.slots[slot]
        member = ChurnMember(f"{kind}-{len(self.all) + 1}",
                             command(self.broker, self.group.topic, self.group.name, **options), self.clock)
        self.all.append(member)
        self.living[slot] = member
        self.counts["joined"] += 1
        self.note(f"{member.name} starts")

    def kill(self, slot):
        member, self.living[slot] = self.living[slot], None
        member.state = "killed"
        member.kill()
        self.counts["killed"] += 1
        self.note(f"{member.name} is killed")

    def leave(self, slot):
        member, self.living[slot] = self.living[slot], None
        member.state = "leaves"
        member.process.terminate()
        self.leaving.append((member, time.monotonic() + 60))
        self.counts["left"] += 1
        self.note(f"{member.name} is told to leave")

    def restart_broker(self):
        self.note("the broker is killed")
        self.broker.kill()
        time.sleep(self.random.uniform(0, 1.5))
        self.broker.start()
        self.counts["restarts"] += 1
        self.note("the broker is ready again")

    def step(self):
        """One member joins, dies or leaves; the emptier the group, the rather one joins."""
        vacant = [s for s, m in enumerate(self.living) if m is None]
        if vacant and self.random.random() < len(vacant) / 8:
            self.start(self.random.choice(vacant))
            return
        self.end(self.random.choice([s for s, m in enumerate(self.living) if m is not None]))

    def end(self, slot):
        """kcat only dies: told to leave, it commits a record that it has taken and not printed."""
        if self.slots[slot][0] == "kcat":
            self.kill(slot)
        else:
            self.random.choice((self.kill, self.leave))(slot)

    # ---- what must hold all the time

    def check(self, observer):
        for member in self.all:
            self.check_claims(member)
            if member.state == "lives" and member.process.poll() is not None:
                raise Failed(f"a member ended by itself: {member.story()}")
        for member, limit in list(self.leaving):
            if member.process.poll() is not None:
                member.state = "left"
                self.leaving.remove((member, limit))
            elif time.monotonic() > limit:
                raise Failed(f"did not leave within 60 s: {member.story()}")
        if observer.complaints:
            partition, text = observer.complaints[0]
            raise Failed(f"{text}\n{self.history(partition, observer)}")
        while observer.went_back:
            self.check_commit(*observer.went_back.pop(0), observer)
        expect(self.broker.alive(), "the broker has died")

    def check_commit(self, partition, since, before, at, after, observer):
        """Two libraries let commits go back by themselves, and no broker can tell: it checks a commit
        against member and generation, not against the assignment, and not against earlier ones."""
        time.sleep(0.5)                 # what members say of themselves is on its way
        exactly = self.was_restarted(since, at)         # or else it may be one that the broker has lost
        if (self.came_from_no_owner(partition, since, before, exactly) or
                self.came_from_no_owner(partition, at, after, exactly)):
            self.counts["stale"] += 1
            expect(self.counts["stale"] <= STALE_MAX * max(1, self.seconds / 60), f"{self.counts['stale']} commits went back: that is not one "
                   f"library's weakness; partition {partition} from {before} to {after}\n"
                   f"{self.history(partition, observer)}")
        elif self.was_sent_again(partition, at):
            self.counts["late"] += 1
        else:
            raise Failed(f"the commit of partition {partition} went back from {before} to {after}\n"
                         f"{self.history(partition, observer)}")

    def owner_at(self, partition, when):
        claims = [(at, m) for m in self.all for at, _, partitions in m.claims if partition in partitions and at < when]
        return max(claims, key=lambda c: c[0])[1] if claims else None

    def was_restarted(self, since, at):
        return any(since < float(e.split()[0]) < at for e in self.events if "the broker is killed" in e)

    def came_from_no_owner(self, partition, when, offset, exactly):
        """@platformatic/kafka: what was not yet committed when a rebalance began is committed after it,
        as a member of the next generation, also for partitions that are another's by then.  That one
        has asked for the commits before, goes on from there, and commits before or after it.
        exactly: the offset follows the last record that it has read, otherwise one of them."""
        return any(m.name.startswith("platformatic") and m is not self.owner_at(partition, when + 1) and
                   any((last + 1 if exactly else first + 1) <= offset <= last + 1 and until > when - 30
                       for first, last, _, until in m.reads_of(partition)) for m in self.all)

    def was_sent_again(self, partition, at):
        """librdkafka: a commit whose connection was lost is sent again 100 ms later, and a later one may
        have been sent meanwhile.  Its log tells."""
        owner = self.owner_at(partition, at)
        if not owner or not owner.name.startswith("kcat"):
            return False
        told = [(a, text) for a, text in owner.commit_log if at - 20 < a < at + 0.3]
        return (any("Retrying OffsetCommitRequest" in text for _, text in told) and
                any("Sent OffsetCommitRequest" in text and a > at - 1.5 for a, text in told))

    def check_claims(self, member):
        done = self.claims_read.get(member, 0)
        claims = member.claims[done:]
        self.claims_read[member] = done + len(claims)
        for _, generation, partitions in claims:
            if generation is None:
                raise Failed(f"{member.name} has partitions and no generation") if partitions else None
            for partition in partitions:
                owner = self.owners.setdefault((generation, partition), member)
                if owner is not member:
                    raise Failed(f"partition {partition} has two owners in generation {generation}: "
                                 f"{owner.name} and {member.name}\n{self.history(partition, None)}")

    def history(self, partition, observer, around=None):
        """What is known of one partition, in the order of time: owners and reads, and all that happened in
        the last seconds, or around the time when the offset `around` was committed."""
        if partition is None:
            return ""
        lines, until = [], self.clock()
        if observer and around is not None:
            until = next((at for at, offset in observer.commits[partition] if offset > around), until) + HISTORY_SECONDS / 2
        for member in self.all:
            for at, generation, partitions in member.claims:
                if partition in partitions:
                    lines.append((at, f"given to {member.name} in generation {generation}"))
                    end = next((a for a, g, p in member.claims if a > at and partition not in p), self.clock())
                    lines += [(a, f"{member.name}: {text[:200]}") for a, text in member.commit_log
                              if max(at, self.clock() - 10) < a < end + 1]
            for first, last, at, to in member.reads_of(partition):
                lines.append((at, f"{member.name} reads {first} to {last}, until {to:.2f}"))
        if observer:
            lines += [(at, f"committed: {offset}") for at, offset in observer.commits[partition]]
        lines += [(float(e.split()[0]), e[9:]) for e in self.events]
        told = (f"{at:7.2f}  {text}" for at, text in sorted(lines)
                if until - HISTORY_SECONDS < at <= until or text.startswith("given") or " reads " in text)
        return "\n".join((f"partition {partition}", *told))

    # ---- the whole

    def run(self):
        observer = producer = None
        for _, command, options in self.slots:          # installed and compiled before the clock runs
            command(self.broker, self.group.topic, self.group.name, **options)
        self.begin = time.monotonic()
        try:
            for slot in range(len(self.slots)):
                self.start(slot)
            producer = Producer(self.broker, self.group.topic)
            observer = Observer(self.broker, self.group.topic, self.group.name, self.clock)
            self.churn(observer, producer)
            calm = self.becomes_stable(observer)
            producer.stop()
            self.everything_is_read(observer, producer)
            return self.summary(producer, calm)
        except Failed as failure:
            raise Failed(f"seed {self.seed}, {self.broker.shards} shards, io {self.broker.io or 'default'}, at "
                         f"{self.clock():.2f} s: {failure}\n{self.stories(observer)}") from None
        finally:
            if observer:
                observer.ended.set()
                observer.thread.join(10)
            if producer and producer.process.poll() is None:
                producer.process.kill()
            for member in self.all:
                member.remove()

    def pause(self, seconds, observer):
        limit = time.monotonic() + seconds
        while True:
            self.check(observer)
            left = limit - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(0.2, left))

    def churn(self, observer, producer):
        """Bursts, and pauses in which some rebalances end and some do not."""
        restarts = sorted(self.random.uniform(0.25, 0.9) * self.seconds for _ in range(self.restarts))
        self.pause(min(10, self.seconds / 6), observer)
        while self.clock() < self.seconds:
            if restarts and self.clock() > restarts[0]:
                restarts.pop(0)
                self.restart_broker()
            for _ in range(self.random.randrange(1, 5)):
                self.step()
                self.pause(self.random.uniform(0, 0.5), observer)
            self.pause(self.random.choice((0.5, 2, 4, 8)), observer)
            expect(producer.process.poll() is None, f"the producer has ended: {producer.errors[-3:]}")
        for _ in restarts:
            self.restart_broker()
        self.last_moment()
        self.note("the churn is over")

    def last_moment(self):
        """What the group has to get over: one that dies without a word, two more that end, two that come."""
        lives = [s for s, m in enumerate(self.living) if m is not None]
        vacant = [s for s, m in enumerate(self.living) if m is None]
        dying = self.random.sample(lives, 3)
        for slot in self.random.sample(vacant, min(2, len(vacant))):
            self.start(slot)
        self.kill(dying[0])
        for slot in dying[1:]:
            self.end(slot)

    def becomes_stable(self, observer):
        """Seconds until the group is Stable with exactly those that live."""
        over, living = self.clock(), sum(m is not None for m in self.living)
        while not (observer.seen_at > over and observer.state == "Stable" and observer.members == living):
            expect(self.clock() < over + STABLE_SECONDS + 30, f"not Stable with {living} members "
                   f"{STABLE_SECONDS + 30} s after the churn: {observer.state} with {observer.members}")
            self.pause(0.05, observer)
        self.note(f"stable {observer.seen_at - over:.2f} s after the churn")
        expect(observer.seen_at - over <= STABLE_SECONDS, f"Stable {observer.seen_at - over:.1f} s after the churn, "
               f"{STABLE_SECONDS} s are allowed")
        return observer.seen_at - over

    def ends(self):
        client = SchemaClient(self.broker.address, 10)
        found = client.call("ListOffsets", 4, {"replica_id": -1, "topics": [{"name": self.group.topic, "partitions": [
            {"partition_index": i, "timestamp": -1} for i in range(PARTITIONS)]}]})["topics"][0]["partitions"]
        client.close()
        return {p["partition_index"]: p["offset"] for p in found}

    def everything_is_read(self, observer, producer):
        ends = self.ends()
        for partition, offset in producer.acked:
            expect(offset < ends[partition], f"{partition} {offset} was acknowledged and is gone")

        def missing():
            read = {(p, o) for m in self.all for p, o, _ in list(m.records)}
            return sorted({(p, o) for p, end in ends.items() for o in range(end)} - read)

        def uncommitted():
            return [p for p, end in ends.items() if observer.commits[p][-1][1] != end]
        limit = self.clock() + 45
        while missing() or uncommitted():
            if self.clock() > limit:
                lost, late = missing(), uncommitted()
                partition = lost[0][0] if lost else late[0]
                raise Failed(f"{len(lost)} records nobody has read: {lost[:8]}; not committed to the end: {late[:8]}\n"
                             f"{self.history(partition, observer, lost[0][1] if lost else None)}")
            self.pause(0.3, observer)
        for member in self.all:
            for partition, offset, value in member.records:
                expect(producer.acked.get((partition, offset), value) == value,
                       f"{member.name} read {value!r} at {partition} {offset}")

    def summary(self, producer, calm):
        c, read = self.counts, sum(len(m.records) for m in self.all)
        generations = len({g for g, _ in self.owners})
        return (f"seed {self.seed}: {c['joined']} joined, {c['killed']} killed, {c['left']} left, {generations} "
                f"generations with owners, {c['restarts']} restarts; {len(producer.acked)} records acknowledged, "
                f"{read} read, stable after {calm:.1f} s; commits went back {c['stale']} times by "
                f"@platformatic/kafka, {c['late']} by librdkafka")

    def stories(self, observer):
        lines = [m.story() for m in self.all if m.state in ("lives", "leaves")]
        if observer:
            lines.append(f"the group was {observer.state} with {observer.members} members at {observer.seen_at:.2f}")
        return "\n".join([*lines, "what was done:", *self.events[-40:]])


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--restarts", type=int, help="of the broker; two, and one more every two minutes")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--io", choices=("uring", "posix"))
    parser.add_argument("--binary", default=os.path.join(harness.ROOT, "build/release/ringlog"))
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {options.seed}", flush=True)
    broker = Broker(options.binary, options.shards, (), options.io)
    broker.start()
    try:
        restarts = 2 + int(options.minutes / 2) if options.restarts is None else options.restarts
        print(Churn(broker, options.minutes * 60, options.seed, restarts, lambda text: print(text, flush=True)).run())
        print("1 passed, 0 failed")
        return 0
    except Failed as failure:
        print(f"{failure}\n-- end of the broker's log\n{broker.log_tail(100)}\n0 passed, 1 failed")
        return 1
    finally:
        if options.keep:
            print(f"kept: {broker.home}")
            broker.kill()
        else:
            broker.remove()


if __name__ == "__main__":
    sys.exit(main())

"""tests/clients/group_members.py — programs that are members of a consumer group, and what they said.

A member program is started with the broker's address, a topic, a group and options, commits what it
has read, closes on SIGTERM, and prints
    generation 7            of the group, where the library tells it
    assigned 0 1 2          the partitions it owns now, after each change
    record 1 17 text        partition, offset, value
    closed                  it has left the group
    fenced                  somebody else took its instance id
kcat is one as well: its words are translated.
"""
import os
import re
import subprocess
import sys
import threading
import time

from harness import ROOT, Failed, die_with_parent, expect

sys.path.insert(0, os.path.join(ROOT, "tests", "broker"))
from schema_client import AnswerError, SchemaClient          # noqa: E402

PARTITIONS = 6
SESSION_MS = 6000               # the least that Kafka's default settings allow
PATIENCE_SECONDS = 45


def until(condition, what, seconds=PATIENCE_SECONDS, members=()):
    """Wait for condition(); what() or what tells the failure."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise Failed("\n".join([what() if callable(what) else what, *(m.story() for m in members)]))
        time.sleep(0.02)


class Member:
    """One running member program."""

    def __init__(self, name, command):
        self.name = name
        self.owned, self.rebalances, self.fenced, self.closed = set(), 0, False, False
        self.records, self.errors = [], []          # (partition, offset, value)
        self.generation = None
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.threads = [threading.Thread(target=self.read, args=(stream, take), daemon=True)
                        for stream, take in ((self.process.stdout, self.take),
                                             (self.process.stderr, self.take_error))]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def read(stream, take):
        for line in stream:
            take(line.decode(errors="replace").rstrip("\n"))

    def take(self, line):
        word, _, rest = line.partition(" ")
        if word == "assigned":
            self.owned, self.rebalances = {int(p) for p in rest.split()}, self.rebalances + 1
        elif word == "generation":
            self.generation = int(rest)
        elif word == "record":
            partition, offset, value = rest.split(" ", 2)
            self.records.append((int(partition), int(offset), value))
        elif word == "fenced":
            self.fenced = True
        elif word == "closed":
            self.closed = True

    def take_error(self, line):
        assigned = re.search(r"^% Group \S+ rebalanced .*(assigned|revoked): (.*)$", line)      # kcat
        if assigned and assigned[1] == "assigned":
            self.take("assigned " + " ".join(re.findall(r"\[(\d+)\]", assigned[2])))
        elif assigned:
            self.owned = set()
        else:
            self.errors = [*self.errors[-30:], line]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.owned = set()

    def stop(self):
        """SIGTERM, and everything it still says."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"did not close\n{self.story()}") from None
        for thread in self.threads:
            thread.join(5)
        return self.process.returncode

    def remove(self):
        if self.process.poll() is None:
            self.kill()

    def story(self):
        state = "runs" if self.process.poll() is None else f"ended with {self.process.returncode}"
        return (f"{self.name} {state}, owns {sorted(self.owned)} after {self.rebalances} rebalances, read "
                f"{len(self.records)}; {' | '.join(self.errors[-6:])[-900:]}")


class Group:
    """A topic, a group on it, its members, and what was sent."""

    def __init__(self, broker, word, command, partitions=PARTITIONS, topic=None):
        from harness import new_topic
        self.broker, self.partitions = broker, partitions
        self.topic, self.name = topic or new_topic(word), new_topic(f"{word}-group")
        self.command = command                  # command(broker, topic, group) -> command line
        self.members, self.ends = [], [0] * partitions
        if topic is None:
            make_topic(broker, self.topic, partitions)

    def start(self, **options):
        member = Member(f"member {len(self.members) + 1}",
                        self.command(self.broker, self.topic, self.name, **options))
        self.members.append(member)
        return member

    def send(self, count):
        """`count` records to each partition."""
        for partition in range(self.partitions):
            first = self.ends[partition]
            lines = b"".join(b"value %d %d\n" % (partition, first + i) for i in range(count))
            done = subprocess.run(["kcat", "-b", self.broker.address, "-P", "-t", self.topic, "-p", str(partition)],
                                  input=lines, capture_output=True, timeout=30, check=False,
                                  preexec_fn=die_with_parent)
            expect(done.returncode == 0, f"kcat could not write: {done.stderr[-300:]!r}")
            self.ends[partition] += count

    def wait_for_owners(self, *members):
        """Each partition has one owner, each of these members has some, nobody else has any."""
        def settled():
            owned = [p for m in members for p in m.owned]
            return sorted(owned) == list(range(self.partitions)) and all(m.owned for m in members)
        until(settled, "the partitions are not shared out", members=self.members)

    def seen(self):
        return [(p, o) for m in self.members for p, o, _ in list(m.records)]

    def wanted(self):
        return [(p, o) for p, end in enumerate(self.ends) for o in range(end)]

    def wait_for_records(self):
        def missing():
            return set(self.wanted()) - set(self.seen())
        until(lambda: not missing(), lambda: f"not read: {sorted(missing())[:12]} of {len(self.wanted())}",
              members=self.members)

    def expect_once(self):
        seen = self.seen()
        twice = sorted({r for r in seen if seen.count(r) > 1}) if len(seen) != len(set(seen)) else []
        expect(not twice, f"read twice: {twice[:12]}, {len(twice)} in all\n"
               + "\n".join(m.story() for m in self.members))
        for member in self.members:
            for partition, offset, value in member.records:
                expect(value == f"value {partition} {offset}", f"{value!r} at {partition} {offset}")

    def committed(self):
        try:
            client = SchemaClient(self.broker.address, 10)
            answer = client.call("OffsetFetch", 5, {"group_id": self.name, "topics": [
                {"name": self.topic, "partition_indexes": list(range(self.partitions))}]})
            client.close()
        except (AnswerError, OSError):
            return None                         # the broker is down
        if answer["error_code"]:
            return None
        found = {p["partition_index"]: p["committed_offset"] for p in answer["topics"][0]["partitions"]}
        return [found[i] for i in range(self.partitions)]

    def wait_for_commits(self):
        """All that was sent is committed: until then a killed member's records may come again."""
        until(lambda: self.committed() == self.ends,
              lambda: f"committed {self.committed()} of {self.ends}", members=self.members)

    def remove(self):
        for member in self.members:
            member.remove()


def make_topic(broker, name, partitions):
    client = SchemaClient(broker.address)
    done = client.call("CreateTopics", 5, {"timeout_ms": 20000, "topics": [
        {"name": name, "num_partitions": partitions, "replication_factor": 1}]})["topics"][0]
    expect(done["error_code"] == 0, f"CreateTopics: {done['error_code']} {done['error_message']}")

    def served():
        found = client.call("ListOffsets", 4, {"replica_id": -1, "topics": [{"name": name, "partitions": [
            {"partition_index": i, "timestamp": -1} for i in range(partitions)]}]})
        return not any(p["error_code"] for p in found["topics"][0]["partitions"])
    until(served, "a new topic has no leaders")
    client.close()

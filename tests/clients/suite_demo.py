"""tests/clients/suite_demo.py — docs/demo, its very files, as its README tells a newcomer to run them.

Tweets: three members of one group beside a second group, a filter, failures to the retry topic and to
the dead-letter topic.  Jobs: workers that are killed in the middle of one.  What the programs print is
what a person would look at; topics are read from outside, with kcat.
"""
import collections
import os
import re
import subprocess
import threading
import time

from group_members import until
from harness import BUILD, ROOT, Failed, case, die_with_parent, expect, expect_equal, run
from suite_node import node_command

SOURCE, PLACE = os.path.join(ROOT, "docs", "demo"), os.path.join(BUILD, "demo")
TWEETS_EACH = 60
JOBS = 300


class Program:
    """A program of the demo that runs, and the lines it has printed."""

    def __init__(self, broker, *words):
        self.words, self.lines, self.errors = words, [], []
        self.process = subprocess.Popen(
            node_command(*words, source=SOURCE, place=PLACE), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent,
            env={**os.environ, "BROKER": broker.address, "KAFKAJS_LOG_LEVEL": "ERROR"})
        for stream, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=self.read, args=(stream, lines), daemon=True).start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.decode().rstrip("\n"))

    def said(self, pattern):
        return [m for m in map(re.compile(pattern).match, list(self.lines)) if m]

    def partitions(self):
        """Those it said last that it has; None before."""
        told = self.said(r"\S+: my partitions are (.*)")
        return [int(p) for p in re.findall(r"\d+", told[-1][1])] if told else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def story(self):
        return f"{' '.join(self.words)}: {self.lines[-3:]} {self.errors[-3:]} {self.process.poll()}"


class Demo:
    """Programs of the demo against one broker; all are ended with it."""

    def __init__(self, broker):
        self.broker, self.programs = broker, []

    def __enter__(self):
        self.to_end("create-topics.js")
        return self

    def __exit__(self, *_error):
        for program in self.programs:
            if program.process.poll() is None:
                program.kill()

    def start(self, *words):
        self.programs.append(Program(self.broker, *words))
        return self.programs[-1]

    def to_end(self, *words):
        program = self.start(*words)
        try:
            expect_equal(program.process.wait(60), 0, f"exit code of {words}; {program.errors[-5:]}")
        except subprocess.TimeoutExpired:
            raise Failed(f"did not end: {program.story()}") from None
        return program

    def stop(self, programs):
        for program in programs:
            program.process.terminate()
        for program in programs:
            expect_equal(program.process.wait(20), 0, f"exit code of {' '.join(program.words)}; {program.errors[-5:]}")

    def wait(self, condition, what):
        until(condition, lambda: what() if callable(what) else what, seconds=60, members=self.programs)

    def topic(self, name, form="%s\\n"):
        done = run(["kcat", "-C", "-b", self.broker.address, "-t", name, "-e", "-q", "-o", "beginning", "-f", form])
        return done.stdout.decode().splitlines()


def sent_tweets(*producers):
    """(user, partition, offset, text) of each, in the order a producer sent it."""
    found = []
    for producer in producers:
        for m in producer.said(r"sent to (\d+) at (\d+): ((\S+) #\d+: .*)"):
            found.append((m[4], int(m[1]), int(m[2]), m[3]))
    return found


def check_readers(sent, members):
    """At least once, and each user's in order: where one is read again, those behind it are as well."""
    wanted = collections.defaultdict(list)
    for user, _, _, text in sent:
        wanted[user].append(text)
    for member in members:
        read = collections.defaultdict(list)
        for m in member.said(r"\S+ from \d+ at \d+: ((\S+) #\d+: .*)"):
            read[m[2]].append(m[1])
        for user, texts in read.items():
            places = [wanted[user].index(t) for t in texts]
            expect(all(b <= a + 1 for a, b in zip(places, places[1:])),
                   f"{' '.join(member.words)} read {user}'s tweets as {places}")


def read_texts(members):
    return {m[1] for member in members for m in member.said(r"\S+ from \d+ at \d+: (.*)")}


@case("demo", "tweets: a group of three, a second group, filter, retry topic, dead letters", timeout=200)
def tweets(broker):
    with Demo(broker) as demo:
        timeline = [demo.start("read.js", "timeline") for _ in range(3)]
        statistics = [demo.start("read.js", "statistics")]
        filtering, previews = demo.start("filter.js"), [demo.start("preview.js"), demo.start("preview.js", "retry")]
        demo.wait(lambda: sorted(p for m in timeline for p in m.partitions() or []) == [0, 1, 2]
                  and all(m.partitions() for m in timeline), "the three do not have one partition each")
        producers = [demo.start("tweet.js", str(TWEETS_EACH), *users) for users in (("anna", "ben"), ("newsroom", "zoe"))]
        demo.wait(lambda: all(p.process.poll() is not None for p in producers), "the producers do not end")
        sent = sent_tweets(*producers)
        texts = [t for _, _, _, t in sent]
        expect_equal(len(set(texts)), 4 * TWEETS_EACH, "tweets sent")
        expect_equal({p for u, p, _, _ in sent if u == "newsroom"}, {2}, "partitions of the newsroom")
        expect_equal({p for u, p, _, _ in sent if u != "newsroom"}, {0, 1}, "partitions of the others")
        for members in (timeline, statistics):
            demo.wait(lambda m=members: read_texts(m) >= set(texts),
                      lambda m=members: f"not read: {sorted(set(texts) - read_texts(m))[:5]}")
            check_readers(sent, members)

        failing = [t for t in texts if "slow.example" in t or "broken.example" in t]
        broken = [t for t in texts if "broken.example" in t]
        demo.wait(lambda: len(demo.topic("tweets-dead")) >= len(broken), "dead letters are missing")
        demo.wait(lambda: len(previews[1].said("fine at try 2")) >= len(failing) - len(broken), "second tries are missing")
        expect_equal(sorted(demo.topic("tweets-retry")), sorted(failing + broken), "the retry topic")
        expect_equal(sorted(demo.topic("tweets-dead", "%h %s\\n")),
                     sorted(f"attempts=3,error=no such host {t}" for t in broken), "the dead letters")
        expect_equal(len(previews[0].said("fine at try 1")), len(texts) - len(failing), "fine at once")
        expect_equal(sorted(demo.topic("tweets-coffee")), sorted(t for t in texts if "coffee" in t), "the filter")
        demo.stop([*timeline, *statistics, filtering, *previews])


def in_the_middle(worker):
    """The job it has begun and not done, if any."""
    begun, done = worker.said(r"\S+ begins job (\d+)"), worker.said(r"\S+ did job (\d+)")
    return begun[-1][1] if len(begun) > len(done) else None


def kill_in_the_middle(demo, worker, after):
    """kill -9 when it has done `after` jobs and is at the next; returns that one's number."""
    demo.wait(lambda: len(worker.said(r"\S+ did job")) >= after and in_the_middle(worker), f"no job for {worker.words}")
    worker.kill()
    time.sleep(0.2)                     # what it had said is read
    return in_the_middle(worker)


@case("demo", "jobs: workers killed in the middle of a job, none lost", timeout=200)
def jobs(broker):
    with Demo(broker) as demo:
        workers = [demo.start("worker.js", name) for name in ("paul", "mary", "anna", "john")]
        demo.wait(lambda: sorted(p for w in workers for p in w.partitions() or []) == list(range(32))
                  and all(w.partitions() for w in workers), "32 partitions are not shared by four workers")
        demo.to_end("add-jobs.js", str(JOBS))
        cut = {workers[0]: kill_in_the_middle(demo, workers[0], 3)}
        workers.append(demo.start("worker.js", "lisa"))
        cut[workers[1]] = kill_in_the_middle(demo, workers[1], 6)
        expect(any(cut.values()), "no worker died in the middle of a job")
        demo.wait(lambda: len(set(demo.topic("jobs-done", "%k\\n"))) >= JOBS, "jobs are lost")
        expect_equal({int(number) for number in demo.topic("jobs-done", "%k\\n")}, set(range(JOBS)), "jobs done")
        for dead, number in cut.items():
            expect(number is None or any(w.said(rf"\S+ begins job {number}:") for w in workers if w is not dead),
                   f"job {number}, in the hands of {dead.words[1]}, was not begun again")
        expect(any(w.said(r"\S+ did job") for w in workers[2:]), "the others did nothing")
        demo.stop(workers[2:])

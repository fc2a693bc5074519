"""tests/limits/cases.py — attacks, the answer each one gets, and what a healthy client notices of it."""
import os
import resource
import select
import socket
import struct
import time

import frames
from harness import Broker, case, expect, expect_equal, new_topic
from healthy import Healthy

MIB = 1 << 20
P99_SECONDS = 0.25


# ---- measuring

def resident(broker):
    with open(f"/proc/{broker.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def descriptors(broker):
    return len(os.listdir(f"/proc/{broker.process.pid}/fd"))


class Log:
    """What the broker has logged since."""

    def __init__(self, broker):
        self.path = broker.log_path
        self.from_byte = self.end()
        self.begin = time.monotonic()

    def end(self):
        with open(self.path, "rb") as log:
            return log.seek(0, 2)

    def lines(self, word=""):
        with open(self.path, "rb") as log:
            log.seek(self.from_byte)
            return [l for l in log.read().decode(errors="replace").splitlines() if word in l]

    def expect_one(self, word):
        """There is a line, and no more of its kind than one in ten seconds."""
        count = len(self.lines(word))
        most = 1 + int((time.monotonic() - self.begin) / 10)
        expect(1 <= count <= most, f"{count} lines with {word!r}, 1 to {most} are right: {self.lines()[-5:]}")


def new_healthy(broker):
    topic = new_topic("healthy")
    sock = frames.connect(broker.port)
    frames.call(sock, frames.create_topic(topic, 1))
    sock.close()
    return Healthy(broker, topic)


def usual_p99(broker):
    """Of this machine as it is now, without an attack."""
    with new_healthy(broker) as client:
        time.sleep(1)
    return client.p99


class Attack:
    """Around an attack: a healthy client's latency, and memory."""

    def __init__(self, broker, most_mib, p99_seconds=P99_SECONDS):
        self.broker, self.most_bytes, self.p99_seconds = broker, most_mib * MIB, p99_seconds
        self.peak = 0

    def __enter__(self):
        self.usual = usual_p99(self.broker)
        self.before = resident(self.broker)
        self.log = Log(self.broker)
        self.client = new_healthy(self.broker)
        self.client.__enter__()
        time.sleep(0.2)
        return self

    def look(self):
        self.peak = max(self.peak, resident(self.broker) - self.before)

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.look()
        self.client.__exit__(kind, value, trace)
        if kind is not None:
            return False
        limit = max(self.p99_seconds, 5 * self.usual)
        print(f"        {self.client.requests} requests of a healthy client: p99 {self.client.p99 * 1e3:.1f} ms "
              f"(before: {self.usual * 1e3:.1f}), worst {self.client.worst * 1e3:.0f} ms; "
              f"memory +{self.peak / MIB:.1f} MiB", flush=True)
        expect(self.client.requests >= 20, f"the healthy client got only {self.client.requests} answers")
        expect(self.client.p99 <= limit, f"p99 of a healthy client: {self.client.p99:.3f} s, usual {self.usual:.3f}")
        expect(self.peak <= self.most_bytes, f"memory grew by {self.peak / MIB:.0f} MiB, "
               f"{self.most_bytes / MIB:.0f} are allowed")
        return False


def connections(broker, count, timeout=20):
    return [frames.connect(broker.port, timeout) for _ in range(count)]


def close_all(socks):
    for sock in socks:
        sock.close()


def serves(broker):
    sock = frames.connect(broker.port)
    frames.call(sock, frames.api_versions())
    sock.close()


# ---- frames that are none

BROKEN = {
    "size 0": struct.pack(">i", 0),
    "size -1": struct.pack(">i", -1),
    "size over socket.request.max.bytes": struct.pack(">i", 104857601),
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "HTTP": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown API": frames.frame(999, 0, b"1234"),
    "unknown version": frames.frame(frames.METADATA, 99, b"1234"),
    "header too short": struct.pack(">i", 3) + b"\0\x12\0",
    "body too short": frames.frame(frames.FETCH, 4, b"\0\0"),
    "a count of two thousand millions": frames.frame(frames.METADATA, 1, struct.pack(">i", 0x7FFFFFFF)),
    "random": struct.pack(">i", 3000) + bytes((i * 7919 >> 3) & 0xFF for i in range(3000)),
}


@case("limits", "malformed, short, over-long and unknown frames cost their sender the connection", settings=())
def broken_frames(broker):
    with Attack(broker, 16) as attack:
        for _ in range(40):
            for what, data in BROKEN.items():
                sock = frames.connect(broker.port)
                sock.sendall(data)
                expect(frames.is_closed(sock), f"{what}: the connection is still open")
                sock.close()
        for word in ("socket.request.max.bytes", "security.protocol", "HTTP", "connection closed"):
            attack.log.expect_one(word)


# ---- slow peers

@case("limits", "readers that stop hold a bounded part of memory, together too", settings=("num.partitions=1",))
def readers_that_stop(broker):
    topic = new_topic("large")
    with frames.connect(broker.port, 60) as sock:
        frames.call(sock, frames.create_topic(topic, 1))
        record = frames.produce(topic, frames.batch(900000))
        for _ in range(12):
            frames.call(sock, record)
    ask = frames.fetch(topic, [0], min_bytes=1, max_bytes=8 * MIB) * 64
    with Attack(broker, 700) as attack:
        stopped = connections(broker, 150)
        for sock in stopped:
            sock.setblocking(False)
            try:
                sock.send(ask)
            except BlockingIOError:
                pass
        for _ in range(30):
            time.sleep(0.1)
            attack.look()
        close_all(stopped)
    serves(broker)


@case("limits", "writers of one byte a second are served when they are done")
def slow_writers(broker):
    request = frames.api_versions()
    with Attack(broker, 8) as attack:
        writers = connections(broker, 300)
        for at in range(6):
            for sock in writers:
                sock.sendall(request[at:at + 1])
            attack.look()
            time.sleep(1)
        for sock in writers:
            sock.sendall(request[6:])
        for sock in writers:
            frames.reply(sock)
        close_all(writers)


# ---- peers that are half there

def vanish(sock):
    """As if its machine had lost power: the kernel forgets the connection and says nothing."""
    TCP_REPAIR = 19
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


@case("limits", "half-closed peers get their answers, half-open ones end when they are idle",
      settings=("connections.max.idle.ms=3000",))
def half_peers(broker):
    topic = new_topic("half")
    with frames.connect(broker.port) as sock:
        frames.call(sock, frames.create_topic(topic, 1))
    with Attack(broker, 16) as attack:
        closed = connections(broker, 200)
        for sock in closed:
            sock.sendall(frames.api_versions() + frames.fetch(topic, [0], max_wait_ms=60000, min_bytes=1))
            sock.shutdown(socket.SHUT_WR)
        for sock in closed:
            frames.reply(sock)
            frames.reply(sock)          # the long poll ends early
            expect(frames.is_closed(sock), "a half-closed connection was not closed after its answers")
        close_all(closed)
        before = descriptors(broker)
        gone = connections(broker, 200)
        for sock in gone:
            frames.call(sock, frames.api_versions())
        expect(descriptors(broker) >= before + 200, "they are not open")
        try:
            for sock in gone:
                vanish(sock)
        except PermissionError:
            close_all(gone)             # without root they can only say goodbye
        limit = time.monotonic() + 20
        while descriptors(broker) > before + 20 and time.monotonic() < limit:
            time.sleep(0.1)
        expect(descriptors(broker) <= before + 20, f"{descriptors(broker)} descriptors, before: {before}")
        attack.look()


# ---- many

@case("limits", "10,000 idle connections of at most 4 KiB, 1,000 active beside them", timeout=120,
      settings=("socket.listen.backlog.size=1024",))
def many_connections(broker):
    idle_count, active_count = 10000, 1000
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    if limit[1] < idle_count + active_count + 200:
        idle_count = limit[1] - active_count - 200
    usual = usual_p99(broker)
    before = resident(broker)
    idle = [frames.connect(broker.port, source=f"127.0.0.{2 + i % 8}") for i in range(idle_count)]
    serves(broker)
    each = (resident(broker) - before) / idle_count
    print(f"        {each:.0f} bytes for each of {idle_count} idle connections", flush=True)
    expect(each <= 4096, f"an idle connection costs {each:.0f} bytes")
    active = [frames.connect(broker.port, source=f"127.0.0.{2 + i % 8}") for i in range(active_count)]
    answers = 0
    with new_healthy(broker) as client:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for sock in active:
                sock.sendall(frames.api_versions())
            for sock in active:
                frames.reply(sock)
            answers += active_count
    print(f"        {answers} answers to {active_count} active ones; healthy p99 {client.p99 * 1e3:.1f} ms", flush=True)
    expect(client.p99 <= max(P99_SECONDS, 5 * usual), f"p99 of a healthy client: {client.p99:.3f} s")
    for sock in idle[::100]:
        frames.call(sock, frames.api_versions())        # they were idle, not dead
    close_all(idle + active)


@case("limits", "1,000 connections that announce 100 MB and send nothing cost nothing")
def announcers(broker):
    topic = new_topic("upload")
    with frames.connect(broker.port, 60) as sock:
        frames.call(sock, frames.create_topic(topic, 1))
    upload = frames.produce(topic, frames.batch(900000))
    with Attack(broker, 24) as attack:
        liars = connections(broker, 1000)
        for i, sock in enumerate(liars):
            sock.sendall(struct.pack(">i", 100 * 1000 * 1000) + b"\0" * (i % 3))
        with frames.connect(broker.port, 20) as sock:
            for _ in range(10):
                begin = time.monotonic()
                frames.call(sock, upload)
                expect(time.monotonic() - begin < 5, "a large request has to wait for liars")
        time.sleep(1)
        attack.look()
        close_all(liars)


@case("limits", "long polls over thousands of partitions are answered early when they hold too much",
      settings=("queued.max.request.bytes=134217728",), timeout=120)
def long_polls(broker):
    topic = new_topic("polls")
    with frames.connect(broker.port) as sock:
        frames.call(sock, frames.create_topic(topic, 8))
    ask = frames.fetch(topic, [i % 8 for i in range(3500)], max_wait_ms=600000, min_bytes=1, max_bytes=1000)
    # 40 requests of 2 ms of work each in every turn, on the one shard that all share
    with Attack(broker, 300, p99_seconds=0.5) as attack:
        pollers = connections(broker, 40)
        waiting = {sock.fileno(): [sock, memoryview(ask * 20)] for sock in pollers}
        for sock in pollers:
            sock.setblocking(False)
        end = time.monotonic() + 8
        answered = 0
        while time.monotonic() < end:
            writers = [s for s, rest in waiting.values() if rest]
            if not writers:
                end = min(end, time.monotonic() + 1)
            readable, writable, _ = select.select(pollers, writers, [], 0.1)
            for sock in readable:
                piece = sock.recv(MIB)
                expect(piece, "a poller was closed")
                answered += len(piece)
            for sock in writable:
                rest = waiting[sock.fileno()][1]
                waiting[sock.fileno()][1] = rest[sock.send(rest[:MIB]):]
            attack.look()
        expect(not any(rest for _, rest in waiting.values()), "some polls were never read")
        expect(answered > 0, "nobody was answered early")
        attack.log.expect_one("answered early")
        close_all(pollers)


# ---- floods

@case("limits", "max.connections, max.connections.per.ip: one more is closed at once",
      settings=("max.connections=200", "max.connections.per.ip=100", "max.connections.per.ip.overrides=127.0.0.9:3"))
def too_many(broker):
    log = Log(broker)
    mine = connections(broker, 100)
    for _ in range(50):
        extra = frames.connect(broker.port)
        expect(frames.is_closed(extra), "connection 101 of one address is open")
        extra.close()
    log.expect_one("max.connections.per.ip")
    few = [frames.connect(broker.port, source="127.0.0.9") for _ in range(3)]
    extra = frames.connect(broker.port, source="127.0.0.9")
    expect(frames.is_closed(extra), "an override has no effect")
    others = [frames.connect(broker.port, source="127.0.0.2") for _ in range(97)]
    extra = frames.connect(broker.port, source="127.0.0.3")
    expect(frames.is_closed(extra), "connection 201 is open")
    expect_equal(len(log.lines("(max.connections)")), 1, "lines about max.connections")
    for sock in mine + few + others:
        frames.call(sock, frames.api_versions())
    close_all(mine + few + others)
    time.sleep(0.2)
    serves(broker)


@case("limits", "a flood of connections is accepted at its rate, the others wait",
      settings=("max.connection.creation.rate=500", "socket.listen.backlog.size=50"))
def flood(broker):
    with Attack(broker, 24) as attack:
        end = time.monotonic() + 4
        count, refused = 0, 0
        pending = []
        while time.monotonic() < end:
            sock = socket.socket()
            sock.setblocking(False)
            try:
                sock.connect(("127.0.0.1", broker.port))
            except BlockingIOError:
                pass
            except OSError:
                refused += 1
            pending.append(sock)
            count += 1
            if len(pending) >= 1000:
                close_all(pending[:500])
                del pending[:500]
            if count % 50 == 0:
                attack.look()
                time.sleep(0.001)
        close_all(pending)
        attack.log.expect_one("max.connection.creation.rate")
        print(f"        {count} connections tried in 4 s, {refused} refused by the kernel", flush=True)
    serves(broker)


class PoorBroker(Broker):
    """May open so many descriptors and no more."""
    most = 100

    def command(self, port=None):
        return ["/bin/sh", "-c", f'ulimit -n {self.most}; exec "$@"', "sh", *super().command(port)]


@case("limits", "without descriptors accepting pauses, who is connected is served, and it heals")
def no_descriptors(rich):
    broker = PoorBroker(rich.binary, rich.shards, io=rich.io)
    try:
        broker.start()
        with Attack(broker, 16) as attack:
            known = connections(broker, 20)
            for sock in known:
                frames.call(sock, frames.api_versions())
            late = connections(broker, 100)             # the kernel's queue takes them
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for sock in known:
                    frames.call(sock, frames.api_versions())
                time.sleep(0.05)
            expect(descriptors(broker) >= broker.most - 2, f"{descriptors(broker)} descriptors are open")
            attack.log.expect_one("cannot accept connections")
            served = 0
            for sock in late:
                frames.call(sock, frames.api_versions())        # each makes room for one that waits
                served += 1
                sock.close()
            expect_equal(served, 100, "connections served in the end")
            close_all(known)
        expect_equal(broker.stop(), 0, "exit code on SIGTERM")
    finally:
        broker.remove()

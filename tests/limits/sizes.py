"""tests/limits/sizes.py — how many partitions, how large records, batches and requests; and what stays of them."""
import glob
import hashlib
import os
import struct
import subprocess
import time

import frames
from cases import MIB, descriptors, resident
from harness import case, expect, expect_equal, new_topic

MESSAGE_TOO_LARGE = 10
RECORD = 50_000_000
LARGE = ("message.max.bytes=60000000", "socket.request.max.bytes=104857600")


def code_of_create(broker, topic, partitions):
    sock = frames.connect(broker.port, 120)
    answer = frames.call(sock, frames.create_topic(topic, partitions))
    sock.close()
    return struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + len(topic))[0]


def code_of_produce(sock, topic, partition, value_bytes):
    answer = frames.call(sock, frames.produce(topic, frames.batch(value_bytes), partition))
    return struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)[0]


# ---- partitions

@case("limits", "10,000 partitions: descriptors, memory, a clean stop that writes nothing, all of them used after it",
      timeout=240)
def many_partitions(broker):
    empty = resident(broker)
    topics = [(new_topic("many"), count) for count in (1000, 1000, 1000, 1000, 6000)]
    begin = time.monotonic()
    for topic, count in topics:
        expect_equal(code_of_create(broker, topic, count), 0, topic)
    took = time.monotonic() - begin
    grown = resident(broker) - empty
    begin = time.monotonic()
    expect_equal(broker.stop(), 0, "exit code")
    stopped = time.monotonic() - begin
    expect_equal(len(glob.glob(f"{broker.data}/many-*/partition.metadata")), 10000, "directories")
    expect_equal(len(glob.glob(f"{broker.data}/many-*/leader-epoch-checkpoint")), 0, "logs written at the stop")
    begin = time.monotonic()
    broker.start()
    started = time.monotonic() - begin
    again = resident(broker) - empty
    print(f"        created in {took:.1f} s, stopped in {stopped:.2f} s, serves again after {started:.2f} s; "
          f"memory +{grown / MIB:.1f} MiB, after the start +{again / MIB:.1f} MiB; "
          f"{descriptors(broker)} descriptors", flush=True)
    expect(max(grown, again) <= 40 * MIB, "more than 40 MiB for 10,000 partitions")
    expect(descriptors(broker) <= 1000, f"{descriptors(broker)} descriptors")
    sock = frames.connect(broker.port, 60)
    for topic, count in topics:
        for partition in range(0, count, 5):
            expect_equal(code_of_produce(sock, topic, partition, 10), 0, f"{topic}-{partition}")
    sock.close()
    # Of those in use as many are kept open as half of RLIMIT_NOFILE allows.
    print(f"        with 2,000 of them in use {descriptors(broker)} descriptors", flush=True)


# ---- records and batches, by a real client

def kcat(broker, *arguments, data=None):
    done = subprocess.run(["kcat", "-b", broker.address, *arguments], input=data, capture_output=True,
                          timeout=100, check=False)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def batches_of(broker, topic):
    """(bytes, records) of each batch in the partition's file."""
    found = []
    with open(f"{broker.data}/{topic}-0/00000000000000000000.log", "rb") as log:
        data = log.read()
    at = 0
    while at < len(data):
        size = 12 + struct.unpack_from(">i", data, at + 8)[0]
        found.append((data[at:at + size], struct.unpack_from(">i", data, at + 57)[0]))
        at += size
    return found


@case("limits", "records of 10 B to 50 MB by a real client; a larger one is refused as such, and memory goes back",
      timeout=240, settings=LARGE)
def record_sizes(broker):
    before = resident(broker)
    for size in (10, 1000, 100_000, 10_000_000, RECORD):
        topic = new_topic("record")
        expect_equal(code_of_create(broker, topic, 1), 0, topic)
        value = (os.urandom(min(size, 1 << 20)) * (size // (1 << 20) + 1))[:size].replace(b"\n", b"n")
        path = os.path.join(broker.home, "value")
        with open(path, "wb") as file:
            file.write(value)
        status, _out, error = kcat(broker, "-P", "-t", topic, "-X", "message.max.bytes=104857600", path)
        expect_equal(status, 0, f"{size} B: {error}")
        status, out, error = kcat(broker, "-C", "-q", "-t", topic, "-e", "-D", "", "-X", "fetch.message.max.bytes=104857600",
                                  "-X", "receive.message.max.bytes=1000000000")
        expect_equal(status, 0, f"{size} B: {error}")
        expect_equal(hashlib.sha256(out).digest(), hashlib.sha256(value).digest(), f"{size} B, {len(out)} came back")
    with open(path, "ab") as file:
        file.write(b"x" * 11_000_000)
    status, _out, error = kcat(broker, "-P", "-t", topic, "-X", "message.max.bytes=104857600", path)
    expect(status != 0 or "too large" in error.lower(), f"61 MB were taken: {error}")
    expect("too large" in error.lower(), f"the refusal says: {error}")
    expect_equal(len(batches_of(broker, topic)), 1, "batches in the log")
    expect_gone_back(broker, before)


def expect_gone_back(broker, before, most_mib=64):
    """The newest records stay in memory, 16 MiB a shard, or the last large one; the rest goes back."""
    limit = time.monotonic() + 15
    while resident(broker) - before > most_mib * MIB and time.monotonic() < limit:
        time.sleep(0.2)
    grown = (resident(broker) - before) / MIB
    print(f"        memory afterwards +{grown:.1f} MiB", flush=True)
    expect(grown <= most_mib, f"{grown:.0f} MiB stay")


@case("limits", "batches of 1 to 100,000 records by a real client", timeout=120, settings=LARGE)
def batch_sizes(broker):
    for count in (1, 10, 1000, 100_000):
        topic = new_topic("batch")
        expect_equal(code_of_create(broker, topic, 1), 0, topic)
        lines = b"".join(b"%09d\n" % i for i in range(count))
        status, _out, error = kcat(broker, "-P", "-t", topic, "-X", "linger.ms=5000", "-X", "batch.size=50000000",
                                   "-X", "message.max.bytes=50000000", "-X", f"batch.num.messages={count}",
                                   "-X", "queue.buffering.max.messages=200000", data=lines)
        expect_equal(status, 0, error)
        status, out, error = kcat(broker, "-C", "-q", "-t", topic, "-e")
        expect_equal(status, 0, error)
        expect(out == lines, f"{count} records did not come back as they were sent")
        largest = max(records for _batch, records in batches_of(broker, topic))
        expect_equal(largest, count, "records of the largest batch")


# ---- requests

def produce_head(topic, partitions, records_bytes):
    """A request with the same records for each partition, without them: (frame before the first, between)."""
    body = struct.pack(">hhi", -1, 1, 30000) + struct.pack(">i", 1) + frames.string(topic)
    body += struct.pack(">i", partitions)
    size = len(body) + partitions * (8 + records_bytes)
    head = struct.pack(">hhi", frames.PRODUCE, 3, 1) + frames.string("limits")
    return struct.pack(">i", len(head) + size) + head + body


@case("limits", "a request of 100 MB is served, one byte above the limit closes its connection; memory goes back",
      timeout=180, settings=LARGE)
def request_sizes(broker):
    topic = new_topic("request")
    expect_equal(code_of_create(broker, topic, 2), 0, topic)
    path = os.path.join(broker.home, "value")
    with open(path, "wb") as file:
        file.write(b"v" * RECORD)
    status, _out, error = kcat(broker, "-P", "-t", topic, "-p", "0", "-X", "message.max.bytes=104857600", path)
    expect_equal(status, 0, error)
    batch = batches_of(broker, topic)[0][0]
    before = resident(broker)
    sock = frames.connect(broker.port, 60)
    sock.sendall(produce_head(topic, 2, len(batch)))
    for partition in range(2):
        sock.sendall(struct.pack(">ii", partition, len(batch)))
        sock.sendall(batch)
    answer = frames.reply(sock)
    at = 4 + 4 + 2 + len(topic) + 4
    for partition in range(2):
        expect_equal(struct.unpack_from(">ihq", answer, at), (partition, 0, 1 - partition), "partition, error, offset")
        at += 22
    sock.sendall(struct.pack(">i", 104857601))
    expect(frames.is_closed(sock), "a frame above socket.request.max.bytes was not refused")
    sock.close()
    del batch
    expect_gone_back(broker, before)


@case("limits", "a batch above max.message.bytes is refused by its code, its neighbours are taken", timeout=60,
      settings=("message.max.bytes=100000",))
def batch_too_large(broker):
    topic = new_topic("large")
    expect_equal(code_of_create(broker, topic, 1), 0, topic)
    sock = frames.connect(broker.port)
    largest = len(frames.batch(99_000)) - 99_000        # what a batch has around a value of this size
    expect_equal(code_of_produce(sock, topic, 0, 100_000 - largest), 0, "exactly the limit")
    expect_equal(code_of_produce(sock, topic, 0, 100_001 - largest), MESSAGE_TOO_LARGE, "one byte more")
    expect_equal(code_of_produce(sock, topic, 0, 10), 0, "on the same connection")
    sock.close()

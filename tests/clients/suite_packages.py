"""tests/clients/suite_packages.py — real input: this machine's own Debian package index.

Tens of thousands of records from 300 bytes to tens of kilobytes, keyed by package, over eight
partitions; written and read by librdkafka (through Python) and by the Java client, across each
other, with every codec, and across a kill -9 of the broker while half of them is acknowledged.
"""
import fcntl
import os
import struct
import subprocess

from harness import BUILD, HERE, Failed, Skipped, case, die_with_parent, expect, new_topic, owned, run
from suite_java import java_command

PYTHON = "/usr/bin/python3"
CLIENT = os.path.join(HERE, "python", "packages_client.py")
FILE = os.path.join(BUILD, "packages.bin")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def package_file():
    """The index as the clients' record file (packages_client.py tells the format), made once: its time is
    that of the records, and several runs want it at the same time."""
    os.makedirs(BUILD, exist_ok=True)
    with open(FILE + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(FILE):
            make_package_file()
    return FILE


def make_package_file():
    index = run(["apt-cache", "dumpavail"], timeout=60).stdout
    seen, packed = set(), []
    for stanza in index.split(b"\n\n"):
        stanza = stanza.strip(b"\n")
        if stanza.startswith(b"Package: ") and stanza not in seen:
            seen.add(stanza)
            key = stanza.split(b"\n", 1)[0][9:]
            packed += [struct.pack(">II", len(key), len(stanza)), key, stanza]
    if len(seen) < 1000:
        raise Skipped(f"only {len(seen)} packages known: apt-get update")
    with open(FILE + ".new", "wb") as file:
        file.write(b"".join(packed))
    os.rename(FILE + ".new", FILE)


def client(*arguments, timeout=120):
    return run([PYTHON, CLIENT, *arguments], timeout=timeout).stdout.decode()


_written = {}   # (broker address, codec) -> topic that librdkafka wrote


def codec_case(codec):
    @case("packages", f"librdkafka writes and reads, codec {codec}", timeout=150)
    def one(broker):
        path, topic = package_file(), new_topic(f"packages-{codec}")
        client("create", broker.address, topic)
        client("write", broker.address, topic, path, codec)
        client("check", broker.address, topic, path)
        _written[broker.address, codec] = topic


for _codec in CODECS:
    codec_case(_codec)


@case("packages", "Java reads what librdkafka wrote, every codec", timeout=200)
def java_reads(broker):
    topics = [t for (address, _), t in _written.items() if address == broker.address]
    if not topics:
        raise Failed("librdkafka could write none")
    run(java_command("PackagesClient", "check", broker.address, package_file(), *topics), timeout=180)


@case("packages", "librdkafka reads what Java wrote, every codec", timeout=240)
def java_writes(broker):
    path, topics = package_file(), []
    for codec in CODECS:
        topics.append(new_topic(f"java-{codec}"))
        client("create", broker.address, topics[-1])
    pairs = [word for pair in zip(topics, CODECS) for word in pair]
    run(java_command("PackagesClient", "write", broker.address, path, *pairs), timeout=180)
    for topic in topics:
        client("check", broker.address, topic, path)


def killed_in_the_middle(broker, writer_command, topic):
    """Kill -9 the broker when the writer has half of its acknowledgements; restart it there."""
    owned(broker)
    path = package_file()
    client("create", broker.address, topic)
    writer = subprocess.Popen(writer_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              preexec_fn=die_with_parent)
    try:
        line = writer.stdout.readline()
        broker.kill()
        in_time = writer.poll() is None
        broker.start()
        rest, errors = writer.communicate(timeout=150)
    finally:
        writer.kill()
        writer.wait()
    expect(line == b"half\n", f"the writer said {line!r} {errors[-800:]!r}")
    expect(in_time, "the writer was done before the broker was killed")
    expect(writer.returncode == 0, f"the writer failed: {errors[-800:]!r}")
    expect(rest.startswith(b"acknowledged "), f"the writer said {rest[-300:]!r}")
    client("check", broker.address, topic, path)


@case("packages", "kill -9 in the middle: librdkafka, idempotent, nothing lost, twice or astray",
      timeout=300)
def killed_librdkafka(broker):
    topic = new_topic("killed-rdkafka")
    killed_in_the_middle(broker, [PYTHON, CLIENT, "write", broker.address, topic, package_file(),
                                  "lz4"], topic)


@case("packages", "kill -9 in the middle: Java's defaults, nothing lost, twice or astray",
      timeout=300)
def killed_java(broker):
    topic = new_topic("killed-java")
    killed_in_the_middle(broker, java_command("PackagesClient", "write", broker.address,
                                              package_file(), topic, "none"), topic)

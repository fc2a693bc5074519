"""tests/clients/suite_kcat.py — kcat, the smoke test everybody has: librdkafka behind a pipe."""
import glob
import os
import random
import subprocess

from harness import Failed, case, die_with_parent, expect, expect_equal, new_topic, run


def kcat(broker, *arguments, stdin=None, timeout=30, check=True):
    return run(["kcat", "-b", broker.address, *arguments], stdin=stdin, timeout=timeout, check=check)


def produce(broker, topic, lines, *arguments):
    """One record per line."""
    kcat(broker, "-P", "-t", topic, *arguments, stdin=b"".join(line + b"\n" for line in lines))


def consume(broker, topic, *arguments, start="beginning", form="%s\\n"):
    """Lines as kcat prints them, up to the end of every partition."""
    done = kcat(broker, "-C", "-q", "-e", "-t", topic, "-o", str(start), "-f", form, *arguments)
    return done.stdout.split(b"\n")[:-1]


def some_lines(count, seed=1):
    """Lines that compress, no two alike."""
    rng = random.Random(seed)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(60)]
    return [b"%d " % i + b" ".join(rng.choices(words, k=20)) for i in range(count)]


def stored_bytes(broker, topic):
    return sum(os.path.getsize(f) for f in glob.glob(f"{broker.data}/{topic}-*/*.log"))


@case("kcat", "lists brokers and topics (-L)")
def metadata(broker):
    topic = new_topic("listed")
    produce(broker, topic, [b"x"])
    text = kcat(broker, "-L").stdout.decode()
    expect("1 brokers:" in text, f"one broker expected: {text[:300]}")
    expect(f'topic "{topic}" with 1 partitions' in text, f"{topic} is not listed: {text[:600]}")
    expect("Broker: " not in text, f"an error in the metadata: {text[:600]}")
    one = kcat(broker, "-L", "-t", topic).stdout.decode()
    expect("leader " in one and "isrs: " in one, one[:600])


def codec_case(codec):
    @case("kcat", f"writes and reads 2,000 records, codec {codec}")
    def one(broker):
        topic, lines = new_topic(codec), some_lines(2000)
        produce(broker, topic, lines, "-z", codec)
        expect_equal(consume(broker, topic), lines, "what comes back")
        if broker.owned:
            plain, stored = sum(map(len, lines)), stored_bytes(broker, topic)
            if codec == "none":
                expect(stored > plain, f"{stored} bytes stored of {plain}")
            else:
                # librdkafka drops a codec silently if ApiVersions does not show it what it
                # looks for, so the size on disk is the proof.
                expect(stored < plain * 0.8, f"not compressed: {stored} bytes stored of {plain}")


for _codec in ("none", "gzip", "snappy", "lz4", "zstd"):
    codec_case(_codec)


@case("kcat", "reads from beginning, an offset, the last N, the end")
def positions(broker):
    topic, lines = new_topic("positions"), some_lines(500)
    produce(broker, topic, lines)
    expect_equal(consume(broker, topic, start="beginning"), lines, "from the beginning")
    expect_equal(consume(broker, topic, start=123), lines[123:], "from offset 123")
    expect_equal(consume(broker, topic, start=-7), lines[-7:], "the last 7")
    expect_equal(consume(broker, topic, start="end"), [], "from the end")
    expect_equal(consume(broker, topic, "-c", "3", start=499), lines[499:], "the last record")
    offsets = consume(broker, topic, form="%o\\n")
    expect_equal(offsets, [b"%d" % i for i in range(500)], "offsets")


@case("kcat", "reads from a timestamp (-o s@, e@) and asks for one (-Q)")
def timestamps(broker):
    topic = new_topic("times")
    first, second = some_lines(50, 1), some_lines(50, 2)
    produce(broker, topic, first)
    last = max(int(t) for t in consume(broker, topic, form="%T\\n"))
    while True:     # the second half must be at least a millisecond younger than the first
        probe = new_topic("clock")
        produce(broker, probe, [b"tick"])
        if int(consume(broker, probe, form="%T\\n")[0]) > last:
            break
    produce(broker, topic, second)
    times = [int(t) for t in consume(broker, topic, form="%T\\n")]
    cut = min(t for t in times if t > last)
    expect_equal(consume(broker, topic, start=f"s@{cut}"), second, "from the second half's time")
    expect_equal(consume(broker, topic, start=f"s@{times[0]}"), first + second, "from the first's")
    until = kcat(broker, "-C", "-q", "-e", "-t", topic, "-o", f"s@{times[0]}", "-o", f"e@{cut}")
    expect_equal(until.stdout.split(b"\n")[:-1], first, "up to the second half's time")
    answer = kcat(broker, "-Q", "-t", f"{topic}:0:{cut}").stdout.decode()
    expect("offset 50" in answer, f"asked for {cut}: {answer}")
    answer = kcat(broker, "-Q", "-t", f"{topic}:0:{times[-1] + 60000}").stdout.decode()
    expect("offset -1" in answer or "offset 100" in answer, f"asked for the future: {answer}")


@case("kcat", "keys, null values, headers")
def keys(broker):
    topic = new_topic("keys")
    produce(broker, topic, [b"k1:v1", b"k2:", b":v3"], "-K:", "-Z", "-H", "h1=one", "-H", "h2=two",
            "-H", "h1=again")
    lines = consume(broker, topic, form="%K %k %S %s %h\\n")
    headers = b"h1=one,h2=two,h1=again"
    expect_equal(lines, [b"2 k1 2 v1 " + headers, b"2 k2 -1  " + headers,
                         b"-1  2 v3 " + headers], "key, value and headers")


@case("kcat", "acks 0, 1 and all")
def acks(broker):
    for value in ("0", "1", "all"):
        topic, lines = new_topic(f"acks-{value}"), some_lines(300)
        produce(broker, topic, lines, "-X", f"acks={value}")
        for _ in range(50):     # acks=0 promises nothing about when it can be read
            got = consume(broker, topic)
            if got == lines or value != "0":
                break
        expect_equal(got, lines, f"acks={value}")


@case("kcat", "idempotent producer")
def idempotent(broker):
    topic, lines = new_topic("idempotent"), some_lines(3000)
    produce(broker, topic, lines, "-X", "enable.idempotence=true", "-X", "batch.num.messages=100")
    expect_equal(consume(broker, topic), lines, "what comes back")


@case("kcat", "a 900 kB record passes, a 3 MB record is refused by its name")
def sizes(broker):
    topic = new_topic("large")
    big = bytes(random.Random(3).choices(b"abcdefghij", k=900_000))
    produce(broker, topic, [big])
    got = kcat(broker, "-C", "-q", "-e", "-t", topic).stdout
    expect(got == big + b"\n", f"{len(got)} bytes came back of {len(big)}")
    refused = kcat(broker, "-P", "-t", topic, "-X", "message.max.bytes=10000000", check=False,
                   stdin=big * 4 + b"\n")
    expect(b"Message size too large" in refused.stderr, f"wanted: Message size too large; got "
           f"{refused.returncode} {refused.stderr[-300:]}")


@case("kcat", "an unknown topic and an offset out of range are named")
def errors(broker):
    topic = new_topic("errors")
    produce(broker, topic, [b"a", b"b"])
    late = kcat(broker, "-C", "-e", "-t", topic, "-o", "77", "-X", "auto.offset.reset=error",
                check=False)
    expect(b"out of range" in late.stderr.lower(), f"offset 77 of 2: {late.stderr[-300:]}")
    nobody = kcat(broker, "-C", "-e", "-t", new_topic("nobody"), "-X",
                  "allow.auto.create.topics=false", check=False)
    if b"nknown topic" not in nobody.stderr:
        raise Failed(f"an unknown topic: {nobody.returncode} {nobody.stderr[-300:]}")


@case("kcat", "waits for records that come later")
def tail(broker):
    topic = new_topic("tail")
    produce(broker, topic, [b"before"])
    reader = subprocess.Popen(["kcat", "-b", broker.address, "-C", "-u", "-q", "-c", "3", "-t", topic,
                               "-o", "beginning"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        expect_equal(reader.stdout.readline(), b"before\n", "the first record")
        produce(broker, topic, [b"later"])
        expect_equal(reader.stdout.readline(), b"later\n", "the second record")
        produce(broker, topic, [b"last"])
        expect_equal(reader.stdout.readline(), b"last\n", "the third record")
        expect_equal(reader.wait(20), 0, "exit code")
    finally:
        reader.kill()
        reader.wait()

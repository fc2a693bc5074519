"""perf/rows.py — what perf/compare measures: one class per kind of row, one entry per row.

A row says what its load is (record size, batch, partitions, connections, acks, sync), runs one
interval against one side, and names its metrics with their targets.  A target is a ratio
ringlog ÷ Kafka, or an absolute bound on ringlog alone.
"""
import dataclasses
import resource
import time

import lab

GB = 10 ** 9
KIB = 1 << 10
MIB = 1 << 20
RINGLOG_WARM_SECONDS = 2        # nothing is compiled; its buffers are there after this


@dataclasses.dataclass
class Metric:
    key: str
    label: str
    unit: str
    ratio: float = None             # ringlog ÷ Kafka: at most (or at least: higher is better)
    bound: float = None             # on ringlog alone
    higher: bool = False

    def target_text(self):
        sign = "≥" if self.higher else "≤"
        if self.ratio is not None:
            exact = 1 / self.ratio
            text = f"1/{exact:.0f}" if self.ratio < 0.6 and abs(exact - round(exact)) < 0.01 else f"{self.ratio:g}"
            return f"{sign} {text}"
        return f"{sign} {self.bound:g} {self.unit}" if self.bound is not None else ""


@dataclasses.dataclass
class Shape:
    """A row's load, in words, for the report's table."""
    record: str = "–"
    batch: str = "–"
    partitions: str = "1"
    connections: str = "1"
    acks: str = "1"
    sync: str = "no"


def _children_cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Side:
    """One broker under test, for the time of one row."""

    def __init__(self, room, kind, settings):
        self.room = room
        self.kind = kind
        self.name = kind.name
        self.settings = settings
        self.others = []                # their machine time is not ours
        self.broker = None
        self.bytes_per_second = 0       # the most it has written, warm

    def start(self):
        self.broker = self.room.broker(self.kind)
        self.broker.start()

    def free(self):
        if self.broker is not None:
            self.broker.free()
            self.broker = None

    def warm_seconds(self):
        """Of load before the first interval: Kafka's code wants to be compiled."""
        jit = self.settings.jit_seconds
        return jit if self.name == "kafka" else min(jit, RINGLOG_WARM_SECONDS)

    def touch(self, guess_bytes_per_second):
        """Memory for what the coming interval will write: for both sides the same, by the faster
        one; before both have been measured, by a guess."""
        seen = [side.bytes_per_second for side in (self, *self.others)]
        rate = max(seen) * 1.1 if all(seen) else guess_bytes_per_second
        lab.touch_memory(int(rate * (self.settings.seconds + self.settings.warmup) + GB // 4))

    def bench(self, mode, **flags):
        """The generator against this side; what the others use meanwhile is taken off the
        machine's time, and what is nobody's of ours is told: it should be little."""
        others = [other.broker.pid for other in self.others if other.broker]
        begin, busy, children = time.monotonic(), lab.machine_busy_seconds(), _children_cpu_seconds()
        own = lab.process_cpu_seconds(self.broker.pid)
        before = sum(map(lab.process_cpu_seconds, others))
        figures = self.room.bench(self.broker, mode, **flags)
        seconds = time.monotonic() - begin
        idle = sum(map(lab.process_cpu_seconds, others)) - before
        rest = (lab.machine_busy_seconds() - busy - (_children_cpu_seconds() - children) -
                (lab.process_cpu_seconds(self.broker.pid) - own) - idle)
        figures["rest_cores"] = max(rest, 0) / seconds
        if figures.get("value_bytes") and "machine_cpu_seconds_per_gb" in figures:
            share = idle * figures["seconds"] / seconds
            figures["machine_cpu_seconds_per_gb"] -= share / (figures["value_bytes"] / GB)
        return figures


class Row:
    def __init__(self, number, title, statement, shape, metrics):
        self.number, self.title, self.statement, self.shape = number, title, statement, shape
        self.metrics = metrics
        self.has_floor = False          # lab.Floor is a third side

    def prepare(self, side):
        """Before the first interval."""

    def interval(self, side, number):
        """Figures, among them those of the metrics."""
        raise NotImplementedError


class Load(Row):
    """The generator in one mode; a fresh topic per interval, or one for all."""

    def __init__(self, *arguments, mode, flags, ringlog_config=None, kafka_config=None,
                 bytes_per_second=0, one_topic=False, has_floor=False):
        super().__init__(*arguments)
        self.has_floor = has_floor
        self.mode, self.flags = mode, flags
        self.config = {"ringlog": ringlog_config, "kafka": kafka_config, "floor": None}
        self.bytes_per_second = bytes_per_second        # of the faster side, before it is measured
        self.one_topic = one_topic

    def topic(self, number):
        return "all" if self.one_topic else f"row-{number}"

    def run(self, side, topic, seconds, warmup):
        return side.bench(self.mode, topic=topic, topic_config=self.config[side.name], seconds=seconds,
                          warmup=warmup, **self.flags)

    def prepare(self, side):
        side.start()
        self.run(side, self.topic("warm"), side.warm_seconds(), 0)
        if not self.one_topic:
            side.broker.delete_topic(self.topic("warm"))

    def interval(self, side, number):
        topic = self.topic(number)
        side.touch(self.bytes_per_second)
        figures = self.run(side, topic, side.settings.seconds, side.settings.warmup)
        side.bytes_per_second = max(side.bytes_per_second, figures["mb_per_second"] * 1e6)
        figures["resident_mib"] = lab.process_resident_bytes(side.broker.pid) / MIB
        if not self.one_topic:
            side.broker.delete_topic(topic)
        return figures


class Consume(Row):
    """Write, then read; a small topic, read again and again, warms the code up."""

    WRITE = {"record_size": KIB, "batch_size": 100_000, "in_flight": 5, "acks": 1}
    READ = {"record_size": KIB, "fetch_size": MIB}
    WARM_BYTES = 60_000_000

    def __init__(self, *arguments, write_gb):
        super().__init__(*arguments)
        self.write_gb = write_gb        # less than 1: read again and again
        self.has_floor = True           # the sink answers from memory, whatever was written

    def warm(self, side, seconds):
        side.bench("consume", topic="warm", repeat=True, seconds=seconds, **self.READ)

    def prepare(self, side):
        side.start()
        if side.name != "floor":
            side.bench("produce", topic="warm", bytes=self.WARM_BYTES, **self.WRITE)
        self.warm(side, side.warm_seconds())

    def interval(self, side, number):
        s = side.settings
        topic = f"row-{number}"
        size = int(self.write_gb * GB * (s.scale if self.write_gb >= 1 else 1))
        if side.name == "floor":
            self.warm(side, s.warmup)
            return side.bench("consume", topic=topic, repeat=True, seconds=s.seconds, **self.READ)
        lab.touch_memory(size + GB // 4)
        side.bench("produce", topic=topic, bytes=size, **self.WRITE)
        self.warm(side, s.warmup)
        extra = {} if self.write_gb >= 1 else {"repeat": True, "seconds": s.seconds}
        figures = side.bench("consume", topic=topic, **extra, **self.READ)
        side.broker.delete_topic(topic)
        return figures


class Start(Row):
    """From fork to the first acknowledged record, with nothing and after kill -9."""

    def __init__(self, *arguments, gigabytes=0):
        super().__init__(*arguments)
        self.gigabytes = gigabytes

    def interval(self, side, number):
        side.broker = side.room.broker(side.kind)
        try:
            figures = {"start_ms": side.broker.first_ack()}
            if self.gigabytes:
                size = int(self.gigabytes * GB * side.settings.scale)
                lab.touch_memory(size + GB // 4)
                side.bench("produce", topic="full", bytes=size, record_size=KIB, batch_size=100_000,
                           partitions=4, connections=4, in_flight=5, acks=1)
                side.broker.stop(kill=True)
                figures = {"start_ms": side.broker.first_ack(create=False)}
            return figures
        finally:
            side.free()


class Memory(Row):
    """Resident memory: idle, and after a load."""

    def __init__(self, *arguments, load):
        super().__init__(*arguments)
        self.load = load

    def interval(self, side, number):
        try:
            side.start()
            time.sleep(2)
            figures = {"idle_mib": lab.process_resident_bytes(side.broker.pid) / MIB}
            load = self.load.interval(side, number)
            return {**figures, "loaded_mib": load["resident_mib"], "rest_cores": load["rest_cores"]}
        finally:
            side.free()


class Idle(Row):
    """Connections that do nothing."""

    def __init__(self, *arguments, connections):
        super().__init__(*arguments)
        self.connections = connections

    def interval(self, side, number):
        try:
            side.start()
            time.sleep(1)
            return side.bench("idle", connections=self.connections)
        finally:
            side.free()


def _end_to_end(number, rate):
    return Load(
        number, f"end to end, {rate:,} messages/s",
        "1 producer at a fixed rate (open loop, one record a request: linger 0), 1 consumer at the tail; latency "
        "from the intended moment to delivery",
        Shape("1 KiB", "1 record", connections="1 + 1"),
        [Metric("latency_p50", "p50", "ms", 1 / 2), Metric("latency_p99", "p99", "ms", 1 / 3),
         Metric("broker_cores", "broker", "cores", 1 / 4)],
        mode="end-to-end", flags={"record_size": KIB, "rate": rate, "in_flight": 64, "acks": 1})


PRODUCE_BIG = Load(
    "1", "produce, large batches", "4 requests in flight",
    Shape("1 KiB", "900 KB"),
    [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 1 / 3),
     Metric("mb_per_second", "throughput", "MB/s", higher=True)],
    mode="produce", flags={"record_size": KIB, "batch_size": 900_000, "in_flight": 4, "acks": 1},
    bytes_per_second=GB, has_floor=True)

ROWS = [
    PRODUCE_BIG,
    Load("2", "produce, small records", "4 requests in flight",
         Shape("100 B", "500 KB"),
         [Metric("broker_cpu_seconds_per_million", "broker CPU", "CPU-s per million records", 1 / 3),
          Metric("records_per_second", "throughput", "records/s", higher=True)],
         mode="produce", flags={"record_size": 100, "batch_size": 500_000, "in_flight": 4, "acks": 1},
         bytes_per_second=GB, has_floor=True),
    Load("2b", "produce, small requests", "5 requests in flight on each connection; Kafka's own rule for acks=all "
         "on both sides (ringlog.acks.all.sync=false)",
         Shape("1 KiB", "16 KB", connections="4", acks="all"),
         [Metric("broker_cpu_us_per_request", "broker CPU", "µs per request", 1 / 5),
          Metric("requests_per_second", "throughput", "requests/s", higher=True)],
         mode="produce", flags={"record_size": KIB, "batch_size": 16_384, "connections": 4, "in_flight": 5,
                                "acks": "all"},
         ringlog_config="ringlog.acks.all.sync=false", bytes_per_second=GB, has_floor=True),
    Consume("3", "consume what was just written", "3 GB, from the beginning to the end, fetches of 1 MiB",
            Shape("1 KiB", "100 KB"),
            [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 0.65),
             Metric("machine_cpu_seconds_per_gb", "machine CPU", "CPU-s/GB", 0.75),
             Metric("mb_per_second", "throughput", "MB/s", higher=True)],
            write_gb=3),
    Consume("3b", "consume near the tail", "the last 60 MB of a partition again and again, fetches of 1 MiB",
            Shape("1 KiB", "100 KB"),
            [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 1 / 2),
             Metric("mb_per_second", "throughput", "MB/s", higher=True)],
            write_gb=0.06),
    _end_to_end("5", 10_000),
    _end_to_end("5b", 2_000),
    Load("6", "durable", "1 request in flight on each connection; on stable storage before each acknowledgement "
         "(ringlog: acks=all; Kafka: acks=all and flush.messages=1)",
         Shape("1 KiB", "16 KB", "16", "16", "all", "before each acknowledgement"),
         [Metric("mb_per_second", "acknowledged", "MB/s", 1, higher=True),
          Metric("latency_p99", "p99", "ms"), Metric("broker_cpu_us_per_request", "broker CPU", "µs per request")],
         mode="produce", flags={"record_size": KIB, "batch_size": 16_384, "partitions": 16, "connections": 16,
                                "in_flight": 1, "acks": "all"},
         kafka_config="flush.messages=1", bytes_per_second=0.2 * GB),
    Load("7", "many partitions", "records with keys, 1 request in flight on each connection, one topic for the whole "
         "row",
         Shape("100 B", "1 KB", "1,000", "64"),
         [Metric("broker_cpu_us_per_request", "broker CPU", "µs per request", 1 / 4),
          Metric("requests_per_second", "throughput", "requests/s", 3, higher=True)],
         mode="many", flags={"acks": 1}, bytes_per_second=0.1 * GB, one_topic=True),
    Load("8", "fan-out", "10 MB/s in (as with linger 5 ms), 8 consumers at the tail; latency from the intended moment "
         "to delivery",
         Shape("1 KiB", "16 KB", connections="1 + 8"),
         [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s per GB delivered", 1 / 6),
          Metric("latency_p99", "p99", "ms", 1 / 3)],
         mode="fanout", flags={"acks": 1}, bytes_per_second=0.1 * GB),
    Start("9", "start, empty directory", "from fork to the first acknowledged record in a new topic",
          Shape("5 B", "1 record"),
          [Metric("start_ms", "time", "ms", bound=50)]),
    Start("9b", "start after kill -9", "from fork to the first acknowledged record in a topic that was there, with "
          "4 GB in 4 other partitions just written, the page cache still full of them",
          Shape("5 B", "1 record"),
          [Metric("start_ms", "time", "ms", bound=300)], gigabytes=4),
    Memory("10", "memory", "resident memory 2 s after the start, and after the load of row 1",
           Shape("1 KiB", "900 KB"),
           [Metric("idle_mib", "idle", "MiB", bound=16), Metric("loaded_mib", "after row 1", "MiB", 1 / 6)],
           load=PRODUCE_BIG),
    Idle("11", "idle connections", "each has asked for the API versions; resident memory that they add",
         Shape(partitions="–", connections="10,000", acks="–", sync="–"),
         [Metric("broker_kib_per_connection", "memory", "KiB per connection", bound=4)], connections=10_000),
]

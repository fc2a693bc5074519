"""perf/rows.py — what perf/compare measures: one class per kind of row, one entry per row.

A row says in words what it does (record size, batch, partitions, connections, acks, sync), runs
one interval against one side, and names its metrics with their targets.  A target is a ratio
ringlog ÷ Kafka, or an absolute bound on ringlog alone.
"""
import dataclasses
import time

import lab

GB = 10 ** 9
KIB = 1 << 10
MIB = 1 << 20




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


class Side:
    """One broker under test, for the time of one row."""

    def __init__(self, room, kind, settings):
        self.room = room
        self.kind = kind
        self.name = kind.name
        self.settings = settings
        self.other = None               # its machine time is not ours
        self.broker = None

    def start(self):
        self.broker = self.room.broker(self.kind)
        self.broker.start()

    def free(self):
        if self.broker is not None:
            self.broker.free()
            self.broker = None

    def bench(self, mode, **flags):
        other = self.other.broker if self.other is not None else None
        begin = time.monotonic()
        before = lab.process_cpu_seconds(other.pid) if other else 0
        figures = self.room.bench(self.broker, mode, **flags)
        idle = lab.process_cpu_seconds(other.pid) - before if other else 0
        if figures.get("value_bytes") and "machine_cpu_seconds_per_gb" in figures:
            share = idle * figures["seconds"] / (time.monotonic() - begin)
            figures["machine_cpu_seconds_per_gb"] -= share / (figures["value_bytes"] / GB)
        return figures


class Load:
    """The generator in one mode, a fresh topic per interval."""

    def __init__(self, number, title, statement, metrics, mode, flags, *, ringlog_config=None,
                 kafka_config=None, gb_per_second=0.0):
        self.number, self.title, self.statement, self.metrics = number, title, statement, metrics
        self.mode, self.flags = mode, flags
        self.config = {"ringlog": ringlog_config, "kafka": kafka_config}
        self.gb_per_second = gb_per_second      # touched before the interval, generous

    def run(self, side, topic, seconds, warmup):
        return side.bench(self.mode, topic=topic, topic_config=self.config[side.name], seconds=seconds,
                          warmup=warmup, **self.flags)

    def prepare(self, side):
        side.start()
        self.run(side, "warm", side.settings.jit_seconds, 0)
        side.broker.delete_topic("warm")

    def interval(self, side, number):
        s = side.settings
        topic = f"row-{number}"
        lab.touch_memory(int((self.gb_per_second * (s.seconds + s.warmup) + 0.5) * GB))
        figures = self.run(side, topic, s.seconds, s.warmup)
        figures["resident_mib"] = lab.process_resident_bytes(side.broker.pid) / MIB
        side.broker.delete_topic(topic)
        return figures


class Consume(Load):
    """Write, then read; a small topic, read again and again, warms the code up."""

    def __init__(self, *arguments, write_gb, **options):
        super().__init__(*arguments, **options)
        self.write_gb = write_gb

    WRITE = {"record_size": KIB, "batch_size": 100_000, "in_flight": 5, "acks": 1}

    def prepare(self, side):
        side.start()
        self.warm(side, side.settings.jit_seconds)

    def warm(self, side, seconds):
        config = self.config[side.name]
        side.bench("produce", topic="warm", topic_config=config, bytes=60_000_000, **self.WRITE)
        side.bench("consume", topic="warm", repeat=True, seconds=seconds, **self.flags)
        side.broker.delete_topic("warm")

    def interval(self, side, number):
        s = side.settings
        topic = f"row-{number}"
        size = int(self.write_gb * GB * (s.scale if self.write_gb >= 1 else 1))
        self.warm(side, s.warmup)
        lab.touch_memory(size + GB // 2)
        side.bench("produce", topic=topic, topic_config=self.config[side.name], bytes=size, **self.WRITE)
        extra = {} if self.write_gb >= 1 else {"repeat": True, "seconds": s.seconds}
        figures = side.bench("consume", topic=topic, **extra, **self.flags)
        side.broker.delete_topic(topic)
        return figures


class Start:
    """From fork to the first acknowledged record, with nothing and after kill -9."""

    def __init__(self, number, title, statement, metrics, gigabytes):
        self.number, self.title, self.statement, self.metrics = number, title, statement, metrics
        self.gigabytes = gigabytes

    def prepare(self, side):
        pass

    def interval(self, side, number):
        side.broker = side.room.broker(side.kind)
        try:
            figures = {"start_ms": side.broker.first_ack()}
            if self.gigabytes:
                size = int(self.gigabytes * GB * side.settings.scale)
                lab.touch_memory(size + GB // 2)
                side.bench("produce", topic="full", bytes=size, record_size=KIB,
                           batch_size=100_000, partitions=4, connections=4, in_flight=5, acks=1)
                side.broker.stop(kill=True)
                figures = {"start_ms": side.broker.first_ack(topic="after")}
            return figures
        finally:
            side.free()


class Memory:
    """Resident memory: idle, and after the load of row 1."""

    def __init__(self, number, title, statement, metrics, load):
        self.number, self.title, self.statement, self.metrics = number, title, statement, metrics
        self.load = load

    def prepare(self, side):
        pass

    def interval(self, side, number):
        try:
            side.start()
            time.sleep(2)
            figures = {"idle_mib": lab.process_resident_bytes(side.broker.pid) / MIB}
            load = self.load.interval(side, number)
            figures["loaded_mib"] = load["resident_mib"]
            return figures
        finally:
            side.free()


class Idle:
    """Connections that do nothing."""

    def __init__(self, number, title, statement, metrics, connections):
        self.number, self.title, self.statement, self.metrics = number, title, statement, metrics
        self.connections = connections

    def prepare(self, side):
        pass

    def interval(self, side, number):
        try:
            side.start()
            time.sleep(2)
            return side.bench("idle", connections=self.connections)
        finally:
            side.free()


PRODUCE_BIG = Load(
    "1", "produce, large batches", "1 KiB records in 900 KB batches, 1 partition, 1 connection with 4 requests "
    "in flight, acks=1, no sync",
    [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 1 / 3),
     Metric("mb_per_second", "throughput", "MB/s", higher=True)],
    "produce", {"record_size": KIB, "batch_size": 900_000, "in_flight": 4, "acks": 1}, gb_per_second=1.5)

ROWS = [
    PRODUCE_BIG,
    Load("2", "produce, small records", "100 B records in 500 KB batches, 1 partition, 1 connection with 4 "
         "requests in flight, acks=1, no sync",
         [Metric("broker_cpu_seconds_per_million", "broker CPU", "CPU-s per million records", 1 / 3),
          Metric("records_per_second", "throughput", "records/s", higher=True)],
         "produce", {"record_size": 100, "batch_size": 500_000, "in_flight": 4, "acks": 1}, gb_per_second=1.5),
    Load("2b", "produce, small requests", "1 KiB records in 16 KB batches, 1 partition, 4 connections with 5 "
         "requests in flight, acks=all, no sync (ringlog.acks.all.sync=false; Kafka's default)",
         [Metric("broker_cpu_us_per_request", "broker CPU", "µs per request", 1 / 5),
          Metric("requests_per_second", "throughput", "requests/s", higher=True)],
         "produce", {"record_size": KIB, "batch_size": 16_384, "connections": 4, "in_flight": 5, "acks": "all"},
         ringlog_config="ringlog.acks.all.sync=false", gb_per_second=0.8),
    Consume("3", "consume what was just written", "3 GB of 1 KiB records in 100 KB batches, 1 partition, "
            "1 connection, fetches of 1 MiB",
            [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 0.65),
             Metric("machine_cpu_seconds_per_gb", "machine CPU", "CPU-s/GB", 0.75),
             Metric("mb_per_second", "throughput", "MB/s", higher=True)],
            "consume", {"record_size": KIB, "fetch_size": MIB}, write_gb=3),
    Consume("3b", "consume near the tail", "the last 60 MB of a partition again and again: 1 KiB records in "
            "100 KB batches, 1 connection, fetches of 1 MiB",
            [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s/GB", 1 / 2),
             Metric("mb_per_second", "throughput", "MB/s", higher=True)],
            "consume", {"record_size": KIB, "fetch_size": MIB}, write_gb=0.06),
    Load("5", "end to end, 10,000 messages/s", "1 KiB records, one a request (linger 0), 1 partition, 1 producer "
         "at a fixed rate (open loop), 1 consumer at the tail, acks=1, no sync; latency from the intended "
         "moment to delivery",
         [Metric("latency_p50", "p50", "ms", 1 / 2), Metric("latency_p99", "p99", "ms", 1 / 3),
          Metric("broker_cores", "broker", "cores", 1 / 4)],
         "end-to-end", {"record_size": KIB, "rate": 10_000, "in_flight": 64, "acks": 1}),
    Load("5b", "end to end, 2,000 messages/s", "as row 5",
         [Metric("latency_p50", "p50", "ms", 1 / 2), Metric("latency_p99", "p99", "ms", 1 / 3),
          Metric("broker_cores", "broker", "cores", 1 / 4)],
         "end-to-end", {"record_size": KIB, "rate": 2_000, "in_flight": 64, "acks": 1}),
    Load("6", "durable", "1 KiB records in 16 KB batches, 16 partitions, 16 connections with 1 request in flight, "
         "acks=all, on stable storage before each acknowledgement (ringlog's default; Kafka: flush.messages=1)",
         [Metric("mb_per_second", "acknowledged", "MB/s", 1, higher=True),
          Metric("latency_p99", "p99", "ms"), Metric("broker_cpu_us_per_request", "broker CPU", "µs per request")],
         "produce", {"record_size": KIB, "batch_size": 16_384, "partitions": 16, "connections": 16,
                     "in_flight": 1, "acks": "all"}, kafka_config="flush.messages=1", gb_per_second=0.3),
    Load("7", "many partitions", "100 B records with keys in 1 KB batches, 1,000 partitions, 64 connections with "
         "1 request in flight, acks=1, no sync",
         [Metric("broker_cpu_us_per_request", "broker CPU", "µs per request", 1 / 4),
          Metric("requests_per_second", "throughput", "requests/s", 3, higher=True)],
         "many", {"acks": 1}, gb_per_second=0.1),
    Load("8", "fan-out", "10 MB/s in (1 KiB records in 16 KB batches, as with linger 5 ms), 1 partition, "
         "8 consumers at the tail, acks=1, no sync; latency from the intended moment to delivery",
         [Metric("broker_cpu_seconds_per_gb", "broker CPU", "CPU-s per GB delivered", 1 / 6),
          Metric("latency_p99", "p99", "ms", 1 / 3)],
         "fanout", {"acks": 1}),
    Start("9", "start, empty directory", "from fork to the first acknowledged record in a new topic",
          [Metric("start_ms", "time", "ms", bound=50)], 0),
    Start("9b", "start after kill -9", "the same, with 4 GB in 4 partitions and the page cache still warm",
          [Metric("start_ms", "time", "ms", bound=300)], 4),
    Memory("10", "memory", "resident memory 2 s after the start, and after the load of row 1",
           [Metric("idle_mib", "idle", "MiB", bound=16), Metric("loaded_mib", "after row 1", "MiB", 1 / 6)],
           PRODUCE_BIG),
    Idle("11", "idle connections", "10,000 connections that have asked for the API versions: resident memory each",
         [Metric("broker_kib_per_connection", "memory", "KiB per connection", bound=4)], 10_000),
]

"""tests/clients/suite_tools.py — Apache Kafka's own command line tools, 4.3.1, from its jars."""
import glob
import json
import os
import re
import tempfile

from harness import case, expect, expect_equal, new_topic, owned, run
from suite_java import java_command


def tool(name, *arguments, stdin=None, timeout=60, check=True):
    return run(java_command(name, *arguments, heap="300m"), stdin=stdin, timeout=timeout, check=check)


def topics(broker, *arguments, check=True):
    return tool("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", broker.address,
                *arguments, check=check)


def console_consumer(broker, *arguments):
    return tool("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server",
                broker.address, "--timeout-ms", "20000", *arguments).stdout


@case("tools", "kafka-topics: create, list, describe, delete", timeout=120)
def kafka_topics(broker):
    topic = new_topic("tool")
    topics(broker, "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=77777")
    expect(topic in topics(broker, "--list").stdout.decode().split(), "not listed")
    text = topics(broker, "--describe", "--topic", topic).stdout.decode()
    expect("PartitionCount: 3" in text and "ReplicationFactor: 1" in text, text)
    expect("retention.ms=77777" in text, text)
    expect(len(re.findall(r"Partition: \d+\s+Leader: \d+\s+Replicas: \d+\s+Isr: \d+", text)) == 3, text)
    again = topics(broker, "--create", "--topic", topic, check=False)
    expect(b"already exists" in again.stdout + again.stderr, f"made twice: {again.stdout[-300:]}")
    topics(broker, "--delete", "--topic", topic)
    expect(topic not in topics(broker, "--list").stdout.decode().split(), "listed after delete")


@case("tools", "kafka-topics: add partitions", timeout=60)
def kafka_topics_alter(broker):
    topic = new_topic("alter")
    topics(broker, "--create", "--topic", topic, "--partitions", "1")
    topics(broker, "--alter", "--topic", topic, "--partitions", "5")
    text = topics(broker, "--describe", "--topic", topic).stdout.decode()
    expect("PartitionCount: 5" in text, text)


@case("tools", "kafka-console-producer and -consumer by partition and offset", timeout=120)
def console(broker):
    topic = new_topic("console")
    topics(broker, "--create", "--topic", topic, "--partitions", "1")
    lines = [b"line %d" % i for i in range(200)]
    tool("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", broker.address, "--topic",
         topic, stdin=b"".join(line + b"\n" for line in lines))
    got = console_consumer(broker, "--topic", topic, "--partition", "0", "--offset", "earliest",
                           "--max-messages", "200")
    expect_equal(got.splitlines(), lines, "from the earliest")
    got = console_consumer(broker, "--topic", topic, "--partition", "0", "--offset", "150",
                           "--max-messages", "50")
    expect_equal(got.splitlines(), lines[150:], "from offset 150")


@case("tools", "kafka-producer-perf-test, then kafka-get-offsets", timeout=120)
def producer_performance(broker):
    topic = new_topic("perf")
    topics(broker, "--create", "--topic", topic, "--partitions", "4")
    text = tool("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records",
                "20000", "--record-size", "200", "--throughput", "-1", "--bootstrap-server",
                broker.address).stdout.decode()
    expect(re.search(r"^20000 records sent, .* 99\.9th\.", text, re.M), text[-400:])

    def offsets(which):
        text = tool("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", broker.address,
                    "--topic", topic, "--time", which).stdout.decode()
        return [int(line.rsplit(":", 1)[1]) for line in text.split()
                if line.startswith(topic + ":") and not line.endswith(":")]
    expect_equal(sum(offsets("latest")), 20000, "latest offsets together")
    expect_equal(offsets("earliest"), [0, 0, 0, 0], "earliest offsets")
    expect(max(offsets("max-timestamp")) > 0, "offsets of the maximum timestamp")


@case("tools", "kafka-broker-api-versions and kafka-configs", timeout=120, once=True)
def api_versions(broker):
    text = tool("org.apache.kafka.tools.BrokerApiVersionsCommand", "--bootstrap-server",
                broker.address).stdout.decode()
    for name in ("Produce(0)", "Fetch(1)", "ListOffsets(2)", "Metadata(3)", "CreateTopics(19)"):
        expect(name in text, f"{name} is missing: {text[:400]}")
    expect("Produce(0): UNSUPPORTED" not in text, text[:400])
    topic = new_topic("configs")
    topics(broker, "--create", "--topic", topic, "--config", "segment.ms=3600000")
    text = tool("kafka.admin.ConfigCommand",
                "--bootstrap-server", broker.address, "--describe", "--entity-type", "topics",
                "--entity-name", topic).stdout.decode()
    expect("segment.ms=3600000" in text, text[:400])


@case("tools", "kafka-dump-log reads our segments, every record valid", timeout=180)
def dump_log(broker):
    owned(broker)
    topic = new_topic("dumped")
    topics(broker, "--create", "--topic", topic, "--partitions", "1")
    count = 0
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        lines = b"".join(b"%s %d %s\n" % (codec.encode(), i, b"x" * 100) for i in range(300))
        tool("org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", broker.address,
             "--topic", topic, "--compression-codec", codec, stdin=lines)
        count += 300
    folder = f"{broker.data}/{topic}-0"
    broker.stop()       # so that what is on disk is all there is
    try:
        segments = sorted(glob.glob(f"{folder}/*.log"))
        expect(segments and os.path.basename(segments[0]) == "0" * 20 + ".log", f"{segments}")
        text = tool("org.apache.kafka.tools.DumpLogSegments", "--files", segments[0], "--print-data-log",
                    "--deep-iteration").stdout.decode()
        batches = [line for line in text.splitlines() if line.startswith("baseOffset:")]
        expect(batches, f"no batches: {text[:400]}")
        for line in batches:
            expect("isvalid: true" in line, f"an invalid batch: {line}")
        offsets = [int(o) for o in re.findall(r"^\| offset: (\d+)", text, re.M)]
        expect_equal(offsets, list(range(count)), "offsets in the segment")
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            expect(any(f"compresscodec: {codec}" in line for line in batches), f"no batch in {codec}")
            for i in range(300):
                expect(f"payload: {codec} {i} xxx" in text, f"record {codec} {i} is missing")
        for index in glob.glob(f"{folder}/*.index") + glob.glob(f"{folder}/*.timeindex"):
            if os.path.basename(index).startswith("0" * 20):
                done = tool("org.apache.kafka.tools.DumpLogSegments", "--files", index, "--index-sanity-check")
                text = (done.stdout + done.stderr).decode()
                expect("passed sanity check" in text, f"{os.path.basename(index)}: {text[-400:]}")
    finally:
        broker.start()


@case("tools", "kafka-verifiable-producer: every send acknowledged", timeout=90, once=True)
def verifiable_producer(broker):
    topic = new_topic("verifiable")
    topics(broker, "--create", "--topic", topic, "--partitions", "3")
    done = tool("org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", broker.address,
                "--topic", topic, "--max-messages", "1000", "--value-prefix", "7", "--repeating-keys", "5")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    sent = [e for e in events if e["name"] == "producer_send_success"]
    expect_equal(sorted(int(e["value"].split(".")[1]) for e in sent), list(range(1000)), "acknowledged")
    expect(not [e for e in events if e["name"] == "producer_send_error"], f"errors: {events[-3:]}")
    by_partition = {}
    for event in sent:
        by_partition.setdefault(event["partition"], []).append(event["offset"])
    for partition, offsets in by_partition.items():
        expect_equal(sorted(offsets), list(range(len(offsets))), f"offsets of partition {partition}")


@case("tools", "kafka-log-dirs: sizes of partitions", timeout=90)
def log_dirs(broker):
    topic = new_topic("sized")
    topics(broker, "--create", "--topic", topic, "--partitions", "2")
    tool("org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "1000",
         "--record-size", "1000", "--throughput", "-1", "--bootstrap-server", broker.address)
    text = tool("org.apache.kafka.tools.LogDirsCommand", "--bootstrap-server", broker.address,
                "--describe", "--topic-list", topic).stdout.decode()
    told = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    directories = told["brokers"][0]["logDirs"]
    expect(len(directories) == 1 and directories[0]["error"] is None, text)
    sizes = {p["partition"]: p["size"] for p in directories[0]["partitions"]}
    expect_equal(sorted(sizes), [f"{topic}-0", f"{topic}-1"], "partitions")
    expect(sum(sizes.values()) > 1_000_000, f"sizes {sizes}")
    expect(all(not p["isFuture"] and p["offsetLag"] == 0 for p in directories[0]["partitions"]), text)
    if broker.owned:
        for name, size in sizes.items():
            stored = sum(os.path.getsize(f) for f in glob.glob(f"{broker.data}/{name}/*.log"))
            expect(0 < size <= stored, f"{name}: told {size}, on disk {stored}")


@case("tools", "kafka-configs: add, describe, delete for a topic and the broker", timeout=180, once=True)
def configs(broker):
    def command(*arguments, check=True):
        return tool("kafka.admin.ConfigCommand", "--bootstrap-server", broker.address, *arguments, check=check)
    topic = new_topic("configured")
    topics(broker, "--create", "--topic", topic, "--config", "retention.ms=7200000")
    of_topic = ("--entity-type", "topics", "--entity-name", topic)
    command(*of_topic, "--alter", "--add-config", "max.message.bytes=2000,segment.bytes=2097152",
            "--delete-config", "retention.ms")
    text = command(*of_topic, "--describe").stdout.decode()
    expect("max.message.bytes=2000 " in text and "segment.bytes=2097152 " in text, text)
    expect("retention.ms=" not in text, f"retention.ms is still there: {text}")
    bad = command(*of_topic, "--alter", "--add-config", "retention.ms=soon", check=False)
    expect(bad.returncode != 0 and b"InvalidConfigurationException" in bad.stdout + bad.stderr,
           f"a bad value: {bad.stdout + bad.stderr}")
    everywhere = ("--entity-type", "brokers", "--entity-default")
    command(*everywhere, "--alter", "--add-config", "log.retention.ms=86400000")
    text = command(*everywhere, "--describe").stdout.decode()
    expect("log.retention.ms=86400000 " in text, text)
    text = command(*of_topic, "--describe", "--all").stdout.decode()
    expect("retention.ms=86400000 " in text, f"the topic does not follow the broker: {text}")
    command(*everywhere, "--alter", "--delete-config", "log.retention.ms")
    text = command(*everywhere, "--describe").stdout.decode()
    expect("log.retention.ms=" not in text, text)


@case("tools", "kafka-delete-records, kafka-get-offsets", timeout=90)
def delete_records(broker):
    topic = new_topic("deleted")
    topics(broker, "--create", "--topic", topic, "--partitions", "2")
    tool("org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", broker.address, "--topic",
         topic, "--max-messages", "200", "--repeating-keys", "20")
    wanted = [{"topic": topic, "partition": 0, "offset": 10}, {"topic": topic, "partition": 1, "offset": -1}]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"version": 1, "partitions": wanted}, file)
        file.flush()
        text = tool("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", broker.address,
                    "--offset-json-file", file.name).stdout.decode()
    lows = dict(re.findall(rf"partition: {topic}-(\d)\s+low_watermark: (\d+)", text))
    expect_equal(lows.get("0"), "10", f"low watermark of partition 0: {text}")
    text = tool("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", broker.address, "--topic",
                topic, "--time", "earliest").stdout.decode()
    found = dict(re.findall(rf"^{topic}:(\d):(\d+)$", text, re.M))
    expect_equal(found, lows, "earliest offsets")
    text = tool("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", broker.address, "--topic",
                topic, "--time", "latest").stdout.decode()
    ends = {p: int(o) for p, o in re.findall(rf"^{topic}:(\d):(\d+)$", text, re.M)}
    expect_equal(sum(ends.values()), 200, "the ends stay")
    expect_equal(int(lows["1"]), ends["1"], "-1 deletes up to the end")

"""tests/differential/brokers.py — the two brokers: ringlog as built, Apache Kafka by Maven.

Both are the suite's own: a free port, a new directory below build/, ended by their process id, and
by the kernel if the runner dies.
"""
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "clients"), os.path.join(ROOT, "perf")]
from harness import Broker, die_with_parent, free_port      # noqa: E402
import lab                                                  # noqa: E402
from script import AnswerError, connect                     # noqa: E402

KAFKA_READY_SECONDS = 120


class Ringlog(Broker):
    def start(self, *args, **options):
        """With its topic for offsets, as Kafka (is_warm)."""
        super().start(*args, **options)
        client = connect(self.address)
        client.call("FindCoordinator", 0, {"key": "warm"})
        client.close()


def ringlog(binary, shards):
    return Ringlog(binary, shards)


class Kafka:
    """One KRaft node with Kafka's own defaults, but for what a single node cannot have."""

    def __init__(self):
        self.libs = lab.kafka_jars()
        os.makedirs(os.path.join(ROOT, "build", "differential"), exist_ok=True)
        self.home = tempfile.mkdtemp(prefix="kafka-", dir=os.path.join(ROOT, "build", "differential"))
        self.port, controller_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.properties = os.path.join(self.home, "server.properties")
        with open(self.properties, "w", encoding="utf-8") as file:
            file.write(f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.home}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
""")
        self.java = ["java", "-Xmx512M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                     "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self.libs}/*"]
        self.process = None

    def start(self):
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        subprocess.run([*self.java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}",
                        f"--config={self.properties}"], check=True, capture_output=True)
        log = open(os.path.join(self.home, "kafka.log"), "ab")
        self.process = subprocess.Popen([*self.java, "kafka.Kafka", self.properties], stdout=log,
                                        stderr=log, stdin=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent)
        log.close()
        limit = time.monotonic() + KAFKA_READY_SECONDS
        while not self.is_warm():
            if self.process.poll() is not None or time.monotonic() > limit:
                sys.exit(f"Kafka did not start: see {self.home}/kafka.log")
            time.sleep(0.2)

    def is_warm(self):
        """Registered, with a block of producer ids and a topic for offsets: what it makes when it
        is first asked would else be seen in the answers."""
        try:
            client = connect(self.address)
            warm = (client.call("Metadata", 12, {"topics": []})["brokers"] and
                    not client.call("InitProducerId", 1, {"transaction_timeout_ms": 1})["error_code"] and
                    not client.call("FindCoordinator", 0, {"key": "warm"})["error_code"] and
                    self.groups_are_warm(client))
            client.close()
            return warm
        except (AnswerError, OSError):
            return False

    @staticmethod
    def groups_are_warm(client):
        """Every partition of the offsets' topic is loaded, and a first join has been answered."""
        names = [f"warm {i}" for i in range(400)]
        described = client.call("DescribeGroups", 0, {"groups": names})["groups"]
        return not any(g["error_code"] for g in described) and not client.call("JoinGroup", 0, {
            "group_id": f"warm-{uuid.uuid4()}", "session_timeout_ms": 6000, "member_id": "",
            "protocol_type": "warm", "protocols": [{"name": "warm", "metadata": b""}]})["error_code"]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        self.process.kill()         # nothing of it is kept
        self.process.wait()

    def remove(self):
        if self.alive():
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

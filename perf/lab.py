"""perf/lab.py — what the instruments share: brokers, the load generator, /proc, memory.

Happy path: a Lab owns one directory below build/perf; brokers put their data there; everything
is stopped and deleted when the Lab closes, also after Ctrl-C, SIGTERM or a lost terminal.
Failures: a broker that does not start, or a load that fails, raises LabError with the last lines
of what it said.  After kill -9 the kernel ends the brokers, and the next Lab deletes the data.
"""
import base64
import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import kafka_wire

ROOT = pathlib.Path(__file__).resolve().parent.parent
KAFKA_VERSION = "4.3.1"
KAFKA_JVM = ["-Xmx1G", "-Xms1G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
             "-XX:InitiatingHeapOccupancyPercent=35"]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MADV_POPULATE_WRITE = 23        # Linux 5.14; not in the mmap module yet
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LabError(Exception):
    """Something that is measured did not do what it should."""


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- /proc


def process_cpu_seconds(pid):
    """User and system time of the process with all its threads, also those that ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process_resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def machine_busy_seconds():
    user, nice, system, _idle, _wait, interrupt, soft = (
        int(word) for word in pathlib.Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + interrupt + soft) / TICKS


def touch_memory(size_bytes):
    """Make the machine own this much memory, and free it again.

    A virtual host takes back what its guest does not use; the first write into such a page costs
    many times that into one just freed, and it would hit whichever side comes first.  In huge
    pages: freed small ones are spread over memory that the host has taken back in between.
    """
    available = 0
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    size_bytes = min(size_bytes, available // 2) // (1 << 21) * (1 << 21)
    if size_bytes <= 0:
        return
    with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(mmap.MADV_HUGEPAGE)
            memory.madvise(MADV_POPULATE_WRITE)
        except OSError:
            for at in range(0, size_bytes, PAGE):
                memory[at] = 1


def machine_text():
    """One line about the machine: figures mean nothing without it."""
    model, memory_kib = "unknown processor", 0
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory_kib = int(line.split()[1])
    return (f"{os.cpu_count()} CPUs ({model}), {memory_kib / (1 << 20):.0f} GiB, "
            f"Linux {os.uname().release}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---------------------------------------------------------------- brokers


def _as_child():
    """In a new process: Ctrl-C is for us, not for it; and it does not outlive us."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """A broker process on 127.0.0.1 with a data directory of its own."""

    name = ""

    def __init__(self, lab):
        self.lab = lab
        self.port = free_port()
        self.dir = lab.dir / f"{self.name}-{self.port}"
        self.data = self.dir / "data"
        self.log_path = self.dir / "log"
        self.process = None
        self.dir.mkdir(parents=True)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.dir, env=self.environment(),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=_as_child)
        return self.process.pid

    def first_ack(self, topic="first", create=True, seconds=90):
        """Start, and return the milliseconds until a record was acknowledged."""
        begin = time.monotonic()
        self.spawn()
        with self.connect(begin + seconds) as client:
            if create:
                client.create_topic(topic, 1, {}, begin + seconds)
            client.produce_one(topic, begin + seconds)
        return (time.monotonic() - begin) * 1e3

    def start(self, seconds=90):
        """Start and wait until it answers."""
        deadline = time.monotonic() + seconds
        self.spawn()
        with self.connect(deadline) as client:
            client.create_topic("started", 1, {}, deadline)
            client.produce_one("started", deadline)

    def connect(self, deadline):
        while True:
            try:
                return kafka_wire.Client("127.0.0.1", self.port)
            except OSError:
                self.check_alive()
                if time.monotonic() > deadline:
                    raise LabError(f"{self.name} did not open its port:\n{self.log_tail()}") from None
                time.sleep(0.0005)

    def check_alive(self):
        if self.process.poll() is not None:
            raise LabError(f"{self.name} ended with {self.process.returncode}:\n{self.log_tail()}")

    def log_tail(self):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])

    @property
    def pid(self):
        return self.process.pid

    def stop(self, kill=False):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def delete_topic(self, topic):
        """Delete it and wait until its files are gone: neither page cache nor disk is left over."""
        with self.connect(time.monotonic() + 10) as client:
            client.delete_topic(topic)
        deadline = time.monotonic() + 30
        while any(self.data.glob(f"**/{topic}-*")) and time.monotonic() < deadline:
            time.sleep(0.05)

    def free(self):
        self.stop(kill=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Ringlog(Broker):
    name = "ringlog"

    def command(self):
        return [str(self.lab.binary), "server", "--data-dir", str(self.data),
                "--listeners", f"PLAINTEXT://127.0.0.1:{self.port}", *self.lab.server_options]

    def start_ready_ms(self):
        """Milliseconds from fork to the line that says it serves."""
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command(), cwd=self.dir, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=_as_child)
        with self.process.stderr as lines:
            for line in lines:
                if line.startswith(b"ready "):
                    return (time.monotonic() - begin) * 1e3
        raise LabError("ringlog ended before it was ready")


class Floor(Broker):
    """What any broker pays: the same connections, one CRC and one write, or one send of batches of
    100 KB that are in memory, and nothing else.

    It has no topics: deleting one is to begin anew.
    """

    name = "floor"

    def command(self):
        self.data.mkdir(exist_ok=True)
        return [str(self.lab.binary), "bench", "sink", "--listen", f"127.0.0.1:{self.port}",
                "--file", str(self.data / "records"), "--record-size", "1024", "--batch-size", "100000"]

    def start(self, seconds=90):
        self.spawn()
        self.connect(time.monotonic() + seconds).close()

    def delete_topic(self, topic):
        self.stop()
        (self.data / "records").unlink()
        self.start()


class Kafka(Broker):
    """Apache Kafka, one KRaft node: its own JVM flags, its own defaults.

    One value is not a default: deleted data leaves the disk after a second instead of a minute,
    so that it is gone before the next interval.
    """

    name = "kafka"

    def __init__(self, lab):
        super().__init__(lab)
        self.libs = kafka_jars()
        self.controller_port = free_port()
        self.properties = self.dir / "server.properties"
        self.properties.write_text(f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller_port}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={self.data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.segment.delete.delay.ms=1000
""")
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        self.java = ["java", quiet, "-cp", f"{self.libs}/*"]
        self.format()

    def format(self):
        """An empty directory as Kafka's own tool makes it: once a Lab, then copies."""
        formatted = self.lab.dir / "kafka-formatted"
        if not formatted.exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            done = subprocess.run([*self.java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}",
                                   f"--config={self.properties}"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LabError(f"Kafka's StorageTool failed:\n{done.stdout}{done.stderr}")
            self.data.rename(formatted)
        shutil.copytree(formatted, self.data)

    def command(self):
        return [self.java[0], *KAFKA_JVM, *self.java[1:], "kafka.Kafka", str(self.properties)]


def kafka_jars():
    """Kafka's jars, by Maven, once."""
    libs = ROOT / "build" / "perf" / f"kafka-{KAFKA_VERSION}"
    if not (libs / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        say(f"fetching Apache Kafka {KAFKA_VERSION} by Maven")
        command = ["mvn", "-q", "-B", "-f", str(ROOT / "perf" / "kafka-pom.xml"),
                   f"-Dkafka.version={KAFKA_VERSION}", "dependency:copy-dependencies",
                   f"-DoutputDirectory={libs}"]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise LabError(f"Maven could not fetch Kafka ({error}); needed: maven, a JRE, "
                           "a network") from None
    return libs


# ---------------------------------------------------------------- the lab


def _on_signal(number, _frame):
    sys.exit(128 + number)


def _delete_abandoned(parent):
    """Data of a Lab that was killed: nobody holds its lock."""
    for directory in parent.glob("data-*"):
        with contextlib.suppress(OSError), open(directory / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)


class Lab:
    """A directory for data, the binary under test, and the brokers that are up."""

    def __init__(self, binary=None, server_options=()):
        self.binary = pathlib.Path(binary) if binary else ROOT / "build" / "release" / "ringlog"
        if not self.binary.exists():
            raise LabError(f"{self.binary} is missing: ./dev build")
        self.binary = self.binary.resolve()
        self.server_options = list(server_options)
        self.dir = self.lock = None
        self.brokers = []

    def __enter__(self):
        for number in ENDING:
            signal.signal(number, _on_signal)
        parent = ROOT / "build" / "perf"
        parent.mkdir(parents=True, exist_ok=True)
        _delete_abandoned(parent)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="data-", dir=parent))
        self.lock = open(self.dir / "lock", "wb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        # A second Ctrl-C does not leave half of it behind.
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        for broker in self.brokers:
            with contextlib.suppress(Exception):
                broker.free()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.lock.close()
        for number in ENDING:
            signal.signal(number, _on_signal)

    def broker(self, kind):
        self.brokers = [b for b in self.brokers if b.dir.exists()]
        broker = kind(self)
        self.brokers.append(broker)
        return broker

    def bench(self, broker, mode, **flags):
        """Run `ringlog bench` against a broker; its JSON as a dictionary."""
        command = [str(self.binary), "bench", mode, "--bootstrap", f"127.0.0.1:{broker.port}",
                   "--pid", str(broker.pid), "--format", "json", "--quiet"]
        for name, value in flags.items():
            option = "--" + name.replace("_", "-")
            if value is True:
                command.append(option)
            elif value is not None and value is not False:
                command += [option, str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        broker.check_alive()
        if done.returncode != 0:
            raise LabError(f"{' '.join(command)}\n{done.stderr}")
        return json.loads(done.stdout)


def main(run):
    """Run an instrument's main; a LabError is one message, not a traceback."""
    try:
        sys.exit(run())
    except LabError as error:
        print(f"{pathlib.Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)

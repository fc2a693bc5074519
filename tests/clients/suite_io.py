"""tests/clients/suite_io.py — where io_uring is refused the broker goes on with epoll, and says so."""
import os
import subprocess

from harness import Broker, case, die_with_parent, expect, expect_equal, new_topic, owned
from suite_kcat import consume, produce, some_lines

WITHOUT_URING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_uring.py")


class BrokerWithoutUring(Broker):
    """As the given broker, in a process that may not set up a ring; flags: more of the command."""

    def __init__(self, like, flags=()):
        super().__init__(like.binary, like.shards)
        self.flags = list(flags)

    def command(self, port=None):
        return ["/usr/bin/python3", WITHOUT_URING, "/usr/bin/env", "-u", "RINGLOG_IO",
                *super().command(port), *self.flags]

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read().splitlines()


@case("io", "refused by seccomp: one warning, epoll, and kcat can produce and consume")
def refused(broker):
    owned(broker)
    lonely = BrokerWithoutUring(broker)
    try:
        lonely.start()
        log = lonely.log()
        warnings = [line for line in log if "io_uring" in line]
        expect_equal(len(warnings), 1, f"lines about io_uring in {log}")
        expect("seccomp" in warnings[0] and "system calls" in warnings[0], warnings[0])
        expect(any(line.startswith("ready") and " io=posix " in line for line in log), log)
        for codec in ("none", "lz4"):
            topic, lines = new_topic("epoll"), some_lines(2000)
            produce(lonely, topic, lines, "-z", codec)
            expect_equal(consume(lonely, topic), lines, codec)
        lonely.kill()
        lonely.start()
        expect_equal(consume(lonely, topic), lines, "after kill -9")
        expect_equal(lonely.stop(), 0, "exit code on SIGTERM")
    finally:
        lonely.remove()


@case("io", "refused by seccomp: --io uring does not start, --io posix does not warn")
def forced(broker):
    owned(broker)
    demanding = BrokerWithoutUring(broker, ["--io", "uring"])
    done = subprocess.run(demanding.command(), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, preexec_fn=die_with_parent, check=False)
    demanding.remove()
    expect(done.returncode == 1 and "seccomp" in done.stderr and "--io posix" in done.stderr,
           f"{done.returncode}: {done.stderr}")
    content = BrokerWithoutUring(broker, ["--io", "posix"])
    try:
        content.start()
        log = content.log()
        expect(not any("io_uring" in line or ("WARN" in line and "max.connections" not in line) for line in log), log)
        expect_equal(content.stop(), 0, "exit code on SIGTERM")
    finally:
        content.remove()


@case("io", "more connections than files may be open are told of at the start, with a remedy")
def connections_and_files(broker):
    owned(broker)
    expect_equal(broker.stop(), 0, "exit code on SIGTERM")
    usual = broker.settings
    for most, wanted in ((10, 0), (2000000000, 1)):
        broker.settings = [*usual, f"max.connections={most}"]
        with open(broker.log_path) as log:
            log.seek(0, 2)
            broker.start()
            told = [line for line in log.read().splitlines() if "max.connections" in line]
        expect_equal(len(told), wanted, f"lines with max.connections={most}: {told}")
        expect(all("ulimit -n" in line and "WARN" in line for line in told), told)
        expect_equal(broker.stop(), 0, "exit code on SIGTERM")
    broker.settings = usual
    broker.start()

"""tests/clients/harness.py — what every suite of the matrix uses: a broker, cases, programs.

Happy path: a suite gets a Broker of its own (free port, new data directory), its cases run one
after the other and each ends as a Result.
Failures: a case that raises, times out or finds the broker dead is failed, the end of the
broker's log is printed, and the next case gets a new broker.  Only processes started here are
ended, by their process id; they die with the runner, however it ends.
"""
import collections
import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "clients")
BUILD = os.path.join(ROOT, "build", "clients")
READY_SECONDS = 60

sys.path.insert(0, os.path.join(ROOT, "tests"))
from ports import free_port                                     # noqa: E402


class Failed(Exception):
    """A case did not see what it must see."""


class Skipped(Exception):
    """A case cannot run here; the text says why."""


def expect(condition, text):
    if not condition:
        raise Failed(text)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: wanted {brief(wanted)}, got {brief(got)}")


def brief(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:200]} … {text[-60:]} ({len(text)} characters)"


def die_with_parent(by=signal.SIGKILL):
    """In a child: the kernel ends it when the runner dies."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


def run(command, stdin=None, timeout=60, check=True, env=None):
    """Run a program to its end; bytes in, CompletedProcess with bytes out."""
    try:
        done = subprocess.run(command, input=stdin if stdin is not None else b"",
                              capture_output=True, timeout=timeout, env=env,
                              preexec_fn=die_with_parent)
    except subprocess.TimeoutExpired as late:
        tail = (late.stderr or b"").decode(errors="replace")[-600:]
        raise Failed(f"{os.path.basename(command[0])} did not end within {timeout} s {tail}") from None
    if check and done.returncode != 0:
        text = (done.stderr + done.stdout).decode(errors="replace").strip()[-1500:]
        raise Failed(f"{' '.join(command[:6])} … ended with {done.returncode}: {text}")
    return done


class Broker:
    """One broker process over one data directory; it may be killed and started again.  A setting may
    name a second port of its own: {proxy_port}."""

    def __init__(self, binary, shards, settings=(), io=None):
        os.makedirs(BUILD, exist_ok=True)
        self.home = tempfile.mkdtemp(prefix="data-", dir=BUILD)
        self.data = os.path.join(self.home, "ringlog-data")
        self.log_path = os.path.join(self.home, "broker.log")
        self.port, self.proxy_port = free_port(), free_port()
        self.binary, self.shards, self.io = binary, shards, io
        self.settings = [setting.replace("{proxy_port}", str(self.proxy_port)) for setting in settings]
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    owned = True

    def command(self, port=None):
        command = [self.binary, "server", "--data-dir", self.data,
                   "--listeners", f"PLAINTEXT://127.0.0.1:{port or self.port}",
                   "--shards", str(self.shards)]
        if self.io:
            command += ["--io", self.io]
        for setting in self.settings:
            command += ["--set", setting]
        return command

    def start(self):
        log = open(self.log_path, "ab")
        begin = log.tell()
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, preexec_fn=die_with_parent)
        log.close()
        limit = time.monotonic() + READY_SECONDS
        while time.monotonic() < limit:
            with open(self.log_path, "rb") as lines:
                lines.seek(begin)
                if any(line.startswith(b"ready") for line in lines):
                    return
            if self.process.poll() is not None:
                raise Failed(f"the broker ended with {self.process.returncode} before it was ready")
            time.sleep(0.01)
        raise Failed(f"the broker was not ready within {READY_SECONDS} s")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=30):
        """SIGTERM; returns the exit code, or None if it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def log_tail(self, count=40):
        with open(self.log_path, "rb") as log:
            return b"".join(log.readlines()[-count:]).decode(errors="replace")

    def remove(self):
        if self.alive():
            self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class ForeignBroker:
    """A broker that somebody else started (--broker): cases that would kill it are skipped."""
    owned = False
    data = None

    def __init__(self, address):
        self.address = address
        self.port = int(address.rsplit(":", 1)[1])

    def start(self):
        pass

    def alive(self):
        return True

    def stop(self):
        return 0

    def log_tail(self, count=40):
        return "(not ours)\n"

    def remove(self):
        pass


def owned(broker):
    if not broker.owned:
        raise Skipped("needs a broker of its own")


Case = collections.namedtuple("Case", "suite what function timeout_seconds settings once")
CASES = []      # in order of definition


def case(suite, what, timeout=60, settings=(), once=False):
    """Register function(broker) as one case.

    once: in the last of the runs only."""
    def register(function):
        CASES.append(Case(suite, what, function, timeout, tuple(settings), once))
        return function
    return register


_run_id = f"{os.getpid():x}{random.randrange(1 << 16):04x}"
_topics = 0


def new_topic(word):
    """A topic name nobody has used, also not an earlier run against the same broker."""
    global _topics
    _topics += 1
    return f"{word}-{_run_id}-{_topics}"


def checks_by_program(suite, names, command, timeout=120, prefix="", once=False):
    """Register one case per name; all of them are done by one run of one program.

    command(broker) gives the command line.  The program prints `ok NAME`, `FAILED NAME: reason`
    or `skipped NAME: reason`; a name it does not print has failed."""
    verdicts = {}       # per shard count and backend: name -> None or the exception

    def run_all(broker):
        done = run(command(broker), timeout=timeout, check=False)
        found = {}
        for line in done.stdout.decode(errors="replace").splitlines():
            if line.startswith("ok "):
                found[line[3:].strip()] = None
            elif line.startswith(("FAILED ", "skipped ")):
                word, _, rest = line.partition(" ")
                name, _, reason = rest.partition(": ")
                found[name.strip()] = (Failed if word == "FAILED" else Skipped)(reason or "?")
        tail = (done.stderr.decode(errors="replace").strip() or "no output")[-1200:]
        for name in names:
            found.setdefault(name, Failed(f"not reached; exit code {done.returncode}: {tail}"))
        return found

    def make(name):
        def one(broker):
            key = (broker.shards, broker.io) if broker.owned else broker.address
            if key not in verdicts:
                try:
                    verdicts[key] = run_all(broker)
                except Failed as failure:
                    verdicts[key] = {n: failure for n in names}
            verdict = verdicts[key][name]
            if verdict is not None:
                raise verdict
        return one

    for name in names:
        case(suite, prefix + name, timeout=timeout + 10, once=once)(make(name))

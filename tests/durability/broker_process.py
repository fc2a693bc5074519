"""tests/durability/broker_process.py — a broker as a process that can be frozen, killed, stopped.

Failures: a broker that is not ready in time raises Failed with the end of its log.  Only processes
started here are ended, by their process id; they die with the runner, however it ends."""
import ctypes
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_port                                     # noqa: E402

READY_SECONDS = 60
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Something that must hold did not."""


class Unavailable(Exception):
    """This cannot run here; the text says what is missing."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    def __init__(self, binary, data_dir, log_path, shards=1, settings=()):
        self.binary, self.data_dir, self.log_path = binary, data_dir, log_path
        self.shards, self.settings = shards, list(settings)
        self.port = free_port()
        self.process = None
        self.ready_seconds = None       # of the last start
        self.ready_line = ""

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _log_since(self, at):
        with open(self.log_path, "r", errors="replace") as f:
            f.seek(at)
            return f.read()

    def spawn(self):
        command = [self.binary, "server", "--data-dir", self.data_dir, "--listeners",
                   f"PLAINTEXT://{self.address}", "--shards", str(self.shards)]
        for setting in self.settings:
            command += ["--set", setting]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def start(self, check=True):
        """False (only without check): it ended instead of getting ready."""
        at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        began = time.monotonic()
        self.spawn()
        while time.monotonic() - began < READY_SECONDS:
            said = self._log_since(at)
            if re.search(r"^ready .*\n", said, re.M):
                self.ready_seconds = time.monotonic() - began
                self.ready_line = re.search(r"^ready .*$", said, re.M).group()
                return True
            if self.process.poll() is not None:
                break
            time.sleep(0.003)
        if not check:
            self.kill()
            return False
        raise Failed(f"the broker did not get ready:\n{self._log_since(at)[-3000:]}")

    def said(self):
        return self._log_since(0)

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("the broker did not stop within 30 s of SIGTERM")
        self.process = None
        if code != 0:
            raise Failed(f"the broker stopped with exit code {code}")

    def alive(self):
        return self.process is not None and self.process.poll() is None

"""tests/limits/healthy.py — a client that minds its own business, in a process of its own, and a clock.

It produces one record (acks=1), reads it back and asks for the versions, again and again, each time
on the connection it has had from the beginning.  What it reports is how long each request took."""
import multiprocessing
import time

import frames
from harness import Failed

PAUSE_SECONDS = 0.005


def _live(port, topic, stop, out):
    took, error = [], None
    try:
        sock = frames.connect(port, timeout=60)
        record = frames.produce(topic, frames.batch(100))
        rounds = [record, frames.fetch(topic, [0], max_bytes=1000), frames.api_versions()]
        at = 0
        while not stop.is_set():
            begin = time.monotonic()
            frames.call(sock, rounds[at % len(rounds)])
            took.append(time.monotonic() - begin)
            at += 1
            time.sleep(PAUSE_SECONDS)
    except Exception as problem:        # reported by whoever waits for us
        error = f"{type(problem).__name__}: {problem}"
    out.send((took, error))


class Healthy:
    """with Healthy(broker) as client: attack(); then client.p99 and client.requests"""

    def __init__(self, broker, topic):
        self.port, self.topic = broker.port, topic
        self.requests, self.p99, self.worst = 0, 0.0, 0.0

    def __enter__(self):
        context = multiprocessing.get_context("fork")
        self.stop = context.Event()
        self.pipe, out = context.Pipe(False)
        self.process = context.Process(target=_live, args=(self.port, self.topic, self.stop, out),
                                       daemon=True)
        self.process.start()
        out.close()
        return self

    def __exit__(self, kind, _value, _trace):
        self.stop.set()
        took, error = self.pipe.recv() if self.pipe.poll(70) else ([], "it did not end")
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
        if kind is None and error:
            raise Failed(f"the healthy client: {error} after {len(took)} requests")
        took.sort()
        self.requests = len(took)
        self.p99 = took[int(len(took) * 0.99)] if took else 0.0
        self.worst = took[-1] if took else 0.0
        return False

"""tests/clients/suite_proxy.py — producers behind a network that loses replies and connections.

The broker advertises the proxy, so that every connection of a client goes through it.  The proxy
cuts each connection after a random number of bytes, in either direction, now and then after
swallowing what the broker answered.  An idempotent producer must not notice: every record is in
the log once, and in order.
"""
import random
import socket
import struct
import threading

try:
    from confluent_kafka import Producer
except ImportError:                     # said by the case
    Producer = None

from harness import Failed, Skipped, case, expect, expect_equal, new_topic, owned, run
from suite_java import java_command
from suite_kcat import consume

BEHIND_PROXY = ("advertised.listeners=PLAINTEXT://127.0.0.1:{proxy_port}",)
RECORDS = 6000
CUTS_MIN = 20


class Proxy:
    """Forwards the proxy's port to the broker, by two threads a connection; `calm` cuts nothing any more."""

    def __init__(self, broker, seed):
        self.broker, self.random = broker, random.Random(seed)
        self.calm = False
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", broker.proxy_port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.broker.port))
            except OSError:
                client.close()
                continue
            # Requests are cut in their middle, replies lost whole or in part: whatever comes first.
            out, back = self.random.randrange(200, 30000), self.random.randrange(100, 6000)
            lose = self.random.random() < 0.5
            threading.Thread(target=self.forward, args=(client, server, out, False), daemon=True).start()
            threading.Thread(target=self.forward, args=(server, client, back, lose), daemon=True).start()

    def forward(self, source, target, left, lose):
        """lose: of the last bytes before the cut nothing arrives, as if the reply were lost."""
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if not self.calm and len(data) >= left:
                    if not lose:
                        target.sendall(data[:left])
                    self.cuts += 1
                    for end in (source, target):        # a reset, as when a machine disappears
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                left -= len(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def through_proxy(broker, word, write):
    """write(topic, count): a producer's whole life; what it wrote must be there once, in order."""
    owned(broker)
    topic = new_topic(word)
    proxy = Proxy(broker, word)
    try:
        proxy.calm = True
        run(["kcat", "-b", broker.address, "-L", "-t", topic], timeout=30)      # made, calmly
        proxy.calm = False
        write(topic, RECORDS)
        proxy.calm = True
        got = consume(broker, topic)
    finally:
        proxy.stop()
    wanted = [b"value %d" % i for i in range(RECORDS)]
    if sorted(got) == sorted(wanted):
        expect_equal(got, wanted, "the order of records")
    elif got != wanted:
        raise Failed(f"{len(wanted)} written, {len(got)} there, {len(set(got))} of them different")
    expect(proxy.cuts >= CUTS_MIN, f"only {proxy.cuts} connections were cut")


@case("proxy", "Java: nothing twice, nothing lost when replies and connections are", timeout=240,
      settings=BEHIND_PROXY)
def java_producer(broker):
    through_proxy(broker, "proxy-java", lambda topic, count: run(
        java_command("SessionClient", f"127.0.0.1:{broker.proxy_port}", topic, str(count)), timeout=200))


@case("proxy", "librdkafka: nothing twice, nothing lost when replies and connections are", timeout=240,
      settings=BEHIND_PROXY)
def librdkafka_producer(broker):
    if Producer is None:
        raise Skipped("needs Debian's python3-confluent-kafka")

    def write(topic, count):
        failures = []
        producer = Producer({
            "bootstrap.servers": f"127.0.0.1:{broker.proxy_port}", "enable.idempotence": True, "batch.num.messages": 8,
            "linger.ms": 1, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
            "retry.backoff.ms": 20, "socket.timeout.ms": 3000, "queue.buffering.max.messages": count,
            "log_level": 0})
        for i in range(count):
            producer.produce(topic, b"value %d" % i, partition=0,
                             on_delivery=lambda error, _message: failures.append(error) if error else None)
            producer.poll(0)
        expect_equal(producer.flush(150), 0, "records without an answer")
        expect(not failures, f"{len(failures)} records failed, first: {failures[:1]}")
    through_proxy(broker, "proxy-librdkafka", write)

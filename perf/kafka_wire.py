"""perf/kafka_wire.py — the three Kafka requests that the instruments need besides the generator.

Non-flexible versions, which both brokers know: CreateTopics 4, DeleteTopics 3, Produce 7.
A broker that is still starting may close the connection or name a passing error: both are tried
again until the caller's deadline.
"""
import socket
import struct
import time

CREATE_TOPICS, DELETE_TOPICS, PRODUCE, FETCH, LIST_OFFSETS = 19, 20, 0, 1, 2
TOPIC_ALREADY_EXISTS, UNKNOWN_TOPIC_OR_PARTITION = 36, 3


class WireError(Exception):
    """The broker refused."""


def _crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def text(value):
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def one_record_batch(value=b"first"):
    """A batch (message format 2) of one record without a key."""
    record = struct.pack(">bbbbb", 0, 0, 0, 1, len(value) << 1) + value + b"\0"
    record = struct.pack(">b", len(record) << 1) + record
    now_ms = int(time.time() * 1000)
    body = struct.pack(">hiqqqhii", 0, 0, now_ms, now_ms, -1, -1, -1, 1) + record
    head = struct.pack(">ib", -1, 2) + struct.pack(">I", crc32c(body))
    return struct.pack(">qi", 0, len(head) + len(body)) + head + body


class Client:
    """One connection; a request at a time."""

    def __init__(self, host, port, timeout=30):
        self.address = (host, port)
        self.timeout = timeout
        self.socket = None
        self.correlation = 0
        self.open()

    def open(self):
        self.close()
        self.socket = socket.create_connection(self.address, self.timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self, count):
        data = bytearray(count)
        view, got = memoryview(data), 0
        while got < count:
            piece = self.socket.recv_into(view[got:])
            if piece == 0:
                raise ConnectionError("the broker closed the connection")
            got += piece
        return data

    def call(self, key, version, body):
        """Returns the response without its header."""
        self.correlation += 1
        request = struct.pack(">hhi", key, version, self.correlation) + text("ringlog-perf") + body
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        size, = struct.unpack(">i", self._receive(4))
        return self._receive(size)[4:]

    def retry(self, what, attempt, deadline):
        """attempt() returns an error code; 0 ends it."""
        last = None
        while True:
            try:
                if self.socket is None:
                    self.open()
                last = attempt()
                if last == 0:
                    return
            except (OSError, ConnectionError) as error:
                last = error
                self.close()
            if time.monotonic() > deadline:
                raise WireError(f"{what}: {last}")
            time.sleep(0.001)

    def create_topic(self, topic, partitions, configs, deadline):
        body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, len(configs))
        for key, value in configs.items():
            body += text(key) + text(str(value))
        body += struct.pack(">ib", 30000, 0)

        def attempt():
            answer = self.call(CREATE_TOPICS, 4, body)
            code, = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic.encode()))
            return 0 if code == TOPIC_ALREADY_EXISTS else code
        self.retry(f"CreateTopics {topic}", attempt, deadline)

    def delete_topic(self, topic):
        answer = self.call(DELETE_TOPICS, 3, struct.pack(">i", 1) + text(topic) + struct.pack(">i", 30000))
        code, = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic.encode()))
        if code not in (0, UNKNOWN_TOPIC_OR_PARTITION):
            raise WireError(f"DeleteTopics {topic}: error {code}")

    def list_offset(self, topic, timestamp_ms):
        """The offset for a time in partition 0, -1: the end."""
        body = (struct.pack(">ibi", -1, 0, 1) + text(topic) +
                struct.pack(">iiiq", 1, 0, -1, timestamp_ms))
        answer = self.call(LIST_OFFSETS, 4, body)
        at = 4 + 4 + 2 + len(topic.encode()) + 4
        _index, code, _time, offset = struct.unpack_from(">ihqq", answer, at)
        if code != 0:
            raise WireError(f"ListOffsets {topic}: error {code}")
        return offset

    def fetch_bytes(self, topic, offset, bytes_max):
        """How many bytes partition 0 has at an offset, at most that many or one batch."""
        body = (struct.pack(">iiiibii", -1, 0, 1, bytes_max, 0, 0, -1) + struct.pack(">i", 1) + text(topic) +
                struct.pack(">iiiqqi", 1, 0, -1, offset, -1, bytes_max) + struct.pack(">i", 0) + text(""))
        answer = self.call(FETCH, 11, body)
        at = 4 + 2 + 4 + 4 + 2 + len(topic.encode()) + 4
        _index, code = struct.unpack_from(">ih", answer, at)
        if code != 0:
            raise WireError(f"Fetch {topic} at {offset}: error {code}")
        return len(answer) - at

    def produce_one(self, topic, deadline, acks=1):
        """One record into partition 0, acknowledged."""
        batch = one_record_batch()
        body = (struct.pack(">hhii", -1, acks, 30000, 1) + text(topic) +
                struct.pack(">iii", 1, 0, len(batch)) + batch)

        def attempt():
            answer = self.call(PRODUCE, 7, body)
            code, = struct.unpack_from(">h", answer, 4 + 2 + len(topic.encode()) + 4 + 4)
            return code
        self.retry(f"Produce to {topic}", attempt, deadline)

"""tests/durability/raw_fetch.py — Fetch v4 and ListOffsets v1 by hand: batches as bytes, errors as numbers.

A client library retries over damage for ever and hides which bytes it was given."""
import socket
import struct

NONE, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE, KAFKA_STORAGE_ERROR = 0, 1, 2, 56


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


class RawClient:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def _receive(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the broker closed the connection")
            data += piece
        return bytes(data)

    def call(self, key, version, body):
        self.correlation += 1
        head = struct.pack(">hhi", key, version, self.correlation) + string("durability")
        self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        reply = self._receive(struct.unpack(">i", self._receive(4))[0])
        assert struct.unpack_from(">i", reply)[0] == self.correlation
        return reply[4:]

    def fetch(self, topic, partition, offset, max_bytes=1 << 20):
        """(error, high watermark, [(base offset, batch bytes)]); a cut batch at the end is dropped."""
        body = struct.pack(">iiiib", -1, 0, 0, max_bytes, 0)
        body += struct.pack(">i", 1) + string(topic)
        body += struct.pack(">iiqi", 1, partition, offset, max_bytes)
        reply = self.call(1, 4, body)
        at = 4 + 4 + 2 + len(topic) + 4 + 4
        error, high_watermark, _, aborted = struct.unpack_from(">hqqi", reply, at)
        at += 22 + max(0, aborted) * 16
        size = struct.unpack_from(">i", reply, at)[0]
        return error, high_watermark, list(batches_of(reply[at + 4:at + 4 + max(0, size)]))

    def end_offset(self, topic, partition):
        body = struct.pack(">i", -1) + struct.pack(">i", 1) + string(topic)
        body += struct.pack(">iiq", 1, partition, -1)
        reply = self.call(2, 1, body)
        error, _, offset = struct.unpack_from(">hqq", reply, 4 + 2 + len(topic) + 4 + 4)
        return offset if error == NONE else None


def batches_of(data):
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if at + 12 + length > len(data):
            return
        yield base, data[at:at + 12 + length]
        at += 12 + length

"""tests/limits/frames.py — requests by hand: bytes that a client library would never send are needed here."""
import socket
import struct

PRODUCE, FETCH, METADATA, API_VERSIONS, CREATE_TOPICS = 0, 1, 3, 18, 19


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def frame(key, version, body=b"", correlation=1):
    head = struct.pack(">hhi", key, version, correlation) + string("limits")
    return struct.pack(">i", len(head) + len(body)) + head + body


def api_versions():
    return frame(API_VERSIONS, 0)


def create_topic(name, partitions):
    body = struct.pack(">i", 1) + string(name) + struct.pack(">ihii", partitions, 1, 0, 0)
    return frame(CREATE_TOPICS, 2, body + struct.pack(">ib", 10000, 0))


_crc_table = []


def crc32c(data):
    if not _crc_table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
            _crc_table.append(i)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _crc_table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def uvarint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value):
    return uvarint(value << 1 ^ value >> 63)


def batch(value_bytes):
    """One record of so many bytes, as a batch of format 2."""
    record = b"\0" + varint(0) + varint(0) + varint(-1) + varint(value_bytes) + b"v" * value_bytes + varint(0)
    records = varint(len(record)) + record
    after_crc = struct.pack(">hiqqqhii", 0, 0, 0, 0, -1, -1, -1, 1) + records
    return struct.pack(">qiibI", 0, 9 + len(after_crc), -1, 2, crc32c(after_crc)) + after_crc


def produce(topic, records, partition=0, acks=1):
    body = struct.pack(">hhi", -1, acks, 30000) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iii", 1, partition, len(records)) + records
    return frame(PRODUCE, 3, body)


def fetch(topic, partitions, offset=0, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20):
    body = struct.pack(">iiiib", -1, max_wait_ms, min_bytes, max_bytes, 0)
    body += struct.pack(">i", 1) + string(topic) + struct.pack(">i", len(partitions))
    for partition in partitions:
        body += struct.pack(">iqi", partition, offset, max_bytes)
    return frame(FETCH, 4, body)


def connect(port, timeout=20, source=None):
    return socket.create_connection(("127.0.0.1", port), timeout=timeout,
                                    source_address=(source, 0) if source else None)


def receive(sock, count):
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise ConnectionError("the broker closed the connection")
        data += piece
    return bytes(data)


def reply(sock):
    return receive(sock, struct.unpack(">i", receive(sock, 4))[0])


def call(sock, request):
    sock.sendall(request)
    return reply(sock)


def is_closed(sock, seconds=10):
    """Did the broker close it, without an answer?"""
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False

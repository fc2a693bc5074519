"""tests/differential/batch.py — record batches made by hand, also wrong ones.

Format 2 as log/batch.h draws it, the older formats 0 and 1, and compressed records without a
library: stored gzip by zlib, and snappy, lz4 and zstd as frames that only have literal bytes.
"""
import os
import struct
import sys
import zlib

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "perf"))

from kafka_wire import crc32c           # noqa: E402

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL, DELETE_HORIZON = 8, 16, 32, 64
HEADER_BYTES = 61


def xxh32(data):
    """XXH32 with seed 0 of less than 16 bytes: all that an lz4 frame's header needs."""
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF

    def rotate(value, bits):
        return (value << bits | value >> (32 - bits)) & mask
    h = p5 + len(data) & mask
    at = 0
    while at + 4 <= len(data):
        h = rotate(h + int.from_bytes(data[at:at + 4], "little") * p3 & mask, 17) * p4 & mask
        at += 4
    for byte in data[at:]:
        h = rotate(h + byte * p5 & mask, 11) * p1 & mask
    h = (h ^ h >> 15) * p2 & mask
    h = (h ^ h >> 13) * p3 & mask
    return h ^ h >> 16


def compress(codec, data):
    if codec == GZIP:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    if codec == SNAPPY:                 # one block: length, then literals of at most 60 bytes
        out = uvarint(len(data))
        for at in range(0, len(data), 60):
            piece = data[at:at + 60]
            out += bytes([(len(piece) - 1) << 2]) + piece
        return out
    if codec == LZ4:                    # independent blocks of 64 KiB, stored
        descriptor = b"\x60\x40"
        out = b"\x04\x22\x4d\x18" + descriptor + bytes([xxh32(descriptor) >> 8 & 0xFF])
        for at in range(0, len(data), 65536):
            piece = data[at:at + 65536]
            out += struct.pack("<I", len(piece) | 0x80000000) + piece
        return out + struct.pack("<I", 0)
    if codec == ZSTD:                   # one segment, its size in four bytes, raw blocks
        out = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data))
        pieces = [data[at:at + 65536] for at in range(0, len(data), 65536)] or [b""]
        for i, piece in enumerate(pieces):
            out += struct.pack("<I", len(piece) << 3 | (i == len(pieces) - 1))[:3] + piece
        return out
    return data


def uvarint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def varint(value):
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def _bytes(value):
    return varint(-1) if value is None else varint(len(value)) + value


def record(offset_delta=0, value=b"value", key=None, timestamp_delta=0, headers=(), attributes=0,
           header_count=None, tail=b""):
    """One record of format 2; a header's key may be None, which is wrong."""
    body = struct.pack(">b", attributes) + varint(timestamp_delta) + varint(offset_delta)
    body += _bytes(key) + _bytes(value)
    body += varint(len(headers) if header_count is None else header_count)
    for name, content in headers:
        body += _bytes(name) + _bytes(content)
    return varint(len(body + tail)) + body + tail


def batch(time_ms, count=1, codec=NONE, records=None, **fields):
    """A batch of format 2.  records: encoded ones; fields: header fields that are to be different
    (crc, length, magic, attributes: added to the codec, ...)."""
    if records is None:
        records = b"".join(record(i, timestamp_delta=i) for i in range(count))
    header = {"base_offset": 0, "leader_epoch": -1, "magic": 2, "attributes": 0,
              "last_offset_delta": count - 1, "base_timestamp": time_ms,
              "max_timestamp": time_ms + count - 1, "producer_id": -1, "producer_epoch": -1,
              "base_sequence": -1, "record_count": count, "payload": None, **fields}
    payload = compress(codec, records) if header["payload"] is None else header["payload"]
    body = struct.pack(">Hiqqqhii", header["attributes"] | codec, header["last_offset_delta"],
                       header["base_timestamp"], header["max_timestamp"], header["producer_id"],
                       header["producer_epoch"], header["base_sequence"],
                       header["record_count"]) + payload
    crc = header.get("crc", crc32c(body))
    length = header.get("length", 9 + len(body))
    return struct.pack(">qiibI", header["base_offset"], length, header["leader_epoch"],
                       header["magic"], crc) + body


def old_message(magic, time_ms=0, value=b"value", key=None, offset=0, attributes=0):
    """A message of format 0 or 1."""
    def nullable(data):
        return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
    body = struct.pack(">bb", magic, attributes)
    if magic == 1:
        body += struct.pack(">q", time_ms)
    body += nullable(key) + nullable(value)
    body = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", offset, len(body)) + body


def describe(data, time_text, id_text):
    """What a fetched run of batches is, a line per batch; half a batch at the end is named so."""
    lines, at = [], 0
    while at < len(data):
        if len(data) - at < HEADER_BYTES or \
                len(data) - at < 12 + struct.unpack_from(">i", data, at + 8)[0]:
            lines.append("the rest of a batch is cut off")
            break
        (offset, length, epoch, magic, crc, attributes, delta, base, largest, producer,
         producer_epoch, sequence, count) = struct.unpack_from(">qiibIHiqqqhii", data, at)
        size = 12 + length
        good = "crc good" if crc32c(data[at + 21:at + size]) == crc else "crc BAD"
        lines.append(
            f"offsets {offset}-{offset + delta} epoch {epoch} magic {magic} attributes {attributes} "
            f"times {time_text(base)}-{time_text(largest)} producer {id_text(producer)} "
            f"{producer_epoch} {sequence} records {count} bytes {size} {good}")
        at += size
    return lines

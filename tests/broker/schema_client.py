"""tests/broker/schema_client.py — a slow, obvious Kafka client over wire/schema/*.def.

    client = SchemaClient("127.0.0.1:9092")
    answer = client.call("Metadata", 12, {"topics": None})

Messages are dictionaries with the schema's names; fields left out of a request have their
defaults.  Failures: AnswerError when the broker closes the connection or sends what the schema
does not allow.  Python's standard library only.
"""
import glob
import os
import socket
import struct
import sys
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "wire"))

from schema_notation import parse_file                      # noqa: E402

INTEGERS = {"bool": ">?", "i8": ">b", "i16": ">h", "u16": ">H", "i32": ">i", "u32": ">I",
            "i64": ">q", "f64": ">d"}
APIS = {api.name: api for api in
        map(parse_file, sorted(glob.glob(os.path.join(ROOT, "wire", "schema", "*.def"))))}


class AnswerError(Exception):
    """The connection was closed, or the answer is not what the schema says."""


class Encoder:
    def __init__(self, api, version):
        self.version, self.flexible = version, version >= api.flexible

    def uvarint(self, value):
        out = b""
        while value >= 0x80:
            out += bytes([value & 0x7f | 0x80])
            value >>= 7
        return out + bytes([value])

    def length(self, value, flexible, short=False):
        if flexible:
            return self.uvarint(0 if value is None else value + 1)
        return struct.pack(">h" if short else ">i", -1 if value is None else value)

    def scalar(self, field, value):
        flexible = self.flexible and not field.inflexible
        if field.kind in INTEGERS:
            return struct.pack(INTEGERS[field.kind], value)
        if field.kind == "uuid":
            return uuid.UUID(value).bytes
        raw = value.encode() if isinstance(value, str) else value
        short = field.kind == "string"
        return self.length(None if raw is None else len(raw), flexible, short) + (raw or b"")

    def default(self, field):
        if field.array:
            return []
        if field.struct:
            return None if field.nullable <= self.version else {}
        if field.kind in INTEGERS:
            text = field.default or "0"
            return text == "true" if field.kind == "bool" else int(text) if text != "false" else 0
        if field.kind == "uuid":
            return str(uuid.UUID(int=0))
        return None if field.nullable <= self.version else ""

    def field(self, field, value):
        if not field.array and field.struct and field.nullable <= self.version:
            return b"\xff" if value is None else b"\1" + self.fields(field.struct, value)
        if not field.array:
            return self.fields(field.struct, value) if field.struct else self.scalar(field, value)
        out = self.length(None if value is None else len(value), self.flexible)
        for item in value or []:
            out += self.fields(field.struct, item) if field.struct else self.scalar(field, item)
        return out

    def fields(self, of, values):
        unknown = set(values) - {f.name for f in of.fields}
        if unknown:
            raise KeyError(f"no field {unknown} in {of.name or 'the message'}")
        out = b""
        for field in of.fields:
            if field.tag is None and field.since <= self.version <= field.until:
                out += self.field(field, values.get(field.name, self.default(field)))
        return out + (b"\0" if self.flexible else b"")


class Decoder:
    def __init__(self, api, version, data):
        self.version, self.flexible = version, version >= api.flexible
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise AnswerError("the answer ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def unpack(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, short=False):
        if self.flexible:
            return self.uvarint() - 1
        return self.unpack(">h" if short else ">i")

    def scalar(self, field):
        if field.kind in INTEGERS:
            return self.unpack(INTEGERS[field.kind])
        if field.kind == "uuid":
            return str(uuid.UUID(bytes=self.take(16)))
        count = self.length(field.kind == "string")
        if count < 0:
            if not field.nullable <= self.version:
                raise AnswerError(f"{field.name} must not be null in version {self.version}")
            return None
        raw = self.take(count)
        return raw.decode() if field.kind == "string" else raw

    def field(self, field):
        if not field.array and field.struct and field.nullable <= self.version and self.unpack(">b") < 0:
            return None
        if not field.array:
            return self.fields(field.struct) if field.struct else self.scalar(field)
        count = self.length()
        if count < 0:
            if not field.nullable <= self.version:
                raise AnswerError(f"{field.name} must not be null in version {self.version}")
            return None
        return [self.fields(field.struct) if field.struct else self.scalar(field)
                for _ in range(count)]

    def fields(self, of):
        values = {}
        for field in of.fields:
            if field.tag is None and field.since <= self.version <= field.until:
                values[field.name] = self.field(field)
        for _ in range(self.uvarint() if self.flexible else 0):
            tag, count = self.uvarint(), self.uvarint()
            end = self.at + count
            field = next((f for f in of.fields if f.tag == tag), None)
            if field is None:
                values[f"tag {tag}"] = self.take(count)
            else:
                values[field.name] = self.field(field)
            if self.at != end:
                raise AnswerError(f"tagged field {tag} has the wrong size")
        return values


class SchemaClient:
    """One connection, one request at a time."""

    def __init__(self, address, timeout=30):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.correlation_id = 0

    def close(self):
        self.socket.close()

    def receive(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise AnswerError("connection closed")
            data += more
        return data

    def exchange(self, frame):
        """Send one frame without its size, return the answer's frame."""
        self.send(frame)
        return self.answer()

    def send(self, frame):
        try:
            self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        except OSError as error:
            raise AnswerError(f"connection closed ({error.strerror})") from error

    def answer(self):
        """The next answer's frame."""
        try:
            return self.receive(struct.unpack(">i", self.receive(4))[0])
        except TimeoutError as error:
            raise AnswerError("no answer in time") from error
        except OSError as error:
            raise AnswerError(f"connection closed ({error.strerror})") from error

    def frame(self, name, version, request):
        """A whole request without its size, under the next correlation id."""
        api = APIS[name]
        self.correlation_id += 1
        frame = struct.pack(">hhih", api.key, version, self.correlation_id, 4) + b"test"
        if version >= api.flexible:
            frame += b"\0"
        return frame + Encoder(api, version).fields(api.messages[0].root, request)

    def call_silently(self, name, version, request):
        """A request that has no answer, Produce with acks=0, or a late one, which end() takes."""
        self.send(self.frame(name, version, request))

    def call(self, name, version, request, answer_version=None):
        """answer_version: the version the answer is decoded by, when it is not the request's."""
        data = self.exchange(self.frame(name, version, request))
        return self.decode(name, version if answer_version is None else answer_version, data)

    def end(self, name, version):
        """Wait for the answer of a request that was sent by call_silently."""
        return self.decode(name, version, self.answer())

    def decode(self, name, version, data):
        api = APIS[name]
        decoder = Decoder(api, version, data)
        if decoder.unpack(">i") != self.correlation_id:
            raise AnswerError("wrong correlation id")
        if decoder.flexible and name != "ApiVersions" and decoder.uvarint() != 0:
            raise AnswerError("tags in the answer's header")
        answer = decoder.fields(api.messages[1].root)
        if decoder.at != len(data):
            raise AnswerError(f"{len(data) - decoder.at} bytes too many in the answer")
        return answer



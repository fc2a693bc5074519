#!/usr/bin/python3
"""tests/cli/test_group_command.py — `ringlog group` against a broker that answers what no broker should: the
command says what is wrong and leaves with the code it promises; a bad answer never crashes it.

    test_group_command.py BINARY
"""
import contextlib
import socket
import struct
import subprocess
import sys
import threading

BINARY = sys.argv[1]
CODE_WELL, CODE_FAILED, CODE_USAGE, CODE_UNREACHABLE = 0, 1, 2, 3
METADATA, LIST_GROUPS = 3, 16


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def receive(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


class Broker:
    """answer(api_key, correlation_id) gives the bytes to send; with b"" the connection is closed."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer = answer
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError), sock:
            while True:
                request = receive(sock, struct.unpack(">i", receive(sock, 4))[0])
                api_key, _, correlation_id = struct.unpack_from(">hhi", request)
                answer = self.answer(self, api_key, correlation_id)
                sock.sendall(answer)
                if not answer or answer[-4:] == b"STOP":
                    return


def frame(correlation_id, body):
    return struct.pack(">ii", len(body) + 4, correlation_id) + body


def metadata(correlation_id, port, brokers=1):
    """Metadata 8: this broker, no topics."""
    node = struct.pack(">ih", 1, 9) + b"127.0.0.1" + struct.pack(">ih", port, -1)
    return frame(correlation_id, struct.pack(">ii", 0, brokers) + node + struct.pack(">hiii", -1, 1, 0, 0))


def listed(correlation_id, name):
    """ListGroups 4: one group of this name."""
    text = bytes([len(name) + 1]) + name
    group = text + bytes([9]) + b"consumer" + bytes([7]) + b"Stable" + b"\0"
    return frame(correlation_id, b"\0" + struct.pack(">ih", 0, 0) + b"\2" + group + b"\0")


def ringlog_group(answer, *arguments, stdout=subprocess.PIPE):
    broker = Broker(answer)
    try:
        done = subprocess.run([BINARY, "group", *arguments, "--bootstrap", f"127.0.0.1:{broker.port}"], timeout=60,
                              stdout=stdout, stderr=subprocess.PIPE)
    finally:
        broker.listener.close()
    return done.returncode, done.stdout or b"", done.stderr


def well(name=b"g"):
    return lambda broker, api_key, correlation_id: (metadata(correlation_id, broker.port) if api_key == METADATA else
                                                    listed(correlation_id, name))


def on_list(answer):
    """A good answer to Metadata, this one to ListGroups."""
    return lambda broker, api_key, correlation_id: (metadata(correlation_id, broker.port) if api_key == METADATA else
                                                    answer(correlation_id))


BAD = [
    ("closes", lambda b, k, c: b"", CODE_UNREACHABLE, b"the broker closed the connection"),
    ("half an answer", lambda b, k, c: metadata(c, b.port)[:20] + b"STOP", CODE_UNREACHABLE, b"the broker closed"),
    ("two GiB are announced", lambda b, k, c: b"\x7f\xff\xff\xffSTOP", CODE_UNREACHABLE, b"too large"),
    ("HTTP", lambda b, k, c: b"HTTP/1.1 400 Bad Request\r\n\r\nSTOP", CODE_UNREACHABLE, b"does not speak Kafka's"),
    ("an answer to something else", lambda b, k, c: metadata(c + 1, b.port), CODE_FAILED, b"cannot be read"),
    ("an empty answer", lambda b, k, c: frame(c, b""), CODE_FAILED, b"cannot be read"),
    ("two billion brokers", lambda b, k, c: metadata(c, b.port, 2**31 - 1), CODE_FAILED, b"cannot be read"),
    ("a port that would be right if it were cut off", lambda b, k, c: metadata(c, b.port + 65536), CODE_FAILED,
     b"listens at port"),
    ("port 0", lambda b, k, c: metadata(c, 0), CODE_FAILED, b"listens at port 0"),
    ("half a list", on_list(lambda c: listed(c, b"g")[:12] + b"STOP"), CODE_UNREACHABLE, b"the broker closed"),
    ("billions of groups", on_list(lambda c: frame(c, b"\0" + struct.pack(">ih", 0, 0) + b"\xff\xff\xff\xff\x0f")),
     CODE_FAILED, b"cannot be read"),
    ("an error", on_list(lambda c: frame(c, b"\0" + struct.pack(">ih", 0, 14) + b"\1\0")), CODE_FAILED,
     b"the broker still reads its groups (error 14)"),
]


def main():
    for what, answer, code, text in BAD:
        for command in (("list",), ("describe", "--all")):
            got, out, err = ringlog_group(answer, *command)
            expect(got == code and text in err, f"{what}, {command}: code {got}, {out!r}, {err!r}")
    code, out, err = ringlog_group(well(), "list")
    expect((code, out.split()[-3:]) == (CODE_WELL, [b"g", b"Stable", b"consumer"]), f"list: {code} {out!r} {err!r}")
    name = b"\x1b[2J\xc2\x9b1m\x7f\n\xc3\xa9"
    code, out, err = ringlog_group(well(name), "list")
    expect(code == CODE_WELL and b"?[2J\xc2?1m??\xc3\xa9" in out, f"control characters: {code} {out!r} {err!r}")
    with open("/dev/full", "wb") as full:
        for command in (("list",), ("list", "--format", "json")):
            code, _, err = ringlog_group(well(), *command, stdout=full)
            expect(code == CODE_FAILED and b"the output cannot be written: No space" in err, f"full: {code} {err!r}")
    code, out, err = ringlog_group(well(), "describe", "g" * 40000)
    expect(code == CODE_FAILED and b"too long for Kafka's protocol" in err, f"a long name: {code} {err[-500:]!r}")
    code, out, err = ringlog_group(well(), "describe")
    expect(code == CODE_USAGE and b"names of groups are needed" in err, f"no name: {code} {err!r}")


main()

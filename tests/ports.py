"""tests/ports.py — ports for brokers that tests start, kill and start again.

Suites run side by side: a port belongs to the process that asked for it until that ends, also while
nobody listens there.  Taken by a socket in Linux's abstract name space (unix(7)): it is gone with its
owner, however that ends."""
import random
import socket

_taken = []


def free_port():
    """A port below the ephemeral range, so that no outgoing connection can take it meanwhile."""
    while True:
        port = random.randint(15000, 30000)
        mark = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                mark.bind(f"\0ringlog-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                mark.close()
                continue
        _taken.append(mark)
        return port

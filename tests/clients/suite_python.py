"""tests/clients/suite_python.py — confluent-kafka, librdkafka for Python: python/confluent_client.py.

Twice: Debian's python3-confluent-kafka, and the current one from PyPI that python/requirements.txt
pins, in a virtual environment at build/clients/venv.
"""
import os

from harness import BUILD, HERE, Failed, case, checks_by_program, new_topic, run
from reconnect import cut_in_the_middle

DEBIAN = "/usr/bin/python3"     # Debian's packages belong to Debian's interpreter
VENV = os.path.join(BUILD, "venv")
REQUIREMENTS = os.path.join(HERE, "python", "requirements.txt")
PROGRAM = os.path.join(HERE, "python", "confluent_client.py")

_install_failure = None


def current():
    """The interpreter that has the packages of requirements.txt; they are installed once."""
    global _install_failure
    if _install_failure:
        raise _install_failure
    python, mark = os.path.join(VENV, "bin", "python"), os.path.join(VENV, ".complete")
    if os.path.exists(mark) and os.path.getmtime(mark) >= os.path.getmtime(REQUIREMENTS):
        return python
    for attempt in (1, 2):      # a registry may hiccup
        try:
            run([DEBIAN, "-m", "venv", "--clear", VENV], timeout=120)
            run([python, "-m", "pip", "install", "-q", "--only-binary", ":all:", "-r", REQUIREMENTS],
                timeout=300)
            break
        except Failed as failure:
            if attempt == 2:
                _install_failure = Failed(f"pip cannot install confluent-kafka: {str(failure)[:600]}")
                raise _install_failure from None
    with open(mark, "w", encoding="utf-8"):
        pass
    return python


CHECKS = [
    "producer, consumer by assign, 4 partitions",
    "codecs none gzip snappy lz4 zstd",
    "idempotent producer, lz4",
    "headers, null key and value, timestamp",
    "a record of 1 MB, one too large",
    "assign and seek to beginning, offset, time, end",
    "watermarks and offsets for times",
    "AdminClient creates, lists, deletes topics",
    "AdminClient adds partitions",
    "AdminClient describes topic and broker configs",
]
# What Debian's version, 1.7, does not offer.
NEWER = [
    "AdminClient changes a topic's config",
    "AdminClient deletes records",
    "AdminClient describes cluster and topics, lists offsets",
]


def client(suite, interpreter, names):
    checks_by_program(suite, names, lambda broker: [interpreter(), PROGRAM, "checks", broker.address,
                                                    new_topic(suite)])

    @case(suite, "kill -9: producer and consumer reconnect, nothing lost", timeout=150)
    def reconnects(broker):
        cut_in_the_middle(broker, [interpreter(), PROGRAM, "reconnect", broker.address,
                                   new_topic(f"{suite}-cut")])


client("python", lambda: DEBIAN, CHECKS)
client("confluent", current, CHECKS + NEWER)

"""tests/clients/suite_python.py — Debian's python3-confluent-kafka: python/confluent_client.py."""
import os

from harness import HERE, checks_by_program, new_topic

PYTHON = "/usr/bin/python3"     # Debian's packages belong to Debian's interpreter

checks_by_program("python", [
    "producer, consumer by assign, 4 partitions",
    "idempotent producer, lz4",
    "headers, null key and value, timestamp",
    "assign and seek to beginning, offset, end",
    "watermarks and offsets for times",
    "AdminClient creates, lists, deletes topics",
    "AdminClient adds partitions",
    "AdminClient describes topic and broker configs",
], lambda broker: [PYTHON, os.path.join(HERE, "python", "confluent_client.py"), broker.address,
                   new_topic("python")])

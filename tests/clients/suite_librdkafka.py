"""tests/clients/suite_librdkafka.py — librdkafka from C: librdkafka/rdkafka_client.c, built here."""
import os
import shlex

from harness import BUILD, HERE, checks_by_program, new_topic, run

SOURCE = os.path.join(HERE, "librdkafka", "rdkafka_client.c")
PROGRAM = os.path.join(BUILD, "rdkafka_client")


def program():
    if not os.path.exists(PROGRAM) or os.path.getmtime(PROGRAM) < os.path.getmtime(SOURCE):
        os.makedirs(BUILD, exist_ok=True)
        flags = run(["pkg-config", "--cflags", "--libs", "rdkafka"]).stdout.decode()
        run(["cc", "-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", SOURCE, "-o", PROGRAM,
             *shlex.split(flags)])
    return PROGRAM


checks_by_program("librdkafka", [
    "producer with default settings, values of 0 to 120,000 bytes",
    "acks=0",
    "acks=1",
    "acks=all",
    "idempotent producer",
    "codecs none gzip snappy lz4 zstd",
    "assign at beginning, offset, tail, end",
    "waiting at the end gets what is written later",
    "an offset out of range is told",
    "headers, null key, null value",
    "offsets for times",
    "watermarks",
], lambda broker: [program(), broker.address, new_topic("rdkafka")])

"""tests/clients/suite_librdkafka.py — librdkafka from C: librdkafka/rdkafka_client.c, built here."""
import os
import shlex

from harness import BUILD, HERE, checks_by_program, new_topic, run

def program(name="rdkafka_client"):
    """The program made of librdkafka/NAME.c."""
    source, made = os.path.join(HERE, "librdkafka", f"{name}.c"), os.path.join(BUILD, name)
    if not os.path.exists(made) or os.path.getmtime(made) < os.path.getmtime(source):
        os.makedirs(BUILD, exist_ok=True)
        flags = run(["pkg-config", "--cflags", "--libs", "rdkafka"]).stdout.decode()
        run(["cc", "-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", made, *shlex.split(flags)])
    return made


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

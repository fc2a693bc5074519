"""tests/clients/suite_java.py — Apache Kafka's Java client: java/JavaClient.java.

The jars named in java/pom.xml come by Maven into build/clients/jars, once; the two programs are
compiled into build/clients/classes.
"""
import glob
import os

from harness import BUILD, HERE, Failed, checks_by_program, new_topic, run

JARS = os.path.join(BUILD, "jars")
CLASSES = os.path.join(BUILD, "classes")
SOURCES = os.path.join(HERE, "java")
POM = os.path.join(SOURCES, "pom.xml")


def newest(paths):
    return max((os.path.getmtime(p) for p in paths), default=0)


_fetch_failure = None


def jars():
    """Kafka's jars and what they need, fetched once; returns the class path."""
    global _fetch_failure
    if _fetch_failure:
        raise _fetch_failure
    mark = os.path.join(JARS, ".complete")
    if newest([mark] if os.path.exists(mark) else []) < os.path.getmtime(POM):
        for attempt in (1, 2):      # a package mirror may hiccup
            try:
                run(["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies",
                     f"-DoutputDirectory={JARS}"], timeout=600)
                break
            except Failed as failure:
                if attempt == 2:
                    _fetch_failure = Failed("Maven cannot fetch Kafka's jars: is there a network "
                                            f"to Maven Central?\n{str(failure)[:300]}")
                    raise _fetch_failure from None
        with open(mark, "w", encoding="utf-8"):
            pass
    return f"{JARS}/*"


def java_command(program, *arguments, heap="700m"):
    """The command line of one of our programs or of one of Kafka's tools."""
    path = jars()
    sources = glob.glob(f"{SOURCES}/*.java")
    if newest(glob.glob(f"{CLASSES}/*.class")) < newest(sources):
        run(["javac", "-cp", path, "-d", CLASSES, *sources], timeout=120)
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{CLASSES}:{path}",
            program, *arguments]


checks_by_program("java", [
    "producer with default settings (acks=all, idempotent)",
    "acks 0, 1, all",
    "codecs none gzip snappy lz4 zstd",
    "many small batches in flight",
    "a topic is made by writing to it",
    "assign and seek to beginning, offset, end",
    "offsetsForTimes",
    "headers, null key and value, timestamp",
    "LogAppendTime",
    "a record of 1 MB, one too large, small fetches",
    "an offset out of range",
    "50 partitions at once",
    "Admin creates, lists, describes, deletes topics",
    "a topic deleted and made again is empty",
    "Admin describes configs",
    "Admin changes a topic's config",
    "Admin adds partitions",
    "Admin lists offsets by every spec",
    "Admin deletes records",
    "Admin describes the cluster",
], lambda broker: java_command("JavaClient", broker.address, new_topic("java")), timeout=180)

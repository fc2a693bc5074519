"""tests/clients/suite_java.py — Apache Kafka's Java client, 4.3.1 and 3.9: java/JavaClient.java.

The jars named in java/pom.xml come by Maven into build/clients/jars, once, those of pom-3.9.xml into
jars-3.9; our programs are compiled into build/clients/classes.jar and classes-3.9.jar.
"""
import glob
import os
import tempfile

from harness import BUILD, HERE, Failed, case, checks_by_program, new_topic, run
from reconnect import cut_in_the_middle

SOURCES = os.path.join(HERE, "java")
CURRENT, OLD = "", "-3.9"


def newest(paths):
    return max((os.path.getmtime(p) for p in paths), default=0)


_fetch_failures = {}


def jars(version=CURRENT):
    """Kafka's jars and what they need, fetched once; returns the class path."""
    if version in _fetch_failures:
        raise _fetch_failures[version]
    folder, pom = os.path.join(BUILD, f"jars{version}"), os.path.join(SOURCES, f"pom{version}.xml")
    mark = os.path.join(folder, ".complete")
    if newest([mark] if os.path.exists(mark) else []) < os.path.getmtime(pom):
        for attempt in (1, 2):      # a package mirror may hiccup
            try:
                run(["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
                     f"-DoutputDirectory={folder}"], timeout=600)
                break
            except Failed as failure:
                if attempt == 2:
                    _fetch_failures[version] = Failed("Maven cannot fetch Kafka's jars: is there a "
                                                      f"network to Maven Central?\n{str(failure)[:300]}")
                    raise _fetch_failures[version] from None
        with open(mark, "w", encoding="utf-8"):
            pass
    return f"{folder}/*"


def built(version, path):
    """Our programs as a jar, and the archive of parsed classes that goes with it and Kafka's jars."""
    made, sources = os.path.join(BUILD, f"classes{version}.jar"), glob.glob(f"{SOURCES}/*.java")
    if newest([made] if os.path.exists(made) else []) < newest(sources):
        with tempfile.TemporaryDirectory(dir=BUILD) as classes:
            run(["javac", "-cp", path, "-d", classes, *sources], timeout=120)
            run(["jar", "cf", f"{classes}/new.jar", *(arg for c in sorted(glob.glob(f"{classes}/*.class"))
                                                       for arg in ("-C", classes, os.path.basename(c)))])
            os.replace(f"{classes}/new.jar", made)
        archive_classes(made, path)
    return made


def archive_classes(made, path):
    """Half of the time of a JVM's start goes into classes.  A JVM that cannot (before 13) goes without."""
    archive = made.replace(".jar", ".jsa")
    if os.path.exists(archive):
        os.unlink(archive)
    run(["java", *OPTIONS, "-Xmx300m", f"-XX:ArchiveClassesAtExit={archive}", "-cp", f"{made}:{path}",
         "ClassArchive"], timeout=120, check=False)


# Without the JVM's own warnings: an archive that does not fit is passed over.
OPTIONS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable",
           "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]


def java_command(program, *arguments, heap="700m", version=CURRENT):
    """The command line of one of our programs or of one of Kafka's tools."""
    path = jars(version)
    made = built(version, path)
    archive = made.replace(".jar", ".jsa")
    sharing = [f"-XX:SharedArchiveFile={archive}"] if os.path.exists(archive) else []
    return ["java", *OPTIONS, *sharing, f"-Xmx{heap}", "-cp", f"{made}:{path}", program, *arguments]


CHECKS = [
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
    "Admin describes producers and log directories, elects leaders",
]


def client(suite, version, once=False):
    checks_by_program(suite, CHECKS, lambda broker: java_command(
        "JavaClient", broker.address, new_topic(suite), version=version), timeout=180, once=once)

    @case(suite, "kill -9: producer and consumer reconnect, nothing lost", timeout=150, once=once)
    def reconnects(broker):
        cut_in_the_middle(broker, java_command("ReconnectClient", broker.address,
                                               new_topic(f"{suite}-cut"), version=version))


client("java", CURRENT)
client("java-3.9", OLD, once=True)

"""tests/durability/java_writer.py — Apache Kafka's Java producer with its default settings, as a writer.

The program is ../clients/java/RecordWriter.java; it makes the same records as record_load.value_of and
tells each acknowledgement by a line.  The jars and the compiler are those of the clients' matrix.
Failures: Unavailable without a JDK, Maven or its jars; anything the program did not expect is fatal."""
import os
import shutil
import subprocess
import sys
import threading

from broker_process import Failed, Unavailable, die_with_parent
from record_load import Load

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(os.path.dirname(HERE), "clients")


def command_line(*arguments):
    if shutil.which("javac") is None:
        raise Unavailable("there is no JDK (default-jdk-headless)")
    if not os.path.exists(f"{HERE}/../../build/clients/jars/.complete") and shutil.which("mvn") is None:
        raise Unavailable("Kafka's jars are not there and neither is Maven")
    sys.path.insert(0, CLIENTS)
    import harness
    import suite_java
    try:
        return suite_java.java_command("RecordWriter", *arguments, heap="300m")
    except harness.Failed as error:
        raise Unavailable(str(error)) from None


class JavaWriter(Load, threading.Thread):
    def __init__(self, name, address, topic, partitions, records_per_second=1500, compression="none"):
        threading.Thread.__init__(self, daemon=True)
        Load.__init__(self, name, range(partitions))
        self.process = subprocess.Popen(
            command_line(address, topic, str(partitions), name, str(records_per_second), compression), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        self.said_sent = False

    def run(self):
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "sent":
                self.said_sent = True
                continue
            partition, number = int(rest[0]), int(rest[1])
            with self.lock:
                self.sent[partition] = max(self.sent[partition], number + 1)
                if word == "ok":
                    self.acknowledged[partition, number] = int(rest[2])
                elif word == "refused":
                    self.refused[partition, number] = rest[2]
        if not self.said_sent:
            self.fatal = "the Java producer ended: " + self.process.stderr.read()[-1500:]

    def stop(self):
        self.process.kill()

    def end(self, seconds=60):
        """Flushes; every record it sent is acknowledged or refused afterwards."""
        self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.fatal = f"the Java producer did not flush within {seconds} s"
        self.join()
        if self.fatal is not None:
            raise Failed(f"writer {self.writer}: {self.fatal}")
        return 0

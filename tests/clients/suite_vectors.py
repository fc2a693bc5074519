"""tests/clients/suite_vectors.py — the codec's vectors, if vectors/run is there: it asks Kafka's own
message classes whether they read what our codec writes, and the other way round."""
import os

from harness import HERE, Skipped, case, run

PROGRAM = os.path.join(HERE, "vectors", "run")


@case("vectors", "Kafka's message classes and our codec agree", timeout=300, once=True)
def vectors(_broker):
    if not os.access(PROGRAM, os.X_OK):
        raise Skipped("no vectors/run")
    run([PROGRAM], timeout=280)

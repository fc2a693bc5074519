"""tests/clients/suite_sessions.py — fetch sessions, as Kafka's own consumer uses them by default."""
from harness import checks_by_program, new_topic
from suite_java import java_command

checks_by_program("sessions", [
    "idle over 1,000 partitions: at most 3 fetches a second",
    "idle over 1,000 partitions: at most 100 bytes a fetch",
    "every produce arrives",
    "a produce to any of 1,000 partitions wakes the consumer",
], lambda broker: java_command("SessionClient", broker.address, new_topic("sessions")))

"""tests/differential/rows_producers.py — InitProducerId, DescribeProducers."""
from script import case


@case("InitProducerId", 0, 5)
def without_a_transaction(s, version):
    def ask(label, **fields):
        s.ask(label, "InitProducerId", version, {"transaction_timeout_ms": 1000, **fields})
    ask("a new one")
    ask("another")
    for timeout in (0, -1, 2**31 - 1):
        ask(f"timeout {timeout}", transaction_timeout_ms=timeout)
    ask("an empty transactional id", transactional_id="")
    if version >= 3:
        for producer_id, epoch in ((5, 3), (5, -1), (-1, 3), (-1, 0), (-2, -2), (5, 32767), (-2, 3),
                                   (0, 0), (5, -2)):
            ask(f"id {producer_id}, epoch {epoch}", producer_id=producer_id, producer_epoch=epoch)


@case("DescribeProducers", 0, 0)
def producers_of_a_partition(s, version):
    topic = s.topic("producers", 2)

    def ask(label, *topics):
        s.ask(label, "DescribeProducers", version, {"topics": [
            {"name": name, "partition_indexes": list(indexes)} for name, indexes in topics]})
    ask("none", (topic, [0]))
    first = s.quiet("InitProducerId", 1, {"transaction_timeout_ms": 1000})["producer_id"]
    s.produce(topic, s.batch(3, producer_id=first, producer_epoch=0, base_sequence=0))
    s.produce(topic, s.batch(2, producer_id=first, producer_epoch=0, base_sequence=3))
    ask("one", (topic, [0]))
    s.produce(topic, s.batch())
    s.produce(topic, s.batch(producer_id=first, producer_epoch=2, base_sequence=0))
    ask("a new epoch", (topic, [0, 1]))
    s.produce(topic, s.batch(producer_id=first, producer_epoch=2, base_sequence=0), partition=1)
    ask("both partitions", (topic, [0, 1]))
    ask("partitions that are not there", (topic, [2, -1, 0]))
    ask("a partition twice", (topic, [1, 1]))
    ask("no such topic", (s.name("missing"), [0]))
    ask("a name that cannot be", ("bad name/", [0]))
    ask("no name", ("", [0]))
    ask("no partitions", (topic, []))
    ask("nothing")

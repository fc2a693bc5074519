"""tests/differential/rows_fetch.py — Fetch: ranges, sizes, epochs, sessions."""
import uuid

import batch
from script import ZERO, case


def part(offset=0, partition=0, max_bytes=1 << 20, epoch=-1, last=-1, **fields):
    return {"partition": partition, "fetch_offset": offset, "partition_max_bytes": max_bytes,
            "current_leader_epoch": epoch, "last_fetched_epoch": last, **fields}


def request(s, *topics, wait=0, **fields):
    """topics: (name, partition, ...)."""
    return {"max_wait_ms": wait, "min_bytes": 1, "max_bytes": 1 << 24, "topics": [
        {"topic": name, "topic_id": s.topic_ids.get(name, ZERO), "partitions": list(partitions)}
        for name, *partitions in topics], **fields}


@case("Fetch", 4, 18)
def ranges(s, version):
    topic = s.topic("ranges", 2)
    s.produce(topic, s.batch(3), s.batch(2, codec=batch.GZIP), s.batch(4))
    for offset in (0, 1, 2, 3, 4, 5, 8, 9, 10, -1, -2, 2**63 - 1, -2**63):
        s.ask(f"from {offset}", "Fetch", version, request(s, (topic, part(offset))))
    s.ask("an empty partition", "Fetch", version, request(s, (topic, part(0, 1))))
    s.ask("an empty partition, from 1", "Fetch", version, request(s, (topic, part(1, 1))))
    s.ask("both partitions", "Fetch", version, request(s, (topic, part(0), part(0, 1))))
    s.ask("a partition twice", "Fetch", version, request(s, (topic, part(0), part(3))))
    s.ask("partitions that are not there", "Fetch", version,
          request(s, (topic, part(0, 2), part(0, -1), part(5, 0))))
    s.ask("no partitions", "Fetch", version, request(s, (topic,)))
    s.ask("nothing", "Fetch", version, request(s))
    s.ask("a log start of the consumer's", "Fetch", version,
          request(s, (topic, part(3, log_start_offset=3))))


@case("Fetch", 4, 18)
def limits(s, version):
    topic = s.topic("limits", 2)
    s.produce(topic, s.batch(3), s.batch(3), s.batch(3))
    s.produce(topic, s.batch(3), partition=1)
    whole = len(s.batch(3))
    for size in (0, -1, 1, whole - 1, whole, whole * 2, -2**31):
        s.ask(f"partition {size}", "Fetch", version, request(s, (topic, part(0, max_bytes=size))))
        s.ask(f"both partitions {size}", "Fetch", version,
              request(s, (topic, part(0, max_bytes=size), part(0, 1, max_bytes=size))))
        s.ask(f"all {size}", "Fetch", version,
              request(s, (topic, part(0), part(0, 1)), max_bytes=size))
    for least in (0, -1, 1, 10**6):
        s.ask(f"at least {least}", "Fetch", version, request(s, (topic, part(0)), min_bytes=least, wait=20))
    s.ask("nothing there, wait below zero", "Fetch", version, request(s, (topic, part(9)), wait=-1))
    s.ask("nothing there, a wait", "Fetch", version, request(s, (topic, part(9)), wait=20))


@case("Fetch", 4, 18)
def who_and_where(s, version):
    topic = s.topic("where", 2)
    s.produce(topic, s.batch(3))
    missing = s.name("missing")
    s.topic_ids[missing] = str(uuid.UUID(int=2**127 + 1))
    s.ask("no such topic", "Fetch", version, request(s, (missing, part())))
    s.ask("no such topic, and one", "Fetch", version, request(s, (missing, part()), (topic, part())))
    s.ask("no name, no id", "Fetch", version, request(s, ("", part())))
    s.ask("a topic twice", "Fetch", version, request(s, (topic, part(0)), (topic, part(0, 1))))
    for isolation in (0, 1, 2, -1):
        s.ask(f"isolation {isolation}", "Fetch", version,
              request(s, (topic, part()), isolation_level=isolation))
    if version >= 9:
        for epoch in (-1, 0, 1, 7, -2, 2**31 - 1):
            s.ask(f"epoch {epoch}", "Fetch", version, request(s, (topic, part(0, epoch=epoch))))
    if version >= 12:
        for last in (-1, 0, 1, 7, -2):
            for offset in (0, 2, 3):
                s.ask(f"last epoch {last}, from {offset}", "Fetch", version,
                      request(s, (topic, part(offset, last=last))))
    if version >= 11:
        s.ask("a rack", "Fetch", version, request(s, (topic, part()), rack_id="here"))


@case("Fetch", 7, 18)
def sessions(s, version):
    topic, other = s.topic("session", 2), s.topic("other")
    s.produce(topic, s.batch(3))

    def ask(label, *topics, session=0, epoch=-1, **fields):
        answer = s.ask(label, "Fetch", version, request(
            s, *topics, session_id=session, session_epoch=epoch, **fields))
        return answer["session_id"] if answer else 0
    ask("none", (topic, part()))
    ask("an id that is not there", (topic, part()), session=12345, epoch=1)
    ask("an id that is not there, closed", (topic, part()), session=12345, epoch=-1)
    ask("an id that is not there, new", (topic, part(1)), session=12345, epoch=0)
    ask("an epoch without an id", (topic, part()), epoch=3)
    ask("an empty session", epoch=0)
    one = ask("a new one", (topic, part(), part(0, 1)), epoch=0)
    if not one:
        return
    ask("nothing new", session=one, epoch=1)
    ask("moved on", (topic, part(3)), session=one, epoch=2)
    ask("nothing to say", session=one, epoch=3)
    s.produce(topic, s.batch(2), partition=1)
    ask("news of the other partition", session=one, epoch=4)
    ask("still there", session=one, epoch=5)
    ask("the epoch before", session=one, epoch=5)
    ask("an epoch too far", session=one, epoch=9)
    ask("another topic comes", (other, part()), session=one, epoch=6)
    forgotten = [{"topic": topic, "topic_id": s.topic_ids[topic], "partitions": [1]}]
    ask("a partition leaves", session=one, epoch=7, forgotten_topics_data=forgotten)
    ask("one leaves that is not there", session=one, epoch=8, forgotten_topics_data=[
        {"topic": topic, "topic_id": s.topic_ids[topic], "partitions": [9]}])
    ask("a partition that is not there", (topic, part(0, 7)), session=one, epoch=9)
    ask("it stays wrong", session=one, epoch=10)
    ask("an offset out of range", (topic, part(99)), session=one, epoch=11)
    ask("closed", session=one, epoch=-1)
    ask("closed for good", session=one, epoch=12)
    two = ask("another", (topic, part()), epoch=0)
    ask("closed and new", (topic, part(1)), session=two, epoch=0)
    ask("the old one is gone", session=two, epoch=1)

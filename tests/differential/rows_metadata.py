"""tests/differential/rows_metadata.py — Metadata, DescribeCluster, DescribeTopicPartitions,
DescribeLogDirs."""
import uuid

from script import ZERO, case


def metadata(topics, auto=False, operations=False):
    return {"topics": topics, "allow_auto_topic_creation": auto,
            "include_topic_authorized_operations": operations,
            "include_cluster_authorized_operations": operations}


def named(*names):
    return [{"name": name} for name in names]


@case("Metadata", 0, 13)
def topics_by_name(s, version):
    one, two = s.topic("one"), s.topic("two", 3)

    def ask(label, topics, **options):
        s.ask(label, "Metadata", version, metadata(topics, **options))
    ask("one", named(one))
    ask("two, twice one", named(one, two, one))
    if version >= 1:
        ask("none", [])
    if version >= 4:        # before that, asking creates
        ask("missing", named(s.name("missing")))
        ask("names that cannot be", named("bad name", "", ".", "..", "a/b", "é", "x" * 249, "x" * 250))
        ask("all sorts", named(one, s.name("missing"), "bad name"))
    if version >= 8:
        ask("operations", named(one, s.name("missing"), "bad name"), operations=True)
        ask("operations of no topic", [], operations=True)


@case("Metadata", 10, 13)
def topics_by_id(s, version):
    one, two = s.topic("one"), s.topic("two", 3)
    some = str(uuid.UUID(int=2**127 + 1))

    def ask(label, *topics, **options):
        s.ask(label, "Metadata", version, metadata(list(topics), **options))
    by_id = {"topic_id": s.topic_ids[one], "name": None}
    ask("one", by_id)
    ask("two", by_id, {"topic_id": s.topic_ids[two], "name": None})
    ask("twice", by_id, by_id)
    ask("no such id", {"topic_id": some, "name": None})
    ask("one and no such id", by_id, {"topic_id": some, "name": None}, operations=True)
    ask("by id and by name", by_id, {"name": two})
    ask("id and name", {"topic_id": s.topic_ids[one], "name": one})
    ask("id and another name", {"topic_id": s.topic_ids[one], "name": two})
    ask("neither", {"topic_id": ZERO, "name": None})


@case("Metadata", 4, 13)
def topics_created_by_asking(s, version):
    name = s.name("created")
    s.quiet("Metadata", version, metadata(named(name), auto=True))
    s.wait_for_leaders(name, 1)
    s.learn("created")
    s.ask("created", "Metadata", version, metadata(named(name)))
    s.ask("cannot be created", "Metadata", version, metadata(named("bad name", ""), auto=True))


@case("DescribeCluster", 0, 2)
def the_cluster(s, version):
    for operations in (False, True):
        for kind in (1, 2, 0, 3, -1) if version >= 1 else (1,):
            for fenced in (False, True) if version >= 2 else (False,):
                s.ask(f"endpoint type {kind}, operations {operations}, fenced {fenced}",
                      "DescribeCluster", version,
                      {"include_cluster_authorized_operations": operations, "endpoint_type": kind,
                       "include_fenced_brokers": fenced})


@case("DescribeTopicPartitions", 0, 0)
def partitions_in_pages(s, version):
    one, two = s.topic("one", 2), s.topic("two", 3)

    def ask(label, *names, limit=2000, cursor=None):
        s.ask(label, "DescribeTopicPartitions", version, {
            "topics": named(*names), "response_partition_limit": limit, "cursor": cursor})
    ask("one", one)
    ask("two, twice one", two, one, one)
    ask("missing", one, s.name("missing"))
    ask("names that cannot be", "bad name", "")
    for limit in (1, 2, 3, 4, 5, 0, -1, 2**31 - 1):
        ask(f"limit {limit}", one, two, limit=limit)
    for word, index in (("one", 0), ("one", 1), ("one", 2), ("two", 1), ("two", 7), ("two", -1),
                        ("p", 0), ("zzz", 0), ("missing", 0)):
        ask(f"cursor {word} {index}", one, two, cursor={"topic_name": s.name(word), "partition_index": index})
    ask("limit and cursor", one, two, limit=2,
        cursor={"topic_name": one, "partition_index": 1})
    ask("limit of a missing one", s.name("missing"), one, limit=1)


@case("DescribeLogDirs", 1, 5)
def log_directories(s, version):
    topic = s.topic("dirs", 2)
    s.produce(topic, s.batch(3))

    def ask(label, topics):
        answer = s.quiet("DescribeLogDirs", version, {"topics": topics})
        for directory in answer["results"]:
            directory["log_dir"] = "some directory"
            for total in ("total_bytes", "usable_bytes"):
                if directory.get(total, 0) > 0:
                    directory[total] = "some bytes"
            directory["topics"] = [t for t in directory["topics"] if t["name"] == topic]
        s.keep_answer(label, "DescribeLogDirs", version, answer)
    ask("one", [{"topic": topic, "partitions": [0, 1]}])
    ask("a partition that is not there", [{"topic": topic, "partitions": [1, 7, -1]}])
    ask("no partitions", [{"topic": topic, "partitions": []}])
    ask("missing", [{"topic": s.name("missing"), "partitions": [0]}])
    ask("none", [])
    ask("all", None)

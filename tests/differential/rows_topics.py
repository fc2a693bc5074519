"""tests/differential/rows_topics.py — CreateTopics, DeleteTopics, CreatePartitions, ElectLeaders,
reassignments."""
import uuid

from script import ZERO, AnswerError, case

NODE = [1]


def topic(name, partitions=1, factor=1, configs=(), assignments=()):
    return {"name": name, "num_partitions": partitions, "replication_factor": factor,
            "configs": [{"name": k, "value": v} for k, v in configs],
            "assignments": [{"partition_index": i, "broker_ids": ids} for i, ids in assignments]}


def creator(s, version):
    def create(label, *topics, validate=False):
        request = {"topics": list(topics), "timeout_ms": 20000, "validate_only": validate}
        try:
            answer = s.quiet("CreateTopics", version, request)
        except AnswerError as error:
            s.keep(label, s.reopen(error))
            return
        for one in answer["topics"]:
            if one.get("configs"):              # the defaults are compared by DescribeConfigs
                one["configs"] = [c for c in one["configs"] if c["config_source"] == 1]
            if validate:
                one.pop("topic_id", None)       # Kafka makes one up, ringlog says none
            elif one.get("topic_id", ZERO) != ZERO:
                s.topic_ids[one["name"]] = one["topic_id"]
        s.keep_answer(label, "CreateTopics", version, answer)
    return create


@case("CreateTopics", 2, 7)
def topics_made(s, version):
    create = creator(s, version)
    create("two", topic(s.name("one"), 2), topic(s.name("two")))
    create("there already", topic(s.name("one")))
    create("nothing")
    create("three at once, one good", topic(s.name("three")), topic(s.name("one")), topic("bad name"))
    create("twice in one request", topic(s.name("dup")), topic(s.name("dup")), topic(s.name("other")))
    create("with settings", topic(s.name("set"), configs=[("retention.ms", "5000"), ("segment.bytes", "1048576")]))
    if version >= 4:
        create("default counts", topic(s.name("defaults"), -1, -1))
    create("placed", topic(s.name("placed"), -1, -1, assignments=[(0, NODE), (1, NODE)]))
    create("names that collide", topic(s.name("a_b")))
    create("a name that collides", topic(s.name("a.b")))
    create("names that collide with each other", topic(s.name("c_d")), topic(s.name("c.d")))


@case("CreateTopics", 2, 7)
def topics_only_checked(s, version):
    create = creator(s, version)

    def check(label, *topics):
        create(label, *topics, validate=True)
    new = s.name("new")
    check("good", topic(new))
    check("defaults", topic(new, -1, -1))
    for partitions, factor in ((0, 1), (-2, 1), (1, 0), (1, -2), (0, 0), (1, 2), (1, 32767),
                               (10000, 1), (10001, 1), (2**31 - 1, 1), (-2**31, 1), (1, -1), (-1, 1)):
        check(f"{partitions} partitions, factor {factor}", topic(new, partitions, factor))
    check("5000 and 5001", topic(new, 5000), topic(new + "er", 5001))
    check("5000, 5001 and a bad one", topic(new, 5000), topic(new + "er", 5001), topic("bad name"))
    for name in ("", ".", "..", "a b", "x" * 249, "x" * 250, "é", "a/b", "__cluster_metadata", "a\0b",
                 "__transaction_state", "A-b_c.9"):
        check(f"name {name[:20]!r} {len(name)}", topic(name))
    for assignments in ([(0, NODE), (1, NODE)], [(1, NODE)], [(0, NODE), (2, NODE)],
                        [(0, NODE), (0, NODE)], [(0, [2])], [(0, [1, 1])], [(0, [])], [(0, [1, 2])],
                        [(0, [2, 2])], [(0, [-1])], [(-1, NODE)], [(1, NODE), (0, NODE)],
                        [(0, NODE), (1, [])]):
        check(f"placed {assignments}", topic(new, -1, -1, assignments=assignments))
    check("placed and counted", topic(new, 1, -1, assignments=[(0, NODE)]))
    check("placed and a factor", topic(new, -1, 1, assignments=[(0, NODE)]))
    check("placed, counted, and a bad setting",
          topic(new, 2, 1, [("nope", "")], assignments=[(0, NODE)]))
    check("twice, once wrong", topic(new), topic(new, -5), topic(s.name("single")))


SETTINGS = [
    [("retention.ms", "1000")], [("retention.ms", "abc")], [("nope", "1")], [("", "x")],
    [("retention.ms", None)], [("retention.ms", "")], [("retention.ms", "-2")], [("retention.ms", "1.5")],
    [("min.insync.replicas", "0"), ("nope", "2")], [("min.insync.replicas", "2")],
    [("cleanup.policy", " compact , delete")], [("cleanup.policy", "compact,compact")],
    [("cleanup.policy", "")], [("cleanup.policy", "none")], [("cleanup.policy", "compact,")],
    [("compression.type", "brotli")], [("compression.type", "GZIP")], [("flush.messages", " 5 ")],
    [("flush.messages", "0")], [("preallocate", "TRUE")], [("preallocate", "yes")],
    [("max.message.bytes", "99999999999")], [("max.message.bytes", "-1")], [("segment.bytes", "0")],
    [("segment.bytes", "1048575")], [("segment.ms", "0")], [("retention.ms", "1000"), ("retention.ms", "2000")],
    [("message.timestamp.type", "LogAppendTime")], [("message.timestamp.type", "appendtime")],
    [("message.timestamp.before.max.ms", "-1")], [("message.timestamp.after.max.ms", "-1")],
    [("min.compaction.lag.ms", "50"), ("max.compaction.lag.ms", "20")],
    [("message.format.version", "3.0")], [("message.downconversion.enable", "true")],
    [("remote.storage.enable", "true")], [("remote.storage.enable", "false")],
    [("local.retention.ms", "1"), ("retention.ms", "0")], [("local.retention.ms", "-2")],
    [("leader.replication.throttled.replicas", "0:1")], [("leader.replication.throttled.replicas", "x")],
    [("unclean.leader.election.enable", "maybe")], [("min.cleanable.dirty.ratio", "1.1")],
    [("min.cleanable.dirty.ratio", "0.5")], [("index.interval.bytes", "-1")], [("file.delete.delay.ms", "-1")],
    [("retention.bytes", "-1")], [("retention.bytes", "9223372036854775808")], [("delete.retention.ms", "-1")],
    [("segment.index.bytes", "3")], [("segment.jitter.ms", "-1")], [("compression.gzip.level", "10")],
    [("compression.lz4.level", "0")], [("compression.zstd.level", "23")], [("compression.gzip.level", "-1")],
]


@case("CreateTopics", 7, 7)
def settings_checked(s, version):
    create = creator(s, version)
    for configs in SETTINGS:
        create(str(configs), topic(s.name("new"), configs=configs), validate=True)


@case("DeleteTopics", 1, 5)
def topics_deleted(s, version):
    s.topic("one")
    s.topic("two")

    def delete(label, *names):
        s.ask(label, "DeleteTopics", version, {"topic_names": list(names), "timeout_ms": 20000})
    delete("missing", s.name("missing"), "bad name", "")
    delete("twice and missing", s.name("one"), s.name("one"), s.name("missing"))
    delete("one", s.name("one"))
    delete("one again", s.name("one"))
    delete("twice missing", s.name("missing"), s.name("missing"))
    delete("two", s.name("two"))
    delete("nothing")


@case("DeleteTopics", 6, 6)
def topics_deleted_by_id(s, version):
    for word in ("one", "two", "three", "four"):
        s.topic(word)
    some = str(uuid.UUID(int=2**127 + 1))

    def delete(label, *topics):
        s.ask(label, "DeleteTopics", version, {"topics": list(topics), "timeout_ms": 20000})

    def by_id(word):
        return {"name": None, "topic_id": s.topic_ids[s.name(word)]}
    delete("by both", {"name": s.name("one")}, by_id("one"))
    delete("id and name in one", {"name": s.name("two"), "topic_id": s.topic_ids[s.name("two")]})
    delete("twice by id", by_id("two"), by_id("two"), {"name": s.name("two")})
    delete("neither", {"name": None})
    delete("no such id", {"name": None, "topic_id": some})
    delete("no such id, twice", {"name": None, "topic_id": some}, {"name": None, "topic_id": some})
    delete("by id", by_id("three"))
    delete("by id again", by_id("three"))
    delete("by name", {"name": s.name("four")})
    delete("by name again", {"name": s.name("four")})
    delete("a bad name", {"name": "bad name"}, {"name": ""})
    delete("nothing")


@case("CreatePartitions", 0, 3)
def partitions_added(s, version):
    name, other = s.topic("grows", 2), s.topic("other")

    def add(label, *topics, validate=False):
        s.ask(label, "CreatePartitions", version, {"timeout_ms": 20000, "validate_only": validate, "topics": [
            {"name": n, "count": c, "assignments": a if a is None else [{"broker_ids": ids} for ids in a]}
            for n, c, a in topics]})
    add("missing", (s.name("missing"), 3, None))
    for count in (2, 1, 0, -1, -2**31):
        add(f"to {count}", (name, count, None))
    add("only checked", (name, 3, None), validate=True)
    add("two more, one placed", (name, 4, [NODE]))
    for placed in ([2], [1, 1], [], [-1], [1, 2]):
        add(f"placed {placed}", (name, 3, [placed]))
    add("an empty placement", (name, 3, []))
    add("too many placements", (name, 3, [NODE, NODE]))
    add("to 3", (name, 3, [NODE]))
    add("twice", (name, 5, None), (name, 6, None))
    add("twice, and another", (name, 5, None), (name, 6, None), (other, 2, None))
    add("two topics, one bad", (name, 4, None), (other, 1, None))
    for count in (10005,) if version == 3 else ():        # Kafka takes seconds for it
        add(f"to {count}, only checked", (name, count, None), validate=True)
    add("no name", ("", 3, None))
    add("a bad name", ("a b", 60, None), (name, 5, None))
    add("nothing")
    s.wait_for_leaders(name, 5)
    s.ask("as it is", "Metadata", 12, {"topics": [{"name": name}]})


@case("CreatePartitions", 1, 3)
def partitions_of_the_brokers_own(s, version):
    for count in (60, 50):
        s.ask(f"to {count}, only checked", "CreatePartitions", version, {
            "timeout_ms": 20000, "validate_only": True, "topics": [
                {"name": "__consumer_offsets", "count": count, "assignments": None}]})


def elect(kind, topics):
    return {"election_type": kind, "timeout_ms": 5000, "topic_partitions": topics}


@case("ElectLeaders", 0, 2)
def leaders_elected(s, version):
    name = s.topic("elect", 2)
    for kind in (0, 1) if version >= 1 else (0,):
        s.ask(f"type {kind}", "ElectLeaders", version, elect(kind, [{"topic": name, "partitions": [0, 1]}]))
        s.ask(f"type {kind}, not there", "ElectLeaders", version,
              elect(kind, [{"topic": name, "partitions": [7, -1]}]))
        s.ask(f"type {kind}, missing", "ElectLeaders", version,
              elect(kind, [{"topic": s.name("missing"), "partitions": [0]}]))
        s.ask(f"type {kind}, none", "ElectLeaders", version, elect(kind, []))
    for kind in (2, -1) if version >= 1 else ():
        s.ask(f"type {kind}", "ElectLeaders", version, elect(kind, [{"topic": name, "partitions": [0]}]))
    s.ask("no partitions", "ElectLeaders", version, elect(0, [{"topic": name, "partitions": []}]))


@case("AlterPartitionReassignments", 0, 1)
def partitions_moved(s, version):
    name = s.topic("move", 2)

    def move(label, *parts, topic_name=name, **fields):
        s.ask(label, "AlterPartitionReassignments", version, {"timeout_ms": 5000, **fields, "topics": [{
            "name": topic_name, "partitions": [{"partition_index": i, "replicas": r} for i, r in parts]}]})
    for replicas in ([1], None, [], [2], [1, 1], [1, 2], [-1]):
        move(f"to {replicas}", (0, replicas))
    move("not there", (7, [1]), (-1, [1]), (0, [1]))
    move("not there, cancelled", (7, None))
    move("missing", (0, [1]), topic_name=s.name("missing"))
    move("no partitions")
    s.ask("nothing", "AlterPartitionReassignments", version, {"timeout_ms": 5000})
    if version >= 1:
        move("one more replica, not allowed", (0, [1, 2]), allow_replication_factor_change=False)


@case("ListPartitionReassignments", 0, 0)
def partitions_that_move(s, version):
    name = s.topic("move", 2)

    def ask(label, topics):
        s.ask(label, "ListPartitionReassignments", version, {"timeout_ms": 5000, "topics": topics})
    ask("all", None)
    ask("none", [])
    ask("one", [{"name": name, "partition_indexes": [0, 1]}])
    ask("not there", [{"name": name, "partition_indexes": [7, -1]}])
    ask("missing", [{"name": s.name("missing"), "partition_indexes": [0]}])

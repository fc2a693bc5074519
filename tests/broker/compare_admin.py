#!/usr/bin/python3
"""tests/broker/compare_admin.py — the same administrative requests to two brokers, side by side.

    compare_admin.py KAFKA_HOST:PORT RINGLOG_HOST:PORT

For a person with a real Kafka at hand, not part of the ordinary suite.  Every request of the
list goes to both in every version; what must differ (ids, addresses, orders that come from a
hash) is made equal first; what still differs is printed as a diff.  Exit code 1 when anything
is.  Topics are created under a random prefix and deleted at the end.
"""
import difflib
import os
import pprint
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from schema_client import AnswerError, SchemaClient        # noqa: E402

PREFIX = f"cmp{os.getpid()}-"
ZERO = str(uuid.UUID(int=0))
SORTED = {"topics": "name", "responses": "name", "configs": "name", "api_keys": "api_key"}
# Kafka keeps this one in the cluster's configuration since 4.1 (KIP-966); we do not.
CLUSTER_CONFIG = "min.insync.replicas"


def topic(name, partitions=1, factor=1, configs=(), assignments=()):
    return {"name": PREFIX + name, "num_partitions": partitions, "replication_factor": factor,
            "configs": [{"name": k, "value": v} for k, v in configs],
            "assignments": [{"partition_index": i, "broker_ids": ids} for i, ids in assignments]}


def named(*names):
    return [{"name": PREFIX + n if n.isalpha() and n.islower() else n} for n in names]


def create(*topics, validate_only=False):
    return "CreateTopics", {"topics": list(topics), "timeout_ms": 20000,
                            "validate_only": validate_only}


def check(*topics):
    return create(*topics, validate_only=True)


def delete(*names):
    return "DeleteTopics", {"topic_names": [PREFIX + n for n in names], "timeout_ms": 20000}


def delete_6(*topics):
    return "DeleteTopics", {"topics": list(topics), "timeout_ms": 20000}


def metadata(topics, auto=False, operations=False):
    return "Metadata", {"topics": topics, "allow_auto_topic_creation": auto,
                        "include_topic_authorized_operations": operations,
                        "include_cluster_authorized_operations": operations}


def describe(*resources, synonyms=True):
    return "DescribeConfigs", {"include_synonyms": synonyms, "resources": [
        {"resource_type": kind, "resource_name": name, "configuration_keys": keys}
        for kind, name, keys in resources]}


def requests():
    """(api, request, first version, last version), each after what it needs."""
    node = [1]
    yield *create(topic("one", 2), topic("two", -1, -1)), 4, 4
    yield *create(topic("one")), 2, 7
    yield *check(topic("one", 0, 5, [("nope", "1")])), 2, 7
    yield *check(topic("new", configs=[("retention.ms", "1000"), ("retention.ms", "2000")])), 2, 7
    yield *check(topic("new", -1, -1)), 2, 7
    for partitions, factor in ((0, 1), (-2, 1), (1, 0), (1, -2), (0, 0), (10001, 1), (1, -1)):
        yield *check(topic("new", partitions, factor)), 7, 7
    yield *check(topic("new", 5000), topic("newer", 5001), topic("Bad Name")), 7, 7
    yield *check(topic("dup"), topic("dup", -5), topic("single")), 5, 7
    for name in ("", ".", "..", "a b", "x" * 250, "é", "a/b", "__cluster_metadata"):
        yield *check({**topic("x"), "name": name}), 7, 7
    yield *create(topic("co_llision")), 7, 7
    yield *check(topic("co.llision")), 7, 7
    for configs in ([("retention.ms", "abc")], [("nope", "1")], [("", "x")],
                    [("retention.ms", None)], [("min.insync.replicas", "0"), ("nope", "2")],
                    [("cleanup.policy", " compact , delete")], [("min.insync.replicas", "2")],
                    [("compression.type", "brotli")], [("retention.ms", "-2")],
                    [("flush.messages", " 5 ")], [("preallocate", "TRUE")],
                    [("max.message.bytes", "99999999999")], [("segment.bytes", "0")]):
        yield *check(topic("new", configs=configs)), 7, 7
    for assignments in ([(0, node), (1, node)], [(1, node)], [(0, node), (2, node)],
                        [(0, node), (0, node)], [(0, [2])], [(0, [1, 1])], [(0, [])],
                        [(0, [1, 2])], [(0, [2, 2])], [(0, [-1])], [(-1, node)],
                        [(1, node), (0, node)], [(0, node), (1, [])]):
        yield *check(topic("new", -1, -1, assignments=assignments)), 7, 7
    yield *check(topic("new", 1, -1, assignments=[(0, node)])), 7, 7
    yield *check(topic("new", -1, 1, assignments=[(0, node)])), 7, 7
    yield *check(topic("new", 2, 1, configs=[("nope", "")], assignments=[(0, node)])), 7, 7
    yield *check(), 2, 7

    yield *metadata(named("one")), 0, 13
    yield *metadata(named("one", "two", "one", "missing", "Bad Name", "", ".")), 4, 13
    yield *metadata(named("one", "missing", "Bad Name"), operations=True), 8, 13
    yield *metadata([]), 1, 13
    yield *metadata([{"topic_id": "ID one", "name": None}]), 10, 13
    yield *metadata([{"topic_id": "ID one", "name": None}, {"name": PREFIX + "two"},
                     {"topic_id": str(uuid.uuid4()), "name": None}], operations=True), 10, 13

    yield *describe((2, PREFIX + "one", None)), 1, 4
    yield *describe((2, PREFIX + "one", []), synonyms=False), 1, 4
    yield *describe((2, PREFIX + "one", ["retention.ms", "nope", "retention.ms"]),
                    (2, PREFIX + "one", ["cleanup.policy"])), 1, 4
    yield *describe((2, "nope", None), (2, "bad name", None), (2, "", None)), 1, 4
    yield *describe((4, "1", ["node.id", "log.retention.hours", "nope"])), 1, 4
    for name in ("2", "x", "-1", "01", " 1", "+1", "99999999999"):
        yield *describe((4, name, ["num.partitions"])), 4, 4
    for kind in (0, 1, 3, 64, 127, -1):
        yield *describe((kind, "1", None), (4, "1", ["num.partitions"])), 4, 4
    yield *describe((8, "", None), (8, "x", None), (8, "2", None)), 4, 4
    yield *describe(), 1, 4

    for fields in ({}, {"transactional_id": ""}):
        yield "InitProducerId", {"transaction_timeout_ms": 1000, **fields}, 0, 5
    for producer_id, epoch in ((5, 3), (5, -1), (-1, 3)):
        yield "InitProducerId", {"transaction_timeout_ms": 1000, "producer_id": producer_id,
                                 "producer_epoch": epoch}, 3, 5

    yield *delete("missing", "bad name", "dup", "dup"), 1, 5
    yield *delete_6({"name": PREFIX + "one"}, {"name": None, "topic_id": "ID one"}), 6, 6
    yield *delete_6({"name": None, "topic_id": "ID two"}, {"name": None, "topic_id": "ID two"},
                    {"name": PREFIX + "two"}, {"name": None},
                    {"name": PREFIX + "two", "topic_id": "ID two"}), 6, 6
    yield *delete_6({"name": None, "topic_id": str(uuid.uuid4())}), 6, 6
    yield *delete("two"), 1, 1
    yield *delete_6({"name": None, "topic_id": "ID one"}), 6, 6
    yield *delete_6({"name": PREFIX + "co_llision"}), 6, 6
    yield *delete_6(), 6, 6

    for name, version in (("x", "1"), ("", "1"), ("x", ""), ("-x", "1"), ("x.y-z", "1.2"),
                          ("x_y", "1"), ("x", "1\n")):
        yield ("ApiVersions",
               {"client_software_name": name, "client_software_version": version}, 3, 4)
    yield "ApiVersions", {}, 0, 2
    yield "ApiVersions", {}, 5, 7


class Side:
    """One of the two brokers, and what is particular about it."""

    def __init__(self, address):
        self.address, self.client = address, SchemaClient(address)
        self.ids, self.keys = {}, set()

    def announced(self):
        return {k["api_key"] for k in self.client.call("ApiVersions", 0, {})["api_keys"]}

    def fill(self, value):
        """Replace "ID <topic>" by that topic's id here."""
        if isinstance(value, str) and value.startswith("ID "):
            return self.ids[PREFIX + value[3:]]
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        return [self.fill(v) for v in value] if isinstance(value, list) else value

    def learn_ids(self):
        answer = self.client.call("Metadata", 12, metadata(named("one", "two"))[1])
        self.ids.update({t["name"]: t["topic_id"] for t in answer["topics"] if not t["error_code"]})

    def ask(self, name, version, request):
        unknown = name == "ApiVersions" and version > 4
        try:
            answer = self.client.call(name, version, self.fill(request), 0 if unknown else None)
        except AnswerError as error:
            self.client.close()
            self.client = SchemaClient(self.address)
            return f"no answer: {error}"
        for item in answer.get("topics", []) if request.get("validate_only") else []:
            item.pop("topic_id", None)          # Kafka makes one up, ringlog says none
        return self.plain(answer)

    def only_one_has(self, key, value):
        return (key == "api_keys" and value["api_key"] not in self.keys or
                key == "configs" and value["name"].startswith("ringlog."))

    def plain(self, value, key=None):
        """The same value without what two brokers cannot have in common."""
        if isinstance(value, dict):
            for feature in ("supported_features", "finalized_features", "finalized_features_epoch"):
                value.pop(feature, None)
            if value.get("name") == CLUSTER_CONFIG and value.get("config_source") == 3:
                value["config_source"] = 5
                if "synonyms" in value:
                    value["synonyms"] = [s for s in value["synonyms"] if s["source"] != 3]
            return {k: self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            items = [self.plain(v, key) for v in value if not self.only_one_has(key, v)]
            return sorted(items, key=lambda v: (str(v[SORTED[key]]), str(v))) if key in SORTED \
                else items
        if key in ("host", "port", "cluster_id", "throttle_time_ms"):
            return None
        if key == "producer_id":
            return value if value < 0 else "some id"
        if key == "topic_id":
            known = {i: n for n, i in self.ids.items()}
            return value if value == ZERO else known.get(value, "some id")
        return value


def compare(left, right):
    differences = asked = 0
    left.keys = right.keys = left.announced() & right.announced()
    for name, request, first, last in requests():
        for version in range(first, last + 1):
            asked += 1
            texts = [pprint.pformat(side.ask(name, version, request), width=120).splitlines()
                     for side in (left, right)]
            if texts[0] != texts[1]:
                differences += 1
                print(f"\n{name} v{version} {str(request)[:400]}")
                diff = difflib.unified_diff(*texts, left.address, right.address, lineterm="", n=1)
                print("\n".join(list(diff)[2:60]))
        if name == "CreateTopics" and not left.ids:
            left.learn_ids()
            right.learn_ids()
    print(f"{asked} requests, {differences} answers differ")
    return differences


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(1 if compare(Side(sys.argv[1]), Side(sys.argv[2])) else 0)

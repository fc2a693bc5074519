"""tests/differential/script.py — a case is a small script of requests; its answers, made equal.

    @case("ListOffsets", 1, 11)
    def ends_of_a_partition(s, version):
        topic = s.topic("ends")
        s.ask("latest", "ListOffsets", version, {...})

A case runs once per version of its API that the broker announces, under a topic prefix of its own
and on a connection of its own.  `ask` keeps the decoded answer under its label, without what two
brokers cannot have in common: names of topics lose the prefix, ids become names, clocks become
"now", lists whose order comes from a hash are sorted.  A closed connection is an answer, too.
"""
import base64
import os
import re
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "broker"))
from schema_client import APIS, AnswerError, SchemaClient          # noqa: E402
import batch                                                       # noqa: E402

CASES = []
ZERO = str(uuid.UUID(int=0))
READY_SECONDS = 20
LEFT_OUT = {"throttle_time_ms", "host", "port"}
OPAQUE = {"metadata", "assignment", "member_metadata", "member_assignment"}     # bytes of clients
MADE_ID = re.compile(r"-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![\w-])")
TIMES = {"log_append_time_ms", "timestamp", "last_timestamp"}
IDENTITY = ("name", "topic", "topic_name", "topic_id", "resource_type", "resource_name", "api_key",
            "partition", "partition_index", "index", "node_id", "broker_id", "producer_id",
            "member_id", "group_id", "group_instance_id", "key", "source")


class Broken(Exception):
    """The broker did not do what a case needs before it can ask."""


class NotAnnounced(Exception):
    """The case asks for an API or a version that this broker does not announce."""


class Case:
    def __init__(self, api, versions, function):
        self.api, self.versions, self.function = api, versions, function
        self.name = f"{api}: {function.__name__.replace('_', ' ')}"


def case(api, first, last, but=()):
    """Register function(script, version) for versions first to last of an API; `but` leaves out
    versions that differ in nothing which the case asks for."""
    def register(function):
        CASES.append(Case(api, [v for v in range(first, last + 1) if v not in but], function))
        return function
    return register


def connect(address):
    return SchemaClient(address, timeout=5)


def announced(address):
    """{API: (first, last)} of a broker, by our names where there are any."""
    client = connect(address)
    names = {api.key: name for name, api in APIS.items() if api.key is not None}
    keys = client.call("ApiVersions", 0, {})["api_keys"]
    client.close()
    return {names.get(k["api_key"], k["api_key"]): (k["min_version"], k["max_version"])
            for k in keys}


class Script:
    """One run of a case for one version."""
    runs = 0

    def __init__(self, address, versions):
        Script.runs += 1
        self.address, self.versions = address, versions
        self.prefix = f"d{os.getpid():x}x{time.time_ns() // 1000 % 10**9}x{Script.runs}."
        self.client = connect(address)
        self.now = int(time.time() * 1000)
        self.time = self.now - 3600_000         # of the records that cases make
        self.topic_ids, self.producer_ids, self.member_ids = {}, {}, {}
        self.clients = []                       # connections besides the first
        self.answers = []
        self.exact_offsets = True               # False: only whether a batch was appended
        self.asked = set()                      # (API, version)

    def close(self):
        for client in [self.client, *self.clients]:
            client.close()

    def another_client(self):
        """One more connection, for requests that are answered late."""
        self.clients.append(connect(self.address))
        return self.clients[-1]

    def name(self, word):
        return self.prefix + word

    # ---- before a question

    def need(self, api, version):
        first, last = self.versions.get(api, (0, -1))
        if not first <= version <= last:
            raise NotAnnounced(f"{api} {version}")

    def quiet(self, api, version, request):
        """A request whose answer is not compared."""
        self.need(api, version)
        return self.client.call(api, version, request)

    def topic(self, word, partitions=1, **configs):
        """A new topic that can be used; configs with _ for the dots of Kafka's keys."""
        name = self.name(word)
        done = self.quiet("CreateTopics", 7, {"timeout_ms": 20000, "topics": [{
            "name": name, "num_partitions": partitions, "replication_factor": 1,
            "configs": [{"name": k.replace("_", "."), "value": str(v)}
                        for k, v in configs.items()]}]})["topics"][0]
        if done["error_code"]:
            raise Broken(f"CreateTopics {word}: {done['error_code']} {done['error_message']}")
        self.topic_ids[name] = done["topic_id"]
        self.wait_for_leaders(name, partitions)
        return name

    def wait_for_leaders(self, name, partitions):
        limit = time.monotonic() + READY_SECONDS
        ask = {"replica_id": -1, "topics": [{"name": name, "partitions": [
            {"partition_index": i, "timestamp": -1} for i in range(partitions)]}]}
        while True:
            answer = self.quiet("ListOffsets", 4, ask)["topics"][0]["partitions"]
            if not any(p["error_code"] for p in answer):
                break
            if time.monotonic() > limit:
                raise Broken(f"{name} has no leaders")
            time.sleep(0.005)

    def learn(self, word):
        """Know the id of a topic that was made without self.topic()."""
        name = self.name(word)
        for topic in self.quiet("Metadata", 12, {"topics": [{"name": name}]})["topics"]:
            self.topic_ids[name] = topic["topic_id"]
        return name

    def produce(self, topic, *batches, partition=0):
        """Append, and be sure of it; returns the last base offset."""
        for one in batches:
            answer = self.quiet("Produce", 8, {"acks": -1, "timeout_ms": 20000, "topic_data": [{
                "name": topic, "partition_data": [{"index": partition, "records": one}]}]})
            done = answer["responses"][0]["partition_responses"][0]
            if done["error_code"]:
                raise Broken(f"Produce: {done['error_code']} {done['error_message']}")
        return done["base_offset"]

    def batch(self, count=1, **fields):
        return batch.batch(fields.pop("time_ms", self.time), count, **fields)

    # ---- the questions

    def ask(self, label, api, version, request):
        """Returns the answer as it came, None if the connection was closed instead."""
        self.need(api, version)
        self.asked.add((api, version))
        try:
            answer = self.client.call(api, version, request)
        except AnswerError as error:
            self.keep(label, self.reopen(error))
            return None
        self.keep(label, self.plain(answer))
        return answer

    def ask_without_answer(self, label, api, version, request):
        """acks=0: either nothing comes, then ApiVersions is answered next, or the end does."""
        self.asked.add((api, version))
        try:
            self.client.call_silently(api, version, request)
            self.client.call("ApiVersions", 0, {})
            self.keep(label, "no answer, the connection stays open")
        except AnswerError as error:
            self.keep(label, self.reopen(error))

    def ask_raw(self, label, frame):
        """Any bytes as a frame: whether an answer comes."""
        try:
            answer = self.client.exchange(frame)
            self.keep(label, "answered" if answer else "an empty frame")
        except AnswerError as error:
            self.keep(label, self.reopen(error))

    def reopen(self, error):
        self.client.close()
        self.client = connect(self.address)
        text = str(error)
        return "connection closed" if text.startswith("connection closed") else f"unreadable: {text}"

    def keep_answer(self, label, api, version, answer):
        """An answer that the case asked for quietly and changed."""
        self.asked.add((api, version))
        self.keep(label, self.plain(answer))

    def keep(self, label, value):
        self.answers.append((label, value))

    # ---- answers without what two brokers cannot have in common

    def plain(self, value, key=None):
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items() if k not in LEFT_OUT}
        if isinstance(value, list):
            items = [self.plain(v, key) for v in value]
            return sorted(items, key=self.order) if items and isinstance(items[0], dict) else items
        if key == "cluster_id":
            return value and "some id"
        if key == "session_id":
            return value and "some id"
        if key == "topic_id":
            return self.topic_text(value)
        if key == "producer_id":
            return self.producer_text(value)
        if key == "base_offset" and not self.exact_offsets:
            return "appended" if value >= 0 else value
        if key in TIMES:
            return self.time_text(value)
        if isinstance(value, bytes) and key in OPAQUE:
            return self.text(value.decode("latin-1"))
        if isinstance(value, bytes):
            return batch.describe(value, self.time_text, self.producer_text)
        return self.text(value) if isinstance(value, str) else value

    @staticmethod
    def order(item):
        return [str(item.get(k, "")).rjust(12) if isinstance(item.get(k), int) else
                str(item.get(k, "")) for k in IDENTITY], repr(item)

    def topic_text(self, value):
        names = {i: n for n, i in self.topic_ids.items()}
        if value in names:
            return "id of " + self.text(names[value])
        return value if value == ZERO else "some id"

    def producer_text(self, value):
        if value < 0 or value >= 900_000_000:           # ids that cases made up
            return value
        return self.producer_ids.setdefault(value, f"id {len(self.producer_ids) + 1}")

    def member_text(self, found):
        """What a broker appends to a client's name to make a member id."""
        return "-" + self.member_ids.setdefault(found[1], f"<id {len(self.member_ids) + 1}>")

    def time_text(self, value):
        if abs(value - self.time) < 1000_000:
            return f"t{value - self.time:+d}"
        ahead = value - time.time() * 1000
        if abs(ahead) < 900_000:
            return "now"
        return value if abs(ahead) > 1e8 else f"now{round(ahead / 1800_000) / 2:+} h"

    def text(self, value):
        value = MADE_ID.sub(self.member_text, value.replace(self.prefix, "~"))
        for name, topic_id in self.topic_ids.items():
            short = base64.urlsafe_b64encode(uuid.UUID(topic_id).bytes).decode().rstrip("=")
            value = value.replace(short, "<id of " + name.replace(self.prefix, "~") + ">")
        value = re.sub(r"-92233\d{14}", "<very long ago>", value)
        value = re.sub(r"(?<![\w.])1[6-9]\d{11}(?!\d)", "<time>", value)
        return re.sub(r"127\.0\.0\.1:\d+", "<address>", value)

"""tests/differential/rows_configs.py — DescribeConfigs, AlterConfigs, IncrementalAlterConfigs,
ListConfigResources."""
import time

from script import case

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)


def describer(s, version):
    def describe(label, *resources, synonyms=True, documentation=False):
        answer = s.quiet("DescribeConfigs", version, {
            "include_synonyms": synonyms, "include_documentation": documentation, "resources": [
                {"resource_type": kind, "resource_name": name, "configuration_keys": keys}
                for kind, name, keys in resources]})
        for result in answer["results"]:
            for config in result["configs"]:
                if "documentation" in config:
                    config["documentation"] = config["documentation"] is not None
        s.keep_answer(label, "DescribeConfigs", version, answer)
    return describe


@case("DescribeConfigs", 1, 4)
def settings_of_a_topic(s, version):
    plain, name = s.topic("plain"), s.topic("set", retention_ms=1000, cleanup_policy="compact")
    describe = describer(s, version)
    describe("all", (TOPIC, plain, None))
    describe("no keys", (TOPIC, name, []), synonyms=False)
    describe("some", (TOPIC, name, ["retention.ms", "nope", "retention.ms", "cleanup.policy"]),
             (TOPIC, plain, ["retention.ms"]))
    describe("one twice", (TOPIC, name, ["retention.ms"]), (TOPIC, name, ["cleanup.policy"]))
    describe("missing", (TOPIC, s.name("missing"), None), (TOPIC, "bad name", None), (TOPIC, "", None))
    describe("nothing")


@case("DescribeConfigs", 1, 4)
def settings_of_a_broker(s, version):
    describe = describer(s, version)
    describe("some", (BROKER, "1", ["node.id", "log.retention.hours", "nope", "num.partitions"]))
    describe("defaults", (BROKER, "", ["num.partitions"]))
    for name in ("2", "x", "-1", "01", " 1", "+1", "99999999999"):
        describe(f"broker {name!r}", (BROKER, name, ["num.partitions"]))
    for kind in (0, 1, 3, 64, 127, -1):
        describe(f"type {kind}", (kind, "1", None), (BROKER, "1", ["num.partitions"]))
    describe("loggers elsewhere", (LOGGER, "", None), (LOGGER, "x", None), (LOGGER, "2", None))
    describe("groups", (GROUP, s.name("group"), None), (GROUP, "", None))
    describe("metrics", (METRICS, s.name("metrics"), None), (METRICS, "", None))


def values(s, label, name):
    """What a topic has set for itself; Kafka's broker learns it a little after the answer."""
    seen = []
    while len(seen) < 2 or seen[-1] != seen[-2]:
        time.sleep(0.1 * (len(seen) > 0))
        answer = s.quiet("DescribeConfigs", 4, {"resources": [
            {"resource_type": TOPIC, "resource_name": name, "configuration_keys": None}]})
        seen.append({c["name"]: c["value"] for c in sorted(
            answer["results"][0]["configs"], key=lambda c: c["name"]) if c["config_source"] == 1})
    s.keep(f"the topic after {label}", seen[-1])


@case("IncrementalAlterConfigs", 0, 1)
def settings_of_topics_changed(s, version):
    name = s.topic("set", retention_ms=1000)

    def alter(label, *resources, validate=False):
        s.ask(label, "IncrementalAlterConfigs", version, {"validate_only": validate, "resources": [
            {"resource_type": kind, "resource_name": n, "configs": [
                {"name": k, "config_operation": op, "value": v} for k, op, v in configs]}
            for kind, n, configs in resources]})

    def one(label, *configs, **options):
        alter(label, (TOPIC, name, configs), **options)
    one("set", ("retention.ms", SET, "5"))
    one("set null", ("retention.ms", SET, None))
    one("set to a word", ("retention.ms", SET, "x"))
    one("set an unknown key", ("nokey", SET, "x"))
    one("delete an unknown key", ("nokey", DELETE, None))
    one("append to an unknown key", ("nokey", APPEND, "x"))
    values(s, "append to an unknown key", name)
    one("delete with a value", ("retention.ms", DELETE, "5"))
    one("delete again", ("retention.ms", DELETE, None))
    for operation in (4, -1):
        one(f"operation {operation}", ("retention.ms", operation, "5"))
    one("append to a number", ("retention.ms", APPEND, "5"))
    one("append", ("cleanup.policy", APPEND, "compact"))
    values(s, "append", name)
    one("append again", ("cleanup.policy", APPEND, "compact"))
    one("append null", ("cleanup.policy", APPEND, None))
    one("subtract", ("cleanup.policy", SUBTRACT, "delete"))
    values(s, "subtract", name)
    one("subtract the last", ("cleanup.policy", SUBTRACT, "compact"))
    values(s, "subtract the last", name)
    one("append two", ("cleanup.policy", APPEND, "compact,compact"))
    one("set with a hole", ("cleanup.policy", SET, "delete,,compact"))
    one("twice the same key", ("retention.ms", SET, "5"), ("retention.ms", SET, "6"))
    one("lags that cross", ("min.compaction.lag.ms", SET, "50"), ("max.compaction.lag.ms", SET, "20"))
    one("two, one wrong", ("segment.ms", SET, "77"), ("bad", SET, "x"))
    one("only checked", ("segment.ms", SET, "77"), validate=True)
    one("only checked, wrong", ("segment.ms", SET, "77"), ("bad", SET, "x"), validate=True)
    one("no keys")
    one("an empty key", ("", SET, "x"))
    alter("twice the same topic", (TOPIC, name, [("retention.ms", SET, "5")]),
          (TOPIC, name, [("retention.ms", SET, "6")]))
    alter("missing", (TOPIC, s.name("missing"), [("retention.ms", SET, "5")]))
    alter("no name", (TOPIC, "", [("retention.ms", SET, "5")]))
    alter("a bad name", (TOPIC, "bad name", [("retention.ms", SET, "5")]))
    for kind in (0, 1, 3, 99, -1):
        alter(f"type {kind}", (TOPIC, name, [("retention.ms", SET, "5")]), (kind, "x", [("a", SET, "6")]))
    alter("nothing")
    values(s, "nothing", name)


@case("IncrementalAlterConfigs", 0, 1)
def settings_of_brokers_changed(s, version):
    def alter(label, kind, name, *configs, validate=False):
        s.ask(label, "IncrementalAlterConfigs", version, {"validate_only": validate, "resources": [
            {"resource_type": kind, "resource_name": name, "configs": [
                {"name": k, "config_operation": op, "value": v} for k, op, v in configs]}]})
    broker = BROKER
    alter("a key of the broker", broker, "1", ("log.retention.ms", SET, "500000000"))
    alter("a key of all", broker, "", ("log.retention.ms", SET, "600000000"))
    alter("delete them", broker, "1", ("log.retention.ms", DELETE, None))
    alter("delete it of all", broker, "", ("log.retention.ms", DELETE, None))
    for name in ("2", "x", "-1", "01"):
        alter(f"broker {name!r}", broker, name, ("log.retention.ms", SET, "6"))
    alter("read-only", broker, "1", ("log.retention.hours", SET, "6"))
    alter("unknown", broker, "1", ("no.such", SET, "6"))
    alter("a word", broker, "1", ("log.retention.ms", SET, "abc"))
    alter("read-only count", broker, "1", ("num.partitions", SET, "6"))
    alter("listeners", broker, "1", ("listeners", SET, "PLAINTEXT://:1"), validate=True)
    alter("append to a list", broker, "1", ("log.cleanup.policy", APPEND, "compact"))
    alter("append to a number", broker, "1", ("max.connections", APPEND, "5"))
    alter("below zero", broker, "1", ("max.connections", SET, "-5"))
    alter("delete the rest", broker, "1", ("max.connections", DELETE, None), ("log.cleanup.policy", DELETE, None))
    alter("operation 7", broker, "1", ("log.retention.ms", 7, "5"))
    alter("logger elsewhere", LOGGER, "2", ("root", SET, "INFO"))
    alter("logger of none", LOGGER, "", ("root", SET, "INFO"))
    alter("no keys", broker, "1")
    alter("only checked", broker, "1", ("log.retention.ms", SET, "500000000"), validate=True)


@case("IncrementalAlterConfigs", 0, 1)
def settings_of_groups_and_metrics_changed(s, version):
    def alter(label, kind, name, *configs):
        s.ask(label, "IncrementalAlterConfigs", version, {"resources": [
            {"resource_type": kind, "resource_name": name, "configs": [
                {"name": k, "config_operation": op, "value": v} for k, op, v in configs]}]})
    alter("metrics without a name", METRICS, "", ("interval.ms", SET, "1000"))
    alter("metrics, unknown key", METRICS, s.name("m"), ("bad", SET, "1000"))
    alter("a group without a name", GROUP, "", ("consumer.session.timeout.ms", SET, "50000"))
    alter("a group, unknown key", GROUP, s.name("g"), ("bad", SET, "50000"))
    alter("a group, too small", GROUP, s.name("g"), ("consumer.session.timeout.ms", SET, "1"))


@case("AlterConfigs", 0, 2)
def settings_replaced(s, version):
    name = s.topic("set", segment_ms=77)

    def alter(label, *resources, validate=False):
        s.ask(label, "AlterConfigs", version, {"validate_only": validate, "resources": [
            {"resource_type": kind, "resource_name": n, "configs": [
                {"name": k, "value": v} for k, v in configs]} for kind, n, configs in resources]})

    def one(label, *configs, **options):
        alter(label, (TOPIC, name, configs), **options)
    one("set", ("retention.ms", "9"))
    values(s, "set", name)
    one("null", ("retention.ms", None))
    one("an unknown key", ("bad", "9"))
    one("a word", ("retention.ms", "x"))
    one("twice the same key", ("retention.ms", "9"), ("retention.ms", "8"))
    values(s, "twice the same key", name)
    one("only checked", ("retention.ms", "10"), validate=True)
    one("nothing at all")
    values(s, "nothing at all", name)
    alter("missing", (TOPIC, s.name("missing"), [("retention.ms", "9")]))
    if version == 2:        # Kafka does not answer
        alter("twice the same topic", (TOPIC, name, [("retention.ms", "9")]),
              (TOPIC, name, [("retention.ms", "9")]))
    alter("another broker", (BROKER, "7", [("log.retention.ms", "9")]))
    alter("the broker, read-only", (BROKER, "1", [("num.partitions", "9")]))
    alter("loggers", (LOGGER, "1", [("root", "INFO")]))
    alter("an unknown type", (99, "g", [("a", "50000")]))
    alter("a group, unknown key", (GROUP, s.name("g"), [("bad", "50000")]))
    alter("nothing")


@case("ListConfigResources", 0, 1)
def resources_listed(s, version):
    name = s.topic("listed")

    def ask(label, kinds):
        answer = s.quiet("ListConfigResources", version, {"resource_types": kinds} if version else {})
        answer["config_resources"] = [r for r in answer["config_resources"]
                                      if r["resource_name"] in (name, "1", "")]
        s.keep_answer(label, "ListConfigResources", version, answer)
    ask("all", [])
    if version >= 1:
        for kind in (TOPIC, BROKER, LOGGER, METRICS, GROUP, 0, 1, 99, -1):
            ask(f"type {kind}", [kind])
        ask("two types", [TOPIC, BROKER])
        ask("a type twice", [TOPIC, TOPIC])

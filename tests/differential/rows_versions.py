"""tests/differential/rows_versions.py — ApiVersions, and for every API requests that are none."""
import struct

from schema_client import APIS, Encoder
from script import NotAnnounced, case

# Where a request of default values would not be answered, or would be kept waiting.
FIELDS = {"Produce": {"acks": -1}}


@case("ApiVersions", 0, 4)
def what_is_announced(s, version):
    answer = s.quiet("ApiVersions", version, {"client_software_name": "x", "client_software_version": "1"}
                     if version >= 3 else {})
    keys = {f"API {k['api_key']}": f"{k['min_version']}-{k['max_version']}"
            for k in sorted(answer.pop("api_keys"), key=lambda k: k["api_key"])}
    features = {f["name"]: f"{f['min_version']}-{f['max_version']}"
                for f in answer.pop("supported_features", [])}
    finalized = {f["name"]: f"{f['min_version_level']}-{f['max_version_level']}"
                 for f in answer.pop("finalized_features", [])}
    answer.pop("finalized_features_epoch", None)
    s.keep_answer("announced", "ApiVersions", version,
                  {**answer, "keys": keys, "features": features, "finalized": finalized})


@case("ApiVersions", 3, 4)
def names_of_software(s, version):
    for name, number in (("x", "1"), ("", "1"), ("x", ""), ("-x", "1"), ("x-", "1"), ("x.y-z", "1.2"),
                         ("x_y", "1"), ("x", "1\n"), ("x y", "1"), ("é", "1"), ("x" * 3000, "1"),
                         (".", "1"), ("a.", "1"), ("7", "7")):
        answer = s.quiet("ApiVersions", version,
                         {"client_software_name": name, "client_software_version": number})
        s.keep_answer(f"{name[:9]!r} {number!r}", "ApiVersions", version,
                      {"error_code": answer["error_code"], "keys": len(answer["api_keys"]) > 0})


@case("ApiVersions", 0, 0)
def versions_that_are_not_there(s, version):
    for later in (6, 7, 100, 32767, -1):
        answer = s.client.call("ApiVersions", later, {}, version)
        s.keep_answer(f"version {later}", "ApiVersions", version,
                      {"error_code": answer["error_code"], "keys": [k["api_key"] for k in answer["api_keys"]]})


@case("ApiVersions", 0, 0)
def frames_that_are_none(s, version):
    head = struct.pack(">hhih", 18, version, 7, 4) + b"test"
    s.ask_raw("nothing", b"")
    s.ask_raw("one byte", b"\0")
    s.ask_raw("a key only", struct.pack(">h", 18))
    s.ask_raw("no client id", head[:8])
    s.ask_raw("half a client id", head[:-2])
    s.ask_raw("a null client id", struct.pack(">hhih", 18, version, 7, -1))
    s.ask_raw("client id of length -2", struct.pack(">hhih", 18, version, 7, -2))
    for key in (-1, 94, 1000, 32767, -32768):
        s.ask_raw(f"API {key}", struct.pack(">hhih", key, 0, 7, -1))


def bad_frames(name):
    api = APIS[name]

    def frames_of_it(s, version):
        first, last = s.versions.get(name, (0, -1))
        if not first <= version <= last:
            raise NotAnnounced(name)
        s.asked.add((name, version))
        flexible = version >= api.flexible

        def ask(label, body, of_version=version):
            head = struct.pack(">hhih", api.key, of_version, 7, 4) + b"test" + b"\0" * flexible
            s.ask_raw(label, head + body)
        body = Encoder(api, version).fields(api.messages[0].root, FIELDS.get(name, {}))
        ask("default values", body)
        if body:
            ask("no body", b"")
            ask("a byte is missing", body[:-1])
        ask("a byte too many", body + b"\0")
        if flexible:
            ask("an unknown tag", body[:-1] + b"\x01\x63\x02hi")
            ask("a tag that is too long", body[:-1] + b"\x01\x63\x7fhi")
        if name != "ApiVersions":
            ask("version 100", body, 100)
            ask("version -1", body, -1)
    frames_of_it.__name__ = "frames_of_it"
    case(name, api.since, api.until)(frames_of_it)


for _name in sorted(n for n, api in APIS.items() if api.key is not None):
    bad_frames(_name)

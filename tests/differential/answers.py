"""tests/differential/answers.py — recorded answers, differences between two, and allowed ones.

A file per API under answers/ holds what Apache Kafka said:

    = Produce: the shape of a batch         a case
    - 3-4,7                                 versions that are answered alike, question by question
    one batch => {"responses":[...]}          a label, and the answer as JSON

Differences are listed by their place in the answer: `responses.~topic.partition_responses.0.error_code`
(structs of a list go by what names them).
allowed.toml says which may be, and why.
"""
import fnmatch
import json
import os
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
DIRECTORY = os.path.join(HERE, "answers")
MISSING = "missing"
IDENTITIES = (("resource_type", "resource_name"), ("partition_index",), ("partition",), ("index",),
              ("name",), ("topic",), ("topic_id",), ("batch_index",),
              ("group_id",), ("key",), ("member_id",))


# ---- the files

def as_line(label, answer):
    return f"{label} => {json.dumps(answer, ensure_ascii=True, separators=(',', ':'))}"


def versions_text(versions):
    parts = []
    for version in sorted(versions):
        if parts and parts[-1][1] == version - 1:
            parts[-1][1] = version
        else:
            parts.append([version, version])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def versions_of(text):
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def write(api, recorded):
    """recorded: {case name: {version: [(label, answer)]}} of one API."""
    lines = []
    for name, by_version in recorded.items():
        lines.append(f"= {name}")
        alike = {}
        for version, answers in by_version.items():
            alike.setdefault(tuple(as_line(*a) for a in answers), []).append(version)
        for answer_lines, versions in alike.items():
            lines += [f"- {versions_text(versions)}", *answer_lines]
    with open(os.path.join(DIRECTORY, f"{api}.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def read():
    """{case name: {version: [(label, answer)]}} of every file."""
    recorded = {}
    for leaf in sorted(os.listdir(DIRECTORY)):
        with open(os.path.join(DIRECTORY, leaf), encoding="utf-8") as file:
            for line in file.read().splitlines():
                if line.startswith("= "):
                    by_version = recorded[line[2:]] = {}
                elif line.startswith("- "):
                    answers = []
                    by_version.update({version: answers for version in versions_of(line[2:])})
                else:
                    label, _, text = line.partition(" => ")
                    answers.append((label, json.loads(text)))
    return recorded


# ---- differences

def by_identity(items):
    """A list of structs as {what names each: struct}; None if nothing does, or not each alone."""
    for keys in IDENTITIES:
        if items and all(isinstance(i, dict) and all(k in i for k in keys) for i in items):
            named = {"/".join(str(i[k]) for k in keys): i for i in items}
            if len(named) == len(items):
                return named
    return None


def differences(wanted, got, place=""):
    """(place, wanted, got) of everything that differs between two answers."""
    def at(key):
        return f"{place}.{key}" if place else str(key)
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in [*wanted, *(k for k in got if k not in wanted)]:
            yield from differences(wanted.get(key, MISSING), got.get(key, MISSING), at(key))
    elif isinstance(wanted, list) and isinstance(got, list) and by_identity(wanted) and by_identity(got):
        left, right = by_identity(wanted), by_identity(got)
        yield from differences(left, right, place)
    elif isinstance(wanted, list) and isinstance(got, list):
        for i in range(max(len(wanted), len(got))):
            yield from differences(wanted[i] if i < len(wanted) else MISSING,
                                   got[i] if i < len(got) else MISSING, at(i))
    elif wanted != got or type(wanted) is not type(got):
        yield place, wanted, got


class Allowed:
    """One entry of allowed.toml: patterns of case, question and place, perhaps both values."""

    def __init__(self, entry):
        unknown = set(entry) - {"case", "question", "place", "kafka", "ringlog", "reason", "versions"}
        if unknown or not entry.get("reason") or not entry.get("case"):
            raise ValueError(f"allowed.toml: {entry}: {unknown or 'case and reason are needed'}")
        self.entry = entry
        self.used = 0

    def holds(self, name, version, label, place, wanted, got):
        e = self.entry
        return (fnmatch.fnmatchcase(name, e["case"]) and
                fnmatch.fnmatchcase(label, e.get("question", "*")) and
                fnmatch.fnmatchcase(place, e.get("place", "*")) and
                ("versions" not in e or version in set(versions_of(e["versions"]))) and
                self.value_holds(e.get("kafka"), wanted) and
                self.value_holds(e.get("ringlog"), got))

    @staticmethod
    def value_holds(pattern, value):
        if isinstance(pattern, str):
            return fnmatch.fnmatchcase(value if isinstance(value, str) else repr(value), pattern)
        return pattern is None or pattern == value


def allowed_differences():
    with open(os.path.join(HERE, "allowed.toml"), "rb") as file:
        return [Allowed(entry) for entry in tomllib.load(file).get("allowed", [])]

"""wire/schema_notation.py - reads the schema files into messages, structs and fields.

A file describes one API (request and response) or one header; README.md shows the notation.
Happy path: parse_file gives an Api.  Failures: SchemaError, whose text names file and line.
"""
import os
import re

SCALARS = ("bool", "i8", "i16", "u16", "i32", "u32", "i64", "f64",
           "string", "uuid", "bytes", "records")
INTEGER_BITS = {"i8": 8, "i16": 16, "u16": 16, "i32": 32, "u32": 32, "i64": 64}
NULLABLE_SCALARS = ("string", "bytes", "records")
NEVER = 1 << 15                         # a version that does not exist
TOKEN = re.compile(r"[{};=]|[^\s{};=]+")
NAME = re.compile(r"[a-z][a-z0-9_]*$")


class SchemaError(Exception):
    def __init__(self, path, line, text):
        super().__init__(f"{path}:{line}: error: {text}")


class Field:
    """One field: what it is called, what it is, and in which versions [since, until]."""

    def __init__(self, name, line):
        self.name, self.line = name, line
        self.kind = None                # one of SCALARS, or "struct"
        self.struct = None
        self.array = False
        self.nullable = NEVER           # first version that may be null
        self.since = self.until = None
        self.default = None             # text, as in the schema
        self.tag = None
        self.inflexible = False         # old length encoding also in flexible versions
        self.comment = ""


class Struct:
    def __init__(self, name, line, since, until):
        self.name, self.line = name, line
        self.since, self.until = since, until
        self.fields = []
        self.comment = ""

    def children(self):
        return [f.struct for f in self.fields if f.struct]

    def all(self):
        """This struct and those in it, children first."""
        return [s for child in self.children() for s in child.all()] + [self]


class Message:
    """A request, a response or a header: `name` is the prefix of everything in C."""

    def __init__(self, name, root):
        self.name, self.root = name, root


class Api:
    def __init__(self, path):
        self.path = path
        self.stem = os.path.splitext(os.path.basename(path))[0]
        self.name, self.key = None, None
        self.since = self.until = self.flexible = None
        self.comment = ""
        self.messages = []


class Parser:
    def __init__(self, path):
        self.path = path
        self.tokens = []                # (text, line); "\n" ends a statement
        self.notes = {}                 # line -> comment
        self.at = 0
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                code, mark, comment = line.partition("#")
                if mark:
                    self.notes[number] = (comment.strip(), not code.strip())
                self.tokens += [(t, number) for t in TOKEN.findall(code)]
                self.tokens.append(("\n", number))
        self.last_line = self.tokens[-1][1] if self.tokens else 1

    def fail(self, text, line=None):
        raise SchemaError(self.path, line or self.line(), text)

    def line(self):
        return self.tokens[self.at][1] if self.at < len(self.tokens) else self.last_line

    def peek(self):
        return self.tokens[self.at][0] if self.at < len(self.tokens) else None

    def take(self, what):
        if self.at >= len(self.tokens) or self.peek() in "\n;{}=":
            self.fail(f"{what} expected")
        self.at += 1
        return self.tokens[self.at - 1][0]

    def number(self, what):
        text = self.take(what)
        if not re.match(r"-?\d+$", text):
            self.fail(f"{what} expected, not '{text}'")
        return int(text)

    def skip_ends(self):
        while self.peek() in ("\n", ";"):
            self.at += 1

    def comment_above(self, line):
        """The whole-line comments that end just above `line`."""
        lines = []
        while line > 1 and self.notes.get(line - 1, ("", False))[1]:
            line -= 1
            lines.insert(0, self.notes[line][0])
        return " ".join(lines)

    def comment_of(self, line):
        above, (beside, whole) = self.comment_above(line), self.notes.get(line, ("", False))
        return above or ("" if whole else beside)

    def api(self):
        api = Api(self.path)
        self.skip_ends()
        line = self.line()
        kind = self.take("'api' or 'header'")
        if kind not in ("api", "header"):
            self.fail("'api' or 'header' expected", line)
        api.comment = self.comment_above(line)
        api.name = self.take("a name")
        while self.peek() not in ("\n", None):
            word = self.take("'key', 'versions' or 'flexible'")
            if word == "key":
                api.key = self.number("an API key")
            elif word == "versions":
                low, _, high = self.take("a range of versions").partition("-")
                if not low.isdigit() or (high and not high.isdigit()):
                    self.fail("a range of versions expected, as in 3-13", line)
                api.since, api.until = int(low), int(high or low)
            elif word == "flexible":
                text = self.take("a version or 'never'")
                if text != "never" and not text.isdigit():
                    self.fail("a version or 'never' expected", line)
                api.flexible = NEVER if text == "never" else int(text)
            else:
                self.fail(f"unknown word '{word}'", line)
        if api.since is None or api.flexible is None or (kind == "api" and api.key is None):
            self.fail("an API needs key, versions and flexible", line)
        if api.since > api.until:
            self.fail("versions end before they begin", line)
        self.sections(api, ("request", "response") if kind == "api" else ("fields",))
        return api

    def sections(self, api, names):
        prefix = "rl_" + api.stem
        for name in names:
            self.skip_ends()
            line = self.line()
            if self.peek() != name:
                self.fail(f"section '{name}' expected")
            self.at += 1
            full = prefix if name == "fields" else f"{prefix}_{name}"
            root = Struct("", line, api.since, api.until)
            root.comment = self.comment_of(line)
            self.structs = {}
            self.fields(api, root, stop=lambda: self.peek() in (None, "response"))
            api.messages.append(Message(full, root))
        if self.peek() is not None:
            self.fail(f"unexpected '{self.peek()}'")

    def fields(self, api, struct, stop):
        tags = set()
        while True:
            self.skip_ends()
            if stop():
                break
            field = self.field(api, struct)
            if any(f.name == field.name for f in struct.fields):
                self.fail(f"field '{field.name}' is there twice", field.line)
            if field.tag is not None and field.tag in tags:
                self.fail(f"tag {field.tag} is there twice", field.line)
            tags.add(field.tag)
            struct.fields.append(field)

    def field(self, api, struct):
        name, line = self.take("a field's name"), self.line()
        field = Field(name, line)
        field.comment = self.comment_of(line)
        field.since, field.until = struct.since, struct.until
        nullable = name.endswith("?")
        name = name[:-1] if nullable else name
        if name.endswith("[]"):
            field.array, name = True, name[:-2]
        elif nullable:
            self.fail("write the '?' of a field that is no array behind its type")
        field.name = name
        kind = self.take("a type")
        if kind.endswith("?"):
            if field.array:
                self.fail("elements of an array cannot be null; write 'name[]? type'")
            nullable, kind = True, kind[:-1]
        if not NAME.match(name) or not NAME.match(kind):
            self.fail(f"'{name} {kind}' is no field")
        self.attributes(field)
        if nullable:
            field.nullable = field.since
        if self.peek() == "{":
            self.at += 1
            field.kind = "struct"
            field.struct = self.struct(api, field, kind, line)
        elif kind not in SCALARS:
            self.fail(f"unknown type '{kind}'", line)
        else:
            field.kind = kind
            if self.peek() not in ("\n", ";", "}", None):
                self.fail(f"unexpected '{self.peek()}'")
        self.check(api, struct, field)
        return field

    def struct(self, api, field, name, line):
        if name in self.structs:
            self.fail(f"struct '{name}' is there twice in this message", line)
        self.structs[name] = struct = Struct(name, line, field.since, field.until)
        struct.comment = field.comment
        self.fields(api, struct, stop=lambda: self.peek() in (None, "}"))
        if self.peek() != "}":
            self.fail(f"'}}' expected: struct '{name}' of line {line} has no end")
        self.at += 1
        if not struct.fields:
            self.fail(f"struct '{name}' is empty", line)
        return struct

    def attributes(self, field):
        while self.peek() not in ("\n", ";", "{", "}", None):
            if self.peek() == "=":
                self.at += 1
                field.default = self.take("a default value")
                continue
            word = self.take("an attribute")
            if word == "inflexible":
                field.inflexible = True
            elif word in ("since", "until", "tag", "nullable"):
                setattr(field, word, self.number(f"a number for '{word}'"))
            else:
                self.fail(f"unknown attribute '{word}'")

    def check(self, api, struct, field):
        if field.since < struct.since or field.until > struct.until or field.since > field.until:
            self.fail(f"versions {field.since}-{field.until} do not lie within "
                      f"{struct.since}-{struct.until}", field.line)
        if field.nullable != NEVER:
            if not (field.array or field.struct or field.kind in NULLABLE_SCALARS):
                self.fail(f"{field.kind} cannot be null", field.line)
            if not field.since <= field.nullable <= field.until:
                self.fail("nullable outside the field's versions", field.line)
            if field.struct and not field.array and field.nullable != field.since:
                self.fail("a struct is nullable in all its versions or in none", field.line)
        if field.tag is not None:
            if field.since < api.flexible or field.until != struct.until:
                self.fail("a tagged field exists from a flexible version on", field.line)
            if field.struct and not field.array and field.nullable != NEVER:
                self.fail("a tagged struct is left out instead of null", field.line)
            if field.struct and not field.array:
                self.check_tagged_struct(field.struct)
        if field.default is not None:
            self.check_default(field)

    def check_tagged_struct(self, struct):
        """It is compared with its default, which is kept to what no version changes."""
        for field in struct.fields:
            if field.struct or field.since > struct.since or field.until < struct.until:
                self.fail("a tagged struct has no structs and no versions inside", field.line)

    def check_default(self, field):
        text, bits = field.default, INTEGER_BITS.get(field.kind)
        if field.array or not (bits or field.kind == "bool"):
            self.fail("only bool and integers take a default", field.line)
        if field.kind == "bool":
            good = text in ("true", "false")
        else:
            low = 0 if field.kind[0] == "u" else -(1 << (bits - 1))
            good = re.match(r"-?\d+$", text) and low <= int(text) < low + (1 << bits)
        if not good:
            self.fail(f"'{text}' is no {field.kind}", field.line)


def parse_file(path):
    return Parser(path).api()

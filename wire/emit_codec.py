"""wire/emit_codec.py - writes the C of one API: structs, init, decode, size, encode, print.

Each struct gets one static function per verb, children first, so that the compiler can inline
them; the functions of whole messages are public.  Whatever depends on the version is a
condition on `version`, left out where the message's range already decides it.
"""
import re

from schema_notation import NEVER

C_TYPE = {"bool": "bool", "i8": "int8_t", "i16": "int16_t", "u16": "uint16_t", "i32": "int32_t",
          "u32": "uint32_t", "i64": "int64_t", "f64": "double", "uuid": "struct rl_uuid",
          "string": "struct rl_slice", "bytes": "struct rl_slice", "records": "struct rl_slice"}
FIXED_BYTES = {"bool": 1, "i8": 1, "i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "f64": 8,
               "uuid": 16}
PRINT = {"i8": "PRId8", "i16": "PRId16", "u16": "PRIu16", "i32": "PRId32", "u32": "PRIu32",
         "i64": "PRId64"}
NAMES = {"string": "string", "bytes": "bytes_field", "records": "records"}


def indent(lines, by=1):
    return ["    " * by + line if line else line for line in lines]


class Codec:
    """The C text of one message."""

    def __init__(self, api, message):
        self.api, self.message = api, message

    # Names and conditions ----------------------------------------------------------------

    def c_name(self, struct):
        return self.message.name + ("_" + struct.name if struct.name else "")

    def local(self, struct):
        return self.c_name(struct)[3:]

    def c_struct(self, struct):
        return "struct " + self.c_name(struct)

    def when(self, since, until, struct):
        """The condition that a version of `struct` lies in [since, until]; None: always."""
        parts = []
        if since > struct.since:
            parts.append(f"version >= {since}")
        if until < struct.until:
            parts.append(f"version <= {until}")
        return " && ".join(parts) or None

    def present(self, struct, field):
        return self.when(field.since, field.until, struct)

    def flexible(self, struct, field=None):
        if self.api.flexible > struct.until or (field and field.inflexible):
            return "false"
        return "true" if self.api.flexible <= struct.since else "flexible"

    def nullable(self, struct, field):
        if field.nullable > field.until:
            return "false"
        return "true" if field.nullable <= field.since else f"version >= {field.nullable}"

    def plain(self, struct):
        return [f for f in struct.fields if f.tag is None]

    def tagged(self, struct):
        return sorted((f for f in struct.fields if f.tag is not None), key=lambda f: f.tag)

    def default(self, field):
        if field.array:
            return "-1" if field.nullable != NEVER else "0"
        if field.struct:
            return "NULL"
        if field.kind in NAMES:
            null = field.nullable != NEVER
            return "(struct rl_slice){ NULL, 0 }" if null else 'rl_slice_of("", 0)'
        if field.kind == "uuid":
            return "(struct rl_uuid){ { 0 } }"
        if field.default in ("-2147483648", "-9223372036854775808"):
            return "INT32_MIN" if len(field.default) == 11 else "INT64_MIN"
        if field.kind == "i64" and field.default and abs(int(field.default)) > 2**31 - 1:
            return f"INT64_C({field.default})"
        return field.default or ("false" if field.kind == "bool" else "0")

    def optional(self, field):
        return field.struct and not field.array and field.nullable != NEVER

    # Header ------------------------------------------------------------------------------

    def versions(self, struct, field):
        if field.since > struct.since:
            return f"v{field.since}+" if field.until == struct.until \
                else f"v{field.since}-{field.until}"
        return f"until v{field.until}" if field.until < struct.until else ""

    def member(self, struct, field):
        if field.array and field.struct:
            text = f"{self.c_struct(field.struct)} *{field.name};"
        elif field.array:
            text = f"const {C_TYPE[field.kind]} *{field.name};"
        elif field.struct:
            star = "*" if self.optional(field) else ""
            text = f"{self.c_struct(field.struct)} {star}{field.name};"
        else:
            text = f"{C_TYPE[field.kind]} {field.name};"
        notes = [self.versions(struct, field)]
        if field.nullable != NEVER:
            null = "count -1" if field.array else "NULL" if field.struct else "data NULL"
            since = f" from v{field.nullable}" if field.nullable > field.since else ""
            notes.append(f"null ({null}) allowed{since}")
        notes = "; ".join(n for n in notes if n)
        if field.comment and not (field.struct and field.array):
            notes = f"{notes}: {field.comment}" if notes else field.comment
        lines = [text]
        if notes and len(text) + len(notes) < 86:
            lines = [f"{text}  /* {notes} */"]
        elif notes:
            lines = [f"/* {notes} */", text]
        if field.array:
            lines.append(f"int32_t {field.name}_count;")
        return lines

    def header(self):
        out = []
        for struct in self.message.root.all():
            if struct.comment:
                out.append(f"/* {struct.comment} */")
            out.append(self.c_struct(struct) + " {")
            for field in struct.fields:
                out += indent(self.member(struct, field))
            out += ["};", ""]
        out.append("/* Every field at its default.  Any thread. */")
        for struct in self.message.root.all():
            out.append(f"void {self.c_name(struct)}_init({self.c_struct(struct)} *msg);")
        name = self.message.name
        out += ["", *self.prototypes(name), ""]
        return out

    def prototypes(self, name):
        return [
            "/* Decode; slices point into the reader's input, arrays come from the arena.  Returns",
            " * RL_OK, RL_ETRUNCATED, RL_EMALFORMED, RL_ENOMEM (the arena's limit) or RL_EUNSUPPORTED",
            " * (the version); on failure every field is at its default. */",
            f"rl_status {name}_decode(struct rl_reader *r, int16_t version,",
            f"    struct rl_arena *arena, struct {name} *ret_msg);",
            "/* Encode into the writer, whose status tells how it went.  Fields that the version does",
            " * not have are left out; a null that it does not allow is written as empty. */",
            f"void {name}_encode(struct rl_writer *w, int16_t version,",
            f"    const struct {name} *msg);",
            "/* Exactly the bytes that encode writes, records included: with externals set, the",
            " * buffer takes the sum of their bytes (rl_wr_externals_bytes) less. */",
            f"size_t {name}_size(int16_t version, const struct {name} *msg);",
            "/* One line of JSON without a newline, records as their byte count. */",
            f"void {name}_print(FILE *out, int16_t version,",
            f"    const struct {name} *msg);",
        ]

    # Functions ---------------------------------------------------------------------------

    def function(self, head, parameters, body, struct):
        """A function; flexible is declared and unused parameters are named where needed."""
        top, text = [], "\n".join(body)
        if re.search(r"\bflexible\b", text):
            top.append(f"const bool flexible = version >= {self.api.flexible};")
        text = re.sub(r'"[^"]*"', "", "\n".join(top) + text)
        for name in parameters:
            if not re.search(rf"(?<!->)\b{name}\b", text):
                top.append(f"(void){name};")
        return [*head, "{", *indent(top + body), "}", ""]

    def source(self):
        out = []
        for struct in self.message.root.all():
            out += self.init(struct) + self.bytes_min(struct) + self.decode(struct)
            out += self.is_default(struct) + self.size(struct) + self.encode(struct)
            out += self.print(struct)
        return out + self.public()

    def init(self, struct):
        sets, after = [], []
        for field in struct.fields:
            if field.array:
                if field.nullable != NEVER:
                    sets.append(f"    .{field.name}_count = -1,")
            elif field.struct and not self.optional(field):
                after.append(f"{self.c_name(field.struct)}_init(&msg->{field.name});")
            elif self.default(field) not in ("0", "false", "NULL", "(struct rl_slice){ NULL, 0 }",
                                             "(struct rl_uuid){ { 0 } }"):
                sets.append(f"    .{field.name} = {self.default(field)},")
        body = [f"*msg = ({self.c_struct(struct)}){{", *sets, "};"] if sets \
            else ["memset(msg, 0, sizeof *msg);"]
        head = [f"void {self.c_name(struct)}_init({self.c_struct(struct)} *msg)"]
        return [*head, "{", *indent(body + after), "}", ""]

    def field_bytes_min(self, field, version):
        flexible = version >= self.api.flexible and not field.inflexible
        if field.array or field.kind in ("bytes", "records"):
            return 1 if flexible else 4
        if self.optional(field):
            return 1
        if field.struct:
            return self.struct_bytes_min(field.struct, version)
        if field.kind == "string":
            return 1 if flexible else 2
        return FIXED_BYTES[field.kind]

    def struct_bytes_min(self, struct, version):
        total = 1 if version >= self.api.flexible else 0
        for field in self.plain(struct):
            if field.since <= version <= field.until:
                total += self.field_bytes_min(field, version)
        return total

    def bytes_min(self, struct):
        """The least bytes an element of this struct takes on the wire, per version."""
        if not struct.name or not any(f.struct is struct and f.array
                                      for s in self.message.root.all() for f in s.fields):
            return []
        body, last = [], None
        for version in range(struct.since, struct.until + 1):
            least = max(1, self.struct_bytes_min(struct, version))
            if least != last:
                body.insert(0, (version, least))
            last = least
        lines = [f"if (version >= {v})\n        return {n};" for v, n in body[:-1]]
        lines.append(f"return {body[-1][1]};")
        return self.function([f"static inline size_t {self.local(struct)}_bytes_min(int16_t version)"],
                             ["version"], lines, struct)

    # Decode

    def read(self, struct, field):
        if field.kind in NAMES:
            verb = "string" if field.kind == "string" else "bytes"
            return f"rl_rd_{verb}(r, {self.flexible(struct, field)}, {self.nullable(struct, field)})"
        return f"rl_rd_{field.kind}(r)"

    def read_array(self, struct, field):
        if field.struct:
            item, least = self.c_struct(field.struct), f"{self.local(field.struct)}_bytes_min(version)"
            body = f"{self.local(field.struct)}_decode(r, version, arena, &items[i]);"
        else:
            item = C_TYPE[field.kind]
            least = FIXED_BYTES.get(field.kind)
            if least is None:
                old = 2 if field.kind == "string" else 4
                least = {"true": 1, "false": old}.get(self.flexible(struct),
                                                      f"flexible ? 1 : {old}")
            body = f"items[i] = {self.read_element(struct, field)};"
        return ["int32_t count;",
                f"{item} *items = rl_rd_array(r, arena, {self.flexible(struct)}, "
                f"{self.nullable(struct, field)},",
                f"    {least}, sizeof *items, &count);",
                "for (int32_t i = 0; i < count && r->st == RL_OK; i++)",
                f"    {body}",
                f"msg->{field.name} = items;",
                f"msg->{field.name}_count = count;"]

    def read_element(self, struct, field):
        if field.kind in NAMES:
            verb = "string" if field.kind == "string" else "bytes"
            return f"rl_rd_{verb}(r, {self.flexible(struct)}, false)"
        return f"rl_rd_{field.kind}(r)"

    def set_default(self, field):
        if field.array:
            return [f"msg->{field.name} = NULL;", f"msg->{field.name}_count = {self.default(field)};"]
        if field.struct and not self.optional(field):
            return [f"{self.c_name(field.struct)}_init(&msg->{field.name});"]
        return [f"msg->{field.name} = {self.default(field)};"]

    def decode_value(self, struct, field):
        """The statements that read one field that is there."""
        name = field.name
        if field.array:
            return self.read_array(struct, field)
        if self.optional(field):
            return [f"msg->{name} = rl_rd_optional(r, arena, sizeof *msg->{name});",
                    f"if (msg->{name} != NULL)",
                    f"    {self.local(field.struct)}_decode(r, version, arena, msg->{name});"]
        if field.struct:
            return [f"{self.local(field.struct)}_decode(r, version, arena, &msg->{name});"]
        return [f"msg->{name} = {self.read(struct, field)};"]

    def decode_field(self, struct, field):
        value, when = self.decode_value(struct, field), self.present(struct, field)
        if when is None:
            return ["{", *indent(value), "}"] if field.array else value
        if len(value) == 1 and not field.struct:
            line = f"msg->{field.name} = {when} ? {self.read(struct, field)} : {self.default(field)};"
            return [line] if len(line) < 92 else [f"msg->{field.name} = {when}",
                                                  f"    ? {self.read(struct, field)}",
                                                  f"    : {self.default(field)};"]
        return [f"if ({when}) {{", *indent(value), "} else {",
                *indent(self.set_default(field)), "}"]

    def decode_tags(self, struct):
        flexible, fields = self.flexible(struct), self.tagged(struct)
        if flexible == "false":
            return []
        if not fields:
            return ["rl_rd_tags_skip(r);"] if flexible == "true" \
                else ["if (flexible)", "    rl_rd_tags_skip(r);"]
        walk = ["struct rl_rd_tags tags = rl_rd_tags_begin(r);",
                "while (rl_rd_tags_next(r, &tags)) {"]
        for n, field in enumerate(fields):
            test = f"tags.tag == {field.tag}"
            if field.since > max(struct.since, self.api.flexible):
                test += f" && version >= {field.since}"
            walk += [f"    {'} else ' if n else ''}if ({test}) {{",
                     *indent(self.decode_value(struct, field), 2)]
        walk += ["    } else {", "        rl_rd_skip(r);", "    }", "}"]
        defaults = [line for field in fields for line in self.set_default(field)]
        if flexible == "true":
            return defaults + walk
        return defaults + ["if (flexible) {", *indent(walk), "}"]

    def decode(self, struct):
        body = [line for f in self.plain(struct) for line in self.decode_field(struct, f)]
        body += self.decode_tags(struct)
        head = [f"static void {self.local(struct)}_decode(struct rl_reader *r, int16_t version,",
                f"    struct rl_arena *arena, {self.c_struct(struct)} *msg)"]
        return self.function(head, ["version", "arena"], body, struct)

    # Size and encode

    def is_set(self, struct, field):
        """The condition that a tagged field differs from its default, so that it is written."""
        name = f"msg->{field.name}"
        if field.array:
            test = f"{name}_count >= 0" if field.nullable != NEVER else f"{name}_count > 0"
        elif field.struct:
            test = f"!{self.local(field.struct)}_is_default(&{name})"
        elif field.kind in NAMES:
            test = f"!rl_wr_is_null({name})" if field.nullable != NEVER else f"{name}.bytes > 0"
        elif field.kind == "uuid":
            test = f"!rl_uuid_is_zero({name})"
        else:
            test = f"{name} != {self.default(field)}"
        since = max(struct.since, self.api.flexible)
        return f"version >= {field.since} && {test}" if field.since > since else test

    def is_default(self, struct):
        if not any(f.struct is struct and not f.array and f.tag is not None
                   for s in self.message.root.all() for f in s.fields):
            return []
        tests = "\n    || ".join(self.is_set(struct, f) for f in struct.fields)
        return [f"static bool {self.local(struct)}_is_default(const {self.c_struct(struct)} *msg)",
                "{", *indent(f"return !({tests});".split("\n")), "}", ""]

    def size_value(self, struct, field):
        """Statements that add a field's bytes."""
        name, flexible = f"msg->{field.name}", self.flexible(struct, field)
        nullable = self.nullable(struct, field)
        if field.array:
            lines = [f"bytes += rl_wr_count_bytes({flexible}, {nullable}, {name}_count);"]
            if field.struct:
                return lines + [f"for (int32_t i = 0; i < {name}_count; i++)",
                                f"    bytes += {self.local(field.struct)}_size(version, &{name}[i]);"]
            if field.kind in FIXED_BYTES:
                return lines + [f"bytes += (size_t)RL_MAX({name}_count, 0) * {FIXED_BYTES[field.kind]};"]
            return lines + [f"for (int32_t i = 0; i < {name}_count; i++)",
                            f"    bytes += rl_wr_{NAMES[field.kind]}_bytes({flexible}, false, {name}[i]);"]
        if self.optional(field):
            return ["bytes += 1;", f"if ({name} != NULL)",
                    f"    bytes += {self.local(field.struct)}_size(version, {name});"]
        if field.struct:
            return [f"bytes += {self.local(field.struct)}_size(version, &{name});"]
        if field.kind in FIXED_BYTES:
            return [f"bytes += {FIXED_BYTES[field.kind]};"]
        return [f"bytes += rl_wr_{NAMES[field.kind]}_bytes({flexible}, {nullable}, {name});"]

    def conditional(self, when, lines):
        if when is None:
            return lines
        return [f"if ({when})", *indent(lines)] if len(lines) == 1 \
            else [f"if ({when}) {{", *indent(lines), "}"]

    def size_tags(self, struct):
        flexible, lines = self.flexible(struct), []
        if flexible == "false":
            return []
        fields = self.tagged(struct)
        if not fields:
            return ["bytes += 1;"] if flexible == "true" else ["if (flexible)", "    bytes += 1;"]
        lines.append("uint32_t tags = 0;")
        for field in fields:
            lines += [f"if ({self.is_set(struct, field)}) {{",
                      f"    size_t field = {self.tag_size(struct, field)};",
                      f"    bytes += {self.uvarint_bytes(field.tag)} + rl_uvarlong_bytes(field) + field;",
                      "    tags++;", "}"]
        lines.append("bytes += rl_uvarint_bytes(tags);")
        return lines if flexible == "true" else ["if (flexible) {", *indent(lines), "}"]

    def tag_size(self, struct, field):
        """The byte count of a tagged field's value."""
        if field.kind in FIXED_BYTES and not field.array:
            return str(FIXED_BYTES[field.kind])
        if field.struct and not field.array:
            return f"{self.local(field.struct)}_size(version, &msg->{field.name})"
        return f"{self.local(struct)}_{field.name}_tag_bytes(version, msg)"

    @staticmethod
    def uvarint_bytes(value):
        return max(1, (value.bit_length() + 6) // 7)

    def size(self, struct):
        out = []
        for field in self.tagged(struct):
            if not field.array and (field.struct or field.kind in FIXED_BYTES):
                continue                # tag_size needs no function
            body = ["size_t bytes = 0;", *self.size_value(struct, field), "return bytes;"]
            head = [f"static size_t {self.local(struct)}_{field.name}_tag_bytes(int16_t version,",
                    f"    const {self.c_struct(struct)} *msg)"]
            out += self.function(head, ["version", "msg"], body, struct)
        fixed, body = 0, []
        for field in self.plain(struct):
            when = self.present(struct, field)
            if when is None and field.kind in FIXED_BYTES and not field.array:
                fixed += FIXED_BYTES[field.kind]
            else:
                body += self.conditional(when, self.size_value(struct, field))
        body = [f"size_t bytes = {fixed};", *body, *self.size_tags(struct), "return bytes;"]
        head = [f"static size_t {self.local(struct)}_size(int16_t version,",
                f"    const {self.c_struct(struct)} *msg)"]
        return out + self.function(head, ["version", "msg"], body, struct)

    def encode_value(self, struct, field):
        name, flexible = f"msg->{field.name}", self.flexible(struct, field)
        nullable = self.nullable(struct, field)
        if field.array:
            lines = [f"rl_wr_count(w, {flexible}, {nullable}, {name}_count);",
                     f"for (int32_t i = 0; i < {name}_count; i++)"]
            if field.struct:
                return lines + [f"    {self.local(field.struct)}_encode(w, version, &{name}[i]);"]
            if field.kind in NAMES:
                return lines + [f"    rl_wr_{NAMES[field.kind]}(w, {flexible}, false, {name}[i]);"]
            return lines + [f"    rl_wr_{field.kind}(w, {name}[i]);"]
        if self.optional(field):
            return [f"rl_wr_i8(w, {name} != NULL ? 1 : -1);", f"if ({name} != NULL)",
                    f"    {self.local(field.struct)}_encode(w, version, {name});"]
        if field.struct:
            return [f"{self.local(field.struct)}_encode(w, version, &{name});"]
        if field.kind in NAMES:
            return [f"rl_wr_{NAMES[field.kind]}(w, {flexible}, {nullable}, {name});"]
        return [f"rl_wr_{field.kind}(w, {name});"]

    def encode_tags(self, struct):
        flexible, fields = self.flexible(struct), self.tagged(struct)
        if flexible == "false":
            return []
        if not fields:
            return ["rl_wr_uvarint(w, 0);"] if flexible == "true" \
                else ["if (flexible)", "    rl_wr_uvarint(w, 0);"]
        lines = [f"const bool has_{f.name} = {self.is_set(struct, f)};" for f in fields]
        total = " + ".join(f"(has_{f.name} ? 1u : 0u)" for f in fields)
        lines.append(f"rl_wr_uvarint(w, {total});")
        for field in fields:
            lines += [f"if (has_{field.name}) {{",
                      f"    rl_wr_uvarint(w, {field.tag});",
                      f"    rl_wr_uvarint(w, (uint32_t){self.tag_size(struct, field)});",
                      *indent(self.encode_value(struct, field)), "}"]
        return lines if flexible == "true" else ["if (flexible) {", *indent(lines), "}"]

    def encode(self, struct):
        body = []
        for field in self.plain(struct):
            body += self.conditional(self.present(struct, field), self.encode_value(struct, field))
        body += self.encode_tags(struct)
        head = [f"static void {self.local(struct)}_encode(struct rl_writer *w, int16_t version,",
                f"    const {self.c_struct(struct)} *msg)"]
        return self.function(head, ["version"], body, struct)

    # Print

    def print_value(self, field, value, nullable):
        if field.kind in NAMES:
            return f"rl_print_{field.kind}(out, {nullable}, {value});"
        if field.kind in PRINT:
            return f'fprintf(out, "%" {PRINT[field.kind]}, {value});'
        return f"rl_print_{field.kind}(out, {value});"

    def print_field(self, struct, field):
        name = f"msg->{field.name}"
        lines = [f'rl_print_key(out, &first, "{field.name}");']
        if field.array:
            item = [f"{self.local(field.struct)}_print(out, version, &{name}[i]);"] if field.struct \
                else [self.print_value(field, f"{name}[i]", "false")]
            body = ["fputc('[', out);", f"for (int32_t i = 0; i < {name}_count; i++) {{",
                    "    if (i > 0)", '        fputs(", ", out);', *indent(item), "}",
                    "fputc(']', out);"]
            null = {"true": f"{name}_count < 0", "false": None}.get(
                self.nullable(struct, field), f"{self.nullable(struct, field)} && {name}_count < 0")
            lines += body if null is None else \
                [f"if ({null}) {{", '    fputs("null", out);', "} else {", *indent(body), "}"]
        elif self.optional(field):
            lines += [f"if ({name} == NULL)", '    fputs("null", out);', "else",
                      f"    {self.local(field.struct)}_print(out, version, {name});"]
        elif field.struct:
            lines.append(f"{self.local(field.struct)}_print(out, version, &{name});")
        else:
            lines.append(self.print_value(field, name, self.nullable(struct, field)))
        return lines

    def print(self, struct):
        body = ["bool first = true;", "fputc('{', out);"]
        for field in struct.fields:
            when = self.present(struct, field)
            if field.tag is not None:
                test = self.is_set(struct, field)
                if self.flexible(struct) == "flexible" and "version" not in test:
                    test = f"flexible && {test}"
                when = test
            body += self.conditional(when, self.print_field(struct, field))
        body.append("fputc('}', out);")
        head = [f"static void {self.local(struct)}_print(FILE *out, int16_t version,",
                f"    const {self.c_struct(struct)} *msg)"]
        return self.function(head, ["version"], body, struct)

    # Whole messages

    def public(self):
        name, root = self.message.name, self.message.root
        bad = f"version < {root.since} || version > {root.until}"
        local = self.local(root)
        return f"""\
rl_status {name}_decode(struct rl_reader *r, int16_t version, struct rl_arena *arena,
                        struct {name} *ret_msg)
{{
    if ({bad})
        rl_rd_fail(r, RL_EUNSUPPORTED);
    else
        {local}_decode(r, version, arena, ret_msg);
    rl_status st = rl_rd_done(r);
    if (st != RL_OK)
        {name}_init(ret_msg);
    return st;
}}

void {name}_encode(struct rl_writer *w, int16_t version, const struct {name} *msg)
{{
    if ({bad})
        rl_wr_fail(w, RL_EUNSUPPORTED);
    else
        {local}_encode(w, version, msg);
}}

size_t {name}_size(int16_t version, const struct {name} *msg)
{{
    if ({bad})
        return 0;
    return {local}_size(version, msg);
}}

void {name}_print(FILE *out, int16_t version, const struct {name} *msg)
{{
    {local}_print(out, version, msg);
}}
""".split("\n")


def api_header(api):
    guard = f"RL_WIRE_MSG_{api.stem.upper()}_H"
    what = f"{api.name}, versions {api.since} to {api.until}" if api.since != api.until \
        else f"{api.name}, version {api.since}"
    lines = [f"/* wire/msg_{api.stem}.h - {what}; generated from wire/schema/{api.stem}.def."]
    if api.comment:
        lines += [" *", f" * {api.comment}"]
    lines[-1] += " */"
    lines += [f"#ifndef {guard}", f"#define {guard}", "", '#include "core/arena.h"',
              '#include "core/slice.h"', '#include "core/status.h"', '#include "wire/reader.h"',
              '#include "wire/writer.h"', "", "#include <stdio.h>", ""]
    for message in api.messages:
        lines += Codec(api, message).header()
    return "\n".join(lines + ["#endif", ""])


def api_source(api):
    lines = [f"/* wire/msg_{api.stem}.c - {api.name}; generated from wire/schema/{api.stem}.def. */",
             f'#include "wire/msg_{api.stem}.h"', '#include "wire/message_print.h"', "",
             "#include <inttypes.h>", "#include <string.h>", ""]
    for message in api.messages:
        lines += Codec(api, message).source()
    return "\n".join(lines).rstrip("\n") + "\n"

#!/usr/bin/env python3
"""wire/generate.py - turns wire/schema/*.def into C, at build time (wire/CMakeLists.txt).

    generate.py api OUT_DIR FILE.def      msg_<api>.h and msg_<api>.c
    generate.py table OUT_DIR FILE.def... api_table.h and api_table.c

Files are written whole, and only when everything went well.  A mistake in a schema ends the
build with "file:line: error: what".  Python's standard library only.
"""
import os
import sys

sys.dont_write_bytecode = True          # the source tree stays clean

from emit_codec import api_header, api_source               # noqa: E402
from emit_table import table_header, table_source           # noqa: E402
from schema_notation import SchemaError, parse_file         # noqa: E402


def write(path, text):
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(temporary, path)


def parse_all(paths):
    """All APIs by key, headers left out."""
    apis = sorted((a for a in map(parse_file, paths) if a.key is not None), key=lambda a: a.key)
    for one, other in zip(apis, apis[1:]):
        if one.key == other.key:
            raise SchemaError(other.path, 1, f"key {other.key} is already in {one.path}")
    return apis


def main(arguments):
    if len(arguments) < 3 or arguments[0] not in ("api", "table"):
        sys.exit(__doc__)
    verb, out, paths = arguments[0], arguments[1], arguments[2:]
    try:
        os.makedirs(out, exist_ok=True)
        if verb == "api":
            api = parse_file(paths[0])
            stem, texts = f"msg_{api.stem}", (api_header(api), api_source(api))
        else:
            apis = parse_all(paths)
            stem, texts = "api_table", (table_header(apis), table_source(apis))
    except SchemaError as error:
        sys.exit(str(error))
    write(os.path.join(out, stem + ".h"), texts[0])
    write(os.path.join(out, stem + ".c"), texts[1])


if __name__ == "__main__":
    main(sys.argv[1:])

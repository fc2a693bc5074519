#!/usr/bin/env python3
"""tests/wire/make_corpus.py - the fuzzer's seed corpus, from the vectors.

    make_corpus.py OUT_DIR VECTORS_DIR FILE.def...

The schema files are given in the order of rl_fill_messages, whose index is the first byte.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../wire"))

from schema_notation import parse_file                      # noqa: E402

ARENA_LIMIT = 14                        # 4 << 14: enough for any of them


def main(out, vectors, paths):
    os.makedirs(out, exist_ok=True)
    index = 0
    for api in map(parse_file, paths):
        sides = {m.name.rsplit("_", 1)[1]: index + n for n, m in enumerate(api.messages)}
        index += len(api.messages)
        path = os.path.join(vectors, api.stem + ".txt")
        if not os.path.exists(path):
            continue                    # the tests' own schema
        with open(path, encoding="utf-8") as f:
            for line in f:
                side, version, kind, digits, _ = line.split(" ", 4)
                body = b"" if digits == "-" else bytes.fromhex(digits)
                head = bytes([sides[side], int(version) - api.since, ARENA_LIMIT])
                with open(os.path.join(out, f"{api.stem}-{side}-{version}-{kind}"), "wb") as seed:
                    seed.write(head + body)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

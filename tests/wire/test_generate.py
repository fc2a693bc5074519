#!/usr/bin/env python3
"""tests/wire/test_generate.py - a mistake in a schema is named by file and line.

    test_generate.py
"""
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
WIRE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../wire")
HEAD = "api Thing key 7 versions 0-5 flexible 3\n"


def generate(text, verb="api"):
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "thing.def")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        done = subprocess.run([sys.executable, os.path.join(WIRE, "generate.py"), verb, where, path],
                              capture_output=True, text=True, check=False)
        written = sorted(n for n in os.listdir(where) if n != "thing.def")
        return done.returncode, done.stderr.strip().replace(path, "thing.def"), written


class Mistakes(unittest.TestCase):
    def refuse(self, body, line, text, head=HEAD):
        code, error, written = generate(head + body)
        self.assertEqual(code, 1, error)
        self.assertTrue(error.startswith(f"thing.def:{line}: error: "), error)
        self.assertIn(text, error)
        self.assertEqual(written, [], "nothing is written")

    def test_words(self):
        self.refuse("request\n  a i31\nresponse\n", 3, "unknown type 'i31'")
        self.refuse("request\n  a\nresponse\n", 3, "a type expected")
        self.refuse("request\n  a i32 sinse 3\nresponse\n", 3, "unknown attribute 'sinse'")
        self.refuse("request\n  a i32 since x\nresponse\n", 3, "a number for 'since'")
        self.refuse("request\n  Acks i32\nresponse\n", 3, "is no field")
        self.refuse("request\n", 2, "section 'response' expected")
        self.refuse("answer\n", 2, "section 'request' expected")

    def test_head(self):
        self.refuse("", 1, "'api' or 'header' expected", head="apy Thing\n")
        self.refuse("", 1, "needs key, versions and flexible", head="api Thing key 7 flexible 1\n")
        self.refuse("", 1, "versions end before they begin",
                    head="api Thing key 7 versions 3-2 flexible 1\n")
        self.refuse("", 1, "as in 3-13", head="api Thing key 7 versions x flexible 1\n")

    def test_structs(self):
        self.refuse("request\n  a[] s {\n    b i32\nresponse\n", 5, "a type expected")
        self.refuse("request\n  a[] s {\n    b i32\n", 4, "struct 's' of line 3 has no end")
        self.refuse("request\n  a[] s { }\nresponse\n", 3, "struct 's' is empty")
        self.refuse("request\n  a[] s { b i8 }\n  c[] s { b i8 }\nresponse\n", 4, "there twice")
        self.refuse("request\n  a i8\n  a i8\nresponse\n", 4, "field 'a' is there twice")

    def test_versions(self):
        self.refuse("request\n  a i8 since 4 until 3\nresponse\n", 3, "do not lie within")
        self.refuse("request\n  a i8 since 6\nresponse\n", 3, "do not lie within")
        self.refuse("request\n  a[] s since 2 { b i8 since 1 }\nresponse\n", 3, "within 2-5")

    def test_null_and_defaults(self):
        self.refuse("request\n  a i32?\nresponse\n", 3, "i32 cannot be null")
        self.refuse("request\n  a[] string?\nresponse\n", 3, "cannot be null")
        self.refuse("request\n  a string nullable 6\nresponse\n", 3, "outside")
        self.refuse("request\n  a i8 = 128\nresponse\n", 3, "'128' is no i8")
        self.refuse("request\n  a u8 = 1\nresponse\n", 3, "unknown type")
        self.refuse("request\n  a bool = 1\nresponse\n", 3, "'1' is no bool")
        self.refuse("request\n  a string = x\nresponse\n", 3, "only bool and integers")

    def test_tags(self):
        self.refuse("request\n  a i32 tag 0\nresponse\n", 3, "from a flexible version on")
        self.refuse("request\n  a i32 since 3 tag 0\n  b i32 since 3 tag 0\nresponse\n", 4,
                    "tag 0 is there twice")
        self.refuse("request\n  a s since 3 tag 0 { b i8 since 4 }\nresponse\n", 3,
                    "no versions inside")

    def test_good(self):
        code, error, written = generate(HEAD + "request\nresponse\n  a i32; b[] s { c i8 }\n")
        self.assertEqual((code, error), (0, ""))
        self.assertEqual(written, ["msg_thing.c", "msg_thing.h"])
        code, error, written = generate(HEAD + "request\nresponse\n", verb="table")
        self.assertEqual((code, written), (0, ["api_table.c", "api_table.h"]), error)


if __name__ == "__main__":
    unittest.main()

"""The input by content type. What the shared suite shows of it is not repeated."""

import unittest

from colibri_guest.inputs import decode_input
from colibri_guest.thrown import Failure


class Inputs(unittest.TestCase):
    def test_charsets_and_marks(self):
        self.assertEqual(decode_input("text/plain; charset=latin-1", b"\xfc"), "ü")
        self.assertEqual(decode_input('text/plain; charset="UTF-8"', "ü".encode()), "ü")
        self.assertEqual(decode_input("application/json; charset=utf-16", "[1]".encode("utf-16")), [1])
        self.assertEqual(decode_input("application/json", b"\xef\xbb\xbf[1]"), [1])
        self.assertEqual(decode_input("application/x-www-form-urlencoded", b"a=1"), b"a=1")

    def test_bad_input_names_the_position(self):
        cases = [
            ("application/json", b'{"a": 1,\n "b": }', "line 2, column 7"),
            ("application/json", b'["\xff"]', r"application/json in utf-8: byte 2 \(0xff\)"),
            ("application/json", b"[NaN]", "NaN is not part of JSON"),
            ("application/json", b"[" * 100_000, "nested too deeply"),
            ("text/plain", b"ab\xff", r"text/plain in utf-8: byte 2 \(0xff\)"),
            ("text/plain; charset=klingon", b"a", "'klingon', which is not known"),
        ]
        for content_type, body, expected in cases:
            with self.assertRaisesRegex(Failure, expected) as caught:
                decode_input(content_type, body)
            self.assertEqual(caught.exception.code, "bad-input")

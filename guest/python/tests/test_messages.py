"""Heads as they enter, and texts cut to what the platform counts."""

import unittest

from colibri_guest import messages
from colibri_guest.frames import Violation
from colibri_guest.messages import cut, decode_head, encode_head

REVISION = {"tenant": "default", "app": "shop", "function": "thumbnail", "revision": "r1"}
INVOKE = {"id": "01M7XHD7NX0000KRV4E04M2VB6", **REVISION, "budgetMs": 10}


class Messages(unittest.TestCase):
    def test_names_the_place_and_what_was_expected(self):
        cases = [
            (INVOKE | {"budgetMs": "soon"}, r"INVOKE\.budgetMs: expected a number not below 0, got 'soon'"),
            (INVOKE | {"budgetMs": True}, r"INVOKE\.budgetMs"),
            (INVOKE | {"id": 7}, r"INVOKE\.id: expected an id, got 7"),
            (INVOKE | {"request": {"method": "GET"}}, r"INVOKE\.request: expected a request"),
            (INVOKE | {"request": {"method": "GET", "path": "/", "query": "", "headers": ["odd"]}}, r"INVOKE\.request"),
            ([INVOKE], r"INVOKE: expected an object"),
        ]
        for value, expected in cases:
            with self.assertRaisesRegex(Violation, expected):
                decode_head(encode_head(value), "INVOKE", messages.INVOKE)
        for head in (b"{", b"", b"\xff", b"[" * 100_000):
            with self.assertRaisesRegex(Violation, "INVOKE: its head is not JSON"):
                decode_head(head, "INVOKE", messages.INVOKE)

    def test_lets_unknown_fields_through(self):
        value = INVOKE | {"later": 1}
        self.assertEqual(decode_head(encode_head(value), "INVOKE", messages.INVOKE), value)

    def test_heads_survive_half_a_surrogate_pair(self):
        self.assertEqual(encode_head({"message": "\ud800"}), b'{"message":"\\ud800"}')

    def test_cuts_by_utf_16_units_and_never_within_a_character(self):
        self.assertEqual(cut("abc", 3), "abc")
        self.assertEqual(cut("abcd", 3), "abc")
        self.assertEqual(cut("😀😀", 4), "😀😀")
        self.assertEqual(cut("😀😀", 3), "😀")

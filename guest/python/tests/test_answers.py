"""Answers: what is sent, and what is refused with its place."""

import io
import unittest

from colibri_guest.answers import BYTES, JSON, TEXT, Response, to_answer, to_chunk
from colibri_guest.thrown import Failure


class Answers(unittest.TestCase):
    def refused(self, value, expected):
        with self.assertRaisesRegex(Failure, expected) as caught:
            to_answer(value)
        self.assertEqual(caught.exception.code, "answer-invalid")

    def test_forms(self):
        class Text(str):
            pass

        class Map(dict):
            pass

        cases = [
            ((1, "ü"), JSON, '[1,"ü"]'.encode()),
            (Map(a=1), JSON, b'{"a":1}'),
            (Text("a"), TEXT, b"a"),
            (bytearray(b"a"), BYTES, b"a"),
            (memoryview(b"abcd")[::2], BYTES, b"ac"),
            (["\ud800"], JSON, b'["\\ud800"]'),
        ]
        for value, headers, body in cases:
            answer = to_answer(value)
            self.assertEqual((answer.status, answer.headers, bytes(answer.body)), (200, headers, body))

    def test_places_of_what_json_does_not_have(self):
        circle = {"a": []}
        circle["a"].append(circle)
        shared = [1]
        self.assertEqual(to_answer([shared, shared]).body, b"[[1],[1]]")
        self.refused({"a": [1, {2}]}, r"answer\['a'\]\[1\] is a set, which JSON does not have; use a list")
        self.refused({"a": b"x"}, r"answer\['a'\] is a bytes, .* base64")
        self.refused([float("nan")], r"answer\[0\] is nan")
        self.refused([1, [float("inf")]], r"answer\[1\]\[0\] is inf")
        self.refused(circle, r"answer\['a'\]\[0\] is a dict that contains itself")
        self.refused({(1, 2): 3}, r"answer has a key that is a tuple")
        self.refused(object(), r"the answer is an object, which can't be sent")
        self.refused("\ud800", "half a surrogate pair at character 0")

    def test_nesting_that_json_can_not_reach(self):
        deep = []
        for _ in range(100_000):
            deep = [deep]
        self.refused(deep, "nested too deeply")

    def test_response(self):
        answer = to_answer(Response({"a": 1}, 201, {"x-a": "b", "x-n": 7}))
        self.assertEqual((answer.status, answer.headers), (201, ("x-a", "b", "x-n", "7", *JSON)))
        answer = to_answer(Response("a", headers=[("Content-Type", "text/html"), ("x", "1"), ("x", "2")]))
        self.assertEqual(answer.headers, ("Content-Type", "text/html", "x", "1", "x", "2"))
        self.assertEqual(to_answer(Response(None)).status, 200)
        self.assertEqual(to_answer(Response(status=304)).status, 304)

    def test_response_refused(self):
        self.refused(Response("a", 99), "status is 99; use a number from 200 to 599")
        self.refused(Response("a", True), "status is True")
        self.refused(Response("a", headers={"a b": "c"}), "a header named 'a b'")
        self.refused(Response("a", headers={"a": "b\r\nc: d"}), r"header a is 'b\\r\\nc: d'")
        self.refused(Response("a", headers={"a": "\u20ac"}), "in Latin-1")
        self.refused(Response("a", headers=7), "headers are an int")
        self.refused(Response(Response("a")), "another Response")

    def test_files_are_streamed(self):
        file = io.BytesIO(b"x" * 100_000)
        self.assertEqual([len(chunk) for chunk in to_answer(file).source], [65_536, 34_464])
        self.assertTrue(file.closed)

    def test_chunks(self):
        self.assertEqual(to_chunk("ü", 0), "ü".encode())
        with self.assertRaisesRegex(Failure, "chunk 3 of the streamed answer is an int; yield str or bytes"):
            to_chunk(1, 3)

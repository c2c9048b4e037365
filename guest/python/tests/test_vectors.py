"""The vectors of the guest link, which fix the bytes for every language."""

import json
import os
import unittest

from colibri_guest import frames, messages
from colibri_guest.frames import FrameReader, Violation
from colibri_guest.messages import decode_head

ROOT = os.path.join(os.path.dirname(__file__), "../../..")
TO_GUEST = {
    "guestLoad": messages.LOAD,
    "guestInit": messages.INIT,
    "guestPing": messages.PING,
    "guestDrain": messages.DRAIN,
    "dataHello": messages.DATA_HELLO,
    "guestInvoke": messages.INVOKE,
    "guestWindow": messages.WINDOW,
    "guestCancel": messages.CANCEL,
}
"""Shapes of what a guest reads; the others it only writes."""


class Vectors(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(ROOT, "contract/guest/vectors.json"), encoding="utf-8") as file:
            cls.vectors = json.load(file)

    def test_preambles(self):
        for vector in [vector for vector in self.vectors if "preamble" in vector]:
            kind, version = vector["preamble"]["kind"], vector["preamble"]["version"]
            with self.subTest(vector["name"]):
                self.assertEqual(frames.decode_preamble(bytes.fromhex(vector["hex"])), (kind, version))
                self.assertEqual(frames.encode_preamble(kind, version).hex(), vector["hex"])

    def test_frames_and_their_heads(self):
        seen = set()
        for vector in [vector for vector in self.vectors if "frame" in vector]:
            frame = vector["frame"]
            with self.subTest(vector["name"]):
                ((type, flags, stream, head, body),) = FrameReader().push(bytes.fromhex(vector["hex"]))
                found = {"type": type, "flags": flags, "stream": stream, "head": head.decode(), "body": body.hex()}
                self.assertEqual(found, frame)
                self.assertEqual(frames.encode(type, flags, stream, head, body).hex(), vector["hex"])
                if vector["message"] in TO_GUEST:
                    seen.add(vector["message"])
                    decode_head(head, vector["message"], TO_GUEST[vector["message"]])
        self.assertEqual(seen, set(TO_GUEST))

    def test_invalid_ones_are_refused_with_the_error_they_name(self):
        refused = 0
        for vector in [vector for vector in self.vectors if "invalid" in vector]:
            if vector["invalid"] == "head" and vector["message"] not in TO_GUEST:
                continue
            with self.subTest(vector["name"]):
                with self.assertRaises(Violation) as caught:
                    self.read(vector)
                self.assertIn(vector["error"], str(caught.exception))
                refused += 1
        self.assertGreaterEqual(refused, 11)

    def read(self, vector):
        data = bytes.fromhex(vector["hex"])
        if vector["invalid"] == "preamble":
            frames.decode_preamble(data)
        for _type, _flags, _stream, head, _body in FrameReader().push(data):
            decode_head(head, vector["message"], TO_GUEST[vector["message"]])

"""Frames and preambles, byte by byte and in every cut."""

import random
import unittest

from colibri_guest import frames
from colibri_guest.frames import FrameReader, Violation


def read(chunks):
    reader = FrameReader()
    return [frame for chunk in chunks for frame in reader.push(chunk)]


class Frames(unittest.TestCase):
    def test_bytes_of_a_frame(self):
        encoded = frames.encode(frames.HEAD, frames.FIN | frames.LAST, 0x01020304, b"{}", b"abc")
        self.assertEqual(encoded.hex(), "00000005" + "12" + "03" + "01020304" + "00000002" + "7b7d" + "616263")

    def test_reads_what_it_wrote_however_it_is_cut(self):
        sent = [(0x10, 0, 1, b'{"a":1}', b"x" * 70_000), (0x13, 1, 1, b"", b""), (0x14, 2, 0xFFFFFFFF, b"{}", b"\0")]
        data = b"".join(frames.encode(*frame) for frame in sent)
        for seed in range(50):
            cut = random.Random(seed)
            chunks, rest = [], data
            while rest:
                size = cut.choice((1, 13, 14, 15, 1_000, 60_000, len(rest)))
                chunks.append(rest[:size])
                rest = rest[size:]
            self.assertEqual(read(chunks), sent, f"seed {seed}")

    def test_refuses_a_payload_over_the_maximum(self):
        with self.assertRaisesRegex(Violation, "1048577 bytes is over 1048576"):
            read([frames.HEADER.pack(frames.MAXIMUM_PAYLOAD + 1, 1, 0, 0, 0)])
        with self.assertRaisesRegex(ValueError, "over 1048576"):
            frames.encode(1, 0, 0, b"", bytes(frames.MAXIMUM_PAYLOAD + 1))

    def test_lengths_have_no_sign(self):
        for header in ("ffffffff" + "0100" + "00000000" + "00000000", "00000001" + "0100" + "00000000" + "ffffffff"):
            with self.assertRaises(Violation, msg=header):
                read([bytes.fromhex(header)])

    def test_refuses_a_head_longer_than_its_frame_after_the_frames_before_it(self):
        reader = FrameReader()
        seen = []
        good = frames.encode(0x07, 0, 0, b"{}")
        with self.assertRaisesRegex(Violation, "a head of 4 bytes in a frame of 3"):
            for frame in reader.push(good + frames.HEADER.pack(3, 1, 0, 0, 4) + b"abc"):
                seen.append(frame)
        self.assertEqual(seen, [(0x07, 0, 0, b"{}", b"")])

    def test_preambles(self):
        self.assertEqual(frames.decode_preamble(b"CLBRc\x09\0\0"), ("control", 9))
        self.assertEqual(frames.encode_preamble("data", 1), b"CLBRd\x01\0\0")
        for data in (b"GET / HT", b"CLBRp\x01\0\0", b"CLBRd\x00\0\0"):
            with self.assertRaises(Violation, msg=data):
                frames.decode_preamble(data)

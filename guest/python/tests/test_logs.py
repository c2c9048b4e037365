"""Logs: lines, tags, cuts and bounds."""

import contextvars
import json
import logging
import threading
import unittest

from colibri_guest import logs, thrown
from colibri_guest.frames import FrameReader
from colibri_guest.logs import LogHandler, LogQueue, LogText, invocation_id


def taken(queue):
    """(entries, dropped) of each frame."""
    heads = [frame[3] for data in queue.frames(lambda: True) for frame in FrameReader().push(data)]
    return [(message["entries"], message.get("dropped", 0)) for message in map(json.loads, heads)]


def texts(queue):
    return [entry["text"] for entries, _ in taken(queue) for entry in entries]


class Logs(unittest.TestCase):
    def setUp(self):
        self.queue = LogQueue()
        self.out = LogText(self.queue, "stdout", "info", 1)

    def test_a_line_is_an_entry_however_it_is_written(self):
        print("a", 1, file=self.out)
        self.out.write("b\n\nc")
        self.assertEqual(texts(self.queue), ["a 1", "b", ""])
        self.out.write("d\n")
        self.out.buffer.write("ü\n".encode())
        self.assertEqual(texts(self.queue), ["cd", "ü"])
        self.out.write("last")
        self.out.end(None)
        self.assertEqual(texts(self.queue), ["last"])

    def test_lines_of_invocations_are_kept_apart(self):
        contexts = [contextvars.copy_context() for _ in range(2)]
        for index, context in enumerate(contexts):
            context.run(invocation_id.set, f"id{index}")
        for part in ("{} one ", "{} two\n"):
            for index, context in enumerate(contexts):
                context.run(self.out.write, part.format(index))
        entries = taken(self.queue)[0][0]
        said = [(entry["invocation"], entry["text"]) for entry in entries]
        self.assertEqual(said, [("id0", "0 one 0 two"), ("id1", "1 one 1 two")])

    def test_a_long_line_is_cut_and_says_how_much_even_if_it_never_ends(self):
        self.out.write("x" * (logs.MAXIMUM_TEXT + 5) + "\n")
        for _ in range(100):
            self.out.write("y" * 1_000)
        self.assertLessEqual(sum(len(text) for text, _ in self.out._partial.values()), logs.MAXIMUM_TEXT)
        self.out.end(None)
        self.out.write("😀" * logs.MAXIMUM_TEXT + "\n")
        first, second, third = [entry for entries, _ in taken(self.queue) for entry in entries]
        self.assertEqual(first["text"], "x" * logs.MAXIMUM_TEXT + "… (5 characters cut)")
        self.assertEqual(second["text"], "y" * logs.MAXIMUM_TEXT + f"… ({100_000 - logs.MAXIMUM_TEXT} characters cut)")
        self.assertLessEqual(len(third["text"].encode("utf-16-le")) // 2, logs.MAXIMUM_TEXT + 64)
        self.assertTrue(first["truncated"] and second["truncated"] and third["truncated"])

    def test_what_does_not_fit_is_dropped_and_told_where_it_is_missing(self):
        for index in range(logs.MAXIMUM_ENTRIES + 7):
            self.queue.add("stdout", "info", None, str(index))
        frames = taken(self.queue)
        self.assertEqual(sum(len(entries) for entries, _ in frames), logs.MAXIMUM_ENTRIES)
        self.assertEqual([dropped for _, dropped in frames[:-1]], [0] * (len(frames) - 1))
        self.assertEqual(frames[-1], ([], 7))
        self.assertFalse(self.queue.pending)

    def test_a_gap_stands_between_what_was_before_and_after_it(self):
        size = 10_000
        for _ in range(logs.MAXIMUM_CHARACTERS // size + 3):
            self.queue.add("stdout", "info", None, "b" * size)
        taking = self.queue.frames(lambda: True)
        next(taking)
        self.queue.add("stdout", "info", None, "after")
        frames = [json.loads(frame[3]) for data in taking for frame in FrameReader().push(data)]
        self.assertEqual({entry["text"][0] for message in frames[:-1] for entry in message["entries"]}, {"b"})
        self.assertEqual([entry["text"] for entry in frames[-1]["entries"]], ["after"])
        self.assertEqual([message.get("dropped", 0) for message in frames], [0] * (len(frames) - 1) + [3])

    def test_the_queue_is_bounded_in_characters(self):
        for _ in range(1_000):
            self.queue.add("stdout", "info", None, "x" * 10_000)
        kept = sum(len(entry["text"]) for entries, _ in taken(self.queue) for entry in entries)
        self.assertLessEqual(kept, logs.MAXIMUM_CHARACTERS)
        self.assertGreater(kept, logs.MAXIMUM_CHARACTERS - 20_000)
        self.queue.add("stdout", "info", None, "again")
        self.assertEqual(texts(self.queue), ["again"])

    def test_the_worst_texts_fit_a_frame(self):
        for _ in range(200):
            self.queue.add("stdout", "info", None, "\x01" * logs.MAXIMUM_TEXT)
        self.assertEqual(len(texts(self.queue)), 128)  # MAXIMUM_CHARACTERS / MAXIMUM_TEXT

    def test_many_threads_lose_nothing(self):
        def write():
            for index in range(500):
                print(index, file=self.out)

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(self.tagged, n, write)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        by_invocation = {}
        for entries, dropped in taken(self.queue):
            self.assertEqual(dropped, 0)
            for entry in entries:
                by_invocation.setdefault(entry["invocation"], []).append(int(entry["text"]))
        self.assertEqual(by_invocation, {f"id{n}": list(range(500)) for n in range(8)})

    def tagged(self, number, write):
        invocation_id.set(f"id{number}")
        write()

    def test_records_of_the_logging_module(self):
        logger = logging.Logger("shop")
        logger.addHandler(LogHandler(self.queue))
        logger.warning("low on %s", "ink")
        try:
            raise ValueError("no ink")
        except ValueError:
            logger.exception("failed")
        thrown.set_root("/bundle")
        self.addCleanup(setattr, thrown, "_roots", ())
        try:
            exec(compile("1 / 0", "/bundle/shop.py", "exec"))
        except ZeroDivisionError:
            logger.exception("divided")
        warning, error, divided = taken(self.queue)[0][0]
        self.assertEqual((warning["level"], warning["text"]), ("warn", "shop: low on ink"))
        self.assertEqual(error["level"], "error")
        self.assertRegex(error["text"], r"(?s)^shop: failed\nTraceback.*ValueError: no ink$")
        self.assertRegex(divided["text"], r'(?s)\n  File "shop.py", line 1,.*ZeroDivisionError')

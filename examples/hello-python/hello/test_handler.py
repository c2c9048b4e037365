import logging
import unittest
from types import SimpleNamespace

from handler import handler

CONTEXT = SimpleNamespace(log=logging.getLogger("test"))


class Hello(unittest.TestCase):
    def test_greets_who_is_named_and_the_world_otherwise(self):
        self.assertEqual(handler({"name": "Ada"}, CONTEXT), {"hello": "Ada"})
        for input in (None, {}, "text", ["list"]):
            self.assertEqual(handler(input, CONTEXT), {"hello": "world"})

    def test_logs_whom_it_greets(self):
        with self.assertLogs("test") as logged:
            handler({"name": "Ada"}, CONTEXT)
        self.assertEqual(logged.records[0].getMessage(), "greeting Ada")


if __name__ == "__main__":
    unittest.main()

import unittest

from handler import handler


class Hello(unittest.TestCase):
    def test_greets_who_is_named_and_the_world_otherwise(self):
        self.assertEqual(handler({"name": "Ada"}, None), {"hello": "Ada"})
        for input in (None, {}, "text", ["list"]):
            self.assertEqual(handler(input, None), {"hello": "world"})

import asyncio
import json
import unittest
from pathlib import Path

from handler import handler

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


async def collect(input):
    return [line async for line in await handler(input, None)]


def lines(input):
    return asyncio.run(collect(input))


class Transform(unittest.TestCase):
    def test_real_rows_become_lines(self):
        made = lines((SAMPLES / "sales.csv").read_bytes())
        orders = json.loads((SAMPLES / "sales.json").read_text("utf-8"))
        self.assertEqual(len(made), 500)
        self.assertTrue(all(line.endswith("\n") and line.count("\n") == 1 for line in made))
        rows = [json.loads(line) for line in made]
        self.assertEqual([row["product"] for row in rows], [order["product"] for order in orders])
        self.assertEqual([row["note"] for row in rows], [order["note"] for order in orders])

    def test_bytes_and_text_and_semicolons(self):
        expected = ['{"a": "1", "b": null}\n', '{"a": "é", "b": "2"}\n']
        self.assertEqual(lines("a,b\n1,\n\né,2\n"), expected)
        self.assertEqual(lines("\ufeffa;b\n1;\né;2".encode()), expected)

    def test_lines_come_before_the_rest_is_read(self):
        async def first_of_broken():
            made = await handler("a,b\n1,2\n1,2,3\n", None)
            first = await anext(made)
            with self.assertRaisesRegex(ValueError, "Line 3 has 3 columns and the header has 2"):
                await anext(made)
            return first

        self.assertEqual(asyncio.run(first_of_broken()), '{"a": "1", "b": "2"}\n')

    def test_others_run_in_between(self):
        async def run():
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            beside = asyncio.create_task(other())
            await collect("a\n" + "1\n" * 1000)
            beside.cancel()
            return turns

        self.assertGreaterEqual(asyncio.run(run()), 10)

    def test_a_bad_start_is_refused_before_anything_is_sent(self):
        for input in (None, {"a": 1}, 5):
            with self.assertRaisesRegex(ValueError, "There is no CSV"):
                asyncio.run(handler(input, None))
        for input in ("", "a,,c\n", "a,a\n", "\n1,2\n"):
            with self.assertRaisesRegex(ValueError, "a name of its own"):
                asyncio.run(handler(input, None))

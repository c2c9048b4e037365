import json
import statistics
import unittest
from pathlib import Path

from handler import handler
from table import MalformedInput

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def columns(input):
    return handler(input, None)["columns"]


class RealFiles(unittest.TestCase):
    def test_sales_as_csv(self):
        data = (SAMPLES / "sales.csv").read_bytes()
        orders = json.loads((SAMPLES / "sales.json").read_text("utf-8"))
        summary = handler(data, None)
        self.assertEqual((summary["format"], summary["delimiter"], summary["rows"]), ("csv", ",", 500))
        totals = [order["total"] for order in orders]
        total = summary["columns"]["total"]
        self.assertEqual((total["type"], total["count"], total["nulls"]), ("number", 500, 0))
        self.assertEqual((total["min"], total["max"]), (min(totals), max(totals)))
        self.assertAlmostEqual(total["mean"], statistics.mean(totals))
        self.assertAlmostEqual(total["median"], statistics.median(totals))
        self.assertAlmostEqual(total["stdev"], statistics.stdev(totals))

    def test_the_same_orders_as_json_give_the_same_columns(self):
        from_csv = columns((SAMPLES / "sales.csv").read_text("utf-8"))
        from_json = columns(json.loads((SAMPLES / "sales.json").read_text("utf-8")))
        types = {name: column["type"] for name, column in from_json.items()}
        self.assertEqual(
            types,
            {
                "order": "integer",
                "date": "date",
                "city": "text",
                "postcode": "text",
                "product": "text",
                "category": "text",
                "quantity": "integer",
                "price": "number",
                "discount": "integer",
                "total": "number",
                "returned": "boolean",
                "note": "text",
            },
        )
        self.assertEqual(from_csv, from_json)

    def test_what_spreadsheets_write(self):
        summary = handler((SAMPLES / "sales-semicolon.csv").read_bytes(), None)
        self.assertEqual((summary["delimiter"], summary["rows"]), (";", 50))
        self.assertEqual(list(summary["columns"])[0], "order")

    def test_the_summary_is_json(self):
        summary = handler((SAMPLES / "sales.csv").read_bytes(), None)
        self.assertEqual(json.loads(json.dumps(summary, allow_nan=False)), summary)


class Columns(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(
            columns("a\n4\n1\n\n3\n")["a"] | {"stdev": None},
            {"type": "integer", "count": 3, "nulls": 0, "min": 1, "max": 4, "mean": 8 / 3, "median": 3, "stdev": None},
        )
        self.assertEqual(columns("a,b\n1,x\n2.5,y\n,z\n")["a"]["type"], "number")
        self.assertEqual(columns("a,b\n1,x\n,z\n")["a"]["nulls"], 1)
        self.assertEqual(columns("a\n1\n2\n")["a"]["median"], 1.5)

    def test_a_single_number_has_no_deviation(self):
        self.assertIsNone(columns("a\n7\n")["a"]["stdev"])

    def test_what_looks_like_a_number_and_is_an_identifier(self):
        for text in ("00384", "1_000", "9007199254740993", "1e999", "inf", "0x10", "1,5", "١٢"):
            self.assertEqual(columns(f"a;b\n{text};1\n")["a"]["type"], "text", text)

    def test_numbers_whose_sum_no_double_holds(self):
        column = columns("a\n1.7e308\n1.7e308\n")["a"]
        self.assertEqual((column["median"], column["mean"], column["stdev"]), (1.7e308, None, None))

    def test_text(self):
        column = columns("a\n" + "x\n" * 3 + "y\n" * 2 + "a\nb\nc\nd\n")["a"]
        self.assertEqual((column["count"], column["distinct"], column["min"], column["max"]), (9, 6, "a", "y"))
        self.assertEqual(column["top"][:2], [{"value": "x", "count": 3}, {"value": "y", "count": 2}])
        self.assertEqual(len(column["top"]), 5)

    def test_dates_and_booleans(self):
        found = columns("when,ok\n2024-02-29,true\n2023-01-01,FALSE\n2023-01-02,TRUE\n")
        self.assertEqual((found["when"]["type"], found["when"]["max"]), ("date", "2024-02-29"))
        self.assertEqual((found["ok"]["type"], found["ok"]["distinct"]), ("boolean", 2))
        self.assertEqual(columns("when\n2023-02-29\n")["when"]["type"], "text")

    def test_nothing_in_it(self):
        self.assertEqual(columns("a,b\n,1\nNA,2\n")["a"], {"type": "empty", "count": 0, "nulls": 2})
        self.assertEqual(columns("a,b\n")["b"], {"type": "empty", "count": 0, "nulls": 0})

    def test_json_keeps_its_types(self):
        found = columns([{"a": "12", "b": 1}, {"a": "13", "b": 2.5, "c": True}, {"a": None, "d": [1, "é"]}])
        self.assertEqual({name: column["type"] for name, column in found.items()}, {"a": "text", "b": "number", "c": "boolean", "d": "text"})
        self.assertEqual(found["b"]["nulls"], 1)
        self.assertEqual(found["d"]["top"], [{"value": '[1, "é"]', "count": 1}])


class Delimiters(unittest.TestCase):
    def test_each_is_found(self):
        for delimiter in ",;\t|":
            text = f"name{delimiter}price\n\"a,b;c\td|e\"{delimiter}1\nf{delimiter}2\n"
            summary = handler(text, None)
            self.assertEqual((summary["delimiter"], list(summary["columns"])), (delimiter, ["name", "price"]))

    def test_decimal_commas_do_not_hide_the_semicolon(self):
        self.assertEqual(handler("a;b;c\n1,5;2,5;3,5\n", None)["delimiter"], ";")

    def test_a_header_full_of_commas_does_not_either(self):
        self.assertEqual(list(columns("price, net, in EUR;b\n1;2\n3;4\n")), ["price, net, in EUR", "b"])

    def test_a_single_column_has_none(self):
        self.assertEqual(list(columns("name\nx\ny\n")), ["name"])


class Malformed(unittest.TestCase):
    def assert_refused(self, input, message):
        with self.assertRaisesRegex(MalformedInput, message):
            handler(input, None)

    def test_no_table(self):
        self.assert_refused(None, "There is no table: send CSV or JSON")
        self.assert_refused("", "The table is empty")
        self.assert_refused(b" \r\n \n", "The table is empty")

    def test_bad_csv_names_the_line(self):
        self.assert_refused("a,b\n1,2\n1,2,3\n", "Line 3 has 3 columns and the header has 2")
        self.assert_refused('a,b\n1,"2\n', "Line 2 is not CSV: unexpected end of data")
        self.assert_refused("a,,c\n1,2,3\n", "Column 2 has no name")
        self.assert_refused("a,b,a\n1,2,3\n", 'Two columns are called "a"')

    def test_bytes_that_are_not_utf8_name_the_place(self):
        self.assert_refused("name\nZoë\n".encode("latin-1"), r"Line 2 is not UTF-8 \(byte 0xeb at offset 7\)")

    def test_bad_json(self):
        self.assert_refused({"a": 1}, "The JSON is an object: send an array of objects")
        self.assert_refused(12, "The JSON is a number")
        self.assert_refused(True, "The JSON is a boolean")
        self.assert_refused([{"a": 1}, 3], "Element 1 of the array is a number")
        self.assert_refused([], "The array holds no columns")
        self.assert_refused('[{"a": 1}]', "Content-Type: application/json")

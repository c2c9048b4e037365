import io
import json
import unittest
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from app import app


def call(path, method="GET", body=b"", query="", **headers):
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, **headers}
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    setup_testing_defaults(environ)
    started = []

    def start_response(status, headers, exc_info=None):
        started.append((status, dict(headers)))

    # Complains where the application breaks a rule of PEP 3333.
    result = validator(app)(environ, start_response)
    try:
        pieces = list(result)
    finally:
        result.close()
    (status, answered), *_ = started
    return status, answered, pieces


class Text(unittest.TestCase):
    def test_the_page_greets_and_escapes(self):
        status, headers, pieces = call("/", HTTP_USER_AGENT="<script>")
        self.assertEqual((status, headers["Content-Type"]), ("200 OK", "text/html; charset=utf-8"))
        self.assertIn(b"Hello, &lt;script&gt;.", pieces[0])

    def test_statistics_count_what_is_in_the_body(self):
        text = "Zażółć gęślą\njaźń\n" * 5000
        _, _, pieces = call("/statistics", "POST", text.encode())
        self.assertEqual(json.loads(pieces[0]), {"lines": 10000, "words": 15000, "characters": len(text)})
        _, _, pieces = call("/statistics", "POST")
        self.assertEqual(json.loads(pieces[0]), {"lines": 0, "words": 0, "characters": 0})

    def test_what_is_no_text_is_refused(self):
        for body in (b"\xff\xfe", "ż".encode()[:1]):
            self.assertEqual(call("/statistics", "POST", body)[0], "415 Unsupported Media Type")

    def test_the_countdown_comes_line_by_line(self):
        self.assertEqual(call("/countdown", query="from=2")[2], [b"2\n", b"1\n", b"0\n"])
        for wrong in ("-1", "many", "1001", "²"):
            self.assertEqual(call("/countdown", query=f"from={wrong}")[0], "400 Bad Request")

    def test_other_paths_and_methods(self):
        self.assertEqual(call("/nothing")[0], "404 Not Found")
        status, headers, _ = call("/statistics")
        self.assertEqual((status, headers["Allow"]), ("405 Method Not Allowed", "POST"))
        self.assertEqual(call("/", "HEAD")[2], [])


if __name__ == "__main__":
    unittest.main()

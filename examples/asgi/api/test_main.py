import asyncio
import json
import unittest

from main import app


def call(method, target, body=b""):
    path, _, query = target.partition("?")
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode()}
    # In two pieces, as bodies come.
    pieces = [{"type": "http.request", "body": body[:5], "more_body": True}, {"type": "http.request", "body": body[5:]}]
    sent = []

    async def receive():
        return pieces.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, end = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    text = end["body"].decode()
    return start["status"], json.loads(text) if headers["content-type"] == "application/json" and text else text, headers


class Api(unittest.TestCase):
    def test_arguments_come_from_the_query_by_type(self):
        self.assertEqual(call("GET", "/convert?value=20&unit=celsius")[:2], (200, {"value": 68.0, "unit": "fahrenheit"}))
        self.assertEqual(call("GET", "/convert?value=32&unit=fahrenheit&to=celsius")[1]["value"], 0.0)
        self.assertEqual(call("GET", "/units")[1], ["celsius", "fahrenheit", "kelvin"])

    def test_arguments_come_from_path_and_body(self):
        reading = {"place": "roof", "value": 1}
        status, body, _ = call("POST", "/readings/7", json.dumps(reading).encode())
        self.assertEqual((status, body), (201, {"station": 7, "place": "roof", "kelvin": 274.15}))

    def test_everything_that_does_not_fit_is_told_with_its_place(self):
        status, body, _ = call("POST", "/readings/x", b'{"value": "warm", "colour": 1}')
        self.assertEqual(status, 422)
        places = [problem["loc"] for problem in body["detail"]]
        wanted = [["path", "station"], ["body", "place"], ["body", "colour"], ["body", "value"]]
        self.assertEqual(places, wanted)
        self.assertEqual(call("GET", "/convert?value=nan")[1]["detail"][0]["msg"], "must be a number")
        self.assertEqual(call("POST", "/readings/7", b"{")[1]["detail"][0]["loc"], ["body"])
        self.assertEqual(call("POST", "/readings/7", b"[]")[1]["detail"][0]["msg"], "must be an object")

    def test_what_makes_no_sense_is_refused_in_words(self):
        self.assertIn("absolute zero", call("GET", "/convert?value=-300&unit=celsius")[1]["detail"])
        self.assertIn("no unit", call("GET", "/convert?value=1&unit=ell")[1]["detail"])

    def test_other_paths_and_methods(self):
        self.assertEqual(call("GET", "/nothing")[0], 404)
        status, _, headers = call("POST", "/units")
        self.assertEqual((status, headers["allow"]), (405, "GET"))
        self.assertEqual(call("HEAD", "/units")[1], "")

    def test_openapi_and_its_page_have_every_route(self):
        _, document, _ = call("GET", "/openapi.json")
        self.assertEqual(list(document["paths"]), ["/units", "/convert", "/readings/{station}"])
        operation = document["paths"]["/readings/{station}"]["post"]
        self.assertEqual(operation["parameters"][0]["schema"], {"type": "integer"})
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        self.assertEqual(schema["required"], ["place", "value"])
        _, page, headers = call("GET", "/docs")
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        for path in document["paths"]:
            self.assertIn(path, page)


if __name__ == "__main__":
    unittest.main()

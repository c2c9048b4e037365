"""The test kit. Run with the built wheel on the path: sdk/python/package.test.ts does."""

import asyncio
import io
import logging
import sys
import threading
import time
import types
import unittest
from contextlib import redirect_stdout

from colibri import Context, Response
from colibri.testing import LogEntry, TestFunction, invoke, make_context


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        asgi.life.append("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        asgi.life.append("stopped")
        await send({"type": "lifespan.shutdown.complete"})
        return
    size = 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            break
    body = f"{scope['method']} {scope['path']} {size} {scope['state']['started']}".encode()
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1"), (b"x-a", b"2")]})
    await send({"type": "http.response.body", "body": body})


asgi.life = []


class Wsgi:
    def __call__(self, environ, start_response):
        start_response("200 OK", [("content-type", "text/plain")])
        return [environ["REQUEST_METHOD"].encode(), b" ", str(len(environ["wsgi.input"].read())).encode()]


class Invoke(unittest.TestCase):
    def test_applications(self):
        with TestFunction(asgi) as function:
            answer = function.invoke("x" * 500_000, method="PUT", path="/a%20b")
            self.assertEqual((answer.status, answer.text), (201, "PUT /a b 500000 True"))
            self.assertEqual(answer.headers["x-a"], "1, 2")
            self.assertEqual(asgi.life, ["started"])
        self.assertEqual(asgi.life, ["started", "stopped"])
        self.assertEqual(invoke(Wsgi(), iter([b"ab", "ü", bytearray(300_000)])).text, "POST 300004")

    def test_init_runs_once_unless_it_fails(self):
        module = types.ModuleType("function")
        runs = []

        def init(context):
            print("init of", context.function)
            runs.append(context.invocation)
            if len(runs) == 1:
                raise ValueError("not yet")

        module.init, module.handler = init, lambda input, context: len(runs)
        with TestFunction(module, function="f") as function:
            failed = function.invoke()
            self.assertEqual((failed.status, failed.error.code, failed.error.message), (500, "init-failed", "not yet"))
            self.assertEqual(failed.logs[0], LogEntry("stdout", "info", "init of f"))
            self.assertEqual(failed.json()["detail"], "ValueError: not yet")
            self.assertEqual([function.invoke().json(), function.invoke().json()], [2, 2])
        self.assertEqual(runs, [None, None])
        module.init = lambda context: asyncio.sleep(60)
        self.assertRegex(invoke(module, init_timeout=0.02).error.message, "init did not finish within 20 ms")

    def test_deadline(self):
        let_go = threading.Event()
        held_on = []

        def deaf(input, context):
            held_on.append(not let_go.wait(10))

        def listens(input, context):
            context.cancelled.wait()

        async def task(input, context):
            await asyncio.sleep(60)

        for handler in (deaf, listens, task):
            answer = invoke(handler, timeout=0.02)
            self.assertEqual((answer.status, answer.error.code), (504, "function-timeout"), handler.__name__)
        self.assertEqual(held_on, [], "it is not waited for longer than the grace")
        let_go.set()
        # Its sandbox is closed: what it answers now goes nowhere, and harms nobody.
        left = [thread for thread in threading.enumerate() if thread.name.startswith("colibri")]
        for thread in left:
            thread.join(10)
        self.assertEqual([thread for thread in left if thread.is_alive()], [])
        self.assertEqual(held_on, [False])

    def test_a_stream_is_left(self):
        stopped = threading.Event()

        def endless(input, context):
            try:
                while True:
                    yield "tick\n"
            finally:
                stopped.set()

        pieces = []
        answer = invoke(endless, on_piece=lambda piece: pieces.append(piece) or len(pieces) < 3)
        self.assertEqual((answer.status, answer.error.code), (200, "client-closed"))
        self.assertEqual(pieces[:3], [b"tick\n"] * 3)
        self.assertTrue(stopped.wait(10))
        with self.assertRaisesRegex(KeyError, "mine"):
            invoke(endless, on_piece=lambda piece: {}["mine"])

    def test_exit_ends_the_invocation_only(self):
        def leaves(input, context):
            sys.exit(3)

        async def leaves_late(input, context):
            await asyncio.sleep(0)
            sys.exit(3)

        for handler in (leaves, leaves_late):
            answer = invoke(handler)
            self.assertEqual((answer.status, answer.error.code), (502, "function-exited"))
            self.assertIn("exit(3)", answer.error.message)

    def test_output_of_invocations_is_kept_apart(self):
        def handler(number, context):
            print("begin", number)
            time.sleep(0.01)
            logging.getLogger("lib").info("in %d", number)
            context.log.debug("end %d", number)

        before = (sys.stdout, logging.getLogger().level, list(logging.getLogger().handlers))
        outside = io.StringIO()
        answers = {}
        with redirect_stdout(outside), TestFunction(handler) as function:
            threads = [threading.Thread(target=lambda n=n: answers.update({n: function.invoke(n)})) for n in (1, 2)]
            for thread in threads:
                thread.start()
            print("outside")
            for thread in threads:
                thread.join()
        for number in (1, 2):
            texts = [entry.text for entry in answers[number].logs]
            self.assertEqual(texts, [f"begin {number}", f"lib: in {number}", f"end {number}"])
        self.assertEqual(outside.getvalue(), "outside\n")
        self.assertEqual((sys.stdout, logging.getLogger().level, logging.getLogger().handlers), before)

    def test_without_a_request(self):
        answer = invoke(lambda input, context: [input, context.request is None], {"a": 1}, http=False)
        self.assertEqual(answer.json(), [{"a": 1}, True])

    def test_in_a_running_loop(self):
        async def handler(input, context):
            return Response("made", 201)

        async def main():
            return invoke(handler).status

        self.assertEqual(asyncio.run(main()), 201)

    def test_what_is_no_function(self):
        with self.assertRaisesRegex(Exception, "the module does not define 'handler'; it defines none"):
            invoke(types.ModuleType("empty"))
        with self.assertRaisesRegex(Exception, "is not a function but of type int"):
            invoke(7)
        with self.assertRaises(TypeError):
            invoke(lambda input, context: 1, object())


class MakeContext(unittest.TestCase):
    def test_has_what_was_asked_for(self):
        context = make_context(app="shop", timeout=5, query="a=1&a=2", params={"id": "7"})
        self.assertIsInstance(context, Context)
        self.assertEqual((context.app, context.tenant, context.request.params), ("shop", "default", {"id": "7"}))
        self.assertEqual(context.request.query, {"a": ["1", "2"]})
        self.assertRegex(context.invocation, "^[0-9A-Z]{26}$")
        self.assertTrue(4_000 < context.remaining() <= 5_000)
        context.log.warning("careful %d", 7)
        self.assertEqual(context.logs, [LogEntry("stderr", "warn", "careful 7")])
        context.cancel("deadline")
        self.assertTrue(context.cancelled.wait(0))
        self.assertIsNone(make_context(http=False).request)


if __name__ == "__main__":
    unittest.main()
